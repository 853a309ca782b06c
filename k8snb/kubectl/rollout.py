"""kubectl rollout: how a workload goes from one template to the next, and back.

Interface: `COMMANDS`; `ROLLERS`, a row per kind; `replica_sets` and `new_replica_set` for pages about deployments.
The rule not to break: a Deployment's history is its ReplicaSets, that of a StatefulSet or DaemonSet its
ControllerRevisions, and nothing else remembers it.
Source: `kubectl/pkg/cmd/rollout`, `kubectl/pkg/polymorphichelpers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import (
    Object,
    annotations_of,
    controller_of,
    get_path,
    namespace_of,
    same_template,
    uid_of,
    with_metadata,
)
from k8snb.apimachinery.selectors import from_label_selector
from k8snb.client.client import JSON, STRATEGIC
from k8snb.clock import timestamp
from k8snb.kubectl import flags, rollout_sets, rollout_text
from k8snb.kubectl.formats import resource_name
from k8snb.kubectl.grammar import BOOL, DURATION, INT, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found, Selection, select
from k8snb.kubectl.results import Results, show
from k8snb.kubectl.session import CLIENT, Session, dry_run, options
from k8snb.kubectl.templates import format_of

REVISION = "deployment.kubernetes.io/revision"
RESTARTED = "kubectl.kubernetes.io/restartedAt"
_KEPT_OUT = (REVISION, "deployment.kubernetes.io/revision-history", "deployment.kubernetes.io/desired-replicas",
             "deployment.kubernetes.io/max-replicas", "kubectl.kubernetes.io/last-applied-configuration",
             "deprecated.deployment.rollback.to")  # fmt: skip
WEEK = 7 * 86400.0


# a deployment's replica sets


def replica_sets(session: Session, deployment: Object) -> list[Object]:
    """The ReplicaSets that a Deployment controls, by revision."""
    selector = str(from_label_selector(get_path(deployment, "spec.selector")))
    listed = session.client.items("replicasets", namespace_of(deployment), labelSelector=selector)
    mine = (each for each in listed if (controller_of(each) or {}).get("uid") == uid_of(deployment))
    return sorted(mine, key=revision)


def revision(obj: Object) -> int:
    """The revision that the deployment controller gave to a ReplicaSet; 0 for none."""
    text = annotations_of(obj).get(REVISION, "0")
    return int(text) if text.isdigit() else 0


def new_replica_set(deployment: Object, owned: list[Object]) -> Object | None:
    """The one that has the Deployment's present template."""
    template = get_path(deployment, "spec.template", {})
    return next((each for each in owned if same_template(get_path(each, "spec.template", {}), template)), None)


_NO_VISITOR = (
    'error retrieving {what} for "{{kind.kind}}", no visitor method exists for {{{{{{kind.group}} {{kind.kind}}}}}}'
)
_NOT_SUPPORTED = '{{kind.qualified}} "{{name}}" {what} is not supported'
_NO_ROLLOUT = {
    "status": "no status viewer has been implemented for {kind.kind}",
    "history": _NO_VISITOR.format(what="history"),
    "undo": _NO_VISITOR.format(what="rollbacker"),
    **{verb: _NOT_SUPPORTED.format(what=what) for verb, what in
       (("pause", "pausing"), ("resume", "resuming"), ("restart", "restarting"))},
}  # fmt: skip


def _selected(session: Session, args: Arguments) -> Selection:
    """The selected workloads."""
    if not args.words and not args.from_files:
        raise KubectlError("error: required resource not specified")
    selection = select(session, args)
    if not selection.found and not selection.errors:
        raise KubectlError("error: no objects passed to rollout")
    return selection


def _require_rollout(args: Arguments, found: Found) -> None:
    """Raises KubectlError for a kind that is not rolled out."""
    if found.kind.builtin not in ROLLERS:
        why = _NO_ROLLOUT[args.command.name.split()[1]].format(kind=found.kind, name=found.name)
        raise KubectlError(f"error: {why}: Deployments, StatefulSets and DaemonSets are rolled out")


Act = Callable[[Session, Arguments, Found, Results], None]


def _each(act: Act) -> Callable[[Session, Arguments], Output]:
    """A command that does the same to each workload that is meant."""

    def run(session: Session, args: Arguments) -> Output:
        selection = _selected(session, args)
        results = Results(session, args)
        results.errors = selection.errors
        for found in selection.found:
            try:
                _require_rollout(args, found)
                act(session, args, found, results)
            except ApiError as error:
                results.fail(refused(error))
            except KubectlError as error:
                results.fail(error)
        return results.output()

    return run


def _patch(session: Session, args: Arguments, found: Found, body: Any, **how: Any) -> Object:
    if dry_run(args) == CLIENT:
        return found.object
    query = options(args, "kubectl-rollout")
    return session.client.patch(found.kind, found.name, body, found.namespace, **how, **query)


# status


def status(session: Session, args: Arguments) -> Output:
    selection = _selected(session, args)
    found = selection.require()
    lines: list[str] = []
    for each in found:
        _require_rollout(args, each)
        _follow(session, args, each, lines)
    live = [session.client.get(each.kind, each.name, each.namespace) for each in found]
    return Output(text="".join(line + "\n" for line in lines), objects=live)


