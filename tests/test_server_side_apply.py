"""kube-apiserver's field manager: server-side apply, and who owns which field after any write."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.managed_fields import APPLY as APPLIED
from k8snb.apimachinery.managed_fields import UPDATE, Managers, decode, in_order, path_text
from k8snb.apimachinery.ownership import ANCIENT, Author, ConflictError, Rules, apply, update
from k8snb.apimachinery.structured_merge import DEDUCED
from k8snb.apiserver import ApiServer
from k8snb.apiserver.field_manager import manager_from_actor, manager_from_user_agent
from k8snb.client import Client, User
from k8snb.client.client import APPLY, JSON, MERGE
from k8snb.clock import VirtualClock
from k8snb.etcd.guard import GuardedStore
from k8snb.kubectl import Kubectl
from k8snb.kubectl.output import KubectlError

Object = dict[str, Any]


@pytest.fixture
def store() -> Iterator[GuardedStore]:
    store = GuardedStore()
    yield store
    store.check()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def server(store: GuardedStore, clock: VirtualClock) -> ApiServer:
    server = ApiServer(store, clock, dice=random.Random(0), service_cidr="10.96.0.0/24")
    server.bootstrap()
    return server


@pytest.fixture
def client(server: ApiServer) -> Client:
    return Client(server)


@pytest.fixture
def kubectl(client: Client, clock: VirtualClock) -> Kubectl:
    return Kubectl(client, wait=lambda until, timeout: until(), clock_now=clock.now)


def config_map(name: str = "m", **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def nothing(name: str) -> Object:
    """What an applier says that wants no field any more."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def deployment(*containers: Object, **spec: Any) -> Object:
    listed = list(containers) or [{"name": "web", "image": "nginx:1.7.9"}]
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": listed}}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}


def plural(obj: Object) -> str:
    return f"{obj['kind'].lower()}s"


def ssa(client: Client, obj: Any, manager: str = "me", **options: Any) -> Object:
    """Apply an object as a manager."""
    name = obj["metadata"]["name"]
    return client.patch(plural(obj), name, obj, "default", content_type=APPLY, fieldManager=manager, **options)


def entries(client: Client, resource: str, name: str) -> list[Object]:
    live = client.get(resource, name, "default", managedFields=True)
    found: list[Object] = live["metadata"].get("managedFields", [])
    return found


def owned(client: Client, resource: str, name: str, manager: str, operation: str = APPLIED) -> list[str]:
    """The paths that a manager owns."""
    managers = decode(entries(client, resource, name))
    found = [each.fields for key, each in managers.items() if (key.name, key.operation) == (manager, operation)]
    return [path_text(path) for fields in found for path in in_order(fields)]


