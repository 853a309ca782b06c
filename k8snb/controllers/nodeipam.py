"""node-ipam-controller: gives every node a range of its own, from which its pods get their addresses.

Interface: `NodeIpamController(context, informers, cluster_cidr=…)`; `CidrSet`, which range is whose.
The rule not to break: no two nodes have ranges that overlap, whoever gave them: a range that a node has already is
occupied before any is given away.
Source: `pkg/controller/nodeipam/ipam/range_allocator.go` and `cidrset/cidr_set.go` in the kubernetes repository;
`--allocate-node-cidrs`, `--cluster-cidr`, `--node-cidr-mask-size`. Upstream also gives out IPv6 ranges.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from k8snb.apimachinery.meta import Object, get_path, is_deleting, name_of
from k8snb.client.client import MERGE
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import NORMAL, EventRecorder
from k8snb.client.informer import Informers

MASK_SIZE = 24


class CidrSet:
    """The ranges of one size in a larger one. `reserved` are never given away."""

    def __init__(self, cidr: str, mask_size: int = MASK_SIZE, reserved: Iterable[str] = ()) -> None:
        whole = ipaddress.IPv4Network(cidr)
        if mask_size < whole.prefixlen:
            raise ValueError(f"the cluster's range {cidr} is smaller than the range of one node, /{mask_size}")
        self._base = int(whole.network_address)
        self._whole = whole
        self._size = 2 ** (32 - mask_size)
        self._mask_size = mask_size
        self._count = whole.num_addresses // self._size
        self._next = 0
        self._used: set[int] = set()
        for each in reserved:
            self.occupy(each)

    def allocate_next(self) -> str | None:
        """The first free range behind the one that was given last; None when all are used up."""
        for step in range(self._count if len(self._used) < self._count else 0):
            number = (self._next + step) % self._count
            if number not in self._used:
                self._used.add(number)
                self._next = number + 1
                return f"{ipaddress.IPv4Address(self._base + number * self._size)}/{self._mask_size}"
        return None

    def occupy(self, cidr: str) -> None:
        self._used.update(self._numbers(cidr))

    def release(self, cidr: str) -> None:
        self._used.difference_update(self._numbers(cidr))

    def _numbers(self, cidr: str) -> Iterable[int]:
        """Which of the ranges an address range touches."""
        try:
            touched = ipaddress.IPv4Network(cidr)
        except ValueError:
            return ()
        if not touched.overlaps(self._whole):
            return ()
        first = (int(touched.network_address) - self._base) // self._size
        last = (int(touched.broadcast_address) - self._base) // self._size
        return range(max(first, 0), min(last, self._count - 1) + 1)


class NodeIpamController(Controller):
    name = "node-controller"

    def __init__(
        self, context: Context, informers: Informers, *, cluster_cidr: str, reserved: Iterable[str] = ()
    ) -> None:  # fmt: skip
        super().__init__(context, informers)
        self.events = EventRecorder(self.client, "cidrAllocator", self.clock)
        self._ranges = CidrSet(cluster_cidr, reserved=reserved)
        self._held: dict[str, str] = {}
        self._without: dict[str, None] = {}  # nodes for which nothing was left, in their order
        self.nodes = informers.get("nodes")
        self.nodes.on_change(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        """Ranges that nodes have are occupied at once, before the first node without one is looked at."""
        name = name_of(new or old or {"metadata": {}})
        held = get_path(new, "spec.podCIDR") if new is not None else None
        if held and self._held.get(name) != held:
            self._held[name] = held
            self._ranges.occupy(held)
        if new is None:
            self._release(name)
        elif not held and (old is None or get_path(old, "spec.podCIDR")):
            self.enqueue(new)

    def _release(self, name: str) -> None:
        self._without.pop(name, None)
        held = self._held.pop(name, None)
        if held is not None:
            self._ranges.release(held)
            for waiting in list(self._without)[:1]:
                self.queue.add(waiting)

    def sync(self, key: str) -> None:
        node = self.nodes.by_key(key)
        if node is None or get_path(node, "spec.podCIDR") or is_deleting(node):
            return
        given = self._held.get(key) or self._ranges.allocate_next()
        if given is None:
            self._without[key] = None
            self.events.event(node, NORMAL, "CIDRNotAvailable", f"Node {key} status is now: CIDRNotAvailable")
            return
        self._held[key] = given
        self._without.pop(key, None)
        exactly = {"uid": node["metadata"]["uid"]}
        patch = {"metadata": exactly, "spec": {"podCIDR": given, "podCIDRs": [given]}}
        self.client.patch("nodes", key, patch, content_type=MERGE)
