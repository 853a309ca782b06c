"""kubectl's grammar: commands and flags as rows of a table, and the one parser that reads them.

Interface: `Command` and `Flag` rows; `parse(words, commands) -> Arguments`.
The rule not to break: parsing, help, completion and the keyword methods come from the rows; nothing else knows a flag.
Real kubectl builds the same from cobra commands and pflag flags.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from k8snb.kubectl.output import KubectlError, Output
from k8snb.printers import duration

if TYPE_CHECKING:
    from k8snb.kubectl.session import Session

    Run = Callable[[Session, "Arguments"], Output]

BOOL, STRING, INT, DURATION, STRINGS, ARRAY = "bool", "string", "int", "duration", "strings", "array"
_EMPTY: Mapping[str, Any] = {BOOL: False, STRING: "", INT: 0, DURATION: 0.0, STRINGS: (), ARRAY: ()}


@dataclass(frozen=True)
class Flag:
    """One flag. `sort` is bool, string, int, duration, strings (repeatable, commas part) or array (repeatable).

    `bare` is what it means without a value (`--dry-run`); `values` are offered by completion and, with `strict`, the
    only ones allowed; `values` may also name what to look up: `:namespaces`, `:nodes`, `:labels`, `:containers`.
    """

    name: str
    sort: str = STRING
    help: str = ""
    short: str = ""
    default: Any = None
    bare: str | None = None
    values: tuple[str, ...] = ()
    required: bool = False

    @property
    def initial(self) -> Any:
        return _EMPTY[self.sort] if self.default is None else self.default

    @property
    def takes_value(self) -> bool:
        """Whether the next word is its value when there is no `=`."""
        return self.sort != BOOL and self.bare is None


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command. `name` has a space in it for a subcommand (`create deployment`).

    `run` is None for a command that only groups others, or that k8snb does not have (then `missing_command`).
    `missing` names flags that kubectl has and this does not. `words` says what the positional words are, for
    completion: resources (after a colon, of which kinds), pods, nodes, services, fields, or nothing. What follows a
    `raw` command is a command line of its own: it becomes `rest`, and only the flags that every command has are read.
    """

    name: str
    usage: str = ""
    help: str = ""
    group: str = ""
    run: Run | None = None
    flags: tuple[Flag, ...] = ()
    examples: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    words: str = ""
    missing_command: bool = False
    raw: bool = False

    @property
    def hidden(self) -> bool:
        """Whether it is for programs only, and no help names it."""
        return self.name.startswith("__")


# Which server is meant, and who to be there.
CONNECTION_FLAGS: tuple[Flag, ...] = (
    Flag("kubeconfig", help="The kubeconfig file to use."),
    Flag("context", help="The kubeconfig context to use."),
    Flag("cluster", help="The kubeconfig cluster to use."),
    Flag("user", help="The kubeconfig user to use."),
    Flag("server", help="The address and port of the Kubernetes API server.", short="s"),
    Flag("certificate-authority", help="A file with the authority's certificate."),
    Flag("insecure-skip-tls-verify", BOOL, "Do not check the server's certificate. This makes HTTPS insecure."),
    Flag("tls-server-name", help="The name to check the server's certificate for; without, that of the server."),
    Flag("client-certificate", help="A file with the client's certificate."),
    Flag("client-key", help="A file with the client's key."),
    Flag("token", help="Bearer token for authentication to the API server."),
    Flag("username", help="User name for basic authentication to the API server."),
    Flag("password", help="Password for basic authentication to the API server."),
    Flag("disable-compression", BOOL, "Ask the server not to compress its answers."),
    Flag("request-timeout", help="How long a request may take, such as 1s, 2m or 3h; 0 for as long as it takes.",
         default="0"),
)  # fmt: skip
GLOBAL_FLAGS: tuple[Flag, ...] = (
    Flag("namespace", help="The namespace to work in.", short="n", values=(":namespaces",)),
    Flag("help", BOOL, "Show what a command does.", short="h"),
    Flag("as", help="Act as this user: NAME, or system:serviceaccount:NAMESPACE:NAME."),
    Flag("as-group", ARRAY, "A group to act as besides; repeatable. Needs --as."),
    Flag("as-uid", help="The UID to act as. Needs --as."),
    *CONNECTION_FLAGS,
    Flag("warnings-as-errors", BOOL, "Fail where the server warns."),
    Flag("match-server-version", BOOL, "Fail where the server is of another release."),
    Flag(
        "v", INT, "Tell of the requests: 6 of each answer, 7 of each request too, 8 with what was in them.", short="v"
    ),
)
# Flags that every command of the real kubectl has beside those above.
MISSING_EVERYWHERE = (
    "cache-dir", "kuberc", "log-flush-frequency", "profile", "profile-output", "vmodule",
)  # fmt: skip
_SHORT_OF_MISSING = {"f": ("filename",), "i": ("stdin", "interactive"), "k": ("kustomize",), "t": ("tty",),
                     "q": ("quiet",)}  # fmt: skip
