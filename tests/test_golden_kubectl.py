"""kubectl's transcripts: what a learner types and reads, said alike by k8snb's kubectl and by the real one.

Each file in `golden/kubectl` is played on a fresh cluster of two simulated nodes. A line `$ kubectl …` is typed, with
the lines up to `EOF` as its stdin where it ends with `<<EOF`; what follows is all that it prints, stdout before stderr,
and `[exit 1]` where it fails. `<age>` and every other word in angle brackets stands for any word; blanks between
columns count only where there is none in the output. A line that begins with `k8snb|` is printed by k8snb's kubectl
alone, one with `real|` by the real one alone: each such line is a decision, and has its reason in a comment (`##`)
above it.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from kubectls import found_kubectls, numbers

from k8snb import Cluster
from k8snb.kubectl import KubectlError

TRANSCRIPTS = sorted((Path(__file__).parent / "golden" / "kubectl").glob("*.txt"))
SAME_WORDS = (1, 30)  # transcripts are in the words of kubectl 1.33; older ones say some things otherwise
EDITOR = "sed -i -e s/before/edited/"
Say = Callable[[str, str], str]


@dataclass
class Step:
    """One command, what it reads, and what it prints."""

    words: str
    given: str = ""
    printed: list[str] = field(default_factory=list)


def steps(text: str) -> Iterator[Step]:
    lines = iter(text.splitlines())
    step: Step | None = None
    for line in lines:
        if line.startswith("$ "):
            if step is not None:
                yield step
            words, heredoc, _ = line.removeprefix("$ kubectl ").partition(" <<EOF")
            step = Step(words)
            if heredoc:
                step.given = "".join(f"{each}\n" for each in iter(lambda: next(lines), "EOF"))
        elif step is not None and not line.startswith("## "):
            step.printed.append(line)
    if step is not None:
        yield step


def expected(step: Step, speaker: str) -> str:
    """What this speaker prints, as a pattern."""
    lines = []
    for line in step.printed:
        of, bar, rest = line.partition("|")
        if not (bar and of in ("k8snb", "real")):
            lines.append(line)
        elif of == speaker:
            lines.append(rest)
    text = "\n".join(lines).strip()
    if "<" not in text or re.search(r"<[a-z-]+>", text) is None:
        return re.escape(text)
    pieces = re.split(r"(<(?!none>|unset>|unknown>|pending>)[a-z-]+>| {2,})", text)
    return "".join(_pattern(piece) for piece in pieces)


def _pattern(piece: str) -> str:
    if re.fullmatch(r" {2,}", piece):
        return " +"
    is_any = re.fullmatch(r"<(?!none>|unset>|unknown>|pending>)[a-z-]+>", piece)
    return r"\S+" if is_any else re.escape(piece)


def played(path: Path, say: Say, speaker: str) -> list[str]:
    """Where the transcript and the speaker part."""
    wrong = []
    for step in steps(path.read_text()):
        said = "\n".join(line.rstrip() for line in say(step.words, step.given).splitlines()).strip()
        if re.fullmatch(expected(step, speaker), said) is None:
            wrong.append(f"$ kubectl {step.words}\n{said}\n-- but the transcript has --\n" + "\n".join(step.printed))
    return wrong


@pytest.fixture(autouse=True)
def editor(monkeypatch: pytest.MonkeyPatch) -> None:
    """The editor that the transcript of kubectl edit speaks of."""
    monkeypatch.setenv("KUBE_EDITOR", EDITOR)


# The server greets on the first channel, as upstream's does; a kubectl that opens its channels slowly says so
_TOO_EARLY = re.compile(r"^E\d{4} .*\] Unknown stream id 1, discarding message\n", re.MULTILINE)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster("golden", nodes=2, runtime="simulated", seed=1) as cluster:
        yield cluster


def ids(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=ids)
def test_k8snbs_kubectl_prints_the_transcript(cluster: Cluster, path: Path) -> None:
    def say(words: str, given: str) -> str:
        try:
            output = cluster.kubectl.run(words, given or None)
        except KubectlError as error:
            lines = [*error.applied, *(f"Warning: {said}" for said in error.warnings), error.message]
            return "\n".join([*lines, f"[exit {error.exit_code}]"])
        warnings = "".join(f"Warning: {said}\n" for said in output.warnings)
        errors = "".join(f"{said}\n" for said in output.errors)
        return output.text + warnings + errors + (f"[exit {output.exit_code}]" if output.exit_code else "")

    wrong = played(path, say, "k8snb")
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.process
@pytest.mark.parametrize("path", TRANSCRIPTS, ids=ids)
def test_the_real_kubectl_prints_the_transcript(cluster: Cluster, path: Path, tmp_path: Path) -> None:
    newest = next(reversed(found_kubectls().items()), None)
    if newest is None or numbers(newest[0]) < SAME_WORDS:
        pytest.skip("optional: no kubectl of 1.30 or newer is installed")
    (tmp_path / "config").write_text(cluster.kubeconfig)
    environment = {"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "config"), "PATH": os.environ["PATH"],
                   "KUBE_EDITOR": EDITOR}  # fmt: skip

    def say(words: str, given: str) -> str:
        done = subprocess.run([newest[1], *shlex.split(words)], input=given, env=environment, text=True,
                              capture_output=True, timeout=60)  # fmt: skip
        said = _TOO_EARLY.sub("", done.stderr)
        return done.stdout + said + (f"[exit {done.returncode}]" if done.returncode else "")

    wrong = played(path, say, "real")
    assert not wrong, "\n\n".join(wrong)
