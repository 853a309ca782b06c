"""The trace: who did what at which revision, caused by what.

Interface: `Origin`, handed down with every write and kept by the store beside the revision it made; `Notes`, what the
item of work that runs takes up and reads.
The rule not to break: history is derived from the store's log; nothing else keeps books. Notes are taken of one item,
while somebody looks, and forgotten with the next.
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


class Notes:
    """What the item of work that runs is about, while somebody looks at it step by step.

    `key` is what a part took up, `cause` the revision that had queued it (0: a timer, its runtime, or itself), `reads`
    what it looked up in its caches: {resource: {key: the object, or None where there was none}}.
    """

    __slots__ = ("cause", "key", "looking", "reads")

    def __init__(self) -> None:
        self.looking = False
        self.begin()

    def begin(self) -> None:
        """Another item begins."""
        self.key, self.cause = "", 0
        self.reads: dict[str, dict[str, dict[str, Any] | None]] = {}

    def takes_up(self, key: str, cause: int) -> None:
        self.key, self.cause = key, cause

    def read(self, resource: str, key: str, obj: dict[str, Any] | None) -> None:
        self.reads.setdefault(resource, {})[key] = obj
