"""Object metadata: names, owners, conditions, and paths into objects.

Interface: small pure functions on plain dicts. The rule not to break: nothing here mutates what it is given.
Source: `apimachinery/pkg/apis/meta/v1` in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

Object = dict[str, Any]


def name_of(obj: Mapping[str, Any]) -> str:
    name: str = obj["metadata"].get("name", "")
    return name


def namespace_of(obj: Mapping[str, Any]) -> str:
    namespace: str = obj["metadata"].get("namespace", "")
    return namespace


def key_of(obj: Mapping[str, Any]) -> str:
    """`namespace/name`, or `name` for what has no namespace: the key that work queues carry."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    name: str = metadata["name"]
    return f"{namespace}/{name}" if namespace else name


def split_key(key: str) -> tuple[str, str]:
    """The namespace ("" for none) and name in a key."""
    namespace, _, name = key.rpartition("/")
    return namespace, name


def uid_of(obj: Mapping[str, Any]) -> str:
    uid: str = obj["metadata"].get("uid", "")
    return uid


def revision_of(obj: Mapping[str, Any]) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)


def labels_of(obj: Mapping[str, Any]) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def annotations_of(obj: Mapping[str, Any]) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def is_deleting(obj: Mapping[str, Any]) -> bool:
    """Whether a deletion has begun (`metadata.deletionTimestamp` is set)."""
    return "deletionTimestamp" in obj["metadata"]


def controller_of(obj: Mapping[str, Any]) -> Object | None:
    """The owner reference of the controller that manages this object, if one does."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            owner: Object = reference
            return owner
    return None


def controller_reference(owner: Mapping[str, Any]) -> Object:
    """The owner reference that makes `owner` the controller of another object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def get_path(obj: Any, path: str | Iterable[str], default: Any = None) -> Any:
    """What lies at a dotted path (`spec.template.metadata.labels`), or `default` where the path ends early."""
    for part in _parts(path) if isinstance(path, str) else path:
        if (type(obj) is not dict and not isinstance(obj, Mapping)) or part not in obj:
            return default
        obj = obj[part]
    return obj


@lru_cache(maxsize=1024)
def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.split("."))


def with_path(obj: Mapping[str, Any], path: str | Iterable[str], value: Any) -> Object:
    """A copy of `obj` with `value` at the path; what is not on the way is shared with the original."""
    parts = path.split(".") if isinstance(path, str) else list(path)
    head, rest = parts[0], parts[1:]
    return {**obj, head: with_path(obj.get(head) or {}, rest, value) if rest else value}


def with_metadata(obj: Mapping[str, Any], **changes: Any) -> Object:
    """A copy of `obj` with metadata fields set; a value of None removes the field."""
    metadata = {key: value for key, value in {**obj["metadata"], **changes}.items() if value is not None}
    return {**obj, "metadata": metadata}


def condition(obj: Mapping[str, Any], sort: str) -> Object | None:
    """The entry of `status.conditions` with this type."""
    for entry in get_path(obj, "status.conditions") or ():
        if entry.get("type") == sort:
            found: Object = entry
            return found
    return None


def is_true(obj: Mapping[str, Any], sort: str) -> bool:
    """Whether a condition is there and "True"."""
    entry = condition(obj, sort)
    return entry is not None and entry.get("status") == "True"


def with_condition(conditions: Iterable[Object], entry: Object, now: str) -> list[Object]:
    """Conditions with one set; `lastTransitionTime` moves only when the status changes."""
    kept = [old for old in conditions if old.get("type") != entry["type"]]
    old = next((old for old in conditions if old.get("type") == entry["type"]), None)
    changed = old is None or old.get("status") != entry["status"]
    moment = now if changed or old is None else old.get("lastTransitionTime", now)
    return [*kept, {**entry, "lastTransitionTime": moment}]


def same_template(left: Mapping[str, Any], right: Mapping[str, Any], ignore: str = "pod-template-hash") -> bool:
    """Whether two pod templates say the same, apart from one label that controllers add."""

    def clean(template: Mapping[str, Any]) -> Object:
        labels = {key: value for key, value in (get_path(template, "metadata.labels") or {}).items() if key != ignore}
        metadata = {**(template.get("metadata") or {}), "labels": labels}
        metadata = {key: value for key, value in metadata.items() if value}
        return {**template, "metadata": metadata}

    return clean(left) == clean(right)
