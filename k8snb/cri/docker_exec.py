"""Exec on Docker: one command in a running container, with its output, its exit code and a limit in time.

Interface: `run_command`.
The rule not to break: it ends within its timeout, however silent or talkative the command is.
Source: the framing is in the Docker Engine API's documentation, at "Attach to a container".
"""

from __future__ import annotations

import time
from typing import Any

from k8snb.cri import PAUSED, ExecResult, RuntimeFailure

_STDERR = 2
_NOT_FOUND = ("no such file or directory", "executable file not found")
_STANDS_STILL = "is paused"


def run_command(api: Any, container_id: str, command: list[str], timeout: float) -> ExecResult:
    """Run `command`; raises RuntimeFailure after `timeout` seconds (0: never) and in a container that is paused, and
    what the docker package raises.
    """
    import docker

    try:
        made = api.exec_create(container_id, command, tty=False)["Id"]
        connection = api.exec_start(made, socket=True)
    except docker.errors.APIError as error:
        if any(words in str(error) for words in _NOT_FOUND):
            return ExecResult(stdout=b"", stderr=f"{command[0]}: not found\n".encode(), exit_code=127)
        if _STANDS_STILL in str(error):
            raise RuntimeFailure(PAUSED, "cannot exec in the container: it is paused, unpause it first") from None
        raise
    response = connection._response
    try:
        stdout, stderr = _read(response.raw._fp.fp, connection, time.monotonic() + timeout if timeout else None)
    except TimeoutError:
        raise RuntimeFailure(
            "DeadlineExceeded", f'command "{" ".join(command)}" timed out after {timeout:g}s'
        ) from None
    finally:
        response.close()
    return ExecResult(stdout=stdout, stderr=stderr, exit_code=api.exec_inspect(made)["ExitCode"] or 0)


def _read(file: Any, connection: Any, deadline: float | None) -> tuple[bytes, bytes]:
    """The frames of an attached exec: a byte for the stream, three of padding, four for the length, the data."""
    found = {1: bytearray(), _STDERR: bytearray()}
    while len(head := _take(file, connection, 8, deadline)) == 8:
        data = _take(file, connection, int.from_bytes(head[4:], "big"), deadline)
        found[_STDERR if head[0] == _STDERR else 1] += data
    return bytes(found[1]), bytes(found[_STDERR])


def _take(file: Any, connection: Any, count: int, deadline: float | None) -> bytes:
    """`count` bytes, fewer at the end of the stream. Raises TimeoutError."""
    taken = bytearray()
    while len(taken) < count:
        _set_timeout(connection, deadline)
        part = file.read1(count - len(taken))
        if not part:
            break
        taken += part
    return bytes(taken)


def _set_timeout(connection: Any, deadline: float | None) -> None:
    left = None if deadline is None else deadline - time.monotonic()
    if left is not None and left <= 0:
        raise TimeoutError
    getattr(connection, "_sock", connection).settimeout(left)
