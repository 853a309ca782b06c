"""k8snb: Kubernetes, taught by running it inside the notebook.

Interface: `%load_ext k8snb` in a notebook, `k8snb.Cluster` in Python.
The rule not to break: importing k8snb imports nothing else; a notebook pays for a part when it first uses it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # type checkers know this name; `typing` itself takes longer to import than all of this
if TYPE_CHECKING:
    from typing import Any

    from IPython.core.interactiveshell import InteractiveShell

    from k8snb.cluster import Cluster

__version__ = "0.1.0"
__all__ = ["Cluster", "__version__", "load_ipython_extension", "unload_ipython_extension"]


def __getattr__(name: str) -> Any:
    if name == "Cluster":
        from k8snb.cluster import Cluster

        return Cluster
    raise AttributeError(f"module 'k8snb' has no attribute {name!r}")


def load_ipython_extension(ip: InteractiveShell) -> None:
    """`%load_ext k8snb`: the magics, and a running cluster."""
    from k8snb.notebook import load

    load(ip)


def unload_ipython_extension(ip: InteractiveShell) -> None:
    """`%unload_ext k8snb`: stop the clusters, take the magics away."""
    from k8snb.notebook import unload

    unload(ip)
