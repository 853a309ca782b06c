"""kubectl's commands as methods: what they take, what they say of themselves, and how they fail."""

from __future__ import annotations

import inspect
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8snb import Cluster
from k8snb.clock import VirtualClock
from k8snb.kubectl import Kubectl, KubectlError
from k8snb.kubectl.calls import BY_METHOD, option_name
from k8snb.kubectl.methods_build import stub

CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "b"}}
MADE = Path(inspect.getfile(Kubectl)).parent / "methods.pyi"


@pytest.fixture
def kubectl() -> Iterator[Kubectl]:
    with Cluster("methods", nodes=1, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        yield cluster.kubectl


def test_words_are_positional_and_flags_are_keywords(kubectl: Kubectl) -> None:
    kubectl.apply(CONFIG_MAP)
    assert kubectl.get("configmap", "a", output="name").text == "configmap/a\n"
    assert kubectl.get("cm", all_namespaces=True, no_headers=True).objects
    assert kubectl.label("cm", "a", "x=y", overwrite=True).text == "configmap/a labeled\n"
    assert kubectl.get("cm", selector={"x": "y"}, output="name").text == "configmap/a\n"


def test_a_subcommand_has_a_method_of_its_own(kubectl: Kubectl) -> None:
    assert kubectl.create_deployment("web", image="nginx", replicas=2).text == "deployment.apps/web created\n"
    assert kubectl.rollout_restart("deployment/web").text == "deployment.apps/web restarted\n"
    assert kubectl.rollout("history", "deploy/web").text == kubectl.rollout_history("deploy/web").text
    assert kubectl.run_pod("one", image="nginx", env=["A=b", "C=d"]).text == "pod/one created\n"


def test_a_dict_is_pairs_and_an_object_is_json(kubectl: Kubectl) -> None:
    made = kubectl.create_configmap("c", from_literal={"a": "1", "b": "2,3"}).object
    assert made and made["data"] == {"a": "1", "b": "2,3"}
    patched = kubectl.patch("cm", "c", patch={"data": {"a": "9"}}).object
    assert patched and patched["data"]["a"] == "9"
    over = kubectl.run_pod("p", image="nginx", overrides={"metadata": {"labels": {"x": "y"}}}).object
    assert over and over["metadata"]["labels"]["x"] == "y"


def test_what_stands_behind_two_dashes_is_a_programs(kubectl: Kubectl) -> None:
    kubectl.run_pod("web", image="nginx")
    kubectl.wait("pod/web", for_="condition=Ready", timeout="30s")
    assert kubectl.exec("web", "--", "sh", "-c", "echo one\necho two").text == "one\ntwo\n"


def test_whatever_fails_is_one_family_of_exceptions(kubectl: Kubectl) -> None:
    for call, said in [
        (lambda: kubectl.get("pods", "nope"), 'Error from server (NotFound): pods "nope" not found'),
        (lambda: kubectl.get("nope"), 'error: the server doesn\'t have a resource type "nope"'),
        (lambda: kubectl.get("pods", selctor="x"), 'error: unknown flag: --selctor (did you mean "--selector"?)'),  # type: ignore[call-arg]
        (lambda: kubectl.apply("kind: Pod\n"), "error: error validating"),
        (lambda: kubectl.scale("deploy/x"), 'error: required flag(s) "replicas" not set'),
    ]:
        with pytest.raises(KubectlError) as caught:
            call()
        assert caught.value.message.startswith(said) and caught.value.exit_code == 1


def test_a_method_says_what_it_takes(kubectl: Kubectl) -> None:
    signature = inspect.signature(kubectl.get)
    assert {"words", "selector", "output", "all_namespaces", "namespace"} <= signature.parameters.keys()
    assert "kubectl get pods -l app=nginx -o wide" in (kubectl.get.__doc__ or "")
    assert {"get", "create_deployment", "run_pod"} <= set(dir(kubectl))


def test_every_flag_is_a_keyword_of_its_own() -> None:
    for command in BY_METHOD.values():
        names = [option_name(flag) for flag in command.flags]
        assert len(names) == len(set(names)), command.name


def test_the_stub_is_that_of_the_grammar() -> None:
    assert MADE.read_text(encoding="utf-8") == stub(), "run: python -m k8snb.kubectl.methods_build"


def test_a_type_checker_knows_the_methods_and_their_keywords(tmp_path: Path) -> None:
    package = tmp_path / "k8snb" / "kubectl"
    package.mkdir(parents=True)
    (package.parent / "__init__.pyi").touch()
    (package / "__init__.pyi").write_text("from k8snb.kubectl.methods import Methods\n\nclass Kubectl(Methods): ...\n")
    (package / "output.pyi").write_text("class Output: ...\n")
    shutil.copy(MADE, package)
    lines = [
        "from k8snb.kubectl import Kubectl",
        "def use(kubectl: Kubectl) -> None:",
        '    kubectl.create_deployment("web", image="nginx", replicas=3, context="other")',
        '    kubectl.get("pods", selctor="app=web")',
        '    kubectl.gte("pods")',
        '    kubectl.get("pods", selector={"app": "web"}, all_namespaces=True)',
    ]
    (tmp_path / "use.py").write_text("\n".join(lines) + "\n")
    words = [sys.executable, "-m", "mypy", "--no-error-summary", "--cache-dir", str(tmp_path / "cache"), "use.py"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    said = [line for line in done.stdout.splitlines() if "error" in line]
    assert [line.split(":")[:2] for line in said] == [["use.py", "4"], ["use.py", "5"]], done.stdout + done.stderr
