"""Defaults: what the apiserver fills in where a manifest says nothing.

Interface: `apply_defaults(kind, object)`, and `apply_status_defaults` for one with another status; the object has
passed `schema.Schema.decode`.
The rule not to break: a default is a row of `VALUES` or a function in `RULES`, by the type it belongs to; where that
type occurs, the schema knows. Applying defaults twice changes nothing the second time.
Real Kubernetes has the `SetDefaults_*` functions of `pkg/apis/*/v1/defaults.go`, and a few more in `pkg/registry`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from k8snb.apimachinery import schema
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, get_path

Rule = Callable[[Any], Any]

_CONTAINER = {"resources": {}, "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
_RBAC = "rbac.authorization.k8s.io"
_WEBHOOK = {"failurePolicy": "Fail", "matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {},
            "timeoutSeconds": 10}  # fmt: skip

VALUES: Mapping[str, Mapping[str, Any]] = {
    "core.v1.PodSpec": {
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    },
    "core.v1.Container": _CONTAINER,
    "core.v1.EphemeralContainer": _CONTAINER,
    "core.v1.ContainerPort": {"protocol": "TCP"},
    "core.v1.Probe": {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
    "core.v1.HTTPGetAction": {"path": "/", "scheme": "HTTP"},
    "core.v1.GRPCAction": {"service": ""},
    "core.v1.ObjectFieldSelector": {"apiVersion": "v1"},
    "core.v1.ResourceFieldSelector": {"divisor": "0"},
    "core.v1.ConfigMapVolumeSource": {"defaultMode": 0o644},
    "core.v1.SecretVolumeSource": {"defaultMode": 0o644},
    "core.v1.DownwardAPIVolumeSource": {"defaultMode": 0o644},
    "core.v1.ProjectedVolumeSource": {"defaultMode": 0o644},
    "core.v1.ServiceAccountTokenProjection": {"expirationSeconds": 3600},
    "core.v1.HostPathVolumeSource": {"type": ""},
    "core.v1.PersistentVolumeSpec": {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem"},
    "core.v1.PersistentVolumeClaimSpec": {"resources": {}, "volumeMode": "Filesystem"},
    "core.v1.ServiceSpec": {"sessionAffinity": "None", "type": "ClusterIP"},
    "core.v1.ServicePort": {"protocol": "TCP"},
    "core.v1.EndpointPort": {"protocol": "TCP"},
    "core.v1.ReplicationControllerSpec": {"replicas": 1},
    "core.v1.Service": {"status": {"loadBalancer": {}}},
    "discovery.v1.EndpointPort": {"name": "", "protocol": "TCP"},
    "apps.v1.ReplicaSetSpec": {"replicas": 1},
    "apps.v1.DeploymentSpec": {
        "progressDeadlineSeconds": 600,
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "strategy": {},
    },
    "apps.v1.DeploymentStrategy": {"type": "RollingUpdate"},
    "apps.v1.DaemonSetSpec": {"revisionHistoryLimit": 10, "updateStrategy": {}},
    "apps.v1.DaemonSetUpdateStrategy": {"type": "RollingUpdate"},
    "apps.v1.StatefulSetSpec": {
        "persistentVolumeClaimRetentionPolicy": {},
        "podManagementPolicy": "OrderedReady",
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "updateStrategy": {},
    },
    "apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    "batch.v1.CronJobSpec": {
        "concurrencyPolicy": "Allow",
        "failedJobsHistoryLimit": 1,
        "successfulJobsHistoryLimit": 3,
        "suspend": False,
    },
    "batch.v1.PodFailurePolicyOnPodConditionsPattern": {"status": "True"},
    "autoscaling.v1.HorizontalPodAutoscalerSpec": {"minReplicas": 1},
    "autoscaling.v2.HorizontalPodAutoscalerSpec": {
        "minReplicas": 1,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
            }
        ],
    },
    "networking.v1.NetworkPolicyPort": {"protocol": "TCP"},
    "rbac.v1.RoleRef": {"apiGroup": _RBAC},
    "scheduling.v1.PriorityClass": {"preemptionPolicy": "PreemptLowerPriority"},
    "storage.v1.StorageClass": {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"},
    "storage.v1.CSIDriverSpec": {
        "attachRequired": True,
        "fsGroupPolicy": "ReadWriteOnceWithFSType",
        "podInfoOnMount": False,
        "requiresRepublish": False,
        "seLinuxMount": False,
        "storageCapacity": False,
        "volumeLifecycleModes": ["Persistent"],
    },
    "admissionregistration.v1.ValidatingAdmissionPolicySpec": {"failurePolicy": "Fail"},
    "admissionregistration.v1.MatchResources": {
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": {},
    },
    "admissionregistration.v1.NamedRuleWithOperations": {"scope": "*"},
    "admissionregistration.v1.RuleWithOperations": {"scope": "*"},
    "networking.v1.IngressClassParametersReference": {"scope": "Cluster"},
    "admissionregistration.v1.ServiceReference": {"port": 443},
    "apiregistration.v1.ServiceReference": {"port": 443},
    "apiextensions.v1.ServiceReference": {"port": 443},
    "admissionregistration.v1.MutatingWebhook": {**_WEBHOOK, "reinvocationPolicy": "Never"},
    "admissionregistration.v1.ValidatingWebhook": _WEBHOOK,
    "apiextensions.v1.CustomResourceDefinitionSpec": {"conversion": {"strategy": "None"}},
}


def _set(obj: Object, **values: Any) -> Object:
    """The object with the fields that it lacks; itself when it lacks none."""
    missing = {key: value for key, value in values.items() if key not in obj}
    return {**obj, **missing} if missing else obj


def _at(obj: Object, field: str, change: Rule) -> Object:
    """The object with one field changed; itself when the change changes nothing."""
    before = obj.get(field) or {}
    after = change(before)
    return obj if after is before else {**obj, field: after}


def _pull_policy(image: str) -> str:
    """Always for the tag latest or none, else IfNotPresent; a digest is as good as a tag."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "Always" if tag == "latest" or not (tag or digest) else "IfNotPresent"


