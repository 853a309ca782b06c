"""The process runtime, with real child processes and sockets."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from patience import PATIENCE, until

from k8snb.cri import (
    EXITED,
    RUNNING,
    SANDBOX_NOTREADY,
    ContainerConfig,
    ContainerStatus,
    Mount,
    PodSandboxConfig,
    RuntimeFailure,
    images,
)
from k8snb.cri.janitor import Janitor
from k8snb.cri.process import ProcessRuntime

NODE = "node-1"
FOREVER = ("sh", "-c", "sleep 1000")
HOG = ("stress", "--vm", "1", "--vm-bytes", "200M", "--vm-hang", "1")


class Lab:
    """A runtime with one node, and short ways to ask it."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.runtime = ProcessRuntime("lab", root, **options)
        self.runtime.add_node(NODE)
        self.count = 0

    def sandbox(self, name: str = "", **fields: Any) -> str:
        self.count += 1
        name = name or f"pod-{self.count}"
        config = PodSandboxConfig(name=name, namespace="default", uid=f"uid-{self.count}", node=NODE, **fields)
        return self.runtime.run_pod_sandbox(config)

    def create(self, image: str, *command: str, sandbox: str = "", name: str = "main", **fields: Any) -> str:
        self.runtime.pull_image(image)
        config = ContainerConfig(name=name, image=image, command=command, **fields)
        return self.runtime.create_container(sandbox or self.sandbox(), config)

    def run(self, image: str, *command: str, **fields: Any) -> str:
        container = self.create(image, *command, **fields)
        self.runtime.start_container(container)
        return container

    def end(self, container: str) -> ContainerStatus:
        """Wait until the container has ended."""
        until(lambda: self.runtime.container_status(container).state == EXITED)
        return self.runtime.container_status(container)

    def log(self, container: str) -> str:
        return b"".join(self.runtime.container_logs(container)).decode()

    def exec(self, container: str, *command: str, timeout: float = PATIENCE) -> str:
        result = self.runtime.exec_sync(container, command, timeout)
        return (result.stdout + result.stderr).decode()

    def address(self, container: str, port: int) -> tuple[str, int]:
        status = self.runtime.pod_sandbox_status(self.runtime.container_status(container).sandbox_id)
        return status.ip, status.port_map.get(port, port)

    def get(self, container: str, port: int = 80, path: str = "/") -> Any:
        """Ask a container's web server, which may still be starting."""
        host, number = self.address(container, port)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return urllib.request.urlopen(f"http://{host}:{number}{path}", timeout=5)
            except urllib.error.HTTPError as error:
                return error
            except OSError:
                assert time.monotonic() < deadline, self.log(container)
                time.sleep(0.01)


