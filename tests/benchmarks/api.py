"""How fast the API answers: over HTTPS to real clients, and inside the kernel.

Interface: `main()` prints one line per figure: what, measured, target, whether it is met.
The rule not to break: the server and its clients are two processes, as they are in life, and a client costs as little
as it can: requests are bytes made beforehand, and answers are not parsed.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import re
import selectors
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

KUBECTL_RUNS = 15
GETS = 3_000
CREATES = 1_000
KERNEL_CREATES = 8_000
KERNEL_GETS = 100_000
CONNECTIONS = 4
WATCHERS = 100
WRITES = 100
WRITE_EVERY = 0.05  # seconds
MANY = 10_000
SETTLE_SECONDS = 5.0
MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"

# A cluster in a process of its own, told by lines on stdin: `pods NAMESPACE COUNT` makes pods that nobody schedules,
# `gap` answers the longest time in seconds in which its pump did not turn.
SERVE = """
import json, sys
from k8snb import Cluster
worst = last = 0.0
def beat():
    global worst, last
    now = cluster.clock.now()
    worst, last = max(worst, now - last - 0.01), now
    cluster.clock.after(0.01, beat)
with Cluster("bench", nodes=1, runtime="simulated") as cluster:
    print(json.dumps(cluster.kubeconfig), flush=True)
    last = cluster.clock.now()
    cluster.pump.post(beat)
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "pods":
            if cluster.client.find("namespaces", rest[0]) is None:
                cluster.client.create("namespaces", {"metadata": {"name": rest[0]}})
            for number in range(int(rest[1])):
                cluster.client.create("pods", {"metadata": {"name": f"pod-{number}", "namespace": rest[0]}, "spec": {
                    "schedulerName": "nobody", "containers": [{"name": "c", "image": "nginx:1.25"}]}})
        print(worst, flush=True)
        worst = 0.0
"""

# The floor: the same bytes for the same path, and nothing behind them.
CANNED = """
import asyncio, pickle, ssl, sys
answers, certificate = pickle.load(open(sys.argv[1], "rb")), sys.argv[2]
async def serve(reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            writer.write(answers[head.split()[1].decode().split("?")[0]])
    except (asyncio.IncompleteReadError, ConnectionError, KeyError):
        writer.close()
async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["http/1.1"])
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""

KERNEL = f"""
import time
from k8snb import Cluster
def per_second(count, act):
    began = time.perf_counter()
    for number in range(count):
        act(number)
    return count / (time.perf_counter() - began)
with Cluster("bench", nodes=1, runtime="simulated") as cluster:
    client = cluster.client
    def create(number):
        metadata = {{"name": f"cm-{{number}}", "namespace": "default"}}
        client.create("configmaps", {{"metadata": metadata, "data": {{"a": "b"}}}})
    print(per_second({KERNEL_CREATES}, create))
    time.sleep({SETTLE_SECONDS})
    print(per_second({KERNEL_GETS}, lambda number: client.get("configmaps", "cm-7", "default")))
"""


@dataclass(frozen=True)
class Figure:
    """One measured number. `target` is an upper bound, or a lower one where more is better."""

    what: str
    measured: float
    target: float
    unit: str
    more_is_better: bool = False

    def __str__(self) -> str:
        met = self.measured >= self.target if self.more_is_better else self.measured < self.target
        sign = ">=" if self.more_is_better else "<"
        verdict = "met" if met else "NOT met"
        return (
            f"{self.what:<60} {self.measured:>10,.2f} {self.unit:<2}  "
            f"target {sign} {self.target:,g} {self.unit:<2}  {verdict}"
        )


def main() -> None:
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors", flush=True)
    for figure in figures():
        print(figure, flush=True)


def figures() -> Iterator[Figure]:
    with served() as server:
        if newest_kubectl():
            server.tell("pods hundred 100")
            yield Figure("kubectl get pods of 100 pods, times kubectl's floor", kubectl_ratio(server), 1.3, "x")
        Connection(server).ask("POST", MAPS, {"metadata": {"name": "one"}, "data": {"a": "b"}})
        yield Figure("GET of one object over a kept connection, median", get_median(server) * 1000, 2.0, "ms")
        yield Figure(f"GET of one object over {CONNECTIONS} connections", rate(server, GETS, get_one), 1500, "/s", True)
        yield Figure(f"create over {CONNECTIONS} connections", rate(server, CREATES, create_one), 500, "/s", True)
        late = statistics.quantiles(watch_delays(server), n=100)
        yield Figure(f"a write reaches {WATCHERS} watchers, 99th percentile", late[98] * 1000, 10.0, "ms")
        yield Figure("  the same, median", late[49] * 1000, 10.0, "ms")
        server.tell(f"pods many {MANY}")
        seconds, gap = list_many(server)
        yield Figure(f"LIST of {MANY:,} pods as JSON", seconds, 1.5, "s")
        yield Figure("  the pump stands still meanwhile for", gap, 1.5, "s")
    created, got = (float(line) for line in run_python(KERNEL).split())
    yield Figure("create inside the kernel", created, 8000, "/s", True)
    yield Figure("get inside the kernel", got, 200_000, "/s", True)


