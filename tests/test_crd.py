"""CustomResourceDefinitions: kinds that users bring, served as the built-in ones are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from controllers_lab import Lab as Controllers
from test_https import TABLE
from test_https import Lab as Https

from k8snb.apimachinery import gnostic
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, condition, is_true, name_of
from k8snb.apiserver import ApiServer, openapi
from k8snb.client import Client, User
from k8snb.client.client import APPLY, JSON, MERGE, STRATEGIC
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.controllers.garbagecollector import GarbageCollector
from k8snb.controllers.namespace import NamespaceController
from k8snb.etcd.memory import MemoryStore
from k8snb.kubectl import Kubectl

NAME, GROUP, CRON = "crontabs.stable.example.com", "stable.example.com", "* * * * */5"
SPEC: Object = {
    "type": "object",
    "required": ["cronSpec"],
    "properties": {
        "cronSpec": {"type": "string", "pattern": r"^\S+( \S+){4}$", "description": "When it runs."},
        "image": {"type": "string", "enum": ["small", "large"]},
        "replicas": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
    },
}
STATUS: Object = {
    "type": "object",
    "properties": {"replicas": {"type": "integer"}, "labelSelector": {"type": "string"}},
}
SCALE = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
         "labelSelectorPath": ".status.labelSelector"}  # fmt: skip


def version(name: str = "v1", *, storage: bool = True, spec: Object | None = None, **more: Any) -> Object:
    document = {"type": "object", "properties": {"spec": SPEC if spec is None else spec, "status": STATUS}}
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": document}, **more}


def crd(*versions: Object, scope: str = "Namespaced", name: str = NAME, **names: Any) -> Object:
    known = {"plural": "crontabs", "singular": "crontab", "kind": "CronTab", "shortNames": ["ct"], **names}
    spec = {"group": GROUP, "scope": scope, "names": known, "versions": list(versions) or [version()]}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name},
            "spec": spec}  # fmt: skip


def crontab(name: str = "a", **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"cronSpec": CRON, **spec}}


class Lab:
    def __init__(self) -> None:
        self.store = MemoryStore()
        self.server = self.serve()
        self.server.bootstrap()
        self.client = Client(self.server)

    def serve(self) -> ApiServer:
        """One more apiserver on the store."""
        return ApiServer(self.store, VirtualClock(), dice=random.Random(0), service_cidr="10.96.0.0/16")

    def define(self, *versions: Object, **more: Any) -> Object:
        return self.client.create("crd", crd(*versions, **more))

    def refuses(self, *versions: Object, **more: Any) -> str:
        """Why a definition is refused."""
        with pytest.raises(ApiError) as refusal:
            self.define(*versions, **more)
        assert refusal.value.code == 422
        return refusal.value.message

    def complaint(self, spec: Object, **sent: Any) -> str:
        """What a schema for `.spec` has against a spec."""
        self.define(version(spec=spec))
        with pytest.raises(ApiError) as refusal:
            self.client.create("crontabs", {"metadata": {"name": "a"}, "spec": sent}, "default")
        return refusal.value.message.removeprefix('CronTab.stable.example.com "a" is invalid: ')


@pytest.fixture
def lab() -> Lab:
    return Lab()


def obj(**properties: Object) -> Object:
    return {"type": "object", "properties": properties}


# a kind comes


def test_a_custom_kind_is_served_at_once(lab: Lab) -> None:
    made = lab.define()
    assert is_true(made, "NamesAccepted")
    assert is_true(made, "Established")
    assert made["status"]["storedVersions"] == ["v1"]
    assert made["status"]["acceptedNames"]["listKind"] == "CronTabList"
    assert [kind.kind for kind in lab.client.kinds() if kind.group == GROUP] == ["CronTab"]
    lab.client.create("crontabs", crontab(), "default")
    for word in ("crontabs", "crontab", "ct", NAME, f"crontabs.v1.{GROUP}"):
        assert [name_of(item) for item in lab.client.items(word)] == ["a"]
    assert lab.client.list("ct")["kind"] == "CronTabList"


def test_a_second_apiserver_on_the_store_serves_it_and_one_that_starts_anew(lab: Lab) -> None:
    twin = lab.serve()
    lab.define()
    lab.client.create("crontabs", crontab(), "default")
    for server in (twin, lab.serve()):
        assert [name_of(item) for item in Client(server).items("crontabs")] == ["a"]


def test_an_unknown_kind_is_not_found_and_so_is_one_whose_definition_has_gone(lab: Lab) -> None:
    with pytest.raises(ValueError, match="crontabs"):
        lab.client.items("crontabs")
    lab.define()
    kind = lab.client.kinds()[-1]
    lab.client.delete("crd", NAME)
    with pytest.raises(ApiError, match="could not find the requested resource"):
        lab.client.items(kind)


def test_custom_objects_are_watched_from_the_first_moment(lab: Lab) -> None:
    lab.define()
    watch = lab.client.watch("crontabs")
    lab.client.create("crontabs", crontab(), "default")
    lab.client.patch("crontabs", "a", {"spec": {"replicas": 3}}, "default", content_type=MERGE)
    lab.client.delete("crontabs", "a", "default")
    assert [event.sort for event in watch.events] == ["ADDED", "MODIFIED", "DELETED"]


def test_rbac_lets_in_who_may(lab: Lab) -> None:
    lab.define()
    jane = Client(lab.server, User("jane", ("system:authenticated",)))
    with pytest.raises(ApiError, match=f'cannot list resource "crontabs" in API group "{GROUP}"'):
        jane.items("crontabs", "default")
    rules = [{"apiGroups": [GROUP], "resources": ["crontabs"], "verbs": ["list"]}]
    lab.client.create("roles", {"metadata": {"name": "r"}, "rules": rules}, "default")
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}
    lab.client.create("rolebindings", {"metadata": {"name": "r"}, "roleRef": role, "subjects": [subject]}, "default")
    assert jane.items("crontabs", "default") == []


def test_a_plural_of_a_built_in_kind_keeps_its_own_rules(lab: Lab) -> None:
    lab.define(name=f"services.{GROUP}", plural="services", singular="service", kind="Service", shortNames=[])
    made = lab.client.create(f"services.{GROUP}", crontab(), "default")
    assert made["spec"] == {"cronSpec": CRON, "replicas": 1}
    lab.client.delete(f"services.{GROUP}", "a", "default")
    assert [name_of(each) for each in lab.client.items("services")] == ["kubernetes"]


# definitions that are refused


def test_a_definition_that_cannot_be_served_is_refused_with_its_reason(lab: Lab) -> None:
    cases = {
        'metadata.name: Invalid value: "x": must be spec.names.plural+"."+spec.group': crd(name="x"),
        'spec.scope: Unsupported value: "Galaxy": supported values: "Cluster", "Namespaced"': crd(scope="Galaxy"),
        "must have exactly one version marked as storage version": crd(version(), version("v2")),
        "must contain unique version names": crd(version(), version(storage=False)),
        "kind and listKind may not be the same": crd(listKind="CronTab"),
        "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required":
            crd({"name": "v1", "served": True, "storage": True}),
    }  # fmt: skip
    for words, wrong in cases.items():
        with pytest.raises(ApiError) as refusal:
            lab.client.create("crd", wrong)
        assert words in refusal.value.message
    assert lab.client.items("crd") == []


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({}, "properties[spec].type: Required value: must not be empty for specified object fields"),
        (obj(a={"type": "strin"}), 'properties[a].type: Unsupported value: "strin"'),
        (obj(a={"type": "array"}), "properties[a].items: Required value: must be specified"),
        (obj(a={"type": "string", "pattern": "("}), "must be a valid regular expression"),
        (obj(a={"type": "integer", "default": "x"}), "properties[a].default: Invalid value"),
        ({**obj(a={"type": "string"}), "additionalProperties": {"type": "string"}}, "mutual exclusive"),
        (obj(a={"$ref": "#/x", "type": "string"}), "$ref is not supported"),
        (obj(a={"type": "array", "uniqueItems": True, "items": {"type": "string"}}), "uniqueItems cannot be set to"),
        (obj(a={"type": "string", "anyOf": [{"type": "string"}]}), "anyOf[0].type: Forbidden: must be empty to be"),
        (obj(a={"type": "string", "x-kubernetes-int-or-string": True}), "must be empty if x-kubernetes-int-or-string"),
        (obj(a={"type": "string", "format": "isbn"}), "not implemented by k8snb"),
        ({**obj(), "x-kubernetes-validations": [{"rule": "((("}]}, "x-kubernetes-validations[0].rule: Invalid value"),
        ({**obj(), "x-kubernetes-validations": [{"rule": "self.?a.hasValue()"}]},
         "optional values are not implemented by k8snb"),
    ],
)  # fmt: skip
def test_a_schema_that_is_not_structural_is_refused(lab: Lab, spec: Object, words: str) -> None:
    assert words in lab.refuses(version(spec=spec))


def test_conversion_by_a_webhook_needs_a_webhook(lab: Lab) -> None:
    """Source: `validateCustomResourceConversion` in apiextensions-apiserver's validation.go."""
    definition = crd()
    definition["spec"]["conversion"] = {"strategy": "Webhook"}
    with pytest.raises(ApiError, match="webhookClientConfig: Required value: required when strategy is set to Webhook"):
        lab.client.create("crd", definition)