# Why those that a command or all of them miss are missing, where more than that is to be said.
REASONS = {
    "allow-missing-template-keys": "objects are edited as yaml or json, never as a template",
    "cache-dir": "k8snb keeps no cache of what a server serves: it asks",
    "cached": "k8snb keeps no cache of what a server serves: it asks",
    "concurrency": "objects are compared one after another; the result is the same",
    "filename": "kubectl reads it here and does nothing with it",
    **dict.fromkeys(("as-current-user", "enable-alpha-plugins", "env", "mount", "network", "network-name"),
                    "it is for plug-ins that run in containers"),
    **dict.fromkeys(("helm-api-versions", "helm-command", "helm-debug", "helm-kube-version"),
                    "helm template takes such options, and a file with what it prints can be named under resources"),
    "keepalive": "the operating system decides when a silent connection is looked after",
    "kuberc": "an alpha feature, off in kubectl too unless KUBECTL_KUBERC=true is set",
    "kustomize": "kubectl reads it here and does nothing with it",
    "log-flush-frequency": "k8snb writes no log of its own that could be flushed",
    "openapi-patch": "there is one table of merge keys, and it comes from the OpenAPI",
    "pod-running-timeout": "logs are taken from pods as they are; nothing waits for them here",
    "profile": "Python has profilers: %prun in a notebook, python -m cProfile in a terminal",
    "profile-output": "Python has profilers: %prun in a notebook, python -m cProfile in a terminal",
    "recursive": "kubectl reads it here and does nothing with it",
    "show-managed-fields": "what is shown here has no managedFields",
    "template": "objects are edited as yaml or json, never as a template",
    "use-protocol-buffers": "metrics are asked for as JSON; the numbers are the same",
    "validate": "only an annotation is written, whatever stands in it",
    "vmodule": "it is about the Go files that kubectl is made of",
}  # fmt: skip
# Flags that books still show and kubectl has no more, with what to do instead.
_GONE = {
    "export": "kubectl get -o yaml prints an object; what the server added is left out by %kexport in a notebook",
    "generator": "kubectl run makes a pod; kubectl create deployment, job, cronjob and the like make the rest",
    "record": "say why by kubectl annotate TYPE/NAME kubernetes.io/change-cause='…'; kubectl rollout history shows it",
}


@dataclass
class Arguments:
    """A command line that has been read. `rest` is what stands after `--`, None where there is no `--`."""

    command: Command
    words: list[str] = field(default_factory=list)
    rest: list[str] | None = None
    values: dict[str, Any] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)

    def text(self, name: str) -> str:
        return str(self.values.get(name) or "")

    def on(self, name: str) -> bool:
        return bool(self.values.get(name))

    def number(self, name: str) -> int:
        return int(self.values.get(name) or 0)

    def seconds(self, name: str) -> float:
        return float(self.values.get(name) or 0.0)

    def texts(self, name: str) -> list[str]:
        return list(self.values.get(name) or ())

    @property
    def from_files(self) -> bool:
        """Whether `-f` or `-k` says where the objects are."""
        return bool(self.texts("filename") or self.text("kustomize"))

    @property
    def verb(self) -> str:
        return self.command.name.split()[0]


