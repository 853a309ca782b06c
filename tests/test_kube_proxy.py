"""kube-proxy: rules as pure functions, choices in virtual time, forwarding on real sockets."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import socket
import socketserver
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from k8snb.apimachinery.meta import Object
from k8snb.apiserver import ApiServer
from k8snb.client import Client
from k8snb.client.context import Context
from k8snb.client.informer import Informers
from k8snb.clock import VirtualClock
from k8snb.etcd.memory import MemoryStore
from k8snb.ioloop import IoLoop
from k8snb.kube_proxy import Report
from k8snb.kube_proxy.forwarder import SocketDataPlane
from k8snb.kube_proxy.proxy import KubeProxy, RuleBook
from k8snb.kube_proxy.rules import Rule, Target, not_carried_out, on_node, service_rules, usable
from k8snb.kube_proxy.virtual import VirtualDataPlane

HTTP = {"name": "http", "port": 80, "protocol": "TCP"}


def service(name: str = "web", ports: list[dict[str, Any]] | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"clusterIP": "10.96.0.5", "ports": ports or [HTTP], **spec},
    }


def endpoint(ip: str, node: str = "n1", **conditions: bool) -> dict[str, Any]:
    return {"addresses": [ip], "nodeName": node, "conditions": conditions}


def slice_of(
    name: str, *endpoints: dict[str, Any], part: str = "a", ports: list[dict[str, Any]] | None = None
) -> Object:
    labels = {"kubernetes.io/service-name": name}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-{part}", "namespace": "default", "labels": labels},
        "addressType": "IPv4",
        "ports": ports or [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }


def ips(rule: Rule) -> list[str]:
    return [target.ip for target in rule.targets]


# rules


def test_a_cluster_ip_leads_to_the_ready_endpoints_at_their_own_port() -> None:
    slices = [slice_of("web", endpoint("10.0.0.1", ready=True), endpoint("10.0.0.2", ready=False))]
    (rule,) = service_rules(service(), slices)
    assert (rule.service, rule.port_name, rule.sort, rule.listen) == (
        "default/web",
        "http",
        "ClusterIP",
        ("10.96.0.5", 80),
    )
    assert rule.targets == (Target("10.0.0.1", 8080, "n1"),)


def test_a_condition_that_is_missing_means_ready() -> None:
    (rule,) = service_rules(service(), [slice_of("web", {"addresses": ["10.0.0.1"]})])
    assert ips(rule) == ["10.0.0.1"]


def test_ports_are_matched_by_name_and_protocol() -> None:
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    resolved = [{"name": "dns", "port": 5353, "protocol": "UDP"}, {"name": "dns-tcp", "port": 5354}]
    rules = service_rules(service(ports=ports), [slice_of("web", endpoint("10.0.0.1"), ports=resolved)])
    assert [(rule.protocol, rule.targets[0].port) for rule in rules] == [("UDP", 5353), ("TCP", 5354)]


def test_endpoints_of_several_slices_count_once() -> None:
    slices = [
        slice_of("web", endpoint("10.0.0.1"), part="a"),
        slice_of("web", endpoint("10.0.0.1"), endpoint("10.0.0.2"), part="b"),
    ]
    (rule,) = service_rules(service(), slices)
    assert ips(rule) == ["10.0.0.1", "10.0.0.2"]


def test_pods_that_share_an_address_are_two_targets() -> None:
    def pod(name: str) -> dict[str, Any]:
        return {"addresses": ["127.0.0.1"], "targetRef": {"kind": "Pod", "namespace": "default", "name": name}}

    (rule,) = service_rules(service(), [slice_of("web", pod("web-1"), pod("web-2"))])
    assert [str(target) for target in rule.targets] == ["default/web-1", "default/web-2"]


def test_endpoints_that_are_ending_serve_only_when_no_other_does() -> None:
    ending = endpoint("10.0.0.1", ready=False, serving=True, terminating=True)
    dead = endpoint("10.0.0.2", ready=False, serving=False, terminating=True)
    (rule,) = service_rules(service(), [slice_of("web", ending, dead, endpoint("10.0.0.3", ready=True))])
    assert ips(rule) == ["10.0.0.3"]
    (rule,) = service_rules(service(), [slice_of("web", ending, dead)])
    assert ips(rule) == ["10.0.0.1"]


def test_endpoints_that_are_not_ready_count_where_the_service_publishes_them() -> None:
    (rule,) = service_rules(
        service(publishNotReadyAddresses=True), [slice_of("web", endpoint("10.0.0.1", ready=False))]
    )
    assert ips(rule) == ["10.0.0.1"]


@pytest.mark.parametrize(
    "spec", [{"clusterIP": "None"}, {"type": "ExternalName", "externalName": "example.com"}, {"clusterIP": ""}]
)
def test_headless_and_external_names_have_no_rules(spec: dict[str, Any]) -> None:
    assert service_rules(service(**spec), [slice_of("web", endpoint("10.0.0.1"))]) == ()


def test_a_service_is_reached_at_every_address_it_has() -> None:
    obj = service(type="LoadBalancer", ports=[{**HTTP, "nodePort": 30080}], externalIPs=["192.0.2.7"])
    obj["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.8"}]}}
    rules = service_rules(obj, [])
    assert {rule.sort: rule.listen for rule in rules} == {
        "ClusterIP": ("10.96.0.5", 80),
        "NodePort": ("", 30080),
        "ExternalIP": ("192.0.2.7", 80),
        "LoadBalancer": ("192.0.2.8", 80),
    }


def test_a_local_policy_keeps_connections_on_their_node() -> None:
    obj = service(ports=[{**HTTP, "nodePort": 30080}], externalTrafficPolicy="Local")
    slices = [
        slice_of(
            "web",
            endpoint("10.0.1.1", "n1", ready=True),
            endpoint("10.0.2.1", "n2", ready=False, serving=True, terminating=True),
        )
    ]
    inside, node_port = service_rules(obj, slices)
    assert ips(inside) == ["10.0.1.1"]
    views = {node: on_node(node_port, node, f"address of {node}") for node in ("n1", "n2", "n3")}
    assert {node: ips(view) for node, view in views.items()} == {"n1": ["10.0.1.1"], "n2": ["10.0.2.1"], "n3": []}
    assert views["n2"].listen == ("address of n2", 30080)
    assert [target.ip for target in usable(node_port)] == ["10.0.1.1"]


def test_a_service_says_what_is_not_carried_out() -> None:
    assert not_carried_out(service()) == ()
    asked = service(ports=[{"port": 9, "protocol": "SCTP"}], trafficDistribution="PreferClose")
    assert [sentence.split(":")[0] for sentence in not_carried_out(asked)] == ["SCTP ports", "spec.trafficDistribution"]


# choices


def rule_to(
    *targets: Target, listen: tuple[str, int] = ("10.96.0.5", 80), sort: str = "ClusterIP", **more: Any
) -> Rule:
    return Rule(
        **{
            "service": "default/web",
            "port_name": "http",
            "protocol": "TCP",
            "listen": listen,
            "sort": sort,
            "targets": targets,
            **more,
        }
    )


THREE = tuple(Target(f"10.0.0.{number}", 8080, f"n{number}") for number in (1, 2, 3))


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def virtual(clock: VirtualClock) -> VirtualDataPlane:
    plane = VirtualDataPlane(random.Random(7), clock.monotonic, locate={"10.0.0.22": "n2"}.get)  # type: ignore[arg-type]
    plane.add_node("n1", "172.18.0.2")
    plane.add_node("n2", "172.18.0.3")
    return plane


def test_connections_spread_evenly_over_the_targets(virtual: VirtualDataPlane) -> None:
    virtual.program("default/web", (rule_to(*THREE),))
    reached = Counter(virtual.connect("10.96.0.5", 80) for _ in range(900))
    counted = virtual.taken("default/web")
    assert set(reached) == {target[:2] for target in THREE}
    assert min(reached.values()) > 240
    assert counted == {f"{ip}:{port}": count for (ip, port), count in reached.items()}


def test_a_client_with_session_affinity_stays_until_the_time_is_over(
    virtual: VirtualDataPlane, clock: VirtualClock
) -> None:
    virtual.program("default/web", (rule_to(*THREE, affinity_seconds=60),))
    first = virtual.connect("10.96.0.5", 80, "10.9.9.9")
    for _ in range(20):
        clock.advance_to(clock.now() + 50)  # each use begins the time again
        assert virtual.connect("10.96.0.5", 80, "10.9.9.9") == first
    reached = set()
    for _ in range(40):
        clock.advance_to(clock.now() + 61)
        reached.add(virtual.connect("10.96.0.5", 80, "10.9.9.9"))
    assert len(reached) == 3


def test_a_client_leaves_a_target_that_is_gone(virtual: VirtualDataPlane) -> None:
    virtual.program("default/web", (rule_to(*THREE, affinity_seconds=60),))
    first = virtual.connect("10.96.0.5", 80, "10.9.9.9")
    left = tuple(target for target in THREE if target[:2] != first)
    virtual.program("default/web", (rule_to(*left, affinity_seconds=60),))
    assert virtual.connect("10.96.0.5", 80, "10.9.9.9") in {target[:2] for target in left}


def test_a_node_port_is_open_on_every_node_that_runs_a_proxy(virtual: VirtualDataPlane) -> None:
    virtual.program("default/web", (rule_to(THREE[0], listen=("", 30080), sort="NodePort"),))
    assert virtual.connect("172.18.0.2", 30080) == virtual.connect("172.18.0.3", 30080) == ("10.0.0.1", 8080)
    virtual.remove_node("n2")
    assert virtual.connect("172.18.0.3", 30080) == ("172.18.0.3", 30080), "a node without a proxy is any other address"
    assert virtual.connect("172.18.0.2", 30081) is None


def test_a_local_policy_asks_where_the_connection_arrives(virtual: VirtualDataPlane) -> None:
    virtual.program(
        "default/web",
        (rule_to(*THREE, local=True), rule_to(*THREE, listen=("", 30080), sort="NodePort", local=True)),
    )
    assert {virtual.connect("172.18.0.3", 30080) for _ in range(20)} == {("10.0.0.2", 8080)}
    assert {virtual.connect("10.96.0.5", 80, "10.0.0.22") for _ in range(20)} == {("10.0.0.2", 8080)}


def test_without_targets_the_connection_is_refused(virtual: VirtualDataPlane) -> None:
    virtual.program("default/web", (rule_to(),))
    assert virtual.connect("10.96.0.5", 80) is None


def test_only_the_allowed_clients_pass_a_load_balancer(virtual: VirtualDataPlane) -> None:
    rule = rule_to(THREE[0], listen=("192.0.2.8", 80), sort="LoadBalancer", source_ranges=("203.0.113.0/24",))
    virtual.program("default/web", (rule,))
    assert virtual.connect("192.0.2.8", 80, "203.0.113.9") == ("10.0.0.1", 8080)
    assert virtual.connect("192.0.2.8", 80, "198.51.100.9") is None


def test_the_second_of_two_services_gets_an_address_when_the_first_is_gone(virtual: VirtualDataPlane) -> None:
    virtual.program("default/web", (rule_to(THREE[0], listen=("192.0.2.7", 80), sort="ExternalIP"),))
    virtual.program(
        "default/two", (rule_to(THREE[1], listen=("192.0.2.7", 80), sort="ExternalIP", service="default/two"),)
    )
    assert virtual.connect("192.0.2.7", 80) == ("10.0.0.1", 8080)
    virtual.program("default/web", ())
    assert virtual.connect("192.0.2.7", 80) == ("10.0.0.2", 8080)


# the component


class Lab:
    """An apiserver with a kube-proxy on it, in virtual time."""

    def __init__(self) -> None:
        from k8snb.pump import Pump

        self.clock = VirtualClock()
        self.pump = Pump(self.clock)
        server = ApiServer(MemoryStore(), self.clock, dice=random.Random(1), service_cidr="10.96.0.0/16")
        server.bootstrap()
        self.client = Client(server)
        self.plane = VirtualDataPlane(random.Random(1), self.clock.monotonic)
        informers = Informers(self.client, context := Context(server, self.clock, self.pump.add, random.Random(1)))
        self.book = RuleBook(context, informers, self.plane, post=self.pump.post)
        informers.start()
        self.pump.settle()

    def node(self, name: str, address: str) -> KubeProxy:
        proxy = KubeProxy(name, address, self.book)
        proxy.start()
        return proxy

    def serve(self, name: str, ip: str, **spec: Any) -> Object:
        """A service with one endpoint."""
        spec = {"ports": [HTTP], **spec}
        obj = {**service(name), "spec": spec}
        made = self.client.create("services", obj)
        self.client.create("endpointslices", slice_of(name, endpoint(ip)))
        self.pump.settle()
        return made

    def events(self, reason: str) -> list[Object]:
        self.pump.settle()
        return [event for event in self.client.items("events") if event["reason"] == reason]


def test_a_service_follows_its_endpoints() -> None:
    lab = Lab()
    lab.node("n1", "172.18.0.2")
    ip = lab.serve("web", "10.0.0.1")["spec"]["clusterIP"]
    assert lab.plane.connect(ip, 80) == ("10.0.0.1", 8080)
    lab.client.patch("endpointslices", "web-a", {"endpoints": [endpoint("10.0.0.2")]}, "default")
    lab.pump.settle()
    assert lab.plane.connect(ip, 80) == ("10.0.0.2", 8080)
    lab.client.delete("services", "web", "default")
    lab.pump.settle()
    assert "default/web" not in lab.book.rules
    assert lab.plane.connect(ip, 80) == (ip, 80), "nothing stands there"


def test_syncing_twice_programs_nothing_the_second_time() -> None:
    lab = Lab()
    lab.serve("web", "10.0.0.1")
    programmed: list[str] = []
    lab.plane.program = lambda service, rules: programmed.append(service)  # type: ignore[method-assign]
    lab.book.sync("default/web")
    assert programmed == []


def test_each_node_has_its_own_view_of_the_same_rules() -> None:
    lab = Lab()
    proxies = [lab.node(f"n{number}", f"172.18.0.{number}") for number in (1, 2)]
    port = lab.serve("web", "10.0.0.1", type="NodePort")["spec"]["ports"][0]["nodePort"]
    views = [{rule.sort: rule.listen for rule in proxy.rules("default/web")} for proxy in proxies]
    assert [view["NodePort"] for view in views] == [("172.18.0.1", port), ("172.18.0.2", port)]
    assert views[0]["ClusterIP"] == views[1]["ClusterIP"]


def test_what_is_not_carried_out_is_an_event_once() -> None:
    lab = Lab()
    lab.serve("web", "10.0.0.1", trafficDistribution="PreferClose")
    lab.client.patch("endpointslices", "web-a", {"endpoints": [endpoint("10.0.0.2")]}, "default")
    lab.pump.settle()
    told = [(event["message"], event["count"]) for event in lab.events("NotImplemented")]
    assert told == [("spec.trafficDistribution: not implemented by k8snb's kube-proxy", 1)]


def test_a_mapped_port_is_an_event_of_the_service() -> None:
    lab = Lab()
    lab.serve("web", "10.0.0.1")
    lab.plane.report(Report("default/web", ("10.96.0.5", 80), "TCP", ("127.0.0.1", 40123), "because"))
    (event,) = lab.events("PortMapped")
    assert event["message"] == "10.96.0.5:80/TCP is found at 127.0.0.1:40123: because"


def test_a_local_policy_that_cannot_be_kept_is_told() -> None:
    lab = Lab()
    lab.serve("web", "10.0.0.1", internalTrafficPolicy="Local")
    (event,) = lab.events("NotImplemented")
    assert "internalTrafficPolicy" in event["message"]


def test_an_address_that_two_services_want_is_told_to_the_second() -> None:
    lab = Lab()
    lab.serve("one", "10.0.0.1", externalIPs=["192.0.2.7"])
    lab.serve("two", "10.0.0.2", externalIPs=["192.0.2.7"])
    (event,) = lab.events("PortNotAvailable")
    assert event["involvedObject"]["name"] == "two"
    assert 'service "default/one" has this address already' in event["message"]


def kube_proxy_calls(work: Callable[[], object]) -> int:
    """How many calls of kube-proxy's own functions `work` makes."""
    calls = 0

    def count(frame: Any, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call" and "kube_proxy" in frame.f_code.co_filename and __file__ != frame.f_code.co_filename

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


def test_a_change_costs_the_same_with_one_and_with_many_services_and_nodes() -> None:
    costs = []
    for services, nodes in ((1, 1), (60, 500)):
        lab = Lab()
        for number in range(nodes):
            lab.node(f"n{number}", f"172.18.{number // 250}.{number % 250}")
        for number in range(services):
            lab.serve(f"web{number}", "10.0.0.1", type="NodePort")
        lab.client.patch("endpointslices", "web0-a", {"endpoints": [endpoint("10.0.0.2")]}, "default")
        costs.append(kube_proxy_calls(lab.pump.settle))
    assert costs[0] > 0
    assert costs[0] == costs[1]


# real sockets


class Pod:
    """A server that answers each line with its own name and the line, and remembers who asked."""

    def __init__(self, ip: str, name: str) -> None:
        pod = self
        self.clients: list[str] = []

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                pod.clients.append(self.client_address[0])
                for line in self.rfile:
                    self.wfile.write(name.encode() + b" " + line)
                self.wfile.write(b"end\n")

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.server = Server((ip, 0), Handler)
        self.target = Target(ip, self.server.server_address[1], name)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def io() -> Iterator[IoLoop]:
    failures: list[str] = []
    loop = IoLoop(lambda component, details: failures.append(details))
    yield loop
    loop.close()
    assert failures == []


@pytest.fixture
def reports() -> list[Report]:
    return []


@pytest.fixture
def plane(io: IoLoop, tmp_path: Path, reports: list[Report]) -> Iterator[SocketDataPlane]:
    plane = SocketDataPlane(io, forwards_file=tmp_path / "forwards.json", seed=3)
    plane.report = reports.append
    plane.add_node("n1", "127.1.16.1")
    yield plane
    plane.close()


@pytest.fixture
def pods() -> Iterator[Callable[[str, str], Pod]]:
    with contextlib.ExitStack() as stack:

        def make(ip: str, name: str) -> Pod:
            pod = Pod(ip, name)
            stack.callback(pod.stop)
            return pod

        yield make


def free_port(ip: str, sort: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, sort) as probe:
        probe.bind((ip, 0))
        port: int = probe.getsockname()[1]
        return port


def at(*targets: Target, ip: str = "127.1.0.5", port: int = 0, **more: Any) -> Rule:
    return rule_to(*targets, listen=(ip, port or free_port(ip)), **more)


def ask(spot: tuple[str, int], source: str = "") -> str:
    """The name of the pod that answers."""
    with socket.create_connection(spot, 5, (source, 0) if source else None) as connection:
        connection.sendall(b"hello\n")
        return connection.makefile().readline().split()[0]


def program(plane: SocketDataPlane, *rules: Rule) -> tuple[str, int]:
    plane.program("default/web", rules)
    plane.flush()
    return plane.actual(*rules[0].listen, rules[0].protocol) if rules else ("", 0)


@pytest.mark.process
def test_connections_to_the_cluster_ip_reach_every_pod(
    plane: SocketDataPlane, pods: Any, reports: list[Report]
) -> None:
    targets = [pods(f"127.1.1.{number}", f"pod{number}").target for number in (1, 2)]
    spot = program(plane, at(*targets))
    assert {ask(spot) for _ in range(20)} == {"pod1", "pod2"}
    assert sum(plane.taken("default/web").values()) == 20
    assert reports == []


@pytest.mark.process
def test_a_target_that_refuses_is_passed_over_and_counted(plane: SocketDataPlane, pods: Any) -> None:
    dead = Target("127.1.1.9", free_port("127.1.1.9"))
    spot = program(plane, at(dead, pods("127.1.1.1", "pod1").target))
    assert {ask(spot) for _ in range(10)} == {"pod1"}
    assert plane.refused("default/web")[str(dead)] > 0


@pytest.mark.process
def test_a_client_is_reset_when_every_target_refuses(plane: SocketDataPlane) -> None:
    spot = program(plane, at(Target("127.1.1.9", free_port("127.1.1.9"))))
    with pytest.raises(ConnectionResetError), socket.create_connection(spot, 5) as connection:
        connection.recv(1)


@pytest.mark.process
def test_without_targets_a_real_connection_is_refused_at_once(plane: SocketDataPlane, pods: Any) -> None:
    rule = at(pods("127.1.1.1", "pod1").target)
    spot = program(plane, rule)
    assert ask(spot) == "pod1"
    program(plane, rule_to(listen=rule.listen))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(spot, 5)
    program(plane, rule)
    assert ask(spot) == "pod1"


@pytest.mark.process
def test_established_connections_outlive_every_change_of_the_rules(plane: SocketDataPlane, pods: Any) -> None:
    first, second = pods("127.1.1.1", "pod1"), pods("127.1.1.2", "pod2")
    rule = at(first.target)
    spot = program(plane, rule)
    with socket.create_connection(spot, 5) as connection:
        lines = connection.makefile()
        for change in ((rule,), (rule_to(second.target, listen=rule.listen),), ()):
            program(plane, *change)
            connection.sendall(b"still here\n")
            assert lines.readline() == "pod1 still here\n"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(spot, 5)


@pytest.mark.process
def test_the_end_of_one_direction_leaves_the_other_open(plane: SocketDataPlane, pods: Any) -> None:
    spot = program(plane, at(pods("127.1.1.1", "pod1").target))
    with socket.create_connection(spot, 5) as connection:
        connection.sendall(b"one\n")
        connection.shutdown(socket.SHUT_WR)
        assert connection.makefile().read() == "pod1 one\nend\n"


@pytest.mark.process
def test_what_is_sent_arrives_whole_and_a_slow_reader_slows_the_writer(plane: SocketDataPlane) -> None:
    with socket.create_server(("127.1.1.1", 0)) as server:
        spot = program(plane, at(Target(*server.getsockname())))
        with socket.create_connection(spot, 5) as client, server.accept()[0] as served:
            chunk = random.Random(1).randbytes(1 << 16)
            sent, received = hashlib.sha256(), hashlib.sha256()
            client.settimeout(0.3)
            size = 0
            with contextlib.suppress(TimeoutError):
                while size < 256 << 20:
                    wrote = client.send(chunk)
                    sent.update(chunk[:wrote])
                    size += wrote
            assert size < 64 << 20, "the relay holds back what nobody reads"
            client.shutdown(socket.SHUT_WR)
            while data := served.recv(1 << 20):
                received.update(data)
            assert received.digest() == sent.digest()


@pytest.mark.process
def test_the_pod_sees_the_client_but_the_node_behind_a_node_port(plane: SocketDataPlane, pods: Any) -> None:
    pod = pods("127.1.1.1", "pod1")
    rule = at(pod.target)
    node_port = at(pod.target, ip="127.1.16.1", sort="NodePort")
    local = at(pod.target._replace(node="n1"), ip="127.1.16.1", sort="NodePort", local=True)
    program(plane, rule, *(rule_to(*each.targets, listen=("", each.listen[1]), sort="NodePort", local=each.local)
                           for each in (node_port, local)))  # fmt: skip
    for spot in (rule.listen, node_port.listen, local.listen):
        ask(spot, "127.1.5.5")
    assert pod.clients == ["127.1.5.5", "127.1.16.1", "127.1.5.5"]


@pytest.mark.process
def test_a_node_port_opens_and_closes_with_the_node(plane: SocketDataPlane, pods: Any) -> None:
    port = free_port("127.1.16.2")
    plane.add_node("n2", "127.1.16.2")
    program(plane, rule_to(pods("127.1.1.1", "pod1").target, listen=("", port), sort="NodePort"))
    assert ask(("127.1.16.1", port)) == ask(("127.1.16.2", port)) == "pod1"
    plane.remove_node("n2")
    plane.flush()
    assert ask(("127.1.16.1", port)) == "pod1"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.1.16.2", port), 5)


@pytest.mark.process
def test_a_cluster_ip_is_served_while_any_node_runs_a_proxy(plane: SocketDataPlane, pods: Any) -> None:
    plane.add_node("n2", "127.1.16.2")
    spot = program(plane, at(pods("127.1.1.1", "pod1").target))
    plane.remove_node("n1")
    plane.flush()
    assert ask(spot) == "pod1"
    plane.remove_node("n2")
    plane.flush()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(spot, 5)
    plane.add_node("n3", "127.1.16.3")
    plane.flush()
    assert ask(spot) == "pod1"


@pytest.mark.process
def test_a_port_that_is_taken_is_mapped_told_and_written_down(
    plane: SocketDataPlane, pods: Any, reports: list[Report], tmp_path: Path
) -> None:
    target = pods("127.1.1.1", "pod1").target
    with socket.create_server(("127.1.0.5", 0)) as taken:
        listen = taken.getsockname()
        rule = rule_to(target, listen=listen)
        spot = program(plane, rule)
        assert spot[0] == "127.1.0.5" != spot[1] != listen[1]
        assert ask(spot) == "pod1"
        assert reports == [Report("default/web", listen, "TCP", spot, "the port is taken by another program")]
        written = json.loads((tmp_path / "forwards.json").read_text())
        assert written == {f"127.1.0.5:{listen[1]}": f"127.1.0.5:{spot[1]}"}
        program(plane, rule_to(listen=listen))
        assert program(plane, rule) == spot, "an address that was mapped keeps its port"
    program(plane)
    assert json.loads((tmp_path / "forwards.json").read_text()) == {}


@pytest.mark.process
def test_an_address_of_another_machine_is_found_on_the_loopback_address(
    plane: SocketDataPlane, pods: Any, reports: list[Report]
) -> None:
    spot = program(plane, rule_to(pods("127.1.1.1", "pod1").target, listen=("192.0.2.7", 8080)))
    assert spot[0] == "127.0.0.1"
    assert ask(spot) == "pod1"
    assert reports[0].reason == "the address is not one of this machine's"


@pytest.mark.process
def test_pods_that_share_an_address_are_told_apart_by_their_ports(plane: SocketDataPlane, pods: Any) -> None:
    """As on a machine with one loopback address, where all pods have the same one."""
    found = [pods("127.0.0.1", f"pod{number}").target for number in (1, 2)]
    targets = [Target(ip, port, "n1", True, f"default/pod{number}") for number, (ip, port, *_) in enumerate(found, 1)]
    spot = program(plane, at(*targets))
    answers = Counter(ask(spot) for _ in range(20))
    assert set(answers) == {"pod1", "pod2"}
    assert plane.taken("default/web") == {f"default/{pod}": count for pod, count in answers.items()}


@pytest.mark.process
def test_programming_does_not_wait_for_the_sockets(plane: SocketDataPlane, io: IoLoop, pods: Any) -> None:
    rule = at(pods("127.1.1.1", "pod1").target)
    gate = threading.Event()
    io.post(gate.wait, 10)
    plane.program("default/web", (rule,))
    assert not gate.is_set()
    gate.set()
    plane.flush()
    assert ask(rule.listen) == "pod1"


class UdpPod:
    """Answers each datagram with its own name."""

    def __init__(self, ip: str, name: str) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((ip, 0))
        self.target = Target(*self.sock.getsockname(), name)
        self.name = name
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, client = self.sock.recvfrom(100)
                if data == b"stop":
                    return
                self.sock.sendto(self.name.encode(), client)

    def stop(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"stop", self.target[:2])
        self.sock.close()


@pytest.mark.process
def test_a_udp_client_keeps_its_pod_until_that_is_gone(plane: SocketDataPlane) -> None:
    pods = [UdpPod(f"127.1.1.{number}", f"pod{number}") for number in (1, 2)]
    port = free_port("127.1.0.5", socket.SOCK_DGRAM)
    rule = at(*(pod.target for pod in pods), port=port, protocol="UDP")
    spot = program(plane, rule)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)

        def ask_udp() -> str:
            client.sendto(b"hello", spot)
            return client.recv(100).decode()

        (first,) = {ask_udp() for _ in range(10)}
        left = [pod.target for pod in pods if pod.name != first]
        program(plane, at(*left, port=port, protocol="UDP"))
        assert ask_udp() == left[0].node
    for pod in pods:
        pod.stop()


