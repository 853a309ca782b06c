"""kubectl apply --force and --overwrite=false: what becomes of an object that cannot, or should not, be changed.

Interface: `check(args)`; `put_anew` deletes and creates; `refuse_conflicts` keeps what others have changed.
The rule not to break: an object that cannot be made anew is put back as it was.
Source: `deleteAndCreate` in `kubectl/pkg/cmd/apply/patcher.go`, `MergingMapsHaveConflicts` in
`apimachinery/pkg/util/strategicpatch`. Real kubectl takes its own annotation for a field that others have changed, and
so refuses every change with `--overwrite=false`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k8snb.apimachinery import schema
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, name_of, uid_of, with_metadata
from k8snb.apimachinery.schema import Field
from k8snb.kubectl import prune
from k8snb.kubectl.create import without_last_applied
from k8snb.kubectl.delete import policy_of
from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.last_applied import original_of
from k8snb.kubectl.output import KubectlError
from k8snb.kubectl.resources import Found
from k8snb.kubectl.session import SERVER, Session, dry_run, options
from k8snb.kubectl.two_way import difference

REASONS = ("Conflict", "Invalid")
PATIENCE = 600.0  # seconds for the old object to go, unless --timeout says otherwise
_SERVERS = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
_DIRECTIVES = ("$patch", "$retainKeys", "$setElementOrder/", "$deleteFromPrimitiveList/")


def check(args: Arguments) -> None:
    """Refuse flags that do not go together. Raises KubectlError."""
    policy_of(args)
    if args.on("force") and dry_run(args) == SERVER:
        raise KubectlError("error: --dry-run=server cannot be used with --force")


def put_anew(session: Session, args: Arguments, found: Found, wanted: Object, manager: str) -> Object:
    """Delete the object and create the wanted one. Raises ApiError, or KubectlError where the old one does not go."""
    session.client.delete(found.kind, found.name, found.namespace, **prune.options(args))

    def gone() -> bool:
        live = session.client.find(found.kind, found.name, found.namespace)
        return live is None or uid_of(live) != uid_of(found.object)

    if not session.wait(gone, args.seconds("timeout") or PATIENCE):
        raise KubectlError(f"error: timed out waiting for the condition on {found.kind.plural}/{found.name}")
    try:
        return session.client.create(found.kind, wanted, found.namespace, **options(args, manager))
    except ApiError:
        before = with_metadata(found.object, **dict.fromkeys(_SERVERS))
        session.client.create(found.kind, before, found.namespace, **options(args, manager))
        raise


def refuse_conflicts(kind: Kind, change: Object, current: Object) -> None:
    """Raises KubectlError where the change touches what somebody has changed since the last apply."""
    original = original_of(current) or {}
    bare = without_last_applied(current)
    changed, _ = difference(kind, {**original, "apiVersion": bare["apiVersion"], "kind": bare["kind"]}, bare)
    shape = schema.load().definition(bare["apiVersion"], bare["kind"])
    wanted = without_last_applied(change) if "metadata" in change else change
    paths = sorted(_clashes(wanted, changed, shape.as_field if shape is not None else None, ""))
    if paths:
        where = f'error: error when applying patch to {kind.plural} "{name_of(current)}"'
        said = f"it conflicts with changes made from original to current: {', '.join(paths)}"
        raise KubectlError(f"{where}: {said}; without --overwrite=false they are overwritten")


def _clashes(wanted: Any, changed: Any, field: Field | None, path: str) -> Iterator[str]:
    """The paths at which two patches of one object say different things."""
    if isinstance(wanted, dict) and isinstance(changed, dict):
        for key in wanted.keys() & changed.keys():
            if not key.startswith(_DIRECTIVES):
                inside = field.type.fields.get(key) if field is not None and field.type is not None else None
                yield from _clashes(wanted[key], changed[key], inside, f"{path}.{key}".lstrip("."))
    elif isinstance(wanted, list) and isinstance(changed, list) and field is not None and field.merge_key:
        yield from _entries_clash(wanted, changed, field, path)
    elif wanted != changed:
        yield path


def _entries_clash(wanted: list[Any], changed: list[Any], field: Field, path: str) -> Iterator[str]:
    key = field.merge_key
    others = {entry.get(key): entry for entry in changed if isinstance(entry, dict)}
    for entry in wanted:
        if isinstance(entry, dict) and entry.get(key) in others:
            yield from _clashes(entry, others[entry[key]], field.entry, f"{path}[{key}={entry[key]}]")
