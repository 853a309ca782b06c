"""Kubeconfig files: how they merge, where changes go, what is refused; `kubectl config` beside the real one."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubectls import found_kubectls, numbers

from k8snb.cli import main
from k8snb.client.kubeconfig import Kubeconfig, KubeconfigError, from_environment, parse
from k8snb.client.restconfig import Overrides, resolve

FIRST = """\
apiVersion: v1
kind: Config
current-context: one
clusters:
- name: c1
  cluster: {server: "https://192.0.2.1:6443", certificate-authority-data: LS0tLQ==}
- name: c2
  cluster: {server: "https://192.0.2.2", insecure-skip-tls-verify: true, certificate-authority: ca.crt,
            tls-server-name: foo, proxy-url: "http://p:80"}
users:
- name: u1
  user: {token: abc, client-certificate-data: LS0t, client-key-data: LS0t}
- name: u2
  user: {username: admin, password: "1234"}
- name: u3
  user:
    exec: {apiVersion: client.authentication.k8s.io/v1, command: plug, args: [a, b], env: [{name: X, value: v}],
           interactiveMode: IfAvailable}
    as: me
    as-groups: [g]
contexts:
- name: one
  context: {cluster: c1, user: u1, namespace: ns1}
- name: two
  context: {cluster: c2, user: u2}
"""
SECOND = """\
apiVersion: v1
kind: Config
current-context: two
clusters:
- name: c1
  cluster: {server: "https://other", tls-server-name: x}
- name: c3
  cluster: {server: "https://192.0.2.3", certificate-authority: ca.crt}
users: []
contexts:
- name: three
  context: {cluster: c3, user: u9}
