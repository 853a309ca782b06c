"""Why: the fact that keeps an object from being what its spec says, its evidence, and what would help.

Interface: `why(scene, obj) -> [Finding]`, empty for what is as it should be; `Scene`, what a diagnosis may look at.
The rule not to break: each finding holds a fact that was read, with where it stands; what only might be is not told.
Real kubectl shows the pieces (`describe`, `events`, `logs`) and leaves it to people to put them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, get_path, is_deleting, name_of, namespace_of, revision_of, uid_of
from k8snb.client import Client
from k8snb.scheduler.decision import Decision


class Evidence(NamedTuple):
    """Where a fact stands: an object, and a field of it, an event or a line of its log."""

    word: str
    place: str
    text: str
    revision: int = 0


@dataclass(frozen=True)
class Finding:
    """One reason. `fixes` are commands, the best first; `nodes` for a pod without one: {node: (plug-in, reason)}."""

    word: str
    fact: str
    evidence: Sequence[Evidence] = ()
    fixes: Sequence[str] = ()
    nodes: Mapping[str, tuple[str, str]] | None = None


class Scene:
    """What there is to see: the objects through the API, and what the scheduler has decided."""

    def __init__(self, client: Client, decision_of: Callable[[str], Decision | None]) -> None:
        self.client = client
        self.decision_of = decision_of

    def find(self, resource: str, name: str, namespace: str = "") -> Object | None:
        return self.client.find(resource, name, namespace)

    def items(self, resource: str, namespace: str = "") -> list[Object]:
        return self.client.items(resource, namespace)

    def events(self, obj: Object, *reasons: str) -> list[Object]:
        """The events about an object, the newest first; only those with one of these reasons where any are given."""
        found = self.client.list(
            "events", namespace_of(obj) or "default", fieldSelector=f"involvedObject.uid={uid_of(obj)}"
        )
        chosen = [event for event in found["items"] if not reasons or event["reason"] in reasons]
        return sorted(chosen, key=lambda event: event.get("lastTimestamp") or "", reverse=True)

    def log_tail(self, pod: Object, container: str, *, previous: bool, lines: int = 3) -> list[str]:
        """The last lines of a container's log; none where there is no log."""
        options = {"container": container, "tailLines": lines, "previous": previous}
        try:
            text = b"".join(self.client.logs(name_of(pod), namespace_of(pod), **options))
        except ApiError:
            return []
        return text.decode(errors="replace").splitlines()


Diagnosis = Callable[[Scene, Object], Iterator[Finding]]


def why(scene: Scene, obj: Object) -> list[Finding]:
    """What is wrong with an object, the most telling first."""
    from k8snb.story import why_nodes, why_pods, why_services, why_storage, why_workloads

    tables = (why_pods.DIAGNOSES, why_services.DIAGNOSES, why_workloads.DIAGNOSES, why_storage.DIAGNOSES,
              why_nodes.DIAGNOSES)  # fmt: skip
    diagnoses = [diagnosis for table in tables for diagnosis in table.get(obj["kind"], ())]
    return [finding for diagnosis in (held_by_finalizers, *diagnoses) for finding in diagnosis(scene, obj)]


def word_of(obj: Object) -> str:
    """`pod/web`, with its namespace where that is not `default`."""
    namespace = namespace_of(obj)
    return f"{obj['kind'].lower()}/{name_of(obj)}" + (f" -n {namespace}" if namespace not in ("", "default") else "")


def field(obj: Object, path: str, text: str = "") -> Evidence:
    """A field of an object as evidence."""
    return Evidence(word_of(obj), path, text or str(get_path(obj, path, "")), revision_of(obj))


def event_evidence(event: Object) -> Evidence:
    about = event["involvedObject"]
    word = f"{about['kind'].lower()}/{about['name']}"
    return Evidence(word, f"event {event['reason']}", event["message"], revision_of(event))


def held_by_finalizers(scene: Scene, obj: Object) -> Iterator[Finding]:
    """A deletion waits for somebody who takes a finalizer off."""
    finalizers = [*(obj["metadata"].get("finalizers") or ()), *(get_path(obj, "spec.finalizers") or ())]
    if not is_deleting(obj) or not finalizers or obj["kind"] == "Namespace":
        return
    names = ", ".join(finalizers)
    patch = '-p \'{"metadata":{"finalizers":null}}\' --type=merge'
    yield Finding(
        word_of(obj), f"its deletion waits until the finalizer {names} is taken off",
        (field(obj, "metadata.deletionTimestamp"), field(obj, "metadata.finalizers", names)),
        (f"let the part that put it there finish, or: kubectl patch {word_of(obj)} {patch}",),
    )  # fmt: skip
