"""endpointslice-controller: the addresses of a Service's pods in slices of at most a hundred, for kube-proxy and DNS.

Interface: `EndpointSliceController`; `plan_slices` decides, without any I/O, which slices to make, change and delete.
The rule not to break: one pod's change rewrites one slice, and endpoints do not wander between slices without need.
Source: `endpointslice/reconciler.go` in the kubernetes repository. Upstream also writes topology hints.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from k8snb.apimachinery.meta import (
    Object,
    annotations_of,
    controller_of,
    controller_reference,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    revision_of,
    with_metadata,
)
from k8snb.client.context import Context
from k8snb.client.informer import Informers
from k8snb.controllers.backends import (
    HEADLESS,
    MAPPED,
    Backend,
    BackendsController,
    Port,
    address_of,
    hostname_of,
    is_headless,
    reference_to,
    selector_of,
    takes_traffic,
)
from k8snb.controllers.pods import is_ready, node_of
from k8snb.controllers.replicas import delete_exactly

SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY, OURS = "endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io"
MOST_ENDPOINTS = 100
SERVICE = "service"
ZONE = "topology.kubernetes.io/zone"


class Group(NamedTuple):
    """What all endpoints of a slice have in common. `mapped` is the annotation's text."""

    address_type: str
    ports: tuple[Port, ...]
    mapped: str = ""


WITHOUT_PORTS = Group("IPv4", ())  # what the one empty slice of a Service without endpoints says


@dataclass
class Plan:
    """What to do about slices: (group, endpoints) to make, whole objects to change, objects to delete."""

    create: list[tuple[Group, list[Object]]] = field(default_factory=list)
    update: list[tuple[Object, list[Object]]] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)
    keep: list[Object] = field(default_factory=list)


class EndpointSliceController(BackendsController):
    name = "endpointslice-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.nodes = informers.get("nodes")
        self.slices = informers.get("endpointslices")
        self.slices.add_index(SERVICE, _service_keys)
        self.slices.on_change(self._slice_changed)

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        for obj in {id(obj): obj for obj in (old, new) if obj}.values():
            for key in _service_keys(obj):
                self.look_soon(key, revision_of(new or obj))

    def sync(self, key: str) -> None:
        service = self.services.by_key(key)
        if service is None or is_deleting(service) or selector_of(service).nothing or not self.sees_own_writes(key):
            return
        wanted: dict[Group, list[Object]] = {}
        for backend in self.backends(key, service):
            wanted.setdefault(group_of(backend), []).append(self._endpoint(service, backend.pod))
        plan = plan_slices(wanted, list(self.slices.by_index(SERVICE, key)))
        self._carry_out(key, service, plan)

    def _carry_out(self, key: str, service: Object, plan: Plan) -> None:
        template = slice_template(service)
        for group, endpoints in plan.create:
            self.wrote(key, self.slices, self.client.create("endpointslices", new_slice(template, group, endpoints)))
        for one, endpoints in plan.update:
            changed = {**_relabelled(one, template), "endpoints": endpoints}
            self.wrote(key, self.slices, self.client.update("endpointslices", changed))
        for one in plan.keep:
            if (relabelled := _relabelled(one, template)) is not one:
                self.wrote(key, self.slices, self.client.update("endpointslices", relabelled))
        for one in plan.delete:
            self.wrote(key, self.slices, delete_exactly(self.client, "endpointslices", one))

    def _endpoint(self, service: Object, pod: Object) -> Object:
        node, hostname = self.nodes.get(node_of(pod)), hostname_of(service, pod)
        zone = labels_of(node).get(ZONE) if node else None
        return {
            "addresses": [address_of(pod)],
            "conditions": {
                "ready": takes_traffic(service, pod),
                "serving": is_ready(pod),
                "terminating": is_deleting(pod),
            },
            **({"hostname": hostname} if hostname else {}),
            **({"nodeName": node_of(pod)} if node_of(pod) else {}),
            "targetRef": reference_to(pod),
            **({"zone": zone} if zone else {}),
        }


def group_of(backend: Backend) -> Group:
    kind = "IPv6" if ":" in address_of(backend.pod) else "IPv4"
    return Group(kind, backend.ports, _text(dict(backend.mapped)) if backend.mapped else "")


