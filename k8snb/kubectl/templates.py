"""Templates: objects as a Go template or a JSONPath of the user's shows them.

Interface: `rendered(format, argument, value, missing_ok=…)`; `format_of(args)`, what `-o` and `--template` ask for.
The rule not to break: what a template printed before it failed is printed all the same.
Source: `cli-runtime/pkg/printers` (`template.go`, `jsonpath.go`); their flags: `cli-runtime/pkg/genericclioptions`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from k8snb.apimachinery import jsonpath
from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import KubectlError
from k8snb.printers.go_format import text_of
from k8snb.printers.template import Template, TemplateError
from k8snb.printers.template_tokens import quoted

GO = ("go-template", "go-template-file", "template", "templatefile")
JSONPATH = ("jsonpath", "jsonpath-as-json", "jsonpath-file")
_FILES = ("go-template-file", "templatefile", "jsonpath-file")
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def format_of(args: Arguments, default: str = "") -> str:
    """What `-o` asks for, with the text of `--template` behind the name of a template format."""
    format, template = args.text("output"), args.text("template")
    if not template or (format and format not in (*GO, *JSONPATH)):
        return format or default
    return f"{format or GO[0]}={template}"


def json_text(value: Any, indent: int | None = None, *, sort: bool = True) -> str:
    """JSON as Go writes it: keys sorted, and no character that HTML minds."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, indent=indent, sort_keys=sort, ensure_ascii=False, separators=separators)
    return text.translate(_ESCAPES)


def check(format: str, argument: str) -> None:
    """Refuse a template that cannot be read. Raises KubectlError."""
    text = _text(format, argument)
    if format in GO:
        _go_template(text)
    else:
        _jsonpath_template(text)


def rendered(format: str, argument: str, value: Any, *, missing_ok: bool) -> str:
    """The value as a template shows it. Raises KubectlError."""
    text = _text(format, argument)
    if format in GO:
        return _go(text, value, missing_ok)
    return _jsonpath(text, value, missing_ok, as_json=format == "jsonpath-as-json")


def _text(format: str, argument: str) -> str:
    if not argument:
        raise KubectlError("error: template format specified but no template given")
    return _read(argument) if format in _FILES else argument


def _read(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = f"open {path}: {error.strerror.lower()}" if isinstance(error, OSError) and error.strerror else str(error)
        raise KubectlError(f"error: error reading --template {path}, {why}") from None


def _go(text: str, value: Any, missing_ok: bool) -> str:
    template = _go_template(text)
    pieces: list[str] = []
    try:
        pieces.extend(template.pieces(value, missing_ok=missing_ok))
    except TemplateError as error:
        printed = "".join(pieces) + (
            f"Error executing template: {error}. Printing more information for debugging the template:\n"
            f"\ttemplate was:\n\t\t{text}\n\traw data was:\n\t\t{json_text(value)}\n"
            f"\tobject given to template engine was:\n\t\t{text_of(value)}\n"
        )
        message = f"error: error executing template {quoted(text)}: {error}"
        raise KubectlError(message, applied=printed.split("\n")) from None
    return "".join(pieces)


def _go_template(text: str) -> Template:
    try:
        return Template(text)
    except TemplateError as error:
        raise KubectlError(f"error: error parsing template {text}, {error}") from None


def _jsonpath_template(text: str) -> jsonpath.Template:
    try:
        return jsonpath.Template(text)
    except jsonpath.JsonPathError as error:
        raise KubectlError(f"error: {error}") from None


def _jsonpath(text: str, value: Any, missing_ok: bool, *, as_json: bool) -> str:
    template = _jsonpath_template(text)
    try:
        if as_json:
            groups = template.groups(value, missing_ok=missing_ok)
            return "".join(json_text(group, indent=4) + "\n" for group in groups)
        return template.render(value, missing_ok=missing_ok)
    except jsonpath.MissingFieldError as error:
        raise KubectlError(f'error: error executing jsonpath "{text}": {error}') from None
