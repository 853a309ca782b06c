"""API kinds: one table row for each kind the apiserver serves.

Interface: `KINDS`, and `find(word)` for what a user types (plural, singular, short name, kind, with or without group);
`preferred(kinds)`, each resource in one version.
The rule not to break: a kind is a row here and never a file of handlers; what differs between kinds is data.
Real Kubernetes spreads this over `pkg/registry/*/storage` and serves it as discovery documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, Protocol

METRICS = "metrics.k8s.io"
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Checker(Protocol):
    """What a custom kind's schema makes of objects."""

    def decode(self, obj: Any) -> tuple[Any, list[Any], list[Any]]:
        """The object without unknown fields and with defaults, its errors, its unknown fields."""
        ...

    def shape(self, obj: Any) -> Any:
        """The same for what comes out of the store; the object itself where nothing changes."""
        ...

    def validate(self, obj: Any, old: Any) -> list[Any]:
        """Everything that the schema has against it."""
        ...


class Converter(Protocol):
    """What knows a custom kind's objects in its other versions."""

    def convert(self, objects: list[Any], api_version: str) -> list[Any]:
        """All objects in one version."""
        ...

    def remember(self, obj: Any, converted: Any) -> None:
        """What an object is in another version."""
        ...


@dataclass(frozen=True, eq=False)
class Custom:
    """What a CustomResourceDefinition says of a kind beside what every kind has.

    `columns` are its additionalPrinterColumns, `scale` its scale subresource, `schema` its openAPIV3Schema; `storage`
    is the version that its objects are kept in. Without a `converter` all versions have the same fields.
    """

    singular: str
    list_kind: str
    storage: str
    schema: Mapping[str, Any]
    checker: Checker
    columns: tuple[Mapping[str, Any], ...] = ()
    selectable: tuple[str, ...] = ()
    scale: Mapping[str, str] | None = None
    deprecation: str = ""
    converter: Converter | None = None


@dataclass(frozen=True)
class Kind:
    """One kind in one group and version. `plural` is the word in URLs; `group` is "" for the core group.

    `custom` is there for the kinds that a CustomResourceDefinition has made. `kept_as` is the apiVersion that a
    built-in kind's objects are kept in, where several versions show the same objects. `remote` names the APIService
    behind which another server has the kind.
    """

    kind: str
    plural: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = VERBS
    kept_as: str = ""
    custom: Custom | None = None
    remote: str = ""

    @cached_property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def singular(self) -> str:
        return self.custom.singular if self.custom is not None else self.kind.lower()

    @cached_property
    def builtin(self) -> str:
        """The word under which tables of built-in kinds have this kind; "" for a custom one, which may share a
        plural with one of them (`services.serving.knative.dev`). Metrics share theirs with what they measure."""
        if self.custom is not None or self.remote:
            return ""
        return self.qualified if self.group == METRICS else self.plural

    @cached_property
    def qualified(self) -> str:
        """`deployments.apps`: how kubectl and error messages name the resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @cached_property
    def word(self) -> str:
        """What the cluster's own components call the resource: `pods`, `crontabs.stable.example.com`."""
        return self.builtin or self.qualified

    @cached_property
    def list_kind(self) -> str:
        return self.custom.list_kind if self.custom is not None else f"{self.kind}List"

    @cached_property
    def prefix(self) -> str:
        """Where its objects lie in etcd, ending with a slash."""
        group = self.kept_as.rpartition("/")[0] if self.kept_as else self.group
        return f"/registry/{group + '/' if group else ''}{self.plural}/"

    @cached_property
    def converts(self) -> bool:
        """Whether clients of this version may see something else than what lies in etcd."""
        return self.custom is not None or bool(self.kept_as)

    def key(self, namespace: str, name: str) -> str:
        return f"{self.prefix}{namespace}/{name}" if self.namespaced else self.prefix + name

    def words(self) -> Iterable[str]:
        """Everything a user may type for this kind, in lower case."""
        for word in (self.plural, self.singular, *self.short_names):
            yield word
            yield f"{word}.{self.group}"
            yield f"{word}.{self.version}.{self.group}"


