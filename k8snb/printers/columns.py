"""The columns of each kind: what `kubectl get` shows.

Interface: `table(kind, objects, now)`; `PRINTERS`, a row per kind with its columns and the function that fills them.
The rule not to break: a kind is a row here; a cell is worked out from its object and the time, from nothing else.
Real Kubernetes prints in the apiserver (`pkg/printers/internalversion/printers.go`) and sends kubectl a Table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from k8snb.apimachinery import meta
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, get_path
from k8snb.printers import (
    access,
    autoscaling,
    batch,
    components,
    custom,
    duration,
    extensions,
    limits,
    networking,
    pods,
    policy,
    storage,
)
from k8snb.printers.table import Column, Row, Table

Cells = Callable[[Object, float], tuple[Any, ...]]


class Printer(NamedTuple):
    """The columns of one kind, space-free words where `_` stands for a space; a `+` marks columns of `-o wide`."""

    columns: str
    cells: Cells


def table(kind: Kind, objects: Sequence[Object], now: float) -> Table:
    """The objects as kubectl's table for their kind."""
    if kind.custom is not None and kind.custom.columns:
        return custom.table(kind, objects, now)
    return _printed(PRINTERS.get((kind.group, kind.kind), DEFAULT), kind, objects, now)


def _printed(printer: Printer, kind: Kind, objects: Sequence[Object], now: float) -> Table:
    columns = tuple(_column(word) for word in printer.columns.split())
    rows = tuple(Row(tuple(printer.cells(obj, now)), obj) for obj in objects)
    return Table(columns=columns, rows=rows, kind=kind.kind)


def plain_table(kind: Kind, objects: Sequence[Object], now: float) -> Table:
    """Name and age alone, which is all that a kubectl knows of objects that no server has printed for it."""
    return _printed(DEFAULT, kind, objects, now)


def _column(word: str) -> Column:
    return Column(word.strip("+").replace("_", " "), int(word.startswith("+")))


def with_column(shown: Table, column: Column, cell: Callable[[Object], str], *, first: bool = False) -> Table:
    """The table with one more column, at its end or its beginning."""
    if first:
        rows = tuple(Row((cell(row.object), *row.cells), row.object) for row in shown.rows)
        return replace(shown, columns=(column, *shown.columns), rows=rows)
    rows = tuple(Row((*row.cells, cell(row.object)), row.object) for row in shown.rows)
    return replace(shown, columns=(*shown.columns, column), rows=rows)


def with_prefix(shown: Table, prefix: str) -> Table:
    """The table with `pod/` before each name, as kubectl has it where several kinds are shown."""
    place = [column.name for column in shown.columns].index("NAME") if shown.columns else 0
    rows = (_prefixed(row, place, prefix) for row in shown.rows)
    return replace(shown, rows=tuple(rows))


def _prefixed(row: Row, place: int, prefix: str) -> Row:
    cells = list(row.cells)
    cells[place] = f"{prefix}/{cells[place]}"
    return Row(tuple(cells), row.object)


