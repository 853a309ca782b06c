"""ResourceQuota: what admission charges, what the controller counts, and in which words too much is refused.

Rules: https://kubernetes.io/docs/concepts/policy/resource-quotas/; words:
`staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go`, `pkg/quota/v1/evaluator/core`,
`pkg/controller/resourcequota`, `test/e2e/apimachinery/resource_quota.go`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from controllers_lab import Lab, container, deployment, pod, service

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import find
from k8snb.apimachinery.quota import evaluator, text
from k8snb.controllers.deployment import DeploymentController
from k8snb.controllers.replicaset import ReplicaSetController
from k8snb.controllers.resourcequota import RECOUNT, ResourceQuotaController
from k8snb.kubectl import Kubectl

Object = dict[str, Any]


@pytest.fixture
def lab() -> Lab:
    return Lab(ResourceQuotaController, DeploymentController, ReplicaSetController).start()


def quota(lab: Lab, name: str = "q", /, *, scopes: Any = (), selector: Any = (), **hard: str) -> None:
    """A quota, counted; `__` in a name stands for a dot."""
    spec: Object = {"hard": {key.replace("__", "."): amount for key, amount in hard.items()}}
    if scopes:
        spec["scopes"] = list(scopes)
    if selector:
        spec["scopeSelector"] = {"matchExpressions": list(selector)}
    lab.client.create("resourcequotas", {"metadata": {"name": name}, "spec": spec}, "default")
    lab.run()


def used(lab: Lab, name: str = "q") -> dict[str, str]:
    found: dict[str, str] = lab.get("resourcequotas", name)["status"]["used"]
    return found


def asking(name: str, requests: str = "", limits: str = "", **spec: Any) -> Object:
    """A pod whose container asks for so much cpu."""
    sides = (("requests", requests), ("limits", limits))
    resources = {field: {"cpu": amount} for field, amount in sides if amount}
    return pod(name, containers=[container(resources=resources)], **spec)


def refusal(call: Any, *arguments: Any, **keywords: Any) -> str:
    with pytest.raises(ApiError) as caught:
        call(*arguments, **keywords)
    assert (caught.value.code, caught.value.reason) == (403, "Forbidden")
    return caught.value.message


# counting


def test_a_quota_is_counted_when_it_is_made(lab: Lab) -> None:
    """e2e: should create a ResourceQuota and ensure its status is promptly calculated."""
    lab.client.create("pods", asking("there", "100m"))
    quota(lab, pods="5", requests__cpu="2", secrets="3", services__nodeports="1")
    assert lab.get("resourcequotas", "q")["status"] == {
        "hard": {"pods": "5", "requests.cpu": "2", "secrets": "3", "services.nodeports": "1"},
        "used": {"pods": "1", "requests.cpu": "100m", "secrets": "0", "services.nodeports": "0"},
    }


def test_a_second_count_writes_nothing(lab: Lab) -> None:
    """upstream: pkg/controller/resourcequota/resource_quota_controller.go: syncResourceQuota compares first."""
    quota(lab, pods="5")
    revision = lab.store.revision
    lab.restart()
    lab.wait(2 * RECOUNT)
    assert lab.store.revision == revision


def test_what_is_deleted_is_given_back(lab: Lab) -> None:
    """e2e: should create a ResourceQuota and capture the life of a pod."""
    quota(lab, pods="1", cpu="1")
    lab.client.create("pods", asking("a", "600m"))
    assert used(lab) == {"cpu": "600m", "pods": "1"}
    lab.client.delete("pods", "a", "default")
    lab.run()
    assert used(lab) == {"cpu": "0", "pods": "0"}


def test_a_pod_that_has_ended_counts_no_more_but_as_an_object(lab: Lab) -> None:
    """upstream: PodUsageFunc: `count/pods` are all pods in the store, `pods` those that have not ended."""
    quota(lab, **{"pods": "1", "count/pods": "5"})
    lab.client.create("pods", pod("a"))
    ended = lab.get("pods", "a")
    lab.client.update_status("pods", {**ended, "status": {**ended["status"], "phase": "Succeeded"}})
    lab.run()
    assert used(lab) == {"count/pods": "1", "pods": "0"}


def test_a_pod_that_should_long_be_gone_counts_no_more(lab: Lab) -> None:
    """upstream: QuotaV1Pod: its node may never say that it has ended."""
    quota(lab, pods="1")
    lab.node("node-1")
    lab.client.create("pods", pod("a"))
    lab.bind("a", "node-1")
    lab.client.delete("pods", "a", "default")
    lab.wait(RECOUNT + 120)
    assert lab.names("pods") == ["a"]
    assert used(lab) == {"pods": "0"}


def test_the_end_of_many_pods_is_not_as_many_counts(lab: Lab) -> None:
    """upstream: resource_quota_controller.go: the queue joins what happens meanwhile."""
    quota(lab, pods="500")
    for number in range(200):
        lab.client.create("pods", pod(f"p{number}"))
    counts: list[str] = []
    lab.store.watch("/registry/resourcequotas/", lambda record: counts.append(record.origin.actor))
    for number in range(200):
        lab.client.delete("pods", f"p{number}", "default")
        lab.wait(0.001)
    lab.run()
    assert used(lab) == {"pods": "0"}
    assert 1 < len(counts) < 40


def test_a_changed_quota_is_counted_again(lab: Lab) -> None:
    """upstream: resource_quota_controller.go: updateQuota; e2e: test/e2e/apimachinery/resource_quota.go "should be
    able to update and delete ResourceQuota"."""
    quota(lab, pods="1")
    lab.client.create("pods", pod("a"))
    lab.apply("resourcequotas", "q", {"spec": {"hard": {"pods": "3", "configmaps": "4"}}})
    lab.run()
    state = lab.get("resourcequotas", "q")["status"]
    assert state == {"hard": {"pods": "3", "configmaps": "4"}, "used": {"configmaps": "0", "pods": "1"}}


