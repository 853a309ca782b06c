"""Why not: what keeps an object from a state that somebody expects: Ready, Available, scheduled, on a node.

Interface: `why_not(scene, obj, words) -> Answer`; `known_states(obj)`.
The rule not to break: what holds is said to hold; of what does not, the object's own condition is told where no reason
is known.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from k8snb.apimachinery.meta import (
    Object,
    controller_of,
    get_path,
    is_deleting,
    is_true,
    labels_of,
    name_of,
    namespace_of,
    revision_of,
    uid_of,
)
from k8snb.apimachinery.node_selector import admits
from k8snb.apimachinery.taints import NO_EXECUTE, NO_SCHEDULE, show, untolerated
from k8snb.controllers.daemonset_nodes import daemon_spec, should_run, target_of
from k8snb.printers import pods
from k8snb.scheduler.decision import Decision
from k8snb.story.why import Evidence, Finding, Scene, seen, why, word_of
from k8snb.story.why_placement import change_for
from k8snb.story.why_policies import reach

SYNONYMS: Mapping[str, str] = {"scheduled": "podscheduled", "initialised": "initialized", "progress": "progressing"}


class Answer(NamedTuple):
    """Whether it is so after all, in words; and if not, why not."""

    holds: str
    findings: Sequence[Finding]


def why_not(scene: Scene, obj: Object, words: Sequence[str]) -> Answer:
    """Raises ValueError for a state that such an object cannot be in."""
    if len(words) == 2 and words[0].lower() == "on":
        return _on(scene, obj, words[1])
    if len(words) == 2 and words[0].lower() in ("reach", "reaching") and obj["kind"] == "Pod":
        return Answer(*reach(scene, obj, words[1]))
    if len(words) != 1:
        raise ValueError(f"not what? Ready, Available, scheduled, on NODE: %kwhy not {word_of(obj)} Ready")
    wanted = SYNONYMS.get(words[0].lower(), words[0].lower())
    holds = _holds(scene, obj, wanted)
    if holds is None:
        known = ", ".join(known_states(obj))
        raise ValueError(
            f'{word_of(obj)} cannot be "{words[0]}"{_near(words[0], known_states(obj))}; it can be {known}'
        )
    if holds:
        return Answer(f"{word_of(obj)} is {words[0]}", ())
    return Answer("", why(scene, obj) or _own_words(obj, wanted))


def _near(word: str, words: Iterable[str]) -> str:
    found = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f' (did you mean "{found[0]}"?)' if found else ""


# what may be expected of a kind beside the conditions that it has now
_EXPECTED: Mapping[str, tuple[str, ...]] = {
    "Pod": ("Ready", "scheduled", "Initialized", "ContainersReady", "Running", "Succeeded", "deleted", "on NODE",
            "reach TARGET"),
    "Deployment": ("Available", "Progressing", "Ready", "deleted"), "ReplicaSet": ("Ready", "deleted"),
    "StatefulSet": ("Ready", "deleted"), "DaemonSet": ("Ready", "deleted", "on NODE"),
    "ReplicationController": ("Ready", "deleted"), "Job": ("Complete", "deleted"), "Node": ("Ready", "schedulable"),
    "Service": ("Ready", "deleted"), "PersistentVolumeClaim": ("Bound", "deleted"), "Namespace": ("Active", "deleted"),
    "PersistentVolume": ("Bound", "Available", "deleted"),
    "HorizontalPodAutoscaler": ("ScalingActive", "AbleToScale", "deleted"),
}  # fmt: skip


def known_states(obj: Object) -> list[str]:
    """What an object may be said to be."""
    own = [entry["type"] for entry in get_path(obj, "status.conditions") or ()]
    return list(dict.fromkeys([*_EXPECTED.get(obj["kind"], ("deleted",)), *own]))


def _holds(scene: Scene, obj: Object, wanted: str) -> bool | None:
    """Whether an object is in a state; None for a state that it cannot be in."""
    known = {SYNONYMS.get(word.lower(), word.lower()) for word in known_states(obj)}
    if wanted in ("deleted", "gone"):
        return False
    own = next((entry["type"] for entry in get_path(obj, "status.conditions") or () if entry["type"].lower() == wanted),
               None)  # fmt: skip
    if own is not None:
        return is_true(obj, own)
    if wanted not in known:
        return None
    special = _STATES.get((obj["kind"], wanted)) or _STATES.get(("", wanted))
    if special is not None:
        return special(scene, obj)
    status = {pods.status(obj).lower()} if obj["kind"] == "Pod" else set()
    return wanted in status | {str(get_path(obj, "status.phase", "")).lower()}


def _all_ready(scene: Scene, obj: Object) -> bool:
    if obj["kind"] == "DaemonSet":
        status = obj.get("status") or {}
        return int(status.get("numberReady", 0)) >= int(status.get("desiredNumberScheduled", 0))
    return int(get_path(obj, "status.readyReplicas", 0)) >= int(get_path(obj, "spec.replicas", 1))


def _has_endpoints(scene: Scene, obj: Object) -> bool:
    found = scene.find("endpoints", name_of(obj), namespace_of(obj))
    subsets = (found or {}).get("subsets") or ()
    return any(subset.get("addresses") for subset in subsets)


_STATES: Mapping[tuple[str, str], Callable[[Scene, Object], bool]] = {
    ("Service", "ready"): _has_endpoints,
    ("Node", "schedulable"): lambda scene, obj: not get_path(obj, "spec.unschedulable"),
    **{(kind, "ready"): _all_ready
       for kind in ("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ReplicationController")},
}  # fmt: skip


def _own_words(obj: Object, wanted: str) -> list[Finding]:
    """What the object says itself."""
    if wanted in ("deleted", "gone"):
        if is_deleting(obj):
            return [_going(obj)]
        evidence = seen(obj, "metadata.deletionTimestamp", "none")
        return [Finding(word_of(obj), "nobody has asked for its deletion", (evidence,),
                        (f"kubectl delete {word_of(obj)}",))]  # fmt: skip
    entry = next((entry for entry in get_path(obj, "status.conditions") or () if entry["type"].lower() == wanted), None)
    if entry is None:
        state = get_path(obj, "status.phase") or "nothing"
        return [Finding(word_of(obj), f"its status does not say so; it says {state}",
                        (seen(obj, "status", str(state)),))]  # fmt: skip
    told = ": ".join(filter(None, (entry.get("reason", ""), entry.get("message", "")))) or "no reason given"
    place = Evidence(word_of(obj), f"status.conditions[{entry['type']}]", told, revision_of(obj))
    return [Finding(word_of(obj), f"its condition {entry['type']} is {entry['status']}: {told}", (place,))]


def _going(obj: Object) -> Finding:
    """A deletion that has begun, and of a pod the containers that it waits for."""
    running = [status["name"] for status in get_path(obj, "status.containerStatuses") or ()
               if get_path(status, "state.running")]  # fmt: skip
    until = f": container {', '.join(running)} has not ended, and may take until then" if running else ""
    waits = [seen(obj, "metadata.deletionGracePeriodSeconds")] if running else []
    return Finding(
        word_of(obj),
        f"its deletion has begun{until}",
        (seen(obj, "metadata.deletionTimestamp"), *waits),
        (
            f"kubectl wait --for=delete {word_of(obj)}",
            *([f"or do not wait: kubectl delete {word_of(obj)} --force --grace-period=0"] * bool(running)),
        ),
    )


# on a node


def _on(scene: Scene, obj: Object, name: str) -> Answer:
    node = scene.find("nodes", name)
    if node is None:
        names = [name_of(each) for each in scene.items("nodes")]
        raise ValueError(f'there is no node "{name}"{_near(name, names)}')
    if obj["kind"] == "Pod":
        return _pod_on(scene, obj, node)
    if obj["kind"] == "DaemonSet":
        return _daemon_on(scene, obj, node)
    raise ValueError(f"{word_of(obj)} is on no node itself: its pods are, %kwhy not pod/NAME on {name}")


def _pod_on(scene: Scene, pod: Object, node: Object) -> Answer:
    name, there = name_of(node), get_path(pod, "spec.nodeName", "")
    if there == name:
        return Answer(f"{word_of(pod)} is on {name}", ())
    decision = scene.decision_of(uid_of(pod))
    if not there and (decision is None or name not in decision.refusals):
        return Answer("", why(scene, pod))
    verdicts = _verdicts(scene, pod, name, decision)
    if verdicts:
        where = f"; it is on {there}" if there else ""
        told = "; ".join(f"{plugin}: {reason}" for plugin, reason in verdicts)
        return Answer("", [Finding(
            word_of(pod), f"{name} does not take it: {told}{where}",
            [Evidence(f"node/{name}", f"plug-in {plugin}", reason) for plugin, reason in verdicts],
            [*(fix for verdict in verdicts for fix in change_for(scene, pod, node, verdict)), *_settled(there)],
            {name: (", ".join(plugin for plugin, _ in verdicts), "; ".join(reason for _, reason in verdicts))},
        )])  # fmt: skip
    return Answer("", [_better(pod, name, there, decision)])


def _verdicts(scene: Scene, pod: Object, node: str, decision: Decision | None) -> list[tuple[str, str]]:
    """Every plug-in that refuses a node: the one that the decision names, and who else would."""
    first = [decision.refusals[node]] if decision is not None and node in decision.refusals else []
    if not first and decision is not None and node in decision.nodes:
        return []
    anew = scene.backstage.refusals(pod, [node]).get(node, ())
    return [*first, *(each for each in anew if not first or each[0] != first[0][0])]


def _settled(there: str) -> list[str]:
    return ["a pod that has a node keeps it: what is changed now counts for the next pod"] if there else []


def _better(pod: Object, name: str, there: str, decision: Decision | None) -> Finding:
    """Nothing spoke against the node: another one was liked better."""
    where = Evidence(word_of(pod), "spec.nodeName", there, revision_of(pod))
    if decision is None or name not in decision.nodes or there not in decision.nodes:
        return Finding(word_of(pod), f"nothing speaks against {name}; it was given to {there}, and the scores of that "
                       "decision are not kept", (where,), _settled(there))  # fmt: skip
    scores = decision.scores
    ours, theirs = decision.total(name), decision.total(there)
    verb = "was better" if theirs > ours else "was as good, and the dice chose it"
    parts = [Evidence(f"plug-in {plugin}", f"score of {name}, of {there}", f"{score}, {scores[there][plugin]}")
             for plugin, score in scores[name].items() if score != scores[there][plugin]]  # fmt: skip
    return Finding(word_of(pod), f"{there} {verb}: score {theirs}, {name} had {ours}", (where, *parts), _settled(there))


def _daemon_on(scene: Scene, daemon: Object, node: Object) -> Answer:
    name, spec = name_of(node), daemon_spec(daemon)
    own = [pod for pod in scene.items("pods", namespace_of(daemon))
           if (controller_of(pod) or {}).get("uid") == uid_of(daemon) and target_of(pod) == name]  # fmt: skip
    if own and is_true(own[0], "Ready"):
        return Answer(f"{word_of(own[0])} of {word_of(daemon)} is on {name}", ())
    if own:
        return Answer("", why(scene, own[0]))
    if should_run(spec, node).run:
        return Answer("", why(scene, daemon) or _own_words(daemon, "ready"))
    return Answer("", [_unwanted(daemon, spec, node)])


def _unwanted(daemon: Object, spec: Object, node: Object) -> Finding:
    """Why a DaemonSet leaves a node out: its labels, or a taint."""
    name = name_of(node)
    if not admits(spec, name, labels_of(node)):
        asked: Mapping[str, str] = spec.get("nodeSelector") or {}
        wanted = {key: value for key, value in asked.items() if labels_of(node).get(key) != value}
        pairs = " ".join(f"{key}={value}" for key, value in wanted.items())
        return Finding(word_of(daemon), f"it leaves {name} out: the node has not the labels that its pods ask for",
                       (seen(daemon, "spec.template.spec.nodeSelector", pairs or "nodeAffinity"),
                        Evidence(f"node/{name}", "metadata.labels", ", ".join(wanted) and f"no {pairs}")),
                       [f"kubectl label node {name} {pairs} --overwrite"] if pairs else
                       ["change spec.template.spec.affinity, or label the node as it asks"])  # fmt: skip
    taint = untolerated(get_path(node, "spec.taints") or (), spec["tolerations"], (NO_SCHEDULE, NO_EXECUTE)) or {}
    said = f"{taint['key']}={taint.get('value', '')}:{taint['effect']}".replace("=:", ":")
    return Finding(word_of(daemon), f"it leaves {name} out: its pods do not tolerate the taint {show(taint)}",
                   (seen(node, "spec.taints", said), seen(daemon, "spec.template.spec.tolerations", "none for it")),
                   (f"kubectl taint node {name} {said}-", f"or tolerate {said} in its template"))  # fmt: skip
