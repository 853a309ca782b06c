"""YAML as Kubernetes' tools write it.

Interface: `to_yaml(value)`.
The rule not to break: it is what kubectl prints, byte for byte, and reads back as the same value wherever manifests are
read.
Source: `sigs.k8s.io/yaml` and goyaml.v2, which sort keys, do not indent lists, fold what is longer than 80 characters
and quote what could be taken for something else than a string.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cmp_to_key
from typing import Any

import yaml

from k8snb.apimachinery.go_numbers import float_text

_WIDTH = 80
_END = "...\n"  # what libyaml ends a document with whose last text keeps its blank lines, and Go does not
# What goyaml.v2 would read as something else than a string: such a text stands in quotes.
_NO_STRING = re.compile(
    r"|~|null|Null|NULL|y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF"
    r"|[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    r"|[-+]?0(?:b[01_]+|o[0-7_]+|x[0-9a-fA-F_]+)|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(?:\.[0-9]*)?.*)?"
)
_DIGITS = re.compile(r"[0-9]*")


# Go's writer is made after libyaml's, which is many times faster than PyYAML's own.
_BASE: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_BASE):  # type: ignore[misc]
    """YAML in block style, without aliases. What stands in quotes is decided below, not by PyYAML."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else '"' if _NO_STRING.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _plain(show: Callable[[Any], str]) -> Callable[[yaml.SafeDumper, Any], yaml.ScalarNode]:
    return lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:str", show(value))


def _float(value: float) -> str:
    if math.isfinite(value):
        return float_text(value)
    return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"


def _mapping(dumper: yaml.SafeDumper, value: dict[str, Any]) -> yaml.MappingNode:
    keys = sorted(value) if all(map(str.isalpha, value)) else sorted(value, key=cmp_to_key(_compare))
    return dumper.represent_mapping("tag:yaml.org,2002:map", [(key, value[key]) for key in keys])


def _compare(one: str, other: str) -> int:
    """goyaml.v2's order of keys: letters after all else, runs of digits as numbers."""
    place = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    if place is None:
        return len(one) - len(other)
    left, right = one[place], other[place]
    if left.isalpha() != right.isalpha():
        return 1 if left.isalpha() else -1
    if left.isalpha():
        return -1 if left < right else 1
    return -1 if _number_at(one, place, right) < _number_at(other, place, left) else 1


def _number_at(text: str, place: int, facing: str) -> tuple[int, int, str]:
    """What a text weighs from the place on where it parts from another."""
    match = _DIGITS.match(text, place)
    digits = match[0] if match else ""
    inside = "0" in (text[place], facing) and re.search(r"[1-9][0-9]*$", text[:place]) is not None
    return int(f"{'1' if inside else ''}{digits}" or 0), len(digits), text[place]


_Dumper.add_representer(str, _string)
_Dumper.add_representer(dict, _mapping)
_Dumper.add_representer(float, _plain(_float))
_Dumper.add_representer(int, _plain(str))
_Dumper.add_representer(bool, _plain(lambda value: "true" if value else "false"))
_Dumper.add_representer(type(None), _plain(lambda value: "null"))


def to_yaml(value: Any) -> str:
    """A value as `kubectl get -o yaml` prints it: keys sorted, lists not indented."""
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=False, width=_WIDTH, allow_unicode=True,
                          sort_keys=False)  # fmt: skip
    return text.removesuffix(_END) if text.endswith(f"\n{_END}") else text
