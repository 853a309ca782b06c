"""kube-apiserver's field manager: who owns which field of an object, and server-side apply on top of that.

Interface: `FieldManager(store)`: `apply(request, record, time)`, `given`, `managers_of(record)`,
`with_managed_fields(obj)`, `fold(record)`; `check_options`, `manager_from_user_agent`.
The rule not to break: no ordinary write computes ownership. Objects in the store carry no managedFields; they are
derived from the log when somebody asks, from the newest checkpoint on: an apply and a write to managedFields leave the
whole answer in their `Origin`, every other write leaves its manager's name and, where admission changed what was sent,
the object before that. Compaction turns the oldest record that it keeps into a checkpoint (`fold`).
Real Kubernetes computes managedFields at every write and stores them in the object.
Source: `apimachinery/pkg/util/managedfields`, `apiserver/pkg/endpoints/handlers/patch.go`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from k8snb.apimachinery import kinds, managed_fields, structured_merge
from k8snb.apimachinery.errors import FORBIDDEN, REQUIRED, TOO_LONG, ApiError, FieldError, bad_request, invalid
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.managed_fields import NO_FIELDS, UPDATE, FieldSet, Manager, Managers, Path
from k8snb.apimachinery.meta import Object, annotations_of, name_of, namespace_of, revision_of, with_metadata
from k8snb.apimachinery.ownership import Applied, Author, ConflictError, Rules, apply, update
from k8snb.apimachinery.schema import load
from k8snb.apimachinery.structured_merge import Shape, compare, field_set
from k8snb.apiserver import bodies
from k8snb.client import Request
from k8snb.client.client import APPLY, JSON
from k8snb.clock import timestamp
from k8snb.etcd import PUT, Record, Store
from k8snb.trace import Origin

BEFORE_FIRST_APPLY, KUBECTL = "before-first-apply", "kubectl"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
LONGEST_NAME = 128
MOST_FAULTS = 100  # that are told of at once
REMEMBERED = 20_000  # objects whose managers are kept at hand

_TRACKED = ("create", "update", "patch")
_ACTORS = {"system:node:": "kubelet", "system:serviceaccount:kube-system:": "kube-controller-manager",
           "system:apiserver": "kube-apiserver"}  # fmt: skip
_OPTIONS = Kind("PatchOptions", "patchoptions", "meta.k8s.io")


# who writes


def manager_from_user_agent(agent: str) -> str:
    """The manager's name for a client that gives none: its user agent up to the first slash."""
    name = "".join(char for char in agent.partition("/")[0] if char.isprintable())
    return name[:LONGEST_NAME] or "unknown"


def manager_from_actor(actor: str) -> str:
    """The manager's name for a component in the kernel: what upstream's own shows, else its short name."""
    found = (name for prefix, name in _ACTORS.items() if actor.startswith(prefix))
    return next(found, actor.rpartition(":")[2])


def conflict(found: Mapping[Manager, FieldSet]) -> ApiError:
    """The refusal of an apply that others stand against."""
    paths = [(manager, managed_fields.path_text(path)) for manager in sorted(found)
             for path in managed_fields.in_order(found[manager])]  # fmt: skip
    causes = [{"reason": "FieldManagerConflict", "message": f"conflict with {_described(manager)}", "field": path}
              for manager, path in paths]  # fmt: skip
    if len(paths) == 1:
        text = f"Apply failed with 1 conflict: conflict with {_described(paths[0][0])}: {paths[0][1]}"
    else:
        lines = []
        for manager in sorted(found):
            lines.append(f"conflicts with {_described(manager)}:")
            lines += [f"- {path}" for owner, path in paths if owner == manager]
        text = f"Apply failed with {len(paths)} conflicts: " + "\n".join(lines)
    return ApiError(409, "Conflict", text, {"causes": causes})


def _described(manager: Manager) -> str:
    words = [json.dumps(manager.name)]
    if manager.subresource:
        words.append(f'with subresource "{manager.subresource}"')
    if manager.operation == UPDATE:
        words.append(f"using {manager.api_version}")
    return " ".join(words)


def check_options(request: Request) -> None:
    """Refuse a patch whose options do not fit it. Raises ApiError Invalid."""
    applies, options = request.content_type == APPLY, request.options
    name, found = options.get("fieldManager") or "", []
    if options.get("force") and not applies:
        found.append(FieldError("force", FORBIDDEN, None, "may not be specified for non-apply patch"))
    if applies and not name:
        found.append(FieldError("fieldManager", REQUIRED, None, "is required for apply patch"))
    if len(name) > LONGEST_NAME:
        found.append(FieldError("fieldManager", TOO_LONG, None, f"may not be more than {LONGEST_NAME} bytes"))
    if found:
        raise invalid(_OPTIONS, "", found)


