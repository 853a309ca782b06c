"""kubectl's flags that ask less of the cluster, or otherwise: `--local`, `--chunk-size`, `-f` in place of a name.

Sources: the help of kubectl 1.33's `patch`, `label`, `get`, `exec`, `run` and `replace`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from k8snb import Cluster
from k8snb.clock import VirtualClock
from k8snb.kubectl import Kubectl, KubectlError, Stream

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: one}\n"
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web, image: nginx}]}\n"


@pytest.fixture
def kubectl() -> Iterator[Kubectl]:
    with Cluster("local", nodes=1, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        yield cluster.kubectl


def refused(kubectl: Kubectl, line: str, given: str = "") -> str:
    with pytest.raises(KubectlError) as caught:
        kubectl.run(line, given or None)
    return caught.value.message


def test_local_changes_are_printed_and_not_sent(kubectl: Kubectl) -> None:
    assert kubectl.run("label -f - a=b --local", CONFIG_MAP).text == "configmap/a labeled\n"
    changed = kubectl.run("""patch -f - -p '{"data":{"y":"two"}}' --local -o yaml""", CONFIG_MAP).object
    assert changed and changed["data"] == {"x": "one", "y": "two"}
    assert "NotFound" in refused(kubectl, "get cm a")
    assert refused(kubectl, "label cm a x=y --local").startswith("error: you must specify resources by --filename")


def test_a_list_in_pages_is_the_same_list(kubectl: Kubectl) -> None:
    for number in range(5):
        kubectl.run(f"create configmap cm-{number}")
    whole = kubectl.run("get cm --chunk-size=0 -o name").text
    assert whole == kubectl.run("get cm --chunk-size=2 -o name").text and len(whole.splitlines()) == 6


def test_a_file_says_what_is_meant_where_a_name_would(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(POD)
    kubectl.run(f"apply -f {tmp_path}/pod.yaml")
    kubectl.run("wait --for=condition=Ready pod/web --timeout=60s")
    assert kubectl.run(f"exec -f {tmp_path}/pod.yaml -- echo hello").text == "hello\n"
    stream = cast(Stream, kubectl.run(f"get -f {tmp_path}/pod.yaml -w"))
    assert "web" in next(iter(stream)).text
    stream.stop()
    two = "error: watch is only supported on individual resources and resource collections - 2 resources were found"
    assert refused(kubectl, "get -f - -w", f"{POD}---\n{CONFIG_MAP}") == two


def test_events_go_on_with_what_is_said_from_then_on(kubectl: Kubectl) -> None:
    kubectl.run("run web --image=nginx")
    kubectl.run("wait --for=condition=Ready pod/web --timeout=60s")
    stream = cast(Stream, kubectl.run("events --watch --for pod/web"))
    told = iter(stream)
    assert next(told).text.startswith("LAST SEEN") and "Started" in stream.text
    kubectl.run("delete pod web --wait=false")
    assert "Killing" in next(told).text
    stream.stop()


def test_a_pod_that_is_run_can_be_exposed_and_patched_in_three_ways(kubectl: Kubectl) -> None:
    assert kubectl.run("run web --image=nginx --port=80 --expose").text == "service/web created\npod/web created\n"
    json = """[{"op": "add", "path": "/metadata/labels/x", "value": "y"}]"""
    made = kubectl.run_pod("one", image="nginx", overrides=json, override_type="json").object
    assert made and made["metadata"]["labels"] == {"run": "one", "x": "y"}
    strategic = """{"spec": {"containers": [{"name": "two", "tty": true}]}}"""
    made = kubectl.run_pod("two", image="nginx", overrides=strategic, override_type="strategic").object
    assert made and made["spec"]["containers"][0]["tty"] and made["spec"]["containers"][0]["image"] == "nginx"


def test_a_pod_that_runs_once_gives_its_output_its_exit_code_and_goes(kubectl: Kubectl) -> None:
    answer = kubectl.run("run once --image=busybox -i --rm --restart=Never -- sh -c 'echo hi; exit 3'")
    assert answer.exit_code == 3
    assert answer.text == 'hi\npod default/once terminated (Error)\npod "once" deleted\n'
    assert "NotFound" in refused(kubectl, "get pod once")


def test_replacing_by_force_heeds_the_flags_that_belong_to_it(kubectl: Kubectl) -> None:
    kubectl.run("create -f -", CONFIG_MAP)
    assert refused(kubectl, "replace -f - --grace-period=1", CONFIG_MAP).startswith("error: --grace-period must have")
    assert kubectl.run("replace -f - --force --timeout=5s", CONFIG_MAP).text.endswith("configmap/a replaced\n")
