"""Printer columns of custom kinds: what a CustomResourceDefinition says that `kubectl get` shows.

Interface: `table(kind, objects, now)` for a kind with additionalPrinterColumns.
The rule not to break: a value that is not there, or not of the column's type, is an empty cell and no error.
Source: `apiextensions-apiserver/pkg/registry/customresource/tableconvertor`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from k8snb.apimachinery import jsonpath
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, name_of
from k8snb.printers import duration
from k8snb.printers.table import Column, Row, Table


def table(kind: Kind, objects: Sequence[Object], now: float) -> Table:
    """The objects with the columns of their definition."""
    assert kind.custom is not None
    columns = kind.custom.columns
    templates = [jsonpath.Template(jsonpath.relaxed(column["jsonPath"])) for column in columns]
    rows = tuple(
        Row((name_of(obj), *(_cell(*each, obj, now) for each in zip(columns, templates, strict=True))), obj)
        for obj in objects
    )
    return Table(columns=(Column("NAME"), *map(_column, columns)), rows=rows, kind=kind.kind)


def _column(column: Mapping[str, Any]) -> Column:
    return Column(
        column["name"].upper(), column.get("priority", 0), column["type"], title=column["name"],
        format=column.get("format", ""), description=column.get("description", ""),
    )  # fmt: skip


def _cell(column: Mapping[str, Any], template: jsonpath.Template, obj: Object, now: float) -> Any:
    values = template.values(obj)
    if not values:
        return None
    if column["type"] == "string":
        return " ".join(map(jsonpath.text_of, values))
    return _typed(column["type"], values[0], now)


def _typed(sort: str, value: Any, now: float) -> Any:
    if sort == "date":
        return _age(value, now) if isinstance(value, str) else None
    if sort == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if sort == "integer" else value


def _age(text: str, now: float) -> str:
    try:
        return duration.age(text, now)
    except ValueError:
        return "<invalid>"
