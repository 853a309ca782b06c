"""client-go's client: the API verbs as methods.

Interface: `Client(transport, user)`. Objects go in and come out as plain dicts; what comes out is shared and read-only.
The rule not to break: a refusal is an `ApiError`, whatever the transport.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

from k8snb.apimachinery import kinds
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, name_of, namespace_of

STRATEGIC, MERGE, JSON, APPLY = (
    "application/strategic-merge-patch+json",
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
)


NO_OPTIONS: Mapping[str, Any] = MappingProxyType({})
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
# what a method on a `proxy` subresource is called where somebody is allowed or refused it
PROXIED_VERBS: Mapping[str, str] = MappingProxyType(
    {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
)
Objects = list[Object]
Words = list[str]


class User(NamedTuple):
    """Who asks: a user name and groups. `extra` holds what else the authenticator knows: names with their values."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))


@dataclass(slots=True)
class Request:
    """One API call. `verb` is one of get, list, watch, create, update, patch, delete, deletecollection.

    `options` carries the query by its upstream names in Python types: labelSelector, fieldSelector, limit, continue,
    resourceVersion, dryRun (bool), fieldManager, fieldValidation, force, gracePeriodSeconds, propagationPolicy,
    preconditions, managedFields (bool: answer with who owns which fields), and for the `log` subresource container,
    follow, tailLines, sinceSeconds, timestamps, previous; for `proxy` method, path and headers.
    `cause` is the revision that made the caller act; 0 for a user. The server appends to `warnings`, and keeps in
    `draft` what it has settled for this request (a uid, a name), should the request have to begin anew. `patient`: the
    caller's thread waits where others have to be asked; else it gets a `Deferred`.
    """

    verb: str
    kind: Kind
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    body: Any = None
    content_type: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    user: User = ADMIN
    cause: int = 0
    warnings: list[str] = field(default_factory=list)
    draft: dict[str, Any] = field(default_factory=dict)
    patient: bool = True


class Event(NamedTuple):
    """One watch event: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR (then `object` is a Status)."""

    sort: str
    object: Object


class Watch:
    """A stream of events. `pop()` takes the next one that has arrived, or None, until `stop()`.

    `on_arrival` is called when an event arrives at an empty stream, so that an informer need not poll. A stream with a
    `limit` stops when more events wait than that: whoever does not take them is let go.
    """

    def __init__(self, stop: Callable[[], None] = lambda: None) -> None:
        self.events: deque[Event] = deque()
        self.on_arrival: Callable[[], None] | None = None
        self.stopped = False
        self.limit = 0
        self.on_stop = stop
        self.carry: Callable[[Event], None] | None = None

    def push(self, event: Event) -> None:
        """Called by the transport. Where somebody is to `carry` events, they call `arrive` in their time."""
        if self.carry is None:
            self.arrive(event)
        else:
            self.carry(event)

    def arrive(self, event: Event) -> None:
        """Put an event into the stream."""
        self.events.append(event)
        waiting = len(self.events)
        if waiting == 1:
            self._tell()
        elif waiting > self.limit > 0 and not self.stopped:
            self.stop()
            self._tell()

    def _tell(self) -> None:
        if self.on_arrival is not None:
            self.on_arrival()

    def pop(self) -> Event | None:
        return self.events.popleft() if self.events else None

    def stop(self) -> None:
        if not self.stopped:
            self.stopped = True
            self.on_stop()


class Unreachable(ApiError):
    """No server answered. The message is a whole sentence, in kubectl's words."""

    def __init__(self, message: str) -> None:
        super().__init__(503, "ServiceUnavailable", message)


class Deferred(NamedTuple):
    """Work that a request still needs and that may take long (exec): its caller's thread runs it, outside of the
    lock.
    """

    run: Callable[[], Any]


class HttpAnswer(NamedTuple):
    """What a pod, a Service or a node answered to a proxied request. The names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


@runtime_checkable
class Exchange(Protocol):
    """A question to a pod whose answer comes with time: its caller's thread sees it through, outside of the lock."""

    def begin(self) -> None: ...

    @property
    def over(self) -> bool: ...

    def result(self, timeout: float) -> Any:
        """The answer, waited for on this thread. Raises ApiError, also when there is none after `timeout` seconds."""


class Transport(Protocol):
    """The way to an apiserver. `handle` answers an object, a list object, a `Watch`, or for logs an iterator of
    bytes.
    """

    def handle(self, request: Request) -> Any: ...

    def kinds(self) -> tuple[Kind, ...]:
        """What the server serves (discovery)."""
        ...


