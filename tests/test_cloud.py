"""cloud-controller-manager: what the cloud knows reaches the cluster, and what the cluster wants reaches the cloud.

Restates "Cloud Controller Manager" (concepts/architecture/cloud-controller), "Create an External Load Balancer"
(tasks/access-application-cluster), test/e2e/cloud/nodes.go, test/e2e/network/loadbalancer.go and the unit tests beside
the controllers in `cloud-provider/controllers`.
"""

from __future__ import annotations

import socket
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from cluster_lab import boot
from controllers_lab import Lab, service

from k8snb.apimachinery.meta import Object, get_path, is_true, name_of, with_path
from k8snb.cloud import CloudError, InstanceMetadata, Route
from k8snb.cloud.node import CloudNodeController
from k8snb.cloud.nodelifecycle import CloudNodeLifecycleController
from k8snb.cloud.route import RouteController
from k8snb.cloud.service import EXCLUDED, FINALIZER, ServiceController
from k8snb.cluster import Cluster

UNINITIALIZED = {"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"}
SHUTDOWN = {"key": "node.cloudprovider.kubernetes.io/shutdown", "effect": "NoSchedule"}


class Cloud:
    """A cloud of the test's own, as somebody may write one in a cell; `calls` is what it was asked to do."""

    name = "test"

    def __init__(self) -> None:
        self.machines = {"n1": True, "n2": True}  # and whether they are on
        self.fails: str = ""
        self.calls: list[str] = []
        self.made: dict[str, list[str]] = {}
        self.table: dict[str, Route] = {}

    def _check(self) -> None:
        if self.fails:
            raise CloudError(self.fails)

    def instance_exists(self, node: Object) -> bool:
        self._check()
        return name_of(node) in self.machines

    def instance_shutdown(self, node: Object) -> bool:
        return not self.machines[name_of(node)]

    def instance_metadata(self, node: Object) -> InstanceMetadata:
        self._check()
        return InstanceMetadata(
            f"test://{name_of(node)}", (("InternalIP", "10.1.0.1"), ("ExternalIP", "198.51.100.7")), "m5.large",
            "eu-1a", "eu-1", {"rack": "4", "kubernetes.io/hostname": "no"},
        )  # fmt: skip

    def get_load_balancer(self, service: Object) -> Object | None:
        return {"ingress": [{"ip": "198.51.100.9"}]} if name_of(service) in self.made else None

    def ensure_load_balancer(self, service: Object, nodes: Sequence[Object]) -> Object:
        self.calls.append(f"ensure {name_of(service)}")
        self._check()
        self.made[name_of(service)] = [name_of(node) for node in nodes]
        return {"ingress": [{"ip": "198.51.100.9"}]}

    def update_load_balancer(self, service: Object, nodes: Sequence[Object]) -> None:
        self.calls.append(f"update {name_of(service)}")
        self._check()
        self.made[name_of(service)] = [name_of(node) for node in nodes]

    def ensure_load_balancer_deleted(self, service: Object) -> None:
        self.calls.append(f"delete {name_of(service)}")
        self._check()
        del self.made[name_of(service)]

    def list_routes(self) -> Mapping[str, Route]:
        return self.table

    def create_route(self, route: Route) -> None:
        self._check()
        self.table[route.node] = route

    def delete_route(self, route: Route) -> None:
        del self.table[route.node]


def node_lab(cloud: Cloud) -> Lab:
    lab = Lab(
        lambda context, informers: CloudNodeController(context, informers, instances=cloud),
        lambda context, informers: CloudNodeLifecycleController(context, informers, instances=cloud),
    )
    return lab.start()


def new_node(lab: Lab, name: str = "n1", **more: Any) -> None:
    lab.node(name, taints=[UNINITIALIZED], **more)


def set_ready(lab: Lab, name: str, status: str) -> None:
    node = lab.client.get("nodes", name)
    entry = {**node["status"]["conditions"][0], "status": status}
    lab.client.update_status("nodes", with_path(node, "status.conditions", [entry]))


# nodes


