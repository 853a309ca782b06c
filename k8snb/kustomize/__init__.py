"""kustomize: a directory with a kustomization becomes the objects that it describes.

Interface: `build(directory) -> Built`, the objects in the order in which they are applied; `KustomizeError`.
The rule not to break: nothing is left out in silence: a field that is not carried out is refused by its name.
Source: `kubernetes-sigs/kustomize` 5.6, which kubectl 1.33 has in it. Real kustomize also runs plug-ins and inflates
Helm charts.
"""

from k8snb.kustomize.build import Built, build
from k8snb.kustomize.errors import KustomizeError

__all__ = ["Built", "KustomizeError", "build"]
