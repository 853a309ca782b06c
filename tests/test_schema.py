"""The schema knows every field: it refuses what is wrong by path, and says what may be meant."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8snb.apimachinery import kinds, schema, schema_build

SCHEMA = schema.load()


def pod(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
            "spec": {"containers": [{"name": "nginx", "image": "nginx"}], **spec}}  # fmt: skip


def container(**fields: Any) -> dict[str, Any]:
    return pod(containers=[{"name": "nginx", **fields}])


def deployment(**spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod()["spec"]}
    selector = {"matchLabels": {"app": "web"}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"selector": selector, "template": template, **spec}}  # fmt: skip


def complaints(obj: dict[str, Any]) -> list[str]:
    errors, unknown = SCHEMA.check(obj)
    return [str(each) for each in (*errors, *unknown)]


def test_every_kind_that_is_served_has_its_schema() -> None:
    without = [kind.kind for kind in kinds.KINDS if SCHEMA.definition(kind.api_version, kind.kind) is None]
    assert [name for name in without if not name.endswith("Metrics")] == []


def test_nothing_is_said_of_a_good_object() -> None:
    assert complaints(pod()) == []
    assert complaints(deployment(replicas=3)) == []


@pytest.mark.parametrize(
    ("obj", "complaint"),
    [
        (deployment(replicas="three"), 'spec.replicas: Invalid value: "three": must be an integer'),
        (deployment(replicas="3"), 'spec.replicas: Invalid value: "3": must be an integer: without quotes'),
        (deployment(replicas=2**31), "spec.replicas: Invalid value: 2147483648: must be an integer between"),
        (deployment(replicas=True), "spec.replicas: Invalid value: true: must be an integer"),
        (deployment(paused="true"), 'spec.paused: Invalid value: "true": must be true or false: without quotes'),
        (deployment(selector=None), "spec.selector: Required value"),
        (pod(containers=None), "spec.containers: Required value"),
        (pod(containers={"name": "a"}), 'spec.containers: Invalid value: "map": must be a list: begin each of its'),
        (pod(containers=[None]), "spec.containers[0]: Required value: the entry is empty"),
        (pod(securityContext=[]), 'spec.securityContext: Invalid value: "list": must be a map of fields, not a list'),
        (pod(nodeSelector={"a": 1}), "spec.nodeSelector.a: Invalid value: 1: must be a string: put it in quotes"),
        (container(image=["a"]), 'spec.containers[0].image: Invalid value: "list": must be a string'),
        (container(env=[{"name": "A", "value": 80}]), "spec.containers[0].env[0].value: Invalid value: 80: must be"),
        (container(args=["a", 1]), "spec.containers[0].args[1]: Invalid value: 1: must be a string"),
        (container(ports=[{"name": "http"}]), "spec.containers[0].ports[0].containerPort: Required value"),
        (container(resources={"limits": {"cpu": "1 core"}}), "spec.containers[0].resources.limits.cpu: Invalid value"),
        (container(livenessProbe={"httpGet": {"port": 1.5}}), "must be an integer or a string"),
        (
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"password": "plain text"}},
            'data.password: Invalid value: "plain text": must be base64 (a Secret takes plain text in stringData)',
        ),
        ({**pod(), "metadata": {"creationTimestamp": "today"}}, "metadata.creationTimestamp: Invalid value"),
        ({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}, "spec.containers: Required value"),
        ({**pod(), "spec": "x"}, 'spec: Invalid value: "x": must be a map: write its fields below it, indented'),
    ],
)
def test_a_wrong_value_is_told_with_its_path_and_what_to_write(obj: dict[str, Any], complaint: str) -> None:
    said = complaints(obj)
    assert len(said) == 1
    assert said[0].startswith(complaint) or complaint in said[0]


@pytest.mark.parametrize(
    ("obj", "path", "suggestion"),
    [
        (deployment(replica=3), "spec.replica", "spec.replicas"),
        (deployment(containers=[]), "spec.containers", "spec.template.spec.containers"),
        (pod(restartpolicy="Never"), "spec.restartpolicy", "spec.restartPolicy"),
        (pod(image="nginx"), "spec.image", "spec.containers[].image"),
        (container(imagee="nginx"), "spec.containers[0].imagee", "spec.containers[0].image"),
        (container(restartCount=1), "spec.containers[0].restartCount", ""),
        ({**pod(), "labels": {}}, "labels", "metadata.labels"),
        ({**pod(), "zzz": 1}, "zzz", ""),
    ],
)
def test_an_unknown_field_is_told_with_the_one_meant(obj: dict[str, Any], path: str, suggestion: str) -> None:
    assert SCHEMA.unknown_fields(obj) == [(path, suggestion)]
    assert str(SCHEMA.unknown_fields(obj)[0]).startswith(f'unknown field "{path}"')


def test_all_mistakes_are_told_at_once() -> None:
    assert len(complaints(deployment(replicas="x", paused=1, replica=1, template={"spec": {}}))) == 4


def test_a_status_may_leave_out_what_a_spec_may_not() -> None:
    assert complaints({**pod(), "status": {"containerStatuses": [{"name": "nginx"}]}}) == []


def test_decoding_drops_nulls_and_unknown_fields_and_writes_quantities_canonically() -> None:
    obj = container(image=None, imagee="x", resources={"limits": {"cpu": 0.5, "memory": "1024Mi"}}, args=["a", None])
    decoded, errors, unknown = SCHEMA.decode(obj)
    assert not errors
    assert [field.path for field in unknown] == ["spec.containers[0].imagee"]
    limits = {"cpu": "500m", "memory": "1Gi"}
    assert decoded["spec"]["containers"] == [{"name": "nginx", "resources": {"limits": limits}, "args": ["a", ""]}]
    assert obj["spec"]["containers"][0]["image"] is None


def test_a_whole_number_with_a_point_is_an_integer() -> None:
    replicas = SCHEMA.prune(deployment(replicas=3.0))["spec"]["replicas"]
    assert replicas == 3
    assert isinstance(replicas, int)


def test_an_object_that_needs_no_change_is_itself() -> None:
    obj = deployment(replicas=3)
    assert SCHEMA.prune(obj) is obj


def test_pruning_shares_what_did_not_change() -> None:
    obj = deployment(replica=3)
    assert SCHEMA.prune(obj)["spec"]["template"] is obj["spec"]["template"]
    assert "replica" not in SCHEMA.prune(obj)["spec"]


fields = st.sampled_from(["spec", "containers", "name", "image", "env", "ports", "limits", "resources", "labels", "x"])
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "a", "1Gi"]) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(fields, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status", "x"]), anything))
def test_no_object_can_break_the_check_and_decoding_ends_after_one_turn(body: dict[str, Any]) -> None:
    decoded, errors, _ = SCHEMA.decode({"apiVersion": "v1", "kind": "Pod", **body})
    again, errors_again, unknown_again = SCHEMA.decode(decoded)
    assert unknown_again == []
    if not errors:
        assert (again, errors_again) == (decoded, [])
        assert again is decoded


def test_custom_resources_pass_unseen() -> None:
    obj = {"apiVersion": "example.com/v1", "kind": "Cat", "spec": {"lives": None}}
    assert SCHEMA.decode(obj) == (obj, [], [])
    assert SCHEMA.definition("example.com/v1", "Cat") is None


# what explain, patches and clients read


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("spec.replicas", "integer"),
        ("spec.template.spec.containers", "[]Container"),
        ("spec.template.spec.containers.resources.limits", "map[string]Quantity"),
        ("spec.template.spec.containers.ports.containerPort", "integer"),
        ("metadata.labels", "map[string]string"),
        ("metadata.creationTimestamp", "string"),
        ("spec.strategy", "DeploymentStrategy"),
        ("spec.strategy.rollingUpdate.maxSurge", "IntOrString"),
    ],
)
def test_a_field_tells_its_type_and_what_it_is_for(path: str, label: str) -> None:
    field = SCHEMA.field("apps/v1", "Deployment", path)
    assert field is not None
    assert field.label == label
    assert field.description


def test_a_field_tells_whether_it_is_required() -> None:
    field = SCHEMA.field("v1", "Pod", "spec.containers")
    assert field is not None
    assert field.required
    assert field.type is not None
    assert not field.type.fields["image"].required
    assert SCHEMA.field("v1", "Pod", "spec.nosuch") is None
    assert SCHEMA.field("v1", "Pod", "spec.hostname.nosuch") is None


def test_merge_keys_come_from_the_schema() -> None:
    found = {}
    for path in ("containers", "tolerations", "volumes", "containers.ports", "containers.env"):
        field = SCHEMA.field("v1", "Pod", f"spec.{path}")
        assert field is not None
        found[path] = (field.merge_key, field.retains_keys, field.list_map_keys)
    assert found == {
        "containers": ("name", False, ("name",)),
        "tolerations": ("", False, ()),
        "volumes": ("name", True, ("name",)),
        "containers.ports": ("containerPort", False, ("containerPort", "protocol")),
        "containers.env": ("name", False, ("name",)),
    }
    finalizers = SCHEMA.field("v1", "Pod", "metadata.finalizers")
    assert finalizers is not None
    assert (finalizers.merges, finalizers.merge_key, finalizers.is_set) == (True, "", True)


def test_the_document_for_clients_says_the_same_as_the_published_one() -> None:
    published = pytest.importorskip("kubernetes_validate")
    assert published
    definitions = schema_build.published()
    for name in ("core.v1.PodSpec", "core.v1.ServiceSpec", "apps.v1.DeploymentSpec", "core.v1.ConfigMap"):
        ours, theirs = SCHEMA.openapi(name), definitions[f"io.k8s.api.{name}"]
        assert ours["properties"].keys() == theirs["properties"].keys()
        assert ours.get("required") == theirs.get("required")
        assert ours["description"] == theirs["description"]
        for field, node in theirs["properties"].items():
            assert extensions(ours["properties"][field]) == extensions(node)


def extensions(node: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key.startswith("x-")}


def test_every_type_that_is_referred_to_is_there() -> None:
    for name in SCHEMA.type_names():
        type_ = SCHEMA.type(name)
        assert type_ is not None
        missing = [field.name for field in type_.fields.values() if "." in str(field.shape) and field.type is None]
        assert missing == [], name


# the build


def test_the_build_needs_nothing_of_the_package_it_builds() -> None:
    tree = ast.parse(Path(schema_build.__file__).read_text(encoding="utf-8"))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not [module for module in modules if module.startswith("k8snb")]


def test_the_same_definitions_give_the_same_files(tmp_path: Path) -> None:
    pytest.importorskip("kubernetes_validate")
    first = [path.read_bytes() for path in schema_build.write(tmp_path)]
    assert first == [path.read_bytes() for path in schema_build.write(tmp_path)]
    assert first[0] == (Path(schema_build.__file__).parent / schema_build.STRUCTURE).read_bytes()


def test_types_in_development_are_left_out() -> None:
    assert not [name for name in SCHEMA.type_names() if "alpha" in name.split(".")[1] or "beta" in name.split(".")[1]]
