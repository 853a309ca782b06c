"""kubectl about the cluster and itself: version, cluster-info, api-resources, api-versions, options.

Interface: `CLUSTER` and `OTHER`, by the groups of kubectl's own help.
The rule not to break: what is listed is what the server serves.
Source: `kubectl/pkg/cmd/{version,clusterinfo,apiresources}`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

import k8snb
from k8snb.apimachinery import schema
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind, preferred
from k8snb.apimachinery.meta import Object, get_path, labels_of, name_of, namespace_of
from k8snb.kubectl import cluster_dump, flags, help
from k8snb.kubectl.formats import to_yaml
from k8snb.kubectl.grammar import BOOL, GLOBAL_FLAGS, STRINGS, Arguments, Command, Flag, usage_error
from k8snb.kubectl.output import Column, KubectlError, Output, Row, Table
from k8snb.kubectl.refusals import refused
from k8snb.kubectl.session import Session

SYSTEM = "kube-system"
HTTPS_PORT = 443


def version(session: Session, args: Arguments) -> Output:
    if args.words:
        raise KubectlError(f"error: extra arguments: [{' '.join(args.words)}]")
    release = f"v{schema.load().version.removeprefix('v')}"
    own = getattr(k8snb, "__version__", "0")
    client = {"gitVersion": f"{release}+k8snb-{own}", "platform": "python"}
    if args.text("output") not in _VERSION_PRINTERS:
        raise KubectlError("error: --output must be 'yaml' or 'json'")
    answer: Object = {"clientVersion": client}
    error = _ask_the_server(session, answer, release) if not args.on("client") else ""
    text = _VERSION_PRINTERS[args.text("output")](answer)
    return Output(text=text, objects=[answer], errors=[error] if error else [], exit_code=1 if error else 0)


def _ask_the_server(session: Session, answer: Object, release: str) -> str:
    """Add the server's version to the answer, or say why it cannot be had."""
    try:
        answer["serverVersion"] = _server_version(session, release)
    except ApiError as error:
        return refused(error).message
    except KubectlError as error:
        return error.message
    return ""


def require_same_version(session: Session) -> None:
    """What `--match-server-version` asks for: server and kubectl of one release. Raises KubectlError."""
    own = f"v{schema.load().version.removeprefix('v')}"
    server = str(_server_version(session, own)["gitVersion"])
    if server.partition("+")[0] != own:
        raise KubectlError(f"error: server version ({server}) differs from client version ({own})")


def _server_version(session: Session, release: str) -> Object:
    """What a server of another process says; that of this one is the version of its nodes."""
    if not session.client.user.name and session.server is not None:
        found: Object = json.loads(session.server().fetch("GET", "/version"))
        return found
    node_versions = {node["status"]["nodeInfo"]["kubeletVersion"] for node in session.client.items("nodes")
                     if node.get("status", {}).get("nodeInfo")}  # fmt: skip
    return {"gitVersion": max(node_versions, default=release)}


def _version_lines(answer: Object) -> str:
    lines = [f"Client Version: {answer['clientVersion']['gitVersion']}"]
    if "serverVersion" in answer:
        lines.append(f"Server Version: {answer['serverVersion']['gitVersion']}")
    return "\n".join(lines) + "\n"


_VERSION_PRINTERS: Mapping[str, Callable[[Object], str]] = {
    "": _version_lines,
    "json": lambda answer: json.dumps(answer, indent=2) + "\n",
    "yaml": to_yaml,
}


def cluster_info(session: Session, args: Arguments) -> Output:
    server = session.server().endpoint.server if not session.client.user.name and session.server else ""
    services = session.client.items("services", SYSTEM, labelSelector="kubernetes.io/cluster-service=true")
    lines = [f"Kubernetes control plane is running at {server or _inside(session)}"]
    lines += [f"{_known_as(service)} is running at {_way_to(server, service)}" for service in services]
    return Output(text="\n".join(lines) + "\n" + _MORE)


def _inside(session: Session) -> str:
    address = get_path(session.client.find("services", "kubernetes", "default"), "spec.clusterIP")
    return f"https://{address}:443 (inside the cluster)" if address else "this kernel"


def _known_as(service: Object) -> str:
    return str(labels_of(service).get("kubernetes.io/name", name_of(service)))


def _way_to(server: str, service: Object) -> str:
    """Through the server's proxy; within this kernel, the Service's own address."""
    if not server:
        return f"{service['spec'].get('clusterIP')} in {namespace_of(service)}"
    port = (service["spec"].get("ports") or [{}])[0]
    scheme = "https:" if port.get("name") == "https" or port.get("port") == HTTPS_PORT else ""
    name = f"{scheme}{name_of(service)}" + (f":{port['name']}" if port.get("name") else ":" if scheme else "")
    return f"{server}/api/v1/namespaces/{namespace_of(service)}/services/{name}/proxy"


