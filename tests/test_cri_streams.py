"""Exec, Attach and PortForward: the same laws for every runtime."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

pytest.register_assert_rewrite("cri_contract")

from cri_contract import Rig, SimulatedRig, docker_image  # noqa: E402

from k8snb.cri import Connection, RuntimeFailure, Session  # noqa: E402

FOREVER = ("sleep", "600")

PROMPT = re.compile(rb"[#$] ")  # a shell's: root's or anybody else's


class Ear:
    """A listener that keeps what it hears. `once` is called with the first output."""

    def __init__(self) -> None:
        self.heard = {"stdout": b"", "stderr": b""}
        self.code: int | None = None
        self.message = ""
        self.ends = 0
        self.was_drained = False

    def output(self, stream: str, data: bytes) -> None:
        assert not self.ends, "output after the end"
        self.heard[stream] += data

    def drained(self) -> None:
        self.was_drained = True

    def ended(self, code: int, message: str) -> None:
        self.ends += 1
        self.code, self.message = code, message

    @property
    def out(self) -> bytes:
        return self.heard["stdout"]


class StreamContract:
    """The laws. `rig` is a runtime under test."""

    def listen(self, rig: Rig, connection: Connection) -> Ear:
        ear = Ear()
        connection.begin(ear)
        return ear

    def end(self, rig: Rig, ear: Ear) -> Ear:
        rig.until(lambda: ear.ends > 0)
        return ear

    def exec(self, rig: Rig, command: Sequence[str], given: bytes | None = None, **options: Any) -> Ear:
        """Run a command to its end in a container of its own."""
        session = rig.runtime.exec(rig.run(*FOREVER), command, stdin=given is not None, **options)
        ear = self.listen(rig, session)
        if given is not None:
            session.write(given)
            session.write_eof()
        return self.end(rig, ear)

    def attach(self, rig: Rig, container: str, **options: Any) -> tuple[Session, Ear]:
        session = rig.runtime.attach(container, **options)
        return session, self.listen(rig, session)

    # exec

    def test_a_command_s_streams_and_its_exit_code_arrive(self, rig: Rig) -> None:
        ear = self.exec(rig, ["sh", "-c", "echo out; echo err >&2; exit 3"])
        assert (ear.heard, ear.code, ear.message) == ({"stdout": b"out\n", "stderr": b"err\n"}, 3, "")

    def test_nothing_is_heard_after_the_end_and_the_end_comes_once(self, rig: Rig) -> None:
        ear = self.exec(rig, ["echo", "done"])
        rig.pass_time(0.2)
        assert ear.ends == 1

    def test_what_is_written_is_the_command_s_input_to_its_last_byte(self, rig: Rig) -> None:
        given = os.urandom(1 << 20)
        ear = self.exec(rig, ["cat"], given)
        assert ear.out == given
        assert ear.was_drained

    def test_what_is_written_before_anybody_listens_is_not_lost(self, rig: Rig) -> None:
        session = rig.runtime.exec(rig.run(*FOREVER), ["cat"], stdin=True)
        session.write(b"early\n")
        session.write_eof()
        assert self.end(rig, self.listen(rig, session)).out == b"early\n"

    def test_a_command_without_input_reads_its_end_at_once(self, rig: Rig) -> None:
        assert self.exec(rig, ["cat"]).code == 0

    def test_a_shell_reads_its_script_from_its_input(self, rig: Rig) -> None:
        ear = self.exec(rig, ["sh"], b"x=seven\necho $x\nexit 4\n")
        assert (ear.out, ear.code) == (b"seven\n", 4)

    def test_a_command_that_does_not_exist_fails(self, rig: Rig) -> None:
        try:
            ear = self.exec(rig, ["no-such-program"])
        except RuntimeFailure as failure:
            assert "no-such-program" in failure.message
        else:
            assert ear.code in (126, 127)

    def test_a_container_that_has_ended_takes_no_command(self, rig: Rig) -> None:
        container = rig.run("true")
        rig.finished(container)
        with pytest.raises(RuntimeFailure):
            rig.runtime.exec(container, ["true"])

    def test_a_terminal_echoes_and_prompts_and_has_one_stream(self, rig: Rig) -> None:
        session = rig.runtime.exec(rig.run(*FOREVER), ["sh"], tty=True, stdin=True)
        ear = self.listen(rig, session)
        rig.until(lambda: PROMPT.search(ear.out) is not None)
        session.write(b"echo to-$((40+2)) >&2\n")
        rig.until(lambda: b"to-42\r\n" in ear.out)
        assert b"echo to-$((40+2)) >&2\r\n" in ear.out, "what is typed is shown"
        session.write(b"exit 5\n")
        assert self.end(rig, ear).code == 5
        assert ear.heard["stderr"] == b""

    def test_a_shell_on_a_terminal_ends_with_control_d(self, rig: Rig) -> None:
        session = rig.runtime.exec(rig.run(*FOREVER), ["sh"], tty=True, stdin=True)
        ear = self.listen(rig, session)
        rig.until(lambda: PROMPT.search(ear.out) is not None)
        session.write(b"\x04")
        assert self.end(rig, ear).code == 0

    def test_closing_a_session_ends_it_for_its_listener(self, rig: Rig) -> None:
        session = rig.runtime.exec(rig.run(*FOREVER), ["sleep", "500"])
        ear = self.listen(rig, session)
        session.close()
        self.end(rig, ear)

    def test_a_session_ends_with_its_container(self, rig: Rig) -> None:
        container = rig.run(*FOREVER)
        ear = self.listen(rig, rig.runtime.exec(container, ["sleep", "500"]))
        rig.runtime.stop_container(container, 0)
        assert self.end(rig, ear).code != 0

    # attach

    def test_every_client_hears_what_a_container_writes_from_then_on(self, rig: Rig) -> None:
        container = rig.run("sh", "-c", "echo early; sleep 3; echo late; sleep 1")
        rig.wait_for_log(container, b"early")
        (_, one), (_, two) = self.attach(rig, container), self.attach(rig, container)
        for ear in (self.end(rig, one), self.end(rig, two)):
            assert (ear.out, ear.code) == (b"late\n", 0)

    def test_a_client_writes_to_a_program_that_reads(self, rig: Rig) -> None:
        container = rig.run("sh", stdin=True)
        session, ear = self.attach(rig, container, stdin=True)
        session.write(b"echo hello there\n")
        rig.until(lambda: b"hello there\n" in ear.out)
        session.write(b"exit 6\n")
        assert self.end(rig, ear).code == 0, "the program's code is its status's"
        assert rig.finished(container).exit_code == 6

    def test_the_first_client_s_end_of_input_is_the_program_s_where_stdin_is_once(self, rig: Rig) -> None:
        container = rig.run("sh", stdin=True, stdin_once=True)
        session, ear = self.attach(rig, container, stdin=True)
        session.write(b"echo last words\n")
        session.write_eof()
        assert self.end(rig, ear).out == b"last words\n"
        assert rig.finished(container).exit_code == 0

    def test_a_client_that_leaves_does_not_end_the_program(self, rig: Rig) -> None:
        container = rig.run("sh", stdin=True, tty=True)
        session, ear = self.attach(rig, container, stdin=True)
        session.close()
        self.end(rig, ear)
        session, ear = self.attach(rig, container, stdin=True)
        session.write(b"echo still-$((1+1))-here\n")
        rig.until(lambda: b"still-2-here\r\n" in ear.out)

    # port-forward

    def test_a_port_where_nobody_listens_is_refused(self, rig: Rig) -> None:
        sandbox = rig.sandbox()
        rig.run(*FOREVER, sandbox=sandbox)
        with pytest.raises(RuntimeFailure) as failure:
            rig.runtime.port_forward(sandbox, 4321)
        assert "connection refused" in failure.value.message

    def test_a_port_answers_over_as_many_connections_as_are_opened(self, rig: Rig) -> None:
        sandbox = self.web(rig)
        ears = []
        for _ in range(3):
            connection = self.connect(rig, sandbox)
            ear = self.listen(rig, connection)
            connection.write(b"GET / HTTP/1.0\r\nHost: web\r\n\r\n")
            ears.append(ear)
        for ear in ears:
            assert self.end(rig, ear).out.startswith(b"HTTP/1."), ear.out
            assert b" 200 " in ear.out.split(b"\r\n")[0]

    def web(self, rig: Rig) -> str:
        """A sandbox in which something serves on port 80."""
        sandbox = rig.sandbox()
        rig.runtime.pull_image("nginx")
        rig.run(sandbox=sandbox, image="nginx")
        return sandbox

    def connect(self, rig: Rig, sandbox: str) -> Connection:
        found: list[Connection] = []

        def answers() -> bool:
            try:
                found.append(rig.runtime.port_forward(sandbox, 80))
            except RuntimeFailure:
                return False
            return True

        rig.until(answers)
        return found[0]


class RealStreams(StreamContract):
    """Laws that need a real kernel under the containers."""

    def test_a_terminal_has_the_size_that_its_client_gives_it(self, rig: Rig) -> None:
        session = rig.runtime.exec(rig.run(*FOREVER), ["sh"], tty=True, stdin=True)
        session.resize(101, 37)
        ear = self.listen(rig, session)
        rig.pass_time(0.5)
        session.write(b"busybox stty size || stty size\n")
        rig.until(lambda: b"37 101" in ear.out)
        session.write(b"exit\n")
        self.end(rig, ear)

    def test_control_c_interrupts_what_runs_on_a_terminal(self, rig: Rig) -> None:
        session = rig.runtime.exec(rig.run(*FOREVER), ["sh"], tty=True, stdin=True)
        ear = self.listen(rig, session)
        session.write(b"echo begin-$((1+1)); sleep 500\n")
        rig.until(lambda: b"begin-2" in ear.out)
        rig.pass_time(0.3)
        session.write(b"\x03")
        session.write(b"echo after-$((1+1)); exit\n")
        assert b"after-2" in self.end(rig, ear).out

    def test_a_paused_session_holds_the_command_up_and_loses_nothing(self, rig: Rig) -> None:
        count = 4 << 20
        session = rig.runtime.exec(rig.run(*FOREVER), ["sh", "-c", f"head -c {count} /dev/zero"])
        session.pause()
        ear = self.listen(rig, session)
        rig.pass_time(0.5)
        assert len(ear.out) < count
        session.resume()
        assert len(self.end(rig, ear).out) == count

    def test_what_a_command_does_not_read_is_counted_as_backlog(self, rig: Rig) -> None:
        session = rig.runtime.exec(rig.run(*FOREVER), ["sleep", "500"], stdin=True)
        ear = self.listen(rig, session)
        session.write(bytes(8 << 20))
        rig.pass_time(0.3)
        assert session.backlog > 1 << 20
        session.close()
        self.end(rig, ear)


class TestSimulated(StreamContract):
    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        rig = SimulatedRig()
        yield rig
        rig.simulated.close()


@pytest.mark.process
class TestProcess(RealStreams):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> Iterator[Rig]:
        from k8snb.cri.process import ProcessRuntime

        threads, children = threading.active_count(), len(psutil.Process().children(recursive=True))
        descriptors = len(os.listdir("/dev/fd"))
        runtime = ProcessRuntime("streams", tmp_path / "cluster")
        rig = Rig(runtime)
        yield rig
        runtime.close()
        rig.until(lambda: threading.active_count() <= threads)
        assert len(psutil.Process().children(recursive=True)) <= children
        assert len(os.listdir("/dev/fd")) <= descriptors

    def test_a_closed_session_kills_its_command(self, rig: Rig) -> None:
        session = rig.runtime.exec(rig.run(*FOREVER), ["sh", "-c", "trap '' HUP TERM; sleep 4321"])
        ear = self.listen(rig, session)
        rig.until(lambda: _runs("4321"))
        session.close()
        self.end(rig, ear)
        rig.until(lambda: not _runs("4321"))

    def test_a_client_that_does_not_read_is_let_go_and_the_container_goes_on(self, rig: Rig) -> None:
        container = rig.run("sh", "-c", "sleep 1; head -c 9000000 /dev/zero; echo finished; sleep 600")
        session, ear = self.attach(rig, container)
        session.pause()
        rig.wait_for_log(container, b"finished")
        assert "detached" in self.end(rig, ear).message

    def test_tar_packs_under_the_names_that_files_have_in_the_container(self, rig: Rig) -> None:
        container = rig.run("sh", "-c", "mkdir /tmp/d; echo x > /tmp/d/f; echo ready; sleep 600")
        rig.wait_for_log(container, b"ready")
        packed = rig.runtime.exec_sync(container, ["tar", "cf", "-", "/tmp/d"], 10).stdout
        assert b"tmp/d/f" in packed
        assert str(rig.runtime.directory).encode() not in packed  # type: ignore[attr-defined]


def _runs(word: str) -> bool:
    return any(word in (process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))


@pytest.mark.docker
class TestDocker(RealStreams):
    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        from k8snb.cri.docker import DockerRuntime
        from k8snb.cri.docker_engine import connected

        with connected() as api, docker_image(api, "busybox:latest") as image:
            runtime = DockerRuntime("k8snb-streams")
            yield Rig(runtime, shell=image, patience=30.0)
            runtime.close()

    def web(self, rig: Rig) -> str:
        sandbox = rig.sandbox()
        rig.run("sh", "-c", "echo hello > /tmp/index.html; httpd -f -p 80 -h /tmp", sandbox=sandbox)
        return sandbox
