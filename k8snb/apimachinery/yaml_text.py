"""YAML as Kubernetes' tools write it.

Interface: `to_yaml(value)`.
The rule not to break: what is written reads back as the same value, by every reader of YAML 1.1.
Source: `sigs.k8s.io/yaml`, which sorts keys, does not indent lists and quotes what could be taken for something else.
"""

from __future__ import annotations

from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """YAML in block style, without aliases, quoting as Kubernetes' tools do."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    tag = "tag:yaml.org,2002:str"
    if "\n" in text:
        return dumper.represent_scalar(tag, text, style="|")
    ambiguous = dumper.resolve(yaml.ScalarNode, text, (True, False)) != tag  # type: ignore[no-untyped-call]
    return dumper.represent_scalar(tag, text, style='"' if ambiguous or _like_a_number(text) else None)


def _like_a_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.lower() in ("y", "n", "")
    return True


_Dumper.add_representer(str, _string)


def to_yaml(value: Any) -> str:
    """A value as `kubectl get -o yaml` prints it: keys sorted, lists not indented."""
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=False, width=10**9, allow_unicode=True)
    return text
