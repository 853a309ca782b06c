"""kubectl autoscale: let the number of pods follow their load.

Interface: `COMMANDS`.
The rule not to break: what is made is a HorizontalPodAutoscaler for something that can be scaled.
Source: `kubectl/pkg/cmd/autoscale`.
"""

from __future__ import annotations

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object
from k8snb.kubectl import flags
from k8snb.kubectl.create import with_last_applied
from k8snb.kubectl.grammar import INT, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found, select
from k8snb.kubectl.results import Results
from k8snb.kubectl.session import CLIENT, Session, dry_run, options


def run(session: Session, args: Arguments) -> Output:
    if args.number("max") < 1:
        raise KubectlError(f"error: --max=MAXPODS is required and must be at least 1, max: {args.number('max')}")
    if args.number("max") < args.number("min"):
        words = f"--max=MAXPODS must be larger or equal to --min=MINPODS, max: {args.number('max')}"
        raise KubectlError(f"error: {words}, min: {args.number('min')}")
    selection = select(session, args, names_only=True)
    results = Results(session, args)
    results.errors = selection.errors
    for found in selection.found:
        if "scale" not in found.kind.subresources:
            results.fail(
                KubectlError(f"error: cannot autoscale a {found.kind.kind}: its kind has no scale subresource")
            )
            continue
        try:
            results.add(_make(session, args, found), "autoscaled")
        except ApiError as error:
            results.fail(refused(error))
    return results.output()


def _make(session: Session, args: Arguments, found: Found) -> Object:
    name = args.text("name") or found.name
    reference = {"kind": found.kind.kind, "name": found.name, "apiVersion": found.kind.api_version}
    spec: Object = {"scaleTargetRef": reference, "maxReplicas": args.number("max")}
    if args.number("min") > 0:
        spec["minReplicas"] = args.number("min")
    if args.number("cpu-percent") > 0:
        target = {"type": "Utilization", "averageUtilization": args.number("cpu-percent")}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    obj: Object = {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "creationTimestamp": None}, "spec": spec,
        "status": {"currentMetrics": None, "desiredReplicas": 0},
    }  # fmt: skip
    if dry_run(args) == CLIENT:
        return obj
    obj = with_last_applied(obj) if args.on("save-config") else obj
    return session.client.create(session.kind_of(obj), obj, found.namespace, **options(args))


COMMANDS = (
    Command(
        name="autoscale",
        usage="(-f FILENAME | TYPE NAME) [--min=MINPODS] --max=MAXPODS [--cpu-percent=CPU] [flags]",
        help="Let the number of pods follow their load.",
        group="Deploy Commands",
        run=run,
        flags=(
            *flags.FILES,
            Flag("max", INT, "The most pods there may be.", default=-1, required=True),
            Flag("min", INT, "The fewest pods there shall be.", default=-1),
            Flag("cpu-percent", INT, "The share of the requested processor time that pods shall use.", default=-1),
            Flag("name", help="The autoscaler's name; that of its target if none is given."),
            flags.SAVE_CONFIG, *flags.WRITING,
        ),
        words="resources:deployments,replicasets,statefulsets,replicationcontrollers",
        examples=("kubectl autoscale deployment web --min=2 --max=10 --cpu-percent=80",),
    ),
)  # fmt: skip
