"""The stub of kubectl's methods: what type checkers and editors read instead of the grammar.

Interface: `python -m k8snb.kubectl.methods_build` writes `methods.pyi` anew; `stub()` is its text. A test says when
that is due: whenever a command or a flag has come, gone or been given other words.
The rule not to break: nothing is written by hand.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from k8snb.kubectl.calls import BY_METHOD, option_name, option_type
from k8snb.kubectl.grammar import GLOBAL_FLAGS, Command

_WIDTH = 110
_HEAD = '''"""kubectl's commands as methods, from the grammar's rows. Made by methods_build.py; do not edit."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from typing_extensions import Unpack

from k8snb.kubectl.output import Output

Word = str | Mapping[str, Any] | Sequence[Mapping[str, Any]]
Text = str | int | float | Mapping[str, Any]
Texts = str | Sequence[str] | Mapping[str, Any]

class Everywhere(TypedDict, total=False):
    """What every command may be given besides."""

{everywhere}
class Methods:
    def run(self, argv: str | Sequence[str], stdin: str | None = None, *, asks: bool = False) -> Output: ...
'''


def stub() -> str:
    """The text of `methods.pyi`."""
    own = {"namespace", "help", *(flag.name for command in BY_METHOD.values() for flag in command.flags)}
    rest = [flag for flag in GLOBAL_FLAGS if flag.name not in own]
    everywhere = "".join(f"    {option_name(flag)}: {option_type(flag)}\n" for flag in rest)
    methods = (_method(name, command) for name, command in sorted(BY_METHOD.items()))
    return _HEAD.format(everywhere=everywhere) + "".join(methods)


def _method(name: str, command: Command) -> str:
    start = f"    def {name}(\n        self,\n        *words: Word,\n"
    return f"{start}{''.join(_options(command))}    ) -> Output:\n{_doc(command)}"


def _options(command: Command) -> Iterator[str]:
    own = {flag.name for flag in command.flags}
    shown = [flag for flag in GLOBAL_FLAGS if flag.name == "namespace" and flag.name not in own]
    for flag in sorted([*command.flags, *shown], key=option_name):
        yield f"        {option_name(flag)}: {option_type(flag)} = None,\n"
    yield "        **everywhere: Unpack[Everywhere],\n"


def _doc(command: Command) -> str:
    """The command's own sentence, and what each flag does."""
    usage = f"kubectl {command.name} {command.usage}".strip()
    lines = [
        command.help,
        "",
        *textwrap.wrap(usage, _WIDTH, break_on_hyphens=False),
        "",
        *(f"{option_name(flag)}: {flag.help}" for flag in command.flags),
    ]
    text = "\n".join(f"        {line}".rstrip() for line in lines).strip()
    return f'        r"""{text}\n        """\n'


def main() -> None:
    (Path(__file__).parent / "methods.pyi").write_text(stub(), encoding="utf-8")


if __name__ == "__main__":
    main()
