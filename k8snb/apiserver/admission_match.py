"""kube-apiserver's matching: which requests a policy or a webhook is about.

Interface: `matched(server, asked, rules, …)` gives the request in the version that a rule names, None where no rule
does; `conditions(…)` for matchConditions; `Decider` is what expressions know as `authorizer`.
The rule not to break: whether something matches is decided by the request and the store alone.
Source: `apiserver/pkg/admission/plugin/webhook/{predicates,generic,matchconditions}`, `plugin/policy/matching`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.selectors import from_label_selector
from k8snb.apiserver.admission_request import NAMESPACE, Admission, Server, equivalents, labels, namespace_labels
from k8snb.apiserver.authorization import Authorizer
from k8snb.apiserver.cel_expressions import Budget, CelError, expression
from k8snb.apiserver.cel_library import marked, named
from k8snb.apiserver.cel_names import ABOUT_RIGHTS, VARIABLES
from k8snb.apiserver.rbac import Attributes
from k8snb.client import User

ALL, EXACT = "*", "Exact"


def rule_matches(rule: Object, asked: Admission) -> bool:
    """A rule with operations. Source: `plugin/webhook/predicates/rules/rules.go`."""
    return (
        _has(rule["operations"], asked.operation)
        and _has(rule["apiGroups"], asked.kind.group)
        and _has(rule["apiVersions"], asked.kind.version)
        and _scope(rule.get("scope") or ALL, asked)
        and any(_resource(word, asked) for word in rule["resources"])
        and (not rule.get("resourceNames") or asked.name in rule["resourceNames"])
    )


def _has(words: Sequence[str], wanted: str) -> bool:
    return ALL in words or wanted in words


def _scope(scope: str, asked: Admission) -> bool:
    namespaced = bool(asked.namespace) and asked.kind is not NAMESPACE
    return scope == ALL or (scope == "Namespaced") == namespaced


def _resource(word: str, asked: Admission) -> bool:
    resource, _, subresource = word.partition("/")
    return resource in (ALL, asked.kind.plural) and subresource in (ALL, asked.subresource)


def matched(server: Server, asked: Admission, matching: Object, rules: str = "rules") -> Admission | None:
    """The request as the first rule that is about it names it. Selectors and excluded resources count too."""
    if any(rule_matches(rule, asked) for rule in matching.get("excludeResourceRules") or ()):
        return None
    if not selects(server, asked, matching):
        return None
    wanted = matching.get(rules) or ()
    if any(rule_matches(rule, asked) for rule in wanted):
        return asked
    if matching.get("matchPolicy") == EXACT:
        return None
    for kind in equivalents(server, asked.kind):
        if any(rule_matches(rule, replace(asked, kind=kind)) for rule in wanted):
            return asked.as_kind(kind)
    return None


def selects(server: Server, asked: Admission, matching: Object) -> bool:
    """Whether the namespaceSelector and the objectSelector have nothing against a request."""
    namespaces, objects = matching.get("namespaceSelector"), matching.get("objectSelector")
    if namespaces:
        found = namespace_labels(server, asked)
        if found is not None and not from_label_selector(namespaces).matches(found):
            return False
    if not objects:
        return True
    selector = from_label_selector(objects)
    return any(found is not None and selector.matches(found) for found in (labels(asked.obj), labels(asked.old)))


# matchConditions


def variables_of(server: Server, asked: Admission) -> dict[str, Any]:
    """What expressions know of a request."""
    return {
        "object": asked.obj,
        "oldObject": asked.old,
        "request": asked.described(),
        "authorizer": marked("authorizer", requestResource=marked("authorizer", **_attributes(asked))),
    }


def conditions(
    entries: Iterable[Object], known: Mapping[str, Any], decide: Decider, budget: Budget,
    names: tuple[str, ...] = VARIABLES,
) -> bool:  # fmt: skip
    """Whether all conditions hold. One that does not decides even where another has no value; else raises CelError."""
    problems = []
    for entry in entries:
        try:
            if run(entry["expression"], known, decide, budget, names) is not True:
                return False
        except CelError as error:
            problems.append(f"expression '{entry['expression'].strip()}' resulted in error: {error}")
    if problems:
        raise CelError(problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]")
    return True


def run(text: str, known: Mapping[str, Any], decide: Decider, budget: Budget, names: tuple[str, ...]) -> Any:
    """What an expression is worth. Raises CelError."""
    return expression(text, names, ABOUT_RIGHTS).run(known, budget, decide.functions)


def _attributes(asked: Admission) -> Object:
    return {"group": asked.kind.group, "resource": asked.kind.plural, "subresource": asked.subresource,
            "namespace": asked.namespace, "name": asked.name}  # fmt: skip


class Decider:
    """Questions about rights, as `authorizer.group('apps').resource('deployments').check('create').allowed()`.

    Source: `apiserver/pkg/cel/library/authz.go`.
    """

    def __init__(self, authorizer: Authorizer, user: User) -> None:
        self._authorizer = authorizer
        self._user = user
        self.functions: Mapping[str, Callable[..., Any]] = {
            **{part: self._with(part) for part in ABOUT_RIGHTS[:5]},
            "path": lambda value, path: marked("path check", path=path, user=value.get("user")),
            "serviceAccount": self._service_account,
            "check": self._check,
            "allowed": lambda value: value["allowed"],
            "reason": lambda value: value["reason"],
            "errored": lambda value: False,
            "error": lambda value: "",
        }

    @staticmethod
    def _with(part: str) -> Callable[[Any, str], Object]:
        return lambda value, word: {**value, part: word}

    @staticmethod
    def _service_account(value: Object, namespace: str, name: str) -> Object:
        return {**value, "user": f"system:serviceaccount:{namespace}:{name}"}

    def _check(self, value: Any, verb: str) -> Object:
        if named(value) not in ("authorizer", "path check"):
            raise ValueError("no such overload")
        user = self._authorizer.known(User(value["user"])) if value.get("user") else self._user
        if named(value) == "path check":
            decision = self._authorizer.authorize(user, Attributes(verb, path=value["path"]))
        else:
            parts = [value.get(part, "") for part in ABOUT_RIGHTS[:5]]
            decision = self._authorizer.authorize(user, Attributes(verb, *parts))
        return marked("decision", allowed=decision.allowed, reason=decision.reason)
