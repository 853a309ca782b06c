"""kube-apiserver's admission webhooks: what is sent to one, and what its answer means.

Interface: `question(server, hook, asked)`, what has to be asked; `verdict(hook, answer)` reads what came back: a
`Verdict`, or `CallFailure`, which failurePolicy decides about, or an ApiError, which is the refusal.
The rule not to break: an answer that is not one to this question lets nothing through.
Source: `apiserver/pkg/admission/plugin/webhook/{request,errors}`, `apiserver/pkg/util/webhook/error.go`.
"""

from __future__ import annotations

import base64
import json
import random
import uuid
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from k8snb.apimachinery.errors import ApiError, bad_request, internal
from k8snb.apimachinery.meta import Object
from k8snb.apiserver import dialing
from k8snb.apiserver.admission_request import Admission
from k8snb.apiserver.outcalls import Answer, Question, key_of

REVIEW = "admission.k8s.io"
VERSIONS = ("v1", "v1beta1")
HARMLESS = ("None", "NoneOnDryRun")
SECONDS = 10  # upstream's default for timeoutSeconds


class Server(dialing.Server, Protocol):
    dice: random.Random


class CallFailure(Exception):
    """A webhook could not be asked, or gave no answer that can be used."""

    def __init__(self, hook: str, why: str) -> None:
        super().__init__(f'failed calling webhook "{hook}": {why}')


@dataclass(frozen=True, eq=False)
class Hook:
    """One entry of a webhook configuration. `identity` tells it from all others."""

    configuration: str
    entry: Object
    mutates: bool

    @property
    def name(self) -> str:
        return str(self.entry["name"])

    @property
    def identity(self) -> tuple[str, str]:
        return self.configuration, self.name

    @property
    def ignores_failures(self) -> bool:
        return self.entry.get("failurePolicy") == "Ignore"


class Verdict(NamedTuple):
    """An answer that lets the request through, perhaps with changes: `patch` is a JSON patch."""

    patch: list[Any]
    warnings: tuple[str, ...] = ()
    annotations: tuple[tuple[str, str], ...] = ()


def question(server: Server, hook: Hook, asked: Admission) -> Question:
    """What has to be asked of a webhook. Raises ApiError where it may not be asked in a dry run."""
    entry = hook.entry
    if asked.dry_run and entry.get("sideEffects") not in HARMLESS:
        raise bad_request(f'admission webhook "{hook.name}" does not support dry run')
    seconds = entry.get("timeoutSeconds") or SECONDS
    version = next(each for each in entry["admissionReviewVersions"] if each in VERSIONS)
    about = asked.described()
    key = key_of("webhook", hook.identity, entry["clientConfig"], version, about, asked.obj, asked.old)
    number = str(uuid.UUID(int=server.dice.getrandbits(128), version=4))
    review = {
        "kind": "AdmissionReview",
        "apiVersion": f"{REVIEW}/{version}",
        "request": {**about, "uid": number, "object": asked.obj, "oldObject": asked.old},
    }
    try:
        post = dialing.caller(server, entry["clientConfig"], seconds=seconds)
    except dialing.CallError as error:
        failure = error

        def post(body: Object) -> Object:
            raise failure

    return Question(key, lambda: (number, version, post(review)), f'webhook "{hook.name}"')


def verdict(hook: Hook, answer: Answer) -> Verdict:
    """Raises CallFailure, or ApiError for a request that is refused."""
    if isinstance(answer.error, dialing.CallError):
        raise CallFailure(hook.name, f"failed to call webhook: {answer.error}")
    if answer.error is not None:
        raise CallFailure(hook.name, f"failed to call webhook: {type(answer.error).__name__}: {answer.error}")
    number, version, review = answer.value
    response = _response(hook, number, version, review)
    warnings = tuple(str(text) for text in response.get("warnings") or ())
    if not response.get("allowed"):
        raise Denied(refusal(hook.name, response.get("status") or {}), warnings)
    annotations = response.get("auditAnnotations") or {}
    named = tuple((f"{hook.name}/{key}", str(value)) for key, value in annotations.items())
    return Verdict(_patch(hook, response), warnings, named)


class Denied(Exception):
    """A refusal, with the warnings that came along."""

    def __init__(self, error: ApiError, warnings: tuple[str, ...]) -> None:
        super().__init__(error.message)
        self.error, self.warnings = error, warnings


def _response(hook: Hook, number: str, version: str, review: Object) -> Object:
    """Source: `VerifyAdmissionResponse` in plugin/webhook/request/admissionreview.go."""
    response = review.get("response")
    invalid = "received invalid webhook response: "
    if version == "v1":
        wanted, found = f"{REVIEW}/v1, Kind=AdmissionReview", f"{review.get('apiVersion')}, Kind={review.get('kind')}"
        if wanted != found:
            raise CallFailure(hook.name, f"{invalid}expected webhook response of {wanted}, got {found}")
    if not isinstance(response, dict):
        raise CallFailure(hook.name, f"{invalid}webhook response was absent")
    if version == "v1" and response.get("uid") != number:
        got = json.dumps(response.get("uid") or "")
        raise CallFailure(hook.name, f'{invalid}expected response.uid="{number}", got {got}')
    if response.get("patch") and version == "v1" and not response.get("patchType"):
        raise CallFailure(hook.name, f"{invalid}webhook returned response.patch but not response.patchType")
    if response.get("patchType") not in (None, "", "JSONPatch"):
        kind = response["patchType"]
        raise CallFailure(hook.name, f'{invalid}invalid response.patchType of "{kind}", expected "JSONPatch"')
    if response.get("patch") and not hook.mutates:
        raise CallFailure(hook.name, f"{invalid}validating webhook may not return response.patch")
    return response


def _patch(hook: Hook, response: Object) -> list[Any]:
    if not response.get("patch"):
        return []
    try:
        steps = json.loads(base64.b64decode(response["patch"], validate=True))
    except ValueError as error:
        why = f"received undecodable patch in webhook response: {error}"
        raise CallFailure(hook.name, why) from None
    if not isinstance(steps, list):
        raise CallFailure(hook.name, "received undecodable patch in webhook response: it is no list of operations")
    return steps


def refusal(name: str, status: Object) -> ApiError:
    """Source: `ToStatusErr` in plugin/webhook/errors/statuserror.go."""
    words = f'admission webhook "{name}" denied the request'
    why = status.get("message") or status.get("reason")
    message = f"{words}: {why}" if why else f"{words} without explanation"
    code = max(int(status.get("code") or 0), 400)
    return ApiError(code, str(status.get("reason") or ""), message, status.get("details") or {})


def failed(error: CallFailure) -> ApiError:
    return internal(str(error))
