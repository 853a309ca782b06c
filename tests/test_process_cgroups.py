"""cgroups of the process runtime: what the kernel enforces where it lets this user have them.

Upstream's numbers: `MilliCPUToQuota` and `MilliCPUToShares` in pkg/kubelet/cm/helpers_linux.go.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import until

pytest.register_assert_rewrite("cri_contract")

from cri_contract import Rig  # noqa: E402

from k8snb.cri import ContainerResources, RuntimeFailure  # noqa: E402
from k8snb.cri.process import ProcessRuntime  # noqa: E402
from k8snb.cri.process_cgroups import ROOT, Cgroups  # noqa: E402

pytestmark = pytest.mark.process
MIB = 1 << 20
VICTIM = """
import sys
from k8snb.cri import *
from k8snb.cri.process import ProcessRuntime
runtime = ProcessRuntime("victim")
runtime.add_node("n")
sandbox = runtime.run_pod_sandbox(PodSandboxConfig(name="p", namespace="default", uid="u", node="n"))
runtime.pull_image("busybox")
config = ContainerConfig(name="main", image="busybox", command=("sleep", "600"), memory_limit=64 << 20)
runtime.start_container(runtime.create_container(sandbox, config))
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    runtime = ProcessRuntime("cgroups", tmp_path / "cluster")
    if not runtime._cgroups.version:
        runtime.close()
        pytest.skip("optional: this user may make no cgroups here")
    yield Rig(runtime)
    runtime.close()


def groups_of(process: int) -> list[Path]:
    """What there is of a process's cgroups."""
    return [Path(folder, name) for folder, names, _ in os.walk(ROOT) for name in names
            if name.startswith(f"k8snb-{process}-")]  # fmt: skip


def setting(rig: Rig, container: str, name: str) -> str:
    """One of a container's settings, as the kernel has it, found through its process."""
    process = rig.runtime._containers[container].process  # type: ignore[attr-defined]
    for line in Path(f"/proc/{process.pid}/cgroup").read_text().splitlines():
        _, controllers, place = line.split(":", 2)
        for base in [ROOT / each for each in controllers.split(",")] if controllers else [ROOT]:
            file = base / place.lstrip("/") / name
            if file.exists():
                return file.read_text().strip()
    raise AssertionError(f"no {name}")


def test_the_kernel_ends_what_takes_more_memory_than_it_may(rig: Rig) -> None:
    status = rig.finished(rig.run("tail", "/dev/zero", memory_limit=32 * MIB))
    assert (status.exit_code, status.reason) == (137, "OOMKilled")
    assert not any("memory limit" in note for note in status.notes)


def test_what_is_killed_for_another_reason_is_not_out_of_memory(rig: Rig) -> None:
    status = rig.finished(rig.run("sh", "-c", "kill -KILL $$", memory_limit=32 * MIB))
    assert (status.exit_code, status.reason) == (137, "Error")


def test_limits_are_the_kernel_s_and_may_be_changed(rig: Rig) -> None:
    container = rig.run("sleep", "600", memory_limit=64 * MIB, cpu_limit=0.5, cpu_request=0.25)
    if rig.runtime._cgroups.version == 1:  # type: ignore[attr-defined]
        names = {"cpu.cfs_quota_us": "50000", "cpu.shares": "256", "memory.limit_in_bytes": str(64 * MIB)}
        after = {"cpu.cfs_quota_us": "150000", "memory.limit_in_bytes": str(96 * MIB)}
    else:
        names = {"cpu.max": "50000 100000", "memory.max": str(64 * MIB), "memory.swap.max": "0"}
        after = {"cpu.max": "150000 100000", "memory.max": str(96 * MIB)}
    until(lambda: all(setting(rig, container, name) == value for name, value in names.items()))
    rig.runtime.update_container_resources(container, ContainerResources(cpu_limit=1.5, memory_limit=96 * MIB))
    assert {name: setting(rig, container, name) for name in after} == after


def test_a_command_beside_the_container_s_own_is_in_its_group(rig: Rig) -> None:
    container = rig.run("sleep", "600", memory_limit=64 * MIB)
    said = rig.runtime.exec_sync(container, ["cat", "/proc/self/cgroup"], 30).stdout.decode()
    assert f"k8snb-{os.getpid()}-" in said


def test_what_has_no_limit_has_no_group_and_none_is_left_at_the_end(rig: Rig) -> None:
    rig.run("sleep", "600")
    assert all(not list(base.glob("*/")) for base in groups_of(os.getpid()))
    container = rig.run("sleep", "600", memory_limit=64 * MIB)
    rig.runtime.remove_container(container)
    assert all(not list(base.glob("*/")) for base in groups_of(os.getpid()))
    rig.run("sleep", "600", memory_limit=64 * MIB)
    rig.runtime.close()
    assert groups_of(os.getpid()) == []


def test_none_is_left_of_a_kernel_that_is_killed(rig: Rig) -> None:
    victim = subprocess.Popen([sys.executable, "-c", VICTIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert victim.stdout is not None and victim.stdin is not None
    assert victim.stdout.readline() == "ready\n"
    assert groups_of(victim.pid)
    victim.kill()
    victim.wait()
    victim.stdout.close()
    victim.stdin.close()
    until(lambda: groups_of(victim.pid) == [])


def test_where_there_are_none_a_cpu_limit_is_not_carried_out_and_not_changed(tmp_path: Path) -> None:
    runtime = ProcessRuntime("plain", tmp_path / "plain", cgroups=False)
    rig = Rig(runtime)
    container = rig.run("sleep", "600", cpu_limit=0.5)
    assert any("the CPU limit is not carried out" in note for note in runtime.container_status(container).notes)
    with pytest.raises(RuntimeFailure) as failure:
        runtime.update_container_resources(container, ContainerResources(cpu_limit=1.0))
    assert failure.value.reason == "Infeasible"
    runtime.close()


def test_an_ordinary_user_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from k8snb.cri.janitor import Janitor

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert Cgroups(Janitor()).make("x", ContainerResources(memory_limit=MIB)) is None
