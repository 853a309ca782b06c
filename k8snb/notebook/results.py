"""Results: what a cell gets back from a magic, and how it shows.

Interface: `Result(output)` with `.text`, `.objects`, `.df`; it is a table in a page and kubectl's text in a terminal.
The rule not to break: the page shows what kubectl's text says and nothing else; colour and symbols only repeat a word.
Real kubectl prints to a terminal and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

from k8snb.apimachinery.meta import Object
from k8snb.kubectl.output import Output, Table
from k8snb.notebook.style import DONE, PLAIN, SHEET, Tone, fraction_tone, tone_of

if TYPE_CHECKING:
    import pandas

# A page with more rows than this is slow and nobody reads it; `.df` and `.objects` hold them all.
ROWS = 300
LINES = 2000

_STATUS_COLUMNS = {"STATUS", "PHASE", "TYPE", "STATE", "CONDITION", "HOST", "KUBELET", "APISERVER"}
_CSS_COLUMNS = {
    "k8snb-name": "NAME COMPONENT",
    "k8snb-long": "MESSAGE LABELS SELECTOR IMAGES DESCRIPTION VALUE WHAT DIFFERENCE READ DECIDED WROTE",
    "k8snb-num": "RESTARTS DESIRED CURRENT UP-TO-DATE AVAILABLE DATA SECRETS REPLICAS COUNT",
}
_CSS = {name: css for css, names in _CSS_COLUMNS.items() for name in names.split()}
_LEXERS = {"yaml": "yaml", "json": "json", "diff": "diff", "jsonpath-as-json": "json"}


class Result:
    """The answer to a command. Iterating over it and indexing it gives the API objects."""

    def __init__(self, output: Output, *, source: str = "") -> None:
        self.output, self._source = output, source

    @property
    def text(self) -> str:
        """What kubectl prints."""
        return self.output.text

    @property
    def objects(self) -> list[Object]:
        """The API objects concerned, as plain dicts."""
        return self.output.objects

    @property
    def object(self) -> Object:
        """The one object concerned. Raises LookupError where there are none or several."""
        if len(self.objects) != 1:
            raise LookupError(f"there are {len(self.objects)} objects here, not one: use .objects")
        return self.objects[0]

    @property
    def df(self) -> pandas.DataFrame:
        """The table as a pandas DataFrame; without a table, one row per object with its fields flattened."""
        import pandas

        tables = self.output.tables
        if not tables:
            return pandas.json_normalize(self.objects)
        return pandas.concat([_frame(table) for table in tables], ignore_index=True)

    def __iter__(self) -> Iterator[Object]:
        return iter(self.objects)

    def __len__(self) -> int:
        return len(self.objects)

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, place: int | str) -> Any:
        """The object at a place or with a name. Raises LookupError."""
        if not isinstance(place, str):
            return self.objects[place]
        for found in self.objects:
            if found["metadata"]["name"] == place:
                return found
        raise LookupError(f'there is no object "{place}" here')

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        lines = self.text.rstrip("\n").split("\n")
        if len(lines) > LINES:
            lines = [*lines[:LINES], f"… {len(lines) - LINES} more lines: .text has them all"]
        return "\n".join([*lines, *(f"{word}: {text}" for word, text in remarks(self.output))]).lstrip("\n")

    def _repr_html_(self) -> str:
        return page(body(self.output) + manifest_page(self._source))


def page(content: str) -> str:
    """HTML with the stylesheet that it needs, so that a saved notebook shows it without this package."""
    return f'<style>{SHEET}</style><div class="k8snb">{content}</div>'


def body(output: Output) -> str:
    """The HTML of an answer: tables where there are any, otherwise its text, then remarks."""
    shown = output.tables and (output.format in ("", "wide"))
    content = "".join(map(_table, output.tables)) if shown else _text(output.text, output.format)
    return content + "".join(_note(word, text) for word, text in remarks(output))


def remarks(output: Output) -> list[tuple[str, str]]:
    """What is said beside the answer: (word, text)."""
    return [
        *(("Warning", text.removeprefix("Warning: ")) for text in output.warnings),
        *map(_failure, output.errors),
        *(("Hint", text) for text in output.hints),
    ]


def _failure(message: str) -> tuple[str, str]:
    """`Error from server (NotFound)` and what it says of it; the word Error once in any case."""
    word, colon, text = message.partition(": ")
    if colon and word.lower().startswith("error"):
        return word[0].upper() + word[1:], text
    return "Error", message


def _note(word: str, text: str) -> str:
    tone = "bad" if word.startswith("Error") else {"Warning": "busy"}.get(word, "plain")
    return f'<div class="k8snb-note"><b class="k8snb-{tone}">{word}:</b> {escape(text)}</div>'


def _table(table: Table) -> str:
    header = table.header
    cells = table.cells if len(table.rows) <= ROWS else _first(table, ROWS)
    css = [_css(name, [line[place] for line in cells]) for place, name in enumerate(header)]
    shown = zip(header, css, strict=True) if table.headers else ()
    head = "".join(f"<th{each}>{escape(name)}</th>" for name, each in shown)
    rows = "".join(f"<tr>{_row(header, line, css)}</tr>" for line in cells)
    left = len(table.rows) - len(cells)
    more = _note("Hint", f"{left:,} more rows: .df and .objects hold them all") if left else ""
    return f'<table class="k8snb-table"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}'


def _first(table: Table, count: int) -> list[list[str]]:
    return Table(columns=table.columns, rows=table.rows[:count], wide=table.wide).cells


def _css(name: str, column: list[str]) -> str:
    """The class of a column's cells: numbers stand at the right, whatever the column is called."""
    plain = bool(column) and all(cell.isdigit() for cell in column)
    css = _CSS.get(name, "k8snb-num" if plain else "")
    return f' class="{css}"' if css else ""


