"""kubectl edit: objects as text, changed in an editor.

Interface: `COMMANDS`; `Draft`, an edit that is under way: `text`, `save(text)`; `until_saved`, the round of editing;
`in_terminal`, the editor of a shell.
The rule not to break: nothing that was typed is lost: what the server refuses comes back with its complaints above it.
Source: `kubectl/pkg/cmd/util/editor`.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from k8snb.apimachinery import manifest
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.manifest import ManifestError
from k8snb.apimachinery.meta import Object
from k8snb.kubectl import flags, formats
from k8snb.kubectl.create import with_last_applied
from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found, select
from k8snb.kubectl.results import Results
from k8snb.kubectl.session import Session, options
from k8snb.kubectl.two_way import difference

NOTICE = """\
# Please edit the object below. Lines beginning with a '#' will be ignored,
# and an empty file will abort the edit. If an error occurs while saving this file will be
# reopened with the relevant failures.
#
"""
UNCHANGED = "Edit cancelled, no changes made.\n"
EMPTY = "Edit cancelled, saved file was empty.\n"


class RejectedError(KubectlError):
    """What was typed cannot be saved as it is. `Draft.text` has it, with the complaints above it."""


class Edited(Protocol):
    """What an editor shows: `text`, which `save` replaces by complaints where it raises RejectedError; `on_saved` is
    told of what was written."""

    text: str
    on_saved: Callable[[Output], None]

    @property
    def suffix(self) -> str: ...
    def save(self, text: str) -> Output: ...


class Draft:
    """Objects that are being edited. `text` is what to show; `save` takes what came of it, and tells `on_saved`."""

    def __init__(self, session: Session, args: Arguments, found: Sequence[Found]) -> None:
        self._session, self._args = session, args
        self._found = list(found)
        self._sort = args.text("output") or "yaml"
        if self._sort not in ("yaml", "json"):
            raise KubectlError(f'error: unable to match a printer suitable for the output format "{self._sort}", '
                               "allowed formats are: json,yaml")  # fmt: skip
        managed = args.on("show-managed-fields")
        objects = [each.object for each in found]
        self._original = formats.render(objects, self._sort, single=True, managed_fields=managed)
        self.text = NOTICE + self._original
        self.on_saved: Callable[[Output], None] = lambda output: None

    @property
    def suffix(self) -> str:
        return f".{self._sort}"

    def save(self, text: str) -> Output:
        """Send what was changed. Raises RejectedError, or KubectlError where going on makes no sense."""
        typed = without_comments(text)
        if not typed.strip():
            return Output(text=EMPTY)
        if typed == self._original:
            return Output(text=UNCHANGED)
        wanted = self._read(typed)
        results = Results(self._session, self._args)
        lines, complaints = [], []
        for found, obj in zip(self._found, wanted, strict=True):
            try:
                lines += self._send(found, obj, results)
            except ApiError as error:
                complaints += _complaints(found, error)
                failure = error
        if complaints:
            raise self._rejected(typed, complaints, refused(failure).message)
        output = results.output()
        output.text = "".join(lines) + output.text or UNCHANGED
        self.on_saved(output)
        return output

    def _read(self, typed: str) -> list[Object]:
        """The objects that were typed. Raises RejectedError for what cannot be read."""
        try:
            documents = [document.object for document in manifest.load(typed, "edit")]
        except ManifestError as error:
            place = f"line {error.line}: " if error.line and f"line {error.line}" not in error.message else ""
            complaint = f"{place}{error.message}"
            raise self._rejected(typed, ["The edited file had a syntax error: " + complaint], complaint) from None
        if [_identity(obj) for obj in documents] != [_identity(found.object) for found in self._found]:
            raise KubectlError("error: At least one of apiVersion, kind and name was changed")
        return documents

    def _send(self, found: Found, obj: Object, results: Results) -> list[str]:
        session, args = self._session, self._args
        body, content_type = difference(found.kind, found.object, obj)
        if not body:
            return []
        if args.on("save-config"):
            body, content_type = difference(found.kind, found.object, with_last_applied(obj))
        changed = session.client.patch(
            found.kind, found.name, body, found.namespace, content_type=content_type,
            subresource=args.text("subresource"), **options(args),
        )  # fmt: skip
        results.add(changed, "edited")
        text = json.dumps(body, separators=(",", ":"), sort_keys=True)
        return [f"Patch: {text}\n"] if args.on("output-patch") else []

    def _rejected(self, typed: str, complaints: Sequence[str], message: str) -> RejectedError:
        notes = "".join(f"# {line}\n" for complaint in complaints for line in complaint.splitlines())
        self.text = f"{NOTICE}{notes}#\n{typed}"
        return RejectedError(message)


def without_comments(text: str) -> str:
    """What was typed, without the lines at the top that begin with a #."""
    lines = text.splitlines(keepends=True)
    while lines and lines[0].startswith("#"):
        lines.pop(0)
    return "".join(lines)