def test_group_kind_and_scope_stay_as_they_are(lab: Lab) -> None:
    made = lab.define()
    for change in ({"scope": "Cluster"}, {"names": {**made["spec"]["names"], "kind": "Other"}}):
        with pytest.raises(ApiError, match="field is immutable"):
            lab.client.patch("crd", NAME, {"spec": change}, content_type=MERGE)


def test_a_version_that_objects_may_be_kept_in_is_not_taken_away(lab: Lab) -> None:
    lab.define()
    with pytest.raises(ApiError, match=r"must remain in spec\.versions until a storage migration"):
        lab.client.patch("crd", NAME, {"spec": {"versions": [version("v2")]}}, content_type=MERGE)


def test_names_that_are_taken_wait_until_they_are_free(lab: Lab) -> None:
    lab.define()
    other = lab.define(name=f"jobtabs.{GROUP}", plural="jobtabs", singular="jobtab", kind="CronTab", shortNames=["jt"])
    accepted = condition(other, "NamesAccepted") or {}
    assert (accepted["reason"], accepted["message"]) == ("ListKindConflict", '"CronTabList" is already in use')
    assert not is_true(other, "Established")
    assert [kind.plural for kind in lab.client.kinds() if kind.group == GROUP] == ["crontabs"]
    lab.client.delete("crd", NAME)
    assert is_true(lab.client.get("crd", f"jobtabs.{GROUP}"), "Established")
    assert [kind.plural for kind in lab.client.kinds() if kind.group == GROUP] == ["jobtabs"]


