"""Manifests' least contents: apiVersion, kind, a name, and a spec where an object means nothing without one.

Interface: `check_identity(document)`.
The rule not to break: what is missing is named in kubectl's words, together with what to write.
Source: `k8s.io/cli-runtime/pkg/resource`.
"""

from __future__ import annotations

from k8snb.apimachinery import kinds, schema
from k8snb.apimachinery.manifest import Document
from k8snb.apimachinery.manifest_errors import ManifestError
from k8snb.apimachinery.meta import Object

_SPEC_NEEDED = frozenset(("Service", "PersistentVolumeClaim", "PersistentVolume", "Ingress", "HorizontalPodAutoscaler"))
_NAMELESS = ("authentication.k8s.io/", "authorization.k8s.io/")  # questions to the server, never stored


def check_identity(document: Document, *, whole: bool = True) -> ManifestError | None:
    """Whether apiVersion, kind, a name or a needed spec is missing: the error in kubectl's words, and the way out.

    Not `whole` is a document that only names an object, or is a part of it: it needs no spec.
    """
    found = _identity_problem(document.object, whole=whole)
    if found is None:
        return None
    problem, advice = found
    name = document.source.strip("<>")
    line = document.line_of("metadata") if problem.startswith("metadata") else document.line
    return ManifestError(f'error validating "{name}": error validating data: {problem}; add {advice}', line)


def _identity_problem(obj: Object, *, whole: bool) -> tuple[str, str] | None:
    """What is missing, and what to add."""
    missing = [name for name in ("apiVersion", "kind") if not isinstance(obj.get(name), str) or not obj[name]]
    if missing:
        said = ", ".join(f"{name} not set" for name in missing)
        return f"[{said}]" if len(missing) > 1 else said, " and ".join(_line(obj, name) for name in missing)
    api_version, kind = obj["apiVersion"], obj["kind"]
    if kind.endswith("List") or api_version.startswith(_NAMELESS):
        return None
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or not (metadata.get("name") or metadata.get("generateName")):
        return "metadata.name: Required value: name or generateName is required", "metadata: {name: my-name}"
    if whole and "spec" not in obj and _needs_spec(api_version, kind):
        return "spec: Required value", f"a spec (kubectl explain {kind.lower()}.spec names its fields)"
    return None


def _line(obj: Object, name: str) -> str:
    """The line that a manifest lacks: the apiVersion that goes with its kind, or an example."""
    example = "Pod" if name == "kind" else _api_version(str(obj.get("kind", "")))
    return f"a line {name}: {example}"


def _api_version(kind: str) -> str:
    served = next((row.api_version for row in kinds.KINDS if row.kind.lower() == kind.lower()), None)
    return served or next((version for version, name in schema.load().kinds() if name == kind), "v1")


def _needs_spec(api_version: str, kind: str) -> bool:
    """Whether an object of this kind means nothing without a spec."""
    spec = schema.load().field(api_version, kind, "spec")
    return spec is not None and (kind in _SPEC_NEEDED or (spec.type is not None and bool(spec.type.required)))
