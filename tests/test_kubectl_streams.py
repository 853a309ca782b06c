"""kubectl's streams: files copied, programs listened to, ports forwarded, on runtimes with and without processes.

What kubectl says of them is in the transcripts of `golden/kubectl`; here is what they do. Sources: the help of
`kubectl cp`, `attach`, `port-forward` 1.33, and `kubectl/pkg/cmd/{cp,attach,portforward}`.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from k8snb import Cluster
from k8snb.kubectl import KubectlError
from k8snb.kubectl.forwarding import Forwarding
from k8snb.kubectl.output import Stream

RUNTIMES = ("simulated", pytest.param("process", marks=pytest.mark.process))


@pytest.fixture(params=RUNTIMES)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with Cluster("streams", nodes=1, runtime=request.param, seed=1) as cluster:
        cluster.kubectl.run("run web --image=nginx")
        cluster.kubectl.run("wait --for=condition=Ready pod/web --timeout=30s")
        yield cluster


def forwarded(cluster: Cluster, words: str) -> Forwarding:
    return cast(Forwarding, cluster.kubectl.run(f"port-forward {words}"))


def page(url: str) -> str:
    text: str = urllib.request.urlopen(url, timeout=10).read().decode()
    return text


def test_a_folder_that_is_copied_there_and_back_is_the_same(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "tree" / "below").mkdir(parents=True)
    (tmp_path / "tree" / "empty").mkdir()
    (tmp_path / "tree" / "text").write_text("hello\n")
    (tmp_path / "tree" / "below" / "bytes").write_bytes(bytes(range(256)) * 2000)
    cluster.kubectl.run(f"cp {tmp_path}/tree web:/tmp/there")
    cluster.kubectl.run(f"cp web:/tmp/there {tmp_path}/back")
    before, after = (sorted(path.relative_to(tmp_path / top) for path in (tmp_path / top).rglob("*")) for top in
                     ("tree", "back"))  # fmt: skip
    assert before == after
    for name in ("text", "below/bytes"):
        assert (tmp_path / "back" / name).read_bytes() == (tmp_path / "tree" / name).read_bytes()


def test_what_is_copied_to_a_directory_lands_in_it(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "name.txt").write_text("in it\n")
    cluster.kubectl.run(f"cp {tmp_path}/name.txt web:/tmp")
    assert cluster.kubectl.run("exec web -- cat /tmp/name.txt").text == "in it\n"


def test_a_file_is_not_written_over_a_directory(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("one\n")
    cluster.kubectl.run(f"cp {tmp_path}/one web:/tmp/one")
    with pytest.raises(KubectlError, match="is a directory"):
        cluster.kubectl.run(f"cp web:/tmp/one {tmp_path}")


def test_a_file_that_is_not_there_is_no_success(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(KubectlError, match="command terminated with exit code"):
        cluster.kubectl.run(f"cp web:/not-there {tmp_path}/here")
    assert not (tmp_path / "here").exists()


def test_a_command_reads_what_it_is_given(cluster: Cluster) -> None:
    assert cluster.kubectl.run("exec -i web -- cat", "one\ntwo\n").text == "one\ntwo\n"
    assert cluster.kubectl.run("exec -i web -- sh -c 'cat; exit 3'", "one\n").exit_code == 3


def test_whoever_attaches_hears_what_is_written_from_then_on(cluster: Cluster) -> None:
    say = "run talk --image=busybox -- sh -c 'while true; do echo word; sleep 0.2; done'"
    cluster.kubectl.run(say)
    cluster.kubectl.run("wait --for=condition=Ready pod/talk --timeout=30s")
    stream = cast(Stream, cluster.kubectl.run("attach -q talk"))
    heard = next(output.text for output in stream if output.text)
    stream.stop()
    assert heard.startswith("word\n")


def test_a_forwarded_port_answers_as_the_pod_does(cluster: Cluster) -> None:
    forwarding = forwarded(cluster, "pod/web :80")
    assert forwarding.text.splitlines()[0] == f"Forwarding from {forwarding.address} -> 80"
    assert "nginx" in page(forwarding.url)
    port = forwarding.address.rpartition(":")[2]
    assert forwarding.handled == [f"Handling connection for {port}"]


def test_a_services_port_leads_to_its_target_port(cluster: Cluster) -> None:
    cluster.kubectl.run("label pod web app=web")
    cluster.kubectl.run("create service clusterip web --tcp=8080:80")
    forwarding = forwarded(cluster, "svc/web :8080")
    assert forwarding.text.splitlines()[0].endswith("-> 80")
    assert "nginx" in page(forwarding.url)


def test_a_port_where_nobody_listens_says_so(cluster: Cluster) -> None:
    forwarding = forwarded(cluster, "web :81")
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        page(forwarding.url)
    cluster.wait(lambda: len(forwarding.handled) == 2, 10.0)
    assert forwarding.handled[1].startswith("error forwarding port 81 to pod web")


def test_a_forwarding_ends_when_it_is_stopped_with_its_pod_and_with_the_cluster(cluster: Cluster) -> None:
    first, second = forwarded(cluster, "web :80"), forwarded(cluster, "web :80")
    first.stop()
    with pytest.raises(OSError):
        page(first.url)
    assert "nginx" in page(second.url)
    cluster.kubectl.run("delete pod web --force --grace-period=0")
    assert cluster.wait(lambda: second.stopped, 10.0)
    cluster.kubectl.run("run web --image=nginx")
    cluster.kubectl.run("wait --for=condition=Ready pod/web --timeout=30s")
    third = forwarded(cluster, "web :80")
    cluster.stop()
    assert third.stopped
    with pytest.raises(OSError):
        page(third.url)


def test_a_port_that_is_taken_is_refused(cluster: Cluster) -> None:
    port = forwarded(cluster, "web :80").address.rpartition(":")[2]
    with pytest.raises(KubectlError, match="address already in use"):
        forwarded(cluster, f"web {port}:80 --address=127.0.0.1")


DEBUG = "debug web --image=busybox --profile=general -q --attach"


def test_a_debugger_that_ends_while_it_is_attached_to_is_no_error(cluster: Cluster) -> None:
    """Whether it is still there depends on the moment; what is no longer heard is read from its log."""
    output = cluster.kubectl.run(f"{DEBUG} -- echo seen")
    text = "".join(part.text for part in output) if isinstance(output, Stream) else output.text
    assert "warning: couldn't attach" not in text or "seen" in text


def test_a_debugger_that_is_attached_to_says_what_it_prints(cluster: Cluster) -> None:
    output = cluster.kubectl.run(f"{DEBUG} -- sh -c 'echo seen; sleep 1; echo seen; sleep 1; echo seen'")
    texts = [part.text for part in output] if isinstance(output, Stream) else [output.text]
    assert "seen" in "".join(texts)
