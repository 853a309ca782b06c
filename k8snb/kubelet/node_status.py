"""kubelet's node status: registers the node, says how it is, and shows by a lease that it lives.

Interface: `NodeStatus.start()`, `stop()`; `report()` when what `problem()` says has changed.
Source: `pkg/kubelet/kubelet_node_status.go`, `pkg/kubelet/nodestatus`; leases: KEP-589.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from k8snb.apimachinery import quantity
from k8snb.apimachinery.errors import ApiError, Postponed
from k8snb.apimachinery.meta import Object, condition, get_path, with_condition
from k8snb.apimachinery.taints import NO_SCHEDULE, UNINITIALIZED
from k8snb.client import Client
from k8snb.clock import Clock, micro_timestamp, timestamp
from k8snb.cri import Network, Runtime

LEASE_SECONDS = 40
HEARTBEAT = 10.0  # seconds between two renewals of the lease
RETRY = 1.0  # seconds until a status that could not be written is written again
REPORT = 300.0  # seconds between two reports of an unchanged status
LEASES = "kube-node-lease"
VERSION = "v1.33.0"  # the release whose API the nodes speak
CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)
FOR_THE_CLOUD = {"key": UNINITIALIZED, "value": "true", "effect": NO_SCHEDULE}
PROVIDED_IP = "alpha.kubernetes.io/provided-node-ip"
UNDER_PRESSURE = {
    "MemoryPressure": ("True", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
    "DiskPressure": ("True", "KubeletHasDiskPressure", "kubelet has disk pressure"),
}
READY = ("Ready", "True", "KubeletReady", "kubelet is posting ready status")


@dataclass(frozen=True)
class NodeSpec:
    """How a node presents itself. Empty `cpus` and `memory`: what the machine has; empty `disk`: 100Gi. `static_pods`
    is a directory with manifests of pods that the node runs by itself. `docker_host` is the address of a Docker engine
    that is not the cluster's own. `external_cloud` (upstream: `--cloud-provider=external`): no pod comes before the
    cloud was asked about the node. A container's log begins a fresh file at `container_log_max_size`, and has at most
    `container_log_max_files`, two or more.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Object] = ()
    cpus: str = ""
    memory: str = ""
    disk: str = ""
    pods: int = 110
    unschedulable: bool = False
    external_cloud: bool = False
    static_pods: str = ""
    docker_host: str = ""
    container_log_max_size: str = "10Mi"
    container_log_max_files: int = 5