def refusal(call: Any, *arguments: Any, **keywords: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call(*arguments, **keywords)
    return caught.value


# applying


def test_applying_what_is_not_there_creates_it(client: Client, store: GuardedStore) -> None:
    made = ssa(client, deployment(replicas=2))
    assert made["metadata"]["uid"]
    assert made["spec"]["strategy"]["type"] == "RollingUpdate"
    assert store.history("/registry/deployments/default/web") == []
    assert client.get("deployments", "web", "default") == made


def test_an_applier_owns_what_it_wrote_and_no_defaults(client: Client) -> None:
    ssa(client, deployment(replicas=2))
    assert owned(client, "deployments", "web", "me") == [
        ".spec.replicas",
        ".spec.selector",
        ".spec.template.metadata.labels.app",
        '.spec.template.spec.containers[name="web"]',
        '.spec.template.spec.containers[name="web"].image',
        '.spec.template.spec.containers[name="web"].name',
    ]


def test_an_apply_that_changes_nothing_writes_nothing(client: Client, store: GuardedStore, clock: VirtualClock) -> None:
    first = ssa(client, deployment(replicas=2))
    revision = store.revision
    clock.advance_to(clock.now() + 60)
    assert ssa(client, deployment(replicas=2)) == first
    assert store.revision == revision


def test_a_manifest_may_be_given_to_the_store_only_through_a_manager(client: Client) -> None:
    error = refusal(client.patch, "configmaps", "m", config_map(), "default", content_type=APPLY)
    assert error.code == 422
    assert error.message == (
        'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
    )
    assert "Too long" in refusal(ssa, client, config_map(), "x" * 129).message


def test_force_is_for_apply_only(client: Client) -> None:
    client.create("configmaps", config_map(a="1"), "default")
    error = refusal(client.patch, "configmaps", "m", {"data": {"a": "2"}}, "default", force=True)
    assert error.message.endswith("force: Forbidden: may not be specified for non-apply patch")


def test_a_field_that_its_applier_leaves_out_disappears(client: Client) -> None:
    ssa(client, config_map(a="1", b="2"))
    assert ssa(client, config_map(a="1"))["data"] == {"a": "1"}


def test_a_field_that_its_applier_leaves_out_takes_its_default_again(client: Client) -> None:
    ssa(client, deployment(replicas=5))
    assert ssa(client, deployment())["spec"]["replicas"] == 1


def test_what_others_wrote_stays(client: Client) -> None:
    ssa(client, config_map(a="1"))
    client.patch("configmaps", "m", {"data": {"b": "2"}}, "default", fieldManager="other")
    assert ssa(client, config_map(a="3"))["data"] == {"a": "3", "b": "2"}


def test_a_field_two_managers_applied_stays_until_both_gave_it_up(client: Client) -> None:
    ssa(client, config_map(a="1", b="2"))
    ssa(client, config_map(a="1"), "other")
    assert owned(client, "configmaps", "m", "other") == [".data.a"]
    assert ssa(client, config_map(b="2"))["data"] == {"a": "1", "b": "2"}
    assert ssa(client, nothing("m"), "other")["data"] == {"b": "2"}


def test_sharing_a_value_is_no_conflict_and_is_written_down(client: Client, store: GuardedStore) -> None:
    ssa(client, config_map(a="1"))
    revision = store.revision
    ssa(client, config_map(a="1"), "other")
    assert store.revision == revision + 1
    assert owned(client, "configmaps", "m", "me") == owned(client, "configmaps", "m", "other") == [".data.a"]


def test_an_entry_of_a_list_with_keys_belongs_to_who_applied_it(client: Client) -> None:
    web, log = {"name": "web", "image": "nginx:1"}, {"name": "log", "image": "busybox:1"}
    ssa(client, deployment(web))
    with_both = ssa(client, deployment(log), "sidecar")
    assert [each["name"] for each in with_both["spec"]["template"]["spec"]["containers"]] == ["web", "log"]
    only_web = ssa(client, {**deployment(), "spec": {}}, "sidecar")
    assert [each["name"] for each in only_web["spec"]["template"]["spec"]["containers"]] == ["web"]


def test_an_atomic_value_changes_owner_as_a_whole(client: Client) -> None:
    one = {**deployment({"name": "web", "image": "a", "command": ["sh", "-c"]})}
    two = {**deployment({"name": "web", "image": "a", "command": ["sh"]})}
    ssa(client, one)
    error = refusal(ssa, client, two, "other")
    assert [cause["field"] for cause in error.causes] == ['.spec.template.spec.containers[name="web"].command']


def test_the_body_may_be_yaml(client: Client) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\ndata:\n  a: yes please\n"
    made = client.patch("configmaps", "m", text, "default", content_type=APPLY, fieldManager="me")
    assert made["data"] == {"a": "yes please"}
    error = refusal(client.patch, "configmaps", "m", "a: [", "default", content_type=APPLY, fieldManager="me")
    assert (error.code, error.message.startswith("error decoding YAML")) == (400, True)


def test_a_dry_run_tells_owners_and_keeps_nothing(client: Client, store: GuardedStore) -> None:
    revision = store.revision
    shown = ssa(client, config_map(a="1"), dryRun=True)
    assert shown["metadata"]["managedFields"][0]["manager"] == "me"
    assert store.revision == revision
    assert client.find("configmaps", "m", "default") is None
    ssa(client, config_map(a="1"))
    changed = ssa(client, config_map(a="2"), "other", force=True, dryRun=True)
    assert [entry["manager"] for entry in changed["metadata"]["managedFields"]] == ["other"]
    assert client.get("configmaps", "m", "default")["data"] == {"a": "1"}


# conflicts


def test_changing_what_another_owns_is_a_conflict_in_upstreams_words(client: Client, store: GuardedStore) -> None:
    client.create("deployments", deployment(replicas=3), "default", fieldManager="kubectl")
    revision = store.revision
    error = refusal(ssa, client, deployment(replicas=5))
    assert (error.code, error.reason) == (409, "Conflict")
    assert error.message == 'Apply failed with 1 conflict: conflict with "kubectl" using apps/v1: .spec.replicas'
    assert error.causes == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "kubectl" using apps/v1',
            "field": ".spec.replicas",
        }
    ]
    assert store.revision == revision


