"""kubectl explain: what a kind's fields are.

Interface: `COMMANDS`.
The rule not to break: every sentence about a field is Kubernetes' own, from the published schema.
Source: `kubectl/pkg/explain/v2`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence

from k8snb.apimachinery.custom_types import type_of
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.schema import Field, Type
from k8snb.kubectl import explain_v2, openapi
from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag, nearest, usage_error
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.session import Session

_NOTHING = (
    'You must specify the type of resource to explain. Use "kubectl api-resources" for a complete list of '
    "supported resources."
)
Page = Callable[..., str]
_WIDTH = 80
_OUTPUTS = ("plaintext", "plaintext-openapiv2")
_DEEPEST = 12  # levels of --recursive


def run(session: Session, args: Arguments) -> Output:
    if len(args.words) != 1:
        what = _NOTHING if not args.words else (
            "We accept only this format: explain RESOURCE")  # fmt: skip
        raise usage_error(what, args.command)
    output = args.text("output")
    if output not in _OUTPUTS:
        raise KubectlError(f"error: unrecognized format: {output}")
    word, _, path = args.words[0].partition(".")
    kind = _kind(session, args, word)
    shape = type_of(kind) or openapi.type_of(session, kind)
    if shape is None:
        raise KubectlError(f'error: couldn\'t find resource for "{kind.api_version}, Kind={kind.kind}"')
    field, shape = _walk(shape, path.split(".") if path else [])
    return Output(text=_PAGES[output](kind, field, shape, recursive=args.on("recursive")))


def _kind(session: Session, args: Arguments, word: str) -> Kind:
    wanted = args.text("api-version")
    kind = session.kind_for(word)
    if not wanted or wanted == kind.api_version:
        return kind
    for other in session.client.kinds():
        if other.kind == kind.kind and other.api_version == wanted:
            return other
    raise KubectlError(f'error: couldn\'t find resource for "{wanted}, Kind={kind.kind}"; it is in {kind.api_version}')


def _walk(shape: Type, path: Sequence[str]) -> tuple[Field | None, Type | None]:
    """The field at a path and the type of what is in it. Raises KubectlError."""
    field: Field | None = None
    inside: Type | None = shape
    for part in path:
        known = inside.fields if inside is not None else {}
        if part not in known:
            raise KubectlError(f'error: field "{part}" does not exist{nearest(part, list(known))}')
        field = known[part]
        inside = field.type
    return field, inside


def _page(kind: Kind, field: Field | None, shape: Type | None, *, recursive: bool) -> str:
    lines = [*([f"GROUP:      {kind.group}"] if kind.group else []), f"KIND:       {kind.kind}",
             f"VERSION:    {kind.version}", ""]  # fmt: skip
    if field is not None:
        lines += [f"FIELD: {field.name} <{field.label}>", "", ""]
    lines.append("DESCRIPTION:")
    description = field.description if field else ""
    for text in (description, shape.description if shape else ""):
        lines += _wrapped(text, "    ") if text else []
    lines.append("    " if description or (shape and shape.description) else "    <empty>")
    if shape is not None and shape.fields:
        lines += ["FIELDS:", *_fields(shape, recursive=recursive)]
    return "\n".join(lines) + "\n\n"


def _wrapped(text: str, indent: str) -> list[str]:
    wrapper = textwrap.TextWrapper(
        _WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return [line for part in text.split("\n") for line in wrapper.wrap(part) or [indent]]


def _fields(shape: Type, *, recursive: bool) -> Iterator[str]:
    if recursive:
        yield from _tree(shape, 1, ())
        return
    for name, field in sorted(shape.fields.items()):
        yield f"  {name}\t<{field.label}>{' -required-' if field.required else ''}"
        yield from _wrapped(field.description or "<no description>", "    ")
        yield ""


def _tree(shape: Type, level: int, above: tuple[str, ...]) -> Iterator[str]:
    """All fields below a type; a type inside itself is named and not opened again."""
    for name, field in sorted(shape.fields.items()):
        yield f"{'  ' * level}{name}\t<{field.label}>{' -required-' if field.required else ''}"
        inner = field.type
        if inner is not None and inner.name not in above and level < _DEEPEST:
            yield from _tree(inner, level + 1, (*above, inner.name))


_PAGES: Mapping[str, Page] = {"plaintext": _page, "plaintext-openapiv2": explain_v2.page}

COMMANDS = (
    Command(
        name="explain",
        usage="TYPE [--recursive=false] [--api-version=VERSION] [flags]",
        help="Say what a kind or one of its fields is for.",
        group="Basic Commands (Intermediate)",
        run=run,
        flags=(
            Flag("recursive", BOOL, "All fields below, without their descriptions."),
            Flag("api-version", help="The group and version, such as apps/v1."),
            Flag(
                "output",
                help="The page as it is, or as kubectl wrote it before 1.27.",
                short="o",
                default="plaintext",
                values=_OUTPUTS,
            ),
        ),
        words="fields",
        examples=("kubectl explain pods", "kubectl explain pods.spec.containers", "kubectl explain deploy --recursive"),
    ),
)
