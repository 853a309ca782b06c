"""kubectl create job and cronjob: work that comes to an end, from a few words.

Interface: `COMMANDS`.
The rule not to break: what exists is never changed, only refused.
Source: `kubectl/pkg/cmd/create/create_job.go`, `create_cronjob.go`.
"""

from __future__ import annotations

from collections.abc import Sequence

from k8snb.apimachinery.meta import Object, get_path, name_of, uid_of
from k8snb.kubectl.create import generator, make, said_namespace
from k8snb.kubectl.grammar import Arguments, Flag, usage_error
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.resources import look_up, wanted
from k8snb.kubectl.session import Session

BY_HAND = {"cronjob.kubernetes.io/instantiate": "manual"}


def job(session: Session, args: Arguments) -> Output:
    name, command = _name_and_command(args)
    image, source = args.text("image"), args.text("from")
    if bool(image) == bool(source):
        raise KubectlError("error: either --image or --from must be specified")
    if command and source:
        raise KubectlError("error: cannot specify --from and command")
    metadata = _metadata(session, args, name)
    if source:
        return make(session, args, _from_cron_job(_cron_job(session, args, source), metadata))
    spec = {"template": {"metadata": {}, "spec": _pod_spec(name, image, command, "Never")}}
    return make(session, args, _object("Job", metadata, spec))


def cron_job(session: Session, args: Arguments) -> Output:
    name, command = _name_and_command(args)
    if not args.text("schedule"):
        raise KubectlError("error: schedule must be specified")
    pods = _pod_spec(name, args.text("image"), command, args.text("restart") or "OnFailure")
    template = {"metadata": {"name": name}, "spec": {"template": {"metadata": {}, "spec": pods}}}
    spec = {"schedule": args.text("schedule"), "jobTemplate": template}
    return make(session, args, _object("CronJob", _metadata(session, args, name), spec))


def _name_and_command(args: Arguments) -> tuple[str, list[str]]:
    if len(args.words) != 1:
        raise usage_error(f"exactly one NAME is required, got {len(args.words)}", args.command)
    return args.words[0], list(args.rest or ())


def _metadata(session: Session, args: Arguments, name: str) -> Object:
    namespace = said_namespace(session, args)
    return {"name": name, **({"namespace": namespace} if namespace else {})}


def _object(kind: str, metadata: Object, spec: Object) -> Object:
    return {"apiVersion": "batch/v1", "kind": kind, "metadata": metadata, "spec": spec, "status": {}}


def _pod_spec(name: str, image: str, command: Sequence[str], restart: str) -> Object:
    container = {"name": name, "image": image, "resources": {}, **({"command": list(command)} if command else {})}
    return {"containers": [container], "restartPolicy": restart}


def _cron_job(session: Session, args: Arguments, word: str) -> Object:
    """The one CronJob that `cronjob/NAME` means. Raises KubectlError."""
    selection = look_up(session, args, wanted(session, args, [word]))
    if selection.errors:
        raise selection.errors[0]
    if len(selection.found) != 1:
        raise KubectlError("error: from must be an existing cronjob")
    found = selection.found[0]
    if found.kind.kind != "CronJob":
        raise KubectlError(f"error: unknown object type {found.kind.kind}: --from takes cronjob/NAME")
    return found.object


def _from_cron_job(cron: Object, metadata: Object) -> Object:
    """The Job that the CronJob would make, by its owner's hand."""
    template = cron["spec"]["jobTemplate"]
    labels = get_path(template, "metadata.labels")
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": name_of(cron), "uid": uid_of(cron),
             "controller": True}  # fmt: skip
    whole = {
        **metadata,
        "annotations": {**BY_HAND, **(get_path(template, "metadata.annotations") or {})},
        **({"labels": labels} if labels else {}),
        "ownerReferences": [owner],
    }
    return _object("Job", whole, template["spec"])


COMMANDS = (
    generator("job", "Create a Job that runs an image, or what a CronJob runs.", job,
              "NAME --image=IMAGE [--from=cronjob/NAME] [-- COMMAND ARGS...]", flags=(
                  Flag("image", help="The image to run."),
                  Flag("from", help="The CronJob to make a Job of: cronjob/NAME.")),
              examples=("kubectl create job pi --image=perl -- perl -Mbignum=bpi -wle 'print bpi(2000)'",
                        "kubectl create job now --from=cronjob/hello")),
    generator("cronjob", "Create a CronJob that runs an image by a schedule.", cron_job,
              "NAME --image=IMAGE --schedule='0/5 * * * ?' [-- COMMAND ARGS...]", aliases=("create cj",), flags=(
                  Flag("image", help="The image to run.", required=True),
                  Flag("schedule", help="When to run it, in cron's words.", required=True),
                  Flag("restart", help="The pods' restartPolicy: OnFailure or Never.")),
              examples=('kubectl create cronjob hello --image=busybox --schedule="*/1 * * * *" -- date',)),
)  # fmt: skip
