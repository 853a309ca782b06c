"""kubelet: the agent on a node that makes pods out of what the apiserver says.

Interface: `Kubelet(…).start()`; it registers its node, runs the pods bound to it, and reports.
The rule not to break: only the kubelet talks to a runtime, and its only ways out are the apiserver and the runtime.
Source: `pkg/kubelet` in the kubernetes repository.
"""

from k8snb.kubelet.kubelet import Kubelet

__all__ = ["Kubelet"]
