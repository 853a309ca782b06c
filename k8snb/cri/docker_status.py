"""Docker labels and states: how a pod's facts are kept on containers, and read back as CRI statuses.

Interface: the label names; `pod_labels`, `sandbox_status`, `container_status`, `limits`.
The rule not to break: everything that a status says comes from the engine, so that nothing is lost with this process.
Source: `pkg/kubelet/dockershim/convert.go` and `docker_container.go` of Kubernetes 1.23.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from k8snb.clock import parse_timestamp
from k8snb.cri import (
    CANNOT_RUN,
    CREATED,
    EXITED,
    RUNNING,
    SANDBOX_NOTREADY,
    SANDBOX_READY,
    ContainerConfig,
    ContainerResources,
    ContainerStatus,
    PodSandboxConfig,
    SandboxStatus,
)
from k8snb.cri.docker_engine import explain_start

PREFIX = "io.k8snb."
CLUSTER, RUN, OWNER, NODE, SORT, DATA = (PREFIX + word for word in ("cluster", "run", "owner", "node", "sort", "data"))
POD_NAME, POD_NAMESPACE, POD_UID, POD_IP = (PREFIX + "pod." + word for word in ("name", "namespace", "uid", "ip"))
CONTAINER, ATTEMPT, SANDBOX, IMAGE = (PREFIX + word for word in ("container", "attempt", "sandbox", "image"))
SHARED = PREFIX + "pod.shares-processes"
HOST_PID, HOST_IPC = (PREFIX + "pod.host-" + word for word in ("pid", "ipc"))
_PERIOD = 100_000  # microseconds in which a cpu quota counts
SHARES = 1024  # of a processor, for one core that is requested
_STATES = {"created": CREATED, "running": RUNNING, "paused": RUNNING, "restarting": RUNNING}


def pod_labels(config: PodSandboxConfig) -> dict[str, str]:
    shared = {HOST_PID: config.host_pid, HOST_IPC: config.host_ipc, SHARED: config.share_process_namespace}
    return {
        NODE: config.node, POD_NAME: config.name, POD_NAMESPACE: config.namespace, POD_UID: config.uid,
        **{label: "true" for label, holds in shared.items() if holds},
    }  # fmt: skip


def sandbox_config(labels: Mapping[str, str]) -> PodSandboxConfig:
    """What containers that join a sandbox have to know of it, read back."""
    return PodSandboxConfig(
        name=labels[POD_NAME], namespace=labels[POD_NAMESPACE], uid=labels[POD_UID], node=labels[NODE],
        attempt=int(labels[ATTEMPT]), share_process_namespace=SHARED in labels, host_pid=HOST_PID in labels,
        host_ipc=HOST_IPC in labels,
    )  # fmt: skip


def sandbox_status(row: Mapping[str, Any], notes: Sequence[str] = ()) -> SandboxStatus:
    labels, ready = row["Labels"], row["State"] == "running"
    return SandboxStatus(
        id=row["Id"], name=labels[POD_NAME], namespace=labels[POD_NAMESPACE], uid=labels[POD_UID],
        attempt=int(labels[ATTEMPT]), state=SANDBOX_READY if ready else SANDBOX_NOTREADY,
        created_at=float(row["Created"]), ip=labels[POD_IP] if ready else "", notes=tuple(notes),
    )  # fmt: skip


def container_status(found: Mapping[str, Any]) -> ContainerStatus:
    labels, state = found["Config"]["Labels"], found["State"]
    created, started, ended = (_seconds(text) for text in (found["Created"], state["StartedAt"], state["FinishedAt"]))
    code, text, name = state["ExitCode"], state.get("Error", ""), _STATES.get(state["Status"], EXITED)
    reason = ""
    if name == CREATED and code:
        # The engine leaves a container that could not be started in "created": for Kubernetes it has ended.
        name, reason, started, ended = EXITED, CANNOT_RUN, created, created
    elif name == EXITED:
        reason = "OOMKilled" if state.get("OOMKilled") else "Error" if code else "Completed"
    return ContainerStatus(
        id=found["Id"], sandbox_id=labels[SANDBOX], pod_uid=labels[POD_UID], name=labels[CONTAINER],
        image=labels[IMAGE], attempt=int(labels[ATTEMPT]), state=name, image_id=found["Image"], created_at=created,
        started_at=started, finished_at=ended if name == EXITED else 0.0, exit_code=code if name == EXITED else 0,
        reason=reason, message=explain_start(text) if text else "",
        resources=_resources_of(found.get("HostConfig") or {}),
    )  # fmt: skip


def _seconds(text: str) -> float:
    """The engine's time, in nanoseconds and with the year 1 for "never"."""
    if not text or text.startswith("0001-"):
        return 0.0
    return parse_timestamp(re.sub(r"(\.\d{6})\d+", r"\1", text))


def _resources_of(host: Mapping[str, Any]) -> ContainerResources:
    """What a container may use, as the engine has it."""
    quota, period, shares = host.get("CpuQuota") or 0, host.get("CpuPeriod") or _PERIOD, host.get("CpuShares") or 0
    return ContainerResources(
        cpu_request=math.ceil(shares * 1000 / SHARES) / 1000,  # the shares were rounded down from thousandths of a core
        cpu_limit=max(quota, 0) / period,
        memory_limit=max(host.get("Memory") or 0, 0),
    )


def limits(config: ContainerConfig | ContainerResources) -> dict[str, Any]:
    """What a container may use, in the engine's words."""
    found: dict[str, Any] = {}
    if config.memory_limit:
        # the same number twice: no swap beyond it, as on a node of Kubernetes
        found.update(mem_limit=config.memory_limit, memswap_limit=config.memory_limit)
    if config.cpu_limit:
        found.update(cpu_period=_PERIOD, cpu_quota=max(int(config.cpu_limit * _PERIOD), 1000))
    if config.cpu_request:
        found.update(cpu_shares=max(int(config.cpu_request * SHARES), 2))
    return found
