"""stress: uses memory and processor time: `stress --vm 1 --vm-bytes 250M --vm-hang 1 --cpu 2 --timeout 60s`."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

from k8snb.cri.images import options

UNITS = {"B": 1, "K": 2**10, "M": 2**20, "G": 2**30}
OPTIONS = {
    "-c=": "cpu", "--cpu=": "cpu", "-m=": "vm", "--vm=": "vm", "--vm-bytes=": "bytes", "--vm-hang=": "hang",
    "-t=": "timeout", "--timeout=": "timeout", "-v": "verbose", "--verbose": "verbose",
}  # fmt: skip


def main(arguments: list[str]) -> int:
    parsed = options.parse("stress", arguments, OPTIONS)
    processors, workers = int(parsed.last("cpu", "0")), int(parsed.last("vm", "0"))
    if not processors + workers:
        options.refuse("stress", "nothing to do: give --cpu N or --vm N")
    print(f"stress: info: [1] dispatching hogs: {processors} cpu, 0 io, {workers} vm, 0 hdd", flush=True)
    size = _number(parsed.last("bytes", "256M"), UNITS)
    children = [_fork(_burn) for _ in range(processors)]
    children += [_fork(lambda: _hold(size, int(parsed.last("hang", "0")))) for _ in range(workers)]
    if parsed.has("timeout"):
        signal.signal(signal.SIGALRM, lambda number, frame: _end(children))
        signal.alarm(_number(parsed.last("timeout"), {"s": 1, "m": 60, "h": 3600}))
    _, status = os.wait()
    print(f"stress: FAIL: [1] a worker ended ({os.waitstatus_to_exitcode(status)})", file=sys.stderr, flush=True)
    return 1


def _fork(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return child


def _burn() -> None:
    while True:
        sum(number * number for number in range(10_000))


def _hold(size: int, pause: int) -> None:
    memory = bytearray(size)
    while True:
        memory[::4096] = b"Z" * len(memory[::4096])
        time.sleep(pause or 1)


def _end(children: list[int]) -> None:
    for child in children:
        os.kill(child, signal.SIGKILL)
    print("stress: info: [1] successful run completed", flush=True)
    os._exit(0)


def _number(text: str, units: dict[str, int]) -> int:
    for unit, factor in units.items():
        if text.endswith(unit):
            return int(text[: -len(unit)]) * factor
    return int(text)
