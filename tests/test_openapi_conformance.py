"""The server does what its own OpenAPI documents say, whatever is sent to it.

Each operation of /openapi/v3 is called over HTTPS with what `schemathesis` makes of its description, half of it
nonsense and half near to what users write. The same calls are made in every run; K8SNB_FUZZ_SECONDS (30) bounds their
time, and more of it makes more calls. Upstream's rules: `api/openapi-spec/README.md` and
`staging/src/k8s.io/kube-openapi/pkg/builder3` of the kubernetes repository; the words of refusals are `metav1.Status`.
"""

from __future__ import annotations

import copy
import itertools
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fuzz_lab import Served, served_cluster
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV2SpecValidator, OpenAPIV30SpecValidator
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SECONDS = float(os.environ.get("K8SNB_FUZZ_SECONDS", "30"))
EXAMPLES = 3  # of one operation in one round
NOT_IMPLEMENTED = 501  # which is said by name
LONGEST = 5.0  # seconds for any answer
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
QUIET = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

NAMES = ("alpha", "beta", "gamma")
# What makes an object likely to be stored, by the names of its fields.
LIKELY: dict[str, Any] = {
    "name": {"enum": [*NAMES, "node-1"]},
    "namespace": {"enum": ["default"]},
    "image": {"enum": ["nginx", "busybox", "no/such:image"]},
    "protocol": {"enum": ["TCP", "UDP"]},
    "key": {"enum": ["app", "tier"]},
    "operator": {"enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
    "restartPolicy": {"enum": ["Always", "Never", "OnFailure"]},
    "replicas": {"type": "integer", "minimum": 0, "maximum": 3},
    "terminationGracePeriodSeconds": {"type": "integer", "minimum": 0, "maximum": 1},
    "schedule": {"enum": ["* * * * *", "@hourly"]},
    "finalizers": {"type": "array", "maxItems": 0},
    "matchLabels": {"enum": [{"app": "web"}]},
    "labels": {"enum": [{"app": "web"}, {}]},
    "annotations": {"enum": [{"note": "a note"}, {}]},
    "containerPort": {"type": "integer", "minimum": 1, "maximum": 65535},
    "port": {"enum": [80, 8080, "http"]},
    "nodePort": {"enum": [30080]},
    "clusterIP": {"enum": ["", "None"]},
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_cluster(tmp_path_factory.mktemp("conformance")) as served:
        yield served


@pytest.fixture(scope="module")
def documents(served: Served) -> dict[str, Any]:
    index = served.session.get(f"{served.url}/openapi/v3").json()["paths"]
    return {path: served.session.get(served.url + row["serverRelativeURL"]).json() for path, row in index.items()}


def test_every_document_is_valid_openapi(served: Served, documents: dict[str, Any]) -> None:
    assert len(documents) > 10
    for path, document in documents.items():
        errors = list(OpenAPIV30SpecValidator(document).iter_errors())
        assert not errors, (path, errors[:3])
    old = served.session.get(f"{served.url}/openapi/v2").json()
    assert not list(OpenAPIV2SpecValidator(old).iter_errors())


def test_every_operation_has_a_name_of_its_own(documents: dict[str, Any]) -> None:
    """Client generators make a method of each operationId: two alike would hide one another."""
    names = [each["operationId"] for document in documents.values() for item in document["paths"].values()
             for method, each in item.items() if method != "parameters"]  # fmt: skip
    assert len(names) == len(set(names))
    assert {"listCoreV1NamespacedPod", "listCoreV1PodForAllNamespaces", "replaceAppsV1NamespacedDeploymentScale",
            "deleteCoreV1CollectionNamespacedPod", "readRbacAuthorizationV1ClusterRole"} <= set(names)  # fmt: skip


def test_every_operation_answers_as_its_document_says(served: Served, documents: dict[str, Any]) -> None:
    """Any request gets a documented status with a body that fits, in time, and no part of the cluster fails."""
    operations = [
        (operation.ok(), friendly)
        for document in documents.values()
        for friendly in (True, False)
        for operation in schemathesis.openapi.from_dict(_document(document, friendly)).get_all_operations()
    ]
    caller = Caller(served, time.monotonic() + SECONDS)
    for round_ in itertools.count():
        for operation, friendly in operations:
            caller.call(operation, round_, friendly=friendly)
            if caller.is_over():
                break
        else:
            continue
        break
    assert not caller.faults, f"{len(caller.faults)} faults:\n" + "\n".join(map(str, caller.faults[:20]))
    served.check()
    assert caller.calls > 10 * SECONDS


class Caller:
    """Calls operations and gathers what is wrong with the answers."""

    def __init__(self, served: Served, end: float) -> None:
        self.calls = 0
        self.faults: list[str] = []
        self._served = served
        self._end = end

    def is_over(self) -> bool:
        return time.monotonic() > self._end or len(self.faults) > 50

    def call(self, operation: Any, round_: int, *, friendly: bool) -> None:
        @seed(round_)
        @QUIET
        @given(case=operation.as_strategy(), chosen=st.data())
        def many(case: Any, chosen: st.DataObject) -> None:
            _aim(case, chosen, friendly=friendly)
            self._one(case)

        many()

    def _one(self, case: Any) -> None:
        began = time.monotonic()
        self.calls += 1
        try:
            answer = case.call(session=self._served.session, base_url=self._served.url, timeout=LONGEST,
                               **self._served.tls)  # fmt: skip
            if answer.status_code != NOT_IMPLEMENTED:
                case.validate_response(answer, checks=CHECKS)
        except (schemathesis.errors.SchemathesisError, BaseExceptionGroup, OSError) as fault:
            words = getattr(fault, "exceptions", [fault])
            self.faults.append(
                f"{case.operation.label}: {' '.join(map(str, words))}\n  {case.as_curl_command()[:1000]}"
            )
        if time.monotonic() - began > LONGEST:
            self.faults.append(f"{case.operation.label}: took too long")


def _aim(case: Any, chosen: st.DataObject, *, friendly: bool) -> None:
    """Turn a random call into one that may meet something, and that lets the cluster live on."""
    case.query.pop("watch", None)
    for name, often in (("namespace", "default"), ("name", chosen.draw(st.sampled_from(NAMES)))):
        if name in case.path_parameters and (friendly or case.method == "DELETE"):
            case.path_parameters[name] = often
    if case.method == "DELETE" and "name" not in case.path_parameters:
        case.query["fieldSelector"] = "metadata.name=alpha"
    if friendly:
        case.query.clear()
        if isinstance(case.body, dict) and case.method in ("POST", "PUT"):
            gvk = case.operation.definition.raw.get("x-kubernetes-group-version-kind", {})
            _name(case.body, case.path_parameters.get("name"), chosen, gvk)


def _name(body: dict[str, Any], name: str | None, chosen: st.DataObject, gvk: dict[str, str]) -> None:
    for field in ("apiVersion", "kind"):
        body.pop(field, None)
    name = name or chosen.draw(st.sampled_from(NAMES))
    metadata = body.get("metadata") if isinstance(body.get("metadata"), dict) else {}
    kept = {field: metadata[field] for field in ("labels", "annotations") if field in metadata}
    definition = gvk.get("kind") == "CustomResourceDefinition"
    body["metadata"] = {**kept, "name": f"{name}s.example.com" if definition else name}


def _document(document: dict[str, Any], friendly: bool) -> dict[str, Any]:
    """A document whose patches are of the kind's shape. What a friendly one sends has few mistakes."""
    changed = copy.deepcopy(document)
    schemas = changed["components"]["schemas"]
    if friendly:
        schemas |= {f"likely.{name}": _likely_type(schema) for name, schema in copy.deepcopy(schemas).items()}
    for item in changed["paths"].values():
        for method, operation in item.items():
            content = operation.get("requestBody", {}).get("content", {}) if method != "parameters" else {}
            for media_type in content:
                if method == "patch" and "json-patch" not in media_type:
                    content[media_type] = operation["responses"]["200"]["content"]["application/json"]
                if friendly:
                    content[media_type] = _likely_references(content[media_type])
    return changed


def _likely_type(schema: dict[str, Any]) -> dict[str, Any]:
    fields = {name: _likely(name, field) for name, field in schema.get("properties", {}).items()}
    likely: dict[str, Any] = _likely_references({**schema, "properties": fields})
    return likely


def _likely_references(node: Any) -> Any:
    if isinstance(node, list):
        return [_likely_references(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        name: each.replace("schemas/", "schemas/likely.")
        if isinstance(each, str) and name == "$ref"
        else _likely_references(each)
        for name, each in node.items()
    }


def _likely(name: str, field: dict[str, Any]) -> dict[str, Any]:
    if field.get("oneOf"):
        return {"enum": ["1", 2, "100m"]} if "format" not in field else {"enum": [80, "50%"]}
    plain = field.get("type") in ("string", "integer", "array", "object") or "format" in field
    likely: dict[str, Any] = LIKELY[name] if plain and name in LIKELY else field
    return likely
