"""The objects that an add-on brings along: made when it is enabled, taken away when it is disabled.

Interface: `ensure(client, objects)` and `remove(client, objects)`; objects come as (resource, object).
The rule not to break: what is there already is left as it is; what carries no label of ours is not taken away.
minikube does the same with `kubectl apply` and `kubectl delete` over an add-on's manifests.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, labels_of, name_of, namespace_of
from k8snb.client import Client

MANAGED_BY, OURS = "app.kubernetes.io/managed-by", "k8snb"

Objects = Iterable[tuple[str, Object]]


def ensure(client: Client, objects: Objects) -> None:
    """Make those that are missing."""
    for resource, obj in objects:
        if client.find(resource, name_of(obj), namespace_of(obj)) is None:
            labels = {MANAGED_BY: OURS, **labels_of(obj)}
            client.create(resource, {**obj, "metadata": {**obj["metadata"], "labels": labels}})


def remove(client: Client, objects: Objects) -> None:
    """Delete those that are there and are ours."""
    for resource, obj in objects:
        found = client.find(resource, name_of(obj), namespace_of(obj))
        if found is not None and labels_of(found).get(MANAGED_BY) == OURS:
            with suppress(ApiError):
                client.delete(resource, name_of(obj), namespace_of(obj))
