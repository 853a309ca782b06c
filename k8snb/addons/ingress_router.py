"""The ingress controller's router: what becomes of one request. It decides; others carry out.

Interface: `Router.decide(visit)` answers a `Reply` or a `Forward`; `Endpoints` knows the addresses behind Services.
The rule not to break: no socket and no clock in here: every runtime, real or simulated, is asked the same way.
Source: `rootfs/etc/nginx/template/nginx.tmpl` in kubernetes/ingress-nginx (headers, redirects, status codes).
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

from k8snb.addons.ingress_annotations import FOUND, Options
from k8snb.addons.ingress_rules import Backend, Found, Location, RuleTable
from k8snb.apimachinery.meta import Object, get_path

Spot = tuple[str, int]
NO_ENDPOINTS: tuple[Spot, ...] = ()
PERMANENT_REDIRECT = 308
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, PUT, POST, DELETE, PATCH, OPTIONS",
    "Access-Control-Allow-Headers": "DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,"
    "Content-Type,Range,Authorization",
    "Access-Control-Max-Age": "1728000",
}
_DEFAULT_BACKEND = "default backend - 404"


class Visit(NamedTuple):
    """One request as it came in. `host` is without its port, `target` is path and query as they were written."""

    method: str
    host: str
    target: str
    scheme: str = "http"
    client: str = "127.0.0.1"
    port: int = 80
    authority: str = ""  # the Host header as it was written
    cookies: Mapping[str, str] = MappingProxyType({})
    headers: Mapping[str, str] = MappingProxyType({})  # names in any case where a server gives them

    @property
    def path(self) -> str:
        return self.target.partition("?")[0] or "/"


class Reply(NamedTuple):
    """The router's own answer."""

    status: int
    text: str = ""
    headers: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Forward:
    """What a Service is asked: its `spots` in the order in which to try them, and the headers to set and to answer."""

    spots: tuple[Spot, ...]
    scheme: str
    target: str
    options: Options
    headers: Mapping[str, str] = field(default_factory=dict)
    answer_headers: Mapping[str, str] = field(default_factory=dict)


class Endpoints:
    """The ready addresses behind each port of each Service, by number and by name.

    The pump writes, the router reads: what a Service maps to is replaced, never changed.
    """

    def __init__(self) -> None:
        self._services: dict[str, Mapping[int | str, tuple[Spot, ...]]] = {}

    def put(self, service: str, ports: Mapping[int | str, tuple[Spot, ...]]) -> None:
        if ports:
            self._services[service] = ports
        else:
            self._services.pop(service, None)

    def of(self, backend: Backend) -> tuple[Spot, ...]:
        """The addresses of a backend; none where there is no such Service, no such port, or nobody ready."""
        return self._services.get(backend.service, {}).get(backend.port, NO_ENDPOINTS)


def ports_of(service: Object, slices: Iterable[Object]) -> Mapping[int | str, tuple[Spot, ...]]:
    """The ready addresses behind each port of a Service, as its EndpointSlices have them."""
    spec, slices = service["spec"], list(slices)
    found: dict[int | str, tuple[Spot, ...]] = {}
    for port in spec.get("ports") or ():
        name, number = port.get("name") or "", port["port"]
        if spec.get("type") == "ExternalName":
            spots: tuple[Spot, ...] = ((spec.get("externalName", ""), number),)
        else:
            spots = tuple(dict.fromkeys(_ready(slices, name)))
        found |= {number: spots, **({name: spots} if name else {})}
    return found


def _ready(slices: Iterable[Object], port_name: str) -> Iterator[Spot]:
    for each in slices:
        for port in each.get("ports") or ():
            if (port.get("name") or "") != port_name or not port.get("port"):
                continue
            for endpoint in each.get("endpoints") or ():
                if get_path(endpoint, "conditions.ready", True) is not False:
                    yield endpoint["addresses"][0], port["port"]


