"""kube-apiserver's validation of a pod's volumes and of where containers mount them.

Interface: `volumes(listed, path)`, `mount(entry, path)`.
The rule not to break: no path that somebody writes leads out of the volume that it belongs to.
Source: `validateVolumes`, `validateVolumeSource`, `ValidateVolumeMounts` in pkg/apis/core/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from k8snb.apimachinery import names
from k8snb.apimachinery.errors import FORBIDDEN, INVALID, NOT_SUPPORTED, REQUIRED, FieldError
from k8snb.apimachinery.meta import Object

Errors = Iterator[FieldError]

HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip
NAMES = {"configMap": "name", "secret": "secretName"}  # what a volume cannot be without
BACKSTEPS, ABSOLUTE = "must not contain '..'", "must be a relative path"
MODES, NO_MODE = 0o777, "must be a number between 0 and 0777 (octal), both inclusive"
TWO_WORDS = "subPathExpr and subPath are mutually exclusive"


def volumes(listed: Sequence[Object], path: str) -> Errors:
    for index, volume in enumerate(listed):
        place = f"{path}[{index}]"
        for complaint in names.dns_label(volume["name"]):
            yield FieldError(f"{place}.name", INVALID, volume["name"], complaint)
        sources = [field for field in volume if field != "name"]
        for extra in sources[1:]:
            yield FieldError(f"{place}.{extra}", FORBIDDEN, None, "may not specify more than 1 volume type")
        for field in sources[:1]:
            yield from _source(field, volume[field] or {}, f"{place}.{field}")


def _source(field: str, source: Object, path: str) -> Errors:
    if field in NAMES and not source.get(NAMES[field]):
        yield FieldError(f"{path}.{NAMES[field]}", REQUIRED)
    if field == "hostPath":
        yield from _host_path(source, path)
    mode = source.get("defaultMode")
    if mode is not None and not 0 <= mode <= MODES:
        yield FieldError(f"{path}.defaultMode", INVALID, mode, NO_MODE)
    for index, item in enumerate(source.get("items") or ()):
        yield from _item(item, f"{path}.items[{index}]")


def _host_path(source: Object, path: str) -> Errors:
    if not source.get("path"):
        yield FieldError(f"{path}.path", REQUIRED)
    elif ".." in source["path"].split("/"):
        yield FieldError(f"{path}.path", INVALID, source["path"], BACKSTEPS)
    if source.get("type", "") not in HOST_PATH_TYPES:
        supported = ", ".join(f'"{sort}"' for sort in HOST_PATH_TYPES)
        yield FieldError(f"{path}.type", NOT_SUPPORTED, source["type"], f"supported values: {supported}")


def _item(item: Object, path: str) -> Errors:
    if not item.get("path"):
        yield FieldError(f"{path}.path", REQUIRED)
    else:
        yield from _inside(item["path"], f"{path}.path")


def _inside(text: str, path: str) -> Errors:
    """A path inside of a volume."""
    if text.startswith("/"):
        yield FieldError(path, INVALID, text, ABSOLUTE)
    if ".." in text.split("/"):
        yield FieldError(path, INVALID, text, BACKSTEPS)


def mount(entry: Object, path: str) -> Errors:
    """What is wrong with the part of a volume that a container mounts."""
    for field in ("subPath", "subPathExpr"):
        if entry.get(field):
            yield from _inside(entry[field], f"{path}.{field}")
    if entry.get("subPath") and entry.get("subPathExpr"):
        yield FieldError(f"{path}.subPathExpr", INVALID, entry["subPathExpr"], TWO_WORDS)
