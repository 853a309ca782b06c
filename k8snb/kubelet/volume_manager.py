"""kubelet's volume manager: the volumes of a node's pods are there before the containers, and gone after them.

Interface: `VolumeManager`: `prepare`, `find`, `fill` and `tear_down` for a pod, `clean_up(known)`, `stop()`;
`on_over_limit` hears of a pod that has put too much into a volume.
The rule not to break: what is a pod's own is removed with it; what a hostPath or PersistentVolume holds never is.
Source: `pkg/kubelet/volumemanager`. Upstream's reconciler mounts in goroutines of its own, and pod workers wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, namespace_of, uid_of
from k8snb.client import Client
from k8snb.client.events import NORMAL, WARNING, EventRecorder
from k8snb.clock import Clock
from k8snb.kubelet.pod_directories import DISK, MEMORY, SHARED_MEMORY, PodDirectories, has_memory
from k8snb.kubelet.tokens import TokenManager
from k8snb.kubelet.volume_claims import ClaimError, Resolved, resolve
from k8snb.kubelet.volume_limits import complaint, limit_of, storage_complaint, storage_limit
from k8snb.kubelet.volume_places import PLUGINS, EmptyDir
from k8snb.kubelet.volume_plugin import Volume, VolumeError, VolumePlugin, may_change_groups

FIRST_DELAY, LONGEST_DELAY = 0.5, 122.0  # seconds until a volume that failed is tried again
PATIENCE = 123.0  # seconds after which a pod worker says once more what it waits for
CLAIM_RETRY = 10.0  # seconds until a claim is looked at again
REFRESH = 60.0  # seconds between two looks at what live volumes are made from
MEASURE = 10.0  # seconds between two looks at how full limited volumes are
CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
COMMANDS = {"command", "args", "lifecycle"}
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
TOKEN_VOLUME, ROOT_CA = "kube-api-access-", "kube-root-ca.crt"
FAILED_MOUNT, FAILED_UNMOUNT = "FailedMount", "FailedUnMount"


@dataclass
class Mounted:
    """A volume that is there, and where; one that is `pending` is filled when somebody may look into it."""

    volume: Volume
    plugin: VolumePlugin
    path: Path
    pending: bool = False


@dataclass
class _PodVolumes:
    """What has been done for one pod. A volume's entry in `delays` says how long it waits after its next failure."""

    mounted: dict[str, Mounted] = field(default_factory=dict)
    delays: dict[str, float] = field(default_factory=dict)
    due: dict[str, float] = field(default_factory=dict)
    told: float = 0.0  # when the pod worker last began to wait; 0 while it does not


