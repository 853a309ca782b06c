"""%kcluster node kill|partition|rejoin|drain, crash, hang and faults: what goes wrong, on purpose.

Interface: `COMMANDS` and `RUN`, rows of %kcluster.
The rule not to break: whatever a row does, `k8snb.Cluster` can do in Python.
minikube has no such lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from k8snb import disturbances
from k8snb.faults import Rates
from k8snb.kubectl.grammar import Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.notebook.clusters import Clusters
from k8snb.notebook.kcluster_answers import running, said, table, word

_CONTAINER = Flag("container", help="The container; the first one if not given.", short="c", values=(":containers",))
_SAID = {
    "refused": "a request is turned away before anything has happened",
    "unanswered": "a write happens, and whoever wrote never hears of it",
    "lost": "an event does not arrive, and the connection is found dead later",
    "duplicated": "an event arrives twice",
    "delayed": "an event and all after it come late",
    "reordered": "an event comes late, and changes of other objects overtake it",
}
COMMANDS: tuple[Command, ...] = (
    Command(name="node kill", usage="NAME", help="The same as stop: without a word to anybody.", words="nodes"),
    Command(name="node partition", usage="NAME", help="Cut a node off from the apiserver; its containers go on.",
            words="nodes"),
    Command(name="node rejoin", usage="NAME", help="A node that was cut off is reached again.", words="nodes"),
    Command(name="node drain", usage="NAME", help="Move the pods away in good order: %kdrain with its usual flags.",
            words="nodes"),
    Command(name="crash", usage="POD [-c CONTAINER] [-n NS]", help="Kill a container's program, as kill -9 does.",
            words="pods", flags=(_CONTAINER,)),
    Command(name="hang", usage="POD [-c CONTAINER] [-n NS]",
            help="A container's program stands still: only a liveness probe notices.", words="pods",
            flags=(_CONTAINER,)),
    Command(name="faults", usage="[stop]", help="Disturb the lines between the cluster's parts, or show how; "
            "numbers are probabilities from 0 to 1.", words="faults",
            flags=tuple(Flag(name, help=f"{text[0].upper()}{text[1:]}.") for name, text in _SAID.items())),
)  # fmt: skip


def _kill(clusters: Clusters, args: Arguments) -> Output:
    name = _node(args)
    running(clusters, args).stop_node(name)
    return said(f"node/{name} killed", hints=[f"%kcluster node start {name} brings it back"])


def _partition(clusters: Clusters, args: Arguments) -> Output:
    name = _node(args)
    running(clusters, args).partition_node(name)
    return said(f"node/{name} is cut off", hints=[f"%kcluster node rejoin {name} mends the line"])


def _rejoin(clusters: Clusters, args: Arguments) -> Output:
    name = _node(args)
    running(clusters, args).rejoin_node(name)
    return said(f"node/{name} is reached again")


def _drain(clusters: Clusters, args: Arguments) -> Output:
    line = ["drain", _node(args), "--ignore-daemonsets", "--delete-emptydir-data", "--force"]
    return running(clusters, args).kubectl.run(line)


def _on_container(act: Callable[..., str], done: str) -> Callable[[Clusters, Arguments], Output]:
    def run(clusters: Clusters, args: Arguments) -> Output:
        cluster, pod = running(clusters, args), word(args, "a pod's name").removeprefix("pod/")
        namespace = args.text("namespace") or cluster.kubectl.namespace
        name = act(cluster, pod, namespace, args.text("container"))
        return said(f"container/{name} of pod/{pod} {done}")

    return run


def _faults(clusters: Clusters, args: Arguments) -> Output:
    cluster = running(clusters, args)
    if args.words not in ([], ["stop"]):
        raise KubectlError(f"error: one word too many: {args.words[0]}")
    given = {name: _probability(name, args.text(name)) for name in Rates._fields if args.text(name)}
    with cluster.pump.lock:
        if args.words:
            cluster.faults.stop()
        else:
            cluster.faults.rates = cluster.faults.rates._replace(**given)
        rates, happened = cluster.faults.rates, dict(cluster.faults.happened)
    lines = [(name, f"{getattr(rates, name):g}", str(happened.get(name, 0)), text) for name, text in _SAID.items()]
    return table(("FAULT", "RATE", "HAPPENED", "WHAT"), lines)


def _probability(name: str, text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise KubectlError(f'error: invalid argument "{text}" for "--{name}": a number from 0 to 1 is wanted')
    return rate


def _node(args: Arguments) -> str:
    return word(args, "a node's name").removeprefix("node/")


RUN: Mapping[str, Callable[[Clusters, Arguments], Output]] = {
    "node kill": _kill,
    "node partition": _partition,
    "node rejoin": _rejoin,
    "node drain": _drain,
    "crash": _on_container(disturbances.crash, "killed"),
    "hang": _on_container(disturbances.hang, "stands still"),
    "faults": _faults,
}
