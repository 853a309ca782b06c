"""Why a Service has no endpoints: nobody is selected, nobody selected is ready, or the port has no such name.

Interface: `DIAGNOSES`; `near_misses(selector, pods)`, the pods that one label keeps out.
Source: `pkg/controller/endpoint` and `concepts/services-networking/service` of the documentation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from k8snb.apimachinery.meta import Object, is_true, labels_of, name_of, namespace_of
from k8snb.apimachinery.selectors import from_set
from k8snb.story.why import Diagnosis, Evidence, Finding, Scene, field, why, word_of

SHOWN = 3


def endpoints(scene: Scene, service: Object) -> Iterator[Finding]:
    spec = service["spec"]
    selector = spec.get("selector")
    if spec.get("type") == "ExternalName":
        return
    if not selector:
        if not _addresses(scene, service):
            yield Finding(word_of(service), "it selects nobody, and nobody wrote endpoints for it by hand",
                          (field(service, "spec.selector", "none"),),
                          (f"kubectl set selector {word_of(service)} KEY=VALUE",))  # fmt: skip
        return
    pods = scene.items("pods", namespace_of(service))
    picked = [pod for pod in pods if from_set(selector).matches(labels_of(pod))]
    if not picked:
        yield _nobody(scene, service, selector, pods)
        return
    ready = [pod for pod in picked if is_true(pod, "Ready")]
    if not ready:
        yield _nobody_ready(scene, service, picked)
        return
    yield from _ports(service, ready)


def _addresses(scene: Scene, service: Object) -> bool:
    found = scene.find("endpoints", name_of(service), namespace_of(service))
    return bool(found and found.get("subsets"))


def _nobody(scene: Scene, service: Object, selector: Mapping[str, str], pods: list[Object]) -> Finding:
    text = ",".join(f"{key}={value}" for key, value in selector.items())
    evidence, fixes = [field(service, "spec.selector", text)], []
    for pod, key, value in near_misses(selector, pods)[:SHOWN]:
        have = f"{key}={value}" if value is not None else f"no label {key}"
        evidence.append(Evidence(word_of(pod), "metadata.labels", have))
        fixes.append(f"kubectl label {word_of(pod)} {key}={selector[key]} --overwrite" if value is not None
                     else f"kubectl label {word_of(pod)} {key}={selector[key]}")  # fmt: skip
        if value is not None:
            other = ",".join(f"{k}={value if k == key else v}" for k, v in selector.items())
            fixes.append(f"kubectl set selector {word_of(service)} {other}")
    elsewhere = [pod for pod in scene.items("pods") if namespace_of(pod) != namespace_of(service)
                 and from_set(selector).matches(labels_of(pod))]  # fmt: skip
    if elsewhere:
        other = namespace_of(elsewhere[0])
        evidence.append(Evidence(word_of(elsewhere[0]), "metadata.namespace", other))
        fixes.append(f"a Service selects pods of its own namespace only: make it in {other}")
    return Finding(word_of(service), f"no pod has the labels {text} that it selects", evidence,
                   list(dict.fromkeys(fixes)) or (f"kubectl run NAME --image=IMAGE --labels={text}",))  # fmt: skip


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
    reasons = why(scene, first)
    many = "the pod that it selects is" if len(picked) == 1 else f"none of the {len(picked)} pods that it selects is"
    end = " not ready" if len(picked) == 1 else " ready"
    evidence = [Evidence(word_of(pod), "status.conditions[Ready]", "False") for pod in picked[:SHOWN]]
    fact = f"{many}{end}" + (f": {reasons[0].fact}" if reasons else "")
    return Finding(word_of(service), fact, [*evidence, *(reasons[0].evidence if reasons else ())],
                   reasons[0].fixes if reasons else (f"kubectl describe {word_of(first)}",))  # fmt: skip


def _ports(service: Object, ready: list[Object]) -> Iterator[Finding]:
    """A target port that is a name has to be a name in the pods."""
    for port in service["spec"].get("ports") or ():
        target = port.get("targetPort")
        names = {
            entry["name"]
            for pod in ready
            for container in pod["spec"]["containers"]
            for entry in container.get("ports") or ()
            if "name" in entry
        }
        if isinstance(target, str) and target not in names:
            known = ", ".join(sorted(names)) or "none"
            yield Finding(
                word_of(service), f'its target port is named "{target}", and no ready pod has a port of that name',
                (field(service, "spec.ports", f"targetPort: {target}"),
                 Evidence(word_of(ready[0]), "spec.containers[].ports[].name", known)),
                ("name the port in the pod's template, or give the Service its number",),
            )  # fmt: skip


DIAGNOSES: Mapping[str, tuple[Diagnosis, ...]] = {"Service": (endpoints,)}
