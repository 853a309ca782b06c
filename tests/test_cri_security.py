"""Who a container's processes are and what they may, on each runtime that says that it carries it out.

Upstream's rules: `pkg/kubelet/kuberuntime/security_context.go`, `managedHostsFileContent` in
pkg/kubelet/kubelet_pods.go, and `e2e/node/security_context.go`, which looks at containers in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("cri_contract")

from cri_contract import Rig, SimulatedRig, docker_image  # noqa: E402

from k8snb.cri import Mount, PodSandboxConfig, RuntimeFailure, etc_hosts  # noqa: E402
from k8snb.cri.docker_security import support  # noqa: E402
from k8snb.cri.logs import ContainerLog  # noqa: E402
from k8snb.cri.security import DEFAULT_CAPABILITIES, FIELDS, Profile, SecurityContext  # noqa: E402

WHO = SecurityContext(run_as_user=1000, run_as_group=3000, groups=(2000, 4000))


def needs(rig: Rig, *fields: str) -> None:
    for field in fields:
        if why := rig.runtime.support[field]:
            pytest.skip(f"optional: {rig.runtime.name} does not carry out {field} here: {why}")


def said(rig: Rig, script: str, **options: Any) -> str:
    """What a script prints, its errors too."""
    container = rig.run("sh", "-c", script, **options)
    rig.finished(container)
    return rig.read(rig.runtime.container_logs(container)).decode()


def status(rig: Rig, security: SecurityContext) -> dict[str, str]:
    """What the kernel says of a container's process."""
    text = said(rig, "cat /proc/self/status", security=security)
    return dict(re.findall(r"(\w+):\t(\S+)", text))


class SecurityContract:
    """The laws."""

    def test_a_runtime_speaks_of_every_field(self, rig: Rig) -> None:
        assert set(rig.runtime.support) == set(FIELDS)

    def test_processes_are_who_the_pod_says(self, rig: Rig) -> None:
        needs(rig, "runAsUser", "runAsGroup", "supplementalGroups")
        user, group, groups = said(rig, "id -u; id -g; id -G", security=WHO).splitlines()
        assert (user, group) == ("1000", "3000")
        assert {"2000", "4000"} <= set(groups.split()) <= {"2000", "3000", "4000"}

    def test_a_command_beside_the_container_s_own_is_the_same_user(self, rig: Rig) -> None:
        needs(rig, "runAsUser", "runAsGroup")
        container = rig.run("sleep", "60", security=WHO)
        assert rig.runtime.exec_sync(container, ["id", "-u"], 30).stdout == b"1000\n"
        assert rig.runtime.exec_sync(container, ["id", "-g"], 30).stdout == b"3000\n"

    def test_a_root_that_may_only_be_read_refuses_to_be_written_and_its_volumes_do_not(
        self, rig: Rig, tmp_path: Path
    ) -> None:
        needs(rig, "readOnlyRootFilesystem")
        mount = Mount(host_path=str(tmp_path), container_path="/data")
        text = said(
            rig, "touch /etc/here; echo written > /data/there", mounts=(mount,),
            security=SecurityContext(read_only_root=True),
        )  # fmt: skip
        assert "Read-only file system" in text
        assert (tmp_path / "there").read_text() == "written\n"

    def test_a_pod_finds_its_names_and_its_aliases_in_etc_hosts(self, rig: Rig) -> None:
        names = {"hostname": "web-0", "domain": "nginx.default.svc.cluster.local",
                 "host_aliases": (("10.1.2.3", ("foo.local", "bar.local")),)}  # fmt: skip
        sandbox = rig.sandbox(**names)
        ip = rig.runtime.pod_sandbox_status(sandbox).ip
        config = PodSandboxConfig(name="pod-1", namespace="default", uid="uid-1", node="node-1", **names)  # type: ignore[arg-type]
        text = said(rig, "cat /etc/hosts", sandbox=sandbox)
        assert text == etc_hosts.managed(config, ip)
        assert f"{ip}\tweb-0.nginx.default.svc.cluster.local\tweb-0\n" in text
        assert text.endswith("\n# Entries added by HostAliases.\n10.1.2.3\tfoo.local\tbar.local\n")

    def test_the_hostname_is_the_pod_s(self, rig: Rig) -> None:
        assert said(rig, "hostname", sandbox=rig.sandbox(hostname="web-0.nginx.default.svc")) == (
            "web-0.nginx.default.svc\n"
        )


