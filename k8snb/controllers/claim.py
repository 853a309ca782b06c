"""The controller reference manager: which objects are a controller's own.

Interface: `claim(...)` returns them, after adopting what matches and has no controller, and releasing what matches no
more; `Claimants` turns the question round: whose business is a change of this object?
The rule not to break: an object has at most one controller; nobody takes what belongs to another.
Source: `pkg/controller/controller_ref_manager.go` in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import (
    Object,
    controller_of,
    controller_reference,
    get_path,
    is_deleting,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    revision_of,
    uid_of,
)
from k8snb.apimachinery.selectors import Selector
from k8snb.client.client import MERGE
from k8snb.client.controller import OWNER, Controller
from k8snb.client.informer import Informer
from k8snb.client.workqueue import WorkQueue
from k8snb.controllers.pods import batch_period
from k8snb.controllers.selecting import SelectorOf, index_selectors, orphans, selecting


def owned(informer: Informer, owner: Object) -> Iterator[Object]:
    """The objects whose controller is `owner`, from the cache."""
    uid = uid_of(owner)
    for obj in list(informer.by_index(OWNER, uid)):
        reference = controller_of(obj)
        if reference is not None and reference["uid"] == uid:
            yield obj


class Claimants:
    """The owners of a kind that a change of an object concerns: its controller, or for an orphan who would adopt it."""

    def __init__(
        self, queue: WorkQueue, owners: Informer, *, kind: str, selector_of: SelectorOf, size: str = "status.replicas"
    ) -> None:  # fmt: skip
        index_selectors(owners, selector_of)
        self._queue = queue
        self._owners = owners
        self._kind = kind
        self._selector_of = selector_of
        self._size = size  # where an owner says how many pods it has

    def tell(self, old: Object | None, new: Object | None, *, at_once: bool = True) -> None:
        """Queue them for a look: at once, or a little later, for many more of a large set's pods may change too."""
        for obj in {id(obj): obj for obj in (old, new) if obj}.values():
            for key in self._keys(obj):
                pause = 0.0 if at_once else batch_period(get_path(self._owners.by_key(key) or {}, self._size, 0))
                if pause:
                    self._queue.add_after(key, pause)
                else:
                    self._queue.add(key, revision_of(new or obj))

    def _keys(self, obj: Object) -> Iterator[str]:
        reference = controller_of(obj)
        if reference is None:
            yield from map(key_of, selecting(self._owners, self._selector_of, obj))
        elif reference["kind"] == self._kind:
            yield f"{namespace_of(obj)}/{reference['name']}"


def claim(
    controller: Controller,
    key: str,
    owner: Object,
    selector: Selector,
    informer: Informer,
    *,
    finalizer: str = "",
    belongs: Callable[[Object], bool] = lambda obj: True,
) -> list[Object]:
    """The objects of `owner`: it adopts what `selector` picks and nobody controls, and releases the rest.

    What is adopted gets the finalizer, what is released loses it. `belongs` is what they need beside the labels.
    """
    kept = []
    for obj in owned(informer, owner):
        if selector.matches(labels_of(obj)) and belongs(obj):
            kept.append(obj)
        elif not is_deleting(obj) and not is_deleting(owner):
            left = [name for name in _finalizers(obj) if name != finalizer]
            _rewrite(controller, key, informer, obj, released(obj, uid_of(owner)), left)
    if is_deleting(owner):
        return kept
    found = list(filter(belongs, orphans(informer, namespace_of(owner), selector)))
    return [*kept, *_adopt(controller, key, owner, informer, found, finalizer)]


def _adopt(
    controller: Controller, key: str, owner: Object, informer: Informer, found: list[Object], finalizer: str
) -> Iterator[Object]:
    for obj in found:
        if is_deleting(obj):
            continue
        references = [*(obj["metadata"].get("ownerReferences") or ()), controller_reference(owner)]
        kept = _finalizers(obj)
        held = [*kept, finalizer] if finalizer and finalizer not in kept else kept
        adopted = _rewrite(controller, key, informer, obj, references, held)
        if adopted is not None:
            yield adopted


def released(obj: Object, uid: str) -> list[Object]:
    """An object's owner references without those to one owner."""
    return [reference for reference in obj["metadata"].get("ownerReferences") or () if reference["uid"] != uid]


def _finalizers(obj: Object) -> list[str]:
    return obj["metadata"].get("finalizers") or []


def _rewrite(
    controller: Controller, key: str, informer: Informer, obj: Object, references: list[Object], held: list[str]
) -> Object | None:
    """Set the owner references and finalizers of exactly this object; None when it is gone."""
    patch: Object = {"metadata": {"uid": uid_of(obj), "ownerReferences": references or None}}
    patch["metadata"]["resourceVersion"] = obj["metadata"]["resourceVersion"]
    if held != _finalizers(obj):
        patch["metadata"]["finalizers"] = held or None
    try:
        written = controller.client.patch(informer.resource, name_of(obj), patch, namespace_of(obj), content_type=MERGE)
    except ApiError as error:
        if error.code == 404:
            return None
        raise
    controller.wrote(key, informer, written)
    return written
