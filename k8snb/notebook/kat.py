"""%kat: any answer of `get`, `describe`, `events`, `draw` and the story, as of a moment that is past.

Interface: `COMMAND`, a row as kubectl has them; `run(cluster, words)`, `complete(cluster, words)`;
`moment(cluster, words)`, the cluster as it was then; `must_have_been(…)`, for what never was.
The rule not to break: a line means the same as it does today, read from the history; what cannot be known of then is
refused by name.
Real kubectl knows the present alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, cast

from k8snb.kubectl import help
from k8snb.kubectl.commands import COMMANDS as KUBECTL
from k8snb.kubectl.grammar import Command
from k8snb.kubectl.output import KubectlError, Output
from k8snb.notebook import kdraw, kstory
from k8snb.notebook.draw import Picture
from k8snb.notebook.results import Result
from k8snb.printers import duration
from k8snb.story.actors import actor_of
from k8snb.story.moments import HAPPENINGS, SIDES, NoMomentError
from k8snb.story.then import Then
from k8snb.story.trace import NOISE, summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8snb.apimachinery.kinds import Kind
    from k8snb.apiserver.history import Change
    from k8snb.cluster import Cluster

COMMAND = Command(
    name="at",
    usage="REVISION | -TIME | last | ^ | EVENT | [before] OBJECT WHAT   LINE…",
    help="Show any get, describe, events, draw, select, blame or trace as of then, ages included.\n\n"
         "The moment is a revision (120), a time ago (-30s, -5m), a time of day in UTC (12:04:31), last (your newest "
         "command), ^ (just before it; ^2: before the one before it), an event's name or reason (Killing), or what "
         f"happened to an object: before web deleted. What can happen: {', '.join(HAPPENINGS)}.",
    examples=("%kat -30s get pods -o wide", "%kat ^ describe deployment web", "%kat 120 draw",
              "%kat before web deleted get all", "%kat FailedScheduling describe pod web",
              "%kat -5m get pod web -o yaml"),
)  # fmt: skip
READING = ("get", "describe", "events", "explain", "api-resources", "api-versions", "rollout", "auth")
STORIES = ("select", "blame", "trace")
VERBS = (*READING, "draw", *STORIES)
NOT_KEPT: Mapping[str, str] = {
    "top": "what pods and nodes used then, nobody has kept; %ktop shows the present",
    "logs": "the past has objects and events; what containers print is kept for as long as they are there: %klogs",
    "exec": "the containers of then cannot be entered; %kfork goes on from there on simulated nodes",
    "why": "which nodes refused a pod is kept for the present alone: %kat MOMENT describe shows the events of then",
    "diff": "%kdiff --from MOMENT --to MOMENT compares two moments",
}
NOTHING_SAID = ["get", "all"]
RECENT = 5_000  # writes among which completion looks for events
KNOWN = {*VERBS, *NOT_KEPT}
_ALL = {*KNOWN, *(name for name in KUBECTL if name and " " not in name)}
_NOT_FOUND = re.compile(r'(?P<kind>[\w.-]+) "(?P<name>[^"]+)" not found')


def run(cluster: Cluster, words: Sequence[str]) -> Any:
    """What a line of %kat answers. Raises KubectlError."""
    if not words or {"-h", "--help"} & {*words[:1]}:
        return Result(Output(text=about()))
    said, line = parted(words)
    if not said:
        raise KubectlError(f"error: %kat wants a moment first: %kat -30s {' '.join(line)}")
    then = moment(cluster, said)
    line = line or NOTHING_SAID
    answer = _answer(cluster, then, line)
    if isinstance(answer, Result):
        answer.output.hints = [*answer.output.hints, caption(then)]
    return answer


def moment(cluster: Cluster, said: str | Sequence[str]) -> Then:
    """The cluster as it was then. Raises KubectlError."""
    with sentences():
        return cluster.at(said if isinstance(said, str) else " ".join(said))


@contextmanager
def sentences(refusal: type[ValueError] = NoMomentError) -> Iterator[None]:
    """What a moment that cannot be had is refused with."""
    try:
        yield
    except refusal as error:
        raise KubectlError(f"error: {error}") from None


def parted(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words that say when, and the line behind them: it begins with a command's name."""
    words = [word for word in words if word != "kubectl"]
    for place, word in enumerate(words):
        plain = word.lstrip("%").removeprefix("k") if word.startswith(("%", "k")) else word
        verb = word if word in _ALL else plain
        is_name = (place == 0 and verb not in KNOWN) or (words[:place][-1:] and words[place - 1] in SIDES)
        if verb in _ALL and not is_name:
            return words[:place], [verb, *words[place + 1 :]]
    return words, []


