"""Moments: what people call a point of a cluster's history, and the revision that they mean.

Interface: `find(history, words, now) -> Moment`, `at_time(history, moment, now)`; `FORMS`, the ways to say it;
`NoMomentError`.
The rule not to break: a moment is one revision; what is said as a time is the newest revision that was written by then.
Real clusters have only resourceVersions, which cannot be looked up by time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from k8snb.apimachinery.meta import Object, get_path, is_deleting, is_true, name_of
from k8snb.apiserver.history import CREATED, DELETED, Change, History
from k8snb.clock import parse_timestamp, timestamp
from k8snb.printers import duration
from k8snb.story.commands import TooFewError, newest
from k8snb.story.trace import NOISE

FORMS = "a revision (120), a time ago (-30s), last, ^, an event's reason (Killing), or: before web deleted"
SIDES = ("before", "after", "when", "at")
_OF_DAY = re.compile(r"\d\d:\d\d(:\d\d)?")
_BACK = re.compile(r"(?P<base>\d+|last)?(?P<marks>\^+)(?P<count>(?!0)\d*)")
SHOWN = 8  # words that an error names


class NoMomentError(ValueError):
    """There is no such moment. The text says why, and what there is."""


@dataclass(frozen=True)
class Moment:
    """A revision, and the time of then in seconds since the epoch. `now` is when it was asked for."""

    revision: int
    time: float
    now: float

    @property
    def clock(self) -> str:
        """`12:04:31`."""
        return timestamp(self.time)[11:19]

    @property
    def words(self) -> str:
        """`revision 120, 12:04:31, 30s ago`."""
        return f"revision {self.revision}, {self.clock}, {duration.human(max(self.now - self.time, 0.0))} ago"


def find(history: History, words: str | int | Sequence[str], now: float) -> Moment:
    """The moment that is meant. Raises NoMomentError."""
    text = str(words) if isinstance(words, str | int) else " ".join(words)
    text = text.strip()
    for read in (_number, _now, _back, _ago, _stamp, _event, _happening):
        found = read(history, text, now)
        if found is not None:
            return found
    raise NoMomentError(f'there is no moment "{text}": say {FORMS}{_reasons(history)}')


def at_time(history: History, moment: float, now: float) -> Moment:
    """What had been written by a time, in seconds since the epoch. Raises NoMomentError."""
    return _by(history, moment, now, timestamp(moment))


def _number(history: History, text: str, now: float) -> Moment | None:
    return _at(history, int(text), now) if text.isdigit() else None


def _at(history: History, revision: int, now: float) -> Moment:
    if revision > history.newest:
        raise NoMomentError(f"revision {revision} has not happened yet: the newest is {history.newest}")
    if revision < history.oldest:
        gone = f"revision {revision} has been compacted away: " if revision > 0 and history.oldest > 1 else ""
        raise NoMomentError(f"{gone}the history begins at revision {history.oldest}, {_beginning(history, now)} ago")
    return Moment(revision, history.time_of(revision), now)


def _beginning(history: History, now: float) -> str:
    return duration.human(max(now - history.time_of(history.oldest), 0.0))


def _now(history: History, text: str, now: float) -> Moment | None:
    return Moment(history.newest, now, now) if text in ("now", "-0", "-0s") else None


def _back(history: History, text: str, now: float) -> Moment | None:
    """`last`, your newest command; `^`, just before it; `^^` or `^2`, before the one before it; `120^`, before 120."""
    if text == "last":
        return _at(history, _yours(history, 1)[1], now)
    found = _BACK.fullmatch(text)
    if found is None:
        return None
    steps = len(found["marks"]) - 1 + int(found["count"] or 1)
    if found["base"] and found["base"] != "last":
        return _at(history, int(found["base"]) - steps, now)
    return _at(history, _yours(history, steps)[0] - 1, now)


def _yours(history: History, count: int) -> tuple[int, int]:
    """The first and the last revision of the count-th newest of your commands."""
    try:
        writes = newest(history, count)
    except TooFewError as error:
        commands = f"{error.known} command{'' if error.known == 1 else 's'} of yours" if error.known else ""
        raise NoMomentError(f"the history has {commands or 'nothing of yours'}, as far back as it goes") from None
    return writes[0].revision, writes[-1].revision


def _ago(history: History, text: str, now: float) -> Moment | None:
    if text[:1] not in ("-", "+"):
        return None
    try:
        seconds = duration.parse(text)
    except ValueError:
        raise NoMomentError(f'"{text}" is not a time such as -30s, -5m or -1h30m') from None
    moment = now + seconds if text[0] == "-" else history.time_of(history.oldest) + seconds
    return _by(history, moment, now, text)


def _by(history: History, moment: float, now: float, text: str) -> Moment:
    if moment > now:
        raise NoMomentError(f"{text} is in the future: what will happen, only %kfork can show")
    revision = history.newest_by(moment)
    if not revision:
        raise NoMomentError(f"{text} is before the history begins: that is revision {history.oldest}, "
                            f"{_beginning(history, now)} ago")  # fmt: skip
    return Moment(revision, moment, now)


def _stamp(history: History, text: str, now: float) -> Moment | None:
    """A time of today in UTC, or a whole RFC 3339 time."""
    if _OF_DAY.fullmatch(text):
        text = f"{timestamp(now)[:11]}{text}{':00' if len(text) == 5 else ''}Z"
    try:
        return _by(history, parse_timestamp(text), now, text) if "T" in text else None
    except NoMomentError:
        raise
    except ValueError:
        return None


def _event(history: History, text: str, now: float) -> Moment | None:
    """The newest time that an Event of this name or for this reason was told."""
    side, rest = _side(text.split())
    if len(rest) != 1:
        return None
    wanted = rest[0].removeprefix("event/").removeprefix("events/").lower()
    for change in history.backwards():
        if change.kind.kind != "Event" or change.sort == DELETED:
            continue
        if wanted in (name_of(change.obj), str(change.obj.get("reason", "")).lower()):
            return _at(history, change.revision - (side == "before"), now)
    return None


def _reasons(history: History) -> str:
    found: dict[str, None] = {}
    for change in history.backwards():
        if change.kind.kind == "Event" and change.obj.get("reason"):
            found[change.obj["reason"]] = None
        if len(found) == SHOWN:
            break
    return f" (reasons so far: {', '.join(found)})" if found else ""


# what happened to an object

Happened = Callable[[Change], bool]


def _became(holds: Callable[[Object], bool]) -> Happened:
    """It holds, and did not before."""
    return lambda change: (
        change.sort != DELETED and holds(change.obj) and not (change.before and holds(change.before))
    )  # fmt: skip


def _differs(path: str) -> Happened:
    return lambda change: (
        change.sort != DELETED
        and change.before is not None
        and get_path(change.obj, path) != get_path(change.before, path)
    )  # fmt: skip


def _ready(obj: Object) -> bool:
    return is_true(obj, "Ready") or is_true(obj, "Available") or is_true(obj, "Complete")


def _phase(word: str) -> Happened:
    return _became(lambda obj: get_path(obj, "status.phase") == word)


HAPPENINGS: Mapping[str, Happened] = {
    "created": lambda change: change.sort == CREATED,
    "deleted": lambda change: change.sort == DELETED or _became(is_deleting)(change),
    "gone": lambda change: change.sort == DELETED,
    "changed": lambda change: change.before is not None,
    "scaled": _differs("spec.replicas"),
    "rolled": _differs("spec.template"),
    "scheduled": _became(lambda obj: bool(get_path(obj, "spec.nodeName"))),
    "ready": _became(_ready),
    "unready": _became(lambda obj: not _ready(obj) and get_path(obj, "status") is not None),
    "running": _phase("Running"),
    "pending": _phase("Pending"),
    "failed": _phase("Failed"),
    "succeeded": _phase("Succeeded"),
    "bound": _became(lambda obj: get_path(obj, "status.phase") == "Bound" or bool(get_path(obj, "spec.nodeName"))),
}


def _side(words: list[str]) -> tuple[str, list[str]]:
    return (words[0].lower(), words[1:]) if words[:1] and words[0].lower() in SIDES else ("", words)


def _happening(history: History, text: str, now: float) -> Moment | None:
    """`before web deleted`, `deployment/web scaled`, `after pod web-1 ready`: the newest time that it happened."""
    side, rest = _side(text.split())
    word = next((each.lower() for each in rest if each.lower() in HAPPENINGS), "")
    named = "/".join(each for each in rest if each.lower() != word)
    if not word or not named:
        return None
    happened = [change for change in history.backwards() if _is_named(change, named)]
    found = [change for change in happened if HAPPENINGS[word](change)]
    if not found:
        known = ", ".join(sorted({each for each in HAPPENINGS if any(map(HAPPENINGS[each], happened))}))
        why = f"it was {known}" if happened else "there is nothing of that name in the history"
        raise NoMomentError(f'"{named}" was never {word}, as far as the history goes back: {why}')
    change = found[0] if side != "before" else _beginning_of(found)
    return _at(history, change.revision - (side == "before"), now)


def _beginning_of(found: list[Change]) -> Change:
    """A delete is marked first and done later: before it is before the mark."""
    marked = len(found) > 1 and found[0].sort == DELETED and found[1].sort != DELETED
    same = marked and found[0].obj["metadata"].get("uid") == found[1].obj["metadata"].get("uid")
    return found[1] if same else found[0]


def _is_named(change: Change, named: str) -> bool:
    word, slash, name = named.rpartition("/")
    meant = word.lower() in change.kind.words() if slash else change.kind.plural not in NOISE
    return meant and name_of(change.obj) == name
