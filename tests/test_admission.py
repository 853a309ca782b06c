"""kube-apiserver's admission plug-ins: LimitRanger, ServiceAccount, Priority, RuntimeClass, DefaultIngressClass.

Each test names the upstream rule; paths are those of the kubernetes repository at v1.33.
"""

from __future__ import annotations

from typing import Any

import pytest
from controllers_lab import Lab, container, pod

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import annotations_of
from k8snb.apiserver.admission import PLUGINS, VALIDATORS
from k8snb.apiserver.admission_limitranger import ANNOTATION
from k8snb.apiserver.admission_serviceaccount import TOKEN_PATH, token_mounts, token_volume
from k8snb.apiserver.unattended import UNATTENDED
from k8snb.clock import VirtualClock
from k8snb.cluster import Cluster
from k8snb.kubectl import Kubectl

Object = dict[str, Any]

# The plug-ins that 1.33 has on by default and k8snb has, in the order of pkg/kubeapiserver/options/plugins.go.
ORDER = (
    "namespace_lifecycle", "limit_defaults", "limit_ranger", "service_account", "node_restriction",
    "taint_nodes_by_condition", "pod_security", "priority", "one_default", "default_toleration_seconds",
    "default_storage_class", "storage_object_in_use_protection", "claim_resize", "runtime_class", "overhead_matches",
    "signing_requests", "default_ingress_class", "resource_quota",
)  # fmt: skip


@pytest.fixture
def lab() -> Lab:
    return Lab().start()


def refusal(call: Any, *arguments: Any, code: int = 403, **keywords: Any) -> str:
    with pytest.raises(ApiError) as caught:
        call(*arguments, **keywords)
    assert caught.value.code == code
    return caught.value.message


@pytest.mark.parametrize("chain", [PLUGINS, VALIDATORS])
def test_plug_ins_run_in_upstreams_order(chain: Any) -> None:
    """pkg/kubeapiserver/options/plugins.go, AllOrderedPlugins."""
    places = [ORDER.index(plugin.__name__) for plugin in chain if plugin.__name__ in ORDER]
    assert places == sorted(places)


def test_the_quota_is_charged_last() -> None:
    """plugins.go: "resourcequota … must go at the end"."""
    assert VALIDATORS[-1].__name__ == "resource_quota"


@pytest.mark.parametrize("kind", ["limitranges", "resourcequotas", "priorityclasses.scheduling.k8s.io",
                                  "runtimeclasses.node.k8s.io"])  # fmt: skip
def test_a_kind_that_a_plug_in_acts_on_comes_without_a_warning(kind: str) -> None:
    assert kind not in UNATTENDED


# LimitRanger: plugin/pkg/admission/limitranger/admission.go


def limit(lab: Lab, *limits: Object, name: str = "l") -> None:
    lab.client.create("limitranges", {"metadata": {"name": name}, "spec": {"limits": list(limits)}}, "default")


def asking(name: str = "web", requests: Object | None = None, limits: Object | None = None, **more: Any) -> Object:
    sides = {"requests": requests, "limits": limits}
    return pod(name, containers=[container(resources={key: side for key, side in sides.items() if side})], **more)


def test_containers_get_what_they_do_not_set_and_the_pod_says_so(lab: Lab) -> None:
    """MutateLimit, mergeContainerResources: the annotation lists requests before limits."""
    limit(lab, {"type": "Container", "default": {"cpu": "1", "memory": "512Mi"},
                "defaultRequest": {"cpu": "500m", "memory": "256Mi"}})  # fmt: skip
    init = {"name": "first", "image": "busybox", "resources": {"requests": {"cpu": "100m"}}}
    made = lab.client.create("pods", asking(requests={"memory": "128Mi"}, initContainers=[init]))
    assert made["spec"]["containers"][0]["resources"] == {
        "requests": {"memory": "128Mi", "cpu": "500m"},
        "limits": {"cpu": "1", "memory": "512Mi"},
    }
    assert made["spec"]["initContainers"][0]["resources"]["requests"] == {"cpu": "100m", "memory": "256Mi"}
    assert annotations_of(made)[ANNOTATION] == (
        "LimitRanger plugin set: cpu request for container web; cpu, memory limit for container web; "
        "memory request for init container first; cpu, memory limit for init container first"
    )


