"""kubectl kustomize: what a directory with a kustomization describes, as text.

Interface: `COMMANDS`.
The rule not to break: nothing is sent anywhere; what is printed is what `apply -k` would send.
Source: `kubectl/pkg/cmd/kustomize`, which is `kustomize build`.
"""

from __future__ import annotations

from k8snb.kubectl.formats import to_yaml
from k8snb.kubectl.grammar import Arguments, Command
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.session import Session
from k8snb.kubectl.sources import built_from


def run(session: Session, args: Arguments) -> Output:
    if len(args.words) > 1:
        raise KubectlError("error: specify one path to kustomization.yaml")
    built = built_from(args.words[0] if args.words else ".")
    session.warnings += built.warnings
    return Output(text="---\n".join(map(to_yaml, built.objects)), objects=built.objects, format="yaml")


COMMANDS = (
    Command(
        name="kustomize",
        usage="DIR [flags]",
        help="Print the objects that a directory with a kustomization.yaml describes.",
        group="Advanced Commands",
        run=run,
        missing=("as-current-user", "enable-alpha-plugins", "enable-helm", "env", "helm-api-versions", "helm-command",
                 "helm-debug", "helm-kube-version", "load-restrictor", "mount", "network", "network-name", "output"),
        examples=("kubectl kustomize overlays/production", "kubectl apply -k overlays/production"),
    ),
)  # fmt: skip
