"""Why a node takes no pods, and why a namespace does not go.

Interface: `DIAGNOSES`.
Source: `pkg/controller/nodelifecycle`, `pkg/controller/namespace`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from k8snb.apimachinery.meta import Object, condition, get_path, is_deleting, name_of
from k8snb.story.why import Diagnosis, Evidence, Finding, Scene, patch, seen, word_of

PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")


def node(scene: Scene, obj: Object) -> Iterator[Finding]:
    ready = condition(obj, "Ready") or {}
    if ready.get("status") != "True":
        silent = ready.get("status") == "Unknown"
        fact = "nothing has been heard of its kubelet" if silent else "its kubelet is not well"
        since = ready.get("lastHeartbeatTime", "")
        command = scene.backstage.mend_node(name_of(obj))
        yield Finding(word_of(obj), f"{fact}: {ready.get('message', '')}",
                      (Evidence(word_of(obj), "status.conditions[Ready]", f"{ready.get('reason', '')}, last heard of "
                                f"at {since}"),),
                      (command,) if command else ("see whether the machine runs, and its kubelet on it",))  # fmt: skip
    if get_path(obj, "spec.unschedulable"):
        yield Finding(word_of(obj), "it is cordoned: no new pods come here", (seen(obj, "spec.unschedulable"),),
                      (f"kubectl uncordon {name_of(obj)}",))  # fmt: skip
    for sort in PRESSURES:
        entry = condition(obj, sort) or {}
        if entry.get("status") == "True":
            yield Finding(word_of(obj), f"it runs out of something: {sort}: {entry.get('message', '')}",
                          (Evidence(word_of(obj), f"status.conditions[{sort}]", entry.get("reason", "")),),
                          ("free some there: its kubelet evicts pods until there is enough",))  # fmt: skip


def namespace(scene: Scene, obj: Object) -> Iterator[Finding]:
    """One on its way out says itself what is left in it."""
    if not is_deleting(obj):
        return
    held = _held(scene, name_of(obj))
    for sort in ("NamespaceFinalizersRemaining", "NamespaceContentRemaining", "NamespaceDeletionContentFailure"):
        entry = condition(obj, sort) or {}
        if entry.get("status") == "True":
            evidence = [Evidence(word_of(obj), f"status.conditions[{sort}]", entry["reason"])]
            evidence += [seen(each, "metadata.finalizers", ", ".join(each["metadata"]["finalizers"])) for each in held]
            yield Finding(word_of(obj), f"it cannot go: {entry['message']}", evidence,
                          [*(patch(each, {"metadata": {"finalizers": None}}) for each in held),
                           "or let the part that put a finalizer there finish its work"])  # fmt: skip
            return


def _held(scene: Scene, name: str) -> list[Object]:
    """What is left in a namespace and waits for somebody to take a finalizer off."""
    kinds = [kind for kind in scene.client.kinds() if kind.namespaced and "list" in kind.verbs and not kind.remote]
    found = {each["metadata"]["uid"]: each for kind in kinds for each in scene.client.items(kind, name)
             if is_deleting(each) and each["metadata"].get("finalizers")}  # fmt: skip
    return list(found.values())


DIAGNOSES: Mapping[str, tuple[Diagnosis, ...]] = {"Node": (node,), "Namespace": (namespace,)}
