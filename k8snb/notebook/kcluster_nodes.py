"""%kcluster node, ip, ssh: the machines of a cluster.

Interface: one function for each row of `kcluster.COMMANDS` that is about this.
The rule not to break: a node that is no machine of its own is not spoken of as one.
Source: `cmd/minikube/cmd` in the minikube repository: node_*.go, ip.go, ssh.go.
"""

from __future__ import annotations

from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import KubectlError, Output
from k8snb.notebook import defaults
from k8snb.notebook.clusters import Clusters
from k8snb.notebook.kcluster_answers import Url, running, said, table, target, word
from k8snb.notebook.kcluster_status import hosts

_NO_MACHINE = {
    "docker": "the nodes share the Docker engine of this machine: !docker ps shows their containers",
    "process": "the nodes are this machine: a line that begins with ! runs on it",
    "simulated": "simulated nodes have no shell",
}


def node_list(clusters: Clusters, args: Arguments) -> Output:
    cluster = target(clusters, args)
    lines = []
    for host in hosts(cluster):
        node = cluster.nodes.get(host.name)
        lines.append((host.name, node.network.node_ip if node else "<none>", host.type, host.host))
    return table(("NAME", "IP", "TYPE", "STATE"), lines)


def node_add(clusters: Clusters, args: Arguments) -> Output:
    cluster = running(clusters, args)
    cpus, memory = args.text("cpus"), args.text("memory")
    name = cluster.add_node(
        word(args, "", optional=True), cpus=cpus and defaults.cpus(cpus), memory=memory and defaults.memory(memory),
        docker_host=args.text("docker-host"),
    )  # fmt: skip
    return said(
        f"Adding node {name} to cluster {cluster.name} as [worker]", f"Successfully added {name} to {cluster.name}!"
    )


def node_delete(clusters: Clusters, args: Arguments) -> Output:
    name, cluster = _name(args), running(clusters, args)
    cluster.delete_node(name)
    return said(f"Deleting node {name} from cluster {cluster.name}", f"Node {name} was successfully deleted.")


def node_stop(clusters: Clusters, args: Arguments) -> Output:
    name = _name(args)
    running(clusters, args).stop_node(name)
    hint = "it fell silent, as without power: its pods are replaced when it has been missed for long enough"
    return said(f'Stopping node "{name}"  ...', f"Successfully stopped node {name}", hints=[hint])


def node_start(clusters: Clusters, args: Arguments) -> Output:
    name = _name(args)
    running(clusters, args).start_node(name)
    return said(f'Starting node "{name}"  ...', f"Successfully started node {name}!")


def ip(clusters: Clusters, args: Arguments) -> Url:
    cluster = running(clusters, args)
    node = cluster.machines.find(args.text("node") or next(iter(cluster.nodes)))
    return Url(node.network.node_ip)


def ssh(clusters: Clusters, args: Arguments) -> Output:
    """Refused: no runtime of k8snb has machines to log in to."""
    cluster = running(clusters, args)
    named = args.text("node") or next(iter(args.words), "")
    if named:
        cluster.machines.find(named)
    why = _NO_MACHINE.get(cluster.runtime_name, "a node is no machine of its own")
    raise KubectlError(f"error: %kcluster ssh: not implemented by k8snb: {why}; for a container: %kexec -it POD -- sh")


def _name(args: Arguments) -> str:
    return word(args, "a node's name").removeprefix("node/")
