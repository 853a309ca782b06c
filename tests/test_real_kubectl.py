"""kubectl itself, in every version that is found, against a served cluster: the commands of a learner, one row each.

The oldest kubectl and the newest run all scenarios, one in the middle those in which versions differ on the wire; with
K8SNB_KUBECTLS=all every kubectl runs everything.

Where the output differs from that of a real cluster, and why:

    version                         v1.33.0+k8snb: who asks shall know what answers.
    get … --show-managed-fields     lists carry no managedFields, single objects do: they are worked out when asked for.
    apply of a forbidden change     the refusal names the changed fields and leaves out upstream's dump of Go structs.
    describe, events: messages      image sizes and pull times are those of this runtime.
    get services, endpoints         on the process runtime all addresses lie in 127.0.0.0/8: they must really exist.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

import pytest
from kubectl_rows import MAPS, SCENARIOS, Row
from kubectls import found_kubectls, numbers

from k8snb import Cluster

pytestmark = pytest.mark.process


FOUND = found_kubectls()
if not FOUND:
    pytest.skip("optional: no kubectl on PATH", allow_module_level=True)
ALL = os.environ.get("K8SNB_KUBECTLS") == "all"
VERSIONS = list(FOUND)
if not ALL and len(VERSIONS) > 3:
    VERSIONS = [VERSIONS[0], VERSIONS[len(VERSIONS) // 2], VERSIONS[-1]]
ENDS = VERSIONS if ALL else VERSIONS[:1] + VERSIONS[-1:]
PROCESS = [("process", version) for version in dict.fromkeys(ENDS)]
PLACES = PROCESS + [("simulated", version) for version in VERSIONS[-1:]]
BETWEEN = [("process", version) for version in VERSIONS if version not in ENDS]
DIFFER = ("about", "apply", "containers", "create")  # discovery, OpenAPI, request bodies, streams


class Bench:
    """One kubectl, one cluster, one namespace."""

    def __init__(self, program: Path, home: Path, namespace: str) -> None:
        self.program, self.home, self.namespace = program, home, namespace

    def environment(self) -> dict[str, str]:
        keep = {"HOME": str(self.home), "KUBECONFIG": str(self.home / "config"), "PATH": os.environ["PATH"]}
        return {**keep, "KUBE_EDITOR": "sed -i -e s/before/edited/", "LANG": "C.UTF-8"}

    def start(self, words: str, **options: Any) -> subprocess.Popen[str]:
        command = [str(self.program), f"--namespace={self.namespace}", *shlex.split(self.filled(words))]
        return subprocess.Popen(command, env=self.environment(), text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **options)  # fmt: skip

    def run(self, words: str, given: str = "") -> tuple[str, str, int]:
        with self.start(words, stdin=subprocess.PIPE) as process:
            out, err = process.communicate(self.filled(given), timeout=90)
        return out, err, process.returncode

    def filled(self, text: str) -> str:
        return text.replace("$NS", self.namespace).replace("$DIR", str(self.home))

    def check(self, row: Row) -> str:
        """What is wrong with a row's outcome; "" for nothing."""
        out, err, code = self.run(row.words, row.given)
        right = self.matches(row.out, out) and self.filled(row.err) in err and code == row.code
        return "" if right else f"$ kubectl {self.filled(row.words)}\nexit code {code}\n{out}{err}expected: {row}"

    def matches(self, expected: str | re.Pattern[str], out: str) -> bool:
        if isinstance(expected, str):
            return out.strip() == self.filled(expected)
        return re.search(self.filled(expected.pattern), out, expected.flags) is not None


@pytest.fixture(scope="module")
def kubeconfig_of() -> Iterator[Callable[[str], str]]:
    """The kubeconfig of a served cluster on a runtime, which is started when it is asked for first."""
    started: dict[str, Cluster] = {}
    with ExitStack() as clusters:

        def kubeconfig(runtime: str) -> str:
            if runtime not in started:
                started[runtime] = clusters.enter_context(Cluster("real", runtime=runtime))
            return started[runtime].kubeconfig

        yield kubeconfig


@pytest.fixture
def bench(request: pytest.FixtureRequest, kubeconfig_of: Callable[[str], str], tmp_path: Path) -> Iterator[Bench]:
    runtime, version = request.param
    (tmp_path / "config").write_text(kubeconfig_of(runtime))
    (tmp_path / "file").write_text("copied text\n")
    scenario = request.node.callspec.params.get("scenario", request.node.originalname.removeprefix("test_"))
    name = re.sub(r"\W+|_", "-", f"{scenario[:24]}-{runtime}-{version}")
    bench = Bench(FOUND[version], tmp_path, name)
    assert bench.run(f"create namespace {name}")[2] == 0
    yield bench
    bench.run(f"delete namespace {name} --wait=false")


