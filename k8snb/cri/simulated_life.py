"""A simulated container's life: its program's moves on the cluster's clock, from its start to its end.

Interface: `Life.start(container, world)`, `stop`, `freeze`, `thaw`, `kill`, `type_in`; `on_end(pod)` is called when a
container of it has ended.
The rule not to break: an end may be set for a moment that the clock has not reached; it is told when it has.
A real container's program is scheduled by the kernel.

What is waited for: `settle()` waits for a container's next move when it comes within 30 s of the container's start and
outside an endless loop. A later move is a background timer, so that `sleep 3600` does not take an hour of virtual time.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from k8snb.clock import Clock, Timer
from k8snb.cri import RUNNING
from k8snb.cri.simulated_machine import Container, Pod, Process, World, command_line
from k8snb.cri.simulated_shell import Streams

WAITED_FOR = 30.0  # seconds after a container's start
UNTOLD = 1.0  # seconds in which an end may not have been told to anybody
KILLED = 137  # the exit code after SIGKILL


class Life:
    """The lives of a runtime's containers. `now()` is the time of whoever calls the runtime."""

    def __init__(self, clock: Clock, now: Callable[[], float], *, on_end: Callable[[Pod], None]) -> None:
        self._clock = clock
        self._now = now
        self._on_end = on_end

    def start(self, container: Container, world: World, *, at: float | None = None) -> None:
        """Run the container's own program, from its `started_at` on, or from another moment."""
        self._begin(container, world, container.started_at if at is None else at)
        self._move(container)

    def resume(self, container: Container, world: World, outside: World, *, moves: int) -> bool:
        """Run a program that has been running since `started_at` up to now, at once: until then it reaches `world`, and
        what is `outside` from now on. False, and nothing under way, where it would have ended before, or takes more
        moves.
        """
        process, now = self._begin(container, world, container.started_at), self._now()
        for _ in range(moves):
            wait = process.advance()
            if wait is None and now - process.at < UNTOLD:
                self._finish(container, process.at, process.code or 0)
                return True
            if wait is None:
                break
            if wait == math.inf or process.at + wait > now:
                process.world = outside
                self._waited(container, process, wait)
                return True
            process.at += wait
        container.process, container.ports, container.on_term = None, (), None
        return False

    def _begin(self, container: Container, world: World, at: float) -> Process:
        process = container.process = Process(container, world, at, main=True)

        def writer(stream: str) -> Callable[[bytes], None]:
            return lambda data: container.write_log(process.at, data, stream)

        if container.console is not None:
            container.console.echo = writer("stdout")
        streams = Streams(b"", writer("stdout"), writer("stderr"), container.console)
        process.begin(command_line(container.config, container.image), streams)
        return process

    def stop(self, container: Container, at: float, timeout: float) -> None:
        """SIGTERM at `at`, and SIGKILL `timeout` seconds later."""
        if container.state(at) != RUNNING:
            self._finish(container, at, KILLED)
        elif container.on_term is not None and timeout > 0:
            self._finish(container, at, container.on_term)
        else:
            self._run_out(container, at + max(timeout, 0.0))

    def _run_out(self, container: Container, deadline: float) -> None:
        """Let a container that was told to end go on until it does, or until the deadline kills it."""
        process, timer = container.process, container.timer
        if process is not None and timer is not None:
            process.interrupt()
            wake = self._clock.now() + timer.due - self._clock.monotonic()
            while wake <= deadline:
                process.at = wake
                wait = process.advance()
                if wait is None:
                    return self._finish(container, wake, process.code or 0)
                wake += wait
        self._finish(container, deadline, KILLED)

    def freeze(self, container: Container) -> None:
        """The program's next move has to wait; how long it had to wait for it is kept."""
        container.frozen = True
        if container.timer is not None and container.held is None:
            container.held = container.timer.due - self._clock.monotonic()
            container.timer.cancel()
            container.timer = None

    def thaw(self, container: Container) -> None:
        container.frozen, held, container.held = False, container.held, None
        if held is not None and container.process is not None:
            container.timer = self._later(container, container.process, self._clock.now() + held)

    def kill(self, container: Container, at: float, code: int) -> None:
        if container.finished_at > at:
            self._finish(container, at, code)

    def type_in(self, container: Container, data: bytes) -> None:
        """Input for a container's own program: ^C ends what it waits for, a line goes to who reads."""
        process, console = container.process, container.console
        if process is None or console is None:
            return
        process.at = max(process.at, self._now())
        if not data:
            console.end()
        if console.feed(data):
            if container.timer is not None:
                container.timer.cancel()
            self._waited(container, process, process.break_off())
        elif console.reading:
            self._move(container)

    def _move(self, container: Container) -> None:
        """Run the container's program to its next wait, and set the timer for what comes after."""
        process = container.process
        if process is None:
            return
        self._waited(container, process, process.advance())

    def _waited(self, container: Container, process: Process, wait: float | None) -> None:
        if process.code is not None:
            self._finish(container, process.at, process.code)
        elif wait is None or wait == math.inf:
            container.timer = None
            if container.console is None:
                container.process = None
        else:
            container.timer = self._later(container, process, process.at + wait)

    def _later(self, container: Container, process: Process, wake: float) -> Timer:
        background = process.shell.endless > 0 or wake - container.started_at > WAITED_FOR

        def go_on() -> None:
            if container.process is process:
                process.at = wake
                self._move(container)

        return self._clock.after(wake - self._clock.now(), go_on, background=background, label="runtime")

    def _finish(self, container: Container, at: float, code: int) -> None:
        """The container ends at `at`, which the clock may not have reached."""
        if container.timer is not None:
            container.timer.cancel()
        container.process = container.timer = None
        container.finished_at, container.exit_code = at, code
        container.reason = container.reason or ("Completed" if code == 0 else "Error")
        delay = at - self._clock.now()
        if delay > 0:
            self._clock.after(delay, lambda: self._ended(container), label="runtime")
        else:
            self._ended(container)

    def _ended(self, container: Container) -> None:
        for client in list(container.clients):
            client.container_ended()
        self._on_end(container.pod)
