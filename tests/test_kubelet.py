"""kubelet: what happens to a pod on its node, on the simulated runtime and virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from k8snb.apimachinery.meta import condition, is_true
from k8snb.apiserver import ApiServer
from k8snb.client import Client
from k8snb.client.client import MERGE
from k8snb.client.context import Context
from k8snb.client.informer import Informers
from k8snb.clock import VirtualClock
from k8snb.cri import RuntimeFailure, RuntimeUnavailable
from k8snb.cri.simulated import SimulatedRuntime
from k8snb.etcd.guard import GuardedStore
from k8snb.executor import ClockExecutor
from k8snb.kubelet import Kubelet
from k8snb.kubelet.backoff import Backoff
from k8snb.kubelet.dialer import VirtualDialer
from k8snb.kubelet.env import expand
from k8snb.kubelet.node_status import NodeSpec
from k8snb.kubelet.pleg import Pleg
from k8snb.pump import Pump

Object = dict[str, Any]


class Lab:
    """One node with a kubelet, and an apiserver; no controllers."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.pump = Pump(self.clock)
        self.pump.on_failure = self._fail
        self.store = GuardedStore()
        dice = random.Random(0)
        self.server = ApiServer(self.store, self.clock, dice=dice, service_cidr="10.96.0.0/16")
        self.server.bootstrap()
        self.client = Client(self.server)
        root_ca = {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": "a certificate"}}
        self.client.create("configmaps", root_ca, "default")
        self.client.create("serviceaccounts", {"metadata": {"name": "default"}}, "default")
        self.runtime = SimulatedRuntime(self.clock)
        self.context = Context(self.server, self.clock, self.pump.add, dice)
        self.network = self.runtime.add_node("node-1")
        self.start_kubelet()

    def start_kubelet(self) -> None:
        informers = Informers(self.context.client("system:nodes"), self.context)
        self.kubelet = Kubelet(
            NodeSpec("node-1", cpus="2", memory="4Gi"),
            self.context,
            informers,
            runtime=self.runtime,
            executor=ClockExecutor(self.clock, self.runtime.take_elapsed),
            dialer=VirtualDialer(lambda ip, port, path: self.runtime.http(ip, port, path)),
            network=self.network,
            post=self.pump.post,
            dns=lambda: "10.96.0.10",
        )
        informers.start()
        self.server.connect_node("node-1", self.kubelet)
        self.kubelet.start()
        self.pump.settle()

    @staticmethod
    def _fail(component: str, details: str) -> None:
        raise AssertionError(f"{component}: {details}")

    def run(self, *command: str, name: str = "web", image: str = "busybox", **spec: Any) -> Object:
        container: Object = {"name": "main", "image": image, **spec.pop("container", {})}
        if command:
            container["command"] = list(command)
        pod = {"metadata": {"name": name}, "spec": {"nodeName": "node-1", "containers": [container], **spec}}
        self.client.create("pods", pod, "default")
        self.pump.settle()
        return self.pod(name)

    def pod(self, name: str = "web") -> Object:
        return self.client.get("pods", name, "default")

    def container(self, name: str = "web") -> Object:
        return self.pod(name)["status"]["containerStatuses"][0]

    def reasons(self, name: str = "web") -> list[str]:
        events = self.client.items("events", "default", fieldSelector=f"involvedObject.name={name}")
        return [event["reason"] for event in sorted(events, key=lambda e: int(e["metadata"]["resourceVersion"]))]

    def messages(self, name: str = "web") -> str:
        events = self.client.items("events", "default", fieldSelector=f"involvedObject.name={name}")
        return "\n".join(event["message"] for event in events)


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.store.check()


def test_a_node_registers_with_addresses_capacity_and_a_lease(lab: Lab) -> None:
    node = lab.client.get("nodes", "node-1")
    assert node["status"]["capacity"]["cpu"] == "2"
    assert node["status"]["addresses"][0]["type"] == "InternalIP"
    before = lab.client.get("leases", "node-1", "kube-node-lease")["spec"]["renewTime"]
    lab.pump.run_for(11)
    assert lab.client.get("leases", "node-1", "kube-node-lease")["spec"]["renewTime"] > before


def test_a_pod_is_pulled_started_and_reported_running(lab: Lab) -> None:
    pod = lab.run(name="web", image="nginx:1.7.9")
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["podIP"]
    assert lab.container()["ready"]
    assert {c["type"]: c["status"] for c in pod["status"]["conditions"]}["Ready"] == "True"
    assert lab.reasons()[:4] == ["Pulling", "Pulled", "Created", "Started"]


def test_a_quiet_pod_costs_no_writes(lab: Lab) -> None:
    lab.run(image="nginx:1.7.9")
    before = [r for r in lab.store.history() if "/leases/" not in r.key]
    lab.pump.run_for(250)
    assert [r for r in lab.store.history() if "/leases/" not in r.key] == before


def test_a_container_that_ends_well_leaves_a_succeeded_pod(lab: Lab) -> None:
    pod = lab.run("sh", "-c", "echo done", restartPolicy="Never")
    assert pod["status"]["phase"] == "Succeeded"
    assert lab.container()["state"]["terminated"]["reason"] == "Completed"


def test_a_container_that_fails_leaves_a_failed_pod(lab: Lab) -> None:
    pod = lab.run("sh", "-c", "exit 3", restartPolicy="Never")
    assert pod["status"]["phase"] == "Failed"
    assert (condition(pod, "Ready") or {})["reason"] == "PodFailed"
    assert lab.container()["state"]["terminated"]["exitCode"] == 3


def test_a_crashing_container_is_restarted_ever_more_slowly(lab: Lab) -> None:
    pod = {"metadata": {"name": "web"}, "spec": {"nodeName": "node-1", "containers": [
        {"name": "main", "image": "busybox", "command": ["false"]}]}}  # fmt: skip
    lab.client.create("pods", pod, "default")
    lab.pump.run_for(8)
    assert lab.container()["restartCount"] == 1  # the first restart is at once
    waiting = lab.container()["state"]["waiting"]
    assert waiting["reason"] == "CrashLoopBackOff"
    assert "back-off 10s restarting failed container=main" in waiting["message"]
    assert "next try at 22:13:" in waiting["message"]
    lab.pump.run_for(10)
    assert lab.container()["restartCount"] == 2
    lab.pump.run_for(10)
    assert lab.container()["restartCount"] == 2
    lab.pump.run_for(12)
    assert lab.container()["restartCount"] == 3
    assert lab.container()["lastState"]["terminated"]["exitCode"] == 1
    assert lab.pod()["status"]["phase"] == "Running"


def test_an_image_that_is_not_there_is_tried_again_and_said(lab: Lab) -> None:
    pod = {"metadata": {"name": "web"}, "spec": {"nodeName": "node-1", "containers": [
        {"name": "main", "image": "nginx:doesnotexist"}]}}  # fmt: skip
    lab.client.create("pods", pod, "default")
    lab.pump.run_for(2)
    assert lab.container()["state"]["waiting"]["reason"] == "ErrImagePull"
    lab.pump.run_for(5)
    waiting = lab.container()["state"]["waiting"]
    assert waiting["reason"] == "ImagePullBackOff"
    assert "next try at" in waiting["message"]
    assert lab.pod()["status"]["phase"] == "Pending"
    assert 'Failed to pull image "nginx:doesnotexist"' in lab.messages()


def test_never_pulling_needs_the_image_to_be_there(lab: Lab) -> None:
    pod = {"metadata": {"name": "web"}, "spec": {"nodeName": "node-1", "containers": [
        {"name": "main", "image": "nginx:1.7.9", "imagePullPolicy": "Never"}]}}  # fmt: skip
    lab.client.create("pods", pod, "default")
    lab.pump.run_for(3)
    assert lab.container()["state"]["waiting"]["reason"] == "ErrImageNeverPull"


def test_a_deleted_pod_is_stopped_and_let_go(lab: Lab) -> None:
    lab.run(image="nginx:1.7.9")
    lab.client.delete("pods", "web", "default")
    lab.pump.settle()
    assert lab.client.find("pods", "web", "default") is None
    assert lab.runtime.list_pod_sandboxes("node-1") == []
    assert "Killing" in lab.reasons()


def test_a_pod_that_vanished_from_the_apiserver_is_stopped(lab: Lab) -> None:
    lab.run(image="nginx:1.7.9")
    lab.client.delete("pods", "web", "default", gracePeriodSeconds=0)
    lab.pump.settle()
    assert lab.runtime.list_containers("node-1") == []


def test_a_second_pod_of_the_same_name_waits_for_nothing_of_the_first(lab: Lab) -> None:
    lab.run("sh", "-c", "sleep 3600")
    lab.client.delete("pods", "web", "default", gracePeriodSeconds=0)
    lab.run(image="nginx:1.7.9")
    assert lab.pod()["status"]["phase"] == "Running"
    assert len(lab.runtime.list_pod_sandboxes("node-1")) == 1


def test_init_containers_run_one_after_the_other_before_the_rest(lab: Lab) -> None:
    inits = [{"name": name, "image": "busybox", "command": ["sh", "-c", "sleep 2"]} for name in ("first", "second")]
    pod = lab.run(image="nginx:1.7.9", initContainers=inits)
    assert pod["status"]["phase"] == "Running"
    ended = [s["state"]["terminated"]["finishedAt"] for s in pod["status"]["initContainerStatuses"]]
    started = lab.container()["state"]["running"]["startedAt"]
    assert ended[0] < ended[1] <= started


def test_a_failing_init_container_fails_a_pod_that_never_restarts(lab: Lab) -> None:
    inits = [{"name": "first", "image": "busybox", "command": ["false"]}]
    pod = lab.run(image="nginx:1.7.9", initContainers=inits, restartPolicy="Never")
    assert pod["status"]["phase"] == "Failed"
    assert "running" not in lab.container()["state"]


def test_environment_comes_from_everywhere(lab: Lab) -> None:
    lab.client.create("configmaps", {"metadata": {"name": "conf"}, "data": {"COLOUR": "blue"}}, "default")
    lab.client.create("secrets", {"metadata": {"name": "pass"}, "data": {"word": "b3Blbg=="}}, "default")
    env = [
        {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "WHERE", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
        {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "pass", "key": "word"}}},
        {"name": "BOTH", "value": "$(WHO)-$(WORD)-$(NOBODY)-$$(WHO)"},
    ]
    source = [{"configMapRef": {"name": "conf"}}]
    lab.run("sh", "-c", "echo $COLOUR $BOTH $KUBERNETES_SERVICE_PORT", container={"env": env, "envFrom": source})
    text = b"".join(lab.client.logs("web", "default")).decode()
    assert text == "blue web-open-$(NOBODY)-$(WHO) 443\n"


