"""kube-apiserver's evaluation of one policy: its conditions, variables, validations and audit annotations.

Interface: `evaluate(server, spec, known, user) -> Evaluation`.
The rule not to break: all expressions of one policy share one budget; a variable is worked out when it is spoken of.
Source: `apiserver/pkg/admission/plugin/policy/validating/validator.go`, `plugin/cel/composition.go`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from k8snb.apimachinery.meta import Object
from k8snb.apiserver.admission_match import Decider, conditions, run
from k8snb.apiserver.admission_request import Server
from k8snb.apiserver.cel_expressions import Budget, CelError
from k8snb.apiserver.cel_names import of_policy
from k8snb.client import User

LONGEST_MESSAGE = 5 * 1024
LONGEST_ANNOTATION = 10 * 1024
_SPOKEN_OF = re.compile(r"\bvariables\s*\.\s*([A-Za-z_]\w*)")
Known = Mapping[str, Any]


class Decision(NamedTuple):
    """A validation that does not hold, or has no value. `place` is its index."""

    place: int
    message: str
    reason: str


@dataclass
class Evaluation:
    denials: list[Decision] = field(default_factory=list)
    annotations: list[tuple[str, str]] = field(default_factory=list)
    annotation_errors: list[str] = field(default_factory=list)


def evaluate(server: Server, spec: Object, known: Known, user: User) -> Evaluation:
    """What a policy has against a request. Nothing, where its conditions do not hold."""
    one, found = _One(server, spec, known, user), Evaluation()
    strict = spec.get("failurePolicy") != "Ignore"
    try:
        if not one.is_concerned():
            return found
    except CelError as error:
        found.denials += [Decision(0, str(error), "")] if strict else []
        return found
    for index, validation in enumerate(spec.get("validations") or ()):
        found.denials += one.judge(index, validation, strict=strict)
    for annotation in spec.get("auditAnnotations") or ():
        _annotate(one, annotation, found, strict=strict)
    return found


def _annotate(one: _One, annotation: Object, found: Evaluation, *, strict: bool) -> None:
    text = annotation["valueExpression"]
    try:
        value = one.worth(text, authorizer=False)
    except CelError as error:
        found.annotation_errors += [f"expression '{text}' resulted in error: {error}"] if strict else []
        return
    if isinstance(value, str):
        if value.strip():
            found.annotations.append((annotation["key"], value.strip()[:LONGEST_ANNOTATION]))
    elif value is not None:
        words = f"valueExpression '{text}' resulted in unsupported return type: {_type(value)}."
        found.annotation_errors.append(f"{words} Return type must be either string or null.")


def _type(value: Any) -> str:
    known = {bool: "bool", int: "int", float: "double", list: "list", dict: "map", bytes: "bytes"}
    return known.get(type(value), type(value).__name__)


class _One:
    """One policy and one request."""

    def __init__(self, server: Server, spec: Object, known: Known, user: User) -> None:
        self._spec = spec
        self._known = known
        self._decide = Decider(server.authorizer, user)
        self._budget = Budget()
        self._variables: dict[str, Any] = {}
        self._failed: dict[str, str] = {}

    def is_concerned(self) -> bool:
        """Whether the matchConditions hold. Raises CelError."""
        wanted = self._spec.get("matchConditions") or ()
        return conditions(wanted, self._known, self._decide, self._budget, of_policy(self._spec, variables=False))

    def judge(self, index: int, validation: Object, *, strict: bool) -> Iterator[Decision]:
        text = validation["expression"]
        try:
            if self.worth(text) is True:
                return
        except CelError as error:
            if strict:
                yield Decision(index, f"expression '{text.strip()}' resulted in error: {error}", "")
            return
        yield Decision(index, self._message(validation), validation.get("reason") or "Invalid")

    def _message(self, validation: Object) -> str:
        if validation.get("messageExpression"):
            try:
                made = self.worth(validation["messageExpression"], authorizer=False)
            except CelError:
                made = ""
            if isinstance(made, str) and 0 < len(made.strip()) <= LONGEST_MESSAGE and "\n" not in made.strip():
                return made.strip()
        written = (validation.get("message") or "").strip()
        return written or f"failed expression: {validation['expression'].strip()}"

    def worth(self, text: str, *, authorizer: bool = True) -> Any:
        """What an expression is worth. Raises CelError."""
        for name in _SPOKEN_OF.findall(text):
            self._need(name)
        known = {**self._known, "variables": self._variables}
        return run(text, known, self._decide, self._budget, of_policy(self._spec, authorizer=authorizer))

    def _need(self, name: str) -> None:
        """Work a variable out, with those that it is made of. Raises CelError."""
        if name in self._variables:
            return
        entries = self._spec.get("variables") or ()
        entry = next((each for each in entries if each["name"] == name), None)
        if entry is None:
            return
        if name not in self._failed:
            self._failed[name] = "it depends on itself"
            try:
                self._variables[name] = self.worth(entry["expression"])
                return
            except CelError as error:
                self._failed[name] = str(error)
        raise CelError(f'composited variable "{name}" fails to evaluate: {self._failed[name]}')
