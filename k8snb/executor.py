"""The executor: where slow outside work runs, so that it never blocks the pump.

Interface: `submit(work, done)` runs `work()` and later calls `done(result, error)` inside the pump.
The rule not to break: `done` is always called by the pump, never by the thread that did the work.
Real Kubernetes starts a goroutine per pod worker; here one small pool serves all nodes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from k8snb.clock import Clock

T = TypeVar("T")
Done = Callable[[Any, BaseException | None], None]


class Executor(Protocol):
    """Runs `work` somewhere and reports to `done(result, error)` in the pump; exactly one of the two is not None."""

    def submit(self, work: Callable[[], T], done: Done) -> None: ...

    def close(self) -> None: ...


class ClockExecutor:
    """Runs the work at once and lets the clock pass for as long as the work says that it would have taken.

    For runtimes that only pretend: `take_elapsed()` gives the seconds that the calls since the last question would
    have cost. No thread is used, so a seeded run replays exactly.
    """

    def __init__(self, clock: Clock, take_elapsed: Callable[[], float]) -> None:
        self._clock = clock
        self._take_elapsed = take_elapsed

    def submit(self, work: Callable[[], T], done: Done) -> None:
        result, error = _attempt(work)
        self._clock.after(self._take_elapsed(), lambda: done(result, error), label="runtime")

    def close(self) -> None:
        """Nothing to stop."""


class ThreadExecutor:
    """A pool of daemon threads, started as they are needed; `post` hands the answer over to the pump.

    Daemons, because an image pull that hangs must not keep a kernel from ending. After `close` work is dropped.
    """

    def __init__(self, post: Callable[[Callable[[], None]], None], *, workers: int = 16) -> None:
        self._post = post
        self._workers = workers
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)
        self._closed = False

    def submit(self, work: Callable[[], T], done: Done) -> None:
        if self._closed:
            return

        def run() -> None:
            result, error = _attempt(work)
            if not self._closed:
                self._post(lambda: done(result, error))

        self._jobs.put(run)
        if not self._idle.acquire(blocking=False) and len(self._threads) < self._workers:
            thread = threading.Thread(target=self._serve, name=f"k8snb-work-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self, timeout: float = 5.0) -> None:
        """Take no more work, and wait a moment for what is under way."""
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(timeout)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not self._closed:
                job()
            self._idle.release()


def _attempt(work: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    try:
        return work(), None
    except Exception as error:
        return None, error