def test_a_new_node_gets_what_the_cloud_knows_and_loses_its_taint() -> None:
    """upstream: node_controller_test.go: TestSyncNode, "node initialized with provider ID, zone, region, instance
    type"."""
    lab = node_lab(Cloud())
    new_node(lab)
    lab.run()
    node = lab.client.get("nodes", "n1")
    assert node["spec"] == {"providerID": "test://n1"}
    labels = node["metadata"]["labels"]
    assert labels["topology.kubernetes.io/zone"] == labels["failure-domain.beta.kubernetes.io/zone"] == "eu-1a"
    assert labels["topology.kubernetes.io/region"] == "eu-1"
    assert labels["node.kubernetes.io/instance-type"] == labels["beta.kubernetes.io/instance-type"] == "m5.large"
    assert (labels["rack"], labels["kubernetes.io/hostname"]) == ("4", "n1"), "labels that are there stay"
    assert [each["address"] for each in node["status"]["addresses"]] == ["10.1.0.1", "198.51.100.7"]
    assert lab.events("Synced") == ["Node synced successfully"]


def test_the_taint_stays_while_the_cloud_does_not_answer() -> None:
    """upstream: staging/src/k8s.io/cloud-provider/controllers/node: syncNode is retried."""
    cloud = Cloud()
    cloud.fails = "the cloud is on strike"
    lab = node_lab(cloud)
    new_node(lab)
    lab.wait(60)
    assert lab.client.get("nodes", "n1")["spec"]["taints"] == [UNINITIALIZED]
    cloud.fails = ""
    lab.wait(120)
    assert "taints" not in lab.client.get("nodes", "n1")["spec"]


def test_a_node_without_the_taint_is_left_as_it_is() -> None:
    """docs: tasks/administer-cluster/running-cloud-controller (node.cloudprovider.kubernetes.io/uninitialized)."""
    lab = node_lab(Cloud())
    lab.node("n1")
    lab.run()
    assert "providerID" not in lab.client.get("nodes", "n1")["spec"]
    assert lab.events("Synced") == []


def test_a_node_whose_machine_is_gone_is_removed() -> None:
    """test/e2e/cloud/nodes.go: "should be deleted on API server if it doesn't exist in the cloud provider"."""
    cloud = Cloud()
    lab = node_lab(cloud)
    for name in cloud.machines:
        new_node(lab, name)
    lab.run()
    del cloud.machines["n1"]
    lab.wait(30)
    assert lab.client.find("nodes", "n1") is not None, "as long as it is ready nobody asks"
    set_ready(lab, "n1", "Unknown")
    lab.wait(6)
    assert lab.names("nodes", "") == ["n2"]
    assert lab.events("DeletingNode") == ["Deleting node n1 because it does not exist in the cloud provider"]


def test_a_node_that_is_silent_on_a_machine_that_exists_stays() -> None:
    """docs: concepts/architecture/cloud-controller (Node controller): only what the cloud no longer has is deleted."""
    cloud = Cloud()
    lab = node_lab(cloud)
    new_node(lab)
    lab.run()
    set_ready(lab, "n1", "Unknown")
    lab.wait(60)
    cloud.fails = "the cloud is on strike"
    lab.wait(60)
    assert lab.names("nodes", "") == ["n1"]


def test_a_machine_that_is_switched_off_taints_its_node_until_it_is_back() -> None:
    """upstream: node_lifecycle_controller_test.go: Test_NodesShutdown."""
    cloud = Cloud()
    lab = node_lab(cloud)
    new_node(lab)
    lab.run()
    cloud.machines["n1"] = False
    set_ready(lab, "n1", "Unknown")
    lab.wait(6)
    assert lab.client.get("nodes", "n1")["spec"]["taints"] == [SHUTDOWN]
    cloud.machines["n1"] = True
    set_ready(lab, "n1", "True")
    lab.wait(6)
    assert "taints" not in lab.client.get("nodes", "n1")["spec"]


# routes


def route_lab(cloud: Cloud) -> Lab:
    return Lab(lambda context, informers: RouteController(context, informers, routes=cloud)).start()


