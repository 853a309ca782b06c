"""The aggregation layer: APIs that another server serves, and the register of all of them.

Source of the rules: `kube-aggregator/pkg` in the kubernetes repository; "Kubernetes API Aggregation Layer" in its
documentation.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.client import HTTPResponse, HTTPSConnection
from typing import Any

import pytest
from test_webhooks import Lab, https_context
from webhook_server import Asked, HttpsTestServer, Object, Reply

from k8snb import Cluster
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import condition
from k8snb.client import User
from k8snb.clock import VirtualClock

GROUP, NAME = "wardle.example.com", "v1alpha1.wardle.example.com"
RBAC = "rbac.authorization.k8s.io"
BASE = f"/apis/{GROUP}/v1alpha1"
FLUNDERS: Object = {
    "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/v1alpha1",
    "resources": [
        {"name": "flunders", "singularName": "flunder", "namespaced": True, "kind": "Flunder", "shortNames": ["fl"],
         "verbs": ["create", "delete", "get", "list", "watch"]},
        {"name": "flunders/status", "singularName": "", "namespaced": True, "kind": "Flunder", "verbs": ["get"]},
    ],
}  # fmt: skip


def flunder(name: str) -> Object:
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "Flunder", "metadata": {"name": name, "namespace": "default"}}


class Wardle:
    """A server of its own API, as sample-apiserver is one."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {"one": flunder("one")}
        self.status = 200
        self.https = HttpsTestServer(self._answer, names=("wardle.default.svc",))

    def _answer(self, asked: Asked) -> Reply:
        path = asked.path.partition("?")[0]
        if self.status != 200:
            return self.status, {"kind": "Status", "status": "Failure", "message": "not well", "code": self.status}
        if path == BASE:
            return 200, FLUNDERS
        if asked.method == "POST":
            self.objects[asked.body["metadata"]["name"]] = asked.body
            return 201, asked.body
        if "watch=" in asked.path:
            return 200, self._watch()
        name = path.rpartition("/")[2]
        if name == "flunders":
            return 200, {"kind": "FlunderList", "apiVersion": f"{GROUP}/v1alpha1", "metadata": {},
                         "items": list(self.objects.values())}  # fmt: skip
        if name in self.objects:
            return 200, self.objects[name]
        return 404, {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404,
                     "message": f'flunders.{GROUP} "{name}" not found'}  # fmt: skip

    def _watch(self) -> Iterator[bytes]:
        yield b"Content-Type: application/json\r\nConnection: close\r\n\r\n"
        yield json.dumps({"type": "ADDED", "object": self.objects["one"]}).encode() + b"\n"
        self.https.released.wait(20)


def api_service(**spec: Any) -> Object:
    service = {"name": "wardle", "namespace": "default", "port": 443}
    return {"metadata": {"name": NAME}, "spec": {"group": GROUP, "version": "v1alpha1", "service": service,
            "groupPriorityMinimum": 1000, "versionPriority": 15, **spec}}  # fmt: skip


def expose(cluster: Cluster, port: int) -> None:
    """A Service without a selector, whose endpoint is this machine."""
    cluster.client.create("services", {"metadata": {"name": "wardle", "namespace": "default"},
                                       "spec": {"ports": [{"port": 443}]}})  # fmt: skip
    slice_ = {"metadata": {"name": "wardle-1", "namespace": "default",
                           "labels": {"kubernetes.io/service-name": "wardle"}},
              "addressType": "IPv4", "ports": [{"name": "", "port": port}],
              "endpoints": [{"addresses": ["127.0.0.1"], "conditions": {"ready": True}}]}  # fmt: skip
    cluster.client.create("endpointslices", slice_)


@pytest.fixture
def wardle() -> Iterator[Wardle]:
    wardle = Wardle()
    yield wardle
    wardle.https.close()


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        cluster.settle()
        yield Lab(cluster)


@pytest.fixture
def served(lab: Lab, wardle: Wardle) -> Lab:
    expose(lab.cluster, wardle.https.port)
    lab.client.create("apiservices", api_service(caBundle=wardle.https.ca))
    lab.cluster.settle()
    return lab


def available(lab: Lab, name: str = NAME) -> tuple[str, str, str]:
    entry = condition(lab.client.get("apiservices", name), "Available") or {}
    return entry.get("status", ""), entry.get("reason", ""), entry.get("message", "")


# the register