"""


@pytest.fixture
def files(tmp_path: Path) -> Kubeconfig:
    (tmp_path / "a").write_text(FIRST)
    (tmp_path / "b").write_text(SECOND)
    return Kubeconfig([tmp_path / "a", tmp_path / "b", tmp_path / "missing"])


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


# merging: client-go/tools/clientcmd/loader.go


def test_of_two_entries_with_one_name_the_first_counts_as_a_whole(files: Kubeconfig) -> None:
    config = files.load()
    assert config.clusters["c1"] == {"server": "https://192.0.2.1:6443", "certificate-authority-data": "LS0tLQ=="}
    assert sorted(config.clusters) == ["c1", "c2", "c3"] and sorted(config.contexts) == ["one", "three", "two"]


def test_the_first_current_context_counts(files: Kubeconfig) -> None:
    assert files.load().current_context == "one"
    assert Kubeconfig(files.paths[::-1]).load().current_context == "two"


def test_a_file_that_is_missing_is_passed_over_unless_a_flag_names_it(tmp_path: Path) -> None:
    assert Kubeconfig([tmp_path / "none"]).load().contexts == {}
    with pytest.raises(KubeconfigError, match="no such file or directory"):
        from_environment(str(tmp_path / "none")).require()


def test_the_flag_goes_before_the_environment_and_that_before_the_home_directory(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "KUBECONFIG": os.pathsep.join(["/a", "", "/b"])}
    assert from_environment("/c", environment).paths == [Path("/c")]
    assert from_environment("", environment).paths == [Path("/a"), Path("/b")]
    assert from_environment("", {"HOME": str(tmp_path)}).paths == [tmp_path / ".kube" / "config"]


def test_paths_are_relative_to_the_file_that_has_them(files: Kubeconfig, tmp_path: Path) -> None:
    assert files.load().path("clusters", "c3", "ca.crt") == tmp_path / "ca.crt"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clusters: {a: b}", "clusters: a list is wanted"),
        ("clusters: [{name: a, cluster: {server: 3}}]", "clusters.a.server: a string is wanted, not 3"),
        ("clusters: [{name: a}, {name: a}]", 'two entries with the name "a"'),
        ("- a", "a kubeconfig is an object with fields"),
        ("kind: Pod", 'no kind "Pod" is registered'),
        ("a: [", "while parsing"),
    ],
)
def test_a_file_that_is_no_kubeconfig_says_what_is_wrong_with_it(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "bad").write_text(text)
    with pytest.raises(KubeconfigError, match="error loading config file") as caught:
        Kubeconfig([tmp_path / "bad"]).load()
    assert words in str(caught.value)


# where changes go: client-go/tools/clientcmd/config.go


def test_a_changed_entry_is_written_where_it_came_from(files: Kubeconfig, tmp_path: Path) -> None:
    before = (tmp_path / "a").read_text()
    files.modify(files.load().with_entry("contexts", "three", {"cluster": "c1", "user": "u1"}))
    assert read(tmp_path / "b")["contexts"][0]["context"]["cluster"] == "c1"
    assert (tmp_path / "a").read_text() == before and not (tmp_path / "missing").exists()


def test_a_new_entry_goes_to_the_first_file_that_exists(files: Kubeconfig, tmp_path: Path) -> None:
    files.modify(files.load().with_entry("users", "new", {"token": "t"}))
    assert "new" in [each["name"] for each in read(tmp_path / "a")["users"]]


def test_writing_what_is_there_changes_no_file(files: Kubeconfig, tmp_path: Path) -> None:
    before = [(tmp_path / name).read_text() for name in "ab"]
    files.modify(files.load())
    assert [(tmp_path / name).read_text() for name in "ab"] == before


def test_only_its_owner_may_read_a_kubeconfig(tmp_path: Path) -> None:
    files = Kubeconfig([tmp_path / "deep" / "config"])
    files.modify(files.load().with_entry("users", "u", {"token": "secret"}))
    assert (tmp_path / "deep" / "config").stat().st_mode & 0o777 == 0o600


def test_a_link_to_a_kubeconfig_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text(FIRST)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    files = Kubeconfig([tmp_path / "link"])
    files.modify(files.load().without_entry("contexts", "two"))
    assert (tmp_path / "link").is_symlink() and len(read(tmp_path / "real")["contexts"]) == 1


# which server: client-go/tools/clientcmd/client_config.go


def config(**more: Any) -> Any:
    entries = {"clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1", **more.get("cluster", {})}}],
               "users": [{"name": "u", "user": more.get("user", {})}],
               "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}]}  # fmt: skip
    return parse({**entries, "current-context": "x"})


def test_what_the_line_says_goes_before_the_file() -> None:
    fields = {"clusters": {"server": "https://192.0.2.9/"}, "users": {"token": "t"}, "contexts": {"namespace": "n"}}
    endpoint = resolve(config(), Overrides(fields=fields))
    assert (endpoint.server, endpoint.namespace) == ("https://192.0.2.9", "n")
    assert endpoint.headers() == {"Authorization": "Bearer t"}


def test_without_a_kubeconfig_kubectls_own_default_is_meant() -> None:
    assert resolve(parse({})).server == "http://localhost:8080"


def test_a_token_is_read_from_its_file_each_time(tmp_path: Path) -> None:
    endpoint = resolve(config(user={"tokenFile": str(tmp_path / "token")}))
    for text in ("one", "two"):
        (tmp_path / "token").write_text(f"{text}\n")
        assert endpoint.headers() == {"Authorization": f"Bearer {text}"}


@pytest.mark.parametrize(
    ("more", "overrides", "words"),
    [
        ({}, Overrides(context="nope"), "context was not found for specified context: nope"),
        ({}, Overrides(cluster="nope"), 'no server found for cluster "nope"'),
        ({}, Overrides(user="nope"), 'auth info "nope" does not exist'),
        ({"cluster": {"server": "https://"}}, None, "invalid server URL"),
        ({"cluster": {"proxy-url": "socks5://p"}}, None, "proxy-url: socks5://p: not implemented by k8snb"),
        ({"user": {"exec": {"command": "x"}}}, None, "apiVersion must be specified to use exec"),
        ({"user": {"auth-provider": {"name": "x"}}}, None, "auth-provider: not implemented by k8snb"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_sent(more: Any, overrides: Any, words: str) -> None:
    with pytest.raises(KubeconfigError) as caught:
        resolve(config(**more), overrides)
    assert words in str(caught.value)


def test_a_proxy_of_the_environment_is_for_servers_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert resolve(config()).proxy == "http://proxy:3128"
    monkeypatch.setenv("NO_PROXY", "192.0.2.1")
    assert resolve(config()).proxy == ""
    assert resolve(config(cluster={"server": "https://127.0.0.1:1"})).proxy == ""


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"cluster": {"certificate-authority-data": "LS0t"}}, "unable to parse bytes as PEM block"),
        ({"cluster": {"certificate-authority": "/nope"}}, "open /nope: no such file or directory"),
        ({"cluster": {"certificate-authority-data": "%%"}}, "illegal base64 data"),
        ({"user": {"client-certificate-data": "LS0t"}}, "client-key-data or client-key must be specified"),
    ],
)
def test_certificates_that_cannot_be_used_say_why(more: Any, words: str) -> None:
    with pytest.raises(KubeconfigError) as caught:
        resolve(config(**more)).tls()
    assert words in str(caught.value)


# kubectl config, word for word

LINES = """\
view
view --raw
view --minify
view --flatten
view --flatten --minify
view -o json
view -o json --raw --minify
view -o jsonpath={.users[*].name}
view -o name
view x
view --minify --context two
view --minify --context nope
view --minify --cluster c2
current-context
get-contexts
get-contexts -o name
get-contexts two
get-contexts two nope
get-contexts --no-headers
get-contexts -o yaml
get-users
use-context two
use-context nope
use two
rename-context one uno
rename-context one two
rename-context nope two
delete-context one
delete-context two
delete-context nope
delete-cluster c1
delete-cluster nope
delete-user u1
delete-user nope
set a b
set foo.bar.baz b
set clusters.my.server http://x
set current-context zz
set contexts.one.namespace zz
set clusters.c2.insecure-skip-tls-verify maybe
set users.u1.client-key-data abc --set-raw-bytes
set clusters.c2.certificate-authority-data aGk=
set preferences.colors true
set users.u1.exec.command foo
set clusters.c9.insecure-skip-tls-verify true
unset foo
unset contexts.nope
unset contexts.nope.namespace
unset contexts.one.namespace
unset contexts
unset current-context
unset users.u1
unset users.u3.exec
unset clusters.c1.nope
set-cluster x --certificate-authority=/nope
set-cluster x --certificate-authority=ca.crt
set-cluster x --certificate-authority=/nope --embed-certs
set-cluster x --certificate-authority=ca.crt --embed-certs
set-cluster c1 --server=http://y --insecure-skip-tls-verify
set-cluster n --tls-server-name=ff --proxy-url=http://h
set-cluster n --insecure-skip-tls-verify=false --server=
set-context --current --namespace=ff
set-context new --cluster=c1 --user=u1
set-context one
set-context
set-context --current --namespace=x y
set-context two --user=
set-credentials u1 --username=x --password=y
set-credentials u2 --token=y
set-credentials n --exec-command=foo --exec-arg=a --exec-arg=b --exec-env=X=y --exec-api-version=v1
set-credentials n --exec-command=foo
set-credentials u3 --exec-env=Y=1 --exec-interactive-mode=Never
set-credentials n --exec-interactive-mode=Foo --exec-command=x
set-credentials n --client-certificate=ca.crt --client-key=/ca.crt
set-credentials n --auth-provider=oidc --auth-provider-arg=a=b
set-credentials n --username=a --token=b
set-credentials n --client-key=nofile --embed-certs
set-credentials n
""".splitlines()
NEWEST = next(reversed(found_kubectls().items()), None)
Outcome = tuple[str, str, int, str, str]


def ours(words: list[str]) -> tuple[str, str, int]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["kubectl", *words])
    return out.getvalue(), err.getvalue(), code


def real(words: list[str]) -> tuple[str, str, int]:
    assert NEWEST is not None
    done = subprocess.run([NEWEST[1], *words], capture_output=True, text=True, timeout=60)
    return done.stdout, done.stderr, done.returncode


def played(words: list[str], who: Callable[[list[str]], tuple[str, str, int]], *sources: str) -> Outcome:
    """What is said, and what the two files are afterwards."""
    for name in ("w", "x"):
        Path(name).unlink(missing_ok=True)
    for name, source in zip(("w", "x"), sources, strict=False):
        Path(name).write_text(source)
    said = who(words)
    return (*said, *(Path(name).read_text() if Path(name).exists() else "" for name in ("w", "x")))  # type: ignore[return-value]


@pytest.mark.process
@pytest.mark.parametrize("sources", [(FIRST,), (FIRST, SECOND), ()], ids=["one file", "two files", "no file"])
def test_kubectl_config_says_and_writes_what_the_real_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: tuple[str, ...]
) -> None:
    if NEWEST is None or numbers(NEWEST[0]) < (1, 33):
        pytest.skip("optional: no kubectl of 1.33 or newer is installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", "w:x:missing" if len(sources) > 1 else "w")
    Path("ca.crt").touch()
    wrong = []
    for line in LINES:
        words = ["config", *line.split()]
        theirs, mine = played(words, real, *sources), played(words, ours, *sources)
        if theirs != mine:
            wrong.append(f"$ kubectl config {line}\n{mine}\n-- but the real one --\n{theirs}")
    assert not wrong, "\n\n".join(wrong)
