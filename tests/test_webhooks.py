"""Admission by webhook: real HTTPS servers are asked, and nobody but the asking client waits for them.

Source of the rules: `apiserver/pkg/admission/plugin/webhook` and `apiserver/pkg/util/webhook` in the kubernetes
repository; "Dynamic Admission Control" in its documentation.
"""

from __future__ import annotations

import base64
import json
import shlex
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubectls import found_kubectls
from webhook_server import PODS, Asked, HttpsTestServer, Object, Reply, configuration, patched, review, webhook

from k8snb import Cluster
from k8snb.apimachinery.errors import ApiError
from k8snb.client.client import MERGE
from k8snb.clock import VirtualClock

VALIDATING, MUTATING = "validatingwebhookconfigurations", "mutatingwebhookconfigurations"
EVERYTHING = {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"], "operations": ["*"]}


def pod(name: str = "web", **metadata: Any) -> Object:
    container = {"name": "web", "image": "nginx"}
    return {"metadata": {"name": name, "namespace": "default", **metadata}, "spec": {"containers": [container]}}


def deployment(name: str = "web", replicas: int = 2) -> Object:
    template = {"metadata": {"labels": {"app": name}}, "spec": pod()["spec"]}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


class Lab:
    """A cluster and the servers of one test."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.client = cluster, cluster.client
        self.servers: list[HttpsTestServer] = []

    def server(self, answer: Callable[[Asked], Reply] = review, **more: Any) -> HttpsTestServer:
        self.servers.append(HttpsTestServer(answer, **more))
        return self.servers[-1]

    def hangs(self) -> HttpsTestServer:
        """A server that does not answer before it is released, or the test is over."""

        def answer(asked: Asked) -> Reply:
            server.released.wait(60)
            return review(asked)

        server = self.server(answer)
        return server

    def refusal(self, act: Callable[..., Any], *arguments: Any, **keywords: Any) -> ApiError:
        with pytest.raises(ApiError) as caught:
            act(*arguments, **keywords)
        return caught.value

    def running(self, count: int) -> bool:
        pods = self.client.items("pods", "default")
        return sum(each["status"].get("phase") == "Running" for each in pods) == count


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Time stands still unless it is let go; webhooks are asked in real time."""
    with Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        lab = Lab(cluster)
        yield lab
        for server in lab.servers:
            server.close()


@pytest.fixture
def live() -> Iterator[Lab]:
    """A cluster whose pump runs on its own thread in real time."""
    with Cluster(nodes=1, runtime="simulated", seed=1) as cluster:
        lab = Lab(cluster)
        yield lab
        for server in lab.servers:
            server.close()


# what is sent


def test_a_webhook_is_told_who_wants_what(lab: Lab) -> None:
    server = lab.server()
    lab.client.create(VALIDATING, configuration(webhook(server)))
    lab.client.create("pods", pod(), fieldManager="me")
    [asked] = server.asked
    assert (asked.method, asked.path) == ("POST", "/?timeout=10s")
    assert (asked.body["apiVersion"], asked.body["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    request = asked.request
    assert request["kind"] == request["requestKind"] == {"group": "", "version": "v1", "kind": "Pod"}
    assert request["resource"] == {"group": "", "version": "v1", "resource": "pods"}
    assert (request["name"], request["namespace"], request["operation"]) == ("web", "default", "CREATE")
    assert request["userInfo"]["username"] == "kubernetes-admin"
    assert "system:masters" in request["userInfo"]["groups"]
    assert request["object"]["spec"]["containers"][0]["name"] == "web"
    assert request["oldObject"] is None
    assert request["dryRun"] is False
    assert request["options"]["kind"] == "CreateOptions"


def test_a_deletion_tells_only_what_there_was(lab: Lab) -> None:
    server = lab.server()
    lab.client.create("configmaps", {"metadata": {"name": "old", "namespace": "default"}, "data": {"a": "b"}})
    rule = {**PODS, "resources": ["configmaps"], "operations": ["DELETE"]}
    lab.client.create(VALIDATING, configuration(webhook(server, rule)))
    lab.client.delete("configmaps", "old", "default")
    [asked] = server.asked
    assert asked.request["object"] is None
    assert asked.request["oldObject"]["data"] == {"a": "b"}


@pytest.mark.parametrize(
    ("rule", "more", "asked"),
    [
        ({**PODS}, {}, True),
        ({**PODS, "operations": ["UPDATE"]}, {}, False),
        ({**PODS, "apiGroups": ["apps"]}, {}, False),
        ({**PODS, "resources": ["*"]}, {}, True),
        ({**PODS, "resources": ["pods/status"]}, {}, False),
        ({**PODS, "resources": ["*/*"]}, {}, True),
        ({**PODS, "scope": "Cluster"}, {}, False),
        ({**PODS, "scope": "Namespaced"}, {}, True),
        ({**PODS}, {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}}, True),
        ({**PODS}, {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}, False),
        ({**PODS}, {"objectSelector": {"matchLabels": {"app": "web"}}}, True),
        ({**PODS}, {"objectSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}}, False),
        ({**PODS}, {"matchConditions": [{"name": "web", "expression": "object.metadata.name == 'web'"}]}, True),
        ({**PODS}, {"matchConditions": [{"name": "x", "expression": "request.userInfo.username == 'jane'"}]}, False),
    ],
)
def test_a_webhook_is_asked_about_what_it_says(lab: Lab, rule: Object, more: Object, asked: bool) -> None:
    server = lab.server()
    lab.client.create(VALIDATING, configuration(webhook(server, rule, **more)))
    lab.client.create("pods", pod(labels={"app": "web"}))
    assert bool(server.asked) is asked


def test_nobody_is_asked_about_who_is_asked(lab: Lab) -> None:
    """Or nobody could ever mend a bad webhook."""
    server = lab.server(lambda asked: review(asked, allowed=False))
    lab.client.create(VALIDATING, configuration(webhook(server, EVERYTHING)))
    lab.client.delete(VALIDATING, "checks")
    assert not server.asked


# refusals


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        ({"message": "not today"}, 400, 'admission webhook "check.example.com" denied the request: not today'),
        ({"reason": "Because"}, 400, 'admission webhook "check.example.com" denied the request: Because'),
        ({}, 400, 'admission webhook "check.example.com" denied the request without explanation'),
        ({"code": 403, "message": "no"}, 403, 'admission webhook "check.example.com" denied the request: no'),
        ({"code": 200, "message": "no"}, 400, 'admission webhook "check.example.com" denied the request: no'),
    ],
)
def test_a_refusal_has_the_words_of_the_webhook(lab: Lab, status: Object, code: int, message: str) -> None:
    """Source: `ToStatusErr` in plugin/webhook/errors/statuserror.go."""
    server = lab.server(lambda asked: review(asked, allowed=False, status=status, warnings=["you were told"]))
    lab.client.create(VALIDATING, configuration(webhook(server)))
    error = lab.refusal(lab.client.create, "pods", pod())
    assert (error.code, error.message) == (code, message)
    assert lab.client.take_warnings() == ["you were told"]
    assert lab.client.find("pods", "web", "default") is None


def test_the_first_of_several_refusals_counts_and_all_are_asked_at_once(lab: Lab) -> None:
    together = threading.Barrier(2, timeout=10)

    def answer(asked: Asked) -> Reply:
        together.wait()
        return review(asked, allowed=False, status={"message": asked.path.split("?")[0]})

    server = lab.server(answer)
    first = {**webhook(server, name="a.example.com"), "clientConfig": server.config("/first")}
    second = {**webhook(server, name="b.example.com"), "clientConfig": server.config("/second")}
    lab.client.create(VALIDATING, configuration(first, second))
    assert lab.refusal(lab.client.create, "pods", pod()).message.endswith("denied the request: /first")


def test_a_webhook_that_is_not_there_refuses_or_is_passed_over(lab: Lab) -> None:
    server = lab.server()
    gone = webhook(server)
    server.close()
    lab.servers.clear()
    lab.client.create(VALIDATING, configuration(gone))
    error = lab.refusal(lab.client.create, "pods", pod())
    url = f"https://127.0.0.1:{server.port}/?timeout=10s"
    why = f"dial tcp 127.0.0.1:{server.port}: connect: connection refused"
    assert error.code == 500
    assert error.message == (f'Internal error occurred: failed calling webhook "check.example.com": failed to call '
                             f'webhook: Post "{url}": {why}')  # fmt: skip
    lab.client.patch(VALIDATING, "checks", [{"op": "add", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}],
                     content_type="application/json-patch+json")  # fmt: skip
    lab.client.create("pods", pod())
    [noted] = list(lab.cluster.apiserver.audit.entries)
    assert "failed-open.validating.webhook.admission.k8s.io/check.example.com" in noted.annotations


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda asked: (500, b"oops"), "an error on the server"),
        (lambda asked: (404, b""), "the server could not find the requested resource"),
        (lambda asked: (200, b"oops"), "couldn't get version/kind; json parse error"),
        (lambda asked: (200, {"kind": "Pod"}), "expected webhook response of admission.k8s.io/v1, Kind="),
        (lambda asked: review(asked, uid="other"), "expected response.uid="),
        (lambda asked: (200, {**review(asked)[1], "response": None}), "webhook response was absent"),
        (lambda asked: patched(asked, {"op": "remove", "path": "/spec"}), "validating webhook may not return"),
    ],
)
def test_an_answer_that_is_none_lets_nothing_through(lab: Lab, answer: Callable[[Asked], Reply], why: str) -> None:
    server = lab.server(answer)
    lab.client.create(VALIDATING, configuration(webhook(server)))
    error = lab.refusal(lab.client.create, "pods", pod())
    assert error.message.startswith('Internal error occurred: failed calling webhook "check.example.com": ')
    assert why in error.message


