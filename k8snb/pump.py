"""The pump: the only loop of a cluster. It takes one item at a time; that item is the step a learner can single-step.

Interface: components `add` items; `step()` runs one; `settle()` runs until nothing is left to do; `start()` runs the
same loop on one daemon thread in real time. Outside threads enter `with pump.lock:` or hand a callable over by `post`.
The rule not to break: everything that touches a component or the store runs in the pump or under its lock.
Real Kubernetes runs each of these loops in goroutines and processes of their own.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from k8snb.apimachinery.errors import Postponed
from k8snb.clock import Clock, RealClock, VirtualClock

Guard = Callable[[], AbstractContextManager[Callable[[], None]]]  # yields what is called between two items

LONGEST_WAIT = 0.5  # seconds after which a waiting thread looks for itself
TOLD_EVERY = 0.01  # seconds between two tellings of progress while the pump is busy
SYNC, WATCH, TIMER, RESULT = "sync", "watch", "timer", "result"


class Item(NamedTuple):
    """One piece of work: which component it belongs to, of what sort it is, and what to run."""

    component: str
    sort: str
    run: Callable[[], str | None]


class Step(NamedTuple):
    """What was just run. `key` is what the component was working on, where it has a key."""

    component: str
    sort: str
    key: str


class Turnstile:
    """A re-entrant lock that lets a waiting outside thread go before the pump's next item.

    `work` wakes the pump when there is something new to do, `progress` those who wait for what it does.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.work = threading.Condition(self._lock)
        self.progress = threading.Condition(self._lock)
        self._waiting: deque[None] = deque()

    def __enter__(self) -> None:
        self._waiting.append(None)
        try:
            self._lock.acquire()
        finally:
            self._waiting.pop()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @property
    def contended(self) -> bool:
        """Whether some thread stands before the lock."""
        return bool(self._waiting)


