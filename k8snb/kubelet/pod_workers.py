"""kubelet's pod workers: each pod on the node is brought, one action at a time, to what its spec says.

Interface: `PodWorkers.sync(uid)`, the controller loop's shape; `update(pod)`, `removed(pod)` feed it.
The rule not to break: a pod has at most one round of work under way; its end comes back as another `sync`.
Source: `pkg/kubelet/pod_workers.go`, `SyncPod` in pkg/kubelet/kuberuntime/kuberuntime_manager.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, get_path, is_deleting, name_of, namespace_of, revision_of, uid_of
from k8snb.client import Client
from k8snb.client.context import Context
from k8snb.client.events import NORMAL, WARNING, EventRecorder
from k8snb.client.workqueue import WorkQueue
from k8snb.clock import timestamp
from k8snb.cri import CANNOT_RUN, EXITED, SANDBOX_READY, ContainerStatus, Runtime, RuntimeFailure
from k8snb.executor import Executor
from k8snb.kubelet import actions, deadline, volume_limits
from k8snb.kubelet.actions import Action, PodState, container_of, field_path, next_action
from k8snb.kubelet.admission import rejected
from k8snb.kubelet.backoff import Backoff, duration
from k8snb.kubelet.configs import Configs
from k8snb.kubelet.env import ConfigError
from k8snb.kubelet.hostname import HostnameError
from k8snb.kubelet.images import ImageManager, next_try
from k8snb.kubelet.killing import Killing
from k8snb.kubelet.lifecycle import LifecycleHooks
from k8snb.kubelet.pleg import Pleg
from k8snb.kubelet.prober import Prober
from k8snb.kubelet.resizer import Resizer
from k8snb.kubelet.resizing import NOTHING, allocated
from k8snb.kubelet.runtime_class import sandbox_maker
from k8snb.kubelet.security import verify_non_root
from k8snb.kubelet.status import Waiting
from k8snb.kubelet.status_manager import StatusManager
from k8snb.kubelet.unsupported import unsupported
from k8snb.kubelet.volume_manager import VolumeManager
from k8snb.kubelet.work import RuntimeWork
from k8snb.kubelet.worker import Worker, grace_of, is_over, stray

LONG_RUN = 600.0  # seconds after which a container's earlier crashes are forgotten
CONFIG_RETRY = 5.0  # seconds until a missing ConfigMap or Secret is looked for again
RUN_ERROR = "RunContainerError"  # why a container waits that could not be started, and is to be tried again
FORCED = 1  # second that the containers of a pod get that has vanished from the apiserver


class PodWorkers:
    """All pods of one node."""

    def __init__(
        self, node: str, context: Context, client: Client, *, runtime: Runtime, executor: Executor, pleg: Pleg,
        prober: Prober, configs: Configs, volumes: VolumeManager, events: EventRecorder,
        capacity: Callable[[], Mapping[str, str]],
    ) -> None:  # fmt: skip
        self._clock = context.clock
        self._client = client
        self._runtime = runtime
        self._pleg = pleg
        self._prober = prober
        self._configs = configs
        self._volumes = volumes
        volumes.on_over_limit = self.evict
        self.refusal: Callable[[Object], tuple[str, str]] = lambda pod: ("", "")  # why the node takes no new pod
        self.crashed: Mapping[str, Mapping[str, int]] = {}  # a fork's: pod → container → how often before its last run
        self._workers: dict[str, Worker] = {}
        self.on_static_end: Callable[[], None] = lambda: None
        self.on_end: Callable[[str], None] = lambda uid: None
        self.events = events
        self.queue = WorkQueue(f"kubelet {node}", context, self._process)
        self._work = RuntimeWork(executor, pleg, context.clock, events=self.events, queue=self.queue)
        self._hooks = LifecycleHooks(
            runtime, prober.dialer, context.clock, work=self._work, events=self.events, state=pleg.state
        )
        self._killing = Killing(self._hooks, self.events, pleg.state)
        self._statuses = StatusManager(client, context.clock, prober, configs, cri_version=runtime.cri_version)
        self.images = ImageManager(
            runtime, client, context.clock, events=self.events, queue=self.queue, work=self._work
        )
        self._resizer = Resizer(
            runtime, context.clock, work=self._work, events=self.events, queue=self.queue, capacity=capacity,
            pods=self.pods,
        )  # fmt: skip
        self._actions: dict[str, Callable[[str, Worker, Action], None]] = {
            actions.RUN_SANDBOX: self._run_sandbox,
            actions.PULL: lambda uid, worker, action: self.images.ensure(uid, worker, action.name),
            actions.START: self._start,
            actions.KILL: lambda uid, worker, action: self._killing.kill_all(uid, worker),
            actions.STOP_SANDBOX: self._stop_sandbox,
            actions.REMOVE: self._remove,
            actions.WAIT: self._wait,
        }

    # what feeds it

    def update(self, pod: Object) -> None:
        worker = self._workers.get(uid_of(pod))
        if worker is None:
            known = self.crashed.get(uid_of(pod), {}).items()
            crashes = {name: Backoff(first_is_free=True, failures=count) for name, count in known}
            self._workers[uid_of(pod)] = Worker(pod, crashes=crashes)
            for told in unsupported(pod, self._runtime):
                self.events.event(pod, NORMAL, "RuntimeNote", told)
        elif worker.pod is pod:
            return  # what this kubelet has written itself, come back
        else:
            worker.pod = pod
            self._killing.hurry(uid_of(pod), worker)
        self.queue.add(uid_of(pod), int(pod["metadata"]["resourceVersion"]))

    def removed(self, pod: Object) -> None:
        """The pod is no longer in the apiserver: what still runs of it is ended."""
        worker = self._workers.get(uid_of(pod))
        if worker is not None:
            worker.gone = True
            forced = {"deletionTimestamp": "", **pod["metadata"], "deletionGracePeriodSeconds": FORCED}
            worker.pod = {**pod, "metadata": forced}
            self._killing.hurry(uid_of(pod), worker)
            self.queue.add(uid_of(pod), int(pod["metadata"]["resourceVersion"]))

    def images_in_use(self) -> set[str]:
        """The ids of the images that the node's containers have."""
        return {each.image_id for uid in self._workers for each in self._pleg.state(uid).containers}

    def static_pods(self) -> list[Object]:
        """The node's own pods that run or are ending."""
        return [worker.pod for worker in self._workers.values() if worker.is_static]

    def run_static(self, pod: Object) -> None:
        self._workers[uid_of(pod)] = Worker(pod, is_static=True)
        self.queue.add(uid_of(pod))

    def show_static(self, uid: str, mirror: Object) -> None:
        """The pod's status is to be seen in this object."""
        worker = self._workers[uid]
        if worker.mirror is None or uid_of(worker.mirror) != uid_of(mirror):
            self.queue.add(uid)
        worker.mirror = mirror
        worker.pod = {**worker.pod, "status": mirror["status"]}

    def end_static(self, uid: str) -> None:
        """The pod's manifest is gone: it ends as one that somebody has deleted."""
        worker = self._workers[uid]
        if not is_deleting(worker.pod):
            ending = {"deletionTimestamp": timestamp(self._clock.now()),
                      "deletionGracePeriodSeconds": grace_of(worker)}  # fmt: skip
            worker.pod = {**worker.pod, "metadata": {**worker.pod["metadata"], **ending}}
            self.queue.add(uid)

    def sync_all(self) -> None:
        for uid in self._workers:
            self.queue.add(uid)
        self._volumes.clean_up(lambda uid: uid in self._workers or self._pleg.state(uid) != PodState())

    def changed(self, uid: str) -> None:
        """The runtime or a probe has something new to say about a pod."""
        if uid not in self._workers and self._pleg.state(uid) != PodState():
            self._workers[uid] = Worker(stray(self._pleg.state(uid), uid), gone=True)
        self.queue.add(uid)

    def pod(self, uid: str) -> Object | None:
        worker = self._workers.get(uid)
        return worker.pod if worker else None

    def pods(self) -> list[Object]:
        """The pods that the apiserver has bound to this node."""
        return [worker.pod for worker in self._workers.values() if not worker.gone]

    def restart(self, uid: str, container: ContainerStatus, probe: str) -> None:
        """A probe found a container dead."""
        worker = self._workers.get(uid)
        if worker is not None and not worker.is_busy:
            self._killing.restart(uid, worker, container, probe)

    # the sync

    def _process(self, uid: str, cause: int) -> None:
        self._client.cause = cause
        try:
            if not self._pleg.stopped:
                self.sync(uid)
            self.queue.forget(uid)
        except ApiError:
            self.queue.add_rate_limited(uid)
        except Exception:
            self.queue.add_rate_limited(uid)
            raise
        finally:
            self._client.cause = 0

    def sync(self, uid: str) -> None:
        """One step for one pod: notice what ended, decide, begin one action, report."""
        worker = self._workers.get(uid)
        if worker is None or worker.is_busy or not (self._pleg.listed and self._pleg.healthy):
            return
        state = self._pleg.state(uid)
        if not worker.is_admitted:
            self._admit(uid, worker)
        self._notice(worker, state)
        self._watch_deadline(uid, worker)
        self._prober.sync(worker.pod, state)
        action = next_action(
            worker.pod, state,
            image_present=lambda name: name in worker.images, wait=lambda name: self._left(worker, name),
            started=lambda name: self._prober.is_started(uid, name),
        )  # fmt: skip
        resizing = self._resizer.plan(worker, state)
        if action is not None and not self._awaits_volumes(uid, worker):
            self._actions[action.sort](uid, worker, action)
        if not worker.is_busy:
            self._resizer.carry_out(uid, worker, resizing, grace=grace_of(worker))
        if not worker.gone and not _is_on_its_way(worker, state):
            before = worker.pod
            self._statuses.report(worker, state, resizing)
            if worker.pod is not before and (is_over(worker.pod) or resizing is not NOTHING):
                self.queue.add(uid, revision_of(worker.pod))
        if action is None and is_over(worker.pod):
            self._volumes.tear_down(worker.pod)
            if is_deleting(worker.pod):
                self._finish(uid, worker)

    def _admit(self, uid: str, worker: Worker) -> None:
        """A node sends a pod away that has not begun on it, where it cannot carry it out, or not now."""
        reason, message = self.refusal(worker.pod)
        if reason and not get_path(worker.pod, "status.containerStatuses") and not is_over(worker.pod):
            self._statuses.write(worker, rejected(worker.pod, reason, message))
            self.events.event(worker.pod, WARNING, reason, message)
            self.queue.add(uid)
        worker.is_admitted = True

    def _awaits_volumes(self, uid: str, worker: Worker) -> bool:
        """Nothing of a pod begins before its volumes are there; what there is of it may end without them."""
        if is_over(worker.pod):
            return False
        left = self._volumes.prepare(worker.pod)
        if left:
            self.queue.add_after(uid, left)
        return left > 0

    def _watch_deadline(self, uid: str, worker: Worker) -> None:
        """A pod whose time is up has failed; its containers are ended for that."""
        left = deadline.seconds_left(worker.pod, self._clock.now())
        if left is None or worker.gone:
            return
        if left > 0:
            self.queue.add_after(uid, left, background=True)
            return
        self._statuses.write(worker, deadline.overdue(worker.pod))
        self.events.event(worker.pod, NORMAL, deadline.REASON, deadline.MESSAGE)

    def evict(self, uid: str, message: str) -> None:
        """A pod has taken more than it may, or than the node has."""
        self.fail(uid, volume_limits.REASON, message, grace=volume_limits.GRACE)

    def fail(self, uid: str, reason: str, message: str, *, grace: float) -> None:
        """The node ends a pod; its containers get `grace` seconds at most."""
        worker = self._workers.get(uid)
        if worker is None or worker.gone or is_over(worker.pod):
            return
        self._statuses.write(worker, volume_limits.ended(worker.pod, reason, message, timestamp(self._clock.now())))
        worker.most_grace = grace
        self.events.event(worker.pod, WARNING, reason, message)
        self.queue.add(uid)

    def _notice(self, worker: Worker, state: PodState) -> None:
        """Count the crashes, tell what the runtime does not carry out."""
        worker.counted.intersection_update([container.id for container in state.containers])
        for container in state.containers:
            if container.state == EXITED and container.id not in worker.counted:
                worker.counted.add(container.id)
                self._ended(worker, container)
        for note in [*(state.sandbox.notes if state.sandbox else ()), *(n for c in state.containers for n in c.notes)]:
            if note not in worker.told and not worker.gone:
                worker.told.add(note)
                self.events.event(worker.pod, NORMAL, "RuntimeNote", note)

    def _ended(self, worker: Worker, container: ContainerStatus) -> None:
        worker.images.pop(container.name, None)
        if container.reason != CANNOT_RUN or worker.pod["spec"].get("restartPolicy") == "Never":
            worker.waiting.pop(container.name, None)
        crashes = worker.crashes.setdefault(container.name, Backoff(first_is_free=True))
        if container.finished_at - container.started_at > LONG_RUN:
            crashes.succeeded()
        crashes.failed(container.finished_at)

    def _left(self, worker: Worker, name: str) -> float:
        """Seconds that a container's back-off still lasts, crashes, pulls and failed starts together."""
        now = self._clock.now()
        offs = (worker.crashes.get(name), worker.pulls.get(name), worker.starts.get(name))
        return max((off.seconds_left(now) for off in offs if off is not None), default=0.0)

    # the actions

    def _run_sandbox(self, uid: str, worker: Worker, action: Action) -> None:
        left = worker.sandbox.seconds_left(self._clock.now())
        if left > 0:
            self.queue.add_after(uid, left)
            return
        try:
            config = self._configs.sandbox(worker.pod, action.attempt)
        except HostnameError as error:
            failure = RuntimeFailure("CreatePodSandboxError", str(error))
            self._sandbox_failed(worker, "", failure).failed(self._clock.now())
            self.queue.add_after(uid, worker.sandbox.seconds_left(self._clock.now()))
            return
        make = sandbox_maker(self._client, self._runtime, worker.pod, config)
        self._work.submit(uid, worker, make, failed=self._sandbox_failed)

    def _sandbox_failed(self, worker: Worker, name: str, error: RuntimeFailure) -> Backoff:
        message = f"Failed to create pod sandbox: {error.message}"
        self.events.event(worker.pod, WARNING, "FailedCreatePodSandBox", message)
        return worker.sandbox

    def _start(self, uid: str, worker: Worker, action: Action) -> None:
        pod, state = allocated(worker.pod), self._pleg.state(uid)
        container = container_of(pod, action.name)
        try:
            verify_non_root(pod, container, worker.images[action.name].user)
            config = self._configs.container(pod, container, action.attempt, state)
        except ConfigError as error:
            worker.waiting[action.name] = Waiting("CreateContainerConfigError", str(error))
            self._tell(worker, action.name, WARNING, "Failed", f"Error: {error}")
            self.queue.add_after(uid, CONFIG_RETRY)
            return
        sandbox = state.sandbox
        assert sandbox is not None
        stale = [c.id for c in state.containers if c.name == action.name and c.attempt < action.attempt - 1]

        def start() -> None:
            for container_id in stale:
                self._runtime.remove_container(container_id)
            container_id = self._runtime.create_container(sandbox.id, config)
            try:
                self._runtime.start_container(container_id)
            except RuntimeFailure:
                if not self._has_crashed(sandbox.id, container_id):
                    self._runtime.remove_container(container_id)
                raise
            self._hooks.after_start(pod, action.name, container_id)

        self._work.submit(
            uid, worker, start, name=action.name, done=lambda _: self._started(uid, worker, action.name),
            failed=self._start_failed,
        )  # fmt: skip

    def _has_crashed(self, sandbox_id: str, container_id: str) -> bool:
        """Whether a container that did not start has itself to blame, and not that its sandbox is gone."""
        ready = self._runtime.pod_sandbox_status(sandbox_id).state == SANDBOX_READY
        return ready and self._runtime.container_status(container_id).state == EXITED

    def _started(self, uid: str, worker: Worker, name: str) -> None:
        worker.waiting.pop(name, None)
        worker.starts.pop(name, None)
        self._tell(worker, name, NORMAL, "Created", f"Created container: {name}")
        self._tell(worker, name, NORMAL, "Started", f"Started container {name}")
        self._hooks.sleep_after_start(worker, name, lambda: self.queue.add(uid))

    def _start_failed(self, worker: Worker, name: str, error: RuntimeFailure) -> Backoff:
        worker.waiting[name] = Waiting(error.reason, error.message)
        if error.reason == RUN_ERROR:
            self._tell(worker, name, NORMAL, "Created", f"Created container: {name}")
        self._hooks.tell_failed(worker.pod, name, error)
        worker.images.pop(name, None)
        self._tell(worker, name, WARNING, "Failed", f"Error: {error.message}")
        return worker.starts.setdefault(name, Backoff(first_is_free=error.reason == RUN_ERROR))

    def _stop_sandbox(self, uid: str, worker: Worker, action: Action) -> None:
        def stopped(_: None) -> None:
            self._resizer.wake_deferred()

        self._work.submit(uid, worker, lambda: self._runtime.stop_pod_sandbox(action.id), done=stopped)

    def _remove(self, uid: str, worker: Worker, action: Action) -> None:
        state = self._pleg.state(uid)

        def remove() -> None:
            for container in state.containers:
                self._runtime.remove_container(container.id)
            for sandbox in state.sandboxes:
                self._runtime.remove_pod_sandbox(sandbox.id)

        self._work.submit(uid, worker, remove)

    def _wait(self, uid: str, worker: Worker, action: Action) -> None:
        """Say why nothing happens now, and come back when the back-off is over."""
        self.queue.add_after(uid, action.seconds)
        for waiting in (action, *action.others):
            if not self.images.show_wait(worker, waiting.name):
                self._show_crash_loop(uid, worker, waiting.name)

    def _show_crash_loop(self, uid: str, worker: Worker, name: str) -> None:
        crashes = worker.crashes.get(name)
        if crashes is None or crashes.seconds_left(self._clock.now()) <= 0:
            return
        pod = f"{name_of(worker.pod)}_{namespace_of(worker.pod)}({uid})"
        message = f"back-off {duration(crashes.delay)} restarting failed container={name} pod={pod}"
        worker.waiting[name] = Waiting("CrashLoopBackOff", f"{message}; {next_try(crashes.ends)}")
        message = f"Back-off restarting failed container {name} in pod {pod}"
        self._tell(worker, name, WARNING, "BackOff", message)

    def _tell(self, worker: Worker, name: str, sort: str, reason: str, message: str) -> None:
        """Say something of one container."""
        self.events.event(worker.pod, sort, reason, message, field_path=field_path(worker.pod, name))

    # the end

    def _finish(self, uid: str, worker: Worker) -> None:
        """Nothing is left of the pod on this node: let go of the object."""
        self._prober.forget(uid)
        self.on_end(uid)
        del self._workers[uid]
        self._resizer.wake_deferred()
        if worker.is_static:
            self.on_static_end()
            return
        if worker.gone:
            return
        try:
            self._statuses.let_go(worker.pod)
        except ApiError:
            self._workers[uid] = worker
            raise


def _is_on_its_way(worker: Worker, state: PodState) -> bool:
    """Whether the pod is between its sandbox and its first container: SyncPod makes both, and tells when it is done."""
    return worker.is_busy and state.sandbox is not None and not state.containers
