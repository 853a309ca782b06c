"""client-go's workqueue: keys that wait to be synced, each at most once.

Interface: `WorkQueue(name, context, process)`: `add`, `add_after`, `add_rate_limited`, `forget`.
The rule not to break: a key that is added again before it is processed is processed once.
Source: `client-go/util/workqueue`. Upstream serves the queue with several goroutines; here each key is one item of the
pump.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from k8snb.apimachinery.errors import Postponed
from k8snb.client.context import Context
from k8snb.clock import Timer
from k8snb.pump import SYNC, Item

BASE_DELAY, MAX_DELAY = 0.005, 1000.0  # seconds; upstream's DefaultControllerRateLimiter
MOST_DOUBLINGS = 20  # more of them lead past the longest delay


class WorkQueue:
    """De-duplicates keys and remembers, for each, the revision that made somebody add it."""

    def __init__(
        self, name: str, context: Context, process: Callable[[str, int], None], *, longest: float = MAX_DELAY
    ) -> None:  # fmt: skip
        self.name = name
        self._longest = longest  # seconds until a key that keeps failing is tried again
        self._context = context
        self._process = process
        self._keys: deque[str] = deque()
        self._causes: dict[str, int] = {}
        self._failures: dict[str, int] = {}
        self._delayed: dict[str, Timer] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: str, cause: int = 0) -> None:
        """Queue a key; `cause` is the revision that made it worth a look."""
        if key in self._causes:
            self._causes[key] = max(self._causes[key], cause)
            return
        self._causes[key] = cause
        self._keys.append(key)
        self._context.schedule(Item(self.name, SYNC, self._next))

    def add_after(self, key: str, seconds: float, *, background: bool = False, cause: int = 0) -> None:
        """Queue a key later; of several delays for one key the earliest counts."""
        clock = self._context.clock
        waiting = self._delayed.get(key)
        if waiting is not None and waiting.callback is not None:
            if waiting.due <= clock.monotonic() + seconds:
                return
            waiting.cancel()
        timer = clock.after(seconds, lambda: self._due(key, cause), background=background, label=self.name)
        self._delayed[key] = timer

    def add_rate_limited(self, key: str) -> None:
        """Queue a key after a delay that doubles with each failure in a row."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.add_after(key, min(BASE_DELAY * 2 ** min(failures, MOST_DOUBLINGS), self._longest))

    def failures(self, key: str) -> int:
        return self._failures.get(key, 0)

    def forget(self, key: str) -> None:
        """The key went well: its next failure is again the first."""
        self._failures.pop(key, None)

    def _due(self, key: str, cause: int) -> None:
        self._delayed.pop(key, None)
        self.add(key, cause)

    def _next(self) -> str:
        key = self._keys.popleft()
        cause = self._causes.pop(key)
        if self._context.notes.looking:
            self._context.notes.takes_up(key, cause)
        try:
            self._process(key, cause)
        except Postponed as waiting:
            waiting.then(lambda: self.add(key, cause))
        return key
