"""Programs that are talked to in a cell: what both sides say, and how it ends.

Sources: the help of `kubectl exec`, `attach` and `run` 1.33; the Jupyter messaging protocol's stdin channel.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from notebook_lab import Kernel

from k8snb import Cluster
from k8snb.kubectl.dialogue import Dialogue
from k8snb.notebook.terminal import INTERRUPTED, converse

ROOT = Path(__file__).parent.parent
RUNTIMES = ("simulated", pytest.param("process", marks=pytest.mark.process))


@pytest.fixture(params=RUNTIMES)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster("talk", nodes=1, runtime=request.param, seed=1) as cluster:
        cluster.kubectl.run("run web --image=nginx")
        cluster.kubectl.run("wait --for=condition=Ready pod/web --timeout=30s")
        yield cluster


class User:
    """Answers each question with the next line; keeps the prompts. An exception among the lines is raised."""

    def __init__(self, *lines: str | BaseException) -> None:
        self.lines = list(lines)
        self.prompts: list[str] = []

    def __call__(self, prompt: str) -> str:
        self.prompts.append(prompt)
        line = self.lines.pop(0)
        if isinstance(line, BaseException):
            raise line
        return line


def begin(cluster: Cluster, words: str) -> Dialogue:
    answer = cluster.kubectl.run(words, asks=True)
    assert isinstance(answer, Dialogue)
    return answer


def talked(cluster: Cluster, words: str, user: User) -> Any:
    return converse(begin(cluster, words), user)


def test_a_shell_is_talked_to_until_it_ends(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    user = User("echo one two", "x=3", "exit $x")
    shown = talked(cluster, "exec -it web -- sh", user)
    assert "one two\n" in capsys.readouterr().out
    assert shown.output.exit_code == 3
    assert shown.text.endswith("exit $x\ncommand terminated with exit code 3\n")
    assert len(user.prompts) == 3 and all(prompt.rstrip()[-1] in "#$" for prompt in user.prompts)


def test_a_line_stands_once_in_the_transcript(cluster: Cluster) -> None:
    shown = talked(cluster, "exec -it web -- sh", User("echo a-word", "exit"))
    assert shown.text.count("echo a-word") == 1 and shown.text.count("a-word") == 2


def test_a_program_without_a_terminal_reads_lines_until_there_are_no_more(cluster: Cluster) -> None:
    shown = talked(cluster, "exec -i web -- cat", User("one", "two", EOFError()))
    assert sorted(shown.text.splitlines()) == ["one", "one", "two", "two"] and shown.output.exit_code == 0


def test_whoever_interrupts_a_session_leaves_it(cluster: Cluster) -> None:
    shown = talked(cluster, "exec -it web -- sh", User("echo here", KeyboardInterrupt()))
    assert "here\n" in shown.text and shown.text.endswith(INTERRUPTED)
    assert cluster.kubectl.run("exec web -- echo still there").text == "still there\n"


def test_a_failure_to_ask_ends_the_session(cluster: Cluster) -> None:
    dialogue = begin(cluster, "exec -it web -- sh")
    with pytest.raises(ZeroDivisionError):
        converse(dialogue, User(ZeroDivisionError()))
    cluster.wait(lambda: dialogue.ended, 20.0)
    assert dialogue.ended and dialogue.finish() == ""


def test_a_containers_own_program_is_attached_to(cluster: Cluster) -> None:
    cluster.kubectl.run("apply -f -", TALKER)
    cluster.kubectl.run("wait --for=condition=Ready pod/talker --timeout=30s")
    shown = talked(cluster, "attach -it talker", User("echo a-word", "exit"))
    assert "\na-word\n" in shown.text and shown.text.startswith("If you don't see a command prompt")


TALKER = """apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  restartPolicy: Never
  containers:
  - name: talker
    image: busybox
    stdin: true
    tty: true
    command: [sh]
"""


# in a kernel


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    home = str(tmp_path_factory.mktemp("home"))
    kernel = Kernel({**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": home, "K8SNB_RUNTIME": "simulated"})
    try:
        kernel.run("%load_ext k8snb")
        kernel.run("%krun web --image=nginx")
        assert not kernel.run("%kwait --for=condition=Ready pod/web --timeout=30s").failed
        yield kernel
    finally:
        kernel.close()


@pytest.mark.slow
def test_a_cell_asks_the_page_for_lines(kernel: Kernel) -> None:
    prompts, answer = kernel.converse("%kexec -it web -- sh", ["echo one two", "exit 2"])
    assert len(prompts) == 2 and all(prompt.rstrip()[-1] in "#$" for prompt in prompts)
    assert not answer.failed
    assert answer.text("stdout") == "one two\ncommand terminated with exit code 2\n"


@pytest.mark.slow
def test_a_cell_that_asks_is_ended_by_an_interrupt(kernel: Kernel) -> None:
    prompts, answer = kernel.converse("%kexec -it web -- sh", [])
    assert len(prompts) == 1 and not answer.failed
    assert INTERRUPTED in answer.text("stdout")
    assert kernel.run("%kexec web -- echo still there").data("text/plain") == "still there"


@pytest.mark.slow
def test_a_question_ends_with_the_program_that_it_was_for(kernel: Kernel) -> None:
    prompts, answer = kernel.converse("%kexec -it web -- sh -c 'sleep 3; exit 4'", [], interrupt=False)
    assert prompts == [""] and not answer.failed and answer.seconds < 30
    assert answer.text("stdout") == "command terminated with exit code 4\n"


@pytest.mark.slow
def test_a_page_that_cannot_be_asked_gets_a_hint_instead(kernel: Kernel) -> None:
    answer = kernel.run("%kexec -it web -- sh", asks=False)
    assert not answer.failed and answer.seconds < 20
    assert "a shell has nothing to read here" in answer.data("text/plain")
