"""kube-aggregator: APIs that another server serves, reached through this one.

Interface: `Aggregation(server)`: `answer(request)` for kinds of others, `learn(name, kinds)` what an APIService serves,
`sender(api_service)`; `local_status`, `register(client, kinds)` for the APIs that this server serves itself.
The rule not to break: who asks is told to the other server by the aggregator alone, in headers that a client cannot
set; the client's own credentials stay here.
Source: `kube-aggregator/pkg/apiserver/{handler_proxy,apiservice}.go`, `pkg/controlplane/apiserver/aggregator.go`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from k8snb.apimachinery.errors import ApiError, not_implemented, unavailable
from k8snb.apimachinery.kinds import BY_GVK, Kind
from k8snb.apimachinery.meta import Object, is_true
from k8snb.apiserver import dialing
from k8snb.apiserver.dialing import CallError, Reply, Send, Trust
from k8snb.apiserver.identity import Identity
from k8snb.apiserver.proxy_bridge import Proxied
from k8snb.client import Client, Deferred, Request, User
from k8snb.client.client import APPLY
from k8snb.etcd import Store

GROUP = "apiregistration.k8s.io"
APISERVICE = BY_GVK[f"{GROUP}/v1", "APIService"]
AUTOMANAGED = "kube-aggregator.kubernetes.io/automanaged"
AVAILABLE = "Available"
PROXY_CLIENT = "front-proxy-client"
SECONDS = 30.0
METHODS = {"get": "GET", "list": "GET", "create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE",
           "deletecollection": "DELETE"}  # fmt: skip
QUERY = ("labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "resourceVersionMatch",
         "fieldManager", "fieldValidation", "force")  # fmt: skip
# groupPriorityMinimum and versionPriority of what this server serves; upstream's own numbers
PRIORITIES: Mapping[str, tuple[int, int]] = {
    "v1": (18000, 1), "apps/v1": (17800, 15), "events.k8s.io/v1": (17750, 15),
    "authentication.k8s.io/v1": (17700, 15), "authorization.k8s.io/v1": (17600, 15), "autoscaling/v1": (17500, 15),
    "autoscaling/v2": (17500, 30), "batch/v1": (17400, 15), "certificates.k8s.io/v1": (17300, 15),
    "networking.k8s.io/v1": (17200, 15), "policy/v1": (17100, 15), "rbac.authorization.k8s.io/v1": (17000, 15),
    "storage.k8s.io/v1": (16800, 15), "apiextensions.k8s.io/v1": (16700, 15),
    "admissionregistration.k8s.io/v1": (16700, 15), "scheduling.k8s.io/v1": (16600, 15),
    "coordination.k8s.io/v1": (16500, 15), "node.k8s.io/v1": (16300, 15), "discovery.k8s.io/v1": (16200, 12),
    "metrics.k8s.io/v1beta1": (100, 100),
}  # fmt: skip
OTHERS = (1000, 100)  # those of a CustomResourceDefinition's group


class Server(dialing.Server, Protocol):
    store: Store
    identity: Identity


# what this server serves itself


def wanted(kinds: Iterable[Kind]) -> dict[str, Object]:
    """The APIServices of this server's own groups and versions, by name."""
    found: dict[str, Object] = {}
    for kind in kinds:
        if kind.group == GROUP or kind.remote:
            continue
        minimum, priority = PRIORITIES.get(kind.api_version, OTHERS)
        spec = {"group": kind.group, "version": kind.version, "groupPriorityMinimum": minimum,
                "versionPriority": priority}  # fmt: skip
        managed = "true" if kind.custom is not None else "onstart"
        name = f"{kind.version}.{kind.group}"
        found.setdefault(name, {"metadata": {"name": name, "labels": {AUTOMANAGED: managed}}, "spec": spec})
    return found


def register(client: Client, kinds: Iterable[Kind]) -> None:
    """Register what this server serves. What somebody else has registered for the same name stays."""
    for name, api_service in wanted(kinds).items():
        if client.find("apiservices", name) is None:
            client.create("apiservices", api_service)


def local_status(api_service: Object, now: str) -> Object:
    """An APIService with the status that it has where this server serves it; any other as it is."""
    if api_service["spec"].get("service"):
        return api_service
    status = api_service.get("status") or {}
    if is_true(api_service, AVAILABLE):
        return api_service
    entry = {"type": AVAILABLE, "status": "True", "reason": "Local", "lastTransitionTime": now,
             "message": "Local APIServices are always available"}  # fmt: skip
    return {**api_service, "status": {**status, "conditions": [entry]}}


# what others serve


