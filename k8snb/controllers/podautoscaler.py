"""horizontal-pod-autoscaler: as many pods as their load needs.

Interface: `HorizontalController`. The rule not to break: where a metric is missing the number does not fall.
Source: `pkg/controller/podautoscaler/horizontal.go` in the kubernetes repository. Metrics of kind Pods, Object and
External are served where somebody has added them (`cluster.add_metric`); else their conditions say so.
"""

from __future__ import annotations

from typing import NamedTuple

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import BY_GVK, Kind
from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of, with_condition, with_path
from k8snb.apimachinery.quantity import milli
from k8snb.client.client import MERGE
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import NORMAL, WARNING
from k8snb.client.informer import Informers
from k8snb.clock import parse_timestamp, timestamp
from k8snb.controllers.podautoscaler_metrics import FIELDS, Asked, by_metric
from k8snb.controllers.podautoscaler_rates import History, Said, settle
from k8snb.controllers.podautoscaler_replicas import MetricError, Reading, by_average, by_utilization

PERIOD = 15.0  # seconds from one look to the next
METRICS = BY_GVK["metrics.k8s.io/v1beta1", "PodMetrics"]
GET_SCALE, UPDATE_SCALE = "FailedGetScale", "FailedUpdateScale"
_FAILED = {"Resource": "FailedGetResourceMetric", "ContainerResource": "FailedGetContainerResourceMetric",
           "Pods": "FailedGetPodsMetric", "Object": "FailedGetObjectMetric",
           "External": "FailedGetExternalMetric"}  # fmt: skip
_BELOW = "Current number of replicas below Spec.MinReplicas"
_ABOVE = "Current number of replicas above Spec.MaxReplicas"
_DISABLED = "scaling is disabled since the replica count of the target is zero"


class Target(NamedTuple):
    """What is scaled: its kind, its name, how many pods it wants, and which are its pods."""

    kind: Kind
    name: str
    replicas: int
    selector: str


class Wish(NamedTuple):
    """What the metrics ask for, why, and what they are now."""

    replicas: int
    why: str
    current: list[Object]


class Round:
    """One look at one autoscaler: the conditions and the metrics that it leaves behind."""

    def __init__(self, scaler: Object, now: str) -> None:
        self.scaler = scaler
        self._now = now
        self.conditions = list(get_path(scaler, "status.conditions") or ())
        self.metrics: list[Object] = list(get_path(scaler, "status.currentMetrics") or ())

    def say(self, sort: str, status: bool, reason: str, message: str) -> None:
        entry = {"type": sort, "status": str(status), "reason": reason, "message": message}
        self.conditions = with_condition(self.conditions, entry, self._now)


