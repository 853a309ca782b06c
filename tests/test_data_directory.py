"""Clusters with a data directory: what the process after the next one finds."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from IPython.core.interactiveshell import InteractiveShell
from notebook_lab import Kernel, Notebook, fresh_shell, make

from k8snb.apimachinery.meta import is_true, uid_of
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.controllers.hostpath import STANDARD
from k8snb.notebook import extension

ROOT = Path(__file__).resolve().parent.parent
POD = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "main", "image": "nginx"}]}}


def simulated(path: Path, **options: Any) -> Cluster:
    return Cluster("kept", runtime="simulated", clock=VirtualClock(), data_dir=path, **{"nodes": 2, **options})


def ready(cluster: Cluster, name: str = "web") -> bool:
    pod = cluster.client.find("pods", name, "default")
    return pod is not None and is_true(pod, "Ready")


def token(cluster: Cluster) -> str:
    made = cluster.client.create_subresource("serviceaccounts", "default", "token", {"spec": {}}, "default")
    return str(made["status"]["token"])


# what is kept


def test_a_cluster_is_found_again_with_all_its_objects(tmp_path: Path) -> None:
    with simulated(tmp_path) as cluster:
        cluster.client.create("pods", POD, "default")
        cluster.settle()
        before = uid_of(cluster.client.get("pods", "web", "default"))
        revision = cluster.store.revision
    with simulated(tmp_path) as again:
        assert again.found
        again.settle()
        assert uid_of(again.client.get("pods", "web", "default")) == before
        assert ready(again)
        assert again.store.revision > revision
        assert again.store.get("/registry/pods/default/web", revision) is not None


def test_its_authority_and_its_tokens_are_good_in_the_next_process(tmp_path: Path) -> None:
    with simulated(tmp_path) as cluster:
        authority, given = cluster.identity.root_ca, token(cluster)
    with simulated(tmp_path) as again:
        assert again.identity.root_ca == authority
        assert again.identity.verify(given)["sub"] == "system:serviceaccount:default:default"
    assert stat.S_IMODE((tmp_path / "pki" / "ca.key").stat().st_mode) == 0o600


def test_nodes_and_addons_are_as_they_were_whatever_is_asked_for(tmp_path: Path) -> None:
    with simulated(tmp_path) as cluster:
        cluster.add_node(labels={"disk": "ssd"})
        cluster.delete_node("node-1")
        cluster.addons.disable("metrics-server")
    with simulated(tmp_path, nodes=7) as again:
        assert list(again.nodes) == ["control-plane", "node-2", "node-3"]
        assert again.machines.specs["node-3"].labels == {"disk": "ssd"}
        assert not again.addons.is_enabled("metrics-server")
        assert again.addons.is_enabled("dns")


def test_the_components_work_at_once_though_others_have_held_their_leases(tmp_path: Path) -> None:
    """A process that was killed gave none of them back; elsewhere that takes leaseDuration, 15 s."""
    cluster = simulated(tmp_path)
    cluster.start()
    cluster.settle()
    cluster.data.close()  # type: ignore[union-attr]
    with simulated(tmp_path) as again:
        again.run_for(1)
        assert again.controllers
    cluster.store.close()  # type: ignore[attr-defined]


def test_a_claims_volume_lies_in_the_directory_and_outlives_the_process(tmp_path: Path) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"metadata": {"name": "c"}, "spec": {**spec, "storageClassName": STANDARD["metadata"]["name"]}}
    with simulated(tmp_path) as cluster:
        cluster.client.create("persistentvolumeclaims", claim, "default")
        cluster.settle()
        (volume,) = cluster.client.items("persistentvolumes")
        where = Path(volume["spec"]["hostPath"]["path"])
        (where / "data").write_text("kept")
        assert where.parent == tmp_path / "volumes"
    assert (where / "data").read_text() == "kept"
    with simulated(tmp_path) as again:
        again.client.delete("persistentvolumeclaims", "c", "default")
        again.settle()
        assert not where.exists()


# whose it is


def test_a_directory_has_one_cluster_at_a_time(tmp_path: Path) -> None:
    with simulated(tmp_path), pytest.raises(ValueError, match=f"is in use by process {os.getpid()}: stop that one"):
        simulated(tmp_path)
    simulated(tmp_path).close()


@pytest.mark.parametrize(
    ("name", "runtime", "words"),
    [("other", "simulated", "is kept, not other"), ("kept", "process", "runs on simulated, not process")],
)
def test_another_cluster_is_not_put_in_its_place(tmp_path: Path, name: str, runtime: str, words: str) -> None:
    with simulated(tmp_path):
        pass
    with pytest.raises(ValueError, match=f"{words}: choose another directory"):
        Cluster(name, runtime=runtime, data_dir=tmp_path)
    simulated(tmp_path).close()


def test_a_damaged_note_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text("{")
    with pytest.raises(ValueError, match=r"cluster\.json is damaged"):
        simulated(tmp_path)


def test_a_place_that_is_no_directory_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="file cannot be used: "):
        simulated(tmp_path / "file")


def test_a_deleted_cluster_leaves_nothing_but_what_others_put_there(tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("")
    with simulated(tmp_path) as cluster:
        cluster.client.create("pods", POD, "default")
        cluster.delete()
    assert list(tmp_path.iterdir()) == [mine]
    with pytest.raises(ValueError, match="make a Cluster with it again"):
        cluster.start()


# in a notebook


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setenv("K8SNB_HOME", str(tmp_path / "home"))
    with fresh_shell(tmp_path) as shell:
        yield _loaded(shell, capsys)


def _loaded(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> Notebook:
    extension.load(shell, make)
    made = Notebook(shell, capsys)
    made.settle()
    return made


def test_start_takes_a_data_directory_and_says_what_that_means(notebook: Notebook, tmp_path: Path) -> None:
    line = f"%kcluster start -p lasting --nodes 1 --data-dir {tmp_path}/lasting"
    said = notebook.run(line)
    assert 'Creating 2 nodes for "lasting"' in said.text
    assert f"kept in {tmp_path}/lasting: its containers end with this kernel" in repr(said)
    notebook.run("%krun web --image=nginx")
    extension.unload(notebook.shell)
    extension.load(notebook.shell, make)
    assert 'Restarting the existing 2 nodes of "lasting"' in notebook.run(line).text
    assert "web" in notebook.run("%kget pods").text
    assert "you cannot change its data directory" in notebook.error(f"%kcluster start --data-dir {tmp_path}/else")
    notebook.run("%kcluster delete")
    assert not (tmp_path / "lasting").exists()


def test_a_data_directory_that_is_set_serves_every_new_cluster(notebook: Notebook, tmp_path: Path) -> None:
    notebook.run(f"%kcluster config set data-dir {tmp_path}/all")
    notebook.run("%kcluster start -p one --nodes 1")
    notebook.run("%kcluster start -p two --nodes 1")
    assert {path.name for path in (tmp_path / "all").iterdir()} == {"one", "two"}


# killed


@pytest.mark.process
@pytest.mark.slow
def test_a_killed_kernel_leaves_no_process_and_the_next_one_finds_its_cluster(tmp_path: Path) -> None:
    """By SIGKILL, which no part of it hears."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path), "K8SNB_RUNTIME": "process",
                   "K8SNB_HOME": str(tmp_path / "home")}  # fmt: skip
    (tmp_path / "home" / "config").mkdir(parents=True)
    settings = {"data-dir": str(tmp_path / "data"), "nodes": "1"}
    (tmp_path / "home" / "config" / "config.json").write_text(json.dumps(settings))
    first, second = Kernel(environment), None
    try:
        first.run("%load_ext k8snb")
        first.run("%krun keeper --image=busybox --command -- sleep 4321")
        assert not first.run("%kwait pod/keeper --for=condition=Ready --timeout=60s").failed
        this = psutil.Process(int(first.run("import os; os.getpid()").data("text/plain")))
        children = this.children(recursive=True)
        assert any("4321" in child.cmdline() for child in children)
        this.kill()
        _, alive = psutil.wait_procs(children, timeout=30)
        assert not alive
        second = Kernel(environment)
        started = second.run("%load_ext k8snb").outputs
        assert "Kubernetes is starting" in str(started), started
        assert not second.run("%kwait pod/keeper --for=condition=Ready --timeout=60s").failed
        restarts = second.run("%kget pod keeper -o jsonpath={.status.containerStatuses[0].restartCount}")
        assert "1" in restarts.data("text/plain")
        second.run("%kcluster delete")
        assert not (tmp_path / "data" / "k8snb").exists()
    finally:
        first.close()
        if second is not None:
            second.close()


def test_a_served_cluster_that_cannot_have_its_directory_says_so(tmp_path: Path) -> None:
    with simulated(tmp_path):
        code = "import sys; from k8snb import cli; sys.exit(cli.main())"
        line = f"up --name kept --runtime simulated --data-dir {tmp_path}"
        command = [sys.executable, "-c", code, *line.split()]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("k8snb: the cluster cannot be served: the data directory")
