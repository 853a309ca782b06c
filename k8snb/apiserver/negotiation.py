"""kube-apiserver's content negotiation: the form in which an answer goes out.

Interface: `negotiate(accept) -> Form`; `Form.convert(answer, kind, now)`: an object, list or watch event as a Table, as
metadata alone, or as it is.
The rule not to break: every form is made from the same shared object, which is not touched.
Source: `apiserver/pkg/endpoints/handlers/response.go`. Answers in protobuf and CBOR are not implemented by k8snb;
clients that prefer them accept JSON too.
"""

from __future__ import annotations

from dataclasses import dataclass

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object
from k8snb.printers import Column, table

JSON, YAML = "application/json", "application/yaml"
PLAIN, TABLE, METADATA = "", "Table", "PartialObjectMetadata"
META_GROUP = "meta.k8s.io"
ACCEPTABLE = ("*/*", "application/*", JSON, YAML)


@dataclass(frozen=True)
class Form:
    """How to answer: the media type, and as what (`shape`). `version` is that of the meta.k8s.io group."""

    media_type: str = JSON
    shape: str = PLAIN
    version: str = "v1"

    @property
    def content_type(self) -> str:
        return self.media_type

    def convert(
        self, answer: Object, kind: Kind, now: float, *, include: str = "Metadata", columns: bool = True
    ) -> Object:
        """The answer in this shape. `include` says what a Table's rows carry: None, Metadata or Object.

        A watch sends a Table's `columns` with its first event only.
        """
        if self.shape == PLAIN or answer.get("kind") == "Status":
            return answer
        is_list = "items" in answer
        items = answer["items"] if is_list else [answer]
        if self.shape == METADATA:
            return self._metadata(answer, items, is_list=is_list)
        return self._table(answer, items, kind, now, include=include, columns=columns)

    def _metadata(self, answer: Object, items: list[Object], *, is_list: bool) -> Object:
        api_version = f"{META_GROUP}/{self.version}"
        parts = [{"kind": METADATA, "apiVersion": api_version, "metadata": item["metadata"]} for item in items]
        if not is_list:
            return parts[0]
        return {"kind": f"{METADATA}List", "apiVersion": api_version, "metadata": answer["metadata"], "items": parts}

    def _table(
        self, answer: Object, items: list[Object], kind: Kind, now: float, *, include: str, columns: bool
    ) -> Object:
        printed = table(kind, items, now)
        metadata = answer.get("metadata") or {}
        kept = {key: metadata[key] for key in ("resourceVersion", "continue", "remainingItemCount") if key in metadata}
        rows = [{"cells": list(row.cells), **self._row_object(row.object, include)} for row in printed.rows]
        definitions = [_definition(column, place, printed.rows) for place, column in enumerate(printed.columns)]
        return {
            "kind": "Table",
            "apiVersion": f"{META_GROUP}/{self.version}",
            "metadata": kept,
            "columnDefinitions": definitions if columns else [],
            "rows": rows,
        }

    def _row_object(self, obj: Object, include: str) -> Object:
        if include == "None":
            return {}
        if include == "Object":
            return {"object": obj}
        return {"object": {"kind": METADATA, "apiVersion": f"{META_GROUP}/{self.version}", "metadata": obj["metadata"]}}


def _definition(column: Column, place: int, rows: tuple[object, ...]) -> Object:
    if column.title:
        return {"name": column.title, "type": column.type, "format": column.format, "description": column.description,
                "priority": column.priority}  # fmt: skip
    numeric = bool(rows) and all(type(row.cells[place]) is int for row in rows)  # type: ignore[attr-defined]
    return {
        "name": column.name.title(),
        "type": "integer" if numeric else "string",
        "format": "name" if column.name == "NAME" else "",
        "description": "",
        "priority": column.priority,
    }


def negotiate(accept: str) -> Form:
    """The first form in an Accept header that can be served. Raises NotAcceptable when there is none."""
    for part in (accept or "*/*").split(","):
        media_type, *words = (word.strip() for word in part.split(";"))
        parameters = dict(word.split("=", 1) for word in words if "=" in word)
        shape = parameters.get("as", PLAIN).removesuffix("List")
        if media_type not in ACCEPTABLE or shape not in (PLAIN, TABLE, METADATA):
            continue
        if shape and (parameters.get("g") != META_GROUP or parameters.get("v") not in ("v1", "v1beta1")):
            continue
        return Form(YAML if media_type == YAML else JSON, shape, parameters.get("v", "v1") if shape else "v1")
    offered = ", ".join((JSON, YAML))
    raise ApiError(406, "NotAcceptable", f"only the following media types are accepted: {offered}")
