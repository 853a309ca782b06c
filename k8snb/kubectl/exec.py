"""kubectl exec: a command inside a container.

Interface: `COMMANDS`.
The rule not to break: the exit code is the command's own.
Source: `kubectl/pkg/cmd/exec`. Real kubectl hands its terminal over; here a command that reads is talked to line by
line, or reads what is there at once.
"""

from __future__ import annotations

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, name_of, namespace_of
from k8snb.kubectl import flags, pods, remote
from k8snb.kubectl.dialogue import Dialogue
from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag, usage_error
from k8snb.kubectl.logs import default_container
from k8snb.kubectl.output import Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import select
from k8snb.kubectl.session import Session

NO_TTY = "Unable to use a TTY - input is not a terminal or the right kind of file"


_OLD_FORM = "exec [POD] [COMMAND] is not supported anymore. Use exec [POD] -- [COMMAND] instead"
_NO_COMMAND = "you must specify at least one command for the container"


def run(session: Session, args: Arguments) -> Output:
    if not args.words and not args.texts("filename"):
        raise usage_error("pod, type/name or --filename must be specified", args.command)
    if not args.rest:
        raise usage_error(_OLD_FORM if len(args.words) > 1 else _NO_COMMAND, args.command)
    notes: list[str] = []
    pod = pods.unfinished(_pod(session, args), "exec into")
    container = args.text("container") or default_container(pod, notes)
    if session.console is not None:
        return _in_console(session, args, pod, container, notes)
    first = "".join(note + "\n" for note in notes) if not args.on("quiet") else ""
    if args.on("stdin") and session.asks and session.stdin is None:
        talk = remote.begin(session, pod, container, command=args.rest, stdin=True, tty=args.on("tty"))
        return Dialogue(talk, [pod], tty=args.on("tty"), first=first)
    said = _run(session, args, pod, container)
    out, last = said.stdout.decode(errors="replace"), said.stderr.decode(errors="replace")
    if said.code:
        last += f"command terminated with exit code {said.code}\n"
    if args.on("tty"):
        session.warnings.append(NO_TTY)
    return Output(text=first + out + last, objects=[pod], exit_code=said.code, hints=_hints(session, args),
                  notices=first + last, stdout=out)  # fmt: skip


def _pod(session: Session, args: Arguments) -> Object:
    """The pod of the first word, or of what the file describes."""
    if not args.texts("filename"):
        return pods.named(session, args, args.words[0])
    found = select(session, args).require()
    return pods.attachable(session, args, found[0])


def _in_console(session: Session, args: Arguments, pod: Object, container: str, notes: list[str]) -> Output:
    """In a terminal, what the command says is seen as it comes, and it reads what is typed."""
    assert session.console is not None
    tty = args.on("tty") and args.on("stdin") and session.console.is_terminal
    if args.on("tty") and not tty:
        notes.append(NO_TTY)
    if notes and not args.on("quiet"):
        session.console.note("".join(f"{note}\n" for note in notes))
    code = remote.in_console(session, pod, container, command=args.rest, stdin=args.on("stdin"), tty=tty)
    last = f"command terminated with exit code {code}\n" if code else ""
    return Output(text=last, objects=[pod], exit_code=code, notices=last)


def _run(session: Session, args: Arguments, pod: Object, container: str) -> remote.Said:
    """The command, which reads what was given where `-i` says so."""
    if args.on("stdin") and session.stdin is not None:
        given = session.stdin.encode()
        return remote.converse(session, pod, container, command=args.rest, given=given)
    try:
        result = session.client.exec(name_of(pod), namespace_of(pod), args.rest or [], container)
    except ApiError as error:
        raise refused(error) from None
    return remote.Said(result.stdout, result.stderr, result.exit_code)


_SHELLS = ("sh", "bash", "ash", "/bin/sh", "/bin/bash", "/bin/ash")


def _hints(session: Session, args: Arguments) -> list[str]:
    """A shell without anything to read ends at once."""
    if session.stdin is None and args.on("stdin") and len(args.rest or ()) == 1 and (args.rest or [""])[0] in _SHELLS:
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
            Flag("stdin", BOOL, "Pass on what is given to read: a cell's body, or what is typed.", short="i"),
            Flag("tty", BOOL, "Give the command a terminal, where somebody types.", short="t"),
            Flag("quiet", BOOL, "Print only what the command prints.", short="q"),
            flags.FILENAME,
            pods.RUNNING_TIMEOUT,
        ),
        words="pods",
        examples=(
            "kubectl exec web -- date",
            "kubectl exec web -c nginx -- ls /",
            "kubectl exec deploy/web -- env",
            "kubectl exec -it web -- sh",
        ),
    ),
)
