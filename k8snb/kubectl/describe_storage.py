"""kubectl describe for volumes, claims, storage classes and the storage drivers of a node.

Interface: `describe_volume`, `describe_claim`, `describe_storage_class`, `describe_node_drivers`.
The rule not to break: "Used By" names pods that are there, whether they run or not.
Source: `describePersistentVolume`, `describePersistentVolumeClaim`, `describeStorageClass`, `describeCSINode` in
`kubectl/pkg/describe/describe.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from k8snb.apimachinery.meta import Object, get_path, is_deleting, key_of, name_of, namespace_of
from k8snb.apimachinery.quantity import canonical
from k8snb.apimachinery.storage import claim_key, claim_keys, class_of, is_default, short_modes, source_of
from k8snb.clock import parse_timestamp
from k8snb.kubectl.describe_page import Page, annotation_lines, labels_lines, meta_lines, time_text
from k8snb.kubectl.session import Session
from k8snb.printers.duration import human

# A volume's source: its type line, and the fields to show as (name, path).
_SOURCES: Mapping[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "hostPath": ("HostPath (bare host directory volume)", (("Path", "path"), ("HostPathType", "type"))),
    "local": ("LocalVolume (a persistent volume backed by local storage on a node)", (("Path", "path"),)),
    "nfs": ("NFS (an NFS mount that lasts the lifetime of a pod)",
            (("Server", "server"), ("Path", "path"), ("ReadOnly", "readOnly"))),
    "csi": ("CSI (a Container Storage Interface (CSI) volume source)",
            (("Driver", "driver"), ("FSType", "fsType"), ("VolumeHandle", "volumeHandle"), ("ReadOnly", "readOnly"),
             ("VolumeAttributes", "volumeAttributes"))),
}  # fmt: skip


def describe_volume(session: Session, obj: Object, page: Page) -> None:
    spec = obj.get("spec") or {}
    meta_lines(page, obj, namespaced=False)
    _finalizers(obj, page)
    page.line(0, f"StorageClass:\t{class_of(obj) or ''}")
    _status(session, obj, page)
    page.line(0, f"Claim:\t{claim_key(obj)}")
    page.line(0, f"Reclaim Policy:\t{spec.get('persistentVolumeReclaimPolicy', '')}")
    page.line(0, f"Access Modes:\t{short_modes(spec.get('accessModes') or ())}")
    if spec.get("volumeMode"):
        page.line(0, f"VolumeMode:\t{spec['volumeMode']}")
    page.line(0, f"Capacity:\t{canonical(get_path(spec, 'capacity.storage', '0'))}")
    _node_affinity(get_path(spec, "nodeAffinity.required"), page)
    page.line(0, f"Message:\t{get_path(obj, 'status.message', '')}")
    page.line(0, "Source:")
    for name, source in source_of(obj).items():
        _source(name, source, page)


def _finalizers(obj: Object, page: Page) -> None:
    page.line(0, f"Finalizers:\t[{' '.join(obj['metadata'].get('finalizers') or ())}]")


def _status(session: Session, obj: Object, page: Page) -> None:
    if is_deleting(obj):
        lasts = human(session.now() - parse_timestamp(obj["metadata"]["deletionTimestamp"]))
        page.line(0, f"Status:\tTerminating (lasts {lasts})")
    else:
        page.line(0, f"Status:\t{get_path(obj, 'status.phase', '')}")


def _node_affinity(required: Object | None, page: Page) -> None:
    if required is None:
        page.line(0, "Node Affinity:\t<none>")
        return
    page.line(0, "Node Affinity:\t")
    terms = required.get("nodeSelectorTerms") or ()
    page.line(1, "Required Terms:\t" + ("" if terms else "<none>"))
    for index, term in enumerate(terms):
        _requirements(f"Term {index}", term.get("matchExpressions") or (), page)


def _requirements(title: str, requirements: Sequence[Object], page: Page) -> None:
    texts = []
    for each in requirements:
        values = f" [{', '.join(each['values'])}]" if each.get("values") else ""
        texts.append(f"{each['key']} {each.get('operator', 'In').lower()}{values}")
    page.lines(2, title, texts)


def _source(name: str, source: Object, page: Page) -> None:
    text, fields = _SOURCES.get(name, (name, ()))
    page.line(2, f"Type:\t{text}")
    for label, field in fields:
        value = source.get(field)
        if field == "volumeAttributes":
            page.lines(2, label, [f"    {line}" for line in labels_lines(value)])
        else:
            page.line(2, f"{label}:\t{_text(field, value)}")


def _text(field: str, value: object) -> str:
    return str(bool(value)).lower() if field == "readOnly" else str(value or "")


def describe_claim(session: Session, obj: Object, page: Page) -> None:
    spec, state = obj.get("spec") or {}, obj.get("status") or {}
    page.line(0, f"Name:\t{name_of(obj)}")
    page.line(0, f"Namespace:\t{namespace_of(obj)}")
    page.line(0, f"StorageClass:\t{class_of(obj) or ''}")
    _status(session, obj, page)
    page.line(0, f"Volume:\t{spec.get('volumeName', '')}")
    page.lines(0, "Labels", labels_lines(obj["metadata"].get("labels")))
    page.lines(0, "Annotations", annotation_lines(obj["metadata"].get("annotations")))
    _finalizers(obj, page)
    bound = bool(spec.get("volumeName"))
    page.line(0, f"Capacity:\t{canonical(get_path(state, 'capacity.storage', '0')) if bound else ''}")
    page.line(0, f"Access Modes:\t{short_modes(state.get('accessModes') or ()) if bound else ''}")
    if spec.get("volumeMode"):
        page.line(0, f"VolumeMode:\t{spec['volumeMode']}")
    _data_source(spec.get("dataSource"), page)
    pods = session.client.items("pods", namespace_of(obj))
    page.lines(0, "Used By", [name_of(pod) for pod in pods if key_of(obj) in claim_keys(pod)])
    _conditions(state.get("conditions") or (), page)


def _data_source(source: Object | None, page: Page) -> None:
    if source is None:
        return
    page.line(0, "DataSource:")
    for label, field in (("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name")):
        if field != "apiGroup" or source.get(field):
            page.line(1, f"{label}:\t{source.get(field, '')}")


def _conditions(conditions: Sequence[Object], page: Page) -> None:
    if not conditions:
        return
    page.line(0, "Conditions:")
    head = ("Type", "Status", "LastProbeTime", "LastTransitionTime", "Reason", "Message")
    rule = ("----", "------", "-----------------", "------------------", "------", "-------")
    moments = ("lastProbeTime", "lastTransitionTime")
    rows = [
        (
            f"{entry['type']} ",
            f"{entry['status']} ",
            *(f"{_moment(entry.get(name))} " for name in moments),
            f"{entry.get('reason', '')} ",
            entry.get("message", ""),
        )
        for entry in conditions
    ]
    page.table(1, head, rows, rule=rule)


def _moment(timestamp: str | None) -> str:
    """kubectl shows the zero time where a condition was never probed."""
    return time_text(timestamp) if timestamp else "Mon, 01 Jan 0001 00:00:00 +0000"


def describe_storage_class(session: Session, obj: Object, page: Page) -> None:
    page.line(0, f"Name:\t{name_of(obj)}")
    page.line(0, f"IsDefaultClass:\t{'Yes' if is_default(obj) else 'No'}")
    page.line(0, f"Annotations:\t{_joined(obj['metadata'].get('annotations'))}")
    page.line(0, f"Provisioner:\t{obj.get('provisioner', '')}")
    page.line(0, f"Parameters:\t{_joined(obj.get('parameters'))}")
    grows = obj.get("allowVolumeExpansion")
    page.line(0, f"AllowVolumeExpansion:\t{'<unset>' if grows is None else grows}")
    options = obj.get("mountOptions") or ()
    page.line(0, "MountOptions:" + ("" if options else "\t<none>"))
    for option in options:
        page.line(1, option)
    if obj.get("reclaimPolicy"):
        page.line(0, f"ReclaimPolicy:\t{obj['reclaimPolicy']}")
    if obj.get("volumeBindingMode"):
        page.line(0, f"VolumeBindingMode:\t{obj['volumeBindingMode']}")
    _topologies(obj.get("allowedTopologies") or (), page)


def _topologies(terms: Sequence[Object], page: Page) -> None:
    if not terms:
        return
    page.line(0, "AllowedTopologies:\t")
    for index, term in enumerate(terms):
        _requirements_of_term(index, term.get("matchLabelExpressions") or (), page)


def _requirements_of_term(index: int, expressions: Sequence[Object], page: Page) -> None:
    texts = [f"{each['key']} in [{', '.join(each['values'])}]" for each in expressions]
    page.lines(1, f"Term {index}", texts)


def _joined(pairs: Mapping[str, str] | None) -> str:
    return ",".join(labels_lines(pairs)) or "<none>"


def describe_node_drivers(session: Session, obj: Object, page: Page) -> None:
    metadata = obj["metadata"]
    page.line(0, f"Name:\t{metadata['name']}")
    page.lines(0, "Labels", labels_lines(metadata.get("labels")))
    page.lines(0, "Annotations", annotation_lines(metadata.get("annotations")))
    page.line(0, f"CreationTimestamp:\t{time_text(metadata.get('creationTimestamp'))}")
    page.line(0, "Spec:")
    drivers: Iterable[Object] = get_path(obj, "spec.drivers") or ()
    if drivers:
        page.line(1, "Drivers:")
    for driver in drivers:
        page.line(2, f"{driver['name']}:")
        page.line(3, f"Node ID:\t{driver['nodeID']}")
        if get_path(driver, "allocatable.count") is not None:
            page.line(3, "Allocatables:")
            page.line(4, f"Count:\t{driver['allocatable']['count']}")
        page.line(3, f"Topology Keys:\t[{' '.join(driver.get('topologyKeys') or ())}]")
