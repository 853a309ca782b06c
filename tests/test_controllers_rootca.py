"""root-ca-cert-publisher: the certificate is in every namespace, and stays as it is."""

from __future__ import annotations

from functools import partial

from controllers_lab import Lab

from k8snb.controllers.rootca import CONFIG_MAP, RootCACertPublisher


def lab() -> Lab:
    return Lab(partial(RootCACertPublisher, root_ca="PEM"), namespaces=["team"]).start()


def test_every_namespace_has_the_certificate() -> None:
    one = lab()
    for namespace in ("default", "kube-system", "team"):
        assert one.get("configmaps", CONFIG_MAP, namespace)["data"] == {"ca.crt": "PEM"}


def test_a_change_of_it_does_not_last() -> None:
    one = lab()
    one.apply("configmaps", CONFIG_MAP, {"data": {"ca.crt": "other"}}, "team")
    one.run()
    assert one.get("configmaps", CONFIG_MAP, "team")["data"] == {"ca.crt": "PEM"}


def test_a_deleted_one_comes_back() -> None:
    one = lab()
    one.client.delete("configmaps", CONFIG_MAP, "team")
    one.run()
    assert one.names("configmaps", "team") == [CONFIG_MAP]


def test_a_restarted_controller_writes_nothing() -> None:
    one = lab()
    revision = one.store.revision
    assert one.restart().store.revision == revision
