"""Until: what a cluster is to run to: an object's condition, a revision, or a moment.

Interface: `parse(words, …) -> Until`, of which `test()` says whether it has come and `now()` how far it is.
The rule not to break: a condition that can never come is refused where that can be known, and bounded where it cannot.
`kubectl wait` takes the same conditions; a debugger's "run to cursor" does the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, get_path, is_true
from k8snb.apiserver.history import History
from k8snb.client import Client
from k8snb.clock import Clock
from k8snb.kubectl.output import KubectlError
from k8snb.kubectl.wait import test_of
from k8snb.printers import duration, pods

EXAMPLES = "'pod/web Ready', deployment/web=Available, --for=delete pod/web, +30s, or a revision"
Test = Callable[[Object | None], bool]


class Until(NamedTuple):
    """What is waited for, in words; whether it has come; and how things stand now."""

    text: str
    test: Callable[[], bool]
    now: Callable[[], str]


def parse(
    words: Sequence[str], condition: str, *, client: Client, namespace: str, clock: Clock, history: History
) -> Until:  # fmt: skip
    """What a line asks for; `condition` is what `--for` says, "" for none. Raises KubectlError."""
    given = [part for word in words for part in word.split()]
    if len(given) == 1 and not condition:
        if given[0].startswith("+"):
            return _moment(given[0], clock)
        if given[0].isdigit():
            return _revision(int(given[0]), history)
    return _condition(*_parts(given, condition), client=client, namespace=namespace)


def _moment(text: str, clock: Clock) -> Until:
    try:
        seconds = duration.parse(text[1:])
    except ValueError:
        raise KubectlError(f'error: "{text}" is no time such as +30s or +5m') from None
    end = clock.monotonic() + seconds
    return Until(f"{duration.human(seconds)} have passed", lambda: clock.monotonic() >= end,
                 lambda: f"{max(end - clock.monotonic(), 0.0):.0f} s are left")  # fmt: skip


def _revision(revision: int, history: History) -> Until:
    return Until(f"revision {revision} is written", lambda: history.newest >= revision,
                 lambda: f"the newest revision is {history.newest}")  # fmt: skip


def _parts(given: list[str], condition: str) -> tuple[str, str, str]:
    """Type, name and condition of `TYPE/NAME CONDITION`, `TYPE/NAME=CONDITION` or `TYPE NAME CONDITION`."""
    rest = list(given)
    if rest and "/" not in rest[0] and len(rest) > 1:
        rest = [f"{rest[0]}/{rest[1]}", *rest[2:]]
    if rest and "=" in rest[0]:
        rest = [*rest[0].split("=", 1), *rest[1:]]
    wanted = [*rest[1:], *([condition] if condition else [])]
    if not rest or "/" not in rest[0] or len(wanted) != 1:
        raise KubectlError(f"error: until what? {EXAMPLES}")
    word, _, name = rest[0].partition("/")
    return word, name, wanted[0]


def _condition(word: str, name: str, condition: str, *, client: Client, namespace: str) -> Until:
    kind = next((kind for kind in client.kinds() if word.lower() in kind.words()), None)
    if kind is None:
        raise KubectlError(f'error: the server doesn\'t have a resource type "{word}"')
    test = _test(condition)
    where = namespace if kind.namespaced else ""

    def holds() -> bool:
        try:
            return test(client.find(kind, name, where))
        except ApiError:  # nobody answers now
            return False

    shown = f"is {condition}" if " " not in condition and "=" not in condition else f"has {condition}"
    return Until(f"{kind.singular}/{name} {shown}", holds, lambda: _state(kind, name, client.find(kind, name, where)))


def _test(condition: str) -> Test:
    lower = condition.lower()
    if lower in ("delete", "deleted", "gone"):
        return lambda obj: obj is None
    if lower in ("create", "created"):
        return lambda obj: obj is not None
    if lower.startswith(("condition=", "jsonpath=")):
        asked = test_of(condition)
        return lambda obj: obj is not None and asked(obj)
    return lambda obj: obj is not None and (lower in _words(obj))


def _words(obj: Object) -> set[str]:
    """What may be said of an object: its conditions that hold, its phase, and a pod's STATUS."""
    held = {entry["type"].lower() for entry in get_path(obj, "status.conditions") or () if is_true(obj, entry["type"])}
    status = {pods.status(obj).lower()} if obj["kind"] == "Pod" else set()
    return held | status | {str(get_path(obj, "status.phase", "")).lower()} - {""}


def _state(kind: Kind, name: str, obj: Object | None) -> str:
    if obj is None:
        return f"there is no {kind.singular}/{name}"
    told = [f"{entry['type']}={entry['status']}" for entry in get_path(obj, "status.conditions") or ()]
    words = [pods.status(obj)] if obj["kind"] == "Pod" else [str(get_path(obj, "status.phase", ""))]
    return f"{kind.singular}/{name} is {', '.join(filter(None, [*words, *told])) or 'without conditions'}"
