"""Tab where it is pressed: in a shell, and in a page's kernel."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from notebook_lab import Kernel

from k8snb import Cluster
from k8snb.kubectl.completion_script import BASH, SCRIPTS, ZSH

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with a kubeconfig for a served cluster, and with a `k8snb` that a shell finds."""
    folder = tmp_path_factory.mktemp("shell")
    program = folder / "k8snb"
    start = "import sys; from k8snb.cli import main; sys.exit(main(sys.argv[1:]))"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{start}' \"$@\"\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with Cluster("shell", nodes=1, runtime="simulated", seed=1) as cluster:
        (folder / "config").write_text(cluster.kubeconfig)
        cluster.kubectl.run("create configmap colours --from-literal=a=b")
        yield folder


def environment(place: Path) -> dict[str, str]:
    path = f"{place}:{os.environ['PATH']}"
    return {"PATH": path, "PYTHONPATH": str(ROOT), "KUBECONFIG": str(place / "config"), "HOME": str(place)}


def in_bash(place: Path, line: str) -> list[str]:
    """What bash would offer at the end of a line."""
    script = f'{BASH}\nCOMP_LINE="$1"; COMP_POINT=${{#1}}; _k8snb; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", script, "bash", line], env=environment(place), capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.process
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("k8snb kubectl rollo", ["rollout"]),
        ("k8snb kubectl get configmap colo", ["colours"]),
        ("k8snb kubectl get cm/colo", ["cm/colours"]),
        ("k8snb kubectl -n kube-p", ["kube-public"]),
        ("k8snb kubectl get pods -n kube-p", ["kube-public"]),
        ("k8snb kubectl apply --dry-run=s", ["server"]),
        ("k8snb lab ", []),
    ],
)
def test_tab_in_bash(place: Path, line: str, found: list[str]) -> None:
    if shutil.which("bash") is None:
        pytest.skip("optional: bash is not installed")
    assert in_bash(place, line) == found


@pytest.mark.process
def test_zsh_can_read_its_script(place: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("optional: zsh is not installed")
    done = subprocess.run(["zsh", "-c", ZSH], env=environment(place), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.process
@pytest.mark.parametrize("shell", SCRIPTS)
def test_each_shell_has_a_script_that_asks_for_every_tab(place: Path, shell: str) -> None:
    words = [str(place / "k8snb"), "kubectl", "completion", shell]
    done = subprocess.run(words, env=environment(place), capture_output=True, text=True)
    assert done.stdout == SCRIPTS[shell] and "kubectl __complete" in done.stdout


@pytest.mark.slow
def test_tab_in_a_kernel_offers_kubectls_words_and_none_of_pythons(tmp_path: Path) -> None:
    kernel = Kernel({**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path), "K8SNB_RUNTIME": "simulated"})
    try:
        kernel.run("%load_ext k8snb")
        kernel.run("%kcreate configmap colours --from-literal=a=b\n%klabel configmap colours stage=test")
        assert kernel.complete("%kget configmap colo") == ["colours"]
        assert kernel.complete("found = %kget cm -l sta") == ["stage"]
        assert kernel.complete("%kget cm -l stage=") == ["stage=test"]
        assert kernel.complete("%%kapply --dry-run=s") == ["--dry-run=server"]
        assert kernel.complete("%kubectl get ns kube-p") == ["kube-public"]
    finally:
        kernel.close()
