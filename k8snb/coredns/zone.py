"""CoreDNS' zone: what the names below the cluster's domain mean.

Interface: `Zone.resolve(name, type)` answers one question, `Zone.lookup(name, namespace)` what a program in a pod asks;
`entry_of(service, slices)` is what the zone has to know about one Service.
The rule not to break: the server's thread reads without a lock, so every entry is immutable and replaced whole.
Source: the DNS-based service discovery specification (kubernetes/dns, docs/specification.md) and CoreDNS' `kubernetes`
plug-in with `pods insecure` and a time to live of 30 seconds, as kubeadm configures it. Upstream also answers AAAA.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from k8snb.apimachinery.meta import Object, key_of, split_key

DOMAIN = "cluster.local"
TTL = 30  # seconds
SCHEMA_VERSION = "1.1.0"
NDOTS = 5  # a name with fewer dots is tried with the search domains first
MAX_ALIASES = 8  # CNAMEs that are followed one after another

NOERROR, NXDOMAIN = "NOERROR", "NXDOMAIN"


class Record(NamedTuple):
    """One resource record: `data` as a zone file has it."""

    name: str
    type: str
    data: str


class Answer(NamedTuple):
    """What a name server says. NOERROR without records: the name is there, but nothing of that type."""

    rcode: str
    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()


class Endpoint(NamedTuple):
    """One address and port behind a name. `host` is "" for a ClusterIP and the endpoint's own name otherwise."""

    host: str
    ip: str
    port: int = 0
    port_name: str = ""
    protocol: str = ""


class Entry(NamedTuple):
    """What the zone knows about one Service: endpoints, or for an ExternalName where it leads."""

    endpoints: tuple[Endpoint, ...] = ()
    external_name: str = ""


