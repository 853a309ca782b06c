"""The trace: who did what at which revision, caused by what.

Interface: `Origin`, handed down with every write and kept by the store beside the revision it made.
The rule not to break: history is derived from the store's log; nothing else keeps books.
Real Kubernetes has audit logs, events and managedFields for parts of this.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from k8snb.apimachinery.managed_fields import Managers


class Origin(NamedTuple):
    """Who wrote (`actor`, a user name), with which API verb, because of which revision (0: nothing in the cluster).

    `manager` is the field manager's name, "" where the actor gives it; `sent` the object as it was before admission,
    None where admission changed nothing; `managed` who owns which fields from here on, None where that follows from
    the record and those before it.
    """

    actor: str = "system:apiserver"
    verb: str = ""
    cause: int = 0
    time: float = 0.0
    manager: str = ""
    sent: dict[str, Any] | None = None
    managed: Managers | None = None


BOOT = Origin()
