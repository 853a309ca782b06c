"""The ingress controller's certificates: which one a client is shown for the name that it asks for (SNI).

Interface: `Certificates.put(ingress, entries)`, `.context()` for a server; `load(secret)` reads a Secret.
The rule not to break: a client is never left without a certificate: for a name that has none there is one of the
controller's own, which nobody trusts.
Source: `internal/ingress/controller/certificate.go` and `internal/net/ssl` in kubernetes/ingress-nginx.
"""

from __future__ import annotations

import base64
import binascii
import functools
import ssl
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from k8snb.apimachinery.meta import Object, key_of

FAKE = "Kubernetes Ingress Controller Fake Certificate"
DAYS = 365
_BACKDATE = timedelta(minutes=5)  # clocks differ


class Certificates:
    """Contexts by host. The pump writes, the door reads: entries are replaced, never changed."""

    def __init__(self, now: float) -> None:
        self._now = now
        self._ingresses: dict[str, Mapping[str, ssl.SSLContext]] = {}

    def put(self, ingress: str, contexts: Mapping[str, ssl.SSLContext]) -> None:
        """Replace the certificates of one Ingress, by host; none = it has none."""
        if contexts:
            self._ingresses[ingress] = contexts
        else:
            self._ingresses.pop(ingress, None)

    def find(self, host: str) -> ssl.SSLContext:
        """The context for a name: its own, that of its wildcard, or the fake one."""
        host = host.lower()
        for name in (host, "*." + host.partition(".")[2]):
            for contexts in list(self._ingresses.values()):
                if name in contexts:
                    return contexts[name]
        return self._fake

    def context(self) -> ssl.SSLContext:
        """What a server begins each handshake with."""

        def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
            connection.context = self.find(name or "")

        context = _context(self._fake_pem)
        context.sni_callback = choose
        return context

    @functools.cached_property
    def _fake(self) -> ssl.SSLContext:
        return _context(self._fake_pem)

    @functools.cached_property
    def _fake_pem(self) -> str:
        return "".join(fake(self._now))


def load(secret: Object) -> ssl.SSLContext:
    """The context for a Secret of type kubernetes.io/tls. Raises ValueError with what is wrong with it."""
    data = secret.get("data") or {}
    missing = [key for key in ("tls.crt", "tls.key") if not data.get(key)]
    if missing:
        raise ValueError(f'secret "{key_of(secret)}" has no {" and no ".join(missing)}')
    try:
        return _context(b"\n".join(base64.b64decode(data[key]) for key in ("tls.crt", "tls.key")).decode())
    except (ssl.SSLError, binascii.Error, UnicodeDecodeError) as error:
        why = getattr(error, "reason", None) or str(error)
        raise ValueError(f'secret "{key_of(secret)}" holds no certificate with its key in PEM: {why}') from None


def fake(now: float) -> tuple[str, str]:
    """A certificate that signs itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key, moment = ec.generate_private_key(ec.SECP256R1()), datetime.fromtimestamp(now, UTC)
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Acme Co"),
                      x509.NameAttribute(NameOID.COMMON_NAME, FAKE)])  # fmt: skip
    builder = x509.CertificateBuilder(
        issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=x509.random_serial_number(),
        not_valid_before=moment - _BACKDATE, not_valid_after=moment + timedelta(days=DAYS),
    )  # fmt: skip
    names = x509.SubjectAlternativeName([x509.DNSName("ingress.local")])
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), secret.decode()


def _context(pem: str) -> ssl.SSLContext:
    """A server's context with a certificate and its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    with tempfile.TemporaryDirectory(prefix="k8snb-") as folder:  # Python's ssl reads keys from files only
        path = Path(folder, "serving.pem")
        path.touch(mode=0o600)
        path.write_text(pem)
        context.load_cert_chain(path)
    return context
