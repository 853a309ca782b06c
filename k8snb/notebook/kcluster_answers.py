"""Answers of %kcluster: tables, sentences, links; and the words of its lines that its rows share.

Interface: `table`, `said`, `json_answer`, `Url`, `word`, `target` and `running`.
The rule not to break: the words are minikube's where it has them, without its emoji.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import Column, KubectlError, Output, Row, Table
from k8snb.notebook.clusters import Clusters
from k8snb.notebook.results import link, page

if TYPE_CHECKING:
    from k8snb.cluster import Cluster


class Url(str):
    """A URL: a string for Python, a link in the page."""

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return page(link(self))


def columns(header: Sequence[str], lines: Sequence[Sequence[str]]) -> Table:
    return Table(columns=tuple(Column(name) for name in header), rows=tuple(Row(tuple(line), {}) for line in lines))


def table(header: Sequence[str], lines: Sequence[Sequence[str]], *hints: str) -> Output:
    """An answer in columns, as kubectl's are."""
    made = columns(header, lines)
    return Output(text=made.text, tables=[made], hints=list(hints))


def said(*lines: str, hints: Sequence[str] = ()) -> Output:
    """An answer in sentences."""
    return Output(text="".join(f"{line}\n" for line in lines), hints=list(hints))


def json_answer(value: Any) -> Output:
    return Output(text=json.dumps(value) + "\n", format="json")


def wants_json(args: Arguments, *others: str) -> bool:
    """Whether `-o json` was asked for. Raises KubectlError for a form that is neither that nor one of the others."""
    output = args.text("output")
    if output not in ("", "json", *others):
        valid = ", ".join(f"'{name}'" for name in (*others, "json"))
        raise KubectlError(f"error: invalid output format: {output}. Valid values: {valid}")
    return output == "json"


def target(clusters: Clusters, args: Arguments) -> Cluster:
    """The cluster that a line is about, running or not: that of `-p`, or the current one. Raises KubectlError."""
    return clusters.find(args.text("profile"))


def running(clusters: Clusters, args: Arguments) -> Cluster:
    """As `target`, but it has to run. Raises KubectlError."""
    return clusters.running(args.text("profile"))


def word(args: Arguments, wanted: str, *, optional: bool = False) -> str:
    """The one bare word of a line. Raises KubectlError for none or several."""
    if len(args.words) > 1:
        raise KubectlError(f"error: one word too many: {args.words[1]}")
    if not args.words and not optional:
        raise KubectlError(f"error: {wanted} is missing: %kcluster {args.command.name} {args.command.usage}")
    return args.words[0] if args.words else ""
