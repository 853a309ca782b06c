"""ResourceQuota: the admission plug-in that charges a namespace's quotas, and refuses what they have no room for.

Interface: `resource_quota`, a plug-in.
The rule not to break: a charge is written at the revision it was worked out from, or worked out again; so writes that
come at the same time cannot together exceed what each of them alone would not.
Source: `apiserver/pkg/admission/plugin/resourcequota/controller.go`. What is given back, the resource quota controller
finds out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from k8snb.apimachinery import quota as quotas
from k8snb.apimachinery.errors import ApiError, conflict, forbidden
from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of, revision_of, with_path
from k8snb.apimachinery.pod_resources import Amounts, amounts, total
from k8snb.apimachinery.quantity import Quantity
from k8snb.apimachinery.quota import Evaluator, evaluator
from k8snb.apiserver.admission_plugin import kind_of, objects
from k8snb.client import Request
from k8snb.clock import Clock
from k8snb.etcd import MismatchError, Store
from k8snb.trace import Origin

WHO = "system:apiserver"
ATTEMPTS = 4


class Server(Protocol):
    store: Store
    clock: Clock


class Charge(NamedTuple):
    """A quota, and what it says is used after the request."""

    quota: Object
    used: Amounts


def resource_quota(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """Refuse what exceeds a quota; charge the quotas for what does not."""
    if request.subresource or request.verb not in ("create", "update", "patch"):
        return obj
    rule = evaluator(request.kind)
    if rule is None or (old is not None and not rule.on_update):
        return obj
    charged: set[str] = set()
    for _ in range(ATTEMPTS):
        charges = [c for c in _charges(server, request, rule, obj, old) if name_of(c.quota) not in charged]
        if request.options.get("dryRun"):
            return obj
        charged |= {name_of(charge.quota) for charge in charges if _write(server, request, charge)}
        if all(name_of(charge.quota) in charged for charge in charges):
            return obj
    raise conflict(kind_of("resourcequotas"), "", "the quotas of the namespace keep changing; please try again")


def _charges(server: Server, request: Request, rule: Evaluator, obj: Object, old: Object | None) -> Iterator[Charge]:
    """What the request adds to each quota that it concerns. Raises Forbidden where that is too much."""
    for quota in objects(server, "resourcequotas", namespace_of(obj)):
        names = rule.matching(get_path(quota, "status.hard") or ())
        if not names or not rule.covers(quota, obj):
            continue
        _check_known(request, quota, names, obj)
        usage = rule.usage(obj)
        if old is not None and rule.covers(quota, old):
            usage = _grown(usage, rule.usage(old))
        asked = {name: amount for name, amount in quotas.masked(usage, names).items() if amount}
        if asked:
            yield Charge(quota, _with(request, quota, asked, obj))


def _check_known(request: Request, quota: Object, names: list[str], obj: Object) -> None:
    """The object says what the quota needs to know, and the quota has been counted."""
    missing = quotas.missing_resources(obj, names) if request.kind.builtin == "pods" else ""
    if missing:
        raise _refused(request, obj, f"failed quota: {name_of(quota)}: {missing}")
    used = get_path(quota, "status.used") or {}
    if any(name not in used for name in names):
        why = f"status unknown for quota: {name_of(quota)}, resources: {','.join(sorted(names))}"
        raise _refused(request, obj, why)


def _grown(now: Amounts, before: Amounts) -> Amounts:
    """By how much the usage grows; what shrinks is for the controller to find out."""
    return {name: max(amount - before.get(name, Quantity(0)), Quantity(0)) for name, amount in now.items()}


def _with(request: Request, quota: Object, asked: Amounts, obj: Object) -> Amounts:
    """The quota's usage with what is asked for. Raises Forbidden."""
    used, hard = amounts(quota["status"]["used"]), amounts(quota["status"]["hard"])
    after = total((used, asked))
    exceeded = quotas.exceeding(quotas.masked(after, asked), hard)
    if exceeded:
        parts = (("requested", asked), ("used", used), ("limited", hard))
        words = ", ".join(f"{word}: {quotas.text(quotas.masked(found, exceeded))}" for word, found in parts)
        raise _refused(request, obj, f"exceeded quota: {name_of(quota)}, {words}")
    return after


def _refused(request: Request, obj: Object, why: str) -> ApiError:
    return forbidden(request.kind, name_of(obj), why)


def _write(server: Server, request: Request, charge: Charge) -> bool:
    """Store the usage; whether the quota was still what it was when that was worked out."""
    quota = charge.quota
    used = {name: str(amount) for name, amount in sorted(charge.used.items())}
    charged = with_path(quota, "status.used", used)
    charged["metadata"] = {**charged["metadata"]}
    key = kind_of("resourcequotas").key(namespace_of(quota), name_of(quota))
    origin = Origin(WHO, "update status", request.cause, server.clock.now(), "kube-apiserver", None, None)
    try:
        server.store.put(key, charged, expected=revision_of(quota), origin=origin)
    except MismatchError:
        return False
    return True
