"""kubectl set: one feature of objects that exist, all commands alike.

Interface: `runner(change, done)` makes a command of a function from an object to what it shall be; `pod_spec` and
`with_pod_spec` find the pods in it, `containers` and `named` the containers that are meant.
The rule not to break: what is sent is the difference alone, so that nobody else's fields are written back.
Source: `kubectl/pkg/cmd/set`, `polymorphichelpers/updatepodspec.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, get_path, with_metadata, with_path
from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found, select
from k8snb.kubectl.results import Results
from k8snb.kubectl.session import CLIENT, Session, dry_run, options
from k8snb.kubectl.two_way import difference

Change = Callable[[Session, Arguments, Found], Object | None]  # None: this one is left alone
CONTAINERS = ("initContainers", "containers")
_PATHS = {"Pod": "spec", "PodTemplate": "template.spec", "CronJob": "spec.jobTemplate.spec.template.spec"}


def runner(
    change: Change, done: str, *, words: Callable[[Arguments], list[str]], always: bool = False
) -> Callable[[Session, Arguments], Output]:
    """`words` are those that name objects; with `always`, what did not change is reported too, as upstream does."""

    def run(session: Session, args: Arguments) -> Output:
        resources = Arguments(args.command, words(args), args.rest, args.values, args.given)
        selection = select(session, resources, names_only=True)
        results = Results(session, args)
        results.errors = selection.errors
        for found in selection.found:
            try:
                wanted = change(session, args, found)
                if wanted is not None and (always or wanted != found.object):
                    results.add(_write(session, args, found, wanted), done)
            except ApiError as error:
                results.fail(refused(error))
            except KubectlError as error:
                results.fail(error)
        return results.output()

    return run


def _write(session: Session, args: Arguments, found: Found, wanted: Object) -> Object:
    if dry_run(args) == CLIENT:
        return wanted
    if args.text("resource-version"):
        wanted = with_metadata(wanted, resourceVersion=args.text("resource-version"))
    body, content_type = difference(found.kind, found.object, wanted)
    return session.client.patch(
        found.kind, found.name, body, found.namespace, content_type=content_type, **options(args, "kubectl-set")
    )


def without_pairs(args: Arguments) -> list[str]:
    """The words that are no `KEY=VALUE` and no `KEY-`."""
    return [word for word in args.words if "=" not in word and not word.endswith("-")]


def _path(found: Found) -> str:
    return _PATHS.get(found.kind.kind, "spec.template.spec")


def pod_spec(found: Found) -> Object:
    """The spec of the pods that an object is, or makes. Raises KubectlError for an object without any."""
    spec = get_path(found.object, _path(found))
    if not isinstance(spec, dict) or not spec.get("containers"):
        thing = f"{found.kind.plural}/{found.name}"
        raise KubectlError(f"error: {thing} the object is not a pod or does not have a pod template: "
                           f"*{found.kind.version}.{found.kind.kind}")  # fmt: skip
    return spec


def with_pod_spec(found: Found, spec: Object) -> Object:
    return with_path(found.object, _path(found), spec)


def named(spec: Object, pattern: str) -> list[str]:
    """The names of the containers that a pattern such as `*` or `web-*` means."""
    return [container["name"] for field in CONTAINERS for container in spec.get(field) or ()
            if fnmatchcase(container["name"], pattern)]  # fmt: skip


def with_containers(spec: Object, chosen: Iterable[str], change: Callable[[Object], Object]) -> Object:
    """The spec with some of its containers changed."""
    chosen = set(chosen)
    changed = {
        field: [change(each) if each["name"] in chosen else each for each in spec[field]]
        for field in CONTAINERS if spec.get(field)
    }  # fmt: skip
    return {**spec, **changed}
