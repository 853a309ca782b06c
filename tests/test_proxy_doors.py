"""The apiserver's proxy: pods, Services and nodes asked over HTTP through it, in the kernel and over HTTPS.

Upstream's rules: `pkg/registry/core/{pod,service,node}` (ResourceLocation), `apimachinery/pkg/util/proxy`.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from k8snb import Cluster
from k8snb.apimachinery.errors import ApiError
from k8snb.apiserver import ApiServer
from k8snb.apiserver.https import HttpsServer
from k8snb.apiserver.identity import Identity
from k8snb.apiserver.proxy_https import proxier
from k8snb.apiserver.proxy_links import LinkRewriter, Origin
from k8snb.client import ADMIN, Client, Exchange, Request, User
from k8snb.clock import RealClock, VirtualClock
from k8snb.cri import RuntimeFailure
from k8snb.cri.streams import SocketConnection, connect
from k8snb.etcd.memory import MemoryStore
from k8snb.ioloop import IoLoop

Object = dict[str, Any]
POD = "/api/v1/namespaces/default/pods/web:80/proxy"


# in the kernel, on virtual time


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster("doors", nodes=2, runtime="simulated", clock=VirtualClock(), seed=1) as made:
        for name, image in (("web", "nginx"), ("echo", "echoserver:1.10")):
            container = {"name": "main", "image": image, "ports": [{"containerPort": 8080 if name == "echo" else 80}]}
            pod = {"metadata": {"name": name, "labels": {"app": name}}, "spec": {"containers": [container]}}
            made.client.create("pods", pod, "default")
        serve(made.client, "web", [{"name": "http", "port": 8000, "targetPort": 80}])
        serve(made.client, "echo", [{"port": 80, "targetPort": 8080}])
        serve(made.client, "empty", [{"port": 80}])
        made.settle()
        yield made


def serve(client: Client, name: str, ports: list[Object]) -> None:
    spec = {"selector": {"app": name}, "ports": ports}
    client.create("services", {"metadata": {"name": name}, "spec": spec}, "default")


@pytest.mark.parametrize(
    ("resource", "name"),
    [("pods", "echo"), ("pods", "echo:8080"), ("pods", "http:echo:8080"),
     ("services", "echo"), ("services", "echo:80")],
)  # fmt: skip
def test_a_pod_answers_by_each_of_its_names(cluster: Cluster, resource: str, name: str) -> None:
    answer = cluster.client.proxy(resource, name, "/some/path?q=1", "default")
    assert answer.status == 200 and "path=/some/path?q=1" in answer.text


def test_a_service_port_is_known_by_its_name_and_by_its_number(cluster: Cluster) -> None:
    assert cluster.client.proxy("services", "web:http", "/", "default").status == 200
    assert cluster.client.proxy("services", "web:8000", "/", "default").status == 200


@pytest.mark.parametrize(
    ("resource", "name", "code", "words"),
    [
        ("pods", "nobody", 404, 'pods "nobody" not found'),
        ("services", "nobody:80", 404, 'services "nobody" not found'),
        ("pods", "ftp:web:80", 400, 'invalid pod request "ftp:web:80"'),
        ("services", "a:b:c:d", 400, 'invalid service request "a:b:c:d"'),
        ("pods", "web:81", 503, "error trying to reach service: dial tcp 10.244."),
        ("pods", "web:web", 503, "error trying to reach service: dial tcp: lookup tcp/web: unknown port"),
        ("services", "web:81", 503, 'no service port 81 found for service "web"'),
        ("services", "web", 503, 'no endpoints available for service "web"'),
        ("services", "empty:80", 503, 'no endpoints available for service "empty"'),
        ("pods", "https:web:80", 503, "http: server gave HTTP response to HTTPS client"),
        ("nodes", "node-1:80", 501, "not implemented by k8snb"),
    ],
)
def test_a_refusal_has_upstreams_words(cluster: Cluster, resource: str, name: str, code: int, words: str) -> None:
    with pytest.raises(ApiError) as refused:
        cluster.client.proxy(resource, name, "/", "" if resource == "nodes" else "default")
    assert refused.value.code == code and words in refused.value.message


def test_a_service_forgets_a_pod_that_is_not_ready(cluster: Cluster) -> None:
    probe = {"httpGet": {"path": "/healthz", "port": 80}, "periodSeconds": 1, "failureThreshold": 1}
    container = {"name": "main", "image": "nginx", "readinessProbe": probe}
    pod = {"metadata": {"name": "sick", "labels": {"app": "sick"}}, "spec": {"containers": [container]}}
    cluster.client.create("pods", pod, "default")
    serve(cluster.client, "sick", [{"port": 80}])
    cluster.settle()
    with pytest.raises(ApiError, match='no endpoints available for service "sick"'):
        cluster.client.proxy("services", "sick:80", "/", "default")
    cluster.client.delete("pods", "sick", "default", gracePeriodSeconds=0)


@pytest.mark.parametrize(
    ("method", "verb"),
    [("GET", "get"), ("HEAD", "get"), ("POST", "create"), ("PUT", "update"), ("PATCH", "patch"), ("DELETE", "delete")],
)
def test_each_method_is_a_verb_that_is_allowed_by_itself(cluster: Cluster, method: str, verb: str) -> None:
    """`RequestInfoFactory.NewRequestInfo` in apiserver/pkg/endpoints/request/requestinfo.go."""
    stranger = cluster.client_for(User("stranger", ("system:authenticated",)))
    with pytest.raises(ApiError) as refused:
        stranger.proxy("pods", "web:80", "/", "default", method=method)
    words = f'User "stranger" cannot {verb} resource "pods/proxy" in API group "" in the namespace "default"'
    assert refused.value.code == 403 and words in refused.value.message


def test_a_request_of_a_container_counts_as_processor_time(cluster: Cluster) -> None:
    container = {"name": "php", "image": "registry.k8s.io/hpa-example", "ports": [{"containerPort": 80}]}
    cluster.client.create("pods", {"metadata": {"name": "php"}, "spec": {"containers": [container]}}, "default")
    cluster.settle()
    before = used(cluster, "php")
    for _ in range(5):
        assert cluster.client.proxy("pods", "php:80", "/", "default").text == "OK!"
    cluster.run_for(10)
    assert 0.4e9 < used(cluster, "php") - before < 0.6e9


# what a node answers


def used(cluster: Cluster, name: str) -> int:
    """Nanoseconds of processor time."""
    return int(stats(cluster, name)["cpu"]["usageCoreNanoSeconds"])


def stats(cluster: Cluster, name: str) -> Object:
    node = cluster.client.get("pods", name, "default")["spec"]["nodeName"]
    page = json.loads(cluster.client.proxy("nodes", node, "/stats/summary").body)
    return next(pod for pod in page["pods"] if pod["podRef"]["name"] == name)


def test_a_node_shows_its_health_and_its_pods(cluster: Cluster) -> None:
    node = cluster.client.get("pods", "web", "default")["spec"]["nodeName"]
    assert cluster.client.proxy("nodes", node, "/healthz").text == "ok"
    assert cluster.client.proxy("nodes", f"{node}:10250", "/healthz").text == "ok"
    pods = json.loads(cluster.client.proxy("nodes", node, "/pods").body)
    assert pods["kind"] == "PodList" and "web" in [pod["metadata"]["name"] for pod in pods["items"]]


def test_a_node_gives_a_containers_log(cluster: Cluster) -> None:
    node = cluster.client.get("pods", "web", "default")["spec"]["nodeName"]
    assert "ready for start up" in cluster.client.proxy("nodes", node, "/containerLogs/default/web/main").text
    lines = cluster.client.proxy("nodes", node, "/containerLogs/default/web/main?tailLines=1").text
    assert lines.count("\n") == 1
    assert cluster.client.proxy("nodes", node, "/containerLogs/default/web/main?limitBytes=5").text == "nginx"
    assert cluster.client.proxy("nodes", node, "/containerLogs/default/web/main?tailLines=x").status == 400
    assert cluster.client.proxy("nodes", node, "/containerLogs/default/nobody/main").status == 404
    assert cluster.client.proxy("nodes", node, "/containerLogs/default/web/nobody").status == 404


def test_what_a_node_does_not_have_it_refuses_by_name(cluster: Cluster) -> None:
    refused = cluster.client.proxy("nodes", "node-1", "/logs/")
    assert refused.status == 501 and "/logs: not implemented by k8snb" in refused.text
    assert cluster.client.proxy("nodes", "node-1", "/nothing").status == 404


def test_a_node_that_is_stopped_does_not_answer(cluster: Cluster) -> None:
    cluster.add_node("node-9")
    cluster.settle()
    cluster.stop_node("node-9")
    with pytest.raises(ApiError) as refused:
        cluster.client.proxy("nodes", "node-9", "/healthz")
    cluster.delete_node("node-9")
    assert refused.value.code == 503


def test_usage_comes_from_the_pods_annotations(cluster: Cluster) -> None:
    usage = {"k8snb.io/usage-cpu": "100m, 60s: 400m", "k8snb.io/usage-memory": "64Mi"}
    container = {"name": "main", "image": "nginx"}
    pod = {"metadata": {"name": "busy", "annotations": usage}, "spec": {"containers": [container]}}
    cluster.client.create("pods", pod, "default")
    cluster.settle()
    cluster.run_for(50)
    first = stats(cluster, "busy")
    assert round(first["cpu"]["usageNanoCores"] / 1e9, 3) == 0.1
    assert first["memory"]["workingSetBytes"] == 64 * 2**20
    cluster.run_for(30)
    stats(cluster, "busy")
    cluster.run_for(30)
    assert round(stats(cluster, "busy")["containers"][0]["cpu"]["usageNanoCores"] / 1e9, 3) == 0.4


def test_a_limit_bounds_what_a_container_uses(cluster: Cluster) -> None:
    container = {"name": "main", "image": "nginx", "resources": {"limits": {"cpu": "200m"}}}
    metadata = {"name": "bounded", "annotations": {"k8snb.io/usage-cpu": "5"}}
    cluster.client.create("pods", {"metadata": metadata, "spec": {"containers": [container]}}, "default")
    cluster.settle()
    before = used(cluster, "bounded")
    cluster.run_for(100)
    assert used(cluster, "bounded") - before == pytest.approx(20e9, rel=0.01)


def test_resource_metrics_are_prometheus_text(cluster: Cluster) -> None:
    """`pkg/kubelet/metrics/collectors/resource_metrics.go`."""
    node = cluster.client.get("pods", "web", "default")["spec"]["nodeName"]
    answer = cluster.client.proxy("nodes", node, "/metrics/resource")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "# TYPE container_cpu_usage_seconds_total counter\n" in answer.text
    assert 'container_memory_working_set_bytes{container="main",namespace="default",pod="web"} ' in answer.text
    assert "\nnode_cpu_usage_seconds_total " in answer.text and "\nresource_scrape_error 0\n" in answer.text


# over HTTPS, to servers that are really there


GO = web.AppKey("go", asyncio.Event)


async def show(request: web.Request) -> web.Response:
    """What has arrived."""
    body = await request.read()
    seen = {"method": request.method, "path": request.raw_path, "headers": dict(request.headers),
            "body": body.decode(errors="replace"), "hex": body.hex()}  # fmt: skip
    return web.json_response(seen, headers={"X-Kept": "yes", "Keep-Alive": "timeout=5"})


async def drip(request: web.Request) -> web.StreamResponse:
    """One piece at once, the next when somebody has asked for it at /go."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"first\n")
    await request.app[GO].wait()
    await response.write(b"second\n")
    return response


