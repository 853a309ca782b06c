"""kubectl events: what components said about objects.

Interface: `COMMANDS`; `events_about(session, obj)` for describe.
The rule not to break: the latest comes last.
Source: `kubectl/pkg/cmd/events`.
"""

from __future__ import annotations

from dataclasses import replace

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, name_of, namespace_of, revision_of, uid_of
from k8snb.kubectl import flags
from k8snb.kubectl.get import nothing_found
from k8snb.kubectl.grammar import BOOL, STRINGS, Arguments, Command, Flag
from k8snb.kubectl.output import Column, KubectlError, Output, Row, Stream, Table
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Wanted, pages
from k8snb.kubectl.results import show
from k8snb.kubectl.session import Session
from k8snb.kubectl.templates import format_of
from k8snb.printers import columns as printers
from k8snb.printers import duration


def run(session: Session, args: Arguments) -> Output:
    kind = session.kind_for("events")
    namespace = "" if args.on("all-namespaces") else session.namespace
    try:
        read = list(pages(session, Wanted(kind, namespace), args.number("chunk-size"), {}))
    except ApiError as error:
        raise refused(error) from None
    listed = (event for page in read for event in page["items"])
    events = sorted((event for event in listed if _wanted(session, args, event)), key=moment)
    if args.on("watch"):
        return _watch(session, args, Wanted(kind, namespace), events, read[-1]["metadata"]["resourceVersion"])
    if not events:
        nothing = nothing_found(session, args, [kind]).replace("No resources", "No events")
        return Output(text=nothing + "\n")
    return _output(session, args, events)


def _output(session: Session, args: Arguments, events: list[Object], *, headers: bool = True) -> Output:
    if format_of(args):
        return Output(text=show(events, args), objects=events, format=format_of(args))
    table = _table(events, session.now(), args)
    table = replace(table, headers=headers and table.headers)
    return Output(text=table.text, objects=events, tables=[table])


def _watch(session: Session, args: Arguments, asked: Wanted, events: list[Object], revision: str) -> Stream:
    """What has been said, and then each event as it comes."""
    try:
        watch = session.client.watch(asked.kind, asked.namespace, resourceVersion=revision)
    except ApiError as error:
        raise refused(error) from None

    def poll() -> list[Output]:
        told = iter(watch.pop, None)
        said = [event.object for event in told if event is not None and event.sort in ("ADDED", "MODIFIED")]
        return [_output(session, args, [each], headers=False) for each in said if _wanted(session, args, each)]

    def more() -> bool:
        session.wait(lambda: bool(watch.events or watch.stopped), session.patience)
        return bool(watch.events)

    first = _output(session, args, events) if events else Output()
    return Stream(first, poll, more=more, stop=watch.stop)


def moment(event: Object) -> tuple[str, int]:
    """When an event happened last, for sorting; events of one second in the order in which they were written."""
    return printers.last_seen(event) or "", revision_of(event)


def _wanted(session: Session, args: Arguments, event: Object) -> bool:
    types = [word.lower() for word in args.texts("types")]
    unknown = [word for word in types if word not in ("normal", "warning")]
    if unknown:
        raise KubectlError("error: valid --types are Normal or Warning")
    if types and event.get("type", "").lower() not in types:
        return False
    about = args.text("for")
    if not about:
        return True
    word, _, name = about.partition("/")
    if not name:
        raise KubectlError("error: --for must be in resource/name form")
    involved = event.get("involvedObject") or {}
    return (involved.get("kind"), involved.get("name")) == (session.kind_for(word).kind, name)


def age(event: Object, now: float) -> str:
    """`5s`, or `5s (x3 over 2m)` for an event that happened several times."""
    last = duration.age(printers.last_seen(event), now)
    count = printers.event_count(event)
    if count < 2:
        return last
    return f"{last} (x{count} over {duration.age(printers.first_seen(event), now)})"


def _table(events: list[Object], now: float, args: Arguments) -> Table:
    everywhere = args.on("all-namespaces")
    names = [*(["NAMESPACE"] if everywhere else []), "LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    rows = []
    for event in events:
        cells = (age(event, now), event.get("type", ""), event.get("reason", ""), _object(event),
                 event.get("message", "").strip())  # fmt: skip
        rows.append(Row((namespace_of(event), *cells) if everywhere else cells, event))
    columns = tuple(map(Column, names))
    return Table(columns=columns, rows=tuple(rows), kind="Event", headers=not args.on("no-headers"))


def _object(event: Object) -> str:
    involved = event.get("involvedObject") or {}
    return f"{involved.get('kind', '')}/{involved.get('name', '')}"


def events_about(session: Session, obj: Object) -> list[Object]:
    """The events about one object, the latest last."""
    by_name = f"involvedObject.name={name_of(obj)}"
    events = session.client.items("events", namespace_of(obj), fieldSelector=by_name)
    return sorted((event for event in events if _is_about(event, obj)), key=moment)


def _is_about(event: Object, obj: Object) -> bool:
    """Whether an event is about this very object; of a node, kubelets give the name as its uid."""
    about = event.get("involvedObject") or {}
    return about.get("kind") == obj.get("kind") and about.get("uid", "") in (uid_of(obj), name_of(obj), "")


COMMANDS = (
    Command(
        name="events",
        usage="[(-o|--output=)json|yaml|name|...] [--for TYPE/NAME] [--types=Normal,Warning] [flags]",
        help="List events, the latest last.",
        group="Troubleshooting and Debugging Commands",
        run=run,
        flags=(
            flags.ALL_NAMESPACES,
            Flag("for", help="Only events about TYPE/NAME.", values=(":resources",)),
            Flag("types", STRINGS, "Only events of these types.", values=("Normal", "Warning")),
            *flags.PRINTING,
            flags.NO_HEADERS,
            Flag("watch", BOOL, "Go on and show what is said from here on.", short="w"),
            flags.CHUNK_SIZE,
        ),
        examples=(
            "kubectl events",
            "kubectl events --for pod/web",
            "kubectl events --types=Warning -A",
            "kubectl events --watch",
        ),
    ),
)
