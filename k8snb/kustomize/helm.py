"""kustomize, Helm: charts that a kustomization names.

Interface: `check(kustomization, enabled=…)`.
The rule not to break: a chart is never left out in silence.
Source: `api/internal/builtins/HelmChartInflationGenerator.go` in the kustomize repository. Real kustomize runs the
program helm, and takes the objects that `helm template` prints.
"""

from __future__ import annotations

import shutil

from k8snb.kustomize.errors import KustomizeError
from k8snb.kustomize.kustomization import Kustomization

FIELDS = ("helmCharts", "helmChartInflationGenerator")


def check(kustomization: Kustomization, *, enabled: bool) -> None:
    """Raises KustomizeError where there is a chart to inflate."""
    named = next((name for name in FIELDS if kustomization.rows(name)), "")
    if not named:
        return
    if not enabled:
        raise KustomizeError(f"trouble configuring builtin HelmChartInflationGenerator with {named}: must specify "
                             "--enable-helm")  # fmt: skip
    if shutil.which("helm") is None:
        why = 'exec: "helm": executable file not found in $PATH'
        raise KustomizeError(f"unable to run: 'helm version -c --short' (is 'helm' installed?): {why}")
    raise KustomizeError(f"the field {named} of a kustomization: not implemented by k8snb: helm template prints its "
                         "objects, and a file with them can be named under resources")  # fmt: skip
