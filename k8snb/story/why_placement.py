"""Why a node would take a pod if something were changed: for a plug-in's refusal the smallest change that undoes it.

Interface: `change_for(scene, pod, node, (plug-in, reason)) -> [fix]`, the smallest change first, none where none is
known; `ORDER`, which plug-ins' refusals are the easiest to undo; `missing_claims(scene, pod)`.
The rule not to break: as in `why`: a command mends what it is told for, on the node that it is told for.
Source: the plug-ins' reasons, `pkg/scheduler/framework/plugins` in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from k8snb.apimachinery.meta import Object, get_path, labels_of, name_of, namespace_of
from k8snb.apimachinery.node_selector import REQUIRED
from k8snb.apimachinery.pod_resources import requests
from k8snb.apimachinery.quantity import NANO, Quantity, parse
from k8snb.apimachinery.selectors import Requirement, from_label_selector
from k8snb.apimachinery.taints import NO_EXECUTE, NO_SCHEDULE, untolerated
from k8snb.story.owners import is_of_job, owner_of, patch_template, settable
from k8snb.story.why import Scene, claims_of, why
from k8snb.story.why_storage import claim_manifest

NONE = Quantity(0)
GIB = 1024**3
HOSTNAME = "kubernetes.io/hostname"
BUILT_IN = (HOSTNAME, "kubernetes.io/os", "kubernetes.io/arch")  # labels that a kubelet sets, and sets again
Verdict = tuple[str, str]
Fix = Callable[[Scene, Object, Object, str], Iterator[str]]


def change_for(scene: Scene, pod: Object, node: Object, verdict: Verdict) -> list[str]:
    """What would undo a plug-in's refusal of a node."""
    plugin, reason = verdict
    fix = _FIXES.get(plugin)
    return list(fix(scene, pod, node, reason)) if fix is not None else []


def _less(scene: Scene, pod: Object, node: Object, reason: str) -> Iterator[str]:
    """Ask for no more than the node has left, or add a machine on which there is room."""
    lacking = {resource: free for resource, amount in requests(pod).items()
               if (free := _free(scene, node, resource)) < amount}  # fmt: skip
    yield from _smaller(pod, lacking)
    yield _machine(pod, lacking)
    shares = [f"{resource}={max(free, Quantity(0, free.format))}" for resource, free in lacking.items()]
    if shares:
        asked = ", ".join(f"{resource}={requests(pod)[resource]}" for resource in lacking)
        yield (f"ask for at most {', '.join(shares)}, what {name_of(node)} has left (it asks for {asked}), or free "
               "some there")  # fmt: skip


def _smaller(pod: Object, lacking: Mapping[str, Quantity]) -> Iterator[str]:
    """The owner's template with less of all that is lacking, in the containers that ask for most, where that is
    enough."""
    wanted: dict[str, list[str]] = {}
    for resource, free in lacking.items():
        own = {container["name"]: parse(get_path(container, "resources.requests", {}).get(resource, "0"))
               for container in pod["spec"]["containers"]}  # fmt: skip
        largest = max(own, key=lambda name: own[name])
        left = own[largest] - (requests(pod)[resource] - free)
        if owner_of(pod) is None or is_of_job(pod) or left <= NONE:
            return
        wanted.setdefault(largest, []).append(f"{resource}={left}")
    for container, shares in wanted.items():
        yield f"kubectl set resources {settable(pod)} -c {container} --requests={','.join(shares)}"


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


def _tolerate(scene: Scene, pod: Object, node: Object, reason: str) -> Iterator[str]:
    """Take off all taints that keep the pod away: one less would not let it in."""
    tolerations = get_path(pod, "spec.tolerations") or ()
    against = [taint for taint in get_path(node, "spec.taints") or ()
               if untolerated([taint], tolerations, (NO_SCHEDULE, NO_EXECUTE)) is not None]  # fmt: skip
    placed = [taint for taint in against if not taint["key"].startswith("node.kubernetes.io/")]
    if len(placed) < len(against):
        yield from (fix for finding in why(scene, node) for fix in finding.fixes)
    shown = [f"{taint['key']}={taint.get('value', '')}:{taint['effect']}".replace("=:", ":") for taint in placed]
    if shown:
        yield f"kubectl taint node {name_of(node)} {' '.join(f'{each}-' for each in shown)}"
        yield f"tolerate {', '.join(shown)} in the pod's spec.tolerations"


