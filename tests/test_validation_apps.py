"""kube-apiserver's validation of apps/v1 and ReplicationControllers, and what the server itself writes into them.

Rules as in pkg/apis/apps/validation/validation.go, pkg/apis/apps/v1/defaults.go and pkg/registry/apps of the
kubernetes repository.
"""

from __future__ import annotations

from typing import Any

import pytest
from controllers_lab import Lab, deployment, replica_set, template

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, annotations_of, get_path, with_path
from k8snb.client.client import MERGE

LABELS = {"matchLabels": {"app": "web"}}
CLAIM = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
NEGATIVE = "must be greater than or equal to 0"
PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab()


def workload(kind: str, name: str = "web", **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": LABELS, "template": template(), **spec},
    }


def stateful_set(**spec: Any) -> Object:
    return workload("StatefulSet", serviceName="web", **spec)


def daemon_set(**spec: Any) -> Object:
    return workload("DaemonSet", **spec)


def rolling(**how: Any) -> Object:
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": how}}


def causes(lab: Lab, resource: str, obj: Object) -> list[str]:
    """What is wrong with an object: each field with its complaint; nothing when it is taken."""
    try:
        lab.client.create(resource, obj, dryRun=True)
    except ApiError as error:
        assert error.reason == "Invalid", error.message
        return [f"{cause['field']}: {cause['message']}" for cause in error.causes]
    return []


# StatefulSet


def test_a_stateful_set_is_filled_in(lab: Lab) -> None:
    made = lab.client.create("statefulsets", stateful_set(volumeClaimTemplates=[CLAIM]), dryRun=True)
    assert made["spec"]["podManagementPolicy"] == "OrderedReady"
    assert made["spec"]["replicas"] == 1 and made["spec"]["revisionHistoryLimit"] == 10
    assert made["spec"]["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    retention = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert made["spec"]["persistentVolumeClaimRetentionPolicy"] == retention
    assert made["status"] == {"replicas": 0, "availableReplicas": 0}
    claim = made["spec"]["volumeClaimTemplates"][0]
    assert claim["spec"]["volumeMode"] == "Filesystem" and claim["status"] == {"phase": "Pending"}


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"podManagementPolicy": "Any"},
         'spec.podManagementPolicy: Invalid value: "Any": must be \'OrderedReady\' or \'Parallel\''),
        ({"updateStrategy": {"type": "Recreate"}},
         "must be 'RollingUpdate' or 'OnDelete'"),
        ({"updateStrategy": {"type": "OnDelete", "rollingUpdate": {}}},
         "only allowed for updateStrategy 'RollingUpdate'"),
        (rolling(partition=-1), NEGATIVE),
        (rolling(maxUnavailable=0),
         "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0"),
        (rolling(maxUnavailable="0%"), "cannot be 0"),
        (rolling(maxUnavailable="110%"), 'Invalid value: "110%": must not be greater than 100%'),
        (rolling(maxUnavailable="some"), PERCENT),
        ({"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Keep"}},
         'spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: "Keep": '
         'supported values: "Delete", "Retain"'),
        ({"replicas": -1}, f"spec.replicas: Invalid value: -1: {NEGATIVE}"),
        ({"minReadySeconds": -1}, f"spec.minReadySeconds: Invalid value: -1: {NEGATIVE}"),
        ({"ordinals": {"start": -1}}, f"spec.ordinals.start: Invalid value: -1: {NEGATIVE}"),
        ({"selector": {}}, "empty selector is invalid for statefulset"),
        ({"selector": {"matchLabels": {"app": "other"}}}, "`selector` does not match template `labels`"),
        ({"template": template(restartPolicy="Never")},
         'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'),
        ({"template": template(activeDeadlineSeconds=5)},
         "spec.template.spec.activeDeadlineSeconds: Forbidden: "
         "activeDeadlineSeconds in StatefulSet is not Supported"),
    ],
)  # fmt: skip
def test_a_bad_stateful_set_is_refused(lab: Lab, spec: Object, complaint: str) -> None:
    """ValidateStatefulSetSpec."""
    (found,) = causes(lab, "statefulsets", stateful_set(**spec))
    assert complaint in found


def test_the_name_of_a_stateful_set_is_a_host_name(lab: Lab) -> None:
    """ValidateStatefulSetName: a DNS label since 1.27, for it becomes the host name of pods."""
    (found,) = causes(lab, "statefulsets", workload("StatefulSet", name="a.b"))
    assert found.startswith('metadata.name: Invalid value: "a.b": a lowercase RFC 1123 label must consist of')
    assert causes(lab, "daemonsets", workload("DaemonSet", name="a.b")) == []


