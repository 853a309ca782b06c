"""logging: the add-on that keeps every container's lines, with whose they are, also after the pod is gone.

Interface: `LoggingAddon`, an `Addon`; `search(…)` finds lines.
The rule not to break: it reads logs through the apiserver, as `kubectl logs -f` does, and asks no runtime.
Real clusters run an agent on every node (Fluent Bit, Alloy) that follows the kubelet's log files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from k8snb.addons import MANAGER
from k8snb.addons.log_store import Line, LogStore, Source
from k8snb.addons.objects import ensure, remove
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, get_path, labels_of, name_of, namespace_of, uid_of
from k8snb.apimachinery.selectors import Selector
from k8snb.client import User
from k8snb.client.informer import Informers
from k8snb.clock import micro_timestamp
from k8snb.hosts import Simulation

if TYPE_CHECKING:
    from k8snb.addons import Ground

ACCOUNT, NAMESPACE, ROLE = "log-collector", "kube-system", "k8snb:log-collector"
USER = User(f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}", ("system:serviceaccounts", "system:authenticated"))
EVERY = 1.0  # seconds between two looks at the logs of simulated containers
MOST = 500  # logs that are followed at once where each takes a thread
_STATUSES = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


class Reading(NamedTuple):
    """A container whose log is read: the pod's uid, the container's name, and the run of it."""

    uid: str
    container: str
    run: str


class LoggingAddon:
    """The collector and its store. What was kept outlives a stop of the cluster, but not the add-on's `disable`."""

    def __init__(self) -> None:
        self.store = LogStore()
        self.left_out: set[Reading] = set()  # containers whose logs nobody follows, because too many are
        self._readings: dict[Reading, Iterator[bytes] | None] = {}  # what is read; the iterators that the pump reads
        self._informers: Informers | None = None
        self._at_work = 0  # changes with each enable, so that a thread of before knows that it is over
        self._following = 0

    def enable(self, cluster: Ground) -> None:
        self._cluster = cluster
        self._at_work += 1
        self._following = 0
        ensure(cluster.client_for(MANAGER), _objects())
        context = cluster.context
        self._client = context.client(USER.name, *USER.groups)
        self._informers = informers = Informers(self._client, context)
        self._pods = informers.get("pods")
        self._pods.on_change(self._changed)
        informers.start()
        self._round(self._at_work)

    def stop(self) -> None:
        self._at_work += 1
        informers, self._informers = self._informers, None
        if informers is not None:
            with self._cluster.pump.lock:
                self._catch_up(list(self._readings))
                informers.stop()
        self._readings.clear()
        self.left_out.clear()

    def disable(self) -> None:
        self.stop()
        self.store.clear()
        remove(self._cluster.client_for(MANAGER), _objects())

    def search(
        self,
        text: str = "",
        *,
        namespace: str = "",
        selector: Selector | None = None,
        seconds: float = 0.0,
        container: str = "",
        pod: str = "",
    ) -> list[Line]:
        """The lines that hold a text, of pods that a selector picks, not older than some seconds; the oldest first."""
        with self._cluster.pump.lock:
            self._catch_up(list(self._readings))
        since = micro_timestamp(self._cluster.clock.now() - seconds) if seconds else ""
        return self.store.search(
            text, namespace=namespace, selector=selector, since=since, container=container, pod=pod
        )

    # in the pump

    def _changed(self, old: Object | None, new: Object | None) -> None:
        """A container that has begun is read from its first line on; what ends is read to its last."""
        pod = new or old
        if pod is None:
            return
        self._catch_up([reading for reading in self._of(pod) if reading in self._readings])
        if new is None:
            self._readings = {key: lines for key, lines in self._readings.items() if key.uid != uid_of(pod)}
            return
        for reading in self._of(pod):
            if reading not in self._readings:
                self._begin(reading, pod)

    def _of(self, pod: Object) -> Iterator[Reading]:
        for field in _STATUSES:
            for status in get_path(pod, f"status.{field}") or ():
                if status.get("containerID") and not (status.get("state") or {}).get("waiting"):
                    yield Reading(uid_of(pod), status["name"], status["containerID"])

    def _begin(self, reading: Reading, pod: Object) -> None:
        source = Source(namespace_of(pod), name_of(pod), reading.container, get_path(pod, "spec.nodeName", ""),
                        labels_of(pod), reading.uid)  # fmt: skip
        if isinstance(self._cluster.host.runtime, Simulation):
            self._poll(reading, source)
        elif self._following >= MOST:
            self.left_out.add(reading)
        else:
            self._follow(reading, source)

    # simulated containers: their logs answer at once, so that no thread is needed

    def _poll(self, reading: Reading, source: Source) -> None:
        try:
            lines = self._client.logs(
                source.pod, source.namespace, container=source.container, follow=True, timestamps=True
            )
        except ApiError:
            return  # there is no log yet: the next change of the pod is told again
        self._readings[reading] = _into(self.store, source, lines)
        self._catch_up([reading])

    def _catch_up(self, readings: Iterable[Reading]) -> None:
        """Take what has been written, of logs that the pump reads."""
        for reading in readings:
            lines = self._readings.get(reading)
            while lines is not None and (piece := next(lines, None)) != b"":
                if piece is None:
                    self._readings[reading] = lines = None

    def _round(self, at_work: int) -> None:
        if at_work != self._at_work:
            return
        self._catch_up(list(self._readings))
        self._cluster.clock.after(EVERY, lambda: self._round(at_work), background=True, label="logging")

    # real containers: a log that is followed blocks

    def _follow(self, reading: Reading, source: Source) -> None:
        self._readings[reading] = None
        self._following += 1
        at_work, client = self._at_work, self._cluster.client_for(USER)

        def read() -> None:
            lines = client.logs(source.pod, source.namespace, container=source.container, follow=True, timestamps=True)
            for _ in _into(self.store, source, lines):
                if at_work != self._at_work:
                    return

        self._cluster.host.executor.submit(read, lambda _, error: self._ended(reading, at_work, error), waits=True)

    def _ended(self, reading: Reading, at_work: int, error: BaseException | None) -> None:
        """A log ended with its container; one that could not be read is tried again with the pod's next change."""
        if at_work != self._at_work:
            return
        self._following -= 1
        if error is not None:
            self._readings.pop(reading, None)


def _into(store: LogStore, source: Source, lines: Iterator[bytes]) -> Iterator[bytes]:
    """Put whole lines into the store as they come; yields each piece that came, b"" where there was nothing."""
    rest = b""
    for piece in lines:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            store.add(source, line)
        yield piece
    if rest:
        store.add(source, rest)


def _objects() -> Iterator[tuple[str, Object]]:
    yield "serviceaccounts", {"metadata": {"name": ACCOUNT, "namespace": NAMESPACE}}
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    ]
    yield "clusterroles", {"metadata": {"name": ROLE}, "rules": rules}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": ROLE}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    yield "clusterrolebindings", {"metadata": {"name": ROLE}, "roleRef": role, "subjects": [subject]}
