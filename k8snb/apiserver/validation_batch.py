"""kube-apiserver's validation of Jobs and CronJobs.

Interface: `job`, `cron_job` for what stands in an object; `job_change` for what may not change. All pure.
The rule not to break: what the pods of a Job were made from does not change while it runs.
Source: `pkg/apis/batch/validation/validation.go`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from k8snb.apimachinery import cron, indexes, names
from k8snb.apimachinery.errors import (
    DUPLICATE,
    INVALID,
    NOT_SUPPORTED,
    OMITTED,
    REQUIRED,
    TOO_LONG,
    TOO_MANY,
    FieldError,
)
from k8snb.apimachinery.meta import Object, get_path, name_of, uid_of
from k8snb.apimachinery.selectors import from_label_selector
from k8snb.apiserver.job_strategy import CONTROLLER_UID, JOB_NAME, LEGACY_CONTROLLER_UID, LEGACY_JOB_NAME
from k8snb.apiserver.validation_apps import MISMATCH, label_selector
from k8snb.apiserver.validation_fields import IMMUTABLE, NEGATIVE, Errors, each, labels
from k8snb.apiserver.validation_pods import template_spec

NAME_LENGTH = 52  # of a CronJob: what it adds to it for its Jobs has 11 characters
PARALLELISM, FAILED_INDEXES, MANAGED_BY, INDEXES_TEXT = 100_000, 100_000, 63, 64 * 1024
MANY_COMPLETIONS, LIMIT_WITH_MANY = 100_000, 10_000
RULES, PATTERNS, EXIT_CODES = 20, 20, 255

INDEXED, NON_INDEXED = "Indexed", "NonIndexed"
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
OPERATORS = ("In", "NotIn")
STATUSES = ("False", "True", "Unknown")
REPLACEMENTS = ("Failed", "TerminatingOrFailed")
CONCURRENCY = ("Allow", "Forbid", "Replace")
NOT_NEGATIVE = ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
                "backoffLimitPerIndex", "maxFailedIndexes")  # fmt: skip
FIXED = ("selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")
ZONE_PART = re.compile(r"[A-Za-z._0-9+][A-Za-z._0-9+-]{0,13}")


def job(obj: Object) -> Errors:
    """A Job, with the selector that the server has given it."""
    spec = obj["spec"]
    yield from _generated_selector(obj)
    yield from _job_spec(spec, "spec")
    yield from _selector(spec)
    if spec.get("completionMode") == INDEXED and spec.get("completions", 0) > 0:
        longest = f"{name_of(obj)}-{spec['completions'] - 1}"
        if names.dns_label(longest):
            words = f"will not able to create pod with invalid DNS label: {longest}"
            yield FieldError("metadata.name", INVALID, name_of(obj), words)


def _selector(spec: Object) -> Errors:
    if not spec.get("selector"):
        yield FieldError("spec.selector", REQUIRED)
        return
    wrong = list(label_selector(spec["selector"], "spec.selector"))
    found = get_path(spec, "template.metadata.labels") or {}
    if wrong:
        yield from wrong
    elif not from_label_selector(spec["selector"]).matches(found):
        yield FieldError("spec.template.metadata.labels", INVALID, found, MISMATCH)


def _generated_selector(obj: Object) -> Errors:
    """Where the server writes the selector, the labels that belong to it may not say something else."""
    spec = obj["spec"]
    if spec.get("manualSelector") or not spec.get("selector"):
        return
    wanted = dict.fromkeys((LEGACY_CONTROLLER_UID, CONTROLLER_UID), uid_of(obj))
    wanted.update(dict.fromkeys((LEGACY_JOB_NAME, JOB_NAME), name_of(obj)))
    found = get_path(spec, "template.metadata.labels") or {}
    for key, value in wanted.items():
        path, words = f"spec.template.metadata.labels[{key}]", f"must be '{value}'"
        if key not in found:
            yield FieldError(path, REQUIRED, None, words)
        elif found[key] != value:
            yield FieldError(path, INVALID, found, words)
    if not from_label_selector(spec["selector"]).matches(wanted):
        yield FieldError("spec.selector", INVALID, spec["selector"], "`selector` not auto-generated")


def _job_spec(spec: Object, path: str) -> Errors:
    """What a Job's spec and that of a CronJob's template have in common."""
    for name in NOT_NEGATIVE:
        yield from _not_negative(spec.get(name), f"{path}.{name}")
    if "maxFailedIndexes" in spec and "backoffLimitPerIndex" not in spec:
        yield FieldError(f"{path}.backoffLimitPerIndex", REQUIRED, None, "when maxFailedIndexes is specified")
    yield from _managed_by(spec.get("managedBy"), f"{path}.managedBy")
    mode = spec.get("completionMode", NON_INDEXED)
    if mode not in (NON_INDEXED, INDEXED):
        yield _unsupported(f"{path}.completionMode", mode, (NON_INDEXED, INDEXED))
    yield from (_indexed if mode == INDEXED else _not_indexed)(spec, path)
    if "podFailurePolicy" in spec:
        yield from _failure_policy(spec, f"{path}.podFailurePolicy.rules")
    replaced = spec.get("podReplacementPolicy")
    allowed = REPLACEMENTS[:1] if "podFailurePolicy" in spec else REPLACEMENTS
    if replaced is not None and replaced not in allowed:
        yield _unsupported(f"{path}.podReplacementPolicy", replaced, allowed)
    yield from _template(spec.get("template") or {}, f"{path}.template")
    yield from _restart_policy(spec, f"{path}.template.spec.restartPolicy")


def _template(template: Object, path: str) -> Errors:
    yield from labels(get_path(template, "metadata.labels"), f"{path}.metadata.labels")
    yield from template_spec(template.get("spec") or {}, f"{path}.spec")


def _restart_policy(spec: Object, path: str) -> Errors:
    policy = get_path(spec, "template.spec.restartPolicy") or "Always"
    if policy == "Always":
        yield FieldError(path, REQUIRED, None, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        yield _unsupported(path, policy, ("OnFailure", "Never"))
    elif "podFailurePolicy" in spec and policy != "Never":
        yield FieldError(path, INVALID, policy, 'only "Never" is supported when podFailurePolicy is specified')


def _managed_by(value: str | None, path: str) -> Errors:
    if value is None:
        return
    domain, _, rest = value.partition("/")
    if not value:
        yield FieldError(path, REQUIRED)
    elif not domain or not rest:
        yield FieldError(path, INVALID, value, 'must be a domain-prefixed path (such as "acme.io/foo")')
    else:
        yield from each(path, domain, names.dns_subdomain(domain))
    if len(value) > MANAGED_BY:
        yield FieldError(path, TOO_LONG, value, f"may not be more than {MANAGED_BY} bytes")


def _not_indexed(spec: Object, path: str) -> Errors:
    for name in ("backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"):
        if name in spec:
            yield FieldError(f"{path}.{name}", INVALID, spec[name], "requires indexed completion mode")


def _indexed(spec: Object, path: str) -> Errors:
    completions, failed = spec.get("completions"), spec.get("maxFailedIndexes")
    if completions is None:
        yield FieldError(f"{path}.completions", REQUIRED, None, f"when completion mode is {INDEXED}")
    yield from _at_most(spec, path, "parallelism", PARALLELISM, f" when completion mode is {INDEXED}")
    if completions is not None and failed is not None and failed > completions:
        yield FieldError(f"{path}.maxFailedIndexes", INVALID, failed, "must be less than or equal to completions")
    yield from _at_most(spec, path, "maxFailedIndexes", FAILED_INDEXES)
    if (completions or 0) > MANY_COMPLETIONS and "backoffLimitPerIndex" in spec:
        if failed is None:
            words = f"must be specified when completions is above {MANY_COMPLETIONS}"
            yield FieldError(f"{path}.maxFailedIndexes", REQUIRED, None, words)
        when = f" when completions are above {MANY_COMPLETIONS} and used with backoff limit per index"
        yield from _at_most(spec, path, "parallelism", LIMIT_WITH_MANY, when)
        yield from _at_most(spec, path, "maxFailedIndexes", LIMIT_WITH_MANY, when)
    if "successPolicy" in spec:
        yield from _success_policy(spec, f"{path}.successPolicy.rules")


def _at_most(spec: Object, path: str, name: str, limit: int, when: str = "") -> Errors:
    if spec.get(name, 0) > limit:
        yield FieldError(f"{path}.{name}", INVALID, spec[name], f"must be less than or equal to {limit}{when}")


# pod failure policy


def _failure_policy(spec: Object, path: str) -> Errors:
    rules = spec["podFailurePolicy"].get("rules") or []
    yield from _not_too_many(rules, path, RULES)
    template = get_path(spec, "template.spec") or {}
    found = {entry["name"] for field in ("containers", "initContainers") for entry in template.get(field) or ()}
    for number, rule in enumerate(rules):
        yield from _failure_rule(spec, rule, f"{path}[{number}]", found)


def _failure_rule(spec: Object, rule: Object, path: str, containers: set[str]) -> Errors:
    yield from _one_of(rule, path, "action", ACTIONS)
    if rule.get("action") == "FailIndex" and "backoffLimitPerIndex" not in spec:
        yield FieldError(f"{path}.action", INVALID, "FailIndex", "requires the backoffLimitPerIndex to be set")
    codes, patterns = rule.get("onExitCodes"), rule.get("onPodConditions") or []
    if codes is not None:
        yield from _exit_codes(codes, f"{path}.onExitCodes", containers)
    yield from _not_too_many(patterns, f"{path}.onPodConditions", PATTERNS)
    for number, pattern in enumerate(patterns):
        yield from _pattern(pattern, f"{path}.onPodConditions[{number}]")
    if codes is not None and patterns:
        yield FieldError(path, INVALID, OMITTED, "specifying both OnExitCodes and OnPodConditions is not supported")
    if codes is None and not patterns:
        yield FieldError(path, INVALID, OMITTED, "specifying one of OnExitCodes and OnPodConditions is required")


def _pattern(pattern: Object, path: str) -> Errors:
    sort = pattern.get("type", "")
    yield from each(f"{path}.type", sort, names.qualified_name(sort))
    yield from _one_of(pattern, path, "status", STATUSES)


def _exit_codes(wanted: Object, path: str, containers: set[str]) -> Errors:
    yield from _one_of(wanted, path, "operator", OPERATORS)
    name, values = wanted.get("containerName"), wanted.get("values") or []
    if name is not None and name not in containers:
        words = "must be one of the container or initContainer names in the pod template"
        yield FieldError(f"{path}.containerName", INVALID, name, words)
    if not values:
        yield FieldError(f"{path}.values", INVALID, values, "at least one value is required")
    yield from _not_too_many(values, f"{path}.values", EXIT_CODES)
    for number, value in enumerate(values):
        if wanted.get("operator") == "In" and value == 0:
            yield FieldError(f"{path}.values[{number}]", INVALID, value, "must not be 0 for the In operator")
        if value in values[:number]:
            yield FieldError(f"{path}.values[{number}]", DUPLICATE, value)
    if values != sorted(values):
        yield FieldError(f"{path}.values", INVALID, values, "must be ordered")


# success policy


def _success_policy(spec: Object, path: str) -> Errors:
    rules = spec["successPolicy"].get("rules") or []
    if not rules:
        words = "at least one rules must be specified when the successPolicy is specified"
        yield FieldError(path, REQUIRED, None, words)
    yield from _not_too_many(rules, path, RULES)
    for number, rule in enumerate(rules):
        yield from _success_rule(rule, f"{path}[{number}]", spec.get("completions") or 0)


def _success_rule(rule: Object, path: str, completions: int) -> Errors:
    wanted, text = rule.get("succeededCount"), rule.get("succeededIndexes")
    if wanted is None and text is None:
        words = "at least one of succeededCount or succeededIndexes must be specified"
        yield FieldError(path, REQUIRED, None, words)
    total = 0
    if text is not None:
        if len(text) > INDEXES_TEXT:
            yield FieldError(f"{path}.succeededIndexes", TOO_LONG, text, f"may not be more than {INDEXES_TEXT} bytes")
        try:
            total = indexes.count(text, completions)
        except ValueError as error:
            words = f"error parsing succeededIndexes: {error}"
            yield FieldError(f"{path}.succeededIndexes", INVALID, text, words)
    if wanted is None:
        return
    yield from _not_negative(wanted, f"{path}.succeededCount")
    limits = [(completions, "the number of specified completions")]
    if text is not None:
        limits.append((total, "the number of indexes in the specified succeededIndexes field"))
    for limit, what in limits:
        if wanted > limit:
            words = f"must be less than or equal to {limit} ({what})"
            yield FieldError(f"{path}.succeededCount", INVALID, wanted, words)


# changes


def job_change(obj: Object, old: Object) -> Errors:
    """A Job keeps what its pods are made from; a suspended one that has never started may be sent elsewhere."""
    spec, before = obj["spec"], old["spec"]
    yield from _completions_change(spec, before)
    for name in FIXED:
        if spec.get(name) != before.get(name):
            yield FieldError(f"spec.{name}", INVALID, spec.get(name), IMMUTABLE)
    kept = before["template"]
    if before.get("suspend") and not get_path(old, "status.startTime"):
        kept = _with_directives(kept, spec["template"])
    if spec["template"] != kept:
        yield FieldError("spec.template", INVALID, spec["template"], IMMUTABLE)


def _completions_change(spec: Object, before: Object) -> Errors:
    """An Indexed Job may be made larger or smaller, together with its parallelism."""
    wanted = spec.get("completions")
    if wanted == before.get("completions"):
        return
    if spec.get("completionMode") != INDEXED:
        yield FieldError("spec.completions", INVALID, wanted, IMMUTABLE)
    elif wanted is not None and wanted != spec.get("parallelism"):
        words = "can only be modified in tandem with spec.parallelism"
        yield FieldError("spec.completions", INVALID, wanted, words)


def _with_directives(template: Object, new: Object) -> Object:
    """A pod template with another one's word on where its pods run, and its labels and annotations."""
    metadata = _taken_over(template.get("metadata") or {}, new.get("metadata") or {}, ("labels", "annotations"))
    spec = _taken_over(template["spec"], new["spec"], ("nodeSelector", "tolerations", "schedulingGates"))
    affinity = _taken_over(spec.get("affinity") or {}, new["spec"].get("affinity") or {}, ("nodeAffinity",))
    if affinity or "affinity" in new["spec"]:
        spec["affinity"] = affinity
    else:
        spec.pop("affinity", None)
    return {**template, **({"metadata": metadata} if metadata or "metadata" in new else {}), "spec": spec}