def test_every_version_that_is_served_is_registered(lab: Lab) -> None:
    names = {each["metadata"]["name"] for each in lab.client.items("apiservices")}
    assert {"v1.", "v1.apps", "v2.autoscaling", "v1.apiextensions.k8s.io"} <= names
    assert "v1.apiregistration.k8s.io" not in names
    assert available(lab, "v1.apps") == ("True", "Local", "Local APIServices are always available")
    assert lab.client.get("apiservices", "v1.apps")["spec"]["groupPriorityMinimum"] == 17800


def test_custom_kinds_come_and_go_with_their_definition(lab: Lab) -> None:
    document = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": document}}
    lab.client.create("crd", {"metadata": {"name": "crontabs.stable.example.com"}, "spec": {
        "group": "stable.example.com", "scope": "Namespaced", "versions": [version],
        "names": {"plural": "crontabs", "kind": "CronTab"}}})  # fmt: skip
    lab.cluster.settle()
    assert available(lab, "v1.stable.example.com")[0] == "True"
    lab.client.delete("crd", "crontabs.stable.example.com")
    lab.cluster.settle()
    assert lab.client.find("apiservices", "v1.stable.example.com") is None


def test_kubectl_lists_them_with_where_they_are(served: Lab) -> None:
    """Source: the additional columns in kube-aggregator's registry/apiservice/rest."""
    lines = str(served.cluster.kubectl.run("get apiservices")).splitlines()
    assert lines[0].split() == ["NAME", "SERVICE", "AVAILABLE", "AGE"]
    rows = {line.split()[0]: line.split()[1:3] for line in lines[1:] if line}
    assert rows["v1.apps"] == ["Local", "True"]
    assert rows[NAME] == ["default/wardle", "True"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": "v1"}, 'must be `spec.version+"."+spec.group`: "v1.wardle.example.com"'),
        ({"groupPriorityMinimum": 0}, "must be positive and less than 20000"),
        ({"caBundle": "eA==", "insecureSkipTLSVerify": True}, "may not be true if caBundle is present"),
        ({"service": None, "caBundle": "eA=="}, "local APIServices may not have a caBundle"),
    ],
)
def test_a_registration_that_cannot_work_is_refused(lab: Lab, change: Object, words: str) -> None:
    assert words in lab.refusal(lab.client.create, "apiservices", api_service(**change)).message


# whether it can be had


def test_it_is_told_what_is_missing(lab: Lab, wardle: Wardle) -> None:
    """Source: `sync` in pkg/controllers/status/remote/remote_available_controller.go."""
    client = lab.client
    client.create("apiservices", api_service())
    lab.cluster.settle()
    assert available(lab) == ("False", "ServiceNotFound", 'service/wardle in "default" is not present')
    metadata = {"name": "wardle", "namespace": "default"}
    client.create("services", {"metadata": metadata, "spec": {"ports": [{"port": 80}]}})
    lab.cluster.settle()
    assert available(lab) == ("False", "ServicePortError", 'service/wardle in "default" is not listening on port 443')
    client.delete("services", "wardle", "default")
    client.create("services", {"metadata": metadata, "spec": {"ports": [{"port": 443}], "selector": {"app": "w"}}})
    lab.cluster.settle()
    assert available(lab)[1] in ("EndpointsNotFound", "MissingEndpoints")


def test_it_is_available_while_the_other_server_is_well(served: Lab, wardle: Wardle) -> None:
    assert available(served) == ("True", "Passed", "all checks passed")
    wardle.status = 500
    served.cluster.run_for(31)
    assert available(served)[:2] == ("False", "FailedDiscoveryCheck")
    assert "bad status from https://wardle.default.svc:443" in available(served)[2]
    wardle.status = 200
    served.cluster.run_for(31)
    assert available(served)[0] == "True"


# passing on


def test_other_peoples_kinds_are_read_and_written_like_ones_own(served: Lab, wardle: Wardle) -> None:
    client = served.client
    assert [each["metadata"]["name"] for each in client.items("flunders", "default")] == ["one"]
    client.create("flunders", {**flunder("two"), "spec": {"a": 1}})
    assert wardle.objects["two"]["spec"] == {"a": 1}
    with pytest.raises(ApiError, match=r'flunders\.wardle\.example\.com "none" not found'):
        client.get("flunders", "none", "default")
    assert "one" in str(served.cluster.kubectl.run("get fl"))


