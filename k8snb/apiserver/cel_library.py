"""kube-apiserver's CEL library: Kubernetes' additions to the language: quantities, addresses, URLs, versions, texts.

Interface: `FUNCTIONS`, a table from a function's name to what it does; `named(value)` names a value's type.
The rule not to break: a value of a type of ours is a map with one mark that no object has, because the language's
library knows no types but its own; two of them that mean the same are equal.
Source: `apiserver/pkg/cel/library/{quantity,ip,cidr,urls,regex,lists,semverlib,format,authz}.go`, cel-go `ext/strings`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

from k8snb.apimachinery import names, quantity

MARK = "k8snb.io/cel-type"
MAX_BACKTRACKING = 10_000_000  # steps that a search for a pattern may take at worst
Value = dict[str, Any]


def marked(sort: str, **fields: Any) -> Value:
    return {MARK: sort, **fields}


def named(value: Any) -> str:
    """`quantity`, `ip`, …; "" for a value that is not one of ours."""
    return str(value.get(MARK, "")) if isinstance(value, dict) else ""


def _needs(value: Any, *sorts: str) -> Value:
    if named(value) not in sorts:
        raise ValueError("no such overload")
    found: Value = value
    return found


def _holds(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return check


# quantities and versions, which are compared by the same functions


def _quantity(text: str) -> Value:
    if not isinstance(text, str):
        raise ValueError("no such overload")
    try:
        found = quantity.parse(text)
    except ValueError:
        raise ValueError("quantities must match the regular expression "
                         "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'") from None  # fmt: skip
    return marked("quantity", nanos=str(found.nanos))


def _nanos(value: Any) -> int:
    return int(_needs(value, "quantity")["nanos"])


def _sum(value: Any, other: Any, sign: int) -> Value:
    more = _nanos(other) if isinstance(other, dict) else other * 10**9
    return marked("quantity", nanos=str(_nanos(value) + sign * more))


_SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z.-]+))?(?:\+([0-9A-Za-z.-]+))?")


def _semver(text: str, normalize: bool = False) -> Value:
    if normalize:
        parts = [*text.removeprefix("v").split("."), "0", "0"][:3]
        text = ".".join(part.lstrip("0") or "0" if part.isdigit() else part for part in parts)
    match = _SEMVER.fullmatch(text)
    if match is None:
        raise ValueError("No Major.Minor.Patch elements found")
    return marked("semver", numbers=[int(match[1]), int(match[2]), int(match[3])], pre=match[4] or "")


def _rank(value: Any) -> Any:
    """What quantities and versions are ordered by."""
    if _needs(value, "quantity", "semver")[MARK] == "quantity":
        return _nanos(value)
    pre = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in value["pre"].split(".")]
    return value["numbers"], not value["pre"], pre


def _compare(value: Any, other: Any) -> int:
    left, right = _rank(value), _rank(other)
    return int(left > right) - int(left < right)


# addresses


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(text)
    if isinstance(found, ipaddress.IPv6Address) and (found.scope_id or found.ipv4_mapped):
        raise ValueError(f'IP Address "{text}" is not allowed: it has a zone or is an IPv4-mapped IPv6 address')
    return found


def _network(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    if "/" not in text:
        raise ValueError(f'network address parse error during conversion from string: "{text}" has no prefix length')
    return ipaddress.ip_interface(text)


def _ip(value: Any) -> Value:
    """An address, or the address in a network."""
    if named(value) == "cidr":
        return marked("ip", text=str(_network(value["text"]).ip))
    try:
        return marked("ip", text=str(_address(value)))
    except ValueError:
        raise ValueError(f'IP Address "{value}" parse error during conversion from string') from None


def _cidr(text: str) -> Value:
    try:
        return marked("cidr", text=str(_network(text)))
    except ValueError:
        raise ValueError(f'network address parse error during conversion from string: "{text}"') from None


def _is(attribute: str) -> Callable[[Any], bool]:
    return lambda value: bool(getattr(_address(_needs(value, "ip")["text"]), attribute))


def _contains_ip(network: Any, other: Any) -> bool:
    text = other if isinstance(other, str) else _needs(other, "ip")["text"]
    return _address(text) in _network(_needs(network, "cidr")["text"]).network


def _contains_cidr(network: Any, other: Any) -> bool:
    text = other if isinstance(other, str) else _needs(other, "cidr")["text"]
    inner, outer = _network(text).network, _network(_needs(network, "cidr")["text"]).network
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


# URLs


def _url(text: str) -> Value:
    parts = urlsplit(text)
    if not (parts.scheme or text.startswith("/")):
        raise ValueError(f'URL parse error during conversion from string: parse "{text}": invalid URI for request')
    return marked("url", text=text)


def _of_url(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: read(urlsplit(_needs(value, "url")["text"]))


# texts


def _find(text: str, pattern: str) -> str:
    found = _safe(pattern, text).search(text)
    return found[0] if found else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [match[0] for match in _safe(pattern, text).finditer(text)]
    return found if limit < 0 else found[:limit]


def _safe(pattern: str, text: str) -> re.Pattern[str]:
    """A pattern whose search ends in time: Python's engine tries again where upstream's does not."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"error parsing regexp: {error}") from None
    repeats = _repeats(re._parser.parse(pattern))  # type: ignore[attr-defined]
    if (len(text) + 1) ** (repeats + 1) > MAX_BACKTRACKING:
        raise ValueError("operation cancelled: actual cost limit exceeded")
    return compiled


