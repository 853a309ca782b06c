"""kube-apiserver's escalation check: nobody gives away rights that they do not have.

Interface: `check(server, request, obj, old)` raises Forbidden; `missing_rights(own, wanted)` is the comparison.
The rule not to break: a role is written, and bound, only by who holds all its rules or was trusted with the verbs
`escalate` or `bind`.
Source: `pkg/registry/rbac/*/policybased/storage.go`, `pkg/registry/rbac/validation/policy_compact.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from k8snb.apimachinery.errors import forbidden, not_found
from k8snb.apimachinery.kinds import find
from k8snb.apimachinery.meta import Object, name_of, namespace_of
from k8snb.apiserver.authorization import MASTERS, Authorizer
from k8snb.apiserver.rbac import ALL, GROUP, Attributes, Rule, quoted, role_of, rules_of, url_matches
from k8snb.client import Request, User

FULL = (Rule((ALL,), (ALL,), (ALL,)), Rule((ALL,), urls=(ALL,)))


class Server(Protocol):
    authorizer: Authorizer


def check(server: Server, request: Request, obj: Object, old: Object | None) -> None:
    """Refuse a role or binding that would give more than its author has."""
    guard = GUARDS.get(request.kind.plural)
    if guard is None or request.kind.group != GROUP or request.verb not in ("create", "update", "patch"):
        return
    user = server.authorizer.known(request.user)
    if MASTERS not in user.groups:
        guard(server.authorizer, user, request, obj, old)


def _role(authorizer: Authorizer, user: User, request: Request, obj: Object, old: Object | None) -> None:
    same = old is not None and all(obj.get(field) == old.get(field) for field in ("rules", "aggregationRule"))
    asked = Attributes("escalate", GROUP, request.kind.plural, "", namespace_of(obj), name_of(obj), version="v1")
    if same or authorizer.authorize(user, asked).allowed:
        return
    if obj.get("aggregationRule") and missing_rights(authorizer.rbac.rules_for(user, ""), FULL):
        raise forbidden(request.kind, name_of(obj), "must have cluster-admin privileges to use the aggregationRule")
    _confirm(authorizer, user, request, obj, rules_of(obj))


def _binding(authorizer: Authorizer, user: User, request: Request, obj: Object, old: Object | None) -> None:
    if old is not None and all(obj.get(field) == old.get(field) for field in ("subjects", "roleRef")):
        return
    namespace, name = role_of(obj)
    plural = "roles" if namespace else "clusterroles"
    asked = Attributes("bind", GROUP, plural, "", namespace_of(obj), name, version="v1")
    if authorizer.authorize(user, asked).allowed:
        return
    rules = authorizer.rbac.rules_of_role((namespace, name))
    if rules is None:
        kind = find(f"{plural}.{GROUP}")
        assert kind is not None
        raise not_found(kind, name)
    _confirm(authorizer, user, request, obj, rules)


GUARDS: dict[str, Callable[[Authorizer, User, Request, Object, Object | None], None]] = {
    "roles": _role,
    "clusterroles": _role,
    "rolebindings": _binding,
    "clusterrolebindings": _binding,
}


def _confirm(authorizer: Authorizer, user: User, request: Request, obj: Object, wanted: Iterable[Rule]) -> None:
    missing = missing_rights(authorizer.rbac.rules_for(user, namespace_of(obj)), wanted)
    if missing:
        words = f'user "{user.name}" (groups={quoted(user.groups)}) is attempting to grant RBAC permissions not '
        listed = "\n".join(sorted({str(rule) for rule in missing}))
        raise forbidden(request.kind, name_of(obj), f"{words}currently held:\n{listed}")


def missing_rights(own: Sequence[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """What of `wanted` no rule of `own` covers, verbs on the same thing put together."""
    found: dict[Rule, tuple[str, ...]] = {}
    for rule in wanted:
        for part in _parts(rule):
            if not any(_covers(held, part) for held in own):
                thing = part._replace(verbs=())
                found[thing] = (*found.get(thing, ()), *part.verbs)
    return [thing._replace(verbs=tuple(dict.fromkeys(verbs))) for thing, verbs in found.items()]


def _parts(rule: Rule) -> Iterator[Rule]:
    """A rule as rules of one verb on one thing."""
    for verb in rule.verbs:
        for url in rule.urls:
            yield Rule((verb,), urls=(url,))
        for group in rule.groups:
            for resource in rule.resources:
                for name in rule.names or ("",):
                    yield Rule((verb,), (group,), (resource,), (name,) if name else ())


def _covers(held: Rule, part: Rule) -> bool:
    if not {ALL, *part.verbs} & set(held.verbs):
        return False
    if part.urls:
        return any(url_matches(url, part.urls[0]) for url in held.urls)
    resource, _, subresource = part.resources[0].partition("/")
    words = {ALL, part.resources[0], f"{ALL}/{subresource}" if subresource else resource}
    return (
        bool({ALL, part.groups[0]} & set(held.groups))
        and bool(words & set(held.resources))
        and (not held.names or (bool(part.names) and part.names[0] in held.names))
    )
