"""A control plane without nodes: apiserver, pump and some controllers on virtual time; the test plays the kubelet."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

from k8snb.apimachinery.meta import Object, is_deleting, is_true, name_of, namespace_of, with_condition
from k8snb.apiserver.server import ApiServer
from k8snb.client import Client
from k8snb.client.context import Context
from k8snb.client.informer import Informers
from k8snb.clock import VirtualClock, timestamp
from k8snb.etcd.memory import MemoryStore
from k8snb.pump import Pump


class Lab:
    """`lab.run()` lets the controllers work until nothing is left to do."""

    def __init__(self, *controllers: Callable[..., Any], namespaces: Iterable[str] = (), seed: int = 1) -> None:
        self.clock = VirtualClock()
        self.pump = Pump(self.clock)
        self.failures: list[str] = []
        self.pump.on_failure = lambda component, details: self.failures.append(details)
        dice = random.Random(seed)
        self.store = MemoryStore()
        self.server = ApiServer(self.store, self.clock, dice=dice, service_cidr="10.96.0.0/16")
        self.server.bootstrap()
        self.context = Context(self.server, self.clock, self.pump.add, dice)
        self.client = Client(self.server)
        self._makers = controllers
        self._wire()
        for namespace in ("default", *namespaces):
            self.namespace(namespace)

    def _wire(self) -> None:
        self.informers = Informers(self.context.client("system:kube-controller-manager"), self.context)
        self.controllers: list[Any] = [make(self.context, self.informers) for make in self._makers]

    def restart(self) -> Lab:
        """The controllers forget everything and start again; who is level-triggered then writes nothing new."""
        self.informers.stop()
        self._wire()
        return self.start()

    def namespace(self, name: str) -> None:
        """A namespace with the service account that pods need."""
        if self.client.find("namespaces", name) is None:
            self.client.create("namespaces", {"metadata": {"name": name}})
        self.client.create("serviceaccounts", {"metadata": {"name": "default"}}, name)

    def start(self) -> Lab:
        self.informers.start()
        for controller in self.controllers:
            controller.start()
        return self.run()

    def run(self, limit: float = 600.0) -> Lab:
        self.pump.settle(limit=limit)
        assert not self.failures, self.failures[0]
        return self

    def wait(self, seconds: float) -> Lab:
        self.pump.run_for(seconds)
        assert not self.failures, self.failures[0]
        return self

    @property
    def controller(self) -> Any:
        """The first controller, which the test is about."""
        return self.controllers[0]

    # what is there

    def names(self, resource: str, namespace: str = "default", **options: Any) -> list[str]:
        return [name_of(obj) for obj in self.client.items(resource, namespace, **options)]

    def pods(self, namespace: str = "default") -> list[Object]:
        return self.client.items("pods", namespace)

    def events(self, reason: str = "", namespace: str = "default") -> list[str]:
        events = self.client.items("events", namespace)
        return [event["message"] for event in events if reason in ("", event["reason"])]

    def get(self, resource: str, name: str, namespace: str = "default") -> Object:
        return self.client.get(resource, name, namespace)

    # the test as user and as kubelet

    def node(self, name: str, *, cpu: str = "4", memory: str = "8Gi", pods: str = "110", **more: Any) -> Object:
        """A node as its kubelet registers it, ready. `more`: labels, taints, unschedulable."""
        metadata = {"name": name, "labels": {"kubernetes.io/hostname": name, **more.pop("labels", {})}}
        conditions = [{"type": "Ready", "status": "True", "lastHeartbeatTime": timestamp(self.clock.now())}]
        status = {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods}, "conditions": conditions}
        made = self.client.create("nodes", {"metadata": metadata, "spec": {}, "status": status})
        return self.client.update("nodes", {**made, "spec": more})

    def bind(self, pod: str, node: str, namespace: str = "default") -> None:
        """What the scheduler would do."""
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": {"name": node}}
        self.client.create_subresource("pods", pod, "binding", binding, namespace)

    def apply(self, resource: str, name: str, change: Object, namespace: str = "default", **options: Any) -> Object:
        return self.client.patch(resource, name, change, namespace, **options)

    def set_ready(self, pod: Object, ready: bool = True, *, ip: str = "", **status: Any) -> Object:
        """Say of a pod what its kubelet would: Running, and ready or not."""
        pod = self.client.get("pods", name_of(pod), namespace_of(pod))
        entry = {"type": "Ready", "status": "True" if ready else "False"}
        old = pod["status"].get("conditions") or []
        conditions = with_condition(old, entry, timestamp(self.clock.now()))
        address = {"podIP": ip, "podIPs": [{"ip": ip}]} if ip else {}
        new = {**pod["status"], "phase": "Running", "conditions": conditions, **address, **status}
        return self.client.update_status("pods", {**pod, "status": new})

    def all_ready(self) -> Lab:
        """Every active pod becomes ready, and what follows from that settles."""
        for pod in self.pods():
            if not is_true(pod, "Ready") and not is_deleting(pod):
                self.set_ready(pod)
        return self.run()

    def roll_to_the_end(self) -> Lab:
        """Play the kubelet until no controller asks for anything more."""
        for _ in range(100):
            revision = self.store.revision
            self.all_ready()
            if self.store.revision == revision:
                return self
        raise AssertionError("the rollout does not come to an end")


def container(image: str = "nginx:1.25", **more: Any) -> Object:
    return {"name": "web", "image": image, **more}


def template(image: str = "nginx:1.25", labels: Object | None = None, **spec: Any) -> Object:
    return {"metadata": {"labels": labels or {"app": "web"}}, "spec": {"containers": [container(image)], **spec}}


def deployment(name: str = "web", replicas: int = 3, image: str = "nginx:1.25", **spec: Any) -> Object:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": template(image, labels),
            **spec,
        },
    }


def replica_set(name: str = "web", replicas: int = 3, labels: Object | None = None, **spec: Any) -> Object:
    labels = labels or {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": template(labels=labels),
            **spec,
        },
    }


def pod(name: str, labels: Object | None = None, **spec: Any) -> Object:
    metadata = {"name": name, "namespace": "default", "labels": labels or {"app": "web"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container()], **spec}}


def image_patch(image: str) -> Object:
    return {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}}


def service(name: str = "web", *, ports: Any = 80, **spec: Any) -> Object:
    """A Service for `app: NAME`; `ports` is one number or a list of port objects."""
    listed = ports if isinstance(ports, list) else [{"port": ports}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": name}, "ports": listed, **spec},
    }
