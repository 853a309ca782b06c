"""certificate controllers: approve what kubelets ask for, and sign what has been approved.

Interface: `CSRApprovingController`; `CSRSigningController(…, sign_request=…)`, which is given `sign_request(pem,
usages, seconds)` and never sees the authority's key.
The rule not to break: nothing is signed that is not approved, and only kubelets' own requests are approved unasked.
Source: `pkg/controller/certificates/{approver,signer}` in the kubernetes repository, and `helpers.go` of
`pkg/apis/certificates`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import NamedTuple

from k8snb.apimachinery.meta import Object, condition, is_true, with_path
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import Informers
from k8snb.clock import timestamp

CLIENT, KUBELET_CLIENT, KUBELET_SERVING = (
    "kubernetes.io/kube-apiserver-client",
    "kubernetes.io/kube-apiserver-client-kubelet",
    "kubernetes.io/kubelet-serving",
)
NODES, NODE = "system:nodes", "system:node:"
YEAR = 365 * 86400  # seconds that a certificate is good at most
ALWAYS = frozenset(("digital signature", "key encipherment"))
CLIENT_AUTH, SERVER_AUTH = "client auth", "server auth"

SignRequest = Callable[[str, Sequence[str], int], str]


class Asked(NamedTuple):
    """What a certificate request asks for."""

    common_name: str
    organizations: tuple[str, ...]
    hosts: tuple[str, ...]


class CSRApprovingController(Controller):
    name = "certificate-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.requests = self.watch("certificatesigningrequests")

    def sync(self, key: str) -> None:
        csr = self.requests.by_key(key)
        if csr is None or is_decided(csr) or csr["spec"]["signerName"] != KUBELET_CLIENT:
            return
        asked = read(csr)
        if _why_not_kubelet_client(asked, csr):
            return
        for resource, message in self._recognized(csr, asked):
            if self._may(csr, resource):
                self._approve(csr, message)
                return

    @staticmethod
    def _recognized(csr: Object, asked: Asked) -> list[tuple[str, str]]:
        """The rights that would do, and what is said then. A kubelet that renews its own comes first."""
        found = []
        if csr["spec"].get("username") == asked.common_name:
            message = "Auto approving self kubelet client certificate after SubjectAccessReview."
            found.append(("selfnodeclient", message))
        return [*found, ("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.")]

    def _may(self, csr: Object, subresource: str) -> bool:
        spec = csr["spec"]
        wanted = {"verb": "create", "group": "certificates.k8s.io", "resource": "certificatesigningrequests",
                  "subresource": subresource, "version": "*"}  # fmt: skip
        user = {key: spec[key] for key in ("uid", "extra", "groups") if key in spec}
        asked = {"user": spec["username"], **user, "resourceAttributes": wanted}
        answer = self.client.create("subjectaccessreviews", {"metadata": {}, "spec": asked})
        return bool(answer["status"]["allowed"])

    def _approve(self, csr: Object, message: str) -> None:
        now = timestamp(self.clock.now())
        entry = {"type": "Approved", "status": "True", "reason": "AutoApproved", "message": message,
                 "lastUpdateTime": now, "lastTransitionTime": now}  # fmt: skip
        approved = with_path(csr, "status.conditions", [*_conditions(csr), entry])
        self.client.update("certificatesigningrequests", approved, subresource="approval")

    def subject(self, key: str) -> Object | None:
        return self.requests.by_key(key)


class CSRSigningController(Controller):
    name = "certificate-controller"

    def __init__(self, context: Context, informers: Informers, *, sign_request: SignRequest) -> None:
        super().__init__(context, informers)
        self._sign = sign_request
        self.requests = self.watch("certificatesigningrequests")

    def sync(self, key: str) -> None:
        csr = self.requests.by_key(key)
        if csr is None or not is_true(csr, "Approved") or condition(csr, "Denied") or condition(csr, "Failed"):
            return
        complaint_of = SIGNERS.get(csr["spec"]["signerName"])
        if complaint_of is None or (csr.get("status") or {}).get("certificate"):
            return
        complaint = complaint_of(read(csr), csr)
        changed = self._failed_request(csr, complaint) if complaint else self._signed(csr)
        self.client.update_status("certificatesigningrequests", changed)

    def _signed(self, csr: Object) -> Object:
        spec = csr["spec"]
        seconds = min(spec.get("expirationSeconds") or YEAR, YEAR)
        pem = self._sign(base64.b64decode(spec["request"]).decode(), spec["usages"], seconds)
        return with_path(csr, "status.certificate", base64.b64encode(pem.encode()).decode())

    def _failed_request(self, csr: Object, complaint: str) -> Object:
        now = timestamp(self.clock.now())
        entry = {"type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": complaint,
                 "lastUpdateTime": now, "lastTransitionTime": now}  # fmt: skip
        return with_path(csr, "status.conditions", [*_conditions(csr), entry])

    def subject(self, key: str) -> Object | None:
        return self.requests.by_key(key)


def read(csr: Object) -> Asked:
    """What is in the PEM text of a CertificateSigningRequest."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    request = x509.load_pem_x509_csr(base64.b64decode(csr["spec"]["request"]))
    names = [str(part.value) for part in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = tuple(str(part.value) for part in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    try:
        found = list(request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        found = []
    return Asked("".join(names[:1]), groups, tuple(str(part.value) for part in found))


def is_decided(csr: Object) -> bool:
    return condition(csr, "Approved") is not None or condition(csr, "Denied") is not None


def _conditions(csr: Object) -> list[Object]:
    return (csr.get("status") or {}).get("conditions") or []


# what each signer asks of a request: the complaint, "" for none


def _why_not_client(asked: Asked, csr: Object) -> str:
    return _usage_complaint(csr, CLIENT_AUTH)


def _why_not_kubelet_client(asked: Asked, csr: Object) -> str:
    if asked.hosts:
        return "DNS and IP subjectAltNames are not allowed"
    return _node_complaint(asked) or _usage_complaint(csr, CLIENT_AUTH)


def _why_not_kubelet_serving(asked: Asked, csr: Object) -> str:
    if not asked.hosts:
        return "DNS or IP subjectAltName is required"
    return _node_complaint(asked) or _usage_complaint(csr, SERVER_AUTH)


def _node_complaint(asked: Asked) -> str:
    if asked.organizations != (NODES,):
        return f"subject organization is not {NODES}"
    return "" if asked.common_name.startswith(NODE) else f"subject common name does not begin with {NODE}"


def _usage_complaint(csr: Object, needed: str) -> str:
    usages = set(csr["spec"].get("usages") or ())
    if needed not in usages or not usages <= {needed, *ALWAYS}:
        return f'usages did not match: they must be "{needed}" and may be {", ".join(sorted(ALWAYS))}'
    return ""


SIGNERS: dict[str, Callable[[Asked, Object], str]] = {
    CLIENT: _why_not_client,
    KUBELET_CLIENT: _why_not_kubelet_client,
    KUBELET_SERVING: _why_not_kubelet_serving,
}
