"""%kcluster start, stop, delete, pause, unpause, step, profile: the life of a cluster, and of several.

Interface: one function for each row of `kcluster.COMMANDS` that is about this; `greeting`.
The rule not to break: a sentence says what has happened, and what it does not do it refuses.
Source: `cmd/minikube/cmd` in the minikube repository: start.go, stop.go, delete.go, pause.go, config/profile.go.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from k8snb import __version__
from k8snb.apiserver.discovery import VERSION
from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import KubectlError, Output
from k8snb.notebook import defaults, kclock
from k8snb.notebook.clusters import DEFAULT, Clusters, Wishes
from k8snb.notebook.kcluster_answers import json_answer, running, said, table, target, wants_json, word
from k8snb.notebook.results import Result

if TYPE_CHECKING:
    from k8snb.cluster import Cluster

READY = 60.0  # seconds that `start` waits for the nodes
SYSTEM_NAMESPACES = ("kube-system", "kubernetes-dashboard", "istio-operator")  # what minikube's `pause` means by itself
ANY_VERSION = ("stable", "latest")


# start


def start(clusters: Clusters, args: Arguments) -> Output:
    name = args.text("profile") or args.text("name") or word(args, "", optional=True) or clusters.name
    wishes = _wishes(args)
    known = name in clusters.names
    was_running = known and clusters.find(name).running
    cluster = clusters.start(name, wishes, wait=READY)
    known = known or cluster.found
    problems = [f"{status.row.name}: {status.problem}" for status in cluster.addons.status() if status.problem]
    answer = said(*_story(cluster, known=known, was_running=was_running))
    answer.warnings = [f"the add-on {problem}" for problem in problems]
    if cluster.data is not None and not was_running:
        answer.hints.append(_lasting(cluster))
    return answer


def _lasting(cluster: Cluster) -> str:
    """What becomes of it when this kernel ends."""
    assert cluster.data is not None
    left = "run on without this kernel" if cluster.keeps_running else "end with this kernel"
    return f"kept in {cluster.data.path}: its containers {left}, and this line finds it again; %kcluster delete ends it"


def _wishes(args: Arguments) -> Wishes:
    """What the line asks for. Raises ValueError."""
    _check_version(args.text("kubernetes-version"))
    runtimes = {args.text(flag) for flag in ("runtime", "driver", "vm-driver")} - {""}
    if len(runtimes) > 1:
        raise ValueError("--driver is another word for --runtime: give one of them")
    if "nodes" in args.given:
        defaults.nodes(str(args.number("nodes")))
    return Wishes(
        nodes=args.number("nodes"),
        runtime=defaults.runtime(runtimes.pop()) if runtimes else "",
        cpus=defaults.cpus(args.text("cpus")) if args.text("cpus") else "",
        memory=defaults.memory(args.text("memory")) if args.text("memory") else "",
        addons=[addon for addon in args.texts("addons") if addon],
        data_dir=args.text("data-dir"),
    )


def _check_version(asked: str) -> None:
    whole = VERSION.removeprefix("v")
    if asked and asked.removeprefix("v") not in (whole, whole.rpartition(".")[0], *ANY_VERSION):
        raise ValueError(f"Kubernetes {asked}: not implemented by k8snb, which is Kubernetes {VERSION} and no other: "
                         "leave --kubernetes-version out")  # fmt: skip


def _story(cluster: Cluster, *, known: bool, was_running: bool) -> list[str]:
    """What minikube would say meanwhile."""
    enabled = ", ".join(status.row.name for status in cluster.addons.status() if status.enabled)
    where = f"the {cluster.runtime_name} runtime"
    machines = cluster.machines.specs
    size = next(iter(machines.values()))
    sizes = f" (CPUs={size.cpus or 'max'}, Memory={size.memory or 'max'})" if size.cpus or size.memory else ""
    begun = (
        f'Updating the running "{cluster.name}" cluster ...' if was_running
        else f'Restarting the existing {len(machines)} nodes of "{cluster.name}" ...' if known
        else f'Creating {len(machines)} nodes{sizes} for "{cluster.name}" ...'
    )  # fmt: skip
    return [
        f"k8snb v{__version__} on {platform.system()} {platform.machine()}",
        f"Using {where} based on existing profile" if known else f"Using {where} ({cluster.why})",
        begun,
        f"Preparing Kubernetes {VERSION} on {cluster.runtime.cri_version} ...",
        f"Enabled addons: {enabled}",
        f'Done! cluster "{cluster.name}" is running: {described(cluster)}',
    ]


def greeting(clusters: Clusters) -> str:
    """`3 nodes and a control plane on the process runtime (no Docker engine answers)`."""
    return described(clusters.chosen)


def described(cluster: Cluster) -> str:
    nodes = len(cluster.nodes) - 1
    counted = f"{nodes} node{'' if nodes == 1 else 's'}"
    return f"{counted} and a control plane on the {cluster.runtime_name} runtime ({cluster.why})"


# stop, delete


def stop(clusters: Clusters, args: Arguments) -> Output:
    names = clusters.names if args.on("all") else [target(clusters, args).name]
    lines = []
    for name in names:
        cluster = clusters.find(name)
        nodes = list(cluster.nodes) if cluster.running else []
        cluster.stop()
        lines += [f'Stopping node "{node}"  ...' for node in nodes]
        lines += [f'{_counted(len(nodes), "node")} stopped: cluster "{name}" is stopped']
    kept = all(clusters.find(name).data for name in names)
    limit = "" if kept else ", as long as this kernel lives"
    return said(*lines, hints=[f"%kcluster start starts it again, with all that it holds{limit}"])


def delete(clusters: Clusters, args: Arguments) -> Output:
    names = clusters.names if args.on("all") else [target(clusters, args).name]
    lines = []
    for name in names:
        runtime = clusters.find(name).runtime_name
        clusters.delete(name)
        lines += [f'Deleting "{name}" in {runtime} ...', f'Removed all traces of the "{name}" cluster: it is deleted']
    return said(*lines, *(["Successfully deleted all profiles"] if args.on("all") else []))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


# pause


def pause(clusters: Clusters, args: Arguments) -> Output:
    """Components always stand still; containers of the system's namespaces, of those that are named, or of all."""
    cluster, everywhere = running(clusters, args), args.on("all-namespaces")
    if everywhere and "namespaces" in args.given:
        raise KubectlError("error: --namespaces and --all-namespaces exclude each other")
    namespaces = args.texts("namespaces") or SYSTEM_NAMESPACES
    held = cluster.pause(namespaces, everywhere=everywhere)
    where = "" if everywhere else f" in: {', '.join(namespaces)}"
    answer = said(
        *(f"Pausing node {name} ..." for name in cluster.nodes), f"Paused {_counted(held, 'container')}{where}"
    )
    answer.hints = ["paused: no component moves until %kcluster step or %kcluster unpause; the apiserver still answers"]
    if not everywhere:
        answer.hints.append("the containers of other namespaces go on: %kcluster pause -A holds them as well")
    return answer


