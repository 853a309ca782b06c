"""kube-apiserver's generic registry: the API verbs over the store, the same for every kind.

Interface: `Registry`: get, list, watch, create, update, patch, delete, deletecollection.
The rule not to break: what lies in the store is shared with everybody who has read it; a change builds a new dict.
Source: `apiserver/pkg/registry/generic/registry`.
"""

from __future__ import annotations

import base64
import builtins
import json
import random
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from k8snb.apimachinery import errors
from k8snb.apimachinery.defaults import apply_defaults, apply_status_defaults
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.managed_fields import Managers, encode
from k8snb.apimachinery.meta import Object, is_deleting, name_of, namespace_of, revision_of, uid_of, with_metadata
from k8snb.apimachinery.names import generate_name
from k8snb.apimachinery.selectors import parse_selector
from k8snb.apiserver import strategy
from k8snb.apiserver.conversion import ended, seen, seen_all, storage_kind, stored, to_write
from k8snb.apiserver.decode import decode
from k8snb.apiserver.deletion import deleted
from k8snb.apiserver.field_manager import FieldManager, check_options
from k8snb.apiserver.fields import field_selector
from k8snb.apiserver.outcalls import Outcall, Question
from k8snb.apiserver.patching import apply_patch
from k8snb.apiserver.validation import validate
from k8snb.apiserver.watch import Filter, Postpone, WatchHub
from k8snb.client import Request, Watch
from k8snb.client.client import APPLY, Event
from k8snb.clock import Clock, parse_timestamp, timestamp
from k8snb.etcd import CompactedError, FutureRevisionError, MismatchError, Record, Store
from k8snb.trace import Origin

Admit = Callable[[Request, Object, Object | None], Object]
FINALIZERS = {"Orphan": "orphan", "Foreground": "foregroundDeletion"}
NAME_ATTEMPTS = 8


