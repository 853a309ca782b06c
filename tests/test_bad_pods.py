"""Pods that go wrong: for each the container's reason, the pod's condition and the event that upstream gives; and one
that asks for all that a careful pod asks for, and goes well.

Upstream's words: `pkg/kubelet/kuberuntime/kuberuntime_container.go`, `pkg/kubelet/images/image_manager.go`,
`pkg/kubelet/events/event.go`, `pkg/kubelet/prober/prober.go`, `pkg/volume/*`, `pkg/scheduler/framework/plugins/*` and
`pkg/kubelet/eviction/eviction_manager.go`. Where only the runtime decides what happens, real processes and containers
are run; what only the kubelet decides is looked at on virtual time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import condition, get_path
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.kubectl import KubectlError

Object = dict[str, Any]
NOT_READY = ("ContainersReady", "ContainersNotReady")
FAILED, UNSCHEDULABLE = ("ContainersReady", "PodFailed"), ("PodScheduled", "Unschedulable")
MOUNT = [{"name": "v", "mountPath": "/v"}]


@dataclass(frozen=True, kw_only=True)
class Bad:
    """One pod that goes wrong. `state` is the container's reason, and `last` how it ended before; "" is not asked."""

    name: str
    container: Object = field(default_factory=dict)
    spec: Object = field(default_factory=dict)
    phase: str = "Pending"
    reason: str = ""  # of the pod
    state: str = ""
    last: str = ""
    message: str = ""
    exit_code: int | None = None
    condition: tuple[str, str] = NOT_READY  # one that is False, and why
    event: tuple[str, str] = ("", "")  # the reason, and what the message holds

    def pod(self) -> Object:
        main = {"name": "main", "image": "busybox", "imagePullPolicy": "IfNotPresent", **self.container}
        return {"metadata": {"name": self.name}, "spec": {"containers": [main], **self.spec}}

    def complaint(self, cluster: Cluster) -> str:
        """What is not as upstream has it, "" when all is."""
        pod = cluster.client.get("pods", self.name, "default")
        container = (get_path(pod, "status.containerStatuses") or [{}])[0]
        state = next(iter((container.get("state") or {}).values()), {})
        last = get_path(container, "lastState.terminated") or {}
        found = condition(pod, self.condition[0])
        ended = last if self.last else state
        text = next((get_path(each, "message") for each in (state, last, pod["status"])
                     if self.message and re.search(self.message, get_path(each, "message") or "")), "")  # fmt: skip
        events = cluster.client.items("events", "default", fieldSelector=f"involvedObject.name={self.name}")
        right = (
            pod["status"]["phase"] == self.phase and (pod["status"].get("reason") or "") == self.reason
            and self.state in ("", state.get("reason")) and self.last in ("", last.get("reason"))
            and bool(text or not self.message) and self.exit_code in (None, ended.get("exitCode"))
            and found is not None and (found["status"], found.get("reason")) == ("False", self.condition[1])
            and any(each["reason"] == self.event[0] and re.search(self.event[1], each["message"]) for each in events)
        )  # fmt: skip
        return "" if right else f"{pod['status']}\n{[(each['reason'], each['message']) for each in events]}"


def volume(**source: Any) -> Object:
    return {"volumes": [{"name": "v", **source}]}


def variable(**source: Any) -> Object:
    return {"env": [{"name": "X", "valueFrom": source}]}


def claim(name: str) -> Object:
    return {"persistentVolumeClaim": {"claimName": name}}


HOG = "x=$(head -c 100000000 /dev/zero | tr '\\0' x); sleep 600"  # no more than that, where nobody stops it at once
SLEEP = {"command": ["sleep", "1000000"]}
CONFIG = "CreateContainerConfigError"

