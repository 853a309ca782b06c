"""kube-apiserver and storage: what is refused, what is filled in, what may still change.

Words as `pkg/apis/core/validation/validation.go`, `pkg/apis/storage/validation/validation.go` and
`plugin/pkg/admission/storage` of the kubernetes repository have them.
"""

from __future__ import annotations

from typing import Any

import pytest
from controllers_lab import Lab

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object, get_path, with_path
from k8snb.kubectl import Kubectl

LOCAL = {"local": {"path": "/mnt"}, "hostPath": None}
CSI = {"csi": {"driver": "disk.example.com", "volumeHandle": "x"}, "hostPath": None}


@pytest.fixture
def one() -> Lab:
    return Lab()


def volume(name: str = "v", **spec: Any) -> Object:
    plain = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/mnt"}}
    return {"metadata": {"name": name}, "spec": {**plain, **spec}}


def claim(name: str = "c", size: str = "1Gi", **spec: Any) -> Object:
    plain = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {**plain, **spec}}


def storage_class(**more: Any) -> Object:
    return {"metadata": {"name": "fast"}, "provisioner": "example.com/fast", **more}


def attachment(**spec: Any) -> Object:
    plain = {"attacher": "disk.example.com", "nodeName": "n", "source": {"persistentVolumeName": "v"}}
    return {"metadata": {"name": "a"}, "spec": {**plain, **spec}}


def refusal(one: Lab, resource: str, obj: Object) -> str:
    with pytest.raises(ApiError) as caught:
        one.client.create(resource, obj)
    return caught.value.message.partition(" is invalid: ")[2]


def refused_change(one: Lab, resource: str, old: Object, path: str, value: Any) -> str:
    with pytest.raises(ApiError) as caught:
        one.client.update(resource, with_path(old, path, value))
    return caught.value.message.partition(" is invalid: ")[2] or caught.value.message


# volumes

MODES = '"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"'


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"accessModes": []}, "spec.accessModes: Required value"),
        ({"accessModes": ["Once"]}, f'spec.accessModes: Unsupported value: "Once": supported values: {MODES}'),
        (
            {"accessModes": ["ReadWriteOncePod", "ReadOnlyMany"]},
            "spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes",
        ),
        ({"capacity": {}}, "spec.capacity: Required value"),
        ({"capacity": {"storage": "0"}}, 'spec.capacity[storage]: Invalid value: "0": must be greater than zero'),
        ({"hostPath": None}, "spec: Required value: must specify a volume type"),
        (
            {"nfs": {"server": "a", "path": "/"}},
            "spec.nfs: Forbidden: may not specify more than 1 volume type",
        ),
        ({"hostPath": {"path": "/a/../b"}}, "spec.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'"),
        (LOCAL, "spec.nodeAffinity: Required value: Local volume requires node affinity"),
        (
            {"nodeAffinity": {}},
            "spec.nodeAffinity.required: Required value: must specify required node constraints",
        ),
        (
            {"persistentVolumeReclaimPolicy": "Recycle", "hostPath": {"path": "/"}},
            "spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/'",
        ),
        (
            {"persistentVolumeReclaimPolicy": "Burn"},
            'spec.persistentVolumeReclaimPolicy: Unsupported value: "Burn": supported values: '
            '"Delete", "Recycle", "Retain"',
        ),
        (
            {"volumeMode": "Tape"},
            'spec.volumeMode: Unsupported value: "Tape": supported values: "Block", "Filesystem"',
        ),
    ],
)
def test_what_is_wrong_with_a_volume_is_said(one: Lab, spec: Object, said: str) -> None:
    assert refusal(one, "persistentvolumes", volume(**spec)) == said