def test_the_other_server_is_told_who_asks_and_sees_no_credentials(served: Lab, wardle: Wardle) -> None:
    served.client.create("clusterrolebindings", {
        "metadata": {"name": "jane"}, "subjects": [{"kind": "User", "name": "jane", "apiGroup": RBAC}],
        "roleRef": {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": RBAC}})  # fmt: skip
    served.cluster.client_for(User("jane", ("dev",))).items("flunders", "default")
    headers = {name.lower(): value for name, value in wardle.https.asked[-1].headers.items()}
    assert headers["x-remote-user"] == "jane"
    assert "authorization" not in headers


def test_who_may_not_ask_is_refused_here(served: Lab, wardle: Wardle) -> None:
    asked = len(wardle.https.asked)
    with pytest.raises(ApiError, match='User "jane" cannot list resource "flunders" in API group "wardle'):
        served.cluster.client_for(User("jane")).items("flunders", "default")
    assert len(wardle.https.asked) == asked


def test_a_server_that_is_down_is_a_503_and_harms_nobody(served: Lab, wardle: Wardle) -> None:
    wardle.status = 500
    served.cluster.run_for(31)
    error = served.refusal(served.client.items, "flunders", "default")
    assert (error.code, error.message) == (503, "service unavailable")
    assert served.client.items("pods") is not None


def test_a_namespace_goes_although_other_servers_have_objects(served: Lab) -> None:
    served.client.create("namespaces", {"metadata": {"name": "short"}})
    served.cluster.settle()
    served.client.delete("namespaces", "short")
    served.cluster.settle()
    assert served.client.find("namespaces", "short") is None


def test_a_server_that_hangs_stalls_nobody(wardle: Wardle) -> None:
    with Cluster(nodes=0, runtime="simulated", seed=1) as cluster:
        expose(cluster, wardle.https.port)
        cluster.client.create("apiservices", api_service(caBundle=wardle.https.ca))
        lab = Lab(cluster)
        assert cluster.wait(lambda: available(lab)[0] == "True", 20)
        gate = threading.Event()
        answer = wardle._answer
        wardle.https.answer = lambda asked: (gate.wait(20), answer(asked))[1]
        thread = threading.Thread(target=lambda: cluster.client.items("flunders", "default"), daemon=True)
        count = len(wardle.https.asked)
        thread.start()
        assert cluster.wait(lambda: len(wardle.https.asked) > count, 10)
        cluster.client.create("namespaces", {"metadata": {"name": "quick"}})
        assert cluster.wait(lambda: cluster.client.find("serviceaccounts", "default", "quick") is not None, 5)
        assert thread.is_alive()
        gate.set()
        thread.join(10)
        assert not thread.is_alive()


# over HTTPS


class Web:
    """A client of the served cluster."""

    def __init__(self, cluster: Cluster) -> None:
        port, context = https_context(cluster.kubeconfig)
        self._connection = HTTPSConnection("127.0.0.1", port, timeout=20, context=context)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> HTTPResponse:
        data = json.dumps(body) if body is not None else None
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(method, path, data, {"Content-Type": "application/json", **named})
        return self._connection.getresponse()

    def json(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return json.loads(self.ask(method, path, body, **headers).read())

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def web(served: Lab) -> Iterator[Web]:
    web = Web(served.cluster)
    yield web
    web.close()


def test_discovery_tells_of_them(web: Web) -> None:
    groups = {each["name"] for each in web.json("GET", "/apis")["groups"]}
    assert GROUP in groups
    [resource, _] = web.json("GET", BASE)["resources"]
    assert (resource["name"], resource["kind"], resource["shortNames"]) == ("flunders", "Flunder", ["fl"])
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    found = {each["metadata"]["name"] for each in web.json("GET", "/apis", Accept=accept)["items"]}
    assert GROUP in found


def test_a_request_goes_on_as_it_came(web: Web, wardle: Wardle) -> None:
    path = f"{BASE}/namespaces/default/flunders"
    assert web.json("GET", f"{path}?labelSelector=a%3Db&odd=1", X_Remote_User="root")["kind"] == "FlunderList"
    asked = wardle.https.asked[-1]
    assert asked.path == f"{path}?labelSelector=a%3Db&odd=1"
    headers = [(name.lower(), value) for name, value in asked.headers.items()]
    assert [value for name, value in headers if name == "x-remote-user"] == ["kubernetes-admin"]
    made = web.ask("POST", path, flunder("three"))
    assert made.status == 201
    made.read()
    assert "three" in wardle.objects
    assert web.ask("GET", f"{path}/none").status == 404


def test_a_watch_comes_through_piece_by_piece(web: Web, wardle: Wardle) -> None:
    answer = web.ask("GET", f"{BASE}/namespaces/default/flunders?watch=true")
    event = json.loads(answer.readline())
    assert event["type"] == "ADDED"
    wardle.https.released.set()
    answer.close()
