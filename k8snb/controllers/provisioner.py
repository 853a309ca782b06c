"""storage-provisioner: makes volumes for the claims of the classes that name it, and deletes and grows them.

Interface: subclass `Provisioner` and write `provision`; `Cluster.add_provisioner` puts it to work in a
`ProvisionController`:

    class Ram(Provisioner):
        name = "example.com/ram"

        def provision(self, wish):
            return {"hostPath": {"path": f"/dev/shm/{wish.volume_name}", "type": "DirectoryOrCreate"}}

The rule not to break: a volume is made for one claim and names it from the start; only who made a volume deletes it,
and only under the policy Delete.
Source: `kubernetes-sigs/sig-storage-lib-external-provisioner` (controller.go) and `kubernetes-csi/external-resizer`.
Upstream both run in pods beside the driver.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, NamedTuple

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import (
    Object,
    annotations_of,
    get_path,
    is_deleting,
    key_of,
    name_of,
    revision_of,
    uid_of,
    with_condition,
    with_path,
)
from k8snb.apimachinery.quantity import parse
from k8snb.apimachinery.storage import (
    PROVISIONED_BY,
    PROVISIONERS,
    SELECTED_NODE,
    class_of,
    is_bound_to,
    is_fully_bound,
    reference_to,
    size_asked,
    waits_for_consumer,
)
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import NORMAL, WARNING, EventRecorder
from k8snb.client.informer import Informers
from k8snb.clock import timestamp

FIRST_RETRY, LAST_RETRY = 15.0, 1000.0  # seconds; the pause doubles


class Wish(NamedTuple):
    """What a volume is wanted for. `node` is the name of the node that it has to be reached from, "" for any."""

    volume_name: str
    claim: Object
    storage_class: Object
    node: str = ""

    @property
    def parameters(self) -> dict[str, str]:
        return self.storage_class.get("parameters") or {}


class Provisioner:
    """Makes volumes. `name` is what StorageClasses say under `provisioner`. What goes wrong is raised, in any sort of
    exception; its text is told on the claim or volume, and the work is tried again later.
    """

    name: ClassVar[str]

    def provision(self, wish: Wish) -> Object:
        """Make room for the wish: the source of the PersistentVolume, and what else belongs into its spec
        (`{"hostPath": {…}, "nodeAffinity": {…}}`). Asked twice for the same wish it answers the same."""
        raise NotImplementedError

    def delete(self, volume: Object) -> None:
        """Give the room of a PersistentVolume back, with the data in it."""

    def expand(self, volume: Object, size: str) -> None:
        """Make the room larger. `size` is a quantity (`2Gi`)."""

    def close(self) -> None:
        """The cluster is deleted, and with it everything that was made for it."""


class Nobody(Provisioner):
    """Stands in for a provisioner that does not work: no StorageClass names it."""

    name = ""


class Task(NamedTuple):
    """Work on one claim or volume; when it fails, an event of this reason says so, beginning with `complaint`."""

    obj: Object
    run: Callable[[Object], None]
    reason: str
    complaint: str


class ProvisionController(Controller):
    """Works for one provisioner. A key `namespace/name` is a claim, a key `name` a volume."""

    name = "storage-provisioner"

    def __init__(self, context: Context, informers: Informers, *, provisioner: Provisioner) -> None:
        super().__init__(context, informers)
        self.provisioner = provisioner
        self.events = EventRecorder(self.client, provisioner.name, self.clock)
        self._pauses: dict[str, float] = {}
        self.classes = informers.get("storageclasses")
        self.volumes = self.watch("persistentvolumes")
        self.claims = self.watch("persistentvolumeclaims")
        self.classes.on_change(self._class_changed)

    def replace(self, provisioner: Provisioner) -> None:
        """Work for another provisioner; what the one before could not do is tried at once."""
        self.provisioner = provisioner
        for obj in (*self.claims, *self.volumes):
            self.queue.add(key_of(obj))

    def _class_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None or new["provisioner"] != self.provisioner.name:
            return
        for claim in self.claims:
            if class_of(claim) == name_of(new):
                self.queue.add(key_of(claim), revision_of(new))

    # the loop

    def sync(self, key: str) -> None:
        for informer in (self.classes, self.volumes, self.claims):
            informer.catch_up()
        task = self._task(key)
        if task is None:
            self._pauses.pop(key, None)
            return
        try:
            task.run(task.obj)
        except ApiError:
            raise
        except Exception as error:
            self._try_again(key, task, str(error) or type(error).__name__)
        else:
            self._pauses.pop(key, None)

    def subject(self, key: str) -> Object | None:
        return self.claims.by_key(key) if "/" in key else self.volumes.by_key(key)

    def _task(self, key: str) -> Task | None:
        """What there is to do for a claim or volume."""
        obj = self.subject(key)
        if obj is None:
            return None
        if "/" not in key:
            return Task(obj, self._delete, "VolumeFailedDelete", "") if self._is_to_delete(obj) else None
        if self._is_to_provision(obj):
            told = f'failed to provision volume with StorageClass "{class_of(obj)}": '
            return Task(obj, self._provision, "ProvisioningFailed", told)
        if self._is_to_expand(obj):
            told = f'resize volume "{obj["spec"]["volumeName"]}" by resizer "{self.provisioner.name}" failed: '
            return Task(obj, self._expand, "VolumeResizeFailed", told)
        return None

    def _try_again(self, key: str, task: Task, why: str) -> None:
        pause = self._pauses[key] = min(self._pauses.get(key, FIRST_RETRY / 2) * 2, LAST_RETRY)
        self.events.event(task.obj, WARNING, task.reason, task.complaint + why)
        self.queue.add_after(key, pause, background=True)

    # provision

    def _is_to_provision(self, claim: Object) -> bool:
        annotations, storage_class = annotations_of(claim), self._class_of(claim)
        if get_path(claim, "spec.volumeName") or self.provisioner.name not in map(annotations.get, PROVISIONERS):
            return False
        if storage_class is None or is_deleting(claim) or self.volumes.get(_volume_name(claim)) is not None:
            return False
        return SELECTED_NODE in annotations or not waits_for_consumer(storage_class)

    def _provision(self, claim: Object) -> None:
        storage_class = self._class_of(claim)
        assert storage_class is not None
        node = annotations_of(claim).get(SELECTED_NODE, "")
        wish = Wish(_volume_name(claim), claim, storage_class, node)
        if key_of(claim) not in self._pauses:
            told = f'External provisioner is provisioning volume for claim "{key_of(claim)}"'
            self.events.event(claim, NORMAL, "Provisioning", told)
        if get_path(claim, "spec.dataSource") or get_path(claim, "spec.dataSourceRef"):
            raise NotImplementedError("spec.dataSource: not implemented by k8snb: make the claim without it")
        source = self.provisioner.provision(wish)
        self.client.create("persistentvolumes", _volume(wish, self.provisioner.name, source))
        self.events.event(claim, NORMAL, "ProvisioningSucceeded", f"Successfully provisioned volume {wish.volume_name}")

    def _class_of(self, claim: Object) -> Object | None:
        found = self.classes.get(class_of(claim) or "")
        return found if found is not None and found["provisioner"] == self.provisioner.name else None

    # delete

    def _is_to_delete(self, volume: Object) -> bool:
        policy = get_path(volume, "spec.persistentVolumeReclaimPolicy")
        released = get_path(volume, "status.phase") == "Released" and not is_deleting(volume)
        return released and policy == "Delete" and annotations_of(volume).get(PROVISIONED_BY) == self.provisioner.name

    def _delete(self, volume: Object) -> None:
        self.provisioner.delete(volume)
        self.client.delete("persistentvolumes", name_of(volume))

    # expand

    def _is_to_expand(self, claim: Object) -> bool:
        volume = self.volumes.get(get_path(claim, "spec.volumeName", ""))
        if volume is None or not is_fully_bound(claim) or not is_bound_to(volume, claim):
            return False
        if annotations_of(volume).get(PROVISIONED_BY) != self.provisioner.name:
            return False
        given = parse(get_path(claim, "status.capacity.storage", "0"))
        return get_path(claim, "status.phase") == "Bound" and size_asked(claim) > given

    def _expand(self, claim: Object) -> None:
        volume = self.volumes.get(claim["spec"]["volumeName"])
        assert volume is not None
        size = claim["spec"]["resources"]["requests"]["storage"]
        if key_of(claim) not in self._pauses:
            self.events.event(claim, NORMAL, "Resizing", f"External resizer is resizing volume {name_of(volume)}")
        claim = self._say_resizing(claim)
        self.provisioner.expand(volume, size)
        if size_asked(claim) > parse(volume["spec"]["capacity"]["storage"]):
            self.client.update("persistentvolumes", with_path(volume, "spec.capacity.storage", size))
        status = {key: value for key, value in claim["status"].items() if key != "conditions"}
        status = with_path(status, "capacity.storage", size)
        self.client.update_status("persistentvolumeclaims", {**claim, "status": status})
        self.events.event(claim, NORMAL, "VolumeResizeSuccessful", "Resize volume succeeded")

    def _say_resizing(self, claim: Object) -> Object:
        old = get_path(claim, "status.conditions") or []
        if any(entry["type"] == "Resizing" for entry in old):
            return claim
        conditions = with_condition(old, {"type": "Resizing", "status": "True"}, timestamp(self.clock.now()))
        return self.client.update_status("persistentvolumeclaims", with_path(claim, "status.conditions", conditions))


class Provisioners:
    """All provisioners of a cluster, each at work while the cluster runs."""

    def __init__(self) -> None:
        self._known: dict[str, Provisioner] = {}
        self._resting: dict[str, Provisioner] = {}
        self._working: dict[str, ProvisionController] = {}
        self._wiring: tuple[Context, Informers] | None = None

    def add(self, provisioner: Provisioner) -> None:
        """Put one to work; it takes the place of another of the same name."""
        self._known[provisioner.name] = provisioner
        self._resting.pop(provisioner.name, None)
        working = self._working.get(provisioner.name)
        if working is not None:
            working.replace(provisioner)
        elif self._wiring is not None:
            self._put_to_work(*self._wiring, provisioner)
            self._wiring[1].start()

    def rest(self, name: str) -> None:
        """Let one do no more until it is added again. What it made stays."""
        if name in self._known:
            self._resting[name] = self._known.pop(name)
        if name in self._working:
            self._working[name].replace(Nobody())

    def start(self, context: Context, informers: Informers) -> None:
        self._wiring = context, informers
        self._working.clear()
        for provisioner in self._known.values():
            self._put_to_work(context, informers, provisioner)

    def close(self) -> None:
        """The cluster has been deleted: whatever was made for it goes as well."""
        self._wiring = None
        self._working.clear()
        for provisioner in (*self._known.values(), *self._resting.values()):
            provisioner.close()

    def _put_to_work(self, context: Context, informers: Informers, provisioner: Provisioner) -> None:
        self._working[provisioner.name] = ProvisionController(context, informers, provisioner=provisioner)


def _volume_name(claim: Object) -> str:
    return f"pvc-{uid_of(claim)}"


def _volume(wish: Wish, provisioner: str, source: Object) -> Object:
    """The PersistentVolume for a wish: the claim's own but for where the data lie."""
    claim, storage_class = wish.claim, wish.storage_class
    options = storage_class.get("mountOptions")
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": wish.volume_name, "annotations": {PROVISIONED_BY: provisioner}},
        "spec": {
            "accessModes": claim["spec"]["accessModes"],
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "claimRef": reference_to(claim),
            "persistentVolumeReclaimPolicy": storage_class["reclaimPolicy"],
            "storageClassName": name_of(storage_class),
            "volumeMode": claim["spec"]["volumeMode"],
            **({"mountOptions": options} if options else {}),
            **source,
        },
    }
