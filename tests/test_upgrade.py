"""exec, attach, cp and port-forward over HTTPS: every kubectl that is found, and clients that do not behave."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import ssl
import struct
import subprocess
import termios
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from kubectls import found_kubectls

from k8snb import Cluster
from k8snb.apiserver.spdy import Data, Frame, Framing, SynReply

pytestmark = pytest.mark.process

PATIENCE = 20.0


KUBECTLS = found_kubectls()
# SPDY alone, WebSocket for exec alone, WebSocket for all
CHOSEN = [version for version in KUBECTLS if version in ("1.27", "1.29", "1.30", "1.33")]
CHOSEN = CHOSEN or list(KUBECTLS)
needs_kubectl = pytest.mark.skipif(not KUBECTLS, reason="no kubectl is installed")


class Served:
    """A cluster that is served, with a pod `bb` that sleeps and a pod `web` that serves."""

    def __init__(self, runtime: str, folder: Path) -> None:
        self.runtime = runtime
        self.cluster = Cluster(f"upgrade-{runtime}", nodes=1, runtime=runtime)
        self.cluster.start()
        self.kubeconfig = folder / "config"
        self.kubeconfig.write_text(self.cluster.kubeconfig)
        self.run_pod("bb", {"image": "busybox", "command": ["sleep", "3600"]})
        self.run_pod("web", {"image": "nginx"})
        self.context, self.port = self._tls(folder)

    def run_pod(self, name: str, container: dict[str, Any]) -> None:
        spec = {"containers": [{"name": name, **container}], "terminationGracePeriodSeconds": 0}
        self.cluster.client.create("pods", {"metadata": {"name": name}, "spec": spec}, "default")
        assert self.cluster.wait(lambda: self.phase(name) == "Running", PATIENCE)

    def phase(self, name: str) -> str:
        pod = self.cluster.client.get("pods", name, "default")
        return str(pod.get("status", {}).get("phase"))

    def kubectl(self, version: str, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [KUBECTLS[version], *words], input=given, capture_output=True, timeout=PATIENCE, env=self.environment
        )

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "KUBECONFIG": str(self.kubeconfig), "HOME": str(self.kubeconfig.parent)}

    def _tls(self, folder: Path) -> tuple[ssl.SSLContext, int]:
        config = yaml.safe_load(self.kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        pair = folder / "pair.pem"
        pair.write_bytes(b"".join(base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key")))
        context.load_cert_chain(pair)
        return context, int(cluster["server"].rpartition(":")[2])

    def connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        return self.context.wrap_socket(plain, server_hostname="127.0.0.1")

    def ask(self, path: str, method: str = "POST", **headers: str) -> tuple[int, bytes, ssl.SSLSocket]:
        """Send one request's head; the answer's status and what has come of it, and the connection."""
        lines = [f"{method} /api/v1/namespaces/default/pods/{path} HTTP/1.1", "Host: 127.0.0.1", "Content-Length: 0"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        connection = self.connect()
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = b""
        while b"\r\n\r\n" not in answer and (data := connection.recv(65536)):
            answer += data
        return int(answer.split(b" ")[1]), answer, connection

    def answers(self) -> bool:
        """Whether somebody else is served meanwhile."""
        with self.ask("bb", "GET")[2]:
            return True


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A cluster on real processes."""
    served = Served("process", tmp_path_factory.mktemp("process"))
    yield served
    served.cluster.delete()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served("simulated", tmp_path_factory.mktemp("simulated"))
    yield served
    served.cluster.delete()


@pytest.fixture(params=["processes", "simulated"])
def served(request: pytest.FixtureRequest) -> Served:
    """Each of the clusters."""
    found: Served = request.getfixturevalue(request.param)
    return found


Script = Sequence[bytes | str | float]


