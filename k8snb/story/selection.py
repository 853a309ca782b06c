"""Selection: which pods a selector picks, which it misses by one label, and who else picks the same ones.

Interface: `judge(selector, pods)`, `near_misses(verdicts)`, `rivals(scene, picked, …)`, `selector_of(obj)`.
The rule not to break: a near miss is a pod of which one requirement fails and all others hold.
Source: `concepts/overview/working-with-objects/labels` of the documentation; each kind's `spec.selector`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import SequenceMatcher
from typing import NamedTuple

from k8snb.apimachinery.meta import Object, get_path, labels_of, namespace_of, uid_of
from k8snb.apimachinery.selectors import NOTHING, Requirement, Selector, from_label_selector, from_set
from k8snb.story.why import Scene, word_of

PICKED, NEARLY, NOT = "yes", "nearly", "no"


def _of_labels(obj: Object) -> Selector:
    selector = get_path(obj, "spec.selector")
    return from_set(selector) if selector else NOTHING


def _of_selector(obj: Object) -> Selector:
    return from_label_selector(get_path(obj, "spec.selector"))


SELECTING: Mapping[str, tuple[str, Callable[[Object], Selector]]] = {  # kind: its resource, and how it selects pods
    "Service": ("services", _of_labels),
    "ReplicationController": ("replicationcontrollers", _of_labels),
    "ReplicaSet": ("replicasets", _of_selector),
    "Deployment": ("deployments", _of_selector),
    "StatefulSet": ("statefulsets", _of_selector),
    "DaemonSet": ("daemonsets", _of_selector),
    "Job": ("jobs", _of_selector),
    "PodDisruptionBudget": ("poddisruptionbudgets", _of_selector),
    "NetworkPolicy": ("networkpolicies", lambda obj: from_label_selector(get_path(obj, "spec.podSelector"))),
}


class Verdict(NamedTuple):
    """A pod and whether it is picked: yes, nearly, no; `why` names the requirements that fail. `near` is how like what
    is wanted that is which it has instead, from 0 to 1.
    """

    pod: Object
    picked: str
    why: str
    near: float = 0.0


class Rival(NamedTuple):
    """Somebody else whose selector picks some of the pods."""

    word: str
    selector: str
    pods: int


def selector_of(obj: Object) -> Selector | None:
    """What an object selects pods by; None for a kind that selects none."""
    row = SELECTING.get(obj["kind"])
    return row[1](obj) if row is not None else None


def judge(selector: Selector, pods: Iterable[Object]) -> list[Verdict]:
    """Every pod: those that are picked, then the near misses, then the others."""
    verdicts = [_judged(selector, pod) for pod in pods]
    return sorted(verdicts, key=lambda each: (PICKED, NEARLY, NOT).index(each.picked))


def _judged(selector: Selector, pod: Object) -> Verdict:
    if selector.nothing:
        return Verdict(pod, NOT, "the selector picks nothing")
    labels = labels_of(pod)
    wrong = selector.mismatches(labels)
    if not wrong:
        return Verdict(pod, PICKED, "")
    why = "; ".join(_tell(requirement, labels) for requirement in wrong)
    if len(wrong) > 1:
        return Verdict(pod, NOT, why)
    return Verdict(pod, NEARLY, why, _likeness(wrong[0], labels))


def _likeness(requirement: Requirement, labels: Mapping[str, str]) -> float:
    """How like a label that would do there is one, by its spelling: another value of the key, the value elsewhere."""
    have = labels.get(requirement.key)
    values = [*requirement.values, ""]
    if have is not None:
        return max(SequenceMatcher(None, have, value).ratio() for value in values)
    others = [key for key, value in labels.items() if value in requirement.values]
    return max((SequenceMatcher(None, key, requirement.key).ratio() for key in others), default=0.0)


def near_misses(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The near misses, the nearest first."""
    found = (verdict for verdict in verdicts if verdict.picked == NEARLY)
    return sorted(found, key=lambda verdict: -verdict.near)


def _tell(requirement: Requirement, labels: Mapping[str, str]) -> str:
    value = labels.get(requirement.key)
    have = f"it has {requirement.key}={value}" if value is not None else f"it has no label {requirement.key}"
    return f"{requirement}: {have}"


def rivals(scene: Scene, picked: Iterable[Object], namespace: str, *, but: Object | None = None) -> list[Rival]:
    """Who else would pick any of these pods: two controllers with one selector are a common mistake."""
    pods = list(picked)
    found = []
    for resource, select in SELECTING.values():
        for obj in scene.items(resource, namespace):
            if but is not None and uid_of(obj) == uid_of(but):
                continue
            selector = select(obj)
            own = (pod for pod in pods if namespace_of(pod) == namespace_of(obj))
            count = sum(selector.matches(labels_of(pod)) for pod in own)
            if count:
                found.append(Rival(word_of(obj), str(selector) or "everything", count))
    return found
