"""kube-apiserver's node authorizer: a kubelet may do what its node needs, and nothing about other nodes.

Interface: `NodeAuthorizer(store)`: `authorize(user, attributes)`, `always_allows(user, attributes)`; `node_of(user)`.
The rule not to break: a Secret is shown to a node only while a pod that names it is bound to that node.
Source: `plugin/pkg/auth/authorizer/node/node_authorizer.go`. Upstream keeps a graph of nodes, pods and what they name;
here the pods of each node lie in an index, and what they name is read off them when a kubelet asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from k8snb.apimachinery.kinds import Kind, find
from k8snb.apimachinery.meta import Object, get_path, key_of, name_of, namespace_of
from k8snb.apimachinery.selectors import parse_field_selector
from k8snb.apiserver.rbac import Attributes, Decision, matches
from k8snb.apiserver.rbac_defaults import NODE_RULES
from k8snb.client import User
from k8snb.etcd import PUT, Record, Store

NODES, PREFIX = "system:nodes", "system:node:"
LEASE_NAMESPACE = "kube-node-lease"
NO_OPINION, ALLOWED = Decision(False), Decision(True)
READ = ("get", "list", "watch")
CONTAINERS = ("containers", "initContainers", "ephemeralContainers")

Names = Callable[[Object], Iterator[str]]


def node_of(user: User) -> str:
    """The node that a user speaks for, "" for somebody else."""
    is_node = NODES in user.groups and user.name.startswith(PREFIX)
    return user.name.removeprefix(PREFIX) if is_node else ""


class NodeAuthorizer:
    """Follows the pods of the store until `close()`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pods: dict[str, dict[str, Object]] = {}  # node → key → pod
        self.close = store.watch(_kind("pods").prefix, self._deliver)
        for record in store.range(_kind("pods").prefix)[0]:
            self._keep(record.value)

    def authorize(self, user: User, asked: Attributes) -> Decision:
        """What a kubelet may do; no opinion on anybody else."""
        node = node_of(user)
        if not node:
            return NO_OPINION
        special = SPECIAL.get((asked.group, asked.resource)) if not asked.path else None
        if special is not None:
            reason = special(self, node, asked)
            return ALLOWED if reason is None else Decision(False, reason)
        return ALLOWED if any(matches(rule, asked) for rule in NODE_RULES) else NO_OPINION

    def always_allows(self, user: User, asked: Attributes) -> bool:
        """Whether a kubelet may do this whatever the object's name and wherever its pods are."""
        fixed = (asked.group, asked.resource) not in SPECIAL or (asked.verb, asked.full_resource) in UNCONDITIONAL
        return fixed and self.authorize(user, asked).allowed

    # the resources that have a rule of their own: each answers why not, None for yes

    def _named_by_pods(self, node: str, asked: Attributes) -> str | None:
        if asked.verb not in READ:
            return "can only read resources of this type"
        if asked.subresource:
            return "cannot read subresource"
        if not asked.namespace:
            return "can only read namespaced object of this type"
        return self._related(node, asked, NAMED[asked.resource])

    def _claim(self, node: str, asked: Attributes) -> str | None:
        if asked.subresource == "status" and asked.verb in ("update", "patch"):
            return self._related(node, asked, claims)
        return self._not_a_get(asked) or self._related(node, asked, claims)

    def _volume(self, node: str, asked: Attributes) -> str | None:
        return self._not_a_get(asked) or self._related(node, asked, self._volumes)

    def _token(self, node: str, asked: Attributes) -> str | None:
        if asked.verb != "create" or not asked.name:
            return "can only create tokens for individual service accounts"
        if asked.subresource != "token":
            return "can only create token subresource of serviceaccount"
        return self._related(node, asked, accounts)

    def _lease(self, node: str, asked: Attributes) -> str | None:
        if asked.verb not in ("get", "create", "update", "patch", "delete"):
            return "can only get, create, update, patch, or delete a node lease"
        if asked.namespace != LEASE_NAMESPACE:
            return f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
        if asked.verb != "create" and asked.name != node:
            return "can only access node lease with the same name as the requesting node"
        return None

    def _csi_node(self, node: str, asked: Attributes) -> str | None:
        if asked.verb not in ("get", "create", "update", "patch", "delete"):
            return "can only get, create, update, patch, or delete a CSINode"
        if asked.subresource:
            return "cannot authorize CSINode subresources"
        if asked.verb != "create" and asked.name != node:
            return "can only access CSINode with the same name as the requesting node"
        return None

    def _node(self, node: str, asked: Attributes) -> str | None:
        if (asked.verb, asked.full_resource) in UNCONDITIONAL:
            return None
        if asked.subresource or asked.verb not in READ:
            return ""
        if (asked.name or selected(asked.fields, "metadata.name")) != node:
            other = f"'{asked.name}'" if asked.name else "all nodes"
            return f"node '{node}' cannot read {other}, only its own Node object"
        return None

    def _pod(self, node: str, asked: Attributes) -> str | None:
        if (asked.verb, asked.full_resource) in UNCONDITIONAL:
            return None
        if asked.subresource or asked.verb not in (*READ, "patch"):
            return ""
        if asked.verb in ("list", "watch") and selected(asked.fields, "spec.nodeName") == node:
            return None
        if asked.verb in ("list", "watch") and not asked.name:
            return "can only list/watch pods with spec.nodeName field selector"
        return self._related(node, asked, lambda pod: iter((name_of(pod),)))

    @staticmethod
    def _not_a_get(asked: Attributes) -> str | None:
        if asked.verb != "get":
            return "can only get individual resources of this type"
        return "cannot get subresource" if asked.subresource else None

    def _related(self, node: str, asked: Attributes, names: Names) -> str | None:
        if not asked.name:
            return "No Object name found"
        for pod in self._pods.get(node, {}).values():
            if asked.namespace in ("", namespace_of(pod)) and asked.name in names(pod):
                return None
        return f"no relationship found between node '{node}' and this object"

    def _volumes(self, pod: Object) -> Iterator[str]:
        """The persistent volumes behind a pod's claims."""
        for claim in claims(pod):
            record = self._store.get(f"/registry/persistentvolumeclaims/{namespace_of(pod)}/{claim}")
            yield from (get_path(record.value, "spec.volumeName", ""),) if record is not None else ()

    # keeping up

    def _deliver(self, record: Record) -> None:
        if record.previous is not None and record.previous.sort == PUT:
            old = record.previous.value
            self._pods.get(old["spec"].get("nodeName", ""), {}).pop(key_of(old), None)
        if record.sort == PUT:
            self._keep(record.value)

    def _keep(self, pod: Object) -> None:
        node = pod["spec"].get("nodeName")
        if node:
            self._pods.setdefault(node, {})[key_of(pod)] = pod


