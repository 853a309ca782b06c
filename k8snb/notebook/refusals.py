"""Refusals in Python cells: `cluster.kubectl.get("podz")` fails with one line to read, and the line of the cell.

Interface: `add(shell)`, `remove(shell)`.
The rule not to break: who catches the exception gets it whole; only what would be printed as a traceback is shorter.
"""

from __future__ import annotations

import linecache
import traceback
from types import TracebackType
from typing import TYPE_CHECKING, Any

from k8snb.apimachinery.errors import ApiError
from k8snb.kubectl.output import KubectlError
from k8snb.notebook.errors import refusal

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

SHORT = (KubectlError, ApiError)


def add(shell: InteractiveShell) -> None:
    shell.set_custom_exc(SHORT, _show)


def remove(shell: InteractiveShell) -> None:
    if shell.custom_exceptions == SHORT:
        shell.set_custom_exc((), None)


def _show(
    shell: Any, kind: type[Exception], error: Exception, trace: TracebackType, tb_offset: int | None = None
) -> list[str]:
    """What IPython calls in the place of its own; the list is what a notebook keeps."""
    message = refusal(error) if isinstance(error, ApiError) else str(error)
    lines = [message, *_place(trace)]
    shell._showtraceback(kind, error, lines)
    return lines


def _place(trace: TracebackType) -> list[str]:
    """The line of the cell in which it happened: the innermost that is the user's own."""
    own = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(trace) if _is_cell(frame)]
    if not own:
        return []
    name, line = own[-1]
    return [f"  line {line}: {linecache.getline(name, line).strip()}"]


def _is_cell(frame: Any) -> bool:
    return frame.f_globals.get("__name__") == "__main__" and "get_ipython" in frame.f_globals
