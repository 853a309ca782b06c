"""%kcluster dashboard: the page below the cell, or a link, on a machine of one's own and behind a hub."""

from __future__ import annotations

import importlib.util
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from notebook_lab import Notebook, fresh_shell

from k8snb.cluster import Cluster
from k8snb.notebook import extension

pytestmark = pytest.mark.process
HUB = "JUPYTERHUB_SERVICE_PREFIX"


class RealTime(Notebook):
    def settle(self) -> None:
        """Time passes by itself."""


def real(name: str, *, nodes: int, runtime: str, **sizes: object) -> Cluster:
    return Cluster(name, nodes=1, runtime="simulated")


@pytest.fixture
def notebook(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[RealTime]:
    monkeypatch.delenv(HUB, raising=False)
    with fresh_shell(tmp_path) as shell:
        extension.load(shell, real)
        yield RealTime(shell, capsys)


def logs_in(link: str) -> bool:
    where, _, key = link.partition("#login=")
    try:
        with urllib.request.urlopen(where + "login", data=key.encode(), timeout=10) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False


def test_the_dashboard_is_shown_below_the_cell_and_its_frame_logs_in(notebook: RealTime) -> None:
    shown = notebook.run("%kcluster dashboard")
    html = shown._repr_html_()
    frame = re.search(r'<iframe src="([^"]+)"', html)
    link = re.search(r'<a href="([^"]+)"', html)
    assert frame and link and frame[1] != link[1]
    assert logs_in(frame[1]) and logs_in(link[1]) and not logs_in(frame[1])
    assert "login=" not in repr(shown) and logs_in(shown.url)


def test_with_url_it_is_a_link_to_use_in_python(notebook: RealTime) -> None:
    link = notebook.run("%kcluster dashboard --url")
    assert isinstance(link, str) and link.startswith("http://127.0.0.1:") and logs_in(link)
    assert "dashboard" in {row.row.name for row in notebook.cluster.addons.status() if row.enabled}


def test_behind_a_hub_the_link_leads_through_its_proxy(
    notebook: RealTime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "jupyter_server_proxy.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(HUB, "/user/me/")
    link = notebook.run("%kcluster dashboard --url")
    assert re.fullmatch(r"/user/me/proxy/\d+/#login=\S+", link)


def test_behind_a_hub_without_a_proxy_it_says_what_is_missing(
    notebook: RealTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("jupyter_server_proxy"):
        pytest.skip("optional: jupyter-server-proxy is installed")
    monkeypatch.setenv(HUB, "/user/me/")
    assert "jupyter-server-proxy" in notebook.error("%kcluster dashboard")
