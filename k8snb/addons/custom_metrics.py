"""The custom metrics adapter: metrics that somebody measures in a cell, for autoscalers to read.

Interface: `CustomMetrics`: `add(name, source)`, `add_external(name, source)`; `answer(request)` serves the APIs
custom.metrics.k8s.io and external.metrics.k8s.io.
The rule not to break: a number is one that its source has given now; what the source does not know is left out.
Source: `kubernetes-sigs/custom-metrics-apiserver`. There an adapter is an API server of its own behind the aggregation
layer; here it answers in the kernel, and clients of the HTTPS door do not see it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8snb.apimachinery.custom_metrics import ALL, CUSTOM
from k8snb.apimachinery.errors import ApiError, internal
from k8snb.apimachinery.meta import Object, name_of, namespace_of
from k8snb.apimachinery.quantity import parse
from k8snb.apimachinery.selectors import parse_selector
from k8snb.client import Client, Request
from k8snb.clock import Clock, timestamp

Number = float | int | str | None  # a quantity; None where it is not known
OfObject = Callable[[Object], Number]
OfLabels = Callable[[dict[str, str]], Number]


class CustomMetrics:
    """The sources, by the names of their metrics."""

    def __init__(self, client: Callable[[], Client], clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._sources: dict[str, OfObject] = {}
        self._external: dict[str, OfLabels] = {}

    def add(self, name: str, source: OfObject) -> None:
        self._sources[name] = source

    def add_external(self, name: str, source: OfLabels) -> None:
        self._external[name] = source

    def answer(self, request: Request) -> Object:
        """A list of values. Raises ApiError NotFound for a metric that nobody measures."""
        values = self._described(request) if request.kind.group == CUSTOM else self._outside(request)
        return {"kind": request.kind.kind, "apiVersion": request.kind.api_version, "metadata": {}, "items": values}

    def _described(self, request: Request) -> list[Object]:
        metric, now = request.subresource, timestamp(self._clock.now())
        source = self._sources.get(metric)
        if source is None:
            raise _unknown(f"{request.kind.plural}/{metric}", request.kind.group)
        found = []
        for obj in self._objects(request):
            value = _asked(metric, source, obj)
            if value is not None:
                about = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "name": name_of(obj),
                         "namespace": namespace_of(obj)}  # fmt: skip
                found.append({"describedObject": about, "metric": {"name": metric}, "timestamp": now, "value": value})
        return found

    def _objects(self, request: Request) -> list[Object]:
        client, resource = self._client(), request.kind.plural
        kind = next((row for row in client.kinds() if resource in (row.qualified, row.plural)), None)
        if kind is None:
            raise _unknown(resource, request.kind.group)
        if request.name != ALL:
            return [client.get(kind, request.name, request.namespace if kind.namespaced else "")]
        return client.items(kind, request.namespace, labelSelector=request.options.get("labelSelector") or "")

    def _outside(self, request: Request) -> list[Object]:
        metric = request.kind.plural
        source = self._external.get(metric)
        if source is None:
            raise _unknown(metric, request.kind.group)
        labels = parse_selector(request.options.get("labelSelector") or "").equality()
        value = _asked(metric, source, labels)
        if value is None:
            return []
        now = timestamp(self._clock.now())
        return [{"metricName": metric, "metricLabels": labels, "timestamp": now, "value": value}]


def _unknown(what: str, group: str) -> ApiError:
    words = f"the server could not find the metric {what} in {group}: cluster.add_metric adds one"
    return ApiError(404, "NotFound", words)


def _asked(metric: str, source: Callable[[Any], Number], about: Any) -> str | None:
    """What a source says, as a quantity. What it gets wrong is said in one line."""
    try:
        value = source(about)
        return None if value is None else str(parse(f"{value:.6f}" if isinstance(value, float) else str(value)))
    except Exception as error:
        raise internal(f'the source of the metric "{metric}" failed: {type(error).__name__}: {error}') from error