def test_a_webhook_is_believed_by_its_own_authority_only(lab: Lab) -> None:
    server, other = lab.server(), lab.server()
    entry = webhook(server)
    entry["clientConfig"]["caBundle"] = other.ca
    lab.client.create(VALIDATING, configuration(entry))
    words = "x509: certificate signed by unknown authority"
    assert words in lab.refusal(lab.client.create, "pods", pod()).message
    assert not server.asked


def test_a_dry_run_asks_only_webhooks_without_side_effects(lab: Lab) -> None:
    server = lab.server()
    lab.client.create(VALIDATING, configuration(webhook(server)))
    lab.client.create("pods", pod(), dryRun=True)
    assert server.asked[0].request["dryRun"] is True
    assert lab.client.find("pods", "web", "default") is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clientConfig": {"url": "http://127.0.0.1/"}}, "'https' is the only allowed URL scheme"),
        ({"clientConfig": {}}, "clientConfig: Required value: exactly one of url or service is required"),
        ({"sideEffects": "Some"}, 'sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"'),
        ({"timeoutSeconds": 31}, "the timeout value must be between 1 and 30 seconds"),
        ({"admissionReviewVersions": ["v2"]}, "must include at least one of v1, v1beta1"),
        ({"name": "short"}, "should be a domain with at least three segments separated by dots"),
        ({"rules": [{**PODS, "operations": ["READ"]}]}, 'operations[0]: Unsupported value: "READ"'),
        ({"rules": [{**PODS, "resources": ["*", "pods"]}]}, "if '*' is present, must not specify other resources"),
        ({"matchConditions": [{"name": "a", "expression": "nobody.knows"}]}, "undeclared reference to 'nobody'"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(lab: Lab, change: Object, words: str) -> None:
    """Source: pkg/apis/admissionregistration/validation/validation.go."""
    server = lab.server()
    error = lab.refusal(lab.client.create, VALIDATING, configuration({**webhook(server), **change}))
    assert error.reason == "Invalid"
    assert words in error.message


# changes


def adds(name: str, value: str) -> Callable[[Asked], Reply]:
    def answer(asked: Asked) -> Reply:
        labels = asked.request["object"]["metadata"].get("labels") or {}
        step = {"op": "add", "path": "/metadata/labels", "value": {**labels, name: value}}
        return patched(asked, step, warnings=[f"{name} was added"])

    return answer


def test_a_mutating_webhook_changes_what_is_stored(lab: Lab) -> None:
    server = lab.server(adds("team", "blue"))
    lab.client.create(MUTATING, configuration(webhook(server)))
    made = lab.client.create("pods", pod())
    assert made["metadata"]["labels"] == {"team": "blue"}
    assert lab.client.take_warnings() == ["team was added"]
    assert lab.client.get("pods", "web", "default")["metadata"]["labels"] == {"team": "blue"}


def test_a_webhook_sees_what_those_before_it_have_made(lab: Lab) -> None:
    first, second = lab.server(adds("a", "1")), lab.server(adds("b", "2"))
    lab.client.create(MUTATING, configuration(webhook(first), name="a"))
    lab.client.create(MUTATING, configuration(webhook(second), name="b"))
    assert lab.client.create("pods", pod())["metadata"]["labels"] == {"a": "1", "b": "2"}
    assert second.asked[0].request["object"]["metadata"]["labels"] == {"a": "1"}


@pytest.mark.parametrize(("policy", "times"), [("Never", 1), ("IfNeeded", 2)])
def test_a_webhook_that_wants_to_sees_later_changes_too(lab: Lab, policy: str, times: int) -> None:
    first, second = lab.server(), lab.server(adds("b", "2"))
    lab.client.create(MUTATING, configuration(webhook(first, reinvocationPolicy=policy), name="a"))
    lab.client.create(MUTATING, configuration(webhook(second), name="b"))
    lab.client.create("pods", pod())
    assert len(first.asked) == times


def test_what_a_webhook_leaves_has_to_be_a_valid_object(lab: Lab) -> None:
    server = lab.server(lambda asked: patched(asked, {"op": "remove", "path": "/spec/containers"}))
    lab.client.create(MUTATING, configuration(webhook(server)))
    assert "spec.containers" in lab.refusal(lab.client.create, "pods", pod()).message
    assert lab.client.find("pods", "web", "default") is None


def test_the_built_in_plug_ins_see_what_webhooks_have_added(lab: Lab) -> None:
    step = {"op": "add", "path": "/spec/containers/-", "value": {"name": "side", "image": "busybox"}}
    lab.client.create(MUTATING, configuration(webhook(lab.server(lambda asked: patched(asked, step)))))
    containers = lab.client.create("pods", pod())["spec"]["containers"]
    assert [each["name"] for each in containers] == ["web", "side"]
    assert containers[1]["terminationMessagePath"] == "/dev/termination-log"


def test_validating_webhooks_see_the_outcome(lab: Lab) -> None:
    seen = lab.server()
    lab.client.create(MUTATING, configuration(webhook(lab.server(adds("a", "1")))))
    lab.client.create(VALIDATING, configuration(webhook(seen)))
    lab.client.create("pods", pod())
    assert seen.asked[0].request["object"]["metadata"]["labels"] == {"a": "1"}


def test_a_scale_is_a_scale(lab: Lab) -> None:
    rule = {**PODS, "apiGroups": ["apps"], "resources": ["deployments/scale"], "operations": ["UPDATE"]}
    server = lab.server(lambda asked: patched(asked, {"op": "replace", "path": "/spec/replicas", "value": 3}))
    lab.client.create("deployments", deployment())
    lab.client.create(MUTATING, configuration(webhook(server, rule)))
    scale = lab.client.patch("deployments", "web", {"spec": {"replicas": 9}}, "default", subresource="scale",
                             content_type=MERGE)  # fmt: skip
    assert server.asked[0].request["kind"]["kind"] == "Scale"
    assert server.asked[0].request["object"]["spec"] == {"replicas": 9}
    assert scale["spec"]["replicas"] == 3


def test_who_connects_to_a_pod_may_be_refused(lab: Lab) -> None:
    rule = {**PODS, "resources": ["pods/exec"], "operations": ["CONNECT"]}
    server = lab.server(lambda asked: review(asked, allowed=False, status={"message": "hands off"}))
    lab.client.create("pods", pod())
    lab.cluster.run_for(10)
    lab.client.create(VALIDATING, configuration(webhook(server, rule)))
    error = lab.refusal(lab.client.exec, "web", "default", ["date"])
    assert error.message.endswith("denied the request: hands off")
    assert server.asked[0].request["object"]["command"] == ["date"]
    assert server.asked[0].request["operation"] == "CONNECT"


def test_an_answer_counts_for_what_was_asked(lab: Lab) -> None:
    """While a webhook thinks, somebody else changes the object: it is asked about what there is then."""
    made = lab.client.create("configmaps", {"metadata": {"name": "a", "namespace": "default"}, "data": {"n": "1"}})
    others = lab.cluster.client_for(lab.client.user)

    def answer(asked: Asked) -> Reply:
        if asked.request["oldObject"]["data"]["n"] == "1" and asked.request["object"]["data"]["n"] == "1":
            others.patch("configmaps", "a", {"data": {"n": "2"}}, "default", content_type=MERGE)
        return review(asked)

    rule = {**PODS, "resources": ["configmaps"], "operations": ["UPDATE"]}
    server = lab.server(answer)
    lab.client.create(VALIDATING, configuration(webhook(server, rule)))
    lab.client.patch("configmaps", "a", {"data": {"m": "0"}}, "default", content_type=MERGE)
    assert made["data"] == {"n": "1"}
    assert lab.client.get("configmaps", "a", "default")["data"] == {"n": "2", "m": "0"}


# the cluster's own parts


def test_controllers_wait_for_webhooks_without_stopping_the_cluster(live: Lab) -> None:
    server = live.server(adds("team", "blue"))
    live.client.create(MUTATING, configuration(webhook(server)))
    live.client.create("deployments", deployment(replicas=4))
    assert live.cluster.wait(lambda: live.running(4), 20)
    pods = live.client.items("pods", "default")
    assert {each["metadata"]["labels"]["team"] for each in pods} == {"blue"}
    assert len(pods) == len(server.asked) == 4
    events = {event["reason"] for event in live.client.items("events", "default")}
    assert "FailedCreate" not in events
    assert live.cluster.pump.failure is None


def test_a_webhook_about_everything_lets_the_cluster_work(live: Lab) -> None:
    server = live.server()
    live.client.create(VALIDATING, configuration(webhook(server, EVERYTHING)))
    live.client.create("deployments", deployment(replicas=2))
    assert live.cluster.wait(lambda: live.running(2), 20)
    live.client.delete("deployments", "web", "default")
    assert live.cluster.wait(lambda: live.running(0), 20)
    doors = {(asked.request["resource"]["resource"], asked.request.get("subResource", "")) for asked in server.asked}
    assert {("pods", ""), ("pods", "binding"), ("pods", "status"), ("replicasets", ""), ("events", "")} <= doors
    assert live.cluster.pump.failure is None


def test_on_a_virtual_clock_webhooks_take_no_time(lab: Lab) -> None:
    lab.client.create(MUTATING, configuration(webhook(lab.server(adds("team", "blue")))))
    lab.client.create("deployments", deployment(replicas=3))
    assert lab.cluster.settle()
    assert lab.running(3)


def test_a_refused_pod_is_told_on_its_replica_set(live: Lab) -> None:
    server = live.server(lambda asked: review(asked, allowed=False, status={"message": "no pods"}))
    live.client.create(VALIDATING, configuration(webhook(server)))
    live.client.create("deployments", deployment())

    def told() -> bool:
        return any(event["reason"] == "FailedCreate" and "no pods" in event["message"]
                   for event in live.client.items("events", "default"))  # fmt: skip

    assert live.cluster.wait(told, 20)


def test_a_collection_goes_although_a_webhook_is_asked_about_each(live: Lab) -> None:
    for number in range(5):
        live.client.create("configmaps", {"metadata": {"name": f"c{number}", "namespace": "default"}})
    server = live.server()
    rule = {**PODS, "resources": ["configmaps"], "operations": ["DELETE"]}
    live.client.create(VALIDATING, configuration(webhook(server, rule)))
    live.client.delete_collection("configmaps", "default", fieldSelector="metadata.name!=kube-root-ca.crt")
    left = [each["metadata"]["name"] for each in live.client.items("configmaps", "default")]
    assert left in ([], ["kube-root-ca.crt"])
    assert sorted({asked.request["name"] for asked in server.asked}) == [f"c{number}" for number in range(5)]


# written in a cell


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (True, ""),
        (None, ""),
        (False, "denied the request without explanation"),
        ("not on Fridays", "denied the request: not on Fridays"),
        ({"allowed": False, "status": {"code": 418, "message": "tea"}}, "denied the request: tea"),
    ],
)
def test_a_function_in_a_cell_is_a_webhook(lab: Lab, said: Any, outcome: str) -> None:
    asked: list[Object] = []

    def check(request: Object) -> Any:
        asked.append(request)
        return said

    entry = {"name": "cell.example.com", "clientConfig": lab.cluster.webhook(check), "rules": [PODS],
             "sideEffects": "None", "admissionReviewVersions": ["v1"]}  # fmt: skip
    lab.client.create(VALIDATING, configuration(entry))
    if outcome:
        assert lab.refusal(lab.client.create, "pods", pod()).message.endswith(outcome)
    else:
        lab.client.create("pods", pod())
    assert asked[0]["object"]["metadata"]["name"] == "web"


