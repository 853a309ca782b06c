"""kube-apiserver's TokenRequest: a signed token for a service account, good for a while.

Interface: `token(server, request)`, the subresource `serviceaccounts/token`.
The rule not to break: a token says for whom, for how long, and what it shall not outlive.
Source: `pkg/registry/core/serviceaccount/storage/token.go`, `pkg/serviceaccount/claims.go`.
"""

from __future__ import annotations

from typing import Protocol

from k8snb.apimachinery import errors
from k8snb.apimachinery.kinds import find
from k8snb.apimachinery.meta import Object, get_path, name_of, uid_of
from k8snb.apiserver.identity import Identity
from k8snb.apiserver.node_restriction import check_token
from k8snb.apiserver.registry import Registry
from k8snb.client import Request
from k8snb.clock import timestamp

USUAL, SHORTEST, LONGEST = 3600, 600, 2**32  # seconds
BOUND = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


class Server(Protocol):
    registry: Registry
    identity: Identity


def token(server: Server, request: Request) -> Object:
    """The request with the token in its status. Raises Invalid, NotFound or Conflict where it cannot be given."""
    account = server.registry.get(request)
    spec = (request.body or {}).get("spec") or {}
    seconds = _seconds(request, spec)
    reference: Object = spec.get("boundObjectRef") or {}
    bound = _bound(server, request, reference) if reference else None
    refusal = check_token(request.user, bound if reference.get("kind") == "Pod" else None)
    if refusal is not None:
        raise refusal
    claims = server.identity.account_claims(account, spec.get("audiences") or (), seconds)
    if bound is not None:
        claims = server.identity.bound_token(claims, reference["kind"].lower(), bound)
        claims = _with_node(server, claims, bound)
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": name_of(account), "namespace": request.namespace},
        "spec": {"audiences": claims["aud"], "expirationSeconds": seconds, "boundObjectRef": reference or None},
        "status": {"token": server.identity.sign(claims), "expirationTimestamp": timestamp(claims["exp"])},
    }


def _seconds(request: Request, spec: Object) -> int:
    seconds: int = spec.get("expirationSeconds") or USUAL
    why = ""
    if seconds < SHORTEST:
        why = "may not specify a duration less than 10 minutes"
    elif seconds > LONGEST:
        why = "may not specify a duration larger than 2^32 seconds"
    if why:
        complaint = errors.FieldError("spec.expirationSeconds", errors.INVALID, seconds, why)
        raise errors.invalid(request.kind, request.name, [complaint])
    return seconds


def _bound(server: Server, request: Request, reference: Object) -> Object:
    """The object that the token shall not outlive, as it is now."""
    plural, name = BOUND.get(reference.get("kind", "")), reference.get("name", "")
    if plural is None:
        kinds = ", ".join(BOUND)
        raise errors.bad_request(f"cannot bind token to object of kind {reference.get('kind')}: it may be {kinds}")
    kind = find(plural)
    assert kind is not None
    obj = server.registry.record(kind, request.namespace, name).value
    if reference.get("uid") and reference["uid"] != uid_of(obj):
        why = f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
        raise errors.conflict(kind, name, f"{why}The object might have been deleted and then recreated")
    if plural == "pods" and get_path(obj, "spec.serviceAccountName") != request.name:
        words = f'cannot bind token for serviceaccount "{request.name}" to pod running with different serviceaccount'
        raise errors.bad_request(f"{words} name.")
    return obj


def _with_node(server: Server, claims: Object, pod: Object) -> Object:
    """A pod's token also tells its node, where there is one."""
    nodes = find("nodes")
    assert nodes is not None
    name = get_path(pod, "spec.nodeName", "")
    record = server.registry.store.get(nodes.key("", name)) if name else None
    return claims if record is None else server.identity.bound_token(claims, "node", record.value)
