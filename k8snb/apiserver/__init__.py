"""kube-apiserver: the only entrance to the cluster's data.

Interface: `ApiServer.handle(request)`, one request's way in: admission, validation, storage; `kinds()`, what it serves.
The rule not to break: only the apiserver talks to etcd, and everybody else meets in the apiserver.
Real Kubernetes runs the same handlers behind HTTPS, after authentication and authorization; in the kernel the caller
says who it is and is believed.
"""

from k8snb.apiserver.identity import Identity
from k8snb.apiserver.server import ApiServer
from k8snb.apiserver.subresources import NodeConnection

__all__ = ["ApiServer", "Identity", "NodeConnection"]
