"""The k8snb command: what a newcomer types in a terminal before the first notebook is open.

Interface: `main(argv)`, behind `k8snb quickstart`, `lab`, `up`, `cluster` and `kubectl`;
`run_chapter(path)` executes and checks any chapter.
The rule not to break: a chapter runs in a kernel of its own, as a page does; only `up` has a cluster in its process.

A code cell's metadata says what the cell promises: `{"k8snb": {"step": 4, "expect": "1/1 +Running"}}`. `step` numbers
the steps of a quick start (several cells may share one), `expect` is a regular expression that has to be found in the
cell's text answer, `shows` a MIME type that has to be among its answers.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

RUNTIMES = ("auto", "docker", "process", "simulated")
IMAGE_PATIENCE = 20.0  # seconds for Docker to fetch the images of the quick start
CELL_TIMEOUT = 180  # seconds; an image may have to be pulled
SHOWN_LINES = 14
CELL_ERROR = "CellError"  # what a magic raises; its words say that they are about an error
INTERRUPTED = 130  # what a shell answers for a program that Ctrl-C ended

Cell = Any  # a notebook's cell: nbformat's own dict with attributes


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 if everything that was asked for came true, 1 if not, 2 if it could not be understood."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["kubectl"]:
        from k8snb import terminal

        return terminal.run(words[1:])
    if words[:1] == ["cluster"]:
        from k8snb import cluster_console

        return cluster_console.main(words[1:])
    arguments = _parser().parse_args(words)
    try:
        status: int = arguments.run(arguments)
    except KeyboardInterrupt:
        print("\nk8snb: interrupted; the cluster is gone", file=sys.stderr)
        return INTERRUPTED
    return status


def _parser() -> argparse.ArgumentParser:
    from k8snb.notebook import defaults

    parser = argparse.ArgumentParser(prog="k8snb", description="Learn Kubernetes by running it in a notebook.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    start = commands.add_parser("quickstart", help="run the first chapter here and now, and save its page")
    start.add_argument("--runtime", choices=RUNTIMES, default="auto", help="what runs containers (default: auto)")
    start.add_argument(
        "--output", type=Path, default=Path("k8snb-quickstart.html"), metavar="FILE.html", help="where the page goes"
    )
    start.set_defaults(run=quickstart)

    up = commands.add_parser("up", help="serve a cluster from this terminal, for kubectl and other clients")
    up.add_argument("--name", "--profile", "-p", default="k8snb", help="the cluster's name (default: k8snb)")
    up.add_argument("--nodes", type=int, default=3, help="how many nodes beside the control plane (default: 3)")
    up.add_argument(
        "--runtime", "--driver", choices=RUNTIMES, default="auto", help="what runs containers (default: auto)"
    )
    up.add_argument("--cpus", type=defaults.cpus, default="max", help="a node's processors: 2, or max (default: max)")
    up.add_argument(
        "--memory", type=defaults.memory, default="max", help="a node's memory: 4096mb, 4g, or max (default: max)"
    )
    up.add_argument("--addons", default="", metavar="A,B", help="enable these add-ons as well")
    up.add_argument("--data-dir", default="", metavar="DIR", help="keep the cluster there, for the next time")
    up.add_argument("--port", type=int, default=0, help="the port to answer on (default: a free one)")
    up.add_argument("--kubeconfig", type=Path, default=Path("k8snb.kubeconfig"), metavar="FILE",
                    help="where the kubeconfig goes (default: k8snb.kubeconfig)")  # fmt: skip
    up.set_defaults(run=serve)

    commands.add_parser("cluster", help="a cluster with a console, in the words of minikube: k8snb cluster -h")
    commands.add_parser("kubectl", help="kubectl against any cluster that a kubeconfig names", add_help=False)

    lab = commands.add_parser("lab", help="open JupyterLab on a copy of the chapters that is yours to edit")
    lab.add_argument("--no-browser", action="store_true", help="print the address instead of opening it")
    lab.add_argument("--port", type=int, help="the port JupyterLab listens on (default: the first free one from 8888)")
    lab.set_defaults(run=open_lab)
    return parser


# the commands


def quickstart(arguments: argparse.Namespace) -> int:
    """Execute the first chapter, show each cell and its answer, save the page. 0 if every cell kept its promise."""
    from k8snb import hosts

    screen = Screen(sys.stdout)
    runtime, why = hosts.choose(arguments.runtime, patience=IMAGE_PATIENCE)
    screen.line(f"on the {runtime} runtime: {why}")
    os.environ["K8SNB_WHY"] = why
    outcome = run_chapter(chapters_directory() / "01_quickstart.ipynb", runtime=runtime, screen=screen)
    screen.line()
    screen.line(_saved(outcome.notebook, arguments.output))
    if not outcome.failure:
        screen.line(f"the whole chapter took {outcome.seconds:.1f} s; to go through it yourself: k8snb lab")
    screen.line(outcome.summary())
    return 1 if outcome.failure else 0


def serve(arguments: argparse.Namespace) -> int:
    """Serve a cluster until Ctrl-C or SIGTERM; nothing stays behind but what is kept in a data directory. 1 when it
    cannot be started.
    """
    from k8snb.cluster import Cluster
    from k8snb.serve import write_private

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        cluster = Cluster(
            arguments.name, nodes=arguments.nodes, runtime=arguments.runtime, cpus=arguments.cpus,
            memory=arguments.memory, data_dir=arguments.data_dir,
        )  # fmt: skip
    except ValueError as error:
        print(f"k8snb: the cluster cannot be served: {error}", file=sys.stderr)
        return 1
    try:
        for addon in filter(None, arguments.addons.split(",")):
            cluster.addons.enable(addon)
        cluster.start()
        url = cluster.serve(arguments.port)
        write_private(arguments.kubeconfig, cluster.kubeconfig)
        print(f"{arguments.nodes} nodes and a control plane on the {cluster.runtime_name} runtime ({cluster.why})")
        print(f"kubectl --kubeconfig {arguments.kubeconfig} get nodes    # {url}; Ctrl-C ends the cluster", flush=True)
        ended.wait()
        arguments.kubeconfig.unlink(missing_ok=True)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"k8snb: the cluster cannot be served: {error}", file=sys.stderr)
        return 1
    finally:
        cluster.close()
    return 0


def open_lab(arguments: argparse.Namespace) -> int:
    """Copy the chapters that are not there yet to ./k8snb-chapters and open JupyterLab on them."""
    workplace = Path("k8snb-chapters")
    try:
        fresh = copy_chapters(chapters_directory(), workplace)
    except OSError as error:
        print(f"error: cannot write {error.filename}: {error.strerror}; go to a directory of yours and try again")
        return 1
    print(f"{workplace}: " + (f"{len(fresh)} chapters copied" if fresh else "your copy of the chapters, unchanged"))
    with _environment() as (environment, _):
        return _run_to_its_end(_lab_command(workplace, arguments), environment)


def _lab_command(workplace: Path, arguments: argparse.Namespace) -> list[str]:
    first = min(path.name for path in workplace.glob("*.ipynb"))
    command = [sys.executable, "-m", "jupyterlab", "--log-level=WARN", f"--ServerApp.root_dir={workplace.resolve()}"]
    command += [f"--LabApp.default_url=/lab/tree/{first}"]
    command += ["--no-browser"] if arguments.no_browser else []
    command += [f"--port={arguments.port}"] if arguments.port else []
    # In a container root is often the only user there is, and JupyterLab would refuse.
    command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return command


def copy_chapters(source: Path, target: Path) -> list[Path]:
    """Copy each chapter that `target` lacks; what is there may hold somebody's work and stays. Returns the copies."""
    target.mkdir(parents=True, exist_ok=True)
    missing = [path for path in sorted(source.glob("*.ipynb")) if not (target / path.name).exists()]
    return [Path(shutil.copyfile(path, target / path.name)) for path in missing]