def labels_text(labels: dict[str, Any] | None) -> str:
    """`a=1,b=2` in the order of the keys; `<none>` for none."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or "<none>"


def selector_text(selector: Object | None) -> str:
    """A label selector object as it is typed: `app=web,tier in (a,b)`."""
    if selector is None:
        return "<none>"
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    parts += [_requirement(entry) for entry in selector.get("matchExpressions") or ()]
    return ",".join(parts) or "<none>"


_REQUIREMENTS = {
    "In": "{key} in ({values})",
    "NotIn": "{key} notin ({values})",
    "Exists": "{key}",
    "DoesNotExist": "!{key}",
}


def _requirement(entry: Object) -> str:
    values = ",".join(sorted(entry.get("values") or ()))
    return _REQUIREMENTS[entry["operator"]].format(key=entry["key"], values=values)


# what columns of several kinds have in common


def _age(obj: Object, now: float) -> str:
    return duration.age(get_path(obj, "metadata.creationTimestamp"), now)


def _containers(obj: Object) -> tuple[str, str]:
    containers = get_path(obj, "spec.template.spec.containers") or ()
    return ",".join(c["name"] for c in containers), ",".join(c.get("image", "") for c in containers)


def _joined(values: Iterable[Any], most: int = 0) -> str:
    listed = list(values)
    extra = len(listed) - most if most else 0
    text = ",".join(str(value) for value in (listed[:most] if most else listed)) or "<none>"
    return f"{text} + {extra} more..." if extra > 0 else text


# rows


def _default(obj: Object, now: float) -> tuple[Any, ...]:
    return meta.name_of(obj), _age(obj, now)


def _service(obj: Object, now: float) -> tuple[Any, ...]:
    spec = obj.get("spec") or {}
    return (
        meta.name_of(obj),
        spec.get("type", "ClusterIP"),
        spec.get("clusterIP") or "<none>",
        external_ip(obj),
        _joined(_service_port(port) for port in spec.get("ports") or ()),
        _age(obj, now),
        labels_text(spec.get("selector")),
    )


def _service_port(port: Object) -> str:
    node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port['port']}{node_port}/{port.get('protocol', 'TCP')}"


def external_ip(obj: Object) -> str:
    """What the EXTERNAL-IP column says of a Service."""
    spec = obj.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", "<none>"))
    ingress = get_path(obj, "status.loadBalancer.ingress") or () if spec.get("type") == "LoadBalancer" else ()
    ips = [entry.get("ip") or entry.get("hostname", "") for entry in ingress] + list(spec.get("externalIPs") or ())
    return ",".join(ips) or ("<pending>" if spec.get("type") == "LoadBalancer" else "<none>")


def _replication_controller(obj: Object, now: float) -> tuple[Any, ...]:
    return *_replicas(obj, now), *_containers(obj), labels_text(get_path(obj, "spec.selector"))


def _replica_set(obj: Object, now: float) -> tuple[Any, ...]:
    return *_replicas(obj, now), *_containers(obj), selector_text(get_path(obj, "spec.selector"))


def _replicas(obj: Object, now: float) -> tuple[Any, ...]:
    state = obj.get("status") or {}
    counts = get_path(obj, "spec.replicas", 0), state.get("replicas", 0), state.get("readyReplicas", 0)
    return (meta.name_of(obj), *counts, _age(obj, now))


def _deployment(obj: Object, now: float) -> tuple[Any, ...]:
    state = obj.get("status") or {}
    return (
        meta.name_of(obj),
        f"{state.get('readyReplicas', 0)}/{get_path(obj, 'spec.replicas', 0)}",
        state.get("updatedReplicas", 0),
        state.get("availableReplicas", 0),
        _age(obj, now),
        *_containers(obj),
        selector_text(get_path(obj, "spec.selector")),
    )


def _stateful_set(obj: Object, now: float) -> tuple[Any, ...]:
    ready = f"{get_path(obj, 'status.readyReplicas', 0)}/{get_path(obj, 'spec.replicas', 0)}"
    return meta.name_of(obj), ready, _age(obj, now), *_containers(obj)


_DAEMON_COUNTS = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled",
                  "numberAvailable")  # fmt: skip


def _daemon_set(obj: Object, now: float) -> tuple[Any, ...]:
    state = obj.get("status") or {}
    return (
        meta.name_of(obj),
        *(state.get(name, 0) for name in _DAEMON_COUNTS),
        labels_text(get_path(obj, "spec.template.spec.nodeSelector")),
        _age(obj, now),
        *_containers(obj),
        selector_text(get_path(obj, "spec.selector")),
    )


def _job(obj: Object, now: float) -> tuple[Any, ...]:
    return *batch.job(obj, now), *_containers(obj), selector_text(get_path(obj, "spec.selector"))


def _cron_job(obj: Object, now: float) -> tuple[Any, ...]:
    template = get_path(obj, "spec.jobTemplate", {})
    return *batch.cron_job(obj, now), *_containers(template), selector_text(get_path(template, "spec.selector"))


def _controller_revision(obj: Object, now: float) -> tuple[Any, ...]:
    owner = meta.controller_of(obj)
    group = owner["apiVersion"].rpartition("/")[0] if owner else ""
    word = f"{owner['kind']}.{group}".rstrip(".").lower() if owner else ""
    controller = f"{word}/{owner['name']}" if owner else "<none>"
    return meta.name_of(obj), controller, obj.get("revision", 0), _age(obj, now)


def node_roles(obj: Object) -> str:
    """The roles that a node's labels give it."""
    prefix = "node-role.kubernetes.io/"
    labels = meta.labels_of(obj)
    roles = {key.removeprefix(prefix) for key in labels if key.startswith(prefix)} - {""}
    roles |= {labels["kubernetes.io/role"]} if labels.get("kubernetes.io/role") else set()
    return ",".join(sorted(roles)) or "<none>"


