"""kube-apiserver's identity: the certificate authority of a cluster, and the key that signs service account tokens.

Interface: `Identity`: `root_ca` is PEM text; `issue_client`, `issue_serving` and `sign_request` make certificates;
`sign(claims)` makes a JWT, `account_claims` says what is in one, `verify` reads one; `jwks` and `openid_configuration`
are what others verify by.
The rule not to break: private keys leave this object for no other place than its own directory.
Source: `pkg/serviceaccount/claims.go` (the claims); kubeadm's `pki` phase makes the same keys as files.
"""

from __future__ import annotations

import functools
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from k8snb.apimachinery.meta import Object, name_of, namespace_of, uid_of
from k8snb.apiserver import pki
from k8snb.clock import Clock

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Name

    from k8snb.apiserver.pki import PublicKey

ISSUER = "https://kubernetes.default.svc.cluster.local"
ALGORITHM = "ES256"
DAYS = 3650  # how long the certificates of the authority, the apiserver and its administrator are good
SERVER_NAMES = ("127.0.0.1", "::1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local")  # fmt: skip


class Identity:
    """Keys are made when they are first needed. One per cluster; it outlives a stop and a start, and in a `directory`
    the process, under the names that kubeadm gives to the files.
    """

    def __init__(self, clock: Clock, directory: Path | None = None) -> None:
        self._clock = clock
        self._directory = directory

    def fork(self, clock: Clock) -> Identity:
        """The same identity in a cluster that goes on from this one's past: what was signed here is good there."""
        made = Identity(clock)
        made._authority_key, made._account_key, made.root_ca = self._authority_key, self._account_key, self.root_ca
        return made

    @functools.cached_property
    def root_ca(self) -> str:
        """The authority's own certificate, by which clients know the apiserver."""
        name = pki.subject("kubernetes", ())
        return self._kept("ca.crt", lambda: pki.authority(name, self._authority_key, self._clock.now(), DAYS))

    def issue_client(self, common_name: str, organizations: Sequence[str] = ()) -> tuple[str, str]:
        """A certificate for a user, and its key, both PEM text. The organizations are the user's groups."""
        key = new_key()
        subject = pki.subject(common_name, organizations)
        return self._issue(subject, key.public_key(), (), ("client auth",)), pki.private_pem(key)

    def issue_serving(self, *addresses: str) -> tuple[str, str]:
        """The apiserver's certificate and its key, both PEM text: for its names, and more addresses or host names."""
        key = new_key()
        subject = pki.subject("kube-apiserver", ())
        hosts = tuple(dict.fromkeys((*SERVER_NAMES, *addresses)))
        return self._issue(subject, key.public_key(), hosts, ("server auth",)), pki.private_pem(key)

    def sign_request(self, request: str, usages: Sequence[str], seconds: int) -> str:
        """The certificate that a PEM certificate request asks for. Raises ValueError for a request that is none."""
        from cryptography import x509

        asked = x509.load_pem_x509_csr(request.encode())
        if not asked.is_signature_valid:
            raise ValueError("the signature of the certificate request does not fit its key")
        _, hosts = pki.asked_names(asked)
        return self._issue(asked.subject, asked.public_key(), hosts, usages, seconds)

    def _issue(
        self, subject: Name, key: PublicKey, hosts: Sequence[str], usages: Sequence[str], seconds: int = 0
    ) -> str:
        return pki.leaf(
            subject, key, authority=(self.root_ca, self._authority_key), hosts=hosts, usages=usages,
            now=self._clock.now(), seconds=seconds or DAYS * 86400,
        )  # fmt: skip

    def sign(self, claims: Object) -> str:
        """A JWT over the claims, by the service account key."""
        import jwt

        return jwt.encode(claims, self._account_key, algorithm=ALGORITHM, headers={"kid": self._key_id})

    def verify(self, token: str, audiences: Sequence[str] = (ISSUER,)) -> Object:
        """The claims of a token that this cluster signed for one of the audiences.

        Raises ValueError for any other, or one that has expired or is not valid yet.
        """
        import jwt

        try:
            claims: Object = jwt.decode(
                token,
                self._account_key.public_key(),
                algorithms=[ALGORITHM],
                audience=list(audiences),
                issuer=ISSUER,
                options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except jwt.PyJWTError as error:
            raise ValueError(f"invalid bearer token: {error}") from None
        if claims.get("exp", self._clock.now()) < self._clock.now():
            raise ValueError("invalid bearer token: it has expired")
        if claims.get("nbf", 0) > self._clock.now():
            raise ValueError("invalid bearer token: it is not valid yet")
        return claims

    @functools.cached_property
    def jwks(self) -> Object:
        """The public key of service account tokens, as /openid/v1/jwks shows it."""
        from jwt.algorithms import ECAlgorithm

        key = ECAlgorithm.to_jwk(self._account_key.public_key(), as_dict=True)
        return {"keys": [{**key, "use": "sig", "alg": ALGORITHM, "kid": self._key_id}]}

    @property
    def openid_configuration(self) -> Object:
        """What /.well-known/openid-configuration says."""
        return {
            "issuer": ISSUER,
            "jwks_uri": f"{ISSUER}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
        }

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

    def bound_token(self, claims: Object, kind: str, obj: Object) -> Object:
        """The claims with the object (`secret`, `pod`, `node`) that the token shall not outlive."""
        private = {**claims["kubernetes.io"], kind: {"name": name_of(obj), "uid": uid_of(obj)}}
        return {**claims, "kubernetes.io": private}

    def secret_token(self, account: Object, secret: Object) -> str:
        """The token for a Secret of type kubernetes.io/service-account-token."""
        return self.sign(self.bound_token(self.account_claims(account), "secret", secret))

    @functools.cached_property
    def _authority_key(self) -> EllipticCurvePrivateKey:
        return self._kept_key("ca.key")

    @functools.cached_property
    def _key_id(self) -> str:
        """A name for the account key that follows from the key."""
        return pki.fingerprint(self._account_key.public_key())

    @functools.cached_property
    def _account_key(self) -> EllipticCurvePrivateKey:
        return self._kept_key("sa.key")

    def _kept_key(self, name: str) -> EllipticCurvePrivateKey:
        return pki.read_private(self._kept(name, lambda: pki.private_pem(new_key()))) if self._directory else new_key()

    def _kept(self, name: str, make: Callable[[], str]) -> str:
        """A file's text, made where there is none."""
        if self._directory is None:
            return make()
        path = self._directory / name
        if not path.exists():
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh, text = self._directory / f"{name}.new", make()
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(text)
            os.replace(fresh, path)
        return path.read_text()


def new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())
