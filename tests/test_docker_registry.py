"""Images from a real registry on this machine: one that is well, and one that is private, empty, down, slow or cut off.

The reasons and events are those of `pkg/kubelet/images/image_manager.go` of the kubernetes repository.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

import pytest
import registry
from docker_images import image_layers
from registry import PASSWORD, USER, Registry, Relay, forget, pushed

from k8snb.apimachinery.meta import get_path, is_true
from k8snb.cluster import Cluster
from k8snb.cri.docker_engine import connected
from k8snb.kubelet import backoff
from k8snb.notebook import pulling

pytestmark = pytest.mark.docker

PATIENCE = 120.0


class Lab(NamedTuple):
    """A cluster of one node, an open and a private registry, and a relay before the open one."""

    api: Any
    cluster: Cluster
    open: Registry
    private: Registry
    relay: Relay

    def run(self, name: str, image: str, policy: str = "IfNotPresent", secret: str = "") -> None:
        main = {"name": "main", "image": image, "imagePullPolicy": policy, "command": ["sleep", "600"]}
        secrets = [{"name": secret}] if secret else []
        spec = {"containers": [main], "imagePullSecrets": secrets, "terminationGracePeriodSeconds": 0}
        self.cluster.client.create("pods", {"metadata": {"name": name}, "spec": spec}, "default")

    def pod(self, name: str) -> Any:
        return self.cluster.client.get("pods", name, "default")

    def waiting(self, name: str) -> Any:
        status = (get_path(self.pod(name), "status.containerStatuses") or [{}])[0]
        return get_path(status, "state.waiting") or {"reason": "", "message": ""}

    def events(self, name: str) -> list[tuple[str, str]]:
        found = self.cluster.client.items("events", "default", fieldSelector=f"involvedObject.name={name}")
        return [(event["reason"], event["message"]) for event in found]

    def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        assert self.cluster.wait(condition, seconds), self.cluster.kubectl.run("get pods,events").text

    def end(self, *names: str) -> None:
        """With its pods the engine lets go of their images."""
        for name in names:
            self.cluster.client.delete("pods", name, "default")
        self.until(lambda: not self.cluster.runtime.list_containers("node-1"))

    def ready(self, name: str) -> None:
        self.until(lambda: is_true(self.pod(name), "Ready"))

    def fails(self, name: str, words: str) -> None:
        """The image cannot be had, first ErrImagePull, then ImagePullBackOff, with the same words."""
        self.until(lambda: self.waiting(name)["reason"] in ("ErrImagePull", "ImagePullBackOff"))
        self.until(lambda: self.waiting(name)["reason"] == "ImagePullBackOff")
        assert words in self.waiting(name)["message"]
        reasons = [reason for reason, _ in self.events(name)]
        assert {"Pulling", "Failed", "BackOff"} <= set(reasons)
        assert ("Failed", "Error: ErrImagePull") in self.events(name)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    if registry.why_not():
        pytest.skip(registry.why_not())
    with ExitStack() as stack:
        api = stack.enter_context(connected())
        stack.enter_context(image_layers(api))
        well, private = (stack.enter_context(registry.registry(private=wish)) for wish in (False, True))
        relay = stack.enter_context(registry.relay(well))
        cluster = stack.enter_context(Cluster(f"k8snb-test-registry-{os.getpid()}", runtime="docker", nodes=1))
        yield Lab(api, cluster, well, private, relay)


def secret(lab: Lab, name: str, password: str) -> str:
    auths = {lab.private.host: {"username": USER, "password": password}}
    data = base64.b64encode(json.dumps({"auths": auths}).encode()).decode()
    made = {"metadata": {"name": name}, "type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": data}}
    lab.cluster.client.create("secrets", made, "default")
    return name


def test_the_pull_policy_says_when_the_registry_is_asked(lab: Lab) -> None:
    with pushed(lab.api, f"{lab.open.host}/shop:1") as image:
        lab.run("never", image, "Never")
        lab.until(lambda: lab.waiting("never")["reason"] == "ErrImageNeverPull")
        assert lab.waiting("never")["message"] == (
            f'Container image "{image}" is not present with pull policy of Never'
        )
        lab.run("first", image)
        lab.ready("first")
        (pulled,) = [text for reason, text in lab.events("first") if reason == "Pulled"]
        assert pulled.startswith(f'Successfully pulled image "{image}" in ') and "Image size: " in pulled
        lab.run("second", image)
        lab.run("always", image, "Always")
        lab.ready("second")
        lab.ready("always")
        assert ("Pulled", f'Container image "{image}" already present on machine') in lab.events("second")
        assert ("Pulling", f'Pulling image "{image}"') in lab.events("always")
        lab.end("never", "first", "second", "always")


def test_a_private_registry_gives_its_images_to_those_who_have_the_password(lab: Lab) -> None:
    """Who cannot have it hears so; a tag that is not there is another thing than a password that is wrong."""
    auth = {"username": USER, "password": PASSWORD}
    with pushed(lab.api, f"{lab.private.host}/shop:1", auth=auth) as image:
        right, wrong = secret(lab, "right", PASSWORD), secret(lab, "wrong", "let-me-in")
        lab.run("stranger", image)
        lab.run("guesser", image, secret=wrong)
        lab.run("mistaken", f"{lab.private.host}/shop:2", secret=right)
        lab.fails("stranger", "needs a login")
        lab.fails("guesser", "needs a login")
        lab.fails("mistaken", "the registry has no such image or tag")
        lab.run("member", image, secret=right)
        lab.ready("member")
        lab.end("stranger", "guesser", "mistaken", "member")


def test_a_pod_whose_registry_was_down_runs_when_that_is_back(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream waits ten seconds before the second try (`backOffPeriod` in pkg/kubelet/kubelet.go)."""
    monkeypatch.setattr(backoff, "INITIAL", 4.0)
    with pushed(lab.api, f"{lab.open.host}/late:1") as image:
        lab.open.stop()
        lab.run("late", image)
        lab.fails("late", "nothing answers at the registry")
        assert "next try at" in lab.waiting("late")["message"]
        lab.open.start()
        lab.ready("late")
        lab.end("late")


