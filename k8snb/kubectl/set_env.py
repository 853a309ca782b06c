"""kubectl set env: environment variables of what exists.

Interface: `COMMANDS`.
The rule not to break: a variable keeps its place in the list; what a container does not name is not touched.
Source: `kubectl/pkg/cmd/set/set_env.go`, `kubectl/pkg/cmd/set/env`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from k8snb.apimachinery import names
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, get_path, name_of
from k8snb.kubectl import flags
from k8snb.kubectl.grammar import ARRAY, BOOL, STRINGS, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.resources import Found, one, select
from k8snb.kubectl.session import Session
from k8snb.kubectl.set_field import CONTAINERS, named, pod_spec, runner, with_containers, with_pod_spec

_REFERENCES = {"ConfigMap": "configMapKeyRef", "Secret": "secretKeyRef"}


class _Variables(NamedTuple):
    """What to set, and the names of what to remove."""

    set: list[Object]
    remove: list[str]


def run(session: Session, args: Arguments) -> Output:
    resources, variables = _resources(args), _variables(session, args)
    if args.on("list"):
        named = Arguments(args.command, resources, args.rest, args.values, args.given)
        return _list(session, named, variables)

    def change(session: Session, args: Arguments, found: Found) -> Object | None:
        return _changed(session, args, found, variables)

    return runner(change, "env updated", words=lambda args: resources)(session, args)


def _resources(args: Arguments) -> list[str]:
    words = [word for word in args.words if "=" not in word and not word.endswith("-")]
    if not words and not args.from_files:
        raise KubectlError("error: one or more resources must be specified as <resource> <name> or <resource>/<name>")
    return words


def _variables(session: Session, args: Arguments) -> _Variables:
    """Raises KubectlError for a name that no variable can have, and for one that is both set and removed."""
    words = [word for word in args.words if "=" in word or word.endswith("-")]
    lines = [*words, *args.texts("env")]
    if "-" in lines:
        stdin = [line.strip() for line in (session.stdin or "").splitlines()]
        lines = [*(line for line in lines if line != "-"), *(line for line in stdin if line and line[0] != "#")]
    wanted, remove = [], []
    for line in lines:
        name, equals, value = line.partition("=")
        if not equals and line.endswith("-"):
            remove.append(line[:-1])
            continue
        complaints = names.env_var(name) if equals else ["environment variables must be of the form KEY=VALUE"]
        if complaints:
            raise KubectlError(f'error: "{name}" is not a valid key name: {"; ".join(complaints)}')
        wanted.append({"name": name, "value": value})
    if {variable["name"] for variable in wanted} & set(remove):
        raise KubectlError("error: can not both modify and remove the same environment variable in the same command")
    if args.text("from"):
        wanted += _imported(session, args)
    return _Variables(wanted, remove)


def _imported(session: Session, args: Arguments) -> list[Object]:
    """A variable for each key of a ConfigMap or Secret."""
    source = one(session, args, args.text("from"))
    field = _REFERENCES.get(source.kind.kind)
    if field is None:
        raise KubectlError(f"error: unsupported resource specified in --from: {source.kind.kind}")
    asked = {key.lower() for key in args.texts("keys")}
    found = []
    for key in sorted(source.object.get("data") or ()):
        if asked and key.lower() not in asked:
            continue
        name = re.sub(r"[^A-Z0-9_]", "_", key.upper())
        if name != key:
            session.warnings.append(f"key {key} transferred to {name}")
        reference = {"key": key, "name": name_of(source.object)}
        found.append({"name": args.text("prefix") + name, "valueFrom": {field: reference}})
    return found


def _changed(session: Session, args: Arguments, found: Found, variables: _Variables) -> Object | None:
    spec = pod_spec(found)
    chosen = named(spec, args.text("containers"))
    if not chosen:
        session.warnings.append(f"{found.kind.kind}/{found.name} does not have any containers matching "
                                f'"{args.text("containers")}"')  # fmt: skip
        return None
    if not args.on("overwrite"):
        _refuse_overwriting(found, spec, chosen, variables.set)

    def with_env(container: Object) -> Object:
        env = updated(container.get("env") or (), variables.set, variables.remove)
        rest = {field: value for field, value in container.items() if field != "env"}
        return {**rest, "env": env} if env else rest

    return with_pod_spec(found, with_containers(spec, chosen, with_env))


def _refuse_overwriting(found: Found, spec: Object, chosen: Sequence[str], wanted: Iterable[Object]) -> None:
    new = {variable["name"] for variable in wanted}
    for container in (each for field in CONTAINERS for each in spec.get(field) or ()):
        for variable in container.get("env") or ():
            if container["name"] in chosen and variable["name"] in new:
                raise KubectlError(f"error: {found.kind.plural}/{found.name} '{variable['name']}' already has a value "
                                   f"({variable.get('value', '')}), and --overwrite is false")  # fmt: skip


def updated(env: Iterable[Object], wanted: Iterable[Object], remove: Iterable[str]) -> list[Object]:
    """A container's variables after the change: what is there keeps its place, what is new comes last."""
    new = {variable["name"]: variable for variable in wanted}
    gone, kept = set(remove), []
    for variable in env:
        name = variable["name"]
        if name not in gone:
            kept.append(new.pop(name, variable))
    return [*kept, *new.values()]


