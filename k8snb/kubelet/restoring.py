"""kubelet's restoring: what a node ran at a moment, put back into a runtime that can take it.

Interface: `restore(pods, configs, volumes, …)`, `crashes(pods)`; `Restorer`, such a runtime.
The rule not to break: what is restored is what the pods' statuses say; what they do not say is left for the kubelet to
start, as it would.
Source: none upstream; a virtual machine's snapshot comes near.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol, runtime_checkable

from k8snb.apimachinery.meta import Object, get_path, uid_of
from k8snb.clock import parse_timestamp
from k8snb.cri import EXITED, RUNNING, ContainerConfig, ContainerStatus, PodSandboxConfig, Runtime
from k8snb.kubelet.actions import STATUSES, PodState, container_of, is_terminal, runtime_id
from k8snb.kubelet.configs import Configs
from k8snb.kubelet.env import ConfigError
from k8snb.kubelet.resizing import allocated
from k8snb.kubelet.static_files import is_mirror
from k8snb.kubelet.volume_manager import VolumeManager


@runtime_checkable
class Restorer(Runtime, Protocol):
    """A runtime that takes pods as they were."""

    def restore_pod(self, config: PodSandboxConfig, *, ip: str, created_at: float) -> str: ...
    def restore_container(self, sandbox_id: str, config: ContainerConfig, was: ContainerStatus) -> None: ...


Times = Mapping[tuple[str, str], float]  # a container's id and `running` or `terminated` → since when


def restore(
    pods: Iterable[Object], configs: Configs, volumes: VolumeManager, *, runtime: Restorer, times: Times
) -> None:  # fmt: skip
    """Put back what ran of these pods. What cannot be, its kubelet starts again. Pods of the node's own files are.

    `times` are more exact than those of statuses, which have whole seconds.
    """
    for pod in pods:
        if not is_mirror(pod) and get_path(pod, "status.podIP"):
            _restore_pod(allocated(pod), configs, volumes, runtime=runtime, times=times)


def _restore_pod(pod: Object, configs: Configs, volumes: VolumeManager, *, runtime: Restorer, times: Times) -> None:
    began = _seconds(get_path(pod, "status.startTime")) or _seconds(pod["metadata"]["creationTimestamp"])
    sandbox = runtime.restore_pod(configs.sandbox(pod, 0), ip=pod["status"]["podIP"], created_at=began)
    if not is_terminal(pod):
        volumes.prepare(pod)
    state = PodState(sandboxes=(runtime.pod_sandbox_status(sandbox),))
    for was in _containers(pod):
        try:
            config = configs.container(pod, container_of(pod, was.name), was.attempt, state)
        except ConfigError:
            continue
        runtime.restore_container(sandbox, config, _exact(was, times))
    if is_terminal(pod):
        runtime.stop_pod_sandbox(sandbox)


def _exact(was: ContainerStatus, times: Times) -> ContainerStatus:
    """The same with fractions of seconds, where they are known."""
    began, ended = (times.get((was.id, word), 0.0) for word in ("running", "terminated"))
    return replace(
        was,
        started_at=began if 0 <= began - was.started_at < 1 else was.started_at,
        finished_at=ended if was.finished_at and 0 <= ended - was.finished_at < 1 else was.finished_at,
    )


def crashes(pods: Iterable[Object]) -> dict[str, dict[str, int]]:
    """How often each container of a pod has ended before the last end that the runtime knows, for its back-off."""
    return {
        uid_of(pod): {entry["name"]: entry["restartCount"] - 1 + ("waiting" in (entry.get("state") or {}))
                      for field in STATUSES for entry in get_path(pod, f"status.{field}") or ()
                      if entry.get("restartCount")}
        for pod in pods
    }  # fmt: skip


def _containers(pod: Object) -> Iterator[ContainerStatus]:
    """The containers that the pod's status tells of: for each the run before, and the newest one."""
    status = pod["status"]
    for entry in (entry for field in STATUSES for entry in status.get(field) or ()):
        count = entry.get("restartCount", 0)
        before = get_path(entry, "lastState.terminated")
        state = entry.get("state") or {}
        if before and before.get("containerID"):
            newest = entry.get("containerID") == before["containerID"]
            yield _ended(pod, entry, before, count if newest else count - 1)
        if "terminated" in state and state["terminated"].get("containerID"):
            yield _ended(pod, entry, state["terminated"], count)
        elif "running" in state and entry.get("containerID"):
            began = _seconds(state["running"].get("startedAt"))
            yield _status(pod, entry, entry["containerID"], count, state=RUNNING, created_at=began, started_at=began)


def _ended(pod: Object, entry: Object, terminated: Object, attempt: int) -> ContainerStatus:
    began, ended = (_seconds(terminated.get(field)) for field in ("startedAt", "finishedAt"))
    return _status(
        pod, entry, terminated["containerID"], max(attempt, 0), state=EXITED, created_at=began, started_at=began,
        finished_at=ended, exit_code=terminated.get("exitCode", 0), reason=terminated.get("reason", ""),
    )  # fmt: skip


def _status(pod: Object, entry: Object, container_id: str, attempt: int, **more: object) -> ContainerStatus:
    return ContainerStatus(
        id=runtime_id(container_id), sandbox_id="", pod_uid=pod["metadata"]["uid"], name=entry["name"],
        image=entry["image"], attempt=attempt, image_id=entry.get("imageID", ""), **more,  # type: ignore[arg-type]
    )  # fmt: skip


def _seconds(text: str | None) -> float:
    return parse_timestamp(text) if text else 0.0
