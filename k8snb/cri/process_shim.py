"""The shim: one thread that reads what all containers write, and notices their ends.

Interface: `Process`, a started child; `Shim.attend` takes one over; `run` for a command beside it.
The rule not to break: a child is reaped only here, after its group has been killed: until then its id is its own.
Upstream has a containerd-shim process per container. Exits are noticed by pidfd, and where there is none by asking.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from k8snb.cri import ExecResult, process_usage
from k8snb.cri.janitor import Janitor
from k8snb.cri.janitor_program import kill_group, sweep
from k8snb.cri.logs import ContainerLog

BUFFER = 65536
POLL, MEMORY_CHECK = 0.05, 1.0
REST = 3  # a container that never stops writing gets a quarter of the thread's time
SIGNAL_BASE = 128


class Process:
    """A container's first process. `directory` is where its root lies, the mark of all its processes.

    `pipes` are what the container writes to, each with its stream's name. On the shim's thread, `on_output(stream,
    data)` is called with all of it, and `on_exit(exit_code, out_of_memory)` after the log is complete.
    """

    def __init__(
        self,
        popen: subprocess.Popen[bytes],
        *,
        directory: str,
        log: ContainerLog,
        memory_limit: int,
        pipes: Sequence[tuple[str, IO[bytes]]],
        on_output: Callable[[str, bytes], None],
        on_exit: Callable[[int, bool], None],
    ) -> None:
        self.popen, self.directory, self.log = popen, directory, log
        self.memory_limit, self.pipes = memory_limit, pipes
        self.on_output, self.on_exit = on_output, on_exit
        self.ended = threading.Event()
        self.out_of_memory = False
        self.pidfd = open_process(popen.pid)
        self._reaping = threading.Lock()

    @property
    def pid(self) -> int:
        return self.popen.pid

    def signal(self, number: int) -> None:
        """Send a signal to the whole process group."""
        with self._reaping:
            if self.popen.returncode is None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.pid, number)

    def freeze(self) -> None:
        """SIGSTOP, until no process of the container is left that could have started another one meanwhile."""
        stopped: set[int] = set()
        self.signal(signal.SIGSTOP)
        while found := [pid for pid in process_usage.family(self.pid) if pid not in stopped]:
            self._tell(found, signal.SIGSTOP)
            stopped.update(found)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)
        self._tell(process_usage.family(self.pid), signal.SIGCONT)

    def _tell(self, pids: Sequence[int], number: int) -> None:
        """Signal descendants, some of which may have left the process group."""
        with self._reaping:
            if self.popen.returncode is None:
                for pid in pids:
                    with suppress(ProcessLookupError, PermissionError):
                        os.kill(pid, number)

    def has_exited(self) -> bool:
        """Whether the process has ended; it is not reaped by asking, where the platform allows that."""
        if not hasattr(os, "waitid"):
            return self.popen.poll() is not None
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def reap(self) -> int:
        """The exit code as shells have it: 128 + the signal for a process that was killed."""
        with self._reaping:
            code = self.popen.wait()
        if self.pidfd >= 0:
            os.close(self.pidfd)
        return code if code >= 0 else SIGNAL_BASE - code


class Shim:
    """Serves any number of processes; the thread starts with the first."""

    def __init__(self, janitor: Janitor) -> None:
        self._janitor = janitor
        self._selector = selectors.DefaultSelector()
        self._inbox: deque[Process] = deque()
        self._processes: set[Process] = set()
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_writer, False)
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closing = False
        self._next_check = 0.0

    def attend(self, process: Process) -> None:
        """Take a process over: its output, its exit."""
        with self._lock:
            if self._closing:
                raise RuntimeError("the process runtime is closed")
            self._inbox.append(process)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="k8snb-shim", daemon=True)
                self._thread.start()
        self._wake()

    def close(self) -> None:
        """Kill what is left and end the thread."""
        with self._lock:
            if self._closing:
                return
            self._closing = True
            thread = self._thread
        self._wake()
        if thread is not None:
            thread.join(timeout=30)
        self._selector.close()
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    # the thread

    def _loop(self) -> None:
        while not self._closing or self._inbox or self._processes:
            try:
                self._turn()
            except Exception:
                sys.stderr.write(f"process runtime failed:\n{traceback.format_exc()}")

    def _turn(self) -> None:
        ready = self._selector.select(self._timeout())
        began = time.monotonic()
        if any(key.fileobj == self._wake_reader for key, _ in ready):
            os.read(self._wake_reader, BUFFER)
        while self._inbox:
            self._register(self._inbox.popleft())
        if self._closing:
            for process in self._processes:
                process.signal(signal.SIGKILL)
        streams = [(key.fileobj, *key.data) for key, _ in ready if key.data and key.data[1]]
        full = [pipe for pipe, process, stream in streams if self._read(process, stream, pipe)]
        self._check_memory(began)
        ended = [process for process in self._processes if process.pidfd < 0 and process.has_exited()]
        ended += [key.data[0] for key, _ in ready if key.data and not key.data[1]]
        if ended:
            self._finish(ended)
        if full:
            threading.Event().wait((time.monotonic() - began) * REST)

    def _timeout(self) -> float | None:
        """How long nothing need be looked at."""
        if any(process.pidfd < 0 for process in self._processes):
            return POLL
        return MEMORY_CHECK if any(process.memory_limit for process in self._processes) else None

    def _register(self, process: Process) -> None:
        self._processes.add(process)
        for stream, pipe in process.pipes:
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, (process, stream))
        if process.pidfd >= 0:
            self._selector.register(process.pidfd, selectors.EVENT_READ, (process, ""))

    def _read(self, process: Process, stream: str, pipe: IO[bytes]) -> bool:
        """Take over what a pipe holds. Returns whether there may be more at once."""
        try:
            data = os.read(pipe.fileno(), BUFFER)
        except BlockingIOError:
            return False
        except OSError:  # a terminal that nobody has open any more
            data = b""
        if not data:
            self._drop(pipe)
            return False
        if not process.log.failed:
            self._write(process.log, stream, data)
        process.on_output(stream, data)
        # A terminal hands out a few kilobytes at a time, however much it holds.
        return len(data) == BUFFER or os.isatty(pipe.fileno())

    def _write(self, log: ContainerLog, stream: str, data: bytes) -> None:
        try:
            log.append(stream, data)
        except OSError as error:
            log.failed = True
            sys.stderr.write(f"process runtime: {log.path} ends here: {error.strerror}\n")

    def _finish(self, ended: list[Process]) -> None:
        """What is left of these containers is killed, read to the end, reaped and reported."""
        for process in ended:
            kill_group(process.pid)
        sweep([os.fsencode(process.directory) + b"/" for process in ended])
        for process in ended:
            for stream, pipe in process.pipes:
                while not pipe.closed and self._read(process, stream, pipe):
                    pass
                self._drop(pipe)
            if process.pidfd >= 0:
                self._selector.unregister(process.pidfd)
            self._janitor.forget(process.pid)
            self._processes.discard(process)
            code = process.reap()
            process.log.close()
            process.on_exit(code, process.out_of_memory)
            process.ended.set()

    def _drop(self, pipe: IO[bytes]) -> None:
        if not pipe.closed:
            self._selector.unregister(pipe)
            pipe.close()

    def _check_memory(self, now: float) -> None:
        """End containers that use more than they may. The kernel's own killer needs a cgroup, which we may not make."""
        if now < self._next_check:
            return
        self._next_check = now + MEMORY_CHECK
        for process in self._processes:
            if process.memory_limit and process_usage.memory(process.pid) > process.memory_limit:
                process.out_of_memory = True
                process.signal(signal.SIGKILL)

    def _wake(self) -> None:
        # A full pipe wakes as well.
        with suppress(BlockingIOError):
            os.write(self._wake_writer, b"x")


