"""Commands: which of a person's writes belong to one command of theirs.

Interface: `newest(history, count) -> [Change]`, the writes of the count-th newest command, the oldest first; fewer
commands: `TooFewError`, with how many there are.
The rule not to break: read from the log alone. Writes that follow each other at once are one command where one command
alone makes such: of one verb to one kind (`delete pod -l app=web`), or an apply or a delete of a file's objects.
Real clusters do not know commands; their audit logs hold the requests.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, annotations_of
from k8snb.apiserver.history import Change, History
from k8snb.story.actors import YOU, actor_of

AT_ONCE = 0.02  # seconds between two writes of a command
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class TooFewError(ValueError):
    """There are not so many commands. `known` is how many there are."""

    def __init__(self, known: int) -> None:
        super().__init__(known)
        self.known = known


def newest(history: History, count: int = 1) -> list[Change]:
    """The writes of the count-th newest command of a person. Raises TooFewError."""
    begun = 0
    writes: list[Change] = []
    for change in history.backwards():
        if actor_of(change.actor) != YOU:
            continue
        if writes and _is_one_command(change, writes[-1]):
            writes.append(change)
        elif begun == count:
            break
        else:
            begun, writes = begun + 1, [change]
    if begun < count:
        raise TooFewError(begun)
    return writes[::-1]


def _is_one_command(change: Change, later: Change) -> bool:
    if later.time - change.time > AT_ONCE or _applied(change) != _applied(later):
        return False
    if (change.verb, change.kind.qualified) == (later.verb, later.kind.qualified):
        return True
    return _in_a_row(change, later) and (
        change.verb == later.verb == "delete" or (_applied(change) and _applied(later))
    )


def _in_a_row(change: Change, later: Change) -> bool:
    """Whether nothing was done between them: where time stands still only the revisions tell."""
    return later.time > change.time or later.revision == change.revision + 1


def _applied(change: Change) -> bool:
    """Whether it is an apply's, which leaves behind what was applied."""
    return bool(_manifest(change.obj)) and _manifest(change.obj) != _manifest(change.before or {"metadata": {}})


def _manifest(obj: Object) -> str:
    return annotations_of(obj).get(APPLIED, "")
