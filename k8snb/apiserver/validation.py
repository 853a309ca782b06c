"""kube-apiserver's validation: what a schema cannot say.

Interface: `validate(kind, obj, old) -> list[FieldError]`, pure; `old` is None for something new.
The rule not to break: every complaint names its field and says what would be right.
Source: `pkg/apis/*/validation/validation.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from k8snb.apimachinery import names
from k8snb.apimachinery.errors import DUPLICATE, FORBIDDEN, INVALID, NOT_SUPPORTED, REQUIRED, FieldError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, get_path
from k8snb.apimachinery.selectors import from_label_selector, from_set
from k8snb.apiserver import crd_validation
from k8snb.apiserver import validation_rbac as rbac
from k8snb.apiserver.validation_pods import immutable_pod_spec, pod_spec

Errors = Iterator[FieldError]
NameRule = Callable[[str], list[str]]
MAX_ANNOTATIONS = 256 * 1024  # bytes of all annotations together
IMMUTABLE = "field is immutable"

NAME_RULES: dict[str, NameRule] = {
    "namespaces": names.dns_label,
    "services": names.dns_1035_label,
    "roles": rbac.path_segment,
    "clusterroles": rbac.path_segment,
    "rolebindings": rbac.path_segment,
    "clusterrolebindings": rbac.path_segment,
}


def validate(kind: Kind, obj: Object, old: Object | None) -> list[FieldError]:
    """Everything that is wrong with an object of this kind."""
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
        change = CHANGES.get(kind.plural)
        if change is not None:
            found += change(obj, old)
    return found


def metadata(kind: Kind, meta: Object, path: str) -> Errors:
    """Names, labels, annotations, finalizers."""
    rule = NAME_RULES.get(kind.builtin, names.dns_subdomain)
    yield from _each(f"{path}.name", meta["name"], rule(meta["name"]))
    if kind.namespaced:
        yield from _each(f"{path}.namespace", meta["namespace"], names.dns_label(meta["namespace"]))
    yield from labels(meta.get("labels"), f"{path}.labels")
    annotations = meta.get("annotations") or {}
    for key in annotations:
        yield from _each(f"{path}.annotations", key, names.qualified_name(key.lower()))
    if sum(len(key) + len(value) for key, value in annotations.items()) > MAX_ANNOTATIONS:
        yield FieldError(f"{path}.annotations", INVALID, "…", f"may not be longer than {MAX_ANNOTATIONS} bytes")


def labels(found: Object | None, path: str) -> Errors:
    for key, value in (found or {}).items():
        yield from _each(path, key, names.qualified_name(key))
        yield from _each(path, value, names.label_value(value))


def _each(path: str, value: object, complaints: list[str]) -> Errors:
    for complaint in complaints:
        yield FieldError(path, INVALID, value, complaint)


def not_negative(obj: Object, *paths: str) -> Errors:
    for path in paths:
        value = get_path(obj, path)
        if isinstance(value, int) and value < 0:
            yield FieldError(path, INVALID, value, "must be greater than or equal to 0")


def pod(obj: Object) -> Errors:
    yield from pod_spec(obj["spec"], "spec")


def template(obj: Object, path: str = "spec.template") -> Errors:
    """The pod template of a workload: its labels, its spec, and that it restarts for ever."""
    found = get_path(obj, path)
    if found is None:
        yield FieldError(path, REQUIRED)
        return
    yield from labels(get_path(found, "metadata.labels"), f"{path}.metadata.labels")
    if found.get("spec") is None:
        yield FieldError(f"{path}.spec", REQUIRED)
        return
    yield from pod_spec(found["spec"], f"{path}.spec")
    policy = found["spec"].get("restartPolicy", "Always")
    if policy != "Always":
        yield FieldError(f"{path}.spec.restartPolicy", NOT_SUPPORTED, policy, 'supported values: "Always"')


def replica_set(obj: Object) -> Errors:
    """ReplicaSets and Deployments: a label selector that picks the template's pods."""
    yield from not_negative(obj, "spec.replicas", "spec.minReadySeconds")
    selector = obj["spec"].get("selector")
    if not selector:
        yield FieldError("spec.selector", REQUIRED)
    elif from_label_selector(selector).is_everything:
        yield FieldError("spec.selector", INVALID, selector, "empty selector is invalid for deployment")
    elif not from_label_selector(selector).matches(get_path(obj, "spec.template.metadata.labels") or {}):
        yield FieldError("spec.template.metadata.labels", INVALID, get_path(obj, "spec.template.metadata.labels") or {},
                         "`selector` does not match template `labels`")  # fmt: skip
    yield from template(obj)


