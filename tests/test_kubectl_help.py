"""kubectl's help: made of the grammar's rows, and true of the commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from k8snb import Cluster
from k8snb.clock import VirtualClock
from k8snb.kubectl import KubectlError, help
from k8snb.kubectl.commands import COMMANDS, ROWS
from k8snb.kubectl.grammar import Command

RUN = [row for row in ROWS if row.run is not None and not row.hidden]
# `config` works on kubeconfig files, which a client of one cluster has none of; `drain` goes on for as long as another
# example's budget objects.
HERE = [row for row in RUN if row.name.split()[0] not in ("config", "drain")]
MISREAD = ("unknown", "not implemented", "required flag", "flag needs", "is required", "unexpected arg")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster("help", nodes=2, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        yield cluster


@pytest.mark.parametrize("row", RUN, ids=lambda row: row.name)
def test_every_command_shows_examples(row: Command) -> None:
    assert row.examples and f"  {row.examples[0]}" in help.page(row, ROWS)


@pytest.mark.parametrize("row", HERE, ids=lambda row: row.name)
def test_every_example_is_understood_by_its_command(
    cluster: Cluster, row: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an example names is mostly not there; but nothing in it is misread, and nothing breaks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.setattr(cluster.kubectl, "editor", lambda text, suffix: text)
    for example in row.examples:
        try:
            stop = getattr(cluster.kubectl.run(example), "stop", None)
            if stop is not None:
                stop()
        except KubectlError as error:
            assert not [word for word in MISREAD if word in error.message.splitlines()[0]], (example, error.message)


def test_help_of_a_command_is_the_same_in_every_form(cluster: Cluster) -> None:
    for name in ("get", "rollout status", "create secret generic"):
        texts = {cluster.kubectl.run(line).text for line in (f"help {name}", f"{name} --help", f"{name} -h")}
        assert texts == {help.page(COMMANDS[name], ROWS)}
    assert cluster.kubectl.run("help").text == cluster.kubectl.run("--help").text


def test_help_of_what_is_no_command_names_the_nearest(cluster: Cluster) -> None:
    with pytest.raises(KubectlError, match=r'unknown command "gte" for "kubectl" .did you mean "get"'):
        cluster.kubectl.run("help gte")


def test_tab_finds_what_there_is_help_for(cluster: Cluster) -> None:
    assert cluster.kubectl.complete(["help", "rollo"]) == ["rollout"]
    assert cluster.kubectl.complete(["help", "rollout", "re"]) == ["restart", "resume"]
