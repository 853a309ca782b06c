"""The paper that `describe` writes on, and the sections that pages share.

Interface: `Page`; `meta_lines`, `labels_lines`, `conditions`, `events_section`.
The rule not to break: two spaces for each level, and a tab between a name and its value: the columns come from that.
Source: `kubectl/pkg/describe/describe.go`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from k8snb.apimachinery.meta import Object, controller_of, get_path
from k8snb.clock import parse_timestamp
from k8snb.kubectl.events import age, events_about
from k8snb.kubectl.session import Session
from k8snb.printers import columns as printers
from k8snb.printers.tabwriter import align

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_LONG = 140  # an annotation longer than this begins on a line of its own


class Page:
    """Lines with tabs in them, which become columns at the end."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def line(self, level: int, text: str) -> None:
        self._lines.append("  " * level + text)

    def lines(self, level: int, name: str, values: Sequence[str], indent: str = "") -> None:
        """`Name:  first`, and the other values below the first; `<none>` for none."""
        first, *others = values or ["<none>"]
        self.line(level, f"{indent}{name}:\t{first}")
        for value in others:
            self.line(0, f"{indent}\t{value}")

    def table(
        self,
        level: int,
        head: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        rule: Sequence[str] | None = None,
        ruled: bool = True,
    ) -> None:
        """Rows below a head; `rule` are the dashes between them, as long as the names where nothing else is said."""
        self.line(level, "\t".join(head))
        if ruled:
            self.line(level, "\t".join(rule or ["-" * len(name) for name in head]))
        for row in rows:
            self.line(level, "\t".join(row))

    @property
    def raw(self) -> str:
        """The lines as they were written, with their tabs."""
        return "\n".join(self._lines)

    @property
    def text(self) -> str:
        return align(self.raw) + "\n"


_ACRONYMS = ("API", "URL", "UID", "OSB", "GUID")
_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|-+")


def heading(key: str) -> str:
    """`resourceVersion` as `Resource Version`, `apiVersion` as `API Version`; a key with other signs stays."""
    if re.search(r"[^A-Za-z-]", key):
        return key
    words = _WORDS.findall(key)
    return " ".join(word.upper() if word.upper() in _ACRONYMS else word[:1].upper() + word[1:] for word in words)


def time_text(timestamp: str | None) -> str:
    """An RFC 3339 time as describe pages write it: `Mon, 01 Jan 2024 10:00:00 +0000`."""
    if not timestamp:
        return "<unset>"
    return datetime.fromtimestamp(int(parse_timestamp(timestamp)), UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")


def labels_lines(labels: Mapping[str, str] | None) -> list[str]:
    return [f"{key}={value}" for key, value in sorted((labels or {}).items())]


def annotation_lines(annotations: Mapping[str, str] | None) -> list[str]:
    """`key: value`; long values and those of several lines below their key. What `apply` notes down is left out."""
    lines: list[str] = []
    for key, value in sorted((annotations or {}).items()):
        if key == LAST_APPLIED:
            continue
        value = value.strip("\n")
        if len(value) + len(key) < _LONG and "\n" not in value:
            lines.append(f"{key}: {value}")
        else:
            short = value if len(value) <= _LONG else value[:_LONG] + "..."
            lines += [f"{key}:", *(f"  {part}" for part in short.split("\n"))]
    return lines


def meta_lines(page: Page, obj: Object, *, namespaced: bool = True) -> None:
    """Name, namespace, labels and annotations."""
    metadata = obj["metadata"]
    page.line(0, f"Name:\t{metadata.get('name', '')}")
    if namespaced:
        page.line(0, f"Namespace:\t{metadata.get('namespace', '')}")
    page.lines(0, "Labels", labels_lines(metadata.get("labels")))
    page.lines(0, "Annotations", annotation_lines(metadata.get("annotations")))


def controlled_by(page: Page, obj: Object) -> None:
    owner = controller_of(obj)
    if owner:
        page.line(0, f"Controlled By:\t{owner['kind']}/{owner['name']}")


def conditions(page: Page, obj: Object, columns: Sequence[str]) -> None:
    """The conditions as a table of these columns: `Type`, `Status`, `Reason` …"""
    entries = get_path(obj, "status.conditions") or ()
    if not entries:
        return
    page.line(0, "Conditions:")
    names = [name[:1].lower() + name[1:] for name in columns]
    spaces = _SPACES[len(columns)]
    pairs = list(zip(names, spaces, strict=True))
    rows = [[_condition_cell(name, entry) + space for name, space in pairs] for entry in entries]
    page.table(1, columns, rows, ruled=len(columns) > 2)


# kubectl puts a space before some of the tabs in its tables of conditions, by the number of columns.
_SPACES = {2: (" ", " "), 3: (" ", "", ""), 6: (" ", " ", " ", " ", " ", "")}


def _condition_cell(name: str, entry: Object) -> str:
    value = entry.get(name)
    return time_text(value) if name.endswith("Time") else str(value or "")


def events_section(session: Session, obj: Object, page: Page) -> None:
    """What was said about the object, the latest last."""
    events = events_about(session, obj)
    if not events:
        page.line(0, "Events:\t<none>")
        return
    page.line(0, "Events:")
    now = session.now()
    rows = [
        (event.get("type", ""), event.get("reason", ""), age(event, now), printers.event_component(event),
         event.get("message", "").strip())
        for event in events
    ]  # fmt: skip
    page.table(1, ("Type", "Reason", "Age", "From", "Message"), rows, rule=_EVENTS_RULE)


# kubectl has one dash too many under Age.
_EVENTS_RULE = ("----", "------", "----", "----", "-------")