_STATUS = ("status",)
_SCALE = ("status", "scale")
_QUESTION = ("create",)  # a question to the server, never stored
_RBAC, _STORAGE, _ADMISSION = "rbac.authorization.k8s.io", "storage.k8s.io", "admissionregistration.k8s.io"
_AUTHORIZATION, _AUTHENTICATION = "authorization.k8s.io", "authentication.k8s.io"

KINDS: tuple[Kind, ...] = (
    Kind("Pod", "pods", short_names=("po",), categories=("all",),
         subresources=("status", "log", "exec", "attach", "portforward", "proxy", "binding", "eviction",
                      "ephemeralcontainers", "resize")),
    Kind("Service", "services", short_names=("svc",), categories=("all",), subresources=("status", "proxy")),
    Kind("ReplicationController", "replicationcontrollers", short_names=("rc",), categories=("all",),
         subresources=_SCALE),
    Kind("Endpoints", "endpoints", short_names=("ep",)),
    Kind("Namespace", "namespaces", namespaced=False, short_names=("ns",), subresources=("status", "finalize")),
    Kind("Node", "nodes", namespaced=False, short_names=("no",), subresources=("status", "proxy")),
    Kind("Event", "events", short_names=("ev",)),
    Kind("ServiceAccount", "serviceaccounts", short_names=("sa",), subresources=("token",)),
    Kind("Secret", "secrets"),
    Kind("ConfigMap", "configmaps", short_names=("cm",)),
    Kind("PersistentVolume", "persistentvolumes", namespaced=False, short_names=("pv",), subresources=_STATUS),
    Kind("PersistentVolumeClaim", "persistentvolumeclaims", short_names=("pvc",), subresources=_STATUS),
    Kind("ResourceQuota", "resourcequotas", short_names=("quota",), subresources=_STATUS),
    Kind("LimitRange", "limitranges", short_names=("limits",)),
    Kind("PodTemplate", "podtemplates"),
    Kind("Binding", "bindings", verbs=_QUESTION),
    Kind("ComponentStatus", "componentstatuses", namespaced=False, short_names=("cs",), verbs=("get", "list")),
    Kind("Deployment", "deployments", "apps", short_names=("deploy",), categories=("all",), subresources=_SCALE),
    Kind("ReplicaSet", "replicasets", "apps", short_names=("rs",), categories=("all",), subresources=_SCALE),
    Kind("StatefulSet", "statefulsets", "apps", short_names=("sts",), categories=("all",), subresources=_SCALE),
    Kind("DaemonSet", "daemonsets", "apps", short_names=("ds",), categories=("all",), subresources=_STATUS),
    Kind("ControllerRevision", "controllerrevisions", "apps"),
    Kind("Job", "jobs", "batch", categories=("all",), subresources=_STATUS),
    Kind("CronJob", "cronjobs", "batch", short_names=("cj",), categories=("all",), subresources=_STATUS),
    Kind("HorizontalPodAutoscaler", "horizontalpodautoscalers", "autoscaling", "v2", short_names=("hpa",),
         categories=("all",), subresources=_STATUS),
    Kind("HorizontalPodAutoscaler", "horizontalpodautoscalers", "autoscaling", "v1", short_names=("hpa",),
         categories=("all",), subresources=_STATUS, kept_as="autoscaling/v2"),
    Kind("PodDisruptionBudget", "poddisruptionbudgets", "policy", short_names=("pdb",), subresources=_STATUS),
    Kind("Ingress", "ingresses", "networking.k8s.io", short_names=("ing",), subresources=_STATUS),
    Kind("IngressClass", "ingressclasses", "networking.k8s.io", namespaced=False),
    Kind("NetworkPolicy", "networkpolicies", "networking.k8s.io", short_names=("netpol",)),
    Kind("EndpointSlice", "endpointslices", "discovery.k8s.io"),
    Kind("Event", "events", "events.k8s.io", short_names=("ev",), kept_as="v1"),
    Kind("Lease", "leases", "coordination.k8s.io"),
    Kind("StorageClass", "storageclasses", _STORAGE, namespaced=False, short_names=("sc",)),
    Kind("VolumeAttachment", "volumeattachments", _STORAGE, namespaced=False, subresources=_STATUS),
    Kind("CSIDriver", "csidrivers", _STORAGE, namespaced=False),
    Kind("CSINode", "csinodes", _STORAGE, namespaced=False),
    Kind("CSIStorageCapacity", "csistoragecapacities", _STORAGE),
    Kind("PriorityClass", "priorityclasses", "scheduling.k8s.io", namespaced=False, short_names=("pc",)),
    Kind("RuntimeClass", "runtimeclasses", "node.k8s.io", namespaced=False),
    Kind("ValidatingAdmissionPolicy", "validatingadmissionpolicies", _ADMISSION, namespaced=False,
         categories=("api-extensions",), subresources=_STATUS),
    Kind("ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", _ADMISSION, namespaced=False,
         categories=("api-extensions",)),
    Kind("ValidatingWebhookConfiguration", "validatingwebhookconfigurations", _ADMISSION, namespaced=False,
         categories=("api-extensions",)),
    Kind("MutatingWebhookConfiguration", "mutatingwebhookconfigurations", _ADMISSION, namespaced=False,
         categories=("api-extensions",)),
    Kind("APIService", "apiservices", "apiregistration.k8s.io", namespaced=False, categories=("api-extensions",),
         subresources=_STATUS),
    Kind("ClusterRole", "clusterroles", _RBAC, namespaced=False),
    Kind("ClusterRoleBinding", "clusterrolebindings", _RBAC, namespaced=False),
    Kind("Role", "roles", _RBAC),
    Kind("RoleBinding", "rolebindings", _RBAC),
    Kind("CertificateSigningRequest", "certificatesigningrequests", "certificates.k8s.io", namespaced=False,
         short_names=("csr",), subresources=("status", "approval")),
    Kind("SubjectAccessReview", "subjectaccessreviews", _AUTHORIZATION, namespaced=False, verbs=_QUESTION),
    Kind("SelfSubjectAccessReview", "selfsubjectaccessreviews", _AUTHORIZATION, namespaced=False, verbs=_QUESTION),
    Kind("LocalSubjectAccessReview", "localsubjectaccessreviews", _AUTHORIZATION, verbs=_QUESTION),
    Kind("SelfSubjectRulesReview", "selfsubjectrulesreviews", _AUTHORIZATION, namespaced=False, verbs=_QUESTION),
    Kind("TokenReview", "tokenreviews", _AUTHENTICATION, namespaced=False, verbs=_QUESTION),
    Kind("SelfSubjectReview", "selfsubjectreviews", _AUTHENTICATION, namespaced=False, verbs=_QUESTION),
    Kind("CustomResourceDefinition", "customresourcedefinitions", "apiextensions.k8s.io", namespaced=False,
         short_names=("crd", "crds"), categories=("api-extensions",), subresources=_STATUS),
    Kind("NodeMetrics", "nodes", METRICS, "v1beta1", namespaced=False, verbs=("get", "list")),
    Kind("PodMetrics", "pods", METRICS, "v1beta1", verbs=("get", "list")),
)  # fmt: skip

