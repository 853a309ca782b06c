"""kube-apiserver's authentication: who asks.

Interface: `Authenticator(identity, server)`: `from_certificate`, `from_token`, `anonymous`, `impersonate` answer a User
or raise Unauthorized (401); `review(token, audiences)` says why. `complete(user)` adds the groups that follow from a
name.
The rule not to break: a token is believed only while everything that it is bound to still exists.
Source: `apiserver/pkg/authentication`, `pkg/serviceaccount`, `apiserver/pkg/endpoints/filters/impersonation.go`.
Real clusters can also ask an OpenID provider, a webhook or a proxy in front.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote

from k8snb.apimachinery import bootstrap_token
from k8snb.apimachinery.bootstrap_token import NAMESPACE, lets_in
from k8snb.apimachinery.errors import ApiError, internal
from k8snb.apimachinery.kinds import Kind, find
from k8snb.apimachinery.meta import Object, uid_of
from k8snb.apiserver.identity import ISSUER, Identity
from k8snb.apiserver.rbac import Attributes
from k8snb.client import ADMIN, User
from k8snb.clock import Clock
from k8snb.etcd import Store

if TYPE_CHECKING:
    from k8snb.apiserver.authorization import Authorizer

AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
ANONYMOUS = User("system:anonymous", (UNAUTHENTICATED,))
ACCOUNT, ACCOUNTS = "system:serviceaccount:", "system:serviceaccounts"
PUBLIC_PATHS = ("/healthz", "/livez", "/readyz", "/version")
BOUND = {"secret": "secrets", "pod": "pods"}  # what a token can be bound to
EXTRA = "authentication.kubernetes.io/"
IDENTITY_GROUP = "authentication.k8s.io"


class Server(Protocol):
    """What the authenticator may ask the apiserver for."""

    store: Store
    clock: Clock
    authorizer: Authorizer


class Authenticator:
    """`admin_token` is a bearer token of the administrator, "" for none."""

    def __init__(self, identity: Identity, server: Server, *, admin_token: str = "") -> None:
        self._identity = identity
        self._server = server
        self._admin_token = admin_token

    def from_certificate(self, common_name: str, organizations: Sequence[str]) -> User:
        """The user that a client certificate of this cluster's authority names."""
        if not common_name:
            raise unauthorized()
        return User(common_name, tuple(dict.fromkeys((*organizations, AUTHENTICATED))))

    def from_token(self, token: str) -> User:
        """The user that a bearer token stands for."""
        try:
            return self.review(token)[0]
        except ValueError:
            raise unauthorized() from None

    def anonymous(self, path: str) -> User:
        """Nobody in particular, for the few paths that answer everybody."""
        if path.rstrip("/") not in PUBLIC_PATHS and not path.startswith(("/healthz/", "/livez/", "/readyz/")):
            raise unauthorized()
        return ANONYMOUS

    def review(self, token: str, audiences: Sequence[str] = ()) -> tuple[User, list[str]]:
        """The user, and which of the audiences the token is for. Raises ValueError with the reason."""
        if self._admin_token and hmac.compare_digest(token.encode(), self._admin_token.encode()):
            return complete(ADMIN), list(audiences)
        if parts := bootstrap_token.SHAPE.fullmatch(token):
            return self._bootstrapping(*parts.groups()), list(audiences)
        claims = self._identity.verify(token, audiences or (ISSUER,))
        self._check_bound(claims["kubernetes.io"])
        wanted = audiences or (ISSUER,)
        return _account(claims), [audience for audience in wanted if audience in claims["aud"]]

    def _bootstrapping(self, identifier: str, secret: str) -> User:
        """The user of a bootstrap token, if a Secret of `kube-system` says that it may be used so."""
        record = self._server.store.get(_kind("secrets").key(NAMESPACE, bootstrap_token.secret_name(identifier)))
        good = record is not None and lets_in(record.value, identifier, secret, self._server.clock.now())
        if record is None or not good:
            raise ValueError("invalid bearer token")
        return complete(User(f"system:bootstrap:{identifier}", bootstrap_token.groups_of(record.value) or ()))

    def _check_bound(self, private: Object) -> None:
        """The account, and the Secret or Pod that a token is bound to, are there and are still the same ones."""
        namespace = private["namespace"]
        self._check_same("serviceaccounts", namespace, private["serviceaccount"])
        for claim, plural in BOUND.items():
            if claim in private:
                self._check_same(plural, namespace, private[claim])

    def _check_same(self, plural: str, namespace: str, reference: Object) -> None:
        record = self._server.store.get(_kind(plural).key(namespace, reference["name"]))
        what = _kind(plural).singular
        if record is None:
            raise ValueError(f'invalid bearer token: {what} "{reference["name"]}" not found')
        if uid_of(record.value) != reference["uid"]:
            words = f"the {what} UID ({uid_of(record.value)}) does not match claim ({reference['uid']})"
            raise ValueError(f"invalid bearer token: {words}")

    def impersonate(self, user: User, headers: Iterable[tuple[str, str]]) -> User:
        """The user that `Impersonate-…` headers ask to be instead; `user` without such headers.

        Raises Forbidden where the user may not impersonate one of the parts.
        """
        wanted = _wanted(headers)
        if wanted is None:
            return user
        for kind, asked in _parts(wanted):
            self._check_impersonation(user, kind, asked)
        return _acting(wanted)

    def _check_impersonation(self, user: User, resource: str, place: Object) -> None:
        asked = Attributes("impersonate", resource=resource, version="v1", **place)
        authorizer = self._server.authorizer
        decision = authorizer.authorize(authorizer.known(user), asked)
        if not decision.allowed:
            qualified = f"{resource}.{asked.group}" if asked.group else resource
            details = {"name": asked.name, "group": asked.group, "kind": resource}
            message = f'{qualified} "{asked.name}" is forbidden: {asked.refused(user, decision.reason)}'
            raise ApiError(403, "Forbidden", message, {key: value for key, value in details.items() if value})


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def complete(user: User) -> User:
    """The user with the groups that follow from the name; one that is known as (un)authenticated is complete."""
    if AUTHENTICATED in user.groups or UNAUTHENTICATED in user.groups:
        return user
    if user.name == ANONYMOUS.name:
        return user._replace(groups=(*user.groups, UNAUTHENTICATED))
    own = account_groups(user.name)
    return user._replace(groups=tuple(dict.fromkeys((*own, *user.groups, AUTHENTICATED))))


