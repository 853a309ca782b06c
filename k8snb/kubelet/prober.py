"""kubelet's prober: asks containers, again and again, whether they are started, ready, alive.

Interface: `Prober.sync(pod, state)` starts and stops probes; `is_ready`, `is_started` give the verdicts.
The rule not to break: a probe runs on the executor; only its verdict comes into the pump.
Source: `pkg/kubelet/prober`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from k8snb.apimachinery.meta import Object, get_path, is_deleting, uid_of
from k8snb.client.events import WARNING, EventRecorder
from k8snb.clock import Clock, Timer
from k8snb.cri import PAUSED, RUNNING, ContainerStatus, Runtime, RuntimeFailure, RuntimeUnavailable
from k8snb.executor import Executor
from k8snb.kubelet.actions import STATUSES, PodState, containers_of, field_path, runtime_id

LIVENESS, READINESS, STARTUP = "livenessProbe", "readinessProbe", "startupProbe"
WORDS = {LIVENESS: "Liveness", READINESS: "Readiness", STARTUP: "Startup"}


class Dialer(Protocol):
    """How this node reaches its pods' ports."""

    def http(self, address: str, port: int, path: str, headers: dict[str, str], timeout: float, scheme: str) -> int:
        """The status code of a GET. Raises OSError."""
        ...

    def tcp(self, address: str, port: int, timeout: float) -> None:
        """Open a connection and close it. Raises OSError."""
        ...

    def grpc(self, address: str, port: int, service: str, timeout: float) -> Verdict:
        """Ask for the health of a gRPC server."""
        ...


Verdict = tuple[bool, str]  # went well, what was seen


@dataclass
class Probe:
    """One probe of one container: its rows of successes and failures, and its next turn."""

    uid: str
    sort: str
    spec: Object
    container: Object
    container_id: str
    successes: int = 0
    failures: int = 0
    passed: bool | None = None
    timer: Timer | None = None


HTTP_TIMEOUT = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"


