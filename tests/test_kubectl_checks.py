"""kubectl's last checks: what a command does not do where what was asked cannot be had.

Transcripts that the real kubectl plays too are in `golden/kubectl/checks.txt` and `describe.txt`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from k8snb.apimachinery import jsonpath
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.kubectl import Kubectl, KubectlError, Stream

GREEDY = """\
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec:
  nodeName: node-1
  initContainers:
  - {name: first, image: busybox, resources: {requests: {cpu: 200m, ephemeral-storage: 1Gi}}}
  containers:
  - {name: main, image: nginx, resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}}
"""

LONELY = """\
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: lonely}}}}
spec:
  nodeSelector: {{kubernetes.io/hostname: {node}}}
  containers: [{{name: web, image: nginx}}]
"""


@pytest.fixture(scope="module")
def kubectl() -> Iterator[Kubectl]:
    with Cluster(runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        cluster.kubectl.run("create configmap kept --from-literal=a=1")
        cluster.kubectl.run("run talk --image=busybox -- sh -c 'echo one; echo two; sleep 9999'")
        cluster.kubectl.run("wait --for=condition=Ready pod/talk --timeout=60s")
        yield cluster.kubectl


def refusal(kubectl: Kubectl, line: str, stdin: str | None = None) -> str:
    with pytest.raises(KubectlError) as caught:
        kubectl.run(line, stdin)
    return caught.value.message


@pytest.mark.parametrize(
    "line",
    [
        "label configmap kept a=b -o nope",
        "annotate configmap kept a=b -o jsonpath",
        'patch configmap kept -p \'{"data":{"a":"2"}}\' -o wide',
        "delete configmap kept -o json",
        'patch configmap kept -p \'{"data":{"a":"2"}}\' -o go-template=\'{{\'',
        "create configmap other -o custom-columns=NAME",
    ],
)
def test_an_output_that_cannot_be_printed_is_refused_before_anything_is_written(kubectl: Kubectl, line: str) -> None:
    before = kubectl.run("get configmaps -A -o yaml").text
    refusal(kubectl, line)
    assert kubectl.run("get configmaps -A -o yaml").text == before


def test_a_prune_whose_selector_meets_no_manifest_takes_nothing_away(kubectl: Kubectl) -> None:
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: pruned, labels: {app: old}}\n"
    kubectl.run("apply -f -", manifest)
    assert refusal(kubectl, "apply --prune -l app=old -f -", manifest.replace("app: old", "app: new")) == (
        "error: no objects passed to apply"
    )
    assert kubectl.run("get configmap pruned -o name").text == "configmap/pruned\n"


def test_a_followed_log_ends_after_the_bytes_that_were_asked_for(kubectl: Kubectl) -> None:
    stream = kubectl.run("logs -f talk --limit-bytes=5")
    assert isinstance(stream, Stream)
    assert "".join(output.text for output in stream) == "one\nt"


def test_an_index_that_a_list_does_not_have_is_an_error_and_a_missing_field_is_not(kubectl: Kubectl) -> None:
    assert kubectl.run("get pod talk -o jsonpath='{.spec.nothing[0].x}'").text == ""
    said = refusal(kubectl, "get pods -l app=nobody -o jsonpath='{.items[0].metadata.name}'")
    assert said.endswith("array index out of bounds: index 0, length 0")
    assert jsonpath.find(".spec[3]", {"spec": []}) == []  # sorting and columns pass over it


def test_a_patch_that_cannot_be_read_is_shown_as_it_was_written(kubectl: Kubectl) -> None:
    assert '{"patch"' not in refusal(kubectl, "patch configmap kept -p '{'")
    changed = kubectl.run(
        "patch configmap kept --type=json -p '- {op: add, path: /data/b, value: x}' -o jsonpath={.data}"
    )
    assert changed.text == '{"a":"1","b":"x"}'


def test_what_a_node_has_given_away_counts_init_containers_and_storage(kubectl: Kubectl) -> None:
    """Source: `PodRequestsAndLimits` and `describeNodeResource` in `kubectl/pkg/describe/describe.go`."""
    kubectl.run("apply -f -", GREEDY)
    page = kubectl.run("describe node node-1").text
    pods, totals = page.partition("Allocated resources:")[::2]
    assert any(line.split()[:3] == ["default", "greedy", "200m"] for line in pods.splitlines())
    assert any(line.split()[:2] == ["ephemeral-storage", "1Gi"] for line in totals.splitlines())


def test_an_expression_is_no_selector_of_a_service_however_few_values_it_has(kubectl: Kubectl) -> None:
    kubectl.run("create service clusterip plain --tcp=80")
    assert "not supported on this object" in refusal(kubectl, "set selector service plain 'app in (web)'")


def test_one_workload_that_cannot_be_rolled_out_does_not_keep_the_others_back(kubectl: Kubectl) -> None:
    for name in ("first", "last"):
        kubectl.run(f"create deployment {name} --image=nginx")
    assert 'configmaps "kept"' in refusal(kubectl, "rollout restart deployment/first configmap/kept deployment/last")
    for name in ("first", "last"):
        assert "restartedAt" in kubectl.run(f"get deployment {name} -o jsonpath={{.spec.template}}").text


@pytest.mark.parametrize("name", ["memroy", "pods"])
def test_a_container_asks_only_for_what_a_node_can_give(kubectl: Kubectl, name: str) -> None:
    """Source: `validateContainerResourceName` in pkg/apis/core/validation/validation.go."""
    manifest = GREEDY.replace("name: greedy", "name: odd").replace("memory: 64Mi", f"{name}: 64Mi")
    place = f'spec.containers[0].resources.requests[{name}]: Invalid value: "{name}": '
    assert f"{place}must be a standard resource for containers" in refusal(kubectl, "apply -f -", manifest)


@pytest.mark.parametrize(("word", "meant"), [("selctor", ' (did you mean "--selector"?)'), ("all", "")])
def test_only_a_flag_that_is_near_is_suggested(kubectl: Kubectl, word: str, meant: str) -> None:
    first, _ = refusal(kubectl, f"get pods --{word}").split("\n")
    assert first == f"error: unknown flag: --{word}{meant}"


def test_one_log_that_cannot_be_had_keeps_the_others_back_unless_it_is_ignored(kubectl: Kubectl) -> None:
    """kubectl takes several pods in an order of chance, so that no transcript can hold this."""
    for name, node in (("heard", "node-1"), ("silent", "nowhere")):
        kubectl.run("create -f -", LONELY.format(name=name, node=node))
    kubectl.run("wait --for=condition=Ready pod/heard --timeout=60s")
    silent = "pod silent does not have a host assigned"
    assert kubectl.run("logs -l app=lonely --ignore-errors").text.splitlines()[-1] == f"error: {silent}"
    told = kubectl.run("logs -l app=lonely")
    assert "ready for start up" in told.text and told.exit_code == 1
    assert told.errors == [f"Error from server (BadRequest): {silent}"]
