"""apiextensions-apiserver's formats: the strings that a schema may ask for by name.

Interface: `FORMATS`, from a format to whether a string has it; `NUMBERS`, the formats of numbers; `MISSING`, those
that real Kubernetes checks and k8snb does not.
The rule not to break: a format that nobody knows is not checked, as upstream; one that is known is never passed over.
Source: `kube-openapi/pkg/validation/strfmt`.
"""

from __future__ import annotations

import binascii
import ipaddress
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime
from types import MappingProxyType
from urllib.parse import urlsplit

from k8snb.apimachinery import names

NUMBERS = ("int32", "int64", "float", "double")
MISSING = ("isbn", "isbn10", "isbn13", "creditcard", "ssn", "hexcolor", "rgbcolor", "bsonobjectid", "mac")
_DURATION = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*|0")


def _reads(read: Callable[[str], object]) -> Callable[[str], bool]:
    """Whether a function takes a string without a ValueError."""

    def check(text: str) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return check


def _uri(text: str) -> bool:
    try:
        return bool(urlsplit(text).scheme) or text.startswith("/")
    except ValueError:
        return False


def _cidr(text: str) -> bool:
    return "/" in text and _reads(lambda found: ipaddress.ip_network(found, strict=False))(text)


def _date_time(text: str) -> bool:
    has_parts = "T" in text.upper() and _reads(datetime.fromisoformat)(text)
    return has_parts and datetime.fromisoformat(text).tzinfo is not None


def _uuid(version: int = 0) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        return _reads(uuid.UUID)(text) and (not version or uuid.UUID(text).version == version)

    return check


FORMATS: Mapping[str, Callable[[str], bool]] = MappingProxyType({
    "byte": _reads(lambda text: binascii.a2b_base64(text.encode(), strict_mode=True)),
    "cidr": _cidr,
    "date": lambda text: len(text) == len("2024-01-31") and _reads(date.fromisoformat)(text),
    "date-time": _date_time,
    "datetime": _date_time,
    "duration": lambda text: _DURATION.fullmatch(text) is not None,
    "email": lambda text: re.fullmatch(r"[^@\s]+@[^@\s]+", text) is not None,
    "hostname": lambda text: not names.dns_subdomain(text.lower()),
    "ipv4": _reads(ipaddress.IPv4Address),
    "ipv6": _reads(ipaddress.IPv6Address),
    "k8s-long-name": lambda text: not names.dns_subdomain(text),
    "k8s-short-name": lambda text: not names.dns_label(text),
    "password": lambda text: True,
    "uri": _uri,
    "uuid": _uuid(),
    "uuid3": _uuid(3),
    "uuid4": _uuid(4),
    "uuid5": _uuid(5),
})  # fmt: skip
