"""kubectl describe for pods that are told apart, by their number or by their node: StatefulSets, DaemonSets.

Interface: one function per kind.
Source: `kubectl/pkg/describe/describe.go`.
"""

from __future__ import annotations

from collections.abc import Sequence

from k8snb.apimachinery.meta import Object, get_path
from k8snb.apimachinery.selectors import from_label_selector
from k8snb.kubectl.describe_page import Page, annotation_lines, labels_lines, time_text
from k8snb.kubectl.describe_workload import pod_template, pods_status
from k8snb.kubectl.session import Session
from k8snb.printers.columns import labels_text, selector_text

DAEMON_COUNTS = (
    ("Desired Number of Nodes Scheduled", "desiredNumberScheduled"),
    ("Current Number of Nodes Scheduled", "currentNumberScheduled"),
    ("Number of Nodes Scheduled with Up-to-date Pods", "updatedNumberScheduled"),
    ("Number of Nodes Scheduled with Available Pods", "numberAvailable"),
    ("Number of Nodes Misscheduled", "numberMisscheduled"),
)


def describe_stateful_set(session: Session, obj: Object, page: Page) -> None:
    metadata, spec, state = obj["metadata"], obj["spec"], obj.get("status") or {}
    page.line(0, f"Name:\t{metadata['name']}")
    page.line(0, f"Namespace:\t{metadata.get('namespace', '')}")
    page.line(0, f"CreationTimestamp:\t{time_text(metadata.get('creationTimestamp'))}")
    page.line(0, f"Selector:\t{selector_text(spec.get('selector'))}")
    page.lines(0, "Labels", labels_lines(metadata.get("labels")))
    page.lines(0, "Annotations", annotation_lines(metadata.get("annotations")))
    page.line(0, f"Replicas:\t{spec.get('replicas', 0)} desired | {state.get('replicas', 0)} total")
    _update_strategy(page, spec.get("updateStrategy") or {})
    pods_status(session, obj, page, str(from_label_selector(spec.get("selector"))))
    pod_template(page, spec.get("template") or {})
    _volume_claims(page, spec.get("volumeClaimTemplates") or ())


def _update_strategy(page: Page, strategy: Object) -> None:
    page.line(0, f"Update Strategy:\t{strategy.get('type', '')}")
    rolling = strategy.get("rollingUpdate") or {}
    if "partition" in rolling:
        page.line(1, f"Partition:\t{rolling['partition']}")
        if "maxUnavailable" in rolling:
            page.line(1, f"MaxUnavailable:\t{rolling['maxUnavailable']}")


def _volume_claims(page: Page, templates: Sequence[Object]) -> None:
    if not templates:
        page.line(0, "Volume Claims:\t<none>")
        return
    page.line(0, "Volume Claims:")
    for claim in templates:
        metadata, spec = claim["metadata"], claim.get("spec") or {}
        page.line(1, f"Name:\t{metadata['name']}")
        page.line(1, f"StorageClass:\t{spec.get('storageClassName', '')}")
        page.lines(1, "Labels", labels_lines(metadata.get("labels")))
        page.lines(1, "Annotations", labels_lines(metadata.get("annotations")))  # in the way of labels
        page.line(1, f"Capacity:\t{get_path(spec, 'resources.requests.storage', '<default>')}")
        page.line(1, f"Access Modes:\t[{' '.join(spec.get('accessModes') or ())}]")


def describe_daemon_set(session: Session, obj: Object, page: Page) -> None:
    metadata, spec, state = obj["metadata"], obj["spec"], obj.get("status") or {}
    page.line(0, f"Name:\t{metadata['name']}")
    page.line(0, f"Namespace:\t{metadata.get('namespace', '')}")
    page.line(0, f"Selector:\t{selector_text(spec.get('selector'))}")
    page.line(0, f"Node-Selector:\t{labels_text(get_path(spec, 'template.spec.nodeSelector'))}")
    page.lines(0, "Labels", labels_lines(metadata.get("labels")))
    page.lines(0, "Annotations", annotation_lines(metadata.get("annotations")))
    for words, count in DAEMON_COUNTS:
        page.line(0, f"{words}: {state.get(count, 0)}")
    pods_status(session, obj, page, str(from_label_selector(spec.get("selector"))))
    pod_template(page, spec.get("template") or {})