class Router:
    """Where requests go, by the tables that the controllers keep. `https_port` is where TLS is answered, if any."""

    def __init__(self) -> None:
        self.rules = RuleTable()
        self.endpoints = Endpoints()
        self.https_port = 0
        self._turns: Counter[Backend] = Counter()
        self._shares: Counter[tuple[str, str, str]] = Counter()

    def decide(self, visit: Visit) -> Reply | Forward:
        """What becomes of a request. Nobody's is answered 404, as ingress-nginx's default backend does."""
        found = self.rules.find(visit.host, visit.path)
        if found is None:
            return Reply(404, _DEFAULT_BACKEND)
        options = found.location.options
        if not _may(visit.client, options):
            return _page(HTTPStatus.FORBIDDEN)
        redirect = self._redirect(visit, options)
        if redirect is None and options.enable_cors and visit.method == "OPTIONS":
            return Reply(HTTPStatus.NO_CONTENT, "", {**_cors(options), **_PREFLIGHT})
        return redirect or self._forward(visit, found)

    def _redirect(self, visit: Visit, options: Options) -> Reply | None:
        secure = options.force_ssl_redirect or (options.has_tls and options.ssl_redirect)
        if secure and visit.scheme == "http" and self.https_port:
            port = "" if self.https_port == 443 else f":{self.https_port}"
            return _moved(PERMANENT_REDIRECT, f"https://{visit.host}{port}{visit.target}")
        if options.permanent_redirect:
            return _moved(options.permanent_redirect_code, options.permanent_redirect)
        if options.temporal_redirect:
            return _moved(FOUND, options.temporal_redirect)
        if options.app_root and visit.path == "/":
            return _moved(FOUND, f"{visit.scheme}://{visit.authority or visit.host}{options.app_root}")
        return None

    def _forward(self, visit: Visit, found: Found) -> Reply | Forward:
        chosen = self._canary(visit, found) or found.location
        backend, options = chosen.backend, found.location.options
        spots = self.endpoints.of(backend) if backend else NO_ENDPOINTS
        if not backend or not spots:
            return _page(HTTPStatus.SERVICE_UNAVAILABLE, "503 Service Temporarily Unavailable")
        ordered, cookie = _order(visit, options, spots, self._turns[backend])
        self._turns[backend] += 1
        scheme = options.backend_protocol.lower()
        answered = {**cookie, **_cors(options)}
        return Forward(ordered, scheme, _rewritten(visit, found), options, _headers(visit, options), answered)

    def _canary(self, visit: Visit, found: Found) -> Location | None:
        """The canary that takes a request: one that it asks for, else one whose share it falls into."""
        for canary in found.canaries:
            options = canary.options
            told = _is_told(visit, options)
            if told or (told is None and self._falls_into(found.location, options)):
                return canary
        return None

    def _falls_into(self, location: Location, options: Options) -> bool:
        """Whether the next request is one of `canary-weight` in `canary-weight-total`, spread evenly."""
        weight, total = options.canary_weight, options.canary_weight_total or 100
        turn = self._shares[location.ingress, location.host, location.path]
        if weight:
            self._shares[location.ingress, location.host, location.path] += 1
        return (turn + 1) * weight // total > turn * weight // total


def _is_told(visit: Visit, options: Options) -> bool | None:
    """What a request says of a canary: to it, never to it, or nothing. The header comes before the cookie."""
    said = visit.headers.get(options.canary_by_header) if options.canary_by_header else None
    if said is not None and options.canary_by_header_value:
        return True if said == options.canary_by_header_value else None
    cookie = visit.cookies.get(options.canary_by_cookie) if options.canary_by_cookie else None
    return next((word == "always" for word in (said, cookie) if word in ("always", "never")), None)


def _order(
    visit: Visit, options: Options, spots: tuple[Spot, ...], turn: int
) -> tuple[tuple[Spot, ...], dict[str, str]]:
    """Round robin; a client that shows the cookie stays where it was while that address is there."""
    start = turn % len(spots)
    ordered = spots[start:] + spots[:start]
    if not options.affinity:
        return ordered, {}
    mine = visit.cookies.get(options.cookie_name, "")
    kept = [spot for spot in ordered if _mark(spot) == mine]
    if kept:
        return (kept[0], *(spot for spot in ordered if spot != kept[0])), {}
    return ordered, {"Set-Cookie": f"{options.cookie_name}={_mark(ordered[0])}; Path=/; HttpOnly"}


def _rewritten(visit: Visit, found: Found) -> str:
    """The path that the Service sees: `rewrite-target`, with $1, $2 … for what the path's groups matched."""
    target = found.location.options.rewrite_target
    if not target or found.location.fallback:
        return visit.target
    match = found.match
    groups = ("", *match.groups(default="")) if match else ("",)
    path = re.sub(r"\$(\d)", lambda place: groups[int(place[1])] if int(place[1]) < len(groups) else "", target)
    query = visit.target.partition("?")[2]
    return (path if path.startswith("/") else f"/{path}") + (f"?{query}" if query else "")


def _headers(visit: Visit, options: Options) -> dict[str, str]:
    """What tells the Service who asked, and how."""
    authority = visit.authority or visit.host
    return {
        "Host": options.upstream_vhost or authority,
        "X-Real-IP": visit.client,
        "X-Forwarded-For": visit.client,
        "X-Forwarded-Host": authority,
        "X-Forwarded-Port": str(visit.port),
        "X-Forwarded-Proto": visit.scheme,
        "X-Forwarded-Scheme": visit.scheme,
        "X-Scheme": visit.scheme,
    }


def _cors(options: Options) -> dict[str, str]:
    if not options.enable_cors:
        return {}
    return {"Access-Control-Allow-Origin": options.cors_origin, "Access-Control-Allow-Credentials": "true"}


def _may(client: str, options: Options) -> bool:
    def among(networks: Iterable[str]) -> bool:
        return any(address in ipaddress.ip_network(network, strict=False) for network in networks)

    address = ipaddress.ip_address(client)
    return not among(options.deny) and (not options.allow or among(options.allow))


def _mark(spot: Spot) -> str:
    return hashlib.sha256(f"{spot[0]}:{spot[1]}".encode()).hexdigest()[:16]


def _moved(status: int, location: str) -> Reply:
    title = f"{status} {HTTPStatus(status).phrase}"
    return Reply(status, _html(title), {"Location": location, "Content-Type": "text/html"})


def _page(status: HTTPStatus, title: str = "") -> Reply:
    return Reply(status, _html(title or f"{status.value} {status.phrase}"), {"Content-Type": "text/html"})


def failed(status: int) -> Reply:
    """The answer for a Service that does not: 502 where nobody takes the connection, 504 where it takes too long."""
    return _page(HTTPStatus(status), {504: "504 Gateway Time-out"}.get(status, ""))


def _html(title: str) -> str:
    return (f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
            "<hr><center>k8snb ingress-controller</center>\r\n</body>\r\n</html>\r\n")  # fmt: skip
