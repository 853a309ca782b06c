"""The magics: one per kubectl verb, `%kubectl` for any line, `%kcluster`, `%kdraw` and the story.

Interface: `KubernetesMagics(shell, clusters)`; `%kVERB …` and, with a body, `%%kVERB …`.
The rule not to break: a magic returns an object and prints nothing; its words are kubectl's, read by kubectl's table.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, magics_class, no_var_expand, output_can_be_silenced

from k8snb.kubectl.commands import COMMANDS, ROWS
from k8snb.kubectl.dialogue import Dialogue
from k8snb.kubectl.forwarding import Forwarding
from k8snb.kubectl.grammar import Command, find_command
from k8snb.kubectl.output import KubectlError, Stream
from k8snb.kubectl.proxy import Proxy
from k8snb.notebook import contexts, kcluster, kdiff, klogs, kproxy, live, own_magics, terminal
from k8snb.notebook.clusters import Clusters
from k8snb.notebook.editor import Editor
from k8snb.notebook.errors import readable, tell
from k8snb.notebook.expansion import fill, split
from k8snb.notebook.forwarded import Forwarded
from k8snb.notebook.results import Result

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

NO_EXPAND, OUT = "--no-expand", "--out"
Magic = Callable[..., Any]


@magics_class
class KubernetesMagics(Magics):
    """The magics of one notebook. `clusters` is the hold on the clusters that they mean."""

    def __init__(self, shell: InteractiveShell, clusters: Clusters) -> None:
        super().__init__(shell)
        self.shell: InteractiveShell = shell
        self.clusters = clusters
        self._verbs = {name: command.name for command in ROWS for name in names_of(command)}
        made = {name: self._verb(COMMANDS[verb]) for name, verb in self._verbs.items()}
        made |= {name: self._own(row) for name, row in own_magics.ROWS.items()}
        made |= {"kubectl": self._kubectl(), "kcluster": self._kcluster(), "kdiff": self._kdiff()}
        self.magics = {"line": made, "cell": dict(made)}

    # making

    def _verb(self, command: Command) -> Magic:
        return self._magic(lambda words, cell: self.kubectl([command.name, *words], cell), own_magics.about(command))

    def _kubectl(self) -> Magic:
        return self._magic(self.kubectl, "Any line of kubectl's: %kubectl get pods -o wide")

    def _kcluster(self) -> Magic:
        return self._magic(lambda words, cell: self.kcluster(words), "The cluster itself: %kcluster -h")

    def _kdiff(self) -> Magic:
        """kubectl's own, and with `--from` the comparison of two moments."""
        return self._magic(self._compare, kdiff.about())

    def _compare(self, words: list[str], cell: str | None) -> Any:
        return kdiff.run(self.clusters.current, words) if kdiff.asks(words) else self.kubectl(["diff", *words], cell)

    def _own(self, row: own_magics.Own) -> Magic:
        return self._magic(lambda words, cell: row.act(self.clusters, words, cell), row.about, files=row.files)

    def _magic(self, act: Callable[[list[str], str | None], Any], doc: str, *, files: bool = False) -> Magic:
        """A line and cell magic that reads its words, lets `act` answer, and turns refusals into a readable line.

        With `files`, `--out` may also name a file, which `act` writes.
        """

        @no_var_expand
        @output_can_be_silenced
        def magic(line: str, cell: str | None = None) -> Any:
            with readable(cell):
                words, body, filled = self._read(line, cell)
                words, name = taken_name(words, is_cell=cell is not None, files=files)
                return self._kept(self._with_remarks(act(words, body), filled), name)

        magic.__doc__ = doc
        return magic

    def offer(self, name: str) -> Callable[[list[str]], Sequence[str]]:
        """What the last word of a magic's line can become."""
        if name in _COMPLETED:
            return lambda words: _COMPLETED[name](self.clusters, words)
        verb = [] if name == "kubectl" else [self._verbs[name]]

        def complete(words: list[str]) -> Sequence[str]:
            if kproxy.offers([*verb, *words]):
                return kproxy.complete(self.clusters.current, [*verb, *words][1:])
            if klogs.asks_for_all([*verb, *words]):
                return klogs.complete(self.clusters.current, words)
            return self.clusters.current.kubectl.complete([*verb, *words])

        return complete

    def _with_remarks(self, answer: Any, filled: dict[str, str]) -> Any:
        """The answer, with what the notebook's variables became and what went wrong in the cluster meanwhile."""
        if isinstance(answer, Result):
            text = ", ".join(f"{name} = {_short(value)}" for name, value in filled.items())
            hints = [f"from the notebook: {text}"] if filled else []
            answer.output.hints = [*answer.output.hints, *hints]
            answer.output.warnings = [*answer.output.warnings, *self.clusters.take_failures()]
        return answer

    def _kept(self, answer: Any, name: str) -> Any:
        """The answer, which the notebook has under a name from now on if one was given."""
        if name:
            self.shell.push({name: answer})
        return answer

    # running

    def _read(self, line: str, cell: str | None) -> tuple[list[str], str | None, dict[str, str]]:
        """The words of the line, the body, and what was filled in from the notebook's variables."""
        line = line.strip().removesuffix(";")
        names = {} if NO_EXPAND in line.split() else self._names()
        try:
            words, filled = split(line, names)
        except ValueError as error:
            raise KubectlError(f"error: {error}") from None
        if cell is not None:
            cell, in_cell = fill(cell, names)
            filled = {**filled, **in_cell}
        return [word for word in words if word != NO_EXPAND], cell, filled

    def _names(self) -> dict[str, Any]:
        """The notebook's own variables, without what IPython puts among them."""
        hidden = self.shell.user_ns_hidden
        return {name: value for name, value in self.shell.user_ns.items() if name not in hidden}

    def kcluster(self, words: list[str]) -> Any:
        """Run a line of %kcluster's; what goes on ends with the cell."""
        words, ending = live.take_ending(words) if "logs" in words[:3] else (words, live.Ending())
        answer = kcluster.run(self.clusters, words)
        if isinstance(answer, Stream):
            return live.follow(self.shell, self.clusters.current, answer, ending)
        return answer

    def kubectl(self, words: list[str], cell: str | None = None) -> Result | Editor:
        """Run a line of kubectl's on the current cluster; a body is what `-f -` reads."""
        cluster, kubectl = self.clusters.contexts.kubectl_for(words)
        if klogs.asks_for_all(words):
            return klogs.search(cluster, words)
        if kproxy.is_meant(words):
            return kproxy.show(cluster, words)
        if _edits(words) and getattr(self.shell, "kernel", None) is not None:
            return Editor(kubectl.draft(_with_body(words, cell), stdin=cell))
        ending = live.Ending()
        if _goes_on(words):
            words, ending = live.take_ending(words)
            ending.blocking = "logs" in words[:3]
            words = _with_events(words)
        answer = kubectl.run(_with_body(words, cell), stdin=cell, asks=terminal.can_ask(self.shell))
        tell(answer.log)
        if isinstance(answer, Dialogue):
            return terminal.converse(answer)
        if isinstance(answer, Stream):
            return live.follow(self.shell, cluster, answer, ending)
        return Forwarded(answer) if isinstance(answer, Forwarding | Proxy) else Result(answer, source=cell or "")


