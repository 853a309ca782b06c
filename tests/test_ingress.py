"""ingress: a request finds its Service by host and path, as the Ingress page of the Kubernetes documentation has it."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, ClientTimeout, TCPConnector, WSMsgType, web
from kubectls import found_kubectls
from yarl import URL

from k8snb.addons.ingress import IngressAddon
from k8snb.addons.ingress_door import Door, Opened, host_of
from k8snb.addons.ingress_router import Forward, Reply, Router, Visit
from k8snb.addons.ingress_rules import locations
from k8snb.addons.ingress_tls import Certificates, fake, load
from k8snb.apimachinery.meta import key_of
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.ioloop import IoLoop

Object = dict[str, Any]
NGINX = "nginx.ingress.kubernetes.io/"


def ingress(
    name: str = "web", *paths: tuple[str, str, str, str], since: str = "2024-01-01T00:00:00Z", default: str = "",
    tls: Any = None, **annotations: str,
) -> Object:  # fmt: skip
    """`paths` are (host, path, pathType, service)."""
    rules = [
        {
            **({"host": host} if host else {}),
            "http": {"paths": [{"path": path, "pathType": sort, "backend": to(service)}]},
        }
        for host, path, sort, service in paths
    ]
    spec: Object = {"ingressClassName": "nginx", **({"rules": rules} if rules else {})}
    spec |= {"defaultBackend": to(default)} if default else {}
    spec |= {"tls": tls} if tls else {}
    notes = {NGINX + key.replace("_", "-"): value for key, value in annotations.items()}
    metadata = {"name": name, "namespace": "default", "creationTimestamp": since, "annotations": notes}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec}


def to(service: str) -> Object:
    return {"service": {"name": service, "port": {"number": 80}}}


def router(*ingresses: Object) -> Router:
    made = Router()
    for each in ingresses:
        made.rules.put(key_of(each), locations(each))
        for location in locations(each):
            if location.backend:
                made.endpoints.put(location.backend.service, {80: ((location.backend.service, 80),)})
    return made


def went(made: Router, host: str, target: str, **more: Any) -> str:
    """The name of the Service that a request goes to, or the status of the router's own answer."""
    decision = made.decide(Visit("GET", host, target, **more))
    return str(decision.status) if isinstance(decision, Reply) else decision.spots[0][0].removeprefix("default/")


# https://kubernetes.io/docs/concepts/services-networking/ingress/#examples: the table of path types


@pytest.mark.parametrize(
    ("sort", "paths", "asked", "expected"),
    [
        ("Prefix", ["/"], "/any/path", "/"),
        ("Exact", ["/foo"], "/foo", "/foo"),
        ("Exact", ["/foo"], "/bar", None),
        ("Exact", ["/foo"], "/foo/", None),
        ("Exact", ["/foo/"], "/foo", None),
        ("Prefix", ["/foo"], "/foo", "/foo"),
        ("Prefix", ["/foo"], "/foo/", "/foo"),
        ("Prefix", ["/foo/"], "/foo", "/foo/"),
        ("Prefix", ["/foo/"], "/foo/", "/foo/"),
        ("Prefix", ["/aaa/bb"], "/aaa/bbb", None),
        ("Prefix", ["/aaa/bbb"], "/aaa/bbb", "/aaa/bbb"),
        ("Prefix", ["/aaa/bbb/"], "/aaa/bbb", "/aaa/bbb/"),
        ("Prefix", ["/aaa/bbb"], "/aaa/bbb/", "/aaa/bbb"),
        ("Prefix", ["/aaa/bbb"], "/aaa/bbb/ccc", "/aaa/bbb"),
        ("Prefix", ["/aaa/bbb"], "/aaa/bbbxyz", None),
        ("Prefix", ["/", "/aaa"], "/aaa/ccc", "/aaa"),
        ("Prefix", ["/", "/aaa", "/aaa/bbb"], "/aaa/bbb", "/aaa/bbb"),
        ("Prefix", ["/", "/aaa", "/aaa/bbb"], "/ccc", "/"),
        ("Prefix", ["/aaa"], "/ccc", None),
    ],
)
def test_a_path_is_matched_as_the_documentation_tables_it(
    sort: str, paths: list[str], asked: str, expected: str | None
) -> None:
    services = {path: f"s{number}" for number, path in enumerate(paths)}
    made = router(ingress("web", *(("shop.example", path, sort, services[path]) for path in paths)))
    assert went(made, "shop.example", asked) == (services[expected] if expected else "404")


