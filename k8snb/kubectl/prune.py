"""kubectl apply --prune: what was applied once and is in the manifests no longer.

Interface: `check(args)`; `superfluous(session, args, items)`, the live objects that go.
The rule not to break: only what apply itself made goes (it carries the last-applied annotation), only in namespaces
that the manifests touch, only of the kinds in `ALLOWED` or the user's own list.
Source: `kubectl/pkg/cmd/apply/prune.go`, `kubectl/pkg/util/prune/prune.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from k8snb.apimachinery.kinds import Kind
from k8snb.apimachinery.meta import annotations_of, name_of, namespace_of
from k8snb.kubectl.create import LAST_APPLIED
from k8snb.kubectl.delete import policy_of
from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import KubectlError
from k8snb.kubectl.resources import Found
from k8snb.kubectl.session import SERVER, Session, dry_run
from k8snb.kubectl.sources import Item

ALLOWED = (
    "v1/ConfigMap", "v1/Endpoints", "v1/PersistentVolumeClaim", "v1/Pod", "v1/ReplicationController", "v1/Secret",
    "v1/Service", "batch/v1/Job", "batch/v1/CronJob", "networking.k8s.io/v1/Ingress", "apps/v1/DaemonSet",
    "apps/v1/Deployment", "apps/v1/ReplicaSet", "apps/v1/StatefulSet",
)  # fmt: skip
CLUSTER_WIDE = ("v1/Namespace", "v1/PersistentVolume")


def check(args: Arguments) -> None:
    """Refuse a prune without a limit, and a limit without a prune."""
    if args.on("prune") and not (args.text("selector") or args.on("all")):
        raise KubectlError("error: all resources selected for prune without explicitly passing --all. To prune all "
                           "resources, pass the --all flag. If you did not mean to prune all resources, specify a "
                           "label selector")  # fmt: skip
    if args.text("selector") and args.on("all"):
        raise KubectlError("error: cannot set --all and --selector at the same time")
    if args.texts("prune-allowlist") and not args.on("prune"):
        raise KubectlError("error: --prune-allowlist only works with --prune")


def superfluous(session: Session, args: Arguments, items: Sequence[Item]) -> Iterator[Found]:
    """What goes: namespaced objects first."""
    named = {(item.kind.prefix, item.namespace, name_of(item.object)) for item in items}
    namespaces = sorted({item.namespace for item in items if item.namespace})
    query = {"labelSelector": args.text("selector")} if args.text("selector") else {}
    for kind in _kinds(session, args):
        for namespace in namespaces if kind.namespaced else [""]:
            for obj in session.client.items(kind, namespace, **query):
                key = (kind.prefix, namespace_of(obj), name_of(obj))
                if LAST_APPLIED in annotations_of(obj) and key not in named:
                    yield Found(kind, obj)


def options(args: Arguments) -> dict[str, Any]:
    """The query of a deletion."""
    grace = {"gracePeriodSeconds": args.number("grace-period")} if args.number("grace-period") >= 0 else {}
    dry = {"dryRun": True} if dry_run(args) == SERVER else {}
    return {"propagationPolicy": policy_of(args), **grace, **dry}


def _kinds(session: Session, args: Arguments) -> list[Kind]:
    """The kinds that may go. Raises KubectlError for a word that is no GROUP/VERSION/KIND."""
    wide = () if "namespace" in args.given else CLUSTER_WIDE
    words = args.texts("prune-allowlist") or [*ALLOWED, *wide]
    served = {f"{kind.api_version}/{kind.kind}": kind for kind in session.client.kinds()}
    found = []
    for word in words:
        kind = served.get(word.removeprefix("core/"))
        if args.texts("prune-allowlist") and (kind is None or word.count("/") != 2):
            raise KubectlError(f"error: invalid GroupVersionKind format: {word}, please follow <group/version/kind>")
        found += [kind] if kind is not None else []
    return sorted(found, key=lambda kind: not kind.namespaced)
