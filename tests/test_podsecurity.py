"""PodSecurity: the Pod Security Standards, and the plug-in that holds namespaces to them.

Rules: https://kubernetes.io/docs/concepts/security/pod-security-standards/; words and versions:
`staging/src/k8s.io/pod-security-admission/policy/check_*.go` and `admission/admission.go`.
"""

from __future__ import annotations

from typing import Any

import pytest
from controllers_lab import Lab, deployment

from k8snb.apimachinery.errors import ApiError
from k8snb.apiserver.admission_podsecurity import NO_AUDIT, Policy, policy
from k8snb.apiserver.pod_security import BASELINE, BASELINE_CHECKS, RESTRICTED, RESTRICTED_CHECKS, Level, violations

Object = dict[str, Any]
PREFIX = "pod-security.kubernetes.io/"
GOOD = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
REFUSAL = (
    'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "web" must set '
    'securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "web" must set '
    'securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "web" must set '
    'securityContext.runAsNonRoot=true), seccompProfile (pod or container "web" must set '
    'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
)


def pod(name: str = "web", *, context: Object | None = None, container: Object | None = None, **spec: Any) -> Object:
    """A pod that says of security what it is told to; by default what restricted wants."""
    main = {"name": "web", "image": "nginx:1.25", "securityContext": GOOD if context is None else context}
    return {"metadata": {"name": name}, "spec": {"containers": [{**main, **(container or {})}], **spec}}


def texts(level: str, subject: Object, minor: int | None = None) -> list[str]:
    return [f"{found.reason} ({found.detail})" for found in violations(Level(level, minor), subject)]


# Each row: the id of the check, a pod that violates it and nothing else at its level, and what is said of it.
BASELINE_ROWS: list[tuple[str, Object, str]] = [
    ("appArmorProfile", pod(context={"appArmorProfile": {"type": "Unconfined"}}),
     'forbidden AppArmor profile (container "web" must not set AppArmor profile type to "Unconfined")'),
    ("capabilities_baseline", pod(context={"capabilities": {"add": ["NET_RAW", "CHOWN", "BPF"]}}),
     'non-default capabilities (container "web" must not include "BPF", "NET_RAW" in '
     "securityContext.capabilities.add)"),
    ("hostNamespaces", pod(hostNetwork=True, hostPID=True, hostIPC=True),
     "host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)"),
    ("hostPathVolumes", pod(volumes=[{"name": "a", "hostPath": {"path": "/"}}, {"name": "b", "emptyDir": {}}]),
     'hostPath volumes (volume "a")'),
    ("hostPorts", pod(container={"ports": [{"containerPort": 1, "hostPort": 80}, {"containerPort": 2, "hostPort": 9}]}),
     'hostPort (container "web" uses hostPorts 80, 9)'),
    ("privileged", pod(context={"privileged": True}),
     'privileged (container "web" must not set securityContext.privileged=true)'),
    ("procMount", pod(context={"procMount": "Unmasked"}),
     'procMount (container "web" must not set securityContext.procMount to "Unmasked")'),
    ("seLinuxOptions", pod(context={"seLinuxOptions": {"type": "spc_t", "user": "u"}},
                           securityContext={"seLinuxOptions": {"role": "r"}}),
     'seLinuxOptions (pod and container "web" set forbidden securityContext.seLinuxOptions: type "spc_t"; '
     "user may not be set; role may not be set)"),
    ("seccompProfile_baseline", pod(context={}, securityContext={"seccompProfile": {"type": "Unconfined"}}),
     'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")'),
    ("sysctls", pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"},
                                                 {"name": "net.ipv4.tcp_rmem", "value": "1"}]}),
     "forbidden sysctls (kernel.msgmax)"),
    ("windowsHostProcess", pod(context={}, securityContext={"windowsOptions": {"hostProcess": True}}),
     "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)"),
]  # fmt: skip
RESTRICTED_ROWS: list[tuple[str, Object, str]] = [
    ("allowPrivilegeEscalation", pod(context={**GOOD, "allowPrivilegeEscalation": True}),
     'allowPrivilegeEscalation != false (container "web" must set securityContext.allowPrivilegeEscalation=false)'),
    ("capabilities_restricted", pod(context={**GOOD, "capabilities": {"add": ["NET_BIND_SERVICE", "CHOWN"]}}),
     'unrestricted capabilities (container "web" must set securityContext.capabilities.drop=["ALL"]; '
     'container "web" must not include "CHOWN" in securityContext.capabilities.add)'),
    ("restrictedVolumes", pod(volumes=[{"name": "a", "nfs": {"server": "s", "path": "/"}},
                                       {"name": "b", "hostPath": {"path": "/"}}]),
     'restricted volume types (volumes "a", "b" use restricted volume types "hostPath", "nfs")'),
    ("runAsNonRoot", pod(context={**GOOD, "runAsNonRoot": False}, securityContext={"runAsNonRoot": True}),
     'runAsNonRoot != true (container "web" must not set securityContext.runAsNonRoot=false)'),
    ("runAsUser", pod(context={**GOOD, "runAsUser": 0}, securityContext={"runAsUser": 0}),
     'runAsUser=0 (pod and container "web" must not set runAsUser=0)'),
    ("seccompProfile_restricted", pod(context={**GOOD, "seccompProfile": {"type": "Unconfined"}}),
     'seccompProfile (container "web" must not set securityContext.seccompProfile.type to "Unconfined")'),
]  # fmt: skip


