"""Errors as a learner sees them: one readable line, and the line of the cell that it is about.

Interface: `readable(cell)`, a context in which a magic runs; `usage_error(text)`; `refusal(error)`, a server's words.
The rule not to break: an error of the user's never shows a traceback of ours; an error of ours always shows it, and
says whose it is.
IPython prints a `UsageError` behind that very word, which says "error" a second time; an exception that brings its own
traceback is printed as it says, and its one line is all that it brings.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from IPython.core.error import UsageError

from k8snb.apimachinery.errors import ApiError
from k8snb.kubectl.output import KubectlError

OURS = "This is a mistake in k8snb, not in your cell. Please report it, with the lines above."
INTERRUPTED = "interrupted: the wait is over, and the cluster goes on"
_CELL = (None, "", "-", "STDIN")
# How a message names a line of the cell's body: where it could not be read, where a field stands, and in passing.
_UNREAD = re.compile(r"(parsing the cell: )(line \d+)(?:, column \d+)?: (.*)")
_PLACE = re.compile(r"\(line (\d+)\)")
_OTHER = re.compile(r"(?<=already set at line )\d+")


class CellError(UsageError):
    """What went wrong in a cell, in words; there is no more to show than these."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in the place of a traceback."""
        return [str(self)]


def usage_error(text: str) -> UsageError:
    """An error that IPython shows as this text alone."""
    return CellError(text.strip())


@contextmanager
def readable(cell: str | None = None) -> Iterator[None]:
    """Within it, refusals and interrupts become a line to read; anything else keeps its traceback and a remark."""
    try:
        yield
    except UsageError:
        raise
    except KubectlError as error:
        tell(error.log)
        raise usage_error(explain(error, cell)) from None
    except ApiError as error:
        raise usage_error(refusal(error)) from None
    except KeyboardInterrupt:
        raise usage_error(INTERRUPTED) from None
    except Exception as error:
        error.add_note(OURS)
        raise


def tell(log: Sequence[str]) -> None:
    """What `-v` tells goes where kubectl writes it, beside the answer."""
    sys.stderr.write("".join(f"{line}\n" for line in log))


def explain(error: KubectlError, cell: str | None) -> str:
    """The message, and beneath it the line of the cell where there is one to blame."""
    message = error.message.replace('"STDIN"', "the cell").replace("parsing STDIN", "parsing the cell")
    place = _quoted(error.line, cell) if error.source in _CELL else ""
    return f"{_in_cell(message, error.line or 0)}\n{place}" if place else message


def _in_cell(message: str, line: int) -> str:
    """The message with the cell's lines instead of the body's; the magic itself is the cell's line 1."""
    message = _UNREAD.sub(r"\1\3 (\2)", message)
    if not _PLACE.search(message):
        first, newline, rest = message.partition("\n")
        message = f"{first} (line {line}){newline}{rest}"
    message = _OTHER.sub(lambda match: str(int(match[0]) + 1), message)
    return _PLACE.sub(lambda match: f"(cell line {int(match[1]) + 1})", message)


def _quoted(line: int | None, cell: str | None) -> str:
    """The line of the cell's body, with its number in the cell."""
    lines = (cell or "").splitlines()
    if not line or line > len(lines):
        return ""
    return f"  line {line + 1}: {lines[line - 1].rstrip()}"


def refusal(error: ApiError) -> str:
    reason = f" ({error.reason})" if error.reason else ""
    return f"Error from server{reason}: {error.message}"