def _repeats(parsed: Any) -> int:
    """How many parts of a pattern may repeat without end. Raises ValueError for a choice inside of one."""
    count = 0
    for operation, argument in parsed:
        name = str(operation)
        if name in ("MAX_REPEAT", "MIN_REPEAT") and argument[1] > 8:
            if not _is_simple(argument[2]):
                raise ValueError("find with a choice or a repetition inside a repetition: not implemented by k8snb")
            count += 1
        else:
            count += sum(_repeats(part) for part in _inner(argument))
    return count


def _is_simple(parsed: Any) -> bool:
    for operation, argument in parsed:
        if str(operation) in ("MAX_REPEAT", "MIN_REPEAT", "BRANCH") or not all(map(_is_simple, _inner(argument))):
            return False
    return True


def _inner(argument: Any) -> list[Any]:
    """The patterns inside of a pattern's part."""
    parts = argument if isinstance(argument, tuple | list) else ()
    found = []
    for part in parts:
        if type(part).__name__ == "SubPattern":
            found.append(part)
        elif isinstance(part, list):
            found += [each for each in part if type(each).__name__ == "SubPattern"]
    return found


_VERB = re.compile(r"%(?:\.(\d+))?([a-zA-Z%])")
_BASES = {"b": "b", "o": "o", "x": "x", "X": "X"}


def _format(text: str, arguments: Sequence[Any]) -> str:
    waiting = iter(arguments)

    def put(match: re.Match[str]) -> str:
        digits, verb = match[1] or "6", match[2]
        if verb == "%":
            return "%"
        value: Any = next(waiting, None)
        if verb == "s":
            return _shown(value)
        if verb == "d" or verb in _BASES:
            return format(int(value), _BASES.get(verb, "d")) if not isinstance(value, str) else value.encode().hex()
        if verb in ("f", "e"):
            return format(float(value), f".{digits}{verb}")
        raise ValueError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"')

    return _VERB.sub(put, text)


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_shown(key)}: {_shown(each)}" for key, each in sorted(value.items())) + "}"
    return str(value)


# lists


def _index_of(items: Any, wanted: Any) -> int:
    if isinstance(items, str):
        return items.find(wanted)
    return next((place for place, each in enumerate(items) if each == wanted), -1)


