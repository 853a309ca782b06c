"""dig: asks the cluster's name server for records, without the search domains."""

from __future__ import annotations

import sys

from k8snb.cri.images import dns, pod

FLAGS = ("+short", "+search", "+noall", "+answer")


def main(arguments: list[str]) -> int:
    server = pod.dns_server()
    flags = {word for word in arguments if word.startswith("+")}
    words = [word for word in arguments if not word.startswith("+")]
    sorts = [word.upper() for word in words if word.upper() in dns.TYPES]
    names = [word for word in words if word.upper() not in dns.TYPES]
    if flags - set(FLAGS) or len(names) != 1 or names[0].startswith(("-", "@")):
        usage = f"dig [{'] ['.join(FLAGS)}] NAME [TYPE]"
        print(f"dig: usage: {usage}; the rest is not implemented by k8snb", file=sys.stderr)
        return 1
    if server is None:
        print("dig: this pod has no name server of the cluster (dnsPolicy: Default)", file=sys.stderr)
        return 9
    return _ask(server, names[0], (sorts or ["A"])[0], flags)


def _ask(server: tuple[str, int], name: str, sort: str, flags: set[str]) -> int:
    try:
        for candidate in pod.candidates(name) if "+search" in flags else [name]:
            answers = dns.query(server, candidate, sort)
            if answers:
                break
    except OSError as error:
        print(f";; {error}", file=sys.stderr)
        return 9
    if "+short" not in flags:
        print(f";; QUESTION SECTION:\n;{candidate}.\tIN\t{sort}\n\n;; ANSWER SECTION:")
    for kind, data in answers:
        print(data if "+short" in flags else f"{candidate}.\tIN\t{kind}\t{data}")
    return 0
