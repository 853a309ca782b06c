"""kube-apiserver's way to the nodes: what a kubelet hands over, and which kubelet is asked about a pod.

Interface: `NodeConnection`; `kubelet_of(nodes, pod)`, `kubelet_named(nodes, name)`.
The rule not to break: what concerns a container is asked of its node's kubelet, never of a runtime.
Source: `pkg/kubelet/client/kubelet_client.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from k8snb.apimachinery import errors
from k8snb.apimachinery.meta import Object, name_of
from k8snb.apiserver.streams import Connection, Session


class HttpReply(Protocol):
    """What a kubelet's own HTTP server answers. Pieces of the body that are empty mean "nothing yet"."""

    @property
    def status(self) -> int: ...
    @property
    def media_type(self) -> str: ...
    @property
    def body(self) -> Iterator[bytes]: ...


class NodeConnection(Protocol):
    """What a kubelet hands over when its node registers: the way to its containers."""

    def logs(self, pod: Object, container: str, options: Mapping[str, Any]) -> Iterator[bytes]: ...
    def exec(self, pod: Object, container: str, command: list[str]) -> Any: ...
    def get_exec(
        self, pod: Object, container: str, command: list[str], *, tty: bool, stdin: bool
    ) -> Callable[[], Session]: ...
    def get_attach(self, pod: Object, container: str, *, stdin: bool) -> Callable[[], Session]: ...
    def get_port_forward(self, pod: Object) -> Callable[[int], Connection]: ...
    def get_http(self, method: str, target: str) -> Callable[[], HttpReply]: ...


Nodes = Mapping[str, NodeConnection]


def kubelet_of(nodes: Nodes, pod: Object) -> NodeConnection:
    """Raises BadRequest for a pod without a node, ServiceUnavailable where the kubelet is silent."""
    node = pod["spec"].get("nodeName")
    if not node:
        raise errors.bad_request(f"pod {name_of(pod)} does not have a host assigned")
    return kubelet_named(nodes, node)


def kubelet_named(nodes: Nodes, name: str) -> NodeConnection:
    if name not in nodes:
        raise errors.unavailable(f"the kubelet of node {name} does not answer: the node is stopped or gone")
    return nodes[name]
