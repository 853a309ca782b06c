"""kube-controller-manager: every controller of the control plane, each a loop of its own.

Interface: `CONTROLLERS`: name → class, made as `make(context, informers)` and started by `start()` when the informers
run; `identity_controllers(…)`: those that need the cluster's certificate or signing key besides.
The rule not to break: controllers do not know each other; what one does, another sees through the apiserver.
Source: `cmd/kube-controller-manager/names` in the kubernetes repository: the names here are those of its
`--controllers` flag.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import Informers
from k8snb.controllers.certificates import CSRApprovingController, CSRSigningController, SignRequest
from k8snb.controllers.clusterroleaggregation import ClusterRoleAggregationController
from k8snb.controllers.deployment import DeploymentController
from k8snb.controllers.endpoints import EndpointsController
from k8snb.controllers.endpointslice import EndpointSliceController
from k8snb.controllers.garbagecollector import GarbageCollector
from k8snb.controllers.namespace import NamespaceController
from k8snb.controllers.nodelifecycle import NodeLifecycleController
from k8snb.controllers.podgc import PodGCController
from k8snb.controllers.replicaset import ReplicaSetController
from k8snb.controllers.replicationcontroller import ReplicationManager
from k8snb.controllers.rootca import RootCACertPublisher
from k8snb.controllers.serviceaccount import ServiceAccountController
from k8snb.controllers.tainteviction import TaintEvictionController
from k8snb.controllers.tokens import Sign, TokensController

Make = Callable[[Context, Informers], Controller]

CONTROLLERS: dict[str, Make] = {
    "namespace-controller": NamespaceController,
    "serviceaccount-controller": ServiceAccountController,
    "garbage-collector-controller": GarbageCollector,
    "node-lifecycle-controller": NodeLifecycleController,
    "taint-eviction-controller": TaintEvictionController,
    "pod-garbage-collector-controller": PodGCController,
    "deployment-controller": DeploymentController,
    "replicaset-controller": ReplicaSetController,
    "replicationcontroller-controller": ReplicationManager,
    "endpoints-controller": EndpointsController,
    "endpointslice-controller": EndpointSliceController,
    "clusterrole-aggregation-controller": ClusterRoleAggregationController,
    "certificatesigningrequest-approving-controller": CSRApprovingController,
}


def identity_controllers(*, root_ca: str, sign: Sign, sign_request: SignRequest) -> dict[str, Make]:
    """Controllers that hand out the cluster's identity: `root_ca` is PEM text, `sign(account, secret)` a token,
    `sign_request(pem, usages, seconds)` a certificate.
    """
    return {
        "root-ca-certificate-publisher-controller": partial(RootCACertPublisher, root_ca=root_ca),
        "serviceaccount-token-controller": partial(TokensController, sign=sign, root_ca=root_ca),
        "certificatesigningrequest-signing-controller": partial(CSRSigningController, sign_request=sign_request),
    }
