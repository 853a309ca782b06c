"""kubelet's PLEG (pod lifecycle event generator): what the runtime has, pod by pod, and which pods changed.

Interface: `Pleg.state(uid)`, `relist()`; `on_change(uid)` is called in the pump for each pod whose containers changed,
`on_health()` when a runtime has been silent for too long, and when it speaks again: see `problem()`. `finish(status)`
completes what the runtime says of a container, on the executor.
The rule not to break: the runtime is asked on the executor, and answers are compared whole: no change is lost.
Source: `pkg/kubelet/pleg`; what becomes of its `Healthy`: `runtimeErrors` in pkg/kubelet/runtime.go. Upstream relists
every second; here the runtime's own events set it off.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from k8snb.clock import Clock
from k8snb.cri import ContainerStatus, Runtime, RuntimeUnavailable, SandboxStatus
from k8snb.executor import Executor
from k8snb.kubelet.actions import PodState
from k8snb.kubelet.backoff import duration

RELIST_PERIOD = 60.0  # seconds; a safety net under the runtime's events
RETRY = 1.0  # seconds until a runtime that gave no answer is asked again
THRESHOLD = 180.0  # relistThreshold: seconds without an answer after which the node is not ready
DOWN = 30.0  # maxWaitForContainerRuntime: seconds for which nobody was there to answer

IS_DOWN = "container runtime is down"
IS_SILENT = f"PLEG is not healthy: pleg was last seen active {{}} ago; threshold is {duration(THRESHOLD)}"

DEFECTS = (ArithmeticError, AttributeError, LookupError, TypeError)  # no runtime fails like this: k8snb does

Listing = tuple[list[SandboxStatus], list[ContainerStatus]]
EMPTY = PodState()


class Pleg:
    """One per kubelet. At most one relist is under way; a wish during it starts another one after it."""

    def __init__(self, node: str, runtime: Runtime, executor: Executor, clock: Clock) -> None:
        self.on_change: Callable[[str], None] = lambda uid: None
        self.on_health: Callable[[], None] = lambda: None
        self.finish: Callable[[ContainerStatus], ContainerStatus] = lambda status: status
        self.pods: dict[str, PodState] = {}
        self._node = node
        self._runtime = runtime
        self._executor = executor
        self._clock = clock
        self._busy = False
        self._again = False
        self._after: list[Callable[[], None]] = []
        self._silent_since: float | None = None  # when the first relist began that has had no answer
        self._away = False  # whether nobody was there to answer it
        self._reported = False  # a defect, once until the next answer
        self._problems: list[str] = []
        self.listed = False  # whether the runtime has answered once
        self.healthy = True
        self.stopped = False

    def state(self, uid: str) -> PodState:
        return self.pods.get(uid, EMPTY)

    def problem(self) -> str:
        """Why the node can run no pods, "" while it can."""
        if self.healthy or self._silent_since is None:
            return ""
        silence = duration(self._clock.monotonic() - self._silent_since)
        return _joined([problem.format(silence) for problem in self._problems])

    def start(self, then: Callable[[], None]) -> None:
        """Ask for the first time, and `then` go on."""
        self.relist(then)
        self._clock.after(RELIST_PERIOD, self._periodic, background=True, label="pleg")

    def relist(self, then: Callable[[], None] | None = None) -> None:
        """Ask the runtime; `then` runs when an answer is in that was asked for after this call."""
        if then is not None:
            self._after.append(then)
        if self._busy:
            self._again = True
            return
        self._busy = True
        if self._silent_since is None:
            self._silent_since = self._clock.monotonic()
        waiting, self._after = self._after, []
        self._executor.submit(self._list, lambda listing, error: self._listed(listing, error, waiting))

    def _list(self) -> Listing:
        """On the executor. Containers first: one that ended with its sandbox must not start in that again."""
        containers = [self.finish(status) for status in self._runtime.list_containers(self._node)]
        return self._runtime.list_pod_sandboxes(self._node), containers

    def _listed(self, listing: Listing | None, error: BaseException | None, waiting: list[Callable[[], None]]) -> None:
        self._busy = False
        if self.stopped:
            return
        if listing is None:
            self._away = isinstance(error, RuntimeUnavailable)
            self._after = [*waiting, *self._after]
            self._clock.after(RETRY, self._retry, background=not self._after, label="pleg")
            self._count_silence()
            self._report(error)
            return
        self.listed, self._silent_since, self._reported = True, None, False
        self._compare(listing)
        for then in waiting:
            then()
        self._set_problems([])
        if self._again or self._after:
            self._again = False
            self.relist()

    def _count_silence(self) -> None:
        """From the first question, not from the last answer: a pump that stood still is no fault of the runtime."""
        if self._silent_since is not None:
            silence = self._clock.monotonic() - self._silent_since
            problems = [IS_DOWN] if self._away and silence > DOWN else []
            self._set_problems([*problems, *([IS_SILENT] if silence > THRESHOLD else [])])

    def _report(self, error: BaseException | None) -> None:
        """A defect of k8snb's own is not taken for a silent runtime: the pump tells of it."""
        if isinstance(error, DEFECTS) and not self._reported:
            self._reported = True
            raise error

    def _set_problems(self, problems: list[str]) -> None:
        before, self._problems = self._problems, problems
        self.healthy = not problems
        if problems != before:
            self.on_health()

    def _retry(self) -> None:
        """What was waited for is not known before the runtime answers."""
        if not self.stopped and not self._busy:
            self.relist()

    def _compare(self, listing: Listing) -> None:
        sandboxes: dict[str, list[SandboxStatus]] = defaultdict(list)
        containers: dict[str, list[ContainerStatus]] = defaultdict(list)
        for sandbox in listing[0]:
            sandboxes[sandbox.uid].append(sandbox)
        for container in listing[1]:
            containers[container.pod_uid].append(container)
        uids = sandboxes.keys() | containers.keys()
        found = {uid: PodState(tuple(sandboxes[uid]), tuple(containers[uid])) for uid in uids}
        before, self.pods = self.pods, found
        for uid in sorted(uids | before.keys()):
            if before.get(uid) != found.get(uid):
                self.on_change(uid)

    def _periodic(self) -> None:
        if not self.stopped:
            self._count_silence()
            self.relist()
            self._clock.after(RELIST_PERIOD, self._periodic, background=True, label="pleg")


def _joined(problems: list[str]) -> str:
    """Several errors as one, as `errors.Aggregate` in apimachinery writes them."""
    return problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
