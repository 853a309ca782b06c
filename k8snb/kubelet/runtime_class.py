"""kubelet's runtime class manager: whether the node's runtime can make the sandbox that a pod's RuntimeClass asks for.

Interface: `sandbox_maker(client, runtime, pod, config)`: what the executor runs to make the sandbox.
The rule not to break: a pod that asks for a handler never runs on another.
Source: `pkg/kubelet/runtimeclass/runtimeclass_manager.go`; the words about a missing handler are containerd's. A node
of k8snb has one handler, named like its runtime; that of Docker has also the name of Docker's own default, runc.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from k8snb.apimachinery.meta import Object
from k8snb.client import Client
from k8snb.cri import PodSandboxConfig, Runtime, RuntimeFailure

OTHER_NAMES: Mapping[str, str] = MappingProxyType({"docker": "runc"})


def sandbox_maker(client: Client, runtime: Runtime, pod: Object, config: PodSandboxConfig) -> Callable[[], str]:
    """Makes the sandbox and returns its id, or raises RuntimeFailure."""
    problem = _problem(client, runtime, pod)

    def make() -> str:
        if problem:
            raise RuntimeFailure("CreatePodSandboxError", problem)
        return runtime.run_pod_sandbox(config)

    return make


def _problem(client: Client, runtime: Runtime, pod: Object) -> str:
    """Why there will be no sandbox; "" where there can be one."""
    name = pod["spec"].get("runtimeClassName")
    if not name:
        return ""
    found = client.find("runtimeclasses", name)
    if found is None:
        return f'runtimeclass.node.k8s.io "{name}" not found'
    handler = found["handler"]
    if handler in (runtime.name, OTHER_NAMES.get(runtime.name)):
        return ""
    return f'rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for "{handler}" is configured'
