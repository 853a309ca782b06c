"""What Python programs in a pod find changed: sockets know the pod's address, its ports and the cluster's names.

Interface: imported by Python itself at the start, because `python.py` puts this folder on PYTHONPATH.
The rule not to break: the program's own `import k8snb` is left alone.
"""

from __future__ import annotations

import os
import socket
import sys
from types import ModuleType
from typing import Any

NAMES = ("k8snb", "k8snb.cri", "k8snb.cri.images")
WILDCARDS = ("", "0.0.0.0", "localhost", "127.0.0.1")


def load() -> Any:
    """The module `pod`, without the packages around it."""
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    for name, place in zip(NAMES, ("../..", "..", "."), strict=True):
        package = ModuleType(name)
        package.__path__ = [os.path.normpath(os.path.join(folder, place))]
        sys.modules[name] = package
    from k8snb.cri.images import pod

    for name in [name for name in sys.modules if name.partition(".")[0] == "k8snb"]:
        del sys.modules[name]
    return pod


def install(pod: Any) -> None:
    """Replace what a program asks the operating system for by what the pod would answer."""
    look_up = socket.getaddrinfo

    class PodSocket(socket.socket):
        def bind(self, address: Any) -> None:
            if self.family == socket.AF_INET and address[0] in WILDCARDS:
                address = (pod.IP, pod.port(address[1]))
            super().bind(address)

        def connect(self, address: Any) -> None:
            super().connect(_target(self, address))

        def connect_ex(self, address: Any) -> int:
            code: int = super().connect_ex(_target(self, address))
            return code

    def _target(sock: socket.socket, address: Any) -> Any:
        if sock.family != socket.AF_INET:
            return address
        host, number = pod.resolve(address[0])[0], address[1]
        return (pod.IP, pod.port(number)) if host == "127.0.0.1" else pod.forwarded(host, number)

    def getaddrinfo(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
        if isinstance(host, str) and host and ":" not in host:
            try:
                host = pod.resolve(host)[0]
            except OSError as error:
                raise socket.gaierror(socket.EAI_NONAME, str(error)) from None
        return look_up(host, port, *rest, **named)

    socket.socket = PodSocket  # type: ignore[misc]
    socket.getaddrinfo = getaddrinfo
    socket.gethostname = lambda: pod.NAME


if os.environ.get("K8SNB_POD_IP"):
    install(load())
