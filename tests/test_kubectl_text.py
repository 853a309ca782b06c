"""kubectl's text: columns, times, JSONPath, formats and what the columns of each kind say."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from k8snb.apimachinery import jsonpath, kinds
from k8snb.clock import timestamp
from k8snb.kubectl import formats
from k8snb.kubectl.output import KubectlError, columns_text
from k8snb.printers import columns as printers
from k8snb.printers import duration
from k8snb.printers import pods as pod_columns
from k8snb.printers.tabwriter import align

NOW = 1_700_000_000.0


# columns


def test_a_column_is_as_wide_as_its_widest_cell_and_two_spaces() -> None:
    assert align("Name:\tweb\nNamespace:\tdefault") == "Name:       web\nNamespace:  default"


def test_a_column_ends_where_a_line_has_no_cell_in_it() -> None:
    assert align("a\tb\nlong line\nccc\td") == "a  b\nlong line\nccc  d"


def test_inner_columns_align_within_the_lines_that_have_them() -> None:
    text = "Port:\t<unset>\t80/TCP\nTargetPort:\t8080/TCP"
    assert align(text) == "Port:        <unset>  80/TCP\nTargetPort:  8080/TCP"


def test_tables_have_three_spaces_and_six_at_least() -> None:
    assert columns_text([["A", "B"], ["x", "y"]]) == "A     B\nx     y\n"
    assert columns_text([["NAME", "AGE"], ["longer-name", "1s"]]) == "NAME          AGE\nlonger-name   1s\n"


def test_no_rows_are_no_text() -> None:
    assert columns_text([]) == ""


# times


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "<invalid>"), (-1, "0s"), (0, "0s"), (59.9, "59s"), (119, "119s"), (120, "2m"), (330, "5m30s"), (600, "10m"),
     (7200, "120m"), (3 * 3600, "3h"), (3 * 3600 + 60, "3h1m"), (8 * 3600, "8h"), (47 * 3600, "47h"), (48 * 3600, "2d"),
     (51 * 3600, "2d3h"), (8 * 86400, "8d"), (400 * 86400, "400d"), (731 * 86400, "2y1d"), (3000 * 86400, "8y")],
)  # fmt: skip
def test_a_duration_has_two_digits_of_precision(seconds: float, text: str) -> None:
    assert duration.human(seconds) == text


def test_an_object_without_a_time_has_an_unknown_age() -> None:
    assert duration.age(None, NOW) == "<unknown>"


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("1m30s", 90), ("1.5h", 5400), ("0", 0), ("100ms", 0.1), ("-1s", -1)]
)
def test_durations_are_read_as_go_reads_them(text: str, seconds: float) -> None:
    assert duration.parse(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["30", "", "s", "1d", "1m 30s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration"):
        duration.parse(text)


# JSONPath

PODS: dict[str, Any] = {
    "items": [
        {"metadata": {"name": "a", "labels": {"app.io/x": "1"}}, "n": 1,
         "conditions": [{"type": "Ready", "status": "True"}, {"type": "X", "status": "False"}]},
        {"metadata": {"name": "b"}, "n": 3, "conditions": []},
    ]
}  # fmt: skip


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{.items[*].metadata.name}", "a b"),
        ("{.items[0].metadata.name}", "a"),
        ("{.items[-1].metadata.name}", "b"),
        ("{.items[-1:].metadata.name}", "b"),
        ("{.items[0,1].metadata.name}", "a b"),
        ("{$.items[1].metadata.name}", "b"),
        ("{..name}", "a b"),
        ("{.items..status}", "True False"),
        ('{range .items[*]}{.metadata.name}{"\\t"}{.n}{"\\n"}{end}', "a\t1\nb\t3\n"),
        ('{.items[0].conditions[?(@.type=="Ready")].status}', "True"),
        ("{.items[?(@.n>2)].metadata.name}", "b"),
        ("{.items[?(@.metadata.labels)].metadata.name}", "a"),
        ("{.items[0].metadata.labels.app\\.io/x}", "1"),
        ("{.items[0].metadata.labels['app\\.io/x']}", "1"),
        ("{.items[0].metadata['name','labels']}", 'a {"app.io/x":"1"}'),
        ("count: {.items[1].n}!", "count: 3!"),
        ("{.nothing}", ""),
        ("{.items[*].n}", "1 3"),
    ],
)
def test_jsonpath_speaks_kubectls_dialect(template: str, text: str) -> None:
    assert jsonpath.Template(template).render(PODS) == text


@pytest.mark.parametrize("template", ["{.items[*}", "{.items", "{range .items[*]}x", "{end}", "{.items[x]}"])
def test_a_template_that_cannot_be_read_is_refused(template: str) -> None:
    with pytest.raises(jsonpath.JsonPathError):
        jsonpath.Template(template)


def test_a_missing_field_is_an_error_when_asked_for() -> None:
    with pytest.raises(jsonpath.MissingFieldError, match="nothing is not found"):
        jsonpath.Template("{.nothing}").render(PODS, missing_ok=False)


# formats


def test_yaml_is_in_block_style_sorted_and_quotes_what_would_be_no_string() -> None:
    value = {"b": ["x", {"c": 1}], "a": {"port": "80", "on": "yes", "t": "2024-01-01T00:00:00Z", "empty": ""}}
    expected = 'a:\n  empty: ""\n  "on": "yes"\n  port: "80"\n  t: "2024-01-01T00:00:00Z"\nb:\n- x\n- c: 1\n'
    assert formats.to_yaml(value) == expected


def test_yaml_has_no_aliases_and_keeps_lines() -> None:
    shared = {"app": "web"}
    text = formats.to_yaml({"p": shared, "q": shared, "r": "one\ntwo\n"})
    assert text == "p:\n  app: web\nq:\n  app: web\nr: |\n  one\n  two\n"


@pytest.mark.parametrize(
    "value", ["1e3", "0x10", "null", "~", "true", "off", "1.5", "a: b", "- x", "*", "#", "é", " x "]
)
def test_yaml_strings_come_back_as_strings(value: str) -> None:
    assert yaml.safe_load(formats.to_yaml({"k": value})) == {"k": value}


def pod(name: str = "web", **status: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default", "creationTimestamp": timestamp(NOW - 90), "managedFields": [1]}
    spec = {"containers": [{"name": "c", "image": "nginx"}, {"name": "d", "image": "redis"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def test_managed_fields_are_hidden_unless_asked_for() -> None:
    assert "managedFields" not in formats.render([pod()], "yaml", single=True)
    assert "managedFields" in formats.render([pod()], "yaml", single=True, managed_fields=True)


def test_several_objects_are_one_list() -> None:
    text = yaml.safe_load(formats.render([pod("a"), pod("b")], "yaml"))
    assert (text["kind"], [item["metadata"]["name"] for item in text["items"]]) == ("List", ["a", "b"])


def test_names_carry_the_type_and_its_group() -> None:
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    assert formats.render([pod(), deployment], "name") == "pod/web\ndeployment.apps/web\n"


def test_custom_columns_join_several_values_and_mark_none() -> None:
    spec = "custom-columns=NAME:.metadata.name,IMAGES:.spec.containers[*].image,NODE:.spec.nodeName"
    text = formats.render([pod()], spec)
    assert text == "NAME   IMAGES        NODE\nweb    nginx,redis   <none>\n"
    assert formats.render([pod()], spec, headers=False) == "web   nginx,redis   <none>\n"


@pytest.mark.parametrize(
    ("format", "words"),
    [("go-template={{.x", "unclosed action"), ("foo", "unable to match a printer"),
     ("custom-columns=NAME", "expected <header>:<json-path-expr>"), ("jsonpath", "no template given"),
     ("jsonpath={.x", "unclosed action")],
)  # fmt: skip
def test_a_format_that_is_not_there_is_refused(format: str, words: str) -> None:
    with pytest.raises(KubectlError, match=words):
        formats.render([pod()], format)


# pods

RUNNING = {"running": {"startedAt": timestamp(NOW)}}
CRASHED = {"waiting": {"reason": "CrashLoopBackOff"}}
DONE = {"terminated": {"exitCode": 0, "reason": "Completed"}}
FAILED = {"terminated": {"exitCode": 3}}


def container(
    name: str, state: dict[str, Any], *, ready: bool = False, restarts: int = 0, **more: Any
) -> dict[str, Any]:
    return {"name": name, "state": state, "ready": ready, "restartCount": restarts, **more}


def ready(value: str = "True") -> list[dict[str, str]]:
    return [{"type": "Ready", "status": value}]


@pytest.mark.parametrize(
    ("status", "ready_cell", "word"),
    [
        ({"phase": "Pending"}, "0/2", "Pending"),
        ({"phase": "Running", "containerStatuses": [container("c", RUNNING, ready=True),
                                                    container("d", RUNNING, ready=True)]}, "2/2", "Running"),
        ({"phase": "Running", "containerStatuses": [container("c", RUNNING, ready=True),
                                                    container("d", CRASHED)]}, "1/2", "CrashLoopBackOff"),
        ({"phase": "Pending", "containerStatuses": [container("c", {"waiting": {"reason": "ImagePullBackOff"}})]},
         "0/2", "ImagePullBackOff"),
        ({"phase": "Succeeded", "containerStatuses": [container("c", DONE)]}, "0/2", "Completed"),
        ({"phase": "Failed", "containerStatuses": [container("c", FAILED)]}, "0/2", "ExitCode:3"),
        ({"phase": "Running", "conditions": ready("False"),
          "containerStatuses": [container("c", DONE), container("d", RUNNING, ready=True)]}, "1/2", "NotReady"),
        ({"phase": "Failed", "reason": "Evicted"}, "0/2", "Evicted"),
    ],
)  # fmt: skip
def test_a_pods_status_is_worked_out_from_its_containers(status: dict[str, Any], ready_cell: str, word: str) -> None:
    cells = pod_columns.cells(pod(**status), NOW)
    assert (cells[1], cells[2]) == (ready_cell, word)


def test_a_pod_that_initializes_says_how_far_it_is() -> None:
    waiting = pod(phase="Pending", initContainerStatuses=[container("a", DONE), container("b", RUNNING)])
    waiting["spec"]["initContainers"] = [{"name": "a"}, {"name": "b"}]
    assert pod_columns.status(waiting) == "Init:1/2"
    failing = pod(phase="Pending", initContainerStatuses=[container("a", FAILED)])
    failing["spec"]["initContainers"] = [{"name": "a"}]
    assert pod_columns.status(failing) == "Init:ExitCode:3"


def test_a_pod_that_is_being_deleted_is_terminating_unless_it_has_ended() -> None:
    ending = pod(phase="Running")
    ending["metadata"]["deletionTimestamp"] = timestamp(NOW)
    assert pod_columns.status(ending) == "Terminating"
    ended = {**ending, "status": {"phase": "Succeeded"}}
    assert pod_columns.status(ended) == "Succeeded"


def test_restarts_say_when_the_last_one_was() -> None:
    last = {"terminated": {"exitCode": 1, "finishedAt": timestamp(NOW - 5)}}
    crashed = pod(phase="Running", containerStatuses=[container("c", RUNNING, restarts=2, lastState=last)])
    assert pod_columns.cells(crashed, NOW)[3] == "2 (5s ago)"


def test_a_sidecar_counts_among_the_containers() -> None:
    running = pod(
        phase="Running",
        initContainerStatuses=[container("s", RUNNING, ready=True, started=True)],
        containerStatuses=[container("c", RUNNING, ready=True), container("d", RUNNING, ready=True)],
    )
    running["spec"]["initContainers"] = [{"name": "s", "restartPolicy": "Always"}]
    assert pod_columns.cells(running, NOW)[1] == "3/3"


# other kinds


def shown(word: str, obj: dict[str, Any]) -> dict[str, Any]:
    """One object's cells by column."""
    kind = kinds.find(word)
    assert kind is not None
    table = printers.table(kind, [obj], NOW)
    return dict(zip([column.name for column in table.columns], table.rows[0].cells, strict=True))


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "s"}, "spec": {"clusterIP": "10.0.0.1", **spec}}


