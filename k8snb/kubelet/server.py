"""kubelet's server: what a node answers over HTTP, to whoever comes through `nodes/NAME/proxy`.

Interface: `KubeletServer.get(method, target)` gives what makes the `Reply`; it may block, so it runs outside the lock.
The rule not to break: a path that upstream has and this has not is refused by name.
Source: `pkg/kubelet/server/server.go`. Upstream listens on port 10250 and checks the caller's rights once more.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, name_of, namespace_of
from k8snb.clock import Clock
from k8snb.cri import RUNNING, ContainerStatus
from k8snb.kubelet.actions import PodState, containers_of
from k8snb.kubelet.stats import NodeStats, resource_metrics, summary

JSON, TEXT = "application/json", "text/plain; charset=utf-8"
METRICS = "text/plain; version=0.0.4; charset=utf-8"
ABSENT = ("attach", "checkpoint", "debug", "exec", "flagz", "logs", "metrics", "portForward", "run", "spec", "statusz",
          "stats")  # fmt: skip
HEALTH = ("", "log", "ping", "syncloop")


@dataclass(frozen=True)
class Reply:
    """An answer. Pieces of the body that are empty mean "nothing yet"."""

    status: int
    media_type: str
    body: Iterator[bytes]


Answer = Callable[[], Reply]


class House(Protocol):
    """The kubelet, as its server sees it."""

    name: str

    def pods(self) -> list[tuple[Object, PodState]]: ...
    def logs(self, pod: Object, container: str, options: Mapping[str, Any]) -> Iterator[bytes]: ...
    def configuration(self) -> Object: ...


class KubeletServer:
    def __init__(self, kubelet: House, stats: NodeStats, clock: Clock) -> None:
        self._kubelet = kubelet
        self._clock = clock
        self._stats = stats
        self._started_at = clock.now()
        self._pages: dict[str, Callable[[], Answer]] = {
            "pods": self._pods,
            "stats/summary": self._summary,
            "metrics/resource": self._resource_metrics,
            "metrics": self._metrics,
            "runningpods": self._running_pods,
            "configz": self._configuration,
        }

    def get(self, method: str, target: str) -> Answer:
        """What answers a request. Raises nothing: a refusal is an answer too."""
        parts = urlsplit(target)
        path = parts.path.strip("/")
        first, _, rest = path.partition("/")
        if method not in ("GET", "HEAD"):
            return _say(405, "Method Not Allowed\n")
        if first == "healthz" and rest in HEALTH:
            return _say(200, "ok")
        if path in self._pages:
            return self._pages[path]()
        if first == "containerLogs":
            return self._logs(rest, parts.query)
        if first in ABSENT:
            return _say(501, f"the kubelet's /{path}: not implemented by k8snb\n")
        return _say(404, "404 page not found\n")

    def _pods(self) -> Answer:
        items = [pod for pod, _ in self._kubelet.pods()]
        return _json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    def _summary(self) -> Answer:
        pods, now = self._kubelet.pods(), self._clock.now()

        def answer() -> Reply:
            found = self._stats.read(pods)
            return _json(summary(self._kubelet.name, found, now=now, started_at=self._started_at))()

        return answer

    def _resource_metrics(self) -> Answer:
        pods, now = self._kubelet.pods(), self._clock.now()
        return lambda: Reply(200, METRICS, iter([resource_metrics(self._stats.read(pods), now).encode()]))

    def _running_pods(self) -> Answer:
        """What the runtime has, with no more of a pod than it knows: its names and its containers."""
        found = [(pod, _running(state)) for pod, state in self._kubelet.pods()]
        items = [_bare(pod, containers) for pod, containers in found if containers]
        return _json({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    def _metrics(self) -> Answer:
        running = [count for _, state in self._kubelet.pods() if (count := len(_running(state)))]
        rows = (("kubelet_running_pods", len(running), "Number of pods that have a running pod sandbox"),
                ("kubelet_running_containers", sum(running), "Number of containers currently running"))  # fmt: skip
        text = "".join(f"# HELP {name} {what}\n# TYPE {name} gauge\n{name} {value}\n" for name, value, what in rows)
        return lambda: Reply(200, METRICS, iter([text.encode()]))

    def _configuration(self) -> Answer:
        """The values that are in force, in the words of a KubeletConfiguration."""
        return _json({"kubeletconfig": {"kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1",
                                        **self._kubelet.configuration()}})  # fmt: skip

    def _logs(self, rest: str, query: str) -> Answer:
        """/containerLogs/NAMESPACE/POD/CONTAINER, with the options of `kubectl logs`."""
        words = rest.split("/")
        if len(words) != 3 or not all(words):
            return _say(400, '{"message": "missing namespace, pod or container name!"}\n')
        namespace, name, container = words
        pods = (pod for pod, _ in self._kubelet.pods())
        pod = next((pod for pod in pods if (namespace_of(pod), name_of(pod)) == (namespace, name)), None)
        if pod is None:
            return _say(404, f'{{"message": "pod \\"{name}\\" does not exist"}}\n')
        if container not in [entry["name"] for entry in containers_of(pod)]:
            return _say(404, f'{{"message": "container \\"{container}\\" not found in pod \\"{name}\\""}}\n')
        try:
            options = _log_options(query)
            lines = self._kubelet.logs(pod, container, options)
        except (ApiError, ValueError) as error:
            return _say(400, f"{error}\n")
        return lambda: Reply(200, TEXT, _limited(lines, options.get("limitBytes", sys.maxsize)))


_NUMBERS, _SWITCHES = ("tailLines", "sinceSeconds", "limitBytes"), ("follow", "timestamps", "previous")


def _log_options(query: str) -> dict[str, Any]:
    """Raises ValueError for what is no number."""
    given = {name: values[-1] for name, values in parse_qs(query).items()}
    numbers = {name: int(given[name]) for name in _NUMBERS if name in given}
    return {**numbers, **{name: given.get(name, "") in ("true", "1") for name in _SWITCHES}}


def _limited(lines: Iterator[bytes], left: int) -> Iterator[bytes]:
    while left > 0 and (line := next(lines, None)) is not None:
        yield line[:left]
        left -= len(line)


def _running(state: PodState) -> list[ContainerStatus]:
    return [container for container in state.containers if container.state == RUNNING]


def _bare(pod: Object, containers: list[ContainerStatus]) -> Object:
    metadata = {field: pod["metadata"][field] for field in ("name", "namespace", "uid")}
    listed = [{"name": each.name, "image": each.image, "resources": {}} for each in containers]
    return {"metadata": metadata, "spec": {"containers": listed}, "status": {}}


def _say(status: int, text: str) -> Answer:
    return lambda: Reply(status, TEXT, iter([text.encode()]))


def _json(obj: Object) -> Answer:
    return lambda: Reply(200, JSON, iter([json.dumps(obj).encode()]))
