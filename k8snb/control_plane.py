"""The control plane: its apiservers, and the components of a cluster that a person can stop and start by their names.

Interface: `ApiServers`, all that serve one etcd; `Component`: `start`, `stop`, `kill`, `state`;
`instance_components(…)`, those of a program.
The rule not to break: what is stopped does nothing, all else goes on, and what was missed is caught up on return.
With kubeadm one moves a manifest out of /etc/kubernetes/manifests for this, or stops a unit of systemd.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

from k8snb.apimachinery.meta import Object
from k8snb.apiserver import ApiServer
from k8snb.client import Request
from k8snb.client.instances import RUNNING, STOPPED, Instances, Single, numbered
from k8snb.entrance import Entrance, House, Inside
from k8snb.pump import RESULT, Item, Pump
from k8snb.serve import Door

APISERVER = "kube-apiserver"
ASKED = (("scheduler", "kube-scheduler", 10259), ("controller-manager", "kube-controller-manager", 10257))


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


def component_statuses(request: Request, programs: Iterable[Instances]) -> list[Object]:
    """What `kubectl get componentstatuses` shows. Source: `pkg/registry/core/componentstatus` in the kubernetes
    repository; it asks the components' own addresses, of which a machine has one each."""
    request.warnings.append("v1 ComponentStatus is deprecated in v1.19+")
    first = {each.program.name: each.all[0].state for each in programs}
    found = [_status_of(name, port, first[program] != STOPPED) for name, program, port in ASKED]
    return [*found, _status_of("etcd-0", 0, True)]


def _status_of(name: str, port: int, healthy: bool) -> Object:
    refused = f'Get "https://127.0.0.1:{port}/healthz": dial tcp 127.0.0.1:{port}: connect: connection refused'
    said = {"status": "True", "message": "ok"} if healthy else {"status": "False", "message": refused}
    return {"apiVersion": "v1", "kind": "ComponentStatus", "metadata": {"name": name},
            "conditions": [{"type": "Healthy", **said}]}  # fmt: skip


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
        self.for_pods: int | None = 0  # the server that pods reach, None while no server answers
        self.listen: Callable[[Door], None] = lambda door: None
        self.stop_listening: Callable[[], None] = lambda: None

    def boot(self, make: Callable[[], ApiServer]) -> ApiServer:
        """The first server, which the others follow."""
        self.down.clear()
        self._open.clear()
        self.for_pods = 0
        self.all = [make() for _ in self.doors]
        first = self.all[0]
        first.bootstrap()
        for other in self.all[1:]:
            other.nodes, other.virtual, other.allocator = first.nodes, first.virtual, first.allocator
            other.attended = first.attended
        return first

    def connect(
        self, inside: Inside, *, listen: Callable[[Door], None], stop_listening: Callable[[], None]
    ) -> None:  # fmt: skip
        """The ways that the cluster's own parts come, and its pods: `listen(door)` opens a port for those."""
        self._inside, self.listen, self.stop_listening = inside, listen, stop_listening
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

    def components(self) -> Iterator[Component]:
        for number, name in enumerate(numbered(APISERVER, len(self.doors))):
            start, stop = partial(self._start, number), partial(self._stop, number)
            about = "serves the API, in this kernel"
            yield Component(name, about, nullcontext(), partial(self._state, number), start, stop)

    def _state(self, number: int) -> str:
        return STOPPED if number in self.down else RUNNING

    def _start(self, number: int) -> None:
        if number not in self.down:
            return
        with self._house.pump.lock:
            self.down.discard(number)
            self._hand_over()
        if number in self._open:
            self._open.discard(number)
            self.doors[number].open(address=self.all[number].allocator.address(1))
        self._let_pods_in()

    def _stop(self, number: int) -> None:
        """Every watch of it breaks, and its door is shut: without the lock, for who stands in it may wait for that."""
        if number in self.down:
            return
        with self._house.pump.lock:
            self.down.add(number)
            self._hand_over()
            self.all[number].registry.close()
        door = self.doors[number]
        if door.is_open:
            self._open.add(number)
        if number == self.for_pods:
            self.for_pods = None
            self.stop_listening()
        door.close()
        self._let_pods_in()

    def _let_pods_in(self) -> None:
        """Where no server answers pods any more, the one that serves does."""
        if self.for_pods is None and self.serving is not None:
            self.for_pods = self.all.index(self.serving)
            self.listen(self.doors[self.for_pods])

    def _hand_over(self) -> None:
        """The cluster's own parts go to the server that serves now. Who had to wait goes on as steps of their own."""
        assert self._inside is not None
        for retry in self._inside.serve(self.serving):
            self._house.pump.add(Item(APISERVER, RESULT, partial(_again, retry)))


def _again(retry: Callable[[], object]) -> None:
    retry()
