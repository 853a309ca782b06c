"""The k8snb command: a chapter's promises are checked, pages are saved, somebody's work is never overwritten."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import nbformat
import pytest

from k8snb import cli

STEPS = [
    ("## 1. Say hello", "print('hello')", {"step": 1, "expect": "^hello$"}),
    ("## 2. Draw", "from IPython.display import SVG\nSVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')", {"step": 2}),
]


def chapter(path: Path, *sections: tuple[str, str, dict[str, Any]]) -> Path:
    """A chapter of sections: heading, code, promise."""
    cells = []
    for heading, code, promise in sections:
        cells.append(nbformat.v4.new_markdown_cell(heading))
        cells.append(nbformat.v4.new_code_cell(code, metadata={"k8snb": promise} if promise else {}))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


@pytest.fixture
def quickstart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `k8snb quickstart` over a chapter of these sections: its exit status and what it printed."""
    monkeypatch.setattr(cli, "chapters_directory", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)

    def run(*sections: tuple[str, str, dict[str, Any]], output: str = "page.html") -> tuple[int, str]:
        chapter(tmp_path / "01_quickstart.ipynb", *sections)
        status = cli.main(["quickstart", "--runtime", "simulated", "--output", output])
        return status, capsys.readouterr().out

    return run


def test_kept_promises_end_with_the_count_of_steps_and_status_0(quickstart: Any) -> None:
    status, out = quickstart(*STEPS, ("## Afterwards", "1 + 1", {"expect": "^2$"}))
    assert status == 0
    assert re.fullmatch(r"quickstart: 2/2 steps in \d+\.\d s", out.splitlines()[-1])


def test_each_cell_is_shown_with_its_answer_and_its_step(quickstart: Any) -> None:
    _, out = quickstart(*STEPS)
    assert re.search(r"step 1/2  Say hello\n  print\('hello'\)\n    hello\n  \d+\.\d s", out)


@pytest.mark.parametrize(
    ("code", "promise", "said"),
    [
        ("print('bye')", {"expect": "^hello$"}, "the answer has no match for '^hello$'"),
        ("1", {"shows": "image/svg+xml"}, "the answer has no image/svg+xml"),
        ("1 / 0", {}, "ZeroDivisionError: division by zero"),
        ("from IPython.core.error import UsageError\nraise UsageError('no such pod')", {}, "UsageError: no such pod"),
        ("import os\nos._exit(1)", {}, "the kernel died"),
    ],
)
def test_a_step_that_did_not_do_its_thing_is_named_and_the_status_is_1(
    quickstart: Any, code: str, promise: dict[str, Any], said: str
) -> None:
    status, out = quickstart(STEPS[0], ("## 2. Break", code, {"step": 2, **promise}), ("## 3. Never", "2", {"step": 3}))
    assert status == 1
    assert re.match(rf"quickstart: 1/3 steps in \d+\.\d s, step 2: {re.escape(said)}", out.splitlines()[-1])
    assert "Never" not in out


def test_a_failure_after_the_steps_is_a_failure_too(quickstart: Any) -> None:
    status, out = quickstart(*STEPS, ("## Afterwards", "1 / 0", {}))
    assert status == 1
    assert "2/2 steps in" in out.splitlines()[-1]
    assert 'Afterwards": ZeroDivisionError' in out.splitlines()[-1]


def test_the_saved_page_holds_the_diagrams_and_asks_the_network_for_nothing(quickstart: Any, tmp_path: Path) -> None:
    quickstart(*STEPS)
    page = (tmp_path / "page.html").read_text()
    assert "data:image/svg+xml" in page
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//[^"' >]+""", page)
    assert "cdn" not in page.lower()


def test_a_page_is_saved_when_a_step_failed(quickstart: Any, tmp_path: Path) -> None:
    quickstart(("## 1. Break", "1 / 0", {"step": 1}))
    assert "ZeroDivisionError" in (tmp_path / "page.html").read_text()


def test_a_page_that_cannot_be_written_goes_elsewhere_and_says_where(
    quickstart: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    status, out = quickstart(STEPS[0], output="no/such/directory/page.html")
    elsewhere = re.search(r"page with its diagrams: (\S+) \(no/such", out)
    assert status == 0
    assert elsewhere is not None
    assert "hello" in Path(elsewhere[1]).read_text()


def test_the_kernel_is_told_the_runtime_and_does_not_run_in_the_callers_directory(
    quickstart: Any, tmp_path: Path
) -> None:
    code = "import os; print(os.environ['K8SNB_RUNTIME'], os.getcwd())"
    _, out = quickstart(("## 1. Look", code, {"step": 1}))
    assert "simulated" in out
    assert f"simulated {tmp_path}\n" not in out


def test_a_home_that_cannot_be_written_is_no_obstacle(
    quickstart: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    code = "import IPython.paths as p; print(p.get_ipython_dir())"
    status, out = quickstart(("## 1. Look", code, {"step": 1}))
    assert status == 0
    assert "nowhere" not in out.split("1/1")[1]


def test_no_escape_codes_are_printed_where_there_is_no_terminal(quickstart: Any) -> None:
    _, out = quickstart(("## 1. Colours", "print('\\033[31mred\\033[0m')", {"step": 1}))
    assert "red" in out
    assert "\033" not in out


def test_a_long_answer_is_cut_and_says_so() -> None:
    stream = StringIO()
    cli.Screen(stream).answer("\n".join(map(str, range(40))))
    assert f"{40 - cli.SHOWN_LINES} more lines in the page" in stream.getvalue()


@pytest.mark.process
def test_ctrl_c_ends_the_kernel_and_says_so_in_one_line(tmp_path: Path) -> None:
    chapter(tmp_path / "01_quickstart.ipynb", ("## 1. Wait", "print('here')\nimport time\ntime.sleep(60)", {"step": 1}))
    code = (
        "import sys, pathlib; from k8snb import cli; cli.chapters_directory = lambda: pathlib.Path(sys.argv[1]);"
        "sys.exit(cli.main(['quickstart']))"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert any("sleep(60)" in line for line in iter(process.stdout.readline, ""))
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == cli.INTERRUPTED
    assert errors.strip().splitlines() == ["k8snb: interrupted; the cluster is gone"]


def test_copied_chapters_never_overwrite_what_is_there(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    for name in ("01_a.ipynb", "02_b.ipynb"):
        (source / name).write_text("ours")
    (target / "01_a.ipynb").write_text("theirs")
    assert cli.copy_chapters(source, target) == [target / "02_b.ipynb"]
    assert (target / "01_a.ipynb").read_text() == "theirs"
    assert cli.copy_chapters(source, target) == []


@pytest.mark.process
@pytest.mark.slow
def test_lab_serves_the_working_copy_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", "import sys; from k8snb.cli import main; sys.exit(main())", "lab", "--no-browser"]
    with log.open("w") as stream:
        process = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path)}, stderr=stream)
    try:
        content = address_in(log).replace("/lab/tree/", "/api/contents/") + "&content=0"
        with urlopen(content, timeout=30) as served:
            assert json.load(served)["type"] == "notebook"
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0, log.read_text()
    assert (tmp_path / "k8snb-chapters" / "01_quickstart.ipynb").exists()


def address_in(log: Path) -> str:
    """Where a server that has just been started says it can be reached."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = re.search(r"http://127\.0\.0\.1\S+/lab/tree/01_quickstart.ipynb\?token=\w+(?=\n)", log.read_text())
        if found:
            return found[0]
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def test_a_word_that_is_no_command_is_refused_with_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        cli.main(["quikstart"])
    assert refusal.value.code == 2
    assert "quickstart" in capsys.readouterr().err
