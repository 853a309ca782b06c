"""%kfork and %kcompare: go on from a moment of the past as another cluster, and put two futures side by side.

Interface: `COMMANDS`, rows as kubectl has them; `run(clusters, name, words)`, `complete(clusters, name, words)`.
The rule not to break: whatever a row does, `k8snb.Cluster` can do in Python: `fork`, `compare`, `run_for`.
Real clusters cannot be forked; two of them are compared by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from k8snb.kubectl import completion, flags, grammar, help
from k8snb.kubectl.grammar import DURATION, INT, Arguments, Command, Flag
from k8snb.kubectl.output import Column, KubectlError, Output, Row, Table
from k8snb.notebook.clusters import Clusters
from k8snb.notebook.draw import NoGraphvizError
from k8snb.notebook.kat import complete as complete_moment
from k8snb.notebook.kat import sentences
from k8snb.notebook.kdraw import asked_for
from k8snb.notebook.results import Result, body, page
from k8snb.printers import duration
from k8snb.story.futures import Count, Unlike
from k8snb.story.moments import HAPPENINGS, SIDES
from k8snb.story.then import Then

if TYPE_CHECKING:
    from k8snb.cluster import Cluster

FOR = Flag("for", DURATION, "Let so much time pass: 2m; at once, for it is virtual.")
COMMANDS: Mapping[str, Command] = {
    row.name: row
    for row in (
        Command(
            name="fork", usage="[MOMENT] [NAME] [--for TIME] [--seed N]",
            help="Go on from a moment of the past as another cluster, on simulated nodes: what was there then is "
                 "there, pods go on running, and time is its own. It passes while a command has anything to do, and by "
                 "--for.",
            flags=(FOR, Flag("seed", INT, "What chance decides by; the same seed and commands have the same future.")),
            examples=("%kfork ^ other", "%kfork 120", "%kfork before web deleted --for 5m"),
        ),
        Command(
            name="compare", usage="[A] B [TYPE…] [--for TIME] [-n NS | -A]",
            help="Put two clusters side by side at the same moment: pictures, what is unlike, and how many pods each "
                 "had on the way. A fork that is behind catches up first; A is the cluster that is meant now.",
            flags=(FOR, flags.ALL_NAMESPACES), words="resources",
            examples=("%kcompare k8snb other", "%kcompare other", "%kcompare other third pods --for 10m"),
        ),
    )
}  # fmt: skip
_PAIR = """<style>.k8snb-pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(380px,100%),1fr));gap:12px}
.k8snb-pair figure{margin:0;min-width:0;padding:8px 10px;border:1px solid rgba(127,136,147,.35);border-radius:8px}
.k8snb-pair figcaption{font-weight:600;margin-bottom:6px}
.k8snb-pair svg{max-width:100%;height:auto;max-height:420px}</style>"""


class Futures(Result):
    """Two clusters at one moment: `unlike` and `counts` as data, `left` and `right` as they were."""

    def __init__(
        self, output: Output, sides: tuple[Then, Then], unlike: Sequence[Unlike], counts: Sequence[Count],
        words: Sequence[str],
    ) -> None:  # fmt: skip
        super().__init__(output)
        self.left, self.right = sides
        self.unlike, self.counts = list(unlike), list(counts)
        self._words = words

    def _repr_html_(self) -> str:
        pair = "".join(map(self._figure, (self.left, self.right)))
        return page(f'{_PAIR}<div class="k8snb-pair">{pair}</div>{body(self.output)}')

    def _figure(self, then: Then) -> str:
        try:
            picture = then.draw(*self._words)
            shown = picture.svg if picture.diagram.boxes else "<i>nothing is there</i>"
        except (NoGraphvizError, KubectlError):
            shown = ""
        return f"<figure><figcaption>{escape(then.name)}</figcaption>{shown}</figure>"


def run(clusters: Clusters, name: str, words: Sequence[str]) -> Result:
    """Carry out one line. Raises KubectlError."""
    try:
        args = grammar.parse([name, *_guarded(words)], COMMANDS)
    except KubectlError as error:
        raise KubectlError(error.message.replace(f"kubectl {name}", f"%k{name}")) from None
    if args.seconds("for") < 0:
        raise KubectlError("error: --for lets time pass, and time does not go back: %kfork has a moment for that")
    return Result(Output(text=about(name))) if args.on("help") else _RUN[name](clusters, args)


def _guarded(words: Sequence[str]) -> list[str]:
    """`-30s` is a moment and no flag, where it comes first."""
    first = words[0] if words else ""
    return [f"{first[1:]} ago", *words[1:]] if first[:1] == "-" and first[1:2].isdigit() else list(words)


def _moment(words: Sequence[str]) -> str:
    text = " ".join(words) or "now"
    return f"-{text.removesuffix(' ago')}" if text.endswith(" ago") else text


# %kfork


def _fork(clusters: Clusters, args: Arguments) -> Result:
    said, name = _said(args.words)
    source = clusters.current
    if name in clusters.names:
        raise KubectlError(f'error: there is a cluster "{name}" already: %kcluster delete -p {name}, or another name')
    with sentences(ValueError):
        then = source.at(_moment(said))
        seed = args.number("seed") if "seed" in args.given else None
        made = source.fork(then.moment, name or _free(clusters, source, then), seed=seed)
    clusters.adopt(made)
    made.kubectl.namespace = source.kubectl.namespace
    made.run_for(args.seconds("for"))
    return Result(Output(text=f'cluster "{made.name}" goes on from {source.name} at {then.moment.words}\n', hints=[
        f"the magics now speak to {made.name}: %kcluster profile {source.name} goes back",
        "its time is virtual: it passes while a command has anything to do",
        f"%kcompare {source.name} {made.name} puts the two side by side",
    ]))  # fmt: skip


def _said(words: Sequence[str]) -> tuple[list[str], str]:
    """The words of the moment, and the name behind them. Raises KubectlError for more."""
    side = int(bool(words) and words[0] in SIDES)
    happened = next((place for place, word in enumerate(words) if word.lower() in HAPPENINGS), -1)
    length = max(happened + 1, 2 + side) if happened >= 0 else 1 + side
    if len(words) > length + 1:
        more = " ".join(words[length + 1 :])
        raise KubectlError(f"error: %kfork wants a moment and a name, and not {more} as well: %kfork ^ other")
    return list(words[:length]), words[length] if len(words) > length else ""


def _free(clusters: Clusters, source: Cluster, then: Then) -> str:
    base = f"{source.name}-{then.revision}"
    names = [base, *(f"{base}-{number}" for number in range(2, len(clusters.names) + 3))]
    return next(name for name in names if name not in clusters.names)


# %kcompare


def _compare(clusters: Clusters, args: Arguments) -> Futures:
    words = list(args.words)
    names = [words.pop(0) for _ in range(2) if words and words[0] in clusters.names]
    if not names or (len(names) == 1 and names[0] == clusters.current.name):
        raise KubectlError(f"error: %kcompare wants another cluster's name: {_others(clusters, words)}")
    left, right = (clusters.running(name) for name in (names if len(names) == 2 else [clusters.current.name, *names]))
    if left is right:
        raise KubectlError(f"error: %kcompare {left.name} {left.name}: a cluster is always like itself")
    namespace = "" if args.on("all-namespaces") else args.text("namespace") or left.kubectl.namespace
    kinds = [kind for kind, _ in asked_for(left.client, words)]
    with sentences(ValueError):
        sides = left.side_by_side(right, ahead=args.seconds("for"))
    unlike, counts = left.compare(right, namespace=namespace, kinds=kinds, sides=sides)
    drawn = [*words, *(["-n", namespace] if namespace else ["-A"])]
    return Futures(_output(sides, unlike, counts), sides, unlike, counts, drawn)


def _others(clusters: Clusters, words: Sequence[str]) -> str:
    known = [name for name in clusters.names if name != clusters.current.name]
    if words:
        return f'there is no cluster "{words[0]}" (there is: {", ".join(clusters.names)})'
    return f"there is: {', '.join(known)}" if known else "there is none yet: %kfork ^ other makes one"


def _output(sides: tuple[Then, Then], unlike: Sequence[Unlike], counts: Sequence[Count]) -> Output:
    left, right = (each.name for each in sides)
    table = _table(("OBJECT", left.upper(), right.upper(), "DIFFERENCE"), unlike)
    way = _table(
        ("PODS READY AFTER", left.upper(), right.upper()),
        [(f"+{duration.human(each.seconds)}", *("{}/{}".format(*side) for side in each[1:])) for each in counts],
    )
    hints = [f"both at {sides[0].moment.clock} of their time"]
    if not unlike:
        hints.append("nothing is unlike, but for what chance names")
    shown = [each for each in (table, way) if each.rows]
    return Output(text="\n".join(each.text for each in shown), tables=shown, hints=hints)


def _table(header: Sequence[str], lines: Sequence[Sequence[Any]]) -> Table:
    return Table(columns=tuple(map(Column, header)), rows=tuple(Row(tuple(map(str, line)), {}) for line in lines))


def about(name: str) -> str:
    """What `%kfork?` shows."""
    return help.page(COMMANDS[name], []).replace(f"kubectl {name}", f"%k{name}")


def complete(clusters: Clusters, name: str, words: Sequence[str]) -> list[str]:
    """What the last word of a line can become."""
    cluster = clusters.current
    found = completion.complete([name, *words], COMMANDS, cluster.client, cluster.kubectl.namespace)
    own = clusters.names if name == "compare" else complete_moment(cluster, words) if len(words) == 1 else []
    return [*(each for each in own if each.startswith(words[-1]) and each != words[-1]), *found]


_RUN: Mapping[str, Callable[[Clusters, Arguments], Result]] = {"fork": _fork, "compare": _compare}
