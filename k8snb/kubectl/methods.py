"""kubectl's commands as methods: `kubectl.get("pods", selector="app=nginx")`, `kubectl.create_deployment("web", …)`.

Interface: `Methods`, which `Kubectl` is one of. Its methods and their keywords come from the grammar; `methods.pyi`,
made of it too (`methods_build.py`), tells them to type checkers and editors.
The rule not to break: whatever fails in a method is a `KubectlError`: its `message` is what kubectl prints, its
`exit_code` what a script would get, and `applied` tells what was done beside the failure.

Words are positional (`kubectl.get("pods", "web")`), flags are keywords (`kubectl.get("pods", all_namespaces=True)`),
and a manifest, as text, dict or list of dicts, is what `-f -` reads: `kubectl.apply({"apiVersion": …})`. What a program
is to hear stands behind "--": `kubectl.exec("web", "--", "date")`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from k8snb.kubectl import help
from k8snb.kubectl.calls import BY_METHOD, argv, signature
from k8snb.kubectl.commands import COMMANDS, ROWS
from k8snb.kubectl.grammar import Command
from k8snb.kubectl.output import Output


class Methods:
    """What has `run(argv, stdin)`, with a method for every command."""

    def __getattr__(self, name: str) -> Callable[..., Output]:
        command = BY_METHOD.get(name) or COMMANDS.get(name.rstrip("_").replace("_", "-"))
        if command is None or not command.name or name.startswith("_"):
            raise AttributeError(f"kubectl has no command {name!r}")
        return self._method(command)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *BY_METHOD]

    def _method(self, command: Command) -> Callable[..., Output]:
        def method(*words: Any, **options: Any) -> Output:
            line, stdin = argv(command, words, options)
            return self.run(line, stdin)

        method.__name__ = command.name
        method.__doc__, method.__signature__ = _about(command.name)
        return method


@cache
def _about(name: str) -> tuple[str, Any]:
    return help.page(COMMANDS[name], ROWS), signature(COMMANDS[name])