# over the store


class FieldManager:
    """Ownership of what lies in one store. `kind_of` and `shape_of` may be replaced where kinds come and go."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, tuple[int, Managers]] = {}  # key → a revision, its managers
        self.kind_of: Callable[[str, str], Kind | None] = lambda version, kind: kinds.BY_GVK.get((version, kind))
        self.shape_of: Callable[[str, str], Shape] = structured_merge.shape_of

    def managers_of(self, record: Record) -> Managers:
        """Who owns what in the object as this record has it."""
        revision, managers = self._known.get(record.key, (0, {}))
        waiting: list[Record] = []
        step: Record | None = record
        while step is not None and step.revision != revision:
            waiting.append(step)
            step = None if step.origin.managed is not None or step.revision == step.created else step.previous
        if step is None:
            managers = {}
        for step in reversed(waiting):
            managers = self._after(step, managers)
        if record.revision > revision:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[record.key] = (record.revision, managers)
        return managers

    def _after(self, record: Record, managers: Managers) -> Managers:
        """The managers once this record has been written."""
        origin, value = record.origin, record.value
        if origin.managed is not None:
            return origin.managed
        verb, _, subresource = origin.verb.partition(" ")
        creates = record.revision == record.created
        if record.sort != PUT or verb not in _TRACKED or (verb == "create") != creates:
            return managers
        if not managers and not creates:
            return managers  # as upstream: ownership that was stripped is not tracked again before an apply
        before = {} if creates or record.previous is None else record.previous.value
        author = Author(origin.manager or manager_from_actor(origin.actor), value["apiVersion"], subresource,
                        timestamp(origin.time))  # fmt: skip
        return update(before, origin.sent or value, managers, author, self._rules(value, subresource))

    def _rules(self, obj: Object, subresource: str) -> Rules:
        version, name = obj["apiVersion"], obj["kind"]
        kind = self.kind_of(version, name)
        return Rules(self.shape_of(version, name), _ignored(kind, subresource) if kind is not None else ())

    # reading

    def with_managed_fields(self, obj: Object) -> Object:
        """An object, or a list of them, with the managedFields that real Kubernetes would store in it."""
        if "items" in obj:
            return {**obj, "items": [self.with_managed_fields(item) for item in obj["items"]]}
        metadata = obj.get("metadata") or {}
        if "managedFields" in metadata or not metadata.get("resourceVersion"):
            return obj
        record = self._record(obj)
        managers = self.managers_of(record) if record is not None else {}
        return with_metadata(obj, managedFields=managed_fields.encode(managers)) if managers else obj

    def _record(self, obj: Object) -> Record | None:
        """The record that an object came from."""
        kind = self.kind_of(obj.get("apiVersion", ""), obj.get("kind", ""))
        if kind is None:
            return None
        key, revision = kind.key(namespace_of(obj), name_of(obj)), revision_of(obj)
        newest = self._store.get(key)
        if newest is not None and newest.revision == revision:
            return newest
        return next((record for record in self._store.history(key) if record.revision == revision), None)

    # writing

    def apply(self, request: Request, record: Record | None, time: str) -> Applied:
        """Server-side apply of the request's body to what a record holds. Raises ApiError."""
        config, live = _config(request), record.value if record is not None else {}
        rules = self._rules(config, request.subresource)
        config = _checked(request.kind, config, rules.shape)
        author = Author(request.options["fieldManager"], request.kind.api_version, request.subresource, time)
        managers = self.managers_of(record) if record is not None else {}
        if record is not None and not managers:
            managers = update({}, live, {}, author._replace(manager=BEFORE_FIRST_APPLY), rules)
        force = bool(request.options.get("force"))
        try:
            applied = apply(live, config, managers, author, rules, force=force)
        except ConflictError as error:
            allowed = _from_last_applied(live, rules.shape) if author.manager == KUBECTL else NO_FIELDS
            if not error.fields <= allowed:
                raise conflict(error.without(allowed)) from None
            applied = apply(live, config, managers, author, rules, force=True)
        return _annotated(applied, config) if author.manager == KUBECTL else applied

    def given(self, request: Request, new: Object, prepared: Object, old: Object, time: str) -> Managers | None:
        """The managers after an update that says itself who owns what; None where it does not, or says nothing new.

        An empty list, or a list with one empty entry, strips all ownership (upstream: `isResetManagedFields`).
        """
        entries = new["metadata"].get("managedFields")
        if entries is None or request.subresource:
            return None
        record = self._record(old)
        current = self.managers_of(record) if record is not None else {}
        if entries in ([], [{}]):
            return {} if current else None
        try:
            base = managed_fields.decode(entries)
        except ValueError:
            return None
        if not base or base == current:
            return None
        name = request.options.get("fieldManager") or manager_from_actor(request.user.name)
        author = Author(name, request.kind.api_version, "", time)
        return update(old, prepared, base, author, self._rules(old, ""))

    def before_patch(self, request: Request, old: Object) -> Object:
        """What a patch is laid over: with managedFields where a JSON patch speaks of them."""
        body: Any = request.body if request.content_type == JSON else ()
        paths = [str(step.get("path")) for step in body or () if isinstance(step, dict)]
        return self.with_managed_fields(old) if any("managedFields" in path for path in paths) else old

    def fold(self, record: Record) -> Origin:
        """The origin of a record whose past is about to be forgotten: with all that has to be known of it."""
        return record.origin._replace(managed=self.managers_of(record), sent=None)


