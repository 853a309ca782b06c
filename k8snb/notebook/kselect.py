"""%kselect: which pods a selector picks, which it nearly picks, who else picks them, and who of them gets no traffic.

Interface: `select(cluster, args, scene, named) -> Selected`, a table with a picture above it.
The rule not to break: picture, table and the line beneath say the same of the same pods.
Real kubectl lists what a selector picks (`get pods -l`) and not what it misses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, labels_of, name_of, namespace_of, uid_of
from k8snb.apimachinery.selectors import Selector, SelectorError, parse_selector
from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import Column, KubectlError, Output, Row, Table
from k8snb.notebook import kdraw
from k8snb.notebook.draw import NoGraphvizError, Picture
from k8snb.notebook.labels import plain
from k8snb.notebook.results import Result
from k8snb.story.reach import elsewhere, reaches
from k8snb.story.selection import NEARLY, PICKED, SELECTING, Rival, Verdict, judge, near_misses, rivals, selector_of
from k8snb.story.why import Scene, why, word_of

if TYPE_CHECKING:
    from k8snb.cluster import Cluster

Named = Callable[["Cluster", Arguments], tuple[Kind, str, str]]
NEAREST, FOREIGN = 12, 3  # near misses, and pods of other namespaces, that a table shows
LONG = 20  # characters of a label's value
_RELATED = ("Service", "ReplicationController", "ReplicaSet")


class Selected(Result):
    """What a selector picks: a table, in a page with the picture above it. `selector` has the requirements."""

    def __init__(self, output: Output, selector: Selector, picture: Callable[[], Picture]) -> None:
        super().__init__(output)
        self.selector, self._make = selector, picture

    @property
    def picture(self) -> Picture:
        """The pods that are picked and those that are not, with whoever owns and selects them."""
        return self._make()

    def _repr_html_(self) -> str:
        try:
            return self.picture.live + super()._repr_html_()
        except (NoGraphvizError, KubectlError):
            return super()._repr_html_()


def select(cluster: Cluster, args: Arguments, scene: Scene, named: Named) -> Selected:
    """Carry out one line. Raises KubectlError."""
    text = " ".join(args.words)
    if not text:
        raise KubectlError("error: a selector or an object is wanted: %kselect app=web, %kselect svc/web")
    asked = _asked(cluster, args, text, named)
    selector = _selector(asked, text)
    everywhere = args.on("all-namespaces") and asked is None
    namespace = "" if everywhere else args.text("namespace") or cluster.kubectl.namespace
    verdicts = judge(selector, scene.items("pods", namespace))
    if asked is None:
        _check_word(cluster, text, verdicts)
    selection = _Selection(scene, asked, selector, namespace, verdicts)
    words = ["-A"] if everywhere else ["-n", namespace]
    return Selected(selection.output(), selector, lambda: kdraw.draw(cluster, [*words, *_drawn(asked, selector)]))


def _asked(cluster: Cluster, args: Arguments, text: str, named: Named) -> Object | None:
    """The object that is named, if one is: a label's key may hold a slash too."""
    word = text.partition("/")[0].partition(" ")[0].lower()
    is_kind = any(word in kind.words() for kind in cluster.client.kinds())
    if not is_kind or "=" in text or not ("/" in text or len(args.words) == 2):
        return None
    kind, name, namespace = named(cluster, args)
    return cluster.client.get(kind, name, namespace)


def _selector(asked: Object | None, text: str) -> Selector:
    try:
        selector = selector_of(asked) if asked is not None else parse_selector(text)
    except SelectorError as error:
        raise KubectlError(f"error: {error}") from None
    if selector is None:
        assert asked is not None
        raise KubectlError(f"error: {word_of(asked)} selects no pods: {', '.join(SELECTING)} do")
    return selector


def _check_word(cluster: Cluster, text: str, verdicts: Sequence[Verdict]) -> None:
    """A kind without a name reads as a label's key: it is one only where some pod has it."""
    word = text.lower()
    named = any(word in kind.words() for kind in cluster.client.kinds())
    if named and not any(text in labels_of(each.pod) for each in verdicts):
        raise KubectlError(f"error: {text} is a kind, and no pod here has a label of that name: %kselect {text}/NAME "
                           "shows what one of them picks")  # fmt: skip