def test_a_volume_starts_pending_protected_and_retained(one: Lab) -> None:
    made = one.client.create("persistentvolumes", volume())
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]
    assert made["status"] == {"phase": "Pending", "lastPhaseTransitionTime": made["metadata"]["creationTimestamp"]}
    assert made["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert made["spec"]["volumeMode"] == "Filesystem"


def test_a_volume_keeps_its_source(one: Lab) -> None:
    made = one.client.create("persistentvolumes", volume())
    said = refused_change(one, "persistentvolumes", made, "spec.hostPath.path", "/elsewhere")
    assert said.startswith("spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after")


def test_a_volume_keeps_its_node_affinity_once_it_has_one(one: Lab) -> None:
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n"]}]}
    affinity = {"required": {"nodeSelectorTerms": [term]}}
    made = one.client.create("persistentvolumes", volume(nodeAffinity=affinity))
    said = refused_change(one, "persistentvolumes", made, "spec.nodeAffinity.required.nodeSelectorTerms", [term, term])
    assert said.endswith("field is immutable, except for updating from beta label to GA")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.capacity.storage", "2Gi"),
        ("spec.persistentVolumeReclaimPolicy", "Delete"),
        ("spec.accessModes", ["ReadOnlyMany"]),
        ("spec.storageClassName", "fast"),
        ("metadata.labels", {"a": "b"}),
    ],
)
def test_the_rest_of_a_volume_may_change(one: Lab, path: str, value: Any) -> None:
    made = one.client.create("persistentvolumes", volume())
    assert get_path(one.client.update("persistentvolumes", with_path(made, path, value)), path) == value


# claims


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"accessModes": []}, "spec.accessModes: Required value: at least 1 access mode is required"),
        ({"resources": {}}, "spec.resources[storage]: Required value"),
        (
            {"resources": {"requests": {"storage": "0"}}},
            'spec.resources[storage]: Invalid value: "0": must be greater than zero',
        ),
    ],
)
def test_what_is_wrong_with_a_claim_is_said(one: Lab, spec: Object, said: str) -> None:
    assert refusal(one, "persistentvolumeclaims", claim(**spec)) == said


def test_a_claim_starts_pending_and_protected(one: Lab) -> None:
    made = one.client.create("persistentvolumeclaims", claim())
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    assert made["status"] == {"phase": "Pending"}
    assert "storageClassName" not in made["spec"], "there is no default class"


def bound(one: Lab, size: str = "2Gi", **spec: Any) -> Object:
    """A bound claim of class `fast`, as its controllers leave it."""
    made = one.client.create("persistentvolumeclaims", claim(size=size, storageClassName="fast", **spec))
    made = one.client.update("persistentvolumeclaims", with_path(made, "spec.volumeName", "v"))
    status = {"phase": "Bound", "capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"]}
    return one.client.update_status("persistentvolumeclaims", {**made, "status": status})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.accessModes", ["ReadOnlyMany"]),
        ("spec.volumeName", "w"),
        ("spec.storageClassName", "slow"),
        ("spec.selector", {"matchLabels": {"a": "b"}}),
    ],
)
def test_a_claims_spec_is_fixed(one: Lab, path: str, value: Any) -> None:
    said = refused_change(one, "persistentvolumeclaims", bound(one), path, value)
    assert said.startswith(
        "spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName "
        f"for bound claims: changed: {path}"
    )


def test_a_claim_without_a_class_may_be_given_one_later(one: Lab) -> None:
    made = one.client.create("persistentvolumeclaims", claim())
    changed = one.client.update("persistentvolumeclaims", with_path(made, "spec.storageClassName", "fast"))
    assert changed["spec"]["storageClassName"] == "fast"


def test_no_class_on_purpose_stays_no_class(one: Lab) -> None:
    made = one.client.create("persistentvolumeclaims", claim(storageClassName=""))
    assert "spec is immutable" in refused_change(one, "persistentvolumeclaims", made, "spec.storageClassName", "fast")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"persistentVolumeClaim": {"claimName": ""}}, "persistentVolumeClaim.claimName: Required value"),
        ({"ephemeral": {}}, "ephemeral.volumeClaimTemplate: Required value"),
        (
            {"ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}},
            "ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value",
        ),
    ],
)
def test_what_is_wrong_with_the_claims_of_a_pod_is_said(one: Lab, source: Object, said: str) -> None:
    spec = {"containers": [{"name": "x", "image": "x"}], "volumes": [{"name": "data", **source}]}
    pod = {"metadata": {"name": "p", "namespace": "default"}, "spec": spec}
    assert refusal(one, "pods", pod) == f"spec.volumes[0].{said}"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {"resources": {"requests": {"storage": "500m"}}},
            'spec.resources.requests[storage]: fractional byte value "500m" is invalid, must be an integer',
        ),
        (
            {"volumeAttributesClassName": "gold"},
            "spec.volumeAttributesClassName: not implemented by k8snb: it is kept, and nothing acts on it",
        ),
    ],
)
def test_what_is_odd_about_a_claim_is_remarked(one: Lab, spec: Object, said: str) -> None:
    one.client.create("persistentvolumeclaims", claim(**spec))
    assert one.client.take_warnings() == [said]


