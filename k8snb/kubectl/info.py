"""kubectl about the cluster and itself: version, cluster-info, api-resources, api-versions, options.

Interface: `CLUSTER` and `OTHER`, by the groups of kubectl's own help.
The rule not to break: what is listed is what the server serves.
Source: `kubectl/pkg/cmd/{version,clusterinfo,apiresources}`.
"""

from __future__ import annotations

from collections.abc import Callable

import k8snb
from k8snb.apimachinery import schema
from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of
from k8snb.kubectl import flags
from k8snb.kubectl.formats import to_json, to_yaml
from k8snb.kubectl.grammar import BOOL, STRINGS, Arguments, Command, Flag, usage_error
from k8snb.kubectl.output import Column, KubectlError, Output, Row, Table
from k8snb.kubectl.session import Session


def version(session: Session, args: Arguments) -> Output:
    release = f"v{schema.load().version.removeprefix('v')}"
    own = getattr(k8snb, "__version__", "0")
    client = {"gitVersion": f"{release}+k8snb-{own}", "platform": "python"}
    answer: Object = {"clientVersion": client}
    lines = [f"Client Version: {client['gitVersion']}"]
    if not args.on("client"):
        node_versions = {node["status"]["nodeInfo"]["kubeletVersion"] for node in session.client.items("nodes")
                         if node.get("status", {}).get("nodeInfo")}  # fmt: skip
        answer["serverVersion"] = {"gitVersion": max(node_versions, default=release)}
        lines.append(f"Server Version: {answer['serverVersion']['gitVersion']}")
    printers = {"": lambda _: "\n".join(lines) + "\n", "json": to_json, "yaml": to_yaml}
    if args.text("output") not in printers:
        raise KubectlError("error: --output must be 'yaml' or 'json'")
    return Output(text=printers[args.text("output")](answer), objects=[answer])


def cluster_info(session: Session, args: Arguments) -> Output:
    address = get_path(session.client.find("services", "kubernetes", "default"), "spec.clusterIP")
    where = f"https://{address}:443 (inside the cluster)" if address else "this kernel"
    lines = [f"Kubernetes control plane is running at {where}"]
    for service in session.client.items("services", "kube-system", labelSelector="kubernetes.io/cluster-service=true"):
        name = service["metadata"].get("labels", {}).get("kubernetes.io/name", name_of(service))
        lines.append(f"{name} is running at {service['spec'].get('clusterIP')} in {namespace_of(service)}")
    return Output(text="\n".join(lines) + "\n")


def api_resources(session: Session, args: Arguments) -> Output:
    if args.words:
        raise usage_error(f"unexpected arguments: [{' '.join(args.words)}]", args.command)
    if args.text("sort-by") not in ("", "name", "kind"):
        raise KubectlError("error: --sort-by accepts only name or kind")
    shown = [kind for kind in session.client.kinds() if _wanted(args, kind)]
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


def api_versions(session: Session, args: Arguments) -> Output:
    versions = sorted({kind.api_version for kind in session.client.kinds()})
    return Output(text="".join(version + "\n" for version in versions))


CLUSTER = (
    Command(name="cluster-info", usage="[flags]", help="Say where the control plane and its services are.",
            group="Cluster Management Commands", run=cluster_info, examples=("kubectl cluster-info",)),
    Command(name="cluster-info dump", help="Dump information for debugging.", group="Cluster Management Commands",
            missing_command=True),
)  # fmt: skip

OTHER = (
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