def usage_error(message: str, command: Command | str) -> KubectlError:
    """A complaint about the command line, with where to read on."""
    name = command if isinstance(command, str) else command.name
    return KubectlError(f"error: {message}\nSee 'kubectl {name} -h' for help and examples")


def nearest(word: str, words: Sequence[str], *, before: str = "") -> str:
    """` (did you mean "x"?)`, or nothing where no word is near; `before` is what is written before all of them."""
    found = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f' (did you mean "{before}{found[0]}"?)' if found else ""


def parse(words: Sequence[str], commands: Mapping[str, Command]) -> Arguments:
    """Read a command line; `commands` are the rows by name and alias. Raises KubectlError."""
    command, consumed = find_command(words, commands)
    arguments = Arguments(command)
    if command.missing_command and not {"-h", "--help"} & set(words):
        raise KubectlError(f"error: kubectl {command.name}: not implemented by k8snb")
    for flag in flags_of(command):
        arguments.values[flag.name] = flag.initial
    if command.raw:
        arguments.rest = _without(words, consumed)
        _read_globals(arguments.rest, arguments)
        return arguments
    _read(_without(words, consumed), arguments)
    if not arguments.on("help"):
        _check_required(arguments)
    return arguments


def flags_of(command: Command) -> tuple[Flag, ...]:
    """A command's flags and those that every command has; its own count where both have the same."""
    own = {flag.name for flag in command.flags}
    shorts = {flag.short for flag in command.flags if flag.short}
    every = (replace(flag, short="") if flag.short in shorts else flag for flag in GLOBAL_FLAGS)
    return (*command.flags, *(flag for flag in every if flag.name not in own))


def find_command(words: Sequence[str], commands: Mapping[str, Command]) -> tuple[Command, list[int]]:
    """The command that the words name, and the places of the words that name it."""
    name = ""
    places: list[int] = []
    for place in _bare_places(words):
        longer = f"{name} {words[place]}".strip()
        if longer not in commands:
            break
        name, places = commands[longer].name, [*places, place]
    if name:
        return commands[name], places
    bare = [words[place] for place in _bare_places(words)]
    if not bare:
        return commands[""], []
    top = [other for other in commands if other and " " not in other]
    raise KubectlError(f'error: unknown command "{bare[0]}" for "kubectl"{nearest(bare[0], top)}')


def _bare_places(words: Sequence[str]) -> list[int]:
    """Where words stand that are neither flags nor, for the flags that every command has, their values."""
    valued = {f"--{flag.name}" for flag in GLOBAL_FLAGS if flag.takes_value}
    valued |= {f"-{flag.short}" for flag in GLOBAL_FLAGS if flag.takes_value and flag.short}
    places, skip = [], False
    for place, word in enumerate(words):
        if word == "--":
            break
        if not skip and not (word.startswith("-") and word != "-"):
            places.append(place)
        skip = not skip and word in valued
    return places


def _without(words: Sequence[str], places: Sequence[int]) -> list[str]:
    return [word for place, word in enumerate(words) if place not in places]


def _read(words: list[str], arguments: Arguments) -> None:
    while words:
        word = words.pop(0)
        if word == "--":
            arguments.rest = words
            return
        if word.startswith("--"):
            _read_long(word[2:], words, arguments)
        elif word.startswith("-") and word != "-" and not _is_number(word):
            _read_short(word[1:], words, arguments)
        else:
            arguments.words.append(word)


def _read_globals(words: Sequence[str], arguments: Arguments) -> None:
    """The flags that every command has, out of words that nobody has finished typing."""
    forms = {form: flag for flag in GLOBAL_FLAGS if flag.takes_value for form in (f"--{flag.name}", f"-{flag.short}")}
    for place, word in enumerate(words[:-1]):
        name, equals, value = word.partition("=")
        following = words[place + 1] if place + 2 < len(words) else ""
        if name in forms and (equals or following):
            _set(forms[name], value if equals else following, arguments)


