"""Ingresses and IngressClasses that are refused, by the rules of pkg/apis/networking/validation/validation.go."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from controllers_lab import Lab

from k8snb.apimachinery.errors import ApiError

Object = dict[str, Any]
WEB: Object = {"service": {"name": "web", "port": {"number": 80}}}


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab()


def path(**changes: Any) -> Object:
    return {"path": "/", "pathType": "Prefix", "backend": WEB, **changes}


def with_path(**changes: Any) -> Object:
    entry = {key: value for key, value in path(**changes).items() if value is not None}
    return {"rules": [{"host": "a.b", "http": {"paths": [entry]}}]}


def refusal(lab: Lab, resource: str, obj: Object) -> str:
    with pytest.raises(ApiError) as caught:
        lab.client.create(resource, copy.deepcopy(obj), "default" if resource == "ingresses" else "", dryRun=True)
    assert caught.value.code == 422, caught.value
    return caught.value.message


BACKEND = "spec.rules[0].http.paths[0].backend"
PATH = "spec.rules[0].http.paths[0].path"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({}, "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"),
        ({"rules": [{"http": {"paths": []}}]}, "spec.rules[0].http.paths: Required value"),
        ({"rules": [{"host": "1.2.3.4"}]}, 'spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name'),
        ({"rules": [{"host": "a_b"}]}, 'spec.rules[0].host: Invalid value: "a_b": a lowercase RFC 1123 subdomain'),
        ({"rules": [{"host": "*"}]}, 'spec.rules[0].host: Invalid value: "*": a wildcard DNS-1123 subdomain'),
        ({"rules": [{"host": "a.*.b"}]}, "a wildcard DNS-1123 subdomain must start with '*.'"),
        (with_path(path="foo"), f'{PATH}: Invalid value: "foo": must be an absolute path'),
        (with_path(path=None), f'{PATH}: Invalid value: "": must be an absolute path'),
        (with_path(path="/a//b"), f"{PATH}: Invalid value: \"/a//b\": must not contain '//'"),
        (with_path(path="/a/.."), "cannot end with '/..'"),
        (with_path(path="/%2f", pathType="Exact"), "must not contain '%2f'"),
        (with_path(pathType="Regex"), 'pathType: Unsupported value: "Regex"'),
        (with_path(path="foo", pathType="ImplementationSpecific"), "must be an absolute path"),
        (with_path(backend={}), f'{BACKEND}: Invalid value: "": resource or service backend is required'),
        (with_path(backend={**WEB, "resource": {"kind": "Bucket", "name": "x"}}), "cannot set both resource"),
        (with_path(backend={"resource": {"kind": "", "name": "x"}}), f"{BACKEND}.resource.kind: Required value"),
        (with_path(backend={"service": {"name": "web"}}), f"{BACKEND}: Required value: port name or number"),
        (with_path(backend={"service": {"name": "web", "port": {"number": 80, "name": "http"}}}), "cannot set both"),
        (with_path(backend={"service": {"name": "web", "port": {"number": 70000}}}), "must be between 1 and 65535"),
        (with_path(backend={"service": {"name": "Web", "port": {"number": 80}}}), "a DNS-1035 label must consist"),
        ({"defaultBackend": {}}, 'spec.defaultBackend: Invalid value: "": resource or service backend is required'),
        ({"defaultBackend": WEB, "tls": [{"hosts": ["*.*"]}]}, "spec.tls[0].hosts[0]: Invalid value"),
        ({"defaultBackend": WEB, "tls": [{"secretName": "No Name"}]}, "spec.tls[0].secretName: Invalid value"),
        ({"defaultBackend": WEB, "ingressClassName": "No Name"}, "spec.ingressClassName: Invalid value"),
    ],
)  # fmt: skip
def test_an_ingress_that_is_amiss_is_refused_by_the_name_of_the_field(lab: Lab, spec: Object, said: str) -> None:
    assert said in refusal(lab, "ingresses", {"metadata": {"name": "web"}, "spec": spec})


@pytest.mark.parametrize(
    "spec",
    [
        {"defaultBackend": WEB},
        {"rules": [{"host": "*.a.b"}]},
        with_path(path="/a/(.*)", pathType="ImplementationSpecific"),
        with_path(path=None, pathType="ImplementationSpecific"),
        with_path(backend={"service": {"name": "web", "port": {"name": "http"}}}),
        with_path(backend={"resource": {"apiGroup": "a.b", "kind": "Bucket", "name": "x"}}),
    ],
)
def test_an_ingress_that_is_right_is_taken(lab: Lab, spec: Object) -> None:
    assert lab.client.create("ingresses", {"metadata": {"name": "web"}, "spec": spec}, "default", dryRun=True)


def test_the_class_is_named_once(lab: Lab) -> None:
    metadata = {"name": "web", "annotations": {"kubernetes.io/ingress.class": "nginx"}}
    obj = {"metadata": metadata, "spec": {"defaultBackend": WEB, "ingressClassName": "nginx"}}
    assert "can not be set when the class field is also set" in refusal(lab, "ingresses", obj)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"controller": ""}, "spec.controller: Required value"),
        ({"controller": "nginx"}, 'must be a domain-prefixed path (such as "acme.io/foo")'),
        ({"controller": "A_b/c"}, "spec.controller: Invalid value"),
        ({"controller": "a.b/" + "c" * 250}, "spec.controller: Too long: may not be more than 250 bytes"),
        ({"controller": "a.b/c", "parameters": {"kind": "P", "name": "p", "scope": "Galaxy"}}, "Unsupported value"),
        ({"controller": "a.b/c", "parameters": {"kind": "P", "name": "p", "scope": "Namespace"}},
         "spec.parameters.namespace: Required value"),
        ({"controller": "a.b/c", "parameters": {"kind": "P", "name": "p", "namespace": "x"}},
         "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"),
    ],
)  # fmt: skip
def test_a_class_that_is_amiss_is_refused(lab: Lab, spec: Object, said: str) -> None:
    assert said in refusal(lab, "ingressclasses", {"metadata": {"name": "nginx"}, "spec": spec})


def test_a_class_keeps_its_controller(lab: Lab) -> None:
    made = lab.client.create("ingressclasses", {"metadata": {"name": "fixed"}, "spec": {"controller": "a.b/c"}})
    with pytest.raises(ApiError, match="field is immutable"):
        lab.client.update("ingressclasses", {**made, "spec": {"controller": "a.b/d"}})
