"""Hosts: which runtime a cluster stands on, and why."""

from __future__ import annotations

import sys

import pytest

from k8snb import hosts


def test_a_wish_is_a_command() -> None:
    assert hosts.choose("simulated") == ("simulated", "you asked for it")


def test_a_word_that_is_no_runtime_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match="choose auto, docker, process or simulated"):
        hosts.choose("podman")


def test_a_kernel_takes_over_what_its_starter_chose_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SNB_RUNTIME", "process")
    monkeypatch.setenv("K8SNB_WHY", "the images did not come")
    assert hosts.choose() == ("process", "the images did not come")
    assert hosts.choose("simulated")[0] == "simulated", "a word in the cell outweighs the environment"


def test_without_an_engine_containers_are_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("K8SNB_RUNTIME", raising=False)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    runtime, why = hosts.choose()
    assert runtime == "process"
    assert "Docker" in why


def test_on_windows_containers_are_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("K8SNB_RUNTIME", raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    runtime, why = hosts.choose()
    assert runtime == "simulated"
    assert "Windows" in why