def _container(container: Object) -> Object:
    if "imagePullPolicy" in container:
        return container
    return {**container, "imagePullPolicy": _pull_policy(container.get("image", ""))}


def _volume(volume: Object) -> Object:
    """A volume that names no source is an emptyDir."""
    return volume if len(volume) > 1 else {**volume, "emptyDir": {}}


def _image_volume(source: Object) -> Object:
    return source if "pullPolicy" in source else {**source, "pullPolicy": _pull_policy(source.get("reference", ""))}


def _pod_spec(spec: Object) -> Object:
    """`serviceAccount` is the old name of `serviceAccountName`; both are always written."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if not name or name == spec.get("serviceAccount") == spec.get("serviceAccountName"):
        return spec
    return {**spec, "serviceAccount": name, "serviceAccountName": name}


def _pod(pod: Object) -> Object:
    """What is defaulted in pods but not in templates, so that a template stays as its author wrote it."""

    host_network = bool(get_path(pod, "spec.hostNetwork"))
    containers = _each(lambda container: _pod_container(container, host_network))

    def change(spec: Object) -> Object:
        spec = _set(spec, enableServiceLinks=True)
        for field in ("containers", "initContainers", "ephemeralContainers"):
            spec = _at(spec, field, containers) if spec.get(field) else spec
        return spec

    return _at(pod, "spec", change)


def _pod_container(container: Object, host_network: bool) -> Object:
    """Limits are requests where none are made; with the host's network, container ports are host ports."""
    limits = get_path(container, "resources.limits")
    if limits:
        container = _at(container, "resources", lambda all_: _at(all_, "requests", lambda some: _set(some, **limits)))
    if host_network and container.get("ports"):
        ports = _each(lambda port: _set(port, hostPort=port["containerPort"]))
        container = _at(container, "ports", ports)
    return container


