"""%kdraw: which objects a line asks to see, and the picture of them.

Interface: `COMMAND`, a row as kubectl has them; `draw(cluster, words) -> Picture`.
The rule not to break: it reads through the client, like any other user.
Real kubectl draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, labels_of, name_of, namespace_of, uid_of
from k8snb.apimachinery.selectors import Selector, SelectorError, from_label_selector, from_set, parse_selector
from k8snb.kubectl import completion, flags, grammar
from k8snb.kubectl.grammar import Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError
from k8snb.notebook.composition import Question, build
from k8snb.notebook.draw import Picture

if TYPE_CHECKING:
    from k8snb.client import Client
    from k8snb.cluster import Cluster

VIEWS, FORMATS = ("objects", "nodes"), ("svg", "dot")
COMMAND = Command(
    name="draw",
    usage="[TYPE[/NAME]…] [-n NS] [-A] [-l SELECTOR] [--view objects|nodes] [-o svg|dot]",
    help="Draw objects, what owns them, what selects them and what routes to them.",
    flags=(
        flags.ALL_NAMESPACES,
        Flag("selector", help="Show which pods this selector picks and which not.", short="l", values=(":labels",)),
        Flag("view", help="objects: owners and services; nodes: pods in their nodes.", values=VIEWS),
        Flag("output", help="svg: a picture; dot: its text in Graphviz's language.", short="o", default="svg",
             values=FORMATS),
    ),
    words="resources",
    examples=("%kdraw", "%kdraw svc/nginx", "%kdraw -l app=nginx", "%kdraw --view nodes -A"),
)  # fmt: skip
# Beside the kinds that `kubectl get all` shows, those that a picture is made with.
_BESIDE = ("EndpointSlice", "Node")
_PICKERS = ("Service", "ReplicationController", "ReplicaSet")
_CLAIMERS = ("Service", "ReplicationController")


def draw(cluster: Cluster, words: Sequence[str]) -> Picture:
    """The picture that a line of %kdraw asks for. Raises KubectlError."""
    args = _read(words)
    client = cluster.client
    namespace = "" if args.on("all-namespaces") else args.text("namespace") or cluster.kubectl.namespace
    asked = asked_for(client, args.words)
    objects = [
        obj for kind in _kinds(client, asked) for obj in client.items(kind, namespace if kind.namespaced else "")
    ]
    return Picture(
        build(_limited(objects, asked), _question(args, asked, objects, namespace)),
        objects,
        dot_only=args.text("output") == "dot",
    )


def complete(cluster: Cluster, words: Sequence[str]) -> list[str]:
    """What the last word of a line can become."""
    return completion.complete(["draw", *words], {"draw": COMMAND}, cluster.client, cluster.kubectl.namespace)


def _read(words: Sequence[str]) -> Arguments:
    try:
        args = grammar.parse(["draw", *words], {"draw": COMMAND})
    except KubectlError as error:
        raise KubectlError(error.message.replace("kubectl draw", "%kdraw")) from None
    for name, allowed in (("view", VIEWS), ("output", FORMATS)):
        value = args.text(name)
        if value and value not in allowed:
            raise KubectlError(f'error: --{name} "{value}": one of {", ".join(allowed)}')
    return args


def asked_for(client: Client, words: Sequence[str]) -> list[tuple[Kind, str]]:
    """(kind, name) for `svc/web`, `pods,rc`, `svc web`; the name is empty for all of a kind."""
    asked: list[tuple[Kind, str]] = []
    kind: Kind | None = None
    for word in words:
        if "/" in word:
            before, _, name = word.partition("/")
            asked.append((_kind(client, before), name))
        elif kind is not None:
            asked = [entry for entry in asked if entry != (kind, "")] + [(kind, word)]
        else:
            asked += [(_kind(client, part), "") for part in word.split(",") if part != "all"]
            kind = asked[0][0] if len(asked) == 1 else None
    return asked


def _kind(client: Client, word: str) -> Kind:
    for kind in client.kinds():
        if word.lower() in kind.words():
            return kind
    known = [name for kind in client.kinds() for name in (kind.plural, kind.singular)]
    raise KubectlError(f'error: the server doesn\'t have a resource type "{word}"{grammar.nearest(word, known)}')


def _kinds(client: Client, asked: Sequence[tuple[Kind, str]]) -> list[Kind]:
    wanted = {kind.plural for kind, _ in asked}
    return [
        kind
        for kind in client.kinds()
        if "all" in kind.categories or kind.kind in _BESIDE or kind.plural in wanted
    ]  # fmt: skip


def _limited(objects: list[Object], asked: Sequence[tuple[Kind, str]]) -> list[Object]:
    """Where kinds were asked for without a name, only objects of these, and what makes edges between them."""
    plain = {kind.kind for kind, name in asked if not name}
    if not asked:
        return [obj for obj in objects if not _is_api_service(obj)]
    if not plain or any(name for _, name in asked) or plain == {"Node"}:
        return objects
    return [obj for obj in objects if obj["kind"] in plain or obj["kind"] in _BESIDE]


def _is_api_service(obj: Object) -> bool:
    """The Service of the API itself: it has no pods to draw, and every cluster has it."""
    return obj["kind"] == "Service" and (namespace_of(obj), name_of(obj)) == ("default", "kubernetes")


def _question(args: Arguments, asked: list[tuple[Kind, str]], objects: list[Object], namespace: str) -> Question:
    focus = [obj for kind, name in asked if name for obj in _named(objects, kind, name)]
    nodes = args.text("view") == "nodes" or (not args.text("view") and any(kind.kind == "Node" for kind, _ in asked))
    title = " ".join(args.words) or "everything"
    question = Question(
        title=f"{title} in {namespace or 'all namespaces'}",
        view="nodes" if nodes else "objects",
        focus=frozenset(uid_of(obj) for obj in focus if obj["kind"] != "Node"),
        namespaces=not namespace,
    )
    return _picking(question, args.text("selector"), focus)


def _named(objects: list[Object], kind: Kind, name: str) -> list[Object]:
    found = [obj for obj in objects if obj["kind"] == kind.kind and name_of(obj) == name]
    if not found:
        raise KubectlError(f'Error from server (NotFound): {kind.qualified} "{name}" not found')
    return found


def _picking(question: Question, text: str, focus: list[Object]) -> Question:
    """The question with the selector that decides which pods are picked: the one given, or the one object's own."""
    if text:
        return _with_selector(question, _parse(text), "")
    if len(focus) == 1 and focus[0]["kind"] in _PICKERS:
        return _with_selector(question, _selector_of(focus[0]), namespace_of(focus[0]))
    return question


def _parse(text: str) -> Selector:
    try:
        return parse_selector(text)
    except SelectorError as error:
        raise KubectlError(f"error: {error}") from None


def _selector_of(obj: Object) -> Selector | None:
    selector: Any = obj["spec"].get("selector")
    if not selector:
        return None
    return from_set(selector) if obj["kind"] in _CLAIMERS else from_label_selector(selector)


def _with_selector(question: Question, selector: Selector | None, namespace: str) -> Question:
    if selector is None:
        return question
    return replace(
        question,
        picked=lambda pod: selector.matches(labels_of(pod)) and namespace in ("", namespace_of(pod)),
        picking=str(selector),
    )
