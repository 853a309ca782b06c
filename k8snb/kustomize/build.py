"""kustomize, the build: layer by layer from the bases up, and at the end hashes, references and order.

Interface: `build(directory) -> Built`.
The rule not to break: the steps come in the real tool's order, because each sees what those before it made.
Source: `api/internal/target/kusttarget.go` in the kustomize repository.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from k8snb.apimachinery.meta import Object, annotations_of
from k8snb.kustomize import generators, helm, reading, references, remote, replacements, transformers, variables
from k8snb.kustomize.errors import KustomizeError
from k8snb.kustomize.kustomization import NAMES, Kustomization, load
from k8snb.kustomize.order import ordered
from k8snb.kustomize.patches import Patch, patched
from k8snb.kustomize.resource import Resource, find
from k8snb.kustomize.shapes import REPLACEMENT, check

LOCAL = "config.kubernetes.io/local-config"


@dataclass
class Built:
    """What a kustomization describes: objects, and what there is to remark."""

    objects: list[Object] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def build(directory: str | Path, *, restricted: bool = True, helm: bool = False) -> Built:
    """The objects of the kustomization in a directory, or at the URL of a repository. Raises KustomizeError.

    `restricted`: files have to be in or below the directories of their kustomizations. `helm` is what `--enable-helm`
    says.
    """
    with remote.Clones() as clones:
        builder = _Builder(clones, reading.Files(restricted), helm=helm)
        return _built(builder, clones.directory(str(directory)) if remote.is_remote(str(directory)) else directory)


def _built(builder: _Builder, directory: str | Path) -> Built:
    root = Path(directory).expanduser()
    if not root.is_dir():
        what = "is not a directory" if root.exists() else "no such file or directory"
        raise KustomizeError(f"evalsymlink failure on '{directory}' : lstat {root.absolute()}: {what}")
    try:
        resources = builder.layer(root, [], [])
        _finish(resources)
        unused = variables.substitute(resources, builder.variables)
    except RecursionError:
        raise KustomizeError(f"{directory}: something in it contains itself, or goes too deep") from None
    builder.warnings += [f"well-defined vars that were never replaced: {','.join(unused)}"] if unused else []
    kept = [each for each in resources if LOCAL not in annotations_of(each.object)]
    options = load(root).map("sortOptions")
    return Built([each.object for each in ordered(kept, options)], builder.warnings)


def _finish(resources: Sequence[Resource]) -> None:
    """What is done once, when all layers are there: hashes, and then references."""
    for resource in resources:
        if resource.needs_hash:
            resource.rename(name=f"{resource.identity.name}-{generators.content_hash(resource.object)}")
    references.fix(resources)


class _Builder:
    """One build, over all of its layers."""

    def __init__(self, clones: remote.Clones, files: reading.Files, *, helm: bool) -> None:
        self.warnings: list[str] = []
        self.variables: list[variables.Variable] = []
        self._clones, self._files, self._helm = clones, files, helm

    def layer(self, root: Path, above: Sequence[Path], given: Sequence[Resource]) -> list[Resource]:
        """One kustomization; `above` are those that ask for it, `given` what a component changes."""
        here = root.resolve()
        if here in above:
            path = " -> ".join(str(each) for each in (*above, here))
            raise KustomizeError(f"cycle detected: candidate root '{here}' contains itself: {path}")
        clone = self._clones.around(above[-1]) if above else None
        if clone is not None and self._clones.around(here) is None:
            rule = "bases in kustomizations found in cloned git repos must be within the repo"
            raise KustomizeError(f"security; {rule}, but base '{here}' is outside '{clone}'")
        kustomization = load(root)
        helm.check(kustomization, enabled=self._helm)
        self._check_kind(kustomization, bool(given) or kustomization.text("kind") == "Component", above)
        self.warnings += kustomization.warnings
        resources = list(given)
        for name in kustomization.rows("resources", "bases"):
            _add(resources, self._resource(kustomization, name, [*above, here]))
        _generate(kustomization, resources, self._files)
        for name in kustomization.rows("components"):
            resources = self._component(kustomization, name, [*above, here], resources)
        transformed = _transformed(kustomization, resources, self._files)
        variables.merge(self.variables, variables.declared(kustomization.rows("vars")))
        return transformed

    def _check_kind(self, kustomization: Kustomization, is_component: bool, above: Sequence[Path]) -> None:
        if kustomization.text("kind") == "Component" and not above:
            return
        if is_component and kustomization.text("kind") != "Component":
            raise KustomizeError(f"expected kind 'Component' for path '{kustomization.root}' but got 'Kustomization'")

    def _resource(self, kustomization: Kustomization, name: str, above: Sequence[Path]) -> list[Resource]:
        """A file of objects, or the objects of another kustomization."""
        if remote.is_file(name):
            return [Resource(obj) for obj in _parsed(remote.fetch(name).decode(errors="replace"), name)]
        path = self._clones.directory(name) if remote.is_remote(name) else kustomization.root / name
        if path.is_dir():
            if load(path).text("kind") == "Component":
                raise KustomizeError(f"expected kind != 'Component' for path '{name}'")
            return self.layer(path, above, [])
        if not path.exists():
            whole = path.absolute()
            raise KustomizeError(f"accumulating resources: accumulating resources from '{name}': evalsymlink failure "
                                 f"on '{whole}' : lstat {whole}: no such file or directory")  # fmt: skip
        if path.name in NAMES:
            raise KustomizeError(f"resources: {path.name} is a kustomization: name its directory instead")
        text = self._files.read(path, kustomization.root).decode(errors="replace")
        return [Resource(obj) for obj in _parsed(text, str(path))]

    def _component(
        self, kustomization: Kustomization, name: str, above: Sequence[Path], resources: list[Resource]
    ) -> list[Resource]:
        path = self._clones.directory(name) if remote.is_remote(name) else kustomization.root / name
        if not path.is_dir():
            raise KustomizeError(f"accumulating components: '{path}' is no directory with a kustomization")
        if load(path).text("kind") != "Component":
            raise KustomizeError(f"accumulating components: expected kind 'Component' for path '{name}' but got "
                                 "'Kustomization'")  # fmt: skip
        return self.layer(path, above, resources)


# resources


def _parsed(text: str, source: str) -> list[Object]:
    """The objects of a file; those of a List one by one."""
    name = source.rpartition("/")[2]
    found: list[Object] = []
    for value in reading.read(text, source):
        if not isinstance(value, dict):
            raise KustomizeError(f"{name}: an object is a map with apiVersion, kind and metadata")
        items = value.get("items") if str(value.get("kind", "")).endswith("List") else None
        found += items if isinstance(items, list) else [value]
    for obj in found:
        _check_shape(obj, name)
        if not obj.get("kind"):
            raise KustomizeError(f"missing Resource metadata: {name}: kind is not set")
        if not (obj.get("metadata") or {}).get("name"):
            raise KustomizeError(f"missing metadata.name in object {obj.get('kind')} of {name}")
    return found


def _check_shape(obj: Any, source: str) -> None:
    """An object is a map; its kind and name are texts, its labels and annotations maps."""
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    maps = [obj, *([metadata] if metadata is not None else [])]
    maps += [each for what in ("labels", "annotations") if isinstance(metadata, dict)
             and (each := metadata.get(what)) is not None]  # fmt: skip
    if not all(isinstance(each, dict) for each in maps):
        raise KustomizeError(f"{source}: an object is a map with apiVersion, kind and metadata")
    words = [obj.get("apiVersion"), obj.get("kind"), *((metadata or {}).get(word) for word in ("name", "namespace"))]
    if not all(word is None or isinstance(word, str) for word in words):
        raise KustomizeError(f"{source}: apiVersion, kind, name and namespace are texts")


def _add(resources: list[Resource], more: Sequence[Resource]) -> None:
    for resource in more:
        if find(resources, resource.identity):
            raise KustomizeError(f"may not add resource with an already registered id: {resource.identity}")
        resources.append(resource)


def _generate(kustomization: Kustomization, resources: list[Resource], files: reading.Files) -> None:
    common = kustomization.map("generatorOptions")
    for sort, field_name in (("ConfigMap", "configMapGenerator"), ("Secret", "secretGenerator")):
        for row in kustomization.rows(field_name):
            _absorb(resources, generators.generated(sort, row, files.below(kustomization.root), _options(common, row)))


def _options(common: Mapping[str, Any], row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options of one generator: what is said for all, and its own over it."""
    own = row.get("options") or {}
    switches = {name: bool(common.get(name) or own.get(name)) for name in ("disableNameSuffixHash", "immutable")}
    maps = {name: {**(common.get(name) or {}), **(own.get(name) or {})} for name in ("labels", "annotations")}
    return {**switches, **maps}