DECIDED_BY_THE_KUBELET = [
    Bad(name="no-image", container={"image": "does-not-exist:1"}, state="ImagePullBackOff", message="Back-off pulling",
        event=("Failed", "Failed to pull image \"does-not-exist:1\"")),
    Bad(name="no-tag", container={"image": "nginx:no-such-tag"}, state="ImagePullBackOff",
        event=("Failed", "Error: ErrImagePull")),
    Bad(name="never-pulled", container={"image": "redis:7", "imagePullPolicy": "Never"}, state="ErrImageNeverPull",
        message='Container image "redis:7" is not present with pull policy of Never',
        event=("Failed", "Error: ErrImageNeverPull")),
    Bad(name="no-name", container={"image": "Nginx"}, state="InvalidImageName", event=("Failed", "InvalidImageName")),
    Bad(name="exits", container={"command": ["sh", "-c", "exit 42"]}, spec={"restartPolicy": "Never"}, phase="Failed",
        state="Error", exit_code=42, condition=FAILED, event=("Started", "Started container")),
    Bad(name="crashes", container={"command": ["sh", "-c", "exit 3"]}, phase="Running", state="CrashLoopBackOff",
        last="Error", exit_code=3, message="back-off .* restarting failed container=main pod=crashes_default",
        event=("BackOff", "Back-off restarting failed container main in pod crashes_default")),
    Bad(name="greedy", container={"image": "polinux/stress", "args": ["stress", "--vm-bytes", "200M"],
                                  "resources": {"limits": {"memory": "100Mi"}}}, phase="Running",
        last="OOMKilled", exit_code=137, event=("BackOff", "Back-off restarting failed container")),
    Bad(name="no-map", container=variable(configMapKeyRef={"name": "none", "key": "k"}), state=CONFIG,
        message='configmap "none" not found', event=("Failed", 'Error: configmap "none" not found')),
    Bad(name="no-map-key", container=variable(configMapKeyRef={"name": "there", "key": "k"}), state=CONFIG,
        message="couldn't find key k in ConfigMap default/there", event=("Failed", "couldn't find key k in ConfigMap")),
    Bad(name="no-secret", container={"envFrom": [{"secretRef": {"name": "none"}}]}, state=CONFIG,
        message='secret "none" not found', event=("Failed", 'Error: secret "none" not found')),
    Bad(name="no-secret-key", container=variable(secretKeyRef={"name": "there", "key": "k"}), state=CONFIG,
        message="couldn't find key k in Secret default/there", event=("Failed", "couldn't find key k in Secret")),
    Bad(name="no-map-volume", container={"volumeMounts": MOUNT}, spec=volume(configMap={"name": "none"}),
        state="ContainerCreating",
        event=("FailedMount", 'MountVolume.SetUp failed for volume "v" : configmap "none" not found')),
    Bad(name="no-secret-item", container={"volumeMounts": MOUNT}, state="ContainerCreating",
        spec=volume(secret={"secretName": "there", "items": [{"key": "k", "path": "p"}]}),
        event=("FailedMount", 'MountVolume.SetUp failed for volume "v" : references non-existent secret key: k')),
    Bad(name="wrong-path", container={"volumeMounts": MOUNT}, state="ContainerCreating",
        spec=volume(hostPath={"path": "/etc/hostname", "type": "Directory"}),
        event=("FailedMount", "hostPath type check failed: /etc/hostname is not a directory")),
    Bad(name="no-path", container={"volumeMounts": MOUNT}, state="ContainerCreating",
        spec=volume(hostPath={"path": "/does/not/exist", "type": "File"}),
        event=("FailedMount", "hostPath type check failed: /does/not/exist is not a file")),
    Bad(name="no-claim", container={"volumeMounts": MOUNT}, spec=volume(**claim("none")),
        condition=UNSCHEDULABLE, event=("FailedScheduling", 'persistentvolumeclaim "none" not found')),
    Bad(name="same-port", container={"ports": [{"containerPort": 80, "hostPort": 8080}], **SLEEP},
        condition=UNSCHEDULABLE,
        event=("FailedScheduling", "1 node.s. didn't have free ports for the requested pod ports")),
    Bad(name="probe-fails", phase="Running", event=("Unhealthy", "Readiness probe failed: cat: .*No such file"),
        container={"readinessProbe": {"exec": {"command": ["cat", "/tmp/ready"]}}, **SLEEP}),
    Bad(name="probe-hangs", phase="Running",
        event=("Unhealthy", 'Readiness probe failed: command "sleep 600" timed out'),
        container={"readinessProbe": {"exec": {"command": ["sleep", "600"]}, "periodSeconds": 2}, **SLEEP}),
    Bad(name="nobody-listens", phase="Running",
        event=("Unhealthy", r'Readiness probe failed: Get "http://[\d.]+:81/": dial tcp [\d.]+:81: connect: connection '
                            "refused"),
        container={"image": "nginx", "readinessProbe": {"httpGet": {"port": 81, "path": "/"}, "periodSeconds": 2}}),
    Bad(name="as-root", container={"image": "nginx", "securityContext": {"runAsNonRoot": True}}, state=CONFIG,
        message="container has runAsNonRoot and image will run as root",
        event=("Failed", "Error: container has runAsNonRoot and image will run as root")),
    Bad(name="unsafe", spec={"securityContext": {"sysctls": [{"name": "kernel.sem", "value": "1"}]}}, phase="Failed",
        reason="SysctlForbidden", message='Pod was rejected: forbidden sysctl: "kernel.sem" not allowlisted',
        condition=FAILED, event=("SysctlForbidden", "forbidden sysctl")),
    Bad(name="overdue", container=SLEEP, spec={"activeDeadlineSeconds": 20}, phase="Failed", reason="DeadlineExceeded",
        message="Pod was active on the node longer than the specified deadline",
        condition=FAILED, event=("DeadlineExceeded", "longer than the specified deadline")),
]  # fmt: skip

