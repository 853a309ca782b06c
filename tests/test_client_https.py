"""The HTTPS transport against a served cluster: the same verbs, watches, refusals and streams as within the kernel."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8snb import Cluster
from k8snb.apimachinery.errors import ApiError
from k8snb.client import Client, Unreachable, User
from k8snb.client.client import APPLY, MERGE
from k8snb.client.https import SELF, HttpsTransport
from k8snb.client.informer import Informer
from k8snb.client.kubeconfig import parse
from k8snb.client.restconfig import Endpoint, resolve
from k8snb.kubectl import Kubectl, KubectlError

pytestmark = pytest.mark.process
PATIENCE = 60.0
POD = {"metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster("far", nodes=1, runtime="simulated") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def endpoint(cluster: Cluster) -> Endpoint:
    return resolve(parse(yaml.safe_load(cluster.kubeconfig)))


@pytest.fixture(scope="module")
def transport(endpoint: Endpoint) -> Iterator[HttpsTransport]:
    transport = HttpsTransport(endpoint)
    yield transport
    transport.close()


@pytest.fixture(scope="module")
def client(transport: HttpsTransport) -> Client:
    return Client(transport, SELF)


@pytest.fixture(scope="module")
def web(client: Client, transport: HttpsTransport) -> str:
    """The name of a pod that runs."""
    client.create("pods", POD, "default")
    assert transport.wait(lambda: phase(client) == "Running", PATIENCE)
    return "web"


def phase(client: Client) -> str:
    return str((client.get("pods", "web", "default").get("status") or {}).get("phase"))


def refusal(act: Callable[[], Any]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        act()
    return caught.value


# discovery


def test_the_kinds_are_those_that_the_server_has_in_its_own_process(client: Client, cluster: Cluster) -> None:
    assert set(client.kinds()) == set(cluster.client.kinds())


def test_a_server_without_aggregated_discovery_tells_the_same(transport: HttpsTransport, cluster: Cluster) -> None:
    from k8snb.client import discovery

    kinds = discovery.kinds(lambda path, accept: transport._discover(path, "application/json"))
    assert set(kinds) == set(cluster.client.kinds())


def test_custom_kinds_are_found_and_their_server_prints_them(transport: HttpsTransport, client: Client) -> None:
    version = {
        "name": "v1", "served": True, "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".size"}],
    }  # fmt: skip
    names = {"plural": "shoes", "singular": "shoe", "kind": "Shoe", "shortNames": ["sh"]}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    client.create("customresourcedefinitions", {"metadata": {"name": "shoes.example.com"}, "spec": spec})

    def there() -> bool:
        transport.refresh()
        return any(kind.plural == "shoes" for kind in client.kinds())

    assert transport.wait(there, PATIENCE)
    client.create("shoes", {"apiVersion": "example.com/v1", "kind": "Shoe", "metadata": {"name": "a"}, "size": 42},
                  "default")  # fmt: skip
    assert client.get("shoes", "a", "default")["size"] == 42
    table = client.list("shoes", "default", table=True)
    assert [each["name"] for each in table["columnDefinitions"]][:2] == ["Name", "Size"]
    assert table["rows"][0]["cells"][:2] == ["a", 42] and table["rows"][0]["object"]["size"] == 42


def test_the_server_explains_the_kinds_that_only_it_knows(client: Client, transport: HttpsTransport) -> None:
    fields = {"spec": {"type": "object", "description": "What is wanted.", "properties": {"size": {"type": "integer"}}}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": fields}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    names = {"plural": "hats", "singular": "hat", "kind": "Hat"}
    spec = {"group": "example.com", "scope": "Cluster", "names": names, "versions": [version]}
    client.create("customresourcedefinitions", {"metadata": {"name": "hats.example.com"}, "spec": spec})
    kubectl = Kubectl(client, server=lambda: transport)

    def explained() -> bool:
        transport.refresh()
        try:
            return "What is wanted." in kubectl.run("explain hats.spec").text
        except KubectlError:
            return False

    assert transport.wait(explained, PATIENCE)
    assert "size\t<integer>" in kubectl.run("explain hat.spec").text


# verbs


def test_every_verb_does_over_https_what_it_does_within_the_kernel(client: Client, cluster: Cluster) -> None:
    made = client.create("configmaps", {"metadata": {"name": "m"}, "data": {"a": "1"}}, "default")
    assert made == cluster.client.get("configmaps", "m", "default")
    changed = client.update("configmaps", {**made, "data": {"a": "2"}})
    assert client.patch("configmaps", "m", {"data": {"b": "3"}}, "default", content_type=MERGE)["data"]["b"] == "3"
    stale = refusal(lambda: client.update("configmaps", {**made, "data": {}}))
    assert (stale.code, stale.reason) == (409, "Conflict") and changed["data"] == {"a": "2"}
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"c": "4"}}
    patched = client.patch("configmaps", "m", applied, "default", content_type=APPLY, fieldManager="me", force=True)
    assert patched["data"] == {"a": "2", "b": "3", "c": "4"}
    assert client.delete("configmaps", "m", "default", dryRun=True)
    client.delete("configmaps", "m", "default")
    assert client.find("configmaps", "m", "default") is None


def test_items_of_a_list_know_what_they_are(client: Client, cluster: Cluster) -> None:
    assert client.items("namespaces") == cluster.client.items("namespaces")


def test_managed_fields_are_left_out_unless_they_are_asked_for(client: Client) -> None:
    assert "managedFields" not in client.get("namespaces", "default")["metadata"]
    client.create("configmaps", {"metadata": {"name": "managed"}, "data": {"a": "b"}}, "default")
    assert client.get("configmaps", "managed", "default", managedFields=True)["metadata"]["managedFields"]


def test_a_refusal_is_the_same_error_as_within_the_kernel(client: Client, cluster: Cluster) -> None:
    def ask(of: Client) -> Any:
        wrong = {"metadata": {"name": "Bad_Name"}, "data": {"a b": "c"}}
        return refusal(lambda: of.create("configmaps", wrong, "default")).status

    assert ask(client) == ask(cluster.client)
    assert refusal(lambda: client.get("pods", "nope", "default")).status == (
        refusal(lambda: cluster.client.get("pods", "nope", "default")).status
    )


def test_a_subresource_is_reached_by_its_path(client: Client) -> None:
    account = {"metadata": {"name": "bot"}}
    client.create("serviceaccounts", account, "default")
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": {}}
    assert client.create_subresource("serviceaccounts", "bot", "token", request, "default")["status"]["token"]


def test_warnings_of_the_server_are_kept(client: Client) -> None:
    odd = {"metadata": {"name": "odd"}, "data": {}, "dta": {}}
    client.create("configmaps", odd, "default", fieldValidation="Warn")
    (warning,) = client.take_warnings()
    assert warning.startswith('unknown field "dta"')


# watches


def test_a_watch_tells_what_happens(client: Client, transport: HttpsTransport) -> None:
    revision = client.list("configmaps", "default")["metadata"]["resourceVersion"]
    watch = client.watch("configmaps", "default", resourceVersion=revision, labelSelector="watched=yes")
    made = client.create("configmaps", {"metadata": {"name": "w", "labels": {"watched": "yes"}}}, "default")
    client.create("configmaps", {"metadata": {"name": "unseen"}}, "default")
    client.delete("configmaps", "w", "default")
    assert transport.wait(lambda: len(watch.events) > 1, PATIENCE)
    first, second = watch.pop(), watch.pop()
    assert first is not None and second is not None
    assert (first.sort, first.object["metadata"]["uid"]) == ("ADDED", made["metadata"]["uid"])
    assert second.sort == "DELETED"
    watch.stop()


def test_a_watch_that_the_server_ends_says_so(client: Client, transport: HttpsTransport) -> None:
    watch = client.watch("configmaps", "default", timeoutSeconds=1)
    assert transport.wait(lambda: watch.stopped, PATIENCE)
    assert [event.sort for event in watch.events][-1] == "ERROR"


def test_informers_keep_up_with_a_server_of_another_process(
    client: Client, cluster: Cluster, transport: HttpsTransport
) -> None:
    informer = Informer("configmaps", client, cluster.context)
    informer.start()
    client.create("configmaps", {"metadata": {"name": "cached"}}, "default")

    def known() -> bool:
        informer.catch_up()
        return informer.get("cached", "default") is not None

    assert transport.wait(known, PATIENCE)
    informer.stop()


# streams


def test_a_command_runs_in_a_container(client: Client, web: str) -> None:
    result = client.exec(web, "default", ["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert tuple(result) == (b"out\n", b"err\n", 3)


def test_a_command_that_cannot_run_says_why(client: Client, web: str) -> None:
    assert "executable file not found" in refusal(lambda: client.exec(web, "default", ["nope"])).message
    wrong = refusal(lambda: client.exec(web, "default", ["ls"], "nope"))
    assert (wrong.code, wrong.reason) == (400, "BadRequest") and "container nope is not valid" in wrong.message
    assert refusal(lambda: client.exec("nope", "default", ["ls"])).reason == "NotFound"


class Heard:
    def __init__(self) -> None:
        self.data = b""
        self.end: tuple[int, str] | None = None

    def output(self, stream: str, data: bytes) -> None:
        self.data += data

    def drained(self) -> None: ...

    def ended(self, code: int, message: str) -> None:
        self.end = (code, message)


def test_what_is_written_reaches_the_command_and_its_end_too(
    client: Client, transport: HttpsTransport, web: str
) -> None:
    options = {"command": ["cat"], "stdin": True, "container": "c", "upgrade": True}
    wish: Any = client.create_subresource("pods", web, "exec", {}, "default", **options)
    streams, heard = wish.open(), Heard()
    streams.begin(heard)
    said = b"x" * 300_000
    for start in range(0, len(said), 50_000):
        streams.write(said[start : start + 50_000])
    streams.write_eof()
    assert transport.wait(lambda: heard.end is not None, PATIENCE)
    assert (heard.data, heard.end, streams.backlog) == (said, (0, ""), 0)


def test_a_server_that_cannot_be_told_of_the_end_of_stdin_is_said_to_be_one(
    client: Client, transport: HttpsTransport, web: str
) -> None:
    options = {"command": ["cat"], "stdin": True, "container": "c", "upgrade": True}
    wish: Any = client.create_subresource("pods", web, "exec", {}, "default", **options)
    streams, heard = wish.open(protocols=("v4.channel.k8s.io",)), Heard()
    streams.begin(heard)
    streams.write_eof()
    assert transport.wait(lambda: heard.end is not None, PATIENCE)
    assert heard.end is not None and "not implemented by k8snb" in heard.end[1]


def test_a_token_that_changes_in_its_file_is_read_again(endpoint: Endpoint, client: Client, tmp_path: Path) -> None:
    account = {"metadata": {"name": "rotating"}}
    client.create("serviceaccounts", account, "default")
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": {}, "spec": {}}
    made = client.create_subresource("serviceaccounts", "rotating", "token", request, "default")
    (tmp_path / "token").write_text("old")
    transport = HttpsTransport(replace(endpoint, user={"tokenFile": str(tmp_path / "token")}))
    try:
        bot = Client(transport, SELF)
        assert refusal(lambda: bot.get("pods", "web", "default")).code == 401
        (tmp_path / "token").write_text(made["status"]["token"])
        assert refusal(lambda: bot.get("pods", "web", "default")).code == 403
    finally:
        transport.close()


def test_a_port_of_a_pod_answers_through_a_port_forward(client: Client, transport: HttpsTransport, web: str) -> None:
    wish: Any = client.create_subresource("pods", web, "portforward", {}, "default")
    stream, heard = wish.connect(80), Heard()
    stream.begin(heard)
    stream.write(b"GET / HTTP/1.0\r\n\r\n")
    assert transport.wait(lambda: b"</html>" in heard.data, PATIENCE)
    assert heard.data.startswith(b"HTTP/1")
    stream.close()


def test_a_port_where_nobody_listens_says_so(client: Client, transport: HttpsTransport, web: str) -> None:
    wish: Any = client.create_subresource("pods", web, "portforward", {}, "default")
    stream, heard = wish.connect(81), Heard()
    stream.begin(heard)
    assert transport.wait(lambda: heard.end is not None, PATIENCE)
    assert heard.end is not None and "81" in heard.end[1]


def test_logs_come_piece_by_piece_until_their_end(client: Client, cluster: Cluster, web: str) -> None:
    assert b"".join(client.logs(web, "default")) == b"".join(cluster.client.logs(web, "default"))
    assert refusal(lambda: client.logs(web, "default", container="nope")).reason == "BadRequest"


def test_a_pod_answers_through_the_proxy(client: Client, web: str) -> None:
    assert client.proxy("pods", web, "/", "default").text.startswith("<!DOCTYPE html>")
    assert refusal(lambda: client.proxy("pods", "nope", "/", "default")).code == 404


# who asks, and whether anybody answers


def test_somebody_else_is_asked_for_in_headers_and_the_server_decides(client: Client) -> None:
    jane = client.as_user(User("jane", ("makers",)))
    said = refusal(lambda: jane.list("pods", "default")).message
    assert 'User "jane" cannot list resource "pods"' in said
    review = jane.create("selfsubjectreviews", {"metadata": {}})
    assert review["status"]["userInfo"]["groups"] == ["makers", "system:authenticated"]


def test_a_kubeconfig_may_ask_to_act_as_somebody(endpoint: Endpoint) -> None:
    transport = HttpsTransport(replace(endpoint, user={**endpoint.user, "as": "jane", "as-groups": ["makers"]}))
    try:
        answer = Client(transport, SELF).create("selfsubjectreviews", {"metadata": {}})
        assert answer["status"]["userInfo"]["username"] == "jane"
    finally:
        transport.close()


def asked(endpoint: Endpoint) -> Any:
    transport = HttpsTransport(endpoint)
    try:
        return Client(transport, SELF).get("namespaces", "default")
    finally:
        transport.close()


def test_a_server_whose_authority_is_not_known_is_not_trusted(endpoint: Endpoint) -> None:
    stranger = replace(endpoint, cluster={})
    with pytest.raises(Unreachable, match="tls: failed to verify certificate"):
        asked(stranger)
    assert asked(replace(stranger, cluster={"insecure-skip-tls-verify": True}))["metadata"]["name"] == "default"


def test_the_name_on_the_certificate_may_be_another_than_the_address(endpoint: Endpoint) -> None:
    named = {**endpoint.cluster, "tls-server-name": "kubernetes.default"}
    assert asked(replace(endpoint, cluster=named))["metadata"]["name"] == "default"
    with pytest.raises(Unreachable, match="tls: failed to verify certificate"):
        asked(replace(endpoint, cluster={**endpoint.cluster, "tls-server-name": "elsewhere.example"}))


def test_without_good_credentials_nothing_is_told(endpoint: Endpoint) -> None:
    assert refusal(lambda: asked(replace(endpoint, user={"token": "bad"}))).code == 401


def test_nobody_at_home_is_said_in_kubectls_words(endpoint: Endpoint) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        spot = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unreachable, match=f"The connection to the server {spot} was refused"):
            asked(replace(endpoint, server=f"https://{spot}"))


def test_a_server_that_says_nothing_is_given_up_after_the_time_that_was_given(endpoint: Endpoint) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(Unreachable, match=r"Client\.Timeout exceeded"):
            asked(replace(endpoint, server=f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2))
