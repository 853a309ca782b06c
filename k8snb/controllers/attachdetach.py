"""persistentvolume-attach-detach-controller: asks CSI drivers to attach volumes to the nodes whose pods use them.

Interface: `AttachDetachController`; a key is a node's name. What is wanted are VolumeAttachments; who attaches is the
driver's external-attacher, which says so in their status.
The rule not to break: a volume for one node is not asked for on a second before the first has let it go, and none is
taken from a node that says it still uses it.
Source: `pkg/controller/volume/attachdetach`, `pkg/volume/csi/csi_attacher.go` in the kubernetes repository. Upstream
takes a volume by force from a node that has been silent for six minutes; that is not implemented by k8snb.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from k8snb.apimachinery.meta import (
    Object,
    get_path,
    is_deleting,
    key_of,
    name_of,
    namespace_of,
    revision_of,
)
from k8snb.apimachinery.storage import claim_keys, is_bound_to, is_fully_bound, modes_of
from k8snb.client.client import MERGE
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import NORMAL, WARNING
from k8snb.client.informer import Informers
from k8snb.clock import parse_timestamp
from k8snb.controllers.pods import NODE, is_terminal, node_of, nodes_of

CLAIM, VOLUME = "claim", "volume"
PATIENCE = 120.0  # seconds that an attachment may take before the pods are told
SHARED = {"ReadWriteMany", "ReadOnlyMany"}
EXCLUSIVE = "Volume is already exclusively attached to one node and can't be attached to another"


class Wanted(NamedTuple):
    """A volume that pods of a node use."""

    volume: Object
    pods: list[Object]


class AttachDetachController(Controller):
    name = "attachdetach-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self._told: dict[str, str] = {}  # an attachment's name → what was said of it last
        self.pods = informers.get("pods")
        self.pods.add_index(NODE, nodes_of, steady=True)
        self.pods.add_index(CLAIM, claim_keys, steady=True)
        self.pods.on_change(self._pod_changed)
        self.claims = informers.get("persistentvolumeclaims")
        self.claims.on_change(self._claim_changed)
        self.volumes = informers.get("persistentvolumes")
        self.drivers = informers.get("csidrivers")
        self.attachments = informers.get("volumeattachments")
        self.attachments.add_index(NODE, lambda each: [each["spec"]["nodeName"]])
        self.attachments.add_index(VOLUME, lambda each: [volume_of(each)])
        self.attachments.on_change(self._attachment_changed)
        self.nodes = informers.get("nodes")
        self.nodes.on_change(self._node_changed)

    # what makes a node worth a look

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old
        assert pod is not None
        if node_of(pod) and claim_keys(pod):
            self.queue.add(node_of(pod), revision_of(pod))

    def _claim_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and is_fully_bound(new) and not (old is not None and is_fully_bound(old)):
            for node in {node_of(pod) for pod in self.pods.by_index(CLAIM, key_of(new))} - {""}:
                self.queue.add(node, revision_of(new))

    def _attachment_changed(self, old: Object | None, new: Object | None) -> None:
        attachment = new or old
        assert attachment is not None
        self.queue.add(attachment["spec"]["nodeName"], revision_of(attachment))
        if new is None:  # what was exclusively attached there may be wanted elsewhere
            self._told.pop(name_of(attachment), None)
            for node in {node_of(pod) for pod in self._users(volume_of(attachment))} - {""}:
                self.queue.add(node, revision_of(attachment))

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        node = new or old
        assert node is not None
        if new is None or old is None or _in_use(old) != _in_use(new):
            self.enqueue(node)

    # the loop

    def sync(self, key: str) -> None:
        for informer in (self.pods, self.claims, self.volumes, self.attachments, self.nodes):
            informer.catch_up()
        node = self.nodes.by_key(key)
        wanted = {} if node is None else self._wanted(key)
        present = {name_of(each): each for each in self.attachments.by_index(NODE, key)}
        for name, each in wanted.items():
            if name in present:
                self._watch_over(key, each, present[name])
            else:
                self._attach(key, name, each)
        for name, attachment in present.items():
            if name not in wanted and _is_ours(attachment):
                self._detach(attachment, node)
        if node is not None:
            self._report(node, wanted, present)

    def subject(self, key: str) -> Object | None:
        return self.nodes.by_key(key)

    def _wanted(self, node: str) -> dict[str, Wanted]:
        """The attachments that a node's pods need, by name."""
        found: dict[str, Wanted] = {}
        for pod in self.pods.by_index(NODE, node):
            for volume in self._volumes_of(pod) if not is_terminal(pod) else ():
                found.setdefault(attachment_name(volume, node), Wanted(volume, [])).pods.append(pod)
        return found

    def _volumes_of(self, pod: Object) -> Iterator[Object]:
        """The volumes behind a pod's claims that have to be attached."""
        for key in claim_keys(pod):
            claim = self.claims.by_key(key)
            volume = self.volumes.get(claim["spec"]["volumeName"]) if claim and is_fully_bound(claim) else None
            if volume is not None and is_bound_to(volume, claim or {}) and self._is_attachable(volume):
                yield volume

    def _is_attachable(self, volume: Object) -> bool:
        """A CSI volume is attached, unless its driver says that it need not be."""
        name = get_path(volume, "spec.csi.driver")
        driver = self.drivers.get(name) if name else None
        return bool(name) and get_path(driver, "spec.attachRequired", True) is not False

    def _users(self, volume: str) -> Iterator[Object]:
        """The living pods that use a volume, wherever they are."""
        found = self.volumes.get(volume)
        reference = get_path(found, "spec.claimRef")
        if reference:
            for pod in self.pods.by_index(CLAIM, f"{reference.get('namespace', '')}/{reference.get('name', '')}"):
                if not is_terminal(pod):
                    yield pod

    # attach

    def _attach(self, node: str, name: str, wanted: Wanted) -> None:
        volume = wanted.volume
        elsewhere = list(self.attachments.by_index(VOLUME, name_of(volume)))
        if elsewhere and not SHARED & set(modes_of(volume)):
            for pod in wanted.pods:
                self._complain(f"{name} {key_of(pod)}", [pod], self._taken(volume, node, pod))
            return
        spec = {
            "attacher": volume["spec"]["csi"]["driver"],
            "nodeName": node,
            "source": {"persistentVolumeName": name_of(volume)},
        }
        body = {"apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment", "metadata": {"name": name}, "spec": spec}
        self.client.create("volumeattachments", body)
        self.queue.add_after(node, PATIENCE, background=True)

    def _taken(self, volume: Object, node: str, pod: Object) -> str:
        """Who has the volume that a pod wants, as far as the pod's owner may know."""
        others = [other for other in self._users(name_of(volume)) if node_of(other) not in ("", node)]
        near = sorted(name_of(other) for other in others if namespace_of(other) == namespace_of(pod))
        why = f"Volume is already used by pod(s) {', '.join(near)}" if near else EXCLUSIVE
        return f'Multi-Attach error for volume "{name_of(volume)}" {why}'

    def _watch_over(self, node: str, wanted: Wanted, attachment: Object) -> None:
        """Tell the pods when the driver fails, or does not answer."""
        if get_path(attachment, "status.attached"):
            return
        error = get_path(attachment, "status.attachError.message")
        since = self.clock.now() - parse_timestamp(attachment["metadata"]["creationTimestamp"])
        if error is None and since < PATIENCE:
            self.queue.add_after(node, PATIENCE - since, background=True)
            return
        source = wanted.volume["spec"]["csi"]
        silence = (
            f"timed out waiting for external-attacher of {source['driver']} CSI driver to attach volume "
            f"{source['volumeHandle']}"
        )
        message = f'AttachVolume.Attach failed for volume "{name_of(wanted.volume)}" : {error or silence}'
        self._complain(name_of(attachment), wanted.pods, message)

    def _complain(self, about: str, pods: list[Object], message: str) -> None:
        if self._told.get(about) != message:
            self._told[about] = message
            for pod in pods:
                self.events.event(pod, WARNING, "FailedAttachVolume", message)

    # detach

    def _detach(self, attachment: Object, node: Object | None) -> None:
        """No pod of the node needs the volume: once the kubelet has let go of it, the driver may take it away."""
        volume = self.volumes.get(volume_of(attachment))
        used = node is not None and volume is not None and unique_name(volume) in _in_use(node)
        if not used and not is_deleting(attachment):
            self.client.delete("volumeattachments", name_of(attachment))

    # what the kubelet goes by

    def _report(self, node: Object, wanted: dict[str, Wanted], present: dict[str, Object]) -> None:
        """`status.volumesAttached` of the node: what its kubelet may mount."""
        attached = {
            unique_name(each.volume): each
            for name, each in sorted(wanted.items())
            if get_path(present.get(name), "status.attached") and not is_deleting(present[name])
        }
        before = [entry["name"] for entry in get_path(node, "status.volumesAttached") or ()]
        if sorted(before) == sorted(attached):
            return
        listed = [{"name": name, "devicePath": ""} for name in sorted(attached)]
        patch = {"status": {"volumesAttached": listed or None}}
        self.client.patch("nodes", name_of(node), patch, content_type=MERGE, subresource="status")
        for name, each in attached.items():
            if name not in before:
                told = f'AttachVolume.Attach succeeded for volume "{name_of(each.volume)}" '
                for pod in each.pods:
                    self.events.event(pod, NORMAL, "SuccessfulAttachVolume", told)


def attachment_name(volume: Object, node: str) -> str:
    """`csi-` and a hash of what is attached where, so that asking twice is asking once."""
    source = volume["spec"]["csi"]
    digest = hashlib.sha256(f"{source['volumeHandle']}{source['driver']}{node}".encode())
    return f"csi-{digest.hexdigest()}"


def unique_name(volume: Object) -> str:
    """How nodes name a volume: `kubernetes.io/csi/DRIVER^HANDLE`, "" for one that is never attached."""
    source = volume["spec"].get("csi")
    return f"kubernetes.io/csi/{source['driver']}^{source['volumeHandle']}" if source else ""


def volume_of(attachment: Object) -> str:
    name: str = get_path(attachment, "spec.source.persistentVolumeName", "")
    return name


def _is_ours(attachment: Object) -> bool:
    """Whether the controller has made it; attachments made by hand are the business of who made them."""
    prefix, _, digest = name_of(attachment).partition("-")
    return prefix == "csi" and len(digest) == hashlib.sha256().digest_size * 2


def _in_use(node: Object) -> list[str]:
    """The volumes that the node's kubelet has mounted, or is about to."""
    return list(get_path(node, "status.volumesInUse") or ())
