"""kubectl describe for Jobs and CronJobs.

Interface: `describe_job`, `describe_cron_job`.
The rule not to break: what a field does not say reads `<unset>`, what there is none of `<none>`.
Source: `kubectl/pkg/describe/describe.go`.
"""

from __future__ import annotations

from typing import Any

from k8snb.apimachinery.meta import Object, get_path
from k8snb.apimachinery.selectors import from_label_selector
from k8snb.clock import parse_timestamp
from k8snb.kubectl.describe_page import Page, annotation_lines, controlled_by, labels_lines, meta_lines, time_text
from k8snb.kubectl.describe_workload import pod_template
from k8snb.kubectl.session import Session
from k8snb.printers import duration
from k8snb.printers.batch import truth

LONGEST_INDEXES = 50  # characters of the completed indexes, up to the next comma


def describe_job(session: Session, obj: Object, page: Page) -> None:
    metadata, spec, state = obj["metadata"], obj["spec"], obj.get("status") or {}
    page.line(0, f"Name:\t{metadata['name']}")
    page.line(0, f"Namespace:\t{metadata.get('namespace', '')}")
    page.line(0, f"Selector:\t{from_label_selector(spec.get('selector'))}")
    page.lines(0, "Labels", labels_lines(metadata.get("labels")))
    page.lines(0, "Annotations", annotation_lines(metadata.get("annotations")))
    controlled_by(page, obj)
    _if_there(page, "Parallelism", spec.get("parallelism"))
    page.line(0, f"Completions:\t{spec.get('completions', '<unset>')}")
    _if_there(page, "Completion Mode", spec.get("completionMode"))
    _if_there(page, "Suspend", "true" if spec.get("suspend") else "false")
    _if_there(page, "Backoff Limit", spec.get("backoffLimit"))
    _if_there(page, "TTL Seconds After Finished", spec.get("ttlSecondsAfterFinished"))
    _times(page, state)
    if "activeDeadlineSeconds" in spec:
        page.line(0, f"Active Deadline Seconds:\t{spec['activeDeadlineSeconds']}s")
    ready = f" ({state['ready']} Ready)" if "ready" in state else ""
    page.line(0, f"Pods Statuses:\t{state.get('active', 0)} Active{ready} / {state.get('succeeded', 0)} Succeeded / "
                 f"{state.get('failed', 0)} Failed")  # fmt: skip
    if spec.get("completionMode") == "Indexed":
        page.line(0, f"Completed Indexes:\t{_some(state.get('completedIndexes', ''))}")
    pod_template(page, spec["template"])


def _if_there(page: Page, label: str, value: Any) -> None:
    if value is not None:
        page.line(0, f"{label}:\t{value}")


def _times(page: Page, state: Object) -> None:
    started, ended = state.get("startTime"), state.get("completionTime")
    if started:
        page.line(0, f"Start Time:\t{time_text(started)}")
    if ended:
        page.line(0, f"Completed At:\t{time_text(ended)}")
    if started and ended:
        page.line(0, f"Duration:\t{duration.human(parse_timestamp(ended) - parse_timestamp(started))}")


def _some(indexes: str) -> str:
    """The indexes as they stand in the status, cut short where there are many."""
    comma = indexes.find(",", LONGEST_INDEXES)
    return (indexes if comma < 0 else f"{indexes[: comma + 1]}...") or "<none>"


def describe_cron_job(session: Session, obj: Object, page: Page) -> None:
    spec, state = obj["spec"], obj.get("status") or {}
    meta_lines(page, obj)
    page.line(0, f"Schedule:\t{spec.get('schedule', '')}")
    page.line(0, f"Concurrency Policy:\t{spec.get('concurrencyPolicy', '')}")
    page.line(0, f"Suspend:\t{truth(spec.get('suspend'))}")
    page.line(0, f"Successful Job History Limit:\t{spec.get('successfulJobsHistoryLimit', '<unset>')}")
    page.line(0, f"Failed Job History Limit:\t{spec.get('failedJobsHistoryLimit', '<unset>')}")
    deadline = spec.get("startingDeadlineSeconds")
    page.line(0, f"Starting Deadline Seconds:\t{'<unset>' if deadline is None else f'{deadline}s'}")
    _job_template(page, get_path(spec, "jobTemplate.spec") or {})
    page.line(0, f"Last Schedule Time:\t{time_text(state.get('lastScheduleTime'))}")
    active = ", ".join(entry["name"] for entry in state.get("active") or ())
    page.line(0, f"Active Jobs:\t{active or '<none>'}")


def _job_template(page: Page, spec: Object) -> None:
    selector = spec.get("selector")
    page.line(0, f"Selector:\t{'<unset>' if selector is None else from_label_selector(selector)}")
    page.line(0, f"Parallelism:\t{spec.get('parallelism', '<unset>')}")
    page.line(0, f"Completions:\t{spec.get('completions', '<unset>')}")
    if "activeDeadlineSeconds" in spec:
        page.line(0, f"Active Deadline Seconds:\t{spec['activeDeadlineSeconds']}s")
    pod_template(page, spec.get("template") or {})
