"""The magics that kubectl has no verb for: a row each, what it does, what `?` shows of it, and how its words complete.

Interface: `ROWS`, by the magic's name.
The rule not to break: a row names what its module has; what needs the shell is not here but in `magics`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from k8snb.kubectl import help
from k8snb.kubectl.commands import ROWS as VERBS
from k8snb.kubectl.grammar import Command
from k8snb.notebook import bookkeeping, contexts, kat, kclock, kdraw, kfork, krewind, kstory, ktimeline
from k8snb.notebook.results import Result

if TYPE_CHECKING:
    from k8snb.notebook.clusters import Clusters

    Act = Callable[[Clusters, list[str], str | None], Any]
    Offer = Callable[[Clusters, Sequence[str]], Sequence[str]]

_NAMESPACES = "The namespaces, and which one is meant without -n; %kns NAME means another one"


class Own(NamedTuple):
    """One magic. `files`: it writes the file that `--out` names itself."""

    act: Act
    about: str
    offer: Offer
    files: bool = False


def about(command: Command) -> str:
    """What `%kget?` shows."""
    return help.page(command, VERBS)


def _namespaces(clusters: Clusters, words: list[str], cell: str | None) -> Any:
    return Result(contexts.namespace(clusters.current, words))


def _told(name: str) -> Own:
    return Own(lambda clusters, words, cell: kstory.run(clusters.current, name, words), about(kstory.COMMANDS[name]),
               lambda clusters, words: kstory.complete(clusters.current, name, words))  # fmt: skip


def _future(name: str) -> Own:
    return Own(lambda clusters, words, cell: kfork.run(clusters, name, words), kfork.about(name),
               lambda clusters, words: kfork.complete(clusters, name, words))  # fmt: skip


def _kept(name: str, act: Callable[[Clusters, list[str]], Any]) -> Own:
    return Own(lambda clusters, words, cell: act(clusters, words), bookkeeping.about(name),
               lambda clusters, words: bookkeeping.complete(name, clusters.current, words))  # fmt: skip


ROWS: Mapping[str, Own] = {
    "kns": Own(_namespaces, _NAMESPACES,
               lambda clusters, words: clusters.current.kubectl.complete(["get", "namespaces", *words])),
    "kdraw": Own(lambda clusters, words, cell: kdraw.run(clusters.current, words), kdraw.about(),
                 lambda clusters, words: kdraw.complete(clusters.current, words), files=True),
    **{f"k{name}": _told(name) for name in kstory.COMMANDS},
    "kclock": Own(lambda clusters, words, cell: kclock.run(clusters.current, words), about(kclock.COMMANDS["clock"]),
                  lambda clusters, words: kclock.complete(clusters.current, words)),
    "kstep": Own(lambda clusters, words, cell: kclock.run_cell(clusters.current, words, cell),
                 about(kclock.COMMANDS["step"]),
                 lambda clusters, words: kclock.complete_cell(clusters.current, words)),
    "ktimeline": Own(lambda clusters, words, cell: ktimeline.run(clusters.current, words), about(ktimeline.COMMAND),
                     lambda clusters, words: ktimeline.complete(clusters.current, words)),
    "kat": Own(lambda clusters, words, cell: kat.run(clusters.current, words), kat.about(),
               lambda clusters, words: kat.complete(clusters.current, words)),
    "krewind": Own(lambda clusters, words, cell: krewind.run(clusters.current, words), krewind.about(),
                   lambda clusters, words: krewind.complete(clusters.current, words)),
    **{f"k{name}": _future(name) for name in kfork.COMMANDS},
    "khistory": _kept("history", bookkeeping.show_history),
    "kexport": _kept("export", bookkeeping.export),
}  # fmt: skip
