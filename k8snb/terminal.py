"""kubectl in a terminal: `k8snb kubectl …` against any cluster that a kubeconfig names.

Interface: `run(argv) -> exit status`.
The rule not to break: stdout has what kubectl writes there and nothing else, so that scripts can read it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

from k8snb.client import Client
from k8snb.console import Console
from k8snb.kubectl import Kubectl, KubectlError, Output, Stream
from k8snb.kubectl.commands import COMMANDS
from k8snb.kubectl.connection import WHOEVER, FromKubeconfig, Later
from k8snb.kubectl.forwarding import Forwarding
from k8snb.kubectl.grammar import Arguments, parse
from k8snb.kubectl.proxy import Proxy

INTERRUPTED = 130  # what a shell answers for a program that Ctrl-C ended
FOREVER = 1e9
LOOK = 0.1  # seconds between two looks at a forwarding


def run(argv: Sequence[str]) -> int:
    """Do what a command line says, and print it as kubectl does. Returns the exit status."""
    reach = FromKubeconfig()
    kubectl = Kubectl(Client(Later(_nowhere), WHOEVER), reach=reach, patience=FOREVER, console=Console())
    try:
        return _print(kubectl.run(list(argv), _stdin(argv)))
    except KubectlError as error:
        return _fail(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read this has heard enough
        sys.stderr.close()
        return 1
    finally:
        kubectl.close()
        reach.close()


def _nowhere() -> NoReturn:
    raise AssertionError("the command line says where to go")


def _stdin(argv: Sequence[str]) -> str | None:
    """What the command reads: nothing is taken from stdin unless it asks for that."""
    args = parse(list(argv), COMMANDS)
    return sys.stdin.read() if reads_stdin(args) else None


def reads_stdin(args: Arguments) -> bool:
    """Whether the line reads a text from stdin: `-f -`, `set env … -`."""
    return "-" in args.texts("filename") or (args.command.name == "set env" and "-" in args.words)


def _print(output: Output) -> int:
    if isinstance(output, Stream):
        return _follow(output)
    _say(output)
    if isinstance(output, Forwarding | Proxy):
        _stay(output)
    return output.exit_code


def _say(output: Output) -> None:
    told = "".join(f"{line}\n" for line in output.log)
    sys.stderr.write(told + "".join(f"Warning: {said}\n" for said in output.warnings) + output.notices)
    sys.stderr.flush()
    sys.stdout.write(output.on_stdout)
    sys.stdout.flush()
    sys.stderr.write("".join(f"{said}\n" for said in output.errors))


def _follow(stream: Stream) -> int:
    """Print what comes, as it comes."""
    try:
        for output in stream:
            _say(output)
    finally:
        stream.stop()
    return stream.exit_code


def _stay(forwarding: Forwarding | Proxy) -> None:
    """Keep the ports open until Ctrl-C or the pod's end, and tell of each connection."""
    told, waiting = 0, threading.Event()
    while not forwarding.stopped:
        for line in forwarding.handled[told:]:
            told += 1
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        waiting.wait(LOOK)


def _fail(error: KubectlError) -> int:
    sys.stdout.write("".join(f"{line}\n" for line in error.applied))
    sys.stdout.flush()
    warnings = "".join([*(f"{line}\n" for line in error.log), *(f"Warning: {said}\n" for said in error.warnings)])
    sys.stderr.write(f"{warnings}{error.on_stderr}\n")
    return error.exit_code
