"""An editor in the page: `kubectl edit` where there is no terminal.

Interface: `Editor(draft)`, shown by its cell; `save()` and `cancel()` are what its buttons do.
The rule not to break: nothing that was typed is lost, and the saved notebook shows what became of it without a kernel.
Real kubectl opens a program of the user's in the terminal.
"""

from __future__ import annotations

import difflib
from html import escape
from typing import Any

from k8snb.apimachinery.errors import ApiError
from k8snb.kubectl.edit import UNCHANGED, Edited
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.notebook.results import Result, body, page

LINES = 24  # of the text that are seen at once
_STYLE = (
    "<style>.k8snb-editor textarea{font-family:var(--jp-code-font-family,monospace);font-size:13px;white-space:pre}"
)
_STYLE += "</style>"


class Editor:
    """An edit that is under way. `result` is what the server answered, None before that."""

    def __init__(self, draft: Edited) -> None:
        import ipywidgets as widgets

        self._draft, self._before = draft, draft.text
        self.result: Result | None = None
        self._handle: Any = None
        self.area = widgets.Textarea(value=draft.text, rows=LINES, layout={"width": "100%"})
        self.area.add_class("k8snb-editor")
        self.message = widgets.HTML(_STYLE)
        self._save = widgets.Button(description="Save", button_style="primary", tooltip="Send what was changed")
        self._cancel = widgets.Button(description="Cancel", tooltip="Change nothing")
        self._save.on_click(lambda button: self.save())
        self._cancel.on_click(lambda button: self.cancel())
        buttons = widgets.HBox([self._save, self._cancel])
        self.box = widgets.VBox([self.message, self.area, buttons])

    def save(self) -> None:
        """Send the text; what the server refuses is said above it, and the text stays."""
        typed = self.area.value
        try:
            self._end(self._draft.save(typed), typed)
        except (KubectlError, ApiError) as error:
            failure = refused(error) if isinstance(error, ApiError) else error
            self.message.value = _STYLE + page(body(Output(errors=[failure.message])))

    def cancel(self) -> None:
        self._end(Output(text=UNCHANGED), self._before)

    def _end(self, output: Output, typed: str) -> None:
        self.result = Result(output)
        bundle = _ended(output, self._before, typed)
        self.box.close()
        if self._handle is not None:
            self._handle.update(bundle, raw=True)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        self._handle = display(self._bundle(), raw=True, display_id=True)

    def _bundle(self) -> dict[str, Any]:
        """The widget, and for pages without a kernel the text that stood in it."""
        still = f'<pre class="k8snb-code">{escape(self.area.value)}</pre>'
        return {**self.box._repr_mimebundle_(), "text/plain": self.area.value, "text/html": page(still)}

    def __repr__(self) -> str:
        return repr(self.result) if self.result is not None else self.area.value


def _ended(output: Output, before: str, typed: str) -> dict[str, str]:
    """What stays on the page: what was said, and what was changed."""
    lines = difflib.unified_diff(before.splitlines(), typed.splitlines(), "before", "edited", lineterm="", n=2)
    change = Output(text="".join(f"{line}\n" for line in lines), format="diff")
    return {"text/plain": output.text + change.text, "text/html": page(body(output) + body(change))}
