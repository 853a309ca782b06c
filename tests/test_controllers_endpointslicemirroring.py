"""endpointslicemirroring-controller: what somebody wrote into Endpoints reaches those who read EndpointSlices."""

from __future__ import annotations

from typing import Any

import pytest
from controllers_lab import Lab

from k8snb.apimachinery.meta import Object, annotations_of, controller_of, labels_of, name_of, with_path
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.controllers.endpointslice import EndpointSliceController
from k8snb.controllers.endpointslicemirroring import EndpointSliceMirroringController, mirrored

HTTP = {"name": "http", "port": 8080, "protocol": "TCP"}


def service(**spec: Any) -> Object:
    return {"metadata": {"name": "db", "namespace": "default"}, "spec": {"ports": [{"port": 80}], **spec}}


def endpoints(*subsets: Object, **metadata: Any) -> Object:
    return {"metadata": {"name": "db", "namespace": "default", **metadata}, "subsets": list(subsets)}


def subset(*ips: str, not_ready: tuple[str, ...] = (), ports: tuple[Object, ...] = (HTTP,)) -> Object:
    told = {"addresses": [{"ip": ip} for ip in ips], "notReadyAddresses": [{"ip": ip} for ip in not_ready]}
    return {**{field: found for field, found in told.items() if found}, "ports": list(ports)}


@pytest.fixture
def lab() -> Lab:
    one = Lab(EndpointSliceMirroringController, EndpointSliceController).start()
    one.client.create("services", service())
    return one


def slices(one: Lab) -> list[Object]:
    return one.client.items("endpointslices", "default", labelSelector="kubernetes.io/service-name=db")


def addresses(one: Lab) -> list[list[str]]:
    return sorted([address for each in found["endpoints"] for address in each["addresses"]] for found in slices(one))


def test_endpoints_written_by_hand_are_mirrored_through_create_update_and_delete(lab: Lab) -> None:
    """e2e: test/e2e/network/endpointslicemirroring.go, "should mirror a custom Endpoints resource …"."""
    lab.client.create("endpoints", endpoints(subset("10.1.2.3")))
    (found,) = slices(lab.run())
    assert (found["ports"], found["addressType"]) == ([HTTP], "IPv4")
    assert found["endpoints"] == [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}]
    lab.client.update("endpoints", with_path(lab.get("endpoints", "db"), "subsets", [subset("10.2.3.4")]))
    assert addresses(lab.run()) == [["10.2.3.4"]]
    assert name_of(slices(lab)[0]) == name_of(found)
    lab.client.delete("endpoints", "db", "default")
    assert slices(lab.run()) == []


def test_a_mirror_says_whose_it_is(lab: Lab) -> None:
    """docs: concepts/services-networking/endpoint-slices (Management)."""
    annotations = {"team": "a", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    lab.client.create("endpoints", endpoints(subset("10.0.0.1"), labels={"app": "db"}, annotations=annotations))
    (found,) = slices(lab.run())
    assert controller_of(found)["kind"] == "Endpoints"
    assert labels_of(found) == {
        "app": "db",
        "kubernetes.io/service-name": "db",
        "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
    }
    assert annotations_of(found) == {"team": "a"}


def test_subsets_with_other_ports_get_slices_of_their_own(lab: Lab) -> None:
    """e2e: endpointslicemirroring.go, "should mirror a custom Endpoint with multiple subsets and same IP address"."""
    other = {"name": "admin", "port": 9090, "protocol": "TCP"}
    lab.client.create("endpoints", endpoints(subset("10.0.0.1"), subset("10.0.0.1", ports=(other,))))
    assert sorted(found["ports"][0]["port"] for found in slices(lab.run())) == [8080, 9090]


def test_addresses_of_both_families_get_slices_of_their_own(lab: Lab) -> None:
    """upstream: pkg/controller/endpointslicemirroring/reconciler.go (slices by address type and ports)."""
    lab.client.create("endpoints", endpoints(subset("10.0.0.1", "fd00::1")))
    assert sorted(found["addressType"] for found in slices(lab.run())) == ["IPv4", "IPv6"]


def test_what_is_not_ready_is_mirrored_as_such() -> None:
    """upstream: pkg/controller/endpointslicemirroring/utils.go, addressToEndpoint."""
    ((_, found),) = mirrored(endpoints(subset("10.0.0.1", not_ready=("10.0.0.2",)))).groups.items()
    assert [each["conditions"]["ready"] for each in found] == [True, False]


def test_a_thousand_addresses_of_a_subset_are_mirrored_and_the_rest_is_told_of(lab: Lab) -> None:
    """docs: concepts/services-networking/endpoint-slices (EndpointSlice mirroring)."""
    ips = [f"10.0.{at // 250}.{at % 250 + 1}" for at in range(1003)]
    lab.client.create("endpoints", endpoints(subset(*ips)))
    (found,) = slices(lab.run())
    assert len(found["endpoints"]) == 1000
    words = "A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. 3 addresses were skipped"
    assert lab.events("TooManyAddressesToMirror") == [words]


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}},
    ],
)
def test_endpoints_may_ask_not_to_be_mirrored(lab: Lab, metadata: Object) -> None:
    """docs: concepts/services-networking/endpoint-slices (EndpointSlice mirroring, the exceptions)."""
    lab.client.create("endpoints", endpoints(subset("10.0.0.1"), **metadata))
    assert slices(lab.run()) == []