def processes_of(directory: Path) -> list[psutil.Process]:
    """The living processes whose environment names a container under this directory."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("K8SNB_ROOT", "").startswith(f"{directory}/"):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.runtime.close()


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Lab]:
    """A machine whose kernel allows no mount namespaces and no cgroups."""
    lab = Lab(tmp_path, mount_namespaces=False, cgroups=False)
    yield lab
    lab.runtime.close()


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Lab]:
    """A machine with one loopback address."""
    lab = Lab(tmp_path, single_address=True)
    yield lab
    lab.runtime.close()


@pytest.fixture(params=["lab", "narrow"])
def any_lab(request: pytest.FixtureRequest) -> Lab:
    lab: Lab = request.getfixturevalue(request.param)
    return lab


# the life of a container


@pytest.mark.process
def test_a_container_is_a_child_process_whose_output_is_logged(lab: Lab) -> None:
    container = lab.run("busybox", "sh", "-c", "echo Hello Kubernetes! && echo oh >&2 && sleep 1000")
    until(lambda: lab.log(container) == "Hello Kubernetes!\noh\n")
    status = lab.runtime.container_status(container)
    assert status.state == RUNNING
    assert status.started_at >= status.created_at > 0
    assert len(psutil.Process().children()) >= 2  # the janitor, and sh


@pytest.mark.process
@pytest.mark.parametrize(
    ("script", "exit_code", "reason"),
    [("true", 0, "Completed"), ("exit 3", 3, "Error"), ("kill -9 $$", 137, "Error")],
)
def test_an_exit_is_noticed_with_its_code_and_reason(lab: Lab, script: str, exit_code: int, reason: str) -> None:
    status = lab.end(lab.run("busybox", "sh", "-c", script))
    assert (status.exit_code, status.reason) == (exit_code, reason)
    assert status.finished_at >= status.started_at


@pytest.mark.process
def test_exits_are_noticed_where_there_is_no_pidfd(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    container = lab.run("busybox", "sh", "-c", "setsid sleep 1000 & exit 5")
    assert lab.end(container).exit_code == 5
    assert not processes_of(lab.runtime.directory)
    other = lab.run("busybox", *FOREVER)
    assert lab.runtime.exec_sync(other, ["sh", "-c", "exit 6"], 5).exit_code == 6
    with pytest.raises(RuntimeFailure, match="timed out"):
        lab.runtime.exec_sync(other, ["sleep", "1000"], 0.1)


@pytest.mark.process
def test_every_change_is_told_to_the_node_s_listener_with_the_pod_s_uid(lab: Lab) -> None:
    told: list[str] = []
    lab.runtime.events(NODE, told.append)
    container = lab.create("busybox", "true", sandbox=lab.sandbox())
    before = len(told)
    lab.runtime.start_container(container)
    lab.end(container)
    until(lambda: len(told) >= before + 2)
    assert set(told) == {"uid-1"}


@pytest.mark.process
def test_a_listener_that_fails_does_not_stop_the_shim(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    lab.runtime.events(NODE, lambda uid: 1 / 0)
    assert lab.end(lab.run("busybox", "true")).exit_code == 0
    assert lab.end(lab.run("busybox", "false")).exit_code == 1
    assert "ZeroDivisionError" in capfd.readouterr().err


@pytest.mark.process
def test_all_output_is_in_the_log_when_the_exit_is_told(lab: Lab) -> None:
    container = lab.run("busybox", "sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done")
    lab.end(container)
    assert lab.log(container).splitlines()[-1] == "line 19999"


@pytest.mark.process
def test_a_stop_asks_first_and_kills_when_the_time_is_over(lab: Lab) -> None:
    polite = lab.run("busybox", "sh", "-c", "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done")
    deaf = lab.run("busybox", "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done")
    until(lambda: lab.log(polite) and lab.log(deaf))
    lab.runtime.stop_container(polite, 10)
    assert lab.runtime.container_status(polite).exit_code == 7
    assert "bye" in lab.log(polite)
    lab.runtime.stop_container(deaf, 0.2)
    assert lab.runtime.container_status(deaf).exit_code == 137


@pytest.mark.process
@pytest.mark.parametrize("how", ["stop", "exit", "remove"])
def test_no_descendant_outlives_its_container(lab: Lab, how: str) -> None:
    script = "setsid sleep 1000 & (setsid sh -c 'sleep 1000; true' &); sleep 1000 & echo ready; "
    container = lab.run("busybox", "sh", "-c", script + ("exit 0" if how == "exit" else "wait"))
    until(lambda: "ready" in lab.log(container))
    if how == "exit":
        lab.end(container)
    elif how == "stop":
        assert len(processes_of(lab.runtime.directory)) >= 4
        lab.runtime.stop_container(container, 5)
    else:
        lab.runtime.remove_container(container)
    until(lambda: not processes_of(lab.runtime.directory))


@pytest.mark.process
def test_a_removed_pod_leaves_no_file(lab: Lab) -> None:
    sandbox = lab.sandbox()
    lab.run("busybox", "sh", "-c", "echo x > file; sleep 1000", sandbox=sandbox)
    lab.runtime.stop_pod_sandbox(sandbox)
    assert lab.runtime.pod_sandbox_status(sandbox).state == SANDBOX_NOTREADY
    assert [status.state for status in lab.runtime.list_containers(NODE)] == [EXITED]
    lab.runtime.remove_pod_sandbox(sandbox)
    assert lab.runtime.list_containers(NODE) == lab.runtime.list_pod_sandboxes(NODE) == []
    assert list((lab.runtime.directory / "pods").iterdir()) == list((lab.runtime.directory / "logs").iterdir()) == []


@pytest.mark.process
def test_stopping_and_removing_twice_is_no_matter(lab: Lab) -> None:
    container = lab.run("busybox", *FOREVER)
    sandbox = lab.runtime.container_status(container).sandbox_id
    for _ in range(2):
        lab.runtime.stop_container(container, 0)
        lab.runtime.stop_pod_sandbox(sandbox)
    for _ in range(2):
        lab.runtime.remove_container(container)
        lab.runtime.remove_pod_sandbox(sandbox)


@pytest.mark.process
def test_a_removed_node_takes_its_pods_along(lab: Lab) -> None:
    lab.run("busybox", *FOREVER)
    lab.runtime.remove_node(NODE)
    assert lab.runtime.list_containers(NODE) == []
    assert not processes_of(lab.runtime.directory)


@pytest.mark.process
def test_closing_ends_everything_and_a_closed_runtime_starts_nothing(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    created = lab.create("busybox", *FOREVER)
    for _ in range(5):
        lab.run("busybox", "sh", "-c", "trap '' TERM; sleep 1000")
    lab.runtime.close()
    lab.runtime.close()
    assert not processes_of(lab.runtime.directory)
    assert not lab.runtime.directory.exists()
    with pytest.raises(RuntimeFailure, match="closed"):
        lab.runtime.start_container(created)


@pytest.mark.process
def test_a_container_that_never_stops_writing_does_not_stop_the_others(lab: Lab) -> None:
    lab.run("busybox", "sh", "-c", "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done")
    flood = lab.run("busybox", "yes")
    assert lab.end(lab.run("busybox", "sh", "-c", "echo quiet")).reason == "Completed"
    until(lambda: next(lab.runtime.container_logs(flood), b"") == b"y\n")
    lab.runtime.stop_container(flood, 1)


@pytest.mark.process
def test_containers_at_rest_cost_the_kernel_nothing(lab: Lab) -> None:
    lab.get(lab.run("nginx"))
    lab.run("busybox", *FOREVER)

    def is_quiet() -> bool:
        before = time.process_time()
        time.sleep(0.5)
        return time.process_time() - before < 0.1

    until(is_quiet)


@pytest.mark.process
def test_a_container_over_its_memory_limit_is_killed(plain: Lab) -> None:
    lab = plain
    hog = lab.run("polinux/stress", *HOG)
    until(lambda: lab.runtime.container_stats(hog).memory_bytes > 200_000_000)
    lab.runtime.stop_container(hog, 0)
    limited = lab.run("polinux/stress", *HOG, memory_limit=100_000_000)
    status = lab.end(limited)
    assert (status.exit_code, status.reason) == (137, "OOMKilled")


@pytest.mark.process
def test_a_command_that_is_not_there_is_a_run_error(lab: Lab) -> None:
    container = lab.create("busybox", "foo")
    with pytest.raises(RuntimeFailure, match=r'exec: "foo": executable file not found in \$PATH') as refusal:
        lab.runtime.start_container(container)
    status = lab.runtime.container_status(container)
    assert refusal.value.reason == "RunContainerError"
    assert (status.state, status.exit_code, status.reason) == (EXITED, 127, "ContainerCannotRun")
    assert status.message == refusal.value.message


@pytest.mark.process
def test_an_image_has_to_be_pulled_before_it_is_used(lab: Lab) -> None:
    config = ContainerConfig(name="main", image="nginx:1.7.9")
    with pytest.raises(RuntimeFailure, match="has not been pulled"):
        lab.runtime.create_container(lab.sandbox(), config)
    assert lab.runtime.image_status("nginx:1.7.9") is None
    pulled = lab.runtime.pull_image("docker.io/library/nginx:1.7.9")
    assert lab.runtime.image_status("nginx:1.7.9") == pulled
    assert lab.runtime.list_images() == [pulled]


@pytest.mark.process
@pytest.mark.parametrize(
    ("image", "reason"), [("foo", "ErrImagePull"), ("nginx:nope", "ErrImagePull"), ("A:B:C", "InvalidImageName")]
)
def test_a_pull_that_fails_says_why(lab: Lab, image: str, reason: str) -> None:
    with pytest.raises(RuntimeFailure) as refusal:
        lab.runtime.pull_image(image)
    assert refusal.value.reason == reason


# no orphans

VICTIM = """
import sys, time
from pathlib import Path
from k8snb.cri import ContainerConfig, PodSandboxConfig
from k8snb.cri.process import ProcessRuntime
runtime = ProcessRuntime("victim", Path(sys.argv[1]) if sys.argv[1:] else None)
runtime.add_node("n")
for image, command in (("nginx", ()), ("busybox", ("sh", "-c", "trap '' TERM; setsid sleep 1000 & sleep 1000"))):
    runtime.pull_image(image)
    sandbox = runtime.run_pod_sandbox(PodSandboxConfig(name=image, namespace="d", uid=image, node="n"))
    runtime.start_container(runtime.create_container(sandbox, ContainerConfig(name="c", image=image, command=command)))
