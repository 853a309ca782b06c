"""service-account-controller: every living namespace has a service account `default`."""

from __future__ import annotations

from controllers_lab import Lab

from k8snb.controllers.namespace import NamespaceController
from k8snb.controllers.serviceaccount import ServiceAccountController


def test_every_namespace_gets_one() -> None:
    """docs: reference/access-authn-authz/service-accounts-admin (ServiceAccount controller)."""
    one = Lab(ServiceAccountController).start()
    one.client.create("namespaces", {"metadata": {"name": "team"}})
    one.run()
    assert one.names("serviceaccounts", "team") == ["default"]
    assert one.names("serviceaccounts", "kube-system") == ["default"]


def test_a_deleted_one_comes_back() -> None:
    """docs: service-accounts-admin (ServiceAccount controller)."""
    one = Lab(ServiceAccountController).start()
    one.client.delete("serviceaccounts", "default", "default")
    one.run()
    assert one.names("serviceaccounts") == ["default"]


def test_a_namespace_on_its_way_out_gets_none() -> None:
    """upstream: pkg/controller/serviceaccount/serviceaccounts_controller.go: syncNamespace."""
    one = Lab(ServiceAccountController, NamespaceController).start()
    one.client.create("namespaces", {"metadata": {"name": "team"}})
    one.run()
    one.client.delete("namespaces", "team")
    one.run()
    assert one.client.find("namespaces", "team") is None
    assert one.names("serviceaccounts", "team") == []


def test_a_restarted_controller_writes_nothing() -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    one = Lab(ServiceAccountController).start()
    revision = one.store.revision
    assert one.restart().store.revision == revision
