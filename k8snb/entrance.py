"""The entrance: how everybody outside the pump talks to a cluster's apiserver: cells, HTTPS, tests; and `Inside`, how
the cluster's own parts do.

Interface: `Entrance(cluster)` and `Inside(server, executor)`, each a `client.Transport`; `uninterrupted()`.
The rule not to break: one request at a time, under the pump's lock; slow work is done after it has been let go. A
webhook is waited for by nobody but the thread of an outside caller: the pump goes on.
Real Kubernetes has a load balancer in front of several apiservers here.
"""

from __future__ import annotations

import functools
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

from k8snb.apimachinery.errors import Postponed, conflict, unavailable
from k8snb.apimachinery.kinds import Kind
from k8snb.apiserver.outcalls import ATTEMPTS, Answer, Outcall, Question, attempt, fetch
from k8snb.client import Deferred, Exchange, Request, Transport, Watch
from k8snb.client.client import Event
from k8snb.executor import Executor
from k8snb.pump import Pump

PATIENCE = 30.0  # seconds for a pod to answer who asked it through the apiserver
REFUSED = ("The connection to the server was refused: kube-apiserver is stopped; "
           "%kcluster component start kube-apiserver starts it")  # fmt: skip
READS = ("get", "list")  # what may be interrupted: it leaves nothing half done, and must cost next to nothing


class Server(Transport, Protocol):
    """An apiserver: `handle` may raise Outcall."""

    def keep_answers(self, answers: Iterable[tuple[str, Answer]]) -> None: ...


class House(Protocol):
    """What is behind the entrance. `apiserver` is the one that serves now."""

    @property
    def name(self) -> str: ...

    @property
    def running(self) -> bool: ...

    @property
    def pump(self) -> Pump: ...

    @property
    def apiserver(self) -> Server: ...

    @property
    def serving(self) -> bool:
        """Whether any apiserver answers."""


class Entrance:
    """The transport for everybody outside the pump: one request at a time, under the pump's lock.

    An interrupt that arrives during a request is held back until the request is over: no write is left half done. The
    wait for the lock can be interrupted.
    While the cluster is stopped, every request is refused in the words of a client that finds nobody at home.
    """

    def __init__(self, cluster: House) -> None:
        self._cluster = cluster

    def handle(self, request: Request) -> Any:
        try:
            return self._handle(request)
        except Outcall as call:
            waiting = Deferred(functools.partial(self._ask, call, request))
        return waiting.run() if request.patient else waiting

    def _ask(self, call: Outcall, request: Request) -> Any:
        """Fetch what a request lacks and hand it in again, until it lacks nothing. It waits without the lock."""
        for _ in range(ATTEMPTS):
            answers = fetch(call.questions)
            with self._cluster.pump.lock:
                self._check()
                self._cluster.apiserver.keep_answers(answers)
            try:
                return self._handle(request)
            except Outcall as another:
                call = another
        raise conflict(request.kind, request.name, "it changes faster than webhooks answer; please try again")

    def _handle(self, request: Request) -> Any:
        noted = len(request.warnings)
        reads = request.verb in READS and not request.subresource
        with self._cluster.pump.lock, nullcontext() if reads else uninterrupted():
            self._check()
            try:
                answer = self._cluster.apiserver.handle(request)
            except Outcall:
                del request.warnings[noted:]
                raise
        if isinstance(answer, Watch):
            answer.on_stop = self._locked(answer.on_stop)
        return self._complete(answer)

    def _complete(self, answer: Any) -> Any:
        """Do the slow work that is left of a request. On a virtual clock it takes the pump to have an answer."""
        if isinstance(answer, dict):
            return answer
        if isinstance(answer, Deferred):
            return answer.run()
        if not isinstance(answer, Exchange):
            return answer
        answer.begin()
        pump = self._cluster.pump
        if pump.clock.virtual:
            pump.wait(lambda: answer.over, PATIENCE)
        return answer.result(0.0 if pump.clock.virtual else PATIENCE)

    def kinds(self) -> tuple[Kind, ...]:
        self._check()
        return self._cluster.apiserver.kinds()

    def _check(self) -> None:
        if not self._cluster.running:
            raise unavailable(f'the cluster "{self._cluster.name}" is stopped: start it with %kcluster start')
        if not self._cluster.serving:
            raise unavailable(REFUSED)

    def _locked(self, act: Callable[[], None]) -> Callable[[], None]:
        def locked() -> None:
            with self._cluster.pump.lock:
                act()

        return locked


