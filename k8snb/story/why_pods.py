"""Why a pod does not run: no node, no image, no configuration, a program that ends, a probe that fails.

Interface: `DIAGNOSES`.
The rule not to break: as in `why`.
Source: the reasons that kube-scheduler and kubelet write (`pkg/kubelet/images`, `pkg/kubelet/kuberuntime`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from k8snb.apimachinery.meta import Object, condition, get_path, name_of, namespace_of, uid_of
from k8snb.apimachinery.pod_resources import requests
from k8snb.apimachinery.quantity import Quantity, parse
from k8snb.scheduler.decision import Decision
from k8snb.story.why import Diagnosis, Evidence, Finding, Scene, event_evidence, field, word_of

PULLING = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
CONFIGURING = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
OVER = ("Succeeded", "Failed")
NONE = Quantity(0)
STATUSES = ("initContainerStatuses", "containerStatuses")


def unscheduled(scene: Scene, pod: Object) -> Iterator[Finding]:
    if get_path(pod, "spec.nodeName") or get_path(pod, "status.phase") != "Pending":
        return
    gates = [gate["name"] for gate in get_path(pod, "spec.schedulingGates") or ()]
    if gates:
        names = ", ".join(gates)
        yield Finding(word_of(pod), f"it is not to be scheduled before its gate {names} is taken off",
                      (field(pod, "spec.schedulingGates", names),),
                      (f"kubectl edit {word_of(pod)}: remove spec.schedulingGates",))  # fmt: skip
        return
    decision = scene.decision_of(uid_of(pod))
    if decision is None:
        yield Finding(word_of(pod), "no scheduler has looked for a node for it",
                      (field(pod, "spec.schedulerName"),),
                      ("is there a scheduler of that name, and does it run? %kcluster component list",))  # fmt: skip
    elif not decision.node:
        told = condition(pod, "PodScheduled") or {}
        yield Finding(word_of(pod), f"no node takes it: {decision.message}",
                      (Evidence(word_of(pod), "status.conditions[PodScheduled]", told.get("message", "")),),
                      _room(scene, pod, decision), decision.refusals)  # fmt: skip


def _room(scene: Scene, pod: Object, decision: Decision) -> list[str]:
    """For each sort of refusal the smallest change that would undo it on some node."""
    nodes = {name_of(node): node for node in scene.items("nodes")}
    fixes: list[str] = []
    for plugin, fix in _FIXES.items():
        refused = [nodes[name] for name, (by, _) in decision.refusals.items() if by == plugin and name in nodes]
        if refused:
            fixes += [text for text in fix(scene, pod, refused) if text not in fixes]
    return fixes


def _less(scene: Scene, pod: Object, nodes: list[Object]) -> Iterator[str]:
    """What the roomiest node has left of that which is asked for too much of."""
    for resource, amount in requests(pod).items():
        free = {name_of(node): _free(scene, node, resource) for node in nodes}
        most = max(free, key=lambda name: free[name])
        if free[most] < amount:
            left = max(free[most], Quantity(0, amount.format))
            yield (f"ask for at most {resource}={left}, what {most} has left (it asks for {amount}), or free some "
                   "there, or add a node: %kcluster node add")  # fmt: skip


def _free(scene: Scene, node: Object, resource: str) -> Quantity:
    """What nobody has asked for of a node's resource."""
    left = parse(get_path(node, "status.allocatable", {}).get(resource, "0"))
    for pod in scene.items("pods"):
        if get_path(pod, "spec.nodeName") == name_of(node) and get_path(pod, "status.phase") not in OVER:
            left -= requests(pod).get(resource, NONE)
    return left


def _tolerate(scene: Scene, pod: Object, nodes: list[Object]) -> Iterator[str]:
    for node in nodes:
        for taint in get_path(node, "spec.taints") or ():
            shown = f"{taint['key']}={taint.get('value', '')}:{taint['effect']}".replace("=:", ":")
            if taint["key"].startswith("node.kubernetes.io/"):
                yield f"{name_of(node)} is not well ({taint['key']}): kubectl describe node {name_of(node)}"
            else:
                yield f"kubectl taint node {name_of(node)} {shown}-, or tolerate {shown} in the pod's spec.tolerations"


def _label(scene: Scene, pod: Object, nodes: list[Object]) -> Iterator[str]:
    wanted = get_path(pod, "spec.nodeSelector") or {}
    if wanted:
        labels = " ".join(f"{key}={value}" for key, value in wanted.items())
        yield f"kubectl label node {name_of(nodes[0])} {labels}, or change spec.nodeSelector"
    else:
        yield "change spec.affinity.nodeAffinity, or label a node as it asks"


def _uncordon(scene: Scene, pod: Object, nodes: list[Object]) -> Iterator[str]:
    for node in nodes:
        yield f"kubectl uncordon {name_of(node)}"


def _bind(scene: Scene, pod: Object, nodes: list[Object]) -> Iterator[str]:
    for volume in get_path(pod, "spec.volumes") or ():
        claim = get_path(volume, "persistentVolumeClaim.claimName")
        if claim:
            yield f"%kwhy pvc/{claim} -n {namespace_of(pod)}"


