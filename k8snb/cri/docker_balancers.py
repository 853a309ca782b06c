"""Load balancers' addresses of a cluster on Docker: a small range that this host and the cluster's pods reach.

Interface: `open_range(keep)` takes one, and says how it is given back; None where this user may not.
The rule not to break: as for ClusterIPs, a range belongs to the cluster that holds its guard.
A cloud has public addresses here, which a router of its own leads to the load balancer.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from functools import partial

from k8snb.cri.docker_network import add_route, free_ranges
from k8snb.cri.janitor_program import guard, remove_route

RANGES = tuple(f"10.{second}.0.0/24" for second in range(112, 128))


def open_range(keep: Callable[[str], None]) -> tuple[str, Callable[[], None]] | None:
    """A range whose addresses are this host's, and what gives it back. `keep(cidr)` is told before it is used: it has
    to be given back whatever ends this process."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return None
    for cidr in free_ranges(RANGES):
        held = guard(cidr) if add_route(cidr) else None
        if held is not None:
            keep(cidr)
            return cidr, partial(_give_back, held, cidr)
    return None


def _give_back(held: socket.socket, cidr: str) -> None:
    held.close()
    remove_route(cidr)