CASES = [(place, scenario) for scenario in SCENARIOS for place in (*PLACES, *(BETWEEN if scenario in DIFFER else ()))]


@pytest.mark.parametrize(
    ("bench", "scenario"), CASES, indirect=["bench"], ids=["-".join((scenario, *place)) for place, scenario in CASES]
)
def test_kubectl_says_what_it_says_to_a_real_cluster(
    bench: Bench, scenario: str, request: pytest.FixtureRequest
) -> None:
    runtime, version = request.node.callspec.params["bench"]
    rows = [row for row in SCENARIOS[scenario] if runtime in row.runtimes and numbers(row.since) <= numbers(version)]
    wrong = [said for row in rows if (said := bench.check(row))]
    assert not wrong, "\n\n".join(wrong)


# commands that go on until they are ended


everywhere = pytest.mark.parametrize(
    "bench", PLACES + BETWEEN, indirect=True, ids=["-".join(place) for place in PLACES + BETWEEN]
)


@contextmanager
def going_on(bench: Bench, words: str) -> Iterator[IO[str]]:
    """A command's output while it runs; it is ended as by Ctrl-C."""
    with bench.start(words) as process:
        assert process.stdout is not None
        try:
            yield process.stdout
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)


def page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def made(bench: Bench, words: str) -> None:
    assert bench.run(words)[2] == 0


@everywhere
def test_a_port_is_forwarded(bench: Bench) -> None:
    made(bench, "create deployment web --image=nginx:1.25")
    made(bench, "expose deployment web --port=80")
    made(bench, "wait --for=condition=Available deployment/web --timeout=30s")
    for target in ("deployment/web", "service/web"):
        with going_on(bench, f"port-forward {target} :80") as out:
            port = re.fullmatch(r"Forwarding from 127\.0\.0\.1:(\d+) -> 80\n", out.readline())
            assert port is not None
            for _ in range(2):
                assert "nginx" in page(f"http://127.0.0.1:{port[1]}/")


@everywhere
def test_a_proxy_needs_no_credentials(bench: Bench) -> None:
    with going_on(bench, "proxy --port=0") as out:
        address = out.readline().split()[-1]
        assert json.loads(page(f"http://{address}/api/v1/namespaces/default"))["metadata"]["name"] == "default"


@everywhere
def test_a_watch_shows_changes_as_they_come(bench: Bench) -> None:
    made(bench, "create configmap one --from-literal=a=1")
    with going_on(bench, "get configmaps --field-selector metadata.name=one -w -o jsonpath='{.data}{\"\\n\"}'") as out:
        assert out.readline() == '{"a":"1"}\n'
        made(bench, 'patch configmap one -p \'{"data":{"a":"2"}}\'')
        assert out.readline() == '{"a":"2"}\n'
    with going_on(bench, "get configmap one --watch-only") as out:
        time.sleep(0.5)  # nothing tells that the watch has begun
        made(bench, "delete configmap one")
        assert out.readline().split() == ["NAME", "DATA", "AGE"] and out.readline().split()[:2] == ["one", "1"]


@everywhere
def test_a_log_is_followed(bench: Bench) -> None:
    words = "sleep 1; for i in 1 2 3; do echo line $i; sleep 0.3; done"
    made(bench, f"run talk --image=busybox --restart=Never -- sh -c '{words}'")
    made(bench, "wait --for=condition=Ready pod/talk --timeout=30s")
    with going_on(bench, "logs -f talk") as out:
        assert out.read() == "line 1\nline 2\nline 3\n"


@everywhere
def test_manifests_come_from_directories_and_urls(bench: Bench) -> None:
    folder = bench.home / "manifests"
    folder.mkdir()
    (folder / "maps.yaml").write_text(MAPS)
    (folder / "pod.json").write_text(json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}))
    made(bench, "create -f $DIR/manifests")
    assert bench.run("delete -f $DIR/manifests")[0].count("deleted") == 3
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as web:
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        said = bench.run(f"create -f http://127.0.0.1:{web.server_port}/maps.yaml")
        web.shutdown()
        thread.join()
    assert said[0] == "configmap/one created\nconfigmap/two created\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *details: Any) -> None:
        """Say nothing."""