async def go(request: web.Request) -> web.Response:
    request.app[GO].set()
    return web.Response()


async def talk(request: web.Request) -> web.WebSocketResponse:
    socket_ = web.WebSocketResponse()
    await socket_.prepare(request)
    async for message in socket_:
        await socket_.send_str(f"you said {message.data}")
    return socket_


async def count(request: web.Request) -> web.Response:
    size = 0
    async for piece in request.content.iter_any():
        size += len(piece)
    return web.Response(text=str(size))


async def plenty(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(64):
        await response.write(bytes(1 << 18))
    return response


PAGE = '<html><a href="/login?x=1">in</a><img src=\'/logo.png\'><a href="rest">r</a><script>a="</a>"</script></html>'


def redirect(where: str) -> Callable[[web.Request], Any]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": where.replace("HOST", request.host)})

    return answer


async def packed(request: web.Request) -> web.Response:
    headers = {"Content-Type": "text/html", "Content-Encoding": "gzip"}
    return web.Response(body=gzip.compress(PAGE.encode()), headers=headers)


async def page(request: web.Request) -> web.Response:
    return web.Response(text=PAGE, content_type="text/html")


class Backend:
    """A web server on a port of this machine, as a pod would have it."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.io = IoLoop()
        self.port = self.io.call(self._start(context)).result(10)

    async def _start(self, context: ssl.SSLContext | None) -> int:
        app = web.Application(client_max_size=1 << 26)
        app[GO] = asyncio.Event()
        places = {"/to/root": "/login", "/to/host": "http://HOST/login/", "/to/other": "http://example.com/x"}
        for path, where in {**places, "/to/relative": "login"}.items():
            app.router.add_get(path, redirect(where))
        for path, handler in {"/drip": drip, "/go": go, "/talk": talk, "/page": page, "/packed": packed}.items():
            app.router.add_get(path, handler)
        app.router.add_get("/plenty", plenty)
        app.router.add_post("/count", count)
        app.router.add_route("*", "/{path:.*}", show)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, auto_decompress=False)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=context).start()
        return int(self.runner.addresses[0][1])

    def close(self) -> None:
        self.io.call(self.runner.cleanup()).result(10)
        self.io.close()


class SocketNode:
    """A node whose pods' ports are those of servers on this machine."""

    def __init__(self) -> None:
        self.ports: dict[int, int] = {}

    def get_port_forward(self, pod: Object) -> Callable[[int], SocketConnection]:
        def opened(port: int) -> SocketConnection:
            if port not in self.ports:
                raise RuntimeFailure("PortForwardError", f"dial tcp 10.1.2.3:{port}: connect: connection refused")
            return connect("127.0.0.1", self.ports[port])

        return opened


class OpenGate:
    """Lets everybody in as the administrator: who may do what is tested elsewhere."""

    def identify(self, certificate: Any, headers: Any, path: str) -> User:
        return ADMIN

    def check_path(self, user: User, verb: str, path: str) -> None:
        """Everybody may."""


class Locked:
    """The apiserver under a lock, as the cluster's own entrance has it."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.lock = threading.RLock()

    def handle(self, request: Request) -> Any:
        with self.lock:
            answer = self.server.handle(request)
        if isinstance(answer, Exchange):
            answer.begin()
            return answer.result(10)
        return answer

    def kinds(self) -> Any:
        return self.server.kinds()


class Lab:
    """An apiserver with one pod `web` whose port 80 is the backend's, 443 the same over TLS, 9 nobody's."""

    def __init__(self) -> None:
        server = ApiServer(MemoryStore(), RealClock(), dice=random.Random(0), service_cidr="10.96.0.0/16")
        server.bootstrap()
        self.client = Client(Locked(server))
        self.node, self.rude = SocketNode(), rude()
        server.connect_node("node-1", self.node)  # type: ignore[arg-type]
        self.backend, self.secret = Backend(), Backend(tls_context())
        self.node.ports = {80: self.backend.port, 443: self.secret.port, 22: self.rude.getsockname()[1]}
        spec = {"nodeName": "node-1", "containers": [{"name": "main", "image": "nginx"}]}
        pod = self.client.create("pods", {"metadata": {"name": "web"}, "spec": spec}, "default")
        self.client.update_status("pods", {**pod, "status": {**pod["status"], "podIP": "10.1.2.3"}})
        self.https = HttpsServer(self.client.transport, OpenGate(), server.clock, None)
        self.https.proxy = proxier(self.client.transport)
        self.port = self.https.start()

    @contextmanager
    def ask(self, path: str, method: str = "GET", **options: Any) -> Iterator[HTTPResponse]:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method, path, **options)
            with connection.getresponse() as answer:
                yield answer

    def text(self, path: str, method: str = "GET", **options: Any) -> str:
        with self.ask(path, method, **options) as answer:
            return answer.read().decode()

    def shown(self, path: str, method: str = "GET", **options: Any) -> Object:
        seen: Object = json.loads(self.text(path, method, **options))
        return seen

    def close(self) -> None:
        self.https.close()
        self.backend.close()
        self.secret.close()
        self.rude.close()


def tls_context() -> ssl.SSLContext:
    """A certificate that nobody knows, as a pod makes it for itself."""
    import tempfile

    certificate, key = Identity(RealClock()).issue_serving("10.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(certificate + key)
        file.flush()
        context.load_cert_chain(file.name)
    return context


def rude() -> socket.socket:
    """Says something that is no HTTP to everybody, and goes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def greet() -> None:
        while True:
            try:
                other, _ = listener.accept()
            except OSError:
                return
            other.sendall(b"SSH-2.0-OpenSSH_9.0\r\n\r\n")
            other.close()

    threading.Thread(target=greet, daemon=True).start()
    return listener


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    made = Lab()
    yield made
    made.close()


@pytest.mark.process
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_method_path_query_and_body_arrive_as_they_were_sent(lab: Lab, method: str) -> None:
    body = None if method == "GET" else "some text"
    seen = lab.shown(f"{POD}/a%2Fb/c%20d/?q=1&q=2&watch=true", method, body=body)
    assert (seen["method"], seen["path"]) == (method, "/a%2Fb/c%20d/?q=1&q=2&watch=true")
    assert seen["body"] == (body or "")


@pytest.mark.process
def test_a_head_has_no_body(lab: Lab) -> None:
    with lab.ask(f"{POD}/", "HEAD") as answer:
        assert answer.status == 200 and answer.getheader("X-Kept") == "yes" and answer.read() == b""


@pytest.mark.process
def test_headers_go_through_except_those_of_the_connection_and_credentials(lab: Lab) -> None:
    """`httputil.ReverseProxy`; `withAuthentication` removes the Authorization header."""
    sent = {"X-Mine": "1", "Authorization": "Bearer secret", "Connection": "X-Hop", "X-Hop": "1", "TE": "trailers",
            "Impersonate-User": "somebody", "Host": "localhost:8001"}  # fmt: skip
    with lab.ask(f"{POD}/", headers=sent) as answer:
        seen = json.loads(answer.read())["headers"]
        assert answer.getheader("X-Kept") == "yes" and answer.getheader("Keep-Alive") is None
    assert seen["X-Mine"] == "1" and seen["Host"] == "localhost:8001"
    assert not {"Authorization", "X-Hop", "Te", "TE", "Impersonate-User"} & set(seen)
    assert seen["X-Forwarded-Uri"] == f"{POD}/" and seen["X-Forwarded-For"] == "127.0.0.1"


@pytest.mark.process
def test_a_body_in_pieces_and_a_large_one_arrive(lab: Lab) -> None:
    pieces = iter([b"x" * 1000] * 100)
    assert lab.text(f"{POD}/count", "POST", body=pieces, encode_chunked=True) == "100000"
    assert lab.text(f"{POD}/count", "POST", body=bytes(8 << 20)) == str(8 << 20)
    with lab.ask(f"{POD}/plenty") as answer:
        assert len(answer.read()) == 64 << 18


@pytest.mark.process
def test_a_packed_body_stays_what_it_says_it_is(lab: Lab) -> None:
    seen = lab.shown(f"{POD}/", "POST", body=gzip.compress(b"plain"), headers={"Content-Encoding": "gzip"})
    assert gzip.decompress(bytes.fromhex(seen["hex"])) == b"plain" and seen["headers"]["Content-Encoding"] == "gzip"


@pytest.mark.process
def test_an_answer_comes_piece_by_piece(lab: Lab) -> None:
    with lab.ask(f"{POD}/drip") as answer:
        assert answer.readline() == b"first\n"
        lab.text(f"{POD}/go")
        assert answer.read() == b"second\n"


@pytest.mark.process
def test_a_path_without_a_slash_is_sent_to_the_one_with_it(lab: Lab) -> None:
    """`proxyRedirectsforRootPath` in apimachinery/pkg/util/proxy/upgradeaware.go."""
    with lab.ask(f"{POD}?a=b") as answer:
        assert (answer.status, answer.getheader("Location")) == (301, f"{POD}/?a=b")
    assert lab.shown(POD, "POST")["path"] == "/"


@pytest.mark.process
@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/to/root", f"{POD}/login"),
        ("/to/host", f"{POD}/login/"),
        ("/to/other", "http://example.com/x"),
        ("/to/relative", "login"),
    ],
)
def test_a_redirect_leads_through_the_proxy_again(lab: Lab, path: str, where: str) -> None:
    """`Transport.rewriteURL` in apimachinery/pkg/util/proxy/transport.go."""
    with lab.ask(POD + path) as answer:
        assert (answer.status, answer.getheader("Location")) == (302, where)


