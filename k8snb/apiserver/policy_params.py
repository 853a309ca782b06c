"""kube-apiserver's policy parameters: the objects that a binding hands to its policy.

Interface: `collect(server, policy, binding, asked)`: the parameters, one after the other; None stands for none.
The rule not to break: parameters that cannot be found are the binding's fault and never the request's.
Source: `CollectParams` in `apiserver/pkg/admission/plugin/policy/generic/policy_dispatcher.go`.
"""

from __future__ import annotations

from collections.abc import Iterator

from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, labels_of
from k8snb.apimachinery.selectors import from_label_selector
from k8snb.apiserver.admission_request import Admission, Server
from k8snb.apiserver.conversion import seen


class ConfigurationError(Exception):
    """A policy or a binding that cannot be used. `of_binding`: the binding is at fault."""

    def __init__(self, why: str, *, of_binding: bool) -> None:
        super().__init__(f"failed to configure {'binding' if of_binding else 'policy'}: {why}")
        self.of_binding = of_binding


def collect(server: Server, policy: Object, binding: Object, asked: Admission) -> Iterator[Object | None]:
    """Raises ConfigurationError."""
    wanted, reference = policy["spec"].get("paramKind"), binding["spec"].get("paramRef")
    kind = _kind(server, wanted) if wanted else None
    if kind is None or not reference:
        yield None
        return
    found = list(_found(server, kind, _place(kind, reference, asked), reference))
    if not found and reference.get("parameterNotFoundAction") == "Deny":
        raise _fault("no params found for policy binding with `Deny` parameterNotFoundAction")
    yield from found


def _fault(why: str) -> ConfigurationError:
    return ConfigurationError(why, of_binding=True)


def _kind(server: Server, wanted: Object) -> Kind:
    for kind in server.kinds():
        if (kind.api_version, kind.kind) == (wanted["apiVersion"], wanted["kind"]):
            return kind
    words = f"failed to find resource referenced by paramKind: '{wanted['apiVersion']}, Kind={wanted['kind']}'"
    raise ConfigurationError(words, of_binding=False)


def _place(kind: Kind, reference: Object, asked: Admission) -> str:
    """The namespace to look in: the one that is named, else the request's own."""
    named: str = reference.get("namespace") or ""
    if not kind.namespaced:
        if named:
            raise _fault("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
        return ""
    if not named and not asked.namespace:
        raise _fault("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
    return named or asked.namespace


def _found(server: Server, kind: Kind, namespace: str, reference: Object) -> Iterator[Object]:
    if reference.get("name"):
        record = server.store.get(kind.key(namespace, reference["name"]))
        if record is not None:
            yield seen(kind, record.value)
        return
    selector = from_label_selector(reference.get("selector") or {})
    records, _ = server.store.range(kind.prefix + (f"{namespace}/" if namespace else ""))
    for record in records:
        if selector.matches(labels_of(record.value)):
            yield seen(kind, record.value)
