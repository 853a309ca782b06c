"""The trace: who did what at which revision, caused by what.

Interface: `Origin`, handed down with every write and kept by the store beside the revision it made.
The rule not to break: history is derived from the store's log; nothing else keeps books.
Real Kubernetes has audit logs, events and managedFields for parts of this.
"""

from __future__ import annotations

from typing import NamedTuple


class Origin(NamedTuple):
    """Who wrote (`actor`, a user name), with which API verb, because of which revision (0: nothing in the cluster)."""

    actor: str = "system:apiserver"
    verb: str = ""
    cause: int = 0
    time: float = 0.0


BOOT = Origin()
