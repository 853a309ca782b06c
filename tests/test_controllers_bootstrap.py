"""bootstrap controllers and tokens: how a new node is let in, and what it may believe.

Source: https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/ and
`test/e2e/cluster-management/bootstrap` of older kubernetes repositories (`test/e2e/lifecycle/bootstrap`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from controllers_lab import Lab

from k8snb.apimachinery.meta import Object, with_path
from k8snb.apiserver import Identity
from k8snb.apiserver.authentication import Authenticator
from k8snb.client import User
from k8snb.clock import timestamp
from k8snb.controllers.bootstrap import BootstrapSigner, TokenCleaner

IDENTIFIER, PART = "abcdef", "0123456789abcdef"
TOKEN = f"{IDENTIFIER}.{PART}"


@pytest.fixture
def lab() -> Lab:
    return Lab(BootstrapSigner, TokenCleaner).start()


def secret(**data: str) -> Object:
    usages = {"usage-bootstrap-authentication": "true", "usage-bootstrap-signing": "true"}
    metadata = {"name": f"bootstrap-token-{IDENTIFIER}", "namespace": "kube-system"}
    kept = {"token-id": IDENTIFIER, "token-secret": PART, **usages, **data}
    return {"metadata": metadata, "type": "bootstrap.kubernetes.io/token", "stringData": kept}


def cluster_info(lab: Lab) -> Object:
    metadata = {"name": "cluster-info", "namespace": "kube-public"}
    return lab.client.create("configmaps", {"metadata": metadata, "data": {"kubeconfig": "who we are"}})


def signatures(lab: Lab) -> dict[str, str]:
    data = lab.run().get("configmaps", "cluster-info", "kube-public")["data"]
    return {name: text for name, text in data.items() if name != "kubeconfig"}


def who_is(lab: Lab, token: str = TOKEN) -> User:
    return Authenticator(Identity(lab.clock), lab.server).review(token)[0]


def test_a_token_signs_the_cluster_info(lab: Lab) -> None:
    """e2e: test/e2e/lifecycle/bootstrap/bootstrap_signer.go, "should sign the new added bootstrap tokens"."""
    cluster_info(lab)
    lab.client.create("secrets", secret())
    (name, signature), *_ = signatures(lab).items()
    header, text, told = signature.split(".")
    assert (name, text) == ("jws-kubeconfig-abcdef", "")
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "HS256", "kid": IDENTIFIER}
    signed = f"{header}.{base64.urlsafe_b64encode(b'who we are').decode().rstrip('=')}".encode()
    assert base64.urlsafe_b64decode(told + "=") == hmac.digest(PART.encode(), signed, hashlib.sha256)


def test_a_changed_cluster_info_is_signed_anew(lab: Lab) -> None:
    """e2e: bootstrap_signer.go, "should resign the bootstrap tokens when the clusterInfo ConfigMap updated"."""
    found = cluster_info(lab)
    lab.client.create("secrets", secret())
    before = signatures(lab)
    found = lab.get("configmaps", "cluster-info", "kube-public")
    lab.client.update("configmaps", with_path(found, "data.kubeconfig", "somebody else"))
    assert signatures(lab).keys() == before.keys()
    assert signatures(lab) != before


@pytest.mark.parametrize("data", [{"usage-bootstrap-signing": "false"}, {"token-id": "other0"}, {"token-secret": "x"}])
def test_a_secret_that_says_anything_wrong_signs_nothing(lab: Lab, data: dict[str, str]) -> None:
    """upstream: pkg/controller/bootstrap/util.go, validateSecretForSigning."""
    cluster_info(lab)
    lab.client.create("secrets", secret(**data))
    assert signatures(lab) == {}


def test_a_deleted_token_takes_its_signature_along(lab: Lab) -> None:
    """e2e: bootstrap_signer.go, "should delete the signed bootstrap tokens from clusterInfo ConfigMap …"."""
    cluster_info(lab)
    lab.client.create("secrets", secret())
    assert signatures(lab)
    lab.client.delete("secrets", "bootstrap-token-abcdef", "kube-system")
    assert signatures(lab) == {}


def test_an_expired_token_is_deleted_and_its_signature_goes(lab: Lab) -> None:
    """e2e: test/e2e/lifecycle/bootstrap/bootstrap_token_cleaner.go, "should delete the token secret when the secret
    expired"."""
    cluster_info(lab)
    lab.client.create("secrets", secret(expiration=timestamp(lab.clock.now() + 60)))
    assert signatures(lab)
    lab.wait(59)
    assert lab.names("secrets", "kube-system") == ["bootstrap-token-abcdef"]
    lab.wait(2)
    assert (lab.names("secrets", "kube-system"), signatures(lab)) == ([], {})


def test_a_token_that_does_not_expire_stays(lab: Lab) -> None:
    """e2e: bootstrap_token_cleaner.go, "should not delete the token secret when the secret is not expired"."""
    lab.client.create("secrets", secret())
    assert lab.wait(1e6).names("secrets", "kube-system") == ["bootstrap-token-abcdef"]


def test_whoever_shows_a_token_is_its_bootstrapper(lab: Lab) -> None:
    """docs: reference/access-authn-authz/bootstrap-tokens (Bootstrap Token Secret Format)."""
    lab.client.create("secrets", secret(**{"auth-extra-groups": "system:bootstrappers:worker"}))
    user = who_is(lab)
    assert user.name == "system:bootstrap:abcdef"
    assert user.groups == ("system:bootstrappers", "system:bootstrappers:worker", "system:authenticated")


@pytest.mark.parametrize(
    "data",
    [
        {"usage-bootstrap-authentication": "false"},
        {"token-secret": "0000000000000000"},
        {"expiration": "2001-01-01T00:00:00Z"},
        {"expiration": "some day"},
        {"auth-extra-groups": "system:masters"},
    ],
)
def test_a_token_that_is_not_good_lets_nobody_in(lab: Lab, data: dict[str, str]) -> None:
    """upstream: plugin/pkg/auth/authenticator/token/bootstrap/bootstrap.go."""
    lab.client.create("secrets", secret(**data))
    with pytest.raises(ValueError, match="invalid bearer token"):
        who_is(lab)


def test_a_token_without_its_secret_lets_nobody_in(lab: Lab) -> None:
    """upstream: plugin/pkg/auth/authenticator/token/bootstrap/bootstrap.go."""
    with pytest.raises(ValueError, match="invalid bearer token"):
        who_is(lab)
