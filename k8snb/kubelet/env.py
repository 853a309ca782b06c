"""kubelet's environment: the variables, command and arguments that a container is started with.

Interface: `container_environment(…)`, `expand(text, env)`, both pure but for the lookup they are given.
Source: `makeEnvironmentVariables` in pkg/kubelet/kubelet_pods.go, `third_party/forked/golang/expansion`.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from k8snb.apimachinery import quantity
from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of

Lookup = Callable[[str, str], Object | None]  # (resource, name) → object of the pod's namespace

LIMITED = ("cpu", "memory", "ephemeral-storage")

_REFERENCE = re.compile(r"\$(?:\$|\(([^()]*)\))")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class ConfigError(Exception):
    """A variable whose source is not there: the container waits with CreateContainerConfigError."""


def container_environment(
    pod: Object, container: Object, *, services: Iterable[Object], lookup: Lookup, addresses: dict[str, str],
    allocatable: Mapping[str, str] = MappingProxyType({}),
) -> list[tuple[str, str]]:  # fmt: skip
    """Service variables, then `envFrom`, then `env`, later ones winning. Raises ConfigError.

    `addresses` answers the field references that only the kubelet knows: status.podIP, status.hostIP; `allocatable` is
    what its node has to give.
    """
    env: dict[str, str] = {}
    if pod["spec"].get("enableServiceLinks", True):
        for service in services:
            env.update(service_variables(service))
    for source in container.get("envFrom") or ():
        env.update(_from_source(source, lookup))
    for variable in container.get("env") or ():
        if "value" in variable or "valueFrom" not in variable:
            env[variable["name"]] = expand(variable.get("value") or "", env)
            continue
        source = variable["valueFrom"]
        if "resourceFieldRef" in source:
            env[variable["name"]] = resource_value(with_limits(pod, allocatable), container, source["resourceFieldRef"])
            continue
        value = _from_reference(pod, source, lookup, addresses)
        if value is not None:
            env[variable["name"]] = value
    return list(env.items())


def expand(text: str, env: dict[str, str]) -> str:
    """`$(NAME)` becomes the variable's value, `$$` a dollar sign; what is not known stays as it is."""

    def value(match: re.Match[str]) -> str:
        if match.group(1) is None:
            return "$"
        return env.get(match.group(1), match.group(0))

    return _REFERENCE.sub(value, text)


def service_variables(service: Object) -> Iterator[tuple[str, str]]:
    """`NGINX_SERVICE_HOST` and its relatives, as Docker links once had them."""
    spec = service["spec"]
    address = spec.get("clusterIP")
    ports = spec.get("ports") or ()
    if not address or address == "None" or not ports:
        return
    prefix = name_of(service).upper().replace("-", "_")
    yield f"{prefix}_SERVICE_HOST", address
    yield f"{prefix}_SERVICE_PORT", str(ports[0]["port"])
    for port in ports:
        if port.get("name"):
            yield f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}", str(port["port"])
    first = ports[0]
    yield f"{prefix}_PORT", f"{first.get('protocol', 'TCP').lower()}://{address}:{first['port']}"
    for port in ports:
        protocol = port.get("protocol", "TCP")
        base = f"{prefix}_PORT_{port['port']}_{protocol}"
        yield base, f"{protocol.lower()}://{address}:{port['port']}"
        yield f"{base}_PROTO", protocol.lower()
        yield f"{base}_PORT", str(port["port"])
        yield f"{base}_ADDR", address


def _from_source(source: Object, lookup: Lookup) -> Iterator[tuple[str, str]]:
    for field, resource in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
        reference = source.get(field)
        if reference is None:
            continue
        obj = lookup(resource, reference["name"])
        if obj is None and not reference.get("optional"):
            raise ConfigError(f'{resource[:-1]} "{reference["name"]}" not found')
        for key, value in _data(obj).items():
            yield source.get("prefix", "") + key, value


def _data(obj: Object | None) -> dict[str, str]:
    """The keys of a ConfigMap, or of a Secret in the clear."""
    data = (obj or {}).get("data") or {}
    if obj is not None and obj["kind"] == "Secret":
        return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}
    return dict(data)


def _from_reference(pod: Object, source: Object, lookup: Lookup, addresses: dict[str, str]) -> str | None:
    if "fieldRef" in source:
        return field_value(pod, source["fieldRef"]["fieldPath"], addresses)
    field, resource = ("configMapKeyRef", "configmaps") if "configMapKeyRef" in source else ("secretKeyRef", "secrets")
    reference = source[field]
    obj = lookup(resource, reference["name"])
    value = _data(obj).get(reference["key"])
    if value is None and not reference.get("optional"):
        if obj is None:
            raise ConfigError(f'{resource[:-1]} "{reference["name"]}" not found')
        sort = "ConfigMap" if field == "configMapKeyRef" else "Secret"
        where = f"{sort} {namespace_of(pod)}/{reference['name']}"
        raise ConfigError(f"couldn't find key {reference['key']} in {where}")
    return value


def with_limits(pod: Object, allocatable: Mapping[str, str]) -> Object:
    """The pod for the downward API: where a container has no limit, its node's `allocatable` is one.

    Source: `defaultPodLimitsForDownwardAPI` in pkg/kubelet/kubelet_resources.go.
    """
    usual = {name: allocatable[name] for name in LIMITED if name in allocatable}

    def limited(container: Object) -> Object:
        resources = container.get("resources") or {}
        return {**container, "resources": {**resources, "limits": {**usual, **(resources.get("limits") or {})}}}

    spec = pod["spec"]
    parts = {part: [limited(each) for each in spec[part]] for part in ("initContainers", "containers") if part in spec}
    return {**pod, "spec": {**spec, **parts}}


def field_value(pod: Object, path: str, addresses: dict[str, str]) -> str:
    """A field of the pod for the downward API: `metadata.name`, `metadata.labels['app']`, `status.podIP` …"""
    if path in addresses:
        return addresses[path]
    subscript = _SUBSCRIPT.fullmatch(path)
    if subscript is not None:
        field, key = subscript.groups()
        return str((pod["metadata"].get(field) or {}).get(key, ""))
    value = get_path(pod, path, "")
    if isinstance(value, dict):
        return "\n".join(f'{key}="{text}"' for key, text in sorted(value.items()))
    return str(value)


def resource_value(pod: Object, container: Object, reference: Object) -> str:
    """A request or limit of a container, in units of the divisor, rounded up.

    Where it has no limit, all that its node has to give is its limit: see `with_limits`.
    """
    name = reference.get("containerName") or container["name"]
    everyone = [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ())]
    chosen = next((each for each in everyone if each["name"] == name), container)
    amount = get_path(chosen, ["resources", *reference["resource"].split(".", 1)], "0")
    divisor = quantity.parse(reference.get("divisor") or "1")
    return str(math.ceil(quantity.parse(amount).milli / (divisor.milli or 1000)))