def _row(header: list[str], line: list[str], css: list[str]) -> str:
    over = any(tone_of(cell) is DONE for name, cell in zip(header, line, strict=True) if name in _STATUS_COLUMNS)
    cells = zip(header, line, css, strict=True)
    return "".join(f"<td{each}>{_cell(name, text, over)}</td>" for name, text, each in cells)


def _cell(name: str, text: str, over: bool) -> str:
    tone = _tone(name, text, over)
    shown = " ".join(map(link, text.split())) if name == "URL" else escape(text)
    if tone is not PLAIN:
        return f'<span class="k8snb-{tone.name}"><b class="k8snb-sym">{tone.symbol}</b>{shown}</span>'
    return f'<span class="k8snb-dim">{shown}</span>' if text in ("<none>", "<unknown>", "<unset>") else shown


def link(text: str) -> str:
    """A URL as a link, anything else as it is."""
    if not text.startswith(("http://", "https://")):
        return escape(text)
    return f'<a href="{escape(text)}" target="_blank" rel="noopener">{escape(text)}</a>'


def _tone(name: str, text: str, over: bool) -> Tone:
    """A cell's tone; `over` says that the row's object has done its work, so that `0/1` is no shortcoming."""
    if name in _STATUS_COLUMNS:
        return tone_of(text)
    return fraction_tone(text) if name in ("READY", "COMPLETIONS") and not over else PLAIN


def _text(text: str, format: str) -> str:
    if not text.strip():
        return ""
    if format in _LEXERS:
        return f'<pre class="k8snb-code">{_highlighted(text, _LEXERS[format])}</pre>'
    return f'<pre class="k8snb-text">{escape(text.rstrip())}</pre>'


def manifest_page(source: str) -> str:
    """A cell's manifest, folded away, with the colours that front ends give to Python only and the cell's own line
    numbers, which complaints speak of.
    """
    lines = source.rstrip().split("\n")
    if len(lines) < 2:
        return ""
    language = "json" if source.lstrip()[:1] in "{[" else "yaml"
    shown = _highlighted("\n".join(lines[:LINES]), language).rstrip("\n").split("\n")
    wide = len(str(len(shown) + 1))
    rows = "\n".join(f'<i class="k8snb-dim">{number:>{wide}}</i>  {line}' for number, line in enumerate(shown, 2))
    return f'<details class="k8snb-note"><summary>the manifest</summary><pre class="k8snb-code">{rows}</pre></details>'


def _highlighted(text: str, language: str) -> str:
    from pygments import highlight  # type: ignore[import-untyped]
    from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]

    return str(highlight(text.rstrip("\n"), get_lexer_by_name(language), HtmlFormatter(nowrap=True)))


def _frame(table: Table) -> pandas.DataFrame:
    import pandas

    rows = [[row.cells[place] for place in table.shown] for row in table.rows]
    return pandas.DataFrame(rows, columns=table.header)