def test_a_pod_that_sets_everything_stays_as_it_is(lab: Lab) -> None:
    """e2e LimitRange: should create a LimitRange with defaults and ensure pod has those defaults applied."""
    limit(lab, {"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "1"}})
    made = lab.client.create("pods", asking(requests={"cpu": "300m"}, limits={"cpu": "300m"}))
    assert made["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "300m"}, "limits": {"cpu": "300m"}}
    assert ANNOTATION not in annotations_of(made)


def test_the_quality_of_service_follows_from_what_was_filled_in(lab: Lab) -> None:
    """podStrategy.PrepareForCreate works it out after mutating admission."""
    limit(lab, {"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}})
    assert lab.client.create("pods", pod("web"))["status"]["qosClass"] == "Guaranteed"


@pytest.mark.parametrize(
    ("item", "asked", "words"),
    [
        ({"min": {"cpu": "100m"}}, {"requests": {"cpu": "50m"}},
         "minimum cpu usage per Container is 100m, but request is 50m"),
        ({"min": {"cpu": "100m"}, "defaultRequest": {"memory": "1Mi"}}, {"requests": {"cpu": "50m"},
                                                                        "limits": {"cpu": "80m"}},
         "minimum cpu usage per Container is 100m, but request is 50m"),
        ({"max": {"cpu": "800m"}}, {"limits": {"cpu": "1500m"}},
         "maximum cpu usage per Container is 800m, but limit is 1500m"),
        ({"max": {"memory": "1Gi"}, "min": {"memory": "1Mi"}}, {"limits": {"memory": "2Gi"}},
         "maximum memory usage per Container is 1Gi, but limit is 2Gi"),
        ({"maxLimitRequestRatio": {"memory": "2"}}, {"requests": {"memory": "1Gi"}, "limits": {"memory": "3Gi"}},
         "memory max limit to request ratio per Container is 2, but provided ratio is 3.000000"),
        ({"maxLimitRequestRatio": {"memory": "2"}}, {},
         "memory max limit to request ratio per Container is 2, but no request is specified or request is 0"),
        ({"maxLimitRequestRatio": {"memory": "2"}}, {"requests": {"memory": "1Gi"}},
         "memory max limit to request ratio per Container is 2, but no limit is specified or limit is 0"),
    ],
)  # fmt: skip
def test_a_container_outside_of_the_limits_is_refused(lab: Lab, item: Object, asked: Object, words: str) -> None:
    """minConstraint, maxConstraint, limitRequestRatioConstraint."""
    limit(lab, {"type": "Container", **item})
    assert refusal(lab.client.create, "pods", asking(**asked)) == f'pods "web" is forbidden: {words}'


def test_limits_per_pod_count_all_containers_and_need_to_be_said(lab: Lab) -> None:
    """PodValidateLimitFunc. Several complaints stand in brackets."""
    limit(lab, {"type": "Pod", "max": {"cpu": "1"}, "min": {"memory": "1Mi"}})
    words = ("[minimum memory usage per Pod is 1Mi.  No request is specified, "
             "maximum cpu usage per Pod is 1.  No limit is specified]")  # fmt: skip
    assert refusal(lab.client.create, "pods", pod("web")) == f'pods "web" is forbidden: {words}'
    half = {"requests": {"memory": "1Mi"}, "limits": {"cpu": "600m"}}
    both = pod("web", containers=[container(resources=half), {**container(resources=half), "name": "side"}])
    words = "maximum cpu usage per Pod is 1, but limit is 1200m"
    assert refusal(lab.client.create, "pods", both) == f'pods "web" is forbidden: {words}'


def test_claims_are_limited_in_their_storage(lab: Lab) -> None:
    """PersistentVolumeClaimValidateLimitFunc; https://kubernetes.io/docs/tasks/administer-cluster/limit-storage-consumption/"""
    limit(lab, {"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}})

    def claim(size: str) -> Object:
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        return {"metadata": {"name": "c"}, "spec": spec}

    rows = (("500Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi"),
            ("3Gi", "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"))  # fmt: skip
    for size, words in rows:
        said = refusal(lab.client.create, "persistentvolumeclaims", claim(size), "default")
        assert said == f'persistentvolumeclaims "c" is forbidden: {words}'
    lab.client.create("persistentvolumeclaims", claim("1Gi"), "default")


def test_a_new_limit_leaves_the_pods_that_are_there_alone(lab: Lab) -> None:
    """SupportsAttributes: updates of pods are not looked at."""
    lab.client.create("pods", pod("web"))
    limit(lab, {"type": "Container", "max": {"cpu": "100m"}, "min": {"cpu": "50m"}})
    assert lab.apply("pods", "web", {"metadata": {"labels": {"a": "b"}}})["metadata"]["labels"]["a"] == "b"


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"type": "Cup"},
         'spec.limits[0].type: Invalid value: "Cup": must be a standard limit type or fully qualified'),
        ({"type": "Pod", "default": {"cpu": "1"}},
         "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"),
        ({"type": "PersistentVolumeClaim"},
         "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was "
         "provided"),
        ({"type": "Pod", "min": {"cpu": "2"}, "max": {"cpu": "1"}},
         'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1'),
        ({"type": "Container", "default": {"cpu": "2"}, "defaultRequest": {"cpu": "1"}, "max": {"cpu": "1"}},
         'spec.limits[0].default[cpu]: Invalid value: "2": default value 2 is greater than max value 1'),
        ({"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "2"}},
         'spec.limits[0].defaultRequest[cpu]: Invalid value: "2": default request value 2 is greater than '
         "default limit value 1"),
        ({"type": "Pod", "maxLimitRequestRatio": {"cpu": "500m"}},
         'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1'),
        ({"type": "Pod", "min": {"cpu": "1"}, "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "3"}},
         'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000'),
    ],
)  # fmt: skip
def test_limits_that_contradict_themselves_are_refused(lab: Lab, item: Object, words: str) -> None:
    """ValidateLimitRange."""
    with pytest.raises(ApiError) as caught:
        limit(lab, item)
    assert caught.value.message == f'LimitRange "l" is invalid: {words}'


# Priority: plugin/pkg/admission/priority/admission.go


def priority_class(lab: Lab, name: str, value: int, **more: Any) -> Object:
    return lab.client.create("priorityclasses", {"metadata": {"name": name}, "value": value, **more})


def spec_of(lab: Lab, name: str = "web", **spec: Any) -> Object:
    made: Object = lab.client.create("pods", pod(name, **spec))["spec"]
    return made


def test_the_systems_classes_are_there_from_the_start(lab: Lab) -> None:
    """pkg/registry/scheduling/rest/storage_scheduling.go, AddSystemPriorityClasses."""
    found = {each["metadata"]["name"]: each["value"] for each in lab.client.items("priorityclasses")}
    assert found == {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
    assert spec_of(lab, priorityClassName="system-node-critical")["priority"] == 2_000_001_000


def test_a_pod_has_the_number_and_the_policy_of_its_class(lab: Lab) -> None:
    priority_class(lab, "high", 1000, preemptionPolicy="Never")
    spec = spec_of(lab, priorityClassName="high")
    assert (spec["priority"], spec["preemptionPolicy"]) == (1000, "Never")
    words = 'pods "b" is forbidden: no PriorityClass with name low was found'
    assert refusal(lab.client.create, "pods", pod("b", priorityClassName="low")) == words


def test_a_pod_without_a_class_has_the_default_one(lab: Lab) -> None:
    """getDefaultPriority: 0 where there is no default; the pod then carries its name."""
    assert spec_of(lab, "before")["priority"] == 0
    priority_class(lab, "usual", 7, globalDefault=True)
    spec = spec_of(lab, "after")
    assert (spec["priorityClassName"], spec["priority"]) == ("usual", 7)
    assert lab.get("pods", "before")["spec"]["priority"] == 0


def test_only_one_class_is_the_default(lab: Lab) -> None:
    """validatePriorityClass."""
    priority_class(lab, "usual", 7, globalDefault=True)
    assert refusal(priority_class, lab, "other", 8, globalDefault=True) == (
        'priorityclasses.scheduling.k8s.io "other" is forbidden: PriorityClass usual is already marked as default. '
        "Only one default can exist"
    )
    lab.apply("priorityclasses", "usual", {"description": "still the default"}, namespace="")


def test_a_pod_does_not_say_its_number_itself(lab: Lab) -> None:
    priority_class(lab, "high", 1000)
    assert refusal(lab.client.create, "pods", pod("web", priority=5, priorityClassName="high")) == (
        'pods "web" is forbidden: the integer value of priority (5) must not be provided in pod spec; priority '
        "admission controller computed 1000 from the given PriorityClass name"
    )
    assert refusal(lab.client.create, "pods", pod("web", preemptionPolicy="Never")) == (
        'pods "web" is forbidden: the string value of PreemptionPolicy (Never) must not be provided in pod spec; '
        "priority admission controller computed PreemptLowerPriority from the given PriorityClass name"
    )
    assert spec_of(lab, priority=1000, priorityClassName="high")["priority"] == 1000


@pytest.mark.parametrize(
    ("name", "value", "more", "words"),
    [
        ("high", 1_000_000_001, {},
         "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"),
        ("system-mine", 1, {},
         "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. "
         "error: system-mine is not a known system priority class"),
        ("high", 1, {"preemptionPolicy": "Perhaps"},
         'preemptionPolicy: Unsupported value: "Perhaps": supported values: "Never", "PreemptLowerPriority"'),
    ],
)  # fmt: skip
def test_a_class_that_may_not_be_is_refused(lab: Lab, name: str, value: int, more: Object, words: str) -> None:
    """pkg/apis/scheduling/validation/validation.go."""
    said = refusal(priority_class, lab, name, value, code=422, **more)
    assert said == f'PriorityClass.scheduling.k8s.io "{name}" is invalid: {words}'


def test_the_value_of_a_class_stays(lab: Lab) -> None:
    """ValidatePriorityClassUpdate."""
    priority_class(lab, "high", 1000)
    said = refusal(lab.apply, "priorityclasses", "high", {"value": 9}, namespace="", code=422)
    words = "value: Forbidden: may not be changed in an update."
    assert said == f'PriorityClass.scheduling.k8s.io "high" is invalid: {words}'
    said = refusal(lab.apply, "priorityclasses", "high", {"preemptionPolicy": "Never"}, namespace="", code=422)
    assert "field is immutable" in said


def test_kubectl_makes_classes_from_a_few_words(lab: Lab) -> None:
    """kubectl/pkg/cmd/create/create_priorityclass.go; the page is that of kubectl 1.33."""
    kubectl = Kubectl(lab.client, wait=lambda until, seconds: until(), clock_now=lab.clock.now)
    made = "create pc high --value=1000 --description=first --preemption-policy=Never"
    assert kubectl.run(made).text == "priorityclass.scheduling.k8s.io/high created\n"
    assert kubectl.run("describe pc high").text.splitlines() == [
        "Name:              high",
        "Value:             1000",
        "GlobalDefault:     false",
        "PreemptionPolicy:  Never",
        "Description:       first",
        "Annotations:       <none>",
        "Events:            <none>",
    ]
    assert kubectl.run("get pc high").text.splitlines()[0].split() == [
        "NAME", "VALUE", "GLOBAL-DEFAULT", "AGE", "PREEMPTIONPOLICY"]  # fmt: skip


def test_a_second_start_makes_no_class_again(lab: Lab) -> None:
    revision = lab.store.revision
    lab.server.bootstrap()
    assert lab.store.revision == revision


# ServiceAccount: plugin/pkg/admission/serviceaccount/admission.go


def test_a_pod_takes_over_the_pull_secrets_of_its_account(lab: Lab) -> None:
    secrets = [{"name": "registry"}]
    lab.client.create("serviceaccounts", {"metadata": {"name": "robot"}, "imagePullSecrets": secrets}, "default")
    assert spec_of(lab, "a", serviceAccountName="robot")["imagePullSecrets"] == secrets
    own = [{"name": "mine"}]
    assert spec_of(lab, "b", serviceAccountName="robot", imagePullSecrets=own)["imagePullSecrets"] == own


def test_an_account_that_is_not_there_is_named(lab: Lab) -> None:
    words = 'pods "web" is forbidden: error looking up service account default/robot: serviceaccount "robot" not found'
    assert refusal(lab.client.create, "pods", pod("web", serviceAccountName="robot")) == words


def test_a_token_is_mounted_where_nothing_else_is() -> None:
    """mountServiceAccountToken, TokenVolumeSource: the volume that `kubectl get pod -o yaml` shows on any cluster."""
    other = {"name": "own", "mountPath": TOKEN_PATH}
    containers = [{"name": "a"}, {"name": "b", "volumeMounts": [other]}]
    bare = {"metadata": {"name": "web"}, "spec": {"containers": containers}}
    spec = token_mounts(bare["spec"], "kube-api-access-abcde")
    mount = {"name": "kube-api-access-abcde", "readOnly": True, "mountPath": TOKEN_PATH}
    assert [each["volumeMounts"] for each in spec["containers"]] == [[mount], [other]]
    assert spec["volumes"] == [token_volume("kube-api-access-abcde")]
    sources = spec["volumes"][0]["projected"]["sources"]
    assert sources[0] == {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
    assert bare["spec"] == {"containers": containers}
    full = {"metadata": {"name": "web"}, "spec": {"containers": containers[1:]}}
    assert token_mounts(full["spec"], "kube-api-access-abcde") == {}


# RuntimeClass: plugin/pkg/admission/runtimeclass/admission.go


def runtime_class(lab: Any, name: str, handler: str = "kata", **more: Any) -> None:
    lab.client.create("runtimeclasses", {"metadata": {"name": name}, "handler": handler, **more})


def test_a_pod_takes_overhead_and_scheduling_from_its_class(lab: Lab) -> None:
    """https://kubernetes.io/docs/concepts/containers/runtime-class/"""
    wanted = {"key": "kata", "operator": "Exists"}
    runtime_class(lab, "kata", overhead={"podFixed": {"cpu": "250m"}},
                  scheduling={"nodeSelector": {"sandbox": "kata"}, "tolerations": [wanted]})  # fmt: skip
    spec = spec_of(lab, runtimeClassName="kata", nodeSelector={"disk": "ssd"})
    assert spec["overhead"] == {"cpu": "250m"}
    assert spec["nodeSelector"] == {"disk": "ssd", "sandbox": "kata"}
    assert wanted in spec["tolerations"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"runtimeClassName": "none"}, 'pod rejected: RuntimeClass "none" not found'),
        ({"overhead": {"cpu": "1"}},
         "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"),
        ({"runtimeClassName": "kata", "overhead": {"cpu": "1"}},
         "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"),
        ({"runtimeClassName": "kata", "nodeSelector": {"sandbox": "runc"}},
         "conflict: runtimeClass.scheduling.nodeSelector[sandbox] = kata; pod.spec.nodeSelector[sandbox] = runc"),
    ],
)  # fmt: skip
def test_a_pod_that_does_not_fit_its_class_is_refused(lab: Lab, spec: Object, words: str) -> None:
    selector = {"nodeSelector": {"sandbox": "kata"}}
    runtime_class(lab, "kata", overhead={"podFixed": {"cpu": "250m"}}, scheduling=selector)
    assert refusal(lab.client.create, "pods", pod("web", **spec)) == f'pods "web" is forbidden: {words}'


def test_the_handler_of_a_class_stays(lab: Lab) -> None:
    """pkg/apis/node/validation, ValidateRuntimeClassUpdate."""
    runtime_class(lab, "kata")
    said = refusal(lab.apply, "runtimeclasses", "kata", {"handler": "runc"}, namespace="", code=422)
    assert said.endswith('handler: Invalid value: "runc": field is immutable')


def test_a_pod_whose_handler_the_node_does_not_have_waits_with_an_event() -> None:
    """kubelet: runtimeclass_manager.go; https://kubernetes.io/docs/concepts/containers/runtime-class/#usage"""
    with Cluster(nodes=1, runtime="simulated", clock=VirtualClock(), seed=1) as cluster:
        cluster.settle()
        runtime_class(cluster, "kata")
        runtime_class(cluster, "own", "simulated")
        for name in ("kata", "own"):
            cluster.client.create("pods", pod(name, runtimeClassName=name))
        cluster.run_for(5)
        phases = {each["metadata"]["name"]: each["status"]["phase"] for each in cluster.client.items("pods", "default")}
        assert phases == {"kata": "Pending", "own": "Running"}
        events = cluster.client.items("events", "default", fieldSelector="reason=FailedCreatePodSandBox")
        assert events[0]["message"] == (
            "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to get sandbox runtime: no "
            'runtime for "kata" is configured'
        )


# DefaultIngressClass: plugin/pkg/admission/network/defaultingressclass/admission.go


def ingress(name: str, **spec: Any) -> Object:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    return {"metadata": {"name": name}, "spec": {"defaultBackend": backend, **spec}}


def test_an_ingress_without_a_class_gets_the_default_one(lab: Lab) -> None:
    """getDefaultClass: of several the newest."""
    assert "ingressClassName" not in lab.client.create("ingresses", ingress("a"), "default")["spec"]
    mark = {"ingressclass.kubernetes.io/is-default-class": "true"}
    for name, marks in (("other", {}), ("zebra", mark), ("nginx", mark)):
        metadata = {"name": name, "annotations": marks}
        lab.client.create("ingressclasses", {"metadata": metadata, "spec": {"controller": "example.com/c"}})
    assert lab.client.create("ingresses", ingress("b"), "default")["spec"]["ingressClassName"] == "nginx"
    named = lab.client.create("ingresses", ingress("c", ingressClassName="other"), "default")
    assert named["spec"]["ingressClassName"] == "other"
