"""persistentvolume-expander-controller: says of a claim that wants to grow who is awaited.

Interface: `ExpandController`. The rule not to break: it grows nothing; the provisioner of the volume does.
Source: `pkg/controller/volume/expand` in the kubernetes repository, which can grow volumes of a few built-in sorts.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, get_path
from k8snb.apimachinery.quantity import parse
from k8snb.apimachinery.storage import is_fully_bound, size_asked
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.events import NORMAL, EventRecorder
from k8snb.client.informer import Informers

AWAITED = "waiting for an external controller to expand this PVC"


class ExpandController(Controller):
    name = "expand-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.events = EventRecorder(self.client, "volume_expand", self.clock)
        self.claims = informers.get("persistentvolumeclaims")
        self.claims.on_change(self._claim_changed)

    def _claim_changed(self, old: Object | None, new: Object | None) -> None:
        """A claim is looked at when it asks for more than before."""
        if old is not None and new is not None and size_asked(new) > size_asked(old):
            self.enqueue(new)

    def sync(self, key: str) -> None:
        claim = self.claims.by_key(key)
        if claim is None or not is_fully_bound(claim):
            return
        if size_asked(claim) > parse(get_path(claim, "status.capacity.storage", "0")):
            self.events.event(claim, NORMAL, "ExternalExpanding", AWAITED)
