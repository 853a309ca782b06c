"""%kclock and %%kstep: the cluster's time: stand still, one step, on, faster, or until something is true.

Interface: `COMMANDS`, rows as kubectl has them; `run(cluster, words)`, `run_cell(cluster, words, cell)`, `complete`.
The rule not to break: every way to run is bounded, and an answer says where time stands and who moves.
A debugger has the same words: pause, step, continue, run to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from k8snb.apimachinery.errors import ApiError
from k8snb.clock import RealClock, timestamp
from k8snb.kubectl import completion, grammar, help
from k8snb.kubectl.grammar import DURATION, INT, Arguments, Command, Flag
from k8snb.kubectl.kubectl import Kubectl
from k8snb.kubectl.output import KubectlError, Output, Stream
from k8snb.notebook import kwhy
from k8snb.notebook.contexts import RemoteCluster
from k8snb.notebook.kcluster_answers import said
from k8snb.notebook.results import Result
from k8snb.notebook.steps import Steps
from k8snb.story import trace, until
from k8snb.story.steps import Stepper, ToldStep, next_timer

if TYPE_CHECKING:
    from k8snb.cluster import Cluster

MOST = 500  # steps that one line may ask for
LONGEST = 86_400.0  # seconds of the cluster's time that `until` runs to a moment
STEPS = 200  # steps that %%kstep shows unless it is told otherwise
QUIET = 2.0  # seconds that %%kstep waits for real programs before it says that nothing comes
_TIMEOUT = Flag("timeout", DURATION, "How much of the cluster's time it may take: 30s, 5m.", default=120.0)

COMMANDS: Mapping[str, Command] = {
    row.name: row
    for row in (
        Command(
            name="clock", usage="[pause | step [N] | run | speed X | until CONDITION]",
            help="The cluster's time: what it is, whether it runs, and how fast.",
            examples=("%kclock", "%kclock pause", "%kclock step 3", "%kclock until 'pod/web Ready'", "%kclock speed 10",
                      "%kclock run"),
        ),
        Command(name="clock pause", help="No component moves until step, until or run; the apiserver still answers."),
        Command(
            name="clock step", usage="[N]",
            help="Let one component work on one key, or N of them: what queued it, what it read, decided and wrote.",
            examples=("%kclock step", "%kclock step 5"),
        ),
        Command(name="clock run", help="Let the cluster go on.", examples=("%kclock run",)),
        Command(
            name="clock speed", usage="X", help="Let the cluster's time pass X times as fast as the machine's.",
            examples=("%kclock speed 10", "%kclock speed 0.5", "%kclock speed 1"),
        ),
        Command(
            name="clock until", usage="'TYPE/NAME CONDITION' | REVISION | +TIME", words="resources",
            help="Let the cluster run until something is true, and pause it right after the step that made it true.",
            flags=(Flag("for", help="The condition as kubectl wait has it: condition=Ready, delete, jsonpath=….",
                        values=("condition=", "create", "delete", "jsonpath=")), _TIMEOUT),
            examples=("%kclock until 'pod/web Ready'", "%kclock until deployment/web=Available",
                      "%kclock until --for=delete pod/web --timeout=60s", "%kclock until +30s", "%kclock until 1200"),
        ),
        Command(
            name="step", usage="[--steps N] [--timeout TIME]",
            help="Run the commands in the cell on a paused cluster, and show each step that they set off.",
            flags=(Flag("steps", INT, "How many steps at most.", default=STEPS),
                   Flag("timeout", DURATION, "How much of the cluster's time the steps may take.", default=30.0)),
            examples=("%%kstep", "%%kstep --steps 20"),
        ),
    )
}  # fmt: skip
Clocked = Output | Result


def run(cluster: Cluster, words: Sequence[str]) -> Result:
    """Carry out one line of %kclock. Raises KubectlError."""
    args = _read(["clock", *words])
    if args.on("help"):
        return Result(Output(text=_own(help.page(args.command, tuple(COMMANDS.values())))))
    _ours(cluster)
    if args.command.name == "clock" and args.words:
        raise KubectlError(f'error: unknown word "{args.words[0]}"{grammar.nearest(args.words[0], tuple(_RUN))}: '
                           f"%kclock {COMMANDS['clock'].usage}")  # fmt: skip
    try:
        answer = _RUN[args.command.name.partition(" ")[2]](cluster, args)
    except ValueError as error:
        raise KubectlError(f"error: {error}") from None
    except ApiError as error:
        raise KubectlError(f"Error from server ({error.reason}): {error.message}") from None
    return answer if isinstance(answer, Result) else Result(answer)


def complete(cluster: Cluster, words: Sequence[str]) -> list[str]:
    if words[:1] == ["until"] and len(words) > 2 and "/" in words[-2]:
        return [state for state in kwhy.states(cluster, words[-2].strip("'\"")) if state.startswith(words[-1])]
    return completion.complete(["clock", *words], COMMANDS, cluster.client, cluster.kubectl.namespace)


def complete_cell(cluster: Cluster, words: Sequence[str]) -> list[str]:
    return completion.complete(["step", *words], COMMANDS, cluster.client, cluster.kubectl.namespace)


def _read(words: Sequence[str]) -> Arguments:
    try:
        return grammar.parse(words, COMMANDS)
    except KubectlError as error:
        raise KubectlError(_own(error.message)) from None


def _own(text: str) -> str:
    return text.replace("kubectl clock", "%kclock").replace("kubectl step", "%%kstep")


def _ours(cluster: Cluster) -> None:
    """Raises KubectlError for a cluster of somebody else's."""
    if isinstance(cluster, RemoteCluster):
        raise KubectlError("error: this cluster runs elsewhere and has a time of its own: only a cluster of this "
                           "notebook can be stepped, %kcluster profile list names them")  # fmt: skip


