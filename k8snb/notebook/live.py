"""Live answers: `get -w` as a table that changes in place, `logs -f` as text that grows.

Interface: `follow(shell, cluster, stream, …) -> Shown`; `take_ending(words)` takes k8snb's own flags out of a line.
The rule not to break: the waiting cell draws, never a thread behind it; what is left on the page at the end is the last
state, true in a saved notebook too.
Real kubectl prints a line for each change and ends with Ctrl-C alone.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from k8snb.apimachinery.meta import Object, is_true, uid_of
from k8snb.kubectl.output import KubectlError, Output, Row, Stream, Table, columns_text
from k8snb.notebook import pulling
from k8snb.notebook.results import Result, body, page
from k8snb.printers import duration

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from k8snb.cluster import Cluster

SLICE = 0.2  # seconds in which arrivals are gathered before they are shown
TURN = 60.0  # seconds of one wait
PULL_TURN = 0.5  # seconds after which it is asked again how far pulls are
FOREVER = 1e9
_EVENT = "EVENT"


@dataclass
class Ending:
    """When a live view ends by itself: after `timeout` seconds (0: never), or when `until` is true of all objects."""

    timeout: float = 0.0
    until: str = ""
    blocking: bool = False  # reading the stream blocks: a container's output


def take_ending(words: list[str]) -> tuple[list[str], Ending]:
    """The line without `--until CONDITION` and `--timeout TIME`, and what they say. Raises KubectlError."""
    kept, ending = [], Ending()
    rest = iter(words)
    for word in rest:
        if word == "--":
            kept += [word, *rest]
        elif word.partition("=")[0] in ("--until", "--timeout"):
            name, equals, value = word.partition("=")
            _set(ending, name, value if equals else next(rest, ""))
        else:
            kept.append(word)
    return kept, ending


def _set(ending: Ending, name: str, value: str) -> None:
    if not value:
        raise KubectlError(f"error: flag needs an argument: {name}")
    if name == "--until":
        ending.until = value
        return
    try:
        ending.timeout = duration.parse(value)
    except ValueError:
        raise KubectlError(
            f'error: invalid argument "{value}" for "--timeout" flag: not a time such as 30s, 5m'
        ) from None


class Shown(Result):
    """An answer that the page has already: it does not show a second time."""

    def _ipython_display_(self) -> None:
        """Nothing."""


@dataclass
class State:
    """What a watch has told so far: the newest row of each object that is there."""

    rows: dict[str, Row] = field(default_factory=dict)
    table: Table | None = None
    text: list[str] = field(default_factory=list)
    pulls: list[str] = field(default_factory=list)

    def take(self, output: Output) -> None:
        if not output.tables:
            self.text.append(output.text)
        for table in output.tables:
            self.table = table
            for row in table.rows:
                self._take_row(row, table)

    def _take_row(self, row: Row, table: Table) -> None:
        if table.columns[0].name == _EVENT and row.cells[0] == "DELETED":
            self.rows.pop(uid_of(row.object), None)
        else:
            self.rows[uid_of(row.object)] = row

    @property
    def objects(self) -> list[Object]:
        return [row.object for row in self.rows.values()]

    def output(self) -> Output:
        """The state as one answer."""
        if self.table is None:
            return Output(text="".join(self.text))
        table = _without_events(replace(self.table, rows=tuple(self.rows.values()), headers=True))
        text = columns_text([table.header, *table.cells])
        kind = "wide" if table.wide else ""
        return Output(text=text, objects=self.objects, tables=[table], format=kind, hints=list(self.pulls))


def _without_events(table: Table) -> Table:
    if table.columns[0].name != _EVENT:
        return table
    rows = tuple(row._replace(cells=row.cells[1:]) for row in table.rows)
    return replace(table, columns=table.columns[1:], rows=rows)


def follow(shell: InteractiveShell, cluster: Cluster, stream: Stream, ending: Ending) -> Shown:
    """Show a stream until it ends, `ending` comes true, or the cell is interrupted."""
    state = State()
    arrivals = _read_behind if ending.blocking and not cluster.clock.virtual else _arrivals
    show = _shower(shell, state)
    condition = _condition(ending.until)
    try:
        for outputs in arrivals(cluster, stream, ending.timeout):
            for output in outputs:
                state.take(output)
            state.pulls = pulling.lines(cluster) if state.table is not None else []
            show(outputs)
            if ending.until and condition(state):
                break
    except KeyboardInterrupt:
        pass  # the way in which a watch ends
    finally:
        state.pulls = []
        with suppress(ValueError):  # the reader is in the midst of it, and ends with the next line
            stream.stop()
    return Shown(state.output())


def _arrivals(cluster: Cluster, stream: Stream, timeout: float) -> Iterator[list[Output]]:
    """What arrives, bunch by bunch, until nothing will come or the time is up."""
    clock = cluster.clock
    end = clock.monotonic() + (timeout or FOREVER)
    fresh: list[Output] = []

    def arrived() -> bool:
        fresh.extend(stream.poll())
        return bool(fresh)

    while not stream.stopped and (left := end - clock.monotonic()) > 0:
        pulls = pulling.lines(cluster)
        if cluster.wait(arrived, min(left, TURN if clock.virtual else PULL_TURN)):
            cluster.wait(lambda: not arrived(), SLICE)
            yield fresh[:]
            fresh.clear()
        elif pulling.lines(cluster) != pulls:
            yield []
        elif clock.virtual or not cluster.pump.running:
            return


def _read_behind(cluster: Cluster, stream: Stream, timeout: float) -> Iterator[list[Output]]:
    """The same for a stream whose reading blocks: a thread reads, the cell shows."""
    lines: queue.Queue[Output | None] = queue.Queue()
    threading.Thread(target=_read, args=(stream, lines), name="k8snb-follow", daemon=True).start()
    end = cluster.clock.monotonic() + (timeout or FOREVER)
    while (left := end - cluster.clock.monotonic()) > 0:
        try:
            outputs = [lines.get(timeout=min(left, TURN))]
        except queue.Empty:
            continue
        while not lines.empty():
            outputs.append(lines.get())
        yield [output for output in outputs if output is not None]
        if None in outputs:
            return


def _read(stream: Stream, lines: queue.Queue[Output | None]) -> None:
    try:
        for output in stream:
            lines.put(output)
    finally:
        lines.put(None)


def _condition(text: str) -> Callable[[State], bool]:
    """`Running`: the word in every row's STATUS; `condition=Ready`: true of every object; `delete`: none is left."""
    if text == "delete":
        return lambda state: not state.rows
    if text.startswith("condition="):
        sort = text.removeprefix("condition=")
        return lambda state: bool(state.rows) and all(is_true(obj, sort) for obj in state.objects)
    return lambda state: bool(state.rows) and all(text in map(str, row.cells) for row in state.rows.values())


def _shower(shell: InteractiveShell, state: State) -> Callable[[list[Output]], None]:
    """How arrivals are shown: as text in a terminal and for logs, as a table in place in a page."""
    if getattr(shell, "kernel", None) is None:
        return lambda outputs: _write("".join(_plain(output) for output in outputs))
    handle: list[Any] = []

    def show(outputs: list[Output]) -> None:
        if state.table is None:
            _write("".join(output.text for output in outputs))
        elif handle:
            handle[0].update(_bundle(state.output()), raw=True)
        else:
            handle.append(_display(state.output()))

    return show


def _display(output: Output) -> Any:
    from IPython.display import display

    return display(_bundle(output), raw=True, display_id=True)


def _bundle(output: Output) -> dict[str, str]:
    return {"text/plain": output.text, "text/html": page(body(output))}


def _plain(output: Output) -> str:
    """kubectl's lines, without the column that only k8snb asked for."""
    if not output.tables:
        return output.text
    return "".join(_without_events(table).text for table in output.tables)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
