"""kube-controller-manager: every controller of the control plane, each a loop of its own.

Interface: `CONTROLLERS`: name → class, made as `make(context, informers)` and started by `start()` when the informers
run; `identity_controllers(…)`: those that need the cluster's certificate or signing key besides.
The rule not to break: controllers do not know each other; what one does, another sees through the apiserver.
Source: `cmd/kube-controller-manager/names` in the kubernetes repository: the names here are those of its
`--controllers` flag. Of upstream's, these are not implemented by k8snb: ttl (a hint for kubelets how long to keep
Secrets), legacy-serviceaccount-token-cleaner, resourceclaim, service-cidr, storageversion-garbage-collector and
storage-version-migrator.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import Informers
from k8snb.controllers.attachdetach import AttachDetachController
from k8snb.controllers.bootstrap import BootstrapSigner, TokenCleaner
from k8snb.controllers.certificates import CSRApprovingController, CSRSigningController, SignRequest
from k8snb.controllers.certificates_cleaner import CSRCleanerController
from k8snb.controllers.clusterroleaggregation import ClusterRoleAggregationController
from k8snb.controllers.cronjob import CronJobController
from k8snb.controllers.daemonset import DaemonSetController
from k8snb.controllers.deployment import DeploymentController
from k8snb.controllers.disruption import DisruptionController
from k8snb.controllers.endpoints import EndpointsController
from k8snb.controllers.endpointslice import EndpointSliceController
from k8snb.controllers.endpointslicemirroring import EndpointSliceMirroringController
from k8snb.controllers.ephemeral import EphemeralVolumeController
from k8snb.controllers.expand import ExpandController
from k8snb.controllers.garbagecollector import GarbageCollector
from k8snb.controllers.job import JobController
from k8snb.controllers.namespace import NamespaceController
from k8snb.controllers.nodelifecycle import NodeLifecycleController
from k8snb.controllers.persistentvolume import PersistentVolumeController
from k8snb.controllers.podautoscaler import HorizontalController
from k8snb.controllers.podgc import PodGCController
from k8snb.controllers.pvcprotection import PVCProtectionController
from k8snb.controllers.pvprotection import PVProtectionController
from k8snb.controllers.replicaset import ReplicaSetController
from k8snb.controllers.replicationcontroller import ReplicationManager
from k8snb.controllers.resourcequota import ResourceQuotaController
from k8snb.controllers.rootca import RootCACertPublisher
from k8snb.controllers.serviceaccount import ServiceAccountController
from k8snb.controllers.statefulset import StatefulSetController
from k8snb.controllers.tainteviction import TaintEvictionController
from k8snb.controllers.tokens import Sign, TokensController
from k8snb.controllers.ttlafterfinished import TTLAfterFinishedController

Make = Callable[[Context, Informers], Controller]

CONTROLLERS: dict[str, Make] = {
    "namespace-controller": NamespaceController,
    "resourcequota-controller": ResourceQuotaController,
    "serviceaccount-controller": ServiceAccountController,
    "garbage-collector-controller": GarbageCollector,
    "node-lifecycle-controller": NodeLifecycleController,
    "taint-eviction-controller": TaintEvictionController,
    "pod-garbage-collector-controller": PodGCController,
    "deployment-controller": DeploymentController,
    "replicaset-controller": ReplicaSetController,
    "replicationcontroller-controller": ReplicationManager,
    "statefulset-controller": StatefulSetController,
    "daemonset-controller": DaemonSetController,
    "job-controller": JobController,
    "cronjob-controller": CronJobController,
    "ttl-after-finished-controller": TTLAfterFinishedController,
    "endpoints-controller": EndpointsController,
    "endpointslice-controller": EndpointSliceController,
    "endpointslice-mirroring-controller": EndpointSliceMirroringController,
    "clusterrole-aggregation-controller": ClusterRoleAggregationController,
    "certificatesigningrequest-approving-controller": CSRApprovingController,
    "certificatesigningrequest-cleaner-controller": CSRCleanerController,
    "bootstrap-signer-controller": BootstrapSigner,
    "token-cleaner-controller": TokenCleaner,
    "persistentvolume-binder-controller": PersistentVolumeController,
    "persistentvolume-attach-detach-controller": AttachDetachController,
    "persistentvolume-expander-controller": ExpandController,
    "persistentvolumeclaim-protection-controller": PVCProtectionController,
    "persistentvolume-protection-controller": PVProtectionController,
    "ephemeral-volume-controller": EphemeralVolumeController,
    "disruption-controller": DisruptionController,
    "horizontal-pod-autoscaler-controller": HorizontalController,
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
