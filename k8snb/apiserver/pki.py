"""kube-apiserver's certificates: X.509 made and read, for the cluster's authority.

Interface: `authority` and `leaf` make certificates as PEM text; `subject`, `asked_names` translate names.
The rule not to break: pure functions; the keys belong to `identity`.
Source: kubeadm's `pkiutil`, `pkg/controller/certificates/authority`. The `cryptography` package does the work; it loads
when the first certificate is made.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
    from cryptography.x509 import (
        CertificateBuilder,
        CertificateSigningRequest,
        ExtendedKeyUsage,
        Name,
        SubjectAlternativeName,
    )

    PublicKey = EllipticCurvePublicKey | CertificatePublicKeyTypes

BACKDATE = timedelta(minutes=5)  # clocks differ
KEY_USAGES = {  # words of a request → place among the arguments of x509.KeyUsage
    "signing": 0, "digital signature": 0, "content commitment": 1, "key encipherment": 2, "data encipherment": 3,
    "key agreement": 4,
}  # fmt: skip


def subject(common_name: str, organizations: Sequence[str]) -> Name:
    """The name of a certificate: who, and in which groups."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in organizations]
    return x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def authority(name: Name, key: EllipticCurvePrivateKey, now: float, days: int) -> str:
    """A certificate that signs others and itself."""
    from cryptography import x509

    usage = x509.KeyUsage(True, False, True, False, False, True, True, False, False)
    builder = _builder(name, name, key.public_key(), now, days * 86400)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    return _signed(builder, key)


def leaf(
    name: Name, key: PublicKey, *, authority: tuple[str, EllipticCurvePrivateKey], hosts: Sequence[str],
    usages: Sequence[str], now: float, seconds: float,
) -> str:  # fmt: skip
    """A certificate for a user or a server; `usages` are the words of a CertificateSigningRequest."""
    from cryptography import x509

    root = x509.load_pem_x509_certificate(authority[0].encode())
    signer = authority[1]
    builder = _builder(name, root.subject, key, now, seconds)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    bits = [False] * 9
    for place in {KEY_USAGES[word] for word in ("digital signature", *usages) if word in KEY_USAGES}:
        bits[place] = True
    builder = builder.add_extension(x509.KeyUsage(*bits), critical=True)
    builder = builder.add_extension(_extended(usages), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = builder.add_extension(identifier, critical=False)
    if hosts:
        builder = builder.add_extension(_alternatives(hosts), critical=False)
    return _signed(builder, signer)


def asked_names(request: CertificateSigningRequest) -> tuple[tuple[str, tuple[str, ...]], tuple[str, ...]]:
    """What a request asks for: the common name and organizations, and the DNS names and addresses."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    names = [str(part.value) for part in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = tuple(str(part.value) for part in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    try:
        found = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (names[0] if names else "", groups), ()
    hosts = tuple(str(part.value) for part in found if isinstance(part, (x509.DNSName, x509.IPAddress)))
    return (names[0] if names else "", groups), hosts


def private_pem(key: EllipticCurvePrivateKey) -> str:
    """A private key as PEM text."""
    from cryptography.hazmat.primitives import serialization as form

    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()).decode()


def read_private(text: str) -> EllipticCurvePrivateKey:
    """The private key in PEM text. Raises ValueError."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(text.encode(), password=None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise ValueError("this is no private key of an elliptic curve")
    return key


def fingerprint(key: EllipticCurvePublicKey) -> str:
    """A short name that follows from a public key."""
    from cryptography.hazmat.primitives import serialization as form

    encoded = key.public_bytes(form.Encoding.DER, form.PublicFormat.SubjectPublicKeyInfo)
    return base64.urlsafe_b64encode(hashlib.sha256(encoded).digest()).decode().rstrip("=")


def _builder(name: Name, issuer: Name, key: PublicKey, now: float, seconds: float) -> CertificateBuilder:
    from cryptography import x509

    moment = datetime.fromtimestamp(now, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - BACKDATE)
        .not_valid_after(moment + timedelta(seconds=seconds))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _signed(builder: CertificateBuilder, key: EllipticCurvePrivateKey) -> str:
    from cryptography.hazmat.primitives import hashes, serialization

    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _extended(usages: Iterable[str]) -> ExtendedKeyUsage:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    known = {"client auth": ExtendedKeyUsageOID.CLIENT_AUTH, "server auth": ExtendedKeyUsageOID.SERVER_AUTH}
    return x509.ExtendedKeyUsage([known[word] for word in usages if word in known])


def _alternatives(hosts: Iterable[str]) -> SubjectAlternativeName:
    from cryptography import x509

    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return x509.SubjectAlternativeName(names)
