"""Management techniques: the three ways in which objects are managed, and which of them a command is.

Interface: `technique_of(name, from_files=…)`; `CHANGING`, the commands that change objects; `Technique`.
The rule not to break: a command that only reads is none of them; the same command may be two, by whether it is given
files.
Source: the page "Kubernetes Object Management" of the documentation.
"""

from __future__ import annotations

from typing import NamedTuple


class Technique(NamedTuple):
    """One of the three: what it works on, what it gains and what it costs."""

    name: str
    works_on: str
    gains: str
    costs: str


IMPERATIVE = Technique(
    "imperative",
    "live objects",
    "one word for one action; nothing to prepare; one step",
    "no review, no audit trail but the shell's history, no source but what is live, no template for the next object",
)
IMPERATIVE_FILE = Technique(
    "imperative-file",
    "single files",
    "the file can be reviewed, kept in version control and used again as a template",
    "the file must be written, and what others changed live is lost at the next replace",
)
DECLARATIVE = Technique(
    "declarative",
    "directories of files",
    "what others changed live stays; whole directories; what to do is worked out object by object",
    "harder to understand when the outcome surprises, and merges of three states",
)
TECHNIQUES = (IMPERATIVE, IMPERATIVE_FILE, DECLARATIVE)

_DECLARATIVE = ("apply", "apply edit-last-applied", "apply set-last-applied", "diff", "kustomize")
_IMPERATIVE = (
    "annotate", "auth reconcile", "autoscale", "certificate approve", "certificate deny", "cordon", "create", "debug",
    "delete", "drain", "edit", "expose", "label", "patch", "replace", "rollout pause", "rollout restart",
    "rollout resume", "rollout undo", "run", "scale", "set env", "set image", "set resources", "set selector",
    "set serviceaccount", "set subject", "taint", "uncordon",
)  # fmt: skip
_READING = ("diff", "kustomize", "create token")
CHANGING = frozenset((*_DECLARATIVE, *_IMPERATIVE)) - set(_READING)


def changes(name: str) -> bool:
    """Whether a command changes objects; the generators below `create` do."""
    return name not in _READING and (name in CHANGING or name.startswith("create "))


def technique_of(name: str, *, from_files: bool = False) -> Technique | None:
    """The technique of a command, given files or not; None for one that only reads."""
    if name in _DECLARATIVE:
        return DECLARATIVE
    if not changes(name):
        return None
    return IMPERATIVE_FILE if from_files or name == "replace" else IMPERATIVE