Special = Callable[[NodeAuthorizer, str, Attributes], str | None]
SPECIAL: dict[tuple[str, str], Special] = {
    ("", "secrets"): NodeAuthorizer._named_by_pods,
    ("", "configmaps"): NodeAuthorizer._named_by_pods,
    ("", "persistentvolumeclaims"): NodeAuthorizer._claim,
    ("", "persistentvolumes"): NodeAuthorizer._volume,
    ("", "serviceaccounts"): NodeAuthorizer._token,
    ("", "nodes"): NodeAuthorizer._node,
    ("", "pods"): NodeAuthorizer._pod,
    ("coordination.k8s.io", "leases"): NodeAuthorizer._lease,
    ("storage.k8s.io", "csinodes"): NodeAuthorizer._csi_node,
}

# What the NodeRestriction admission plug-in narrows to the node's own objects. Upstream's kubelets do not patch pods
# themselves; those of k8snb note there where a pod's ports are really found.
UNCONDITIONAL = frozenset(
    (verb, resource)
    for resource, verbs in (
        ("nodes", ("create", "update", "patch")),
        ("nodes/status", ("update", "patch")),
        ("pods", ("create", "delete")),
        ("pods/status", ("update", "patch")),
        ("pods/eviction", ("create",)),
    )
    for verb in verbs
)


# what a pod names


def volumes(pod: Object) -> Iterator[Object]:
    """A pod's volumes, and the sources that its projected ones put together."""
    for volume in pod["spec"].get("volumes") or ():
        yield volume
        yield from get_path(volume, "projected.sources") or ()


def containers(pod: Object) -> Iterator[Object]:
    return (container for field in CONTAINERS for container in pod["spec"].get(field) or ())


def _environment(pod: Object, key: str, source: str) -> Iterator[str]:
    for container in containers(pod):
        for entry in container.get("env") or ():
            yield get_path(entry, f"valueFrom.{key}.name", "")
        for entry in container.get("envFrom") or ():
            yield get_path(entry, f"{source}.name", "")


def secrets(pod: Object) -> Iterator[str]:
    yield from _environment(pod, "secretKeyRef", "secretRef")
    for reference in pod["spec"].get("imagePullSecrets") or ():
        yield reference.get("name", "")
    for volume in volumes(pod):
        source = volume.get("secret") or {}
        yield source.get("secretName") or source.get("name", "")


def config_maps(pod: Object) -> Iterator[str]:
    yield from _environment(pod, "configMapKeyRef", "configMapRef")
    for volume in volumes(pod):
        yield get_path(volume, "configMap.name", "")


def claims(pod: Object) -> Iterator[str]:
    for volume in pod["spec"].get("volumes") or ():
        yield get_path(volume, "persistentVolumeClaim.claimName", "")
        if volume.get("ephemeral"):
            yield f"{name_of(pod)}-{volume['name']}"


def accounts(pod: Object) -> Iterator[str]:
    yield pod["spec"].get("serviceAccountName", "")


NAMED: dict[str, Names] = {"secrets": secrets, "configmaps": config_maps}


def selected(selector: str, path: str) -> str:
    """The one value that a field selector wants of a field, "" where it does not say."""
    try:
        return parse_field_selector(selector).equality().get(path, "") if selector else ""
    except ValueError:
        return ""


def _kind(word: str) -> Kind:
    kind = find(word)
    assert kind is not None
    return kind
