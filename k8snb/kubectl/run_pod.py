"""kubectl run: one pod from an image, and a session with it.

Interface: `COMMANDS`.
The rule not to break: `run` makes a Pod (with `--expose` a Service for it) and nothing else; what keeps pods up is made
by other commands.
Source: `kubectl/pkg/cmd/run`.
"""

from __future__ import annotations

from typing import Any

from k8snb.apimachinery.kinds import BY_GVK
from k8snb.apimachinery.meta import Object, get_path, labels_of, name_of, namespace_of
from k8snb.kubectl import flags, generators, pods
from k8snb.kubectl.attach import listen_when_started
from k8snb.kubectl.create import make
from k8snb.kubectl.delete import remove
from k8snb.kubectl.grammar import BOOL, STRING, Arguments, Command, Flag, usage_error
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import join
from k8snb.kubectl.resources import Found
from k8snb.kubectl.session import NONE, Session, dry_run

POD = BY_GVK["v1", "Pod"]
ENDING = 10.0  # seconds in which a pod whose program has ended is said to have
NO_REPLICAS = (
    "error: unknown flag: --replicas: kubectl run makes one pod since v1.18. For several, use\n"
    "  kubectl create deployment {name} --image={image} --replicas={replicas}"
)
_POLICIES = {
    "image-pull-policy": (("", "Always", "IfNotPresent", "Never"), "invalid image pull policy: {}"),
    "restart": (("Always", "OnFailure", "Never"), "invalid restart policy: {}"),
}


def run(session: Session, args: Arguments) -> Output:
    if not args.words:
        raise usage_error("NAME is required for run", args.command)
    if "replicas" in args.given:
        given = {"name": args.words[0], "image": args.text("image"), "replicas": args.text("replicas")}
        raise KubectlError(NO_REPLICAS.format(**given))
    attached = _attached(args)
    _check(args, attached)
    wish = generators.overridden(_pod(session, args), args.text("overrides"), how=args.text("override-type"))
    service = make(session, args, _service(wish, args)) if args.on("expose") else None
    made = make(session, args, wish)
    made = _beside(service, made, args.text("output")) if service else made
    if not attached:
        return made
    pod = made.objects[-1]
    try:
        return listen_when_started(
            session, pod, pod["spec"]["containers"][0]["name"], "", stdin=args.on("stdin"), quiet=args.on("quiet"),
            timeout=args.seconds(pods.RUNNING_TIMEOUT.name), after=lambda code: _after(session, args, pod),
        )  # fmt: skip
    except KubectlError as error:
        raise join([error], _removed(session, args, pod).splitlines()) from None


def _attached(args: Arguments) -> bool:
    return args.on("attach") if "attach" in args.given else args.on("stdin") or args.on("tty")


def _check(args: Arguments, attached: bool) -> None:
    """Refuse what does not go together. Raises KubectlError in kubectl's words."""
    complaints = {
        "--rm should only be used for attached containers": args.on("rm") and not attached,
        "-i/--stdin is required for containers with -t/--tty=true": args.on("tty") and not args.on("stdin"),
        "--port must be set when exposing a service": args.on("expose") and not args.text("port"),
        "--pod-running-timeout must be higher than zero": args.seconds(pods.RUNNING_TIMEOUT.name) <= 0,
        "--dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)":
            attached and dry_run(args) != NONE,
        **{words.format(args.text(flag)): args.text(flag) not in allowed
           for flag, (allowed, words) in _POLICIES.items()},
    }  # fmt: skip
    for complaint, holds in complaints.items():
        if holds:
            raise usage_error(complaint, args.command)
    if not args.text("image"):
        raise KubectlError("error: --image is required")
    if any(char.isspace() for char in args.text("image")):
        raise KubectlError(f'error: Invalid image name "{args.text("image")}": invalid reference format')


def _pod(session: Session, args: Arguments) -> Object:
    """The pod as the flags describe it."""
    words = [*args.words[1:], *(args.rest or [])]
    once = args.on("stdin") and not args.on("leave-stdin-open")
    obj = generators.pod(
        args.words[0],
        image=args.text("image"),
        namespace=session.namespace if "namespace" in args.given else "",
        labels=generators.labels_from(args.text("labels")),
        restart=args.text("restart"),
        env=generators.environment(args.texts("env")),
        ports=_ports(args),
        command=words if args.on("command") else [],
        args=[] if args.on("command") else words,
        imagePullPolicy=args.text("image-pull-policy"),
        stdin=args.on("stdin"),
        stdinOnce=once,
        tty=args.on("tty"),
        securityContext={"privileged": True} if args.on("privileged") else None,
    )
    if "annotations" in args.given:
        pairs = (pair.partition("=") for pair in args.texts("annotations"))
        obj["metadata"]["annotations"] = {key: value for key, _, value in pairs}
    return obj


