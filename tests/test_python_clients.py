"""The Python clients that others wrote, against a served cluster: each does what its own documentation shows.

The clients are the released packages, unchanged; all they are given is the cluster's kubeconfig.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8snb import Cluster

kubernetes = pytest.importorskip("kubernetes")
kr8s = pytest.importorskip("kr8s")
lightkube = pytest.importorskip("lightkube")

from kubernetes import client, config, dynamic, stream, utils, watch  # noqa: E402
from kubernetes.client.exceptions import ApiException  # noqa: E402

# The official client leaves the socket of a finished exec or log to the garbage collector.
pytestmark = [
    pytest.mark.process,
    pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with Cluster("clients", nodes=1, runtime="process") as cluster:
        path = tmp_path_factory.mktemp("clients") / "config"
        path.write_text(cluster.kubeconfig)
        yield path


@pytest.fixture(scope="module")
def api(kubeconfig: Path) -> Iterator[Any]:
    """The official client's connection."""
    with config.new_client_from_config(str(kubeconfig)) as connection:
        yield connection


@pytest.fixture
def namespace(api: Any) -> Iterator[str]:
    core = client.CoreV1Api(api)
    made = core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(generate_name="clients-")))
    yield made.metadata.name
    core.delete_namespace(made.metadata.name)


@pytest.fixture
def core(api: Any) -> Any:
    return client.CoreV1Api(api)


@pytest.fixture
def web(core: Any, namespace: str) -> str:
    """A pod whose web server answers."""
    core.create_namespaced_pod(namespace, pod_manifest("web", "nginx:1.25"))
    eventually(lambda: is_ready(core.read_namespaced_pod("web", namespace)))
    return "web"


def pod_manifest(name: str, image: str, *command: str) -> dict[str, Any]:
    container = {"name": "c", "image": image, **({"command": list(command)} if command else {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}


def is_ready(pod: Any) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions or ())


def eventually(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return found


def deployment(name: str, image: str) -> Any:
    container = client.V1Container(
        name="nginx", image=image, ports=[client.V1ContainerPort(container_port=80)],
        resources=client.V1ResourceRequirements(requests={"cpu": "100m", "memory": "20Mi"}),
    )  # fmt: skip
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels={"app": name}), spec=client.V1PodSpec(containers=[container])
    )
    selector = client.V1LabelSelector(match_labels={"app": name})
    spec = client.V1DeploymentSpec(replicas=2, template=template, selector=selector)
    metadata = client.V1ObjectMeta(name=name)
    return client.V1Deployment(api_version="apps/v1", kind="Deployment", metadata=metadata, spec=spec)


# kubernetes, the official client


def test_the_official_client_lists_what_is_there(core: Any) -> None:
    nodes = core.list_node().items
    assert {node.metadata.name for node in nodes} == {"control-plane", "node-1"}
    assert nodes[0].metadata.creation_timestamp.year >= 2024
    assert "default" in [each.metadata.name for each in core.list_namespace().items]
    assert core.list_pod_for_all_namespaces(watch=False).kind == "PodList"


def test_the_official_client_discovers(api: Any) -> None:
    assert client.VersionApi(api).get_code().major == "1"
    assert "apps" in [group.name for group in client.ApisApi(api).get_api_versions().groups]
    assert "deployments" in [each.name for each in client.AppsV1Api(api).get_api_resources().resources]


