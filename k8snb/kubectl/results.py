"""Results: the line, or the object, that a command prints for each object it changed.

Interface: `Results` collects; `output()` prints as `-o` asks.
The rule not to break: what was done is reported even when something after it failed.
"""

from __future__ import annotations

from collections.abc import Sequence

from k8snb.apimachinery.meta import Object
from k8snb.kubectl import formats
from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import join
from k8snb.kubectl.session import CLIENT, NONE, SERVER, Session, dry_run
from k8snb.kubectl.templates import format_of

_SUFFIX = {NONE: "", CLIENT: " (dry run)", SERVER: " (server dry run)"}


def show(objects: Sequence[Object], args: Arguments) -> str:
    """Objects as `-o` asks; just one not as a List."""
    return formats.render(
        objects,
        format_of(args),
        single=True,
        missing_ok=args.on("allow-missing-template-keys"),
        managed_fields=args.on("show-managed-fields"),
    )


class Results:
    """What one command did, object by object."""

    def __init__(self, session: Session, args: Arguments) -> None:
        self.session, self.args = session, args
        self.objects: list[Object] = []
        self.lines: list[str] = []
        self.errors: list[KubectlError] = []

    def add(self, obj: Object, done: str) -> None:
        """`deployment.apps/web` was `created`."""
        self.add_line(obj, f"{formats.resource_name(obj)} {done}{self._suffix}")

    @property
    def _suffix(self) -> str:
        return "" if self.args.on("local") else _SUFFIX[dry_run(self.args)]

    def add_line(self, obj: Object, line: str) -> None:
        self.objects.append(obj)
        self.lines.append(line)

    def remark(self, line: str) -> None:
        """A line about what was done on the way, and no object of the answer."""
        self.lines.append(line)

    def fail(self, error: KubectlError) -> None:
        self.errors.append(error)

    def output(self, *, as_list: bool = False) -> Output:
        """The whole answer. Raises KubectlError if anything failed, with what was done in `applied`."""
        if self.errors:
            raise join(self.errors, self.lines)
        return Output(text=self._text(as_list), objects=self.objects, format=format_of(self.args))

    def _text(self, as_list: bool) -> str:
        format = format_of(self.args)
        if not format:
            return "".join(line + "\n" for line in self.lines)
        groups = [self.objects] if as_list else [[obj] for obj in self.objects]
        texts = [show(group, self.args) for group in groups]
        return ("---\n" if format == "yaml" else "").join(texts)
