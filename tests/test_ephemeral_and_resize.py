"""A pod's own doors: ephemeral containers, in-place resize, bindings.

Upstream's rules: `ValidatePodEphemeralContainersUpdate` and `ValidatePodResize` in
pkg/apis/core/validation/validation.go, `canResizePod` in pkg/kubelet/kubelet.go, `computePodActions` in
pkg/kubelet/kuberuntime/kuberuntime_manager.go.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k8snb import Cluster
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import condition
from k8snb.client.client import JSON
from k8snb.clock import VirtualClock
from k8snb.cri import ContainerResources
from k8snb.cri.process import ProcessRuntime
from k8snb.kubelet.resizing import NOTHING, plan

Object = dict[str, Any]
PENDING, IN_PROGRESS = "PodResizePending", "PodResizeInProgress"


class Lab:
    """A cluster of one simulated worker with 2 processors and 4 GiB, on virtual time."""

    def __init__(self) -> None:
        self.cluster = Cluster("pods", nodes=1, runtime="simulated", clock=VirtualClock(), seed=1, cpus="2",
                               memory="4Gi")  # fmt: skip
        self.cluster.start()
        self.client = self.cluster.client

    def run(self, name: str = "web", *, resources: Object | None = None, **spec: Any) -> Object:
        container: Object = {"name": "main", "image": "nginx", **spec.pop("container", {})}
        if resources is not None:
            container["resources"] = resources
        body = {"metadata": {"name": name}, "spec": {"containers": [container], "nodeName": "node-1", **spec}}
        self.client.create("pods", body, "default")
        self.cluster.settle(limit=20)
        return self.pod(name)

    def pod(self, name: str = "web") -> Object:
        return self.client.get("pods", name, "default")

    def patch(self, door: str, patch: Any, name: str = "web", **options: Any) -> Object:
        patched = self.client.patch("pods", name, patch, "default", subresource=door, **options)
        self.cluster.settle(limit=20)
        return patched

    def debug(self, *containers: Object, name: str = "web") -> Object:
        self.patch("ephemeralcontainers", {"spec": {"ephemeralContainers": list(containers)}}, name)
        return self.pod(name)

    def resize(self, resources: Object, name: str = "web", container: str = "main") -> Object:
        self.patch("resize", {"spec": {"containers": [{"name": container, "resources": resources}]}}, name)
        return self.pod(name)

    def refused(self, door: str, patch: Any, name: str = "web", **options: Any) -> str:
        with pytest.raises(ApiError) as error:
            self.patch(door, patch, name, **options)
        assert error.value.code == 422
        return error.value.message

    def events(self, name: str = "web") -> list[tuple[str, str]]:
        found = self.client.items("events", "default")
        return [(event["reason"], event["message"]) for event in found if event["involvedObject"]["name"] == name]

    def runtime_resources(self, name: str = "web") -> ContainerResources | None:
        uid, containers = self.pod(name)["metadata"]["uid"], self.cluster.runtime.list_containers("node-1")
        found = [container for container in containers if container.pod_uid == uid]
        return max(found, key=lambda c: c.attempt).resources


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    yield made
    made.cluster.delete()


def amounts(cpu: str, memory: str, *, limits: bool = False) -> Object:
    requests = {"cpu": cpu, "memory": memory}
    return {"requests": requests, "limits": requests} if limits else {"requests": requests}


def status_of(pod: Object, field: str = "containerStatuses") -> Object:
    found: Object = pod["status"][field][0]
    return found


# ephemeral containers

SHELL = {"name": "debugger", "image": "busybox", "command": ["sleep", "3600"]}


def test_an_ephemeral_container_starts_in_a_running_pod(lab: Lab) -> None:
    before = lab.run()
    pod = lab.debug(SHELL)
    status = status_of(pod, "ephemeralContainerStatuses")
    assert status["name"] == "debugger" and "running" in status["state"]
    assert status["ready"] is False and "started" not in status and status["restartCount"] == 0
    assert status_of(pod)["containerID"] == status_of(before)["containerID"]
    assert pod["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert ("Started", "Started container debugger") in lab.events()


def test_an_ephemeral_container_does_not_hold_its_pod_back_from_being_ready(lab: Lab) -> None:
    lab.run()
    pod = lab.debug({"name": "short", "image": "busybox", "command": ["sh", "-c", "exit 3"]})
    assert (condition(pod, "Ready") or {})["status"] == "True" and pod["status"]["phase"] == "Running"


def test_an_ephemeral_container_is_never_started_again(lab: Lab) -> None:
    lab.run()
    lab.debug({"name": "short", "image": "busybox", "command": ["sh", "-c", "exit 3"]})
    lab.cluster.run_for(700)
    status = status_of(lab.pod(), "ephemeralContainerStatuses")
    assert status["state"]["terminated"]["exitCode"] == 3 and status["restartCount"] == 0


def test_an_ephemeral_container_starts_while_an_init_container_still_runs(lab: Lab) -> None:
    init = {"name": "wait", "image": "busybox", "command": ["sleep", "100"]}
    lab.run(initContainers=[init])
    pod = lab.debug(SHELL)
    assert "running" in status_of(pod, "ephemeralContainerStatuses")["state"]
    assert "waiting" in status_of(pod)["state"]


def test_an_image_that_is_not_there_is_what_an_ephemeral_container_waits_for(lab: Lab) -> None:
    lab.run()
    pod = lab.debug({"name": "debugger", "image": "nope:1"})
    assert status_of(pod, "ephemeralContainerStatuses")["state"]["waiting"]["reason"] == "ImagePullBackOff"


def test_a_second_ephemeral_container_joins_the_first(lab: Lab) -> None:
    lab.run()
    lab.debug(SHELL)
    pod = lab.debug({"name": "second", "image": "busybox", "command": ["sleep", "1000"]})
    assert {status["name"] for status in pod["status"]["ephemeralContainerStatuses"]} == {"debugger", "second"}


def test_an_ephemeral_container_can_be_entered_and_read(lab: Lab) -> None:
    lab.run()
    lab.debug({"name": "debugger", "image": "busybox", "command": ["sh", "-c", "echo hello; sleep 3600"]})
    assert lab.client.exec("web", "default", ["echo", "in"], "debugger").stdout == b"in\n"
    assert b"".join(lab.client.logs("web", "default", container="debugger")) == b"hello\n"


def test_the_door_changes_nothing_but_ephemeral_containers(lab: Lab) -> None:
    """`dropNonEphemeralContainerUpdates` in pkg/registry/core/pod/strategy.go."""
    pod = lab.run()
    changed = {**pod, "spec": {**pod["spec"], "ephemeralContainers": [SHELL], "containers": []}}
    written = lab.client.update("pods", changed, subresource="ephemeralcontainers")
    assert written["spec"]["containers"] == pod["spec"]["containers"]
    assert [container["name"] for container in written["spec"]["ephemeralContainers"]] == ["debugger"]


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"name": "main", "image": "busybox"}, 'spec.ephemeralContainers[0].name: Duplicate value: "main"'),
        ({"name": "x", "image": "b", "ports": [{"containerPort": 80}]},
         "spec.ephemeralContainers[0].ports: Forbidden: cannot be set for an Ephemeral Container"),
        ({"name": "x", "image": "b", "resources": {"limits": {"cpu": 1}}}, "[0].resources: Forbidden: cannot be set"),
        ({"name": "x", "image": "b", "livenessProbe": {"exec": {"command": ["a"]}}}, "[0].livenessProbe: Forbidden"),
        ({"name": "x", "image": "b", "lifecycle": {"preStop": {"exec": {"command": ["a"]}}}},
         "[0].lifecycle: Forbidden"),
        ({"name": "x", "image": "b", "targetContainerName": "y"}, '[0].targetContainerName: Not found: "y"'),
        ({"name": "x"}, "spec.ephemeralContainers[0].image: Required value"),
        ({"name": "X!", "image": "b"}, 'spec.ephemeralContainers[0].name: Invalid value: "X!"'),
    ],
)  # fmt: skip
def test_what_an_ephemeral_container_may_not_say(lab: Lab, container: Object, words: str) -> None:
    lab.run()
    assert words in lab.refused("ephemeralcontainers", {"spec": {"ephemeralContainers": [container]}})


def test_an_ephemeral_container_is_neither_changed_nor_removed(lab: Lab) -> None:
    lab.run()
    lab.debug(SHELL)
    path = "/spec/ephemeralContainers/0"
    removed = [{"op": "remove", "path": path}]
    words = 'spec.ephemeralContainers: Forbidden: existing ephemeral containers "debugger" may not be removed'
    assert words in lab.refused("ephemeralcontainers", removed, content_type=JSON)
    changed = [{"op": "replace", "path": f"{path}/image", "value": "alpine"}]
    words = 'existing ephemeral containers "debugger" may not be changed'
    assert words in lab.refused("ephemeralcontainers", changed, content_type=JSON)


def test_ephemeral_containers_come_through_their_door_only(lab: Lab) -> None:
    pod = {"metadata": {"name": "born"}, "spec": {"containers": [{"name": "a", "image": "b"}],
                                                  "ephemeralContainers": [SHELL]}}  # fmt: skip
    with pytest.raises(ApiError, match=r"spec.ephemeralContainers: Forbidden: cannot be set on create"):
        lab.client.create("pods", pod, "default")
    lab.run()
    assert "pod updates may not change fields" in lab.refused("", {"spec": {"ephemeralContainers": [SHELL]}})
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod["spec"]}
    sets = {"metadata": {"name": "s"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    with pytest.raises(ApiError, match="ephemeral containers not allowed in pod template"):
        lab.client.create("replicasets", sets, "default")


# resize


def test_more_processor_is_given_without_a_restart(lab: Lab) -> None:
    before = lab.run(resources=amounts("100m", "64Mi"))
    assert status_of(before)["resources"] == amounts("100m", "64Mi")
    assert status_of(before)["allocatedResources"] == {"cpu": "100m", "memory": "64Mi"}
    pod = lab.resize({"requests": {"cpu": "300m"}})
    assert status_of(pod)["resources"] == amounts("300m", "64Mi")
    assert status_of(pod)["allocatedResources"] == {"cpu": "300m", "memory": "64Mi"}
    assert status_of(pod)["containerID"] == status_of(before)["containerID"] and status_of(pod)["restartCount"] == 0
    assert condition(pod, PENDING) is None and condition(pod, IN_PROGRESS) is None
    found = lab.runtime_resources()
    assert found is not None and found.cpu_request == 0.3
    assert pod["metadata"]["generation"] == before["metadata"]["generation"] + 1


def test_a_resize_policy_of_restart_starts_the_container_again(lab: Lab) -> None:
    policy = {"resizePolicy": [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]}
    lab.run(resources=amounts("100m", "64Mi", limits=True), container=policy)
    pod = lab.resize(amounts("200m", "64Mi", limits=True))
    assert status_of(pod)["restartCount"] == 0
    pod = lab.resize(amounts("200m", "32Mi", limits=True))
    assert status_of(pod)["restartCount"] == 1 and "running" in status_of(pod)["state"]
    assert status_of(pod)["resources"] == amounts("200m", "32Mi", limits=True)
    assert ("Killing", "Container main resize requires restart") in lab.events()
    assert not [reason for reason, _ in lab.events() if reason == "BackOff"]


def test_a_node_that_could_never_hold_it_calls_a_resize_infeasible(lab: Lab) -> None:
    before = lab.run(resources=amounts("100m", "64Mi"))
    pod = lab.resize({"requests": {"cpu": "8"}})
    found = condition(pod, PENDING) or {}
    assert (found["status"], found["reason"]) == ("True", "Infeasible")
    assert found["message"] == "Node didn't have enough capacity: cpu, requested: 8000, capacity: 2000"
    assert status_of(pod)["allocatedResources"] == {"cpu": "100m", "memory": "64Mi"}
    assert status_of(pod)["resources"] == status_of(before)["resources"]
    pod = lab.resize({"requests": {"cpu": "200m"}})
    assert condition(pod, PENDING) is None and status_of(pod)["allocatedResources"]["cpu"] == "200m"


def test_a_resize_waits_until_another_pod_makes_room(lab: Lab) -> None:
    lab.run(resources=amounts("500m", "64Mi"))
    lab.run("other", resources=amounts("1", "64Mi"))
    pod = lab.resize({"requests": {"cpu": "1500m"}})
    found = condition(pod, PENDING) or {}
    assert found["reason"] == "Deferred"
    words = "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000"
    assert found["message"] == words
    lab.client.delete("pods", "other", "default", gracePeriodSeconds=0)
    lab.cluster.settle(limit=20)
    pod = lab.pod()
    assert condition(pod, PENDING) is None and status_of(pod)["allocatedResources"]["cpu"] == "1500m"


def test_a_pod_that_has_run_to_its_end_makes_room_too(lab: Lab) -> None:
    lab.run(resources=amounts("500m", "64Mi"))
    short = {"image": "busybox", "command": ["sleep", "100"]}
    lab.run("other", resources=amounts("1", "64Mi"), container=short, restartPolicy="Never")
    assert (condition(lab.resize({"requests": {"cpu": "1500m"}}), PENDING) or {})["reason"] == "Deferred"
    lab.cluster.run_for(120)
    assert condition(lab.pod(), PENDING) is None


def test_a_container_that_restarts_while_a_resize_waits_keeps_what_it_was_granted(lab: Lab) -> None:
    lab.run(resources=amounts("100m", "64Mi"), container={"image": "busybox", "command": ["sleep", "60"]})
    lab.resize({"requests": {"cpu": "8"}})
    lab.cluster.run_for(90)
    assert status_of(lab.pod())["restartCount"] >= 1
    found = lab.runtime_resources()
    assert found is not None and found.cpu_request == 0.1


def test_a_new_limit_bounds_what_is_used_from_now_on(lab: Lab) -> None:
    annotations = {"metadata": {"annotations": {"k8snb.io/usage-cpu": "5"}}}
    lab.client.create("pods", {
        "metadata": {"name": "web", **annotations["metadata"]},
        "spec": {"nodeName": "node-1", "containers": [
            {"name": "main", "image": "nginx", "resources": amounts("200m", "64Mi", limits=True)}]},
    }, "default")  # fmt: skip
    lab.cluster.settle(limit=20)
    lab.cluster.run_for(100)
    runtime, container = lab.cluster.runtime, lab.cluster.runtime.list_containers("node-1")[0].id
    before = runtime.container_stats(container).cpu_seconds
    lab.resize(amounts("1", "64Mi", limits=True))
    lab.cluster.run_for(100)
    assert runtime.container_stats(container).cpu_seconds - before == pytest.approx(100, abs=2)


def test_what_changes_nothing_makes_no_work(lab: Lab) -> None:
    pod = lab.run(resources=amounts("100m", "64Mi"))
    state = lab.cluster.nodes["node-1"].kubelet.pleg.state(pod["metadata"]["uid"])  # type: ignore[union-attr]
    assert plan(pod, state, free=lambda: ({}, {}), failures={}) is NOTHING
    revision = lab.cluster.store.revision
    lab.resize({"requests": {"cpu": "100m"}})
    assert lab.pod()["metadata"]["resourceVersion"] == pod["metadata"]["resourceVersion"] and revision > 0


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        (amounts("100m", "64Mi", limits=True),
         'spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing'),
        ({"requests": {"cpu": None}},
         "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed"),
        ({"limits": {"memory": None}},
         "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed"),
        ({"limits": {"memory": "100Mi"}}, "spec.containers[0].resources.limits[memory]: Forbidden: memory limits "
                                          "cannot be decreased unless resizePolicy is RestartContainer"),
        ({"limits": {"ephemeral-storage": "1Gi"}}, "spec: Forbidden: only cpu and memory resources are mutable"),
        ({"requests": {"memory": "1Gi"}}, "must be less than or equal to memory limit of 128Mi"),
    ],
)  # fmt: skip
def test_what_a_resize_may_not_do(lab: Lab, resources: Object, words: str) -> None:
    lab.run(resources={"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}})
    if words.startswith("spec: Invalid"):
        resources = {**resources, "limits": {"cpu": "100m", "memory": "128Mi"}, "requests": {"memory": "128Mi"}}
    patch = {"spec": {"containers": [{"name": "main", "resources": resources}]}}
    assert words in lab.refused("resize", patch)


def test_a_memory_limit_is_not_added_in_place(lab: Lab) -> None:
    lab.run(resources=amounts("100m", "64Mi"))
    patch = {"spec": {"containers": [{"name": "main", "resources": {"limits": {"memory": "1Gi"}}}]}}
    words = "limits[memory]: Forbidden: memory limits cannot be added unless resizePolicy is RestartContainer"
    assert words in lab.refused("resize", patch)


def test_only_sidecars_among_init_containers_are_resized(lab: Lab) -> None:
    once = {"name": "once", "image": "busybox", "command": ["true"], "resources": amounts("10m", "1Mi")}
    side = {"name": "side", "image": "busybox", "command": ["sleep", "3600"], "restartPolicy": "Always",
            "resources": amounts("10m", "1Mi")}  # fmt: skip
    lab.run(resources=amounts("100m", "64Mi"), initContainers=[once, side])
    patch = {"spec": {"initContainers": [{"name": "once", "resources": {"requests": {"cpu": "20m"}}}]}}
    words = "spec.initContainers[0].resources: Forbidden: resources for non-sidecar init containers are immutable"
    assert words in lab.refused("resize", patch)
    lab.patch("resize", {"spec": {"initContainers": [{"name": "side", "resources": {"requests": {"cpu": "20m"}}}]}})
    found = {status["name"]: status for status in lab.pod()["status"]["initContainerStatuses"]}
    assert found["side"]["allocatedResources"]["cpu"] == "20m" and found["side"]["restartCount"] == 0


def test_containers_are_not_added_by_a_resize_and_nothing_else_changes(lab: Lab) -> None:
    lab.run(resources=amounts("100m", "64Mi"))
    added = {"spec": {"containers": [{"name": "second", "image": "nginx"}]}}
    assert "containers may not be added or removed on resize" in lab.refused("resize", added)
    other = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "main", "image": "other"}]}}
    lab.patch("resize", other)
    pod = lab.pod()
    assert pod["spec"]["containers"][0]["image"] == "nginx" and not pod["metadata"].get("labels")


def test_resources_change_through_the_door_only(lab: Lab) -> None:
    lab.run(resources=amounts("100m", "64Mi"))
    patch = {"spec": {"containers": [{"name": "main", "resources": {"requests": {"cpu": "1"}}}]}}
    assert "pod updates may not change fields" in lab.refused("", patch)


@pytest.mark.parametrize(
    ("policy", "restart", "words"),
    [
        ({"resourceName": "disk", "restartPolicy": "NotRequired"}, "Always", 'Unsupported value: "disk"'),
        ({"resourceName": "cpu", "restartPolicy": "Sometimes"}, "Always", 'Unsupported value: "Sometimes"'),
        ({"resourceName": "cpu", "restartPolicy": "RestartContainer"}, "Never",
         "must be 'NotRequired' when `restartPolicy` is 'Never'"),
    ],
)  # fmt: skip
def test_a_resize_policy_that_makes_no_sense_is_refused(lab: Lab, policy: Object, restart: str, words: str) -> None:
    with pytest.raises(ApiError) as error:
        lab.run(container={"resizePolicy": [policy]}, restartPolicy=restart)
    assert words in error.value.message


# bindings


def test_a_binding_may_be_posted_to_its_own_resource(lab: Lab) -> None:
    """`pods/binding` and `bindings` are one door: `pkg/registry/core/rest/storage_core.go`."""
    lab.client.create("pods", {"metadata": {"name": "loose"}, "spec": {
        "schedulerName": "mine", "containers": [{"name": "main", "image": "nginx"}]}}, "default")  # fmt: skip
    lab.cluster.settle(limit=20)
    assert "nodeName" not in lab.pod("loose")["spec"]
    target = {"apiVersion": "v1", "kind": "Node", "name": "node-1"}
    lab.client.create("bindings", {"metadata": {"name": "loose"}, "target": target}, "default")
    lab.cluster.settle(limit=20)
    assert lab.pod("loose")["spec"]["nodeName"] == "node-1" and lab.pod("loose")["status"]["phase"] == "Running"
    with pytest.raises(ApiError, match="is already assigned to node"):
        lab.client.create("bindings", {"metadata": {"name": "loose"}, "target": target}, "default")


# real containers, real kubectls


KUBECTLS = sorted(Path(shutil.which("kubectl") or "/nowhere").resolve().parent.glob("kubectl.1.*"))
EVERY = os.environ.get("K8SNB_KUBECTLS") == "all"
CHOSEN = KUBECTLS if EVERY else [path for path in KUBECTLS if path.name in ("kubectl.1.27", "kubectl.1.33")]
RESIZERS = [path for path in KUBECTLS if path.name in ("kubectl.1.32", "kubectl.1.33")]
needs_kubectl = pytest.mark.skipif(not CHOSEN, reason="optional: no kubectl is installed")


class Served:
    """A cluster of real processes, served, with a pod `web`."""

    def __init__(self, folder: Path, runtime: str | ProcessRuntime = "process") -> None:
        self.cluster = Cluster("debugged", nodes=1, runtime=runtime)
        self.cluster.start()
        self.config = folder / "config"
        self.config.write_text(self.cluster.kubeconfig)
        self.run("web", {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}})

    def run(self, name: str, resources: Object) -> None:
        container = {"name": "main", "image": "nginx", "resources": resources}
        spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
        self.cluster.client.create("pods", {"metadata": {"name": name}, "spec": spec}, "default")
        assert self.cluster.wait(lambda: self.pod(name)["status"]["phase"] == "Running", 30)

    def pod(self, name: str = "web") -> Object:
        return self.cluster.client.get("pods", name, "default")

    def kubectl(self, program: Path, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        command = [str(program), f"--kubeconfig={self.config}", *words]
        return subprocess.run(command, input=given, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(tmp_path_factory.mktemp("doors"))
    yield made
    made.cluster.delete()


@pytest.mark.process
@needs_kubectl
@pytest.mark.parametrize("kubectl", CHOSEN, ids=lambda path: path.name)
def test_kubectl_debug_opens_a_shell_in_a_pod(served: Served, kubectl: Path) -> None:
    name = "shell-" + kubectl.name.rpartition(".")[2]
    # the shell may have begun before kubectl listens: what it reads is the same
    done = served.kubectl(kubectl, "debug", "web", "--image=busybox", "-i", f"--container={name}", "--target=main",
                          "--", "sh", given="sleep 1; echo said $((40 + 2))\nexit 0\n")  # fmt: skip
    assert "said 42" in done.stdout, done
    assert served.cluster.wait(lambda: "terminated" in debugger(served, name)["state"], 10)
    assert debugger(served, name)["state"]["terminated"]["exitCode"] == 0


@pytest.mark.process
@needs_kubectl
@pytest.mark.parametrize("kubectl", CHOSEN[-1:], ids=lambda path: path.name)
def test_kubectl_debug_leaves_a_container_to_itself(served: Served, kubectl: Path) -> None:
    done = served.kubectl(kubectl, "debug", "web", "--image=busybox", "--container=quiet", "--", "sleep", "300")
    assert done.returncode == 0, done
    assert served.cluster.wait(lambda: "running" in debugger(served, "quiet").get("state", {}), 20)
    described = served.kubectl(kubectl, "describe", "pod", "web").stdout
    assert "Ephemeral Containers:\n  quiet:" in described or "quiet:" in described.partition("Ephemeral Containers:")[2]


def debugger(served: Served, name: str) -> Object:
    statuses = served.pod()["status"].get("ephemeralContainerStatuses") or ()
    return next((status for status in statuses if status["name"] == name), {})


@pytest.mark.process
@pytest.mark.skipif(not RESIZERS, reason="optional: no kubectl of 1.32 or later is installed")
@pytest.mark.parametrize("kubectl", RESIZERS, ids=lambda path: path.name)
def test_kubectl_patches_a_pods_resources(served: Served, kubectl: Path) -> None:
    name = "sized-" + kubectl.name.rpartition(".")[2]
    served.run(name, {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}})
    patch = {"spec": {"containers": [{"name": "main", "resources": {"limits": {"memory": "200Mi"}}}]}}
    done = served.kubectl(kubectl, "patch", "pod", name, "--subresource", "resize", "--patch", json.dumps(patch))
    assert (done.stdout, done.returncode) == (f"pod/{name} patched\n", 0), done
    assert served.cluster.wait(lambda: status_of(served.pod(name))["resources"]["limits"]["memory"] == "200Mi", 10)
    assert status_of(served.pod(name))["restartCount"] == 0


@pytest.fixture
def unlimited(tmp_path: Path) -> Iterator[Served]:
    """Where the kernel allows no cgroups."""
    made = Served(tmp_path, ProcessRuntime("unlimited", cgroups=False))
    yield made
    made.cluster.delete()


@pytest.mark.process
def test_a_limit_that_processes_do_not_have_is_infeasible(unlimited: Served) -> None:
    served = unlimited
    served.run("limited", {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}})
    patch = {"spec": {"containers": [{"name": "main", "resources": {"limits": {"cpu": "300m"}}}]}}
    served.cluster.client.patch("pods", "limited", patch, "default", subresource="resize")
    assert served.cluster.wait(lambda: condition(served.pod("limited"), PENDING) is not None, 10)
    found = condition(served.pod("limited"), PENDING) or {}
    assert found["reason"] == "Infeasible" and "no CPU limit" in found["message"]
    assert status_of(served.pod("limited"))["resources"]["limits"]["cpu"] == "200m"


@pytest.mark.process
def test_a_larger_memory_limit_saves_a_growing_process(served: Served) -> None:
    grow = (
        "import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)\n"
        "x = [bytes(2**21) * 1 for _ in range(60)]\nprint('grown', flush=True)\ntime.sleep(600)"
    )
    container = {"name": "main", "image": "python:3", "command": ["python3", "-c", grow],
                 "resources": {"requests": {"memory": "10Mi"}, "limits": {"memory": "100Mi"}}}  # fmt: skip
    spec = {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
    served.cluster.client.create("pods", {"metadata": {"name": "grow"}, "spec": spec}, "default")
    assert served.cluster.wait(lambda: served.pod("grow")["status"]["phase"] == "Running", 30)
    patch = {"spec": {"containers": [{"name": "main", "resources": {"limits": {"memory": "1Gi"}}}]}}
    served.cluster.client.patch("pods", "grow", patch, "default", subresource="resize")
    assert served.cluster.wait(lambda: status_of(served.pod("grow"))["resources"]["limits"]["memory"] == "1Gi", 60)
    served.cluster.client.exec("grow", "default", ["touch", "go"])
    assert served.cluster.wait(lambda: b"grown" in b"".join(served.cluster.client.logs("grow", "default")), 60)
    time.sleep(3)  # the limit is looked at every other second
    assert served.pod("grow")["status"]["phase"] == "Running"
    served.cluster.client.delete("pods", "grow", "default", gracePeriodSeconds=0)


# on Docker


@pytest.fixture(scope="module")
def engine() -> Iterator[Cluster]:
    from docker_images import image_layers

    from k8snb.cri.docker_engine import connected

    with connected() as api, image_layers(api), Cluster("k8snb-doors", nodes=1, runtime="docker") as made:
        resources = {"requests": {"cpu": "100m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}}
        script = "while true; do sleep 3601 & wait; done"
        made.client.create("pods", engine_pod("web", script, resources), "default")
        assert made.wait(lambda: "running" in engine_state(made), 60)
        yield made


def engine_pod(name: str, script: str, resources: Object) -> Object:
    from docker_images import SHELL as IMAGE

    container = {"name": "main", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script],
                 "resources": resources}  # fmt: skip
    return {"metadata": {"name": name}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 0}}


def engine_state(cluster: Cluster, field: str = "containerStatuses") -> Object:
    statuses = cluster.client.get("pods", "web", "default")["status"].get(field) or [{"state": {}}]
    found: Object = statuses[0]["state"]
    return found


@pytest.mark.docker
def test_a_debugger_sees_the_processes_of_its_target(engine: Cluster) -> None:
    from docker_images import SHELL as IMAGE

    container = {"name": "debugger", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "600"],
                 "targetContainerName": "main"}  # fmt: skip
    patch = {"spec": {"ephemeralContainers": [container]}}
    engine.client.patch("pods", "web", patch, "default", subresource="ephemeralcontainers")
    assert engine.wait(lambda: "running" in engine_state(engine, "ephemeralContainerStatuses"), 30)
    seen = engine.client.exec("web", "default", ["sh", "-c", "cat /proc/[0-9]*/cmdline"], "debugger").stdout
    assert b"3601" in seen and b"600" in seen


@pytest.mark.docker
def test_an_engine_changes_the_limits_of_a_running_container(engine: Cluster) -> None:
    wanted = {"requests": {"cpu": "109m"}, "limits": {"memory": "96Mi"}}
    patch = {"spec": {"containers": [{"name": "main", "resources": wanted}]}}
    engine.client.patch("pods", "web", patch, "default", subresource="resize")
    assert engine.wait(lambda: limits_in_force(engine) == (0.109, 96 * 2**20), 20)
    engine.wait(lambda: False, 1.0)
    status = status_of(engine.client.get("pods", "web", "default"))
    assert status["resources"]["limits"]["memory"] == "96Mi" and status["restartCount"] == 0
    assert condition(engine.client.get("pods", "web", "default"), IN_PROGRESS) is None


def limits_in_force(cluster: Cluster) -> tuple[float, int]:
    found = next(c for c in cluster.runtime.list_containers("node-1") if c.name == "main").resources
    assert found is not None
    return found.cpu_request, found.memory_limit


@pytest.mark.docker
def test_an_engine_says_what_a_container_uses(engine: Cluster) -> None:
    container = next(c.id for c in engine.runtime.list_containers("node-1") if c.name == "main")
    before = engine.runtime.container_stats(container)
    engine.client.exec("web", "default", ["sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"], "main")
    after = engine.runtime.container_stats(container)
    assert after.cpu_seconds > before.cpu_seconds + 0.05 and after.timestamp > before.timestamp
    assert 0 < after.memory_bytes < 96 * 2**20
    page = json.loads(engine.client.proxy("nodes", "node-1", "/stats/summary").body)
    assert page["pods"][0]["containers"][0]["memory"]["workingSetBytes"] > 0
