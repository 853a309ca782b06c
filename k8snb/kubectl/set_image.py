"""kubectl set image: another image for containers of what exists.

Interface: `COMMANDS`.
The rule not to break: only the containers that are named change; `*` names them all.
Source: `kubectl/pkg/cmd/set`.
"""

from __future__ import annotations

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, get_path, with_path
from k8snb.kubectl import flags
from k8snb.kubectl.grammar import Arguments, Command, usage_error
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found, select
from k8snb.kubectl.results import Results
from k8snb.kubectl.session import CLIENT, Session, dry_run, options

_FIELDS = ("initContainers", "containers")


def run(session: Session, args: Arguments) -> Output:
    images = _images(args)
    resources = Arguments(args.command, [w for w in args.words if "=" not in w], args.rest, args.values, args.given)
    selection = select(session, resources, names_only=True)
    results = Results(session, args)
    results.errors = selection.errors
    for found in selection.found:
        try:
            changed = _set(session, args, found, images)
            if changed is not None:
                results.add(changed, "image updated")
        except ApiError as error:
            results.fail(refused(error))
        except KubectlError as error:
            results.fail(error)
    return results.output()


def _images(args: Arguments) -> dict[str, str]:
    pairs = [word.partition("=") for word in args.words if "=" in word]
    if not pairs:
        raise usage_error("at least one image update is required: CONTAINER=IMAGE", args.command)
    return {name: image for name, _, image in pairs}


def _set(session: Session, args: Arguments, found: Found, images: dict[str, str]) -> Object | None:
    """The object with its new images; None where it has them already."""
    path = "spec" if found.kind.kind == "Pod" else "spec.template.spec"
    spec = get_path(found.object, path) or {}
    if not spec.get("containers"):
        raise KubectlError(f"error: {found.kind.qualified}/{found.name} does not have any containers")
    present = {container["name"] for field in _FIELDS for container in spec.get(field) or ()}
    for name in images:
        if name != "*" and name not in present:
            known = ", ".join(sorted(present))
            raise KubectlError(f'error: unable to find container named "{name}" (it has: {known})')
    change = {field: changed for field in _FIELDS if (changed := _changes(spec.get(field) or [], images))}
    if not change:
        return None
    if dry_run(args) == CLIENT:
        return with_path(found.object, path, _merged(spec, change))
    body = with_path({}, path, change)
    return session.client.patch(found.kind, found.name, body, found.namespace, **options(args, "kubectl-set"))


def _changes(containers: list[Object], images: dict[str, str]) -> list[Object]:
    wanted = ((c, images.get(c["name"], images.get("*", c.get("image", "")))) for c in containers)
    return [{"name": c["name"], "image": image} for c, image in wanted if c.get("image") != image]


def _merged(spec: Object, change: Object) -> Object:
    def merge(container: Object, field: str) -> Object:
        return {**container, **next((new for new in change[field] if new["name"] == container["name"]), {})}

    return {**spec, **{field: [merge(container, field) for container in spec[field]] for field in change}}


def _absent(name: str, help: str) -> Command:
    return Command(name=f"set {name}", help=help, group="Basic Commands (Beginner)", missing_command=True)


COMMANDS = (
    Command(name="set", usage="SUBCOMMAND [flags]", help="Set one feature of objects that exist.",
            group="Basic Commands (Beginner)"),
    Command(
        name="set image",
        usage="(-f FILENAME | TYPE NAME) CONTAINER_1=IMAGE_1 ... CONTAINER_N=IMAGE_N [flags]",
        help="Set the images of containers.",
        group="Basic Commands (Beginner)",
        run=run,
        flags=(*flags.FILES, flags.SELECTOR, flags.ALL, *flags.WRITING),
        missing=("kustomize", "local", "template"),
        words="resources",
        examples=(
            "kubectl set image deployment/web nginx=nginx:1.25",
            "kubectl set image deployments,rc '*=nginx:1.25' --all",
        ),
    ),
    _absent("env", "Set environment variables of containers."),
    _absent("resources", "Set what containers request and may use."),
    _absent("selector", "Set the selector of a Service."),
    _absent("serviceaccount", "Set the service account of pods."),
    _absent("subject", "Set who a role is bound to."),
)  # fmt: skip