def group_of_slice(one: Object) -> Group:
    ports = tuple(
        Port(port.get("name") or "", port.get("protocol", "TCP"), port["port"], port.get("appProtocol") or "")
        for port in one.get("ports") or ()
    )
    return Group(one["addressType"], ports, annotations_of(one).get(MAPPED, ""))


def plan_slices(wanted: dict[Group, list[Object]], present: Iterable[Object]) -> Plan:
    """Endpoints stay where they are; a slice that changes anyway is filled first; a Service without any keeps one."""
    plan = Plan()
    by_group: dict[Group, list[Object]] = {}
    for one in present:
        by_group.setdefault(group_of_slice(one), []).append(one)
    for group in wanted or (WITHOUT_PORTS,):
        _plan_group(plan, group, wanted.get(group, []), by_group.pop(group, []), empty_stays=not wanted)
    plan.delete += [one for slices in by_group.values() for one in slices]
    return plan


def _plan_group(plan: Plan, group: Group, wanted: list[Object], slices: list[Object], *, empty_stays: bool) -> None:
    missing = {_identity(endpoint): endpoint for endpoint in wanted}
    kept = [[missing.pop(i) for e in one.get("endpoints") or () if (i := _identity(e)) in missing] for one in slices]
    left = list(missing.values())
    for at in _worth_filling(slices, kept, len(left)):
        room = MOST_ENDPOINTS - len(kept[at])
        kept[at], left = kept[at] + left[:room], left[room:]
    for one, endpoints in zip(slices, kept, strict=True):
        if not endpoints and (wanted or not empty_stays):
            plan.delete.append(one)
        elif endpoints != (one.get("endpoints") or []):
            plan.update.append((one, endpoints))
        else:
            plan.keep.append(one)
    plan.create += [(group, left[at : at + MOST_ENDPOINTS]) for at in range(0, len(left), MOST_ENDPOINTS)]
    if empty_stays and not slices:
        plan.create.append((group, []))


def _worth_filling(slices: list[Object], kept: list[list[Object]], left: int) -> list[int]:
    """The slices that change anyway, fullest first; then, for what is left over, one that has room for all of it."""
    changed = [at for at, one in enumerate(slices) if kept[at] != (one.get("endpoints") or [])]
    changed.sort(key=lambda at: -len(kept[at]))
    rest = left - sum(MOST_ENDPOINTS - len(kept[at]) for at in changed)
    part = rest % MOST_ENDPOINTS if rest > 0 else 0
    roomy = [at for at in range(len(slices)) if at not in changed and len(kept[at]) + part <= MOST_ENDPOINTS]
    if rest <= 0 or rest > part or not roomy:
        return changed
    return [*changed, max(roomy, key=lambda at: len(kept[at]))]


def _identity(endpoint: Object) -> str:
    target = endpoint.get("targetRef")
    return target["uid"] if target else ",".join(endpoint["addresses"])


def slice_template(service: Object) -> Object:
    """The metadata of every slice of a Service."""
    labels = {
        **labels_of(service),
        SERVICE_NAME: name_of(service),
        MANAGED_BY: OURS,
        **({HEADLESS: ""} if is_headless(service) else {}),
    }
    return {
        "generateName": f"{name_of(service)}-",
        "namespace": namespace_of(service),
        "labels": labels,
        "ownerReferences": [controller_reference(service)],
    }


def new_slice(metadata: Object, group: Group, endpoints: list[Object]) -> Object:
    annotations = {"annotations": {MAPPED: group.mapped}} if group.mapped else {}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**metadata, **annotations},
        "addressType": group.address_type,
        "endpoints": endpoints,
        "ports": [port.as_object() for port in group.ports],
    }


def _relabelled(one: Object, template: Object) -> Object:
    """The slice with the Service's labels; itself where it has them."""
    same = labels_of(one) == template["labels"]
    return one if same else with_metadata(one, labels=template["labels"])


def _service_keys(one: Object) -> list[str]:
    """Index function: the Service of a slice that this controller manages."""
    labels, owner = labels_of(one), controller_of(one)
    if labels.get(MANAGED_BY) != OURS:
        return []
    name = labels.get(SERVICE_NAME) or (owner["name"] if owner else "")
    return [f"{namespace_of(one)}/{name}"] if name else []


def _text(mapping: dict[str, int]) -> str:
    return json.dumps(mapping, separators=(",", ":"), sort_keys=True)