@pytest.mark.parametrize(("check", "subject", "text"), BASELINE_ROWS)
def test_baseline_names_what_a_pod_violates(check: str, subject: Object, text: str) -> None:
    """`policy/check_CHECK.go` at v1.33."""
    assert texts(BASELINE, subject) == [text]


@pytest.mark.parametrize(("check", "subject", "text"), RESTRICTED_ROWS)
def test_restricted_names_what_a_pod_violates(check: str, subject: Object, text: str) -> None:
    """`policy/check_CHECK.go` at v1.33."""
    assert texts(RESTRICTED, subject) == [text]


def test_every_check_of_the_standards_is_tried() -> None:
    assert [row[0] for row in BASELINE_ROWS] == list(BASELINE_CHECKS)
    assert [row[0] for row in RESTRICTED_ROWS] == list(RESTRICTED_CHECKS)


def test_a_pod_that_says_what_restricted_wants_violates_nothing() -> None:
    assert texts(RESTRICTED, pod()) == []
    assert texts(BASELINE, pod(context={})) == []
    assert texts("privileged", BASELINE_ROWS[5][1]) == []


def test_the_pod_may_speak_for_containers_that_are_silent() -> None:
    """`check_runAsNonRoot.go`, `check_seccompProfile_restricted.go`: undefined in a container if the pod sets it."""
    silent = {key: GOOD[key] for key in ("allowPrivilegeEscalation", "capabilities")}
    spoken = {"runAsNonRoot": True, "seccompProfile": {"type": "Localhost"}}
    assert texts(RESTRICTED, pod(context=silent, securityContext=spoken)) == []


def test_init_containers_are_held_to_the_same_and_named_first() -> None:
    """`visitor.go`."""
    loud = {"securityContext": {"privileged": True}}
    subject = pod(container=loud, initContainers=[{"name": "first", "image": "busybox", **loud}])
    words = 'privileged (containers "first", "web" must not set securityContext.privileged=true)'
    assert texts(BASELINE, subject) == [words]


@pytest.mark.parametrize(
    ("minor", "subject", "count"),
    [
        (30, pod(context={"seLinuxOptions": {"type": "container_engine_t"}}), 1),
        (31, pod(context={"seLinuxOptions": {"type": "container_engine_t"}}), 0),
        (26, pod(securityContext={"sysctls": [{"name": "net.ipv4.ip_local_reserved_ports", "value": "1"}]}), 1),
        (27, pod(securityContext={"sysctls": [{"name": "net.ipv4.ip_local_reserved_ports", "value": "1"}]}), 0),
        (18, pod(context={"seccompProfile": {"type": "Unconfined"}}), 0),
        (19, pod(context={"seccompProfile": {"type": "Unconfined"}}), 1),
        (99, pod(context={"seccompProfile": {"type": "Unconfined"}}), 1),
    ],
)
def test_an_older_standard_is_what_it_was_then(minor: int, subject: Object, count: int) -> None:
    """The `MinimumVersion` of each check."""
    assert len(texts(BASELINE, subject, minor)) == count


def test_restricted_asked_less_in_older_releases() -> None:
    """capabilities since 1.22, runAsUser since 1.23; pods for Windows are let off since 1.25."""
    assert [text.split(" (")[0] for text in texts(RESTRICTED, pod(context={"runAsUser": 0}), 18)] == [
        "allowPrivilegeEscalation != false", "runAsNonRoot != true"]  # fmt: skip
    windows = pod(context={"runAsNonRoot": True}, os={"name": "windows"})
    assert texts(RESTRICTED, windows, 25) == []
    assert len(texts(RESTRICTED, windows, 24)) == 3


def test_the_old_annotations_count_too() -> None:
    """check_appArmorProfile.go, check_seccompProfile_baseline.go (v1.0 to v1.18)."""
    subject = pod(context={})
    key, other = "container.apparmor.security.beta.kubernetes.io/web", "seccomp.security.alpha.kubernetes.io/pod"
    subject["metadata"]["annotations"] = {key: "unconfined", other: "unconfined"}
    armor = f'annotation must not set AppArmor profile type to "{key}="unconfined""'
    assert texts(BASELINE, subject) == [f"forbidden AppArmor profile ({armor})"]
    assert texts(BASELINE, subject, 18)[1] == f'seccompProfile (forbidden annotation {other}="unconfined")'


# the labels (api/helpers.go, PolicyToEvaluate)


