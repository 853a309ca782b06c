"""Go's fmt: values that came from JSON as Go prints them.

Interface: `sprint`, `sprintln`, `sprintf(format, values)`, `text_of(value)`, `type_of(value)`.
The rule not to break: a whole number of an object is an int64, one that a template counts an int (`Int`); they compare
alike, and messages tell them apart.
Source: Go's `fmt` and `strconv`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from k8snb.apimachinery.go_numbers import float_text
from k8snb.printers.template_tokens import quoted


class Int(int):
    """A number that a template counts or names: Go's int."""


class Byte(int):
    """A byte of a string: Go's uint8."""


class Missing:
    """No value at all: Go's zero `reflect.Value`."""


MISSING = Missing()
_TYPES = {type(None): "<nil>", bool: "bool", float: "float64", int: "int64", Int: "int", Byte: "uint8",
          str: "string", list: "[]interface {}", dict: "map[string]interface {}"}  # fmt: skip


def type_of(value: Any) -> str:
    """The name of a value's type in Go."""
    return _TYPES[type(value)]


def text_of(value: Any) -> str:
    """A value as %v prints it."""
    return _plain(value, "v")


def sprint(values: Sequence[Any]) -> str:
    """The values, with a blank between two that are no strings."""
    text = ""
    for place, value in enumerate(values):
        if place and not isinstance(value, str) and not isinstance(values[place - 1], str):
            text += " "
        text += text_of(value)
    return text


def sprintln(values: Sequence[Any]) -> str:
    return " ".join(map(text_of, values)) + "\n"


# one value, one verb


def _plain(value: Any, verb: str, flags: str = "", precision: int | None = None) -> str:
    if isinstance(value, Mapping):
        return _map(value, verb, flags, precision)
    if isinstance(value, list):
        return _list(value, verb, flags, precision)
    formats = _VERBS.get(type(value), {})
    if verb not in formats:
        return "<nil>" if value is None and verb == "v" else _bad(value, verb)
    return formats[verb](value, flags, precision)


def _bad(value: Any, verb: str) -> str:
    return f"%!{verb}(<nil>)" if value is None else f"%!{verb}({type_of(value)}={text_of(value)})"


def _map(value: Mapping[str, Any], verb: str, flags: str, precision: int | None) -> str:
    inner = [
        (_plain(key, verb, flags, precision), _nested(value[key], verb, flags, precision)) for key in sorted(value)
    ]
    if "#" in flags and verb == "v":
        return "map[string]interface {}{" + ", ".join(f"{key}:{entry}" for key, entry in inner) + "}"
    return "map[" + " ".join(f"{key}:{entry}" for key, entry in inner) + "]"


def _list(value: Sequence[Any], verb: str, flags: str, precision: int | None) -> str:
    inner = [_nested(entry, verb, flags, precision) for entry in value]
    if "#" in flags and verb == "v":
        return "[]interface {}{" + ", ".join(inner) + "}"
    return "[" + " ".join(inner) + "]"


def _nested(value: Any, verb: str, flags: str, precision: int | None) -> str:
    if value is None:
        return "interface {}(nil)" if "#" in flags and verb == "v" else "<nil>"
    return _plain(value, verb, flags, precision)


Form = Callable[[Any, str, int | None], str]


def _string(value: str, flags: str, precision: int | None) -> str:
    return value if precision is None else value[:precision]


def _quoted(value: str, flags: str, precision: int | None) -> str:
    text = _string(value, flags, precision)
    if "+" in flags:
        return quoted(text, ascii_only=True)
    return f"`{text}`" if "#" in flags and "`" not in text and text.isprintable() else quoted(text)


def _hex(upper: bool) -> Form:
    def form(value: str, flags: str, precision: int | None) -> str:
        data = value.encode()[:precision]
        text = data.hex(" ") if " " in flags else data.hex()
        text = "0x" + (text.replace(" ", " 0x") if " " in flags else text) if "#" in flags and text else text
        return text.upper() if upper else text

    return form


def _whole(base: str, prefix: str = "") -> Form:
    def form(value: int, flags: str, precision: int | None) -> str:
        digits = f"{abs(value):{base}}".rjust(precision or 0, "0")
        sign = "-" if value < 0 else "+" if "+" in flags else " " if " " in flags else ""
        return sign + (prefix if "#" in flags else "") + digits

    return form