DECIDED_BY_THE_RUNTIME = [
    Bad(name="no-program", container={"command": ["/does/not/exist"]}, phase="Running", last="ContainerCannotRun",
        exit_code=127, message="/does/not/exist.*no such file or directory",
        event=("Failed", "Error: .*/does/not/exist.*no such file or directory")),
    Bad(name="no-program-once", container={"command": ["does-not-exist"]}, spec={"restartPolicy": "Never"},
        phase="Failed", state="ContainerCannotRun", exit_code=127, message="executable file not found in \\$PATH",
        condition=FAILED, event=("Failed", "executable file not found")),
    Bad(name="last-words", container={"command": ["sh", "-c", "echo a stone fell > /dev/termination-log; exit 4"]},
        spec={"restartPolicy": "Never"}, phase="Failed", state="Error", exit_code=4, message="^a stone fell\n$",
        condition=FAILED, event=("Started", "Started container main")),
    Bad(name="last-lines", container={"command": ["sh", "-c", "echo a tree fell; exit 5"],
                                      "terminationMessagePolicy": "FallbackToLogsOnError"},
        spec={"restartPolicy": "Never"}, phase="Failed", state="Error", exit_code=5, message="^a tree fell\n$",
        condition=FAILED, event=("Started", "Started container main")),
    Bad(name="greedy", phase="Failed", state="OOMKilled", exit_code=137, spec={"restartPolicy": "Never"},
        container={"command": ["sh", "-c", HOG], "resources": {"limits": {"memory": "32Mi"}}},
        condition=FAILED, event=("Started", "Started container main")),
    Bad(name="overfull", phase="Failed", reason="Evicted", spec=volume(emptyDir={"sizeLimit": "1Mi"}),
        container={"command": ["sh", "-c", "head -c 4000000 /dev/zero > /v/ballast; exec sleep 1000"],
                   "volumeMounts": MOUNT},
        message='Usage of EmptyDir volume "v" exceeds the limit "1Mi". ',
        condition=FAILED, event=("Evicted", "exceeds the limit")),
    Bad(name="probe-hangs", phase="Running",
        event=("Unhealthy", 'Readiness probe failed: command "sleep 600" timed out'),
        container={"readinessProbe": {"exec": {"command": ["sleep", "600"]}, "periodSeconds": 2}, **SLEEP}),
    Bad(name="as-root", container={"securityContext": {"runAsNonRoot": True}}, state=CONFIG,
        message="container has runAsNonRoot and image will run as root",
        event=("Failed", "Error: container has runAsNonRoot and image will run as root")),
]  # fmt: skip


LOOK = """
id -u; id -G; touch /etc/x 2>/dev/null || echo kept; echo written > /data/note; cat /data/note; grep foo /etc/hosts
test -r /var/run/secrets/kubernetes.io/serviceaccount/token && echo token
grep NoNewPrivs /proc/self/status; exec sleep 1000
"""
CAREFUL = {
    "metadata": {"name": "careful"},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000,
                            "seccompProfile": {"type": "RuntimeDefault"}},
        "hostAliases": [{"ip": "10.1.2.3", "hostnames": ["foo.local"]}],
        "volumes": [{"name": "data", "emptyDir": {}}],
        "containers": [{
            "name": "main", "image": "busybox", "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", LOOK],
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                "capabilities": {"drop": ["ALL"]}},
        }],
    },
}  # fmt: skip