def test_a_function_in_a_cell_may_change_objects_and_ask_the_cluster(live: Lab) -> None:
    def label(request: Object) -> Any:
        team = live.client.get("namespaces", request["namespace"])["metadata"]["name"]
        return [{"op": "add", "path": "/metadata/labels", "value": {"team": team}}]

    entry = {"name": "cell.example.com", "clientConfig": live.cluster.webhook(label), "rules": [PODS],
             "sideEffects": "None", "admissionReviewVersions": ["v1"]}  # fmt: skip
    live.client.create(MUTATING, configuration(entry))
    assert live.client.create("pods", pod())["metadata"]["labels"] == {"team": "default"}


# hanging


def test_a_webhook_that_hangs_stalls_nobody_else(live: Lab) -> None:
    """Neither another client in the kernel, nor one over HTTPS, nor the pump."""
    server = live.hangs()
    live.client.create(VALIDATING, configuration(webhook(server, timeoutSeconds=30)))
    config = live.cluster.kubeconfig
    threads = [threading.Thread(target=_create_over_https, args=(config, f"w{n}"), daemon=True) for n in range(12)]
    for thread in threads:
        thread.start()
    live.client.create("deployments", deployment(replicas=1))  # its pods hang too, in the pump's own way
    assert live.cluster.wait(lambda: len(server.asked) == 13, 20)

    began = time.monotonic()
    live.client.create("configmaps", {"metadata": {"name": "quick", "namespace": "default"}})
    assert live.client.get("configmaps", "quick", "default")
    status, _ = _https(live.cluster, "GET", "/api/v1/namespaces/default/configmaps/quick")
    assert status == 200
    live.client.create("namespaces", {"metadata": {"name": "other"}})
    assert live.cluster.wait(lambda: live.client.find("serviceaccounts", "default", "other") is not None, 5)
    assert time.monotonic() - began < 5

    server.released.set()
    assert live.cluster.wait(lambda: len(live.client.items("pods", "default")) == 13, 20)
    for thread in threads:
        thread.join(10)


