"""Why a pod with a node does not run: no image, no configuration, a program that ends, a probe that fails, a node that
is silent.

Interface: `DIAGNOSES`.
The rule not to break: as in `why`.
Source: the reasons that kubelet writes (`pkg/kubelet/images`, `pkg/kubelet/kuberuntime`, `pkg/kubelet/prober`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping

from k8snb.apimachinery.meta import Object, condition, get_path, is_deleting, is_true, name_of
from k8snb.apimachinery.quantity import parse
from k8snb.story.owners import is_of_job, owner_of, settable
from k8snb.story.rollbacks import undo
from k8snb.story.why import Diagnosis, Evidence, Finding, Scene, event_evidence, seen, why, word_of
from k8snb.story.why_configuration import missing_objects

PULLING = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
CONFIGURING = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
SIGNALLED = (0, 137, 143)  # exit codes of programs that were asked to end
STATUSES = ("initContainerStatuses", "containerStatuses")


def containers(scene: Scene, pod: Object) -> Iterator[Finding]:
    for status in (entry for part in STATUSES for entry in get_path(pod, f"status.{part}") or ()):
        waiting = get_path(status, "state.waiting") or {}
        reason = waiting.get("reason", "")
        ended = get_path(status, "state.terminated.exitCode") and not is_deleting(pod)
        if reason in PULLING:
            yield _image(scene, pod, status, waiting)
        elif reason in CONFIGURING:
            yield _configuration(scene, pod, status, waiting)
        elif reason == "CrashLoopBackOff" or ended:
            yield _crash(scene, pod, status)


def _place(pod: Object, status: Object, rest: str) -> str:
    """Where a container's status stands: the init containers have a list of their own."""
    first = any(each["name"] == status["name"] for each in pod["spec"].get("initContainers") or ())
    return f"status.{STATUSES[0 if first else 1]}[{status['name']}].{rest}"


def initializing(scene: Scene, pod: Object) -> Iterator[Finding]:
    """An init container goes on and on, and the others wait until it has ended."""
    sidecars = {each["name"] for each in pod["spec"].get("initContainers") or () if each.get("restartPolicy")}
    for status in get_path(pod, "status.initContainerStatuses") or ():
        running = get_path(status, "state.running")
        if running is None or status["name"] in sidecars or is_deleting(pod) or _node_is_ill(scene, pod):
            continue
        since = running.get("startedAt") or ""
        tail = scene.log_tail(pod, status["name"], previous=False)
        yield Finding(
            word_of(pod), f'its containers wait for init container "{status["name"]}", which runs and has not ended',
            (Evidence(word_of(pod), _place(pod, status, "state.running"), f"since {since}"),
             *(Evidence(word_of(pod), f"log of {status['name']}", line) for line in tail)),
            [f"its log says what it waits for, kubectl logs {name_of(pod)} -c {status['name']}: have that there, or "
             "change its command"],
        )  # fmt: skip


# images


def _image(scene: Scene, pod: Object, status: Object, waiting: Object) -> Finding:
    events = [event for event in scene.events(pod, "Failed") if "pull" in event["message"].lower()]
    said = [event_evidence(event) for event in events[:1]]
    image, name = status["image"], status["name"]
    nearby = [f"kubectl set image {settable(pod)} {name}={other}"
              for other in _like(scene, image) if not is_of_job(pod)]  # fmt: skip
    return Finding(
        word_of(pod), f'the image "{image}" of container "{name}" cannot be pulled',
        (Evidence(word_of(pod), _place(pod, status, "state.waiting"), waiting.get("message", "")), *said),
        [*undo(scene, pod), *nearby, _other_image(pod, name),
         "or see that the registry answers and the pod has its imagePullSecrets"],
    )  # fmt: skip


def _other_image(pod: Object, container: str) -> str:
    if is_of_job(pod):
        return f"a Job's template is settled: delete {settable(pod)}, and make it with an image that there is"
    return f"give container {container} of {settable(pod)} an image with a name that is right (kubectl set image)"


def _like(scene: Scene, image: str) -> list[str]:
    """Images that are there and spelled alike: what was meant by a name with a mistake, or by a tag of which there is
    none."""
    known = [name for node in scene.items("nodes") for each in get_path(node, "status.images") or ()
             for name in each.get("names") or () if "@" not in name]  # fmt: skip
    statuses = (status for pod in scene.items("pods") for status in get_path(pod, "status.containerStatuses") or ())
    known += [status["image"] for status in statuses if get_path(status, "state.running")]
    there = {_familiar(name): _familiar(name) for name in known if _familiar(name) != image}
    by_name = {name.partition(":")[0]: name for name in there}
    near = difflib.get_close_matches(image.partition(":")[0], by_name, n=1, cutoff=0.75)
    return [by_name[name] for name in near]


def _familiar(image: str) -> str:
    """`nginx` for docker.io/library/nginx:latest."""
    return image.removeprefix("docker.io/").removeprefix("library/").removesuffix(":latest")


