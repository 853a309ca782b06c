"""kube-apiserver's request decoding: an HTTP request as the API call that it stands for.

Interface: `read_call(request, route, user) -> Request`.
The rule not to break: what comes out has Python types throughout, or the client is told what does not read.
Source: `apiserver/pkg/endpoints/handlers/{create,delete,patch,get}.go`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web

from k8snb.apimachinery import schema
from k8snb.apimachinery.errors import INVALID, NOT_SUPPORTED, FieldError, bad_request, invalid
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object
from k8snb.apiserver import bodies, paths
from k8snb.apiserver.field_manager import manager_from_user_agent
from k8snb.apiserver.paths import Route
from k8snb.client import Request, User
from k8snb.client.client import APPLY

QUICK = 16 * 1024  # bytes of JSON that are read at once; what is longer, or YAML, is read on a thread
NAMES = ("gracePeriodSeconds", "orphanDependents", "propagationPolicy", "preconditions")
POLICIES = ("Foreground", "Background", "Orphan")
_OPTIONS = Kind("DeleteOptions", "deleteoptions", "meta.k8s.io")
InThread = Callable[[Callable[[], Any]], Awaitable[Any]]


async def read_call(request: web.Request, route: Route, user: User, in_thread: InThread) -> Request:
    """The call: query, body and headers. Raises ApiError, or aiohttp's HTTPRequestEntityTooLarge."""
    repeated = {"command": request.query.getall("command")} if "command" in request.query else {}
    options = paths.options(route, request.query, repeated)
    call = Request(route.verb, route.kind, route.namespace, route.name, route.subresource, options=options, user=user)
    await _read_body(request, call, in_thread)
    call.options = {**options, **_delete_options(call), **_field_options(call, options, request.headers)}
    return call


async def _read_body(request: web.Request, call: Request, in_thread: InThread) -> None:
    if not request.body_exists:
        return
    call.content_type = request.headers.get("Content-Type", "").split(";")[0].strip()
    data = await request.read()
    read = partial(bodies.read, data, call.content_type)
    quick = len(data) <= QUICK and not call.content_type.endswith("yaml")
    call.body, twice = read() if quick else await in_thread(read)
    mode = call.options.get("fieldValidation", "Warn")
    if twice and mode == "Strict":
        fields = ", ".join(f'duplicate field "{name}"' for name in twice)
        raise bad_request(f"strict decoding error: {fields}")
    if twice and mode == "Warn":
        call.warnings.extend(f'duplicate field "{name}"' for name in twice)


def _delete_options(call: Request) -> Object:
    """DeleteOptions may come in the body as well as in the query."""
    if call.verb not in ("delete", "deletecollection"):
        return {}
    query = {name: call.options[name] for name in NAMES if name in call.options}
    if call.body is not None and not isinstance(call.body, dict):
        raise bad_request("the body must be DeleteOptions, an object with fields")
    given = _decoded(call.body) if call.body else query
    _check_deletion(given)
    found = {name: given[name] for name in NAMES if name in given and name != "orphanDependents"}
    if given.get("orphanDependents") is not None:
        found["propagationPolicy"] = "Orphan" if given["orphanDependents"] else "Background"
    if given.get("dryRun"):
        found["dryRun"] = True
    return found


def _check_deletion(given: Object) -> None:
    """Raises Invalid. Source: `ValidateDeleteOptions` in `apimachinery/pkg/apis/meta/v1/validation`."""
    policy, orphans = given.get("propagationPolicy"), given.get("orphanDependents")
    found = []
    if policy is not None and orphans is not None:
        words = "orphanDependents and deletionPropagation cannot be both set"
        found.append(FieldError("propagationPolicy", INVALID, policy, words))
    elif policy is not None and policy not in POLICIES:
        known = ", ".join(f'"{name}"' for name in (*POLICIES, "nil"))
        found.append(FieldError("propagationPolicy", NOT_SUPPORTED, policy, f"supported values: {known}"))
    if given.get("dryRun") not in (None, [], ["All"], True, False):
        found.append(FieldError("dryRun", NOT_SUPPORTED, given["dryRun"], 'supported values: "All"'))
    if found:
        raise invalid(_OPTIONS, "", found)


def _decoded(body: Object) -> Object:
    """DeleteOptions in the shape that the schema says. Raises BadRequest."""
    decoded, errors = schema.load().decode_as("meta.v1.DeleteOptions", body)
    if errors:
        words = ", ".join(map(str, errors))
        raise bad_request(f'DeleteOptions in version "v1" cannot be handled as a DeleteOptions: {words}')
    return decoded


def _field_options(call: Request, options: Object, headers: Any) -> Object:
    """Who manages the fields of a write where the client does not say, and that answers tell of managers.

    Lists and watches go out without managedFields: working them out for every item would take seconds.
    """
    found: Object = {"managedFields": True} if call.verb in ("get", "create", "update", "patch") else {}
    if call.verb in ("create", "update", "patch") and call.content_type != APPLY and not options.get("fieldManager"):
        found["fieldManager"] = manager_from_user_agent(headers.get("User-Agent", ""))
    return found
