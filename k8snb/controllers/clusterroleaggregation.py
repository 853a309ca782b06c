"""clusterrole-aggregation-controller: fills ClusterRoles that gather the rules of others.

Interface: `ClusterRoleAggregationController` writes `rules` where there is an `aggregationRule`.
The rule not to break: the rules of such a role are those of the roles it selects and nothing else.
Source: `pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go` in the kubernetes repository.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, labels_of, name_of
from k8snb.apimachinery.selectors import from_label_selector
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import Informer, Informers


class ClusterRoleAggregationController(Controller):
    name = "clusterrole-aggregation-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.roles = informers.get("clusterroles")
        self.roles.on_change(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        """A role that gathers has changed itself, or one that somebody gathers has."""
        self.enqueue(new if new is not None and selectors(new) else None)
        for role in self.roles:
            if any(picks(role, obj) for obj in (old, new) if obj is not None):
                self.enqueue(role)

    def sync(self, key: str) -> None:
        role = self.roles.by_key(key)
        if role is None or not selectors(role):
            return
        rules = gathered(role, self.roles)
        if rules != (role.get("rules") or []):
            self.client.update("clusterroles", {**role, "rules": rules})

    def subject(self, key: str) -> Object | None:
        return self.roles.by_key(key)


def selectors(role: Object) -> list[Object]:
    """The label selectors of the roles that one gathers, none for an ordinary role."""
    found: list[Object] = (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
    return found


def picks(role: Object, other: Object) -> bool:
    """Whether a role gathers another; never itself."""
    if name_of(role) == name_of(other):
        return False
    return any(from_label_selector(selector).matches(labels_of(other)) for selector in selectors(role))


def gathered(role: Object, roles: Informer) -> list[Object]:
    """The rules of all that a role picks, each once, by the names of the roles."""
    rules: list[Object] = []
    for other in sorted((other for other in roles if picks(role, other)), key=name_of):
        rules += [rule for rule in other.get("rules") or () if rule not in rules]
    return rules
