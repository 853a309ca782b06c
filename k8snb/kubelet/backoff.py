"""kubelet's back-off: how long a container that crashes, or an image that cannot be pulled, has to wait.

Interface: `Backoff.failed`, `Backoff.seconds_left`; `duration` and `exact_duration` write a number of seconds.
Source: `MaxContainerBackOff`, `backOffPeriod` in pkg/kubelet/kubelet.go: 10 s, doubled up to 5 min, forgotten after 10
min.
"""

from __future__ import annotations

INITIAL, MAXIMUM = 10.0, 300.0  # seconds
PUT_BACK = 60.0  # seconds by which a failure may lie ahead: containers end at their runtime's time
MOST_DOUBLINGS = 10  # more of them lead past the maximum


class Backoff:
    """One thing that may fail again and again. Times are seconds on one time line, the caller's."""

    def __init__(self, *, first_is_free: bool = False, failures: int = 0) -> None:
        self._first_is_free = first_is_free
        self._failures = failures
        self._since = 0.0

    def failed(self, now: float) -> None:
        """Count a failure. The first one costs nothing where `first_is_free` (a crash is first answered by a
        restart).
        """
        self._failures += 1
        self._since = now

    def succeeded(self) -> None:
        self._failures = 0

    @property
    def delay(self) -> float:
        """Seconds to wait after the last failure."""
        counted = self._failures - (1 if self._first_is_free else 0)
        return min(INITIAL * 2 ** min(counted - 1, MOST_DOUBLINGS), MAXIMUM) if counted > 0 else 0.0

    def seconds_left(self, now: float) -> float:
        """A clock that was put back begins the wait anew, or it could last for days."""
        if now < self._since - PUT_BACK:
            self._since = now
        return max(self._since + self.delay - now, 0.0) if self._failures else 0.0

    @property
    def ends(self) -> float:
        """When the next try is due."""
        return self._since + self.delay


def duration(seconds: float) -> str:
    """Seconds as messages tell them: 1m20s."""
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def exact_duration(seconds: float) -> str:
    """Seconds to the millisecond, as Go writes a Duration: 250ms, 1.5s, 1m0.5s."""
    thousandths = max(int(seconds * 1000 + 1e-6), 0)
    if 0 < thousandths < 1000:
        return f"{thousandths}ms"
    minutes, rest = divmod(thousandths, 60_000)
    return f"{minutes}m{rest / 1000:g}s" if minutes else f"{rest / 1000:g}s"