def _label(scene: Scene, pod: Object, node: Object, reason: str) -> Iterator[str]:
    """The labels that the node lacks, or has and should not, where a label is all that it takes."""
    labels = labels_of(node)
    wanted: Mapping[str, str] = get_path(pod, "spec.nodeSelector") or {}
    asked = [*(Requirement(key, "=", (value,)) for key, value in wanted.items()), *_first_term(pod)]
    failing = [each for each in asked if not each.matches(labels)]
    if failing and not any(each.key in BUILT_IN for each in failing):
        changes = [_met(each) for each in failing]
        overwrite = " --overwrite" if any(each.key in labels for each in failing if each.operator not in ABSENT) else ""
        yield f"kubectl label node {name_of(node)} {' '.join(dict.fromkeys(changes))}{overwrite}"
    yield "change spec.nodeSelector or spec.affinity.nodeAffinity of what makes the pod"


ABSENT = ("!", "notin", "!=")  # operators that a node without the label meets


def _met(requirement: Requirement) -> str:
    """What `kubectl label` is told, so that a node meets a requirement."""
    key, operator, values = requirement
    if operator in ABSENT:
        return f"{key}-"
    if operator in ("gt", "lt"):
        return f"{key}={int(values[0]) + (1 if operator == 'gt' else -1)}"
    return f"{key}={values[0] if values else 'true'}"


def _first_term(pod: Object) -> tuple[Requirement, ...]:
    """What the first term of a required node affinity asks of a node's labels."""
    terms = get_path(pod, f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms") or ()
    expressions = (terms[0].get("matchExpressions") or ()) if terms else ()
    return from_label_selector({"matchExpressions": expressions}).requirements


def _uncordon(scene: Scene, pod: Object, node: Object, reason: str) -> Iterator[str]:
    yield f"kubectl uncordon {name_of(node)}"


def _claims(scene: Scene, pod: Object, node: Object, reason: str) -> Iterator[str]:
    """What the claims lack that the pod mounts."""
    for name in claims_of(pod):
        claim = scene.find("persistentvolumeclaims", name, namespace_of(pod))
        if claim is None:
            yield claim_manifest(name, namespace_of(pod))
        else:
            yield from (fix for finding in why(scene, claim) for fix in finding.fixes)


def missing_claims(scene: Scene, pod: Object) -> list[str]:
    """What makes the claims that a pod mounts, or lets them be bound."""
    return list(_claims(scene, pod, {}, ""))


def _another_node(scene: Scene, pod: Object, node: Object, reason: str) -> Iterator[str]:
    """What one machine has only once: a port of its own."""
    yield "%kcluster node add"


# beside other pods


def _company(scene: Scene, pod: Object, node: Object, reason: str) -> Iterator[str]:
    """Near whom it wants to be, or far from whom: a machine more is far from everybody, and near nobody."""
    if "anti-affinity" in reason:
        keys = [term["topologyKey"] for term in _terms(pod, "podAntiAffinity")]
        if all(key == HOSTNAME for key in keys):
            yield "%kcluster node add"
        else:
            yield f"add a node, %kcluster node add, with another value of the label {', '.join(keys)}"
        return
    for term in _terms(pod, "podAffinity"):
        key, selector = term["topologyKey"], from_label_selector(term.get("labelSelector"))
        lacks = f" ({name_of(node)} has no label {key})" if key not in labels_of(node) else ""
        yield (f"have a pod with {selector} run where {key} is the same{lacks}: %kselect '{selector}' shows who is, or "
               "nearly is, one")  # fmt: skip


def _terms(pod: Object, sort: str) -> list[Object]:
    return list(get_path(pod, f"spec.affinity.{sort}.{REQUIRED}") or ())


def _spread(scene: Scene, pod: Object, node: Object, reason: str) -> Iterator[str]:
    """A node without the label that is spread over gets one; where the rest is fuller, the rule becomes a wish."""
    rules = [rule for rule in get_path(pod, "spec.topologySpreadConstraints") or ()
             if rule.get("whenUnsatisfiable") == "DoNotSchedule"]  # fmt: skip
    lacking = [rule["topologyKey"] for rule in rules if rule["topologyKey"] not in labels_of(node)]
    if lacking:
        yield f"kubectl label node {name_of(node)} {' '.join(f'{key}={name_of(node)}' for key in lacking)}"
        return
    if rules and all(rule["topologyKey"] == HOSTNAME for rule in rules):
        yield "%kcluster node add"
    wishes = [{**rule, "whenUnsatisfiable": "ScheduleAnyway"} for rule in rules]
    yield from patch_template(pod, {"topologySpreadConstraints": wishes})
    yield "make room where there are fewer of them, or raise maxSkew"


_FIXES: Mapping[str, Fix] = {
    "NodeResourcesFit": _less,
    "NodeUnschedulable": _uncordon,
    "NodeAffinity": _label,
    "VolumeBinding": _claims,
    "VolumeRestrictions": _claims,
    "NodePorts": _another_node,
    "InterPodAffinity": _company,
    "PodTopologySpread": _spread,
    "TaintToleration": _tolerate,
}
ORDER: Mapping[str, int] = {plugin: at for at, plugin in enumerate(_FIXES)}
