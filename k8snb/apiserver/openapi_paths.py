"""kube-apiserver's OpenAPI paths: which requests there are, what they take, and what they answer.

Interface: `paths_of(kind)`; `ALWAYS`, the types that operations name beside those of the kinds.
The rule not to break: what is said here is what the server does; an answer that is not listed is a mistake in either.
Source: `apiserver/pkg/endpoints/installer.go`, `kube-openapi/pkg/builder3`. Where the published document names another
type than the real server answers (an eviction, the end of a collection), the one that is answered stands here.
"""

from __future__ import annotations

from collections.abc import Iterable

from k8snb.apimachinery import custom_types, schema
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object
from k8snb.apiserver import discovery
from k8snb.apiserver.deletion import RETURNED

STATUS, DELETE_OPTIONS = "meta.v1.Status", "meta.v1.DeleteOptions"
ALWAYS = (STATUS, DELETE_OPTIONS, "meta.v1.ObjectMeta", "meta.v1.ListMeta")
MEDIA_TYPES = ("application/json", "application/yaml")
MERGE, STRATEGIC, APPLY, JSON_PATCH = (
    "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml",
    "application/json-patch+json",
)  # fmt: skip
METHODS = {"create": "post", "update": "put", "patch": "patch", "delete": "delete", "get": "get", "list": "get",
           "deletecollection": "delete"}  # fmt: skip
WORDS = {"get": "read", "update": "replace", "deletecollection": "delete"}  # what operations are called
ACTIONS = {"create": "post", "update": "put"}  # x-kubernetes-action, where it is not the verb
STREAMS = ("exec", "attach", "portforward", "proxy", "log")  # what these answer is no object
SAYS_DONE = ("binding", "eviction")  # what these answer is a Status

_TEXT: Object = {"type": "string", "uniqueItems": True}
_NUMBER: Object = {"type": "integer", "uniqueItems": True}
_TRUTH: Object = {"type": "boolean", "uniqueItems": True}
_PARAMETERS: dict[str, Object] = {
    "allowWatchBookmarks": _TRUTH, "continue": _TEXT, "dryRun": _TEXT, "fieldManager": _TEXT, "fieldSelector": _TEXT,
    "fieldValidation": _TEXT, "force": _TRUTH, "gracePeriodSeconds": _NUMBER, "labelSelector": _TEXT,
    "limit": _NUMBER, "orphanDependents": _TRUTH, "propagationPolicy": _TEXT, "resourceVersion": _TEXT,
    "resourceVersionMatch": _TEXT, "sendInitialEvents": _TRUTH, "timeoutSeconds": _NUMBER, "watch": _TRUTH,
}  # fmt: skip
_LIST = ("continue", "fieldSelector", "labelSelector", "limit", "resourceVersion", "resourceVersionMatch")
_WRITE = ("dryRun", "fieldManager", "fieldValidation")
_DELETE = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")
QUERY: dict[str, tuple[str, ...]] = {
    "list": ("allowWatchBookmarks", *_LIST, "sendInitialEvents", "timeoutSeconds", "watch"),
    "create": _WRITE,
    "update": _WRITE,
    "patch": (*_WRITE, "force"),
    "delete": _DELETE,
    "deletecollection": (*_DELETE, *_LIST),
}
CODES = {"create": ("200", "201", "202"), "update": ("200", "201"), "patch": ("200", "201"), "delete": ("200", "202")}
_JSON_PATCH: Object = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"op": {"type": "string"}, "path": {"type": "string"}, "from": {"type": "string"}, "value": {}},
        "required": ["op", "path"],
    },
}


def paths_of(kind: Kind) -> Object:
    """The paths of a kind and of its subresources."""
    base = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    whole = f"{base}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{base}/{kind.plural}"
    one = f"{whole}/{{name}}"
    found = {whole: _item(kind, ("list", "create", "deletecollection"), _names(kind))}
    if kind.namespaced and "list" in kind.verbs:
        found[f"{base}/{kind.plural}"] = _item(kind, ("list",), (), "ForAllNamespaces")
    if "get" in kind.verbs:
        found[one] = _item(kind, ("get", "update", "patch", "delete"), _names(kind, "name"))
    for name in kind.subresources:
        found[f"{one}/{name}"] = _door(kind, name)
        if name == "proxy":
            found[f"{one}/proxy/{{path}}"] = _door(kind, name, path=True)
    return found


def reference(kind: Kind) -> Object:
    """A kind's schema."""
    if kind.custom is not None:
        return _reference(custom_types.openapi_name(kind))
    type_ = schema.load().definition(kind.api_version, kind.kind)
    return _reference(type_.name) if type_ is not None else {"type": "object"}


def _names(kind: Kind, *others: str) -> tuple[str, ...]:
    return ("namespace", *others) if kind.namespaced else others


def _item(kind: Kind, verbs: Iterable[str], names: Iterable[str], suffix: str = "") -> Object:
    """One path: an operation for each verb that the kind has."""
    served = [verb for verb in verbs if verb in kind.verbs]
    return {**{METHODS[verb]: _operation(kind, verb, suffix) for verb in served}, "parameters": _in_path(names)}


def _in_path(names: Iterable[str]) -> list[Object]:
    return [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names]


def _operation(kind: Kind, verb: str, suffix: str) -> Object:
    answer = _answer(kind, verb)
    operation = _described(kind, verb, suffix, answer)
    if verb in ("create", "update"):
        operation["requestBody"] = _body(reference(kind))
    elif verb == "patch":
        operation["requestBody"] = {"content": _patches(kind), "required": True}
    elif verb in ("delete", "deletecollection"):
        operation["requestBody"] = {**_body(_reference(DELETE_OPTIONS)), "required": False}
    return operation


