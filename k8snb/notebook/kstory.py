"""%ktrace, %kblame, %kwhy and %kselect: the story of a cluster in a cell.

Interface: `COMMANDS`, rows as kubectl has them; `run(cluster, name, words)`, `complete(cluster, name, words)`.
The rule not to break: what is shown is what `k8snb.story` found, each line with the revision that it was read from.
Real kubectl has no such commands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, name_of, namespace_of
from k8snb.kubectl import completion, flags, grammar, help
from k8snb.kubectl.grammar import Arguments, Command
from k8snb.kubectl.output import Column, KubectlError, Output, Row, Table
from k8snb.notebook import kselect, kwhy
from k8snb.notebook.results import Result
from k8snb.notebook.sequence import Sequence as SequenceDiagram
from k8snb.story import trace
from k8snb.story.blame import Line, blame
from k8snb.story.trace import Step
from k8snb.story.why import Scene, word_of

if TYPE_CHECKING:
    from k8snb.cluster import Cluster

COMMANDS: Mapping[str, Command] = {
    row.name: row
    for row in (
        Command(
            name="trace", usage="[TYPE/NAME | last]",
            help="Show what a command led to, write by write: who wrote what, because of which write before.",
            words="resources", examples=("%ktrace", "%ktrace last", "%ktrace deployment/web"),
        ),
        Command(
            name="blame", usage="TYPE/NAME",
            help="Show for each field of an object who wrote it last, with which verb, and at which revision.",
            words="resources", examples=("%kblame deployment/web",),
        ),
        Command(
            name="why", usage="TYPE/NAME[.FIELD] | not TYPE/NAME CONDITION",
            help="Say what keeps an object from being as its spec says, or from a state that is expected of it, with "
                 "the evidence and the command that helps; for a field, the chain of writes that led to its value.",
            words="resources",
            examples=("%kwhy pod/web", "%kwhy svc/web", "%kwhy deployment/web.spec.replicas", "%kwhy not pod/web Ready",
                      "%kwhy not deployment/web Available", "%kwhy not pod/web on node-2",
                      "%kwhy not pod/web reach svc/db"),
        ),
        Command(
            name="select", usage="'SELECTOR' | TYPE/NAME [-n NS | -A]",
            help="Show which pods a selector picks, which it misses by one label and why, and who else picks the same; "
                 "of a Service also which of them get no traffic, and why.",
            flags=(flags.ALL_NAMESPACES,), words="resources",
            examples=("%kselect app=web", "%kselect 'env in (production, qa)'", "%kselect svc/web",
                      "%kselect deployment/web", "%kselect networkpolicy/db", "%kselect tier=front -A"),
        ),
    )
}  # fmt: skip
SHOWN = 60  # characters of a value
LONG = 40  # writes from which on the table of a trace is folded


class Story(Result):
    """A trace: a table, in a page with its sequence diagram above it."""

    def __init__(self, steps: list[Step]) -> None:
        super().__init__(_steps_table(steps))
        self.steps = steps

    def _repr_html_(self) -> str:
        table = super()._repr_html_()
        if len(self.steps) > LONG:
            table = f"<details><summary>the table: {len(self.steps)} writes</summary>{table}</details>"
        return SequenceDiagram(self.steps).html + table


def run(cluster: Cluster, name: str, words: Sequence[str]) -> Result:
    """Carry out one line. Raises KubectlError."""
    try:
        args = grammar.parse([name, *words], COMMANDS)
        if args.on("help"):
            return Result(Output(text=help.page(args.command, ()).replace(f"kubectl {name}", f"%k{name}")))
        return _RUN[name](cluster, args)
    except ApiError as error:
        raise KubectlError(f"Error from server ({error.reason}): {error.message}") from None
    except KubectlError as error:
        raise KubectlError(error.message.replace(f"kubectl {name}", f"%k{name}")) from None


def complete(cluster: Cluster, name: str, words: Sequence[str]) -> list[str]:
    if name == "why" and words[:1] == ["not"] and len(words) > 1:
        if len(words) == 3 and "/" in words[1]:
            return [state for state in kwhy.states(cluster, words[1]) if state.startswith(words[2])]
        if words[2:3] == ["on"]:
            return [node for node in cluster.nodes if node.startswith(words[-1])]
        words = words[1:]
    elif name == "why" and len(words) == 1 and "not".startswith(words[0]):
        found = completion.complete([name, *words], COMMANDS, cluster.client, cluster.kubectl.namespace)
        return ["not", *found]
    return completion.complete([name, *words], COMMANDS, cluster.client, cluster.kubectl.namespace)


def _scene(cluster: Cluster) -> Scene:
    return cluster.story_scene()


def _trace(cluster: Cluster, args: Arguments) -> Story:
    history = cluster.history
    if not args.words or args.words == ["last"]:
        steps = trace.last(history)
        if not steps:
            raise KubectlError(f"error: {_nothing_of_yours(history.oldest)}")
        return Story(steps)
    kind, name, namespace = _named(cluster, args)
    steps = trace.of_object(history, kind, namespace, name)
    if not steps and cluster.client.find(kind, name, namespace) is not None:
        word, since = f"{kind.singular}/{name}", history.oldest
        raise KubectlError(f"error: {word} stands as it was before revision {since}, where the history begins: "
                           f"%kblame {word} says who wrote it last")  # fmt: skip
    if not steps:
        raise _never_was(kind, name, history.oldest)
    return Story(steps)


def _nothing_of_yours(oldest: int) -> str:
    if oldest > 1:
        return f"nobody has written anything since revision {oldest}, where the history begins"
    return "nobody has written anything yet: try %kubectl create deployment web --image=nginx"


def _blame(cluster: Cluster, args: Arguments) -> Result:
    kind, name, namespace = _named(cluster, args)
    changes = cluster.history.of(kind, namespace, name)
    if not changes:
        raise _never_was(kind, name, cluster.history.oldest)
    return Result(_blame_table(blame(changes)))


def _why(cluster: Cluster, args: Arguments) -> Result:
    words = list(args.words)
    field = ""
    if words and "/" in words[-1] and "." in words[-1].partition("/")[2]:
        field = _split_field(cluster, args, words)
    if field:
        return _why_field(cluster, *_named(cluster, args, words), field)
    answer = kwhy.explain(cluster, args, _named)
    if answer is not None:
        return answer
    asked = words[1:2] if words[:1] == ["not"] and "/" in words[1] else words[1:3] if words[:1] == ["not"] else words
    kind, name, namespace = _named(cluster, args, asked)
    obj = cluster.client.find(kind, name, namespace)
    return _why_gone(cluster, kind, name, namespace) if obj is None else Result(_all_well(cluster, kind, obj))


def _select(cluster: Cluster, args: Arguments) -> Result:
    return kselect.select(cluster, args, _scene(cluster), _named)


def _split_field(cluster: Cluster, args: Arguments, words: list[str]) -> str:
    """`deployment/web.spec.replicas`: names have dots too, so that of an object that there is counts as a name."""
    word = words[-1]
    at = len(word)
    while (at := word.rfind(".", 0, at)) > word.index("/"):
        kind, name, namespace = _named(cluster, args, [*words[:-1], word[:at]])
        if cluster.history.of(kind, namespace, name):
            words[-1] = word[:at]
            return word[at + 1 :]
    return ""


def _why_field(cluster: Cluster, kind: Kind, name: str, namespace: str, field: str) -> Result:
    lines = blame(cluster.history.of(kind, namespace, name))
    found = [line for line in lines if line.path == field or line.path.startswith((f"{field}.", f"{field}["))]
    if not found:
        paths = sorted({line.path.partition(".")[0] for line in lines})
        raise KubectlError(f'error: {kind.singular}/{name} has no field "{field}"; it has {", ".join(paths)}: '
                           f"%kblame {kind.singular}/{name} lists them")  # fmt: skip
    newest = max(found, key=lambda line: line.revision)
    story = Story(trace.chain(cluster.history, newest.revision))
    story.output.hints = [f"{newest.path} is {_short(newest.value)} since revision {newest.revision}"]
    return story


def _why_gone(cluster: Cluster, kind: Kind, name: str, namespace: str) -> Result:
    changes = cluster.history.of(kind, namespace, name)
    if not changes:
        raise _never_was(kind, name, cluster.history.oldest, kwhy.near_names(cluster, kind, name, namespace))
    story = Story(trace.chain(cluster.history, changes[-1].revision))
    story.output.hints = [f"{kind.singular}/{name} is gone since revision {changes[-1].revision}"]
    return story


def _all_well(cluster: Cluster, kind: Kind, obj: Object) -> Output:
    """Nothing is wrong: how it came to be as it is."""
    changes = cluster.history.of(kind, namespace_of(obj), name_of(obj))
    output = _steps_table(trace.chain(cluster.history, changes[-1].revision) if changes else [])
    verdict = kwhy.verdict(obj)
    output.text = f"{word_of(obj)}: {verdict}. Its newest write came about like this:\n{output.text}"
    output.hints = [f"{word_of(obj)}: {verdict}"]
    return output


def _never_was(kind: Kind, name: str, oldest: int, near: str = "") -> KubectlError:
    known = f" since revision {oldest}, where the history begins" if oldest > 1 else ""
    return KubectlError(f'error: {kind.qualified} "{name}": there is none, and there was none{known}{near}')


def _named(cluster: Cluster, args: Arguments, words: Sequence[str] | None = None) -> tuple[Kind, str, str]:
    """The kind, name and namespace of `TYPE/NAME` or `TYPE NAME`."""
    given = list(args.words if words is None else words)
    if len(given) == 1 and "/" in given[0]:
        given = list(given[0].partition("/")[::2])
    if len(given) != 2 or not given[1]:
        raise KubectlError(f"error: %k{args.command.name} needs one object: TYPE/NAME, such as deployment/web")
    word, name = given
    kind = next((kind for kind in cluster.client.kinds() if word.lower() in kind.words()), None)
    if kind is None:
        raise KubectlError(f'error: the server doesn\'t have a resource type "{word}"')
    namespace = args.text("namespace") or cluster.kubectl.namespace if kind.namespaced else ""
    return kind, name, namespace


# what it looks like


def _table(header: Sequence[str], lines: Sequence[Sequence[Any]]) -> Output:
    rows = tuple(Row(tuple(map(str, line)), {}) for line in lines)
    made = Table(columns=tuple(Column(name) for name in header), rows=rows)
    return Output(text=made.text, tables=[made])


def _steps_table(steps: Sequence[Step]) -> Output:
    began = steps[0].time if steps else 0.0
    return _table(
        ("REVISION", "TIME", "WHO", "VERB", "OBJECT", "WHAT", "BECAUSE OF"),
        [(step.revision, f"+{step.time - began:.2f}s", step.actor, step.verb, step.word, step.what, step.cause or "")
         for step in steps],
    )  # fmt: skip


def _blame_table(lines: Sequence[Line]) -> Output:
    return _table(
        ("FIELD", "REVISION", "WHO", "VERB", "HOW", "VALUE"),
        [(line.path, f"{'' if line.known else '≤'}{line.revision}", line.actor, line.verb, line.how,
          _short(line.value)) for line in lines],
    )  # fmt: skip


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


_RUN: Mapping[str, Callable[[Cluster, Arguments], Result]] = {"trace": _trace, "blame": _blame, "why": _why,
                                                                   "select": _select}  # fmt: skip
