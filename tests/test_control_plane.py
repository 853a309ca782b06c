"""The control plane: what is stopped does nothing, nothing else breaks, and what was missed is caught up on return.

Restates "Kubernetes Components" (concepts/overview/components), "Options for Highly Available Topology"
(setup/production-environment/tools/kubeadm/ha-topology), and the e2e tests under test/e2e_node and
test/e2e/cloud/gcp/ha_master.go and test/e2e/apps/daemon_restart.go.
"""

from __future__ import annotations

import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cluster_lab import boot

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import get_path, is_true, name_of
from k8snb.cluster import Cluster

Object = dict[str, Any]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = boot()
    yield cluster
    cluster.delete()


def deployment(name: str = "web", replicas: int = 2) -> Object:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "nginx"}]}}
    return {"metadata": {"name": name}, "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                                                 "template": template}}  # fmt: skip


def pod(name: str = "lone", **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": "nginx"}], **spec}}


def service(name: str = "web", **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": [{"port": 80}], **spec}}


def phases(cluster: Cluster) -> list[str]:
    return [pod["status"]["phase"] for pod in cluster.client.items("pods", "default")]


def scale(cluster: Cluster, replicas: int) -> None:
    cluster.client.patch("deployments", "web", {"spec": {"replicas": replicas}}, "default")


def quiet(cluster: Cluster) -> None:
    cluster.settle(limit=60)


# one component each


def test_without_a_scheduler_pods_wait_and_are_placed_on_its_return(cluster: Cluster) -> None:
    """docs: concepts/overview/components (kube-scheduler); e2e: test/e2e/apps/daemon_restart.go "Scheduler should
    continue assigning pods to nodes across restart"."""
    cluster.component("kube-scheduler").stop()
    cluster.client.create("deployments", deployment(), "default")
    quiet(cluster)
    assert phases(cluster) == ["Pending", "Pending"]
    cluster.component("kube-scheduler").start()
    quiet(cluster)
    assert phases(cluster) == ["Running", "Running"]


def test_without_a_controller_manager_nothing_follows_and_all_follows_on_its_return(cluster: Cluster) -> None:
    """e2e: daemon_restart.go "Controller Manager should not create/delete replicas across restart"."""
    cluster.client.create("deployments", deployment(), "default")
    quiet(cluster)
    cluster.component("kube-controller-manager").stop()
    scale(cluster, 4)
    cluster.client.create("pods", pod(), "default")
    quiet(cluster)
    assert phases(cluster) == ["Running"] * 3, "what needs no controller goes on: the lone pod runs"
    cluster.component("kube-controller-manager").start()
    quiet(cluster)
    assert phases(cluster) == ["Running"] * 5


MISSED: dict[str, tuple[Callable[[Cluster], object], Callable[[Cluster], bool]]] = {
    "deployment-controller": (
        lambda cluster: cluster.client.create("deployments", deployment(), "default"),
        lambda cluster: bool(cluster.client.items("replicasets", "default")),
    ),
    "replicaset-controller": (
        lambda cluster: cluster.client.create("deployments", deployment(), "default"),
        lambda cluster: bool(cluster.client.items("pods", "default")),
    ),
    "endpointslice-controller": (
        lambda cluster: cluster.client.create("services", service(), "default"),
        lambda cluster: any("web" in name_of(each) for each in cluster.client.items("endpointslices", "default")),
    ),
    "namespace-controller": (
        lambda cluster: (cluster.client.create("namespaces", {"metadata": {"name": "short"}}),
                         cluster.client.delete("namespaces", "short")),
        lambda cluster: cluster.client.find("namespaces", "short") is None,
    ),
    "serviceaccount-controller": (
        lambda cluster: cluster.client.create("namespaces", {"metadata": {"name": "fresh"}}),
        lambda cluster: cluster.client.find("serviceaccounts", "default", "fresh") is not None,
    ),
    "root-ca-certificate-publisher-controller": (
        lambda cluster: cluster.client.create("namespaces", {"metadata": {"name": "fresh"}}),
        lambda cluster: cluster.client.find("configmaps", "kube-root-ca.crt", "fresh") is not None,
    ),
    "node-lifecycle-controller": (
        lambda cluster: (cluster.stop_node("node-1"), cluster.run_for(60)),
        lambda cluster: not is_true(cluster.client.get("nodes", "node-1"), "Ready"),
    ),
    "job-controller": (
        lambda cluster: cluster.client.create("jobs", {"metadata": {"name": "once"}, "spec": {"template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox", "command": ["true"]}]}}}},
            "default"),
        lambda cluster: bool(cluster.client.items("pods", "default")),
    ),
    "statefulset-controller": (
        lambda cluster: cluster.client.create("statefulsets", {"metadata": {"name": "db"}, "spec": {
            **deployment("db")["spec"], "serviceName": "db"}}, "default"),
        lambda cluster: bool(cluster.client.items("pods", "default")),
    ),
    "daemonset-controller": (
        lambda cluster: cluster.client.create("daemonsets", {"metadata": {"name": "log"}, "spec": {
            key: value for key, value in deployment("log")["spec"].items() if key != "replicas"}}, "default"),
        lambda cluster: bool(cluster.client.items("pods", "default")),
    ),
    "persistentvolume-binder-controller": (
        lambda cluster: (
            cluster.client.create("persistentvolumes", {"metadata": {"name": "disk"}, "spec": {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "slow",
                "hostPath": {"path": "/tmp/disk"}}}),
            cluster.client.create("persistentvolumeclaims", {"metadata": {"name": "claim"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "storageClassName": "slow",
                "resources": {"requests": {"storage": "1Gi"}}}}, "default")),
        lambda cluster: cluster.client.get("persistentvolumeclaims", "claim", "default")["status"]["phase"] == "Bound",
    ),
    "garbage-collector-controller": (
        lambda cluster: cluster.client.create("configmaps", {"metadata": {"name": "orphan", "ownerReferences": [{
            "apiVersion": "v1", "kind": "ConfigMap", "name": "nobody", "uid": "no-such-uid"}]}}, "default"),
        lambda cluster: cluster.client.find("configmaps", "orphan", "default") is None,
    ),
    "disruption-controller": (
        lambda cluster: cluster.client.create("poddisruptionbudgets", {"metadata": {"name": "web"}, "spec": {
            "minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}}, "default"),
        lambda cluster: "observedGeneration" in (cluster.client.get(
            "poddisruptionbudgets", "web", "default").get("status") or {}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISSED)
def test_what_a_stopped_controller_would_have_done_is_done_on_its_return(cluster: Cluster, name: str) -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    act, done = MISSED[name]
    cluster.component(name).stop()
    assert cluster.component(name).state == "Stopped"
    act(cluster)
    quiet(cluster)
    assert not done(cluster)
    cluster.component(name).start()
    cluster.run_for(90)
    assert done(cluster)


def test_every_controller_can_be_stopped_and_started_and_nothing_is_written_by_that(cluster: Cluster) -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    cluster.client.create("deployments", deployment(), "default")
    cluster.client.create("services", service(), "default")
    quiet(cluster)
    before = cluster.store.revision
    for name in [*cluster.controllers]:
        cluster.component(name).stop()
        quiet(cluster)
        cluster.component(name).start()
        quiet(cluster)
    written = [r.key for r in cluster.store.history(after=before) if "lease" not in r.key and "/events/" not in r.key]
    assert [key for key in written if not key.startswith("/registry/nodes/")] == []


def test_a_stopped_controller_leaves_no_watch_and_no_handler(cluster: Cluster) -> None:
    """k8snb: what is stopped costs nothing."""
    component = cluster.component("kube-controller-manager")
    hubs = cluster.apiserver.registry._hubs
    watching = sum(len(hub._everywhere) for hub in hubs.values())
    for _ in range(3):
        component.stop()
        component.start()
        quiet(cluster)
    assert sum(len(hub._everywhere) for hub in hubs.values()) == watching
    informer = cluster.controllers["replicaset-controller"].informers.get("pods")._lender
    hearing = len(informer._handlers)
    for _ in range(3):
        cluster.component("replicaset-controller").stop()
        cluster.component("replicaset-controller").start()
    again = cluster.controllers["replicaset-controller"].informers.get("pods")._lender
    assert (again, len(informer._handlers)) == (informer, hearing)


def test_without_its_kubelet_a_node_runs_what_it_runs_and_takes_nothing_new(cluster: Cluster) -> None:
    """Upstream: Kubelet Restart in test/e2e/apps/daemon_restart.go; pods survive their kubelet."""
    cluster.client.create("pods", pod("old", nodeName="node-1"), "default")
    quiet(cluster)
    started = cluster.client.get("pods", "old", "default")["status"]["containerStatuses"][0]["containerID"]
    cluster.component("kubelet/node-1").stop()
    cluster.client.create("pods", pod("new", nodeName="node-1"), "default")
    cluster.run_for(60)
    assert not is_true(cluster.client.get("nodes", "node-1"), "Ready")
    assert cluster.client.get("pods", "new", "default")["status"]["phase"] == "Pending"
    assert is_true(cluster.client.get("nodes", "node-2"), "Ready")
    cluster.component("kubelet/node-1").start()
    cluster.run_for(30)
    assert is_true(cluster.client.get("nodes", "node-1"), "Ready")
    assert cluster.client.get("pods", "new", "default")["status"]["phase"] == "Running"
    [container] = cluster.client.get("pods", "old", "default")["status"]["containerStatuses"]
    assert (container["containerID"], container["restartCount"]) == (started, 0)


def test_what_was_deleted_while_the_kubelet_was_away_ends_on_its_return_and_the_node_stays_ready(
    cluster: Cluster,
) -> None:
    """Upstream: HandlePodCleanups in pkg/kubelet/kubelet_pods.go ends the pods that nobody wants any more."""
    cluster.client.create("pods", pod("old", nodeName="node-1"), "default")
    quiet(cluster)
    cluster.component("kubelet/node-1").stop()
    cluster.client.delete("pods", "old", "default", gracePeriodSeconds=0)
    cluster.component("kubelet/node-1").start()
    cluster.run_for(300)
    assert not [each for each in cluster.runtime.list_pod_sandboxes("node-1") if each.name == "old"]
    assert is_true(cluster.client.get("nodes", "node-1"), "Ready")


def test_without_its_kube_proxy_a_node_forwards_nothing_and_the_others_do(cluster: Cluster) -> None:
    """Upstream: "should work after restarting kube-proxy", test/e2e/network/service.go. There the rules stay in the
    node's kernel; here they go with the proxy."""
    cluster.client.create("deployments", deployment(), "default")
    made = cluster.client.create("services", service(type="NodePort"), "default")
    quiet(cluster)
    port = made["spec"]["ports"][0]["nodePort"]
    first, second = (f"http://{cluster.nodes[name].network.node_ip}:{port}" for name in ("node-1", "node-2"))
    cluster.component("kube-proxy/node-1").stop()
    with pytest.raises(OSError, match="refused"):
        cluster.visit(first)
    assert cluster.visit(second)[0] == 200
    cluster.component("kube-proxy/node-1").start()
    assert cluster.visit(first)[0] == 200


def test_without_coredns_no_name_is_found_and_addresses_go_on(cluster: Cluster) -> None:
    """Upstream: "DNS", test/e2e/network/dns.go."""
    cluster.client.create("deployments", deployment(), "default")
    shell = {"name": "main", "image": "busybox", "command": ["sleep", "100000"]}
    cluster.client.create("pods", pod("shell", containers=[shell]), "default")
    ip = cluster.client.create("services", service(), "default")["spec"]["clusterIP"]
    quiet(cluster)

    def get(host: str) -> int:
        code: int = cluster.client.exec("shell", "default", ["wget", "-qO-", f"http://{host}"]).exit_code
        return code

    assert get("web") == 0
    cluster.component("coredns").stop()
    assert get("web") != 0
    assert get(ip) == 0
    assert cluster.lookup("web") == []
    late = cluster.client.create("services", {**service("late"), "spec": {**service()["spec"]}}, "default")
    cluster.component("coredns").start()
    quiet(cluster)
    assert get("web") == 0
    assert cluster.lookup("late") == [late["spec"]["clusterIP"]]


def test_without_metrics_server_nothing_can_be_measured(cluster: Cluster) -> None:
    """docs: tasks/debug/debug-cluster/resource-metrics-pipeline."""
    cluster.client.create("deployments", deployment(), "default")
    cluster.run_for(40)
    assert "web" in cluster.kubectl.run(["top", "pods"]).text
    cluster.component("metrics-server").stop()
    with pytest.raises(Exception, match=r"(?i)metrics|unable to handle"):
        cluster.kubectl.run(["top", "pods"])
    cluster.component("metrics-server").start()
    cluster.run_for(40)
    assert "web" in cluster.kubectl.run(["top", "pods"]).text


def test_without_an_apiserver_everything_runs_on_and_nothing_can_be_changed(cluster: Cluster) -> None:
    """upstream: Upstream: "Addressing Control Plane failures"; ha_master.go; pods and Services go on without it."""
    cluster.client.create("deployments", deployment(), "default")
    cluster.client.create("services", service(type="NodePort"), "default")
    quiet(cluster)
    [url] = cluster.service_urls("web")
    revision = cluster.store.revision
    cluster.component("kube-apiserver").stop()
    with pytest.raises(ApiError, match="was refused"):
        cluster.client.items("pods")
    cluster.run_for(300)
    assert cluster.store.revision == revision
    assert cluster.visit(url)[0] == 200
    cluster.component("kube-apiserver").start()
    cluster.run_for(30)
    assert all(is_true(node, "Ready") for node in cluster.client.items("nodes"))
    scale(cluster, 5)
    quiet(cluster)
    assert phases(cluster) == ["Running"] * 5


def test_a_container_that_ends_while_no_apiserver_answers_is_restarted_all_the_same(cluster: Cluster) -> None:
    """upstream: A kubelet needs nobody for what it knows; what it did is told on return."""
    short = {"name": "main", "image": "busybox", "command": ["sleep", "40"]}
    cluster.client.create("pods", {"metadata": {"name": "short"}, "spec": {"containers": [short]}}, "default")
    cluster.run_for(10)
    cluster.component("kube-apiserver").stop()
    cluster.run_for(60)
    cluster.component("kube-apiserver").start()
    cluster.run_for(5)
    [container] = cluster.client.get("pods", "short", "default")["status"]["containerStatuses"]
    assert (container["restartCount"], "running" in container["state"]) == (1, True)


def test_no_pod_moves_because_the_apiserver_was_away(cluster: Cluster) -> None:
    """upstream: Whoever counts heartbeats counts from its own return: nodes that could not be heard are not called
    dead."""
    cluster.client.create("deployments", deployment(), "default")
    quiet(cluster)
    before = {name_of(pod): pod["spec"]["nodeName"] for pod in cluster.client.items("pods", "default")}
    cluster.component("kube-apiserver").stop()
    cluster.run_for(1000)
    cluster.component("kube-apiserver").start()
    cluster.run_for(400)
    after = {name_of(pod): pod["spec"]["nodeName"] for pod in cluster.client.items("pods", "default")}
    assert before == after
    assert not [each for each in cluster.client.items("events") if each["reason"] == "NodeNotReady"]


def test_etcd_is_not_stopped_and_the_refusal_says_what_to_do(cluster: Cluster) -> None:
    """k8snb: what cannot be done says so."""
    with pytest.raises(ValueError, match=r"etcd cannot be stopped: .*%kcluster stop"):
        cluster.component("etcd").stop()
    with pytest.raises(ValueError, match='there is no component "etc"; there are: etcd, kube-apiserver'):
        cluster.component("etc")


def test_stopping_twice_and_starting_twice_change_nothing(cluster: Cluster) -> None:
    """k8snb: a switch has two states."""
    for name, component in cluster.components().items():
        component.start()
        if name == "etcd":
            continue
        component.stop()
        component.stop()
        assert component.state == "Stopped", name
        component.start()
        component.start()
        assert component.state != "Stopped", name
    cluster.client.create("deployments", deployment(), "default")
    cluster.run_for(60)
    assert phases(cluster) == ["Running", "Running"]


# several instances


def test_of_two_instances_one_leads_and_the_other_takes_over() -> None:
    """docs: concepts/architecture/leases (Leader election)."""
    cluster = boot(controller_managers=2, schedulers=2)
    states = {name: each.state for name, each in cluster.components().items() if name.startswith("kube-")}
    assert states["kube-controller-manager"] == states["kube-scheduler"] == "Leading"
    assert states["kube-controller-manager-2"] == states["kube-scheduler-2"] == "Standby"
    cluster.component("kube-controller-manager").stop()
    cluster.component("kube-scheduler").stop()
    cluster.client.create("deployments", deployment(), "default")
    assert phases(cluster) == []
    cluster.run_for(10)
    assert phases(cluster) == ["Running", "Running"]
    assert cluster.component("kube-scheduler-2").state == "Leading"
    lease = cluster.client.get("leases", "kube-scheduler", "kube-system")["spec"]
    assert lease["leaseTransitions"] == 1
    assert lease["holderIdentity"].startswith("control-plane-2_")
    cluster.delete()


def test_a_killed_leader_is_followed_when_its_lease_has_run_out() -> None:
    """upstream: client-go/tools/leaderelection: leaseDuration."""
    cluster = boot(schedulers=2)
    cluster.component("kube-scheduler").kill()
    cluster.client.create("pods", pod(), "default")
    cluster.run_for(10)
    assert phases(cluster) == ["Pending"]
    cluster.run_for(15)
    assert phases(cluster) == ["Running"]
    cluster.component("kube-scheduler").start()
    cluster.run_for(60)
    assert cluster.component("kube-scheduler").state == "Standby"
    cluster.delete()


def test_a_leader_that_loses_the_apiserver_gives_up_and_comes_back() -> None:
    """upstream: client-go/tools/leaderelection: renewDeadline."""
    cluster = boot()
    old = cluster.controllers["deployment-controller"]
    cluster.component("kube-apiserver").stop()
    cluster.run_for(30)
    assert cluster.component("kube-controller-manager").state == "Standby"
    cluster.component("kube-apiserver").start()
    cluster.run_for(30)
    assert cluster.component("kube-controller-manager").state == "Leading"
    assert cluster.controllers["deployment-controller"] is not old
    cluster.delete()


def test_a_second_apiserver_serves_while_the_first_is_away() -> None:
    """docs: setup/production-environment/tools/kubeadm/high-availability."""
    cluster = boot(apiservers=2)
    cluster.client.create("deployments", deployment(), "default")
    quiet(cluster)
    cluster.component("kube-apiserver").stop()
    scale(cluster, 4)
    made = cluster.client.create("services", service(), "default")
    quiet(cluster)
    assert phases(cluster) == ["Running"] * 4
    cluster.component("kube-apiserver").start()
    cluster.component("kube-apiserver-2").stop()
    other = cluster.client.create("services", service("other"), "default")
    assert made["spec"]["clusterIP"] != other["spec"]["clusterIP"]
    scale(cluster, 1)
    quiet(cluster)
    assert phases(cluster) == ["Running"]
    cluster.delete()


def test_a_plugin_of_ones_own_is_at_work_in_the_scheduler_that_follows(cluster: Cluster) -> None:
    """k8snb: a learner's plug-in outlives a change of the leader."""
    from k8snb.scheduler.framework import Plugin

    class Never(Plugin):
        name = "Never"

        def filter(self, pod: Object, node: Any) -> str | None:
            return None if get_path(pod, "metadata.labels.lucky") else "node(s) had no luck"

    cluster.scheduler.register(Never())
    cluster.settle()
    cluster.component("kube-scheduler").stop()
    cluster.component("kube-scheduler").start()
    cluster.client.create("pods", pod(), "default")
    quiet(cluster)
    assert phases(cluster) == ["Pending"]


def test_a_cluster_that_was_stopped_in_good_order_is_led_at_once_after_its_start(cluster: Cluster) -> None:
    """upstream: client-go/tools/leaderelection: ReleaseOnCancel."""
    cluster.stop()
    cluster.start(wait=0)
    assert cluster.component("kube-controller-manager").state == "Leading"


# you are the scheduler


def test_without_a_scheduler_a_pod_runs_where_somebody_binds_it(cluster: Cluster) -> None:
    """upstream: concepts/scheduling-eviction/kube-scheduler: a Binding is all that a scheduler writes."""
    cluster.component("kube-scheduler").stop()
    cluster.client.create("pods", pod(), "default")
    quiet(cluster)
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "lone"},
               "target": {"apiVersion": "v1", "kind": "Node", "name": "node-2"}}  # fmt: skip
    cluster.client.create_subresource("pods", "lone", "binding", binding, "default")
    quiet(cluster)
    placed = cluster.client.get("pods", "lone", "default")
    assert (placed["spec"]["nodeName"], placed["status"]["phase"]) == ("node-2", "Running")
    with pytest.raises(ApiError, match="already assigned to node"):
        cluster.client.create_subresource("pods", "lone", "binding", binding, "default")


def test_binding_by_hand_is_refused_in_a_sentence_where_it_cannot_be(cluster: Cluster) -> None:
    """upstream: pkg/registry/core/pod/storage: assignPod, "pod … is already assigned to node …"."""
    cluster.component("kube-scheduler").stop()
    cluster.client.create("pods", pod(), "default")
    with pytest.raises(ApiError, match='nodes "node-9" not found'):
        cluster.bind("lone", "node-9")
    with pytest.raises(ApiError, match='pods "nobody" not found'):
        cluster.bind("nobody", "node-1")
    cluster.bind("lone", "node-1")
    with pytest.raises(ApiError, match='already assigned to node "node-1"'):
        cluster.bind("lone", "node-2")


# for real


def version(port: int) -> int:
    context = ssl._create_unverified_context()
    with urllib.request.urlopen(f"https://127.0.0.1:{port}/version", context=context, timeout=10) as answer:
        status: int = answer.status
        return status


def test_each_apiserver_has_a_door_of_its_own_that_shuts_with_it() -> None:
    """upstream: setup/production-environment/tools/kubeadm/high-availability: a client goes to the server that
    answers."""
    with Cluster(runtime="simulated", nodes=1, apiservers=2) as cluster:
        cluster.serve()
        one, two = (door.port for door in cluster.apiservers.doors)
        assert one != two and version(one) == version(two) == 200
        cluster.component("kube-apiserver").stop()
        with pytest.raises(OSError, match="refused"):
            version(one)
        assert version(two) == 200
        cluster.client.create("configmaps", {"metadata": {"name": "written"}}, "default")
        cluster.component("kube-apiserver").start()
        assert version(one) == 200
        assert cluster.client.get("configmaps", "written", "default")


def test_a_watch_from_outside_ends_with_its_apiserver() -> None:
    """docs: kubeadm/high-availability; a client lists and watches anew."""
    with Cluster(runtime="simulated", nodes=1) as cluster:
        watch = cluster.client.watch("pods")
        cluster.component("kube-apiserver").stop()
        assert watch.stopped
        cluster.component("kube-apiserver").start()
        cluster.client.create("configmaps", {"metadata": {"name": "written"}}, "default")


def at_the_cluster_ip(cluster: Cluster) -> int:
    """What Service `kubernetes` answers, as soon as anybody does."""
    ip = cluster.client.get("services", "kubernetes", "default")["spec"]["clusterIP"]
    context = ssl._create_unverified_context()
    end = time.monotonic() + 20
    while True:
        host, port = cluster.address(ip, 443)
        try:
            with urllib.request.urlopen(f"https://{host}:{port}/version", context=context, timeout=10) as answer:
                status: int = answer.status
                return status
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


@pytest.mark.process
def test_pods_reach_whichever_apiserver_serves() -> None:
    """docs: tasks/run-application/access-api-from-pod; pkg/controlplane/reconcilers."""
    with Cluster("wings", nodes=1, runtime="process", apiservers=2) as cluster:
        assert at_the_cluster_ip(cluster) == 200
        cluster.component("kube-apiserver").stop()
        assert at_the_cluster_ip(cluster) == 200
        cluster.component("kube-apiserver-2").stop()
        with pytest.raises(ApiError, match="was refused"):
            cluster.client.get("services", "kubernetes", "default")
        cluster.component("kube-apiserver").start()
        assert at_the_cluster_ip(cluster) == 200
