"""resourcequota-controller: counts what a namespace uses, and writes it into its quotas.

Interface: `ResourceQuotaController`. The rule not to break: what is used is counted in the apiserver and never in a
cache, and written at the revision of the quota that the count belongs to: what admission has charged is not lost.
Source: `pkg/controller/resourcequota/resource_quota_controller.go` in the kubernetes repository.
"""

from __future__ import annotations

from k8snb.apimachinery import quota as quotas
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, get_path, key_of, namespace_of, revision_of
from k8snb.apimachinery.pod_resources import Amounts, amounts, total
from k8snb.apimachinery.quantity import Quantity
from k8snb.apimachinery.quota import Evaluator, evaluator
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import NAMESPACE, Informer, Informers
from k8snb.clock import parse_timestamp

RECOUNT = 300.0  # seconds after which a quota is counted again in any case
PACE = 5000  # objects counted in a second, so that the end of thousands of pods is not thousands of counts


class ResourceQuotaController(Controller):
    name = "resourcequota-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self._rest: dict[str, float] = {}  # quotas that were counted: until when they are left alone
        self.quotas = informers.get("resourcequotas")
        self.quotas.on_change(self._quota_changed)
        self.watch_kinds(_is_counted, self._observe)

    # what makes a quota worth counting

    def _quota_changed(self, old: Object | None, new: Object | None) -> None:
        """What admission charges is counted already."""
        if new is not None and (old is None or old["spec"] != new["spec"] or "hard" not in (new.get("status") or {})):
            self.enqueue(new)

    def _observe(self, kind: Kind, informer: Informer) -> None:
        rule = evaluator(kind)
        assert rule is not None

        def changed(old: Object | None, new: Object | None) -> None:
            if old is not None and len(self.quotas) and (new is None or _gives_back(rule, old, new)):
                self._recount(rule, namespace_of(old), revision_of(new or old))

        informer.on_change(changed)

    def _recount(self, rule: Evaluator, namespace: str, cause: int) -> None:
        for quota in self.quotas.by_index(NAMESPACE, namespace):
            if not rule.matching(quota["spec"].get("hard") or ()):
                continue
            left = self._rest.get(key_of(quota), 0.0) - self.clock.monotonic()
            if left > 0:
                self.queue.add_after(key_of(quota), left, cause=cause)
            else:
                self.queue.add(key_of(quota), cause)

    # counting

    def sync(self, key: str) -> None:
        quota = self.quotas.by_key(key)
        if quota is None:
            self._rest.pop(key, None)
            return
        self.queue.add_after(key, RECOUNT, background=True)
        hard = quota["spec"].get("hard") or {}
        usage, counted = self._usage(quota)
        self._rest[key] = self.clock.monotonic() + counted / PACE
        used = {name: str(amount) for name, amount in sorted(usage.items())}
        status = {"hard": hard, "used": used}
        present = quota.get("status") or {}
        if present.get("hard") != hard or amounts(present.get("used")) != amounts(used):
            self.client.update_status("resourcequotas", {**quota, "status": status})

    def subject(self, key: str) -> Object | None:
        return self.quotas.by_key(key)

    def _usage(self, quota: Object) -> tuple[Amounts, int]:
        """What the namespace uses of each name in the quota that something measures; how many objects that are."""
        found: Amounts = {}
        counted = 0
        for kind in _counted_kinds(self.client.kinds()):
            rule = evaluator(kind)
            names = rule.matching(quota["spec"].get("hard") or ()) if rule is not None else []
            if rule is not None and names:
                found |= dict.fromkeys(names, Quantity(0))
                listed = self.client.items(kind, namespace_of(quota))
                counted += len(listed)
                parts = (self._usage_of(rule, kind, obj) for obj in listed if rule.covers(quota, obj))
                found = total((found, *(quotas.masked(part, names) for part in parts)))
        return found, counted

    def _usage_of(self, rule: Evaluator, kind: Kind, obj: Object) -> Amounts:
        if kind.builtin == "pods" and self._is_overdue(obj):
            return quotas.pod_usage(obj, ended=True)
        return rule.usage(obj)

    def _is_overdue(self, pod: Object) -> bool:
        """Whether the pod should long have gone: its node may never say so."""
        deadline = pod["metadata"].get("deletionTimestamp")
        grace = pod["metadata"].get("deletionGracePeriodSeconds") or 0
        return bool(deadline) and self.clock.now() > parse_timestamp(deadline) + grace


def _is_counted(kind: Kind) -> bool:
    return evaluator(kind) is not None and {"list", "watch", "delete"} <= set(kind.verbs)


def _counted_kinds(kinds: tuple[Kind, ...]) -> list[Kind]:
    """Every resource in one of its versions."""
    return list({kind.prefix: kind for kind in reversed(kinds) if _is_counted(kind)}.values())


def _gives_back(rule: Evaluator, old: Object, new: Object) -> bool:
    """Whether a change has made an object use less of something, as a pod that has ended does."""
    same_phase = get_path(old, "status.phase") == get_path(new, "status.phase")
    if same_phase and (not rule.on_update or old["spec"] == new["spec"]):
        return False
    now = rule.usage(new)
    return any(amount > now.get(name, Quantity(0)) for name, amount in rule.usage(old).items())
