"""kubectl diff: what apply would change, before it does.

Interface: `COMMANDS`; `masked(live, merged)`, two Secrets that may be shown.
The rule not to break: nothing is written; what would be there afterwards, the server says in a dry run.
Source: `kubectl/pkg/cmd/diff`. Real kubectl writes two directories and calls the program `diff`.
"""

from __future__ import annotations

import difflib

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, annotations_of, labels_of, name_of, with_metadata
from k8snb.apimachinery.selectors import parse_selector
from k8snb.client.client import APPLY
from k8snb.kubectl import apply, flags, prune, server_side_apply
from k8snb.kubectl.formats import to_yaml
from k8snb.kubectl.grammar import ARRAY, BOOL, Arguments, Command, Flag, usage_error
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.session import Session, options
from k8snb.kubectl.sources import Item, documents

Sides = tuple[Object | None, Object | None]  # the object before and after; None: not there
TROUBLE = 2  # the exit code of a comparison that could not be made; 1 is that of a difference
_MANAGER = "kubectl-client-side-apply"


def run(session: Session, args: Arguments) -> Output:
    if args.words:
        raise usage_error(f"unexpected args: [{' '.join(args.words)}]", args.command)
    if not args.from_files:
        raise KubectlError("error: must specify one of -f and -k", exit_code=TROUBLE)
    try:
        return _compare(session, args)
    except KubectlError as error:
        error.exit_code = TROUBLE
        raise


def _compare(session: Session, args: Arguments) -> Output:
    items, errors = documents(session, args)
    if errors:
        raise errors[0]
    selector, pairs = parse_selector(args.text("selector")), dict[str, Sides]()
    for item in items:
        if selector.matches(labels_of(item.object)):
            pairs[_file(item.kind, item.object, item.namespace)] = _sides(session, args, item)
    if args.on("prune"):
        for found in prune.superfluous(session, args, items):
            pairs[_file(found.kind, found.object, found.namespace)] = (found.object, None)
    text = "".join(_difference(name, *pairs[name], args) for name in sorted(pairs))
    return Output(text=text, exit_code=int(bool(text)), format="diff")


def _sides(session: Session, args: Arguments, item: Item) -> Sides:
    """The object as it is, and as apply would leave it."""
    name, client = name_of(item.object), session.client
    query = {**options(args, _MANAGER), "dryRun": True}
    wanted = with_metadata(item.object, namespace=item.namespace or None)
    live: Object | None = None
    try:
        if client.find(item.kind, name, item.namespace) is not None:
            live = client.get(item.kind, name, item.namespace, managedFields=args.on("show-managed-fields"))
        if args.on("server-side"):
            manager = args.text("field-manager") or server_side_apply.MANAGER
            query |= {"fieldManager": manager, "force": args.on("force-conflicts")}
            return live, client.patch(item.kind, name, wanted, item.namespace, content_type=APPLY, **query)
        if live is None:
            return None, client.create(item.kind, wanted, item.namespace, **query)
        wanted = with_metadata(wanted, annotations=annotations_of(wanted))
        change, content_type = apply.change_to(item.kind, wanted, live)
        return live, client.patch(item.kind, name, change, item.namespace, content_type=content_type, **query)
    except ApiError as error:
        doing = "patching" if live is not None else "creating"
        raise refused(error, doing=doing, source=item.source, document=item.document) from None


def _file(kind: Kind, obj: Object, namespace: str) -> str:
    """What the real kubectl calls the two files: `apps.v1.Deployment.default.web`."""
    return ".".join(part for part in (kind.group, kind.version, kind.kind) if part) + f".{namespace}.{name_of(obj)}"


def _difference(name: str, live: Object | None, merged: Object | None, args: Arguments) -> str:
    """A unified diff, empty where there is none."""
    if name.startswith("v1.Secret."):
        live, merged = masked(live, merged)
    if not args.on("show-managed-fields"):
        live, merged = _without_managers(live), _without_managers(merged)
    before, after = (to_yaml(side).splitlines(keepends=True) if side is not None else [] for side in (live, merged))
    lines = list(difflib.unified_diff(before, after, f"LIVE/{name}", f"MERGED/{name}"))
    head = f"diff -u -N LIVE/{name} MERGED/{name}\n" if lines else ""
    return head + "".join(lines)


def _without_managers(side: Object | None) -> Object | None:
    return side and with_metadata(side, managedFields=None)


def masked(live: Object | None, merged: Object | None) -> Sides:
    """A Secret's two sides without what is secret, but with what differs."""
    before, after = (dict((side or {}).get("data") or {}) for side in (live, merged))
    for key in before.keys() | after.keys():
        differs = key in before and key in after and before[key] != after[key]
        for data, word in ((before, "*** (before)"), (after, "*** (after)")):
            if key in data:
                data[key] = word if differs else "***"
    hidden = ({**side, "data": data} if side is not None else None for side, data in ((live, before), (merged, after)))
    return next(hidden), next(hidden)


COMMANDS = (
    Command(
        name="diff",
        usage="-f FILENAME [flags]",
        help="Show what apply would change. Exit code 0: nothing, 1: something, 2: it cannot be told.",
        group="Advanced Commands",
        run=run,
        flags=(
            *flags.FILES, flags.SELECTOR, flags.FIELD_MANAGER, flags.MANAGED_FIELDS,
            Flag("server-side", BOOL, "As apply --server-side would change it."),
            Flag("force-conflicts", BOOL, "With --server-side: as if fields were taken over from other managers."),
            Flag("prune", BOOL, "Show also what apply --prune would delete."),
            Flag("prune-allowlist", ARRAY, "The kinds that --prune may delete, GROUP/VERSION/KIND; repeatable."),
        ),
        missing=("concurrency",),
        examples=("kubectl diff -f web.yaml", "kubectl diff -f config/ -R", "kubectl diff -f - --server-side"),
    ),
)  # fmt: skip