SIZE = "spec.resources.requests.storage"


def test_a_claim_never_shrinks_below_what_it_has(one: Lab) -> None:
    one.client.create("storageclasses", storage_class(allowVolumeExpansion=True))
    said = refused_change(one, "persistentvolumeclaims", bound(one), SIZE, "1Gi")
    assert said == f"{SIZE}: Forbidden: field can not be less than status.capacity"


def test_a_claim_may_give_up_a_growth_that_has_not_happened(one: Lab) -> None:
    """RecoverVolumeExpansionFailure, KEP-1790."""
    one.client.create("storageclasses", storage_class(allowVolumeExpansion=True))
    grown = one.client.update("persistentvolumeclaims", with_path(bound(one), SIZE, "9Gi"))
    assert get_path(one.client.update("persistentvolumeclaims", with_path(grown, SIZE, "3Gi")), SIZE) == "3Gi"


def test_a_claim_grows_only_where_its_class_allows_it(one: Lab) -> None:
    one.client.create("storageclasses", storage_class())
    said = refused_change(one, "persistentvolumeclaims", bound(one), SIZE, "3Gi")
    assert said.endswith(
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support "
        "resize"
    )


def test_a_claim_that_is_not_bound_does_not_grow(one: Lab) -> None:
    one.client.create("storageclasses", storage_class(allowVolumeExpansion=True))
    made = one.client.create("persistentvolumeclaims", claim(storageClassName="fast"))
    said = refused_change(one, "persistentvolumeclaims", made, SIZE, "3Gi")
    assert said.startswith("spec: Forbidden: spec is immutable after creation"), "validation comes before admission"


# classes and drivers


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"provisioner": ""}, "provisioner: Required value"),
        (
            {"reclaimPolicy": "Recycle"},
            'reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"',
        ),
        (
            {"volumeBindingMode": "Never"},
            'volumeBindingMode: Unsupported value: "Never": supported values: "Immediate", "WaitForFirstConsumer"',
        ),
    ],
)
def test_what_is_wrong_with_a_class_is_said(one: Lab, more: Object, said: str) -> None:
    assert refusal(one, "storageclasses", storage_class(**more)) == said


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("provisioner", "a.b/c", "provisioner: Forbidden: updates to provisioner are forbidden."),
        ("parameters", {"a": "b"}, "parameters: Forbidden: updates to parameters are forbidden."),
        ("reclaimPolicy", "Retain", "reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden."),
        (
            "volumeBindingMode",
            "WaitForFirstConsumer",
            'volumeBindingMode: Invalid value: "WaitForFirstConsumer": field is immutable',
        ),
    ],
)
def test_how_a_class_makes_volumes_is_fixed(one: Lab, path: str, value: Any, said: str) -> None:
    made = one.client.create("storageclasses", storage_class())
    assert refused_change(one, "storageclasses", made, path, value) == said


def test_a_class_may_begin_to_let_its_volumes_grow(one: Lab) -> None:
    made = one.client.create("storageclasses", storage_class())
    assert one.client.update("storageclasses", with_path(made, "allowVolumeExpansion", True))["allowVolumeExpansion"]


def test_an_attachment_names_one_source_and_never_changes(one: Lab) -> None:
    said = "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    assert refusal(one, "volumeattachments", attachment(source={})) == said
    made = one.client.create("volumeattachments", attachment())
    assert made["status"] == {"attached": False}
    assert refused_change(one, "volumeattachments", made, "spec.nodeName", "m").endswith("field is immutable")