class Aggregation:
    """The APIs of others. `kinds` is what they serve, as far as it is known."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._learnt: dict[str, tuple[Kind, ...]] = {}
        self.kinds: tuple[Kind, ...] = ()

    def learn(self, name: str, kinds: Iterable[Kind]) -> None:
        """What the APIService of this name serves; nothing where it is gone."""
        found = tuple(kinds)
        if found != self._learnt.get(name, ()):
            self._learnt = {**self._learnt, name: found} if found else _without(self._learnt, name)
            self.kinds = tuple(kind for each in sorted(self._learnt) for kind in self._learnt[each])

    @functools.cached_property
    def certificate(self) -> tuple[str, str]:
        """By which another server knows that it is the aggregator who asks."""
        return self._server.identity.issue_client(PROXY_CLIENT)

    def sender(self, api_service: Object, *, checks: bool = False) -> Send:
        """How to reach the server behind an APIService. For `checks` it may show any certificate, as upstream."""
        return dialing.to_service(self._server, _service(api_service), self._trust(api_service, checks=checks))

    def _trust(self, api_service: Object, *, checks: bool = False) -> Trust:
        spec = api_service["spec"]
        host = f"{spec['service']['name']}.{spec['service']['namespace']}.svc"
        insecure = checks or bool(spec.get("insecureSkipTLSVerify"))
        return Trust(spec.get("caBundle"), host, insecure, self.certificate)

    def answer(self, request: Request) -> Any:
        """A `Proxied` stream for a request over HTTPS, else work for the caller's thread. Raises ApiError."""
        record = self._server.store.get(APISERVICE.key("", request.kind.remote))
        if record is None or not is_true(record.value, AVAILABLE):
            raise unavailable("service unavailable")
        if request.options.get("upgrade"):
            return self._stream(request, record.value)
        if request.verb not in METHODS:
            raise not_implemented(f"{request.verb} of {request.kind.qualified} from within the kernel")
        send = self.sender(record.value)
        return Deferred(lambda: _asked(send, request))

    def _stream(self, request: Request, api_service: Object) -> Proxied:
        try:
            open_, authority = dialing.opener(self._server, _service(api_service), self._trust(api_service))
        except ApiError:
            raise unavailable("service unavailable") from None
        path = request.options["path"]
        return Proxied(open=open_, authority=authority, path=path, headers=tuple(identity_headers(request.user)))


def _without(known: dict[str, tuple[Kind, ...]], name: str) -> dict[str, tuple[Kind, ...]]:
    return {key: value for key, value in known.items() if key != name}


def _service(api_service: Object) -> tuple[str, str, int]:
    service = api_service["spec"]["service"]
    return service["namespace"], service["name"], service.get("port") or 443


def identity_headers(user: User) -> list[tuple[str, str]]:
    """Who asks, for the other server. Source: `SetAuthProxyHeaders` in client-go/transport/round_trippers.go."""
    headers = [("X-Remote-User", user.name), *(("X-Remote-Group", group) for group in user.groups)]
    for key, values in user.extra:
        headers += [(f"X-Remote-Extra-{quote(key, safe='').capitalize()}", value) for value in values]
    return headers


def _asked(send: Send, request: Request) -> Object:
    """One question to the other server. Raises ApiError."""
    body = b"" if request.body is None else json.dumps(request.body).encode()
    sort = request.content_type or "application/json"
    headers = [("Accept", "application/json"), *identity_headers(request.user)]
    if body:
        headers.append(("Content-Type", sort if sort != APPLY else APPLY))
    try:
        reply = send(METHODS[request.verb], _path(request), headers, body, SECONDS)
    except CallError as error:
        raise unavailable(f"error trying to reach service: {error}") from None
    return _read(reply)


def _path(request: Request) -> str:
    kind = request.kind
    parts = ["apis", kind.group, kind.version]
    parts += ["namespaces", request.namespace] if kind.namespaced and request.namespace else []
    parts += [kind.plural, *filter(None, (request.name, request.subresource))]
    query = {name: request.options[name] for name in QUERY if request.options.get(name)}
    query |= {"dryRun": "All"} if request.options.get("dryRun") else {}
    path = "/" + "/".join(quote(part, safe=":") for part in parts)
    return f"{path}?{urlencode(query)}" if query else path


def _read(reply: Reply) -> Object:
    try:
        found = json.loads(reply.body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        text = reply.body.decode(errors="replace").strip()[:200]
        raise ApiError(max(reply.status, 500), "InternalError", f"the server behind the API said no object: {text}")
    if reply.status >= 400:
        raise ApiError(reply.status, found.get("reason") or "", found.get("message") or "", found.get("details"))
    return found


def kinds_of(name: str, document: Any) -> list[Kind]:
    """The kinds in an APIResourceList, as rows. What cannot be read is left out."""
    group, _, version = str((document or {}).get("groupVersion", "")).partition("/")
    resources = [each for each in (document or {}).get("resources") or () if isinstance(each, dict)]
    found = []
    for each in resources:
        plural = str(each.get("name") or "")
        if not plural or "/" in plural or not each.get("kind"):
            continue
        doors = (other["name"].split("/")[1] for other in resources if str(other["name"]).startswith(f"{plural}/"))
        found.append(Kind(
            each["kind"], plural, group, version, namespaced=bool(each.get("namespaced")),
            short_names=tuple(each.get("shortNames") or ()), categories=tuple(each.get("categories") or ()),
            subresources=tuple(door for door in doors if door in ("status", "scale")),
            verbs=tuple(each.get("verbs") or ()), remote=name,
        ))  # fmt: skip
    return found