# %kclock


def _show(cluster: Cluster, args: Arguments) -> Output:
    due = next_timer(cluster.clock)
    timer = "no timer is set" if due is None else f"the next timer is due in {due:.1f} s"
    state = "paused: no component moves" if cluster.pump.paused else "running"
    hints = ["%kclock step goes on by one item, %kclock run for good"] if cluster.pump.paused else []
    return said(f"{_moment(cluster)}, revision {cluster.history.newest}: {state}; {timer}", _pace(cluster), hints=hints)


def _moment(cluster: Cluster) -> str:
    return timestamp(cluster.clock.now())


def _pace(cluster: Cluster) -> str:
    if math.isinf(cluster.speed):
        return "virtual time: it jumps from timer to timer, as fast as possible"
    ahead = cluster.clock.now() - RealClock().now()
    skipped = f", {ahead:.0f} s ahead of the machine's clock" if ahead > 1 else ""
    if cluster.speed == 1:
        return f"real time{skipped}"
    return f"time passes {cluster.speed:g} times as fast as the machine's{skipped}"


def _pause(cluster: Cluster, args: Arguments) -> Output:
    _no_more(args)
    cluster.pause()
    return said("paused: no component moves; the apiserver still answers", hints=[*_outside(cluster), _NEXT])


_NEXT = "%kclock step lets one component work on one key; %kclock until … runs to a condition; %kclock run goes on"


def _outside(cluster: Cluster) -> list[str]:
    """What pausing does not hold."""
    if cluster.clock.virtual:
        return []
    if cluster.simulates:
        return ["time goes on meanwhile: timers that fall due wait for your next step"]
    return [f"the {cluster.runtime_name} runtime's containers are real programs: they run on, and what they do waits "
            "in line until a component may hear of it; %kcluster pause -A holds them as well"]  # fmt: skip


def _step(cluster: Cluster, args: Arguments) -> Clocked:
    text = args.words[0] if args.words else "1"
    _no_more(args, 1)
    if not text.isdigit() or not 0 < int(text) <= MOST:
        raise KubectlError(f'error: invalid number of steps "{text}": a whole number from 1 to {MOST} is wanted')
    paused = cluster.pump.paused
    cluster.pause()
    steps = cluster.step(int(text))
    hints = [] if paused else ["the cluster is paused now: %kclock run lets it go on"]
    if len(steps) == int(text):
        return Steps(steps, hints=hints)
    return Steps(steps, hints=[*hints, _over(cluster)]) if steps else said(_over(cluster), hints=hints)


