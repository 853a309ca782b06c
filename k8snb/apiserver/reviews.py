"""kube-apiserver's reviews: questions about users and rights, answered and never stored.

Interface: `REVIEWS`, a row for each kind; `answer(server, request, review)`.
The rule not to break: an answer is what the authenticator or the authorizer would decide, and changes nothing.
Source: `pkg/registry/authorization`, `pkg/registry/authentication`; `kubectl auth can-i` and `auth whoami` ask them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from k8snb.apimachinery.errors import INVALID, REQUIRED, FieldError, bad_request, invalid
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, get_path
from k8snb.apiserver.authentication import Authenticator
from k8snb.apiserver.authorization import Authorizer
from k8snb.apiserver.decode import decode
from k8snb.apiserver.node_authorizer import node_of
from k8snb.apiserver.rbac import Attributes, Decision
from k8snb.client import Request, User
from k8snb.clock import Clock, timestamp


class Server(Protocol):
    authenticator: Authenticator
    authorizer: Authorizer
    clock: Clock


Review = Callable[[Server, Request, Object], Object]
PARTS = ("resourceAttributes", "nonResourceAttributes")


def answer(server: Server, request: Request, review: Review) -> Object:
    """The question with its status."""
    question = decode(request, default_namespace=request.namespace)
    metadata = {**question["metadata"], "creationTimestamp": timestamp(server.clock.now())}
    return {**question, "metadata": metadata, "status": review(server, request, question)}


def subject_access(server: Server, request: Request, question: Object) -> Object:
    """May this user do that?"""
    spec = question.get("spec") or {}
    errors = [*_one_question(spec)]
    if not spec.get("user") and not spec.get("groups"):
        errors.append(FieldError("spec.user", REQUIRED, None, "at least one of user or group must be specified"))
    _refuse(request.kind, errors)
    extra = tuple(sorted((key, tuple(values)) for key, values in (spec.get("extra") or {}).items()))
    user = User(spec.get("user", ""), tuple(spec.get("groups") or ()), spec.get("uid", ""), extra)
    return _decided(server.authorizer.authorize(user, asked(spec)))


def self_subject_access(server: Server, request: Request, question: Object) -> Object:
    """May I do that?"""
    spec = question.get("spec") or {}
    _refuse(request.kind, [*_one_question(spec)])
    return _decided(server.authorizer.authorize(server.authorizer.known(request.user), asked(spec)))


def local_subject_access(server: Server, request: Request, question: Object) -> Object:
    """May this user do that in this namespace?"""
    namespace = get_path(question, "spec.resourceAttributes.namespace", "")
    if get_path(question, "spec.nonResourceAttributes"):
        why = "disallowed on this kind of request"
        _refuse(request.kind, [FieldError("spec.nonResourceAttributes", INVALID, None, why)])
    if namespace != request.namespace:
        why = f"must match metadata.namespace: {request.namespace}"
        _refuse(request.kind, [FieldError("spec.resourceAttributes.namespace", INVALID, namespace, why)])
    return subject_access(server, request, question)


def self_subject_rules(server: Server, request: Request, question: Object) -> Object:
    """What may I do in this namespace?"""
    namespace = get_path(question, "spec.namespace", "")
    if not namespace:
        raise bad_request("no namespace on request")
    user = server.authorizer.known(request.user)
    rules = server.authorizer.rbac.rules_for(user, namespace)
    status: Object = {
        "resourceRules": [rule.object for rule in rules if not rule.urls],
        "nonResourceRules": [rule.object for rule in rules if rule.urls],
        "incomplete": bool(node_of(user)),
    }
    if node_of(user):
        status["evaluationError"] = "node authorizer does not support user rule resolution"
    return status


def token(server: Server, request: Request, question: Object) -> Object:
    """Whose token is this?"""
    spec = question.get("spec") or {}
    if not spec.get("token"):
        raise bad_request("token is required for TokenReview in authentication")
    try:
        user, audiences = server.authenticator.review(spec["token"], spec.get("audiences") or ())
    except ValueError as error:
        return {"authenticated": False, "user": {}, "error": str(error)}
    status: Object = {"authenticated": True, "user": user_info(user)}
    return {**status, "audiences": audiences} if audiences else status


def self_subject(server: Server, request: Request, question: Object) -> Object:
    """Who am I?"""
    return {"userInfo": user_info(server.authorizer.known(request.user))}


REVIEWS: dict[str, Review] = {
    "SubjectAccessReview": subject_access,
    "SelfSubjectAccessReview": self_subject_access,
    "LocalSubjectAccessReview": local_subject_access,
    "SelfSubjectRulesReview": self_subject_rules,
    "TokenReview": token,
    "SelfSubjectReview": self_subject,
}


def asked(spec: Object) -> Attributes:
    """What a review asks about."""
    path = spec.get("nonResourceAttributes")
    if path is not None:
        return Attributes(path.get("verb", ""), path=path.get("path", ""))
    resource = spec["resourceAttributes"]
    fields = ("verb", "group", "resource", "subresource", "namespace", "name")
    words = {field: str(resource.get(field) or "") for field in fields}
    return Attributes(**words, version=resource.get("version") or "")


def user_info(user: User) -> Object:
    """A user as reviews show one."""
    info: Object = {"username": user.name, "groups": list(user.groups)}
    if user.uid:
        info["uid"] = user.uid
    if user.extra:
        info["extra"] = {key: list(values) for key, values in user.extra}
    return info


def _one_question(spec: Object) -> list[FieldError]:
    given = [part for part in PARTS if spec.get(part) is not None]
    if len(given) == 1:
        return []
    if given:
        why = "cannot be specified in combination with resourceAttributes"
        return [FieldError("spec.nonResourceAttributes", INVALID, spec[PARTS[1]], why)]
    why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
    return [FieldError("spec.resourceAttributes", INVALID, None, why)]


def _refuse(kind: Kind, errors: list[FieldError]) -> None:
    if errors:
        raise invalid(kind, "", errors)


def _decided(decision: Decision) -> Object:
    status: Object = {"allowed": decision.allowed}
    return {**status, "reason": decision.reason} if decision.reason else status