def machine_memory() -> int:
    """Bytes of memory of this machine; 8 GiB where the platform does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 * 2**30


class NodeStatus:
    """One node's entry in the cluster, kept up to date until `stop`. `problem()`: why it is not ready, "" = it is."""

    def __init__(
        self, spec: NodeSpec, network: Network, runtime: Runtime, client: Client, clock: Clock, *,
        problem: Callable[[], str],
    ) -> None:  # fmt: skip
        self._spec = spec
        self._network = network
        self._runtime = runtime
        self._client = client
        self._clock = clock
        self._problem = problem
        self._stopped = False
        self._retries = False
        self.pressures: Callable[[], Collection[str]] = tuple

    def start(self) -> None:
        self.report()
        self._renew()
        self._later(REPORT, self._report_again)

    def stop(self) -> None:
        """Fall silent, as a machine does whose power is cut: the node controller will notice."""
        self._stopped = True

    def _register(self) -> None:
        existing = self._client.find("nodes", self._spec.name)
        if existing is None:
            self._client.create("nodes", self._node())
        else:
            self._client.update_status("nodes", {**existing, "status": self._status(existing)})

    def _node(self) -> Object:
        name = self._spec.name
        labels = {
            "kubernetes.io/hostname": name,
            "kubernetes.io/os": platform.system().lower(),
            "kubernetes.io/arch": _architecture(),
            **self._spec.labels,
        }
        own = self._network.pod_cidr
        spec: Object = {"podCIDR": own, "podCIDRs": [own]} if own else {}
        taints = [*self._spec.taints, *([FOR_THE_CLOUD] if self._spec.external_cloud else ())]
        if taints:
            spec["taints"] = taints
        metadata: Object = {"name": name, "labels": labels}
        if self._spec.external_cloud:
            metadata["annotations"] = {PROVIDED_IP: self._network.node_ip}
        node: Object = {"metadata": metadata, "spec": spec}
        return {**node, "status": self._status(node)}

    def _status(self, node: Object) -> Object:
        now = timestamp(self._clock.now())
        conditions = list(get_path(node, "status.conditions") or ())
        problem = self._problem()
        ready = ("Ready", "False", "KubeletNotReady", problem) if problem else READY
        under = {sort: (sort, *UNDER_PRESSURE[sort]) for sort in self.pressures()}
        usual = [under.get(row[0], row) for row in CONDITIONS]
        for sort, status, reason, message in (*usual, ready):
            entry = {"type": sort, "status": status, "reason": reason, "message": message, "lastHeartbeatTime": now}
            conditions = with_condition(conditions, entry, now)
        capacity = self.capacity()
        return {
            **(node.get("status") or {}),
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": conditions,
            "addresses": self._addresses(node),
            "nodeInfo": self._node_info(),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        }

    def _addresses(self, node: Object) -> list[Object]:
        """Those that the cloud has said stay; else what the machine knows of itself."""
        said: list[Object] | None = get_path(node, "status.addresses")
        if said and self._spec.external_cloud:
            return said
        return [
            {"type": "InternalIP", "address": self._network.node_ip},
            {"type": "Hostname", "address": self._spec.name},
        ]

    def capacity(self) -> dict[str, str]:
        """What the node has for its pods."""
        capacity = {
            "cpu": self._spec.cpus or str(os.cpu_count() or 1),
            "memory": self._spec.memory or f"{machine_memory() // 1024}Ki",
            "pods": str(self._spec.pods),
            "ephemeral-storage": self._spec.disk or "100Gi",
        }
        return {name: quantity.canonical(amount) for name, amount in capacity.items()}

    def _node_info(self) -> Object:
        return {
            "architecture": _architecture(),
            "operatingSystem": platform.system().lower(),
            "osImage": f"{platform.system()} {platform.machine()}",
            "kernelVersion": platform.release(),
            "kubeletVersion": VERSION,
            "kubeProxyVersion": VERSION,
            "containerRuntimeVersion": self._runtime.cri_version,
            "machineID": self._spec.name,
            "systemUUID": self._spec.name,
            "bootID": self._spec.name,
        }

    def _report_again(self) -> None:
        if not self._stopped:
            self._later(REPORT, self._report_again)
            self.report()

    def report(self) -> None:
        """Write the status now. Where somebody else writes it too, the next heartbeat sees to it."""
        if self._stopped:
            return
        try:
            self._register()
        except Postponed as waiting:
            waiting.then(self.report)
        except ApiError as error:
            self._tolerate(error)
            if error.passing and not self._retries:
                self._retries = True
                self._later(RETRY, self._retry)

    def _retry(self) -> None:
        self._retries = False
        self.report()

    def _tolerate(self, error: ApiError) -> None:
        """What another heartbeat may see to: somebody else was first, or the server is not well."""
        if error.code not in (403, 404, 409) and not error.passing:
            raise error

    def _renew(self) -> None:
        if self._stopped:
            return
        self._later(HEARTBEAT, self._renew)
        try:
            self._renew_lease()
            node = self._client.find("nodes", self._spec.name)
            if node is not None and (condition(node, "Ready") or {}).get("status") != str(not self._problem()):
                self._register()
        except Postponed:
            return  # the next heartbeat finds the answer there
        except ApiError as error:
            self._tolerate(error)

    def _renew_lease(self) -> None:
        name = self._spec.name
        spec = {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS,
                "renewTime": micro_timestamp(self._clock.now())}  # fmt: skip
        lease = self._client.find("leases", name, LEASES)
        if lease is None:
            self._client.create("leases", {"metadata": {"name": name, "namespace": LEASES}, "spec": spec})
        else:
            self._client.update("leases", {**lease, "spec": {**lease["spec"], **spec}})

    def _later(self, seconds: float, run: object) -> None:
        assert callable(run)
        self._clock.after(seconds, run, background=True, label=f"kubelet {self._spec.name}")


def _architecture() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
