"""The journal: what each component did, as lines of a log, read out of the store's history.

Interface: `read(records) -> [Entry]`; `Entry.line` is a line as klog writes one.
The rule not to break: nothing is written down for the journal; it tells what the revisions tell.
Real components write log files of their own, with much that is no change; what was refused is in the audit log.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from k8snb.apimachinery.meta import Object, get_path
from k8snb.etcd import Record

APISERVER, MANAGER, SCHEDULER, KUBELET = "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet"
OF_THEIR_OWN = ("coredns", "metrics-server", "storage-provisioner", "addon-manager", "kube-proxy")
_REGISTRY, _EVENTS, _LEASES = "/registry/", "/registry/events/", "/registry/coordination.k8s.io/leases/"
_ACCOUNT, _NODE = "system:serviceaccount:kube-system:", "system:node:"


class Entry(NamedTuple):
    """Something that a component did. `node` is "" for what has no node of its own; `warning` for what went wrong."""

    time: float
    component: str
    node: str
    revision: int
    text: str
    warning: bool = False

    @property
    def section(self) -> str:
        """`kubelet [node-1]`."""
        return f"{self.component} [{self.node}]" if self.node else self.component

    @property
    def line(self) -> str:
        moment = datetime.fromtimestamp(self.time, UTC).strftime("%m%d %H:%M:%S.%f")
        return f"{'W' if self.warning else 'I'}{moment}] {self.text}"


def read(records: Iterable[Record]) -> list[Entry]:
    """The entries of a stretch of history, oldest first. A node's heartbeats are no news."""
    return [_entry(record) for record in records if not record.key.startswith(_LEASES)]


def _entry(record: Record) -> Entry:
    actor = record.origin.actor
    component, node, who = _component(actor)
    if record.key.startswith(_EVENTS):
        text, warning = _event(record.value), record.value.get("type") == "Warning"
    else:
        text, warning = _change(record), False
    return Entry(record.origin.time, component, node, record.revision, f"{who}{text}", warning)


def _component(actor: str) -> tuple[str, str, str]:
    """Whose log a writer's doings belong to, on which node, and what the line begins with."""
    if actor.startswith(_NODE):
        return KUBELET, actor.removeprefix(_NODE), ""
    if actor.startswith(_ACCOUNT):
        account = actor.removeprefix(_ACCOUNT)
        return (account, "", "") if account in OF_THEIR_OWN else (MANAGER, "", f"{account}: ")
    if actor == "system:kube-scheduler":
        return SCHEDULER, "", ""
    return APISERVER, "", f'user="{actor}" '


def _change(record: Record) -> str:
    origin = record.origin
    because = f" cause={origin.cause}" if origin.cause else ""
    verb = origin.verb or ("delete" if record.sort == "DELETE" else "update" if record.previous else "create")
    return f'{verb} "{record.key.removeprefix(_REGISTRY)}" revision={record.revision}{because}'


def _event(event: Object) -> str:
    subject = event.get("involvedObject") or event.get("regarding") or {}
    name = "/".join(part for part in (subject.get("namespace"), subject.get("name")) if part)
    message = event.get("message") or event.get("note") or ""
    return (
        f'Event occurred object="{name}" kind="{get_path(subject, "kind", "")}" type="{event.get("type", "")}" '
        f'reason="{event.get("reason", "")}" message="{message}"'
    )