def unavailable(lab: Lab, name: str = "n1") -> tuple[str, str]:
    conditions = lab.client.get("nodes", name)["status"]["conditions"]
    [found] = [each for each in conditions if each["type"] == "NetworkUnavailable"]
    return found["status"], found["reason"]


def test_a_node_with_a_range_has_a_route_to_it_while_it_is_there() -> None:
    """upstream: route_controller_test.go: TestReconcile."""
    cloud = Cloud()
    lab = route_lab(cloud)
    lab.node("n1", podCIDR="10.120.0.0/24", podCIDRs=["10.120.0.0/24"])
    lab.node("n2")
    lab.run()
    assert cloud.table == {"n1": Route("n1", "10.120.0.0/24")}
    assert unavailable(lab) == ("False", "RouteCreated")
    lab.client.delete("nodes", "n1")
    lab.run()
    assert cloud.table == {}


def test_routes_that_somebody_else_made_or_took_are_put_right() -> None:
    """docs: concepts/architecture/cloud-controller (Route controller)."""
    cloud = Cloud()
    lab = route_lab(cloud)
    lab.node("n1", podCIDR="10.120.0.0/24", podCIDRs=["10.120.0.0/24"])
    lab.run()
    cloud.table = {"ghost": Route("ghost", "10.120.9.0/24")}
    lab.wait(11)
    assert cloud.table == {"n1": Route("n1", "10.120.0.0/24")}


def test_a_node_without_its_route_is_said_to_be_out_of_reach() -> None:
    """upstream: cloud-provider/controllers/route: NetworkUnavailable, NoRouteCreated."""
    cloud = Cloud()
    cloud.fails = "the table is full"
    lab = route_lab(cloud)
    lab.node("n1", podCIDR="10.120.0.0/24", podCIDRs=["10.120.0.0/24"])
    lab.wait(1)
    assert unavailable(lab) == ("True", "NoRouteCreated")
    assert lab.events("FailedToCreateRoute")[0].endswith("for node n1: the table is full")
    cloud.fails = ""
    lab.wait(30)
    assert unavailable(lab) == ("False", "RouteCreated")


# load balancers


def service_lab(cloud: Cloud) -> Lab:
    lab = Lab(lambda context, informers: ServiceController(context, informers, balancers=cloud)).start()
    for name in cloud.machines:
        lab.node(name)
    return lab.run()


def balanced(lab: Lab, **spec: Any) -> Object:
    made = lab.client.create("services", service(type="LoadBalancer", **spec))
    lab.run()
    return made


def ingress(lab: Lab) -> list[Object]:
    return get_path(lab.get("services", "web"), "status.loadBalancer.ingress") or []


def test_a_load_balancer_is_made_told_and_taken_back() -> None:
    """controller_test.go: TestSyncLoadBalancerIfNeeded; the finalizer is that of KEP-980."""
    cloud = Cloud()
    lab = service_lab(cloud)
    balanced(lab)
    assert ingress(lab) == [{"ip": "198.51.100.9"}]
    assert lab.get("services", "web")["metadata"]["finalizers"] == [FINALIZER]
    assert cloud.made == {"web": ["n1", "n2"]}
    assert [each["reason"] for each in lab.client.items("events", "default") if "Load" in each["reason"]] == [
        "EnsuringLoadBalancer", "EnsuredLoadBalancer",
    ]  # fmt: skip
    lab.client.delete("services", "web", "default")
    lab.run()
    assert (lab.client.find("services", "web", "default"), cloud.made) == (None, {})
    assert lab.events("DeletingLoadBalancer") == ["Deleting load balancer"]
    assert lab.events("DeletedLoadBalancer") == ["Deleted load balancer"]


def test_the_same_service_is_not_asked_for_twice() -> None:
    """upstream: cloud-provider/controllers/service: needsUpdate."""
    cloud = Cloud()
    lab = service_lab(cloud)
    balanced(lab)
    lab.apply("services", "web", {"metadata": {"labels": {"colour": "blue"}}})
    lab.wait(600)
    assert cloud.calls == ["ensure web"]


