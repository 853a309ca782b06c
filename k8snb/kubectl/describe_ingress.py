"""kubectl describe's pages for Ingresses and their classes.

Interface: `describe_ingress`, `describe_ingress_class`, rows of the table in `describe`.
The rule not to break: the addresses beside a backend are those that are ready now, or the reason why there are none.
Source: `kubectl/pkg/describe/describe.go`.
"""

from __future__ import annotations

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of
from k8snb.kubectl.describe_page import Page, annotation_lines, labels_lines, meta_lines
from k8snb.kubectl.describe_service import endpoints_text, slices_of
from k8snb.kubectl.session import Session


def describe_ingress(session: Session, obj: Object, page: Page) -> None:
    spec, namespace = obj.get("spec") or {}, namespace_of(obj)
    page.line(0, f"Name:\t{name_of(obj)}")
    page.lines(0, "Labels", labels_lines(obj["metadata"].get("labels")))
    page.line(0, f"Namespace:\t{namespace}")
    ways = get_path(obj, "status.loadBalancer.ingress") or ()
    page.line(0, f"Address:\t{','.join(sorted({way.get('ip') or way.get('hostname', '') for way in ways}))}")
    page.line(0, f"Ingress Class:\t{spec.get('ingressClassName') or '<none>'}")
    default = spec.get("defaultBackend")
    text = _backend(session, namespace, default) if default else "<default>"
    page.line(0, f"Default backend:\t{text}")
    if spec.get("tls"):
        _tls(page, spec["tls"])
    _rules(session, obj, page, text)
    page.lines(0, "Annotations", annotation_lines(obj["metadata"].get("annotations")))


def _tls(page: Page, entries: list[Object]) -> None:
    page.line(0, "TLS:")
    for entry in entries:
        hosts, secret = ",".join(entry.get("hosts") or ()), entry.get("secretName")
        page.line(1, f"{secret} terminates {hosts}" if secret else f"SNI routes {hosts}")


def _rules(session: Session, obj: Object, page: Page, default: str) -> None:
    page.line(0, "Rules:")
    page.table(1, ("Host", "Path", "Backends"), ())
    rules = [rule for rule in get_path(obj, "spec.rules") or () if rule.get("http")]
    for rule in rules:
        page.line(1, f"{rule.get('host') or '*'}\t")
        for path in rule["http"]["paths"]:
            page.line(2, f"\t{path.get('path', '')} \t{_backend(session, namespace_of(obj), path['backend'])}")
    if not rules:
        page.line(1, f"*\t*\t{default}")


def _backend(session: Session, namespace: str, backend: Object) -> str:
    """`web:80 (10.244.1.5:80)`."""
    resource = backend.get("resource")
    if resource:
        return f"APIGroup: {resource.get('apiGroup', '<none>')}, Kind: {resource['kind']}, Name: {resource['name']}"
    wanted = backend["service"]
    port = wanted.get("port") or {}
    text = f"{wanted['name']}:{port.get('number') or port.get('name', '')}"
    try:
        service = session.client.get("services", wanted["name"], namespace)
    except ApiError as error:
        return f"{text} (<error: {error.message}>)"
    names = [each.get("name") or "" for each in service["spec"].get("ports") or () if _is_meant(each, port)]
    return f"{text} ({endpoints_text(slices_of(session, service), names[-1] if names else '')})"


def _is_meant(port: Object, wanted: Object) -> bool:
    if wanted.get("number"):
        return bool(port["port"] == wanted["number"])
    return bool(wanted.get("name")) and port.get("name") == wanted["name"]


def describe_ingress_class(session: Session, obj: Object, page: Page) -> None:
    meta_lines(page, obj, namespaced=False)
    page.line(0, f"Controller:\t{get_path(obj, 'spec.controller', '')}")
    parameters = get_path(obj, "spec.parameters")
    if not parameters:
        return
    page.line(0, "Parameters:")
    for name, field in (("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name")):
        if field in parameters:
            page.line(1, f"{name}:\t{parameters[field]}")