def test_a_services_ports_name_the_node_port() -> None:
    ports = [{"port": 80, "protocol": "TCP"}, {"port": 443, "nodePort": 30001, "protocol": "UDP"}]
    assert shown("svc", service(ports=ports))["PORT(S)"] == "80/TCP,443:30001/UDP"


@pytest.mark.parametrize(
    ("spec", "address"),
    [({}, "<none>"), ({"externalIPs": ["1.2.3.4"]}, "1.2.3.4"), ({"type": "LoadBalancer"}, "<pending>"),
     ({"type": "ExternalName", "externalName": "example.com"}, "example.com")],
)  # fmt: skip
def test_a_services_external_address(spec: dict[str, Any], address: str) -> None:
    assert shown("svc", service(**spec))["EXTERNAL-IP"] == address


def test_a_nodes_status_says_that_scheduling_is_off() -> None:
    node = {"metadata": {"name": "n", "labels": {"node-role.kubernetes.io/control-plane": ""}},
            "spec": {"unschedulable": True}, "status": {"conditions": ready()}}  # fmt: skip
    cells = shown("no", node)
    assert (cells["STATUS"], cells["ROLES"]) == ("Ready,SchedulingDisabled", "control-plane")


def test_endpoints_name_three_and_count_the_rest() -> None:
    addresses = [{"ip": f"10.0.0.{number}"} for number in range(1, 6)]
    endpoints = {"metadata": {"name": "e"}, "subsets": [{"addresses": addresses, "ports": [{"port": 80}]}]}
    assert shown("ep", endpoints)["ENDPOINTS"] == "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more..."
    assert shown("ep", {"metadata": {"name": "e"}})["ENDPOINTS"] == "<none>"


def test_a_selector_is_shown_as_it_is_typed() -> None:
    selector = {
        "matchLabels": {"app": "web"},
        "matchExpressions": [{"key": "env", "operator": "In", "values": ["qa", "prod"]},
                             {"key": "old", "operator": "DoesNotExist"}],
    }  # fmt: skip
    assert printers.selector_text(selector) == "app=web,env in (prod,qa),!old"


@pytest.mark.parametrize("kind", kinds.KINDS, ids=lambda kind: str(kind.kind))
def test_every_kind_has_columns_and_survives_an_empty_object(kind: kinds.Kind) -> None:
    table = printers.table(kind, [{"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "x"}}], NOW)
    assert len(table.rows[0].cells) == len(table.columns)
    assert table.text.splitlines()[0].split()[0] in ("NAME", "LAST")
