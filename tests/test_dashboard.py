"""dashboard: who has the link sees the cluster live and changes it; who has not sees an empty page."""

from __future__ import annotations

import json
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from k8snb.addons.dashboard import ACCOUNT, OPEN_LINKS, SESSION, DashboardAddon
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster("lesson", runtime="simulated", nodes=2, seed=1) as made:
        made.addons.enable("dashboard")
        made.kubectl.run(["create", "deployment", "web", "--image=nginx", "--replicas=2"])
        made.kubectl.run(["create", "namespace", "shop"])
        made.kubectl.run(["create", "deployment", "cart", "--image=nginx", "-n", "shop"])
        made.kubectl.run(["wait", "--for=condition=Available", "deployment", "--all", "--timeout=60s"])
        yield made


def addon(cluster: Cluster) -> DashboardAddon:
    found = cluster.addons.get("dashboard")
    assert isinstance(found, DashboardAddon)
    return found


def ask(
    cluster: Cluster, path: str, *, session: str = "", body: bytes | None = None, method: str = ""
) -> tuple[int, str, Any]:
    url = "http://{}:{}/".format(*addon(cluster).spot) + path
    headers = {SESSION: session, "Content-Type": "application/merge-patch+json"}
    request = urllib.request.Request(url, data=body, headers=headers, method=method or None)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), error.headers


def key_of_link(cluster: Cluster) -> bytes:
    return addon(cluster).link().partition("#login=")[2].encode()


def log_in(cluster: Cluster) -> str:
    session: str = json.loads(ask(cluster, "login", body=key_of_link(cluster))[1])["session"]
    return session


# without a browser


@pytest.mark.parametrize("path", ["cluster", "k8s/api/v1/namespaces", "k8s/api/v1/secrets", "k8s/"])
@pytest.mark.parametrize("session", ["", "guess"])
def test_nothing_of_the_cluster_is_told_without_a_session(cluster: Cluster, path: str, session: str) -> None:
    status, said, _ = ask(cluster, path, session=session)
    assert status == 401 and "%kcluster dashboard" in said


def test_a_link_logs_in_once(cluster: Cluster) -> None:
    key = key_of_link(cluster)
    status, said, _ = ask(cluster, "login", body=key)
    assert status == 200 and json.loads(said)["session"]
    status, said, _ = ask(cluster, "login", body=key)
    assert status == 401 and "has been used" in said
    assert ask(cluster, "login", body=b"")[0] == 401


def test_of_many_links_that_nobody_uses_the_oldest_end(cluster: Cluster) -> None:
    first = key_of_link(cluster)
    last = [key_of_link(cluster) for _ in range(OPEN_LINKS)][-1]
    assert ask(cluster, "login", body=first)[0] == 401
    assert ask(cluster, "login", body=last)[0] == 200


def test_the_apiserver_answers_and_refuses_through_the_page_in_its_own_words(cluster: Cluster) -> None:
    session = log_in(cluster)
    status, said, headers = ask(cluster, "k8s/api/v1/namespaces/default", session=session)
    assert (status, json.loads(said)["metadata"]["name"]) == (200, "default")
    assert headers["Cache-Control"] == "no-store"
    assert "not found" in ask(cluster, "k8s/api/v1/namespaces/default/pods/nobody", session=session)[1]
    change = json.dumps({"spec": {"replicas": -1}}).encode()
    path = "k8s/apis/apps/v1/namespaces/default/deployments/web/scale"
    status, said, _ = ask(cluster, path, session=session, body=change, method="PATCH")
    assert status == 422 and "must be greater than or equal to 0" in said


def test_the_token_stays_in_the_kernel(cluster: Cluster) -> None:
    session = log_in(cluster)
    ask(cluster, "k8s/api/v1/nodes", session=session)
    token = addon(cluster)._token[0]
    assert token.count(".") == 2
    for path in ("", "app.js", "api.js", "cluster"):
        _, said, headers = ask(cluster, path, session=session)
        assert token not in said + str(headers)