class Prober:
    """All probes of one node."""

    def __init__(self, clock: Clock, executor: Executor, runtime: Runtime, dialer: Dialer) -> None:
        self._clock = clock
        self._executor = executor
        self._runtime = runtime
        self.dialer = dialer
        self._probes: dict[tuple[str, str, str], Probe] = {}
        self._of_pod: dict[str, set[tuple[str, str, str]]] = {}
        self._states: dict[str, tuple[Object, PodState]] = {}
        self._believed: set[str] = set()  # ids of containers whose probes had passed before this kubelet began
        self.events: EventRecorder | None = None
        self.on_change: Callable[[str], None] = lambda uid: None
        self.on_dead: Callable[[str, ContainerStatus, str], None] = lambda uid, container, probe: None

    def believe(self, pods: Iterable[Object]) -> None:
        """Containers that are ready by their status pass until a probe says something else."""
        entries = (entry for pod in pods for field in STATUSES for entry in get_path(pod, f"status.{field}") or ())
        self._believed.update(
            runtime_id(entry["containerID"]) for entry in entries if entry.get("ready") and entry.get("containerID")
        )

    def is_started(self, uid: str, name: str) -> bool:
        probe = self._probes.get((uid, name, STARTUP))
        return probe is None or probe.passed is True

    def is_ready(self, uid: str, name: str) -> bool:
        probe = self._probes.get((uid, name, READINESS))
        return probe is None or probe.passed is True

    def sync(self, pod: Object, state: PodState) -> None:
        """Probe what runs and has probes; forget what does not run any more."""
        uid = uid_of(pod)
        sorts = (READINESS,) if is_deleting(pod) else WORDS  # what is to end need not be alive, and has no startup
        wanted: dict[tuple[str, str, str], tuple[Object, ContainerStatus]] = {}
        for container in containers_of(pod):
            newest = state.newest(container["name"])
            if newest is None or newest.state != RUNNING:
                continue
            for sort in sorts:
                if container.get(sort):
                    wanted[(uid, container["name"], sort)] = (container, newest)
        if not wanted and uid not in self._of_pod:
            return
        self._states[uid] = (pod, state)
        for key in self._of_pod.get(uid, set()) - wanted.keys():
            self._stop(key)
        for key, (container, newest) in wanted.items():
            probe = self._probes.get(key)
            if probe is None or probe.container_id != newest.id:
                self._begin(key, container, newest)

    def forget(self, uid: str) -> None:
        for key in set(self._of_pod.get(uid, ())):
            self._stop(key)
        self._states.pop(uid, None)

    def stop(self) -> None:
        """The kubelet falls silent."""
        for uid in list(self._of_pod):
            self.forget(uid)

    def _begin(self, key: tuple[str, str, str], container: Object, newest: ContainerStatus) -> None:
        if key in self._probes:
            self._stop(key)
        uid, _, sort = key
        probe = Probe(uid, sort, container[sort], container, newest.id)
        probe.passed = True if newest.id in self._believed else probe.passed
        self._probes[key] = probe
        self._of_pod.setdefault(uid, set()).add(key)
        self._later(probe, probe.spec.get("initialDelaySeconds") or 0)

    def _stop(self, key: tuple[str, str, str]) -> None:
        probe = self._probes.pop(key)
        if probe.timer is not None:
            probe.timer.cancel()
        keys = self._of_pod[key[0]]
        keys.discard(key)
        if not keys:
            del self._of_pod[key[0]]
            self._states.pop(key[0], None)

    def _later(self, probe: Probe, seconds: float) -> None:
        """The next turn. Nobody waits for a probe that has passed: its timer is a background one."""
        probe.timer = self._clock.after(
            seconds, lambda: self._turn(probe), background=probe.passed is True, label="prober"
        )

    def _turn(self, probe: Probe) -> None:
        if not self._is_current(probe):
            return
        if probe.sort != STARTUP and not self.is_started(probe.uid, probe.container["name"]):
            self._later(probe, self._period(probe))
            return
        _, state = self._states[probe.uid]
        self._executor.submit(
            lambda: self._ask(probe, state),
            lambda verdict, error: self._came_back(probe, verdict, error),
        )

    def _came_back(self, probe: Probe, verdict: Verdict | None, error: BaseException | None) -> None:
        """A question that could not be asked is no verdict: upstream throws it away, and so does not restart for it."""
        if verdict is not None:
            self._answered(probe, verdict)
        elif self._is_current(probe):
            if not isinstance(error, RuntimeUnavailable):
                why = f"{WORDS[probe.sort]} probe errored and resulted in unknown state: {error}"
                self._tell(probe, why)
            self._later(probe, self._period(probe))

    def _tell(self, probe: Probe, message: str) -> None:
        if self.events is not None:
            pod = self._states[probe.uid][0]
            path = field_path(pod, probe.container["name"])
            self.events.event(pod, WARNING, "Unhealthy", message, field_path=path)

    def _ask(self, probe: Probe, state: PodState) -> Verdict:
        spec, timeout = probe.spec, float(probe.spec.get("timeoutSeconds") or 1)
        if "exec" in spec:
            return self._run(probe, spec["exec"].get("command") or (), timeout)
        address, ports = (state.sandbox.ip, state.sandbox.port_map) if state.sandbox else ("", {})
        if "grpc" in spec:
            port, service = spec["grpc"]["port"], spec["grpc"].get("service") or ""
            return self.dialer.grpc(address, ports.get(port, port), service, timeout)
        action = spec.get("httpGet") or spec["tcpSocket"]
        port = port_number(probe.container, action["port"])
        host, actual = action.get("host") or address, ports.get(port, port)
        try:
            return self._dial(spec, action, host, actual, timeout)
        except OSError as error:
            return False, _network_error(error, f"{host}:{actual}", action, is_http="httpGet" in spec)

    def _run(self, probe: Probe, command: Sequence[str], timeout: float) -> Verdict:
        try:
            result = self._runtime.exec_sync(probe.container_id, command, timeout)
        except RuntimeFailure as error:
            if error.reason not in ("DeadlineExceeded", PAUSED):  # where nothing moves, a command would not end
                raise
            return False, f'command "{" ".join(command)}" timed out'
        return result.exit_code == 0, (result.stdout + result.stderr).decode(errors="replace").strip()

    def _dial(self, spec: Object, action: Object, host: str, port: int, timeout: float) -> Verdict:
        if "tcpSocket" in spec:
            self.dialer.tcp(host, port, timeout)
            return True, ""
        headers = {header["name"]: header["value"] for header in action.get("httpHeaders") or ()}
        scheme = (action.get("scheme") or "HTTP").lower()
        code = self.dialer.http(host, port, action.get("path") or "/", headers, timeout, scheme)
        return 200 <= code < 400, f"HTTP probe failed with statuscode: {code}"

    def _answered(self, probe: Probe, verdict: Verdict) -> None:
        if not self._is_current(probe):
            return
        good, seen = verdict
        probe.successes, probe.failures = (probe.successes + 1, 0) if good else (0, probe.failures + 1)
        if not good:
            self._tell(probe, f"{WORDS[probe.sort]} probe failed: {seen}")
        before = probe.passed
        if good and probe.successes >= (probe.spec.get("successThreshold") or 1):
            probe.passed = True
        elif not good and probe.failures >= (probe.spec.get("failureThreshold") or 3):
            probe.passed = False
            self._dead(probe)
        if not (probe.sort == STARTUP and probe.passed):
            self._later(probe, self._period(probe))
        if probe.passed != before:
            self.on_change(probe.uid)

    def _dead(self, probe: Probe) -> None:
        """A liveness or startup probe gave up: the container is to be killed."""
        if probe.sort == READINESS:
            return
        _, state = self._states[probe.uid]
        newest = state.newest(probe.container["name"])
        if newest is not None and newest.id == probe.container_id:
            self.on_dead(probe.uid, newest, probe.sort)

    def _is_current(self, probe: Probe) -> bool:
        return self._probes.get((probe.uid, probe.container["name"], probe.sort)) is probe

    @staticmethod
    def _period(probe: Probe) -> float:
        return float(probe.spec.get("periodSeconds") or 10)


def _network_error(error: OSError, spot: str, action: Object, *, is_http: bool) -> str:
    """What a probe that nobody answered says, in the words of Go's network library."""
    if isinstance(error, TimeoutError):
        why = HTTP_TIMEOUT if is_http else f"dial tcp {spot}: i/o timeout"
    elif isinstance(error, ConnectionRefusedError):
        why = f"dial tcp {spot}: connect: connection refused"
    elif isinstance(error, ConnectionResetError):
        why = f"read tcp {spot}: read: connection reset by peer"
    else:
        why = f"dial tcp {spot}: {error.strerror or error}"
    url = f"{(action.get('scheme') or 'HTTP').lower()}://{spot}{action.get('path') or '/'}"
    return f'Get "{url}": {why}' if is_http else why


def port_number(container: Object, port: int | str) -> int:
    """A probe's port by number, or by the name that the container gives it."""
    if isinstance(port, int):
        return port
    for declared in container.get("ports") or ():
        if declared.get("name") == port:
            return int(declared["containerPort"])
    return int(port) if port.isdigit() else 0