class Zone:
    """All names below one domain. Reads may come from any thread, writes from the pump alone.

    `generation` is another number after each change: an answer that was given before it may be out of date.
    """

    def __init__(self, domain: str = DOMAIN) -> None:
        self.domain = domain
        self.generation = 0
        self.server = ""  # the address at which the zone's own name server answers
        self.namespaces: set[str] = set()
        self._entries: dict[str, Entry] = {}
        self._names: dict[str, tuple[str, ...]] = {}  # address → the names it goes back to

    def put(self, key: str, entry: Entry | None) -> None:
        """Replace what is known about a service (`namespace/name`); None = it is gone."""
        old = self._entries.pop(key, Entry())
        if entry is not None:
            self._entries[key] = entry
        before, after = self._reverse(key, old), self._reverse(key, entry or Entry())
        for ip, name in before - after:
            self._rename(ip, {*self._names.get(ip, ())} - {name})
        for ip, name in after - before:
            self._rename(ip, {*self._names.get(ip, ()), name})
        self.generation += 1

    def put_namespace(self, name: str, *, known: bool = True) -> None:
        """A namespace is there, or is gone."""
        (self.namespaces.add if known else self.namespaces.discard)(name)
        self.generation += 1

    def search_path(self, namespace: str) -> tuple[str, ...]:
        """The `search` line of /etc/resolv.conf in a pod of this namespace."""
        return f"{namespace}.svc.{self.domain}", f"svc.{self.domain}", self.domain

    def candidates(self, name: str, namespace: str) -> list[str]:
        """The full names that a resolver in a pod asks for, in order (`options ndots:5`)."""
        if name.endswith("."):
            return [name.rstrip(".")]
        searched = [f"{name}.{suffix}" for suffix in self.search_path(namespace)]
        return [name, *searched] if name.count(".") >= NDOTS else [*searched, name]

    def lookup(self, name: str, namespace: str, type: str = "A") -> Answer:
        """What a pod's resolver gets for a name as programs write it: `nginx`, `nginx.shop`, `nginx.shop.svc`."""
        answers = (self.resolve(candidate, type) for candidate in self.candidates(name, namespace))
        return next((answer for answer in answers if answer is not None and answer.records), Answer(NXDOMAIN))

    def address(self, name: str, namespace: str) -> str | None:
        """The first address that `lookup` finds."""
        records = self.lookup(name, namespace).records
        return next((record.data for record in records if record.type == "A"), None)

    def resolve(self, name: str, type: str) -> Answer | None:
        """The answer to one question; None when the zone has no say, and the question goes upstream.

        A CNAME is followed as far as the zone goes; where it ends there with nothing, the answer says so.
        """
        answer = self._find(name, type)
        for _ in range(MAX_ALIASES):
            target = unresolved(answer, type)
            further = self._find(target, type) if target else None
            if answer is None or further is None:
                break
            answer = Answer(further.rcode, answer.records + further.records, further.additional)
            if not further.records:
                break
        return answer

    def leads_out(self, answer: Answer | None, type: str) -> str:
        """The name that is still to be asked for elsewhere; "" where the zone has said all there is to say."""
        target = unresolved(answer, type)
        return target if target and self._find(target, type) is None else ""

    def authority(self) -> Record:
        """Who says so, and for how long it may be believed that there is nothing."""
        data = f"ns.dns.{self.domain}. hostmaster.{self.domain}. {self.generation} 7200 1800 86400 {TTL}"
        return Record(self.domain, "SOA", data)

    def _find(self, name: str, type: str) -> Answer | None:
        labels = name.lower().rstrip(".").split(".")
        if labels[-2:] == ["in-addr", "arpa"]:
            return self._pointer(name, labels[:-2], type)
        domain = self.domain.split(".")
        if labels[-len(domain) :] != domain:
            return None
        return self._below(name, labels[: -len(domain)], type)

    def _below(self, name: str, labels: list[str], type: str) -> Answer:
        match labels:
            case []:
                return self._apex(name, type)
            case ["ns", "dns"] if self.server:
                return Answer(NOERROR, _only("A", type, Record(name, "A", self.server)))
            case ["svc"] | ["pod"] | ["dns"]:
                return Answer(NOERROR)
            case ["dns-version"]:
                return Answer(NOERROR, _only("TXT", type, Record(name, "TXT", f'"{SCHEMA_VERSION}"')))
            case [namespace, "svc" | "pod"]:
                return Answer(NOERROR if namespace in self.namespaces else NXDOMAIN)
            case [address, namespace, "pod"]:
                return self._pod(name, address, namespace, type)
            case [*host, service, namespace, "svc"] if len(host) <= 2:
                return self._service(name, host, f"{namespace}/{service}", type)
        return Answer(NXDOMAIN)

    def _apex(self, name: str, type: str) -> Answer:
        """The zone itself: its authority and its name server."""
        if type == "SOA":
            return Answer(NOERROR, (self.authority(),))
        server = f"ns.dns.{self.domain}"
        if type == "NS" and self.server:
            return Answer(NOERROR, (Record(name, "NS", f"{server}."),), (Record(server, "A", self.server),))
        return Answer(NOERROR)

    def _service(self, name: str, host: list[str], key: str, type: str) -> Answer:
        """`service`, `endpoint.service` or `_port._protocol.service`."""
        entry = self._entries.get(key)
        if entry is None:
            return Answer(NXDOMAIN)
        if entry.external_name:
            alias = Record(name, "CNAME", f"{entry.external_name.rstrip('.')}.")
            return Answer(NXDOMAIN) if host else Answer(NOERROR, (alias,))
        found = [endpoint for endpoint in entry.endpoints if _matches(endpoint, host)]
        if not found:
            return Answer(NXDOMAIN)
        if type == "SRV":
            return self._services(name, key, found)
        return Answer(NOERROR, _addresses(name, found) if type == "A" else ())

    def _services(self, name: str, key: str, found: Sequence[Endpoint]) -> Answer:
        named = [endpoint for endpoint in found if endpoint.port_name]
        weight = 100 // max(len(named), 1) or 1
        records = tuple(
            Record(name, "SRV", f"0 {weight} {endpoint.port} {self._full_name(key, endpoint.host)}.")
            for endpoint in named
        )
        hosts = {endpoint.host: endpoint for endpoint in named}.values()
        additional = (Record(self._full_name(key, endpoint.host), "A", endpoint.ip) for endpoint in hosts)
        return Answer(NOERROR, records, tuple(additional))

    def _pod(self, name: str, address: str, namespace: str, type: str) -> Answer:
        """`1-2-3-4.namespace.pod`: the address in the name itself, whether such a pod is there or not."""
        ip = address.replace("-", ".")
        if namespace not in self.namespaces or not _is_ipv4(ip):
            return Answer(NXDOMAIN)
        return Answer(NOERROR, _only("A", type, Record(name, "A", ip)))

    def _pointer(self, name: str, labels: list[str], type: str) -> Answer | None:
        names = self._names.get(".".join(reversed(labels)))
        if names is None:
            return None
        return Answer(NOERROR, tuple(Record(name, "PTR", f"{full}.") for full in names) if type == "PTR" else ())

    def _reverse(self, key: str, entry: Entry) -> set[tuple[str, str]]:
        return {(endpoint.ip, self._full_name(key, endpoint.host)) for endpoint in entry.endpoints}

    def _rename(self, ip: str, names: set[str]) -> None:
        if names:
            self._names[ip] = tuple(sorted(names))
        else:
            self._names.pop(ip, None)

    def _full_name(self, key: str, host: str) -> str:
        namespace, name = split_key(key)
        return f"{host + '.' if host else ''}{name}.{namespace}.svc.{self.domain}"