def _follow(session: Session, args: Arguments, found: Found, lines: list[str]) -> None:
    """Add a line each time there is something else to say, until the rollout is over."""
    over = False

    def until() -> bool:
        nonlocal over
        live = session.client.get(found.kind, found.name, found.namespace)
        line, over = _roller(found).progress(live, args.number("revision"))
        if not lines or lines[-1] != line:
            lines.append(line)
        return over

    try:
        if until() or not args.on("watch"):
            return
        session.wait(until, args.seconds("timeout") or WEEK)
    except ApiError as error:
        raise refused(error) from None
    except KubectlError as error:
        raise KubectlError("\n".join([*lines, error.message]), applied=lines) from None
    if not over:
        raise KubectlError("\n".join([*lines, "error: timed out waiting for the condition"]), applied=lines)


# history


def history(session: Session, args: Arguments) -> Output:
    selection = _selected(session, args)
    wanted = args.number("revision")
    if wanted < 0:
        raise KubectlError(f"error: revision must be a positive integer: {wanted}")
    texts, objects = [], []
    for found in selection.require():
        _require_rollout(args, found)
        owned = _roller(found).history(session, found.object)
        texts.append(_one_revision(args, found, owned, wanted) if wanted else _revisions(found, owned))
        objects += owned
    return Output(text="\n".join(texts), objects=objects)


def _revisions(found: Found, owned: list[Object]) -> str:
    number = _roller(found).number
    numbered = [each for each in owned if number(each)]
    causes = [(str(number(each)), annotations_of(each).get(rollout_text.CHANGE_CAUSE, "<none>")) for each in numbered]
    if not causes:
        return f"{resource_name(found.object)} \nNo rollout history found.\n"
    return f"{resource_name(found.object)} \n{rollout_text.columns(('REVISION', 'CHANGE-CAUSE'), causes)}\n"


def _one_revision(args: Arguments, found: Found, owned: list[Object], wanted: int) -> str:
    roller = _roller(found)
    chosen = next((each for each in owned if roller.number(each) == wanted), None)
    if chosen is None:
        raise KubectlError(f"error: unable to find the specified revision ({wanted}) in the history of {found.name}")
    templated = roller.templated(found.object, chosen)
    if format_of(args):
        return show([templated], args)
    template = rollout_text.template(templated, chosen)
    return f"{resource_name(found.object)} with revision #{wanted}\n{template}"


# changes


def _undo(session: Session, args: Arguments, found: Found, results: Results) -> None:
    if get_path(found.object, "spec.paused"):
        raise KubectlError("error: you cannot rollback a paused deployment; resume it first with 'kubectl rollout "
                           "resume' and try again")  # fmt: skip
    roller, target = _roller(found), _target(session, args, found)
    if dry_run(args) == CLIENT:
        text = rollout_text.preview(roller.templated(found.object, target))
        results.add(found.object, f"{text}\n")
        return
    change = roller.way_back(found.object, target)
    if change is None:
        words = f"current template already matches revision {roller.number(target)}"
        results.add(found.object, f"skipped rollback ({words})")
        return
    results.add(_patch(session, args, found, change.body, content_type=change.content_type), "rolled back")


class Change(NamedTuple):
    """A patch, and how it is written."""

    body: Any
    content_type: str


def _deployment_back(deployment: Object, target: Object) -> Change | None:
    """What brings a ReplicaSet's template back; None where it is the present one."""
    template = _without_hash(get_path(target, "spec.template", {}))
    if same_template(template, get_path(deployment, "spec.template", {})):
        return None
    kept = {key: value for key, value in annotations_of(deployment).items() if key in _KEPT_OUT}
    wanted = {key: value for key, value in annotations_of(target).items() if key not in _KEPT_OUT}
    body = [
        {"op": "replace", "path": "/spec/template", "value": template},
        {"op": "add", "path": "/metadata/annotations", "value": {**kept, **wanted}},
    ]
    return Change(body, JSON)


def _set_back(obj: Object, target: Object) -> Change | None:
    """A ControllerRevision is itself the patch that leads back to it."""
    return None if rollout_sets.is_present(obj, target) else Change(target["data"], STRATEGIC)


def _target(session: Session, args: Arguments, found: Found) -> Object:
    """The revision to go back to: the one that is named, or the one before the present."""
    roller = _roller(found)
    owned = [each for each in roller.history(session, found.object) if roller.number(each)]
    wanted = args.number("to-revision")
    if wanted:
        chosen = next((each for each in owned if roller.number(each) == wanted), None)
        if chosen is None:
            raise KubectlError(f"error: unable to find specified revision {wanted} in history")
        return chosen
    if len(owned) < 2:
        raise KubectlError(roller.no_past.format(name=found.name))
    return owned[-2]


def _without_hash(template: Object) -> Object:
    labels = {key: value for key, value in (get_path(template, "metadata.labels") or {}).items()
              if key != "pod-template-hash"}  # fmt: skip
    return with_metadata({**template, "metadata": template.get("metadata") or {}}, labels=labels or None)