@pytest.mark.process
@pytest.mark.parametrize("path", ["/page", "/packed"])
def test_the_links_of_a_page_lead_through_the_proxy(lab: Lab, path: str) -> None:
    expected = PAGE.replace('"/login', f'"{POD}/login').replace("'/logo", f"'{POD}/logo")
    assert lab.text(POD + path) == expected


@pytest.mark.process
def test_a_websocket_goes_through(lab: Lab) -> None:
    async def converse() -> list[str]:
        from aiohttp import ClientSession

        async with ClientSession() as session, session.ws_connect(f"http://127.0.0.1:{lab.port}{POD}/talk") as socket_:
            said = []
            for word in ("one", "two"):
                await socket_.send_str(word)
                said.append((await socket_.receive(10)).data)
            return said

    assert asyncio.run(converse()) == ["you said one", "you said two"]


@pytest.mark.process
def test_a_pod_that_speaks_tls_is_believed(lab: Lab) -> None:
    assert lab.shown(POD.replace("web:80", "https:web:443") + "/safe")["path"] == "/safe"
    assert lab.client.proxy("pods", "https:web:443", "/safe", "default").status == 200


@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("web:9", "error trying to reach service: dial tcp 10.1.2.3:9: connect: connection refused"),
        ("web:22", "error trying to reach service: malformed HTTP response"),
        ("https:web:80", "error trying to reach service: http: server gave HTTP response to HTTPS client"),
    ],
)
def test_a_pod_that_cannot_be_asked_is_a_status(lab: Lab, name: str, words: str) -> None:
    with lab.ask(POD.replace("web:80", name) + "/") as answer:
        status = json.loads(answer.read())
        assert answer.status == 503 and status["reason"] == "ServiceUnavailable" and words in status["message"]


