"""Why a pod has no node: for each node the plug-ins that refuse it, and the smallest change that would let it in.

Interface: `DIAGNOSES`.
The rule not to break: as in `why`; the verdicts are the scheduler's own. The scheduler ends with the first plug-in that
refuses a node; what stands in the pod's way after that one is asked for here, so that a change is enough.
Source: the plug-ins' reasons, `pkg/scheduler/framework/plugins` in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from k8snb.apimachinery.meta import Object, condition, get_path, labels_of, name_of, uid_of
from k8snb.scheduler.decision import Decision
from k8snb.story.owners import patch_template
from k8snb.story.why import Diagnosis, Evidence, Finding, Scene, is_command, patch, seen, word_of
from k8snb.story.why_placement import ORDER, change_for, missing_claims

SCHEDULER = "kube-scheduler"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
LOOKED_AT = 40  # nodes for which a change is looked for, the workers first
Refusals = Mapping[str, tuple[tuple[str, str], ...]]  # by node: each plug-in that refuses it, and its reason


def unscheduled(scene: Scene, pod: Object) -> Iterator[Finding]:
    if get_path(pod, "spec.nodeName") or get_path(pod, "status.phase") != "Pending":
        return
    gates = [gate["name"] for gate in get_path(pod, "spec.schedulingGates") or ()]
    if gates:
        names = ", ".join(gates)
        yield Finding(word_of(pod), f"it is not to be scheduled before its gate {names} is taken off",
                      (seen(pod, "spec.schedulingGates", names),),
                      (patch(pod, [{"op": "remove", "path": "/spec/schedulingGates"}]),))  # fmt: skip
        return
    decision = scene.decision_of(uid_of(pod))
    told = condition(pod, "PodScheduled") or {}
    if decision is None and told.get("reason") == "Unschedulable":
        yield Finding(word_of(pod), f"no node takes it: {told['message']}",
                      (Evidence(word_of(pod), "status.conditions[PodScheduled]", told["message"]),),
                      ("compare it with what each node has left, its taints and labels: "
                       "kubectl describe nodes",))  # fmt: skip
    elif decision is None:
        yield _nobody_looked(scene, pod)
    elif not decision.node:
        yield _no_node(scene, pod, decision)


def _nobody_looked(scene: Scene, pod: Object) -> Finding:
    """There is no decision: whose business it would be to make one, and why they do not."""
    name = get_path(pod, "spec.schedulerName", "default-scheduler")
    back, evidence = scene.backstage, [seen(pod, "spec.schedulerName", name)]
    if back.paused():
        return Finding(word_of(pod), "no scheduler has looked for a node for it: the cluster is paused", evidence,
                       ("%kclock run",))  # fmt: skip
    known = back.schedulers()
    if known and name not in known:
        fact = f'no scheduler has looked for a node for it: none has the name "{name}", only {", ".join(known)}'
        change = patch_template(pod, {"schedulerName": known[0]})
        advice = ("a scheduler's name is settled when a pod is made: delete the pod and make it without "
                  f"spec.schedulerName, or do its work in Python: cluster.bind('{name_of(pod)}', NODE)")  # fmt: skip
        return Finding(word_of(pod), fact, evidence, [*change, advice])
    if SCHEDULER in back.stopped():
        told = Evidence(f"component {SCHEDULER}", "state", "Stopped")
        return Finding(word_of(pod), f"no scheduler has looked for a node for it: {SCHEDULER} is stopped",
                       [told, *evidence], (f"%kcluster component start {SCHEDULER}",))  # fmt: skip
    advice = "is there a scheduler of that name, and does it run? %kcluster component list says so"
    return Finding(word_of(pod), "no scheduler has looked for a node for it yet", evidence, (advice,))


def _no_node(scene: Scene, pod: Object, decision: Decision) -> Finding:
    told = condition(pod, "PodScheduled") or {}
    refusals = _refusals(scene, pod, decision)
    by_node = _changes(scene, pod, refusals)
    return Finding(
        word_of(pod), f"no node takes it: {decision.message}",
        (Evidence(word_of(pod), "status.conditions[PodScheduled]", told.get("message", "")),),
        _fixes(refusals, by_node) or missing_claims(scene, pod),
        {**{node: _joined(verdicts) for node, verdicts in refusals.items()},
         **{node: verdict for node, verdict in decision.refusals.items() if node not in refusals}},
        {node: _smallest(found) for node, found in by_node.items() if all(found)},
    )  # fmt: skip


def _refusals(scene: Scene, pod: Object, decision: Decision) -> Refusals:
    """The scheduler's verdicts, and behind each what else would refuse the node; the workers first, those first that
    lack least."""
    nodes = {name_of(node): node for node in scene.items("nodes")}
    known = sorted((name for name in decision.refusals if name in nodes),
                   key=lambda name: CONTROL_PLANE in labels_of(nodes[name]))[:LOOKED_AT]  # fmt: skip
    anew = scene.backstage.refusals(pod, known)
    found = {name: (decision.refusals[name], *anew.get(name, ())) for name in known}
    verdicts = {name: tuple(sorted(dict(reversed(each)).items(), key=_order)) for name, each in found.items()}
    ranked = sorted(known, key=lambda name: (CONTROL_PLANE in labels_of(nodes[name]), len(verdicts[name]),
                                             _order(verdicts[name][0])))  # fmt: skip
    return {name: verdicts[name] for name in ranked}


def _order(verdict: tuple[str, str]) -> int:
    return ORDER.get(verdict[0], len(ORDER))


def _joined(verdicts: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    return ", ".join(plugin for plugin, _ in verdicts), "; ".join(reason for _, reason in verdicts)


def _smallest(found: list[list[str]]) -> list[str]:
    """One step for each plug-in. A machine more is a step of its own: nothing is changed for this one then."""
    if len(found) == 1:
        return [found[0][0]]
    return [next((fix for fix in fixes if not fix.startswith("%kcluster")), fixes[0]) for fixes in found]


def _changes(scene: Scene, pod: Object, refusals: Refusals) -> dict[str, list[list[str]]]:
    """For each node, and each plug-in that refuses it, what would undo that."""
    nodes = {name_of(node): node for node in scene.items("nodes")}
    return {name: [change_for(scene, pod, nodes[name], verdict) for verdict in verdicts]
            for name, verdicts in refusals.items()}  # fmt: skip


def _fixes(refusals: Refusals, by_node: Mapping[str, list[list[str]]]) -> list[str]:
    """All commands, node by node, of those nodes that commands alone would open; of advice, what the first node of each
    plug-in brings."""
    opened = [found for node, found in by_node.items()
              if all(any(map(is_command, fixes)) for fixes in found) and not _is_farther(node, refusals)]  # fmt: skip
    commands = [fix for found in opened for fixes in found for fix in fixes if is_command(fix)]
    first: dict[str, list[str]] = {}
    for node, found in by_node.items():
        for (plugin, _), fixes in zip(refusals[node], found, strict=True):
            first.setdefault(plugin, [fix for fix in fixes if not is_command(fix)])
    return list(dict.fromkeys([*commands, *(fix for advice in first.values() for fix in advice)]))


def _is_farther(node: str, refusals: Refusals) -> bool:
    """Whether another node is refused for a part of the same reasons, and would take the pod sooner."""
    own = {plugin for plugin, _ in refusals[node]}
    return any({plugin for plugin, _ in others} < own for others in refusals.values())


DIAGNOSES: Mapping[str, tuple[Diagnosis, ...]] = {"Pod": (unscheduled,)}
