"""Printers: objects as the tables that people read.

Interface: `table(kind, objects, now)`; `PRINTERS`, a row for each kind.
The rule not to break: a cell is worked out from its object and the time, from nothing else.
Source: `pkg/printers/internalversion`. A real apiserver prints and sends kubectl the Table; here both ends print alike.
"""

from k8snb.printers.columns import PRINTERS, table
from k8snb.printers.table import Column, Row, Table

__all__ = ["PRINTERS", "Column", "Row", "Table", "table"]
