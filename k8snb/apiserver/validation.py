"""kube-apiserver's validation: what a schema cannot say.

Interface: `validate(kind, obj, old) -> list[FieldError]`, pure; `old` is None for something new.
The rule not to break: every complaint names its field and says what would be right.
Source: `pkg/apis/*/validation/validation.go`.
"""

from __future__ import annotations

from collections.abc import Callable

from k8snb.apimachinery import names
from k8snb.apimachinery.errors import DUPLICATE, FORBIDDEN, INVALID, NOT_SUPPORTED, REQUIRED, FieldError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, annotations_of, get_path
from k8snb.apiserver import crd_validation
from k8snb.apiserver import validation_apps as apps
from k8snb.apiserver import validation_autoscaling as autoscaling
from k8snb.apiserver import validation_batch as batch
from k8snb.apiserver import validation_classes as classes
from k8snb.apiserver import validation_extensions as extensions
from k8snb.apiserver import validation_ingress as ingresses
from k8snb.apiserver import validation_limits as limits
from k8snb.apiserver import validation_network_policy as network_policies
from k8snb.apiserver import validation_pod_doors as pod_doors
from k8snb.apiserver import validation_policy as policy
from k8snb.apiserver import validation_rbac as rbac
from k8snb.apiserver import validation_storage as storage
from k8snb.apiserver.node_restriction import MIRROR
from k8snb.apiserver.validation_fields import IMMUTABLE, Errors, each, labels
from k8snb.apiserver.validation_pods import immutable_pod_spec, pod_spec

NameRule = Callable[[str], list[str]]
MAX_ANNOTATIONS = 256 * 1024  # bytes of all annotations together

NAME_RULES: dict[str, NameRule] = {
    "namespaces": names.dns_label,
    "services": names.dns_1035_label,
    "statefulsets": names.dns_label,
    "roles": rbac.path_segment,
    "clusterroles": rbac.path_segment,
    "rolebindings": rbac.path_segment,
    "clusterrolebindings": rbac.path_segment,
    "apiservices": rbac.path_segment,
}


def validate(kind: Kind, obj: Object, old: Object | None, *, door: str = "") -> list[FieldError]:
    """Everything that is wrong with an object of this kind. `door` is the subresource that the write came through."""
    found = list(metadata(kind, obj["metadata"], "metadata"))
    if kind.custom is not None:
        return found + kind.custom.checker.validate(obj, old)
    rule = RULES.get(kind.plural)
    if rule is not None:
        found += rule(obj)
    if old is not None:
        for path in FIXED_FIELDS.get(kind.plural, ()):
            if get_path(obj, path) != get_path(old, path):
                found.append(FieldError(path, INVALID, get_path(obj, path), IMMUTABLE))
        change = CHANGES.get(f"{kind.plural}/{door}") or CHANGES.get(kind.plural)
        if change is not None:
            found += change(obj, old)
    elif kind.plural in CREATIONS:
        found += CREATIONS[kind.plural](obj)
    return found


def metadata(kind: Kind, meta: Object, path: str) -> Errors:
    """Names, labels, annotations, finalizers."""
    rule = NAME_RULES.get(kind.builtin, names.dns_subdomain)
    yield from each(f"{path}.name", meta["name"], rule(meta["name"]))
    if kind.namespaced:
        yield from each(f"{path}.namespace", meta["namespace"], names.dns_label(meta["namespace"]))
    yield from labels(meta.get("labels"), f"{path}.labels")
    annotations = meta.get("annotations") or {}
    for key in annotations:
        yield from each(f"{path}.annotations", key, names.qualified_name(key.lower()))
    if sum(len(key) + len(value) for key, value in annotations.items()) > MAX_ANNOTATIONS:
        yield FieldError(f"{path}.annotations", INVALID, "…", f"may not be longer than {MAX_ANNOTATIONS} bytes")


