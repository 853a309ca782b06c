"""kubectl drain: empties a node for maintenance.

Interface: `COMMANDS`.
The rule not to break: pods are evicted, not deleted: a PodDisruptionBudget may object, and is asked again.
Source: `kubectl/pkg/drain`, `kubectl/pkg/cmd/drain`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import BY_GVK
from k8snb.apimachinery.meta import Object, annotations_of, controller_of, get_path, name_of, namespace_of, uid_of
from k8snb.clock import parse_timestamp
from k8snb.kubectl import flags, nodes
from k8snb.kubectl.grammar import BOOL, DURATION, INT, Arguments, Command, Flag, usage_error
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found, Wanted, pages
from k8snb.kubectl.session import CLIENT, NONE, SERVER, Session, dry_run
from k8snb.printers import duration

POD = BY_GVK["v1", "Pod"]
_SKIP = "skip-wait-for-delete-timeout"
RETRY = 5.0  # seconds until a budget that objected is asked again
FOREVER = 1e9
_MIRROR = "kubernetes.io/config.mirror"
_SUFFIX = {NONE: "", CLIENT: " (dry run)", SERVER: " (server dry run)"}


class _Verdict(NamedTuple):
    """What becomes of a pod: whether it goes, and the words that say why not, or what to heed."""

    goes: bool = True
    error: str = ""
    warning: str = ""


GOES = _Verdict()
_Rule = Callable[[Object, Arguments], _Verdict | None]


def _daemon(pod: Object, args: Arguments) -> _Verdict | None:
    if (controller_of(pod) or {}).get("kind") != "DaemonSet" or _is_finished(pod):
        return None
    if args.on("ignore-daemonsets"):
        return _Verdict(False, warning="ignoring DaemonSet-managed Pods")
    return _Verdict(False, error="cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)")


def _mirror(pod: Object, args: Arguments) -> _Verdict | None:
    return _Verdict(False) if _MIRROR in annotations_of(pod) else None


def _local_storage(pod: Object, args: Arguments) -> _Verdict | None:
    if not any("emptyDir" in volume for volume in get_path(pod, "spec.volumes") or ()) or _is_finished(pod):
        return None
    if args.on("delete-emptydir-data"):
        return _Verdict(warning="deleting Pods with local storage")
    return _Verdict(False, error="cannot delete Pods with local storage (use --delete-emptydir-data to override)")


def _bare(pod: Object, args: Arguments) -> _Verdict | None:
    if controller_of(pod) is not None or _is_finished(pod):
        return None
    if args.on("force"):
        return _Verdict(warning="deleting Pods that declare no controller")
    return _Verdict(False, error="cannot delete Pods that declare no controller (use --force to override)")


RULES: tuple[_Rule, ...] = (_daemon, _mirror, _local_storage, _bare)


def _is_finished(pod: Object) -> bool:
    return get_path(pod, "status.phase") in ("Succeeded", "Failed")


@dataclass
class _Said:
    """What has been printed, what was warned of, and what went wrong, node by node."""

    lines: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    pending: dict[str, str] = field(default_factory=dict)  # node → why it is not empty


def run(session: Session, args: Arguments) -> Output:
    if args.words and args.text("selector"):
        raise usage_error("cannot specify both a node name and a --selector option", args.command)
    selection = nodes.selected(session, args)
    said = _Said()
    said.errors += [error.message for error in selection.errors]
    for found in selection.found:
        said.lines.append(_cordoned(session, args, found))
    for found in selection.found:
        _drain(session, args, found, said)
    session.warnings += said.warnings
    if said.pending:
        said.errors += ["There are pending nodes to be drained:", *(f" {node}" for node in said.pending)]
        said.errors += [why for why in said.pending.values() if why]
    if said.errors:
        raise KubectlError("\n".join(said.errors), applied=said.lines)
    return Output(text="".join(f"{line}\n" for line in said.lines), objects=[found.object for found in selection.found])


def _cordoned(session: Session, args: Arguments, found: Found) -> str:
    _, done = nodes.schedulable(session, args, found, unschedulable=True)
    return f"node/{found.name} {done}{_SUFFIX[dry_run(args)]}"


def _drain(session: Session, args: Arguments, found: Found, said: _Said) -> None:
    chosen = {"fieldSelector": f"spec.nodeName={found.name}", "labelSelector": args.text("pod-selector")}
    read = pages(session, Wanted(POD, ""), args.number("chunk-size"), chosen)
    listed = [pod for page in read for pod in page["items"]]
    pods = [pod for pod in listed if not _long_ending(pod, session.now(), args.number(_SKIP))]
    goers, errors, warnings = _sorted_out(pods, args)
    said.warnings += ["; ".join(warnings)] if warnings and not errors else []
    empty = _emptied if dry_run(args) == NONE else _told
    problems = errors or empty(session, args, found, goers, said)
    if not problems:
        said.lines.append(f"node/{found.name} drained{_SUFFIX[dry_run(args)]}")
        return
    together = f"[{', '.join(problems)}]" if len(problems) > 1 else problems[0]
    said.errors.append(f'error: unable to drain node "{found.name}" due to error: {together}, continuing command...')
    said.pending[found.name] = "\n".join(problems)


def _long_ending(pod: Object, now: float, seconds: int) -> bool:
    """Whether a pod has been on its way out for longer than anybody wants to wait."""
    since = get_path(pod, "metadata.deletionTimestamp")
    return bool(seconds > 0 and since and now - parse_timestamp(since) > seconds)


def _sorted_out(pods: Sequence[Object], args: Arguments) -> tuple[list[Object], list[str], list[str]]:
    """The pods that go, why others may not, and what to heed; the last two with the pods concerned."""
    goers: list[Object] = []
    errors: dict[str, list[str]] = {}
    warnings: dict[str, list[str]] = {}
    for pod in pods:
        verdicts = list(_verdicts(pod, args))
        if all(verdict.goes for verdict in verdicts):
            goers.append(pod)
        for verdict in verdicts:
            for words, among in ((verdict.error, errors), (verdict.warning, warnings)):
                if words:
                    among.setdefault(words, []).append(f"{namespace_of(pod)}/{name_of(pod)}")
    return goers, _listed(errors), _listed(warnings)


def _verdicts(pod: Object, args: Arguments) -> Iterator[_Verdict]:
    """What the rules say of a pod, up to the first that keeps it."""
    for rule in RULES:
        verdict = rule(pod, args)
        if verdict is not None:
            yield verdict
            if not verdict.goes:
                return


def _listed(found: dict[str, list[str]]) -> list[str]:
    return [f"{words}: {', '.join(names)}" for words, names in sorted(found.items())]


def _told(session: Session, args: Arguments, node: Found, pods: Sequence[Object], said: _Said) -> list[str]:
    """A dry run: what would be evicted."""
    suffix = _SUFFIX[dry_run(args)]
    said.lines += [f"evicting pod {namespace_of(pod)}/{name_of(pod)}{suffix}" for pod in pods]
    return []


def _emptied(session: Session, args: Arguments, node: Found, pods: Sequence[Object], said: _Said) -> list[str]:
    """Evict pods and wait until they have gone; why some have not."""
    limit = args.seconds("timeout") or FOREVER
    end = session.now() + limit
    waiting = {uid_of(pod): pod for pod in pods}
    leaving: dict[str, Object] = {}
    while waiting or leaving:
        for uid, pod in list(waiting.items()):
            refusal = _evict(session, args, pod, said)
            if not refusal:
                leaving[uid] = waiting.pop(uid)
            elif refusal != _LATER:
                return [refusal]
        left = end - session.now()
        pause = min(RETRY, left) if waiting else left
        session.wait(lambda: not waiting and not _still_there(session, leaving), max(pause, 0.0))
        gone = leaving.keys() - _still_there(session, leaving).keys()
        said.lines += [f"pod/{name_of(leaving.pop(uid))} {_done(args)}" for uid in list(leaving) if uid in gone]
        if (waiting or leaving) and session.now() >= end:
            return _timed_out(node, [*waiting.values(), *leaving.values()], limit, said)
    return []


_LATER = "later"


def _done(args: Arguments) -> str:
    return "deleted" if args.on("disable-eviction") else "evicted"


def _evict(session: Session, args: Arguments, pod: Object, said: _Said) -> str:
    """Ask for one pod: "" where it goes, `_LATER` where a budget objects, else what went wrong."""
    name, namespace, grace = name_of(pod), namespace_of(pod), args.number("grace-period")
    options = {"gracePeriodSeconds": grace} if grace >= 0 else {}
    said.lines.append(f"{'deleting' if args.on('disable-eviction') else 'evicting'} pod {namespace}/{name}")
    try:
        if args.on("disable-eviction"):
            session.client.delete("pods", name, namespace, **options)
        else:
            body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
            body |= {"deleteOptions": options} if options else {}
            session.client.create_subresource("pods", name, "eviction", body, namespace)
    except ApiError as error:
        if error.code == 404:
            return ""
        if error.code != 429:
            return refused(error).message
        said.errors.append(f'error when evicting pods/"{name}" -n "{namespace}" (will retry after 5s): {error.message}')
        return _LATER
    return ""


def _still_there(session: Session, pods: dict[str, Object]) -> dict[str, Object]:
    """Those of the pods that have not gone: another one of the same name does not count."""
    found = {uid: session.client.find("pods", name_of(pod), namespace_of(pod)) for uid, pod in pods.items()}
    return {uid: pod for uid, pod in found.items() if pod is not None and uid_of(pod) == uid}


def _timed_out(node: Found, pods: Sequence[Object], limit: float, said: _Said) -> list[str]:
    why = f"global timeout reached: {duration.human(limit)}"
    problems = [f'error when evicting pods/"{name_of(pod)}" -n "{namespace_of(pod)}": {why}' for pod in pods]
    together = f"[{', '.join(problems)}]" if len(problems) > 1 else problems[0]
    said.errors.append(f'There are pending pods in node "{node.name}" when an error occurred: {together}')
    said.errors += sorted(f"pod/{name_of(pod)}" for pod in pods)
    return problems


COMMANDS = (
    Command(
        name="drain",
        usage="NODE [flags]",
        help="Empty a node for maintenance: cordon it, and evict its pods.",
        group="Cluster Management Commands",
        run=run,
        flags=(
            flags.SELECTOR,
            flags.DRY_RUN,
            Flag("pod-selector", help="Evict only pods with these labels."),
            Flag("ignore-daemonsets", BOOL, "Leave pods of DaemonSets where they are."),
            Flag("delete-emptydir-data", BOOL, "Go on even where data in emptyDir volumes are lost."),
            Flag("force", BOOL, "Go on even where nobody makes a pod anew."),
            Flag("disable-eviction", BOOL, "Delete pods without asking budgets."),
            Flag("grace-period", INT, "Seconds that a pod gets to end; -1 leaves it to the pod.", default=-1),
            Flag("timeout", DURATION, "How long to try: 30s, 5m; 0 means as long as it needs."),
            Flag(_SKIP, INT, "Do not wait for pods that have been ending for so many seconds."),
            flags.CHUNK_SIZE,
        ),
        words="nodes",
        examples=("kubectl drain node-1 --ignore-daemonsets", "kubectl drain node-1 --force --grace-period=30"),
    ),
)
