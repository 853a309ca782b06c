"""Clusters in which causes are planted: a bystander of every kind, workloads to be ill, and a learner who types lines.

Interface: `Lab`, a cluster with everything well in it; `Cause`, what is wrong; `plant`, `mend`; manifests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import yaml

from k8snb.apimachinery.kinds import BY_GVK
from k8snb.apimachinery.meta import Object, get_path
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.notebook import kclock, kcluster, kstory
from k8snb.notebook.clusters import Clusters
from k8snb.story.why import Finding, why

WELL = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: well}
spec:
  replicas: 2
  selector: {matchLabels: {app: well}}
  template: {metadata: {labels: {app: well}}, spec: {containers: [{name: main, image: nginx,
    ports: [{containerPort: 80}],
    readinessProbe: {httpGet: {path: /, port: 80}},
    livenessProbe: {httpGet: {path: /, port: 80}}}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: well}, spec: {selector: {app: well}, ports: [{port: 80}]}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: well}
spec:
  serviceName: well
  selector: {matchLabels: {app: well-set}}
  template: {metadata: {labels: {app: well-set}}, spec: {containers: [{name: main, image: nginx}]}}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce],
    resources: {requests: {storage: 1Gi}}}}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: well}
spec:
  selector: {matchLabels: {app: well-daemon}}
  template: {metadata: {labels: {app: well-daemon}}, spec: {containers: [{name: main, image: nginx}]}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: well}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: busybox, command: [sh, -c, exit 0]}]}}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: well}, data: {a: b}}
"""
TEMPLATE = """
apiVersion: apps/v1
kind: {kind}
metadata: {{name: web}}
spec:
  {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template: {{metadata: {{labels: {{app: web}}}}, spec: {{containers: [{main}]{rest}}}}}
"""
NONE = "localhost:1/does-not-exist:1"


def workload(kind: str = "Deployment", *, replicas: int = 2, rest: str = "", **container: object) -> str:
    main = yaml.safe_dump({"name": "main", "image": "nginx", **container}, default_flow_style=True, width=9999).strip()
    size = "" if kind == "DaemonSet" else f"replicas: {replicas}"
    return TEMPLATE.format(kind=kind, replicas=size, main=main, rest=rest)


def pod(*, labels: str = "{app: web}", rest: str = "", **container: object) -> str:
    main = yaml.safe_dump({"name": "main", "image": "nginx", **container}, default_flow_style=True, width=9999).strip()
    return (
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: web, labels: {labels}}}\nspec: {{containers: [{main}]{rest}}}\n"
    )


SERVICE = "{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}\n"
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {%s, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""
MOUNT = ", volumes: [{name: d, persistentVolumeClaim: {claimName: data}}]"
SCALER = """
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %s}
  maxReplicas: 5
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
"""
PROBE = {"httpGet": {"path": "/", "port": 9999}, "periodSeconds": 1, "failureThreshold": 2}
PORT = [{"containerPort": 80}]


class Cause(NamedTuple):
    """What is wrong: manifests, what is done after them, whom to ask, a part of the fact; whether a command mends it.

    `well` is whom the mended cluster is asked about, where that is not the same; `harms`: others suffer too.
    """

    manifests: str
    about: str
    fact: str
    after: tuple[str, ...] = ()
    mends: bool = True
    well: str = ""
    harms: bool = False


class Lab:
    """A cluster with everything well in it, and a learner who types lines."""

    def __init__(self, seed: int) -> None:
        self.clusters = Clusters(lambda name, **options: Cluster(
            name, nodes=2, runtime="simulated", clock=VirtualClock(), seed=seed, cpus="4", memory="8Gi"))  # fmt: skip
        self.cluster = self.clusters.start()
        self.make(WELL)
        self.cluster.run_for(30)

    def make(self, manifests: str) -> None:
        for obj in yaml.safe_load_all(manifests):
            if obj:
                namespace = obj["metadata"].get("namespace", "default")
                self.cluster.client.create(BY_GVK[obj["apiVersion"], obj["kind"]], obj, namespace)

    def type(self, line: str) -> None:
        """A line as a learner has it, or a cell."""
        if line.startswith("%%kapply\n"):
            self.cluster.kubectl.run("apply -f -", stdin=line.partition("\n")[2])
        elif line.startswith("%kcluster "):
            words = line.split()[1:]
            kcluster.run(self.clusters, words)
        elif line.startswith("%kclock "):
            kclock.run(self.cluster, line.split()[1:])
        elif line.startswith("%kwhy "):
            kstory.run(self.cluster, "why", line.split()[1:])
        else:
            self.cluster.kubectl.run(line.removeprefix("kubectl "))

    def find(self, about: str) -> Object | None:
        word, _, name = about.partition("/")
        kind = next(kind for kind in self.cluster.client.kinds() if word in kind.words())
        return self.cluster.client.find(kind, name, "default" if kind.namespaced else "")

    def reasons(self, about: str) -> list[Finding]:
        obj = self.find(about)
        return [] if obj is None else why(self.cluster.story_scene(), obj)

    def close(self) -> None:
        self.clusters.close()


def plant(lab: Lab, cause: Cause) -> None:
    lab.make(cause.manifests)
    lab.cluster.run_for(60)
    for line in cause.after:
        lab.type(line)
    lab.cluster.run_for(90)


def mend(lab: Lab, cause: Cause) -> None:
    """Run the first command, again if something else is told then, until nothing is wrong."""
    for _ in range(4):
        found = lab.reasons(cause.about)
        if not found or not found[0].commands:
            break
        lab.type(found[0].commands[0])
        lab.cluster.run_for(180)
    if cause.mends:
        assert lab.reasons(cause.well or cause.about) == []
        assert is_well(lab.find(cause.well or cause.about))


def is_well(obj: Object | None) -> bool:
    """Whether something is as it should be, or gone as it should be, judged without the story."""
    checks: dict[str, Callable[[Object], bool]] = {
        "Pod": lambda obj: any(each["type"] == "Ready" and each["status"] == "True"
                               for each in get_path(obj, "status.conditions") or ()),
        "Deployment": lambda obj: get_path(obj, "status.readyReplicas") == get_path(obj, "spec.replicas"),
        "PersistentVolumeClaim": lambda obj: get_path(obj, "status.phase") == "Bound",
    }  # fmt: skip
    return obj is None or checks.get(obj["kind"], lambda obj: True)(obj)
