"""Why a pod has no node: for each node the plug-in that refuses it, and the smallest change that would let it in.

Interface: `DIAGNOSES`; `change_for(scene, pod, node, plugin) -> [fix]`.
The rule not to break: as in `why`; the verdicts are the scheduler's own.
Source: the plug-ins' reasons, `pkg/scheduler/framework/plugins` in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from k8snb.apimachinery.meta import Object, condition, get_path, labels_of, name_of, namespace_of, uid_of
from k8snb.apimachinery.node_selector import REQUIRED
from k8snb.apimachinery.pod_resources import requests
from k8snb.apimachinery.quantity import NANO, Quantity, parse
from k8snb.apimachinery.taints import NO_EXECUTE, NO_SCHEDULE, untolerated
from k8snb.scheduler.decision import Decision
from k8snb.story.owners import owner_of, patch_template, settable
from k8snb.story.why import Diagnosis, Evidence, Finding, Scene, claims_of, is_command, patch, seen, why, word_of
from k8snb.story.why_storage import claim_manifest

NONE = Quantity(0)
SCHEDULER = "kube-scheduler"
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
GIB = 1024**3
Fix = Callable[[Scene, Object, Object], Iterator[str]]


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
    by_node = _changes(scene, pod, decision)
    return Finding(
        word_of(pod), f"no node takes it: {decision.message}",
        (Evidence(word_of(pod), "status.conditions[PodScheduled]", told.get("message", "")),),
        _fixes(decision, by_node) or list(_claims(scene, pod, {})),
        {**{node: decision.refusals[node] for node in by_node}, **decision.refusals},
        {node: found[0] for node, found in by_node.items() if found},
    )  # fmt: skip


def _fixes(decision: Decision, by_node: Mapping[str, list[str]]) -> list[str]:
    """All commands, those first that concern most pods of this sort; of advice, what the first node of each plug-in
    brings."""
    order = list(_FIXES)
    ranked = sorted(by_node, key=lambda node: order.index(decision.refusals[node][0]))
    first = {decision.refusals[node][0]: node for node in reversed(ranked)}
    commands = [fix for node in ranked for fix in by_node[node] if is_command(fix)]
    advice = [fix for node in ranked if node in first.values() for fix in by_node[node] if not is_command(fix)]
    return list(dict.fromkeys([*commands, *advice]))


def _changes(scene: Scene, pod: Object, decision: Decision) -> dict[str, list[str]]:
    """For each node what would let the pod in, the workers first."""
    nodes = {name_of(node): node for node in scene.items("nodes")}
    known = [name for name, (plugin, _) in decision.refusals.items() if plugin in _FIXES and name in nodes]
    known.sort(key=lambda name: CONTROL_PLANE in labels_of(nodes[name]))
    return {name: change_for(scene, pod, nodes[name], decision.refusals[name][0]) for name in known}


def change_for(scene: Scene, pod: Object, node: Object, plugin: str) -> list[str]:
    """What would undo a plug-in's refusal of a node."""
    fix = _FIXES.get(plugin)
    return list(fix(scene, pod, node)) if fix is not None else []


def _less(scene: Scene, pod: Object, node: Object) -> Iterator[str]:
    """Ask for no more than the node has left, or add a machine on which there is room."""
    lacking = {resource: free for resource, amount in requests(pod).items()
               if (free := _free(scene, node, resource)) < amount}  # fmt: skip
    yield from _smaller(pod, lacking)
    yield _machine(pod, lacking)
    for resource, free in lacking.items():
        left = max(free, Quantity(0, free.format))
        yield (f"ask for at most {resource}={left}, what {name_of(node)} has left (it asks for "
               f"{requests(pod)[resource]}), or free some there")  # fmt: skip


def _smaller(pod: Object, lacking: Mapping[str, Quantity]) -> Iterator[str]:
    """The owner's template with less in the container that asks for most, where that is enough."""
    for resource, free in lacking.items():
        own = {container["name"]: parse(get_path(container, "resources.requests", {}).get(resource, "0"))
               for container in pod["spec"]["containers"]}  # fmt: skip
        largest = max(own, key=lambda name: own[name])
        left = own[largest] - (requests(pod)[resource] - free)
        if owner_of(pod) is not None and left > NONE:
            yield f"kubectl set resources {settable(pod)} -c {largest} --requests={resource}={left}"


