"""A cluster's past: what was written, by whom, and how everything was at a moment.

Interface: `Past`: `journal`, `at`, `changes`, `scenes`; `side_by_side` and `compare` with another cluster.
The rule not to break: it is read from etcd's log, and nothing is kept beside that.
"""

from __future__ import annotations

from collections.abc import Sequence

from k8snb import journal
from k8snb.apimachinery.kinds import Kind
from k8snb.cluster.reach import Reach
from k8snb.journal import Entry
from k8snb.story import moments
from k8snb.story.compared import Compared, compare
from k8snb.story.futures import Count, Unlike, counts, unlike
from k8snb.story.moments import Moment
from k8snb.story.scenes import MOST, Scene, scenes
from k8snb.story.then import Then


class Past(Reach):
    def journal(self, after: int = 0) -> list[Entry]:
        """What each component did after a revision, as far back as etcd remembers."""
        with self.pump.lock:
            return journal.read(self.store.history(after=after))

    def at(self, moment: int | str | Moment) -> Then:
        """The cluster as it was: `cluster.at(120).get("pods")`, `cluster.at("-30s").draw()`. See `story.moments` for
        what a moment can be called. Raises NoMomentError, a ValueError, for one that is none."""
        self._must_run()
        if isinstance(moment, Moment):
            return Then(self, moment)
        with self.pump.lock:
            return Then(self, moments.find(self.history, moment, self.clock.now()))

    def changes(self, since: int | str, until: int | str = "now") -> list[Compared]:
        """The objects that differ between two moments, each as it was and as it became. Raises NoMomentError."""
        before, after = self.at(since), self.at(until)
        return compare(self.history, before.revision, after.revision)

    def scenes(self, since: int | str = "", until: int | str = "now", most: int = MOST) -> list[Scene]:
        """The moments between two that show what happened; from the beginning where `since` is "". Raises
        NoMomentError."""
        began = self.at(since or self.history.oldest)
        return scenes(self.history, began.revision, self.at(until).revision, most)

    def side_by_side(self, other: Past, *, ahead: float = 0.0) -> tuple[Then, Then]:
        """This cluster and another at the newest moment that both have reached. One whose time is virtual goes on until
        then, and `ahead` seconds more. Raises NoMomentError where one of them was not there yet."""
        both = (self, other)
        goal = max(each.clock.now() for each in both) + ahead
        for each in both:
            if each.clock.virtual:
                each.run_for(goal - each.clock.now())
        shared = min(each.clock.now() for each in both)
        found = [Then(each, moments.at_time(each.history, shared, each.clock.now())) for each in both]
        return found[0], found[1]

    def compare(
        self, other: Past, *, namespace: str = "", kinds: Sequence[Kind] = (),
        sides: tuple[Then, Then] | None = None,
    ) -> tuple[list[Unlike], list[Count]]:  # fmt: skip
        """What is unlike in this cluster and another, and how many pods each had since they were one: as they are now,
        or at the `sides` that `side_by_side` has found."""
        left, right = sides or self.side_by_side(other)
        return unlike(left, right, namespace, kinds), counts(left, right, namespace)
