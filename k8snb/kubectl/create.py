"""kubectl create: objects from manifests, and the generators that write the manifest themselves.

Interface: `COMMANDS`; `generator`, `named`, `said_namespace` and `make(session, args, obj)` for other commands that
create.
The rule not to break: what exists is never changed, only refused.
Source: `kubectl/pkg/cmd/create`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.manifest import Document
from k8snb.apimachinery.meta import Object, get_path, labels_of, name_of, with_metadata
from k8snb.apimachinery.selectors import parse_selector
from k8snb.kubectl import flags, generators, raw
from k8snb.kubectl.grammar import ARRAY, BOOL, INT, STRINGS, Arguments, Command, Flag, usage_error
from k8snb.kubectl.hints import service_hints
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.results import Results
from k8snb.kubectl.session import CLIENT, Session, dry_run, options
from k8snb.kubectl.sources import documents
from k8snb.kustomize.generators import content_hash

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def with_last_applied(obj: Object) -> Object:
    """The object with the annotation that a later `apply` compares against."""
    bare = without_last_applied(obj)
    annotations = bare["metadata"].get("annotations") or {}
    text = json.dumps(with_metadata(bare, annotations=annotations), separators=(",", ":"), sort_keys=True) + "\n"
    return with_metadata(bare, annotations={**annotations, LAST_APPLIED: text})


def without_last_applied(obj: Object) -> Object:
    annotations = obj["metadata"].get("annotations")
    if not annotations or LAST_APPLIED not in annotations:
        return obj
    return with_metadata(obj, annotations={k: v for k, v in annotations.items() if k != LAST_APPLIED} or None)


def from_files(session: Session, args: Arguments) -> Output:
    """`create -f`."""
    if args.text("raw"):
        return raw.create(session, args)
    if args.words:
        raise usage_error(f"Unexpected args: [{' '.join(args.words)}]", args.command)
    if not args.from_files:
        raise KubectlError("error: must specify one of -f and -k")
    if args.on("edit"):
        from k8snb.kubectl import create_edit  # which sends what it has by this module

        return create_edit.run(session, args)
    items, errors = documents(session, args)
    results = Results(session, args)
    results.errors = errors
    for item in items:
        if not parse_selector(args.text("selector")).matches(labels_of(item.object)):
            continue
        try:
            obj = send(session, args, item.object, item.namespace, source=item.source, document=item.document)
            results.add(obj, "created")
        except KubectlError as error:
            results.fail(error)
    return with_hints(session, results.output(), results.objects, args)


def send(
    session: Session,
    args: Arguments,
    obj: Object,
    namespace: str,
    *,
    source: str = "",
    document: Document | None = None,
) -> Object:
    """Create one object, or with `--dry-run=client` only show it."""
    kind = session.kind_of(obj)
    if kind.namespaced and dry_run(args) != CLIENT:
        obj = with_metadata(obj, namespace=namespace)
    if args.on("save-config"):
        obj = with_last_applied(obj)
    if dry_run(args) == CLIENT:
        return obj
    try:
        return session.client.create(kind, obj, namespace, **options(args))
    except ApiError as error:
        raise refused(error, doing="creating", source=source, document=document) from None


def make(session: Session, args: Arguments, obj: Object) -> Output:
    """Create one generated object and print what `-o` asks."""
    results = Results(session, args)
    if args.on("append-hash"):
        obj = with_metadata(obj, name=f"{name_of(obj)}-{content_hash(obj, name_of(obj))}")
    created = _send_generated(session, args, obj)
    results.add(created, "created")
    return with_hints(session, results.output(), [created], args)


def _send_generated(session: Session, args: Arguments, obj: Object) -> Object:
    try:
        return send(session, args, obj, session.namespace)
    except KubectlError as error:
        raise KubectlError(_failed(obj, error.message)) from None


def _failed(obj: Object, message: str) -> str:
    """A refusal as the generators tell it: what they could not make, and why."""
    what = _MADE.get(obj["kind"], "").format(type=get_path(obj, "spec.type"))
    if not what:
        return message
    start, group = f"error: failed to create {what}: ", obj["apiVersion"].rpartition("/")[0]
    kind = f"{obj['kind']}.{group}" if group else obj["kind"]
    message = re.sub(r"^Error from server( \(\w+\))?: ", start, message)
    return re.sub(r'^The \w+ (?=".*" is invalid: [^\n]*$)', f"{start}{kind} ", message)


# What the generators call the thing that they failed to make.
_MADE = {"ConfigMap": "configmap", "CronJob": "cronjob", "Deployment": "deployment", "Job": "job", "Secret": "secret",
         "Service": "{type} service", "ServiceAccount": "serviceaccount"}  # fmt: skip


def with_hints(session: Session, output: Output, objects: Sequence[Object], args: Arguments) -> Output:
    """The output, with a remark for every Service among the objects that selects nothing."""
    if dry_run(args) != CLIENT:
        output.hints = service_hints(session, objects)
    return output


# generators


def named(args: Arguments) -> str:
    if len(args.words) != 1:
        raise usage_error(f"exactly one NAME is required, got {len(args.words)}", args.command)
    return args.words[0]


def said_namespace(session: Session, args: Arguments) -> str:
    """The namespace to write into the manifest: only one that the user named."""
    return session.namespace if "namespace" in args.given else ""


def deployment(session: Session, args: Arguments) -> Output:
    words, rest = args.words, args.rest or []
    if len(words) != 1:
        raise usage_error(f"exactly one NAME is required, got {len(words)}", args.command)
    obj = generators.deployment(
        words[0],
        images=args.texts("image"),
        replicas=args.number("replicas"),
        port=max(args.number("port"), 0),
        command=rest,
        namespace=said_namespace(session, args),
    )
    return make(session, args, obj)


def namespace(session: Session, args: Arguments) -> Output:
    return make(session, args, generators.namespace(named(args)))


def service_account(session: Session, args: Arguments) -> Output:
    return make(session, args, generators.service_account(named(args), namespace=said_namespace(session, args)))


def config_map(session: Session, args: Arguments) -> Output:
    data: dict[str, str] = {}
    binary: dict[str, bytes] = {}
    for key, value in _collect(args).items():
        try:
            data[key] = value.decode("utf-8")
        except UnicodeDecodeError:
            binary[key] = value
    obj = generators.config_map(named(args), data, binary=binary, namespace=said_namespace(session, args))
    return make(session, args, obj)


def secret(session: Session, args: Arguments) -> Output:
    namespace = said_namespace(session, args)
    obj = generators.secret(named(args), _collect(args), type=args.text("type"), namespace=namespace)
    return make(session, args, obj)


def _collect(args: Arguments) -> dict[str, bytes]:
    """The keys and values of `--from-literal`, `--from-file` and `--from-env-file`. Raises KubectlError."""
    pairs: list[tuple[str, bytes]] = []
    for literal in args.texts("from-literal"):
        name, equals, text = literal.partition("=")
        if not equals or not name:
            raise KubectlError(f"error: invalid literal source {literal}, expected key=value")
        pairs.append((name, text.encode()))
    for named in args.texts("from-file"):
        pairs += _from_file(named)
    for path in args.texts("from-env-file"):
        pairs += _from_env_file(path)
    data: dict[str, bytes] = {}
    for key, value in pairs:
        if key in data:
            kind = "Secret" if args.command.name.startswith("create secret") else "ConfigMap"
            raise KubectlError(f'error: cannot add key "{key}", another key by that name already exists in Data for '
                               f'{kind} "{args.words[0]}"')  # fmt: skip
        data[key] = value
    return data


def _from_file(named: str) -> list[tuple[str, bytes]]:
    key, equals, path = named.rpartition("=")
    place = Path(path).expanduser()
    try:
        if place.is_dir() and not equals:
            return [(entry.name, entry.read_bytes()) for entry in sorted(place.iterdir()) if entry.is_file()]
        return [(key or place.name, place.read_bytes())]
    except OSError as error:
        raise KubectlError(f"error: error reading {path}: {(error.strerror or str(error)).lower()}") from None


def _from_env_file(path: str) -> list[tuple[str, bytes]]:
    try:
        lines = Path(path).expanduser().read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise KubectlError(f"error: error reading {path}: {(error.strerror or str(error)).lower()}") from None
    pairs = [line.strip().partition("=") for line in lines if line.strip() and not line.strip().startswith("#")]
    return [(key, value.encode()) for key, _, value in pairs]


def _service(type: str) -> Callable[[Session, Arguments], Output]:
    """`create service TYPE`."""

    def run(session: Session, args: Arguments) -> Output:
        headless = args.text("clusterip") == "None"
        if not args.texts("tcp") and not headless and type != "ExternalName":
            raise usage_error("at least one tcp port specifier must be provided", args.command)
        ports = [generators.tcp_port(text, args.number("node-port")) for text in args.texts("tcp")]
        fields = {"clusterIP": args.text("clusterip")} if args.text("clusterip") else {}
        if type == "ExternalName":
            fields["externalName"] = args.text("external-name")
        obj = generators.service(named(args), type=type, ports=ports, namespace=said_namespace(session, args), **fields)
        return make(session, args, obj)

    return run


_MAKING = (flags.DRY_RUN, flags.FIELD_MANAGER, flags.VALIDATE, flags.SAVE_CONFIG, *flags.PRINTING)
_EDIT = Flag("edit", BOOL, "Change the manifest in an editor first.")
_TCP = Flag("tcp", STRINGS, "PORT or PORT:TARGET; repeatable.")
_SOURCES = (
    Flag("from-literal", ARRAY, "KEY=VALUE; repeatable."),
    Flag("from-file", STRINGS, "A file, KEY=FILE, or a directory whose files become keys; repeatable."),
    Flag("from-env-file", STRINGS, "A file with KEY=VALUE lines; repeatable."),
)
_GROUP = "Basic Commands (Beginner)"


HASH = Flag("append-hash", BOOL, "End the name with a hash of the content.")


def generator(name: str, help: str, run: Callable[[Session, Arguments], Output], usage: str = "NAME", *,
              flags: tuple[Flag, ...] = (), aliases: tuple[str, ...] = (), examples: tuple[str, ...] = (),
              missing: tuple[str, ...] = ()) -> Command:  # fmt: skip
    """The row of `create NAME`, with the flags that all of them have."""
    return Command(name=f"create {name}", usage=f"{usage} [flags]", help=help, group=_GROUP, run=run,
                   flags=(*flags, *_MAKING), aliases=aliases, examples=examples, missing=missing)  # fmt: skip


COMMANDS = (
    Command(
        name="create",
        usage="-f FILENAME [flags]",
        help="Create objects from manifests, or with a generator.",
        group=_GROUP,
        run=from_files,
        flags=(*flags.FILES, flags.SELECTOR, _EDIT, flags.WINDOWS, *_MAKING, raw.FLAG),
        examples=("kubectl create -f pod.yaml", "kubectl create -f -", "kubectl create -f web/ --dry-run=server"),
    ),
    generator("deployment", "Create a Deployment that runs an image.", deployment,
              "NAME --image=IMAGE [-- COMMAND ARGS...]", aliases=("create deploy", "create dep"),
              flags=(Flag("image", STRINGS, "The image to run; repeatable.", required=True), flags.REPLICAS,
                     Flag("port", INT, "The port that the container listens on.", default=-1)),
              examples=("kubectl create deployment web --image=nginx --replicas=3",)),
    generator("namespace", "Create a Namespace.", namespace, aliases=("create ns",),
              examples=("kubectl create namespace shop",)),
    generator("serviceaccount", "Create a ServiceAccount.", service_account, aliases=("create sa",),
              examples=("kubectl create serviceaccount robot",)),
    generator("configmap", "Create a ConfigMap from literals, files or directories.", config_map,
              aliases=("create cm",), flags=(*_SOURCES, HASH),
              examples=("kubectl create configmap web --from-literal=color=blue",)),
    Command(name="create secret", usage="(docker-registry|generic|tls) NAME [flags]", help="Create a Secret.",
            group=_GROUP),
    generator("secret generic", "Create a Secret from literals, files or directories.", secret, flags=(
                  *_SOURCES, HASH, Flag("type", help="The type of the secret.")),
              examples=("kubectl create secret generic db --from-literal=password=s3cr3t",)),
    Command(name="create service", usage="(clusterip|nodeport|loadbalancer|externalname) NAME [flags]",
            help="Create a Service over the pods labelled app=NAME.", group=_GROUP, aliases=("create svc",)),
    generator("service clusterip", "Create a Service with an IP of its own.", _service("ClusterIP"), flags=(
                  _TCP, Flag("clusterip", help="The IP to take; None for a headless service.")),
              examples=("kubectl create service clusterip web --tcp=80:8080",)),
    generator("service nodeport", "Create a Service with a port on every node.", _service("NodePort"),
              flags=(_TCP, Flag("node-port", INT, "The port to take on the nodes.")),
              examples=("kubectl create service nodeport web --tcp=80:8080",)),
    generator("service loadbalancer", "Create a Service with a load balancer before it.", _service("LoadBalancer"),
              flags=(_TCP,), examples=("kubectl create service loadbalancer web --tcp=80:8080",)),
    generator("service externalname", "Create a Service that is another name for a host.", _service("ExternalName"),
              flags=(Flag("external-name", help="The host's DNS name.", required=True), _TCP),
              examples=("kubectl create service externalname db --external-name=db.example.com",)),
)  # fmt: skip