def _absorb(resources: list[Resource], fresh: Resource) -> None:
    """Add what was generated, or merge it into what a base generated."""
    known = [each for each in resources if fresh.identity.same(each.original)]
    if not known:
        if fresh.behavior != "create":
            raise KustomizeError(f"id {fresh.identity} does not exist; cannot merge or replace")
        resources.append(fresh)
        return
    if fresh.behavior == "create":
        raise KustomizeError(f"id {fresh.identity} exists; behavior must be merge or replace")
    old = known[0]
    metadata = dict(old.object["metadata"])
    for what in ("labels", "annotations"):
        both = {**(metadata.get(what) or {}), **(fresh.object["metadata"].get(what) or {})}
        metadata |= {what: both} if both else {}
    obj = {**fresh.object, "metadata": metadata}
    if fresh.behavior == "merge":
        for what in ("data", "binaryData"):
            both = {**(old.object.get(what) or {}), **(fresh.object.get(what) or {})}
            obj |= {what: both} if both else {}
    old.object, old.needs_hash = obj, fresh.needs_hash


# transformers


def _transformed(kustomization: Kustomization, resources: list[Resource], files: reading.Files) -> list[Resource]:
    for row in kustomization.rows("patchesStrategicMerge"):
        resources = patched(resources, _merge_patch(kustomization, row, files))
    for row in kustomization.rows("patches"):
        resources = patched(resources, _patch(kustomization, row, files))
    _name(kustomization, resources)
    _mark(kustomization, resources)
    for row in kustomization.rows("patchesJson6902"):
        resources = patched(resources, _patch(kustomization, row, files))
    _set_values(kustomization, resources, files)
    return resources


