"""Pulls: a line for each image that is on its way to a node, for whoever waits for its pods.

Interface: `lines(cluster)`.
The rule not to break: what the runtime does not tell is not guessed.
kubectl shows none of this: a kubelet has only the events Pulling and Pulled; `crictl pull` and `docker pull` have bars.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_MEGABYTE = 1_000_000


def lines(cluster: Any) -> list[str]:
    """`pulling nginx:1.25: 2 of 5 layers are here, 12.3 of 40.1 MB`; none on a cluster that cannot say."""
    return [_line(image, layers) for image, layers in cluster.pulls().items()]


def _line(image: str, layers: Sequence[Any]) -> str:
    if not layers:
        return f"pulling {image}: the registry is asked"
    here = sum(layer.here for layer in layers)
    done, total = (sum(getattr(layer, name) for layer in layers) / _MEGABYTE for name in ("done", "total"))
    size = f", {done:.1f} of {total:.1f} MB" if total else ""
    retries = next((f"; {layer.status.lower()}" for layer in layers if layer.status.startswith("Retrying")), "")
    return f"pulling {image}: {here} of {len(layers)} layers {'is' if here == 1 else 'are'} here{size}{retries}"
