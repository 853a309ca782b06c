"""CoreDNS' place: the one resolver of a cluster on this machine.

Interface: `Resolvers(io)`: `serve(zone, address)`, `close()`.
The rule not to break: a resolver that is started again answers where the one before did: pods have its address.
Upstream runs two of them as a Deployment, behind a Service that never changes its address.
"""

from __future__ import annotations

from collections.abc import Callable

from k8snb.coredns.server import DNS_PORT, DnsServer
from k8snb.coredns.zone import Zone
from k8snb.ioloop import IoLoop

Permits = Callable[[str, str, int, str], bool]  # source, destination, port, protocol


class Resolvers:
    """The cluster's resolver on this machine. One that is started again answers where the one before did."""

    def __init__(self, io: IoLoop) -> None:
        self.permits: Permits = lambda source, destination, port, protocol: True
        self._io = io
        self._server: DnsServer | None = None
        self._spot: tuple[str, int] | None = None

    def serve(self, zone: Zone, address: str) -> str:
        """Answer at an address, or where that cannot be had, as near as possible: where that is."""
        server = DnsServer(self._io, zone, self._spot or (address, DNS_PORT))
        server.permits = lambda client, protocol: self.permits(client, address, DNS_PORT, protocol)
        server.start()
        self._server, self._spot = server, server.address
        ip, port = server.address
        return ip if port == DNS_PORT else f"{ip}:{port}"

    def close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
