"""endpointslicemirroring-controller: EndpointSlices for Endpoints that somebody wrote by hand.

Interface: `EndpointSliceMirroringController`; `mirrored(endpoints)` says, without any I/O, what the slices hold.
The rule not to break: only Endpoints of a Service without selector are mirrored; those of others have slices already.
Source: `pkg/controller/endpointslicemirroring` in the kubernetes repository.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field

from k8snb.apimachinery.meta import (
    Object,
    annotations_of,
    controller_reference,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    revision_of,
    with_metadata,
)
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import WARNING
from k8snb.client.informer import Informers
from k8snb.controllers.backends import Port
from k8snb.controllers.endpointslice import MANAGED_BY, SERVICE_NAME, Group, group_of_slice
from k8snb.controllers.replicas import delete_exactly

OURS = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"  # Endpoints that are only a lock
NOT_COPIED = ("endpoints.kubernetes.io/last-change-trigger-time", "kubectl.kubernetes.io/last-applied-configuration")
MOST_ADDRESSES = 1000  # of one subset
MIRROR = "mirror"


@dataclass
class Mirrored:
    """What the slices of some Endpoints hold, by what all endpoints of a slice share; and how many are left out."""

    groups: dict[Group, list[Object]] = field(default_factory=dict)
    invalid: int = 0
    too_many: int = 0


class EndpointSliceMirroringController(Controller):
    name = "endpointslicemirroring-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.services = informers.get("services")
        self.services.on_change(self._service_changed)
        self.endpoints = informers.get("endpoints")
        self.endpoints.on_change(self._endpoints_changed)
        self.slices = informers.get("endpointslices")
        self.slices.add_index(MIRROR, _mirror_keys)
        self.slices.on_change(self._slice_changed)

    def _service_changed(self, old: Object | None, new: Object | None) -> None:
        if old is None or new is None or _has_selector(old) != _has_selector(new):
            self._look(new or old)

    def _endpoints_changed(self, old: Object | None, new: Object | None) -> None:
        self._look(new or old)

    def _look(self, obj: Object | None) -> None:
        """Look at the Endpoints of this name, unless a selector of their Service finds them."""
        assert obj is not None
        service = self.services.by_key(key_of(obj))
        if service is None or not _has_selector(service) or any(self.slices.by_index(MIRROR, key_of(obj))):
            self.queue.add(key_of(obj), revision_of(obj))

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        for obj in {id(obj): obj for obj in (old, new) if obj}.values():
            for key in _mirror_keys(obj):
                self.queue.add(key, revision_of(new or obj))

    def sync(self, key: str) -> None:
        if not self.sees_own_writes(key):
            return
        endpoints, service = self.endpoints.by_key(key), self.services.by_key(key)
        present = list(self.slices.by_index(MIRROR, key))
        if endpoints is None or service is None or _has_selector(service) or not _may_be_mirrored(endpoints):
            self._delete(key, present)
            return
        wanted = mirrored(endpoints)
        self._tell(endpoints, wanted)
        self._reconcile(key, endpoints, wanted.groups, present)

    def _tell(self, endpoints: Object, wanted: Mirrored) -> None:
        if wanted.invalid:
            words = f"Skipped {wanted.invalid} invalid IP addresses when mirroring to EndpointSlices"
            self.events.event(endpoints, WARNING, "InvalidIPAddress", words)
        if wanted.too_many:
            words = (f"A max of {MOST_ADDRESSES} addresses can be mirrored to EndpointSlices per Endpoints subset. "
                     f"{wanted.too_many + wanted.invalid} addresses were skipped")  # fmt: skip
            self.events.event(endpoints, WARNING, "TooManyAddressesToMirror", words)

    def _reconcile(self, key: str, endpoints: Object, wanted: dict[Group, list[Object]], present: list[Object]) -> None:
        """One slice for each group. A slice of a group that is gone serves for a new one, if of its address type."""
        by_group: dict[Group, list[Object]] = {}
        for one in present:
            by_group.setdefault(group_of_slice(one)._replace(mapped=""), []).append(one)
        kept = {group: by_group[group].pop(0) for group in wanted if by_group.get(group)}
        spare = [one for slices in by_group.values() for one in slices]
        for group, addresses in wanted.items():
            same = kept.get(group) or next((one for one in spare if one["addressType"] == group.address_type), None)
            if same in spare:
                spare.remove(same)
            self._write(key, mirror_slice(endpoints, group, addresses), same, endpoints)
        self._delete(key, spare)

    def _write(self, key: str, wanted: Object, present: Object | None, endpoints: Object) -> None:
        if present is None:
            if not is_deleting(endpoints):
                self.wrote(key, self.slices, self.client.create("endpointslices", wanted))
            return
        labels, annotations = labels_of(wanted), annotations_of(wanted)
        changed = {**with_metadata(present, labels=labels), "endpoints": wanted["endpoints"], "ports": wanted["ports"]}
        if annotations != annotations_of(present):
            changed = with_metadata(changed, annotations=annotations)
        if changed != present:
            self.wrote(key, self.slices, self.client.update("endpointslices", changed))

    def _delete(self, key: str, slices: list[Object]) -> None:
        for one in slices:
            self.wrote(key, self.slices, delete_exactly(self.client, "endpointslices", one))

    def subject(self, key: str) -> Object | None:
        return self.endpoints.by_key(key)


def mirrored(endpoints: Object) -> Mirrored:
    """The addresses of some Endpoints by address family and ports, each subset's first thousand."""
    found = Mirrored()
    for subset in endpoints.get("subsets") or ():
        ports, taken = _ports(subset), 0
        for address, ready in _addresses(subset):
            family = _family(address["ip"])
            if family is None:
                found.invalid += 1
            elif taken == MOST_ADDRESSES:
                found.too_many += 1
            else:
                taken += 1
                found.groups.setdefault(Group(family, ports), []).append(_endpoint(address, ready))
    return found


