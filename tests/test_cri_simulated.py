"""The simulated runtime: what its images and its shell do, and what that costs on the clock."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("cri_contract")

from cri_contract import SimulatedRig  # noqa: E402

from k8snb.clock import VirtualClock  # noqa: E402
from k8snb.cri import EXITED, RUNNING, ContainerConfig, Mount, PodSandboxConfig, RuntimeFailure  # noqa: E402
from k8snb.cri.security import SecurityContext  # noqa: E402
from k8snb.cri.simulated import SimulatedRuntime  # noqa: E402
from k8snb.cri.simulated_images import IMAGES, canonical, find  # noqa: E402
from k8snb.executor import ClockExecutor  # noqa: E402
from k8snb.pump import Pump  # noqa: E402


@pytest.fixture
def rig() -> SimulatedRig:
    return SimulatedRig()


def run(rig: SimulatedRig, image: str, *command: str, **options: Any) -> str:
    rig.runtime.pull_image(image)
    return rig.run(*command, image=image, **options)


def shell(rig: SimulatedRig, script: str, **options: Any) -> str:
    return rig.run("sh", "-c", script, **options)


def log(rig: SimulatedRig, container: str) -> str:
    return rig.read(rig.runtime.container_logs(container)).decode()


def output(rig: SimulatedRig, script: str, **options: Any) -> tuple[str, int]:
    container = shell(rig, script, **options)
    return log(rig, container), rig.finished(container).exit_code


# the shell


@pytest.mark.parametrize(
    ("script", "text", "code"),
    [
        ("echo a && false || echo b; exit 3", "a\nb\n", 3),
        ("false && echo never", "", 1),
        ("for i in 3 2 1; do echo $i; done", "3\n2\n1\n", 0),
        ("for i in $(seq 1 3); do printf '%s,' $i; done", "1,2,3,", 0),
        ("i=0; while [ $i -lt 3 ]; do echo $i; i=$((i+1)); done", "0\n1\n2\n", 0),
        ("if [ -f /etc/hostname ]; then echo yes; else echo no; fi", "yes\n", 0),
        ("if test -d /nowhere; then echo yes; elif true; then echo elif; fi", "elif\n", 0),
        ("A='1  2'; echo $A; echo \"$A\"", "1 2\n1  2\n", 0),
        ("echo ${NAME:-nobody} '$NAME' \\$NAME", "nobody $NAME $NAME\n", 0),
        ("echo one two | wc -w", "2\n", 0),
        ("cat /nonexistent", "cat: can't open '/nonexistent': No such file or directory\n", 1),
        ("cat /nonexistent 2>/dev/null; echo $?", "1\n", 0),
        ("echo hi > /tmp/f; echo ho >> /tmp/f; cat < /tmp/f; rm /tmp/f; ls /tmp", "hi\nho\n", 0),
        ("{ echo a; echo b; } > /tmp/f; grep -v a /tmp/f", "b\n", 0),
        ("set -e; false; echo never", "", 1),
        ("sh -c 'exit 5' || echo $?", "5\n", 0),
        ("! true; echo $?", "1\n", 0),
        ("echo x > /no/such/dir", "sh: can't open /no/such/dir: nonexistent directory\n", 1),
        ("hostname # a comment", "pod-1\n", 0),
        ("hostname -f", "pod-1\n", 0),
        ("head -n 1 /etc/hosts; tail -1 /etc/hostname", "# Kubernetes-managed hosts file.\npod-1\n", 0),
        ("while true; do break; done; echo out", "out\n", 0),
        ("cd /tmp; pwd; touch here; ls", "/tmp\nhere\n", 0),
        ("printf 'a\\tb\\n'; echo -n c; echo -e 'd\\ne'", "a\tb\ncd\ne\n", 0),
        ("export GREETING=hi; env | grep GREET", "GREETING=hi\n", 0),
    ],
)
def test_a_script_does_what_a_shell_does(rig: SimulatedRig, script: str, text: str, code: int) -> None:
    assert output(rig, script) == (text, code)


def test_a_loop_writes_its_lines_on_the_clock(rig: SimulatedRig) -> None:
    container = shell(rig, 'i=0; while true; do echo "$i: $(date +%S)"; i=$((i+1)); sleep 10; done')
    seconds = int(rig.clock.now() % 60)
    rig.pass_time(25)
    expected = [f"{n}: {(seconds + 10 * n) % 60:02d}" for n in range(3)]
    assert log(rig, container).splitlines() == expected


def test_an_endless_loop_without_a_pause_does_not_hang(rig: SimulatedRig) -> None:
    container = shell(rig, "while true; do true; done")
    rig.pass_time(5)
    assert rig.runtime.container_status(container).state == RUNNING


@pytest.mark.parametrize(
    ("what", "word"), [("sleep 3 & wait", "(&)"), ("cat <<END\nx\nEND", "<<"), ("frobnicate", "frob")]
)
def test_what_the_shell_does_not_know_runs_for_ever_and_says_so(rig: SimulatedRig, what: str, word: str) -> None:
    container = shell(rig, what)
    rig.pass_time(1000)
    status = rig.runtime.container_status(container)
    assert status.state == RUNNING
    assert word in status.notes[0]
    assert "for ever" in status.notes[0]


def test_an_unknown_command_of_an_exec_is_not_found(rig: SimulatedRig) -> None:
    result = rig.runtime.exec_sync(rig.run("sleep", "60"), ["psql", "-c", "select 1"], 5)
    assert (result.exit_code, result.stderr) == (127, b"sh: psql: not found\n")


def test_the_liveness_lesson_s_probe_fails_once_the_file_is_gone(rig: SimulatedRig) -> None:
    container = shell(rig, "touch /tmp/healthy; sleep 30; rm -f /tmp/healthy; sleep 600")
    assert rig.runtime.exec_sync(container, ["cat", "/tmp/healthy"], 1).exit_code == 0
    rig.pass_time(31)
    assert rig.runtime.exec_sync(container, ["cat", "/tmp/healthy"], 1).exit_code == 1


def test_containers_share_what_they_both_mount(rig: SimulatedRig, tmp_path: Path) -> None:
    sandbox, mount = rig.sandbox(), Mount(host_path=str(tmp_path), container_path="/shared")
    shell(rig, "echo from one > /shared/note", sandbox=sandbox, mounts=(mount,))
    reader = shell(rig, "cat /shared/note; ls /shared", sandbox=sandbox, mounts=(mount,))
    assert log(rig, reader) == "from one\nnote\n"


def test_a_read_only_mount_or_root_refuses_to_be_written(rig: SimulatedRig, tmp_path: Path) -> None:
    mount = Mount(host_path=str(tmp_path), container_path="/shared", readonly=True)
    assert output(rig, "echo x > /shared/x", mounts=(mount,)) == (
        "sh: can't open /shared/x: Read-only file system\n",
        1,
    )
    read_only = SecurityContext(read_only_root=True)
    assert output(rig, "touch /tmp/x", security=read_only) == ("touch: /tmp/x: Read-only file system\n", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_path_never_leaves_its_mount(rig: SimulatedRig, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (tmp_path / "inside").mkdir()
    mount = Mount(host_path=str(tmp_path / "inside"), container_path="/data")
    assert output(rig, "cat /data/../secret", mounts=(mount,))[1] == 1


# time


def test_calls_cost_the_time_that_the_image_s_row_says(rig: SimulatedRig) -> None:
    runtime = rig.simulated
    runtime.add_node("n")
    runtime.pull_image("redis:7")
    assert runtime.take_elapsed() == pytest.approx(1.0)
    runtime.pull_image("redis:7")
    assert runtime.take_elapsed() == pytest.approx(0.1)
    assert runtime.take_elapsed() == 0


def test_nobody_sees_a_start_before_the_clock_has_reached_it() -> None:
    clock = VirtualClock()
    pump, runtime = Pump(clock), SimulatedRuntime(clock)
    runtime.add_node("n")
    told: list[tuple[float, str]] = []
    runtime.events("n", lambda uid: told.append((clock.now(), uid)))
    began = clock.now()

    def start() -> str:
        runtime.pull_image("nginx")
        sandbox = runtime.run_pod_sandbox(PodSandboxConfig(name="web", namespace="default", uid="u", node="n"))
        runtime.start_container(
            container := runtime.create_container(sandbox, ContainerConfig(name="c", image="nginx"))
        )
        return container

    answers: list[Any] = []
    ClockExecutor(clock, runtime.take_elapsed).submit(start, lambda result, error: answers.append(result))
    assert runtime.list_containers("n")[0].state != RUNNING
    pump.settle()
    assert runtime.container_status(answers[0]).state == RUNNING
    assert clock.now() - began == pytest.approx(1.3)
    assert told[-1] == (pytest.approx(began + 1.3), "u")


@pytest.mark.parametrize(
    ("command", "grace", "seconds", "code"),
    [
        (("sleep", "1000"), 30, 30, 137),
        (("sh", "-c", "sleep 4; exit 9"), 30, 4, 9),
        (("sh", "-c", "sleep 1000"), 5, 5, 137),
        (("sh", "-c", "trap 'exit 0' TERM; while true; do sleep 3; done"), 30, 3, 0),
        (("nginx", "-g", "daemon off;"), 30, 0, 0),
        (("sh", "-c", "exec nginx -g 'daemon off;'"), 30, 0, 0),
        (("nginx",), 0, 0, 137),
    ],
)
def test_the_grace_period_passes_as_on_a_real_node(
    rig: SimulatedRig, command: tuple[str, ...], grace: float, seconds: float, code: int
) -> None:
    container = run(rig, "nginx:1.25", *command)
    before = rig.now()
    rig.runtime.stop_container(container, grace)
    assert rig.now() - before == pytest.approx(seconds)
    assert rig.runtime.container_status(container).exit_code == code


def test_during_its_grace_period_a_container_still_runs(rig: SimulatedRig) -> None:
    container = rig.run("sleep", "1000")
    rig.simulated.stop_container(container, 10)
    rig.simulated.take_elapsed()
    assert rig.simulated.container_status(container).state == RUNNING
    rig.pass_time(10)
    assert rig.simulated.container_status(container).state == EXITED


@pytest.mark.parametrize(
    ("script", "waited"), [("sleep 20", 20), ("sleep 3600", 0), ("while true; do sleep 1; done", 0), ("sleep 40", 0)]
)
def test_only_an_end_that_is_near_is_waited_for(rig: SimulatedRig, script: str, waited: float) -> None:
    shell(rig, script)
    before = rig.now()
    assert rig.pump.settle()
    assert rig.now() - before == pytest.approx(waited)


def test_an_hour_s_sleep_ends_after_an_hour(rig: SimulatedRig) -> None:
    container = rig.run("sleep", "1h")
    rig.pass_time(3599)
    assert rig.runtime.container_status(container).state == RUNNING
    rig.pass_time(1)
    status = rig.runtime.container_status(container)
    assert (status.state, status.finished_at - status.started_at) == (EXITED, pytest.approx(3600))


# images


def test_every_image_has_a_row_and_the_first_that_fits_wins() -> None:
    assert find("no/such:row") is IMAGES[-1]
    assert find("docker.io/library/nginx") is find("nginx:latest")
    assert find("registry.example:5000/team/nginx:1.25").ports == (80,)


def test_an_image_name_without_tag_means_latest() -> None:
    assert canonical("nginx") == "nginx:latest"
    assert canonical("localhost:5000/app") == "localhost:5000/app:latest"
    assert canonical("docker.io/library/redis:7") == "redis:7"


@pytest.mark.parametrize("image", ["nginx:doesnotexist", "nginx:1.161", "team/does-not-exist", "nope", "nope/app:1"])
def test_images_that_lessons_misspell_cannot_be_pulled(rig: SimulatedRig, image: str) -> None:
    with pytest.raises(RuntimeFailure, match=image) as failure:
        rig.runtime.pull_image(image)
    assert failure.value.reason == "ErrImagePull"


def test_a_name_that_is_no_image_name_is_refused(rig: SimulatedRig) -> None:
    with pytest.raises(RuntimeFailure) as failure:
        rig.runtime.pull_image("Nginx Latest")
    assert failure.value.reason == "InvalidImageName"


def test_a_bare_shell_ends_at_once_unless_it_has_a_standard_input(rig: SimulatedRig) -> None:
    assert rig.finished(run(rig, "busybox")).exit_code == 0
    kept = run(rig, "busybox", stdin=True)
    rig.pass_time(100)
    assert rig.runtime.container_status(kept).state == RUNNING


def test_more_memory_than_the_limit_is_oom_killed(rig: SimulatedRig) -> None:
    arguments = ("--vm", "1", "--vm-bytes", "250M", "--vm-hang", "1")
    status = rig.finished(run(rig, "polinux/stress", "stress", args=arguments, memory_limit=200 << 20))
    assert (status.reason, status.exit_code) == ("OOMKilled", 137)
    enough = run(rig, "polinux/stress", "stress", args=arguments, memory_limit=300 << 20)
    rig.pass_time(100)
    assert rig.runtime.container_status(enough).state == RUNNING


# the virtual network


def ip_of(rig: SimulatedRig, container: str) -> str:
    return rig.runtime.pod_sandbox_status(rig.runtime.container_status(container).sandbox_id).ip


@pytest.mark.parametrize(
    ("image", "options", "port", "text"),
    [
        ("nginx:1.25", {}, 80, b"Welcome to nginx!"),
        ("k8s.gcr.io/echoserver:1.4", {}, 8080, b"Hostname: pod-1"),
        ("hashicorp/http-echo", {"args": ("-text=hi there", "-listen=:9000")}, 9000, b"hi there\n"),
        ("gcr.io/google-samples/hello-app:2.0", {}, 8080, b"Version: 2.0"),
        ("registry.k8s.io/serve_hostname", {}, 9376, b"pod-1\n"),
        ("example/unheard-of:3", {"ports": ((3000, "TCP"),)}, 3000, b"example/unheard-of:3"),
    ],
)
def test_a_server_names_itself_on_its_port_and_on_no_other(
    rig: SimulatedRig, image: str, options: dict[str, Any], port: int, text: bytes
) -> None:
    ip = ip_of(rig, run(rig, image, **options))
    answer = rig.simulated.http(ip, port, "/")
    assert answer is not None
    assert answer[0] == 200
    assert text in answer[2]
    assert rig.simulated.http(ip, port + 1, "/") is None


def test_a_stopped_server_refuses_connections(rig: SimulatedRig) -> None:
    container = run(rig, "nginx")
    ip = ip_of(rig, container)
    rig.runtime.stop_container(container, 30)
    assert rig.simulated.http(ip, 80) is None


def test_a_request_is_in_the_server_s_log(rig: SimulatedRig) -> None:
    container = run(rig, "nginx")
    rig.simulated.http(ip_of(rig, container), 80, "/missing", client="10.0.0.9")
    assert '10.0.0.9 - - "GET /missing HTTP/1.1" 404' in log(rig, container)


def test_nginx_serves_what_its_volume_holds(rig: SimulatedRig, tmp_path: Path) -> None:
    mount = Mount(host_path=str(tmp_path), container_path="/usr/share/nginx/html")
    ip = ip_of(rig, run(rig, "nginx", mounts=(mount,)))
    (tmp_path / "index.html").write_text("from the volume")
    answer = rig.simulated.http(ip, 80)
    assert answer is not None
    assert answer[2] == b"from the volume"


def test_the_liveness_image_falls_ill_after_ten_seconds(rig: SimulatedRig) -> None:
    ip = ip_of(rig, run(rig, "registry.k8s.io/e2e-test-images/agnhost:2.40", args=("liveness",)))
    assert [rig.simulated.http(ip, 8080, "/healthz")[0], rig.pass_time(10)] == [200, None]  # type: ignore[index]
    assert rig.simulated.http(ip, 8080, "/healthz")[0] == 500  # type: ignore[index]


def test_pods_reach_pods_by_address_and_services_by_name(rig: SimulatedRig) -> None:
    ip = ip_of(rig, run(rig, "nginx"))
    client = rig.run("sleep", "600")

    def fetch(url: str) -> bytes:
        return bytes(rig.runtime.exec_sync(client, ["wget", "-qO-", url], 5).stdout)

    assert b"nginx" in fetch(f"http://{ip}")
    assert fetch("http://web") == b""
    rig.simulated.network.lookup = lambda name, namespace: {("web", "default"): "10.96.0.7"}.get((name, namespace))
    routes = {("10.96.0.7", 8000): (ip, 80)}
    rig.simulated.network.route = lambda address, port, client: routes.get((address, port))
    assert b"nginx" in fetch("http://web:8000/")
    assert fetch("http://web:8001/") == b""


def test_an_init_container_waits_until_a_name_is_known(rig: SimulatedRig) -> None:
    container = shell(rig, "until nslookup db; do echo waiting; sleep 2; done")
    rig.pass_time(5)
    assert rig.runtime.container_status(container).state == RUNNING
    rig.simulated.network.lookup = lambda name, namespace: "10.96.0.9"
    assert rig.finished(container).exit_code == 0


# size


def test_addresses_suffice_for_5000_nodes_and_avoid_the_services(rig: SimulatedRig) -> None:
    runtime = SimulatedRuntime(VirtualClock())
    networks = [runtime.add_node(f"node-{n}") for n in range(5000)]
    assert networks[7].pod_cidr == "10.244.7.0/24"
    assert len({network.pod_cidr for network in networks}) == len({network.node_ip for network in networks}) == 5000
    services = ip_network(runtime.service_cidr)
    assert not any(ip_network(network.pod_cidr).overlaps(services) for network in networks)


def test_a_node_has_253_pod_addresses_and_says_when_they_are_gone(rig: SimulatedRig) -> None:
    first = rig.sandbox()
    for _ in range(252):
        rig.sandbox()
    with pytest.raises(RuntimeFailure, match=r"no free pod address in 10\.244\.0\.0/24"):
        rig.sandbox()
    rig.runtime.stop_pod_sandbox(first)
    rig.sandbox()


def steps_of(work: Callable[[], object]) -> int:
    """How many lines of Python a call runs."""
    count = 0

    def trace(frame: Any, event: str, argument: object) -> Any:
        nonlocal count
        count += 1
        return trace

    gc.disable()  # what other tests left is not to be cleared away in here
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
        gc.enable()
    return count


def test_what_a_node_s_calls_cost_does_not_grow_with_the_other_nodes() -> None:
    clock = VirtualClock()
    runtime = SimulatedRuntime(clock)
    runtime.pull_image("nginx")

    def pod(node: str, number: int) -> None:
        config = PodSandboxConfig(name=f"p{number}", namespace="default", uid=f"{node}-{number}", node=node)
        sandbox = runtime.run_pod_sandbox(config)
        runtime.start_container(runtime.create_container(sandbox, ContainerConfig(name="c", image="nginx")))

    runtime.add_node("first")
    for number in range(10):
        pod("first", number)
    alone = steps_of(lambda: runtime.list_containers("first")), steps_of(lambda: pod("first", 10))
    for node in (f"n{number}" for number in range(200)):
        runtime.add_node(node)
        for number in range(10):
            pod(node, number)
    runtime.remove_pod_sandbox(runtime.list_pod_sandboxes("first")[-1].id)
    among_many = steps_of(lambda: runtime.list_containers("first")), steps_of(lambda: pod("first", 11))
    assert all(after < before + 100 for before, after in zip(alone, among_many, strict=True)), (alone, among_many)


def test_no_thread_socket_or_process_is_used(rig: SimulatedRig) -> None:
    used: list[str] = []
    sys.addaudithook(lambda event, _: used.append(event) if watching and event.startswith(_OUTSIDE) else None)
    watching = True
    container = run(rig, "nginx")
    rig.runtime.exec_sync(rig.run("sleep", "60"), ["wget", "-qO-", f"http://{ip_of(rig, container)}"], 5)
    rig.runtime.close()
    watching = False
    assert used == []


_OUTSIDE = ("socket.", "subprocess.", "os.fork", "os.exec", "_thread.start_new_thread", "os.posix_spawn")


def test_starting_a_pod_takes_well_under_a_millisecond_of_real_time(rig: SimulatedRig) -> None:
    runtime = rig.simulated
    runtime.pull_image("nginx")
    began = time.process_time()
    for node in range(50):
        runtime.add_node(f"n{node}")
        for number in range(20):
            config = PodSandboxConfig(name="p", namespace="default", uid=f"{node}-{number}", node=f"n{node}")
            sandbox = runtime.run_pod_sandbox(config)
            runtime.start_container(runtime.create_container(sandbox, ContainerConfig(name="c", image="nginx")))
    assert time.process_time() - began < 1.0
