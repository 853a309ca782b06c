"""A cluster's components: which there are, how they are, and their switches.

Interface: `Components`: `status`, `components`, `component`; `bind`, by which anybody can do the scheduler's work.
The rule not to break: a component is stopped and started alone, and nothing else breaks by that.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from k8snb.addons import DNS, Stoppable
from k8snb.apimachinery.meta import is_true
from k8snb.client.instances import RUNNING, STOPPED
from k8snb.cluster.parts import Parts
from k8snb.control_plane import Component, instance_components, single_component
from k8snb.machines import Node


class Components(Parts):
    def status(self) -> list[tuple[str, str, str]]:
        """One row for each component: its name, its state, and what there is to say about it."""
        state = "Running" if self.running else "Stopped"
        if self.pump.failure:
            state = "Failed"
        if self.running and self.pump.paused:
            state = "Paused"
        dns = self.addons.is_enabled(DNS)
        rows = [
            ("etcd", *self._etcd(state)),
            ("kube-apiserver", state, "in this kernel"),
            ("kube-controller-manager", state, f"{len(self.controllers)} controllers" if self.running else ""),
            ("kube-scheduler", state, ""),
            *((("cloud-controller-manager", state, f"the {self.cloud.name}'s cloud"),) if self.cloud else ()),
            *([("coredns", state, f"at {self.resolver}" if self.resolver else "")] if dns else []),
        ]
        components = self.components() if self.running else {}
        rows = [(name, STOPPED if _stands_still(components.get(name)) else state, about) for name, state, about in rows]
        if self.pump.failure:
            rows.append(("pump", "Failed", self.pump.failure.strip().splitlines()[-1]))
        absent = [spec for spec in self.machines.specs.values() if self.running and spec.name not in self.nodes]
        rows += [self._node_row(node) for node in self.nodes.values()]
        return [
            *rows,
            *((f"node {spec.name}", "Stopped", f"no engine answers at {spec.docker_host}") for spec in absent),
        ]

    def _etcd(self, state: str) -> tuple[str, str]:
        problem = getattr(self.store, "problem", "")
        where = f" in {self.data.path}" if self.data else ""
        return ("Failed", problem) if problem else (state, f"revision {self.store.revision}{where}")

    def _node_row(self, node: Node) -> tuple[str, str, str]:
        record = self.store.get(f"/registry/nodes/{node.spec.name}")
        ready = record is not None and is_true(record.value, "Ready")
        state = "Stopped" if not node.on or not self.running else "Ready" if ready else "NotReady"
        where = f" on {node.spec.docker_host}" if node.spec.docker_host else ""
        parts = f"kubelet, kube-proxy, {self.runtime_name} runtime{where} at {node.network.node_ip}"
        return (f"node {node.spec.name}", state, parts)

    def component(self, name: str) -> Component:
        """A part of the cluster that can be stopped and started. Raises ValueError for a name that is none."""
        components = self.components()
        if name not in components:
            raise ValueError(f'there is no component "{name}"; there are: {", ".join(components)}')
        return components[name]

    def components(self) -> dict[str, Component]:
        """All of them by name, each controller and each node's agents as well."""
        self._must_run()
        return {component.name: component for component in self._components()}

    def _components(self) -> Iterator[Component]:
        lock = self.pump.lock
        why = "everything that the cluster knows is there; %kcluster stop stops the whole cluster"
        yield Component("etcd", f"revision {self.store.revision}", lock, lambda: RUNNING, why_not=why)
        yield from self.apiservers.components()
        plane, machines = self.control_plane, self.machines
        for instances in plane.elected:
            parts = len(instances.program.parts)
            yield from instance_components(instances, f"{parts} controllers" if parts > 1 else "", lock)
        for addon in self.addons.working():
            if isinstance(addon, Stoppable) and addon.single is not None:
                yield single_component(addon.single, addon.about, lock)
        for name, node in self.nodes.items():
            rows = (("kubelet", lambda node: machines.start_kubelet(node, plane, self.host, self),
                     lambda node: machines.stop_kubelet(node, self)),
                    ("kube-proxy", lambda node: machines.start_proxy(node, plane), machines.stop_proxy))  # fmt: skip
            for agent, start, stop in rows:
                state = functools.partial(_agent_state, node, agent)
                on, off = functools.partial(start, node), functools.partial(stop, node)
                yield Component(f"{agent}/{name}", f"on node {name}", lock, state, on, off)

    def bind(self, pod: str, node: str, namespace: str = "default") -> None:
        """Do the scheduler's work for one pod. Raises ApiError for a pod that has a node, or is none."""
        self.client.get("nodes", node)
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": target}
        self.client.create_subresource("pods", pod, "binding", binding, namespace)


def _stands_still(component: Component | None) -> bool:
    return component is not None and component.state == STOPPED


def _agent_state(node: Node, agent: str) -> str:
    works = node.kubelet if agent == "kubelet" else node.proxy
    return RUNNING if works is not None else STOPPED
