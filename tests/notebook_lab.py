"""What tests of the notebook have in common: a shell with the extension, and a kernel of one's own.

Interface: `Notebook`, cells in a shell of this process (`fresh_shell`), on a simulated cluster in virtual time (`make`,
`simulated`) or on another; `Kernel`, cells in a kernel process.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jupyter_client
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from jupyter_core.utils import ensure_event_loop
from traitlets.config import Config

from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.notebook import extension


class Notebook:
    """A shell with the extension loaded, and ways to run cells in it."""

    def __init__(self, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
        self.shell, self._capsys = shell, capsys

    def run(self, cell: str) -> Any:
        """A cell's answer; the cluster settles afterwards. Raises what the cell raised."""
        result = self.shell.run_cell(cell)  # type: ignore[no-untyped-call]
        self.settle()
        result.raise_error()
        return result.result

    def settle(self) -> None:
        magics = extension.registered(self.shell)
        if magics is None or not magics.clusters.names or magics.clusters.contexts.remote is not None:
            return
        if magics.clusters.chosen.running:
            magics.clusters.chosen.settle()

    def error(self, cell: str) -> str:
        """What a failing cell shows, which is all of its error."""
        self._capsys.readouterr()
        result = self.shell.run_cell(cell)  # type: ignore[no-untyped-call]
        shown = self._capsys.readouterr()
        assert isinstance(result.error_in_exec, UsageError), result.error_in_exec
        assert "Traceback" not in shown.out + shown.err
        return shown.out.rstrip("\n")

    def complete(self, line: str) -> list[str]:
        """What the line becomes, for each completion that a kernel would offer."""
        with provisionalcompleter():
            found = list(self.shell.Completer.completions(line, len(line)))
        return [line[: each.start] + each.text + line[each.end :] for each in found]

    @property
    def cluster(self) -> Cluster:
        magics = extension.registered(self.shell)
        assert magics is not None
        return magics.clusters.chosen


def make(name: str, *, nodes: int, runtime: str, **sizes: Any) -> Cluster:
    return Cluster(name, nodes=nodes, runtime="simulated", clock=VirtualClock(), seed=1, **sizes)


@contextmanager
def fresh_shell(home: Path) -> Iterator[InteractiveShell]:
    """An IPython shell that knows nothing, with its files in `home`; afterwards its clusters are gone."""
    shell = InteractiveShell.instance(
        config=Config({"HistoryManager": {"enabled": False}}), colors="nocolor", ipython_dir=str(home)
    )
    try:
        yield shell
    finally:
        extension.unload(shell)
        InteractiveShell.clear_instance()


@contextmanager
def simulated(home: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Notebook]:
    """A notebook with the extension loaded, and its simulated cluster at rest."""
    with fresh_shell(home / "ipython") as shell:
        extension.load(shell, make)
        made = Notebook(shell, capsys)
        made.settle()
        yield made


# in a kernel


class Answer(NamedTuple):
    """What a cell left behind: its outputs, whether it failed, and how long it took."""

    outputs: list[dict[str, Any]]
    failed: bool
    seconds: float

    def data(self, mime: str) -> str:
        """The last output of a MIME type."""
        found = [output["data"][mime] for output in self.outputs if mime in output.get("data", {})]
        return str(found[-1]) if found else ""

    def text(self, stream: str) -> str:
        return "".join(output["text"] for output in self.outputs if output.get("name") == stream)

    @property
    def error(self) -> str:
        """What a page shows of a failure."""
        return "".join("\n".join(output["traceback"]) for output in self.outputs if output["sort"] == "error")


class Kernel:
    """A kernel of its own for one test module."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.manager = jupyter_client.KernelManager(  # type: ignore[attr-defined]
            kernel_name="python3", transport="ipc"
        )
        self.manager.start_kernel(env=environment)
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, cell: str, *, interrupt_after: str = "", asks: bool = False) -> Answer:
        """Run a cell; with `interrupt_after`, interrupt it at an output with this text, or at a second of silence.

        With `asks`, the cell may ask for lines.
        """
        return self._listen(self.client.execute(cell, allow_stdin=asks), interrupt_after)

    def converse(self, cell: str, lines: list[str], *, interrupt: bool = True) -> tuple[list[str], Answer]:
        """Run a cell and answer its questions; the one after the last line is interrupted. Gives the questions too."""
        message = self.client.execute(cell, allow_stdin=True)
        prompts: list[str] = []
        answers: list[str | None] = [*lines] or [None]
        for line in answers:
            prompts.append(self.client.get_stdin_msg(timeout=60)["content"]["prompt"])
            if line is not None:
                self.client.input(line)
            elif interrupt:
                self.manager.interrupt_kernel()
        return prompts, self._listen(message)

    def complete(self, line: str) -> list[str]:
        """What a front end is told that could stand at the end of the line."""
        return list(self._reply(self.client.complete(line))["matches"])

    def _listen(self, message: str, interrupt_after: str = "") -> Answer:
        begin, outputs = time.monotonic(), []
        while True:
            try:
                reply = self.client.get_iopub_msg(timeout=1 if interrupt_after else 60)
            except queue.Empty:
                self.manager.interrupt_kernel()
                interrupt_after = ""
                continue
            if reply["parent_header"].get("msg_id") != message:
                continue
            sort, content = reply["msg_type"], reply["content"]
            if sort == "status" and content["execution_state"] == "idle":
                break
            if sort in ("stream", "execute_result", "display_data", "update_display_data", "error"):
                outputs.append({**content, "sort": sort})
            if interrupt_after and interrupt_after in str(content):
                self.manager.interrupt_kernel()
                interrupt_after = ""
        return Answer(outputs, self._reply(message)["status"] != "ok", time.monotonic() - begin)

    def _reply(self, message: str) -> dict[str, Any]:
        """What the kernel says at the end of a cell; replies to what was asked before may come first."""
        while (reply := self.client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != message:
            pass
        content: dict[str, Any] = reply["content"]
        return content

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=False)
        self.manager.cleanup_resources()
        ensure_event_loop().close()  # the one that the blocking client made for this thread
