"""kube-apiserver: the only entrance to the cluster's data.

Interface: `ApiServer.handle(request)`, one request's way in: authorization, admission, validation, storage; `kinds()`,
what it serves.
The rule not to break: only the apiserver talks to etcd, and everybody else meets in the apiserver.
Over HTTPS a caller proves who it is; in the kernel it says so and is believed, and may do what that user may.
"""

from k8snb.apiserver.identity import Identity
from k8snb.apiserver.nodes import NodeConnection
from k8snb.apiserver.server import ApiServer

__all__ = ["ApiServer", "Identity", "NodeConnection"]
