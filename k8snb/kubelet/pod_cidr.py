"""kubelet's pod range: waits for the range in the Node's `spec.podCIDR`, and tells it to the runtime.

Interface: `PodCidr(…)`: `start()`, `stop()`; `problem()`: why the node's network is not ready, "" = it is.
The rule not to break: no pod is started before its node has a range, or two nodes' pods could get one address.
Source: `updatePodCIDR` in `pkg/kubelet/kubelet_network.go`.
"""

from __future__ import annotations

from collections.abc import Callable

from k8snb.apimachinery.meta import Object, get_path
from k8snb.client import Client
from k8snb.client.context import Context
from k8snb.client.informer import Informer
from k8snb.cri import RangeTaker, Runtime

WAITING = (
    "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
    "message:Network plugin returns error: the node has no spec.podCIDR yet"
)


class PodCidr:
    """`on_known` is called when the range is there. A node that brings a range of its own (`own`) waits for nothing."""

    def __init__(
        self, node: str, client: Client, context: Context, *, runtime: Runtime, own: str, on_known: Callable[[], None]
    ) -> None:  # fmt: skip
        self._node = node
        self._runtime = runtime
        self._range = own
        self._on_known = on_known
        self._nodes = Informer("nodes", client, context, field_selector=f"metadata.name={node}")
        self._nodes.on_change(self._changed)

    def start(self) -> None:
        if self._range:
            self._on_known()
        else:
            self._nodes.start()

    def stop(self) -> None:
        self._nodes.stop()

    def problem(self) -> str:
        return "" if self._range else WAITING

    def _changed(self, old: Object | None, new: Object | None) -> None:
        given = get_path(new, "spec.podCIDR") if new is not None else None
        if not given or self._range:
            return
        if isinstance(self._runtime, RangeTaker):
            self._runtime.update_runtime_config(self._node, given)
        self._range = given
        self._nodes.stop()
        self._on_known()
