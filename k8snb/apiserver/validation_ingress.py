"""kube-apiserver's validation of Ingresses and IngressClasses.

Interface: `ingress`, `ingress_creation`, `ingress_class`, `ingress_class_change`.
Source: `pkg/apis/networking/validation/validation.go`.
"""

from __future__ import annotations

import ipaddress
import re

from k8snb.apimachinery import names
from k8snb.apimachinery.errors import FORBIDDEN, INVALID, NOT_SUPPORTED, REQUIRED, TOO_LONG, FieldError
from k8snb.apimachinery.meta import Object, annotations_of, get_path
from k8snb.apiserver.admission_ingressclass import OLD_NAME
from k8snb.apiserver.validation_fields import IMMUTABLE, Errors, each, supported
from k8snb.apiserver.validation_rbac import path_segment

PATH_TYPES, SCOPES = ("Exact", "ImplementationSpecific", "Prefix"), ("Cluster", "Namespace")
MAX_CONTROLLER = 250
_NOT_IN_PATHS, _NOT_AT_THE_END = ("//", "/./", "/../", "%2f", "%2F"), ("/..", "/.")
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_WILDCARD = rf"\*\.{_SUBDOMAIN}"
_NO_WILDCARD = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of "
    "lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com')"
)
_NO_PATH = "must be an absolute path"


