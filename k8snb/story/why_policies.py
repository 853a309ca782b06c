"""Why a pod does not reach another one: the NetworkPolicies that refuse, and one that would allow it.

Interface: `reach(scene, pod, target) -> (what holds, findings)`.
The rule not to break: the verdict is that of `k8snb.networkpolicy`, which the nodes' firewalls carry out.
Source: `concepts/services-networking/network-policies` of the documentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from k8snb.apimachinery.meta import Object, get_path, is_true, key_of, labels_of, name_of, namespace_of
from k8snb.apimachinery.selectors import from_set
from k8snb.networkpolicy.policies import INGRESS, Peer, Verdict, allowed, peer_of, policy_of
from k8snb.story.why import Evidence, Finding, Scene, seen, why, word_of

TCP = "TCP"
NAMESPACE_LABEL = "kubernetes.io/metadata.name"


def reach(scene: Scene, pod: Object, target: str) -> tuple[str, Sequence[Finding]]:
    """Whether a pod may reach `pod/NAME:PORT` or `svc/NAME:PORT`; the port is the Service's own, or the pod's, by
    default the first. Raises ValueError for a target that is none."""
    found, port = _target(scene, pod, target)
    if found["kind"] == "Service":
        reasons = why(scene, found)
        if reasons:
            return "", reasons
        port, found = _behind(scene, found, port)
    number = port or next(iter(_declared(found)), 80)
    verdict = allowed([policy_of(each) for each in scene.items("networkpolicies")], _peer(scene, pod),
                      _peer(scene, found), number)  # fmt: skip
    if verdict.allowed:
        return f"{word_of(pod)} may reach {word_of(found)} at port {number}: {verdict.reason}", ()
    return "", [_refused(scene, pod, found, number, verdict)]


def _target(scene: Scene, pod: Object, target: str) -> tuple[Object, int]:
    word, _, rest = target.partition("/")
    name, _, port = rest.partition(":")
    resource = {"pod": "pods", "pods": "pods", "po": "pods", "svc": "services", "service": "services",
                "services": "services"}.get(word.lower(), "")  # fmt: skip
    if not resource or not name or (port and not port.isdigit()):
        raise ValueError(f'reach what? pod/NAME:PORT or svc/NAME:PORT, not "{target}"')
    found = scene.find(resource, name, namespace_of(pod))
    if found is None:
        raise ValueError(f'there is no {resource[:-1]} "{name}" in namespace {namespace_of(pod)}')
    return found, int(port or 0)


def _behind(scene: Scene, service: Object, port: int) -> tuple[int, Object]:
    """The pod that a Service leads to, and the port there."""
    ports = service["spec"].get("ports") or [{"port": port or 80}]
    chosen = next((each for each in ports if each["port"] == port), ports[0])
    selector = from_set(service["spec"].get("selector") or {})
    pods = [each for each in scene.items("pods", namespace_of(service))
            if selector.matches(labels_of(each)) and is_true(each, "Ready")]  # fmt: skip
    if not pods:
        raise ValueError(f"{word_of(service)} leads to no pod: its endpoints were written by hand")
    wanted = chosen.get("targetPort", chosen["port"])
    if isinstance(wanted, int):
        return wanted, pods[0]
    named = [entry["containerPort"] for container in pods[0]["spec"]["containers"]
             for entry in container.get("ports") or () if entry.get("name") == wanted]  # fmt: skip
    return next(iter(named), chosen["port"]), pods[0]


def _declared(pod: Object) -> list[int]:
    return [entry["containerPort"] for container in pod["spec"]["containers"] for entry in container.get("ports") or ()]


def _peer(scene: Scene, pod: Object) -> Peer:
    namespace = scene.find("namespaces", namespace_of(pod))
    return peer_of(pod, labels_of(namespace) if namespace else {})


def _refused(scene: Scene, pod: Object, target: Object, port: int, verdict: Verdict) -> Finding:
    by_key = {key_of(each): each for each in scene.items("networkpolicies")}
    refusing = [by_key[key] for key in verdict.policies if key in by_key]
    shut = target if verdict.direction == INGRESS else pod
    evidence = [
        seen(each, "spec.podSelector", str(get_path(each, "spec.podSelector") or "all pods")) for each in refusing
    ]
    labels = ",".join(f"{key}={value}" for key, value in labels_of(shut).items()) or "none"
    return Finding(
        word_of(pod), f"it may not reach {word_of(target)} at port {port}: {verdict.reason}",
        [*evidence, Evidence(word_of(shut), "metadata.labels", labels)],
        [_opening(pod, target, port, verdict.direction),
         *(f"kubectl delete {word_of(each)}" for each in refusing[:1])],
    )  # fmt: skip


def _opening(pod: Object, target: Object, port: int, direction: str) -> str:
    """A cell with a policy that allows just this."""
    inward = direction == INGRESS
    shut, other = (target, pod) if inward else (pod, target)
    peer: dict[str, Any] = {"podSelector": _selector(other)}
    if namespace_of(other) != namespace_of(shut):
        peer["namespaceSelector"] = {"matchLabels": {NAMESPACE_LABEL: namespace_of(other)}}
    rule = {"from" if inward else "to": [peer], "ports": [{"protocol": TCP, "port": port}]}
    name = f"{name_of(pod)}-to-{name_of(target)}-{direction.lower()}"
    obj = {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace_of(shut)},
        "spec": {"podSelector": _selector(shut), "policyTypes": [direction], direction.lower(): [rule]},
    }  # fmt: skip
    return "%%kapply\n" + yaml.safe_dump(obj, sort_keys=False)


def _selector(pod: Object) -> Object:
    labels = labels_of(pod)
    return {"matchLabels": dict(labels)} if labels else {}
