"""%khistory and %kexport: what was changed in this session, and what has come of it.

Interface: `HISTORY` and `EXPORT`, rows as kubectl has them; `show_history(clusters, words)`, `export(clusters, words)`.
The rule not to break: both read; the one changes nothing, the other writes files alone.
Real kubectl has neither: a history is a shell's, or that of a repository with the manifests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from k8snb.apimachinery.meta import name_of, namespace_of
from k8snb.kubectl import completion, flags, grammar, help
from k8snb.kubectl.export import SECRET, Export
from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag
from k8snb.kubectl.history import table
from k8snb.kubectl.manifests import OWNED, RECORD, SYSTEM
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.techniques import TECHNIQUES
from k8snb.notebook.clusters import Clusters
from k8snb.notebook.results import Result
from k8snb.printers.table import Column, Row, Table

if TYPE_CHECKING:
    from k8snb.cluster import Cluster

HISTORY = Command(
    name="history",
    usage="[--technique NAME]",
    help="List every change of this session: by which technique, and what it takes to make it again.",
    flags=(Flag("technique", help="Only changes by this one.", values=tuple(each.name for each in TECHNIQUES)),),
    examples=("%khistory", "%khistory --technique declarative"),
)
EXPORT = Command(
    name="export",
    usage="DIRECTORY [-n NS] [-l SELECTOR] [--secrets]",
    help="Write the live state as clean manifests, for %kapply -f DIRECTORY.",
    flags=(
        flags.SELECTOR,
        Flag("secrets", BOOL, "Secrets too: whoever can read the files can read them."),
    ),
    examples=("%kexport my-cluster", "%kexport shop -n shop --secrets"),
)
ROWS = {"history": HISTORY, "export": EXPORT}


def read(name: str, words: Sequence[str]) -> Arguments | Output:
    """The words of a magic, or its help. Raises KubectlError in the magic's own name."""
    try:
        args = grammar.parse([name, *words], ROWS)
    except KubectlError as error:
        raise KubectlError(error.message.replace(f"kubectl {name}", f"%k{name}")) from None
    return Output(text=about(name)) if args.on("help") else args


def about(name: str) -> str:
    """What `%khistory?` shows."""
    return help.page(ROWS[name], []).replace(f"kubectl {name}", f"%k{name}")


def complete(name: str, cluster: Cluster, words: Sequence[str]) -> list[str]:
    """What the last word of a line can become."""
    return completion.complete([name, *words], ROWS, cluster.client, cluster.kubectl.namespace)


def show_history(clusters: Clusters, words: Sequence[str]) -> Result:
    """The changes, as a table; `.objects` has them whole, with the bodies of their cells."""
    args = read("history", words)
    if isinstance(args, Output):
        return Result(args)
    wanted, known = args.text("technique"), [technique.name for technique in TECHNIQUES]
    if wanted and wanted not in known:
        raise KubectlError(f'error: there is no technique "{wanted}": it is one of {", ".join(known)}')
    numbered = [(number, change) for number, change in enumerate(clusters.changes, start=1)
                if wanted in ("", change.technique.name)]  # fmt: skip
    if not numbered:
        what = f" by the {wanted} technique" if wanted else ""
        return Result(Output(text=f"Nothing was changed in this session{what} so far.\n"))
    shown = table(numbered, clusters.current.clock.now())
    objects = [row.object for row in shown.rows]
    return Result(Output(text=shown.text, tables=[shown], objects=objects, hints=_costs(wanted)))


def _costs(wanted: str) -> list[str]:
    """What the one technique that is asked for gains and costs."""
    return [f"{each.name} works on {each.works_on}. It gains: {each.gains}. It costs: {each.costs}."
            for each in TECHNIQUES if each.name == wanted]  # fmt: skip


def export(clusters: Clusters, words: Sequence[str]) -> Result:
    """Write the manifests; the answer lists them."""
    args = read("export", words)
    if isinstance(args, Output):
        return Result(args)
    if len(args.words) != 1:
        raise KubectlError("error: %kexport takes one directory: %kexport my-cluster")
    namespaces = [args.text("namespace")] if args.text("namespace") else []
    found = clusters.current.kubectl.export(
        args.words[0], namespaces=namespaces, selector=args.text("selector"), secrets=args.on("secrets")
    )
    shown = _listed(found)
    return Result(Output(text=shown.text, tables=[shown], objects=[row.object for row in shown.rows],
                         hints=_remarks(found, args)))  # fmt: skip


def _listed(found: Export) -> Table:
    names = ("NAMESPACE", "KIND", "NAME", "FILE")
    rows = tuple(
        Row((namespace_of(obj), obj["kind"], name_of(obj), file), obj) for file, obj in found.manifests.items()
    )
    return Table(columns=tuple(map(Column, names)), rows=rows)


def _remarks(found: Export, args: Arguments) -> list[str]:
    words = {OWNED: "made by another object", SYSTEM: "of the cluster's own", RECORD: "records of what happened",
             SECRET: "Secrets (--secrets takes them too)"}  # fmt: skip
    left = [f"{found.left[reason]} {word}" for reason, word in words.items() if found.left[reason]]
    again = [f"to make it again: %kapply -f {args.words[0]}"]
    if args.on("secrets") and any(obj["kind"] == "Secret" for obj in found.manifests.values()):
        again.append("the files hold Secrets, which base64 does not hide: keep them out of version control")
    if any(obj["kind"] == "CustomResourceDefinition" for obj in found.manifests.values()):
        again.append("kinds of your own: apply the definitions first (-f with their files), then the directory")
    return [*([f"left out: {', '.join(left)}"] if left else []), *again]
