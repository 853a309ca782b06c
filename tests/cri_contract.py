"""The contract of `cri.Runtime`: laws that every runtime keeps. Subclass `RuntimeContract` and give it a `rig` fixture.

A rig is a runtime with what a test needs to know about it: which images it has, how time passes, what it leaves behind.
"""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from k8snb.clock import VirtualClock, parse_timestamp
from k8snb.cri import (
    CREATED,
    EXITED,
    RUNNING,
    SANDBOX_NOTREADY,
    SANDBOX_READY,
    ContainerConfig,
    ContainerStatus,
    Freezer,
    Mount,
    PodSandboxConfig,
    Runtime,
    RuntimeFailure,
)
from k8snb.cri.simulated import SimulatedRuntime
from k8snb.pump import Pump

BUSYBOX = Path("/bin/busybox")


@dataclass
class Rig:
    """A runtime under test. `shell` is an image with `sh`, `missing` one that cannot be pulled."""

    runtime: Runtime
    shell: str = "busybox:latest"
    missing: str = "localhost:1/does-not-exist:1"
    patience: float = 60.0
    leftovers: Callable[[], Sequence[str]] = list
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1000)))

    def now(self) -> float:
        return time.time()

    def pass_time(self, seconds: float) -> None:
        time.sleep(seconds)

    def until(self, condition: Callable[[], bool]) -> None:
        """Let time pass until the condition is true."""
        end = self.now() + self.patience
        while not condition():
            assert self.now() < end, f"not true within {self.patience} s"
            self.pass_time(0.05)

    def sandbox(self, node: str = "node-1", **options: Any) -> str:
        self.runtime.add_node(node)
        number = next(self.numbers)
        config = {"name": f"pod-{number}", "namespace": "default", "uid": f"uid-{number}", "node": node, **options}
        return self.runtime.run_pod_sandbox(PodSandboxConfig(**config))

    def create(self, *command: str, sandbox: str = "", **options: Any) -> str:
        if self.runtime.image_status(self.shell) is None:
            self.runtime.pull_image(self.shell)
        config = {"name": "main", "image": self.shell, "command": command, **options}
        return self.runtime.create_container(sandbox or self.sandbox(), ContainerConfig(**config))

    def run(self, *command: str, **options: Any) -> str:
        """A container that was started."""
        container = self.create(*command, **options)
        self.runtime.start_container(container)
        return container

    def finished(self, container: str) -> ContainerStatus:
        """The container's status once it has ended."""
        self.until(lambda: self.runtime.container_status(container).state == EXITED)
        return self.runtime.container_status(container)

    def read(self, chunks: Iterable[bytes]) -> bytes:
        """What a log has to say, letting time pass where it says "nothing yet"."""
        found = b""
        for chunk in chunks:
            found += chunk
            if not chunk:
                self.pass_time(0.5)
        return found

    def wait_for_log(self, container: str, text: bytes) -> None:
        self.until(lambda: text in self.read(self.runtime.container_logs(container)))


class _Waited:
    """A simulated runtime for one caller: each call takes, on the pump's clock, what it says that it costs."""

    def __init__(self, runtime: SimulatedRuntime, pump: Pump) -> None:
        self._runtime, self._pump = runtime, pump

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._runtime, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            try:
                return found(*arguments, **options)
            finally:
                self._pump.run_for(self._runtime.take_elapsed())

        return call


class SimulatedRig(Rig):
    """On a virtual clock: time passes when the pump is told to."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.pump = Pump(self.clock)
        self.simulated = SimulatedRuntime(self.clock)
        super().__init__(_Waited(self.simulated, self.pump))  # type: ignore[arg-type]

    def now(self) -> float:
        return self.clock.now()

    def pass_time(self, seconds: float) -> None:
        self.pump.run_for(seconds)


@contextmanager
def docker_image(api: Any, ref: str, **options: Any) -> Iterator[str]:
    """An image that holds this machine's busybox; made, and removed at the end, unless the engine has one so named."""
    import docker

    try:
        api.inspect_image(ref)
        made = False
    except docker.errors.ImageNotFound:
        made = True
        name, _, tag = ref.rpartition(":")
        api.import_image_from_data(busybox_layer(), repository=name, tag=tag, **options)
    try:
        yield ref
    finally:
        if made:
            api.remove_image(ref, force=True)