# refusing


def test_what_exceeds_a_quota_is_refused_and_charged_nowhere(lab: Lab) -> None:
    """docs: concepts/policy/resource-quotas (How Kubernetes ResourceQuotas work): 403 Forbidden."""
    quota(lab, pods="2", requests__cpu="1")
    lab.client.create("pods", asking("a", "700m"))
    assert refusal(lab.client.create, "pods", asking("b", "400m")) == (
        'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=400m, used: requests.cpu=700m, '
        "limited: requests.cpu=1"
    )
    assert used(lab) == {"pods": "1", "requests.cpu": "700m"}
    lab.client.create("pods", asking("b", "300m"))
    assert refusal(lab.client.create, "pods", asking("c", "1m")) == (
        'pods "c" is forbidden: exceeded quota: q, requested: pods=1,requests.cpu=1m, used: pods=2,requests.cpu=1, '
        "limited: pods=2,requests.cpu=1"
    )


def test_a_quota_on_cpu_obliges_containers_to_name_it(lab: Lab) -> None:
    """upstream: podEvaluator.Constraints: so for cpu and memory, and for nothing else."""
    quota(lab, limits__cpu="2", requests__memory="1Gi", **{"requests.ephemeral-storage": "1Gi"})
    both = pod("a", containers=[container(), {**container(), "name": "side"}])
    assert refusal(lab.client.create, "pods", both) == (
        'pods "a" is forbidden: failed quota: q: must specify limits.cpu for: side,web; requests.memory for: side,web'
    )


def test_a_quota_that_has_not_been_counted_lets_nothing_pass() -> None:
    """upstream: hasUsageStats. Before the controller has looked at it at all, a quota limits nothing."""
    lab = Lab()
    made = {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}}
    made = lab.client.create("resourcequotas", made, "default")
    lab.client.create("pods", pod("a"))
    lab.client.update_status("resourcequotas", {**made, "status": {"hard": {"pods": "1"}}})
    words = 'pods "b" is forbidden: status unknown for quota: q, resources: pods'
    assert refusal(lab.client.create, "pods", pod("b")) == words


def test_the_smallest_of_several_quotas_counts_and_all_are_charged(lab: Lab) -> None:
    """upstream: staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go: checkRequest."""
    quota(lab, "large", pods="5")
    quota(lab, "small", pods="1")
    lab.client.create("pods", pod("a"))
    assert (used(lab, "large"), used(lab, "small")) == ({"pods": "1"}, {"pods": "1"})
    assert "exceeded quota: small" in refusal(lab.client.create, "pods", pod("b"))
    assert (used(lab, "large"), used(lab, "small")) == ({"pods": "1"}, {"pods": "1"})