def test_a_missing_config_map_holds_the_container_until_it_comes(lab: Lab) -> None:
    pod = {"metadata": {"name": "web"}, "spec": {"nodeName": "node-1", "containers": [
        {"name": "main", "image": "nginx:1.7.9", "envFrom": [{"configMapRef": {"name": "conf"}}]}]}}  # fmt: skip
    lab.client.create("pods", pod, "default")
    lab.pump.run_for(4)
    waiting = lab.container()["state"]["waiting"]
    assert waiting == {"reason": "CreateContainerConfigError", "message": 'configmap "conf" not found'}
    lab.client.create("configmaps", {"metadata": {"name": "conf"}, "data": {"A": "b"}}, "default")
    lab.pump.run_for(6)
    assert lab.pod()["status"]["phase"] == "Running"


def test_a_readiness_probe_decides_on_ready_and_a_liveness_probe_on_life(lab: Lab) -> None:
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1, "failureThreshold": 2}
    container = {"readinessProbe": {"httpGet": {"path": "/", "port": 80}, "initialDelaySeconds": 5}}
    pod = {"metadata": {"name": "web"}, "spec": {"nodeName": "node-1", "containers": [
        {"name": "main", "image": "nginx:1.7.9", **container}]}}  # fmt: skip
    lab.client.create("pods", pod, "default")
    lab.pump.run_for(3)
    assert not lab.container()["ready"]
    lab.pump.run_for(5)
    assert lab.container()["ready"]
    sick = {"metadata": {"name": "sick"}, "spec": {"nodeName": "node-1", "containers": [
        {"name": "main", "image": "nginx:1.7.9", "livenessProbe": probe}]}}  # fmt: skip
    lab.client.create("pods", sick, "default")
    lab.pump.run_for(8)
    assert lab.container("sick")["restartCount"] >= 1
    assert "Unhealthy" in lab.reasons("sick")
    assert "Liveness probe failed" in lab.messages("sick")


