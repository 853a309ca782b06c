"""kube-apiserver's strategy for DaemonSets: the generation of the pod template, which only the server counts.

Interface: `with_first_generation(obj)`, `with_generation(obj, old)`, pure.
The rule not to break: the number goes up with each change of the template and never by a client's word.
Source: `pkg/registry/apps/daemonset/strategy.go`; apps/v1 shows the old field as an annotation
(`pkg/apis/apps/v1/conversion.go`).
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, annotations_of, with_metadata

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def with_first_generation(obj: Object) -> Object:
    given = annotations_of(obj).get(TEMPLATE_GENERATION, "")
    return _numbered(obj, int(given) if given.isdigit() and int(given) else 1)


def with_generation(obj: Object, old: Object) -> Object:
    """What is written in the place of `old`, with its number or, for another template, the next."""
    before = annotations_of(old).get(TEMPLATE_GENERATION, "1")
    number = int(before) if before.isdigit() else 1
    changed = obj["spec"].get("template") != old["spec"].get("template")
    return _numbered(obj, number + 1 if changed else number)


def _numbered(obj: Object, number: int) -> Object:
    annotations = annotations_of(obj)
    if annotations.get(TEMPLATE_GENERATION) == str(number):
        return obj
    return with_metadata(obj, annotations={**annotations, TEMPLATE_GENERATION: str(number)})
