"""kubelet: fields of a pod that say who it is, what it may and how it ends, on the simulated runtime.

Upstream's rules are named at each law; all paths are of the kubernetes repository.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_kubelet import Lab

from k8snb.apimachinery.errors import ApiError
from k8snb.kubelet.backoff import Backoff
from k8snb.kubelet.volume_ownership import give_to_group

Object = dict[str, Any]


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    yield lab
    lab.store.check()


def waiting(lab: Lab) -> Object:
    found: Object = lab.container()["state"]["waiting"]
    return found


def ended(lab: Lab) -> Object:
    found: Object = lab.container()["state"]["terminated"]
    return found


# who a container's processes are


def test_a_pod_is_who_it_says_and_its_volumes_group_is_one_of_its_groups(lab: Lab) -> None:
    """The example of the task "Configure a Security Context for a Pod or Container"."""
    context = {"runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000, "supplementalGroups": [4000]}
    lab.run("sh", "-c", "id", restartPolicy="Never", securityContext=context)
    said = b"".join(lab.kubelet.logs(lab.pod(), "main", {}))
    assert said == b"uid=1000 gid=3000 groups=2000,3000,4000\n"


def test_the_container_s_own_word_comes_before_the_pod_s(lab: Lab) -> None:
    """`DetermineEffectiveSecurityContext` in pkg/securitycontext/util.go."""
    own = {"securityContext": {"runAsUser": 2000}}
    lab.run("sh", "-c", "id -u; whoami", restartPolicy="Never", securityContext={"runAsUser": 1000}, container=own)
    assert b"".join(lab.kubelet.logs(lab.pod(), "main", {})) == b"2000\nwhoami: unknown uid 2000\n"


@pytest.mark.parametrize(
    ("image", "context", "words"),
    [
        ("nginx", {}, "container has runAsNonRoot and image will run as root"),
        ("nginx", {"runAsUser": 0}, "container's runAsUser breaks non-root policy"),
        ("hello-app:1.0", {}, "container has runAsNonRoot and image has non-numeric user (nonroot), cannot verify user "
                              "is non-root"),
    ],
)  # fmt: skip
def test_what_must_not_run_as_root_waits_and_says_why(lab: Lab, image: str, context: Object, words: str) -> None:
    """`verifyRunAsNonRoot` in pkg/kubelet/kuberuntime/security_context.go."""
    pod = lab.run(image=image, securityContext={"runAsNonRoot": True, **context})
    assert waiting(lab)["reason"] == "CreateContainerConfigError"
    assert waiting(lab)["message"] == f'{words} (pod: "web_default({pod["metadata"]["uid"]})", container: main)'
    assert f"Error: {words}" in lab.messages()


@pytest.mark.parametrize(("image", "context"), [("nginx-unprivileged", {}), ("nginx", {"runAsUser": 101})])
def test_what_does_not_run_as_root_may_run(lab: Lab, image: str, context: Object) -> None:
    lab.run(image=image, securityContext={"runAsNonRoot": True, **context})
    assert lab.container()["ready"]


# its names


def test_a_pod_in_a_subdomain_knows_its_full_name(lab: Lab) -> None:
    """`GeneratePodHostNameAndDomain` in pkg/kubelet/kubelet_pods.go."""
    aliases = [{"ip": "10.1.2.3", "hostnames": ["foo.local", "bar.local"]}]
    lab.run("sh", "-c", "hostname; tail -n 4 /etc/hosts", restartPolicy="Never", hostname="db", subdomain="data",
            hostAliases=aliases)  # fmt: skip
    ip = lab.pod()["status"]["podIP"]
    said = b"".join(lab.kubelet.logs(lab.pod(), "main", {})).decode()
    assert said == (
        f"db\n{ip}\tdb.data.default.svc.cluster.local\tdb\n\n# Entries added by HostAliases.\n"
        "10.1.2.3\tfoo.local\tbar.local\n"
    )


def test_a_pod_may_have_its_full_name_as_its_hostname(lab: Lab) -> None:
    lab.run("hostname", restartPolicy="Never", subdomain="data", setHostnameAsFQDN=True)
    assert b"".join(lab.kubelet.logs(lab.pod(), "main", {})) == b"web.data.default.svc.cluster.local\n"


def test_a_full_name_that_no_kernel_takes_is_a_pod_without_sandbox(lab: Lab) -> None:
    """`GetNodenameForKernel` in pkg/kubelet/util/util.go."""
    name = "a-name-that-is-rather-long"
    pod = lab.run(name=name, image="nginx", subdomain="and-a-subdomain", setHostnameAsFQDN=True)
    full = f"{name}.and-a-subdomain.default.svc.cluster.local"
    assert pod["status"]["phase"] == "Pending"
    assert (
        "Failed to create pod sandbox: Failed to construct FQDN from pod hostname and cluster domain, "
        f"FQDN {full} is too long (64 characters is the max, {len(full)} characters requested)"
    ) in lab.messages(name)


# what a node does not take


@pytest.mark.parametrize(
    ("spec", "reason", "message"),
    [
        ({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "65536"}]}}, "SysctlForbidden",
         'forbidden sysctl: "kernel.msgmax" not allowlisted'),
        ({"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]}, "hostNetwork": True},
         "SysctlForbidden", 'forbidden sysctl: "net.ipv4.tcp_syncookies" not allowed with host Net enabled'),
        ({"securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}}, "AppArmor",
         "Cannot enforce AppArmor: AppArmor is not enabled on the host"),
        ({"securityContext": {"supplementalGroupsPolicy": "Strict"}}, "SupplementalGroupsPolicyNotSupported",
         "SupplementalGroupsPolicy=Strict is not supported in this node"),
        ({"os": {"name": "windows"}}, "PodOSNotSupported",
         "Failed to admit pod as the OS field doesn't match node OS"),
    ],
)  # fmt: skip
def test_what_a_node_cannot_carry_out_it_sends_away(lab: Lab, spec: Object, reason: str, message: str) -> None:
    """`Admit` in pkg/kubelet/sysctl/allowlist.go, lifecycle/handlers.go, lifecycle/predicate.go; `rejectPod`."""
    lab.runtime.support = {**lab.runtime.support, "supplementalGroupsPolicy": "as Docker, which has no such thing"}
    status = lab.run(image="nginx", **spec)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", reason)
    assert status["message"] == f"Pod was rejected: {message}"
    assert lab.messages() == message and lab.reasons() == [reason]


def test_safe_kernel_settings_are_the_pod_s(lab: Lab) -> None:
    sysctls = [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "80"}]
    lab.run("cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start", restartPolicy="Never",
            securityContext={"sysctls": sysctls})  # fmt: skip
    assert b"".join(lab.kubelet.logs(lab.pod(), "main", {})) == b"80\n"


def test_what_a_runtime_does_not_carry_out_is_named_once_for_each_reason(lab: Lab) -> None:
    container = {"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}, "runAsUser": 1,
                                     "allowPrivilegeEscalation": False, "procMount": "Default"}}  # fmt: skip
    lab.run(
        image="nginx", container=container, hostPID=True, securityContext={"seccompProfile": {"type": "Unconfined"}}
    )
    notes = [line for line in lab.messages().splitlines() if "not carried out" in line]
    assert notes == [
        "spec.hostPID, spec.containers[].securityContext.allowPrivilegeEscalation, "
        "spec.containers[].securityContext.capabilities: not carried out by the simulated runtime: "
        "a simulated container has no kernel that could allow or refuse anything"
    ]


# how it ends: `getTerminationMessage` in pkg/kubelet/kuberuntime/kuberuntime_container.go


def test_a_container_s_last_words_are_in_its_status(lab: Lab) -> None:
    lab.run("sh", "-c", "echo out of luck > /dev/termination-log; exit 3", restartPolicy="Never")
    assert (ended(lab)["exitCode"], ended(lab)["message"]) == (3, "out of luck\n")


def test_last_words_stand_where_the_pod_says_also_on_a_root_that_may_only_be_read(lab: Lab) -> None:
    container = {"terminationMessagePath": "/tmp/last", "securityContext": {"readOnlyRootFilesystem": True}}
    lab.run("sh", "-c", "echo bye > /tmp/last", restartPolicy="Never", container=container)
    assert ended(lab)["message"] == "bye\n"


def test_a_log_speaks_for_a_container_that_failed_without_a_word(lab: Lab) -> None:
    fallback = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    lab.run("sh", "-c", "for i in $(seq 1 100); do echo line $i; done; exit 1", name="failed", restartPolicy="Never",
            container=fallback)  # fmt: skip
    message = lab.container("failed")["state"]["terminated"]["message"]
    assert message.splitlines()[0] == "line 21" and message.endswith("line 100\n")
    lab.run("sh", "-c", "echo all is well", name="fine", restartPolicy="Never", container=fallback)
    assert "message" not in lab.container("fine")["state"]["terminated"]
    lab.run("sh", "-c", "echo much; exit 1", name="plain", restartPolicy="Never")
    assert "message" not in lab.container("plain")["state"]["terminated"]


def test_last_words_are_no_longer_than_4_kib_and_those_of_a_log_than_2(lab: Lab) -> None:
    lab.run("sh", "-c", "seq 1 2000 > /dev/termination-log", restartPolicy="Never")
    assert len(ended(lab)["message"]) == 4096 and ended(lab)["message"].endswith("\n2000\n")
    script = f"for i in $(seq 1 70); do echo {'x' * 100} $i; done; exit 1"
    fallback = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    lab.run("sh", "-c", script, name="log", restartPolicy="Never", container=fallback)
    message = lab.container("log")["state"]["terminated"]["message"]
    assert len(message) == 2048 and message.endswith("70\n")


def test_the_last_words_of_all_of_a_pod_s_containers_share_12_kib(lab: Lab) -> None:
    """`normalizeStatus` in pkg/kubelet/status/status_manager.go."""
    script = "seq 1 2000 > /dev/termination-log"
    containers = [{"name": f"c{n}", "image": "busybox", "command": ["sh", "-c", script]} for n in range(6)]
    spec = {"nodeName": "node-1", "restartPolicy": "Never", "containers": containers}
    lab.client.create("pods", {"metadata": {"name": "many"}, "spec": spec}, "default")
    lab.pump.settle()
    statuses = lab.pod("many")["status"]["containerStatuses"]
    assert [len(each["state"]["terminated"]["message"]) for each in statuses] == [2048] * 6


def test_the_last_words_of_the_run_before_are_kept(lab: Lab) -> None:
    lab.run("sh", "-c", "echo failed at $(date +%s) > /dev/termination-log; sleep 20; exit 1")
    lab.pump.run_for(45)
    assert lab.container()["lastState"]["terminated"]["message"].startswith("failed at ")


# what it is told of itself


def test_every_reference_to_the_pod_and_its_resources_is_a_variable(lab: Lab) -> None:
    """`podFieldSelectorRuntimeValue` in pkg/kubelet/kubelet_pods.go; `convertResourceCPUToString` and its relatives in
    pkg/api/v1/resource/helpers.go round up to the divisor.
    """
    fields = {"NAME": "metadata.name", "SPACE": "metadata.namespace", "UID_": "metadata.uid", "NODE": "spec.nodeName",
              "ACCOUNT": "spec.serviceAccountName", "HOST": "status.hostIP", "HOSTS": "status.hostIPs",
              "POD": "status.podIP", "PODS": "status.podIPs"}  # fmt: skip
    amounts = {"CPU": ("limits.cpu", "1"), "MILLI": ("limits.cpu", "1m"), "MEMORY": ("requests.memory", "1Mi"),
               "BYTES": ("requests.memory", "")}  # fmt: skip
    env = [
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
        *({"name": name, "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor or "0"}}}
          for name, (resource, divisor) in amounts.items()),
    ]  # fmt: skip
    resources = {"limits": {"cpu": "1500m"}, "requests": {"memory": "1537Ki"}}
    pod = lab.run("sh", "-c", "env", restartPolicy="Never", container={"env": env, "resources": resources})
    said = dict(line.split("=", 1) for line in b"".join(lab.kubelet.logs(pod, "main", {})).decode().splitlines())
    status = pod["status"]
    assert (said["NAME"], said["SPACE"], said["UID_"]) == ("web", "default", pod["metadata"]["uid"])
    assert (said["NODE"], said["ACCOUNT"]) == ("node-1", "default")
    assert said["HOST"] == said["HOSTS"] == status["hostIP"]
    assert said["POD"] == said["PODS"] == status["podIP"]
    assert (said["CPU"], said["MILLI"], said["MEMORY"], said["BYTES"]) == ("2", "1500", "2", str(1537 * 1024))


def test_where_there_is_no_limit_the_node_is_one(lab: Lab) -> None:
    """`defaultPodLimitsForDownwardAPI` in pkg/kubelet/kubelet_resources.go; the node has 2 processors and 4Gi."""
    env = [{"name": name, "valueFrom": {"resourceFieldRef": {"resource": resource}}}
           for name, resource in (("CPU", "limits.cpu"), ("MEMORY", "limits.memory"))]  # fmt: skip
    pod = lab.run("sh", "-c", "echo $CPU $MEMORY", restartPolicy="Never", container={"env": env})
    assert b"".join(lab.kubelet.logs(pod, "main", {})) == f"2 {4 << 30}\n".encode()


def test_what_may_be_missing_is_left_out(lab: Lab) -> None:
    env = [
        {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "k", "optional": True}}},
        {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "none", "key": "k", "optional": True}}},
    ]
    source = [{"prefix": "X_", "configMapRef": {"name": "none", "optional": True}}]
    lab.client.create("configmaps", {"metadata": {"name": "conf"}, "data": {"a": "1"}}, "default")
    source.append({"prefix": "P_", "configMapRef": {"name": "conf"}})
    pod = lab.run("sh", "-c", "env", restartPolicy="Never", container={"env": env, "envFrom": source})
    names = {line.partition(b"=")[0] for line in b"".join(lab.kubelet.logs(pod, "main", {})).splitlines()}
    assert b"P_a" in names and not {b"KEY", b"WORD"} & names


# what a cluster allows


@pytest.mark.parametrize(
    ("kind", "spec", "path"),
    [
        ("pods", lambda pod: pod, "spec"),
        ("deployments", lambda pod: {"selector": {"matchLabels": {"a": "b"}},
                                     "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}},
         "spec.template.spec"),
    ],
)  # fmt: skip
def test_a_privileged_container_is_refused_unless_it_is_allowed(
    lab: Lab, kind: str, spec: Callable[[Object], Object], path: str
) -> None:
    """`ValidateSecurityContext` in pkg/apis/core/validation/validation.go, with --allow-privileged=false."""
    container = {"name": "main", "image": "nginx", "securityContext": {"privileged": True}}
    body = {"metadata": {"name": "web"}, "spec": spec({"containers": [container]})}
    lab.server.allow_privileged = False
    with pytest.raises(ApiError) as refusal:
        lab.client.create(kind, body, "default")
    assert f"{path}.containers[0].securityContext.privileged: Forbidden: disallowed by cluster" in refusal.value.message
    lab.server.allow_privileged = True
    lab.client.create(kind, body, "default")


# its volumes' group


@pytest.mark.skipif(os.geteuid() != 0, reason="optional: it takes root to give files to a group")
@pytest.mark.parametrize(("policy", "given"), [("Always", 2000), ("OnRootMismatch", 0)])
def test_a_volume_belongs_to_the_pod_s_group_all_of_it_unless_its_root_speaks_for_the_rest(
    tmp_path: Path, policy: str, given: int
) -> None:
    """`SetVolumeOwnership` and `skipPermissionChange` in pkg/volume/volume_linux.go."""
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir" / "file").write_text("x")
    (tmp_path / "dir" / "file").chmod(0o600)
    (tmp_path / "link").symlink_to("/etc/hostname")
    os.chown(tmp_path, -1, 2000)
    tmp_path.chmod(0o2770)
    before = os.stat("/etc/hostname").st_gid
    assert give_to_group(tmp_path, 2000, policy=policy) is (policy == "Always")
    found = os.stat(tmp_path / "dir" / "file")
    assert (found.st_gid, found.st_mode & 0o777) == (given, 0o660 if given else 0o600)
    assert os.stat("/etc/hostname").st_gid == before
    assert give_to_group(tmp_path, 3000, policy=policy)
    assert os.stat(tmp_path / "dir" / "file").st_gid == 3000
    assert os.stat(tmp_path / "dir").st_mode & 0o7777 == 0o2775 | 0o2000


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"hostPID": True, "shareProcessNamespace": True},
         "spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID"),
        ({"securityContext": {"runAsUser": -1}},
         "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive"),
        ({"securityContext": {"fsGroupChangePolicy": "Never"}},
         'spec.securityContext.fsGroupChangePolicy: Unsupported value: "Never": supported values: "Always", '
         '"OnRootMismatch"'),
        ({"securityContext": {"sysctls": [{"name": "Net", "value": "1"}]}},
         'spec.securityContext.sysctls[0].name: Invalid value: "Net": must have at most 253 characters'),
        ({"securityContext": {"seccompProfile": {"type": "Localhost"}}},
         "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is"),
        ({"hostAliases": [{"ip": "10.0.0", "hostnames": ["a"]}]},
         'spec.hostAliases[0].ip: Invalid value: "10.0.0": must be a valid IP address, (e.g. 10.9.8.7 or'),
        ({"subdomain": "a.b"}, 'spec.subdomain: Invalid value: "a.b": '),
    ],
)  # fmt: skip
def test_what_no_node_could_make_sense_of_is_refused(lab: Lab, spec: Object, words: str) -> None:
    """`ValidatePodSecurityContext` and its relatives in pkg/apis/core/validation/validation.go."""
    with pytest.raises(ApiError) as refusal:
        lab.run(image="nginx", **spec)
    assert words in refusal.value.message


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"securityContext": {"allowPrivilegeEscalation": False, "privileged": True}},
         "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"),
        ({"terminationMessagePolicy": "Never"},
         'spec.containers[0].terminationMessagePolicy: Unsupported value: "Never": supported values: '
         '"FallbackToLogsOnError", "File"'),
        ({"env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "status.phase"}}}]},
         'spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "status.phase": supported values: '
         '"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName"'),
    ],
)  # fmt: skip
def test_what_no_container_could_be_is_refused(lab: Lab, container: Object, words: str) -> None:
    with pytest.raises(ApiError) as refusal:
        lab.run(image="nginx", container=container)
    assert words in refusal.value.message


# whom the kernel ends first


@pytest.mark.parametrize(
    ("resources", "score"),
    [
        ({}, 1000),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, -997),
        ({"requests": {"memory": "1Gi"}}, 750),
        ({"requests": {"memory": "1Mi"}}, 999),
        ({"requests": {"cpu": "1"}}, 999),
        ({"requests": {"memory": "4Gi"}, "limits": {"memory": "5Gi"}}, 3),
    ],
)
def test_the_class_of_a_pod_settles_when_the_kernel_ends_it(lab: Lab, resources: Object, score: int) -> None:
    """`GetContainerOOMScoreAdjust` in pkg/kubelet/qos/policy.go; the node has 4Gi."""
    lab.run(image="nginx", container={"resources": resources})
    (config,) = [each.config for each in lab.runtime._containers.values()]
    assert config.oom_score_adjust == score


def test_a_clock_that_is_put_back_makes_nobody_wait_for_longer_than_twice() -> None:
    backoff = Backoff()
    backoff.failed(1_000_000.0)
    assert backoff.seconds_left(1_000_004.0) == 6.0
    assert backoff.seconds_left(500_000.0) == 10.0
    assert backoff.seconds_left(500_010.0) == 0.0