def unpause(clusters: Clusters, args: Arguments) -> Output:
    cluster = running(clusters, args)
    if not cluster.pump.paused:
        return said(f'cluster "{cluster.name}" is not paused')
    held = cluster.unpause()
    return said(*(f"Unpausing node {name} ..." for name in cluster.nodes), f"Unpaused {_counted(held, 'container')}")


def step(clusters: Clusters, args: Arguments) -> Result:
    return kclock.run(running(clusters, args), ["step", *args.words])


# profiles


def profile(clusters: Clusters, args: Arguments) -> Output:
    name = word(args, "", optional=True)
    if not name:
        return said(clusters.name, hints=["%kcluster profile list shows all clusters of this notebook"])
    clusters.use(DEFAULT if name == "default" else name)
    return said(
        f"k8snb profile was successfully set to {clusters.name}", hints=["the magics now speak to this cluster"]
    )


def profile_list(clusters: Clusters, args: Arguments) -> Output:
    rows = [_profile(clusters.find(name), clusters.name) for name in clusters.names]
    if wants_json(args, "table"):
        valid = [dict(zip(("Name", *(name.title() for name in PROFILE[1:])), row, strict=True)) for row in rows]
        return json_answer({"invalid": [], "valid": valid})
    return table(PROFILE, rows, *([] if rows else ["no cluster was found: %kcluster start"]))


PROFILE = ("PROFILE", "DRIVER", "RUNTIME", "IP", "PORT", "VERSION", "STATUS", "NODES", "ACTIVE")


def _profile(cluster: Cluster, current: str) -> tuple[str, ...]:
    node = next(iter(cluster.nodes.values()), None)
    port = cluster.door.url.rpartition(":")[2] if "door" in cluster.__dict__ and cluster.running else "<none>"
    state = "Stopped" if not cluster.running else "Paused" if cluster.pump.paused else "Running"
    ip = node.network.node_ip if node else "<none>"
    version = cluster.runtime.cri_version if node else "<none>"
    return (
        cluster.name, cluster.runtime_name, version, ip, port, VERSION, state, str(len(cluster.machines.specs)),
        "*" if cluster.name == current else "",
    )  # fmt: skip
