"""Each runtime keeps the contract of `cri.Runtime`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

pytest.register_assert_rewrite("cri_contract")

from cri_contract import Rig, RuntimeContract, SimulatedRig, docker_image  # noqa: E402


class TestSimulated(RuntimeContract):
    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        rig = SimulatedRig()
        rig.leftovers = lambda: [f"timer due at {due}" for due in [rig.clock.next_due()] if due]
        yield rig
        rig.simulated.close()


@pytest.mark.process
class TestProcess(RuntimeContract):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> Iterator[Rig]:
        from k8snb.cri.process import ProcessRuntime

        runtime = ProcessRuntime("contract", tmp_path / "cluster")
        before = set(psutil.Process().children(recursive=True))
        rig = Rig(runtime, missing="does-not-exist:1")
        rig.leftovers = lambda: [str(process) for process in set(psutil.Process().children(recursive=True)) - before]
        yield rig
        runtime.close()


@pytest.mark.docker
class TestDocker(RuntimeContract):
    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        from k8snb.cri.docker import DockerRuntime
        from k8snb.cri.docker_engine import connected

        with connected() as api, docker_image(api, "busybox:latest") as image:
            runtime = DockerRuntime("k8snb-contract")
            label = {"label": ["io.k8snb.cluster=k8snb-contract"]}
            rig = Rig(runtime, shell=image, patience=30.0)
            rig.leftovers = lambda: [
                row["Id"] for row in [*api.containers(all=True, filters=label), *api.networks(filters=label)]
            ]
            yield rig
            runtime.close()
