"""%kdraw: which objects a line asks to see, of which moment, in which view, and the picture of them.

Interface: `COMMAND`, a row as kubectl has them; `draw(cluster, words) -> Picture`; `picture(client, words, …)`, the
same for any client that can read.
The rule not to break: it reads through the client, like any other user.
Real kubectl draws nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, labels_of, name_of, namespace_of, uid_of
from k8snb.apimachinery.selectors import Selector, SelectorError, parse_selector
from k8snb.kubectl import completion, flags, grammar, help
from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.notebook.boxes import Question
from k8snb.notebook.composition import VIEWS, build, small
from k8snb.notebook.draw import Picture
from k8snb.notebook.draw_components import Machine, Part, components, parts_of, parts_seen
from k8snb.notebook.draw_objects import is_api_service
from k8snb.notebook.folding import LARGEST, MORE, MOST
from k8snb.notebook.reading import Reading, kind_of, kinds_for
from k8snb.notebook.results import Result
from k8snb.story.selection import judge, near_misses, selector_of

if TYPE_CHECKING:
    from k8snb.client import Client
    from k8snb.cluster import Cluster

COMPONENTS = "components"
ALL_VIEWS, FORMATS = (*VIEWS, COMPONENTS), ("svg", "png", "dot", "html")
COMMAND = Command(
    name="draw",
    usage="[VIEW] [TYPE[/NAME]…] [-n NS|-A] [-l SELECTOR] [--expand] [--at REV] [--diff REV] [-o FORMAT] [--out FILE]",
    help="Draw a cluster. Views: objects (who owns, selects, routes to, mounts what), nodes (pods in their nodes, and "
         "how full these are), network (from a client to the pods that answer), storage (claims, volumes, classes), "
         "owner TYPE/NAME (its owners and what it owns), components (the control plane and the nodes).",
    flags=(
        flags.ALL_NAMESPACES,
        Flag("selector", help="Show which pods this selector picks, which nearly and which not.", short="l",
             values=(":labels",)),
        Flag("view", help="What to show; the same as its name as the first word.", values=ALL_VIEWS),
        Flag("expand", BOOL, "Draw like pods one by one, as far as a picture can hold them."),
        Flag("at", help="As it was at this revision."),
        Flag("diff", help="What was added, removed and changed since this revision."),
        Flag("output", help="svg or png: a picture; html: one with its words; dot: its text in Graphviz's language.",
             short="o", default="svg", values=FORMATS),
        Flag("out", help="A file to write it to: NAME.svg, .png, .dot, .html or .txt; a plain NAME is a variable."),
    ),
    words="resources",
    examples=("%kdraw", "%kdraw svc/nginx", "%kdraw -l app=nginx", "%kdraw nodes -A", "%kdraw network",
              "%kdraw storage", "%kdraw owner deployment/nginx", "%kdraw components",
              "%kdraw deployment/nginx --diff 120", "%kdraw -A --out cluster.svg"),
)  # fmt: skip
NEAREST, ALIKE = 12, 0.6  # near misses that a picture tells apart, and how like a label has to be
_PICKERS = ("Service", "ReplicationController", "ReplicaSet")
Parts = Callable[[], tuple[list[Part], list[Machine]]]


def draw(cluster: Cluster, words: Sequence[str]) -> Picture:
    """The picture that a line of %kdraw asks for. Raises KubectlError."""
    known = getattr(type(cluster), "components", None)  # a cluster elsewhere has none to ask
    parts = (lambda: parts_of(cluster)) if known else None
    return picture(cluster.client, words, namespace=cluster.kubectl.namespace, parts=parts)


def picture(client: Client, words: Sequence[str], *, namespace: str = "default", parts: Parts | None = None) -> Picture:
    """The picture of what a client can read. `parts` are the cluster's own, if it is known. Raises KubectlError."""
    args = _read(words)
    view, named = _view(client, args)
    drawn = _components(args, named, parts or (lambda: parts_seen(client))) if view == COMPONENTS else _Drawing(
        client, args, view, named, namespace
    ).picture()  # fmt: skip
    if args.text("out"):
        drawn.save(args.text("out"))
    return drawn


def about() -> str:
    """What `%kdraw?` and `%kdraw -h` show."""
    return help.page(COMMAND, ()).replace("kubectl draw", "%kdraw")


