"""kubectl on a cluster that runs: waiting, watching, rolling out, reading logs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.kubectl import Kubectl, KubectlError, Stream


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(runtime="simulated", clock=VirtualClock(), seed=1) as running:
        yield running


@pytest.fixture
def kubectl(cluster: Cluster) -> Kubectl:
    return cluster.kubectl


@pytest.fixture
def web(kubectl: Kubectl) -> Kubectl:
    """With a Deployment of three pods that are up."""
    kubectl.run("create deployment web --image=nginx --replicas=3")
    kubectl.run("rollout status deployment/web --timeout=120s")
    return kubectl


def test_rollout_status_tells_the_steps_and_ends_with_success(kubectl: Kubectl) -> None:
    kubectl.run("create deployment web --image=nginx --replicas=3")
    lines = kubectl.run("rollout status deployment/web").text.splitlines()
    assert lines[0] == "Waiting for deployment spec update to be observed..."
    assert any("of 3 updated replicas are available..." in line for line in lines)
    assert lines[-1] == 'deployment "web" successfully rolled out'


def test_a_rollout_that_takes_too_long_is_an_error(kubectl: Kubectl) -> None:
    kubectl.run("create deployment web --image=nginx --replicas=1")
    kubectl.run("patch deployment web -p 'spec: {template: {spec: {nodeSelector: {disk: ssd}}}}'")
    with pytest.raises(KubectlError, match="timed out waiting for the condition"):
        kubectl.run("rollout status deployment/web --timeout=20s")


def test_undo_goes_back_to_the_revision_before(web: Kubectl) -> None:
    web.run("set image deployment/web nginx=nginx:2")
    web.run("rollout status deployment/web")
    assert web.run("rollout undo deployment/web").text == "deployment.apps/web rolled back\n"
    template = web.run("get deployment web").objects[0]["spec"]["template"]
    assert template["spec"]["containers"][0]["image"] == "nginx"
    assert "pod-template-hash" not in template["metadata"]["labels"]
    web.run("rollout status deployment/web")
    history = web.run("rollout history deployment/web").text.splitlines()
    assert [line.split()[0] for line in history[2:] if line] == ["2", "3"]
    assert "Image:         nginx:2" in web.run("rollout history deployment/web --revision=2").text
    same = "skipped rollback (current template already matches revision 3)"
    assert same in web.run("rollout undo deployment/web --to-revision=3").text


def test_the_change_cause_is_in_the_history(web: Kubectl, cluster: Cluster) -> None:
    web.run("annotate deployment web kubernetes.io/change-cause='first light'")
    cluster.run_for(5)
    assert "REVISION  CHANGE-CAUSE\n1         first light\n" in web.run("rollout history deploy web").text


def test_a_paused_deployment_waits_until_it_is_resumed(web: Kubectl) -> None:
    assert web.run("rollout pause deployment/web").text == "deployment.apps/web paused\n"
    for line in ("rollout pause deployment/web", "rollout restart deployment/web", "rollout undo deployment/web"):
        with pytest.raises(KubectlError):
            web.run(line)
    assert web.run("rollout resume deployment/web").text == "deployment.apps/web resumed\n"


def test_restart_replaces_all_pods(web: Kubectl) -> None:
    before = web.run("get pods -o name").text.split()
    web.run("rollout restart deployment/web")
    web.run("rollout status deployment/web")
    web.run(["wait", "--for=delete", *before, "--timeout=120s"])
    after = web.run("get pods -o name").text.split()
    assert len(after) == 3 and not set(after) & set(before)


def test_wait_lets_the_cluster_run(kubectl: Kubectl) -> None:
    kubectl.run("run a --image=nginx")
    assert kubectl.run("wait --for=condition=Ready pod/a --timeout=60s").text == "pod/a condition met\n"
    assert kubectl.run("wait --for=jsonpath='{.status.phase}'=Running pods --all").text == "pod/a condition met\n"


def test_delete_waits_until_the_pod_is_gone(kubectl: Kubectl) -> None:
    kubectl.run("run a --image=nginx")
    kubectl.run("wait --for=condition=Ready pod/a --timeout=60s")
    kubectl.run("delete pod a")
    with pytest.raises(KubectlError, match="NotFound"):
        kubectl.run("get pod a")


def test_delete_without_waiting_leaves_a_pod_that_is_terminating(kubectl: Kubectl) -> None:
    kubectl.run("run a --image=nginx")
    kubectl.run("wait --for=condition=Ready pod/a --timeout=60s")
    kubectl.run("delete pod a --wait=false")
    assert "Terminating" in kubectl.run("get pod a").text
    assert kubectl.run("wait --for=delete pod/a --timeout=120s").text == "pod/a condition met\n"


def test_scale_can_wait_for_its_pods(web: Kubectl) -> None:
    web.run("scale deployment web --replicas=1 --timeout=60s")
    assert web.run("get deployment web").objects[0]["status"]["replicas"] == 1


def test_a_watch_shows_what_is_there_and_then_each_change(kubectl: Kubectl) -> None:
    kubectl.run("run a --image=nginx")
    stream = kubectl.run("get pods -w")
    assert isinstance(stream, Stream)
    lines: list[str] = []
    for output in stream:
        lines += output.text.splitlines()
        if "Running" in output.text:
            stream.stop()
    assert lines[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert lines[1].split()[2] == "Pending" and lines[-1].split()[:3] == ["a", "1/1", "Running"]
    assert stream.stopped and stream.poll() == []


def test_a_watch_that_hears_nothing_ends(kubectl: Kubectl) -> None:
    stream = kubectl.run("get configmaps -w --watch-only")
    assert isinstance(stream, Stream) and list(stream) == [] and stream.stopped


def test_a_watch_can_say_what_happened(kubectl: Kubectl) -> None:
    stream = kubectl.run("get configmaps -w --watch-only --output-watch-events")
    assert isinstance(stream, Stream)
    kubectl.run("create configmap c")
    kubectl.run("delete configmap c")
    last_lines = [output.text.splitlines()[-1].split() for output in stream.poll()]
    assert [words[:2] for words in last_lines] == [["ADDED", "c"], ["DELETED", "c"]]


def test_logs_are_read_from_pods_and_from_what_owns_them(web: Kubectl) -> None:
    name = web.run("get pods -o name").text.split()[0]
    assert "nginx" in web.run(f"logs {name}").text
    assert web.run("logs deployment/web").text.startswith("Found 3 pods, using pod/web-")
    lines = web.run("logs -l app=web --prefix --tail=1").text.splitlines()
    assert len(lines) == 3 and all(line.startswith("[pod/web-") for line in lines)


def test_logs_follow_ends_when_the_stream_is_stopped(kubectl: Kubectl) -> None:
    kubectl.run("run a --image=busybox --restart=Never -- echo hello")
    kubectl.run("wait --for=jsonpath='{.status.phase}'=Succeeded pod/a --timeout=60s")
    stream = kubectl.run("logs -f a")
    assert isinstance(stream, Stream)
    assert list(stream) is not None and stream.stopped


def test_following_a_log_lets_time_pass_and_ends_after_a_long_silence(web: Kubectl, cluster: Cluster) -> None:
    stream = web.run("logs -f deployment/web")
    assert isinstance(stream, Stream)
    before = cluster.clock.now()
    assert "nginx" in "".join(output.text for output in stream)
    assert cluster.clock.now() - before >= 600


def test_exec_with_a_terminal_says_that_there_is_none(web: Kubectl) -> None:
    output = web.run("exec -it deploy/web -- sh")
    assert "Unable to use a TTY" in output.warnings[0] and "name its command" in output.hints[0]


def test_the_container_that_was_taken_is_named(kubectl: Kubectl) -> None:
    containers = '[{"name":"c","image":"nginx"},{"name":"d","image":"nginx"}]'
    kubectl.run(["run", "a", "--image=nginx", "--overrides", f'{{"spec":{{"containers":{containers}}}}}'])
    kubectl.run("wait --for=condition=Ready pod/a --timeout=60s")
    assert kubectl.run("logs a").text.startswith('Defaulted container "c" out of: c, d\n')
    assert "Defaulted" not in kubectl.run("logs a -c d").text
    assert len(kubectl.run("logs a --all-containers --prefix").text.splitlines()) == 2


def test_exec_has_the_commands_exit_code(web: Kubectl) -> None:
    assert web.run("exec deploy/web -- echo hello").text.endswith("hello\n")
    output = web.run("exec deploy/web -- false")
    assert output.exit_code == 1 and output.text.endswith("command terminated with exit code 1\n")
    with pytest.raises(KubectlError, match=r"Use exec \[POD\] -- \[COMMAND\] instead"):
        web.run("exec web ls")


@pytest.mark.parametrize("words", ["pods", "deployments", "replicasets", "nodes", "services", "endpoints"])
def test_pages_of_a_running_cluster_are_whole(web: Kubectl, words: str) -> None:
    web.run("expose deployment web --port=80")
    web.run("wait --for=create endpoints/web")
    pages = web.run(f"describe {words}").text
    assert pages.count("Name:  ") >= 1 and pages.rstrip().splitlines()[-1]


def test_a_service_of_running_pods_gets_no_hint(web: Kubectl) -> None:
    assert web.run("expose deployment web --port=80").hints == []


def test_events_come_in_order_and_can_be_about_one_object(web: Kubectl) -> None:
    lines = web.run("events --for deployment/web").text.splitlines()
    assert lines[0].split()[:3] == ["LAST", "SEEN", "TYPE"] and "ScalingReplicaSet" in lines[1]
    assert web.run("events --types=Warning").text == "No events found in default namespace.\n"