@pytest.mark.process
def test_a_data_plane_that_was_closed_opens_again_with_a_node(plane: SocketDataPlane, io: IoLoop, pods: Any) -> None:
    spot = program(plane, at(pods("127.1.1.1", "pod1").target))
    plane.close()
    io.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(spot, 5)
    plane.add_node("n1", "127.1.16.1")
    plane.flush()
    assert ask(spot) == "pod1"


@pytest.mark.process
def test_closing_leaves_no_thread_no_socket_and_no_connection(tmp_path: Path, pods: Any) -> None:
    target = pods("127.1.1.1", "pod1").target
    threads, sockets = set(threading.enumerate()), len(psutil.Process().net_connections())
    io = IoLoop()
    plane = SocketDataPlane(io)
    plane.add_node("n1", "127.1.16.1")
    spot = program(plane, at(target), at(target, port=free_port("127.1.0.5", socket.SOCK_DGRAM), protocol="UDP"))
    with socket.create_connection(spot, 5) as connection:
        connection.sendall(b"hello\n")
        assert connection.recv(100)
        plane.close()
        io.close()
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(100) == b""
    assert not io.running
    deadline = time.monotonic() + 60
    while len(psutil.Process().net_connections()) > sockets and time.monotonic() < deadline:
        time.sleep(0.01)  # the pod's own thread sees the end a moment later
    assert len(psutil.Process().net_connections()) == sockets
    assert not any(thread.name == "k8snb-io" for thread in set(threading.enumerate()) - threads)
