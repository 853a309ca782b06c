"""The scheduler's cache: every node with what its pods have asked for, kept up event by event.

Interface: `Cache` takes nodes and pods from the informers, and assumes pods whose binding is on its way; `NodeInfo`
is what plug-ins see of a node.
The rule not to break: a change costs the same however many nodes and pods there are; `generation` tells what has
changed.
Source: `pkg/scheduler/backend/cache` in the kubernetes repository, which copies changed nodes into a snapshot for
each pod.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from k8snb.apimachinery.meta import Object, controller_of, labels_of, name_of, namespace_of, uid_of
from k8snb.apimachinery.taints import PREFER_NO_SCHEDULE
from k8snb.scheduler.pod_index import PodIndex, Shape, shape_of
from k8snb.scheduler.requests import Amounts, HostPort, Request, amounts, request_of

ZONE = "topology.kubernetes.io/zone"
KEPT_GONE = 1000  # nodes that have gone and are still told of


class NodeInfo:
    """A node and the sum of its pods. Read-only for plug-ins. `node` is the Node object."""

    __slots__ = (
        "allocatable", "cpu", "generation", "groups", "images", "labels", "max_pods", "memory", "name", "node",
        "placed", "pods", "ports", "requested", "shapes", "taints", "unschedulable", "zone",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.node: Object | None = None
        self.labels: dict[str, str] = {}
        self.zone = ""
        self.taints: list[Object] = []
        self.unschedulable = False
        self.allocatable: Amounts = {}
        self.max_pods = 0
        self.requested: Amounts = {}
        self.cpu = 0  # requested, where a container that asks for nothing counts as a little
        self.memory = 0
        self.pods = 0
        self.placed: dict[str, Placed] = {}
        self.ports: Counter[HostPort] = Counter()
        self.groups: Counter[str] = Counter()  # pods by controller
        self.shapes: Counter[Shape] = Counter()  # pods by what selectors see of them
        self.images: dict[str, int] = {}  # bytes, by every name that an image on the node has
        self.generation = 0

    def __repr__(self) -> str:
        return f"NodeInfo({self.name}: {self.pods} pods, {self.requested} of {self.allocatable})"

    def free(self, resource: str) -> int:
        """How much of a resource nobody has asked for."""
        return self.allocatable.get(resource, 0) - self.requested.get(resource, 0)

    @property
    def has_mild_taint(self) -> bool:
        return any(taint["effect"] == PREFER_NO_SCHEDULE for taint in self.taints)

    def _set_node(self, node: Object) -> None:
        spec = node.get("spec") or {}
        self.node = node
        self.labels = labels_of(node)
        self.zone = self.labels.get(ZONE, "")
        self.taints = spec.get("taints") or []
        self.unschedulable = bool(spec.get("unschedulable"))
        status = node.get("status") or {}
        self.allocatable = amounts(status.get("allocatable") or status.get("capacity"))
        self.max_pods = self.allocatable.pop("pods", 0)
        images = status.get("images") or ()
        self.images = {name: image.get("sizeBytes") or 0 for image in images for name in image.get("names") or ()}

    def _count_shape(self, shape: Shape, sign: int) -> None:
        self.shapes[shape] += sign
        if not self.shapes[shape]:
            del self.shapes[shape]

    def _count(self, request: Request, group: str, sign: int) -> None:
        for resource, amount in request.needed.items():
            self.requested[resource] = self.requested.get(resource, 0) + sign * amount
        self.cpu += sign * request.cpu
        self.memory += sign * request.memory
        self.pods += sign
        for port in request.ports:
            self.ports[port] += sign
        if group:
            self.groups[group] += sign
            if not self.groups[group]:
                del self.groups[group]


class Placed(NamedTuple):
    """A pod that counts on a node."""

    uid: str
    node: str
    request: Request
    group: str
    pod: Object
    shape: Shape


class Cache:
    def __init__(self) -> None:
        self.nodes: list[NodeInfo] = []  # those whose Node object is there
        self.generation = 0
        self.index = PodIndex()
        self.mild_taints = 0  # nodes with a taint of effect PreferNoSchedule
        self.zone_groups: Counter[tuple[str, str]] = Counter()  # pods by (controller, zone)
        self.images: Counter[str] = Counter()  # nodes that have an image
        self._infos: dict[str, NodeInfo] = {}
        self._placed: dict[str, Placed] = {}
        self._changes: dict[str, NodeInfo] = {}  # the latest last
        self._known_since = 0  # the generation from which on all changes are known

    def changed_since(self, generation: int) -> Iterable[NodeInfo] | None:
        """The nodes that have changed after a generation, also those that have gone; None where that is not known.

        The cache must not be changed while somebody goes over them.
        """
        if generation < self._known_since:
            return None
        return itertools.takewhile(lambda info: info.generation > generation, reversed(self._changes.values()))

    # nodes

    def node(self, name: str) -> NodeInfo | None:
        info = self._infos.get(name)
        return info if info is not None and info.node is not None else None

    def set_node(self, node: Object) -> None:
        info = self._info(name_of(node))
        if info.node is None:
            self.nodes.append(info)
        self._move_zone(info, labels_of(node).get(ZONE, ""))
        self._tell_of(info, -1)
        info._set_node(node)
        self._tell_of(info, 1)
        self._touch(info)

    def remove_node(self, name: str) -> None:
        info = self._infos.get(name)
        if info is None or info.node is None:
            return
        self._move_zone(info, "")
        self._tell_of(info, -1)
        info.node, info.taints, info.images = None, [], {}
        self.nodes.remove(info)
        self._touch(info)
        self._drop_if_empty(info)

    def _tell_of(self, info: NodeInfo, sign: int) -> None:
        """What is counted over all nodes."""
        self.mild_taints += sign * info.has_mild_taint
        for image in info.images:
            self.images[image] += sign
            if not self.images[image]:
                del self.images[image]

    def _move_zone(self, info: NodeInfo, zone: str) -> None:
        """A node that changes its zone takes its pods along."""
        if info.zone != zone:
            for group, pods in info.groups.items():
                self.zone_groups[group, info.zone] -= pods
                self.zone_groups[group, zone] += pods
            info.zone = zone

    # pods

    def place(self, key: str, pod: Object, node: str, request: Request | None = None) -> None:
        """Count a pod on a node: from the informer, or assumed while its binding is on its way. Twice is once."""
        known = self._placed.get(key)
        if known is not None and known.uid == uid_of(pod) and known.node == node:
            self._renew(key, known, pod)
            return
        self.displace(key)
        placed = Placed(uid_of(pod), node, request or request_of(pod), group_of(pod), pod, shape_of(pod))
        self._placed[key] = placed
        self._count(key, placed, 1)

    def _renew(self, key: str, known: Placed, pod: Object) -> None:
        """A pod where it was; its labels may be others by now."""
        shape = shape_of(pod)
        if shape != known.shape:
            self.index.count(known.shape, known.node, -1)
            self.index.count(shape, known.node, 1)
            info = self._info(known.node)
            info._count_shape(known.shape, -1)
            info._count_shape(shape, 1)
            self._touch(info)
        renewed = known._replace(pod=pod, shape=shape)
        self._placed[key] = self._info(known.node).placed[key] = renewed

    def counts(self, key: str, uid: str) -> bool:
        """Whether this very pod counts on some node."""
        placed = self._placed.get(key)
        return placed is not None and placed.uid == uid

    def displace(self, key: str) -> bool:
        """Take a pod off its node. Returns whether it was on one."""
        placed = self._placed.pop(key, None)
        if placed is not None:
            self._count(key, placed, -1)
        return placed is not None

    def _count(self, key: str, placed: Placed, sign: int) -> None:
        info = self._info(placed.node)
        if sign > 0:
            info.placed[key] = placed
        else:
            info.placed.pop(key, None)
        self.index.count(placed.shape, placed.node, sign)
        info._count_shape(placed.shape, sign)
        info._count(placed.request, placed.group, sign)
        if placed.group:
            self.zone_groups[placed.group, info.zone] += sign
            if not self.zone_groups[placed.group, info.zone]:
                del self.zone_groups[placed.group, info.zone]
        self._touch(info)
        self._drop_if_empty(info)

    def _info(self, name: str) -> NodeInfo:
        info = self._infos.get(name)
        if info is None:
            info = self._infos[name] = NodeInfo(name)
        return info

    def _touch(self, info: NodeInfo) -> None:
        self.generation += 1
        info.generation = self.generation
        self._changes.pop(info.name, None)
        self._changes[info.name] = info
        if len(self._changes) > 2 * len(self._infos) + KEPT_GONE:
            self._changes = {name: known for name, known in self._changes.items() if name in self._infos}
            self._known_since = self.generation

    def _drop_if_empty(self, info: NodeInfo) -> None:
        if info.node is None and not info.pods:
            self._infos.pop(info.name, None)


def group_of(pod: Object) -> str:
    """Pods of one controller belong together and are spread: its uid, "" for a pod of its own."""
    owner = controller_of(pod)
    return f"{namespace_of(pod)}/{owner['uid']}" if owner else ""
