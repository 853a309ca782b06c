"""kube-apiserver's answers to a deletion: the object as it was, or a Status that names it.

Interface: `RETURNED`, the kinds whose deletion answers the object; `deleted(kind, obj)`.
The rule not to break: an object that only began to end is answered as it is; only what has left the store is "deleted".
Source: `apiserver/pkg/registry/generic/registry/store.go` (finalizeDelete) and `ReturnDeletedObject` in
`pkg/registry/*/storage`.
"""

from __future__ import annotations

from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, name_of, uid_of

RETURNED = frozenset((
    "persistentvolumeclaims", "persistentvolumes", "pods", "podtemplates", "resourcequotas", "serviceaccounts",
    "services", "csidrivers", "csinodes", "storageclasses", "volumeattachments",
))  # fmt: skip


def deleted(kind: Kind, obj: Object) -> Object:
    """What a client is told of an object that is gone."""
    if kind.builtin in RETURNED:
        return obj
    group = {"group": kind.group} if kind.group else {}
    details = {"name": name_of(obj), **group, "kind": kind.plural, "uid": uid_of(obj)}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
