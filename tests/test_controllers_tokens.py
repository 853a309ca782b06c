"""tokens-controller: a token Secret is filled in, and does not outlive its service account."""

from __future__ import annotations

import base64
from functools import partial

from controllers_lab import Lab

from k8snb.apimachinery.meta import Object, annotations_of, name_of, uid_of
from k8snb.controllers.tokens import ACCOUNT_NAME, ACCOUNT_UID, TYPE, TokensController


def sign(account: Object, secret: Object) -> str:
    return f"token of {name_of(account)} in {name_of(secret)}"


def lab() -> Lab:
    return Lab(partial(TokensController, sign=sign, root_ca="PEM")).start()


def secret(account: str = "default", **more: object) -> Object:
    metadata = {"name": "token", "namespace": "default", "annotations": {ACCOUNT_NAME: account}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": TYPE, **more}


def plain(found: Object) -> dict[str, str]:
    return {name: base64.b64decode(text).decode() for name, text in found["data"].items()}


def test_token_certificate_and_namespace_are_filled_in() -> None:
    """docs: reference/access-authn-authz/service-accounts-admin (Token controller)."""
    one = lab()
    one.client.create("secrets", secret())
    one.run()
    found = one.get("secrets", "token")
    assert plain(found) == {"token": "token of default in token", "ca.crt": "PEM", "namespace": "default"}
    assert annotations_of(found)[ACCOUNT_UID] == uid_of(one.get("serviceaccounts", "default"))


def test_other_secrets_are_left_alone() -> None:
    """upstream: pkg/controller/serviceaccount/tokens_controller.go: only Secrets of type service-account-token."""
    one = lab()
    one.client.create("secrets", {"metadata": {"name": "mine", "namespace": "default"}, "stringData": {"a": "b"}})
    one.run()
    assert list(one.get("secrets", "mine")["data"]) == ["a"]


def test_a_token_goes_with_its_account() -> None:
    """docs: service-accounts-admin (Token controller): it watches for the deletion of ServiceAccounts."""
    one = lab()
    one.client.create("secrets", secret())
    one.run()
    one.client.delete("serviceaccounts", "default", "default")
    one.run()
    assert one.names("secrets") == []


def test_a_token_for_nobody_is_deleted() -> None:
    """docs: service-accounts-admin (Token controller)."""
    one = lab()
    one.client.create("secrets", secret("nobody"))
    one.run()
    assert one.names("secrets") == []


def test_a_restarted_controller_writes_nothing() -> None:
    """upstream: controllers are level-triggered (contributors/devel/sig-api-machinery/controllers.md)."""
    one = lab()
    one.client.create("secrets", secret())
    one.run()
    revision = one.store.revision
    assert one.restart().store.revision == revision
