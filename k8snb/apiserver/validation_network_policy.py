"""kube-apiserver's validation of NetworkPolicies.

Interface: `network_policy`, pure.
Source: `ValidateNetworkPolicySpec` and `ValidateIPBlock` in pkg/apis/networking/validation/validation.go.
"""

from __future__ import annotations

import ipaddress

from k8snb.apimachinery import names
from k8snb.apimachinery.errors import FORBIDDEN, INVALID, NOT_SUPPORTED, REQUIRED, FieldError
from k8snb.apimachinery.meta import Object
from k8snb.apiserver.validation_apps import label_selector
from k8snb.apiserver.validation_fields import Errors, each, supported

PROTOCOLS, TYPES = ("TCP", "UDP", "SCTP"), ("Ingress", "Egress")
NO_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def network_policy(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    yield from label_selector(spec.get("podSelector") or {}, "spec.podSelector")
    for direction, field in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            path = f"spec.{direction}[{index}]"
            for place, port in enumerate(rule.get("ports") or ()):
                yield from _port(port, f"{path}.ports[{place}]")
            for place, peer in enumerate(rule.get(field) or ()):
                yield from _peer(peer, f"{path}.{field}[{place}]")
    types = spec.get("policyTypes") or ()
    if len(types) > len(TYPES):
        yield FieldError("spec.policyTypes", INVALID, types, "may not specify more than two policyTypes")
        return
    for index, type in enumerate(types):
        if type not in TYPES:
            yield FieldError(f"spec.policyTypes[{index}]", NOT_SUPPORTED, type, supported(TYPES))


def _port(port: Object, path: str) -> Errors:
    number, end, protocol = port.get("port"), port.get("endPort"), port.get("protocol")
    if protocol is not None and protocol not in PROTOCOLS:
        yield FieldError(f"{path}.protocol", NOT_SUPPORTED, protocol, supported(PROTOCOLS))
    if isinstance(number, int):
        yield from each(f"{path}.port", number, names.port_number(number))
        if end is not None and end < number:
            yield FieldError(f"{path}.endPort", INVALID, number, "must be greater than or equal to `port`")
        if end is not None:
            yield from each(f"{path}.endPort", end, names.port_number(end))
        return
    if end is not None:
        why = "is not specified" if number is None else "is non-numeric"
        yield FieldError(f"{path}.endPort", INVALID, end, f"may not be specified when `port` {why}")
    if number is not None:
        yield from each(f"{path}.port", number, names.port_name(number))


def _peer(peer: Object, path: str) -> Errors:
    for field in ("podSelector", "namespaceSelector"):
        if peer.get(field) is not None:
            yield from label_selector(peer[field], f"{path}.{field}")
    block = peer.get("ipBlock")
    if block is not None:
        yield from _block(block, f"{path}.ipBlock")
    given = [field for field in ("podSelector", "namespaceSelector", "ipBlock") if peer.get(field) is not None]
    if not given:
        yield FieldError(path, REQUIRED, None, "must specify a peer")
    elif block is not None and len(given) > 1:
        yield FieldError(path, FORBIDDEN, None, "may not specify both ipBlock and another peer")


def _block(block: Object, path: str) -> Errors:
    if not block.get("cidr"):
        yield FieldError(f"{path}.cidr", REQUIRED, None, "")
        return
    whole = _network(block["cidr"])
    if whole is None:
        yield FieldError(f"{path}.cidr", INVALID, block["cidr"], NO_CIDR)
    for index, text in enumerate(block.get("except") or ()):
        part = _network(text)
        if part is None:
            yield FieldError(f"{path}.except[{index}]", INVALID, text, NO_CIDR)
        elif whole is not None and not _is_part(part, whole):
            yield FieldError(f"{path}.except[{index}]", INVALID, text, "must be a strict subset of `cidr`")


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        return None


def _is_part(
    part: ipaddress.IPv4Network | ipaddress.IPv6Network, whole: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> bool:
    same = part.version == whole.version and part.prefixlen > whole.prefixlen
    return same and part.network_address in whole
