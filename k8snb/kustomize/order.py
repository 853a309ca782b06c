"""kustomize, order: in which order objects come out, which is the order in which they can be created.

Interface: `ordered(resources, options)`.
The rule not to break: what others need comes first: namespaces, definitions, accounts, configuration.
Source: `SortOrderTransformer` in `api/internal/builtins`, `kyaml/resid` in the kustomize repository.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from k8snb.kustomize.errors import KustomizeError
from k8snb.kustomize.resource import Identity, Resource

FIRST = (
    "Namespace", "ResourceQuota", "StorageClass", "CustomResourceDefinition", "ServiceAccount", "PodSecurityPolicy",
    "Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "ConfigMap", "Secret", "Endpoints", "Service",
    "LimitRange", "PriorityClass", "PersistentVolume", "PersistentVolumeClaim", "Deployment", "StatefulSet", "CronJob",
    "PodDisruptionBudget",
)  # fmt: skip
LAST = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")


def ordered(resources: Sequence[Resource], options: Mapping[str, Any]) -> list[Resource]:
    """The resources as `sortOptions` says: by kind, or (`fifo`) as they came."""
    order = options.get("order") or "legacy"
    if order == "fifo":
        return list(resources)
    if order != "legacy":
        raise KustomizeError(f'the field "sortOptions.order" must be one of fifo, legacy, not "{order}"')
    chosen = options.get("legacySortOptions") or {}
    first, last = chosen.get("orderFirst") or FIRST, chosen.get("orderLast") or LAST
    return sorted(resources, key=lambda each: _key(each.identity, first, last))


def _key(identity: Identity, first: Sequence[str], last: Sequence[str]) -> tuple[Any, ...]:
    place = 0
    if identity.kind in first:
        place = first.index(identity.kind) - len(first)
    elif identity.kind in last:
        place = last.index(identity.kind) + 1
    kind = "_".join((identity.group or "~G", identity.version or "~V", identity.kind or "~K"))
    return place, kind, f"{identity.namespace or '~X'}|{identity.name or '~N'}"
