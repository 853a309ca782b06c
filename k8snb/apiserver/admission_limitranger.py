"""LimitRanger: the admission plug-in that fills in and enforces what the LimitRanges of a namespace say.

Interface: `limit_defaults`, the half that fills in; `limit_ranger`, the half that refuses.
The rule not to break: a pod is never given more than it did not ask for: a value that is there stays as it is.
Source: `plugin/pkg/admission/limitranger/admission.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from k8snb.apimachinery import pod_resources
from k8snb.apimachinery.errors import forbidden
from k8snb.apimachinery.meta import Object, annotations_of, get_path, is_deleting, name_of, namespace_of, with_metadata
from k8snb.apimachinery.pod_resources import Amounts, amounts
from k8snb.apimachinery.quantity import Quantity
from k8snb.apiserver.admission_plugin import Server, creates, objects, updates
from k8snb.apiserver.strategy import qos_class
from k8snb.client import Request

ANNOTATION = "kubernetes.io/limit-ranger"
CONTAINER, POD, CLAIM = "Container", "Pod", "PersistentVolumeClaim"
CONTAINERS = (("containers", "container"), ("initContainers", "init container"))
FIELDS = (("requests", "defaultRequest", "request"), ("limits", "default", "limit"))


def limit_defaults(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """Give containers the requests and limits that they do not set, and say so in an annotation."""
    if not creates(request, "pods"):
        return obj
    for limit_range in objects(server, "limitranges", namespace_of(obj)):
        obj = _filled_in(limit_range, obj)
    return obj


def limit_ranger(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """Refuse what lies outside of the limits."""
    check = _complaints_about(request, obj)
    if check is None:
        return obj
    for limit_range in objects(server, "limitranges", namespace_of(obj)):
        found = list(dict.fromkeys(check(limit_range, obj)))
        if found:
            text = found[0] if len(found) == 1 else f"[{', '.join(found)}]"
            raise forbidden(request.kind, name_of(obj), text)
    return obj


def _complaints_about(request: Request, obj: Object) -> Callable[[Object, Object], Iterator[str]] | None:
    """What complains about such an object; None where nothing does."""
    if creates(request, "pods"):
        return _pod_complaints
    is_claim = creates(request, "persistentvolumeclaims") or updates(request, "persistentvolumeclaims")
    return _claim_complaints if is_claim and not is_deleting(obj) else None


# filling in


def _filled_in(limit_range: Object, pod: Object) -> Object:
    items = [item for item in limit_range["spec"]["limits"] if item["type"] == CONTAINER]
    defaults = {field: {k: v for item in items for k, v in (item.get(source) or {}).items()}
                for field, source, _ in FIELDS}  # fmt: skip
    spec, notes = pod["spec"], []
    for field, word in CONTAINERS:
        if spec.get(field):
            filled = [_container(container, defaults) for container in spec[field]]
            notes += [f"{note} for {word} {container['name']}" for container, said in filled for note in said]
            spec = {**spec, field: [container for container, _ in filled]}
    if not notes:
        return pod
    annotations = {**annotations_of(pod), ANNOTATION: f"LimitRanger plugin set: {'; '.join(notes)}"}
    pod = with_metadata({**pod, "spec": spec}, annotations=annotations)
    return {**pod, "status": {**pod["status"], "qosClass": qos_class(pod)}}


def _container(container: Object, defaults: dict[str, Object]) -> tuple[Object, list[str]]:
    """The container with what it lacks, and a note on each field that was filled in."""
    resources, notes = container.get("resources") or {}, []
    for field, _, word in FIELDS:
        have = resources.get(field) or {}
        missing = {name: amount for name, amount in defaults[field].items() if name not in have}
        if missing:
            resources = {**resources, field: {**have, **missing}}
            notes.append(f"{', '.join(sorted(missing))} {word}")
    return ({**container, "resources": resources} if notes else container), notes


# enforcing

Rule = Callable[[str, str, Quantity, Amounts, Amounts], str]


def minimum(sort: str, name: str, enforced: Quantity, requests: Amounts, limits: Amounts) -> str:
    start = f"minimum {name} usage per {sort} is {enforced}"
    if name not in requests:
        return f"{start}.  No request is specified"
    if requests[name] < enforced:
        return f"{start}, but request is {requests[name]}"
    if name in limits and limits[name] < enforced:
        return f"{start}, but limit is {limits[name]}"
    return ""


def maximum(sort: str, name: str, enforced: Quantity, requests: Amounts, limits: Amounts) -> str:
    start = f"maximum {name} usage per {sort} is {enforced}"
    if name not in limits:
        return f"{start}.  No limit is specified"
    if limits[name] > enforced:
        return f"{start}, but limit is {limits[name]}"
    if name in requests and requests[name] > enforced:
        return f"{start}, but request is {requests[name]}"
    return ""


def maximum_request(sort: str, name: str, enforced: Quantity, requests: Amounts, limits: Amounts) -> str:
    """For what has no limits: claims."""
    start = f"maximum {name} usage per {sort} is {enforced}"
    if name not in requests:
        return f"{start}.  No request is specified"
    return f"{start}, but request is {requests[name]}" if requests[name] > enforced else ""


def ratio(sort: str, name: str, enforced: Quantity, requests: Amounts, limits: Amounts) -> str:
    start = f"{name} max limit to request ratio per {sort} is {enforced}"
    if not requests.get(name):
        return f"{start}, but no request is specified or request is 0"
    if not limits.get(name):
        return f"{start}, but no limit is specified or limit is 0"
    observed = limits[name].nanos / requests[name].nanos
    return f"{start}, but provided ratio is {observed:f}" if observed * 1000 > enforced.milli else ""


POD_RULES: tuple[tuple[str, Rule], ...] = (("min", minimum), ("max", maximum), ("maxLimitRequestRatio", ratio))
CLAIM_RULES: tuple[tuple[str, Rule], ...] = (("min", minimum), ("max", maximum_request))


def _pod_complaints(limit_range: Object, pod: Object) -> Iterator[str]:
    for item in limit_range["spec"]["limits"]:
        if item["type"] == CONTAINER:
            for field, _ in CONTAINERS:
                for container in pod["spec"].get(field) or ():
                    resources = container.get("resources") or {}
                    requested, limited = amounts(resources.get("requests")), amounts(resources.get("limits"))
                    yield from _broken(item, POD_RULES, requested, limited)
        elif item["type"] == POD:
            requested = pod_resources.requests(pod, overhead=False)
            limited = pod_resources.limits(pod, overhead=False)
            yield from _broken(item, POD_RULES, requested, limited)


def _claim_complaints(limit_range: Object, claim: Object) -> Iterator[str]:
    requested = amounts(get_path(claim, "spec.resources.requests"))
    for item in limit_range["spec"]["limits"]:
        if item["type"] == CLAIM:
            yield from _broken(item, CLAIM_RULES, requested, {})


def _broken(item: Object, rules: Iterable[tuple[str, Rule]], requests: Amounts, limits: Amounts) -> Iterator[str]:
    """What an entry of a LimitRange has against these amounts."""
    for field, rule in rules:
        for name, enforced in sorted(amounts(item.get(field)).items()):
            complaint = rule(item["type"], name, enforced, requests, limits)
            if complaint:
                yield complaint
