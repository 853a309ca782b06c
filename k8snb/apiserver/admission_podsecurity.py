"""PodSecurity: the admission plug-in that holds the pods of a namespace to the standard that its labels name.

Interface: `pod_security`, a plug-in.
The rule not to break: a label that does not read refuses pods as the strictest standard would, and warns of nothing.
Source: `pod-security-admission/admission/admission.go`, `pod-security-admission/api/helpers.go`. What the label `audit`
finds goes into the audit log, which is not implemented by k8snb; whoever sets it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from k8snb.apimachinery.errors import INVALID, FieldError, forbidden, invalid
from k8snb.apimachinery.meta import Object, annotations_of, get_path, labels_of, name_of, namespace_of
from k8snb.apiserver.admission_plugin import Server, find_object, objects
from k8snb.apiserver.pod_security import (
    LEVELS,
    PRIVILEGED,
    RESTRICTED,
    SECCOMP,
    SECCOMP_OF_POD,
    Level,
    Violation,
    parse_level,
    parse_version,
    violations,
)
from k8snb.client import Request

T = TypeVar("T")

PREFIX = "pod-security.kubernetes.io/"
NO_AUDIT = f"{PREFIX}audit: stored, but the audit log is not implemented by k8snb: nothing will be written down"
MODES = ("enforce", "audit", "warn")
MOST_PODS = 3000  # of a namespace that are looked at when its label changes
TEMPLATES: Mapping[str, str] = {  # where each workload has its pods' template
    "podtemplates": "template",
    "cronjobs": "spec.jobTemplate.spec.template",
    **dict.fromkeys(
        ("replicationcontrollers", "replicasets", "deployments", "statefulsets", "daemonsets", "jobs"), "spec.template"
    ),
}


class Policy(NamedTuple):
    """What a namespace's labels say."""

    enforce: Level = Level(PRIVILEGED)
    warn: Level = Level(PRIVILEGED)


def pod_security(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """Refuse pods that violate the standard, warn of templates that would make such pods."""
    if request.verb not in ("create", "update", "patch") or request.subresource not in ("", "ephemeralcontainers"):
        return obj
    if request.kind.builtin == "namespaces":
        _check_namespace(server, request, obj, old)
    elif request.kind.builtin == "pods":
        if old is None or _is_significant(obj, old):
            _check_pod(server, request, obj)
    elif request.kind.builtin in TEMPLATES:
        template = get_path(obj, TEMPLATES[request.kind.builtin])
        if template and template.get("spec"):
            _warn(request, _policy_of(server, obj).warn, template)
    return obj


def _check_pod(server: Server, request: Request, pod: Object) -> None:
    policy = _policy_of(server, pod)
    found = violations(policy.enforce, pod)
    if found:
        raise forbidden(request.kind, name_of(pod), f'violates PodSecurity "{policy.enforce}": {_details(found)}')
    _warn(request, policy.warn, pod)


def _warn(request: Request, level: Level, pod: Object) -> None:
    found = violations(level, pod)
    if found:
        request.warnings.append(f'would violate PodSecurity "{level}": {_details(found)}')


def _details(found: Iterable[Violation]) -> str:
    return ", ".join(f"{each.reason} ({each.detail})" if each.detail else each.reason for each in found)


# the labels


def _policy_of(server: Server, obj: Object) -> Policy:
    namespace = find_object(server, "namespaces", namespace_of(obj))
    return policy(labels_of(namespace))[0] if namespace is not None else Policy()


def policy(labels: Mapping[str, str]) -> tuple[Policy, list[FieldError]]:
    """The policy in a namespace's labels, and what is wrong with them. Without `warn` the user is warned of what would
    be refused."""
    if not any(key.startswith(PREFIX) for key in labels):
        return Policy(), []
    errors: list[FieldError] = []
    said = {mode: _read(labels, mode, parse_level, errors) for mode in MODES}
    versions = {mode: _read(labels, f"{mode}-version", parse_version, errors) for mode in MODES}
    asks = f"{PREFIX}enforce" in labels
    enforce = Level(said["enforce"] or (RESTRICTED if asks else PRIVILEGED), versions["enforce"])
    if f"{PREFIX}warn" in labels or not said["enforce"]:
        return Policy(enforce, Level(said["warn"] or PRIVILEGED, versions["warn"])), errors
    minor = versions["warn"] if f"{PREFIX}warn-version" in labels else enforce.minor
    return Policy(enforce, Level(enforce.name, minor)), errors


def _read(labels: Mapping[str, str], name: str, read: Callable[[str], T], errors: list[FieldError]) -> T | None:
    """What one label says; None where it is not there or does not read."""
    key = PREFIX + name
    try:
        return read(labels[key]) if key in labels else None
    except ValueError as error:
        errors.append(FieldError(f"metadata.labels[{key}]", INVALID, labels[key], str(error)))
        return None


def _check_namespace(server: Server, request: Request, obj: Object, old: Object | None) -> None:
    """Refuse labels that do not read; say which pods violate what the labels newly enforce."""
    now, errors = policy(labels_of(obj))
    before, earlier = policy(labels_of(old)) if old is not None else (Policy(), [])
    if errors and errors != earlier:
        raise invalid(request.kind, name_of(obj), errors)
    _warn_of_audit(request, obj, old)
    if old is None or now.enforce == before.enforce or now.enforce.name == PRIVILEGED:
        return
    if now.enforce.minor == before.enforce.minor and _rank(now) < _rank(before):
        return
    request.warnings.extend(_about_pods(objects(server, "pods", name_of(obj)), name_of(obj), now.enforce))


def _rank(policy: Policy) -> int:
    return LEVELS.index(policy.enforce.name)


def _warn_of_audit(request: Request, obj: Object, old: Object | None) -> None:
    label = f"{PREFIX}audit"
    said = labels_of(obj).get(label, PRIVILEGED)
    if said != PRIVILEGED and (old is None or labels_of(old).get(label) != said):
        request.warnings.append(NO_AUDIT)


def _about_pods(pods: list[Object], namespace: str, level: Level) -> list[str]:
    """Warnings about pods that are there, those with the same violations in one."""
    named: dict[str, list[str]] = {}
    for pod in pods[:MOST_PODS]:
        found = violations(level, pod)
        if found:
            named.setdefault(", ".join(each.reason for each in found), []).append(name_of(pod))
    warnings = []
    if len(pods) > MOST_PODS:
        warnings.append(f"new PodSecurity enforce level only checked against the first {MOST_PODS} of {len(pods)} "
                        "existing pods")  # fmt: skip
    if named:
        warnings.append(f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{level}"')
    return warnings + sorted(f"{_and_others(names)}: {reasons}" for reasons, names in named.items())


def _and_others(names: list[str]) -> str:
    others = len(names) - 1
    return min(names) + (f" (and {others} other pod{'s' if others > 1 else ''})" if others else "")


# which changes of a pod are looked at


def _is_significant(pod: Object, old: Object) -> bool:
    """Images, containers, and how profiles were named before 1.19; nothing else of a pod that matters can change."""
    return _shape(pod) != _shape(old)


def _shape(pod: Object) -> list[tuple[str, str]]:
    containers = [(container["name"], container.get("image", ""))
                  for field in ("containers", "initContainers", "ephemeralContainers")
                  for container in pod["spec"].get(field) or ()]  # fmt: skip
    notes = [(key, value) for key, value in sorted(annotations_of(pod).items())
             if key == SECCOMP_OF_POD or key.startswith(SECCOMP)]  # fmt: skip
    return containers + notes
