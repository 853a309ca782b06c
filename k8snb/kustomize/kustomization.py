"""kustomize, the kustomization: its file, its fields, and which of them are carried out.

Interface: `load(directory) -> Kustomization`; `MISSING`.
The rule not to break: a field that is not known, or not carried out, is refused by its name.
Source: `api/types/kustomization.go` in the kustomize repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from k8snb.apimachinery import manifest_values
from k8snb.apimachinery.manifest_errors import ManifestError
from k8snb.kustomize.errors import KustomizeError
from k8snb.kustomize.shapes import SHAPES, check

NAMES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
MISSING = ("buildMetadata", "configurations", "crds", "generators", "imageTags", "inventory", "openapi", "transformers",
           "validators")  # fmt: skip
_INSTEAD = {"commonLabels": "labels", "bases": "resources", "patchesStrategicMerge": "patches",
            "patchesJson6902": "patches", "vars": "replacements"}  # fmt: skip


@dataclass
class Kustomization:
    """One kustomization: where it is, what it says, and what there is to remark."""

    root: Path
    values: Mapping[str, Any]
    warnings: list[str] = field(default_factory=list)

    def text(self, name: str) -> str:
        return str(self.values.get(name) or "")

    def rows(self, *names: str) -> list[Any]:
        return [row for name in names for row in self.values.get(name) or ()]

    def map(self, name: str) -> Mapping[str, Any]:
        return self.values.get(name) or {}


def load(directory: Path) -> Kustomization:
    """The kustomization of a directory. Raises KustomizeError."""
    found = [directory / name for name in NAMES if (directory / name).is_file()]
    if len(found) != 1:
        none = "unable to find one of 'kustomization.yaml', 'kustomization.yml' or 'Kustomization' in directory"
        what = "Found multiple kustomization files under:" if found else none
        raise KustomizeError(f"{what} '{directory.resolve()}'")
    try:
        documents = [value for _, value, _ in manifest_values.read(found[0].read_text(encoding="utf-8"))]
    except ManifestError as error:
        raise KustomizeError(f"invalid Kustomization: {error.message}") from None
    if len(documents) > 1 or not isinstance((documents or [{}])[0], dict):
        raise KustomizeError(f"invalid Kustomization: {found[0].name} holds one map of fields")
    values = documents[0] if documents else {}
    if not values:
        raise KustomizeError("kustomization.yaml is empty")
    _check(values)
    return Kustomization(directory, values, [_deprecated(name) for name in _INSTEAD if values.get(name)])


def _deprecated(name: str) -> str:
    trying = "[EXPERIMENTAL] " if name == "vars" else ""
    way_out = f"{trying}Run 'kustomize edit fix' to update your Kustomization automatically."
    return f"'{name}' is deprecated. Please use '{_INSTEAD[name]}' instead. {way_out}"


def _check(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name in MISSING and value:
            raise KustomizeError(f"the field {name} of a kustomization: not implemented by k8snb")
        if name not in SHAPES and name not in MISSING:
            raise KustomizeError(f'invalid Kustomization: json: unknown field "{name}"')
        if name in SHAPES:
            check(name, value, SHAPES[name])
    kind = values.get("kind") or "Kustomization"
    versions = {"Kustomization": "v1beta1", "Component": "v1alpha1"}
    if kind not in versions:
        raise KustomizeError(f"invalid Kustomization: kind should be Kustomization or Component, not {kind}")
    wanted = f"kustomize.config.k8s.io/{versions[kind]}"
    if (values.get("apiVersion") or wanted) != wanted:
        raise KustomizeError(f"invalid Kustomization: apiVersion for {kind} should be {wanted}")
