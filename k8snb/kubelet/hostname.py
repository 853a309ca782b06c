"""kubelet's hostname: what a pod calls itself.

Interface: `hostname_and_domain(pod)` and `hostname(pod)`, which raises HostnameError.
Source: `GeneratePodHostNameAndDomain` in pkg/kubelet/kubelet_pods.go, `GetNodenameForKernel` in pkg/kubelet/util.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, name_of, namespace_of

DOMAIN = "cluster.local"
LONGEST_LABEL, LONGEST = 63, 64  # characters: of a DNS label, and of a name that the kernel takes


class HostnameError(Exception):
    """A name that the kernel would not take."""


def hostname_and_domain(pod: Object) -> tuple[str, str]:
    """The pod's own name, and the domain that it has through its subdomain, "" for none."""
    spec = pod["spec"]
    name = spec.get("hostname") or name_of(pod)[:LONGEST_LABEL].rstrip("-.")
    subdomain = spec.get("subdomain")
    return name, f"{subdomain}.{namespace_of(pod)}.svc.{DOMAIN}" if subdomain else ""


def hostname(pod: Object) -> str:
    """The name that the kernel is told: with setHostnameAsFQDN the full one. Raises HostnameError."""
    name, domain = hostname_and_domain(pod)
    if not pod["spec"].get("setHostnameAsFQDN") or not domain:
        return name
    full = f"{name}.{domain}"
    if len(full) > LONGEST:
        raise HostnameError(
            f"Failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long "
            f"({LONGEST} characters is the max, {len(full)} characters requested)"
        )
    return full
