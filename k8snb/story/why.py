"""Why: the fact that keeps an object from being what its spec says, its evidence, and what would help.

Interface: `why(scene, obj) -> [Finding]`, empty for what is as it should be; `is_known(kind)`; `Scene`, what a
diagnosis may look at; `is_command(fix)`.
The rule not to break: each finding holds a fact that was read, with where it stands; what only might be is not told. A
fix that is a command can be run word for word, and does mend what it is told for.
Real kubectl shows the pieces (`describe`, `events`, `logs`) and leaves it to people to put them together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, get_path, is_deleting, name_of, namespace_of, revision_of, uid_of
from k8snb.apimachinery.pod_resources import requests, total
from k8snb.apimachinery.quantity import Quantity
from k8snb.client import Client
from k8snb.scheduler.decision import Decision

OVER = ("Succeeded", "Failed")  # phases of pods that take no room any more
PVC_PROTECTION = "kubernetes.io/pvc-protection"


class Evidence(NamedTuple):
    """Where a fact stands: an object, and a field of it, an event or a line of its log."""

    word: str
    place: str
    text: str
    revision: int = 0


@dataclass(frozen=True)
class Finding:
    """One reason. `fixes` are commands, the best first, then advice in words; `nodes` for a pod without one: {node:
    (plug-in, reason)}; `changes` {node: what together is the smallest change that would let it run there}."""

    word: str
    fact: str
    evidence: Sequence[Evidence] = ()
    fixes: Sequence[str] = ()
    nodes: Mapping[str, tuple[str, str]] | None = None
    changes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def commands(self) -> list[str]:
        """Those of the fixes that can be run as they stand."""
        return [fix for fix in self.fixes if is_command(fix)]


def is_command(fix: str) -> bool:
    """Whether a fix is a line, or a cell, to run word for word."""
    return fix.startswith(("kubectl ", "%k", "%%k"))


class Backstage(Protocol):
    """What the API does not tell of a cluster, and its owner can see. Of somebody else's cluster nothing is seen."""

    def stopped(self) -> Sequence[str]:
        """The components that have been stopped."""

    def paused(self) -> bool: ...
    def schedulers(self) -> Sequence[str]:
        """The schedulerNames that are served; none where that is not known."""

    def mend_node(self, node: str) -> str:
        """The command that brings a silent node back; "" where nobody knows."""

    def answers(self, address: str) -> bool:
        """Whether a part of the cluster answers at a ClusterIP itself, without endpoints: its DNS."""

    def refusals(self, pod: Object, nodes: Sequence[str]) -> Mapping[str, Sequence[tuple[str, str]]]:
        """Each plug-in because of which a node would not take a pod now, and its reason; nothing for those that would,
        and those of which nothing is known."""


class Closed:
    """The backstage of somebody else's cluster."""

    def stopped(self) -> Sequence[str]:
        return ()

    def paused(self) -> bool:
        return False

    def schedulers(self) -> Sequence[str]:
        return ()

    def mend_node(self, node: str) -> str:
        return ""

    def answers(self, address: str) -> bool:
        return False

    def refusals(self, pod: Object, nodes: Sequence[str]) -> Mapping[str, Sequence[tuple[str, str]]]:
        return {}


