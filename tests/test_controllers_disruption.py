"""disruption-controller and pods/eviction: how many pods of a budget may go, and who is refused.

Source: `pkg/controller/disruption/disruption_test.go`, `test/e2e/apps/disruption.go`,
`pkg/registry/core/pod/storage/eviction_test.go` in the kubernetes repository.
"""

from __future__ import annotations

from typing import Any

import pytest
from controllers_lab import Lab, pod, replica_set

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, condition, name_of
from k8snb.clock import timestamp
from k8snb.controllers.deployment import DeploymentController
from k8snb.controllers.disruption import DELETION_TIMEOUT, DisruptionController
from k8snb.controllers.replicaset import ReplicaSetController

VIOLATION = "Cannot evict pod as it would violate the pod's disruption budget."


def budget(name: str = "web", **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec}}


def with_budget(replicas: int = 3, ready: int = 3, **spec: Any) -> Lab:
    lab = Lab(DisruptionController, ReplicaSetController, DeploymentController).start()
    wanted = replica_set()
    lab.client.create("replicasets", {**wanted, "spec": {**wanted["spec"], "replicas": replicas}})
    lab.run()
    for each in lab.pods()[:ready]:
        lab.set_ready(each)
    lab.client.create("poddisruptionbudgets", budget(**spec), "default")
    return lab.run()


def counts(lab: Lab, name: str = "web") -> tuple[int, int, int, int]:
    status = lab.get("poddisruptionbudgets", name)["status"]
    fields = ("expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed")
    return tuple(status[field] for field in fields)  # type: ignore[return-value]


def evict(lab: Lab, name: str, **options: Any) -> Object:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    return lab.client.create_subresource("pods", name, "eviction", body, "default", **options)


def refused(lab: Lab, name: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        evict(lab, name)
    return caught.value


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"minAvailable": 2}, (3, 2, 3, 1)),
        ({"minAvailable": "50%"}, (3, 2, 3, 1)),
        ({"maxUnavailable": 1}, (3, 2, 3, 1)),
        ({"maxUnavailable": "30%"}, (3, 2, 3, 1)),
        ({"maxUnavailable": 0}, (3, 3, 3, 0)),
        ({"minAvailable": 5}, (3, 5, 3, 0)),
    ],
)
def test_what_may_go_follows_from_what_there_should_be(spec: Object, expected: tuple[int, int, int, int]) -> None:
    """docs: tasks/run-application/configure-pdb (Specifying a PodDisruptionBudget)."""
    lab = with_budget(**spec)
    assert counts(lab) == expected
    entry = condition(lab.get("poddisruptionbudgets", "web"), "DisruptionAllowed")
    words = ("True", "SufficientPods") if expected[3] else ("False", "InsufficientPods")
    assert entry is not None and (entry["status"], entry["reason"]) == words


def test_pods_that_are_not_ready_are_not_healthy() -> None:
    """docs: configure-pdb (Healthiness of a Pod)."""
    lab = with_budget(ready=2, minAvailable=1)
    assert counts(lab) == (3, 1, 2, 1)
    lab.set_ready(lab.pods()[2])
    assert counts(lab.run()) == (3, 1, 3, 2)


