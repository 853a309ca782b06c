"""kube-apiserver's validation of Jobs and CronJobs, and what the server itself writes into them.

Rules as in pkg/apis/batch/validation/validation.go, pkg/apis/batch/v1/defaults.go and pkg/registry/batch of the
kubernetes repository.
"""

from __future__ import annotations

from typing import Any

import pytest
from controllers_lab import Lab

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, labels_of

UID, NAME = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab()


def job(name: str = "", *, pods: Object | None = None, labels: Object | None = None, **spec: Any) -> Object:
    container = {"name": "c", "image": "busybox:1.36"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container], **(pods or {})}}
    metadata = {"namespace": "default", **({"name": name} if name else {"generateName": "job-"})}
    whole = {**template, **({"metadata": {"labels": labels}} if labels else {})}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": whole, **spec}}


def cron_job(template: Object | None = None, name: str = "", **spec: Any) -> Object:
    metadata = {"namespace": "default", **({"name": name} if name else {"generateName": "cron-"})}
    jobs = {"spec": {**job()["spec"], **(template or {})}}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata,
            "spec": {"schedule": "* * * * *", "jobTemplate": jobs, **spec}}  # fmt: skip


def refusal(lab: Lab, resource: str, obj: Object) -> str:
    """What is wrong with an object, without the name of it."""
    with pytest.raises(ApiError) as refused:
        lab.client.create(resource, obj)
    assert refused.value.reason == "Invalid"
    return refused.value.message.partition(" is invalid: ")[2]


# what the server fills in


def test_a_job_gets_a_selector_that_only_its_own_pods_have(lab: Lab) -> None:
    """generateSelector: both names of each label; the Job shows the labels of its template."""
    made = lab.client.create("jobs", job())
    uid, name = made["metadata"]["uid"], made["metadata"]["name"]
    assert made["spec"]["selector"] == {"matchLabels": {UID: uid}}
    labels = {"controller-uid": uid, UID: uid, "job-name": name, NAME: name}
    assert made["spec"]["template"]["metadata"]["labels"] == labels
    assert labels_of(made) == labels


def test_a_job_without_labels_shows_those_of_its_pods(lab: Lab) -> None:
    """SetDefaults_Job takes the template's labels over, to which generateSelector then adds."""
    made = lab.client.create("jobs", job(labels={"app": "x"}))
    assert labels_of(made) == made["spec"]["template"]["metadata"]["labels"]
    assert labels_of(made)["app"] == "x"


def test_a_jobs_own_labels_stay_its_own(lab: Lab) -> None:
    wanted = job(labels={"app": "x"})
    wanted["metadata"]["labels"] = {"app": "x"}
    assert labels_of(lab.client.create("jobs", wanted)) == {"app": "x"}


def test_defaults_are_filled_in(lab: Lab) -> None:
    """SetDefaults_Job."""
    made = lab.client.create("jobs", job())["spec"]
    shown = {key: value for key, value in made.items() if key not in ("template", "selector")}
    assert shown == {
        "backoffLimit": 6, "completionMode": "NonIndexed", "completions": 1, "manualSelector": False, "parallelism": 1,
        "podReplacementPolicy": "TerminatingOrFailed", "suspend": False,
    }  # fmt: skip
    assert "completions" not in lab.client.create("jobs", job(parallelism=2))["spec"]
    by_index = lab.client.create("jobs", job(completionMode="Indexed", completions=2, backoffLimitPerIndex=1))
    assert by_index["spec"]["backoffLimit"] == 2**31 - 1


def test_a_manual_selector_is_left_alone(lab: Lab) -> None:
    made = lab.client.create("jobs", job(
        labels={"app": "x"}, manualSelector=True, selector={"matchLabels": {"app": "x"}}))  # fmt: skip
    assert made["spec"]["template"]["metadata"]["labels"] == {"app": "x"}
    assert made["status"] == {}


# Jobs that are refused

CODES = {"operator": "In", "values": [1]}
RULE = {"action": "FailJob", "onExitCodes": CODES}
INDEXED = {"completionMode": "Indexed", "completions": 3, "parallelism": 3}


def codes(**change: Any) -> Object:
    return {"podFailurePolicy": {"rules": [{**RULE, "onExitCodes": {**CODES, **change}}]}}


