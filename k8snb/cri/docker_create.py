"""Pods and containers as a Docker engine is asked to make them.

Interface: `create_pause(api, …)` and `create_container(api, …)` return the new container's id.
The rule not to break: what is made has its labels from the start, so that nothing of a cluster is ever without them.
Source: `makeSandboxDockerConfig` and `createContainer` in pkg/kubelet/dockershim of Kubernetes 1.23.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8snb.cri import ContainerConfig, PodSandboxConfig
from k8snb.cri.docker_engine import Pause
from k8snb.cri.docker_security import host_options, unmask, user
from k8snb.cri.docker_status import limits


def create_pause(
    api: Any, pause: Pause, config: PodSandboxConfig, *, name: str, labels: Mapping[str, str], network: str, ip: str
) -> str:
    """The container that has the pod's address: `ip` on `network`, or the host's."""
    endpoint = None if config.host_network else {network: api.create_endpoint_config(ipv4_address=ip)}
    host = api.create_host_config(
        network_mode="host" if config.host_network else network,
        ipc_mode="host" if config.host_ipc else "shareable",
        pid_mode="host" if config.host_pid else None,
        sysctls=dict(config.sysctls) or None,
        extra_hosts=[f"{name}:{ip}" for ip, names in config.host_aliases for name in names] or None,
        dns=list(config.dns_servers) or None,
        dns_search=list(config.dns_searches) or None,
        dns_opt=list(config.dns_options) or None,
    )
    made = api.create_container(
        pause.image,
        list(pause.command) or None,
        name=name,
        hostname=None if config.host_network else (config.hostname or config.name)[:63],
        labels=labels,
        host_config=host,
        networking_config=api.create_networking_config(endpoint) if endpoint else None,
    )
    return str(made["Id"])


def create_container(
    api: Any, config: ContainerConfig, *, sandbox: PodSandboxConfig, sandbox_id: str, name: str,
    labels: Mapping[str, str],
) -> str:  # fmt: skip
    """A container that joins its pod's sandbox."""
    made = api.create_container(
        config.image,
        list(config.args) or None,
        name=name,
        entrypoint=list(config.command) or None,
        environment=[f"{key}={value}" for key, value in config.env],
        working_dir=config.working_dir or None,
        user=user(config.security, lambda: str(api.inspect_image(config.image)["Config"].get("User") or "")),
        stdin_open=config.stdin,
        detach=not config.stdin_once,
        tty=config.tty,
        labels=labels,
        host_config=_host_config(api, config, sandbox, sandbox_id),
    )
    return str(made["Id"])


def _host_config(api: Any, config: ContainerConfig, sandbox: PodSandboxConfig, sandbox_id: str) -> Any:
    import docker

    joined = f"container:{sandbox_id}"
    processes = "host" if sandbox.host_pid else joined if sandbox.share_process_namespace else None
    mounts = [
        docker.types.Mount(mount.container_path, mount.host_path, type="bind", read_only=mount.readonly)
        for mount in config.mounts
    ]
    host = api.create_host_config(
        network_mode=joined,
        ipc_mode="host" if sandbox.host_ipc else joined,
        pid_mode=f"container:{config.target}" if config.target else processes,
        mounts=mounts,
        oom_score_adj=config.oom_score_adjust or None,
        log_config=docker.types.LogConfig(
            type="json-file", config={"max-size": str(config.log_size), "max-file": str(config.log_files)}
        ),
        **host_options(config.security),
        **limits(config),
    )
    return unmask(host) if config.security.unmasked else host
