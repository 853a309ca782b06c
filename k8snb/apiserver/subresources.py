"""kube-apiserver's subresources: the doors to one part of an object (`pods/web-1/binding`, `deployments/web/scale`).

Interface: `HANDLERS`, a table from (plural or "*", subresource) to a function of (server, request).
The rule not to break: what concerns a container is asked of the node's kubelet, never of a runtime.
Source: `pkg/registry/core/pod/storage`, `pkg/registry/core/pod/rest`, `pkg/registry/apps/*/storage`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from random import Random
from typing import Any, Protocol

from k8snb.apimachinery import errors
from k8snb.apimachinery.kinds import BY_GVK, Kind
from k8snb.apimachinery.meta import Object, get_path, is_deleting, name_of, uid_of, with_path
from k8snb.apimachinery.selectors import from_label_selector, from_set
from k8snb.apiserver import proxy
from k8snb.apiserver.authorization import Authorizer
from k8snb.apiserver.certificates import approval
from k8snb.apiserver.discovery import SUBRESOURCES
from k8snb.apiserver.eviction import evict
from k8snb.apiserver.identity import Identity
from k8snb.apiserver.nodes import NodeConnection, kubelet_of
from k8snb.apiserver.patching import apply_patch
from k8snb.apiserver.registry import Registry
from k8snb.apiserver.streams import PortForward, RemoteCommand, Session
from k8snb.apiserver.tokens import token
from k8snb.client import Request
from k8snb.client.client import APPLY
from k8snb.clock import Clock, timestamp


class Server(Protocol):
    dice: Random
    registry: Registry
    clock: Clock
    nodes: dict[str, NodeConnection]
    identity: Identity
    authorizer: Authorizer


Handler = Callable[[Server, Request], Any]


def part(server: Server, request: Request) -> Object:
    """Read an object; replace or patch the part of it that this subresource stands for, such as its status."""
    verbs = {"get": server.registry.get, "update": server.registry.update, "patch": server.registry.patch}
    return _one_of(verbs, request)


def scale(server: Server, request: Request) -> Object:
    """The number of replicas of anything that has one, as an autoscaling/v1 Scale."""
    old = server.registry.get(request)
    current = scale_of(request.kind, old)
    if request.verb == "get":
        return current
    applies = request.verb == "patch" and request.content_type == APPLY
    wanted = request.body if request.verb == "update" or applies else apply_patch(request, current)
    replicas = get_path(wanted, "spec.replicas", 0)
    path = scale_paths(request.kind)["specReplicasPath"]
    if not isinstance(replicas, int) or replicas < 0:
        complaint = errors.FieldError("spec.replicas", errors.INVALID, replicas, "must be greater than or equal to 0")
        raise errors.invalid(request.kind, name_of(old), [complaint])
    revision = get_path(wanted, "metadata.resourceVersion")
    if revision and revision != old["metadata"]["resourceVersion"]:
        raise errors.conflict(request.kind, name_of(old), errors.STALE)
    if applies:
        body = {"apiVersion": request.kind.api_version, "kind": request.kind.kind}
        body = with_path(body, path, replicas)
        return scale_of(request.kind, server.registry.apply(replace(request, body=body)))
    return scale_of(request.kind, server.registry.replace(request, with_path(old, path, replicas), old))


_SCALE_PATHS = {"specReplicasPath": "spec.replicas", "statusReplicasPath": "status.replicas"}


def scale_paths(kind: Kind) -> Mapping[str, str]:
    """Where a kind keeps its numbers of replicas, and a custom kind its selector."""
    if kind.custom is None or kind.custom.scale is None:
        return _SCALE_PATHS
    return {name: path.lstrip(".") for name, path in kind.custom.scale.items()}


def _selector_of(kind: Kind, obj: Object, paths: Mapping[str, str]) -> str:
    if kind.custom is not None:
        return str(get_path(obj, paths.get("labelSelectorPath", ""), ""))
    raw = obj["spec"].get("selector") or {}
    return str(from_label_selector(raw) if {"matchLabels", "matchExpressions"} & raw.keys() else from_set(raw))


def scale_of(kind: Kind, obj: Object) -> Object:
    metadata, paths = obj["metadata"], scale_paths(kind)
    shown = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    kept = {key: metadata[key] for key in shown if key in metadata}
    replicas = get_path(obj, paths["statusReplicasPath"], 0)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": kept,
        "spec": {"replicas": get_path(obj, paths["specReplicasPath"], 0)},
        "status": {"replicas": replicas, "selector": _selector_of(kind, obj, paths)},
    }


def binding(server: Server, request: Request) -> Object:
    """Give a pod its node. Once given, a node is not taken back."""
    pod = server.registry.get(request)
    node = get_path(request.body, "target.name")
    if not node:
        complaint = errors.FieldError("target.name", errors.REQUIRED)
        raise errors.invalid(request.kind, request.name, [complaint])
    if is_deleting(pod):
        why = f"pod {name_of(pod)} is being deleted, cannot be assigned to a host"
        raise errors.conflict(request.kind, name_of(pod), why)
    taken = pod["spec"].get("nodeName")
    if taken:
        raise errors.conflict(request.kind, name_of(pod), f'pod {name_of(pod)} is already assigned to node "{taken}"')
    uid = get_path(request.body, "metadata.uid")
    if uid and uid != uid_of(pod):
        raise errors.conflict(request.kind, name_of(pod), "the UID in the binding is that of another pod")
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": timestamp(server.clock.now())}
    old = get_path(pod, "status.conditions") or ()
    conditions = [*(entry for entry in old if entry["type"] != "PodScheduled"), scheduled]
    bound = {**pod, "spec": {**pod["spec"], "nodeName": node}, "status": {**pod["status"], "conditions": conditions}}
    server.registry.put(request, bound, pod)
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def as_pod_binding(request: Request) -> Request:
    """`POST bindings`, as old schedulers say it, for `POST pods/NAME/binding`."""
    name = get_path(request.body, "metadata.name") or ""
    return replace(request, kind=BY_GVK["v1", "Pod"], name=name, subresource="binding")


def finalize(server: Server, request: Request) -> Object:
    """A namespace's own finalizers: when the last one is gone and it was deleted, it ends."""
    old = server.registry.get(request)
    finalizers = get_path(request.body, "spec.finalizers") or []
    new = with_path(old, "spec.finalizers", finalizers)
    if finalizers or not is_deleting(old):
        return server.registry.put(request, new, old)
    stored = server.registry.put(request, new, old)
    delete = Request("delete", request.kind, "", request.name, user=request.user, cause=request.cause)
    server.registry.delete(delete)
    return stored


