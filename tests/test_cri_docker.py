"""The Docker runtime: what it does beyond the contract, on a real engine."""

from __future__ import annotations

import contextlib
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("cri_contract")

from cri_contract import Rig, docker_image  # noqa: E402

from k8snb.cri import EXITED, RuntimeFailure, RuntimeUnavailable  # noqa: E402
from k8snb.cri.docker import DockerRuntime, engine_answers, has_images  # noqa: E402
from k8snb.cri.docker_engine import connected, explain_pull, explain_start, pull, translated  # noqa: E402
from k8snb.cri.docker_network import LOOPBACK_RANGES, ServiceNetwork, host_ranges  # noqa: E402
from k8snb.cri.security import SecurityContext  # noqa: E402

CLUSTER = "k8snb-test"
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def api() -> Iterator[Any]:
    with connected() as found:
        yield found


@pytest.fixture
def rig(api: Any) -> Iterator[Rig]:
    with docker_image(api, "busybox:latest") as image:
        runtime = DockerRuntime(CLUSTER)
        yield Rig(runtime, shell=image, patience=30.0)
        runtime.close()


def of_cluster(api: Any, cluster: str) -> list[str]:
    """What the engine holds of a cluster."""
    label = {"label": [f"io.k8snb.cluster={cluster}"]}
    return [row["Id"] for row in [*api.containers(all=True, filters=label), *api.networks(filters=label)]]


def ip_of(rig: Rig, container: str) -> str:
    return rig.runtime.pod_sandbox_status(rig.runtime.container_status(container).sandbox_id).ip


def log(rig: Rig, container: str) -> str:
    rig.finished(container)
    return rig.read(rig.runtime.container_logs(container)).decode()


def in_another_process(code: str) -> subprocess.Popen[str]:
    """A Python of its own that runs `code` with a DockerRuntime's parts imported."""
    head = "import os, sys, time\nfrom k8snb.cri import *\nfrom k8snb.cri.docker import DockerRuntime\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


POD = f"""
runtime = DockerRuntime("{CLUSTER}-dead", janitor=janitor)
runtime.add_node("n")
runtime.run_pod_sandbox(PodSandboxConfig(name="p", namespace="default", uid="u", node="n"))
print("ready", flush=True)
"""


# choosing an engine


def test_asking_for_an_engine_that_is_not_there_is_quick_and_loads_nothing(tmp_path: Path) -> None:
    began = time.monotonic()
    assert engine_answers(f"unix://{tmp_path}/docker.sock", timeout=60) is None
    assert time.monotonic() - began < 30
    code = "import sys; from k8snb.cri.docker import engine_answers; engine_answers(); print('docker' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "False\n"


def test_a_socket_that_says_nothing_is_no_engine_after_the_timeout(tmp_path: Path) -> None:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as silent:
        silent.bind(str(tmp_path / "docker.sock"))
        silent.listen()
        assert engine_answers(f"unix://{tmp_path}/docker.sock", timeout=0.3) is None


def test_a_runtime_without_an_engine_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match="start Docker, or use the process runtime"):
        DockerRuntime(CLUSTER, base_url=f"unix://{tmp_path}/docker.sock")


@pytest.mark.docker
def test_an_engine_says_its_version_and_whether_it_has_images(api: Any) -> None:
    assert engine_answers() == api.version()["Version"]
    with docker_image(api, "k8snb-test:here") as image:
        assert has_images([image])
        assert not has_images([image, "k8snb-test:not-here"])


# errors in plain words


class Engine(BaseHTTPRequestHandler):
    """An engine that knows no image, and goes away in the middle of a pull."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        found = self.path.endswith("/version")
        body = b'{"Version": "24.0", "ApiVersion": "1.43"}' if found else b'{"message": "server error"}'
        self.send_response(200 if found else 500)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b'11\r\n{"status": "..."}')
        self.close_connection = True

    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture
def engine() -> Iterator[str]:
    """Where an engine of ours listens."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Engine) as server:
        server.block_on_close, server.daemon_threads = False, True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_an_engine_that_refuses_is_there_and_one_that_has_gone_is_not(engine: str) -> None:
    with connected(engine) as api:
        with pytest.raises(RuntimeFailure, match="server error") as refused, translated("Reason", "cannot ask"):
            api.inspect_image("nginx")
        assert not isinstance(refused.value, RuntimeUnavailable)
        api.base_url = "http://127.0.0.1:1"
        with pytest.raises(RuntimeUnavailable, match="is Docker still running"), translated("Reason", "cannot ask"):
            api.inspect_image("nginx")