def on_a_terminal(command: Sequence[str], environment: dict[str, str], script: Script) -> tuple[str, int]:
    """Run a command on a terminal of 33 rows and 111 columns.

    The script: bytes are typed, text is waited for, numbers are seconds to wait.
    """
    process, terminal = pty.fork()
    if process == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execve(command[0], list(command), environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 111, 0, 0))
    said, seen, steps, end = "", 0, list(script), time.monotonic() + PATIENCE
    while time.monotonic() < end:
        while steps and (not isinstance(steps[0], str) or steps[0] in said[seen:]):
            step = steps.pop(0)
            if isinstance(step, bytes):
                os.write(terminal, step)
            elif isinstance(step, float):
                time.sleep(step)
            else:
                seen = said.index(step, seen) + len(step)
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                said += os.read(terminal, 65536).decode()
            except OSError:
                break
    else:
        os.kill(process, signal.SIGKILL)
        said += "<took too long>"
    os.close(terminal)
    return said, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "not true in time"
        time.sleep(0.05)


@needs_kubectl
@pytest.mark.parametrize("version", CHOSEN)
class TestKubectl:
    def test_exec_gives_both_streams_and_the_exit_code(self, served: Served, version: str) -> None:
        done = served.kubectl(version, "exec", "bb", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
        assert done.stdout == b"out\n"
        assert done.stderr == b"err\ncommand terminated with exit code 3\n"
        assert done.returncode == 3

    def test_exec_passes_input_on_to_its_last_byte(self, served: Served, version: str) -> None:
        given = os.urandom(1 << 20)
        assert served.kubectl(version, "exec", "-i", "bb", "--", "cat", given=given).stdout == given

    def test_exec_of_a_program_that_is_not_there_says_so(self, served: Served, version: str) -> None:
        done = served.kubectl(version, "exec", "bb", "--", "no-such-program")
        assert done.returncode == 1
        assert b'exec: "no-such-program": executable file not found in $PATH' in done.stderr

    def test_exec_in_a_container_that_does_not_run_is_refused(self, served: Served, version: str) -> None:
        done = served.kubectl(version, "exec", "web", "-c", "other", "--", "true")
        assert done.returncode == 1
        assert b"container" in done.stderr and b"other" in done.stderr

    def test_exec_on_a_terminal_is_a_shell_one_can_work_in(self, served: Served, version: str) -> None:
        command = [KUBECTLS[version], "exec", "-it", "bb", "--", "sh"]
        size: Script = [b"stty size\n", "33 111", "# "] if served.runtime == "process" else []
        sleep: Script = [b"sleep 100\n", "sleep 100\r\n", 0.5, b"\x03", "# "]
        script: Script = ["# ", b"echo a-$((1+1))\n", "a-2", "# ", *size, *sleep, b"exit 7\n"]
        said, code = on_a_terminal(command, served.environment, script)
        assert code == 7, said

    def test_cp_brings_directories_there_and_back(self, served: Served, version: str, tmp_path: Path) -> None:
        source, target = tmp_path / "source", tmp_path / "target"
        (source / "deep").mkdir(parents=True)
        (source / "deep" / "big").write_bytes(os.urandom(300_000))
        (source / "small").write_text("hello\n")
        there = f"bb:/tmp/{version}"
        assert served.kubectl(version, "cp", str(source), there).returncode == 0
        assert served.kubectl(version, "exec", "bb", "--", "cat", f"/tmp/{version}/small").stdout == b"hello\n"
        assert served.kubectl(version, "cp", there, str(target)).returncode == 0
        for name in ("small", "deep/big"):
            assert (target / name).read_bytes() == (source / name).read_bytes()

    def test_attach_hears_what_a_container_writes(self, served: Served, version: str) -> None:
        name = "talk-" + version.replace(".", "-")
        script = "for i in 1 2 3 4 5 6 7 8 9; do echo line $i; sleep 0.5; done; sleep 600"
        served.run_pod(name, {"image": "busybox", "command": ["sh", "-c", script]})
        attached = subprocess.Popen(
            [KUBECTLS[version], "attach", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env=served.environment,
        )  # fmt: skip
        assert attached.stdout is not None
        with attached, attached.stdout:
            assert attached.stdout.readline().startswith(b"line ")
            attached.kill()

    def test_run_with_input_reads_it_to_its_end(self, served: Served, version: str) -> None:
        name = "read-" + version.replace(".", "-")
        words = ["run", "-i", "--rm", name, "--image=busybox", "--restart=Never", "--", "sh", "-c"]
        done = served.kubectl(version, *words, "sleep 1; cat; sleep 1", given=b"to be read\n")
        assert b"to be read\n" in done.stdout, done.stderr

    def test_port_forward_serves_several_connections_at_once(self, served: Served, version: str) -> None:
        with forwarded(served, version, 80) as url, ThreadPoolExecutor(6) as pool:
            pages = list(pool.map(lambda _: urllib.request.urlopen(url, timeout=PATIENCE).read(), range(12)))
        assert all(b"nginx" in page for page in pages)


class forwarded:  # noqa: N801
    """A kubectl that forwards a free port to a port of `web`; its URL."""

    def __init__(self, served: Served, version: str, port: int) -> None:
        self._command = [KUBECTLS[version], "port-forward", "web", f":{port}"]
        self._environment = served.environment

    def __enter__(self) -> str:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self._environment
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert found, line
        return f"http://127.0.0.1:{found[1]}/"

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


# clients that do not behave


SPDY = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1"}
WEBSOCKET = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}  # fmt: skip
EXEC = "bb/exec?command=echo&command=hi&stdout=true"


def test_a_request_that_is_no_upgrade_is_a_bad_request(served: Served) -> None:
    status, answer, connection = served.ask(EXEC)
    with connection:
        assert status == 400
        assert b"Upgrade request required" in answer or b"Upgrade request required" in connection.recv(65536)


def test_a_protocol_that_nobody_speaks_is_refused_with_those_that_are_spoken(served: Served) -> None:
    status, answer, connection = served.ask(EXEC, X_Stream_Protocol_Version="v9.channel.k8s.io", **SPDY)
    connection.close()
    assert status == 403
    assert b"v4.channel.k8s.io" in answer
    status, answer, connection = served.ask(EXEC, "GET", Sec_WebSocket_Protocol="v9.channel.k8s.io", **WEBSOCKET)
    connection.close()
    assert status == 400


def test_a_websocket_handshake_that_is_not_complete_is_a_bad_request(served: Served) -> None:
    for missing in ("Sec_WebSocket_Key", "Sec_WebSocket_Version"):
        headers = {name: value for name, value in WEBSOCKET.items() if name != missing}
        status, _, connection = served.ask(EXEC, "GET", Sec_WebSocket_Protocol="v5.channel.k8s.io", **headers)
        connection.close()
        assert status == 400


def test_a_container_that_has_ended_is_not_found(served: Served) -> None:
    name = "done-" + served.runtime
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox", "command": ["true"]}]}
    served.cluster.client.create("pods", {"metadata": {"name": name}, "spec": spec}, "default")
    until(lambda: served.phase(name) == "Succeeded")
    for path in ("exec?command=true", "attach?stdout=true"):
        status, answer, connection = served.ask(f"{name}/{path}", **SPDY)
        with connection:
            answer += connection.recv(65536) if b"}" not in answer else b""
        assert status == 500
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["message"].endswith('container not found ("main")')


@pytest.mark.parametrize("path", ["bb/exec?command=echo", "bb/attach?stdout=true", "bb/portforward"])
@pytest.mark.parametrize("noise", [b"", b"\x80\x03\x00\x01", b"GET / HTTP/1.1\r\n\r\n" * 50, os.urandom(5000)])
def test_an_upgrade_that_fails_half_way_disturbs_nobody(served: Served, path: str, noise: bytes) -> None:
    protocol = "portforward.k8s.io" if "portforward" in path else "v4.channel.k8s.io"
    status, _, connection = served.ask(path, X_Stream_Protocol_Version=protocol, **SPDY)
    assert status == 101
    with connection:
        connection.sendall(noise)
    assert served.answers()


def test_several_protocol_headers_are_one_list_and_the_first_that_is_known_is_taken(served: Served) -> None:
    offered = "v9.channel.k8s.io, v4.channel.k8s.io\r\nX-Stream-Protocol-Version: v3.channel.k8s.io"
    status, answer, connection = served.ask(EXEC, X_Stream_Protocol_Version=offered, **SPDY)
    connection.close()
    assert status == 101
    assert b"X-Stream-Protocol-Version: v4.channel.k8s.io" in answer


class SpdyClient:
    """A client that speaks SPDY over TLS, for what no kubectl does."""

    def __init__(self, served: Served, path: str, *streams: str) -> None:
        status, answer, self.connection = served.ask(path, X_Stream_Protocol_Version="v4.channel.k8s.io", **SPDY)
        assert status == 101, answer
        self.framing = Framing()
        self.names = {2 * number + 1: name for number, name in enumerate(streams)}
        for stream, name in self.names.items():
            self.connection.sendall(self.framing.syn_stream(stream, {"streamType": name}))

    def read(self) -> Iterator[Frame]:
        while data := self.connection.recv(65536):
            yield from self.framing.receive(data)


def test_a_command_s_output_and_status_come_over_spdy(served: Served) -> None:
    client = SpdyClient(served, EXEC, "error", "stdout", "stderr")
    heard = {"error": b"", "stdout": b"", "stderr": b""}
    replies = 0
    for frame in client.read():
        replies += isinstance(frame, SynReply)
        if isinstance(frame, Data):
            heard[client.names[frame.stream]] += frame.data
    assert (replies, heard["stdout"]) == (3, b"hi\n")
    assert json.loads(heard["error"])["status"] == "Success"
    client.connection.close()


def test_a_client_that_does_not_read_holds_its_command_up_and_costs_no_memory(processes: Served) -> None:
    before = psutil.Process().memory_info().rss
    path = "bb/exec?command=head&command=-c&command=400000000&command=/dev/zero&stdout=true&stderr=false"
    client = SpdyClient(processes, path, "error", "stdout")
    until(lambda: _runs("400000000"))
    time.sleep(1.0)
    assert _runs("400000000")
    assert psutil.Process().memory_info().rss - before < 64 << 20
    assert processes.answers()
    client.connection.close()
    until(lambda: not _runs("400000000"))


def test_closing_the_server_ends_its_streams_at_once(processes: Served) -> None:
    path = "bb/exec?command=head&command=-c&command=300000000&command=/dev/zero&stdout=true&stderr=false"
    client = SpdyClient(processes, path, "error", "stdout")
    until(lambda: _runs("300000000"))
    began = time.monotonic()
    processes.cluster.door.close()
    assert time.monotonic() - began < 5
    until(lambda: not _runs("300000000"))
    client.connection.close()
    processes.cluster.serve()
    assert processes.answers()


def test_a_command_that_does_not_read_holds_its_client_up_and_costs_no_memory(processes: Served) -> None:
    path = "bb/exec?command=sleep&command=4545&stdin=true"
    client = SpdyClient(processes, path, "error", "stdin", "stdout", "stderr")
    client.connection.settimeout(1.0)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 200 << 20:
            client.connection.sendall(client.framing.data(3, bytes(1 << 20)))
            sent += 1 << 20
    assert sent < 64 << 20
    assert processes.answers()
    client.connection.close()


def test_a_command_ends_with_its_client(processes: Served) -> None:
    client = SpdyClient(processes, "bb/exec?command=sleep&command=4646", "error", "stdout", "stderr")
    until(lambda: _runs("4646"))
    client.connection.close()
    until(lambda: not _runs("4646"))


def _runs(word: str) -> bool:
    return any(word in (process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))
