"""Templates: pods that are the same to the scheduler, and what has been found out about them.

Interface: `Templates(cache)`: `of(pod)` answers the `Template`; `view_of(spec)` is all that plug-ins which are `local`
read of a pod.
The rule not to break: bounded: few verdicts are kept of many templates on a large cluster.
Upstream evaluates each pod anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from k8snb.apimachinery.meta import Object
from k8snb.scheduler.cache import Cache, group_of
from k8snb.scheduler.ranking import Ranking, Result, Verdict
from k8snb.scheduler.requests import Request, request_of

KEPT_VERDICTS = 250_000  # over all templates; a verdict takes some 400 bytes
FEWEST_TEMPLATES, MOST_TEMPLATES = 8, 512

SPEC = ("nodeName", "nodeSelector", "affinity", "tolerations", "topologySpreadConstraints", "overhead", "resources")
CONTAINER = ("image", "resources", "ports", "restartPolicy")
View = tuple[Any, ...]


class Refused(NamedTuple):
    """No node was left, at one generation of the cache."""

    generation: int
    result: Result


@dataclass(slots=True)
class Template:
    """Pods with the same owner, and alike in all that local plug-ins read."""

    view: View
    request: Request
    ranking: Ranking = field(default_factory=Ranking)
    verdicts: dict[str, Verdict] = field(default_factory=dict)  # by node, where the ranking does not serve
    refused: Refused | None = None


class Templates:
    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._known: dict[str, Template] = {}

    def of(self, pod: Object) -> Template:
        """What is known about pods like this one. Only pods of one controller can be alike."""
        group, view = group_of(pod), view_of(pod["spec"])
        known = self._known.get(group) if group else None
        if known is not None and known.view == view:
            return known
        template = Template(view, request_of(pod))
        if group:
            self._keep(group, template)
        return template

    def clear(self) -> None:
        """Forget all verdicts."""
        self._known.clear()

    def _keep(self, group: str, template: Template) -> None:
        self._known.pop(group, None)
        self._known[group] = template
        room = KEPT_VERDICTS // max(len(self._cache.nodes), 1)
        if len(self._known) > min(max(room, FEWEST_TEMPLATES), MOST_TEMPLATES):
            self._known.pop(next(iter(self._known)))


def view_of(spec: Mapping[str, Any]) -> View:
    """The fields of a pod's spec that decide where it can run, whatever it is called."""
    containers = [[container.get(name) for name in CONTAINER] for container in spec.get("containers") or ()]
    first = [[container.get(name) for name in CONTAINER] for container in spec.get("initContainers") or ()]
    return (*(spec.get(name) for name in SPEC), containers, first)