def test_several_conflicts_are_listed_manager_by_manager(client: Client) -> None:
    ssa(client, config_map(a="1", b="1"), "alice")
    client.patch("configmaps", "m", {"data": {"c": "1"}}, "default", fieldManager="bob")
    error = refusal(ssa, client, config_map(a="2", b="2", c="2"))
    assert error.message == (
        'Apply failed with 3 conflicts: conflicts with "alice":\n- .data.a\n- .data.b\n'
        'conflicts with "bob" using v1:\n- .data.c'
    )
    assert [cause["field"] for cause in error.causes] == [".data.a", ".data.b", ".data.c"]


def test_force_takes_the_fields_over(client: Client) -> None:
    ssa(client, config_map(a="1", b="1"), "alice")
    assert ssa(client, config_map(a="2"), force=True)["data"] == {"a": "2", "b": "1"}
    assert owned(client, "configmaps", "m", "alice") == [".data.b"]
    assert owned(client, "configmaps", "m", "me") == [".data.a"]


def test_who_lost_everything_is_listed_no_more(client: Client) -> None:
    ssa(client, config_map(a="1"), "alice")
    ssa(client, config_map(a="2"), force=True)
    assert [entry["manager"] for entry in entries(client, "configmaps", "m")] == ["me"]


def test_any_other_write_takes_fields_without_asking(client: Client) -> None:
    ssa(client, config_map(a="1", b="1"))
    client.patch("configmaps", "m", {"data": {"a": "2"}}, "default", fieldManager="kubectl-patch")
    assert owned(client, "configmaps", "m", "me") == [".data.b"]
    assert owned(client, "configmaps", "m", "kubectl-patch", UPDATE) == [".data.a"]


# the autoscaler


def test_replicas_go_over_to_an_autoscaler_and_stay_what_they_are(client: Client) -> None:
    """The handover that upstream's documentation describes."""
    ssa(client, deployment(replicas=3), "owner")
    client.patch("deployments", "web", {"spec": {"replicas": 7}}, "default", subresource="scale", content_type=MERGE,
                 fieldManager="kube-controller-manager")  # fmt: skip
    error = refusal(ssa, client, deployment(replicas=3), "owner")
    assert error.message.endswith(
        'conflict with "kube-controller-manager" with subresource "scale" using apps/v1: .spec.replicas'
    )
    assert ssa(client, deployment(), "owner")["spec"]["replicas"] == 7
    assert ".spec.replicas" not in owned(client, "deployments", "web", "owner")


def test_an_applier_that_gives_replicas_up_at_once_keeps_them_for_the_next_owner(client: Client) -> None:
    ssa(client, deployment(replicas=3), "owner")
    minimal = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 3}}
    ssa(client, minimal, "handover-to-hpa")
    assert ssa(client, deployment(), "owner")["spec"]["replicas"] == 3
    assert owned(client, "deployments", "web", "handover-to-hpa") == [".spec.replicas"]


def test_scale_can_be_applied_too(client: Client) -> None:
    ssa(client, deployment())
    scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": 4}}
    client.patch("deployments", "web", scale, "default", subresource="scale", content_type=APPLY, fieldManager="hpa")
    assert client.get("deployments", "web", "default")["spec"]["replicas"] == 4
    entry = next(entry for entry in entries(client, "deployments", "web") if entry["manager"] == "hpa")
    assert (entry["operation"], entry["subresource"]) == ("Apply", "scale")


# who wrote what


def test_a_creator_owns_what_it_sent_and_its_defaults_but_not_what_admission_added(client: Client) -> None:
    pod = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "nginx:1"}]}}
    client.create("pods", pod, "default", fieldManager="kubectl-run")
    fields = owned(client, "pods", "web", "kubectl-run", UPDATE)
    assert ".spec.restartPolicy" in fields
    assert '.spec.containers[name="web"].imagePullPolicy' in fields
    assert not [path for path in fields if path.startswith((".spec.tolerations", ".spec.serviceAccount", ".status"))]


