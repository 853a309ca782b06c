"""The guard around a plug-in of somebody's own: what it gets wrong is said in one line, and harms nobody else.

Interface: `Guarded(plugin)`, a `Plugin`; it raises `PluginFailure` for an exception or for an answer of the wrong sort.
The rule not to break: control flow of the cluster's own (Rejected, Postponed, ApiError while binding) passes through.
Upstream trusts the Go compiler for the sorts, and for the rest has `framework.AsStatus(err)`: the pod is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from k8snb.apimachinery.errors import ApiError, Postponed
from k8snb.scheduler.framework import MAX_SCORE, SKIP, Plugin, Rejected

ON_THE_WAY = ("reserve", "permit", "pre_bind", "bind")  # a refusal by the apiserver sends the pod back there


class PluginFailure(Rejected):
    """A plug-in raised something, or answered nonsense."""


Check = Callable[[Any, tuple[Any, ...]], bool]


def _is_reason(answer: Any, _: tuple[Any, ...]) -> bool:
    texts = answer if isinstance(answer, tuple) else (answer,)
    return answer is None or all(isinstance(text, str) for text in texts)


def _is_number(answer: Any, _: tuple[Any, ...]) -> bool:
    return isinstance(answer, int) and not isinstance(answer, bool)


def _is_score(answer: Any, asked: tuple[Any, ...]) -> bool:
    return _is_number(answer, asked) and 0 <= answer <= MAX_SCORE


def _are_numbers(answer: Any, asked: tuple[Any, ...]) -> bool:
    each = isinstance(answer, list) and all(_is_number(score, ()) for score in answer)
    return each and len(answer) == len(asked[1])


def _are_scores(answer: Any, asked: tuple[Any, ...]) -> bool:
    each = isinstance(answer, list) and all(_is_score(score, ()) for score in answer)
    return each and len(answer) == len(asked[-1] if len(asked) == 1 else asked[1])


def _are_names(answer: Any, _: tuple[Any, ...]) -> bool:
    return answer is None or (isinstance(answer, Collection) and not isinstance(answer, str))


def _is_text(answer: Any, _: tuple[Any, ...]) -> bool:
    return isinstance(answer, str)


def _is_bool(answer: Any, _: tuple[Any, ...]) -> bool:
    return isinstance(answer, bool)


def _is_wait(answer: Any, _: tuple[Any, ...]) -> bool:
    return isinstance(answer, (int, float)) and not isinstance(answer, bool) and answer >= 0


def _is_anything(answer: Any, _: tuple[Any, ...]) -> bool:
    return True


REASON = "None, or in words why not"
SCORE = f"a whole number from 0 to {MAX_SCORE}"
YES_OR_NO = "True or False"
POINTS: dict[str, tuple[Check, str]] = {
    "connect": (_is_anything, ""),
    "concerns": (_is_bool, YES_OR_NO),
    "pre_enqueue": (_is_text, 'why the pod has to stay out of the queue, or ""'),
    "hint": (_is_bool, YES_OR_NO),
    "pinned": (_are_names, "None, or a set of node names"),
    "pre_filter": (lambda answer, asked: answer is SKIP or _is_reason(answer, asked), REASON),
    "begin": (_is_bool, YES_OR_NO),
    "alike_by": (_is_anything, ""),
    "likeness": (_is_anything, ""),
    "filter": (_is_reason, REASON),
    "post_filter": (_is_anything, ""),
    "score": (_is_score, SCORE),
    "score_all": (_are_scores, f"for each node {SCORE}"),
    "score_alike": (_are_scores, f"for each node {SCORE}"),
    "normalize": (_are_scores, f"for each node {SCORE}"),
    "reserve": (_is_anything, ""),
    "unreserve": (_is_anything, ""),
    "permit": (_is_wait, "the seconds that the pod may have to wait, or 0"),
    "pre_bind": (_is_bool, YES_OR_NO),
    "bind": (_is_bool, YES_OR_NO),
    "post_bind": (_is_anything, ""),
}
NOT_NORMAL_YET: dict[str, tuple[Check, str]] = {
    "score": (_is_number, "a whole number"),
    "score_all": (_are_numbers, "for each node a whole number"),
    "score_alike": (_are_numbers, "for each node a whole number"),
}


class Guarded(Plugin):
    """Another plug-in, asked with care."""

    name = ""

    def __init__(self, plugin: Plugin) -> None:
        self.inner = plugin
        for trait in ("name", "local", "resolvable", "normalizes", "wakes_on"):
            setattr(self, trait, getattr(plugin, trait))
        for point, check in {**POINTS, **(NOT_NORMAL_YET if plugin.normalizes else {})}.items():
            if plugin.has(point):
                setattr(self, point, _asking(plugin, point, *check))

    def has(self, point: str) -> bool:  # type: ignore[override]
        return self.inner.has(point)


def _asking(plugin: Plugin, point: str, fits: Check, expected: str) -> Callable[..., Any]:
    method = getattr(plugin, point)

    def ask(*asked: Any) -> Any:
        try:
            answer = method(*asked)
        except (Rejected, Postponed):
            raise
        except Exception as error:
            if isinstance(error, ApiError) and point in ON_THE_WAY:
                raise
            words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise PluginFailure(f'running plug-in "{plugin.name}": its {point} raised {words}') from error
        if not fits(answer, asked):
            words = f"its {point} answered {_short(answer)}, and should answer {expected}"
            raise PluginFailure(f'running plug-in "{plugin.name}": {words}')
        return answer

    return ask


def _short(answer: Any) -> str:
    text = repr(answer)
    return text if len(text) <= 60 else f"{text[:57]}..."
