"""kube-apiserver's validation: what the rules of many kinds have in common.

Interface: `each`, `labels`, `not_negative`, `supported`, pure.
The rule not to break: a leaf; it knows no kind.
Source: `apimachinery/pkg/apis/meta/v1/validation`, `apimachinery/pkg/api/validation` in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from k8snb.apimachinery import names
from k8snb.apimachinery.errors import INVALID, FieldError
from k8snb.apimachinery.meta import Object, get_path

Errors = Iterator[FieldError]
IMMUTABLE = "field is immutable"
NEGATIVE = "must be greater than or equal to 0"


def each(path: str, value: object, complaints: list[str]) -> Errors:
    """One error for each complaint about a value."""
    for complaint in complaints:
        yield FieldError(path, INVALID, value, complaint)


def labels(found: Object | None, path: str) -> Errors:
    for key, value in (found or {}).items():
        yield from each(path, key, names.qualified_name(key))
        yield from each(path, value, names.label_value(value))


def not_negative(obj: Object, *paths: str) -> Errors:
    for path in paths:
        value = get_path(obj, path)
        if isinstance(value, int) and value < 0:
            yield FieldError(path, INVALID, value, NEGATIVE)


def supported(values: Iterable[str]) -> str:
    """The end of an Unsupported value's message."""
    return "supported values: " + ", ".join(f'"{value}"' for value in sorted(values))
