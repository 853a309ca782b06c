"""daemonset-controller's question: on which nodes is a daemon pod to run, and on which may it stay?

Interface: pure functions: `daemon_spec`, `should_run`, `pinned_to`, `target_of`.
The rule not to break: a daemon pod is bound by the scheduler like any other; its node affinity leaves it one choice.
Source: `NodeShouldRunDaemonPod` in pkg/controller/daemon, `pkg/controller/daemon/util/daemonset_util.go`.
"""

from __future__ import annotations

from typing import NamedTuple

from k8snb.apimachinery.meta import Object, get_path, labels_of, name_of, with_path
from k8snb.apimachinery.node_selector import NAME_FIELD, REQUIRED, admits
from k8snb.apimachinery.taints import NO_EXECUTE, NO_SCHEDULE, NOT_READY, UNREACHABLE, UNSCHEDULABLE, untolerated
from k8snb.controllers.pods import node_of

NETWORK_UNAVAILABLE = "node.kubernetes.io/network-unavailable"
# (taint, effect): a daemon pod bears what its node suffers from
TOLERATED = (
    (NOT_READY, NO_EXECUTE),
    (UNREACHABLE, NO_EXECUTE),
    ("node.kubernetes.io/disk-pressure", NO_SCHEDULE),
    ("node.kubernetes.io/memory-pressure", NO_SCHEDULE),
    ("node.kubernetes.io/pid-pressure", NO_SCHEDULE),
    (UNSCHEDULABLE, NO_SCHEDULE),
)


class Verdict(NamedTuple):
    """Whether a node is to have a daemon pod, and whether one that is there may stay."""

    run: bool
    stay: bool


NEITHER, BOTH = Verdict(False, False), Verdict(True, True)


def daemon_spec(owner: Object) -> Object:
    """The spec of a DaemonSet's pods before they have a node: the template's, with the daemons' tolerations."""
    spec = owner["spec"]["template"]["spec"]
    keys = [*TOLERATED, *([(NETWORK_UNAVAILABLE, NO_SCHEDULE)] if spec.get("hostNetwork") else [])]
    tolerations = list(spec.get("tolerations") or ())
    for key, effect in keys:
        wanted = {"key": key, "operator": "Exists", "effect": effect}
        if not any(_is_same(one, wanted) for one in tolerations):
            tolerations.append(wanted)
    return {**spec, "tolerations": tolerations}


def _is_same(one: Object, wanted: Object) -> bool:
    return all(one.get(field) == wanted.get(field) for field in ("key", "operator", "effect", "value"))


def should_run(spec: Object, node: Object) -> Verdict:
    """What the pod spec (of `daemon_spec`) says about a node, its size and its load left aside."""
    name = name_of(node)
    if spec.get("nodeName", name) != name or not admits(spec, name, labels_of(node)):
        return NEITHER
    taints, tolerations = get_path(node, "spec.taints") or (), spec["tolerations"]
    if untolerated(taints, tolerations, (NO_SCHEDULE, NO_EXECUTE)) is None:
        return BOTH
    return Verdict(False, untolerated(taints, tolerations, (NO_EXECUTE,)) is None)


def pinned_to(spec: Object, node: str) -> Object:
    """The spec with a required node affinity for this one node, in the place of what led to it."""
    term = {"matchFields": [{"key": NAME_FIELD, "operator": "In", "values": [node]}]}
    return with_path(spec, f"affinity.nodeAffinity.{REQUIRED}", {"nodeSelectorTerms": [term]})


def target_of(pod: Object) -> str:
    """The node that a daemon pod runs on or is meant for; "" when it says none."""
    if node := node_of(pod):
        return node
    for term in get_path(pod, f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            values = field.get("values") or []
            if field["key"] == NAME_FIELD and field["operator"] == "In" and len(values) == 1:
                return str(values[0])
    return ""


def what_counts(node: Object | None) -> object:
    """All of a node that `should_run` looks at."""
    return node and (node["metadata"].get("labels"), get_path(node, "spec.taints"))