class KernelContract(SecurityContract):
    """The laws of runtimes with a kernel."""

    def test_no_new_privileges_are_to_be_had_where_the_pod_forbids_it(self, rig: Rig) -> None:
        needs(rig, "allowPrivilegeEscalation")
        assert status(rig, SecurityContext(no_new_privileges=True))["NoNewPrivs"] == "1"
        usual = re.search(r"NoNewPrivs:\t(.)", Path("/proc/self/status").read_text())
        assert usual is not None and status(rig, SecurityContext())["NoNewPrivs"] == usual[1]

    def test_capabilities_are_the_usual_ones_with_those_added_and_without_those_dropped(self, rig: Rig) -> None:
        needs(rig, "capabilities")
        some = SecurityContext(drop_capabilities=("ALL",), add_capabilities=("NET_BIND_SERVICE", "CHOWN"))
        assert status(rig, some)["CapEff"] == f"{(1 << 10) | 1:016x}"
        more = int(status(rig, SecurityContext(add_capabilities=("SYS_TIME",)))["CapEff"], 16)
        assert more & (1 << 25) and more.bit_count() == len(DEFAULT_CAPABILITIES) + 1


class TestSimulated(SecurityContract):
    @pytest.fixture
    def rig(self) -> Iterator[Rig]:
        rig = SimulatedRig()
        yield rig
        rig.simulated.close()


@pytest.mark.process
class TestProcess(KernelContract):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> Iterator[Rig]:
        from k8snb.cri.process import ProcessRuntime

        runtime = ProcessRuntime("security", tmp_path / "cluster")
        yield Rig(runtime)
        runtime.close()

    def test_a_program_of_k8snb_s_own_runs_as_another_user_and_opens_a_low_port(self, rig: Rig) -> None:
        """In a pod's own network namespace everybody may (net.ipv4.ip_unprivileged_port_start is 0 there)."""
        needs(rig, "runAsUser")
        rig.runtime.pull_image("nginx")
        sandbox = rig.sandbox()
        server = rig.run(image="nginx", sandbox=sandbox, security=WHO)
        client = rig.create("sh", "-c", "sleep 60", sandbox=sandbox, name="client", security=WHO)
        rig.runtime.start_container(client)
        ip = rig.runtime.pod_sandbox_status(sandbox).ip
        answer = rig.runtime.exec_sync(client, ["wget", "-qO-", f"http://{ip}/"], 30)
        assert b"nginx" in answer.stdout
        assert rig.runtime.exec_sync(server, ["id", "-u"], 30).stdout == b"1000\n"


@pytest.fixture(scope="module")
def docker_rig() -> Iterator[Rig]:
    from k8snb.cri.docker import DockerRuntime
    from k8snb.cri.docker_engine import connected

    with connected() as api, docker_image(api, "busybox:latest") as image:
        runtime = DockerRuntime("k8snb-security")
        yield Rig(runtime, shell=image, patience=30.0)
        runtime.close()


