"""Names: what may be the name of an object, a label, a port, an environment variable; and names made up by the server.

Interface: one function per rule; each returns complaints, none when the name is good. `generate_name(base, random)`.
The rule not to break: a complaint is one of upstream's sentences, so that a search for it finds the documentation.
Source: `apimachinery/pkg/util/validation/validation.go` in the kubernetes repository.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

# Without vowels and look-alikes: generated names spell no words.
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX, _BASE = 5, 58

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"


@dataclass(frozen=True)
class Rule:
    """A pattern, the greatest length, and the sentence for what does not match."""

    pattern: re.Pattern[str]
    length: int
    sentence: str
    examples: tuple[str, ...]

    def complaints(self, text: str) -> list[str]:
        found = [f"must be no more than {self.length} characters"] if len(text) > self.length else []
        if not self.pattern.fullmatch(text):
            examples = " or ".join(f"'{example}'" for example in self.examples)
            found.append(f"{self.sentence} (e.g. {examples})")
        return found


_DNS_LABEL = Rule(
    re.compile(_LABEL),
    63,
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character",
    ("my-name", "123-abc"),
)
_DNS_SUBDOMAIN = Rule(
    re.compile(rf"{_LABEL}(\.{_LABEL})*"),
    253,
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character",
    ("example.com",),
)
_DNS_1035 = Rule(
    re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?"),
    63,
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', "
    "start with an alphabetic character, and end with an alphanumeric character",
    ("my-name", "abc-123"),
)
_KEY_NAME = Rule(
    re.compile(_QUALIFIED),
    63,
    "name part must consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character",
    ("MyName", "my.name", "123-abc"),
)
_VALUE = Rule(
    re.compile(rf"({_QUALIFIED})?"),
    63,
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character",
    ("MyValue", "my_value", "12345"),
)
_ENV_VAR = Rule(
    re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*"),
    2**20,
    "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', "
    "and must not start with a digit",
    ("my.env-name", "MY_ENV.NAME", "MyEnvName1"),
)
_CONFIG_KEY = Rule(
    re.compile(r"[-._a-zA-Z0-9]+"),
    253,
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
    ("key.name", "KEY_NAME", "key-name"),
)


def dns_label(name: str) -> list[str]:
    """RFC 1123 label: namespaces, containers, volumes, host names."""
    return _DNS_LABEL.complaints(name)


def dns_subdomain(name: str) -> list[str]:
    """RFC 1123 subdomain: the names of most objects."""
    return _DNS_SUBDOMAIN.complaints(name)


def dns_1035_label(name: str) -> list[str]:
    """RFC 1035 label: the names of Services."""
    return _DNS_1035.complaints(name)


def qualified_name(key: str) -> list[str]:
    """The key of a label or annotation: `name` or `prefix.example.com/name`."""
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        return ["a qualified name must consist of a name part and an optional DNS subdomain prefix and '/' "
                "(e.g. 'example.com/MyName')"]  # fmt: skip
    found = [f"prefix part {text}" for text in _prefix(prefix)] if slash else []
    if not name:
        return [*found, "name part must be non-empty"]
    return found + [f"name part {text.removeprefix('name part ')}" for text in _KEY_NAME.complaints(name)]


def _prefix(prefix: str) -> list[str]:
    return dns_subdomain(prefix) if prefix else ["must be non-empty"]


def label_value(value: str) -> list[str]:
    """The value of a label; "" is one."""
    return _VALUE.complaints(value)


def env_var(name: str) -> list[str]:
    """The name of an environment variable."""
    return _ENV_VAR.complaints(name)


def config_key(key: str) -> list[str]:
    """A key in the data of a ConfigMap or Secret, which becomes a file name in a volume."""
    found = _CONFIG_KEY.complaints(key)
    if key in (".", "..") or key.startswith(".."):
        found.append(f"must not be '{key}'" if key in (".", "..") else "must not start with '..'")
    return found


def port_name(name: str) -> list[str]:
    """IANA_SVC_NAME: the name of a container's port."""
    checks = (
        (len(name) <= 15, "must be no more than 15 characters"),
        (re.fullmatch(r"[-a-z0-9]*", name), "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"),
        (re.search(r"[a-z]", name), "must contain at least one letter (a-z)"),
        ("--" not in name, "must not contain consecutive hyphens"),
        (name[:1] != "-" and name[-1:] != "-", "must not begin or end with a hyphen"),
    )
    return [text for good, text in checks if not good]


def port_number(port: int) -> list[str]:
    return [] if 1 <= port <= 65535 else ["must be between 1 and 65535, inclusive"]


def generate_name(base: str, random: Random) -> str:
    """A name for `metadata.generateName`: the base, cut to 58 characters, and five that `random` picks."""
    return base[:_BASE] + "".join(random.choices(ALPHABET, k=_SUFFIX))
