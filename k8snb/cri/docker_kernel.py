"""The kernels of Docker's pods: netfilter rules in each pod's own network namespace.

Interface: `PodKernels`: `program(nat, filters)` says what the rules are to be, `wake()` that a pod has come;
`why_not` is one sentence where this machine does not allow it.
The rule not to break: a namespace is touched only after it was found to have the pod's address, so that neither this
machine nor anybody else's container ever gets a rule; what is set there goes with the pod.
Real nodes have one kernel and one set of rules for all their pods, which kube-proxy and the network plug-in write.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping

from k8snb.cri import RuntimeFailure

SECONDS = 10.0  # for one pod
GATHER = 0.25  # seconds: changes that come together are carried out together (upstream: minSyncPeriod, 1 s)
RETRY, ATTEMPTS = 1.0, 3
PROGRAMS = ("nsenter", "iptables-restore", "ip")
NOT_HERE = "rules in a pod's network namespace may only be set by root on the engine's own Linux machine"
# The namespace is the pod's if it has the pod's address; otherwise nothing is done.
_SET = 'ip -4 -o addr show | grep -qF " $1/" || exit 99; exec iptables-restore --noflush'
_STRANGER = 99

Text = Callable[[], str]


class PodKernels:
    """`find()` gives the process in each pod's namespace, by the pod's address."""

    def __init__(self, find: Callable[[], Mapping[str, int]], *, local: bool) -> None:
        self.why_not = _why_not(local=local)
        self._find = find
        self._nat: Text = str
        self._filters: Callable[[], Mapping[str, str]] = dict
        self._applied: dict[str, tuple[int, str]] = {}  # by address: the process and what its namespace was told
        self._change = threading.Condition()
        self._wanted = self._awaited = self._done = self._failures = 0
        self._works = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def program(self, *, nat: Text | None = None, filters: Callable[[], Mapping[str, str]] | None = None) -> None:
        """What all pods' rules are from now on: for connections to Services, and by address for the filter.

        The two are called when their answers are needed, on the thread that carries them out.
        """
        self._nat, self._filters = nat or self._nat, filters or self._filters
        self.wake()

    def wake(self) -> None:
        """Something has changed, or a pod has come."""
        if self.why_not or self._closed:
            return
        with self._change:
            self._wanted += 1
            self._change.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="k8snb-netfilter", daemon=True)
                self._thread.start()

    def flush(self, timeout: float = SECONDS) -> bool:
        """Wait until all that was said before is in force; whether it is."""
        with self._change:
            wanted = self._awaited = self._wanted
            self._change.notify_all()
            return self._change.wait_for(lambda: self._done >= wanted or self._closed, timeout)

    def close(self) -> None:
        """Set no more rules."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        if self._thread is not None:
            self._thread.join(SECONDS)

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._closed or self._wanted > self._done)
                self._change.wait_for(lambda: self._closed or self._awaited > self._done, GATHER)
                if self._closed:
                    return
                wanted = self._wanted
            done = self._attempt()
            with self._change:
                self._done = wanted if done else self._done
                self._change.notify_all()
                self._change.wait_for(lambda: self._closed, 0 if done else RETRY)

    def _attempt(self) -> bool:
        """Whether all pods have their rules: an engine that is gone may come back."""
        try:
            return self._apply()
        except (RuntimeFailure, OSError):
            return False

    def _apply(self) -> bool:
        nat, filters, pods = self._nat(), self._filters(), self._find()
        self._applied = {ip: told for ip, told in self._applied.items() if pods.get(ip) == told[0]}
        done = True
        for ip, process in pods.items():
            text = nat + (filters.get(ip) or NO_FILTER)
            before = self._applied.get(ip)
            if before != (process, text) and (before or nat or ip in filters):
                done = self._set(ip, process, text, first=before is None) and done
        return done

    def _set(self, ip: str, process: int, text: str, *, first: bool) -> bool:
        """Whether there is nothing left to do for a pod."""
        namespace = f"/proc/{process}/ns/net"
        try:
            if os.stat(namespace).st_ino == os.stat("/proc/self/ns/net").st_ino:
                return True
            done = subprocess.run(
                ["nsenter", f"--net={namespace}", "sh", "-c", _SET, "sh", ip],
                input=(JUMPS if first else "") + text, text=True, capture_output=True, timeout=SECONDS, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            return True  # the pod has gone meanwhile, or it is nobody that this user may touch
        if done.returncode == 0:
            self._applied[ip], self._works = (process, text), True
        elif done.returncode != _STRANGER and os.path.exists(namespace):
            return self._refused(done.stderr)
        return True

    def _refused(self, message: str) -> bool:
        """Whether it is given up: where no pod has ever taken rules, this machine's kernel does not know them."""
        self._failures += 1
        if self._works or self._failures < ATTEMPTS:
            return False
        self.why_not = f"the kernel does not take the rules: {(message.strip().splitlines() or [''])[0]}"
        return True


SERVICES, INPUT, OUTPUT = "K8SNB-SERVICES", "K8SNB-INPUT", "K8SNB-OUTPUT"
# The chains that the texts fill; other rules, such as those of the engine's own resolver, stay as they are.
JUMPS = f"""*nat
:{SERVICES} - [0:0]
-I OUTPUT -j {SERVICES}
COMMIT
*filter
:{INPUT} - [0:0]
:{OUTPUT} - [0:0]
-I INPUT -j {INPUT}
-I OUTPUT -j {OUTPUT}
COMMIT
"""
NO_FILTER = f"*filter\n:{INPUT} - [0:0]\n:{OUTPUT} - [0:0]\nCOMMIT\n"


def _why_not(*, local: bool) -> str:
    if not local or sys.platform != "linux" or os.geteuid() != 0:
        return NOT_HERE
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    return f"{NOT_HERE}, with {' and '.join(missing)}" if missing else ""
