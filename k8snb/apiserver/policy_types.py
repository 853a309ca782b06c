"""kube-controller-manager's validatingadmissionpolicy-status: fields that a policy's expressions speak of and that the
kinds it is about do not have.

Interface: `status(policy, kinds)`: the whole status of a ValidatingAdmissionPolicy.
The rule not to break: a warning is no refusal: the same policy may be right for a kind that is not served yet.
Source: `apiserver/pkg/admission/plugin/policy/validating/typechecking.go`. Upstream works it out in a controller, and
checks the types of all that an expression does; here it is checked that the fields are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from k8snb.apimachinery.custom_types import type_of
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.schema import Field
from k8snb.apiserver.cel_syntax import LOOPS, Text, Token

MOST_TYPES = 10


def status(policy: Object, kinds: Iterable[Kind]) -> Object:
    spec, known = policy["spec"], list(kinds)
    about = list(_about(spec, known))[:MOST_TYPES]
    warnings = []
    for reference, text in _expressions(spec):
        found = [f"{kind.api_version}, Kind={kind.kind}: {issues}" for kind in about if (issues := check(text, kind))]
        if found:
            warnings.append({"fieldRef": reference, "warning": "\n".join(found)})
    checked = {"expressionWarnings": warnings} if warnings else {}
    generation = policy["metadata"].get("generation", 1)
    return {**(policy.get("status") or {}), "observedGeneration": generation, "typeChecking": checked}


def _about(spec: Object, kinds: list[Kind]) -> Iterator[Kind]:
    """The kinds that the rules name one by one."""
    seen: set[tuple[str, str]] = set()
    for rule in (spec.get("matchConstraints") or {}).get("resourceRules") or ():
        for kind in kinds:
            named = kind.group in rule["apiGroups"] and kind.version in rule["apiVersions"]
            if named and kind.plural in rule["resources"] and (kind.api_version, kind.kind) not in seen:
                seen.add((kind.api_version, kind.kind))
                yield kind


def _expressions(spec: Object) -> Iterator[tuple[str, str]]:
    for index, variable in enumerate(spec.get("variables") or ()):
        yield f"spec.variables[{index}].expression", variable["expression"]
    for index, validation in enumerate(spec.get("validations") or ()):
        yield f"spec.validations[{index}].expression", validation["expression"]
        if validation.get("messageExpression"):
            yield f"spec.validations[{index}].messageExpression", validation["messageExpression"]


def check(source: str, kind: Kind) -> str:
    """What is said of objects of a kind that cannot be so; "" where there is nothing."""
    known = type_of(kind)
    if known is None:
        return ""
    try:
        text = Text(source)
    except ValueError:
        return ""
    walk = _Walk(text.tokens, {"object": known.as_field, "oldObject": known.as_field})
    return "\n".join(_issue(source, *each) for each in walk.undefined())


def _issue(source: str, place: int, name: str) -> str:
    picture = f"\n | {source}\n | {'.' * place}^" if "\n" not in source else ""
    return f"ERROR: <input>:1:{place + 1}: undefined field '{name}'{picture}"


class _Walk:
    """The chains of fields in an expression, `object.spec.replicas`, followed through the types."""

    def __init__(self, tokens: list[Token], roots: dict[str, Field]) -> None:
        self._tokens = tokens
        self._roots = roots  # variables whose type is known; loops add theirs

    def undefined(self) -> Iterator[tuple[int, str]]:
        """Where a field is asked for that there is not, and its name."""
        for at, token in enumerate(self._tokens):
            if token.sort == "name" and token.text in self._roots and not self._follows_dot(at):
                found = self._follow(at + 1, self._roots[token.text])
                if found is not None:
                    yield found

    def _follows_dot(self, at: int) -> bool:
        return at > 0 and self._tokens[at - 1].text == "."

    def _text(self, at: int) -> str:
        return self._tokens[at].text if at < len(self._tokens) else ""

    def _follow(self, at: int, field: Field | None) -> tuple[int, str] | None:
        while field is not None:
            if self._text(at) == "." and self._text(at + 2) == "(":
                self._loop(at, field)
                return None
            if self._text(at) == ".":
                name = self._text(at + 1).strip("_") if self._text(at + 1).startswith("__") else self._text(at + 1)
                below = _below(field, name)
                if below is None:
                    return (self._tokens[at].start, name) if _is_closed(field) else None
                at, field = at + 2, below
            elif self._text(at) == "[" and field.sort == "list":
                at, field = self._past(at), field.entry
            else:
                return None
        return None

    def _loop(self, at: int, field: Field) -> None:
        """`.all(c, …)` over a list: from here on `c` is one of its entries."""
        if self._text(at + 1) in LOOPS and self._text(at + 4) == "," and field.sort == "list" and field.entry:
            self._roots[self._text(at + 3)] = field.entry

    def _past(self, at: int) -> int:
        depth = 0
        while at < len(self._tokens):
            depth += (self._text(at) == "[") - (self._text(at) == "]")
            at += 1
            if depth == 0:
                break
        return at


def _below(field: Field, name: str) -> Field | None:
    return field.type.fields.get(name) if field.type is not None and field.sort == "struct" else None


def _is_closed(field: Field) -> bool:
    """Whether it is known which fields there are."""
    return field.type is not None and field.sort == "struct" and bool(field.type.fields)
