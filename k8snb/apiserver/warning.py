"""kube-apiserver's warnings: what the server remarks beside an answer, as headers.

Interface: `headers(texts) -> list of (name, value)`.
The rule not to break: text that came from a client never breaks a header, and no client drowns in warnings.
Source: `apiserver/pkg/endpoints/filters/warning.go`, `apimachinery/pkg/util/net` (NewWarningHeader).
"""

from __future__ import annotations

from collections.abc import Iterable

IN_ALL, EACH = 4096, 256  # characters: when all warnings together are longer, each is cut to this length


def headers(texts: Iterable[str]) -> list[tuple[str, str]]:
    """One header for each warning. One that holds control characters is left out, as upstream does."""
    different = [text for text in dict.fromkeys(texts) if text and _is_plain(text)]
    if sum(map(len, different)) > IN_ALL:
        different = list(dict.fromkeys(text[:EACH] for text in different))[: IN_ALL // EACH]
    return [("Warning", f'299 - "{_quoted(text)}"') for text in different]


def _is_plain(text: str) -> bool:
    return not any(ord(letter) < 0x20 or ord(letter) == 0x7F or 0xD800 <= ord(letter) <= 0xDFFF for letter in text)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
