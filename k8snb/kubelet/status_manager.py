"""kubelet's status manager: writes into the apiserver what has become of a pod, and lets go of the object at the end.

Interface: `StatusManager.report(worker, state, resizing)`, `write(worker, pod)`, `let_go(pod)`.
The rule not to break: a status that says what it should is not written again.
Source: `pkg/kubelet/status/status_manager.go`.
"""

from __future__ import annotations

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, annotations_of, name_of, namespace_of, uid_of
from k8snb.client import Client
from k8snb.client.client import MERGE
from k8snb.clock import Clock
from k8snb.cri import EXITED, ContainerStatus
from k8snb.kubelet.actions import PodState, containers_of
from k8snb.kubelet.configs import Configs
from k8snb.kubelet.prober import Prober
from k8snb.kubelet.resizing import Resizing
from k8snb.kubelet.status import Observed, pod_status
from k8snb.kubelet.worker import Worker

MAPPED_PORTS = "k8snb.io/mapped-ports"


class StatusManager:
    """The statuses of one node's pods."""

    def __init__(self, client: Client, clock: Clock, prober: Prober, configs: Configs, *, cri_version: str) -> None:
        self._runtime = cri_version.partition("://")[0]
        self._client = client
        self._clock = clock
        self._prober = prober
        self._configs = configs

    def report(self, worker: Worker, state: PodState, resizing: Resizing) -> None:
        """Write the pod's status where it says something else than it should, and the mapped ports."""
        pod = worker.pod
        observed = Observed(
            state=state, host_ip=self._configs.host_ip, waiting=worker.waiting, last=_previous(pod, state),
            ready=lambda name: self._prober.is_ready(uid_of(pod), name),
            started=lambda name: self._prober.is_started(uid_of(pod), name), resizing=resizing,
            runtime=self._runtime,
        )  # fmt: skip
        status = pod_status(pod, observed, self._clock.now())
        try:
            if status != pod.get("status"):
                self.write(worker, {**pod, "status": status})
            mapped = self._configs.mapped_ports(state)
            if mapped and not worker.is_static and annotations_of(worker.pod).get(MAPPED_PORTS) != mapped:
                patch = {"metadata": {"annotations": {MAPPED_PORTS: mapped}}}
                worker.pod = self._client.patch("pods", name_of(pod), patch, namespace_of(pod), content_type=MERGE)
        except ApiError as error:
            if error.code != 404:
                raise

    def write(self, worker: Worker, pod: Object) -> None:
        """Write a pod with another status; a static pod's goes to its mirror, where there is one."""
        if not worker.is_static:
            worker.pod = self._client.update_status("pods", pod)
            return
        if worker.mirror is not None:
            worker.mirror = self._client.update_status("pods", {**worker.mirror, "status": pod["status"]})
            pod = {**pod, "status": worker.mirror["status"]}
        worker.pod = pod

    def let_go(self, pod: Object) -> None:
        """Nothing is left of the pod on this node."""
        try:
            self._client.delete("pods", name_of(pod), namespace_of(pod), gracePeriodSeconds=0,
                                preconditions={"uid": uid_of(pod)})  # fmt: skip
        except ApiError as error:
            if error.code not in (404, 409):
                raise


def _previous(pod: Object, state: PodState) -> dict[str, ContainerStatus]:
    """For each container the run before its newest one."""
    found: dict[str, ContainerStatus] = {}
    for container in containers_of(pod):
        newest = state.newest(container["name"])
        older = [c for c in state.containers if c.name == container["name"] and c is not newest and c.state == EXITED]
        if older:
            found[container["name"]] = max(older, key=lambda c: c.attempt)
    return found
