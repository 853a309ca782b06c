"""kube-apiserver's RBAC: who may do what, as Roles and bindings say.

Interface: `Rbac(store)`: `authorize(user, attributes)`, `rules_for(user, namespace)`; `Rule`, `matches`.
The rule not to break: rights only add up; nothing here forbids what something else allows.
Source: `plugin/pkg/auth/authorizer/rbac/rbac.go`, `pkg/apis/rbac/v1/evaluation_helpers.go`. Upstream walks through all
bindings of the cluster at every request; here they lie in an index by subject that a watch on the store keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from k8snb.apimachinery.kinds import Kind, find
from k8snb.apimachinery.meta import Object, name_of, namespace_of
from k8snb.client import User
from k8snb.etcd import PUT, Record, Store

GROUP = "rbac.authorization.k8s.io"
ALL = "*"
REMEMBERED = 65_536  # decisions kept at most

RoleKey = tuple[str, str]  # namespace ("" for a ClusterRole) and name
SubjectKey = tuple[str, str, str]  # namespace of the binding ("" for everywhere), User or Group, name


class Attributes(NamedTuple):
    """What is asked for: a verb on a resource, or on a `path` that is none (`/healthz`).

    `fields` is the field selector of a list or a watch; only the node authorizer looks at it.
    """

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    version: str = ""
    fields: str = ""

    @property
    def full_resource(self) -> str:
        """`pods/log`: the word that rules and messages use."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource

    def refused(self, user: User, reason: str = "") -> str:
        """What the user cannot do, in upstream's words."""
        place = f'in the namespace "{self.namespace}"' if self.namespace else "at the cluster scope"
        words = f'cannot {self.verb} resource "{self.full_resource}" in API group "{self.group}" {place}'
        return f'User "{user.name}" {words}' + (f": {reason}" if reason else "")


class Decision(NamedTuple):
    """Whether it is allowed; `reason` says by what, or why not where there is more to say than "no rule does"."""

    allowed: bool
    reason: str = ""


class Rule(NamedTuple):
    """One PolicyRule, its lists as tuples in their order."""

    verbs: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()

    def __str__(self) -> str:
        """As escalation errors show it: `{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`."""
        shown = (("APIGroups", self.groups), ("Resources", self.resources), ("NonResourceURLs", self.urls),
                 ("ResourceNames", self.names), ("Verbs", self.verbs))  # fmt: skip
        return "{" + ", ".join(f"{word}:{quoted(values)}" for word, values in shown if values) + "}"

    @property
    def object(self) -> Object:
        """As a review answers it."""
        if self.urls:
            return {"verbs": list(self.verbs), "nonResourceURLs": list(self.urls)}
        rule: Object = {"verbs": list(self.verbs), "apiGroups": list(self.groups), "resources": list(self.resources)}
        return {**rule, "resourceNames": list(self.names)} if self.names else rule


class Grant(NamedTuple):
    """What a binding gives one subject."""

    role: RoleKey
    source: str  # `RoleBinding "read/default" of Role "reader" to User "jane"`


def quoted(values: Iterable[str]) -> str:
    """A list of words as Go prints it: `["get" "list"]`."""
    return "[" + " ".join(f'"{value}"' for value in values) + "]"


def rule_of(raw: Object) -> Rule:
    """A rule from its object."""
    fields = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
    return Rule(*(tuple(raw.get(field) or ()) for field in fields))


def rules_of(role: Object) -> tuple[Rule, ...]:
    return tuple(rule_of(raw) for raw in role.get("rules") or ())


def matches(rule: Rule, asked: Attributes) -> bool:
    """Whether a rule allows what is asked for."""
    if asked.verb not in rule.verbs and ALL not in rule.verbs:
        return False
    if asked.path:
        return any(url_matches(url, asked.path) for url in rule.urls)
    return (
        (asked.group in rule.groups or ALL in rule.groups)
        and resource_matches(rule, asked.resource, asked.subresource)
        and (not rule.names or bool(asked.name and asked.name in rule.names))
    )


def resource_matches(rule: Rule, resource: str, subresource: str) -> bool:
    """`*` is everything, `pods/log` only that, `*/scale` the scale of anything."""
    words = (ALL, f"{resource}/{subresource}", f"{ALL}/{subresource}") if subresource else (ALL, resource)
    return any(word in rule.resources for word in words)


def url_matches(pattern: str, path: str) -> bool:
    return path == pattern or (pattern.endswith(ALL) and path.startswith(pattern.rstrip(ALL)))


