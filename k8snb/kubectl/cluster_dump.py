"""kubectl cluster-info dump: what is in a cluster, and what its containers wrote, for whoever looks for a fault.

Interface: `dump(session, args)`; `FLAGS`.
The rule not to break: nothing of the cluster is left out silently: logs that cannot be had say why.
Source: `kubectl/pkg/cmd/clusterinfo/clusterinfo_dump.go`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, name_of
from k8snb.kubectl import flags, formats
from k8snb.kubectl.grammar import STRINGS, Arguments, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.session import Session
from k8snb.kubectl.templates import format_of

SYSTEM = "kube-system"
# What of each namespace is dumped, by the names of upstream's files.
KINDS = (
    ("events", "events"), ("replication-controllers", "replicationcontrollers"), ("services", "services"),
    ("daemonsets", "daemonsets"), ("deployments", "deployments"), ("replicasets", "replicasets"), ("pods", "pods"),
)  # fmt: skip
ENDINGS = {"json": ".json", "yaml": ".yaml"}
FLAGS = (
    Flag("output-directory", help="A directory for the files; without, or with -, all is printed."),
    Flag("namespaces", STRINGS, "The namespaces to dump; kube-system and the one in use if not given."),
    flags.ALL_NAMESPACES,
    Flag("output", help="Format: json, yaml, name, jsonpath=…", short="o",
         values=("json", "yaml", "name", "jsonpath=")),
    flags.MANAGED_FIELDS, flags.MISSING_KEYS, flags.TEMPLATE,
)  # fmt: skip


def dump(session: Session, args: Arguments) -> Output:
    if args.words:
        raise KubectlError(f"error: unexpected arguments: [{' '.join(args.words)}]")
    folder = args.text("output-directory")
    parts = list(_parts(session, args))
    if folder in ("", "-"):
        return Output(text="".join(text for _, text in parts))
    _write(Path(folder), parts)
    return Output(text=f"Cluster info dumped to {folder}\n")


def _write(folder: Path, parts: list[tuple[str, str]]) -> None:
    contents: dict[Path, str] = {}
    for name, text in parts:
        contents[folder / name] = contents.get(folder / name, "") + text
    try:
        for path, text in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise KubectlError(f"error: open {error.filename}: {(error.strerror or '').lower()}") from None


def _parts(session: Session, args: Arguments) -> Iterator[tuple[str, str]]:
    """Each piece of the dump, with the name of its file."""
    format = format_of(args, "json")
    query: dict[str, Any] = {"managedFields": True} if args.on("show-managed-fields") else {}
    ending = ENDINGS.get(format, ".txt")
    yield f"nodes{ending}", _rendered(args, session.client.list("nodes", **query), format)
    for namespace in _namespaces(session, args):
        for file, plural in KINDS:
            yield (
                f"{namespace}/{file}{ending}",
                _rendered(args, session.client.list(plural, namespace, **query), format),
            )
        for pod in session.client.items("pods", namespace):
            yield f"{namespace}/{name_of(pod)}/logs.txt", _logs(session, pod, namespace)


def _namespaces(session: Session, args: Arguments) -> list[str]:
    if args.on("all-namespaces"):
        return [name_of(each) for each in session.client.items("namespaces")]
    return args.texts("namespaces") or list(dict.fromkeys([SYSTEM, session.namespace]))


def _rendered(args: Arguments, listed: Object, format: str) -> str:
    missing_ok, managed = args.on("allow-missing-template-keys"), args.on("show-managed-fields")
    return formats.render([listed], format, single=True, missing_ok=missing_ok, managed_fields=managed)


def _logs(session: Session, pod: Object, namespace: str) -> str:
    containers = [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]
    return "".join(_log(session, name_of(pod), namespace, container["name"]) for container in containers)


def _log(session: Session, pod: str, namespace: str, container: str) -> str:
    where = f"logs for container {container} of pod {namespace}/{pod}"
    try:
        text = b"".join(session.client.logs(pod, namespace, container=container)).decode(errors="replace")
    except ApiError as error:
        text = f"Request log error: {error.message}\n"
    return f"==== START {where} ====\n{text}==== END {where} ====\n"
