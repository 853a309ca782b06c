"""The scoring strategies of NodeResourcesFit: are nodes filled evenly, one after the other, or to a measure?

Interface: `strategy(scoring_strategy)` makes a `Strategy` of `{"type": …, "resources": […]}` as a configuration of
kube-scheduler has it: LeastAllocated, MostAllocated (bin packing) or RequestedToCapacityRatio with its `shape`.
Source: `{least,most}_allocated.go` and `requested_to_capacity_ratio.go` in `pkg/scheduler/framework/plugins/
noderesources` of the kubernetes repository; what is refused: `apis/config/validation/validation_pluginargs.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from k8snb.apimachinery.meta import get_path
from k8snb.scheduler.framework import MAX_SCORE

LEAST, MOST, RATIO = "LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"
MAX_SHAPE_SCORE, MAX_WEIGHT = 10, 100
DEFAULT: Mapping[str, Any] = {
    "type": LEAST, "resources": [{"name": "cpu", "weight": 1}, {"name": "memory", "weight": 1}]
}  # fmt: skip

Rate = Callable[[int, int], int]  # requested, allocatable → 0 … 100


class Strategy(NamedTuple):
    """`weights` are those of resources; `rate` scores one of them. A rate of 0 counts unless `skips_zero`."""

    weights: dict[str, int]
    rate: Rate
    skips_zero: bool = False

    def score(self, parts: Sequence[tuple[int, int, int]]) -> int:
        """The mean of (weight, requested, allocatable), weighed."""
        rated = [(weight, self.rate(requested, whole)) for weight, requested, whole in parts if whole]
        if self.skips_zero:
            rated = [(weight, rate) for weight, rate in rated if rate > 0]
            total = sum(weight for weight, _ in rated)
            return int(sum(weight * rate for weight, rate in rated) / total + 0.5) if total else 0
        total = sum([weight for weight, _ in rated])
        return sum([weight * rate for weight, rate in rated]) // total if total else 0


def strategy(wanted: Mapping[str, Any] | None = None) -> Strategy:
    """Raises ValueError for what upstream's kube-scheduler would not start with."""
    wanted = wanted or DEFAULT
    sort = wanted.get("type", LEAST)
    if sort not in (LEAST, MOST, RATIO):
        there = f'supported values: "{LEAST}", "{MOST}", "{RATIO}"'
        raise ValueError(f'scoringStrategy.type: Unsupported value: "{sort}": {there}')
    weights = {each["name"]: each.get("weight") or 1 for each in wanted.get("resources") or DEFAULT["resources"]}
    for name, weight in weights.items():
        if not 0 < weight <= MAX_WEIGHT:
            words = f"resource weight of {name} must be between 1 and {MAX_WEIGHT}"
            raise ValueError(f"scoringStrategy.resources: Invalid value: {weight}: {words}")
    if sort == RATIO:
        return Strategy(weights, _by_shape(_shape(wanted)), skips_zero=True)
    return Strategy(weights, _least if sort == LEAST else _most)


def _least(requested: int, whole: int) -> int:
    return (whole - requested) * MAX_SCORE // whole if requested <= whole else 0


def _most(requested: int, whole: int) -> int:
    return min(requested, whole) * MAX_SCORE // whole


def _by_shape(points: list[tuple[int, int]]) -> Rate:
    """A line through the points, level before the first and after the last."""

    def rate(requested: int, whole: int) -> int:
        used = requested * 100 // whole if requested <= whole else 100
        if used <= points[0][0]:
            return points[0][1]
        for (left, low), (right, high) in pairwise(points):
            if used <= right:
                return low + int((high - low) * (used - left) / (right - left))
        return points[-1][1]

    return rate


def _shape(wanted: Mapping[str, Any]) -> list[tuple[int, int]]:
    """(utilization in per cent, score of 0 to 100)"""
    path = "scoringStrategy.requestedToCapacityRatio.shape"
    listed = get_path(wanted, "requestedToCapacityRatio.shape") or ()
    if not listed:
        raise ValueError(f"{path}: Required value: at least one point must be specified")
    used, scores = [point["utilization"] for point in listed], [point["score"] for point in listed]
    if used != sorted(set(used)) or not 0 <= used[0] <= used[-1] <= 100:
        raise ValueError(f"{path}: Invalid value: {used}: utilization must rise, from 0 to 100 at most")
    if not all(0 <= score <= MAX_SHAPE_SCORE for score in scores):
        raise ValueError(f"{path}: Invalid value: {scores}: scores must be between 0 and {MAX_SHAPE_SCORE}")
    return [(each, score * MAX_SCORE // MAX_SHAPE_SCORE) for each, score in zip(used, scores, strict=True)]
