"""Steps in a page: a table of what each component did, and below it each step in sentences, folded away.

Interface: `Steps(steps)`, a `Result` with `.steps`; `.df` has a row for each.
The rule not to break: without scripts and without this package it says the same; what is folded is in the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from k8snb.kubectl.output import Output
from k8snb.notebook.kcluster_answers import columns
from k8snb.notebook.results import Result, page, remarks
from k8snb.story.steps import ToldStep
from k8snb.story.trace import Step

HEADER = ("STEP", "TIME", "COMPONENT", "KEY", "BECAUSE OF", "READ", "DECIDED", "WROTE")
Shown = tuple[int, ToldStep | Step, str]  # its number, the step, and when it was
OPEN = 3  # steps that are shown unfolded
CELL = 90  # characters of a cell of the table


class Steps(Result):
    """What a cluster did, step by step. `said` are commands with their answers."""

    def __init__(
        self, steps: Sequence[ToldStep | Step], *, hints: Sequence[str] = (), said: Sequence[tuple[str, str]] = ()
    ) -> None:
        began = steps[0].time if steps else 0.0
        self.steps, self._said = list(steps), list(said)
        numbers = 0
        self._rows: list[Shown] = []
        for step in steps:
            numbers += isinstance(step, ToldStep)
            self._rows.append((numbers, step, f"+{step.time - began:.2f}s"))
        table = columns(HEADER, [_row(number, step, time) for number, step, time in self._rows])
        super().__init__(Output(text=self._text(), tables=[table], hints=list(hints)))
        self.output.objects = [write.change.obj for write in _writes(steps)]

    def _text(self) -> str:
        parts = [f"$ kubectl {line}\n{answer}" for line, answer in self._said]
        for rows in _groups(self._rows):
            if len(rows) > 1:
                parts.append(f"{_quiet(rows)}\n")
            else:
                (_, step, _) = rows[0]
                parts.append(f"{_title(*rows[0])}\n" + "".join(f"  {each}\n" for each in _sentences(step)))
        return "".join(parts) or "no step\n"

    def _repr_html_(self) -> str:
        said = "".join(f'<pre class="k8snb-text">$ kubectl {escape(line)}\n{escape(answer.rstrip())}</pre>'
                       for line, answer in self._said)  # fmt: skip
        steps = "".join(_folded(rows, is_open=at <= OPEN) for at, rows in enumerate(_groups(self._rows)))
        notes = "".join(f'<div class="k8snb-note"><b>{word}:</b> {escape(text)}</div>'
                        for word, text in remarks(self.output))  # fmt: skip
        return page(f"{_STYLE}{said}<div class='k8snb-steps'>{steps}</div>{notes}")


def _writes(steps: Sequence[ToldStep | Step]) -> list[Step]:
    return [write for step in steps for write in (step.writes if isinstance(step, ToldStep) else (step,))]


def _groups(rows: Sequence[Shown]) -> list[list[Shown]]:
    """The steps one by one, but those together that follow each other and neither wrote nor reported anything."""
    found: list[list[Shown]] = []
    for row in rows:
        if found and _is_quiet(row[1]) and _is_quiet(found[-1][0][1]):
            found[-1].append(row)
        else:
            found.append([row])
    return found


def _is_quiet(step: ToldStep | Step) -> bool:
    return isinstance(step, ToldStep) and not step.writes and not step.events and bool(step.key)


def _quiet(rows: Sequence[Shown]) -> str:
    """`steps 3-6: taint-eviction-controller, replicaset-controller looked and had nothing to write`."""
    who = ", ".join(dict.fromkeys(step.component for _, step, _ in rows if isinstance(step, ToldStep)))
    return f"steps {rows[0][0]}–{rows[-1][0]}: {who} looked and had nothing to write"


def _folded(rows: Sequence[Shown], *, is_open: bool) -> str:
    if len(rows) == 1:
        return _fold(*rows[0], is_open=is_open and not _is_quiet(rows[0][1]))
    inner = "".join(_fold(*row, is_open=False) for row in rows)
    return f'<details class="k8snb-step k8snb-dim"><summary>· {escape(_quiet(rows))}</summary>{inner}</details>'


def _row(number: int, step: ToldStep | Step, time: str) -> tuple[str, ...]:
    if isinstance(step, Step):
        return ("", time, step.actor, step.word, "", "", "", f"{step.revision} {step.verb} {step.word}")
    cells = (step.component, step.key, step.because, step.looked_at, step.decided, step.wrote)
    return (str(number), time, *(_cut(cell) for cell in cells))


def _title(number: int, step: ToldStep | Step, time: str) -> str:
    if isinstance(step, Step):
        return f"{time} {step.actor}: {step.verb} {step.word}"
    return f"step {number} {time} {step.component}: {_gist(step)}"


def _gist(step: ToldStep) -> str:
    """A step in a few words."""
    return f"{step.key}: {step.decided}" if step.key else step.decided or "time passed"


def _sentences(step: ToldStep | Step) -> list[str]:
    if isinstance(step, Step):
        return [f"Your command wrote revision {step.revision}: {step.verb} {step.word}"
                + (f" ({step.what})" if step.what else "") + "."]  # fmt: skip
    ran = ", ".join(f"{what} ×{many}" for what, many in step.meanwhile.items())
    return [*([f"Before it, this ran: {ran}."] if ran else []), *step.sentences]


def _fold(number: int, step: ToldStep | Step, time: str, *, is_open: bool) -> str:
    """A step as a line that unfolds."""
    if isinstance(step, Step):
        return (f'<div class="k8snb-step k8snb-you"><b>{escape(step.actor)}</b> <code>{escape(step.verb)} '
                f"{escape(step.word)}</code><i>revision {step.revision} · {time}</i></div>")  # fmt: skip
    mark = "✎" if step.writes else "·"
    word = f"{len(step.writes)} write{'s' if len(step.writes) > 1 else ''}" if step.writes else "no write"
    sentences = "".join(f"<li>{escape(sentence)}</li>" for sentence in _sentences(step))
    return (
        f'<details class="k8snb-step"{" open" if is_open else ""}><summary><b>{mark} {number}. '
        f"{escape(step.component)}</b> {escape(_cut(_gist(step)))}<i>{word} · {time}</i></summary>"
        f"<ul>{sentences}</ul></details>"
    )


def _cut(text: str) -> str:
    return text if len(text) <= CELL else text[: CELL - 1] + "…"


_STYLE = """<style>
.k8snb .k8snb-steps{border-left:2px solid rgba(127,136,147,.45);margin:4px 0 4px 8px;max-height:34em;overflow-y:auto}
.k8snb .k8snb-step{padding:2px 0 2px 12px}
.k8snb .k8snb-step summary{cursor:pointer}
.k8snb .k8snb-step i{font-style:normal;opacity:.6;font-size:.86em;margin-left:.9em;white-space:nowrap}
.k8snb .k8snb-step ul{margin:2px 0 6px 1.4em;padding:0;list-style:none}
.k8snb .k8snb-step li{margin:1px 0;max-width:110ch}
.k8snb .k8snb-you{border-left:3px solid #0072b2;margin-left:-2px;padding-left:11px}
.k8snb .k8snb-step code{background:none!important;color:inherit;font-size:.95em}
</style>"""