def prepare(cluster: Cluster, rows: list[Bad]) -> None:
    for resource in ("configmaps", "secrets"):
        cluster.client.create(resource, {"metadata": {"name": "there"}}, "default")
    for pod in [*(row.pod() for row in rows), CAREFUL]:
        cluster.client.create("pods", pod, "default")


def goes_well(cluster: Cluster) -> None:
    def said() -> list[str]:
        try:
            return cluster.kubectl.run("logs careful").text.splitlines()
        except KubectlError:
            return []

    assert cluster.wait(lambda: any("NoNewPrivs" in line for line in said()), 60), said()
    lines = said()
    assert lines[0] == "1000" and {"2000"} <= set(lines[1].split()) <= {"2000", "3000"}
    assert {"kept", "written", "10.1.2.3\tfoo.local", "token", "NoNewPrivs:\t1"} <= set(lines)


def named(rows: list[Bad]) -> Any:
    return pytest.mark.parametrize("bad", rows, ids=lambda bad: bad.name)


@pytest.fixture(scope="module")
def simulated() -> Iterator[Cluster]:
    made = Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=1)
    made.start(wait=0)
    made.settle()
    taken = Bad(name="has-the-port", container={"ports": [{"containerPort": 80, "hostPort": 8080}], **SLEEP})
    made.client.create("pods", taken.pod(), "default")
    made.settle()
    prepare(made, DECIDED_BY_THE_KUBELET)
    made.run_for(100)
    yield made
    made.delete()


@named(DECIDED_BY_THE_KUBELET)
def test_what_the_kubelet_says_of_a_bad_pod(simulated: Cluster, bad: Bad) -> None:
    """Back-offs come and go: it has said so when some moment of two minutes shows it."""
    for _ in range(60):
        if not (complaint := bad.complaint(simulated)):
            return
        simulated.run_for(2)
    raise AssertionError(complaint)


def on(runtime: str) -> Callable[[], Iterator[Cluster]]:
    """A fixture of a cluster with all the bad pods on it."""

    def fixture() -> Iterator[Cluster]:
        with Cluster("k8snb-bad", nodes=1, runtime=runtime) as made:
            prepare(made, DECIDED_BY_THE_RUNTIME)
            yield made

    return fixture


process = pytest.fixture(scope="module", name="process")(on("process"))


@pytest.fixture(scope="module")
def docker() -> Iterator[Cluster]:
    from docker_images import image_layers

    from k8snb.cri.docker_engine import connected

    with connected() as api, image_layers(api):
        yield from on("docker")()


def says(cluster: Cluster, bad: Bad) -> None:
    assert cluster.wait(lambda: not bad.complaint(cluster), 60), bad.complaint(cluster)


@pytest.mark.process
@named(DECIDED_BY_THE_RUNTIME)
def test_what_becomes_of_a_bad_pod_of_real_processes(process: Cluster, bad: Bad) -> None:
    says(process, bad)


@pytest.mark.docker
@named(DECIDED_BY_THE_RUNTIME)
def test_what_becomes_of_a_bad_pod_of_real_containers(docker: Cluster, bad: Bad) -> None:
    says(docker, bad)


@pytest.mark.process
def test_a_careful_pod_runs_as_processes(process: Cluster) -> None:
    if process.runtime.support["runAsUser"]:
        pytest.skip("optional: programs run as the notebook's own user here")
    goes_well(process)


@pytest.mark.docker
def test_a_careful_pod_runs_in_containers(docker: Cluster) -> None:
    goes_well(docker)


@pytest.mark.docker
def test_nobody_is_root_on_the_engine_s_machine_unless_the_owner_allows_it(docker: Cluster) -> None:
    bad = Bad(name="almighty", container={"securityContext": {"privileged": True}})
    with pytest.raises(ApiError, match="privileged: Forbidden: disallowed by cluster policy"):
        docker.client.create("pods", bad.pod(), "default")