def test_a_webhook_gets_as_long_as_its_configuration_says(lab: Lab) -> None:
    server = lab.hangs()
    lab.client.create(VALIDATING, configuration(webhook(server, timeoutSeconds=1)))
    began = time.monotonic()
    error = lab.refusal(lab.client.create, "pods", pod())
    assert error.message.endswith("context deadline exceeded")
    assert 0.9 < time.monotonic() - began < 5


def test_a_webhook_that_drips_has_no_longer(lab: Lab) -> None:
    def drips() -> Iterator[bytes]:
        for _ in range(40):
            yield b"X"
            time.sleep(0.1)

    server = lab.server(lambda asked: (200, drips()))
    lab.client.create(VALIDATING, configuration(webhook(server, timeoutSeconds=1, failurePolicy="Ignore")))
    began = time.monotonic()
    lab.client.create("pods", pod())
    assert 0.9 < time.monotonic() - began < 3


# a webhook where it lives in real clusters: in a pod, behind a Service

PROGRAM = """
import base64, http.server, json, os, ssl, tempfile

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["request"]
        allowed = "latest" not in asked["object"]["spec"]["containers"][0]["image"]
        answer = {"uid": asked["uid"], "allowed": allowed, "status": {"message": "name a version"}}
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}
        data = json.dumps(review).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
    file.write(os.environ["PEM"])
    file.flush()
    context.load_cert_chain(file.name)
server = http.server.HTTPServer((os.environ["POD_IP"], 8443), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


def webhook_pod(pem: str) -> Object:
    environment = [{"name": "PEM", "value": pem},
                   {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]  # fmt: skip
    probe = {"tcpSocket": {"port": 8443}, "periodSeconds": 1}
    container = {"name": "hook", "image": "python:3.12", "command": ["python", "-c", PROGRAM], "env": environment,
                 "readinessProbe": probe}  # fmt: skip
    return {"metadata": {"name": "hook", "namespace": "default", "labels": {"app": "hook"}},
            "spec": {"containers": [container]}}  # fmt: skip


@pytest.fixture
def placed(tmp_path: Path) -> Iterator[Bench]:
    """A cluster of real processes with a webhook in a pod, and a real kubectl."""
    with Cluster(nodes=1, runtime="process") as cluster:
        bench = Bench(cluster, tmp_path / "config")
        certificate, key = cluster.identity.issue_serving("hook.default.svc")
        cluster.client.create("services", {"metadata": {"name": "hook", "namespace": "default"}, "spec": {
            "selector": {"app": "hook"}, "ports": [{"port": 443, "targetPort": 8443}]}})  # fmt: skip
        cluster.client.create("pods", webhook_pod(certificate + key))
        yield bench


class Bench:
    def __init__(self, cluster: Cluster, config: Path) -> None:
        self.cluster, self.client, self._config = cluster, cluster.client, config
        config.write_text(cluster.kubeconfig)
        self._kubectl = list(found_kubectls().values())[-1] if found_kubectls() else None

    def kubectl(self, words: str, given: str = "") -> tuple[str, int]:
        """Both outputs, and the exit code."""
        if self._kubectl is None:
            pytest.skip("optional: no kubectl on PATH")
        command = [self._kubectl, "--kubeconfig", self._config, *shlex.split(words)]
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60)
        return done.stdout + done.stderr, done.returncode

    def has_endpoint(self) -> bool:
        endpoints = self.client.find("endpoints", "hook", "default")
        return bool(endpoints and any(each.get("addresses") for each in endpoints.get("subsets") or ()))


@pytest.mark.process
def test_a_webhook_in_a_pod_is_reached_through_its_service(placed: Bench) -> None:
    ca = base64.b64encode(placed.cluster.identity.root_ca.encode()).decode()
    service = {"name": "hook", "namespace": "default", "path": "/validate"}
    not_itself = {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["hook"]}]}
    entry = {"name": "tags.example.com", "clientConfig": {"service": service, "caBundle": ca}, "rules": [PODS],
             "sideEffects": "None", "admissionReviewVersions": ["v1"], "objectSelector": not_itself}  # fmt: skip
    given = json.dumps({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
                        **configuration(entry)})  # fmt: skip
    assert placed.cluster.wait(placed.has_endpoint, 30)
    out, code = placed.kubectl("apply -f -", given)
    assert (out.strip(), code) == ("validatingwebhookconfiguration.admissionregistration.k8s.io/checks created", 0)
    out, code = placed.kubectl("run bad --image=nginx:latest")
    words = 'Error from server: admission webhook "tags.example.com" denied the request: name a version'
    assert (out.strip(), code) == (words, 1)
    assert placed.kubectl("run good --image=nginx:1.25") == ("pod/good created\n", 0)
    placed.client.delete("pods", "hook", "default", gracePeriodSeconds=0)
    assert placed.cluster.wait(lambda: not placed.has_endpoint(), 30)
    out, code = placed.kubectl("run later --image=nginx:1.25")
    assert 'failed calling webhook "tags.example.com": failed to call webhook: Post ' in out
    assert 'no endpoints available for service "hook"' in out


POLICY = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: few}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}
  validations:
  - {expression: object.spec.replicas <= 3}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: few-everywhere}
spec: {policyName: few, validationActions: [Deny]}
"""


