"""kubectl's rarer flags: each does what it says, and those that are missing say why.

Sources are named with the flags' own modules; what kubectl prints for them is in `golden/kubectl/flags.txt`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8snb import Cluster
from k8snb.clock import VirtualClock
from k8snb.kubectl import KubectlError
from k8snb.kubectl.commands import ROWS
from k8snb.kubectl.grammar import MISSING_EVERYWHERE, REASONS

POD = """apiVersion: v1
kind: Pod
metadata: {name: bare, labels: {app: %s}}
spec: {containers: [{name: %s, image: "nginx:1.25"}]}
"""
MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, labels: {set: one}%s}\n"


@pytest.fixture(scope="module")
def shared() -> Iterator[Cluster]:
    with Cluster("flags", nodes=1, runtime="simulated", seed=1, clock=VirtualClock()) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: Cluster, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The cluster, in a namespace of the test's own."""
    name = request.node.name.replace("_", "-")[:40].strip("-")
    shared.kubectl.run(f"create namespace {name}")
    shared.kubectl.namespace = name
    yield shared
    shared.kubectl.namespace = "default"


def said(cluster: Cluster, words: str, given: str | None = None) -> str:
    return cluster.kubectl.run(words, given).text


def refused(cluster: Cluster, words: str, given: str | None = None) -> str:
    with pytest.raises(KubectlError) as caught:
        cluster.kubectl.run(words, given)
    return caught.value.message


# apply


def test_apply_leaves_alone_what_others_have_changed_where_it_is_told_to(cluster: Cluster) -> None:
    said(cluster, "apply -f -", POD % ("one", "web"))
    said(cluster, "label pod bare app=mine --overwrite")
    message = refused(cluster, "apply --overwrite=false -f -", POD % ("two", "web"))
    assert "conflicts with changes made from original to current: metadata.labels.app;" in message
    assert said(cluster, "apply --overwrite=false -f -", POD % ("mine", "web")) == "pod/bare configured\n"
    assert said(cluster, "apply -f -", POD % ("two", "web")) == "pod/bare configured\n"


def test_a_conflict_inside_a_list_is_named_by_its_entry(cluster: Cluster) -> None:
    said(cluster, "apply -f -", POD % ("one", "web"))
    said(cluster, "set image pod bare web=nginx:1.27")
    message = refused(cluster, "apply --overwrite=false -f -", (POD % ("one", "web")).replace("1.25", "1.28"))
    assert "spec.containers[name=web].image" in message


def test_apply_by_force_makes_anew_what_cannot_be_changed(cluster: Cluster) -> None:
    said(cluster, "apply -f -", POD % ("one", "web"))
    before = said(cluster, "get pod bare -o jsonpath={.metadata.uid}")
    assert 'The Pod "bare" is invalid' in refused(cluster, "apply -f -", POD % ("one", "other"))
    assert said(cluster, "apply --force -f -", POD % ("one", "other")) == "pod/bare configured\n"
    assert said(cluster, "get pod bare -o jsonpath={.metadata.uid}") != before


def test_what_cannot_be_made_anew_is_put_back(cluster: Cluster) -> None:
    said(cluster, "apply -f -", POD % ("one", "web"))
    wrong = POD % ("one", "other") + "  bogus: {}\n"
    wrong = wrong.replace("spec: {", "spec: {restartPolicy: Sometimes, ").replace("  bogus: {}\n", "")
    refused(cluster, "apply --force -f -", wrong)
    assert said(cluster, "get pod bare -o jsonpath={.spec.containers[*].name}") == "web"


def test_apply_waits_until_what_it_prunes_is_gone(cluster: Cluster) -> None:
    said(cluster, "apply -f -", MAP % ("kept", "") + "---\n" + MAP % ("held", ", finalizers: [example.com/x]"))
    message = refused(cluster, "apply --prune -l set=one --wait --timeout=2s -f -", MAP % ("kept", ""))
    assert "timed out waiting for the condition on configmaps/held" in message
    assert "configmap/held pruned" in message


def test_apply_says_what_wait_does_not_wait_for(cluster: Cluster) -> None:
    output = cluster.kubectl.run("apply --wait -f -", MAP % ("kept", ""))
    assert any("kubectl wait" in hint for hint in output.hints)


# delete, wait, logs


def test_nobody_to_ask_is_no_yes(cluster: Cluster) -> None:
    said(cluster, "create configmap x")
    assert "nobody can be asked" in refused(cluster, "delete configmap x -i")
    assert said(cluster, "delete configmap x -i", "").endswith("deletion is cancelled\n")
    assert "nobody can be asked" in _refused_method(cluster)
    assert said(cluster, "get configmap x -o name") == "configmap/x\n"


def _refused_method(cluster: Cluster) -> str:
    with pytest.raises(KubectlError) as caught:
        cluster.kubectl.delete("configmap", "x", interactive=True)
    return caught.value.message


