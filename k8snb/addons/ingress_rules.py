"""The ingress controller's rules: which Service a request belongs to. Pure functions on plain dicts.

Interface: `locations(ingress)` says what one Ingress asks for; `RuleTable.put(key, locations)` and `.find(host, path)`.
The rule not to break: an exact host comes before a wildcard, an exact path before a prefix, a longer prefix before a
shorter one; of two Ingresses that want the same, the older one has it.
Source: https://kubernetes.io/docs/concepts/services-networking/ingress/ ("Path types", "Hostname wildcards"), and
`internal/ingress/controller` in kubernetes/ingress-nginx, whose words and order these are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from k8snb.addons.ingress_annotations import Options, options_of
from k8snb.apimachinery.meta import Object, get_path, key_of, namespace_of

EXACT, PREFIX, ANY = "Exact", "Prefix", "ImplementationSpecific"
EVERY_HOST = ""


@dataclass(frozen=True)
class Backend:
    """One port of a Service: `service` is namespace/name, `port` a number or a name."""

    service: str
    port: int | str

    def __str__(self) -> str:
        return f"{self.service}:{self.port}"


@dataclass(frozen=True)
class Location:
    """Requests to `host` whose path fits go to `backend`; None where that is no Service.

    `fallback` marks an Ingress's default backend, which takes what no path takes. `pattern` is there where the path is
    a regular expression.
    """

    ingress: str
    since: str
    host: str
    path: str
    path_type: str
    backend: Backend | None
    options: Options = field(repr=False)
    fallback: bool = False
    pattern: re.Pattern[str] | None = None

    @property
    def is_canary(self) -> bool:
        """Whether it only takes a share of what another location is asked."""
        return self.options.canary

    def fits(self, path: str) -> re.Match[str] | bool:
        """Whether a path (without its query) belongs here; the match where a pattern found it."""
        if self.pattern is not None:
            return self.pattern.match(path) or False
        if self.fallback:
            return True
        return path == self.path if self.path_type == EXACT else _is_below(path, self.path)

    @property
    def rank(self) -> tuple[bool, bool, int, str, str]:
        """What comes first is asked first."""
        return self.fallback, self.path_type != EXACT, -len(self.path), self.since, self.ingress


@dataclass(frozen=True)
class Found:
    """A location, what its pattern matched, and the canaries beside it: those of the same host and path."""

    location: Location
    match: re.Match[str] | None = None
    canaries: tuple[Location, ...] = ()


class RuleTable:
    """The locations of all Ingresses, by host. A change costs what the hosts of its own Ingress cost.

    The pump writes and the router reads: what a host maps to is replaced, never changed.
    """

    def __init__(self) -> None:
        self._ingresses: dict[str, tuple[Location, ...]] = {}
        self._hosts: dict[str, tuple[Location, ...]] = {}

    def put(self, ingress: str, found: Iterable[Location] = ()) -> bool:
        """Replace the locations of one Ingress; none = it is gone. Whether anything changed."""
        old, new = self._ingresses.pop(ingress, ()), tuple(found)
        if new:
            self._ingresses[ingress] = new
        if old == new:
            return False
        for host in {location.host for location in (*old, *new)}:
            kept = [location for location in self._hosts.get(host, ()) if location.ingress != ingress]
            added = [location for location in new if location.host == host]
            self._hosts[host] = tuple(sorted((*kept, *added), key=lambda location: location.rank))
            if not self._hosts[host]:
                del self._hosts[host]
        return True

    def find(self, host: str, path: str) -> Found | None:
        """Where a request goes; None = to nobody. As in nginx a host that has rules does not fall back on those of a
        wildcard, but on those for every host only as far as a default backend goes."""
        here = self._at(host.lower())
        for location in here:
            if not location.is_canary and (found := location.fits(path)):
                beside = tuple(each for each in here if each.is_canary and each.path == location.path)
                return Found(location, found if isinstance(found, re.Match) else None, beside)
        for location in self._hosts.get(EVERY_HOST, ()):
            if location.fallback:
                return Found(location)
        return None

    def _at(self, host: str) -> tuple[Location, ...]:
        found = (self._hosts.get(name) for name in (host, _wildcard(host), EVERY_HOST))
        return next((each for each in found if each), ())


def locations(ingress: Object) -> Iterator[Location]:
    """What one Ingress asks for."""
    spec, options = ingress.get("spec") or {}, options_of(ingress)
    rules = spec.get("rules") or ()
    for rule in rules:
        for path in get_path(rule, "http.paths") or ():
            yield _location(ingress, options, rule.get("host") or EVERY_HOST, path)
    default = spec.get("defaultBackend")
    for host in dict.fromkeys(rule.get("host") or EVERY_HOST for rule in rules) or (EVERY_HOST,):
        if default:
            path = {"path": "/", "pathType": PREFIX, "backend": default}
            yield _location(ingress, options, host, path, fallback=True)


def backends(ingress: Object) -> Iterator[Object]:
    """The `backend` of each path, and the default one."""
    spec = ingress.get("spec") or {}
    if spec.get("defaultBackend"):
        yield spec["defaultBackend"]
    for rule in spec.get("rules") or ():
        yield from (path["backend"] for path in get_path(rule, "http.paths") or ())


def _location(ingress: Object, options: Options, host: str, path: Object, *, fallback: bool = False) -> Location:
    text, path_type = path.get("path") or "/", path.get("pathType") or ANY
    is_pattern = options.use_regex and path_type != EXACT and not fallback
    return Location(
        ingress=key_of(ingress),
        since=ingress["metadata"].get("creationTimestamp") or "",
        host=host.lower(),
        path=text,
        path_type=path_type,
        backend=_backend(ingress, path["backend"]),
        options=options,
        fallback=fallback,
        pattern=_pattern(text) if is_pattern else None,
    )


def _backend(ingress: Object, backend: Object) -> Backend | None:
    service = backend.get("service")
    if not service:
        return None
    port = service.get("port") or {}
    return Backend(f"{namespace_of(ingress)}/{service['name']}", port.get("number") or port.get("name") or 0)


def _pattern(text: str) -> re.Pattern[str] | None:
    """nginx's `location ~* "^…"`. A text that is no regular expression is taken as a prefix."""
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error:
        return None


def _wildcard(host: str) -> str:
    return "*." + host.partition(".")[2]


def _is_below(path: str, prefix: str) -> bool:
    """Element by element: /foo takes /foo, /foo/ and /foo/bar, but not /foobar."""
    trimmed = prefix.rstrip("/")
    return path == trimmed or path.startswith(trimmed + "/")
