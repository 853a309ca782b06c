"""kube-apiserver's --allow-privileged: no container is to be root on the machine unless its owner allows that.

Interface: `privileged`, a plug-in that refuses; `ApiServer.allow_privileged` is the owner's word.
The rule not to break: what is refused in a pod is refused in every template that would make one.
Source: `ValidateSecurityContext` in pkg/apis/core/validation/validation.go, where it is part of the validation;
clusters that kubeadm makes allow it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from k8snb.apimachinery.errors import FORBIDDEN, FieldError, invalid
from k8snb.apimachinery.meta import Object, get_path, name_of
from k8snb.client import Request

SPECS = ("spec", "spec.template.spec", "spec.jobTemplate.spec.template.spec", "template.spec")
CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
REFUSAL = (
    "disallowed by cluster policy: it would be root on this machine's Docker engine; "
    "Cluster(allow_privileged=True) allows it"
)


class Server(Protocol):
    allow_privileged: bool


def privileged(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    if server.allow_privileged or request.verb not in ("create", "update", "patch") or request.kind.builtin is None:
        return obj
    errors = [
        error for error in _complaints(obj) if old is None or error.path not in {e.path for e in _complaints(old)}
    ]
    if errors:
        raise invalid(request.kind, name_of(obj), errors)
    return obj


def _complaints(obj: Object) -> Iterator[FieldError]:
    for path in SPECS:
        spec = get_path(obj, path)
        if not isinstance(spec, dict):
            continue
        for part in CONTAINERS:
            for number, container in enumerate(spec.get(part) or ()):
                if get_path(container, "securityContext.privileged"):
                    place = f"{path}.{part}[{number}].securityContext.privileged"
                    yield FieldError(place, FORBIDDEN, None, REFUSAL)
