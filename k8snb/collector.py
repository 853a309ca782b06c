"""Python's garbage collector while a cluster runs: it looks less often, for what the API keeps is no garbage.

Interface: `Collector`: `relax()`, `restore()`.
The rule not to break: what was set before is set again; where somebody has chosen longer pauses already, they stay.
The store and the caches hold some hundred objects of Python's for each pod, without cycles; to go through all of them
again and again takes a quarter of the time in which a large Deployment comes up. What has survived a first look has
come to stay, so that second looks are rare. Go's collector works in parallel.
"""

from __future__ import annotations

import gc

PAUSES = (10_000, 1_000, 20)  # new objects before a first look, first looks before a second, second before a third


class Collector:
    def __init__(self) -> None:
        self._before: tuple[int, int, int] | None = None

    def relax(self) -> None:
        before = gc.get_threshold()
        if self._before is None and before[0] and before < PAUSES:
            self._before = before
            gc.set_threshold(*PAUSES)

    def restore(self) -> None:
        before, self._before = self._before, None
        if before is not None and gc.get_threshold() == PAUSES:
            gc.set_threshold(*before)