def test_an_engine_that_goes_away_in_the_middle_of_a_pull_says_nothing_of_the_image(engine: str) -> None:
    with pytest.raises(RuntimeUnavailable, match="is Docker still running"):
        pull(engine, "nginx:1.7.9", silence=5.0)


@pytest.mark.parametrize(
    ("text", "reason", "words"),
    [
        ("dial tcp: lookup registry-1.docker.io: no such host", "ErrImagePull", "is this machine on the internet"),
        ("dial tcp 127.0.0.1:5000: connect: connection refused", "ErrImagePull", "nothing answers"),
        ("net/http: request canceled (Client.Timeout exceeded)", "ErrImagePull", "did not answer in time"),
        ("pull access denied for x, repository does not exist", "ErrImagePull", "needs a login"),
        ("unauthorized: authentication required", "ErrImagePull", "needs a login"),
        ("Head https://x/v2/shop/manifests/1: no basic auth credentials", "ErrImagePull", "needs a login"),
        ("Get https://x/v2/: EOF", "ErrImagePull", "broke the connection off"),
        ("manifest for nginx:1.161 not found: manifest unknown", "ErrImagePull", "no such image or tag"),
        ("toomanyrequests: You have reached your pull rate limit", "ErrImagePull", "limit"),
        ("invalid reference format: repository name must be lowercase", "InvalidImageName", "lower case"),
        ("something nobody has seen", "ErrImagePull", "something nobody has seen"),
    ],
)
def test_a_failed_pull_is_explained_in_one_line(text: str, reason: str, words: str) -> None:
    failure = explain_pull("some/image:1", text)
    assert failure.reason == reason
    assert words in failure.message
    assert failure.message.startswith('failed to pull image "some/image:1": ')


def test_a_failed_start_is_explained_without_the_layers_of_the_oci_runtime() -> None:
    text = (
        "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "
        'exec: "serve": executable file not found in $PATH: unknown'
    )
    assert explain_start(text).startswith('cannot run "serve": executable file not found in $PATH: check')


@pytest.mark.docker
def test_a_registry_that_is_not_there_is_an_image_pull_error(rig: Rig) -> None:
    with pytest.raises(RuntimeFailure, match="nothing answers at the registry"):
        rig.runtime.pull_image("localhost:1/app:1")
    with pytest.raises(RuntimeFailure) as failure:
        rig.runtime.pull_image("Not An Image")
    assert failure.value.reason == "InvalidImageName"


@pytest.mark.docker
def test_a_program_that_is_not_in_the_image_cannot_run(rig: Rig) -> None:
    container = rig.create("/no/such/program")
    with pytest.raises(RuntimeFailure, match='cannot run "/no/such/program": no such file or directory') as failure:
        rig.runtime.start_container(container)
    assert failure.value.reason == "RunContainerError"
    status = rig.runtime.container_status(container)
    assert (status.state, status.reason, status.exit_code) == (EXITED, "ContainerCannotRun", 127)
    assert "cannot run" in status.message


@pytest.mark.docker
def test_an_exec_of_a_program_that_is_not_there_is_not_found(rig: Rig) -> None:
    result = rig.runtime.exec_sync(rig.run("sleep", "60"), ["psql"], 5)
    assert result.exit_code in (126, 127)


# a pod