def test_fields_read_as_upstream_lists_them(client: Client) -> None:
    client.create("deployments", deployment(replicas=1), "default", fieldManager="kubectl-create")
    (entry,) = entries(client, "deployments", "web")
    spec = entry["fieldsV1"]["f:spec"]
    assert entry["time"] == "2023-11-14T22:13:20Z"
    assert "." not in spec["f:template"]
    assert spec["f:strategy"] == {"f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}}, "f:type": {}}
    assert spec["f:template"]["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}
    assert "." not in spec["f:template"]["f:spec"]["f:containers"]


def test_a_status_belongs_to_its_writer_through_the_subresource(client: Client) -> None:
    made = client.create("deployments", deployment(), "default", fieldManager="kubectl-create")
    client.update_status("deployments", {**made, "status": {"replicas": 3}}, fieldManager="controller")
    entry = next(entry for entry in entries(client, "deployments", "web") if entry["manager"] == "controller")
    assert entry["subresource"] == "status"
    assert entry["fieldsV1"] == {"f:status": {"f:replicas": {}}}


def test_a_field_that_somebody_removes_has_no_owner(client: Client) -> None:
    ssa(client, config_map(a="1", b="1"))
    client.patch("configmaps", "m", {"data": {"a": None}}, "default", content_type=MERGE, fieldManager="other")
    assert [entry["manager"] for entry in entries(client, "configmaps", "m")] == ["me"]
    assert owned(client, "configmaps", "m", "me") == [".data.b"]


def test_time_moves_only_for_who_wrote(client: Client, clock: VirtualClock) -> None:
    ssa(client, config_map(a="1"))
    clock.advance_to(clock.now() + 60)
    client.patch("configmaps", "m", {"data": {"b": "1"}}, "default", fieldManager="other")
    times = {entry["manager"]: entry["time"] for entry in entries(client, "configmaps", "m")}
    assert times == {"me": "2023-11-14T22:13:20Z", "other": "2023-11-14T22:14:20Z"}


def test_writers_in_the_kernel_go_by_the_names_upstream_shows(client: Client) -> None:
    names = {
        "system:serviceaccount:kube-system:deployment-controller": "kube-controller-manager",
        "system:kube-scheduler": "kube-scheduler",
        "system:node:node-1": "kubelet",
        "system:serviceaccount:default:robot": "robot",
        "alice": "alice",
    }
    assert {actor: manager_from_actor(actor) for actor in names} == names
    alice = client.as_user(User("alice", ("system:masters",)))
    alice.create("configmaps", config_map(a="1"), "default")
    assert owned(client, "configmaps", "m", "alice", UPDATE) == [".data", ".data.a"]


def test_a_client_without_a_name_is_called_by_its_user_agent() -> None:
    assert manager_from_user_agent("kubectl/v1.33.0 (linux/amd64) kubernetes/60a317e") == "kubectl"
    assert manager_from_user_agent("") == "unknown"
    assert len(manager_from_user_agent("x" * 500)) == 128


def test_the_oldest_of_too_many_updaters_become_ancient_changes(client: Client, clock: VirtualClock) -> None:
    client.create("configmaps", config_map(), "default", fieldManager="first")
    for number in range(14):
        clock.advance_to(clock.now() + 1)
        body = {"data": {f"k{number:02}": "x"}}
        client.patch("configmaps", "m", body, "default", fieldManager=f"writer-{number:02}")
    names = [entry["manager"] for entry in entries(client, "configmaps", "m")]
    assert names == [ANCIENT, *(f"writer-{number:02}" for number in range(5, 14))]
    assert owned(client, "configmaps", "m", ANCIENT, UPDATE) == [".data", *(f".data.k{n:02}" for n in range(5))]


# managedFields themselves


def test_objects_are_kept_without_managed_fields_and_shown_with_them_on_demand(client: Client) -> None:
    made = client.create("configmaps", config_map(a="1"), "default")
    assert "managedFields" not in made["metadata"]
    (shown,) = client.items("configmaps", "default", managedFields=True)
    assert shown["metadata"]["managedFields"][0]["operation"] == "Update"


def test_an_object_of_an_older_revision_is_shown_with_its_owners_of_then(server: ApiServer, client: Client) -> None:
    before = ssa(client, config_map(a="1"))
    ssa(client, config_map(a="2"), "other", force=True)
    managers = [entry["manager"] for entry in server.with_managed_fields(before)["metadata"]["managedFields"]]
    assert managers == ["me"]


def test_what_a_client_read_it_may_write_back(client: Client, store: GuardedStore) -> None:
    ssa(client, config_map(a="1"))
    read = client.get("configmaps", "m", "default", managedFields=True)
    revision = store.revision
    client.update("configmaps", read, fieldManager="other")
    assert store.revision == revision
    client.update("configmaps", {**read, "data": {"a": "1", "b": "2"}}, fieldManager="other")
    assert owned(client, "configmaps", "m", "me") == [".data.a"]
    assert owned(client, "configmaps", "m", "other", UPDATE) == [".data.b"]
    assert "managedFields" not in client.get("configmaps", "m", "default")["metadata"]


@pytest.mark.parametrize("nothing", [[], [{}]])
def test_ownership_can_be_stripped(client: Client, nothing: Any) -> None:
    ssa(client, config_map(a="1"))
    client.patch("configmaps", "m", {"metadata": {"managedFields": nothing}}, "default", content_type=MERGE)
    assert entries(client, "configmaps", "m") == []
    operations = [{"op": "replace", "path": "/metadata/managedFields", "value": nothing}]
    assert refusal(client.patch, "configmaps", "m", operations, "default", content_type=JSON).code in (400, 422)


def test_ownership_is_stripped_by_a_json_patch(client: Client) -> None:
    ssa(client, config_map(a="1"))
    operations = [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]
    client.patch("configmaps", "m", operations, "default", content_type=JSON)
    assert entries(client, "configmaps", "m") == []


def test_what_nobody_is_known_to_own_was_there_before_the_first_apply(client: Client) -> None:
    client.create("configmaps", config_map(a="1", b="1"), "default")
    client.patch("configmaps", "m", {"metadata": {"managedFields": [{}]}}, "default", content_type=MERGE)
    assert 'conflict with "before-first-apply" using v1: .data.a' in refusal(ssa, client, config_map(a="2")).message
    ssa(client, config_map(a="1"))
    assert owned(client, "configmaps", "m", "before-first-apply", UPDATE) == [".data", ".data.a", ".data.b"]


def test_an_entry_can_be_handed_to_another_manager_by_hand(client: Client) -> None:
    ssa(client, config_map(a="1"))
    (entry,) = entries(client, "configmaps", "m")
    body = {"metadata": {"managedFields": [{**entry, "manager": "heir"}]}}
    client.patch("configmaps", "m", body, "default", content_type=MERGE)
    assert owned(client, "configmaps", "m", "heir") == [".data.a"]
    assert "data" not in ssa(client, nothing("m"), "heir")


def test_compaction_forgets_revisions_but_no_owner(server: ApiServer, client: Client, store: GuardedStore) -> None:
    client.create("configmaps", config_map(a="1"), "default", fieldManager="creator")
    client.patch("configmaps", "m", {"data": {"b": "1"}}, "default", fieldManager="patcher")
    before = entries(client, "configmaps", "m")
    server.compact(store.revision)
    again = ApiServer(store, VirtualClock(), dice=random.Random(0), service_cidr="10.96.0.0/24")
    assert entries(Client(again), "configmaps", "m") == before
    client.patch("configmaps", "m", {"data": {"a": "2"}}, "default", fieldManager="later")
    assert owned(Client(again), "configmaps", "m", "later", UPDATE) == [".data.a"]


def test_a_second_life_of_a_name_begins_without_owners(client: Client) -> None:
    ssa(client, config_map(a="1"))
    entries(client, "configmaps", "m")
    client.delete("configmaps", "m", "default")
    client.create("configmaps", config_map(b="1"), "default", fieldManager="other")
    assert [entry["manager"] for entry in entries(client, "configmaps", "m")] == ["other"]


def test_what_only_the_server_sets_is_owned_by_nobody(client: Client) -> None:
    body = config_map(a="1")
    body["metadata"].update(labels={"app": "x"}, uid="mine", generation=3)
    ssa(client, body)
    assert owned(client, "configmaps", "m", "me") == [".data.a", ".metadata.labels.app"]


# bad input


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"apiVersion": "v2"}, 400, "Incorrect version specified in apply patch. Specified patch version: v2"),
        ({"kind": "Pod"}, 400, "does not match the expected kind (ConfigMap)"),
        ({"metadata": {"name": "m", "managedFields": []}}, 400, "metadata.managedFields must be nil"),
        ({"metadata": {"name": "other"}}, 400, "does not match the name on the URL"),
        ({"spec": {}}, 500, "failed to create typed patch object (default/m; v1, Kind=ConfigMap): .spec: field not"),
        ({"metadata": []}, 400, "error decoding YAML"),
    ],
)
def test_what_cannot_be_applied_is_refused(client: Client, change: Object, code: int, words: str) -> None:
    wrong = {**config_map(a="1"), **change}
    error = refusal(client.patch, "configmaps", "m", wrong, "default", content_type=APPLY, fieldManager="me")
    assert error.code == code
    assert words in error.message


