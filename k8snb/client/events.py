"""client-go's event recorder: what components tell the user about an object.

Interface: `EventRecorder.event(obj, NORMAL | WARNING, reason, message)`.
The rule not to break: an event never fails the work that it tells of; the same event again raises a count.
Source: `client-go/tools/record` (EventCorrelator). Upstream sends events from a goroutine and drops them under load.
"""

from __future__ import annotations

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, name_of, namespace_of, uid_of
from k8snb.client.client import MERGE, Client
from k8snb.clock import Clock, timestamp

NORMAL, WARNING = "Normal", "Warning"
NAME_ATTEMPTS = 100  # events of one object in one instant; names hold the time, so that they sort by it
REMEMBERED = 4096  # events whose repetition is noticed, as upstream's correlator cache


class EventRecorder:
    """Writes core/v1 Events in the name of one component; `host` is the node for a kubelet or kube-proxy."""

    def __init__(self, client: Client, component: str, clock: Clock, *, host: str = "") -> None:
        self._client = client
        self._source = {"component": component, **({"host": host} if host else {})}
        self._clock = clock
        self._seen: dict[tuple[str, ...], tuple[str, int]] = {}

    def event(self, obj: Object, sort: str, reason: str, message: str) -> None:
        """Tell something about an object: `reason` is one CamelCase word, `message` a sentence for people."""
        namespace = namespace_of(obj) or "default"
        key = (uid_of(obj), name_of(obj), namespace, sort, reason, message)
        name, count = self._seen.pop(key, ("", 0))
        try:
            if not (count and self._repeat(name, namespace, count + 1)):
                name, count = self._first(obj, namespace, sort, reason, message), 0
        except ApiError:
            return  # a namespace on its way out takes no more events
        self._seen[key] = (name, count + 1)
        if len(self._seen) > REMEMBERED:
            self._seen.pop(next(iter(self._seen)))

    def _first(self, obj: Object, namespace: str, sort: str, reason: str, message: str) -> str:
        event = self._event(obj, namespace, sort, reason, message)
        moment = int(self._clock.now() * 1e9)
        for later in range(NAME_ATTEMPTS):
            name = f"{name_of(obj)}.{moment + later:x}"
            try:
                self._client.create("events", {**event, "metadata": {"name": name, "namespace": namespace}}, namespace)
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
            else:
                break
        return name

    def _event(self, obj: Object, namespace: str, sort: str, reason: str, message: str) -> Object:
        now = timestamp(self._clock.now())
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "involvedObject": _reference(obj),
            "type": sort,
            "reason": reason,
            "message": message,
            "source": self._source,
            "reportingComponent": self._source["component"],
            "reportingInstance": self._source.get("host", ""),
            "firstTimestamp": now,
            "lastTimestamp": now,
            "eventTime": None,
            "count": 1,
        }

    def _repeat(self, name: str, namespace: str, count: int) -> bool:
        patch = {"count": count, "lastTimestamp": timestamp(self._clock.now())}
        try:
            self._client.patch("events", name, patch, namespace, content_type=MERGE)
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
