"""How long a learner waits, and what a cluster costs that nobody uses.

Interface: `main()` prints one line per figure: what, measured, target, whether it is met.
The rule not to break: everything is measured in new processes, as a learner's are, on the process runtime, with the
source compiled beforehand, as an installed package's is.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psutil

RUNS = 5
IDLE_SECONDS = 10.0
SETTLE_SECONDS = 4.0
MEGABYTE = 1_000_000

LOAD = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
began = time.perf_counter()
shell.run_line_magic("load_ext", "k8snb")
from k8snb.notebook.extension import registered
cluster = registered(shell).clusters.current
assert cluster.wait(cluster.is_ready, 30)
print("seconds", time.perf_counter() - began)
"""

# A container that runs may not listen yet; somebody who waits for an answer asks again.
ANSWER = """
import time, urllib.request
from k8snb import Cluster
def answer(url):
    while True:
        try:
            return urllib.request.urlopen(url, timeout=5).read()
        except OSError:
            time.sleep(0.02)
with Cluster("bench", runtime="process") as cluster:
    for line in ("create deployment hello --image=k8s.gcr.io/echoserver:1.10",
                 "expose deployment hello --type=NodePort --port=8080",
                 "wait --for=condition=Available deployment/hello --timeout=30s"):
        cluster.kubectl.run(line.split())
    assert b"Hostname: hello-" in answer(cluster.service_urls("hello")[0])
    print("answered", flush=True)
"""


@dataclass(frozen=True)
class Figure:
    """One measured number. The target is an upper bound."""

    what: str
    measured: float
    target: float
    unit: str

    def __str__(self) -> str:
        verdict = "met" if self.measured < self.target else "NOT met"
        return (
            f"{self.what:<64} {self.measured:>6.2f} {self.unit:<2}  target < {self.target:g} {self.unit:<2}  {verdict}"
        )


def main() -> None:
    print(f"{RUNS} runs each, the median; Python {sys.version.split()[0]}, {os.cpu_count()} processors", flush=True)
    with tempfile.TemporaryDirectory(prefix="k8snb-bench-") as compiled:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = compiled
        load_seconds()
        for figure in figures():
            print(figure, flush=True)


def figures() -> Iterator[Figure]:
    yield Figure("%load_ext k8snb until all nodes are Ready", median(load_seconds), 1.0, "s")
    yield Figure("new Python process until a pod's HTTP answer", median(answer_seconds), 3.0, "s")
    bare_memory, bare_load = cost_of_kernel("")
    memory, load = cost_of_kernel("%load_ext k8snb")
    yield Figure("memory that the cluster adds to a bare kernel", (memory - bare_memory) / MEGABYTE, 60.0, "MB")
    yield Figure(f"an idle cluster's share of a core, over {IDLE_SECONDS:.0f} s", load - bare_load, 2.0, "%")


def median(measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(RUNS))


def load_seconds() -> float:
    """Measured inside the process: Python and IPython are there already when a learner loads the extension."""
    result = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, env=environment(), check=True)
    return float(result.stdout.split()[-1])


def answer_seconds() -> float:
    """Measured from outside: the interpreter's own start counts."""
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", ANSWER], stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.perf_counter() - began
    if line.strip() != "answered":
        raise RuntimeError("the pod did not answer")
    return seconds


def cost_of_kernel(line: str) -> tuple[float, float]:
    """Bytes of memory, and per cent of a core while idle, of a kernel and its children after it ran a line."""
    with kernel() as (client, process):
        reply = client.execute_interactive(line, timeout=60, output_hook=lambda message: None)
        if reply["content"]["status"] != "ok":
            raise RuntimeError(f"{line}: {reply['content']['evalue']}")
        time.sleep(SETTLE_SECONDS)
        before = cpu_seconds(process)
        time.sleep(IDLE_SECONDS)
        load = (cpu_seconds(process) - before) / IDLE_SECONDS * 100
        return sum(member.memory_info().rss for member in family(process)), load


def cpu_seconds(process: psutil.Process) -> float:
    return sum(sum(member.cpu_times()[:2]) for member in family(process))


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


@contextmanager
def kernel() -> Iterator[tuple[Any, psutil.Process]]:
    """A real kernel: its client and its process."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", env=environment(), stderr=subprocess.DEVNULL)
    try:
        yield client, psutil.Process(manager.provisioner.pid)  # type: ignore[union-attr]
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def environment() -> dict[str, str]:
    return {**os.environ, "K8SNB_RUNTIME": "process", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
