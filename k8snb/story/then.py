"""Then: a cluster as it was at a revision, to be asked what one would have asked it then.

Interface: `Then(source, moment)`: `client`, `kubectl`, `history`, `get(…)`, `describe(…)`, `draw(…)`.
The rule not to break: whoever reads a cluster through its client, its kubectl and its clock reads this one the same
way, ages included; nothing can be written here.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

from k8snb.apiserver import ApiServer
from k8snb.apiserver.history import History
from k8snb.apiserver.past import Past
from k8snb.client import ADMIN, Client
from k8snb.clock import Clock, VirtualClock
from k8snb.kubectl import Kubectl
from k8snb.pump import Pump
from k8snb.story.moments import Moment
from k8snb.story.why import Scene

if TYPE_CHECKING:
    from k8snb.kubectl.output import Output


class Source(Protocol):
    """The cluster whose past this is."""

    name: str
    clock: Clock
    pump: Pump

    @property
    def apiserver(self) -> ApiServer: ...

    @property
    def kubectl(self) -> Kubectl: ...


@dataclass(frozen=True)
class Then:
    """A cluster at one moment. Raises ApiError where somebody asks for what is not kept, or wants to write."""

    source: Source
    moment: Moment

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def revision(self) -> int:
        return self.moment.revision

    @functools.cached_property
    def clock(self) -> Clock:
        """Time stands still at that moment."""
        return VirtualClock(self.moment.time)

    @functools.cached_property
    def past(self) -> Past:
        source = self.source
        return Past(source.apiserver, self.revision, self.moment.time, source.pump.lock)

    @functools.cached_property
    def client(self) -> Client:
        """The API as the cluster's administrator, to read."""
        return Client(self.past, ADMIN)

    @functools.cached_property
    def kubectl(self) -> Kubectl:
        """kubectl's commands that read; ages are those of then."""
        return Kubectl(self.client, namespace=self.source.kubectl.namespace, clock_now=self.clock.now)

    @property
    def history(self) -> History:
        """What had happened until then."""
        return History(self.past.store, self.past.kinds)

    @property
    def scheduler(self) -> SimpleNamespace:
        """Its decisions of then are in the events alone."""
        return SimpleNamespace(decisions={})

    def story_scene(self) -> Scene:
        """What a diagnosis may look at: what the API tells, and nothing of the machines behind it."""
        return Scene(self.client, lambda uid: None)

    def get(self, *words: str, **flags: Any) -> Output:
        """`kubectl get`, as of then."""
        return self.kubectl.get(*words, **flags)

    def describe(self, *words: str, **flags: Any) -> Output:
        """`kubectl describe`, as of then."""
        return self.kubectl.describe(*words, **flags)

    def draw(self, *words: str) -> Any:
        """The picture that `%kdraw` makes of these words, as of then."""
        from k8snb.notebook.kdraw import draw

        then: Any = self
        return draw(then, words)

    def run(self, line: str | Sequence[str]) -> Output:
        """Any line of kubectl's that reads."""
        return self.kubectl.run(line)

    def __repr__(self) -> str:
        return f"{self.name} at {self.moment.words}"
