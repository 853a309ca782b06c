"""kubectl apply: declarative management, "make it so".

Interface: `COMMANDS`.
The rule not to break: what the user wrote last time is in an annotation; only what the user wrote then and does not
write any more is removed, and the fields of others stay. With `--server-side`, the server sees to that.
Source: `kubectl/pkg/cmd/apply`.
"""

from __future__ import annotations

from k8snb.apimachinery import patch as patches
from k8snb.apimachinery import schema
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, annotations_of, is_deleting, labels_of, name_of, with_metadata
from k8snb.apimachinery.selectors import parse_selector
from k8snb.client.client import MERGE, STRATEGIC
from k8snb.kubectl import apply_force, flags, last_applied, prune, server_side_apply
from k8snb.kubectl.create import LAST_APPLIED, with_hints, with_last_applied
from k8snb.kubectl.delete import wait_for_the_end
from k8snb.kubectl.grammar import ARRAY, BOOL, Arguments, Command, Flag, usage_error
from k8snb.kubectl.last_applied import original_of
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found
from k8snb.kubectl.results import Results
from k8snb.kubectl.session import CLIENT, NONE, Session, dry_run, options
from k8snb.kubectl.sources import Item, documents

_MANAGER = "kubectl-client-side-apply"
_WAITS = "apply --wait waits for what --prune deletes, not for what it makes: for that there is kubectl wait"


def run(session: Session, args: Arguments) -> Output:
    if args.words:
        raise usage_error(f"Unexpected args: [{' '.join(args.words)}]", args.command)
    if not args.from_files:
        raise KubectlError("error: must specify one of -f and -k")
    server_side_apply.check(args)
    prune.check(args)
    apply_force.check(args)
    items, errors = documents(session, args)
    results = Results(session, args)
    results.errors = errors
    selector = parse_selector(args.text("selector"))
    chosen = [item for item in items if selector.matches(labels_of(item.object))]
    if not chosen and not errors:
        raise KubectlError("error: no objects passed to apply")
    for item in chosen:
        try:
            obj, done = _apply(session, args, item)
            results.add(obj, done)
        except KubectlError as error:
            results.fail(error)
    superfluous = prune.superfluous(session, args, items) if args.on("prune") and not results.errors else ()
    pruned = [found for found in superfluous if _prune(session, args, found, results)]
    if args.on("wait") and dry_run(args) == NONE:
        wait_for_the_end(session, args, pruned, results)
    output = results.output(as_list=len(results.objects) > 1)
    output = with_hints(session, output, results.objects, args)
    output.hints += [_WAITS] if args.on("wait") and not args.on("prune") else []
    return output


def _prune(session: Session, args: Arguments, found: Found, results: Results) -> bool:
    try:
        if dry_run(args) != CLIENT:
            session.client.delete(found.kind, found.name, found.namespace, **prune.options(args))
        results.add(found.object, "pruned")
    except ApiError as error:
        results.fail(refused(error))
        return False
    return True


def _apply(session: Session, args: Arguments, item: Item) -> tuple[Object, str]:
    """Bring one object about: what it is then, and the word for what was done."""
    wanted = with_last_applied(with_metadata(item.object, namespace=item.namespace or None))
    if name_of(wanted) and args.on("server-side"):
        return server_side_apply.apply(session, args, item), server_side_apply.DONE
    if not name_of(wanted):
        line = item.document.line_of("metadata")
        raise KubectlError(f'error: error when retrieving current configuration of "{item.source}": '
                           "resource name may not be empty", line=line, source=item.source)  # fmt: skip
    doing = "retrieving current configuration of"
    try:
        current = session.client.find(item.kind, name_of(wanted), item.namespace)
        if current is None:
            doing = "creating"
            return _create(session, args, item, wanted), "created"
        doing = "applying patch to"
        return _patch(session, args, item, wanted, current)
    except ApiError as error:
        raise refused(error, doing=doing, source=item.source, document=item.document) from None


