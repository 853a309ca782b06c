"""endpoints-controller: the addresses behind a Service follow its pods."""

from __future__ import annotations

import json

from controllers_lab import Lab, container, pod, service

from k8snb.apimachinery.meta import Object, annotations_of, labels_of
from k8snb.controllers.backends import MAPPED
from k8snb.controllers.endpoints import EndpointsController


def lab(*pods: Object, **spec: object) -> Lab:
    one = Lab(EndpointsController).start()
    one.client.create("services", service(**spec))
    for at, each in enumerate(pods):
        one.client.create("pods", each)
        one.set_ready(each, ip=f"10.0.0.{at + 1}")
    return one.run()


def subsets(one: Lab) -> list[Object]:
    found = one.get("endpoints", "web").get("subsets") or []
    assert isinstance(found, list)
    return found


def addresses(one: Lab, field: str = "addresses") -> list[str]:
    return [address["ip"] for subset in subsets(one) for address in subset.get(field, ())]


def test_ready_pods_are_listed_with_the_target_port() -> None:
    """docs: concepts/services-networking/service (Defining a Service)."""
    one = lab(pod("a"), pod("b"), ports=[{"name": "http", "port": 80, "targetPort": 8080}])
    (subset,) = subsets(one)
    assert subset["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert [address["targetRef"]["name"] for address in subset["addresses"]] == ["a", "b"]


def test_pods_that_are_not_ready_stand_apart() -> None:
    """API reference: EndpointSubset.notReadyAddresses."""
    one = lab(pod("a"), pod("b"))
    one.set_ready(one.get("pods", "b"), False)
    one.run()
    assert addresses(one) == ["10.0.0.1"]
    assert addresses(one, "notReadyAddresses") == ["10.0.0.2"]


def test_publish_not_ready_addresses_lists_them_all() -> None:
    """API reference: ServiceSpec.publishNotReadyAddresses."""
    one = lab(pod("a"), publishNotReadyAddresses=True)
    one.set_ready(one.get("pods", "a"), False)
    one.run()
    assert addresses(one) == ["10.0.0.1"]


def test_a_named_target_port_is_looked_up_in_each_pod() -> None:
    """docs: service (Port definitions)."""
    old = pod("old", containers=[container(ports=[{"name": "http", "containerPort": 8080}])])
    new = pod("new", containers=[container(ports=[{"name": "http", "containerPort": 9090}])])
    one = lab(old, new, ports=[{"port": 80, "targetPort": "http"}])
    found = {subset["ports"][0]["port"]: subset["addresses"][0]["targetRef"]["name"] for subset in subsets(one)}
    assert found == {8080: "old", 9090: "new"}


def test_pods_come_and_go_by_their_labels() -> None:
    """e2e: test/e2e/network/service.go "should serve a basic endpoint from pods"."""
    one = lab(pod("a"), pod("b", {"app": "other"}))
    assert addresses(one) == ["10.0.0.1"]
    one.apply("pods", "b", {"metadata": {"labels": {"app": "web"}}})
    one.apply("pods", "a", {"metadata": {"labels": {"app": "debug"}}})
    one.run()
    assert addresses(one) == ["10.0.0.2"]


def test_a_finished_pod_is_not_listed() -> None:
    """upstream: staging/src/k8s.io/endpointslice/util: ShouldPodBeInEndpoints."""
    one = lab(pod("a"))
    one.set_ready(one.get("pods", "a"), False, phase="Succeeded")
    one.run()
    assert subsets(one) == []


def test_a_service_without_selector_is_left_to_the_user() -> None:
    """docs: service (Services without selectors)."""
    one = lab(selector=None)
    assert one.names("endpoints") == []
    one.client.create("endpoints", {"metadata": {"name": "web"}, "subsets": []}, "default")
    one.run()
    one.client.delete("services", "web", "default")
    one.run()
    assert one.names("endpoints") == ["web"]


def test_endpoints_go_with_their_service() -> None:
    """upstream: pkg/controller/endpoint/endpoints_controller.go: syncService."""
    one = lab(pod("a"))
    one.client.delete("services", "web", "default")
    one.run()
    assert one.names("endpoints") == []


def test_a_headless_service_without_ports_lists_addresses_alone() -> None:
    """upstream: endpoints_controller.go: addEndpointSubset; a headless Service may have no ports."""
    one = lab(pod("a"), clusterIP="None", ports=[])
    assert "ports" not in subsets(one)[0]
    assert "service.kubernetes.io/headless" in labels_of(one.get("endpoints", "web"))


def test_a_mapped_port_is_where_traffic_goes_and_is_told() -> None:
    """k8snb: a runtime may open a port elsewhere, and says where."""
    mapped = pod("a")
    mapped["metadata"]["annotations"] = {MAPPED: '{"80":42080}'}
    one = lab(mapped)
    assert subsets(one)[0]["ports"][0]["port"] == 42080
    assert json.loads(annotations_of(one.get("endpoints", "web"))[MAPPED]) == {"80": [42080]}


def test_what_somebody_else_writes_into_it_is_put_right() -> None:
    """upstream: endpoints_controller.go: onEndpointsUpdate and syncService."""
    one = lab(pod("a"))
    one.client.update("endpoints", {**one.get("endpoints", "web"), "subsets": []})
    one.run()
    assert addresses(one) == ["10.0.0.1"]


def test_more_than_a_thousand_addresses_are_cut_and_it_says_so() -> None:
    """docs: service (Over-capacity endpoints)."""
    one = Lab(EndpointsController).start()
    one.client.create("services", service())
    for number in range(1001):
        one.client.create("pods", pod(f"p{number}"))
        one.set_ready(one.get("pods", f"p{number}"), ip=f"10.0.{number // 250}.{number % 250 + 1}")
    one.run()
    assert len(addresses(one)) == 1000
    assert annotations_of(one.get("endpoints", "web"))["endpoints.kubernetes.io/over-capacity"] == "truncated"


def test_a_restarted_controller_writes_nothing() -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    one = lab(pod("a"), pod("b"))
    revision = one.store.revision
    assert one.restart().store.revision == revision
