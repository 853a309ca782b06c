"""kubelet's termination messages: what a container wrote about its end, where nobody but the kubelet looks.

Interface: `TerminationMessages.mount(pod, container, attempt)` for a container's config; `finish(status)` completes
what the runtime says of a container that has ended, on the executor; `forget(uid)`.
The rule not to break: a message is read once, at the end; it stays what it was when its file is gone.
Source: `getTerminationMessage`, `readLastStringFromContainerLogs` and `makeMounts` in
pkg/kubelet/kuberuntime/kuberuntime_container.go, `normalizeStatus` in pkg/kubelet/status/status_manager.go.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from k8snb.apimachinery.meta import Object, get_path, uid_of
from k8snb.cri import EXITED, ContainerStatus, Mount, Runtime, RuntimeFailure
from k8snb.kubelet.actions import containers_of, reported, runtime_id
from k8snb.kubelet.pod_directories import PodDirectories

LONGEST, LONGEST_OF_POD = 4096, 12 * 1024  # bytes of one container's message, and of all of a pod's
LOG_LINES, LOG_BYTES = 80, 2048  # of its log, where that has to do
FALLBACK = "FallbackToLogsOnError"
FOR_ALL = 0o666


class TerminationMessages:
    """Those of one node's containers. `pod(uid)` is a pod as it is now.

    `on_demand`: the runtime has files of its own to write to, and says by itself what was written.
    """

    def __init__(
        self, node: str, directories: PodDirectories, runtime: Runtime, *, pod: Callable[[str], Object | None],
        on_demand: bool = False,
    ) -> None:  # fmt: skip
        self._node = node
        self._directories = directories
        self._runtime = runtime
        self._pod = pod
        self._on_demand = on_demand
        self._read: dict[str, dict[str, str]] = {}  # by the pod's uid and the container's id

    def mount(self, pod: Object, container: Object, attempt: int) -> tuple[Mount, ...]:
        """The file that a container writes its message to, made anew; none where a volume is in its place."""
        path = container.get("terminationMessagePath")
        taken = any(mount["mountPath"] == path for mount in container.get("volumeMounts") or ())
        if not path or taken or self._on_demand:
            return ()
        file = self._file(uid_of(pod), container["name"], attempt)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
        file.chmod(FOR_ALL)
        return (Mount(host_path=str(file), container_path=path),)

    def finish(self, status: ContainerStatus) -> ContainerStatus:
        """The same status, with the container's own message where it has ended."""
        if status.state != EXITED:
            return status
        read = self._read.setdefault(status.pod_uid, {})
        if status.id not in read:
            read[status.id] = self._message(status)
        return replace(status, message=read[status.id]) if read[status.id] else status

    def forget(self, uid: str) -> None:
        self._read.pop(uid, None)

    def _message(self, status: ContainerStatus) -> str:
        pod = self._pod(status.pod_uid)
        before = reported(pod, status.name) if pod is not None else {}
        if runtime_id(get_path(before, "state.terminated.containerID", "")) == status.id:
            return str(get_path(before, "state.terminated.message") or "")
        own = "" if self._on_demand else self._written(status)
        if not (own or (self._on_demand and status.message)) and pod is not None and _falls_back(pod, status):
            own = self._logged(status)
        sharing = len(list(containers_of(pod))) if pod is not None else 0
        limit = LONGEST_OF_POD // sharing if sharing else LONGEST  # nobody knows the containers of a pod that has gone
        return _cut(": ".join(filter(None, (status.message, own))), limit)

    def _written(self, status: ContainerStatus) -> str:
        try:
            with open(self._file(status.pod_uid, status.name, status.attempt), "rb") as file:
                file.seek(max(os.fstat(file.fileno()).st_size - LONGEST, 0))
                return file.read(LONGEST).decode(errors="replace")
        except OSError:
            return ""

    def _logged(self, status: ContainerStatus) -> str:
        try:
            lines = b"".join(self._runtime.container_logs(status.id, tail=LOG_LINES))
        except RuntimeFailure as error:
            return f"Error on reading termination message from logs: {error.message}"
        return lines[-LOG_BYTES:].decode(errors="replace")

    def _file(self, uid: str, name: str, attempt: int) -> Path:
        return self._directories.container(self._node, uid, name) / str(attempt)


def _falls_back(pod: Object, status: ContainerStatus) -> bool:
    """Whether a container that ended badly and said nothing is spoken for by its log."""
    container = next((each for each in containers_of(pod) if each["name"] == status.name), {})
    return container.get("terminationMessagePolicy") == FALLBACK and status.exit_code != 0


def _cut(text: str, limit: int) -> str:
    return text.encode()[:limit].decode(errors="ignore")