_MORE = "\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n"


def api_resources(session: Session, args: Arguments) -> Output:
    if args.words:
        raise usage_error(f"unexpected arguments: [{' '.join(args.words)}]", args.command)
    if args.text("sort-by") not in ("", "name", "kind"):
        raise KubectlError("error: --sort-by accepts only name or kind")
    shown = [kind for kind in preferred(session.client.kinds()) if _wanted(args, kind)]
    orders: dict[str, Callable[[Kind], tuple[str, ...]]] = {
        "kind": lambda kind: (kind.kind,),
        "name": lambda kind: (kind.plural,),
    }
    shown = sorted(shown, key=orders.get(args.text("sort-by"), lambda kind: (kind.group, kind.plural)))
    if args.text("output") == "name":
        return Output(text="".join(kind.qualified + "\n" for kind in shown))
    wide = args.text("output") == "wide"
    if args.text("output") and not wide:
        raise KubectlError(f"error: --output {args.text('output')} is not available in kubectl api-resources")
    columns = ("NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND", "+VERBS", "+CATEGORIES")
    rows = tuple(Row(_cells(kind), {}) for kind in shown)
    table = Table(
        columns=tuple(Column(name.strip("+"), int(name.startswith("+"))) for name in columns),
        rows=rows, wide=wide, headers=not args.on("no-headers"),
    )  # fmt: skip
    return Output(text=table.text, tables=[table])


def _cells(kind: Kind) -> tuple[str, ...]:
    return (
        kind.plural, ",".join(kind.short_names), kind.api_version, str(kind.namespaced).lower(), kind.kind,
        ",".join(sorted(kind.verbs)), ",".join(kind.categories),
    )  # fmt: skip


def _wanted(args: Arguments, kind: Kind) -> bool:
    if "namespaced" in args.given and kind.namespaced is not args.on("namespaced"):
        return False
    if "api-group" in args.given and kind.group != args.text("api-group"):
        return False
    if any(category not in kind.categories for category in args.texts("categories")):
        return False
    return all(verb in kind.verbs for verb in args.texts("verbs"))


def options(session: Session, args: Arguments) -> Output:
    shown = "\n\n".join(help.flag_text(flag) for flag in sorted(GLOBAL_FLAGS, key=lambda flag: flag.name)
                        if flag.name != "help")  # fmt: skip
    return Output(text=f"The following options can be passed to any command:\n\n{shown}\n")


def api_versions(session: Session, args: Arguments) -> Output:
    if args.words:
        raise usage_error(f"unexpected arguments: [{' '.join(args.words)}]", args.command)
    versions = sorted({kind.api_version for kind in session.client.kinds()})
    return Output(text="".join(version + "\n" for version in versions))


CLUSTER = (
    Command(name="cluster-info", usage="[flags]", help="Say where the control plane and its services are.",
            group="Cluster Management Commands", run=cluster_info, examples=("kubectl cluster-info",)),
    Command(name="cluster-info dump", usage="[flags]", help="Print, or write to files, what is in the cluster.",
            group="Cluster Management Commands", run=cluster_dump.dump, flags=cluster_dump.FLAGS,
            missing=("pod-running-timeout",),
            examples=("kubectl cluster-info dump", "kubectl cluster-info dump --output-directory=/tmp/cluster")),
)  # fmt: skip

OTHER = (
    Command(
        name="options",
        usage="[flags]",
        help="List the flags that every command has.",
        group="Other Commands",
        run=options,
        examples=("kubectl options",),
    ),
    Command(
        name="api-resources",
        usage="[flags]",
        help="List the kinds that the server serves.",
        group="Other Commands",
        run=api_resources,
        flags=(
            Flag("output", help="Format: wide or name.", short="o", values=("wide", "name")),
            Flag("namespaced", BOOL, "Only kinds that are (or with =false are not) namespaced.", default=True),
            Flag("api-group", help="Only kinds of this group."),
            Flag("categories", STRINGS, "Only kinds in these categories."),
            Flag("verbs", STRINGS, "Only kinds that know these verbs."),
            Flag("sort-by", help="Sort by name or kind.", values=("name", "kind")),
            flags.NO_HEADERS,
        ),
        missing=("cached",),
        examples=("kubectl api-resources", "kubectl api-resources --namespaced=false -o wide"),
    ),
    Command(
        name="api-versions",
        usage="[flags]",
        help="List the groups and versions that the server serves.",
        group="Other Commands",
        run=api_versions,
        examples=("kubectl api-versions",),
    ),
    Command(
        name="version",
        usage="[flags]",
        help="Print the versions of client and server.",
        group="Other Commands",
        run=version,
        flags=(
            Flag("client", BOOL, "Only the client's version."),
            Flag("output", help="Format: json or yaml.", short="o", values=("json", "yaml")),
        ),
        examples=("kubectl version",),
    ),
)
