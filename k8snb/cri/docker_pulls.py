"""Docker pulls: how far the images are that an engine is fetching, layer by layer.

Interface: `Pulls`: `under_way(image)`, a context that gives who is told of an engine's progress; `told()`.
The rule not to break: what is told is what the engine has said last; what has ended is not told of.
Source: the Docker Engine API's documentation, at "Create an image": `id`, `status` and `progressDetail` of each line.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from k8snb.cri import Layer

_HERE = ("Already exists", "Pull complete")
_FETCHED = ("Download complete", "Verifying Checksum", "Extracting", *_HERE)
_FIRST = "Pulling fs layer"

Tell = Callable[[Mapping[str, Any]], None]


class Pulls:
    """Those of one runtime. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._images: dict[str, dict[str, Layer]] = {}

    @contextmanager
    def under_way(self, image: str) -> Iterator[Tell]:
        layers: dict[str, Layer] = {}
        with self._lock:
            self._images[image] = layers

        def tell(progress: Mapping[str, Any]) -> None:
            with self._lock:
                _take(layers, progress)

        try:
            yield tell
        finally:
            with self._lock:
                if self._images.get(image) is layers:
                    del self._images[image]

    def told(self) -> dict[str, Sequence[Layer]]:
        """Image → its layers, in the order in which they are laid."""
        with self._lock:
            return {image: tuple(layers.values()) for image, layers in self._images.items()}


def _take(layers: dict[str, Layer], progress: Mapping[str, Any]) -> None:
    """One line of the engine's. Lines about the whole image have no layer's id, or none that was begun."""
    name, status = progress.get("id", ""), str(progress.get("status", ""))
    if name not in layers and status not in (_FIRST, _HERE[0]):
        return
    layer = replace(layers.get(name) or Layer(id=name), status=status)
    detail = progress.get("progressDetail") or {}
    if status == "Downloading" and detail.get("total"):
        layer = replace(layer, done=int(detail.get("current") or 0), total=int(detail["total"]))
    elif status in _FETCHED:
        layer = replace(layer, done=layer.total)
    layers[name] = replace(layer, here=status in _HERE)