def test_a_deployments_life_with_typed_models(api: Any, core: Any, namespace: str) -> None:
    apps = client.AppsV1Api(api)
    made = apps.create_namespaced_deployment(namespace, deployment("web", "nginx:1.25"))
    assert made.status.replicas is None and made.spec.strategy.rolling_update.max_surge == "25%"
    eventually(lambda: apps.read_namespaced_deployment_status("web", namespace).status.ready_replicas == 2)
    made = apps.read_namespaced_deployment("web", namespace)
    made.spec.template.spec.containers[0].image = "nginx:1.26"
    apps.patch_namespaced_deployment("web", namespace, made)
    eventually(lambda: images(core, namespace) == {"nginx:1.26"})
    apps.patch_namespaced_deployment_scale("web", namespace, {"spec": {"replicas": 1}})
    assert apps.read_namespaced_deployment_scale("web", namespace).spec.replicas == 1
    replaced = apps.read_namespaced_deployment("web", namespace)
    replaced.metadata.annotations["note"] = "replaced"
    eventually(lambda: replace(apps, namespace, replaced))
    options = client.V1DeleteOptions(propagation_policy="Foreground", grace_period_seconds=1)
    apps.delete_namespaced_deployment("web", namespace, body=options)
    eventually(lambda: not apps.list_namespaced_deployment(namespace).items)
    assert not core.list_namespaced_pod(namespace).items


def images(core: Any, namespace: str) -> set[str]:
    return {pod.spec.containers[0].image for pod in core.list_namespaced_pod(namespace).items}


def replace(apps: Any, namespace: str, obj: Any) -> bool:
    """Write an object back; where somebody was faster, take their version and try again."""
    try:
        apps.replace_namespaced_deployment(obj.metadata.name, namespace, obj)
    except ApiException as error:
        assert error.status == 409
        obj.metadata.resource_version = apps.read_namespaced_deployment(
            obj.metadata.name, namespace
        ).metadata.resource_version
        return False
    return True


def test_a_refusal_is_an_api_exception_with_a_status(core: Any, namespace: str) -> None:
    with pytest.raises(ApiException) as refused:
        core.read_namespaced_pod("nobody", namespace)
    assert (refused.value.status, refused.value.reason) == (404, "Not Found")
    assert yaml.safe_load(refused.value.body)["message"] == 'pods "nobody" not found'
    with pytest.raises(ApiException) as refused:
        core.create_namespaced_pod(namespace, pod_manifest("Bad", "nginx"))
    assert refused.value.status == 422


def test_a_watch_goes_on_from_a_list(core: Any, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "early"}})
    listed = core.list_namespaced_config_map(namespace, field_selector="metadata.name!=kube-root-ca.crt")
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "late"}})
    core.patch_namespaced_config_map("late", namespace, {"data": {"a": "b"}})
    core.delete_namespaced_config_map("late", namespace)
    following = watch.Watch()
    seen = []
    for event in following.stream(
        core.list_namespaced_config_map, namespace, resource_version=listed.metadata.resource_version,
        field_selector="metadata.name=late", timeout_seconds=20,
    ):  # fmt: skip
        seen.append((event["type"], event["object"].metadata.name))
        if event["type"] == "DELETED":
            following.stop()
    assert seen == [("ADDED", "late"), ("MODIFIED", "late"), ("DELETED", "late")]


def test_a_watch_ends_when_its_time_is_over(core: Any, namespace: str) -> None:
    began = time.monotonic()
    for _ in watch.Watch().stream(core.list_namespaced_secret, namespace, timeout_seconds=1):
        raise AssertionError("there are no secrets")
    assert 0.9 <= time.monotonic() - began < 10


def test_pages_of_a_list(core: Any, namespace: str) -> None:
    for number in range(5):
        core.create_namespaced_config_map(namespace, {"metadata": {"name": f"page-{number}"}})
    names: list[str] = []
    more = None
    while more != "":
        page = core.list_namespaced_config_map(namespace, limit=2, _continue=more)
        assert len(page.items) <= 2
        names += [each.metadata.name for each in page.items]
        more = page.metadata._continue or ""
    assert names == ["kube-root-ca.crt", *(f"page-{number}" for number in range(5))]


def test_a_command_in_a_container(core: Any, namespace: str, web: str) -> None:
    said = stream.stream(
        core.connect_get_namespaced_pod_exec, web, namespace, command=["/bin/sh", "-c", "echo out; echo err >&2"],
        stderr=True, stdin=False, stdout=True, tty=False,
    )  # fmt: skip
    assert sorted(said.split()) == ["err", "out"]


