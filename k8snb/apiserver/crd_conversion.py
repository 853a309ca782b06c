"""apiextensions-apiserver's conversion by webhook: objects of a custom kind in the version that a client speaks.

Interface: `WebhookConverter(server, crd)`, a `kinds.Converter`: `convert(objects, api_version)`, `remember`.
The rule not to break: what has been converted is not asked about again; a webhook may change everything but what tells
one object from another.
Source: `apiextensions-apiserver/pkg/apiserver/conversion/webhook_converter.go`.
"""

from __future__ import annotations

import random
import uuid
from collections import OrderedDict
from typing import Any, Protocol

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, name_of, namespace_of, uid_of
from k8snb.apiserver import dialing
from k8snb.apiserver.outcalls import Answer, Outcalls, Question, key_of

REVIEW = "apiextensions.k8s.io"
VERSIONS = ("v1", "v1beta1")
SECONDS = 30.0
KEPT = 20_000  # objects whose other versions are kept


class Server(dialing.Server, Protocol):
    dice: random.Random
    outcalls: Outcalls


class WebhookConverter:
    """One definition's webhook. What lies in the store is known by being the same dict: no other has its identity."""

    def __init__(self, server: Server, crd: Object) -> None:
        webhook = crd["spec"]["conversion"]["webhook"]
        self._server = server
        self._name = name_of(crd)
        self._config: Object = webhook["clientConfig"]
        self._version = next(each for each in webhook["conversionReviewVersions"] if each in VERSIONS)
        self._kept: OrderedDict[tuple[int, str], tuple[Object, Object]] = OrderedDict()

    def convert(self, objects: list[Object], api_version: str) -> list[Object]:
        """All objects in one version. Raises Outcall, or ApiError where the webhook fails."""
        missing = [obj for obj in objects if self._known(obj, api_version) is None]
        if missing:
            for obj, converted in zip(missing, self._asked(missing, api_version), strict=True):
                self.remember(obj, converted)
        found = [self._known(obj, api_version) for obj in objects]
        return [obj for obj in found if obj is not None]

    def remember(self, obj: Object, converted: Object) -> None:
        """What an object is in another version."""
        self._kept[id(obj), converted["apiVersion"]] = (obj, converted)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def _known(self, obj: Object, api_version: str) -> Object | None:
        if obj["apiVersion"] == api_version:
            return obj
        return self._kept.get((id(obj), api_version), (None, None))[1]

    def _asked(self, objects: list[Object], api_version: str) -> list[Object]:
        about = f"{objects[0]['apiVersion']}, Kind={objects[0]['kind']}"
        answer = self._answer(objects, api_version)
        if answer.error is not None:
            raise _failed(about, str(answer.error))
        number, review = answer.value
        converted = _converted(about, number, self._version, review)
        if len(converted) != len(objects):
            count = f"returned {len(converted)} objects, expected {len(objects)}"
            raise ApiError(500, "", f"conversion webhook for {about} {count}")
        pairs = zip(objects, converted, strict=True)
        return [_checked(about, place, obj, other, api_version) for place, (obj, other) in enumerate(pairs)]

    def _answer(self, objects: list[Object], api_version: str) -> Answer:
        number = str(uuid.UUID(int=self._server.dice.getrandbits(128), version=4))
        review = {
            "kind": "ConversionReview",
            "apiVersion": f"{REVIEW}/{self._version}",
            "request": {"uid": number, "desiredAPIVersion": api_version, "objects": objects},
        }
        key = key_of("conversion", self._name, self._config, self._version, api_version, *objects)
        post = dialing.caller(self._server, self._config, seconds=SECONDS)
        question = Question(key, lambda: (number, post(review)), f'the conversion webhook of "{self._name}"')
        return self._server.outcalls.answer(question)


def _failed(about: str, why: str) -> ApiError:
    return ApiError(500, "", f"conversion webhook for {about} failed: {why}")


def _converted(about: str, number: str, version: str, review: Object) -> list[Any]:
    """The objects in a webhook's answer. Raises ApiError for an answer that is none, or that tells of a failure."""
    response = review.get("response")
    if version == "v1":
        wanted, got = f"{REVIEW}/v1, Kind=ConversionReview", f"{review.get('apiVersion')}, Kind={review.get('kind')}"
        if wanted != got:
            raise _failed(about, f"expected webhook response of {wanted}, got {got}")
    if not isinstance(response, dict):
        raise _failed(about, "no response provided")
    if version == "v1" and response.get("uid") != number:
        raise _failed(about, f'expected response.uid="{number}", got "{response.get("uid") or ""}"')
    result = response.get("result") or {}
    if result.get("status") != "Success":
        words = f"response.result.status was '{result.get('status') or ''}', not 'Success'"
        raise _failed(about, result.get("message") or words)
    return response.get("convertedObjects") or []


def _checked(about: str, place: int, before: Object, after: Any, api_version: str) -> Object:
    """A converted object with the metadata that it had; labels and annotations may have changed."""
    where = f"conversion webhook for {about} returned invalid converted object at index {place}"
    if not isinstance(after, dict) or not isinstance(after.get("metadata"), dict):
        raise ApiError(500, "", f"{where}: missing metadata in converted object")
    if after.get("apiVersion") != api_version:
        words = f"invalid groupVersion (expected {api_version}, received {after.get('apiVersion')})"
        raise ApiError(500, "", f"{where}: {words}")
    if after.get("kind") != before["kind"]:
        words = f"invalid kind (expected {before['kind']}, received {after.get('kind')})"
        raise ApiError(500, "", f"{where}: {words}")
    for what, read in (("name", name_of), ("namespace", namespace_of), ("UID", uid_of)):
        if read(before) != read(after):
            raise ApiError(500, "", f"{where}: must have the same {what}: {read(before)} != {read(after)}")
    metadata = {name: value for name, value in before["metadata"].items() if name not in ("labels", "annotations")}
    kept = {name: after["metadata"][name] for name in ("labels", "annotations") if after["metadata"].get(name)}
    return {**after, "metadata": {**metadata, **kept}}
