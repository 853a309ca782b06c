"""Protobuf field numbers, by hand: from the tags of Kubernetes' Go types to the table that `protobuf.py` reads.

Interface: `python -m k8snb.apimachinery.protobuf_build` writes `protobuf.json` anew; run it when `RELEASE` in
`schema_build.py` has changed. It needs Go, whose module proxy it asks for the modules in `MODULES`.
The rule not to break: only facts that the published schema lacks come from here; what is in the schema stays there.
Real Kubernetes makes `generated.proto` and `generated.pb.go` of the same tags (`go-to-protobuf`).

The form of `protobuf.json`, one line for each type of the schema that has a message:

    {type name: {number: field}}

The field is one of

    "name"        an ordinary field, of the shape that the schema gives it
    "name?"       a scalar that Go leaves out of JSON where it is "", 0 or false; the wire always has it
    "name=Type"   a message that the schema does not tell from others; `protobuf.py` has a reader of this name
    {number: …}   a message on the wire whose fields JSON shows as the owner's own (Go embeds the type)
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k8snb.apimachinery import schema_build

TABLE = "protobuf.json"
VERSION = schema_build.RELEASE.replace("v1.", "v0.", 1)
# Each module, and where its packages of types lie; a type's name in the schema begins with the package's last folders.
MODULES = {
    "k8s.io/api": ("*/v*",),
    "k8s.io/apimachinery": ("pkg/apis/meta/v1",),
    "k8s.io/apiextensions-apiserver": ("pkg/apis/apiextensions/v1",),
    "k8s.io/kube-aggregator": ("pkg/apis/apiregistration/v1",),
}
READERS = frozenset(
    ("MicroTime", "ExtraValue", "Verbs", "JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool",
     "JSONSchemaDependencies", "CustomResourceSubresourceStatus")
)  # fmt: skip
_SCALARS = ("string", "boolean", "int32", "int64", "number", "byte")

_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^\t(?:\w+\s+)?([^\s`/]+)\s*`([^`]*)`", re.MULTILINE)
_TAG = re.compile(r'(\w+):"([^"]*)"')


@dataclass(frozen=True)
class GoField:
    """One field of a Go struct. `name` is the field's in JSON, "" for the fields of an embedded struct."""

    name: str
    number: int
    type: str
    omits: bool

    @property
    def base(self) -> str:
        """The type without pointer, list, map and package."""
        return re.split(r"[\]*.]", self.type)[-1]

    @property
    def drops(self) -> bool:
        """Whether JSON leaves out the zero value: a pointer's zero is an answer, and is kept."""
        return self.omits and not self.type.startswith("*")


Structs = dict[str, list[GoField]]


def fields(body: str) -> Iterator[GoField]:
    """The fields of a struct that have a number."""
    for go_type, text in _FIELD.findall(body):
        tags = dict(_TAG.findall(text))
        name, _, options = tags.get("json", "").partition(",")
        if "protobuf" in tags and (name or "inline" in options):
            yield GoField(name, int(tags["protobuf"].split(",")[1]), go_type, "omitempty" in options)


def structs(sources: Iterable[Path]) -> Structs:
    """All structs of the files by their name in the schema: `core.v1.PodSpec`."""
    return {
        f"{'.'.join(source.parts[-3:-1])}.{name}": list(fields(body))
        for source in sources
        for name, body in _STRUCT.findall(source.read_text(encoding="utf-8"))
    }


def row(owner: str, found: Structs, shapes: dict[str, Any]) -> dict[str, Any]:
    """One type's row; fields that the schema lacks (it is told of stable ones only) are left out."""
    return {
        str(each.number): _entry(each, shapes) if each.name else row(_sibling(owner, each), found, shapes)
        for each in sorted(found[owner], key=lambda each: each.number)
        if not each.name or each.name in shapes
    }


def _sibling(owner: str, embedded: GoField) -> str:
    return f"{owner.rpartition('.')[0]}.{embedded.base}"


def _entry(each: GoField, shapes: dict[str, Any]) -> str:
    if each.base in READERS:
        return f"{each.name}={each.base}"
    return each.name + "?" * (each.drops and shapes[each.name] in _SCALARS)


def table(types: dict[str, Any], found: Structs) -> dict[str, Any]:
    """The content of `protobuf.json`."""
    return {name: row(name, found, types[name]["f"]) for name in sorted(types) if name in found}


def download() -> Iterator[Path]:
    """The source files of `MODULES`, through `go mod download`."""
    for module, patterns in MODULES.items():
        command = ["go", "mod", "download", "-json", f"{module}@{VERSION}"]
        folder = Path(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["Dir"])
        for pattern in patterns:
            yield from sorted(folder.glob(f"{pattern}/*.go"))


def dump(content: dict[str, Any]) -> str:
    """JSON with one line for each type, so that a difference can be read."""
    lines = (f"{json.dumps(name)}: {json.dumps(fields)}" for name, fields in content.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    schema = schema_build.structure(schema_build.published())
    path = Path(__file__).with_name(TABLE)
    path.write_text(dump(table(schema["types"], structs(download()))), encoding="utf-8")
    sys.stdout.write(f"{path} {path.stat().st_size:,} bytes\n")
