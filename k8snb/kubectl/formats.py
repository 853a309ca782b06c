"""kubectl's `-o` formats: objects as JSON, YAML, names, JSONPath or columns of one's choice.

Interface: `render(objects, format, …)`, `to_yaml`, `to_json`, `resource_name`.
The rule not to break: what is printed as YAML or JSON can be applied again.
Source: `cli-runtime/pkg/genericclioptions` and `kubectl/pkg/cmd/get/customcolumn.go`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cmp_to_key
from pathlib import Path
from typing import Any

import yaml

from k8snb.apimachinery import jsonpath
from k8snb.apimachinery.kinds import BY_GVK
from k8snb.apimachinery.meta import Object, name_of
from k8snb.kubectl import templates
from k8snb.kubectl.output import KubectlError, columns_text
from k8snb.printers import go_format

STRUCTURED = ("json", "yaml", "name", *templates.JSONPATH, *templates.GO)
COLUMNS = ("custom-columns", "custom-columns-file")


class _Dumper(yaml.SafeDumper):
    """YAML in block style, without aliases, quoting as Kubernetes' tools do."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  what stands in quotes is decided below


# What goyaml.v2 would read as something else than a string: such a text stands in quotes.
_NO_STRING = re.compile(
    r"|~|null|Null|NULL|y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF"
    r"|[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    r"|[-+]?0(?:b[01_]+|o[0-7_]+|x[0-9a-fA-F_]+)|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(?:\.[0-9]*)?.*)?"
)


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else '"' if _NO_STRING.fullmatch(text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _plain(show: Callable[[Any], str]) -> Callable[[yaml.SafeDumper, Any], yaml.ScalarNode]:
    return lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:str", show(value))


def _mapping(dumper: yaml.SafeDumper, value: dict[str, Any]) -> yaml.MappingNode:
    keys = sorted(value) if all(map(str.isalpha, value)) else sorted(value, key=cmp_to_key(_compare))
    return dumper.represent_mapping("tag:yaml.org,2002:map", [(key, value[key]) for key in keys])


def _compare(one: str, other: str) -> int:
    """goyaml.v2's order of keys: letters after all else, runs of digits as numbers."""
    place = next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), None)
    if place is None:
        return len(one) - len(other)
    left, right = one[place], other[place]
    if left.isalpha() or right.isalpha():
        return (left > right) - (left < right) if left.isalpha() and right.isalpha() else 1 if left.isalpha() else -1
    zeros = "0" in (left, right) and re.search(r"[1-9]\d*$", one[:place]) is not None
    numbers = [_digits(text, place) for text in (one, other)]
    keys = [(int(f"{'1' if zeros else ''}{digits or 0}"), len(digits), text[place])
            for digits, text in zip(numbers, (one, other), strict=True)]  # fmt: skip
    return (keys[0] > keys[1]) - (keys[0] < keys[1])


def _digits(text: str, place: int) -> str:
    found = re.compile(r"[0-9]*").match(text, place)
    return found[0] if found else ""


_Dumper.add_representer(str, _string)
_Dumper.add_representer(dict, _mapping)
_Dumper.add_representer(float, _plain(go_format.float_text))
_Dumper.add_representer(int, _plain(str))
_Dumper.add_representer(bool, _plain(lambda value: "true" if value else "false"))
_Dumper.add_representer(type(None), _plain(lambda value: "null"))


def to_yaml(value: Any) -> str:
    """An object as `kubectl get -o yaml` prints it: keys sorted, lists not indented."""
    text: str = yaml.dump(value, Dumper=_Dumper, default_flow_style=False, width=80, allow_unicode=True,
                          sort_keys=False)  # fmt: skip
    return text


def to_json(value: Any) -> str:
    return templates.json_text(value, indent=4) + "\n"


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


def unknown_format(format: str) -> KubectlError:
    """The complaint about a format that is not there."""
    name = format.partition("=")[0]
    tables = () if name == "wide" else (*COLUMNS, "wide")
    allowed = ",".join(sorted((*STRUCTURED, *tables)))
    text = f'unable to match a printer suitable for the output format "{name}", allowed formats are: {allowed}'
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
