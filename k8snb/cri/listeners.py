"""Runtime listeners: who is told when something changed in a pod, node by node.

Interface: `Listeners.add(node, callback)` returns what takes the callback back; `tell(node, uid)`, `tell_all()`,
`forget(node)`.
The rule not to break: any thread may call; no lock is held while a callback runs, and one that fails fails alone.
Upstream's runtimes send such events over a gRPC stream for each client: GetContainerEvents.
"""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress

Callback = Callable[[str], None]


class Listeners:
    """The callbacks of one runtime."""

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callback]] = {}
        self._lock = threading.Lock()

    def add(self, node: str, callback: Callback) -> Callable[[], None]:
        """Tell `callback` of this node's pods from now on, until what is returned is called."""
        with self._lock:
            self._callbacks.setdefault(node, []).append(callback)

        def stop() -> None:
            with self._lock, suppress(KeyError, ValueError):
                self._callbacks[node].remove(callback)

        return stop

    def forget(self, node: str) -> None:
        with self._lock:
            self._callbacks.pop(node, None)

    def tell(self, node: str, uid: str) -> None:
        with self._lock:
            callbacks = list(self._callbacks.get(node, ()))
        for callback in callbacks:
            try:
                callback(uid)
            except Exception:
                sys.stderr.write(f"container runtime: a listener failed:\n{traceback.format_exc()}")

    def tell_all(self) -> None:
        """Something may have changed in any pod."""
        with self._lock:
            nodes = list(self._callbacks)
        for node in nodes:
            self.tell(node, "")
