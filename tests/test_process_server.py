"""The catalogue's HTTP server: who is let in is answered, also while the program leaves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import k8snb.cri.images

pytestmark = pytest.mark.process
PROGRAM = Path(k8snb.cri.images.__file__).parent / "__main__.py"
SIGNALS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


@pytest.fixture
def server(port: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "K8SNB_POD_IP": "127.0.0.1", "K8SNB_PORT_80": str(port)}
    command = [sys.executable, "-S", "-E", "-I", str(PROGRAM), "nginx"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as started:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.02)
        yield started
        started.kill()


def ask(port: int) -> bytes:
    """What is answered; b"" where nobody is let in. Raises ConnectionResetError for one who was let in and dropped."""
    try:
        connection = socket.create_connection(("127.0.0.1", port), 5)
    except ConnectionRefusedError:
        return b""
    with connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize("number", SIGNALS)
def test_a_program_that_is_told_to_leave_ends_in_order(server: subprocess.Popen[bytes], number: signal.Signals) -> None:
    server.send_signal(number)
    assert server.wait(10) == 0


def test_who_asks_at_the_moment_of_the_signal_is_answered(server: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(20):
        assert b"Welcome to nginx" in ask(port)
    server.send_signal(signal.SIGTERM)
    for _ in range(20):
        assert b"Welcome to nginx" in ask(port)
    assert server.wait(10) == 0
    assert ask(port) == b""