def _create(session: Session, args: Arguments, item: Item, wanted: Object) -> Object:
    if dry_run(args) == CLIENT:
        return wanted
    return session.client.create(item.kind, wanted, item.namespace, **options(args, _MANAGER))


def _patch(session: Session, args: Arguments, item: Item, wanted: Object, current: Object) -> tuple[Object, str]:
    if dry_run(args) == CLIENT:
        return current, "configured"  # kubectl does not look whether there is a difference
    _remark(session, item.kind, current)
    change, content_type = change_to(item.kind, wanted, current)
    if not change:
        return current, "unchanged"
    if not args.on("overwrite"):
        apply_force.refuse_conflicts(item.kind, change, current)
    try:
        patched = session.client.patch(
            item.kind, name_of(wanted), change, item.namespace, content_type=content_type, **options(args, _MANAGER)
        )
    except ApiError as error:
        if not args.on("force") or error.reason not in apply_force.REASONS:
            raise
        return apply_force.put_anew(session, args, Found(item.kind, current), wanted, _MANAGER), "configured"
    same = dry_run(args) == NONE and patched["metadata"]["resourceVersion"] == current["metadata"]["resourceVersion"]
    return patched, "unchanged" if same else "configured"


def change_to(kind: Kind, wanted: Object, current: Object) -> tuple[Object, str]:
    """The patch from the live object to what is wanted, and its content type."""
    content_type = MERGE if kind.custom is not None or kind.remote else STRATEGIC
    return three_way(original_of(current), wanted, current), content_type


def three_way(original: Object | None, modified: Object, current: Object) -> Object:
    """The patch from the live object to what is wanted; {} where there is nothing to do."""
    shape = schema.load().definition(modified["apiVersion"], modified["kind"])
    change: Object = patches.three_way_merge(original, modified, current, shape)
    return change


def _remark(session: Session, kind: Kind, current: Object) -> None:
    name = f"{kind.qualified}/{name_of(current)}"
    if LAST_APPLIED not in annotations_of(current):
        session.warnings.append(
            f"resource {name} is missing the {LAST_APPLIED} annotation which is required by kubectl apply. kubectl "
            "apply should only be used on resources created declaratively by either kubectl create --save-config or "
            "kubectl apply. The missing annotation will be patched automatically."
        )
    if is_deleting(current):
        session.warnings.append(f"Detected changes to resource {name} which is currently being deleted.")


_GROUP = "Advanced Commands"

COMMANDS = (
    Command(
        name="apply",
        usage="-f FILENAME [flags]",
        help="Bring the cluster to what manifests say: create what is missing, change what differs.",
        group=_GROUP,
        run=run,
        flags=(
            *flags.FILES, flags.SELECTOR, flags.VALIDATE, *flags.WRITING,
            Flag("server-side", BOOL, "Let the server merge, and keep who wrote which field."),
            Flag("force-conflicts", BOOL, "With --server-side: take fields over from other managers."),
            Flag("prune", BOOL, "Delete what was applied once and is in the manifests no longer. Needs -l or --all."),
            Flag("prune-allowlist", ARRAY, "The kinds that --prune may delete, GROUP/VERSION/KIND; repeatable."),
            Flag("all", BOOL, "With --prune: whatever its labels."), flags.CASCADE, flags.GRACE_PERIOD,
            Flag("force", BOOL, "Delete and create anew what cannot be changed."),
            Flag("overwrite", BOOL, "With =false: leave fields alone that others have changed since.", default=True),
            Flag("wait", BOOL, "With --prune: wait until what was deleted is gone."),
            flags.TIMEOUT, flags.SUBRESOURCE,
        ),
        missing=("openapi-patch",),
        examples=("kubectl apply -f web.yaml", "kubectl apply -f config/ -R", "kubectl apply -f - --dry-run=server",
                  "kubectl apply --server-side -f web.yaml"),
    ),
    *last_applied.COMMANDS,
)  # fmt: skip