class Pump:
    """Takes ready items first, then due timers. Paused, it runs nothing but what `step()` asks for."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = Turnstile()
        clock.on_timer = self._wake
        self._paused = False
        self._told = 0.0  # when those who wait were last told of progress
        self.failure: str | None = None
        self._stand: Callable[[], bool] | None = None  # the pump pauses when this is true
        self.on_failure: Callable[[str, str], None] = _print_failure
        self.guard: Guard = _unguarded  # around items
        self._ready: deque[Item] = deque()
        self._inbox: deque[Callable[[], None]] = deque()
        self._thread: threading.Thread | None = None
        self._stopping = False

    # what components and threads call

    def add(self, item: Item) -> None:
        """Queue an item. Call it from the pump or under the lock."""
        self._ready.append(item)
        self._wake()

    def post(self, callback: Callable[[], None]) -> None:
        """Hand a callable over from any thread; it runs as an item of its own."""
        self._inbox.append(callback)
        self._wake()

    @property
    def paused(self) -> bool:
        return self._paused

    @paused.setter
    def paused(self, paused: bool) -> None:
        """Set it under the lock."""
        self._paused = paused
        self._wake()

    def _wake(self) -> None:
        """There is something new to do: where another thread runs the pump, it is not to sleep."""
        if self._thread is not None and threading.current_thread() is not self._thread:
            with self.lock:
                self.lock.work.notify()

    def pause_when(self, until: Callable[[], bool] | None) -> None:
        """Stand still after the item that makes `until()` true; None takes it back. Set it under the lock."""
        self._stand = until
        self._wake()

    # running

    def step(self) -> Step | None:
        """Run one item, if one is ready or a timer is due. Returns what was run."""
        with self.guard():
            return self._step()

    def _step(self) -> Step | None:
        item = self._next()
        if item is None:
            return None
        try:
            key = item.run() or ""
        except Postponed:
            key = ""  # what has to be done again says so where it knows how
        except Exception:
            key = ""
            self.on_failure(item.component, traceback.format_exc())
        return Step(item.component, item.sort, key)

    def settle(self, *, limit: float = 600.0, until: Callable[[], bool] | None = None) -> bool:
        """Pump until nothing is left that anybody waits for, or `until()` is true. Virtual time jumps.

        `limit` is in seconds of virtual time (a crash loop never ends). Returns whether it settled within the limit;
        with `until`, whether the condition came true.
        """
        clock = self.clock
        if not isinstance(clock, VirtualClock):
            raise RuntimeError("settle() needs a virtual clock: in real time, wait for a condition instead")
        end = clock.monotonic() + limit
        while True:
            if self._run_ready(until):
                return True
            waited_for = clock.next_due(foreground=until is None)
            if waited_for is None or waited_for > end:
                if waited_for is not None:
                    clock.advance_to(end)
                return until is None and waited_for is None
            clock.advance_to(clock.next_due() or waited_for)

    def run_for(self, seconds: float) -> None:
        """Let `seconds` of virtual time pass, running all that falls due."""
        clock = self.clock
        if not isinstance(clock, VirtualClock):
            raise RuntimeError("run_for() needs a virtual clock")
        end = clock.monotonic() + seconds
        while True:
            self._run_ready()
            due = clock.next_due()
            if due is None or due > end:
                clock.advance_to(end)
                return
            clock.advance_to(due)

    def _run_ready(self, until: Callable[[], bool] | None = None) -> bool:
        """Run all that is ready or due now, or until `until()`. Whether that came true."""
        with self.guard() as between:
            while self._step() is not None:
                between()
                if until is not None and until():
                    return True
            return until is not None and until()

    # the daemon thread

    def start(self) -> None:
        """Run the loop on one daemon thread, in real time."""
        if self._thread is None and isinstance(self.clock, RealClock):
            self._stopping, self.failure = False, None
            self._thread = threading.Thread(target=self._loop, name="k8snb-pump", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread after the item that it is running."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with self.lock:
            self._stopping = True
            self.lock.work.notify()
        if threading.current_thread() is not thread:
            thread.join(timeout=10)

    def clear(self) -> None:
        """Forget all work and all timers: what they belong to has been stopped."""
        self._ready.clear()
        self._inbox.clear()
        self.clock.clear()

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def wait(self, until: Callable[[], bool], timeout: float) -> bool:
        """Block the calling thread until `until()` is true or `timeout` seconds have passed.

        It is asked when the pump has come to rest, and now and then while it works.
        """
        if self.clock.virtual:
            return until() or self.settle(limit=timeout, until=until)
        end = self.clock.monotonic() + timeout
        with self.lock:
            while not until():
                left = end - self.clock.monotonic()
                if left <= 0 or not self.running:
                    return until()
                self.lock.progress.wait(min(left, LONGEST_WAIT))
            return True

    def _loop(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        except BaseException:
            self.failure = traceback.format_exc()
            self.on_failure("pump", self.failure)

    def _turn(self) -> None:
        with self.lock:
            rested = self.paused or self.step() is None
            if self._stand is not None and self._stand():
                self._stand, self._paused, rested = None, True, True
            self._tell(rested)
            if rested and not self._stopping:
                due = None if self.paused else self.clock.next_due()
                timeout = None if due is None else self.clock.seconds_until(due)
                if not self._inbox or self.paused:
                    self.lock.work.wait(timeout)
        if self.lock.contended:
            threading.Event().wait(0.0005)

    def _tell(self, rested: bool) -> None:
        now = self.clock.monotonic()
        if rested or now - self._told > TOLD_EVERY:
            self._told = now
            self.lock.progress.notify_all()

    def _next(self) -> Item | None:
        if self._inbox:
            callback = self._inbox.popleft()
            return Item("executor", RESULT, lambda: callback())
        if self._ready:
            return self._ready.popleft()
        timer = self.clock.pop_due()
        if timer is None or timer.callback is None:
            return None
        callback = timer.callback
        return Item(timer.label or "clock", TIMER, lambda: callback())


@contextmanager
def _unguarded() -> Iterator[Callable[[], None]]:
    yield lambda: None


def _print_failure(component: str, details: str) -> None:
    sys.stderr.write(f"{component} failed:\n{details}\n")