def deployment(obj: Object) -> Errors:
    yield from not_negative(obj, "spec.revisionHistoryLimit", "spec.progressDeadlineSeconds")
    strategy = obj["spec"].get("strategy") or {}
    sort, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if sort not in ("RollingUpdate", "Recreate"):
        yield FieldError("spec.strategy.type", NOT_SUPPORTED, sort, 'supported values: "Recreate", "RollingUpdate"')
    if sort == "Recreate" and rolling:
        yield FieldError("spec.strategy.rollingUpdate", FORBIDDEN, None,
                         "may not be specified when strategy `type` is 'Recreate'")  # fmt: skip
    if sort == "RollingUpdate" and rolling:
        yield from _rolling_update(rolling)
    deadline = obj["spec"].get("progressDeadlineSeconds")
    ready = obj["spec"].get("minReadySeconds") or 0
    if deadline is not None and deadline <= ready:
        yield FieldError("spec.progressDeadlineSeconds", INVALID, deadline, "must be greater than minReadySeconds")
    yield from replica_set(obj)


def _rolling_update(rolling: Object) -> Errors:
    path = "spec.strategy.rollingUpdate"
    for name in ("maxUnavailable", "maxSurge"):
        value = rolling.get(name)
        if isinstance(value, str) and not (value.endswith("%") and value[:-1].isdigit()):
            words = "a valid percent string must be a number followed by '%'"
            yield FieldError(f"{path}.{name}", INVALID, value, words)
        elif isinstance(value, int) and value < 0:
            yield FieldError(f"{path}.{name}", INVALID, value, "must be greater than or equal to 0")
    if all(rolling.get(name) in (0, "0%") for name in ("maxUnavailable", "maxSurge")):
        yield FieldError(f"{path}.maxUnavailable", INVALID, rolling["maxUnavailable"],
                         "may not be 0 when `maxSurge` is 0")  # fmt: skip


def replication_controller(obj: Object) -> Errors:
    """A ReplicationController's selector is a plain map."""
    yield from not_negative(obj, "spec.replicas", "spec.minReadySeconds")
    selector = obj["spec"].get("selector")
    if not selector:
        yield FieldError("spec.selector", REQUIRED)
    elif not from_set(selector).matches(get_path(obj, "spec.template.metadata.labels") or {}):
        yield FieldError("spec.template.metadata.labels", INVALID, get_path(obj, "spec.template.metadata.labels") or {},
                         "`selector` does not match template `labels`")  # fmt: skip
    yield from template(obj)


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
        yield from _each("spec.externalName", name, names.dns_subdomain(name.rstrip(".").lower()) if name else [])
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
            yield from _each(f"{path}.name", name, names.dns_label(name))
            if name in seen_names:
                yield FieldError(f"{path}.name", DUPLICATE, name)
        if key in seen_ports:
            yield FieldError(path, DUPLICATE, {"port": key[0], "protocol": key[1]})
        yield from _each(f"{path}.port", port["port"], names.port_number(port["port"]))
        target = port.get("targetPort")
        if isinstance(target, int):
            yield from _each(f"{path}.targetPort", target, names.port_number(target))
        elif target:
            yield from _each(f"{path}.targetPort", target, names.port_name(target))
        if key[1] not in ("TCP", "UDP", "SCTP"):
            yield FieldError(f"{path}.protocol", NOT_SUPPORTED, key[1], 'supported values: "SCTP", "TCP", "UDP"')
        seen_names.add(name)
        seen_ports.add(key)


def config_keys(obj: Object) -> Errors:
    for field in ("data", "binaryData", "stringData"):
        for key in obj.get(field) or ():
            yield from _each(f"{field}[{key}]", key, names.config_key(key))


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


def event(obj: Object) -> Errors:
    namespace = get_path(obj, "involvedObject.namespace") or "default"
    if namespace != obj["metadata"]["namespace"]:
        yield FieldError("involvedObject.namespace", INVALID, namespace, "does not match event.namespace")


Rule = Callable[[Object], Errors]
RULES: dict[str, Rule] = {
    "pods": pod,
    "services": service,
    "replicationcontrollers": replication_controller,
    "replicasets": replica_set,
    "deployments": deployment,
    "configmaps": config_keys,
    "secrets": config_keys,
    "events": event,
    "roles": rbac.role,
    "clusterroles": rbac.role,
    "rolebindings": rbac.binding,
    "clusterrolebindings": rbac.binding,
    "certificatesigningrequests": rbac.signing_request,
    "customresourcedefinitions": crd_validation.definition,
}

FIXED_FIELDS: dict[str, tuple[str, ...]] = {
    "deployments": ("spec.selector",),
    "replicasets": ("spec.selector",),
    "secrets": ("type",),
    "endpointslices": ("addressType",),
}

CHANGES: dict[str, Callable[[Object, Object], Errors]] = {
    "pods": pod_change,
    "services": service_change,
    "configmaps": frozen_data,
    "secrets": frozen_data,
    "rolebindings": rbac.binding_change,
    "clusterrolebindings": rbac.binding_change,
    "customresourcedefinitions": crd_validation.change,
}