def busybox_layer() -> bytes:
    """A root file system with busybox under the names of its commands, as a tar archive."""
    commands = "sh sleep echo cat date hostname env ls wget httpd nslookup tail ps mkdir touch true false id pwd kill"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("bin", "etc", "tmp", "root"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(entry)
        archive.add(BUSYBOX, "bin/busybox")
        for name in commands.split():
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
    return buffer.getvalue()


class RuntimeContract:
    """The laws."""

    # nodes and sandboxes

    def test_a_node_keeps_its_addresses_and_shares_them_with_no_other(self, rig: Rig) -> None:
        first, second = rig.runtime.add_node("node-1"), rig.runtime.add_node("node-2")
        assert rig.runtime.add_node("node-1") == first
        assert not ip_network(first.pod_cidr).overlaps(ip_network(second.pod_cidr))

    def test_a_sandbox_is_ready_until_it_is_stopped_and_gone_once_removed(self, rig: Rig) -> None:
        sandbox = rig.sandbox()
        status = rig.runtime.pod_sandbox_status(sandbox)
        assert (status.id, status.state, status.name, status.uid) == (sandbox, SANDBOX_READY, "pod-1", "uid-1")
        rig.runtime.stop_pod_sandbox(sandbox)
        rig.until(lambda: rig.runtime.pod_sandbox_status(sandbox).state == SANDBOX_NOTREADY)
        rig.runtime.remove_pod_sandbox(sandbox)
        assert rig.runtime.list_pod_sandboxes("node-1") == []

    def test_pods_have_addresses_of_their_node_and_no_two_the_same(self, rig: Rig) -> None:
        cidr = ip_network(rig.runtime.add_node("node-1").pod_cidr)
        ips = [rig.runtime.pod_sandbox_status(rig.sandbox()).ip for _ in range(3)]
        assert len(set(ips)) == 3
        assert all(ip_address(ip) in cidr for ip in ips)

    def test_a_pod_on_the_host_network_has_the_node_s_address(self, rig: Rig) -> None:
        network = rig.runtime.add_node("node-1")
        assert rig.runtime.pod_sandbox_status(rig.sandbox(host_network=True)).ip == network.node_ip

    def test_stopping_and_removing_twice_is_no_error(self, rig: Rig) -> None:
        sandbox = rig.sandbox()
        container = rig.run("sleep", "60", sandbox=sandbox)
        for _ in range(2):
            rig.runtime.stop_container(container, 0)
            rig.runtime.stop_pod_sandbox(sandbox)
        for _ in range(2):
            rig.runtime.remove_container(container)
            rig.runtime.remove_pod_sandbox(sandbox)

    def test_removing_a_sandbox_takes_its_containers_along(self, rig: Rig) -> None:
        sandbox = rig.sandbox()
        rig.run("sleep", "60", sandbox=sandbox)
        rig.runtime.remove_pod_sandbox(sandbox)
        assert rig.runtime.list_containers("node-1") == []

    def test_stopping_a_sandbox_ends_its_containers(self, rig: Rig) -> None:
        sandbox = rig.sandbox()
        container = rig.run("sleep", "60", sandbox=sandbox)
        rig.runtime.stop_pod_sandbox(sandbox)
        assert rig.finished(container).exit_code != 0

    # containers

    def test_a_container_is_created_then_runs_then_has_ended_with_its_code(self, rig: Rig) -> None:
        container = rig.create("sh", "-c", "sleep 1; exit 3")
        assert rig.runtime.container_status(container).state == CREATED
        rig.runtime.start_container(container)
        assert rig.runtime.container_status(container).state == RUNNING
        status = rig.finished(container)
        assert (status.exit_code, status.reason) == (3, "Error")
        assert 0 < status.created_at <= status.started_at < status.finished_at <= rig.now()

    def test_a_container_that_ends_with_0_is_completed(self, rig: Rig) -> None:
        status = rig.finished(rig.run("true"))
        assert (status.exit_code, status.reason) == (0, "Completed")

    def test_a_status_names_its_pod_container_image_and_attempt(self, rig: Rig) -> None:
        sandbox = rig.sandbox()
        first = rig.run("false", sandbox=sandbox, name="main", attempt=0)
        rig.finished(first)
        second = rig.run("sleep", "60", sandbox=sandbox, name="main", attempt=1)
        by_attempt = {status.attempt: status for status in rig.runtime.list_containers("node-1")}
        assert {0: first, 1: second} == {attempt: status.id for attempt, status in by_attempt.items()}
        status = by_attempt[1]
        assert (status.pod_uid, status.sandbox_id, status.name, status.image) == ("uid-1", sandbox, "main", rig.shell)
        assert status.image_id

    def test_environment_arguments_and_working_directory_reach_the_program(self, rig: Rig) -> None:
        options = {"args": ("echo $GREETING; pwd",), "env": (("GREETING", "hello there"),), "working_dir": "/tmp"}
        container = rig.run("sh", "-c", **options)
        rig.finished(container)
        assert rig.read(rig.runtime.container_logs(container)).splitlines()[0] == b"hello there"
        assert rig.read(rig.runtime.container_logs(container)).splitlines()[1].endswith(b"/tmp")

    def test_a_node_lists_its_own_containers_and_no_others(self, rig: Rig) -> None:
        one = rig.run("sleep", "60", sandbox=rig.sandbox("node-1"))
        two = rig.run("sleep", "60", sandbox=rig.sandbox("node-2"))
        assert [status.id for status in rig.runtime.list_containers("node-1")] == [one]
        assert [status.id for status in rig.runtime.list_containers("node-2")] == [two]

    def test_an_unknown_container_is_not_found(self, rig: Rig) -> None:
        rig.runtime.add_node("node-1")
        with pytest.raises(RuntimeFailure) as failure:
            rig.runtime.container_status("0123456789abcdef")
        assert failure.value.reason == "NotFound"

    # the end of a container

    def test_a_program_that_handles_sigterm_ends_by_itself(self, rig: Rig) -> None:
        container = rig.run("sh", "-c", "trap 'exit 7' TERM; echo ready; while true; do sleep 0.2; done")
        rig.wait_for_log(container, b"ready")
        before = rig.now()
        rig.runtime.stop_container(container, 10)
        assert rig.runtime.container_status(container).exit_code == 7
        assert rig.now() - before < 5

    def test_a_program_that_ignores_sigterm_is_killed_after_the_grace_period(self, rig: Rig) -> None:
        container = rig.run("sh", "-c", "trap '' TERM; echo ready; while true; do sleep 0.2; done")
        rig.wait_for_log(container, b"ready")
        before = rig.now()
        rig.runtime.stop_container(container, 2)
        assert rig.runtime.container_status(container).exit_code == 137
        assert 1.9 <= rig.now() - before < 8

    def test_a_grace_period_of_0_kills_at_once(self, rig: Rig) -> None:
        container = rig.run("sh", "-c", "trap '' TERM; while true; do sleep 0.2; done")
        rig.runtime.stop_container(container, 0)
        assert rig.finished(container).exit_code == 137

    def test_a_running_container_can_be_removed(self, rig: Rig) -> None:
        container = rig.run("sleep", "60")
        rig.runtime.remove_container(container)
        assert rig.runtime.list_containers("node-1") == []

    # logs

    def test_logs_hold_both_streams_and_outlive_the_program(self, rig: Rig) -> None:
        container = rig.run("sh", "-c", "echo one; echo two >&2; echo three")
        rig.finished(container)
        rig.wait_for_log(container, b"three")
        assert sorted(rig.read(rig.runtime.container_logs(container)).split()) == [b"one", b"three", b"two"]

    def test_tail_gives_the_last_lines_and_timestamps_the_moment_of_each(self, rig: Rig) -> None:
        before = rig.now()
        container = rig.run("sh", "-c", "for i in 1 2 3 4; do echo line $i; done")
        rig.finished(container)
        rig.wait_for_log(container, b"line 4")
        assert rig.read(rig.runtime.container_logs(container, tail=2)) == b"line 3\nline 4\n"
        stamp, _, text = rig.read(rig.runtime.container_logs(container, tail=1, timestamps=True)).partition(b" ")
        assert text == b"line 4\n"
        assert before - 1 <= parse_timestamp(_microseconds(stamp.decode())) <= rig.now() + 1

    def test_since_leaves_out_what_is_older(self, rig: Rig) -> None:
        container = rig.run("sh", "-c", "echo early; sleep 2; echo late")
        rig.wait_for_log(container, b"late")
        assert rig.read(rig.runtime.container_logs(container, since=rig.now() - 1)) == b"late\n"

    def test_following_a_log_ends_with_the_container_and_misses_nothing(self, rig: Rig) -> None:
        container = rig.run("sh", "-c", "for i in 1 2 3; do echo line $i; sleep 0.3; done")
        assert rig.read(rig.runtime.container_logs(container, follow=True)) == b"line 1\nline 2\nline 3\n"
        assert rig.finished(container).exit_code == 0

    # exec

    def test_exec_gives_output_and_exit_code(self, rig: Rig) -> None:
        container = rig.run("sleep", "60", env=(("COLOUR", "blue"),))
        result = rig.runtime.exec_sync(container, ["sh", "-c", "echo $COLOUR; echo oops >&2; exit 4"], 10)
        assert (result.stdout, result.stderr, result.exit_code) == (b"blue\n", b"oops\n", 4)

    def test_exec_sees_the_container_s_files(self, rig: Rig) -> None:
        container = rig.run("sh", "-c", "echo warm > /tmp/healthy; echo ready; sleep 60")
        rig.wait_for_log(container, b"ready")
        assert rig.runtime.exec_sync(container, ["cat", "/tmp/healthy"], 10).stdout == b"warm\n"

    def test_an_exec_that_takes_too_long_fails(self, rig: Rig) -> None:
        container, before = rig.run("sleep", "60"), rig.now()
        with pytest.raises(RuntimeFailure) as failure:
            rig.runtime.exec_sync(container, ["sleep", "30"], 1)
        assert failure.value.reason == "DeadlineExceeded"
        assert 0.9 < rig.now() - before < 8

    def test_exec_in_a_container_that_does_not_run_fails(self, rig: Rig) -> None:
        container = rig.run("true")
        rig.finished(container)
        with pytest.raises(RuntimeFailure):
            rig.runtime.exec_sync(container, ["true"], 10)

    # mounts

    def test_a_mounted_directory_is_the_host_s(self, rig: Rig, tmp_path: Path) -> None:
        (tmp_path / "in").write_text("from the host\n")
        mount = Mount(host_path=str(tmp_path), container_path="/data")
        container = rig.run("sh", "-c", "cat /data/in; echo from the pod > /data/out", mounts=(mount,))
        assert rig.finished(container).exit_code == 0
        assert rig.read(rig.runtime.container_logs(container)) == b"from the host\n"
        assert (tmp_path / "out").read_text() == "from the pod\n"

    def test_two_containers_of_a_pod_share_what_both_mount(self, rig: Rig, tmp_path: Path) -> None:
        sandbox, mount = rig.sandbox(), Mount(host_path=str(tmp_path), container_path="/data")
        writes = rig.run("sh", "-c", "echo shared > /data/note", sandbox=sandbox, mounts=(mount,))
        assert rig.finished(writes).exit_code == 0
        other = Mount(host_path=str(tmp_path), container_path="/elsewhere")
        reads = rig.run("cat", "/elsewhere/note", sandbox=sandbox, name="side", mounts=(other,))
        rig.finished(reads)
        assert rig.read(rig.runtime.container_logs(reads)) == b"shared\n"

    def test_what_is_mounted_to_be_read_cannot_be_written(self, rig: Rig, tmp_path: Path) -> None:
        """A runtime that cannot see to that says so in the container's notes."""
        (tmp_path / "note").write_text("as it was\n")
        mount = Mount(host_path=str(tmp_path), container_path="/data", readonly=True)
        container = rig.run("sh", "-c", "cat /data/note; echo changed > /data/note", mounts=(mount,))
        status = rig.finished(container)
        assert b"as it was\n" in rig.read(rig.runtime.container_logs(container))
        if not any("read-only ones writable" in note for note in status.notes):
            assert status.exit_code != 0
            assert (tmp_path / "note").read_text() == "as it was\n"

    def test_a_single_file_may_be_mounted_and_one_mount_may_lie_in_another(self, rig: Rig, tmp_path: Path) -> None:
        """What a subPath, and a volume inside of a volume, come to."""
        outer, inner, file = tmp_path / "outer", tmp_path / "inner", tmp_path / "file"
        for folder in (outer, inner):
            folder.mkdir()
        (inner / "name").write_text("inner\n")
        file.write_text("file\n")
        mounts = (
            Mount(host_path=str(file), container_path="/settings/color"),
            Mount(host_path=str(outer), container_path="/data"),
            Mount(host_path=str(inner), container_path="/data/inner"),
        )
        container = rig.run("sh", "-c", "cat /settings/color; cat /data/inner/name", mounts=mounts)
        rig.finished(container)
        assert rig.read(rig.runtime.container_logs(container)) == b"file\ninner\n"

    def test_a_command_beside_the_container_s_own_sees_its_mounts(self, rig: Rig, tmp_path: Path) -> None:
        (tmp_path / "note").write_text("seen\n")
        mount = Mount(host_path=str(tmp_path), container_path="/data")
        container = rig.run("sh", "-c", "sleep 1000", mounts=(mount,))
        assert rig.runtime.exec_sync(container, ["cat", "/data/note"], 30).stdout == b"seen\n"

    # images

    def test_an_image_that_cannot_be_pulled_is_err_image_pull_in_one_line(self, rig: Rig) -> None:
        with pytest.raises(RuntimeFailure) as failure:
            rig.runtime.pull_image(rig.missing)
        assert failure.value.reason == "ErrImagePull"
        assert rig.missing in failure.value.message
        assert "\n" not in failure.value.message
        assert rig.runtime.image_status(rig.missing) is None

    def test_a_container_of_an_image_that_is_not_there_cannot_be_created(self, rig: Rig) -> None:
        sandbox = rig.sandbox()
        with pytest.raises(RuntimeFailure) as failure:
            rig.runtime.create_container(sandbox, ContainerConfig(name="main", image=rig.missing))
        assert failure.value.reason == "CreateContainerError"

    def test_an_image_that_is_there_is_listed(self, rig: Rig) -> None:
        rig.create("true")
        found = rig.runtime.image_status(rig.shell)
        assert found is not None
        assert found.id in {image.id for image in rig.runtime.list_images()}

    # events

    def test_a_node_is_told_which_pod_changed_and_no_other_node_is(self, rig: Rig) -> None:
        told: dict[str, list[str]] = {"node-1": [], "node-2": []}
        for node, uids in told.items():
            rig.runtime.add_node(node)
            rig.runtime.events(node, uids.append)
        rig.finished(rig.run("sh", "-c", "sleep 1", sandbox=rig.sandbox("node-1")))
        rig.until(lambda: "uid-1" in told["node-1"])
        assert told["node-2"] == []

    def test_an_end_is_told_after_it_can_be_seen(self, rig: Rig) -> None:
        rig.runtime.add_node("node-1")
        seen: list[str] = []
        container = ""

        def look(uid: str) -> None:
            if container:
                seen.append(rig.runtime.container_status(container).state)

        rig.runtime.events("node-1", look)
        container = rig.run("sh", "-c", "sleep 1")
        rig.finished(container)
        rig.until(lambda: EXITED in seen)

    def test_a_callback_that_is_taken_back_is_told_nothing_more(self, rig: Rig) -> None:
        rig.runtime.add_node("node-1")
        gone: list[str] = []
        stays: list[str] = []
        stop = rig.runtime.events("node-1", gone.append)
        rig.runtime.events("node-1", stays.append)
        stop()
        stop()
        rig.finished(rig.run("sh", "-c", "sleep 1", sandbox=rig.sandbox("node-1")))
        rig.until(lambda: "uid-1" in stays)
        assert gone == []

    def test_a_callback_that_fails_keeps_no_other_from_being_told(
        self, rig: Rig, capsys: pytest.CaptureFixture[str]
    ) -> None:
        rig.runtime.add_node("node-1")
        told: list[str] = []

        def fail(uid: str) -> None:
            raise ValueError("not today")

        rig.runtime.events("node-1", fail)
        rig.runtime.events("node-1", told.append)
        rig.sandbox("node-1")
        container = rig.run("true", sandbox=rig.sandbox("node-1"))
        rig.finished(container)
        rig.until(lambda: "uid-2" in told)
        rig.until(lambda: "ValueError: not today" in capsys.readouterr().err)

    # freezing

    def test_a_frozen_container_still_runs_and_does_nothing_until_it_is_thawed(self, rig: Rig) -> None:
        runtime = freezer(rig)
        container = rig.run("sh", "-c", "while true; do echo tick; sleep 0.1; done")

        def ticks() -> int:
            return rig.read(rig.runtime.container_logs(container)).count(b"tick")

        def stands_still() -> bool:
            before = ticks()
            rig.pass_time(0.5)
            return before == ticks()

        rig.until(lambda: ticks() > 0)
        runtime.freeze_container(container)
        rig.until(stands_still)
        assert rig.runtime.container_status(container).state == RUNNING
        runtime.freeze_container(container)
        before = ticks()
        runtime.thaw_container(container)
        rig.until(lambda: ticks() > before)

    def test_a_frozen_container_can_be_stopped(self, rig: Rig) -> None:
        container = rig.run("sh", "-c", "trap 'exit 3' TERM; while true; do sleep 0.1; done")
        rig.until(lambda: rig.runtime.container_status(container).state == RUNNING)
        freezer(rig).freeze_container(container)
        rig.runtime.stop_container(container, 10.0)
        assert rig.finished(container).state == EXITED

    def test_no_command_runs_in_a_frozen_container(self, rig: Rig) -> None:
        container = rig.run("sleep", "60")
        freezer(rig).freeze_container(container)
        with pytest.raises(RuntimeFailure, match="paused"):
            rig.runtime.exec_sync(container, ["true"], 10.0)

    # the end of all

    def test_removing_a_node_ends_its_pods_alone(self, rig: Rig) -> None:
        rig.run("sleep", "60", sandbox=rig.sandbox("node-1"))
        other = rig.run("sleep", "60", sandbox=rig.sandbox("node-2"))
        rig.runtime.remove_node("node-1")
        assert rig.runtime.container_status(other).state == RUNNING
        rig.runtime.add_node("node-1")
        assert rig.runtime.list_pod_sandboxes("node-1") == []

    def test_close_leaves_nothing_behind_and_may_be_called_twice(self, rig: Rig) -> None:
        rig.run("sleep", "60")
        rig.run("true")
        rig.runtime.close()
        assert list(rig.leftovers()) == []
        rig.runtime.close()


def freezer(rig: Rig) -> Freezer:
    assert isinstance(rig.runtime, Freezer)
    return rig.runtime


def _microseconds(stamp: str) -> str:
    """An RFC 3339 time with nine digits behind the point, cut to six."""
    return stamp if len(stamp) < 28 else stamp[:26] + "Z"
