"""tabwriter: columns that are as wide as they need to be, as Go's `text/tabwriter` makes them.

Interface: `align(text)`; a cell ends with a tab, a line with a newline.
The rule not to break: a column reaches over consecutive lines that have a cell in it, and the last cell of a line is
in no column; kubectl's describe pages get their shape from nothing else.
"""

from __future__ import annotations


def align(text: str, *, minwidth: int = 0, padding: int = 2) -> str:
    """The text with its tabs turned into spaces."""
    lines = [line.split("\t") for line in text.split("\n")]
    out: list[str] = []
    _block(lines, [], minwidth, padding, out)
    return "\n".join(out)


def _block(lines: list[list[str]], widths: list[int], minwidth: int, padding: int, out: list[str]) -> None:
    """Lines that share the columns in `widths`: find the blocks of the next column in them."""
    column, start = len(widths), 0
    while start < len(lines):
        end = start
        while end < len(lines) and column < len(lines[end]) - 1:
            end += 1
        if end == start:
            out.append(_line(lines[start], widths))
            start += 1
            continue
        width = max(minwidth, *(len(line[column]) + padding for line in lines[start:end]))
        _block(lines[start:end], [*widths, width], minwidth, padding, out)
        start = end


def _line(cells: list[str], widths: list[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
    return "".join([*padded, *cells[len(widths) :]])
