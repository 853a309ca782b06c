"""kube-apiserver's bootstrap policy: the roles and bindings that every cluster starts with.

Interface: `ROLES`, `CONTROLLER_ROLES`, `BINDINGS`, the tables; `NODE_RULES`; `reconcile(client)` puts them in place.
The rule not to break: a component gets what it uses and no more; a controller that is not listed may do nothing.
Source: `plugin/pkg/auth/authorizer/rbac/bootstrappolicy`. Upstream has roles for parts that k8snb does not have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from k8snb.apimachinery.meta import Object, annotations_of, name_of
from k8snb.apiserver.rbac import ALL, GROUP, Rule
from k8snb.client import Client

READ, FOLLOW = "get list watch", "list watch"
WRITE = "create delete deletecollection patch update"
EVERYTHING = f"{WRITE} {READ}"
LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"
AGGREGATE_TO = f"{GROUP}/aggregate-to-"
AUTHENTICATED, UNAUTHENTICATED = "Group system:authenticated", "Group system:unauthenticated"


@dataclass(frozen=True)
class Role:
    """A default ClusterRole. `into` is the role that takes its rules over; `gathers` = its own come from others."""

    rules: tuple[Rule, ...] = ()
    into: str = ""
    gathers: bool = False


def may(verbs: str, resources: str, group: str = "", names: str = "") -> Rule:
    """A rule on resources. Words are separated by spaces; `core` stands for the group without a name."""
    groups = tuple("" if word == "core" else word for word in group.split()) or ("",)
    return Rule(tuple(verbs.split()), groups, tuple(resources.split()), tuple(names.split()))


def may_get(urls: str) -> Rule:
    return Rule(("get",), urls=tuple(urls.split()))


EVENTS = may("create patch update", "events", "core events.k8s.io")
ANYTHING = (Rule((ALL,), (ALL,), (ALL,)), Rule((ALL,), urls=(ALL,)))
WORKLOADS = "daemonsets deployments deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale"
CONNECTIONS = "pods/attach pods/exec pods/portforward pods/proxy"

# What every kubelet may do beside what the node authorizer grants it by name.
NODE_RULES: tuple[Rule, ...] = (
    may("create", "tokenreviews", "authentication.k8s.io"),
    may("create", "subjectaccessreviews localsubjectaccessreviews", "authorization.k8s.io"),
    may(READ, "services"),
    EVENTS,
    may("create get list watch", "certificatesigningrequests", "certificates.k8s.io"),
    may(READ, "runtimeclasses", "node.k8s.io"),
    may(READ, "csidrivers", "storage.k8s.io"),
)

ROLES: dict[str, Role] = {
    # for people
    "cluster-admin": Role(ANYTHING),
    "admin": Role(gathers=True),
    "edit": Role(into="admin", gathers=True),
    "view": Role(into="edit", gathers=True),
    "system:aggregate-to-admin": Role((
        may("create", "localsubjectaccessreviews", "authorization.k8s.io"),
        may(EVERYTHING, "rolebindings roles", GROUP),
    ), into="admin"),
    "system:aggregate-to-edit": Role((
        may(READ, f"{CONNECTIONS} secrets services/proxy"),
        may("impersonate", "serviceaccounts"),
        may(WRITE, f"pods {CONNECTIONS}"),
        may("create", "pods/eviction"),
        may(WRITE, "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale "
                   "secrets serviceaccounts services services/proxy"),
        may("create", "serviceaccounts/token"),
        may(WRITE, WORKLOADS, "apps"),
        may(WRITE, "horizontalpodautoscalers", "autoscaling"),
        may(WRITE, "cronjobs jobs", "batch"),
        may(WRITE, "poddisruptionbudgets", "policy"),
        may(WRITE, "ingresses networkpolicies", "networking.k8s.io"),
        may(EVERYTHING, "leases", "coordination.k8s.io"),
    ), into="edit"),
    "system:aggregate-to-view": Role((
        may(READ, "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods "
                  "replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status"),
        may(READ, "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status "
                  "resourcequotas resourcequotas/status"),
        may(READ, "namespaces"),
        may(READ, "endpointslices", "discovery.k8s.io"),
        may(READ, f"controllerrevisions {WORKLOADS} daemonsets/status deployments/status replicasets/status "
                  "statefulsets/status", "apps"),
        may(READ, "horizontalpodautoscalers horizontalpodautoscalers/status", "autoscaling"),
        may(READ, "cronjobs cronjobs/status jobs jobs/status", "batch"),
        may(READ, "poddisruptionbudgets poddisruptionbudgets/status", "policy"),
        may(READ, "ingresses ingresses/status networkpolicies", "networking.k8s.io"),
    ), into="view"),
    # for everybody who has said who they are
    "system:discovery": Role((
        may_get("/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/"),
    )),
    "system:basic-user": Role((
        may("create", "selfsubjectaccessreviews selfsubjectrulesreviews", "authorization.k8s.io"),
        may("create", "selfsubjectreviews", "authentication.k8s.io"),
    )),
    "system:public-info-viewer": Role((may_get("/healthz /livez /readyz /version /version/"),)),
    "system:service-account-issuer-discovery": Role((may_get("/.well-known/openid-configuration /openid/v1/jwks"),)),
    "system:monitoring": Role((
        may_get("/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*"),
    )),
    "system:auth-delegator": Role((
        may("create", "tokenreviews", "authentication.k8s.io"),
        may("create", "subjectaccessreviews", "authorization.k8s.io"),
    )),
    # for the components
    "system:kube-controller-manager": Role((
        EVENTS,
        may("create", "leases", "coordination.k8s.io"),
        may("get update", "leases", "coordination.k8s.io", "kube-controller-manager"),
        may("create update", "secrets serviceaccounts"),
        may("delete", "secrets"),
        may("get", "configmaps namespaces secrets serviceaccounts"),
        may("create", "serviceaccounts/token"),
        may("create", "tokenreviews", "authentication.k8s.io"),
        may("create", "subjectaccessreviews", "authorization.k8s.io"),
        may(FOLLOW, ALL, ALL),
    )),
    "system:kube-scheduler": Role((
        EVENTS,
        may("create", "leases", "coordination.k8s.io"),
        may("get update", "leases", "coordination.k8s.io", "kube-scheduler"),
        may(READ, "namespaces nodes persistentvolumeclaims persistentvolumes replicationcontrollers services"),
        may(f"delete {READ}", "pods"),
        may("create", "bindings pods/binding"),
        may("patch update", "pods/status"),
        may("patch update", "persistentvolumeclaims persistentvolumes"),
        may(READ, "replicasets statefulsets", "apps"),
        may(READ, "poddisruptionbudgets", "policy"),
        may(READ, "csidrivers csinodes csistoragecapacities storageclasses volumeattachments", "storage.k8s.io"),
    )),
    "system:cloud-controller-manager": Role((
        EVENTS,
        may("create", "leases", "coordination.k8s.io"),
        may("get update", "leases", "coordination.k8s.io", "cloud-controller-manager"),
        may(FOLLOW, "nodes services"),
    )),
    "system:persistent-volume-provisioner": Role((
        may(f"create delete {READ}", "persistentvolumes"),
        may(f"update {READ}", "persistentvolumeclaims"),
        may(READ, "storageclasses", "storage.k8s.io"),
        may("watch", "events"),
        EVENTS,
    )),
    "system:node": Role(NODE_RULES),
    "system:kubelet-api-admin": Role((
        may(READ, "nodes"),
        may("proxy", "nodes"),
        may(ALL, "nodes/log nodes/metrics nodes/proxy nodes/stats"),
    )),
    "system:node-proxier": Role((
        may(FOLLOW, "endpoints services"),
        may(READ, "nodes"),
        EVENTS,
        may(FOLLOW, "endpointslices", "discovery.k8s.io"),
    )),
    "system:coredns": Role((
        may(FOLLOW, "endpoints namespaces pods services"),
        may(FOLLOW, "endpointslices", "discovery.k8s.io"),
    )),
    "system:network-policy": Role((
        may(FOLLOW, "namespaces pods services"),
        may(FOLLOW, "networkpolicies", "networking.k8s.io"),
        EVENTS,
    )),
    "system:metrics-server": Role((may("get", "nodes/metrics nodes/stats"), may(READ, "nodes pods"))),
    "system:aggregated-metrics-reader": Role((may(READ, "nodes pods", "metrics.k8s.io"),), into="view"),
    # for certificates
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient": Role((
        may("create", "certificatesigningrequests/nodeclient", "certificates.k8s.io"),
    )),
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": Role((
        may("create", "certificatesigningrequests/selfnodeclient", "certificates.k8s.io"),
    )),
    **{
        f"system:certificates.k8s.io:{signer}-approver": Role((
            may("approve", "signers", "certificates.k8s.io", f"kubernetes.io/{signer}"),
        ))
        for signer in ("kube-apiserver-client", "kube-apiserver-client-kubelet", "kubelet-serving")
    },
}  # fmt: skip

# A controller acts as the service account of its name in kube-system; each has the role system:controller:NAME.
CONTROLLER_ROLES: dict[str, tuple[Rule, ...]] = {
    "namespace-controller": (
        may(f"delete {READ}", "namespaces"),
        may("update", "namespaces/finalize namespaces/status"),
        may(f"delete deletecollection {READ}", ALL, ALL),
    ),
    "service-account-controller": (may("create", "serviceaccounts"), EVENTS),
    "generic-garbage-collector": (may(f"delete patch update {READ}", ALL, ALL), EVENTS),
    "node-controller": (
        may(f"delete patch update {READ}", "nodes"),
        may("patch update", "nodes/status"),
        may("patch update", "pods/status"),
        may(f"delete {READ}", "pods"),
        EVENTS,
    ),
    "taint-eviction-controller": (
        may("get list watch", "nodes"),
        may(f"delete {READ}", "pods"),
        may("patch update", "pods/status"),
        EVENTS,
    ),
    "pod-garbage-collector": (
        may(f"delete {READ}", "pods"),
        may(READ, "nodes"),
        may("patch update", "pods/status"),
    ),
    "deployment-controller": (
        may(f"patch update {READ}", "deployments", "apps"),
        may("update", "deployments/status deployments/finalizers", "apps"),
        may(f"create delete patch update {READ}", "replicasets", "apps"),
        may(f"update {READ}", "pods"),
        EVENTS,
    ),
    "replicaset-controller": (
        may(f"update {READ}", "replicasets", "apps"),
        may("update", "replicasets/status replicasets/finalizers", "apps"),
        may("create delete list patch watch", "pods"),
        EVENTS,
    ),
    "statefulset-controller": (
        may(f"update {READ}", "statefulsets", "apps"),
        may("update", "statefulsets/status statefulsets/finalizers", "apps"),
        may(f"create delete patch update {READ}", "controllerrevisions", "apps"),
        may(f"create delete patch update {READ}", "pods"),
        may(f"create update {READ}", "persistentvolumeclaims"),
        EVENTS,
    ),
    "daemon-set-controller": (
        may(f"update {READ}", "daemonsets", "apps"),
        may("update", "daemonsets/status daemonsets/finalizers", "apps"),
        may(f"create delete patch update {READ}", "controllerrevisions", "apps"),
        may(f"create delete patch update {READ}", "pods"),
        may(READ, "nodes"),
        EVENTS,
    ),
    "replication-controller": (
        may(f"update {READ}", "replicationcontrollers"),
        may("update", "replicationcontrollers/status replicationcontrollers/finalizers"),
        may("create delete list patch watch", "pods"),
        EVENTS,
    ),
    "disruption-controller": (
        may(READ, "deployments replicasets statefulsets", "apps"),
        may(READ, "pods replicationcontrollers"),
        may("update", "pods/status"),
        may(READ, "poddisruptionbudgets", "policy"),
        may("update", "poddisruptionbudgets/status", "policy"),
        may("get", "*/scale", ALL),
        EVENTS,
    ),
    "horizontal-pod-autoscaler": (
        may(READ, "horizontalpodautoscalers", "autoscaling"),
        may("update", "horizontalpodautoscalers/status", "autoscaling"),
        may("get patch update", "*/scale", ALL),
        may("list", "pods"),
        may("get list", "pods nodes", "metrics.k8s.io"),
        may("get list", ALL, "custom.metrics.k8s.io external.metrics.k8s.io"),
        EVENTS,
    ),
    "job-controller": (
        may(f"patch update {READ}", "jobs", "batch"),
        may("update", "jobs/status jobs/finalizers", "batch"),
        may("create delete list patch watch", "pods"),
        EVENTS,
    ),
    "cronjob-controller": (
        may(f"update {READ}", "cronjobs", "batch"),
        may(f"create delete patch update {READ}", "jobs", "batch"),
        may("update", "cronjobs/status cronjobs/finalizers", "batch"),
        may("delete list", "pods"),
        EVENTS,
    ),
    "ttl-after-finished-controller": (
        may(f"delete {READ}", "jobs", "batch"),
        EVENTS,
    ),
    "endpoint-controller": (
        may(READ, "pods services"),
        may(f"create delete update {READ}", "endpoints"),
        may("create", "endpoints/restricted"),
        EVENTS,
    ),
    "endpointslice-controller": (
        may(READ, "nodes pods services"),
        may("update", "services/finalizers"),
        may(f"create delete update {READ}", "endpointslices", "discovery.k8s.io"),
        EVENTS,
    ),
    "endpointslicemirroring-controller": (
        may(READ, "endpoints services"),
        may("update", "endpoints/finalizers services/finalizers"),
        may(f"create delete update {READ}", "endpointslices", "discovery.k8s.io"),
        EVENTS,
    ),
    "service-controller": (
        may(READ, "services"),
        may("patch update", "services services/status"),
        may("list watch", "nodes"),
        EVENTS,
    ),
    "route-controller": (may(FOLLOW, "nodes"), may("patch update", "nodes/status"), EVENTS),
    "resourcequota-controller": (may(FOLLOW, ALL, ALL), may("update", "resourcequotas/status"), EVENTS),
    "persistent-volume-binder": (
        may(f"create delete update {READ}", "persistentvolumes"),
        may("update", "persistentvolumes/status persistentvolumeclaims/status"),
        may(f"update {READ}", "persistentvolumeclaims"),
        may(f"create delete {READ}", "pods"),
        may(READ, "storageclasses", "storage.k8s.io"),
        EVENTS,
    ),
    "attachdetach-controller": (
        may(FOLLOW, "persistentvolumeclaims persistentvolumes pods"),
        may(READ, "nodes"),
        may("patch update", "nodes/status"),
        may(f"create delete {READ}", "volumeattachments", "storage.k8s.io"),
        may(READ, "csidrivers csinodes", "storage.k8s.io"),
        EVENTS,
    ),
    "expand-controller": (
        may(f"patch update {READ}", "persistentvolumes"),
        may("patch update", "persistentvolumeclaims/status"),
        may(READ, "persistentvolumeclaims"),
        may(READ, "storageclasses", "storage.k8s.io"),
        EVENTS,
    ),
    "pvc-protection-controller": (may(f"update {READ}", "persistentvolumeclaims"), may(READ, "pods"), EVENTS),
    "pv-protection-controller": (may(f"update {READ}", "persistentvolumes"), EVENTS),
    "storage-provisioner": (may("patch update", "persistentvolumes"), may("update", "persistentvolumeclaims/status")),
    "ephemeral-volume-controller": (
        may("update", "pods/finalizers"),
        may(READ, "pods"),
        may(f"create {READ}", "persistentvolumeclaims"),
        EVENTS,
    ),
    "root-ca-cert-publisher": (may("create update", "configmaps"), EVENTS),
    "tokens-controller": (
        may("get", "serviceaccounts"),
        may("delete get update", "secrets"),
        EVENTS,
    ),
    "bootstrap-signer": (may(READ, "secrets"), may("get update", "configmaps", names="cluster-info"), EVENTS),
    "token-cleaner": (may(f"delete {READ}", "secrets"), EVENTS),
    "clusterrole-aggregation-controller": (may(f"escalate patch update {READ}", "clusterroles", GROUP),),
    "certificate-controller": (
        may(f"delete {READ}", "certificatesigningrequests", "certificates.k8s.io"),
        may("update", "certificatesigningrequests/approval certificatesigningrequests/status", "certificates.k8s.io"),
        may("approve", "signers", "certificates.k8s.io", "kubernetes.io/kube-apiserver-client-kubelet"),
        may("sign", "signers", "certificates.k8s.io",
            "kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet "
            "kubernetes.io/kubelet-serving"),
        may("create", "subjectaccessreviews", "authorization.k8s.io"),
        EVENTS,
    ),
}  # fmt: skip

# A binding's name, its ClusterRole, and whom it is for. `system:nodes` is the user of the informers that the agents
# of all simulated machines share; real machines have informers of their own.
BINDINGS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("cluster-admin", "cluster-admin", ("Group system:masters",)),
    ("system:discovery", "system:discovery", (AUTHENTICATED,)),
    ("system:basic-user", "system:basic-user", (AUTHENTICATED,)),
    ("system:public-info-viewer", "system:public-info-viewer", (AUTHENTICATED, UNAUTHENTICATED)),
    ("system:service-account-issuer-discovery", "system:service-account-issuer-discovery",
     ("Group system:serviceaccounts",)),
    ("system:monitoring", "system:monitoring", ("Group system:monitoring",)),
    ("system:kube-controller-manager", "system:kube-controller-manager", ("User system:kube-controller-manager",)),
    ("system:kube-scheduler", "system:kube-scheduler", ("User system:kube-scheduler",)),
    ("system:cloud-controller-manager", "system:cloud-controller-manager", ("User system:cloud-controller-manager",)),
    ("system:node", "system:node", ()),
    ("system:node-proxier", "system:node-proxier",
     ("User system:kube-proxy", "ServiceAccount kube-proxy", "User system:nodes")),
    ("system:metrics-server", "system:metrics-server", ("ServiceAccount metrics-server",)),
    ("system:coredns", "system:coredns", ("ServiceAccount coredns", "User system:nodes")),
    ("system:network-policy", "system:network-policy", ("ServiceAccount network-policy", "User system:nodes")),
    ("storage-provisioner", "system:persistent-volume-provisioner", ("ServiceAccount storage-provisioner",)),
    ("kubeadm:node-autoapprove-certificate-rotation",
     "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", ("Group system:nodes",)),
    *((f"system:controller:{name}", f"system:controller:{name}", (f"ServiceAccount {name}",))
      for name in CONTROLLER_ROLES),
)  # fmt: skip


def reconcile(client: Client) -> None:
    """Make what is missing, and add the rules and subjects that a present object lacks.

    An object that says `rbac.authorization.kubernetes.io/autoupdate: "false"` stays as its owner left it.
    """
    tables = (("clusterroles", "rules", roles()), ("clusterrolebindings", "subjects", bindings()))
    for resource, field, wanted in tables:
        for obj in wanted:
            present = client.find(resource, name_of(obj))
            if present is None:
                client.create(resource, obj)
            elif annotations_of(present).get(AUTOUPDATE) != "false" and "aggregationRule" not in obj:
                _complete(client, resource, present, obj, field)


def _complete(client: Client, resource: str, present: Object, wanted: Object, field: str) -> None:
    have = present.get(field) or []
    missing = [entry for entry in wanted.get(field) or () if entry not in have]
    if missing:
        client.update(resource, {**present, field: [*have, *missing]})


def roles() -> Iterator[Object]:
    """The default ClusterRoles as objects, those that gather others' rules complete."""
    named = {f"system:controller:{name}": Role(rules) for name, rules in CONTROLLER_ROLES.items()}
    for name, role in {**ROLES, **named}.items():
        labels = {**LABELS, f"{AGGREGATE_TO}{role.into}": "true"} if role.into else LABELS
        obj: Object = {
            "metadata": {"name": name, "labels": dict(labels), "annotations": {AUTOUPDATE: "true"}},
            "rules": [rule.object for rule in _gathered(name)] if role.gathers else [r.object for r in role.rules],
        }
        if role.gathers:
            selector = {"matchLabels": {f"{AGGREGATE_TO}{name}": "true"}}
            obj["aggregationRule"] = {"clusterRoleSelectors": [selector]}
        yield obj


def _gathered(into: str) -> Iterator[Rule]:
    """The rules of all roles that go into one, each once, by the names of the roles."""
    found: dict[Rule, None] = {}
    for name in sorted(name for name, role in ROLES.items() if role.into == into):
        role = ROLES[name]
        found.update(dict.fromkeys(_gathered(name) if role.gathers else role.rules))
    yield from found


def bindings() -> Iterator[Object]:
    """The default ClusterRoleBindings as objects."""
    for name, role, subjects in BINDINGS:
        yield {
            "metadata": {"name": name, "labels": dict(LABELS), "annotations": {AUTOUPDATE: "true"}},
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
            "subjects": list(_subjects(subjects)),
        }


def _subjects(words: Iterable[str]) -> Iterator[Object]:
    for word in words:
        kind, _, name = word.partition(" ")
        if kind == "ServiceAccount":
            yield {"kind": kind, "name": name, "namespace": "kube-system"}
        else:
            yield {"apiGroup": GROUP, "kind": kind, "name": name}