def _real(verb: str) -> Form:
    def form(value: float, flags: str, precision: int | None) -> str:
        default = 6 if verb in "eEfF" and precision is None else precision
        text = float_text(value, verb, default)
        if verb in "EG":
            text = text.upper()
        sign = "" if text[:1] in "+-" else "+" if "+" in flags else " " if " " in flags else ""
        return sign + text

    return form


def _rune(value: int, flags: str, precision: int | None) -> str:
    return chr(value) if 0 <= value < 0x110000 else "\ufffd"


def _quoted_rune(value: int, flags: str, precision: int | None) -> str:
    return "'" + quoted(_rune(value, flags, precision))[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"


def _code_point(value: int, flags: str, precision: int | None) -> str:
    return f"U+{value:04X}" + (f" '{chr(value)}'" if "#" in flags else "")


def _truth(value: bool, flags: str, precision: int | None) -> str:
    return "true" if value else "false"


_STRING: Mapping[str, Form] = {
    "v": lambda value, flags, precision: (_quoted if "#" in flags else _string)(value, flags.replace("#", ""), None),
    "s": _string, "q": _quoted, "x": _hex(False), "X": _hex(True),
}  # fmt: skip
_WHOLE: Mapping[str, Form] = {
    "v": _whole("d"), "d": _whole("d"), "b": _whole("b", "0b"), "o": _whole("o", "0"), "O": _whole("o", ""),
    "x": _whole("x", "0x"), "X": _whole("X", "0X"), "c": _rune, "q": _quoted_rune, "U": _code_point,
}  # fmt: skip
_REAL: Mapping[str, Form] = {verb: _real(verb) for verb in "eEfFgG"} | {"v": _real("g")}
_VERBS: Mapping[type, Mapping[str, Form]] = {
    str: _STRING, int: _WHOLE, Int: _WHOLE, Byte: _WHOLE, float: _REAL, bool: {"v": _truth, "t": _truth},
}  # fmt: skip

_DIRECTIVE = re.compile(
    r"%(?P<flags>[-+# 0]*)(?P<width>\*|\d+)?(?:\.(?P<precision>\*|\d*))?(?:\[(?P<place>\d+)\])?(?P<verb>.)?", re.DOTALL
)


def sprintf(format: str, values: Sequence[Any]) -> str:
    """The format with its directives filled in; what does not fit is said in the text, as Go does."""
    left = list(values)
    pieces, place, chosen = [], 0, False
    for match in _DIRECTIVE.finditer(format):
        if match["place"]:
            chosen, left = True, list(values[max(int(match["place"]) - 1, 0) :])
        pieces += [format[place : match.start()], _directive(match, left)]
        place = match.end()
    text = "".join([*pieces, format[place:]])
    if left and not chosen:
        extra = ", ".join("<nil>" if value is None else f"{type_of(value)}={text_of(value)}" for value in left)
        text += f"%!(EXTRA {extra})"
    return text


def _directive(match: re.Match[str], left: list[Any]) -> str:
    flags, before = match["flags"], ""
    width, precision = _star(match["width"], left), _star(match["precision"], left)
    if isinstance(width, str):
        before, width = "%!(BADWIDTH)", None
    if isinstance(precision, str):
        before, precision = before + "%!(BADPREC)", None
    if width is not None and width < 0:
        flags, width = flags + "-", -width
    verb = match["verb"]
    if verb is None:
        return before + "%!(NOVERB)"
    if verb == "%":
        return before + "%"
    if not left:
        return f"{before}%!{verb}({'BADINDEX' if match['place'] else 'MISSING'})"
    return before + _padded(_one(left.pop(0), verb, flags, precision), width, flags)


def _star(text: str | None, left: list[Any]) -> int | str | None:
    """A width or precision: a number, the next value, or a text where that is no number."""
    if text is None:
        return None
    if text != "*":
        return int(text or 0)
    value = left.pop(0) if left else None
    return value if isinstance(value, int) and not isinstance(value, bool) else "bad"


def _one(value: Any, verb: str, flags: str, precision: int | None) -> str:
    if verb == "T":
        return type_of(value)
    return _plain(value, verb, flags, precision)


def _padded(text: str, width: int | None, flags: str) -> str:
    if width is None or len(text) >= width:
        return text
    if "-" in flags:
        return text.ljust(width)
    if "0" not in flags:
        return text.rjust(width)
    sign = text[:1] if text[:1] in "+-" else ""
    return sign + text[len(sign) :].rjust(width - len(sign), "0")
