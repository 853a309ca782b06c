"""A forwarded port in a cell: `%kport_forward` answers at once, and the port stays open behind it.

Interface: `Forwarded(forwarding)`: `address`, `url`, `handled`, `stop()`.
The rule not to break: the port is closed with the cluster, whoever has forgotten it.
Real kubectl blocks its terminal until Ctrl-C.
"""

from __future__ import annotations

from k8snb.kubectl.forwarding import Forwarding
from k8snb.kubectl.proxy import Proxy
from k8snb.notebook.results import Result


class Forwarded(Result):
    """The answer to `port-forward`. `handled` has a line for each connection so far."""

    def __init__(self, forwarding: Forwarding | Proxy) -> None:
        super().__init__(forwarding)
        self._forwarding = forwarding
        ending = " or the pod's end" if isinstance(forwarding, Forwarding) else ""
        forwarding.hints = [*forwarding.hints, f"open {forwarding.url}; it stays until .stop(){ending}"]

    @property
    def address(self) -> str:
        """Where it listens, such as 127.0.0.1:8080."""
        return self._forwarding.address

    @property
    def url(self) -> str:
        return self._forwarding.url

    @property
    def handled(self) -> list[str]:
        return self._forwarding.handled

    def stop(self) -> None:
        """Close the port and its connections."""
        self._forwarding.stop()