def test_writes_before_the_next_count_cannot_together_exceed_a_quota(lab: Lab) -> None:
    """upstream: No controller runs between these writes, and none has seen what the last one made."""
    quota(lab, pods="3")
    for name in "abc":
        lab.client.create("pods", pod(name))
    lab.client.delete("pods", "a", "default")
    assert "exceeded quota" in refusal(lab.client.create, "pods", pod("d"))
    lab.run()
    lab.client.create("pods", pod("d"))
    lab.run()
    assert "exceeded quota" in refusal(lab.client.create, "pods", pod("e"))


def test_an_invalid_pod_is_charged_to_nobody(lab: Lab) -> None:
    """upstream: the quota plug-in is the last of admission and runs after validation has seen the object."""
    quota(lab, pods="3")
    with pytest.raises(ApiError, match="is invalid"):
        lab.client.create("pods", pod("a", restartPolicy="Perhaps"))
    lab.client.create("pods", pod("b"))
    with pytest.raises(ApiError, match="already exists"):
        lab.client.create("pods", pod("b"))
    assert used(lab) == {"pods": "1"}


def test_a_dry_run_is_refused_alike_and_charged_to_nobody(lab: Lab) -> None:
    """docs: reference/using-api/api-concepts (Dry-run): admission runs, nothing is persisted."""
    quota(lab, pods="1")
    lab.client.create("pods", pod("a"), dryRun=True)
    assert used(lab) == {"pods": "0"}
    lab.client.create("pods", pod("a"))
    assert "exceeded quota" in refusal(lab.client.create, "pods", pod("b"), dryRun=True)


def test_other_namespaces_are_not_concerned(lab: Lab) -> None:
    """docs: resource-quotas: a quota is for a namespace."""
    lab.namespace("team")
    quota(lab, pods="0")
    elsewhere = pod("a")
    elsewhere["metadata"]["namespace"] = "team"
    lab.client.create("pods", elsewhere)
    assert used(lab) == {"pods": "0"}


def test_a_deployment_gets_as_many_pods_as_the_quota_lets_it(lab: Lab) -> None:
    """https://kubernetes.io/docs/tasks/administer-cluster/manage-resources/quota-pod-namespace/"""
    quota(lab, pods="2")
    lab.client.create("deployments", deployment(replicas=3))
    lab.wait(60)
    assert len(lab.pods()) == 2
    assert any("exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2" in said
               for said in lab.events("FailedCreate"))  # fmt: skip


# other kinds


def test_objects_of_any_kind_can_be_counted(lab: Lab) -> None:
    """upstream: `count/RESOURCE.GROUP`, and for some of the core group the bare name."""
    quota(lab, **{"count/configmaps": "1", "configmaps": "5", "count/deployments.apps": "0"})
    lab.client.create("configmaps", {"metadata": {"name": "a"}}, "default")
    assert used(lab) == {"configmaps": "1", "count/configmaps": "1", "count/deployments.apps": "0"}
    words = 'configmaps "b" is forbidden: exceeded quota: q, requested: count/configmaps=1, used: count/configmaps=1, '
    assert refusal(lab.client.create, "configmaps", {"metadata": {"name": "b"}}, "default") == (
        f"{words}limited: count/configmaps=1"
    )
    assert refusal(lab.client.create, "deployments", deployment()).startswith('deployments.apps "web" is forbidden')
    lab.client.update("configmaps", {**lab.get("configmaps", "a"), "data": {"x": "y"}})


