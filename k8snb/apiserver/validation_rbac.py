"""kube-apiserver's validation of roles, bindings and certificate signing requests.

Interface: `role`, `binding`, `binding_change`, `signing_request`, pure; `path_segment` is the rule for their names.
The rule not to break: a role that could never allow anything is a mistake and refused.
Source: `pkg/apis/rbac/validation/validation.go`, `pkg/apis/certificates/validation/validation.go`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator

from k8snb.apimachinery import names
from k8snb.apimachinery.errors import INVALID, NOT_SUPPORTED, REQUIRED, FieldError
from k8snb.apimachinery.meta import Object

Errors = Iterator[FieldError]
GROUP = "rbac.authorization.k8s.io"
SHORTEST = 600  # seconds that a certificate lives at least


def path_segment(name: str) -> list[str]:
    """Roles and bindings may be called what fits into a URL: `system:node` is a good name."""
    if name in (".", ".."):
        return [f"may not be '{name}'"]
    return [f"may not contain '{sign}'" for sign in ("/", "%") if sign in name]


def role(obj: Object) -> Errors:
    namespaced = "namespace" in obj["metadata"]
    for index, rule in enumerate(obj.get("rules") or ()):
        yield from _rule(rule, f"rules[{index}]", namespaced)


def _rule(rule: Object, path: str, namespaced: bool) -> Errors:
    if not rule.get("verbs"):
        yield FieldError(f"{path}.verbs", REQUIRED, None, "verbs must contain at least one value")
    if rule.get("nonResourceURLs"):
        if namespaced:
            why = "namespaced rules cannot apply to non-resource URLs"
            yield FieldError(f"{path}.nonResourceURLs", INVALID, rule["nonResourceURLs"], why)
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            why = "rules cannot apply to both regular resources and non-resource URLs"
            yield FieldError(f"{path}.nonResourceURLs", INVALID, rule["nonResourceURLs"], why)
        return
    if not rule.get("apiGroups"):
        yield FieldError(f"{path}.apiGroups", REQUIRED, None, "resource rules must supply at least one api group")
    if not rule.get("resources"):
        yield FieldError(f"{path}.resources", REQUIRED, None, "resource rules must supply at least one resource")


def binding(obj: Object) -> Errors:
    namespaced = "namespace" in obj["metadata"]
    reference = obj["roleRef"]
    if reference.get("apiGroup") != GROUP:
        yield FieldError("roleRef.apiGroup", NOT_SUPPORTED, reference.get("apiGroup"), f'supported values: "{GROUP}"')
    kinds = ("ClusterRole", "Role") if namespaced else ("ClusterRole",)
    if reference.get("kind") not in kinds:
        supported = ", ".join(f'"{kind}"' for kind in kinds)
        yield FieldError("roleRef.kind", NOT_SUPPORTED, reference.get("kind"), f"supported values: {supported}")
    if not reference.get("name"):
        yield FieldError("roleRef.name", REQUIRED)
    for index, subject in enumerate(obj.get("subjects") or ()):
        yield from _subject(subject, f"subjects[{index}]", namespaced)


def _subject(subject: Object, path: str, namespaced: bool) -> Errors:
    kind = subject.get("kind")
    if not subject.get("name"):
        yield FieldError(f"{path}.name", REQUIRED)
    if kind not in ("ServiceAccount", "User", "Group"):
        yield FieldError(f"{path}.kind", NOT_SUPPORTED, kind, 'supported values: "ServiceAccount", "User", "Group"')
        return
    group = "" if kind == "ServiceAccount" else GROUP
    if (subject.get("apiGroup") or "") != group:
        supported = f'supported values: "{group}"'
        yield FieldError(f"{path}.apiGroup", NOT_SUPPORTED, subject.get("apiGroup"), supported)
    if kind == "ServiceAccount" and subject.get("name"):
        for complaint in names.dns_subdomain(subject["name"]):
            yield FieldError(f"{path}.name", INVALID, subject["name"], complaint)
    if kind == "ServiceAccount" and not namespaced and not subject.get("namespace"):
        yield FieldError(f"{path}.namespace", REQUIRED)


def binding_change(obj: Object, old: Object) -> Errors:
    if obj["roleRef"] != old["roleRef"]:
        yield FieldError("roleRef", INVALID, obj["roleRef"], "cannot change roleRef")


def signing_request(obj: Object) -> Errors:
    spec = obj["spec"]
    signer = spec.get("signerName", "")
    if signer.count("/") != 1 or not all(signer.split("/")):
        why = 'must be a fully qualified domain and path of the form "example.com/signer-name"'
        yield FieldError("spec.signerName", INVALID, signer, why)
    if not spec.get("usages"):
        yield FieldError("spec.usages", REQUIRED)
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < SHORTEST:
        yield FieldError("spec.expirationSeconds", INVALID, seconds, "may not specify a duration less than 10 minutes")
    if not is_request(spec.get("request", "")):
        why = "the request must be a PEM block of type CERTIFICATE REQUEST, encoded in base64"
        yield FieldError("spec.request", INVALID, "…", why)


def is_request(text: str) -> bool:
    """Whether base64 text holds a PEM certificate request with a good signature."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_csr(base64.b64decode(text, validate=True)).is_signature_valid
    except (binascii.Error, ValueError):
        return False