class VolumeManager:
    """The volumes of one node. `pod(uid)` is a pod as it is now; `plugins` may hold a learner's own.

    `on_demand`: programs of images read no files by themselves, so that their tokens are written when a command comes
    that may. Ten thousand simulated pods cost no hundred thousand files.
    """

    def __init__(
        self, node: str, client: Client, clock: Clock, *, events: EventRecorder, directories: PodDirectories,
        pod: Callable[[str], Object | None], plugins: Mapping[str, VolumePlugin] = PLUGINS, on_demand: bool = False,
    ) -> None:  # fmt: skip
        self._on_demand = on_demand
        self._node = node
        self._client = client
        self._clock = clock
        self._events = events
        self.directories = directories
        self._pod = pod
        self._plugins = plugins
        self._tokens = TokenManager(client, clock)
        self._pods: dict[str, _PodVolumes] = {}
        self._looked_up: dict[tuple[str, str, str], Object | None] | None = None
        self._is_refreshing = self._is_measuring = self._stopped = False
        self.allocatable: Callable[[], Mapping[str, str]] = dict
        self.on_over_limit: Callable[[str, str], None] = lambda uid, message: None

    def prepare(self, pod: Object) -> float:
        """Make the pod's volumes be there, those that its containers mount. Seconds until the next try; 0 when all are.

        What fails is told in events.
        """
        wanted = list(_used(pod))
        known = self._pods.setdefault(uid_of(pod), _PodVolumes())
        missing = [volume for volume in wanted if volume["name"] not in known.mounted]
        missing.sort(key=_has_claim)  # what is told of a claim counts the others as there
        if not missing:
            known.told = 0.0
            return 0.0
        known.told = known.told or self._clock.now()
        waits = [left for volume in missing if (left := self._try(pod, volume, known))]
        if not waits:
            known.told = 0.0
        elif self._clock.now() - known.told >= PATIENCE:
            known.told = self._clock.now()
            self._tell_waiting(pod, known, "context deadline exceeded")
        self._wake(known)
        return min(waits, default=0.0)

    def find(self, pod: Object, name: str) -> Mounted | None:
        """A volume that has been prepared."""
        known = self._pods.get(uid_of(pod))
        return known.mounted.get(name) if known else None

    def fill(self, pod: Object) -> None:
        """Somebody is about to look into the pod's volumes."""
        known = self._pods.get(uid_of(pod))
        for mounted in known.mounted.values() if known else ():
            if mounted.pending:
                mounted.pending = False
                self._bring_up_to_date(mounted)

    def empty_directories(self) -> dict[str, list[Path]]:
        """Where the emptyDirs lie on the disk, by the pods' uids."""
        found = {uid: [each.path for each in known.mounted.values() if _is_on_disk(each)]
                 for uid, known in self._pods.items()}  # fmt: skip
        return {uid: paths for uid, paths in found.items() if paths}

    def subpath(self, pod: Object, volume: str, container: str, number: int) -> Path:
        return self.directories.subpath(self._node, uid_of(pod), volume, container, number)

    def tear_down(self, pod: Object) -> None:
        """The pod's containers are gone: let go of its volumes."""
        uid = uid_of(pod)
        known = self._pods.pop(uid, None)
        self._tokens.forget(uid)
        for mounted in known.mounted.values() if known else ():
            try:
                mounted.plugin.tear_down(mounted.volume)
            except (VolumeError, ApiError, OSError) as error:
                self._tell_left(pod, f'"{mounted.volume.shown}" : {_text(error)}')
        left = self.directories.remove(self._node, uid)
        if left:
            self._tell_left(pod, f'of pod "{uid}" : {left}')

    def clean_up(self, known: Callable[[str], bool]) -> None:
        """Remove the directories of pods that nobody knows any more: they went while this kubelet was off."""
        for uid in self.directories.uids(self._node):
            if not known(uid):
                self.directories.remove(self._node, uid)

    def stop(self) -> None:
        self._stopped = True

    # one volume

    def _try(self, pod: Object, volume: Object, known: _PodVolumes) -> float:
        """Seconds until the next try; 0 when the volume is there."""
        name, now = volume["name"], self._clock.now()
        if known.due.get(name, 0.0) > now:
            return known.due[name] - now
        try:
            known.mounted[name] = self._mount(pod, volume)
            known.delays.pop(name, None)
            known.due.pop(name, None)
            return 0.0
        except ClaimError as error:
            self._tell_waiting(pod, known, str(error), unprocessed=(name,))
            delay = CLAIM_RETRY
        except _MountError as error:
            self._events.event(pod, WARNING, FAILED_MOUNT, str(error))
            delay = known.delays.get(name, FIRST_DELAY)
            known.delays[name] = min(delay * 2, LONGEST_DELAY)
        known.due[name] = now + delay
        return delay

    def _mount(self, pod: Object, volume: Object) -> Mounted:
        found = resolve(pod, volume, self)
        plugin = self._plugins.get(found.sort)
        try:
            if plugin is None:
                raise VolumeError(f"{_words(found)}: not implemented by k8snb")
            medium = MEMORY if found.source.get("medium") == MEMORY and has_memory() else DISK
            entry = Volume(
                name=volume["name"],
                shown=found.shown,
                pod=pod,
                source=found.source,
                directory=self.directories.volume(self._node, uid_of(pod), found.sort, found.shown, medium=medium),
                world=self,
                read_only=found.read_only or plugin.read_only,
            )
            if self._on_demand and self._may_wait(entry):
                return Mounted(entry, plugin, entry.directory, pending=True)
            mounted = Mounted(entry, plugin, plugin.set_up(entry))
        except (VolumeError, ApiError, OSError) as error:
            during = error.during if isinstance(error, VolumeError) else VolumeError.during
            raise _MountError(f'{during} for volume "{found.shown}" : {_text(error)}') from None
        self._tell_shortcomings(entry)
        return mounted

    def _may_wait(self, volume: Volume) -> bool:
        """Whether it is the token of a pod that runs images as they are, and will be there when it is asked for."""
        if not volume.name.startswith(TOKEN_VOLUME) or _runs_commands(volume.pod):
            return False
        return self.find_object("configmaps", ROOT_CA, namespace_of(volume.pod)) is not None

    def _tell_shortcomings(self, volume: Volume) -> None:
        """What the pod asks of its volumes and this machine does not allow."""
        if volume.group is not None and not may_change_groups():
            self._events.event(volume.pod, NORMAL, "RuntimeNote", "fsGroup: not carried out, it takes root")
        if volume.source.get("medium") == MEMORY and not has_memory():
            told = f'volume "{volume.name}": medium Memory: there is no {SHARED_MEMORY} here, it lies on the disk'
            self._events.event(volume.pod, NORMAL, "RuntimeNote", told)

    def _tell_waiting(self, pod: Object, known: _PodVolumes, why: str, unprocessed: tuple[str, ...] = ()) -> None:
        unmounted = sorted(volume["name"] for volume in _used(pod) if volume["name"] not in known.mounted)
        message = (
            f"Unable to attach or mount volumes: unmounted volumes=[{' '.join(unmounted)}], unattached volumes=[], "
            f"failed to process volumes=[{' '.join(unprocessed)}]: {why}"
        )
        self._events.event(pod, WARNING, FAILED_MOUNT, message)

    def _tell_left(self, pod: Object, what: str) -> None:
        self._events.event(pod, WARNING, FAILED_UNMOUNT, f"UnmountVolume.TearDown failed for volume {what}")

    # content that changes

    def _wake(self, known: _PodVolumes | None = None) -> None:
        """Look at live and at limited volumes from time to time while there are any, of one pod or of all."""
        label = f"kubelet {self._node}"
        volumes = self._all() if known is None else known.mounted.values()
        is_live, is_limited = _needs_care(volumes)
        if is_live and not self._is_refreshing:
            self._is_refreshing = True
            self._clock.after(REFRESH, self._refresh, background=True, label=label)
        if is_limited and not self._is_measuring:
            self._is_measuring = True
            self._clock.after(MEASURE, self._measure, background=True, label=label)

    def _measure(self) -> None:
        self._is_measuring = False
        if self._stopped:
            return
        for uid, known in list(self._pods.items()):
            message = _too_much(list(known.mounted.values()))
            if message:
                self.on_over_limit(uid, message)
        self._wake()

    def _refresh(self) -> None:
        self._is_refreshing = False
        if self._stopped:
            return
        self._looked_up = {}
        try:
            for mounted in list(self._all()):
                if mounted.plugin.is_live and not mounted.pending:
                    self._bring_up_to_date(mounted)
        finally:
            self._looked_up = None
        self._wake()

    def _bring_up_to_date(self, mounted: Mounted) -> None:
        """Write a live volume again. What it was made from may be gone: then it stays as it is, and events say why."""
        mounted.volume = volume = replace(
            mounted.volume, pod=self._pod(uid_of(mounted.volume.pod)) or mounted.volume.pod
        )
        try:
            mounted.plugin.set_up(volume)
        except (VolumeError, ApiError, OSError) as error:
            message = f'MountVolume.SetUp failed for volume "{volume.shown}" : {_text(error)}'
            self._events.event(volume.pod, WARNING, FAILED_MOUNT, message)

    def _all(self) -> Iterator[Mounted]:
        for known in self._pods.values():
            yield from known.mounted.values()

    # the world of plug-ins

    def find_object(self, resource: str, name: str, namespace: str) -> Object | None:
        """An object of the apiserver. Within one round of refreshing each is asked for once."""
        if self._looked_up is None:
            return self._client.find(resource, name, namespace)
        key = (resource, name, namespace)
        if key not in self._looked_up:
            self._looked_up[key] = self._client.find(resource, name, namespace)
        return self._looked_up[key]

    def token(self, pod: Object, audience: str, seconds: int) -> str:
        return self._tokens.get(pod, audience, seconds)

    def stamp(self) -> str:
        return datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y_%m_%d_%H_%M_%S")


