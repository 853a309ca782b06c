"""kubectl cordon and uncordon: whether the scheduler may use a node.

Interface: `COMMANDS`; `selected` and `schedulable` for drain.
The rule not to break: pods that run on a cordoned node go on running.
Source: `kubectl/pkg/cmd/drain`.
"""

from __future__ import annotations

from collections.abc import Callable

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, get_path, with_path
from k8snb.kubectl import flags
from k8snb.kubectl.grammar import Arguments, Command, usage_error
from k8snb.kubectl.output import Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found, Selection, Wanted, look_up
from k8snb.kubectl.results import Results
from k8snb.kubectl.session import CLIENT, Session, dry_run, options


def _runner(unschedulable: bool) -> Callable[[Session, Arguments], Output]:
    def run(session: Session, args: Arguments) -> Output:
        selection = selected(session, args)
        results = Results(session, args)
        results.errors = selection.errors
        for found in selection.found:
            try:
                results.add(*schedulable(session, args, found, unschedulable=unschedulable))
            except ApiError as error:
                results.fail(refused(error))
        return results.output()

    return run


def schedulable(session: Session, args: Arguments, found: Found, *, unschedulable: bool) -> tuple[Object, str]:
    """Let a node take pods or not: the node as it is then, and the word for what was done. Raises ApiError."""
    word = "cordoned" if unschedulable else "uncordoned"
    if bool(get_path(found.object, "spec.unschedulable")) is unschedulable:
        return found.object, f"already {word}"
    if dry_run(args) == CLIENT:
        return with_path(found.object, "spec.unschedulable", unschedulable or None), word
    body = {"spec": {"unschedulable": True if unschedulable else None}}
    return session.client.patch(found.kind, found.name, body, **options(args)), word


def selected(session: Session, args: Arguments) -> Selection:
    """The nodes that are named, or picked by a selector."""
    if not args.words and not args.text("selector"):
        raise usage_error(f"USAGE: {args.command.name} NODE [flags]", args.command)
    if args.words and args.text("selector"):
        raise usage_error("cannot specify both a node name and a --selector option", args.command)
    names = [word.removeprefix("node/") for word in args.words]
    kind = session.kind_for("nodes")
    return look_up(session, args, [Wanted(kind, "", name) for name in names or [""]])


COMMANDS = tuple(
    Command(name=name, usage="NODE [flags]", help=help, group="Cluster Management Commands", run=_runner(unschedulable),
            flags=(flags.SELECTOR, flags.DRY_RUN), words="nodes", examples=(f"kubectl {name} node-1",))
    for name, help, unschedulable in (
        ("cordon", "Mark a node so that no pod is scheduled to it.", True),
        ("uncordon", "Let pods be scheduled to a node again.", False),
    )
)  # fmt: skip