def pod(obj: Object) -> Errors:
    yield from pod_spec(obj["spec"], "spec")
    yield from pod_doors.ephemeral_containers(obj["spec"])
    yield from pod_doors.resize_policies(obj["spec"])


def service(obj: Object) -> Errors:
    spec = obj["spec"]
    sort, ports = spec.get("type", "ClusterIP"), spec.get("ports") or []
    headless = spec.get("clusterIP") == "None"
    if sort not in ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"):
        supported = 'supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'
        yield FieldError("spec.type", NOT_SUPPORTED, sort, supported)
    if not ports and not headless and sort != "ExternalName":
        yield FieldError("spec.ports", REQUIRED)
    if headless and sort in ("NodePort", "LoadBalancer"):
        yield FieldError("spec.clusterIPs[0]", INVALID, "None", f"may not be set to 'None' for {sort} services")
    if sort == "ExternalName":
        name = spec.get("externalName", "")
        yield from [FieldError("spec.externalName", REQUIRED)] if not name else ()
        yield from each("spec.externalName", name, names.dns_subdomain(name.rstrip(".").lower()) if name else [])
    if spec.get("sessionAffinity", "None") not in ("None", "ClientIP"):
        yield FieldError("spec.sessionAffinity", NOT_SUPPORTED, spec["sessionAffinity"],
                         'supported values: "ClientIP", "None"')  # fmt: skip
    yield from labels(spec.get("selector"), "spec.selector")
    yield from _service_ports(ports)


def _service_ports(ports: list[Object]) -> Errors:
    seen_names: set[str] = set()
    seen_ports: set[tuple[int, str]] = set()
    for index, port in enumerate(ports):
        path = f"spec.ports[{index}]"
        name, key = port.get("name", ""), (port["port"], port.get("protocol", "TCP"))
        if not name and len(ports) > 1:
            yield FieldError(f"{path}.name", REQUIRED)
        if name:
            yield from each(f"{path}.name", name, names.dns_label(name))
            if name in seen_names:
                yield FieldError(f"{path}.name", DUPLICATE, name)
        if key in seen_ports:
            yield FieldError(path, DUPLICATE, {"port": key[0], "protocol": key[1]})
        yield from each(f"{path}.port", port["port"], names.port_number(port["port"]))
        target = port.get("targetPort")
        if isinstance(target, int):
            yield from each(f"{path}.targetPort", target, names.port_number(target))
        elif target:
            yield from each(f"{path}.targetPort", target, names.port_name(target))
        if key[1] not in ("TCP", "UDP", "SCTP"):
            yield FieldError(f"{path}.protocol", NOT_SUPPORTED, key[1], 'supported values: "SCTP", "TCP", "UDP"')
        seen_names.add(name)
        seen_ports.add(key)


def config_keys(obj: Object) -> Errors:
    for field in ("data", "binaryData", "stringData"):
        for key in obj.get(field) or ():
            yield from each(f"{field}[{key}]", key, names.config_key(key))


def frozen_data(obj: Object, old: Object) -> Errors:
    """A ConfigMap or Secret that says `immutable: true` keeps its data."""
    if not old.get("immutable"):
        return
    for field in ("data", "binaryData", "immutable"):
        if obj.get(field) != old.get(field):
            yield FieldError(field, FORBIDDEN, None, f"{IMMUTABLE} when `immutable` is set")


def service_change(obj: Object, old: Object) -> Errors:
    before, now = old["spec"].get("clusterIP"), obj["spec"].get("clusterIP")
    if before and now and before != now and obj["spec"].get("type") != "ExternalName":
        yield FieldError("spec.clusterIPs[0]", INVALID, now, "may not change once set")


def pod_change(obj: Object, old: Object) -> Errors:
    yield from immutable_pod_spec(obj["spec"], old["spec"])
    before, now = annotations_of(old).get(MIRROR), annotations_of(obj).get(MIRROR)
    if before != now:
        what = "add" if before is None else "remove or update"
        yield FieldError(f"metadata.annotations[{MIRROR}]", FORBIDDEN, None, f"may not {what} mirror pod annotation")


