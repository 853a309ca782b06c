"""endpointslice-controller: at most a hundred addresses in a slice, and little moves when little changes."""

from __future__ import annotations

from controllers_lab import Lab, container, pod, service

from k8snb.apimachinery.meta import Object, annotations_of, controller_of, labels_of, name_of
from k8snb.controllers.backends import MAPPED, Port
from k8snb.controllers.endpointslice import EndpointSliceController, Group, plan_slices


def lab(*pods: Object, **spec: object) -> Lab:
    one = Lab(EndpointSliceController).start()
    one.client.create("services", service(**spec))
    for at, each in enumerate(pods):
        one.client.create("pods", each)
        one.set_ready(each, ip=f"10.0.0.{at + 1}")
    return one.run()


def slices(one: Lab) -> list[Object]:
    return one.client.items("endpointslices", "default")


def only(one: Lab) -> Object:
    (found,) = slices(one)
    return found


def test_a_slice_says_whose_it_is() -> None:
    """docs: concepts/services-networking/endpoint-slices (Management, Ownership)."""
    found = only(lab(pod("a")))
    assert name_of(found).startswith("web-")
    assert controller_of(found)["kind"] == "Service"
    assert labels_of(found)["kubernetes.io/service-name"] == "web"
    assert labels_of(found)["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"
    assert found["addressType"] == "IPv4"
    assert found["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]


def test_an_endpoint_tells_its_pod_its_node_and_its_state() -> None:
    """docs: endpoint-slices (Conditions, Topology information)."""
    one = Lab(EndpointSliceController).start()
    one.node("n1", labels={"topology.kubernetes.io/zone": "z1"})
    one.client.create("services", service())
    one.client.create("pods", pod("a"))
    one.bind("a", "n1")
    one.set_ready(one.get("pods", "a"), ip="10.0.0.1")
    one.run()
    (endpoint,) = only(one)["endpoints"]
    assert endpoint["addresses"] == ["10.0.0.1"]
    assert endpoint["conditions"] == {"ready": True, "serving": True, "terminating": False}
    assert (endpoint["nodeName"], endpoint["zone"], endpoint["targetRef"]["name"]) == ("n1", "z1", "a")


def test_a_pod_on_its_way_out_serves_and_is_not_ready() -> None:
    """docs: endpoint-slices (Conditions): serving and terminating."""
    one = lab(pod("a"))
    one.bind("a", "n1")
    one.client.delete("pods", "a", "default")
    one.run()
    (endpoint,) = only(one)["endpoints"]
    assert endpoint["conditions"] == {"ready": False, "serving": True, "terminating": True}


def test_a_service_without_pods_has_one_empty_slice() -> None:
    """upstream: staging/src/k8s.io/endpointslice/reconciler.go: one slice without endpoints."""
    one = lab()
    assert (only(one)["endpoints"], only(one)["ports"]) == ([], [])
    one.client.create("pods", pod("a"))
    one.set_ready(one.get("pods", "a"), ip="10.0.0.1")
    one.run()
    assert len(only(one)["endpoints"]) == 1
    one.client.delete("pods", "a", "default")
    one.run()
    assert only(one)["endpoints"] == []


def test_pods_with_other_ports_get_other_slices() -> None:
    """docs: endpoint-slices (EndpointSlice API): all endpoints of a slice share the ports."""
    old = pod("old", containers=[container(ports=[{"name": "http", "containerPort": 8080}])])
    new = pod("new", containers=[container(ports=[{"name": "http", "containerPort": 9090}])])
    one = lab(old, new, ports=[{"port": 80, "targetPort": "http"}])
    assert sorted(found["ports"][0]["port"] for found in slices(one)) == [8080, 9090]


def test_a_mapped_port_has_a_slice_that_says_so() -> None:
    """k8snb: a runtime may open a port elsewhere, and says where."""
    mapped = pod("a")
    mapped["metadata"]["annotations"] = {MAPPED: '{"80":42080}'}
    one = lab(mapped, pod("b"))
    told = {found["ports"][0]["port"]: annotations_of(found).get(MAPPED) for found in slices(one)}
    assert told == {80: None, 42080: '{"80":42080}'}


def test_pods_of_a_stateful_set_have_a_hostname() -> None:
    """docs: concepts/services-networking/dns-pod-service (Pod's hostname and subdomain fields)."""
    one = lab(pod("web-0", hostname="web-0", subdomain="web"), clusterIP="None")
    assert only(one)["endpoints"][0]["hostname"] == "web-0"
    assert "service.kubernetes.io/headless" in labels_of(only(one))


def test_labels_of_the_service_are_on_its_slices() -> None:
    """upstream: staging/src/k8s.io/endpointslice/utils.go: setEndpointSliceLabels."""
    one = lab(pod("a"))
    one.apply("services", "web", {"metadata": {"labels": {"team": "a"}}})
    one.run()
    assert labels_of(only(one))["team"] == "a"


def test_a_deleted_slice_is_made_again() -> None:
    """e2e: test/e2e/network/endpointslice.go "should create Endpoints and EndpointSlices for Pods matching a
    Service"."""
    one = lab(pod("a"))
    one.client.delete("endpointslices", name_of(only(one)), "default")
    one.run()
    assert len(only(one)["endpoints"]) == 1


def test_a_hundred_and_one_pods_need_two_slices_and_one_change_rewrites_one() -> None:
    """docs: endpoint-slices (Distribution of EndpointSlices): at most 100 endpoints each."""
    one = lab(*(pod(f"p{number}") for number in range(101)))
    assert sorted(len(found["endpoints"]) for found in slices(one)) == [1, 100]
    before = {name_of(found): found["metadata"]["resourceVersion"] for found in slices(one)}
    one.set_ready(one.get("pods", "p7"), False)
    one.run()
    after = {name_of(found): found["metadata"]["resourceVersion"] for found in slices(one)}
    assert sum(before[name] != after[name] for name in before) == 1


def test_a_restarted_controller_writes_nothing() -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    one = lab(pod("a"), pod("b"))
    revision = one.store.revision
    assert one.restart().store.revision == revision


# the plan alone

GROUP = Group("IPv4", (Port("", "TCP", 80),))


def endpoint(number: int) -> Object:
    return {"addresses": [f"10.0.0.{number}"]}


def present(*numbers: int) -> Object:
    ports = [GROUP.ports[0].as_object()]
    endpoints = list(map(endpoint, numbers))
    return {"metadata": {"name": f"s{numbers}"}, "addressType": "IPv4", "ports": ports, "endpoints": endpoints}


def test_endpoints_stay_in_their_slices() -> None:
    """docs: endpoint-slices (Distribution of EndpointSlices): fewer changes count more than full slices."""
    plan = plan_slices({GROUP: [endpoint(2), endpoint(1)]}, [present(1), present(2)])
    assert len(plan.keep) == 2 and not (plan.create or plan.update or plan.delete)


def test_a_new_endpoint_goes_to_a_slice_with_room() -> None:
    """docs: endpoint-slices (Distribution of EndpointSlices)."""
    plan = plan_slices({GROUP: [endpoint(number) for number in range(3)]}, [present(0, 1)])
    assert [endpoints for _, endpoints in plan.update] == [[endpoint(0), endpoint(1), endpoint(2)]]


def test_a_slice_that_changes_anyway_is_filled_before_others_are_touched() -> None:
    """docs: endpoint-slices (Distribution of EndpointSlices), its three steps."""
    wanted = [endpoint(number) for number in (1, 2, 3, 4, 9)]
    plan = plan_slices({GROUP: wanted}, [present(1, 2), present(3, 4, 5)])
    assert [endpoints for _, endpoints in plan.update] == [[endpoint(3), endpoint(4), endpoint(9)]]
    assert len(plan.keep) == 1


def test_a_slice_that_became_empty_is_deleted() -> None:
    """upstream: staging/src/k8s.io/endpointslice/reconciler.go: reconcileByPortMapping."""
    plan = plan_slices({GROUP: [endpoint(1)]}, [present(1), present(2)])
    assert len(plan.delete) == 1 and len(plan.keep) == 1


def test_full_slices_are_left_alone() -> None:
    """docs: endpoint-slices (Distribution of EndpointSlices)."""
    full = present(*range(100))
    plan = plan_slices({GROUP: [endpoint(number) for number in range(250)]}, [full])
    assert plan.keep == [full]
    assert [len(endpoints) for _, endpoints in plan.create] == [100, 50]
