"""kubectl create --edit: a manifest that is changed in an editor before anything is created.

Interface: `begin(session, args) -> CreateDraft`; `run`, in the editor of a terminal.
The rule not to break: nothing is created before it was saved, and a manifest that nobody changed is not created.
Source: `EditBeforeCreateMode` in `kubectl/pkg/cmd/util/editor/editoptions.go`.
"""

from __future__ import annotations

from collections.abc import Callable

from k8snb.apimachinery import manifest
from k8snb.apimachinery.manifest import ManifestError
from k8snb.apimachinery.meta import with_metadata
from k8snb.kubectl import edit, flags, formats
from k8snb.kubectl.create import send
from k8snb.kubectl.edit import NOTICE, UNCHANGED, RejectedError, without_comments
from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.results import Results
from k8snb.kubectl.session import Session
from k8snb.kubectl.sources import documents


class CreateDraft:
    """A manifest that is being edited. `text` is what to show; `save` creates what came of it."""

    def __init__(self, session: Session, args: Arguments) -> None:
        self._session, self._args = session, args
        self._sort = args.text("output") or "yaml"
        if self._sort not in ("yaml", "json"):
            raise KubectlError(f'error: unable to match a printer suitable for the output format "{self._sort}", '
                               "allowed formats are: json,yaml")  # fmt: skip
        items, errors = documents(session, args)
        if errors:
            raise errors[0]
        objects = [with_metadata(item.object, namespace=item.namespace or None) for item in items]
        self._original = formats.render(objects, self._sort, single=True)
        self.text = NOTICE + self._original
        self.on_saved: Callable[[Output], None] = lambda output: None

    @property
    def suffix(self) -> str:
        return f".{self._sort}"

    def save(self, text: str) -> Output:
        """Create what was typed. Raises RejectedError where it cannot be."""
        typed = without_comments(text)
        if not typed.strip():
            return Output(text=edit.EMPTY)
        if typed == self._original:
            return Output(text=UNCHANGED)
        results = Results(self._session, self._args)
        try:
            for document in manifest.load(typed, "edit"):
                obj = document.object
                namespace = obj.get("metadata", {}).get("namespace") or self._session.namespace
                made = send(self._session, self._args, obj, namespace, source="edit", document=document)
                results.add_line(made, f"{formats.resource_name(made)} created")
        except (ManifestError, KubectlError) as error:
            raise self._rejected(typed, error.message) from None
        output = results.output()
        self.on_saved(output)
        return output

    def _rejected(self, typed: str, complaint: str) -> RejectedError:
        notes = "".join(f"# {line}\n" for line in complaint.splitlines())
        self.text = f"{NOTICE}{notes}#\n{typed}"
        return RejectedError(complaint)


def begin(session: Session, args: Arguments) -> CreateDraft:
    return CreateDraft(session, args)


def run(session: Session, args: Arguments) -> Output:
    return edit.until_saved(session, begin(session, args), windows=args.on(flags.WINDOWS.name))
