"""network-policy: the agent of the cluster's network plug-in, which makes NetworkPolicies hold.

Interface: `PolicyAgent`, a controller; its `book` answers whoever carries a connection, and the `firewall` is told of
every change where there is one.
The rule not to break: pods are followed from the first policy on, so that a cluster without policies pays nothing.
Source: upstream's example of such an agent is sigs.k8s.io/kube-network-policies, one on every node.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, get_path, labels_of, name_of, namespace_of, revision_of, uid_of
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import WARNING
from k8snb.client.informer import Informers
from k8snb.networkpolicy import Firewall
from k8snb.networkpolicy.book import PolicyBook
from k8snb.networkpolicy.policies import Peer, on_host, peer_of, policy_of

ALL_PODS = "*"  # the key under which the firewalls of all pods are brought up to date
ENDED = ("Succeeded", "Failed")
DNS = ("kube-system", "kube-dns")  # the Service whose address the resolver answers at


class PolicyAgent(Controller):
    """Follows NetworkPolicies, and while there are any also pods, namespaces and the resolver's Service."""

    name = "network-policy"

    def __init__(self, context: Context, informers: Informers, *, firewall: Firewall | None = None) -> None:
        super().__init__(context, informers)
        self.book = PolicyBook()
        self._firewall = firewall
        self._owners: dict[str, str] = {}  # address → the uid of the pod that has it
        self._follows = False
        self._told: dict[str, str] = {}
        self._policies = self.watch("networkpolicies")

    def sync(self, key: str) -> None:
        if key == ALL_PODS:
            if self._firewall is not None:
                self._firewall.program(self.book.rules)
            return
        policy = self._policies.by_key(key)
        if policy is None:
            self.book.drop(key)
            self._told.pop(key, None)
        else:
            self._follow()
            self.book.put(policy_of(policy))
            self._tell(key, policy)
        self.queue.add(ALL_PODS)

    def subject(self, key: str) -> Object | None:
        return self._policies.by_key(key)

    def _follow(self) -> None:
        """Know all pods from now on."""
        if self._follows:
            return
        self._follows = True
        for resource, changed in (
            ("namespaces", self._namespace_changed), ("services", self._service_changed), ("pods", self._pod_changed),
        ):  # fmt: skip
            informer = self.informers.get(resource)
            informer.on_change(changed)
            informer.start()

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        before, after = _end(old), _end(new)
        if before is not None and before != after and old is not None and self._owners.get(before.ip) == uid_of(old):
            del self._owners[before.ip]
            self.book.peers.pop(before.ip, None)
        if after is not None and new is not None and (before != after or after.ip not in self.book.peers):
            self.book.peers[after.ip], self._owners[after.ip] = after, uid_of(new)
        if before != after:
            self._changed(new or old)

    def _namespace_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            self.book.namespaces.pop(name_of(old), None)
        elif new is not None:
            self.book.namespaces[name_of(new)] = labels_of(new)
        if old is None or new is None or labels_of(old) != labels_of(new):
            self._changed(new or old)

    def _service_changed(self, old: Object | None, new: Object | None) -> None:
        for service, known in ((old, False), (new, True)):
            if service is None or (namespace_of(service), name_of(service)) != DNS or service["spec"].get("selector"):
                continue
            ip = service["spec"].get("clusterIP") or ""
            self.book.peers.pop(ip, None)
            if known:
                self.book.peers[ip] = Peer(ip, *DNS, labels_of(service))
            self._changed(service)

    def _changed(self, cause: Object | None) -> None:
        if self._firewall is not None and cause is not None:
            self.queue.add(ALL_PODS, revision_of(cause))

    def _tell(self, key: str, policy: Object) -> None:
        """Say once for each policy what is not held back."""
        why_not = self._firewall.why_not if self._firewall is not None else ""
        if why_not and self._told.get(key) != uid_of(policy):
            self._told[key] = uid_of(policy)
            self.events.event(policy, WARNING, "PartlyEnforced", why_not)


def _end(pod: Object | None) -> Peer | None:
    """A pod as an end of connections; None while it has no address, or only its node's."""
    if pod is None or on_host(pod) or get_path(pod, "status.phase") in ENDED:
        return None
    return peer_of(pod) if get_path(pod, "status.podIP") else None
