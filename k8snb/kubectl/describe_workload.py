"""kubectl describe for what makes pods: replication controllers, replica sets, deployments.

Interface: one function per kind; `pod_template` and `pods_status`, which other pages share.
The rule not to break: the pods counted are those that the object controls.
Source: `kubectl/pkg/describe/describe.go`.
"""

from __future__ import annotations

from collections import Counter

from k8snb.apimachinery.meta import Object, controller_of, get_path, name_of, namespace_of, uid_of
from k8snb.apimachinery.selectors import from_label_selector, from_set
from k8snb.kubectl import describe_pod as pods
from k8snb.kubectl.describe_page import (
    Page,
    annotation_lines,
    conditions,
    controlled_by,
    labels_lines,
    time_text,
)
from k8snb.kubectl.rollout import new_replica_set, replica_sets
from k8snb.kubectl.session import Session
from k8snb.printers.columns import labels_text, selector_text


def describe_replication_controller(session: Session, obj: Object, page: Page) -> None:
    selector = get_path(obj, "spec.selector") or {}
    _head(obj, page, labels_text(selector))
    _replicas(session, obj, page, str(from_set(selector)))
    pod_template(page, get_path(obj, "spec.template", {}))
    conditions(page, obj, ("Type", "Status", "Reason"))


def describe_replica_set(session: Session, obj: Object, page: Page) -> None:
    selector = get_path(obj, "spec.selector")
    _head(obj, page, selector_text(selector))
    controlled_by(page, obj)
    _replicas(session, obj, page, str(from_label_selector(selector)))
    pod_template(page, get_path(obj, "spec.template", {}))
    conditions(page, obj, ("Type", "Status", "Reason"))


def _head(obj: Object, page: Page, selector: str) -> None:
    metadata = obj["metadata"]
    page.line(0, f"Name:\t{metadata['name']}")
    page.line(0, f"Namespace:\t{metadata.get('namespace', '')}")
    page.line(0, f"Selector:\t{selector}")
    page.lines(0, "Labels", labels_lines(metadata.get("labels")))
    page.lines(0, "Annotations", annotation_lines(metadata.get("annotations")))


def _replicas(session: Session, obj: Object, page: Page, selector: str) -> None:
    wanted, current = get_path(obj, "spec.replicas", 0), get_path(obj, "status.replicas", 0)
    page.line(0, f"Replicas:\t{current} current / {wanted} desired")
    pods_status(session, obj, page, selector)


def pods_status(session: Session, obj: Object, page: Page, selector: str) -> None:
    """How many of the pods that an object controls are in each phase."""
    listed = session.client.items("pods", namespace_of(obj), labelSelector=selector)
    mine = [pod for pod in listed if (controller_of(pod) or {}).get("uid") == uid_of(obj)]
    phases = Counter(get_path(pod, "status.phase", "Pending") for pod in mine)
    shown = ("Running", "Running"), ("Waiting", "Pending"), ("Succeeded", "Succeeded"), ("Failed", "Failed")
    page.line(0, "Pods Status:\t" + " / ".join(f"{phases[phase]} {word}" for word, phase in shown))


def pod_template(page: Page, template: Object) -> None:
    """The pod template: what the pods will be."""
    page.line(0, "Pod Template:")
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    page.lines(1, "Labels", labels_lines(metadata.get("labels")))
    if metadata.get("annotations"):
        page.lines(1, "Annotations", annotation_lines(metadata["annotations"]))
    if spec.get("serviceAccountName"):
        page.line(1, f"Service Account:\t{spec['serviceAccountName']}")
    if spec.get("initContainers"):
        pods.containers(page, "Init Containers", spec["initContainers"], None, "  ")
    pods.containers(page, "Containers", spec.get("containers") or (), None, "  ")
    pods.volumes(page, spec.get("volumes") or (), "  ")
    pods.scheduling(page, spec, "  ")


def describe_deployment(session: Session, obj: Object, page: Page) -> None:
    metadata, spec, state = obj["metadata"], obj["spec"], obj.get("status") or {}
    page.line(0, f"Name:\t{metadata['name']}")
    page.line(0, f"Namespace:\t{metadata.get('namespace', '')}")
    page.line(0, f"CreationTimestamp:\t{time_text(metadata.get('creationTimestamp'))}")
    page.lines(0, "Labels", labels_lines(metadata.get("labels")))
    page.lines(0, "Annotations", annotation_lines(metadata.get("annotations")))
    page.line(0, f"Selector:\t{selector_text(spec.get('selector'))}")
    page.line(0, f"Replicas:\t{spec.get('replicas', 0)} desired | {state.get('updatedReplicas', 0)} updated | "
                 f"{state.get('replicas', 0)} total | {state.get('availableReplicas', 0)} available | "
                 f"{state.get('unavailableReplicas', 0)} unavailable")  # fmt: skip
    page.line(0, f"StrategyType:\t{get_path(spec, 'strategy.type', 'RollingUpdate')}")
    page.line(0, f"MinReadySeconds:\t{spec.get('minReadySeconds', 0)}")
    rolling = get_path(spec, "strategy.rollingUpdate")
    if rolling:
        page.line(0, f"RollingUpdateStrategy:\t{rolling.get('maxUnavailable')} max unavailable, "
                     f"{rolling.get('maxSurge')} max surge")  # fmt: skip
    pod_template(page, spec.get("template") or {})
    conditions(page, obj, ("Type", "Status", "Reason"))
    _owned_sets(session, obj, page)


def _owned_sets(session: Session, obj: Object, page: Page) -> None:
    owned = replica_sets(session, obj)
    new = new_replica_set(obj, owned)
    old = [each for each in owned if new is None or uid_of(each) != uid_of(new)]
    page.line(0, f"OldReplicaSets:\t{', '.join(map(_set_text, old)) or '<none>'}")
    page.line(0, f"NewReplicaSet:\t{_set_text(new) if new else '<none>'}")


def _set_text(obj: Object) -> str:
    created, wanted = get_path(obj, "status.replicas", 0), get_path(obj, "spec.replicas", 0)
    return f"{name_of(obj)} ({created}/{wanted} replicas created)"
