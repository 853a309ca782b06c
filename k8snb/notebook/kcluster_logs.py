"""%kcluster logs: what the components did, each under its own heading, as minikube gathers their logs.

Interface: `logs(clusters, args)`, an `Output`, or with `--follow` a `Stream`.
The rule not to break: these are the cluster's own logs; a container's lines are `klogs`'.
Source: `pkg/minikube/logs` in the minikube repository.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from k8snb.journal import Entry
from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import KubectlError, Output, Stream
from k8snb.notebook.clusters import Clusters
from k8snb.notebook.kcluster_answers import running, said, target

if TYPE_CHECKING:
    from k8snb.cluster import Cluster

LINES = 60  # of each component; minikube's default
TURN = 60.0  # seconds of one wait


def logs(clusters: Clusters, args: Arguments) -> Output:
    """Raises KubectlError where the file cannot be written."""
    if args.on("follow") and args.text("file"):
        raise KubectlError("error: --follow and --file exclude each other")
    if args.on("follow"):
        return _follow(running(clusters, args), args)
    length = args.number("length")
    if length < 1:
        raise KubectlError(f"error: invalid number of lines {length}: at least 1 is wanted")
    text = _sections(_picked(target(clusters, args).journal(), args), length)
    if not args.text("file"):
        return Output(text=text or "nothing has happened yet\n")
    try:
        Path(args.text("file")).write_text(text)
    except OSError as error:
        raise KubectlError(f"error: cannot write {args.text('file')}: {error.strerror}") from None
    return said(f"the logs were written to {args.text('file')}")


def _picked(entries: Iterable[Entry], args: Arguments) -> list[Entry]:
    node = args.text("node")
    return [
        entry for entry in entries if (not args.on("problems") or entry.warning) and (not node or entry.node == node)
    ]  # fmt: skip


def _sections(entries: Iterable[Entry], length: int) -> str:
    found: dict[str, list[str]] = {}
    for entry in entries:
        found.setdefault(entry.section, []).append(entry.line)
    return "\n".join(
        "\n".join([f"==> {section} <==", *found[section][-length:]]) + "\n" for section in sorted(found)
    )  # fmt: skip


def _follow(cluster: Cluster, args: Arguments) -> Stream:
    """The last lines of all components in their order, and each that is added."""
    entries = cluster.journal()
    told = cluster.store.revision

    def poll() -> list[Output]:
        nonlocal told
        fresh = cluster.journal(after=told)
        told = max([told, *(entry.revision for entry in fresh)])
        lines = [_followed(entry) for entry in _picked(fresh, args)]
        return [Output(text="".join(lines))] if lines else []

    def more() -> bool:
        before = told
        return cluster.wait(lambda: cluster.store.revision > before, TURN) or cluster.running

    first = "".join(map(_followed, _picked(entries, args)[-args.number("length") :]))
    return Stream(Output(text=first), poll, more=more)


def _followed(entry: Entry) -> str:
    return f"{entry.section}: {entry.line}\n"
