"""API kinds: one table row for each kind the apiserver serves.

Interface: `KINDS`, and `find(word)` for what a user types (plural, singular, short name, kind, with or without group).
The rule not to break: a kind is a row here and never a file of handlers; what differs between kinds is data.
Real Kubernetes spreads this over `pkg/registry/*/storage` and serves it as discovery documents.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Kind:
    """One kind in one group and version. `plural` is the word in URLs; `group` is "" for the core group."""

    kind: str
    plural: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = VERBS

    @cached_property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @cached_property
    def singular(self) -> str:
        return self.kind.lower()

    @cached_property
    def qualified(self) -> str:
        """`deployments.apps`: how kubectl and error messages name the resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @cached_property
    def list_kind(self) -> str:
        return f"{self.kind}List"

    @cached_property
    def prefix(self) -> str:
        """Where its objects lie in etcd, ending with a slash."""
        return f"/registry/{self.group + '/' if self.group else ''}{self.plural}/"

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

KINDS: tuple[Kind, ...] = (
    Kind("Pod", "pods", short_names=("po",), categories=("all",),
         subresources=("status", "log", "exec", "attach", "portforward", "binding", "eviction")),
    Kind("Service", "services", short_names=("svc",), categories=("all",), subresources=_STATUS),
    Kind("ReplicationController", "replicationcontrollers", short_names=("rc",), categories=("all",),
         subresources=_SCALE),
    Kind("Endpoints", "endpoints", short_names=("ep",)),
    Kind("Namespace", "namespaces", namespaced=False, short_names=("ns",), subresources=("status", "finalize")),
    Kind("Node", "nodes", namespaced=False, short_names=("no",), subresources=_STATUS),
    Kind("Event", "events", short_names=("ev",)),
    Kind("ServiceAccount", "serviceaccounts", short_names=("sa",), subresources=("token",)),
    Kind("Secret", "secrets"),
    Kind("ConfigMap", "configmaps", short_names=("cm",)),
    Kind("Deployment", "deployments", "apps", short_names=("deploy",), categories=("all",), subresources=_SCALE),
    Kind("ReplicaSet", "replicasets", "apps", short_names=("rs",), categories=("all",), subresources=_SCALE),
    Kind("EndpointSlice", "endpointslices", "discovery.k8s.io"),
    Kind("Lease", "leases", "coordination.k8s.io"),
)  # fmt: skip

_BY_WORD: dict[str, Kind] = {}
for _kind in reversed(KINDS):
    _BY_WORD.update(dict.fromkeys(_kind.words(), _kind))

BY_GVK: dict[tuple[str, str], Kind] = {(kind.api_version, kind.kind): kind for kind in KINDS}


def find(word: str) -> Kind | None:
    """The kind a user means by `po`, `pods`, `Pod`, `deployments.apps` or `deploy.v1.apps`; None if there is none."""
    return _BY_WORD.get(word) or _BY_WORD.get(word.lower())
