"""kubelet's volumes: they are there before the containers, follow what they are made from, and go with the pod.

Upstream's rules are in `pkg/kubelet/volumemanager`, `pkg/volume` and `pkg/kubelet/kubelet_pods.go` of the kubernetes
repository. The machine's own directories are real here; time and runtime are not.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k8snb.apimachinery.errors import ApiError
from k8snb.client.client import MERGE
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.kubelet.pod_directories import PodDirectories
from k8snb.kubelet.volume_plugin import Volume, VolumePlugin
from k8snb.kubelet.volume_writer import File, write

Object = dict[str, Any]
SLEEP = ["sleep", "1000000"]


class Lab:
    """A cluster of one simulated worker on virtual time."""

    def __init__(self) -> None:
        self.cluster = Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=0)
        self.cluster.start()
        self.cluster.settle()
        self.client = self.cluster.client

    def run(self, volume: Object, *, name: str = "web", mount: Object | None = None, **spec: Any) -> Object:
        """A pod that sleeps, with one volume at /data."""
        mounts = [{"name": "data", "mountPath": "/data", **(mount or {})}]
        containers = [{"name": each, "image": "busybox", "command": SLEEP, "volumeMounts": mounts,
                       **spec.pop("container", {})} for each in spec.pop("names", ("main",))]  # fmt: skip
        pod = {"metadata": {"name": name, "labels": {"app": "web"}},
               "spec": {"containers": containers, "volumes": [{"name": "data", **volume}], **spec}}  # fmt: skip
        self.client.create("pods", pod, "default")
        self.cluster.settle(limit=8)
        return self.pod(name)

    def pod(self, name: str = "web") -> Object:
        return self.client.get("pods", name, "default")

    def phase(self, name: str = "web") -> str:
        return str(self.pod(name)["status"]["phase"])

    def sh(self, script: str, *, name: str = "web", container: str = "") -> str:
        result = self.client.exec(name, "default", ["sh", "-c", script], container)
        return str((result.stdout + result.stderr).decode())

    def create(self, kind: str, name: str, **fields: Any) -> None:
        self.client.create(kind, {"metadata": {"name": name}, **fields}, "default")

    def messages(self, reason: str = "FailedMount", name: str = "web") -> list[str]:
        events = self.client.items("events", "default", fieldSelector=f"involvedObject.name={name}")
        return [event["message"] for event in events if event["reason"] == reason]

    def delete(self, name: str = "web") -> None:
        self.client.delete("pods", name, "default", gracePeriodSeconds=0)
        self.cluster.settle(limit=60)

    def folders(self) -> list[Path]:
        """The directories that the pods have on the node."""
        bases = [*self.cluster.machines.directories._bases.values()]
        return [pod for base in bases for node in base.iterdir() for pod in node.iterdir()]


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.cluster.delete()


# emptyDir


def test_the_containers_of_a_pod_share_an_empty_dir(lab: Lab) -> None:
    lab.run({"emptyDir": {}}, names=("one", "two"))
    lab.sh("echo hello > /data/note", container="one")
    assert lab.sh("cat /data/note", container="two") == "hello\n"


def test_an_empty_dir_outlives_its_containers_and_ends_with_its_pod(lab: Lab) -> None:
    script = "if cat /data/note; then sleep 1000000; fi; echo hello > /data/note; exit 1"
    lab.run({"emptyDir": {}}, container={"command": ["sh", "-c", script]})
    lab.cluster.run_for(30)
    assert lab.pod()["status"]["containerStatuses"][0]["restartCount"] == 1
    assert lab.sh("cat /data/note") == "hello\n"
    assert lab.folders()
    lab.delete()
    assert not lab.folders()


def test_the_volumes_of_a_pod_that_has_run_to_its_end_are_let_go(lab: Lab) -> None:
    """SyncTerminatedPod waits for the unmount, whether or not somebody deletes the pod."""
    lab.run({"emptyDir": {}}, container={"command": ["true"]}, restartPolicy="Never")
    lab.cluster.run_for(5)
    assert lab.phase() == "Succeeded"
    assert not lab.folders()


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="needs a tmpfs")
def test_an_empty_dir_of_medium_memory_lies_in_memory(lab: Lab) -> None:
    lab.run({"emptyDir": {"medium": "Memory"}})
    lab.sh("echo hello > /data/note")
    assert any(str(folder).startswith("/dev/shm/") for folder in lab.folders())
    lab.delete()
    assert not lab.folders()


def test_an_empty_dir_over_its_limit_evicts_its_pod(lab: Lab) -> None:
    """`emptyDirLimitEviction` in pkg/kubelet/eviction/eviction_manager.go."""
    lab.run({"emptyDir": {"sizeLimit": "1Ki"}})
    lab.cluster.run_for(30)
    assert lab.phase() == "Running"
    for folder in lab.folders():
        (folder / "volumes/kubernetes.io~emptyDir/data/big").write_bytes(b"x" * 8192)
    lab.cluster.run_for(30)
    status = lab.pod()["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
    assert status["message"] == 'Usage of EmptyDir volume "data" exceeds the limit "1Ki". '
    assert lab.messages("Evicted") == [status["message"]]
    assert not lab.folders()


def test_empty_dirs_over_what_containers_may_have_of_the_disk_evict_their_pod(lab: Lab) -> None:
    """`podEphemeralStorageLimitEviction` in pkg/kubelet/eviction/eviction_manager.go."""
    lab.run({"emptyDir": {}}, container={"resources": {"limits": {"ephemeral-storage": "1Mi"}}})
    for size in (2**19, 2**21):
        lab.cluster.run_for(30)
        assert lab.phase() == "Running"
        for folder in lab.folders():
            (folder / "volumes/kubernetes.io~emptyDir/data/big").write_bytes(b"x" * size)
    lab.cluster.run_for(30)
    status = lab.pod()["status"]
    said = "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "Evicted", said)
    (note,) = (text for text in lab.messages("RuntimeNote") if "ephemeral-storage" in text)
    assert "only emptyDirs are counted" in note


# configMap and secret


def test_a_config_map_is_files(lab: Lab) -> None:
    lab.create("configmaps", "settings", data={"color": "blue"}, binaryData={"raw": base64.b64encode(b"12").decode()})
    lab.run({"configMap": {"name": "settings"}})
    assert lab.sh("cat /data/color /data/raw") == "blue12"
    assert "Read-only file system" in lab.sh("echo x > /data/color")


def test_items_choose_keys_paths_and_modes(lab: Lab) -> None:
    lab.create("secrets", "keys", stringData={"a": "1", "b": "2"})
    items = [{"key": "a", "path": "deep/er/one", "mode": 0o400}]
    lab.run({"secret": {"secretName": "keys", "items": items, "defaultMode": 0o600}})
    assert lab.sh("cat /data/deep/er/one; cat /data/b").startswith("1")
    found = next(path for folder in lab.folders() for path in folder.rglob("one"))
    assert found.stat().st_mode & 0o777 == 0o400


def test_a_pod_waits_for_its_config_map_and_says_so(lab: Lab) -> None:
    lab.run({"configMap": {"name": "settings"}})
    assert lab.phase() == "Pending"
    assert lab.pod()["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ContainerCreating"
    assert set(lab.messages()) == {'MountVolume.SetUp failed for volume "data" : configmap "settings" not found'}
    lab.create("configmaps", "settings", data={"color": "blue"})
    lab.cluster.run_for(130)
    assert lab.sh("cat /data/color") == "blue"


def test_a_pod_that_waits_for_long_says_once_more_what_for(lab: Lab) -> None:
    """WaitForAttachAndMount gives up after 2m3s, and the pod worker begins again."""
    lab.run({"secret": {"secretName": "keys"}})
    lab.cluster.run_for(260)
    told = "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], failed to process "
    assert f"{told}volumes=[]: context deadline exceeded" in lab.messages()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMap": {"name": "settings", "items": [{"key": "x", "path": "x"}]}},
         "references non-existent config key: x"),
        ({"secret": {"secretName": "keys", "items": [{"key": "x", "path": "x"}]}},
         "references non-existent secret key: x"),
        ({"nfs": {"server": "shelf", "path": "/"}}, "nfs volumes: not implemented by k8snb"),
        ({"csi": {"driver": "x.example.com"}}, "CSI driver x.example.com: not implemented by k8snb"),
    ],
)  # fmt: skip
def test_a_volume_that_cannot_be_mounted_says_why(lab: Lab, source: Object, message: str) -> None:
    lab.create("configmaps", "settings", data={"color": "blue"})
    lab.create("secrets", "keys", stringData={"a": "1"})
    lab.run(source)
    assert f'MountVolume.SetUp failed for volume "data" : {message}' in lab.messages()


def test_what_is_optional_need_not_be_there(lab: Lab) -> None:
    lab.run({"configMap": {"name": "settings", "optional": True}})
    assert lab.phase() == "Running"
    assert lab.sh("ls /data").split() == []


def test_a_changed_config_map_changes_the_files_all_at_once(lab: Lab) -> None:
    lab.create("configmaps", "settings", data={"color": "blue", "size": "1"})
    lab.run({"configMap": {"name": "settings"}})
    patch = {"data": {"color": "red", "size": None, "shape": "round"}}
    lab.client.patch("configmaps", "settings", patch, "default", content_type=MERGE)
    lab.cluster.run_for(61)
    assert lab.sh("cat /data/color /data/shape") == "redround"
    assert lab.sh("ls /data").split()[-2:] == ["color", "shape"]


def test_a_part_of_a_volume_never_changes(lab: Lab) -> None:
    """A subPath mount of a ConfigMap receives no updates, says the documentation on volumes."""
    lab.create("configmaps", "settings", data={"color": "blue"})
    lab.run({"configMap": {"name": "settings"}}, mount={"mountPath": "/etc/color", "subPath": "color"})
    assert lab.sh("cat /etc/color") == "blue"
    lab.client.patch("configmaps", "settings", {"data": {"color": "red"}}, "default", content_type=MERGE)
    lab.cluster.run_for(130)
    assert lab.sh("cat /etc/color") == "blue"


def test_a_volume_that_does_not_change_is_not_written_again(tmp_path: Path) -> None:
    files = {"a": File(b"1", 0o644), "b/c": File(b"2", 0o400)}
    assert write(tmp_path, files, "now")
    before = os.readlink(tmp_path / "..data")
    assert not write(tmp_path, files, "later")
    assert os.readlink(tmp_path / "..data") == before
    assert write(tmp_path, {"a": File(b"3", 0o644)}, "later")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["..data", "..later.1", "a"]


# downwardAPI and projected


def test_labels_are_a_file_that_follows_them(lab: Lab) -> None:
    items = [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
             {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu"}}]  # fmt: skip
    lab.run({"downwardAPI": {"items": items}}, container={"resources": {"limits": {"cpu": "2"}}})
    assert lab.sh("cat /data/labels /data/cpu") == 'app="web"2'
    lab.client.patch("pods", "web", {"metadata": {"labels": {"app": "shop"}}}, "default", content_type=MERGE)
    lab.cluster.run_for(61)
    assert lab.sh("cat /data/labels") == 'app="shop"'


def test_a_projected_volume_has_the_files_of_all_its_sources(lab: Lab) -> None:
    lab.create("configmaps", "settings", data={"color": "blue"})
    lab.create("secrets", "keys", stringData={"key": "1"})
    sources = [{"configMap": {"name": "settings"}}, {"secret": {"name": "keys"}},
               {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
               {"serviceAccountToken": {"path": "token", "audience": "shop", "expirationSeconds": 600}}]  # fmt: skip
    lab.run({"projected": {"sources": sources}})
    assert lab.sh("cat /data/color /data/key /data/name") == "blue1web"
    token = lab.sh("cat /data/token")
    claims = lab.cluster.identity.verify(token, ("shop",))
    assert claims["kubernetes.io"]["pod"]["name"] == "web"
    lab.cluster.run_for(400)
    assert lab.sh("cat /data/token") == token
    lab.cluster.run_for(200)
    assert lab.sh("cat /data/token") != token, "it is made anew when four fifths of its life are over"


def test_sources_that_are_missing_are_all_named(lab: Lab) -> None:
    lab.run({"projected": {"sources": [{"configMap": {"name": "a"}}, {"secret": {"name": "b"}}]}})
    assert 'MountVolume.SetUp failed for volume "data" : [configmap "a" not found, secret "b" not found]' in (
        lab.messages()
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to groups")
def test_a_pod_s_group_owns_its_own_volumes(lab: Lab) -> None:
    """`SetVolumeOwnership` in pkg/volume/volume_linux.go."""
    lab.create("configmaps", "settings", data={"color": "blue"})
    lab.run({"configMap": {"name": "settings"}}, securityContext={"fsGroup": 2000})
    assert {path.lstat().st_gid for path in lab.folders()[0].rglob("color")} == {2000}


# hostPath, and volumes behind claims


def test_a_host_path_is_the_machine_s_and_stays(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("hello")
    lab.run({"hostPath": {"path": str(tmp_path)}})
    assert lab.sh("cat /data/in; echo there > /data/out") == "hello"
    lab.delete()
    assert (tmp_path / "in").read_text() == "hello"
    assert (tmp_path / "out").read_text() == "there\n"


@pytest.mark.parametrize(
    ("sort", "words"),
    [("Directory", "directory"), ("File", "file"), ("Socket", "socket file"), ("CharDevice", "character device"),
     ("BlockDevice", "block device")],
)  # fmt: skip
def test_a_host_path_of_another_type_is_refused(lab: Lab, tmp_path: Path, sort: str, words: str) -> None:
    path = tmp_path / "missing"
    lab.run({"hostPath": {"path": str(path), "type": sort}})
    assert f'MountVolume.SetUp failed for volume "data" : hostPath type check failed: {path} is not a {words}' in (
        lab.messages()
    )
    assert not path.exists()


def test_a_host_path_is_made_where_its_type_says_so(lab: Lab, tmp_path: Path) -> None:
    lab.run({"hostPath": {"path": str(tmp_path / "a/b"), "type": "DirectoryOrCreate"}})
    lab.run({"hostPath": {"path": str(tmp_path / "file"), "type": "FileOrCreate"}}, name="two")
    assert (tmp_path / "a/b").is_dir() and (tmp_path / "file").is_file()


def claim(lab: Lab, **spec: Any) -> None:
    wish = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}, **spec}
    lab.create("persistentvolumeclaims", "shelf", spec=wish)
    lab.cluster.settle(limit=8)


def test_what_is_written_behind_a_claim_is_there_for_the_next_pod(lab: Lab) -> None:
    claim(lab)
    lab.run({"persistentVolumeClaim": {"claimName": "shelf"}})
    lab.sh("echo kept > /data/note")
    lab.delete()
    lab.run({"persistentVolumeClaim": {"claimName": "shelf", "readOnly": True}}, name="two")
    assert lab.sh("cat /data/note", name="two") == "kept\n"
    assert "Read-only file system" in lab.sh("echo x > /data/note", name="two")


def test_a_pod_waits_for_its_claim_to_be_bound(lab: Lab, tmp_path: Path) -> None:
    """createVolumeSpec: a claim that is not bound keeps the volume from being processed at all."""
    claim(lab, storageClassName="by-hand")
    lab.run({"persistentVolumeClaim": {"claimName": "shelf"}}, nodeName="node-1")
    told = "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], failed to process "
    assert lab.messages() == [f"{told}volumes=[data]: error processing PVC default/shelf: PVC is not bound"]
    spec = {"capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "by-hand",
            "hostPath": {"path": str(tmp_path)}}  # fmt: skip
    lab.client.create("persistentvolumes", {"metadata": {"name": "pv"}, "spec": spec})
    lab.cluster.run_for(60)
    assert lab.phase() == "Running"


def test_a_local_volume_has_to_be_there(lab: Lab, tmp_path: Path) -> None:
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [
        {"key": "kubernetes.io/hostname", "operator": "In", "values": ["node-1"]}]}]}}  # fmt: skip
    spec = {"capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "by-hand",
            "local": {"path": str(tmp_path / "disk")}, "nodeAffinity": affinity}  # fmt: skip
    lab.client.create("persistentvolumes", {"metadata": {"name": "pv"}, "spec": spec})
    claim(lab, storageClassName="by-hand")
    lab.run({"persistentVolumeClaim": {"claimName": "shelf"}})
    path = tmp_path / "disk"
    assert f'MountVolume.NewMounter initialization failed for volume "pv" : path "{path}" does not exist' in (
        lab.messages()
    )
    path.mkdir()
    lab.cluster.run_for(130)
    assert lab.phase() == "Running"


# parts of volumes


def test_a_subpath_is_a_directory_of_the_volume(lab: Lab, tmp_path: Path) -> None:
    lab.run({"hostPath": {"path": str(tmp_path)}}, mount={"subPath": "logs"})
    lab.sh("echo x > /data/note")
    assert (tmp_path / "logs/note").read_text() == "x\n"


def test_a_subpath_expression_uses_the_container_s_variables(lab: Lab, tmp_path: Path) -> None:
    env = [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    lab.run({"hostPath": {"path": str(tmp_path)}}, mount={"subPathExpr": "$(POD)/x"}, container={"env": env})
    assert (tmp_path / "web/x").is_dir()
    lab.run({"hostPath": {"path": str(tmp_path)}}, mount={"subPathExpr": "$(NOBODY)"}, name="two")
    assert 'Error: missing value for "NOBODY"' in lab.messages("Failed", "two")


def test_a_subpath_never_leads_out_of_its_volume(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/way-out").symlink_to(tmp_path)
    lab.run({"hostPath": {"path": str(tmp_path / "volume")}}, mount={"subPath": "way-out"})
    assert any("not within volume path" in message for message in lab.messages("Failed"))


def test_propagation_is_refused_by_name(lab: Lab) -> None:
    lab.run({"emptyDir": {}}, mount={"mountPropagation": "HostToContainer"})
    assert lab.messages("Failed") == ["Error: mountPropagation HostToContainer: not implemented by k8snb"]


@pytest.mark.parametrize(
    ("volume", "mount", "complaint"),
    [
        ({"hostPath": {"path": "/a/../b"}}, {}, 'spec.volumes[0].hostPath.path: Invalid value: "/a/../b": must not'),
        ({"hostPath": {"path": "/a", "type": "Folder"}}, {}, 'type: Unsupported value: "Folder"'),
        ({"emptyDir": {}, "hostPath": {"path": "/a"}}, {}, "may not specify more than 1 volume type"),
        ({"secret": {}}, {}, "spec.volumes[0].secret.secretName: Required value"),
        ({"emptyDir": {}}, {"subPath": "../x"}, "volumeMounts[0].subPath: Invalid value"),
        ({"emptyDir": {}}, {"subPath": "/x"}, "must be a relative path"),
    ],
)
def test_volumes_that_can_never_be_mounted_are_refused(lab: Lab, volume: Object, mount: Object, complaint: str) -> None:
    with pytest.raises(ApiError) as refusal:
        lab.run(volume, mount=mount)
    assert complaint in refusal.value.message


# the node, and a learner's own


def test_a_stopped_cluster_finds_its_volumes_again(lab: Lab) -> None:
    lab.run({"emptyDir": {}})
    lab.sh("echo kept > /data/note")
    lab.cluster.stop()
    lab.cluster.start()
    lab.cluster.run_for(30)
    assert lab.sh("cat /data/note") == "kept\n"
    lab.delete()
    assert not lab.folders()


def test_a_deleted_cluster_leaves_no_directory() -> None:
    lab = Lab()
    lab.run({"emptyDir": {"medium": "Memory"}})
    bases = [*lab.cluster.machines.directories._bases.values()]
    assert bases and all(base.is_dir() for base in bases)
    lab.cluster.delete()
    assert not any(base.exists() for base in bases)


def test_removing_a_pod_s_directory_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    directories = PodDirectories()
    folder = directories.volume("node", "uid", "emptyDir", "data")
    folder.mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path)
    assert directories.uids("node") == {"uid"}
    assert directories.remove("node", "uid") == ""
    assert directories.uids("node") == set()
    assert (tmp_path / "precious").read_text() == "mine"
    directories.close()


class Notes(VolumePlugin):
    """A learner's own plug-in."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def set_up(self, volume: Volume) -> Path:
        (volume.make() / "note").write_text(volume.source["volumeAttributes"]["text"])
        return volume.directory

    def tear_down(self, volume: Volume) -> None:
        self.ended.append(volume.name)


