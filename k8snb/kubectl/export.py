"""Export: the live state of a cluster as a directory of manifests.

Interface: `exported(client, …) -> Export`, and `write(export, directory)`.
The rule not to break: `kubectl apply -f DIRECTORY` on an empty cluster makes the same state, and an export of that one
the same files; Secrets are left out unless they are asked for, and whatever is left out is counted.
Real kubectl has no such command; tools beside it do this (`velero`, `kube-backup`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, name_of, namespace_of
from k8snb.client import Client
from k8snb.kubectl.formats import to_yaml
from k8snb.kubectl.manifests import clean, reason_to_leave
from k8snb.kubectl.output import KubectlError
from k8snb.kustomize.order import FIRST, LAST

MARK = "# Exported from a live cluster by k8snb.\n"
SECRET = "is a Secret"


@dataclass
class Export:
    """The manifests by file name, in the order in which they are to be applied, and how many were left out, by why."""

    manifests: dict[str, Object] = field(default_factory=dict)
    left: Counter[str] = field(default_factory=Counter)


def exported(client: Client, *, namespaces: Sequence[str] = (), selector: str = "", secrets: bool = False) -> Export:
    """What users made: everywhere, or in some namespaces alone."""
    export = Export()
    for kind, obj in _live(client, namespaces, selector):
        reason = reason_to_leave(kind, obj)
        if not reason and kind.kind == "Secret" and not secrets:
            reason = SECRET
        if reason:
            export.left[reason] += 1
        else:
            export.manifests[file_name(kind, obj)] = clean(kind, obj)
    export.manifests = dict(sorted(export.manifests.items()))
    return export


def _live(client: Client, namespaces: Sequence[str], selector: str) -> Iterator[tuple[Kind, Object]]:
    query = {"labelSelector": selector} if selector else {}
    seen: set[str] = set()
    for kind in client.kinds():
        if not {"list", "create"} <= set(kind.verbs) or (namespaces and not kind.namespaced):
            continue
        for namespace in namespaces or [""]:
            for obj in _items(client, kind, namespace, query):
                uid = obj["metadata"].get("uid", "")
                if uid not in seen:  # one object may be served in several groups, as Events are
                    seen.add(uid)
                    yield kind, obj


def _items(client: Client, kind: Kind, namespace: str, query: dict[str, str]) -> list[Object]:
    try:
        return client.items(kind, namespace, managedFields=True, **query)
    except ApiError as error:
        if error.code in (403, 404, 405, 503):
            return []
        raise


def file_name(kind: Kind, obj: Object) -> str:
    """`19-prod.deployment.web.yaml`: a number for the order, the namespace, the kind and the name."""
    rank = FIRST.index(kind.kind) if kind.kind in FIRST else 60 + LAST.index(kind.kind) if kind.kind in LAST else 50
    group = "" if kind.builtin else f".{kind.group}"
    parts = [namespace_of(obj), f"{kind.singular}{group}", name_of(obj)]
    return f"{rank:02}-{re.sub(r'[^A-Za-z0-9._-]', '_', '.'.join(part for part in parts if part))}.yaml"


def write(export: Export, directory: Path) -> None:
    """The manifests as files; those of an earlier export there are replaced. Raises KubectlError."""
    if not export.manifests:
        raise KubectlError("error: there is nothing to export: nobody but the cluster itself made an object there")
    if directory.exists() and not directory.is_dir():
        raise KubectlError(f"error: {directory} is a file: name a directory")
    directory.mkdir(parents=True, exist_ok=True)
    strange = [path.name for path in sorted(directory.glob("*")) if not _is_ours(path)]
    if strange:
        raise KubectlError(
            f"error: {directory} holds files that no export wrote ({strange[0]}): name another directory"
        )
    for path in directory.glob("*"):
        path.unlink()
    for name, obj in export.manifests.items():
        (directory / name).write_text(MARK + to_yaml(obj), encoding="utf-8")


def _is_ours(path: Path) -> bool:
    if not path.is_file() or path.suffix != ".yaml":
        return False
    with path.open("rb") as file:
        return file.read(len(MARK)) == MARK.encode()
