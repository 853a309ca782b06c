"""kubectl run: one pod from an image.

Interface: `COMMANDS`.
The rule not to break: `run` makes a Pod and nothing else; what keeps pods up is made by other commands.
Source: `kubectl/pkg/cmd/run`.
"""

from __future__ import annotations

from typing import Any

from k8snb.kubectl import flags, generators
from k8snb.kubectl.create import make
from k8snb.kubectl.grammar import BOOL, STRING, Arguments, Command, Flag, usage_error
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.session import Session

NO_REPLICAS = (
    "error: unknown flag: --replicas: kubectl run makes one pod since v1.18. For several, use\n"
    "  kubectl create deployment {name} --image={image} --replicas={replicas}"
)


def run(session: Session, args: Arguments) -> Output:
    name = _name(args)
    image = args.text("image")
    if "replicas" in args.given:
        raise KubectlError(NO_REPLICAS.format(name=name, image=image, replicas=args.text("replicas")))
    words = [*args.words[1:], *(args.rest or [])]
    command = words if args.on("command") else []
    obj = generators.pod(
        name,
        image=image,
        namespace=session.namespace if "namespace" in args.given else "",
        labels=generators.labels_from(args.text("labels")),
        restart=args.text("restart"),
        env=generators.environment(args.texts("env")),
        ports=_ports(args),
        command=command,
        args=[] if args.on("command") else words,
        imagePullPolicy=args.text("image-pull-policy"),
    )
    if "annotations" in args.given:
        pairs = (pair.partition("=") for pair in args.texts("annotations"))
        obj["metadata"]["annotations"] = {key: value for key, _, value in pairs}
    return make(session, args, generators.overridden(obj, args.text("overrides")))


def _name(args: Arguments) -> str:
    if not args.words:
        raise usage_error("NAME is required for run", args.command)
    return args.words[0]


def _ports(args: Arguments) -> list[dict[str, Any]]:
    port = args.text("port")
    if not port:
        return []
    if not port.isdigit():
        raise KubectlError(f"error: invalid --port {port}: want the number of a port")
    return [{"containerPort": int(port)}]


COMMANDS = (
    Command(
        name="run",
        usage="NAME --image=IMAGE [--env=\"NAME=VALUE\"] [--port=PORT] [--command -- COMMAND] [ARGS...] [flags]",
        help="Run an image in a pod.",
        group="Basic Commands (Beginner)",
        run=run,
        flags=(
            Flag("image", help="The image to run.", required=True),
            Flag("annotations", "array", "An annotation, KEY=VALUE; repeatable."),
            Flag("command", BOOL, "What follows -- replaces the image's command, not its arguments."),
            flags.ENV,
            Flag("image-pull-policy", help="When to pull the image.", values=("Always", "IfNotPresent", "Never")),
            Flag("labels", help="Labels of the pod: a=1,b=2.", short="l"),
            Flag("port", help="The port that the container listens on."),
            Flag("replicas", STRING, "Gone from kubectl run: create a Deployment."),
            Flag("restart", help="When to start the container again.", default="Always",
                 values=("Always", "OnFailure", "Never")),
            flags.OVERRIDES, flags.DRY_RUN, flags.FIELD_MANAGER, flags.SAVE_CONFIG, *flags.PRINTING,
        ),
        missing=("attach", "cascade", "expose", "filename", "force", "grace-period", "kustomize", "leave-stdin-open",
                 "override-type", "pod-running-timeout", "privileged", "quiet", "recursive", "rm", "stdin",
                 "timeout", "tty", "wait"),
        examples=(
            "kubectl run web --image=nginx --port=80",
            "kubectl run web --image=nginx --env=COLOR=blue --labels=app=web,tier=front",
            "kubectl run web --image=nginx --dry-run=client -o yaml",
            "kubectl run sleeper --image=busybox --command -- sleep 1h",
        ),
    ),
)  # fmt: skip
