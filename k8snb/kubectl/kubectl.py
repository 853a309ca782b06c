"""kubectl: what a user can say to a cluster.

Interface: `Kubectl(client).run("get pods -o wide")`, or the same as a method: `kubectl.get("pods", output="wide")`.
The rule not to break: a command line comes in and an `Output` goes out; nothing is printed, and nothing
remembered but the sockets that a command left open, for `close()`.
Real kubectl is a program that reads a kubeconfig; this one is given its client.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from k8snb.apimachinery.errors import ApiError
from k8snb.client import Client
from k8snb.client.kubeconfig import KubeconfigError
from k8snb.clock import RealClock
from k8snb.kubectl import completion, create_edit, edit, export, formats, help, info, last_applied, sources, verbosity
from k8snb.kubectl.commands import COMMANDS, ROWS
from k8snb.kubectl.connection import Reached, given, wrong
from k8snb.kubectl.export import Export
from k8snb.kubectl.grammar import Arguments, parse
from k8snb.kubectl.history import Change, change_of
from k8snb.kubectl.impersonation import impersonating
from k8snb.kubectl.methods import Methods
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.session import PATIENCE, Console, Open, Session, Wait

if TYPE_CHECKING:
    from k8snb.client.https import HttpsTransport


def look_once(until: Callable[[], bool], timeout: float) -> bool:
    """A `Wait` that cannot let the cluster run: it looks, and that is all."""
    return until()


_DRAFTS: dict[str, Callable[[Session, Arguments], edit.Edited]] = {
    "edit": edit.begin,
    "apply edit-last-applied": last_applied.begin,
}


class Kubectl(Methods):
    """kubectl for one client.

    `namespace` is the one that commands work in unless `-n` names another. `wait(until, timeout)` lets the cluster run
    until something is true; `clock_now` gives the cluster's time; `open_url` fetches the text of a manifest's URL;
    `editor(text, suffix)` lets the user change a text, in $KUBE_EDITOR unless something else is given; `server` is the
    same cluster over HTTPS. `reach` finds another cluster for a line that names one, by `--context` and the like, and
    `patience` is how many seconds of silence end a stream. `console` is the terminal, where there is one. `on_change`
    is told of every command that changed something.
    """

    def __init__(
        self,
        client: Client,
        *,
        namespace: str = "default",
        wait: Wait | None = None,
        clock_now: Callable[[], float] | None = None,
        open_url: Callable[[str], str] | None = None,
        editor: Callable[[str, str], str] | None = None,
        on_change: Callable[[Change], None] | None = None,
        server: Callable[[], HttpsTransport] | None = None,
        reach: Callable[[Arguments], Reached] | None = None,
        patience: float = PATIENCE,
        console: Console | None = None,
    ) -> None:
        self.client, self.namespace = client, namespace
        self._wait = wait or look_once
        self._now, self._open_url = clock_now or RealClock().now, open_url or sources.fetch
        self.editor = editor or edit.in_terminal
        self._server, self._reach, self._patience, self._console = server, reach, patience, console
        self.on_change = on_change or (lambda change: None)
        self._open: list[Open] = []

    def run(self, argv: str | Sequence[str], stdin: str | None = None, *, asks: bool = False) -> Output:
        """Do what a command line says; `argv` is what follows the word kubectl. Raises KubectlError.

        With `asks`, whoever calls can ask a user for lines, and `exec -it` answers with a `Dialogue`.
        """
        words = split(argv)
        args = parse(words, COMMANDS)
        if args.on("help") or not args.command.name:
            return Output(text=help.page(args.command, ROWS))
        run = args.command.run
        if run is None:
            raise KubectlError(_needs_subcommand(args))
        formats.check(args)
        session = self._session(args, stdin)
        session.asks = asks
        session.client.take_warnings()
        try:
            if args.on("match-server-version"):
                info.require_same_version(session)
            output = run(session, args)
        except (ApiError, KubeconfigError, KubectlError) as error:
            failure = _said(error)
            failure.warnings = [*session.client.take_warnings(), *session.warnings]
            failure.log = session.log
            done = Output(text="".join(f"{line}\n" for line in failure.applied))
            self._tell(change_of(args, words, stdin, output=done, at=self._now(), failed=True))
            raise failure from None
        self._tell(change_of(args, words, stdin, output=output, at=self._now()))
        output.warnings = [*session.client.take_warnings(), *session.warnings, *output.warnings]
        output.log = session.log
        if output.warnings and args.on("warnings-as-errors"):
            output.errors.append(_counted(output.warnings))
            output.exit_code = output.exit_code or 1
        return output

    def draft(self, argv: str | Sequence[str], stdin: str | None = None) -> edit.Edited:
        """What `edit …`, `create --edit …` or `apply edit-last-applied …` would show in an editor, for one that saves
        later. Raises KubectlError.
        """
        words = split(argv)
        args = parse(words, COMMANDS)
        formats.check(args)
        begin = _DRAFTS.get(args.command.name, create_edit.begin)
        try:
            draft: edit.Edited = begin(self._session(args, stdin), args)
        except ApiError as error:
            raise refused(error) from None
        draft.on_saved = lambda output: self._tell(change_of(args, words, stdin, output=output, at=self._now()))
        return draft

    def _tell(self, change: Change | None) -> None:
        if change is not None:
            self.on_change(change)

    def export(
        self, directory: str | Path, *, namespaces: Sequence[str] = (), selector: str = "", secrets: bool = False
    ) -> Export:
        """Write the live state into a directory as manifests that `apply -f` makes it from again. Raises KubectlError.

        Everything that users made, or of some namespaces alone; Secrets only where they are asked for.
        """
        found = export.exported(self.client, namespaces=namespaces, selector=selector, secrets=secrets)
        export.write(found, Path(directory).expanduser())
        return found

    def close(self) -> None:
        """Stop what commands have left open: forwarded ports, proxies."""
        while self._open:
            self._open.pop().stop()

    def complete(self, words: Sequence[str]) -> list[str]:
        """What the last of these words could become; the words are those after `kubectl`."""
        return completion.complete(list(words), COMMANDS, self.client, self.namespace)

    def _session(self, args: Arguments, stdin: str | None) -> Session:
        reached = self._reached(args)
        client, log = impersonating(reached.client, args), list[str]()
        if args.number("v") >= verbosity.ANSWERS:
            client = verbosity.watched(client, args.number("v"), reached.address, log, self._now)
        return Session(
            client=client,
            log=log,
            namespace=args.text("namespace") or reached.namespace,
            now=self._now,
            wait=reached.wait,
            server=reached.server,
            files=reached.files,
            patience=self._patience,
            console=self._console,
            open_url=self._open_url,
            edit=self.editor,
            keep=self._open.append,
            stdin=stdin,
        )

    def _reached(self, args: Arguments) -> Reached:
        """Where the line leads: here, unless it names another cluster."""
        named = given(args)
        if self._reach is not None:
            return self._reach(args)
        if named:
            raise KubectlError(f"error: --{named[0]}: not implemented by k8snb: a client is made for one cluster")
        return Reached(client=self.client, namespace=self.namespace, wait=self._wait, server=self._server)


def split(argv: str | Sequence[str]) -> list[str]:
    """A command line as words, as a shell would. Raises KubectlError for an open quote."""
    if not isinstance(argv, str):
        return list(argv)
    try:
        words = shlex.split(argv)
    except ValueError as error:
        raise KubectlError(f"error: cannot split the command line into words: {str(error).lower()}") from None
    return words[1:] if words[:1] == ["kubectl"] else words


def _needs_subcommand(args: Arguments) -> str:
    name = args.command.name
    below = [row.name.removeprefix(f"{name} ") for row in ROWS if row.name.startswith(f"{name} ")]
    what = f'unknown subcommand "{args.words[0]}"' if args.words else "a subcommand is required"
    return f"error: {what} for \"kubectl {name}\": {', '.join(below)}\nSee 'kubectl {name} -h' for help and examples"


def _said(error: ApiError | KubeconfigError | KubectlError) -> KubectlError:
    """Whatever failed, in kubectl's words."""
    if isinstance(error, KubectlError):
        return error
    return refused(error) if isinstance(error, ApiError) else wrong(error)


def _counted(warnings: Sequence[str]) -> str:
    return f"error: {len(warnings)} warning{'s' if len(warnings) > 1 else ''} received"
