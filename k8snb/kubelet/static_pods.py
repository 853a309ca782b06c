"""kubelet's static pods: what a node runs because a manifest lies in its directory, and the mirrors that show it.

Interface: `StaticPods`: `start()`, `stop()`, `mirror_changed(old, new)`, `uid_of(pod)`.
The rule not to break: the file alone decides what runs. A mirror is for looking at: whoever deletes it sees it come
back, and it goes when the pod has ended.
Source: `pkg/kubelet/pod/mirror_client.go`, `tryReconcileMirrorPods` in pkg/kubelet/kubelet.go.
"""

from __future__ import annotations

from k8snb.apimachinery.errors import ApiError, Postponed
from k8snb.apimachinery.meta import Object, is_deleting, key_of, name_of, namespace_of, uid_of
from k8snb.client import Client
from k8snb.client.events import WARNING, EventRecorder
from k8snb.clock import Clock
from k8snb.kubelet.pod_workers import PodWorkers
from k8snb.kubelet.static_files import StaticFiles, hash_of, mirror_of

LOOK = 1.0  # seconds between two looks into the directory


class StaticPods:
    """The static pods of one node; `files` None: it has none, but there may be mirrors from before."""

    def __init__(
        self, node: str, files: StaticFiles | None, client: Client, clock: Clock, *, workers: PodWorkers,
        events: EventRecorder,
    ) -> None:  # fmt: skip
        self._node, self._files, self._client, self._clock = node, files, client, clock
        self._workers, self._events = workers, events
        self._wanted: dict[str, Object] = {}
        self._mirrors: dict[str, Object] = {}  # by namespace/name, as the static pods are called
        self._stopped = False
        workers.on_static_end = self._sync

    def start(self) -> None:
        if self._files is not None:
            self._look(self._files)

    def stop(self) -> None:
        self._stopped = True

    def uid_of(self, pod: Object) -> str:
        """Under which uid a pod of the apiserver runs here: a mirror's pod has one of its own."""
        return hash_of(pod) or uid_of(pod)

    def mirror_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None:
            self._mirrors.pop(key_of(old), None)
        if new is not None:
            self._mirrors[key_of(new)] = new
        self._sync()

    def _look(self, files: StaticFiles) -> None:
        if self._stopped:
            return
        self._clock.after(LOOK, lambda: self._look(files), background=True, label=f"kubelet {self._node}")
        self._wanted, complaints = files.read()
        for complaint in complaints:
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self._node, "uid": self._node}}
            self._events.event(node, WARNING, "FailedStaticPod", complaint)
        self._sync()

    def _sync(self) -> None:
        """Start and end what the files say, then see to the mirrors. Doing it again changes nothing."""
        if self._stopped:
            return
        running = {uid_of(pod): key_of(pod) for pod in self._workers.static_pods()}
        for uid in running.keys() - self._wanted.keys():
            self._workers.end_static(uid)
        for uid, pod in self._wanted.items():
            if uid not in running and key_of(pod) not in running.values():  # the one before has to end first
                self._workers.run_static(pod)
                running[uid] = key_of(pod)
        for mirror in list(self._mirrors.values()):
            self._see_to_mirror(mirror, running)
        for pod in self._wanted.values():
            if key_of(pod) not in self._mirrors and uid_of(pod) in running:
                self._create_mirror(pod)

    def _see_to_mirror(self, mirror: Object, running: dict[str, str]) -> None:
        """Keep the mirror of what runs; take away any other, and one that somebody deletes."""
        uid = hash_of(mirror)
        ends = key_of(mirror) in running.values() and uid in running and uid not in self._wanted
        if uid in running and not is_deleting(mirror):
            self._workers.show_static(uid, mirror)
        elif not ends or is_deleting(mirror):
            self._delete_mirror(mirror)

    def _create_mirror(self, pod: Object) -> None:
        node = self._client.find("nodes", self._node)
        if node is not None:
            self._attempt(lambda: self._client.create("pods", mirror_of(pod, node), namespace_of(pod)))

    def _delete_mirror(self, mirror: Object) -> None:
        self._attempt(lambda: self._client.delete(
            "pods", name_of(mirror), namespace_of(mirror), gracePeriodSeconds=0,
            preconditions={"uid": uid_of(mirror)}))  # fmt: skip

    def _attempt(self, write: object) -> None:
        """What is refused now is tried again at the next look: the pod itself runs without its mirror."""
        assert callable(write)
        try:
            write()
        except Postponed as waiting:
            waiting.then(self._sync)
        except ApiError as error:
            if error.code not in (403, 404, 409, 422):
                raise
