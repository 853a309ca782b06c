"""The view `components`: the control plane and the nodes, how they are, and who talks to whom.

Interface: `components(parts) -> Diagram`; `Part`; `parts_of(cluster)`, of a cluster of this notebook, `parts_seen(…)`,
of one elsewhere, as far as its API tells.
The rule not to break: who is stopped is drawn as stopped, with what it talks to, so that one sees what is missing.
Source: `concepts/architecture` of the documentation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from k8snb.apimachinery.meta import get_path, labels_of, name_of
from k8snb.notebook.boxes import Question, box_of
from k8snb.notebook.diagram import HUB, NODE, PLACE, SILENT, TALKS, Box, Diagram, Edge, Group
from k8snb.notebook.style import BAD, BUSY, GOOD, Tone, tone_of
from k8snb.printers import columns as printers

if TYPE_CHECKING:
    from k8snb.client import Client
    from k8snb.cluster import Cluster

PLANE, ADDONS, YOU = "control plane", "addons", "you"
APISERVER, ETCD, KUBELET, PROXY, RUNTIME = "kube-apiserver", "etcd", "kubelet", "kube-proxy", "runtime"
STOPPED = "Stopped"
_TONES: Mapping[str, Tone] = {"Leading": GOOD, "Standby": GOOD, "Paused": BUSY, STOPPED: BAD}
_SAYS = {
    "kube-scheduler": "which node for which pod",
    "kube-controller-manager": "what there should be",
    "cloud-controller-manager": "machines, addresses",
    KUBELET: "its pods, their status",
    PROXY: "Services, endpoints",
    "coredns": "names of Services",
}  # fmt: skip


class Part(NamedTuple):
    """One component. `place` is PLANE, ADDONS or the name of a node; `role` what it is, whichever of several."""

    name: str
    role: str
    place: str
    state: str
    about: str = ""


class Machine(NamedTuple):
    """A node and its state."""

    name: str
    state: str
    about: str = ""


def components(parts: Iterable[Part], machines: Iterable[Machine]) -> Diagram:
    """Whoever there is talks to the apiserver, and it to etcd; a kubelet talks to its runtime besides."""
    parts = list(parts)
    boxes = [Box(id=YOU, kind="", name="you", status="kubectl, cells"), *map(_box, parts)]
    groups = [Group(id=PLANE, kind=PLACE, title=PLANE), *_addons(parts), *map(_frame, machines)]
    return Diagram(title="", boxes=tuple(boxes), edges=tuple(_edges(parts)), groups=tuple(groups), layout=HUB)


def _box(part: Part) -> Box:
    about = part.about or _SAYS.get(part.role, "")
    details = (about,) if about else ()
    return Box(id=_id(part), kind="", name=part.name, status=part.state,
               tone=_TONES.get(part.state) or tone_of(part.state), details=details, group=part.place)  # fmt: skip


def _addons(parts: Iterable[Part]) -> list[Group]:
    there = any(part.place == ADDONS for part in parts)
    return [Group(id=ADDONS, kind=PLACE, title=ADDONS)] if there else []


def _frame(machine: Machine) -> Group:
    tone = _TONES.get(machine.state) or tone_of(machine.state)
    return Group(id=machine.name, kind=NODE, title=machine.name, status=machine.state, tone=tone,
                 details=(machine.about,) if machine.about else ())  # fmt: skip


def _edges(parts: list[Part]) -> Iterator[Edge]:
    servers, stores = ([_id(part) for part in parts if part.role == role] for role in (APISERVER, ETCD))
    off = {_id(part) for part in parts if part.state == STOPPED}
    for server in servers:
        yield _edge(YOU, server, off)
        yield from (_edge(server, store, off) for store in stores)
    answering = next((server for server in servers if server not in off), servers[0] if servers else "")
    for part in parts:
        if part.role == RUNTIME:
            yield replace(_edge(f"{part.place}/{KUBELET}", _id(part), off), label="over CRI")
        elif answering and part.role not in (APISERVER, ETCD):
            yield _edge(_id(part), answering, off)


def _edge(source: str, target: str, off: Collection[str]) -> Edge:
    """Whoever is stopped talks to nobody, and nobody to them."""
    return Edge(sort=SILENT if {source, target} & {*off} else TALKS, source=source, target=target)


def _id(part: Part) -> str:
    return f"{part.place}/{part.name}"


# a cluster of this notebook


def parts_of(cluster: Cluster) -> tuple[list[Part], list[Machine]]:
    """The parts of a cluster of this notebook, running or not."""
    rows = cluster.status()
    states = {name: part.state for name, part in (cluster.components() if cluster.running else {}).items()}
    parts = [_plane_part(name, states.get(name, state), about) for name, state, about in rows if " " not in name]
    named = {part.name for part in parts}
    parts += [_plane_part(name, state, "") for name, state in states.items() if name not in named and _is_own(name)]
    off = [name for name, state in states.items() if state == STOPPED and name.endswith("-controller")]
    parts = [_with_stopped(part, off) for part in parts]
    machines = [Machine(name.removeprefix("node "), state) for name, state, _ in rows if name.startswith("node ")]
    return [*parts, *_agents(cluster, states)], machines


def _plane_part(name: str, state: str, about: str) -> Part:
    plane = name.startswith((ETCD, "kube-", "cloud-controller"))
    return Part(name, _role(name), PLANE if plane else ADDONS, state, about)


def _role(name: str) -> str:
    """`kube-scheduler` for `kube-scheduler-2`."""
    return name.rstrip("0123456789").rstrip("-")


def _is_own(name: str) -> bool:
    """Whether a component stands by itself: neither a controller in a manager nor an agent on a node."""
    return "/" not in name and not name.endswith("-controller")


def _with_stopped(part: Part, off: list[str]) -> Part:
    if part.role != "kube-controller-manager" or not off:
        return part
    return part._replace(about=f"stopped: {', '.join(off[:3])}{' …' if len(off) > 3 else ''}")


def _agents(cluster: Cluster, states: Mapping[str, str]) -> Iterator[Part]:
    for name, node in cluster.nodes.items():
        on = node.on and cluster.running
        for agent in (KUBELET, PROXY):
            state = states.get(f"{agent}/{name}", STOPPED) if on else STOPPED
            yield Part(agent, agent, name, state)
        yield Part(RUNTIME, RUNTIME, name, "Running" if on else STOPPED, cluster.runtime_name)


# a cluster elsewhere


def parts_seen(client: Client) -> tuple[list[Part], list[Machine]]:
    """What a cluster's API tells of its parts: the pods of kube-system, and nodes with their kubelets."""
    machines, parts = [], [Part(APISERVER, APISERVER, PLANE, "Running", "answers")]
    for node in client.items("nodes"):
        state = printers.node_status(node)
        machines.append(Machine(name_of(node), state))
        version = get_path(node, "status.nodeInfo.containerRuntimeVersion", "")
        kubelet = "Running" if state.startswith("Ready") else "Unknown"
        parts.append(Part(KUBELET, KUBELET, name_of(node), kubelet))
        parts.append(Part(RUNTIME, RUNTIME, name_of(node), kubelet, version))
    for pod in client.items("pods", "kube-system"):
        labels, box = labels_of(pod), box_of(pod, Question())
        role = labels.get("component") or labels.get("k8s-app") or ""
        place = get_path(pod, "spec.nodeName", "") if role == PROXY else PLANE if labels.get("component") else ADDONS
        if role and role != APISERVER:
            parts.append(Part(PROXY if role == PROXY else name_of(pod), role, place, box.status))
    return parts, machines
