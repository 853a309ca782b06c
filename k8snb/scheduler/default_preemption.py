"""DefaultPreemption: for a pod that finds no place, pods of lower priority may have to go.

Interface: the plug-in.
The rule not to break: nobody goes in vain: only where the pod would then fit, no more of them than that takes, and
those whose disruption budget forbids it only where nothing else helps.
Source: `pkg/scheduler/framework/{plugins/defaultpreemption,preemption}` in the kubernetes repository, which looks at
some nodes in parallel from a random one on, and asks extenders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from k8snb.apimachinery.errors import ApiError, Postponed
from k8snb.apimachinery.meta import (
    Object,
    condition,
    get_path,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    uid_of,
)
from k8snb.apimachinery.selectors import from_label_selector
from k8snb.client.events import NORMAL
from k8snb.clock import timestamp
from k8snb.scheduler.cache import NodeInfo, Placed
from k8snb.scheduler.framework import Attempt, Handle, Nomination, Plugin

NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
NEVER = "not eligible due to preemptionPolicy=Never."
TERMINATING = "not eligible due to a terminating pod on the nominated node."
REASON = "PreemptionByScheduler"
MESSAGE = "preempting to accommodate a higher priority pod"
MIN_CANDIDATES_PERCENTAGE, MIN_CANDIDATES = 10, 100


class Candidate(NamedTuple):
    """A node, and who would have to go there, the most important first."""

    node: str
    victims: list[Placed]
    violations: int

    def rank(self) -> tuple[float, ...]:
        """The lowest is chosen: fewest budgets violated, least important victims, fewest, then the youngest."""
        priorities = [priority_of(victim.pod) for victim in self.victims]
        top = max(priorities)
        begun = min(_begun(victim.pod) for victim in self.victims if priority_of(victim.pod) == top)
        return self.violations, top, sum(each + 2**31 for each in priorities), len(priorities), _descending(begun)


class DefaultPreemption(Plugin):
    name = "DefaultPreemption"

    def connect(self, handle: Handle) -> None:
        self._handle = handle
        self._budgets = handle.informers.get("poddisruptionbudgets")

    def post_filter(self, attempt: Attempt) -> Nomination:
        why = self._not_eligible(attempt)
        if why:
            return Nomination(attempt.pod_nominated, f"preemption: {why}")
        candidates, reasons = self._candidates(attempt)
        if not candidates:
            nodes = len(self._handle.cache.nodes)
            listed = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
            return Nomination("", f"preemption: 0/{nodes} nodes are available: {listed}.")
        best = min(candidates, key=Candidate.rank)
        self._carry_out(attempt.pod, best)
        return Nomination(best.node, "")

    def _not_eligible(self, attempt: Attempt) -> str:
        if attempt.pod["spec"].get("preemptionPolicy") == "Never":
            return NEVER
        node = self._handle.cache.node(attempt.pod_nominated)
        if node is None or node.name not in attempt.resolvable:
            return ""
        lower = (placed.pod for placed in node.placed.values() if priority_of(placed.pod) < priority_of(attempt.pod))
        leaving = any(is_deleting(pod) and (condition(pod, "DisruptionTarget") or {}).get("reason") == REASON
                      for pod in lower)  # fmt: skip
        return TERMINATING if leaving else ""

    # looking

    def _candidates(self, attempt: Attempt) -> tuple[list[Candidate], Counter[str]]:
        nodes = len(self._handle.cache.nodes)
        wanted = max(nodes * MIN_CANDIDATES_PERCENTAGE // 100, MIN_CANDIDATES)
        found: list[Candidate] = []
        reasons: Counter[str] = Counter()
        if nodes > len(attempt.resolvable):
            reasons[NOT_HELPFUL] = nodes - len(attempt.resolvable)
        for name in attempt.resolvable:
            node = self._handle.cache.node(name)
            tried = self._try(attempt, node) if node is not None else (NOT_HELPFUL,)
            if isinstance(tried, Candidate):
                found.append(tried)
                if len(found) >= wanted:
                    break
            else:
                reasons.update(tried)
        return found, reasons

    def _try(self, attempt: Attempt, node: NodeInfo) -> Candidate | tuple[str, ...]:
        """Who would have to go; tried out in the cache itself, where afterwards everything is as it was."""
        mine = priority_of(attempt.pod)
        lower = {key: placed for key, placed in node.placed.items() if priority_of(placed.pod) < mine}
        if not lower:
            return (NO_VICTIMS,)
        cache = self._handle.cache
        for key in lower:
            cache.displace(key)
        try:
            reasons = attempt.refusal(node)
            return reasons or self._fewest(attempt, node, lower)
        finally:
            for key, placed in lower.items():
                cache.place(key, placed.pod, node.name, placed.request)

    def _fewest(self, attempt: Attempt, node: NodeInfo, lower: dict[str, Placed]) -> Candidate:
        """Take back who need not go: first those that a budget protects, of each the more important first."""
        ordered = sorted(lower.values(), key=lambda placed: (-priority_of(placed.pod), _begun(placed.pod)))
        protected = self._protected(ordered)
        victims, violations = [], 0
        for placed in sorted(ordered, key=lambda placed: placed.uid not in protected):
            key = key_of(placed.pod)
            self._handle.cache.place(key, placed.pod, node.name, placed.request)
            if attempt.refusal(node):
                self._handle.cache.displace(key)
                victims.append(placed)
                violations += placed.uid in protected
        victims.sort(key=lambda placed: -priority_of(placed.pod))
        return Candidate(node.name, victims, violations)

    def _protected(self, pods: Iterable[Placed]) -> set[str]:
        """The uids of those whose going would violate a budget, if they all went one after the other."""
        left: dict[str, int] = {}
        protected = set()
        for placed in pods:
            for budget in self._budgets_of(placed.pod):
                key = key_of(budget)
                left[key] = left.get(key, get_path(budget, "status.disruptionsAllowed", 0)) - 1
                if left[key] < 0:
                    protected.add(placed.uid)
        return protected

    def _budgets_of(self, pod: Object) -> Iterable[Object]:
        labels = labels_of(pod)
        for budget in self._budgets.list(namespace_of(pod)) if labels else ():
            selector = from_label_selector(budget["spec"].get("selector"))
            counted = get_path(budget, "status.disruptedPods") or {}
            if not selector.is_everything and selector.matches(labels) and name_of(pod) not in counted:
                yield budget

    # acting

    def _carry_out(self, pod: Object, chosen: Candidate) -> None:
        for victim in chosen.victims:
            if not is_deleting(victim.pod):
                self._evict(victim.pod, pod, chosen.node)

    def _evict(self, victim: Object, pod: Object, node: str) -> None:
        """Mark the pod and delete it; one that has gone in the meantime is as good."""
        scheduler = pod["spec"].get("schedulerName", "default-scheduler")
        now = timestamp(self._handle.clock.now())
        entry = {"type": "DisruptionTarget", "status": "True", "reason": REASON, "message": f"{scheduler}: {MESSAGE}",
                 "lastTransitionTime": now}  # fmt: skip
        name, namespace = name_of(victim), namespace_of(victim)
        patch = {"metadata": {"uid": uid_of(victim)}, "status": {"conditions": [entry]}}
        try:
            self._handle.client.patch("pods", name, patch, namespace, subresource="status")
            self._handle.client.delete("pods", name, namespace)
        except Postponed as waiting:
            waiting.then(lambda: self._evict(victim, pod, node))
            return
        except ApiError as error:
            if error.code not in (404, 409):
                raise
            return
        words = f"Preempted by pod {uid_of(pod)} on node {node}"
        self._handle.events.event(victim, NORMAL, "Preempted", words)


def priority_of(pod: Object) -> int:
    priority: int = pod["spec"].get("priority") or 0
    return priority


def _begun(pod: Object) -> str:
    """When the kubelet took the pod; one that it has not taken yet counts as just begun."""
    begun: str = get_path(pod, "status.startTime") or "9999"
    return begun


def _descending(moment: str) -> float:
    """A number that is the lower the later a moment is."""
    return -float("".join(filter(str.isdigit, moment)).ljust(20, "0"))
