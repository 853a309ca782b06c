"""Loading and unloading: what `%load_ext k8snb` and `%unload_ext k8snb` do.

Interface: `load(shell)`, `unload(shell)`.
The rule not to break: after `unload`, or after the kernel's end, nothing of a cluster runs; loading twice is harmless.
All state lies in the shell's own registry of magics, so that two shells in one process do not meet.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from k8snb.kubectl.output import KubectlError
from k8snb.notebook import completion, refusals
from k8snb.notebook.clusters import Clusters
from k8snb.notebook.kcluster_life import greeting
from k8snb.notebook.magics import KubernetesMagics
from k8snb.notebook.results import page
from k8snb.notebook.style import BAD, GOOD, Tone

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from k8snb.cluster import Cluster


class Greeting:
    """One line, with a symbol in front of it in a page."""

    def __init__(self, text: str, tone: Tone) -> None:
        self.text, self.tone = text, tone

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        symbol = f'<b class="k8snb-{self.tone.name} k8snb-sym">{self.tone.symbol}</b>'
        return page(f'<div class="k8snb-note">{symbol}{escape(self.text)}</div>')


def make_cluster(
    name: str, *, nodes: int, runtime: str, cpus: str = "", memory: str = "", data_dir: str = ""
) -> Cluster:
    """A cluster in real time."""
    from k8snb.cluster import Cluster

    return Cluster(name, nodes=nodes, runtime=runtime, cpus=cpus, memory=memory, data_dir=data_dir)


def load(shell: InteractiveShell, make: Callable[..., Cluster] = make_cluster) -> None:
    """Register the magics and their completers; start the default cluster; say so in one line."""
    if registered(shell) is not None:
        return
    magics = KubernetesMagics(shell, Clusters(make))
    shell.register_magics(magics)
    completion.add(shell, lambda name: magics.offer(name) if name in magics.magics["line"] else None)
    refusals.add(shell)
    atexit.register(magics.clusters.close)
    _say(_start(magics.clusters))


def unload(shell: InteractiveShell) -> None:
    """End the clusters; take the magics and their completers away."""
    magics = registered(shell)
    if magics is None:
        return
    magics.clusters.close()
    atexit.unregister(magics.clusters.close)
    completion.remove(shell)
    refusals.remove(shell)
    for name in magics.magics["line"]:
        for sort in ("line", "cell"):
            shell.magics_manager.magics[sort].pop(name, None)
    del shell.magics_manager.registry[KubernetesMagics.__name__]


def registered(shell: InteractiveShell) -> KubernetesMagics | None:
    """This shell's magics, where they are loaded."""
    magics: KubernetesMagics | None = shell.magics_manager.registry.get(KubernetesMagics.__name__)
    return magics


def _start(clusters: Clusters) -> Greeting:
    try:
        clusters.start()
    except Exception as error:  # whatever it is, the magics stay, and the notebook says what to do
        why = str(error) if isinstance(error, KubectlError | ValueError) else f"{type(error).__name__}: {error}"
        return Greeting(f"the cluster did not start: {why}; to try again: %kcluster start", BAD)
    return Greeting(f"Kubernetes is starting: {greeting(clusters)}. Next: %kget nodes", GOOD)


def _say(greeting: Greeting) -> Any:
    from IPython.display import display

    display(greeting)
