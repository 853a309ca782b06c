"""kube-apiserver's allocators: cluster IPs and node ports for Services.

Interface: `ServiceAllocator.admit(service, old)` fills in what is missing and refuses what is taken;
`release(service)`.
The rule not to break: what is taken is known from the Services in the store, and from nothing else.
Source: `pkg/registry/core/service/{ipallocator,portallocator}`. Upstream keeps IPAddress objects beside the Services.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from k8snb.apimachinery.errors import INVALID, ApiError, FieldError, internal
from k8snb.apimachinery.meta import Object

NODE_PORTS = range(30000, 32768)
RESERVED = 16  # the first addresses of the range are kept for services that ask for them by number
EXTERNAL = ("NodePort", "LoadBalancer")
HEALTH_PORT = "healthCheckNodePort"
HEALTH_PORT_UNWANTED = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"


class ServiceAllocator:
    """Takes addresses at random from the service range, as upstream does, so that nobody relies on the order."""

    def __init__(self, cidr: str, dice: random.Random, services: Iterable[Object]) -> None:
        self.network = IPv4Network(cidr)
        self._random = dice
        self._addresses: set[str] = set()
        self._ports: set[tuple[int, str]] = set()
        for service in services:
            self._take(service)

    def address(self, index: int) -> str:
        """The n-th address of the range."""
        return str(self.network[index])

    def admit(self, service: Object, old: Object | None) -> tuple[Object, list[FieldError]]:
        """The service with cluster IP and node ports filled in, and what is wrong with those it asks for.

        On errors nothing is taken.
        """
        if old is not None:
            self.release(old)
        try:
            spec = dict(service["spec"])
            errors = self._admit_address(spec, (old or {}).get("spec") or {})
            errors += self._admit_ports(spec, (old or {}).get("spec") or {})
            errors += self._admit_health_port(spec, (old or {}).get("spec") or {})
        except ApiError:
            self._restore(old)
            raise
        if errors:
            self._restore(old)
            return service, errors
        admitted = {**service, "spec": spec}
        self._take(admitted)
        return admitted, []

    def try_out(self, service: Object, old: Object | None) -> tuple[Object, list[FieldError]]:
        """What `admit` would say, for a dry run."""
        addresses, ports = set(self._addresses), set(self._ports)
        answer = self.admit(service, old)
        self._addresses, self._ports = addresses, ports
        return answer

    def release(self, service: Object) -> None:
        """Give back what a service held."""
        addresses, ports = _held(service)
        self._addresses -= addresses
        self._ports -= ports

    def _restore(self, old: Object | None) -> None:
        if old is not None:
            self._take(old)

    def _take(self, service: Object) -> None:
        addresses, ports = _held(service)
        self._addresses |= addresses
        self._ports |= ports

    def _admit_address(self, spec: Object, old: Object) -> list[FieldError]:
        if spec.get("type") == "ExternalName":
            spec.pop("clusterIP", None)
            spec.pop("clusterIPs", None)
            return []
        wanted = spec.get("clusterIP") or old.get("clusterIP") or self._free_address()
        spec["clusterIP"], spec["clusterIPs"] = wanted, [wanted]
        if wanted == "None":
            return []
        return self._check_address(wanted)

    def _check_address(self, wanted: str) -> list[FieldError]:
        try:
            inside = IPv4Address(wanted) in self.network
        except ValueError:
            return [FieldError("spec.clusterIPs[0]", INVALID, wanted, "must be a valid IP address")]
        if not inside:
            detail = f"failed to allocate IP {wanted}: the provided IP is not in the valid range. "
            detail += f"The range of valid IPs is {self.network}"
            return [FieldError("spec.clusterIPs", INVALID, [wanted], detail)]
        if wanted in self._addresses:
            detail = f"failed to allocate IP {wanted}: provided IP is already allocated"
            return [FieldError("spec.clusterIPs", INVALID, [wanted], detail)]
        return []

    def _free_address(self) -> str:
        size = self.network.num_addresses
        for _ in range(64):
            address = str(self.network[self._random.randrange(RESERVED, size - 1)])
            if address not in self._addresses:
                return address
        for index in range(1, size - 1):
            if str(self.network[index]) not in self._addresses:
                return str(self.network[index])
        raise internal(f"failed to allocate a serviceIP: the range {self.network} is full")

    def _admit_ports(self, spec: Object, old: Object) -> list[FieldError]:
        if spec.get("type") not in EXTERNAL:
            spec["ports"] = [_without_node_port(port) for port in spec.get("ports") or ()]
            return []
        before = {(port["port"], port.get("protocol", "TCP")): port.get("nodePort") for port in old.get("ports") or ()}
        errors: list[FieldError] = []
        ports, taken = [], set(self._ports)
        unasked = spec["type"] == "NodePort" or spec.get("allocateLoadBalancerNodePorts") is not False
        for index, port in enumerate(spec.get("ports") or ()):
            protocol = port.get("protocol", "TCP")
            wanted = port.get("nodePort") or before.get((port["port"], protocol))
            if not wanted and not unasked:
                ports.append(port)
                continue
            wanted = wanted or self._free_port(protocol, taken)
            errors += _check_port(f"spec.ports[{index}].nodePort", wanted, protocol, taken)
            taken.add((wanted, protocol))
            ports.append({**port, "nodePort": wanted})
        spec["ports"] = ports
        return errors

    def _admit_health_port(self, spec: Object, old: Object) -> list[FieldError]:
        """Where load balancers ask each node for endpoints of its own: for external traffic that stays on its node."""
        wanted, before = spec.get(HEALTH_PORT), old.get(HEALTH_PORT)
        if spec.get("type") != "LoadBalancer" or spec.get("externalTrafficPolicy") != "Local":
            if wanted and wanted != before:
                return [FieldError(f"spec.{HEALTH_PORT}", INVALID, wanted, HEALTH_PORT_UNWANTED)]
            spec.pop(HEALTH_PORT, None)
            return []
        if before and wanted and wanted != before:
            return [FieldError(f"spec.{HEALTH_PORT}", INVALID, wanted, "field is immutable")]
        taken = self._ports | {(port["nodePort"], port.get("protocol", "TCP")) for port in spec["ports"]
                               if port.get("nodePort")}  # fmt: skip
        spec[HEALTH_PORT] = wanted or before or self._free_port("TCP", taken)
        return _check_port(f"spec.{HEALTH_PORT}", spec[HEALTH_PORT], "TCP", taken)

    def _free_port(self, protocol: str, taken: set[tuple[int, str]]) -> int:
        free = [port for port in NODE_PORTS if (port, protocol) not in taken]
        if not free:
            raise internal("failed to allocate a nodePort: range is full")
        return self._random.choice(free)


def _check_port(path: str, port: int, protocol: str, taken: set[tuple[int, str]]) -> list[FieldError]:
    if port not in NODE_PORTS:
        valid = f"{NODE_PORTS[0]}-{NODE_PORTS[-1]}"
        detail = f"provided port is not in the valid range. The range of valid ports is {valid}"
        return [FieldError(path, INVALID, port, detail)]
    if (port, protocol) in taken:
        return [FieldError(path, INVALID, port, "provided port is already allocated")]
    return []


def _without_node_port(port: Object) -> Object:
    return {key: value for key, value in port.items() if key != "nodePort"} if "nodePort" in port else port


def _held(service: Object) -> tuple[set[str], set[tuple[int, str]]]:
    spec = service["spec"]
    addresses = {address for address in spec.get("clusterIPs") or () if address != "None"}
    open_ports = [port for port in spec.get("ports") or () if port.get("nodePort")]
    ports = {(port["nodePort"], port.get("protocol", "TCP")) for port in open_ports}
    if spec.get(HEALTH_PORT):
        ports.add((spec[HEALTH_PORT], "TCP"))
    return addresses, ports
