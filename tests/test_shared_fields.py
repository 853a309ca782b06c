"""What an update shares with the stored object is not checked again; what is new in it is."""

from __future__ import annotations

import pytest
from controllers_lab import Lab, pod

from k8snb.apimachinery import schema
from k8snb.apimachinery.errors import ApiError


def test_a_wrong_status_is_refused_though_the_spec_is_the_stored_one() -> None:
    one = Lab().start()
    made = one.client.create("pods", pod("a"))
    with pytest.raises(ApiError, match=r"status\.phase"):
        one.client.update_status("pods", {**made, "status": {"phase": 7}})


def test_a_wrong_spec_is_refused_though_the_rest_is_the_stored_one() -> None:
    one = Lab().start()
    made = one.client.create("configmaps", {"metadata": {"name": "a"}, "data": {"a": "b"}}, "default")
    with pytest.raises(ApiError, match="data"):
        one.client.update("configmaps", {**made, "data": {"a": 7}})


def test_an_unknown_field_is_remarked_on_beside_shared_ones() -> None:
    one = Lab().start()
    made = one.client.create("configmaps", {"metadata": {"name": "a"}}, "default")
    one.client.update("configmaps", {**made, "dat": {"a": "b"}})
    assert one.client.take_warnings() == ['unknown field "dat" (did you mean "data"?)']


def test_what_is_shared_is_not_missing() -> None:
    stored = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "c"}]}}
    decoded, errors, unknown = schema.load().decode({**stored, "status": {"phase": "Running"}}, known=stored)
    assert (errors, unknown) == ([], []) and decoded["spec"] is stored["spec"]