def _over(cluster: Cluster) -> str:
    """Why there is no further step."""
    due = next_timer(cluster.clock)
    if due is None or cluster.simulates:
        return "nothing is left to do"
    return (f"nothing is left to do now: the next timer is due in {due:.1f} s, and what the {cluster.runtime_name} "
            "runtime's programs do comes when it comes")  # fmt: skip


def _run(cluster: Cluster, args: Arguments) -> Output:
    _no_more(args)
    cluster.unpause()
    if cluster.clock.virtual:
        rest = "it rests" if cluster.settle() else "it has run 10 minutes of its time, and is not at rest"
        return said(f"the cluster went on: {rest}; {_moment(cluster)}, revision {cluster.history.newest}")
    return said(f"the cluster goes on: {_pace(cluster)}")


def _speed(cluster: Cluster, args: Arguments) -> Output:
    _no_more(args, 1)
    if not args.words:
        return said(_pace(cluster), hints=["%kclock speed 10 makes it ten times as fast"])
    try:
        cluster.speed = float(args.words[0].removesuffix("x"))
    except ValueError as error:
        why = str(error) if "could not convert" not in str(error) else f'"{args.words[0]}" is no number'
        raise KubectlError(f"error: {why}") from None
    hints = [] if cluster.simulates else [
        "containers are real programs, and as fast as ever: only the components' timers, back-offs and probes follow"
    ]  # fmt: skip
    return said(_pace(cluster), hints=hints)


def _until(cluster: Cluster, args: Arguments) -> Output:
    namespace = args.text("namespace") or cluster.kubectl.namespace
    wanted = until.parse(args.words, args.text("for"), client=cluster.client, clock=cluster.clock,
                         namespace=namespace, history=cluster.history)  # fmt: skip
    limit = args.seconds("timeout")
    if limit <= 0:
        raise KubectlError("error: --timeout has to be more than 0: a run without an end could not be stopped")
    if args.words and args.words[0].startswith("+") and "timeout" not in args.given:
        limit = LONGEST  # a moment comes by itself
    began, before = cluster.clock.monotonic(), cluster.history.newest
    reached = cluster.run_until(wanted.test, limit)
    took = f"after {cluster.clock.monotonic() - began:.1f} s and {cluster.history.newest - before} revisions"
    if reached:
        return said(f"{wanted.text}: {took}; paused at revision {cluster.history.newest}", hints=[_NEXT])
    state = "the cluster is paused" if cluster.pump.paused else "the cluster runs on"
    return said(f"not reached {took}: {wanted.text}; now {wanted.now()}; {state}",
                hints=["--timeout=10m gives it longer; %kwhy TYPE/NAME says what it waits for"])  # fmt: skip


def _no_more(args: Arguments, most: int = 0) -> None:
    if len(args.words) > most:
        raise KubectlError(f"error: one word too many: {args.words[most]}")


_RUN: Mapping[str, Callable[[Cluster, Arguments], Clocked]] = {
    "": _show, "pause": _pause, "step": _step, "run": _run, "speed": _speed, "until": _until,
}  # fmt: skip


# %%kstep


def run_cell(cluster: Cluster, words: Sequence[str], cell: str | None) -> Result:
    """Run a cell's commands step by step. Raises KubectlError."""
    args = _read(["step", *words])
    if args.on("help"):
        return Result(Output(text=_own(help.page(args.command, tuple(COMMANDS.values())))))
    _ours(cluster)
    if args.words:
        raise KubectlError(f"error: one word too many: {args.words[0]}: commands stand in the cell, below %%kstep")
    if not (cell or "").strip():
        raise KubectlError("error: %%kstep runs the commands in its cell, and there is none: write them below it, such "
                           "as create deployment web --image=nginx")  # fmt: skip
    most, limit = args.number("steps"), args.seconds("timeout")
    if not 0 < most <= MOST or limit <= 0:
        raise KubectlError(f"error: --steps is a whole number from 1 to {MOST}, and --timeout a time such as 30s")
    return _Walk(cluster, most, limit).through(cell or "")


