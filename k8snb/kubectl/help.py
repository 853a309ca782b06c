"""kubectl's help pages, from the rows of the grammar.

Interface: `page(command, rows)`; `COMMANDS`, which has `kubectl help`.
The rule not to break: a page says what the row says; there is no other text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from k8snb.kubectl.grammar import ARRAY, BOOL, DURATION, STRINGS, Arguments, Command, Flag, find_command
from k8snb.kubectl.output import Output
from k8snb.kubectl.techniques import technique_of

if TYPE_CHECKING:
    from k8snb.kubectl.session import Session

_EMPTY = {STRINGS: "[]", ARRAY: "[]", DURATION: "0s"}


def page(command: Command, rows: Sequence[Command]) -> str:
    """What `kubectl COMMAND --help` prints."""
    sections = [command.help]
    if command.aliases:
        names = [name.rpartition(" ")[2] for name in (command.name, *command.aliases)]
        sections.append("Aliases:\n" + ", ".join(names))
    if command.examples:
        sections.append("Examples:\n" + "\n".join(f"  {example}" for example in command.examples))
    sections += _subcommands(command, rows)
    if command.flags:
        sections.append("Options:\n" + "\n\n".join(flag_text(flag) for flag in command.flags))
    technique = technique_of(command.name)
    if technique is not None and command.run is not None:
        by_files = technique_of(command.name, from_files=True)
        other = f"; with -f {by_files.name}" if by_files not in (None, technique) and _takes_files(command) else ""
        sections.append(f"Management technique:\n  {technique.name}{other}")
    if command.missing:
        missing = ", ".join(f"--{name}" for name in command.missing)
        sections.append(f"Not implemented by k8snb:\n  {missing}")
    sections.append(f"Usage:\n  kubectl {command.name}{' ' if command.name else ''}{command.usage}")
    return "\n\n".join(sections) + "\n"


def _takes_files(command: Command) -> bool:
    return any(flag.name == "filename" for flag in command.flags)


def flag_text(flag: Flag) -> str:
    """A flag as kubectl's pages have it."""
    short = f"-{flag.short}, " if flag.short else ""
    return f"    {short}--{flag.name}={_default(flag)}:\n\t{flag.help}"


def _default(flag: Flag) -> str:
    if flag.sort == BOOL:
        return str(bool(flag.initial)).lower()
    if flag.sort in _EMPTY and not flag.initial:
        return _EMPTY[flag.sort]
    if flag.sort == DURATION:
        return f"{flag.initial:g}s"
    return repr(flag.initial)


def _subcommands(command: Command, rows: Sequence[Command]) -> list[str]:
    """The commands below this one; below kubectl itself, by group."""
    depth = len(command.name.split())
    below = [row for row in rows if row.name.startswith(command.name) and len(row.name.split()) == depth + 1]
    below = [row for row in below if row.name.split()[:depth] == command.name.split() and not row.hidden]
    if command.name:
        return [f"Available Commands:\n{_listed(below)}"] if below else []
    groups = dict.fromkeys(row.group for row in below)
    return [f"{group}:\n{_listed(row for row in below if row.group == group)}" for group in groups]


def _listed(rows: Iterable[Command]) -> str:
    rows = list(rows)
    width = max(len(row.name.rpartition(" ")[2]) for row in rows)
    return "\n".join(f"  {row.name.rpartition(' ')[2]:<{width}}  {_summary(row)}" for row in rows)


def _summary(row: Command) -> str:
    return row.help + (" (not implemented by k8snb)" if row.missing_command else "")


def run(session: Session, args: Arguments) -> Output:
    """`kubectl help get` is `kubectl get --help`."""
    from k8snb.kubectl.commands import COMMANDS as ALL  # which has this command among them
    from k8snb.kubectl.commands import ROWS

    return Output(text=page(find_command(args.words, ALL)[0], ROWS))


COMMANDS = (
    Command(
        name="help",
        usage="[COMMAND]",
        help="Show what a command does.",
        group="Other Commands",
        run=run,
        words="commands",
        examples=("kubectl help", "kubectl help get", "kubectl help rollout status"),
    ),
)
