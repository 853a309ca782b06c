"""The real kubectls of this machine: the one on PATH and those that stand beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path


@cache
def found_kubectls() -> dict[str, Path]:
    """By version, such as 1.27; the oldest first."""
    first = shutil.which("kubectl")
    beside = sorted(Path(first).resolve().parent.glob("kubectl*")) if first else []
    found = {version: path for path in beside if (version := version_of(path))}
    return dict(sorted(found.items(), key=lambda pair: numbers(pair[0])))


def version_of(path: Path) -> str:
    """Such as 1.27; "" for what is no kubectl."""
    try:
        said = subprocess.run([path, "version", "--client", "-o", "json"], capture_output=True, text=True, timeout=20)
        version = json.loads(said.stdout)["clientVersion"]
    except (OSError, ValueError, KeyError):
        return ""
    return f"{version['major']}.{version['minor'].rstrip('+')}"


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