class HorizontalController(Controller):
    name = "horizontal-pod-autoscaler"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.scalers = informers.get("horizontalpodautoscalers")
        self.scalers.on_change(self._changed)
        self._histories: dict[str, History] = {}

    def _changed(self, old: Object | None, new: Object | None) -> None:
        """A status is this controller's own word."""
        if new is not None and (old is None or old["spec"] != new["spec"]):
            self.enqueue(new)

    def sync(self, key: str) -> None:
        scaler = self.scalers.by_key(key)
        if scaler is None:
            self._histories.pop(key, None)
            return
        self.queue.add_after(key, PERIOD, background=True)
        self._look(key, scaler)

    def subject(self, key: str) -> Object | None:
        return self.scalers.by_key(key)

    def _look(self, key: str, scaler: Object) -> None:
        one = Round(scaler, timestamp(self.clock.now()))
        try:
            target = self._target(scaler)
        except (ApiError, MetricError) as error:
            self.events.event(scaler, WARNING, GET_SCALE, str(error))
            words = f"the HPA controller was unable to get the target's current scale: {error}"
            one.say("AbleToScale", False, GET_SCALE, words)
            status = scaler.get("status") or {}
            self._write(one, status.get("currentReplicas", 0), status.get("desiredReplicas", 0))
            return
        one.say("AbleToScale", True, "SucceededGetScale",
                "the HPA controller was able to get the target's current scale")  # fmt: skip
        history = self._histories.setdefault(key, History([(self.clock.now(), target.replicas)]))
        wanted = self._wanted(one, target, history)
        if wanted is None:
            self._write(one, target.replicas, get_path(scaler, "status.desiredReplicas", 0))
            return
        replicas, why = wanted
        rescaled = replicas != target.replicas and self._rescale(one, target, replicas, why, history)
        self._write(one, target.replicas, replicas if rescaled or replicas == target.replicas else target.replicas,
                    rescaled=rescaled)  # fmt: skip

    # the target

    def _target(self, scaler: Object) -> Target:
        reference = scaler["spec"]["scaleTargetRef"]
        version, word = reference.get("apiVersion", "v1"), reference["kind"]
        kind = next((row for row in self.client.kinds() if (row.api_version, row.kind) == (version, word)), None)
        if kind is None or "scale" not in kind.subresources:
            raise MetricError(f'no matches for kind "{word}" in group "{version.rpartition("/")[0]}"')
        scale = self.client.get(kind, reference["name"], namespace_of(scaler), subresource="scale")
        selector = get_path(scale, "status.selector", "")
        return Target(kind, reference["name"], get_path(scale, "spec.replicas", 0), selector)

    def _rescale(self, one: Round, target: Target, replicas: int, why: str, history: History) -> bool:
        scaler = one.scaler
        try:
            self.client.patch(target.kind, target.name, {"spec": {"replicas": replicas}}, namespace_of(scaler),
                              subresource="scale", content_type=MERGE)  # fmt: skip
        except ApiError as error:
            self.events.event(scaler, WARNING, "FailedRescale", f"New size: {replicas}; reason: {why}; error: {error}")
            words = f"the HPA controller was unable to update the target scale: {error}"
            one.say("AbleToScale", False, UPDATE_SCALE, words)
            return False
        one.say("AbleToScale", True, "SucceededRescale",
                f"the HPA controller was able to update the target scale to {replicas}")  # fmt: skip
        self.events.event(scaler, NORMAL, "SuccessfulRescale", f"New size: {replicas}; reason: {why}")
        history.changed(self.clock.now(), target.replicas, replicas)
        return True

    # how many

    def _wanted(self, one: Round, target: Target, history: History) -> tuple[int, str] | None:
        """How many pods there shall be and why; None where that cannot be told."""
        spec, current = one.scaler["spec"], target.replicas
        least, most = spec.get("minReplicas", 1), spec["maxReplicas"]
        if current == 0 and least != 0:
            one.say("ScalingActive", False, "ScalingDisabled", _DISABLED)
            return 0, ""
        if current > most:
            return most, _ABOVE
        if current < least:
            return least, _BELOW
        wish = self._wish(one, target)
        if wish is None:
            return None
        verdict = settle(history, now=self.clock.now(), current=current, wanted=wish.replicas, least=least, most=most,
                         behavior=spec.get("behavior"))  # fmt: skip
        one.metrics = wish.current
        _say(one, "AbleToScale", verdict.able)
        _say(one, "ScalingLimited", verdict.limited)
        return (
            verdict.replicas,
            f"{wish.why} above target" if verdict.replicas > current else "All metrics below target",
        )

    def _wish(self, one: Round, target: Target) -> Wish | None:
        """The highest number that a metric asks for. None where too little is known."""
        scaler, metrics = one.scaler, one.scaler["spec"].get("metrics") or []
        best, failures = Wish(-1, "", []), []
        current: list[Object] = []
        for metric in metrics:
            try:
                found = self._metric(scaler, target, metric)
            except (MetricError, ApiError) as error:
                what = _what(metric)
                failures.append((_FAILED[metric["type"]], _source(metric), f"failed to get {what}: {error}"))
                self.events.event(scaler, WARNING, _FAILED[metric["type"]], failures[-1][2])
                current.append({})
                continue
            current += found.current
            best = found if found.replicas > best.replicas else best
        if failures and (len(failures) == len(metrics) or best.replicas < target.replicas):
            reason, what, message = failures[0]
            one.say("ScalingActive", False, reason, f"the HPA was unable to compute the replica count: {message}")
            words = f"invalid metrics ({len(failures)} invalid out of {len(metrics)}), first error is: "
            words += f"failed to get {what} metric value: {message}"
            self.events.event(scaler, WARNING, "FailedComputeMetricsReplicas", words)
            return None
        words = f"the HPA was able to successfully calculate a replica count from {best.why}"
        one.say("ScalingActive", True, "ValidMetricFound", words)
        return best._replace(current=[entry for entry in current if entry])

    def _metric(self, scaler: Object, target: Target, metric: Object) -> Wish:
        """What one metric asks for. Raises MetricError."""
        sort = metric["type"]
        if sort in FIELDS:
            return self._other_metric(scaler, target, metric)
        field = "resource" if sort == "Resource" else "containerResource"
        source = metric[field]
        resource, goal, container = source["name"], source["target"], source.get("container", "")
        pods = self.client.items("pods", namespace_of(scaler), labelSelector=target.selector)
        readings = self._readings(scaler, target, resource, container)
        own = f"{resource} container resource" if container else f"{resource} resource"
        if goal.get("averageUtilization") is not None:
            found = by_utilization(target.replicas, goal["averageUtilization"], pods, readings, resource=resource,
                                   now=self.clock.now(), container=container)  # fmt: skip
            why = f"{own} utilization (percentage of request)"
        else:
            found = by_average(target.replicas, milli(goal["averageValue"]), pods, readings, resource=resource,
                               now=self.clock.now())  # fmt: skip
            why = own
        current: Object = {"averageValue": _amount(resource, found.average)}
        if goal.get("averageUtilization") is not None:
            current["averageUtilization"] = found.utilization
        named = {"name": resource, **({"container": container} if container else {})}
        return Wish(found.replicas, why, [{"type": sort, field: {**named, "current": current}}])

    def _other_metric(self, scaler: Object, target: Target, metric: Object) -> Wish:
        namespace = namespace_of(scaler)
        pods = self.client.items("pods", namespace, labelSelector=target.selector)
        asked = Asked(namespace, target.replicas, target.selector, pods, self.clock.now())
        found, why, current = by_metric(self.client, metric, asked)
        return Wish(found.replicas, why, [current])

    def _readings(self, scaler: Object, target: Target, resource: str, container: str) -> dict[str, Reading]:
        """What each measured pod uses, in thousandths. Raises MetricError where none is measured."""
        found = {}
        try:
            listed = self.client.items(METRICS, namespace_of(scaler), labelSelector=target.selector)
        except ApiError as error:
            raise MetricError(f"unable to get metrics for resource {resource}: {error}") from None
        for each in listed:
            used = [entry["usage"].get(resource) for entry in each["containers"] if container in ("", entry["name"])]
            if used and all(amount is not None for amount in used):
                window = float(str(each["window"]).rstrip("s"))
                found[name_of(each)] = Reading(sum(map(milli, used)), parse_timestamp(each["timestamp"]), window)
        if not found:
            why = "no metrics returned from resource metrics API"
            raise MetricError(f"unable to get metrics for resource {resource}: {why}")
        return found

    # the status

    def _write(self, one: Round, current: int, desired: int, *, rescaled: bool = False) -> None:
        scaler = one.scaler
        present = scaler.get("status") or {}
        status: Object = {**present, "currentReplicas": current, "desiredReplicas": desired,
                          "conditions": one.conditions, "currentMetrics": one.metrics}  # fmt: skip
        if rescaled:
            status["lastScaleTime"] = timestamp(self.clock.now())
        if not one.metrics:
            status["currentMetrics"] = None
        if status != present:
            self.client.update_status("horizontalpodautoscalers", with_path(scaler, "status", status))


def _source(metric: Object) -> str:
    """What a metric is called where it is one of several: `cpu resource`."""
    source = metric.get("resource") or metric.get("containerResource")
    return f"{source['name']} resource" if source is not None else metric["type"].lower()


def _what(metric: Object) -> str:
    """What a metric is called in complaints: `cpu utilization`."""
    source = metric.get("resource") or metric.get("containerResource")
    if source is None:
        return f"{metric['type'].lower()} metric value"
    used = "utilization" if source["target"].get("averageUtilization") is not None else "usage"
    return f"{source['name']} {used}"


def _say(one: Round, sort: str, said: Said) -> None:
    one.say(sort, said.status, said.reason, said.message)


def _amount(resource: str, thousandths: int) -> str:
    """As a quantity: millicores, or bytes."""
    return f"{thousandths}m" if resource == "cpu" else str(thousandths // 1000)
