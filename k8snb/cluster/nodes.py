"""A cluster's machines: they join, fall silent, are cut off, and go.

Interface: `Nodes`: `add_node`, `stop_node`, `start_node`, `partition_node`, `rejoin_node`, `delete_node`,
`terminate_node`.
The rule not to break: the machine is switched here; what becomes of its Node and pods is for the controllers to see.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from k8snb.cluster.timing import Timing
from k8snb.cri import Engines, RuntimeFailure, RuntimeUnavailable
from k8snb.kubelet.node_status import NodeSpec
from k8snb.machines import runtime_of


class Nodes(Timing):
    def add_node(
        self, name: str = "", *, labels: dict[str, str] | None = None, cpus: str = "", memory: str = "",
        disk: str = "", static_pods: str | Path = "", docker_host: str = "",
    ) -> str:  # fmt: skip
        """A new worker joins. Returns its name. `static_pods` is a directory with manifests that it runs by itself.

        `docker_host` puts it on another Docker engine than the cluster's: unix://, tcp:// or ssh:// as Docker has them.
        Raises ValueError where the machine cannot be had.
        """
        self._must_run()
        if docker_host:
            runtime = self._engine_at(docker_host)
            cpus, memory = cpus or runtime.size()[0], memory or runtime.size()[1]
        spec = self.machines.add(
            name, labels=labels or {}, cpus=cpus, memory=memory, disk=disk, static_pods=str(static_pods),
            docker_host=docker_host,
        )  # fmt: skip
        with self.pump.lock:
            self._switch_on(spec)
        self._note()
        return spec.name

    def _engine_at(self, docker_host: str) -> Engines:
        """Another engine, which answers. Raises ValueError."""
        from k8snb.cri.docker_way import check

        try:
            found = runtime_of(NodeSpec("", docker_host=check(docker_host)), self.runtime)
        except RuntimeFailure as failure:
            raise ValueError(failure.message) from None
        assert isinstance(found, Engines)
        return found

    def stop_node(self, name: str, *, grace: float = 0.0, critical: float = 10.0) -> None:
        """Pull the plug: the node falls silent and its containers end. The node controller will notice.

        With `grace` the machine is shut down in good order: its pods have so many seconds to end, and critical ones
        the last `critical` of them for themselves.
        """
        node = self.machines.find(name)
        kubelet = node.kubelet
        if grace > 0 and kubelet is not None:
            with self.pump.lock:
                kubelet.shut_down(grace, critical)
            self.wait(kubelet.is_shut_down, grace)
        with self.pump.lock:
            self.machines.fall_silent(node, self)
        with suppress(RuntimeUnavailable):  # an engine that has gone has taken them along
            self.machines.end_pods(name, self.runtime)

    def partition_node(self, name: str) -> None:
        """Cut a node off from the apiserver. Its containers go on running, and nobody hears of them."""
        self.machines.find(name)
        with self.pump.lock:
            self.faults.cut(_node_user(name))
            self.apiserver.disconnect_node(name)

    def rejoin_node(self, name: str) -> None:
        """A node that was cut off is reached again."""
        node = self.machines.find(name)
        with self.pump.lock:
            self.faults.mend(_node_user(name))
            if node.kubelet is not None:
                self.apiserver.connect_node(name, node.kubelet)

    def start_node(self, name: str) -> None:
        """Switch a stopped node on again. Raises ValueError where it cannot be."""
        node, spec = self.nodes.get(name), self.machines.specs.get(name)
        if spec is None:
            self.machines.find(name)
            return
        self._must_run()
        if node is None or not node.on:
            if spec.docker_host:
                self._engine_at(spec.docker_host)
            with self.pump.lock:
                self._switch_on(spec)

    def delete_node(self, name: str) -> None:
        """Take a machine away for good, with its Node object."""
        self.terminate_node(name)
        if self.client.find("nodes", name) is not None:
            self.client.delete("nodes", name)

    def terminate_node(self, name: str) -> None:
        """Give a machine back to the cloud and tell nobody: cloud-controller-manager finds out and removes the Node."""
        self.machines.find(name)
        self._must_run()
        self.stop_node(name)
        self.machines.forget(name, self.runtime)
        self._note()

    def _note(self) -> None:
        """Something changed that the next process has to know of the cluster."""

    def _try_to_switch_on(self, spec: NodeSpec) -> None:
        """A cluster starts without the machines whose own engines do not answer: `start_node` asks again."""
        try:
            self._switch_on(spec)
        except RuntimeUnavailable:
            if not spec.docker_host:
                raise

    def _switch_on(self, spec: NodeSpec) -> None:
        self.machines.switch_on(spec, self.control_plane, self.host, self)


def _node_user(name: str) -> str:
    return f"system:node:{name}"
