"""kubectl top: what nodes and pods use now.

Interface: `COMMANDS`.
The rule not to break: the numbers are the metrics API's; a share is one of what the node has to give.
Source: `kubectl/pkg/cmd/top`, `kubectl/pkg/metricsutil`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from k8snb.apimachinery import quantity
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import BY_GVK
from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of
from k8snb.kubectl import flags
from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag, usage_error
from k8snb.kubectl.output import Column, KubectlError, Output, Row, Table, columns_text
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.session import Session
from k8snb.printers.autoscaling import cores, memory

PODS = BY_GVK["metrics.k8s.io/v1beta1", "PodMetrics"]
NODES = BY_GVK["metrics.k8s.io/v1beta1", "NodeMetrics"]
NOT_YET = "error: metrics not available yet"
NOT_SERVED = "error: Metrics API not available: it comes with %kcluster addons enable metrics-server"
_GROUP = "Cluster Management Commands"
_MEASURES: dict[str, Callable[[Object], int]] = {
    "cpu": lambda usage: quantity.milli(usage.get("cpu", 0)),
    "memory": lambda usage: quantity.to_bytes(usage.get("memory", 0)),
}


def _sort(args: Arguments) -> str:
    measure = args.text("sort-by")
    if measure and measure not in _MEASURES:
        raise KubectlError("error: --sort-by accepts only cpu or memory")
    return measure


def _read(session: Session, kind: Any, args: Arguments, namespace: str) -> list[Object]:
    """The metrics of one object by name, or of those that the selector picks. Raises KubectlError."""
    if len(args.words) > 1:
        raise usage_error(f"at most one NAME is allowed, got {len(args.words)}", args.command)
    name, selector = (args.words or [""])[0], args.text("selector")
    if name and selector:
        raise usage_error("only one of NAME or --selector can be provided", args.command)
    try:
        if name:
            return [session.client.get(kind, name, namespace)]
        return session.client.items(kind, namespace, labelSelector=selector)
    except ApiError as error:
        if error.reason == "ServiceUnavailable":
            raise KubectlError(NOT_SERVED) from None
        raise refused(error) from None


def _shown(args: Arguments, head: Sequence[str], rows: Sequence[tuple[Any, ...]], objects: list[Object]) -> Output:
    table = Table(columns=tuple(map(Column, head)), rows=tuple(Row(row, {}) for row in rows))
    lines = [tuple(map(str, row)) for row in rows]
    shown = lines if args.on("no-headers") else [tuple(head), *lines]
    text = columns_text([(*line, "") for line in shown])  # kubectl fills up the last column too
    return Output(text=text, tables=[table], objects=objects)


# nodes


def nodes(session: Session, args: Arguments) -> Output:
    measure = _sort(args)
    metrics = _read(session, NODES, args, "")
    if not metrics:
        raise KubectlError(NOT_YET)
    if measure:
        metrics = sorted(metrics, key=lambda each: -_MEASURES[measure](each["usage"]))
    else:
        metrics = sorted(metrics, key=name_of)
    field = "capacity" if args.on("show-capacity") else "allocatable"
    given = {name_of(node): get_path(node, f"status.{field}") or {} for node in session.client.items("nodes")}
    rows = [_node_row(each, given.get(name_of(each), {})) for each in metrics]
    return _shown(args, ("NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"), rows, metrics)


def _node_row(metrics: Object, given: Object) -> tuple[Any, ...]:
    usage = metrics["usage"]
    return (name_of(metrics), cores([usage]), _share("cpu", usage, given), memory([usage]),
            _share("memory", usage, given))  # fmt: skip


def _share(measure: str, usage: Object, given: Object) -> str:
    whole = _MEASURES[measure](given)
    return f"{_MEASURES[measure](usage) * 100 // whole}%" if whole else "<unknown>"


# pods


def pods(session: Session, args: Arguments) -> Output:
    measure, everywhere = _sort(args), args.on("all-namespaces")
    metrics = _read(session, PODS, args, "" if everywhere else session.namespace)
    if args.text("field-selector"):
        metrics = _chosen(session, args, metrics, "" if everywhere else session.namespace)
    if not metrics:
        return _nothing(session, args, "" if everywhere else session.namespace)
    metrics = sorted(metrics, key=lambda each: (namespace_of(each), name_of(each)))
    if measure:
        metrics.sort(key=lambda each: -sum(_MEASURES[measure](used) for used in _used(each)))
    head = [*(["NAMESPACE"] if everywhere else []), *(["POD"] if args.on("containers") else []), "NAME", "CPU(cores)",
            "MEMORY(bytes)"]  # fmt: skip
    rows = [row for each in metrics for row in _pod_rows(each, args, everywhere, measure)]
    if args.on("sum"):
        everything = [used for each in metrics for used in _used(each)]
        gap = [""] * (len(head) - 3)
        rows += [(*gap, "", "________", "________"), (*gap, "", cores(everything), memory(everything))]
    return _shown(args, head, rows, metrics)


def _chosen(session: Session, args: Arguments, metrics: list[Object], namespace: str) -> list[Object]:
    """The metrics of the pods that `--field-selector` picks: metrics themselves have no such fields."""
    try:
        pods = session.client.items("pods", namespace, fieldSelector=args.text("field-selector"))
    except ApiError as error:
        raise refused(error) from None
    names = {(namespace_of(pod), name_of(pod)) for pod in pods}
    return [each for each in metrics if (namespace_of(each), name_of(each)) in names]


def _used(metrics: Object) -> list[Object]:
    return [container["usage"] for container in metrics["containers"]]


def _pod_rows(metrics: Object, args: Arguments, everywhere: bool, measure: str) -> list[tuple[Any, ...]]:
    where = (namespace_of(metrics),) if everywhere else ()
    if not args.on("containers"):
        return [(*where, name_of(metrics), cores(_used(metrics)), memory(_used(metrics)))]
    containers = sorted(metrics["containers"], key=lambda each: str(each["name"]))
    if measure:
        containers.sort(key=lambda each: -_MEASURES[measure](each["usage"]))
    return [(*where, name_of(metrics), each["name"], cores([each["usage"]]), memory([each["usage"]]))
            for each in containers]  # fmt: skip


def _nothing(session: Session, args: Arguments, namespace: str) -> Output:
    """No metrics: because there are no pods, or because nobody has measured them yet."""
    found = session.client.items("pods", namespace, labelSelector=args.text("selector"))
    if any(get_path(pod, "status.phase") == "Running" for pod in found):
        raise KubectlError(NOT_YET)
    where = "" if args.on("all-namespaces") else f" in {session.namespace} namespace."
    return Output(text=f"No resources found{where}\n", notices=f"No resources found{where}\n")


_SORT_BY = Flag("sort-by", help="Sort by cpu or memory.", values=("cpu", "memory"))
COMMANDS = (
    Command(name="top", usage="SUBCOMMAND [flags]", help="Show what nodes and pods use.", group=_GROUP),
    Command(
        name="top node",
        usage="[NAME | -l label] [flags]",
        help="Show what nodes use.",
        group=_GROUP,
        aliases=("top nodes", "top no"),
        run=nodes,
        flags=(flags.SELECTOR, _SORT_BY, flags.NO_HEADERS,
               Flag("show-capacity", BOOL, "Shares of the node's capacity, not of what it has to give.")),
        missing=("use-protocol-buffers",),
        words="nodes",
        examples=("kubectl top node", "kubectl top node node-1"),
    ),
    Command(
        name="top pod",
        usage="[NAME | -l label] [flags]",
        help="Show what pods use.",
        group=_GROUP,
        aliases=("top pods", "top po"),
        run=pods,
        flags=(flags.SELECTOR, flags.FIELD_SELECTOR, flags.ALL_NAMESPACES, _SORT_BY, flags.NO_HEADERS,
               Flag("containers", BOOL, "Show each container."), Flag("sum", BOOL, "Add a line with the sum.")),
        missing=("use-protocol-buffers",),
        words="pods",
        examples=("kubectl top pod", "kubectl top pod -A --sort-by=memory", "kubectl top pod web --containers"),
    ),
)  # fmt: skip
