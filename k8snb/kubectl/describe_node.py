"""kubectl describe node: the machine, its conditions, and how its resources are spoken for.

Interface: `describe_node`.
The rule not to break: what is requested is counted over the pods that have not ended.
Source: `kubectl/pkg/describe/describe.go`.
"""

from __future__ import annotations

from collections.abc import Iterable

from k8snb.apimachinery import quantity
from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of
from k8snb.apimachinery.quantity import Quantity
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
    allocatable = get_path(obj, "status.allocatable") or get_path(obj, "status.capacity") or {}
    page.line(0, f"Non-terminated Pods:\t({len(pods)} in total)")
    head = ("Namespace", "Name", "CPU Requests", "CPU Limits", "Memory Requests", "Memory Limits", "Age")
    page.table(1, head, [_pod_row(pod, allocatable, session.now()) for pod in pods])
    page.line(0, "Allocated resources:")
    page.line(1, "(Total limits may be over 100 percent, i.e., overcommitted.)")
    totals = [(resource, *(_share(_total(pods, sort, resource), allocatable.get(resource, "0"))
                           for sort in ("requests", "limits"))) for resource in ("cpu", "memory")]  # fmt: skip
    page.table(1, ("Resource", "Requests", "Limits"), totals)


def _pod_row(pod: Object, allocatable: Object, now: float) -> tuple[str, ...]:
    shares = (_share(amount(pod, sort, resource), allocatable.get(resource, "0"))
              for resource in ("cpu", "memory") for sort in ("requests", "limits"))  # fmt: skip
    return (namespace_of(pod), name_of(pod), *shares, age(pod["metadata"].get("creationTimestamp"), now))


def amount(pod: Object, sort: str, resource: str) -> Quantity:
    """What a pod's containers together request, or may use at most, of one resource."""
    amounts = [get_path(container, ("resources", sort, resource)) for container in pod["spec"]["containers"]]
    return quantity.add(each for each in amounts if each is not None)


def _total(pods: Iterable[Object], sort: str, resource: str) -> Quantity:
    return quantity.add(str(amount(pod, sort, resource)) for pod in pods)


def _share(used: Quantity, of: str) -> str:
    """`500m (12%)`."""
    whole = quantity.parse(of).milli
    return f"{used} ({used.milli * 100 // whole if whole else 0}%)"
