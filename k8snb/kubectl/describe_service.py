"""kubectl describe for Services, Endpoints and EndpointSlices.

Interface: `describe_service`, `describe_endpoints`, `describe_slice`.
The rule not to break: the endpoints shown are those that are there, never those that the selector would find.
Source: `kubectl/pkg/describe/describe.go`.
"""

from __future__ import annotations

from collections.abc import Iterator

from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of
from k8snb.kubectl.describe_page import Page, meta_lines
from k8snb.kubectl.session import Session
from k8snb.printers.columns import labels_text

_MOST = 3


def describe_service(session: Session, obj: Object, page: Page) -> None:
    spec = obj.get("spec") or {}
    meta_lines(page, obj)
    page.line(0, f"Selector:\t{labels_text(spec.get('selector'))}")
    page.line(0, f"Type:\t{spec.get('type', 'ClusterIP')}")
    if spec.get("ipFamilyPolicy"):
        page.line(0, f"IP Family Policy:\t{spec['ipFamilyPolicy']}")
    page.line(0, f"IP Families:\t{','.join(spec.get('ipFamilies') or ()) or '<none>'}")
    page.line(0, f"IP:\t{spec.get('clusterIP', '')}")
    page.line(0, f"IPs:\t{','.join(spec.get('clusterIPs') or ()) or '<none>'}")
    _outside(obj, page)
    slices = slices_of(session, obj)
    for port in spec.get("ports") or ():
        _port(page, port, slices)
    page.line(0, f"Session Affinity:\t{spec.get('sessionAffinity', 'None')}")
    for name, field in (("External", "externalTrafficPolicy"), ("Internal", "internalTrafficPolicy")):
        if spec.get(field):
            page.line(0, f"{name} Traffic Policy:\t{spec[field]}")


def _outside(obj: Object, page: Page) -> None:
    spec = obj.get("spec") or {}
    if spec.get("externalIPs"):
        page.line(0, f"External IPs:\t{','.join(spec['externalIPs'])}")
    if spec.get("loadBalancerIP"):
        page.line(0, f"Desired LoadBalancer IP:\t{spec['loadBalancerIP']}")
    if spec.get("externalName"):
        page.line(0, f"External Name:\t{spec['externalName']}")
    ingress = get_path(obj, "status.loadBalancer.ingress") or ()
    if ingress:
        page.line(0, "LoadBalancer Ingress:\t" + ", ".join(_ingress(entry) for entry in ingress))


def _ingress(entry: Object) -> str:
    mode = f" ({entry['ipMode']})" if entry.get("ipMode") else ""
    return f"{entry.get('ip') or entry.get('hostname', '')}{mode}"


def _port(page: Page, port: Object, slices: list[Object]) -> None:
    name, protocol = port.get("name") or "<unset>", port.get("protocol", "TCP")
    page.line(0, f"Port:\t{name}\t{port['port']}/{protocol}")
    page.line(0, f"TargetPort:\t{port.get('targetPort', port['port'])}/{protocol}")
    if port.get("nodePort"):
        page.line(0, f"NodePort:\t{name}\t{port['nodePort']}/{protocol}")
    page.line(0, f"Endpoints:\t{endpoints_text(slices, port.get('name') or '')}")


def endpoints_text(slices: list[Object], port_name: str) -> str:
    """The first few addresses that are ready behind a port: `10.244.1.5:80,10.244.2.7:80`."""
    listed = list(_addresses(slices, port_name)) if slices else ["<none>"]
    extra = f" + {len(listed) - _MOST} more..." if len(listed) > _MOST else ""
    return f"{','.join(listed[:_MOST])}{extra}"


def slices_of(session: Session, service: Object) -> list[Object]:
    """The EndpointSlices of a Service."""
    label = f"kubernetes.io/service-name={name_of(service)}"
    return session.client.items("endpointslices", namespace_of(service), labelSelector=label)


def _addresses(slices: list[Object], port_name: str) -> Iterator[str]:
    """The ready endpoints behind one port."""
    for each in slices:
        for port in each.get("ports") or ():
            if (port.get("name") or "") != port_name:
                continue
            for endpoint in each.get("endpoints") or ():
                if get_path(endpoint, "conditions.ready", True) is not False:
                    yield from (f"{address}:{port.get('port')}" for address in endpoint.get("addresses") or ())


def describe_endpoints(session: Session, obj: Object, page: Page) -> None:
    meta_lines(page, obj)
    page.line(0, "Subsets:")
    for subset in obj.get("subsets") or ():
        for label, field in (("Addresses", "addresses"), ("NotReadyAddresses", "notReadyAddresses")):
            ips = ",".join(entry["ip"] for entry in subset.get(field) or ())
            page.line(1, f"{label}:\t{ips or '<none>'}")
        if subset.get("ports"):
            page.line(1, "Ports:")
            rows = [(p.get("name") or "<unset>", str(p["port"]), p.get("protocol", "TCP")) for p in subset["ports"]]
            page.table(2, ("Name", "Port", "Protocol"), rows)
        page.line(0, "")


def describe_slice(session: Session, obj: Object, page: Page) -> None:
    meta_lines(page, obj)
    page.line(0, f"AddressType:\t{obj['addressType']}")
    if obj.get("ports"):
        page.line(0, "Ports:")
        rows = [(p.get("name") or "<unset>", str(p.get("port", "<unset>")), p.get("protocol", "TCP"))
                for p in obj["ports"]]  # fmt: skip
        page.table(1, ("Name", "Port", "Protocol"), rows)
    else:
        page.line(0, "Ports: <unset>")
    endpoints = obj.get("endpoints") or ()
    page.line(0, "Endpoints:" if endpoints else "Endpoints: <none>")
    for endpoint in endpoints:
        _endpoint(endpoint, page)


def _endpoint(endpoint: Object, page: Page) -> None:
    page.line(1, f"- Addresses:\t{','.join(endpoint.get('addresses') or ())}")
    page.line(2, "Conditions:")
    ready = get_path(endpoint, "conditions.ready")
    page.line(3, f"Ready:\t{'<unset>' if ready is None else str(ready).lower()}")
    page.line(2, f"Hostname:\t{endpoint.get('hostname') or '<unset>'}")
    target = endpoint.get("targetRef")
    if target:
        page.line(2, f"TargetRef:\t{target['kind']}/{target['name']}")
    for label, field in (("NodeName", "nodeName"), ("Zone", "zone")):
        page.line(2, f"{label}:\t{endpoint.get(field) or '<unset>'}")
