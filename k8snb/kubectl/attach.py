"""kubectl attach: the streams of the program that a container runs.

Interface: `COMMANDS`; `listen` and `listen_when_started` for commands that attach to what they have made.
The rule not to break: whoever attaches hears what is written from then on; the past is for `kubectl logs`.
Source: `kubectl/pkg/cmd/attach`. Real kubectl hands its terminal over; here a program is talked to line by line.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of
from k8snb.kubectl import pods, remote
from k8snb.kubectl.dialogue import After, Dialogue
from k8snb.kubectl.exec import NO_TTY
from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag
from k8snb.kubectl.logs import default_container
from k8snb.kubectl.output import KubectlError, Output, Stream
from k8snb.kubectl.session import Session

STARTING = 120.0  # seconds for the container to start
QUIET = 2.0  # seconds in which a program that has read all there was may end
PROMPT = "If you don't see a command prompt, try pressing enter."


def no_words(code: int) -> tuple[str, int]:
    """Whoever has attached leaves without a word."""
    return "", code


def run(session: Session, args: Arguments) -> Output:
    notes: list[str] = []
    pod = pods.unfinished(_pod(session, args), "attach")
    container = _container(args, pod, notes)
    notes += _terminal(session, args, container)
    return listen(session, pod, container["name"], _shown(args, notes), stdin=args.on("stdin"))


def listen(
    session: Session, pod: Object, container: str, first: str, *, stdin: bool, after: After = no_words
) -> Output:
    """What a container's program writes from now on; what there is to read is read to it first."""
    if session.console is not None:
        tty = stdin and session.console.is_terminal and bool((pods.container_of(pod, container) or {}).get("tty"))
        session.console.note(first)
        said, code = after(remote.in_console(session, pod, container, stdin=stdin, tty=tty))
        return Output(text=said, objects=[pod], exit_code=code)
    talk = remote.begin(session, pod, container, stdin=stdin)
    if stdin and session.asks and session.stdin is None:
        tty = bool((pods.container_of(pod, container) or {}).get("tty"))
        return Dialogue(talk, [pod], tty=tty, first=first, after=after)
    if stdin and session.stdin is not None:
        talk.say(session.stdin.encode())
        talk.say_end()
        talk.wait(lambda: talk.over, QUIET)
    if talk.over:
        heard, (said, code) = talk.text(), after(talk.code)
        return Output(
            text=first + heard + said, objects=[pod], exit_code=code, notices=first, stdout=heard + said
        )  # fmt: skip
    listener = _Listener(session, talk, after)
    return Stream(
        Output(text=first, objects=[pod], notices=first), listener.poll, more=listener.more, stop=listener.stop
    )


def listen_when_started(
    session: Session, pod: Object, container: str, first: str, *, stdin: bool, quiet: bool, timeout: float = STARTING,
    after: After = no_words,
) -> Output:  # fmt: skip
    """The program's words once it runs; what it wrote, where it has ended by then. Raises KubectlError."""
    name, namespace = name_of(pod), namespace_of(pod)
    states: list[Object] = [{}]

    def started() -> bool:
        states[0] = _state_of(session.client.get("pods", name, namespace), container)
        return bool({"running", "terminated"} & states[0].keys())

    if not session.wait(started, timeout):
        why = get_path(states[0], "waiting.reason", "it has not started")
        raise KubectlError(f"error: timed out waiting for container {container}: {why}")
    if "terminated" in states[0]:
        return _logged(session, pod, container, first, after)
    shown = first if quiet else f"{first}{PROMPT}\n"
    try:
        return listen(session, pods.unfinished(pod, "attach"), container, shown, stdin=stdin, after=after)
    except KubectlError as error:  # it ended just now
        why = f"warning: couldn't attach to pod/{name}, falling back to streaming logs: {error}"
        return _logged(session, pod, container, f"{shown}{why}\n", after)


def _logged(session: Session, pod: Object, container: str, first: str, after: After) -> Output:
    log = b"".join(session.client.logs(name_of(pod), namespace_of(pod), container=container)).decode(errors="replace")
    said, code = after(0)
    return Output(text=first + log + said, objects=[pod], exit_code=code)


def _state_of(pod: Object, container: str) -> Object:
    fields = ("containerStatuses", "ephemeralContainerStatuses", "initContainerStatuses")
    statuses = (entry for field in fields for entry in get_path(pod, f"status.{field}") or ())
    return next((entry.get("state") or {} for entry in statuses if entry["name"] == container), {})


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
    there = session.asks or (session.console is not None and session.console.is_terminal)
    return [NO_TTY] if args.on("stdin") and container.get("tty") and not there else []


def _shown(args: Arguments, notes: list[str]) -> str:
    return "" if args.on("quiet") else "".join(f"{note}\n" for note in [*notes, PROMPT])


class _Listener:
    """A program's words as they come; after a long silence there are no more. `after` has the last word."""

    def __init__(self, session: Session, talk: remote.Remote, after: After) -> None:
        self._session, self._talk, self._after, self._quiet = session, talk, after, 0.0
        self._left = False

    def poll(self) -> list[Output]:
        over = self._talk.over
        text = self._talk.text()
        if over and not self._left:
            self._left = True
            text += self._after(self._talk.code)[0]
        self._quiet = 0.0 if text else self._quiet
        return [Output(text=text)] if text else []

    def more(self) -> bool:
        if self._left or self._quiet >= self._session.patience:
            return False
        if not self._talk.wait(lambda: self._talk.heard or self._talk.over, 1.0):
            self._quiet += 1.0
        return True

    def stop(self) -> None:
        """Leave; what `after` would say then is not heard."""
        self._talk.close()
        if not self._left:
            self._left = True
            self._after(0)


COMMANDS = (
    Command(
        name="attach",
        usage="(POD | TYPE/NAME) [-c CONTAINER] [flags]",
        help="Attach to a running container.",
        group="Troubleshooting and Debugging Commands",
        run=run,
        flags=(
            Flag("container", help="The container; the first one if not given.", short="c", values=(":containers",)),
            Flag("stdin", BOOL, "Pass on what is given to read: a cell's body, or what is typed.", short="i"),
            Flag("tty", BOOL, "Use the container's terminal, where somebody types.", short="t"),
            Flag("quiet", BOOL, "Print only what the program prints.", short="q"),
            pods.RUNNING_TIMEOUT,
        ),
        words="pods",
        examples=("kubectl attach web", "kubectl attach web -c nginx", "kubectl attach deployment/web"),
    ),
)
