"""A session: what a command has at hand while it runs.

Interface: `Session`; `kind_for(word)`, `options(args)`.
The rule not to break: a command reaches the cluster through `client`, the time through `now` and waits through `wait`.
Real kubectl keeps the same in its `Factory` and `IOStreams`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from k8snb.apimachinery.kinds import Kind, preferred
from k8snb.apimachinery.meta import Object
from k8snb.client import Client
from k8snb.kubectl.grammar import Arguments, nearest
from k8snb.kubectl.output import KubectlError

if TYPE_CHECKING:
    from k8snb.client.https import HttpsTransport
    from k8snb.client.kubeconfig import Kubeconfig

NONE, CLIENT, SERVER = "none", "client", "server"
_VALIDATION = {"strict": "Strict", "true": "Strict", "warn": "Warn", "ignore": "Ignore", "false": "Ignore"}
_SHORT = 3  # letters; whoever mistypes a longer word means no short name
PATIENCE = 600.0  # seconds without an event after which a stream ends
_NAMELESS = ("scale", "cordon", "uncordon", "drain")  # commands that are known by their user agent alone


class Wait(Protocol):
    """Lets the cluster run until `until()` is true or `timeout` seconds have passed; says whether it came true."""

    def __call__(self, until: Callable[[], bool], timeout: float) -> bool: ...


class Open(Protocol):
    """What a command leaves open: sockets."""

    def stop(self) -> None: ...


class Console(Protocol):
    """The terminal in which the command was typed: a program in a container can be joined with it."""

    @property
    def is_terminal(self) -> bool: ...
    def note(self, text: str) -> None: ...
    def ask(self, question: str) -> str: ...
    def talk(self, streams: Any, wait: Wait, /, *, stdin: bool, tty: bool) -> tuple[int, str]: ...


@dataclass(kw_only=True)
class Session:
    """One command's surroundings. `namespace` is the one to work in, `stdin` what `-f -` reads; `edit(text, suffix)`
    lets the user change a text; `keep` takes what stays open when the command is over. `server` is the same cluster
    over HTTPS, `files` the kubeconfig in use; a stream that is silent for `patience` seconds ends. `console` is there
    in a terminal; `asks` says that somebody can be asked for lines, so that a program may be talked to without one.
    """

    client: Client
    namespace: str
    now: Callable[[], float]
    wait: Wait
    open_url: Callable[[str], str]
    edit: Callable[[str, str], str]
    keep: Callable[[Open], None] = lambda left_open: None
    stdin: str | None = None
    server: Callable[[], HttpsTransport] | None = None
    files: Kubeconfig | None = None
    patience: float = PATIENCE
    console: Console | None = None
    asks: bool = False
    warnings: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)  # what -v tells
    asked: str = ""  # questions that were answered by what the command had to read, and nobody has seen

    def ask(self, question: str) -> str:
        """What a user answers; "" for no answer. Raises KubectlError where nobody can be asked."""
        if self.console is not None:
            return self.console.ask(question)
        if self.asks:
            return _typed(question)
        if self.stdin is None:
            raise KubectlError("error: nobody can be asked here: leave --interactive out, or give the answer to read")
        self.asked += question
        return next(iter(self.stdin.splitlines()), "")

    def find_kind(self, word: str) -> Kind | None:
        """The kind that the server has for `po`, `pods`, `Pod`, `deployments.v1.apps`."""
        kinds, lower = self.client.kinds(), word.lower()
        return next((kind for kind in kinds if lower in kind.words() or word == kind.kind), None)

    def kind_for(self, word: str) -> Kind:
        """The same; raises KubectlError where there is none."""
        kind = self.find_kind(word)
        if kind is None:
            names = [name for kind in self.client.kinds() for name in (kind.plural, kind.singular, *kind.short_names)]
            known = [name for name in names if len(name) > _SHORT or len(word) <= _SHORT]
            hint = nearest(word.lower(), known)
            raise KubectlError(f'error: the server doesn\'t have a resource type "{word}"{hint}')
        self._tell_ambiguity(word.lower(), kind)
        return kind

    def _tell_ambiguity(self, word: str, chosen: Kind) -> None:
        """A short name that several kinds have means the first (upstream: `restmapper/shortcut.go`)."""
        others = {kind.qualified for kind in self.client.kinds() if word in kind.short_names} - {chosen.qualified}
        if word not in chosen.short_names:
            return
        for other in sorted(others):
            text = f'short name "{word}" could also match lower priority resource {other}'
            if text not in self.warnings:
                self.warnings.append(text)

    def kind_of(self, obj: Object) -> Kind:
        """The kind that an object says it is. Raises KubectlError where the server has none such."""
        version, word = obj.get("apiVersion", ""), obj.get("kind", "")
        for kind in self.client.kinds():
            if (kind.api_version, kind.kind) == (version, word):
                return kind
        raise KubectlError(f'error: no matches for kind "{word}" in version "{version}"')

    def in_category(self, category: str) -> list[Kind]:
        """The kinds that `all` stands for."""
        return [kind for kind in preferred(self.client.kinds()) if category in kind.categories]


def _typed(question: str) -> str:
    """A line of whoever sits before the notebook, or before Python's prompt."""
    said, newline, prompt = question.rpartition("\n")
    sys.stdout.write(said + newline)
    sys.stdout.flush()
    try:
        return input(prompt)
    except EOFError:
        return ""


def dry_run(args: Arguments) -> str:
    """none, client or server. Raises KubectlError for anything else."""
    mode = CLIENT if args.on("local") else args.text("dry-run") or NONE
    if mode not in (NONE, CLIENT, SERVER):
        raise KubectlError(f'error: Invalid dry-run value ({mode}). Must be "none", "server", or "client".')
    return mode


def options(args: Arguments, manager: str = "") -> dict[str, Any]:
    """The query of a write: who owns the fields, how strictly to read them, and whether to keep anything."""
    name = "kubectl" if args.verb in _NAMELESS else f"kubectl-{args.verb}"
    chosen: dict[str, Any] = {"fieldManager": args.text("field-manager") or manager or name}
    if "validate" in args.values:
        mode = _VALIDATION.get(args.text("validate").lower())
        if mode is None:
            raise KubectlError(
                f'error: invalid - validate option "{args.text("validate")}"; must be one of: strict (or true), warn, '
                "ignore (or false)"
            )
        chosen["fieldValidation"] = mode
    if dry_run(args) == SERVER:
        chosen["dryRun"] = True
    if args.on("show-managed-fields"):
        chosen["managedFields"] = True
    return chosen
