"""kubelet's /etc/hosts: the file in which a pod's containers find the pod's own name and its hostAliases.

Interface: `managed(config, ip)`, and `on_the_host(config, own)` for a pod on the host's network.
The rule not to break: a runtime shows a container this file, unless the container has a volume in its place.
Source: `managedHostsFileContent`, `nodeHostsFileContent` and `hostsEntriesFromHostAliases` in
pkg/kubelet/kubelet_pods.go. There the kubelet writes the file into the pod's directory and mounts it.
"""

from __future__ import annotations

from k8snb.cri import PodSandboxConfig

HEADER = "# Kubernetes-managed hosts file.\n"
HOST_HEADER = "# Kubernetes-managed hosts file (host network).\n"
USUAL = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "fe00::0\tip6-mcastprefix\n"
    "fe00::1\tip6-allnodes\n"
    "fe00::2\tip6-allrouters\n"
)


def managed(config: PodSandboxConfig, ip: str) -> str:
    """The file of a pod that has this address."""
    return f"{HEADER}{USUAL}{_own_line(config, ip)}{_aliases(config)}"


def on_the_host(config: PodSandboxConfig, own: str) -> str:
    """The file of a pod on the host's network; `own` is what the host's says."""
    return f"{HOST_HEADER}{own}{_aliases(config)}"


def _own_line(config: PodSandboxConfig, ip: str) -> str:
    hostname = config.hostname or config.name
    host = hostname.removesuffix(f".{config.domain}")
    names = f"{host}.{config.domain}\t{host}" if config.domain else host
    return f"{ip}\t{names}\n"


def _aliases(config: PodSandboxConfig) -> str:
    lines = ["\t".join((ip, *names)) + "\n" for ip, names in config.host_aliases]
    return "".join(["\n# Entries added by HostAliases.\n", *lines]) if lines else ""