def test_entries_that_cannot_be_told_apart_are_refused(client: Client) -> None:
    error = refusal(ssa, client, deployment({"name": "web", "image": "a"}, {"name": "web", "image": "b"}))
    assert error.message.endswith('.spec.template.spec.containers: duplicate entries for key [name="web"]')


def test_an_applied_object_is_validated_like_any_other(client: Client, store: GuardedStore) -> None:
    revision = store.revision
    assert refusal(ssa, client, deployment(replicas=-1)).reason == "Invalid"
    assert refusal(ssa, client, {**deployment(), "spec": {"replicas": 1}}).reason == "Invalid"
    assert store.revision == revision


def test_applying_at_an_old_revision_is_refused(client: Client) -> None:
    ssa(client, config_map(a="1"))
    stale = config_map(a="2")
    stale["metadata"]["resourceVersion"] = "1"
    assert refusal(ssa, client, stale).reason == "Conflict"


def test_who_may_patch_but_not_create_cannot_create_by_applying(client: Client) -> None:
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]}]
    group = "rbac.authorization.k8s.io"
    client.create("clusterroles", {"metadata": {"name": "patcher"}, "rules": rules})
    client.create("clusterrolebindings", {
        "metadata": {"name": "patcher"}, "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "patcher"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "alice"}],
    })  # fmt: skip
    alice = client.as_user(User("alice", ("system:authenticated",)))
    assert refusal(ssa, alice, config_map(a="1")).reason == "Forbidden"
    ssa(client, config_map(a="1"))
    assert ssa(alice, config_map(b="1"), "alice")["data"] == {"a": "1", "b": "1"}


