"""namespace-controller: empties a namespace that is to be deleted, and then lets it go.

Interface: `NamespaceController`. The rule not to break: the finalizer `kubernetes` goes only when nothing is left
inside.
Source: `pkg/controller/namespace/deletion` in the kubernetes repository.
"""

from __future__ import annotations

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, get_path, is_deleting, namespace_of, revision_of, with_condition, with_path
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import Informers
from k8snb.clock import timestamp

FINALIZER = "kubernetes"
NEEDED_VERBS = {"list", "deletecollection"}

# What each condition says when all is well: (type, reason, message); its status is then "False".
GOOD_NEWS = (
    ("NamespaceDeletionDiscoveryFailure", "ResourcesDiscovered", "All resources successfully discovered"),
    ("NamespaceDeletionGroupVersionParsingFailure", "ParsedGroupVersions",
     "All legacy kube types successfully parsed"),
    ("NamespaceDeletionContentFailure", "ContentDeleted",
     "All content successfully deleted, may be waiting on finalization"),
    ("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
    ("NamespaceFinalizersRemaining", "ContentHasNoFinalizers", "All content-preserving finalizers finished"),
)  # fmt: skip


class NamespaceController(Controller):
    name = "namespace-controller"
    longest_delay = 60.0  # nsControllerRateLimiter of upstream: a namespace has many kinds, each of which may refuse

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.namespaces = self.watch("namespaces")
        self._waiting: set[str] = set()
        self.watch_kinds(_is_content, lambda kind, informer: informer.on_change(self._content_changed))

    def _contents(self) -> list[Kind]:
        """The kinds that live in namespaces and can be emptied, each in one version."""
        return list({kind.prefix: kind for kind in self.client.kinds() if _is_content(kind)}.values())

    def _content_changed(self, old: Object | None, new: Object | None) -> None:
        """Something went out of a namespace that is waiting to be empty."""
        if self._waiting and new is None and old is not None and namespace_of(old) in self._waiting:
            self.queue.add(namespace_of(old), revision_of(old))

    def sync(self, key: str) -> None:
        namespace = self.namespaces.by_key(key)
        finalizers = get_path(namespace, "spec.finalizers") or []
        if namespace is None or not is_deleting(namespace) or FINALIZER not in finalizers:
            self._waiting.discard(key)
            return
        self._waiting.add(key)
        remaining, refusals = self._empty(key)
        namespace = self._tell(namespace, remaining, refusals)
        if refusals:
            raise refusals[0]
        if not remaining:
            left = [finalizer for finalizer in finalizers if finalizer != FINALIZER]
            self.client.update("namespaces", with_path(namespace, "spec.finalizers", left), subresource="finalize")

    def _empty(self, name: str) -> tuple[dict[str, list[Object]], list[ApiError]]:
        """Delete everything. Returns what has not gone at once, by resource, and what was refused."""
        remaining: dict[str, list[Object]] = {}
        refusals: list[ApiError] = []
        for kind in self._contents():
            try:
                if self.client.items(kind, name):
                    self.client.delete_collection(kind, name, propagationPolicy="Background")
                    remaining[kind.qualified] = self.client.items(kind, name)
            except ApiError as error:
                refusals.append(error)
        return {resource: objects for resource, objects in remaining.items() if objects}, refusals

    def _tell(self, namespace: Object, remaining: dict[str, list[Object]], refusals: list[ApiError]) -> Object:
        """Write the conditions that say how far the deletion is."""
        bad_news = _bad_news(remaining, refusals)
        conditions = get_path(namespace, "status.conditions") or []
        wanted = conditions
        for sort, reason, message in GOOD_NEWS:
            status, why, words = bad_news.get(sort, ("False", reason, message))
            entry = {"type": sort, "status": status, "reason": why, "message": words}
            wanted = with_condition(wanted, entry, timestamp(self.clock.now()))
        if wanted == conditions:
            return namespace
        return self.client.update_status("namespaces", with_path(namespace, "status.conditions", wanted))


def _is_content(kind: Kind) -> bool:
    return kind.namespaced and set(kind.verbs) >= NEEDED_VERBS


def _bad_news(remaining: dict[str, list[Object]], refusals: list[ApiError]) -> dict[str, tuple[str, str, str]]:
    news = {}
    if refusals:
        words = f"Failed to delete all resource types, {len(refusals)} remaining: {refusals[0].message}"
        news["NamespaceDeletionContentFailure"] = ("True", "ContentDeletionFailed", words)
    if remaining:
        counts = (
            f"{resource} has {len(objects)} resource instances" for resource, objects in sorted(remaining.items())
        )
        words = f"Some resources are remaining: {', '.join(counts)}"
        news["NamespaceContentRemaining"] = ("True", "SomeResourcesRemain", words)
    finalizers: dict[str, int] = {}
    for obj in (obj for objects in remaining.values() for obj in objects):
        for finalizer in obj["metadata"].get("finalizers") or ():
            finalizers[finalizer] = finalizers.get(finalizer, 0) + 1
    if finalizers:
        counts = (f"{finalizer} in {count} resource instances" for finalizer, count in sorted(finalizers.items()))
        words = f"Some content in the namespace has finalizers remaining: {', '.join(counts)}"
        news["NamespaceFinalizersRemaining"] = ("True", "SomeFinalizersRemain", words)
    return news