def entry_of(service: Object, slices: Iterable[Object]) -> Entry:
    """What the zone has to know about a Service; for a ClusterIP the slices do not count."""
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return Entry(external_name=spec.get("externalName") or "")
    if is_headless(service):
        everyone = bool(spec.get("publishNotReadyAddresses"))
        found = (endpoint for part in sorted(slices, key=key_of) for endpoint in _endpoints(part, everyone))
        return Entry(tuple(dict.fromkeys(found)))
    ip = spec.get("clusterIP")
    return Entry(tuple(Endpoint("", ip, *port) for port in _ports(spec)) if ip else ())


def is_headless(service: Object) -> bool:
    """Whether the name of a Service leads to its pods instead of an address of its own."""
    clusterless: bool = service["spec"].get("clusterIP") == "None"
    return clusterless


def unresolved(answer: Answer | None, type: str) -> str:
    """The name that an answer's last CNAME leads to and that is still to be asked for; "" when there is none."""
    last = answer.records[-1] if answer is not None and answer.records else None
    return last.data if last is not None and last.type == "CNAME" != type else ""


def _endpoints(part: Object, everyone: bool) -> Iterator[Endpoint]:
    if part.get("addressType", "IPv4") != "IPv4":
        return
    for endpoint in part.get("endpoints") or ():
        if everyone or (endpoint.get("conditions") or {}).get("ready") is not False:
            ip = endpoint["addresses"][0]
            host = endpoint.get("hostname") or ip.replace(".", "-")
            for port in _ports(part):
                yield Endpoint(host.lower(), ip, *port)


def _ports(holder: Object) -> list[tuple[int, str, str]]:
    """Number, name and protocol of the ports of a Service's spec or an EndpointSlice; one unnamed where it has none."""
    ports: list[dict[str, Any]] = holder.get("ports") or [{}]
    return [(port.get("port") or 0, port.get("name") or "", (port.get("protocol") or "TCP").lower()) for port in ports]


def _matches(endpoint: Endpoint, host: list[str]) -> bool:
    """Whether an endpoint is meant by what stands before the service: nothing, its name, or `_port._protocol`."""
    match host:
        case []:
            return True
        case [name]:
            return endpoint.host == name
    return bool(endpoint.port_name) and [f"_{endpoint.port_name}", f"_{endpoint.protocol}"] == host


def _addresses(name: str, found: Sequence[Endpoint]) -> tuple[Record, ...]:
    return tuple(Record(name, "A", ip) for ip in dict.fromkeys(endpoint.ip for endpoint in found))


def _only(wanted: str, type: str, record: Record) -> tuple[Record, ...]:
    return (record,) if type == wanted else ()


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
