"""%kcluster as minikube is used; its words are those of `cmd/minikube/cmd` in the minikube repository, no emoji."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from notebook_lab import Notebook, fresh_shell, make

from k8snb.notebook import extension
from k8snb.notebook.kcluster import COMMANDS, INSTEAD, take_profile

POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: web, image: nginx}]}
"""
CLAIM = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers:
      - {name: main, image: busybox, command: [sleep, "3600"], volumeMounts: [{name: data, mountPath: /data}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("K8SNB_HOME", str(tmp_path / "home"))
    with fresh_shell(tmp_path) as made:
        yield made


@pytest.fixture
def notebook(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> Notebook:
    extension.load(shell, make)
    made = Notebook(shell, capsys)
    made.settle()
    return made


# start


def test_start_tells_what_minikube_tells(notebook: Notebook) -> None:
    text = notebook.run("%kcluster start -p two --nodes 2 --cpus 2 --memory 4g --driver simulated").text
    assert 'Creating 3 nodes (CPUs=2, Memory=4Gi) for "two" ...\n' in text
    assert "Preparing Kubernetes v1.33.0 on simulated://" in text
    assert "Enabled addons: default-storageclass, dns, metrics-server, storage-provisioner\n" in text
    assert text.splitlines()[-1].startswith('Done! cluster "two" is running: 2 nodes and a control plane')


def test_a_nodes_size_is_what_start_said(notebook: Notebook) -> None:
    notebook.run("%kcluster start -p two --nodes 1 --cpus 2 --memory 2048mb")
    capacity = notebook.run("%kget node node-1").object["status"]["capacity"]
    assert (capacity["cpu"], capacity["memory"]) == ("2", "2Gi")


def test_starting_a_running_cluster_changes_nothing(notebook: Notebook) -> None:
    notebook.run("%%kapply" + POD)
    before = notebook.cluster.store.revision
    assert 'Updating the running "k8snb" cluster' in notebook.run("%kcluster start").text
    assert notebook.cluster.store.revision == before


def test_add_ons_that_start_names_are_enabled(notebook: Notebook) -> None:
    notebook.run("%kcluster addons disable metrics-server")
    notebook.run("%kcluster start --addons metrics-server,dns")
    assert notebook.cluster.addons.is_enabled("metrics-server")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--driver virtualbox", 'invalid runtime "virtualbox": one of auto, docker, process, simulated'),
        ("--driver docker --runtime process", "--driver is another word for --runtime"),
        ("--kubernetes-version v1.29.0", "Kubernetes v1.29.0: not implemented by k8snb, which is Kubernetes v1.33.0"),
        ("--cpus none", 'invalid cpus "none"'),
        ("--cpus 0", 'invalid cpus "0"'),
        ("--memory 4x", 'invalid memory "4x": a size such as 4096mb, 4g or max'),
        ("--nodes 5", "you cannot change its number of nodes: use %kcluster node add"),
        ("--memory 8g", "you cannot change its memory size"),
        ("--addons heapster", '"heapster" is not a valid add-on'),
        ("--cni calico", "%kcluster start --cni: not implemented by k8snb"),
        ("--nods 3", 'unknown flag: --nods (did you mean "--nodes"?)'),
        ("-p", "flag needs an argument: -p"),
    ],
)
def test_a_start_that_cannot_be_carried_out_says_why(notebook: Notebook, words: str, said: str) -> None:
    assert said in notebook.error(f"%kcluster start {words}")


@pytest.mark.parametrize("version", ["v1.33.0", "1.33", "stable", "latest"])
def test_the_version_that_k8snb_is_may_be_asked_for(notebook: Notebook, version: str) -> None:
    assert "is running" in notebook.run(f"%kcluster start --kubernetes-version {version}").text


# status


def test_status_has_minikubes_lines_and_then_the_components(notebook: Notebook) -> None:
    answer = notebook.run("%kcluster status")
    assert answer.text.startswith(
        "control-plane\ntype: Control Plane\nhost: Running\nkubelet: Running\napiserver: Running\n"
        "kubeconfig: Configured\n\nnode-1\ntype: Worker\nhost: Running\nkubelet: Running\n\n"
    )
    assert "\nkube-scheduler " in answer.text
    machines, components = answer.output.tables
    assert len(machines.rows) == 4
    assert {"etcd", "kube-apiserver", "kube-scheduler", "cloud-controller-manager"} <= {
        row.cells[0] for row in components.rows
    }


def test_status_as_json_is_a_list_and_for_one_node_an_object(notebook: Notebook) -> None:
    found = json.loads(notebook.run("%kcluster status -o json").text)
    assert [host["Name"] for host in found] == ["control-plane", "node-1", "node-2", "node-3"]
    assert json.loads(notebook.run("%kcluster status -o json -n node-1").text) == {
        "Name": "node-1", "Host": "Running", "Kubelet": "Running", "APIServer": "Irrelevant",
        "Kubeconfig": "Irrelevant", "Worker": True,
    }  # fmt: skip


def test_the_words_of_status_follow_what_happens(notebook: Notebook) -> None:
    def words(node: str = "control-plane") -> tuple[str, ...]:
        found = json.loads(notebook.run(f"%kcluster status -o json -n {node}").text)
        return tuple(found[name] for name in ("Host", "Kubelet", "APIServer", "Kubeconfig"))

    notebook.run("%kcluster node stop node-2")
    assert words("node-2") == ("Stopped", "Stopped", "Irrelevant", "Irrelevant")
    assert words() == ("Running", "Running", "Running", "Configured")
    notebook.run("%kcluster pause")
    assert words() == ("Running", "Stopped", "Paused", "Configured")
    notebook.run("%kcluster unpause")
    assert words() == ("Running", "Running", "Running", "Configured")
    notebook.run("%kcluster stop")
    assert words() == ("Stopped", "Stopped", "Stopped", "Stopped")


# stop, start, delete


def test_stop_counts_the_nodes_and_start_brings_back_what_was_there(notebook: Notebook) -> None:
    notebook.run("%%kapply" + POD)
    assert "4 nodes stopped" in notebook.run("%kcluster stop").text
    assert 'Restarting the existing 4 nodes of "k8snb" ...' in notebook.run("%kcluster start").text
    assert "Running" in notebook.run("%kget pod web").text


def test_a_stateful_sets_data_survive_stop_and_start(notebook: Notebook) -> None:
    notebook.run("%%kapply" + CLAIM)
    path = notebook.run("%kget pv").objects[0]["spec"]["hostPath"]["path"]
    (Path(path) / "word").write_text("kept")
    notebook.run("%kcluster stop")
    notebook.run("%kcluster start")
    assert "Running" in notebook.run("%kget pod db-0").text
    assert notebook.run("%kget pv").objects[0]["spec"]["hostPath"]["path"] == path
    assert (Path(path) / "word").read_text() == "kept"
    notebook.run("%kcluster delete")
    assert not Path(path).exists()


def test_delete_all_leaves_no_cluster(notebook: Notebook) -> None:
    notebook.run("%kcluster start -p two --nodes 1")
    text = notebook.run("%kcluster delete --all").text
    assert 'Removed all traces of the "two" cluster' in text and "Successfully deleted all profiles" in text
    assert "no cluster was found" in repr(notebook.run("%kcluster profile list"))


# pause


def test_pause_says_what_stands_still(notebook: Notebook) -> None:
    notebook.run("%%kapply" + POD)
    text = repr(notebook.run("%kcluster pause"))
    assert "Pausing node node-1 ..." in text and "Paused 0 containers in: kube-system" in text
    assert "%kcluster pause -A" in text
    assert "Paused 1 container\n" in notebook.run("%kcluster pause -A").text
    assert "Unpaused 1 container\n" in notebook.run("%kcluster unpause").text
    assert 'cluster "k8snb" is not paused' in notebook.run("%kcluster unpause").text


def test_pause_takes_namespaces(notebook: Notebook) -> None:
    notebook.run("%%kapply" + POD)
    assert "Paused 1 container in: default" in notebook.run("%kcluster pause -n default").text
    assert "exclude each other" in notebook.error("%kcluster pause -A -n default")


def test_start_lets_a_paused_cluster_go_on(notebook: Notebook) -> None:
    notebook.run("%%kapply" + POD)
    notebook.run("%kcluster pause -A")
    notebook.run("%kcluster start")
    assert "is not paused" in notebook.run("%kcluster unpause").text


# several clusters


def test_a_line_with_p_is_about_that_cluster_and_leaves_the_current_one(notebook: Notebook) -> None:
    notebook.run("%kcluster start -p two --nodes 1")
    notebook.run("%kcluster profile k8snb")
    assert "node-2" not in notebook.run("%kcluster -p two status").text
    assert notebook.run("%kcluster profile").text == "k8snb\n"
    assert "node-9" in notebook.run("%kcluster node add node-9 --profile=two").text
    assert "node-9" not in notebook.run("%kget nodes").text
    notebook.run("%kcluster delete -p two")
    assert notebook.run("%kcluster profile").text == "k8snb\n"
    assert 'there is no cluster "two": %kcluster start -p two' in notebook.error("%kcluster status -p two")


def test_the_cells_speak_to_the_cluster_that_profile_names(notebook: Notebook) -> None:
    notebook.run("%kcluster start -p two --nodes 1")
    assert len(notebook.run("%kget nodes")) == 2
    assert "set to k8snb" in notebook.run("%kcluster profile default").text
    assert len(notebook.run("%kget nodes")) == 4


def test_profiles_are_listed_as_a_table_and_as_json(notebook: Notebook) -> None:
    notebook.run("%kcluster start -p two --nodes 1")
    notebook.run("%kcluster stop")
    answer = notebook.run("%kcluster profile list")
    assert answer.text.splitlines()[0].split()[:2] == ["PROFILE", "DRIVER"]
    assert list(answer.df["STATUS"]) == ["Running", "Stopped"] and list(answer.df["ACTIVE"]) == ["", "*"]
    assert [each["Name"] for each in json.loads(notebook.run("%kcluster profile list -o json").text)["valid"]] == [
        "k8snb", "two",
    ]  # fmt: skip


def test_what_stands_behind_the_dashes_is_left_alone() -> None:
    assert take_profile(["ssh", "-p", "two", "--", "mkdir", "-p", "x"]) == ("two", ["ssh", "--", "mkdir", "-p", "x"])


# nodes, services, kubectl


def test_nodes_are_listed_with_address_and_state(notebook: Notebook) -> None:
    notebook.run("%kcluster node stop node-1")
    answer = notebook.run("%kcluster node list")
    assert list(answer.df["STATE"]) == ["Running", "Stopped", "Running", "Running"]
    address = notebook.run("%kcluster ip -n node-2")
    assert address == answer.df["IP"][2] and notebook.run("%kcluster ip") == answer.df["IP"][0]
    notebook.run("%kcluster node start node-1")
    assert "Stopped" not in notebook.run("%kcluster node list").text


def test_a_node_has_the_size_it_was_added_with(notebook: Notebook) -> None:
    notebook.run("%kcluster node add big --cpus 16 --memory 64g")
    assert notebook.run("%kget node big").object["status"]["capacity"]["cpu"] == "16"


def test_there_is_no_machine_to_log_in_to_and_the_line_says_so(notebook: Notebook) -> None:
    assert "simulated nodes have no shell" in notebook.error("%kcluster ssh node-1 -- uname -a")
    assert 'there is no node "nope"' in notebook.error("%kcluster ssh nope")


def test_services_are_listed_with_ports_and_urls(notebook: Notebook) -> None:
    notebook.run("%kcreate deployment web --image=nginx")
    notebook.run("%kexpose deployment web --type=NodePort --port=80")
    url = notebook.run("%kcluster service web --url")
    for line in ("%kcluster service list", "%kcluster service --list"):
        found = notebook.run(line).df.set_index("NAME")
        assert f'<a href="{url}"' in notebook.run(line)._repr_html_()
        assert found["URL"]["web"] == url and found["TARGET PORT"]["kubernetes"] == "https/443"
    assert list(notebook.run("%kcluster service list -n kube-system").df["NAME"]) == ["kube-dns"]
    assert notebook.run("%kcluster service web --url --https").startswith("https://")


def test_a_service_that_is_not_there_says_where_to_look(notebook: Notebook) -> None:
    text = notebook.error("%kcluster service nope")
    assert "Service 'nope' was not found in 'default' namespace" in text and "%kcluster service list" in text


def test_kubectl_runs_on_the_cluster_that_is_meant(notebook: Notebook) -> None:
    notebook.run("%kcluster start -p two --nodes 1")
    assert len(notebook.run("%kcluster -p k8snb kubectl -- get nodes")) == 4
    assert len(notebook.run("%kcluster kubectl get nodes")) == 2


# add-ons


def test_add_ons_are_listed_enabled_and_disabled(notebook: Notebook) -> None:
    assert notebook.run("%kcluster addons disable metrics-server").text == "The 'metrics-server' addon is disabled\n"
    answer = notebook.run("%kcluster addons list")
    assert dict(zip(answer.df["ADDON NAME"], answer.df["STATUS"], strict=True))["metrics-server"] == "disabled"
    assert "%kcluster addons enable metrics-server" in notebook.error("%ktop nodes")
    assert notebook.run("%kcluster addons enable metrics-server").text == "The 'metrics-server' addon is enabled\n"
    found = json.loads(notebook.run("%kcluster addons list -o json").text)
    assert found["metrics-server"] == {"Profile": "k8snb", "Status": "enabled"}
    assert '"heapster" is not a valid add-on' in notebook.error("%kcluster addons enable heapster")
    assert "an add-on's name is missing" in notebook.error("%kcluster addons enable")


def test_an_add_on_of_a_stopped_cluster_waits_for_its_start(notebook: Notebook) -> None:
    notebook.run("%kcluster stop")
    assert "begins with the next %kcluster start" in repr(notebook.run("%kcluster addons enable dns"))


# defaults


def test_defaults_make_the_next_new_cluster(notebook: Notebook) -> None:
    assert "will take effect upon" in notebook.run("%kcluster config set nodes 2").text
    notebook.run("%kcluster config set memory 4096")
    assert notebook.run("%kcluster config view").text == "- memory: 4096\n- nodes: 2\n"
    assert notebook.run("%kcluster config get nodes").text == "2\n"
    notebook.run("%kcluster delete")
    notebook.run("%kcluster start")
    assert len(notebook.run("%kget nodes")) == 3
    assert notebook.run("%kget node node-1").object["status"]["capacity"]["memory"] == "4Gi"
    notebook.run("%kcluster config unset nodes")
    assert "could not be found in config" in notebook.error("%kcluster config get nodes")


def test_a_line_goes_before_the_defaults(notebook: Notebook) -> None:
    notebook.run("%kcluster config set nodes 2")
    notebook.run("%kcluster start -p two --nodes 1")
    assert len(notebook.run("%kget nodes")) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("set nodes none", "invalid number of nodes none"),
        ("set driver vbox", 'invalid runtime "vbox"'),
        ("set colour red", '"colour" not found: there are cpus, data-dir, driver, memory, nodes, profile'),
        ("set nodes", "a property and its value are wanted"),
    ],
)
def test_a_default_that_cannot_be_is_refused_and_not_kept(notebook: Notebook, words: str, said: str) -> None:
    assert said in notebook.error(f"%kcluster config {words}")
    assert "nothing is set" in repr(notebook.run("%kcluster config view"))