def _identity(obj: Object) -> tuple[Any, ...]:
    metadata = obj.get("metadata") or {}
    return obj.get("apiVersion"), obj.get("kind"), metadata.get("name"), metadata.get("namespace", "")


def _complaints(found: Found, error: ApiError) -> list[str]:
    thing = f'{found.kind.qualified} "{found.name}"'
    if error.reason != "Invalid" or not error.causes:
        return [f"{thing} could not be patched: {error.message}"]
    return [f"{thing} was not valid:", *(f"* {cause['field']}: {cause['message']}" for cause in error.causes)]


# in a terminal


def in_terminal(text: str, suffix: str) -> str:
    """What the user makes of a text in $KUBE_EDITOR, $EDITOR or vi. Raises KubectlError where there is no editor."""
    editor = os.environ.get("KUBE_EDITOR") or os.environ.get("EDITOR") or ("notepad" if os.name == "nt" else "vi")
    with tempfile.TemporaryDirectory(prefix="kubectl-edit-") as folder:
        path = Path(folder) / f"edit{suffix}"
        path.write_text(text, encoding="utf-8", newline="\n" if "\r\n" in text else None)
        done = subprocess.run(f"{editor} {shlex.quote(str(path))}", shell=True, check=False)
        if done.returncode:
            raise KubectlError(f'error: there was a problem with the editor "{editor}": set KUBE_EDITOR to another one')
        return path.read_text(encoding="utf-8")


def begin(session: Session, args: Arguments) -> Draft:
    """An edit of the objects that the words name."""
    selection = select(session, args, names_only=True)
    found = selection.require()
    if selection.errors:
        raise selection.errors[0]
    return Draft(session, args, found)


def run(session: Session, args: Arguments) -> Output:
    return until_saved(session, begin(session, args), windows=args.on(flags.WINDOWS.name))


def until_saved(session: Session, draft: Edited, *, windows: bool = False) -> Output:
    """Show a draft in the user's editor until it is saved or given up; `windows` says how its lines end there."""
    while True:
        shown = draft.text
        edited = session.edit(shown.replace("\n", "\r\n") if windows else shown, draft.suffix).replace("\r\n", "\n")
        try:
            return draft.save(edited)
        except RejectedError as error:
            if edited != shown:
                continue
            raise _given_up(
                draft, f"error: {error.message}\n", "Edit cancelled, no valid changes were saved."
            ) from None
        except KubectlError as error:
            draft.text = edited
            raise _given_up(draft, "", error.message.removeprefix("error: ")) from None


def _given_up(draft: Edited, before: str, why: str) -> KubectlError:
    """The end of an edit that could not be saved: with where a copy of what was typed lies."""
    handle, path = tempfile.mkstemp(prefix="kubectl-edit-", suffix=draft.suffix)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(draft.text)
    return KubectlError(f'{before}A copy of your changes has been stored to "{path}"\nerror: {why}')


COMMANDS = (
    Command(
        name="edit",
        usage="(RESOURCE/NAME | -f FILENAME) [flags]",
        help="Edit objects as text, in an editor of one's choice.",
        group="Basic Commands (Intermediate)",
        run=run,
        flags=(
            *flags.FILES, flags.SELECTOR, flags.ALL,
            Flag("output", help="Edit as yaml or as json.", short="o", values=("yaml", "json")),
            Flag("output-patch", BOOL, "Show the patch that was sent."),
            Flag("subresource", help="Edit a subresource: status, scale.", values=("status", "scale", "resize")),
            flags.SAVE_CONFIG, flags.FIELD_MANAGER, flags.VALIDATE, flags.MANAGED_FIELDS, flags.WINDOWS,
        ),
        missing=("allow-missing-template-keys", "template"),
        words="resources",
        examples=("kubectl edit deployment/web", "kubectl edit job.v1.batch/tick -o json"),
    ),
)  # fmt: skip
