"""kube-apiserver: one request's way in, over the real embedded store."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from k8snb.apimachinery.errors import ApiError
from k8snb.apiserver import ApiServer
from k8snb.apiserver.compactor import Compactor
from k8snb.apiserver.event_ttl import EventTTL
from k8snb.client import Client, User
from k8snb.client.client import JSON, MERGE
from k8snb.clock import VirtualClock
from k8snb.etcd.guard import GuardedStore
from k8snb.pump import Pump

Object = dict[str, Any]


@pytest.fixture
def store() -> Iterator[GuardedStore]:
    store = GuardedStore()
    yield store
    store.check()


@pytest.fixture
def server(store: GuardedStore) -> ApiServer:
    server = ApiServer(store, VirtualClock(), dice=random.Random(0), service_cidr="10.96.0.0/24")
    server.bootstrap()
    return server


@pytest.fixture
def client(server: ApiServer) -> Client:
    return Client(server)


def pod(name: str = "web", **spec: Any) -> Object:
    container = {"name": "web", "image": "nginx:1.7.9"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container], **spec}}


def deployment(name: str = "web", replicas: int = 1, labels: Object | None = None) -> Object:
    template = {"metadata": {"labels": labels or {"app": name}}, "spec": pod()["spec"]}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def service(name: str = "web", **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec}}


def refusal(call: Any, *arguments: Any, **keywords: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call(*arguments, **keywords)
    return caught.value


# creating


def test_a_created_object_has_identity_defaults_and_a_first_status(client: Client) -> None:
    made = client.create("pods", pod(), "default")
    assert made["metadata"]["uid"]
    assert made["metadata"]["creationTimestamp"] == "2023-11-14T22:13:20Z"
    assert made["spec"]["restartPolicy"] == "Always"
    assert made["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}


def test_what_only_the_server_sets_is_not_taken_from_the_user(client: Client) -> None:
    wish = pod()
    wish["metadata"].update(uid="mine", resourceVersion="7", generation=9)
    wish["status"] = {"phase": "Running"}
    made = client.create("pods", wish, "default")
    assert made["metadata"]["uid"] != "mine"
    assert made["metadata"]["generation"] == 1
    assert made["status"]["phase"] == "Pending"


def test_two_objects_cannot_have_one_name(client: Client) -> None:
    client.create("pods", pod(), "default")
    error = refusal(client.create, "pods", pod(), "default")
    assert (error.code, error.message) == (409, 'pods "web" already exists')


def test_generated_names_differ(client: Client) -> None:
    wish = pod()
    wish["metadata"] = {"generateName": "web-"}
    names = {client.create("pods", wish, "default")["metadata"]["name"] for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith("web-") and len(name) == 9 for name in names)


def test_a_namespace_that_is_not_there_takes_nothing(client: Client) -> None:
    error = refusal(client.create, "pods", pod(), "nowhere")
    assert (error.code, error.message) == (404, 'namespaces "nowhere" not found')


def test_a_dry_run_answers_and_stores_nothing(client: Client, store: GuardedStore) -> None:
    before = store.revision
    assert client.create("pods", pod(), "default", dryRun=True)["spec"]["restartPolicy"] == "Always"
    assert client.create("services", service(type="NodePort"), "default", dryRun=True)["spec"]["clusterIP"]
    assert store.revision == before


def test_an_unknown_field_is_refused_by_name_or_remarked_on(client: Client) -> None:
    wish = deployment()
    wish["spec"]["replica"] = 3
    error = refusal(client.create, "deployments", wish, "default", fieldValidation="Strict")
    assert error.code == 400
    assert 'unknown field "spec.replica"' in error.message
    assert "spec.replicas" in error.message
    made = client.create("deployments", wish, "default")
    assert "replica" not in made["spec"]
    assert 'unknown field "spec.replica"' in client.take_warnings()[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"replicas": -1}, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ({"selector": {"matchLabels": {"app": "other"}}}, "`selector` does not match template `labels`"),
        ({"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}}, "Required value"),
        ({"strategy": {"type": "Rolling"}}, 'Unsupported value: "Rolling"'),
    ],
)
def test_a_deployment_that_cannot_work_is_refused_with_its_field(client: Client, change: Object, message: str) -> None:
    wish = deployment()
    wish["spec"].update(change)
    error = refusal(client.create, "deployments", wish, "default")
    assert error.code == 422
    assert error.message.startswith('Deployment.apps "web" is invalid: ')
    assert message in error.message


@pytest.mark.parametrize(
    ("labels", "word"),
    [({"app!": "x"}, "app!"), ({"app": "a b"}, "a b"), ({"": "x"}, "metadata.labels"), ({"app": "x" * 64}, "63")],
)
def test_a_bad_label_is_refused(client: Client, labels: Object, word: str) -> None:
    wish = pod()
    wish["metadata"]["labels"] = labels
    error = refusal(client.create, "pods", wish, "default")
    assert error.code == 422
    assert "metadata.labels" in error.message
    assert word in error.message


def test_a_bad_quantity_is_refused(client: Client) -> None:
    wish = pod()
    wish["spec"]["containers"][0]["resources"] = {"requests": {"memory": "64 megs"}}
    error = refusal(client.create, "pods", wish, "default")
    assert "spec.containers[0].resources.requests" in error.message
    assert "64 megs" in error.message


# reading


def test_a_list_is_limited_by_namespace_labels_and_fields(client: Client) -> None:
    for name, app in (("a", "nginx"), ("b", "nginx"), ("c", "redis")):
        wish = pod(name)
        wish["metadata"]["labels"] = {"app": app}
        client.create("pods", wish, "default")
    client.create("pods", pod("d"), "kube-system")

    def names(**options: Any) -> list[str]:
        return [item["metadata"]["name"] for item in client.items("pods", **options)]

    assert names() == ["a", "b", "c", "d"]
    assert names(namespace="default", labelSelector="app=nginx") == ["a", "b"]
    assert names(labelSelector="app notin (nginx)") == ["c", "d"]
    assert names(fieldSelector="metadata.namespace=kube-system") == ["d"]
    assert refusal(client.items, "pods", fieldSelector="spec.colour=red").code == 400
    assert refusal(client.items, "pods", labelSelector="app in (nginx").code == 400


def test_a_list_in_pages_shows_one_moment(client: Client) -> None:
    for name in "abcde":
        client.create("configmaps", {"metadata": {"name": name}}, "default")
    page = client.list("configmaps", "default", limit=2)
    client.delete("configmaps", "d", "default")
    client.create("configmaps", {"metadata": {"name": "cc"}}, "default")
    names = [item["metadata"]["name"] for item in page["items"]]
    while "continue" in page["metadata"]:
        page = client.list("configmaps", "default", limit=2, **{"continue": page["metadata"]["continue"]})
        names += [item["metadata"]["name"] for item in page["items"]]
    assert names == ["a", "b", "c", "d", "e"]


def test_a_watch_tells_what_comes_into_view_and_what_leaves_it(client: Client) -> None:
    watch = client.watch("pods", "default", labelSelector="app=nginx")
    made = client.create("pods", pod(), "default")
    labelled = client.patch("pods", "web", {"metadata": {"labels": {"app": "nginx"}}}, "default")
    client.patch("pods", "web", {"metadata": {"labels": {"tier": "front"}}}, "default")
    client.patch("pods", "web", {"metadata": {"labels": {"app": "redis"}}}, "default")
    client.delete("pods", "web", "default")
    assert [event.sort for event in watch.events] == ["ADDED", "MODIFIED", "DELETED"]
    assert watch.events[0].object is labelled
    assert made is not labelled


def test_a_watch_by_node_hears_only_of_its_own_pods(client: Client) -> None:
    watch = client.watch("pods", fieldSelector="spec.nodeName=node-1")
    for name, node in (("a", "node-1"), ("b", "node-2")):
        client.create("pods", pod(name), "default")
        client.create_subresource("pods", name, "binding", {"target": {"name": node}}, "default")
        client.delete("pods", name, "default", gracePeriodSeconds=0)
    assert [(event.sort, event.object["metadata"]["name"]) for event in watch.events] == [
        ("ADDED", "a"),
        ("DELETED", "a"),
    ]


def test_a_watch_from_a_compacted_revision_is_told_to_list_again(client: Client, store: GuardedStore) -> None:
    for number in range(5):
        client.create("configmaps", {"metadata": {"name": f"c{number}"}}, "default")
    store.compact(store.revision)
    assert refusal(client.watch, "configmaps", resourceVersion="2").reason == "Expired"


# changing


def test_who_writes_an_old_version_is_refused(client: Client) -> None:
    made = client.create("deployments", deployment(), "default")
    client.patch("deployments", "web", {"spec": {"replicas": 2}}, "default")
    error = refusal(client.update, "deployments", {**made, "spec": {**made["spec"], "replicas": 5}})
    assert (error.code, error.reason) == (409, "Conflict")
    assert "the object has been modified" in error.message


def test_writing_what_is_there_already_writes_nothing(client: Client, store: GuardedStore) -> None:
    made = client.create("deployments", deployment(), "default")
    before = store.revision
    assert client.update("deployments", made) is made
    client.patch("deployments", "web", {"spec": {"replicas": 1}}, "default")
    assert store.revision == before


def test_spec_and_status_have_a_door_each(client: Client) -> None:
    made = client.create("deployments", deployment(), "default")
    client.update("deployments", {**made, "status": {"replicas": 99}})
    assert client.get("deployments", "web", "default")["status"].get("replicas") is None
    client.update_status("deployments", {**made, "spec": {"replicas": 7}, "status": {"replicas": 1}})
    now = client.get("deployments", "web", "default")
    assert (now["spec"]["replicas"], now["status"]["replicas"]) == (1, 1)


def test_the_generation_counts_changes_of_the_spec_only(client: Client) -> None:
    client.create("deployments", deployment(), "default")
    client.patch("deployments", "web", {"metadata": {"labels": {"a": "b"}}}, "default")
    assert client.get("deployments", "web", "default")["metadata"]["generation"] == 1
    client.patch("deployments", "web", {"spec": {"replicas": 3}}, "default")
    assert client.get("deployments", "web", "default")["metadata"]["generation"] == 2


def test_patches_come_in_three_formats(client: Client) -> None:
    client.create("deployments", deployment(), "default")
    path = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "nginx:1.9"}]}}}}
    strategic = client.patch("deployments", "web", path, "default")
    container = strategic["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["imagePullPolicy"]) == ("nginx:1.9", "IfNotPresent")
    merged = client.patch("deployments", "web", {"spec": {"replicas": 4}}, "default", content_type=MERGE)
    assert merged["spec"]["replicas"] == 4
    operations = [{"op": "replace", "path": "/spec/replicas", "value": 6}]
    assert client.patch("deployments", "web", operations, "default", content_type=JSON)["spec"]["replicas"] == 6
    error = refusal(client.patch, "deployments", "web", {}, "default", content_type="text/plain")
    assert error.code == 415


def test_a_pods_spec_is_fixed_but_for_its_images(client: Client) -> None:
    client.create("pods", pod(), "default")
    image = {"spec": {"containers": [{"name": "web", "image": "nginx:2"}]}}
    assert client.patch("pods", "web", image, "default")["spec"]["containers"][0]["image"] == "nginx:2"
    error = refusal(client.patch, "pods", "web", {"spec": {"restartPolicy": "Never"}}, "default")
    assert (error.code, "pod updates may not change fields" in error.message) == (422, True)


def test_scale_reads_and_writes_the_number_of_replicas(client: Client) -> None:
    client.create("deployments", deployment(), "default")
    scale = client.get("deployments", "web", "default", subresource="scale")
    assert (scale["spec"]["replicas"], scale["status"]["selector"]) == (1, "app=web")
    patch = {"spec": {"replicas": 5}}
    client.patch("deployments", "web", patch, "default", content_type=MERGE, subresource="scale")
    assert client.get("deployments", "web", "default")["spec"]["replicas"] == 5
    refused = refusal(client.patch, "deployments", "web", {"spec": {"replicas": -1}}, "default", content_type=MERGE,
                      subresource="scale")  # fmt: skip
    assert refused.code == 422


# ending


def test_a_pod_on_a_node_gets_time_to_end(client: Client) -> None:
    client.create("pods", pod(terminationGracePeriodSeconds=20), "default")
    client.create_subresource("pods", "web", "binding", {"target": {"name": "node-1"}}, "default")
    ending = client.delete("pods", "web", "default")
    assert ending["metadata"]["deletionGracePeriodSeconds"] == 20
    assert ending["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:40Z"
    assert client.find("pods", "web", "default") is not None
    client.delete("pods", "web", "default", gracePeriodSeconds=0)
    assert client.find("pods", "web", "default") is None


def test_a_pod_without_a_node_ends_at_once(client: Client) -> None:
    client.create("pods", pod(), "default")
    client.delete("pods", "web", "default")
    assert client.find("pods", "web", "default") is None


def test_a_finalizer_holds_an_object_until_it_is_taken_away(client: Client) -> None:
    client.create("configmaps", {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}, "default")
    client.delete("configmaps", "held", "default")
    held = client.get("configmaps", "held", "default")
    assert held["metadata"]["deletionTimestamp"]
    client.patch("configmaps", "held", {"metadata": {"finalizers": None}}, "default", content_type=MERGE)
    assert client.find("configmaps", "held", "default") is None


def test_a_deletion_of_somebody_else_is_refused(client: Client) -> None:
    client.create("configmaps", {"metadata": {"name": "a"}}, "default")
    error = refusal(client.delete, "configmaps", "a", "default", preconditions={"uid": "another"})
    assert error.code == 409


def test_the_first_namespaces_stay(client: Client) -> None:
    assert refusal(client.delete, "namespaces", "kube-system").code == 403


def test_a_namespace_ends_when_it_is_finalized(client: Client) -> None:
    client.create("namespaces", {"metadata": {"name": "dev"}})
    assert client.delete("namespaces", "dev")["status"]["phase"] == "Terminating"
    error = refusal(client.create, "pods", pod(), "dev")
    assert (error.code, "being terminated" in error.message) == (403, True)
    namespace = client.get("namespaces", "dev")
    empty = {**namespace, "spec": {"finalizers": []}}
    client.update("namespaces", empty, subresource="finalize")
    assert client.find("namespaces", "dev") is None


# services


def test_services_get_addresses_of_their_own(client: Client) -> None:
    addresses = {
        client.create("services", service(f"s{number}"), "default")["spec"]["clusterIP"] for number in range(30)
    }
    assert len(addresses) == 30
    assert all(address.startswith("10.96.0.") for address in addresses)


def test_an_address_or_port_that_is_taken_is_refused(client: Client) -> None:
    client.create("services", service("a", type="NodePort", clusterIP="10.96.0.7",
                                      ports=[{"port": 80, "nodePort": 30080}]), "default")  # fmt: skip
    error = refusal(client.create, "services", service("b", clusterIP="10.96.0.7"), "default")
    assert "provided IP is already allocated" in error.message
    ports = [{"port": 80, "nodePort": 30080}]
    error = refusal(client.create, "services", service("b", type="NodePort", ports=ports), "default")
    assert "provided port is already allocated" in error.message
    error = refusal(
        client.create, "services", service("b", type="NodePort", ports=[{"port": 80, "nodePort": 80}]), "default"
    )
    assert "30000-32767" in error.message
    client.delete("services", "a", "default")
    assert client.create("services", service("b", clusterIP="10.96.0.7"), "default")


def test_a_restarted_apiserver_knows_what_is_taken(client: Client, store: GuardedStore) -> None:
    client.create("services", service("a", clusterIP="10.96.0.7"), "default")
    again = ApiServer(store, VirtualClock(), dice=random.Random(1), service_cidr="10.96.0.0/24")
    again.bootstrap()
    assert refusal(Client(again).create, "services", service("b", clusterIP="10.96.0.7"), "default").code == 422


def test_a_headless_service_has_no_address(client: Client) -> None:
    made = client.create("services", service(clusterIP="None"), "default")
    assert made["spec"]["clusterIP"] == "None"


# who did it


def test_every_write_carries_actor_verb_and_cause(client: Client, store: GuardedStore) -> None:
    client.create("pods", pod(), "default")
    scheduler = client.as_user(User("system:kube-scheduler"))
    scheduler.cause = store.revision
    scheduler.create_subresource("pods", "web", "binding", {"target": {"name": "node-1"}}, "default")
    origins = [record.origin for record in store.history("/registry/pods/default/web")]
    assert [(origin.actor, origin.verb) for origin in origins] == [
        ("kubernetes-admin", "create"),
        ("system:kube-scheduler", "create binding"),
    ]
    assert origins[1].cause == store.revision - 1


def test_a_pod_is_bound_once(client: Client) -> None:
    client.create("pods", pod(), "default")
    client.create_subresource("pods", "web", "binding", {"target": {"name": "node-1"}}, "default")
    error = refusal(client.create_subresource, "pods", "web", "binding", {"target": {"name": "node-2"}}, "default")
    assert (error.code, 'already assigned to node "node-1"' in error.message) == (409, True)


def test_logs_of_a_pod_without_a_node_are_refused(client: Client) -> None:
    client.create("pods", pod(), "default")
    assert "does not have a host assigned" in refusal(client.logs, "web", "default").message


# graceful deletion and generations


def running(client: Client) -> Object:
    """A pod that takes its time to end."""
    return client.create("pods", pod(nodeName="node-1"), "default")


def test_a_second_deletion_may_shorten_the_time_to_end_and_not_lengthen_it(client: Client, server: ApiServer) -> None:
    running(client)
    client.delete("pods", "web", "default", gracePeriodSeconds=20)
    server.clock.advance_to(server.clock.now() + 5)  # type: ignore[attr-defined]
    longer = client.delete("pods", "web", "default", gracePeriodSeconds=50, propagationPolicy="Foreground")
    assert longer["metadata"]["deletionGracePeriodSeconds"] == 20
    assert longer["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:40Z"
    shorter = client.delete("pods", "web", "default", gracePeriodSeconds=10)
    assert shorter["metadata"]["deletionGracePeriodSeconds"] == 10
    assert shorter["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:30Z"
    assert shorter["metadata"]["generation"] == 2


def test_deleting_again_in_the_same_way_writes_nothing(client: Client, store: GuardedStore) -> None:
    running(client)
    client.delete("pods", "web", "default")
    before = store.revision
    client.delete("pods", "web", "default")
    assert store.revision == before


def test_what_defaults_fill_in_is_no_change_of_the_spec(client: Client, store: GuardedStore) -> None:
    client.create("deployments", deployment(), "default")
    before = store.revision
    again = deployment()
    again["metadata"]["namespace"] = "default"
    assert client.update("deployments", again)["metadata"]["generation"] == 1
    assert store.revision == before


def test_replacing_a_node_keeps_its_status(client: Client) -> None:
    status = {"capacity": {"cpu": "2"}, "allocatable": {"cpu": "1"}}
    client.create("nodes", {"metadata": {"name": "node-1"}, "status": status})
    replaced = client.update("nodes", {"metadata": {"name": "node-1", "labels": {"disk": "ssd"}}})
    assert replaced["metadata"]["labels"] == {"disk": "ssd"}
    assert replaced["status"] == status


@pytest.mark.parametrize("toleration", [
    {"operator": "Exists"},
    {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": ""},
    {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5},
])  # fmt: skip
def test_a_pod_that_says_how_long_it_stays_on_a_silent_node_is_believed(client: Client, toleration: Object) -> None:
    made = client.create("pods", pod(tolerations=[toleration]), "default")
    keys = [entry.get("key") for entry in made["spec"]["tolerations"]]
    assert keys.count("node.kubernetes.io/not-ready") == (1 if toleration.get("key") else 0)


# compaction


def test_a_long_run_keeps_the_newest_history_only(client: Client, server: ApiServer, store: GuardedStore) -> None:
    pump = Pump(server.clock)
    Compactor(server, server.clock, keep=50).start()
    client.create("configmaps", {"metadata": {"name": "old"}}, "default")
    for number in range(400):
        client.create("configmaps", {"metadata": {"name": "busy"}, "data": {"n": str(number)}}, "default")
        client.delete("configmaps", "busy", "default")
        pump.run_for(10)
    assert len(store.history()) < 50 + 70
    assert client.get("configmaps", "old", "default")
    watch = client.watch("configmaps", "default", resourceVersion=str(store.revision - 50))
    assert len(watch.events) == 50
    assert refusal(client.watch, "configmaps", "default", resourceVersion="1").code == 410


# identity


def test_a_token_says_who_asked_for_how_long(client: Client, server: ApiServer) -> None:
    client.create("serviceaccounts", {"metadata": {"name": "robot"}}, "default")
    answer = client.create_subresource(
        "serviceaccounts", "robot", "token", {"spec": {"expirationSeconds": 900}}, "default"
    )
    claims = server.identity.verify(answer["status"]["token"])
    assert claims["sub"] == "system:serviceaccount:default:robot"
    assert answer["status"]["expirationTimestamp"] == "2023-11-14T22:28:20Z"
    server.clock.advance_to(server.clock.now() + 901)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="expired"):
        server.identity.verify(answer["status"]["token"])


def test_a_token_of_another_cluster_is_refused(server: ApiServer) -> None:
    from k8snb.apiserver import Identity

    other = Identity(VirtualClock())
    forged = other.sign(other.account_claims({"metadata": {"name": "robot", "namespace": "default", "uid": "1"}}))
    with pytest.raises(ValueError, match="invalid bearer token"):
        server.identity.verify(forged)


def test_an_event_is_forgotten_an_hour_after_it_was_told_last(server: ApiServer, client: Client) -> None:
    """Source: kube-apiserver's flag --event-ttl."""
    clock = server.clock
    assert isinstance(clock, VirtualClock)
    pump = Pump(clock)
    EventTTL(server.store, clock).start()
    about = {"kind": "Pod", "namespace": "default", "name": "web"}
    for name in ("once", "again"):
        client.create("events", {"metadata": {"name": name}, "involvedObject": about, "reason": "Tested"}, "default")
    pump.run_for(3000)
    client.patch("events", "again", {"count": 2}, "default", content_type=MERGE)
    pump.run_for(1000)
    assert [event["metadata"]["name"] for event in client.items("events", "default")] == ["again"]
    pump.run_for(3600)
    assert client.items("events", "default") == []
