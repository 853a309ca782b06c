"""client-go's leader election: of several instances of a component one works, and the others stand by.

Interface: `LeaderElector(…)`: `start()`, `release()`, `leads`; it calls `on_started` and `on_stopped`.
The rule not to break: at most one leads. Who cannot renew gives up (10 s) before another may take over (15 s), and
a lease's age is measured on one's own clock from when one saw it change; what the lease's times say is for people.
Source: `client-go/tools/leaderelection/leaderelection.go` and `resourcelock/leaselock.go`.
"""

from __future__ import annotations

from collections.abc import Callable

from k8snb.apimachinery.errors import ApiError, Postponed
from k8snb.apimachinery.meta import Object
from k8snb.client.client import Client
from k8snb.client.context import Context
from k8snb.client.events import NORMAL, EventRecorder
from k8snb.clock import micro_timestamp

LEASE_DURATION, RENEW_DEADLINE, RETRY_PERIOD = 15.0, 10.0, 2.0  # seconds; upstream's defaults
JITTER = 1.2
NAMESPACE = "kube-system"


class LeaderElector:
    """One instance's part in the election for the Lease `kube-system/NAME`.

    `identity` is unlike that of all others. `pace`: seconds between two renewals.
    """

    def __init__(
        self, context: Context, client: Client, *, name: str, identity: str, on_started: Callable[[], None],
        on_stopped: Callable[[], None], pace: float = RETRY_PERIOD,
    ) -> None:  # fmt: skip
        self.name = name
        self.identity = identity
        self.leads = False
        self._context = context
        self._clock = context.clock
        self._client = client
        self._events = EventRecorder(client, name, context.clock)
        self._on_started, self._on_stopped = on_started, on_stopped
        self._pace = pace
        self._lease: Object = {}  # as it was seen last
        self._seen = 0.0  # when it was seen to change
        self._deadline = 0.0

    def start(self) -> None:
        """Try to lead now, and go on trying."""
        if self._try():
            self.leads = True
            self._tell("became leader")
            self._later(self._pace, self._renew)
            self._on_started()
        else:
            self._later(RETRY_PERIOD * (1 + self._context.random.random() * JITTER), self.start)

    def release(self) -> None:
        """Give the lease back, so that another need not wait until it has run out."""
        if not self.leads:
            return
        self.leads = False
        now = micro_timestamp(self._clock.now())
        empty = {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": now, "acquireTime": now}
        try:
            self._update({**self._lease["spec"], **empty})
        except (ApiError, Postponed):
            return  # nobody hears it: the lease runs out

    def _renew(self) -> None:
        """Renew. Who has not managed to for ten seconds, leads no more."""
        if not self.leads:
            return
        now = self._clock.monotonic()
        self._deadline = self._deadline or now + RENEW_DEADLINE
        if self._try():
            self._deadline = 0.0
            self._later(self._pace, self._renew)
        elif now < self._deadline:
            self._later(RETRY_PERIOD, self._renew)
        else:
            self.leads = False
            self._tell("stopped leading")
            self._on_stopped()

    def _try(self) -> bool:
        """Take the lease or renew it; whether it is ours now."""
        try:
            return self._acquire_or_renew()
        except (ApiError, Postponed):
            return False

    def _acquire_or_renew(self) -> bool:
        now = micro_timestamp(self._clock.now())
        mine = {"holderIdentity": self.identity, "leaseDurationSeconds": int(LEASE_DURATION), "renewTime": now}
        if self.leads and self._is_valid() and self._renewed(mine):
            return True
        found = self._client.find("leases", self.name, NAMESPACE)
        if found is None:
            metadata = {"name": self.name, "namespace": NAMESPACE}
            spec = {**mine, "acquireTime": now, "leaseTransitions": 0}
            self._saw(self._client.create("leases", {"metadata": metadata, "spec": spec}))
            return True
        if found["spec"] != self._lease.get("spec"):
            self._saw(found)
        self._lease = found
        holder = found["spec"].get("holderIdentity")
        if holder == self.identity:
            self._update({**found["spec"], **mine})
        elif holder and self._is_valid():
            return False
        else:
            changes = (found["spec"].get("leaseTransitions") or 0) + 1
            self._update({**found["spec"], **mine, "acquireTime": now, "leaseTransitions": changes})
        return True

    def _renewed(self, mine: Object) -> bool:
        """The short way of one who leads: nobody else should have touched the lease."""
        try:
            self._update({**self._lease["spec"], **mine})
        except ApiError:
            return False
        return True

    def _is_valid(self) -> bool:
        return self._seen + LEASE_DURATION > self._clock.monotonic()

    def _update(self, spec: Object) -> None:
        self._saw(self._client.update("leases", {**self._lease, "spec": spec}))

    def _saw(self, lease: Object) -> None:
        self._lease, self._seen = lease, self._clock.monotonic()

    def _tell(self, what: str) -> None:
        if self._lease:
            self._events.event(self._lease, NORMAL, "LeaderElection", f"{self.identity} {what}")

    def _later(self, seconds: float, run: Callable[[], None]) -> None:
        self._clock.after(seconds, run, background=True, label=f"leader election {self.name}")
