"""kube-apiserver's HTTPS face: forms, streams and refusals, over a real socket."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest

from k8snb.apiserver import ApiServer
from k8snb.apiserver.https import HttpsServer
from k8snb.client import ADMIN, Client, Request, User
from k8snb.clock import VirtualClock
from k8snb.etcd.memory import MemoryStore

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


class OpenGate:
    """Lets everybody in as the administrator: who may do what is tested elsewhere."""

    def identify(self, certificate: Any, headers: Any, path: str) -> User:
        return ADMIN

    def check_path(self, user: User, verb: str, path: str) -> None:
        """Everybody may."""


class Locked:
    """The apiserver under a lock, as the cluster's own entrance has it."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.lock = threading.RLock()

    def handle(self, request: Request) -> Any:
        with self.lock:
            return self.server.handle(request)

    def kinds(self) -> Any:
        return self.server.kinds()


class Lab:
    def __init__(self) -> None:
        self.store = MemoryStore()
        server = ApiServer(self.store, VirtualClock(), dice=random.Random(0), service_cidr="10.96.0.0/16")
        server.bootstrap()
        self.transport = Locked(server)
        self.client = Client(self.transport)
        self.https = HttpsServer(self.transport, OpenGate(), server.clock, None)
        self.https.revision = lambda: self.store.revision
        self.port = self.https.start()
        self.connections: list[HTTPConnection] = []
        self.answers: list[HTTPResponse] = []

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> HTTPResponse:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        self.connections.append(connection)
        data = json.dumps(body) if isinstance(body, dict | list) else body
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, dict | list):
            fields.setdefault("Content-Type", "application/json")
        connection.request(method, path, data, fields)
        answer = connection.getresponse()
        self.answers.append(answer)
        return answer

    def close(self) -> None:
        for part in (*self.answers, *self.connections):
            part.close()
        self.https.close()

    def json(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return json.loads(self.ask(method, path, body, **headers).read())


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.close()


CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_an_object_is_made_read_changed_and_deleted(lab: Lab) -> None:
    made = lab.ask("POST", CONFIG_MAPS, config_map("a", k="v"))
    assert made.status == 201
    assert lab.json("GET", f"{CONFIG_MAPS}/a")["data"] == {"k": "v"}
    patch = lab.json("PATCH", f"{CONFIG_MAPS}/a", {"data": {"k": "w"}}, Content_Type="application/merge-patch+json")
    assert patch["data"] == {"k": "w"}
    assert lab.json("PUT", f"{CONFIG_MAPS}/a", config_map("a", k="x"))["data"] == {"k": "x"}
    assert lab.ask("DELETE", f"{CONFIG_MAPS}/a").status == 200
    gone = lab.ask("GET", f"{CONFIG_MAPS}/a")
    assert gone.status == 404
    assert json.loads(gone.read())["reason"] == "NotFound"


def test_yaml_is_taken_and_given(lab: Lab) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: v\n"
    assert lab.ask("POST", CONFIG_MAPS, text, Content_Type="application/yaml").status == 201
    answer = lab.ask("GET", f"{CONFIG_MAPS}/a", Accept="application/yaml")
    assert "  k: v\n" in answer.read().decode()


def test_a_list_comes_in_pages(lab: Lab) -> None:
    for name in "abc":
        lab.client.create("configmaps", config_map(name), "default")
    page = lab.json("GET", f"{CONFIG_MAPS}?limit=2")
    assert [item["metadata"]["name"] for item in page["items"]] == ["a", "b"]
    rest = lab.json("GET", f"{CONFIG_MAPS}?limit=2&continue={page['metadata']['continue']}")
    assert [item["metadata"]["name"] for item in rest["items"]] == ["c"]


def test_a_table_has_kubectls_columns(lab: Lab) -> None:
    lab.client.create("configmaps", config_map("a", k="v"), "default")
    table = lab.json("GET", CONFIG_MAPS, Accept=TABLE)
    assert table["kind"] == "Table"
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"][0]["cells"][:2] == ["a", 1]
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


def test_metadata_alone_can_be_asked_for(lab: Lab) -> None:
    lab.client.create("configmaps", config_map("a", k="v"), "default")
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    answer = lab.json("GET", CONFIG_MAPS, Accept=accept)
    assert answer["kind"] == "PartialObjectMetadataList"
    assert "data" not in answer["items"][0]


def test_a_form_that_is_not_served_is_not_acceptable(lab: Lab) -> None:
    answer = lab.ask("GET", CONFIG_MAPS, Accept="text/html")
    assert (answer.status, json.loads(answer.read())["reason"]) == (406, "NotAcceptable")


def test_a_watch_streams_what_happens_as_lines(lab: Lab) -> None:
    revision = lab.json("GET", CONFIG_MAPS)["metadata"]["resourceVersion"]
    answer = lab.ask("GET", f"{CONFIG_MAPS}?watch=true&resourceVersion={revision}&timeoutSeconds=5")
    lab.client.create("configmaps", config_map("a", k="v"), "default")
    event = json.loads(answer.readline())
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")
    lab.client.delete("configmaps", "a", "default")
    assert json.loads(answer.readline())["type"] == "DELETED"
    answer.close()


def test_a_watch_of_tables_sends_the_columns_once(lab: Lab) -> None:
    answer = lab.ask("GET", f"{CONFIG_MAPS}?watch=true&timeoutSeconds=5", Accept=TABLE)
    for name in "ab":
        lab.client.create("configmaps", config_map(name), "default")
    first, second = (json.loads(answer.readline())["object"] for _ in range(2))
    assert first["columnDefinitions"]
    assert not second["columnDefinitions"]
    answer.close()


def test_a_watch_can_begin_with_a_list(lab: Lab) -> None:
    lab.client.create("configmaps", config_map("a"), "default")
    query = (
        "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=5"
    )
    answer = lab.ask("GET", f"{CONFIG_MAPS}?{query}")
    first, end = (json.loads(answer.readline()) for _ in range(2))
    assert first["type"] == "ADDED"
    assert end["type"] == "BOOKMARK"
    assert end["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    answer.close()


def test_a_watch_ends_when_its_time_is_over(lab: Lab) -> None:
    assert lab.ask("GET", f"{CONFIG_MAPS}?watch=true&timeoutSeconds=1").read() == b""


def test_a_watch_from_a_forgotten_revision_is_gone(lab: Lab) -> None:
    for name in "abc":
        lab.client.create("configmaps", config_map(name), "default")
    lab.store.compact(lab.store.revision)
    answer = lab.ask("GET", f"{CONFIG_MAPS}?watch=true&resourceVersion=1")
    assert (answer.status, json.loads(answer.read())["reason"]) == (410, "Expired")


def test_warnings_come_as_headers(lab: Lab) -> None:
    wish = {**config_map("a"), "dta": {}}
    answer = lab.ask("POST", f"{CONFIG_MAPS}?fieldValidation=Warn", wish)
    assert answer.status == 201
    assert 'unknown field \\"dta\\"' in answer.headers["Warning"]


def test_a_key_given_twice_is_refused_when_strict(lab: Lab) -> None:
    text = '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"k":"v"},"data":{"k":"w"}}'
    answer = lab.ask("POST", f"{CONFIG_MAPS}?fieldValidation=Strict", text, Content_Type="application/json")
    assert answer.status == 400
    assert 'duplicate field "data"' in json.loads(answer.read())["message"]


def test_delete_options_may_come_in_the_body(lab: Lab) -> None:
    lab.client.create("configmaps", config_map("a"), "default")
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "another"}}
    assert lab.ask("DELETE", f"{CONFIG_MAPS}/a", options).status == 409


