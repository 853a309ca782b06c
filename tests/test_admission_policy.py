"""ValidatingAdmissionPolicy: rules in CEL, with upstream's words, and never for long.

Source of the rules: `apiserver/pkg/admission/plugin/policy/validating` in the kubernetes repository; "Validating
Admission Policy" in its documentation.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from k8snb.apimachinery.errors import ApiError
from k8snb.apiserver import ApiServer
from k8snb.apiserver.cel_expressions import CelError, expression
from k8snb.client import Client, User
from k8snb.client.client import MERGE
from k8snb.clock import VirtualClock
from k8snb.etcd.guard import GuardedStore

Object = dict[str, Any]
POLICIES, BINDINGS = "validatingadmissionpolicies", "validatingadmissionpolicybindings"
DEPLOYMENTS = {"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"],
               "operations": ["CREATE", "UPDATE"]}  # fmt: skip


def deployment(name: str = "web", replicas: int = 1, **labels: str) -> Object:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "nginx"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    return {"metadata": {"name": name, "namespace": "default", "labels": labels}, "spec": spec}


def policy(*validations: str | Object, name: str = "demo", rules: Any = None, **spec: Any) -> Object:
    entries = [{"expression": each} if isinstance(each, str) else each for each in validations]
    constraints = {"resourceRules": [DEPLOYMENTS] if rules is None else rules}
    return {"metadata": {"name": name}, "spec": {"matchConstraints": constraints, "validations": entries, **spec}}


def binding(*actions: str, name: str = "everywhere", policy: str = "demo", **spec: Any) -> Object:
    found = {"policyName": policy, "validationActions": list(actions) or ["Deny"], **spec}
    return {"metadata": {"name": name}, "spec": found}


class Lab:
    def __init__(self, store: GuardedStore) -> None:
        self.server = ApiServer(store, VirtualClock(), dice=random.Random(0), service_cidr="10.96.0.0/24")
        self.server.bootstrap()
        self.client = Client(self.server)

    def enforce(self, found: Object, *actions: str, **more: Any) -> None:
        self.client.create(POLICIES, found)
        self.client.create(BINDINGS, binding(*actions, policy=found["metadata"]["name"], **more))

    def refusal(self, *arguments: Any, **keywords: Any) -> ApiError:
        with pytest.raises(ApiError) as caught:
            self.client.create(*arguments, **keywords)
        return caught.value

    def refuses(self, obj: Object) -> str:
        """Why a deployment is refused, without the words that are always there."""
        return self.refusal("deployments", obj).message.partition(" denied request: ")[2]


@pytest.fixture
def lab() -> Iterator[Lab]:
    store = GuardedStore()
    yield Lab(store)
    store.check()


# denials


def test_a_write_that_breaks_a_rule_is_refused_in_upstreams_words(lab: Lab) -> None:
    lab.enforce(policy("object.spec.replicas <= 5"))
    error = lab.refusal("deployments", deployment(replicas=6))
    words = ("ValidatingAdmissionPolicy 'demo' with binding 'everywhere' denied request: failed expression: "
             "object.spec.replicas <= 5")  # fmt: skip
    assert (error.code, error.reason) == (422, "Invalid")
    assert error.message == f'deployments.apps "web" is forbidden: {words}'
    assert error.details["causes"] == [{"message": words}]
    lab.client.create("deployments", deployment(replicas=5))
    with pytest.raises(ApiError, match="denied request"):
        lab.client.patch("deployments", "web", {"spec": {"replicas": 6}}, "default", content_type=MERGE)


def test_a_policy_without_a_binding_is_in_force_nowhere(lab: Lab) -> None:
    lab.client.create(POLICIES, policy("false"))
    lab.client.create("deployments", deployment())


@pytest.mark.parametrize(
    ("validation", "words", "code"),
    [
        ({"expression": "false", "message": "  too many "}, "too many", 422),
        ({"expression": "false", "messageExpression": "'at most ' + string(object.spec.replicas)"}, "at most 1", 422),
        ({"expression": "false", "messageExpression": "object.nope", "message": "plain"}, "plain", 422),
        ({"expression": "false", "reason": "Forbidden"}, "failed expression: false", 403),
        ({"expression": "false", "reason": "RequestEntityTooLarge"}, "failed expression: false", 413),
    ],
)
def test_a_validation_says_what_and_how_bad(lab: Lab, validation: Object, words: str, code: int) -> None:
    lab.enforce(policy(validation))
    error = lab.refusal("deployments", deployment())
    assert error.message.endswith(f"denied request: {words}")
    assert error.code == code


def test_what_has_no_value_decides_by_the_failure_policy(lab: Lab) -> None:
    lab.enforce(policy("object.spec.nope == 1"))
    assert lab.refuses(deployment()) == "expression 'object.spec.nope == 1' resulted in error: no such key: nope"
    lab.client.patch(POLICIES, "demo", {"spec": {"failurePolicy": "Ignore"}}, content_type=MERGE)
    lab.client.create("deployments", deployment())


def test_warn_and_audit_let_a_write_through_and_tell_of_it(lab: Lab) -> None:
    lab.enforce(policy({"expression": "false", "message": "well"}), "Warn", "Audit")
    lab.client.create("deployments", deployment())
    words = "Validation failed for ValidatingAdmissionPolicy 'demo' with binding 'everywhere': well"
    assert lab.client.take_warnings() == [words]
    [entry] = lab.server.audit.entries
    assert "validation.policy.admission.k8s.io/validation_failure" in entry.annotations


def test_audit_annotations_are_kept_with_what_they_are_about(lab: Lab) -> None:
    lab.enforce(policy(auditAnnotations=[{"key": "who", "valueExpression": "'by ' + request.userInfo.username"},
                                         {"key": "none", "valueExpression": "null"}]))  # fmt: skip
    lab.client.create("deployments", deployment())
    [entry] = lab.server.audit.entries
    assert entry.annotations == {"demo/who": "by kubernetes-admin"}


# what a policy is about


@pytest.mark.parametrize(
    ("change", "denied"),
    [
        ({}, True),
        ({"resourceRules": [{**DEPLOYMENTS, "operations": ["DELETE"]}]}, False),
        ({"resourceRules": [{**DEPLOYMENTS, "resourceNames": ["web"]}]}, True),
        ({"resourceRules": [{**DEPLOYMENTS, "resourceNames": ["other"]}]}, False),
        ({"excludeResourceRules": [{**DEPLOYMENTS, "operations": ["CREATE"]}]}, False),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}, False),
        ({"objectSelector": {"matchLabels": {"team": "blue"}}}, True),
        ({"objectSelector": {"matchLabels": {"team": "red"}}}, False),
    ],
)
def test_constraints_say_what_a_policy_is_about(lab: Lab, change: Object, denied: bool) -> None:
    found = policy("false")
    found["spec"]["matchConstraints"].update(change)
    lab.enforce(found)
    if denied:
        assert lab.refuses(deployment(team="blue"))
    else:
        lab.client.create("deployments", deployment(team="blue"))


def test_a_binding_narrows_its_policy(lab: Lab) -> None:
    only = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}
    lab.enforce(policy("false"), matchResources=only)
    lab.client.create("deployments", deployment())
    other = deployment()
    other["metadata"]["namespace"] = "kube-system"
    assert lab.refuses(other)


def test_conditions_are_asked_before_the_validations(lab: Lab) -> None:
    wanted = [{"name": "not-me", "expression": "request.userInfo.username != 'kubernetes-admin'"}]
    lab.enforce(policy("false", matchConditions=wanted))
    lab.client.create("deployments", deployment())


def test_a_policy_on_another_version_sees_that_version(lab: Lab) -> None:
    """matchPolicy Equivalent. Source: "Matching requests: matchPolicy" in the documentation."""
    rule = {"apiGroups": ["stable.example.com"], "apiVersions": ["v2"], "resources": ["crontabs"], "operations": ["*"]}
    document = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    versions = [{"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": document}}
                for name in ("v1", "v2")]  # fmt: skip
    lab.client.create("crd", {"metadata": {"name": "crontabs.stable.example.com"}, "spec": {
        "group": "stable.example.com", "scope": "Cluster", "versions": versions,
        "names": {"plural": "crontabs", "kind": "CronTab"}}})  # fmt: skip
    lab.enforce(policy("object.apiVersion != 'stable.example.com/v2'", rules=[rule]))
    kind = next(kind for kind in lab.client.kinds() if kind.plural == "crontabs" and kind.version == "v1")
    with pytest.raises(ApiError, match=r"failed expression: object\.apiVersion"):
        lab.client.create(kind, {"metadata": {"name": "a"}})


def test_who_breaks_the_glass_may(lab: Lab) -> None:
    asked = "authorizer.group('apps').resource('deployments').namespace(request.namespace)"
    lab.enforce(policy(f"{asked}.check('breakglass').allowed()"))
    lab.client.create("clusterrolebindings", {
        "metadata": {"name": "jane"}, "roleRef": {"kind": "ClusterRole", "name": "edit", "apiGroup": RBAC},
        "subjects": [{"kind": "User", "name": "jane", "apiGroup": RBAC}]})  # fmt: skip
    with pytest.raises(ApiError, match="denied request"):
        lab.client.as_user(User("jane")).create("deployments", deployment("a"))
    lab.client.create("deployments", deployment("b"))


RBAC = "rbac.authorization.k8s.io"


# variables and parameters


def test_variables_are_made_of_each_other(lab: Lab) -> None:
    variables = [{"name": "images", "expression": "object.spec.template.spec.containers.map(c, c.image)"},
                 {"name": "foreign", "expression": "variables.images.filter(i, !i.startsWith('mine/'))"}]  # fmt: skip
    said = {"expression": "variables.foreign.size() == 0", "messageExpression": "variables.foreign.join(', ')"}
    lab.enforce(policy(said, variables=variables))
    assert lab.refuses(deployment()) == "nginx"


def test_a_variable_that_fails_is_named(lab: Lab) -> None:
    lab.enforce(policy("variables.a", variables=[{"name": "a", "expression": "object.nope == 1"}]))
    assert 'composited variable "a" fails to evaluate: no such key: nope' in lab.refuses(deployment())


CONFIG = {"apiVersion": "v1", "kind": "ConfigMap"}


def limit(number: str, name: str = "limit", **labels: str) -> Object:
    return {"metadata": {"name": name, "namespace": "default", "labels": labels}, "data": {"replicas": number}}


def test_parameters_come_from_the_binding(lab: Lab) -> None:
    lab.client.create("configmaps", limit("3"))
    reference = {"name": "limit", "parameterNotFoundAction": "Deny"}
    lab.enforce(policy("object.spec.replicas <= int(params.data.replicas)", paramKind=CONFIG), paramRef=reference)
    lab.client.create("deployments", deployment("few", 3))
    assert lab.refuses(deployment("many", 4)).startswith("failed expression")
    lab.client.delete("configmaps", "limit", "default")
    words = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
    assert lab.refuses(deployment("few2", 1)) == words


def test_each_selected_parameter_has_to_agree(lab: Lab) -> None:
    for number in ("3", "5"):
        lab.client.create("configmaps", limit(number, f"limit-{number}", role="limit"))
    reference = {"selector": {"matchLabels": {"role": "limit"}}, "parameterNotFoundAction": "Allow"}
    lab.enforce(policy("object.spec.replicas <= int(params.data.replicas)", paramKind=CONFIG), paramRef=reference)
    assert lab.refuses(deployment(replicas=4))
    lab.client.delete_collection("configmaps", "default")
    lab.client.create("deployments", deployment(replicas=9))


def test_parameters_of_a_kind_that_is_not_there_are_the_policys_fault(lab: Lab) -> None:
    kind = {"apiVersion": "rules.example.com/v1", "kind": "Limit"}
    reference = {"name": "limit", "parameterNotFoundAction": "Deny"}
    lab.enforce(policy("params.x", paramKind=kind), paramRef=reference)
    words = "failed to configure policy: failed to find resource referenced by paramKind: "
    assert lab.refuses(deployment()) == f"{words}'rules.example.com/v1, Kind=Limit'"


# writing one


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (policy("nobody.knows"), "undeclared reference to 'nobody'"),
        (policy("object.spec +"), "compilation failed: ERROR: <input>:1:14: Syntax error"),
        (policy("params.x"), "undeclared reference to 'params'"),
        (policy("object.?spec.hasValue()"), "optional values are not implemented by k8snb"),
        (policy("object.spec.all(k, v, true)"), "all with two variables: not implemented by k8snb"),
        (policy("jsonpatch.escapeKey('a') == 'b'"), "escapeKey: not implemented by k8snb"),
        (policy(""), "spec.validations[0].expression: Required value: expression is not specified"),
        (policy({"expression": "true", "reason": "Bad"}), 'Unsupported value: "Bad"'),
        (policy({"expression": "true", "message": "a\nb"}), "message must not contain line breaks"),
        (policy({"expression": "true", "messageExpression": "authorizer == null"}), "reference to 'authorizer'"),
        (policy("true", rules=[]), "spec.matchConstraints.resourceRules: Required value"),
        (policy(), "validations or auditAnnotations must contain at least one item"),
        (policy("true", variables=[{"name": "a-b", "expression": "1"}]), "name is not a valid CEL identifier"),
    ],
)  # fmt: skip
def test_a_policy_that_cannot_be_looked_at_is_refused(lab: Lab, found: Object, words: str) -> None:
    """Source: pkg/apis/admissionregistration/validation/validation.go. What k8snb has not is said by name."""
    assert words in lab.refusal(POLICIES, found).message


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (binding("Deny", "Warn"), "must not contain both Deny and Warn"),
        (binding("Deny", "Deny"), 'spec.validationActions[1]: Duplicate value: "Deny"'),
        (binding("Shout"), 'Unsupported value: "Shout": supported values: "Audit", "Deny", "Warn"'),
        (binding("Deny", paramRef={"name": "a"}), "parameterNotFoundAction is required"),
    ],
)
def test_a_binding_that_makes_no_sense_is_refused(lab: Lab, found: Object, words: str) -> None:
    assert words in lab.refusal(BINDINGS, found).message


def test_fields_that_there_are_not_are_told_in_the_status(lab: Lab) -> None:
    """Source: policy/validating/typechecking.go."""
    text = "object.spec.replica > 1 && object.spec.template.spec.containers.all(c, c.imag != '')"
    made = lab.client.create(POLICIES, policy(text, "has(object.metadata.labels)"))
    [warning] = made["status"]["typeChecking"]["expressionWarnings"]
    assert warning["fieldRef"] == "spec.validations[0].expression"
    assert warning["warning"].startswith("apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'replica'\n")
    assert "undefined field 'imag'" in warning["warning"]
    assert made["status"]["observedGeneration"] == 1


# the language


LISTS = {"object": {"few": [3, 1, 2], "many": list(range(1000)), "text": "a" * 2000, "n": 5}}


def worth(text: str) -> Any:
    return expression(text, ("object",)).run(LISTS)


@pytest.mark.parametrize(
    "text",
    [
        "object.few.all(x, x > 0) && object.few.exists(x, x == 2) && object.few.exists_one(x, x == 3)",
        "object.few.map(x, x * 2) == [6, 2, 4] && object.few.map(x, x > 1, x) == [3, 2]",
        "object.few.filter(x, x > 1).size() == 2 && object.few.map(x, object.few.map(y, x * y).sum()).sum() == 36",
        "cel.bind(double, object.n * 2, double + double == 20)",
        "quantity('1Gi').isGreaterThan(quantity('500Mi')) && quantity('1') == quantity('1000m')",
        "quantity('1').add(quantity('500m')).compareTo(quantity('1.5')) == 0 && !isQuantity('x')",
        "ip('10.0.0.1').family() == 4 && cidr('10.0.0.0/8').containsIP('10.1.2.3') && !isIP('10.0.0.256')",
        "cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && ip('::1').isLoopback()",
        "url('https://a.b:80/c?d=e').getHostname() == 'a.b' && url('https://a.b/c?d=e').getQuery() == {'d': ['e']}",
        "semver('1.2.3').isLessThan(semver('1.10.0')) && semver('1.0.0-rc.1').isLessThan(semver('1.0.0'))",
        "'abc 123'.find('[0-9]+') == '123' && 'a1b2'.findAll('[0-9]') == ['1', '2']",
        "'%s has %d, %.1f'.format(['a', 3, 2.5]) == 'a has 3, 2.5'",
        "[1, 2].isSorted() && ['a', 'b'].join(',') == 'a,b' && 'a,b'.split(',').size() == 2",
        "format.dns1123Label().validate('Abc').hasValue() && !format.dns1123Label().validate('abc').hasValue()",
        "object.few.exists(x, string(x) == '}' || x == 3) // ) a remark",
    ],
)
def test_kubernetes_own_functions_are_there(text: str) -> None:
    assert worth(text) is True


@pytest.mark.parametrize(
    "text",
    [
        "object.many.all(a, object.many.all(b, object.many.all(c, true)))",
        "object.many.exists(a, object.many.exists(b, object.many.exists(c, false)))",
        "object.many.map(a, object.many.map(b, object.many.map(c, c))).size() > 0",
        "object.many.map(a, object.many).flatten().size() > 0",
        "object.many.filter(a, object.many.filter(b, object.many.filter(c, true).size() > 0).size() > 0).size() > 0",
        "object.text.find('a*a*a*b') == ''",
    ],
)
def test_no_expression_takes_long(text: str) -> None:
    """Upstream counts costs (PerCallLimit in apiserver/pkg/apis/cel/config.go); so does k8snb, by steps."""
    began = time.monotonic()
    with pytest.raises(CelError, match="operation cancelled: actual cost limit exceeded"):
        worth(text)
    assert time.monotonic() - began < 3


def test_an_expensive_policy_decides_by_its_failure_policy(lab: Lab) -> None:
    many = "[" + ",".join(map(str, range(40))) + "]"
    lab.enforce(policy(f"{many}.all(a, {many}.all(b, {many}.all(c, {many}.all(d, true))))"))
    assert lab.refuses(deployment()).endswith("resulted in error: operation cancelled: actual cost limit exceeded")
