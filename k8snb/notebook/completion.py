"""Tab in a magic's line: verbs, kinds, names, namespaces, labels and flags.

Interface: `Completer(offer)`, called by IPython with its event.
The rule not to break: what is offered comes from the grammar's table and from the cluster; no command is known here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Offer = Callable[[list[str]], Sequence[str]]


class Completer:
    """One magic's completer. `offer(words)` says what the last word (perhaps empty) can become."""

    def __init__(self, offer: Offer) -> None:
        self._offer = offer

    def __call__(self, shell: Any, event: Any) -> list[str]:
        words = words_before(event.text_until_cursor)
        try:
            found = list(self._offer(words))
        except Exception:  # a cluster that does not answer must not break typing
            return []
        return _from_symbol(found, words[-1], event.symbol)


def words_before(text: str) -> list[str]:
    """The words after the magic's name, up to the cursor; the last is the one being typed, perhaps empty."""
    words = text.split()[1:]
    if not words or text[-1].isspace():
        words.append("")
    return words


def _from_symbol(found: Sequence[str], word: str, symbol: str) -> list[str]:
    """IPython breaks words at `=` and `,` and replaces the last part alone: give it only that."""
    before = word[: len(word) - len(symbol)] if word.endswith(symbol) else ""
    return [text.removeprefix(before) for text in found if text.startswith(word) and text.startswith(before)]
