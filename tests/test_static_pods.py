"""Static pods: a manifest in a node's directory is a pod that no API object decides on; its mirror shows it.

Upstream's rules are in `pkg/kubelet/config/{file,common}.go`, `pkg/kubelet/pod/mirror_client.go` and
`tryReconcileMirrorPods` of pkg/kubelet/kubelet.go of the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k8snb.apimachinery.errors import ApiError
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster

Object = dict[str, Any]
NAME = "etcd-control-plane"  # the manifest's name and the node's
MANIFEST = """
apiVersion: v1
kind: Pod
metadata:
  name: etcd
  labels: {tier: control-plane}
spec:
  containers:
  - name: main
    image: %s
"""


class Lab:
    """A cluster of one simulated worker whose control plane's node has a directory of manifests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=0, static_pods=folder)
        self.cluster.start()
        self.client = self.cluster.client
        self.settle()

    def settle(self, seconds: float = 5.0) -> None:
        self.cluster.run_for(seconds)

    def put(self, text: str, name: str = "etcd.yaml") -> None:
        (self.folder / name).write_text(text)
        self.settle()

    def pod(self, name: str = NAME) -> Object | None:
        found: Object | None = self.client.find("pods", name, "default")
        return found

    def images(self) -> list[str]:
        """Of the containers that run on the node, whatever the apiserver says."""
        found = self.cluster.runtime.list_containers("control-plane")
        return sorted(each.image for each in found if each.state == "CONTAINER_RUNNING")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.cluster.delete()


def test_a_manifest_in_the_directory_is_a_running_pod_with_a_mirror(lab: Lab) -> None:
    lab.put(MANIFEST % "nginx:1.7.9")
    pod = lab.pod()
    assert pod is not None
    annotations = pod["metadata"]["annotations"]
    assert annotations["kubernetes.io/config.source"] == "file"
    assert annotations["kubernetes.io/config.hash"] == annotations["kubernetes.io/config.mirror"]
    assert annotations["kubernetes.io/config.hash"] != pod["metadata"]["uid"]
    assert annotations["kubernetes.io/config.seen"].startswith("2023-11-14T")
    owner = pod["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Node", "control-plane", True)
    assert pod["spec"]["nodeName"] == "control-plane"
    assert {"operator": "Exists", "effect": "NoExecute"} in pod["spec"]["tolerations"]
    assert "serviceAccountName" not in pod["spec"]
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["containerStatuses"][0]["ready"]
    assert lab.images() == ["nginx:1.7.9"]


def test_a_mirror_leads_to_its_pod_s_logs_and_containers(lab: Lab) -> None:
    lab.put(MANIFEST % "busybox" + "    command: [sh, -c, 'echo hello; sleep 1000000']\n")
    assert b"".join(lab.client.logs(NAME, "default")) == b"hello\n"
    assert lab.client.exec(NAME, "default", ["echo", "there"]).stdout == b"there\n"


def test_a_deleted_mirror_comes_back_and_the_pod_never_stops(lab: Lab) -> None:
    lab.put(MANIFEST % "nginx:1.7.9")
    before, ran = lab.pod(), lab.cluster.runtime.list_containers("control-plane")
    lab.client.delete("pods", NAME, "default")
    lab.settle()
    after = lab.pod()
    assert before is not None and after is not None
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert "deletionTimestamp" not in after["metadata"]
    assert after["status"]["phase"] == "Running"
    assert lab.cluster.runtime.list_containers("control-plane") == ran


def test_what_the_api_says_changes_nothing_of_what_runs(lab: Lab) -> None:
    lab.put(MANIFEST % "nginx:1.7.9")
    pod = lab.pod()
    assert pod is not None
    container = {**pod["spec"]["containers"][0], "image": "nginx:1.9.1"}
    lab.client.update("pods", {**pod, "spec": {**pod["spec"], "containers": [container]}})
    lab.settle(30)
    assert lab.images() == ["nginx:1.7.9"]


