"""kubectl scale: another number of pods.

Interface: `COMMANDS`.
The rule not to break: scaling changes `spec.replicas` through the `scale` subresource, and nothing else.
Source: `kubectl/pkg/cmd/scale`, `kubectl/pkg/scale`.
"""

from __future__ import annotations

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, get_path, with_path
from k8snb.client.client import MERGE
from k8snb.kubectl import flags
from k8snb.kubectl.grammar import INT, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found, select
from k8snb.kubectl.results import Results
from k8snb.kubectl.session import CLIENT, Session, dry_run, options

_COUNT = "error: The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0"


def run(session: Session, args: Arguments) -> Output:
    if args.number("replicas") < 0:
        raise KubectlError(_COUNT)
    selection = select(session, args, names_only=True)
    if not selection.found:
        why = "".join(f" {error.message.partition(': ')[2]}" for error in selection.errors)
        raise KubectlError(f"error: no objects passed to scale{why}")
    results = Results(session, args)
    results.errors = selection.errors
    for found in selection.found:
        try:
            results.add(_scale(session, args, found), "scaled")
        except KubectlError as error:
            results.fail(error)
        except ApiError as error:
            results.fail(refused(error))
    return results.output()


def _scale(session: Session, args: Arguments, found: Found) -> Object:
    if "scale" not in found.kind.subresources:
        what = f"{found.kind.qualified}/{found.name}"
        raise KubectlError(f"error: {what} cannot be scaled: its kind has no scale subresource")
    _check(args, found)
    replicas = args.number("replicas")
    if dry_run(args) == CLIENT:
        return with_path(found.object, "spec.replicas", replicas)
    body: Object = {"spec": {"replicas": replicas}}
    if args.text("resource-version") or "current-replicas" in args.given:
        body["metadata"] = {"resourceVersion": found.object["metadata"]["resourceVersion"]}
    session.client.patch(found.kind, found.name, body, found.namespace, content_type=MERGE, subresource="scale",
                         **options(args))  # fmt: skip
    timeout = args.seconds("timeout")
    if timeout and not session.wait(lambda: _reached(session, found, replicas), timeout):
        raise KubectlError(f'error: timed out waiting for "{found.name}" to be synced')
    return session.client.get(found.kind, found.name, found.namespace)


def _reached(session: Session, found: Found, replicas: int) -> bool:
    live = session.client.find(found.kind, found.name, found.namespace)
    return live is not None and get_path(live, "status.replicas", 0) == replicas


def _check(args: Arguments, found: Found) -> None:
    expected, current = args.number("current-replicas"), get_path(found.object, "spec.replicas", 0)
    if expected >= 0 and expected != current:
        raise KubectlError(f"error: Expected replicas to be {expected}, was {current}")
    version = args.text("resource-version")
    actual = found.object["metadata"]["resourceVersion"]
    if version and version != actual:
        raise KubectlError(f"error: Expected resource version to be {version}, was {actual}")


COMMANDS = (
    Command(
        name="scale",
        usage="[--resource-version=VERSION] [--current-replicas=COUNT] --replicas=COUNT (-f FILENAME | TYPE NAME) "
              "[flags]",
        help="Set how many pods a deployment, replicaset, replicationcontroller or statefulset wants.",
        group="Deploy Commands",
        run=run,
        flags=(
            Flag("replicas", INT, "How many pods are wanted.", required=True),
            Flag("current-replicas", INT, "Only if so many are wanted at present.", default=-1),
            flags.RESOURCE_VERSION, *flags.FILES, flags.SELECTOR, flags.ALL, flags.TIMEOUT, flags.DRY_RUN,
            *flags.PRINTING,
        ),
        words="resources:deployments,replicasets,statefulsets,replicationcontrollers",
        examples=(
            "kubectl scale deployment web --replicas=5",
            "kubectl scale --current-replicas=2 --replicas=3 rc/web",
            "kubectl scale --replicas=0 -f web.yaml",
        ),
    ),
)  # fmt: skip
