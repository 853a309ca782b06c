"""kube-apiserver's authorization: RBAC, the node rules, and what keeps rights from growing; over the real store."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from controllers_lab import Lab
from test_authentication import request_pem

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import KINDS
from k8snb.apiserver import ApiServer
from k8snb.apiserver.authorization import Attributes
from k8snb.apiserver.rbac import Rule, matches
from k8snb.apiserver.rbac_defaults import CONTROLLER_ROLES
from k8snb.client import ADMIN, Client, User
from k8snb.client.client import MERGE
from k8snb.clock import VirtualClock
from k8snb.controllers import CONTROLLERS, identity_controllers
from k8snb.controllers.certificates import CSRApprovingController, CSRSigningController
from k8snb.controllers.clusterroleaggregation import ClusterRoleAggregationController
from k8snb.etcd.guard import GuardedStore

Object = dict[str, Any]
GROUP = "rbac.authorization.k8s.io"
JANE = User("jane")


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


@pytest.fixture
def jane(client: Client) -> Client:
    return client.as_user(JANE)


def refusal(call: Any, *arguments: Any, **keywords: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call(*arguments, **keywords)
    return caught.value


def rule(verbs: str, resources: str, group: str = "", names: str = "") -> Object:
    found: Object = {"verbs": verbs.split(), "resources": resources.split(), "apiGroups": [group]}
    return {**found, "resourceNames": names.split()} if names else found


def role(name: str, *rules: Object, **metadata: Any) -> Object:
    return {"metadata": {"name": name, **metadata}, "rules": list(rules)}


def binding(role_name: str, *subjects: Object, kind: str = "ClusterRole", name: str = "") -> Object:
    reference = {"apiGroup": GROUP, "kind": kind, "name": role_name}
    return {"metadata": {"name": name or role_name}, "roleRef": reference, "subjects": list(subjects)}


def user(name: str = "jane") -> Object:
    return {"kind": "User", "name": name}


def give(client: Client, *rules: Object, namespace: str = "default", name: str = "given") -> None:
    """Jane gets rights in a namespace, or with "" everywhere."""
    if namespace:
        client.create("roles", role(name, *rules), namespace)
        client.create("rolebindings", binding(name, user(), kind="Role"), namespace)
    else:
        client.create("clusterroles", role(name, *rules))
        client.create("clusterrolebindings", binding(name, user()))


def pod(name: str = "web", **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "web", "image": "nginx"}], **spec}}


def can(client: Client, verb: str, resource: str, **more: str) -> bool:
    """What `kubectl auth can-i` asks."""
    attributes = {"verb": verb, "resource": resource, **more}
    review = {"metadata": {}, "spec": {"resourceAttributes": attributes}}
    return bool(client.create("selfsubjectaccessreviews", review)["status"]["allowed"])


# the words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("list", "pods", "default"),
         'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"'),
        (("get", "pods", "web", "default"),
         'pods "web" is forbidden: User "jane" cannot get resource "pods" in API group "" in the namespace "default"'),
        (("list", "nodes"),
         'nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope'),
        (("list", "deployments"),
         'deployments.apps is forbidden: User "jane" cannot list resource "deployments" in API group "apps" at the '
         'cluster scope'),
        (("get", "namespaces", "kube-system"),
         'namespaces "kube-system" is forbidden: User "jane" cannot get resource "namespaces" in API group "" in the '
         'namespace "kube-system"'),
        (("logs", "web", "default"),
         'pods "web" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace '
         '"default"'),
        (("delete_collection", "pods", "default"),
         'pods is forbidden: User "jane" cannot deletecollection resource "pods" in API group "" in the namespace '
         '"default"'),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)  # fmt: skip
def test_a_refusal_is_in_kubectls_words(jane: Client, arguments: tuple[str, ...], words: str) -> None:
    error = refusal(getattr(jane, arguments[0]), *arguments[1:])
    assert (error.code, error.reason, error.message) == (403, "Forbidden", words)
    assert error.details["kind"] in words


def test_a_refused_path_says_so(server: ApiServer) -> None:
    server.authorizer.check_path(JANE, "get", "/apis/apps/v1")
    error = refusal(server.authorizer.check_path, JANE, "get", "/metrics")
    assert error.message == 'forbidden: User "jane" cannot get path "/metrics"'
    assert refusal(server.authorizer.check_path, User("system:anonymous"), "get", "/apis").code == 403


def test_what_is_forbidden_writes_nothing(jane: Client, store: GuardedStore) -> None:
    revision = store.revision
    assert refusal(jane.create, "pods", pod(), "default").code == 403
    assert store.revision == revision


# rules


@pytest.mark.parametrize(
    ("resources", "asked", "allowed"),
    [
        ("*", ("pods", ""), True), ("*", ("pods", "log"), True),
        ("pods", ("pods", ""), True), ("pods", ("pods", "log"), False),
        ("pods/log", ("pods", "log"), True), ("pods/log", ("pods", ""), False),
        ("*/scale", ("deployments", "scale"), True), ("*/scale", ("deployments", "status"), False),
        ("*/scale", ("scale", ""), False), ("pods/*", ("pods", "log"), False),
    ],
)  # fmt: skip
def test_a_rule_names_a_resource_or_a_subresource(resources: str, asked: tuple[str, str], allowed: bool) -> None:
    given = Rule(("get",), ("",), (resources,))
    assert matches(given, Attributes("get", resource=asked[0], subresource=asked[1])) is allowed


@pytest.mark.parametrize(
    ("url", "path", "allowed"),
    [("*", "/x", True), ("/metrics", "/metrics", True), ("/metrics", "/metrics/x", False),
     ("/metrics/*", "/metrics/x", True), ("/metrics*", "/metrics", True), ("/metrics/*", "/metrics", False)],
)  # fmt: skip
def test_a_rule_names_a_path_or_how_it_begins(url: str, path: str, allowed: bool) -> None:
    assert matches(Rule(("get",), urls=(url,)), Attributes("get", path=path)) is allowed


def test_a_rule_with_names_holds_for_these_objects_and_no_list(client: Client, jane: Client) -> None:
    give(client, rule("get list watch update create", "configmaps", names="mine"))
    for name in ("mine", "yours"):
        client.create("configmaps", {"metadata": {"name": name}}, "default")
    assert jane.get("configmaps", "mine", "default")
    assert refusal(jane.get, "configmaps", "yours", "default").code == 403
    assert refusal(jane.list, "configmaps", "default").code == 403
    assert jane.items("configmaps", "default", fieldSelector="metadata.name=mine")
    assert refusal(jane.create, "configmaps", {"metadata": {"name": "mine"}}, "default").code == 403


def test_a_right_to_one_object_is_not_remembered_for_its_neighbours(client: Client, jane: Client) -> None:
    give(client, rule("get", "configmaps", names="mine"))
    client.create("configmaps", {"metadata": {"name": "mine"}}, "default")
    for _ in range(2):
        assert jane.get("configmaps", "mine", "default")
        assert refusal(jane.get, "configmaps", "yours", "default").code == 403


def test_a_role_holds_in_its_namespace_only(client: Client, jane: Client) -> None:
    give(client, rule("get list", "pods"))
    assert jane.items("pods", "default") == []
    assert refusal(jane.list, "pods", "kube-system").code == 403
    assert refusal(jane.list, "pods").code == 403


def test_a_cluster_role_bound_in_a_namespace_holds_there(client: Client, jane: Client) -> None:
    client.create("rolebindings", binding("view", user()), "default")
    assert jane.items("deployments", "default") == []
    assert jane.get("namespaces", "default")
    assert refusal(jane.get, "namespaces", "kube-system").code == 403
    assert refusal(jane.list, "secrets", "default").code == 403


def test_a_service_account_is_bound_by_its_short_name_or_its_group(client: Client) -> None:
    subject = {"kind": "ServiceAccount", "name": "robot", "namespace": "default"}
    client.create("clusterrolebindings", binding("view", subject))
    assert client.as_user(User("system:serviceaccount:default:robot")).items("pods") == []
    other = client.as_user(User("system:serviceaccount:default:other"))
    assert refusal(other.list, "pods").code == 403
    group = {"kind": "Group", "name": "system:serviceaccounts:default"}
    client.create("clusterrolebindings", binding("view", group, name="all"))
    assert other.items("pods") == []


def test_a_right_ends_with_its_binding_and_with_its_role(client: Client, jane: Client) -> None:
    give(client, rule("list", "pods"))
    jane.list("pods", "default")
    client.delete("rolebindings", "given", "default")
    assert refusal(jane.list, "pods", "default").code == 403
    client.create("rolebindings", binding("given", user(), kind="Role"), "default")
    jane.list("pods", "default")
    client.delete("roles", "given", "default")
    missing = refusal(jane.list, "pods", "default").message
    assert missing.endswith('in the namespace "default": RBAC: role.rbac.authorization.k8s.io "given" not found')


def test_a_changed_binding_forgets_who_was_in_it(client: Client, jane: Client) -> None:
    give(client, rule("list", "pods"))
    present = client.get("rolebindings", "given", "default")
    client.update("rolebindings", {**present, "subjects": [user("bob")]})
    assert refusal(jane.list, "pods", "default").code == 403
    client.as_user(User("bob")).list("pods", "default")


def test_a_server_on_a_store_that_is_already_full_knows_its_rules(client: Client, store: GuardedStore) -> None:
    give(client, rule("list", "pods"))
    second = ApiServer(store, VirtualClock(), dice=random.Random(0), service_cidr="10.96.0.0/24")
    assert Client(second, JANE).items("pods", "default") == []
    assert refusal(Client(second, JANE).list, "pods", "kube-system").code == 403


def test_a_closed_server_follows_the_store_no_longer(server: ApiServer, client: Client, jane: Client) -> None:
    second = ApiServer(server.store, VirtualClock(), dice=random.Random(0), service_cidr="10.96.0.0/24")
    server.close()
    give(Client(second), rule("list", "pods"))
    assert Client(second, JANE).items("pods", "default") == []
    assert refusal(jane.list, "pods", "default").code == 403


def test_masters_may_do_everything_without_a_rule(client: Client) -> None:
    client.delete("clusterrolebindings", "cluster-admin")
    assert client.as_user(User("root", ("system:masters",))).items("secrets") == []


# reviews


def test_can_i_says_what_would_happen(client: Client, jane: Client) -> None:
    give(client, rule("get", "pods pods/log"))
    assert can(jane, "get", "pods", namespace="default")
    assert can(jane, "get", "pods", subresource="log", namespace="default", name="web")
    assert not can(jane, "get", "pods")
    assert can(client, "*", "*")


def test_a_review_says_by_what_it_is_allowed(client: Client) -> None:
    give(client, rule("get", "pods"))
    attributes = {"verb": "get", "resource": "pods", "namespace": "default"}
    question = {"metadata": {}, "spec": {"user": "jane", "resourceAttributes": attributes}}
    answer = client.create("subjectaccessreviews", question)["status"]
    reason = 'RBAC: allowed by RoleBinding "given/default" of Role "given" to User "jane"'
    assert answer == {"allowed": True, "reason": reason}
    local = client.create("localsubjectaccessreviews", question, "default")
    assert local["status"]["allowed"]
    assert refusal(client.create, "localsubjectaccessreviews", question, "kube-system").code == 422


def test_a_review_gives_a_user_no_groups_that_it_was_not_told(client: Client) -> None:
    attributes = {"verb": "create", "group": "authentication.k8s.io", "resource": "selfsubjectreviews"}
    spec = {"user": "jane", "resourceAttributes": attributes}
    ask = client.create("subjectaccessreviews", {"metadata": {}, "spec": spec})
    assert not ask["status"]["allowed"]
    told = {"metadata": {}, "spec": {**spec, "groups": ["system:authenticated"]}}
    assert client.create("subjectaccessreviews", told)["status"]["allowed"]


@pytest.mark.parametrize("spec", [{}, {"user": "jane"}, {"resourceAttributes": {"verb": "get"}}])
def test_a_review_without_a_question_is_refused(client: Client, spec: Object) -> None:
    assert refusal(client.create, "subjectaccessreviews", {"metadata": {}, "spec": spec}).code == 422


def test_only_who_may_asks_about_others(jane: Client) -> None:
    question = {"metadata": {}, "spec": {"user": "bob", "nonResourceAttributes": {"verb": "get", "path": "/"}}}
    assert refusal(jane.create, "subjectaccessreviews", question).code == 403


def test_my_rules_are_listed(client: Client, jane: Client) -> None:
    give(client, rule("get", "pods", names="web"))
    status = jane.create("selfsubjectrulesreviews", {"metadata": {}, "spec": {"namespace": "default"}})["status"]
    wanted = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["web"]}
    assert wanted in status["resourceRules"]
    assert any("/healthz" in entry["nonResourceURLs"] for entry in status["nonResourceRules"])
    assert not status["incomplete"]


# nobody gives away what he has not


def test_a_role_holds_no_more_than_its_author(client: Client, jane: Client) -> None:
    give(client, rule("create update get", "roles", GROUP), rule("get list", "pods"))
    jane.create("roles", role("less", rule("get", "pods")), "default")
    more = role("more", rule("get list create patch", "secrets"), rule("get", "pods"))
    error = refusal(jane.create, "roles", more, "default")
    assert error.code == 403
    assert error.message == (
        'roles.rbac.authorization.k8s.io "more" is forbidden: user "jane" (groups=["system:authenticated"]) is '
        "attempting to grant RBAC permissions not currently held:\n"
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list" "create" "patch"]}'
    )
    grown = {**jane.get("roles", "less", "default"), "rules": [rule("get delete", "pods")]}
    assert '{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}' in refusal(jane.update, "roles", grown).message


def test_who_may_escalate_may(client: Client, jane: Client) -> None:
    give(client, rule("create escalate", "roles", GROUP))
    assert jane.create("roles", role("more", rule("*", "secrets")), "default")


def test_a_binding_gives_no_more_than_its_author_has(client: Client, jane: Client) -> None:
    give(client, rule("create", "rolebindings", GROUP), rule("get", "pods"))
    more = refusal(jane.create, "rolebindings", binding("admin", user("bob")), "default")
    assert "not currently held" in more.message
    gone = refusal(jane.create, "rolebindings", binding("nothing", user("bob")), "default")
    assert gone.message == 'clusterroles.rbac.authorization.k8s.io "nothing" not found'
    give(client, rule("bind", "clusterroles", GROUP, names="admin"), name="binder", namespace="")
    assert jane.create("rolebindings", binding("admin", user("bob")), "default")
    assert refusal(jane.create, "rolebindings", binding("cluster-admin", user("bob")), "default").code == 403


def test_an_unchanged_role_may_be_relabelled_by_who_may_update_it(client: Client, jane: Client) -> None:
    give(client, rule("get patch", "clusterroles", GROUP), namespace="")
    jane.patch("clusterroles", "admin", {"metadata": {"labels": {"seen": "yes"}}}, content_type=MERGE)
    assert refusal(jane.patch, "clusterroles", "view", {"rules": [rule("*", "*", "*")]}, content_type=MERGE).code == 403


def test_a_bindings_role_is_fixed(client: Client) -> None:
    give(client, rule("get", "pods"))
    present = client.get("rolebindings", "given", "default")
    changed = {**present, "roleRef": {**present["roleRef"], "name": "other"}}
    assert "cannot change roleRef" in refusal(client.update, "rolebindings", changed).message


@pytest.mark.parametrize(
    ("resource", "obj", "field"),
    [
        ("clusterroles", role("x", {"resources": ["pods"], "apiGroups": [""]}), "rules[0].verbs"),
        ("clusterroles", role("x", {"resources": ["pods"], "verbs": ["get"]}), "rules[0].apiGroups"),
        ("clusterroles", role("x", {"apiGroups": [""], "verbs": ["get"]}), "rules[0].resources"),
        ("clusterrolebindings", binding("x", {"kind": "Robot", "name": "r"}), "subjects[0].kind"),
        ("clusterrolebindings", binding("x", {"kind": "ServiceAccount", "name": "r"}), "subjects[0].namespace"),
        ("clusterrolebindings", binding("x", user(), kind="Role"), "roleRef.kind"),
    ],
)  # fmt: skip
def test_a_role_or_binding_that_means_nothing_is_refused(
    client: Client, resource: str, obj: Object, field: str
) -> None:
    assert field in [cause["field"] for cause in refusal(client.create, resource, obj).causes]


# nodes


@pytest.fixture
def kubelet(client: Client) -> Client:
    """The kubelet of node a. A pod on it names the Secret `ours`, one on node b the Secret `theirs`."""
    for account in ("ours", "theirs"):
        client.create("serviceaccounts", {"metadata": {"name": account}}, "default")
        client.create("secrets", {"metadata": {"name": account}}, "default")
    for node, name in (("a", "ours"), ("b", "theirs")):
        client.create("nodes", {"metadata": {"name": node}})
        env = [{"name": "X", "valueFrom": {"secretKeyRef": {"name": name, "key": "x"}}}]
        spec = pod(f"pod-{node}", serviceAccountName=name)
        spec["spec"]["containers"][0]["env"] = env
        client.create("pods", spec, "default")
        client.create_subresource("pods", f"pod-{node}", "binding", {"target": {"name": node}}, "default")
    return client.as_user(User("system:node:a", ("system:nodes",)))


def test_a_kubelet_reads_the_secrets_of_its_pods_only(kubelet: Client, client: Client) -> None:
    assert kubelet.get("secrets", "ours", "default")
    error = refusal(kubelet.get, "secrets", "theirs", "default")
    assert error.message.endswith("no relationship found between node 'a' and this object")
    assert refusal(kubelet.list, "secrets", "default").code == 403
    assert refusal(kubelet.update, "secrets", client.get("secrets", "ours", "default")).code == 403


def test_a_kubelet_loses_a_secret_with_the_last_pod_that_names_it(kubelet: Client, client: Client) -> None:
    assert kubelet.get("secrets", "ours", "default")
    client.delete("pods", "pod-a", "default", gracePeriodSeconds=0)
    assert refusal(kubelet.get, "secrets", "ours", "default").code == 403


def test_a_kubelet_sees_its_own_node_and_pods_only(kubelet: Client) -> None:
    assert kubelet.get("nodes", "a")
    assert "only its own Node object" in refusal(kubelet.get, "nodes", "b").message
    assert "cannot read all nodes" in refusal(kubelet.list, "nodes").message
    assert kubelet.get("pods", "pod-a", "default")
    assert refusal(kubelet.get, "pods", "pod-b", "default").code == 403
    assert len(kubelet.items("pods", fieldSelector="spec.nodeName=a")) == 1
    assert refusal(kubelet.list, "pods", fieldSelector="spec.nodeName=b").code == 403
    assert refusal(kubelet.list, "pods").code == 403


def test_a_kubelet_writes_its_own_node_and_pods_only(kubelet: Client, client: Client) -> None:
    for name, allowed in (("a", True), ("b", False)):
        node, its_pod = client.get("nodes", name), client.get("pods", f"pod-{name}", "default")
        if allowed:
            kubelet.update_status("nodes", {**node, "status": {"phase": "Running"}})
            kubelet.update_status("pods", {**its_pod, "status": {"phase": "Running"}})
            continue
        assert 'not allowed to modify node "b"' in refusal(kubelet.update_status, "nodes", node).message
        words = refusal(kubelet.update_status, "pods", {**its_pod, "status": {"phase": "Failed"}}).message
        assert 'node "a" can only update pod status for pods with spec.nodeName set to itself' in words
        assert refusal(kubelet.delete, "pods", "pod-b", "default").code == 403


def test_a_kubelet_makes_mirror_pods_of_its_node_only(kubelet: Client) -> None:
    assert "can only create mirror pods" in refusal(kubelet.create, "pods", pod("x", nodeName="a"), "default").message
    mirror = pod("x", nodeName="b")
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "1"}
    assert "spec.nodeName set to itself" in refusal(kubelet.create, "pods", mirror, "default").message
    assert kubelet.create("pods", {**mirror, "spec": pod("x", nodeName="a")["spec"]}, "default")


def test_a_kubelet_does_not_take_the_guard_off_its_node(kubelet: Client) -> None:
    node = kubelet.get("nodes", "a")
    assert "modify taints" in refusal(kubelet.update, "nodes", {**node, "spec": {}}).message
    labelled = {**node, "metadata": {**node["metadata"], "labels": {"node-restriction.kubernetes.io/fips": "yes"}}}
    assert "modify labels" in refusal(kubelet.update, "nodes", labelled).message


def test_a_kubelet_changes_nothing_else_of_a_pod(kubelet: Client) -> None:
    kubelet.patch("pods", "pod-a", {"metadata": {"annotations": {"seen": "yes"}}}, "default", content_type=MERGE)
    image = {"spec": {"containers": [{"name": "web", "image": "evil"}]}}
    assert refusal(kubelet.patch, "pods", "pod-a", image, "default").code == 403
    assert refusal(kubelet.patch, "pods", "pod-b", {"metadata": {"annotations": {"x": "y"}}}, "default").code == 403


def test_a_kubelet_renews_its_own_lease_only(kubelet: Client) -> None:
    lease: Object = {"metadata": {"name": "a", "namespace": "kube-node-lease"}, "spec": {"holderIdentity": "a"}}
    kubelet.create("leases", lease)
    other = {**lease, "metadata": {**lease["metadata"], "name": "b"}}
    assert "same name as the requesting node" in refusal(kubelet.create, "leases", other).message
    elsewhere = {**lease, "metadata": {"name": "a", "namespace": "default"}}
    assert 'in the "kube-node-lease" system namespace' in refusal(kubelet.create, "leases", elsewhere).message


def test_a_kubelet_gets_tokens_for_its_pods_only(kubelet: Client) -> None:
    def ask(account: str, **reference: str) -> Object:
        spec = {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", **reference}} if reference else {}
        return kubelet.create_subresource("serviceaccounts", account, "token", {"spec": spec}, "default")

    assert ask("ours", name="pod-a")["status"]["token"]
    assert refusal(ask, "ours").message == "node requested token not bound to a pod"
    assert refusal(ask, "theirs", name="pod-b").code == 403


def test_a_node_name_without_its_group_is_anybody(client: Client) -> None:
    client.create("nodes", {"metadata": {"name": "a"}})
    assert refusal(client.as_user(User("system:node:a")).get, "nodes", "a").code == 403


# the roles that every cluster starts with


def test_starting_again_changes_nothing(server: ApiServer, store: GuardedStore) -> None:
    revision = store.revision
    server.bootstrap()
    assert store.revision == revision


def test_a_default_role_gets_back_what_it_lost_unless_its_owner_says_no(server: ApiServer, client: Client) -> None:
    for name, update in (("system:basic-user", "true"), ("system:discovery", "false")):
        present = client.get("clusterroles", name)
        annotations = {"rbac.authorization.kubernetes.io/autoupdate": update}
        metadata = {**present["metadata"], "annotations": annotations}
        client.update("clusterroles", {**present, "metadata": metadata, "rules": []})
    server.bootstrap()
    assert client.get("clusterroles", "system:basic-user")["rules"]
    assert not client.get("clusterroles", "system:discovery").get("rules")


@pytest.mark.parametrize(
    ("name", "may", "may_not"),
    [
        ("view", ("list", "pods"), ("list", "secrets")),
        ("view", ("get", "deployments.apps"), ("create", "pods")),
        ("edit", ("create", "deployments.apps"), ("create", "roles.rbac.authorization.k8s.io")),
        ("edit", ("get", "secrets"), ("create", "resourcequotas")),
        ("admin", ("create", "roles.rbac.authorization.k8s.io"), ("update", "namespaces")),
        ("admin", ("watch", "pods"), ("list", "nodes")),
        ("cluster-admin", ("delete", "resourcequotas"), ("list", "nodes")),
    ],
)  # fmt: skip
def test_the_roles_for_people(
    client: Client, jane: Client, name: str, may: tuple[str, str], may_not: tuple[str, str]
) -> None:
    client.create("rolebindings", binding(name, user()), "default")

    def asks(verb: str, word: str) -> bool:
        resource, _, group = word.partition(".")
        where = {} if resource == "nodes" else {"namespace": "default"}
        return can(jane, verb, resource, group=group, **where)

    assert asks(*may) and not asks(*may_not)


def test_every_controller_has_a_role_with_no_more_than_it_needs() -> None:
    lab = Lab()
    makers = identity_controllers(root_ca="", sign=lambda account, secret: "", sign_request=lambda *asked: "")
    names = {make(lab.context, lab.informers).name for make in {**CONTROLLERS, **makers}.values()}
    assert names <= CONTROLLER_ROLES.keys(), "a controller without a row may do nothing: add it to CONTROLLER_ROLES"
    powerful = {name for name, rules in CONTROLLER_ROLES.items() if any("*" in r.verbs for r in rules)}
    assert not powerful


def test_a_question_kind_is_never_stored_and_a_stored_kind_is_no_question() -> None:
    questions = {kind.kind for kind in KINDS if kind.verbs == ("create",)} - {"Binding"}
    from k8snb.apiserver.reviews import REVIEWS

    assert questions == REVIEWS.keys()


def test_a_stranger_who_watches_sees_nothing(jane: Client) -> None:
    assert refusal(jane.watch, "secrets").code == 403


# controllers


def aggregating(name: str, into: str) -> Object:
    selector = {"matchLabels": {f"{GROUP}/aggregate-to-{into}": "true"}}
    return {"metadata": {"name": name}, "aggregationRule": {"clusterRoleSelectors": [selector]}}


def test_a_role_gathers_the_rules_of_those_it_selects() -> None:
    lab = Lab(ClusterRoleAggregationController).start()
    label = {f"{GROUP}/aggregate-to-monitoring": "true"}
    lab.client.create("clusterroles", aggregating("monitoring", "monitoring"))
    lab.client.create("clusterroles", role("b", rule("get", "pods"), rule("get", "nodes"), labels=label))
    lab.client.create("clusterroles", role("a", rule("list", "services"), rule("get", "nodes"), labels=label))
    lab.run()
    rules = lab.get("clusterroles", "monitoring", "")["rules"]
    assert rules == [rule("list", "services"), rule("get", "nodes"), rule("get", "pods")]
    lab.client.delete("clusterroles", "a")
    lab.run()
    assert lab.get("clusterroles", "monitoring", "")["rules"] == [rule("get", "pods"), rule("get", "nodes")]


def test_the_default_roles_are_gathered_already_and_grow_with_a_new_one() -> None:
    lab = Lab(ClusterRoleAggregationController)
    revision = lab.store.revision
    lab.start()
    assert lab.store.revision == revision
    crontabs = rule("get list", "crontabs", "stable.example.com")
    lab.client.create("clusterroles", role("crontabs", crontabs, labels={f"{GROUP}/aggregate-to-view": "true"}))
    lab.run()
    for name in ("view", "edit", "admin"):
        assert crontabs in lab.get("clusterroles", name, "")["rules"]
    revision = lab.store.revision
    lab.restart()
    assert lab.store.revision == revision


def csr_lab() -> Lab:
    lab = Lab()
    lab._makers = (
        CSRApprovingController,
        lambda *parts: CSRSigningController(*parts, sign_request=lab.server.identity.sign_request),
    )
    lab._wire()
    return lab.start()


def signing_request(signer: str, *subject: str) -> Object:
    usages = ["digital signature", "client auth"]
    spec = {"request": request_pem(*subject), "signerName": f"kubernetes.io/{signer}", "usages": usages}
    return {"metadata": {"name": "asked"}, "spec": spec}


def conditions(lab: Lab) -> list[tuple[str, str]]:
    found = lab.get("certificatesigningrequests", "asked", "")["status"].get("conditions") or []
    return [(entry["type"], entry["reason"]) for entry in found]


def test_a_kubelet_that_renews_its_certificate_is_approved_and_signed() -> None:
    lab = csr_lab()
    kubelet = lab.client.as_user(User("system:node:a", ("system:nodes",)))
    csr = signing_request("kube-apiserver-client-kubelet", "system:node:a", "system:nodes")
    kubelet.create("certificatesigningrequests", csr)
    lab.run()
    assert conditions(lab) == [("Approved", "AutoApproved")]
    assert lab.get("certificatesigningrequests", "asked", "")["status"]["certificate"]
    revision = lab.store.revision
    lab.restart()
    assert lab.store.revision == revision


def test_a_kubelet_does_not_get_another_nodes_certificate_unasked() -> None:
    lab = csr_lab()
    kubelet = lab.client.as_user(User("system:node:a", ("system:nodes",)))
    csr = signing_request("kube-apiserver-client-kubelet", "system:node:b", "system:nodes")
    kubelet.create("certificatesigningrequests", csr)
    lab.run()
    assert conditions(lab) == []


def test_a_persons_request_waits_for_a_person() -> None:
    from base64 import b64decode

    from cryptography import x509

    lab = csr_lab()
    made = lab.client.create("certificatesigningrequests", signing_request("kube-apiserver-client", "jane", "dev"))
    lab.run()
    assert conditions(lab) == []
    entry = {"type": "Approved", "status": "True", "reason": "ByHand"}
    approved = {**made, "status": {"conditions": [entry]}}
    lab.client.update("certificatesigningrequests", approved, subresource="approval")
    lab.run()
    pem = b64decode(lab.get("certificatesigningrequests", "asked", "")["status"]["certificate"])
    certificate = x509.load_pem_x509_certificate(pem)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(lab.server.identity.root_ca.encode()))
    assert certificate.subject.rfc4514_string() == "CN=jane,O=dev"


def test_what_a_signer_does_not_sign_fails_with_the_reason() -> None:
    lab = csr_lab()
    csr = signing_request("kube-apiserver-client-kubelet", "jane")
    made = lab.client.create("certificatesigningrequests", csr)
    entry = {"type": "Approved", "status": "True", "reason": "ByHand"}
    approved = {**made, "status": {"conditions": [entry]}}
    lab.client.update("certificatesigningrequests", approved, subresource="approval")
    lab.run()
    assert conditions(lab) == [("Approved", "ByHand"), ("Failed", "SignerValidationFailure")]


# speed


def test_a_remembered_decision_looks_at_no_rule(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(server, ADMIN)
    client.create("configmaps", {"metadata": {"name": "a"}}, "default")
    client.get("configmaps", "a", "default")
    knocks: list[object] = []
    monkeypatch.setattr(server.authorizer, "_knock", lambda *details: knocks.append(details))
    for _ in range(3):
        client.get("configmaps", "a", "default")
    assert knocks == []