class Registry:
    """`admit(request, obj, old)` is the admission chain, and `check` its second half, which sees an object that is
    valid and may only refuse it. `allocate` fills in what must be unique in the cluster just before an object is
    stored, `began(kind, obj)` is told whose end has begun and has to wait, `ended(kind, obj)` what has left the store,
    `authorize(request)` refuses what a request turns out to need beside what it says it does, `postpone(call, retry)`
    fetches answers for what is no request."""

    def __init__(self, store: Store, clock: Clock, dice: random.Random, admit: Admit) -> None:
        self.store = store
        self._clock = clock
        self._random = dice
        self._admit = admit
        self._hubs: dict[Kind, WatchHub] = {}
        self.fields = FieldManager(store)
        self.check: Admit = lambda request, obj, old: obj
        self.allocate: Admit = lambda request, obj, old: obj
        self.began: Callable[[Kind, Object], None] = lambda kind, obj: None
        self.ended: Callable[[Kind, Object], None] = lambda kind, obj: None
        self.authorize: Callable[[Request], None] = lambda request: None
        self.postpone: Postpone = lambda call, retry: None

    def close(self) -> None:
        """Follow the store no longer: whoever watches hears nothing more."""
        for hub in self._hubs.values():
            hub.close()

    # reading

    def get(self, request: Request) -> Object:
        return seen(request.kind, self.record(request.kind, request.namespace, request.name).value)

    def record(self, kind: Kind, namespace: str, name: str) -> Record:
        record = self.store.get(kind.key(namespace, name))
        if record is None:
            raise errors.not_found(kind, name)
        return record

    def list(self, request: Request) -> Object:
        """A list object. With `limit` it may end in a `continue` token, which pins the revision of the first page."""
        options = request.options
        revision, start = _list_position(options)
        filter_ = _filter(request)
        prefix = request.kind.prefix + (f"{request.namespace}/" if request.namespace else "")
        limit = int(options.get("limit") or 0)
        try:
            whole = filter_.labels is None and filter_.fields is None
            records, more = self._the_one(request, filter_, revision) or self.store.range(
                prefix, revision=revision, start_after=start, limit=limit if whole else 0
            )
        except (CompactedError, FutureRevisionError) as error:
            raise errors.expired(str(error)) from None
        found = [record.value for record in records]
        found = seen_all(request.kind, found)
        items = found if whole else [obj for obj in found if filter_.matches(obj)]
        metadata: Object = {"resourceVersion": str(revision or self.store.revision)}
        if limit and not whole and len(items) > limit:
            items, more = items[:limit], True
        if more:
            metadata["continue"] = _continue_token(revision or self.store.revision, request.kind, items[-1])
        return {"kind": request.kind.list_kind, "apiVersion": request.kind.api_version, "metadata": metadata,
                "items": items}  # fmt: skip

    def _the_one(self, request: Request, filter_: Filter, revision: int) -> tuple[builtins.list[Record], bool] | None:
        """What a list can only find where a field selector names one object: it costs the same however many there are.
        None where it names none."""
        name = filter_.fields.equality().get("metadata.name", "") if filter_.fields else ""
        if not name or "/" in name or revision or (request.kind.namespaced and not request.namespace):
            return None
        found = self.store.get(request.kind.key(request.namespace, name))
        return ([found] if found is not None else [], False)

    def watch(self, request: Request) -> Watch:
        """Events after `resourceVersion`; without one (or with "0") first what is there, as ADDED.

        With `sendInitialEvents` what is there comes first in any case, and a bookmark says where it ends.
        """
        asked = str(request.options.get("resourceVersion") or "")
        streams_list = request.options.get("sendInitialEvents")
        filter_ = _filter(request)
        initial: builtins.list[Object] = []
        from_now = asked in ("", "0") or streams_list
        after = self.store.revision if from_now else _revision(asked)
        if streams_list or (asked in ("", "0") and streams_list is not False):
            initial = self.list(request)["items"]
        hub = self._hubs.get(request.kind)
        if hub is None:
            hub = self._hubs[request.kind] = WatchHub(request.kind, self.store, self.postpone)
        try:
            watch = hub.subscribe(filter_, after=after, initial=initial)
        except CompactedError as error:
            raise errors.expired(f"too old resource version: {after} ({error})") from None
        if streams_list:
            watch.push(_end_of_list(request.kind, after))
        return watch

    # writing

    def create(self, request: Request) -> Object:
        kind = request.kind
        obj = strategy.prepare_for_create(kind, decode(request, default_namespace=request.namespace))
        base = obj["metadata"].get("generateName", "")
        if not name_of(obj) and not base:
            raise errors.invalid(kind, "", [errors.FieldError("metadata.name", errors.REQUIRED, None,
                                                               "name or generateName is required")])  # fmt: skip
        attempts = 1 if name_of(obj) else NAME_ATTEMPTS
        for attempt in range(attempts):
            named = obj if name_of(obj) else with_metadata(obj, name=self._draft(request, f"name {attempt}", base))
            try:
                return self._create(request, named)
            except errors.ApiError as error:
                if error.reason != "AlreadyExists" or attempt == attempts - 1:
                    raise
        raise AssertionError("unreachable")

    def _create(self, request: Request, obj: Object, managed: Managers | None = None) -> Object:
        kind = request.kind
        key = kind.key(namespace_of(obj), name_of(obj))
        if self.store.get(key) is not None:
            raise errors.already_exists(kind, name_of(obj))
        stamped = with_metadata(obj, uid=self._draft(request, "uid"), creationTimestamp=timestamp(self._clock.now()))
        sent = apply_defaults(kind, stamped)
        admitted = strategy.complete(kind, self._admit(request, sent, None))
        self._validate(kind, admitted, None)
        stored(kind, admitted)  # whoever has to be asked for that is asked before anything is charged
        self.check(request, admitted, None)
        complete = self.allocate(request, admitted, None)
        if request.options.get("dryRun"):
            return _shown(complete, managed)
        origin = self._origin(request, None if sent is complete else sent, managed)
        return seen(kind, self.store.put(key, to_write(kind, complete), expected=0, origin=origin).value)

    def update(self, request: Request) -> Object:
        old = self.get(request)
        return self.replace(request, decode(request, default_namespace=request.namespace, old=old), old)

    def replace(self, request: Request, new: Object, old: Object, *, managed: Managers | None = None) -> Object:
        """Store `new` in the place of `old`, through admission and validation. Writes nothing when nothing changed.

        `managed` is who owns which fields afterwards, where somebody says so.
        """
        kind = request.kind
        self._check_preconditions(kind, new, old)
        prepare = strategy.PREPARE.get(request.subresource, strategy.prepare_for_update)
        fill_in = apply_status_defaults if request.subresource == "status" else apply_defaults
        prepared = prepare(kind, fill_in(kind, new), old)
        if "managedFields" in new["metadata"]:
            managed = self.fields.given(request, new, prepared, old, timestamp(self._clock.now()))
        admitted = self._admit(request, prepared, old)
        if admitted == old and managed is None:
            return old
        if request.subresource != "status" or kind.custom is not None:
            self._validate(kind, admitted, old, door=request.subresource)
        stored(kind, admitted)
        self.check(request, admitted, old)
        if request.subresource != "status" or kind.custom is not None:
            admitted = self.allocate(request, admitted, old)
        if request.options.get("dryRun"):
            return _shown(admitted, managed)
        if _deletion_is_complete(admitted) and not _namespace_lives(kind, admitted):
            return self._end(request, admitted, old)
        return self._put(request, admitted, old, None if admitted is prepared else prepared, managed)

    def patch(self, request: Request) -> Object:
        check_options(request)
        if request.content_type == APPLY:
            return self.apply(request)
        old = self.get(request)
        patched = apply_patch(request, self.fields.before_patch(request, old))
        decoded = decode(request, body=patched, default_namespace=request.namespace, old=old)
        return self.replace(request, decoded, old)

    def apply(self, request: Request) -> Object:
        """Server-side apply: create the object, or bring it to what the applier says of it."""
        kind = request.kind
        record = self.store.get(kind.key(request.namespace, request.name))
        if record is not None:
            record = record.replaced(value=seen(kind, record.value))
        if record is None and request.subresource:
            raise errors.not_found(kind, request.name)
        applied = self.fields.apply(request, record, timestamp(self._clock.now()))
        if record is None:
            creating = replace(request, verb="create", body=applied.object)
            self.authorize(creating)
            decoded = decode(creating, default_namespace=request.namespace)
            return self._create(creating, strategy.prepare_for_create(kind, decoded), applied.managers)
        decoded = decode(request, body=applied.object, default_namespace=request.namespace)
        return self.replace(request, decoded, record.value, managed=applied.managers)

    def delete(self, request: Request) -> Object:
        """Begin or complete an object's end. Returns the object as it is then, or what is said of one that is gone."""
        kind, old = request.kind, self.get(request)
        options = request.options
        self._check_delete_preconditions(kind, old, options.get("preconditions") or {})
        self._admit(request, old, old)
        self.check(request, old, old)
        if options.get("dryRun"):
            return old
        grace = strategy.grace_period(kind, old, options.get("gracePeriodSeconds"))
        if is_deleting(old):
            grace = min(grace, old["metadata"].get("deletionGracePeriodSeconds", 0))
        obj = self._with_finalizer(old, self._policy(request, old))
        if grace == 0 and not obj["metadata"].get("finalizers") and not _namespace_lives(kind, obj):
            return deleted(kind, self._end(request, obj, old))
        deleting = self._deleting(kind, obj, grace)
        if deleting == old:
            return old
        began = self._put(request, deleting, old)
        self.began(kind, began)
        return began

    def delete_collection(self, request: Request) -> Object:
        """Delete one after the other. Those about which others have to be asked are asked about together."""
        listed: Object = request.draft.setdefault("listed", None) or self.list(request)
        request.draft["listed"], begun = listed, request.draft.setdefault("begun", set())
        questions: builtins.list[Question] = []
        for obj in listed["items"]:
            if uid_of(obj) in begun:
                continue
            one = Request("delete", request.kind, namespace_of(obj), name_of(obj), options=request.options,
                          user=request.user, cause=request.cause)  # fmt: skip
            try:
                self.delete(one)
            except Outcall as call:
                questions.extend(call.questions)
                continue
            except errors.ApiError as error:
                if error.code != 404:
                    raise
            begun.add(uid_of(obj))
        if questions:
            raise Outcall(questions)
        return listed

    # the parts of a write

    def put(self, request: Request, obj: Object, old: Object) -> Object:
        """Store without admission or validation: for subresources that change one thing."""
        return old if obj == old else self._put(request, obj, old)

    def _put(
        self, request: Request, obj: Object, old: Object, sent: Object | None = None, managed: Managers | None = None
    ) -> Object:
        key = request.kind.key(namespace_of(old), name_of(old))
        obj = {**obj, "metadata": {**obj["metadata"]}}
        try:
            origin = self._origin(request, sent, managed)
            put = self.store.put(key, to_write(request.kind, obj), expected=revision_of(old), origin=origin)
            return seen(request.kind, put.value)
        except MismatchError:
            raise errors.conflict(request.kind, name_of(old), errors.STALE) from None

    def _end(self, request: Request, obj: Object, old: Object) -> Object:
        key = request.kind.key(namespace_of(old), name_of(old))
        record = self.store.delete(key, expected=revision_of(old), origin=self._origin(request))
        self.ended(request.kind, old)
        return ended(request.kind, record.value, obj) if record is not None else obj

    def _deleting(self, kind: Kind, obj: Object, grace: int) -> Object:
        metadata = obj["metadata"]
        before = metadata.get("deletionTimestamp")
        began = parse_timestamp(before) - metadata["deletionGracePeriodSeconds"] if before else self._clock.now()
        moment = timestamp(began + grace)
        deleting = with_metadata(obj, deletionTimestamp=moment, deletionGracePeriodSeconds=grace)
        if kind.builtin == "namespaces":
            deleting["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
        if before is None and strategy.counts_generations(kind):
            deleting["metadata"]["generation"] = metadata.get("generation", 0) + 1
        return deleting

    @staticmethod
    def _policy(request: Request, old: Object) -> str | None:
        """What is to become of the dependents: what the request says, else the object's finalizers, else its kind."""
        policy: str | None = request.options.get("propagationPolicy")
        remark = strategy.ORPHANING.get(request.kind.builtin)
        if policy or not remark or set(old["metadata"].get("finalizers") or ()) & set(FINALIZERS.values()):
            return policy
        request.warnings.append(remark)
        return "Orphan"

    @staticmethod
    def _with_finalizer(obj: Object, policy: str | None) -> Object:
        finalizer = FINALIZERS.get(policy or "")
        present = obj["metadata"].get("finalizers") or []
        kept = [name for name in present if name not in FINALIZERS.values()] if policy else present
        wanted = [*kept, finalizer] if finalizer else kept
        return obj if wanted == present else with_metadata(obj, finalizers=wanted or None)

    @staticmethod
    def _check_delete_preconditions(kind: Kind, old: Object, preconditions: dict[str, Any]) -> None:
        uid, revision = preconditions.get("uid"), preconditions.get("resourceVersion")
        if uid and uid != uid_of(old):
            raise errors.conflict(kind, name_of(old), f"the UID in the precondition ({uid}) does not match the UID in "
                                                      f"record ({uid_of(old)}). The object might have been deleted and "
                                                      "then recreated")  # fmt: skip
        if revision and revision != old["metadata"]["resourceVersion"]:
            raise errors.conflict(kind, name_of(old), errors.STALE)

    def _check_preconditions(self, kind: Kind, new: Object, old: Object) -> None:
        metadata = new["metadata"]
        if metadata.get("resourceVersion") and metadata["resourceVersion"] != old["metadata"]["resourceVersion"]:
            raise errors.conflict(kind, name_of(old), errors.STALE)
        if metadata.get("uid") and metadata["uid"] != uid_of(old):
            why = f"uid mismatch: the provided object specified uid {metadata['uid']}, and no existing object was found"
            raise errors.conflict(kind, name_of(old), why)

    @staticmethod
    def _validate(kind: Kind, obj: Object, old: Object | None, *, door: str = "") -> None:
        if kind.kept_as:
            obj, old = stored(kind, obj), None if old is None else stored(kind, old)
        found = validate(storage_kind(kind), obj, old, door=door)
        if found:
            raise errors.invalid(kind, name_of(obj), found)

    def _origin(self, request: Request, sent: Object | None = None, managed: Managers | None = None) -> Origin:
        verb = sys.intern(f"{request.verb} {request.subresource}") if request.subresource else request.verb
        manager = request.options.get("fieldManager") or ""
        return Origin(request.user.name, verb, request.cause, self._clock.now(), manager, sent, managed)

    def _draft(self, request: Request, what: str, base: str = "") -> str:
        """A uid or a name that is made up once for a request, however often it begins anew."""
        if what not in request.draft:
            request.draft[what] = generate_name(base, self._random) if base else self._uid()
        return str(request.draft[what])

    def _uid(self) -> str:
        digits = f"{self._random.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def _shown(obj: Object, managed: Managers | None) -> Object:
    """The answer to a dry run: nothing in the store can tell its managedFields later."""
    return obj if managed is None else with_metadata(obj, managedFields=encode(managed))


def _deletion_is_complete(obj: Object) -> bool:
    """Whether the last finalizer has gone from an object whose time is up."""
    metadata = obj["metadata"]
    return is_deleting(obj) and not metadata.get("finalizers") and not metadata.get("deletionGracePeriodSeconds")


def _namespace_lives(kind: Kind, obj: Object) -> bool:
    """Whether this is a namespace whose contents the namespace controller has still to remove."""
    return kind.builtin == "namespaces" and bool(obj["spec"].get("finalizers"))


def _revision(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise errors.bad_request(f'Invalid value: "{text}": resourceVersion must be a number') from None


def _end_of_list(kind: Kind, revision: int) -> Event:
    """The bookmark between what was there and what happens (KEP-3157)."""
    metadata = {"resourceVersion": str(revision), "annotations": {"k8s.io/initial-events-end": "true"}}
    return Event("BOOKMARK", {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata})


def _filter(request: Request) -> Filter:
    text = request.options.get("labelSelector") or ""
    try:
        labels = parse_selector(text) if text else None
    except ValueError as error:
        raise errors.bad_request(f"unable to parse requirement: {error}") from None
    fields = field_selector(request.kind, request.options.get("fieldSelector") or "")
    if request.name and fields is None:
        fields = field_selector(request.kind, f"metadata.name={request.name}")
    return Filter(request.namespace if request.kind.namespaced else "", labels, fields)


def _list_position(options: Any) -> tuple[int, str]:
    """The revision to read at (0: now) and the key after which to go on."""
    token = options.get("continue")
    if token:
        try:
            position = json.loads(base64.urlsafe_b64decode(token))
            return int(position["rv"]), str(position["start"])
        except (ValueError, KeyError, TypeError):
            raise errors.bad_request("continue key is not valid: it must be the one that a list answered") from None
    exact = options.get("resourceVersionMatch") == "Exact"
    return _revision(str(options.get("resourceVersion") or 0)) if exact else 0, ""


def _continue_token(revision: int, kind: Kind, last: Object) -> str:
    position = {"rv": revision, "start": kind.key(namespace_of(last), name_of(last))}
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()