class Scene:
    """What there is to see at one moment: the objects through the API, what the scheduler has decided, and what goes on
    behind the API."""

    def __init__(
        self, client: Client, decision_of: Callable[[str], Decision | None], backstage: Backstage | None = None
    ) -> None:
        self.client = client
        self.decision_of = decision_of
        self.backstage: Backstage = backstage or Closed()
        self._lists: dict[tuple[str, str], list[Object]] = {}
        self._events: dict[str, dict[str, list[Object]]] = {}  # by namespace and by whom they are about
        self._used: dict[str, dict[str, Quantity]] | None = None

    def find(self, resource: str, name: str, namespace: str = "") -> Object | None:
        return self.client.find(resource, name, namespace)

    def items(self, resource: str, namespace: str = "") -> list[Object]:
        """All objects of a resource, read once."""
        key = (resource, namespace)
        if key not in self._lists:
            self._lists[key] = self.client.items(resource, namespace)
        return self._lists[key]

    def events(self, obj: Object, *reasons: str) -> list[Object]:
        """The events about an object, the newest first; only those with one of these reasons where any are given."""
        namespace = namespace_of(obj) or "default"
        if namespace not in self._events:
            about = self._events[namespace] = {}
            for event in self.items("events", namespace):
                about.setdefault(event["involvedObject"].get("uid", ""), []).append(event)
        found = self._events[namespace].get(uid_of(obj), ())
        chosen = [event for event in found if not reasons or event["reason"] in reasons]
        return sorted(chosen, key=lambda event: event.get("lastTimestamp") or "", reverse=True)

    def used(self, node: str) -> dict[str, Quantity]:
        """What the pods on a node request together."""
        if self._used is None:
            self._used = {}
            for pod in self.items("pods"):
                where = get_path(pod, "spec.nodeName")
                if where and get_path(pod, "status.phase") not in OVER:
                    self._used[where] = total((self._used.get(where, {}), requests(pod)))
        return self._used.get(node, {})

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
    from k8snb.story.templates import anew

    diagnoses = (held_by_finalizers, *_diagnoses(obj["kind"]))
    found = [finding for diagnosis in diagnoses for finding in diagnosis(scene, obj)]
    first = anew(scene, obj) if found and obj["kind"] == "Pod" else []
    return [_outdated(finding, first) for finding in found] if first else found


def is_known(kind: str) -> bool:
    """Whether it is known what may go wrong with objects of a kind, beside a deletion that waits."""
    return bool(_diagnoses(kind))


def _diagnoses(kind: str) -> list[Diagnosis]:
    from k8snb.story import (
        why_ingresses,
        why_nodes,
        why_pods,
        why_scheduling,
        why_services,
        why_storage,
        why_workloads,
    )

    modules = (why_scheduling, why_pods, why_services, why_ingresses, why_workloads, why_storage, why_nodes)
    return [diagnosis for module in modules for diagnosis in module.DIAGNOSES.get(kind, ())]


def _outdated(finding: Finding, first: Sequence[str]) -> Finding:
    """Of a pod whose owner has another template by now: what is wrong may be mended there already."""
    advice = [fix for fix in finding.fixes if not is_command(fix)]
    return replace(finding, fact=f"{finding.fact}; its owner has another template by now, and leaves it as it is",
                   fixes=[*first, *advice])  # fmt: skip


def patch(obj: Object, change: Any, *, options: str = "") -> str:
    """The command that changes an object: a merge of a mapping, or the operations of a JSON patch."""
    sort = "json" if isinstance(change, list) else "merge"
    text = json.dumps(change, separators=(",", ":"))
    return f"kubectl patch {word_of(obj)}{options} --type={sort} -p '{text}'"


def word_of(obj: Object) -> str:
    """`pod/web`, with its namespace where that is not `default`."""
    namespace = namespace_of(obj)
    return f"{obj['kind'].lower()}/{name_of(obj)}" + (f" -n {namespace}" if namespace not in ("", "default") else "")


def seen(obj: Object, path: str, text: str = "") -> Evidence:
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
    users = _users(scene, obj, finalizers)
    fact = f"its deletion waits until the finalizer {names} is taken off"
    yield Finding(
        word_of(obj), fact + (f": {', '.join(map(word_of, users))} still uses it" if users else ""),
        (seen(obj, "metadata.deletionTimestamp"), seen(obj, "metadata.finalizers", names),
         *(Evidence(word_of(user), "spec.volumes", name_of(obj), revision_of(user)) for user in users)),
        [f"kubectl delete {word_of(user)}" for user in users] or
        [patch(obj, {"metadata": {"finalizers": None}}), "or let the part that put it there finish its work"],
    )  # fmt: skip


def _users(scene: Scene, obj: Object, finalizers: Sequence[str]) -> list[Object]:
    """The pods that keep a claim from going."""
    if PVC_PROTECTION not in finalizers:
        return []
    return [pod for pod in scene.items("pods", namespace_of(obj)) if name_of(obj) in claims_of(pod)]


def claims_of(pod: Object) -> list[str]:
    """The claims that a pod mounts."""
    volumes = get_path(pod, "spec.volumes") or ()
    names = (get_path(volume, "persistentVolumeClaim.claimName") for volume in volumes)
    return [name for name in names if name]