_STATUS_ONLY: tuple[Path, ...] = (("f:spec",), ("f:metadata",))
_NO_STATUS: tuple[Path, ...] = (("f:status",),)


def _ignored(kind: Kind, subresource: str) -> tuple[Path, ...]:
    """What a write through this door cannot change (upstream: `GetResetFields` of the strategies)."""
    if "status" not in kind.subresources:
        return ()
    if subresource == "status":
        return _STATUS_ONLY[:1] if kind.plural == "nodes" else _STATUS_ONLY
    return (*_NO_STATUS, ("f:spec",)) if kind.plural == "namespaces" and subresource == "" else _NO_STATUS


def _config(request: Request) -> Object:
    """What is applied, as an object of the request's kind."""
    kind, body = request.kind, request.body
    if isinstance(body, str):
        body, _ = bodies.read(body.encode(), request.content_type)
    if not isinstance(body, dict) or not isinstance(body.get("metadata", {}), dict):
        raise bad_request("error decoding YAML: the body must be an object with apiVersion, kind and metadata")
    version = body.get("apiVersion") or ""
    if version != kind.api_version:
        raise bad_request(f"Incorrect version specified in apply patch. Specified patch version: {version}, expected: "
                          f"{kind.api_version}")  # fmt: skip
    if body.get("kind") != kind.kind:
        raise bad_request(f"the kind in the data ({body.get('kind')}) does not match the expected kind ({kind.kind})")
    metadata = {"name": request.name, **body.get("metadata", {})}
    if kind.namespaced:
        metadata.setdefault("namespace", request.namespace)
    if metadata.get("managedFields") is not None:
        raise bad_request("metadata.managedFields must be nil")
    return {**body, "metadata": metadata}


def _checked(kind: Kind, config: Object, shape: Shape) -> Object:
    """What is applied, decoded. Refused are unknown fields, wrong types, and list entries that cannot be told apart."""
    decoded, errors, unknown = load().decode(config)
    if kind.custom is not None:  # its defaults are not the applier's, and its values are validated with the rest
        unknown = kind.custom.checker.decode(config)[2]
    found = [f".{field.path}: field not declared in schema" for field in unknown]
    found += [f".{error}" for error in errors if error.sort != REQUIRED]
    found = found or list(structured_merge.faults(decoded, shape))
    if found:
        where = f"{namespace_of(config)}/{name_of(config)}; {config['apiVersion']}, Kind={config['kind']}"
        shown = found if len(found) <= MOST_FAULTS else [*found[:MOST_FAULTS], f"and {len(found) - MOST_FAULTS} more"]
        text = found[0] if len(found) == 1 else "errors:\n" + "".join(f"  {each}\n" for each in shown)
        raise ApiError(500, "", f"failed to create typed patch object ({where}): {text}")
    return decoded


def _annotated(applied: Applied, config: Object) -> Applied:
    """Where `kubectl apply` has been without the server's help, its annotation goes on telling what was applied."""
    obj = applied.object
    if applied.managers is None or LAST_APPLIED not in annotations_of(obj):
        return applied
    annotations = {name: text for name, text in annotations_of(config).items() if name != LAST_APPLIED}
    text = json.dumps(with_metadata(config, annotations=annotations), separators=(",", ":"), sort_keys=True) + "\n"
    return applied._replace(object=with_metadata(obj, annotations={**annotations_of(obj), LAST_APPLIED: text}))


def _from_last_applied(live: Object, shape: Shape) -> FieldSet:
    """What a client-side apply wrote and is still there: kubectl may take that over without a conflict."""
    try:
        before = json.loads(annotations_of(live).get(LAST_APPLIED) or "null")
    except ValueError:
        return NO_FIELDS
    if not isinstance(before, dict) or before.get("apiVersion") != live.get("apiVersion"):
        return NO_FIELDS
    compared = compare(before, live, shape)
    return field_set(before, shape) - compared.changed - compared.removed
