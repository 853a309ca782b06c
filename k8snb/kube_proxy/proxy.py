"""kube-proxy, the component: follows Services and EndpointSlices and programs the data plane.

Interface: one `RuleBook` for all nodes, and a `KubeProxy` for each: `start()`, `stop()`, `rules()`.
The rule not to break: a change costs what its own Service costs, however many Services and nodes there are.
Source: `cmd/kube-proxy` and `pkg/proxy` in the kubernetes repository. Upstream every node computes all rules for
itself, from a watch of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from k8snb.apimachinery.meta import Object, revision_of
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import WARNING
from k8snb.client.informer import Informers
from k8snb.kube_proxy import DataPlane, Report
from k8snb.kube_proxy.rules import SERVICE_NAME, Rule, not_carried_out, on_node, service_keys, service_rules

Post = Callable[[Callable[[], None]], None]


class RuleBook(Controller):
    """The rules of all services, by service key. `post` hands a callback from the data plane over to the pump."""

    name = "kube-proxy"

    def __init__(self, context: Context, informers: Informers, plane: DataPlane, *, post: Post) -> None:
        super().__init__(context, informers)
        self.rules: dict[str, tuple[Rule, ...]] = {}
        self.plane = plane
        self._told: dict[str, tuple[str, ...]] = {}
        plane.report = lambda report: post(lambda: self._reported(report))
        self._slices = informers.get("endpointslices")
        self._slices.add_index(SERVICE_NAME, service_keys)
        self._slices.on_change(self._slice_changed)
        self._services = self.watch("services")

    def sync(self, key: str) -> None:
        service = self._services.by_key(key)
        rules = service_rules(service, self._slices.by_index(SERVICE_NAME, key)) if service else ()
        if rules != self.rules.get(key, ()):
            self.rules[key] = rules
            self.plane.program(key, rules)
        if not rules:
            self.rules.pop(key, None)
        self._tell(key, service)

    def subject(self, key: str) -> Object | None:
        return self._services.by_key(key)

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        cause = revision_of(new or old or {"metadata": {}})
        for key in dict.fromkeys(key for obj in (old, new) if obj for key in service_keys(obj)):
            self.queue.add(key, cause)

    def _tell(self, key: str, service: Object | None) -> None:
        """Say once what a Service asks for and does not get."""
        sentences = not_carried_out(service) if service else ()
        known = self._told.pop(key, ())
        if sentences:
            self._told[key] = sentences
        for sentence in sentences:
            if service is not None and sentence not in known:
                self.events.event(service, WARNING, "NotImplemented", sentence)

    def _reported(self, report: Report) -> None:
        service = self._services.by_key(report.service)
        if service is not None:
            reason, message = _words(report)
            self.events.event(service, WARNING, reason, message)


class KubeProxy:
    """One node's kube-proxy: while it runs, the node takes part in forwarding."""

    def __init__(self, node: str, address: str, book: RuleBook) -> None:
        self.node = node
        self.address = address
        self._book = book

    def start(self) -> None:
        """The node's own NodePorts open. Starting twice changes nothing."""
        self._book.plane.add_node(self.node, self.address)

    def stop(self) -> None:
        """The node's NodePorts close; upstream's rules would stay in the kernel until it is restarted."""
        self._book.plane.remove_node(self.node)

    def rules(self, service: str = "") -> tuple[Rule, ...]:
        """The rules as this node has them, of one service (`namespace/name`) or of all."""
        book = self._book.rules
        chosen = [book.get(service, ())] if service else book.values()
        return tuple(on_node(rule, self.node, self.address) for rules in chosen for rule in rules)


def _words(report: Report) -> tuple[str, str]:
    """An event's reason and message."""
    wanted = f"{report.listen[0]}:{report.listen[1]}/{report.protocol}"
    if report.actual is None:
        return "PortNotAvailable", f"{wanted} is not served: {report.reason}"
    if report.actual == report.listen:
        return "NotImplemented", f"{wanted}: {report.reason}"
    return "PortMapped", f"{wanted} is found at {report.actual[0]}:{report.actual[1]}: {report.reason}"
