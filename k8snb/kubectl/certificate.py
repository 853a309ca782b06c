"""kubectl certificate: approves or denies what somebody asks to have signed.

Interface: `COMMANDS`.
The rule not to break: a request is decided on once; only `--force` writes the same decision again.
Source: `kubectl/pkg/cmd/certificates`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, get_path, with_path
from k8snb.clock import timestamp
from k8snb.kubectl import flags
from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found, select
from k8snb.kubectl.results import Results
from k8snb.kubectl.session import Session


class _Decision(NamedTuple):
    condition: str
    reason: str
    message: str
    done: str
    opposite: str


APPROVE = _Decision("Approved", "KubectlApprove", "This CSR was approved by kubectl certificate approve.", "approved",
                    "Denied")  # fmt: skip
DENY = _Decision("Denied", "KubectlDeny", "This CSR was denied by kubectl certificate deny.", "denied", "Approved")


def _runner(decision: _Decision) -> Callable[[Session, Arguments], Output]:
    def run(session: Session, args: Arguments) -> Output:
        if not args.words and not args.from_files:
            raise KubectlError("error: one or more CSRs must be specified as <name> or -f <filename>")
        words = [word if "/" in word else f"csr/{word}" for word in args.words]
        selection = select(session, Arguments(args.command, words, args.rest, args.values, args.given))
        results = Results(session, args)
        results.errors = selection.errors
        for found in selection.found:
            try:
                results.add(_decide(session, args, found, decision), decision.done)
            except ApiError as error:
                results.fail(refused(error))
            except KubectlError as error:
                results.fail(error)
        return results.output()

    return run


def _decide(session: Session, args: Arguments, found: Found, decision: _Decision) -> Object:
    old = list(get_path(found.object, "status.conditions") or ())
    taken = [condition["type"] for condition in old]
    if decision.opposite in taken:
        raise KubectlError(f'error: certificate signing request "{found.name}" is already {decision.opposite}')
    if decision.condition in taken and not args.on("force"):
        return found.object
    fresh = {"type": decision.condition, "status": "True", "reason": decision.reason, "message": decision.message,
             "lastUpdateTime": timestamp(session.now())}  # fmt: skip
    others = [condition for condition in old if condition["type"] != decision.condition]
    wanted = with_path(found.object, "status.conditions", [*others, fresh])
    return session.client.update(found.kind, wanted, subresource="approval")


_FLAGS = (*flags.FILES, Flag("force", BOOL, "Write the decision again where it was taken before."), *flags.PRINTING)
_GROUP = "Cluster Management Commands"

COMMANDS = (
    Command(name="certificate", usage="SUBCOMMAND", help="Approve or deny certificate requests.", group=_GROUP),
    Command(name="certificate approve", usage="(-f FILENAME | NAME) [flags]", help="Approve a certificate request.",
            group=_GROUP, run=_runner(APPROVE), flags=_FLAGS,
            examples=("kubectl certificate approve jane",)),
    Command(name="certificate deny", usage="(-f FILENAME | NAME) [flags]", help="Deny a certificate request.",
            group=_GROUP, run=_runner(DENY), flags=_FLAGS,
            examples=("kubectl certificate deny jane",)),
)  # fmt: skip
