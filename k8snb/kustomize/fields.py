"""kustomize, fields: where in objects of which kind something stands, and how to change it there.

Interface: `FieldSpec` rows; `changed(obj, spec, change)`; the tables `LABELS`, `TEMPLATE_LABELS`, `ANNOTATIONS`,
`REPLICAS`, `REFERENCES`.
The rule not to break: a path goes through every item of a list on its way; where it ends early nothing happens, unless
the row creates.
Source: `api/internal/konfig/builtinpluginconsts` in the kustomize repository.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from k8snb.apimachinery.meta import Object

Change = Callable[[Any], Any]


@dataclass(frozen=True)
class FieldSpec:
    """A field of the objects of a kind; an empty word stands for any."""

    path: str
    kind: str = ""
    group: str = ""
    version: str = ""
    create: bool = False

    def applies_to(self, obj: Object) -> bool:
        group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
        wanted = ((self.kind, obj.get("kind")), (self.group, group), (self.version, version))
        return all(not want or want == has for want, has in wanted)

    @property
    def parts(self) -> list[str]:
        return [part.replace("\\/", "/").removesuffix("[]") for part in re.split(r"(?<!\\)/", self.path)]


def changed(obj: Object, specs: Iterable[FieldSpec], change: Change) -> Object:
    """The object with `change` made at every field that the rows name; a field that is created begins as None."""
    for spec in specs:
        if spec.applies_to(obj):
            obj = at(obj, spec.parts, change, create=spec.create)
    return obj


def at(value: Any, parts: Sequence[str], change: Change, *, create: bool = False) -> Any:
    """The value with `change` made at a path."""
    if isinstance(value, list) and parts:
        return [at(item, parts, change, create=create) for item in value]
    if not parts:
        return change(value)
    if not isinstance(value, dict):
        return at({}, parts, change, create=True) if value is None and create else value
    head, rest = parts[0], parts[1:]
    if value.get(head) is None and not create:
        return value
    return {**value, head: at(value.get(head), rest, change, create=create)}


# tables

_APPS = ("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet")
_TEMPLATED = (*_APPS, "ReplicationController", "Job")
_TERMS = tuple(
    f"spec/template/spec/affinity/{sort}/{when}/labelSelector/matchLabels"
    for sort in ("podAffinity", "podAntiAffinity")
    for when in ("preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm",
                 "requiredDuringSchedulingIgnoredDuringExecution")
)  # fmt: skip

METADATA_LABELS = (FieldSpec("metadata/labels", create=True),)


def _of_templates(what: str) -> tuple[FieldSpec, ...]:
    """Labels or annotations of everything that an object makes."""
    rows = [FieldSpec(f"metadata/{what}", create=True)]
    rows += [FieldSpec(f"spec/template/metadata/{what}", kind, create=True) for kind in _TEMPLATED]
    rows += [FieldSpec(f"spec/jobTemplate/{below}metadata/{what}", "CronJob", "batch", create=True)
             for below in ("", "spec/template/")]  # fmt: skip
    return tuple(rows)


TEMPLATE_LABELS = (
    *_of_templates("labels"),
    FieldSpec("spec/volumeClaimTemplates[]/metadata/labels", "StatefulSet", "apps", create=True),
)
ANNOTATIONS = _of_templates("annotations")
LABELS = (
    FieldSpec("spec/selector", "Service", version="v1", create=True),
    FieldSpec("spec/selector", "ReplicationController", version="v1", create=True),
    *(FieldSpec("spec/selector/matchLabels", kind, create=True) for kind in _APPS[:3]),
    FieldSpec("spec/selector/matchLabels", "StatefulSet", "apps", create=True),
    *(FieldSpec(path, kind, "apps") for kind in ("Deployment", "StatefulSet")
      for path in (*_TERMS, "spec/template/spec/topologySpreadConstraints/labelSelector/matchLabels")),
    FieldSpec("spec/selector/matchLabels", "Job", "batch"),
    FieldSpec("spec/jobTemplate/spec/selector/matchLabels", "CronJob", "batch"),
    FieldSpec("spec/selector/matchLabels", "PodDisruptionBudget", "policy"),
    *(FieldSpec(path, "NetworkPolicy", "networking.k8s.io") for path in (
        "spec/podSelector/matchLabels", "spec/ingress/from/podSelector/matchLabels",
        "spec/egress/to/podSelector/matchLabels")),
    *TEMPLATE_LABELS,
)  # fmt: skip
REPLICAS = tuple(
    FieldSpec("spec/replicas", kind, create=True)
    for kind in ("Deployment", "StatefulSet", "ReplicaSet", "ReplicationController")
)
NAMELESS = ("CustomResourceDefinition", "APIService", "Namespace")  # kinds whose names are nobody's to change


@dataclass(frozen=True)
class Reference:
    """Fields that hold the name of an object of a kind."""

    kind: str
    group: str | None
    fields: tuple[FieldSpec, ...]


_PODS = {"Pod": "spec", "PodTemplate": "template/spec", "CronJob": "spec/jobTemplate/spec/template/spec",
         **dict.fromkeys(_TEMPLATED, "spec/template/spec")}  # fmt: skip


def _in_pods(*paths: str, without: Sequence[str] = ()) -> tuple[FieldSpec, ...]:
    return tuple(FieldSpec(f"{where}/{path}", kind) for kind, where in _PODS.items() if kind not in without
                 for path in paths)  # fmt: skip


def _sources(sort: str, volume: str) -> tuple[str, ...]:
    """Where a pod names a ConfigMap or a Secret."""
    inside = (f"env/valueFrom/{sort}KeyRef/name", f"envFrom/{sort}Ref/name")
    containers = [f"{list}/{path}" for list in ("containers", "initContainers") for path in inside]
    return (volume, *containers, f"volumes/projected/sources/{'configMap' if sort == 'configMap' else sort}/name")


_NEITHER = ("ReplicationController",)
_CLAIMANTS = ("PodTemplate", "ReplicaSet")
_RULES = tuple(FieldSpec("rules/resourceNames", kind) for kind in ("Role", "ClusterRole"))
_NGINX = "metadata/annotations/nginx.ingress.kubernetes.io\\/"
_SCALED = tuple(
    Reference(kind, None, (FieldSpec("spec/scaleTargetRef/name", "HorizontalPodAutoscaler"),))
    for kind in ("Deployment", "ReplicationController", "ReplicaSet", "StatefulSet")
)
_RBAC = "rbac.authorization.k8s.io"

REFERENCES: tuple[Reference, ...] = (
    *_SCALED,
    Reference("ConfigMap", "", (
        *_in_pods(*_sources("configMap", "volumes/configMap/name"), without=_NEITHER),
        FieldSpec("spec/configSource/configMap", "Node"), *_RULES,
        FieldSpec(f"{_NGINX}fastcgi-params-configmap", "Ingress"),
    )),
    Reference("Secret", "", (
        *_in_pods(*_sources("secret", "volumes/secret/secretName"), "imagePullSecrets/name", without=_NEITHER),
        FieldSpec("spec/tls/secretName", "Ingress"),
        FieldSpec("metadata/annotations/ingress.kubernetes.io\\/auth-secret", "Ingress"),
        FieldSpec(f"{_NGINX}auth-secret", "Ingress"), FieldSpec(f"{_NGINX}auth-tls-secret", "Ingress"),
        FieldSpec("imagePullSecrets/name", "ServiceAccount"),
        *(FieldSpec(f"parameters/{name}", "StorageClass")
          for name in ("secretName", "adminSecretName", "userSecretName", "secretRef")),
        *_RULES, FieldSpec("spec/azureFile/secretName", "PersistentVolume"),
    )),
    Reference("Service", "", (
        FieldSpec("spec/serviceName", "StatefulSet", "apps"),
        *(FieldSpec(path, "Ingress") for path in (
            "spec/rules/http/paths/backend/serviceName", "spec/backend/serviceName",
            "spec/rules/http/paths/backend/service/name", "spec/defaultBackend/service/name")),
        FieldSpec("spec/service/name", "APIService", "apiregistration.k8s.io"),
        *(FieldSpec("webhooks/clientConfig/service", f"{sort}WebhookConfiguration", "admissionregistration.k8s.io")
          for sort in ("Validating", "Mutating")),
        FieldSpec("spec/rules/backendRefs/name", "HTTPRoute"),
    )),
    Reference("Role", _RBAC, (FieldSpec("roleRef/name", "RoleBinding", _RBAC),)),
    Reference("ClusterRole", _RBAC, tuple(
        FieldSpec("roleRef/name", kind, _RBAC) for kind in ("RoleBinding", "ClusterRoleBinding"))),
    Reference("ServiceAccount", "", (
        *(FieldSpec("subjects", kind, _RBAC) for kind in ("RoleBinding", "ClusterRoleBinding")),
        *_in_pods("serviceAccountName", without=_CLAIMANTS),
    )),
    Reference("PersistentVolumeClaim", "", _in_pods("volumes/persistentVolumeClaim/claimName", without=_CLAIMANTS)),
    Reference("PersistentVolume", "", (FieldSpec("spec/volumeName", "PersistentVolumeClaim"), _RULES[1])),
    Reference("StorageClass", "storage.k8s.io", (
        FieldSpec("spec/storageClassName", "PersistentVolume"),
        FieldSpec("spec/storageClassName", "PersistentVolumeClaim"),
        FieldSpec("spec/volumeClaimTemplates/spec/storageClassName", "StatefulSet"),
    )),
    Reference("PriorityClass", "scheduling.k8s.io", _in_pods("priorityClassName", without=_CLAIMANTS)),
    Reference("IngressClass", "networking.k8s.io", (FieldSpec("spec/ingressClassName", "Ingress"),)),
)  # fmt: skip
