"""%klogs --all: the lines of all containers, those of pods that are gone too, from the add-on logging.

Interface: `COMMAND`, a row as kubectl has them; `asks_for_all(words)`, `search(cluster, words) -> Lines`,
`complete(cluster, words)`.
The rule not to break: without `--all`, `%klogs` is kubectl's own `logs`.
Real kubectl reads the logs of containers that are there; for others one asks a log store.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from k8snb.addons.log_collector import MOST, LoggingAddon
from k8snb.addons.log_store import Line
from k8snb.apimachinery.selectors import SelectorError, parse_selector
from k8snb.kubectl import completion, flags, grammar, help
from k8snb.kubectl.grammar import BOOL, DURATION, INT, Arguments, Command, Flag
from k8snb.kubectl.output import Column, KubectlError, Output, Row, Table
from k8snb.notebook.results import Result

if TYPE_CHECKING:
    import pandas

    from k8snb.cluster import Cluster

ALL, TAIL = "--all", 200
COMMAND = Command(
    name="logs",
    usage="--all [-l SELECTOR] [--search TEXT] [--since 5m] [-n NS] [flags]",
    help="Show what all containers wrote, also those of pods that are gone. Needs the add-on logging.",
    flags=(
        Flag("all", BOOL, "The lines of all containers, of all namespaces unless -n names one."),
        Flag("search", help="Only lines that hold this text, in any case."),
        flags.SELECTOR,
        Flag("container", help="Only containers of this name.", short="c"),
        Flag("pod", help="Only the pod of this name."),
        Flag("since", DURATION, "Only what is not older: 5s, 2m, 3h."),
        Flag("tail", INT, "How many of the last lines; -1 for all.", default=TAIL),
    ),
    examples=("%klogs --all", "%klogs --all -l app=nginx --since 5m", "%klogs --all --search error"),
)
_COLUMNS = tuple(Column(name) for name in ("TIME", "NAMESPACE", "POD", "CONTAINER", "NODE", "LINE"))
_DISABLED = "error: what all containers write is kept by the add-on logging: %kcluster addons enable logging"


class Lines(Result):
    """Lines of all containers: a table in the page, text in a terminal. `.lines` are dicts, `.df` has their columns."""

    def __init__(self, lines: Sequence[Line], hints: Sequence[str]) -> None:
        self.lines = [line.object for line in lines]
        rows = tuple(Row(_cells(line), line.object) for line in lines)
        text = "".join(f"{line}\n" for line in lines) or "No lines found.\n"
        tables = [Table(columns=_COLUMNS, rows=rows)] if rows else []
        super().__init__(Output(text=text, tables=tables, hints=list(hints)))

    @property
    def df(self) -> pandas.DataFrame:
        """One row for each line, with real times."""
        import pandas

        frame = pandas.DataFrame(self.lines, columns=[*(column.name.lower() for column in _COLUMNS), "labels"])
        return frame.assign(time=pandas.to_datetime(frame["time"], format="ISO8601", utc=True))


def asks_for_all(words: Sequence[str]) -> bool:
    """Whether a line of kubectl's is `logs … --all …`."""
    return list(words[:1]) == ["logs"] and ALL in words


def search(cluster: Cluster, words: Sequence[str]) -> Result:
    """Carry out `logs --all …`. Raises KubectlError."""
    try:
        args = grammar.parse(list(words), {"logs": COMMAND})
    except KubectlError as error:
        raise KubectlError(error.message.replace("kubectl logs", "%klogs --all")) from None
    if args.on("help"):
        return Result(Output(text=help.page(COMMAND, [COMMAND])))
    if args.words:
        raise KubectlError(
            f"error: --all shows all containers: leave {args.words[0]} out, or say --pod={args.words[0]}"
        )
    addon = cluster.addons.get("logging")
    if not isinstance(addon, LoggingAddon):
        raise KubectlError(_DISABLED)
    return _shown(addon, args)


def complete(cluster: Cluster, words: Sequence[str]) -> list[str]:
    """What the last word of a line with --all can become."""
    return completion.complete(["logs", *words], {"logs": COMMAND}, cluster.client, cluster.kubectl.namespace)


def _shown(addon: LoggingAddon, args: Arguments) -> Lines:
    try:
        selector = parse_selector(args.text("selector")) if args.text("selector") else None
    except SelectorError as error:
        raise KubectlError(f"error: {error}") from None
    found = addon.search(
        args.text("search"), namespace=args.text("namespace"), selector=selector, seconds=args.seconds("since"),
        container=args.text("container"), pod=args.text("pod"),
    )  # fmt: skip
    tail = args.number("tail")
    shown = found[max(len(found) - tail, 0) :] if tail >= 0 else found
    hints = [f"{len(found) - len(shown):,} earlier lines: --tail=-1 shows all"] if len(shown) < len(found) else []
    if addon.store.dropped:
        hints.append(f"the store is full: {addon.store.dropped:,} older lines had to make room")
    if addon.left_out:
        hints.append(
            f"{len(addon.left_out)} containers are not read: more than {MOST} at once: not implemented by k8snb"
        )
    return Lines(shown, hints)


def _cells(line: Line) -> tuple[str, ...]:
    source = line.source
    return line.time, source.namespace, source.pod, source.container, source.node, line.text
