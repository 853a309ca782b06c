"""hostname: the pod's name, or with -i its address."""

from __future__ import annotations

from k8snb.cri.images import options, pod


def main(arguments: list[str]) -> int:
    known = {"-i": "address", "-I": "address", "-f": "full", "-s": "short"}
    parsed = options.parse("hostname", arguments, known)
    if parsed.words:
        options.refuse("hostname", "you must be root to change the host name")
    print(pod.IP if parsed.has("address") else pod.NAME)
    return 0