@pytest.mark.docker
def test_containers_of_a_pod_share_address_and_hostname(rig: Rig) -> None:
    sandbox = rig.sandbox(hostname="web-0")
    rig.run("sh", "-c", "mkdir /tmp/www; hostname > /tmp/www/index.html; httpd -f -p 8080 -h /tmp/www", sandbox=sandbox)
    script = "until wget -qO- http://localhost:8080/; do sleep 0.1; done; hostname"
    client = rig.run("sh", "-c", script, sandbox=sandbox, name="client")
    assert log(rig, client).splitlines()[-2:] == ["web-0", "web-0"]


@pytest.mark.docker
@pytest.mark.parametrize("shared", [True, False])
def test_processes_are_shared_only_when_the_pod_asks_for_it(rig: Rig, shared: bool) -> None:
    sandbox = rig.sandbox(share_process_namespace=shared)
    rig.run("sleep", "12345", sandbox=sandbox)
    assert ("sleep 12345" in log(rig, rig.run("ps", sandbox=sandbox, name="look"))) == shared


@pytest.mark.docker
def test_pods_of_different_nodes_and_the_host_reach_each_other_by_address(rig: Rig) -> None:
    serve = "mkdir /tmp/www; echo found > /tmp/www/index.html; httpd -f -p 8080 -h /tmp/www"
    ip = ip_of(rig, rig.run("sh", "-c", serve, sandbox=rig.sandbox("node-1")))
    script = f"until wget -qO- http://{ip}:8080/; do sleep 0.1; done"
    assert log(rig, rig.run("sh", "-c", script, sandbox=rig.sandbox("node-2"))).endswith("found\n")
    with urllib.request.urlopen(f"http://{ip}:8080/", timeout=5) as answer:
        assert answer.read() == b"found\n"


@pytest.mark.docker
def test_dns_settings_reach_the_pod(rig: Rig, api: Any) -> None:
    sandbox = rig.sandbox(
        dns_servers=["10.96.0.10"], dns_searches=["default.svc.cluster.local"], dns_options=["ndots:5"]
    )
    text = log(rig, rig.run("cat", "/etc/resolv.conf", sandbox=sandbox))
    assert "search default.svc.cluster.local" in text
    assert "ndots:5" in text
    assert api.inspect_container(sandbox)["HostConfig"]["Dns"] == ["10.96.0.10"]


@pytest.mark.docker
def test_limits_user_and_read_only_root_are_the_engine_s(rig: Rig, api: Any) -> None:
    container = rig.run(
        "sh", "-c", "id -u; touch /x", memory_limit=64 << 20, cpu_limit=0.5, cpu_request=0.25,
        security=SecurityContext(run_as_user=1234, read_only_root=True),
    )  # fmt: skip
    host = api.inspect_container(container)["HostConfig"]
    assert (host["Memory"], host["MemorySwap"], host["CpuQuota"], host["CpuShares"]) == (64 << 20, 64 << 20, 50000, 256)
    assert sorted(log(rig, container).splitlines()) == ["1234", "touch: /x: Read-only file system"]


@pytest.mark.docker
def test_too_much_memory_is_oom_killed(rig: Rig) -> None:
    status = rig.finished(rig.run("tail", "/dev/zero", memory_limit=16 << 20))
    assert (status.reason, status.exit_code) == ("OOMKilled", 137)


@pytest.mark.docker
def test_an_address_is_free_again_once_its_pod_is_removed(rig: Rig) -> None:
    sandboxes = [rig.sandbox() for _ in range(2)]
    first = rig.runtime.pod_sandbox_status(sandboxes[0]).ip
    rig.runtime.remove_pod_sandbox(sandboxes[0])
    pods = rig.runtime._pods  # type: ignore[attr-defined]
    assert first in [pods.take("node-1") for _ in range(252)]


@pytest.mark.docker
def test_many_calls_at_a_time_do_not_disturb_each_other(rig: Rig) -> None:
    container = rig.run("sleep", "60")

    def call(number: int) -> bytes:
        return rig.runtime.exec_sync(container, ["sh", "-c", f"echo {number}; sleep 0.1"], 20).stdout

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(call, range(16))) == [f"{number}\n".encode() for number in range(16)]


