"""A program in a cell: `kexec -it`, `kattach -it` and `krun -it` talk with it line by line.

Interface: `can_ask(shell)`, `converse(dialogue) -> Shown`.
The rule not to break: the cell comes to an end: with the program, with Ctrl-C or the stop button, or where nobody can
be asked.
Real kubectl gives its terminal away until the program ends.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from IPython.core.error import StdinNotImplementedError

from k8snb.kubectl.dialogue import Dialogue
from k8snb.notebook.live import Shown

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

LISTENING = 0.1  # seconds between two looks at a program while the user is asked
INTERRUPTED = "(interrupted: the session is over)\n"
NOBODY = "(nobody can be asked for a line here: the session is over)\n"


def can_ask(shell: InteractiveShell) -> bool:
    """Whether somebody sits before this shell who can be asked for a line."""
    kernel = getattr(shell, "kernel", None)
    return bool(getattr(kernel, "_allow_stdin", False)) if kernel is not None else sys.stdin.isatty()


def converse(dialogue: Dialogue, ask: Callable[[str], str] | None = None) -> Shown:
    """Show what the program says and pass on what the user types, until one of them has enough.

    `ask` is `input`, which Jupyter answers from its page. Raises KubectlError where the connection broke.
    """
    remark = ""
    try:
        _talk(dialogue, ask or input)
    except KeyboardInterrupt:
        remark = INTERRUPTED
    except StdinNotImplementedError:
        remark = NOBODY
    finally:
        _write(dialogue.finish(remark))
    return Shown(dialogue)


def _talk(dialogue: Dialogue, ask: Callable[[str], str]) -> None:
    while not dialogue.over:
        if dialogue.settle():
            _write(dialogue.hear())
        elif not dialogue.over:
            try:
                dialogue.say(_asked(dialogue, ask))
            except EOFError:
                dialogue.say_end()


def _asked(dialogue: Dialogue, ask: Callable[[str], str]) -> str:
    """A line of the user's. What the program says meanwhile is shown; its end takes the question away."""
    answered = threading.Event()
    listener = threading.Thread(target=_listen, args=(dialogue, answered), name="k8snb-listen", daemon=True)
    listener.start()
    try:
        return ask(dialogue.prompt)
    finally:
        answered.set()
        listener.join()


def _listen(dialogue: Dialogue, answered: threading.Event) -> None:
    while not answered.wait(LISTENING):
        _write(dialogue.hear())
        if dialogue.ended:
            return _take_question_back()


def _take_question_back() -> None:
    """Only a signal ends the wait for a line."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


def _write(text: str) -> None:
    if text:
        sys.stdout.write(text)
        sys.stdout.flush()
