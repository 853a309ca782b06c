"""kubectl attach: the streams of the program that a container runs.

Interface: `COMMANDS`.
The rule not to break: whoever attaches hears what is written from then on; the past is for `kubectl logs`.
Source: `kubectl/pkg/cmd/attach`. Real kubectl can hand over a terminal; here a program has none to read from.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, name_of
from k8snb.kubectl import pods, remote
from k8snb.kubectl.exec import NO_TTY
from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag
from k8snb.kubectl.logs import default_container
from k8snb.kubectl.output import KubectlError, Output, Stream
from k8snb.kubectl.session import Session

QUIET = 2.0  # seconds in which a program that has read all there was may end
PROMPT = "If you don't see a command prompt, try pressing enter."


def run(session: Session, args: Arguments) -> Output:
    notes: list[str] = []
    pod = pods.unfinished(_pod(session, args), "attach")
    container = _container(args, pod, notes)
    notes += _terminal(session, args, container)
    return listen(session, pod, container["name"], _shown(args, notes), stdin=args.on("stdin"))


def listen(session: Session, pod: Object, container: str, first: str, *, stdin: bool) -> Output:
    """What a container's program writes from now on; what there is to read is read to it first."""
    if session.console is not None:
        tty = stdin and session.console.is_terminal and bool((pods.container_of(pod, container) or {}).get("tty"))
        session.console.note(first)
        code = remote.in_console(session, pod, container, stdin=stdin, tty=tty)
        return Output(objects=[pod], exit_code=code)
    talk = remote.begin(session, pod, container, stdin=stdin)
    if stdin and session.stdin is not None:
        talk.say(session.stdin.encode())
        talk.say_end()
        talk.wait(lambda: talk.over, QUIET)
    if talk.over:
        said = talk.text()
        return Output(text=first + said, objects=[pod], exit_code=talk.code, notices=first, stdout=said)
    listener = _Listener(session, talk)
    return Stream(Output(text=first, objects=[pod], notices=first), listener.poll, more=listener.more, stop=talk.close)


def _pod(session: Session, args: Arguments) -> Object:
    words = args.words
    if not words:
        raise KubectlError("error: at least 1 argument is required for attach")
    if len(words) > 2:
        saw = f"saw {len(words)}: [{' '.join(words)}]"
        raise KubectlError(f"error: expected POD, TYPE/NAME, or TYPE NAME, (at most 2 arguments) {saw}")
    return pods.named(session, args, "/".join(words))


def _container(args: Arguments, pod: Object, notes: list[str]) -> Object:
    name = args.text("container") or default_container(pod, notes)
    found = pods.container_of(pod, name)
    if found is None:
        where = f"container {name} not found in pod {name_of(pod)}"
        raise KubectlError(f"error: cannot attach to the container: {where}")
    return found


def _terminal(session: Session, args: Arguments, container: Object) -> list[str]:
    """Why there is no terminal, where one was asked for or the program has one."""
    if args.on("tty") and not container.get("tty"):
        return [f"error: Unable to use a TTY - container {container['name']} did not allocate one"]
    there = session.console is not None and session.console.is_terminal
    return [NO_TTY] if args.on("stdin") and container.get("tty") and not there else []


def _shown(args: Arguments, notes: list[str]) -> str:
    return "" if args.on("quiet") else "".join(f"{note}\n" for note in [*notes, PROMPT])


class _Listener:
    """A program's words as they come; after a long silence there are no more."""

    def __init__(self, session: Session, talk: remote.Remote) -> None:
        self._session, self._talk, self._quiet = session, talk, 0.0

    def poll(self) -> list[Output]:
        text = self._talk.text()
        self._quiet = 0.0 if text else self._quiet
        return [Output(text=text)] if text else []

    def more(self) -> bool:
        if (self._talk.over and not self._talk.heard) or self._quiet >= self._session.patience:
            return False
        if not self._talk.wait(lambda: self._talk.heard or self._talk.over, 1.0):
            self._quiet += 1.0
        return True


COMMANDS = (
    Command(
        name="attach",
        usage="(POD | TYPE/NAME) [-c CONTAINER] [flags]",
        help="Attach to a running container.",
        group="Troubleshooting and Debugging Commands",
        run=run,
        flags=(
            Flag("container", help="The container; the first one if not given.", short="c", values=(":containers",)),
            Flag("stdin", BOOL, "Pass on what is given to read: the body of a cell.", short="i"),
            Flag("tty", BOOL, "Ask for a terminal; here there is none, and a notice says so.", short="t"),
            Flag("quiet", BOOL, "Print only what the program prints.", short="q"),
            pods.RUNNING_TIMEOUT,
        ),
        words="pods",
        examples=("kubectl attach web", "kubectl attach web -c nginx", "kubectl attach deployment/web"),
    ),
)