@pytest.mark.docker
def test_an_exec_s_large_output_is_complete(rig: Rig) -> None:
    script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done"
    lines = rig.runtime.exec_sync(rig.run("sleep", "60"), ["sh", "-c", script], 30).stdout.splitlines()
    assert (len(lines), lines[-1]) == (20000, b"line 19999")


# services


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f"you are {self.client_address[0]}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the test's output."""


class _Server(socketserver.TCPServer):
    allow_reuse_address = True


@pytest.mark.docker
def test_a_pod_reaches_what_the_host_serves_at_a_cluster_ip(rig: Rig) -> None:
    runtime = rig.runtime
    assert isinstance(runtime, DockerRuntime)
    if not runtime.open_service_network():
        pytest.skip("only root on Linux may add the route for ClusterIPs")
    address = f"{runtime.service_cidr.rsplit('.', 1)[0]}.77"
    with _Server((address, 8080), _Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = rig.run("wget", "-qO-", f"http://{address}:8080/")
        assert log(rig, client) == f"you are {ip_of(rig, client)}\n"
        server.shutdown()
    runtime.close()
    assert runtime.service_cidr not in map(str, host_ranges())


def test_without_the_right_to_add_routes_services_move_to_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    services = ServiceNetwork()
    assert services.cidr.startswith("10.")
    assert not services.open()
    assert services.cidr in LOOPBACK_RANGES
    assert "not inside pods" in services.note
    with contextlib.closing(socket.socket()) as bound:
        bound.bind((services.cidr.rsplit(".", 1)[0] + ".77", 0))
    services.close()


# what belongs to whom


@pytest.mark.docker
def test_what_has_not_our_label_is_left_alone(rig: Rig, api: Any) -> None:
    stranger = api.create_container(rig.shell, ["sleep", "60"])["Id"]
    try:
        api.start(stranger)
        rig.run("sleep", "60")
        rig.runtime.close()
        assert of_cluster(api, CLUSTER) == []
        assert api.inspect_container(stranger)["State"]["Running"]
    finally:
        api.remove_container(stranger, force=True)


@pytest.mark.docker
def test_two_clusters_have_networks_of_their_own_and_end_alone(rig: Rig, api: Any) -> None:
    other = DockerRuntime(f"{CLUSTER}-2")
    try:
        assert other.add_node("node-1") != rig.runtime.add_node("node-1")
        kept = rig.run("sleep", "60")
    finally:
        other.close()
    assert of_cluster(api, f"{CLUSTER}-2") == []
    assert api.inspect_container(kept)["State"]["Running"]


@pytest.mark.docker
def test_what_a_dead_kernel_left_is_removed_by_the_next_cluster_of_that_name(api: Any) -> None:
    with in_another_process("janitor = None" + POD + "os._exit(1)") as dead:
        assert dead.communicate(timeout=60)[0] == "ready\n"
    left = of_cluster(api, f"{CLUSTER}-dead")
    assert len(left) == 2
    DockerRuntime(f"{CLUSTER}-dead").close()
    assert of_cluster(api, f"{CLUSTER}-dead") == []


@pytest.mark.docker
def test_a_name_that_a_living_kernel_uses_is_refused(api: Any) -> None:
    code = "janitor = None" + POD + "sys.stdin.read()\nruntime.close()"
    with in_another_process(code) as alive:
        assert alive.stdout is not None
        assert alive.stdout.readline() == "ready\n"
        with pytest.raises(RuntimeFailure, match="already running on this Docker engine"):
            DockerRuntime(f"{CLUSTER}-dead")
        alive.communicate(timeout=60)
    assert of_cluster(api, f"{CLUSTER}-dead") == []


@pytest.mark.docker
@pytest.mark.process
def test_a_janitor_clears_up_after_a_kernel_that_is_killed(api: Any) -> None:
    code = "from k8snb.cri.janitor import Janitor\njanitor = Janitor()" + POD + "os.kill(os.getpid(), 9)"
    with in_another_process(code) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "ready\n"
    end = time.monotonic() + 30
    while of_cluster(api, f"{CLUSTER}-dead"):
        assert time.monotonic() < end
        time.sleep(0.2)