def _service_spec(spec: Object) -> Object:
    sort = spec["type"]
    if sort != "ExternalName":
        spec = _set(spec, internalTrafficPolicy="Cluster", ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack")
    if sort in ("NodePort", "LoadBalancer") or (sort == "ClusterIP" and spec.get("externalIPs")):
        spec = _set(spec, externalTrafficPolicy="Cluster")
    if sort == "LoadBalancer":
        spec = _set(spec, allocateLoadBalancerNodePorts=True)
    if spec["sessionAffinity"] == "ClientIP":
        return _set(spec, sessionAffinityConfig={"clientIP": {"timeoutSeconds": 10800}})
    return spec


def _service_port(port: Object) -> Object:
    return _set(port, targetPort=port["port"])


def _replication_controller(controller: Object) -> Object:
    """The template's labels serve as selector, and as the controller's own labels."""
    labels = get_path(controller, "spec.template.metadata.labels")
    if not labels:
        return controller
    if not get_path(controller, "spec.selector"):
        controller = _at(controller, "spec", lambda spec: {**spec, "selector": labels})
    return _with_labels(controller, labels)


def _with_labels(obj: Object, labels: Mapping[str, str] | None) -> Object:
    if not labels or get_path(obj, "metadata.labels"):
        return obj
    return _at(obj, "metadata", lambda metadata: {**metadata, "labels": labels})


_WITHOUT_LIMIT = 2**31 - 1  # pod failures of a Job that counts them for each index


def _job(job: Object) -> Object:
    spec = job.get("spec") or {}
    values = {"backoffLimit": _WITHOUT_LIMIT if "backoffLimitPerIndex" in spec else 6, "manualSelector": False,
              "completionMode": "NonIndexed", "parallelism": 1, "suspend": False,
              "podReplacementPolicy": "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed"}  # fmt: skip
    if "completions" not in spec and "parallelism" not in spec:
        values["completions"] = 1
    job = _at(job, "spec", lambda spec: _set(spec, **values))
    return _with_labels(job, get_path(job, "spec.template.metadata.labels"))


def _deployment_strategy(strategy: Object) -> Object:
    return _rolling_update(strategy, maxSurge="25%", maxUnavailable="25%")


def _daemon_set_strategy(strategy: Object) -> Object:
    return _rolling_update(strategy, maxSurge=0, maxUnavailable=1)


def _rolling_update(strategy: Object, **values: Any) -> Object:
    if strategy["type"] != "RollingUpdate":
        return strategy
    return _at(strategy, "rollingUpdate", lambda rolling: _set(rolling, **values))


def _stateful_set_strategy(strategy: Object) -> Object:
    """A strategy that names its type but no rollingUpdate is left as it is, unlike those of its neighbours."""
    if "type" not in strategy:
        strategy = {"rollingUpdate": {}, **strategy, "type": "RollingUpdate"}
    return _rolling_update(strategy, partition=0) if "rollingUpdate" in strategy else strategy


def _scaling_behavior(behavior: Object) -> Object:
    """Both directions are filled in as soon as one is spoken of."""
    percent = {"type": "Percent", "value": 100, "periodSeconds": 15}
    down = {"selectPolicy": "Max", "policies": [percent]}
    up = {"policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, percent], "stabilizationWindowSeconds": 0}
    behavior = _at(behavior, "scaleUp", lambda rules: _set(rules, **{**down, **up}))
    return _at(behavior, "scaleDown", lambda rules: _set(rules, **down))


def _namespace(namespace: Object) -> Object:
    """Every namespace carries its name as a label, so that selectors can name it."""
    name = get_path(namespace, "metadata.name")
    if name and get_path(namespace, ("metadata", "labels", "kubernetes.io/metadata.name")) != name:
        label = {"kubernetes.io/metadata.name": name}
        namespace = _at(namespace, "metadata", lambda meta: _at(meta, "labels", lambda labels: {**labels, **label}))
    return _at(namespace, "status", lambda status: _set(status, phase="Active"))


def _pending(obj: Object) -> Object:
    return _at(obj, "status", lambda status: _set(status, phase="Pending"))


def _secret(secret: Object) -> Object:
    """Opaque unless it says otherwise; `stringData` is for writing only and goes into `data`."""
    secret = _set(secret, type="Opaque")
    if "stringData" not in secret:
        return secret
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in secret["stringData"].items()}
    rest = {key: value for key, value in secret.items() if key != "stringData"}
    return {**rest, "data": {**(secret.get("data") or {}), **encoded}}


def _node_status(status: Object) -> Object:
    return _set(status, allocatable=status["capacity"]) if "capacity" in status else status


def _limit_range_item(item: Object) -> Object:
    """For containers: limits from the maximum, requests from limits and then from the minimum."""
    if item.get("type") != "Container":
        return item
    limits = {**(item.get("max") or {}), **(item.get("default") or {})}
    requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
    after = {**item, **({"default": limits} if limits else {}), **({"defaultRequest": requests} if requests else {})}
    return item if after == item else after


def _network_policy(spec: Object) -> Object:
    return _set(spec, policyTypes=["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])


def _subject(subject: Object) -> Object:
    return _set(subject, apiGroup=_RBAC) if subject.get("kind") in ("User", "Group") else subject


def _resource_names(names: Object) -> Object:
    return _set(names, singular=names["kind"].lower(), listKind=f"{names['kind']}List")


RULES: Mapping[str, Rule] = {
    "core.v1.Container": _container,
    "core.v1.EphemeralContainer": _container,
    "core.v1.Volume": _volume,
    "core.v1.ImageVolumeSource": _image_volume,
    "core.v1.PodSpec": _pod_spec,
    "core.v1.Pod": _pod,
    "core.v1.ServiceSpec": _service_spec,
    "core.v1.ServicePort": _service_port,
    "core.v1.ReplicationController": _replication_controller,
    "core.v1.Namespace": _namespace,
    "core.v1.PersistentVolume": _pending,
    "core.v1.PersistentVolumeClaim": _pending,
    "core.v1.Secret": _secret,
    "core.v1.NodeStatus": _node_status,
    "core.v1.LimitRangeItem": _limit_range_item,
    "apps.v1.DeploymentStrategy": _deployment_strategy,
    "apps.v1.DaemonSetUpdateStrategy": _daemon_set_strategy,
    "apps.v1.StatefulSetUpdateStrategy": _stateful_set_strategy,
    "autoscaling.v2.HorizontalPodAutoscalerBehavior": _scaling_behavior,
    "batch.v1.Job": _job,
    "networking.v1.NetworkPolicySpec": _network_policy,
    "rbac.v1.Subject": _subject,
    "apiextensions.v1.CustomResourceDefinitionNames": _resource_names,
}


def _each(change: Rule) -> Rule:
    """A change of every entry of a list, which gives the list itself where no entry changes."""

    def run(entries: list[Any]) -> list[Any]:
        after = [change(entry) for entry in entries]
        return entries if all(one is other for one, other in zip(entries, after, strict=True)) else after

    return run


class Defaulter:
    """The defaults of every type, with the way to them through the schema; compiled when first asked for."""

    def __init__(self, types: schema.Schema) -> None:
        self._schema = types
        self._compiled: dict[str, Rule | None] = {}

    def rule(self, api_version: str, kind: str) -> Rule | None:
        """What fills in an object of this kind; None where there is nothing to fill in."""
        type_ = self._schema.definition(api_version, kind)
        return self._rule(type_) if type_ is not None else None

    def _rule(self, type_: schema.Type) -> Rule | None:
        if type_.name not in self._compiled:
            self._compiled[type_.name] = None  # a type inside itself ends here
            self._compiled[type_.name] = self._compile(type_)
        return self._compiled[type_.name]

    def _compile(self, type_: schema.Type) -> Rule | None:
        values, rule = VALUES.get(type_.name, {}), RULES.get(type_.name)
        deeper = list(self._deeper(type_))
        return _struct(values, rule, deeper) if values or rule or deeper else None

    def _deeper(self, type_: schema.Type) -> Iterable[tuple[str, Rule]]:
        for name, field in type_.fields.items():
            rule = self._rule(field.type) if field.type is not None else None
            if rule is not None and field.sort in ("struct", "list"):
                yield name, _each(rule) if field.sort == "list" else rule


def _struct(values: Mapping[str, Any], rule: Rule | None, deeper: list[tuple[str, Rule]]) -> Rule:
    fields = values.keys()

    def run(obj: Object) -> Object:
        if not fields <= obj.keys():
            obj = {**obj, **{key: value for key, value in values.items() if key not in obj}}
        if rule is not None:
            obj = rule(obj)
        before = obj
        for field, change in deeper:
            value = before.get(field)
            if value is not None and (after := change(value)) is not value:
                obj = {**obj, field: after}
        return obj

    return run


@lru_cache(maxsize=1)
def _defaulter() -> Defaulter:
    return Defaulter(schema.load())


def apply_defaults(kind: Kind, obj: Object) -> Object:
    """The object with everything filled in that it left open; the object itself where it left nothing open."""
    rule = _defaulter().rule(kind.api_version, kind.kind)
    return rule(obj) if rule is not None else obj


# the kinds whose status has defaults
WITH_STATUS = frozenset(
    {"customresourcedefinitions", "namespaces", "nodes", "persistentvolumeclaims", "persistentvolumes", "services"}
)


def apply_status_defaults(kind: Kind, obj: Object) -> Object:
    """The same for one of which only the status is new: the rest was filled in when it was written."""
    return apply_defaults(kind, obj) if kind.builtin in WITH_STATUS else obj