def _pauser(paused: bool) -> Act:
    word = "paused" if paused else "resumed"
    complaint = "is already paused" if paused else "is not paused"

    def act(session: Session, args: Arguments, found: Found, results: Results) -> None:
        what = f'{found.kind.qualified} "{found.name}"'
        if found.kind.builtin != "deployments":
            raise KubectlError(f"error: {what} {'pausing' if paused else 'resuming'} is not supported")
        if bool(get_path(found.object, "spec.paused")) is paused:
            raise KubectlError(f"error: {what} {complaint}")
        results.add(_patch(session, args, found, {"spec": {"paused": True if paused else None}}), word)

    return act


def _restart(session: Session, args: Arguments, found: Found, results: Results) -> None:
    if get_path(found.object, "spec.paused"):
        raise KubectlError(f'error: {found.kind.qualified} "{found.name}" can\'t restart paused deployment (run '
                           "rollout resume first)")  # fmt: skip
    now = timestamp(session.now())
    if get_path(found.object, ("spec", "template", "metadata", "annotations", RESTARTED)) == now:
        raise KubectlError(f"error: failed to create patch for {found.name}: if restart has already been triggered "
                           "within the past second, please wait before attempting to trigger another")  # fmt: skip
    body = {"spec": {"template": {"metadata": {"annotations": {RESTARTED: now}}}}}
    results.add(_patch(session, args, found, body), "restarted")


# the kinds that are rolled out


class Roller(NamedTuple):
    """What is different between the kinds: `history` lists a workload's revisions, the oldest first, `number` is that
    of one of them, `templated` an object with its template, `way_back` what leads back to it.
    """

    progress: Callable[[Object, int], tuple[str, bool]]
    history: Callable[[Session, Object], list[Object]]
    number: Callable[[Object], int]
    templated: Callable[[Object, Object], Object]
    way_back: Callable[[Object, Object], Change | None]
    no_past: str


def _of_set(progress: Callable[[Object], tuple[str, bool]]) -> Roller:
    return Roller(
        lambda obj, wanted: progress(obj), rollout_sets.revisions, rollout_sets.number, rollout_sets.restored,
        _set_back, "error: no last revision to roll back to",
    )  # fmt: skip


ROLLERS: Mapping[str, Roller] = MappingProxyType({
    "deployments": Roller(
        lambda obj, wanted: rollout_text.progress(obj, wanted, revision(obj)), replica_sets, revision,
        lambda obj, owned: owned, _deployment_back, 'error: no rollout history found for deployment "{name}"',
    ),
    "statefulsets": _of_set(rollout_sets.stateful_set_progress),
    "daemonsets": _of_set(rollout_sets.daemon_set_progress),
})  # fmt: skip


def _roller(found: Found) -> Roller:
    return ROLLERS[found.kind.builtin]


_GROUP = "Deploy Commands"
_CHOOSING = (*flags.FILES, flags.SELECTOR)


def _command(name: str, help: str, run: Callable[[Session, Arguments], Output], own: tuple[Flag, ...],
             examples: tuple[str, ...]) -> Command:  # fmt: skip
    return Command(
        name=f"rollout {name}", usage="(TYPE NAME | TYPE/NAME) [flags]", help=help, group=_GROUP, run=run,
        flags=(*own, *_CHOOSING), words="resources:deployments,daemonsets,statefulsets", examples=examples,
    )  # fmt: skip


_CHANGING = (flags.FIELD_MANAGER, *flags.PRINTING)

COMMANDS = (
    Command(name="rollout", usage="SUBCOMMAND [flags]", help="Follow, pause and take back changes of a workload.",
            group=_GROUP),
    _command("status", "Wait until a rollout is over, and say how it goes.", status, (
        Flag("watch", BOOL, "Wait until it is over.", short="w", default=True),
        Flag("timeout", DURATION, "How long to wait; 0 means to its end."),
        Flag("revision", INT, "Only while this revision is the newest."),
    ), ("kubectl rollout status deployment/web",)),
    _command("history", "List the revisions, or show one.", history, (
        Flag("revision", INT, "The revision to show in full."), *flags.PRINTING,
    ), ("kubectl rollout history deployment/web", "kubectl rollout history deployment/web --revision=2")),
    _command("undo", "Go back to an earlier revision.", _each(_undo), (
        Flag("to-revision", INT, "The revision to go back to; the one before if not given."), flags.DRY_RUN,
        *flags.PRINTING,
    ), ("kubectl rollout undo deployment/web", "kubectl rollout undo deployment/web --to-revision=1")),
    _command("pause", "Let changes of the template wait.", _each(_pauser(True)), _CHANGING,
             ("kubectl rollout pause deployment/web",)),
    _command("resume", "Roll out what has waited.", _each(_pauser(False)), _CHANGING,
             ("kubectl rollout resume deployment/web",)),
    _command("restart", "Replace all pods, template unchanged.", _each(_restart), _CHANGING,
             ("kubectl rollout restart deployment/web",)),
)  # fmt: skip