def test_a_service_of_another_type_gives_its_balancer_back_and_stays() -> None:
    """test/e2e/network/loadbalancer.go: "should be able to change the type and ports"."""
    cloud = Cloud()
    lab = service_lab(cloud)
    balanced(lab)
    lab.apply("services", "web", {"spec": {"type": "ClusterIP", "externalTrafficPolicy": None}})
    lab.run()
    assert (ingress(lab), cloud.made) == ([], {})
    assert "finalizers" not in lab.get("services", "web")["metadata"]
    assert lab.events("DeletedLoadBalancer")


def test_a_service_with_a_class_is_somebody_elses() -> None:
    """upstream: "should not create a load balancer with a loadBalancerClass", controller_test.go: TestNeedsUpdate."""
    cloud = Cloud()
    lab = service_lab(cloud)
    balanced(lab, loadBalancerClass="example.com/metal")
    assert (ingress(lab), cloud.calls) == ([], [])


def test_nodes_that_come_and_go_stand_behind_every_balancer() -> None:
    """upstream: controller_test.go: TestNodesNotEqual, TestNodeEligible..."""
    cloud = Cloud()
    lab = service_lab(cloud)
    balanced(lab)
    lab.node("n3")
    lab.node("edge", labels={EXCLUDED: ""})
    lab.run()
    assert cloud.made == {"web": ["n1", "n2", "n3"]}
    set_ready(lab, "n1", "False")
    lab.run()
    assert cloud.made == {"web": ["n2", "n3"]}
    assert set(lab.events("UpdatedLoadBalancer")) == {"Updated load balancer with new hosts"}


def test_a_cloud_that_refuses_is_asked_again_ever_more_seldom() -> None:
    """upstream: Back-off from 5 to 300 seconds: never a hot loop."""
    cloud = Cloud()
    cloud.fails = "quota exceeded"
    lab = service_lab(cloud)
    lab.client.create("services", service(type="LoadBalancer"))
    lab.wait(600)
    assert ingress(lab) == []
    assert set(lab.events("SyncLoadBalancerFailed")) == {"Error syncing load balancer: quota exceeded"}
    assert 5 <= len(cloud.calls) <= 9
    cloud.fails = ""
    lab.wait(310)
    assert ingress(lab) == [{"ip": "198.51.100.9"}]


def test_a_balancer_that_cannot_be_taken_back_keeps_its_service() -> None:
    """docs: tasks/access-application-cluster/create-external-load-balancer (Garbage collecting load balancers): the
    finalizer."""
    cloud = Cloud()
    lab = service_lab(cloud)
    balanced(lab)
    cloud.fails = "the cloud is on strike"
    lab.client.delete("services", "web", "default")
    lab.wait(60)
    assert lab.client.find("services", "web", "default") is not None
    cloud.fails = ""
    lab.wait(310)
    assert (lab.client.find("services", "web", "default"), cloud.made) == (None, {})


def test_a_controller_that_starts_again_makes_no_second_balancer() -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    cloud = Cloud()
    lab = service_lab(cloud)
    balanced(lab)
    lab.restart()
    assert (cloud.made, ingress(lab)) == ({"web": ["n1", "n2"]}, [{"ip": "198.51.100.9"}])
    lab.client.delete("services", "web", "default")
    lab.run()
    assert cloud.made == {}


def test_what_changes_of_a_balancer_is_told() -> None:
    """upstream: cloud-provider/controllers/service: needsUpdate, its events."""
    cloud = Cloud()
    lab = service_lab(cloud)
    balanced(lab)
    lab.apply("services", "web", {"spec": {"loadBalancerSourceRanges": ["10.0.0.0/8"]}})
    lab.run()
    assert lab.events("LoadBalancerSourceRanges") == ["[] -> [10.0.0.0/8]"]
    assert cloud.calls == ["ensure web", "ensure web"]


# the notebook's cloud


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = boot()
    yield cluster
    cluster.delete()


