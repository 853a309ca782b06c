"""%ktimeline: in which state each object was when, as a chart and a table.

Interface: `COMMAND`, a row as kubectl has them; `run(cluster, words) -> Timeline`, `complete(cluster, words)`.
The rule not to break: it reads the revision log and keeps nothing; many objects become one lane, and it is said.
Real kubectl has no such command.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import labels_of, name_of, namespace_of, uid_of
from k8snb.apimachinery.selectors import Selector, SelectorError, parse_selector
from k8snb.apiserver.history import Change
from k8snb.kubectl import completion, flags, grammar, help
from k8snb.kubectl.grammar import DURATION, INT, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.notebook.chart import Chart
from k8snb.notebook.kcluster_answers import columns
from k8snb.notebook.results import Result
from k8snb.story.timeline import KINDS, Lane, collapsed, timeline

if TYPE_CHECKING:
    from k8snb.cluster import Cluster

LANES, MOST = 40, 200  # lanes of a picture: unless it is told otherwise, and at most
COMMAND = Command(
    name="timeline",
    usage="[TYPE[/NAME]…] [-n NS] [-A] [-l SELECTOR] [--since TIME] [--lanes N]",
    help="Show in which state each object was, from when to when: workloads and their pods, jobs, claims, nodes.",
    flags=(
        flags.ALL_NAMESPACES,
        Flag("selector", help="Only objects with these labels.", short="l", values=(":labels",)),
        Flag("since", DURATION, "Only what changed in this time: 30s, 5m; without it, all that is known."),
        Flag("lanes", INT, f"How many lanes at most, up to {MOST}.", default=LANES),
    ),
    words="resources",
    examples=("%ktimeline", "%ktimeline deployment/web", "%ktimeline pods -l app=web", "%ktimeline --since 2m"),
)  # fmt: skip
Named = tuple[Kind, str]  # a kind and a name, "" for all of it


class Timeline(Result):
    """A chart of lanes, and its spans as a table. `.lanes` has all of them, also those that are drawn as one."""

    def __init__(self, lanes: Sequence[Lane], most: int) -> None:
        self.lanes = list(lanes)
        self._drawn = collapsed(lanes, most)
        began = min((span.start for lane in lanes for span in lane.spans), default=0.0)
        rows = [
            (lane.word, span.state, f"+{span.start - began:.2f}s", f"{span.end - span.start:.2f}s", str(span.revision),
             span.actor)
            for lane in lanes for span in lane.spans
        ]  # fmt: skip
        table = columns(("OBJECT", "STATE", "FROM", "FOR", "REVISION", "WHO"), rows)
        left = sum(lane.many for lane in self._drawn)
        hints = [f"{len(lanes)} objects in {len(self._drawn)} lanes: .df has every one, --lanes {MOST} shows more"]
        if left < len(lanes):
            hints = [f"{len(lanes) - left} more objects: name some, or narrow by -l or --since; .df has them all"]
        super().__init__(Output(text=self._text(began), tables=[table],
                                hints=hints if len(self._drawn) < len(lanes) else []))  # fmt: skip

    def _text(self, began: float) -> str:
        wide = max((len(lane.word) for lane in self._drawn), default=0)
        lines = []
        for lane in self._drawn:
            states = " · ".join(f"+{span.start - began:.2f}s {span.state}" for span in lane.spans)
            gone = f" · +{lane.spans[-1].end - began:.2f}s gone" if lane.over else ""
            name = f"{lane.word} ×{lane.many}" if lane.many > 1 else lane.word
            lines.append(f"{name:<{wide}}  {states}{gone}\n")
        return "".join(lines)

    def _repr_html_(self) -> str:
        chart = Chart(self._drawn).html
        table = super()._repr_html_()
        return f"{chart}<details><summary>the table</summary>{table}</details>" if chart else table


def run(cluster: Cluster, words: Sequence[str]) -> Timeline | Result:
    """Carry out one line. Raises KubectlError."""
    try:
        args = grammar.parse(["timeline", *words], {"timeline": COMMAND})
    except KubectlError as error:
        raise KubectlError(error.message.replace("kubectl timeline", "%ktimeline")) from None
    if args.on("help"):
        return Result(Output(text=help.page(COMMAND, ()).replace("kubectl timeline", "%ktimeline")))
    most = args.number("lanes")
    if not 0 < most <= MOST:
        raise KubectlError(f'error: invalid argument "{most}" for "--lanes" flag: not a number from 1 to {MOST}')
    history, now = cluster.history, cluster.clock.now()
    chosen = _chosen(cluster, args, [*history.standing(), *history.since(0)])
    lanes = timeline(chosen, _end(chosen, now))
    if args.seconds("since"):
        lanes = _since(lanes, now - args.seconds("since"))
    if not lanes:
        raise KubectlError(f"error: {_nothing(cluster, args)}")
    return Timeline(lanes, most)


def complete(cluster: Cluster, words: Sequence[str]) -> list[str]:
    commands = {"timeline": COMMAND}
    return completion.complete(["timeline", *words], commands, cluster.client, cluster.kubectl.namespace)


def _end(changes: Sequence[Change], now: float) -> float:
    """Until when lasting states are drawn: soon after the last change, or what happened would be a hair's breadth."""
    if not changes:
        return now
    began, last = changes[0].time, max(change.time for change in changes)
    return min(now, last + max((last - began) * 0.08, 1.0)) if now > last else last