_READY = {"True": "Ready", "False": "NotReady"}


def node_status(obj: Object) -> str:
    """Ready, NotReady or Unknown, and whether the scheduler passes the node over."""
    ready = meta.condition(obj, "Ready")
    word = _READY.get(ready.get("status", ""), "NotReady") if ready else "Unknown"
    return word + (",SchedulingDisabled" if get_path(obj, "spec.unschedulable") else "")


def _node(obj: Object, now: float) -> tuple[Any, ...]:
    info = get_path(obj, "status.nodeInfo", {})
    return (
        meta.name_of(obj),
        node_status(obj),
        node_roles(obj),
        _age(obj, now),
        info.get("kubeletVersion", ""),
        _address(obj, "InternalIP"),
        _address(obj, "ExternalIP"),
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    )


def _address(node: Object, sort: str) -> str:
    addresses = get_path(node, "status.addresses") or ()
    return next((entry["address"] for entry in addresses if entry["type"] == sort), "<none>")


def endpoints_text(obj: Object, most: int = 3) -> str:
    """`10.0.0.1:80,10.0.0.2:80 + 1 more...`"""
    return _joined(
        (
            f"{address['ip']}:{port['port']}" if port else address["ip"]
            for subset in obj.get("subsets") or ()
            for port in subset.get("ports") or (None,)
            for address in subset.get("addresses") or ()
        ),
        most,
    )


def _endpoints(obj: Object, now: float) -> tuple[Any, ...]:
    return meta.name_of(obj), endpoints_text(obj), _age(obj, now)


def _endpoint_slice(obj: Object, now: float) -> tuple[Any, ...]:
    ports = ("*" if port.get("port") is None else port["port"] for port in obj.get("ports") or ())
    addresses = (address for entry in obj.get("endpoints") or () for address in entry.get("addresses") or ())
    return meta.name_of(obj), obj.get("addressType", ""), _unset(ports), _unset(addresses), _age(obj, now)


def _unset(values: Iterable[Any]) -> str:
    return _joined(values, 3).replace("<none>", "<unset>")


def _namespace(obj: Object, now: float) -> tuple[Any, ...]:
    return meta.name_of(obj), get_path(obj, "status.phase", ""), _age(obj, now)


def last_seen(event: Object) -> str | None:
    """When an event happened last."""
    series = get_path(event, "series.lastObservedTime")
    return series or event.get("lastTimestamp") or event.get("eventTime") or event.get("firstTimestamp")


def first_seen(event: Object) -> str | None:
    """When an event happened first."""
    return event.get("firstTimestamp") or event.get("eventTime")


def event_count(event: Object) -> int:
    count: int = get_path(event, "series.count") or event.get("count") or 1
    return count


def event_component(event: Object) -> str:
    """Which component spoke."""
    return get_path(event, "source.component") or event.get("reportingComponent") or ""


def event_source(event: Object) -> str:
    """Which component spoke, and on which node."""
    component, host = event_component(event), get_path(event, "source.host")
    return f"{component}, {host}" if host else component


def event_object(event: Object) -> str:
    about = event.get("involvedObject") or {}
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _event(obj: Object, now: float) -> tuple[Any, ...]:
    return (
        duration.age(last_seen(obj), now),
        obj.get("type", ""),
        obj.get("reason", ""),
        event_object(obj),
        get_path(obj, "involvedObject.fieldPath", ""),
        event_source(obj),
        obj.get("message", "").strip(),
        duration.age(first_seen(obj), now),
        event_count(obj),
        meta.name_of(obj),
    )


def _service_account(obj: Object, now: float) -> tuple[Any, ...]:
    return meta.name_of(obj), len(obj.get("secrets") or ()), _age(obj, now)


