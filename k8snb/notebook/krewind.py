"""%krewind: move through what happened: a slider over revisions, and a filmstrip of the moments that mattered.

Interface: `COMMAND`, a row as kubectl has them; `run(cluster, words) -> Rewind`, `complete(cluster, words)`.
The rule not to break: the filmstrip stands in the saved notebook, true without a kernel; the slider beneath it shows
nothing that `%kat` and `%kdiff` would not.
Real kubectl has no such command.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from k8snb.apimachinery.meta import get_path
from k8snb.apiserver.history import DELETED
from k8snb.kubectl import completion, flags, grammar, help
from k8snb.kubectl.grammar import INT, Arguments, Command, Flag
from k8snb.kubectl.output import Column, KubectlError, Output, Row, Table
from k8snb.notebook.draw import NoGraphvizError
from k8snb.notebook.kat import moment, must_have_been
from k8snb.notebook.kdiff import folded
from k8snb.notebook.kdraw import asked_for
from k8snb.notebook.results import Result, body, page
from k8snb.printers import duration
from k8snb.story.actors import YOU, actor_of
from k8snb.story.compared import compare, without_noise
from k8snb.story.moments import Moment
from k8snb.story.scenes import MOST, Scene, mattering, scenes
from k8snb.story.then import Then

if TYPE_CHECKING:
    from k8snb.cluster import Cluster

COMMAND = Command(
    name="rewind",
    usage="[TYPE[/NAME]…] [--from MOMENT] [--to MOMENT] [-n NS | -A] [--frames N]",
    help="Show what happened as a filmstrip of the moments that mattered, and any other moment by a slider.",
    flags=(
        Flag("from", help="Where to begin: a moment as %kat takes it; without, just before your first command."),
        Flag("to", help="Where to end.", default="now"),
        Flag("frames", INT, "How many moments the filmstrip has at most.", default=MOST),
        flags.ALL_NAMESPACES,
    ),
    words="resources",
    examples=("%krewind", "%krewind deployment/web --from -5m", "%krewind --from ^ --frames 4"),
)
WHOLE = 100  # moments that a film may have
EVENTS, CHANGES = 5, 8  # that a moment shows
_FILM = """<style>
.k8snb-film{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(400px,100%),1fr));gap:10px;margin:4px 0}
.k8snb-film figure{margin:0;padding:8px 10px;border:1px solid rgba(127,136,147,.35);border-radius:8px;min-width:0}
.k8snb-film figcaption{font-size:.92em;margin-bottom:6px}
.k8snb-film figcaption b{font-weight:600}
.k8snb-film ul{margin:2px 0 0!important;padding:0!important;list-style:none;opacity:.85}
.k8snb-film .k8snb-shot{overflow:hidden;text-align:center}
.k8snb-film svg,.k8snb-moment svg{max-width:100%;height:auto;max-height:300px}
.k8snb-moment{display:flex;flex-wrap:wrap;gap:8px 24px;align-items:flex-start}
.k8snb-moment>div{min-width:0;max-width:100%;flex:1 1 560px}
.k8snb-moment svg{max-height:320px}
</style>"""
NOTE = "the slider moves while the notebook's kernel runs: %krewind"
# JupyterLab writes "model not found" into the place of a widget whose kernel is gone; one that lives has elements there
_GONE = ".jp-OutputArea-child:has(.k8snb-film)+.jp-OutputArea-child>.jupyter-widgets:not(:has(*))"
_FILM += f"""<style>
{_GONE}{{font-size:0!important}}
{_GONE}::after{{content:"{NOTE}";font-size:var(--jp-content-font-size1,14px);opacity:.7}}
</style>"""


class Rewind:
    """A stretch of a cluster's history. `scenes` are its moments that mattered; `at(revision)` is the cluster then, and
    `show(revision)` moves the slider."""

    def __init__(self, cluster: Cluster, words: Sequence[str], *, span: tuple[Then, Then], frames: int) -> None:
        self._cluster, self._words = cluster, list(words)
        self.first, self.last = span
        begin, end = self.first.revision, self.last.revision
        told = mattering(cluster.history, begin, end)
        self.scenes = scenes(cluster.history, begin, end, frames, told=told)
        self._stops = [begin, *(change.revision for change, _ in told)]

    def at(self, revision: int) -> Then:
        """The cluster as it was at a revision of this stretch. Raises KubectlError for what is forgotten by now."""
        if revision < self._cluster.history.oldest:
            return moment(self._cluster, str(revision))
        return Then(self._cluster, Moment(revision, self._cluster.history.time_of(revision), self.last.moment.now))

    # the filmstrip

    @property
    def text(self) -> str:
        """The filmstrip in words."""
        return "\n".join(f"{self._head(scene)}: {'; '.join(scene.lines)}" for scene in self.scenes)

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return page(f'{_FILM}<div class="k8snb-film">{"".join(map(self._frame, self.scenes))}</div>')

    def _head(self, scene: Scene) -> str:
        passed = scene.time - self.scenes[0].time
        return f"revision {scene.revision}, {_passed(passed)}"

    def _frame(self, scene: Scene) -> str:
        lines = "".join(f"<li>{escape(line)}</li>" for line in scene.lines)
        caption = f"<figcaption><b>{escape(self._head(scene))}</b><ul>{lines}</ul></figcaption>"
        return f'<figure>{caption}<div class="k8snb-shot">{self._picture(scene.revision)}</div></figure>'

    def _picture(self, revision: int) -> str:
        """The diagram of a moment, or the sentence that stands for it."""
        try:
            picture = self.at(revision).draw(*self._words)
            return str(picture.svg) if picture.diagram.boxes else "<i>nothing is there</i>"
        except KubectlError as error:
            return f"<i>{escape(_plain(error))}</i>"
        except NoGraphvizError:
            return ""

    # the slider

    def show(self, revision: int) -> None:
        """Move the slider, where it is on the page."""
        self.slider.value = revision

    @functools.cached_property
    def slider(self) -> Any:
        import ipywidgets as widgets

        low, high = self.first.revision, max(self.last.revision, self.first.revision)
        return widgets.IntSlider(value=high, min=low, max=high, description="revision", continuous_update=False,
                                 layout={"width": "min(640px, 70%)"})  # fmt: skip

    @functools.cached_property
    def box(self) -> Any:
        """The slider with its buttons, and beneath it the moment."""
        import ipywidgets as widgets

        shown = widgets.HTML(self.moment_html(self.slider.value))
        self.slider.observe(lambda change: setattr(shown, "value", self.moment_html(change["new"])), names="value")
        back = widgets.Button(description="◀ before", tooltip="The step before this one that mattered")
        on = widgets.Button(description="next ▶", tooltip="The next step that mattered")
        back.on_click(lambda button: self.show(self.stop_before(self.slider.value)))
        on.on_click(lambda button: self.show(self.stop_after(self.slider.value)))
        return widgets.VBox([widgets.HBox([back, self.slider, on]), shown])

    def stop_before(self, revision: int) -> int:
        """The newest step that mattered before a revision."""
        return max((stop for stop in self._stops if stop < revision), default=self.first.revision)

    def stop_after(self, revision: int) -> int:
        """The next step that mattered after a revision."""
        return min((stop for stop in self._stops if stop > revision), default=self.last.revision)

    def moment_html(self, revision: int) -> str:
        """One moment: the diagram, what changed since the step before, and the events of then; or why it is gone."""
        try:
            return self._moment(self.at(revision))
        except KubectlError as error:
            return page(body(Output(errors=[error.message])))

    def _moment(self, then: Then) -> str:
        revision = then.revision
        told = f"{self._changed(revision)}{body(_events(then))}"
        head = f'<div class="k8snb-note"><b>{escape(then.moment.words)}</b></div>'
        shown = f"<div>{self._picture(revision)}</div><div>{told}</div>"
        return page(f'{_FILM}{head}<div class="k8snb-moment">{shown}</div>')

    def _changed(self, revision: int) -> str:
        """What changed since the step before, as a table, and each object's difference to be unfolded."""
        before = self.stop_before(revision)
        if before >= revision:
            return body(Output(text="The history is shown from here on."))
        found, _ = without_noise(compare(self._cluster.history, before, revision))
        if not found:
            return body(Output(text=f"Nothing but heartbeats and reports since revision {before}."))
        shown = found[:CHANGES]
        rows = tuple(Row((each.word, each.sort, each.what, ", ".join(each.actors)), each.obj) for each in shown)
        columns = (f"SINCE REVISION {before}", "CHANGE", "WHAT", "WHO")
        table = body(Output(tables=[Table(columns=tuple(map(Column, columns)), rows=rows)]))
        return table + "".join(map(folded, shown))

    def _ipython_display_(self) -> None:
        """The filmstrip as an output of its own, so that it stays; then the slider, where somebody can move it."""
        from IPython.core.getipython import get_ipython
        from IPython.display import display

        display({"text/plain": self.text, "text/html": self._repr_html_()}, raw=True)
        shell = get_ipython()
        if getattr(shell, "kernel", None) is not None:
            display({**self.box._repr_mimebundle_(), "text/plain": NOTE}, raw=True)


