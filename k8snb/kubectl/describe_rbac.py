"""kubectl describe for roles and for those who have them.

Interface: `describe_role` (Role and ClusterRole) and `describe_binding` (RoleBinding and ClusterRoleBinding).
The rule not to break: what stands in several rules about the same thing is one row; nothing is added by wildcards.
Source: `ClusterRoleDescriber`, `RoleBindingDescriber` in `kubectl/pkg/describe/describe.go`, and `CompactRules` in
`kubectl/pkg/util/rbac`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from k8snb.apimachinery.meta import Object
from k8snb.kubectl.describe_page import Page, meta_lines
from k8snb.kubectl.session import Session


class _Thing(NamedTuple):
    """What verbs are allowed on: a resource, one object of it where `name` is not None, or one verb on a URL."""

    group: str = ""
    resource: str = ""
    name: str | None = None
    url: str = ""
    verb: str = ""


def describe_role(session: Session, obj: Object, page: Page) -> None:
    meta_lines(page, obj, namespaced=False)
    page.line(0, "PolicyRule:")
    rows = [_row(thing, verbs) for thing, verbs in sorted(_compact(obj).items(), key=_as_written)]
    page.table(1, ("Resources", "Non-Resource URLs", "Resource Names", "Verbs"), rows)


def describe_binding(session: Session, obj: Object, page: Page) -> None:
    meta_lines(page, obj, namespaced=False)
    page.line(0, "Role:")
    page.line(1, f"Kind:\t{obj['roleRef']['kind']}")
    page.line(1, f"Name:\t{obj['roleRef']['name']}")
    page.line(0, "Subjects:")
    rows = [(each["kind"], each["name"], each.get("namespace", "")) for each in obj.get("subjects") or ()]
    page.table(1, ("Kind", "Name", "Namespace"), rows)


def _compact(role: Object) -> dict[_Thing, list[str]]:
    """The verbs that are allowed on each thing."""
    found: dict[_Thing, list[str]] = {}
    for rule in role.get("rules") or ():
        for thing in _things(rule):
            verbs = found.setdefault(thing, [])
            verbs += [verb for verb in ([thing.verb] if thing.url else rule["verbs"]) if verb not in verbs]
    return found


def _things(rule: Object) -> Iterator[_Thing]:
    """The things of one rule; of URLs kubectl makes a row for each verb."""
    for group in rule.get("apiGroups") or ():
        for resource in rule.get("resources") or ():
            yield from (_Thing(group, resource, name) for name in rule.get("resourceNames") or (None,))
    yield from (_Thing(url=url, verb=verb) for url in rule.get("nonResourceURLs") or () for verb in rule["verbs"])


def _as_written(entry: tuple[_Thing, list[str]]) -> tuple[str, ...]:
    """The order of kubectl, which sorts rules by what they look like when Go prints them."""
    thing, verbs = entry
    names = [] if thing.name is None else [thing.name]
    places = ([], [], [thing.url]) if thing.url else ([thing.group], [thing.resource], [])
    groups, resources, urls = (f"[{' '.join(each)}]," for each in places)
    return f"{_listed(verbs)},", groups, resources, f"{_listed(names)},", urls


def _row(thing: _Thing, verbs: list[str]) -> tuple[str, ...]:
    resource, slash, below = thing.resource.partition("/")
    shown = f"{resource}.{thing.group}{slash}{below}" if thing.group else thing.resource
    names = [] if thing.name is None else [thing.name]
    return shown, _listed([thing.url] if thing.url else []), _listed(names), _listed(verbs)


def _listed(words: list[str]) -> str:
    return f"[{' '.join(words)}]"