_BY_WORD: dict[str, Kind] = {}
for _kind in reversed(KINDS):
    _BY_WORD.update(dict.fromkeys(_kind.words(), _kind))

BY_GVK: dict[tuple[str, str], Kind] = {(kind.api_version, kind.kind): kind for kind in KINDS}


def find(word: str) -> Kind | None:
    """The kind a user means by `po`, `pods`, `Pod`, `deployments.apps` or `deploy.v1.apps`; None if there is none."""
    return _BY_WORD.get(word) or _BY_WORD.get(word.lower())


_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_MATURITY: Mapping[str | None, int] = MappingProxyType({"alpha": 2, "beta": 1, None: 0})


def version_rank(name: str) -> tuple[int, int, int, str]:
    """Sorts versions as clients prefer them: v2, v1, v1beta2, v1alpha1, and what is no such name last."""
    match = _VERSION.fullmatch(name)
    if match is None:
        return 3, 0, 0, name
    return _MATURITY[match[2]], -int(match[1]), -int(match[3] or 0), name


def preferred(kinds: Iterable[Kind]) -> list[Kind]:
    """Each resource once, in the version that clients prefer: two versions show the same objects."""
    found: dict[tuple[str, str], Kind] = {}
    for kind in kinds:
        before = found.get((kind.group, kind.plural))
        if before is None or version_rank(kind.version) < version_rank(before.version):
            found[kind.group, kind.plural] = kind
    return list(found.values())