def _drawn(asked: Object | None, selector: Selector) -> list[str]:
    """The words for %kdraw: the object where its surroundings are the picture, else the selector."""
    if asked is not None and asked["kind"] in _RELATED:
        return [f"{asked['kind'].lower()}/{name_of(asked)}"]
    return ["-l", str(selector)] if selector.requirements else []


class _Selection:
    """What is to be told of one selector."""

    def __init__(
        self, scene: Scene, asked: Object | None, selector: Selector, namespace: str, verdicts: list[Verdict]
    ) -> None:
        self._scene, self._object, self._selector, self._namespace = scene, asked, selector, namespace
        self._pods = len(verdicts)
        self._picked = [verdict.pod for verdict in verdicts if verdict.picked == PICKED]
        self._near = near_misses(verdicts)
        self._foreign = elsewhere(scene, selector, namespace)
        is_service = asked is not None and asked["kind"] == "Service"
        self._reach = reaches(scene, asked, self._picked) if is_service and asked is not None else None

    def output(self) -> Output:
        others = rivals(self._scene, self._picked, self._namespace, but=self._object)
        parts = [table for table in (self._table(), _rivals(others)) if table.rows]
        text = "\n".join(table.text for table in parts) or "no pod is picked, and none nearly\n"
        return Output(text=text, tables=parts, objects=self._picked, hints=self._hints())

    def _table(self) -> Table:
        """A line for each pod that is picked, nearly picked, or would be if its namespace were this one."""
        lines = [self._line(pod, PICKED, (self._reach or {}).get(uid_of(pod), "")) for pod in self._picked]
        lines += [self._line(each.pod, NEARLY, each.why) for each in self._near[:NEAREST]]
        lines += [self._line(pod, "no", "another namespace: selectors pick in their own")
                  for pod in self._foreign[:FOREIGN]]  # fmt: skip
        endpoint = ("ENDPOINT",) if self._reach is not None else ()
        return _table(("POD", "PICKED", *endpoint, "LABELS", "WHY"), lines)

    def _line(self, pod: Object, picked: str, why: str) -> tuple[str, ...]:
        own = namespace_of(pod) == self._namespace
        name = name_of(pod) if own else f"{namespace_of(pod)}/{name_of(pod)}"
        endpoint: tuple[str, ...] = ()
        if self._reach is not None:
            endpoint = ("yes" if self._reach.get(uid_of(pod)) == "" else "no",)
        labels = ",".join(f"{key}={plain(value, LONG)}" for key, value in labels_of(pod).items())
        return name, picked, *endpoint, labels, why

    def _hints(self) -> list[str]:
        shown = "nothing" if self._selector.nothing else str(self._selector) or "everything"
        where = self._namespace or "all namespaces"
        near = len(self._near)
        hints = [f"{shown} picks {len(self._picked)} of {self._pods} pods in {where}; {near} miss it by one label"]
        if near > NEAREST:
            hints.append(f"the table has the {NEAREST} nearest of the {near:,} that miss it by one label")
        if len(self._foreign) > FOREIGN:
            hints.append(f"{len(self._foreign):,} pods of other namespaces have these labels")
        return [*hints, *self._traffic(), *self._fixes()]

    def _traffic(self) -> list[str]:
        if not self._reach:
            return []
        got = sum(reason == "" for reason in self._reach.values())
        return [f"{got} of the {len(self._reach)} pods that it picks get its traffic"]

    def _fixes(self) -> list[str]:
        if self._object is None:
            return []
        return [f"{each.fact}: {each.fixes[0]}" for each in why(self._scene, self._object) if each.fixes]


def _rivals(others: Sequence[Rival]) -> Table:
    return _table(("ALSO PICKED BY", "SELECTOR", "PODS"), [(each.word, each.selector, each.pods) for each in others])


def _table(header: Sequence[str], lines: Sequence[Sequence[Any]]) -> Table:
    rows = tuple(Row(tuple(map(str, line)), {}) for line in lines)
    return Table(columns=tuple(Column(name) for name in header), rows=rows)