class Client:
    """The API verbs for one user. `resource` is a plural (`pods`, `deployments`), or a `Kind` row.

    `warnings` collects what the server remarks beside its answers; take them with `take_warnings()`.
    """

    def __init__(self, transport: Transport, user: User = ADMIN) -> None:
        self.transport = transport
        self.user = user
        self.cause = 0
        self.warnings: list[str] = []

    def take_warnings(self) -> list[str]:
        """The warnings since the last question."""
        warnings, self.warnings = self.warnings, []
        return warnings

    def as_user(self, user: User) -> Client:
        """The same connection for somebody else."""
        return Client(self.transport, user)

    def kinds(self) -> tuple[Kind, ...]:
        return self.transport.kinds()

    def get(
        self, resource: str | Kind, name: str, namespace: str = "", *, subresource: str = "", **options: Any
    ) -> Object:
        """One object. Raises ApiError NotFound."""
        return self._object("get", resource, namespace, name, subresource, options=options)

    def find(self, resource: str | Kind, name: str, namespace: str = "") -> Object | None:
        """One object, or None where there is none."""
        try:
            return self.get(resource, name, namespace)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def list(self, resource: str | Kind, namespace: str = "", **options: Any) -> Object:
        """A list object (`items`, `metadata.resourceVersion`). No namespace = all. Options as in `Request`."""
        return self._object("list", resource, namespace, options=options)

    def items(self, resource: str | Kind, namespace: str = "", **options: Any) -> Objects:
        """The objects of a list, each with its apiVersion and kind."""
        items: Objects = self.list(resource, namespace, **options)["items"]
        return items

    def watch(self, resource: str | Kind, namespace: str = "", **options: Any) -> Watch:
        """Events after `resourceVersion` (missing or "0": what is there first, as ADDED)."""
        watch: Watch = self._call("watch", resource, namespace, options=options)
        return watch

    def create(self, resource: str | Kind, obj: Object, namespace: str = "", **options: Any) -> Object:
        """Make an object. `namespace` is needed where the object does not name one. Raises AlreadyExists, Invalid …"""
        return self._object("create", resource, namespace or namespace_of(obj), body=obj, options=options)

    def create_subresource(
        self, resource: str | Kind, name: str, subresource: str, body: Object, namespace: str = "", **options: Any
    ) -> Object:
        """POST to a subresource: a pod's `binding` or `eviction`, a service account's `token`."""
        return self._object("create", resource, namespace, name, subresource, body=body, options=options)

    def update(self, resource: str | Kind, obj: Object, *, subresource: str = "", **options: Any) -> Object:
        """Replace an object; where it carries a resourceVersion that is not the newest: ApiError Conflict."""
        return self._object("update", resource, namespace_of(obj), name_of(obj), subresource, obj, options=options)

    def update_status(self, resource: str | Kind, obj: Object, **options: Any) -> Object:
        """Replace an object's status and nothing else."""
        return self.update(resource, obj, subresource="status", **options)

    def patch(
        self,
        resource: str | Kind,
        name: str,
        patch: Any,
        namespace: str = "",
        *,
        content_type: str = STRATEGIC,
        subresource: str = "",
        **options: Any,
    ) -> Object:
        """Change part of an object: `patch` in the format that `content_type` names."""
        return self._object("patch", resource, namespace, name, subresource, patch, content_type, options)

    def delete(self, resource: str | Kind, name: str, namespace: str = "", **options: Any) -> Object:
        """Begin an object's end. Options: gracePeriodSeconds, propagationPolicy, preconditions, dryRun."""
        return self._object("delete", resource, namespace, name, options=options)

    def delete_collection(self, resource: str | Kind, namespace: str = "", **options: Any) -> Object:
        return self._object("deletecollection", resource, namespace, options=options)

    def logs(self, name: str, namespace: str, **options: Any) -> Iterator[bytes]:
        """A container's output, piece by piece. Options: container, follow, tailLines, sinceSeconds, timestamps,
        previous.
        """
        stream: Iterator[bytes] = self._call("get", "pods", namespace, name, "log", options=options)
        return stream

    def exec(self, name: str, namespace: str, command: Words, container: str = "") -> Any:
        """Run a command in a container: its `ExecResult` (stdout, stderr, exit_code)."""
        options = {"command": command, "container": container}
        return self._call("create", "pods", namespace, name, "exec", options=options)

    def proxy(
        self, resource: str | Kind, name: str, path: str = "/", namespace: str = "", *, method: str = "GET",
        headers: Mapping[str, str] = NO_HEADERS, body: bytes = b"",
    ) -> HttpAnswer:  # fmt: skip
        """Ask a pod (`web`, `web:8080`), a Service (`web:http`) or a node something over HTTP.

        `path` may end in a query. Raises ApiError ServiceUnavailable where nobody answers.
        """
        options = {"method": method, "path": path, "headers": headers}
        verb = PROXIED_VERBS.get(method, "")
        answer: HttpAnswer = self._call(verb, resource, namespace, name, "proxy", body, options=options)
        return answer

    def _object(self, *arguments: Any, **keywords: Any) -> Object:
        answer: Object = self._call(*arguments, **keywords)
        return answer

    def _call(
        self,
        verb: str,
        resource: str | Kind,
        namespace: str = "",
        name: str = "",
        subresource: str = "",
        body: Any = None,
        content_type: str = "",
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        kind = kinds.find(resource) if isinstance(resource, str) else resource
        if kind is None and isinstance(resource, str):
            brought = (row for row in self.kinds() if row.custom is not None or row.remote)
            kind = next((row for row in brought if resource in row.words()), None)
        if kind is None:
            raise ValueError(f"{resource!r} is not a resource that k8snb knows")
        request = Request(
            verb,
            kind,
            namespace,
            name,
            subresource,
            body,
            content_type,
            options or NO_OPTIONS,
            self.user,
            self.cause,
            self.warnings,
        )
        return self.transport.handle(request)
