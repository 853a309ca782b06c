"""`k8snb kubectl …` in a terminal: against a served cluster, by its kubeconfig, as the real one says it."""

from __future__ import annotations

import difflib
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from kubectls import found_kubectls, numbers
from test_golden_kubectl import EDITOR, TRANSCRIPTS, ids, played

from k8snb import Cluster
from k8snb.cli import main

pytestmark = pytest.mark.process
OURS = [sys.executable, "-c", "import sys; from k8snb.cli import main; sys.exit(main())", "kubectl"]
NEWEST = next(reversed(found_kubectls().items()), None)
PATIENCE = 60.0
PLAYED = ("auth", "certificate", "create", "diff", "edit", "patch", "taint")  # the transcripts that wait for nothing


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with the kubeconfig of a served cluster that has a Deployment and a pod."""
    home = tmp_path_factory.mktemp("terminal")
    with Cluster("far", nodes=2, runtime="simulated", seed=1) as cluster:
        (home / "config").write_text(cluster.kubeconfig)
        for line in ("create deployment web --image=nginx --replicas=2", "run shell --image=busybox -- sleep 9999"):
            cluster.kubectl.run(line)
        for line in ("deployment/web --for=condition=Available", "pod/shell --for=condition=Ready"):
            cluster.kubectl.run(f"wait {line} --timeout=60s")
        yield home


def environment(home: Path) -> dict[str, str]:
    keep = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**keep, "HOME": str(home), "KUBECONFIG": str(home / "config"), "KUBE_EDITOR": EDITOR, "LANG": "C.UTF-8"}


def run(program: list[str], words: str, home: Path, given: str = "") -> tuple[str, str, int]:
    done = subprocess.run([*program, *shlex.split(words)], input=given, capture_output=True, text=True,
                          env=environment(home), timeout=PATIENCE, cwd=home)  # fmt: skip
    return done.stdout, done.stderr, done.returncode


# what is said


@pytest.mark.parametrize("path", [path for path in TRANSCRIPTS if path.stem in PLAYED], ids=ids)
def test_the_terminal_prints_the_transcript(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def say(words: str, given: str) -> str:
        out, err, code = here(words, given, monkeypatch, capfd)
        return out + err + (f"[exit {code}]" if code else "")

    with Cluster("golden", nodes=2, runtime="simulated", seed=1) as cluster:
        (tmp_path / "config").write_text(cluster.kubeconfig)
        in_home(tmp_path, monkeypatch)
        wrong = played(path, say, "k8snb")
    assert not wrong, "\n\n".join(wrong)


def in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    for name, value in environment(home).items():
        monkeypatch.setenv(name, value)


def here(
    words: str, given: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> tuple[str, str, int]:
    """A line in this process, which takes less time than one of its own."""
    capfd.readouterr()
    with tempfile.TemporaryFile("w+") as stdin, monkeypatch.context() as patched:
        stdin.write(given)
        stdin.seek(0)
        patched.setattr(sys, "stdin", stdin)
        code = main(["kubectl", *shlex.split(words)])
    return (*capfd.readouterr(), code)


LINES = """\
get nodes
get pods
get pods -o wide
get all
get deploy web -o yaml
get deploy web -o json
get deployments -o name
get pods -l app=web --no-headers
get pods -n nope
get pod nope
get crd
get apiservices
get cm -A
get --raw /version
get --raw /api/v1/namespaces/default
get --raw /nope
get --raw nope
get --raw /version -o yaml
describe deployment web
describe service kubernetes
api-resources
api-resources -o wide
api-versions
cluster-info
logs deploy/web
logs nope
exec shell -- sh -c 'echo a; echo b >&2; exit 7'
exec nope -- ls
exec shell -c nope -- ls
exec -i shell -- cat
label deploy web x=y --overwrite
label deploy web x=y --overwrite
annotate pod shell a=b --overwrite
annotate pod shell a=b --overwrite
scale deploy web --replicas=2
rollout status deploy/web
rollout history deploy/web
wait --for=condition=Available deploy/web
wait --for=condition=Nope deploy/web --timeout=1s
auth can-i get pods
auth can-i get pods --as jane
auth whoami
get pods --as jane
get pods --user nope
get pods --cluster nope
get pods --context nope
get pods --request-timeout=abc
get pods --kubeconfig /nope
get pods --insecure-skip-tls-verify
get pods --namespace=kube-system
config view
config current-context
config get-contexts
delete pod nope
apply -f -
apply -f - --dry-run=server
attach nope
port-forward nope 80
cp nope:/etc/hostname here
delete --raw /api/v1/namespaces/default/configmaps/nope
"""
GIVEN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: given}\n"


def settled(text: str) -> str:
    """What is printed, without what changes with time."""
    text = re.sub(r"^E\d{4} .*\n", "", text, flags=re.MULTILINE)  # what the real one tells of its cache
    if re.search(r"\bA(GE|ge)\b", text):  # a longer age makes its column wider
        text = re.sub(r" {2,}", "  ", text)
    return re.sub(r" *\b(\d+[smh])+\b", " <age>", text)


def test_stdout_stderr_and_exit_codes_are_those_of_the_real_kubectl(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if NEWEST is None or numbers(NEWEST[0]) < (1, 33):
        pytest.skip("optional: no kubectl of 1.33 or newer is installed")
    wrong = []
    in_home(home, monkeypatch)
    for line in ("apply -f -", "label deploy web x=y --overwrite", "annotate pod shell a=b --overwrite"):
        here(line, GIVEN, monkeypatch, capfd)
    for line in LINES.splitlines():
        theirs, mine = run([str(NEWEST[1])], line, home, GIVEN), here(line, GIVEN, monkeypatch, capfd)
        for sort, there, said in zip(("stdout", "stderr"), theirs, mine, strict=False):
            if settled(there) != settled(said):
                lines = difflib.unified_diff(there.splitlines(), said.splitlines(), "real", "k8snb", lineterm="")
                wrong.append("\n".join([f"$ kubectl {line}  # {sort}", *lines]))
        if theirs[2] != mine[2]:
            wrong.append(f"$ kubectl {line}  # exit {mine[2]}, the real one {theirs[2]}")
    assert not wrong, "\n\n".join(wrong)


def test_the_client_says_what_it_is_and_asks_the_server_what_it_is(home: Path) -> None:
    out, _, code = run(OURS, "version", home)
    assert re.fullmatch(r"Client Version: v1\.33\.0\+k8snb-\S+\nServer Version: v1\.33\.0\+k8snb\n", out) and code == 0
    out, err, code = run(OURS, "version --server=http://127.0.0.1:1", home)
    assert out.startswith("Client Version: ") and "was refused" in err and code == 1


# what goes on


@contextmanager
def going_on(home: Path, words: str, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """A command while it runs; afterwards it is ended as by Ctrl-C."""
    with subprocess.Popen([*OURS, *shlex.split(words)], env=environment(home), text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **options) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=PATIENCE)


def line_of(stream: IO[str] | None, words: str) -> str:
    """The first line that has these words."""
    assert stream is not None
    return next(line for line in stream if words in line)


def test_a_watch_goes_on_until_it_is_interrupted(home: Path) -> None:
    with going_on(home, "get configmaps -w") as process:
        line_of(process.stdout, "kube-root-ca.crt")
        run(OURS, "create configmap seen", home)
        assert line_of(process.stdout, "seen").startswith("seen ")
        run(OURS, "delete configmap seen", home)
        line_of(process.stdout, "seen")
    assert process.returncode == 130


def test_a_log_is_followed_until_it_is_interrupted(home: Path) -> None:
    run(OURS, "run talker --image=busybox -- sh -c 'while true; do echo tick; sleep 1; done'", home)
    run(OURS, "wait --for=condition=Ready pod/talker --timeout=60s", home)
    with going_on(home, "logs -f talker") as process:
        assert [line_of(process.stdout, "tick") for _ in range(3)] == ["tick\n"] * 3
    run(OURS, "delete pod talker --force --grace-period=0", home)


def test_a_forwarded_port_answers_until_it_is_interrupted(home: Path) -> None:
    with going_on(home, "port-forward deployment/web :80 --address=127.0.0.1") as process:
        spot = line_of(process.stdout, "Forwarding from").split()[2]
        with urllib.request.urlopen(f"http://{spot}", timeout=PATIENCE) as answer:
            assert b"</html>" in answer.read()
        line_of(process.stdout, "Handling connection for")


def test_the_proxy_is_the_server_without_certificates(home: Path) -> None:
    with going_on(home, "proxy --port=0 --reject-paths=^/api/v1/nodes --www=. --www-prefix=/files") as process:
        url = "http://" + line_of(process.stdout, "Starting to serve on").split()[-1]

        def asked(path: str, **headers: str) -> tuple[int, str]:
            try:
                with urllib.request.urlopen(urllib.request.Request(url + path, headers=headers)) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.read().decode()

        assert asked("/api/v1/namespaces/default")[0] == 200
        assert asked("/api/v1/namespaces/nope")[0] == 404
        assert asked("/api/v1/nodes")[0] == 403
        assert asked("/api/v1/pods", Host="elsewhere.example")[0] == 403
        assert asked("/apis/apps/v1/namespaces/default/deployments/web")[1].count('"name":"web"') > 0


def test_files_go_there_and_back(home: Path) -> None:
    (home / "page").write_text("copied\n")
    assert run(OURS, "cp page shell:/tmp/page", home) == ("", "", 0)
    assert run(OURS, "exec shell -- cat /tmp/page", home) == ("copied\n", "", 0)
    assert run(OURS, "cp shell:/tmp/page back", home)[2] == 0
    assert (home / "back").read_text() == "copied\n"


def test_a_terminal_is_handed_over_and_left_as_it_was(home: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*OURS, "exec", "-it", "shell", "--", "sh"], env=environment(home), stdin=theirs,
                               stdout=theirs, stderr=theirs, start_new_session=True)  # fmt: skip
    os.close(theirs)
    try:
        assert b"# " in heard(ours, b"# ")
        os.write(ours, b"hostname\r")
        assert b"shell\r\n" in heard(ours, b"shell\r\n")
        os.write(ours, b"exit 5\r")
        assert process.wait(PATIENCE) == 5
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def heard(descriptor: int, words: bytes) -> bytes:
    """What a terminal shows until it has shown these words."""
    said, end = b"", time.monotonic() + PATIENCE
    while words not in said and time.monotonic() < end:
        if select.select([descriptor], [], [], 1.0)[0]:
            said += os.read(descriptor, 4096)
    return said