# --list


def _list(session: Session, args: Arguments, variables: _Variables) -> Output:
    """The variables as they are, or as the change would leave them."""
    selection = select(session, args, names_only=True)
    lines: list[str] = []
    for found in selection.require():
        spec = pod_spec(found)
        chosen = named(spec, args.text("containers"))
        for container in (each for field in CONTAINERS for each in spec.get(field) or ()):
            if container["name"] in chosen:
                lines.append(f"# {found.kind.kind} {found.name}, container {container['name']}")
                env = updated(container.get("env") or (), variables.set, variables.remove)
                lines += [_line(session, args, found, variable) for variable in env]
    return Output(text="".join(f"{line}\n" for line in lines), objects=[found.object for found in selection.found])


def _line(session: Session, args: Arguments, found: Found, variable: Object) -> str:
    source = variable.get("valueFrom")
    if not source:
        return f"{variable['name']}={variable.get('value', '')}"
    if args.on("resolve") and (value := _resolved(session, found, source)) is not None:
        return f"{variable['name']}={value}"
    return f"# {variable['name']} from {_described(source)}"


def _described(source: Mapping[str, Object]) -> str:
    (field, reference), *_ = source.items()
    if field == "configMapKeyRef":
        return f"configmap {reference.get('name')}, key {reference['key']}"
    if field == "secretKeyRef":
        return f"secret {reference.get('name')}, key {reference['key']}"
    if field == "fieldRef":
        return f"field path {reference['fieldPath']}"
    where = f"{reference['containerName']}/" if reference.get("containerName") else ""
    return f"resource field {where}{reference['resource']}"


def _resolved(session: Session, found: Found, source: Mapping[str, Object]) -> str | None:
    """The value behind a reference; None where it cannot be told."""
    (field, reference), *_ = source.items()
    if field == "fieldRef":
        value = get_path(found.object, reference["fieldPath"])
        return None if value is None else str(value)
    kind = {"configMapKeyRef": "configmaps", "secretKeyRef": "secrets"}.get(field)
    try:
        data = session.client.get(kind, reference["name"], found.namespace).get("data") or {} if kind else {}
    except ApiError:
        return None
    value = data.get(reference.get("key", ""))
    return value if field != "secretKeyRef" or value is None else base64.b64decode(value).decode(errors="replace")


COMMANDS = (
    Command(
        name="set env",
        usage="RESOURCE/NAME KEY_1=VAL_1 ... KEY_N=VAL_N [flags]",
        help="Set environment variables of containers, or remove them (KEY-).",
        group="Basic Commands (Beginner)",
        run=run,
        flags=(
            Flag("containers", help="The containers that are meant; * stands for any letters.", short="c", default="*",
                 values=(":containers",)),
            Flag("env", ARRAY, "A variable, NAME=VALUE; repeatable.", short="e"),
            Flag("from", help="A ConfigMap or Secret whose keys become variables."),
            Flag("keys", STRINGS, "Take only these keys of --from."),
            Flag("prefix", help="Put before the names that --from gives."),
            Flag("list", BOOL, "Only show the variables."),
            Flag("resolve", BOOL, "With --list, show the values behind references."),
            Flag("overwrite", BOOL, "Change variables that have a value.", default=True),
            *flags.FILES, flags.SELECTOR, flags.ALL, flags.LOCAL, *flags.WRITING,
        ),
        words="resources",
        examples=(
            "kubectl set env deployment/web STAGE=production",
            "kubectl set env deployment/web STAGE-",
            "kubectl set env deployment/web --from=configmap/settings",
            "kubectl set env pods --all --list",
        ),
    ),
)  # fmt: skip
