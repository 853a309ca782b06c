"""What the components of one process share: the connection, the clock, the pump, the dice.

Interface: `Context`. Upstream: `ControllerContext` in cmd/kube-controller-manager.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from k8snb.client.client import Client, Transport, User
from k8snb.clock import Clock
from k8snb.pump import Item


@dataclass(frozen=True)
class Context:
    """Handed to every component when it is made; nothing in the cluster reaches for a global instead."""

    transport: Transport
    clock: Clock
    schedule: Callable[[Item], None]
    random: random.Random

    def client(self, user: str, *groups: str) -> Client:
        """A connection as one user."""
        return Client(self.transport, User(user, groups))