def test_discovery_lists_every_kind_plainly_and_aggregated(lab: Lab) -> None:
    resources = lab.json("GET", "/api/v1")["resources"]
    assert {"pods", "pods/log", "services"} <= {entry["name"] for entry in resources}
    assert "apps" in {group["name"] for group in lab.json("GET", "/apis")["groups"]}
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    answer = lab.ask("GET", "/apis", Accept=accept)
    assert answer.headers["Content-Type"] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    names = {item["metadata"]["name"] for item in json.loads(answer.read())["items"]}
    assert "apps" in names
    assert lab.ask("GET", "/apis/apps/v9").status == 404


def test_openapi_is_served_with_a_tag(lab: Lab) -> None:
    index = lab.json("GET", "/openapi/v3")["paths"]
    answer = lab.ask("GET", index["apis/apps/v1"]["serverRelativeURL"])
    document = json.loads(answer.read())
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert "fieldValidation" in {parameter["name"] for parameter in patch["parameters"]}
    again = lab.ask("GET", "/openapi/v3/apis/apps/v1", If_None_Match=answer.headers["ETag"])
    assert again.status == 304


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "code"),
    [
        ("POST", CONFIG_MAPS, "{", {"Content_Type": "application/json"}, 400),
        ("POST", CONFIG_MAPS, "[" * 100_000, {"Content_Type": "application/json"}, 400),
        ("POST", CONFIG_MAPS, "\xff\xfe", {"Content_Type": "application/json"}, 400),
        ("POST", CONFIG_MAPS, "a: b: c", {"Content_Type": "application/yaml"}, 400),
        ("POST", CONFIG_MAPS, "[]", {"Content_Type": "application/json"}, 400),
        ("POST", CONFIG_MAPS, "x", {"Content_Type": "text/plain"}, 415),
        ("POST", CONFIG_MAPS, "k8s\0broken", {"Content_Type": "application/vnd.kubernetes.protobuf"}, 400),
        ("POST", CONFIG_MAPS, '"' + "x" * (3 * 1024 * 1024) + '"', {"Content_Type": "application/json"}, 413),
        ("GET", f"{CONFIG_MAPS}?labelSelector=a+in+(b", None, {}, 400),
        ("GET", f"{CONFIG_MAPS}?fieldSelector=spec.colour=red", None, {}, 400),
        ("GET", f"{CONFIG_MAPS}?limit=many", None, {}, 400),
        ("GET", f"{CONFIG_MAPS}?continue=nonsense", None, {}, 400),
        ("GET", f"{CONFIG_MAPS}?watch=true&resourceVersion=soon", None, {}, 400),
        ("GET", f"{CONFIG_MAPS}/%2e%2e", None, {}, 400),
        ("GET", f"{CONFIG_MAPS}/a%2fb", None, {}, 400),
        ("GET", "/api/v1/namespaces/default/nosuchthings", None, {}, 404),
        ("GET", "/nowhere", None, {}, 404),
        ("TRACE", f"{CONFIG_MAPS}/a", None, {}, 405),
        ("PATCH", f"{CONFIG_MAPS}/a", "{}", {"Content_Type": "text/plain"}, 415),
    ],
)
def test_nonsense_is_refused_with_a_status_and_disturbs_nobody(
    lab: Lab, method: str, path: str, body: str | None, headers: dict[str, str], code: int
) -> None:
    data = body.encode("latin-1") if body is not None else None
    answer = lab.ask(method, path, data, **headers)
    status = json.loads(answer.read())
    assert (answer.status, status["kind"], status["code"]) == (code, "Status", code)
    assert "Traceback" not in status["message"]
    assert lab.ask("GET", CONFIG_MAPS).status == 200