class Rbac:
    """The roles and bindings of one cluster, and what they have decided. `on_change` is called when one changes."""

    def __init__(self, store: Store, on_change: Callable[[], None] = lambda: None) -> None:
        self._roles: dict[RoleKey, tuple[Rule, ...]] = {}
        self._grants: dict[SubjectKey, dict[str, Grant]] = {}
        self._decisions: dict[tuple[User, Attributes], Decision] = {}
        self._on_change = on_change
        self._stops: list[Callable[[], None]] = []
        keep = {"clusterroles": self._keep_role, "roles": self._keep_role,
                "clusterrolebindings": self._keep_binding, "rolebindings": self._keep_binding}  # fmt: skip
        for plural, keeper in keep.items():
            kind = find(f"{plural}.{GROUP}")
            assert kind is not None
            self._follow(store, kind, keeper)

    def authorize(self, user: User, asked: Attributes) -> Decision:
        """Whether a rule of a role that is bound to the user allows it."""
        key = (user, asked)
        decision = self._decisions.get(key)
        if decision is None:
            if len(self._decisions) >= REMEMBERED:
                self._decisions.clear()
            decision = self._decisions[key] = self._decide(user, asked)
        return decision

    def rules_for(self, user: User, namespace: str) -> list[Rule]:
        """Every rule that holds for the user in a namespace ("": in all of them)."""
        return [rule for grant in self._granted(user, namespace) for rule in self._roles.get(grant.role, ())]

    def rules_of_role(self, role: RoleKey) -> tuple[Rule, ...] | None:
        """The rules of one role, None where there is no such role."""
        return self._roles.get(role)

    # deciding

    def _decide(self, user: User, asked: Attributes) -> Decision:
        missing = []
        for grant in self._granted(user, asked.namespace):
            rules = self._roles.get(grant.role)
            if rules is None:
                missing.append(_not_found(grant.role))
            elif any(matches(rule, asked) for rule in rules):
                return Decision(True, f"RBAC: allowed by {grant.source}")
        words = missing[0] if len(missing) == 1 else f"[{', '.join(missing)}]"
        return Decision(False, f"RBAC: {words}" if missing else "")

    def _granted(self, user: User, namespace: str) -> Iterator[Grant]:
        subjects = [("User", user.name), *(("Group", group) for group in user.groups)]
        for where in ("", namespace) if namespace else ("",):
            for sort, name in subjects:
                yield from self._grants.get((where, sort, name), {}).values()

    # keeping up

    def close(self) -> None:
        """Follow the store no longer."""
        for stop in self._stops:
            stop()

    def _follow(self, store: Store, kind: Kind, keep: Callable[[Object, bool], None]) -> None:
        def deliver(record: Record) -> None:
            if record.previous is not None and record.previous.sort == PUT:
                keep(record.previous.value, False)
            if record.sort == PUT:
                keep(record.value, True)
            self._decisions.clear()
            self._on_change()

        self._stops.append(store.watch(kind.prefix, deliver))
        for record in store.range(kind.prefix)[0]:
            keep(record.value, True)

    def _keep_role(self, role: Object, present: bool) -> None:
        key = (namespace_of(role), name_of(role))
        if present:
            self._roles[key] = rules_of(role)
        else:
            self._roles.pop(key, None)

    def _keep_binding(self, binding: Object, present: bool) -> None:
        namespace, name = namespace_of(binding), name_of(binding)
        for subject in binding.get("subjects") or ():
            key = (namespace, *subject_of(subject, namespace))
            if present:
                self._grants.setdefault(key, {})[name] = _grant(binding, subject)
            elif name in self._grants.get(key, {}):
                del self._grants[key][name]


def subject_of(subject: Object, namespace: str) -> tuple[str, str]:
    """User or Group, and the name. A service account is the user of its long name."""
    if subject.get("kind") == "ServiceAccount":
        return ("User", f"system:serviceaccount:{subject.get('namespace') or namespace}:{subject.get('name')}")
    return (str(subject.get("kind")), str(subject.get("name")))


def role_of(binding: Object) -> RoleKey:
    """The role that a binding refers to."""
    reference = binding["roleRef"]
    return (namespace_of(binding) if reference["kind"] == "Role" else "", reference["name"])


def _grant(binding: Object, subject: Object) -> Grant:
    namespace, reference = namespace_of(binding), binding["roleRef"]
    kind, place = ("RoleBinding", f"/{namespace}") if namespace else ("ClusterRoleBinding", "")
    who = str(subject.get("name"))
    if subject.get("kind") == "ServiceAccount":
        who = f"{who}/{subject.get('namespace') or namespace}"
    source = (
        f'{kind} "{name_of(binding)}{place}" of {reference["kind"]} "{reference["name"]}" to {subject.get("kind")} '
        f'"{who}"'
    )
    return Grant(role_of(binding), source)


def _not_found(role: RoleKey) -> str:
    kind = "role" if role[0] else "clusterrole"
    return f'{kind}.{GROUP} "{role[1]}" not found'