def test_endpoints_without_a_service_are_not_mirrored_until_it_is_there(lab: Lab) -> None:
    """docs: concepts/services-networking/endpoint-slices (EndpointSlice mirroring, the exceptions)."""
    lab.client.delete("services", "db", "default")
    lab.client.create("endpoints", endpoints(subset("10.0.0.1")))
    assert slices(lab.run()) == []
    lab.client.create("services", service())
    assert addresses(lab.run()) == [["10.0.0.1"]]


def test_a_service_that_gets_a_selector_loses_the_mirror(lab: Lab) -> None:
    """upstream: pkg/controller/endpointslicemirroring/endpointslicemirroring_controller.go, syncEndpoints."""
    lab.client.create("endpoints", endpoints(subset("10.0.0.1")))
    lab.run()
    lab.client.update("services", with_path(lab.get("services", "db"), "spec.selector", {"app": "db"}))
    assert addresses(lab.run()) == [[]]  # the empty slice of the endpointslice-controller


def test_what_somebody_does_to_a_mirror_is_put_right(lab: Lab) -> None:
    """upstream: pkg/controller/endpointslicemirroring, onEndpointSliceUpdate and onEndpointSliceDelete."""
    lab.client.create("endpoints", endpoints(subset("10.0.0.1")))
    (found,) = slices(lab.run())
    lab.client.update("endpointslices", {**found, "endpoints": []})
    assert addresses(lab.run()) == [["10.0.0.1"]]
    lab.client.delete("endpointslices", name_of(found), "default")
    assert addresses(lab.run()) == [["10.0.0.1"]]


def test_a_restarted_controller_writes_nothing(lab: Lab) -> None:
    """upstream: a controller is level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    lab.client.create("endpoints", endpoints(subset("10.0.0.1", not_ready=("10.0.0.2",)), labels={"a": "b"}))
    before = lab.run().store.revision
    assert lab.restart().store.revision == before


def test_a_pod_reaches_an_address_that_was_written_by_hand() -> None:
    """docs: concepts/services-networking/service (Services without selectors)."""
    with Cluster(nodes=1, runtime="simulated", clock=VirtualClock()) as cluster:
        cluster.kubectl.run(["run", "web", "--image=nginx"])
        cluster.kubectl.run(["run", "probe", "--image=busybox", "--command", "--", "sleep", "9999"])
        cluster.settle()
        ip = cluster.client.get("pods", "web", "default")["status"]["podIP"]
        cluster.client.create("services", service())
        port = {"port": 80, "protocol": "TCP"}
        cluster.client.create("endpoints", endpoints(subset(ip, ports=(port,))))
        cluster.settle()
        answer = cluster.kubectl.run(["exec", "probe", "--", "wget", "-qO-", "http://db"])
        assert "Welcome to nginx" in str(answer)
