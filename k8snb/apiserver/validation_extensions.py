"""kube-apiserver's validation of what extends it: admission webhooks and policies, and aggregated APIs.

Interface: rows of the tables in `validation`.
The rule not to break: an expression that is let in can be run, and a webhook that is let in can be called.
Source: `pkg/apis/admissionregistration/validation/validation.go`, `apiserver/pkg/util/webhook/validation.go`,
`kube-aggregator/pkg/apis/apiregistration/validation/validation.go`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from k8snb.apimachinery import names
from k8snb.apimachinery.errors import DUPLICATE, INVALID, NOT_SUPPORTED, REQUIRED, TOO_MANY, FieldError
from k8snb.apimachinery.meta import Object, name_of
from k8snb.apimachinery.selectors import from_label_selector
from k8snb.apiserver.cel_expressions import CelError, expression
from k8snb.apiserver.cel_names import ABOUT_RIGHTS, VARIABLES, of_policy
from k8snb.apiserver.validation_fields import Errors, each, supported
from k8snb.apiserver.validation_rbac import path_segment

OPERATIONS = ("*", "CREATE", "UPDATE", "DELETE", "CONNECT")
REVIEWS = ("v1", "v1beta1")
WORDS: Mapping[str, tuple[str, ...]] = {  # fields of a webhook with a choice of words
    "failurePolicy": ("Fail", "Ignore"),
    "matchPolicy": ("Equivalent", "Exact"),
    "sideEffects": ("None", "NoneOnDryRun"),
    "reinvocationPolicy": ("IfNeeded", "Never"),
}
REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
ACTIONS = ("Audit", "Deny", "Warn")
MOST_CONDITIONS, MOST_ANNOTATIONS = 64, 20
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _word(path: str, value: Any, known: Iterable[str]) -> Errors:
    if value is not None and value not in known:
        yield FieldError(path, NOT_SUPPORTED, value, supported(known))


def _twice(path: str, found: Iterable[Any]) -> Errors:
    seen: list[Any] = []
    for place, value in found:
        if value in seen:
            yield FieldError(path.format(place), DUPLICATE, value)
        seen.append(value)


# webhooks


def webhooks(obj: Object) -> Errors:
    """A MutatingWebhookConfiguration or a ValidatingWebhookConfiguration."""
    entries = obj.get("webhooks") or []
    for place, entry in enumerate(entries):
        yield from _webhook(entry, f"webhooks[{place}]")
    yield from _twice("webhooks[{}].name", enumerate(entry["name"] for entry in entries))


def _webhook(entry: Object, path: str) -> Errors:
    yield from _full_name(entry["name"], f"{path}.name")
    for place, rule in enumerate(entry.get("rules") or ()):
        yield from _rule(rule, f"{path}.rules[{place}]")
    for field, known in WORDS.items():
        yield from _word(f"{path}.{field}", entry.get(field), known)
    if entry.get("sideEffects") is None:
        words = "must specify one of None, NoneOnDryRun"
        yield FieldError(f"{path}.sideEffects", REQUIRED, detail=words)
    if not 1 <= (entry.get("timeoutSeconds") or 10) <= 30:
        words = "the timeout value must be between 1 and 30 seconds"
        yield FieldError(f"{path}.timeoutSeconds", INVALID, entry["timeoutSeconds"], words)
    yield from _selectors(entry, path)
    yield from client_config(entry["clientConfig"], f"{path}.clientConfig")
    yield from _match_conditions(entry.get("matchConditions") or [], VARIABLES, f"{path}.matchConditions")
    yield from review_versions(entry.get("admissionReviewVersions") or [], f"{path}.admissionReviewVersions")


def _full_name(name: str, path: str) -> Errors:
    if not name:
        yield FieldError(path, REQUIRED)
    yield from each(path, name, names.dns_subdomain(name) if name else [])
    if name and len(name.split(".")) < 3:
        yield FieldError(path, INVALID, name, "should be a domain with at least three segments separated by dots")


def _selectors(found: Object, path: str) -> Errors:
    for field in ("namespaceSelector", "objectSelector"):
        try:
            from_label_selector(found.get(field) or {})
        except (ValueError, KeyError) as error:
            yield FieldError(f"{path}.{field}", INVALID, found[field], str(error))


def review_versions(versions: list[str], path: str) -> Errors:
    if not versions:
        yield FieldError(path, REQUIRED, detail="must specify one of v1, v1beta1")
        return
    for place, version in enumerate(versions):
        if version in versions[:place]:
            yield FieldError(f"{path}[{place}]", INVALID, version, "duplicate version")
        yield from each(f"{path}[{place}]", version, names.dns_1035_label(version))
    if not set(versions) & set(REVIEWS):
        yield FieldError(path, INVALID, versions, "must include at least one of v1, v1beta1")


def client_config(found: Object, path: str) -> Errors:
    """How to reach a webhook: exactly one of a URL and a Service."""
    url, service = found.get("url"), found.get("service")
    if (url is None) == (service is None):
        yield FieldError(path, REQUIRED, detail="exactly one of url or service is required")
    elif service is not None:
        yield from _service(service, f"{path}.service")
    else:
        yield from _url(str(url), f"{path}.url")


def _url(url: str, path: str) -> Errors:
    form = "; desired format: https://host[/path]"
    try:
        parts = urlsplit(url)
        host = parts.netloc
    except ValueError as error:
        yield FieldError(path, REQUIRED, detail=f"url must be a valid URL: {error}{form}")
        return
    if parts.scheme != "https":
        yield FieldError(path, INVALID, parts.scheme, f"'https' is the only allowed URL scheme{form}")
    if not host:
        yield FieldError(path, INVALID, host, f"host must be provided{form}")
    user, _, _ = host.rpartition("@")
    for value, words in ((user, "user information is not permitted in the URL"),
                         (parts.fragment, "fragments are not permitted in the URL"),
                         (parts.query, "query parameters are not permitted in the URL")):  # fmt: skip
        if value:
            yield FieldError(path, INVALID, value, words)


def _service(service: Object, path: str) -> Errors:
    for field in ("name", "namespace"):
        if not service.get(field):
            yield FieldError(f"{path}.{field}", REQUIRED, detail=f"service {field} is required")
    port = service.get("port", 443)
    for complaint in names.port_number(port):
        yield FieldError(f"{path}.port", INVALID, port, f"port is not valid: {complaint}")
    yield from _service_path(service.get("path") or "/", f"{path}.path")


def _service_path(found: str, path: str) -> Errors:
    if found == "/":
        return
    if not found.startswith("/"):
        yield FieldError(path, INVALID, found, "must start with a '/'")
    for place, segment in enumerate(found.removeprefix("/").removesuffix("/").split("/")):
        if not segment:
            yield FieldError(path, INVALID, found, f"segment[{place}] may not be empty")
        for complaint in names.dns_subdomain(segment) if segment else ():
            yield FieldError(path, INVALID, found, f"segment[{place}]: {complaint}")


# rules


def _rule(rule: Object, path: str) -> Errors:
    yield from _listed(rule.get("operations"), f"{path}.operations", "operations")
    for place, operation in enumerate(rule.get("operations") or ()):
        yield from _word(f"{path}.operations[{place}]", operation, OPERATIONS)
    yield from _listed(rule.get("apiGroups"), f"{path}.apiGroups", "API groups")
    yield from _listed(rule.get("apiVersions"), f"{path}.apiVersions", "API versions")
    for place, version in enumerate(rule.get("apiVersions") or ()):
        if not version:
            yield FieldError(f"{path}.apiVersions[{place}]", REQUIRED)
    yield from _resources(rule.get("resources") or [], f"{path}.resources")
    yield from _word(f"{path}.scope", rule.get("scope"), ("*", "Cluster", "Namespaced"))


def _listed(found: list[str] | None, path: str, what: str) -> Errors:
    if not found:
        yield FieldError(path, REQUIRED)
    elif len(found) > 1 and "*" in found:
        yield FieldError(path, INVALID, found, f"if '*' is present, must not specify other {what}")


def _resources(found: list[str], path: str) -> Errors:
    if not found:
        yield FieldError(path, REQUIRED)
    all_of, everywhere = set[str](), set[str]()
    for place, word in enumerate(found):
        resource, _, subresource = word.partition("/")
        if not word:
            yield FieldError(f"{path}[{place}]", REQUIRED)
        if resource in all_of:
            yield FieldError(f"{path}[{place}]", INVALID, word,
                             f"if '{resource}/*' is present, must not specify {word}")  # fmt: skip
        if subresource and subresource in everywhere:
            yield FieldError(f"{path}[{place}]", INVALID, word,
                             f"if '*/{subresource}' is present, must not specify {word}")  # fmt: skip
        all_of |= {resource} if subresource == "*" else set()
        everywhere |= {subresource} if resource == "*" and subresource else set()
    if len(found) > 1 and "*/*" in found:
        yield FieldError(path, INVALID, found, "if '*/*' is present, must not specify other resources")
    if "*" in found and any("/" not in word and word != "*" for word in found):
        words = "if '*' is present, must not specify other resources without subresources"
        yield FieldError(path, INVALID, found, words)


# expressions


def _expression(text: str, known: tuple[str, ...], path: str) -> Errors:
    if not text.strip():
        yield FieldError(path, REQUIRED)
        return
    try:
        expression(text, known, ABOUT_RIGHTS)
    except CelError as error:
        yield FieldError(path, INVALID, text, str(error))


def _match_conditions(entries: list[Object], known: tuple[str, ...], path: str) -> Errors:
    if len(entries) > MOST_CONDITIONS:
        yield FieldError(path, TOO_MANY, len(entries), f"must have at most {MOST_CONDITIONS} items")
    for place, entry in enumerate(entries):
        yield from _expression(entry["expression"], known, f"{path}[{place}].expression")
        if not entry["name"]:
            yield FieldError(f"{path}[{place}].name", REQUIRED)
        else:
            yield from each(f"{path}[{place}].name", entry["name"], names.qualified_name(entry["name"]))
    yield from _twice(f"{path}[{{}}].name", enumerate(entry["name"] for entry in entries))


# policies


def policy(obj: Object) -> Errors:
    spec = obj["spec"]
    yield from _word("spec.failurePolicy", spec.get("failurePolicy"), WORDS["failurePolicy"])
    yield from _param_kind(spec.get("paramKind"), "spec.paramKind")
    constraints = spec.get("matchConstraints")
    if constraints is None:
        yield FieldError("spec.matchConstraints", REQUIRED)
    else:
        yield from _matching(constraints, "spec.matchConstraints")
        if not constraints.get("resourceRules"):
            yield FieldError("spec.matchConstraints.resourceRules", REQUIRED)
    known = of_policy(spec)
    conditions = of_policy(spec, variables=False)
    yield from _match_conditions(spec.get("matchConditions") or [], conditions, "spec.matchConditions")
    yield from _variables(spec.get("variables") or [], known)
    for place, validation in enumerate(spec.get("validations") or ()):
        yield from _validation(validation, spec, f"spec.validations[{place}]")
    yield from _audit_annotations(name_of(obj), spec)
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        for field in ("validations", "auditAnnotations"):
            words = "validations or auditAnnotations must contain at least one item"
            yield FieldError(f"spec.{field}", REQUIRED, detail=words)


def _param_kind(found: Object | None, path: str) -> Errors:
    if found is None:
        return
    for field in ("apiVersion", "kind"):
        if not found.get(field):
            yield FieldError(f"{path}.{field}", REQUIRED)
    version = found.get("apiVersion") or ""
    if version.count("/") > 1:
        yield FieldError(f"{path}.apiVersion", INVALID, version, f"unexpected GroupVersion string: {version}")


def _matching(found: Object, path: str) -> Errors:
    yield from _word(f"{path}.matchPolicy", found.get("matchPolicy"), WORDS["matchPolicy"])
    yield from _selectors(found, path)
    for field in ("resourceRules", "excludeResourceRules"):
        for place, rule in enumerate(found.get(field) or ()):
            where = f"{path}.{field}[{place}]"
            for number, name in enumerate(rule.get("resourceNames") or ()):
                yield from each(f"{where}.resourceNames[{number}]", name, path_segment(name))
            yield from _twice(f"{where}.resourceNames[{{}}]", enumerate(rule.get("resourceNames") or ()))
            yield from _rule(rule, where)


def _variables(variables: list[Object], known: tuple[str, ...]) -> Errors:
    for place, variable in enumerate(variables):
        path = f"spec.variables[{place}]"
        if not variable["name"].strip():
            yield FieldError(f"{path}.name", REQUIRED, detail="name is not specified")
        elif not _IDENTIFIER.fullmatch(variable["name"]):
            yield FieldError(f"{path}.name", INVALID, variable["name"], "name is not a valid CEL identifier")
        if not variable["expression"].strip():
            yield FieldError(f"{path}.expression", REQUIRED, detail="expression is not specified")
        else:
            yield from _expression(variable["expression"], known, f"{path}.expression")
    yield from _twice("spec.variables[{}].name", enumerate(variable["name"] for variable in variables))


def _validation(found: Object, spec: Object, path: str) -> Errors:
    if not found["expression"].strip():
        yield FieldError(f"{path}.expression", REQUIRED, detail="expression is not specified")
    else:
        yield from _expression(found["expression"], of_policy(spec), f"{path}.expression")
    said = found.get("messageExpression") or ""
    if said and not said.strip():
        yield FieldError(f"{path}.messageExpression", INVALID, said, "must be non-empty if specified")
    elif said:
        known = of_policy(spec, authorizer=False)
        yield from _expression(said, known, f"{path}.messageExpression")
    message = found.get("message") or ""
    if message and not message.strip():
        yield FieldError(f"{path}.message", INVALID, message, "message must be non-empty if specified")
    elif "\n" in message.strip():
        yield FieldError(f"{path}.message", INVALID, message, "message must not contain line breaks")
    yield from _word(f"{path}.reason", found.get("reason"), REASONS)


def _audit_annotations(name: str, spec: Object) -> Errors:
    entries = spec.get("auditAnnotations") or []
    path, known = "spec.auditAnnotations", of_policy(spec, authorizer=False)
    if len(entries) > MOST_ANNOTATIONS:
        yield FieldError(path, INVALID, len(entries), f"must not have more than {MOST_ANNOTATIONS} auditAnnotations")
    for place, entry in enumerate(entries):
        yield from each(f"{path}[{place}].key", entry["key"], names.qualified_name(f"{name}/{entry['key']}"))
        yield from _expression(entry["valueExpression"], known, f"{path}[{place}].valueExpression")
    yield from _twice(f"{path}[{{}}].key", enumerate(entry["key"] for entry in entries))


def binding(obj: Object) -> Errors:
    spec = obj["spec"]
    if not spec.get("policyName"):
        yield FieldError("spec.policyName", REQUIRED)
    else:
        yield from each("spec.policyName", spec["policyName"], names.dns_subdomain(spec["policyName"]))
    yield from _param_reference(spec.get("paramRef"), "spec.paramRef")
    if spec.get("matchResources"):
        yield from _matching(spec["matchResources"], "spec.matchResouces")  # spelt as upstream spells it
    actions = spec.get("validationActions") or []
    for place, action in enumerate(actions):
        yield from _word(f"spec.validationActions[{place}]", action, ACTIONS)
    yield from _twice("spec.validationActions[{}]", enumerate(actions))
    if {"Deny", "Warn"} <= set(actions):
        words = ("must not contain both Deny and Warn (repeating the same validation failure information in the API "
                 "response and headers serves no purpose)")  # fmt: skip
        yield FieldError("spec.validationActions", INVALID, actions, words)
    if not actions:
        yield FieldError("spec.validationActions", REQUIRED, detail="at least one validation action is required")


def _param_reference(found: Object | None, path: str) -> Errors:
    if found is None:
        return
    if found.get("name") and found.get("selector"):
        yield FieldError(f"{path}.name", INVALID, found["name"], "name and selector are mutually exclusive")
    if not found.get("name") and found.get("selector") is None:
        yield FieldError(path, REQUIRED, detail="one of name or selector must be specified")
    if found.get("parameterNotFoundAction") is None:
        words = "parameterNotFoundAction is required"
        yield FieldError(f"{path}.parameterNotFoundAction", REQUIRED, detail=words)
    yield from _word(f"{path}.parameterNotFoundAction", found.get("parameterNotFoundAction"), ("Allow", "Deny"))


# aggregation


def api_service(obj: Object) -> Errors:
    spec, name = obj["spec"], name_of(obj)
    group, version = spec.get("group") or "", spec.get("version") or ""
    if name != f"{version}.{group}":
        wanted = f'must be `spec.version+"."+spec.group`: "{version}.{group}"'
        yield FieldError("metadata.name", INVALID, name, wanted)
    if not group and version != "v1":
        words = "only v1 may have an empty group and it better be legacy kube"
        yield FieldError("spec.group", REQUIRED, detail=words)
    yield from each("spec.group", group, names.dns_subdomain(group) if group else [])
    yield from each("spec.version", version, names.dns_1035_label(version))
    for field, most in (("groupPriorityMinimum", 20000), ("versionPriority", 1000)):
        if not 0 < (spec.get(field) or 0) <= most:
            yield FieldError(f"spec.{field}", INVALID, spec.get(field), f"must be positive and less than {most}")
    yield from _served_elsewhere(spec) if spec.get("service") else _served_here(spec)


def _served_here(spec: Object) -> Errors:
    if spec.get("caBundle"):
        words = "local APIServices may not have a caBundle"
        yield FieldError("spec.caBundle", INVALID, f"{len(spec['caBundle'])} bytes", words)
    if spec.get("insecureSkipTLSVerify"):
        words = "local APIServices may not have insecureSkipTLSVerify"
        yield FieldError("spec.insecureSkipTLSVerify", INVALID, True, words)


def _served_elsewhere(spec: Object) -> Errors:
    for field in ("namespace", "name"):
        if not spec["service"].get(field):
            yield FieldError(f"spec.service.{field}", REQUIRED)
    if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
        yield FieldError("spec.insecureSkipTLSVerify", INVALID, True, "may not be true if caBundle is present")