def test_a_conversation_with_a_container(core: Any, namespace: str, web: str) -> None:
    talk = stream.stream(
        core.connect_get_namespaced_pod_exec, web, namespace, command=["/bin/sh"], stderr=True, stdin=True,
        stdout=True, tty=False, _preload_content=False,
    )  # fmt: skip
    talk.write_stdin("echo hello\n")
    assert talk.readline_stdout(timeout=10) == "hello"
    talk.write_stdin("exit 3\n")
    talk.run_forever(timeout=10)
    assert talk.returncode == 3
    talk.close()


def test_a_forwarded_port(core: Any, namespace: str, web: str) -> None:
    forward = stream.portforward(core.connect_get_namespaced_pod_portforward, web, namespace, ports="80")
    connection = forward.socket(80)
    connection.setblocking(True)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\nAccept: */*\r\n\r\n")
    answer = b""
    while piece := connection.recv(1024):
        answer += piece
    connection.close()
    assert forward.error(80) is None
    assert answer.startswith(b"HTTP/1.1 200 OK") and b"nginx" in answer


def test_a_log_is_followed(core: Any, namespace: str) -> None:
    words = "for i in 1 2 3; do echo line $i; sleep 0.3; done"
    manifest = pod_manifest("talk", "busybox", "sh", "-c", words)
    manifest["spec"]["restartPolicy"] = "Never"
    core.create_namespaced_pod(namespace, manifest)
    eventually(lambda: core.read_namespaced_pod("talk", namespace).status.phase != "Pending")
    following = core.read_namespaced_pod_log("talk", namespace, follow=True, _preload_content=False)
    assert b"".join(following.stream()) == b"line 1\nline 2\nline 3\n"
    assert core.read_namespaced_pod_log("talk", namespace, tail_lines=1) == "line 3\n"
    lines = list(watch.Watch().stream(core.read_namespaced_pod_log, "talk", namespace))
    assert lines == ["line 1", "line 2", "line 3"]


def test_a_service_account_is_somebody(core: Any, api: Any, namespace: str) -> None:
    core.create_namespaced_service_account(namespace, {"metadata": {"name": "bob"}})
    body = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=600))
    issued = core.create_namespaced_service_account_token("bob", namespace, body).status.token
    settings = client.Configuration()
    settings.host, settings.ssl_ca_cert = api.configuration.host, api.configuration.ssl_ca_cert
    settings.api_key = {"authorization": f"Bearer {issued}"}
    with client.ApiClient(settings) as bob:
        who = client.AuthenticationV1Api(bob).create_self_subject_review({})
        assert who.status.user_info.username == f"system:serviceaccount:{namespace}:bob"
        with pytest.raises(ApiException) as refused:
            client.CoreV1Api(bob).list_namespaced_pod(namespace)
    assert refused.value.status == 403


def test_the_dynamic_client(api: Any, namespace: str) -> None:
    dyn = dynamic.DynamicClient(api)
    maps = dyn.resources.get(api_version="v1", kind="ConfigMap")
    made = maps.create(body={"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"a": "1"}},
                       namespace=namespace)  # fmt: skip
    assert made.data.a == "1"
    changed = maps.patch(name="one", namespace=namespace, body={"data": {"a": "2"}},
                         content_type="application/merge-patch+json")  # fmt: skip
    assert changed.data.a == "2"
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"b": "3"}}
    applied = maps.server_side_apply(name="one", namespace=namespace, body=manifest, field_manager="tests")
    assert dict(applied.data) == {"a": "2", "b": "3"}
    assert "tests" in [entry.manager for entry in applied.metadata.managedFields]
    assert [each.metadata.name for each in maps.get(namespace=namespace).items] == ["kube-root-ca.crt", "one"]
    first = next(maps.watch(namespace=namespace, name="one", timeout=5))
    assert (first["type"], first["object"].metadata.name) == ("ADDED", "one")
    maps.delete(name="one", namespace=namespace, body={})
    with pytest.raises(dynamic.exceptions.NotFoundError):
        maps.get(name="one", namespace=namespace)


def test_objects_from_a_file(api: Any, core: Any, namespace: str, tmp_path: Path) -> None:
    manifest = tmp_path / "all.yaml"
    parts = [pod_manifest("filed", "nginx:1.25"), {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
             "spec": {"selector": {"app": "x"}, "ports": [{"port": 80}]}}]  # fmt: skip
    manifest.write_text(yaml.safe_dump_all(parts))
    utils.create_from_yaml(api, str(manifest), namespace=namespace)
    assert core.read_namespaced_service("s", namespace).spec.cluster_ip
    with pytest.raises(utils.FailToCreateError, match="AlreadyExists"):
        utils.create_from_yaml(api, str(manifest), namespace=namespace)


# kr8s


def test_kr8s(kubeconfig: Path, namespace: str) -> None:
    from kr8s.objects import ConfigMap, Deployment, Pod

    api = kr8s.api(kubeconfig=str(kubeconfig), namespace=namespace)
    assert {node.name for node in api.get("nodes")} == {"control-plane", "node-1"}
    pod = Pod(pod_manifest("web", "nginx:1.25"), namespace=namespace, api=api)
    pod.create()
    pod.wait("condition=Ready", timeout=30)
    assert pod.ready() and pod.exec(["sh", "-c", "echo from inside"]).stdout == b"from inside\n"
    pod.label({"color": "red"})
    pod.annotate({"note": "here"})
    assert [each.name for each in api.get("pods", label_selector={"color": "red"})] == ["web"]
    with pod.portforward(80) as port:
        import httpx

        assert "nginx" in httpx.get(f"http://127.0.0.1:{port}", timeout=10).text
    assert isinstance("\n".join(pod.logs()), str)
    made = Deployment(yaml.safe_load(DEPLOYMENT), namespace=namespace, api=api)
    made.create()
    made.scale(2)
    eventually(lambda: made.refresh() is None and made.ready())
    made.delete(propagation_policy="Foreground")
    settings = ConfigMap({"metadata": {"name": "cm"}, "data": {"a": "b"}}, namespace=namespace, api=api)
    settings.create()
    settings.patch({"data": {"a": "c"}})
    assert ConfigMap.get("cm", namespace=namespace, api=api).data.a == "c"
    for event, obj in api.watch("configmaps", namespace=namespace, field_selector="metadata.name=cm"):
        assert (event, obj.name) == ("ADDED", "cm")
        break
    pod.delete()
    pod.wait("delete", timeout=40)
    assert not pod.exists()
    with pytest.raises(kr8s.NotFoundError):
        Pod.get("web", namespace=namespace, api=api, timeout=1)


DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec:
  replicas: 1
  selector: {matchLabels: {app: d}}
  template:
    metadata: {labels: {app: d}}
    spec: {containers: [{name: c, image: "nginx:1.25"}]}
"""


# lightkube


def test_lightkube(kubeconfig: Path, namespace: str) -> None:
    from lightkube import ApiError, Client, KubeConfig, codecs
    from lightkube.models.meta_v1 import ObjectMeta
    from lightkube.resources.apps_v1 import Deployment
    from lightkube.resources.core_v1 import ConfigMap, Node, Pod
    from lightkube.types import CascadeType, PatchType

    kube = Client(KubeConfig.from_file(str(kubeconfig)), namespace=namespace, field_manager="lightkube-tests")
    assert {node.metadata.name for node in kube.list(Node)} == {"control-plane", "node-1"}
    made = kube.create(ConfigMap(metadata=ObjectMeta(name="cm", namespace=namespace), data={"a": "1"}))
    made.data["a"] = "2"
    assert kube.replace(made).data == {"a": "2"}
    changed = kube.patch(ConfigMap, "cm", {"data": {"b": "3"}}, patch_type=PatchType.MERGE)
    assert changed.data == {"a": "2", "b": "3"}
    applied = kube.apply(ConfigMap(data={"c": "4"}, metadata=ObjectMeta(name="cm")))
    assert applied.data == {"a": "2", "b": "3", "c": "4"}
    for event, obj in kube.watch(ConfigMap, fields={"metadata.name": "cm"}):
        assert (event, obj.metadata.name) == ("ADDED", "cm")
        break
    for part in codecs.load_all_yaml(DEPLOYMENT):
        kube.create(part)
    kube.wait(Deployment, "d", for_conditions=["Available"])
    assert kube.get(Deployment.Scale, "d").spec.replicas == 1
    assert [pod.status.phase for pod in kube.list(Pod, labels={"app": "d"})] == ["Running"]
    kube.delete(Deployment, "d", cascade=CascadeType.FOREGROUND)
    kube.create(codecs.from_dict(pod_manifest("talk", "busybox", "sh", "-c", "echo said; sleep 999")))
    kube.wait(Pod, "talk", for_conditions=["Ready"])
    assert list(kube.log("talk")) == ["said\n"]
    with pytest.raises(ApiError) as refused:
        kube.get(ConfigMap, "nobody")
    assert refused.value.status.code == 404 and refused.value.status.reason == "NotFound"


# kopf

OPERATOR = """
import kopf, kubernetes

@kopf.on.startup()
def configure(settings, **_):
    kubernetes.config.load_kube_config()
    settings.persistence.finalizer = "tests.example.com/finalizer"

@kopf.on.create("", "v1", "configmaps", labels={"operated": "yes"})
def create_fn(name, namespace, body, **_):
    metadata = {"name": f"{name}-child"}
    child = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}}
    kopf.adopt(child)
    kubernetes.client.CoreV1Api().create_namespaced_service(namespace, child)
    kopf.info(body, reason="Created", message="a child is created")

@kopf.on.update("", "v1", "configmaps", labels={"operated": "yes"}, field="data")
def update_fn(old, new, patch, **_):
    patch.metadata.annotations["seen"] = f"{old['size']} -> {new['size']}"

@kopf.on.delete("", "v1", "configmaps", labels={"operated": "yes"})
def delete_fn(name, namespace, **_):
    kubernetes.client.CoreV1Api().create_namespaced_config_map(namespace, {"metadata": {"name": f"{name}-farewell"}})
"""


@pytest.fixture
def operator(kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A kopf operator as a process of its own, ended by SIGTERM as a pod would be."""
    pytest.importorskip("kopf")
    (tmp_path / "operator_.py").write_text(OPERATOR)
    command = [sys.executable, "-m", "kopf", "run", str(tmp_path / "operator_.py"), f"--namespace={namespace}"]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stderr=log, stdout=log, text=True)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(30)
    said = (tmp_path / "log").read_text()
    assert code == 0 and "Traceback" not in said, said


def test_a_kopf_operator_acts(core: Any, namespace: str, operator: subprocess.Popen[str]) -> None:
    labels = {"operated": "yes"}
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "cm", "labels": labels}, "data": {"size": "1"}})
    child = eventually(lambda: read(core.read_namespaced_service, "cm-child", namespace))
    assert child.metadata.owner_references[0].name == "cm"
    finalizers = core.read_namespaced_config_map("cm", namespace).metadata.finalizers
    assert finalizers == ["tests.example.com/finalizer"]
    eventually(lambda: "a child is created" in messages(core, namespace))
    core.patch_namespaced_config_map("cm", namespace, {"data": {"size": "2"}})
    eventually(lambda: annotation(core, namespace, "seen") == "1 -> 2")
    core.delete_namespaced_config_map("cm", namespace)
    eventually(lambda: read(core.read_namespaced_config_map, "cm-farewell", namespace))
    eventually(lambda: not read(core.read_namespaced_config_map, "cm", namespace))
    eventually(lambda: not read(core.read_namespaced_service, "cm-child", namespace))


def messages(core: Any, namespace: str) -> list[str]:
    return [event.message for event in core.list_namespaced_event(namespace).items]


def annotation(core: Any, namespace: str, name: str) -> str | None:
    found: str | None = core.read_namespaced_config_map("cm", namespace).metadata.annotations.get(name)
    return found


def read(method: Callable[[str, str], Any], name: str, namespace: str) -> Any:
    try:
        return method(name, namespace)
    except ApiException as error:
        assert error.status == 404
        return None
