"""kubectl describe node: the machine, its conditions, and how its resources are spoken for.

Interface: `describe_node`.
The rule not to break: what is requested is counted over the pods that have not ended.
Source: `kubectl/pkg/describe/describe.go`.
"""

from __future__ import annotations

from collections.abc import Iterable

from k8snb.apimachinery import pod_resources, quantity
from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of
from k8snb.apimachinery.pod_resources import Amounts
from k8snb.kubectl.describe_page import Page, annotation_lines, conditions, labels_lines, time_text
from k8snb.kubectl.session import Session
from k8snb.printers.columns import node_roles
from k8snb.printers.duration import age

_INFO = ("machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "operatingSystem", "architecture",
         "containerRuntimeVersion", "kubeletVersion", "kubeProxyVersion")  # fmt: skip
_LABELS = {"machineID": "Machine ID", "systemUUID": "System UUID", "bootID": "Boot ID", "osImage": "OS Image",
           "containerRuntimeVersion": "Container Runtime Version", "kubeletVersion": "Kubelet Version",
           "kernelVersion": "Kernel Version", "kubeProxyVersion": "Kube-Proxy Version",
           "operatingSystem": "Operating System", "architecture": "Architecture"}  # fmt: skip
NOTHING = quantity.parse("0")
_MEASURED, _HUGE = ("cpu", "memory", "ephemeral-storage"), "hugepages-"  # the rest is counted, and has no share
# kubectl leaves a column empty beside the names of the pods.
_PODS_RULE = ("---------", "----\t", "------------", "----------", "---------------", "-------------", "---")
_CONDITIONS = ("Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message")


def describe_node(session: Session, obj: Object, page: Page) -> None:
    metadata, spec, state = obj["metadata"], obj.get("spec") or {}, obj.get("status") or {}
    page.line(0, f"Name:\t{metadata['name']}")
    page.line(0, f"Roles:\t{node_roles(obj)}")
    page.lines(0, "Labels", labels_lines(metadata.get("labels")))
    page.lines(0, "Annotations", annotation_lines(metadata.get("annotations")))
    page.line(0, f"CreationTimestamp:\t{time_text(metadata.get('creationTimestamp'))}")
    page.lines(0, "Taints", [taint_text(taint) for taint in spec.get("taints") or ()])
    page.line(0, f"Unschedulable:\t{str(bool(spec.get('unschedulable'))).lower()}")
    _lease(session, obj, page)
    conditions(page, obj, _CONDITIONS)
    _pairs(page, "Addresses", [(entry["type"], entry["address"]) for entry in state.get("addresses") or ()])
    for name in ("capacity", "allocatable"):
        _pairs(page, name.capitalize(), sorted((state.get(name) or {}).items()))
    _info(state.get("nodeInfo") or {}, page)
    if spec.get("podCIDR"):
        page.line(0, f"PodCIDR:\t{spec['podCIDR']}")
    if spec.get("podCIDRs"):
        page.line(0, f"PodCIDRs:\t{','.join(spec['podCIDRs'])}")
    if spec.get("providerID"):
        page.line(0, f"ProviderID:\t{spec['providerID']}")
    _pods(session, obj, page)


def taint_text(taint: Object) -> str:
    """`key=value:Effect`."""
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


def _lease(session: Session, obj: Object, page: Page) -> None:
    lease = session.client.find("leases", name_of(obj), "kube-node-lease")
    if lease is None:
        return
    spec = lease.get("spec") or {}
    page.line(0, "Lease:")
    page.line(1, f"HolderIdentity:\t{spec.get('holderIdentity') or '<unset>'}")
    page.line(1, f"AcquireTime:\t{time_text(spec.get('acquireTime'))}")
    page.line(1, f"RenewTime:\t{time_text(spec.get('renewTime'))}")


def _pairs(page: Page, label: str, pairs: Iterable[tuple[str, str]]) -> None:
    listed = list(pairs)
    if listed:
        page.line(0, f"{label}:")
        for name, value in listed:
            page.line(1, f"{name}:\t{value}")


def _info(info: Object, page: Page) -> None:
    page.line(0, "System Info:")
    for field in _INFO:
        if field in info:
            page.line(1, f"{_LABELS[field]}:\t{info[field]}")


# what the pods request


def _pods(session: Session, obj: Object, page: Page) -> None:
    everything = session.client.items("pods", fieldSelector=f"spec.nodeName={name_of(obj)}")
    pods = [pod for pod in everything if get_path(pod, "status.phase") not in ("Succeeded", "Failed")]
    allocatable = pod_resources.amounts(get_path(obj, "status.allocatable") or get_path(obj, "status.capacity"))
    page.line(0, f"Non-terminated Pods:\t({len(pods)} in total)")
    head = ("Namespace", "Name\t", "CPU Requests", "CPU Limits", "Memory Requests", "Memory Limits", "Age")
    page.table(1, head, [_pod_row(pod, allocatable, session.now()) for pod in pods], rule=_PODS_RULE)
    page.line(0, "Allocated resources:")
    page.line(1, "(Total limits may be over 100 percent, i.e., overcommitted.)")
    asked, most = (pod_resources.total(of(pod) for pod in pods) for of in (pod_resources.requests,
                                                                          pod_resources.limits))  # fmt: skip
    others = sorted(allocatable.keys() - {*_MEASURED, "pods"})
    huge = [name for name in others if name.startswith(_HUGE)]
    shares = [(name, _share(asked, allocatable, name), _share(most, allocatable, name)) for name in (*_MEASURED, *huge)]
    counts = [(name, *(str(each.get(name, NOTHING)) for each in (asked, most))) for name in others if name not in huge]
    page.table(1, ("Resource", "Requests", "Limits"), [*shares, *counts])


def _pod_row(pod: Object, allocatable: Amounts, now: float) -> tuple[str, ...]:
    both = pod_resources.requests(pod), pod_resources.limits(pod)
    shares = (_share(amounts, allocatable, resource) for resource in ("cpu", "memory") for amounts in both)
    return (namespace_of(pod), f"{name_of(pod)}\t", *shares, age(pod["metadata"].get("creationTimestamp"), now))


def _share(used: Amounts, of: Amounts, resource: str) -> str:
    """`500m (12%)`."""
    part, whole = used.get(resource, NOTHING), of.get(resource, NOTHING).milli
    return f"{part} ({part.milli * 100 // whole if whole else 0}%)"
