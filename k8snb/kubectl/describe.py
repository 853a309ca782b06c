"""kubectl describe: all that is known of an object, for people.

Interface: `COMMANDS`; `DESCRIBERS`, a row per kind with the function that writes its page.
The rule not to break: a page ends with what was said about the object: its events.
Source: `kubectl/pkg/describe`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from k8snb.apimachinery.meta import Object
from k8snb.kubectl import describe_batch as batch
from k8snb.kubectl import describe_limits as limits
from k8snb.kubectl import describe_pod as pods
from k8snb.kubectl import describe_sets as sets
from k8snb.kubectl import describe_storage as storage
from k8snb.kubectl import describe_workload as workloads
from k8snb.kubectl import flags
from k8snb.kubectl.describe_autoscaling import describe_autoscaler
from k8snb.kubectl.describe_ingress import describe_ingress, describe_ingress_class
from k8snb.kubectl.describe_network_policy import describe_network_policy
from k8snb.kubectl.describe_node import describe_node
from k8snb.kubectl.describe_page import Page, events_section, heading, meta_lines
from k8snb.kubectl.describe_policy import describe_budget
from k8snb.kubectl.describe_rbac import describe_binding, describe_role
from k8snb.kubectl.describe_service import describe_endpoints, describe_service, describe_slice
from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag
from k8snb.kubectl.hints import ingress_hints, pod_hints, service_hints
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.resources import Selection, Wanted, look_up, select, wanted
from k8snb.kubectl.session import Session

Describe = Callable[[Session, Object, Page], None]


def run(session: Session, args: Arguments) -> Output:
    if not args.words and not args.from_files:
        raise KubectlError(
            'error: You must specify the type of resource to describe. Use "kubectl api-resources" for a complete list '
            "of supported resources."
        )
    selection = select(session, args)
    selection = _by_prefix(session, args, selection)
    found = selection.found
    if not found:
        if selection.errors:
            raise KubectlError("\n".join(error.message for error in selection.errors))
        where = "" if args.on("all-namespaces") else f" in {session.namespace} namespace."
        return Output(text=f"No resources found{where}\n", notices=f"No resources found{where}\n")
    pages = [page(session, args, each.object) for each in found]
    errors = [error.message for error in selection.errors]
    objects = [each.object for each in found]
    hints = [*pod_hints([obj for obj in objects if obj.get("kind") == "Pod"]), *service_hints(session, objects),
             *ingress_hints(objects)]  # fmt: skip
    return Output(text="\n\n".join(pages), objects=objects, errors=errors, hints=hints, exit_code=1 if errors else 0)


def _by_prefix(session: Session, args: Arguments, selection: Selection) -> Selection:
    """For a name that nothing has: the objects whose names begin with it."""
    if selection.found or not args.words or args.from_files:
        return selection
    asked = wanted(session, args)
    if len(asked) != 1 or not asked[0].name:
        return selection
    listed = look_up(session, args, [Wanted(asked[0].kind, asked[0].namespace)])
    listed.found = [found for found in listed.found if found.name.startswith(asked[0].name)]
    return listed if listed.found else selection


def page(session: Session, args: Arguments, obj: Object) -> str:
    """One object's page."""
    paper = Page()
    describe = DESCRIBERS.get(obj.get("kind", ""), describe_any)
    describe(session, obj, paper)
    if args.on("show-events") and obj.get("kind") not in _WITHOUT_EVENTS:
        events_section(session, obj, paper)
    return paper.text


# kinds with short pages


def describe_any(session: Session, obj: Object, page: Page) -> None:
    """Every field, by its name in words: for kinds without a page of their own."""
    meta_lines(page, obj)
    hidden = ("labels", "annotations", "name", "namespace", "managedFields")
    metadata = {key: value for key, value in obj["metadata"].items() if key not in hidden}
    _fields(page, 0, {**obj, "metadata": metadata})


def _fields(page: Page, level: int, value: Mapping[str, object]) -> None:
    for key in sorted(value):
        _field(page, level, heading(key), value[key])