def test_an_exact_path_comes_before_a_prefix_of_the_same_length() -> None:
    made = router(ingress("web", ("", "/foo", "Prefix", "prefix"), ("", "/foo", "Exact", "exact")))
    assert (went(made, "a", "/foo"), went(made, "a", "/foo/")) == ("exact", "prefix")


# #hostname-wildcards


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("bar.foo.com", "wild"), ("baz.bar.foo.com", "404"), ("foo.com", "404"), ("BAR.FOO.COM", "wild")],
)
def test_a_wildcard_stands_for_one_label(asked: str, expected: str) -> None:
    assert went(router(ingress("web", ("*.foo.com", "/", "Prefix", "wild"))), asked, "/") == expected


def test_a_host_comes_before_a_wildcard_and_a_wildcard_before_no_host() -> None:
    made = router(
        ingress(
            "web", ("*.foo.com", "/", "Prefix", "wild"), ("", "/", "Prefix", "any"), ("a.foo.com", "/", "Prefix", "own")
        )
    )
    assert [went(made, host, "/") for host in ("a.foo.com", "b.foo.com", "foo.com")] == ["own", "wild", "any"]


def test_of_two_ingresses_that_want_the_same_the_older_has_it() -> None:
    young = ingress("a", ("a.b", "/", "Prefix", "young"), since="2024-02-01T00:00:00Z")
    assert went(router(young, ingress("z", ("a.b", "/", "Prefix", "old"))), "a.b", "/") == "old"


def test_the_default_backend_takes_what_nothing_else_takes() -> None:
    made = router(ingress("web", ("a.b", "/x", "Prefix", "x"), default="rest"))
    assert [went(made, "a.b", path) for path in ("/x", "/y")] == ["x", "rest"]
    assert went(made, "c.d", "/x") == "404"
    catch_all = router(ingress("all", default="all"), ingress("web", ("a.b", "/x", "Prefix", "x")))
    assert [went(catch_all, host, "/y") for host in ("a.b", "c.d")] == ["all", "all"]


def test_an_ingress_that_is_gone_leaves_the_others_alone() -> None:
    made = router(ingress("a", ("a.b", "/", "Prefix", "one")), ingress("b", ("a.b", "/x", "Prefix", "two")))
    assert made.rules.put("default/b") and not made.rules.put("default/b")
    assert went(made, "a.b", "/x") == "one"


def test_a_service_without_ready_endpoints_is_answered_503_and_an_unknown_host_404() -> None:
    made = router(ingress("web", ("a.b", "/", "Prefix", "web")))
    made.endpoints.put("default/web", {80: ()})
    assert went(made, "a.b", "/") == "503"
    made.endpoints.put("default/web", {})
    assert went(made, "a.b", "/") == "503"
    assert made.decide(Visit("GET", "nobody", "/")) == Reply(404, "default backend - 404")


def test_requests_take_turns_over_the_endpoints() -> None:
    made = router(ingress("web", ("a.b", "/", "Prefix", "web")))
    made.endpoints.put("default/web", {80: (("one", 80), ("two", 80), ("three", 80))})
    assert [went(made, "a.b", "/") for _ in range(6)] == ["one", "two", "three"] * 2


# https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations/


def target(made: Router, asked: str) -> str:
    decision = made.decide(Visit("GET", "a.b", asked))
    assert isinstance(decision, Forward), decision
    return decision.target


def test_a_path_is_rewritten_with_what_its_groups_matched() -> None:
    """examples/rewrite of ingress-nginx."""
    path = ("a.b", "/something(/|$)(.*)", "ImplementationSpecific", "web")
    made = router(ingress("web", path, rewrite_target="/$2", use_regex="true"))
    asked = ("/something", "/something/", "/something/new?q=1", "/SOMETHING/new")
    assert [target(made, each) for each in asked] == ["/", "/", "/new?q=1", "/new"]
    assert target(router(ingress("web", ("a.b", "/foo", "Prefix", "web"), rewrite_target="/")), "/foo/bar") == "/"


def test_redirects_come_before_the_service() -> None:
    def where(made: Router, asked: str = "/x?y", scheme: str = "http") -> tuple[int, str]:
        made.https_port = 8443
        reply = made.decide(Visit("GET", "a.b", asked, scheme, authority="a.b:8080"))
        assert isinstance(reply, Reply), reply
        return reply.status, reply.headers["Location"]

    path, secured = ("a.b", "/", "Prefix", "web"), [{"hosts": ["a.b"], "secretName": "s"}]
    assert where(router(ingress("web", path, tls=secured))) == (308, "https://a.b:8443/x?y")
    assert where(router(ingress("web", path, force_ssl_redirect="true"))) == (308, "https://a.b:8443/x?y")
    assert where(router(ingress("web", path, permanent_redirect="https://c.d"))) == (301, "https://c.d")
    assert where(router(ingress("web", path, temporal_redirect="https://c.d"))) == (302, "https://c.d")
    assert where(router(ingress("web", path, app_root="/app")), "/") == (302, "http://a.b:8080/app")
    assert went(router(ingress("web", path, tls=secured, ssl_redirect="false")), "a.b", "/") == "web"
    assert went(router(ingress("web", path, tls=secured)), "a.b", "/", scheme="https") == "web"