def test_a_startup_probe_holds_the_others_back(lab: Lab) -> None:
    container = {
        "startupProbe": {"exec": {"command": ["false"]}, "periodSeconds": 2, "failureThreshold": 30},
        "livenessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1},
    }
    pod = {"metadata": {"name": "web"}, "spec": {"nodeName": "node-1", "containers": [
        {"name": "main", "image": "nginx:1.7.9", **container}]}}  # fmt: skip
    lab.client.create("pods", pod, "default")
    lab.pump.run_for(20)
    assert lab.container()["restartCount"] == 0
    assert not lab.container()["started"]
    assert not lab.container()["ready"]


def test_logs_of_this_run_and_of_the_one_before(lab: Lab) -> None:
    pod = {"metadata": {"name": "web"}, "spec": {"nodeName": "node-1", "containers": [
        {"name": "main", "image": "busybox", "command": ["sh", "-c", "echo hello; exit 1"]}]}}  # fmt: skip
    lab.client.create("pods", pod, "default")
    lab.pump.run_for(6)
    assert b"".join(lab.client.logs("web", "default", previous=True)) == b"hello\n"


def test_a_command_can_be_run_in_a_container(lab: Lab) -> None:
    lab.run(image="nginx:1.7.9")
    answer = lab.client.exec("web", "default", ["sh", "-c", "echo hi; exit 4"])
    result = answer.run()
    assert (result.stdout, result.exit_code) == (b"hi\n", 4)