def rules(*entries: Object) -> Object:
    return {"podFailurePolicy": {"rules": list(entries)}}


def success(*entries: Object) -> Object:
    return {**INDEXED, "successPolicy": {"rules": list(entries)}}


FAILURE, EXIT = "spec.podFailurePolicy.rules", "spec.podFailurePolicy.rules[0].onExitCodes"
SUCCESS = "spec.successPolicy.rules"

REFUSED: list[tuple[Object, str]] = [
    ({"parallelism": -1}, "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"),
    ({"backoffLimit": -1}, "spec.backoffLimit: Invalid value: -1: must be greater than or equal to 0"),
    ({"activeDeadlineSeconds": -1}, "spec.activeDeadlineSeconds: Invalid value: -1: must be greater than or equal"),
    ({"completionMode": "Odd"},
     'spec.completionMode: Unsupported value: "Odd": supported values: "NonIndexed", "Indexed"'),
    ({"completionMode": "Indexed", "parallelism": 1},
     "spec.completions: Required value: when completion mode is Indexed"),
    ({**INDEXED, "parallelism": 100_001},
     "spec.parallelism: Invalid value: 100001: must be less than or equal to 100000 when completion mode is Indexed"),
    ({"backoffLimitPerIndex": 1}, "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode"),
    ({**INDEXED, "maxFailedIndexes": 1},
     "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified"),
    ({**INDEXED, "backoffLimitPerIndex": 1, "maxFailedIndexes": 4},
     "spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions"),
    ({**INDEXED, "completions": 100_001, "backoffLimitPerIndex": 1},
     "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000"),
    ({"managedBy": "me"},
     'spec.managedBy: Invalid value: "me": must be a domain-prefixed path (such as "acme.io/foo")'),
    ({"podReplacementPolicy": "Never"},
     'spec.podReplacementPolicy: Unsupported value: "Never": supported values: "Failed", "TerminatingOrFailed"'),
    ({**rules(RULE), "podReplacementPolicy": "TerminatingOrFailed"},
     'spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"'),
    (rules({**RULE, "action": "Odd"}),
     f'{FAILURE}[0].action: Unsupported value: "Odd": supported values: "Count", "FailIndex", "FailJob", "Ignore"'),
    (rules({**RULE, "action": "FailIndex"}),
     f'{FAILURE}[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set'),
    (rules({"action": "Count"}),
     f"{FAILURE}[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required"),
    (rules({**RULE, "onPodConditions": [{"type": "Ready", "status": "True"}]}),
     f"{FAILURE}[0]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported"),
    (rules(*[RULE] * 21), f"{FAILURE}: Too many: 21: must have at most 20 items"),
    (codes(operator="Odd"), f'{EXIT}.operator: Unsupported value: "Odd": supported values: "In", "NotIn"'),
    (codes(values=[0, 1]), f"{EXIT}.values[0]: Invalid value: 0: must not be 0 for the In operator"),
    (codes(values=[1, 1]), f"{EXIT}.values[1]: Duplicate value: 1"),
    (codes(values=[2, 1]), f"{EXIT}.values: Invalid value: [2, 1]: must be ordered"),
    (codes(values=[]), f"{EXIT}.values: Invalid value: []: at least one value is required"),
    (codes(containerName="d"),
     f'{EXIT}.containerName: Invalid value: "d": must be one of the container or initContainer names in the pod '
     "template"),
    ({"successPolicy": {"rules": [{"succeededCount": 1}]}}, "requires indexed completion mode"),
    (success(), f"{SUCCESS}: Required value: at least one rules must be specified when the successPolicy is specified"),
    (success({}),
     f"{SUCCESS}[0]: Required value: at least one of succeededCount or succeededIndexes must be specified"),
    (success({"succeededCount": 4}),
     f"{SUCCESS}[0].succeededCount: Invalid value: 4: must be less than or equal to 3 (the number of specified "
     "completions)"),
    (success({"succeededCount": 2, "succeededIndexes": "1"}),
     f"{SUCCESS}[0].succeededCount: Invalid value: 2: must be less than or equal to 1 (the number of indexes in the "
     "specified succeededIndexes field)"),
    (success({"succeededIndexes": "2,1"}),
     f'{SUCCESS}[0].succeededIndexes: Invalid value: "2,1": error parsing succeededIndexes: non-increasing order, '
     "previous: 2, current: 1"),
    ({"pods": {"restartPolicy": "Always"}},
     'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'),
    ({**rules(RULE), "pods": {"restartPolicy": "OnFailure"}},
     'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only "Never" is supported when podFailurePolicy is '
     "specified"),
    ({"pods": {"containers": []}}, "spec.template.spec.containers: Required value"),
    ({"pods": {"activeDeadlineSeconds": 0}},
     "spec.template.spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"),
    ({"manualSelector": True}, "spec.selector: Required value"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "words"), REFUSED, ids=[words[:60] for _, words in REFUSED])