def test_only_the_networks_that_are_allowed_get_in() -> None:
    made = router(ingress("web", ("a.b", "/", "Prefix", "web"), whitelist_source_range="10.0.0.0/8, 127.0.0.1"))
    assert [went(made, "a.b", "/", client=client) for client in ("127.0.0.1", "192.0.2.1")] == ["web", "403"]


def test_a_client_with_the_cookie_stays_where_it_was() -> None:
    made = router(ingress("web", ("a.b", "/", "Prefix", "web"), affinity="cookie", session_cookie_name="me"))
    made.endpoints.put("default/web", {80: (("one", 80), ("two", 80), ("three", 80))})
    first = made.decide(Visit("GET", "a.b", "/"))
    assert isinstance(first, Forward)
    name, _, value = first.answer_headers["Set-Cookie"].partition(";")[0].partition("=")
    assert {went(made, "a.b", "/", cookies={name: value}) for _ in range(5)} == {first.spots[0][0]}


def test_a_canary_takes_its_share_and_whoever_asks_for_it() -> None:
    path, new = ("a.b", "/", "Prefix", "old"), ("a.b", "/", "Prefix", "new")
    weighed = router(ingress("web", path), ingress("new", new, canary="true", canary_weight="20"))
    assert Counter(went(weighed, "a.b", "/") for _ in range(100)) == {"old": 80, "new": 20}
    asked = router(
        ingress("web", path), ingress("new", new, canary="true", canary_by_header="X-New", canary_by_cookie="n")
    )
    assert [went(asked, "a.b", "/", headers={"X-New": word}) for word in ("always", "never", "what")] == [
        "new",
        "old",
        "old",
    ]
    assert went(asked, "a.b", "/", cookies={"n": "always"}) == "new"
    assert went(asked, "a.b", "/", cookies={"n": "always"}, headers={"X-New": "never"}) == "old"
    valued = router(
        ingress("web", path), ingress("new", new, canary="true", canary_by_header="X-New", canary_by_header_value="me")
    )
    assert [went(valued, "a.b", "/", headers={"X-New": word}) for word in ("me", "always")] == ["new", "old"]


def test_a_canary_alone_takes_nothing() -> None:
    assert (
        went(router(ingress("new", ("a.b", "/", "Prefix", "new"), canary="true", canary_weight="100")), "a.b", "/")
        == "404"
    )


def test_a_browser_that_asks_first_is_told_what_another_site_may_do() -> None:
    made = router(ingress("web", ("a.b", "/", "Prefix", "web"), enable_cors="true", cors_allow_origin="https://c.d"))
    reply = made.decide(Visit("OPTIONS", "a.b", "/"))
    assert isinstance(reply, Reply) and reply.status == 204
    assert reply.headers["Access-Control-Allow-Origin"] == "https://c.d"


# the add-on, on simulated nodes and virtual time


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster(runtime="simulated", clock=VirtualClock(), seed=1, nodes=2)
    made.start(wait=0)
    made.settle()
    yield made
    made.delete()


def addon(cluster: Cluster) -> IngressAddon:
    found = cluster.addons.get("ingress")
    assert isinstance(found, IngressAddon)
    return found


def serve(cluster: Cluster, name: str, replicas: int = 2) -> None:
    cluster.kubectl.run(["create", "deployment", name, "--image=nginx", f"--replicas={replicas}"])
    cluster.kubectl.run(["expose", "deployment", name, "--port=80"])
    cluster.settle()


def make(cluster: Cluster, obj: Object) -> None:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "creationTimestamp"}
    cluster.client.create("ingresses", {**obj, "metadata": metadata})
    cluster.settle()


def events(cluster: Cluster, name: str = "web") -> list[tuple[str, str]]:
    found = cluster.client.items("events", "default", fieldSelector=f"involvedObject.name={name}")
    return [(event["reason"], event["message"]) for event in found if event["involvedObject"]["kind"] == "Ingress"]


