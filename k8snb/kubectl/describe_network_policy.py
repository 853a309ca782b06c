"""kubectl describe's page for NetworkPolicies.

Interface: `describe_network_policy`, a row of the table in `describe`.
The rule not to break: what a policy leaves open is said in words, and so is what it closes.
Source: `describeNetworkPolicyV1` in kubectl/pkg/describe/describe.go, whose page has no events.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from k8snb.apimachinery.meta import Object, name_of, namespace_of
from k8snb.clock import parse_timestamp
from k8snb.kubectl.describe_page import Page, annotation_lines, labels_lines
from k8snb.kubectl.session import Session
from k8snb.printers.columns import selector_text

_ALL_PODS = "<none> (Allowing the specific traffic to all pods in this namespace)"
# direction: the field of its peers, the word for them, and what an entry without any means
_DIRECTIONS = {
    "Ingress": ("from", "From", "<any> (traffic not restricted by source)"),
    "Egress": ("to", "To", "<any> (traffic not restricted by destination)"),
}


def describe_network_policy(session: Session, obj: Object, page: Page) -> None:
    spec = obj.get("spec") or {}
    page.line(0, f"Name:\t{name_of(obj)}")
    page.line(0, f"Namespace:\t{namespace_of(obj)}")
    created = parse_timestamp(obj["metadata"]["creationTimestamp"])
    page.line(0, f"Created on:\t{_go_time(created)}")
    page.lines(0, "Labels", labels_lines(obj["metadata"].get("labels")))
    page.lines(0, "Annotations", annotation_lines(obj["metadata"].get("annotations")))
    page.line(0, "Spec:")
    selector = selector_text(spec.get("podSelector") or {})
    page.line(1, f"PodSelector:     {_ALL_PODS if selector == '<none>' else selector}")
    types = spec.get("policyTypes") or ["Ingress"]
    for direction in _DIRECTIONS:
        if direction in types:
            _traffic(page, direction, spec.get(direction.lower()) or ())
        else:
            page.line(1, f"Not affecting {direction.lower()} traffic")
    page.line(1, f"Policy Types: {', '.join(types)}")


def _go_time(seconds: float) -> str:
    """A moment as Go prints it, in the zone of this machine."""
    local = datetime.fromtimestamp(seconds, UTC).astimezone()
    return f"{local:%Y-%m-%d %H:%M:%S %z %Z}"


def _traffic(page: Page, direction: str, rules: Sequence[Object]) -> None:
    lower = direction.lower()
    page.line(1, f"Allowing {lower} traffic:")
    if not rules:
        page.line(2, f"<none> (Selected pods are isolated for {lower} connectivity)")
    for number, rule in enumerate(rules):
        if number:
            page.line(2, "----------")
        _rule(page, direction, rule)


def _rule(page: Page, direction: str, rule: Object) -> None:
    field, word, anybody = _DIRECTIONS[direction]
    for port in rule.get("ports") or ():
        page.line(2, _port(port))
    if not rule.get("ports"):
        page.line(2, "To Port: <any> (traffic allowed to all ports)")
    for peer in rule.get(field) or ():
        page.line(2, f"{word}:")
        _peer(page, peer)
    if not rule.get(field):
        page.line(2, f"{word}: {anybody}")


def _port(port: Object) -> str:
    number, protocol = port.get("port", "<nil>"), port.get("protocol") or "TCP"
    if port.get("endPort"):
        return f"To Port Range: {number}-{port['endPort']}/{protocol}"
    return f"To Port: {number}/{protocol}"


def _peer(page: Page, peer: Object) -> None:
    for heading, field in (("NamespaceSelector", "namespaceSelector"), ("PodSelector", "podSelector")):
        if peer.get(field) is not None:
            page.line(3, f"{heading}: {selector_text(peer[field])}")
    block = peer.get("ipBlock")
    if block:
        page.line(3, "IPBlock:")
        page.line(4, f"CIDR: {block['cidr']}")
        page.line(4, f"Except: {', '.join(block.get('except') or ())}")
