"""disruption-controller: says in each PodDisruptionBudget how many of its pods may be evicted now.

Interface: `DisruptionController`. The rule not to break: where the number cannot be worked out, it is 0.
Source: `pkg/controller/disruption/disruption.go` in the kubernetes repository. The stale DisruptionTarget conditions
that upstream takes back after two minutes stay here.
"""

from __future__ import annotations

from collections.abc import Iterable

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import BY_GVK
from k8snb.apimachinery.meta import (
    Object,
    controller_of,
    get_path,
    is_deleting,
    name_of,
    namespace_of,
    uid_of,
    with_condition,
)
from k8snb.apimachinery.selectors import NOTHING, Selector, from_label_selector
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import NORMAL, WARNING
from k8snb.client.informer import Informers
from k8snb.clock import parse_timestamp, timestamp
from k8snb.controllers import selecting
from k8snb.controllers.pods import is_ready

DELETION_TIMEOUT = 120.0  # seconds until an evicted pod that is still there counts as healthy again
ALLOWED, SUFFICIENT, INSUFFICIENT, FAILED = "DisruptionAllowed", "SufficientPods", "InsufficientPods", "SyncFailed"
_UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a result, the "
    "status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these "
    'pods please set ".spec.minAvailable" field of the PDB to an integer value.'
)


class ScaleError(Exception):
    """How many pods are wanted cannot be told."""


