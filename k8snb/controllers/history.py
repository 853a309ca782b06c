"""The controller history: the templates that a StatefulSet or DaemonSet has had, as ControllerRevisions.

Interface: `snapshot` and `restored` lead from a set to what a revision holds and back; `new_revision`, `by_number`,
`next_number`, `history_hash`, `latest_equal`, all pure.
The rule not to break: a revision's data never changes; going back gives an old revision a new number.
Source: `pkg/controller/history/controller_history.go`, `getPatch` in pkg/controller/{statefulset,daemon}.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from k8snb.apimachinery.meta import (
    Object,
    annotations_of,
    controller_reference,
    get_path,
    name_of,
    namespace_of,
    with_path,
)
from k8snb.controllers.deployment_revisions import ALPHABET

LONGEST_PREFIX = 223  # of a name that a hash is added to
FNV_OFFSET, FNV_PRIME = 0x811C9DC5, 0x01000193


def snapshot(owner: Object) -> Object:
    """The strategic merge patch that brings this pod template back.

    Its fields stand in order and `creationTimestamp` is null, as Go writes them: kubectl compares the bytes.
    """
    template = owner["spec"]["template"]
    metadata = {"creationTimestamp": None, **(template.get("metadata") or {})}
    return {"spec": {"template": _in_order({**template, "metadata": metadata, "$patch": "replace"})}}


def _in_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value)}
    return [_in_order(entry) for entry in value] if isinstance(value, list) else value


def restored(owner: Object, revision: Object) -> Object:
    """The set with the pod template of a revision; itself where it is that template."""
    data = revision["data"]["spec"]["template"]
    present = owner["spec"]["template"]
    template = {key: value for key, value in data.items() if key != "$patch"}
    metadata = {key: value for key, value in (data.get("metadata") or {}).items() if value is not None}
    if metadata or "metadata" in present:
        template["metadata"] = metadata
    else:
        template.pop("metadata", None)
    return owner if template == present else with_path(owner, "spec.template", template)


def history_hash(data: Object, collisions: int) -> str:
    """FNV-32 over the patch and the collisions so far, in letters that spell no word."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + str(collisions)
    number = FNV_OFFSET
    for byte in text.encode():
        number = (number * FNV_PRIME & 0xFFFFFFFF) ^ byte
    return "".join(ALPHABET[ord(digit) % len(ALPHABET)] for digit in str(number))


def new_revision(owner: Object, number: int, label: str, hash: str) -> Object:
    """The ControllerRevision of the set's template; `label` names the label that carries its hash."""
    labels: Mapping[str, str] = get_path(owner, "spec.template.metadata.labels") or {}
    metadata: Object = {
        "name": f"{name_of(owner)[:LONGEST_PREFIX]}-{hash}",
        "namespace": namespace_of(owner),
        "labels": {**labels, label: hash},
        "ownerReferences": [controller_reference(owner)],
    }
    if annotations := annotations_of(owner):
        metadata["annotations"] = annotations
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata,
        "data": snapshot(owner),
        "revision": number,
    }


def number_of(revision: Object) -> int:
    number: int = revision.get("revision", 0)
    return number


def by_number(revisions: Iterable[Object]) -> list[Object]:
    """The oldest first; of equal numbers the one made first."""
    return sorted(revisions, key=lambda one: (number_of(one), one["metadata"]["creationTimestamp"], name_of(one)))


def next_number(revisions: Iterable[Object]) -> int:
    return max(map(number_of, revisions), default=0) + 1


def latest_equal(revisions: Iterable[Object], data: Object) -> Object | None:
    """Of revisions in their order the last that holds this data."""
    return next((one for one in reversed(list(revisions)) if one["data"] == data), None)
