"""Kustomizations: each comes out as it does from the real kubectl, byte for byte.

A file of `golden/kustomize` holds a directory: `=== path` and what is in that file, and after `=== (output)` what
`kubectl kustomize` of kubectl 1.33 (kustomize 5.6) prints for it; where one is installed, it prints it once more.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubectls import found_kubectls

from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.kubectl import KubectlError
from k8snb.kubectl.formats import to_yaml
from k8snb.kustomize import KustomizeError, build

CASES = sorted((Path(__file__).parent / "golden" / "kustomize").glob("*.txt"))
SAME_BYTES = "1.33"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: '1'}\n"


def written(case: Path, root: Path) -> tuple[str, str]:
    """Put the files of a case into a directory; what is printed for it, and what is remarked."""
    parts = {}
    for part in case.read_text().split("=== ")[1:]:
        name, _, content = part.partition("\n")
        parts[name] = content
    output, warnings = parts.pop("(output)"), parts.pop("(warnings)", "")
    for name, content in parts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return output, warnings


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_kustomization_comes_out_as_kubectl_builds_it(case: Path, tmp_path: Path) -> None:
    output, warnings = written(case, tmp_path)
    built = build(tmp_path)
    assert "---\n".join(map(to_yaml, built.objects)) == output
    assert "".join(f"{warning}\n" for warning in built.warnings) == warnings


@pytest.mark.process
@pytest.mark.timeout(600)
def test_the_real_kubectl_still_builds_them_so(tmp_path: Path) -> None:
    real = found_kubectls().get(SAME_BYTES)
    if real is None:
        pytest.skip("optional: kubectl 1.33 is not installed")
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    for case in CASES:
        root = tmp_path / case.stem
        output, _ = written(case, root)
        said = subprocess.run([real, "kustomize", root], text=True, capture_output=True, timeout=60,
                              env=environment)  # fmt: skip
        assert said.stdout == output, case.stem


def refusal(root: Path, kustomization: str, **files: str) -> str:
    (root / "kustomization.yaml").write_text(kustomization)
    for name, content in files.items():
        (root / name.replace("_", ".")).write_text(content)
    with pytest.raises(KustomizeError) as raised:
        build(root)
    return str(raised.value)


@pytest.mark.parametrize(
    ("kustomization", "message"),
    [
        ("vars: [{name: X}]", "a var has a name, and an objref with kind and name"),
        ("crds: [x]", "the field crds of a kustomization: not implemented by k8snb"),
        ("helmCharts: [{name: x}]", "must specify --enable-helm"),
        ("foo: bar", 'invalid Kustomization: json: unknown field "foo"'),
        ("images: [{nam: x}]", 'invalid Kustomization: json: unknown field "nam"'),
        ("namePrefix: [a]", "cannot unmarshal array into Go struct field Kustomization.namePrefix"),
        ("commonLabels: {x: 1}", "put the value into quotes"),
        ("replicas: [{name: web, count: x}]", "cannot unmarshal string into Go struct field"),
        ("labels: [{pairs: x}]", "a map is wanted"),
        ("replacements: [{source: x, targets: y}]", "a map is wanted"),
        ("resources: [b.yaml]", "b.yaml: an object is a map with apiVersion, kind and metadata"),
        ("resources: [c.yaml]", "the lists and maps of"),
        ("resources: [d.yaml]\nimages: [{name: x}]", "something in it contains itself, or goes too deep"),
        ("kind: Foo\nresources: []", "kind should be Kustomization or Component"),
        ("apiVersion: v1\nresources: []", "apiVersion for Kustomization should be kustomize.config.k8s.io/v1beta1"),
        ("resources: [nope.yaml]", "accumulating resources from 'nope.yaml': evalsymlink failure"),
        ("resources: [a.yaml, a.yaml]", "already registered id: ConfigMap.v1.[noGrp]/settings"),
        ("resources: [a.yaml]\nreplicas: [{name: x, count: 1}]", "resource with name x does not match a config"),
        ("configMapGenerator: [{name: a, literals: [x]}]", "invalid literal source x, expected key=value"),
        ("configMapGenerator: [{name: a, literals: [x=1, x=2]}]", "a illegally repeats the key `x`"),
        ("configMapGenerator: [{name: a, behavior: merge}]", "does not exist; cannot merge or replace"),
        ("resources: [a.yaml]\nconfigMapGenerator: [{name: settings}]", "exists; behavior must be merge or replace"),
        ("configMapGenerator: [{name: a, files: [../x]}]", "is not in or below"),
        ("patches: [{patch: '{kind: Pod, metadata: {name: x}}'}]", "no matches for Id Pod.[noVer].[noGrp]/x.[noNs]"),
        ("resources: [a.yaml]\npatches: [{path: p, patch: q}]", "patch and path can't be set at the same time"),
        ("resources: [.]", "cycle detected"),
        ("", "kustomization.yaml is empty"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_refused_in_one_line(tmp_path: Path, kustomization: str, message: str) -> None:
    files = {"a_yaml": CONFIG, "b_yaml": "3", "c_yaml": "[" * 3000,
             "d_yaml": "kind: X\nmetadata: {name: x}\nspec: &a [*a]\n"}  # fmt: skip
    said = refusal(tmp_path, kustomization, **files)
    assert message in said and "\n" not in said


def test_a_directory_without_a_kustomization_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KustomizeError, match=r"unable to find one of 'kustomization\.yaml', 'kustomization\.yml' or"):
        build(tmp_path)
    with pytest.raises(KustomizeError, match="no such file or directory"):
        build(tmp_path / "nope")


# with kubectl


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster("kustomize", nodes=1, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        yield cluster


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "a.yaml").write_text(CONFIG)
    (tmp_path / "base" / "kustomization.yaml").write_text("resources: [a.yaml]\n")
    (tmp_path / "kustomization.yaml").write_text("resources: [base]\nnamePrefix: prod-\n")
    return tmp_path


def test_a_kustomization_can_be_applied_compared_and_deleted(cluster: Cluster, overlay: Path) -> None:
    kubectl = cluster.kubectl
    assert kubectl.run(f"apply -k {overlay}").text == "configmap/prod-settings created\n"
    assert kubectl.run(f"apply -k {overlay}").text == "configmap/prod-settings unchanged\n"
    (overlay / "kustomization.yaml").write_text("resources: [base]\nnamePrefix: prod-\ncommonAnnotations: {x: 'y'}\n")
    compared = kubectl.run(f"diff -k {overlay}")
    assert compared.exit_code == 1 and '+    x: "y"' in compared.text
    assert kubectl.run(f"get -k {overlay} -o name").text == "configmap/prod-settings\n"
    assert kubectl.run(f"delete -k {overlay}").text == 'configmap "prod-settings" deleted\n'


def test_kubectl_kustomize_prints_and_sends_nothing(cluster: Cluster, overlay: Path) -> None:
    output = cluster.kubectl.run(["kustomize", str(overlay)])
    assert output.text.endswith("kind: ConfigMap\nmetadata:\n  name: prod-settings\n")
    assert cluster.client.find("configmaps", "prod-settings", "default") is None


def test_files_and_kustomizations_do_not_mix(cluster: Cluster, overlay: Path) -> None:
    with pytest.raises(KubectlError, match="error: only one of -f or -k can be specified"):
        cluster.kubectl.run(f"apply -k {overlay} -f {overlay}/base/a.yaml")


def test_a_deprecated_field_is_remarked(cluster: Cluster, overlay: Path) -> None:
    (overlay / "kustomization.yaml").write_text("resources: [base]\ncommonLabels: {x: z}\n")
    assert "'commonLabels' is deprecated." in cluster.kubectl.run(f"apply -k {overlay}").warnings[0]