def event(obj: Object) -> Errors:
    namespace = get_path(obj, "involvedObject.namespace") or "default"
    if namespace != obj["metadata"]["namespace"]:
        yield FieldError("involvedObject.namespace", INVALID, namespace, "does not match event.namespace")


Rule = Callable[[Object], Errors]
RULES: dict[str, Rule] = {
    "pods": pod,
    "services": service,
    "replicationcontrollers": apps.replication_controller,
    "replicasets": apps.replica_set,
    "deployments": apps.deployment,
    "statefulsets": apps.stateful_set,
    "poddisruptionbudgets": policy.budget,
    "horizontalpodautoscalers": autoscaling.autoscaler,
    "daemonsets": apps.daemon_set,
    "controllerrevisions": apps.controller_revision,
    "jobs": batch.job,
    "cronjobs": batch.cron_job,
    "configmaps": config_keys,
    "secrets": config_keys,
    "events": event,
    "limitranges": limits.limit_range,
    "resourcequotas": limits.resource_quota,
    "priorityclasses": classes.priority_class,
    "runtimeclasses": classes.runtime_class,
    "roles": rbac.role,
    "clusterroles": rbac.role,
    "rolebindings": rbac.binding,
    "clusterrolebindings": rbac.binding,
    "certificatesigningrequests": rbac.signing_request,
    "customresourcedefinitions": crd_validation.definition,
    "mutatingwebhookconfigurations": extensions.webhooks,
    "validatingwebhookconfigurations": extensions.webhooks,
    "validatingadmissionpolicies": extensions.policy,
    "validatingadmissionpolicybindings": extensions.binding,
    "apiservices": extensions.api_service,
    "persistentvolumes": storage.volume,
    "persistentvolumeclaims": storage.claim,
    "storageclasses": storage.storage_class,
    "volumeattachments": storage.attachment,
    "csidrivers": storage.driver,
    "csinodes": storage.node_drivers,
    "csistoragecapacities": storage.capacity,
    "ingresses": ingresses.ingress,
    "ingressclasses": ingresses.ingress_class,
    "networkpolicies": network_policies.network_policy,
}

CREATIONS: dict[str, Rule] = {  # what only something new may not say
    "pods": pod_doors.pod_creation,
    "ingresses": ingresses.ingress_creation,
}

FIXED_FIELDS: dict[str, tuple[str, ...]] = {
    "deployments": ("spec.selector",),
    "replicasets": ("spec.selector",),
    "daemonsets": ("spec.selector",),
    "controllerrevisions": ("data",),
    "secrets": ("type",),
    "runtimeclasses": ("handler",),
    "endpointslices": ("addressType",),
    "csistoragecapacities": ("nodeTopology", "storageClassName"),
}

CHANGES: dict[str, Callable[[Object, Object], Errors]] = {
    "pods": pod_change,
    "pods/ephemeralcontainers": pod_doors.ephemeral_change,
    "pods/resize": pod_doors.resize_change,
    "services": service_change,
    "statefulsets": apps.stateful_set_change,
    "jobs": batch.job_change,
    "configmaps": frozen_data,
    "secrets": frozen_data,
    "resourcequotas": limits.resource_quota_change,
    "priorityclasses": classes.priority_class_change,
    "ingressclasses": ingresses.ingress_class_change,
    "rolebindings": rbac.binding_change,
    "clusterrolebindings": rbac.binding_change,
    "customresourcedefinitions": crd_validation.change,
    "persistentvolumes": storage.volume_change,
    "persistentvolumeclaims": storage.claim_change,
    "storageclasses": storage.storage_class_change,
    "volumeattachments": storage.attachment_change,
    "csidrivers": storage.driver_change,
    "csinodes": storage.node_drivers_change,
}
