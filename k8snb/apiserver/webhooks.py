"""kube-apiserver's MutatingAdmissionWebhook and ValidatingAdmissionWebhook: others are asked about a request.

Interface: `Hooks(store)`, what is configured; `mutate(server, request, obj, old, again)` and the plug-in
`validating_webhooks`.
The rule not to break: nobody is called from here. What has to be asked leaves as an `Outcall`; the request comes back
when the answers are there, and everything is decided anew.
Source: `apiserver/pkg/admission/plugin/webhook/{mutating,validating,generic}`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from k8snb.apimachinery import json_patch, schema
from k8snb.apimachinery.defaults import apply_defaults
from k8snb.apimachinery.errors import ApiError, forbidden, internal
from k8snb.apimachinery.kinds import BY_GVK, Kind
from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of, with_metadata, with_path
from k8snb.apiserver import admission_match, admission_request, webhook_calls
from k8snb.apiserver.admission_match import Decider
from k8snb.apiserver.admission_request import Admission, is_exempt
from k8snb.apiserver.audit import Audit
from k8snb.apiserver.cel_expressions import Budget, CelError
from k8snb.apiserver.conversion import seen, stored
from k8snb.apiserver.outcalls import Outcalls, Question
from k8snb.apiserver.subresources import scale_paths
from k8snb.apiserver.webhook_calls import CallFailure, Denied, Hook, Verdict
from k8snb.client import Request
from k8snb.etcd import DELETE, Record, Store

MUTATING = BY_GVK["admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"]
VALIDATING = BY_GVK["admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"]


class Server(webhook_calls.Server, admission_request.Server, Protocol):
    outcalls: Outcalls
    hooks: Hooks
    audit: Audit


Again = Callable[[Object], Object]


class Hooks:
    """The webhooks that are configured, in the order in which they are called: by their configurations' names."""

    def __init__(self, store: Store) -> None:
        self.mutating: tuple[Hook, ...] = ()
        self.validating: tuple[Hook, ...] = ()
        self._stops = [store.watch(kind.prefix, self._deliver) for kind in (MUTATING, VALIDATING)]
        self._configurations: dict[tuple[str, str], Object] = {}
        for kind in (MUTATING, VALIDATING):
            for record in store.range(kind.prefix)[0]:
                self._deliver(record)

    def close(self) -> None:
        for stop in self._stops:
            stop()

    def _deliver(self, record: Record) -> None:
        key = record.value["kind"], name_of(record.value)
        if record.sort == DELETE:
            self._configurations.pop(key, None)
        else:
            self._configurations[key] = record.value
        self.mutating = tuple(self._of(MUTATING))
        self.validating = tuple(self._of(VALIDATING))

    def _of(self, kind: Kind) -> Iterator[Hook]:
        for (sort, name), found in sorted(self._configurations.items(), key=lambda pair: pair[0]):
            if sort == kind.kind:
                yield from (Hook(name, entry, kind is MUTATING) for entry in found.get("webhooks") or ())


def _called(server: Server, hook: Hook, asked: Admission) -> Admission | None:
    """The request as a webhook is to see it; None for one that it is not about. Raises Forbidden."""
    entry = hook.entry
    found = admission_match.matched(server, asked, entry)
    if found is None or not entry.get("matchConditions"):
        return found
    known, decide = admission_match.variables_of(server, found), Decider(server.authorizer, found.user)
    try:
        return found if admission_match.conditions(entry["matchConditions"], known, decide, Budget()) else None
    except CelError as error:
        if hook.ignores_failures:
            return None
        raise forbidden(asked.kind, asked.name, str(error)) from None


# validating


