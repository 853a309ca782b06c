"""kubectl's grammar: how command lines are read, and what the rows say of themselves."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from k8snb.kubectl import help
from k8snb.kubectl.commands import COMMANDS, ROWS
from k8snb.kubectl.grammar import GLOBAL_FLAGS, MISSING_EVERYWHERE, Arguments, Command, flags_of, parse
from k8snb.kubectl.kubectl import split
from k8snb.kubectl.output import KubectlError


def read(line: str) -> Arguments:
    return parse(split(line), COMMANDS)


@pytest.mark.parametrize(
    "line", ["get pods -l app=x", "get pods -lapp=x", "get pods -l=app=x", "get pods --selector app=x",
             "get pods --selector=app=x", "get -l app=x pods"],
)  # fmt: skip
def test_a_flag_may_be_written_in_every_way_that_pflag_knows(line: str) -> None:
    args = read(line)
    assert (args.text("selector"), args.words) == ("app=x", ["pods"])


def test_short_booleans_may_be_joined() -> None:
    args = read("get pods -Aw")
    assert args.on("all-namespaces") and args.on("watch")


def test_a_boolean_takes_its_value_only_after_an_equals_sign() -> None:
    assert read("delete pod web --wait=false").on("wait") is False
    assert read("get pods --watch false").words == ["pods", "false"]


def test_a_flag_with_a_meaning_of_its_own_when_bare_does_not_eat_the_next_word() -> None:
    args = read("create deployment web --image=nginx --dry-run")
    assert (args.text("dry-run"), args.words) == ("client", ["web"])
    assert read("create deployment web --image=nginx --dry-run=server").text("dry-run") == "server"


def test_repeatable_flags_add_up() -> None:
    args = read("run web --image=nginx --env=A=1,2 --env=B=3")
    assert args.texts("env") == ["A=1,2", "B=3"]
    assert read("get -f a.yaml,b.yaml -f c.yaml").texts("filename") == ["a.yaml", "b.yaml", "c.yaml"]


def test_two_dashes_end_the_flags() -> None:
    args = read("exec web -c nginx -- ls -l --all")
    assert (args.words, args.rest, args.text("container")) == (["web"], ["ls", "-l", "--all"], "nginx")


def test_global_flags_may_come_before_the_verb() -> None:
    args = read("-n kube-system get pods")
    assert (args.command.name, args.text("namespace"), args.words) == ("get", "kube-system", ["pods"])


def test_subcommands_and_aliases_are_found() -> None:
    assert read("create deploy web --image=nginx").command.name == "create deployment"
    assert read("create secret generic x").command.name == "create secret generic"
    assert read("create -f x.yaml").command.name == "create"


def test_the_word_kubectl_may_stand_before_the_line() -> None:
    assert split("kubectl get pods") == ["get", "pods"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("gte pods", 'unknown command "gte" for "kubectl" (did you mean "get"?)'),
        ("get pods --selctor=x", 'unknown flag: --selctor (did you mean "--selector"?)'),
        ("apply --openapi-patch", "kubectl apply --openapi-patch: not implemented by k8snb: there is one table"),
        ("get pods -z", "unknown shorthand flag: 'z' in -z"),
        ("get pods -l", "flag needs an argument: 'l' in -l"),
        ("scale deploy web --replicas=x", 'invalid argument "x" for "--replicas" flag: not a whole number'),
        ("wait pod/x --timeout=5", "not a time such as 30s"),
        ("scale deploy web", 'required flag(s) "replicas" not set'),
        ("run web --image=busybox --filename=x", "kubectl run --filename: not implemented by k8snb"),
        ("run web --image=busybox -k .", "kubectl run --kustomize: not implemented by k8snb"),
        ("kustomize --helm-debug x", "kubectl kustomize --helm-debug: not implemented by k8snb: helm template"),
        ("get pods --cache-dir=here", "kubectl get --cache-dir: not implemented by k8snb"),
        ("get 'pods", "no closing quotation"),
    ],
)
def test_a_line_that_cannot_be_read_is_refused_in_one_sentence(line: str, words: str) -> None:
    with pytest.raises(KubectlError) as caught:
        read(line)
    assert words in caught.value.message.splitlines()[0]


@pytest.mark.parametrize("row", [row for row in ROWS if row.run is not None and not row.raw], ids=lambda row: row.name)
def test_every_flag_without_its_value_is_refused_by_name(row: Command) -> None:
    for flag in flags_of(row):
        for form in (f"--{flag.name}", f"-{flag.short}" if flag.short else ""):
            if flag.takes_value and form:
                with pytest.raises(KubectlError) as caught:
                    parse([*row.name.split(), form], COMMANDS)
                shown = form if form.startswith("--") else f"'{flag.short}' in {form}"
                assert caught.value.message.startswith(f"error: flag needs an argument: {shown}\n")


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("get pods --export", "kubectl get -o yaml"),
        ("run web --image=nginx --generator=run-pod/v1", "kubectl create deployment"),
        ("scale deployment web --replicas=2 --record", "kubernetes.io/change-cause"),
        ("set image deployment/web nginx=nginx:1.25 --record=true", "kubectl rollout history"),
    ],
)
def test_what_is_gone_from_kubectl_says_what_replaced_it(line: str, instead: str) -> None:
    with pytest.raises(KubectlError, match=r"^error: unknown flag: --[a-z]+: it is gone from kubectl: ") as caught:
        read(line)
    assert instead in caught.value.message


def test_help_needs_no_other_flag() -> None:
    assert read("scale --help").on("help")


# the rows

DONE = [row for row in ROWS if row.run is not None and not row.hidden]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name or "kubectl")
def test_every_command_is_documented(row: Command) -> None:
    assert row.help.endswith("."), row.name
    assert row.run is None or row.hidden or (row.usage and row.group)
    assert all(flag.help.endswith(".") or flag.help.endswith("…") for flag in row.flags), row.name
    text = help.page(row, ROWS)
    assert all(f"--{flag.name}=" in text for flag in row.flags)


@pytest.mark.parametrize("row", DONE, ids=lambda row: row.name)
def test_flags_are_named_once_and_not_both_there_and_missing(row: Command) -> None:
    names = [flag.name for flag in flags_of(row)]
    shorts = [flag.short for flag in flags_of(row) if flag.short]
    assert len(names) == len(set(names)) and len(shorts) == len(set(shorts))
    assert not set(names) & set(row.missing)


@pytest.mark.parametrize("line", [example for row in DONE for example in row.examples])
def test_every_example_can_be_read(line: str) -> None:
    args = read(line)
    assert args.command.run is not None and line.startswith(f"kubectl {args.command.name}")


def test_kubectls_own_help_names_every_command() -> None:
    text = help.page(COMMANDS[""], ROWS)
    verbs = [row.name for row in ROWS if row.name and " " not in row.name and not row.hidden]
    assert all(f"  {verb} " in text for verb in verbs)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.process
def test_every_flag_that_all_real_commands_have_is_there_or_named_as_missing() -> None:
    text = subprocess.run(["kubectl", "options"], capture_output=True, text=True, check=True, timeout=30).stdout
    upstream = set(re.findall(r"^    (?:-\w, )?--([\w-]+)=", text, re.MULTILINE))
    assert len(upstream) > 20
    assert upstream - {flag.name for flag in GLOBAL_FLAGS} - {*MISSING_EVERYWHERE} == set()


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
@pytest.mark.process
@pytest.mark.parametrize("row", DONE, ids=lambda row: row.name)
def test_every_flag_of_the_real_kubectl_is_there_or_named_as_missing(row: Command) -> None:
    words = ["kubectl", *row.name.split(), "--help"]
    text = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30).stdout
    upstream = {name: short for short, name in re.findall(r"^    (?:-(\w), )?--([\w-]+)=", text, re.MULTILINE)}
    here = {flag.name: flag.short for flag in row.flags}
    assert upstream.keys() - here.keys() - set(row.missing) == set()
    assert all(short == here[name] for name, short in upstream.items() if name in here)
