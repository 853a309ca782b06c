"""apiextensions-apiserver's registry of custom kinds: every CustomResourceDefinition as rows beside the built-in ones.

Interface: `Definitions(store)`: `kinds`, `current(request)`, `accept(crd, now)`.
The rule not to break: everything follows from the definitions in the store, so that a second apiserver and one that
starts anew serve the same.
Source: `apiextensions-apiserver/pkg/{apiserver,controller/status,controller/establish}`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from k8snb.apimachinery import kinds, structured_merge
from k8snb.apimachinery.errors import ApiError, method_not_supported
from k8snb.apimachinery.kinds import Converter, Custom, Kind, version_rank
from k8snb.apimachinery.meta import Object, condition, get_path, is_deleting, is_true, name_of, with_condition
from k8snb.apimachinery.structured_merge import Shape
from k8snb.apiserver.crd_schema import Structural
from k8snb.apiserver.paths import unknown_path
from k8snb.client import Request
from k8snb.etcd import DELETE, Record, Store

CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
NAMES_ACCEPTED, ESTABLISHED, TERMINATING = "NamesAccepted", "Established", "Terminating"
RESOURCE_WORDS, KIND_WORDS = ("plural", "singular", "shortNames"), ("kind", "listKind")
CRD = kinds.BY_GVK["apiextensions.k8s.io/v1", "CustomResourceDefinition"]


class Definitions:
    """The custom kinds of one store. `kinds` is all that is served, built-in kinds first. `converter(crd)` makes what
    knows a definition's objects in other versions, None where those have the same fields."""

    def __init__(self, store: Store, converter: Callable[[Object], Converter | None] = lambda crd: None) -> None:
        self._converter = converter
        self._definitions: dict[str, Object] = {}
        self._rows: dict[str, tuple[Kind, ...]] = {}
        self._served: dict[tuple[str, str, str], Kind] = {}
        self._by_gvk: dict[tuple[str, str], Kind] = {}
        self.kinds = kinds.KINDS
        for record in store.range(CRD.prefix)[0]:
            self._keep(record.value)
        self._publish()
        self.close = store.watch(CRD.prefix, self._deliver)

    def _deliver(self, record: Record) -> None:
        if record.sort == DELETE:
            self._definitions.pop(name_of(record.value), None)
            self._rows.pop(name_of(record.value), None)
        else:
            self._keep(record.value)
        self._publish()

    def _keep(self, crd: Object) -> None:
        """A definition whose kinds did not change keeps its rows: who holds one goes on with it."""
        name = name_of(crd)
        old = self._definitions.get(name)
        self._definitions[name] = crd
        if old is None or _of_kinds(old) != _of_kinds(crd):
            converter = self._converter(crd)
            self._rows[name] = tuple(kinds_of(crd, converter)) if is_true(crd, ESTABLISHED) else ()

    def _publish(self) -> None:
        rows = tuple(row for name in sorted(self._rows) for row in self._rows[name])
        self._served = {(row.group, row.version, row.plural): row for row in rows}
        self._by_gvk = {(row.api_version, row.kind): row for row in rows}
        if rows != self.kinds[len(kinds.KINDS) :]:
            self.kinds = (*kinds.KINDS, *rows)

    # finding

    def current(self, request: Request) -> None:
        """Bring a request for a custom kind up to what is served today. Raises NotFound or MethodNotAllowed."""
        asked = request.kind
        kind = self._served.get((asked.group, asked.version, asked.plural))
        if kind is None or kind.custom is None:
            raise unknown_path()
        request.kind = kind
        if request.verb == "create" and self.is_ending(kind):
            error = method_not_supported(kind, "create")
            words = "create not allowed while custom resource definition is terminating"
            raise ApiError(error.code, error.reason, words, error.details)
        if kind.custom.deprecation:
            request.warnings.append(kind.custom.deprecation)

    def by_gvk(self, api_version: str, kind: str) -> Kind | None:
        """The kind that an object says it is."""
        return kinds.BY_GVK.get((api_version, kind)) or self._by_gvk.get((api_version, kind))

    def shape_of(self, api_version: str, kind: str) -> Shape:
        """How objects of a kind are merged and owned field by field."""
        row = self._by_gvk.get((api_version, kind))
        if row is None or row.custom is None:
            return structured_merge.shape_of(api_version, kind)
        return structured_merge.custom(row.custom.schema)

    def definition(self, kind: Kind) -> Object | None:
        """The definition of a custom kind."""
        return self._definitions.get(kind.qualified)

    def is_ending(self, kind: Kind) -> bool:
        crd = self.definition(kind)
        return crd is not None and is_deleting(crd)

    def waiting(self, group: str) -> list[Object]:
        """The definitions of a group that did not get the names they asked for."""
        return [crd for crd in self._definitions.values()
                if crd["spec"]["group"] == group and not is_true(crd, NAMES_ACCEPTED)]  # fmt: skip

    # what the server adds to a definition

    def accept(self, crd: Object, now: str) -> Object:
        """The definition with its finalizer, the names that it gets, and what became of it."""
        status = crd.get("status") or {}
        names, (reason, message) = self._names(crd)
        accepted = reason == "NoConflicts"
        entry = _entry(NAMES_ACCEPTED, accepted, reason, message)
        conditions = with_condition(status.get("conditions") or (), entry, now)
        if accepted:
            entry = _entry(ESTABLISHED, True, "InitialNamesAccepted", "the initial names have been accepted")
            conditions = with_condition(conditions, entry, now)
        elif not is_true(crd, ESTABLISHED):
            entry = _entry(ESTABLISHED, False, "NotAccepted", "not all names are accepted")
            conditions = with_condition(conditions, entry, now)
        before = status.get("storedVersions") or []
        versions = [*before, *(name for name in [storage_version(crd)] if name not in before)]
        status = {**status, "conditions": conditions, "acceptedNames": names, "storedVersions": versions}
        return {**_held(crd), "status": status}

    def _names(self, crd: Object) -> tuple[Object, tuple[str, str]]:
        """The names that no other definition of the group has, and why not all (the last reason, as upstream)."""
        wanted, got = crd["spec"]["names"], dict(get_path(crd, "status.acceptedNames") or {})
        verdict = ("NoConflicts", "no conflicts found")
        for words in (RESOURCE_WORDS, KIND_WORDS):
            taken = set(self._taken(crd, words))
            for field in words:
                asked = wanted.get(field)
                clash = next((word for word in _as_words(asked) if word in taken), None)
                if clash is not None:
                    verdict = f"{field[0].upper()}{field[1:]}Conflict", f'"{clash}" is already in use'
                elif asked:
                    got[field] = asked
                else:
                    got.pop(field, None)
        got.setdefault("plural", "")
        got.setdefault("kind", "")
        if wanted.get("categories"):
            got["categories"] = wanted["categories"]
        return got, verdict

    def _taken(self, crd: Object, words: Iterable[str]) -> Iterator[str]:
        for name, other in self._definitions.items():
            if name != name_of(crd) and other["spec"]["group"] == crd["spec"]["group"]:
                accepted = get_path(other, "status.acceptedNames") or {}
                for field in words:
                    yield from _as_words(accepted.get(field))


