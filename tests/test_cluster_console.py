"""k8snb cluster: %kcluster's lines in a terminal, for a cluster in that very process."""

from __future__ import annotations

import io
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8snb.cli import main

START = ["cluster", "start", "--driver", "simulated", "--nodes", "1"]


class Terminal(io.StringIO):
    """Standard input of somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("K8SNB_HOME", str(tmp_path))
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_lines_that_are_piped_in_are_carried_out_in_turn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("minikube status\n\n# what it holds\nkubectl get nodes -o name\n"))
    assert main(START) == 0
    out = capsys.readouterr().out
    assert 'Done! cluster "k8snb" is running' in out
    assert "type: Control Plane" in out and "node/node-1\n" in out


def test_a_line_that_fails_says_why_on_stderr_and_in_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = "node stop nope\nkubectl get pod nope\nstatus 'x\nexit\nstatus\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    assert main(START) == 1
    said = capsys.readouterr()
    assert 'error: there is no node "nope"' in said.err and 'pods "nope" not found' in said.err
    assert "No closing quotation" in said.err
    assert "type: Control Plane" not in said.out


def test_who_types_is_told_what_to_type_and_is_not_failed_for_a_slip(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("statis\nstatus\n"))
    assert main(START) == 0
    said = capsys.readouterr()
    assert "exit or Ctrl-D ends the cluster, which lives in this process" in said.out
    assert 'did you mean "status"?' in said.err and said.out.count("kcluster> ") == 3


def test_a_line_for_a_cluster_of_no_process_says_where_clusters_live(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["stop"], ["-p", "two", "node", "list"]):
        assert main(["cluster", *words]) == 1
        said = capsys.readouterr().err
        assert "a cluster lives in the process that started it: k8snb cluster start" in said
    assert "%kcluster node list" in said


def test_help_and_defaults_need_no_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cluster", "-h"]) == 0
    assert main(["cluster", "config", "set", "driver", "simulated"]) == 0
    assert main(["cluster", "config", "view"]) == 0
    out = capsys.readouterr().out
    assert "addons enable NAME" in out and "- driver: simulated\n" in out


@pytest.mark.parametrize("words", [["--memory", "4x"], ["--cpus", "none"], ["--driver", "vbox"]])
def test_up_refuses_sizes_and_drivers_that_are_none(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["up", *words])
    assert ended.value.code == 2 and words[0] in capsys.readouterr().err


def test_up_refuses_an_add_on_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["up", "--driver", "simulated", "--addons", "heapster", "--kubeconfig", str(tmp_path / "config")]
    before = signal.getsignal(signal.SIGINT)
    try:
        assert main(line) == 1
    finally:
        signal.signal(signal.SIGINT, before)
    assert '"heapster" is not a valid add-on' in capsys.readouterr().err
