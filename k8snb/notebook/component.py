"""%kcluster component and %kcluster bind: switch a part of the cluster off, see what is missing, do its work oneself.

Interface: `COMMANDS` and `RUN`, rows of %kcluster; `names(clusters)` for completion.
The rule not to break: whatever a row does, `k8snb.Cluster` can do in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from k8snb.kubectl.grammar import Arguments, Command
from k8snb.kubectl.output import Column, KubectlError, Output, Row, Table
from k8snb.notebook.clusters import Clusters

COMMANDS: tuple[Command, ...] = (
    Command(name="component list", help="Every part of the cluster and what it is doing."),
    Command(name="component stop", usage="NAME", help="A part ends in good order, and is not started again."),
    Command(name="component kill", usage="NAME", help="A part ends as if it had crashed: its lease has to run out."),
    Command(name="component start", usage="NAME", help="A stopped part comes back, and catches up."),
    Command(name="component", usage="list|stop|kill|start", help="The parts of the cluster, each controller too."),
    Command(name="bind", usage="POD NODE [-n NS]", help="Be the scheduler: give a waiting pod its node.", words="pods"),
)
DONE = {"stop": "stopped", "kill": "killed", "start": "started"}
COLUMNS = tuple(Column(name) for name in ("NAME", "STATE", "ABOUT"))


def names(clusters: Clusters) -> list[str]:
    """The components' names."""
    return list(clusters.current.components())


def _list(clusters: Clusters, args: Arguments) -> Output:
    if args.words:
        raise KubectlError(f"error: one word too many: {args.words[0]}")
    components = clusters.running(args.text("profile")).components().values()
    rows = tuple(Row((each.name, each.state, each.about), {}) for each in components)
    made = Table(columns=COLUMNS, rows=rows)
    return Output(text=made.text, tables=[made])


def _switch(verb: str) -> Callable[[Clusters, Arguments], Output]:
    def act(clusters: Clusters, args: Arguments) -> Output:
        if len(args.words) != 1:
            raise KubectlError(f"error: one component's name is wanted: %kcluster component {verb} NAME")
        component = clusters.running(args.text("profile")).component(args.words[0])
        getattr(component, verb)()
        hint = [] if verb == "start" else [f"%kcluster component start {component.name} lets it work again"]
        return Output(text=f"component/{component.name} {DONE[verb]}\n", hints=hint)

    return act


def _bind(clusters: Clusters, args: Arguments) -> Output:
    if len(args.words) != 2:
        raise KubectlError("error: a pod's name and a node's name are wanted: %kcluster bind POD NODE")
    pod, node = args.words[0].removeprefix("pod/"), args.words[1].removeprefix("node/")
    clusters.running(args.text("profile")).bind(pod, node, args.text("namespace") or "default")
    return Output(text=f"pod/{pod} bound to node/{node}\n")


RUN: Mapping[str, Callable[[Clusters, Arguments], Output]] = {
    "component list": _list,
    **{f"component {verb}": _switch(verb) for verb in DONE},
    "bind": _bind,
}