def test_without_the_add_on_an_ingress_is_stored_with_a_warning_that_says_how_to_enable_it(cluster: Cluster) -> None:
    create = ["create", "ingress", "web", "--rule=shop.example/*=web:80", "--dry-run=server"]
    assert "%kcluster addons enable ingress" in str(cluster.kubectl.run(create).warnings)
    cluster.addons.enable("ingress")
    assert not cluster.kubectl.run(create).warnings
    cluster.addons.disable("ingress")
    assert "%kcluster addons enable ingress" in str(cluster.kubectl.run(create).warnings)


def test_every_apiserver_knows_that_the_add_on_is_at_work() -> None:
    with Cluster(runtime="simulated", clock=VirtualClock(), nodes=1, apiservers=2) as made:
        made.addons.enable("ingress")
        assert all("ingresses.networking.k8s.io" in server.attended for server in made.apiservers.all)


def test_an_ingress_leads_to_its_service_and_says_where(cluster: Cluster) -> None:
    cluster.addons.enable("ingress")
    serve(cluster, "web")
    make(cluster, ingress("web", ("shop.example", "/", "Prefix", "web")))
    assert "Welcome to nginx" in addon(cluster).ask("http://shop.example/").text
    assert addon(cluster).ask("http://nobody.example/").status == 404
    status = cluster.client.get("ingresses", "web", "default")["status"]["loadBalancer"]["ingress"]
    assert status[0]["ip"] and [port["port"] for port in status[0]["ports"]] == [80, 443]
    assert events(cluster) == [("Sync", "Scheduled for sync")]
    cluster.client.delete("ingresses", "web", "default")
    cluster.settle()
    assert addon(cluster).ask("http://shop.example/").status == 404


def test_pods_that_come_and_go_are_followed(cluster: Cluster) -> None:
    cluster.addons.enable("ingress")
    serve(cluster, "web")
    make(cluster, ingress("web", ("shop.example", "/", "Prefix", "web")))
    cluster.kubectl.run(["scale", "deployment", "web", "--replicas=0"])
    cluster.settle()
    assert addon(cluster).ask("http://shop.example/").status == 503
    cluster.kubectl.run(["scale", "deployment", "web", "--replicas=1"])
    cluster.settle()
    assert addon(cluster).ask("http://shop.example/").status == 200


def test_an_ingress_without_a_class_gets_the_default_one_and_others_classes_are_left_alone(cluster: Cluster) -> None:
    cluster.addons.enable("ingress")
    serve(cluster, "web")
    plain = ingress("web", ("a.example", "/", "Prefix", "web"))
    del plain["spec"]["ingressClassName"]
    make(cluster, plain)
    assert cluster.client.get("ingresses", "web", "default")["spec"]["ingressClassName"] == "nginx"
    assert addon(cluster).ask("http://a.example/").status == 200
    other = ingress("other", ("b.example", "/", "Prefix", "web"))
    other["spec"]["ingressClassName"] = "traefik"
    make(cluster, other)
    assert addon(cluster).ask("http://b.example/").status == 404
    assert not cluster.client.get("ingresses", "other", "default").get("status", {}).get("loadBalancer")


