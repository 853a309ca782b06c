"""deployment-controller's arithmetic: how many pods each ReplicaSet may have at this moment of a rollout.

Interface: pure functions on a Deployment and its ReplicaSets; sizes come back as {ReplicaSet name: replicas}.
The rule not to break: never more than `replicas + maxSurge` pods wanted, never fewer than `replicas - maxUnavailable`
available because of the controller.
Source: `pkg/controller/deployment/{rolling,sync}.go` and `util/deployment_util.go` in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from k8snb.apimachinery.meta import Object, annotations_of, get_path, name_of

DESIRED, MAX = "deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas"

Sizes = dict[str, int]


def replicas_of(obj: Object) -> int:
    """`spec.replicas` of a Deployment or ReplicaSet."""
    count: int = obj["spec"].get("replicas", 1)
    return count


def total(sets: Iterable[Object]) -> int:
    return sum(map(replicas_of, sets))


def available(sets: Iterable[Object]) -> int:
    return sum(get_path(one, "status.availableReplicas", 0) for one in sets)


def active(sets: Iterable[Object]) -> list[Object]:
    """The sets that are to have pods."""
    return [one for one in sets if replicas_of(one) > 0]


def is_rolling(deployment: Object) -> bool:
    return bool(get_path(deployment, "spec.strategy.type", "RollingUpdate") == "RollingUpdate")


def fenceposts(deployment: Object) -> tuple[int, int]:
    """maxSurge and maxUnavailable in pods: per cent of surge round up, of unavailable down; both 0 would halt."""
    if not is_rolling(deployment):
        return 0, 0
    rolling = get_path(deployment, "spec.strategy.rollingUpdate") or {}
    desired = replicas_of(deployment)
    surge = _resolve(rolling.get("maxSurge", "25%"), desired, up=True)
    unavailable = _resolve(rolling.get("maxUnavailable", "25%"), desired, up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, min(unavailable, desired)


def _resolve(amount: Any, whole: int, *, up: bool) -> int:
    """A number of pods, or per cent of `whole`."""
    if not isinstance(amount, str):
        return int(amount)
    hundredths = whole * int(amount.removesuffix("%"))
    return -(-hundredths // 100) if up else hundredths // 100


def ceiling(deployment: Object) -> int:
    """The most pods that a rollout may want at once."""
    return replicas_of(deployment) + fenceposts(deployment)[0]


def floor(deployment: Object) -> int:
    """The fewest pods that a rollout leaves available."""
    return replicas_of(deployment) - fenceposts(deployment)[1]


def new_size(deployment: Object, new: Object, others: Iterable[Object]) -> int:
    """What the newest ReplicaSet may grow (or has to shrink) to."""
    desired, size = replicas_of(deployment), replicas_of(new)
    if size >= desired or not is_rolling(deployment):
        return desired
    room = ceiling(deployment) - total(others) - size
    return size + min(max(room, 0), desired - size)


def old_sizes(deployment: Object, new: Object, old: list[Object]) -> Sizes:
    """What older ReplicaSets shrink to: first the unhealthy pods go, then as many as new ones can stand in for."""
    if not total(old):
        return {}
    not_yet = replicas_of(new) - available([new])
    budget = total([new, *old]) - floor(deployment) - not_yet
    if budget <= 0:
        return {}
    sizes = _without_unhealthy(old, budget)
    spare = available([new, *old]) - floor(deployment)
    for one in old:
        size = sizes.get(name_of(one), replicas_of(one))
        cut = min(size, max(spare, 0))
        if cut:
            sizes[name_of(one)] = size - cut
            spare -= cut
    return sizes


def _without_unhealthy(old: list[Object], budget: int) -> Sizes:
    sizes: Sizes = {}
    for one in old:
        size = replicas_of(one)
        cut = min(budget, size - available([one]))
        if size and cut > 0:
            sizes[name_of(one)] = size - cut
            budget -= cut
    return sizes


def proportional_sizes(deployment: Object, sets: list[Object]) -> Sizes:
    """A Deployment scaled in the middle of a rollout: every ReplicaSet gets its share, the largest the rounding."""
    allowed = ceiling(deployment) if replicas_of(deployment) else 0
    change = allowed - total(sets)
    newest_first = sorted(sets, key=_created, reverse=change > 0)
    by_size = sorted(newest_first, key=replicas_of, reverse=True)
    sizes: Sizes = {}
    given = 0
    for one in by_size:
        share = _share(deployment, one, change - given) if change else 0
        sizes[name_of(one)] = replicas_of(one) + share
        given += share
    if change and by_size:
        largest = name_of(by_size[0])
        sizes[largest] = max(sizes[largest] + change - given, 0)
    return sizes


def _share(deployment: Object, one: Object, left: int) -> int:
    """A ReplicaSet's part of the pods to add (or, below 0, to take away), never more than what is `left`."""
    size = replicas_of(one)
    if not size or not left:
        return 0
    before = int(annotations_of(one).get(MAX) or 0) or get_path(deployment, "status.replicas", 0)
    if not replicas_of(deployment):
        wanted = -size
    elif not before:
        wanted = 0
    else:
        wanted = (2 * size * ceiling(deployment) + before) // (2 * before) - size
    return min(wanted, left) if left > 0 else max(wanted, left)


def only_one(new: Object | None, old: list[Object]) -> Object | None:
    """The one ReplicaSet that has pods, or the latest when none has; None in the middle of a rollout."""
    sets = [*old, *([new] if new else [])]
    with_pods = active(sets)
    if len(with_pods) > 1 or not sets:
        return None
    return with_pods[0] if with_pods else new or sets[-1]


def is_saturated(deployment: Object, new: Object | None) -> bool:
    """Whether the newest ReplicaSet has everything that the Deployment asks for."""
    desired = replicas_of(deployment)
    if new is None or annotations_of(new).get(DESIRED) != str(desired):
        return False
    return replicas_of(new) == desired == available([new])


def was_scaled(deployment: Object, sets: Iterable[Object]) -> bool:
    """Whether `spec.replicas` has changed since the ReplicaSets were last given their sizes."""
    desired = str(replicas_of(deployment))
    return any(annotations_of(one).get(DESIRED, desired) != desired for one in active(sets))


def _created(one: Object) -> tuple[str, str]:
    return one["metadata"]["creationTimestamp"], name_of(one)
