"""What the components of one process share: the connection, the clock, the pump, the dice.

Interface: `Context`. Upstream: `ControllerContext` in cmd/kube-controller-manager.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from k8snb.client.client import Client, Transport, User
from k8snb.clock import Clock
from k8snb.pump import Item
from k8snb.trace import Notes


@dataclass(frozen=True)
class Context:
    """Handed to every component when it is made; nothing in the cluster reaches for a global instead."""

    transport: Transport
    clock: Clock
    schedule: Callable[[Item], None]
    random: random.Random
    notes: Notes = field(default_factory=Notes)

    def client(self, user: str, *groups: str) -> Client:
        """A connection as one user."""
        return Client(self.transport, User(user, groups))
