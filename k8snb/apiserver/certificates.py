"""kube-apiserver's certificate signing requests: who asked, and who may approve and sign.

Interface: `signing_requests(server, request, obj, old)`, an admission plug-in; `approval(server, request)`, the
subresource.
The rule not to break: a request says who made it; that is the user who was authenticated, whatever the body says.
Source: `pkg/registry/certificates`, `plugin/pkg/admission/certificates/{approval,signing,subjectrestriction}`.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any, Protocol

from k8snb.apimachinery.errors import forbidden, method_not_supported
from k8snb.apimachinery.meta import Object, get_path, name_of, with_path
from k8snb.apiserver import pki
from k8snb.apiserver.authorization import MASTERS, Authorizer
from k8snb.apiserver.patching import apply_patch
from k8snb.apiserver.rbac import Attributes
from k8snb.apiserver.registry import Registry
from k8snb.apiserver.validation_rbac import is_request
from k8snb.client import Request

GROUP = "certificates.k8s.io"
CLIENT = "kubernetes.io/kube-apiserver-client"


class Server(Protocol):
    authorizer: Authorizer
    registry: Registry


def signing_requests(server: Any, request: Request, obj: Object, old: Object | None) -> Object:
    """Write down who asks; let only signers sign; give nobody a certificate of system:masters."""
    if request.kind.plural != "certificatesigningrequests" or request.verb == "delete":
        return obj
    if old is None:
        complete = _with_author(server, request, obj)
        _check_subject(request, complete)
        return complete
    if get_path(obj, "status.certificate") != get_path(old, "status.certificate"):
        _check_signer(server, request, old, "sign")
    return {**obj, "spec": old["spec"]}


def approval(server: Server, request: Request) -> Object:
    """Approve or deny: the conditions of a request and nothing else."""
    old = server.registry.get(request)
    if request.verb == "get":
        return old
    if request.verb not in ("update", "patch"):
        raise method_not_supported(request.kind, request.verb)
    wanted = request.body if request.verb == "update" else apply_patch(request, old)
    _check_signer(server, request, old, "approve")
    new = with_path(old, "status.conditions", get_path(wanted, "status.conditions") or [])
    revision = get_path(wanted, "metadata.resourceVersion")
    if revision:
        new = with_path(new, "metadata.resourceVersion", revision)
    return server.registry.replace(replace(request, subresource="status"), new, old)


def _with_author(server: Server, request: Request, obj: Object) -> Object:
    user = server.authorizer.known(request.user)
    spec: Object = {**obj["spec"], "username": user.name, "groups": list(user.groups)}
    spec.pop("uid", None)
    spec.pop("extra", None)
    if user.uid:
        spec["uid"] = user.uid
    if user.extra:
        spec["extra"] = {key: list(values) for key, values in user.extra}
    return {**obj, "spec": spec}


def _check_subject(request: Request, obj: Object) -> None:
    """The signer of client certificates makes no superusers."""
    from cryptography import x509

    spec = obj["spec"]
    if spec.get("signerName") != CLIENT or not is_request(spec.get("request", "")):
        return
    asked = x509.load_pem_x509_csr(base64.b64decode(spec["request"]))
    if MASTERS in pki.asked_names(asked)[0][1]:
        why = f"use of {CLIENT} signer with {MASTERS} group is not allowed"
        raise forbidden(request.kind, name_of(obj), why)


def _check_signer(server: Server, request: Request, csr: Object, verb: str) -> None:
    """Whether the user may approve or sign for a signer: for exactly it, or for all of its domain."""
    signer = csr["spec"]["signerName"]
    for name in (signer, f"{signer.partition('/')[0]}/*"):
        asked = Attributes(verb, GROUP, "signers", name=name)
        if server.authorizer.authorize(server.authorizer.known(request.user), asked).allowed:
            return
    why = f'user not permitted to {verb} requests with signerName "{signer}"'
    raise forbidden(request.kind, name_of(csr), why)
