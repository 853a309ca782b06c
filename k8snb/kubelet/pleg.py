"""kubelet's PLEG (pod lifecycle event generator): what the runtime has, pod by pod, and which pods changed.

Interface: `Pleg.state(uid)`, `relist()`; `on_change(uid)` is called in the pump for each pod whose containers changed.
The rule not to break: the runtime is asked on the executor, and answers are compared whole: no change is lost.
Source: `pkg/kubelet/pleg`. Upstream relists every second; here the runtime's own events set it off.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from k8snb.clock import Clock
from k8snb.cri import ContainerStatus, Runtime, SandboxStatus
from k8snb.executor import Executor
from k8snb.kubelet.actions import PodState

RELIST_PERIOD = 60.0  # seconds; a safety net under the runtime's events
RETRY = 1.0  # seconds until a runtime that gave no answer is asked again

Listing = tuple[list[SandboxStatus], list[ContainerStatus]]
EMPTY = PodState()


class Pleg:
    """One per kubelet. At most one relist is under way; a wish during it starts another one after it."""

    def __init__(self, node: str, runtime: Runtime, executor: Executor, clock: Clock) -> None:
        self.on_change: Callable[[str], None] = lambda uid: None
        self.pods: dict[str, PodState] = {}
        self._node = node
        self._runtime = runtime
        self._executor = executor
        self._clock = clock
        self._busy = False
        self._again = False
        self._after: list[Callable[[], None]] = []
        self.listed = False  # whether the runtime has answered once
        self.stopped = False

    def state(self, uid: str) -> PodState:
        return self.pods.get(uid, EMPTY)

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
        waiting, self._after = self._after, []
        node, runtime = self._node, self._runtime
        self._executor.submit(
            lambda: (runtime.list_pod_sandboxes(node), runtime.list_containers(node)),
            lambda listing, error: self._listed(listing, error, waiting),
        )

    def _listed(self, listing: Listing | None, error: BaseException | None, waiting: list[Callable[[], None]]) -> None:
        self._busy = False
        if self.stopped:
            return
        if listing is None:
            self._after = [*waiting, *self._after]
            self._clock.after(RETRY, self._retry, background=not self._after, label="pleg")
            return
        self.listed = True
        self._compare(listing)
        for then in waiting:
            then()
        if self._again or self._after:
            self._again = False
            self.relist()

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
            self.relist()
            self._clock.after(RELIST_PERIOD, self._periodic, background=True, label="pleg")
