"""Why the apiserver refuses a controller's pods: a quota, a limit, a policy, an account that is not there.

Interface: `refused(scene, obj)`.
The rule not to break: told only while pods are missing, with the apiserver's own words.
Source: the event FailedCreate and the condition ReplicaFailure of `pkg/controller`; the messages of the admission
plug-ins, `plugin/pkg/admission` in the kubernetes repository.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from k8snb.apimachinery.meta import Object, condition, controller_of, get_path, namespace_of, uid_of
from k8snb.apimachinery.quantity import parse
from k8snb.story.why import Evidence, Finding, Scene, event_evidence, word_of

_QUOTA = re.compile(r"exceeded quota: (?P<name>[^,]+), requested: (?P<asked>\S+), used: (?P<used>\S+), limited: \S+")
_UNSAID = re.compile(r"failed quota: [^:]+: must specify (?P<fields>.+)$")
_ACCOUNT = re.compile(r"error looking up service account (?P<namespace>[^/]+)/(?P<name>\S+?): ")
_POLICY = re.compile(r'violates PodSecurity "(?P<level>[a-z]+):')
AMOUNTS = {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "1Gi"}  # for containers that have to say some


def refused(scene: Scene, obj: Object) -> Iterator[Finding]:
    for maker in _makers(scene, obj):
        told = _told(scene, maker)
        if told is None:
            continue
        message, evidence = told
        yield Finding(word_of(obj), f"its pods are refused: {message}", evidence,
                      list(_about(scene, obj, maker, message)))  # fmt: skip


def _makers(scene: Scene, obj: Object) -> list[Object]:
    """Who makes the pods: a Deployment's ReplicaSets, or the object itself."""
    if obj["kind"] != "Deployment":
        return [obj]
    return [each for each in scene.items("replicasets", namespace_of(obj))
            if (controller_of(each) or {}).get("uid") == uid_of(obj)]  # fmt: skip


def _told(scene: Scene, maker: Object) -> tuple[str, list[Evidence]] | None:
    """The apiserver's words, and where they stand; None where nobody is missing."""
    missing = _missing(maker)
    events = scene.events(maker, "FailedCreate")[:1] if missing else []
    failure = condition(maker, "ReplicaFailure") or {}
    if failure.get("status") == "True":
        place = Evidence(word_of(maker), "status.conditions[ReplicaFailure]", failure["message"])
        return failure["message"], [place, *map(event_evidence, events)]
    if not events or any(_is_later(event, events[0]) for event in scene.events(maker, "SuccessfulCreate")):
        return None
    return events[0]["message"].removeprefix("Error creating: "), [event_evidence(events[0])]


def _missing(maker: Object) -> int:
    """How many pods it should have and has not."""
    status = maker.get("status") or {}
    if maker["kind"] == "DaemonSet":
        return int(status.get("desiredNumberScheduled", 0) - status.get("currentNumberScheduled", 0))
    if maker["kind"] == "Job":
        done = status.get("succeeded", 0) + status.get("failed", 0) + status.get("active", 0)
        over = any(entry["status"] == "True" for entry in status.get("conditions") or ())
        return 0 if over else int(get_path(maker, "spec.parallelism", 1)) - done
    return int(get_path(maker, "spec.replicas", 1) - status.get("replicas", 0))


def _is_later(event: Object, than: Object) -> bool:
    return (event.get("lastTimestamp") or "") > (than.get("lastTimestamp") or "")


def _about(scene: Scene, obj: Object, maker: Object, message: str) -> Iterator[str]:
    namespace = namespace_of(obj)
    flag = f" -n {namespace}" if namespace not in ("", "default") else ""
    if quota := _QUOTA.search(message):
        hard = _enough(quota["asked"], quota["used"], max(_missing(maker), 1))
        change = f'{{"spec":{{"hard":{{{hard}}}}}}}'
        yield f"kubectl patch resourcequota {quota['name']}{flag} --type=merge -p '{change}'"
        yield "or ask for less, or delete what is not needed"
    elif unsaid := _UNSAID.search(message):
        yield from _say(obj, unsaid["fields"])
    elif account := _ACCOUNT.search(message):
        yield f"kubectl create serviceaccount {account['name']}{flag}"
        yield "or name another in spec.template.spec.serviceAccountName"
    elif _POLICY.search(message):
        yield (f"kubectl label namespace {namespace or 'default'} pod-security.kubernetes.io/enforce=privileged "
               "--overwrite")  # fmt: skip
        yield "or change the template as the message says, which is the safer way"
    else:
        yield "change the template as the message says, or the policy that refuses it"


def _enough(asked: str, used: str, pods: int) -> str:
    """A quota's fields with room for so many pods more: `"pods":"2"`."""
    had = dict(pair.split("=", 1) for pair in used.split(","))
    fields = []
    for name, amount in (pair.split("=", 1) for pair in asked.split(",")):
        total = parse(had.get(name, "0"))
        for _ in range(min(pods, 1000)):
            total = total + parse(amount)
        fields.append(f'"{name}":"{total}"')
    return ",".join(fields)


def _say(obj: Object, fields: str) -> Iterator[str]:
    """`limits.cpu for: main; requests.memory for: main`: give the containers some."""
    given: dict[str, list[str]] = {"requests": [], "limits": []}
    for field in re.findall(r"[a-z.-]+(?= for:)", fields):
        part, _, resource = field.partition(".")
        part, resource = (part, resource) if resource else ("requests", part)
        given.get(part, []).append(f"{resource}={AMOUNTS.get(resource, '1')}")
    flags = "".join(f" --{part}={','.join(amounts)}" for part, amounts in given.items() if amounts)
    if obj["kind"] != "Job":
        yield f"kubectl set resources {word_of(obj)}{flags}"
    yield f"or let a LimitRange give them to all containers of namespace {namespace_of(obj) or 'default'}"