@pytest.mark.process
def test_kubectl_tells_of_policies_as_it_does_of_a_real_clusters(tmp_path: Path) -> None:
    with Cluster(nodes=0, runtime="simulated") as cluster:
        bench = Bench(cluster, tmp_path / "config")
        assert bench.kubectl("apply -f -", POLICY)[1] == 0
        out, code = bench.kubectl("create deployment web --image=nginx --replicas=4")
        words = (
            'error: failed to create deployment: deployments.apps "web" is forbidden: ValidatingAdmissionPolicy '
            "'few' with binding 'few-everywhere' denied request: failed expression: object.spec.replicas <= 3"
        )
        assert (out.strip(), code) == (words, 1)
        assert "few    1             <unset>" in bench.kubectl("get validatingadmissionpolicy")[0]
        assert "v1.apps" in bench.kubectl("get apiservices")[0]


def _https(cluster: Cluster | str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    port, context = https_context(cluster if isinstance(cluster, str) else cluster.kubeconfig)
    connection = HTTPSConnection("127.0.0.1", port, timeout=40, context=context)
    try:
        data = json.dumps(body) if body is not None else None
        connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def https_context(kubeconfig: str) -> tuple[int, ssl.SSLContext]:
    """The port of a served cluster, and TLS as its administrator."""
    config = yaml.safe_load(kubeconfig)
    context = ssl._create_unverified_context()
    _load(context, config["users"][0]["user"])
    return int(config["clusters"][0]["cluster"]["server"].rpartition(":")[2]), context


def _load(context: Any, user: Object) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "client.pem")
        path.write_bytes(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
        context.load_cert_chain(path)


def _create_over_https(kubeconfig: str, name: str) -> None:
    body = {"apiVersion": "v1", "kind": "Pod", **pod(name)}
    _https(kubeconfig, "POST", "/api/v1/namespaces/default/pods", body)