# kubectl


def manifest(kubectl: Kubectl, line: str, obj: Object) -> str:
    return kubectl.run(line, stdin=yaml.safe_dump(obj)).text


def test_kubectl_applies_on_the_servers_side(kubectl: Kubectl, client: Client) -> None:
    assert manifest(kubectl, "apply --server-side -f -", config_map(a="1")) == "configmap/m serverside-applied\n"
    dry = manifest(kubectl, "apply --server-side --dry-run=server -f -", config_map(a="2"))
    assert dry == "configmap/m serverside-applied (server dry run)\n"
    assert client.get("configmaps", "m", "default")["data"] == {"a": "1"}
    assert owned(client, "configmaps", "m", "kubectl") == [".data.a"]


def test_kubectl_tells_of_conflicts_and_how_to_end_them(kubectl: Kubectl, client: Client) -> None:
    ssa(client, config_map(a="1"), "other")
    with pytest.raises(KubectlError) as caught:
        manifest(kubectl, "apply --server-side -f -", config_map(a="2"))
    first, rest = caught.value.message.split("\n", 1)
    assert first == 'error: Apply failed with 1 conflict: conflict with "other": .data.a'
    assert "--force-conflicts" in rest
    manifest(kubectl, "apply --server-side --force-conflicts --field-manager=ci -f -", config_map(a="2"))
    assert owned(client, "configmaps", "m", "ci") == [".data.a"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--server-side --dry-run=client", "--dry-run=client doesn't work with --server-side"),
        ("--force-conflicts", "--force-conflicts only works with --server-side"),
    ],
)
def test_kubectl_refuses_flags_that_do_not_go_together(kubectl: Kubectl, flags: str, words: str) -> None:
    with pytest.raises(KubectlError, match=words):
        manifest(kubectl, f"apply {flags} -f -", config_map(a="1"))