def serve(cluster: Cluster, name: str = "web", replicas: int = 2, **spec: Any) -> str:
    """A Deployment behind a load balancer; the balancer's address."""
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "nginx"}]}}
    wanted = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    cluster.client.create("deployments", {"metadata": {"name": name}, "spec": wanted}, "default")
    cluster.client.create("services", service(name, type="LoadBalancer", **spec), "default")
    if cluster.clock.virtual:
        cluster.settle()
    else:
        cluster.wait(lambda: bool(address(cluster, name)), 20)
    return address(cluster, name)


def address(cluster: Cluster, name: str = "web") -> str:
    found = get_path(cluster.client.get("services", name, "default"), "status.loadBalancer.ingress") or [{}]
    return str(found[0].get("ip", ""))


def answers(cluster: Cluster, ip: str) -> bool:
    try:
        return cluster.visit(f"http://{ip}:80")[0] == 200
    except OSError:
        return False


def test_each_balancer_has_an_address_of_its_own_that_answers(cluster: Cluster) -> None:
    """docs: concepts/services-networking/service (type: LoadBalancer); e2e: test/e2e/network/loadbalancer.go "should
    be able to change the type and ports of a TCP service"."""
    one, two = serve(cluster), serve(cluster, "other")
    assert one != two
    assert answers(cluster, one) and answers(cluster, two)
    assert cluster.service_urls("web") == [f"http://{one}:80"]
    assert one in cluster.kubectl.run(["get", "services"]).text


def test_an_address_goes_back_with_its_service_and_answers_no_more(cluster: Cluster) -> None:
    """docs: create-external-load-balancer (Garbage collecting load balancers)."""
    one = serve(cluster)
    cluster.client.delete("services", "web", "default")
    cluster.settle()
    assert not answers(cluster, one)
    assert serve(cluster, "other") == one


def test_a_pod_reaches_a_balancer_too(cluster: Cluster) -> None:
    """docs: service (type: LoadBalancer)."""
    ip = serve(cluster)
    shell = {"name": "main", "image": "busybox", "command": ["sleep", "100000"]}
    cluster.client.create("pods", {"metadata": {"name": "shell"}, "spec": {"containers": [shell]}}, "default")
    cluster.settle()
    assert cluster.client.exec("shell", "default", ["wget", "-qO-", f"http://{ip}"]).exit_code == 0


def test_a_node_that_does_not_answer_is_left_out_by_the_health_check(cluster: Cluster) -> None:
    """upstream: loadbalancer.go: "should have session affinity…", "should only target nodes with endpoints" for
    Local."""
    ip = serve(cluster)
    cluster.component("kube-proxy/node-1").stop()
    cluster.component("kube-proxy/control-plane").stop()
    cluster.run_for(3)
    assert all(answers(cluster, ip) for _ in range(20))
    cluster.component("kube-proxy/node-2").stop()
    cluster.run_for(3)
    assert not answers(cluster, ip)
    cluster.component("kube-proxy/node-1").start()
    cluster.run_for(3)
    assert all(answers(cluster, ip) for _ in range(20))


def test_with_a_local_policy_only_nodes_with_endpoints_are_asked(cluster: Cluster) -> None:
    """upstream: loadbalancer.go: "should work for type=LoadBalancer" and "should only target nodes with endpoints"."""
    ip = serve(cluster, replicas=1, externalTrafficPolicy="Local")
    cluster.run_for(3)
    assert all(answers(cluster, ip) for _ in range(20))


def test_without_node_ports_the_proxies_answer_at_the_balancers_address(cluster: Cluster) -> None:
    """spec.allocateLoadBalancerNodePorts: false, KEP-1864; ipMode: KEP-1860."""
    ip = serve(cluster, allocateLoadBalancerNodePorts=False)
    [entry] = cluster.client.get("services", "web", "default")["status"]["loadBalancer"]["ingress"]
    assert (entry["ipMode"], answers(cluster, ip)) == ("VIP", True)


