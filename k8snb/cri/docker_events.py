"""Docker events: tells kubelets that something changed in one of their pods.

Interface: `ContainerEvents`: `add` a callback for a node, `forget` a node, `close`.
The rule not to break: one thread for all nodes; all that happens after `add` returned is told, whatever breaks off.
Upstream's kubelet asks for all containers every second (PLEG), or listens to GetContainerEvents as is done here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from k8snb.cri.docker_engine import engine_errors
from k8snb.cri.docker_status import NODE, POD_UID
from k8snb.cri.listeners import Listeners

_EVENTS = ["create", "start", "die", "oom", "destroy"]


class ContainerEvents:
    """One thread on the engine's events, for all nodes; it starts with the first callback."""

    def __init__(self, api: Any, labels: list[str]) -> None:
        self._api = api
        self._filters = {"type": "container", "event": _EVENTS, "label": labels}
        self._listeners = Listeners()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._stream: Any = None
        self._thread: threading.Thread | None = None

    def add(self, node: str, callback: Callable[[str], None]) -> Callable[[], None]:
        stop = self._listeners.add(node, callback)
        with self._lock:
            if self._thread is None:
                self._open(None)
                self._thread = threading.Thread(target=self._run, name="k8snb-docker-events", daemon=True)
                self._thread.start()
        return stop

    def forget(self, node: str) -> None:
        self._listeners.forget(node)

    def close(self) -> None:
        self._closed.set()
        self._shut()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    def _open(self, since: str | None) -> None:
        """From here on the engine keeps what happens for us, also before the thread reads it."""
        self._stream = self._api.events(decode=True, filters=dict(self._filters), since=since)

    def _shut(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with suppress(OSError, AttributeError):
                stream.close()
            with suppress(OSError, AttributeError):
                stream._response.close()

    def _run(self) -> None:
        gone: tuple[type[Exception], ...] = (*engine_errors(), OSError, ValueError, AttributeError)
        since: str | None = None
        while not self._closed.is_set():
            try:
                if self._stream is None:
                    self._open(since)
                    self._listeners.tell_all()  # an engine that was started again does not know what ended with it
                for event in self._stream or ():
                    since = f"{event['timeNano'] // 10**9}.{event['timeNano'] % 10**9:09d}"
                    self._tell(event["Actor"]["Attributes"])
            except gone:
                pass  # the engine went away, or close() shut the stream
            if not self._closed.is_set():
                if self._stream is not None:
                    self._listeners.tell_all()  # whoever asks now finds out that nobody is there
                self._shut()
                self._closed.wait(1.0)

    def _tell(self, labels: Mapping[str, str]) -> None:
        self._listeners.tell(labels.get(NODE, ""), labels.get(POD_UID, ""))
