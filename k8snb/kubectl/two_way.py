"""Two-way patches: from one state of an object to another.

Interface: `difference(kind, before, after)`.
The rule not to break: what is sent is the difference alone, so that nobody else's fields are written back.
Source: `CreateTwoWayMergePatch` in `apimachinery/pkg/util/strategicpatch`.
"""

from __future__ import annotations

from k8snb.apimachinery import patch, schema
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object
from k8snb.client.client import MERGE, STRATEGIC


def difference(kind: Kind, before: Object, after: Object) -> tuple[Object, str]:
    """The patch, {} where there is nothing to change, and its content type."""
    shape = schema.load().definition(after["apiVersion"], after["kind"])
    return patch.three_way_merge(
        before, after, before, shape
    ), MERGE if kind.custom is not None or kind.remote else STRATEGIC
