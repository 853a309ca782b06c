"""kube-apiserver's questions to others: what has to be asked of a webhook before a request can be answered.

Interface: `Outcalls.answer(question)` gives the answer, or raises `Outcall` where it has still to be fetched; `fetch`
fetches, outside of every lock; `done` forgets what a finished request has used.
The rule not to break: nobody waits for a webhook while holding the lock. A request that lacks an answer is given up
before it has written anything; it begins anew when the answer is there, and looks at the store as it is then.
Real Kubernetes gives every request a goroutine, which waits.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from k8snb.clock import Clock

KEPT_SECONDS = 60.0  # how long an answer waits for the request that it was fetched for
ATTEMPTS = 64  # how often a request begins anew before it is refused: others change what it is about all the time
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z")
_MADE_UP = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")


class Answer(NamedTuple):
    """What came back: a value, or why none did."""

    value: Any = None
    error: Exception | None = None


class Question(NamedTuple):
    """`ask()` may take long and raise; `key` is the same for questions that one answer serves. `about` names whom is
    asked."""

    key: str
    ask: Callable[[], Any]
    about: str


class Outcall(BaseException):
    """A request lacks answers. No refusal and no failure, so that nobody takes it for one: it passes all handlers up to
    whoever called the server and can wait."""

    def __init__(self, questions: Iterable[Question]) -> None:
        self.questions = tuple(questions)
        super().__init__(", ".join(question.about for question in self.questions))


def key_of(*parts: Any) -> str:
    """A key for a question. What the server makes up anew at each attempt does not count, nor does the time of day."""
    text = json.dumps([_settled(part) for part in parts], sort_keys=True, default=str)
    return hashlib.sha256(_MOMENT.sub("T", text).encode()).hexdigest()


def _settled(part: Any) -> Any:
    """An object without what differs between two attempts of the same write."""
    metadata = part.get("metadata") if isinstance(part, dict) else None
    if not isinstance(metadata, dict):
        return part
    kept = {name: value for name, value in metadata.items() if name not in _MADE_UP}
    if metadata.get("generateName"):
        kept.pop("name", None)
    return {**part, "metadata": kept}


class Outcalls:
    """The answers that have come and wait for their request. Call all but `fetch` under the lock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answers: dict[str, tuple[Answer, float]] = {}
        self._used: set[str] = set()

    def answer(self, question: Question) -> Answer:
        """Raises Outcall."""
        return self.answers([question])[0]

    def answers(self, questions: list[Question]) -> list[Answer]:
        """One for each question, all fetched at the same time. Raises Outcall with those that are missing."""
        missing = [question for question in questions if question.key not in self._answers]
        if missing:
            raise Outcall(missing)
        self._used.update(question.key for question in questions)
        return [self._answers[question.key][0] for question in questions]

    def keep(self, key: str, answer: Answer) -> None:
        """An answer has come; it waits for a while."""
        now = self._clock.monotonic()
        for old in [old for old, (_, at) in self._answers.items() if now - at > KEPT_SECONDS]:
            del self._answers[old]
        self._answers[key] = (answer, now)

    def begin(self) -> None:
        """A request begins, perhaps anew."""
        self._used.clear()

    def done(self) -> None:
        """A request is over: the answers it used have served."""
        for key in self._used:
            self._answers.pop(key, None)
        self._used.clear()


def fetch(questions: tuple[Question, ...]) -> list[tuple[str, Answer]]:
    """Ask all at the same time, and wait. For the caller's own thread, outside of every lock."""
    if len(questions) == 1:
        return [(questions[0].key, attempt(questions[0]))]
    found: dict[str, Answer] = {}

    def ask(question: Question) -> None:
        found[question.key] = attempt(question)

    threads = [threading.Thread(target=ask, args=(each,), name="k8snb-ask", daemon=True) for each in questions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(found.items())


def attempt(question: Question) -> Answer:
    """Ask one question; whatever goes wrong is an answer too."""
    try:
        return Answer(question.ask())
    except Exception as error:
        return Answer(error=error)
