"""kubectl apply view-last-applied, set-last-applied, edit-last-applied: the manifest that an object remembers.

Interface: `COMMANDS`; `original_of(obj)`; `begin(session, args)`, an edit of it.
The rule not to break: nothing but the annotation changes. The next apply removes what stands in it and no longer in the
manifest.
Source: `kubectl/pkg/cmd/apply/apply_view_last_applied.go` and its neighbours for `set` and `edit`.
"""

from __future__ import annotations

import json
from typing import Any

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, annotations_of, name_of, with_metadata
from k8snb.client.client import MERGE
from k8snb.kubectl import edit, flags
from k8snb.kubectl.create import LAST_APPLIED, without_last_applied
from k8snb.kubectl.formats import to_yaml
from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag, usage_error
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found, select
from k8snb.kubectl.results import Results
from k8snb.kubectl.session import CLIENT, Session, dry_run, options
from k8snb.kubectl.sources import Item, documents
from k8snb.kubectl.templates import json_text

_NONE = "no last-applied-configuration annotation found on resource"


def original_of(obj: Object) -> Object | None:
    """The manifest that was applied last, as the object remembers it."""
    text = annotations_of(obj).get(LAST_APPLIED)
    if text is None:
        return None
    try:
        original: Any = json.loads(text)
    except ValueError:
        return None
    return original if isinstance(original, dict) else None


def view(session: Session, args: Arguments) -> Output:
    """`apply view-last-applied`: the manifest as it was applied last."""
    sort = args.text("output") or "yaml"
    if sort not in ("yaml", "json"):
        said = f"Unexpected -o output mode: {sort}, the flag 'output' must be one of yaml|json"
        raise usage_error(said, args.command)
    originals = [original_of(found.object) for found in select(session, args).require()]
    texts = ["\n" if original is None else _shown(without_last_applied(original), sort) for original in originals]
    return Output(text="".join(texts), objects=[each for each in originals if each is not None], format=sort)


def _shown(original: Object, sort: str) -> str:
    return json_text(original, indent=2) + "\n" if sort == "json" else to_yaml(original)


def _text(obj: Object) -> str:
    """A manifest as the annotation has it."""
    return json.dumps(without_last_applied(obj), separators=(",", ":"), sort_keys=True) + "\n"


def _required(found: Found) -> Object:
    original = original_of(found.object)
    if original is None:
        raise KubectlError(f"error: {_NONE}: {found.name}")
    return original


def set_(session: Session, args: Arguments) -> Output:
    """`apply set-last-applied`: the annotation as if the manifest had been applied."""
    if not args.texts("filename"):
        raise KubectlError("error: must specify one of -f and -k")
    items, errors = documents(session, args)
    if errors:
        raise errors[0]
    results = Results(session, args)
    unchanged = [name_of(item.object) for item in items if not _set(session, args, item, results)]
    output = results.output()
    output.text = "".join(f"set-last-applied {name}: no changes required.\n" for name in unchanged) + output.text
    return output


def _set(session: Session, args: Arguments, item: Item, results: Results) -> bool:
    """Set the annotation of one object; whether that changed it."""
    name = name_of(item.object)
    text = _text(with_metadata(item.object, namespace=item.namespace or None))
    try:
        live = session.client.get(item.kind, name, item.namespace)
        if LAST_APPLIED not in annotations_of(live) and not args.on("create-annotation"):
            hint = "to create the annotation, run the command with --create-annotation"
            raise KubectlError(f"error: {_NONE}: {name}, {hint}")
        if annotations_of(live).get(LAST_APPLIED) == text:
            return False
        results.add(_written(session, args, Found(item.kind, live), text), "configured")
    except ApiError as error:
        raise refused(error, source=item.source, document=item.document) from None
    return True


def _written(session: Session, args: Arguments, found: Found, text: str) -> Object:
    if dry_run(args) == CLIENT:
        return found.object
    body = {"metadata": {"annotations": {LAST_APPLIED: text}}}
    return session.client.patch(found.kind, found.name, body, found.namespace, content_type=MERGE, **options(args))


class LastAppliedDraft(edit.Draft):
    """An edit of the manifests that objects remember."""

    def __init__(self, session: Session, args: Arguments, live: list[Found]) -> None:
        remembered = [Found(found.kind, without_last_applied(_required(found))) for found in live]
        super().__init__(session, args, remembered)

    def _send(self, found: Found, obj: Object, results: Results) -> list[str]:
        text = _text(obj)
        if text != _text(found.object):
            results.add(_written(self._session, self._args, found, text), "edited")
        return []


def begin(session: Session, args: Arguments) -> edit.Draft:
    """An edit of the manifests that the objects named remember."""
    selection = select(session, args, names_only=True)
    found = selection.require()
    if selection.errors:
        raise selection.errors[0]
    return LastAppliedDraft(session, args, found)


def edit_(session: Session, args: Arguments) -> Output:
    """`apply edit-last-applied`, in the editor of a terminal."""
    return edit.until_saved(session, begin(session, args), windows=args.on(flags.WINDOWS.name))


_GROUP = "Advanced Commands"

COMMANDS = (
    Command(
        name="apply view-last-applied",
        usage="(TYPE NAME | TYPE/NAME | -f FILENAME) [flags]",
        help="Show the manifest that was applied last.",
        group=_GROUP,
        run=view,
        flags=(*flags.FILES, flags.SELECTOR, flags.ALL,
               Flag("output", help="Format: yaml or json.", short="o", values=("yaml", "json"))),
        words="resources",
        examples=("kubectl apply view-last-applied deployment/web -o json",),
    ),
    Command(
        name="apply set-last-applied",
        usage="-f FILENAME [flags]",
        help="Remember a manifest as applied, without changing anything else.",
        group=_GROUP,
        run=set_,
        flags=(flags.FILENAME, flags.RECURSIVE, flags.DRY_RUN, *flags.PRINTING,
               Flag("create-annotation", BOOL, "Make the annotation where the object has none.")),
        examples=("kubectl apply set-last-applied -f web.yaml", "kubectl apply set-last-applied -f web.yaml "
                  "--create-annotation"),
    ),
    Command(
        name="apply edit-last-applied",
        usage="(RESOURCE/NAME | -f FILENAME) [flags]",
        help="Edit the manifest that an object remembers as applied last.",
        group=_GROUP,
        run=edit_,
        flags=(*flags.FILES, flags.SELECTOR, flags.ALL,
               Flag("output", help="Edit as yaml or as json.", short="o", values=("yaml", "json")),
               flags.FIELD_MANAGER, flags.WINDOWS),
        missing=("allow-missing-template-keys", "show-managed-fields", "template", "validate"),
        words="resources",
        examples=("kubectl apply edit-last-applied deployment/web -o json",),
    ),
)  # fmt: skip
