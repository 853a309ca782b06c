"""Disturbances: what goes wrong inside machines and containers, on purpose.

Interface: `crash(cluster, pod, …)` and `hang(cluster, pod, …)`; what goes wrong between machines is in `faults`.
The rule not to break: only what a user without Kubernetes could do to a machine is done; the cluster finds out by
itself.
Real Kubernetes is tested like this by tools that kill processes on its nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from k8snb.apimachinery.meta import Object, get_path, uid_of

if TYPE_CHECKING:
    from k8snb.cluster import Cluster


def crash(cluster: Cluster, pod: str, namespace: str = "default", container: str = "") -> str:
    """Kill a container's program as `kill -9` does. Returns the container's name; its restart policy says what follows.

    Raises ValueError for a container that does not run, ApiError for a pod that is not there.
    """
    node, uid, name = _named(cluster, pod, namespace, container)
    cluster.machines.kill(cluster.runtime, node, uid, name)
    return name


def hang(cluster: Cluster, pod: str, namespace: str = "default", container: str = "") -> str:
    """A container's program stands still: it neither answers nor ends. Only a liveness probe notices.

    Raises ValueError for a container that does not run or a runtime that cannot hold one, ApiError for a pod that is
    not there.
    """
    node, uid, name = _named(cluster, pod, namespace, container)
    cluster.machines.hold(cluster.runtime, node, uid, name)
    return name


def _named(cluster: Cluster, pod: str, namespace: str, container: str) -> tuple[str, str, str]:
    """The node, the pod's uid and the container's name; the first of the pod where none is named."""
    obj: Object = cluster.client.get("pods", pod, namespace)
    names = [each["name"] for each in obj["spec"]["containers"]]
    wanted = container or names[0]
    if wanted not in names:
        raise ValueError(f"container {wanted} not found in pod {pod}: there is {', '.join(names)}")
    return get_path(obj, "spec.nodeName", ""), uid_of(obj), wanted