def _answer(cluster: Cluster, then: Then, line: list[str]) -> Any:
    verb, rest = line[0], line[1:]
    if verb in NOT_KEPT:
        raise KubectlError(f"error: %kat {verb}: {NOT_KEPT[verb]}")
    if verb not in VERBS:
        raise KubectlError(f"error: %kat {verb}: what is past can be read, by {', '.join(VERBS)}, and not be changed; "
                           f"%kfork {then.revision} goes on from there on simulated nodes")  # fmt: skip
    if any(word in ("-w", "--watch", "--watch-only") for word in rest):
        raise KubectlError(
            f"error: %kat {verb} -w: nothing changes any more in what is past; %krewind moves through it"
        )
    try:
        if verb == "draw":
            return _drawn(then, rest)
        return kstory.run(cast("Cluster", then), verb, rest) if verb in STORIES else Result(then.kubectl.run(line))
    except KubectlError as error:
        error.message += _whereabouts(cluster, then, error.message, rest)
        raise


def _whereabouts(cluster: Cluster, then: Then, message: str, rest: Sequence[str]) -> str:
    """When what was not there then was there; "" for any other failure."""
    found = _NOT_FOUND.search(message)
    kind = found and next((each for each in then.client.kinds() if found["kind"] == each.qualified), None)
    if not found or not kind:
        return ""
    named = [after for before, after in pairwise(rest) if before in ("-n", "--namespace")]
    namespace = (named or [cluster.kubectl.namespace])[0] if kind.namespaced else ""
    changes = cluster.history.of(kind, namespace, found["name"])
    before = [change for change in changes if change.revision <= then.revision]
    if before:
        ended = before[-1]
        said = f"it was deleted at revision {ended.revision} by {actor_of(ended.actor)}: {_ago(then, ended)} before"
        return f"\n({said})"
    if changes:
        return f"\n(it was created later, at revision {changes[0].revision} by {actor_of(changes[0].actor)})"
    return "\n(there has never been one, as far back as the history goes)"


def _ago(then: Then, change: Change) -> str:
    return duration.human(max(then.moment.time - change.time, 0.0))


def _drawn(then: Then, words: Sequence[str]) -> Picture:
    picture = kdraw.draw(cast("Cluster", then), words)
    picture.diagram = replace(picture.diagram, title=f"{picture.diagram.title}, as of {then.moment.words}")
    return picture


def must_have_been(cluster: Cluster, asked: Sequence[tuple[Kind, str]], namespace: str) -> None:
    """Raises KubectlError for an object that has never been there; without a namespace, objects of none are meant."""
    for kind, name in asked:
        place = namespace if kind.namespaced else ""
        if name and (place or not kind.namespaced) and not cluster.history.of(kind, place, name):
            raise KubectlError(f'error: {kind.qualified} "{name}": there is none, and there has never been one as far '
                               "back as the history goes")  # fmt: skip


def caption(then: Then) -> str:
    """When that was, and what was written last until then, heartbeats and reports aside."""
    change = next((each for each in then.history.backwards() if each.kind.plural not in NOISE), None)
    if change is None:
        return f"as of {then.moment.words}"
    done = f"{actor_of(change.actor)}: {change.verb} {change.word} {summary(change)}".strip()
    return f"as of {then.moment.words}; written last: {done} (revision {change.revision})"


def about() -> str:
    """What `%kat?` shows."""
    return help.page(COMMAND, []).replace("kubectl at", "%kat")


def complete(cluster: Cluster, words: Sequence[str]) -> list[str]:
    """What the last word of a line can become: moments, then the line as it would be today."""
    said, line = parted(words[:-1])
    if line:
        return _complete_line(cluster, [*line, words[-1]])
    offered = [*VERBS] if said else ["last", "^", *(f"-{each}" for each in ("30s", "5m")), *SIDES]
    if said and said[0] in SIDES:
        offered += HAPPENINGS
    if not said:
        newest = islice(cluster.history.backwards(), RECENT)
        offered += sorted(
            {each.obj["reason"] for each in newest if each.kind.kind == "Event" and each.obj.get("reason")}
        )
    return [each for each in offered if each.startswith(words[-1]) and each != words[-1]]


def _complete_line(cluster: Cluster, line: list[str]) -> list[str]:
    if line[0] == "draw":
        return kdraw.complete(cluster, line[1:])
    if line[0] in STORIES:
        return kstory.complete(cluster, line[0], line[1:])
    return cluster.kubectl.complete(line)
