"""How things look: the tone of a status word, and one stylesheet.

Interface: `tone_of(word)`, `TONES`, `SHEET`.
The rule not to break: a tone never shows by colour alone; a word and a symbol say the same.
Colours are mixed with the page's own text colour, so that they suit a light page and a dark one without asking which.
The hues are from Okabe and Ito's palette, which people with any colour vision can tell apart.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Tone(NamedTuple):
    """A symbol, a word for many, and colours: of text in a page, and of a box in a diagram (fill, border)."""

    name: str
    symbol: str
    word: str
    hue: str
    fill: str
    border: str


GOOD = Tone("good", "✓", "ready", "#009e73", "#e3f4ed", "#009e73")
BUSY = Tone("busy", "◐", "not ready yet", "#d98c00", "#fdf2d9", "#d98c00")
BAD = Tone("bad", "✕", "failing", "#d55e00", "#fce5da", "#d55e00")
DONE = Tone("done", "■", "done", "#7f8893", "#eceff2", "#8b95a1")
PLAIN = Tone("plain", "", "", "inherit", "#f1f4f8", "#64748b")
TONES = (GOOD, BUSY, BAD, DONE, PLAIN)

_WORDS = {
    GOOD: "Running Ready Active Bound Available Complete Healthy Approved Online Reachable True enabled",
    BUSY: "Pending ContainerCreating PodInitializing Terminating Progressing Released Warning Starting Paused "
    "SchedulingDisabled ContainersNotReady Suspended",
    BAD: "CrashLoopBackOff Error ErrImagePull ImagePullBackOff ErrImageNeverPull InvalidImageName Failed Evicted "
    "OOMKilled NotReady Unknown CreateContainerError CreateContainerConfigError RunContainerError StartError "
    "ContainerStatusUnknown ContainerCannotRun CreatePodSandboxError DeadlineExceeded Lost Stopped NodeLost "
    "UnexpectedAdmissionError OutOfcpu OutOfmemory OutOfpods failed",
    DONE: "Completed Succeeded Deleted",
}
_TONE = {word: tone for tone, words in _WORDS.items() for word in words.split()}
_PATTERNS = (
    (re.compile(r"Init:\d+/\d+"), BUSY),
    (re.compile(r"(Init:)?(Signal|ExitCode):\d+"), BAD),
    (re.compile(r"(Init:)?\w*(Error|BackOff)"), BAD),
)
_ORDER = (BAD, BUSY, DONE, GOOD, PLAIN)


def tone_of(word: str) -> Tone:
    """The tone of a status as kubectl prints it; of several (`Ready,SchedulingDisabled`), the gravest."""
    return min((_single(part) for part in word.split(",")), key=_ORDER.index)


def _single(word: str) -> Tone:
    for pattern, tone in _PATTERNS:
        if pattern.fullmatch(word):
            return tone
    return _TONE.get(word.removeprefix("Init:"), PLAIN)


def fraction_tone(text: str) -> Tone:
    """The tone of a `1/3`: incomplete is busy."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    return BUSY if match and int(match[1]) < int(match[2]) else PLAIN


_MIXED = "\n".join(
    f".k8snb .k8snb-{tone.name}{{color:{tone.hue};color:color-mix(in oklab,{tone.hue} 78%,currentColor)}}"
    for tone in (GOOD, BUSY, BAD)
)
_CODE = {"nt": "#2a7ab9", "s": "#3d8b57", "m": "#b5651d", "k": "#a0528f", "c": "#7f8893", "gd": BAD.hue, "gi": GOOD.hue}
_CODE_RULES = "\n".join(
    f".k8snb-code [class^={token}]{{color:{hue};color:color-mix(in oklab,{hue} 82%,currentColor)}}"
    for token, hue in _CODE.items()
)

SHEET = f"""
.k8snb{{font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:var(--jp-ui-font-size1,13px);
line-height:1.45;max-width:100%;overflow-x:auto;padding:2px 0}}
.k8snb table.k8snb-table{{border-collapse:collapse;border:0;margin:0 0 4px;
font-size:inherit;width:auto;table-layout:auto}}
.k8snb table.k8snb-table tr{{background:none!important}}
.k8snb table.k8snb-table :is(th,td){{text-align:left;vertical-align:top;padding:3px 18px 3px 8px;border:0;
white-space:nowrap;max-width:none;color:inherit;background:none;font-variant-numeric:tabular-nums}}
.k8snb table.k8snb-table th{{font-size:.82em;font-weight:600;letter-spacing:.04em;opacity:.62;
border-bottom:1px solid rgba(127,136,147,.55)}}
.k8snb table.k8snb-table tbody td{{border-bottom:1px solid rgba(127,136,147,.18)}}
.k8snb table.k8snb-table tbody tr:hover td{{background:rgba(127,136,147,.12)}}
.k8snb table.k8snb-table td.k8snb-name{{font-weight:600}}
.k8snb table.k8snb-table :is(th,td).k8snb-num{{text-align:right}}
.k8snb table.k8snb-table td.k8snb-long{{white-space:normal;min-width:16em}}
.k8snb b.k8snb-sym{{display:inline-block;width:1.25em;font-weight:700}}
.k8snb .k8snb-dim{{opacity:.55}}
.k8snb .k8snb-note{{margin:3px 0 1px 8px;opacity:.78;font-size:.92em}}
.k8snb .k8snb-note b{{font-weight:600}}
.k8snb .k8snb-note summary{{cursor:pointer;opacity:.8}}
.k8snb .k8snb-note i{{font-style:normal;user-select:none}}
.k8snb pre.k8snb-code,.k8snb pre.k8snb-text{{margin:0;padding:2px 8px;background:none;border:0;color:inherit;
white-space:pre;font-family:var(--jp-code-font-family,ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace);
font-size:var(--jp-code-font-size,13px);line-height:1.4;overflow-x:auto}}
.k8snb a{{color:#2a7ab9;color:color-mix(in oklab,#2a7ab9 82%,currentColor);text-decoration:underline}}
.k8snb .k8snb-done{{opacity:.65}}
{_MIXED}
{_CODE_RULES}
"""
