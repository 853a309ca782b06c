"""What a program knows of the pod it runs in: its address, its ports, and the names of the cluster.

Interface: `listen` for servers; `resolve` and `connect` for clients; `root` for paths of the container.
The rule not to break: the standard library only, and as little of it as will do: start-up time and memory are paid by
every container. All it knows comes from the environment that the process runtime made:
K8SNB_POD_IP, K8SNB_PORT_80=42080, K8SNB_DNS=ip:port, K8SNB_SEARCH, K8SNB_NDOTS, K8SNB_ROOT, and as files K8SNB_FORWARDS
and K8SNB_POD_PORTS.
In a real container the kernel's namespaces and /etc/resolv.conf say all this.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from socket import getaddrinfo

from k8snb.cri.images import dns

IP = os.environ.get("K8SNB_POD_IP", "127.0.0.1")
NAME = os.environ.get("HOSTNAME", "localhost")
TAG = os.environ.get("K8SNB_TAG", "latest")
NDOTS = int(os.environ.get("K8SNB_NDOTS", "5"))

_BIND_FAILURES = {
    errno.EADDRINUSE: "address already in use",
    errno.EACCES: "permission denied: an ordinary user may not open this port here; declare it in the manifest "
    "(ports: - containerPort) and k8snb maps it to another one",
}


def root(path: str) -> str:
    """Where a path of the container is found on this machine."""
    return os.environ.get("K8SNB_ROOT", "") + "/" + path.lstrip("/")


def port(number: int) -> int:
    """The port to open for what the pod calls `number`."""
    return int(os.environ.get(f"K8SNB_PORT_{number}", number))


def listen(number: int, program: str, *, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """A socket at the pod's address. Ends the program with exit code 1 where the port cannot be had."""
    server = socket.socket(socket.AF_INET, kind)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((IP, port(number)))
        if kind == socket.SOCK_STREAM:
            server.listen(128)
    except OSError as error:
        why = _BIND_FAILURES.get(error.errno or 0, str(error))
        print(f"{program}: [emerg] bind: {why} (0.0.0.0:{number})", file=sys.stderr, flush=True)
        raise SystemExit(1) from None
    return server


def resolve(name: str) -> list[str]:
    """The IPv4 addresses of a host name, by the rules of a pod's /etc/resolv.conf. Raises OSError."""
    if is_address(name):
        return [name]
    if name in ("localhost", NAME):
        return [IP if name == NAME else "127.0.0.1"]
    if name in (own := _host_names()):
        return [own[name]]
    server = dns_server()
    if server is None:
        return sorted({str(entry[4][0]) for entry in getaddrinfo(name, None, socket.AF_INET)})
    for candidate in candidates(name):
        addresses = [data for sort, data in dns.query(server, candidate, "A") if sort == "A"]
        if addresses:
            return addresses
    raise OSError(f"bad address '{name}'")


def _host_names() -> dict[str, str]:
    """The names in the pod's /etc/hosts; the first line that has one counts."""
    return {name: words[0] for words in reversed(_host_lines()) for name in words[1:] if is_address(words[0])}


def _host_lines() -> list[list[str]]:
    try:
        with open(root("/etc/hosts"), encoding="utf-8") as file:
            return [line.partition("#")[0].split() for line in file]
    except OSError:
        return []


def full_name() -> str:
    """The pod's name with its domain, as its /etc/hosts has it first; the name alone where it has no domain."""
    for words in _host_lines():
        if NAME in words[1:]:
            return words[1]
    return NAME


def candidates(name: str) -> list[str]:
    """The full names to ask for, in order: a name with few dots is first looked for in the search domains."""
    if name.endswith("."):
        return [name.rstrip(".")]
    searched = [f"{name}.{domain}" for domain in os.environ.get("K8SNB_SEARCH", "").split()]
    return [*searched, name] if name.count(".") < NDOTS else [name, *searched]


def dns_server() -> tuple[str, int] | None:
    """The cluster's name server, or None where the pod uses the machine's own."""
    text = os.environ.get("K8SNB_DNS", "")
    if not text:
        return None
    host, _, number = text.partition(":")
    return forwarded(host, int(number or 53))


def connect(host: str, number: int, timeout: float | None = None) -> socket.socket:
    """A TCP connection from the pod's address to a name or address of the cluster. Raises OSError."""
    failure = OSError(f"bad address '{host}'")
    for address in resolve(host):
        # localhost means this pod, which here has no loopback address beside its own.
        target = (IP, port(number)) if address == "127.0.0.1" else forwarded(address, number)
        try:
            return _connect(target, timeout)
        except OSError as error:
            failure = error
    raise failure


def forwarded(address: str, number: int) -> tuple[str, int]:
    """Where an address and port of the cluster are really found."""
    for variable in ("K8SNB_FORWARDS", "K8SNB_POD_PORTS"):
        target = _table(os.environ.get(variable, "")).get(f"{address}:{number}")
        if target:
            host, _, real = target.rpartition(":")
            return host, int(real)
    return address, number


def is_address(name: str) -> bool:
    parts = name.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


def _connect(target: tuple[str, int], timeout: float | None) -> socket.socket:
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    client.settimeout(timeout)
    try:
        if target[0].startswith("127."):
            client.bind((IP, 0))
        client.connect(target)
    except OSError:
        client.close()
        raise
    return client


def _table(path: str) -> dict[str, str]:
    """A file of forwards that somebody else keeps. Missing = empty."""
    if not path:
        return {}
    import json  # costs 5 ms, which programs that only listen do not pay

    try:
        with open(path, encoding="utf-8") as file:
            table: dict[str, str] = json.load(file)
            return table
    except (OSError, ValueError):
        return {}
