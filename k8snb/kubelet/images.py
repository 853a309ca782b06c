"""kubelet's image manager: sees to it that a container's image is at hand before the container starts.

Interface: `ImageManager.ensure(uid, worker, container name)` begins; `show_wait` says why a container waits for its
image.
The rule not to break: the runtime is asked on the executor; a failed pull is tried again ever more slowly.
Source: `EnsureImageExists` in pkg/kubelet/images/image_manager.go.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

from k8snb.apimachinery.meta import Object, namespace_of, uid_of
from k8snb.client import Client
from k8snb.client.events import NORMAL, WARNING, EventRecorder
from k8snb.client.workqueue import WorkQueue
from k8snb.clock import Clock
from k8snb.cri import Credential, Image, Runtime, RuntimeFailure
from k8snb.kubelet.actions import container_of, field_path
from k8snb.kubelet.backoff import Backoff, exact_duration
from k8snb.kubelet.keyring import credentials
from k8snb.kubelet.status import Waiting
from k8snb.kubelet.work import RuntimeWork
from k8snb.kubelet.worker import Worker

ERROR_SHOWN = 2.0  # seconds for which ErrImagePull stands before it becomes ImagePullBackOff


class ImageManager:
    """The images of one node's containers."""

    def __init__(
        self,
        runtime: Runtime,
        client: Client,
        clock: Clock,
        *,
        events: EventRecorder,
        queue: WorkQueue,
        work: RuntimeWork,
    ) -> None:
        self._runtime = runtime
        self._client = client
        self._clock = clock
        self._events = events
        self._queue = queue
        self._work = work

    def ensure(self, uid: str, worker: Worker, name: str) -> None:
        """See whether the image is here, where the pull policy makes that matter (`imagePullPrecheck`)."""
        container = container_of(worker.pod, name)
        image = container["image"]
        if _policy(container) == "Always":
            self._pull(uid, worker, container)
            return
        self._work.submit(
            uid, worker, lambda: self._runtime.image_status(image), name=name, pull=True,
            done=lambda found: self._checked(uid, worker, container, found), failed=self._failed,
        )  # fmt: skip

    def _checked(self, uid: str, worker: Worker, container: Object, found: Image | None) -> None:
        image = container["image"]
        if found is not None:
            self._ready(worker, container["name"], found)
            message = f'Container image "{image}" already present on machine'
            self._tell(worker.pod, container, NORMAL, "Pulled", message)
            return
        if _policy(container) == "Never":
            message = f'Container image "{image}" is not present with pull policy of Never'
            failure = RuntimeFailure("ErrImageNeverPull", message)
            self._failed(worker, container["name"], failure).failed(self._clock.now())
            return
        self._pull(uid, worker, container)

    def _pull(self, uid: str, worker: Worker, container: Object) -> None:
        image = container["image"]
        self._tell(worker.pod, container, NORMAL, "Pulling", f'Pulling image "{image}"')
        began, known = self._clock.now(), self._credentials(worker.pod, image)
        self._work.submit(
            uid, worker, lambda: self._fetch(image, known), name=container["name"], pull=True,
            done=lambda pulled: self._pulled(worker, container, pulled, began), failed=self._failed,
        )  # fmt: skip

    def _credentials(self, pod: Object, image: str) -> list[Credential]:
        """What the pod's image pull secrets have for an image."""
        names = [each["name"] for each in pod["spec"].get("imagePullSecrets") or () if each.get("name")]
        found = {name: self._client.find("secrets", name, namespace_of(pod)) for name in names}
        missing = [name for name, secret in found.items() if secret is None]
        if missing:
            listed = ", ".join(missing)
            what = "attempting to pull the image may not succeed."
            message = f"Unable to retrieve some image pull secrets ({listed}); {what}"
            self._events.event(pod, WARNING, "FailedToRetrieveImagePullSecret", message)
        return credentials(image, [secret for secret in found.values() if secret is not None])

    def _fetch(self, image: str, known: list[Credential]) -> Image:
        """On the executor: with each credential until one will do; the last failure counts."""
        for credential in known[:-1]:
            with suppress(RuntimeFailure):
                return self._runtime.pull_image(image, credential=credential)
        if known:
            return self._runtime.pull_image(image, credential=known[-1])
        return self._runtime.pull_image(image)

    def _pulled(self, worker: Worker, container: Object, pulled: Image, began: float) -> None:
        self._ready(worker, container["name"], pulled)
        took = exact_duration(self._clock.now() - began)  # nobody waits for another's pull
        size = f" Image size: {pulled.size} bytes." if pulled.size else ""
        message = f'Successfully pulled image "{container["image"]}" in {took} ({took} including waiting).{size}'
        self._tell(worker.pod, container, NORMAL, "Pulled", message)

    def _ready(self, worker: Worker, name: str, image: Image) -> None:
        worker.images[name] = image
        if worker.pulls.pop(name, None) is not None:
            worker.waiting.pop(name, None)

    def _failed(self, worker: Worker, name: str, error: RuntimeFailure) -> Backoff:
        container = container_of(worker.pod, name)
        worker.waiting[name] = Waiting(error.reason, error.message)
        said = f'Failed to pull image "{container["image"]}": {error.message}'
        self._tell(worker.pod, container, WARNING, "Failed", said)
        self._tell(worker.pod, container, WARNING, "Failed", f"Error: {error.reason}")
        self._queue.add_after(uid_of(worker.pod), ERROR_SHOWN)
        return worker.pulls.setdefault(name, Backoff())

    def show_wait(self, worker: Worker, name: str) -> bool:
        """Whether a container waits for another try at its image. When ErrImagePull has stood for a moment, it is
        ImagePullBackOff.
        """
        pulls = worker.pulls.get(name)
        if pulls is None or pulls.seconds_left(self._clock.now()) <= 0:
            return False
        before = worker.waiting.get(name)
        shown = self._clock.now() >= pulls.ends - pulls.delay + ERROR_SHOWN
        if before is not None and before.reason == "ErrImagePull" and shown:
            self._back_off(worker, name, before, pulls)
        return True

    def _back_off(self, worker: Worker, name: str, before: Waiting, pulls: Backoff) -> None:
        container = container_of(worker.pod, name)
        image = container["image"]
        message = f'Back-off pulling image "{image}": {before.reason}: {before.message}; {next_try(pulls.ends)}'
        worker.waiting[name] = Waiting("ImagePullBackOff", message)
        self._tell(worker.pod, container, NORMAL, "BackOff", f'Back-off pulling image "{image}"')
        self._tell(worker.pod, container, WARNING, "Failed", "Error: ImagePullBackOff")

    def _tell(self, pod: Object, container: Object, sort: str, reason: str, message: str) -> None:
        self._events.event(pod, sort, reason, message, field_path=field_path(pod, container["name"]))


def _policy(container: Object) -> str:
    policy: str = container.get("imagePullPolicy", "IfNotPresent")
    return policy


def next_try(moment: float) -> str:
    """When something is tried again, as statuses tell it."""
    return "next try at " + datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%SZ")