def _last_index_of(items: Any, wanted: Any) -> int:
    if isinstance(items, str):
        return items.rfind(wanted)
    return max((place for place, each in enumerate(items) if each == wanted), default=-1)


# formats


_FORMATS: Mapping[str, Callable[[str], list[str]]] = {
    "dns1123Label": names.dns_label,
    "dns1123Subdomain": names.dns_subdomain,
    "dns1035Label": names.dns_1035_label,
    "qualifiedName": names.qualified_name,
    "labelValue": names.label_value,
}


def _format_named(name: str) -> Value:
    if name not in _FORMATS:
        raise ValueError(f"the format {name}: not implemented by k8snb")
    return marked("format", name=name)


def _validate(form: Any, text: str) -> Any:
    """What is wrong, as an optional list: `hasValue()`, `value()`."""
    from cel import OptionalValue

    found = _FORMATS[_needs(form, "format")["name"]](text)
    return OptionalValue.of(found) if found else OptionalValue.none()


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "quantity": _quantity,
    "isQuantity": _holds(_quantity),
    "sign": lambda value: (_nanos(value) > 0) - (_nanos(value) < 0),
    "add": lambda value, other: _sum(value, other, 1),
    "sub": lambda value, other: _sum(value, other, -1),
    "isInteger": lambda value: _nanos(value) % 10**9 == 0,
    "asInteger": lambda value: _nanos(value) // 10**9,
    "asApproximateFloat": lambda value: _nanos(value) / 1e9,
    "compareTo": _compare,
    "isLessThan": lambda value, other: _compare(value, other) < 0,
    "isGreaterThan": lambda value, other: _compare(value, other) > 0,
    "semver": _semver,
    "isSemver": _holds(_semver),
    "major": lambda value: _needs(value, "semver")["numbers"][0],
    "minor": lambda value: _needs(value, "semver")["numbers"][1],
    "patch": lambda value: _needs(value, "semver")["numbers"][2],
    "ip": _ip,
    "isIP": _holds(_address),
    "ip.isCanonical": lambda text: str(_address(text)) == text,
    "family": lambda value: _address(_needs(value, "ip")["text"]).version,
    "isUnspecified": _is("is_unspecified"),
    "isLoopback": _is("is_loopback"),
    "isLinkLocalMulticast": lambda value: str(_needs(value, "ip")["text"]).startswith(("224.0.0.", "ff02:")),
    "isLinkLocalUnicast": _is("is_link_local"),
    "isGlobalUnicast": lambda value: (
        not any(_is(word)(value) for word in ("is_unspecified", "is_loopback", "is_multicast", "is_link_local"))
    ),
    "cidr": _cidr,
    "isCIDR": _holds(_network),
    "containsIP": _contains_ip,
    "containsCIDR": _contains_cidr,
    "masked": lambda value: _cidr(str(_network(_needs(value, "cidr")["text"]).network)),
    "prefixLength": lambda value: _network(_needs(value, "cidr")["text"]).network.prefixlen,
    "url": _url,
    "isURL": _holds(_url),
    "getScheme": _of_url(lambda parts: parts.scheme),
    "getHost": _of_url(lambda parts: parts.netloc.rpartition("@")[2]),
    "getHostname": _of_url(lambda parts: parts.hostname or ""),
    "getPort": _of_url(lambda parts: str(parts.port or "")),
    "getEscapedPath": _of_url(lambda parts: parts.path),
    "getQuery": _of_url(lambda parts: parse_qs(parts.query, keep_blank_values=True)),
    "find": _find,
    "findAll": _find_all,
    "format": _format,
    "isSorted": lambda items: all(first <= second for first, second in pairwise(items)),
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "sum": lambda items: sum(items) if items else 0,
    "format.named": _format_named,
    **{f"format.{name}": (lambda name=name: _format_named(name)) for name in _FORMATS},
    "validate": _validate,
}
