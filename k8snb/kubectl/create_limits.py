"""kubectl create quota and priorityclass: what limits and ranks others, from a few words.

Interface: `COMMANDS`.
The rule not to break: what exists is never changed, only refused.
Source: `kubectl/pkg/cmd/create/create_quota.go`, `create_priorityclass.go`.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object
from k8snb.apimachinery.quantity import QuantityError, canonical
from k8snb.kubectl.create import generator, make, named, said_namespace
from k8snb.kubectl.grammar import BOOL, INT, Arguments, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.session import Session

NO_QUANTITY = "error: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def quota(session: Session, args: Arguments) -> Output:
    spec: Object = {}
    if args.text("hard"):
        spec["hard"] = dict(_amount(pair) for pair in args.text("hard").split(","))
    if args.text("scopes"):
        spec["scopes"] = args.text("scopes").split(",")
    metadata = {"name": named(args)}
    namespace = said_namespace(session, args)
    if namespace:
        metadata["namespace"] = namespace
    obj = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": spec, "status": {}}
    return make(session, args, obj)


def _amount(pair: str) -> tuple[str, str]:
    """`cpu=1500m` as a name and a canonical quantity. Raises KubectlError."""
    name, equals, amount = pair.partition("=")
    if not equals or not name or "=" in amount:
        raise KubectlError(f"error: Invalid argument syntax {pair}, expected <resource>=<value>")
    try:
        return name, canonical(amount)
    except QuantityError:
        raise KubectlError(NO_QUANTITY) from None


def priority_class(session: Session, args: Arguments) -> Output:
    obj: Object = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": named(args)},
        "value": args.number("value"),
        "preemptionPolicy": args.text("preemption-policy"),
    }
    if args.on("global-default"):
        obj["globalDefault"] = True
    if args.text("description"):
        obj["description"] = args.text("description")
    return make(session, args, obj)


COMMANDS = (
    generator("quota", "Create a ResourceQuota.", quota, "NAME [--hard=KEY=VALUE,...] [--scopes=SCOPE,...]",
              aliases=("create resourcequota",), flags=(
                  Flag("hard", help="The limits: RESOURCE=QUANTITY, separated by commas."),
                  Flag("scopes", help="Which pods the quota is for: scopes, separated by commas.")),
              examples=("kubectl create quota small --hard=cpu=1,memory=1G,pods=2",
                        "kubectl create quota best-effort --hard=pods=100 --scopes=BestEffort")),
    generator("priorityclass", "Create a PriorityClass.", priority_class, "NAME --value=VALUE",
              aliases=("create pc",), flags=(
                  Flag("value", INT, "The number: pods with a greater one go first.", default=0),
                  Flag("global-default", BOOL, "The class of pods that name none."),
                  Flag("description", help="When this class should be used."),
                  Flag("preemption-policy", help="Whether pods of the class drive others out.",
                       default="PreemptLowerPriority", values=("PreemptLowerPriority", "Never"))),
              examples=('kubectl create priorityclass high --value=1000 --description="goes first"',)),
)  # fmt: skip
