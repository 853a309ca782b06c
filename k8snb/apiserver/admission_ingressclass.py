"""DefaultIngressClass: the admission plug-in that names the class of an Ingress that names none.

Interface: `default_ingress_class`, a plug-in.
The rule not to break: the old annotation counts as a name.
Source: `plugin/pkg/admission/network/defaultingressclass/admission.go`.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, annotations_of, name_of
from k8snb.apiserver.admission_plugin import Server, creates, objects
from k8snb.client import Request

IS_DEFAULT = "ingressclass.kubernetes.io/is-default-class"
OLD_NAME = "kubernetes.io/ingress.class"


def default_ingress_class(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """The default class; of several the newest, and of those the first by name."""
    if not creates(request, "ingresses"):
        return obj
    if obj["spec"].get("ingressClassName") is not None or OLD_NAME in annotations_of(obj):
        return obj
    found = [each for each in objects(server, "ingressclasses") if annotations_of(each).get(IS_DEFAULT) == "true"]
    if not found:
        return obj
    newest = max(each["metadata"]["creationTimestamp"] for each in found)
    name = next(name_of(each) for each in found if each["metadata"]["creationTimestamp"] == newest)
    return {**obj, "spec": {**obj["spec"], "ingressClassName": name}}