def test_kubectl_takes_over_what_it_applied_on_its_own_side_before(kubectl: Kubectl, client: Client) -> None:
    manifest(kubectl, "apply -f -", config_map(a="1", b="1"))
    manifest(kubectl, "apply --server-side -f -", config_map(a="2", b="1"))
    managers = {entry["manager"] for entry in entries(client, "configmaps", "m")}
    assert managers == {"kubectl", "kubectl-last-applied"}
    manifest(kubectl, "apply --server-side -f -", config_map(a="2"))
    assert client.get("configmaps", "m", "default")["data"] == {"a": "2"}


def test_kubectl_shows_managed_fields_when_asked(kubectl: Kubectl, client: Client) -> None:
    ssa(client, config_map(a="1"))
    assert "managedFields" not in kubectl.run("get configmap m -o yaml").text
    assert "f:data:" in kubectl.run("get configmap m -o yaml --show-managed-fields").text
    assert "f:data:" in kubectl.run("get configmaps -o yaml --show-managed-fields").text


# properties, over untyped objects


RULES = Rules(DEDUCED)
leaves = st.sampled_from(["x", "y", "z"])
maps = st.recursive(
    st.dictionaries(st.sampled_from("abc"), leaves, min_size=1, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), st.one_of(leaves, inner), min_size=1, max_size=3),
    max_leaves=6,
)
configs = st.fixed_dictionaries({"spec": maps})
histories = st.lists(st.tuples(st.sampled_from(["me", "you"]), st.booleans(), configs), max_size=4)


def replay(history: list[tuple[str, bool, Object]]) -> tuple[Object, Managers]:
    """Forced applies and plain updates, one after another."""
    live: Object = {}
    managers: Managers = {}
    for name, applies, config in history:
        author = Author(name, "v1")
        if applies:
            done = apply(live, config, managers, author, RULES, force=True)
            live, managers = done.object, managers if done.managers is None else done.managers
        else:
            managers = update(live, config, managers, author, RULES)
            live = config
    return live, managers


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(histories, configs)
def test_applying_twice_is_applying_once(history: list[tuple[str, bool, Object]], config: Object) -> None:
    live, managers = replay(history)
    once = apply(live, config, managers, Author("me", "v1", time="1"), RULES, force=True)
    now = managers if once.managers is None else once.managers
    twice = apply(once.object, config, now, Author("me", "v1", time="2"), RULES)
    assert twice.managers is None
    assert twice.object == once.object


@given(histories, configs)
def test_after_a_forced_apply_the_object_says_all_that_was_applied(
    history: list[tuple[str, bool, Object]], config: Object
) -> None:
    live, managers = replay(history)
    applied = apply(live, config, managers, Author("me", "v1"), RULES, force=True).object
    assert _holds(applied, config)


def _holds(obj: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(obj, dict) and all(name in obj and _holds(obj[name], inner) for name, inner in part.items())
    return bool(obj == part)


@given(histories)
def test_what_is_owned_is_there(history: list[tuple[str, bool, Object]]) -> None:
    live, managers = replay(history)
    for owner in managers.values():
        assert owner.fields
        for path in owner.fields:
            node = live
            for step in path:
                assert step[2:] in node
                node = node[step[2:]]


@given(configs, configs)
def test_a_field_nobody_else_owns_disappears_when_left_out(first: Object, second: Object) -> None:
    done = apply({}, first, {}, Author("me", "v1"), RULES)
    assert done.managers is not None
    assert apply(done.object, second, done.managers, Author("me", "v1"), RULES).object == second


@given(configs, configs)
def test_without_force_nobody_loses_a_field(mine: Object, theirs: Object) -> None:
    done = apply({}, theirs, {}, Author("you", "v1"), RULES)
    assert done.managers is not None
    before = copy.deepcopy(done.object)
    try:
        after = apply(done.object, mine, done.managers, Author("me", "v1"), RULES)
    except ConflictError as error:
        assert error.fields
    else:
        (owner,) = done.managers
        assert (after.managers or done.managers)[owner].fields == done.managers[owner].fields
    assert done.object == before
