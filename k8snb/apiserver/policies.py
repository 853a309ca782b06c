"""kube-apiserver's ValidatingAdmissionPolicy: rules in CEL that a write has to keep.

Interface: `Policies(store)`, what is bound; the plug-in `validating_policies`.
The rule not to break: whatever a policy says, looking at it ends soon (see `cel_expressions`), and one that cannot be
looked at decides by its failurePolicy.
Source: `apiserver/pkg/admission/plugin/policy/{generic,validating}`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from k8snb.apimachinery.errors import ApiError, forbidden
from k8snb.apimachinery.kinds import BY_GVK, Kind
from k8snb.apimachinery.meta import Object, name_of
from k8snb.apiserver import admission_request
from k8snb.apiserver.admission_match import matched, selects, variables_of
from k8snb.apiserver.admission_request import NAMESPACE, Admission, is_exempt
from k8snb.apiserver.audit import Audit
from k8snb.apiserver.policy_evaluation import Decision, Evaluation, evaluate
from k8snb.apiserver.policy_params import ConfigurationError, collect
from k8snb.client import Request
from k8snb.etcd import DELETE, Record, Store

GROUP = "admissionregistration.k8s.io/v1"
POLICY, BINDING = BY_GVK[GROUP, "ValidatingAdmissionPolicy"], BY_GVK[GROUP, "ValidatingAdmissionPolicyBinding"]
CODES = {"Unauthorized": 401, "Forbidden": 403, "RequestEntityTooLarge": 413, "Invalid": 422}
FAILURE_KEY = "validation.policy.admission.k8s.io/validation_failure"


class Server(admission_request.Server, Protocol):
    policies: Policies
    audit: Audit


class Bound(NamedTuple):
    policy: Object
    bindings: tuple[Object, ...]


class Policies:
    """The policies that a binding puts into force, by name."""

    def __init__(self, store: Store) -> None:
        self.bound: tuple[Bound, ...] = ()
        self._found: dict[Kind, dict[str, Object]] = {POLICY: {}, BINDING: {}}
        self._stops = [store.watch(kind.prefix, self._deliver) for kind in (POLICY, BINDING)]
        for kind in (POLICY, BINDING):
            for record in store.range(kind.prefix)[0]:
                self._deliver(record)

    def close(self) -> None:
        for stop in self._stops:
            stop()

    def _deliver(self, record: Record) -> None:
        found = self._found[POLICY if record.value["kind"] == POLICY.kind else BINDING]
        if record.sort == DELETE:
            found.pop(name_of(record.value), None)
        else:
            found[name_of(record.value)] = record.value
        self.bound = tuple(self._in_force())

    def _in_force(self) -> Iterator[Bound]:
        for name, policy in sorted(self._found[POLICY].items()):
            bindings = (binding for _, binding in sorted(self._found[BINDING].items()))
            bound = tuple(binding for binding in bindings if binding["spec"]["policyName"] == name)
            if bound:
                yield Bound(policy, bound)


def validating_policies(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """All policies are looked at; the first denial is the one that is told."""
    if not server.policies.bound or is_exempt(request):
        return obj
    look = _Look(server, request, Admission.of(server, request, obj, old))
    for bound in server.policies.bound:
        look.at(bound)
    look.conclude()
    return obj


class _Look:
    """One request held against all policies."""

    def __init__(self, server: Server, request: Request, asked: Admission) -> None:
        self._server, self._request, self._asked = server, request, asked
        self._denials: list[tuple[str, str]] = []  # message, reason
        self._failures: list[Object] = []

    def at(self, bound: Bound) -> None:
        policy = bound.policy
        shown = matched(self._server, self._asked, policy["spec"]["matchConstraints"], "resourceRules")
        if shown is None:
            return
        collected: dict[str, list[str]] = {}
        for binding in bound.bindings:
            if self._concerns(binding):
                self._apply(policy, binding, shown, collected)
        name = name_of(policy)
        self._server.audit.note(
            self._request, {f"{name}/{key}": ", ".join(values) for key, values in collected.items()}
        )

    def _concerns(self, binding: Object) -> bool:
        """A binding without rules of its own is about all that its policy is about."""
        matching = binding["spec"].get("matchResources")
        if not matching:
            return True
        if not matching.get("resourceRules") and not matching.get("excludeResourceRules"):
            return selects(self._server, self._asked, matching)
        if not matching.get("resourceRules"):
            every = {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"], "operations": ["*"]}
            matching = {**matching, "resourceRules": [every]}
        return matched(self._server, self._asked, matching, "resourceRules") is not None

    def _apply(self, policy: Object, binding: Object, shown: Admission, collected: dict[str, list[str]]) -> None:
        try:
            found = list(collect(self._server, policy, binding, self._asked))
        except ConfigurationError as error:
            if policy["spec"].get("failurePolicy") != "Ignore":
                self._deny(policy, binding if error.of_binding else None, str(error), "")
            return
        known = {**variables_of(self._server, shown), "namespaceObject": self._namespace()}
        for params in found:
            evaluation = evaluate(self._server, policy["spec"], {**known, "params": params}, shown.user)
            self._take(policy, binding, evaluation, collected)

    def _namespace(self) -> Object | None:
        asked = self._asked
        if not asked.namespace or asked.kind is NAMESPACE:
            return None
        record = self._server.store.get(NAMESPACE.key("", asked.namespace))
        return record.value if record is not None else None

    def _take(
        self, policy: Object, binding: Object, evaluation: Evaluation, collected: dict[str, list[str]]
    ) -> None:  # fmt: skip
        for decision in evaluation.denials:
            for action in binding["spec"]["validationActions"]:
                _ACTIONS[action](self, policy, binding, decision)
        for key, value in evaluation.annotations:
            if value not in collected.setdefault(key, []):
                collected[key].append(value)
        for message in evaluation.annotation_errors:
            self._deny(policy, binding, message, "")

    # what is done about a denial

    def _deny(self, policy: Object, binding: Object | None, message: str, reason: str) -> None:
        whose = f" with binding '{name_of(binding)}'" if binding is not None else ""
        words = f"ValidatingAdmissionPolicy '{name_of(policy)}'{whose} denied request: {message}"
        self._denials.append((words, reason or "Invalid"))

    def _refuse(self, policy: Object, binding: Object, decision: Decision) -> None:
        self._deny(policy, binding, decision.message, decision.reason)

    def _warn(self, policy: Object, binding: Object, decision: Decision) -> None:
        whose = f"ValidatingAdmissionPolicy '{name_of(policy)}' with binding '{name_of(binding)}'"
        self._request.warnings.append(f"Validation failed for {whose}: {decision.message}")

    def _record(self, policy: Object, binding: Object, decision: Decision) -> None:
        self._failures.append({
            "message": decision.message, "policy": name_of(policy), "binding": name_of(binding),
            "expressionIndex": decision.place, "validationActions": binding["spec"]["validationActions"],
        })  # fmt: skip

    def conclude(self) -> None:
        """Raises ApiError where a policy denies the request."""
        if self._failures:
            import json

            self._server.audit.note(self._request, {FAILURE_KEY: json.dumps(self._failures)})
        if self._denials:
            raise _denied(self._asked, *self._denials[0])


_ACTIONS: dict[str, Any] = {"Deny": _Look._refuse, "Warn": _Look._warn, "Audit": _Look._record}


def _denied(asked: Admission, message: str, reason: str) -> ApiError:
    error = forbidden(asked.asked, asked.name or "Unknown", message)
    details = {**error.details, "causes": [{"message": message}]}
    return ApiError(CODES.get(reason, 422), reason, error.message, details)
