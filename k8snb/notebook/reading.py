"""What a picture is made of: the objects of the kinds that a view needs, now or at an earlier revision.

Interface: `Reading(client, revision).objects(kinds, …)`; `kinds_for(view, kinds, asked)`; `kind_of(client, word)`.
The rule not to break: an earlier revision is read by the API's own means (a list with `resourceVersionMatch=Exact`), so
that it works with any client, and what is no longer known is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, name_of
from k8snb.kubectl import grammar
from k8snb.kubectl.output import KubectlError
from k8snb.notebook.draw_objects import BESIDE
from k8snb.notebook.packing import natural

if TYPE_CHECKING:
    from k8snb.client import Client

GONE = 410
UNREADABLE = (403, 404, 503)  # whoever draws may not, or an API server elsewhere does not answer
# The kinds of a view; of `objects` those beside the ones that `kubectl get all` shows, and of `owner` none: it has all.
_KINDS = {
    "objects": frozenset((*BESIDE, "EndpointSlice")),
    "nodes": frozenset(("Node",)),
    "network": frozenset(("Pod", "Service", "EndpointSlice", "Ingress", "NetworkPolicy")),
    "storage": frozenset(("Pod", "PersistentVolumeClaim", "PersistentVolume", "StorageClass")),
}
_WITH_ALL = frozenset(("objects", "nodes"))
_NOT_OWNED = frozenset(("Event", "ComponentStatus", "NodeMetrics", "PodMetrics"))


def kinds_for(view: str, kinds: Iterable[Kind], asked: Sequence[Kind]) -> list[Kind]:
    """What has to be read for a view, each kind in one of its versions."""
    wanted = {_key(kind) for kind in asked}
    found: dict[tuple[str, str], Kind] = {}
    for kind in kinds:
        if "list" in kind.verbs and (_key(kind) in wanted or _belongs(view, kind)):
            found.setdefault(_key(kind), kind)
    return list(found.values())


def _key(kind: Kind) -> tuple[str, str]:
    return kind.group, kind.plural


def _belongs(view: str, kind: Kind) -> bool:
    if view == "owner":
        return kind.kind not in _NOT_OWNED
    return kind.kind in _KINDS[view] or (view in _WITH_ALL and "all" in kind.categories)


def kind_of(client: Client, word: str) -> Kind:
    """The kind that a word names. Raises KubectlError."""
    for kind in client.kinds():
        if word.lower() in kind.words():
            return kind
    known = [name for kind in client.kinds() for name in (kind.plural, kind.singular)]
    raise KubectlError(f'error: the server doesn\'t have a resource type "{word}"{grammar.nearest(word, known)}')


class Reading:
    """What a client can read, now (`revision` "") or as it was. `notes` say what it may not."""

    def __init__(self, client: Client, revision: str = "") -> None:
        self._client, self.revision = client, revision
        self.notes: tuple[str, ...] = ()
        self._options = {"resourceVersion": revision, "resourceVersionMatch": "Exact"} if revision else {}

    def objects(
        self, kinds: Iterable[Kind], namespace: str, *, pods_of_all: bool = False, asked: Collection[Kind] = ()
    ) -> list[Object]:  # fmt: skip
        """All objects of these kinds in a namespace, "" = all, and those of no namespace. Raises KubectlError."""
        found = []
        for kind in kinds:
            wide = not kind.namespaced or (pods_of_all and kind.plural == "pods")
            found += self._items(kind, "" if wide else namespace, kind in asked)
        return sorted(found, key=lambda obj: natural(name_of(obj)))

    def _items(self, kind: Kind, namespace: str, is_asked: bool) -> list[Object]:
        try:
            return self._client.items(kind, namespace, **self._options)
        except ApiError as error:
            if error.code == GONE:
                raise KubectlError(f"error: {error.message}") from None
            if error.code in UNREADABLE and not is_asked:
                self.notes = (*self.notes, f"{kind.qualified} are not in the picture: {error.message}")
                return []
            raise KubectlError(f"Error from server ({error.reason}): {error.message}") from None
