"""What a manifest leaves open is filled in as the apiserver does, once."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8snb.apimachinery import defaults, schema
from k8snb.apimachinery.defaults import RULES, VALUES, apply_defaults
from k8snb.apimachinery.kinds import Kind

GOLDEN = Path(__file__).parent / "golden"
POD = Kind("Pod", "pods")


def filled(api_version: str, kind: str, **body: Any) -> dict[str, Any]:
    """The object with its defaults; on the way, the laws that hold for every object."""
    group, _, version = api_version.rpartition("/")
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "web"}, **body}
    row, kept = Kind(kind, kind.lower() + "s", group, version), copy.deepcopy(obj)
    after = apply_defaults(row, obj)
    assert obj == kept, "the manifest itself was changed"
    assert apply_defaults(row, after) is after, "a second time changed something"
    assert schema.load().check(after) == ([], []), "a default is not what the schema says"
    return after


def pod(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    after = filled("v1", "Pod", spec={"containers": [{"name": "a", "image": "a:1", **(container or {})}], **spec})
    found: dict[str, Any] = after["spec"]
    return found


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("defaults-*.input.yaml")), ids=lambda path: path.name.split(".")[0])
def test_defaults_are_those_in_the_book(path: Path) -> None:
    obj = yaml.safe_load(path.read_text())
    expected = yaml.safe_load(path.with_name(path.name.replace(".input.", ".output.")).read_text())
    assert filled(**{"api_version": obj.pop("apiVersion"), **obj}) == expected


def test_the_tables_name_types_that_exist() -> None:
    assert {*VALUES, *RULES} <= set(schema.load().type_names())


def test_the_tables_name_fields_that_exist() -> None:
    for name, values in VALUES.items():
        type_ = schema.load().type(name)
        assert type_ is not None
        assert values.keys() <= type_.fields.keys()


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.25", "IfNotPresent"),
        ("localhost:5000/nginx", "Always"),
        ("localhost:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:" + "0" * 64, "IfNotPresent"),
    ],
)
def test_an_image_that_may_change_is_always_pulled(image: str, policy: str) -> None:
    assert pod({"image": image})["containers"][0]["imagePullPolicy"] == policy


def test_what_is_said_is_kept() -> None:
    spec = pod({"imagePullPolicy": "Never"}, restartPolicy="Never", terminationGracePeriodSeconds=0)
    assert spec["restartPolicy"] == "Never"
    assert spec["terminationGracePeriodSeconds"] == 0
    assert spec["containers"][0]["imagePullPolicy"] == "Never"


def test_limits_are_requests_in_pods_and_not_in_templates() -> None:
    limited = {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}}}
    assert pod(limited)["containers"][0]["resources"]["requests"] == {"cpu": "100m", "memory": "1Gi"}
    template = {"spec": {"containers": [{"name": "a", "image": "a:1", **limited}]}}
    after = filled("apps/v1", "ReplicaSet", spec={"selector": {"matchLabels": {"a": "b"}}, "template": template})
    assert after["spec"]["template"]["spec"]["containers"][0]["resources"] == limited["resources"]


def test_ports_on_the_hosts_network_are_host_ports() -> None:
    spec = pod({"ports": [{"containerPort": 80}]}, hostNetwork=True)
    assert spec["containers"][0]["ports"] == [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]


def test_a_probe_is_filled_in_wherever_it_stands() -> None:
    probe = {"httpGet": {"port": 80}}
    expected = {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10,
                "successThreshold": 1, "failureThreshold": 3}  # fmt: skip
    spec = pod({"livenessProbe": probe, "lifecycle": {"preStop": {"httpGet": {"port": 80}}}})
    assert spec["containers"][0]["livenessProbe"] == expected
    assert spec["containers"][0]["lifecycle"]["preStop"]["httpGet"] == expected["httpGet"]


def test_volumes_have_a_source_and_files_a_mode() -> None:
    sources = [{"name": "d"}, {"name": "c", "configMap": {"name": "x"}}, {"name": "h", "hostPath": {"path": "/"}},
               {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]  # fmt: skip
    empty, config, host, projected = pod(volumes=sources)["volumes"]
    assert empty == {"name": "d", "emptyDir": {}}
    assert config["configMap"] == {"name": "x", "defaultMode": 0o644}
    assert host["hostPath"] == {"path": "/", "type": ""}
    assert projected["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"] == 3600


def test_both_names_of_the_service_account_are_written() -> None:
    assert pod(serviceAccountName="x")["serviceAccount"] == "x"
    assert pod(serviceAccount="x")["serviceAccountName"] == "x"
    assert pod(serviceAccountName="x", serviceAccount="y")["serviceAccount"] == "x"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"}),
        ({"type": "NodePort"}, {"externalTrafficPolicy": "Cluster", "ipFamilies": ["IPv4"]}),
        ({"type": "LoadBalancer"}, {"externalTrafficPolicy": "Cluster", "allocateLoadBalancerNodePorts": True}),
        ({"externalIPs": ["1.2.3.4"]}, {"externalTrafficPolicy": "Cluster", "ipFamilyPolicy": "SingleStack"}),
        ({"sessionAffinity": "ClientIP"}, {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}}),
    ],
)
def test_a_service_is_filled_in_by_its_type(spec: dict[str, Any], expected: dict[str, Any]) -> None:
    after = filled("v1", "Service", spec={"ports": [{"port": 80}, {"port": 81, "targetPort": "web"}], **spec})
    assert expected.items() <= after["spec"].items()
    assert after["spec"]["ports"] == [
        {"port": 80, "protocol": "TCP", "targetPort": 80},
        {"port": 81, "protocol": "TCP", "targetPort": "web"},
    ]


def test_a_name_for_the_outside_has_no_address() -> None:
    after = filled("v1", "Service", spec={"type": "ExternalName", "externalName": "example.com"})
    assert after["spec"].keys() == {"type", "externalName", "sessionAffinity"}


TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}}


def test_a_replication_controller_reads_its_selector_from_its_template() -> None:
    after = filled("v1", "ReplicationController", spec={"template": TEMPLATE})
    assert after["spec"]["selector"] == {"app": "web"}
    assert after["spec"]["replicas"] == 1
    assert after["metadata"]["labels"] == {"app": "web"}
    mine = filled("v1", "ReplicationController", spec={"template": TEMPLATE, "selector": {"a": "b"}, "replicas": 0})
    assert (mine["spec"]["selector"], mine["spec"]["replicas"]) == ({"a": "b"}, 0)


def test_no_rolling_update_where_all_pods_are_recreated() -> None:
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}
    after = filled("apps/v1", "Deployment", spec={**spec, "strategy": {"type": "Recreate"}})
    assert after["spec"]["strategy"] == {"type": "Recreate"}
    partly = filled("apps/v1", "Deployment", spec={**spec, "strategy": {"rollingUpdate": {"maxSurge": 1}}})
    assert partly["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": "25%"}


def test_daemon_and_stateful_sets_roll_one_by_one() -> None:
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": TEMPLATE}
    daemons = filled("apps/v1", "DaemonSet", spec=spec)["spec"]
    assert daemons["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}
    claim = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    stateful = filled("apps/v1", "StatefulSet", spec={**spec, "serviceName": "web", "volumeClaimTemplates": [claim]})
    assert stateful["spec"]["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    assert stateful["spec"]["podManagementPolicy"] == "OrderedReady"
    assert stateful["spec"]["volumeClaimTemplates"][0]["spec"]["volumeMode"] == "Filesystem"
    waiting = filled("apps/v1", "StatefulSet", spec={**spec, "updateStrategy": {"type": "OnDelete"}})
    assert waiting["spec"]["updateStrategy"] == {"type": "OnDelete"}


def test_a_job_runs_once_and_a_work_queue_until_it_is_empty() -> None:
    job = filled("batch/v1", "Job", spec={"template": TEMPLATE})
    expected = {"completions": 1, "parallelism": 1, "backoffLimit": 6, "completionMode": "NonIndexed", "suspend": False}
    assert expected.items() <= job["spec"].items()
    assert "completions" not in filled("batch/v1", "Job", spec={"template": TEMPLATE, "parallelism": 3})["spec"]


def test_the_job_template_of_a_cron_job_is_no_job() -> None:
    spec = {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": TEMPLATE}}}
    after = filled("batch/v1", "CronJob", spec=spec)["spec"]
    assert after["concurrencyPolicy"] == "Allow"
    assert "backoffLimit" not in after["jobTemplate"]["spec"]
    assert after["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] == "Always"


def test_an_autoscaler_looks_at_cpu() -> None:
    spec = {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "web"}}
    after = filled("autoscaling/v2", "HorizontalPodAutoscaler", spec={**spec, "behavior": {"scaleDown": {}}})["spec"]
    assert after["minReplicas"] == 1
    assert after["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 80}
    assert after["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert after["behavior"]["scaleDown"]["selectPolicy"] == "Max"


def test_a_namespace_carries_its_name() -> None:
    after = filled("v1", "Namespace", metadata={"name": "dev", "labels": {"a": "b"}})
    assert after["metadata"]["labels"] == {"a": "b", "kubernetes.io/metadata.name": "dev"}
    assert after["status"] == {"phase": "Active"}
    assert filled("v1", "Namespace", metadata={"generateName": "dev-"})["metadata"] == {"generateName": "dev-"}


def test_a_secret_is_opaque_and_its_plain_text_is_encoded() -> None:
    after = filled("v1", "Secret", data={"a": "YQ=="}, stringData={"b": "b"})
    assert after["type"] == "Opaque"
    assert after["data"] == {"a": "YQ==", "b": "Yg=="}
    assert "stringData" not in after


def test_volumes_wait_and_are_retained() -> None:
    volume = filled("v1", "PersistentVolume", spec={"capacity": {"storage": "1Gi"}, "hostPath": {"path": "/a"}})
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert volume["status"]["phase"] == "Pending"
    assert filled("v1", "PersistentVolumeClaim", spec={})["spec"] == {"resources": {}, "volumeMode": "Filesystem"}


def test_a_limit_range_derives_defaults_for_containers() -> None:
    item = {"type": "Container", "max": {"cpu": "2"}, "min": {"cpu": "1", "memory": "1Gi"}}
    after = filled("v1", "LimitRange", spec={"limits": [item, {"type": "Pod", "max": {"cpu": "2"}}]})["spec"]["limits"]
    assert after[0]["default"] == {"cpu": "2"}
    assert after[0]["defaultRequest"] == {"cpu": "2", "memory": "1Gi"}
    assert after[1] == {"type": "Pod", "max": {"cpu": "2"}}


@pytest.mark.parametrize(
    ("api_version", "kind", "body", "expected"),
    [
        ("networking.k8s.io/v1", "NetworkPolicy", {"spec": {"podSelector": {}}}, {"policyTypes": ["Ingress"]}),
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            {"spec": {"podSelector": {}, "egress": [{"ports": [{"port": 53}]}]}},
            {"policyTypes": ["Ingress", "Egress"], "egress": [{"ports": [{"port": 53, "protocol": "TCP"}]}]},
        ),
        ("v1", "Node", {"status": {"capacity": {"cpu": "4"}}}, {"allocatable": {"cpu": "4"}}),
    ],
)
def test_other_kinds_have_their_rows(api_version: str, kind: str, body: Any, expected: Any) -> None:
    after = filled(api_version, kind, **body)
    assert expected.items() <= after["spec" if "spec" in body else "status"].items()


def test_people_belong_to_the_group_of_roles() -> None:
    subjects = [{"kind": "User", "name": "ann"}, {"kind": "ServiceAccount", "name": "bot", "namespace": "default"}]
    role = {"kind": "Role", "name": "reader"}
    after = filled("rbac.authorization.k8s.io/v1", "RoleBinding", roleRef=role, subjects=subjects)
    assert after["roleRef"]["apiGroup"] == "rbac.authorization.k8s.io"
    assert [subject.get("apiGroup") for subject in after["subjects"]] == ["rbac.authorization.k8s.io", None]


def test_pods_of_one_template_share_what_the_template_holds() -> None:
    template = filled("apps/v1", "Deployment", spec={"selector": {}, "template": TEMPLATE})["spec"]["template"]
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": template["spec"]}
    assert apply_defaults(POD, made)["spec"]["containers"] is template["spec"]["containers"]


def test_a_kind_without_a_schema_stays_as_it_is() -> None:
    cat = {"apiVersion": "example.com/v1", "kind": "Cat"}
    assert apply_defaults(Kind("Cat", "cats", "example.com"), cat) is cat
    assert defaults.Defaulter(schema.load()).rule("v1", "ConfigMap") is None