def _events(then: Then) -> Output:
    """The newest events of a moment."""
    told: list[tuple[str, ...]] = []
    for change in then.history.backwards():
        if change.kind.kind == "Event" and change.sort != DELETED:
            subject = get_path(change.obj, "involvedObject") or {}
            about = f"{str(subject.get('kind', '')).lower()}/{subject.get('name', '')}"
            age = duration.human(max(then.moment.time - change.time, 0.0))
            told.append((age, change.obj.get("reason", ""), about, change.obj.get("message", "")))
        if len(told) == EVENTS:
            break
    if not told:
        return Output(text="No events yet.")
    columns = ("LAST SEEN", "REASON", "OBJECT", "MESSAGE")
    rows = tuple(Row(line, {}) for line in told)
    return Output(tables=[Table(columns=tuple(map(Column, columns)), rows=rows)])


def run(cluster: Cluster, words: Sequence[str]) -> Rewind | Result:
    """The film that a line asks for. Raises KubectlError."""
    try:
        args = grammar.parse(["rewind", *words], {"rewind": COMMAND})
    except KubectlError as error:
        raise KubectlError(error.message.replace("kubectl rewind", "%krewind")) from None
    if args.on("help"):
        return Result(Output(text=about()))
    last = moment(cluster, args.text("to"))
    first = moment(cluster, args.text("from")) if args.text("from") else _before_you(cluster)
    if first.revision > last.revision:
        raise KubectlError(f"error: --from is revision {first.revision}, which comes after --to, {last.revision}")
    if args.number("frames") < 2:
        raise KubectlError("error: --frames wants 2 at least: how it began, and how it ended")
    if args.number("frames") > WHOLE:
        raise KubectlError(f"error: --frames wants {WHOLE} at most, a picture each: --from and --to show less at once, "
                           "and the slider any moment")  # fmt: skip
    namespace = "" if args.on("all-namespaces") else args.text("namespace") or cluster.kubectl.namespace
    must_have_been(cluster, asked_for(cluster.client, args.words), namespace)
    return Rewind(cluster, _drawn(args), span=(first, last), frames=args.number("frames"))


def _drawn(args: Arguments) -> list[str]:
    """The words for %kdraw."""
    where = ["-A"] if args.on("all-namespaces") else ["-n", args.text("namespace")] if args.text("namespace") else []
    return [*args.words, *where]


def _before_you(cluster: Cluster) -> Then:
    """The moment before the first thing that somebody did, or where the history begins."""
    history = cluster.history
    first = next((change.revision for change in history.since(0) if actor_of(change.actor) == YOU), history.oldest)
    return moment(cluster, str(max(first - 1, history.oldest)))


def _passed(seconds: float) -> str:
    """`+3s`, `+0.2s`."""
    return f"+{seconds:.1f}s" if 0 < seconds < 10 else f"+{duration.human(max(seconds, 0.0))}"


def _plain(error: KubectlError) -> str:
    return error.message.removeprefix("Error from server (NotFound): ").removeprefix("error: ")


def about() -> str:
    """What `%krewind?` shows."""
    return help.page(COMMAND, []).replace("kubectl rewind", "%krewind")


def complete(cluster: Cluster, words: Sequence[str]) -> list[str]:
    """What the last word of a line can become."""
    return completion.complete(["rewind", *words], {"rewind": COMMAND}, cluster.client, cluster.kubectl.namespace)
