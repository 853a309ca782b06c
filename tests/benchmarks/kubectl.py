"""How fast a cell answers: a magic by itself, tables of many pods, and Tab among many objects.

Interface: `main()` prints one line per figure: what, measured, target, whether it is met.
The rule not to break: what is timed is what a cell does, from the line to the object, and from the line to the page.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from notebook_lab import Kernel, fresh_shell, make

from k8snb.cluster import Cluster
from k8snb.notebook import extension

from .api import Figure

RUNS = 31
PODS, OBJECTS = 1_000, 10_000
ROOT = Path(__file__).parent.parent.parent
LINES = ("%kget po", "%kget pods pod-99", "%kget cm cm-9", "%kget pods -l app=", "%klogs pod-1 -c ")
# In a kernel of its own: the same objects, made behind the notebook's back.
FILL = f"""
from k8snb.notebook import extension
client = extension.registered(get_ipython()).clusters.chosen.client
for number in range({OBJECTS}):
    client.create("configmaps", {{"metadata": {{"name": f"cm-{{number}}", "namespace": "default"}}}})
"""


def main() -> None:
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors", flush=True)
    with tempfile.TemporaryDirectory() as home:
        for figure in (*in_process(Path(home)), *in_kernel(home)):
            print(figure, flush=True)


def in_process(home: Path) -> Iterator[Figure]:
    with fresh_shell(home) as shell:
        extension.load(shell, make)
        magics = extension.registered(shell)
        assert magics is not None
        cluster = magics.clusters.chosen
        cluster.settle()
        line = "version --client"
        yield figure("a magic by itself, median", lambda: shell.run_line_magic("kubectl", line), 2.0)
        yield figure("  with its page", lambda: to_page(shell, "kubectl", line), 2.0)
        fill(cluster, PODS)
        yield figure(f"%kget pods of {PODS:,} pods, to the object", lambda: shell.run_line_magic("kget", "pods"), 50.0)
        yield figure("  to the page", lambda: to_page(shell, "kget", "pods"), 150.0)
        fill(cluster, OBJECTS - PODS, first=PODS)
        for typed in LINES:
            yield figure(f"Tab after `{typed}` with {OBJECTS:,} objects", partial(tab, shell, typed), 50.0)


def in_kernel(home: str) -> Iterator[Figure]:
    kernel = Kernel({**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": home, "K8SNB_RUNTIME": "simulated"})
    try:
        kernel.run("%load_ext k8snb")
        kernel.run(FILL)
        for typed in ("%kget cm cm-99", "%kget cm "):
            what = f"complete_request `{typed}` with {OBJECTS:,} objects"
            yield figure(what, partial(kernel.complete, typed), 50.0)
    finally:
        kernel.close()


def figure(what: str, act: Callable[[], object], target: float) -> Figure:
    """The median of several runs in milliseconds; the first one warms up."""
    act()
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        act()
        times.append((time.perf_counter() - began) * 1000)
    return Figure(what, statistics.median(times), target, "ms")


def to_page(shell: InteractiveShell, magic: str, line: str) -> object:
    formatter = shell.display_formatter
    assert formatter is not None
    return formatter.format(shell.run_line_magic(magic, line))  # type: ignore[no-untyped-call]


def tab(shell: InteractiveShell, line: str) -> list[object]:
    with provisionalcompleter():
        return list(shell.Completer.completions(line, len(line)))


def fill(cluster: Cluster, count: int, *, first: int = 0) -> None:
    """Pods that nobody schedules, and ConfigMaps, half and half once there are pods enough."""
    for number in range(first, first + count):
        name = {"name": f"pod-{number}", "namespace": "default", "labels": {"app": f"app-{number % 50}"}}
        spec = {"schedulerName": "nobody", "containers": [{"name": "c", "image": "nginx:1.25"}]}
        if number < PODS or number % 2:
            cluster.client.create("pods", {"metadata": name, "spec": spec})
        else:
            cluster.client.create("configmaps", {"metadata": {**name, "name": f"cm-{number}"}})