def _nothing(cluster: Cluster, args: Arguments) -> str:
    since = "in that time " if args.seconds("since") else ""
    where = "" if args.on("all-namespaces") else f' in namespace "{_namespace(cluster, args)}"'
    what = " ".join(args.words) or "no pod, workload, job or claim"
    return f"{since}{what}: nothing was found{where}, now or in the history"


def _namespace(cluster: Cluster, args: Arguments) -> str:
    return args.text("namespace") or cluster.kubectl.namespace


def _chosen(cluster: Cluster, args: Arguments, changes: Sequence[Change]) -> list[Change]:
    """The changes of the objects that are meant, and of all that named ones own."""
    selector = _selector(args.text("selector"))
    named = _named(cluster, args.words)
    namespace = "" if args.on("all-namespaces") else _namespace(cluster, args)
    picked: set[str] = set()
    for change in changes:
        obj, kind = change.obj, change.kind
        if namespace and kind.namespaced and namespace_of(obj) != namespace:
            continue
        meant = _is_meant(named, kind, name_of(obj)) if named else obj["kind"] in KINDS and kind.namespaced
        owned = any(owner["uid"] in picked for owner in obj["metadata"].get("ownerReferences") or ())
        if (meant or (owned and any(name for _, name in named))) and (
            selector is None or selector.matches(labels_of(obj))
        ):
            picked.add(uid_of(obj))
    return [
        change for change in changes if uid_of(change.obj) in picked and change.kind.plural not in ("events", "leases")
    ]


def _is_meant(named: Sequence[Named], kind: Kind, name: str) -> bool:
    return any(kind.kind == each.kind and kind.group == each.group and wanted in ("", name) for each, wanted in named)


def _selector(text: str) -> Selector | None:
    try:
        return parse_selector(text) if text else None
    except SelectorError as error:
        raise KubectlError(f"error: {error}") from None


def _named(cluster: Cluster, words: Sequence[str]) -> list[Named]:
    """`deployment/web`, `pods`, `pods,jobs`, or `pod web`."""
    if len(words) > 1 and not any("/" in word for word in words):
        return [(_kind(cluster, words[0]), name) for name in words[1:]]
    found = []
    for word in (each for words_ in words for each in words_.split(",")):
        kind, _, name = word.partition("/")
        found.append((_kind(cluster, kind), name))
    return found


def _kind(cluster: Cluster, word: str) -> Kind:
    kind = next((kind for kind in cluster.client.kinds() if word.lower() in kind.words()), None)
    if kind is None:
        raise KubectlError(f'error: the server doesn\'t have a resource type "{word}"')
    return kind


def _since(lanes: Sequence[Lane], moment: float) -> list[Lane]:
    """What goes on after a moment; what began before begins there."""
    for lane in lanes:
        lane.spans = [span._replace(start=max(span.start, moment)) for span in lane.spans if span.end > moment]
    return [lane for lane in lanes if lane.spans]
