"""horizontal-pod-autoscaler's metrics beside CPU and memory: of pods, of one object, of something outside the cluster.

Interface: `by_metric(…)` answers the number of pods that a metric of kind Pods, Object or External asks for, its name,
and its current value for the status.
The rule not to break: what nobody serves is refused by name; the number of pods stays.
Source: `horizontal.go`, `replica_calculator.go` and `metrics/client.go` in `pkg/controller/podautoscaler` of the
kubernetes repository.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from k8snb.apimachinery.custom_metrics import ALL, described, external
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, get_path
from k8snb.apimachinery.quantity import milli
from k8snb.apimachinery.selectors import from_label_selector
from k8snb.client import Client
from k8snb.clock import parse_timestamp
from k8snb.controllers.podautoscaler_replicas import MetricError, Proposal, Reading, by_average, by_total

FIELDS = {"Pods": "pods", "Object": "object", "External": "external"}
WINDOW = 60.0  # seconds (upstream: metricServerDefaultMetricWindow)


class Asked(NamedTuple):
    """The one who asks: in which namespace, for how many pods, and which those are."""

    namespace: str
    current: int
    selector: str
    pods: Sequence[Object]
    now: float


def by_metric(client: Client, metric: Object, asked: Asked) -> tuple[Proposal, str, Object]:
    """The number of pods, the metric's name, and `{field: status}`. Raises MetricError."""
    sort = metric["type"]
    source = metric[FIELDS[sort]]
    try:
        proposal, current = {"Pods": _pods, "Object": _object, "External": _external}[sort](client, source, asked)
    except ApiError as error:
        name, served = source["metric"]["name"], "external" if sort == "External" else "custom"
        words = f"unable to fetch metrics from {served} metrics API: {error.message}"
        raise MetricError(f"unable to get metric {name}: {words}") from None
    status = {"metric": source["metric"], "current": current}
    if sort == "Object":
        status["describedObject"] = source["describedObject"]
    return proposal, _title(sort, source), {"type": sort, FIELDS[sort]: status}


def _pods(client: Client, source: Object, asked: Asked) -> tuple[Proposal, Object]:
    name, goal = source["metric"]["name"], source["target"]["averageValue"]
    answer = client.get(described("pods"), ALL, asked.namespace, subresource=name, labelSelector=asked.selector)
    readings = {each["describedObject"]["name"]: _reading(each) for each in answer["items"]}
    if not readings:
        raise MetricError(f"unable to get metric {name}: no metrics returned from custom metrics API")
    found = by_average(asked.current, milli(goal), asked.pods, readings, resource="", now=asked.now)
    return found, {"averageValue": _quantity(found.average)}


def _reading(value: Object) -> Reading:
    return Reading(milli(value["value"]), parse_timestamp(value["timestamp"]), WINDOW)


def _object(client: Client, source: Object, asked: Asked) -> tuple[Proposal, Object]:
    name, about = source["metric"]["name"], source["describedObject"]
    kind = _kind_of(client, about)
    namespace = asked.namespace if kind.namespaced else ""
    answer = client.get(described(kind.qualified), about["name"], namespace, subresource=name)
    values = [milli(each["value"]) for each in answer["items"]]
    if len(values) != 1:
        raise MetricError(f"unable to get metric {name}: {about['kind']} on {asked.namespace} {about['name']}/no value")
    return _by_goal(source["target"], values[0], asked)


def _external(client: Client, source: Object, asked: Asked) -> tuple[Proposal, Object]:
    name, wanted = source["metric"]["name"], source["metric"].get("selector")
    selector = str(from_label_selector(wanted)) if wanted else ""
    answer = client.list(external(name), asked.namespace, labelSelector=selector)
    if not answer["items"]:
        raise MetricError(f"unable to get external metric {asked.namespace}/{name}/{_go(wanted)}: no metrics returned")
    return _by_goal(source["target"], sum(milli(each["value"]) for each in answer["items"]), asked)


def _by_goal(target: Object, usage: int, asked: Asked) -> tuple[Proposal, Object]:
    """One number for all pods: it is to be a certain one, or a certain one for each pod."""
    each = target.get("averageValue") is not None
    goal = milli(target["averageValue"] if each else target["value"])
    found = by_total(asked.current, goal, usage, asked.pods, each=each)
    return found, {"averageValue" if each else "value": _quantity(found.average)}


def _kind_of(client: Client, about: Object) -> Kind:
    version, word = about.get("apiVersion") or "v1", about["kind"]
    for kind in client.kinds():
        if (kind.api_version, kind.kind) == (version, word):
            return kind
    raise MetricError(f'no matches for kind "{word}" in version "{version}"')


def _title(sort: str, source: Object) -> str:
    """What a metric is called where a number of pods is explained."""
    name, selector = source["metric"]["name"], source["metric"].get("selector")
    if sort == "Pods":
        return f"pods metric {name}"
    if sort == "Object" and get_path(source, "target.averageValue") is None:
        return f"{name} metric"
    return f"external metric {name}({_go(selector)})"


def _go(selector: Object | None) -> str:
    """A label selector as Go prints it."""
    if selector is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    parts = f"MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{}},"
    return f"&LabelSelector{{{parts}}}"


def _quantity(thousandths: int) -> str:
    return str(thousandths // 1000) if thousandths % 1000 == 0 else f"{thousandths}m"
