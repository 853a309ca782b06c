"""kube-apiserver's virtual resources: kinds whose objects are worked out when somebody asks, and never stored.

Interface: `answer(request, provider, revision)`; a `Provider` gives the objects of a request's namespace.
The rule not to break: they can be read and nothing else.
Source: upstream serves them through the aggregation layer (`metrics.k8s.io` by metrics-server).
"""

from __future__ import annotations

from collections.abc import Callable

from k8snb.apimachinery.errors import ApiError, bad_request
from k8snb.apimachinery.meta import Object, name_of, namespace_of
from k8snb.apimachinery.selectors import FieldSelector, SelectorError, parse_field_selector, parse_selector
from k8snb.client import Request

Provider = Callable[[Request], list[Object]]


def answer(request: Request, provider: Provider, revision: int) -> Object:
    """A list object, or one object. Raises ApiError NotFound."""
    kind, found = request.kind, [obj for obj in provider(request) if _picks(request, obj)]
    if request.verb == "list":
        metadata = {"resourceVersion": str(revision)}
        return {"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": metadata, "items": found}
    for obj in found:
        if name_of(obj) == request.name and namespace_of(obj) == request.namespace:
            return obj
    name = f"{request.namespace}/{request.name}" if request.namespace else request.name
    resource = f"{kind.singular}.{kind.group}"
    raise ApiError(404, "NotFound", f'{resource} "{name}" not found', {"name": name, "group": kind.group})


def _picks(request: Request, obj: Object) -> bool:
    labels, fields = request.options.get("labelSelector") or "", request.options.get("fieldSelector") or ""
    try:
        selector = parse_selector(labels)
        chosen: FieldSelector | None = parse_field_selector(fields) if fields else None
    except (SelectorError, ValueError) as error:
        raise bad_request(str(error)) from None
    matches = selector.matches(obj["metadata"].get("labels") or {})
    return matches and (chosen is None or chosen.matches(obj))