def test_a_slow_pull_says_how_far_each_layer_is(lab: Lab) -> None:
    """Three layers at a time, as the engine does."""
    with pushed(lab.api, f"{lab.open.host}/slow:1", layers=3, size=1_500_000):
        image = f"{lab.relay.host}/slow:1"
        lab.relay.rate = 1_000_000
        told: list[tuple[int, int, int]] = []

        def watched() -> bool:
            layers = lab.cluster.pulls().get(image, ())
            told.append((sum(layer.done for layer in layers), sum(layer.done > 0 for layer in layers), len(layers)))
            return is_true(lab.pod("slow"), "Ready")

        try:
            lab.run("slow", image)
            lab.until(lambda: bool(pulling.lines(lab.cluster)))
            assert pulling.lines(lab.cluster)[0].startswith(f"pulling {image}: ")
            lab.until(watched)
        finally:
            lab.relay.rate = 0
        assert max(parts for _, parts, _ in told) > 1
        assert max(count for _, _, count in told) == 4  # busybox is below them, and here already
        amounts = [done for done, _, _ in told if done]
        assert len(set(amounts)) > 1 and amounts == sorted(amounts)
        assert lab.cluster.pulls() == {}
        lab.end("slow")
        forget(lab.api, image)


def test_a_pull_that_is_cut_off_is_told_and_tried_again(lab: Lab) -> None:
    """In the middle of a layer the engine itself tries again; where nothing was answered, the kubelet does."""
    with pushed(lab.api, f"{lab.open.host}/cut:1", size=400_000):
        image = f"{lab.relay.host}/cut:1"
        lab.relay.cuts, lab.relay.cut_after = 1, 200_000
        try:
            lab.run("cut", image)
            lab.until(lambda: any("; retrying in" in line for line in pulling.lines(lab.cluster)))
            lab.relay.cuts, lab.relay.cut_after = 100, 0
            lab.run("refused", f"{lab.relay.host}/other:1")
            lab.fails("refused", "the registry broke the connection off")
            lab.relay.cuts = 0
            lab.ready("cut")
        finally:
            lab.relay.cuts = 0
        lab.end("cut", "refused")
        forget(lab.api, image)
