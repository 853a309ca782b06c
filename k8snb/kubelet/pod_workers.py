"""kubelet's pod workers: each pod on the node is brought, one action at a time, to what its spec says.

Interface: `PodWorkers.sync(uid)`, the controller loop's shape; `update(pod)`, `removed(pod)` feed it.
The rule not to break: a pod has at most one round of work under way; its end comes back as another `sync`.
Source: `pkg/kubelet/pod_workers.go`, `SyncPod` in pkg/kubelet/kuberuntime/kuberuntime_manager.go.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, annotations_of, is_deleting, name_of, namespace_of, uid_of
from k8snb.client import Client
from k8snb.client.client import MERGE
from k8snb.client.context import Context
from k8snb.client.events import NORMAL, WARNING, EventRecorder
from k8snb.client.workqueue import WorkQueue
from k8snb.cri import EXITED, RUNNING, ContainerStatus, Runtime, RuntimeFailure
from k8snb.executor import Executor
from k8snb.kubelet import actions
from k8snb.kubelet.actions import Action, PodState, container_of, containers_of, next_action
from k8snb.kubelet.backoff import Backoff
from k8snb.kubelet.configs import Configs
from k8snb.kubelet.env import ConfigError
from k8snb.kubelet.images import ImageManager, next_try
from k8snb.kubelet.pleg import Pleg
from k8snb.kubelet.prober import Prober
from k8snb.kubelet.status import Observed, Waiting, pod_status
from k8snb.kubelet.worker import Worker

MAPPED_PORTS = "k8snb.io/mapped-ports"
LONG_RUN = 600.0  # seconds after which a container's earlier crashes are forgotten
CONFIG_RETRY = 5.0  # seconds until a missing ConfigMap or Secret is looked for again
FORCED = 1  # second that the containers of a pod get that has vanished from the apiserver


class PodWorkers:
    """All pods of one node."""

    def __init__(
        self, node: str, context: Context, client: Client, *, runtime: Runtime, executor: Executor, pleg: Pleg,
        prober: Prober, configs: Configs,
    ) -> None:  # fmt: skip
        self.host_ip = ""
        self._clock = context.clock
        self._client = client
        self._runtime = runtime
        self._executor = executor
        self._pleg = pleg
        self._prober = prober
        self._configs = configs
        self._workers: dict[str, Worker] = {}
        self.events = EventRecorder(client, "kubelet", context.clock, host=node)
        self.queue = WorkQueue(f"kubelet {node}", context, self._process)
        self.images = ImageManager(
            runtime, context.clock, events=self.events, queue=self.queue, submit=self._submit
        )  # fmt: skip
        self.stopped = False
        self._actions: dict[str, Callable[[str, Worker, Action], None]] = {
            actions.RUN_SANDBOX: self._run_sandbox,
            actions.PULL: lambda uid, worker, action: self.images.ensure(uid, worker, action.name),
            actions.START: self._start,
            actions.KILL: self._kill_all,
            actions.STOP_SANDBOX: self._stop_sandbox,
            actions.REMOVE: self._remove,
            actions.WAIT: self._wait,
        }

    # what feeds it

    def update(self, pod: Object) -> None:
        worker = self._workers.get(uid_of(pod))
        if worker is None:
            self._workers[uid_of(pod)] = Worker(pod)
        else:
            worker.pod = pod
            self._hurry(uid_of(pod), worker)
        self.queue.add(uid_of(pod), int(pod["metadata"]["resourceVersion"]))

    def removed(self, pod: Object) -> None:
        """The pod is no longer in the apiserver: what still runs of it is ended."""
        worker = self._workers.get(uid_of(pod))
        if worker is not None:
            worker.gone = True
            forced = {"deletionTimestamp": "", **pod["metadata"], "deletionGracePeriodSeconds": FORCED}
            worker.pod = {**pod, "metadata": forced}
            self._hurry(uid_of(pod), worker)
            self.queue.add(uid_of(pod), int(pod["metadata"]["resourceVersion"]))

    def sync_all(self) -> None:
        for uid in self._workers:
            self.queue.add(uid)

    def changed(self, uid: str) -> None:
        """The runtime or a probe has something new to say about a pod."""
        if uid not in self._workers and self._pleg.state(uid) != PodState():
            self._workers[uid] = Worker(_stray(self._pleg.state(uid), uid), gone=True)
        self.queue.add(uid)

    def pod(self, uid: str) -> Object | None:
        worker = self._workers.get(uid)
        return worker.pod if worker else None

    def restart(self, uid: str, container: ContainerStatus, why: str) -> None:
        """Kill a container that a probe found dead; the restart policy says what comes next."""
        worker = self._workers.get(uid)
        if worker is None or worker.is_busy:
            return
        self.events.event(worker.pod, NORMAL, "Killing", f"Container {container.name} {why}, will be restarted")
        worker.grace = grace = _grace(worker.pod)
        self._submit(uid, worker, lambda: self._runtime.stop_container(container.id, grace), waits=True)

    # the sync

    def _process(self, uid: str, cause: int) -> None:
        self._client.cause = cause
        try:
            if not self.stopped:
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
        if worker is None or worker.is_busy or not self._pleg.listed:
            return
        state = self._pleg.state(uid)
        self._notice(worker, state)
        action = next_action(
            worker.pod, state,
            image_present=lambda name: name in worker.images, wait=lambda name: self._left(worker, name),
        )  # fmt: skip
        self._prober.sync(worker.pod, state)
        if action is not None:
            self._actions[action.sort](uid, worker, action)
        if not worker.gone:
            self._report(worker, state)
        if action is None and is_deleting(worker.pod):
            self._finish(uid, worker)

    def _notice(self, worker: Worker, state: PodState) -> None:
        """Count the crashes, tell what the runtime does not carry out, publish mapped ports."""
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
        worker.images.discard(container.name)
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
        config = self._configs.sandbox(worker.pod, action.attempt)
        self._submit(uid, worker, lambda: self._runtime.run_pod_sandbox(config), failed=self._sandbox_failed)

    def _sandbox_failed(self, worker: Worker, name: str, error: RuntimeFailure) -> None:
        worker.sandbox.failed(self._clock.now())
        message = f"Failed to create pod sandbox: {error.message}"
        self.events.event(worker.pod, WARNING, "FailedCreatePodSandBox", message)

    def _start(self, uid: str, worker: Worker, action: Action) -> None:
        container = container_of(worker.pod, action.name)
        state = self._pleg.state(uid)
        try:
            config = self._configs.container(worker.pod, container, action.attempt, state)
        except ConfigError as error:
            worker.waiting[action.name] = Waiting("CreateContainerConfigError", str(error))
            self.events.event(worker.pod, WARNING, "Failed", f"Error: {error}")
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
                self._runtime.remove_container(container_id)
                raise

        self._submit(
            uid, worker, start, name=action.name, done=lambda _: self._started(worker, action.name),
            failed=self._start_failed,
        )  # fmt: skip

    def _started(self, worker: Worker, name: str) -> None:
        worker.waiting.pop(name, None)
        worker.starts.pop(name, None)
        self.events.event(worker.pod, NORMAL, "Created", f"Created container: {name}")
        self.events.event(worker.pod, NORMAL, "Started", f"Started container {name}")

    def _start_failed(self, worker: Worker, name: str, error: RuntimeFailure) -> None:
        worker.waiting[name] = Waiting(error.reason, error.message)
        worker.images.discard(name)
        worker.starts.setdefault(name, Backoff()).failed(self._clock.now())
        self.events.event(worker.pod, WARNING, "Failed", f"Error: {error.message}")

    def _kill_all(self, uid: str, worker: Worker, action: Action) -> None:
        """End all running containers of a pod at the same time."""
        worker.grace = grace = _grace(worker.pod)
        for container in self._pleg.state(uid).containers:
            if container.state == RUNNING:
                if not worker.gone:
                    self.events.event(worker.pod, NORMAL, "Killing", f"Stopping container {container.name}")
                stop = functools.partial(self._runtime.stop_container, container.id, grace)
                self._submit(uid, worker, stop, waits=True)

    def _hurry(self, uid: str, worker: Worker) -> None:
        """A deletion with a shorter grace period overtakes the stop that is under way."""
        if worker.grace and is_deleting(worker.pod) and _grace(worker.pod) < worker.grace:
            worker.busy, worker.round = 0, worker.round + 1
            self._kill_all(uid, worker, Action(actions.KILL))

    def _stop_sandbox(self, uid: str, worker: Worker, action: Action) -> None:
        self._submit(uid, worker, lambda: self._runtime.stop_pod_sandbox(action.id))

    def _remove(self, uid: str, worker: Worker, action: Action) -> None:
        state = self._pleg.state(uid)

        def remove() -> None:
            for container in state.containers:
                self._runtime.remove_container(container.id)
            for sandbox in state.sandboxes:
                self._runtime.remove_pod_sandbox(sandbox.id)

        self._submit(uid, worker, remove)

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
        message = f"back-off {_seconds(crashes.delay)} restarting failed container={name} pod={pod}"
        worker.waiting[name] = Waiting("CrashLoopBackOff", f"{message}; {next_try(crashes.ends)}")
        message = f"Back-off restarting failed container {name} in pod {pod}"
        self.events.event(worker.pod, WARNING, "BackOff", message)

    # outside work

    def _submit(
        self, uid: str, worker: Worker, work: Callable[[], Any], *, name: str = "", pull: bool = False,
        waits: bool = False, done: Callable[[Any], None] = lambda result: None,
        failed: Callable[[Worker, str, RuntimeFailure], None] | None = None,
    ) -> None:  # fmt: skip
        """Do runtime work on the executor; afterwards ask the runtime what there is, and sync again.

        What is said of the result may fail; the worker is not busy for ever because of that.
        """
        begun = worker.round
        _count(worker, 1, pull=pull)

        def finished(result: Any, error: BaseException | None) -> None:
            if self.stopped:
                return
            try:
                if worker.round == begun and not (pull and is_deleting(worker.pod)):
                    self._tell_result(worker, name, result, error, done=done, failed=failed)
            finally:
                self._pleg.relist(then=settled)

        def settled() -> None:
            if worker.round == begun:
                _count(worker, -1, pull=pull)
            self.queue.add(uid)

        self._executor.submit(work, finished, waits=waits or pull)

    def _tell_result(
        self, worker: Worker, name: str, result: Any, error: BaseException | None, *, done: Callable[[Any], None],
        failed: Callable[[Worker, str, RuntimeFailure], None] | None,
    ) -> None:  # fmt: skip
        if error is None:
            done(result)
        else:
            self._failed(worker, name, _as_failure(error), failed)

    def _failed(
        self, worker: Worker, name: str, error: RuntimeFailure,
        failed: Callable[[Worker, str, RuntimeFailure], None] | None,
    ) -> None:  # fmt: skip
        if failed is not None:
            failed(worker, name, error)
        else:
            self.events.event(worker.pod, WARNING, "FailedKillPod", f"error killing pod: {error.message}")

    # reporting

    def _report(self, worker: Worker, state: PodState) -> None:
        """Write the pod's status where it says something else than it should, and the mapped ports."""
        pod = worker.pod
        observed = Observed(
            state=state, host_ip=self.host_ip, waiting=worker.waiting, last=_previous(pod, state),
            ready=lambda name: self._prober.is_ready(uid_of(pod), name),
            started=lambda name: self._prober.is_started(uid_of(pod), name),
        )  # fmt: skip
        status = pod_status(pod, observed, self._clock.now())
        try:
            if status != pod.get("status"):
                worker.pod = pod = self._client.update_status("pods", {**pod, "status": status})
            mapped = self._configs.mapped_ports(state)
            if mapped and annotations_of(pod).get(MAPPED_PORTS) != mapped:
                patch = {"metadata": {"annotations": {MAPPED_PORTS: mapped}}}
                worker.pod = self._client.patch("pods", name_of(pod), patch, namespace_of(pod), content_type=MERGE)
        except ApiError as error:
            if error.code != 404:
                raise

    def _finish(self, uid: str, worker: Worker) -> None:
        """Nothing is left of the pod on this node: let go of the object."""
        self._prober.forget(uid)
        del self._workers[uid]
        if worker.gone:
            return
        try:
            self._client.delete("pods", name_of(worker.pod), namespace_of(worker.pod), gracePeriodSeconds=0,
                                preconditions={"uid": uid})  # fmt: skip
        except ApiError as error:
            if error.code not in (404, 409):
                self._workers[uid] = worker
                raise