def _ports(args: Arguments) -> list[dict[str, Any]]:
    port = args.text("port")
    if not port:
        return []
    if not port.isdigit():
        raise KubectlError(f"error: invalid --port {port}: want the number of a port")
    return [{"containerPort": int(port)}]


def _service(pod: Object, args: Arguments) -> Object:
    """A Service over the pod's labels."""
    port = int(args.text("port"))
    ports = [{"port": port, "protocol": "TCP", "targetPort": port}]
    service = generators.service(name_of(pod), type="", ports=ports, namespace=namespace_of(pod))
    metadata = {key: value for key, value in service["metadata"].items() if key != "labels"}
    spec = {key: value for key, value in service["spec"].items() if value}
    return {**service, "metadata": metadata, "spec": {**spec, "selector": labels_of(pod)}}


def _beside(service: Output, pod: Output, format: str) -> Output:
    gap = "---\n---\n" if format == "yaml" else ""
    return Output(text=service.text + gap + pod.text, objects=[*service.objects, *pod.objects], format=format)


# a session's end


def _after(session: Session, args: Arguments, pod: Object) -> tuple[str, int]:
    """What is left to do and to say when the program has been left: the exit code of a pod that runs once, and its
    removal.
    """
    said, code = _outcome(session, pod) if args.text("restart") == "Never" else ("", 0)
    return said + _removed(session, args, pod), code


def _outcome(session: Session, pod: Object) -> tuple[str, int]:
    """How a pod that runs once has ended; nothing of one that still runs."""
    name, namespace = name_of(pod), namespace_of(pod)

    def ended() -> bool:
        live = session.client.find("pods", name, namespace)
        return live is None or get_path(live, "status.phase") in ("Succeeded", "Failed")

    session.wait(ended, ENDING)
    statuses = get_path(session.client.find("pods", name, namespace) or {}, "status.containerStatuses") or [{}]
    state = get_path(statuses[0], "state.terminated") or {}
    code = int(state.get("exitCode", 0))
    return (f"pod {namespace}/{name} terminated ({state.get('reason', '')})\n" if code else ""), code


def _removed(session: Session, args: Arguments, pod: Object) -> str:
    if not args.on("rm"):
        return ""
    said = remove(session, args, Found(POD, pod))
    return "" if args.on("quiet") else said


_SESSION = (
    Flag("attach", BOOL, "Listen to the container when it runs; with -i or -t that is so anyway."),
    Flag("stdin", BOOL, "Pass on what is given to read: a cell's body, or what is typed.", short="i"),
    Flag("tty", BOOL, "Give the container a terminal.", short="t"),
    Flag("leave-stdin-open", BOOL, "Let others type to the container after the first session."),
    Flag("quiet", BOOL, "Print only what the container prints.", short="q"),
    Flag("rm", BOOL, "Delete the pod when the session is over."),
    flags.CASCADE,
    flags.GRACE_PERIOD,
    flags.FORCE,
    Flag("wait", BOOL, "With --rm: wait until the pod is gone."),
    flags.TIMEOUT,
    pods.RUNNING_TIMEOUT,
)
COMMANDS = (
    Command(
        name="run",
        usage='NAME --image=IMAGE [--env="NAME=VALUE"] [--port=PORT] [--command -- COMMAND] [ARGS...] [flags]',
        help="Run an image in a pod.",
        group="Basic Commands (Beginner)",
        run=run,
        flags=(
            Flag("image", help="The image to run.", required=True),
            Flag("annotations", "array", "An annotation, KEY=VALUE; repeatable."),
            Flag("command", BOOL, "What follows -- replaces the image's command, not its arguments."),
            flags.ENV,
            Flag("expose", BOOL, "Make a Service for the pod too; needs --port."),
            Flag("image-pull-policy", help="When to pull the image.", values=("Always", "IfNotPresent", "Never")),
            Flag("labels", help="Labels of the pod: a=1,b=2.", short="l"),
            Flag("port", help="The port that the container listens on."),
            Flag("privileged", BOOL, "Let the container do what the node's root may."),
            Flag("replicas", STRING, "Gone from kubectl run: create a Deployment."),
            Flag("restart", help="When to start the container again.", default="Always",
                 values=("Always", "OnFailure", "Never")),
            *_SESSION, flags.OVERRIDES, flags.OVERRIDE_TYPE, flags.DRY_RUN, flags.FIELD_MANAGER, flags.SAVE_CONFIG,
            *flags.PRINTING,
        ),
        missing=("filename", "kustomize", "recursive"),
        examples=(
            "kubectl run web --image=nginx --port=80",
            "kubectl run web --image=nginx --env=COLOR=blue --labels=app=web,tier=front",
            "kubectl run web --image=nginx --dry-run=client -o yaml",
            "kubectl run sleeper --image=busybox --command -- sleep 1h",
            "kubectl run shell --image=busybox -it --rm --restart=Never",
        ),
    ),
)  # fmt: skip
