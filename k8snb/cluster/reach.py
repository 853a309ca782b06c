"""How a cluster is reached from outside of it: commands, HTTPS, and the addresses of its Services.

Interface: `Reach`: `kubectl`, `serve`, `kubeconfig`, `webhook`; `lookup`, `address`, `service_urls`, `visit`;
`proxy_rules`, `policies`, `pulls`.
The rule not to break: what the cluster's own parts need is elsewhere; here is what people and other programs ask for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from k8snb.addons import DNS
from k8snb.addons.dns import Dns
from k8snb.apimachinery.meta import Object, get_path, key_of, labels_of, name_of, namespace_of
from k8snb.client.instances import STOPPED
from k8snb.cluster.timing import Timing
from k8snb.cri import Layer, PullTeller
from k8snb.hooks import Hooks
from k8snb.kube_proxy.rules import service_keys
from k8snb.kube_proxy.view import RuleRow, rule_rows
from k8snb.networkpolicy.policies import Peer, Policy, on_host, peer_of, policy_of

if TYPE_CHECKING:
    from k8snb.client.https import HttpsTransport
    from k8snb.kubectl import Kubectl


class Reach(Timing):
    def serve(self, port: int = 0) -> str:
        """Answer real clients over HTTPS on this machine's loopback address; the URL.

        Raises OSError for a port that is taken.
        """
        self._must_run()
        address = self.apiserver.allocator.address(1)
        for door in self.apiservers.doors[1:]:
            door.open(address=address)
        return self.door.open(port, address=address)

    @property
    def kubeconfig(self) -> str:
        """A kubeconfig's text for kubectl and the Python clients. The first question opens the door."""
        self.serve()
        return self.door.kubeconfig()

    @functools.cached_property
    def _hooks(self) -> Hooks:
        return Hooks(self.identity)

    def webhook(self, answer: Callable[[Object], Any]) -> Object:
        """Serve an admission webhook written in a cell; the `clientConfig` for its configuration.

        `answer(request)` returns True to allow, a sentence to refuse, or a list of JSON patch operations. On a virtual
        clock it must not ask the cluster anything: the cluster waits for it.
        """
        self._must_run()
        return self._hooks.add(answer)

    @functools.cached_property
    def kubectl(self) -> Kubectl:
        """kubectl's commands as methods, and `run` for a whole line."""
        from k8snb.kubectl import Kubectl

        return Kubectl(self.client, wait=self.wait, clock_now=self.clock.now, server=lambda: self._over_https)

    @functools.cached_property
    def _over_https(self) -> HttpsTransport:
        """This cluster as other processes see it: for what has a path and no kind. It opens the door."""
        import yaml

        from k8snb.client.https import HttpsTransport
        from k8snb.client.kubeconfig import parse
        from k8snb.client.restconfig import resolve

        return HttpsTransport(resolve(parse(yaml.safe_load(self.kubeconfig))))

    def lookup(self, name: str, namespace: str = "default") -> list[str]:
        """The addresses behind a name, as a pod of the namespace would resolve it. Raises ValueError without DNS."""
        dns = self.addons.get(DNS)
        if not isinstance(dns, Dns):
            raise ValueError(f"the add-on {DNS} is disabled, so that no name has an address: "
                             f"%kcluster addons enable {DNS}")  # fmt: skip
        if dns.single is None or dns.single.state == STOPPED:
            return []
        return [record.data for record in dns.zone.lookup(name, namespace).records if record.type == "A"]

    def address(self, ip: str, port: int) -> tuple[str, int]:
        """Where this machine really finds an address of the cluster."""
        return self.host.edge.actual(*self.host.plane.actual(ip, port))

    def proxy_rules(self, service: str = "", namespace: str = "", *, node: str = "") -> list[RuleRow]:
        """The rules that the nodes' kube-proxies hold: of one Service, of a namespace, or all; of one node, or all."""
        nodes = [(name, each.network.node_ip) for name, each in self.nodes.items() if each.proxy and node in ("", name)]
        services = sorted(self.client.items("services", namespace), key=key_of)
        slices: dict[str, list[Object]] = {}
        for each in self.client.items("endpointslices", namespace):
            for key in service_keys(each):
                slices.setdefault(key, []).append(each)
        chosen = [each for each in services if service in ("", name_of(each))]
        return rule_rows(chosen, lambda each: slices.get(key_of(each), ()), nodes)

    def policies(self) -> tuple[list[Policy], list[Peer]]:
        """The NetworkPolicies, and the pods that they are about: what `k8snb.networkpolicy` judges connections by."""
        labels = {name_of(each): labels_of(each) for each in self.client.items("namespaces")}
        pods = [each for each in self.client.items("pods") if get_path(each, "status.podIP")]
        peers = [peer_of(each, labels.get(namespace_of(each), {})) for each in pods if not on_host(each)]
        return [policy_of(each) for each in self.client.items("networkpolicies")], peers

    def service_urls(self, name: str, namespace: str = "default") -> list[str]:
        """A URL for each port of a Service, as reached from here: its load balancer's, else its node ports', else its
        cluster IP's."""
        service = self.client.get("services", name, namespace)
        spec = service["spec"]
        balancer = next(
            (each["ip"] for each in get_path(service, "status.loadBalancer.ingress") or () if each.get("ip")), ""
        )
        node = next((node for node in self.machines.workers() if node.on), None)
        urls = []
        for port in spec.get("ports") or ():
            if balancer:
                ip, number = self.address(balancer, port["port"])
            elif port.get("nodePort") and node is not None:
                ip, number = self.address(node.network.node_ip, port["nodePort"])
            elif spec.get("clusterIP") not in (None, "", "None"):
                ip, number = self.address(spec["clusterIP"], port["port"])
            else:
                continue
            scheme = "https" if "https" in (port.get("name") or "") or port["port"] == 443 else "http"
            urls.append(f"{scheme}://{ip}:{number}")
        return urls

    def visit(self, url: str) -> tuple[int, str]:
        """A GET from outside the cluster: status and text. Raises OSError where nobody answers.

        On simulated nodes this goes through the virtual network, which no browser reaches.
        """
        return self.host.visit(url)

    def pulls(self) -> Mapping[str, Sequence[Layer]]:
        """The images that are being pulled, each with its layers, where the runtime says so."""
        return self._runtime.pulls() if isinstance(self._runtime, PullTeller) else {}