def test_the_mirror_annotation_cannot_be_taken_away_or_given(lab: Lab) -> None:
    """ValidatePodSpecificAnnotationUpdates."""
    lab.put(MANIFEST % "nginx:1.7.9")
    lab.client.create("pods", {"metadata": {"name": "own"}, "spec": {"containers": [{"name": "m", "image": "nginx"}]}},
                      "default")  # fmt: skip
    own, mirror = lab.pod("own"), lab.pod()
    assert own is not None and mirror is not None
    with pytest.raises(ApiError, match=r"config\.mirror\]: Forbidden: may not remove or update mirror pod annotation"):
        lab.client.update("pods", {**mirror, "metadata": {**mirror["metadata"], "annotations": {}}})
    given = {"kubernetes.io/config.mirror": "x"}
    with pytest.raises(ApiError, match=r"config\.mirror\]: Forbidden: may not add mirror pod annotation"):
        lab.client.update("pods", {**own, "metadata": {**own["metadata"], "annotations": given}})


def test_a_changed_manifest_replaces_its_pod_after_it_has_ended(lab: Lab) -> None:
    lab.put(MANIFEST % "nginx:1.7.9")
    before = lab.pod()
    lab.put(MANIFEST % "nginx:1.9.1")
    lab.settle(60)
    after = lab.pod()
    assert before is not None and after is not None
    assert lab.images() == ["nginx:1.9.1"]
    assert after["spec"]["containers"][0]["image"] == "nginx:1.9.1"
    assert after["metadata"]["annotations"] != before["metadata"]["annotations"]
    assert after["status"]["phase"] == "Running"


def test_a_removed_manifest_ends_its_pod_and_takes_the_mirror_away(lab: Lab) -> None:
    lab.put(MANIFEST % "nginx:1.7.9")
    (lab.folder / "etcd.yaml").unlink()
    lab.settle(60)
    assert lab.pod() is None
    assert lab.images() == []
    assert lab.cluster.runtime.list_pod_sandboxes("control-plane") == []


def test_a_crashing_static_pod_is_restarted_and_its_mirror_says_so(lab: Lab) -> None:
    lab.put(MANIFEST % "busybox" + "    command: ['false']\n")
    lab.settle(120)
    pod = lab.pod()
    assert pod is not None
    status = pod["status"]["containerStatuses"][0]
    assert status["restartCount"] >= 3
    assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"


def test_a_quiet_static_pod_costs_no_writes(lab: Lab) -> None:
    lab.put(MANIFEST % "nginx:1.7.9")
    lab.settle(5)
    before = lab.pod()
    lab.settle(250)
    assert lab.pod() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: Pod\n  bad", "cannot process the manifest"),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: x}\n", "one object, of kind Pod"),
        (MANIFEST % "nginx" + "    imag: x\n", 'unknown field "spec.containers[0].imag"'),
        (MANIFEST % "nginx" + "  serviceAccountName: robot\n", "may not reference a service account"),
        (MANIFEST % "nginx" + "  volumes: [{name: v, configMap: {name: c}}]\n", "may not reference other API objects"),
    ],
)
def test_a_file_that_is_no_static_pod_is_complained_of_once_and_harms_no_other(lab: Lab, text: str, said: str) -> None:
    lab.put(text, "bad.yaml")
    lab.put(MANIFEST % "nginx:1.7.9")
    lab.settle(30)
    events = [event for event in lab.client.items("events") if event["reason"] == "FailedStaticPod"]
    assert [(event["involvedObject"]["kind"], event.get("count", 1)) for event in events] == [("Node", 1)]
    assert said in events[0]["message"]
    assert lab.images() == ["nginx:1.7.9"]


def test_a_mirror_left_by_a_node_that_was_off_goes_with_its_manifest(lab: Lab) -> None:
    lab.put(MANIFEST % "nginx:1.7.9")
    lab.cluster.stop_node("control-plane")
    (lab.folder / "etcd.yaml").unlink()
    lab.cluster.start_node("control-plane")
    lab.settle(30)
    assert lab.pod() is None


def test_a_worker_may_have_a_directory_of_its_own(lab: Lab, tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "web.json").write_text(
        '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"kube-system"},'
        '"spec":{"containers":[{"name":"m","image":"nginx"}]}}'
    )
    lab.cluster.add_node("edge", static_pods=folder)
    lab.settle(10)
    assert lab.client.get("pods", "web-edge", "kube-system")["status"]["phase"] == "Running"


def test_a_drain_passes_over_mirrors(lab: Lab) -> None:
    lab.put(MANIFEST % "nginx:1.7.9")
    assert "drained" in str(lab.cluster.kubectl.run("drain control-plane"))
    lab.settle()
    assert lab.images() == ["nginx:1.7.9"]
