"""Resources: which objects the words of a command line mean.

Interface: `wanted(session, args)` for kinds and names; `select(session, args)` for the live objects.
The rule not to break: what is not found is reported beside what is found.
Source: `cli-runtime/pkg/resource/builder.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, name_of, namespace_of
from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import KubectlError
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.server_table import ServerRow, is_table, rows
from k8snb.kubectl.session import Session
from k8snb.kubectl.sources import documents

NO_RESOURCES = (
    "error: You must provide one or more resources by argument or filename.\n"
    "Example resource specifications include:\n"
    "   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'"
)
NO_FILES = (
    "error: you must specify resources by --filename when --local is set.\n"
    "Example resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'"
)
_MIXED = (
    "error: there is no need to specify a resource type as a separate argument when passing arguments in resource/name "
    "form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'"
)


# The commands that name the file when they fail.
_DOING = {"delete": "deleting"}


class Wanted(NamedTuple):
    """One kind in one namespace; no name means all that the selectors let through. `source` is the file it is from."""

    kind: Kind
    namespace: str
    name: str = ""
    source: str = ""


class Found(NamedTuple):
    """One live object; `row` is what its server prints of it, where only that server knows how; `source` is the file
    that named it.
    """

    kind: Kind
    object: Object
    row: ServerRow | None = None
    source: str = ""

    @property
    def name(self) -> str:
        return name_of(self.object)

    @property
    def namespace(self) -> str:
        return namespace_of(self.object)


@dataclass
class Selection:
    """What was found and what was not. `single`: one object was asked for by name. `several_kinds`: show them."""

    found: list[Found] = field(default_factory=list)
    errors: list[KubectlError] = field(default_factory=list)
    kinds: list[Kind] = field(default_factory=list)
    single: bool = False
    several_kinds: bool = False

    def require(self) -> list[Found]:
        """The objects; raises what was not found."""
        if self.errors and not self.found:
            raise KubectlError("\n".join(error.message for error in self.errors))
        return self.found


def wanted(session: Session, args: Arguments, words: Sequence[str] | None = None) -> list[Wanted]:
    """What the words name: `pods a b`, `pod/a svc/b`, `rc,services`, `all`."""
    words = args.words if words is None else words
    if not words:
        raise KubectlError(NO_RESOURCES)
    slashed = [word for word in words if "/" in word]
    if slashed and len(slashed) != len(words):
        raise KubectlError(_MIXED)
    if slashed:
        return [_slashed(session, args, word) for word in words]
    kinds = kinds_of(session, words[0])
    names = words[1:]
    if names and (args.text("selector") or args.text("field-selector") or args.on("all")):
        raise KubectlError("error: name cannot be provided when a selector is specified")
    if names and args.on("all-namespaces"):
        raise KubectlError("error: a resource cannot be retrieved by name across all namespaces")
    return [Wanted(kind, scope(session, args, kind), name) for kind in kinds for name in (names or [""])]


def kinds_of(session: Session, word: str) -> list[Kind]:
    """The kinds in `pods`, `rc,services` or `all`."""
    kinds: list[Kind] = []
    for part in word.split(","):
        kinds += session.in_category(part) or [session.kind_for(part)]
    return list(dict.fromkeys(kinds))


def _slashed(session: Session, args: Arguments, word: str) -> Wanted:
    type_word, _, name = word.partition("/")
    if "/" in name:
        raise KubectlError("error: arguments in resource/name form may not have more than one slash")
    if not type_word or not name:
        raise KubectlError("error: arguments in resource/name form must have a single resource and name")
    if args.text("selector"):
        raise KubectlError("error: selectors and the all flag cannot be used when passing resource/name arguments")
    if args.on("all-namespaces"):
        raise KubectlError("error: a resource cannot be retrieved by name across all namespaces")
    kind = session.kind_for(type_word)
    return Wanted(kind, scope(session, args, kind), name)


def scope(session: Session, args: Arguments, kind: Kind) -> str:
    """The namespace to look in; "" for all of them and for kinds that have none."""
    return "" if args.on("all-namespaces") or not kind.namespaced else session.namespace


def select(session: Session, args: Arguments, *, names_only: bool = False) -> Selection:
    """The live objects that the command means, by `-f` or by words.

    With `names_only`, a kind alone is refused unless a selector or `--all` comes with it.
    """
    if args.on("local"):
        return as_written(session, args)
    if args.from_files:
        return _from_files(session, args)
    if args.on("all") and args.text("selector"):
        raise KubectlError("error: cannot set --all and --selector at the same time")
    asked = wanted(session, args)
    by_selector = any(args.text(name) for name in ("selector", "field-selector")) or args.on("all")
    if args.text("subresource") and any(not each.name for each in asked):
        raise KubectlError("error: subresource cannot be used when bulk resources are specified")
    if names_only and not by_selector and any(not each.name for each in asked):
        raise KubectlError("error: resource(s) were provided, but no name was specified")
    return look_up(session, args, asked)


def look_up(session: Session, args: Arguments, asked: Sequence[Wanted]) -> Selection:
    """The live objects of what was asked for."""
    selection = Selection(kinds=list(dict.fromkeys(each.kind for each in asked)))
    selection.several_kinds = len(selection.kinds) > 1
    selection.single = len(asked) == 1 and bool(asked[0].name)
    for each in asked:
        try:
            selection.found += [found._replace(source=each.source) for found in _live(session, args, each)]
        except ApiError as error:
            if not (error.code == 404 and args.on("ignore-not-found")):
                selection.errors.append(refused(error, doing=_DOING.get(args.verb, ""), source=each.source))
    return selection


def _live(session: Session, args: Arguments, asked: Wanted) -> list[Found]:
    query: dict[str, Any] = {"managedFields": True} if args.on("show-managed-fields") else {}
    if args.text("subresource"):
        query["subresource"] = args.text("subresource")
    if asked.kind.remote and args.verb == "get" and args.values.get("server-print", True):
        query["table"] = True
    if asked.name:
        return _found(asked.kind, session.client.get(asked.kind, asked.name, asked.namespace, **query))
    query |= list_options(args)
    read = pages(session, asked, args.number("chunk-size"), query)
    try:
        return [found for page in read for found in _found(asked.kind, page)]
    except ApiError as error:
        raise _not_listed(error, asked.kind, query) from None


def _not_listed(error: ApiError, kind: Kind, query: dict[str, Any]) -> ApiError:
    """A list that was refused, with what was asked for."""
    if error.code not in (400, 404):
        return error
    labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
    what = f'"{kind.group}/{kind.version}, Resource={kind.plural}"'
    where = f' that match label selector "{labels}", field selector "{fields}"'
    start = f"Unable to find {what}{where}" if labels or fields else f"Unable to list {what}"
    return ApiError(error.code, error.reason, f"{start}: {error.message}", error.details)


def pages(session: Session, asked: Wanted, size: int, query: dict[str, Any]) -> Iterator[Object]:
    """A list, asked for some objects at a time (0: all at once): the answers."""
    query |= {"limit": size} if size else {}
    while True:
        page = session.client.list(asked.kind, asked.namespace, **query)
        yield page
        rest = page["metadata"].get("continue")
        if not rest:
            return
        query["continue"] = rest


def _found(kind: Kind, answer: Object) -> list[Found]:
    """The objects of an answer: one, a list of them, or a Table with them."""
    if is_table(answer):
        return [Found(kind, obj, row) for obj, row in rows(answer)]
    return [Found(kind, obj) for obj in answer.get("items", [answer])]


def list_options(args: Arguments) -> dict[str, Any]:
    """The selectors as the query of a list."""
    chosen: dict[str, Any] = {}
    if args.text("selector"):
        chosen["labelSelector"] = args.text("selector")
    if args.text("field-selector"):
        chosen["fieldSelector"] = args.text("field-selector")
    return chosen


def _from_files(session: Session, args: Arguments) -> Selection:
    if args.words:
        raise KubectlError("error: when paths, URLs, or stdin is provided as resource input, you may not specify "
                           "resource arguments as well")  # fmt: skip
    items, errors = documents(session, args)
    asked = [Wanted(item.kind, item.namespace, str(item.object["metadata"].get("name", "")), item.source)
             for item in items]  # fmt: skip
    selection = look_up(session, args, asked)
    selection.errors = [*errors, *selection.errors]
    return selection


def as_written(session: Session, args: Arguments) -> Selection:
    """The objects as the files have them; the cluster is not asked."""
    if not args.from_files:
        raise KubectlError(NO_FILES)
    if args.words:
        raise KubectlError("error: cannot specify --local and server resources")
    items, errors = documents(session, args)
    kinds = list(dict.fromkeys(item.kind for item in items))
    return Selection([Found(item.kind, item.object) for item in items], errors, kinds)


def one(session: Session, args: Arguments, word: str) -> Found:
    """The one object that `type/name` or a bare pod name means, for `logs` and `exec`."""
    if "/" not in word:
        word = f"pod/{word}"
    asked = _slashed(session, args, word)
    try:
        return _live(session, args, asked)[0]
    except ApiError as error:
        raise refused(error) from None