def logs(server: Server, request: Request) -> Iterator[bytes]:
    """A container's output, from its node's kubelet."""
    pod = server.registry.get(request)
    container = _container(request, pod)
    return kubelet_of(server.nodes, pod).logs(pod, container, request.options)


def run_command(server: Server, request: Request) -> Any:
    """Run a command in a container: wait for its output and exit code, or with the option `upgrade` stream them."""
    pod = server.registry.get(request)
    container = _container(request, pod)
    command = list(request.options.get("command") or ())
    if not request.options.get("upgrade"):
        return kubelet_of(server.nodes, pod).exec(pod, container, command)
    if not command:
        raise errors.bad_request("you must specify at least one command for the container")
    stdin, tty = bool(request.options.get("stdin")), bool(request.options.get("tty"))
    opened = kubelet_of(server.nodes, pod).get_exec(pod, container, command, tty=tty, stdin=stdin)
    return _remote_command(request, opened, "error executing command in container")


def attach(server: Server, request: Request) -> RemoteCommand:
    """The streams of a container's own program."""
    pod = server.registry.get(request)
    container, stdin = _container(request, pod), bool(request.options.get("stdin"))
    opened = kubelet_of(server.nodes, pod).get_attach(pod, container, stdin=stdin)
    return _remote_command(request, opened, "error attaching to container")


def port_forward(server: Server, request: Request) -> PortForward:
    """Connections to a pod's ports. WebSocket clients name the ports beforehand, in the option `ports`."""
    pod = server.registry.get(request)
    ports = tuple(request.options.get("ports") or ())
    return PortForward(connect=kubelet_of(server.nodes, pod).get_port_forward(pod), pod=name_of(pod), ports=ports)


def _remote_command(request: Request, opened: Callable[[], Session], failure: str) -> RemoteCommand:
    """Which streams are wanted: output if nothing is said. A terminal has one stream of output."""
    options = request.options
    stdin, tty = bool(options.get("stdin")), bool(options.get("tty"))
    stdout, stderr = bool(options.get("stdout", True)), bool(options.get("stderr", True))
    if not (stdin or stdout or stderr):
        raise errors.bad_request("you must specify at least 1 of stdin, stdout, stderr")
    return RemoteCommand(open=opened, stdin=stdin, stdout=stdout, stderr=stderr and not tty, tty=tty, failure=failure)


def _container(request: Request, pod: Object) -> str:
    """The container that is meant: the one named, or the only one there is."""
    spec = pod["spec"]
    fields = ("containers", "initContainers", "ephemeralContainers")
    names = [container["name"] for field in fields for container in spec.get(field) or ()]
    wanted: str = request.options.get("container") or ""
    if wanted and wanted not in names:
        raise errors.bad_request(f"container {wanted} is not valid for pod {name_of(pod)}: it has {', '.join(names)}")
    if not wanted and len(spec["containers"]) > 1:
        choice = " ".join(container["name"] for container in spec["containers"])
        words = f"a container name must be specified for pod {name_of(pod)}"
        raise errors.bad_request(f"{words}, choose one of: [{choice}]")
    return wanted or str(spec["containers"][0]["name"])


def _one_of(verbs: Mapping[str, Callable[[Request], Object]], request: Request) -> Object:
    if request.verb not in verbs:
        raise errors.method_not_supported(request.kind, request.verb)
    return verbs[request.verb](request)


HANDLERS: dict[tuple[str, str], Handler] = {
    ("*", "status"): part,
    ("*", "scale"): scale,
    ("pods", "binding"): binding,
    ("pods", "eviction"): evict,
    ("pods", "log"): logs,
    ("pods", "exec"): run_command,
    ("pods", "attach"): attach,
    ("pods", "portforward"): port_forward,
    ("pods", "proxy"): proxy.pod,
    ("pods", "ephemeralcontainers"): part,
    ("pods", "resize"): part,
    ("services", "proxy"): proxy.service,
    ("nodes", "proxy"): proxy.node,
    ("namespaces", "finalize"): finalize,
    ("serviceaccounts", "token"): token,
    ("certificatesigningrequests", "approval"): approval,
}


def handler_for(request: Request) -> Handler:
    """The function for a request's subresource.

    Raises NotFound where the kind has no such door, MethodNotAllowed where one cannot do that there.
    """
    kind = request.kind
    found = HANDLERS.get((kind.plural, request.subresource)) or HANDLERS.get(("*", request.subresource))
    if found is None or request.subresource not in kind.subresources:
        if request.subresource in kind.subresources:
            raise errors.not_implemented(f"{kind.plural}/{request.subresource}")
        raise errors.ApiError(404, "NotFound", "the server could not find the requested resource")
    if request.subresource != "proxy" and request.verb not in SUBRESOURCES[request.subresource][1]:
        raise errors.method_not_supported(kind, request.verb)
    return found
