"""kubectl logs: what containers wrote.

Interface: `COMMANDS`.
The rule not to break: whose lines they are is never in doubt: of several containers, each line says so if asked.
Source: `kubectl/pkg/cmd/logs`, `kubectl/pkg/polymorphichelpers/logsforobject.go`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, annotations_of, get_path, is_deleting, is_true, name_of, namespace_of
from k8snb.apimachinery.selectors import from_label_selector, from_set
from k8snb.clock import parse_timestamp
from k8snb.kubectl import flags
from k8snb.kubectl.grammar import BOOL, DURATION, INT, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output, Stream
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found, list_options, one
from k8snb.kubectl.session import Session

_DEFAULT = "kubectl.kubernetes.io/default-container"
BACKEND = "insecure-skip-tls-verify-backend"
_NO_POD = "POD or TYPE/NAME is a required argument for the logs command\nSee 'kubectl logs -h' for help and examples"
_BARE = re.compile(r"^(?:Error from server \(\w+\)|error): ")
_USAGE = "error: expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'.\n"


class _Source(NamedTuple):
    pod: Object
    container: str


def run(session: Session, args: Arguments) -> Output:
    if args.seconds("pod-running-timeout") <= 0:
        raise KubectlError("error: --pod-running-timeout must be higher than zero")
    _check(args)
    notes: list[str] = []
    pods = _pods(session, args, notes)
    sources = [_Source(pod, container) for pod in pods for container in _containers(args, pod, notes)]
    query = _query(session, args)
    if args.on("follow"):
        streams = [(source, _opened(session, args, source, query)) for source in sources]
        return _follow(session, args, streams, Output(text=_notes(notes), objects=pods, notices=_notes(notes)))
    text, errors = "", []
    try:
        for source in sources:
            text += "".join(_lines(args, source, _opened(session, args, source, query)))
    except KubectlError as error:
        if not text:
            raise
        errors.append(error.message)
    said = _notes(notes)
    return Output(text=said + text, objects=[source.pod for source in sources], notices=said, stdout=text,
                  errors=errors, exit_code=1 if errors else 0)  # fmt: skip


def _check(args: Arguments) -> None:
    """Refuse numbers that mean nothing, and contradictions. Source: `LogsOptions.Validate`."""
    if args.number("tail") < -1:
        raise KubectlError("error: --tail must be greater than or equal to -1")
    if args.number("limit-bytes") < 0:
        raise KubectlError("error: --limit-bytes must be greater than 0")
    container = args.text("container") or "".join(args.words[1:2])
    if args.on("all-containers") and container:
        raise KubectlError(f"error: --all-containers=true should not be specified with container name {container}")


def _notes(notes: list[str]) -> str:
    return "".join(note + "\n" for note in notes)


def _query(session: Session, args: Arguments) -> dict[str, Any]:
    query: dict[str, Any] = {name: True for name in ("follow", "previous", "timestamps") if args.on(name)}
    if args.on(BACKEND):
        query["insecureSkipTLSVerifyBackend"] = True
    tail = args.number("tail")
    if args.text("selector") and "tail" not in args.given:
        tail = 10
    if tail >= 0:
        query["tailLines"] = tail
    if args.seconds("since") and args.text("since-time"):
        raise KubectlError("error: at most one of `sinceTime` or `sinceSeconds` may be specified")
    if args.seconds("since"):
        query["sinceSeconds"] = max(int(args.seconds("since")), 1)
    if args.text("since-time"):
        query["sinceSeconds"] = max(int(session.now() - _moment(args.text("since-time"))), 1)
    return query


def _moment(text: str) -> float:
    try:
        return parse_timestamp(text)
    except ValueError:
        wanted = "an RFC 3339 time such as 2024-05-01T10:00:00Z"
        raise KubectlError(f"error: --since-time: {text} is not {wanted}") from None


# which pods


def _pods(session: Session, args: Arguments, notes: list[str]) -> list[Object]:
    if args.text("selector"):
        if args.words:
            raise KubectlError("error: only a selector (-l) or a POD name is allowed")
        pods = session.client.items("pods", session.namespace, **list_options(args))
        if not pods:
            raise KubectlError(f"No resources found in {session.namespace} namespace.", exit_code=0)
        return pods
    if not args.words:
        raise KubectlError(_USAGE + _NO_POD)
    if len(args.words) > 2:
        raise KubectlError(_USAGE + _NO_POD)
    found = _one(session, args)
    if found.kind.kind == "Pod":
        return [found.object]
    return _of_workload(session, args, found, notes)


def _one(session: Session, args: Arguments) -> Found:
    """What is named; where it is not there, in the words that only this command has."""
    try:
        return one(session, args, args.words[0])
    except KubectlError as error:
        absent = "Error from server (NotFound): "
        if not error.message.startswith(absent):
            raise
        what = error.message.removeprefix(absent)
        raise KubectlError(f'error: error from server (NotFound): {what} in namespace "{session.namespace}"') from None


def _of_workload(session: Session, args: Arguments, found: Found, notes: list[str]) -> list[Object]:
    pods: list[Object] = []

    def there() -> bool:
        pods[:] = pods_of(session, found)
        return bool(pods)

    if not there() and not session.wait(there, args.seconds("pod-running-timeout")):
        raise KubectlError(f"error: {found.kind.singular}/{found.name} has no pods, so there are no logs")
    if args.on("all-pods"):
        return pods
    if len(pods) > 1:
        notes.append(f"Found {len(pods)} pods, using pod/{name_of(pods[0])}")
    return pods[:1]


def pods_of(session: Session, found: Found) -> list[Object]:
    """The pods that a workload or a Service selects: those that are ready first, those that are ending last.

    Source: `ByLogging` in `kubectl/pkg/util/podutils/podutils.go`.
    """
    raw = get_path(found.object, "spec.selector")
    if not raw:
        raise KubectlError(f"error: cannot get the logs from {found.kind.qualified}/{found.name}: it selects no pods")
    labels_only = found.kind.kind in ("Service", "ReplicationController")
    selector = from_set(raw) if labels_only else from_label_selector(raw)
    pods = session.client.items("pods", found.namespace, labelSelector=str(selector))
    return sorted(pods, key=_for_logs)


def _for_logs(pod: Object) -> tuple[Any, ...]:
    """Ready before not ready; of several those that have been so for longest, have restarted most, are oldest."""
    conditions = get_path(pod, "status.conditions") or ()
    since = next((each.get("lastTransitionTime") or "" for each in conditions if each.get("type") == "Ready"), "")
    restarts = max((each.get("restartCount", 0) for each in get_path(pod, "status.containerStatuses") or ()), default=0)
    ready = is_true(pod, "Ready")
    return is_deleting(pod), not ready, since if ready else "", -restarts, pod["metadata"].get("creationTimestamp", "")


def _containers(args: Arguments, pod: Object, notes: list[str]) -> list[str]:
    """The names of the containers that are meant, init containers first where all are."""
    names = [container["name"] for container in pod["spec"]["containers"]]
    if args.on("all-containers"):
        return [container["name"] for container in pod["spec"].get("initContainers") or ()] + names
    wanted = args.text("container") or (args.words[1] if len(args.words) > 1 else "")
    if wanted:
        _must_have(pod, wanted)
        return [wanted]
    return [default_container(pod, notes)]


def _must_have(pod: Object, container: str) -> None:
    fields = ("initContainers", "containers", "ephemeralContainers")
    there = [each["name"] for field in fields for each in pod["spec"].get(field) or ()]
    if container not in there:
        where = f"container {container} is not valid for pod {name_of(pod)}"
        raise KubectlError(f"error: {where}: it has {', '.join(there)}")


def default_container(pod: Object, notes: list[str]) -> str:
    """The container that is meant when none is named; with several, says which it took."""
    names = [container["name"] for container in pod["spec"]["containers"]]
    annotated = annotations_of(pod).get(_DEFAULT)
    if annotated in names:
        return str(annotated)
    others = [f"{container['name']} (init)" for container in pod["spec"].get("initContainers") or ()]
    if len(names) + len(others) > 1:
        notes.append(f'Defaulted container "{names[0]}" out of: {", ".join([*names, *others])}')
    return str(names[0])


# reading


def _open(session: Session, source: _Source, query: dict[str, Any]) -> Iterator[bytes]:
    pod = source.pod
    try:
        return session.client.logs(name_of(pod), namespace_of(pod), container=source.container, **query)
    except ApiError as error:
        raise refused(error) from None


def _opened(session: Session, args: Arguments, source: _Source, query: dict[str, Any]) -> Iterator[bytes]:
    """The same; with `--ignore-errors` a refusal is a line of the log."""
    try:
        return _open(session, source, query)
    except KubectlError as error:
        if not args.on("ignore-errors"):
            raise
        return iter([f"error: {_BARE.sub('', error.message)}\n".encode()])


def _lines(args: Arguments, source: _Source, stream: Iterator[bytes]) -> Iterator[str]:
    """Whole lines, each with where it comes from if `--prefix` asks for it; "" where there is nothing yet."""
    shown = args.on("prefix") or args.on("all-pods")
    prefix = f"[pod/{name_of(source.pod)}/{source.container}] " if shown else ""
    rest = b""
    for piece in _limited(stream, args.number("limit-bytes")):
        if not piece:
            yield ""
        *lines, rest = (rest + piece).split(b"\n")
        yield from (prefix + line.decode(errors="replace") + "\n" for line in lines)
    if rest:
        yield prefix + rest.decode(errors="replace")


def _limited(stream: Iterator[bytes], most: int) -> Iterator[bytes]:
    """The first bytes of a log, and then its end; 0 for all of it."""
    left = most
    for piece in stream:
        yield piece[:left] if most else piece
        left -= len(piece)
        if most and left <= 0:
            return


def _follow(session: Session, args: Arguments, streams: list[tuple[_Source, Iterator[bytes]]], first: Output) -> Stream:
    most = args.number("max-log-requests")
    if len(streams) > most:
        raise KubectlError(f"error: you are attempting to follow {len(streams)} log streams, but maximum allowed "
                           f"concurrency is {most}, use --max-log-requests to increase the limit")  # fmt: skip
    follower = _Follower(session, [_lines(args, source, stream) for source, stream in streams],
                         lambda: any(getattr(stream, "ready", False) for _, stream in streams))  # fmt: skip
    return Stream(first, follower.poll, more=follower.more, stop=lambda: _close(streams))


class _Follower:
    """The lines of several logs as they come, at most one of each log at a time.

    A log that has nothing yet says so with an empty line, or blocks: that is the runtime's choice. `ready` says
    whether one of those that can tell has something.
    """

    def __init__(self, session: Session, logs: list[Iterator[str]], ready: Callable[[], bool]) -> None:
        self._session, self._logs, self._ready = session, logs, ready
        self._quiet, self._heard = 0.0, False

    def poll(self) -> list[Output]:
        outputs = []
        for log in list(self._logs):
            line = next(log, None)
            if line is None:
                self._logs.remove(log)
            elif line:
                outputs.append(Output(text=line))
        self._heard = bool(outputs)
        self._quiet = 0.0 if outputs else self._quiet
        return outputs

    def more(self) -> bool:
        """Let a second pass if nothing came; no after a long silence."""
        if not self._logs or self._quiet >= self._session.patience:
            return False
        if not self._heard:
            self._quiet += 0.0 if self._session.wait(self._ready, 1.0) else 1.0
        return True


def _close(streams: list[tuple[_Source, Iterator[bytes]]]) -> None:
    for _, stream in streams:
        close = getattr(stream, "close", None)
        if close is not None:
            close()


COMMANDS = (
    Command(
        name="logs",
        usage="[-f] [-p] (POD | TYPE/NAME) [-c CONTAINER] [flags]",
        help="Print what a container wrote.",
        group="Troubleshooting and Debugging Commands",
        run=run,
        flags=(
            Flag("follow", BOOL, "Go on and print what is written.", short="f"),
            Flag("previous", BOOL, "The container as it ran before its last restart.", short="p"),
            Flag("container", help="The container; the first one if not given.", short="c", values=(":containers",)),
            Flag("all-containers", BOOL, "All containers of the pod."),
            Flag("all-pods", BOOL, "All pods of the workload; each line says which."),
            Flag("prefix", BOOL, "Begin each line with the pod and container."),
            flags.SELECTOR,
            Flag("tail", INT, "How many of the last lines; -1 for all, 10 with a selector.", default=-1),
            Flag("since", DURATION, "Only what is not older: 5s, 2m, 3h."),
            Flag("since-time", help="Only what was written after an RFC 3339 time."),
            Flag("timestamps", BOOL, "Begin each line with its time."),
            Flag("limit-bytes", INT, "At most so many bytes of each container."),
            Flag("max-log-requests", INT, "How many logs may be followed at once.", default=5),
            Flag("ignore-errors", BOOL, "A log that cannot be had is told of in its place, and the others go on."),
            Flag("pod-running-timeout", DURATION, "How long to wait for a workload's first pod.", default=20.0),
            Flag(BACKEND, BOOL, "The apiserver need not check the kubelet's certificate."),
        ),
        words="pods",
        examples=(
            "kubectl logs web",
            "kubectl logs deployment/web -c nginx --tail=20",
            "kubectl logs -f web",
            "kubectl logs -l app=nginx --all-containers --prefix",
        ),
    ),
)  # fmt: skip