@pytest.mark.docker
class TestDocker(KernelContract):
    @pytest.fixture
    def rig(self, docker_rig: Rig) -> Iterator[Rig]:
        yield docker_rig
        for sandbox in docker_rig.runtime.list_pod_sandboxes("node-1"):
            docker_rig.runtime.remove_pod_sandbox(sandbox.id)

    def test_sysctls_are_those_of_the_pod_s_namespaces(self, rig: Rig) -> None:
        sandbox = rig.sandbox(sysctls={"net.ipv4.ip_unprivileged_port_start": "80"})
        assert said(rig, "cat /proc/sys/net/ipv4/ip_unprivileged_port_start", sandbox=sandbox) == "80\n"

    @pytest.mark.parametrize(("option", "space"), [("host_pid", "pid"), ("host_ipc", "ipc")])
    def test_a_pod_that_asks_for_the_host_s_namespace_is_in_it(self, rig: Rig, option: str, space: str) -> None:
        inside = said(rig, f"ls -l /proc/self/ns/{space}", sandbox=rig.sandbox(**{option: True}))
        assert Path(f"/proc/self/ns/{space}").readlink().name in inside

    def test_profiles_and_masks_are_the_engine_s(self, rig: Rig, tmp_path: Path) -> None:
        from k8snb.cri.docker_engine import connected

        assert status(rig, SecurityContext(seccomp=Profile("RuntimeDefault")))["Seccomp"] == "2"
        assert status(rig, SecurityContext(seccomp=Profile("Unconfined")))["Seccomp"] == "0"
        profile = tmp_path / "all.json"
        profile.write_text('{"defaultAction": "SCMP_ACT_ALLOW"}')
        container = rig.create("true", security=SecurityContext(
            seccomp=Profile("Localhost", str(profile)), unmasked=True, selinux={"level": "s0:c1,c2"},
            apparmor=Profile("Unconfined"),
        ))  # fmt: skip
        with connected() as api:
            host = api.inspect_container(container)["HostConfig"]
        assert f"seccomp={profile.read_text()}" in host["SecurityOpt"]
        assert {"apparmor=unconfined", "label=level:s0:c1,c2"} <= set(host["SecurityOpt"])
        assert (host["MaskedPaths"], host["ReadonlyPaths"]) == ([], [])

    def test_a_seccomp_profile_that_is_not_there_is_an_error_in_one_line(self, rig: Rig) -> None:
        missing = SecurityContext(seccomp=Profile("Localhost", "/does/not/exist.json"))
        with pytest.raises(RuntimeFailure) as failure:
            rig.create("true", security=missing)
        assert failure.value.message == (
            'cannot load seccomp profile "/does/not/exist.json": open /does/not/exist.json: no such file or directory'
        )

    def test_the_engine_keeps_as_much_of_a_log_as_the_kubelet_says(self, rig: Rig) -> None:
        from k8snb.cri.docker_engine import connected

        container = rig.create("true", log_size=4096, log_files=3)
        with connected() as api:
            settings = api.inspect_container(container)["HostConfig"]["LogConfig"]
        assert settings == {"Type": "json-file", "Config": {"max-size": "4096", "max-file": "3"}}

    def test_a_group_without_a_user_is_the_group_of_the_image_s_user(self, rig: Rig) -> None:
        assert said(rig, "id -u; id -g", security=SecurityContext(run_as_group=3000)) == "0\n3000\n"


def test_what_an_engine_lacks_is_named() -> None:
    found = support({"SecurityOptions": ["name=seccomp,profile=default", "name=cgroupns"]})
    assert found["seccompProfile"] == ""
    assert found["appArmorProfile"] == "this Docker engine has no apparmor"
    assert support({"SecurityOptions": ["name=apparmor"]})["appArmorProfile"] == ""


# how much of their output is kept


@pytest.mark.process
def test_a_log_keeps_its_last_files_and_a_follower_misses_none(tmp_path: Path) -> None:
    """`rotateLatestLog` and `cleanupUnusedLogs` in pkg/kubelet/logs/container_log_manager.go."""
    log = ContainerLog(tmp_path / "0.log", lambda: 1_700_000_000.0, max_size=200, max_files=3)
    follower = log.read(follow=True)
    seen = []
    for number in range(40):
        log.append("stdout", b"line %d\n" % number)
        seen.append(next(follower))
        assert len(list(tmp_path.iterdir())) <= 3
    assert seen == [b"line %d\n" % number for number in range(40)]
    kept = [int(line.split()[1]) for line in log.read()]
    assert kept == list(range(40 - len(kept), 40)) and 10 <= len(kept) < 20
    log.remove()
    assert list(tmp_path.iterdir()) == []