def account_groups(name: str) -> tuple[str, ...]:
    """The groups of a service account, () for a name that is none."""
    namespace, _, account = name.removeprefix(ACCOUNT).partition(":") if name.startswith(ACCOUNT) else ("", "", "")
    return (ACCOUNTS, f"{ACCOUNTS}:{namespace}") if namespace and account else ()


def _account(claims: Object) -> User:
    """The service account of a token, with what the token is bound to."""
    private = claims["kubernetes.io"]
    extra = [(f"{EXTRA}credential-id", (f"JTI={claims['jti']}",))] if "jti" in claims else []
    for bound in ("pod", "node"):
        if bound in private:
            extra.append((f"{EXTRA}{bound}-name", (private[bound]["name"],)))
            extra.append((f"{EXTRA}{bound}-uid", (private[bound]["uid"],)))
    return complete(User(claims["sub"], uid=private["serviceaccount"]["uid"], extra=tuple(extra)))


# impersonation


def _wanted(headers: Iterable[tuple[str, str]]) -> User | None:
    """The user in the headers as they are, None where there are none."""
    name, uid = "", ""
    groups: list[str] = []
    extra: dict[str, tuple[str, ...]] = {}
    for header, value in headers:
        word = header.lower()
        if word == "impersonate-user":
            name = value
        elif word == "impersonate-uid":
            uid = value
        elif word == "impersonate-group":
            groups.append(value)
        elif word.startswith("impersonate-extra-"):
            key = unquote(word.removeprefix("impersonate-extra-"))
            extra[key] = (*extra.get(key, ()), value)
    if not name and (groups or uid or extra):
        raise internal("impersonation of a group, uid or extra needs a user: send Impersonate-User too")
    return User(name, tuple(groups), uid, tuple(sorted(extra.items()))) if name else None


def _parts(wanted: User) -> Iterable[tuple[str, Object]]:
    """Each part as the resource that one must be allowed to impersonate, and where it lies."""
    if account_groups(wanted.name):
        namespace, _, name = wanted.name.removeprefix(ACCOUNT).partition(":")
        yield "serviceaccounts", {"namespace": namespace, "name": name}
    else:
        yield "users", {"name": wanted.name}
    for group in wanted.groups:
        yield "groups", {"name": group}
    for key, values in wanted.extra:
        for value in values:
            yield "userextras", {"group": IDENTITY_GROUP, "subresource": key, "name": value}
    if wanted.uid:
        yield "uids", {"group": IDENTITY_GROUP, "name": wanted.uid}


def _acting(wanted: User) -> User:
    """Who is asking from now on. A service account has its own groups only where none were named."""
    if not wanted.groups or wanted.name == ANONYMOUS.name:
        return complete(wanted)
    known = {AUTHENTICATED, UNAUTHENTICATED} & set(wanted.groups)
    return wanted if known else wanted._replace(groups=(*wanted.groups, AUTHENTICATED))


def _kind(word: str) -> Kind:
    kind = find(word)
    assert kind is not None
    return kind
