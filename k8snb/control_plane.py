"""The control plane: its apiservers, and the components of a cluster that a person can stop and start by their names.

Interface: `ApiServers`, all that serve one etcd; `Component`: `start`, `stop`, `kill`, `state`;
`instance_components(…)`, those of a program.
The rule not to break: what is stopped does nothing, all else goes on, and what was missed is caught up on return.
With kubeadm one moves a manifest out of /etc/kubernetes/manifests for this, or stops a unit of systemd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from k8snb.apiserver import ApiServer
from k8snb.client.instances import RUNNING, STOPPED, Instances, Single, numbered
from k8snb.entrance import Entrance, House, Inside
from k8snb.pump import RESULT, Item, Pump
from k8snb.serve import Door

APISERVER = "kube-apiserver"


@dataclass(frozen=True)
class Component:
    """Something that a person can stop and start. `why_not`: why it cannot be stopped, "" where it can.

    Stopping what has stopped and starting what runs changes nothing. Raises ValueError where it cannot be done.
    """

    name: str
    about: str
    lock: AbstractContextManager[None]
    get_state: Callable[[], str]
    on_start: Callable[[], None] = lambda: None
    on_stop: Callable[[], None] = lambda: None
    on_kill: Callable[[], None] | None = None
    why_not: str = ""

    @property
    def state(self) -> str:
        """Running, Leading, Standby or Stopped."""
        return self.get_state()

    def start(self) -> None:
        """Let it work again: it begins with what the apiserver says."""
        with self.lock:
            self.on_start()

    def stop(self) -> None:
        """End it in good order."""
        self._must_be_stoppable()
        with self.lock:
            self.on_stop()

    def kill(self) -> None:
        """End it as a crash would: what it holds, its lease for one, it does not give back."""
        self._must_be_stoppable()
        with self.lock:
            (self.on_kill or self.on_stop)()

    def _must_be_stoppable(self) -> None:
        if self.why_not:
            raise ValueError(f"{self.name} cannot be stopped: {self.why_not}")


def single_component(single: Single, about: str, lock: AbstractContextManager[None]) -> Component:
    """A component that has one instance and no election."""
    return Component(single.name, about, lock, partial(getattr, single, "state"), single.start, single.stop)


def instance_components(instances: Instances, about: str, lock: AbstractContextManager[None]) -> Iterator[Component]:
    """Each instance of a program, and where a program has several parts, each part."""
    for one in instances.all:
        yield Component(one.name, about, lock, partial(getattr, one, "state"), one.start, one.stop, one.kill)
    for part in instances.program.parts if len(instances.program.parts) > 1 else ():
        on, off = (partial(instances.switch, part, wanted) for wanted in (True, False))
        yield Component(part, f"in {instances.program.name}", lock, partial(instances.state_of, part), on, off)


@dataclass(frozen=True)
class _Wing:
    """What is behind one server's own door."""

    house: House
    number: int
    servers: ApiServers

    @property
    def name(self) -> str:
        return self.house.name

    @property
    def running(self) -> bool:
        return self.house.running

    @property
    def pump(self) -> Pump:
        return self.house.pump

    @property
    def apiserver(self) -> ApiServer:
        return self.servers.all[self.number]

    @property
    def serving(self) -> bool:
        return self.number not in self.servers.down


class ApiServers:
    """The apiservers of one cluster: each can answer all that the others can, for the data are etcd's.

    The cluster's own parts, and cells, ask the first one that serves. `revision()` is what all watchers know.
    """

    def __init__(self, house: House, count: int, revision: Callable[[], int]) -> None:
        self.all: list[ApiServer] = []
        self.down: set[int] = set()
        self._house = house
        self._inside: Inside | None = None
        wings = [_Wing(house, number, self) for number in range(count)]
        self.doors = [Door(house.name, Entrance(wing), partial(getattr, wing, "apiserver"), revision) for wing in wings]
        self._open: set[int] = set()  # the doors that were open when their servers were stopped

    def boot(self, make: Callable[[], ApiServer]) -> ApiServer:
        """The first server, which the others follow."""
        self.down.clear()
        self.all = [make() for _ in self.doors]
        first = self.all[0]
        first.bootstrap()
        for other in self.all[1:]:
            other.nodes, other.virtual, other.allocator = first.nodes, first.virtual, first.allocator
            other.attended = first.attended
        return first

    def connect(self, inside: Inside) -> None:
        """The way that the cluster's own parts come."""
        self._inside = inside
        for server in self.all:
            server.postpone = inside.postpone

    def close(self) -> None:
        for server in self.all:
            server.close()

    @property
    def serving(self) -> ApiServer | None:
        """The server that answers the cluster's own parts."""
        return next((server for number, server in enumerate(self.all) if number not in self.down), None)

    @property
    def first(self) -> ApiServer:
        """The one that serves; while none does, what it would say is asked of the first."""
        return self.serving or self.all[0]

    def components(self, lock: AbstractContextManager[None]) -> Iterator[Component]:
        for number, name in enumerate(numbered(APISERVER, len(self.doors))):
            start, stop = partial(self._start, number), partial(self._stop, number)
            yield Component(name, "serves the API, in this kernel", lock, partial(self._state, number), start, stop)

    def _state(self, number: int) -> str:
        return STOPPED if number in self.down else RUNNING

    def _start(self, number: int) -> None:
        self.down.discard(number)
        self._hand_over()
        if number in self._open:
            self._open.discard(number)
            self.doors[number].open()

    def _stop(self, number: int) -> None:
        """Every watch of it breaks, and its door is shut."""
        if number in self.down:
            return
        self.down.add(number)
        door = self.doors[number]
        if door.is_open:
            self._open.add(number)
            door.close()
        self._hand_over()
        self.all[number].registry.close()

    def _hand_over(self) -> None:
        """The cluster's own parts go to the server that serves now. Who had to wait goes on as steps of their own."""
        assert self._inside is not None
        for retry in self._inside.serve(self.serving):
            self._house.pump.add(Item(APISERVER, RESULT, partial(_again, retry)))


def _again(retry: Callable[[], object]) -> None:
    retry()
