"""kubelet's volumes with content from the API: configMap, secret, downwardAPI, projected.

Interface: `ContentVolume(collect)`, a plug-in, and the `CONTENT` of the four sorts.
The rule not to break: a file's path stays inside of the volume; the apiserver refuses others, and so does this.
Source: `pkg/volume/{configmap,secret,downwardapi,projected}` in the kubernetes repository.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, namespace_of
from k8snb.kubelet.env import ConfigError, field_value, resource_value, with_limits
from k8snb.kubelet.volume_plugin import Volume, VolumeError, VolumePlugin
from k8snb.kubelet.volume_writer import File, Payload, write

READABLE, PRIVATE, BY_GROUP = 0o644, 0o600, 0o440
TOKEN_SECONDS = 3600
DIGEST = "digest"  # of what was written last

Collect = Callable[[Volume, Object, int], Payload]  # (volume, source, default mode) → files


class ContentVolume(VolumePlugin):
    """A directory whose files are written from objects, and again when those have changed."""

    is_live = True
    read_only = True

    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    def set_up(self, volume: Volume) -> Path:
        payload = self._collect(volume, volume.source, volume.source.get("defaultMode", READABLE))
        digest = hash(tuple(payload.items()))
        if volume.kept.get(DIGEST) == digest:  # reading the files costs ten times as much, for each pod every minute
            return volume.directory
        for path in payload:
            if path.startswith("/") or ".." in path.split("/"):
                raise VolumeError(f"invalid path: must not contain '..': {path}")
        if volume.group is not None:
            payload = {path: File(file.data, file.mode | BY_GROUP) for path, file in payload.items()}
        if write(volume.make(), payload, volume.world.stamp()):
            volume.give_to_group()
        volume.kept[DIGEST] = digest
        return volume.directory


def config_map(volume: Volume, source: Object, mode: int) -> Payload:
    """Files of a ConfigMap's keys. A ConfigMap in a projection is named as in a volume."""
    obj = _find(volume, "configmaps", source.get("name", ""), bool(source.get("optional")))
    data = {key: text.encode() for key, text in ((obj or {}).get("data") or {}).items()}
    data.update({key: base64.b64decode(text) for key, text in ((obj or {}).get("binaryData") or {}).items()})
    return _chosen(data, source, mode, "config key")


def secret(volume: Volume, source: Object, mode: int) -> Payload:
    """Files of a Secret's keys: a volume says `secretName`, a projection `name`."""
    name = source.get("secretName") or source.get("name", "")
    obj = _find(volume, "secrets", name, bool(source.get("optional")))
    data = {key: base64.b64decode(text) for key, text in ((obj or {}).get("data") or {}).items()}
    return _chosen(data, source, mode, "secret key")


def _find(volume: Volume, resource: str, name: str, optional: bool) -> Object | None:
    obj = volume.world.find_object(resource, name, namespace_of(volume.pod))
    if obj is None and not optional:
        raise VolumeError(f'{resource[:-1]} "{name}" not found')
    return obj


def _chosen(data: Mapping[str, bytes], source: Object, mode: int, what: str) -> Payload:
    items = source.get("items") or [{"key": key, "path": key} for key in data]
    missing = [item["key"] for item in items if item["key"] not in data]
    if missing and not source.get("optional"):
        raise VolumeError(f"references non-existent {what}: {missing[0]}")
    return {item["path"]: File(data[item["key"]], _mode(item, mode)) for item in items if item["key"] in data}


def _mode(item: Object, default: int) -> int:
    mode = item.get("mode")
    return default if mode is None else int(mode)


def downward(volume: Volume, source: Object, mode: int) -> Payload:
    """Files with fields of the pod."""
    return {item["path"]: File(_field(volume, item).encode(), _mode(item, mode)) for item in source.get("items") or ()}


def _field(volume: Volume, item: Object) -> str:
    if "fieldRef" in item:
        return field_value(volume.pod, item["fieldRef"]["fieldPath"], {})
    reference, pod = item["resourceFieldRef"], with_limits(volume.pod, volume.world.allocatable())
    spec = pod["spec"]
    named = reference.get("containerName", "")
    everyone = [*spec["containers"], *(spec.get("initContainers") or ())]
    container = next((each for each in everyone if each["name"] == named), None)
    if container is None:
        raise VolumeError(f"unable to get resource value: container {named} not found")
    try:
        return resource_value(pod, container, reference)
    except ConfigError as error:
        raise VolumeError(str(error)) from None


def service_account_token(volume: Volume, source: Object, mode: int) -> Payload:
    """A file with a token for the pod's service account; with an owner of its own it is for that one alone."""
    seconds = source.get("expirationSeconds") or TOKEN_SECONDS
    try:
        token = volume.world.token(volume.pod, source.get("audience", ""), seconds)
    except ApiError as error:
        raise VolumeError(f"failed to fetch token: {error.message}") from None
    if volume.group is not None:
        mode = PRIVATE
    return {source["path"]: File(token.encode(), mode)}


def trust_bundle(volume: Volume, source: Object, mode: int) -> Payload:
    raise VolumeError("clusterTrustBundle: not implemented by k8snb; put the certificates into a ConfigMap")


PROJECTIONS: dict[str, Collect] = {
    "configMap": config_map,
    "secret": secret,
    "downwardAPI": downward,
    "serviceAccountToken": service_account_token,
    "clusterTrustBundle": trust_bundle,
}


def projected(volume: Volume, source: Object, mode: int) -> Payload:
    """Files from several sources; of two at the same path the later one is kept."""
    files: dict[str, File] = {}
    errors: list[str] = []
    for sort, each in _sources(source):
        try:
            files.update(PROJECTIONS[sort](volume, each, mode))
        except VolumeError as error:
            errors.append(str(error))
    if errors:
        raise VolumeError(errors[0] if len(errors) == 1 else f"[{', '.join(dict.fromkeys(errors))}]")
    return files


def _sources(source: Object) -> Iterable[tuple[str, Object]]:
    for projection in source.get("sources") or ():
        yield from ((sort, projection[sort]) for sort in PROJECTIONS if projection.get(sort) is not None)


CONTENT: dict[str, VolumePlugin] = {
    "configMap": ContentVolume(config_map),
    "secret": ContentVolume(secret),
    "downwardAPI": ContentVolume(downward),
    "projected": ContentVolume(projected),
}
