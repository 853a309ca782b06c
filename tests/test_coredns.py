"""CoreDNS: what names mean, kept up to date by the component, answered over real UDP and TCP."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import psutil
import pytest

from k8snb.apimachinery.meta import Object
from k8snb.apiserver import ApiServer
from k8snb.client import Client
from k8snb.client.context import Context
from k8snb.client.informer import Informers
from k8snb.clock import VirtualClock
from k8snb.coredns import CoreDNS, Record, Zone
from k8snb.coredns.server import DnsServer
from k8snb.coredns.zone import Answer, entry_of
from k8snb.etcd.memory import MemoryStore
from k8snb.ioloop import IoLoop
from k8snb.pump import Pump


def service(name: str = "web", **spec: Any) -> Object:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"clusterIP": "10.96.0.5", "ports": ports, **spec},
    }


def slice_of(name: str, *endpoints: Object) -> Object:
    labels = {"kubernetes.io/service-name": name}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-a", "namespace": "default", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }


DB = slice_of(
    "db",
    {"addresses": ["10.0.0.1"], "hostname": "db-0", "conditions": {"ready": True}},
    {"addresses": ["10.0.0.2"], "conditions": {"ready": True}},
    {"addresses": ["10.0.0.3"], "hostname": "db-2", "conditions": {"ready": False}},
)


@pytest.fixture
def zone() -> Zone:
    """A zone with `web` (a ClusterIP), `db` (headless), `out` and `inner` (ExternalName)."""
    zone = Zone()
    zone.namespaces |= {"default", "shop"}
    zone.put("default/web", entry_of(service(), []))
    zone.put("default/db", entry_of(service("db", clusterIP="None"), [DB]))
    zone.put("default/out", entry_of(service("out", type="ExternalName", externalName="example.com"), []))
    alias = service("inner", type="ExternalName", externalName="web.default.svc.cluster.local")
    zone.put("default/inner", entry_of(alias, []))
    return zone


def data(answer: Answer | None) -> list[str]:
    assert answer is not None
    return [record.data for record in answer.records]


# the zone


def test_a_service_has_the_address_of_its_cluster_ip(zone: Zone) -> None:
    name = "web.default.svc.cluster.local"
    assert zone.resolve(name, "A") == Answer("NOERROR", (Record(name, "A", "10.96.0.5"),))


def test_names_are_compared_without_regard_to_case(zone: Zone) -> None:
    assert data(zone.resolve("WEB.Default.svc.Cluster.Local.", "A")) == ["10.96.0.5"]


def test_a_headless_service_has_the_addresses_of_its_ready_endpoints(zone: Zone) -> None:
    assert data(zone.resolve("db.default.svc.cluster.local", "A")) == ["10.0.0.1", "10.0.0.2"]


def test_an_endpoint_has_a_name_of_its_own(zone: Zone) -> None:
    assert data(zone.resolve("db-0.db.default.svc.cluster.local", "A")) == ["10.0.0.1"]
    assert data(zone.resolve("10-0-0-2.db.default.svc.cluster.local", "A")) == ["10.0.0.2"]
    assert zone.resolve("db-2.db.default.svc.cluster.local", "A") == Answer("NXDOMAIN")


def test_endpoints_that_are_not_ready_have_names_where_the_service_publishes_them(zone: Zone) -> None:
    early = service("db", clusterIP="None", publishNotReadyAddresses=True)
    zone.put("default/db", entry_of(early, [DB]))
    assert data(zone.resolve("db-2.db.default.svc.cluster.local", "A")) == ["10.0.0.3"]


def test_a_headless_service_without_ready_endpoints_does_not_exist(zone: Zone) -> None:
    zone.put("default/db", entry_of(service("db", clusterIP="None"), []))
    assert zone.resolve("db.default.svc.cluster.local", "A") == Answer("NXDOMAIN")


def test_a_named_port_has_a_service_record(zone: Zone) -> None:
    answer = zone.resolve("_http._tcp.web.default.svc.cluster.local", "SRV")
    assert data(answer) == ["0 100 80 web.default.svc.cluster.local."]
    assert answer and answer.additional == (Record("web.default.svc.cluster.local", "A", "10.96.0.5"),)
    assert data(zone.resolve("_dns._udp.web.default.svc.cluster.local", "SRV"))[0].startswith("0 100 53 ")
    assert zone.resolve("_http._udp.web.default.svc.cluster.local", "SRV") == Answer("NXDOMAIN")


def test_the_service_records_of_a_headless_service_name_its_endpoints_at_their_own_port(zone: Zone) -> None:
    assert data(zone.resolve("_http._tcp.db.default.svc.cluster.local", "SRV")) == [
        "0 50 8080 db-0.db.default.svc.cluster.local.",
        "0 50 8080 10-0-0-2.db.default.svc.cluster.local.",
    ]


def test_a_port_without_a_name_has_no_service_record(zone: Zone) -> None:
    zone.put("default/plain", entry_of(service("plain", ports=[{"port": 80}]), []))
    assert zone.resolve("plain.default.svc.cluster.local", "SRV") == Answer("NOERROR")
    assert zone.resolve("_._tcp.plain.default.svc.cluster.local", "SRV") == Answer("NXDOMAIN")


def test_an_external_name_is_an_alias(zone: Zone) -> None:
    name = "out.default.svc.cluster.local"
    assert zone.resolve(name, "A") == Answer("NOERROR", (Record(name, "CNAME", "example.com."),))


def test_an_alias_is_followed_within_the_zone(zone: Zone) -> None:
    assert data(zone.resolve("inner.default.svc.cluster.local", "A")) == ["web.default.svc.cluster.local.", "10.96.0.5"]


def test_aliases_that_go_round_in_a_circle_come_to_an_end(zone: Zone) -> None:
    for one, other in (("ping", "pong"), ("pong", "ping")):
        target = f"{other}.default.svc.cluster.local"
        zone.put(f"default/{one}", entry_of(service(one, type="ExternalName", externalName=target), []))
    answer = zone.resolve("ping.default.svc.cluster.local", "A")
    assert answer and {record.type for record in answer.records} == {"CNAME"}


def test_a_pod_name_holds_its_address(zone: Zone) -> None:
    assert data(zone.resolve("10-0-0-9.shop.pod.cluster.local", "A")) == ["10.0.0.9"]
    assert zone.resolve("10-0-0-9.nowhere.pod.cluster.local", "A") == Answer("NXDOMAIN")
    assert zone.resolve("10-0-0-999.shop.pod.cluster.local", "A") == Answer("NXDOMAIN")


def test_an_address_goes_back_to_its_names(zone: Zone) -> None:
    assert data(zone.resolve("5.0.96.10.in-addr.arpa", "PTR")) == ["web.default.svc.cluster.local."]
    assert data(zone.resolve("1.0.0.10.in-addr.arpa", "PTR")) == ["db-0.db.default.svc.cluster.local."]
    assert zone.resolve("8.8.8.8.in-addr.arpa", "PTR") is None
    zone.put("default/web", None)
    assert zone.resolve("5.0.96.10.in-addr.arpa", "PTR") is None


@pytest.mark.parametrize("name", ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"])
def test_what_only_has_names_below_it_is_there_without_records(zone: Zone, name: str) -> None:
    assert zone.resolve(name, "A") == Answer("NOERROR")


@pytest.mark.parametrize(
    "name", ["nothing.default.svc", "web.nowhere.svc", "nowhere.svc", "a.b.c.web.default.svc", "x"]
)
def test_a_name_that_is_not_there_is_nxdomain(zone: Zone, name: str) -> None:
    assert zone.resolve(f"{name}.cluster.local", "A") == Answer("NXDOMAIN")


def test_a_name_without_records_of_the_type_is_there_all_the_same(zone: Zone) -> None:
    assert zone.resolve("web.default.svc.cluster.local", "AAAA") == Answer("NOERROR")


def test_the_zone_says_which_version_of_the_schema_it_follows(zone: Zone) -> None:
    assert data(zone.resolve("dns-version.cluster.local", "TXT")) == ['"1.1.0"']


def test_names_outside_the_domain_are_not_the_zones_to_answer(zone: Zone) -> None:
    assert zone.resolve("example.com", "A") is None
    assert zone.resolve("web.default.svc.other.local", "A") is None


@pytest.mark.parametrize(
    ("name", "namespace", "found"),
    [
        ("web", "default", "10.96.0.5"),
        ("web", "shop", None),
        ("web.default", "shop", "10.96.0.5"),
        ("web.default.svc", "shop", "10.96.0.5"),
        ("web.default.svc.cluster.local", "shop", "10.96.0.5"),
        ("web.default.svc.cluster.local.", "shop", "10.96.0.5"),
        ("web.", "default", None),
    ],
)
def test_a_short_name_is_searched_from_the_pods_namespace(
    zone: Zone, name: str, namespace: str, found: str | None
) -> None:
    assert zone.address(name, namespace) == found


def test_a_name_with_many_dots_is_first_tried_as_it_is(zone: Zone) -> None:
    assert zone.candidates("a.b.c.d.e.f", "shop")[0] == "a.b.c.d.e.f"
    assert zone.candidates("web", "shop") == [
        "web.shop.svc.cluster.local",
        "web.svc.cluster.local",
        "web.cluster.local",
        "web",
    ]


# the component


class Lab:
    """An apiserver with CoreDNS on it, in virtual time."""

    def __init__(self) -> None:
        clock = VirtualClock()
        self.pump = Pump(clock)
        server = ApiServer(MemoryStore(), clock, dice=random.Random(1), service_cidr="10.96.0.0/16")
        server.bootstrap()
        self.client = Client(server)
        context = Context(server, clock, self.pump.add, random.Random(1))
        informers = Informers(self.client, context)
        self.coredns = CoreDNS(context, informers)
        informers.start()
        self.pump.settle()

    def create(self, resource: str, obj: Object) -> Object:
        made = self.client.create(resource, obj)
        self.pump.settle()
        return made

    def address(self, name: str) -> str | None:
        return self.coredns.zone.address(name, "default")


def test_the_apiserver_has_a_name_from_the_start() -> None:
    assert Lab().address("kubernetes") == "10.96.0.1"


def test_names_come_and_go_with_their_services() -> None:
    lab = Lab()
    obj = service("web")
    del obj["spec"]["clusterIP"]
    made = lab.create("services", obj)
    assert lab.address("web") == made["spec"]["clusterIP"]
    lab.client.delete("services", "web", "default")
    lab.pump.settle()
    assert lab.address("web") is None


def test_the_names_of_a_headless_service_follow_its_endpoints() -> None:
    lab = Lab()
    lab.create("services", service("db", clusterIP="None"))
    assert lab.address("db-0.db") is None
    lab.create("endpointslices", DB)
    assert lab.address("db-0.db") == "10.0.0.1"
    moved = {"endpoints": [{"addresses": ["10.0.0.9"], "hostname": "db-0", "conditions": {"ready": True}}]}
    lab.client.patch("endpointslices", "db-a", moved, "default")
    lab.pump.settle()
    assert lab.address("db-0.db") == "10.0.0.9"
    assert lab.coredns.zone.resolve("1.0.0.10.in-addr.arpa", "PTR") is None


def test_endpoints_behind_a_cluster_ip_give_coredns_nothing_to_do() -> None:
    lab = Lab()
    lab.create("services", service("web", clusterIP="10.96.7.7"))
    synced: list[str] = []
    lab.coredns.sync = synced.append  # type: ignore[method-assign]
    lab.create("endpointslices", slice_of("web", {"addresses": ["10.0.0.1"]}))
    assert synced == []


# the server


@pytest.fixture
def io() -> Iterator[IoLoop]:
    failures: list[str] = []
    loop = IoLoop(lambda component, details: failures.append(details))
    yield loop
    loop.close()
    assert failures == []


@pytest.fixture
def server(io: IoLoop, zone: Zone) -> Iterator[DnsServer]:
    server = DnsServer(io, zone, ("127.1.0.10", 0), upstream=())
    server.start()
    yield server
    server.close()


def ask(server: DnsServer, name: str, type: str = "A", *, tcp: bool = False, **more: Any) -> dns.message.Message:
    query = dns.message.make_query(name, type, **more)
    send = dns.query.tcp if tcp else dns.query.udp
    return send(query, server.address[0], port=server.address[1], timeout=5)


def told(reply: dns.message.Message) -> list[str]:
    return [item.to_text() for group in reply.answer for item in group]


@pytest.mark.process
@pytest.mark.parametrize("tcp", [False, True])
def test_the_server_says_what_the_zone_says(server: DnsServer, tcp: bool) -> None:
    reply = ask(server, "web.default.svc.cluster.local", tcp=tcp)
    assert told(reply) == ["10.96.0.5"]
    assert reply.flags & dns.flags.AA
    assert reply.answer[0].ttl == 30
    missing = ask(server, "nothing.default.svc.cluster.local", tcp=tcp)
    assert missing.rcode() == dns.rcode.NXDOMAIN
    assert missing.authority[0].rdtype == dns.rdatatype.SOA
    assert told(ask(server, "_http._tcp.web.default.svc.cluster.local", "SRV", tcp=tcp)) == [
        "0 100 80 web.default.svc.cluster.local."
    ]
    assert told(ask(server, "5.0.96.10.in-addr.arpa", "PTR", tcp=tcp)) == ["web.default.svc.cluster.local."]


@pytest.mark.process
def test_the_order_of_addresses_changes_from_answer_to_answer(server: DnsServer) -> None:
    firsts = {told(ask(server, "db.default.svc.cluster.local"))[0] for _ in range(40)}
    assert firsts == {"10.0.0.1", "10.0.0.2"}


@pytest.mark.process
def test_an_answer_too_long_for_a_datagram_is_fetched_over_tcp(server: DnsServer, zone: Zone) -> None:
    many = slice_of("many", *({"addresses": [f"10.0.1.{number}"]} for number in range(200)))
    zone.put("default/many", entry_of(service("many", clusterIP="None"), [many]))
    cut = ask(server, "many.default.svc.cluster.local")
    assert cut.flags & dns.flags.TC
    assert len(told(cut)) < 200
    assert len(told(ask(server, "many.default.svc.cluster.local", tcp=True))) == 200


@pytest.mark.process
def test_a_name_elsewhere_is_asked_of_the_upstream_server(io: IoLoop, zone: Zone, server: DnsServer) -> None:
    elsewhere = Zone("example.com")
    elsewhere.namespaces.add("a")
    elsewhere.put("a/www", entry_of(service(clusterIP="192.0.2.80"), []))
    alias = service("out", type="ExternalName", externalName="www.a.svc.example.com")
    zone.put("default/out", entry_of(alias, []))
    upstream = DnsServer(io, elsewhere, ("127.1.0.11", 0), upstream=())
    upstream.start()
    asked = DnsServer(io, zone, ("127.1.0.12", 0), upstream=[upstream.address])
    asked.start()
    for tcp in (False, True):
        assert told(ask(asked, "www.a.svc.example.com", tcp=tcp)) == ["192.0.2.80"]
        assert told(ask(asked, "out.default.svc.cluster.local", tcp=tcp)) == ["www.a.svc.example.com.", "192.0.2.80"]
        assert ask(asked, "gone.a.svc.example.com", tcp=tcp).rcode() == dns.rcode.NXDOMAIN
    asked.close()
    upstream.close()


@pytest.mark.process
@pytest.mark.parametrize("tcp", [False, True])
def test_without_an_upstream_server_a_name_elsewhere_is_a_failure(server: DnsServer, tcp: bool) -> None:
    assert ask(server, "example.com", tcp=tcp).rcode() == dns.rcode.SERVFAIL


@pytest.mark.process
def test_a_server_that_cannot_have_its_port_says_where_it_is(io: IoLoop, zone: Zone) -> None:
    with socket.create_server(("127.1.0.10", 0)) as taken:
        server = DnsServer(io, zone, taken.getsockname(), upstream=())
        server.start()
        assert server.address[0] == "127.1.0.10"
        assert server.reason == "the port is taken by another program"
        assert told(ask(server, "web.default.svc.cluster.local")) == ["10.96.0.5"]
        server.close()


@pytest.mark.process
def test_what_is_no_message_is_passed_over(server: DnsServer) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"\x00\x01garbage", server.address)
    with socket.create_connection(server.address, 5) as client:
        client.sendall(b"\x00\x03abc")
        assert client.recv(10) == b""
    assert told(ask(server, "web.default.svc.cluster.local")) == ["10.96.0.5"]


@pytest.mark.process
def test_closing_leaves_no_socket_and_no_thread(zone: Zone) -> None:
    before = len(psutil.Process().net_connections())
    io = IoLoop()
    server = DnsServer(io, zone, ("127.1.0.10", 0), upstream=())
    server.start()
    with socket.create_connection(server.address, 5) as client:
        ask(server, "web.default.svc.cluster.local")
        server.close()
        server.close()
        client.settimeout(5)
        assert client.recv(10) == b""
    deadline = time.monotonic() + 60
    while len(psutil.Process().net_connections()) > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(psutil.Process().net_connections()) == before
    io.close()
    assert not any(thread.name == "k8snb-io" for thread in threading.enumerate())
