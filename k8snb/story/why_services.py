"""Why a Service has no endpoints: nobody is selected, nobody selected is ready, or the port has no such name.

Interface: `DIAGNOSES`; `near_misses(selector, pods)`, the pods that one label keeps out.
Source: `pkg/controller/endpoint` and `concepts/services-networking/service` of the documentation.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping

from k8snb.apimachinery.meta import (
    Object,
    controller_of,
    get_path,
    is_deleting,
    is_true,
    labels_of,
    name_of,
    namespace_of,
)
from k8snb.apimachinery.selectors import from_set
from k8snb.controllers.backends import find_port
from k8snb.story.why import Diagnosis, Evidence, Finding, Scene, patch, seen, why, word_of

SHOWN = 3
SERVICE_NAME = "kubernetes.io/service-name"
OVER = ("Succeeded", "Failed")
TCP = "TCP"
ALIKE = 0.7  # from which on two labels may be one with a mistake in it
SCALED = ("deployments", "statefulsets", "replicasets", "replicationcontrollers")


def endpoints(scene: Scene, service: Object) -> Iterator[Finding]:
    spec = service["spec"]
    selector = spec.get("selector")
    if spec.get("type") == "ExternalName":
        return
    if not selector:
        if not _addresses(scene, service) and not scene.backstage.answers(spec.get("clusterIP", "")):
            yield Finding(word_of(service), "it selects nobody, and nobody wrote endpoints for it by hand",
                          (seen(service, "spec.selector", "none"),),
                          ["say whom it selects: %kselect KEY=VALUE shows who that would be, and kubectl set selector "
                           f"{word_of(service)} KEY=VALUE sets it"])  # fmt: skip
        return
    pods = scene.items("pods", namespace_of(service))
    matching = from_set(selector)
    labelled = [pod for pod in pods if matching.matches(labels_of(pod))]
    picked = [pod for pod in labelled if get_path(pod, "status.phase") not in OVER]
    if not picked:
        yield _nobody_left(service, labelled) if labelled else _nobody(scene, service, selector, pods)
        return
    ready = [pod for pod in picked if is_true(pod, "Ready") and not is_deleting(pod)]
    if not ready and not spec.get("publishNotReadyAddresses"):
        yield _nobody_ready(scene, service, picked)
        return
    yield from _ports(service, ready)


def _addresses(scene: Scene, service: Object) -> bool:
    found = scene.find("endpoints", name_of(service), namespace_of(service))
    slices = scene.items("endpointslices", namespace_of(service))
    return bool(found and found.get("subsets")) or any(
        labels_of(each).get(SERVICE_NAME) == name_of(service) and each.get("endpoints") for each in slices
    )


def _nobody_left(service: Object, ended: list[Object]) -> Finding:
    """A pod that has ended keeps its labels, and no address."""
    many = "the pod that it selects has" if len(ended) == 1 else f"all {len(ended)} pods that it selects have"
    return Finding(word_of(service), f"{many} ended",
                   [seen(pod, "status.phase") for pod in ended[:SHOWN]],
                   ("what ends is no server: select the pods of something that goes on, a Deployment's",))  # fmt: skip


def _nobody(scene: Scene, service: Object, selector: Mapping[str, str], pods: list[Object]) -> Finding:
    text = ",".join(f"{key}={value}" for key, value in selector.items())
    fact = f"no pod has the labels {text} that it selects"
    evidence, fixes = [seen(service, "spec.selector", text)], []
    asleep = _asleep(scene, service, selector)
    for owner in asleep:
        evidence.append(seen(owner, "spec.replicas", "0"))
        fixes.append(f"kubectl scale {word_of(owner)} --replicas=1")
    for pod, key, value in _nearest(selector, pods)[:SHOWN] if not asleep else ():
        have = f"{key}={value}" if value is not None else f"no label {key}"
        evidence.append(Evidence(word_of(pod), "metadata.labels", have))
        fixes += _join(service, pod, selector, key)
    elsewhere = [pod for pod in scene.items("pods") if namespace_of(pod) != namespace_of(service)
                 and from_set(selector).matches(labels_of(pod))]  # fmt: skip
    if elsewhere:
        other = namespace_of(elsewhere[0])
        evidence.append(Evidence(word_of(elsewhere[0]), "metadata.namespace", other))
        fixes.append(f"a Service selects pods of its own namespace only: make it in {other}")
    because = f"; {word_of(asleep[0])}, whose pods would have them, is scaled to 0" if asleep else ""
    run = f"make pods with these labels: kubectl run NAME --image=IMAGE --labels={text}"
    return Finding(word_of(service), fact + because, evidence, list(dict.fromkeys(fixes)) or (run,))


def _join(service: Object, pod: Object, selector: Mapping[str, str], key: str) -> list[str]:
    """Bring a Service and a pod together that one label keeps apart. A controller's pods keep the labels of its
    template: there the Service follows."""
    value = labels_of(pod).get(key)
    overwrite = " --overwrite" if value is not None else ""
    label = f"kubectl label {word_of(pod)} {key}={selector[key]}{overwrite}"
    wanted = {**selector, key: value} if value is not None else {k: v for k, v in selector.items() if k != key}
    other = ",".join(f"{k}={v}" for k, v in wanted.items())
    follow = [f"kubectl set selector {word_of(service)} {other}"] if other else []
    return [*follow, label] if controller_of(pod) is not None else [label, *follow]


def _asleep(scene: Scene, service: Object, selector: Mapping[str, str]) -> list[Object]:
    """The workloads whose pods would be selected, and that are scaled to none."""
    found = [each for resource in SCALED for each in scene.items(resource, namespace_of(service))]
    return [each for each in found if get_path(each, "spec.replicas") == 0 and controller_of(each) is None
            and not is_deleting(each)
            and from_set(selector).matches(get_path(each, "spec.template.metadata.labels") or {})]  # fmt: skip


def _nearest(selector: Mapping[str, str], pods: Iterable[Object]) -> list[tuple[Object, str, str | None]]:
    """The near misses that may be meant, the most alike first: a label with a mistake in it, or one that is missing
    beside others that are right."""
    found = []
    for pod, key, value in near_misses(selector, pods):
        near = max((_alike(f"{key}={selector[key]}", f"{k}={v}") for k, v in labels_of(pod).items()), default=0.0)
        if len(selector) > 1 or near >= ALIKE:
            found.append((near, (pod, key, value)))
    return [each for _, each in sorted(found, key=lambda pair: -pair[0])]


def _alike(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def near_misses(selector: Mapping[str, str], pods: Iterable[Object]) -> list[tuple[Object, str, str | None]]:
    """Pods that one label keeps out: the pod, the label's key, and the value that it has, None for no such label."""
    found = []
    for pod in pods:
        labels = labels_of(pod)
        wrong = [key for key, value in selector.items() if labels.get(key) != value]
        if len(wrong) == 1:
            found.append((pod, wrong[0], labels.get(wrong[0])))
    return found