def _configuration(scene: Scene, pod: Object, status: Object, waiting: Object) -> Finding:
    message = waiting.get("message", "")
    return Finding(
        word_of(pod), f'container "{status["name"]}" cannot be made: {message}',
        (Evidence(word_of(pod), _place(pod, status, "state.waiting"), message),),
        [*missing_objects(scene, pod), *undo(scene, pod),
         "create what the message names, or make the reference optional; the kubelet tries again by itself"],
    )  # fmt: skip


# programs


def _crash(scene: Scene, pod: Object, status: Object) -> Finding:
    ended = get_path(status, "lastState.terminated") or get_path(status, "state.terminated") or {}
    killed = [event for event in scene.events(pod, "Killing")
              if (found := _KILLED.match(event["message"])) and found["name"] == status["name"]
              and _is_of(event, ended)]  # fmt: skip
    if killed:
        return _killed_by_probe(scene, pod, status, killed[0])
    code, reason = ended.get("exitCode"), ended.get("reason", "")
    previous = bool(get_path(status, "lastState.terminated"))
    tail = scene.log_tail(pod, status["name"], previous=previous)
    evidence = [Evidence(word_of(pod), _place(pod, status, "lastState.terminated"), f"{reason}, exit code {code}")]
    evidence += [Evidence(word_of(pod), f"log of {status['name']}", line) for line in tail]
    fact = f'the program of container "{status["name"]}" ends with exit code {code}'
    if reason == "OOMKilled":
        fact = f'container "{status["name"]}" used more memory than its limit and was killed'
    restarts = status.get("restartCount", 0)
    return Finding(
        word_of(pod), f"{fact}" + (f", {restarts} times by now" if restarts > 1 else ""), evidence,
        _more_memory(pod, status) if reason == "OOMKilled" else [*undo(scene, pod), _read_log(pod, status, previous)],
    )  # fmt: skip


def _is_of(killing: Object, ended: Object) -> bool:
    """Whether a container may have ended because the kubelet ended it, or by itself: an older event counts where the
    exit code is that of a signal, for events that repeat are dropped after a while."""
    recent = (killing.get("lastTimestamp") or "") >= (ended.get("startedAt") or "")
    return recent or ended.get("exitCode") in SIGNALLED


def _read_log(pod: Object, status: Object, previous: bool) -> str:
    flag = " --previous" if previous else ""
    if get_path(status, "lastState.terminated.exitCode") == 0:
        return ("a pod's program is started anew whenever it ends: give it a command that goes on, or make a Job "
                "of it, whose program may end")  # fmt: skip
    return (f"its log says more, kubectl logs {name_of(pod)} -c {status['name']}{flag}; then change its command, its "
            "configuration or its image")  # fmt: skip


def _more_memory(pod: Object, status: Object) -> list[str]:
    """Twice the limit."""
    container = _container(pod, status["name"])
    limit = get_path(container, "resources.limits", {}).get("memory", "")
    if not limit or owner_of(pod) is None or is_of_job(pod):
        return ["make the pod again with a higher resources.limits.memory"]
    once = parse(limit)
    return [f"kubectl set resources {settable(pod)} -c {status['name']} --limits=memory={once + once}",
            "or see why the program needs so much"]  # fmt: skip


def _container(pod: Object, name: str) -> Object:
    spec = pod["spec"]
    found: Object = next((each for each in (*(spec.get("initContainers") or ()), *spec["containers"])
                          if each["name"] == name), {})  # fmt: skip
    return found


# probes


def _killed_by_probe(scene: Scene, pod: Object, status: Object, killing: Object) -> Finding:
    word = killing["message"].split()[3]
    said = [event for event in scene.events(pod, "Unhealthy") if event["message"].lower().startswith(word)][:1]
    fact = f'the {word}Probe of container "{status["name"]}" fails, so that the kubelet ends it and starts it anew'
    return Finding(
        word_of(pod), fact,
        (*map(event_evidence, said), event_evidence(killing),
         Evidence(word_of(pod), _place(pod, status, "restartCount"), str(status["restartCount"]))),
        [*undo(scene, pod), *_mend_probe(pod, status["name"], f"{word}Probe"), _PROBED],
    )  # fmt: skip


_KILLED = re.compile(r"Container (?P<name>\S+) failed (liveness|startup) probe, will be restarted")
_PROBED = "see that the program answers where its probe asks, and in the probe's time"


def _mend_probe(pod: Object, name: str, sort: str) -> list[str]:
    """Ask where the container listens: a probe's port that the container does not declare, where it declares one."""
    place = next((at for at, each in enumerate(pod["spec"]["containers"]) if each["name"] == name), None)
    container = _container(pod, name)
    ports = [port["containerPort"] for port in container.get("ports") or ()]
    handler = next((each for each in ("httpGet", "tcpSocket", "grpc") if each in (container.get(sort) or {})), "")
    asked = get_path(container, f"{sort}.{handler}.port") if handler else None
    settled = owner_of(pod) is None or is_of_job(pod)
    if place is None or not ports or asked in ports or isinstance(asked, str) or settled:
        return []
    path = f"/spec/template/spec/containers/{place}/{sort}/{handler}/port"
    text = f'[{{"op":"replace","path":"{path}","value":{ports[0]}}}]'
    return [f"kubectl patch {settable(pod)} --type=json -p '{text}'"]