def _answer(kind: Kind, verb: str) -> Object:
    if verb in ("list", "deletecollection"):
        return _list_reference(kind)
    if verb == "delete" and kind.builtin not in RETURNED:  # an object that waits for its finalizers is answered itself
        return {"oneOf": [_reference(STATUS), reference(kind)]}
    return reference(kind)


def _described(kind: Kind, verb: str, suffix: str, answer: Object | None, behind: Object | None = None) -> Object:
    """What every operation has. `answer` is None where what comes back is no object; `behind` is the kind that an
    operation is about, where that is another: kubectl 1.27 looks for `fieldValidation` in all that are about a Pod.
    """
    content = {media_type: {"schema": answer} for media_type in MEDIA_TYPES}
    good = {"description": "OK", "content": content} if answer is not None else {"description": "OK"}
    bad = {"description": "A refusal, with the reason", "content": {MEDIA_TYPES[0]: {"schema": _reference(STATUS)}}}
    return {
        "operationId": _operation_id(kind, verb, suffix),
        "parameters": [
            {"name": name, "in": "query", "schema": _PARAMETERS[name]} for name in QUERY.get(verb, ())
        ],
        "responses": {
            **dict.fromkeys(CODES.get(verb, ("200",)), good), "401": {"description": "Unauthorized"}, "default": bad,
        },
        "x-kubernetes-action": ACTIONS.get(verb, verb),
        "x-kubernetes-group-version-kind": {"group": kind.group, "kind": kind.kind, "version": kind.version}
        if not behind else {"group": "", **behind},
    }  # fmt: skip


def _operation_id(kind: Kind, verb: str, suffix: str) -> str:
    """As client generators know it: `listCoreV1NamespacedPod`, `listCoreV1PodForAllNamespaces`."""
    group = "".join(part.title() for part in kind.group.removesuffix(".k8s.io").split(".")) or "Core"
    scope = "Namespaced" if kind.namespaced and suffix != "ForAllNamespaces" else ""
    many = "Collection" if verb == "deletecollection" else ""
    return f"{WORDS.get(verb, verb)}{group}{kind.version.title()}{many}{scope}{kind.kind}{suffix}"


def _body(content: Object) -> Object:
    return {"content": {media_type: {"schema": content} for media_type in MEDIA_TYPES}, "required": True}


def _patches(kind: Kind) -> Object:
    """The formats of a patch. A custom kind has no merge keys to be strategic with."""
    some: Object = {"type": "object"}
    merging = (MERGE, APPLY) if kind.custom is not None else (MERGE, STRATEGIC, APPLY)
    return {**{media_type: {"schema": some} for media_type in merging}, JSON_PATCH: {"schema": _JSON_PATCH}}


def _list_reference(kind: Kind) -> Object:
    if kind.custom is None:
        type_ = schema.load().definition(kind.api_version, kind.list_kind)
        return _reference(type_.name) if type_ is not None else {"type": "object"}
    items = {"type": "array", "items": reference(kind)}
    return {"type": "object", "required": ["items"], "properties": {
        "apiVersion": _TEXT, "kind": _TEXT, "metadata": _reference("meta.v1.ListMeta"), "items": items}}  # fmt: skip


def _reference(name: str) -> Object:
    return {"$ref": f"#/components/schemas/{name}"}


# subresources


def _door(kind: Kind, name: str, *, path: bool = False) -> Object:
    """The path of a subresource. What lies behind it is one of the kinds of discovery."""
    behind, verbs = discovery.door(kind, name)
    if name in STREAMS:
        operations = {METHODS[verb]: _connection(kind, verb, name, behind, path) for verb in verbs}
    else:
        body = _behind(behind) or reference(kind)
        operations = {METHODS[verb]: _through(kind, verb, name, body, behind) for verb in verbs}
    return {**operations, "parameters": _in_path(_names(kind, "name", *(["path"] if path else [])))}


def _connection(kind: Kind, verb: str, name: str, behind: Object, path: bool) -> Object:
    suffix = f"{name.title()}WithPath" if path else name.title()
    return {**_described(kind, verb, suffix, None, behind), "parameters": []}


def _through(kind: Kind, verb: str, name: str, body: Object, behind: Object) -> Object:
    answer = _reference(STATUS) if name in SAYS_DONE else body
    operation = _described(kind, verb, name.title(), answer, behind)
    if verb == "patch":
        operation["requestBody"] = {"content": _patches(kind), "required": True}
    elif verb != "get":
        operation["requestBody"] = _body(body)
    return operation


def _behind(behind: Object) -> Object | None:
    """The schema of what a subresource takes and gives; None for the kind itself."""
    if not behind:
        return None
    group = f"{behind['group']}/" if behind.get("group") else ""
    type_ = schema.load().definition(f"{group}{behind['version']}", behind["kind"])
    return _reference(type_.name) if type_ is not None else {"type": "object"}


def types_of(kind: Kind) -> Iterable[str]:
    """The names of the types that a kind's operations are made of."""
    loaded = schema.load()
    versions = [(kind.api_version, kind.kind), (kind.api_version, kind.list_kind)] if kind.custom is None else []
    for name in kind.subresources:
        behind = discovery.SUBRESOURCES[name][0]
        if behind and name not in STREAMS:
            group = f"{behind['group']}/" if behind.get("group") else ""
            versions.append((f"{group}{behind['version']}", behind["kind"]))
    found = (loaded.definition(*version) for version in versions)
    return [type_.name for type_ in found if type_ is not None]