def test_the_page_loads_nothing_from_elsewhere(cluster: Cluster) -> None:
    for path in ("", "app.js", "api.js", "views.js", "dom.js", "style.css"):
        status, said, headers = ask(cluster, path)
        assert status == 200 and not re.search(r"https?://", said), path
        assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert ask(cluster, "../dashboard.py")[0] == 401


def test_on_a_virtual_clock_the_add_on_says_that_it_cannot_work() -> None:
    made = Cluster(runtime="simulated", clock=VirtualClock(), nodes=1)
    with made, pytest.raises(ValueError, match="virtual clock"):
        made.addons.enable("dashboard")


def test_a_disabled_dashboard_leaves_nothing_behind() -> None:
    with Cluster("gone", runtime="simulated", nodes=1) as made:
        made.addons.enable("dashboard")
        spot, session = addon(made).spot, log_in(made)
        assert ask(made, "cluster", session=session)[0] == 200
        made.addons.disable("dashboard")
        assert made.client.find("serviceaccounts", ACCOUNT, "kube-system") is None
        assert made.client.find("clusterrolebindings", ACCOUNT) is None
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen("http://{}:{}/".format(*spot), timeout=5)
        made.addons.enable("dashboard")
        assert addon(made).spot == spot
        assert ask(made, "cluster", session=session)[0] == 401


# in a browser


@pytest.fixture
def page(browser: Any, cluster: Cluster) -> Iterator[Any]:
    """The dashboard after a login; a mistake in a script of the page fails the test."""
    context = browser.new_context(viewport={"width": 1300, "height": 800})
    context.set_default_timeout(30_000)
    opened, mistakes = context.new_page(), []
    opened.on("pageerror", lambda error: mistakes.append(str(error)))
    opened.goto(addon(cluster).link())
    yield opened
    context.close()
    assert not mistakes, mistakes


def row(page: Any, name: str) -> Any:
    return page.locator("#rows tbody tr", has_text=name)


def turn_to(page: Any, kind: str) -> None:
    page.get_by_role("link", name=kind, exact=True).click()
    page.get_by_role("heading", name=kind, exact=True).first.wait_for()


def test_the_page_shows_what_is_there_and_what_happens(page: Any, cluster: Cluster) -> None:
    row(page, "web").get_by_text("2/2").wait_for()
    assert page.get_by_role("heading", name="lesson").is_visible()
    assert "login=" not in page.url
    cluster.kubectl.run(["create", "deployment", "extra", "--image=nginx"])
    row(page, "extra").get_by_text("1/1").wait_for()
    cluster.kubectl.run(["delete", "deployment", "extra"])
    row(page, "extra").wait_for(state="detached")


def test_a_page_that_is_loaded_again_is_still_logged_in_and_another_browser_is_not(
    page: Any, browser: Any, cluster: Cluster
) -> None:
    row(page, "web").wait_for()
    page.reload()
    row(page, "web").wait_for()
    stranger = browser.new_page()
    stranger.goto(page.url)
    stranger.get_by_text("%kcluster dashboard gives a link").wait_for()
    assert not stranger.locator("nav").count()
    stranger.close()