def run(cluster: Cluster, words: Sequence[str]) -> Picture | Result:
    """One line of %kdraw's. Raises KubectlError."""
    return Result(Output(text=about())) if {"-h", "--help"} & {*words} else draw(cluster, words)


def complete(cluster: Cluster, words: Sequence[str]) -> list[str]:
    """What the last word of a line can become."""
    found = completion.complete(["draw", *words], {"draw": COMMAND}, cluster.client, cluster.kubectl.namespace)
    typed = words[-1] if words else ""
    plain = [word for word in words[:-1] if not word.startswith("-")]
    views = [view for view in ALL_VIEWS if not plain and view.startswith(typed) and view != typed]
    if words[:-1] in (["owner"], ["network"], ["storage"], ["objects"]):
        found = completion.complete(["draw", typed], {"draw": COMMAND}, cluster.client, cluster.kubectl.namespace)
    return sorted({*found, *(views if len(words) < 2 else ())})


def _read(words: Sequence[str]) -> Arguments:
    try:
        args = grammar.parse(["draw", *words], {"draw": COMMAND})
    except KubectlError as error:
        raise KubectlError(error.message.replace("kubectl draw", "%kdraw")) from None
    for name, allowed in (("view", ALL_VIEWS), ("output", FORMATS)):
        value = args.text(name)
        if value and value not in allowed:
            raise KubectlError(
                f'error: --{name} "{value}": one of {", ".join(allowed)}{grammar.nearest(value, allowed)}'
            )
    return args


def _view(client: Client, args: Arguments) -> tuple[str, list[str]]:
    """The view, and the words that name objects: a first word that is a view and no kind is the view."""
    words, view = list(args.words), args.text("view")
    if words and words[0] in ALL_VIEWS and words[0] != "nodes":
        return view or words[0], words[1:]
    if words and not view:
        first = words[0].partition("/")[0].partition(",")[0]
        view = "nodes" if any(first in kind.words() for kind in client.kinds() if kind.kind == "Node") else ""
    return view or "objects", words


def _components(args: Arguments, words: list[str], parts: Parts) -> Picture:
    refused = [f"--{name}" for name in ("at", "diff", "selector") if args.text(name)] + words
    if refused:
        raise KubectlError(f"error: {refused[0]}: components are drawn all together and as they are now: they are "
                           "no objects, and no revision remembers them")  # fmt: skip
    title = "the cluster's components"
    diagram = components(*parts())
    more = LARGEST if args.on("expand") else 6
    return Picture(small(replace(diagram, title=title), Question(more=more)), [], form=args.text("output"))


class _Drawing:
    """One line of %kdraw's about objects."""

    def __init__(self, client: Client, args: Arguments, view: str, words: list[str], namespace: str) -> None:
        self._client, self._args, self._view = client, args, view
        self._namespace = "" if args.on("all-namespaces") else args.text("namespace") or namespace
        self._asked = asked_for(client, words)
        self._title = " ".join(words)
        self._check()

    def _check(self) -> None:
        """Of views that are about connections, only objects can be asked for, and not whole kinds."""
        fitting = {"objects": None, "nodes": {"Pod", "Node"}}.get(self._view, set())
        for kind, name in self._asked:
            if not name and fitting is not None and kind.kind not in fitting:
                raise KubectlError(f"error: the view {self._view} is asked for objects, {kind.singular}/NAME, "
                                   f"and not for all {kind.plural}")  # fmt: skip

    def picture(self) -> Picture:
        now = self._reading("at")
        objects = self._objects(now)
        then = self._reading("diff") if self._args.text("diff") else None
        before = self._objects(then) if then is not None else None
        question = self._question([*objects, *(before or ())], now, then)
        limited = _limited(objects, self._asked, self._view)
        earlier = None if before is None else _limited(before, self._asked, self._view)
        diagram = build(limited, question, earlier)
        diagram = replace(diagram, notes=(*diagram.notes, *now.notes))
        return Picture(diagram, objects, form=self._args.text("output"))

    def _reading(self, flag: str) -> Reading:
        text = self._args.text(flag)
        if text and not (text.isdigit() and int(text)):
            raise KubectlError(f'error: --{flag} "{text}": a revision is a number from 1 on, such as those of %ktrace')
        return Reading(self._client, text)

    def _objects(self, reading: Reading) -> list[Object]:
        kinds = kinds_for(self._view, self._client.kinds(), [kind for kind, _ in self._asked])
        # what cluster-wide things own or carry lies in any namespace
        wide = self._view == "owner" and any(not kind.namespaced for kind, _ in self._asked)
        return reading.objects(kinds, "" if wide else self._namespace, pods_of_all=self._view == "nodes",
                               asked=[kind for kind, _ in self._asked])  # fmt: skip

    def _question(self, objects: list[Object], now: Reading, then: Reading | None) -> Question:
        focus = [obj for kind, name in self._asked if name for obj in self._named(objects, kind, name)]
        expand = self._args.on("expand")
        question = Question(
            title=self._say(now, then), view=self._view, focus=frozenset(uid_of(obj) for obj in focus),
            namespace=self._namespace, namespaces=not self._namespace or self._view in ("network", "storage"),
            more=LARGEST if expand else MORE, most=LARGEST if expand else MOST,
        )  # fmt: skip
        return _picking(question, self._args.text("selector"), focus, objects)

    def _named(self, objects: Iterable[Object], kind: Kind, name: str) -> list[Object]:
        found = [obj for obj in objects if obj["kind"] == kind.kind and name_of(obj) == name]
        if not found:
            raise KubectlError(f'Error from server (NotFound): {kind.qualified} "{name}" not found')
        return found

    def _say(self, now: Reading, then: Reading | None) -> str:
        """The picture's title."""
        what = self._title or "everything"
        view = "" if self._view == "objects" or self._title == self._view else f"{self._view}: "
        title = f"{view}{what} in {self._namespace or 'all namespaces'}"
        if then is not None:
            return f"{title}, from revision {then.revision} to {now.revision or 'now'}"
        return f"{title} at revision {now.revision}" if now.revision else title