@pytest.mark.process
def test_a_caller_in_the_kernel_gets_the_whole_answer(lab: Lab) -> None:
    answer = lab.client.proxy("pods", "web:80", "/x?y=z", "default", method="POST", body=b"hello", headers={"A": "b"})
    seen = json.loads(answer.body)
    assert (seen["method"], seen["path"], seen["body"], seen["headers"]["A"]) == ("POST", "/x?y=z", "hello", "b")
    assert answer.headers["x-kept"] == "yes"


# links


def test_a_page_cut_anywhere_comes_out_the_same() -> None:
    origin = Origin(prefix="/p", here="h", there="t")
    expected = PAGE.replace('"/login', '"/p/login').replace("'/logo", "'/p/logo").encode()
    for size in (1, 2, 3, 7, 50):
        rewriter = LinkRewriter(origin, [("Content-Type", "text/html")])
        pieces = [PAGE[at : at + size].encode() for at in range(0, len(PAGE), size)]
        assert b"".join([*map(rewriter.feed, pieces), rewriter.close()]) == expected


@pytest.mark.parametrize(
    "text",
    ["a < b", "<", "<!-- <a href='/x'> -->", "<a href='//cdn/x'>", "<a data-href='/x'>",
     "<script>'<a href=\"/x\">'</script>", "<p title='/x'>", "<a href='#x'>", "<a href", "<!doctype html>", "<a href='http://h:1:2/['>"],
)  # fmt: skip
def test_what_is_no_link_to_this_host_stays(text: str) -> None:
    rewriter = LinkRewriter(Origin("/p", "h", "t"), [("Content-Type", "text/html; charset=utf-8")])
    assert rewriter.feed(text.encode()) + rewriter.close() == text.encode()


