"""root-ca-cert-publisher: the certificate is in every namespace, and stays as it is."""

from __future__ import annotations

from functools import partial

from controllers_lab import Lab

from k8snb.controllers.rootca import CONFIG_MAP, RootCACertPublisher


def lab() -> Lab:
    return Lab(partial(RootCACertPublisher, root_ca="PEM"), namespaces=["team"]).start()


def test_every_namespace_has_the_certificate() -> None:
    """docs: reference/access-authn-authz/service-accounts-admin (the kube-root-ca.crt ConfigMap);
    pkg/controller/certificates/rootcacertpublisher."""
    one = lab()
    for namespace in ("default", "kube-system", "team"):
        assert one.get("configmaps", CONFIG_MAP, namespace)["data"] == {"ca.crt": "PEM"}


def test_a_change_of_it_does_not_last() -> None:
    """e2e: test/e2e/auth/service_accounts.go "should guarantee kube-root-ca.crt exist in any namespace"."""
    one = lab()
    one.apply("configmaps", CONFIG_MAP, {"data": {"ca.crt": "other"}}, "team")
    one.run()
    assert one.get("configmaps", CONFIG_MAP, "team")["data"] == {"ca.crt": "PEM"}


def test_a_deleted_one_comes_back() -> None:
    """e2e: service_accounts.go "should guarantee kube-root-ca.crt exist in any namespace"."""
    one = lab()
    one.client.delete("configmaps", CONFIG_MAP, "team")
    one.run()
    assert one.names("configmaps", "team") == [CONFIG_MAP]


def test_a_restarted_controller_writes_nothing() -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    one = lab()
    revision = one.store.revision
    assert one.restart().store.revision == revision
