"""Whatever goes wrong between the parts, the cluster ends as the specs say, and then rests.

Each case is a program of a learner's commands and of faults, on simulated nodes and virtual time; its seed replays it
exactly. K8SNB_FAULT_CASES (40) is how many are tried, K8SNB_FAULT_SEED which ones.
Sources: the e2e tests `test/e2e/apps` of upstream, which ask the same of a real cluster, and "level-based" in
`contributors/devel/sig-architecture/api-conventions.md`: what is wanted comes about once the disturbance is over.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import seed as begin_with
from hypothesis import strategies as st

from k8snb import disturbances
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import controller_of, is_true
from k8snb.apimachinery.selectors import from_set
from k8snb.client import Client
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.controllers.pods import is_terminal
from k8snb.faults import Rates

Object = dict[str, Any]

CASES = int(os.environ.get("K8SNB_FAULT_CASES", "40"))
FIRST = int(os.environ.get("K8SNB_FAULT_SEED", "0"))
PATIENCE = 360 + 3 * CASES  # seconds: a case takes 0.3 on a free machine, and a failure is made smaller for up to 300
PROGRAMS = ("kube-scheduler", "kube-controller-manager", "replicaset-controller", "endpointslice-controller",
            "kubelet/node-2", "kube-proxy/node-3")  # fmt: skip
NODES = ("node-1", "node-2", "node-3")
CALM = 420.0  # seconds after which all is as it should be: pods leave a dead node after 300
ROUGH = Rates(refused=0.1, unanswered=0.05, lost=0.01, duplicated=0.1, delayed=0.1, reordered=0.1)


@contextmanager
def cluster(seed: int = 1) -> Iterator[Cluster]:
    found = Cluster(nodes=len(NODES), runtime="simulated", clock=VirtualClock(), seed=seed)
    failures: list[str] = []
    found.pump.on_failure = lambda component, details: failures.append(f"{component}: {details}")
    try:
        found.start(wait=0)
        found.settle()
        yield found
        assert not failures, failures[0]
    finally:
        found.delete()


# what is wanted


def template(app: str, image: str = "nginx:1.25", **spec: Any) -> Object:
    return {"metadata": {"labels": {"app": app}}, "spec": {"containers": [{"name": "main", "image": image}], **spec}}


def wanted(kind: str, name: str, replicas: int) -> Object:
    selector: Object = {"app": name} if kind == "replicationcontrollers" else {"matchLabels": {"app": name}}
    spec: Object = {"selector": selector, "template": template(name)}
    spec |= {} if kind == "daemonsets" else {"replicas": replicas}
    spec |= {"serviceName": name} if kind == "statefulsets" else {}
    return {"metadata": {"name": name}, "spec": spec}


OWNERS = {"deployments": "web", "replicationcontrollers": "rc", "statefulsets": "db", "daemonsets": "ds"}


def change(client: Client, kind: str, body: Object) -> None:
    """Make the object, or change it."""
    name = OWNERS[kind]
    if client.find(kind, name, "default") is None:
        client.create(kind, wanted(kind, name, 2), "default")
    client.patch(kind, name, body, "default")


def scale(found: Cluster, kind: str, replicas: int) -> None:
    change(found.client, kind, {"spec": {} if kind == "daemonsets" else {"replicas": replicas}})


def roll(found: Cluster, kind: str, number: int) -> None:
    image = f"nginx:1.{number}"
    change(found.client, kind, {"spec": {"template": template(OWNERS[kind], image)}})


def drop(found: Cluster, kind: str, number: int) -> None:
    if found.client.find(kind, OWNERS[kind], "default") is not None:
        policy = ("Background", "Foreground")[number % 2]
        found.client.delete(kind, OWNERS[kind], "default", propagationPolicy=policy)


def some_pod(found: Cluster, number: int) -> Object | None:
    pods = found.client.list("pods", "default")["items"]
    return pods[number % len(pods)] if pods else None


def kill(found: Cluster, _: str, number: int) -> None:
    pod = some_pod(found, number)
    if pod is not None:
        grace = (None, 0, 1)[number % 3]
        options = {} if grace is None else {"gracePeriodSeconds": grace}
        found.client.delete("pods", pod["metadata"]["name"], "default", **options)


def release(found: Cluster, _: str, number: int) -> None:
    """A pod is taken out of its controller's hands by its label, and is nobody's from then on. A StatefulSet could not
    replace it, whose name is taken."""
    pod = some_pod(found, number)
    owner = (controller_of(pod) or {}).get("kind", "StatefulSet") if pod is not None else "StatefulSet"
    if pod is not None and owner != "StatefulSet" and pod["metadata"].get("deletionTimestamp") is None:
        found.client.patch("pods", pod["metadata"]["name"], {"metadata": {"labels": {"app": "free"}}}, "default")


def unplug(found: Cluster, _: str, number: int) -> None:
    found.stop_node(NODES[number % 3])


def plug_in(found: Cluster, _: str, number: int) -> None:
    found.start_node(NODES[number % 3])


def partition(found: Cluster, _: str, number: int) -> None:
    found.partition_node(NODES[number % 3])


def rejoin(found: Cluster, _: str, number: int) -> None:
    found.rejoin_node(NODES[number % 3])


def crash(found: Cluster, _: str, number: int) -> None:
    pod = some_pod(found, number)
    if pod is not None and is_true(pod, "Ready"):
        with suppress(ValueError):  # a container that has just ended, or whose node is off
            disturbances.crash(found, pod["metadata"]["name"])


def break_off(found: Cluster, _: str, number: int) -> None:
    """A program crashes, with what it holds."""
    found.component(PROGRAMS[number]).kill()


def begin_again(found: Cluster, _: str, number: int) -> None:
    found.component(PROGRAMS[number]).start()


def cordon(found: Cluster, _: str, number: int) -> None:
    found.client.patch("nodes", NODES[number % 3], {"spec": {"unschedulable": number < 3}})


def run_job(found: Cluster, _: str, number: int) -> None:
    name = f"job-{number}"
    if found.client.find("jobs", name, "default") is None:
        work = {"name": "main", "image": "busybox", "command": ["sh", "-c", f"sleep {number * 5}"]}
        pod = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [work], "restartPolicy": "Never"}}
        spec = {"completions": 3, "parallelism": 2, "backoffLimit": 1000, "template": pod,
                "completionMode": ("NonIndexed", "Indexed")[number % 2]}  # fmt: skip
        found.client.create("jobs", {"metadata": {"name": name}, "spec": spec}, "default")


def pass_time(found: Cluster, _: str, number: int) -> None:
    found.run_for(float(number * number * 7 + 1))


ACTS: dict[str, Callable[[Cluster, str, int], None]] = {act.__name__: act for act in (
    scale, roll, drop, kill, release, unplug, plug_in, partition, rejoin, pass_time,
    crash, break_off, begin_again, cordon, run_job,
)}  # fmt: skip
STEPS = st.tuples(st.sampled_from(sorted(ACTS)), st.sampled_from(sorted(OWNERS)), st.integers(0, 5))


Program = list[tuple[str, str, int]]


def run(found: Cluster, program: Program) -> None:
    """Carry out a program under faults, and then let the cluster come to rest."""
    service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
    found.client.create("services", service, "default")
    found.faults.rates = ROUGH
    for act, kind, number in program:
        ACTS[act](found, kind, number)
        found.run_for(0.5 + number)
    found.faults.stop()
    for node in NODES:
        found.start_node(node)
        found.rejoin_node(node)
        found.client.patch("nodes", node, {"spec": {"unschedulable": False}})
    for name in PROGRAMS:
        found.component(name).start()
    found.run_for(CALM)


# what has to be so in the end


def live(found: Cluster) -> list[Object]:
    return list(found.client.list("pods", "default")["items"])


def owned(pods: list[Object], owner: Object) -> list[Object]:
    uid = owner["metadata"]["uid"]
    return [pod for pod in pods if (controller_of(pod) or {}).get("uid") == uid]


def check_workloads(found: Cluster, pods: list[Object]) -> None:
    client = found.client
    for kind, name in OWNERS.items():
        obj = client.find(kind, name, "default")
        if obj is None:
            assert not [pod for pod in pods if pod["metadata"]["labels"]["app"] == name], f"{kind}: orphans"
            continue
        status, image = obj["status"], obj["spec"]["template"]["spec"]["containers"][0]["image"]
        if kind == "deployments":
            sets = [each for each in client.list("replicasets", "default")["items"] if controller_of(each)]
            mine = [pod for each in sets for pod in owned(pods, each)]
        else:
            mine = owned(pods, obj)
        count = len(NODES) if kind == "daemonsets" else obj["spec"]["replicas"]
        assert len(mine) == count, (kind, count, [pod["metadata"]["name"] for pod in mine])
        assert all(is_true(pod, "Ready") for pod in mine), kind
        if kind != "replicationcontrollers":
            assert {pod["spec"]["containers"][0]["image"] for pod in mine} <= {image}, kind
            assert status["observedGeneration"] == obj["metadata"]["generation"], kind
        ready = status.get("numberReady" if kind == "daemonsets" else "readyReplicas", 0)
        assert ready == count, (kind, status)
        if kind == "daemonsets":
            assert {pod["spec"]["nodeName"] for pod in mine} == set(NODES)
        if kind == "statefulsets":
            assert {pod["metadata"]["name"] for pod in mine} == {f"{name}-{number}" for number in range(count)}


def check_jobs(found: Cluster, pods: list[Object]) -> None:
    for job in found.client.list("jobs", "default")["items"]:
        name, status = job["metadata"]["name"], job["status"]
        assert is_true(job, "Complete") and status["succeeded"] >= 3, (name, status)
        assert not status.get("active") and not status.get("uncountedTerminatedPods"), (name, status)
    assert not [pod["metadata"]["name"] for pod in pods if pod["metadata"].get("finalizers")]


def check_endpoints(found: Cluster, pods: list[Object]) -> None:
    selector = from_set({"app": "web"})
    ready = {pod["status"]["podIP"] for pod in pods
             if selector.matches(pod["metadata"]["labels"]) and is_true(pod, "Ready")}  # fmt: skip
    endpoints = found.client.get("endpoints", "web", "default")
    assert {each["ip"] for subset in endpoints.get("subsets") or () for each in subset["addresses"]} == ready
    slices = found.client.list("endpointslices", "default", labelSelector="kubernetes.io/service-name=web")["items"]
    assert {ip for each in slices for entry in each["endpoints"] if entry["conditions"]["ready"]
            for ip in entry["addresses"]} == ready  # fmt: skip


def check_nodes(found: Cluster, pods: list[Object]) -> None:
    assert all(is_true(node, "Ready") for node in found.client.list("nodes")["items"])
    assert not [pod for pod in pods if pod["metadata"].get("deletionTimestamp")]
    assert all(pod["spec"].get("nodeName") for pod in pods), "a pod was never scheduled"
    for node in NODES:
        there = {sandbox.uid for sandbox in found.runtime.list_pod_sandboxes(node)}
        here = [pod for pod in pods if pod["spec"]["nodeName"] == node]
        assert there <= {pod["metadata"]["uid"] for pod in here}, node
        assert there >= {pod["metadata"]["uid"] for pod in here if not is_terminal(pod)}, node
    addresses = Counter(pod["status"]["podIP"] for pod in pods if not is_terminal(pod))
    assert max(addresses.values(), default=1) == 1, addresses


def check_rest(found: Cluster) -> None:
    """Nobody writes any more, but for heartbeats."""
    writes: list[str] = []
    stop = found.store.watch("/registry/", lambda record: writes.append(record.key))
    found.run_for(60.0)
    stop()
    busy = [key for key in writes if not key.startswith(("/registry/coordination.k8s.io/leases/", "/registry/nodes/"))]
    assert not busy, Counter(busy).most_common(3)


@pytest.mark.timeout(PATIENCE)
@begin_with(FIRST)
@settings(
    max_examples=CASES, deadline=None, database=None, phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck), print_blob=True, derandomize=True,
)  # fmt: skip
@given(seed=st.integers(0, 2**32 - 1), program=st.lists(STEPS, min_size=3, max_size=14))
def test_after_any_faults_the_cluster_is_as_its_specs_say_and_rests(seed: int, program: Program) -> None:
    """docs: concepts/architecture/controller (Desired versus current state)."""
    note(f"{seed=}, {program=}")
    with cluster(seed) as found:
        run(found, program)
        pods = live(found)
        check_workloads(found, pods)
        check_jobs(found, pods)
        check_endpoints(found, pods)
        check_nodes(found, pods)
        check_rest(found)


# each fault does what it says


@pytest.fixture
def found() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


WEB = {"metadata": {"name": "web"}, "spec": wanted("deployments", "web", 3)["spec"]}


def test_the_same_seed_gives_the_same_history() -> None:
    """k8snb: a failing seed replays exactly."""

    def history() -> list[tuple[str, str]]:
        with cluster(7) as found:
            run(found, [("scale", "deployments", 3), ("roll", "deployments", 1), ("unplug", "", 1), ("kill", "", 4)])
            return [(record.key, record.sort) for record in found.store.history()]

    assert history() == history()


def test_without_rates_nothing_is_disturbed(found: Cluster) -> None:
    """k8snb: the fault layer is off unless it is set."""
    found.client.create("deployments", WEB, "default")
    found.run_for(10)
    assert not found.faults.happened
    assert found.client.get("deployments", "web", "default")["status"]["readyReplicas"] == 3


@pytest.mark.parametrize("fault", Rates._fields)
def test_each_fault_happens_alone_and_the_cluster_copes(found: Cluster, fault: str) -> None:
    """docs: reference/using-api/api-concepts (Efficient detection of changes): a broken watch is followed by a list."""
    found.faults.rates = Rates(**{fault: 0.3})
    found.client.create("deployments", WEB, "default")
    found.run_for(60)
    assert set(found.faults.happened) == {fault}
    found.faults.stop()
    found.run_for(60)
    assert found.client.get("deployments", "web", "default")["status"]["readyReplicas"] == 3


def test_what_is_refused_has_not_happened_and_what_is_unanswered_has(found: Cluster) -> None:
    """k8snb: what a fault means."""
    robot = found.context.client("system:serviceaccount:kube-system:robot", "system:masters")
    found.faults.rates = Rates(refused=1.0)
    with pytest.raises(ApiError):
        robot.create("configmaps", {"metadata": {"name": "a"}}, "default")
    found.faults.rates = Rates(unanswered=1.0)
    with pytest.raises(ApiError, match="may still be processing the request"):
        robot.create("configmaps", {"metadata": {"name": "b"}}, "default")
    names = [one["metadata"]["name"] for one in found.client.list("configmaps", "default")["items"]]
    assert "a" not in names and "b" in names


def test_people_are_not_disturbed(found: Cluster) -> None:
    """k8snb: faults are for components."""
    found.faults.rates = Rates(refused=1.0, unanswered=1.0)
    found.client.create("configmaps", {"metadata": {"name": "a"}}, "default")


def test_a_node_that_is_cut_off_is_unreachable_and_its_containers_go_on(found: Cluster) -> None:
    """`docs/concepts/architecture/nodes`: after 50 s Unknown, after 300 s more its pods are deleted, and stay
    Terminating until the node is back."""
    found.client.create("deployments", WEB, "default")
    found.run_for(10)
    there = {sandbox.uid for sandbox in found.runtime.list_pod_sandboxes("node-1")}
    assert there
    found.partition_node("node-1")
    found.run_for(60)
    assert next(entry["status"] for entry in found.client.get("nodes", "node-1")["status"]["conditions"]
                if entry["type"] == "Ready") == "Unknown"  # fmt: skip
    found.run_for(320)
    pods = live(found)
    assert {pod["metadata"]["uid"] for pod in pods if pod["metadata"].get("deletionTimestamp")} == there
    assert {sandbox.uid for sandbox in found.runtime.list_pod_sandboxes("node-1")} == there
    found.rejoin_node("node-1")
    found.run_for(60)
    assert not found.runtime.list_pod_sandboxes("node-1")
    assert len(live(found)) == 3 and is_true(found.client.get("nodes", "node-1"), "Ready")