def _machine(pod: Object, lacking: Mapping[str, Quantity]) -> str:
    """`%kcluster node add`, as large as it takes, with some room for what every node runs."""
    sizes = ""
    if "cpu" in lacking:
        sizes += f" --cpus {-(-requests(pod)['cpu'].nanos // NANO) + 1}"
    if "memory" in lacking:
        sizes += f" --memory {-(-requests(pod)['memory'].value // GIB) + 1}g"
    return f"%kcluster node add{sizes}"


def _free(scene: Scene, node: Object, resource: str) -> Quantity:
    """What nobody has asked for of a node's resource."""
    there = parse(get_path(node, "status.allocatable", {}).get(resource, "0"))
    return there - scene.used(name_of(node)).get(resource, NONE)


def _tolerate(scene: Scene, pod: Object, node: Object) -> Iterator[str]:
    tolerations = get_path(pod, "spec.tolerations") or ()
    for taint in get_path(node, "spec.taints") or ():
        shown = f"{taint['key']}={taint.get('value', '')}:{taint['effect']}".replace("=:", ":")
        if untolerated([taint], tolerations, (NO_SCHEDULE, NO_EXECUTE)) is None:
            continue
        if taint["key"].startswith("node.kubernetes.io/"):
            yield from (fix for finding in why(scene, node) for fix in finding.fixes)
        else:
            yield f"kubectl taint node {name_of(node)} {shown}-"
            yield f"tolerate {shown} in the pod's spec.tolerations"


def _label(scene: Scene, pod: Object, node: Object) -> Iterator[str]:
    """The labels that the node lacks, where it is labels that are asked for."""
    wanted = {**(get_path(pod, "spec.nodeSelector") or {}), **_affinity_labels(pod)}
    lacking = {key: value for key, value in wanted.items() if labels_of(node).get(key) != value}
    if lacking:
        pairs = " ".join(f"{key}={value}" for key, value in lacking.items())
        overwrite = " --overwrite" if lacking.keys() & labels_of(node).keys() else ""
        yield f"kubectl label node {name_of(node)} {pairs}{overwrite}"
    yield "or change spec.nodeSelector or spec.affinity.nodeAffinity of what makes the pod"


def _affinity_labels(pod: Object) -> dict[str, str]:
    """Labels that meet the first term of a required node affinity."""
    terms = get_path(pod, f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms") or ()
    found = {}
    for each in (terms[0].get("matchExpressions") or ()) if terms else ():
        if each["operator"] in ("In", "Exists"):
            found[each["key"]] = (each.get("values") or ["true"])[0]
    return found


def _uncordon(scene: Scene, pod: Object, node: Object) -> Iterator[str]:
    yield f"kubectl uncordon {name_of(node)}"


def _claims(scene: Scene, pod: Object, node: Object) -> Iterator[str]:
    """What the claims lack that the pod mounts."""
    for name in claims_of(pod):
        claim = scene.find("persistentvolumeclaims", name, namespace_of(pod))
        if claim is None:
            yield claim_manifest(name, namespace_of(pod))
        else:
            yield from (fix for finding in why(scene, claim) for fix in finding.fixes)


def _another_node(scene: Scene, pod: Object, node: Object) -> Iterator[str]:
    """What one machine has only once: a port of its own, or a place beside no pod of some sort."""
    yield "%kcluster node add"


_FIXES: Mapping[str, Fix] = {
    "NodeResourcesFit": _less,
    "NodeUnschedulable": _uncordon,
    "NodeAffinity": _label,
    "VolumeBinding": _claims,
    "NodePorts": _another_node,
    "InterPodAffinity": _another_node,
    "TaintToleration": _tolerate,
}

DIAGNOSES: Mapping[str, tuple[Diagnosis, ...]] = {"Pod": (unscheduled,)}
