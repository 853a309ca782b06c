"""certificatesigningrequest-cleaner-controller: requests go when nobody needs them any more.

Source: https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/ (Request signing process:
"approved requests: automatically deleted after 1 hour", and so on).
"""

from __future__ import annotations

import base64

import pytest
from controllers_lab import Lab

from k8snb.apimachinery.meta import Object, with_path
from k8snb.apiserver import Identity, pki
from k8snb.apiserver.identity import new_key
from k8snb.clock import timestamp
from k8snb.controllers.certificates_cleaner import CSRCleanerController

HOUR = 3600.0


def request() -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    made = x509.CertificateSigningRequestBuilder().subject_name(pki.subject("ann", ())).sign(new_key(), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture
def lab() -> Lab:
    one = Lab(CSRCleanerController).start()
    spec = {"request": base64.b64encode(request().encode()).decode(), "usages": ["client auth"],
            "signerName": "kubernetes.io/kube-apiserver-client"}  # fmt: skip
    one.client.create("certificatesigningrequests", {"metadata": {"name": "ann"}, "spec": spec})
    return one


def decide(lab: Lab, word: str, subresource: str = "approval") -> Object:
    now = timestamp(lab.clock.now())
    entry = {"type": word, "status": "True", "reason": "Test", "lastUpdateTime": now, "lastTransitionTime": now}
    csr = with_path(lab.client.get("certificatesigningrequests", "ann"), "status.conditions", [entry])
    return lab.client.update("certificatesigningrequests", csr, subresource=subresource)


def sign(lab: Lab, seconds: int = 86400) -> None:
    csr = decide(lab, "Approved")
    pem = Identity(lab.clock).sign_request(request(), ["client auth"], seconds)
    signed = with_path(csr, "status.certificate", base64.b64encode(pem.encode()).decode())
    lab.client.update_status("certificatesigningrequests", signed)


def is_there_after(lab: Lab, seconds: float) -> bool:
    return bool(lab.wait(seconds).client.items("certificatesigningrequests"))


def test_a_request_that_nobody_decides_goes_after_a_day(lab: Lab) -> None:
    """docs: certificate-signing-requests, "Pending requests: automatically deleted after 24 hours"."""
    assert is_there_after(lab, 24 * HOUR - 5)
    assert not is_there_after(lab, 10)


def test_a_denied_request_goes_after_an_hour(lab: Lab) -> None:
    """docs: certificate-signing-requests, "Denied requests: automatically deleted after 1 hour"."""
    decide(lab, "Denied")
    assert is_there_after(lab, HOUR - 5)
    assert not is_there_after(lab, 10)


def test_an_approved_request_waits_for_its_certificate_and_goes_an_hour_later(lab: Lab) -> None:
    """docs: certificate-signing-requests, "Approved requests: automatically deleted after 1 hour"."""
    decide(lab, "Approved")
    assert is_there_after(lab, 30 * HOUR)
    sign(lab)
    assert is_there_after(lab, HOUR - 5)
    assert not is_there_after(lab, 10)


def test_a_request_goes_with_the_end_of_its_certificate(lab: Lab) -> None:
    """upstream: pkg/controller/certificates/cleaner/cleaner.go, isIssuedExpired."""
    sign(lab, 600)
    assert is_there_after(lab, 590)
    assert not is_there_after(lab, 20)