# the server and the way to it


@dataclass
class Server:
    process: subprocess.Popen[str]
    kubeconfig: str
    port: int = 0
    context: ssl.SSLContext = field(default_factory=lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def tell(self, line: str) -> float:
        """A line for the server; the longest time that its pump stood still since the last one."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


@contextmanager
def served() -> Iterator[Server]:
    command = [sys.executable, "-c", SERVE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as it:
        assert it.stdin is not None and it.stdout is not None
        server = Server(it, json.loads(it.stdout.readline()))
        trust(server)
        try:
            yield server
        finally:
            it.stdin.close()
            it.wait(30)


def trust(server: Server) -> None:
    """Set up TLS as a client with this kubeconfig would."""
    config = yaml.safe_load(server.kubeconfig)
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    server.port = int(cluster["server"].rpartition(":")[2])
    authority, certificate, key = (
        base64.b64decode(part[f"{name}-data"]).decode()
        for part, name in ((cluster, "certificate-authority"), (user, "client-certificate"), (user, "client-key"))
    )
    server.context.load_verify_locations(cadata=authority)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "client.pem")
        path.write_text(certificate + key)
        server.context.load_cert_chain(path)


class Connection:
    """One kept-alive connection."""

    def __init__(self, server: Server) -> None:
        plain = socket.create_connection(("127.0.0.1", server.port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = server.context.wrap_socket(plain, server_hostname="127.0.0.1")

    def exchange(self, request: bytes) -> bytes:
        """The whole answer to a request. Raises RuntimeError for a refusal."""
        self.socket.sendall(request)
        answer = bytearray(self.socket.recv(65536))
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self.socket.recv(65536)
        if not answer.startswith(b"HTTP/1.1 20"):
            raise RuntimeError(answer.decode())
        length = re.search(rb"(?i)content-length: (\d+)", answer[:end])
        assert length is not None
        missing = int(length[1]) + end + 4 - len(answer)
        while missing > 0:
            piece = self.socket.recv(1 << 20)
            missing -= len(piece)
            answer += piece
        return bytes(answer)

    def ask(self, method: str, path: str, body: Any = None, accept: str = "application/json") -> bytes:
        return self.exchange(request_bytes(method, path, body, accept))


def request_bytes(method: str, path: str, body: Any = None, accept: str = "application/json") -> bytes:
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {accept}\r\nContent-Length: {len(data)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + data


def run_python(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True).stdout


# kubectl


def kubectl_ratio(server: Server) -> float:
    """How much longer kubectl takes here than against canned bytes: medians of runs that take turns."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (home / "real").write_text(server.kubeconfig)
        port = stack.enter_context(canned(server, home))
        cluster = {"server": f"https://127.0.0.1:{port}", "insecure-skip-tls-verify": True}
        floor = yaml.safe_load(server.kubeconfig)
        floor["clusters"][0]["cluster"] = cluster
        (home / "floor").write_text(yaml.safe_dump(floor))
        for name in ("real", "floor"):
            kubectl_seconds(home, name)  # fills the cache of discovery
        pairs = [(kubectl_seconds(home, "real"), kubectl_seconds(home, "floor")) for _ in range(KUBECTL_RUNS)]
    real, least = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    print(f"  kubectl: {real * 1000:.0f} ms here, {least * 1000:.0f} ms at least", flush=True)
    return real / least


@cache
def newest_kubectl() -> str:
    """The newest of those beside the kubectl on PATH, or that one; "" where there is none."""
    first = shutil.which("kubectl") or ""
    beside = Path(first).resolve().parent.glob("kubectl.1.*") if first else ()
    return max(map(str, beside), default=first)


def kubectl_seconds(home: Path, name: str) -> float:
    command = [newest_kubectl(), f"--kubeconfig={home / name}", "--namespace=hundred", "get", "pods"]
    began = time.perf_counter()
    said = subprocess.run(command, env={**os.environ, "HOME": str(home)}, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    if len(said.stdout.splitlines()) != 101:
        raise RuntimeError(said.stdout)
    return seconds


@contextmanager
def canned(server: Server, home: Path) -> Iterator[int]:
    """A server that answers what ours answered to kubectl once; its port."""
    connection = Connection(server)
    table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    documents = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    accepts = dict.fromkeys(("/api", "/apis"), documents)
    accepts |= {"/version": "application/json", PODS.replace("default", "hundred"): table}
    answers = {path: connection.ask("GET", path, accept=accept) for path, accept in accepts.items()}
    (home / "answers").write_bytes(pickle.dumps(answers))
    (home / "pem").write_text(self_signed())
    command = [sys.executable, "-c", CANNED, str(home / "answers"), str(home / "pem")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.terminate()


def self_signed() -> str:
    """A certificate and its key for the floor: of the same sort as the cluster's own."""
    from k8snb.apiserver import Identity
    from k8snb.clock import RealClock

    return "".join(Identity(RealClock()).issue_serving())


# requests


def get_one(worker: int, number: int) -> bytes:
    return request_bytes("GET", f"{MAPS}/one")


def create_one(worker: int, number: int) -> bytes:
    return request_bytes("POST", MAPS, {"metadata": {"name": f"made-{worker}-{number}"}, "data": {"a": "b"}})


def get_median(server: Server) -> float:
    connection, request = Connection(server), get_one(0, 0)
    return statistics.median(seconds_of(lambda: connection.exchange(request)) for _ in range(1000))


def seconds_of(act: Callable[[], Any]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def rate(server: Server, count: int, request: Callable[[int, int], bytes]) -> float:
    """Requests each second, over several connections at once."""
    lines = [(Connection(server), [request(worker, n) for n in range(count // CONNECTIONS)])
             for worker in range(CONNECTIONS)]  # fmt: skip
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        began = time.perf_counter()
        list(pool.map(lambda line: [line[0].exchange(each) for each in line[1]], lines))
        return count / (time.perf_counter() - began)


def list_many(server: Server) -> tuple[float, float]:
    """Seconds of one LIST, and for how long at most the pump stood still."""
    connection = Connection(server)
    time.sleep(SETTLE_SECONDS)  # what the pods' making left to do
    server.tell("gap")
    seconds = seconds_of(lambda: connection.ask("GET", PODS.replace("default", "many")))
    return seconds, server.tell("gap")


# watchers


def watch_delays(server: Server) -> list[float]:
    """Seconds from before a write was sent until each watcher had its event, for all of them."""
    with ThreadPoolExecutor(1) as pool:
        watchers = selectors.DefaultSelector()
        connections = [open_watch(server, watchers) for _ in range(WATCHERS)]
        time.sleep(0.5)
        writing = pool.submit(write_stamps, server)
        delays = read_stamps(watchers)
        writing.result(30)
        for connection in connections:
            connection.socket.close()
        watchers.close()
    return delays


def open_watch(server: Server, watchers: selectors.BaseSelector) -> Connection:
    connection = Connection(server)
    path = f"{MAPS}?watch=true&fieldSelector=metadata.name=stamp&timeoutSeconds=60"
    connection.socket.sendall(request_bytes("GET", path))
    if not connection.socket.recv(65536).startswith(b"HTTP/1.1 200"):
        raise RuntimeError("the watch was refused")
    connection.socket.setblocking(False)
    watchers.register(connection.socket, selectors.EVENT_READ)
    return connection


def write_stamps(server: Server) -> None:
    """Write the time of writing, now and again."""
    connection = Connection(server)
    for number in range(WRITES):
        method, path = ("PUT", f"{MAPS}/stamp") if number else ("POST", MAPS)
        stamp = f"<{time.perf_counter():.6f}>"
        connection.ask(method, path, {"metadata": {"name": "stamp"}, "data": {"stamp": stamp}})
        time.sleep(WRITE_EVERY)


def read_stamps(watchers: selectors.BaseSelector) -> list[float]:
    arrived: list[tuple[bytes, float]] = []
    seen = 0
    while seen < WATCHERS * WRITES:
        ready = watchers.select(10)
        if not ready:
            raise RuntimeError(f"{WATCHERS * WRITES - seen} events did not arrive")
        for key, _ in ready:
            with suppress(ssl.SSLWantReadError):
                arrived.append((key.fileobj.recv(65536), time.perf_counter()))  # type: ignore[union-attr]
                seen += arrived[-1][0].count(b'"stamp"')
    found = [(when, stamp) for data, when in arrived for stamp in re.findall(rb'"stamp":"<([\d.]+)>"', data)]
    return [when - float(stamp) for when, stamp in found]
