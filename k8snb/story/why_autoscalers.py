"""Why an autoscaler does nothing: nothing to scale, nothing to measure, or a bound that it has reached.

Interface: `autoscaler(scene, obj)`.
The rule not to break: as in `why`; an autoscaler says itself what it lacks, in its conditions.
Source: `pkg/controller/podautoscaler/horizontal.go`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from k8snb.apimachinery.meta import Object, condition, get_path, name_of, namespace_of
from k8snb.story.why import Evidence, Finding, Scene, patch, seen, why, word_of

OTHER_METRICS = ("custom metrics API", "external metrics API")


def autoscaler(scene: Scene, obj: Object) -> Iterator[Finding]:
    for sort in ("AbleToScale", "ScalingActive"):
        entry = condition(obj, sort) or {}
        if entry.get("status") == "False" and entry.get("reason") != "ScalingDisabled":
            yield Finding(word_of(obj), f"it does nothing: {entry['message']}",
                          (Evidence(word_of(obj), f"status.conditions[{sort}]", entry["reason"]),),
                          list(_about(scene, obj, entry["message"])))  # fmt: skip
        elif entry.get("status") == "False":
            yield Finding(word_of(obj), f"it does nothing: {entry['message']}",
                          (Evidence(word_of(obj), f"status.conditions[{sort}]", entry["reason"]),),
                          (f"kubectl scale {_target(obj)} --replicas=1",))  # fmt: skip
    limited = condition(obj, "ScalingLimited") or {}
    if limited.get("status") == "True" and limited.get("reason") == "TooManyReplicas":
        most = get_path(obj, "spec.maxReplicas", 1)
        yield Finding(word_of(obj), f"it would go further, but for spec.maxReplicas: {limited['message']}",
                      (seen(obj, "spec.maxReplicas"),), (patch(obj, {"spec": {"maxReplicas": 2 * most}}),))  # fmt: skip


def _target(obj: Object) -> str:
    """`deployment/web -n team`, as kubectl is asked about it."""
    target, namespace = obj["spec"]["scaleTargetRef"], namespace_of(obj)
    flag = f" -n {namespace}" if namespace not in ("", "default") else ""
    return f"{target['kind'].lower()}/{target['name']}{flag}"


def _about(scene: Scene, obj: Object, message: str) -> Iterator[str]:
    """What would give it what it lacks."""
    if "missing request" in message:
        resource = message.partition("missing request for ")[2].split(" ")[0] or "cpu"
        container = message.partition("in container ")[2].split(" ")[0]
        only = f" -c {container}" if container else ""
        amount = "100m" if resource == "cpu" else "128Mi"
        yield f"kubectl set resources {_target(obj)}{only} --requests={resource}={amount}"
        yield "the share is one of what the containers request: give them a request that fits"
    elif "no matches for kind" in message:
        yield from _other_kind(scene, obj)
    elif "not found" in message and "pods.metrics.k8s.io" not in message and _target_is_missing(scene, obj):
        yield from _other_target(scene, obj)
        yield f"or make {_target(obj)}"
    elif any(api in message for api in OTHER_METRICS):
        yield "have the metric served, as an adapter does; cluster.add_metric does it here; or scale by cpu or memory"
    elif "no metrics returned" in message and (reasons := _of_target(scene, obj)):
        yield from (fix for finding in reasons for fix in finding.fixes)
    else:
        yield "%kcluster addons enable metrics-server"
        yield "give it half a minute to measure twice"


def _of_target(scene: Scene, obj: Object) -> list[Finding]:
    """What is wrong with what it scales: of pods that do not run nothing is measured."""
    target = scene.find(_resource(obj), obj["spec"]["scaleTargetRef"]["name"], namespace_of(obj))
    return why(scene, target) if target is not None else []


def _other_kind(scene: Scene, obj: Object) -> Iterator[str]:
    """The kind that is spelled alike and can be scaled."""
    kinds = {kind.kind: kind for kind in scene.client.kinds() if "scale" in kind.subresources}
    asked = obj["spec"]["scaleTargetRef"]["kind"]
    for name in difflib.get_close_matches(asked, kinds, n=1, cutoff=0.5):
        target = {"kind": name, "apiVersion": kinds[name].api_version}
        yield patch(obj, {"spec": {"scaleTargetRef": target}})
    yield f"name a kind that can be scaled in spec.scaleTargetRef: {', '.join(sorted(kinds))}"


def _resource(obj: Object) -> str:
    return f"{obj['spec']['scaleTargetRef']['kind'].lower()}s"


def _target_is_missing(scene: Scene, obj: Object) -> bool:
    return scene.find(_resource(obj), obj["spec"]["scaleTargetRef"]["name"], namespace_of(obj)) is None


def _other_target(scene: Scene, obj: Object) -> Iterator[str]:
    """The one that is spelled alike, or the only one."""
    names = [name_of(each) for each in scene.items(_resource(obj), namespace_of(obj))]
    near = difflib.get_close_matches(obj["spec"]["scaleTargetRef"]["name"], names, n=1, cutoff=0.5)
    for name in near or (names if len(names) == 1 else []):
        yield patch(obj, {"spec": {"scaleTargetRef": {"name": name}}})
