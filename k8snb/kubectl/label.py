"""kubectl label and annotate: words on objects, for selectors and for people.

Interface: `COMMANDS`.
The rule not to break: a value that is there is changed only with `--overwrite`.
Source: `kubectl/pkg/cmd/label`, `kubectl/pkg/cmd/annotate`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from k8snb.apimachinery import names
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, with_metadata
from k8snb.client.client import MERGE
from k8snb.kubectl import flags
from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag, usage_error
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found, select
from k8snb.kubectl.results import Results
from k8snb.kubectl.session import CLIENT, Session, dry_run, options


class _Change(NamedTuple):
    """What to set and which keys to remove."""

    set: dict[str, str]
    remove: list[str]


class _Sort(NamedTuple):
    """The difference between the two commands."""

    field: str  # in metadata
    one: str
    done: str
    undone: str
    unchanged: str
    check: Callable[[str], Sequence[str]]


_LABELS = _Sort("labels", "label", "labeled", "unlabeled", "not labeled", names.label_value)
_ANNOTATIONS = _Sort("annotations", "annotation", "annotated", "annotated", "annotated", lambda _: ())


def _runner(sort: _Sort) -> Callable[[Session, Arguments], Output]:
    def run(session: Session, args: Arguments) -> Output:
        resources, words = _split(args)
        if args.on("list"):
            return _list(session, _with_words(args, resources), sort)
        change = _change(words, sort, args)
        selection = select(session, _with_words(args, resources), names_only=True)
        if args.text("resource-version") and len(selection.found) > 1:
            raise KubectlError("error: --resource-version may only be used with a single resource")
        results = Results(session, args)
        results.errors = selection.errors
        for found in selection.found:
            try:
                obj = _apply(session, args, found, change, sort)
                for key in _absent(found, change, sort):
                    results.remark(f'label "{key}" not found.')
                results.add(obj, _word(found, change, sort))
            except KubectlError as error:
                results.fail(error)
            except ApiError as error:
                results.fail(refused(error))
        return results.output()

    return run


def _split(args: Arguments) -> tuple[list[str], list[str]]:
    """The words that name objects, and those that say what to write on them."""
    start = next((place for place, word in enumerate(args.words) if _is_change(word)), len(args.words))
    late = [word for word in args.words[start:] if not _is_change(word)]
    if late:
        raise KubectlError("error: all resources must be specified before label changes: " + late[0])
    return args.words[:start], args.words[start:]


def _is_change(word: str) -> bool:
    return "=" in word or (word.endswith("-") and len(word) > 1)


def _with_words(args: Arguments, words: list[str]) -> Arguments:
    return Arguments(args.command, words, args.rest, args.values, args.given)


def _change(words: Sequence[str], sort: _Sort, args: Arguments) -> _Change:
    if not words:
        raise usage_error(f"at least one {sort.one} update is required", args.command)
    pairs = [word.partition("=") for word in words if "=" in word]
    removed = [word[:-1] for word in words if "=" not in word]
    for key, _, value in pairs:
        if sort is _LABELS and "=" in value:
            raise KubectlError(f"error: invalid label spec: {key}={value}")
        complaints = [*([] if key else ["name part must be non-empty"]), *sort.check(value)]
        if complaints:
            raise KubectlError(f'error: invalid {sort.one} value: "{key}={value}": {"; ".join(complaints)}')
    wanted = {key: value for key, _, value in pairs}
    both = sorted(wanted.keys() & set(removed))
    if both:
        raise KubectlError(f"error: can not both modify and remove a {sort.one} in the same command")
    return _Change(wanted, removed)


def _apply(session: Session, args: Arguments, found: Found, change: _Change, sort: _Sort) -> Object:
    present: Mapping[str, str] = found.object["metadata"].get(sort.field) or {}
    if not args.on("overwrite"):
        _refuse_overwriting(present, change, sort)
    body: dict[str, Any] = {key: value for key, value in change.set.items() if present.get(key) != value}
    body |= {key: None for key in change.remove if key in present}
    version = args.text("resource-version")
    if not (body or version):
        return found.object
    if dry_run(args) == CLIENT:
        merged = {key: value for key, value in {**present, **body}.items() if value is not None}
        return with_metadata(found.object, **{sort.field: merged or None})
    metadata: Object = {**({sort.field: body} if body else {}), **({"resourceVersion": version} if version else {})}
    return session.client.patch(
        found.kind, found.name, {"metadata": metadata}, found.namespace, content_type=MERGE, **options(args)
    )


def _refuse_overwriting(present: Mapping[str, str], change: _Change, sort: _Sort) -> None:
    for key, value in change.set.items():
        if present.get(key, value) != value:
            if sort.one == "label":
                raise KubectlError(f"error: '{key}' already has a value ({present[key]}), and --overwrite is false")
            raise KubectlError("error: --overwrite is false but found the following declared annotation(s): "
                               f"'{key}' already has a value ({present[key]})")  # fmt: skip


def _absent(found: Found, change: _Change, sort: _Sort) -> list[str]:
    """The labels to remove that are not there; of annotations kubectl says nothing."""
    present = found.object["metadata"].get(sort.field) or {}
    return [key for key in change.remove if key not in present] if sort is _LABELS else []


def _word(found: Found, change: _Change, sort: _Sort) -> str:
    """labeled, unlabeled, or not labeled, by what it means for this object."""
    present: Mapping[str, str] = found.object["metadata"].get(sort.field) or {}
    if any(present.get(key) != value for key, value in change.set.items()):
        return sort.done
    if any(key in present for key in change.remove):
        return sort.undone
    return sort.unchanged


def _list(session: Session, args: Arguments, sort: _Sort) -> Output:
    selection = select(session, args, names_only=False)
    found = selection.require()
    lines: list[str] = []
    for each in found:
        if len(found) > 1:
            lines.append(f"Listing {sort.field} for {each.kind.kind}.{each.kind.version}/{each.name}:")
        words = sorted((each.object["metadata"].get(sort.field) or {}).items())
        lines += [(" " if len(found) > 1 else "") + f"{key}={value}" for key, value in words]
    return Output(text="".join(line + "\n" for line in lines), objects=[each.object for each in found])


def _command(name: str, sort: _Sort, help: str, examples: tuple[str, ...]) -> Command:
    return Command(
        name=name,
        usage="[--overwrite] (-f FILENAME | TYPE NAME) KEY_1=VAL_1 ... KEY_N=VAL_N [--resource-version=VERSION] "
              "[flags]",
        help=help,
        group="Settings Commands",
        run=_runner(sort),
        flags=(
            Flag("overwrite", BOOL, f"Change {sort.one}s that have a value."),
            Flag("list", BOOL, f"Only show the {sort.field}."),
            flags.ALL, flags.ALL_NAMESPACES, flags.SELECTOR, flags.FIELD_SELECTOR, *flags.FILES,
            flags.RESOURCE_VERSION, flags.LOCAL, *flags.WRITING,
        ),
        words="resources",
        examples=examples,
    )  # fmt: skip


COMMANDS = (
    _command("label", _LABELS, "Set or remove labels.", (
        "kubectl label pods web tier=front",
        "kubectl label --overwrite pods web tier=back",
        "kubectl label pods --all tier=front",
        "kubectl label pods web tier-",
    )),
    _command("annotate", _ANNOTATIONS, "Set or remove annotations.", (
        "kubectl annotate pods web description='my frontend'",
        "kubectl annotate deployment web kubernetes.io/change-cause='image 1.25'",
        "kubectl annotate pods web description-",
    )),
)  # fmt: skip