def test_a_drivers_defaults_are_filled_in(one: Lab) -> None:
    made = one.client.create("csidrivers", {"metadata": {"name": "disk.example.com"}, "spec": {}})
    assert made["spec"] == {
        "attachRequired": True,
        "fsGroupPolicy": "ReadWriteOnceWithFSType",
        "podInfoOnMount": False,
        "requiresRepublish": False,
        "seLinuxMount": False,
        "storageCapacity": False,
        "volumeLifecycleModes": ["Persistent"],
    }
    said = refused_change(one, "csidrivers", made, "spec.attachRequired", False)
    assert said == "spec.attachRequired: Invalid value: false: field is immutable"


def test_a_node_names_each_driver_once(one: Lab) -> None:
    entry = {"name": "disk.example.com", "nodeID": "n"}
    said = refusal(one, "csinodes", {"metadata": {"name": "n"}, "spec": {"drivers": [entry, entry]}})
    assert said == 'spec.drivers[1].name: Duplicate value: "disk.example.com"'


def test_a_capacity_keeps_its_class(one: Lab) -> None:
    body = {"metadata": {"name": "n", "namespace": "default"}, "storageClassName": "fast", "capacity": "1Gi"}
    made = one.client.create("csistoragecapacities", body)
    assert refused_change(one, "csistoragecapacities", made, "storageClassName", "slow").endswith("field is immutable")


# what kubectl shows (the pages were compared with those of kubectl 1.33)


def shown(one: Lab, line: str) -> list[str]:
    kubectl = Kubectl(one.client, wait=lambda until, seconds: until(), clock_now=one.clock.now)
    return str(kubectl.run(line)).splitlines()


def cells(one: Lab, line: str) -> list[list[str]]:
    return [[cell for cell in row.split("  ") if cell] for row in shown(one, line)]


def test_a_volumes_row_has_upstreams_columns(one: Lab) -> None:
    modes = ["ReadWriteMany", "ReadWriteOnce"]
    reference = {"namespace": "default", "name": "c"}
    one.client.create("persistentvolumes", volume(accessModes=modes, claimRef=reference, storageClassName="fast"))
    head, row = (" | ".join(cell.strip() for cell in row) for row in cells(one, "get pv -o wide")[:2])
    assert head == (
        "NAME | CAPACITY | ACCESS MODES | RECLAIM POLICY | STATUS | CLAIM | STORAGECLASS | VOLUMEATTRIBUTESCLASS | "
        "REASON | AGE | VOLUMEMODE"
    )
    assert row == "v | 1Gi | RWO,RWX | Retain | Pending | default/c | fast | <unset> | 0s | Filesystem"


def test_a_claims_row_shows_what_it_has_and_not_what_it_asks_for(one: Lab) -> None:
    one.client.create("persistentvolumeclaims", claim("a"))
    bound(one)
    rows = [[cell.strip() for cell in row] for row in cells(one, "get pvc")]
    assert rows[1] == ["a", "Pending", "<unset>", "0s"]
    assert rows[2] == ["c", "Bound", "v", "2Gi", "RWO", "fast", "<unset>", "0s"]


def test_the_default_class_is_marked(one: Lab) -> None:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    one.client.create("storageclasses", {**storage_class(), "metadata": {"name": "fast", "annotations": annotations}})
    assert shown(one, "get sc")[1].startswith("fast (default)   example.com/fast   Delete ")
    assert "IsDefaultClass:        Yes" in shown(one, "describe sc fast")


def test_a_claims_page_names_the_pods_that_use_it(one: Lab) -> None:
    bound(one)
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]
    for name in ("a", "b"):
        body = {"metadata": {"name": name}, "spec": {"containers": [{"name": "x", "image": "x"}], "volumes": volumes}}
        one.client.create("pods", body, "default")
    page = shown(one, "describe pvc c")
    at = page.index("Used By:       a")
    assert page[at + 1].strip() == "b"


def test_a_volumes_page_tells_where_it_can_be_reached(one: Lab) -> None:
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n", "m"]}]}
    affinity = {"required": {"nodeSelectorTerms": [term]}}
    one.client.create("persistentvolumes", volume(**LOCAL, nodeAffinity=affinity))
    page = shown(one, "describe pv v")
    assert any(line.split() == ["Term", "0:", "kubernetes.io/hostname", "in", "[n,", "m]"] for line in page)
    assert any("LocalVolume (a persistent volume backed by local storage on a node)" in line for line in page)
