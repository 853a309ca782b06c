"""kubectl patch and replace: part of an object, or the whole of it.

Interface: `COMMANDS`.
The rule not to break: `replace` keeps nothing of what was there; `patch` keeps all that it does not name.
Source: `kubectl/pkg/cmd/patch`, `kubectl/pkg/cmd/replace`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from k8snb.apimachinery import manifest, schema
from k8snb.apimachinery import patch as patches
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.json_patch import json_patch
from k8snb.apimachinery.manifest import ManifestError
from k8snb.apimachinery.meta import Object, get_path, name_of, uid_of, with_metadata
from k8snb.client.client import JSON, MERGE, STRATEGIC
from k8snb.kubectl import flags, raw
from k8snb.kubectl.create import with_last_applied
from k8snb.kubectl.delete import policy_of
from k8snb.kubectl.formats import kind_name
from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag, usage_error
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found, select
from k8snb.kubectl.results import Results
from k8snb.kubectl.session import CLIENT, Session, dry_run, options
from k8snb.kubectl.sources import Item, documents

_TYPES = {"strategic": STRATEGIC, "merge": MERGE, "json": JSON}


def run_patch(session: Session, args: Arguments) -> Output:
    content_type = _TYPES.get(args.text("type").lower())
    if content_type is None:
        raise KubectlError(f'error: --type must be one of [json merge strategic], not "{args.text("type")}"')
    body = _body(args, content_type)
    selection = select(session, args, names_only=True)
    results = Results(session, args)
    results.errors = selection.errors
    for found in selection.found:
        try:
            before = _before(session, args, found)
            changed = _patch(session, args, found, body, content_type)
            same = changed == before
            results.add(changed, "patched (no change)" if same else "patched")
        except ApiError as error:
            results.fail(refused(error))
    return results.output()


def _body(args: Arguments, content_type: str) -> Any:
    """The patch, from YAML or JSON. Raises KubectlError."""
    text = args.text("patch")
    if args.text("patch-file"):
        try:
            text = Path(args.text("patch-file")).expanduser().read_text(encoding="utf-8")
        except OSError as error:
            raise KubectlError(f"error: unable to read patch file: {error.strerror}") from None
    if not text:
        raise usage_error("must specify --patch or --patch-file containing the contents of the patch", args.command)
    try:
        body = _read(text)
    except ManifestError as error:
        raise KubectlError(f'error: unable to parse "{text}": {error.message}') from None
    if isinstance(body, list) is not (content_type == JSON):
        wanted = "a list of operations" if content_type == JSON else "an object"
        raise KubectlError(f"error: a patch of --type={args.text('type')} has to be {wanted}")
    return body


def _read(text: str) -> Any:
    """An object as it stands; a list as the one field of a manifest, which has to be an object."""
    is_list = text.lstrip()[:1] in ("[", "-")
    lines = "patch:\n" + "".join(f"  {line}\n" for line in text.splitlines()) if is_list else text
    loaded = manifest.load(lines, "patch")
    found = loaded[0].object if loaded else None
    return found["patch"] if is_list and found else found


def _before(session: Session, args: Arguments, found: Found) -> Object:
    """What is to be patched: the object, or the part of it that `--subresource` names."""
    door = args.text("subresource")
    return session.client.get(found.kind, found.name, found.namespace, subresource=door) if door else found.object


def _patch(session: Session, args: Arguments, found: Found, body: Any, content_type: str) -> Object:
    if dry_run(args) == CLIENT:
        return _locally(found.object, body, content_type)
    return session.client.patch(
        found.kind, found.name, body, found.namespace, content_type=content_type,
        subresource=args.text("subresource"), **options(args),
    )  # fmt: skip


def _locally(obj: Object, body: Any, content_type: str) -> Object:
    if content_type == JSON:
        changed: Object = json_patch(obj, body)
    elif content_type == MERGE:
        changed = patches.merge_patch(obj, body)
    else:
        shape = schema.load().definition(obj["apiVersion"], obj["kind"])
        changed = patches.strategic_merge(obj, body, shape)
    return changed


# replace


def run_replace(session: Session, args: Arguments) -> Output:
    if args.text("raw"):
        return raw.replace(session, args)
    if not args.from_files:
        raise KubectlError("error: must specify one of -f and -k")
    _check(args)
    items, errors = documents(session, args)
    results = Results(session, args)
    results.errors = errors
    for item in items:
        try:
            results.add(_replace(session, args, item, results), "replaced")
        except ApiError as error:
            results.fail(refused(error, doing="replacing", source=item.source, document=item.document))
        except KubectlError as error:
            results.fail(error)
    return results.output()


def _check(args: Arguments) -> None:
    """Refuse what only belongs to `--force`. Raises KubectlError."""
    policy_of(args)
    if args.on("force"):
        return
    if args.number("grace-period") >= 0:
        raise KubectlError("error: --grace-period must have --force specified")
    if args.seconds("timeout"):
        raise KubectlError("error: --timeout must have --force specified")


def _replace(session: Session, args: Arguments, item: Item, results: Results) -> Object:
    name = name_of(item.object)
    obj = with_last_applied(item.object) if args.on("save-config") else item.object
    obj = with_metadata(obj, namespace=item.namespace or None)
    if dry_run(args) == CLIENT:
        return obj
    if args.on("force"):
        _delete_first(session, args, item, results)
        return session.client.create(item.kind, obj, item.namespace, **options(args))
    live = session.client.get(item.kind, name, item.namespace)
    if not get_path(obj, "metadata.resourceVersion"):
        obj = with_metadata(obj, resourceVersion=live["metadata"]["resourceVersion"])
    return session.client.update(item.kind, obj, subresource=args.text("subresource"), **options(args))


def _delete_first(session: Session, args: Arguments, item: Item, results: Results) -> None:
    name = name_of(item.object)
    live = session.client.find(item.kind, name, item.namespace)
    if live is None:
        return
    grace, policy = max(args.number("grace-period"), 0), policy_of(args)
    session.client.delete(item.kind, name, item.namespace, gracePeriodSeconds=grace, propagationPolicy=policy)
    if not args.text("output"):
        results.remark(f'{kind_name(live)} "{name}" deleted')

    def gone() -> bool:
        now = session.client.find(item.kind, name, item.namespace)
        return now is None or uid_of(now) != uid_of(live)

    if not session.wait(gone, args.seconds("timeout") or grace + 60.0):
        raise KubectlError(f"error: timed out waiting for the condition on {item.kind.qualified}/{name}")


COMMANDS = (
    Command(
        name="patch",
        usage="(-f FILENAME | TYPE NAME) [-p PATCH|--patch-file FILE] [flags]",
        help="Change some fields of an object.",
        group="Advanced Commands",
        run=run_patch,
        flags=(
            Flag("patch", help="The patch, as JSON or YAML.", short="p"),
            Flag("patch-file", help="A file with the patch."),
            Flag("type", help="The format of the patch.", default="strategic", values=tuple(_TYPES)),
            flags.SUBRESOURCE, flags.LOCAL, *flags.FILES, *flags.WRITING,
        ),
        words="resources",
        examples=(
            "kubectl patch node node-1 -p '{\"spec\":{\"unschedulable\":true}}'",
            "kubectl patch deployment web -p 'spec: {replicas: 3}'",
            "kubectl patch pod web --type=json -p '[{\"op\":\"remove\",\"path\":\"/metadata/labels/app\"}]'",
        ),
    ),
    Command(
        name="replace",
        usage="-f FILENAME [flags]",
        help="Put the object of a manifest in the place of the one that is there.",
        group="Advanced Commands",
        run=run_replace,
        flags=(
            *flags.FILES, flags.FORCE, flags.CASCADE, flags.GRACE_PERIOD, flags.TIMEOUT,
            flags.SUBRESOURCE, flags.SAVE_CONFIG, flags.VALIDATE, *flags.WRITING, raw.FLAG,
            Flag("wait", BOOL, "With --force: wait until the old object is gone, which has to be so anyway."),
        ),
        examples=("kubectl replace -f pod.yaml", "kubectl replace --force -f pod.yaml"),
    ),
)  # fmt: skip
