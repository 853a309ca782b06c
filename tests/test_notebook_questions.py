"""Questions that a command asks: in a page through its input field, in a terminal through stdin."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from notebook_lab import Kernel

from k8snb import Cluster

pytestmark = [pytest.mark.process, pytest.mark.slow]
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    home = str(tmp_path_factory.mktemp("home"))
    kernel = Kernel({**os.environ, "HOME": home, "K8SNB_RUNTIME": "simulated", "PYTHONPATH": str(ROOT)})
    kernel.run("%load_ext k8snb")
    yield kernel
    kernel.close()


def test_a_page_is_asked_before_anything_is_deleted(kernel: Kernel) -> None:
    kernel.run("%kcreate configmap colours")
    prompts, answer = kernel.converse("%kdelete configmap colours -i", ["n"], interrupt=False)
    assert prompts == ["Do you want to continue? (y/n): "]
    assert answer.text("stdout") == "You are about to delete the following 1 resource(s):\nconfigmap/colours\n"
    assert answer.data("text/plain") == "deletion is cancelled"
    _, answer = kernel.converse("%kdelete configmap colours -i", ["y"], interrupt=False)
    assert answer.data("text/plain") == 'configmap "colours" deleted'


def test_a_page_that_cannot_be_asked_deletes_nothing(kernel: Kernel) -> None:
    kernel.run("%kcreate configmap kept")
    assert "nobody can be asked here" in kernel.run("%kdelete configmap kept -i").error
    assert not kernel.run("%kget configmap kept").failed


def test_what_v_tells_stands_beside_the_answer(kernel: Kernel) -> None:
    answer = kernel.run("%kget nodes -v=6")
    assert '"Response" verb="GET" url="/api/v1/nodes?limit=500" status="200 OK"' in answer.text("stderr")
    assert "control-plane" in answer.data("text/plain")
    answer = kernel.run("%kget pod nope -v=6")
    assert 'status="404 Not Found"' in answer.text("stderr") and answer.error.startswith("Error from server (NotFound)")


def test_a_terminal_is_asked_on_its_own_lines(tmp_path: Path) -> None:
    with Cluster("asked", nodes=1, runtime="simulated", seed=1) as cluster:
        cluster.kubectl.run("create configmap colours")
        (tmp_path / "config").write_text(cluster.kubeconfig)
        start = "import sys; from k8snb.cli import main; sys.exit(main(sys.argv[1:]))"
        words = [sys.executable, "-c", start, "kubectl", "delete", "configmap", "colours", "-i"]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "KUBECONFIG": str(tmp_path / "config"),
                       "HOME": str(tmp_path)}  # fmt: skip
        said = [subprocess.run(words, env=environment, input=given, capture_output=True, text=True, timeout=60).stdout
                for given in ("", "y\n")]  # fmt: skip
    question = (
        "You are about to delete the following 1 resource(s):\nconfigmap/colours\nDo you want to continue? (y/n): "
    )
    assert said == [f"{question}deletion is cancelled\n", f'{question}configmap "colours" deleted\n']