def test_who_is_not_in_the_source_ranges_is_not_let_in(cluster: Cluster) -> None:
    """upstream: loadbalancer.go: "should support LoadBalancerSourceRanges". The notebook itself is 127.0.0.1."""
    assert not answers(cluster, serve(cluster, loadBalancerSourceRanges=["10.0.0.0/8"]))
    assert answers(cluster, serve(cluster, "other", loadBalancerSourceRanges=["127.0.0.0/8"]))


def test_an_address_can_be_asked_for_and_one_that_is_none_is_refused_in_an_event(cluster: Cluster) -> None:
    """docs: service (type: LoadBalancer): .spec.loadBalancerIP."""
    assert serve(cluster, loadBalancerIP="203.0.113.77") == "203.0.113.77"
    cluster.client.create("services", service("twin", type="LoadBalancer", loadBalancerIP="203.0.113.77"), "default")
    cluster.client.create("services", service("far", type="LoadBalancer", loadBalancerIP="8.8.8.8"), "default")
    cluster.run_for(2)
    said = [event["message"] for event in cluster.client.items("events", "default")
            if event["reason"] == "SyncLoadBalancerFailed"]  # fmt: skip
    assert any("203.0.113.77 belongs to another balancer" in text for text in said)
    assert any("8.8.8.8 is not one of the notebook's addresses" in text for text in said)


def test_a_balancer_keeps_its_address_while_the_cluster_is_switched_off(cluster: Cluster) -> None:
    """k8snb: a stop keeps the data."""
    serve(cluster, "first")
    ip = serve(cluster)
    cluster.client.delete("services", "first", "default")
    cluster.settle()
    cluster.stop()
    cluster.start(wait=0)
    cluster.settle()
    assert (address(cluster), answers(cluster, ip)) == (ip, True)


def test_without_its_manager_balancers_go_on_and_new_services_wait(cluster: Cluster) -> None:
    """k8snb: what a stopped component did is not done, and nothing else breaks."""
    ip = serve(cluster)
    cluster.component("cloud-controller-manager").stop()
    assert answers(cluster, ip)
    assert serve(cluster, "late") == ""
    cluster.client.delete("services", "web", "default")
    cluster.settle()
    assert answers(cluster, ip), "nobody takes it back yet, and the finalizer keeps its Service"
    cluster.component("cloud-controller-manager").start()
    cluster.settle()
    assert cluster.client.find("services", "web", "default") is None
    assert answers(cluster, address(cluster, "late"))


@pytest.mark.parametrize(
    ("name", "act", "done"),
    [
        ("cloud-node-controller", lambda cluster: cluster.add_node(),
         lambda cluster: cluster.client.get("nodes", "node-3")["spec"].get("providerID", "")),
        ("cloud-node-lifecycle-controller", lambda cluster: cluster.terminate_node("node-2"),
         lambda cluster: cluster.client.find("nodes", "node-2") is None),
        ("service-lb-controller", lambda cluster: serve(cluster), lambda cluster: address(cluster)),
        ("node-route-controller", lambda cluster: cluster.add_node(),
         lambda cluster: "node-3" in cluster.cloud.list_routes()),
    ],
)  # fmt: skip
def test_what_a_stopped_cloud_controller_would_have_done_is_done_on_its_return(
    cluster: Cluster, name: str, act: Callable[[Cluster], object], done: Callable[[Cluster], object]
) -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    cluster.component(name).stop()
    act(cluster)
    cluster.run_for(90)
    assert not done(cluster)
    cluster.component(name).start()
    cluster.run_for(30)
    assert done(cluster)


def test_a_node_is_not_used_before_the_cloud_was_asked_about_it(cluster: Cluster) -> None:
    """docs: running-cloud-controller: kubelets with --cloud-provider=external taint their node."""
    cluster.component("cloud-node-controller").stop()
    cluster.add_node(labels={"fresh": "yes"})
    spec = {"containers": [{"name": "main", "image": "nginx"}], "nodeSelector": {"fresh": "yes"}}
    cluster.client.create("pods", {"metadata": {"name": "lone"}, "spec": spec}, "default")
    cluster.run_for(30)
    assert is_true(cluster.client.get("nodes", "node-3"), "Ready")
    pod = cluster.client.get("pods", "lone", "default")
    assert "uninitialized: true" in pod["status"]["conditions"][0]["message"]
    cluster.component("cloud-node-controller").start()
    cluster.run_for(30)
    assert cluster.client.get("pods", "lone", "default")["spec"]["nodeName"] == "node-3"


