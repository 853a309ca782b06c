"""A component's instances: processes that end and begin again, and of several for one program the one that leads.

Interface: `Program`, what runs; `Instance`, one process of it: `start`, `stop`, `kill`, `switch(part, on)`;
`Instances`, all of one program; `Single`, what has one instance and no election.
The rule not to break: whoever is started knows nothing but what the apiserver says, whatever it knew before.
Real Kubernetes has a static pod for each instance; the kubelet starts it again when it has ended.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from k8snb.client.context import Context
from k8snb.client.informer import Informers, LentInformers
from k8snb.client.leaderelection import RENEW_DEADLINE, RETRY_PERIOD, LeaderElector
from k8snb.client.process import Process

LEADS, STANDS_BY, STOPPED, RUNNING = "Leading", "Standby", "Stopped", "Running"
MACHINE = "control-plane"


class Startable(Protocol):
    """A part of a program: it follows informers, and acts by itself from `start` on."""

    def start(self) -> None: ...


@dataclass(frozen=True)
class Program:
    """What an instance runs: its parts by name, each made from a context and the informers it may use.

    `user`: who its informers and its lease's writes come from.
    """

    name: str
    user: str
    parts: Mapping[str, Callable[[Context, Informers], Startable]]


@dataclass(frozen=True)
class _Part:
    process: Process
    informers: LentInformers
    works: Startable

    def start(self) -> None:
        self.informers.start()
        self.works.start()

    def end(self) -> None:
        self.informers.stop()
        self.process.end()


class Instance:
    """One process of a program. `off` names the parts that are switched off in all instances."""

    def __init__(
        self, program: Program, world: Context, *, name: str, identity: str, off: set[str], pace: float
    ) -> None:  # fmt: skip
        self.name = name
        self._program = program
        self._world = world
        self._identity = identity
        self._off = off
        self._pace = pace
        self._process: Process | None = None
        self._elector: LeaderElector | None = None
        self._informers: Informers | None = None
        self._parts: dict[str, _Part] = {}
        self.works: dict[str, Any] = {}  # by the parts' names; what worked last, where it does not lead

    @property
    def state(self) -> str:
        if self._process is None:
            return STOPPED
        return LEADS if self._informers is not None else STANDS_BY

    def start(self) -> None:
        """Stand for election. Starting twice changes nothing."""
        if self._process is not None:
            return
        self._process = Process(self.name, self._world)
        context = self._process.context
        self._elector = LeaderElector(
            context, context.client(self._program.user), name=self._program.name, identity=self._identity,
            on_started=self._lead, on_stopped=self._give_up, pace=self._pace,
        )  # fmt: skip
        self._elector.start()

    def stop(self) -> None:
        """End in good order: the lease is given back, so that who stands by takes over at once."""
        if self._elector is not None:
            self._elector.release()
        self.kill()

    def kill(self) -> None:
        """End as a program that crashes: its lease has to run out."""
        self._parts.clear()
        self._informers = self._elector = None
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def switch(self, part: str, on: bool) -> None:
        """End one part, or begin it again. Call it where `off` has changed."""
        running = self._parts.pop(part, None)
        if running is not None:
            running.end()
        if on and self._informers is not None:
            self._make(part, self._informers).start()

    def _lead(self) -> None:
        assert self._process is not None
        context = self._process.context
        informers = self._informers = Informers(context.client(self._program.user), context)
        made = [self._make(name, informers) for name in self._program.parts if name not in self._off]
        for part in made:
            part.informers.attach()
        informers.start()
        for part in made:
            part.works.start()

    def _make(self, name: str, informers: Informers) -> _Part:
        assert self._process is not None
        process, lent = Process(name, self._process.context), LentInformers(informers)
        part = self._parts[name] = _Part(process, lent, self._program.parts[name](process.context, lent))
        self.works[name] = part.works
        return part

    def _give_up(self) -> None:
        """Upstream the process ends itself, and is started again."""
        self.kill()
        self.start()


class Instances:
    """All instances of a program. `dice` gives each an identity of its own."""

    def __init__(self, program: Program, world: Context, count: int, dice: random.Random) -> None:
        self.program = program
        self.off: set[str] = set()
        # Where time jumps and nobody stands by, the lease is renewed as seldom as it can be.
        pace = RENEW_DEADLINE if world.clock.virtual and count == 1 else RETRY_PERIOD
        self.all = [
            Instance(program, world, name=name, identity=_identity(number, dice), off=self.off, pace=pace)
            for number, name in enumerate(numbered(program.name, count))
        ]

    def start(self) -> None:
        for instance in self.all:
            instance.start()

    def stop(self) -> None:
        """Those who stand by first: the last one who leads has nobody to hand over to."""
        for instance in sorted(self.all, key=lambda each: each.state == LEADS):
            instance.stop()

    @property
    def works(self) -> Mapping[str, Any]:
        """The parts of the instance that leads, by name; where none does, those of one that did."""
        instances = sorted(self.all, key=lambda each: (each.state == LEADS, bool(each.works)), reverse=True)
        return instances[0].works

    def switch(self, part: str, on: bool) -> None:
        """Let a part work in whichever instance leads, or in none."""
        (self.off.discard if on else self.off.add)(part)
        for instance in self.all:
            instance.switch(part, on)

    def state_of(self, part: str) -> str:
        leads = any(instance.state == LEADS for instance in self.all)
        return RUNNING if leads and part not in self.off else STOPPED


class Single:
    """A component without election. `begin(process)` makes its parts and says what there is to do at their end."""

    def __init__(self, name: str, world: Context, begin: Callable[[Process], Callable[[], None]]) -> None:
        self.name = name
        self._world = world
        self._begin = begin
        self._process: Process | None = None
        self._end: Callable[[], None] = lambda: None

    @property
    def state(self) -> str:
        return STOPPED if self._process is None else RUNNING

    def start(self) -> None:
        if self._process is None:
            process = Process(self.name, self._world)
            self._end = self._begin(process)
            self._process = process

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            self._end()
            process.end()


def numbered(name: str, count: int) -> list[str]:
    """kube-scheduler, kube-scheduler-2, …"""
    return [name if number == 1 else f"{name}-{number}" for number in range(1, count + 1)]


def _identity(number: int, dice: random.Random) -> str:
    """A machine's name and something that no other instance has, as upstream makes it."""
    return f"{numbered(MACHINE, number + 1)[number]}_{uuid.UUID(int=dice.getrandbits(128), version=4)}"
