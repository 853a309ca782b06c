"""Pictures of a cluster that is kept in a file, as Graphviz's text and in words: what goes in and what comes out.

`python tests/test_draw_golden.py` writes the files anew: the cluster from `diagram_lab`, and what is drawn of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from k8snb.apimachinery.meta import uid_of
from k8snb.apimachinery.selectors import parse_selector
from k8snb.notebook.composition import build
from k8snb.notebook.diagram import Diagram, describe
from k8snb.notebook.dot import to_dot
from k8snb.notebook.draw_components import ADDONS, PLANE, Machine, Part, components
from k8snb.notebook.kdraw import Question

GOLDEN = Path(__file__).parent / "golden" / "dot"
KINDS = (
    "deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs", "replicationcontrollers", "pods",
    "services", "endpointslices", "ingresses", "networkpolicies", "configmaps", "secrets", "persistentvolumeclaims",
    "persistentvolumes", "storageclasses", "horizontalpodautoscalers", "poddisruptionbudgets", "nodes",
)  # fmt: skip
PARTS = (
    Part("etcd", "etcd", PLANE, "Running", "revision 7"),
    Part("kube-apiserver", "kube-apiserver", PLANE, "Running"),
    Part("kube-scheduler", "kube-scheduler", PLANE, "Stopped"),
    Part("coredns", "coredns", ADDONS, "Running", "at 10.96.0.10"),
    Part("kubelet", "kubelet", "node-1", "Running"),
    Part("runtime", "runtime", "node-1", "Running", "simulated"),
)


def diagrams() -> dict[str, Diagram]:
    """What is drawn, by the names of the files."""
    objects: list[Any] = json.loads((GOLDEN / "cluster.json").read_text(encoding="utf-8"))
    front = parse_selector("app=web,tier=front")
    web = next(obj for obj in objects if obj["kind"] == "Deployment")
    smaller = {**web, "spec": {**web["spec"], "replicas": 2}, "metadata": {**web["metadata"], "uid": uid_of(web)}}
    later = [smaller if obj is web else obj for obj in objects if obj["metadata"]["name"] != "alone"]
    views = ("objects", "nodes", "network", "storage", "owner")
    made = {view: build(objects, Question(title=view, view=view, namespaces=view == "network")) for view in views}
    made["selection"] = build(objects, Question(
        picked=lambda pod: front.matches(pod["metadata"].get("labels") or {}), picking=str(front),
    ))  # fmt: skip
    made["difference"] = build(later, Question(title="difference"), objects)
    made["folded"] = build(objects, Question(title="folded", more=1, most=20))
    return {**made, "components": components(PARTS, [Machine("node-1", "Ready")])}


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.dot")))
def test_a_picture_is_what_is_kept(name: str) -> None:
    diagram = diagrams()[name]
    assert to_dot(diagram) == (GOLDEN / f"{name}.dot").read_text(encoding="utf-8")
    assert describe(diagram) + "\n" == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def write() -> None:
    from diagram_lab import showcase

    GOLDEN.mkdir(exist_ok=True)
    with showcase() as cluster:
        objects = [obj for kind in KINDS for obj in cluster.client.items(kind)]
        kept = [obj for obj in objects if obj["metadata"].get("namespace") in ("default", None)]
    (GOLDEN / "cluster.json").write_text("[\n" + ",\n".join(map(json.dumps, kept)) + "\n]\n", encoding="utf-8")
    for name, diagram in diagrams().items():
        (GOLDEN / f"{name}.dot").write_text(to_dot(diagram), encoding="utf-8")
        (GOLDEN / f"{name}.txt").write_text(describe(diagram) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