def chapters_directory() -> Path:
    """Where the chapters are: inside an installed package, beside the package in a checkout."""
    package = Path(__file__).resolve().parent
    return next(
        (path for path in (package / "chapters", package.parent / "chapters") if any(path.glob("*.ipynb"))),
        package / "chapters",
    )


def _run_to_its_end(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run a program that answers Ctrl-C itself (JupyterLab asks whether it is meant) and ends with this one."""
    process = subprocess.Popen(command, env=environment)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    while True:
        with suppress(KeyboardInterrupt):
            return process.wait()


# executing a chapter


@dataclass(frozen=True)
class Outcome:
    """How a chapter went. `failure` is empty, or one line with the first promise that was not kept."""

    notebook: Any
    steps: int
    done: int
    step_seconds: float
    seconds: float
    failure: str

    def summary(self) -> str:
        tail = f", {self.failure}" if self.failure else ""
        return f"quickstart: {self.done}/{self.steps} steps in {self.step_seconds:.1f} s{tail}"


def run_chapter(path: Path, *, runtime: str = "auto", screen: Screen | None = None) -> Outcome:
    """Execute a chapter in a fresh kernel, cell by cell, until its end or the first promise that is not kept."""
    import nbformat

    started = time.monotonic()
    notebook = nbformat.read(path, as_version=4)
    screen = screen or Screen(None)
    total = max((_promise(cell).get("step", 0) for cell in notebook.cells), default=0)
    screen.line(f"{path.name}, runtime: {runtime}")
    done, failure, step_seconds = 0, "", 0.0
    with _kernel(notebook, runtime) as run:
        for part in _parts(notebook.cells):
            screen.part(part, total)
            failure = _run_part(part, run, screen)
            if failure:
                break
            if part.step:
                done, step_seconds = part.step, time.monotonic() - started
    seconds = time.monotonic() - started
    return Outcome(notebook, total, done, step_seconds or seconds, seconds, failure)


@dataclass(frozen=True)
class Part:
    """Cells that belong together: those of one step, or those under one heading. `first` is the first cell's index."""

    step: int
    title: str
    first: int
    cells: list[Cell]

    @property
    def where(self) -> str:
        return f"step {self.step}" if self.step else f'"{self.title}"'


def _parts(cells: Sequence[Cell]) -> Iterator[Part]:
    """A chapter's cells in its parts: every heading begins one."""
    part = Part(0, "", 0, [])
    for index, cell in enumerate(cells):
        heading = re.match(r"#+ +(.*)", cell.source) if cell.cell_type == "markdown" else None
        step = _promise(cell).get("step", 0)
        if heading or (step != part.step and cell.cell_type == "code"):
            if any(cell.cell_type == "code" for cell in part.cells):
                yield part
            part = Part(step, heading[1] if heading else part.title, index, [])
        part.cells.append(cell)
    if part.cells:
        yield part


def _run_part(part: Part, run: Any, screen: Screen) -> str:
    """Run a part's code cells. Returns the first shortcoming in one line, or nothing."""
    started = time.monotonic()
    for index, cell in enumerate(part.cells, part.first):
        if cell.cell_type != "code":
            continue
        screen.source(cell.source)
        problem = run(cell, index) or shortcoming(cell)
        screen.answer(answer(cell))
        if problem:
            screen.problem(problem)
            return f"{part.where}: {problem}"
    screen.took(time.monotonic() - started)
    return ""


def shortcoming(cell: Cell) -> str:
    """What an executed cell promised and did not do, in one line; nothing where it did it all."""
    promise = _promise(cell)
    if "expect" in promise and not re.search(promise["expect"], answer(cell), re.MULTILINE):
        return f"the answer has no match for {promise['expect']!r}"
    if "shows" in promise and not any(promise["shows"] in output.get("data", {}) for output in cell.outputs):
        return f"the answer has no {promise['shows']}"
    return ""


def answer(cell: Cell) -> str:
    """A cell's answers as text."""
    texts = [_words(output) for output in cell.outputs]
    return "\n".join(text.rstrip() for text in texts if text.strip())


def _words(output: Any) -> str:
    sort = output.output_type
    text = output.text if sort == "stream" else output.evalue if sort == "error" else ""
    return str(text or output.get("data", {}).get("text/plain", ""))


def _promise(cell: Cell) -> Any:
    return cell.metadata.get("k8snb", {})


# the kernel


@contextmanager
def _kernel(notebook: Any, runtime: str) -> Iterator[Any]:
    """A kernel of this very interpreter; gives a function that runs (cell, index) and returns a problem or nothing."""
    from jupyter_core.utils import run_sync
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    def run(cell: Cell, index: int) -> str:
        try:
            client.execute_cell(cell, index)
        except CellExecutionError as error:
            said = error.evalue if error.ename == CELL_ERROR else f"{error.ename}: {error.evalue}"
            return said.strip().splitlines()[0]
        except CellTimeoutError:
            return f"no answer within {CELL_TIMEOUT} s"
        except DeadKernelError:
            return "the kernel died: " + (scratch / "kernel.log").read_text()[-300:].strip().replace("\n", " · ")
        except KeyboardInterrupt:
            _give_up_waiting()
            # A kernel that still works at a cell would not hear that it is to end.
            run_sync(manager.interrupt_kernel)()
            raise
        return ""

    with _environment() as (environment, scratch), open(scratch / "kernel.log", "w") as log:
        manager = _manager(scratch)
        client = NotebookClient(notebook, km=manager, timeout=CELL_TIMEOUT, startup_timeout=CELL_TIMEOUT)
        environment["K8SNB_RUNTIME"] = runtime
        # The kernel's directory is not the caller's: a package of that name there must not hide the installed one.
        with client.setup_kernel(env=environment, cwd=str(scratch), stderr=log, cleanup_kc=True):
            yield run


def _give_up_waiting() -> None:
    """Take back what Ctrl-C left waiting for the kernel; what it still has to say interests nobody."""
    import asyncio

    from jupyter_core.utils import ensure_event_loop

    loop = ensure_event_loop()
    waiting = asyncio.all_tasks(loop)
    for task in waiting:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*waiting, return_exceptions=True))