def open_process(pid: int) -> int:
    """A file descriptor that becomes readable when the process ends; -1 where there is no such thing."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return -1


def run(
    words: Sequence[str], environment: Mapping[str, str], folder: Path, *, timeout: float | None, janitor: Janitor
) -> ExecResult:
    """Run a command to its end beside a container's process. Raises TimeoutError (the command is killed then), OSError.

    The output goes to files: what the command leaves running in the background may keep a pipe open for ever.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        popen = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        janitor.group(popen.pid)
        in_time = _wait(popen, timeout)
        if not in_time:
            kill_group(popen.pid)
        janitor.forget(popen.pid)
        code = popen.wait()
        if not in_time:
            raise TimeoutError
        out.seek(0)
        errors.seek(0)
        return ExecResult(stdout=out.read(), stderr=errors.read(), exit_code=code if code >= 0 else SIGNAL_BASE - code)


def _wait(popen: subprocess.Popen[bytes], timeout: float | None) -> bool:
    """Whether a child that no shim attends ends in time. It is not asked again and again, where there is a pidfd."""
    pidfd = open_process(popen.pid)
    if pidfd < 0:
        try:
            popen.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True
    with selectors.DefaultSelector() as selector:
        selector.register(pidfd, selectors.EVENT_READ)
        in_time = bool(selector.select(timeout))
    os.close(pidfd)
    return in_time
