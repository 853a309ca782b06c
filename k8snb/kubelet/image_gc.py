"""kubelet's image manager, the part that collects garbage: images that nobody uses go when the disk fills up.

Interface: `ImageGC(…)`: `measure()` (on the executor), `observe(observation)`, `remove_unused()`.
The rule not to break: an image that a container uses stays, and so does one that this cluster has not pulled.
Source: `pkg/kubelet/images/image_gc_manager.go`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable

from k8snb.client.events import WARNING, EventRecorder
from k8snb.clock import Clock
from k8snb.cri import Image, Runtime, RuntimeFailure
from k8snb.executor import Executor
from k8snb.kubelet.eviction_rules import Observation

HIGH, LOW = 0.85, 0.80  # of the disk: when collecting begins, and how far it goes
YOUNG = 120.0  # seconds for which a new image is safe
PERIOD = 300.0  # seconds between two collections
DISK = "ephemeral-storage"


class ImageGC:
    """The images of one node. `in_use()` are the ids of those that its containers have."""

    def __init__(
        self, node: str, runtime: Runtime, clock: Clock, executor: Executor, *, in_use: Callable[[], Collection[str]],
        events: EventRecorder,
    ) -> None:  # fmt: skip
        self._node, self._runtime, self._clock, self._executor = node, runtime, clock, executor
        self._in_use, self._events = in_use, events
        self._images: list[Image] = []
        self._seen_at: dict[str, float] = {}  # image id → when it was first seen
        self._used_at: dict[str, float] = {}
        self._collected_at = clock.monotonic()

    def measure(self) -> int:
        """Bytes that the images take."""
        try:
            self._images = self._runtime.list_images()
        except RuntimeFailure:
            return 0
        return sum({image.id: image.size for image in self._images}.values())

    def observe(self, seen: Observation) -> None:
        """Remember which images are used, and collect when the disk is full and the time has come."""
        now = self._clock.monotonic()
        used = set(self._in_use())
        for image in self._images:
            self._seen_at.setdefault(image.id, now)
            if image.id in used:
                self._used_at[image.id] = now
        excess = seen.used[DISK] - int(LOW * seen.capacity[DISK])
        if seen.used[DISK] >= HIGH * seen.capacity[DISK] and now - self._collected_at >= PERIOD:
            self._collected_at = now
            self._collect(excess)

    def _collect(self, excess: int) -> None:
        now = self._clock.monotonic()
        old = [image for image in self._unused() if now - self._seen_at.get(image.id, now) >= YOUNG]
        chosen, freed = [], 0
        for image in sorted(old, key=lambda image: self._used_at.get(image.id, 0.0)):
            if freed < excess:
                chosen.append(image)
                freed += image.size
        self._remove(chosen)
        if freed < excess:
            node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self._node, "uid": self._node}}
            words = (f"Failed to garbage collect required amount of images. Attempted to free {excess} bytes, but only "
                     f"found {freed} bytes eligible to free.")  # fmt: skip
            self._events.event(node, WARNING, "FreeDiskSpaceFailed", words)

    def remove_unused(self) -> bool:
        """Remove every image that nobody uses; whether there was one worth it."""
        unused = [image for image in self._unused() if image.size]
        self._remove(unused)
        return bool(unused)

    def _unused(self) -> list[Image]:
        used = set(self._in_use())
        return [image for image in self._images if image.id not in used]

    def _remove(self, images: Iterable[Image]) -> None:
        for image in images:
            self._images.remove(image)
            self._executor.submit(functools.partial(self._runtime.remove_image, image.ref), _ignore)


def _ignore(result: object, error: BaseException | None) -> None:
    """An image that the runtime does not let go of stays: another node's container uses it, or it is the user's."""
