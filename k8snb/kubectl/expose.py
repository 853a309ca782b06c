"""kubectl expose: a Service over what is already there.

Interface: `COMMANDS`.
The rule not to break: a Service can only say key=value; a selector that says more is refused, never cut down.
Source: `kubectl/pkg/cmd/expose`, `kubectl/pkg/polymorphichelpers`.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, get_path, labels_of
from k8snb.kubectl import flags, generators
from k8snb.kubectl.create import send, with_hints
from k8snb.kubectl.grammar import Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.resources import Found, Selection, as_written, select
from k8snb.kubectl.results import Results
from k8snb.kubectl.session import Session
from k8snb.printers.columns import selector_text

_EXPOSABLE = ("Pod", "Service", "ReplicationController", "ReplicaSet", "Deployment")
_SHORT = 63
_NO_SELECTOR = "error: couldn't retrieve selectors via --selector flag or introspection"


def run(session: Session, args: Arguments) -> Output:
    selection = _selection(session, args)
    selection.require()
    results = Results(session, args)
    results.errors = selection.errors
    for found in selection.found:
        try:
            obj = generators.overridden(_service(session, args, found), args.text("overrides"),
                                       how=args.text("override-type"))  # fmt: skip
            results.add(send(session, args, obj, found.namespace or session.namespace), "exposed")
        except KubectlError as error:
            results.fail(error)
    return with_hints(session, results.output(), results.objects, args)


def _selection(session: Session, args: Arguments) -> Selection:
    """What is exposed: a manifest as it is written, whether or not it has been created, or live objects.

    `--selector` is about the Service, and picks nothing here.
    """
    if args.from_files:
        return as_written(session, args)
    values = {**args.values, "selector": ""}
    return select(session, Arguments(args.command, args.words, args.rest, values, args.given), names_only=True)


def _service(session: Session, args: Arguments, found: Found) -> Object:
    if found.kind.kind not in _EXPOSABLE:
        raise KubectlError(f"error: cannot expose a {found.kind.kind}")
    type = args.text("type")
    spec: Object = {"selector": _selector(args, found)}
    ports = _ports(args, found)
    if ports:
        spec["ports"] = ports
    if type:
        spec["type"] = type
    extras = {
        "externalIPs": [args.text("external-ip")] if args.text("external-ip") else None,
        "loadBalancerIP": args.text("load-balancer-ip") or None,
        "sessionAffinity": args.text("session-affinity") or None,
        "clusterIP": args.text("cluster-ip") or None,
    }
    spec |= {key: value for key, value in extras.items() if value is not None}
    labels = generators.labels_from(args.text("labels")) or dict(labels_of(found.object))
    metadata: Object = {"name": args.text("name") or found.name[:_SHORT]}
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec, "status": {"loadBalancer": {}}}


def _selector(args: Arguments, found: Found) -> dict[str, str]:
    """The labels that the Service selects by: what the flag says, or what the object selects or is labelled with."""
    if args.text("selector"):
        return generators.labels_from(args.text("selector"))
    if found.kind.kind == "Pod":
        if not labels_of(found.object):
            raise KubectlError(f"{_NO_SELECTOR}: the pod has no labels and cannot be exposed")
        return dict(labels_of(found.object))
    selector = get_path(found.object, "spec.selector") or {}
    if found.kind.kind in ("Service", "ReplicationController"):
        return dict(selector) or _no_selector(found)
    if selector.get("matchExpressions"):
        raise KubectlError(
            f'{_NO_SELECTOR}: couldn\'t convert expressions - "{selector_text(selector)}" to map-based selector '
            "format: a Service selects by KEY=VALUE only"
        )
    return dict(selector.get("matchLabels") or {}) or _no_selector(found)


def _no_selector(found: Found) -> dict[str, str]:
    raise KubectlError(f"{_NO_SELECTOR}: {found.kind.singular} {found.name} has no selector")


def _ports(args: Arguments, found: Found) -> list[Object]:
    """The Service's ports: those that the flag names, or those that the object declares."""
    declared = _declared(found)
    wanted = args.text("port")
    if wanted:
        numbers = [_number(text) for text in wanted.split(",")]
    elif declared:
        numbers = [port for port, _ in declared]
    elif get_path(found.object, "spec.clusterIP") == "None" or args.text("cluster-ip") == "None":
        numbers = []
    else:
        raise KubectlError("error: couldn't find port via --port flag or introspection\n"
                           "See 'kubectl expose -h' for help and examples")  # fmt: skip
    protocols = dict(declared)
    several = len(numbers) > 1
    return [_port(args, number, protocols.get(number, "TCP"), f"port-{place}" if several else "")
            for place, number in enumerate(numbers, 1)]  # fmt: skip


def _number(text: str) -> int:
    if not text.strip().isdigit():
        raise KubectlError(f"error: invalid --port {text}: want the number of a port")
    return int(text)


def _port(args: Arguments, number: int, protocol: str, name: str) -> Object:
    target = args.text("target-port")
    return {
        **({"name": name} if name else {}),
        "port": number,
        "protocol": args.text("protocol") or protocol,
        "targetPort": generators.number_or_name(target) if target else number,
    }


def _declared(found: Found) -> list[tuple[int, str]]:
    """The ports that a Service has, or that the containers of a pod or template declare."""
    obj = found.object
    if found.kind.kind == "Service":
        return [(port["port"], port.get("protocol", "TCP")) for port in get_path(obj, "spec.ports") or ()]
    spec = obj["spec"] if found.kind.kind == "Pod" else get_path(obj, "spec.template.spec", {})
    ports = [port for container in spec.get("containers") or () for port in container.get("ports") or ()]
    return [(port["containerPort"], port.get("protocol", "TCP")) for port in ports]


COMMANDS = (
    Command(
        name="expose",
        usage="(-f FILENAME | TYPE NAME) [--port=port] [--protocol=TCP|UDP|SCTP] [--target-port=number-or-name] "
              "[--name=name] [--external-ip=ip] [--type=type] [flags]",
        help="Make a Service over a pod, service, replicationcontroller, replicaset or deployment.",
        group="Basic Commands (Beginner)",
        run=run,
        flags=(
            *flags.FILES, flags.PORT,
            Flag("target-port", help="The container's port, by number or name; the same as --port if not given."),
            Flag("protocol", help="TCP, UDP or SCTP.", values=("TCP", "UDP", "SCTP")),
            Flag("name", help="The Service's name; that of the object if not given."),
            Flag("type", help="The sort of Service.", values=("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")),
            Flag("external-ip", help="An IP outside of the cluster that leads to the Service too."),
            Flag("load-balancer-ip", help="The IP to ask of the load balancer."),
            Flag("cluster-ip", help="The IP to take; None for a headless Service."),
            Flag("session-affinity", help="Whether a client keeps its pod.", values=("None", "ClientIP")),
            Flag("selector", help="Labels to select by, KEY=VALUE only; those of the object if not given."),
            Flag("labels", help="The Service's own labels.", short="l"),
            flags.OVERRIDES, flags.OVERRIDE_TYPE, flags.SAVE_CONFIG, *flags.WRITING,
        ),
        words="resources:pods,services,replicationcontrollers,deployments,replicasets",
        examples=(
            "kubectl expose deployment web --port=80 --target-port=8080",
            "kubectl expose rc web --port=80 --type=NodePort --name=front",
            "kubectl expose pod web --port=80 --target-port=http",
        ),
    ),
)  # fmt: skip