class Inside:
    """The transport of the cluster's own parts, which call it in the pump and cannot wait.

    A write that a webhook has to be asked about is refused with `Postponed`; the answer is fetched meanwhile, and when
    the part tries again, the answer is there. It counts for a write that says the same; times do not matter.
    """

    def __init__(self, server: Server, executor: Executor) -> None:
        self._server: Server | None = server
        self._executor = executor
        self._watches: set[Watch] = set()
        self._knocking: list[Callable[[], object]] = []  # who asked while no server answered
        self._waiting: dict[str, list[Callable[[], object]]] = {}  # a question under way → whom its answer concerns

    def serve(self, server: Server | None) -> list[Callable[[], object]]:
        """Another server takes over, or none: every watch breaks, and who asks none is postponed until there is one.
        Returns what is worth another try now."""
        if server is self._server:
            return []
        self._server = server
        for watch in list(self._watches):
            watch.push(Event("ERROR", unavailable(REFUSED).status))
            watch.stop()
        knocking = self._knocking if server is not None else []
        if knocking:
            self._knocking = []
        return knocking

    def handle(self, request: Request) -> Any:
        if self._server is None:
            raise Postponed(REFUSED, self._knocking.append)
        noted = len(request.warnings)
        try:
            answer = self._server.handle(request)
            if isinstance(answer, Watch):
                self._follow(answer)
            return answer
        except Outcall as call:
            del request.warnings[noted:]
            for question in call.questions:
                self._fetch(question)
            raise Postponed(f"waiting for {call}", functools.partial(self._then, call)) from None

    def postpone(self, call: Outcall, retry: Callable[[], object]) -> None:
        """Fetch answers for what is no request, and call back when they have come."""
        for question in call.questions:
            self._fetch(question)
        self._then(call, retry)

    def kinds(self) -> tuple[Kind, ...]:
        """What this server has itself: the cluster's own parts leave other servers' objects to those."""
        if self._server is None:
            raise Postponed(REFUSED, self._knocking.append)
        return tuple(kind for kind in self._server.kinds() if not kind.remote)

    def _follow(self, watch: Watch) -> None:
        stop = watch.on_stop

        def stopped() -> None:
            self._watches.discard(watch)
            stop()

        self._watches.add(watch)
        watch.on_stop = stopped

    def _fetch(self, question: Question) -> None:
        if question.key not in self._waiting:
            self._waiting[question.key] = []
            self._executor.submit(lambda: attempt(question), lambda answer, _: self._came(question.key, answer),
                                  waits=True)  # fmt: skip

    def _came(self, key: str, answer: Answer) -> None:
        if self._server is not None:
            self._server.keep_answers([(key, answer)])
        for retry in self._waiting.pop(key, ()):
            retry()

    def _then(self, call: Outcall, retry: Callable[[], object]) -> None:
        """Call back when the last of the answers has come."""
        open_ = {question.key for question in call.questions} & self._waiting.keys()
        if not open_:
            retry()

        def came(key: str) -> None:
            open_.discard(key)
            if not open_:
                retry()

        for key in tuple(open_):
            self._waiting[key].append(functools.partial(came, key))


@contextmanager
def uninterrupted() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back while a short piece of work is done, a request or a step of the pump.

    Of several pieces, what this yields is called between two of them: it lets in a Ctrl-C that has arrived.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    arrived: list[Any] = []
    before = signal.signal(signal.SIGINT, lambda *details: arrived.append(details))

    def let_in() -> None:
        if arrived:
            details = arrived[0]
            arrived.clear()
            if callable(before):
                before(*details)

    try:
        yield let_in
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
    let_in()
