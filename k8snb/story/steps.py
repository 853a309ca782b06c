"""Steps: what one item of one component was about: why it was queued, what was read, decided and written.

Interface: `Stepper(…)`: `step() -> ToldStep | None`; `ToldStep`: `sentences`, `because`, `looked_at`, `wrote`.
The rule not to break: what a step tells was noted while it ran or stands in the revision log; nothing is guessed, and
nobody takes notes while no step is looked at.
Real Kubernetes runs all its loops at once: the nearest to this are a debugger and logs at verbosity 10.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from k8snb.apimachinery import kinds
from k8snb.apimachinery.meta import Object, get_path, is_deleting, key_of, revision_of, split_key, uid_of
from k8snb.apiserver.history import Change, History
from k8snb.clock import Clock, RealClock, VirtualClock
from k8snb.pump import SYNC, Pump, Step
from k8snb.scheduler.decision import Decision
from k8snb.story import trace
from k8snb.trace import Notes

LONGEST = 600.0  # seconds of the cluster's time that a step may skip
MOST_ITEMS = 20_000  # items that are run before a step is given up: watch events, answers of runtimes, heartbeats
LOOK = 0.05  # seconds between two looks for what arrives from outside
SHOWN = 3  # objects, nodes or writes that a sentence names


@dataclass(frozen=True)
class ToldStep:
    """One step. `cause` is the write that had queued it, None where a timer, a runtime or the component itself had;
    `reads` are {resource: {key: object or None}}; `skipped` seconds that time jumped first; `meanwhile` {what: times}
    for what ran before it and is no step: watch events, answers of runtimes, heartbeats."""

    component: str
    key: str
    time: float
    revision: int = 0
    cause: trace.Step | None = None
    reads: Mapping[str, Mapping[str, Object | None]] = field(default_factory=dict)
    verdict: Decision | None = None
    writes: tuple[trace.Step, ...] = ()
    events: tuple[str, ...] = ()
    skipped: float = 0.0
    meanwhile: Mapping[str, int] = field(default_factory=dict)

    @property
    def because(self) -> str:
        """`312: deployment-controller create replicaset/web-1`."""
        if self.cause is not None:
            return f"{self.cause.revision}: {self.cause.actor} {self.cause.verb} {self.cause.word}"
        return str(self.revision) if self.revision else ""

    @property
    def looked_at(self) -> str:
        """`replicaset/web@312, 0 pods`; what was looked for and is not there, `no pod/web`."""
        return ", ".join(filter(None, (_read(resource, found, self.key) for resource, found in self.reads.items())))

    @property
    def wrote(self) -> str:
        """`313 create pod/web-1 (for web), 314 …`."""
        told = [f"{step.revision} {step.verb} {step.word}" + (f" ({step.what})" if step.what else "")
                for step in self.writes[:SHOWN]]  # fmt: skip
        more = [f"{len(self.writes) - SHOWN} more"] if len(self.writes) > SHOWN else []
        return ", ".join([*told, *more])

    @property
    def decided(self) -> str:
        """The scheduler's verdicts, a controller's difference, or what the writes amount to."""
        if self.verdict is not None:
            return _verdict(self.verdict)
        return "; ".join(filter(None, (_difference(self.key, self.reads), self._deeds())))

    def _deeds(self) -> str:
        if not self.writes:
            told = next(iter(self.events), "")
            return f"reports {told}" if told else "nothing to write" if self.key else ""
        written = dict.fromkeys((_deed(step.verb), step.word) for step in self.writes)
        counted = Counter((deed, word.partition("/")[0]) for deed, word in written)
        names = {(deed, word.partition("/")[0]): word for deed, word in written}
        return ", ".join(f"{deed} {names[deed, word] if many == 1 else f'{many} {word}s'}"
                         for (deed, word), many in counted.items())  # fmt: skip

    @property
    def sentences(self) -> list[str]:
        """A sentence each: what time did, what queued it, what it read, decided, wrote and reported."""
        return [sentence for sentence in (
            f"Nothing was queued: time jumped {self.skipped:.1f} s ahead to the next timer." if self.skipped else "",
            self._taken_up(),
            f"It read {self.looked_at}." if self.looked_at else "",
            f"It decided: {self.decided}." if self.decided else "",
            f"It wrote {self.wrote}." if self.writes else "",
            f"It reported {'; '.join(self.events[:SHOWN])}." if self.events and self.writes else "",
        ) if sentence]  # fmt: skip

    def _taken_up(self) -> str:
        if not self.key:
            return f"{self.component} acted by itself: by a timer, or because its runtime had an answer."
        itself = "which a timer, its runtime or itself had queued"
        queued = f"because of revision {self.because}" if self.revision else itself
        return f"{self.component} took up {self.key}, {queued}."


class Stepper:
    """Runs a cluster step by step. `verdict(key)` is the scheduler's newest decision about a pod; `skips` says whether
    time may be skipped: where real programs run, it may not. `word_of(key)` names what a component knows by uid."""

    def __init__(
        self, pump: Pump, notes: Notes, history: Callable[[], History], *, scheduler: str, skips: bool,
        verdict: Callable[[str], Decision | None], key_of: Callable[[str], str],
    ) -> None:  # fmt: skip
        self._pump, self._notes, self._history = pump, notes, history
        self._scheduler, self._verdict, self._key_of, self._skips = scheduler, verdict, key_of, skips

    def step(self, *, patience: float = 0.0, waited_for: bool = False) -> ToldStep | None:
        """Run until one component has worked on one key, or has written by itself; None where nothing is left.

        Call it under the pump's lock. Where time cannot be skipped, `patience` seconds are waited for what arrives from
        outside. With `waited_for`, time is not skipped for heartbeats and the like.
        """
        clock, history = self._pump.clock, self._history()
        began, before = clock.monotonic(), history.newest
        skipped, meanwhile = 0.0, Counter[str]()
        for _ in range(MOST_ITEMS):
            done = self._run()
            if done is None:
                jump = self._skip(began + LONGEST, waited_for) or self._await(began + patience)
                if jump is None:
                    break
                skipped += jump
                continue
            writes = history.since(before)
            if done.sort == SYNC or trace.steps_of(writes):
                return self._told(done.component if done.sort == SYNC else "", writes, skipped, meanwhile)
            meanwhile[f"{done.component} {done.sort}"] += 1
        return self._idle(skipped, meanwhile) if meanwhile and not waited_for else None

    def _run(self) -> Step | None:
        self._notes.begin()
        self._notes.looking = True
        try:
            return self._pump.step()
        finally:
            self._notes.looking = False

    def _skip(self, end: float, waited_for: bool) -> float | None:
        """Jump to the next timer before `end`; the seconds, None where that is not to be."""
        clock = self._pump.clock
        due = clock.next_due(foreground=waited_for)
        if due is None or due > end or not self._skips or not isinstance(clock, RealClock | VirtualClock):
            return None
        before = clock.monotonic()
        clock.advance_to(clock.next_due() or due)
        return clock.monotonic() - before

    def _await(self, end: float) -> float | None:
        """Let something arrive from outside; None when `end` has come."""
        if self._skips or self._pump.clock.monotonic() >= end:
            return None
        self._pump.lock.work.wait(LOOK)
        return 0.0

    def _told(self, component: str, changes: list[Change], skipped: float, meanwhile: Mapping[str, int]) -> ToldStep:
        notes, writes = self._notes, tuple(trace.steps_of(changes))
        cause = self._history().at(notes.cause) if notes.cause else None
        found = self._verdict(notes.key) if component == self._scheduler else None
        verdict = found if found is not None and found.time == self._pump.clock.now() else None
        key = _named(notes.key, writes) or self._key_of(notes.key)
        return ToldStep(
            component or writes[0].actor, key, self._pump.clock.now(), notes.cause,
            next(iter(trace.steps_of([cause])), None) if cause is not None else None, notes.reads, verdict, writes,
            tuple(_report(change.obj) for change in changes if change.kind.plural == "events"), skipped, meanwhile,
        )  # fmt: skip

    def _idle(self, skipped: float, meanwhile: Mapping[str, int]) -> ToldStep:
        return ToldStep("the clock", "", self._pump.clock.now(), skipped=skipped, meanwhile=meanwhile)


def next_timer(clock: Clock) -> float | None:
    """Seconds until something falls due by itself; None where nothing will."""
    due = clock.next_due()
    return None if due is None else max(due - clock.monotonic(), 0.0)


def _read(resource: str, found: Mapping[str, Object | None], key: str) -> str:
    kind = kinds.find(resource)
    word = kind.singular if kind is not None else resource.partition(".")[0]
    if len(found) > SHOWN:
        return f"{len(found)} {resource.partition('.')[0]}"
    return ", ".join(
        f"{word}/{_short(each, key)}@{revision_of(obj)}" if obj is not None else f"no {word}/{_short(each, key)}"
        for each, obj in found.items()
        if each
    )


def _short(key: str, beside: str) -> str:
    """A key without the namespace where that is the one in which the step works."""
    namespace, name = split_key(key)
    return name if namespace == split_key(beside.rpartition(" ")[2])[0] else key


def _named(key: str, writes: tuple[trace.Step, ...]) -> str:
    """The key of an object that is known by its uid and was written: it may be gone by now."""
    return next((key_of(write.change.obj) for write in writes if uid_of(write.change.obj) == key), "")


def _report(event: Object) -> str:
    return f"{event['reason']}: {(event.get('message') or event.get('note') or '').rstrip('.')}"


_DEEDS: Mapping[str, str] = {"create": "creates", "delete": "deletes", "deletecollection": "deletes"}


def _deed(verb: str) -> str:
    if verb.endswith(" status"):
        return "brings up to date the status of"
    return _DEEDS.get(verb, "binds" if verb == "create binding" else "changes")


def _verdict(decision: Decision) -> str:
    """`node-2 (score 270; node-1 250), not control-plane (TaintToleration: …)`."""
    refused = [f"{node} ({plugin}: {reason})" for node, (plugin, reason) in decision.refusals.items()]
    more = [f"{len(refused) - SHOWN} more nodes"] if len(refused) > SHOWN else []
    against = "not " + ", ".join([*refused[:SHOWN], *more]) if refused else ""
    if not decision.node:
        return "; ".join(filter(None, (f"no node: {decision.message}", against)))
    ranked = [node for node in sorted(decision.nodes, key=decision.total, reverse=True) if node != decision.node]
    others = ", ".join(f"{node} {decision.total(node)}" for node in ranked[:SHOWN])
    score = f"score {decision.total(decision.node)}" if decision.node in decision.nodes else ""
    about = "; ".join(filter(None, (score, others)))
    return ", ".join(filter(None, (f"{decision.node}" + (f" ({about})" if about else ""), against)))


# what a controller wants, in its object, and which resource it counts
_WANTS: Mapping[str, tuple[str, str]] = {
    "ReplicaSet": ("spec.replicas", "pods"), "ReplicationController": ("spec.replicas", "pods"),
    "StatefulSet": ("spec.replicas", "pods"), "Job": ("spec.parallelism", "pods"),
    "Deployment": ("spec.replicas", "replicasets"),
}  # fmt: skip


def _difference(key: str, reads: Mapping[str, Mapping[str, Object | None]]) -> str:
    """`spec.replicas is 3, there are 0 pods`, where the object of the key says how many of something it wants."""
    for obj in _subjects(key, reads):
        wanted, counted = _WANTS.get(obj["kind"], ("", ""))
        found = [each for each in reads.get(counted, {}).values() if each is not None and not is_deleting(each)]
        own = sum(any(owner["uid"] == uid_of(obj) for owner in each["metadata"].get("ownerReferences") or ())
                  for each in found)  # fmt: skip
        if wanted:
            there = f"there is 1 {counted.removesuffix('s')}" if own == 1 else f"there are {own} {counted}"
            return f"{wanted} is {get_path(obj, wanted, 1)}, {there}"
    return ""


def _subjects(key: str, reads: Mapping[str, Mapping[str, Object | None]]) -> Iterator[Object]:
    for found in reads.values():
        obj = found.get(key)
        if obj is not None:
            yield obj
