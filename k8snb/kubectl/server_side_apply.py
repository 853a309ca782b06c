"""kubectl apply --server-side: the server merges, and keeps who wrote which field.

Interface: `apply(session, args, item)`.
The rule not to break: no field is taken from another manager without --force-conflicts.
Source: `kubectl/pkg/cmd/apply/apply.go`, `client-go/util/csaupgrade` (what a client-side apply wrote becomes kubectl's
own, so that leaving it out later removes it).
"""

from __future__ import annotations

from typing import Any

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.managed_fields import APPLY as APPLIED
from k8snb.apimachinery.managed_fields import UPDATE, Manager, Owned, decode, encode
from k8snb.apimachinery.meta import Object, annotations_of, name_of, with_metadata
from k8snb.client.client import APPLY, MERGE
from k8snb.kubectl.create import LAST_APPLIED, with_last_applied
from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import KubectlError
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.session import CLIENT, NONE, Session, dry_run, options
from k8snb.kubectl.sources import Item

MANAGER, CLIENT_SIDE, REMEMBERS = "kubectl", "kubectl-client-side-apply", "kubectl-last-applied"
DONE = "serverside-applied"
_WAYS_OUT = """
Others manage these fields. To manage them all yourself, apply again with --force-conflicts; to leave them to the
others, remove them from the manifest; to own them together, write the values that they have now.
See https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts"""


def check(args: Arguments) -> None:
    """Refuse flags that do not go together."""
    if args.on("server-side") and dry_run(args) == CLIENT:
        raise KubectlError("error: --dry-run=client doesn't work with --server-side (did you mean --dry-run=server "
                           "instead?)")  # fmt: skip
    if args.on("server-side") and args.on("force"):
        raise KubectlError("error: --force cannot be used with --server-side")
    if args.text("subresource") and not args.on("server-side"):
        raise KubectlError("error: --subresource can only be specified for --server-side")
    if args.on("force-conflicts") and not args.on("server-side"):
        raise KubectlError("error: --force-conflicts only works with --server-side")


def apply(session: Session, args: Arguments, item: Item) -> Object:
    """Bring one object about: what it is then."""
    query = options(args, MANAGER) | ({"subresource": door} if (door := args.text("subresource")) else {})
    obj = with_metadata(item.object, namespace=item.namespace or None)
    try:
        applied = _send(session, item, obj, {**query, "force": args.on("force-conflicts")})
        mine = query["fieldManager"] == MANAGER and not args.text("subresource")
        if mine and dry_run(args) == NONE:
            applied = _remember(session, item, obj, applied)
            if _take_over(session, item, applied):
                applied = _send(session, item, obj, query)
    except ApiError as error:
        if error.reason == "Conflict" and error.message.startswith("Apply failed"):
            raise KubectlError(f"error: {error.message}{_WAYS_OUT}", source=item.source) from None
        raise refused(error, document=item.document) from None
    return applied


def _send(session: Session, item: Item, obj: Object, query: dict[str, Any]) -> Object:
    return session.client.patch(item.kind, name_of(obj), obj, item.namespace, content_type=APPLY, **query)


def _remember(session: Session, item: Item, obj: Object, applied: Object) -> Object:
    """Keep the last-applied annotation true, where there is one, for a client-side apply that may follow.

    It has a manager of its own, so that it stays when kubectl takes over what client-side applies wrote.
    """
    if LAST_APPLIED not in annotations_of(applied):
        return applied
    text = annotations_of(with_last_applied(obj))[LAST_APPLIED]
    place = {field: obj["metadata"][field] for field in ("name", "namespace") if field in obj["metadata"]}
    noted = {"apiVersion": obj["apiVersion"], "kind": obj["kind"],
             "metadata": {**place, "annotations": {LAST_APPLIED: text}}}  # fmt: skip
    return _send(session, item, noted, {"fieldManager": REMEMBERS, "force": True})


def _take_over(session: Session, item: Item, applied: Object) -> bool:
    """Make what client-side applies wrote kubectl's own; whether there was anything."""
    live = session.client.get(item.kind, name_of(applied), item.namespace, managedFields=True)
    managers = decode(live["metadata"].get("managedFields") or [])
    annotation = ("f:metadata", "f:annotations", f"f:{LAST_APPLIED}")
    before = [manager for manager, owned in managers.items() if manager.operation == UPDATE
              and (manager.name == CLIENT_SIDE or annotation in owned.fields)]  # fmt: skip
    me = Manager(MANAGER, APPLIED)
    if not before or me not in managers:
        return False
    fields = managers[me].fields.union(*(managers.pop(manager).fields for manager in before))
    managers[me] = Owned(fields, managers[me].api_version, managers[me].time)
    metadata = {"managedFields": encode(managers), "resourceVersion": live["metadata"]["resourceVersion"]}
    session.client.patch(item.kind, name_of(live), {"metadata": metadata}, item.namespace, content_type=MERGE,
                         fieldManager=MANAGER)  # fmt: skip
    return True