def _nobody_ready(scene: Scene, service: Object, picked: list[Object]) -> Finding:
    first = picked[0]
    reasons = why(scene, first) or _going(first)
    many = "the pod that it selects is" if len(picked) == 1 else f"none of the {len(picked)} pods that it selects is"
    end = " not ready" if len(picked) == 1 else " ready"
    evidence = [Evidence(word_of(pod), "status.conditions[Ready]", str(is_true(pod, "Ready")))
                for pod in picked[:SHOWN] if not is_deleting(pod)]  # fmt: skip
    fact = f"{many}{end}" + (f": {reasons[0].fact}" if reasons else "")
    return Finding(word_of(service), fact, [*evidence, *(reasons[0].evidence if reasons else ())],
                   reasons[0].fixes if reasons else (f"%kwhy not {word_of(first)} Ready",))  # fmt: skip


def _going(pod: Object) -> list[Finding]:
    if not is_deleting(pod):
        return []
    return [Finding(word_of(pod), "it is being deleted", (seen(pod, "metadata.deletionTimestamp"),),
                    ("wait for what takes its place, or make another pod with these labels",))]  # fmt: skip


def _ports(service: Object, ready: list[Object]) -> Iterator[Finding]:
    """A target port that is a name has to be a name in the pods."""
    declared = [entry for pod in ready for container in pod["spec"]["containers"]
                for entry in container.get("ports") or ()]  # fmt: skip
    for at, port in enumerate(service["spec"].get("ports") or ()):
        target, protocol = port.get("targetPort"), port.get("protocol", TCP)
        if isinstance(target, str) and all(find_port(pod, target, protocol) is None for pod in ready):
            known = ", ".join(sorted({_shown(entry) for entry in declared if "name" in entry})) or "none"
            fact = f'its target port is named "{target}", and no ready pod has a port of that name'
            yield Finding(
                word_of(service), fact if protocol == TCP and target not in known else f"{fact} for {protocol}",
                (seen(service, "spec.ports", f"targetPort: {target}"),
                 Evidence(word_of(ready[0]), "spec.containers[].ports[].name", known)),
                [*_retarget(service, at, declared),
                 "or name the port in the pod's template"],
            )  # fmt: skip


def _shown(entry: Object) -> str:
    """`http`, `dns (UDP)`."""
    protocol = entry.get("protocol", TCP)
    return f"{entry['name']} ({protocol})" if protocol != TCP else str(entry["name"])


def _retarget(service: Object, at: int, declared: list[Object]) -> Iterator[str]:
    """Lead it to a port that the pods have: by its protocol where there is one of the name for another."""
    port = service["spec"]["ports"][at]
    protocol = port.get("protocol", TCP)
    alike = [entry.get("protocol", TCP) for entry in declared if entry.get("name") == port["targetPort"]]
    if alike:
        yield patch(service, [{"op": "replace", "path": f"/spec/ports/{at}/protocol", "value": alike[0]}])
        return
    fitting = [entry for entry in declared if entry.get("protocol", TCP) == protocol]
    yield patch(service, [{"op": "replace", "path": f"/spec/ports/{at}/targetPort", "value": _meant(port, fitting)}])


def _meant(port: Object, declared: list[Object]) -> str | int:
    """The port that is most likely meant: of the Service's own number, the first that has a name, or the first."""
    numbers = [entry["containerPort"] for entry in declared]
    if port["port"] in numbers or not declared:
        return int(port["port"])
    named = next((str(entry["name"]) for entry in declared if "name" in entry), None)
    return named if named is not None else int(numbers[0])


DIAGNOSES: Mapping[str, tuple[Diagnosis, ...]] = {"Service": (endpoints,)}
