"""kubectl plugin: programs called `kubectl-…` that stand beside kubectl.

Interface: `COMMANDS`.
The rule not to break: they are listed and never run: what is not in kubectl's table is not k8snb's.
Source: `kubectl/pkg/cmd/plugin`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.session import Session

PREFIX = "kubectl-"


def run(session: Session, args: Arguments) -> Output:
    found = list(dict.fromkeys(_plugins()))
    if not found:
        raise KubectlError("error: unable to find any kubectl plugins in your PATH")
    shown = [path.name if args.on("name-only") else str(path) for path in found]
    return Output(text="The following compatible plugins are available:\n\n" + "".join(f"{each}\n" for each in shown))


def _plugins() -> Iterator[Path]:
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if folder and Path(folder).is_dir():
            yield from (path for path in sorted(Path(folder).glob(f"{PREFIX}*"))
                        if path.is_file() and os.access(path, os.X_OK))  # fmt: skip


COMMANDS = (
    Command(name="plugin", usage="SUBCOMMAND", help="Programs that extend the real kubectl.", group="Other Commands"),
    Command(
        name="plugin list", usage="[flags]", help="List the plug-ins on the PATH; k8snb does not run them.",
        group="Other Commands", run=run, flags=(Flag("name-only", BOOL, "Only their names."),),
        examples=("kubectl plugin list",),
    ),
)  # fmt: skip
