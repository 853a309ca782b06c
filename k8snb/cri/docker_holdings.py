"""What a Docker engine holds of a cluster: everything with the cluster's label, and nothing else.

Interface: `Holdings.list(*labels)`, `remove(container)`, `remove_all(label)`, `remove_networks(label)`,
`clear_leftovers()`, `container_name(…)`, `pod_processes()`.
The rule not to break: nothing without this cluster's label is ever listed, touched or removed.
Source: `pkg/kubelet/dockershim/naming.go` of Kubernetes 1.23 for the names.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from k8snb.cri import Kept, PodSandboxConfig, RuntimeFailure
from k8snb.cri.docker_engine import ignoring, translated
from k8snb.cri.docker_status import CLUSTER, DATA, OWNER, POD_IP, RUN, SORT


class Holdings:
    """One cluster's containers and networks on one engine. `labels` are for all that is made, `run` for this run's.

    What a cluster with a data directory leaves is its own when it comes back: that is the same run then.
    """

    def __init__(self, api: Any, cluster: str, kept: Kept | None = None) -> None:
        self._api = api
        self._cluster = cluster
        self._data = str(kept.directory) if kept is not None else ""
        run = (kept is not None and kept.pod_cidr and self._earlier_run()) or f"{cluster}-{secrets.token_hex(4)}"
        self.run = f"{RUN}={run}"
        data = {DATA: self._data} if self._data else {}
        self.labels = {CLUSTER: cluster, RUN: run, OWNER: f"{socket.gethostname()}/{os.getpid()}", **data}
        self.network_name = f"k8snb-{_safe(run)}"
        self._processes: dict[str, int] = {}  # of sandboxes; 0 where the network is the node's

    def container_name(self, name: str, pod: PodSandboxConfig, attempt: int) -> str:
        words = (self._cluster, name, pod.name, pod.namespace, pod.uid, str(attempt))
        return _safe("k8snb_" + "_".join(words))

    def list(self, *labels: str) -> list[Any]:
        """The containers of this run that have these labels (name=value)."""
        return [*self._containers(self.run, *labels)]

    def _containers(self, *labels: str) -> Sequence[Any]:
        with translated("RuntimeNotReady", "cannot list containers"):
            return [*self._api.containers(all=True, filters={"label": [f"{CLUSTER}={self._cluster}", *labels]})]

    def pod_processes(self) -> dict[str, int]:
        """The process that holds each pod's network namespace, as the engine's machine numbers it, by pod address."""
        rows = [row for row in self.list(f"{SORT}=sandbox") if row["State"] == "running"]
        for row in [row for row in rows if row["Id"] not in self._processes]:
            with translated("RuntimeNotReady", "cannot inspect a pod's sandbox"), ignoring(404):
                found = self._api.inspect_container(row["Id"])
                own = found["HostConfig"]["NetworkMode"] != "host"
                self._processes[row["Id"]] = found["State"]["Pid"] if own else 0
        living = {row["Id"]: row["Labels"][POD_IP] for row in rows}
        self._processes = {sandbox: pid for sandbox, pid in self._processes.items() if sandbox in living}
        return {living[sandbox]: process for sandbox, process in self._processes.items() if process}

    def remove(self, container_id: str) -> None:
        # 409: somebody else is removing it at this moment
        with translated("RemoveContainerError", "cannot remove the container"), ignoring(404, 409):
            self._api.remove_container(container_id, force=True, v=True)

    def remove_all(self, label: str) -> None:
        """Remove containers, those that joined another's namespaces before the one they joined."""
        self._remove_rows(self.list(label))

    def _remove_rows(self, rows: Iterable[Any]) -> None:
        rows = [*rows]
        with ThreadPoolExecutor(8, thread_name_prefix="k8snb-docker") as pool:
            for sort in ("container", "sandbox"):
                for _ in pool.map(self.remove, [row["Id"] for row in rows if row["Labels"].get(SORT) == sort]):
                    pass

    def remove_networks(self, label: str) -> None:
        with translated("NetworkNotReady", "cannot remove the cluster's network"):
            for row in self._networks(label):
                self._api.remove_network(row["Id"])

    def _networks(self, *labels: str) -> Sequence[Any]:
        return [*self._api.networks(filters={"label": [f"{CLUSTER}={self._cluster}", *labels]})]

    def clear_leftovers(self) -> None:
        """Remove what a cluster of this name left when its kernel died; refuse to share the name with a living one.

        What belongs to another data directory that is still there is left for the cluster that comes back to it.
        """
        containers, networks = self._containers(), self._networks()
        for row in [*containers, *networks]:
            self._refuse_living(row.get("Labels") or {})
        self._remove_rows(row for row in containers if self._is_left_over(row["Labels"]))
        for row in networks:
            if self._is_left_over(row["Labels"]):
                self._api.remove_network(row["Id"])

    def _refuse_living(self, labels: Mapping[str, str]) -> None:
        owner = labels.get(OWNER, "")
        if not labels.get(DATA) and _alive(owner):
            message = f'cluster "{self._cluster}" is already running on this Docker engine (process {owner})'
            raise RuntimeFailure("RuntimeNotReady", f"{message}: stop it there, or give this one another name")

    def _is_left_over(self, labels: Mapping[str, str]) -> bool:
        data = labels.get(DATA, "")
        if data and data == self._data:
            return labels.get(RUN) != self.labels[RUN]
        return not data or not Path(data).is_dir()

    def _earlier_run(self) -> str:
        """The run that this data directory belongs to, "" where nothing is left of it."""
        found = [*self._networks(f"{DATA}={self._data}"), *self._containers(f"{DATA}={self._data}")]
        return str(found[0]["Labels"][RUN]) if found else ""


def _alive(owner: str) -> bool:
    """Whether the process that made a container is another one that still runs (on another host: yes)."""
    host, _, process = owner.rpartition("/")
    if not process.isdigit() or int(process) == os.getpid():
        return False
    if host != socket.gethostname():
        return True
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _safe(name: str) -> str:
    """A name of the characters that Docker allows."""
    return re.sub(r"[^a-zA-Z0-9_.-]", "-", name)