def test_volumes_that_no_plugin_carries_out_are_refused_by_name(lab: Lab) -> None:
    shelf = {"name": "data", "nfs": {"server": "shelf.example.com", "path": "/"}}
    pod = {"metadata": {"name": "web"}, "spec": {"nodeName": "node-1", "volumes": [shelf],
        "containers": [{"name": "main", "image": "nginx:1.7.9",
                        "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}}  # fmt: skip
    lab.client.create("pods", pod, "default")
    lab.pump.run_for(4)
    assert lab.container()["state"]["waiting"]["reason"] == "ContainerCreating"
    assert 'MountVolume.SetUp failed for volume "data" : nfs volumes: not implemented by k8snb' in lab.messages()


def test_a_startup_probe_that_has_passed_asks_no_more(lab: Lab) -> None:
    script = "touch /tmp/up; sleep 20; rm /tmp/up; sleep 1000000"
    probe = {"exec": {"command": ["cat", "/tmp/up"]}, "periodSeconds": 1, "failureThreshold": 2}
    lab.run("sh", "-c", script, container={"startupProbe": probe})
    lab.pump.run_for(60)
    assert lab.container()["restartCount"] == 0
    assert lab.container()["started"]


def test_a_sidecar_that_fails_does_not_fail_its_pod(lab: Lab) -> None:
    command = ["sh", "-c", "sleep 5; exit 1"]
    sidecar = {"name": "side", "image": "busybox", "restartPolicy": "Always", "command": command}
    lab.run("sleep", "60", restartPolicy="Never", initContainers=[sidecar])
    assert [phase for phase, _ in statuses(lab)][-1] == "Succeeded"
    assert "Failed" not in [phase for phase, _ in statuses(lab)]
    assert lab.pod()["status"]["initContainerStatuses"][0]["restartCount"] >= 1


def test_a_pod_is_initialized_once_whatever_becomes_of_its_sidecars(lab: Lab) -> None:
    sidecar = {"name": "side", "image": "busybox", "restartPolicy": "Always", "command": ["sleep", "5"]}
    lab.run("sleep", "60", restartPolicy="Never", initContainers=[sidecar])
    verdicts = [condition(r.value, "Initialized") for r in lab.store.history("/registry/pods/default/web")]
    found = [verdict["status"] for verdict in verdicts if verdict]
    assert found == sorted(found)  # False, then True


def test_each_container_that_waits_says_why(lab: Lab) -> None:
    crash = {"image": "busybox", "command": ["false"]}
    pod = {"metadata": {"name": "web"}, "spec": {"nodeName": "node-1", "containers": [
        {"name": "main", **crash}, {"name": "other", **crash}]}}  # fmt: skip
    lab.client.create("pods", pod, "default")
    lab.pump.run_for(25)
    waiting = [entry["state"]["waiting"]["reason"] for entry in lab.pod()["status"]["containerStatuses"]]
    assert waiting == ["CrashLoopBackOff", "CrashLoopBackOff"]


def statuses(lab: Lab) -> list[tuple[str, str]]:
    """Phase and the state of the first container, in the order in which they were written."""
    found = []
    for record in lab.store.history("/registry/pods/default/web"):
        status = record.value["status"]
        states = status.get("containerStatuses") or [{"state": {"none": {}}}]
        found.append((status["phase"], next(iter(states[0]["state"]))))
    return found


def test_a_pod_that_ends_is_never_said_to_be_coming_up(lab: Lab) -> None:
    lab.run(image="nginx:1.7.9")
    lab.client.delete("pods", "web", "default")
    lab.pump.settle()
    assert statuses(lab)[-1] == ("Succeeded", "terminated")
    running = statuses(lab).index(("Running", "running"))
    assert "waiting" not in [state for _, state in statuses(lab)[running:]]


def test_a_finalizer_holds_the_object_and_not_the_containers(lab: Lab) -> None:
    lab.run(image="nginx:1.7.9")
    lab.client.patch("pods", "web", {"metadata": {"finalizers": ["example.com/hold"]}}, "default")
    lab.client.delete("pods", "web", "default")
    assert lab.pump.settle()
    assert lab.runtime.list_containers("node-1") == []
    assert lab.pod()["metadata"]["deletionGracePeriodSeconds"] == 0
    lab.client.patch("pods", "web", {"metadata": {"finalizers": None}}, "default", content_type=MERGE)
    assert lab.client.find("pods", "web", "default") is None


def seconds_to_the_end(lab: Lab, since: float) -> float:
    record = lab.store.history("/registry/pods/default/web")[-1]
    assert record.sort == "DELETE"
    return record.origin.time - since


def test_a_second_deletion_with_a_shorter_grace_period_overtakes_the_first(lab: Lab) -> None:
    lab.run("sleep", "1000000")
    began = lab.clock.now()
    lab.client.delete("pods", "web", "default")
    lab.pump.run_for(2)
    lab.client.delete("pods", "web", "default", gracePeriodSeconds=3)
    lab.pump.settle()
    assert seconds_to_the_end(lab, began) == pytest.approx(5, abs=0.5)


def test_a_forced_deletion_ends_containers_that_were_given_time(lab: Lab) -> None:
    lab.run("sleep", "1000000")
    lab.client.delete("pods", "web", "default")
    lab.pump.run_for(2)
    lab.client.delete("pods", "web", "default", gracePeriodSeconds=0)
    lab.pump.run_for(2)
    assert lab.runtime.list_containers("node-1") == []


def test_a_pod_does_not_wait_for_its_image_to_be_deleted(lab: Lab) -> None:
    pod = {"metadata": {"name": "web"}, "spec": {"nodeName": "node-1", "containers": [
        {"name": "main", "image": "nginx:1.7.9"}]}}  # fmt: skip
    lab.client.create("pods", pod, "default")
    while "Pulling" not in lab.reasons():
        lab.pump.run_for(0.1)
    began = lab.clock.now()
    lab.client.delete("pods", "web", "default")
    lab.pump.settle()
    assert seconds_to_the_end(lab, began) < 0.2
    assert "Pulled" not in lab.reasons()


def test_a_pod_that_somebody_calls_failed_is_ended(lab: Lab) -> None:
    lab.run(image="nginx:1.7.9")
    status = {**lab.pod()["status"], "phase": "Failed", "reason": "Evicted"}
    lab.client.update_status("pods", {**lab.pod(), "status": status})
    lab.pump.settle()
    assert [entry.state for entry in lab.runtime.list_containers("node-1")] == ["CONTAINER_EXITED"]
    assert (lab.pod()["status"]["phase"], lab.pod()["status"]["reason"]) == ("Failed", "Evicted")


def test_a_runtime_without_an_answer_is_asked_again_before_anything_is_decided(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.run(image="nginx:1.7.9")
    list_containers, failures = lab.runtime.list_containers, [True] * 10

    def broken(node: str) -> Any:
        if failures:
            failures.pop()
            raise RuntimeFailure("Unavailable", "the runtime is away")
        return list_containers(node)

    monkeypatch.setattr(lab.runtime, "list_containers", broken)
    lab.run(image="nginx:1.7.9", name="other")
    assert failures == []
    assert lab.container("other")["restartCount"] == 0
    assert len(list_containers("node-1")) == len(lab.runtime.list_pod_sandboxes("node-1")) == 2


@contextmanager
def away(lab: Lab, *calls: str) -> Iterator[None]:
    """Nobody answers these calls to the runtime."""

    def silence(*arguments: Any, **options: Any) -> Any:
        raise RuntimeUnavailable("RuntimeNotReady", "the engine does not answer")

    with pytest.MonkeyPatch.context() as patch:
        for call in calls:
            patch.setattr(lab.runtime, call, silence)
        yield


def readiness(lab: Lab) -> Object:
    return condition(lab.client.get("nodes", "node-1"), "Ready") or {}


def test_a_node_is_not_ready_when_its_runtime_has_been_away_for_half_a_minute_and_ready_when_it_is_back(
    lab: Lab,
) -> None:
    """Source: `runtimeErrors` in pkg/kubelet/runtime.go, `maxWaitForContainerRuntime` in pkg/kubelet/kubelet.go,
    `Healthy` in pkg/kubelet/pleg/generic.go."""
    lab.run(image="nginx:1.7.9")
    with away(lab, "list_pod_sandboxes"):
        lab.kubelet.pleg.relist()
        lab.pump.run_for(28)
        assert readiness(lab)["status"] == "True"
        lab.pump.run_for(4)
        silent = readiness(lab)
        assert (silent["status"], silent["reason"]) == ("False", "KubeletNotReady")
        assert silent["message"] == "container runtime is down"
        lab.pump.run_for(150)
        silent = readiness(lab)
        assert silent["message"].startswith("[container runtime is down, PLEG is not healthy: pleg was last seen ")
        assert silent["message"].endswith("active 3m0s ago; threshold is 3m0s]")
        lab.pump.run_for(600)
        assert readiness(lab)["status"] == "False"
    lab.pump.run_for(2)
    assert (readiness(lab)["status"], readiness(lab)["reason"]) == ("True", "KubeletReady")
    assert lab.reasons("node-1") == ["NodeNotReady", "NodeReady"]
    assert (lab.pod()["status"]["phase"], lab.container()["restartCount"]) == ("Running", 0)


def test_a_short_silence_of_the_runtime_is_not_told(lab: Lab) -> None:
    for _ in range(5):
        with away(lab, "list_containers"):
            lab.pump.run_for(25)
        lab.pump.run_for(60)
    assert lab.reasons("node-1") == []


class Silent:
    """An executor whose work never comes back, as when a call to the runtime hangs."""

    def submit(self, work: Callable[[], Any], done: Callable[..., None], *, waits: bool = False) -> None: ...

    def close(self) -> None: ...


def test_a_call_that_never_returns_is_silence_too() -> None:
    clock = VirtualClock()
    pleg = Pleg("node-1", SimulatedRuntime(clock), Silent(), clock)
    pleg.start(lambda: None)
    pump = Pump(clock)
    pump.run_for(179)
    assert pleg.problem() == ""
    pump.run_for(62)
    assert "PLEG is not healthy" in pleg.problem()


def test_a_defect_of_k8snb_in_listing_is_told_once_and_not_taken_for_silence(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(lab.pump, "on_failure", lambda component, details: told.append(details))
    with monkeypatch.context() as broken:
        broken.setattr(lab.kubelet.pleg, "finish", lambda status: 1 // 0)
        lab.run("sleep", "1000000")
        lab.pump.run_for(30)
    assert [details.count("ZeroDivisionError") for details in told] == [1]
    lab.pump.run_for(5)
    assert lab.pod()["status"]["phase"] == "Running"


@pytest.mark.parametrize(
    "call", ["run_pod_sandbox", "image_status", "pull_image", "create_container", "start_container"]
)
def test_a_runtime_that_is_away_costs_no_back_off(lab: Lab, call: str) -> None:
    pod = {"metadata": {"name": "web"}, "spec": {"nodeName": "node-1", "containers": [
        {"name": "main", "image": "nginx:1.7.9"}]}}  # fmt: skip
    with away(lab, call):
        lab.client.create("pods", pod, "default")
        lab.pump.run_for(120)
        assert lab.pod()["status"]["phase"] == "Pending"
        assert "the engine does not answer" in lab.messages()
    lab.pump.run_for(8)  # a back-off would last until the 150th second
    assert (lab.pod()["status"]["phase"], lab.container()["restartCount"]) == ("Running", 0)
    assert "ImagePullBackOff" not in lab.messages()


def test_a_runtime_that_is_away_says_nothing_of_a_probed_container(lab: Lab) -> None:
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1, "failureThreshold": 2}
    lab.run("sleep", "1000000", container={"livenessProbe": probe, "readinessProbe": probe})
    with away(lab, "exec_sync"):
        lab.pump.run_for(60)
        assert lab.container()["ready"]
    lab.pump.run_for(60)
    assert lab.container()["restartCount"] == 0
    assert "Unhealthy" not in lab.reasons()


def test_a_kubelet_that_was_stopped_hears_no_more_of_its_runtime(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.run(image="nginx:1.7.9")
    lab.kubelet.stop()
    posted: list[object] = []
    monkeypatch.setattr(lab.pump, "post", posted.append)
    lab.start_kubelet()
    lab.kubelet.stop()
    posted.clear()
    for sandbox in lab.runtime.list_pod_sandboxes("node-1"):
        lab.runtime.stop_pod_sandbox(sandbox.id)
    assert posted == []


def test_a_kubelet_that_starts_finds_what_is_running(lab: Lab) -> None:
    lab.run(image="nginx:1.7.9")
    before = lab.container()["containerID"]
    lab.kubelet.stop()
    lab.start_kubelet()
    lab.pump.settle()
    assert lab.container()["containerID"] == before
    assert len(lab.runtime.list_pod_sandboxes("node-1")) == 1


def test_a_failed_report_leaves_no_worker_busy(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[str] = []
    lab.pump.on_failure = lambda component, details: failures.append(details)
    tell, broken = lab.kubelet.workers.events.event, [True]

    def event(*arguments: Any, **options: Any) -> None:
        if arguments[2] == "Pulling" and broken.pop():
            broken.append(False)
            raise ValueError("no events today")
        tell(*arguments, **options)

    monkeypatch.setattr(lab.kubelet.workers.events, "event", event)
    lab.run(image="nginx:1.7.9")
    assert "no events today" in failures[0]
    assert lab.pod()["status"]["phase"] == "Running"


def test_a_node_that_was_called_unknown_by_mistake_speaks_up_with_its_next_heartbeat(lab: Lab) -> None:
    node = lab.client.get("nodes", "node-1")
    conditions = [{**entry, "status": "Unknown"} for entry in node["status"]["conditions"]]
    lab.client.update_status("nodes", {**node, "status": {**node["status"], "conditions": conditions}})
    lab.pump.run_for(11)
    assert is_true(lab.client.get("nodes", "node-1"), "Ready")


def test_a_silent_kubelet_writes_nothing_more(lab: Lab) -> None:
    lab.run(image="nginx:1.7.9")
    lab.kubelet.stop()
    before = lab.store.revision
    lab.client.delete("pods", "web", "default")
    lab.pump.run_for(60)
    assert lab.store.revision == before + 1


def test_the_back_off_doubles_up_to_five_minutes() -> None:
    crash = Backoff(first_is_free=True)
    delays = []
    for _ in range(8):
        crash.failed(now=0.0)
        delays.append(crash.delay)
    assert delays == [0, 10, 20, 40, 80, 160, 300, 300]


def test_the_back_off_never_ends() -> None:
    crash = Backoff()
    for _ in range(5000):
        crash.failed(0.0)
    assert crash.delay == 300.0


def test_references_expand_as_upstream_says() -> None:
    assert expand("$(A)-$$(A)-$A-$(B)", {"A": "x"}) == "x-$(A)-$A-$(B)"
