"""kill: sends a signal to a process of the container; 1 is the container's first process.

The rule not to break: process 1 of the machine is never meant.
"""

from __future__ import annotations

import os
import signal
import sys


def main(arguments: list[str]) -> int:
    number, words = _signal(arguments)
    if number is None or not words:
        print("kill: usage: kill [-SIGNAL] PID...", file=sys.stderr)
        return 1
    for word in words:
        try:
            os.kill(_process(int(word)), number)
        except (OSError, ValueError) as error:
            print(f"kill: {word}: {getattr(error, 'strerror', None) or 'not a process id'}", file=sys.stderr)
            return 1
    return 0


def _signal(arguments: list[str]) -> tuple[int | None, list[str]]:
    if arguments[:1] == ["-s"]:
        arguments = ["-" + "".join(arguments[1:2]), *arguments[2:]]
    if not arguments or not arguments[0].startswith("-"):
        return signal.SIGTERM, arguments
    name = arguments[0][1:].upper().removeprefix("SIG")
    if name.isdigit():
        return int(name), arguments[1:]
    found: signal.Signals | None = getattr(signal, "SIG" + name, None)
    return found, arguments[1:]


def _process(number: int) -> int:
    if number != 1:
        return number
    return int(os.environ.get("K8SNB_PID") or os.getsid(0))