def test_a_plugin_of_one_s_own_is_asked_for_its_volumes(lab: Lab) -> None:
    notes = Notes()
    lab.cluster.add_volume_plugin("csi/notes.example.com", notes)
    lab.run({"csi": {"driver": "notes.example.com", "volumeAttributes": {"text": "hello"}}})
    assert lab.sh("cat /data/note") == "hello"
    lab.delete()
    assert notes.ended == ["data"]


# real processes and containers


def real_pod(cluster: Cluster, image: str, tmp_path: Path) -> None:
    """One container writes, the other reads what it wrote, and a ConfigMap."""
    client = cluster.client
    client.create("configmaps", {"metadata": {"name": "settings"}, "data": {"color": "blue"}}, "default")
    writer = "cat /etc/settings/color > /data/note; cat /data/note > /host/note; sleep 1000"
    mounts = [{"name": "shared", "mountPath": "/data"}, {"name": "host", "mountPath": "/host"},
              {"name": "settings", "mountPath": "/etc/settings"}]  # fmt: skip
    containers = [{"name": name, "image": image, "imagePullPolicy": "IfNotPresent", "volumeMounts": mounts,
                   "command": ["sh", "-c", script]}
                  for name, script in (("writer", writer), ("reader", "sleep 1000"))]  # fmt: skip
    volumes = [{"name": "shared", "emptyDir": {}}, {"name": "host", "hostPath": {"path": str(tmp_path)}},
               {"name": "settings", "configMap": {"name": "settings"}}]  # fmt: skip
    spec = {"containers": containers, "volumes": volumes, "terminationGracePeriodSeconds": 1}
    client.create("pods", {"metadata": {"name": "web"}, "spec": spec}, "default")