def _previous(pod: Object, state: PodState) -> dict[str, ContainerStatus]:
    """For each container the run before its newest one."""
    found: dict[str, ContainerStatus] = {}
    for container in containers_of(pod):
        newest = state.newest(container["name"])
        older = [c for c in state.containers if c.name == container["name"] and c is not newest and c.state == EXITED]
        if older:
            found[container["name"]] = max(older, key=lambda c: c.attempt)
    return found


def _count(worker: Worker, step: int, *, pull: bool) -> None:
    if pull:
        worker.pulling += step
        return
    worker.busy += step
    if not worker.busy:
        worker.grace = 0.0


def _grace(pod: Object) -> float:
    """Seconds that a pod's containers get to end by themselves."""
    granted = pod["metadata"].get("deletionGracePeriodSeconds")
    return float(pod["spec"].get("terminationGracePeriodSeconds", 30) if granted is None else granted)


def _as_failure(error: BaseException) -> RuntimeFailure:
    if isinstance(error, RuntimeFailure):
        return error
    return RuntimeFailure("RuntimeError", f"{type(error).__name__}: {error}")


def _stray(state: PodState, uid: str) -> Object:
    """A pod object for containers that no pod in the apiserver stands behind."""
    known = state.sandbox
    metadata = {"name": known.name if known else uid, "namespace": known.namespace if known else "", "uid": uid,
                "deletionTimestamp": "", "deletionGracePeriodSeconds": 1, "resourceVersion": "0"}  # fmt: skip
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": []}}


def _seconds(delay: float) -> str:
    minutes, seconds = divmod(int(delay), 60)
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
