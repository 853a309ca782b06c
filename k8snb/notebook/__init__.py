"""The notebook: magics, tables, diagrams, and the hold on the current cluster. The only place that knows Jupyter.

Interface: `load(shell)` and `unload(shell)`, behind `%load_ext k8snb` and `%unload_ext k8snb`.
The rule not to break: everything below works without a notebook; nothing below imports this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["load", "unload"]


def load(shell: InteractiveShell) -> None:
    """Register the magics, start the cluster."""
    from k8snb.notebook.extension import load as load_extension

    load_extension(shell)


def unload(shell: InteractiveShell) -> None:
    """Stop the clusters, take the magics away."""
    from k8snb.notebook.extension import unload as unload_extension

    unload_extension(shell)
