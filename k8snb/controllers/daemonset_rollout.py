"""daemonset-controller's decisions: which daemon pods are made and which go, node by node.

Interface: `manage`, what every DaemonSet needs; `rolling_update`, what a new template asks for besides. Both answer
`Changes`.
The rule not to break: without surge never two pods on a node, and never more unavailable than `maxUnavailable` because
of the controller; with surge an old pod goes only when the new one beside it is available.
Source: `podsShouldBeOnNode` in pkg/controller/daemon/daemon_controller.go, `rollingUpdate` in its update.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from k8snb.apimachinery.meta import Object, get_path, is_deleting
from k8snb.controllers.daemonset_nodes import Verdict
from k8snb.controllers.daemonset_status import View
from k8snb.controllers.pods import is_ready, is_terminal, node_of

Replaceable = Callable[[Object, str], bool]  # whether a pod that has ended may be replaced at once (pod, node)


@dataclass
class Changes:
    """Nodes that get a pod, and pods that go."""

    create: list[str] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.create or self.delete)


def is_rolling(owner: Object) -> bool:
    return bool(get_path(owner, "spec.updateStrategy.type", "RollingUpdate") == "RollingUpdate")


def allows_surge(owner: Object) -> bool:
    return _in_pods(_rolling(owner).get("maxSurge", 0), 100) > 0 if is_rolling(owner) else False


def _rolling(owner: Object) -> Object:
    rolling: Object = get_path(owner, "spec.updateStrategy.rollingUpdate") or {}
    return rolling


def _in_pods(amount: int | str, whole: int) -> int:
    """A number of pods, or per cent of `whole`, rounded up."""
    return -(-whole * int(amount.removesuffix("%")) // 100) if isinstance(amount, str) else amount


# the right pods on the right nodes


def manage(view: View, may_replace: Replaceable) -> Changes:
    changes = Changes()
    for node, verdict in view.verdicts.items():
        _manage_node(view, node, verdict, may_replace, changes)
    for node, pods in view.pods.items():
        if node not in view.verdicts:
            changes.delete += [pod for pod in pods if not node_of(pod) and not is_deleting(pod)]
    return changes


def _manage_node(view: View, node: str, verdict: Verdict, may_replace: Replaceable, changes: Changes) -> None:
    pods = view.pods.get(node)
    if not pods:
        changes.create += [node] if verdict.run else []
        return
    staying = [pod for pod in pods if not is_deleting(pod)]
    if not verdict.stay:
        changes.delete += staying
        return
    changes.delete += [pod for pod in staying if is_terminal(pod) and may_replace(pod, node)]
    running = [pod for pod in staying if not is_terminal(pod)]
    if not allows_surge(view.owner):
        changes.delete += running[1:]
    elif running:
        changes.delete += _surplus(view, running)
    elif verdict.run:
        changes.create.append(node)


def _surplus(view: View, running: list[Object]) -> list[Object]:
    """Of the pods on a node where surge is allowed those too many: one old and one new may be there, as long as the
    new one is not available and the old one is ready.
    """
    new = [pod for pod in running if view.is_updated(pod)]
    old = [pod for pod in running if not view.is_updated(pod)]
    surplus = [*new[1:], *old[1:]]
    if new and old and (not is_ready(old[0]) or view.is_available(new[0])):
        surplus.append(old[0])
    return surplus


# the way to a new template


def rolling_update(view: View) -> Changes:
    wanted = len(view.wanted())
    rolling = _rolling(view.owner)
    surge = _in_pods(rolling.get("maxSurge", 0), wanted)
    unavailable = _in_pods(rolling.get("maxUnavailable", 1), wanted)
    if not surge and not unavailable:
        unavailable = 1
    return _surging(view, surge) if surge else _replacing(view, unavailable)


def _replacing(view: View, most: int) -> Changes:
    """Delete old pods as far as `maxUnavailable` allows; new ones are made in their place when they have gone."""
    unavailable = 0
    broken, candidates = [], []
    for node in dict.fromkeys([*view.pods, *view.wanted()]):
        new, old = _by_template(view, node)
        if len(new) + len(old) != 1:
            unavailable += 1
        elif new:
            unavailable += not view.is_available(new[0])
        elif view.is_available(old[0]):
            candidates.append(old[0])
        else:
            broken.append(old[0])
            unavailable += 1
    return Changes(delete=[*broken, *candidates[: max(most - unavailable, 0)]])


def _surging(view: View, most: int) -> Changes:
    """Make new pods beside the old as far as `maxSurge` allows; an old one goes when its successor is available."""
    surging = available = 0
    changes = Changes()
    unwanted: list[Object] = []
    candidates: list[str] = []
    for node in dict.fromkeys([*view.pods, *view.wanted()]):
        new, old = _by_template(view, node)
        if len(new) > 1 or len(old) > 1:
            surging += 1
            continue
        available += any(map(view.is_available, old or new))
        if not old:
            continue
        if new and view.is_available(new[0]):
            changes.delete.append(old[0])
        elif new:
            surging += 1
        elif not view.verdicts.get(node, Verdict(False, False)).run:
            unwanted.append(old[0])
        else:
            (candidates if view.is_available(old[0]) else changes.create).append(node)
    changes.create += candidates[: max(most - surging, 0)]
    changes.delete += unwanted[: max(available - len(view.wanted()), 0)]
    return changes


def _by_template(view: View, node: str) -> tuple[list[Object], list[Object]]:
    """The pods of a node that stay: those of the present template, and the others."""
    staying = [pod for pod in view.pods.get(node, ()) if not is_deleting(pod)]
    return [pod for pod in staying if view.is_updated(pod)], [pod for pod in staying if not view.is_updated(pod)]
