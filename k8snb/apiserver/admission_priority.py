"""Priority: the admission plug-in that turns the name of a PriorityClass into a number.

Interface: `priority`, a plug-in that fills in; `one_default`, one that refuses; `bootstrap(client)` makes the two
classes of the system.
The rule not to break: the number in a pod is that of its class at the time the pod was made; a class never changes its.
Source: `plugin/pkg/admission/priority/admission.go`, `pkg/apis/scheduling/helpers.go`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from k8snb.apimachinery.errors import forbidden
from k8snb.apimachinery.meta import Object, name_of
from k8snb.apiserver.admission_plugin import Server, creates, find_object, objects, updates
from k8snb.apiserver.validation_classes import SYSTEM_CLASSES
from k8snb.client import Client, Request

PREEMPT = "PreemptLowerPriority"
DESCRIPTIONS: Mapping[str, str] = MappingProxyType({
    "system-node-critical": "Used for system critical pods that must not be moved from their current node.",
    "system-cluster-critical": "Used for system critical pods that must run in the cluster, but can be moved to "
                               "another node if necessary.",
})  # fmt: skip


def priority(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """The number and the preemption policy of a new pod's class; a pod that names none has the default class."""
    if updates(request, "pods") and old is not None:
        return _kept(obj, old)
    if not creates(request, "pods"):
        return obj
    spec = obj["spec"]
    found = _class_of(server, request, obj)
    value = found["value"] if found else 0
    policy = (found or {}).get("preemptionPolicy", PREEMPT)
    _refuse_numbers(request, obj, value, policy)
    named = {"priorityClassName": name_of(found)} if found else {}
    return {**obj, "spec": {**spec, **named, "priority": value, "preemptionPolicy": policy}}


def one_default(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """Only one class may be everybody's default."""
    written = creates(request, "priorityclasses") or updates(request, "priorityclasses")
    if not written or not obj.get("globalDefault"):
        return obj
    present = default_class(server)
    if present is not None and (old is None or name_of(present) != name_of(obj)):
        why = f"PriorityClass {name_of(present)} is already marked as default. Only one default can exist"
        raise forbidden(request.kind, name_of(obj), why)
    return obj


def default_class(server: Server) -> Object | None:
    """The class of pods that name none; of several the least."""
    found = [each for each in objects(server, "priorityclasses") if each.get("globalDefault")]
    return min(found, key=lambda each: each["value"], default=None)


def bootstrap(client: Client) -> None:
    """The classes of the system. Making them again changes nothing."""
    for name, value in SYSTEM_CLASSES.items():
        if client.find("priorityclasses", name) is None:
            made = {"metadata": {"name": name}, "value": value, "description": DESCRIPTIONS[name]}
            client.create("priorityclasses", made)


def _class_of(server: Server, request: Request, pod: Object) -> Object | None:
    name = pod["spec"].get("priorityClassName")
    if not name:
        return default_class(server)
    found = find_object(server, "priorityclasses", name)
    if found is None:
        raise forbidden(request.kind, name_of(pod), f"no PriorityClass with name {name} was found")
    return found


def _refuse_numbers(request: Request, pod: Object, value: int, policy: str) -> None:
    """A pod names its class; the number that goes with it is not its to say."""
    said, end = pod["spec"], "from the given PriorityClass name"
    if said.get("priority") not in (None, value):
        why = (f"the integer value of priority ({said['priority']}) must not be provided in pod spec; "
               f"priority admission controller computed {value} {end}")  # fmt: skip
        raise forbidden(request.kind, name_of(pod), why)
    if said.get("preemptionPolicy") not in (None, policy):
        why = (f"the string value of PreemptionPolicy ({said['preemptionPolicy']}) must not be provided in pod spec; "
               f"priority admission controller computed {policy} {end}")  # fmt: skip
        raise forbidden(request.kind, name_of(pod), why)


def _kept(obj: Object, old: Object) -> Object:
    """A client that does not know of these fields does not take them away."""
    fields = ("priority", "preemptionPolicy")
    kept = {field: old["spec"][field] for field in fields if field in old["spec"] and field not in obj["spec"]}
    return {**obj, "spec": {**obj["spec"], **kept}} if kept else obj