def test_a_client_that_stops_reading_costs_the_others_nothing(lab: Lab) -> None:
    idle = lab.ask("GET", f"{CONFIG_MAPS}?watch=true&timeoutSeconds=30")
    data = {"k": "x" * 100_000}
    lab.client.create("configmaps", config_map("a"), "default")
    for number in range(200):
        lab.client.patch("configmaps", "a", {"data": {**data, "n": str(number)}}, "default")
    assert lab.json("GET", f"{CONFIG_MAPS}/a")["data"]["n"] == "199"
    idle.close()


def test_health_tells_of_each_check(lab: Lab) -> None:
    """`apiserver/pkg/server/healthz`: words and statuses."""
    well = lab.ask("GET", "/livez?verbose").read().decode().splitlines()
    assert well[:2] == ["[+]ping ok", "[+]etcd ok"] and well[-1] == "livez check passed"
    assert lab.ask("GET", "/readyz/etcd").read() == b"ok"
    assert lab.ask("GET", "/readyz/nothing").status == 404
    hook = "poststarthook/scheduling/bootstrap-system-priority-classes"
    lab.client.delete("priorityclasses", "system-node-critical")
    ill = lab.ask("GET", "/readyz")
    assert (ill.status, f"[-]{hook} failed: reason withheld" in ill.read().decode()) == (500, True)
    assert lab.ask("GET", f"/readyz?exclude={hook}").read() == b"ok"
    assert 'no matches for "x"' in lab.ask("GET", "/readyz?exclude=x").read().decode()


def test_health_and_version_answer_everybody(lab: Lab) -> None:
    assert lab.ask("GET", "/healthz").read() == b"ok"
    assert lab.json("GET", "/version")["gitVersion"].startswith("v1.")