class _MountError(Exception):
    """What the event FailedMount says."""


def _used(pod: Object) -> Iterator[Object]:
    """The volumes that a container mounts; nobody waits for others."""
    spec = pod["spec"]
    if not spec.get("volumes"):
        return
    named = {
        mount["name"] for sort in CONTAINERS for container in spec.get(sort) or ()
        for mount in container.get("volumeMounts") or ()
    }  # fmt: skip
    yield from (volume for volume in spec["volumes"] if volume["name"] in named)


def _needs_care(volumes: Iterable[Mounted]) -> tuple[bool, bool]:
    """Whether one has content that changes, and whether one has a limit."""
    found = [(mounted.plugin.is_live, _is_limited(mounted)) for mounted in volumes]
    return any(live for live, _ in found), any(limited for _, limited in found)


def _is_limited(mounted: Mounted) -> bool:
    return bool(limit_of(mounted.volume) or (_is_on_disk(mounted) and storage_limit(mounted.volume.pod)))


def _too_much(volumes: Sequence[Mounted]) -> str:
    """What a pod has put too much into."""
    on_disk = [each for each in volumes if _is_on_disk(each)]
    found = complaint(each.volume for each in volumes)
    return found or (storage_complaint(on_disk[0].volume.pod, (each.path for each in on_disk)) if on_disk else "")


def _runs_commands(pod: Object) -> bool:
    """Whether anything of the pod's own runs in its containers."""
    containers = [container for sort in CONTAINERS for container in pod["spec"].get(sort) or ()]
    probes = [container[probe] for container in containers for probe in PROBES if probe in container]
    own = any(not COMMANDS.isdisjoint(container) for container in containers)
    return own or any("exec" in probe for probe in probes)


def _is_on_disk(mounted: Mounted) -> bool:
    return isinstance(mounted.plugin, EmptyDir) and mounted.volume.source.get("medium") != MEMORY


def _has_claim(volume: Object) -> bool:
    return "persistentVolumeClaim" in volume or "ephemeral" in volume


def _words(found: Resolved) -> str:
    if found.sort.startswith("csi/"):
        return f"CSI driver {found.sort.removeprefix('csi/')}"
    return f"{found.sort} volumes"


def _text(error: Exception) -> str:
    if isinstance(error, ApiError):
        return str(error.message)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}"
    return str(error)
