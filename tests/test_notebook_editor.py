"""The editor in the page: what its buttons do, and what stays on the page."""

from __future__ import annotations

import random

import pytest

from k8snb.apiserver.server import ApiServer
from k8snb.client import Client
from k8snb.clock import VirtualClock
from k8snb.etcd.memory import MemoryStore
from k8snb.kubectl import Kubectl
from k8snb.notebook.editor import Editor


@pytest.fixture
def kubectl() -> Kubectl:
    clock = VirtualClock()
    server = ApiServer(MemoryStore(), clock, dice=random.Random(1), service_cidr="10.96.0.0/16")
    server.bootstrap()
    kubectl = Kubectl(Client(server), clock_now=clock.now)
    kubectl.run("create deployment web --image=nginx --replicas=1")
    return kubectl


@pytest.fixture
def editor(kubectl: Kubectl) -> Editor:
    return Editor(kubectl.draft("edit deploy/web"))


def typed(editor: Editor, old: str, new: str) -> None:
    editor.area.value = editor.area.value.replace(old, new, 1)


def replicas(kubectl: Kubectl) -> str:
    return kubectl.run("get deploy web -o jsonpath={.spec.replicas}").text


def test_saving_sends_what_was_typed(kubectl: Kubectl, editor: Editor) -> None:
    typed(editor, "replicas: 1", "replicas: 3")
    editor.save()
    assert editor.result is not None and editor.result.text == "deployment.apps/web edited\n"
    assert replicas(kubectl) == "3"


def test_a_refusal_stands_above_the_text_which_stays(kubectl: Kubectl, editor: Editor) -> None:
    typed(editor, "replicas: 1", "replicas: -1")
    editor.save()
    assert "must be greater than or equal to 0" in editor.message.value
    assert "replicas: -1" in editor.area.value and editor.result is None
    typed(editor, "replicas: -1", "replicas: 2")
    editor.save()
    assert replicas(kubectl) == "2"


def test_cancelling_changes_nothing(kubectl: Kubectl, editor: Editor) -> None:
    typed(editor, "replicas: 1", "replicas: 3")
    editor.cancel()
    assert repr(editor) == "Edit cancelled, no changes made."
    assert replicas(kubectl) == "1"


def test_a_page_without_a_kernel_shows_the_text(editor: Editor) -> None:
    bundle = editor._bundle()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "replicas: 1" in bundle["text/html"] and "replicas: 1" in bundle["text/plain"]


def test_what_an_object_remembers_can_be_edited_in_the_page(kubectl: Kubectl) -> None:
    kubectl.run("apply -f -", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: r}\ndata: {a: before}\n")
    editor = Editor(kubectl.draft("apply edit-last-applied configmap r"))
    typed(editor, "before", "after")
    editor.save()
    assert editor.result is not None and editor.result.text == "configmap/r edited\n"
    assert "a: after" in kubectl.run("apply view-last-applied configmap r").text
    assert kubectl.run("get configmap r -o jsonpath={.data.a}").text == "before"
