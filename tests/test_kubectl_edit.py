"""kubectl edit: what becomes of a text that a user has changed."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from k8snb.apiserver.server import ApiServer
from k8snb.client import Client
from k8snb.clock import VirtualClock
from k8snb.etcd.memory import MemoryStore
from k8snb.kubectl import Kubectl, KubectlError

Edits = Callable[[str], str]
REJECTED = "spec.replicas: Invalid value: -1: must be greater than or equal to 0"


@pytest.fixture
def kubectl() -> Kubectl:
    clock = VirtualClock()
    server = ApiServer(MemoryStore(), clock, dice=random.Random(1), service_cidr="10.96.0.0/16")
    server.bootstrap()
    kubectl = Kubectl(Client(server), clock_now=clock.now)
    kubectl.run("create deployment web --image=nginx --replicas=1")
    return kubectl


def edited(kubectl: Kubectl, line: str, *edits: Edits) -> list[str]:
    """Run a line while a user changes what is shown, time after time; what was shown."""
    shown: list[str] = []

    def editor(text: str, suffix: str) -> str:
        shown.append(text)
        return edits[min(len(shown), len(edits)) - 1](text)

    kubectl.editor = editor
    kubectl.run(line)
    return shown


def replacing(old: str, new: str) -> Edits:
    return lambda text: text.replace(old, new, 1)


def replicas(kubectl: Kubectl) -> str:
    return kubectl.run("get deploy web -o jsonpath={.spec.replicas}").text


def test_an_object_is_changed_as_it_was_typed(kubectl: Kubectl) -> None:
    edited(kubectl, "edit deploy/web", replacing("replicas: 1", "replicas: 5"))
    assert replicas(kubectl) == "5"


def test_what_the_server_refuses_comes_back_with_its_complaint_and_all_that_was_typed(kubectl: Kubectl) -> None:
    """Source: `kubectl/pkg/cmd/util/editor/editoptions.go`."""
    wrong, right = replacing("replicas: 1", "replicas: -1"), replacing("replicas: -1", "replicas: 2")
    _, again = edited(kubectl, "edit deploy/web", wrong, right)
    assert f"# * {REJECTED}" in again and "replicas: -1" in again
    assert replicas(kubectl) == "2"


def test_text_that_is_no_yaml_comes_back_with_the_line(kubectl: Kubectl) -> None:
    _, again = edited(
        kubectl,
        "edit deploy/web",
        replacing("  replicas: 1", "  replicas: [1"),
        replacing("  replicas: [1", "  replicas: 3"),
    )
    assert re.search(r"# The edited file had a syntax error: .*line \d+", again)
    assert replicas(kubectl) == "3"


def test_giving_up_leaves_a_copy_of_what_was_typed(kubectl: Kubectl) -> None:
    with pytest.raises(KubectlError) as caught:
        edited(kubectl, "edit deploy/web", replacing("replicas: 1", "replicas: -1"), lambda text: text)
    found = re.search(r'stored to "(.*)"', caught.value.message)
    assert found is not None
    copy = Path(found[1])
    assert "replicas: -1" in copy.read_text()
    copy.unlink()


def test_what_others_change_meanwhile_stays(kubectl: Kubectl) -> None:
    """Only the difference is sent: a controller that writes the status does not stand in the way."""

    def slow(text: str) -> str:
        kubectl.run("label deploy/web tier=front")
        return text.replace("replicas: 1", "replicas: 4")

    edited(kubectl, "edit deploy/web", slow)
    assert replicas(kubectl) == "4"
    assert kubectl.run("get deploy web -o jsonpath={.metadata.labels.tier}").text == "front"


def test_an_empty_text_changes_nothing(kubectl: Kubectl) -> None:
    kubectl.editor = lambda text, suffix: "# nothing\n"
    assert kubectl.run("edit deploy/web").text == "Edit cancelled, saved file was empty.\n"


def test_an_editor_that_is_not_there_is_named(kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBE_EDITOR", "no-such-editor 2>/dev/null")
    with pytest.raises(KubectlError) as caught:
        kubectl.run("edit deploy/web")
    assert "no-such-editor" in caught.value.message and "KUBE_EDITOR" in caught.value.message


MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: fresh\ndata:\n  a: before\n"


def created(kubectl: Kubectl, *edits: Edits) -> str:
    """What `create --edit` answers."""
    turns = iter(edits)
    kubectl.editor = lambda text, suffix: next(turns)(text)
    return kubectl.run("create --edit -f -", MANIFEST).text


def test_a_manifest_is_created_as_it_was_typed(kubectl: Kubectl) -> None:
    """Source: `EditBeforeCreateMode` in `kubectl/pkg/cmd/util/editor/editoptions.go`."""
    assert created(kubectl, replacing("before", "after")) == "configmap/fresh created\n"
    assert kubectl.run("get cm fresh -o jsonpath={.data.a}").text == "after"


def test_a_manifest_that_nobody_changed_is_not_created(kubectl: Kubectl) -> None:
    assert created(kubectl, lambda text: text) == "Edit cancelled, no changes made.\n"
    assert created(kubectl, lambda text: "# nothing\n") == "Edit cancelled, saved file was empty.\n"
    with pytest.raises(KubectlError, match="not found"):
        kubectl.run("get cm fresh")


def test_a_manifest_that_the_server_refuses_comes_back(kubectl: Kubectl) -> None:
    wrong, right = replacing("name: fresh", "name: Not Good"), replacing("name: Not Good", "name: good")
    assert created(kubectl, wrong, right) == "configmap/good created\n"
