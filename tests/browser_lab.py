"""A notebook in a real JupyterLab, looked at in a real Chromium.

Interface: `Lab`, a JupyterLab server of the test's own; `Lab.open(browser, name, *cells)`: a `Page` on which they ran.
Pictures of what was seen stay in `.artefacts/`.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import nbformat

ARTEFACTS = Path(__file__).resolve().parent.parent / ".artefacts"
PATIENCE = 90.0  # seconds for a server, a kernel or a page, on a machine that has other work
OPTIONS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync")  # fmt: skip
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


class Lab:
    """A JupyterLab server with its files below `home`. Its kernels are this Python; their nodes are simulated."""

    def __init__(self, home: Path, theme: str = "light") -> None:
        self.theme = theme
        self._home, self._token = home, secrets.token_hex(16)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]
        self._settings({"apputils-extension/themes": {"theme": THEMES[theme]},
                        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
                        "notebook-extension/tracker": {"windowingMode": "none"}})  # fmt: skip
        options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={self._port}", f"--notebook-dir={home}",
                   f"--IdentityProvider.token={self._token}"]  # fmt: skip
        command = [sys.executable, "-m", "jupyterlab", *options]
        with (home / "lab.log").open("wb") as log:
            self._server = subprocess.Popen(command, env=self._environment(), stdout=log, stderr=log)
        self._wait_until_it_answers()

    def _settings(self, settings: dict[str, dict[str, Any]]) -> None:
        for name, values in settings.items():
            path = self._home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))

    def _environment(self) -> dict[str, str]:
        places = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
                  "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
                  "IPYTHONDIR": "ipython"}  # fmt: skip
        own = {name: str(self._home / place) for name, place in places.items()}
        source = str(Path(__file__).resolve().parent.parent)
        return {
            **os.environ,
            **own,
            "K8SNB_RUNTIME": "simulated",
            "PYTHONPATH": os.pathsep.join(filter(None, (source, os.getenv("PYTHONPATH")))),
        }

    def _wait_until_it_answers(self) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self._server.poll() is None:
            try:
                urllib.request.urlopen(self._url("api/status"), timeout=5).close()
                return
            except OSError:
                time.sleep(0.2)
        self.close()
        raise AssertionError((self._home / "lab.log").read_text()[-2000:])

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._port}/{path}?token={self._token}"

    def open(self, browser: Any, name: str, *cells: str) -> Page:
        """A page on which the cells of a new notebook have run, each to its end."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
        opened = self.reopen(browser, name, notebook)
        opened.run_all(len(cells))
        return opened

    def reopen(self, browser: Any, name: str, notebook: nbformat.NotebookNode) -> Page:
        """A page with a notebook as it was saved, and a kernel in which nothing has run."""
        nbformat.write(notebook, self._home / f"{name}.ipynb")
        page = browser.new_page(viewport={"width": 1300, "height": 2400})
        page.set_default_timeout(PATIENCE * 1000)
        self._reach_kernel(page, f"lab/workspaces/{name}/tree/{name}.ipynb")
        return Page(page, f"{name}-{self.theme}", self._home / f"{name}.ipynb")

    def _reach_kernel(self, page: Any, path: str) -> None:
        """Load the page until its kernel answers: JupyterLab may miss the first word of one that starts slowly."""
        from playwright.sync_api import TimeoutError as Late

        for _ in range(3):
            page.goto(self._url(path))
            try:
                page.get_by_text("Python 3 (ipykernel) | Idle").first.wait_for(timeout=PATIENCE / 2 * 1000)
                return
            except Late:
                ARTEFACTS.mkdir(exist_ok=True)
                page.screenshot(path=ARTEFACTS / "no-kernel.png")
        raise AssertionError((self._home / "lab.log").read_text()[-2000:])

    def close(self) -> None:
        self._server.terminate()
        try:
            self._server.wait(20)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait(20)


class Page:
    """A notebook in a browser."""

    def __init__(self, page: Any, name: str, file: Path) -> None:
        self.page, self._name, self._file = page, name, file

    def run_all(self, count: int) -> None:
        self.page.locator(".jp-Notebook .jp-CodeCell").nth(count - 1).wait_for()
        self.page.get_by_role("menuitem", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        last = self.page.locator(".jp-InputPrompt", has_text=f"[{count}]:")
        failed = self.page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']")
        last.or_(failed).first.wait_for()
        if not last.count():
            raise AssertionError(failed.first.inner_text())

    def output(self, number: int) -> Any:
        """What is below a cell, counted from 1."""
        return self.page.locator(".jp-CodeCell").nth(number - 1).locator(".jp-OutputArea")

    def picture(self, number: int, word: str) -> Path:
        """Keep what is below a cell as a picture."""
        ARTEFACTS.mkdir(exist_ok=True)
        path = ARTEFACTS / f"{self._name}-{word}.png"
        self.output(number).scroll_into_view_if_needed()
        self.output(number).screenshot(path=path)
        return path

    def saved(self) -> nbformat.NotebookNode:
        """The notebook as a reader without a kernel gets it."""
        self.page.keyboard.press("Control+s")
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            read: nbformat.NotebookNode = nbformat.read(self._file, as_version=4)
            if all(cell.execution_count for cell in read.cells if cell.cell_type == "code"):
                return read
            time.sleep(0.2)
        raise AssertionError("the notebook was not saved")

    def close(self) -> None:
        self.page.close()
