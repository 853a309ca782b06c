"""Why an Ingress leads nowhere: nobody serves its class, or there is nothing behind a path of it.

Interface: `DIAGNOSES`; `has_port(service, wanted)`.
The rule not to break: as in `why`.
Source: `concepts/services-networking/ingress` of the documentation; `kubectl describe ingress`, which marks such
backends with an error.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from k8snb.apimachinery.meta import Object, annotations_of, get_path, name_of, namespace_of
from k8snb.story.why import Diagnosis, Finding, Scene, patch, seen, why, word_of

ANNOTATION = "kubernetes.io/ingress.class"


class Place(NamedTuple):
    """Where an Ingress names a Service: the path in words, the JSON pointer, and `{name, port}`."""

    word: str
    pointer: str
    service: Object


def served(scene: Scene, obj: Object) -> Iterator[Finding]:
    """An Ingress belongs to whoever serves its class. Whoever has given it an address serves it, class or not."""
    wanted = get_path(obj, "spec.ingressClassName") or annotations_of(obj).get(ANNOTATION, "")
    known = [name_of(each) for each in scene.items("ingressclasses")]
    if wanted in known or get_path(obj, "status.loadBalancer.ingress"):
        return
    fact = f'there is no IngressClass "{wanted}"' if wanted else "it names no IngressClass, and nobody has taken it up"
    fixes = [patch(obj, {"spec": {"ingressClassName": name}}) for name in known[:1]]
    yield Finding(word_of(obj), fact, (seen(obj, "spec.ingressClassName", wanted or "none"),),
                  fixes or ["%kcluster addons enable ingress"])  # fmt: skip


def backends(scene: Scene, obj: Object) -> Iterator[Finding]:
    told: set[str] = set()
    for place in _places(obj):
        name = place.service["name"]
        service = scene.find("services", name, namespace_of(obj))
        if service is None:
            yield _no_service(scene, obj, place)
        elif not has_port(service, place.service.get("port") or {}):
            yield _no_port(obj, place, service)
        elif name not in told:
            told.add(name)
            for finding in why(scene, service):
                fact = f"{place.word} leads to {word_of(service)}, and {finding.fact}"
                yield Finding(word_of(obj), fact, finding.evidence, finding.fixes)


def _places(obj: Object) -> Iterator[Place]:
    default = get_path(obj, "spec.defaultBackend.service")
    if default:
        yield Place("its default backend", "/spec/defaultBackend/service", default)
    for at, rule in enumerate(get_path(obj, "spec.rules") or ()):
        for step, path in enumerate(get_path(rule, "http.paths") or ()):
            service = get_path(path, "backend.service")
            if service:
                word = f"{rule.get('host', '*')}{path.get('path', '/')}"
                yield Place(word, f"/spec/rules/{at}/http/paths/{step}/backend/service", service)


def _no_service(scene: Scene, obj: Object, place: Place) -> Finding:
    name = place.service["name"]
    names = [name_of(each) for each in scene.items("services", namespace_of(obj))]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    fixes = [patch(obj, [{"op": "replace", "path": f"{place.pointer}/name", "value": other}]) for other in near]
    where = place.pointer.strip("/").replace("/", ".")
    fact = f'{place.word} leads to the service "{name}", and there is none of that name'
    make = f"or make it: kubectl expose deployment/NAME --name={name}"
    return Finding(word_of(obj), fact, (seen(obj, where, name),), [*fixes, make])


def has_port(service: Object, wanted: Object) -> bool:
    """Whether a Service has the port that a backend names; whoever has only a name has all."""
    if get_path(service, "spec.type") == "ExternalName":
        return True
    key, value = ("name", wanted["name"]) if wanted.get("name") else ("port", wanted.get("number"))
    return any(port.get(key) == value for port in get_path(service, "spec.ports") or ())


def _no_port(obj: Object, place: Place, service: Object) -> Finding:
    ports = get_path(service, "spec.ports") or ()
    wanted = place.service.get("port") or {}
    shown = (
        ", ".join(str(port["port"]) + (f" ({port['name']})" if port.get("name") else "") for port in ports) or "none"
    )
    fixes = [patch(obj, [{"op": "replace", "path": f"{place.pointer}/port", "value": {"number": port["port"]}}])
             for port in ports[:1]]  # fmt: skip
    asked = wanted.get("name") or wanted.get("number", "none")
    return Finding(word_of(obj), f"{place.word} leads to port {asked} of {word_of(service)}, whose ports are: {shown}",
                   (seen(obj, f"{place.pointer.strip('/').replace('/', '.')}.port", str(asked)),
                    seen(service, "spec.ports", shown)), fixes)  # fmt: skip


DIAGNOSES: Mapping[str, tuple[Diagnosis, ...]] = {"Ingress": (served, backends)}