def test_the_pod_of_a_stateful_set_is_judged_when_it_is_made(lab: Lab) -> None:
    """ValidatePodTemplateSpecForStatefulSet: the template alone does not know the volumes of the claims."""
    mounts = [{"name": "c", "image": "nginx", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]
    wanted = stateful_set(volumeClaimTemplates=[CLAIM], template=template(containers=mounts))
    assert causes(lab, "statefulsets", wanted) == []


@pytest.fixture(scope="module")
def present(lab: Lab) -> Object:
    return lab.client.create("statefulsets", stateful_set(volumeClaimTemplates=[CLAIM]))


@pytest.mark.parametrize(
    "spec",
    [
        {"serviceName": "other"},
        {"podManagementPolicy": "Parallel"},
        {"selector": {"matchLabels": {"app": "web", "tier": None}}, "volumeClaimTemplates": None},
        {"volumeClaimTemplates": [with_path(CLAIM, "spec.accessModes", ["ReadWriteMany"])]},
    ],
)
def test_what_a_stateful_set_is_made_with_stays(lab: Lab, present: Object, spec: Object) -> None:
    """ValidateStatefulSetUpdate: its sentence as in 1.33."""
    with pytest.raises(ApiError) as refused:
        lab.apply("statefulsets", "web", {"spec": spec}, content_type=MERGE)
    assert refused.value.message == (
        'StatefulSet.apps "web" is invalid: spec: Forbidden: updates to statefulset spec for fields other than '
        "'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
        "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
    )


def test_the_rest_of_a_stateful_set_can_change(lab: Lab, present: Object) -> None:
    spec = {
        "replicas": 2,
        "ordinals": {"start": 1},
        "template": template("nginx:2"),
        "updateStrategy": {"type": "OnDelete", "rollingUpdate": None},
        "revisionHistoryLimit": 3,
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"},
        "minReadySeconds": 4,
    }
    changed = lab.apply("statefulsets", "web", {"spec": spec}, content_type=MERGE)
    assert changed["metadata"]["generation"] == present["metadata"]["generation"] + 1
    assert changed["spec"]["minReadySeconds"] == 4


# DaemonSet


def test_a_daemon_set_is_filled_in(lab: Lab) -> None:
    made = lab.client.create("daemonsets", daemon_set(), dryRun=True)
    assert made["spec"]["revisionHistoryLimit"] == 10
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    assert made["spec"]["updateStrategy"] == strategy
    assert annotations_of(made) == {"deprecated.daemonset.template.generation": "1"}
    assert set(made["status"].values()) == {0}


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"selector": {}}, "empty selector is invalid for daemonset"),
        ({"selector": {"matchLabels": {"app": "other"}}}, "`selector` does not match template `labels`"),
        ({"template": template(restartPolicy="OnFailure")}, 'Unsupported value: "OnFailure"'),
        ({"template": template(activeDeadlineSeconds=5)}, "activeDeadlineSeconds in DaemonSet is not Supported"),
        ({"template": template(containers=[])}, "spec.template.spec.containers: Required value"),
        ({"minReadySeconds": -1}, NEGATIVE),
        ({"revisionHistoryLimit": -1}, NEGATIVE),
        ({"updateStrategy": {"type": "Recreate"}}, 'supported values: "OnDelete", "RollingUpdate"'),
        (rolling(maxUnavailable=0),
         "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"),
        (rolling(maxUnavailable=1, maxSurge="10%"),
         'maxSurge: Invalid value: "10%": may not be set when maxUnavailable is non-zero'),
        (rolling(maxUnavailable="200%"), "must not be greater than 100%"),
        (rolling(maxUnavailable=0, maxSurge="200%"), "must not be greater than 100%"),
        (rolling(maxUnavailable="x%"), PERCENT),
    ],
)  # fmt: skip
def test_a_bad_daemon_set_is_refused(lab: Lab, spec: Object, complaint: str) -> None:
    """ValidateDaemonSetSpec, ValidateRollingUpdateDaemonSet."""
    (found,) = causes(lab, "daemonsets", daemon_set(**spec))
    assert complaint in found


@pytest.mark.parametrize(
    "how",
    [{"maxUnavailable": "50%"}, {"maxUnavailable": 0, "maxSurge": "50%"}, {"maxUnavailable": "0%", "maxSurge": 1}],
)
def test_a_daemon_set_surges_or_does_without(lab: Lab, how: Object) -> None:
    assert causes(lab, "daemonsets", daemon_set(**rolling(**how))) == []


def test_the_selector_of_a_daemon_set_stays(lab: Lab) -> None:
    """ValidateDaemonSetUpdate."""
    lab.client.create("daemonsets", daemon_set())
    labels = {"app": "web", "tier": "node"}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}}
    with pytest.raises(ApiError, match=r"spec\.selector: Invalid value: .*: field is immutable"):
        lab.apply("daemonsets", "web", {"spec": spec})


