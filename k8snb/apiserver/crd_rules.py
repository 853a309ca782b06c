"""apiextensions-apiserver's validation rules: x-kubernetes-validations, written in the Common Expression Language.

Interface: `has_rules(document)`, `complaints(document, obj, old)`, and `faults(rule)` for a rule that cannot be kept.
The rule not to break: a rule that cannot be run as real Kubernetes runs it is refused with its definition, by name.
Source: `apiextensions-apiserver/pkg/apiserver/schema/cel`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from k8snb.apimachinery.errors import DUPLICATE, FORBIDDEN, INVALID, REQUIRED, FieldError
from k8snb.apimachinery.schema_check import Path, path_text
from k8snb.apiserver.cel_expressions import Budget, CelError, Expression, expression

RULES = "x-kubernetes-validations"
LIST_TYPE, LIST_KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
REASONS = {"FieldValueInvalid": INVALID, "FieldValueForbidden": FORBIDDEN, "FieldValueRequired": REQUIRED,
           "FieldValueDuplicate": DUPLICATE}  # fmt: skip

Document = Mapping[str, Any]
Errors = Iterator[FieldError]
ABSENT = object()
VARIABLES = ("self", "oldSelf")


def rule(text: str) -> Expression:
    """A rule, read once. Raises CelError."""
    return expression(text, VARIABLES)


def faults(entry: Document) -> str:
    """Why a rule cannot be kept; "" where it can."""
    if entry.get("optionalOldSelf"):
        return "optionalOldSelf: not implemented by k8snb"
    try:
        for field in ("rule", "messageExpression"):
            if entry.get(field):
                rule(entry[field])
    except CelError as error:
        return str(error)
    return ""


def has_rules(document: Any) -> bool:
    """Whether there is a rule anywhere in a schema."""
    if isinstance(document, dict):
        return bool(document.get(RULES)) or any(has_rules(each) for each in document.values())
    return isinstance(document, list) and any(has_rules(each) for each in document)


def complaints(document: Document, value: Any, old: Any, path: Path = None, budget: Budget | None = None) -> Errors:
    """What the rules of a schema have against a value. `old` is None for something new; all share one budget."""
    before, budget = ABSENT if old is None else old, budget or Budget()
    for entry in document.get(RULES) or ():
        yield from _asked(entry, value, before, path, budget)
    if isinstance(value, dict):
        properties, others = document.get("properties") or {}, document.get("additionalProperties")
        for name, inner in value.items():
            below = properties.get(name, others)
            if isinstance(below, dict) and inner is not None:
                before = old.get(name) if isinstance(old, dict) else None
                yield from complaints(below, inner, before, (path, name), budget)
    elif isinstance(value, list) and isinstance(document.get("items"), dict):
        for place, each in enumerate(value):
            yield from complaints(document["items"], each, _same_entry(document, each, old), (path, place), budget)


def _asked(entry: Document, value: Any, before: Any, path: Path, budget: Budget) -> Errors:
    asked = rule(entry["rule"])
    is_new, compares = before is ABSENT, "oldSelf" in asked.variables
    if (compares and is_new) or (not compares and not is_new and before == value):
        return  # a change needs something old, and what did not change is not asked again (ratcheting)
    variables = {"self": value, **({} if is_new else {"oldSelf": before})}
    where, shown = path_text(path) + entry.get("fieldPath", ""), _shown(value)
    try:
        if asked.run(variables, budget) is True:
            return
    except CelError as error:
        yield FieldError(where, INVALID, shown, f"rule evaluation error: {error} evaluating rule: {entry['rule']}")
        return
    sort = REASONS.get(entry.get("reason", ""), INVALID)
    yield FieldError(where.lstrip("."), sort, shown, _message(entry, variables))


def _message(entry: Document, variables: Mapping[str, Any]) -> str:
    if entry.get("messageExpression"):
        try:
            return str(rule(entry["messageExpression"]).run(variables))
        except CelError:
            pass
    text: str = entry.get("message") or f"failed rule: {entry['rule']}"
    return text


def _shown(value: Any) -> Any:
    return "object" if isinstance(value, dict) else "array" if isinstance(value, list) else value


def identity(document: Document, entry: Any) -> Any:
    """What tells an entry of a list that is a map from the others."""
    if not isinstance(entry, dict):
        return entry
    return {name: entry.get(name) for name in document.get(LIST_KEYS, ()) if name in entry}


def _same_entry(document: Document, entry: Any, old: Any) -> Any:
    """The entry as it was before; lists that are no maps do not say which that is."""
    if document.get(LIST_TYPE) != "map" or not isinstance(old, list):
        return None
    return next((each for each in old if identity(document, each) == identity(document, entry)), None)
