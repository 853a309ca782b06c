"""What a pod refers to and is not there: ConfigMaps and Secrets, their keys, and the commands that make them.

Interface: `missing_objects(scene, pod) -> [fix]`.
The rule not to break: only what is not optional and is missing now is told; values are the learner's, VALUE stands for
one.
Source: `pkg/kubelet/kubelet_pods.go`, which refuses to start a container without them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from k8snb.apimachinery.meta import Object, get_path, namespace_of
from k8snb.story.why import Scene

CONTAINERS = ("initContainers", "containers")


class Reference(NamedTuple):
    """One object that is needed: `configmaps` or `secrets`, its name, and the keys that are asked for by name."""

    resource: str
    name: str
    keys: tuple[str, ...]


def missing_objects(scene: Scene, pod: Object) -> list[str]:
    """Commands that make what is missing."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for reference in references(pod):
        wanted.setdefault(reference[:2], []).extend(reference.keys)
    namespace = namespace_of(pod)
    flag = f" -n {namespace}" if namespace not in ("", "default") else ""
    fixes: list[str] = []
    for (resource, name), keys in wanted.items():
        found = scene.find(resource, name, namespace)
        fixes += _fix(found, resource, name, list(dict.fromkeys(keys)), flag)
    return fixes


def _fix(found: Object | None, resource: str, name: str, keys: list[str], flag: str) -> Iterator[str]:
    word, field = ("configmap", "data") if resource == "configmaps" else ("secret", "stringData")
    if found is None:
        literals = "".join(f" --from-literal={key}=VALUE" for key in keys or ["key"])
        yield f"kubectl create {word}{' generic' if word == 'secret' else ''} {name}{flag}{literals}"
        return
    there = {**(found.get("data") or {}), **(found.get("binaryData") or {})}
    lacking = [key for key in keys if key not in there]
    if lacking:
        pairs = ",".join(f'"{key}":"VALUE"' for key in lacking)
        yield f"kubectl patch {word} {name}{flag} --type=merge -p '{{\"{field}\":{{{pairs}}}}}'"


def references(pod: Object) -> Iterator[Reference]:
    """The ConfigMaps and Secrets without which a pod's containers do not start."""
    spec = pod["spec"]
    for container in (each for part in CONTAINERS for each in spec.get(part) or ()):
        for variable in container.get("env") or ():
            source = variable.get("valueFrom") or {}
            yield from _of(source.get("configMapKeyRef"), "configmaps", "key")
            yield from _of(source.get("secretKeyRef"), "secrets", "key")
        for source in container.get("envFrom") or ():
            yield from _of(source.get("configMapRef"), "configmaps")
            yield from _of(source.get("secretRef"), "secrets")
    for volume in spec.get("volumes") or ():
        for source in (volume, *(get_path(volume, "projected.sources") or ())):
            yield from _of(source.get("configMap"), "configmaps")
            yield from _of(source.get("secret"), "secrets")


def _of(source: Object | None, resource: str, key: str = "") -> Iterator[Reference]:
    if source is None or source.get("optional"):
        return
    name = source.get("name") or source.get("secretName") or ""
    items = [item["key"] for item in source.get("items") or ()]
    yield Reference(resource, name, (source[key],) if key else tuple(items))
