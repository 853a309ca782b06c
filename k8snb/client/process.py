"""A process: what ends together, as a component's program does when its machine ends it.

Interface: `Process(name, world)`: its `context` is all that its parts are given; `end()` ends it, `executor(…)` gives
it an executor of its own.
The rule not to break: whatever was made with a process's context does nothing more after `end`: no request, no timer,
no item of work, no watch is left. What it has forgotten, its successor reads from the apiserver.
Real Kubernetes has processes of the operating system here, and SIGKILL.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from k8snb.apimachinery.errors import Postponed
from k8snb.apimachinery.kinds import Kind
from k8snb.client.client import Request, Transport, Watch
from k8snb.client.context import Context
from k8snb.clock import Callback, Clock, Timer
from k8snb.executor import Done, Executor, T
from k8snb.pump import Item

ROOM = 256  # timers of a process before it looks which of them have been cancelled


class Process:
    """A world within the world, until it ends. A process inside another one ends with it."""

    def __init__(self, name: str, world: Context) -> None:
        self.name = name
        self.ended = False
        self._schedule = world.schedule
        self._timers = _Timers(world.clock)
        self._connection = _Connection(world.transport, name)
        self.context = Context(self._connection, self._timers, self._scheduled, world.random, world.notes)

    def end(self) -> None:
        """Call it from the pump or under its lock. Ending twice changes nothing."""
        self.ended = True
        self._timers.end()
        self._connection.end()

    def executor(self, outside: Executor) -> Executor:
        """Work that is done outside the pump; what comes back after the end is dropped."""
        return _Executor(self, outside)

    def _scheduled(self, item: Item) -> None:
        self._schedule(Item(item.component, item.sort, partial(self._run, item.run)))

    def _run(self, run: Callable[[], str | None]) -> str | None:
        return None if self.ended else run()


class _Timers(Clock):
    """The world's clock, and of its timers those of one process."""

    def __init__(self, world: Clock) -> None:
        super().__init__()
        self.virtual = world.virtual
        self.now = world.now  # type: ignore[method-assign]  # asked too often for one call more
        self.monotonic = world.monotonic  # type: ignore[method-assign]
        self.seconds_until = world.seconds_until  # type: ignore[method-assign]
        self._world = world
        self._running: set[Timer] = set()
        self._room = ROOM
        self._ended = False

    def after(self, seconds: float, callback: Callback, *, background: bool = False, label: str = "") -> Timer:
        def fire() -> None:
            self._running.discard(timer)
            callback()

        timer = self._world.after(seconds, fire, background=background, label=label)
        if self._ended:
            timer.cancel()
        else:
            self._keep(timer)
        return timer

    def _keep(self, timer: Timer) -> None:
        """Those that somebody has cancelled are dropped when they may be the most."""
        self._running.add(timer)
        if len(self._running) > self._room:
            self._running = {each for each in self._running if each.callback is not None}
            self._room = max(2 * len(self._running), ROOM)

    def end(self) -> None:
        self._ended = True
        for timer in self._running:
            timer.cancel()
        self._running.clear()


class _Connection:
    """The way to the apiserver. After the end a request is postponed for ever: nobody is there to hear an answer."""

    def __init__(self, world: Transport, name: str) -> None:
        self._world = world
        self._name = name
        self._watches: set[Watch] = set()
        self._ended = False

    def handle(self, request: Request) -> Any:
        if self._ended:
            raise Postponed(f"{self._name} has been stopped", lambda retry: None)
        answer = self._world.handle(request)
        if isinstance(answer, Watch):
            self._keep(answer)
        return answer

    def kinds(self) -> tuple[Kind, ...]:
        return self._world.kinds()

    def end(self) -> None:
        self._ended = True
        for watch in list(self._watches):
            watch.on_arrival = None
            watch.stop()

    def _keep(self, watch: Watch) -> None:
        stop = watch.on_stop

        def stopped() -> None:
            self._watches.discard(watch)
            stop()

        self._watches.add(watch)
        watch.on_stop = stopped


class _Executor:
    def __init__(self, process: Process, outside: Executor) -> None:
        self._process = process
        self._outside = outside

    def submit(self, work: Callable[[], T], done: Done, *, waits: bool = False) -> None:
        def came(result: Any, error: BaseException | None) -> None:
            if not self._process.ended:
                done(result, error)

        if not self._process.ended:
            self._outside.submit(work, came, waits=waits)

    def close(self) -> None:
        """The executor outside is others' as well."""
