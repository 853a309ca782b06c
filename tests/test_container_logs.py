"""A container's log: a file in CRI format, read whole, in part, or as it grows."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from patience import until

from k8snb.cri.logs import ContainerLog


def test_a_log_is_a_file_in_cri_format(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path / "0.log", lambda: 1_700_000_000.5)
    log.append("stdout", b"one\ntw")
    log.append("stderr", b"bad\n")
    log.append("stdout", b"o\n")
    lines = (tmp_path / "0.log").read_text().splitlines()
    assert lines[0] == "2023-11-14T22:13:20.500000000Z stdout F one"
    assert [line.split(" ", 1)[1] for line in lines] == ["stdout F one", "stderr F bad", "stdout F two"]


def test_a_line_without_an_end_is_logged_at_the_end(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path / "0.log", time.time)
    log.append("stdout", b"no newline")
    assert list(log.read()) == []
    log.close()
    assert list(log.read()) == [b"no newline\n"]


def test_a_very_long_line_comes_back_in_one_piece(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path / "0.log", time.time)
    for _ in range(3):
        log.append("stdout", b"x" * 20_000)
    log.append("stdout", b"\n")
    assert b"".join(log.read()) == b"x" * 60_000 + b"\n"


def test_tail_since_and_timestamps_choose_and_mark_lines(tmp_path: Path) -> None:
    now = [100.0]
    log = ContainerLog(tmp_path / "0.log", lambda: now[0])
    for number in range(5):
        now[0] = 100.0 + number
        log.append("stdout", b"%d\n" % number)
    assert list(log.read(tail=2)) == [b"3\n", b"4\n"]
    assert list(log.read(tail=0)) == []
    assert list(log.read(since=102.5)) == [b"3\n", b"4\n"]
    assert list(log.read(tail=1, timestamps=True)) == [b"1970-01-01T00:01:44.000000000Z 4\n"]


def test_a_follower_sees_every_line_once_although_the_file_is_turned_over(tmp_path: Path) -> None:
    log = ContainerLog(tmp_path / "0.log", time.time, max_size=400, max_files=2)
    log.append("stdout", b"first\n")
    seen: list[bytes] = []
    begun = threading.Event()

    def follow() -> None:
        for line in log.read(follow=True):
            seen.append(line)
            begun.set()

    thread = threading.Thread(target=follow)
    thread.start()
    assert begun.wait(5)
    for number in range(50):
        log.append("stdout", b"line %d\n" % number)
        until(lambda number=number: len(seen) == number + 2)
    log.close()
    thread.join(5)
    assert not thread.is_alive()
    assert seen == [b"first\n", *(b"line %d\n" % number for number in range(50))]
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 1200
