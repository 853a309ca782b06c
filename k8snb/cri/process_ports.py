"""The process runtime's ports: which ports of pods had to be mapped, and how programs learn of it.

Interface: `PodPorts.place(sandbox, ports)`, `release(sandbox)`; `environment(sandbox)` is what programs are told.
The rule not to break: a mapped port is in the sandbox's `port_map` and notes, and in the file that programs read.
A real runtime needs none of this: each pod has a network namespace, and every port in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from k8snb.cri.process_network import Loopback
from k8snb.cri.process_pods import Sandbox


class PodPorts:
    """The ports of all pods of a runtime. `forwards_file` is for kube-proxy to say which services it had to map."""

    def __init__(self, network: Loopback, directory: Path) -> None:
        self.forwards_file = directory / "forwards.json"
        self._file = directory / "ports.json"
        self._network = network
        self._mapped: dict[str, Sandbox] = {}  # the living ones with mapped ports

    def place(self, sandbox: Sandbox, ports: Mapping[int, str]) -> list[str]:
        """See to it that these ports (number: protocol) can be opened; what has to be said about them."""
        for port in ports.keys() - sandbox.ports:
            sandbox.ports.add(port)
            mapped = self._network.place(sandbox.ip, port, ports[port])
            if mapped is not None:
                sandbox.port_map[port] = mapped
                sandbox.notes.append(_note(port, mapped, sandbox.ip))
                self._mapped[sandbox.id] = sandbox
                self._write()
        return [_note(port, sandbox.port_map[port], sandbox.ip) for port in ports if port in sandbox.port_map]

    def release(self, sandbox: Sandbox) -> None:
        """The sandbox was stopped: its ports are for others."""
        self._network.release(set(sandbox.port_map.values()))
        if self._mapped.pop(sandbox.id, None) is not None:
            self._write()

    def environment(self, sandbox: Sandbox) -> dict[str, str]:
        return {
            "K8SNB_FORWARDS": str(self.forwards_file),
            "K8SNB_POD_PORTS": str(self._file),
            **{f"K8SNB_PORT_{port}": str(mapped) for port, mapped in sandbox.port_map.items()},
        }

    def _write(self) -> None:
        """With one address for all pods an address and a port do not tell which pod is meant."""
        table = {
            f"{sandbox.ip}:{port}": f"{sandbox.ip}:{mapped}"
            for sandbox in ([] if self._network.single_address else self._mapped.values())
            for port, mapped in sandbox.port_map.items()
        }
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(table), encoding="utf-8")
        fresh.replace(self._file)


def _note(port: int, mapped: int, ip: str) -> str:
    return f"process runtime: port {port} cannot be opened at {ip} and is mapped to {ip}:{mapped}"