def _manager(scratch: Path) -> Any:
    """A kernel manager that needs no kernel spec to be installed, and writes nothing outside its own directory."""
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    class ThisInterpreter(KernelSpecManager):
        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            argv = [sys.executable, "-m", "ipykernel_launcher", "--log-level=ERROR", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    return AsyncKernelManager(kernel_spec_manager=ThisInterpreter(), connection_file=str(scratch / "kernel.json"))


@contextmanager
def _environment() -> Iterator[tuple[dict[str, str], Path]]:
    """An environment for Jupyter, and a directory of its own, where it writes when the home directory is read-only."""
    with tempfile.TemporaryDirectory(prefix="k8snb-", ignore_cleanup_errors=True) as scratch:
        environment = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        if not os.access(os.path.expanduser("~"), os.W_OK):
            for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
                environment.setdefault(name, str(Path(scratch, name.lower())))
        yield environment, Path(scratch)


# the page


def _saved(notebook: Any, path: Path) -> str:
    """Save the executed page, beside the caller or, where that cannot be written, among the temporary files."""
    page = as_page(notebook)
    try:
        path.write_text(page, encoding="utf-8")
        return f"the page with its diagrams: {path}"
    except OSError as error:
        elsewhere = Path(tempfile.mkdtemp(prefix="k8snb-")) / path.name
        elsewhere.write_text(page, encoding="utf-8")
        return f"the page with its diagrams: {elsewhere} ({path}: {error.strerror})"


def as_page(notebook: Any) -> str:
    """The executed chapter as one HTML file that needs nothing from the network."""
    from nbconvert import HTMLExporter

    elsewhere = {name: "" for name in HTMLExporter.class_trait_names() if name.endswith("_url")}
    exporter = HTMLExporter(template_name="lab", **elsewhere)
    page: str = exporter.from_notebook_node(notebook)[0]
    return page.replace('<script src=""></script>', "").replace('<script src=""> </script>', "")


class Screen:
    """What the command prints: colours on a terminal only, long answers cut. Without a stream it prints nothing."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._colours = stream is not None and stream.isatty() and "NO_COLOR" not in os.environ

    def line(self, text: str = "", colour: str = "") -> None:
        if self._stream is not None:
            painted = f"\033[{colour}m{text}\033[0m" if colour and self._colours else text
            print(painted, file=self._stream, flush=True)

    def part(self, part: Part, total: int) -> None:
        title = re.sub(r"^(Step )?\d+[.:·]? +", "", part.title)
        self.line()
        self.line(f"step {part.step}/{total}  {title}" if part.step else title, "1")

    def source(self, source: str) -> None:
        self.text(source, "  ", "36")

    def answer(self, text: str) -> None:
        self.text(text, "    ", "")

    def problem(self, text: str) -> None:
        self.line(f"  {text}", "31")

    def took(self, seconds: float) -> None:
        self.line(f"  {seconds:.1f} s", "2")

    def text(self, text: str, indent: str, colour: str) -> None:
        lines = re.sub(r"\033\[[0-9;]*m", "", text).splitlines()
        for line in lines[:SHOWN_LINES]:
            self.line(indent + line, colour)
        if len(lines) > SHOWN_LINES:
            self.line(f"{indent}… {len(lines) - SHOWN_LINES} more lines in the page", "2")