def _is_number(word: str) -> bool:
    return re.fullmatch(r"-\d+", word) is not None


def _read_long(body: str, words: list[str], arguments: Arguments) -> None:
    name, equals, value = body.partition("=")
    flag = next((flag for flag in flags_of(arguments.command) if flag.name == name), None)
    if flag is None:
        raise _unknown_flag(name, arguments.command)
    _set(flag, value if equals else _value(flag, f"--{name}", words, arguments.command), arguments)


def _read_short(body: str, words: list[str], arguments: Arguments) -> None:
    """`-l x`, `-lx`, `-l=x`, and several booleans together (`-it`)."""
    flags = {flag.short: flag for flag in reversed(flags_of(arguments.command)) if flag.short}
    while body:
        letter, body = body[0], body[1:]
        flag = flags.get(letter)
        if flag is None:
            raise _unknown_short_flag(letter, body, arguments.command)
        if body.startswith("="):
            value, body = body[1:], ""
        elif flag.takes_value and body:
            value, body = body, ""
        else:
            value = _value(flag, f"{letter!r} in -{letter}", words, arguments.command)
        _set(flag, value, arguments)


def _value(flag: Flag, shown: str, words: list[str], command: Command) -> str:
    if flag.bare is not None:
        return flag.bare
    if flag.sort == BOOL:
        return "true"
    if not words:
        raise KubectlError(f"error: flag needs an argument: {shown}\nSee 'kubectl {command.name} --help' for usage.")
    return words.pop(0)


def _unknown_short_flag(letter: str, body: str, command: Command) -> KubectlError:
    missing = set(_SHORT_OF_MISSING.get(letter, ())) & {*command.missing, *MISSING_EVERYWHERE}
    if missing:
        return _unknown_flag(missing.pop(), command)
    text = f"error: unknown shorthand flag: {letter!r} in -{letter}{body}"
    return KubectlError(f"{text}\nSee 'kubectl {command.name} --help' for usage.")


def _unknown_flag(name: str, command: Command) -> KubectlError:
    if name in _GONE:
        return KubectlError(f"error: unknown flag: --{name}: it is gone from kubectl: {_GONE[name]}")
    if name in command.missing or name in MISSING_EVERYWHERE:
        why = f": {REASONS[name]}" if name in REASONS else ""
        return KubectlError(f"error: kubectl {command.name} --{name}: not implemented by k8snb{why}")
    near = nearest(name, [flag.name for flag in flags_of(command)], before="--")
    text = f"error: unknown flag: --{name}{near}"
    return KubectlError(f"{text}\nSee 'kubectl {command.name} --help' for usage.")


_BOOLS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def _set(flag: Flag, value: str, arguments: Arguments) -> None:
    try:
        read = _READERS[flag.sort](value)
    except (ValueError, KeyError):
        shown = f"-{flag.short}, --{flag.name}" if flag.short else f"--{flag.name}"
        raise KubectlError(f'error: invalid argument "{value}" for "{shown}" flag: not {_WANTED[flag.sort]}') from None
    if flag.sort in (STRINGS, ARRAY) and flag.name in arguments.given:
        read = (*arguments.values[flag.name], *read)
    arguments.values[flag.name] = read
    arguments.given.add(flag.name)


_READERS: Mapping[str, Callable[[str], Any]] = {
    BOOL: lambda text: _BOOLS[text.lower()],
    STRING: lambda text: text,
    INT: int,
    DURATION: duration.parse,
    STRINGS: lambda text: tuple(text.split(",")),
    ARRAY: lambda text: (text,),
}
_WANTED = {BOOL: "true or false", INT: "a whole number", DURATION: "a time such as 30s, 5m or 1h"}


def _check_required(arguments: Arguments) -> None:
    absent = [f.name for f in arguments.command.flags if f.required and f.name not in arguments.given]
    if absent:
        names = ", ".join(f'"{name}"' for name in absent)
        raise KubectlError(f"error: required flag(s) {names} not set")
