"""%kdiff --from MOMENT --to MOMENT: what changed between two moments, object by object.

Interface: `COMMAND`, a row as kubectl has them; `asks(words)`, `run(cluster, words)`, `complete(cluster, words)`;
`folded(compared)`, one object's difference for a page.
The rule not to break: the flags --from and --to are k8snb's own; without them the line is kubectl's diff.
Real kubectl compares manifests with what is there now.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import labels_of, name_of, namespace_of
from k8snb.apimachinery.selectors import SelectorError, parse_selector
from k8snb.kubectl import completion, flags, grammar, help
from k8snb.kubectl.commands import COMMANDS as KUBECTL
from k8snb.kubectl.grammar import Arguments, Command, Flag
from k8snb.kubectl.output import Column, KubectlError, Output, Row, Table
from k8snb.notebook.kat import moment, must_have_been
from k8snb.notebook.kdraw import asked_for
from k8snb.notebook.results import Result, body, page
from k8snb.story.compared import OTHER, Compared, compare, without_noise
from k8snb.story.scenes import UNTOLD
from k8snb.story.then import Then

if TYPE_CHECKING:
    from k8snb.cluster import Cluster

FLAGS = (
    Flag("from", help="k8snb's own: the earlier moment: a revision, -30s, ^ or whatever %kat takes."),
    Flag("to", help="k8snb's own: the later moment; now where only --from is given.", default="now"),
)
COMMAND = Command(
    name="diff",
    usage="--from MOMENT [--to MOMENT] [TYPE[/NAME]…] [-n NS | -A] [-l SELECTOR]",
    help="Show what changed between two moments: the objects in a table, and how each differs.",
    flags=(*FLAGS, flags.SELECTOR, flags.ALL_NAMESPACES),
    words="resources",
    examples=("%kdiff --from -30s", "%kdiff --from ^ --to last deployment/web", "%kdiff --from 120 --to 180 -A"),
)
OPEN, MOST = 3, 60  # objects whose difference is shown unfolded, and at all
COLUMNS = tuple(Column(name) for name in ("OBJECT", "CHANGE", "WHAT", "WHO", "REVISIONS"))


class Differences(Result):
    """What changed: a table, and beneath it each object's difference. `changes` has them as data."""

    def __init__(self, output: Output, changes: Sequence[Compared]) -> None:
        super().__init__(output)
        self.changes = list(changes)

    def _repr_html_(self) -> str:
        changed = [each for each in self.changes if each.sort == OTHER and each.kind.plural not in UNTOLD][:OPEN]
        parts = [folded(each, opened=each in changed) for each in self.changes[:MOST]]
        return page(body(self.output) + "".join(parts))


def asks(words: Sequence[str]) -> bool:
    """Whether the line compares moments."""
    return any(word.partition("=")[0] in ("--from", "--to") for word in words)


def run(cluster: Cluster, words: Sequence[str]) -> Result:
    """What changed. Raises KubectlError."""
    try:
        args = grammar.parse(["diff", *words], {"diff": COMMAND})
    except KubectlError as error:
        raise KubectlError(error.message.replace("kubectl diff", "%kdiff")) from None
    if args.on("help"):
        return Result(Output(text=about()))
    if not args.text("from"):
        raise KubectlError("error: --from says since when: %kdiff --from -30s")
    before, after = moment(cluster, args.text("from")), moment(cluster, args.text("to"))
    found, left = _picked(cluster, args, compare(cluster.history, before.revision, after.revision))
    return Differences(_output(found, left, before, after), found)


def _picked(cluster: Cluster, args: Arguments, found: list[Compared]) -> tuple[list[Compared], dict[str, int]]:
    namespace = "" if args.on("all-namespaces") else args.text("namespace") or cluster.kubectl.namespace
    asked = asked_for(cluster.client, args.words)
    try:
        selector = parse_selector(args.text("selector"))
    except SelectorError as error:
        raise KubectlError(f"error: {error}") from None
    chosen = [
        each for each in found
        if namespace in ("", namespace_of(each.obj) or ("" if args.text("namespace") else namespace))
        and (not asked or any(_is_asked(each, kind, name) for kind, name in asked))
        and (selector.matches(labels_of(each.before or each.obj)) or selector.matches(labels_of(each.obj)))
    ]  # fmt: skip
    if asked and not chosen:
        must_have_been(cluster, asked, namespace)
    return (chosen, {}) if asked else without_noise(chosen)


def _is_asked(each: Compared, kind: Kind, name: str) -> bool:
    return each.kind.qualified == kind.qualified and name in ("", name_of(each.obj))


def _output(found: Sequence[Compared], left: dict[str, int], before: Then, after: Then) -> Output:
    rows = tuple(Row((each.word, each.sort, each.what, _who(each), _revisions(each)), each.obj) for each in found)
    table = Table(columns=COLUMNS, rows=rows)
    span = f"from {before.moment.words}, to {after.moment.words}"
    hints = [span]
    if left:
        told = ", ".join(f"{count} {plural}" for plural, count in sorted(left.items()))
        hints.append(f"left out, unless you name them: {told}")
    if not found:
        return Output(text=f"Nothing changed {span}.\n", hints=hints[1:])
    text = "\n".join([table.text, *(each.diff for each in found[:MOST] if each.diff)])
    return Output(text=text, tables=[table], objects=[each.obj for each in found], hints=hints)


def _who(each: Compared) -> str:
    """`you, deployment-controller`; of more than two, how many more."""
    first, more = each.actors[:2], len(each.actors) - 2
    return ", ".join([*first, *([f"{more} more"] if more > 0 else [])])


def _revisions(each: Compared) -> str:
    """`120`, `120…180 (7)`."""
    first, last = each.changes[0].revision, each.changes[-1].revision
    return str(first) if first == last else f"{first}…{last} ({len(each.changes)})"


def folded(each: Compared, *, opened: bool = False) -> str:
    """An object's difference, to be unfolded; "" where there is none to show."""
    text = body(Output(text=each.diff, format="diff"))
    if not text:
        return ""
    mark = " open" if opened else ""
    head = f"<summary>{escape(each.word)} {each.sort}</summary>"
    return f'<details class="k8snb-note"{mark}>{head}{text}</details>'


def about() -> str:
    """What `%kdiff?` shows: kubectl's page, and what k8snb adds."""
    own = help.page(COMMAND, []).replace("kubectl diff", "%kdiff")
    return f"{help.page(KUBECTL['diff'], [])}\nBetween two moments, which only k8snb has:\n\n{own}"


def complete(cluster: Cluster, words: Sequence[str]) -> list[str]:
    """What the last word of a line can become."""
    if asks(words):
        return completion.complete(["diff", *words], {"diff": COMMAND}, cluster.client, cluster.kubectl.namespace)
    own = [f"--{flag.name}" for flag in FLAGS if words[-1].startswith("-") and f"--{flag.name}".startswith(words[-1])]
    return sorted({*own, *cluster.kubectl.complete(["diff", *words])})