def test_only_a_change_of_the_template_counts_its_generation_up(lab: Lab) -> None:
    """pkg/registry/apps/daemonset/strategy.go."""

    def number() -> str:
        return annotations_of(lab.get("daemonsets", "counted"))["deprecated.daemonset.template.generation"]

    lab.client.create("daemonsets", workload("DaemonSet", name="counted"))
    lab.apply("daemonsets", "counted", {"spec": {"minReadySeconds": 3}})
    assert number() == "1"
    lab.apply("daemonsets", "counted", {"spec": {"template": {"spec": {"hostNetwork": True}}}})
    assert number() == "2"
    replaced = workload("DaemonSet", name="counted")
    lab.client.update("daemonsets", replaced)
    assert number() == "3"


# ControllerRevision


def revision(**fields: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"name": "one", "namespace": "default"},
        "revision": 1,
        **fields,
    }


def test_a_revision_has_data_that_never_changes_and_a_number_that_may(lab: Lab) -> None:
    """ValidateControllerRevision, ValidateControllerRevisionUpdate."""
    assert causes(lab, "controllerrevisions", revision()) == ["data: Required value: data is mandatory"]
    (found,) = causes(lab, "controllerrevisions", revision(data={}, revision=-1))
    assert found == f"revision: Invalid value: -1: {NEGATIVE}"
    data = {"spec": {"any": None, "list": [1, {"b": 1, "a": 2}]}}
    made = lab.client.create("controllerrevisions", revision(data=data))
    assert made["data"] == data
    assert lab.client.update("controllerrevisions", {**made, "revision": 5})["revision"] == 5
    with pytest.raises(ApiError, match=r"data: Invalid value: .*: field is immutable"):
        lab.client.update("controllerrevisions", {**revision(data={"other": 1})})


# ReplicaSet, Deployment, ReplicationController


@pytest.mark.parametrize(
    ("selector", "complaint"),
    [
        (None, "spec.selector: Required value"),
        ({}, "empty selector is invalid for deployment"),
        ({"matchLabels": {"app": "?"}}, 'spec.selector.matchLabels: Invalid value: "?"'),
        ({"matchExpressions": [{"key": "app", "operator": "Like", "values": ["web"]}]},
         'spec.selector.matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator'),
        ({"matchExpressions": [{"key": "app", "operator": "In"}]},
         "spec.selector.matchExpressions[0].values: Required value: "
         "must be specified when `operator` is 'In' or 'NotIn'"),
        ({"matchExpressions": [{"key": "app", "operator": "Exists", "values": ["web"]}]},
         "spec.selector.matchExpressions[0].values: Forbidden: "
         "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
        ({"matchExpressions": [{"key": "a b", "operator": "Exists"}]}, "spec.selector.matchExpressions[0].key"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("make", [deployment, replica_set])
def test_a_selector_is_complete_and_picks_the_template(
    lab: Lab, make: Any, selector: Object | None, complaint: str
) -> None:
    """ValidateLabelSelector, ValidateReplicaSetSpec."""
    wanted = make()
    wanted["spec"] = {key: value for key, value in wanted["spec"].items() if key != "selector"}
    wanted["spec"] |= {} if selector is None else {"selector": selector}
    resource = {"Deployment": "deployments", "ReplicaSet": "replicasets"}[wanted["kind"]]
    found = causes(lab, resource, wanted)
    assert len(found) == 1 and complaint in found[0]


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ({"maxSurge": 0, "maxUnavailable": 0}, "may not be 0 when `maxSurge` is 0"),
        ({"maxSurge": "0%", "maxUnavailable": "00%"}, "may not be 0 when `maxSurge` is 0"),
        ({"maxUnavailable": "101%"}, "must not be greater than 100%"),
        ({"maxSurge": "1.5%"}, PERCENT),
        ({"maxSurge": -1}, NEGATIVE),
    ],
)
def test_a_bad_budget_of_a_deployment_is_refused(lab: Lab, how: Object, complaint: str) -> None:
    """ValidateRollingUpdateDeployment."""
    found = causes(lab, "deployments", deployment(strategy={"type": "RollingUpdate", "rollingUpdate": how}))
    assert len(found) == 1 and complaint in found[0]


def test_a_surge_may_be_more_than_all(lab: Lab) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "200%"}}
    assert causes(lab, "deployments", deployment(strategy=strategy)) == []


def test_the_pods_of_a_replication_controller_have_no_deadline(lab: Lab) -> None:
    """ValidatePodTemplateSpecForRC."""
    controller = {"apiVersion": "v1", "kind": "ReplicationController",
                  "metadata": {"name": "rc", "namespace": "default"},
                  "spec": {"selector": {"app": "web"}, "template": template(activeDeadlineSeconds=5)}}  # fmt: skip
    (found,) = causes(lab, "replicationcontrollers", controller)
    assert found.endswith("Forbidden: activeDeadlineSeconds in ReplicationController is not Supported")
    assert get_path(controller, "spec.template.spec.activeDeadlineSeconds") == 5
