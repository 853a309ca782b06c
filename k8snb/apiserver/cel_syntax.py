"""kube-apiserver's reading of CEL texts: where the macros are, and what of Kubernetes' notation has to be put in words
that the library knows.

Interface: `Text(source)`: `tokens`, `prepared`, what is run, and `bound`, the variables that the text itself makes;
`place(name)` finds a name for messages.
The rule not to break: what is run means what was written; it only counts its steps besides.
Source: the CEL language definition; `apiserver/pkg/cel/escaping.go` for field names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# functions that count a step of a loop and say whether there may be another; the second is told what is collected
STEP, COLLECT = "k8snb_step", "k8snb_collect"
CONDITIONS = ("all", "exists", "exists_one", "existsOne")
COLLECTING = ("filter", "map")
LOOPS = (*CONDITIONS, *COLLECTING)
LONGEST = 100_000  # characters that a text may grow to
_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*)
      | (?P<string>[rRbB]{0,2}(?:\"\"\"(?:\\.|[^\\])*?\"\"\"|'''(?:\\.|[^\\])*?'''
          |"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'))
      | (?P<number>\d[\w.]*)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<space>\s+)
      | (?P<sign>&&|\|\||[=!<>]=|.)""",
    re.VERBOSE | re.DOTALL,
)
_OPENING, _CLOSING = {"(": ")", "[": "]", "{": "}"}, ")]}"
_ESCAPES = {"underscores": "__", "dot": ".", "dash": "-", "slash": "/"}
_ESCAPED = re.compile(r"__(underscores|dot|dash|slash)__")
_KEYWORD = re.compile(r"__([a-z]+)__")


class Token(NamedTuple):
    sort: str
    text: str
    start: int


class Call(NamedTuple):
    """`.name(a, b)`: where its arguments begin and end among the tokens."""

    name: str
    at: int
    arguments: tuple[tuple[int, int], ...]


class Text:
    """One expression. Raises ValueError where a notation cannot be carried over."""

    def __init__(self, source: str) -> None:
        self.source = source
        found = (Token(str(match.lastgroup), match[0], match.start()) for match in _TOKEN.finditer(source))
        self.tokens = [token for token in found if token.sort not in ("comment", "space")]
        self._calls = list(self._found_calls())
        self.bound = frozenset(self._variable(call) for call in self._calls if self._variable(call))
        self.prepared = self._prepare()

    def place(self, name: str) -> int:
        """Where a name stands first, counted from 1."""
        return next((token.start + 1 for token in self.tokens if token.text == name), 1)

    def _found_calls(self) -> Iterator[Call]:
        for at, token in enumerate(self.tokens[:-2]):
            if token.text == "." and self.tokens[at + 1].sort == "name" and self.tokens[at + 2].text == "(":
                yield Call(self.tokens[at + 1].text, at, tuple(self._arguments(at + 3)))

    def _arguments(self, begin: int) -> Iterator[tuple[int, int]]:
        depth, first = 0, begin
        for at in range(begin, len(self.tokens)):
            text = self.tokens[at].text
            if depth == 0 and text in (*_CLOSING, ","):
                if at > first:
                    yield first, at
                if text != ",":
                    return
                first = at + 1
            elif self.tokens[at].sort == "sign":
                depth += (text in _OPENING) - (text in _CLOSING)

    def _variable(self, call: Call) -> str:
        """The name that a macro gives to what it looks at."""
        is_macro = call.name in LOOPS or self._binds(call)
        if not is_macro or len(call.arguments) < 2:
            return ""
        begin, end = call.arguments[0]
        token = self.tokens[begin]
        return token.text if end - begin == 1 and token.sort == "name" else ""

    def _binds(self, call: Call) -> bool:
        return call.name == "bind" and call.at > 0 and self.tokens[call.at - 1].text == "cel"

    def _prepare(self) -> str:
        words = [token.text for token in self.tokens]
        for at, token in enumerate(self.tokens):
            if token.sort == "name" and at and self.tokens[at - 1].text == "." and "__" in token.text:
                self._unescape(at, words)
        for call in reversed(self._calls):  # those inside of others first
            if self._variable(call):
                (self._unbind if self._binds(call) else self._count)(call, words)
            if sum(map(len, words)) > LONGEST:
                raise ValueError("so many loops inside of each other: not implemented by k8snb")
        return " ".join(words)

    def _count(self, call: Call, words: list[str]) -> None:
        """Count the steps of a loop. What `map` makes is made twice, the first time to see how big it is."""
        (first, end), (last, over) = call.arguments[1], call.arguments[-1]
        made, stop = " ".join(words[last:over]), f"{COLLECT}(null)"
        if call.name == "map" and len(call.arguments) == 2:
            words[first] = f"{STEP}() ? {COLLECT}({made}) : {stop}, {words[first]}"
            return
        before, after = f"{STEP}() && (", ")"
        if call.name == "filter":
            before, after = f"{COLLECT}({self._variable(call)}) ? (", ") : false"
        elif call.name == "map":
            before, after = f"{STEP}() ? ((", f") ? {COLLECT}({made}) : false) : {stop}"
        words[first] = before + words[first]
        words[end - 1] += after

    def _unbind(self, call: Call, words: list[str]) -> None:
        """`cel.bind(x, a, b)` is `[a].map(x, b)[0]`."""
        if len(call.arguments) != 3:
            return
        (name, _), (first, last), (begin, end) = call.arguments
        value, variable = " ".join(words[first:last]), words[name]
        for at in range(call.at - 1, begin):
            words[at] = ""
        words[call.at - 1] = f"[{value}].map({variable}, "
        words[end] += "[0]"

    def _unescape(self, at: int, words: list[str]) -> None:
        """`.__namespace__` is the field `namespace`, `.a__dash__b` the field `a-b`."""
        text = self.tokens[at].text
        keyword = _KEYWORD.fullmatch(text)
        if keyword is not None and keyword[1] not in _ESCAPES:
            words[at] = keyword[1]
            return
        plain = _ESCAPED.sub(lambda match: _ESCAPES[match[1]], text)
        if plain == text:
            return
        if self._tested(at):
            raise ValueError(f"has() of the escaped field name {text}: not implemented by k8snb")
        words[at - 1], words[at] = "", f'["{plain}"]'

    def _tested(self, at: int) -> bool:
        """Whether a field is the last of what `has()` asks for."""
        begin = at - 1
        while begin > 0 and (self.tokens[begin].text == "." or self.tokens[begin].sort == "name"):
            begin -= 1
        before = self.tokens[begin - 1].text if begin else ""
        return self.tokens[begin].text == "(" and before == "has" and self.tokens[at + 1].text == ")"