def asked_for(client: Client, words: Sequence[str]) -> list[tuple[Kind, str]]:
    """(kind, name) for `svc/web`, `pods,rc`, `svc web`; the name is empty for all of a kind."""
    asked: list[tuple[Kind, str]] = []
    kind: Kind | None = None
    for word in words:
        if "/" in word:
            before, _, name = word.partition("/")
            asked.append((kind_of(client, before), name))
        elif kind is not None:
            asked = [entry for entry in asked if entry != (kind, "")] + [(kind, word)]
        else:
            asked += [(kind_of(client, part), "") for part in word.split(",") if part != "all"]
            kind = asked[0][0] if len(asked) == 1 else None
    return asked


def _limited(objects: list[Object], asked: Sequence[tuple[Kind, str]], view: str) -> list[Object]:
    """Where kinds were asked for without a name, only objects of these, and what makes edges between them."""
    plain = {kind.kind for kind, name in asked if not name}
    if view != "objects":
        return objects
    if not asked:
        return [obj for obj in objects if not is_api_service(obj)]
    if not plain or any(name for _, name in asked):
        return objects
    return [obj for obj in objects if obj["kind"] in plain or obj["kind"] == "EndpointSlice"]


def _picking(question: Question, text: str, focus: list[Object], objects: list[Object]) -> Question:
    """The question with the selector that decides which pods are picked: the one given, or the one object's own."""
    if text:
        return _with_selector(question, _parse(text), question.namespace, objects)
    if len(focus) == 1 and focus[0]["kind"] in _PICKERS and question.view == "objects":
        return _with_selector(question, selector_of(focus[0]), namespace_of(focus[0]), objects)
    return question


def _parse(text: str) -> Selector:
    try:
        return parse_selector(text)
    except SelectorError as error:
        raise KubectlError(f"error: {error}") from None


def _with_selector(
    question: Question, selector: Selector | None, namespace: str, objects: Iterable[Object]
) -> Question:  # fmt: skip
    if selector is None or selector.nothing:
        return question

    def picked(pod: Any) -> bool:
        return selector.matches(labels_of(pod)) and namespace in ("", namespace_of(pod))

    pods = [obj for obj in objects if obj["kind"] == "Pod" and namespace in ("", namespace_of(obj))]
    return replace(question, picked=picked, picking=str(selector) or "everything", nearly=_nearly(selector, pods))


def _nearly(selector: Selector, pods: Iterable[Object]) -> dict[str, str]:
    """The nearest misses. A single requirement is missed by one by everybody else: there only what is alike counts."""
    several = len(selector.requirements) > 1
    found = [each for each in near_misses(judge(selector, pods)) if several or each.near >= ALIKE]
    return {uid_of(each.pod): each.why for each in found[:NEAREST]}
