"""client-go's event recorder: what components tell the user about an object.

Interface: `EventRecorder.event(obj, NORMAL | WARNING, reason, message)`.
The rule not to break: an event never fails the work that it tells of, and talk about one object has a limit.
Source: `client-go/tools/record/events_cache.go`. The same event again raises a count; more than ten that differ only in
their message within ten minutes become one "(combined from similar events)"; of one source about one object at most 25
are written in a row, then one each five minutes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

from k8snb.apimachinery.errors import ApiError, Postponed
from k8snb.apimachinery.meta import Object, name_of, namespace_of, uid_of
from k8snb.client.client import MERGE, Client
from k8snb.clock import Clock, timestamp

NORMAL, WARNING = "Normal", "Warning"
NAME_ATTEMPTS = 100  # where two recorders tell of one object in the same instant
REMEMBERED = 4096  # objects whose events are remembered
SIMILAR, SIMILAR_SECONDS = 10, 600.0
BURST, REFILL_SECONDS = 25, 300.0
COMBINED = "(combined from similar events): "

Key = tuple[str, ...]


@dataclass
class Told:
    """What one source has told about one object."""

    tokens: float = BURST
    refilled: float = 0.0
    # (type, reason, message, field path) → event's name, count
    written: dict[Key, tuple[str, int]] = field(default_factory=dict)
    messages: dict[Key, dict[str, float]] = field(default_factory=dict)  # (type, reason) → message → when


class EventRecorder:
    """Writes core/v1 Events in the name of one component; `host` is the node for a kubelet or kube-proxy."""

    def __init__(self, client: Client, component: str, clock: Clock, *, host: str = "") -> None:
        self._client = client
        self._source = {"component": component, **({"host": host} if host else {})}
        self._clock = clock
        self._told: dict[Key, Told] = {}
        self._last = 0

    def event(self, obj: Object, sort: str, reason: str, message: str, *, field_path: str = "") -> None:
        """Tell something about an object, or about its part at `field_path`.

        `reason` is one CamelCase word, `message` a sentence for people.
        """
        namespace = namespace_of(obj) or "default"
        told = self._remember((uid_of(obj), namespace, name_of(obj)))
        if not self._may_speak(told):
            return
        key, text = self._combine(told, (sort, reason), message)
        key = (*key, field_path)
        name, count = told.written.get(key, ("", 0))
        try:
            if not (count and self._repeat(name, namespace, count + 1, text)):
                name, count = self._first(obj, self._event(obj, sort, reason, text, field_path)), 0
        except ApiError:
            return  # a namespace on its way out takes no more events
        told.written[key] = (name, count + 1)

    def _remember(self, about: Key) -> Told:
        told = self._told.pop(about, None) or Told(refilled=self._clock.monotonic())
        self._told[about] = told
        if len(self._told) > REMEMBERED:
            self._told.pop(next(iter(self._told)))
        return told

    def _may_speak(self, told: Told) -> bool:
        now = self._clock.monotonic()
        told.tokens = min(told.tokens + (now - told.refilled) / REFILL_SECONDS, BURST)
        told.refilled = now
        if told.tokens < 1:
            return False
        told.tokens -= 1
        return True

    def _combine(self, told: Told, kind: Key, message: str) -> tuple[Key, str]:
        """The event that a message belongs to, and what it says then."""
        now = self._clock.monotonic()
        recent = {text: at for text, at in told.messages.get(kind, {}).items() if now - at < SIMILAR_SECONDS}
        recent[message] = now
        told.messages[kind] = recent
        if len(recent) > SIMILAR:
            return (*kind, COMBINED), COMBINED + message
        return (*kind, message), message

    def _first(self, obj: Object, event: Object) -> str:
        """Events are named by the moment, so that their names sort by it."""
        namespace = namespace_of(obj) or "default"
        for _ in range(NAME_ATTEMPTS):
            self._last = max(self._last + 1, int(self._clock.now() * 1e9))
            name = f"{name_of(obj)}.{self._last:x}"
            named = {**event, "metadata": {"name": name, "namespace": namespace}}
            try:
                self._client.create("events", named, namespace)
            except Postponed as waiting:
                waiting.then(functools.partial(self._again, named))
                break
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
            else:
                break
        return name

    def _again(self, event: Object) -> None:
        """Write an event that had to wait for what a webhook says."""
        try:
            self._client.create("events", event, namespace_of(event))
        except Postponed as waiting:
            waiting.then(functools.partial(self._again, event))
        except ApiError:
            return

    def _event(self, obj: Object, sort: str, reason: str, message: str, field_path: str) -> Object:
        now = timestamp(self._clock.now())
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "involvedObject": {**_reference(obj), **({"fieldPath": field_path} if field_path else {})},
            "type": sort,
            "reason": reason,
            "message": message,
            "source": self._source,
            "reportingComponent": self._source["component"],
            "reportingInstance": self._source.get("host", ""),
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }

    def _repeat(self, name: str, namespace: str, count: int, message: str) -> bool:
        patch = {"count": count, "lastTimestamp": timestamp(self._clock.now()), "message": message}
        try:
            self._client.patch("events", name, patch, namespace, content_type=MERGE)
        except Postponed as waiting:
            waiting.then(functools.partial(self._repeat, name, namespace, count, message))
        except ApiError as error:
            if error.code == 404:
                return False
            raise
        return True


def _reference(obj: Object) -> Object:
    metadata = obj["metadata"]
    reference = {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": metadata["name"],
        "namespace": metadata.get("namespace"),
        "uid": metadata.get("uid"),
        "resourceVersion": metadata.get("resourceVersion"),
    }
    return {key: value for key, value in reference.items() if value}
