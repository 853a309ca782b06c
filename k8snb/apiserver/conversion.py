"""kube-apiserver's conversion: between the version that a client speaks and the one that is kept.

Interface: `seen(kind, obj)`, `seen_all`, `stored(kind, obj)`, `to_write`, `ended`, `seen_record(kind, record)`;
`CONVERSIONS`, a row for each built-in version that is not kept itself. Where a webhook converts, all may raise Outcall.
The rule not to break: there and back loses nothing that a client of either version can say.
Real Kubernetes converts through an internal version (`pkg/apis/*/v*/conversion.go`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from k8snb.apimachinery.kinds import BY_GVK, Custom, Kind
from k8snb.apimachinery.meta import Object
from k8snb.apiserver.conversion_autoscaling import seen_v1, stored_v1
from k8snb.etcd import DELETE, Record

Convert = Callable[[Object], Object]


class Conversion(NamedTuple):
    """The way out of the store, and the way in. `apiVersion` is seen to elsewhere."""

    seen: Convert
    stored: Convert


def storage_kind(kind: Kind) -> Kind:
    """The built-in kind that objects of a kind are kept as: itself, as a rule."""
    return BY_GVK[kind.kept_as, kind.kind] if kind.kept_as else kind


def seen(kind: Kind, obj: Object) -> Object:
    """An object from the store as a client of this version sees it; the object itself where that is the same."""
    if not kind.converts:
        return obj
    if kind.custom is None:
        return {**CONVERSIONS[kind.api_version, kind.kind].seen(obj), "apiVersion": kind.api_version}
    if obj["apiVersion"] != kind.api_version:
        obj = _converted(kind.custom, obj, kind.api_version)
    shown: Object = kind.custom.checker.shape(obj)
    return shown


def seen_all(kind: Kind, objects: list[Object]) -> list[Object]:
    """The same for many objects, which are converted together."""
    if kind.custom is not None and kind.custom.converter is not None:
        kind.custom.converter.convert(objects, kind.api_version)
    return [seen(kind, obj) for obj in objects] if kind.converts else objects


def to_write(kind: Kind, obj: Object) -> Object:
    """An object in the version that is kept, just before it is. What this client sees of it is known from then on."""
    kept = stored(kind, obj)
    _remember(kind, kept, obj)
    return kept


def ended(kind: Kind, kept: Object, obj: Object) -> Object:
    """What a client of this version sees of an object that has just left the store, last seen as `obj`."""
    _remember(kind, kept, obj)
    return seen(kind, kept)


def _remember(kind: Kind, kept: Object, obj: Object) -> None:
    """Nobody has to be asked what an object is that has just come from the client."""
    if kind.custom is not None and kind.custom.converter is not None and kept["apiVersion"] != kind.api_version:
        kind.custom.converter.remember(kept, {**obj, "apiVersion": kind.api_version, "metadata": kept["metadata"]})


def _converted(custom: Custom, obj: Object, api_version: str) -> Object:
    if custom.converter is None:
        return {**obj, "apiVersion": api_version}
    found: Object = custom.converter.convert([obj], api_version)[0]
    return found


def seen_record(kind: Kind, record: Record) -> Record:
    """The same for a record and for the one before it."""
    if not kind.converts:
        return record
    before = record.previous
    if before is not None:
        before = before.replaced(value=seen(kind, before.value))
        if record.sort == DELETE:
            _remember(kind, record.value, before.value)
    return record.replaced(value=seen(kind, record.value), previous=before)


def stored(kind: Kind, obj: Object) -> Object:
    """An object in the version that is kept."""
    if kind.kept_as:
        return {**CONVERSIONS[kind.api_version, kind.kind].stored(obj), "apiVersion": kind.kept_as}
    if kind.custom is None or kind.custom.storage == kind.version:
        return obj
    return {**_converted(kind.custom, obj, f"{kind.group}/{kind.custom.storage}")}


def _renamed(names: Mapping[str, str]) -> Convert:
    return lambda obj: {names.get(field, field): value for field, value in obj.items()}


_EVENT_FIELDS = {  # core/v1 → events.k8s.io/v1
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}

CONVERSIONS: Mapping[tuple[str, str], Conversion] = {
    ("autoscaling/v1", "HorizontalPodAutoscaler"): Conversion(seen=seen_v1, stored=stored_v1),
    ("events.k8s.io/v1", "Event"): Conversion(
        seen=_renamed(_EVENT_FIELDS), stored=_renamed({new: old for old, new in _EVENT_FIELDS.items()})
    ),
}