def test_an_ingress_of_the_old_annotation_counts(cluster: Cluster) -> None:
    cluster.addons.enable("ingress")
    serve(cluster, "web")
    old = ingress("web", ("a.example", "/", "Prefix", "web"))
    del old["spec"]["ingressClassName"]
    old["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "nginx"}
    make(cluster, old)
    assert addon(cluster).ask("http://a.example/").status == 200


def test_an_annotation_that_does_nothing_is_said_once(cluster: Cluster) -> None:
    cluster.addons.enable("ingress")
    make(
        cluster,
        ingress("web", ("a.b", "/", "Prefix", "web"), server_snippet="x", ssl_redirect="maybe", use_regex="true"),
    )
    said = [message for reason, message in events(cluster) if reason == "NotImplemented"]
    assert len(said) == 2 and "server-snippet: not implemented by k8snb" in said[0] and "ssl-redirect" in said[1]
    cluster.kubectl.run(["label", "ingress", "web", "a=b"])
    cluster.settle()
    assert len(events(cluster)) == 3


def test_syncing_again_writes_nothing(cluster: Cluster) -> None:
    cluster.addons.enable("ingress")
    serve(cluster, "web")
    make(cluster, ingress("web", ("shop.example", "/", "Prefix", "web")))
    revision = cluster.store.revision
    controller = addon(cluster)._controller
    assert controller is not None
    controller.sync("default/web")
    assert cluster.store.revision == revision


def test_a_disabled_add_on_leaves_nothing_behind(cluster: Cluster) -> None:
    serve(cluster, "web")

    def held() -> set[str]:
        return {key for key in ("serviceaccounts", "clusterroles", "clusterrolebindings", "ingressclasses")
                for obj in cluster.client.items(key) if "ingress" in str(obj["metadata"])}  # fmt: skip

    before = held()
    cluster.addons.enable("ingress")
    make(cluster, ingress("web", ("shop.example", "/", "Prefix", "web")))
    assert held() > before
    cluster.addons.disable("ingress")
    cluster.settle()
    assert held() == before
    assert not cluster.client.get("ingresses", "web", "default")["status"]["loadBalancer"]
    cluster.client.delete("ingresses", "web", "default")
    make(cluster, ingress("other", ("other.example", "/", "Prefix", "web")))
    cluster.addons.enable("ingress")
    cluster.settle()
    assert [addon(cluster).ask(f"http://{name}.example/").status for name in ("shop", "other")] == [404, 200]


def test_what_is_queued_when_the_add_on_goes_comes_to_nothing(cluster: Cluster) -> None:
    cluster.addons.enable("ingress")
    obj = ingress("web", ("shop.example", "/", "Prefix", "web"))
    del obj["metadata"]["creationTimestamp"]
    with cluster.pump.lock:
        cluster.client.create("ingresses", obj)
        cluster.addons.disable("ingress")
    assert cluster.settle()
    assert not cluster.client.get("ingresses", "web", "default").get("status", {}).get("loadBalancer")


def test_the_add_on_works_on_after_a_stop_and_a_start(cluster: Cluster) -> None:
    cluster.addons.enable("ingress")
    serve(cluster, "web")
    make(cluster, ingress("web", ("shop.example", "/", "Prefix", "web")))
    cluster.stop()
    cluster.start(wait=0)
    cluster.settle()
    assert addon(cluster).ask("http://shop.example/").status == 200


def tls_secret(pair: tuple[str, str], name: str = "cert") -> Object:
    data = {
        key: base64.b64encode(text.encode()).decode() for key, text in zip(("tls.crt", "tls.key"), pair, strict=True)
    }
    return {"metadata": {"name": name, "namespace": "default"}, "type": "kubernetes.io/tls", "data": data}


def test_a_certificate_that_is_missing_is_said_and_taken_when_it_comes(cluster: Cluster) -> None:
    cluster.addons.enable("ingress")
    make(cluster, ingress("web", ("a.b", "/", "Prefix", "web"), tls=[{"hosts": ["a.b"], "secretName": "cert"}]))
    assert any(reason == "TLS" and '"default/cert"' in message for reason, message in events(cluster))
    shown = addon(cluster)._certificates
    before = shown.find("a.b")
    cluster.client.create("secrets", tls_secret(fake(cluster.clock.now())))
    cluster.settle()
    assert shown.find("a.b") is not before and shown.find("c.d") is before


# the door: real sockets, a real HTTP client, a real Service of the test's own


class Backend:
    """A web server of the test's own; `spot` is where it listens."""

    def __init__(self, io: IoLoop) -> None:
        self._io = io
        self._runner = web.AppRunner(self._app(), access_log=None)
        self.spot = io.call(self._start()).result(5)

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/echo{rest:.*}", self._echo)
        app.router.add_get("/stream", self._stream)
        app.router.add_get("/socket", self._socket)
        app.router.add_get("/cut", self._cut)
        return app

    async def _start(self) -> tuple[str, int]:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self._runner.addresses[0][:2]

    def close(self) -> None:
        self._io.call(self._runner.cleanup()).result(5)

    async def _echo(self, request: web.Request) -> web.Response:
        body = await request.read()
        seen = {
            "headers": dict(request.headers),
            "target": request.raw_path,
            "method": request.method,
            "size": len(body),
        }
        return web.json_response(seen, headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")], status=201)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Says something, and the rest only when the client has shown that it heard the first."""
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in (b"first\n", b"second\n"):
            await response.write(piece)
            await self.heard.wait() if piece == b"first\n" else None
        return response

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("chat",))
        await socket.prepare(request)
        async for message in socket:
            if message.data == "bye":
                await socket.close(code=4001)
            elif message.type is WSMsgType.TEXT:
                await socket.send_str(f"{request.headers['X-Forwarded-Host']}: {message.data}")
            else:
                await socket.send_bytes(message.data[::-1])
        return socket

    async def _cut(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return response


class House:
    """A door on its router, a backend behind it, and a client in front of it."""

    def __init__(self) -> None:
        self.io = IoLoop()
        self.backend = Backend(self.io)
        self.router = Router()
        self.certificates = Certificates(1_700_000_000.0)
        self.door = Door(self.router.decide, self.certificates.context)
        self.opened: Opened = self.door.open()
        self.router.https_port = self.opened.https[1]

    def close(self) -> None:
        self.door.close()
        self.backend.close()
        self.io.close()

    def route(self, obj: Object, *spots: tuple[str, int]) -> None:
        self.router.rules.put(key_of(obj), locations(obj))
        self.router.endpoints.put("default/web", {80: spots or (self.backend.spot,)})

    def url(self, path: str, scheme: str = "http") -> URL:
        ip, port = self.opened.https if scheme == "https" else self.opened.http
        return URL(f"{scheme}://{ip}:{port}{path}", encoded=True)

    def ask(self, path: str, host: str = "a.b", *, method: str = "GET", **more: Any) -> tuple[int, Any, Any]:
        """Status, headers and body."""

        async def go() -> tuple[int, Any, Any]:
            async with ClientSession(connector=TCPConnector(ssl=False), timeout=ClientTimeout(20)) as client:
                given = {"Host": host, **more.pop("headers", {})}
                async with client.request(
                    method, self.url(path), headers=given, allow_redirects=False, **more
                ) as answer:
                    found = await (answer.json() if answer.content_type == "application/json" else answer.text())
                    return answer.status, answer.headers, found

        return self.io.call(go()).result(20)


@pytest.fixture
def house() -> Iterator[House]:
    with closing(House()) as made:
        yield made


PATH = ("a.b", "/", "Prefix", "web")


@pytest.mark.process
def test_a_service_sees_who_asked_and_how(house: House) -> None:
    house.route(ingress("web", PATH))
    sent = {"X-Forwarded-For": "6.6.6.6", "Connection": "x-mine", "X-Mine": "1", "X-Kept": "2"}
    status, headers, seen = house.ask("/echo/a%2Fb?q=%20", host="a.b:81", headers=sent)
    assert (status, seen["target"], headers.getall("Set-Cookie")) == (201, "/echo/a%2Fb?q=%20", ["a=1", "b=2"])
    got = seen["headers"]
    assert (got["Host"], got["X-Forwarded-Host"], got["X-Forwarded-Proto"]) == ("a.b:81", "a.b:81", "http")
    assert (got["X-Forwarded-For"], got["X-Forwarded-Port"]) == ("127.0.0.1", str(house.opened.http[1]))
    assert "X-Mine" not in got and got["X-Kept"] == "2"


@pytest.mark.process
def test_a_body_goes_through_up_to_the_size_that_is_allowed(house: House) -> None:
    house.route(ingress("web", PATH, proxy_body_size="2m"))
    assert house.ask("/echo", method="POST", data=BytesIO(b"x" * (2 << 20)))[2]["size"] == 2 << 20
    assert house.ask("/echo", method="POST", data=BytesIO(b"x" * ((2 << 20) + 1)))[0] == 413

    async def pieces() -> Any:
        for _ in range(3):
            yield b"x" * (1 << 20)

    assert house.ask("/echo", method="PUT", data=pieces())[0] == 413
    assert house.ask("/echo", method="DELETE")[2]["method"] == "DELETE"


@pytest.mark.process
def test_an_answer_flows_while_it_is_being_made(house: House) -> None:
    house.route(ingress("web", PATH))

    async def go() -> list[bytes]:
        house.backend.heard = asyncio.Event()
        async with ClientSession() as client, client.get(house.url("/stream"), headers={"Host": "a.b"}) as answer:
            first = await answer.content.readline()
            house.backend.heard.set()
            return [first, await answer.content.read()]

    assert house.io.call(go()).result(20) == [b"first\n", b"second\n"]


@pytest.mark.process
def test_a_websocket_is_bridged_both_ways_with_its_close_code(house: House) -> None:
    house.route(ingress("web", PATH))

    async def go() -> tuple[Any, ...]:
        async with ClientSession() as client:
            headers = {"Host": "a.b"}
            async with client.ws_connect(house.url("/socket"), headers=headers, protocols=["chat"]) as socket:
                await socket.send_str("hello")
                said = await socket.receive_str()
                await socket.send_bytes(b"abc")
                back = await socket.receive_bytes()
                await socket.send_str("bye")
                await socket.receive()
                return said, back, socket.protocol, socket.close_code

    assert house.io.call(go()).result(20) == ("a.b: hello", b"cba", "chat", 4001)


@pytest.mark.process
def test_a_pod_that_refuses_is_passed_over_and_502_is_said_when_all_do(house: House) -> None:
    house.route(ingress("web", PATH), ("127.0.0.1", 1), house.backend.spot)
    assert [house.ask("/echo")[0] for _ in range(4)] == [201] * 4
    house.router.endpoints.put("default/web", {80: (("127.0.0.1", 1),)})
    assert house.ask("/echo")[0] == 502


@pytest.mark.process
def test_an_answer_that_breaks_off_breaks_off_for_the_client(house: House) -> None:
    house.route(ingress("web", PATH))
    with pytest.raises(Exception, match=r"(?i)payload|disconnect|reset"):
        house.ask("/cut")


@pytest.mark.process
def test_a_service_that_takes_too_long_is_answered_504(house: House) -> None:
    house.route(ingress("web", PATH, proxy_read_timeout="1"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        house.router.endpoints.put("default/web", {80: (silent.getsockname(),)})
        assert house.ask("/echo")[0] == 504


@pytest.mark.process
def test_a_client_is_shown_the_certificate_of_the_name_it_asks_for(house: House) -> None:
    own, wild = (fake(1_700_000_000.0) for _ in range(2))
    house.certificates.put("default/a", {"a.b": load(tls_secret(own))})
    house.certificates.put("default/b", {"*.c.d": load(tls_secret(wild))})

    def shown(name: str) -> str:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(house.opened.https, 5) as plain,
            context.wrap_socket(plain, server_hostname=name) as s,
        ):
            return ssl.DER_cert_to_PEM_cert(s.getpeercert(binary_form=True) or b"").strip()

    assert [shown("a.b"), shown("x.c.d")] == [own[0].strip(), wild[0].strip()]
    assert shown("nobody") not in (own[0].strip(), wild[0].strip())


def test_a_host_is_read_without_its_port() -> None:
    assert [host_of(text) for text in ("A.b", "a.b:80", "a.b.", "127.0.0.1:8080", "[::1]:80", "")] == [
        "a.b", "a.b", "a.b", "127.0.0.1", "[::1]", "",
    ]  # fmt: skip


# on simulated nodes in real time: pods without sockets behind a door with some


@pytest.mark.process
def test_simulated_pods_answer_at_the_door() -> None:
    with Cluster("ingress-simulated", runtime="simulated", nodes=1) as made:
        made.addons.enable("ingress")
        made.kubectl.run(["create", "deployment", "web", "--image=nginx"])
        made.kubectl.run(["expose", "deployment", "web", "--port=80"])
        made.kubectl.run(["create", "ingress", "web", "--rule=shop.example/*=web:80"])
        made.kubectl.run(["wait", "--for=condition=Available", "deployment/web", "--timeout=60s"])
        asked = urllib.request.Request(addon(made).url({"spec": {}}), headers={"Host": "shop.example"})
        assert eventually(lambda: _answers(asked))
        with urllib.request.urlopen(asked, timeout=10) as answer:
            assert b"Welcome to nginx" in answer.read()


# on processes: pods that answer by themselves


@pytest.mark.process
@pytest.mark.slow
def test_an_ingress_leads_to_real_processes_over_http_and_https() -> None:
    with Cluster("ingress-test", runtime="process", nodes=1) as made:
        made.addons.enable("ingress")
        for name in ("red", "blue"):
            made.kubectl.run(["create", "deployment", name, "--image=registry.k8s.io/e2e-test-images/agnhost:2.39",
                              "--", "/agnhost", "netexec", "--http-port=8080"])  # fmt: skip
            made.kubectl.run(["expose", "deployment", name, "--port=80", "--target-port=8080"])
        made.kubectl.run(["wait", "--for=condition=Available", "deployment", "--all", "--timeout=60s"])
        pair = fake(made.clock.now())
        made.client.create("secrets", tls_secret(pair))
        secured = [{"hosts": ["shop.example"], "secretName": "cert"}]
        obj = ingress("shop", ("shop.example", "/red", "Prefix", "red"), ("shop.example", "/blue", "Prefix", "blue"),
                      tls=secured, rewrite_target="/hostname", ssl_redirect="false")  # fmt: skip
        del obj["metadata"]["creationTimestamp"]
        created = made.client.create("ingresses", obj)
        found = addon(made)
        told = ["wait", "ingress/shop", "--for=jsonpath={.status.loadBalancer.ingress[0].ip}", "--timeout=20s"]
        made.kubectl.run(told)
        port = found.url({**created, "spec": {**created["spec"], "tls": []}}).removesuffix("/red")
        for name in ("red", "blue"):
            asked = urllib.request.Request(f"{port}/{name}", headers={"Host": "shop.example"})
            assert eventually(lambda asked=asked: _answers(asked))
            with urllib.request.urlopen(asked, timeout=10) as answer:
                assert answer.read().decode().startswith(f"{name}-")
            secure = found.url(created).partition("://")[2].partition("/")[0]
        ip, _, number = secure.partition(":")
        command = ["curl", "-sSk", "--resolve", f"shop.example:{number or 443}:{ip}",
                   f"https://shop.example:{number or 443}/blue"]  # fmt: skip
        assert subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.startswith("blue-")


def eventually(true: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Wait outside of the cluster's lock, which who answers may need."""
    end = time.monotonic() + seconds
    while not (came := true()) and time.monotonic() < end:
        time.sleep(0.05)
    return came


def _answers(asked: urllib.request.Request) -> bool:
    """Whether what was made has reached the router."""
    try:
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError:
        return False


# kubectl/pkg/describe/describe.go: describeIngressV1, describeIngressClassV1


def test_describe_shows_where_each_path_leads(cluster: Cluster) -> None:
    cluster.addons.enable("ingress")
    serve(cluster, "web")
    obj = ingress("web", ("a.b", "/x", "Prefix", "web"), ("", "/", "Prefix", "gone"), default="web",
                  tls=[{"hosts": ["a.b", "c.d"], "secretName": "cert"}])  # fmt: skip
    make(cluster, obj)
    text = cluster.kubectl.run(["describe", "ingress", "web", "--show-events=false"]).text
    (found,) = cluster.client.items("endpointslices", "default", labelSelector="kubernetes.io/service-name=web")
    pods = [address for endpoint in found["endpoints"] for address in endpoint["addresses"]]
    assert "Ingress Class:    nginx\n" in text and "TLS:\n  cert terminates a.b,c.d\n" in text
    assert f"Default backend:  web:80 ({','.join(f'{ip}:80' for ip in pods)})\n" in text
    lines = [line.split() for line in text[text.index("Rules:") :].splitlines()]
    assert lines[:3] == [["Rules:"], ["Host", "Path", "Backends"], ["----", "----", "--------"]]
    assert lines[3] == ["a.b"] and lines[4][:2] == ["/x", "web:80"] and lines[5] == ["*"]
    assert '/ gone:80 (<error: services "gone" not found>)' in " ".join(lines[6])
    page = cluster.kubectl.run(["describe", "ingressclass", "nginx"]).text
    assert "Controller:   k8snb.io/ingress-controller\n" in page


def test_describe_hints_at_how_to_ask(cluster: Cluster) -> None:
    cluster.addons.enable("ingress")
    make(cluster, ingress("web", ("a.b", "/x", "Prefix", "web")))
    make(cluster, ingress("safe", ("c.d", "/y(/|$)(.*)", "ImplementationSpecific", "web"), tls=[{"hosts": ["c.d"]}]))
    hints = cluster.kubectl.run(["describe", "ingress"]).hints
    assert "ingress/web: curl -H 'Host: a.b' http://10.0.0.80/x" in hints
    assert "ingress/safe: curl -k --resolve c.d:443:10.0.0.80 https://c.d/y" in hints


@pytest.mark.skipif(not found_kubectls(), reason="optional: no real kubectl is installed")
@pytest.mark.process
def test_the_page_is_the_one_that_kubectl_writes(tmp_path: Path) -> None:
    with Cluster("ingress-page", runtime="simulated", nodes=1) as made:
        made.addons.enable("ingress")
        made.kubectl.run(["create", "service", "clusterip", "web", "--tcp=80:80"])
        obj = ingress("web", ("a.b", "/x", "Prefix", "web"), ("", "/", "Prefix", "gone"), rewrite_target="/",
                      tls=[{"hosts": ["a.b"], "secretName": "cert"}, {"hosts": ["c.d"]}])  # fmt: skip
        del obj["metadata"]["creationTimestamp"]
        made.client.create("ingresses", obj)
        made.kubectl.run(
            ["wait", "ingress/web", "--for=jsonpath={.status.loadBalancer.ingress[0].ip}", "--timeout=20s"]
        )
        config = tmp_path / "config"
        config.write_text(made.kubeconfig)
        for words in (["ingress", "web", "--show-events=false"], ["ingressclass", "nginx"]):
            command = [str(list(found_kubectls().values())[-1]), "--kubeconfig", str(config), "describe", *words]
            shown = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert made.kubectl.run(["describe", *words]).text == shown.stdout, shown.stderr
