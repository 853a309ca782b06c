"""Revival: the machines of a fork, as the Node objects of its first moment tell of them.

Interface: `runtime_for(nodes, old, clock)`, `specs_for(nodes, known)`, `awake(nodes)`, `known_times(history)`,
`give_back_leases(store, moment)`.
The rule not to break: the fork's machines are those of then; nodes that joined later are not there, and those that have
gone since are back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from k8snb.apimachinery.kinds import BY_GVK
from k8snb.apimachinery.meta import Object, condition, get_path, name_of, with_path
from k8snb.apiserver.history import History
from k8snb.client.leaderelection import NAMESPACE
from k8snb.clock import Clock
from k8snb.cri import Network, RangeTaker, Runtime
from k8snb.cri.simulated_restore import RestoredRuntime
from k8snb.etcd import Store
from k8snb.kubelet.actions import STATUSES, runtime_id
from k8snb.kubelet.node_status import NodeSpec
from k8snb.kubelet.restoring import Times
from k8snb.trace import Origin

LEASE = BY_GVK["coordination.k8s.io/v1", "Lease"]


def runtime_for(nodes: Iterable[Object], old: Runtime, clock: Clock) -> RestoredRuntime:
    """A runtime on a clock of its own, with these nodes and their addresses."""
    ranges = {"pod_cidr": old.cluster_cidr} if isinstance(old, RangeTaker) else {}
    made = RestoredRuntime(clock, service_cidr=old.service_cidr, **ranges)
    for node in nodes:
        addresses = {each["type"]: each["address"] for each in get_path(node, "status.addresses") or ()}
        if "InternalIP" in addresses and get_path(node, "spec.podCIDR"):
            network = Network(node_ip=addresses["InternalIP"], pod_cidr=node["spec"]["podCIDR"])
            made.restore_node(name_of(node), network)
    return made


def specs_for(nodes: Iterable[Object], known: Mapping[str, NodeSpec]) -> dict[str, NodeSpec]:
    """The machines' specs; of one that has been deleted since, what its Node says."""
    return {name_of(node): known.get(name_of(node)) or _spec(node) for node in nodes}


def _spec(node: Object) -> NodeSpec:
    capacity = get_path(node, "status.capacity") or {}
    return NodeSpec(
        name_of(node), cpus=str(capacity.get("cpu", "")), memory=capacity.get("memory", ""),
        disk=capacity.get("ephemeral-storage", ""), pods=int(capacity.get("pods", 110)), external_cloud=True,
    )  # fmt: skip


def awake(nodes: Iterable[Object]) -> frozenset[str]:
    """The nodes that were heard of: the others stay switched off."""
    return frozenset(
        name_of(node) for node in nodes if (condition(node, "Ready") or {}).get("status") != "Unknown"
    )  # fmt: skip


def known_times(history: History) -> Times:
    """When containers began and ended, to the fraction that their statuses leave out: it was written at once."""
    found: dict[tuple[str, str], float] = {}
    for change in history.backwards():
        if change.kind.builtin == "pods":
            for entry in (each for field in STATUSES for each in get_path(change.obj, f"status.{field}") or ()):
                for word, state in (entry.get("state") or {}).items():
                    found[runtime_id(state.get("containerID") or entry.get("containerID", "")), word] = change.time
    return found


def give_back_leases(store: Store, moment: float) -> None:
    """Whoever led then is not here: the fork's own components need not wait until the leases have run out."""
    origin = Origin("system:apiserver", "update", 0, moment)
    for record in store.range(f"{LEASE.prefix}{NAMESPACE}/")[0]:
        if get_path(record.value, "spec.holderIdentity"):
            free = with_path(record.value, "spec.holderIdentity", "")
            store.put(record.key, {**free, "metadata": {**free["metadata"]}}, expected=record.revision, origin=origin)