def _taken_over(old: Object, new: Object, fields: Iterable[str]) -> Object:
    kept = {key: value for key, value in old.items() if key not in fields}
    return {**kept, **{key: new[key] for key in fields if key in new}}


# CronJobs


def cron_job(obj: Object) -> Errors:
    spec, template = obj["spec"], get_path(obj, "spec.jobTemplate.spec") or {}
    yield from _schedule(spec.get("schedule", ""), "spec.schedule")
    yield from _time_zone(spec.get("timeZone"), "spec.timeZone")
    yield from _one_of(spec, "spec", "concurrencyPolicy", CONCURRENCY)
    for name in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        yield from _not_negative(spec.get(name), f"spec.{name}")
    path = "spec.jobTemplate.spec"
    yield from _job_spec(template, path)
    if template.get("selector") is not None:
        yield FieldError(f"{path}.selector", INVALID, template["selector"], "`selector` will be auto-generated")
    if template.get("manualSelector"):
        yield _unsupported(f"{path}.manualSelector", True, ("nil", "false"))
    if len(name_of(obj)) > NAME_LENGTH:
        words = f"must be no more than {NAME_LENGTH} characters"
        yield FieldError("metadata.name", INVALID, name_of(obj), words)


def _schedule(text: str, path: str) -> Errors:
    if not text:
        yield FieldError(path, REQUIRED)
        return
    try:
        cron.parse(text)
    except ValueError as error:
        yield FieldError(path, INVALID, text, str(error))
    if "TZ" in text:
        yield FieldError(path, INVALID, text, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead")


def _time_zone(name: str | None, path: str) -> Errors:
    if name is None:
        return
    if not name:
        yield FieldError(path, INVALID, name, "timeZone must be nil or non-empty string")
    elif any(part in (".", "..") or not ZONE_PART.fullmatch(part) for part in name.split("/")):
        yield FieldError(path, INVALID, name, f"unknown time zone {name}")
    elif name.lower() == "local":
        words = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        yield FieldError(path, INVALID, name, words)
    else:
        try:
            cron.zone(name)
        except ValueError as error:
            yield FieldError(path, INVALID, name, str(error))


# complaints that many fields share


def _not_negative(value: Any, path: str) -> Errors:
    if value is not None and value < 0:
        yield FieldError(path, INVALID, value, NEGATIVE)


def _not_too_many(values: list[Any], path: str, limit: int) -> Errors:
    if len(values) > limit:
        yield FieldError(path, TOO_MANY, len(values), f"must have at most {limit} items")


def _one_of(obj: Object, path: str, field: str, allowed: tuple[str, ...]) -> Errors:
    value = obj.get(field)
    if not value:
        quoted = " ".join(f'"{each}"' for each in allowed)
        yield FieldError(f"{path}.{field}", REQUIRED, None, f"valid values: [{quoted}]")
    elif value not in allowed:
        yield _unsupported(f"{path}.{field}", value, allowed)


def _unsupported(path: str, value: Any, allowed: Iterable[str]) -> FieldError:
    return FieldError(path, NOT_SUPPORTED, value, "supported values: " + ", ".join(f'"{each}"' for each in allowed))
