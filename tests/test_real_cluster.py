"""The transcripts on a cluster that somebody else runs, as kubectl of a terminal reaches it, in a namespace of its own.

With K8SNB_REAL_CLUSTER=yes that is the cluster that KUBECONFIG names; a Namespace is made there and deleted. Else it is
a served one of ours, whose kubeconfig is all that is known of it.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from test_golden_kubectl import TRANSCRIPTS, ids, played
from test_terminal import here, in_home, run

from k8snb import Cluster

pytestmark = pytest.mark.process
OURS = [sys.executable, "-c", "import sys; from k8snb.cli import main; sys.exit(main())", "kubectl"]
ANYWHERE = ("diff", "edit", "patch", "last_applied")  # transcripts that need no node and look at no other namespace
REAL = os.environ.get("K8SNB_REAL_CLUSTER") == "yes"


def _kubeconfig(stack: list[Cluster]) -> str:
    if REAL:
        command = ["kubectl", "config", "view", "--minify", "--flatten", "--raw"]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    stack.append(Cluster("elsewhere", nodes=2, runtime="simulated", seed=1))
    stack[0].start()
    return stack[0].kubeconfig


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A directory with a kubeconfig that means a fresh namespace of the cluster, and the namespace."""
    running: list[Cluster] = []
    try:
        config = yaml.safe_load(_kubeconfig(running))
        namespace = f"k8snb-{secrets.token_hex(4)}"
        for entry in config["contexts"]:
            entry["context"]["namespace"] = namespace
        (tmp_path / "config").write_text(yaml.safe_dump(config))
        assert run(OURS, f"create namespace {namespace}", tmp_path)[2] == 0
        yield tmp_path, namespace
        run(OURS, f"delete namespace {namespace} --wait=false", tmp_path)
    finally:
        for cluster in running:
            cluster.delete()


@pytest.mark.parametrize("path", [path for path in TRANSCRIPTS if path.stem in ANYWHERE], ids=ids)
def test_a_cluster_elsewhere_prints_the_transcript(
    path: Path, place: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home, namespace = place

    def say(words: str, given: str) -> str:
        out, err, code = here(words, given, monkeypatch, capfd)
        return (out + err).replace(namespace, "default") + (f"[exit {code}]" if code else "")

    in_home(home, monkeypatch)
    wrong = played(path, say, "k8snb")
    assert not wrong, "\n\n".join(wrong)
