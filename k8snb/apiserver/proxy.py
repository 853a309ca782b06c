"""kube-apiserver's proxy: `pods/NAME:PORT/proxy/…`, `services/NAME:PORT/proxy/…`, `nodes/NAME/proxy/…`.

Interface: `pod`, `service`, `node`, the handlers; `Place` is what they look up.
The rule not to break: the way to a pod leads through its node's kubelet, as a port-forward does.
Source: `pkg/registry/core/{pod/rest,service/storage,node/rest}`, `ResourceLocation` in each of them.
Upstream dials addresses itself, and so reaches endpoints that are no pods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from k8snb.apimachinery import errors
from k8snb.apimachinery.meta import Object, get_path, name_of
from k8snb.apiserver.nodes import HttpReply, kubelet_named, kubelet_of
from k8snb.apiserver.proxy_bridge import Proxied, ProxyExchange
from k8snb.apiserver.service_resolver import Server, is_ready, reached, ready, service_and_slices
from k8snb.apiserver.streams import Connection
from k8snb.apiserver.tls import over_tls
from k8snb.client import Deferred, HttpAnswer, Request

KUBELET_PORT = "10250"
HTTP_PORTS = {"http": 80, "https": 443}  # the names that a resolver of ports knows anyway
DEFAULT_PORTS = {"": 80, "http": 80, "https": 443}


class Place(NamedTuple):
    """SCHEME:NAME:PORT, of which all but the name may be left out."""

    scheme: str
    name: str
    port: str


def pod(server: Server, request: Request) -> Any:
    """To the named port, else to the first that a container declares, else to the scheme's own."""
    place = _place(request, "pod")
    found = server.registry.get(replace(request, name=place.name, subresource=""))
    containers = found["spec"]["containers"]
    declared = (str(port["containerPort"]) for container in containers for port in container.get("ports") or ())
    port = place.port or next(declared, "")
    number = _number(port) if port else DEFAULT_PORTS[place.scheme]
    address = get_path(found, "status.podIP", "")
    if not address:
        why = f"dial tcp :{number}: connect: connection refused (pod {place.name} has no address yet)"
        raise errors.unavailable(f"error trying to reach service: {why}")
    connect = kubelet_of(server.nodes, found).get_port_forward(found)
    return _to_endpoint(request, lambda: connect(number), f"{address}:{number}", place.scheme)


def service(server: Server, request: Request) -> Any:
    """To a pod that is ready behind the port of this name or number. Raises ServiceUnavailable where there is none."""
    place = _place(request, "service")
    found, slices = service_and_slices(server, request.namespace, place.name)
    port = _port_name(found, place.port) if place.port.isdecimal() else place.port
    ends = list(ready(slices, port))
    if not ends:
        others = any(is_ready(end) for one in slices for end in one.get("endpoints") or ())
        raise errors.unavailable(f'no endpoints available for service "{request.name if others else place.name}"')
    end, number = server.dice.choice(ends)
    endpoint = reached(server, request.namespace, end, number)
    if endpoint.connect is None:
        raise errors.not_implemented(f"the proxy to an endpoint that is no pod ({endpoint.address})")
    return _to_endpoint(request, endpoint.connect, f"{endpoint.address}:{number}", place.scheme)


def node(server: Server, request: Request) -> Any:
    """To the kubelet of the node, the only one on it that is reached like this."""
    place = _place(request, "node")
    server.registry.get(replace(request, name=place.name, subresource=""))
    if place.port not in ("", KUBELET_PORT):
        raise errors.not_implemented(f"a node's port {place.port} (only the kubelet's, {KUBELET_PORT}, is proxied)")
    answer = kubelet_named(server.nodes, place.name).get_http(*_method_and_path(request))
    return Deferred(answer if request.options.get("upgrade") else lambda: _whole(answer()))


def _place(request: Request, word: str) -> Place:
    """Raises BadRequest. Source: `SplitSchemeNamePort` in apimachinery/pkg/util/net/port_split.go."""
    parts = request.name.split(":")
    scheme, name, port = {1: ["", *parts, ""], 2: ["", *parts], 3: parts}.get(len(parts), ["", "", ""])
    if not name or scheme not in DEFAULT_PORTS:
        raise errors.bad_request(f'invalid {word} request "{request.name}"')
    return Place(scheme, name, port)


def _method_and_path(request: Request) -> tuple[str, str]:
    return request.options.get("method", "GET"), request.options.get("path", "/")


# Services


def _port_name(found: Object, number: str) -> str:
    for port in found["spec"].get("ports") or ():
        if port["port"] == int(number):
            return str(port.get("name", ""))
    raise errors.unavailable(f'no service port {number} found for service "{name_of(found)}"')


# pods


def _to_endpoint(request: Request, connect: Callable[[], Connection], authority: str, scheme: str) -> Any:
    """What is wanted, for who streams it; for a caller in the kernel the whole exchange."""
    method, path = _method_and_path(request)
    opened = (lambda: over_tls(connect())) if scheme == "https" else connect
    wish = Proxied(open=opened, authority=authority, path=path or "/")
    if request.options.get("upgrade"):
        return wish
    headers = [("Host", authority), *_headers(request)]
    return ProxyExchange(wish, method=method, headers=headers, body=request.body or b"")


def _number(port: str) -> int:
    if port.isdecimal() and 0 < int(port) <= 0xFFFF:
        return int(port)
    if port in HTTP_PORTS:
        return HTTP_PORTS[port]
    why = "invalid port" if port.isdecimal() else "unknown port"
    raise errors.unavailable(f"error trying to reach service: dial tcp: lookup tcp/{port}: {why}")


def _headers(request: Request) -> list[tuple[str, str]]:
    given: Mapping[str, str] = request.options.get("headers") or {}
    known = {name.lower() for name in given}
    size = [("Content-Length", str(len(request.body)))] if request.body and "content-length" not in known else []
    return [*((name, value) for name, value in given.items() if name.lower() != "host"), *size]


def _whole(reply: HttpReply) -> HttpAnswer:
    return HttpAnswer(reply.status, {"content-type": reply.media_type}, b"".join(reply.body))
