"""%kcluster status: each machine in minikube's words, then the components, which minikube does not show.

Interface: `status(clusters, args)`; `hosts(cluster)`, a row for each machine.
The rule not to break: a word says what is so now; a machine that is paused is not called running.
Source: `pkg/minikube/cluster/status.go` in the minikube repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import KubectlError, Output
from k8snb.machines import CONTROL_PLANE
from k8snb.notebook import pulling
from k8snb.notebook.clusters import Clusters
from k8snb.notebook.kcluster_answers import columns, json_answer, target, wants_json

if TYPE_CHECKING:
    from k8snb.cluster import Cluster

RUNNING, STOPPED, PAUSED = "Running", "Stopped", "Paused"
IRRELEVANT = "Irrelevant"  # what minikube says of a worker's apiserver and kubeconfig


class Host(NamedTuple):
    """One machine, as minikube describes one."""

    name: str
    worker: bool
    host: str
    kubelet: str
    apiserver: str
    kubeconfig: str

    @property
    def text(self) -> str:
        lines = [self.name, f"type: {self.type}", f"host: {self.host}", f"kubelet: {self.kubelet}"]
        if not self.worker:
            lines += [f"apiserver: {self.apiserver}", f"kubeconfig: {self.kubeconfig}"]
        return "\n".join(lines) + "\n"

    @property
    def type(self) -> str:
        return "Worker" if self.worker else "Control Plane"

    def as_json(self) -> dict[str, object]:
        return {
            "Name": self.name, "Host": self.host, "Kubelet": self.kubelet, "APIServer": self.apiserver,
            "Kubeconfig": self.kubeconfig, "Worker": self.worker,
        }  # fmt: skip


def status(clusters: Clusters, args: Arguments) -> Output:
    cluster, only = target(clusters, args), args.text("node")
    found = [host for host in hosts(cluster) if only in ("", host.name)]
    if not found:
        raise KubectlError(f'error: there is no node "{only}"; there are {", ".join(cluster.machines.specs)}')
    if wants_json(args, "text"):
        return json_answer([host.as_json() for host in found] if len(found) > 1 else found[0].as_json())
    machines = columns(
        ("NAME", "TYPE", "HOST", "KUBELET", "APISERVER", "KUBECONFIG"),
        [(host.name, host.type, host.host, host.kubelet, host.apiserver, host.kubeconfig) for host in found],
    )
    components = columns(("COMPONENT", "STATE", "DETAILS"), [] if only else cluster.status())
    tables = [machines, *([components] if components.rows else [])]
    text = "\n".join(host.text for host in found) + (f"\n{components.text}" if components.rows else "")
    return Output(text=text, tables=tables, hints=pulling.lines(cluster))


def hosts(cluster: Cluster) -> list[Host]:
    """The control plane's machine first."""
    return [_host(cluster, name) for name in cluster.machines.specs]


def _host(cluster: Cluster, name: str) -> Host:
    node, worker = cluster.nodes.get(name), name != CONTROL_PLANE
    on = cluster.running and node is not None and node.kubelet is not None
    paused = cluster.running and cluster.pump.paused
    serves = PAUSED if paused else RUNNING if cluster.running else STOPPED
    return Host(
        name, worker, host=RUNNING if on else STOPPED, kubelet=RUNNING if on and not paused else STOPPED,
        apiserver=IRRELEVANT if worker else serves,
        kubeconfig=IRRELEVANT if worker else "Configured" if cluster.running else STOPPED,
    )  # fmt: skip