# objects


def test_defaults_come_and_unknown_fields_go_with_a_warning(lab: Lab) -> None:
    lab.define()
    made = lab.client.create("crontabs", crontab(replica=3), "default")
    assert made["spec"] == {"cronSpec": CRON, "replicas": 1}
    assert lab.client.take_warnings() == ['unknown field "spec.replica" (did you mean "spec.replicas"?)']
    with pytest.raises(ApiError, match=r'strict decoding error: unknown field "spec\.replica"'):
        lab.client.create("crontabs", crontab("b", replica=3), "default", fieldValidation="Strict")


def test_a_default_that_comes_later_is_there_for_objects_that_were_there_before(lab: Lab) -> None:
    lab.define()
    lab.client.create("crontabs", crontab(), "default")
    spec = {**SPEC, "properties": {**SPEC["properties"], "zone": {"type": "string", "default": "utc"}}}
    lab.client.patch("crd", NAME, {"spec": {"versions": [version(spec=spec)]}}, content_type=MERGE)
    assert lab.client.get("crontabs", "a", "default")["spec"]["zone"] == "utc"


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        ({"type": "integer"}, "1", 'spec.x: Invalid value: "string": spec.x in body must be of type integer: "string"'),
        ({"type": "string"}, None, 'spec.x: Invalid value: "null": spec.x in body must be of type string: "null"'),
        ({"type": "integer", "maximum": 10}, 11, "spec.x in body should be less than or equal to 10"),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, 1, "spec.x in body should be greater than 1"),
        ({"type": "integer", "multipleOf": 5}, 7, "spec.x in body should be a multiple of 5"),
        ({"type": "integer", "format": "int32"}, 2**31, "must be of type int32"),
        ({"type": "string", "enum": ["a", "b"]}, "c", 'spec.x: Unsupported value: "c": supported values: "a", "b"'),
        ({"type": "string", "pattern": "^a+$"}, "b", "spec.x in body should match '^a+$'"),
        ({"type": "string", "maxLength": 2}, "abc", "spec.x: Too long: may not be more than 2 bytes"),
        ({"type": "string", "minLength": 2}, "a", "spec.x in body should be at least 2 chars long"),
        ({"type": "string", "format": "ipv4"}, "1.2.3", 'spec.x in body must be of type ipv4: "1.2.3"'),
        ({"type": "string", "format": "date-time"}, "2024", "must be of type date-time"),
        ({"type": "array", "items": {"type": "string"}, "maxItems": 1}, ["a", "b"],
         "spec.x: Too many: 2: must have at most 1 items"),
        ({"type": "array", "items": {"type": "string"}}, ["a", 1], "spec.x[1] in body must be of type string"),
        ({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"}, ["a", "a"],
         'spec.x[1]: Duplicate value: "a"'),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"k": "v"}, "spec.x.k in body must be of"),
        ({"x-kubernetes-int-or-string": True}, True, "must be of type integer,string"),
        ({"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
         {"kind": "Pod"}, "spec.x.apiVersion: Required value: must not be empty"),
        ({"type": "integer", "oneOf": [{"minimum": 5}, {"minimum": 7}]}, 9, "Found 2 valid alternatives"),
        ({"type": "integer", "not": {"minimum": 5}}, 9, '"spec.x" must not validate the schema (not)'),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_schema_is_refused_in_upstreams_words(
    lab: Lab, schema: Object, value: Any, words: str
) -> None:
    assert words in lab.complaint(obj(x=schema), x=value)


def test_a_missing_field_is_required(lab: Lab) -> None:
    assert lab.complaint(SPEC) == "spec.cronSpec: Required value"


def test_null_is_a_value_where_it_is_allowed(lab: Lab) -> None:
    lab.define(version(spec=obj(x={"type": "string", "nullable": True}, y={"type": "string", "default": "d"})))
    made = lab.client.create("crontabs", {"metadata": {"name": "a"}, "spec": {"x": None, "y": None}}, "default")
    assert made["spec"] == {"x": None, "y": "d"}


def test_unknown_fields_stay_where_the_schema_says_so(lab: Lab) -> None:
    lab.define(version(spec={"type": "object", "x-kubernetes-preserve-unknown-fields": True}))
    made = lab.client.create("crontabs", {"metadata": {"name": "a"}, "spec": {"any": {"thing": [1]}}}, "default")
    assert made["spec"] == {"any": {"thing": [1]}}
    assert lab.client.take_warnings() == []


def test_what_was_wrong_before_may_stay_wrong(lab: Lab) -> None:
    lab.define()
    lab.client.create("crontabs", crontab(replicas=9), "default")
    tighter = {**SPEC, "properties": {**SPEC["properties"], "replicas": {"type": "integer", "maximum": 5}}}
    lab.client.patch("crd", NAME, {"spec": {"versions": [version(spec=tighter)]}}, content_type=MERGE)
    lab.client.patch("crontabs", "a", {"spec": {"image": "small"}}, "default", content_type=MERGE)
    with pytest.raises(ApiError, match="should be less than or equal to 5"):
        lab.client.patch("crontabs", "a", {"spec": {"replicas": 8}}, "default", content_type=MERGE)


def test_rules_in_cel_are_asked(lab: Lab) -> None:
    rules = [
        {"rule": "self.low <= self.high", "message": "low must not be above high"},
        {"rule": "!has(oldSelf.high) || self.high >= oldSelf.high",
         "messageExpression": "'not below ' + string(oldSelf.high)"},
    ]  # fmt: skip
    fields = obj(low={"type": "integer"}, high={"type": "integer"})
    lab.define(version(spec={**fields, "x-kubernetes-validations": rules}))
    with pytest.raises(ApiError, match='spec: Invalid value: "object": low must not be above high'):
        lab.client.create("crontabs", {"metadata": {"name": "a"}, "spec": {"low": 2, "high": 1}}, "default")
    lab.client.create("crontabs", {"metadata": {"name": "a"}, "spec": {"low": 1, "high": 5}}, "default")
    lab.client.patch("crontabs", "a", {"spec": {"high": 6}}, "default", content_type=MERGE)
    with pytest.raises(ApiError, match="not below 6"):
        lab.client.patch("crontabs", "a", {"spec": {"high": 3}}, "default", content_type=MERGE)


def test_a_rule_that_comes_later_is_not_asked_of_what_does_not_change(lab: Lab) -> None:
    lab.define(version(spec=obj(high={"type": "integer"})))
    lab.client.create("crontabs", {"metadata": {"name": "a"}, "spec": {"high": 9}}, "default")
    ruled = {**obj(high={"type": "integer"}), "x-kubernetes-validations": [{"rule": "self.high < 5"}]}
    lab.client.patch("crd", NAME, {"spec": {"versions": [version(spec=ruled)]}}, content_type=MERGE)
    lab.client.patch("crontabs", "a", {"metadata": {"labels": {"a": "b"}}}, "default", content_type=MERGE)
    with pytest.raises(ApiError, match=r"failed rule: self\.high < 5"):
        lab.client.patch("crontabs", "a", {"spec": {"high": 8}}, "default", content_type=MERGE)


def test_a_strategic_merge_patch_needs_a_built_in_kind(lab: Lab) -> None:
    lab.define()
    lab.client.create("crontabs", crontab(), "default")
    with pytest.raises(ApiError, match="the body of the request was in an unknown format") as refusal:
        lab.client.patch("crontabs", "a", {"spec": {"replicas": 2}}, "default", content_type=STRATEGIC)
    assert refusal.value.code == 415
    change = [{"op": "replace", "path": "/spec/replicas", "value": 2}]
    assert lab.client.patch("crontabs", "a", change, "default", content_type=JSON)["spec"]["replicas"] == 2


def test_server_side_apply_knows_who_owns_a_custom_field(lab: Lab) -> None:
    lab.define()
    body = {"apiVersion": f"{GROUP}/v1", "kind": "CronTab", **crontab(replicas=2)}
    lab.client.patch("crontabs", "a", body, "default", content_type=APPLY, fieldManager="one")
    with pytest.raises(ApiError, match=r'conflict with "one": \.spec\.replicas'):
        body = {**body, "spec": {"cronSpec": CRON, "replicas": 3}}
        lab.client.patch("crontabs", "a", body, "default", content_type=APPLY, fieldManager="two")
    with pytest.raises(ApiError, match=r"\.spec\.typo: field not declared in schema"):
        body = {**body, "spec": {"cronSpec": CRON, "typo": 3}}
        lab.client.patch("crontabs", "a", body, "default", content_type=APPLY, fieldManager="two", force=True)
    managers = lab.client.get("crontabs", "a", "default", managedFields=True)["metadata"]["managedFields"]
    assert [entry["manager"] for entry in managers] == ["one"]


# status, scale, generation, selection


def test_status_and_spec_are_written_apart(lab: Lab) -> None:
    lab.define(version(subresources={"status": {}}))
    made = lab.client.create("crontabs", {**crontab(), "status": {"replicas": 7}}, "default")
    assert "status" not in made
    assert made["metadata"]["generation"] == 1
    told = lab.client.update_status("crontabs", {**made, "spec": {"cronSpec": "x"}, "status": {"replicas": 2}})
    assert (told["status"], told["spec"], told["metadata"]["generation"]) == ({"replicas": 2}, made["spec"], 1)
    changed = lab.client.patch("crontabs", "a", {"spec": {"replicas": 4}}, "default", content_type=MERGE)
    assert (changed["status"], changed["metadata"]["generation"]) == ({"replicas": 2}, 2)
    with pytest.raises(ApiError, match=r"status\.replicas in body must be of type integer"):
        lab.client.update_status("crontabs", {**changed, "status": {"replicas": "many"}})


def test_without_the_status_subresource_status_is_a_field_like_others(lab: Lab) -> None:
    lab.define()
    made = lab.client.create("crontabs", {**crontab(), "status": {"replicas": 7}}, "default")
    assert made["status"] == {"replicas": 7}
    with pytest.raises(ApiError, match="could not find the requested resource"):
        lab.client.get("crontabs", "a", "default", subresource="status")


def test_a_custom_object_is_scaled_at_the_paths_that_its_definition_names(lab: Lab) -> None:
    lab.define(version(subresources={"status": {}, "scale": SCALE}))
    made = lab.client.create("crontabs", crontab(replicas=3), "default")
    lab.client.update_status("crontabs", {**made, "status": {"replicas": 2, "labelSelector": "app=x"}})
    scale = lab.client.get("crontabs", "a", "default", subresource="scale")
    assert (scale["spec"], scale["status"]) == ({"replicas": 3}, {"replicas": 2, "selector": "app=x"})
    lab.client.patch("crontabs", "a", {"spec": {"replicas": 5}}, "default", subresource="scale", content_type=MERGE)
    assert lab.client.get("crontabs", "a", "default")["spec"]["replicas"] == 5


def test_only_the_fields_that_a_definition_names_select(lab: Lab) -> None:
    lab.define(version(selectableFields=[{"jsonPath": ".spec.image"}]))
    for name, image in (("a", "small"), ("b", "large")):
        lab.client.create("crontabs", crontab(name, image=image), "default")
    assert [name_of(each) for each in lab.client.items("ct", fieldSelector="spec.image=large")] == ["b"]
    with pytest.raises(ApiError, match=r"field label not supported: spec\.cronSpec"):
        lab.client.items("ct", fieldSelector="spec.cronSpec=x")


# versions


def test_an_object_is_seen_in_every_served_version(lab: Lab) -> None:
    lab.define(version("v1beta1", storage=False, deprecated=True), version("v1"))
    v1, beta = (kind for kind in lab.client.kinds() if kind.group == GROUP)
    assert (v1.version, beta.version) == ("v1", "v1beta1")
    watch = lab.client.watch(beta)
    made = lab.client.create(v1, crontab(), "default")
    assert made["apiVersion"] == f"{GROUP}/v1"
    assert lab.client.get(beta, "a", "default")["apiVersion"] == f"{GROUP}/v1beta1"
    assert lab.client.take_warnings() == [f"{GROUP}/v1beta1 CronTab is deprecated"] * 2
    lab.client.create(beta, crontab("b"), "default")
    assert lab.store.get(v1.key("default", "b")).value["apiVersion"] == f"{GROUP}/v1"  # type: ignore[union-attr]
    assert [event.object["apiVersion"] for event in watch.events] == [f"{GROUP}/v1beta1"] * 2
    assert {item["apiVersion"] for item in lab.client.items(v1)} == {f"{GROUP}/v1"}


def test_versions_are_offered_from_the_most_mature_and_newest_on(lab: Lab) -> None:
    others = (version(name, storage=False) for name in ("v1alpha1", "v1", "v1beta2", "v10", "v1beta1"))
    lab.define(version("v2"), *others)
    found = [kind.version for kind in lab.client.kinds() if kind.group == GROUP]
    assert found == ["v10", "v2", "v1", "v1beta2", "v1beta1", "v1alpha1"]


def test_a_version_that_is_not_served_is_not_there(lab: Lab) -> None:
    lab.define(version("v1"), {**version("v0", storage=False), "served": False})
    assert [kind.version for kind in lab.client.kinds() if kind.group == GROUP] == ["v1"]


# a kind goes


def test_with_a_definition_go_its_objects(lab: Lab) -> None:
    assert lab.define()["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    lab.client.create("crontabs", crontab(), "default")
    lab.client.delete("crd", NAME)
    assert lab.client.items("crd") == []
    assert lab.store.count(f"/registry/{GROUP}/") == 0
    lab.define()
    assert lab.client.items("crontabs") == []


def test_a_definition_waits_for_the_finalizers_of_its_objects(lab: Lab) -> None:
    lab.define()
    held = crontab()
    held["metadata"]["finalizers"] = ["example.com/hold"]
    lab.client.create("crontabs", held, "default")
    lab.client.delete("crd", NAME)
    assert is_true(lab.client.get("crd", NAME), "Terminating")
    with pytest.raises(ApiError, match="create not allowed while custom resource definition is terminating"):
        lab.client.create("crontabs", crontab("b"), "default")
    lab.client.patch("crontabs", "a", {"metadata": {"finalizers": None}}, "default", content_type=MERGE)
    assert lab.client.find("crd", NAME) is None


# controllers


@pytest.fixture
def controllers() -> Controllers:
    return Controllers(GarbageCollector, NamespaceController, namespaces=("team",)).start()


def test_what_a_custom_object_owns_goes_with_it(controllers: Controllers) -> None:
    client = controllers.client
    client.create("crd", crd())
    owner = client.create("crontabs", crontab(), "default")
    reference = {"apiVersion": owner["apiVersion"], "kind": "CronTab", "name": "a", "uid": owner["metadata"]["uid"]}
    client.create("configmaps", {"metadata": {"name": "owned", "ownerReferences": [reference]}}, "default")
    client.create("crontabs", {**crontab("b"), "metadata": {"name": "b", "ownerReferences": [reference]}}, "default")
    controllers.run()
    assert client.find("configmaps", "owned", "default") is not None
    client.delete("crontabs", "a", "default")
    controllers.run()
    assert client.find("configmaps", "owned", "default") is None
    assert client.items("crontabs") == []


def test_what_a_custom_object_owns_goes_with_the_definition(controllers: Controllers) -> None:
    client = controllers.client
    client.create("crd", crd())
    owner = client.create("crontabs", crontab(), "default")
    reference = {"apiVersion": owner["apiVersion"], "kind": "CronTab", "name": "a", "uid": owner["metadata"]["uid"]}
    client.create("configmaps", {"metadata": {"name": "owned", "ownerReferences": [reference]}}, "default")
    controllers.run()
    client.delete("crd", NAME)
    controllers.run()
    assert client.find("configmaps", "owned", "default") is None


def test_a_namespace_takes_its_custom_objects_with_it(controllers: Controllers) -> None:
    client = controllers.client
    client.create("crd", crd(version("v1"), version("v2", storage=False)))
    client.create("crontabs", crontab(), "team")
    client.delete("namespaces", "team")
    controllers.run()
    assert client.find("namespaces", "team") is None
    assert client.items("crontabs") == []


# kubectl and HTTPS

COLUMNS = [
    {"name": "Spec", "type": "string", "jsonPath": ".spec.cronSpec"},
    {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"},
    {"name": "Image", "type": "string", "jsonPath": ".spec.image", "priority": 1},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]


@pytest.fixture
def kubectl() -> Iterator[Kubectl]:
    with Cluster(runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        client = Client(cluster.apiserver)
        client.create("crd", crd(version(additionalPrinterColumns=COLUMNS), categories=["all"]))
        yield cluster.kubectl


def test_kubectl_knows_the_kind_by_all_its_names(kubectl: Kubectl) -> None:
    manifest = f"apiVersion: {GROUP}/v1\nkind: CronTab\nmetadata: {{name: a}}\nspec: {{cronSpec: '{CRON}'}}\n"
    assert kubectl.run("apply -f -", manifest).text == f"crontab.{GROUP}/a created\n"
    changed = manifest.removesuffix("}\n") + ", replicas: 4}\n"
    assert kubectl.run("apply -f -", changed).text == f"crontab.{GROUP}/a configured\n"
    lines = kubectl.run("get ct").text.splitlines()
    assert lines[0].split() == ["NAME", "SPEC", "REPLICAS", "AGE"]
    assert lines[1].split()[:1] + lines[1].split()[-2:-1] == ["a", "4"]
    for word in ("crontabs", "CronTab", NAME, "all"):
        assert f"{CRON}   4 " in kubectl.run(f"get {word}").text
    assert "4                  0s" in kubectl.run("get ct -o wide").text  # no image: kubectl leaves a blank
    assert "When it runs." in kubectl.run("explain crontab.spec").text
    assert NAME in kubectl.run("get crd").text
    assert kubectl.run("delete crontab a").text == f'crontab.{GROUP} "a" deleted\n'


@pytest.fixture
def https() -> Iterator[Https]:
    lab = Https()
    lab.client.create("crd", crd(version(additionalPrinterColumns=COLUMNS)))
    yield lab
    lab.close()


PATH = f"/apis/{GROUP}/v1/namespaces/default/crontabs"


def test_over_https_a_custom_kind_is_discovered_written_and_shown_as_a_table(https: Https) -> None:
    groups = https.json("GET", "/apis")["groups"]
    assert {"groupVersion": f"{GROUP}/v1", "version": "v1"} in [group["preferredVersion"] for group in groups]
    resource = https.json("GET", f"/apis/{GROUP}/v1")["resources"][0]
    assert (resource["name"], resource["singularName"], resource["shortNames"]) == ("crontabs", "crontab", ["ct"])
    body = {"apiVersion": f"{GROUP}/v1", "kind": "CronTab", **crontab(typo=1)}
    made = https.ask("POST", PATH, body)
    assert (made.status, made.headers["Warning"]) == (201, '299 - "unknown field \\"spec.typo\\""')
    table = https.json("GET", PATH, Accept=TABLE)
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Spec", "Replicas", "Image", "Age"]
    assert table["columnDefinitions"][2]["type"] == "integer"
    assert table["rows"][0]["cells"][:4] == ["a", CRON, 1, None]


def test_every_custom_schema_can_be_told_in_openapi_v2(lab: Lab) -> None:
    either = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    lab.define(version(spec=obj(port=either, word={"type": "string", "nullable": True, "not": {"pattern": "x"}})))
    members = openapi.group_paths(lab.server.kinds())[f"apis/{GROUP}/v1"]
    document = gnostic.swagger([openapi.group_document(members)])
    assert gnostic.encode(document)
    spec = document["definitions"]["com.example.stable.v1.CronTab"]["properties"]["spec"]
    assert spec["properties"] == {"port": {"x-kubernetes-int-or-string": True}, "word": {}}


def test_over_https_a_custom_kind_is_described_and_gone_when_its_definition_is(https: Https) -> None:
    where = https.json("GET", "/openapi/v3")["paths"][f"apis/{GROUP}/v1"]["serverRelativeURL"]
    schemas = https.json("GET", where)["components"]["schemas"]
    described = schemas["com.example.stable.v1.CronTab"]
    assert described["properties"]["spec"]["properties"]["cronSpec"]["description"] == "When it runs."
    assert described["x-kubernetes-group-version-kind"] == [{"group": GROUP, "version": "v1", "kind": "CronTab"}]
    https.client.delete("crd", NAME)
    assert https.ask("GET", PATH).status == 404
    assert GROUP not in [group["name"] for group in https.json("GET", "/apis")["groups"]]