def _name(kustomization: Kustomization, resources: Sequence[Resource]) -> None:
    if kustomization.text("namespace"):
        transformers.namespaced(resources, kustomization.text("namespace"))
    prefix, suffix = kustomization.text("namePrefix"), kustomization.text("nameSuffix")
    if prefix or suffix:
        transformers.prefixed(resources, prefix, suffix)


def _mark(kustomization: Kustomization, resources: Sequence[Resource]) -> None:
    for row in kustomization.rows("labels"):
        transformers.labelled(resources, row)
    transformers.labelled(resources, {"pairs": kustomization.map("commonLabels"), "includeSelectors": True})
    transformers.annotated(resources, kustomization.map("commonAnnotations"))


def _set_values(kustomization: Kustomization, resources: Sequence[Resource], files: reading.Files) -> None:
    for row in kustomization.rows("replicas"):
        transformers.scaled(resources, str(row.get("name")), int(row.get("count") or 0))
    for row in kustomization.rows("images"):
        transformers.imaged(resources, row)
    for row in kustomization.rows("replacements"):
        for each in _replacement_rows(kustomization, row, files):
            replacements.replaced(resources, each)


def _merge_patch(kustomization: Kustomization, row: str, files: reading.Files) -> Patch:
    """An entry of `patchesStrategicMerge`: a file's name, or the patch itself."""
    path = kustomization.root / row if "\n" not in row else None
    text = files.read(path, kustomization.root).decode() if path is not None and path.exists() else row
    values = reading.read(text, row if path is not None else "patchesStrategicMerge")
    if not values or not all(isinstance(value, dict) for value in values):
        raise KustomizeError(f"patchesStrategicMerge: {row.splitlines()[0]}: no such file, and no patch")
    return Patch(values)


def _patch(kustomization: Kustomization, row: Mapping[str, Any], files: reading.Files) -> Patch:
    """An entry of `patches`: a strategic merge, or the operations of a JSON patch."""
    path, text = row.get("path"), row.get("patch")
    if bool(path) == bool(text):
        what = "must specify one of patch and path" if not path else "patch and path can't be set at the same time"
        raise KustomizeError(f"{what} in a patch")
    text = str(text) if text else files.read(kustomization.root / str(path), kustomization.root).decode()
    values = reading.read(text, str(path or "patch"))
    target, options = row.get("target"), row.get("options")
    if len(values) == 1 and isinstance(values[0], list):
        return Patch(operations=values[0], target=target)
    if not values or not all(
        isinstance(value, dict) and isinstance(value.get("metadata") or {}, dict) for value in values
    ):
        raise KustomizeError(f"unable to parse SM or JSON patch from [patch: {text!r}]")
    return Patch(values, target=target, options=options)


def _replacement_rows(kustomization: Kustomization, row: Mapping[str, Any], files: reading.Files) -> list[Any]:
    if not row.get("path"):
        return [row]
    path = kustomization.root / str(row["path"])
    values = reading.read(files.read(path, kustomization.root).decode(), str(path))
    rows = [each for value in values for each in (value if isinstance(value, list) else [value])]
    check("replacements", rows, [REPLACEMENT])
    return rows
