"""kustomize, reading: YAML documents as the values that kustomize sees in them.

Interface: `read(text, source)`, plain values; `Files`, which reads files as far as that is allowed.
The rule not to break: a value is read as kustomize reads resources, which is YAML 1.2 with the numbers of 1.1: `yes` is
a word, `0o10` and `010` are 8.
Source: `kyaml/yaml` in the kustomize repository (go.yaml.in/yaml/v3).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from k8snb.kustomize.errors import KustomizeError

_TAG = "tag:yaml.org,2002:"
_LARGE = 2**63  # from here on a whole number is no int64


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with kustomize's idea of which plain words are not strings."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  filled below, as PyYAML wants it


def _int(text: str) -> int:
    digits = text.replace("_", "")
    body = digits.lstrip("+-").lower()
    if len(body) > 1 and body[0] == "0" and body.isdigit():
        return int(digits, 8)
    return int(digits, 0)


def _float(text: str) -> float:
    """The number; a whole one is written without a point afterwards."""
    body = text.replace("_", "").lower().lstrip("+-")
    if body in (".inf", ".nan"):
        raise KustomizeError(f"json: unsupported value: {text}")
    value = -float(body) if text.startswith("-") else float(body)
    return int(value) if value.is_integer() and abs(value) < _LARGE else value


def _day(text: str) -> str:
    """A date as the moment at which it begins: what comes of it in JSON."""
    return f"{text}T00:00:00Z"


_WORDS: tuple[tuple[str, str, str, Callable[[str], Any]], ...] = (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF", lambda text: text.lower() == "true"),
    ("null", r"~|null|Null|NULL|", "~nN", lambda text: None),
    ("int", r"[-+]?(?:0b[01_]+|0o[0-7_]+|0[0-7_]*|0x[0-9a-fA-F_]+|[1-9][0-9_]*)", "-+0123456789", _int),
    ("float", r"[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)"
              r"|\.(?:nan|NaN|NAN)", "-+0123456789.", _float),
    ("timestamp", r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "0123456789", _day),
    ("merge", r"<<", "<", lambda text: text),
)  # fmt: skip


def _constructor(convert: Callable[[str], Any]) -> Callable[[Any, yaml.ScalarNode], Any]:
    return lambda loader, node: convert(node.value)


for _name, _pattern, _first, _convert in _WORDS:
    _starts = [*_first, ""] if _name == "null" else list(_first)
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_pattern})$"), _starts)
    if _name != "merge":
        _Loader.add_constructor(_TAG + _name, _constructor(_convert))


def read(text: str, source: str) -> list[Any]:
    """The documents of a text, without those that are empty. Raises KustomizeError."""
    try:
        return [value for value in yaml.load_all(text, Loader=_Loader) if value is not None]
    except RecursionError:
        raise KustomizeError(f"MalformedYAMLError: the lists and maps of {source} go too deep") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error)
        raise KustomizeError(f"MalformedYAMLError: yaml: {line}{problem} in File: {source}") from None


Read = Callable[[str], bytes]


@dataclass(frozen=True)
class Files:
    """The files of kustomizations; unless `restricted` is off, those in or below their own directories alone."""

    restricted: bool = True

    def below(self, root: Path) -> Read:
        """How a kustomization's directory reads the files that it names."""
        return lambda name: self.read(root / name, root)

    def read(self, path: Path, root: Path) -> bytes:
        """What is in a file. Raises KustomizeError, also for one that may not be read."""
        whole = path.resolve()
        if self.restricted and not whole.is_relative_to(root.resolve()):
            raise KustomizeError(f"security; file '{whole}' is not in or below '{root.resolve()}'")
        try:
            return whole.read_bytes()
        except OSError as error:
            why = str(error.strerror).lower()
            raise KustomizeError(f"evalsymlink failure on '{whole}' : lstat {whole}: {why}") from None
