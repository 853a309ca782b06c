"""kubelet's configs: a pod's spec in the words of the runtime interface.

Interface: `Configs.sandbox`, `Configs.container`, `Configs.mapped_ports`.
Source: `generatePodSandboxConfig`, `generateContainerConfig` in pkg/kubelet/kuberuntime.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping

from k8snb.apimachinery import quantity
from k8snb.apimachinery.meta import Object, annotations_of, labels_of, name_of, namespace_of, uid_of
from k8snb.client import Client
from k8snb.client.informer import Informer
from k8snb.cri import ContainerConfig, PodSandboxConfig
from k8snb.kubelet.actions import PodState
from k8snb.kubelet.env import container_environment, expand
from k8snb.kubelet.hostname import DOMAIN, hostname, hostname_and_domain
from k8snb.kubelet.node_status import NodeSpec
from k8snb.kubelet.qos import oom_score_adjust
from k8snb.kubelet.resizing import wanted
from k8snb.kubelet.security import security_context
from k8snb.kubelet.termination import TerminationMessages
from k8snb.kubelet.volume_manager import VolumeManager
from k8snb.kubelet.volume_mounts import container_mounts

MASTER_SERVICES = ("kubernetes",)  # services of the default namespace that every pod is told of


class Configs:
    """What one node's containers are started with. `dns()` is the address of the cluster's DNS, "" where there is
    none.
    """

    def __init__(
        self, spec: NodeSpec, client: Client, services: Informer, dns: Callable[[], str], *, volumes: VolumeManager,
        messages: TerminationMessages,
    ) -> None:  # fmt: skip
        self.host_ip = ""
        self.allocatable: Callable[[], Mapping[str, str]] = dict
        self._volumes = volumes
        self._messages = messages
        self._node = spec.name
        self._log_size, self._log_files = quantity.to_bytes(spec.container_log_max_size), spec.container_log_max_files
        self._client = client
        self._services = services
        self._dns = dns

    @functools.cached_property
    def _allocatable(self) -> Mapping[str, str]:
        """Asked for once: a container's start is no time to count what does not change."""
        return self.allocatable()

    @functools.cached_property
    def _memory(self) -> int:
        return quantity.to_bytes(self._allocatable.get("memory", 0))

    def sandbox(self, pod: Object, attempt: int) -> PodSandboxConfig:
        """The pod's common part: its names and its place in the network. Raises HostnameError."""
        spec = pod["spec"]
        servers, searches, options = self._resolver(pod)
        return PodSandboxConfig(
            name=name_of(pod),
            namespace=namespace_of(pod),
            uid=uid_of(pod),
            node=self._node,
            attempt=attempt,
            hostname=self._node if spec.get("hostNetwork") else hostname(pod),
            domain=hostname_and_domain(pod)[1],
            host_aliases=tuple(
                (alias["ip"], tuple(alias.get("hostnames") or ())) for alias in spec.get("hostAliases") or ()
            ),
            labels=labels_of(pod),
            annotations=annotations_of(pod),
            host_network=bool(spec.get("hostNetwork")),
            host_ipc=bool(spec.get("hostIPC")),
            host_pid=bool(spec.get("hostPID")),
            sysctls={each["name"]: each["value"] for each in (spec.get("securityContext") or {}).get("sysctls") or ()},
            share_process_namespace=bool(spec.get("shareProcessNamespace")),
            dns_servers=servers,
            dns_searches=searches,
            dns_options=options,
        )

    def _resolver(self, pod: Object) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """Name servers, search domains and options by the pod's dnsPolicy."""
        spec, server = pod["spec"], self._dns()
        own = spec.get("dnsConfig") or {}
        options = {option["name"]: option.get("value") for option in own.get("options") or ()}
        servers, searches = tuple(own.get("nameservers") or ()), tuple(own.get("searches") or ())
        policy = spec.get("dnsPolicy", "ClusterFirst")
        if policy in ("Default", "None") or (policy == "ClusterFirst" and spec.get("hostNetwork")) or not server:
            return servers, searches, _option_words(options)
        namespace = namespace_of(pod)
        cluster = (f"{namespace}.svc.{DOMAIN}", f"svc.{DOMAIN}", DOMAIN)
        both = tuple(dict.fromkeys((*cluster, *searches)))
        return (server, *servers), both, _option_words({"ndots": "5", **options})

    def container(self, pod: Object, container: Object, attempt: int, state: PodState) -> ContainerConfig:
        """One container. Raises ConfigError when something that it names is not there."""
        env = self._environment(pod, container, state)
        variables = dict(env)
        granted = wanted(container)
        return ContainerConfig(
            name=container["name"],
            image=container["image"],
            attempt=attempt,
            command=tuple(expand(word, variables) for word in container.get("command") or ()),
            args=tuple(expand(word, variables) for word in container.get("args") or ()),
            working_dir=container.get("workingDir") or "",
            env=tuple(env),
            ports=tuple((port["containerPort"], port.get("protocol", "TCP")) for port in container.get("ports") or ()),
            mounts=(
                *container_mounts(pod, container, variables, self._volumes),
                *self._messages.mount(pod, container, attempt),
            ),
            termination_log=container.get("terminationMessagePath") or "",
            memory_limit=granted.memory_limit,
            cpu_limit=granted.cpu_limit,
            cpu_request=granted.cpu_request,
            target=_target(container, state),
            stdin=bool(container.get("stdin")),
            stdin_once=bool(container.get("stdinOnce")),
            tty=bool(container.get("tty")),
            security=security_context(pod, container),
            oom_score_adjust=oom_score_adjust(pod, container, self._memory),
            log_size=self._log_size,
            log_files=self._log_files,
        )

    def _environment(self, pod: Object, container: Object, state: PodState) -> list[tuple[str, str]]:
        namespace = namespace_of(pod)
        services = sorted(self._services.list(namespace), key=name_of)
        masters = [service for name in MASTER_SERVICES if (service := self._services.get(name, "default"))]
        shown = [*services, *(master for master in masters if namespace != "default")]
        address = state.sandbox.ip if state.sandbox is not None else ""
        return container_environment(
            pod, container, services=shown,
            lookup=lambda resource, name: self._client.find(resource, name, namespace),
            addresses={"status.podIP": address, "status.podIPs": address, "status.hostIP": self.host_ip,
                       "status.hostIPs": self.host_ip},
            allocatable=self._allocatable,
        )  # fmt: skip

    def mapped_ports(self, state: PodState) -> str:
        """The container ports that are really found elsewhere, as JSON; "" for none."""
        ports = state.sandbox.port_map if state.sandbox is not None else {}
        return json.dumps({str(port): actual for port, actual in sorted(ports.items())}) if ports else ""


def _option_words(options: Mapping[str, str | None]) -> tuple[str, ...]:
    """The words of resolv.conf: `ndots:5`, or the name alone."""
    return tuple(f"{name}:{value}" if value else name for name, value in options.items())


def _target(container: Object, state: PodState) -> str:
    """The id of the container whose processes an ephemeral container is to see; "" for none."""
    newest = state.newest(container["targetContainerName"]) if container.get("targetContainerName") else None
    return newest.id if newest is not None else ""
