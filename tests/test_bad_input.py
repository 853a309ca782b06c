"""Bad input: each mistake is one line in kubectl's words with its place in the cell, and the next cell works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from notebook_lab import Notebook, fresh_shell, make

from k8snb.notebook import extension

DEPLOYMENT = """%%kapply
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector:
    matchLabels:
      app: web
  template:
    metadata:
      labels:
        app: web
    spec:
      containers:
      - name: web
        image: nginx:1.7.9
"""
POD = """%%kapply
apiVersion: v1
kind: Pod
metadata:
  name: web
  labels:
    app: web
spec:
  containers:
  - name: web
    image: nginx
"""
SERVICE = """%%kapply
apiVersion: v1
kind: Service
metadata:
  name: nginx
spec:
  selector:
    app: nginx
  ports:
  - port: 80
"""
CONFIG_MAP = """apiVersion: v1
kind: ConfigMap
metadata:
  name: {}
"""


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[InteractiveShell]:
    with fresh_shell(tmp_path) as shell:
        yield shell


@pytest.fixture
def notebook(shell: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> Notebook:
    extension.load(shell, make)
    notebook = Notebook(shell, capsys)
    notebook.settle()
    return notebook


def refused(notebook: Notebook, cell: str, *, line: int) -> str:
    """The message about a cell that changes nothing: one line with its place, and beneath it that line of the cell."""
    before = notebook.cluster.store.revision
    message, *quoted = notebook.error(cell).splitlines()
    assert notebook.cluster.store.revision == before
    assert message.endswith(f"(cell line {line})") and len(re.findall(r"line \d", message)) == 1, message
    assert quoted == [f"  line {line}: {cell.splitlines()[line - 1]}"]
    assert len(notebook.run("%kget nodes")) == 4
    return message


# YAML


@pytest.mark.parametrize(
    ("right", "wrong", "line", "words"),
    [
        ("replicas: 2", "replicas: [2", 7, "a quote or bracket is not closed"),
        ("name: web\nspec", 'name: "web\nspec', 5, "a quote or bracket is not closed"),
        ("  selector:", "    selector:", 8, "a key below a plain value"),
        ("  replicas: 2", " replicas: 2", 8, "or this one is indented too far"),
        ("kind: Deployment", "kind Deployment", 3, 'a key without a colon: write "key: value"'),
        ("image: nginx:1.7.9", "image: nginx: 1.7.9", 18, "a second colon: put the value in quotes"),
    ],
)
def test_yaml_that_does_not_parse_is_an_error_at_its_line(
    notebook: Notebook, right: str, wrong: str, line: int, words: str
) -> None:
    message = refused(notebook, DEPLOYMENT.replace(right, wrong), line=line)
    assert message.startswith("error: error parsing the cell: ") and words in message


def test_a_tab_is_named(notebook: Notebook) -> None:
    message = refused(notebook, DEPLOYMENT.replace("  replicas: 2", "\treplicas: 2"), line=7)
    assert message == "error: error parsing the cell: a tab: YAML is indented with spaces only (cell line 7)"


def test_a_key_that_is_set_twice_is_named_with_both_lines_of_the_cell(notebook: Notebook) -> None:
    shown = notebook.error(DEPLOYMENT.replace("  replicas: 2\n", "  replicas: 2\n  replicas: 3\n"))
    assert shown.startswith(
        'error: error parsing the cell: key "replicas" is already set at line 7 (cell line 8)\n  line 8:   replicas: 3'
    )


def test_json_that_is_cut_off_is_an_error_at_its_last_line(notebook: Notebook) -> None:
    assert "invalid JSON" in refused(notebook, '%%kapply\n{"apiVersion": "v1",\n"kind": [\n', line=3)


def test_a_character_that_yaml_has_not_is_named(notebook: Notebook) -> None:
    message = refused(notebook, DEPLOYMENT.replace("name: web\nspec", "name: we\x07b\nspec"), line=5)
    assert "the character '\\x07' is not allowed in YAML" in message


def test_what_is_nested_without_end_is_one_line(notebook: Notebook) -> None:
    for text in ("[" * 3000, "a: " + "{a: " * 2000 + "1" + "}" * 2000, "{a: " * 100_000, "- " * 100_000 + "x"):
        said = notebook.error("%%kapply\n" + text).splitlines()[0]
        assert said.startswith("error: error parsing the cell: more than 100 levels of maps and lists in each other")


# what every object has


@pytest.mark.parametrize(
    ("missing", "line", "words"),
    [
        ("apiVersion: apps/v1\n", 2, "apiVersion not set; add a line apiVersion: apps/v1"),
        ("kind: Deployment\n", 2, "kind not set; add a line kind: Pod"),
        ("metadata:\n  name: web\n", 2, "metadata.name: Required value: name or generateName is required"),
        ("  name: web\n", 4, "metadata.name: Required value: name or generateName is required"),
        (DEPLOYMENT[DEPLOYMENT.index("spec:") :], 2, "spec: Required value; add a spec"),
    ],
    ids=["apiVersion", "kind", "metadata", "metadata.name", "spec"],
)
def test_what_is_missing_is_named_with_what_to_write(notebook: Notebook, missing: str, line: int, words: str) -> None:
    message = refused(notebook, DEPLOYMENT.replace(missing, "", 1), line=line)
    assert message.startswith(f"error: error validating the cell: error validating data: {words}")


def test_an_unknown_kind_names_the_nearest(notebook: Notebook) -> None:
    message = refused(notebook, DEPLOYMENT.replace("kind: Deployment", "kind: Deploymnt"), line=3)
    assert 'no matches for kind "Deploymnt" in version "apps/v1" (did you mean "Deployment"?)' in message


@pytest.mark.parametrize("version", ["apps/v1beta9", "extensions/v1beta1", "v1"])
def test_an_unknown_version_names_the_one_that_has_the_kind(notebook: Notebook, version: str) -> None:
    message = refused(notebook, DEPLOYMENT.replace("apps/v1", version), line=2)
    assert f'no matches for kind "Deployment" in version "{version}" (Deployment is in apps/v1)' in message


@pytest.mark.parametrize(
    ("right", "wrong", "line", "path"),
    [
        ("replicas: 2", "replica: 2", 7, "spec.replica"),
        ("image: nginx", "imagee: nginx", 18, "spec.template.spec.containers[0].imagee"),
        ("matchLabels:", "matchLabel:", 9, "spec.selector.matchLabel"),
    ],
)
def test_an_unknown_field_names_the_nearest(notebook: Notebook, right: str, wrong: str, line: int, path: str) -> None:
    message = refused(notebook, DEPLOYMENT.replace(right, wrong), line=line)
    assert message.startswith("Error from server (BadRequest): error when creating the cell: ")
    assert f'unknown field "{path}" (did you mean "' in message


# values


def test_a_selector_that_does_not_match_its_own_template_is_refused(notebook: Notebook) -> None:
    message = refused(notebook, DEPLOYMENT.replace("      app: web\n  template", "      app: wob\n  template"), line=13)
    assert message.startswith('The Deployment "web" is invalid: spec.template.metadata.labels: Invalid value: ')
    assert "`selector` does not match template `labels`" in message


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("    a!b: web\n", "name part must consist of alphanumeric characters"),
        ("    app: we b\n", "a valid label must be an empty string or consist of alphanumeric characters"),
        (f"    app: {'x' * 64}\n", "must be no more than 63 characters"),
    ],
)
def test_a_bad_label_is_refused_at_its_own_line(notebook: Notebook, wrong: str, words: str) -> None:
    message = refused(notebook, POD.replace("    app: web\n", "    tier: front\n" + wrong), line=8)
    assert message.startswith('The Pod "web" is invalid: metadata.labels: Invalid value: ') and words in message


def test_each_of_several_faults_has_its_own_line(notebook: Notebook) -> None:
    shown = notebook.error(POD.replace("    app: web\n", "    a!b: web\n    app: we b\n"))
    assert re.findall(r"^\* metadata.labels: .*\(cell line (\d)\)$", shown, re.MULTILINE) == ["7", "8"]


@pytest.mark.parametrize("wrong", ["64 megs", "1.5.5", "12MB", "abc"])
def test_a_bad_quantity_says_how_quantities_are_written(notebook: Notebook, wrong: str) -> None:
    message = refused(notebook, POD + f"    resources:\n      requests:\n        memory: {wrong}\n", line=14)
    assert f'spec.containers[0].resources.requests.memory: Invalid value: "{wrong}"' in message


def test_a_word_where_a_number_belongs_is_refused(notebook: Notebook) -> None:
    message = refused(notebook, DEPLOYMENT.replace("replicas: 2", "replicas: two"), line=7)
    assert 'spec.replicas: Invalid value: "two": must be an integer' in message


# several documents


def test_of_three_documents_with_the_second_wrong_the_others_are_applied_and_named(notebook: Notebook) -> None:
    wrong = CONFIG_MAP.format("b").replace("name", "nme")
    cell = "%%kapply\n" + "---\n".join([CONFIG_MAP.format("a"), wrong, CONFIG_MAP.format("c")])
    first, second, quoted = notebook.error(cell).splitlines()
    assert "metadata.name: Required value" in first and first.endswith("(cell line 9)")
    assert second == "(done all the same: configmap/a created, configmap/c created)"
    assert quoted == "  line 9: metadata:"
    names = [obj["metadata"]["name"] for obj in notebook.run("%kget configmaps")]
    assert {"a", "c"} <= set(names) and "b" not in names


def test_of_three_documents_the_server_refuses_one_and_says_so(notebook: Notebook) -> None:
    wrong = POD.replace("%%kapply\n", "").replace("app: web", "app: we b")
    cell = "%%kapply\n" + "---\n".join([CONFIG_MAP.format("a"), wrong, CONFIG_MAP.format("c")])
    first, second, _ = notebook.error(cell).splitlines()
    assert first.startswith('The Pod "web" is invalid: ') and first.endswith("(cell line 12)")
    assert second == "(done all the same: configmap/a created, configmap/c created)"


def test_of_three_documents_none_is_applied_when_one_cannot_be_read(notebook: Notebook) -> None:
    wrong = CONFIG_MAP.format("[b")
    refused(notebook, "%%kapply\n" + "---\n".join([CONFIG_MAP.format("a"), wrong, CONFIG_MAP.format("c")]), line=10)


# what the server takes, and nothing comes of


def hints(notebook: Notebook, cell: str) -> list[str]:
    found: list[str] = notebook.run(cell).output.hints
    return found


def test_a_pod_that_fits_no_node_is_pending_with_the_reasons(notebook: Notebook) -> None:
    notebook.run(POD + "    resources:\n      requests:\n        cpu: 1000\n")
    reason = (
        "0/4 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
        "3 Insufficient cpu."
    )
    pods = notebook.run("%kget pods")
    assert "Pending" in pods.text and pods.output.hints[0].startswith(f"pod/web: {reason}")
    assert "FailedScheduling" in notebook.run("%kdescribe pod web").text
    assert reason in notebook.run("%kdescribe pod web").text


def test_a_host_port_that_is_taken_on_every_node_keeps_a_pod_pending(notebook: Notebook) -> None:
    with_port = POD + "    ports:\n    - containerPort: 80\n      hostPort: 8080\n"
    for number in range(4):
        notebook.run(with_port.replace("name: web", f"name: web-{number}", 1))
    (hint,) = hints(notebook, "%kget pods")
    assert "3 node(s) didn't have free ports for the requested pod ports" in hint


def test_a_node_port_that_is_taken_is_refused_at_its_line(notebook: Notebook) -> None:
    taken = SERVICE.replace("  ports:", "  type: NodePort\n  ports:").replace("80\n", "80\n    nodePort: 30080\n")
    notebook.run(taken)
    message = refused(notebook, taken.replace("name: nginx", "name: other"), line=12)
    assert "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated" in message


def test_a_service_that_selects_nothing_names_the_nearest_pods(notebook: Notebook) -> None:
    notebook.run("%kcreate deployment web --image=nginx --replicas=2")
    names = ", ".join(obj["metadata"]["name"] for obj in notebook.run("%kget pods"))
    said = f"service/nginx selects no pods (app=nginx); nearest: {names} have app=web"
    assert hints(notebook, SERVICE) == [said]
    assert hints(notebook, "%kdescribe service nginx") == [said]
    assert hints(notebook, SERVICE.replace("app: nginx", "app: web")) == []


@pytest.mark.parametrize(
    ("selector", "near"),
    [
        ("app: other", True),  # another value
        ("run: web", True),  # another key
        ("ap: wep", True),  # a slip of the pen in both
        ("app: web\n    tier: front", True),  # a pair too many
        ("colour: green", False),
    ],
)
def test_near_is_what_one_key_or_value_would_have_made_right(notebook: Notebook, selector: str, near: bool) -> None:
    notebook.run(POD)
    (hint,) = hints(notebook, SERVICE.replace("app: nginx", selector))
    assert hint.startswith("service/nginx selects no pods (") and ("; nearest: web has app=web" in hint) is near


# containers that do not start


def in_trouble(notebook: Notebook) -> list[str]:
    """The hints of `get pods` after a minute, the same as those of `describe`."""
    notebook.cluster.run_for(60)
    pods = notebook.shell.run_cell("%kget pods").result
    described = notebook.shell.run_cell("%kdescribe pods").result
    assert described.output.hints == pods.output.hints
    found: list[str] = pods.output.hints
    return found


def submit(notebook: Notebook, cell: str) -> None:
    """Run a cell and let the cluster go on for a moment, for what never comes to rest."""
    assert notebook.shell.run_cell(cell).success
    notebook.cluster.run_for(1)


def test_a_command_that_exits_at_once_waits_for_its_next_try(notebook: Notebook) -> None:
    submit(notebook, "%krun y --image=busybox --command -- sh -c 'exit 2'")
    (hint,) = in_trouble(notebook)
    assert re.fullmatch(r"pod/y: CrashLoopBackOff: back-off \w+; next try at \d\d:\d\d:\d\dZ", hint)
    described = notebook.shell.run_cell("%kdescribe pod y").result.text
    assert re.search(r"State: +Waiting\n +Reason: +CrashLoopBackOff\n", described)
    assert re.search(r"Last State: +Terminated\n +Reason: +Error\n +Exit Code: +2\n", described)
    assert "CrashLoopBackOff" in notebook.shell.run_cell("%kget pods").result.text


def test_the_hints_about_very_many_pods_are_few(notebook: Notebook) -> None:
    submit(notebook, "%kcreate deployment y --image=busybox --replicas=7 -- sh -c 'exit 2'")
    *shown, more = in_trouble(notebook)
    assert len(shown) == 3 and more == "4 more like these: kubectl describe pods"


@pytest.mark.process
def test_an_unknown_image_is_not_pulled_and_the_way_out_is_said(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K8SNB_RUNTIME", "process")
    extension.load(shell)
    assert shell.run_cell("%krun x --image=doesnotexist/foo:1").success
    reason = "{.status.containerStatuses[0].state.waiting.reason}"
    assert shell.run_cell(f"%kwait --for=jsonpath='{reason}'=ImagePullBackOff pod/x").success
    (hint,) = shell.run_cell("%kget pods").result.output.hints
    assert 'ErrImagePull: image "doesnotexist/foo:1" is not in k8snb\'s catalogue' in hint
    assert "use Docker, or the simulated runtime" in hint and re.search(r"; next try at \d\d:\d\d:\d\dZ$", hint)
    assert re.search(r"State: +Waiting\n +Reason: +ImagePullBackOff\n", shell.run_cell("%kdescribe pod x").result.text)
    waits = 'container "x" in pod "x" is waiting to start: trying and failing to pull image'
    assert Notebook(shell, capsys).error("%klogs x") == f"Error from server (BadRequest): {waits}"
    assert shell.run_cell("%kdelete pod x --now").success


# names and words


def test_a_word_that_is_no_verb_names_the_nearest(notebook: Notebook) -> None:
    assert notebook.error("%kubectl gett pods") == 'error: unknown command "gett" for "kubectl" (did you mean "get"?)'


def test_an_object_that_is_not_there_is_not_found(notebook: Notebook) -> None:
    for cell in ("%kget pod nope", "%kdelete pod nope", "%kexec nope -- date", "%kdraw pod/nope"):
        assert notebook.error(cell) == 'Error from server (NotFound): pods "nope" not found'
    said = 'error: error from server (NotFound): pods "nope" not found in namespace "default"'
    assert notebook.error("%klogs nope") == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--nodes=x", 'invalid argument "x" for "-n, --nodes" flag: not a whole number'),
        ("--nodes=0 --name none", "invalid number of nodes 0"),
        ("--runtime=podman", 'invalid runtime "podman": one of auto, docker, process, simulated'),
    ],
)
def test_a_cluster_that_cannot_be_had_is_refused_and_not_kept(notebook: Notebook, words: str, said: str) -> None:
    assert said in notebook.error(f"%kcluster start {words}")
    assert list(notebook.run("%kcluster profile list").df["PROFILE"]) == ["k8snb"]
    assert len(notebook.run("%kget nodes")) == 4


def test_a_stopped_cluster_says_how_to_go_on(notebook: Notebook) -> None:
    notebook.run(POD)
    notebook.run("%kcluster stop")
    for cell in ("%kget pods", DEPLOYMENT, "%kdraw", "%kcluster step"):
        assert notebook.error(cell) == "the cluster is stopped: %kcluster start"
    notebook.run("%kcluster start")
    assert "Running" in notebook.run("%kget pods").text
