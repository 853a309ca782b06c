"""History: the changes that were made, by which technique, and what would be needed to make them again.

Interface: `Change`; `change_of(args, …)`, one command as a change; `table(changes, now)`.
The rule not to break: what changed nothing (a reading command, a dry run, `unchanged`) is no change.
Real kubectl keeps none of this: its users have their shell's history, or files in version control.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from k8snb.kubectl.formats import resource_name
from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import Output
from k8snb.kubectl.session import NONE
from k8snb.kubectl.techniques import DECLARATIVE, IMPERATIVE, Technique, changes, technique_of
from k8snb.printers import duration
from k8snb.printers.table import Column, Row, Table

COLUMNS = tuple(map(Column, ("#", "AGE", "TECHNIQUE", "COMMAND", "CHANGED", "TO REPEAT IT")))
_WIDE = 60  # characters of a command or a list of changes that a table shows

_NEW = "where what it makes is not there yet"
_THERE = "where its objects are there"
# What must hold in the cluster for the same line to do the same again.
_WHERE = {
    **dict.fromkeys(("create", "run", "expose", "autoscale", "debug"), _NEW),
    "edit": "and an editor: what was typed is in the object alone",
    "rollout": "where the same revisions are there",
}


@dataclass(frozen=True)
class Change:
    """One command that changed something. `words` are those after kubectl, `body` what `-f -` read, `at` the moment."""

    technique: Technique
    words: tuple[str, ...]
    done: tuple[str, ...]
    at: float
    sources: tuple[str, ...] = ()
    body: str | None = None
    failed: bool = False

    @property
    def command(self) -> str:
        """The whole line."""
        return f"kubectl {shlex.join(self.words)}"

    @property
    def needs(self) -> str:
        """What it takes to make the change again."""
        if self.technique is DECLARATIVE:
            return f"{self._files} alone: apply at any time, in any state"
        verb = next((word for word in self.words if not word.startswith("-")), "")
        where = _WHERE.get(verb, _THERE)
        if self.technique is IMPERATIVE:
            return f"this line, {where}"
        return f"this line and {self._files}, {where}"

    @property
    def _files(self) -> str:
        shown = [f"the cell's {_lines(self.body)}" if name == "-" else name for name in self.sources]
        return ", ".join(shown) or "its files"


def _lines(body: str | None) -> str:
    count = len((body or "").strip().splitlines())
    return f"{count} line{'' if count == 1 else 's'}"


def change_of(
    args: Arguments, words: Sequence[str], body: str | None, *, output: Output, at: float, failed: bool = False
) -> Change | None:
    """What a command changed; None where that is nothing."""
    name = args.command.name
    technique = technique_of(name, from_files=args.from_files)
    tried = (args.text("dry-run") or NONE) != NONE or args.on("local")
    if technique is None or not changes(name) or tried:
        return None
    done = tuple(line for line in _done(args, output) if not line.endswith(" unchanged"))
    if not done:
        return None
    sources = (*args.texts("filename"), *([args.text("kustomize")] if args.text("kustomize") else ()))
    kept = body if "-" in sources else None
    return Change(technique, tuple(words), done, at, sources, kept, failed)


def _done(args: Arguments, output: Output) -> list[str]:
    """What the command said it did, line by line; behind `-o`, which objects it had to do with."""
    if args.text("output") or args.text("template"):
        return [resource_name(obj) for obj in output.objects]
    if args.command.name == "edit" and not output.objects:
        return []
    return [line for line in output.text.splitlines() if line.strip()]


def table(numbered: Sequence[tuple[int, Change]], now: float) -> Table:
    """The changes as a table, with the numbers that they have."""
    return Table(columns=COLUMNS, rows=tuple(_row(number, change, now) for number, change in numbered))


def _row(number: int, change: Change, now: float) -> Row:
    """The cells, cut where they are long, and the whole of it as an object."""
    done = "; ".join(change.done) + (" (then it failed)" if change.failed else "")
    cells = (number, duration.human(now - change.at), change.technique.name, _short(change.command), _short(done),
             change.needs)  # fmt: skip
    whole = {"number": number, "technique": change.technique.name, "command": change.command,
             "changed": list(change.done), "needs": change.needs, "sources": list(change.sources), "body": change.body,
             "failed": change.failed}  # fmt: skip
    return Row(cells, whole)


def _short(text: str) -> str:
    return text if len(text) <= _WIDE else text[: _WIDE - 1] + "…"
