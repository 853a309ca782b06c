"""Defaults: what `%kcluster config` keeps for this user, over all notebooks: the driver, the size of new clusters.

Interface: `Defaults(path)`: `get`, `set`, `unset`, `all`; `PROPERTIES`, what there is to set and how it is read.
The rule not to break: nothing is written but by `set` and `unset`, and a file that cannot be read is no default.
minikube keeps the same in `~/.minikube/config/config.json` (its directory: MINIKUBE_HOME).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from k8snb.apimachinery.quantity import to_bytes

RUNTIMES = ("auto", "docker", "process", "simulated")
NO_LIMIT = ("max", "no-limit")
_UNITS = {"": "Mi", "m": "Mi", "mb": "Mi", "g": "Gi", "gb": "Gi", "k": "Ki", "kb": "Ki"}


def runtime(text: str) -> str:
    """What runs containers. Raises ValueError."""
    if text not in RUNTIMES:
        raise ValueError(f'invalid runtime "{text}": one of {", ".join(RUNTIMES)}')
    return text


def nodes(text: str) -> str:
    if not text.lstrip("-").isdigit() or int(text) < 1:
        raise ValueError(f"invalid number of nodes {text}: a cluster has at least 1 beside its control plane")
    return text


def cpus(text: str) -> str:
    """A node's processors as a quantity; `max` is what the machine has. Raises ValueError."""
    if text in NO_LIMIT:
        return ""
    return _positive(text, text, "cpus", "a number such as 2, or max")


def memory(text: str) -> str:
    """A node's memory as a quantity, from minikube's `4g`, `4096mb` or `4096` (MiB), or `4Gi`. Raises ValueError."""
    if text in NO_LIMIT:
        return ""
    number = text.rstrip("bBkKmMgG")
    unit = _UNITS.get(text[len(number) :].lower())
    return _positive(text, f"{number}{unit}" if unit else text, "memory", "a size such as 4096mb, 4g or max")


def _positive(text: str, quantity: str, what: str, wanted: str) -> str:
    try:
        if to_bytes(quantity) > 0:
            return quantity
    except ValueError:
        pass
    raise ValueError(f'invalid {what} "{text}": {wanted}')


def profile(text: str) -> str:
    return text


def data_dir(text: str) -> str:
    return text


PROPERTIES: Mapping[str, Callable[[str], str]] = {
    "cpus": cpus, "data-dir": data_dir, "driver": runtime, "memory": memory, "nodes": nodes, "profile": profile,
}  # fmt: skip
SYNONYMS = {"runtime": "driver", "vm-driver": "driver"}


class Defaults:
    """Property → what was set, in the file `path`, by default below K8SNB_HOME or `~/.k8snb`."""

    def __init__(self, path: Path | None = None) -> None:
        home = os.environ.get("K8SNB_HOME") or Path.home() / ".k8snb"
        self.path = path or Path(home) / "config" / "config.json"

    def all(self) -> dict[str, str]:
        try:
            found = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return {}
        return {name: str(found[name]) for name in sorted(PROPERTIES) if name in found}

    def get(self, name: str) -> str:
        """What was set, "" for nothing. Raises ValueError for a property that is none."""
        return self.all().get(self._property(name), "")

    def set(self, name: str, value: str) -> None:
        """Raises ValueError for a property that is none, a value it cannot have, and where nothing can be written."""
        name = self._property(name)
        PROPERTIES[name](value)
        self._write({**self.all(), name: value})

    def unset(self, name: str) -> None:
        name = self._property(name)
        self._write({kept: value for kept, value in self.all().items() if kept != name})

    @property
    def cpus(self) -> str:
        return self._read("cpus")

    @property
    def memory(self) -> str:
        return self._read("memory")

    @property
    def nodes(self) -> int:
        return int(self._read("nodes") or 0)

    @property
    def runtime(self) -> str:
        """K8SNB_RUNTIME goes before what was set."""
        return "" if os.environ.get("K8SNB_RUNTIME") else self._read("driver")

    def data_dir(self, cluster: str) -> str:
        """Where a cluster is kept: each has a directory of its own in what was set, "" where nothing was."""
        text = self._read("data-dir")
        return str(Path(text) / cluster) if text else ""

    def _read(self, name: str) -> str:
        text = self.get(name)
        return PROPERTIES[name](text) if text else ""

    def _property(self, name: str) -> str:
        name = SYNONYMS.get(name, name)
        if name not in PROPERTIES:
            raise ValueError(f'property name "{name}" not found: there are {", ".join(sorted(PROPERTIES))}')
        return name

    def _write(self, values: dict[str, str]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(values, indent=4) + "\n")
        except OSError as error:
            raise ValueError(
                f"cannot write {self.path}: {error.strerror}: set K8SNB_HOME to a directory of yours"
            ) from None