def test_wait_can_judge_a_file_without_the_cluster(cluster: Cluster) -> None:
    ready = POD % ("a", "b") + 'status: {phase: Running, conditions: [{type: Ready, status: "True"}]}\n'
    assert said(cluster, "wait --local --for=condition=Ready -f -", ready) == "pod/bare condition met\n"
    assert said(cluster, "wait --local --for=jsonpath={.status.phase}=Running -f -", ready).endswith("met\n")
    assert "timed out" in refused(cluster, "wait --local --for=condition=Ready=false -f -", ready)
    assert "--local does not" in refused(cluster, "wait --local --for=delete -f -", ready)


def test_logs_wait_for_the_first_pod_of_a_workload(cluster: Cluster) -> None:
    said(cluster, "create deployment web --image=nginx:1.25")
    said(cluster, "wait --for=condition=Available deployment/web --timeout=30s")
    assert "ready for start up" in said(cluster, "logs deployment/web --pod-running-timeout=5s")
    said(cluster, "scale deployment web --replicas=0")
    said(cluster, "wait --for=delete pod -l app=web --timeout=60s")
    before = cluster.clock.now()
    assert "has no pods" in refused(cluster, "logs deployment/web --pod-running-timeout=5s")
    assert cluster.clock.now() - before >= 5


# debug


def test_a_profile_of_ones_own_is_laid_over_the_debugging_container(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("env: [{name: A, value: b}]\nsecurityContext: {runAsUser: 7}\n")
    said(cluster, "run web --image=nginx:1.25")
    said(cluster, "wait --for=condition=Ready pod/web")
    said(cluster, f"debug web --image=busybox -c one --profile=sysadmin --custom={tmp_path / 'own.yaml'}")
    (made,) = json.loads(said(cluster, "get pod web -o jsonpath-as-json={.spec.ephemeralContainers}"))[0]
    assert made["env"] == [{"name": "A", "value": "b"}]
    assert made["securityContext"] == {"privileged": True, "runAsUser": 7}


def test_a_profile_of_ones_own_changes_neither_name_nor_image(cluster: Cluster, tmp_path: Path) -> None:
    for content, words in (('{"image": "x"}', "not modifiable via custom profile"), ("[]", "it is one object"),
                           ('{"env":[', "does not contain a valid container spec")):  # fmt: skip
        (tmp_path / "own.json").write_text(content)
        assert words in refused(cluster, f"debug web --image=busybox --custom={tmp_path / 'own.json'}")


def test_the_pod_to_look_into_may_be_named_by_a_file(cluster: Cluster) -> None:
    said(cluster, "apply -f -", POD % ("a", "web"))
    named = "apiVersion: v1\nkind: Pod\nmetadata: {name: bare}\n"
    said(cluster, "debug -f - --image=busybox --profile=general -c five", named)
    assert said(cluster, "get pod bare -o jsonpath={.spec.ephemeralContainers[*].name}") == "five"
    words = "debug bare -f - --image=busybox --profile=general"
    assert "when a path is specified" in refused(cluster, words, named)


# the editor, and the rest


def test_lines_may_end_as_windows_has_them(cluster: Cluster) -> None:
    shown: list[str] = []

    def edit(text: str, suffix: str) -> str:
        shown.append(text)
        return text.replace("before", "after")

    said(cluster, "create configmap x --from-literal=a=before")
    cluster.kubectl.editor = edit
    assert said(cluster, "edit configmap x --windows-line-endings") == "configmap/x edited\n"
    assert shown[0].count("\r\n") == shown[0].count("\n") > 5
    assert said(cluster, "get configmap x -o jsonpath={.data.a}") == "after"
    said(cluster, "edit configmap x --show-managed-fields")
    assert "managedFields" in shown[1] or "managedFields" not in said(cluster, "get cm x -o yaml")


def test_a_server_of_another_release_is_refused_where_that_matters(cluster: Cluster) -> None:
    assert "No resources found" in said(cluster, "get pods --match-server-version")


def test_a_dump_is_printed_as_its_template_says(cluster: Cluster) -> None:
    text = said(cluster, "cluster-info dump --template='{{len .items}};'")
    assert text.startswith("2;")


def test_every_refused_flag_that_is_no_mere_gap_has_its_reason() -> None:
    missing = {name for row in ROWS for name in row.missing} | set(MISSING_EVERYWHERE)
    assert missing == REASONS.keys()


def test_v_tells_of_the_requests_behind_a_command(cluster: Cluster) -> None:
    space = cluster.kubectl.namespace
    assert cluster.kubectl.run("get configmaps -v=5").log == []
    (line,) = cluster.kubectl.run("get configmaps -v=6").log
    assert f'verb="GET" url="/api/v1/namespaces/{space}/configmaps?limit=500" status="200 OK" milliseconds=' in line
    asked, answered = cluster.kubectl.run("create configmap x -v 7").log
    assert '"Request" verb="POST"' in asked and 'status="201 Created"' in answered
    body = cluster.kubectl.run("get configmap x --v=8").log[-1]
    assert '"Response Body" body="{' in body and "uid" in body
    with pytest.raises(KubectlError) as caught:
        cluster.kubectl.run("get configmap nope -v6")
    assert 'status="404 Not Found"' in caught.value.log[0]
