"""Tables of a server: how it prints kinds that k8snb does not know.

Interface: `rows(answer)`, the objects of a Table with what is printed of each; `table(rows)`, kubectl's table of them.
The rule not to break: an answer that is no Table is taken for what it is; not every server makes them.
Source: `apimachinery/pkg/apis/meta/v1/types.go` (Table), `cli-runtime/pkg/printers/tableprinter.go`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from k8snb.apimachinery.meta import Object
from k8snb.printers.table import Column, Row, Table


class ServerRow(NamedTuple):
    """One row as its server prints it."""

    columns: tuple[Column, ...]
    cells: tuple[Any, ...]


def is_table(answer: Object) -> bool:
    return answer.get("kind") == "Table" and str(answer.get("apiVersion", "")).startswith("meta.k8s.io/")


def rows(answer: Object, columns: tuple[Column, ...] = ()) -> list[tuple[Object, ServerRow]]:
    """The objects of a Table, each with its row. A watch tells the columns once: then they are given."""
    columns = columns_of(answer) or columns
    return [(row.get("object") or {}, ServerRow(columns, tuple(row.get("cells") or ())))
            for row in answer.get("rows") or ()]  # fmt: skip


def columns_of(answer: Object) -> tuple[Column, ...]:
    return tuple(
        Column(str(each["name"]).upper(), int(each.get("priority") or 0), title=str(each["name"]))
        for each in answer.get("columnDefinitions") or ()
    )


def table(kind: str, shown: Sequence[tuple[Object, ServerRow]]) -> Table:
    """Rows of one kind as a table."""
    columns = shown[0][1].columns
    made = (Row((*row.cells, *[""] * (len(columns) - len(row.cells)))[: len(columns)], obj) for obj, row in shown)
    return Table(columns=columns, rows=tuple(made), kind=kind)