_COMPLETED: Mapping[str, Callable[[Clusters, Sequence[str]], Sequence[str]]] = {
    **{name: row.offer for name, row in own_magics.ROWS.items()},
    "kcluster": kcluster.complete,
    "kconfig": contexts.complete,
    "kdiff": lambda clusters, words: kdiff.complete(clusters.current, words),
}


def taken_name(words: list[str], *, is_cell: bool, files: bool = False) -> tuple[list[str], str]:
    """The words without `--out NAME`, or without `NAME <<` at the end of a cell magic's line, and the name.

    With `files`, a name with a dot or a slash in it is one of a file, and stays. Raises KubectlError for a name that
    Python does not allow.
    """
    plain, name = _before_dashes(words), None
    rest = words[len(plain) :]
    if is_cell and len(plain) > 1 and plain[-1] == "<<":
        plain, name = plain[:-2], plain[-2]
    for place, word in enumerate(plain):
        if word == OUT or word.startswith(f"{OUT}="):
            has_value = "=" in word
            name = word.partition("=")[2] if has_value else (plain[place + 1 : place + 2] or [""])[0]
            if files and {".", "/"} & {*name}:
                return words, ""
            plain = plain[:place] + plain[place + (1 if has_value else 2) :]
            break
    if name is not None and (not name.isidentifier() or keyword.iskeyword(name)):
        raise KubectlError(f'error: {OUT} takes a name for the answer, and "{name}" is none that Python allows')
    return [*plain, *rest], name or ""


def names_of(command: Command) -> list[str]:
    """`kget`; for a verb with a dash also the name with an underscore. Subcommands have no magic of their own."""
    if not command.name or " " in command.name or command.hidden:
        return []
    return list(dict.fromkeys([f"k{command.name}", f"k{command.name.replace('-', '_')}"]))


def _before_dashes(words: Sequence[str]) -> list[str]:
    return list(words[: words.index("--")]) if "--" in words else list(words)


def _with_body(words: list[str], cell: str | None) -> list[str]:
    """With a body and no `-f`, `-f -` is meant. Raises KubectlError for a verb that reads no files."""
    plain = _before_dashes(words)
    if cell is None or any(word.split("=")[0] in ("-f", "--filename") for word in plain) or reads_stdin(plain):
        return words
    if not reads_files(plain):
        raise KubectlError(f"error: kubectl {plain[0]} takes no body: write it on one line, with % instead of %%")
    return [*plain, "-f", "-", *words[len(plain) :]]


def reads_files(words: Sequence[str]) -> bool:
    """Whether the command that these words name has `-f FILE`."""
    command, _ = find_command(words, COMMANDS)
    return any(flag.name == "filename" for flag in command.flags)


def reads_stdin(words: Sequence[str]) -> bool:
    """Whether the line passes its body on to a program: `exec -i`."""
    command, _ = find_command(words, COMMANDS)
    shorts = [word for word in words if word.startswith("-") and not word.startswith("--")]
    asked = "--stdin" in words or "--stdin=true" in words or any("i" in word for word in shorts)
    return asked and any(flag.name == "stdin" for flag in command.flags)


def _edits(words: Sequence[str]) -> bool:
    """Whether the line opens an editor."""
    plain = _before_dashes(words)
    opens = plain[:1] == ["edit"] or plain[:2] == ["apply", "edit-last-applied"]
    return (opens or (plain[:1] == ["create"] and "--edit" in plain)) and not {"-h", "--help"} & {*plain}


def _goes_on(words: Sequence[str]) -> bool:
    """Whether the line watches or follows."""
    plain = _before_dashes(words)
    watches = {"get", "events"} & {*plain[:3]} and any(word in ("-w", "--watch", "--watch-only") for word in plain)
    follows = "logs" in plain[:3] and any(word in ("-f", "--follow") for word in plain)
    return bool(watches) or follows or plain[:1] == ["attach"]


def _with_events(words: list[str]) -> list[str]:
    """A live table has to be told of deletions, which kubectl's own lines do not show."""
    return [*words, "--output-watch-events"] if "get" in words[:3] and "--output-watch-events" not in words else words


def _short(value: str) -> str:
    return value if len(value) <= 40 else value[:37] + "…"