# kubectl proxy


KUBECTLS = sorted(Path(shutil.which("kubectl") or "/nowhere").resolve().parent.glob("kubectl.1.*"))
CHOSEN = [path for path in KUBECTLS if path.name in ("kubectl.1.27", "kubectl.1.33")] or KUBECTLS[-1:]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Path]]:
    config = tmp_path_factory.mktemp("doors") / "config"
    with Cluster("proxied", nodes=1, runtime="process") as made:
        container = {"name": "main", "image": "nginx", "ports": [{"containerPort": 80}]}
        pod = {"metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {"containers": [container]}}
        made.client.create("pods", pod, "default")
        serve(made.client, "web", [{"name": "http", "port": 80}])
        config.write_text(made.kubeconfig)
        assert made.wait(lambda: reachable(made), 30)
        yield made, config


def reachable(cluster: Cluster) -> bool:
    slices = cluster.client.items("endpointslices", "default", labelSelector="kubernetes.io/service-name=web")
    return any(end["conditions"].get("ready") for one in slices for end in one.get("endpoints") or ())


@pytest.mark.process
@pytest.mark.skipif(not CHOSEN, reason="optional: no kubectl is installed")
@pytest.mark.parametrize("kubectl", CHOSEN, ids=lambda path: path.name)
def test_kubectl_proxy_shows_a_services_page(served: tuple[Cluster, Path], kubectl: Path) -> None:
    words = [str(kubectl), f"--kubeconfig={served[1]}", "proxy", "--port=0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            base = "http://" + process.stdout.readline().split()[-1]
            for place in ("services/web:http", "services/web:80", "pods/web:80", "pods/web"):
                assert "nginx" in fetched(f"{base}/api/v1/namespaces/default/{place}/proxy/")
            assert fetched(f"{base}/api/v1/nodes/node-1/proxy/healthz") == "ok"
            with pytest.raises(urllib.error.HTTPError) as refused:
                fetched(f"{base}/api/v1/namespaces/default/services/web:81/proxy/")
            with refused.value:
                assert refused.value.code == 503
        finally:
            process.terminate()


@pytest.mark.process
@pytest.mark.skipif(not CHOSEN, reason="optional: no kubectl is installed")
@pytest.mark.parametrize("kubectl", CHOSEN, ids=lambda path: path.name)
def test_kubectl_reads_through_the_proxy_with_get_raw(served: tuple[Cluster, Path], kubectl: Path) -> None:
    def raw(path: str) -> str:
        words = [str(kubectl), f"--kubeconfig={served[1]}", "get", "--raw", path]
        return subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout

    assert "nginx" in raw("/api/v1/namespaces/default/pods/web:80/proxy/")
    page = json.loads(raw("/api/v1/nodes/node-1/proxy/stats/summary"))
    web = next(pod for pod in page["pods"] if pod["podRef"]["name"] == "web")
    assert web["containers"][0]["memory"]["workingSetBytes"] > 1 << 20


def fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


@pytest.mark.process
def test_processor_time_is_what_a_real_process_used(served: tuple[Cluster, Path]) -> None:
    cluster = served[0]
    spin = {"name": "main", "image": "busybox", "command": ["sh", "-c", "while true; do :; done"]}
    spec = {"containers": [spin], "terminationGracePeriodSeconds": 0}
    cluster.client.create("pods", {"metadata": {"name": "spin"}, "spec": spec}, "default")
    try:
        assert cluster.wait(lambda: "running" in state(cluster, "spin"), 20)
        before = used(cluster, "spin")
        time.sleep(1.0)
        assert 0.1e9 < used(cluster, "spin") - before < 2e9
    finally:
        cluster.client.delete("pods", "spin", "default", gracePeriodSeconds=0)


def state(cluster: Cluster, name: str) -> Object:
    statuses = cluster.client.get("pods", name, "default")["status"].get("containerStatuses") or [{"state": {}}]
    found: Object = statuses[0]["state"]
    return found