time.sleep(0.3)
print(runtime.directory, flush=True)
time.sleep(1000)
"""


@pytest.mark.process
@pytest.mark.parametrize("own_root", [True, False])
def test_nothing_remains_of_a_kernel_that_is_killed(tmp_path: Path, own_root: bool) -> None:
    (tmp_path / "precious").write_text("kept")
    arguments = [str(tmp_path)] if own_root else []
    victim = subprocess.Popen([sys.executable, "-c", VICTIM, *arguments], stdout=subprocess.PIPE, text=True)
    assert victim.stdout is not None
    directory = Path(victim.stdout.readline().strip())
    family = psutil.Process(victim.pid).children(recursive=True)
    assert len(processes_of(directory)) >= 4
    victim.kill()
    victim.wait()
    victim.stdout.close()
    until(lambda: not directory.exists() and not any(process.is_running() for process in family))
    assert not processes_of(directory)
    assert (tmp_path / "precious").exists()
    assert own_root or not directory.parent.exists()


@pytest.mark.process
def test_a_janitor_that_dies_is_replaced_and_told_everything(tmp_path: Path) -> None:
    janitor = Janitor()
    sleeper = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    folder = tmp_path / "folder"
    folder.mkdir()
    janitor.directory(folder)
    janitor.group(sleeper.pid)
    assert janitor._process is not None
    janitor._process.kill()
    janitor._process.wait()
    janitor.forget(1_000_000)
    janitor.close()
    assert sleeper.wait(5) == -signal.SIGKILL
    assert not folder.exists()


@pytest.mark.process
def test_a_janitor_forgets_groups_that_have_ended() -> None:
    janitor = Janitor()
    sleeper = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    janitor.group(sleeper.pid)
    janitor.forget(sleeper.pid)
    janitor.close()
    assert sleeper.poll() is None
    sleeper.kill()
    sleeper.wait()


@pytest.mark.process
def test_a_janitor_removes_what_a_docker_engine_has_under_a_label(tmp_path: Path) -> None:
    asked: list[str] = []
    engine = socket.socket(socket.AF_UNIX)
    engine.bind(str(tmp_path / "docker.sock"))
    engine.listen()

    def serve() -> None:
        for _ in range(4):
            connection, _ = engine.accept()
            with connection:
                asked.append(connection.recv(65536).decode().splitlines()[0])
                body = b'[{"Id": "c0ffee"}]' if asked[-1].startswith("GET") else b""
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    thread = threading.Thread(target=serve)
    thread.start()
    janitor = Janitor()
    janitor.docker("k8snb.run=7", str(tmp_path / "docker.sock"))
    janitor.close()
    thread.join(10)
    engine.close()
    assert [line.split("?")[0] for line in asked] == [
        "GET /containers/json", "DELETE /containers/c0ffee", "GET /networks", "DELETE /networks/c0ffee HTTP/1.1",
    ]  # fmt: skip
    assert "k8snb.run%3D7" in asked[0]


# ports


@pytest.mark.process
def test_a_web_server_answers_at_the_pod_s_own_address(lab: Lab) -> None:
    sandbox = lab.sandbox("web")
    container = lab.run("nginx:1.7.9", sandbox=sandbox, ports=((80, "TCP"),))
    answer = lab.get(container)
    text = answer.read().decode()
    assert answer.headers["Server"] == "nginx/1.7.9"
    assert "<b>web</b>" in text
    assert "Welcome to nginx!" in text
    until(lambda: '"GET / HTTP/1.1" 200' in lab.log(container))
    assert lab.exec(container, "nginx", "-v") == "nginx version: nginx/1.7.9\n"


@pytest.mark.process
def test_where_there_is_one_address_every_port_is_mapped_and_the_status_says_so(narrow: Lab) -> None:
    first, second = narrow.run("nginx"), narrow.run("nginx", ports=((80, "TCP"),))
    places = [narrow.address(container, 80) for container in (first, second)]
    assert len(set(places)) == 2
    assert all(host == "127.0.0.1" and port != 80 for host, port in places)
    for container in (first, second):
        assert narrow.get(container).status == 200
        assert any("port 80 cannot be opened" in note for note in narrow.runtime.container_status(container).notes)
    inside = narrow.exec(first, "wget", "-qO-", "http://localhost")
    assert "Welcome" in inside


@pytest.mark.process
def test_the_second_container_of_a_pod_does_not_get_the_port_of_the_first(any_lab: Lab) -> None:
    lab = any_lab
    sandbox = lab.sandbox()
    first = lab.run("nginx", sandbox=sandbox, name="one", ports=((80, "TCP"),))
    lab.get(first)
    second = lab.run("nginx", sandbox=sandbox, name="two", ports=((80, "TCP"),))
    assert lab.end(second).exit_code == 1
    assert "bind: address already in use" in lab.log(second)
    assert lab.get(first).status == 200


@pytest.mark.process
def test_a_port_that_something_has_at_the_pod_s_address_is_not_mapped(lab: Lab) -> None:
    sandbox = lab.sandbox()
    with socket.socket() as intruder:
        intruder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections of an earlier pod may linger there
        intruder.bind((lab.runtime.pod_sandbox_status(sandbox).ip, 8080))
        intruder.listen()
        container = lab.run("k8s.gcr.io/echoserver:1.10", sandbox=sandbox)
        assert lab.end(container).exit_code == 1


@pytest.mark.process
def test_a_port_that_a_server_on_all_addresses_has_is_mapped(lab: Lab) -> None:
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))
        server.listen()
        port = server.getsockname()[1]
        container = lab.run("traefik/whoami", args=(f"--port={port}",), ports=((port, "TCP"),))
        assert lab.address(container, port)[1] != port
        assert b"Hostname: pod-1" in lab.get(container, port).read()
        other = lab.run("busybox", *FOREVER)
        host = lab.address(container, port)[0]
        assert "Hostname: pod-1" in lab.exec(other, "wget", "-qO-", f"http://{host}:{port}")


@pytest.mark.process
def test_a_pod_on_the_host_network_has_its_node_s_address(lab: Lab) -> None:
    sandbox = lab.sandbox(host_network=True)
    assert lab.runtime.pod_sandbox_status(sandbox).ip == lab.runtime.add_node(NODE).node_ip


# programs and the cluster


SERVERS = [
    (entry.names[0], entry.ports[0])
    for entry in images.CATALOGUE
    if entry.ports and entry.names[0] not in ("redis", "hashicorp/http-echo", "e2e-test-images/agnhost")
]


@pytest.mark.process
def test_every_server_of_the_catalogue_answers_at_its_port(narrow: Lab) -> None:
    started = [(narrow.run(image), port) for image, port in SERVERS]
    codes = {
        image: narrow.get(container, port).status
        for (image, _), (container, port) in zip(SERVERS, started, strict=True)
    }
    assert codes == {**dict.fromkeys(codes, 200), "hazelcast/hazelcast": 404}


@pytest.mark.process
def test_the_echo_server_tells_what_it_was_asked(lab: Lab) -> None:
    container = lab.run("k8s.gcr.io/echoserver:1.10", sandbox=lab.sandbox("hello-minikube"))
    text = lab.get(container, 8080, "/path?x=y").read().decode()
    host = lab.address(container, 8080)[0]
    asked = {"method": "GET", "real path": "/path?x=y", "query": "x=y", "request_version": "1.1",
             "request_scheme": "http", "request_uri": f"http://{host}:8080/path?x=y"}  # fmt: skip
    assert "Hostname: hello-minikube" in text
    for name, value in asked.items():
        assert f"\t{name}={value}\n" in text
    assert "-no body in request-" in text


@pytest.mark.process
def test_agnhost_has_subcommands_and_names_those_it_has_not(lab: Lab) -> None:
    server = lab.run("registry.k8s.io/e2e-test-images/agnhost:2.40", args=("netexec", "--http-port=8080"))
    assert lab.get(server, 8080, "/hostname").read() == b"pod-1"
    assert lab.get(server, 8080, "/nothing").status == 404
    unknown = lab.run("registry.k8s.io/e2e-test-images/agnhost:2.40", args=("webhook",))
    assert lab.end(unknown).exit_code == 1
    assert '"webhook" is not implemented by k8snb' in lab.log(unknown)


@pytest.mark.process
def test_a_kubia_names_its_version_and_its_sister_falls_ill(lab: Lab) -> None:
    second, ill = lab.run("luksa/kubia:v2"), lab.run("luksa/kubia-unhealthy")
    assert b"This is v2 running in pod pod-1" in lab.get(second, 8080).read()
    assert [lab.get(ill, 8080).status for _ in range(6)] == [200] * 5 + [500]


@pytest.mark.process
def test_a_guestbook_finds_its_redis_by_name(lab: Lab, name_server: tuple[str, dict[str, str]]) -> None:
    address, names = name_server
    redis = lab.run("redis")
    names["redis-leader"] = lab.address(redis, 6379)[0]
    until(lambda: lab.exec(redis, "redis-cli", "ping") == "PONG\n")
    page = lab.run("gcr.io/google_samples/gb-frontend:v5", sandbox=lab.sandbox(dns_servers=(address,)))
    assert b"Guestbook" in lab.get(page).read()
    assert lab.get(page, path="/guestbook.php?cmd=set&key=k&value=hi+there").status == 200
    assert json.load(lab.get(page, path="/guestbook.php?cmd=get&key=k")) == {"data": "hi there"}


@pytest.mark.process
def test_a_hazelcast_keeps_maps_and_logs_its_environment(lab: Lab) -> None:
    container = lab.run("hazelcast/hazelcast", env=(("DNS_DOMAIN", "cluster"),))
    client = lab.run("busybox", *FOREVER)
    lab.get(container, 5701, "/hazelcast/health")
    url = f"http://{lab.address(container, 5701)[0]}:5701/hazelcast/rest/maps/m/key"
    lab.exec(client, "curl", "-s", "-d", "value", url)
    assert lab.exec(client, "curl", "-s", url) == "value"
    assert "DNS_DOMAIN=cluster" in lab.log(container)


@pytest.mark.process
def test_a_redis_keeps_its_keys_over_a_restart_when_its_data_lies_in_a_volume(lab: Lab, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    mounts = (Mount(host_path=str(volume), container_path="/data"),)
    sandbox = lab.sandbox()
    first = lab.run("redis:6.0", sandbox=sandbox, mounts=mounts)
    until(lambda: lab.exec(first, "redis-cli", "ping") == "PONG\n")
    assert lab.exec(first, "redis-cli", "SET", "a", "41") == "OK\n"
    assert lab.exec(first, "redis-cli", "INCR", "a") == "42\n"
    assert "not implemented by k8snb" in lab.exec(first, "redis-cli", "SUBSCRIBE", "x")
    lab.runtime.stop_container(first, PATIENCE)
    assert lab.runtime.container_status(first).exit_code == 0
    second = lab.run("redis:6.0", sandbox=sandbox, mounts=mounts, attempt=1)
    until(lambda: lab.exec(second, "redis-cli", "ping") == "PONG\n")
    assert lab.exec(second, "redis-cli", "GET", "a") == "42\n"


@pytest.fixture
def name_server() -> Iterator[tuple[str, dict[str, str]]]:
    """A DNS server: "ip:port", and the names it knows."""
    names: dict[str, str] = {}
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            packet, client = server.recvfrom(4096)
            if packet == b"stop":
                return
            parts, offset = [], 12
            while packet[offset]:
                parts.append(packet[offset + 1 : offset + 1 + packet[offset]].decode())
                offset += packet[offset] + 1
            address = names.get(".".join(parts))
            answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 5, 4) + socket.inet_aton(address) if address else b""
            head = struct.pack(">HHHHH", 0x8180 if address else 0x8183, 1, int(bool(address)), 0, 0)
            server.sendto(packet[:2] + head + packet[12 : offset + 5] + answer, client)

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"127.0.0.1:{server.getsockname()[1]}", names
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"stop", server.getsockname())
    thread.join()
    server.close()


@pytest.mark.process
@pytest.mark.parametrize("command", [
    ("wget", "-qO-", "http://nginx:8078"),
    ("curl", "-s", "nginx.default:8078"),
    ("sh", "-c", "wget -q -O - -T 5 http://nginx.default.svc.cluster.local:8078/"),
    ("python3", "-c", "import urllib.request as u; print(u.urlopen('http://nginx:8078').read().decode())"),
])  # fmt: skip
def test_programs_reach_a_service_by_its_name(
    any_lab: Lab, name_server: tuple[str, dict[str, str]], command: tuple[str, ...]
) -> None:
    lab = any_lab
    address, names = name_server
    web = lab.run("nginx")
    lab.get(web)
    names["nginx.default.svc.cluster.local"] = "10.96.0.5"
    host, port = lab.address(web, 80)
    lab.runtime.forwards_file.write_text(json.dumps({"10.96.0.5:8078": f"{host}:{port}"}))
    searches = ("default.svc.cluster.local", "svc.cluster.local", "cluster.local")
    sandbox = lab.sandbox(dns_servers=(address,), dns_searches=searches)
    client = lab.run("python:3.11", *FOREVER, sandbox=sandbox)
    assert "Welcome to nginx!" in lab.exec(client, *command)


@pytest.mark.process
def test_nslookup_tells_a_known_name_from_an_unknown_one(lab: Lab, name_server: tuple[str, dict[str, str]]) -> None:
    address, names = name_server
    names["db.default.svc.cluster.local"] = "10.96.0.9"
    searches = ("default.svc.cluster.local", "svc.cluster.local", "cluster.local")
    pod = lab.run("busybox:1.28", *FOREVER, sandbox=lab.sandbox(dns_servers=(address,), dns_searches=searches))
    found = lab.runtime.exec_sync(pod, ["nslookup", "db"], 10)
    assert found.exit_code == 0
    assert b"Name:\tdb.default.svc.cluster.local\nAddress: 10.96.0.9" in found.stdout
    assert lab.runtime.exec_sync(pod, ["nslookup", "nobody"], 10).exit_code == 1
    assert "search default.svc.cluster.local" in lab.exec(pod, "cat", "/etc/resolv.conf")


@pytest.mark.process
def test_a_python_server_opens_its_port_at_the_pod_s_address(narrow: Lab) -> None:
    command = ("python3", "-m", "http.server", "8000")
    first, second = (narrow.run("python:3.11", *command, ports=((8000, "TCP"),)) for _ in range(2))
    assert narrow.get(first, 8000).status == narrow.get(second, 8000).status == 200


# the container's surroundings


@pytest.mark.process
def test_a_container_has_a_clean_environment_of_its_own(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_KERNEL", "1")
    container = lab.run("busybox", *FOREVER, sandbox=lab.sandbox("web", hostname="web-0"), env=(("COLOUR", "blue"),))
    lines = lab.exec(container, "env").splitlines()
    assert {"COLOUR=blue", "HOSTNAME=web-0"} <= set(lines)
    assert not any(line.startswith("SECRET") for line in lines)
    assert lab.exec(container, "hostname") == "web-0\n"
    assert lab.exec(container, "hostname", "-i").strip() == lab.address(container, 1)[0]


@pytest.mark.process
def test_the_full_name_of_a_pod_has_its_domain(lab: Lab) -> None:
    sandbox = lab.sandbox("web", hostname="web-0", domain="nginx.default.svc.cluster.local")
    container = lab.run("busybox", *FOREVER, sandbox=sandbox)
    assert lab.exec(container, "hostname", "-f") == "web-0.nginx.default.svc.cluster.local\n"
    assert lab.exec(container, "hostname", "-s") == "web-0\n"


@pytest.mark.process
def test_each_container_has_a_tmp_of_its_own(lab: Lab) -> None:
    first, second = lab.run("busybox", *FOREVER), lab.run("busybox", *FOREVER)
    lab.exec(first, "touch", "/tmp/k8snb-healthy")
    assert lab.runtime.exec_sync(first, ["cat", "/tmp/k8snb-healthy"], 5).exit_code == 0
    assert lab.runtime.exec_sync(second, ["sh", "-c", "cat /tmp/k8snb-healthy"], 5).exit_code == 1
    assert not os.path.exists("/tmp/k8snb-healthy")


@pytest.mark.process
def test_containers_share_a_volume_under_their_own_paths(plain: Lab, tmp_path: Path) -> None:
    lab = plain
    volume = tmp_path / "html"
    volume.mkdir()
    sandbox = lab.sandbox()
    web = lab.run(
        "nginx", sandbox=sandbox, name="web",
        mounts=(Mount(host_path=str(volume), container_path="/usr/share/nginx/html", readonly=True),),
    )  # fmt: skip
    assert lab.get(web).status == 403  # an empty volume has no page
    lab.run(
        "busybox", "sh", "-c", "echo 'from a sidecar' >/pod-data/index.html; sleep 1000", sandbox=sandbox, name="side",
        mounts=(Mount(host_path=str(volume), container_path="/pod-data"),),
    )  # fmt: skip
    until(lambda: lab.get(web).status == 200)
    assert lab.get(web).read() == b"from a sidecar\n"
    assert any("$K8SNB_ROOT" in note for note in lab.runtime.container_status(web).notes)
    assert lab.get(web, path="/../../../../../../etc/passwd").status == 404


@pytest.mark.process
def test_nothing_of_a_container_s_own_is_written_into_a_volume(lab: Lab, tmp_path: Path) -> None:
    volumes = [tmp_path / name for name in ("etc", "var")]
    for volume in volumes:
        volume.mkdir()
    mounts = tuple(Mount(host_path=str(volume), container_path=f"/{volume.name}") for volume in volumes)
    container = lab.run("busybox", *FOREVER, mounts=mounts)
    lab.exec(container, "true")
    assert [list(volume.iterdir()) for volume in volumes] == [[], []]


@pytest.mark.process
def test_what_every_container_is_given_is_not_worth_a_note(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    mounts = (Mount(host_path=str(tmp_path / "log"), container_path="/dev/termination-log"),)
    container = lab.run("busybox", "sh", "-c", "echo why > /dev/termination-log", mounts=mounts)
    assert not any("K8SNB_ROOT" in note for note in lab.end(container).notes)
    assert (tmp_path / "log").read_text() == "why\n"


@pytest.mark.process
def test_only_whole_paths_are_translated(plain: Lab, tmp_path: Path) -> None:
    lab = plain
    mounts = (Mount(host_path=str(tmp_path), container_path="/data"),)
    container = lab.run("busybox", *FOREVER, mounts=mounts, env=(("FILE", "/data/x"), ("URL", "http://h/data")))
    root = lab.exec(container, "sh", "-c", "echo $K8SNB_ROOT").strip()
    shown = lab.exec(container, "echo", "/data", "/database", "/srv/data", "http://db/data", "a=/data/b", "'/data'")
    assert shown.split() == [
        f"{root}/data", "/database", "/srv/data", "http://db/data", f"a={root}/data/b", f"'{root}/data'",
    ]  # fmt: skip
    assert lab.exec(container, "sh", "-c", "echo $FILE $URL").split() == [f"{root}/data/x", "http://h/data"]


@pytest.mark.process
@pytest.mark.parametrize("command", [("kill", "1"), ("sh", "-c", "echo now; kill -TERM 1"), ("/bin/kill", "-9", "1")])
def test_process_1_is_the_container_s_own(lab: Lab, command: tuple[str, ...]) -> None:
    container = lab.run("nginx")
    lab.get(container)
    lab.runtime.exec_sync(container, command, PATIENCE)
    assert lab.end(container).exit_code == (137 if "-9" in command else 0)


@pytest.mark.process
def test_exec_gives_output_and_exit_code_and_ends_in_time(lab: Lab) -> None:
    container = lab.run("busybox", *FOREVER, working_dir="/app")
    result = lab.runtime.exec_sync(container, ["sh", "-c", "echo out; echo err >&2; exit 4"], PATIENCE)
    assert (result.stdout, result.stderr, result.exit_code) == (b"out\n", b"err\n", 4)
    assert lab.exec(container, "pwd").endswith("/rootfs/app\n")
    assert "executable file not found in $PATH" in lab.exec(container, "foo")
    began = time.monotonic()
    with pytest.raises(RuntimeFailure, match=r"timed out after 0\.2 seconds") as refusal:
        lab.runtime.exec_sync(container, ["sleep", "1000"], 0.2)
    assert refusal.value.reason == "DeadlineExceeded"
    lab.runtime.exec_sync(container, ["sh", "-c", "sleep 1000 &"], 0)
    assert time.monotonic() - began < PATIENCE
    lab.runtime.stop_container(container, 5)
    assert not processes_of(lab.runtime.directory)
    with pytest.raises(RuntimeFailure, match="is not running"):
        lab.runtime.exec_sync(container, ["true"], 5)


@pytest.mark.process
def test_an_image_without_a_shell_has_no_host_commands(lab: Lab) -> None:
    container = lab.run("registry.k8s.io/pause:3.9")
    assert 'exec: "sh": executable file not found' in lab.exec(container, "sh", "-c", "ls")
    assert 'exec: "/bin/ls": stat /bin/ls: no such file' in lab.exec(container, "/bin/ls")


@pytest.mark.process
def test_what_is_not_carried_out_is_said(plain: Lab) -> None:
    container = plain.create("busybox", *FOREVER, cpu_limit=0.5)
    notes = "\n".join(plain.runtime.container_status(container).notes)
    for word in ("stand-in", "/bin of the host", "CPU limit"):
        assert word in notes


@pytest.mark.process
def test_a_follower_of_the_log_ends_with_the_container(lab: Lab) -> None:
    container = lab.run("busybox", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done")
    assert list(lab.runtime.container_logs(container, follow=True)) == [b"1\n", b"2\n", b"3\n"]


@pytest.mark.process
def test_a_directory_that_is_there_already_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    with pytest.raises(RuntimeFailure, match="is there already"):
        ProcessRuntime("lab", tmp_path)


@pytest.mark.process
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become an ordinary user")
def test_an_ordinary_user_s_low_ports_are_mapped_where_the_system_forbids_them(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import os, sys
        sys.path.insert(0, sys.argv[1])
        from k8snb.cri.process_network import Loopback, _try
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        network = Loopback(single_address=False)
        network.add_node("n")
        address = network.take("n")
        forbidden = _try(address, 80, 1) != 0
        mapped = network.place(address, 80, "TCP")
        print(mapped == (42080 if forbidden else None))
    """)
    shown = subprocess.run(
        [sys.executable, "-c", script, os.getcwd()], capture_output=True, text=True, cwd="/", check=False
    )
    assert shown.stdout == "True\n", shown.stderr
