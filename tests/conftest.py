"""What every test may rely on: the parts its markers name are there, and nothing it started stays behind.

A test whose part is missing is skipped with the reason; with K8SNB_REQUIRE=all every skip is a failure instead, but for
those whose reason begins with "optional: ".
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Generator, Iterator
from functools import cache
from typing import Any

import psutil
import pytest

pytest.register_assert_rewrite("cri_contract")

OPTIONAL = "optional: "  # how the reason of a skip begins that K8SNB_REQUIRE=all allows
REQUIRE_ALL = os.environ.get("K8SNB_REQUIRE") == "all"


def _no_docker() -> str:
    from k8snb.cri.docker import engine_answers

    return "" if engine_answers() else "no Docker engine answers this user"


def _no_processes() -> str:
    return "" if os.name == "posix" else "the process runtime needs a POSIX system"


def _no_browser() -> str:
    return "" if shutil.which("chromium") else "chromium is not installed"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium without a window, driven by Playwright, whose event loop must be gone when other tests run theirs."""
    from browser_lab import OPTIONS

    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=shutil.which("chromium"), args=list(OPTIONS))
        yield chromium
        chromium.close()


MISSING: dict[str, Callable[[], str]] = {
    "docker": cache(_no_docker),
    "process": cache(_no_processes),
    "browser": cache(_no_browser),
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever asks for the browser is a test of the browser."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, missing in MISSING.items():
        if item.get_closest_marker(marker) is not None and (reason := missing()):
            pytest.skip(reason)


def _required(report: pytest.CollectReport | pytest.TestReport) -> None:
    """Turn a skip into a failure that says what is missing."""
    if REQUIRE_ALL and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if reason.removeprefix("Skipped: ").startswith(OPTIONAL):
            return
        report.outcome = "failed"
        report.longrepr = f"K8SNB_REQUIRE=all, but left out: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _required(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _required(report)
    return report


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left_behind() -> Iterator[None]:
    """At the end of all tests this process has no children that it did not have before."""
    this = psutil.Process()
    before = set(this.children(recursive=True))
    yield
    deadline = time.monotonic() + 5
    while (left := _alive(set(this.children(recursive=True)) - before)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left, f"processes that the tests left behind: {left}"


def _alive(processes: set[psutil.Process]) -> list[str]:
    found = []
    for process in processes:
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {' '.join(process.cmdline())[:80]}")
        except psutil.NoSuchProcess:
            continue
    return found
