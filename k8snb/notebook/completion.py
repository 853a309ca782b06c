"""Tab in a magic's line: verbs, kinds, names, namespaces, labels and flags.

Interface: `Matcher(offers)`, one of the matchers of IPython's completer; `add(shell, …)` and `remove(shell)`.
The rule not to break: what is offered comes from the grammar's table and from the cluster; no command is known here.
Beside a word of kubectl's nothing of Python is offered, and IPython is not made to look for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

Offer = Callable[[list[str]], Sequence[str]]
IDENTIFIER = "k8snb"
# `%kget po`, `%%kapply --dry`, `kget po` where IPython adds the % itself, and `pods = %kget po`.
_LINE = re.compile(r"(?:[^%]*=\s*%|\s*)%{0,2}(?P<magic>[\w-]+)\s(?P<words>.*)", re.DOTALL)


class Matcher:
    """What Tab finds in the lines of magics. `offer(name)` says for one of them what the last of its words (perhaps
    empty) can become; None where it is none of ours.
    """

    matcher_api_version = 2
    matcher_identifier = IDENTIFIER
    matcher_priority = 100.0

    def __init__(self, offer: Callable[[str], Offer | None]) -> None:
        self._offer = offer
        self.__qualname__ = IDENTIFIER  # IPython asks for it even where there is an identifier

    def __call__(self, context: CompletionContext) -> SimpleMatcherResult:
        line = _LINE.fullmatch(context.text_until_cursor)
        words = words_before(line["words"]) if line else [""]
        try:
            offer = self._offer(line["magic"]) if line else None
            found = list(offer(words)) if offer else []
        except Exception:  # a cluster that does not answer must not break typing
            found = []
        most = context.limit or len(found)
        completions = [SimpleCompletion(text=text, type="kubectl") for text in found[:most]]
        return {"completions": completions, "suppress": bool(found), "matched_fragment": words[-1], "ordered": True}


def words_before(text: str) -> list[str]:
    """The words up to the cursor; the last is the one being typed, perhaps empty."""
    words = text.split()
    if not words or text[-1].isspace():
        words.append("")
    return words


def add(shell: InteractiveShell, offer: Callable[[str], Offer | None]) -> None:
    """Let Tab find the words of magics."""
    shell.Completer.custom_matchers.append(Matcher(offer))


def remove(shell: InteractiveShell) -> None:
    """Let Tab know nothing of them any more."""
    matchers = shell.Completer.custom_matchers
    matchers[:] = [matcher for matcher in matchers if not isinstance(matcher, Matcher)]