def test_a_job_that_cannot_work_is_refused_in_upstreams_words(lab: Lab, spec: Object, words: str) -> None:
    assert words in refusal(lab, "jobs", job(**spec))


def test_one_fault_is_one_complaint(lab: Lab) -> None:
    for spec, words in (({"backoffLimit": -1}, "spec.backoffLimit"), (rules({"action": "Count"}), f"{FAILURE}[0]")):
        message = refusal(lab, "jobs", job(**spec))
        assert message.startswith(words)


def test_labels_that_contradict_the_selector_are_refused(lab: Lab) -> None:
    """validateGeneratedSelector."""
    assert "must be 'mine'" in refusal(lab, "jobs", job("mine", labels={"job-name": "other"}))
    assert "`selector` not auto-generated" in refusal(lab, "jobs", job(selector={"matchLabels": {"a": "b"}}))


def test_the_names_of_an_indexed_jobs_pods_have_to_be_host_names(lab: Lab) -> None:
    """ValidateJob: maximumPodHostname."""
    name = "x" * 61
    words = f"will not able to create pod with invalid DNS label: {name}-99"
    assert words in refusal(lab, "jobs", job(name, completionMode="Indexed", completions=100, parallelism=1))
    lab.client.create("jobs", job(name, completionMode="Indexed", completions=10, parallelism=1))


# changes


def change(lab: Lab, made: Object, spec: Object) -> str:
    """What is said against a change; "" for nothing."""
    try:
        lab.client.patch("jobs", made["metadata"]["name"], {"spec": spec}, "default")
    except ApiError as error:
        return error.message.partition(" is invalid: ")[2]
    return ""


@pytest.mark.parametrize("field", ["completions", "completionMode", "selector", "managedBy", "backoffLimitPerIndex"])
def test_what_a_job_was_made_with_stays(lab: Lab, field: str) -> None:
    """ValidateJobSpecUpdate."""
    values = {"completions": 2, "completionMode": "Indexed", "selector": {"matchLabels": {"a": "b"}},
              "managedBy": "example.com/me", "backoffLimitPerIndex": 3}  # fmt: skip
    more = {} if field == "completionMode" else {"completionMode": "NonIndexed"}
    if field == "backoffLimitPerIndex":
        more = {**INDEXED, field: 1}
    assert f"spec.{field}: Invalid value" in change(lab, lab.client.create("jobs", job(**more)), {field: values[field]})


