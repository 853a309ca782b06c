"""Exports: the live state as manifests from which it can be made again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.kubectl import KubectlError
from k8snb.kubectl.export import MARK, SECRET, exported, write
from k8snb.kubectl.manifests import OWNED, SYSTEM

SHOP = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: blue}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {a: "1"}
---
apiVersion: v1
kind: Secret
metadata: {name: password, namespace: shop}
stringData: {p: geheim}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, annotations: {kubernetes.io/change-cause: first}}
spec:
  replicas: 2
  revisionHistoryLimit: 10
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: nginx, ports: [{containerPort: 80}], readinessProbe: {httpGet: {port: 80}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 80, name: a, nodePort: 30080}, {port: 81, name: b, targetPort: 80}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: c, image: redis}]}}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once, namespace: shop}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: busybox, command: [sleep, "1000"]}]}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: disk, namespace: shop}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: shop}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: default, namespace: shop}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: front, namespace: shop}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}
"""


@contextmanager
def running(name: str) -> Iterator[Cluster]:
    with Cluster(name, nodes=2, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        yield cluster


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with running("exported") as cluster:
        yield cluster


def files(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir()}


def manifest(cluster: Cluster, kind: str, name: str) -> Any:
    found = [obj for obj in exported(cluster.client, secrets=True).manifests.values()
             if (obj["kind"], obj["metadata"]["name"]) == (kind, name)]  # fmt: skip
    assert len(found) == 1
    return found[0]


def test_what_was_exported_can_be_applied_and_gives_the_same_export(cluster: Cluster, tmp_path: Path) -> None:
    cluster.kubectl.run("apply -f -", SHOP)
    for line in (
        "create deployment side --image=busybox -n shop --replicas=2", "expose deployment side --port=80 -n shop",
        "run lonely --image=nginx --port=80 --env=A=b", "create configmap plain --from-literal=x=yes",
        "scale deployment web -n shop --replicas=3", "label namespace shop extra=1",
        "create serviceaccount robot", "create quota q --hard=pods=20",
        "create clusterrole see --verb=get --resource=nodes",
        "autoscale deployment side -n shop --max=4", "create cronjob tick --image=busybox --schedule='* * * * *'",
        "create priorityclass high --value=10", "create pdb calm -n shop --selector=app=web --min-available=1",
    ):  # fmt: skip
        cluster.kubectl.run(line)
    cluster.settle(limit=30)
    write(exported(cluster.client, secrets=True), tmp_path / "first")
    with running("again") as other:
        other.kubectl.run(["apply", "-f", str(tmp_path / "first")])
        other.settle(limit=30)
        write(exported(other.client, secrets=True), tmp_path / "second")
        assert other.client.get("deployments", "web", "shop")["spec"]["replicas"] == 3
    assert files(tmp_path / "first") == files(tmp_path / "second")


def test_manifests_hold_what_users_wrote_and_no_more(cluster: Cluster) -> None:
    cluster.kubectl.run("create deployment web --image=nginx --replicas=2")
    cluster.settle()
    assert manifest(cluster, "Deployment", "web") == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "nginx", "image": "nginx"}]},
            },
        },
    }


def test_a_default_that_was_applied_stays(cluster: Cluster) -> None:
    cluster.kubectl.run("apply -f -", SHOP)
    spec = manifest(cluster, "Deployment", "web")["spec"]
    assert spec["revisionHistoryLimit"] == 10 and "progressDeadlineSeconds" not in spec


def test_what_the_server_allots_goes_unless_it_was_asked_for(cluster: Cluster) -> None:
    cluster.kubectl.run("apply -f -", SHOP)
    assert manifest(cluster, "Service", "web")["spec"] == {
        "type": "NodePort",
        "selector": {"app": "web"},
        "ports": [{"name": "a", "port": 80, "nodePort": 30080}, {"name": "b", "port": 81, "targetPort": 80}],
    }


def test_what_others_make_is_left_out_and_counted(cluster: Cluster) -> None:
    cluster.kubectl.run("apply -f -", SHOP)
    cluster.settle()
    export = exported(cluster.client)
    kinds = {obj["kind"] for obj in export.manifests.values()}
    made = {"Pod", "ReplicaSet", "Node", "Event", "Secret", "EndpointSlice", "ServiceAccount", "PersistentVolume"}
    assert not kinds & made
    assert export.left[OWNED] >= 4 and export.left[SYSTEM] > 10 and export.left[SECRET] == 1


def test_secrets_are_exported_where_that_is_asked_for(cluster: Cluster) -> None:
    cluster.kubectl.run("apply -f -", SHOP)
    assert manifest(cluster, "Secret", "password")["data"] == {"p": "Z2VoZWlt"}


def test_an_export_can_be_of_one_namespace(cluster: Cluster) -> None:
    cluster.kubectl.run("apply -f -", SHOP)
    cluster.kubectl.run("create configmap elsewhere")
    export = exported(cluster.client, namespaces=["shop"])
    assert {obj["metadata"]["namespace"] for obj in export.manifests.values()} == {"shop"}


def test_a_custom_resource_is_exported_with_its_definition(cluster: Cluster, tmp_path: Path) -> None:
    definition = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Thing, plural: things}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
    cluster.kubectl.run("apply -f -", definition)
    cluster.settle()
    cluster.kubectl.run("apply -f -", "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: one}\nspec: {a: 1}\n")
    export = exported(cluster.client)
    names = list(export.manifests)
    assert names.index("03-customresourcedefinition.things.example.com.yaml") < names.index(
        "50-default.thing.example.com.one.yaml"
    )
    assert export.manifests["50-default.thing.example.com.one.yaml"]["spec"] == {"a": 1}


def test_an_export_replaces_an_earlier_one_and_nothing_else(cluster: Cluster, tmp_path: Path) -> None:
    cluster.kubectl.run("create configmap a")
    write(exported(cluster.client), tmp_path)
    cluster.kubectl.run("delete configmap a")
    cluster.kubectl.run("create configmap b")
    write(exported(cluster.client), tmp_path)
    assert list(files(tmp_path)) == ["10-default.configmap.b.yaml"]
    text = files(tmp_path)["10-default.configmap.b.yaml"]
    assert text.startswith(MARK) and yaml.safe_load(text)["kind"] == "ConfigMap"
    (tmp_path / "mine.yaml").write_text("a: b\n")
    with pytest.raises(KubectlError, match=r"holds files that no export wrote \(mine\.yaml\): name another directory"):
        write(exported(cluster.client), tmp_path)
    assert (tmp_path / "mine.yaml").exists()


def test_kubectl_exports_as_a_method(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(KubectlError, match="there is nothing to export"):
        cluster.kubectl.export(tmp_path / "out")
    cluster.kubectl.run("create configmap a")
    assert list(cluster.kubectl.export(tmp_path / "out").manifests) == ["10-default.configmap.a.yaml"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["10-default.configmap.a.yaml"]
