"""kubectl exec: a command inside a container.

Interface: `COMMANDS`.
The rule not to break: the exit code is the command's own.
Source: `kubectl/pkg/cmd/exec`. Real kubectl can hand over a terminal and stdin; here a command has neither.
"""

from __future__ import annotations

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import name_of, namespace_of
from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag, usage_error
from k8snb.kubectl.logs import default_container, pods_of
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import one
from k8snb.kubectl.session import Session


def run(session: Session, args: Arguments) -> Output:
    if not args.words:
        raise usage_error("pod, type/name or --filename must be specified", args.command)
    if not args.rest:
        what = "exec [POD] [COMMAND] is not supported: use exec [POD] -- [COMMAND]" if len(args.words) > 1 else (
            "you must specify at least one command for the container")  # fmt: skip
        raise usage_error(what, args.command)
    if args.on("stdin") and session.stdin:
        raise KubectlError("error: kubectl exec -i with something to read: not implemented by k8snb")
    notes: list[str] = []
    found = one(session, args, args.words[0])
    pod = found.object
    if found.kind.kind != "Pod":
        pods = pods_of(session, found)
        if not pods:
            raise KubectlError(f"error: {found.kind.singular}/{found.name} has no pods to run a command in")
        pod = pods[0]
    container = args.text("container") or default_container(pod, notes)
    try:
        result = session.client.exec(name_of(pod), namespace_of(pod), args.rest, container)
    except ApiError as error:
        raise refused(error) from None
    text = "".join(note + "\n" for note in notes) if not args.on("quiet") else ""
    text += result.stdout.decode(errors="replace") + result.stderr.decode(errors="replace")
    if result.exit_code:
        text += f"command terminated with exit code {result.exit_code}\n"
    if args.on("tty"):
        session.warnings.append("Unable to use a TTY - input is not a terminal or the right kind of file")
    return Output(text=text, objects=[pod], exit_code=result.exit_code, hints=_hints(args))


_SHELLS = ("sh", "bash", "ash", "/bin/sh", "/bin/bash", "/bin/ash")


def _hints(args: Arguments) -> list[str]:
    """A shell without anything to read ends at once."""
    if args.on("stdin") and len(args.rest or ()) == 1 and (args.rest or [""])[0] in _SHELLS:
        return [f"a shell has nothing to read here: name its command: kubectl exec {args.words[0]} -- sh -c 'ls /'"]
    return []


COMMANDS = (
    Command(
        name="exec",
        usage="(POD | TYPE/NAME) [-c CONTAINER] [flags] -- COMMAND [args...]",
        help="Run a command in a container.",
        group="Troubleshooting and Debugging Commands",
        run=run,
        flags=(
            Flag("container", help="The container; the first one if not given.", short="c", values=(":containers",)),
            Flag("stdin", BOOL, "Pass stdin on; here there is none, and the command reads its end.", short="i"),
            Flag("tty", BOOL, "Ask for a terminal; here there is none, and a warning says so.", short="t"),
            Flag("quiet", BOOL, "Print only what the command prints.", short="q"),
        ),
        missing=("filename", "pod-running-timeout"),
        words="pods",
        examples=("kubectl exec web -- date", "kubectl exec web -c nginx -- ls /", "kubectl exec deploy/web -- env"),
    ),
)