def test_defaults_that_nobody_can_write_or_read_are_said_and_none(
    notebook: Notebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").write_text("no directory")
    assert "set K8SNB_HOME to a directory of yours" in notebook.error("%kcluster config set nodes 2")
    assert "nothing is set" in repr(notebook.run("%kcluster config view"))


# logs


def test_logs_have_a_section_for_each_component(notebook: Notebook) -> None:
    notebook.run("%kcreate deployment web --image=nginx")
    text = notebook.run("%kcluster logs").text
    for heading in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet [node-1]"):
        assert f"==> {heading} <==\n" in text
    assert 'create "apps/deployments/default/web"' in text
    assert 'reason="Scheduled" message="Successfully assigned default/web-' in text
    assert "/leases/" not in text


def test_logs_are_cut_picked_and_written_to_a_file(notebook: Notebook, tmp_path: Path) -> None:
    notebook.run("%%kapply" + POD)
    notebook.run(
        "%%kapply"
        + POD.replace("name: web, labels", "name: lost, labels").replace("{con", "{nodeSelector: {a: b}, con")
    )
    problems = notebook.run("%kcluster logs --problems").text
    assert 'reason="FailedScheduling"' in problems and 'reason="Scheduled"' not in problems
    short = notebook.run("%kcluster logs -n 1 --node node-1").text
    assert short.splitlines()[0] == "==> kubelet [node-1] <==" and len(short.splitlines()) == 2
    notebook.run(f"%kcluster logs --file {tmp_path}/logs.txt")
    assert "==> kube-scheduler <==" in (tmp_path / "logs.txt").read_text()
    assert "cannot write" in notebook.error(f"%kcluster logs --file {tmp_path}/no/logs.txt")
    assert "exclude each other" in notebook.error("%kcluster logs -f --file x")


def test_logs_that_are_followed_go_on(notebook: Notebook) -> None:
    notebook.shell.run_cell("%krun web --image=nginx")
    lines = notebook.run("%kcluster logs -f -n 3 --timeout 30s").text.splitlines()
    assert len(lines) > 3 and any(line.startswith("kubelet [node-") and "Started" in line for line in lines)


# what is not there, help, completion


def test_every_missing_row_says_so_and_what_to_use_where_there_is_something(notebook: Notebook) -> None:
    for row in COMMANDS:
        if row.missing_command:
            text = notebook.error(f"%kcluster {row.name}")
            assert f"%kcluster {row.name}: not implemented by k8snb" in text
            assert text.endswith(INSTEAD.get(row.name, "not implemented by k8snb"))
    assert set(INSTEAD) <= {row.name for row in COMMANDS if row.missing_command}


def test_help_lists_what_there_is(notebook: Notebook) -> None:
    text = notebook.run("%kcluster -h").text
    for word in ("start", "addons enable NAME", "profile list", "--profile"):
        assert word in text
    assert "update-check" not in text
    assert "--kubernetes-version" in notebook.run("%kcluster start -h").text


@pytest.mark.parametrize(
    ("line", "whole"),
    [
        ("%kcluster addons en", "%kcluster addons enable"),
        ("%kcluster addons enable met", "%kcluster addons enable metrics-server"),
        ("%kcluster config set dri", "%kcluster config set driver"),
        ("%kcluster start --driver sim", "%kcluster start --driver simulated"),
        ("%kcluster status -p k8", "%kcluster status -p k8snb"),
        ("%kcluster profile li", "%kcluster profile list"),
        ("%kcluster service li", "%kcluster service list"),
        ("%kcluster logs --node node-1", "%kcluster logs --node node-1"),
        ("%kcluster kubectl -- get nod", "%kcluster kubectl -- get nodes"),
    ],
)
def test_a_line_of_kcluster_is_completed(notebook: Notebook, line: str, whole: str) -> None:
    assert whole in notebook.complete(line)


def test_a_page_shows_tables_with_states(notebook: Notebook) -> None:
    for line in ("%kcluster status", "%kcluster addons list", "%kcluster profile list", "%kcluster node list"):
        page = notebook.run(line)._repr_html_()
        assert "<table" in page and '<b class="k8snb-sym">' in page, line
