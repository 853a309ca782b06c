"""kube-apiserver's identity: the certificate authority of a cluster, and the key that signs service account tokens.

Interface: `Identity`: `root_ca` is PEM text, `sign(claims)` makes a JWT, `account_claims` says what is in one.
The rule not to break: private keys never leave this object.
Source: `pkg/serviceaccount/claims.go` (the claims); kubeadm's `pki` phase makes the same keys as files.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from k8snb.apimachinery.meta import Object, name_of, namespace_of, uid_of
from k8snb.clock import Clock

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

ISSUER = "https://kubernetes.default.svc.cluster.local"
YEARS = 10  # how long the authority's certificate is good


class Identity:
    """Keys are made when they are first needed. One per cluster; it outlives a stop and a start."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @functools.cached_property
    def root_ca(self) -> str:
        """The authority's own certificate, by which clients know the apiserver."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.x509.oid import NameOID

        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        usage = x509.KeyUsage(True, False, True, False, False, True, False, False, False)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._authority_key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=365 * YEARS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(self._authority_key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode()

    def sign(self, claims: Object) -> str:
        """A JWT over the claims, by the service account key."""
        import jwt

        return jwt.encode(claims, self._account_key, algorithm="ES256")

    def verify(self, token: str, audience: str = ISSUER) -> Object:
        """The claims of a token that this cluster signed. Raises ValueError for any other, or one that has expired."""
        import jwt

        try:
            claims: Object = jwt.decode(
                token,
                self._account_key.public_key(),
                algorithms=["ES256"],
                audience=audience,
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except jwt.PyJWTError as error:
            raise ValueError(f"invalid bearer token: {error}") from None
        if claims.get("exp", self._clock.now()) < self._clock.now():
            raise ValueError("invalid bearer token: it has expired")
        return claims

    def account_claims(self, account: Object, audiences: Sequence[str] = (), seconds: int = 0) -> Object:
        """What a token says of a service account. `seconds` 0: it does not expire (the tokens in Secrets)."""
        namespace, name, now = namespace_of(account), name_of(account), int(self._clock.now())
        claims: Object = {
            "iss": ISSUER,
            "sub": f"system:serviceaccount:{namespace}:{name}",
            "aud": list(audiences) or [ISSUER],
            "iat": now,
            "nbf": now,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid_of(account)}},
        }
        return {**claims, "exp": now + seconds} if seconds else claims

    def secret_token(self, account: Object, secret: Object) -> str:
        """The token for a Secret of type kubernetes.io/service-account-token."""
        claims = self.account_claims(account)
        claims["kubernetes.io"]["secret"] = {"name": name_of(secret), "uid": uid_of(secret)}
        return self.sign(claims)

    @functools.cached_property
    def _authority_key(self) -> EllipticCurvePrivateKey:
        return _new_key()

    @functools.cached_property
    def _account_key(self) -> EllipticCurvePrivateKey:
        return _new_key()


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())
