"""kubectl's commands against a real apiserver: what they write and what they say."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8snb.apimachinery.meta import get_path
from k8snb.apiserver.server import ApiServer
from k8snb.client import Client, User
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.etcd.memory import MemoryStore
from k8snb.kubectl import Kubectl, KubectlError

POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: p
  labels: {app: p}
spec:
  containers:
  - name: c
    image: nginx
"""
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: s}
spec:
  selector: {app: ngnix}
  ports: [{port: 80}]
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: d
spec:
  replicas: 3
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec:
      containers: [{name: c, image: nginx}]
"""

Refused = Callable[..., KubectlError]


@pytest.fixture
def kubectl() -> Kubectl:
    clock = VirtualClock()
    server = ApiServer(MemoryStore(), clock, dice=random.Random(1), service_cidr="10.96.0.0/16")
    server.bootstrap()
    return Kubectl(Client(server), clock_now=clock.now)


@pytest.fixture
def refused(kubectl: Kubectl) -> Refused:
    """Run a line that has to fail, and give its error."""

    def run(line: str, stdin: str | None = None) -> KubectlError:
        with pytest.raises(KubectlError) as caught:
            kubectl.run(line, stdin)
        return caught.value

    return run


def text(kubectl: Kubectl, line: str, stdin: str | None = None) -> str:
    return kubectl.run(line, stdin).text


# get


def test_get_shows_a_table_and_carries_the_objects(kubectl: Kubectl) -> None:
    output = kubectl.run("get namespaces")
    assert output.text.splitlines()[0].split() == ["NAME", "STATUS", "AGE"]
    assert output.objects[0]["metadata"]["name"] == "default"
    assert output.table is not None and output.table.rows[0].object is output.objects[0]


def test_nothing_found_says_where(kubectl: Kubectl) -> None:
    assert text(kubectl, "get pods") == "No resources found in default namespace.\n"
    assert text(kubectl, "get pods -A") == "No resources found\n"
    assert text(kubectl, "get nodes") == "No resources found\n"
    assert text(kubectl, "get pods -o name") == ""


def test_get_all_names_the_kind_before_each_name(kubectl: Kubectl) -> None:
    text(kubectl, "create deployment web --image=nginx")
    shown = text(kubectl, "get all")
    assert "service/kubernetes " in shown and "deployment.apps/web " in shown and "\n\n" in shown


def test_types_and_names_may_be_joined_and_lists_have_commas(kubectl: Kubectl) -> None:
    text(kubectl, "create deployment web --image=nginx")
    for line in ("get deploy/web svc/kubernetes", "get deployments,services"):
        assert [obj["kind"] for obj in kubectl.run(line).objects] == ["Deployment", "Service"]
    assert "deployment.apps/web" not in text(kubectl, "get deploy web")


def test_what_is_not_found_is_told_beside_what_is(kubectl: Kubectl) -> None:
    output = kubectl.run("get ns default nowhere")
    assert output.exit_code == 1 and len(output.objects) == 1
    assert output.errors == ['Error from server (NotFound): namespaces "nowhere" not found']


def test_all_namespaces_get_a_column_of_their_own(kubectl: Kubectl) -> None:
    assert text(kubectl, "get svc -A").startswith("NAMESPACE   NAME ")


def test_labels_can_be_columns(kubectl: Kubectl) -> None:
    text(kubectl, "run web --image=nginx -l app=web,tier=front")
    lines = text(kubectl, "get pods -L tier --show-labels").splitlines()
    assert lines[0].endswith("TIER    LABELS") and lines[1].endswith("front   app=web,tier=front")


def test_headers_can_be_left_out(kubectl: Kubectl) -> None:
    assert not text(kubectl, "get ns --no-headers").startswith("NAME")


def test_rows_can_be_sorted_by_a_field(kubectl: Kubectl, refused: Refused) -> None:
    for name in ("web-10", "web-9", "web-1"):
        text(kubectl, f"run {name} --image=nginx")
    names = text(kubectl, "get pods --sort-by=.metadata.name -o name").split()
    assert names == ["pod/web-1", "pod/web-9", "pod/web-10"]
    assert "couldn't find any field" in refused("get pods --sort-by=.spec.nothing").message


def test_selectors_narrow_a_list(kubectl: Kubectl, refused: Refused) -> None:
    text(kubectl, "run a --image=nginx -l app=a,env=qa")
    text(kubectl, "run b --image=nginx -l app=b")
    assert text(kubectl, "get pods -l 'env in (qa, prod),app!=b' -o name") == "pod/a\n"
    assert text(kubectl, "get pods -l '!env' -o name") == "pod/b\n"
    assert text(kubectl, "get pods --field-selector metadata.name=b -o name") == "pod/b\n"
    assert "unable to parse requirement" in refused("get pods -l 'env in (qa'").message
    assert "name cannot be provided when a selector" in refused("get pods a -l app=a").message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("get", "You must specify the type of resource to get"),
        ("get dploy", 'the server doesn\'t have a resource type "dploy" (did you mean "deploy"?)'),
        ("get pod web", 'Error from server (NotFound): pods "web" not found'),
        ("get pods web svc/x", "there is no need to specify a resource type as a separate argument"),
        ("get -f nowhere.yaml", 'the path "nowhere.yaml" does not exist'),
        ("kustomize --mount=x", "kubectl kustomize --mount: not implemented by k8snb: it is for plug-ins"),
    ],
)
def test_a_refusal_has_kubectls_words(refused: Refused, line: str, words: str) -> None:
    assert words in refused(line).message


def test_a_single_object_is_no_list_in_yaml(kubectl: Kubectl) -> None:
    assert yaml.safe_load(text(kubectl, "get ns default -o yaml"))["kind"] == "Namespace"
    assert json.loads(text(kubectl, "get ns -o json"))["kind"] == "List"


# create


def test_create_makes_every_document_and_says_so(kubectl: Kubectl) -> None:
    assert text(kubectl, "create -f -", POD + "---\n" + DEPLOYMENT) == "pod/p created\ndeployment.apps/d created\n"


def test_create_refuses_what_exists(kubectl: Kubectl, refused: Refused) -> None:
    text(kubectl, "create -f -", POD)
    error = refused("create -f -", POD)
    assert error.message == 'Error from server (AlreadyExists): error when creating "STDIN": pods "p" already exists'
    text(kubectl, "create deployment web --image=nginx")
    failed = 'error: failed to create deployment: deployments.apps "web" already exists'
    assert refused("create deployment web --image=nginx").message == failed


def test_client_dry_runs_send_nothing(kubectl: Kubectl) -> None:
    made = text(kubectl, "create deployment web --image=nginx --dry-run=client")
    assert made == "deployment.apps/web created (dry run)\n"
    assert text(kubectl, "create -f - --dry-run=server", POD) == "pod/p created (server dry run)\n"
    assert text(kubectl, "get deployments,pods") == "No resources found in default namespace.\n"


def test_files_directories_and_globs_are_read(kubectl: Kubectl, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "pod.yaml").write_text(POD)
    (tmp_path / "deployment.json").write_text(json.dumps(yaml.safe_load(DEPLOYMENT)))
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "service.yml").write_text(SERVICE)
    assert text(kubectl, f"create -f {tmp_path} --dry-run=client") == (
        "deployment.apps/d created (dry run)\npod/p created (dry run)\n"
    )
    assert "service/s" in text(kubectl, f"create -R -f {tmp_path} --dry-run=client")
    assert text(kubectl, f"create -f '{tmp_path}/p*.yaml'") == "pod/p created\n"
    assert text(kubectl, f"get -f {tmp_path}/pod.yaml -o name") == "pod/p\n"
    assert "does not exist" in refused(f"create -f '{tmp_path}/x*.yaml'").message


def test_urls_are_fetched_by_what_was_given_for_it(kubectl: Kubectl) -> None:
    reader = Kubectl(kubectl.client, open_url={"https://example.com/pod.yaml": POD}.__getitem__)
    assert text(reader, "create -f https://example.com/pod.yaml") == "pod/p created\n"


GENERATED = [
    ("create deployment web --image=nginx:1.25 --replicas=2 --port=80", "spec.template.spec.containers",
     [{"image": "nginx:1.25", "name": "nginx", "ports": [{"containerPort": 80}], "resources": {}}]),
    ("create deployment web --image=busybox -- sleep 1h", "spec.template.spec.containers",
     [{"image": "busybox", "name": "busybox", "command": ["sleep", "1h"], "resources": {}}]),
    ("create namespace shop", "kind", "Namespace"),
    ("create configmap web --from-literal=a=1 --from-literal=b=x=y", "data", {"a": "1", "b": "x=y"}),
    ("create secret generic web --from-literal=a=b", "data", {"a": "Yg=="}),
    ("create service nodeport web --tcp=80:8080 --node-port=30080", "spec.ports",
     [{"name": "80-8080", "nodePort": 30080, "port": 80, "protocol": "TCP", "targetPort": 8080}]),
    ("create service clusterip web --clusterip=None", "spec.clusterIP", "None"),
    ("create service externalname web --external-name=example.com", "spec.externalName", "example.com"),
    ("create service loadbalancer web --tcp=80", "spec.type", "LoadBalancer"),
    ("create serviceaccount web", "metadata", {"name": "web"}),
    ("run web --image=nginx --env=A=b --port=80 -- -g x", "spec.containers",
     [{"image": "nginx", "name": "web", "env": [{"name": "A", "value": "b"}], "ports": [{"containerPort": 80}],
       "args": ["-g", "x"], "resources": {}}]),
    ("run web --image=busybox --restart=Never --command -- sleep 1h", "spec.containers",
     [{"image": "busybox", "name": "web", "command": ["sleep", "1h"], "resources": {}}]),
    ("run web --image=nginx --labels=app=web,tier=front", "metadata.labels", {"app": "web", "tier": "front"}),
    ('run web --image=nginx --overrides=\'{"apiVersion":"v1","spec":{"nodeName":"n1"}}\'', "spec.nodeName", "n1"),
]  # fmt: skip


def generated(kubectl: Kubectl, line: str) -> Any:
    """What a generator would send."""
    head, dashes, tail = line.partition(" -- ")
    return json.loads(text(kubectl, f"{head} --dry-run=client -o json{dashes}{tail}"))


@pytest.mark.parametrize(("line", "path", "value"), GENERATED)
def test_generators_write_manifests(kubectl: Kubectl, line: str, path: str, value: Any) -> None:
    assert get_path(generated(kubectl, line), path) == value


@pytest.mark.process
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.parametrize("line", [line for line, _, _ in GENERATED if line.startswith("create")])
def test_generators_write_what_the_real_kubectl_writes(kubectl: Kubectl, line: str) -> None:
    words = [*line.split(), "--dry-run=client", "-o", "json"]
    if "--" in words:
        place = words.index("--")
        words = [*words[:place], *words[-3:], *words[place:-3]]
    upstream = json.loads(subprocess.check_output(["kubectl", *words], timeout=30))
    assert generated(kubectl, line) == _without_nulls(upstream)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(entry) for key, entry in value.items() if entry is not None}
    return [_without_nulls(entry) for entry in value] if isinstance(value, list) else value


def test_configmaps_are_made_from_files(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "app.conf").write_text("color=blue\n")
    (tmp_path / "picture").write_bytes(b"\xff\x00")
    output = kubectl.run(f"create configmap web --from-file={tmp_path} --from-file=other={tmp_path}/app.conf")
    assert output.objects[0]["data"] == {"app.conf": "color=blue\n", "other": "color=blue\n"}
    assert output.objects[0]["binaryData"] == {"picture": "/wA="}


def test_run_has_no_replicas_and_says_what_to_use(refused: Refused) -> None:
    message = refused("run web --image=nginx --replicas=3").message
    assert "kubectl create deployment web --image=nginx --replicas=3" in message


# apply


def test_apply_creates_then_leaves_alone_then_configures(kubectl: Kubectl) -> None:
    assert text(kubectl, "apply -f -", DEPLOYMENT) == "deployment.apps/d created\n"
    assert text(kubectl, "apply -f -", DEPLOYMENT) == "deployment.apps/d unchanged\n"
    assert text(kubectl, "apply -f -", DEPLOYMENT.replace("3", "5")) == "deployment.apps/d configured\n"


def test_apply_removes_what_is_not_written_any_more_and_keeps_what_others_wrote(kubectl: Kubectl) -> None:
    text(kubectl, "apply -f -", POD.replace("{app: p}", "{app: p, tier: front}"))
    text(kubectl, "label pod p owner=me")
    text(kubectl, "apply -f -", POD)
    labels = kubectl.run("get pod p").objects[0]["metadata"]["labels"]
    assert labels == {"app": "p", "owner": "me"}


def test_apply_warns_about_what_it_did_not_make(kubectl: Kubectl) -> None:
    text(kubectl, "create -f -", POD)
    output = kubectl.run("apply -f -", POD)
    assert "missing the kubectl.kubernetes.io/last-applied-configuration annotation" in output.warnings[0]


def test_of_several_documents_the_good_are_applied_and_the_bad_is_named_with_its_line(refused: Refused) -> None:
    error = refused("apply -f -", POD + "---\n" + DEPLOYMENT.replace("replicas", "replica"))
    assert error.applied == ["pod/p created"] and error.line == 16 and error.source == "STDIN"
    assert 'strict decoding error: unknown field "spec.replica"' in error.message
    assert "(line 16)" in error.message and "pod/p created" in error.message


@pytest.mark.parametrize(
    ("manifest", "words", "line"),
    [
        (DEPLOYMENT.replace("Deployment", "Deploymet"),
         'no matches for kind "Deploymet" in version "apps/v1" (did you mean "Deployment"?)', 2),
        (DEPLOYMENT.replace("apps/v1", "v1"),
         'no matches for kind "Deployment" in version "v1" (Deployment is in apps/v1)', 1),
        (POD.replace("  name: p", "  nam: p", 1), "metadata.name: Required value", 3),
        (POD.replace("kind: Pod\n", ""), "kind not set", 1),
        (POD.replace("- name: c", "- name: c\n   image"), "line 9", 9),
        (DEPLOYMENT.replace("app: d}}\n  template", "app: x}}\n  template"), "The Deployment \"d\" is invalid", None),
    ],
)  # fmt: skip
def test_a_wrong_manifest_is_refused_in_words(refused: Refused, manifest: str, words: str, line: int | None) -> None:
    error = refused("apply -f -", manifest)
    assert words in error.message
    assert line is None or error.line == line


def test_a_namespace_that_contradicts_the_manifest_is_refused(refused: Refused) -> None:
    manifest = POD.replace("  name: p", "  name: p\n  namespace: shop")
    error = refused("apply -n default -f -", manifest)
    assert "does not match the namespace" in error.message and error.line == 5


def test_a_service_that_selects_nothing_gets_a_hint(kubectl: Kubectl) -> None:
    text(kubectl, "run web-1 --image=nginx -l app=nginx")
    hint = "service/s selects no pods (app=ngnix); nearest: web-1 has app=nginx"
    assert kubectl.run("apply -f -", SERVICE).hints == [hint]
    assert kubectl.run("apply -f -", SERVICE.replace("ngnix", "nginx")).hints == []


# delete


def test_delete_names_what_it_deleted(kubectl: Kubectl) -> None:
    text(kubectl, "apply -f -", POD + "---\n" + DEPLOYMENT)
    assert text(kubectl, "delete -f -", POD + "---\n" + DEPLOYMENT) == 'pod "p" deleted\ndeployment.apps "d" deleted\n'
    assert text(kubectl, "get pods,deployments") == "No resources found in default namespace.\n"


def test_delete_by_selector_and_all(kubectl: Kubectl) -> None:
    for name, label in (("a", "x"), ("b", "x"), ("c", "y")):
        text(kubectl, f"run {name} --image=nginx -l app={label}")
    assert text(kubectl, "delete pods -l app=x") == 'pod "a" deleted\npod "b" deleted\n'
    assert text(kubectl, "delete pods --all --dry-run=client") == 'pod "c" deleted (dry run)\n'
    assert text(kubectl, "delete pods --all -o name") == "pod/c\n"
    assert text(kubectl, "delete pods --all") == "No resources found\n"


def test_forced_deletion_warns(kubectl: Kubectl) -> None:
    text(kubectl, "run a --image=nginx")
    output = kubectl.run("delete pod a --grace-period=0 --force")
    assert output.text == 'pod "a" force deleted\n'
    assert output.warnings[0].startswith("Immediate deletion does not wait")


def test_what_a_finalizer_holds_is_told_when_the_wait_is_over(kubectl: Kubectl, refused: Refused) -> None:
    text(kubectl, "create configmap held")
    text(kubectl, "patch configmap held -p 'metadata: {finalizers: [example.com/hold]}'")
    message = refused("delete configmap held").message
    assert "timed out waiting for the condition on configmaps/held" in message and "example.com/hold" in message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("delete pods", "resource(s) were provided, but no name was specified"),
        ("delete pod nope", 'Error from server (NotFound): pods "nope" not found'),
        ("delete pods --all -l a=b", "setting 'all' parameter but found a non empty selector."),
        ("delete pod a --force --grace-period=5", "--force and --grace-period greater than 0"),
        ("delete pod a --cascade=maybe", "invalid cascade value (maybe)"),
    ],
)
def test_a_delete_that_says_too_little_or_too_much_is_refused(refused: Refused, line: str, words: str) -> None:
    assert words in refused(line).message


# expose


def test_expose_takes_selector_labels_and_ports_from_the_object(kubectl: Kubectl) -> None:
    text(kubectl, "run web --image=nginx --port=8080 -l app=web,tier=front")
    made = kubectl.run("expose pod web --port=80 --target-port=8080 --name=front").objects[0]
    assert made["spec"]["selector"] == {"app": "web", "tier": "front"} == made["metadata"]["labels"]
    assert made["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 8080}]
    declared = kubectl.run("expose pod web --type=NodePort").objects[0]["spec"]
    assert (declared["type"], declared["ports"][0]["port"]) == ("NodePort", 8080)


def test_expose_refuses_a_selector_that_a_service_cannot_express(kubectl: Kubectl, refused: Refused) -> None:
    picky = DEPLOYMENT.replace("{matchLabels: {app: d}}", "{matchExpressions: [{key: app, operator: In, values: [d]}]}")
    text(kubectl, "apply -f -", picky)
    assert "couldn't convert expressions" in refused("expose deployment d --port=80").message


def test_expose_needs_a_port(kubectl: Kubectl, refused: Refused) -> None:
    text(kubectl, "run web --image=nginx")
    assert "couldn't find port via --port flag or introspection" in refused("expose pod web").message
    assert "cannot expose a Namespace" in refused("expose ns default --port=80").message


# scale, label, set, patch, replace


def test_scale_changes_the_number_and_nothing_else(kubectl: Kubectl, refused: Refused) -> None:
    text(kubectl, "apply -f -", DEPLOYMENT)
    assert text(kubectl, "scale deploy/d --replicas=5 --current-replicas=3") == "deployment.apps/d scaled\n"
    assert kubectl.run("get deploy d").objects[0]["spec"]["replicas"] == 5
    assert "Expected replicas to be 3, was 5" in refused("scale deploy/d --current-replicas=3 --replicas=1").message
    assert "cannot be scaled" in refused("scale ns default --replicas=1").message
    assert text(kubectl, "scale --replicas=0 -f -", DEPLOYMENT) == "deployment.apps/d scaled\n"


def test_labels_are_set_kept_overwritten_and_removed(kubectl: Kubectl, refused: Refused) -> None:
    text(kubectl, "run a --image=nginx")
    assert text(kubectl, "label pod a tier=front") == "pod/a labeled\n"
    assert text(kubectl, "label pod a tier=front") == "pod/a not labeled\n"
    assert "already has a value (front), and --overwrite is false" in refused("label pod a tier=back").message
    assert text(kubectl, "label pods --all tier=back --overwrite") == "pod/a labeled\n"
    assert text(kubectl, "label pod a tier-") == "pod/a unlabeled\n"
    assert text(kubectl, "label pod a --list") == "run=a\n"
    assert "at least one label update is required" in refused("label pod a").message
    assert "can not both modify and remove" in refused("label pod a x=1 x-").message
    assert "invalid label value" in refused("label pod a x=-").message


def test_annotations_may_say_anything(kubectl: Kubectl) -> None:
    text(kubectl, "run a --image=nginx")
    assert text(kubectl, "annotate pod a note='two words, and more!'") == "pod/a annotated\n"
    assert kubectl.run("get pod a").objects[0]["metadata"]["annotations"]["note"] == "two words, and more!"


def test_a_label_for_an_older_version_is_refused(kubectl: Kubectl, refused: Refused) -> None:
    text(kubectl, "run a --image=nginx")
    assert "(Conflict)" in refused("label pod a x=1 --resource-version=1").message


def test_set_image_changes_the_containers_that_are_named(kubectl: Kubectl, refused: Refused) -> None:
    text(kubectl, "apply -f -", DEPLOYMENT)
    assert text(kubectl, "set image deploy/d c=nginx:2") == "deployment.apps/d image updated\n"
    assert text(kubectl, "set image deploy/d c=nginx:2") == ""
    assert text(kubectl, "set image deployments --all '*=redis'") == "deployment.apps/d image updated\n"
    assert 'unable to find container named "x"' in refused("set image deploy/d x=nginx").message
    shown = yaml.safe_load(text(kubectl, "set image deploy/d c=nginx:3 --dry-run=client -o yaml"))
    assert shown["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:3"


@pytest.mark.parametrize(
    "patch",
    ["-p 'spec: {replicas: 9}'", """-p '{"spec":{"replicas":9}}'""", "--type=merge -p 'spec: {replicas: 9}'",
     """--type=json -p '[{"op":"replace","path":"/spec/replicas","value":9}]'"""],
)  # fmt: skip
def test_a_patch_changes_a_field_in_each_format(kubectl: Kubectl, patch: str) -> None:
    text(kubectl, "apply -f -", DEPLOYMENT)
    local = yaml.safe_load(text(kubectl, f"patch deploy d {patch} --dry-run=client -o yaml"))
    assert local["spec"]["replicas"] == 9
    assert text(kubectl, f"patch deploy d {patch}") == "deployment.apps/d patched\n"
    assert text(kubectl, f"patch deploy d {patch}") == "deployment.apps/d patched (no change)\n"


def test_a_patch_has_to_fit_its_type(kubectl: Kubectl, refused: Refused) -> None:
    text(kubectl, "apply -f -", DEPLOYMENT)
    assert "has to be a list of operations" in refused("patch deploy d --type=json -p '{}'").message
    assert "must specify --patch" in refused("patch deploy d").message


def test_replace_keeps_nothing_and_needs_something(kubectl: Kubectl, refused: Refused) -> None:
    assert "(NotFound)" in refused("replace -f -", DEPLOYMENT).message
    text(kubectl, "create -f -", DEPLOYMENT)
    text(kubectl, "label deploy d x=1")
    assert text(kubectl, "replace -f -", DEPLOYMENT) == "deployment.apps/d replaced\n"
    assert "labels" not in kubectl.run("get deploy d").objects[0]["metadata"]


def test_nodes_are_cordoned_and_uncordoned(kubectl: Kubectl) -> None:
    kubectl.client.create("nodes", {"metadata": {"name": "n1"}})
    assert text(kubectl, "cordon n1") == "node/n1 cordoned\n"
    assert text(kubectl, "cordon n1") == "node/n1 already cordoned\n"
    assert "SchedulingDisabled" in text(kubectl, "get node n1")
    assert text(kubectl, "uncordon n1") == "node/n1 uncordoned\n"
    assert "unschedulable" not in kubectl.run("get node n1").objects[0]["spec"]


# what the server and the schema know


def test_explain_walks_to_a_field(kubectl: Kubectl, refused: Refused) -> None:
    page = text(kubectl, "explain pods.spec.containers.image")
    assert "FIELD: image <string>" in page and "VERSION:    v1" in page
    assert "replicas\t<integer>" in text(kubectl, "explain deploy.spec")
    assert "\n    containers\t<[]Container> -required-" in text(kubectl, "explain rc.spec.template --recursive")
    unknown = 'field "contaners" does not exist (did you mean "containers"?)'
    assert unknown in refused("explain pod.spec.contaners").message


def test_api_resources_lists_what_is_served(kubectl: Kubectl) -> None:
    assert "deployments" in text(kubectl, "api-resources")
    cluster_wide = text(kubectl, "api-resources --namespaced=false -o name").split()
    assert {"namespaces", "nodes"} <= set(cluster_wide) and "pods" not in cluster_wide
    assert "apps/v1\n" in text(kubectl, "api-versions")


def test_wait_looks_once_where_nothing_runs(kubectl: Kubectl, refused: Refused) -> None:
    text(kubectl, "run a --image=nginx")
    waited = "error: timed out waiting for the condition on pods/a"
    assert refused("wait --for=condition=Ready pod/a --timeout=1s").message == waited
    assert text(kubectl, "wait --for=jsonpath='{.status.phase}'=Pending pod/a") == "pod/a condition met\n"
    assert text(kubectl, "wait --for=jsonpath={.status.phase} pod/a") == "pod/a condition met\n"
    assert text(kubectl, "wait --for=delete pod/nope") == ""
    assert 'unrecognized condition: "ready"' in refused("wait --for=ready pod/a").message
    assert "no matching resources found" in refused("wait --for=condition=Ready pods -l x=y").message


# describe


def test_describe_ends_with_events(kubectl: Kubectl) -> None:
    text(kubectl, "run a --image=nginx")
    about = {"kind": "Pod", "name": "a", "namespace": "default",
             "uid": kubectl.run("get pod a").objects[0]["metadata"]["uid"]}  # fmt: skip
    event = {"metadata": {"name": "e", "namespace": "default"}, "involvedObject": about, "reason": "Pulled",
             "message": "Pulled it", "type": "Normal", "count": 3, "source": {"component": "kubelet", "host": "n1"},
             "firstTimestamp": "2023-11-14T22:11:20Z", "lastTimestamp": "2023-11-14T22:13:15Z"}  # fmt: skip
    kubectl.client.create("events", event)
    page = text(kubectl, "describe pod a")
    assert page.startswith("Name:             a\nNamespace:        default\n")
    assert page.endswith(
        "Events:\n"
        "  Type    Reason  Age              From     Message\n"
        "  ----    ------  ----             ----     -------\n"
        "  Normal  Pulled  5s (x3 over 2m)  kubelet  Pulled it\n"
    )


def test_describe_finds_by_prefix(kubectl: Kubectl, refused: Refused) -> None:
    text(kubectl, "run web-1 --image=nginx")
    assert "Name:             web-1" in text(kubectl, "describe pod web")
    assert "(NotFound)" in refused("describe pod x").message


def test_describe_never_shows_what_is_in_a_secret(kubectl: Kubectl) -> None:
    text(kubectl, "create secret generic db --from-literal=password=hunter2")
    page = text(kubectl, "describe secret db")
    assert "password:  7 bytes" in page and "hunter2" not in page and "aHVudGVyMg" not in page


@pytest.mark.parametrize("word", ["svc kubernetes", "ns default", "deploy d", "rs", "endpoints", "lease", "cm", "sa"])
def test_every_kind_can_be_described(kubectl: Kubectl, word: str) -> None:
    text(kubectl, "apply -f -", DEPLOYMENT)
    text(kubectl, "create configmap c --from-literal=a=b")
    page = text(kubectl, f"describe {word}")
    assert page.startswith(("Name:", "No resources found"))


# methods and completion


def test_commands_are_methods_with_keywords(kubectl: Kubectl) -> None:
    assert kubectl.apply(DEPLOYMENT).text == "deployment.apps/d created\n"
    assert kubectl.apply(yaml.safe_load(POD)).text == "pod/p created\n"
    assert kubectl.get("pods", selector={"app": "p"}, output="name").text == "pod/p\n"
    assert kubectl.scale("deploy/d", replicas=1).text == "deployment.apps/d scaled\n"
    made = kubectl.create("deployment", "web", image="nginx", dry_run="client")
    assert made.text == "deployment.apps/web created (dry run)\n"
    assert kubectl.wait("pod/p", for_="jsonpath={.status.phase}=Pending").exit_code == 0
    assert kubectl.api_resources(no_headers=True).text.startswith("bindings ")
    assert "Usage:" in (kubectl.get.__doc__ or "") and "get" in dir(kubectl)
    with pytest.raises(AttributeError, match="no command 'gte'"):
        kubectl.gte()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["rollo"], ["rollout"]),
        (["rollout", "re"], ["restart", "resume"]),
        (["get", "deploy"], ["deployment", "deployments"]),
        (["get", "pods", ""], ["p"]),
        (["get", "pod/"], ["pod/p"]),
        (["get", "pods", "--sho"], ["--show-kind", "--show-labels", "--show-managed-fields"]),
        (["get", "pods", "-o", "j"], ["json", "jsonpath="]),
        (["get", "pods", "-n", "kube-p"], ["kube-public"]),
        (["get", "pods", "-l", "app="], ["app=p"]),
        (["get", "pods", "-L", ""], ["app"]),
        (["-n", "kube-system", "get", "pods", ""], []),
        (["logs", "p", "-c", ""], ["c"]),
        (["apply", "--dry-run=s"], ["--dry-run=server"]),
        (["explain", "pods.spec.nodeN"], ["pods.spec.nodeName"]),
        (["create", "secret", "gen"], ["generic"]),
        (["nonsense", "x"], []),
        (["exec", "p", "--", "l"], []),
        (["exec", "pod/p", "-c", ""], ["c"]),
        (["set", "env", "pods", "p", "-c", ""], ["c"]),
        (["get", "pods", "-nkube-system", ""], []),
        (["get", "pods", "-n=kube-system", ""], []),
        (["get", "pods", "--watch="], ["--watch=false", "--watch=true"]),
        (["get", "al"], ["all"]),
        (["get", "pods", "-l", "!x,ap"], ["!x,app"]),
        (["rollout", "restart", "d"], ["daemonset", "daemonsets", "deploy", "deployment", "deployments", "ds"]),
        (["expose", "n"], []),
        (["events", "--for", "pod/"], ["pod/p"]),
        (["events", "--for=pod/"], ["--for=pod/p"]),
        (["completion", ""], ["bash", "fish", "powershell", "zsh"]),
        (["__comp"], []),
    ],
)
def test_completion_offers_what_could_stand_there(kubectl: Kubectl, words: list[str], found: list[str]) -> None:
    kubectl.apply(POD)
    assert kubectl.complete(words) == found


def test_whoever_may_not_impersonate_cannot_act_as_another(kubectl: Kubectl) -> None:
    """Source: `apiserver/pkg/endpoints/filters/impersonation.go`."""
    ann = Kubectl(kubectl.client.as_user(User("ann", ("system:authenticated",))))
    with pytest.raises(KubectlError) as caught:
        ann.run("get pods --as=bob")
    assert caught.value.message == (
        'Error from server (Forbidden): users "bob" is forbidden: User "ann" cannot impersonate resource "users" '
        'in API group "" at the cluster scope'
    )


def test_a_service_account_is_acted_as_with_its_groups(kubectl: Kubectl) -> None:
    said = text(kubectl, "auth whoami --as=system:serviceaccount:shop:robot -o jsonpath={.status.userInfo.groups[*]}")
    assert said == "system:serviceaccounts system:serviceaccounts:shop system:authenticated"


def test_a_group_without_a_user_to_act_as_is_refused(refused: Refused) -> None:
    assert "without impersonating a user" in refused("get pods --as-group=team").message


def test_a_short_name_that_two_kinds_have_means_one_and_names_the_other() -> None:
    """Words: `restmapper.NewShortcutExpander` in client-go."""
    cluster = Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=1)
    cluster.start(wait=0)
    try:
        cluster.settle()
        for plural in ("bars", "foos"):
            names = {"plural": plural, "singular": plural[:-1], "kind": plural[:-1].title(), "shortNames": ["fb"]}
            version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            cluster.client.create("customresourcedefinitions", {
                "metadata": {"name": f"{plural}.{plural}.io"},
                "spec": {"group": f"{plural}.io", "scope": "Namespaced", "names": names, "versions": [version]},
            })  # fmt: skip
        cluster.settle()
        answer = cluster.kubectl.run("get fb")
        assert answer.warnings == ['short name "fb" could also match lower priority resource foos.foos.io']
        assert "No resources found" in answer.text
        assert cluster.kubectl.run("get foos").warnings == []
    finally:
        cluster.delete()


def test_what_changes_while_it_is_deleted_is_deleted_all_the_same() -> None:
    """`kubectl delete` names no resourceVersion: somebody else's write in between does not save the object."""
    cluster = Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=1)
    cluster.start(wait=0)
    try:
        cluster.kubectl.run("create configmap settings --from-literal=a=1")
        stop = cluster.client.watch("configmaps", "default")
        finalized = {"metadata": {"finalizers": ["example.com/hold"]}}
        cluster.client.patch("configmaps", "settings", finalized, "default")
        assert cluster.kubectl.run("delete configmap settings --wait=false").text == 'configmap "settings" deleted\n'
        cluster.client.patch("configmaps", "settings", {"data": {"a": "2"}}, "default")
        cluster.client.patch("configmaps", "settings", {"metadata": {"finalizers": None}}, "default")
        assert cluster.client.find("configmaps", "settings", "default") is None
        stop.stop()
    finally:
        cluster.delete()