def mirror_slice(endpoints: Object, group: Group, addresses: list[Object]) -> Object:
    """A whole new EndpointSlice that belongs to some Endpoints."""
    annotations = {name: text for name, text in annotations_of(endpoints).items() if name not in NOT_COPIED}
    labels = {**labels_of(endpoints), SERVICE_NAME: name_of(endpoints), MANAGED_BY: OURS}
    owner = controller_reference({"apiVersion": "v1", "kind": "Endpoints", **endpoints})
    metadata = {"generateName": f"{name_of(endpoints)}-", "namespace": namespace_of(endpoints), "labels": labels,
                "ownerReferences": [owner]}  # fmt: skip
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**metadata, **({"annotations": annotations} if annotations else {})},
        "addressType": group.address_type,
        "endpoints": addresses,
        "ports": [port.as_object() for port in group.ports],
    }


def _ports(subset: Object) -> tuple[Port, ...]:
    return tuple(
        Port(port.get("name") or "", port.get("protocol", "TCP"), port["port"], port.get("appProtocol") or "")
        for port in subset.get("ports") or ()
    )


def _addresses(subset: Object) -> Iterator[tuple[Object, bool]]:
    yield from ((address, True) for address in subset.get("addresses") or ())
    yield from ((address, False) for address in subset.get("notReadyAddresses") or ())


def _endpoint(address: Object, ready: bool) -> Object:
    told = {name: address[name] for name in ("hostname", "nodeName", "targetRef") if address.get(name)}
    return {"addresses": [address["ip"]], "conditions": {"ready": ready}, **told}


def _family(address: str) -> str | None:
    """`IPv4` or `IPv6`; None for what is no address."""
    try:
        return f"IPv{ipaddress.ip_address(address).version}"
    except ValueError:
        return None


def _has_selector(service: Object) -> bool:
    return bool(service["spec"].get("selector"))


def _may_be_mirrored(endpoints: Object) -> bool:
    return labels_of(endpoints).get(SKIP) != "true" and LEADER not in annotations_of(endpoints)


def _mirror_keys(one: Object) -> list[str]:
    """Index function: the Endpoints of which a slice is the mirror."""
    labels = labels_of(one)
    name = labels.get(SERVICE_NAME) if labels.get(MANAGED_BY) == OURS else None
    return [f"{namespace_of(one)}/{name}"] if name else []