def _secret(obj: Object, now: float) -> tuple[Any, ...]:
    return meta.name_of(obj), obj.get("type", "Opaque"), len(obj.get("data") or ()), _age(obj, now)


def _config_map(obj: Object, now: float) -> tuple[Any, ...]:
    return meta.name_of(obj), len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), _age(obj, now)


def _definition(obj: Object, now: float) -> tuple[Any, ...]:
    return meta.name_of(obj), obj["metadata"].get("creationTimestamp", "")


def _lease(obj: Object, now: float) -> tuple[Any, ...]:
    return meta.name_of(obj), get_path(obj, "spec.holderIdentity", ""), _age(obj, now)


def _network_policy(obj: Object, now: float) -> tuple[Any, ...]:
    return meta.name_of(obj), selector_text(get_path(obj, "spec.podSelector")), _age(obj, now)


_BINDING = "NAME ROLE AGE +USERS +GROUPS +SERVICEACCOUNTS"
_WORKLOAD = "+CONTAINERS +IMAGES +SELECTOR"
DEFAULT = Printer("NAME AGE", _default)

_ADMISSION = "admissionregistration.k8s.io"

PRINTERS: dict[tuple[str, str], Printer] = {
    ("apiextensions.k8s.io", "CustomResourceDefinition"): Printer("NAME CREATED_AT", _definition),
    (_ADMISSION, "MutatingWebhookConfiguration"): Printer("NAME WEBHOOKS AGE", extensions.webhooks),
    (_ADMISSION, "ValidatingWebhookConfiguration"): Printer("NAME WEBHOOKS AGE", extensions.webhooks),
    (_ADMISSION, "ValidatingAdmissionPolicy"): Printer("NAME VALIDATIONS PARAMKIND AGE", extensions.policy),
    (_ADMISSION, "ValidatingAdmissionPolicyBinding"): Printer("NAME POLICYNAME PARAMREF AGE", extensions.binding),
    ("apiregistration.k8s.io", "APIService"): Printer("NAME SERVICE AVAILABLE AGE", extensions.api_service),
    ("", "Pod"): Printer(
        "NAME READY STATUS RESTARTS AGE +IP +NODE +NOMINATED_NODE +READINESS_GATES", pods.cells
    ),
    ("", "Service"): Printer("NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE +SELECTOR", _service),
    ("", "ReplicationController"): Printer(f"NAME DESIRED CURRENT READY AGE {_WORKLOAD}", _replication_controller),
    ("apps", "ReplicaSet"): Printer(f"NAME DESIRED CURRENT READY AGE {_WORKLOAD}", _replica_set),
    ("apps", "Deployment"): Printer(f"NAME READY UP-TO-DATE AVAILABLE AGE {_WORKLOAD}", _deployment),
    ("apps", "StatefulSet"): Printer("NAME READY AGE +CONTAINERS +IMAGES", _stateful_set),
    ("apps", "DaemonSet"): Printer(
        f"NAME DESIRED CURRENT READY UP-TO-DATE AVAILABLE NODE_SELECTOR AGE {_WORKLOAD}", _daemon_set
    ),
    ("batch", "Job"): Printer(f"NAME STATUS COMPLETIONS DURATION AGE {_WORKLOAD}", _job),
    ("batch", "CronJob"): Printer(
        f"NAME SCHEDULE TIMEZONE SUSPEND ACTIVE LAST_SCHEDULE AGE {_WORKLOAD}", _cron_job
    ),
    ("apps", "ControllerRevision"): Printer("NAME CONTROLLER REVISION AGE", _controller_revision),
    ("", "Node"): Printer(
        "NAME STATUS ROLES AGE VERSION +INTERNAL-IP +EXTERNAL-IP +OS-IMAGE +KERNEL-VERSION +CONTAINER-RUNTIME", _node
    ),
    ("", "Endpoints"): Printer("NAME ENDPOINTS AGE", _endpoints),
    ("discovery.k8s.io", "EndpointSlice"): Printer("NAME ADDRESSTYPE PORTS ENDPOINTS AGE", _endpoint_slice),
    ("", "Namespace"): Printer("NAME STATUS AGE", _namespace),
    ("", "Event"): Printer(
        "LAST_SEEN TYPE REASON OBJECT +SUBOBJECT +SOURCE MESSAGE +FIRST_SEEN +COUNT +NAME", _event
    ),
    ("", "ServiceAccount"): Printer("NAME SECRETS AGE", _service_account),
    ("", "Secret"): Printer("NAME TYPE DATA AGE", _secret),
    ("", "ConfigMap"): Printer("NAME DATA AGE", _config_map),
    ("coordination.k8s.io", "Lease"): Printer("NAME HOLDER AGE", _lease),
    ("", "PersistentVolume"): Printer(
        "NAME CAPACITY ACCESS_MODES RECLAIM_POLICY STATUS CLAIM STORAGECLASS VOLUMEATTRIBUTESCLASS REASON AGE "
        "+VOLUMEMODE", storage.volume
    ),
    ("", "PersistentVolumeClaim"): Printer(
        "NAME STATUS VOLUME CAPACITY ACCESS_MODES STORAGECLASS VOLUMEATTRIBUTESCLASS AGE +VOLUMEMODE", storage.claim
    ),
    ("storage.k8s.io", "StorageClass"): Printer(
        "NAME PROVISIONER RECLAIMPOLICY VOLUMEBINDINGMODE ALLOWVOLUMEEXPANSION AGE", storage.storage_class
    ),
    ("storage.k8s.io", "VolumeAttachment"): Printer("NAME ATTACHER PV NODE ATTACHED AGE", storage.attachment),
    ("storage.k8s.io", "CSIDriver"): Printer(
        "NAME ATTACHREQUIRED PODINFOONMOUNT STORAGECAPACITY TOKENREQUESTS REQUIRESREPUBLISH MODES AGE", storage.driver
    ),
    ("storage.k8s.io", "CSINode"): Printer("NAME DRIVERS AGE", storage.node_drivers),
    ("storage.k8s.io", "CSIStorageCapacity"): Printer("NAME STORAGECLASSNAME CAPACITY", storage.capacity),
    ("", "LimitRange"): Printer("NAME CREATED_AT", limits.limit_range),
    ("", "ComponentStatus"): Printer("NAME STATUS MESSAGE ERROR", components.component_status),
    ("", "ResourceQuota"): Printer("NAME REQUEST LIMIT AGE", limits.resource_quota),
    ("scheduling.k8s.io", "PriorityClass"): Printer(
        "NAME VALUE GLOBAL-DEFAULT AGE PREEMPTIONPOLICY", limits.priority_class
    ),
    ("node.k8s.io", "RuntimeClass"): Printer("NAME HANDLER AGE", limits.runtime_class),
    ("rbac.authorization.k8s.io", "Role"): Printer("NAME CREATED_AT", access.role),
    ("rbac.authorization.k8s.io", "ClusterRole"): Printer("NAME CREATED_AT", access.role),
    ("rbac.authorization.k8s.io", "RoleBinding"): Printer(_BINDING, access.binding),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): Printer(_BINDING, access.binding),
    ("certificates.k8s.io", "CertificateSigningRequest"): Printer(
        "NAME AGE SIGNERNAME REQUESTOR REQUESTEDDURATION CONDITION", access.signing_request
    ),
    ("autoscaling", "HorizontalPodAutoscaler"): Printer(
        "NAME REFERENCE TARGETS MINPODS MAXPODS REPLICAS AGE", autoscaling.autoscaler
    ),
    ("metrics.k8s.io", "PodMetrics"): Printer("NAME CPU MEMORY WINDOW", autoscaling.pod_metrics),
    ("metrics.k8s.io", "NodeMetrics"): Printer("NAME CPU MEMORY WINDOW", autoscaling.node_metrics),
    ("policy", "PodDisruptionBudget"): Printer(
        "NAME MIN_AVAILABLE MAX_UNAVAILABLE ALLOWED_DISRUPTIONS AGE", policy.budget
    ),
    ("networking.k8s.io", "Ingress"): Printer("NAME CLASS HOSTS ADDRESS PORTS AGE", networking.ingress),
    ("networking.k8s.io", "IngressClass"): Printer("NAME CONTROLLER PARAMETERS AGE", networking.ingress_class),
    ("networking.k8s.io", "NetworkPolicy"): Printer("NAME POD-SELECTOR AGE", _network_policy),
}  # fmt: skip
