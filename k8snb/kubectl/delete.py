"""kubectl delete: the end of objects, and waiting for it.

Interface: `COMMANDS`; `remove` for a command that deletes what it has made.
The rule not to break: an object counts as gone when it, by its uid, is gone; one of the same name may follow it.
Source: `kubectl/pkg/cmd/delete`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import get_path, uid_of
from k8snb.kubectl import flags, raw
from k8snb.kubectl.formats import kind_name, resource_name
from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found, Selection, select
from k8snb.kubectl.results import Results
from k8snb.kubectl.session import CLIENT, NONE, SERVER, Session, dry_run

_POLICIES = {"background": "Background", "true": "Background", "foreground": "Foreground", "orphan": "Orphan",
             "false": "Orphan"}  # fmt: skip
_IMMEDIATE = (
    "Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may "
    "continue to run on the cluster indefinitely."
)
_PATIENCE = 120.0  # seconds beyond the grace period that an object may take to go, unless --timeout says otherwise
_DRY = {NONE: "", CLIENT: " (dry run)", SERVER: " (server dry run)"}


def run(session: Session, args: Arguments) -> Output:
    if args.text("raw"):
        if args.on("interactive"):
            raise KubectlError("error: --interactive can not be used with --raw")
        return raw.delete(session, args)
    if args.on("all") and args.text("selector"):
        raise KubectlError("error: setting 'all' parameter but found a non empty selector.")
    if args.text("output") not in ("", "name"):
        raise KubectlError(f"error: unexpected -o output mode: {args.text('output')}. We only support '-o name'")
    query = _query(args)
    selection = select(session, args, names_only=True)
    results = Results(session, args)
    results.errors = selection.errors
    if args.on("interactive") and selection.found and not _confirmed(session, selection.found):
        return Output(text=f"{session.asked}deletion is cancelled\n")
    ended = [found for found in selection.found if _delete(session, args, found, query, results)]
    if not selection.found and not selection.errors:
        return Output(text="" if args.on("ignore-not-found") and selection.single else "No resources found\n")
    _remark(session, args, selection)
    if args.on("wait") and dry_run(args) == NONE:
        wait_for_the_end(session, args, ended, results)
    output = results.output()
    output.text = session.asked + output.text
    return output


def _confirmed(session: Session, doomed: Sequence[Found]) -> bool:
    """Whether the user wants these objects deleted. Source: `confirmation` in `kubectl/pkg/cmd/delete/delete.go`."""
    named = "".join(f"{resource_name(found.object)}\n" for found in doomed)
    listed = f"You are about to delete the following {len(doomed)} resource(s):\n{named}"
    return session.ask(f"{listed}Do you want to continue? (y/n): ").strip().lower() == "y"


def _query(args: Arguments) -> dict[str, Any]:
    """The options of the delete requests. Raises KubectlError where they contradict each other."""
    query: dict[str, Any] = {"propagationPolicy": policy_of(args)}
    grace = 1 if args.on("now") else args.number("grace-period")
    if args.on("now") and "grace-period" in args.given:
        raise KubectlError("error: --now and --grace-period cannot be specified together")
    if args.on("force") and grace > 0:
        raise KubectlError("error: --force and --grace-period greater than 0 cannot be specified together")
    if grace == 0 and not args.on("force"):
        grace = 1
    if args.on("force"):
        grace = 0
    if grace >= 0:
        query["gracePeriodSeconds"] = grace
    if dry_run(args) == SERVER:
        query["dryRun"] = True
    return query


def policy_of(args: Arguments) -> str:
    """What `--cascade` asks for. Raises KubectlError."""
    policy = _POLICIES.get(args.text("cascade"))
    if policy is None:
        text = f'invalid cascade value ({args.text("cascade")}). Must be "background", "foreground", or "orphan"'
        raise KubectlError(f"error: {text}")
    return policy


def _delete(session: Session, args: Arguments, found: Found, query: dict[str, Any], results: Results) -> bool:
    if dry_run(args) != CLIENT:
        try:
            session.client.delete(found.kind, found.name, found.namespace, **query)
        except ApiError as error:
            if error.code != 404 or not (args.on("all") or args.on("ignore-not-found")):
                results.fail(refused(error, doing="deleting", source=found.source))
            return False
    _say(args, found, results)
    return True


def _say(args: Arguments, found: Found, results: Results) -> None:
    if args.text("output") == "name":
        results.add_line(found.object, resource_name(found.object))
        return
    done = "force deleted" if args.on("force") else "deleted"
    results.add_line(found.object, f'{kind_name(found.object)} "{found.name}" {done}{_DRY[dry_run(args)]}')


def _remark(session: Session, args: Arguments, selection: Selection) -> None:
    if args.on("force") and selection.found:
        session.warnings.append(_IMMEDIATE)
    if "namespace" in args.given and any(not found.kind.namespaced for found in selection.found):
        session.warnings.append("deleting cluster-scoped resources, not scoped to the provided namespace")


def remove(session: Session, args: Arguments, found: Found) -> str:
    """Delete one object for another command that has these flags; what kubectl says of it. Raises KubectlError."""
    results = Results(session, args)
    ended = [found] if _delete(session, args, found, _query(args), results) else []
    if args.on("wait"):
        wait_for_the_end(session, args, ended, results)
    return results.output().text


def wait_for_the_end(session: Session, args: Arguments, ended: list[Found], results: Results) -> None:
    def gone(found: Found) -> bool:
        live = session.client.find(found.kind, found.name, found.namespace)
        return live is None or uid_of(live) != uid_of(found.object)

    graces = [get_path(found.object, "spec.terminationGracePeriodSeconds", 0) or 0 for found in ended]
    timeout = args.seconds("timeout") or max([0, *graces]) + _PATIENCE
    session.wait(lambda: all(gone(found) for found in ended), timeout)
    for found in ended:
        if not gone(found):
            results.fail(KubectlError(_still_there(session, found)))


def _still_there(session: Session, found: Found) -> str:
    live = session.client.find(found.kind, found.name, found.namespace)
    held = get_path(live, "metadata.finalizers") if live else None
    why = f" (its finalizers hold it: {', '.join(held)})" if held else ""
    return f"error: timed out waiting for the condition on {found.kind.qualified}/{found.name}{why}"


COMMANDS = (
    Command(
        name="delete",
        usage="([-f FILENAME] | TYPE [(NAME | -l label | --all)]) [flags]",
        help="Delete objects by manifest, by name, by selector, or all of a kind.",
        group="Basic Commands (Intermediate)",
        run=run,
        flags=(
            *flags.FILES, flags.SELECTOR, flags.FIELD_SELECTOR, flags.ALL, flags.ALL_NAMESPACES, flags.CASCADE,
            flags.DRY_RUN, flags.FORCE, flags.GRACE_PERIOD, flags.IGNORE_NOT_FOUND,
            Flag("now", BOOL, "The same as --grace-period=1."), flags.OUTPUT_NAME, flags.TIMEOUT, flags.WAIT,
            raw.FLAG, Flag("interactive", BOOL, "Ask before anything is deleted.", short="i"),
        ),
        words="resources",
        examples=(
            "kubectl delete -f web.yaml",
            "kubectl delete pod,service web",
            "kubectl delete pods -l app=nginx",
            "kubectl delete pods --all",
            "kubectl delete pod web --grace-period=0 --force",
        ),
    ),
)  # fmt: skip