class DisruptionController(Controller):
    name = "disruption-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.budgets = self.watch("poddisruptionbudgets")
        self.pods = informers.get("pods")
        selecting.index_selectors(self.budgets, selector_of)
        selecting.index_labels(self.pods)
        self.pods.on_change(self._pod_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        for pod in (old, new):
            for budget in selecting.selecting(self.budgets, selector_of, pod) if pod is not None else ():
                self.enqueue(budget)

    def sync(self, key: str) -> None:
        budget = self.budgets.by_key(key)
        if budget is None:
            return
        pods = selecting.selected(self.pods, namespace_of(budget), selector_of(budget))
        if not pods:
            self.events.event(budget, NORMAL, "NoPods", "No matching pods found")
        try:
            expected, desired = self._counts(budget, pods)
        except ScaleError as error:
            words = f"Failed to calculate the number of expected pods: {error}"
            self.events.event(budget, WARNING, "CalculateExpectedPodCountFailed", words)
            self._write(budget, {"disruptionsAllowed": 0}, FAILED, str(error))
            return
        disrupted, again = self._disrupted(budget, pods)
        if again is not None:
            self.queue.add_after(key, max(again, 0.0))
        healthy = sum(1 for pod in pods if is_ready(pod) and not is_deleting(pod) and name_of(pod) not in disrupted)
        allowed = max(healthy - desired, 0) if expected > 0 else 0
        counts: Object = {"currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": expected,
                  "disruptionsAllowed": allowed}  # fmt: skip
        if disrupted:
            counts["disruptedPods"] = disrupted
        self._write(budget, counts, SUFFICIENT if allowed else INSUFFICIENT, "", whole=True)

    def _write(self, budget: Object, counts: Object, reason: str, message: str, *, whole: bool = False) -> None:
        present = budget.get("status") or {}
        kept = {"conditions": present["conditions"]} if whole and "conditions" in present else {} if whole else present
        entry = {"type": ALLOWED, "status": str(reason == SUFFICIENT), "reason": reason, "message": message}
        generation = budget["metadata"].get("generation", 0)
        if whole:
            entry["observedGeneration"] = generation
            counts = {**counts, "observedGeneration": generation}
        conditions = with_condition(kept.get("conditions") or (), entry, timestamp(self.clock.now()))
        status = {**kept, **counts, "conditions": conditions}
        if status != present:
            self.client.update_status("poddisruptionbudgets", {**budget, "status": status})

    # how many there should be

    def _counts(self, budget: Object, pods: list[Object]) -> tuple[int, int]:
        """How many pods there should be, and how many of them healthy. Raises ScaleError."""
        spec = budget["spec"]
        least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
        if most is None and isinstance(least, int):
            return len(pods), least
        expected = self._expected(budget, pods)
        if most is not None:
            return expected, max(expected - _share(most, expected), 0)
        return expected, _share(least, expected) if least is not None else 0

    def _expected(self, budget: Object, pods: Iterable[Object]) -> int:
        """The scales of all who own the pods, summed up."""
        scales: dict[str, int] = {}
        unmanaged = False
        for pod in pods:
            owner = controller_of(pod)
            if owner is None:
                unmanaged = True
            elif owner["uid"] not in scales:
                scales.update([self._scale(pod, owner)])
        if unmanaged:
            words = _UNMANAGED.format(selector=selector_of(budget))
            self.events.event(budget, WARNING, "UnmanagedPods", words)
        return sum(scales.values())

    def _scale(self, pod: Object, reference: Object) -> tuple[str, int]:
        """Who says how many of a pod there are, and what it says; for a ReplicaSet its Deployment."""
        owner = self._owner(pod, reference)
        above = controller_of(owner) if owner is not None and reference["kind"] == "ReplicaSet" else None
        if above is not None and above["kind"] == "Deployment" and owner is not None:
            owner = self._owner(owner, above)
            reference = {**reference, **above}
        if owner is None:
            raise ScaleError(f'found no controllers for pod "{name_of(pod)}"')
        if get_path(owner, "spec.replicas") is not None:
            return uid_of(owner), int(get_path(owner, "spec.replicas"))
        return uid_of(owner), self._by_subresource(pod, reference, owner)

    def _owner(self, obj: Object, reference: Object) -> Object | None:
        version, word = reference["apiVersion"], reference["kind"]
        kind = BY_GVK.get((version, word)) or next(
            (row for row in self.client.kinds() if (row.api_version, row.kind) == (version, word)), None
        )
        owner = self.client.find(kind, reference["name"], namespace_of(obj)) if kind is not None else None
        return owner if owner is not None and uid_of(owner) == reference["uid"] else None

    def _by_subresource(self, pod: Object, reference: Object, owner: Object) -> int:
        kinds = self.client.kinds()
        kind = next(row for row in kinds if (row.api_version, row.kind) == (owner["apiVersion"], owner["kind"]))
        try:
            scale = self.client.get(kind, name_of(owner), namespace_of(pod), subresource="scale")
        except ApiError:
            why = f"{kind.qualified} does not implement the scale subresource"
            raise ScaleError(why) from None
        return int(get_path(scale, "spec.replicas", 0))

    def _disrupted(self, budget: Object, pods: Iterable[Object]) -> tuple[dict[str, str], float | None]:
        """The evicted pods that are still on their way out, and in how many seconds to look at them again."""
        known = get_path(budget, "status.disruptedPods") or {}
        kept: dict[str, str] = {}
        waits = []
        for pod in pods:
            if name_of(pod) not in known or is_deleting(pod):
                continue
            left = parse_timestamp(known[name_of(pod)]) + DELETION_TIMEOUT - self.clock.now()
            if left <= 0:
                words = f"Pod was expected by PDB {namespace_of(budget)}/{name_of(budget)} to be deleted but it wasn't"
                self.events.event(pod, WARNING, "NotDeleted", words)
                continue
            kept[name_of(pod)] = known[name_of(pod)]
            waits.append(left)
        return kept, min(waits, default=None)

    def subject(self, key: str) -> Object | None:
        return self.budgets.by_key(key)


def selector_of(budget: Object) -> Selector:
    """A budget without a selector is for no pod, one with an empty selector for all of its namespace."""
    selector = budget["spec"].get("selector")
    return NOTHING if selector is None else from_label_selector(selector)


def _share(amount: int | str, whole: int) -> int:
    """A number, or a percentage of the whole, rounded up."""
    return amount if isinstance(amount, int) else -(-int(amount.rstrip("%")) * whole // 100)