def test_custom_resources_can_be_counted(lab: Lab) -> None:
    """e2e: should create a ResourceQuota and capture the life of a custom resource."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    lab.client.create("customresourcedefinitions", {
        "metadata": {"name": "tabs.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "tabs", "kind": "Tab"},
                 "versions": [version]}})  # fmt: skip
    lab.run()
    quota(lab, **{"count/tabs.example.com": "1"})
    tab = {"apiVersion": "example.com/v1", "kind": "Tab", "metadata": {"name": "one"}}
    lab.client.create("tabs.example.com", tab, "default")
    assert "exceeded quota" in refusal(lab.client.create, "tabs.example.com", {**tab, "metadata": {"name": "two"}},
                                       "default")  # fmt: skip
    lab.client.delete("tabs.example.com", "one", "default")
    lab.run()
    assert used(lab) == {"count/tabs.example.com": "0"}


def test_services_count_with_their_node_ports_and_changes_count_too(lab: Lab) -> None:
    """upstream: serviceEvaluator. The namespace default has one Service from the start."""
    quota(lab, services="5", services__nodeports="1", services__loadbalancers="1")
    lab.client.create("services", service("a"))
    lab.apply("services", "a", {"spec": {"type": "LoadBalancer"}})
    assert used(lab) == {"services": "2", "services.loadbalancers": "1", "services.nodeports": "1"}
    lab.client.create("services", service("b"))
    assert refusal(lab.apply, "services", "b", {"spec": {"type": "NodePort"}}) == (
        'services "b" is forbidden: exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=1, '
        "limited: services.nodeports=1"
    )
    lab.apply("services", "a", {"spec": {"type": "ClusterIP"}})
    lab.run()
    assert used(lab) == {"services": "3", "services.loadbalancers": "0", "services.nodeports": "0"}


def test_claims_count_for_themselves_and_for_their_class(lab: Lab) -> None:
    """upstream: pvcEvaluator: `CLASS.storageclass.storage.k8s.io/…`."""
    of_gold = "gold.storageclass.storage.k8s.io/requests.storage"
    quota(lab, **{"requests.storage": "10Gi", of_gold: "1Gi", "persistentvolumeclaims": "9"})

    def claim(name: str, size: str, sort: str) -> Object:
        resources = {"requests": {"storage": size}}
        spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": sort, "resources": resources}
        return {"metadata": {"name": name}, "spec": spec}

    lab.client.create("persistentvolumeclaims", claim("a", "1Gi", "gold"), "default")
    lab.client.create("persistentvolumeclaims", claim("b", "3Gi", "tin"), "default")
    assert used(lab) == {of_gold: "1Gi", "persistentvolumeclaims": "2", "requests.storage": "4Gi"}
    said = refusal(lab.client.create, "persistentvolumeclaims", claim("c", "1Mi", "gold"), "default")
    assert f"requested: {of_gold}=1Mi, used: {of_gold}=1Gi, limited: {of_gold}=1Gi" in said


@pytest.mark.parametrize(
    ("spec", "usage"),
    [
        ({"containers": [{"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}}}]},
         "count/pods=1,cpu=1,limits.cpu=2,limits.memory=1Gi,pods=1,requests.cpu=1"),
        ({"containers": [{"resources": {"requests": {"example.com/gpu": "2", "hugepages-2Mi": "4Mi"}}}]},
         "count/pods=1,hugepages-2Mi=4Mi,pods=1,requests.example.com/gpu=2,requests.hugepages-2Mi=4Mi"),
        ({"containers": [{"resources": {"requests": {"cpu": "1"}}}],
          "initContainers": [{"resources": {"requests": {"cpu": "3"}}}], "overhead": {"cpu": "100m"}},
         "count/pods=1,cpu=3100m,pods=1,requests.cpu=3100m"),
        ({"containers": [{"resources": {"requests": {"cpu": "1"}}}],
          "initContainers": [{"resources": {"requests": {"cpu": "1"}}, "restartPolicy": "Always"},
                             {"resources": {"requests": {"cpu": "2"}}}]},
         "count/pods=1,cpu=3,pods=1,requests.cpu=3"),
    ],
)  # fmt: skip
def test_a_pod_counts_as_what_it_needs_as_a_whole(spec: Object, usage: str) -> None:
    """upstream: component-helpers/resource/helpers.go: the containers, or any init container beside the sidecars
    before it."""
    kind = find("pods")
    assert kind is not None
    rule = evaluator(kind)
    assert rule is not None
    assert text(rule.usage({"spec": spec})) == usage


# scopes


BEST = pod("best")
BURST = asking("burst", "100m")
SHORT = pod("short", activeDeadlineSeconds=60)
NEIGHBOUR = {"topologyKey": "zone", "namespaces": ["other"]}
FAR = pod("far", affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [NEIGHBOUR]}})


@pytest.mark.parametrize(
    ("scope", "inside", "outside"),
    [
        ("BestEffort", BEST, BURST),
        ("NotBestEffort", BURST, BEST),
        ("Terminating", SHORT, BEST),
        ("NotTerminating", BEST, SHORT),
        ("CrossNamespacePodAffinity", FAR, BEST),
    ],
)
def test_a_quota_counts_the_pods_in_its_scope(lab: Lab, scope: str, inside: Object, outside: Object) -> None:
    """https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-scopes"""
    quota(lab, scopes=[scope], pods="0")
    lab.client.create("pods", outside)
    assert "exceeded quota" in refusal(lab.client.create, "pods", inside)
    lab.wait(RECOUNT)
    assert used(lab) == {"pods": "0"}


@pytest.mark.parametrize(
    ("operator", "values", "refused"),
    [("In", ["high"], ["a"]), ("NotIn", ["high"], ["b", "c"]), ("Exists", [], ["a", "b"]), ("DoesNotExist", [], ["c"])],
)
def test_a_quota_may_be_for_some_priority_classes(
    lab: Lab, operator: str, values: list[str], refused: list[str]
) -> None:
    """e2e: ResourceQuota [Feature:PodPriority]."""
    for name in ("high", "low"):
        lab.client.create("priorityclasses", {"metadata": {"name": name}, "value": 5})
    requirement: Object = {"scopeName": "PriorityClass", "operator": operator}
    quota(lab, selector=[{**requirement, "values": values} if values else requirement], pods="0")
    wishes = {"a": {"priorityClassName": "high"}, "b": {"priorityClassName": "low"}, "c": {}}
    for name, wish in wishes.items():
        if name in refused:
            assert "exceeded quota" in refusal(lab.client.create, "pods", pod(name, **wish))
        else:
            lab.client.create("pods", pod(name, **wish))


# kubectl: the manifest and the page are those of kubectl 1.33


def test_kubectl_makes_quotas_from_a_few_words_and_describes_them(lab: Lab) -> None:
    """docs: resource-quotas (Viewing and Setting Quotas)."""
    kubectl = Kubectl(lab.client, wait=lambda until, seconds: until(), clock_now=lab.clock.now)
    made = "create quota small --hard=cpu=1500m,memory=2048Mi,pods=2 --scopes=NotBestEffort"
    wanted = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {
        "hard": {"cpu": "1500m", "memory": "2Gi", "pods": "2"}, "scopes": ["NotBestEffort"]}, "status": {}}  # fmt: skip
    assert json.loads(kubectl.run(f"{made} --dry-run=client -o json").text) == wanted
    assert kubectl.run(made).text == "resourcequota/small created\n"
    lab.run()
    assert kubectl.run("describe quota small").text.splitlines()[:3] == [
        "Name:       small", "Namespace:  default", "Scopes:     NotBestEffort"]  # fmt: skip
    assert kubectl.run("get quota").text.splitlines()[1] == (
        "small   cpu: 0/1500m, memory: 0/2Gi, pods: 0/2           0s"
    )
    assert "  cpu       0     1500m" in kubectl.run("describe ns default").text.splitlines()


# validation (ValidateResourceQuota)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"hard": {"coffee": "1"}},
         'spec.hard[coffee]: Invalid value: "coffee": must be a standard resource for quota'),
        ({"hard": {"pods": "1500m"}}, 'spec.hard[pods]: Invalid value: "1500m": must be an integer'),
        ({"hard": {"cpu": "-1"}}, 'spec.hard[cpu]: Invalid value: "-1": must be greater than or equal to 0'),
        ({"scopes": ["Pretty"]}, 'spec.scopes: Invalid value: ["Pretty"]: unsupported scope'),
        ({"scopes": ["BestEffort", "NotBestEffort"]},
         'spec.scopes: Invalid value: ["BestEffort", "NotBestEffort"]: conflicting scopes'),
        ({"scopes": ["BestEffort"], "hard": {"cpu": "1"}},
         'spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource'),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In"}]}},
         "spec.scopeSelector.matchExpressions[0].values: Required value: must be at least one value when `operator` is "
         "'In' or 'NotIn' for scope selector"),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Near"}]}},
         'spec.scopeSelector.matchExpressions[0].operator: Invalid value: "Near": not a valid selector operator'),
    ],
)  # fmt: skip
def test_a_quota_that_nobody_could_hold_is_refused(lab: Lab, spec: Object, words: str) -> None:
    """upstream: pkg/apis/core/validation: ValidateResourceQuota."""
    with pytest.raises(ApiError) as caught:
        lab.client.create("resourcequotas", {"metadata": {"name": "q"}, "spec": spec}, "default")
    assert caught.value.message == f'ResourceQuota "q" is invalid: {words}'


def test_the_scopes_of_a_quota_stay(lab: Lab) -> None:
    """upstream: ValidateResourceQuotaUpdate."""
    quota(lab, scopes=["BestEffort"], pods="1")
    with pytest.raises(ApiError, match=r"spec\.scopes: Invalid value: .*field is immutable"):
        lab.apply("resourcequotas", "q", {"spec": {"scopes": ["NotBestEffort"]}})
