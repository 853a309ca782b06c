"""The clock: what time it is, and what is to happen later.

Interface: `now()` for time stamps, `after(seconds, callback)` for timers; the pump calls `pop_due()` and `next_due()`.
The rule not to break: no component asks the operating system for the time or sleeps; it is given a `Clock`.
Real Kubernetes does the same inside its tests with `k8s.io/utils/clock`.
"""

from __future__ import annotations

import heapq
import itertools
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache

Callback = Callable[[], None]


class Timer:
    """A callback that is due at a moment of the monotonic time line; `cancel()` takes it back."""

    __slots__ = ("background", "callback", "due", "fired", "label")

    def __init__(self, due: float, callback: Callback, background: bool, label: str) -> None:
        self.due = due
        self.callback: Callback | None = callback
        self.background = background
        self.fired = False
        self.label = label

    def cancel(self) -> None:
        self.callback = None


class Clock:
    """Timers in the order in which they fall due. Subclasses say how time passes."""

    virtual = False

    def __init__(self) -> None:
        self.on_timer: Callback = lambda: None  # told of every timer, for a pump that sleeps until the next one
        self._heap: list[tuple[float, int, Timer]] = []
        self._waited_for: list[tuple[float, int, Timer]] = []  # those of the heap that are not background
        self._order = itertools.count()

    def now(self) -> float:
        """Seconds since the epoch, for time stamps."""
        raise NotImplementedError

    def monotonic(self) -> float:
        """Seconds on a line that never jumps back, for timers."""
        raise NotImplementedError

    def after(self, seconds: float, callback: Callback, *, background: bool = False, label: str = "") -> Timer:
        """Run `callback` in the pump `seconds` from now.

        A `background` timer (a heartbeat, a periodic check) fires like any other, but nobody waits for it: `settle()`
        is over when only background timers are left.
        """
        timer = Timer(self.monotonic() + max(seconds, 0.0), callback, background, label)
        entry = (timer.due, next(self._order), timer)
        heapq.heappush(self._heap, entry)
        if not background:
            heapq.heappush(self._waited_for, entry)
        self.on_timer()
        return timer

    def seconds_until(self, moment: float) -> float:
        """How long the machine takes until this clock shows `moment`."""
        raise NotImplementedError

    def pop_due(self) -> Timer | None:
        """The next timer whose moment has come, or None."""
        _drop_cancelled(self._heap)
        _drop_cancelled(self._waited_for)
        if not self._heap or self._heap[0][0] > self.monotonic():
            return None
        timer = heapq.heappop(self._heap)[2]
        timer.fired = True
        return timer

    def next_due(self, *, foreground: bool = False) -> float | None:
        """When the next timer falls due (monotonic seconds); with `foreground`, the next that somebody waits for."""
        heap = self._waited_for if foreground else self._heap
        _drop_cancelled(heap)
        return heap[0][0] if heap else None

    def clear(self) -> None:
        """Take back every timer: what they belong to has been stopped."""
        self._heap.clear()
        self._waited_for.clear()


def _drop_cancelled(heap: list[tuple[float, int, Timer]]) -> None:
    while heap and (heap[0][2].callback is None or heap[0][2].fired):
        heapq.heappop(heap)


class RealClock(Clock):
    """Time as the machine has it; faster or slower where somebody says so, and ahead of it by what was skipped."""

    def __init__(self) -> None:
        super().__init__()
        self._speed = 1.0
        self._ahead = 0.0  # seconds before the machine's time, at `_since`
        self._since = 0.0  # the machine's monotonic time when the speed was set

    def now(self) -> float:
        return time.time() + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead

    @property
    def ahead(self) -> float:
        """Seconds that this clock shows more than the machine's."""
        if self._speed == 1.0:
            return self._ahead
        return self._ahead + (time.monotonic() - self._since) * (self._speed - 1.0)

    @property
    def speed(self) -> float:
        """Seconds that pass here in one second of the machine's."""
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        self._ahead, self._since = self.ahead, time.monotonic()
        self._speed = speed
        self.on_timer()

    def advance_to(self, moment: float) -> None:
        """Skip the time until `moment` (monotonic seconds); time never goes back."""
        self._ahead += max(moment - self.monotonic(), 0.0)

    def seconds_until(self, moment: float) -> float:
        return max(moment - self.monotonic(), 0.0) / self._speed


class VirtualClock(Clock):
    """Time that stands still until the pump jumps to the next timer."""

    virtual = True

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        super().__init__()
        self._now = start

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def advance_to(self, moment: float) -> None:
        """Move to `moment` (monotonic seconds); time never goes back."""
        self._now = max(self._now, moment)

    def seconds_until(self, moment: float) -> float:
        return 0.0


def timestamp(seconds: float) -> str:
    """RFC 3339 with whole seconds, as `metadata.creationTimestamp` has it."""
    return _written(math.floor(round(seconds, 6)))


@lru_cache(maxsize=64)
def _written(second: int) -> str:
    """Many objects are written in one second."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(seconds: float) -> str:
    """RFC 3339 with microseconds, as leases and `eventTime` have it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_timestamp(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time. Raises ValueError."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
