"""How long tests of real runtimes wait for what has to come true."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE = 60.0  # seconds, on a machine that has other work


def until(condition: Callable[[], object]) -> None:
    """Wait for it. Raises AssertionError when it does not come true in time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)