_FIXES: Mapping[str, Callable[[Scene, Object, list[Object]], Iterator[str]]] = {
    "NodeResourcesFit": _less,
    "TaintToleration": _tolerate,
    "NodeAffinity": _label,
    "NodeUnschedulable": _uncordon,
    "VolumeBinding": _bind,
}


def containers(scene: Scene, pod: Object) -> Iterator[Finding]:
    for status in (entry for part in STATUSES for entry in get_path(pod, f"status.{part}") or ()):
        waiting = get_path(status, "state.waiting") or {}
        reason = waiting.get("reason", "")
        if reason in PULLING:
            yield _image(scene, pod, status, waiting)
        elif reason in CONFIGURING:
            yield _configuration(pod, status, waiting)
        elif reason == "CrashLoopBackOff" or get_path(status, "state.terminated.exitCode"):
            yield _crash(scene, pod, status)


def _place(status: Object, rest: str) -> str:
    return f"status.containerStatuses[{status['name']}].{rest}"


def _image(scene: Scene, pod: Object, status: Object, waiting: Object) -> Finding:
    events = [event for event in scene.events(pod, "Failed") if "pull" in event["message"].lower()]
    said = [event_evidence(event) for event in events[:1]]
    image = status["image"]
    return Finding(
        word_of(pod), f'the image "{image}" of container "{status["name"]}" cannot be pulled',
        (Evidence(word_of(pod), _place(status, "state.waiting"), waiting.get("message", "")), *said),
        (f"kubectl set image {_settable(pod)} {status['name']}=IMAGE with a name that is right, or see that the "
         "registry answers and the pod has its imagePullSecrets",),
    )  # fmt: skip


def _settable(pod: Object) -> str:
    """What `set image` is to be asked for: a pod's image may change, that of a controller's pod changes there."""
    owner = next(iter(pod["metadata"].get("ownerReferences") or ()), None)
    if owner is None:
        return word_of(pod)
    kind, name = owner["kind"].lower(), owner["name"]
    return f"deployment/{name.rpartition('-')[0]}" if kind == "replicaset" else f"{kind}/{name}"


def _configuration(pod: Object, status: Object, waiting: Object) -> Finding:
    return Finding(
        word_of(pod), f'container "{status["name"]}" cannot be made: {waiting.get("message", "")}',
        (Evidence(word_of(pod), _place(status, "state.waiting"), waiting.get("message", "")),),
        ("create what the message names, or make the reference optional; the kubelet tries again by itself",),
    )  # fmt: skip


def _crash(scene: Scene, pod: Object, status: Object) -> Finding:
    ended = get_path(status, "lastState.terminated") or get_path(status, "state.terminated") or {}
    code, reason = ended.get("exitCode"), ended.get("reason", "")
    previous = bool(get_path(status, "lastState.terminated"))
    tail = scene.log_tail(pod, status["name"], previous=previous)
    evidence = [Evidence(word_of(pod), _place(status, "lastState.terminated"), f"{reason}, exit code {code}")]
    evidence += [Evidence(word_of(pod), f"log of {status['name']}", line) for line in tail]
    fact = f'the program of container "{status["name"]}" ends with exit code {code}'
    if reason == "OOMKilled":
        fact = f'container "{status["name"]}" used more memory than its limit and was killed'
    restarts = status.get("restartCount", 0)
    flag = " --previous" if previous else ""
    return Finding(
        word_of(pod), f"{fact}" + (f", {restarts} times by now" if restarts > 1 else ""), evidence,
        (f"kubectl logs {name_of(pod)} -c {status['name']}{flag} says more; then change its command, its configuration "
         "or its image",) if reason != "OOMKilled" else
        (f"kubectl set resources {_settable(pod)} -c {status['name']} --limits=memory=MORE",),
    )  # fmt: skip


def not_ready(scene: Scene, pod: Object) -> Iterator[Finding]:
    """It runs, and a probe or a readiness gate says no."""
    ready = condition(pod, "Ready") or {}
    if get_path(pod, "status.phase") != "Running" or ready.get("status") != "False":
        return
    for event in scene.events(pod, "Unhealthy")[:1]:
        yield Finding(
            word_of(pod), "it runs and is not ready: a probe fails",
            (Evidence(word_of(pod), "status.conditions[Ready]", ready.get("reason", "")), event_evidence(event)),
            ("see that the program answers where the probe asks: kubectl describe pod, line Readiness",),
        )  # fmt: skip
    for gate in get_path(pod, "spec.readinessGates") or ():
        if (condition(pod, gate["conditionType"]) or {}).get("status") != "True":
            yield Finding(word_of(pod), f"it waits for its readiness gate {gate['conditionType']}",
                          (field(pod, "spec.readinessGates", gate["conditionType"]),),
                          ("somebody has to set that condition of its status to True",))  # fmt: skip


DIAGNOSES: Mapping[str, tuple[Diagnosis, ...]] = {"Pod": (unscheduled, containers, not_ready)}