def test_the_page_works_in_a_frame_of_another_site(browser: Any, cluster: Cluster) -> None:
    """As below a cell: JupyterLab at localhost is another site, and a browser gives frames of others no cookies."""
    html = f"<iframe src='{addon(cluster).link()}' width=1200 height=700></iframe>".encode()

    class Notebook(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html)

        def log_message(self, *_: object) -> None:
            """Nobody wants to read it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Notebook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        outer = browser.new_page()
        outer.goto(f"http://localhost:{server.server_port}/")
        outer.frame_locator("iframe").locator("#rows tbody tr", has_text="web").wait_for()
        outer.close()
        server.shutdown()


def test_the_namespace_is_chosen_from_those_there_are(page: Any, cluster: Cluster) -> None:
    row(page, "web").wait_for()
    page.get_by_label("Namespace").select_option("shop")
    row(page, "cart").wait_for()
    assert not row(page, "web").count()
    page.get_by_label("Namespace").select_option("All namespaces")
    row(page, "web").get_by_text("default").wait_for()
    row(page, "cart").get_by_text("shop", exact=True).wait_for()
    page.get_by_placeholder("Filter rows").fill("cart")
    row(page, "web").wait_for(state="detached")
    page.get_by_placeholder("Filter rows").fill("")
    cluster.kubectl.run(["create", "namespace", "later"])
    page.locator("#namespace option", has_text="later").wait_for(state="attached")


def test_a_deployment_is_scaled_restarted_and_deleted_by_clicks(page: Any, cluster: Cluster) -> None:
    cluster.kubectl.run(["create", "deployment", "toy", "--image=nginx"])
    row(page, "toy").get_by_text("1/1").wait_for()
    row(page, "toy").get_by_role("button", name="toy").click()
    page.get_by_role("button", name="Scale").click()
    page.get_by_label("Replicas").fill("3")
    page.locator("dialog").get_by_role("button", name="Scale").click()
    row(page, "toy").get_by_text("3/3").wait_for()
    page.get_by_role("button", name="Restart").click()
    page.locator("dialog").get_by_role("button", name="Restart").click()
    page.get_by_text("toy restarted").wait_for()
    template = cluster.client.get("deployments", "toy", "default")["spec"]["template"]
    assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]
    page.get_by_role("button", name="Delete").click()
    page.locator("dialog").get_by_role("button", name="Cancel").click()
    assert cluster.client.find("deployments", "toy", "default")
    page.get_by_role("button", name="Delete").click()
    page.locator("dialog").get_by_role("button", name="Delete").click()
    row(page, "toy").wait_for(state="detached")
    assert cluster.client.find("deployments", "toy", "default") is None
    assert page.locator("#detail").is_hidden()


def test_a_pods_log_is_followed_and_searched(page: Any, cluster: Cluster) -> None:
    turn_to(page, "Pods")
    pod = cluster.client.items("pods", "default", labelSelector="app=web")[0]["metadata"]["name"]
    row(page, pod).get_by_role("button").click()
    page.locator(".log", has_text="ready for start up").wait_for()
    ip = cluster.client.get("pods", pod, "default")["status"]["podIP"]
    cluster.visit(f"http://{ip}:80/while-you-look")
    page.locator(".log", has_text="while-you-look").wait_for()
    page.get_by_placeholder("Search lines").fill("WHILE-YOU")
    page.wait_for_function("!document.querySelector('.log').textContent.includes('ready for start up')")
    assert "while-you-look" in page.locator(".log").inner_text()


def test_an_objects_yaml_and_events_are_shown(page: Any, cluster: Cluster) -> None:
    row(page, "web").get_by_role("button", name="web").click()
    page.locator("aside").get_by_text("ScalingReplicaSet").first.wait_for()
    page.get_by_role("tab", name="YAML").click()
    page.locator("aside pre", has_text="kind: Deployment").wait_for()
    text = page.locator("aside pre").inner_text()
    assert "managedFields" not in text and "replicas: 2" in text
    page.get_by_role("button", name="Close").click()
    assert page.locator("#detail").is_hidden()


@pytest.mark.parametrize(
    ("kind", "text"),
    [("Nodes", "control-plane"), ("Events", "Scheduled"), ("ReplicaSets", "web-"), ("Namespaces", "shop")],
)
def test_every_kind_has_its_rows(page: Any, kind: str, text: str) -> None:
    turn_to(page, kind)
    row(page, text).first.wait_for()


def test_the_page_is_light_or_dark_as_one_likes(page: Any) -> None:
    def paper() -> str:
        color: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return color

    row(page, "web").wait_for()
    light = paper()
    page.emulate_media(color_scheme="dark")
    dark = paper()
    assert light != dark
    page.get_by_title("Light or dark").click()
    assert paper() == light


def test_what_a_cluster_says_never_becomes_markup(page: Any, cluster: Cluster) -> None:
    data = {
        "metadata": {"name": "sly", "namespace": "default"},
        "data": {"x": "<img src=x onerror=document.title='owned'>"},
    }
    cluster.client.create("configmaps", data)
    turn_to(page, "ConfigMaps")
    row(page, "sly").get_by_role("button").click()
    page.get_by_role("tab", name="YAML").click()
    page.locator("aside pre", has_text="<img src=x").wait_for()
    assert not page.locator("aside img").count()
