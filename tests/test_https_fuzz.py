"""Any body, patch, path, query and header: an answer or one refusal in upstream's words, in time; and nobody notices.

After each test another client, the pump and the client in the kernel are served at their usual speed, nothing has
failed in any log, and no connection, task, thread or watch is left behind. The same requests are made in every run;
K8SNB_FUZZ_SECONDS (30) bounds the time of the random ones.
Sources: `apiserver/pkg/endpoints/handlers` (rest.go, patch.go, create.go) of the kubernetes repository for limits and
words.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import ssl
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from fuzz_lab import BRISK, JSON, MAPS, PODS, Served, ask, connect, receive, request, served_cluster
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SECONDS = float(os.environ.get("K8SNB_FUZZ_SECONDS", "30"))
YAML, PROTOBUF = "application/yaml", "application/vnd.kubernetes.protobuf"
MERGE, STRATEGIC, APPLY, JSON_PATCH = (
    "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml",
    "application/json-patch+json",
)  # fmt: skip
MEGABYTE = 1 << 20
PARTS = SECONDS / 6  # seconds for each of the random tests


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_cluster(tmp_path_factory.mktemp("fuzz")) as served:
        served.furnish()
        yield served


@pytest.fixture
def served(cluster: Served) -> Iterator[Served]:
    with cluster.left_behind():
        yield cluster
        cluster.check()
        cluster.furnish()


# depths and bombs

DEPTH = 10_000
BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
TWICE = b"{" + b",".join([b'"a":1'] * 300_000) + b"}"
DOUBLING = [{"op": "add", "path": "/data", "value": {"a": "x" * 100}}] + [
    {"op": "copy", "from": "/data", "path": f"/data/{number}"} for number in range(60)
]
HEAVY: dict[str, tuple[str, str, bytes, str, int, str]] = {
    "lists in JSON": ("POST", MAPS, b"[" * DEPTH, JSON, 400, "nested too deeply"),
    "objects in JSON": ("POST", MAPS, b'{"a":' * DEPTH + b"1" + b"}" * DEPTH, JSON, 400, "nested too deeply"),
    "a bit too deep": ("POST", MAPS, b'{"a":' * 500 + b"1" + b"}" * 500, JSON, 400, "nested too deeply"),
    "flow lists in YAML": ("POST", MAPS, b"[" * DEPTH, YAML, 400, "more than 100 levels"),
    "block lists in YAML": ("POST", MAPS, b"- " * DEPTH + b"x", YAML, 400, "more than 100 levels"),
    "maps in YAML": ("POST", MAPS, b"".join(b" " * n + b"a:\n" for n in range(1500)), YAML, 400, "100 levels"),
    "a merge patch": ("PATCH", f"{MAPS}/one", b'{"a":' * DEPTH + b"1" + b"}" * DEPTH, MERGE, 400, "too deeply"),
    "a strategic patch": ("PATCH", f"{MAPS}/one", b'{"a":' * DEPTH + b"1" + b"}" * DEPTH, STRATEGIC, 400, "deeply"),
    "an apply patch": ("PATCH", f"{MAPS}/one?fieldManager=me", b"[" * DEPTH, APPLY, 400, "more than 100 levels"),
    "a JSON patch": ("PATCH", f"{MAPS}/one", b"[" * DEPTH, JSON_PATCH, 400, "nested too deeply"),
    "a YAML bomb": ("POST", MAPS, BOMB.encode(), YAML, 400, "document contains excessive aliasing"),
    "a YAML bomb in a patch": ("PATCH", f"{MAPS}/one?fieldManager=me", BOMB.encode(), APPLY, 400, "excessive aliasing"),
    "a YAML loop": ("POST", MAPS, b"a: &a\n  b: *a\n", YAML, 400, "an anchor contains itself"),
    "a JSON patch that doubles": ("PATCH", f"{MAPS}/one", json.dumps(DOUBLING).encode(), JSON_PATCH, 400, "exceeding"),
    "very many operations": ("PATCH", f"{MAPS}/one",
                             json.dumps([{"op": "test", "path": "/kind", "value": "ConfigMap"}] * 10_001).encode(),
                             JSON_PATCH, 413, "The allowed maximum operations in a JSON patch is 10000, got 10001"),
    "one key very often": ("POST", f"{MAPS}?fieldValidation=Strict", TWICE, JSON, 400, 'duplicate field "a"'),
    "a number without end": ("POST", MAPS, b'{"a":' + b"9" * MEGABYTE + b"}", JSON, 400, "error decoding JSON"),
    "no number": ("POST", MAPS, b'{"a":NaN}', JSON, 400, "NaN is no number"),
    "infinity": ("POST", MAPS, b'{"a":1e999}', JSON, 400, "too large"),
}  # fmt: skip


@pytest.mark.parametrize("what", HEAVY)
def test_what_is_small_and_becomes_large_is_refused_in_time(served: Served, what: str) -> None:
    method, path, body, content_type, code, words = HEAVY[what]
    began = time.monotonic()
    answer = ask(served, method, path, body, content_type)
    assert (answer.status, answer.object["kind"]) == (code, "Status")
    assert words in answer.message
    assert len(answer.body) < 10_000
    assert time.monotonic() - began < 3


def test_half_a_letter_is_stored_as_the_sign_for_it(served: Served) -> None:
    """Go's JSON decoder reads a lone surrogate as U+FFFD; nothing else could be sent to anybody again."""
    body = b'{"metadata":{"name":"half"},"data":{"k":"a\\ud800b","\\ud83d\\ude00":"\\ud83d\\ude00"}}'
    assert ask(served, "POST", MAPS, body).status == 422  # a smile is no key
    answer = ask(served, "POST", MAPS, body.replace(b'"\\ud83d\\ude00":', b'"smile":'))
    assert answer.object["data"] == {"k": "a\ufffdb", "smile": "\U0001f600"}
    assert ask(served, "DELETE", f"{MAPS}/half").status == 200