def test_a_machine_that_is_given_back_takes_its_node_and_its_pods_along(cluster: Cluster) -> None:
    """upstream: The node controller needs 50 seconds to miss it, the cloud is asked then."""
    serve(cluster)
    cluster.terminate_node("node-1")
    cluster.run_for(60)
    assert "node-1" not in [name_of(node) for node in cluster.client.items("nodes")]
    cluster.run_for(400)
    pods = cluster.client.items("pods", "default")
    assert {pod["spec"]["nodeName"] for pod in pods} == {"node-2"}
    assert len(pods) == 2


def test_zones_are_given_to_the_nodes_in_turn() -> None:
    """docs: concepts/architecture/cloud-controller (Node controller): labels of region and zone."""
    cluster = boot(nodes=3, zones=("a", "b"))
    zones = [node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in cluster.client.items("nodes")]
    assert sorted(zones) == ["a", "a", "b", "b"]
    assert cluster.client.get("nodes", "node-1")["spec"]["providerID"] == "notebook://k8snb/node-1"
    described = cluster.kubectl.run(["describe", "node", "node-1"]).text
    assert "ProviderID:                   notebook://k8snb/node-1\n" in described
    cluster.delete()


def test_without_a_cloud_a_balancer_stays_pending_as_on_bare_metal() -> None:
    """docs: service (type: LoadBalancer): only on providers that have balancers."""
    cluster = boot(cloud=False)
    assert serve(cluster) == ""
    assert "<pending>" in cluster.kubectl.run(["get", "services"]).text
    assert "cloud-controller-manager" not in cluster.components()
    cluster.delete()


# for real


@pytest.fixture(scope="module")
def live() -> Iterator[Cluster]:
    with Cluster("cloud", nodes=2, runtime="process") as cluster:
        yield cluster


def get(cluster: Cluster, name: str = "web", patience: float = 20.0) -> int:
    """What the balancer answers, as soon as it does."""
    end = time.monotonic() + patience
    while True:
        try:
            [url] = cluster.service_urls(name)
            with urllib.request.urlopen(url, timeout=5) as answer:
                status: int = answer.status
                return status
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


@pytest.mark.process
def test_a_balancer_of_the_process_runtime_really_forwards(live: Cluster) -> None:
    """e2e: loadbalancer.go "should be able to change the type and ports of a TCP service", with real connections."""
    ip = serve(live)
    assert ip.split(".")[2] == "17"
    assert get(live) == 200
    assert live.service_urls("web")[0].startswith(f"http://{ip}:")


@pytest.mark.process
def test_a_balancer_of_the_process_runtime_survives_the_loss_of_a_node(live: Cluster) -> None:
    """docs: concepts/architecture/cloud-controller (Service controller)."""
    serve(live, "steady")
    assert get(live, "steady") == 200
    live.component("kube-proxy/node-1").stop()
    assert [get(live, "steady") for _ in range(10)] == [200] * 10
    live.component("kube-proxy/node-1").start()


@pytest.mark.process
def test_an_address_of_the_process_runtime_is_free_when_its_service_is_gone(live: Cluster) -> None:
    """docs: create-external-load-balancer (Garbage collecting load balancers)."""
    serve(live, "short")
    assert get(live, "short") == 200
    [url] = live.service_urls("short")
    live.client.delete("services", "short", "default")
    assert live.wait(lambda: live.client.find("services", "short", "default") is None, 20)
    host, port = url.removeprefix("http://").split(":")
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))):
                return
        time.sleep(0.1)
    raise AssertionError(f"{url} still answers")
