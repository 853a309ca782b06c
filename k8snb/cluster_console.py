"""The console: %kcluster's lines in a terminal, for a cluster that lives in this very process.

Interface: `main(words)`, behind `k8snb cluster`; `Console(clusters)` carries lines out.
The rule not to break: a line means what it means in a cell; when the console ends, so does every cluster of it.
minikube's clusters are virtual machines or containers and outlive the command; `k8snb up` serves one without a console.
"""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Sequence

from k8snb.apimachinery.errors import ApiError
from k8snb.cluster import Cluster
from k8snb.kubectl.output import KubectlError, Stream
from k8snb.kubectl.refusals import refused
from k8snb.notebook import kcluster
from k8snb.notebook.clusters import Clusters

PROMPT = "kcluster> "
TERMINATED = 143  # what a shell answers for a program that SIGTERM ended
LAST = ("exit", "quit")
HERE = ("start", "config", "version")  # what makes sense before there is a cluster
WELCOME = "type status, addons list, kubectl get nodes …; exit or Ctrl-D ends the cluster, which lives in this process"


def main(words: Sequence[str]) -> int:
    """Carry out a line; after `start`, those that are typed or piped in. 0 if all of them were carried out, else 1."""
    console = Console(Clusters(Cluster))
    line = kcluster.take_profile(list(words))[1]
    if line and line[0] not in HERE and not {"-h", "--help"} & {*line}:
        name = " ".join(line)
        sys.stderr.write(
            f"k8snb: a cluster lives in the process that started it: k8snb cluster start, then type {name}; "
            f"in a notebook: %kcluster {name}\n"
        )
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        good = console.run(list(words))
        if good and console.clusters.names:
            good = console.read()
    finally:
        console.clusters.close()
    return 0 if good else 1


class Console:
    """Carries lines out and prints what they answer."""

    def __init__(self, clusters: Clusters) -> None:
        self.clusters = clusters

    def read(self) -> bool:
        """Lines from standard input until its end, `exit` or Ctrl-C; whether all of them were carried out."""
        interactive, good = sys.stdin.isatty(), True
        if interactive:
            print(WELCOME)
        while (line := self._line(interactive)) is not None and line not in LAST:
            try:
                good &= self.run(shlex.split(line, comments=True))
            except ValueError as error:
                good = self._fail(f"error: {error}")
        return good or interactive

    def _line(self, interactive: bool) -> str | None:
        try:
            return input(PROMPT if interactive else "").strip()
        except (EOFError, KeyboardInterrupt):
            return None

    def run(self, words: Sequence[str]) -> bool:
        """One line, also with `kcluster`, `%kcluster` or `minikube` before it; whether it was carried out."""
        words = list(words[1:] if words[:1] and words[0] in ("kcluster", "%kcluster", "minikube") else words)
        try:
            answer = kcluster.run(self.clusters, words)
        except KubectlError as error:
            return self._fail(error.message)
        except ApiError as error:
            return self._fail(refused(error).message)
        if isinstance(answer, Stream):
            self._follow(answer)
        else:
            print(repr(answer), flush=True)
        return True

    def _follow(self, stream: Stream) -> None:
        try:
            for output in stream:
                print(output.text, end="", flush=True)
        except KeyboardInterrupt:
            print()
        finally:
            stream.stop()

    def _fail(self, message: str) -> bool:
        sys.stdout.flush()
        sys.stderr.write(f"{message}\n")
        return False