@pytest.mark.parametrize("field", ["parallelism", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"])
def test_how_much_and_how_long_may_change(lab: Lab, field: str) -> None:
    assert change(lab, lab.client.create("jobs", job()), {field: 5}) == ""


def test_an_indexed_job_is_resized_together_with_its_parallelism(lab: Lab) -> None:
    """validateCompletions."""
    made = lab.client.create("jobs", job(**INDEXED))
    words = "spec.completions: Invalid value: 5: can only be modified in tandem with spec.parallelism"
    assert change(lab, made, {"completions": 5}) == words
    assert change(lab, made, {"completions": 5, "parallelism": 5}) == ""


def test_the_template_of_a_job_that_has_never_run_may_be_sent_elsewhere(lab: Lab) -> None:
    """validatePodTemplateUpdate: AllowMutableSchedulingDirectives."""
    elsewhere = {"template": {"metadata": {"annotations": {"a": "b"}}, "spec": {
        "nodeSelector": {"disk": "ssd"}, "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}}}}}  # fmt: skip
    other_work = {"template": {"spec": {"hostNetwork": True}}}
    suspended, started = (lab.client.create("jobs", job(suspend=True)) for _ in range(2))
    assert change(lab, suspended, elsewhere) == ""
    assert change(lab, suspended, other_work).startswith("spec.template: Invalid value")
    lab.client.update_status("jobs", {**started, "status": {"startTime": "2023-11-14T22:13:20Z"}})
    assert change(lab, started, elsewhere).startswith("spec.template: Invalid value")


# CronJobs


@pytest.mark.parametrize(("spec", "words"), [
    ({"schedule": ""}, "spec.schedule: Required value"),
    ({"schedule": "* * * *"},
     'spec.schedule: Invalid value: "* * * *": expected exactly 5 fields, found 4: [* * * *]'),
    ({"schedule": "99 * * * *"}, "end of range (99) above maximum (59): 99"),
    ({"schedule": "* * * * 7"}, "end of range (7) above maximum (6): 7"),
    ({"schedule": "0 0 0 * *"}, "beginning of range (0) below minimum (1): 0"),
    ({"schedule": "9-3 * * * *"}, "beginning of range (9) beyond end of range (3): 9-3"),
    ({"schedule": "*/0 * * * *"}, "step of range should be a positive number: */0"),
    ({"schedule": "1-2-3 * * * *"}, "too many hyphens: 1-2-3"),
    ({"schedule": "1/2/3 * * * *"}, "too many slashes: 1/2/3"),
    ({"schedule": "x * * * *"}, 'failed to parse int from x: strconv.Atoi: parsing \\"x\\": invalid syntax'),
    ({"schedule": "@sometimes"}, "unrecognized descriptor: @sometimes"),
    ({"schedule": "TZ=UTC 0 0 * * *"}, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"),
    ({"timeZone": "Nowhere/At-All"},
     'spec.timeZone: Invalid value: "Nowhere/At-All": unknown time zone Nowhere/At-All'),
    ({"timeZone": "Local"},
     "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"),
    ({"timeZone": "../etc"}, "unknown time zone ../etc"),
    ({"timeZone": ""}, "timeZone must be nil or non-empty string"),
    ({"concurrencyPolicy": "Queue"},
     'spec.concurrencyPolicy: Unsupported value: "Queue": supported values: "Allow", "Forbid", "Replace"'),
    ({"startingDeadlineSeconds": -1}, "spec.startingDeadlineSeconds: Invalid value: -1"),
    ({"failedJobsHistoryLimit": -1}, "spec.failedJobsHistoryLimit: Invalid value: -1"),
    ({"template": {"selector": {"matchLabels": {"a": "b"}}}},
     'spec.jobTemplate.spec.selector: Invalid value: {"matchLabels": {"a": "b"}}: `selector` will be auto-generated'),
    ({"template": {"manualSelector": True}},
     'spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"'),
    ({"template": {"backoffLimit": -1}}, "spec.jobTemplate.spec.backoffLimit: Invalid value: -1"),
    ({"name": "x" * 53}, "must be no more than 52 characters"),
])  # fmt: skip
def test_a_cron_job_that_cannot_work_is_refused_in_upstreams_words(lab: Lab, spec: Object, words: str) -> None:
    assert words.replace('\\"', '"') in refusal(lab, "cronjobs", cron_job(**spec)).replace('\\"', '"')


@pytest.mark.parametrize("spec", [
    {"schedule": "@every 90s"}, {"schedule": "0 0 30 2 *"}, {"schedule": "0/5 * ? JAN-dec sun"},
    {"timeZone": "Etc/UTC"}, {"timeZone": "America/Argentina/Buenos_Aires"}, {"name": "x" * 52},
])  # fmt: skip
def test_a_cron_job_that_upstream_takes_is_taken(lab: Lab, spec: Object) -> None:
    """Even the 30th of February: that it never comes is found out by the controller."""
    made = lab.client.create("cronjobs", cron_job(**spec))["spec"]
    assert (made["concurrencyPolicy"], made["suspend"]) == ("Allow", False)
    assert (made["successfulJobsHistoryLimit"], made["failedJobsHistoryLimit"]) == (3, 1)
