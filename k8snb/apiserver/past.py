"""The apiserver of a moment that is past: it answers what it would have answered then.

Interface: `Past(server, revision, moment, lock)`, a `client.Transport`; `store`.
The rule not to break: it reads the revision log at one revision, kinds and roles of then included, and writes nothing.
Real Kubernetes lists at an old resourceVersion too, for the five minutes that etcd remembers.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from k8snb.apimachinery import custom_metrics
from k8snb.apimachinery.errors import ApiError, expired
from k8snb.apimachinery.kinds import METRICS, Kind
from k8snb.apiserver.outcalls import Outcall
from k8snb.apiserver.reviews import REVIEWS
from k8snb.apiserver.server import ApiServer
from k8snb.client import Request
from k8snb.clock import VirtualClock
from k8snb.etcd import CompactedError
from k8snb.etcd.past import PastStore

READS = ("get", "list")
NOT_KEPT = {
    "log": "what containers had printed until then is not kept",
    "exec": "its containers are not there any more as they were",
    "attach": "its containers are not there any more as they were",
    "portforward": "nobody listens in the past",
    "proxy": "nobody listens in the past",
}


class Past:
    """`server` is one that serves the present, `moment` the time of then, in seconds since the epoch; requests are
    answered under `lock`. Raises FutureRevisionError."""

    def __init__(
        self, server: ApiServer, revision: int, moment: float, lock: AbstractContextManager[None]
    ) -> None:  # fmt: skip
        self.revision = revision
        self._lock = lock
        self._virtual = {kind.qualified for kind in server.virtual}
        self._make = functools.partial(
            ApiServer, clock=VirtualClock(moment), dice=random.Random(revision),
            service_cidr=str(server.allocator.network), identity=server.identity,
        )  # fmt: skip
        self._present = server.store

    @functools.cached_property
    def store(self) -> PastStore:
        """The store as it was. Raises ApiError Expired for a revision that has been compacted away."""
        with self._lock, _compacted():
            return PastStore(self._present, self.revision)

    @functools.cached_property
    def _server(self) -> ApiServer:
        with self._lock, _compacted():
            return self._make(self.store)

    def handle(self, request: Request) -> Any:
        """Answer a get, a list, or a question about access. Raises ApiError for anything else."""
        self._must_read(request)
        self._must_be_kept(request)
        try:
            with self._lock, _compacted():
                return self._server.handle(request)
        except Outcall:
            raise _unknown(f"{request.kind.plural} of then, which a webhook would have to convert,") from None

    def kinds(self) -> tuple[Kind, ...]:
        """What was served then."""
        return self._server.kinds()

    def _must_read(self, request: Request) -> None:
        if request.subresource in NOT_KEPT:
            raise ApiError(410, "Gone", f"revision {self.revision} is past: {NOT_KEPT[request.subresource]}")
        if request.verb == "watch":
            raise ApiError(405, "MethodNotAllowed", f"revision {self.revision} is past: nothing changes there any more")
        asks = request.verb == "create" and request.kind.custom is None and request.kind.kind in REVIEWS
        if request.verb not in READS and not asks:
            way = f"it can be read and not changed; %kfork {self.revision} goes on from there"
            raise ApiError(405, "MethodNotAllowed", f"revision {self.revision} is past: {way}")

    def _must_be_kept(self, request: Request) -> None:
        kind = request.kind
        if kind.group == METRICS or kind.group in custom_metrics.GROUPS:
            raise _unknown("what was measured then")
        if kind.qualified in self._virtual or kind.remote:
            raise _unknown(f"{kind.plural} of then")


@contextmanager
def _compacted() -> Iterator[None]:
    """What has been forgotten meanwhile is refused in the API's words."""
    try:
        yield
    except CompactedError as error:
        raise expired(str(error)) from None


def _unknown(what: str) -> ApiError:
    return ApiError(410, "Gone", f"{what} nobody has kept: the past has what was written to etcd")
