"""What a kubectl command answers: text, tables, objects, or a stream of them.

Interface: `Output`, `Table`, `Stream`, `KubectlError`.
The rule not to break: `text` is what kubectl prints, to the space; what a notebook shows beyond that it makes from
`tables` and `objects`.
Real kubectl has no such values: it writes to stdout and stderr.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from k8snb.apimachinery.meta import Object
from k8snb.printers.table import Column, Row, Table, columns_text

__all__ = ["Column", "KubectlError", "Output", "Row", "Stream", "Table", "columns_text"]


class KubectlError(Exception):
    """A command that failed, in kubectl's words.

    `line` and `source` are the place in a manifest, where the fault lies in one; `applied` are the lines that kubectl
    prints for what was done before or beside the failure; `warnings` what the server remarked before it came to that.
    """

    def __init__(
        self,
        message: str,
        *,
        exit_code: int = 1,
        line: int | None = None,
        source: str | None = None,
        applied: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.message, self.exit_code = message, exit_code
        self.line, self.source = line, source
        self.applied = list(applied)
        self.warnings: list[str] = []
        self.log: list[str] = []

    @property
    def on_stderr(self) -> str:
        """The message as kubectl has it, which prints what was done before on stdout."""
        return self.message.removesuffix(done_all_the_same(self.applied))


def done_all_the_same(applied: Sequence[str]) -> str:
    """What a message that stands alone says of what was done beside the failure."""
    return f"\n(done all the same: {', '.join(applied)})" if applied else ""


@dataclass(kw_only=True)
class Output:
    """The answer to one command.

    `text` is what kubectl prints on stdout (and, of its notices, on stderr); `objects` the API objects concerned;
    `tables` what `get` shows, one per kind; `warnings` what the server warned of; `hints` one-line remarks of k8snb's
    own; `log` what `-v` tells; `errors` what failed beside the rest that did not. `notices` is the part of the text
    that kubectl writes on stderr, and `stdout` the rest, where there are notices.
    """

    text: str = ""
    objects: list[Object] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    exit_code: int = 0
    format: str = ""
    notices: str = ""
    stdout: str = ""

    @property
    def on_stdout(self) -> str:
        """The part of the text that kubectl writes on stdout."""
        return self.stdout if self.notices else self.text

    @property
    def table(self) -> Table | None:
        """The table, where there is exactly one kind to show; of several, the first."""
        return self.tables[0] if self.tables else None

    @property
    def object(self) -> Object | None:
        """The object concerned, where there is just one."""
        return self.objects[0] if len(self.objects) == 1 else None

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text.rstrip("\n")


class Stream(Output):
    """A command that goes on: `get -w`, `logs -f`. Iterate over it for one `Output` at a time, until `stop()`.

    `poll()` gives what has arrived and never blocks; iterating asks `more()` to let the cluster run until there is
    something to poll, and ends when `more()` answers that nothing will come.
    """

    def __init__(
        self,
        first: Output,
        poll: Callable[[], list[Output]],
        *,
        more: Callable[[], bool],
        stop: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(**{name: getattr(first, name) for name in Output.__dataclass_fields__})
        self._first: Output | None = first
        self._poll, self._more, self._stop = poll, more, stop
        self.stopped = False

    def poll(self) -> list[Output]:
        """What has arrived since the last question; the first time, beginning with what was there at once."""
        if self.stopped:
            return []
        first, self._first = self._first, None
        return [*([first] if first and first.text else []), *self._poll()]

    def stop(self) -> None:
        """End it; iterating over it ends too."""
        if not self.stopped:
            self.stopped = True
            self._stop()

    def __iter__(self) -> Iterator[Output]:
        while not self.stopped:
            yield from self.poll()
            if self.stopped or not self._more():
                self.stop()
