"""kubectl debug: a container beside others, a changed copy of a pod, or a pod that looks into a node.

Interface: `COMMANDS`.
The rule not to break: the pod that is looked into keeps running as it was, except with `--replace`.
Source: `kubectl/pkg/cmd/debug`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, annotations_of, labels_of, with_path
from k8snb.kubectl import debug_profiles, flags
from k8snb.kubectl.attach import listen_when_started
from k8snb.kubectl.debug_profiles import PROFILES, for_container, for_node
from k8snb.kubectl.grammar import BOOL, STRINGS, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.resources import Found, one, select
from k8snb.kubectl.session import Session
from k8snb.kubectl.two_way import difference

LEGACY = ("--profile=legacy is deprecated and will be removed in the future. It is recommended to explicitly specify a "
          'profile, for example "--profile=general".')  # fmt: skip
TARGETING = ('Targeting container "{}". If you don\'t see processes from this container it may be because the '
             "container runtime doesn't support this feature.")  # fmt: skip
_COPY_ONLY = ("replace", "same-node", "set-image")
_PROBES = {"keep-liveness": "livenessProbe", "keep-readiness": "readinessProbe", "keep-startup": "startupProbe"}
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def run(session: Session, args: Arguments) -> Output:
    _check(args)
    notes = [LEGACY] if args.text("profile") == "legacy" else []
    found = _meant(session, args)
    act = _BY_KIND.get(found.kind.builtin)
    if act is None:
        raise KubectlError(f'error: "{found.kind.api_version}, Kind={found.kind.kind}" not supported by debug')
    try:
        pod, container = act(session, args, found, notes)
    except ApiError as error:
        raise refused(error) from None
    first = "" if args.on("quiet") else "".join(f"{note}\n" for note in notes)
    attached = args.on("attach") if "attach" in args.given else args.on("stdin")
    if not attached:
        return Output(text=first, objects=[pod])
    return listen_when_started(session, pod, container, first, stdin=args.on("stdin"), quiet=args.on("quiet"))


def _meant(session: Session, args: Arguments) -> Found:
    """What the word names, or the file describes. Raises KubectlError."""
    if args.from_files:
        if args.words:
            raise KubectlError("error: resource/name arguments cannot be provided when a path is specified")
        found = select(session, args).require()
        if len(found) > 1:
            raise KubectlError("error: expected one POD or TYPE/NAME to debug, and the file has several")
        return found[0]
    if len(args.words) != 1:
        raise KubectlError("error: expected one POD or TYPE/NAME to debug")
    return one(session, args, args.words[0])


def _check(args: Arguments) -> None:
    """Refuse flags that do not go together."""
    copies = bool(args.text("copy-to"))
    if not copies and not args.text("image"):
        given = next((name for name in _COPY_ONLY if name in args.given), "")
        raise KubectlError(f"error: --{given} may only be used with --copy-to." if given else
                           "error: you must specify --image when not using --copy-to.")  # fmt: skip
    if copies and not (args.text("image") or args.texts("set-image") or args.rest):
        raise KubectlError("error: you must specify --image, --set-image or command arguments.")
    for name in () if copies else _COPY_ONLY:
        if name in args.given:
            raise KubectlError(f"error: --{name} may only be used with --copy-to.")
    if copies and args.text("target"):
        raise KubectlError("error: --target is incompatible with --copy-to. Use --share-processes instead.")
    debug_profiles.custom(args.text("custom"))
    if args.text("profile") not in PROFILES:
        raise KubectlError(f"error: unknown profile: {args.text('profile')}")


def _wished(args: Arguments, container: Object) -> Object:
    """A container with what the flags say of it."""
    words = list(args.rest or ())
    said: Object = {
        "image": args.text("image"), "imagePullPolicy": args.text("image-pull-policy"), "stdin": args.on("stdin"),
        "tty": args.on("tty"), "args" if args.on("arguments-only") else "command": words,
        "env": [{"name": name, "value": value} for name, _, value in (pair.partition("=") for pair in
                args.texts("env"))],
    }  # fmt: skip
    kept = {key: value for key, value in container.items() if not (words and key == "args")}
    return {**kept, **{key: value for key, value in said.items() if value}}


def _suffix(session: Session, obj: Object) -> str:
    """Five letters that are others the next time."""
    metadata = obj["metadata"]
    digest = hashlib.sha256(f"{metadata['uid']} {metadata['resourceVersion']} {session.now()}".encode()).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:5])


# beside the pod's containers


def _beside(session: Session, args: Arguments, found: Found, notes: list[str]) -> tuple[Object, str]:
    if args.text("copy-to"):
        return _copied(session, args, found, notes)
    pod = found.object
    if args.text("target"):
        notes.append(TARGETING.format(args.text("target")))
    name = args.text("container") or _named(session, pod, notes)
    container = _wished(args, {"name": name, "terminationMessagePolicy": "File"})
    if args.text("target"):
        container["targetContainerName"] = args.text("target")
    container = _profiled(args, container)
    wanted = with_path(pod, "spec.ephemeralContainers", [*(pod["spec"].get("ephemeralContainers") or ()), container])
    body, content_type = difference(found.kind, pod, wanted)
    changed = session.client.patch(
        found.kind, found.name, body, found.namespace, content_type=content_type, subresource="ephemeralcontainers",
        fieldManager="kubectl-debug",
    )  # fmt: skip
    return changed, name


def _named(session: Session, pod: Object, notes: list[str]) -> str:
    name = f"debugger-{_suffix(session, pod)}"
    notes.append(f"Defaulting debug container name to {name}.")
    return name


# in a copy


def _copied(session: Session, args: Arguments, found: Found, notes: list[str]) -> tuple[Object, str]:
    old = found.object
    images = dict(pair.partition("=")[::2] for pair in args.texts("set-image"))
    containers = [_with_image(_without_probes(args, each), images) for each in old["spec"]["containers"]]
    spec: Object = {**old["spec"], "containers": containers}
    name = args.text("container")
    if args.text("image") or args.rest or name:
        name = name or _named(session, old, notes)
        spec = _with_debugger(args, spec, name)
    if not args.on("keep-init-containers"):
        spec.pop("initContainers", None)
    if not args.on("same-node"):
        spec.pop("nodeName", None)
    spec.pop("ephemeralContainers", None)
    metadata: Object = {"name": args.text("copy-to"), "namespace": found.namespace}
    metadata |= {"labels": labels_of(old)} if args.on("keep-labels") else {}
    metadata |= {"annotations": annotations_of(old)} if args.on("keep-annotations") else {}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    pod = session.client.create("pods", body, found.namespace, fieldManager="kubectl-debug")
    if args.on("replace"):
        session.client.delete("pods", found.name, found.namespace, gracePeriodSeconds=0)
    return pod, name or spec["containers"][0]["name"]


def _with_debugger(args: Arguments, spec: Object, name: str) -> Object:
    """The spec with a container of this name as the flags want it: the one that is there, or one more."""
    there = [each["name"] for each in spec["containers"]]
    if name not in there and not args.text("image"):
        raise KubectlError("error: you must specify image when creating new container")
    fresh = {"name": name, "terminationMessagePolicy": "File"}
    containers = spec["containers"] if name in there else [*spec["containers"], fresh]
    changed = [_profiled(args, _wished(args, each)) if each["name"] == name else each for each in containers]
    shared = args.on("share-processes") if "share-processes" in args.given else spec.get("shareProcessNamespace", True)
    return {**spec, "containers": changed, "shareProcessNamespace": shared}


def _profiled(args: Arguments, container: Object) -> Object:
    """The container with what `--profile` and `--custom` make of it."""
    profiled = for_container(PROFILES[args.text("profile")], container)
    return debug_profiles.customized(profiled, debug_profiles.custom(args.text("custom")))


def _without_probes(args: Arguments, container: Object) -> Object:
    dropped = {field for flag, field in _PROBES.items() if not args.on(flag)}
    return {key: value for key, value in container.items() if key not in dropped}


def _with_image(container: Object, images: Mapping[str, str]) -> Object:
    image = images.get(container["name"]) or images.get("*")
    return {**container, "image": image} if image else container


# on a node


def _on_node(session: Session, args: Arguments, found: Found, notes: list[str]) -> tuple[Object, str]:
    name = f"node-debugger-{found.name}-{_suffix(session, found.object)}"
    container = args.text("container") or "debugger"
    notes.append(f"Creating debugging pod {name} with container {container} on node {found.name}.")
    debugger = _wished(args, {"name": container, "terminationMessagePolicy": "File"})
    spec: Object = {"containers": [debugger], "nodeName": found.name, "restartPolicy": "Never",
            "tolerations": [{"operator": "Exists"}]}  # fmt: skip
    spec = for_node(PROFILES[args.text("profile")], spec)
    custom = debug_profiles.custom(args.text("custom"))
    spec["containers"] = [debug_profiles.customized(each, custom) for each in spec["containers"]]
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    return session.client.create("pods", body, session.namespace, fieldManager="kubectl-debug"), container


_Act = Callable[[Session, Arguments, Found, list[str]], tuple[Object, str]]
_BY_KIND: Mapping[str, _Act] = {"pods": _beside, "nodes": _on_node}


COMMANDS = (
    Command(
        name="debug",
        usage="(POD | TYPE/NAME) [flags] [-- COMMAND [args...]]",
        help="Start containers to look into others.",
        group="Troubleshooting and Debugging Commands",
        run=run,
        flags=(
            Flag("image", help="The image of the debugging container."),
            Flag("container", help="The name of the debugging container; with --copy-to also of one that is there.",
                 short="c"),
            Flag("target", help="The container whose processes it is to see.", values=(":containers",)),
            Flag("profile", help="What it may do.", default="legacy", values=tuple(PROFILES)),
            Flag("custom", help="A file, JSON or YAML, with fields of a container to lay over the debugging one."),
            flags.FILENAME, flags.ENV,
            Flag("image-pull-policy", help="When to pull the image.", values=("Always", "IfNotPresent", "Never")),
            Flag("arguments-only", BOOL, "What follows -- are the arguments of the image's own command."),
            Flag("attach", BOOL, "Listen to the container when it runs; with -i that is so anyway."),
            Flag("stdin", BOOL, "Pass on what is given to read: a cell's body, or what is typed.", short="i"),
            Flag("tty", BOOL, "Give the container a terminal.", short="t"),
            Flag("quiet", BOOL, "Print only what the program prints.", short="q"),
            Flag("copy-to", help="Make a copy of the pod with this name instead."),
            Flag("replace", BOOL, "With --copy-to: delete the original."),
            Flag("same-node", BOOL, "With --copy-to: put the copy on the original's node."),
            Flag("set-image", STRINGS, "With --copy-to: other images, container=image; * means all."),
            Flag("share-processes", BOOL, "With --copy-to: the containers see each other's processes.", default=True),
            Flag("keep-annotations", BOOL, "With --copy-to: keep the annotations."),
            Flag("keep-labels", BOOL, "With --copy-to: keep the labels."),
            Flag("keep-init-containers", BOOL, "With --copy-to: keep the init containers.", default=True),
            Flag("keep-liveness", BOOL, "With --copy-to: keep the liveness probes."),
            Flag("keep-readiness", BOOL, "With --copy-to: keep the readiness probes."),
            Flag("keep-startup", BOOL, "With --copy-to: keep the startup probes."),
        ),
        words="pods",
        examples=(
            "kubectl debug web --image=busybox --profile=general -- sleep 1h",
            "kubectl debug web --copy-to=web-debug --set-image=*=busybox",
            "kubectl debug node/node-1 --image=busybox --profile=sysadmin -- sleep 1h",
        ),
    ),
)  # fmt: skip
