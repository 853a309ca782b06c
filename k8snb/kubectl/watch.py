"""kubectl get -w: a table that goes on.

Interface: `watch(session, args, show)`.
The rule not to break: one line for each event, in columns that keep the width they have had.
Source: `kubectl/pkg/cmd/get/get.go` and its tab writer, which remembers widths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import name_of, uid_of
from k8snb.client import Watch
from k8snb.client.client import Event
from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import Column, KubectlError, Output, Stream, Table
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found, Selection, Wanted, list_options, wanted
from k8snb.kubectl.server_table import ServerRow, columns_of, is_table, rows
from k8snb.kubectl.session import Session
from k8snb.kubectl.sources import documents
from k8snb.printers import columns as printers

Show = Callable[[Session, Arguments, Selection], Output]
_GAP, _LEAST = 3, 6
_SHOWN = ("ADDED", "MODIFIED", "DELETED")


def watch(session: Session, args: Arguments, show: Show) -> Stream:
    """`get --watch`; `show` is how `get` shows a selection."""
    asked = _described(session, args) if args.from_files else wanted(session, args)
    kinds = list(dict.fromkeys(each.kind for each in asked))
    if len(kinds) > 1:
        raise KubectlError("error: you may only specify a single resource type")
    watcher = _Watcher(session, args, kinds[0], [_open(session, args, each) for each in asked], show)
    return Stream(Output(), watcher.poll, more=watcher.more, stop=watcher.stop)


def _described(session: Session, args: Arguments) -> list[Wanted]:
    """The one object that `-f` describes."""
    items, errors = documents(session, args)
    if errors:
        raise errors[0]
    if len(items) > 1:
        what = f"watch is only supported on individual resources and resource collections - {len(items)} resources"
        raise KubectlError(f"error: {what} were found")
    return [Wanted(item.kind, item.namespace, name_of(item.object)) for item in items]


def _open(session: Session, args: Arguments, asked: Wanted) -> Watch:
    chosen = {**list_options(args), **({"table": True} if _is_printed(args, asked) else {})}
    try:
        if asked.name:
            session.client.get(asked.kind, asked.name, asked.namespace)
            chosen["fieldSelector"] = f"metadata.name={asked.name}"
        if args.on("watch-only"):
            listed = session.client.list(asked.kind, asked.namespace, **{**chosen, "table": False})
            chosen["resourceVersion"] = listed["metadata"]["resourceVersion"]
        if not session.client.user.name and not args.on("watch-only"):
            return _after_a_list(session, asked, chosen)
        return session.client.watch(asked.kind, asked.namespace, **chosen)
    except ApiError as error:
        raise refused(error) from None


def _is_printed(args: Arguments, asked: Wanted) -> bool:
    """Whether the server is asked for how it prints its objects."""
    return bool(asked.kind.remote) and bool(args.values.get("server-print", True))


def _after_a_list(session: Session, asked: Wanted, chosen: dict[str, Any]) -> Watch:
    """A watch that begins with all there is at once, where events come one by one from another process."""
    listed = session.client.list(asked.kind, asked.namespace, **chosen)
    there = [listed] if is_table(listed) else listed["items"]
    revision = listed["metadata"]["resourceVersion"]
    watch = session.client.watch(asked.kind, asked.namespace, **{**chosen, "resourceVersion": revision})
    watch.events.extendleft(Event("ADDED", obj) for obj in reversed(there))
    return watch


class _Watcher:
    """The events of one kind as outputs. What is there at the beginning comes as one table, then each event alone."""

    def __init__(self, session: Session, args: Arguments, kind: Kind, watches: Sequence[Watch], show: Show) -> None:
        self._session, self._args, self._kind = session, args, kind
        self._watches, self._show = watches, show
        self._widths: list[int] = []
        self._begun = False
        self._columns: tuple[Column, ...] = ()
        self._rows: dict[str, ServerRow] = {}

    def poll(self) -> list[Output]:
        events: list[Event] = []
        for each in self._watches:
            while event := each.pop():
                events += self._told(event)
        events = [event for event in events if event.sort in _SHOWN]
        if not events:
            return []
        if self._begun:
            return [self._output([event], headers=False) for event in events]
        self._begun = True
        initial = 0
        while initial < len(events) and events[initial].sort == "ADDED":
            initial += 1
        first = max(initial, 1)
        rest = [self._output([event], headers=False) for event in events[first:]]
        return [self._output(events[:first], headers=True), *rest]

    def _told(self, event: Event) -> list[Event]:
        """An event, taken out of the Table in which a server tells it that prints its kind itself."""
        if not is_table(event.object):
            return [event]
        self._columns = columns_of(event.object) or self._columns
        told = rows(event.object, self._columns)
        self._rows.update({uid_of(obj): row for obj, row in told})
        return [Event(event.sort, obj) for obj, _ in told]

    def more(self) -> bool:
        self._session.wait(lambda: any(each.events or each.stopped for each in self._watches), self._session.patience)
        return any(each.events for each in self._watches)

    def stop(self) -> None:
        for each in self._watches:
            each.stop()

    def _output(self, events: Sequence[Event], *, headers: bool) -> Output:
        found = [Found(self._kind, event.object, self._rows.get(uid_of(event.object))) for event in events]
        output = self._show(self._session, self._args, Selection(found, kinds=[self._kind], single=len(found) == 1))
        if not output.tables:
            return output
        table = replace(output.tables[0], headers=headers and output.tables[0].headers)
        if self._args.on("output-watch-events"):
            sorts = {uid_of(event.object): event.sort for event in events}
            table = printers.with_column(table, Column("EVENT"), lambda obj: sorts[uid_of(obj)], first=True)
        return replace(output, tables=[table], text=self._text(table))

    def _text(self, table: Table) -> str:
        lines = [*([table.header] if table.headers else []), *table.cells]
        for line in lines:
            wide = [max(len(cell) + _GAP, _LEAST) for cell in line[:-1]]
            self._widths = [max(pair) for pair in zip(wide, self._widths or wide, strict=True)]
        return "".join(_padded(line, self._widths) + "\n" for line in lines)


def _padded(line: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False)) + line[-1]