def ingress(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    if not spec.get("rules") and not spec.get("defaultBackend"):
        yield FieldError("spec", INVALID, spec.get("rules"), "either `defaultBackend` or `rules` must be specified")
    if spec.get("defaultBackend") is not None:
        yield from _backend(spec["defaultBackend"], "spec.defaultBackend")
    for index, rule in enumerate(spec.get("rules") or ()):
        yield from _rule(rule, f"spec.rules[{index}]")
    for index, entry in enumerate(spec.get("tls") or ()):
        yield from _tls(entry, f"spec.tls[{index}]")
    name = spec.get("ingressClassName")
    if name is not None:
        yield from each("spec.ingressClassName", name, names.dns_subdomain(name))


def ingress_creation(obj: Object) -> Errors:
    """What only something new may not say: the class twice, by the field and by the old annotation."""
    old = annotations_of(obj).get(OLD_NAME)
    if old is not None and get_path(obj, "spec.ingressClassName") is not None:
        why = "can not be set when the class field is also set"
        yield FieldError(f"annotations.{OLD_NAME}", INVALID, old, why)


def _rule(rule: Object, path: str) -> Errors:
    host = rule.get("host") or ""
    if host:
        if _is_address(host):
            yield FieldError(f"{path}.host", INVALID, host, "must be a DNS name, not an IP address")
        yield from _host(host, f"{path}.host")
    if rule.get("http") is None:
        return
    paths = rule["http"].get("paths") or ()
    if not paths:
        yield FieldError(f"{path}.http.paths", REQUIRED)
    for index, each_path in enumerate(paths):
        yield from _path(each_path, f"{path}.http.paths[{index}]")


def _host(host: str, path: str) -> Errors:
    if "*" in host:
        yield from each(path, host, [] if re.fullmatch(_WILDCARD, host) else [_NO_WILDCARD])
    else:
        yield from each(path, host, names.dns_subdomain(host))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _path(entry: Object, path: str) -> Errors:
    sort, text = entry.get("pathType"), entry.get("path") or ""
    if sort is None:
        yield FieldError(f"{path}.pathType", REQUIRED, None, "pathType must be specified")
        return
    if sort not in PATH_TYPES:
        yield FieldError(f"{path}.pathType", NOT_SUPPORTED, sort, supported(PATH_TYPES))
    elif not text.startswith("/") and (text or sort != "ImplementationSpecific"):
        yield FieldError(f"{path}.path", INVALID, text, _NO_PATH)
    if sort in ("Exact", "Prefix"):
        amiss = [f"must not contain '{piece}'" for piece in _NOT_IN_PATHS if piece in text]
        amiss += [f"cannot end with '{end}'" for end in _NOT_AT_THE_END if text.endswith(end)]
        yield from each(f"{path}.path", text, amiss)
    yield from _backend(entry.get("backend") or {}, f"{path}.backend")


def _backend(backend: Object, path: str) -> Errors:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        yield FieldError(path, INVALID, "", "cannot set both resource and service backends")
    elif resource is not None:
        yield from _reference(resource, f"{path}.resource")
    elif service is not None:
        yield from _service(service, path)
    else:
        yield FieldError(path, INVALID, "", "resource or service backend is required")


def _service(service: Object, path: str) -> Errors:
    name, port = service.get("name") or "", service.get("port") or {}
    if not name:
        yield FieldError(f"{path}.service.name", REQUIRED)
    else:
        yield from each(f"{path}.service.name", name, names.dns_1035_label(name))
    if port.get("name") and port.get("number"):
        yield FieldError(path, INVALID, "", "cannot set both port name & port number")
    elif port.get("name"):
        yield from each(f"{path}.service.port.name", port["name"], names.port_name(port["name"]))
    elif port.get("number"):
        yield from each(f"{path}.service.port.number", port["number"], names.port_number(port["number"]))
    else:
        yield FieldError(path, REQUIRED, None, "port name or number is required")


def _reference(reference: Object, path: str) -> Errors:
    """An object of some kind, named by group, kind and name."""
    group = reference.get("apiGroup")
    if group is not None:
        yield from each(f"{path}.apiGroup", group, names.dns_subdomain(group))
    for field in ("kind", "name"):
        value = reference.get(field) or ""
        if value:
            yield from each(f"{path}.{field}", value, path_segment(value))
        else:
            yield FieldError(f"{path}.{field}", REQUIRED, None, f"{field} is required")


def _tls(entry: Object, path: str) -> Errors:
    for index, host in enumerate(entry.get("hosts") or ()):
        yield from _host(host, f"{path}.hosts[{index}]")
    name = entry.get("secretName") or ""
    yield from each(f"{path}.secretName", name, names.dns_subdomain(name) if name else [])


# classes


def ingress_class(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    controller = spec.get("controller") or ""
    if len(controller) > MAX_CONTROLLER:
        yield FieldError("spec.controller", TOO_LONG, controller, f"may not be more than {MAX_CONTROLLER} bytes")
    yield from _prefixed(controller, "spec.controller")
    if spec.get("parameters") is not None:
        yield from _parameters(spec["parameters"], "spec.parameters")


def ingress_class_change(obj: Object, old: Object) -> Errors:
    if get_path(obj, "spec.controller") != get_path(old, "spec.controller"):
        yield FieldError("spec.controller", INVALID, get_path(obj, "spec.controller"), IMMUTABLE)


def _prefixed(text: str, path: str) -> Errors:
    """A domain and a path: `example.com/controller`."""
    if not text:
        yield FieldError(path, REQUIRED)
        return
    domain, slash, rest = text.partition("/")
    if not slash or not domain or not rest:
        why = 'must be a domain-prefixed path (such as "acme.io/foo")'
        yield FieldError(path, INVALID, text, why)
        return
    yield from each(path, domain, names.dns_subdomain(domain))
    if not re.fullmatch(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", rest):
        yield FieldError(path, INVALID, rest, "Invalid path (regex used for validation is "
                         "'[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')")  # fmt: skip


def _parameters(parameters: Object, path: str) -> Errors:
    yield from _reference(parameters, path)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        yield FieldError(f"{path}.scope", REQUIRED)
    elif scope not in SCOPES:
        yield FieldError(f"{path}.scope", NOT_SUPPORTED, scope, supported(SCOPES))
    elif scope == "Namespace" and namespace is None:
        yield FieldError(f"{path}.namespace", REQUIRED, None, "`parameters.scope` is set to 'Namespace'")
    elif scope == "Namespace":
        yield from each(f"{path}.namespace", namespace, names.dns_label(str(namespace)))
    elif namespace is not None:
        yield FieldError(f"{path}.namespace", FORBIDDEN, None, "`parameters.scope` is set to 'Cluster'")
