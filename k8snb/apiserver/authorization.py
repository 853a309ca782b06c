"""kube-apiserver's authorization: whether a user may do what a request asks for.

Interface: `Authorizer(store)`: `check(request)` and `check_path(user, verb, path)` raise Forbidden; `authorize(user,
attributes) -> Decision` only says. `attributes_of(request)` is what a request asks for.
The rule not to break: nobody allows it = it is forbidden; each authorizer of the chain may only say yes or nothing.
Source: `apiserver/pkg/endpoints/filters/authorization.go`. The chain is upstream's: members of system:masters, then the
node authorizer, then RBAC.
"""

from __future__ import annotations

import functools

from k8snb.apimachinery.errors import ApiError, forbidden
from k8snb.apiserver.authentication import complete
from k8snb.apiserver.node_authorizer import NodeAuthorizer, selected
from k8snb.apiserver.rbac import Attributes, Decision, Rbac
from k8snb.client import Request, User
from k8snb.etcd import Store

__all__ = ["Attributes", "Authorizer", "Decision", "attributes_of", "forbidden_path"]

MASTERS = "system:masters"
REMEMBERED = 65_536  # doors kept at most
COLLECTION = ("list", "watch", "deletecollection")

Door = tuple[User, str, str, str, str]  # user, verb, the kind's prefix, namespace, subresource


class Authorizer:
    """The chain. What a user may do to every object behind a door is remembered until a role or binding changes."""

    def __init__(self, store: Store) -> None:
        self._open: set[Door] = set()
        self._users: dict[User, User] = {}
        self.rbac = Rbac(store, self._open.clear)
        self._store = store

    @functools.cached_property
    def _nodes(self) -> NodeAuthorizer:
        """Begun when somebody else than an administrator asks: it has to look at every pod."""
        return NodeAuthorizer(self._store)

    def check(self, request: Request) -> None:
        """Raise Forbidden, in the words of kubectl, unless the request's user may do this."""
        door = (request.user, request.verb, request.kind.prefix, request.namespace, request.subresource)
        if door not in self._open:
            self._knock(door, request)

    def check_path(self, user: User, verb: str, path: str) -> None:
        """The same for a path that is no resource. `verb` is get, post, put, …"""
        decision = self.authorize(self.known(user), Attributes(verb, path=path))
        if not decision.allowed:
            raise forbidden_path(user, verb, path)

    def authorize(self, user: User, asked: Attributes) -> Decision:
        """Whether the user may do this, and why. The user counts as given: no group follows from the name."""
        if MASTERS in user.groups:
            return Decision(True)
        by_node = self._nodes.authorize(user, asked)
        if by_node.allowed:
            return by_node
        by_role = self.rbac.authorize(user, asked)
        if by_role.allowed:
            return by_role
        return Decision(False, "\n".join(reason for reason in (by_node.reason, by_role.reason) if reason))

    def known(self, user: User) -> User:
        """The user with the groups that follow from the name."""
        complete_user = self._users.get(user)
        if complete_user is None:
            if len(self._users) >= REMEMBERED:
                self._users.clear()
            complete_user = self._users[user] = complete(user)
        return complete_user

    def close(self) -> None:
        """Follow the store no longer: what is decided from now on is decided by old rules."""
        self.rbac.close()
        if "_nodes" in self.__dict__:
            self._nodes.close()

    def _knock(self, door: Door, request: Request) -> None:
        user, asked = self.known(request.user), attributes_of(request)
        if self._is_open(user, asked):
            if len(self._open) >= REMEMBERED:
                self._open.clear()
            self._open.add(door)
            return
        decision = self.authorize(user, asked)
        if not decision.allowed:
            raise refusal(request, asked, decision.reason)

    def _is_open(self, user: User, asked: Attributes) -> bool:
        """Whether the user may do this to every object there, so that names need not be looked at again."""
        if MASTERS in user.groups:
            return True
        if asked.resource == "namespaces" and asked.name:
            return False  # a namespace is asked for in itself: each one is a door of its own
        nameless = asked._replace(name="")
        return self._nodes.always_allows(user, nameless) or self.rbac.authorize(user, nameless).allowed


def attributes_of(request: Request) -> Attributes:
    """What a request asks for. A namespace lies in itself, and a list of one name asks for that name."""
    kind, name, namespace = request.kind, request.name, request.namespace
    selector = ""
    if request.verb in COLLECTION:
        selector = request.options.get("fieldSelector") or ""
        name = name or selected(selector, "metadata.name")
    if kind.plural == "namespaces" and not kind.group and request.name:
        namespace = request.name
    return Attributes(
        request.verb, kind.group, kind.plural, request.subresource, namespace, name, version=kind.version,
        fields=selector,
    )  # fmt: skip


def refusal(request: Request, asked: Attributes, reason: str = "") -> ApiError:
    """`pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"`."""
    return forbidden(request.kind, asked.name, asked.refused(request.user, reason))


def forbidden_path(user: User, verb: str, path: str) -> ApiError:
    return ApiError(403, "Forbidden", f'forbidden: User "{user.name}" cannot {verb} path "{path}"')
