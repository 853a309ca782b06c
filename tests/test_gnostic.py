"""gnostic: OpenAPI v2 in protobuf, as kubectl up to 1.28 reads it."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from kubectls import found_kubectls, numbers

from k8snb.apimachinery import gnostic, schema
from k8snb.apimachinery.kinds import KINDS
from k8snb.apimachinery.protobuf import records
from k8snb.apiserver import openapi

V3 = "#/components/schemas/"


def document(schemas: dict[str, Any], paths: dict[str, Any] | None = None) -> dict[str, Any]:
    info = {"title": "Kubernetes", "version": "v1.33.0"}
    return {"openapi": "3.0.0", "info": info, "paths": paths or {}, "components": {"schemas": schemas}}


def at(body: bytes, *numbers: int) -> list[Any]:
    """All values at a path of field numbers."""
    if not numbers:
        return [body]
    return [found for number, _, value in records(body) if number == numbers[0] for found in at(value, *numbers[1:])]


def named(body: bytes, *numbers: int) -> dict[str, bytes]:
    """The map at a path of field numbers."""
    return {at(entry, 1)[0].decode(): (at(entry, 2) or [b""])[0] for entry in at(body, *numbers)}


def served() -> dict[str, Any]:
    return gnostic.swagger(openapi.group_document(members) for members in openapi.group_paths(KINDS).values())


# From v3 to v2.


def test_references_point_at_definitions_and_need_no_all_of() -> None:
    spec = {"allOf": [{"$ref": f"{V3}PodSpec"}], "description": "What is wanted."}
    found = gnostic.swagger([document({"Pod": {"properties": {"spec": spec}}})])["definitions"]["Pod"]
    assert found["properties"]["spec"] == {"$ref": "#/definitions/PodSpec", "description": "What is wanted."}


def test_a_property_that_is_called_like_a_word_of_schemas_stays_a_property() -> None:
    properties = {"allOf": {"type": "array", "items": {"$ref": f"{V3}Props"}}, "$ref": {"type": "string"}}
    found = gnostic.swagger([document({"Props": {"properties": properties}})])["definitions"]["Props"]["properties"]
    assert found == {"allOf": {"type": "array", "items": {"$ref": "#/definitions/Props"}}, "$ref": {"type": "string"}}


def test_bodies_become_parameters() -> None:
    body = {"content": {"application/json": {"schema": {"$ref": f"{V3}Pod"}}}}
    operation = gnostic.swagger([document({}, {"/pods": {"post": {"requestBody": body}}})])["paths"]["/pods"]["post"]
    assert operation["consumes"] == ["application/json"]
    assert operation["parameters"][0]["schema"] == {"$ref": "#/definitions/Pod"}


def test_documents_of_several_groups_become_one() -> None:
    found = gnostic.swagger([document({"a": {}}, {"/a": {}}), document({"b": {}}, {"/b": {}})])
    assert list(found["definitions"]) == ["a", "b"] and list(found["paths"]) == ["/a", "/b"]


# To bytes.


def test_numbers_are_those_of_gnostics_proto() -> None:
    text = gnostic.encode({"swagger": "2.0", "definitions": {"A": {"type": "string", "x-kubernetes-group": "core"}}})
    definition = b"\xb2\x01\x08\x0a\x06string" + b"\xfa\x01\x1e\x0a\x12x-kubernetes-group" + b'\x12\x08\x12\x06"core"'
    entry = b"\x0a\x01A\x12" + bytes([len(definition)]) + definition
    definitions = b"\x0a" + bytes([len(entry)]) + entry
    assert text == b"\x0a\x032.0" + b"\x4a" + bytes([len(definitions)]) + definitions


def test_every_type_of_the_schema_is_a_definition() -> None:
    loaded = schema.load()
    body = gnostic.encode(gnostic.swagger([document({name: loaded.openapi(name) for name in loaded.type_names()})]))
    definitions = named(body, 9, 1)
    assert set(definitions) == set(loaded.type_names())
    for name, definition in definitions.items():
        assert set(named(definition, 25, 1)) == set(loaded.type(name).row["f"])


def test_the_patch_of_a_kind_says_which_parameters_it_takes() -> None:
    paths = named(gnostic.encode(served()), 8, 2)
    (patch,) = at(paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"], 8)
    gvk = json.loads(at(named(patch, 13)["x-kubernetes-group-version-kind"], 2)[0])
    assert gvk == {"group": "apps", "kind": "Deployment", "version": "v1"}
    assert {b"dryRun", b"fieldValidation"} <= set(at(patch, 8, 1, 2, 3, 4))


@pytest.mark.parametrize(
    ("words", "where"),
    [
        ({"webhooks": {}}, '"webhooks" in Document'),
        ({"definitions": {"A": {"oneOf": []}}}, '"oneOf" in Schema'),
        ({"info": {"license": {}}}, '"license" in Info'),
    ],
)
def test_words_without_a_number_are_refused_by_name(words: dict[str, Any], where: str) -> None:
    with pytest.raises(ValueError, match=f"{where} is not implemented by k8snb"):
        gnostic.encode(words)


# A real kubectl that reads it.

ANSWERS: dict[str, dict[str, Any]] = {
    "/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.0"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"apiVersion": "v1", "kind": "APIGroupList", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [{"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": ["get"]}],
    },
}


class Listener(BaseHTTPRequestHandler):
    """Answers discovery, and /openapi/v2."""

    server: Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/openapi/v2":
            self.answer(200, gnostic.CONTENT_TYPE, gnostic.encode(self.server.document))
        else:
            answer = ANSWERS.get(path, {"apiVersion": "v1", "kind": "Status", "status": "Failure"})
            self.answer(200 if path in ANSWERS else 404, "application/json", json.dumps(answer).encode())

    def answer(self, code: int, content_type: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    document: dict[str, Any]


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Listener) as listening:
        listening.document = served()
        thread = threading.Thread(target=partial(listening.serve_forever, poll_interval=0.01))
        thread.start()
        yield listening
        listening.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def old_kubectl() -> Path:
    """The newest kubectl up to 1.28 in or beside the one on PATH."""
    old = [path for version, path in found_kubectls().items() if numbers(version) <= (1, 28)]
    if not old:
        pytest.skip("optional: no kubectl of version 1.28 or older")
    return old[-1]


@pytest.fixture
def kubectl(old_kubectl: Path, server: Server, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        command = [old_kubectl, f"--server=http://127.0.0.1:{server.server_port}", *words]
        environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        return subprocess.run(command, input=given, capture_output=True, text=True, env=environment, timeout=60)

    return run


@pytest.mark.process
def test_an_old_kubectl_explains_what_is_served(kubectl: Any) -> None:
    said = kubectl("explain", "pod.spec.containers")
    assert said.returncode == 0, said.stderr
    assert "List of containers belonging to the pod" in said.stdout
    assert "terminationMessagePath" in said.stdout and "-required-" in said.stdout


MISSPELT = json.dumps(
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [], "nodeNmae": "b"}}
)


@pytest.mark.process
def test_an_old_kubectl_leaves_the_check_of_fields_to_a_server_that_takes_field_validation(kubectl: Any) -> None:
    said = kubectl("create", "--dry-run=client", "--filename=-", given=MISSPELT)
    assert said.returncode == 0, said.stderr


@pytest.mark.process
def test_an_old_kubectl_finds_a_misspelt_field_where_the_server_takes_none(kubectl: Any, server: Server) -> None:
    server.document = {**server.document, "paths": {}}
    said = kubectl("create", "--dry-run=client", "--filename=-", given=MISSPELT)
    assert said.returncode == 1
    assert 'unknown field "nodeNmae"' in said.stderr
