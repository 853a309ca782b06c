"""kube-apiserver's admission requests: one request as policies and webhooks are told of it.

Interface: `Admission.of(server, request, obj, old)`; `as_kind` shows it in another version; `described(uid)` is the
`request` of an AdmissionReview, and what expressions know by that name.
The rule not to break: nothing here is changed by whoever looks at it.
Source: `apiserver/pkg/admission/attributes.go`, `plugin/webhook/request/admissionreview.go`, `plugin/cel/condition.go`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from k8snb.apimachinery.kinds import BY_GVK, Kind
from k8snb.apimachinery.meta import Object, get_path, labels_of
from k8snb.apiserver.authorization import Authorizer
from k8snb.apiserver.conversion import seen, stored
from k8snb.apiserver.subresources import scale_of
from k8snb.client import Request, User
from k8snb.etcd import Store

OPERATIONS = {"create": "CREATE", "update": "UPDATE", "patch": "UPDATE", "delete": "DELETE"}
CONNECT, DELETE = "CONNECT", "DELETE"
OPTIONS = {"CREATE": "CreateOptions", "UPDATE": "UpdateOptions", "DELETE": "DeleteOptions"}
SELF = "system:apiserver"  # what the server does by itself is not asked about
GROUP = "admissionregistration.k8s.io"
NAMESPACE = BY_GVK["v1", "Namespace"]


class Server(Protocol):
    store: Store
    authorizer: Authorizer

    def kinds(self) -> tuple[Kind, ...]: ...


@dataclass(frozen=True)
class Admission:
    """`obj` is None for a deletion, `old` for something new. `asked` is the kind that the client named, `kind` the one
    in whose version this is shown."""

    operation: str
    asked: Kind
    kind: Kind
    subresource: str
    namespace: str
    name: str
    obj: Object | None
    old: Object | None
    user: User
    options: Object

    @classmethod
    def of(cls, server: Server, request: Request, obj: Object, old: Object | None) -> Admission:
        operation = CONNECT if request.subresource in CONNECTIONS else OPERATIONS[request.verb]
        kind = request.kind
        metadata = obj.get("metadata") or {}
        namespace = request.namespace or metadata.get("namespace", "")
        name = request.name or metadata.get("name", "")
        if metadata.get("generateName") and operation == "CREATE" and not request.name:
            name = ""
        if request.subresource == "scale":
            obj, old = scale_of(kind, obj), None if old is None else scale_of(kind, old)
        return cls(
            operation, kind, kind, request.subresource, name if kind is NAMESPACE else namespace, name,
            None if operation == DELETE else obj, None if operation in ("CREATE", CONNECT) else old,
            server.authorizer.known(request.user), _options(request, operation),
        )  # fmt: skip

    @property
    def dry_run(self) -> bool:
        return bool(self.options.get("dryRun"))

    def as_kind(self, kind: Kind) -> Admission:
        """The same in another version of the kind."""
        if kind is self.kind:
            return self

        def shown(obj: Object | None) -> Object | None:
            return None if obj is None else seen(kind, stored(self.kind, obj))

        return replace(self, kind=kind, obj=shown(self.obj), old=shown(self.old))

    def described(self, uid: str = "") -> Object:
        kind, resource = _gvk(self.kind, self.subresource), _gvr(self.kind)
        sub = {"subResource": self.subresource} if self.subresource else {}
        sub_asked = {"requestSubResource": self.subresource} if self.subresource else {}
        return {
            "uid": uid, "kind": kind, "resource": resource, **sub,
            "requestKind": _gvk(self.asked, self.subresource), "requestResource": _gvr(self.asked), **sub_asked,
            **({"name": self.name} if self.name else {}), **({"namespace": self.namespace} if self.namespace else {}),
            "operation": self.operation, "userInfo": user_info(self.user), "dryRun": self.dry_run,
            "options": self.options or None,
        }  # fmt: skip


# subresources through which somebody connects, and the kinds of what is then asked for
CONNECTIONS = {"exec": "PodExecOptions", "attach": "PodAttachOptions", "portforward": "PodPortForwardOptions",
               "proxy": "PodProxyOptions"}  # fmt: skip
QUESTIONS = ("binding", "eviction", "token")  # subresources that take an object which is not stored
SAID = ("container", "command", "stdin", "stdout", "stderr", "tty", "ports", "path")
_BEHIND = {"scale": ("autoscaling", "v1", "Scale"), "binding": ("", "v1", "Binding"),
           "eviction": ("policy", "v1", "Eviction"), "token": ("authentication.k8s.io", "v1", "TokenRequest"),
           **{door: ("", "v1", kind) for door, kind in CONNECTIONS.items()}}  # fmt: skip


def asked_for(request: Request) -> Object | None:
    """What a request asks for through a door behind which nothing is stored; None for any other request."""
    if request.subresource in CONNECTIONS:
        said = {name: request.options[name] for name in SAID if request.options.get(name)}
        return {"kind": CONNECTIONS[request.subresource], "apiVersion": "v1", **said}
    is_question = request.verb == "create" and request.subresource in QUESTIONS
    return request.body if is_question and isinstance(request.body, dict) else None


def _gvk(kind: Kind, subresource: str) -> Object:
    group, version, name = _BEHIND.get(subresource, (kind.group, kind.version, kind.kind))
    return {"group": group, "version": version, "kind": name}


def _gvr(kind: Kind) -> Object:
    return {"group": kind.group, "version": kind.version, "resource": kind.plural}


def user_info(user: User) -> Object:
    found: Object = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        found["uid"] = user.uid
    if user.extra:
        found["extra"] = {name: list(values) for name, values in user.extra}
    return found


def _options(request: Request, operation: str) -> Object:
    if operation not in OPTIONS:
        return {}
    given = request.options or {}
    found = {name: given[name] for name in ("fieldManager", "fieldValidation", "gracePeriodSeconds",
                                            "propagationPolicy", "preconditions") if given.get(name)}  # fmt: skip
    kind = "PatchOptions" if request.verb == "patch" else OPTIONS[operation]
    dry = {"dryRun": ["All"]} if given.get("dryRun") else {}
    return {"kind": kind, "apiVersion": "meta.k8s.io/v1", **found, **dry}


def is_exempt(request: Request) -> bool:
    """What nobody is asked about: the objects that say who is asked, or nobody could ever mend a bad one, and what the
    server does by itself."""
    return (request.kind.group == GROUP and request.kind.custom is None) or request.user.name == SELF


def equivalents(server: Server, kind: Kind) -> Iterable[Kind]:
    """The other versions that show the same objects."""
    for row in server.kinds():
        same = row.prefix == kind.prefix and (row.custom is None) == (kind.custom is None)
        if same and row.api_version != kind.api_version:
            yield row


def namespace_labels(server: Server, asked: Admission) -> dict[str, str] | None:
    """The labels that a namespaceSelector is held against; None for what lies in no namespace."""
    if asked.kind is NAMESPACE and not asked.subresource:
        shown = asked.obj if asked.obj is not None else asked.old
        return labels_of(shown or {"metadata": {}})
    if not asked.namespace or asked.kind is NAMESPACE:
        return None
    record = server.store.get(NAMESPACE.key("", asked.namespace))
    return labels_of(record.value) if record is not None else {}


def labels(obj: Object | None) -> dict[str, str] | None:
    """The labels that an objectSelector is held against; None for what has none to hold."""
    found: dict[str, str] | None = get_path(obj or {}, "metadata.labels")
    return (found or {}) if obj is not None and "metadata" in obj else None
