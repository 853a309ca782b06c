"""Tables: columns, rows and the text that they make.

Interface: `Table`, `Column`, `Row`, `columns_text`.
The rule not to break: a row keeps the object it was made from.
Source: the Table type of `apimachinery/pkg/apis/meta/v1`, which servers answer to `kubectl get`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from k8snb.apimachinery.meta import Object
from k8snb.printers.tabwriter import align


class Column(NamedTuple):
    """A column of a table. Columns of priority 1 and more show with `-o wide` only.

    `title` is the name as a CustomResourceDefinition has it.
    """

    name: str
    priority: int = 0
    type: str = "string"
    title: str = ""
    format: str = ""
    description: str = ""


class Row(NamedTuple):
    """The cells of all columns, and the object they were made from."""

    cells: tuple[Any, ...]
    object: Object


@dataclass(frozen=True, kw_only=True)
class Table:
    """What `kubectl get` shows of one kind. `shown` leaves out what only `-o wide` shows, unless `wide` is set."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    kind: str = ""
    wide: bool = False
    headers: bool = True

    @property
    def shown(self) -> list[int]:
        """The places of the columns to show."""
        return [place for place, column in enumerate(self.columns) if self.wide or not column.priority]

    @property
    def header(self) -> list[str]:
        return [self.columns[place].name for place in self.shown]

    @property
    def cells(self) -> list[list[str]]:
        """The cells to show, as text, row by row."""
        return [[_text(row.cells[place]) for place in self.shown] for row in self.rows]

    @property
    def text(self) -> str:
        lines = [self.header] if self.headers else []
        return columns_text([*lines, *self.cells])


def _text(cell: Any) -> str:
    """A cell as it is shown; None is a value that the object does not have, for which kubectl leaves a blank."""
    if cell is None:
        return ""
    return str(cell).lower() if isinstance(cell, bool) else str(cell)


def columns_text(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells in columns, three spaces apart, as `kubectl get` prints them; ends with a newline if not empty."""
    text = "\n".join("\t".join(_one_line(cell) for cell in line) for line in lines)
    return align(text, minwidth=6, padding=3) + "\n" if lines else ""


def _one_line(cell: str) -> str:
    return cell.replace("\t", " ").split("\n")[0].rstrip("\r") + ("..." if "\n" in cell.strip("\n") else "")