def test_labels_name_a_level_and_a_version_for_each_mode() -> None:
    found, errors = policy({f"{PREFIX}enforce": "baseline", f"{PREFIX}enforce-version": "v1.20",
                            f"{PREFIX}warn": "restricted"})  # fmt: skip
    assert (found, errors) == (Policy(Level(BASELINE, 20), Level(RESTRICTED)), [])
    assert str(found.enforce) == "baseline:v1.20"


def test_without_a_label_for_it_the_user_is_warned_of_what_would_be_refused() -> None:
    assert policy({f"{PREFIX}enforce": "restricted"})[0].warn == Level(RESTRICTED)
    assert policy({f"{PREFIX}enforce": "restricted", f"{PREFIX}warn": "privileged"})[0].warn == Level("privileged")


def test_a_label_that_does_not_read_refuses_and_warns_of_nothing() -> None:
    found, errors = policy({f"{PREFIX}enforce": "strict", f"{PREFIX}warn": "loud"})
    assert found == Policy(Level(RESTRICTED), Level("privileged"))
    assert [error.path for error in errors] == [f"metadata.labels[{PREFIX}enforce]", f"metadata.labels[{PREFIX}warn]"]


# the plug-in (admission/admission.go)


@pytest.fixture
def lab() -> Lab:
    return Lab().start()


def label(lab: Lab, **labels: str) -> list[str]:
    """Label the namespace default; the warnings that follow."""
    lab.client.take_warnings()
    named = {PREFIX + mode.replace("_", "-"): value for mode, value in labels.items()}
    lab.apply("namespaces", "default", {"metadata": {"labels": named}}, namespace="")
    return lab.client.take_warnings()


def test_a_pod_that_violates_what_its_namespace_enforces_is_refused(lab: Lab) -> None:
    label(lab, enforce="restricted")
    with pytest.raises(ApiError) as caught:
        lab.client.create("pods", pod("bad", context={}), "default")
    assert caught.value.message == f'pods "bad" is forbidden: {REFUSAL}'
    assert caught.value.code == 403
    lab.client.create("pods", pod("good"), "default")
    assert lab.names("pods") == ["good"]


def test_a_namespace_without_labels_takes_any_pod(lab: Lab) -> None:
    lab.client.create("pods", pod(context={"privileged": True}, hostNetwork=True), "default")
    assert lab.client.take_warnings() == []


def test_a_workload_is_let_in_with_a_warning_and_its_pods_are_not(lab: Lab) -> None:
    label(lab, enforce="restricted")
    made = lab.client.create("deployments", deployment())
    assert lab.client.take_warnings() == [f"would {REFUSAL.replace('violates', 'violate', 1)}"]
    assert made["spec"]["replicas"] == 3


def test_the_mode_warn_lets_pods_in_with_a_warning(lab: Lab) -> None:
    label(lab, warn="baseline", warn_version="v1.30")
    lab.client.create("pods", pod(hostNetwork=True), "default")
    words = 'would violate PodSecurity "baseline:v1.30": host namespaces (hostNetwork=true)'
    assert lab.client.take_warnings() == [words]


def test_the_mode_audit_says_that_there_is_no_audit_log(lab: Lab) -> None:
    assert label(lab, audit="restricted") == [NO_AUDIT]
    lab.client.create("pods", pod(context={}), "default")
    assert lab.client.take_warnings() == []
    assert label(lab, other="x") == []


def test_labelling_a_namespace_warns_of_the_pods_that_are_there(lab: Lab) -> None:
    """EvaluatePodsInNamespace: pods with the same violations are counted together."""
    for name in ("c", "a", "b"):
        lab.client.create("pods", pod(name, hostNetwork=True), "default")
    lab.client.create("pods", pod("d", context={"privileged": True}), "default")
    assert label(lab, enforce="baseline") == [
        'existing pods in namespace "default" violate the new PodSecurity enforce level "baseline:latest"',
        "a (and 2 other pods): host namespaces",
        "d: privileged",
    ]
    assert label(lab, enforce="privileged") == []


def test_a_label_that_does_not_read_is_refused(lab: Lab) -> None:
    with pytest.raises(ApiError) as caught:
        label(lab, enforce="strict", warn_version="1.2")
    assert caught.value.message == (
        f'Namespace "default" is invalid: [metadata.labels[{PREFIX}enforce]: Invalid value: "strict": must be one of '
        f"privileged, baseline, restricted, metadata.labels[{PREFIX}warn-version]: Invalid value: \"1.2\": must be "
        '"latest" or "v1.x"]'
    )  # fmt: skip


def test_a_change_that_is_of_no_consequence_is_let_through(lab: Lab) -> None:
    """isSignificantPodUpdate: labels may change on a pod that a new label would refuse; its image may not."""
    lab.client.create("pods", pod(hostNetwork=True), "default")
    label(lab, enforce="baseline")
    lab.apply("pods", "web", {"metadata": {"labels": {"a": "b"}}})
    with pytest.raises(ApiError, match="violates PodSecurity"):
        lab.apply("pods", "web", {"spec": {"containers": [{"name": "web", "image": "nginx:2"}]}})
