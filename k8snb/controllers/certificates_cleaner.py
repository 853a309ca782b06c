"""certificatesigningrequest-cleaner-controller: deletes certificate requests that are of no more use to anybody.

Interface: `CSRCleanerController`. The rule not to break: what is deleted was decided, or forgotten for a day.
Source: `pkg/controller/certificates/cleaner` in the kubernetes repository. Upstream looks at all of them once an hour.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

from k8snb.apimachinery.meta import Object, get_path
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import Informers
from k8snb.clock import parse_timestamp
from k8snb.controllers.replicas import delete_exactly

DECIDED, PENDING = 3600.0, 86400.0  # seconds that a request stays


class CSRCleanerController(Controller):
    name = "certificate-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.requests = self.watch("certificatesigningrequests")

    def sync(self, key: str) -> None:
        csr = self.requests.by_key(key)
        if csr is None:
            return
        left = min(expires_at(csr), default=None)
        if left is None:
            return
        left -= self.clock.now()
        if left > 0:
            self.queue.add_after(key, left, background=True)
        else:
            delete_exactly(self.client, "certificatesigningrequests", csr)

    def subject(self, key: str) -> Object | None:
        return self.requests.by_key(key)


def expires_at(csr: Object) -> Iterator[float]:
    """Each moment (seconds since the epoch) at which a request is to go; it goes at the first."""
    conditions = {entry["type"]: entry for entry in get_path(csr, "status.conditions") or ()}
    certificate = get_path(csr, "status.certificate")
    if not conditions:
        yield parse_timestamp(csr["metadata"]["creationTimestamp"]) + PENDING
    if "Denied" in conditions:
        yield _since(conditions["Denied"]) + DECIDED
    if "Failed" in conditions:
        yield _since(conditions["Failed"]) + DECIDED
    if "Approved" in conditions and certificate:
        yield _since(conditions["Approved"]) + DECIDED
        yield _end_of(certificate)


def _since(entry: Object) -> float:
    return parse_timestamp(entry.get("lastUpdateTime") or entry["lastTransitionTime"])


def _end_of(certificate: str) -> float:
    from cryptography import x509

    return x509.load_pem_x509_certificate(base64.b64decode(certificate)).not_valid_after_utc.timestamp()
