"""kubectl's generators: manifests from a few words, as `create deployment`, `run` and `expose` write them.

Interface: one function per kind, from plain values to an object.
The rule not to break: pure; what is made here can be printed with `--dry-run=client -o yaml` and applied as it is.
Source: `kubectl/pkg/cmd/create`, `run`, `expose`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from k8snb.apimachinery import schema
from k8snb.apimachinery.json_patch import PatchError, json_patch
from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.patch import merge_patch, strategic_merge
from k8snb.kubectl.output import KubectlError


def _object(api_version: str, kind: str, name: str, namespace: str, labels: Mapping[str, str] | None = None) -> Object:
    metadata: Object = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = dict(labels)
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}


def deployment(
    name: str, *, images: Sequence[str], replicas: int, port: int, command: Sequence[str], namespace: str
) -> Object:
    labels = {"app": name}
    containers = [_container(container_name(image), image) for image in images]
    if len(containers) > 1 and command:
        raise KubectlError("error: cannot specify multiple --image options and command")
    for container in containers:
        if command:
            container["command"] = list(command)
        if port:
            container["ports"] = [{"containerPort": port}]
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "strategy": {},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
    }
    return {**_object("apps/v1", "Deployment", name, namespace, labels), "spec": spec, "status": {}}


def _container(name: str, image: str) -> Object:
    return {"name": name, "image": image, "resources": {}}


def container_name(image: str) -> str:
    """The last part of an image's name, without tag and digest: `k8s.gcr.io/echoserver:1.10` is `echoserver`."""
    last = image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    return "".join(char if char.isalnum() else "-" for char in last.lower()).strip("-")


def namespace(name: str) -> Object:
    return {**_object("v1", "Namespace", name, ""), "spec": {}, "status": {}}


def service_account(name: str, *, namespace: str) -> Object:
    return _object("v1", "ServiceAccount", name, namespace)


def config_map(name: str, data: Mapping[str, str], *, binary: Mapping[str, bytes], namespace: str) -> Object:
    extra: Object = {"data": dict(data)} if data else {}
    if binary:
        extra["binaryData"] = {key: base64.b64encode(value).decode() for key, value in binary.items()}
    return {**_object("v1", "ConfigMap", name, namespace), **extra}


def secret(name: str, data: Mapping[str, bytes], *, type: str, namespace: str) -> Object:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    extra: Object = {"data": encoded} if encoded else {}
    return {**_object("v1", "Secret", name, namespace), **extra, **({"type": type} if type else {})}


def service(name: str, *, type: str, ports: Sequence[Object], namespace: str, **fields: Any) -> Object:
    """A Service over the pods labelled `app=NAME`; `fields` go into its spec."""
    labels = {"app": name}
    spec: Object = {"type": type, "selector": labels, **fields}
    if ports:
        spec["ports"] = list(ports)
    return {**_object("v1", "Service", name, namespace, labels), "spec": spec, "status": {"loadBalancer": {}}}


def tcp_port(text: str, node_port: int = 0) -> Object:
    """`80`, `80:8080` or `80:http` as a port of a Service."""
    port, _, target = text.partition(":")
    entry: Object = {
        "name": text.replace(":", "-"),
        "port": _port_number(port, text),
        "protocol": "TCP",
        "targetPort": number_or_name(target or port),
    }
    return {**entry, "nodePort": node_port} if node_port else entry


def _port_number(text: str, whole: str) -> int:
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise KubectlError(f'error: invalid port "{whole}": want a number from 1 to 65535, or PORT:TARGET')
    return int(text)


def number_or_name(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def pod(name: str, *, image: str, namespace: str, labels: Mapping[str, str], restart: str, **fields: Any) -> Object:
    """A Pod of one container; `fields` that are not empty go into the container."""
    container = {**_container(name, image), **{key: value for key, value in fields.items() if value}}
    spec = {"containers": [container], "dnsPolicy": "ClusterFirst", "restartPolicy": restart}
    return {**_object("v1", "Pod", name, namespace, labels or {"run": name}), "spec": spec, "status": {}}


def environment(pairs: Sequence[str]) -> list[Object]:
    """`NAME=VALUE` words as a container's env. Raises KubectlError."""
    entries = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise KubectlError(f"error: invalid env: {pair}")
        entries.append({"name": name, "value": value} if value else {"name": name})
    return entries


def overridden(obj: Object, text: str, *, how: str) -> Object:
    """The object with inline JSON patched over it: `how` is merge, strategic or json. Raises KubectlError."""
    if not text:
        return obj
    if how not in _OVERRIDES:
        raise KubectlError(f"error: invalid override type: {how}")
    try:
        override = json.loads(text)
    except ValueError as error:
        raise KubectlError(f"error: invalid JSON in --overrides: {error}") from None
    wanted, shape = (list, "a list with brackets") if how == "json" else (dict, "an object with braces")
    if not isinstance(override, wanted):
        raise KubectlError(f"error: invalid JSON in --overrides: it has to be {shape}")
    try:
        merged: Object = _OVERRIDES[how](obj, override)
    except PatchError as error:
        raise KubectlError(f"error: {error}") from None
    return merged


def _strategic(obj: Object, override: Object) -> Object:
    return strategic_merge(obj, override, schema.load().definition(obj["apiVersion"], obj["kind"]))


_OVERRIDES: Mapping[str, Callable[[Object, Any], Any]] = {
    "json": json_patch, "merge": merge_patch, "strategic": _strategic,
}  # fmt: skip


def labels_from(text: str) -> dict[str, str]:
    """`a=1,b=2` as a dict. Raises KubectlError."""
    pairs = [part.partition("=") for part in text.split(",") if part]
    for key, equals, _ in pairs:
        if not equals or not key:
            raise KubectlError(f"error: unexpected label spec: {text}; write KEY=VALUE,KEY=VALUE")
    return {key: value for key, _, value in pairs}
