"""Resource quotas: what an object counts for.

Interface: `evaluator(kind) -> Evaluator`, which says what names of a quota a kind of object uses, how much of each, and
whether an object lies in a quota's scopes; `masked`, `exceeding` and `text` for amounts.
The rule not to break: the apiserver, which charges, and the controller, which counts again, measure with the same rule.
Source: `pkg/quota/v1` in the kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from k8snb.apimachinery import pod_resources
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, get_path
from k8snb.apimachinery.pod_resources import Amounts, amounts
from k8snb.apimachinery.quantity import NANO, Quantity, parse

ONE = Quantity(NANO)
COUNT = "count/"
REQUESTS, LIMITS, HUGE = "requests.", "limits.", "hugepages-"
COMPUTE = ("cpu", "memory", "ephemeral-storage")
EXPLICIT = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
OF_CLASS = ".storageclass.storage.k8s.io/"
CLASS_ANNOTATION = ("metadata", "annotations", "volume.beta.kubernetes.io/storage-class")
NATIVE = "kubernetes.io/"
IGNORED = ("events",)  # what no quota counts
ALIASES = ("configmaps", "secrets", "replicationcontrollers", "resourcequotas")  # countable without `count/` too

Scope = Callable[[Object, Object], bool]


class Evaluator(NamedTuple):
    """How one kind is counted. `measures(name)`: whether it uses that name; `usage(object)`: how much of each.

    `in_scope(requirement, object)` answers one scope of a quota; `on_update`: a change of the object counts too.
    """

    measures: Callable[[str], bool]
    usage: Callable[[Object], Amounts]
    in_scope: Scope
    on_update: bool = False

    def matching(self, names: Iterable[str]) -> list[str]:
        """The names of a quota that this kind uses."""
        return [name for name in names if self.measures(name)]

    def covers(self, quota: Object, obj: Object) -> bool:
        """Whether the object lies in all scopes of a quota."""
        return all(self.in_scope(requirement, obj) for requirement in scopes(quota))


def evaluator(kind: Kind) -> Evaluator | None:
    """How objects of a kind are counted; None for what no quota counts."""
    if kind.builtin in IGNORED or not kind.namespaced:
        return None
    return EVALUATORS.get(kind.builtin if not kind.group else "") or _counter(kind)


def scopes(quota: Object) -> Iterator[Object]:
    """The scopes of a quota, those of the short form as requirements too."""
    spec = quota["spec"]
    for scope in spec.get("scopes") or ():
        yield {"scopeName": scope, "operator": "Exists"}
    yield from get_path(spec, "scopeSelector.matchExpressions") or ()


# amounts


def exceeding(left: Amounts, right: Amounts) -> list[str]:
    """The names of which there is more on the left than the right allows; what the right does not name is free."""
    return [name for name, amount in left.items() if name in right and amount > right[name]]


def masked(found: Amounts, names: Iterable[str]) -> Amounts:
    wanted = set(names)
    return {name: amount for name, amount in found.items() if name in wanted}


def text(found: Amounts) -> str:
    """`cpu=500m,pods=1`."""
    return ",".join(f"{name}={amount}" for name, amount in sorted(found.items()))


# any kind: how many there are


def _counter(kind: Kind) -> Evaluator:
    names = {COUNT + kind.qualified, *([kind.plural] if kind.builtin in ALIASES else [])}
    return Evaluator(names.__contains__, lambda obj: dict.fromkeys(names, ONE), _no_scope)


def _no_scope(requirement: Object, obj: Object) -> bool:
    return False


# pods

_PODS = {f"{COUNT}pods", "pods", *COMPUTE, *(f"{prefix}{name}" for prefix in (REQUESTS, LIMITS) for name in COMPUTE)}


def _measures_pods(name: str) -> bool:
    bare = name.removeprefix(REQUESTS)
    return name in _PODS or bare.startswith(HUGE) or (bare != name and is_extended(bare))


def is_extended(name: str) -> bool:
    """Whether a resource is one that some device plug-in brought along: `example.com/gpu`."""
    return "/" in name and NATIVE not in name and not name.startswith(REQUESTS)


def pod_usage(pod: Object, *, ended: bool = False) -> Amounts:
    """A pod that has ended, or should have (`ended`), is an object and nothing else."""
    if ended or get_path(pod, "status.phase") in ("Succeeded", "Failed"):
        return {f"{COUNT}pods": ONE}
    return {f"{COUNT}pods": ONE, **compute_usage(pod_resources.requests(pod), pod_resources.limits(pod))}


def compute_usage(requests: Amounts, limits: Amounts) -> Amounts:
    """Requests and limits by the names that quotas have for them."""
    found: Amounts = {"pods": ONE}
    for name, amount in requests.items():
        if name in COMPUTE or name.startswith(HUGE):
            found[name] = amount
        if name in COMPUTE or name.startswith(HUGE) or is_extended(name):
            found[REQUESTS + name] = amount
    return found | {LIMITS + name: amount for name, amount in limits.items() if name in COMPUTE}


def missing_resources(pod: Object, names: Iterable[str]) -> str:
    """`must specify limits.cpu for: web; …`: a quota on cpu or memory obliges every container to name them; "" if all
    do."""
    required = sorted(set(names) & set(EXPLICIT))
    lacking: dict[str, set[str]] = {}
    for field in ("containers", "initContainers"):
        for container in pod["spec"].get(field) or ():
            resources = container.get("resources") or {}
            said = compute_usage(amounts(resources.get("requests")), amounts(resources.get("limits")))
            for name in required:
                if name not in said:
                    lacking.setdefault(name, set()).add(container["name"])
    parts = (f"{name} for: {','.join(sorted(containers))}" for name, containers in sorted(lacking.items()))
    return f"must specify {'; '.join(parts)}" if lacking else ""


def _pod_in_scope(requirement: Object, pod: Object) -> bool:
    return SCOPES[requirement["scopeName"]](requirement, pod)


def _is_terminating(requirement: Object, pod: Object) -> bool:
    return bool(pod["spec"].get("activeDeadlineSeconds", -1) >= 0)


def _is_best_effort(requirement: Object, pod: Object) -> bool:
    """No container asks for cpu or memory, or is limited in them."""
    containers = [*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())]
    said = (get_path(container, ("resources", field)) for container in containers for field in ("requests", "limits"))
    return not any(parse(found[name]) for found in said if found for name in ("cpu", "memory") if name in found)


def _has_class(requirement: Object, pod: Object) -> bool:
    name, values = pod["spec"].get("priorityClassName") or "", requirement.get("values") or ()
    return {
        "In": name in values,
        "NotIn": name not in values,
        "Exists": bool(name),
        "DoesNotExist": not name,
    }[requirement["operator"]]


def _reaches_other_namespaces(requirement: Object, pod: Object) -> bool:
    affinity = pod["spec"].get("affinity") or {}
    for sort in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(sort) or {}
        terms = [*(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())]
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [weighted["podAffinityTerm"] for weighted in preferred]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False


def _not(scope: Scope) -> Scope:
    return lambda requirement, pod: not scope(requirement, pod)


SCOPES: Mapping[str, Scope] = {
    "Terminating": _is_terminating,
    "NotTerminating": _not(_is_terminating),
    "BestEffort": _is_best_effort,
    "NotBestEffort": _not(_is_best_effort),
    "PriorityClass": _has_class,
    "CrossNamespacePodAffinity": _reaches_other_namespaces,
}


# services and claims

_SERVICES = {f"{COUNT}services", "services", "services.nodeports", "services.loadbalancers"}
_CLAIMS = {f"{COUNT}persistentvolumeclaims", "persistentvolumeclaims", "requests.storage"}


def service_usage(service: Object) -> Amounts:
    spec = service["spec"]
    ports, balancers = spec.get("ports") or [], 0
    if spec.get("type") == "LoadBalancer":
        balancers = 1
        if spec.get("allocateLoadBalancerNodePorts") is False:
            ports = [port for port in ports if port.get("nodePort")]
    elif spec.get("type") != "NodePort":
        ports = []
    return {
        f"{COUNT}services": ONE,
        "services": ONE,
        "services.nodeports": Quantity(len(ports) * NANO),
        "services.loadbalancers": Quantity(balancers * NANO),
    }


def _measures_claims(name: str) -> bool:
    return name in _CLAIMS or name.partition(OF_CLASS)[2] in ("requests.storage", "persistentvolumeclaims")


def claim_usage(claim: Object) -> Amounts:
    """A claim counts for itself and for its storage class."""
    size = parse(get_path(claim, "spec.resources.requests.storage") or "0")
    storage = Quantity(size.value * NANO, size.format)
    found = {f"{COUNT}persistentvolumeclaims": ONE, "persistentvolumeclaims": ONE, "requests.storage": storage}
    name = get_path(claim, CLASS_ANNOTATION) or get_path(claim, "spec.storageClassName")
    if name:
        found |= {f"{name}{OF_CLASS}persistentvolumeclaims": ONE, f"{name}{OF_CLASS}requests.storage": storage}
    return found


EVALUATORS: Mapping[str, Evaluator] = {
    "pods": Evaluator(_measures_pods, pod_usage, _pod_in_scope),
    "services": Evaluator(_SERVICES.__contains__, service_usage, _no_scope, on_update=True),
    "persistentvolumeclaims": Evaluator(_measures_claims, claim_usage, _no_scope, on_update=True),
}