def _field(page: Page, level: int, name: str, value: object) -> None:
    if isinstance(value, Mapping):
        page.line(level, f"{name}:")
        _fields(page, level + 1, value)
    elif isinstance(value, list) and any(isinstance(entry, (Mapping, list)) for entry in value):
        page.line(level, f"{name}:")
        for entry in value:
            _fields(page, level + 1, entry if isinstance(entry, Mapping) else {"item": entry})
    elif isinstance(value, list):
        page.line(level, f"{name}:")
        for entry in value:
            page.line(level + 1, f"{entry}")
    else:
        text = str(value).lower() if isinstance(value, bool) else value
        page.line(level, f"{name}:\t{'<nil>' if value is None else text}")


def describe_config_map(session: Session, obj: Object, page: Page) -> None:
    meta_lines(page, obj)
    page.line(0, "")
    page.line(0, "Data")
    page.line(0, "====")
    for key, value in sorted((obj.get("data") or {}).items()):
        page.line(0, f"{key}:\n----\n{value}\n")
    page.line(0, "")
    page.line(0, "BinaryData")
    page.line(0, "====")
    for key, value in sorted((obj.get("binaryData") or {}).items()):
        page.line(0, f"{key}: {_decoded_size(value)} bytes")
    page.line(0, "")


def describe_secret(session: Session, obj: Object, page: Page) -> None:
    """The keys and how long their values are; a page never shows what is in a Secret."""
    meta_lines(page, obj)
    page.line(0, "")
    page.line(0, f"Type:\t{obj.get('type', 'Opaque')}")
    page.line(0, "")
    page.line(0, "Data")
    page.line(0, "====")
    for key, value in sorted((obj.get("data") or {}).items()):
        page.line(0, f"{key}:\t{_decoded_size(value)} bytes")


def _decoded_size(encoded: str) -> int:
    return len(encoded.rstrip("=")) * 3 // 4


def describe_service_account(session: Session, obj: Object, page: Page) -> None:
    meta_lines(page, obj)
    for name, field in (("Image pull secrets", "imagePullSecrets"), ("Mountable secrets", "secrets")):
        page.lines(0, name, [entry.get("name", "") for entry in obj.get(field) or ()])
    page.lines(0, "Tokens", [])


DESCRIBERS: dict[str, Describe] = {
    "Pod": pods.describe_pod,
    "Service": describe_service,
    "Endpoints": describe_endpoints,
    "EndpointSlice": describe_slice,
    "Ingress": describe_ingress,
    "IngressClass": describe_ingress_class,
    "NetworkPolicy": describe_network_policy,
    "ReplicationController": workloads.describe_replication_controller,
    "ReplicaSet": workloads.describe_replica_set,
    "Deployment": workloads.describe_deployment,
    "StatefulSet": sets.describe_stateful_set,
    "DaemonSet": sets.describe_daemon_set,
    "Job": batch.describe_job,
    "CronJob": batch.describe_cron_job,
    "Node": describe_node,
    "Namespace": limits.describe_namespace,
    "PodDisruptionBudget": describe_budget,
    "HorizontalPodAutoscaler": describe_autoscaler,
    "ResourceQuota": limits.describe_resource_quota,
    "LimitRange": limits.describe_limit_range,
    "PriorityClass": limits.describe_priority_class,
    "ConfigMap": describe_config_map,
    "Secret": describe_secret,
    "ServiceAccount": describe_service_account,
    "Role": describe_role,
    "ClusterRole": describe_role,
    "RoleBinding": describe_binding,
    "ClusterRoleBinding": describe_binding,
    "PersistentVolume": storage.describe_volume,
    "PersistentVolumeClaim": storage.describe_claim,
    "StorageClass": storage.describe_storage_class,
    "CSINode": storage.describe_node_drivers,
}
_WITHOUT_EVENTS = ("Namespace", "NetworkPolicy", "Secret", "ResourceQuota", "LimitRange", "Role", "ClusterRole",
                   "RoleBinding", "ClusterRoleBinding")  # fmt: skip

COMMANDS = (
    Command(
        name="describe",
        usage="(-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME) [flags]",
        help="Show all that is known of objects, with the events about them.",
        group="Troubleshooting and Debugging Commands",
        run=run,
        flags=(
            flags.SELECTOR,
            flags.ALL_NAMESPACES,
            *flags.FILES,
            flags.CHUNK_SIZE,
            Flag("show-events", BOOL, "End with the events about the object.", default=True),
        ),
        words="resources",
        examples=("kubectl describe pod web", "kubectl describe deployment/web", "kubectl describe pods -l app=nginx"),
    ),
)
