"""apiextensions-apiserver's validation rules: x-kubernetes-validations, written in the Common Expression Language.

Interface: `has_rules(document)`, `complaints(document, obj, old)`, and `faults(rule)` for a rule that cannot be kept.
The rule not to break: a rule that cannot be run as real Kubernetes runs it is refused with its definition, by name.
Source: `apiextensions-apiserver/pkg/apiserver/schema/cel`. A library of its own (`cel`) reads and runs the language; of
Kubernetes' additions to it the string, list, math and set functions are there, quantities, addresses, URLs and
optional values are not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from k8snb.apimachinery.errors import DUPLICATE, FORBIDDEN, INVALID, REQUIRED, FieldError
from k8snb.apimachinery.schema_check import Path, path_text

RULES = "x-kubernetes-validations"
LIST_TYPE, LIST_KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
REASONS = {"FieldValueInvalid": INVALID, "FieldValueForbidden": FORBIDDEN, "FieldValueRequired": REQUIRED,
           "FieldValueDuplicate": DUPLICATE}  # fmt: skip

Document = Mapping[str, Any]
Errors = Iterator[FieldError]
ABSENT = object()
_CORE = frozenset((
    "bytes", "contains", "double", "duration", "endsWith", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
    "getFullYear", "getHours", "getMilliseconds", "getMinutes", "getMonth", "getSeconds", "int", "matches", "size",
    "startsWith", "string", "timestamp", "type", "uint", "dyn",
))  # fmt: skip
_OWN: Mapping[str, Callable[..., Any]] = {
    "find": lambda text, pattern: found[0] if (found := re.search(pattern, text)) else "",
    "findAll": lambda text, pattern: [found[0] for found in re.finditer(pattern, text)],
    "isSorted": lambda items: list(items) == sorted(items),
    "indexOf": lambda items, wanted: items.find(wanted) if isinstance(items, str) else _place(items, wanted),
    "sum": sum,
}
_WORD = re.compile(r"[A-Za-z]\w*")
_ESCAPED = re.compile(r"__(\w+?)__")


class Rule:
    """One expression. Raises ValueError where it cannot be read, or asks for what is not there."""

    def __init__(self, text: str) -> None:
        import cel
        from cel.stdlib import STDLIB_FUNCTIONS

        self._program = cel.compile(text)
        self._context = cel.Context
        self.variables = frozenset(self._program.variables())
        known, asked = {**STDLIB_FUNCTIONS, **_OWN}, self._program.functions()
        self._functions = {name: known[name] for name in asked if name in known}
        missing = [name for name in asked if _WORD.match(name) and name not in known and name not in _CORE]
        if missing:
            raise ValueError(f"{', '.join(missing)}: not implemented by k8snb")
        if _ESCAPED.search(text):
            raise ValueError(f"{_ESCAPED.search(text)[0]}: escaped field names: not implemented by k8snb")  # type: ignore[index]

    @property
    def compares(self) -> bool:
        """Whether it is about a change: such a rule is asked only where there is something old."""
        return "oldSelf" in self.variables

    def run(self, variables: Mapping[str, Any]) -> Any:
        """What the expression is worth. Raises ValueError where it has no value."""
        context = self._context()
        for name, function in self._functions.items():
            context.add_function(name, function)
        for name, value in variables.items():
            context.add_variable(name, value)
        try:
            return self._program.execute(context)
        except (ArithmeticError, LookupError, RuntimeError, TypeError) as error:
            raise ValueError(f"{error}") from None


@lru_cache(maxsize=512)
def rule(text: str) -> Rule:
    """A rule, read once. Raises ValueError."""
    return Rule(text)


def faults(entry: Document) -> str:
    """Why a rule cannot be kept; "" where it can."""
    if entry.get("optionalOldSelf"):
        return "optionalOldSelf: not implemented by k8snb"
    try:
        for field in ("rule", "messageExpression"):
            if entry.get(field):
                rule(entry[field])
    except ImportError:
        return f"{RULES}: not implemented by k8snb without the package common-expression-language: pip install it"
    except ValueError as error:
        return str(error)
    return ""


def has_rules(document: Any) -> bool:
    """Whether there is a rule anywhere in a schema."""
    if isinstance(document, dict):
        return bool(document.get(RULES)) or any(has_rules(each) for each in document.values())
    return isinstance(document, list) and any(has_rules(each) for each in document)


def complaints(document: Document, value: Any, old: Any, path: Path = None) -> Errors:
    """What the rules of a schema have against a value. `old` is None for something new."""
    before = ABSENT if old is None else old
    for entry in document.get(RULES) or ():
        yield from _asked(entry, value, before, path)
    if isinstance(value, dict):
        properties, others = document.get("properties") or {}, document.get("additionalProperties")
        for name, inner in value.items():
            below = properties.get(name, others)
            if isinstance(below, dict) and inner is not None:
                yield from complaints(below, inner, old.get(name) if isinstance(old, dict) else None, (path, name))
    elif isinstance(value, list) and isinstance(document.get("items"), dict):
        for place, each in enumerate(value):
            yield from complaints(document["items"], each, _same_entry(document, each, old), (path, place))


def _asked(entry: Document, value: Any, before: Any, path: Path) -> Errors:
    asked = rule(entry["rule"])
    is_new = before is ABSENT
    if (asked.compares and is_new) or (not asked.compares and not is_new and before == value):
        return  # a change needs something old, and what did not change is not asked again (ratcheting)
    variables = {"self": value, **({} if is_new else {"oldSelf": before})}
    where, shown = path_text(path) + entry.get("fieldPath", ""), _shown(value)
    try:
        if asked.run(variables) is True:
            return
    except ValueError as error:
        yield FieldError(where, INVALID, shown, f"rule evaluation error: {error} evaluating rule: {entry['rule']}")
        return
    sort = REASONS.get(entry.get("reason", ""), INVALID)
    yield FieldError(where.lstrip("."), sort, shown, _message(entry, variables))


def _message(entry: Document, variables: Mapping[str, Any]) -> str:
    if entry.get("messageExpression"):
        try:
            return str(rule(entry["messageExpression"]).run(variables))
        except ValueError:
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


def _place(items: Sequence[Any], wanted: Any) -> int:
    return next((place for place, each in enumerate(items) if each == wanted), -1)
