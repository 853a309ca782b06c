"""hostname: the pod's name; -f adds its domain, -s leaves out what follows a dot, -i says its address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from k8snb.cri.images import options, pod

SAYS: Mapping[str, Callable[[], str]] = MappingProxyType({
    "address": lambda: pod.IP, "full": pod.full_name, "short": lambda: pod.NAME.partition(".")[0],
})  # fmt: skip


def main(arguments: list[str]) -> int:
    known = {"-i": "address", "-I": "address", "-f": "full", "-s": "short"}
    parsed = options.parse("hostname", arguments, known)
    if parsed.words:
        options.refuse("hostname", "you must be root to change the host name")
    print(next((says() for word, says in SAYS.items() if parsed.has(word)), pod.NAME))
    return 0
