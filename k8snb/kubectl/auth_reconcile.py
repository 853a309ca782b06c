"""kubectl auth reconcile: roles and bindings that grant at least what manifests say.

Interface: `reconcile(session, args)`.
The rule not to break: nothing that is granted is taken away, unless that is asked for.
Source: `component-helpers/auth/rbac/reconciliation`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from k8snb.apimachinery.meta import Object, name_of, with_path
from k8snb.kubectl import formats
from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import Output
from k8snb.kubectl.results import Results
from k8snb.kubectl.session import CLIENT, Session, dry_run, options
from k8snb.kubectl.sources import Item, documents

_FIELDS = {"Role": "rules", "ClusterRole": "rules", "RoleBinding": "subjects", "ClusterRoleBinding": "subjects"}
_EXTRA = {"rules": "remove-extra-permissions", "subjects": "remove-extra-subjects"}
_RULE = ("verbs", "apiGroups", "resources", "resourceNames", "nonResourceURLs")
_GO = {"verbs": "Verbs", "apiGroups": "APIGroups", "resources": "Resources", "resourceNames": "ResourceNames",
       "nonResourceURLs": "NonResourceURLs", "kind": "Kind", "apiGroup": "APIGroup", "name": "Name",
       "namespace": "Namespace"}  # fmt: skip


def reconcile(session: Session, args: Arguments) -> Output:
    items, errors = documents(session, args)
    results = Results(session, args)
    results.errors = errors
    notes: list[str] = []
    for item in items:
        if item.kind.kind not in _FIELDS:
            session.warnings.append(f"{formats.resource_name(item.object)} skipped: no role and no binding")
            continue
        obj, said = _reconciled(session, args, item)
        results.add(obj, "reconciled")
        notes += said
    output = results.output()
    if not output.format:
        output.text += "".join(f"\t{line}\n" for line in notes)
    return output


def _reconciled(session: Session, args: Arguments, item: Item) -> tuple[Object, list[str]]:
    """The object as it is then, and what was missing or too much in it."""
    field, sends = _FIELDS[item.kind.kind], dry_run(args) != CLIENT
    present = session.client.find(item.kind, name_of(item.object), item.namespace)
    have, want = (present or {}).get(field) or [], item.object.get(field) or []
    difference = _uncovered if field == "rules" else _absent
    missing, extra = difference(want, have), difference(have, want)
    removes = args.on(_EXTRA[field])
    notes = _notes(f"missing {field} added:", missing) + (_notes(f"extra {field} removed:", extra) if removes else [])
    if present is None:
        made = item.object
        if sends:
            made = session.client.create(item.kind, item.object, item.namespace, **options(args))
        return made, ["reconciliation required create", *notes]
    if not notes:
        return present, []
    wanted = with_path(present, field, want if removes else [*have, *missing])
    if sends:
        wanted = session.client.update(item.kind, wanted, **options(args))
    return wanted, ["reconciliation required update", *notes]


def _notes(heading: str, entries: Sequence[Object]) -> list[str]:
    return [heading, *(f"\t{_go(entry)}" for entry in entries)] if entries else []


def _absent(entries: Sequence[Object], among: Sequence[Object]) -> list[Object]:
    return [entry for entry in entries if entry not in among]


def _uncovered(rules: Sequence[Object], among: Sequence[Object]) -> list[Object]:
    """What the rules allow and no rule among the others does, with the verbs of one thing together."""
    found: dict[tuple[str, ...], list[str]] = {}
    for rule in rules:
        for verb, *thing in _atoms(rule):
            if not any(_allows(other, (verb, *thing)) for other in among):
                verbs = found.setdefault(tuple(thing), [])
                verbs += [verb] if verb not in verbs else []
    return [_rule(verbs, *thing) for thing, verbs in found.items()]


def _atoms(rule: Object) -> Iterator[tuple[str, ...]]:
    """A rule as single permissions: verb, group, resource, name, URL."""
    for verb in rule.get("verbs") or ():
        names = rule.get("resourceNames") or [""]
        for group, resource, name in product(rule.get("apiGroups") or (), rule.get("resources") or (), names):
            yield verb, group, resource, name, ""
        for url in rule.get("nonResourceURLs") or ():
            yield verb, "", "", "", url


def _allows(rule: Object, atom: tuple[str, ...]) -> bool:
    verb, group, resource, name, url = atom
    if not _has(rule, "verbs", verb):
        return False
    if url:
        return _has(rule, "nonResourceURLs", url)
    named = not rule.get("resourceNames") or name in rule["resourceNames"]
    return _has(rule, "apiGroups", group) and _has(rule, "resources", resource) and named


def _has(rule: Object, field: str, word: str) -> bool:
    return bool({word, "*"} & set(rule.get(field) or ()))


def _rule(verbs: list[str], group: str, resource: str, name: str, url: str) -> Object:
    if url:
        return {"verbs": verbs, "nonResourceURLs": [url]}
    rule: Object = {"verbs": verbs, "apiGroups": [group], "resources": [resource]}
    return {**rule, "resourceNames": [name]} if name else rule


def _go(entry: Object) -> str:
    """A rule or subject as kubectl prints it."""
    fields = _RULE if "verbs" in entry else ("kind", "apiGroup", "name", "namespace")
    return "{" + " ".join(f"{_GO[field]}:{_go_value(entry.get(field), field in _RULE)}" for field in fields) + "}"


def _go_value(value: Any, is_list: bool) -> str:
    return f"[{' '.join(value or ())}]" if is_list else str(value or "")