def validating_webhooks(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """All are asked at the same time; the first that objects decides."""
    if not server.hooks.validating or is_exempt(request):
        return obj
    asked = Admission.of(server, request, obj, old)
    called = [(hook, shown) for hook in server.hooks.validating if (shown := _called(server, hook, asked))]
    questions = [webhook_calls.question(server, hook, shown) for hook, shown in called]
    answers = server.outcalls.answers(questions)
    verdicts = [_verdict(server, request, hook, answer) for (hook, _), answer in zip(called, answers, strict=True)]
    for problem in verdicts:
        if isinstance(problem, ApiError):
            raise problem
    return obj


def _verdict(server: Server, request: Request, hook: Hook, answer: Any) -> Verdict | ApiError:
    """What a webhook said; None of its failures stops anybody where its failurePolicy is Ignore."""
    try:
        found = webhook_calls.verdict(hook, answer)
    except Denied as denied:
        request.warnings.extend(denied.warnings)
        return denied.error
    except CallFailure as error:
        if not hook.ignores_failures:
            return webhook_calls.failed(error)
        kind = "mutation" if hook.mutates else "validating"
        server.audit.note(request, {f"failed-open.{kind}.webhook.admission.k8s.io/{hook.name}": str(error)})
        return Verdict([])
    request.warnings.extend(found.warnings)
    server.audit.note(request, dict(found.annotations))
    return found


# mutating


def mutate(server: Server, request: Request, obj: Object, old: Object | None, again: Again) -> Object:
    """One after the other, each sees what those before it have made of the object. Where one has changed it, the
    built-in plug-ins (`again`) run once more, and then those webhooks that want to see changes made after them.
    """
    if not server.hooks.mutating or is_exempt(request):
        return obj
    passage = _Passage(server, request, old)
    first = passage.round(obj)
    if not passage.changed:
        return first
    rerun = again(first)
    if rerun != first:
        passage.due |= passage.reinvocable
    return passage.round(rerun, again=True)


class _Passage:
    """One request on its way through the mutating webhooks."""

    def __init__(self, server: Server, request: Request, old: Object | None) -> None:
        self._server, self._request, self._old = server, request, old
        self.changed = False
        self.reinvocable: set[tuple[str, str]] = set()  # webhooks that were called and want to see later changes
        self.due: set[tuple[str, str]] = set()  # those of them after which something was changed

    def round(self, obj: Object, *, again: bool = False) -> Object:
        for hook in self._server.hooks.mutating:
            asked = Admission.of(self._server, self._request, obj, self._old)
            shown = _called(self._server, hook, asked)
            if shown is None or (again and hook.identity not in self.due):
                continue
            changed = self._call(hook, asked, shown, obj)
            if changed is not None and changed != obj:
                obj, self.changed = changed, True
                self.due |= self.reinvocable
            if hook.entry.get("reinvocationPolicy") == "IfNeeded":
                self.reinvocable.add(hook.identity)
        return obj

    def _call(self, hook: Hook, asked: Admission, shown: Admission, obj: Object) -> Object | None:
        """The object as the webhook changed it, None where it did not. Raises Outcall or ApiError."""
        answer = self._server.outcalls.answer(self._question(hook, shown))
        found = _verdict(self._server, self._request, hook, answer)
        if isinstance(found, ApiError):
            raise found
        if not found.patch:
            return None
        if shown.obj is None:
            words = "attempted to modify the object, which is not supported for this operation"
            raise internal(f'admission webhook "{hook.name}" {words}')
        changed = _patched(hook, shown, found.patch)
        if asked.subresource == "scale":
            path = scale_paths(asked.kind)["specReplicasPath"]
            return with_path(obj, path, get_path(changed, "spec.replicas", 0))
        return changed if shown.kind is asked.kind else seen(asked.kind, stored(shown.kind, changed))

    def _question(self, hook: Hook, shown: Admission) -> Question:
        return webhook_calls.question(self._server, hook, shown)


_SERVERS = ("uid", "creationTimestamp", "resourceVersion", "generation")


def _patched(hook: Hook, shown: Admission, steps: list[Any]) -> Object:
    """The object with a webhook's changes, in the shape that its kind has."""
    assert shown.obj is not None
    try:
        changed: Any = json_patch.json_patch(shown.obj, steps)
    except ValueError as error:
        raise internal(str(error)) from None
    if not isinstance(changed, dict) or not isinstance(changed.get("metadata", {}), dict):
        raise internal(f'admission webhook "{hook.name}" left no object')
    if shown.subresource:
        return changed if shown.subresource != "status" else _identified(changed, shown.obj)
    checker = shown.kind.custom.checker.decode if shown.kind.custom is not None else schema.load().decode
    decoded, wrong, _ = checker(changed)
    if wrong:
        raise internal(f'admission webhook "{hook.name}" left no valid {shown.kind.kind}: {wrong[0]}')
    decoded = apply_defaults(shown.kind, decoded)
    same = name_of(decoded) == name_of(shown.obj) and namespace_of(decoded) == namespace_of(shown.obj)
    if not same:
        raise internal(f'admission webhook "{hook.name}" changed the name or namespace, which identify the object')
    return _identified(decoded, shown.obj)


def _identified(changed: Object, before: Object) -> Object:
    """What only the server says of an object stays as it was."""
    return with_metadata(changed, **{name: before["metadata"].get(name) for name in _SERVERS})
