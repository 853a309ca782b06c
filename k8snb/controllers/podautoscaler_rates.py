"""horizontal-pod-autoscaler's rates: how fast a number of pods may rise and fall.

Interface: `History`, what one autoscaler has wanted and done; `settle(history, …) -> Verdict`.
The rule not to break: the newest wish never falls below what was wanted within the window; a rate counts from the
number of pods at the beginning of its period.
Source: `normalizeDesiredReplicas…` in pkg/controller/podautoscaler/horizontal.go; KEP-853.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from k8snb.apimachinery.meta import Object

DOWN_WINDOW = 300.0  # seconds in which the highest wish counts, where nothing else is said
FACTOR, LEAST = 2.0, 4  # without rules a number may double at once, or become four
LONGEST = 3600.0  # seconds for which anything is remembered
_FASTER = "the desired replica count is increasing faster than the maximum scale rate"
_SLOWER = "the desired replica count is decreasing faster than the maximum scale rate"
_MANY = "the desired replica count is more than the maximum replica count"
_FEW = "the desired replica count is less than the minimum replica count"
_WITHIN = ("DesiredWithinRange", "the desired count is within the acceptable range")


class Said(NamedTuple):
    """A condition: its status, reason and message."""

    status: bool
    reason: str
    message: str


class Verdict(NamedTuple):
    """How many pods there shall be, and what became of the wish."""

    replicas: int
    able: Said
    limited: Said


@dataclass
class History:
    """Wishes and changes of one autoscaler, with their times in seconds."""

    wishes: list[tuple[float, int]] = field(default_factory=list)
    rises: list[tuple[float, int]] = field(default_factory=list)
    falls: list[tuple[float, int]] = field(default_factory=list)

    def wish(self, now: float, replicas: int) -> None:
        self.wishes = [entry for entry in self.wishes if entry[0] > now - LONGEST] + [(now, replicas)]

    def changed(self, now: float, before: int, after: int) -> None:
        changes = self.rises if after > before else self.falls
        changes[:] = [entry for entry in changes if entry[0] > now - LONGEST] + [(now, abs(after - before))]


def settle(
    history: History, *, now: float, current: int, wanted: int, least: int, most: int, behavior: Object | None
) -> Verdict:
    """The wish is remembered."""
    if behavior is None:
        stable = max(_since(history.wishes, now - DOWN_WINDOW, wanted))
        words = ("ScaleDownStabilized", "recent recommendations were higher than current one, applying the highest "
                 "recent recommendation")  # fmt: skip
        allowed = _without_rules(current, stable, least, most)
    else:
        stable, words = _stabilized(history, now, current, wanted, behavior)
        allowed = _by_rules(history, now, current, stable, least, most, behavior)
    history.wish(now, wanted)
    able = (
        Said(True, *words)
        if stable != wanted
        else Said(True, "ReadyForNewScale", "recommended size matches current size")
    )
    replicas, (reason, message) = allowed
    return Verdict(replicas, able, Said(replicas != stable, reason, message))


def _since(wishes: Sequence[tuple[float, int]], begin: float, newest: int) -> list[int]:
    return [newest, *(replicas for time, replicas in wishes if time > begin)]


def _stabilized(
    history: History, now: float, current: int, wanted: int, behavior: Object
) -> tuple[int, tuple[str, str]]:
    """Rise no higher than the lowest recent wish, fall no lower than the highest."""
    up = behavior["scaleUp"].get("stabilizationWindowSeconds") or 0
    down = behavior["scaleDown"].get("stabilizationWindowSeconds")
    lowest = min(_since(history.wishes, now - up, wanted))
    highest = max(_since(history.wishes, now - (DOWN_WINDOW if down is None else down), wanted))
    stable = min(max(current, lowest), highest) if lowest <= highest else wanted
    if wanted >= current:
        return stable, ("ScaleUpStabilized", "recent recommendations were lower than current one, applying the lowest "
                        "recent recommendation")  # fmt: skip
    return stable, ("ScaleDownStabilized", "recent recommendations were higher than current one, applying the highest "
                    "recent recommendation")  # fmt: skip


def _without_rules(current: int, wanted: int, least: int, most: int) -> tuple[int, tuple[str, str]]:
    limit = int(max(FACTOR * current, LEAST))
    highest, why = (limit, ("ScaleUpLimit", _FASTER)) if most > limit else (most, ("TooManyReplicas", _MANY))
    if wanted < least:
        return least, ("TooFewReplicas", _FEW)
    return (highest, why) if wanted > highest else (wanted, _WITHIN)


def _by_rules(
    history: History, now: float, current: int, wanted: int, least: int, most: int, behavior: Object
) -> tuple[int, tuple[str, str]]:
    if wanted > current:
        limit = max(_up_limit(history, now, current, behavior["scaleUp"]), current)
        highest, why = (limit, ("ScaleUpLimit", _FASTER)) if most > limit else (most, ("TooManyReplicas", _MANY))
        return (highest, why) if wanted > highest else (wanted, _WITHIN)
    if wanted < current:
        limit = min(_down_limit(history, now, current, behavior["scaleDown"]), current)
        lowest, why = (limit, ("ScaleDownLimit", _SLOWER)) if least < limit else (least, ("TooFewReplicas", _FEW))
        return (lowest, why) if wanted < lowest else (wanted, _WITHIN)
    return wanted, _WITHIN


def _begin(history: History, now: float, current: int, policy: Mapping[str, int]) -> int:
    """How many pods there were when the policy's period began."""
    begin = now - policy["periodSeconds"]
    added = sum(count for time, count in history.rises if time > begin)
    return current - added + sum(count for time, count in history.falls if time > begin)


def _up_limit(history: History, now: float, current: int, rules: Object) -> int:
    select = rules.get("selectPolicy", "Max")
    if select == "Disabled":
        return current
    limits = []
    for policy in rules["policies"]:
        begin = _begin(history, now, current, policy)
        grown = begin * (1 + policy["value"] / 100)
        limits.append(begin + int(policy["value"]) if policy["type"] == "Pods" else math.ceil(grown))
    return min(limits) if select == "Min" else max(limits)


def _down_limit(history: History, now: float, current: int, rules: Object) -> int:
    select = rules.get("selectPolicy", "Max")
    if select == "Disabled":
        return current
    limits = []
    for policy in rules["policies"]:
        begin = _begin(history, now, current, policy)
        left = begin * (1 - policy["value"] / 100)
        limits.append(begin - int(policy["value"]) if policy["type"] == "Pods" else int(left))
    return max(limits) if select == "Min" else min(limits)
