"""Why a node takes no pods, and why a namespace does not go.

Interface: `DIAGNOSES`.
Source: `pkg/controller/nodelifecycle`, `pkg/controller/namespace`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from k8snb.apimachinery.meta import Object, condition, get_path, is_deleting, name_of
from k8snb.story.why import Diagnosis, Evidence, Finding, Scene, field, word_of


def node(scene: Scene, obj: Object) -> Iterator[Finding]:
    ready = condition(obj, "Ready") or {}
    if ready.get("status") != "True":
        fact = (
            "nothing has been heard of its kubelet" if ready.get("status") == "Unknown" else "its kubelet is not well"
        )
        since = ready.get("lastHeartbeatTime", "")
        yield Finding(word_of(obj), f"{fact}: {ready.get('message', '')}",
                      (Evidence(word_of(obj), "status.conditions[Ready]", f"{ready.get('reason', '')}, last heard of "
                                f"at {since}"),),
                      (f"%kcluster node start {name_of(obj)}",))  # fmt: skip
    if get_path(obj, "spec.unschedulable"):
        yield Finding(word_of(obj), "it is cordoned: no new pods come here", (field(obj, "spec.unschedulable"),),
                      (f"kubectl uncordon {name_of(obj)}",))  # fmt: skip


def namespace(scene: Scene, obj: Object) -> Iterator[Finding]:
    """One on its way out says itself what is left in it."""
    if not is_deleting(obj):
        return
    for sort in ("NamespaceContentRemaining", "NamespaceFinalizersRemaining", "NamespaceDeletionContentFailure"):
        entry = condition(obj, sort) or {}
        if entry.get("status") == "True":
            yield Finding(word_of(obj), f"it cannot go: {entry['message']}",
                          (Evidence(word_of(obj), f"status.conditions[{sort}]", entry["reason"]),),
                          ("%kwhy for what is left says who holds it",))  # fmt: skip


DIAGNOSES: Mapping[str, tuple[Diagnosis, ...]] = {"Node": (node,), "Namespace": (namespace,)}