def not_ready(scene: Scene, pod: Object) -> Iterator[Finding]:
    """It runs, and a probe or a readiness gate says no."""
    ready = condition(pod, "Ready") or {}
    if get_path(pod, "status.phase") != "Running" or ready.get("status") != "False" or _node_is_ill(scene, pod):
        return
    probed = [name for name in _unready(pod) if _container(pod, name).get("readinessProbe")]
    events = [event for event in scene.events(pod, "Unhealthy") if event["message"].startswith("Readiness")]
    for event in events[:1] if probed else ():
        yield Finding(
            word_of(pod), f'it runs and is not ready: the readinessProbe of container "{probed[0]}" fails',
            (Evidence(word_of(pod), "status.conditions[Ready]", ready.get("reason", "")), event_evidence(event)),
            [*undo(scene, pod), *_mend_probe(pod, probed[0], "readinessProbe"), _PROBED],
        )  # fmt: skip
    for gate in get_path(pod, "spec.readinessGates") or ():
        sort = gate["conditionType"]
        if not is_true(pod, sort):
            entry = f'{{"status":{{"conditions":[{{"type":"{sort}","status":"True"}}]}}}}'
            yield Finding(word_of(pod), f"it waits for its readiness gate {sort}",
                          (seen(pod, "spec.readinessGates", sort),),
                          [f"kubectl patch {word_of(pod)} --subresource=status -p '{entry}'",
                           "whoever the gate belongs to sets that condition of its status to True"])  # fmt: skip


def _unready(pod: Object) -> list[str]:
    """The containers that run and are not ready."""
    statuses = get_path(pod, "status.containerStatuses") or ()
    return [status["name"] for status in statuses if not status["ready"] and get_path(status, "state.running")]


# what it stands on


def mounts(scene: Scene, pod: Object) -> Iterator[Finding]:
    """It has a node, and a volume of it cannot be had."""
    started = any(status.get("started") or status.get("restartCount") or get_path(status, "state.running")
                  for status in get_path(pod, "status.containerStatuses") or ())  # fmt: skip
    if get_path(pod, "status.phase") != "Pending" or not get_path(pod, "spec.nodeName") or started:
        return
    for event in scene.events(pod, "FailedMount", "FailedAttachVolume")[:1]:
        fixes = missing_objects(scene, pod)
        yield Finding(word_of(pod), f"a volume of it cannot be had: {event['message']}", (event_evidence(event),),
                      [*fixes, "create what the message names; the kubelet tries again by itself"])  # fmt: skip


def _node_is_ill(scene: Scene, pod: Object) -> bool:
    name = get_path(pod, "spec.nodeName")
    node = scene.find("nodes", name) if name else None
    return node is not None and not is_true(node, "Ready")


def on_a_silent_node(scene: Scene, pod: Object) -> Iterator[Finding]:
    """Nobody speaks for the pod any more."""
    phase = get_path(pod, "status.phase")
    if phase in ("Succeeded", "Failed") or not _node_is_ill(scene, pod):
        return
    node = scene.find("nodes", get_path(pod, "spec.nodeName"))
    assert node is not None
    reasons = why(scene, node)
    ends = [f"kubectl delete {word_of(pod)} --force --grace-period=0"] if is_deleting(pod) else []
    ready = condition(pod, "Ready") or {}
    told = f"{ready.get('status', '')} {ready.get('reason', '')}".strip()
    yield Finding(
        word_of(pod), f"its node {name_of(node)} is not well: {reasons[0].fact if reasons else 'it is not Ready'}",
        (Evidence(word_of(pod), "spec.nodeName", name_of(node)),
         Evidence(word_of(pod), "status.conditions[Ready]", told),
         *(reasons[0].evidence if reasons else ())),
        [*(reasons[0].fixes if reasons else ()), *ends],
    )  # fmt: skip


def evicted(scene: Scene, pod: Object) -> Iterator[Finding]:
    """The kubelet or the node's end has failed the pod as a whole."""
    reason = get_path(pod, "status.reason", "")
    if get_path(pod, "status.phase") == "Failed" and reason:
        message = get_path(pod, "status.message", "")
        advice = "a pod that has failed stays failed: what made it makes another, or make it again"
        yield Finding(word_of(pod), f"it was ended as a whole: {reason}: {message}",
                      (seen(pod, "status.reason"), seen(pod, "status.message")), (advice,))  # fmt: skip


DIAGNOSES: Mapping[str, tuple[Diagnosis, ...]] = {
    "Pod": (on_a_silent_node, evicted, containers, initializing, mounts, not_ready),
}