def check_real_pod(cluster: Cluster, tmp_path: Path) -> None:
    """The pod's volumes are shared and true, and only what is the pod's own ends with it."""
    assert cluster.wait(lambda: (tmp_path / "note").is_file() and (tmp_path / "note").read_text() == "blue", 30)
    assert cluster.wait(lambda: cluster.client.get("pods", "web", "default")["status"]["phase"] == "Running", 30)
    result = cluster.client.exec("web", "default", ["sh", "-c", "cat /data/note"], "reader")
    assert result.stdout == b"blue"
    bases = [*cluster.machines.directories._bases.values()]
    assert bases
    cluster.client.delete("pods", "web", "default")
    assert cluster.wait(lambda: cluster.client.find("pods", "web", "default") is None, 30)
    assert not [pod for base in bases for node in base.iterdir() for pod in node.iterdir()]
    assert (tmp_path / "note").read_text() == "blue"


@pytest.mark.process
def test_processes_see_their_volumes(tmp_path: Path) -> None:
    before = _mounts()
    with Cluster("volumes", nodes=1, runtime="process") as cluster:
        real_pod(cluster, "busybox", tmp_path)
        check_real_pod(cluster, tmp_path)
    assert _mounts() <= before


def _mounts() -> set[str]:
    """What is mounted on this machine, but for containers of its Docker engine."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return {line for line in lines if "docker" not in line}


@pytest.mark.docker
def test_containers_see_their_volumes(tmp_path: Path) -> None:
    """`makeMounts`: what the kubelet has made is bound into each container."""
    from docker_images import SHELL, image_layers

    from k8snb.cri.docker_engine import connected

    with connected() as api, image_layers(api), Cluster("volumes", nodes=1, runtime="docker") as cluster:
        real_pod(cluster, SHELL, tmp_path)
        check_real_pod(cluster, tmp_path)
