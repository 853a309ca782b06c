"""kubectl's dialogues: a program in a container that is talked to line by line, as `exec -it` does in a terminal.

Interface: `Dialogue(talk, …)`: `settle()`, `hear()`, `prompt`, `say(line)`, `finish()`; whoever shows it asks the user.
The rule not to break: what was begun is ended: `finish` closes the streams, whatever has become of the program.
Real kubectl hands its terminal over and copies bytes; lines and prompts are the program's own business there.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Sequence

from k8snb.apimachinery.meta import Object
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.remote import Remote

COLUMNS, ROWS = 200, 50  # of the program's terminal; a wider line would be repeated in pieces
ASKING = 0.15  # seconds of silence after an unfinished line: that is a prompt
SILENT = 1.0  # seconds of silence after which a program may be waiting for a line without saying so
END = "\x04"  # what a terminal makes of Ctrl-D
# What moves a cursor or asks a terminal something; colours may stay, a page shows them.
_CONTROLS = re.compile(
    r"\x1b\[[0-9;?]*[A-HJKSTfhlnrsu]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[=>()][A-Z0-9]?|[\x00\x07]"
)
_HALF = re.compile(r"\x1b(?:\[[0-9;?]*|\][^\x07\x1b]*)?$")


After = Callable[[int], tuple[str, int]]


def exit_words(code: int) -> tuple[str, int]:
    """The last words of `exec`, and its exit code."""
    return (f"command terminated with exit code {code}\n" if code else "", code)


class Dialogue(Output):
    """A program that reads and speaks. `text` becomes the transcript of both sides; it and `exit_code` are final after
    `finish`.

    `after(code)` does what has to be done at the end, such as deleting the pod of `run --rm`; it gives the last words
    and the exit code of the command.
    """

    def __init__(
        self, talk: Remote, objects: Sequence[Object], *, tty: bool, first: str = "", after: After = exit_words
    ) -> None:
        super().__init__(text=first, objects=list(objects))
        self._talk, self._after, self._tty = talk, after, tty
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._raw = ""  # the beginning of a control sequence whose end has not come
        self._echo = ""  # what a terminal repeats of the last line
        self._first = first
        self.prompt = ""  # the unfinished line that the program may be waiting behind
        self._finished = False
        if tty:
            talk.resize(COLUMNS, ROWS)

    @property
    def ended(self) -> bool:
        """Whether the program has ended."""
        return self._talk.over

    @property
    def over(self) -> bool:
        """Whether it has ended and all that it said was taken."""
        return self._talk.over and not self._talk.heard and not self._first

    def hear(self) -> str:
        """The whole lines that have come since the last question; an unfinished one becomes the prompt."""
        first, self._first = self._first, ""
        fresh = self.prompt + self._without_echo(self._decoded())
        lines, newline, self.prompt = fresh.rpartition("\n")
        self.text += lines + newline
        return first + lines + newline

    def _decoded(self) -> str:
        """What was heard as text that a page can show."""
        raw = self._raw + self._decoder.decode(b"".join(data for _, data in self._talk.take()))
        half = _HALF.search(raw)
        self._raw = half[0] if half else ""
        return _CONTROLS.sub("", raw.removesuffix(self._raw)).replace("\r\n", "\n")

    def _without_echo(self, text: str) -> str:
        """A terminal repeats what is typed, and the page has shown it already."""
        same = min(len(self._echo), len(text))
        is_echo = text[:same] == self._echo[:same]
        self._echo = self._echo[same:] if is_echo else ""
        return text[same:] if is_echo else text

    def settle(self) -> bool:
        """Let the program speak. Returns whether something has come; not, when it is silent or has ended."""
        patience = ASKING if self.prompt else SILENT
        self._talk.wait(lambda: self._talk.heard or self._talk.over, 0.0 if self._first else patience)
        return self._talk.heard or bool(self._first)

    def say(self, line: str) -> None:
        """One line of the user's."""
        self.text += f"{self.prompt}{line}\n"
        self.prompt = ""
        self._echo = f"{line}\n" if self._tty else ""
        self._talk.say(f"{line}\n".encode())

    def say_end(self) -> None:
        """The user has no more to say."""
        if self._tty:
            self._talk.say(END.encode())
        else:
            self._talk.say_end()

    def finish(self, remark: str = "") -> str:
        """End it. Returns the words that are left, the last ones of the command among them; a second time, nothing.

        `remark` says why a program that still runs is left. Raises KubectlError where the connection broke.
        """
        if self._finished:
            return ""
        self._finished = True
        broken_off = not self._talk.over
        left = self.hear()
        if broken_off:
            self._talk.close()
        said, self.exit_code = self._after(self._code(broken_off))
        last = (f"{self.prompt}\n" if self.prompt else "") + (remark if broken_off else "") + said
        self.text += last
        return left + last

    def _code(self, broken_off: bool) -> int:
        """The program's exit code; what has to be done at the end is done even where the connection broke."""
        try:
            return 0 if broken_off else self._talk.code
        except KubectlError:
            self._after(1)
            raise