class _Walk:
    """One cell's steps. The cluster stands still meanwhile, and goes on afterwards if it did before."""

    def __init__(self, cluster: Cluster, most: int, limit: float) -> None:
        self._cluster, self._most = cluster, most
        self._end = cluster.clock.monotonic() + limit
        self._stepper: Stepper = cluster.stepper()
        self._steps: list[ToldStep | trace.Step] = []

    def through(self, cell: str) -> Steps:
        cluster = self._cluster
        paused = cluster.pump.paused
        kubectl = Kubectl(cluster.client, namespace=cluster.kubectl.namespace, wait=self._wait,
                          clock_now=cluster.clock.now)  # fmt: skip
        cluster.pause()
        try:
            said = [self._command(kubectl, line, body) for line, body in commands_in(cell)]
            while self._one():
                pass
        finally:
            kubectl.close()
            if not paused:
                cluster.unpause()
        return Steps(self._steps, said=said, hints=self._remarks(paused))

    def _command(self, kubectl: Kubectl, line: str, body: str | None) -> tuple[str, str]:
        before = self._cluster.history.newest
        answer = kubectl.run(line, stdin=body)
        if isinstance(answer, Stream):
            answer.stop()
            raise KubectlError(f"error: %%kstep runs commands that end, and this one goes on: {line}")
        self._steps += [step for step in trace.steps_of(self._cluster.history.since(before)) if not step.cause]
        return line, answer.text

    def _one(self) -> bool:
        """One step more; whether there was one."""
        told = [step for step in self._steps if isinstance(step, ToldStep)]
        if len(told) >= self._most or self._cluster.clock.monotonic() >= self._end:
            return False
        with self._cluster.pump.lock:
            step = self._stepper.step(waited_for=True, patience=QUIET)
        if step is not None:
            self._steps.append(step)
        return step is not None

    def _wait(self, until: Callable[[], bool], timeout: float) -> bool:
        """What a command waits for comes by steps."""
        end = self._cluster.clock.monotonic() + timeout
        while not until():
            if self._cluster.clock.monotonic() >= end or not self._one():
                return until()
        return True

    def _remarks(self, paused: bool) -> list[str]:
        told = sum(isinstance(step, ToldStep) for step in self._steps)
        state = "the cluster stays paused" if paused else "the cluster goes on by itself"
        if told >= self._most:
            return [f"these are the first {told} steps: %%kstep --steps {2 * self._most} shows more; {state}"]
        if self._cluster.clock.monotonic() >= self._end:
            return [f"that is all within --timeout; {state}"]
        if self._cluster.simulates:
            return [f"nothing that anybody waits for is left to do; {state}"]
        return [f"nothing has come for {QUIET:g} s, but real programs may still work; {state}"]


def commands_in(cell: str) -> list[tuple[str, str | None]]:
    """A cell's commands, with what they read on stdin: lines of kubectl's, with or without `kubectl` or a magic's `%k`,
    or a manifest, which is applied. Raises KubectlError."""
    lines = [line for line in cell.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if any(line.startswith(("apiVersion:", "kind:")) for line in lines):
        first = lines[0] if lines[0].lstrip("%").startswith(("k", "kubectl")) and ":" not in lines[0] else ""
        return [(_line(first) if first else "apply -f -", cell.split(first, 1)[1] if first else cell)]
    return [(_line(line), None) for line in lines]


def _line(line: str) -> str:
    """`%kcreate …`, `%kubectl create …`, `!kubectl create …` and `kubectl create …` are `create …`."""
    words = line.strip().lstrip("%!").strip()
    if words.startswith("kubectl "):
        return words.removeprefix("kubectl ").strip()
    return words.removeprefix("k") if line.lstrip().startswith("%k") else words
