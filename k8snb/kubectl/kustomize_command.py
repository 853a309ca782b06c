"""kubectl kustomize: what a directory with a kustomization describes, as text.

Interface: `COMMANDS`.
The rule not to break: nothing is sent anywhere; what is printed is what `apply -k` would send.
Source: `kubectl/pkg/cmd/kustomize`, which is `kustomize build`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from k8snb.apimachinery.meta import Object, name_of
from k8snb.kubectl.formats import to_yaml
from k8snb.kubectl.grammar import BOOL, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.session import Session
from k8snb.kubectl.sources import built_from

RESTRICTORS = ("LoadRestrictionsRootOnly", "LoadRestrictionsNone")


def run(session: Session, args: Arguments) -> Output:
    if len(args.words) > 1:
        raise KubectlError("error: specify one path to kustomization.yaml")
    restrictor = args.text("load-restrictor")
    if restrictor not in RESTRICTORS:
        legal = f"legal values: [{' '.join(RESTRICTORS)}]"
        raise KubectlError(f"error: illegal flag value --load-restrictor {restrictor}; {legal}")
    where, restricted = args.words[0] if args.words else ".", restrictor == RESTRICTORS[0]
    built = built_from(where, restricted=restricted, helm=args.on("enable-helm"))
    session.warnings += built.warnings
    if args.text("output"):
        _write(Path(args.text("output")).expanduser(), built.objects)
        return Output(objects=built.objects)
    return Output(text="---\n".join(map(to_yaml, built.objects)), objects=built.objects, format="yaml")


def _write(path: Path, objects: Sequence[Object]) -> None:
    """Into a directory one file for each object, else all into one file. Raises KubectlError."""
    try:
        if not path.is_dir():
            path.write_text("---\n".join(map(to_yaml, objects)), encoding="utf-8")
            return
        for obj in objects:
            (path / _file_name(obj)).write_text(to_yaml(obj), encoding="utf-8")
    except OSError as error:
        raise KubectlError(f"error: open {error.filename}: {str(error.strerror).lower()}") from None


def _file_name(obj: Object) -> str:
    """`apps_v1_deployment_web.yaml`. Source: `writer.go` in `kustomize/commands/build`."""
    words = [*obj["apiVersion"].split("/"), obj["kind"], name_of(obj)]
    return "_".join(word.lower() for word in words).replace(":", "-") + ".yaml"


COMMANDS = (
    Command(
        name="kustomize",
        usage="DIR [flags]",
        help="Print the objects that a directory with a kustomization.yaml describes.",
        group="Advanced Commands",
        run=run,
        flags=(
            Flag("output", help="A file for the objects, or a directory that is there: one file for each.", short="o"),
            Flag("load-restrictor", help="Whether files may lie outside of the directories of their kustomizations.",
                 default=RESTRICTORS[0], values=RESTRICTORS),
            Flag("enable-helm", BOOL, "Inflate Helm charts, for which the program helm is needed."),
        ),
        missing=("as-current-user", "enable-alpha-plugins", "env", "helm-api-versions", "helm-command",
                 "helm-debug", "helm-kube-version", "mount", "network", "network-name"),
        examples=("kubectl kustomize overlays/production", "kubectl apply -k overlays/production"),
    ),
)  # fmt: skip
