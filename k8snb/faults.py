"""Faults: what goes wrong between a cluster's parts and its apiserver, on purpose and from one seed.

Interface: `Faults(transport, clock, seed)`, a `client.Transport`: `rates`, `cut(user)`, `mend(user)`, `stop()`.
The rule not to break: only what a network and a busy server can do is done. A write happens or not, whole; changes of
one object arrive in their order; an event that is lost is lost with its connection, whose end is noticed later. Who
lists and watches again misses nothing.
Real Kubernetes is tested like this from outside, by tools that disturb a cluster's network and machines.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from k8snb.apimachinery.errors import ApiError, expired, server_timeout, unavailable
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import key_of
from k8snb.client import Request, Transport, Watch
from k8snb.client.client import Event
from k8snb.clock import Clock

LONGEST = 3.0  # seconds that an event is late
NOTICED = 5.0  # seconds until a connection that lost something is noticed to be dead
WRITES = ("create", "update", "patch", "delete", "deletecollection")


class Rates(NamedTuple):
    """How likely each fault is, from 0 to 1: of a request, of an answer, and of an event of a watch."""

    refused: float = 0.0  # a request is turned away before anything has happened
    unanswered: float = 0.0  # a write happens, and whoever wrote never hears of it
    lost: float = 0.0  # an event does not arrive, nor does anything after it until the connection is found dead
    duplicated: float = 0.0  # an event arrives twice
    delayed: float = 0.0  # an event and all after it come late
    reordered: float = 0.0  # an event comes late, and later changes of other objects overtake it


class Faults:
    """Stands between the components of a cluster and its apiserver. `happened` counts the faults by their names."""

    def __init__(self, transport: Transport, clock: Clock, seed: int | None = None) -> None:
        self._rates = Rates()
        self.happened: Counter[str] = Counter()
        self.clock = clock
        self.dice = random.Random(seed)
        self._transport = transport
        self._lines: dict[Watch, _Line] = {}
        self._cut: set[str] = set()

    @property
    def rates(self) -> Rates:
        return self._rates

    @rates.setter
    def rates(self, rates: Rates) -> None:
        self._rates = rates
        self._lay_hands_on()

    def _is_calm(self) -> bool:
        return not self._cut and self._rates == _NONE

    def _lay_hands_on(self) -> None:
        """Carry events as long as something may happen to them; without faults the lines cost nothing."""
        calm = self._is_calm()
        for line in self._lines.values():
            line.watch.carry = None if calm and line.is_idle else line.carry

    def handle(self, request: Request) -> Any:
        """As the apiserver's, or the error that a client would see."""
        if not self._is_calm():
            self._before(request)
        answer = self._transport.handle(request)
        if isinstance(answer, Watch):
            self._lay(answer, request.user.name)
            if not self._is_calm():
                self._lay_hands_on()
        elif request.verb in WRITES and self.falls("unanswered"):
            raise server_timeout("the server was unable to return a response in the time allotted, but may still be "
                                 "processing the request")  # fmt: skip
        return answer

    def kinds(self) -> tuple[Kind, ...]:
        return self._transport.kinds()

    def cut(self, user: str) -> None:
        """Nothing that a user sends arrives any more, and nothing comes to them: `system:node:node-1`."""
        self._cut.add(user)
        self._lay_hands_on()

    def mend(self, user: str) -> None:
        """The line works again; what broke meanwhile is noticed now."""
        self._cut.discard(user)
        for line in tuple(self._lines.values()):
            if line.user == user:
                line.end()
        self._lay_hands_on()

    def stop(self) -> None:
        """No more faults; what was lost before is noticed in its time."""
        self.rates = Rates()
        for user in tuple(self._cut):
            self.mend(user)

    def is_cut(self, user: str) -> bool:
        return user in self._cut

    def _lay(self, watch: Watch, user: str) -> None:
        """A line to a watcher, until the watch stops."""
        stop = watch.on_stop

        def stopped() -> None:
            self._lines.pop(watch, None)
            stop()

        self._lines[watch] = _Line(self, watch, user)
        watch.on_stop = stopped

    def _before(self, request: Request) -> None:
        if request.user.name in self._cut:
            raise unavailable("dial tcp: connect: no route to host")
        if self.falls("refused"):
            raise self.dice.choice(_REFUSALS)()

    def falls(self, fault: str) -> bool:
        """Whether a fault happens now."""
        rate: float = getattr(self.rates, fault)
        falls = rate > 0 and self.dice.random() < rate
        if falls:
            self.happened[fault] += 1
        return falls


class _Line:
    """The connection behind one watch."""

    def __init__(self, faults: Faults, watch: Watch, user: str) -> None:
        self.watch, self.user = watch, user
        self._faults = faults
        self._free = 0.0  # when all that is under way has arrived
        self._free_by_key: dict[str, float] = {}
        self._under_way = 0
        self._dead = False

    @property
    def is_idle(self) -> bool:
        """Whether all that was sent has arrived, and will."""
        return not self._under_way and not self._dead

    def end(self) -> None:
        """The client notices that the connection is dead."""
        if not self.watch.stopped:
            self._dead = True
            self.watch.arrive(Event("ERROR", expired("the connection was lost").status))

    def carry(self, event: Event) -> None:
        faults = self._faults
        if self._dead or faults.is_cut(self.user):
            self._dead = True
        elif event.sort in ("ERROR", "BOOKMARK"):
            self.watch.arrive(event)
        elif faults.falls("lost"):
            self._dead = True
            faults.clock.after(faults.dice.uniform(0, NOTICED), self.end, label="a dead connection")
        else:
            self._send(event)
            if faults.falls("duplicated"):
                self._send(event)

    def _send(self, event: Event) -> None:
        """Deliver now or later: never before what came earlier, unless that is about another object and was late."""
        faults, key = self._faults, key_of(event.object)
        now = faults.clock.monotonic()
        if faults.falls("delayed"):
            self._free = max(self._free, now + faults.dice.uniform(0, LONGEST))
        due = max(now, self._free, self._free_by_key.get(key, 0.0))
        if faults.falls("reordered"):
            due += faults.dice.uniform(0, LONGEST)
            self._free_by_key[key] = due
        if due <= now and not self._under_way:
            self.watch.arrive(event)
        else:
            self._under_way += 1
            faults.clock.after(due - now, partial(self._arrive, event), label="a late event")

    def _arrive(self, event: Event) -> None:
        self._under_way -= 1
        if not self._dead and not self.watch.stopped:
            self.watch.arrive(event)


_NONE = Rates()
_REFUSALS: tuple[Callable[[], ApiError], ...] = (
    lambda: unavailable("dial tcp: connect: connection refused"),
    lambda: ApiError(429, "TooManyRequests", "Too many requests, please try again later."),
    lambda: ApiError(500, "InternalError", "Internal error occurred: etcdserver: leader changed"),
    lambda: server_timeout("etcdserver: request timed out"),
)
