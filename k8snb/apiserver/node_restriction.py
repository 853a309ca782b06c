"""NodeRestriction: the admission plug-in that keeps a kubelet to its own node and to the pods on it.

Interface: `node_restriction(server, request, obj, old)`, a plug-in; `check_token(user, pod)` for token requests.
The rule not to break: the node authorizer says what a kubelet may write at all; here that is narrowed to its own.
Source: `plugin/pkg/admission/noderestriction/admission.go`. Upstream also holds a list of the labels in `kubernetes.io`
that a kubelet may set; here only those that isolate nodes from each other are kept from it.
"""

from __future__ import annotations

from collections.abc import Callable

from k8snb.apimachinery.errors import ApiError, forbidden
from k8snb.apimachinery.meta import Object, annotations_of, get_path, labels_of, name_of, with_metadata
from k8snb.apiserver.authentication import complete
from k8snb.apiserver.node_authorizer import LEASE_NAMESPACE, node_of
from k8snb.client import Request, User

MIRROR = "kubernetes.io/config.mirror"
GUARDED_LABELS = "node-restriction.kubernetes.io/"
Check = Callable[[str, Request, Object, Object | None], str]


def node_restriction(server: object, request: Request, obj: Object, old: Object | None) -> Object:
    """Refuse what a kubelet may not do to what is not its own. Everybody else passes."""
    check = CHECKS.get((request.kind.group, request.kind.plural))
    if check is None or not request.user.name.startswith("system:node:"):
        return obj
    node = node_of(complete(request.user))
    complaint = check(node, request, obj, old) if node else ""
    if complaint:
        raise forbidden(request.kind, name_of(obj), complaint)
    return obj


def check_token(user: User, pod: Object | None) -> ApiError | None:
    """Why a kubelet does not get a token: it is for a pod of this node, or for nobody."""
    node = node_of(complete(user))
    if node and pod is None:
        return ApiError(403, "Forbidden", "node requested token not bound to a pod")
    if node and pod is not None and pod["spec"].get("nodeName") != node:
        return ApiError(403, "Forbidden", "node requested token bound to a pod scheduled on a different node")
    return None


def _pod(node: str, request: Request, obj: Object, old: Object | None) -> str:
    pod = obj if old is None else old
    own = pod["spec"].get("nodeName") == node
    if request.verb == "create":
        if MIRROR not in annotations_of(pod):
            return f'pod does not have "{MIRROR}" annotation, node "{node}" can only create mirror pods'
        return "" if own else f'node "{node}" can only create pods with spec.nodeName set to itself'
    if request.verb == "delete":
        return "" if own else f'node "{node}" can only delete pods with spec.nodeName set to itself'
    if not own:
        return f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
    if labels_of(obj) != labels_of(pod):
        return f'node "{node}" cannot update labels through pod status'
    if request.subresource != "status" and _without_annotations(obj) != _without_annotations(pod):
        return f'node "{node}" can only update annotations and the status of a pod'
    return ""


def _without_annotations(pod: Object) -> Object:
    return with_metadata(pod, annotations=None, managedFields=None, generation=None)


def _node(node: str, request: Request, obj: Object, old: Object | None) -> str:
    if name_of(obj) != node:
        return f'node "{node}" is not allowed to modify node "{name_of(obj)}"'
    before = labels_of(old) if old is not None else {}
    changed = {key for key in {*labels_of(obj), *before} if labels_of(obj).get(key) != before.get(key)}
    guarded = sorted(key for key in changed if key.startswith(GUARDED_LABELS))
    if guarded:
        return f'node "{node}" is not allowed to modify labels: {", ".join(guarded)}'
    if old is not None and get_path(obj, "spec.taints") != get_path(old, "spec.taints"):
        return f'node "{node}" is not allowed to modify taints'
    return ""


def _lease(node: str, request: Request, obj: Object, old: Object | None) -> str:
    if obj["metadata"].get("namespace") != LEASE_NAMESPACE:
        return f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
    return "" if name_of(obj) == node else "can only access node lease with the same name as the requesting node"


CHECKS: dict[tuple[str, str], Check] = {
    ("", "pods"): _pod,
    ("", "nodes"): _node,
    ("coordination.k8s.io", "leases"): _lease,
}