def _as_words(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) and value else list(value or ())


def _held(crd: Object) -> Object:
    """The definition with the finalizer that keeps it until its objects are gone."""
    held = crd["metadata"].get("finalizers") or []
    if CLEANUP in held or is_deleting(crd):
        return crd
    return {**crd, "metadata": {**crd["metadata"], "finalizers": [*held, CLEANUP]}}


def _entry(sort: str, holds: bool, reason: str, message: str) -> Object:
    return {"type": sort, "status": str(holds), "reason": reason, "message": message}


def terminating(crd: Object, now: str) -> Object:
    """The definition while its objects are being deleted."""
    if condition(crd, TERMINATING) is not None:
        return crd
    entry = _entry(TERMINATING, True, "InstanceDeletionInProgress", "CustomResource deletion is in progress")
    status = crd.get("status") or {}
    return {**crd, "status": {**status, "conditions": with_condition(status.get("conditions") or (), entry, now)}}


def released(crd: Object) -> Object:
    """The definition without the finalizer."""
    left = [name for name in crd["metadata"].get("finalizers") or () if name != CLEANUP]
    metadata = {key: value for key, value in crd["metadata"].items() if key != "finalizers"}
    return {**crd, "metadata": {**metadata, "finalizers": left} if left else metadata}


# rows


def storage_version(crd: Object) -> str:
    """The version that objects are kept in."""
    return next(str(version["name"]) for version in crd["spec"]["versions"] if version["storage"])


def _of_kinds(crd: Object) -> tuple[object, ...]:
    return crd["spec"], get_path(crd, "status.acceptedNames"), is_true(crd, ESTABLISHED)


def kinds_of(crd: Object, converter: Converter | None = None, *, served: bool = True) -> Iterator[Kind]:
    """A row for each version, the preferred one first; with `served` only for those that are served."""
    versions = sorted(crd["spec"]["versions"], key=lambda version: version_rank(version["name"]))
    for version in versions:
        if version["served"] or not served:
            yield _row(crd, version, converter)


def _row(crd: Object, version: Object, converter: Converter | None) -> Kind:
    spec, names = crd["spec"], {**crd["spec"]["names"], **(get_path(crd, "status.acceptedNames") or {})}
    subresources = version.get("subresources") or {}
    return Kind(
        names["kind"],
        names["plural"],
        spec["group"],
        version["name"],
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=tuple(name for name in ("status", "scale") if subresources.get(name) is not None),
        custom=_custom(crd, version, names, converter),
    )


def _custom(crd: Object, version: Object, names: Object, converter: Converter | None) -> Custom:
    document = get_path(version, "schema.openAPIV3Schema") or {}
    group, name = crd["spec"]["group"], version["name"]
    warning = version.get("deprecationWarning") or f"{group}/{name} {names['kind']} is deprecated"
    return Custom(
        singular=names.get("singular") or names["kind"].lower(),
        list_kind=names.get("listKind") or f"{names['kind']}List",
        storage=storage_version(crd),
        schema=document,
        checker=Structural(document),
        columns=tuple(version.get("additionalPrinterColumns") or ()),
        selectable=tuple(each["jsonPath"].lstrip(".") for each in version.get("selectableFields") or ()),
        scale=get_path(version, "subresources.scale"),
        deprecation=warning if version.get("deprecated") else "",
        converter=converter,
    )
