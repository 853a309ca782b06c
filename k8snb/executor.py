"""The executor: where slow outside work runs, so that it never blocks the pump.

Interface: `submit(work, done)` runs `work()` and later calls `done(result, error)` inside the pump; `waits` marks work
that waits for minutes rather than works (a grace period, a download).
The rule not to break: `done` is always called by the pump, never by the thread that did the work.
Real Kubernetes starts a goroutine per pod worker; here one small pool serves all nodes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from k8snb.clock import Clock

T = TypeVar("T")
Done = Callable[[Any, BaseException | None], None]


class Executor(Protocol):
    """Runs `work` somewhere and reports to `done(result, error)` in the pump. No work queues behind work that waits."""

    def submit(self, work: Callable[[], T], done: Done, *, waits: bool = False) -> None: ...

    def close(self) -> None: ...


class ClockExecutor:
    """Runs the work at once and lets the clock pass for as long as the work says that it would have taken.

    For runtimes that only pretend: `take_elapsed()` gives the seconds that the calls since the last question would
    have cost. No thread is used, so a seeded run replays exactly.
    """

    def __init__(self, clock: Clock, take_elapsed: Callable[[], float]) -> None:
        self._clock = clock
        self._take_elapsed = take_elapsed

    def submit(self, work: Callable[[], T], done: Done, *, waits: bool = False) -> None:
        result, error = _attempt(work)
        self._clock.after(self._take_elapsed(), lambda: done(result, error), label="runtime")

    def close(self) -> None:
        """Nothing to stop."""


class ThreadExecutor:
    """A pool of daemon threads, started as they are needed; `post` hands the answer over to the pump.

    Work that waits has a thread of its own: a pool full of grace periods would start no container.
    Daemons, because an image pull that hangs must not keep a kernel from ending. After `close` work is dropped.
    """

    def __init__(self, post: Callable[[Callable[[], None]], None], *, workers: int = 16) -> None:
        self._post = post
        self._workers = workers
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._pool: list[threading.Thread] = []
        self._idle = threading.Semaphore(0)
        self._closed = False

    def submit(self, work: Callable[[], T], done: Done, *, waits: bool = False) -> None:
        if self._closed:
            return

        def run() -> None:
            result, error = _attempt(work, BaseException)
            if not self._closed:
                self._post(lambda: done(result, error))

        if waits:
            _thread(run, "k8snb-wait")
            return
        self._jobs.put(run)
        if not self._idle.acquire(blocking=False) and len(self._pool) < self._workers:
            self._pool.append(_thread(self._serve, f"k8snb-work-{len(self._pool)}"))

    def close(self, timeout: float = 5.0) -> None:
        """Take no more work. What is under way gets `timeout` seconds in all; work that waits is left to itself."""
        if self._closed:
            return
        self._closed = True
        for _ in self._pool:
            self._jobs.put(None)
        end = time.monotonic() + timeout
        for thread in self._pool:
            thread.join(max(end - time.monotonic(), 0.0))

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not self._closed:
                job()
            self._idle.release()


def _thread(run: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def _attempt(work: Callable[[], T], caught: type[BaseException] = Exception) -> tuple[T | None, BaseException | None]:
    try:
        return work(), None
    except caught as error:
        return None, error
