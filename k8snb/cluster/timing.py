"""A cluster's time: it goes by, stands still, goes one step further, or jumps.

Interface: `Timing`: `wait`, `settle`, `run_for`, `pause`, `unpause`, `step`, `run_until`, `speed`.
The rule not to break: time is the clock's and work is the pump's; whoever lets one of them go holds the pump's lock.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection

from k8snb import hosts
from k8snb.apimachinery.meta import key_of, uid_of
from k8snb.clock import RealClock
from k8snb.cluster.parts import Parts
from k8snb.cri import RuntimeFailure
from k8snb.scheduler.decision import Decision
from k8snb.story.steps import Stepper, ToldStep

SLOWEST, FASTEST = 0.01, 1000.0  # speeds of a real clock


class Timing(Parts):
    def wait(self, until: Callable[[], bool], timeout: float) -> bool:
        """Wait until a condition holds; whether it came true within `timeout` seconds. Ctrl-C ends the wait only."""
        return self.pump.wait(until, timeout)

    def settle(self, *, limit: float = 600.0) -> bool:
        """On a virtual clock: run until nothing is left to do. Whether that was within `limit` seconds of its time."""
        with self.pump.lock:
            return self.pump.settle(limit=limit)

    def run_for(self, seconds: float) -> None:
        """On a virtual clock: let time pass."""
        with self.pump.lock:
            self.pump.run_for(seconds)

    def pause(self, namespaces: Collection[str] = (), *, everywhere: bool = False) -> int:
        """No component moves, except by `step`; the apiserver still answers. The containers of these namespaces, or of
        all, stand still as well. Returns how many do. Raises ValueError where the runtime cannot hold any.
        """
        with self.pump.lock:
            before, self.pump.paused = self.pump.paused, True
        try:
            picks = namespaces.__contains__ if not everywhere else lambda namespace: True
            return self.machines.freeze(self.runtime, picks) if everywhere or namespaces else 0
        except RuntimeFailure as failure:
            if not before:
                self.unpause()
            raise ValueError(failure.message) from failure

    def unpause(self) -> int:
        """Containers and components go on. Returns how many containers were held."""
        held = self.machines.thaw()
        with self.pump.lock:
            self.pump.paused = False
        return held

    def step(self, count: int = 1) -> list[ToldStep]:
        """Let one component after the other work on one key, so many times: what each read, decided and wrote.

        Where nothing is queued, time jumps to the next timer, unless real programs run. Fewer steps than asked for:
        nothing is left to do now.
        """
        found: list[ToldStep] = []
        stepper = self.stepper()
        with self.pump.lock:
            while len(found) < count and (told := stepper.step()) is not None:
                found.append(told)
        return found

    def stepper(self) -> Stepper:
        """What runs the cluster step by step."""
        self._must_run()
        return Stepper(
            self.pump, self.context.notes, lambda: self.history, scheduler=self.scheduler.name,
            skips=self.simulates, verdict=self._verdict, key_of=self._key_of,
        )  # fmt: skip

    @property
    def simulates(self) -> bool:
        """Whether nothing outside of this process belongs to the cluster, so that its time can be skipped."""
        return self.clock.virtual or self.runtime_name == hosts.SIMULATED

    def _verdict(self, key: str) -> Decision | None:
        """The scheduler's newest decision about a pod."""
        found = [decision for decision in self.scheduler.decisions if decision.key == key]
        return found[-1] if found else None

    def _key_of(self, key: str) -> str:
        """A pod's namespace and name, where a kubelet knows it by its uid."""
        pods = self.store.range("/registry/pods/")[0] if "/" not in key and key.count("-") == 4 else ()
        return next((key_of(record.value) for record in pods if uid_of(record.value) == key), key)

    @property
    def speed(self) -> float:
        """Seconds that pass in the cluster in one of the machine's; `inf` on a virtual clock."""
        return self.clock.speed if isinstance(self.clock, RealClock) else math.inf

    @speed.setter
    def speed(self, speed: float) -> None:
        """Raises ValueError on a virtual clock, and for what is no speed."""
        if not isinstance(self.clock, RealClock):
            raise ValueError("on a virtual clock time jumps from timer to timer: it goes as fast as it can")
        if not SLOWEST <= speed <= FASTEST:
            raise ValueError(f"a speed is a number from {SLOWEST:g} to {FASTEST:g}, not {speed:g}")
        with self.pump.lock:
            self.clock.speed = speed

    def run_until(self, until: Callable[[], bool], timeout: float) -> bool:
        """Let the cluster run until a condition holds, and pause it right after the step that made it true.

        Whether it came true within `timeout` seconds of the cluster's time; if not, a cluster that was paused is paused
        again. Raises what the condition raises.
        """
        if self.clock.virtual:
            with self.pump.lock:
                reached = until() or self.pump.settle(limit=timeout, until=until)
                self.pump.paused = self.pump.paused or reached
            return reached
        with self.pump.lock:
            if until():
                self.pump.paused = True
                return True
            paused, self.pump.paused = self.pump.paused, False
            failures: list[Exception] = []
            self.pump.pause_when(functools.partial(_holds, until, failures))
        try:
            reached = self.pump.wait(lambda: self.pump.paused, timeout)
        finally:
            with self.pump.lock:
                self.pump.pause_when(None)
                self.pump.paused = self.pump.paused or paused
        if failures:
            raise failures[0]
        return reached


def _holds(until: Callable[[], bool], failures: list[Exception]) -> bool:
    """Somebody's own condition, asked in the pump: what it raises is theirs, and must not end the pump."""
    try:
        return until()
    except Exception as failure:
        failures.append(failure)
        return True
