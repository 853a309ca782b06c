"""The nominator: pods for whose sake others had to go, and the nodes where they wait for the room.

Interface: `Nominator`: `nominate`, `forget`, `on(node)`.
The rule not to break: room that was made for a pod is not given to one that is not more important.
Source: `pkg/scheduler/backend/queue/nominator.go` in the kubernetes repository.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, key_of


class Nominator:
    def __init__(self) -> None:
        self._node_of: dict[str, str] = {}
        self._on: dict[str, dict[str, Object]] = {}

    def __bool__(self) -> bool:
        return bool(self._on)

    def nominate(self, pod: Object, node: str) -> None:
        """Note where a pod is to go; "" for nowhere."""
        key = key_of(pod)
        self.forget(key)
        if node:
            self._node_of[key] = node
            self._on.setdefault(node, {})[key] = pod

    def forget(self, key: str) -> None:
        """The pod has its node, or has gone."""
        node = self._node_of.pop(key, None)
        if node is not None:
            del self._on[node][key]
            if not self._on[node]:
                del self._on[node]

    def node_of(self, key: str) -> str:
        return self._node_of.get(key, "")

    def on(self, node: str) -> list[Object]:
        """The pods that wait for room on a node."""
        return list(self._on.get(node, {}).values())
