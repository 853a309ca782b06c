"""kubectl describe pod, and what pages of workloads show of a pod template.

Interface: `describe_pod`; `containers`, `volumes`, `scheduling` for templates.
The rule not to break: a container's states are shown as they are in the status, never summed up.
Source: `kubectl/pkg/describe/describe.go`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from k8snb.apimachinery.meta import Object, get_path, is_deleting
from k8snb.kubectl.describe_page import Page, annotation_lines, conditions, controlled_by, labels_lines, time_text
from k8snb.kubectl.session import Session
from k8snb.printers.duration import age


def describe_pod(session: Session, obj: Object, page: Page) -> None:
    metadata, spec, state = obj["metadata"], obj["spec"], obj.get("status") or {}
    page.line(0, f"Name:\t{metadata['name']}")
    page.line(0, f"Namespace:\t{metadata.get('namespace', '')}")
    if "priority" in spec:
        page.line(0, f"Priority:\t{spec['priority']}")
    if spec.get("serviceAccountName"):
        page.line(0, f"Service Account:\t{spec['serviceAccountName']}")
    node, host = spec.get("nodeName"), state.get("hostIP", "")
    page.line(0, f"Node:\t{f'{node}/{host}' if node else '<none>'}")
    if state.get("startTime"):
        page.line(0, f"Start Time:\t{time_text(state['startTime'])}")
    page.lines(0, "Labels", labels_lines(metadata.get("labels")))
    page.lines(0, "Annotations", annotation_lines(metadata.get("annotations")))
    _status(session, obj, page)
    _addresses(obj, page)
    controlled_by(page, obj)
    statuses = _by_name(state, "initContainerStatuses"), _by_name(state, "containerStatuses")
    if spec.get("initContainers"):
        containers(page, "Init Containers", spec["initContainers"], statuses[0])
    containers(page, "Containers", spec["containers"], statuses[1])
    conditions(page, obj, ("Type", "Status"))
    volumes(page, spec.get("volumes") or ())
    page.line(0, f"QoS Class:\t{state.get('qosClass', 'BestEffort')}")
    scheduling(page, spec)


def _status(session: Session, obj: Object, page: Page) -> None:
    state = obj.get("status") or {}
    if is_deleting(obj):
        page.line(0, f"Status:\tTerminating (lasts {age(obj['metadata']['deletionTimestamp'], session.now())})")
        grace = obj["metadata"].get("deletionGracePeriodSeconds")
        page.line(0, f"Termination Grace Period:\t{grace}s")
    else:
        page.line(0, f"Status:\t{state.get('phase', '')}")
    for name in ("reason", "message"):
        if state.get(name):
            page.line(0, f"{name.capitalize()}:\t{state[name]}")


def _addresses(obj: Object, page: Page) -> None:
    page.line(0, f"IP:\t{get_path(obj, 'status.podIP', '')}")
    ips = [entry.get("ip", "") for entry in get_path(obj, "status.podIPs") or ()]
    if not ips:
        page.line(0, "IPs:\t<none>")
        return
    page.line(0, "IPs:")
    for ip in ips:
        page.line(1, f"IP:\t{ip}")


def _by_name(state: Object, field: str) -> dict[str, Object]:
    return {entry["name"]: entry for entry in state.get(field) or ()}


# containers


def containers(
    page: Page, label: str, listed: Sequence[Object], statuses: Mapping[str, Object] | None, indent: str = ""
) -> None:
    """The containers of a pod (with their statuses) or of a template (without; then a little further in)."""
    if not listed:
        page.line(0, f"{indent}{label}: <none>")
        return
    page.line(0, f"{indent}{label}:")
    for container in listed:
        page.line(1, f"{' ' if indent else ''}{container['name']}:")
        status = (statuses or {}).get(container["name"])
        if status:
            page.line(2, f"Container ID:\t{status.get('containerID', '')}")
        page.line(2, f"Image:\t{container.get('image', '')}")
        if status:
            page.line(2, f"Image ID:\t{status.get('imageID', '')}")
        _ports(page, container)
        _words(page, "Command", container.get("command"))
        _words(page, "Args", container.get("args"))
        if status:
            _states(page, status)
        _resources(page, container)
        _probes(page, container)
        _environment(page, container)
        _mounts(page, container)


def _ports(page: Page, container: Object) -> None:
    ports = container.get("ports") or ()
    several = "s" if len(ports) > 1 else ""
    inside = ", ".join(f"{p['containerPort']}/{p.get('protocol', 'TCP')}{_named(p)}" for p in ports)
    outside = ", ".join(f"{p.get('hostPort', 0)}/{p.get('protocol', 'TCP')}{_named(p)}" for p in ports)
    page.line(2, f"Port{several}:\t{inside or '<none>'}")
    page.line(2, f"Host Port{several}:\t{outside or '<none>'}")


def _named(port: Object) -> str:
    return f" ({port['name']})" if port.get("name") else ""


def _words(page: Page, label: str, words: Sequence[str] | None) -> None:
    if words:
        page.line(2, f"{label}:")
        for word in words:
            for line in str(word).split("\n"):
                page.line(3, line)


def _states(page: Page, status: Object) -> None:
    _state(page, "State", status.get("state") or {})
    if (status.get("lastState") or {}).get("terminated"):
        _state(page, "Last State", status["lastState"])
    page.line(2, f"Ready:\t{bool(status.get('ready'))}")
    page.line(2, f"Restart Count:\t{status.get('restartCount', 0)}")


def _state(page: Page, label: str, state: Object) -> None:
    if "running" in state:
        page.line(2, f"{label}:\tRunning")
        page.line(3, f"Started:\t{time_text(state['running'].get('startedAt'))}")
    elif "terminated" in state:
        _terminated(page, label, state["terminated"])
    else:
        waiting = state.get("waiting") or {}
        page.line(2, f"{label}:\tWaiting")
        if waiting.get("reason"):
            page.line(3, f"Reason:\t{waiting['reason']}")


def _terminated(page: Page, label: str, ended: Object) -> None:
    page.line(2, f"{label}:\tTerminated")
    for name in ("reason", "message"):
        if ended.get(name):
            page.line(3, f"{name.capitalize()}:\t{ended[name]}")
    page.line(3, f"Exit Code:\t{ended.get('exitCode', 0)}")
    if ended.get("signal"):
        page.line(3, f"Signal:\t{ended['signal']}")
    page.line(3, f"Started:\t{time_text(ended.get('startedAt'))}")
    page.line(3, f"Finished:\t{time_text(ended.get('finishedAt'))}")


def _resources(page: Page, container: Object) -> None:
    for name in ("limits", "requests"):
        amounts = get_path(container, f"resources.{name}") or {}
        if amounts:
            page.line(2, f"{name.capitalize()}:")
            for resource, amount in sorted(amounts.items()):
                page.line(3, f"{resource}:\t{amount}")


def _probes(page: Page, container: Object) -> None:
    for name in ("liveness", "readiness", "startup"):
        probe = container.get(f"{name}Probe")
        if probe:
            page.line(2, f"{name.capitalize()}:\t{probe_text(probe)}")


def probe_text(probe: Object) -> str:
    """`http-get http://:80/ delay=0s timeout=1s period=10s #success=1 #failure=3`."""
    times = (
        f"delay={probe.get('initialDelaySeconds', 0)}s timeout={probe.get('timeoutSeconds', 1)}s "
        f"period={probe.get('periodSeconds', 10)}s #success={probe.get('successThreshold', 1)} "
        f"#failure={probe.get('failureThreshold', 3)}"
    )
    return f"{_action(probe)} {times}"


def _action(probe: Object) -> str:
    if "exec" in probe:
        return f"exec [{' '.join(probe['exec'].get('command') or ())}]"
    if "httpGet" in probe:
        get = probe["httpGet"]
        scheme, host = get.get("scheme", "HTTP").lower(), get.get("host", "")
        return f"http-get {scheme}://{host}:{get['port']}{get.get('path', '/')}"
    if "tcpSocket" in probe:
        return f"tcp-socket {probe['tcpSocket'].get('host', '')}:{probe['tcpSocket']['port']}"
    return f"grpc <pod>:{get_path(probe, 'grpc.port', '')}"


def _environment(page: Page, container: Object) -> None:
    sources = container.get("envFrom") or ()
    if sources:
        page.line(2, "Environment Variables from:")
        for source in sources:
            sort = "configMapRef" if "configMapRef" in source else "secretRef"
            what = "ConfigMap" if sort == "configMapRef" else "Secret"
            optional = str(bool(source[sort].get("optional"))).lower()
            page.line(3, f"{source[sort].get('name', '')}\t{what}\tOptional: {optional}")
    if not container.get("env"):
        page.line(2, "Environment:\t<none>")
        return
    page.line(2, "Environment:")
    for entry in container["env"]:
        first, *others = _value(entry).split("\n")
        page.line(3, f"{entry['name']}:\t{first}")
        for line in others:
            page.line(3, f"\t{line}")


def _value(entry: Object) -> str:
    source: dict[str, Any] = entry.get("valueFrom") or {}
    if not source:
        return str(entry.get("value", ""))
    if "fieldRef" in source:
        return f" ({source['fieldRef'].get('apiVersion', 'v1')}:{source['fieldRef']['fieldPath']})"
    if "resourceFieldRef" in source:
        return f" ({source['resourceFieldRef']['resource']})"
    sort, what = ("secretKeyRef", "secret") if "secretKeyRef" in source else ("configMapKeyRef", "config map")
    ref = source.get(sort) or {}
    name, optional = ref.get("name", ""), str(bool(ref.get("optional"))).lower()
    return f"<set to the key '{ref.get('key', '')}' of {what} '{name}'>  Optional: {optional}"


def _mounts(page: Page, container: Object) -> None:
    mounts = container.get("volumeMounts") or ()
    if not mounts:
        page.line(2, "Mounts:\t<none>")
        return
    page.line(2, "Mounts:")
    for mount in sorted(mounts, key=lambda mount: mount["mountPath"]):
        how = ["ro" if mount.get("readOnly") else "rw"]
        if mount.get("subPath"):
            how.append(f'path="{mount["subPath"]}"')
        page.line(3, f"{mount['mountPath']} from {mount['name']} ({','.join(how)})")


# volumes

# Source: its type line, and the fields to show as (name, path).
_VOLUMES: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "emptyDir": ("EmptyDir (a temporary directory that shares a pod's lifetime)",
                 (("Medium", "medium"), ("SizeLimit", "sizeLimit"))),
    "hostPath": ("HostPath (bare host directory volume)", (("Path", "path"), ("HostPathType", "type"))),
    "configMap": ("ConfigMap (a volume populated by a ConfigMap)", (("Name", "name"), ("Optional", "optional"))),
    "secret": ("Secret (a volume populated by a Secret)", (("SecretName", "secretName"), ("Optional", "optional"))),
    "persistentVolumeClaim": (
        "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
        (("ClaimName", "claimName"), ("ReadOnly", "readOnly"))),
    "nfs": ("NFS (an NFS mount that lasts the lifetime of a pod)",
            (("Server", "server"), ("Path", "path"), ("ReadOnly", "readOnly"))),
    "downwardAPI": ("DownwardAPI (a volume populated by information about the pod)", ()),
    "projected": ("Projected (a volume that contains injected data from multiple sources)", ()),
}  # fmt: skip
_BOOLEANS = ("readOnly", "optional")


def volumes(page: Page, listed: Sequence[Object], indent: str = "") -> None:
    if not listed:
        page.line(0, f"{indent}Volumes:\t<none>")
        return
    page.line(0, f"{indent}Volumes:")
    for volume in listed:
        page.line(1, f"{' ' if indent else ''}{volume['name']}:")
        source = next((name for name in volume if name != "name"), "emptyDir")
        text, fields = _VOLUMES.get(source, (source, ()))
        page.line(2, f"Type:\t{text}")
        body = volume.get(source) or {}
        for label, field in fields:
            page.line(2, f"{label}:\t{_volume_field(body, field)}")
        if source == "projected":
            _projected(page, body)


def _volume_field(body: Object, field: str) -> str:
    if field in _BOOLEANS:
        return str(bool(body.get(field))).lower()
    return str(body.get(field) or ("<unset>" if field == "sizeLimit" else ""))


def _projected(page: Page, body: Object) -> None:
    for source in body.get("sources") or ():
        if "serviceAccountToken" in source:
            page.line(2, f"TokenExpirationSeconds:\t{source['serviceAccountToken'].get('expirationSeconds', 3600)}")
        for sort, label in (("configMap", "ConfigMap"), ("secret", "Secret")):
            if sort in source:
                page.line(2, f"{label}Name:\t{source[sort].get('name', '')}")
                page.line(2, f"Optional:\t{_volume_field(source[sort], 'optional')}")
        if "downwardAPI" in source:
            page.line(2, "DownwardAPI:\ttrue")


# where a pod may run


def scheduling(page: Page, spec: Object, indent: str = "") -> None:
    """The node selector and the tolerations."""
    page.lines(0, "Node-Selectors", labels_lines(spec.get("nodeSelector")), indent)
    page.lines(0, "Tolerations", [toleration_text(each) for each in spec.get("tolerations") or ()], indent)


def toleration_text(toleration: Object) -> str:
    """`node.kubernetes.io/not-ready:NoExecute op=Exists for 300s`."""
    text = toleration.get("key", "")
    if toleration.get("value"):
        text += f"={toleration['value']}"
    if toleration.get("effect"):
        text += f":{toleration['effect']}"
    if toleration.get("operator") == "Exists":
        text += " op=Exists" if text else "op=Exists"
    if toleration.get("tolerationSeconds") is not None:
        text += f" for {toleration['tolerationSeconds']}s"
    return str(text)
