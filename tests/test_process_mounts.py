"""The process runtime's mount namespaces: volumes at their own paths, for programs that nobody has rewritten.

Where the kernel of this machine allows none, these tests are left out; the runtime's own words on that are tested in
`test_cri_process`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8snb.cri import ContainerConfig, Mount, PodSandboxConfig
from k8snb.cri.process import ProcessRuntime
from k8snb.cri.process_mounts import PROGRAM, MountNamespaces

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"
pytestmark = pytest.mark.process


class Lab:
    def __init__(self, root: Path) -> None:
        self.runtime = ProcessRuntime("mounts", root)
        self.runtime.add_node("node-1")
        for image in ("busybox", "nginx"):
            self.runtime.pull_image(image)
        config = PodSandboxConfig(name="web", namespace="default", uid="uid-1", node="node-1", hostname="web")
        self.sandbox = self.runtime.run_pod_sandbox(config)

    def start(self, *command: str, mounts: tuple[Mount, ...], image: str = "busybox", folder: str = "") -> str:
        config = ContainerConfig(name="main", image=image, command=command, mounts=mounts, working_dir=folder)
        container = self.runtime.create_container(self.sandbox, config)
        self.runtime.start_container(container)
        return container

    def sh(self, container: str, script: str) -> str:
        done = self.runtime.exec_sync(container, ["sh", "-c", script], 30)
        return (done.stdout + done.stderr).decode()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    if not MountNamespaces().allowed:
        pytest.skip("optional: the kernel of this machine allows no mount namespaces")
    lab = Lab(tmp_path / "runtime")
    yield lab
    lab.runtime.close()


def volume(tmp_path: Path, name: str = "volume") -> Path:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "note").write_text(f"{name}\n")
    return folder


def test_a_program_finds_a_volume_at_a_path_that_stands_in_no_command_line(lab: Lab, tmp_path: Path) -> None:
    folder = volume(tmp_path)
    (folder / "program.sh").write_text(f"cat {TOKEN[:8]}/secrets/kubernetes.io/serviceaccount/note\n")
    mount = Mount(host_path=str(folder), container_path=TOKEN, readonly=True)
    container = lab.start("sh", "-c", "sleep 1000", mounts=(mount,))
    assert lab.sh(container, f"sh {TOKEN}/program.sh") == "volume\n"


def test_a_read_only_volume_is_read_only_for_everybody(lab: Lab, tmp_path: Path) -> None:
    folder = volume(tmp_path)
    container = lab.start("sh", "-c", "sleep 1000", mounts=(
        Mount(host_path=str(folder), container_path="/data", readonly=True),))  # fmt: skip
    assert "Read-only file system" in lab.sh(container, "echo changed > /data/note")
    assert (folder / "note").read_text() == "volume\n"
    assert lab.runtime.container_status(container).notes[-1].startswith("process runtime: no file system of its own")


def test_nothing_of_it_is_seen_on_the_machine(lab: Lab, tmp_path: Path) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    path = f"/k8snb-test-{os.getpid()}/data"
    container = lab.start("sh", "-c", "sleep 1000", mounts=(
        Mount(host_path=str(volume(tmp_path)), container_path=path),))  # fmt: skip
    assert lab.sh(container, f"cat {path}/note") == "volume\n"
    assert not os.path.exists(path)
    assert Path("/proc/self/mountinfo").read_text() == before
    lab.runtime.stop_container(container, 0)
    lab.runtime.remove_container(container)
    assert not os.path.exists(path)


def test_a_container_has_its_own_hosts_file_where_programs_look_for_it(lab: Lab, tmp_path: Path) -> None:
    folder = volume(tmp_path)
    (folder / "program.sh").write_text("cat /etc/hosts\n")
    container = lab.start("sh", "-c", "sleep 1000", mounts=(Mount(host_path=str(folder), container_path="/data"),))
    assert "\tweb\n" in lab.sh(container, "sh /data/program.sh")


def test_a_script_of_a_volume_is_run_where_it_is_mounted(lab: Lab, tmp_path: Path) -> None:
    folder = volume(tmp_path)
    (folder / "run").write_text("#!/bin/sh\necho $0\n")
    (folder / "run").chmod(0o755)
    container = lab.start("/scripts/run", mounts=(Mount(host_path=str(folder), container_path="/scripts"),))
    assert b"".join(lab.runtime.container_logs(container, follow=True)) == b"/scripts/run\n"


def test_a_container_may_start_in_a_volume(lab: Lab, tmp_path: Path) -> None:
    container = lab.start("sh", "-c", "sleep 1000", folder="/data", mounts=(
        Mount(host_path=str(volume(tmp_path)), container_path="/data"),))  # fmt: skip
    assert lab.sh(container, "cat note; pwd").startswith("volume\n")


def test_a_server_of_k8snb_s_own_needs_no_namespace_for_its_token(lab: Lab, tmp_path: Path) -> None:
    """It never reads it, and starts a fifth of a second sooner."""
    mount = Mount(host_path=str(volume(tmp_path)), container_path=TOKEN, readonly=True)
    container = lab.start(image="nginx", mounts=(mount,))
    process = lab.runtime._containers[container].process
    assert process is not None
    assert os.readlink(f"/proc/{process.pid}/ns/mnt") == os.readlink("/proc/self/ns/mnt")
    assert lab.sh(container, f"cat {TOKEN}/note") == "volume\n"


NOWHERE = '{"view": "/does/not/exist", "mounts": [], "opened": [], "read_only": false, "folder": "/"}'


def test_a_mount_that_fails_says_which() -> None:
    if not MountNamespaces().allowed:
        pytest.skip("optional: the kernel of this machine allows no mount namespaces")
    words = [sys.executable, "-S", "-E", "-I", PROGRAM, "make", NOWHERE, "/bin/true"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 126
    assert done.stderr == "k8snb: cannot mount or run /does/not/exist: No such file or directory\n"