def test_the_scale_of_a_deployment_counts_not_that_of_its_replica_sets() -> None:
    """upstream: pkg/controller/disruption/disruption.go: finders."""
    lab = Lab(DisruptionController, ReplicaSetController, DeploymentController).start()
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod("x")["spec"]}
    spec = {"replicas": 4, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    lab.client.create("deployments", {"metadata": {"name": "web"}, "spec": spec}, "default")
    lab.run().all_ready()
    lab.client.create("poddisruptionbudgets", budget(maxUnavailable="25%"), "default")
    assert counts(lab.run()) == (4, 3, 4, 1)


def test_the_second_look_writes_nothing() -> None:
    """upstream: disruption.go: updatePdbStatus."""
    lab = with_budget(minAvailable=2)
    revision = lab.store.revision
    lab.restart()
    assert lab.store.revision == revision


def test_a_pod_within_the_budget_goes_and_takes_the_permission_with_it() -> None:
    """e2e: test/e2e/apps/disruption.go "should allow an eviction"."""
    lab = with_budget(minAvailable=2)
    first, second, _ = (name_of(each) for each in lab.pods())
    assert evict(lab, first)["status"] == "Success"
    error = refused(lab, second)
    assert (error.code, error.reason, error.message) == (429, "TooManyRequests", VIOLATION)
    assert error.causes[0]["reason"] == "DisruptionBudget"


def test_who_is_refused_reads_what_the_budget_needs() -> None:
    """e2e: disruption.go "should not allow an eviction"; pkg/registry/core/pod/storage/eviction.go."""
    lab = with_budget(minAvailable=3)
    error = refused(lab, lab.names("pods")[0])
    assert error.causes[0]["message"] == "The disruption budget web needs 3 healthy pods and has 3 currently"


def test_a_budget_that_nobody_has_looked_at_allows_nothing() -> None:
    """upstream: pkg/registry/core/pod/storage/eviction.go: observedGeneration."""
    lab = with_budget(minAvailable=2)
    lab.apply("poddisruptionbudgets", "web", {"spec": {"minAvailable": 1}})
    error = refused(lab, lab.names("pods")[0])
    assert error.causes[0]["message"] == "The disruption budget web is still being processed by the server."
    assert error.details["retryAfterSeconds"] == 10


def test_a_pod_of_two_budgets_is_not_evicted() -> None:
    """upstream: eviction.go: "This pod has more than one PodDisruptionBudget, which the eviction subresource does
    not support."."""
    lab = with_budget(minAvailable=0)
    lab.client.create("poddisruptionbudgets", budget("other", minAvailable=0), "default")
    error = refused(lab.run(), lab.names("pods")[0])
    assert error.code == 500 and "more than one PodDisruptionBudget" in error.message


def test_a_pod_that_has_not_started_goes_whatever_the_budget_says() -> None:
    """docs: concepts/scheduling-eviction/api-eviction; eviction.go: canIgnorePDB."""
    lab = with_budget(ready=2, minAvailable=3)
    pending = name_of(lab.pods()[2])
    assert evict(lab, pending)["status"] == "Success"


def test_a_dry_run_takes_nothing() -> None:
    """upstream: eviction.go: checkAndDecrement, dryRun."""
    lab = with_budget(minAvailable=2)
    evict(lab, lab.names("pods")[0], dryRun=True)
    assert counts(lab.run()) == (3, 2, 3, 1) and len(lab.pods()) == 3


@pytest.mark.parametrize(("policy", "goes"), [("AlwaysAllow", True), ("IfHealthyBudget", False)])
def test_an_unhealthy_pod_goes_where_the_policy_lets_it(policy: str, goes: bool) -> None:
    """KEP-3017. The budget is not healthy: one of three pods is ready, and two should be."""
    lab = with_budget(ready=3, minAvailable=2, unhealthyPodEvictionPolicy=policy)
    for each in lab.pods()[1:]:
        lab.set_ready(each, False)
    lab.run()
    sick = name_of(lab.pods()[2])
    if goes:
        assert evict(lab, sick)["status"] == "Success"
    else:
        assert refused(lab, sick).code == 429


def test_an_evicted_pod_that_does_not_go_counts_again_after_two_minutes() -> None:
    """upstream: disruption.go: DeletionTimeout."""
    lab = with_budget(minAvailable=2)
    name = lab.names("pods")[0]
    status = lab.get("poddisruptionbudgets", "web")["status"]
    noted = {**status, "disruptedPods": {name: timestamp(lab.clock.now())}}
    lab.client.update_status("poddisruptionbudgets", {**lab.get("poddisruptionbudgets", "web"), "status": noted})
    assert counts(lab.wait(1)) == (3, 2, 2, 0)
    assert counts(lab.wait(DELETION_TIMEOUT + 1)) == (3, 2, 3, 1)
    assert lab.events("NotDeleted") == ["Pod was expected by PDB default/web to be deleted but it wasn't"]


def test_pods_that_nobody_owns_are_told_of_and_count_for_nothing() -> None:
    """docs: configure-pdb (Arbitrary workloads and arbitrary selectors)."""
    lab = Lab(DisruptionController).start()
    lab.client.create("pods", pod("bare"), "default")
    lab.client.create("poddisruptionbudgets", budget(maxUnavailable=1), "default")
    lab.run()
    assert counts(lab) == (0, 0, 0, 0)
    assert "were found to be unmanaged" in lab.events("UnmanagedPods")[0]


def test_a_budget_that_picks_nothing_says_so() -> None:
    """upstream: disruption.go: trySync, NoPods."""
    lab = Lab(DisruptionController).start()
    lab.client.create("poddisruptionbudgets", budget(minAvailable=1), "default")
    lab.run()
    assert counts(lab) == (0, 1, 0, 0) and lab.events("NoPods") == ["No matching pods found"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"minAvailable": 1, "maxUnavailable": 1}, "minAvailable and maxUnavailable cannot be both set"),
        ({"minAvailable": -1}, "must be greater than or equal to 0"),
        ({"minAvailable": "120%"}, "must not be greater than 100%"),
        ({"maxUnavailable": "half"}, "a valid percent string"),
        ({"unhealthyPodEvictionPolicy": "Never"}, 'supported values: "AlwaysAllow", "IfHealthyBudget"'),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused(spec: Object, words: str) -> None:
    """`ValidatePodDisruptionBudgetSpec` in pkg/apis/policy/validation/validation.go."""
    lab = Lab(DisruptionController).start()
    with pytest.raises(ApiError) as caught:
        lab.client.create("poddisruptionbudgets", budget(**spec), "default")
    assert words in caught.value.message
