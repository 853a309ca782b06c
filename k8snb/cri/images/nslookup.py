"""nslookup: asks the cluster's name server, as busybox's does."""

from __future__ import annotations

import socket
import sys

from k8snb.cri.images import dns, options, pod


def main(arguments: list[str]) -> int:
    parsed = options.parse("nslookup", arguments, {"-type=": "type", "-query=": "type", "-debug": "debug"})
    if not 1 <= len(parsed.words) <= 2:
        options.refuse("nslookup", "usage: nslookup [-type=A|SRV|…] NAME [SERVER]")
    name = parsed.words[0]
    server = (pod.resolve(parsed.words[1])[0], 53) if len(parsed.words) == 2 else pod.dns_server()
    if server is None:
        return _by_machine(name)
    print(f"Server:\t\t{server[0]}\nAddress:\t{server[0]}:{server[1]}\n", flush=True)
    sort = parsed.last("type", "PTR" if pod.is_address(name) else "A").upper()
    if sort not in dns.TYPES:
        options.refuse("nslookup", f"type {sort} is not implemented by k8snb")
    return _ask(server, name, sort)


def _ask(server: tuple[str, int], name: str, sort: str) -> int:
    names = [dns.reverse_name(name)] if pod.is_address(name) else pod.candidates(name)
    try:
        for candidate in names:
            answers = dns.query(server, candidate, sort)
            if answers:
                _show(candidate, answers)
                return 0
    except OSError as error:
        print(f";; {error}", file=sys.stderr)
        return 1
    print(f"** server can't find {name}: NXDOMAIN", file=sys.stderr)
    return 1


def _show(name: str, answers: list[tuple[str, str]]) -> None:
    for sort, data in answers:
        if sort in ("A", "AAAA"):
            print(f"Name:\t{name}\nAddress: {data}")
        else:
            print(f"{name}\t{'name' if sort == 'PTR' else sort.lower()} = {data}")


def _by_machine(name: str) -> int:
    """The pod has no name server of its own (dnsPolicy: Default)."""
    try:
        found = pod.resolve(name)
    except OSError as error:
        print(f"** can't find {name}: {error.strerror or error}", file=sys.stderr)
        return 1
    print("".join(f"Name:\t{socket.getfqdn(name)}\nAddress: {address}\n" for address in found), end="")
    return 0
