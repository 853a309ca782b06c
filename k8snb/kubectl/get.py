"""kubectl get: objects as tables, in the formats of `-o`, once or as they change.

Interface: `COMMANDS`.
The rule not to break: a table is made from the objects that come back beside it, and shows nothing else.
Source: `kubectl/pkg/cmd/get`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from k8snb.apimachinery import jsonpath, meta
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import namespace_of
from k8snb.kubectl import flags, formats, raw, server_table
from k8snb.kubectl.grammar import BOOL, STRINGS, Arguments, Command, Flag
from k8snb.kubectl.hints import pod_hints
from k8snb.kubectl.output import Column, KubectlError, Output, Table
from k8snb.kubectl.resources import Found, Selection, select
from k8snb.kubectl.session import Session
from k8snb.kubectl.templates import format_of
from k8snb.kubectl.watch import watch
from k8snb.printers import columns as printers


def run(session: Session, args: Arguments) -> Output:
    if args.text("raw"):
        return raw.get(session, args)
    if not args.words and not args.from_files:
        raise KubectlError(
            'You must specify the type of resource to get. Use "kubectl api-resources" for a complete list of '
            'supported resources.\n\nerror: Required resource not specified.\nUse "kubectl explain <resource>" for a '
            "detailed description of that resource (e.g. kubectl explain pods).\nSee 'kubectl get -h' for help and "
            "examples"
        )
    if args.on("output-watch-events") and not (args.on("watch") or args.on("watch-only")):
        raise KubectlError("error: --output-watch-events option can only be used with --watch or --watch-only")
    if args.on("watch") or args.on("watch-only"):
        return watch(session, args, show)
    selection = select(session, args)
    found = sort_by(selection.found, args.text("sort-by"))
    output = show(session, args, replace(selection, found=found))
    output.errors = [error.message for error in selection.errors]
    if output.errors:
        if not found:
            raise KubectlError("\n".join(output.errors))
        output.exit_code = 1
    return output


def show(session: Session, args: Arguments, selection: Selection) -> Output:
    """The objects as `-o` asks."""
    format = format_of(args)
    objects = [found.object for found in selection.found]
    if is_table(format):
        return _tables(session, args, selection)
    text = formats.render(
        objects,
        format,
        single=selection.single,
        missing_ok=args.on("allow-missing-template-keys"),
        managed_fields=args.on("show-managed-fields"),
        headers=not args.on("no-headers"),
    )
    empty = selection.single and not objects
    return Output(text="" if empty else text, objects=objects, format=format)


def is_table(format: str) -> bool:
    return format in ("", "wide")


def _tables(session: Session, args: Arguments, selection: Selection) -> Output:
    shown = [table for kind in selection.kinds if (table := make_table(session, args, kind, selection)).rows]
    objects = [row.object for table in shown for row in table.rows]
    text = "\n".join(table.text for table in shown)
    notices = ""
    if not shown and not selection.errors and not args.on("ignore-not-found"):
        text = notices = nothing_found(session, args, selection.kinds) + "\n"
    hints = pod_hints([obj for obj in objects if obj.get("kind") == "Pod"])
    return Output(text=text, objects=objects, tables=shown, hints=hints, format=args.text("output"), notices=notices)


def nothing_found(session: Session, args: Arguments, kinds: Sequence[Kind]) -> str:
    """`No resources found in default namespace.`"""
    everywhere = args.on("all-namespaces") or not any(kind.namespaced for kind in kinds)
    return "No resources found" if everywhere else f"No resources found in {session.namespace} namespace."


def make_table(session: Session, args: Arguments, kind: Kind, selection: Selection) -> Table:
    """The selected objects of one kind, with the columns that flags add."""
    objects = [found.object for found in selection.found if found.kind == kind]
    printed = [(found.object, found.row) for found in selection.found if found.kind == kind and found.row is not None]
    plain = "server-print" in args.values and not args.on("server-print")
    make = printers.plain_table if plain else printers.table
    table = server_table.table(kind.kind, printed) if printed else make(kind, objects, session.now())
    table = replace(table, wide=args.text("output") == "wide", headers=not args.on("no-headers"))
    if (selection.several_kinds or args.on("show-kind")) and any(c.name == "NAME" for c in table.columns):
        table = printers.with_prefix(table, f"{kind.singular}.{kind.group}" if kind.group else kind.singular)
    if args.on("all-namespaces") and kind.namespaced:
        table = printers.with_column(table, Column("NAMESPACE"), namespace_of, first=True)
    for key in args.texts("label-columns"):
        table = printers.with_column(table, Column(key.rpartition("/")[2].upper()), _label(key))
    if args.on("show-labels"):
        table = printers.with_column(table, Column("LABELS"), lambda obj: printers.labels_text(meta.labels_of(obj)))
    return table


def _label(key: str) -> Any:
    return lambda obj: meta.labels_of(obj).get(key, "")


# sorting


def sort_by(found: Sequence[Found], path: str) -> list[Found]:
    """The objects by the value at a JSONPath; those without it first. Raises KubectlError if none has it."""
    if not path or not found:
        return list(found)
    try:
        values = [jsonpath.find(path, each.object) for each in found]
    except jsonpath.JsonPathError as error:
        raise KubectlError(f"error: {error}") from None
    if not any(values):
        where = f'path "{jsonpath.relaxed(path)}" in the list of objects'
        raise KubectlError(f"error: couldn't find any field with {where}")
    order = sorted(range(len(found)), key=lambda place: _sort_key(values[place]))
    return [found[place] for place in order]


def _sort_key(values: list[Any]) -> tuple[Any, ...]:
    if not values:
        return (0,)
    value = values[0]
    if isinstance(value, (int, float)):
        return (1, value, ())
    return (2, 0, tuple(_natural(str(value))))


def _natural(text: str) -> list[tuple[int, int, str]]:
    """`web-10` after `web-2`."""
    parts = re.split(r"(\d+)", text)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts if part]


_FLAGS = (
    flags.OUTPUT_TABLE,
    flags.SELECTOR,
    flags.FIELD_SELECTOR,
    flags.ALL_NAMESPACES,
    *flags.FILES,
    Flag("watch", BOOL, "Go on and show what changes.", short="w"),
    Flag("watch-only", BOOL, "Show only what changes from here on."),
    Flag("output-watch-events", BOOL, "With --watch: a column with ADDED, MODIFIED or DELETED."),
    Flag("sort-by", help="JSONPath of the field to sort by, such as .metadata.creationTimestamp."),
    flags.SHOW_LABELS,
    Flag("label-columns", STRINGS, "A label to show as a column; repeatable.", short="L", values=(":label-keys",)),
    Flag("show-kind", BOOL, "Put the kind before each name."),
    flags.NO_HEADERS,
    flags.IGNORE_NOT_FOUND,
    flags.MANAGED_FIELDS,
    flags.MISSING_KEYS,
    flags.TEMPLATE,
    raw.FLAG,
    flags.CHUNK_SIZE,
    flags.SUBRESOURCE,
    Flag("server-print", BOOL, "With =false: names and ages alone, without the columns of the server.", default=True),
)

COMMANDS = (
    Command(
        name="get",
        usage="[-o FORMAT] (TYPE[,TYPE...] [NAME...] | TYPE/NAME... | -f FILE) [flags]",
        help="Show objects: one line each, or whole.",
        group="Basic Commands (Intermediate)",
        run=run,
        flags=_FLAGS,
        words="resources",
        examples=(
            "kubectl get pods",
            "kubectl get pods -l app=nginx -o wide",
            "kubectl get rc,services",
            "kubectl get rc/web service/frontend",
            "kubectl get pods -o jsonpath='{.items[*].metadata.name}'",
            "kubectl get pods -o custom-columns=NAME:.metadata.name,NODE:.spec.nodeName",
        ),
    ),
)
