"""kubectl's `-o` formats: objects as JSON, YAML, names, JSONPath or columns of one's choice.

Interface: `check(args)`, `render(objects, format, …)`, `to_yaml`, `to_json`, `resource_name`.
The rule not to break: what is printed as YAML or JSON can be applied again.
Source: `cli-runtime/pkg/genericclioptions` and `kubectl/pkg/cmd/get/customcolumn.go`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from k8snb.apimachinery import jsonpath
from k8snb.apimachinery.kinds import BY_GVK
from k8snb.apimachinery.meta import Object, name_of
from k8snb.apimachinery.yaml_text import to_yaml as to_yaml
from k8snb.kubectl import flags, templates
from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import KubectlError, columns_text
from k8snb.kubectl.templates import format_of

STRUCTURED = ("json", "yaml", "name", *templates.JSONPATH, *templates.GO)
COLUMNS = ("custom-columns", "custom-columns-file")
TABLES = (*COLUMNS, "wide")  # what only commands that list things can print


def to_json(value: Any, *, sort: bool = True) -> str:
    return templates.json_text(value, indent=4, sort=sort) + "\n"


def kind_name(obj: Object) -> str:
    """`pod`, `deployment.apps`: the type in messages such as `deployment.apps/web created`."""
    row = BY_GVK.get((obj.get("apiVersion", ""), obj.get("kind", "")))
    group = row.group if row else obj.get("apiVersion", "").rpartition("/")[0]
    kind: str = obj.get("kind", "").lower()
    return f"{kind}.{group}" if group else kind


def resource_name(obj: Object) -> str:
    """`deployment.apps/web`."""
    return f"{kind_name(obj)}/{name_of(obj)}"


def without_managed_fields(obj: Object) -> Object:
    if "items" in obj and obj.get("kind", "").endswith("List"):
        return {**obj, "items": [without_managed_fields(item) for item in obj["items"]]}
    metadata = obj.get("metadata") or {}
    if "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}


def as_list(objects: Sequence[Object]) -> Object:
    """Several objects as the one List that kubectl prints."""
    return {"apiVersion": "v1", "items": list(objects), "kind": "List", "metadata": {"resourceVersion": ""}}


def render(
    objects: Sequence[Object],
    format: str,
    *,
    single: bool = False,
    missing_ok: bool = True,
    managed_fields: bool = False,
    headers: bool = True,
) -> str:
    """The objects in a format that `-o` names, other than the tables. `single`: not as a List, if there is just one."""
    name, _, argument = format.partition("=")
    shown = list(objects) if managed_fields else [without_managed_fields(obj) for obj in objects]
    if name == "name":
        return "".join(resource_name(obj) + "\n" for obj in shown)
    if name in COLUMNS:
        return custom_columns(shown, _columns(name, argument), headers=headers)
    value = shown[0] if single and len(shown) == 1 else as_list(shown)
    if name == "json":
        return to_json(value)
    if name == "yaml":
        return to_yaml(value)
    if name in STRUCTURED:
        return templates.rendered(name, argument, value, missing_ok=missing_ok)
    raise unknown_format(format)


def check(args: Arguments) -> None:
    """Refuse what `-o` asks for and cannot be printed, before anything is done. Raises KubectlError."""
    own = next((flag for flag in args.command.flags if flag in (flags.OUTPUT, flags.OUTPUT_TABLE)), None)
    format = format_of(args)
    if own is None or not format:
        return
    name, _, argument = format.partition("=")
    tables = own == flags.OUTPUT_TABLE
    if name not in (*STRUCTURED, *(TABLES if tables else ())):
        raise unknown_format(format, tables=tables)
    if name in COLUMNS:
        _column_spec(_columns(name, argument))
    elif name in (*templates.JSONPATH, *templates.GO):
        templates.check(name, argument)


def unknown_format(format: str, *, tables: bool = False) -> KubectlError:
    """The complaint about a format that is not there."""
    allowed = ",".join(sorted((*STRUCTURED, *(TABLES if tables else ()))))
    text = f'unable to match a printer suitable for the output format "{format}", allowed formats are: {allowed}'
    return KubectlError(f"error: {text}")


def _columns(name: str, argument: str) -> str:
    """The columns that are asked for, from the file where they stand in one."""
    if not argument:
        raise KubectlError("error: custom-columns format specified but no custom columns given")
    if name == "custom-columns":
        return argument
    try:
        return Path(argument).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        why = str(error.strerror).lower()
        raise KubectlError(f"error: error reading template {argument}, open {argument}: {why}") from None


def custom_columns(objects: Sequence[Object], spec: str, *, headers: bool = True) -> str:
    """`NAME:.metadata.name,IMAGES:.spec.containers[*].image` as columns."""
    names, paths = _column_spec(spec)
    lines = [names] if headers else []
    return columns_text(lines + [[_cell(path, obj) for path in paths] for obj in objects])


def _column_spec(spec: str) -> tuple[list[str], list[str]]:
    if "\n" in spec.strip():
        first, second = spec.strip().splitlines()[:2]
        return first.split(), second.split()
    pairs = [part.partition(":") for part in spec.split(",")]
    for name, colon, path in pairs:
        if not colon or not name or not path:
            text = f"unexpected custom-columns spec: {':'.join((name, path)) if colon else name}"
            raise KubectlError(f"error: {text}, expected <header>:<json-path-expr>")
    return [name for name, _, _ in pairs], [path for _, _, path in pairs]


def _cell(path: str, obj: Object) -> str:
    try:
        values = jsonpath.find(path, obj)
    except jsonpath.JsonPathError as error:
        raise KubectlError(f"error: {error}") from None
    return ",".join(jsonpath.text_of(value) for value in values) or "<none>"