def test_a_warning_never_breaks_the_head_of_an_answer(served: Served) -> None:
    """Upstream leaves out warnings with control characters, and cuts them where they are too many."""
    wish = {"metadata": {"name": "warned"}, "a\r\nSet-Cookie: x\x01": 1, 'quo"ted\\': 1, "\u00fc": 1}
    answer = ask(served, "POST", f"{MAPS}?dryRun=All", json.dumps(wish).encode())
    assert answer.status == 201
    assert answer.head.count(b"warning: 299") == 2 and b"set-cookie" not in answer.head
    many = {"metadata": {"name": "warned"}, **{f"field-{number:04}": 1 for number in range(5000)}}
    answer = ask(served, "POST", f"{MAPS}?dryRun=All", json.dumps(many).encode())
    assert answer.status == 201 and len(answer.head) < 8000


# the random part


Call = tuple[str, str, bytes, str, dict[str, str]]  # method, path, body, content type, headers


class Sender:
    """Sends requests over one connection while it lasts, and looks at what comes back."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._line: ssl.SSLSocket | None = None

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def send(self, call: Call) -> None:
        """Never a 5xx but for what is not implemented, never slow, always a Status for a refusal."""
        began = time.monotonic()
        self._line = self._line or connect(self._served)
        with contextlib.suppress(OSError):
            self._line.sendall(request(*call[:4], **call[4]))
        answer = receive(self._line)
        if answer.status == 0 or b"connection: close" in answer.head:
            self.close()
        assert 200 <= answer.status < 500 or answer.status == 501, (call, answer.data[:500])
        if answer.status >= 400 and b"application/json" in answer.head:
            assert (answer.object["kind"], answer.object["code"]) == ("Status", answer.status)
            assert answer.reason and answer.message and "Traceback" not in answer.message
        assert time.monotonic() - began < BRISK, call


def at_random(served: Served, calls: st.SearchStrategy[Call]) -> None:
    """Send what is made, until the time is over."""
    end = time.monotonic() + PARTS
    with contextlib.closing(Sender(served)) as sender:
        for round_ in range(1000):

            @seed(round_)
            @QUIET
            @given(call=calls)
            def many(call: Call) -> None:
                if time.monotonic() < end:
                    sender.send(call)

            many()
            if time.monotonic() > end:
                break


QUIET = settings(max_examples=200, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
                 suppress_health_check=list(HealthCheck))  # fmt: skip
NAMES = st.sampled_from(["one", "bb", "two", "", ".", "..", "a.b", "a..b", "A", "-", "x" * 300, "ü", "a b", "%", "\0"])
WORDS = st.sampled_from(
    ["metadata", "name", "namespace", "labels", "annotations", "spec", "status", "data", "kind", "apiVersion", "one",
     "containers", "image", "finalizers", "ownerReferences", "uid", "resourceVersion", "deletionTimestamp", "$patch",
     "$retainKeys", "$setElementOrder/containers", "$deleteFromPrimitiveList/finalizers", "managedFields", "ports",
     "containerPort", "env", "volumes", "generateName", "tolerations", "key", "operator", "value", "op", "path", "from"]
)  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8), st.sampled_from(["one", "default", "v1", "ConfigMap", "delete", "/data/k", "/", ""]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=6),
    max_leaves=25,
)  # fmt: skip
OBJECTS = st.dictionaries(WORDS, VALUES, max_size=6)
METADATA = st.fixed_dictionaries({"name": st.just("one")}, optional={
    "labels": VALUES, "annotations": VALUES, "finalizers": VALUES, "ownerReferences": VALUES, "managedFields": VALUES,
    "resourceVersion": LEAVES, "uid": LEAVES, "generateName": LEAVES, "deletionTimestamp": LEAVES})  # fmt: skip
NEAR = st.fixed_dictionaries({"metadata": METADATA}, optional={"data": VALUES, "spec": VALUES, "binaryData": VALUES})
POINTERS = st.lists(
    WORDS | st.sampled_from(["0", "-", "-1", "01", "", "~0", "~1", "~2", "9" * 30, "k"]), max_size=4
).map(lambda parts: "".join(f"/{part}" for part in parts))
OPERATIONS = st.lists(
    st.fixed_dictionaries({}, optional={
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "jump", 1, None, []]),
        "path": POINTERS | LEAVES, "from": POINTERS | LEAVES, "value": VALUES}) | VALUES,
    max_size=5,
)  # fmt: skip


def _dumped(values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    return values.map(lambda value: json.dumps(value).encode())


@st.composite
def _damaged(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Bytes in which some are cut out, doubled or changed."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    return bytes(data)


NO_HEADERS: st.SearchStrategy[dict[str, str]] = st.just({})


def test_any_patch_is_applied_or_refused(served: Served) -> None:
    """Each of the four formats, on an object of a plain kind, on a pod, on a status and on a scale."""
    target = st.sampled_from([f"{MAPS}/one", f"{PODS}/bb", f"{PODS}/bb/status", "/api/v1/nodes/node-1/status",
                              "/apis/apps/v1/namespaces/kube-system/deployments/none/scale",
                              "/api/v1/namespaces/default"])  # fmt: skip
    options = st.sampled_from(["", "?dryRun=All", "?fieldManager=me&force=true", "?force=x",
                               "?fieldValidation=Strict", "?fieldManager=" + "m" * 200])  # fmt: skip
    paths = st.tuples(target, options).map("".join)
    merging = st.tuples(st.just("PATCH"), paths, _dumped(NEAR | OBJECTS | VALUES),
                        st.sampled_from([MERGE, STRATEGIC, APPLY]), NO_HEADERS)  # fmt: skip
    steps = st.tuples(st.just("PATCH"), paths, _dumped(OPERATIONS), st.just(JSON_PATCH), NO_HEADERS)
    broken = st.tuples(st.just("PATCH"), paths, _damaged(_dumped(NEAR | OPERATIONS)),
                       st.sampled_from([MERGE, STRATEGIC, APPLY, JSON_PATCH, JSON, "", "x"]), NO_HEADERS)  # fmt: skip
    at_random(served, merging | steps | broken)


def test_any_body_is_taken_or_refused(served: Served) -> None:
    paths = st.sampled_from([MAPS, f"{PODS}?dryRun=All", f"{MAPS}?dryRun=All", "/api/v1/namespaces?dryRun=All",
                             "/apis/apps/v1/namespaces/default/deployments?dryRun=All",
                             "/apis/rbac.authorization.k8s.io/v1/clusterroles?dryRun=All",
                             f"{PODS}/bb/binding", f"{PODS}/bb/eviction?dryRun=All",
                             "/api/v1/namespaces/default/serviceaccounts/default/token",
                             "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All",
                             "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"])  # fmt: skip
    bodies = _dumped(NEAR | OBJECTS | VALUES) | st.binary(max_size=60) | st.text(max_size=60).map(str.encode)
    binary = _damaged(bodies).map(lambda body: b"k8s\0" + body)
    types = st.sampled_from(
        [JSON, YAML, PROTOBUF, "application/json; charset=utf-16", "*/*", "text/plain", "", "\u00fc"]
    )
    at_random(served, st.tuples(st.sampled_from(["POST", "PUT", "DELETE"]), paths,
                                bodies | binary | _damaged(bodies), types, NO_HEADERS))  # fmt: skip


def test_any_path_is_found_or_not(served: Served) -> None:
    """Traversal, coded slashes and NULs, empty parts, dots: what a path means is decided once, and kept to."""
    part = st.one_of(
        st.sampled_from(["api", "apis", "v1", "apps", "namespaces", "default", "pods", "configmaps", "one", "watch",
                         "status", "log", "proxy", "exec", "openapi", "v2", "v3", "healthz", "version", "", ".", "..",
                         "%2e%2e", "%2f", "%00", "%", "%zz", "%ff", "a%2fb", "%252f", ";", "a;b=c", "*", "metrics"]),
        st.text(max_size=4).map(lambda text: quote(text, safe="")),
    )  # fmt: skip
    paths = st.lists(part, max_size=8).map(lambda parts: "/" + "/".join(parts))
    near = st.lists(part, max_size=3).map(lambda parts: "/".join([MAPS, *parts]))
    methods = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    body = st.sampled_from([b"", b"{}"])
    at_random(served, st.tuples(methods, paths | near, body, st.just(JSON),
                                NO_HEADERS))  # fmt: skip


def test_any_query_is_understood_or_refused(served: Served) -> None:
    """Label and field selectors, numbers, truths, tokens: as Go reads them, which is stricter than Python."""
    part = st.sampled_from(["app", "=", "==", "!=", "!", " in ", "notin", "(", ")", ",", " ", "a/b", "a/b/c", ">",
                            "<", "1", "metadata.name", "spec.nodeName", "status.phase", "\\", "\\,", "ü", "x" * 70,
                            "metadata.namespace", "\0", "\n"])  # fmt: skip
    selector = st.lists(part, max_size=8).map("".join)
    number = st.sampled_from(
        ["0", "1", "-1", "+1", " 1", "1_0", "1e3", "9" * 19, "9" * 400, "x", "", "٣", "0x10", "1.5"]
    )
    name = st.sampled_from(["labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "timeoutSeconds",
                            "resourceVersionMatch", "allowWatchBookmarks", "pretty", "preconditions", "managedFields",
                            "gracePeriodSeconds", "propagationPolicy", "orphanDependents", "dryRun", "fieldValidation",
                            "includeObject", "tailLines", "limitBytes", "sinceSeconds", "sinceTime", "container",
                            "command", "upgrade", "ports", "headers", "patient"])  # fmt: skip
    word = st.sampled_from(["Exact", "NotOlderThan", "All", "true", "false", "t", "T", "Orphan", "Background", "None"])
    value = selector | number | word | st.text(max_size=6) | st.binary(max_size=9).map(
        lambda raw: base64.urlsafe_b64encode(raw).decode()
    )  # fmt: skip
    query = st.lists(st.tuples(name, value), max_size=4).map(
        lambda pairs: "&".join(f"{key}={quote(text, safe='')}" for key, text in pairs)
    )
    paths = st.sampled_from([MAPS, PODS, f"{PODS}/bb", f"{PODS}/bb/log", f"{MAPS}/one", "/api/v1/pods", f"{MAPS}/none"])
    methods = st.sampled_from(["GET", "GET", "GET", "DELETE"])
    calls = st.tuples(methods, paths, query).filter(lambda call: call[0] == "GET" or call[1].endswith("none"))
    at_random(served, calls.map(lambda call: (call[0], f"{call[1]}?{call[2]}", b"", JSON, {})))


def test_any_header_is_understood_or_refused(served: Served) -> None:
    part = st.sampled_from(["application/json", "application/yaml", "*/*", "text/html", "application/*", ";q=0.5",
                            ";as=Table;v=v1;g=meta.k8s.io", ";as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", ",",
                            ";", "=", "application/vnd.kubernetes.protobuf", "application/cbor", ";as=Table", ";v=",
                            ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList", "ü", " ", "\t"])  # fmt: skip
    names = st.sampled_from(["Accept", "Accept_Encoding", "If_None_Match", "User_Agent", "Connection", "Upgrade",
                             "Expect", "Impersonate_User", "Range", "X_Forwarded_For", "Sec_WebSocket_Protocol",
                             "X_Stream_Protocol_Version", "Host", "Origin"])  # fmt: skip
    plain = st.text(st.characters(min_codepoint=32, max_codepoint=300, exclude_characters="\x7f"), max_size=20)
    values = (st.lists(part, max_size=5).map("".join) | plain).map(str.strip)
    headers = st.dictionaries(names, values, max_size=3)
    paths = st.sampled_from([MAPS, f"{MAPS}/one", "/apis", "/api/v1", "/openapi/v2", "/openapi/v3", "/version", "/",
                             f"{PODS}/bb/log", f"{PODS}/bb/exec?command=true&stdout=1"])  # fmt: skip
    at_random(served, st.tuples(st.just("GET"), paths, st.just(b""), st.just(JSON), headers))
