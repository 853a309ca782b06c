"""kube-apiserver's authentication: who asks, by certificate, token or impersonation; over the real embedded store."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from k8snb.apimachinery.errors import ApiError
from k8snb.apiserver import ApiServer, Identity
from k8snb.apiserver.authentication import complete
from k8snb.client import ADMIN, Client, User
from k8snb.clock import VirtualClock
from k8snb.etcd.guard import GuardedStore

Object = dict[str, Any]
ALL = ("system:authenticated",)


@pytest.fixture
def store() -> Iterator[GuardedStore]:
    store = GuardedStore()
    yield store
    store.check()


@pytest.fixture
def server(store: GuardedStore) -> ApiServer:
    clock, dice = VirtualClock(), random.Random(0)
    server = ApiServer(store, clock, dice=dice, service_cidr="10.96.0.0/24", admin_token="opensesame")
    server.bootstrap()
    return server


@pytest.fixture
def client(server: ApiServer) -> Client:
    client = Client(server)
    client.create("serviceaccounts", {"metadata": {"name": "robot"}}, "default")
    return client


def refusal(call: Any, *arguments: Any, **keywords: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call(*arguments, **keywords)
    return caught.value


def token_for(client: Client, **spec: Any) -> str:
    answer = client.create_subresource("serviceaccounts", "robot", "token", {"spec": spec}, "default")
    return str(answer["status"]["token"])


def pod(name: str = "web", account: str = "robot") -> Object:
    spec = {"serviceAccountName": account, "containers": [{"name": "web", "image": "nginx"}]}
    return {"metadata": {"name": name}, "spec": spec}


def advance(server: ApiServer, seconds: float) -> None:
    server.clock.advance_to(server.clock.now() + seconds)  # type: ignore[attr-defined]


def assert_unauthorized(server: ApiServer, token: str) -> None:
    error = refusal(server.authenticator.from_token, token)
    assert (error.code, error.reason, error.message) == (401, "Unauthorized", "Unauthorized")


# certificates


def test_a_certificates_common_name_is_the_user_and_its_organizations_are_groups(server: ApiServer) -> None:
    user = server.authenticator.from_certificate("jane", ["developers", "admins"])
    assert user == User("jane", ("developers", "admins", "system:authenticated"))


def test_a_certificate_with_an_accounts_name_is_not_in_the_accounts_groups(server: ApiServer) -> None:
    user = server.authenticator.from_certificate("system:serviceaccount:default:robot", [])
    assert user.groups == ALL


def test_a_certificate_without_a_name_is_nobody(server: ApiServer) -> None:
    assert refusal(server.authenticator.from_certificate, "", ["system:masters"]).code == 401


def test_a_client_certificate_is_signed_by_the_authority_and_names_its_user(server: ApiServer) -> None:
    text, key = server.identity.issue_client("jane", ["developers"])
    certificate = x509.load_pem_x509_certificate(text.encode())
    authority = x509.load_pem_x509_certificate(server.identity.root_ca.encode())
    certificate.verify_directly_issued_by(authority)
    private = serialization.load_pem_private_key(key.encode(), None)
    assert private.public_key() == certificate.public_key()
    assert certificate.subject.rfc4514_string() == "CN=jane,O=developers"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH]


def test_the_serving_certificate_is_good_for_every_name_of_the_apiserver(server: ApiServer) -> None:
    text, _ = server.identity.issue_serving("10.96.0.1", "cluster.example")
    certificate = x509.load_pem_x509_certificate(text.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    hosts = {str(name.value) for name in names}
    assert {"127.0.0.1", "localhost", "kubernetes", "kubernetes.default.svc", "10.96.0.1", "cluster.example"} <= hosts


def test_the_private_key_of_the_authority_is_in_no_answer(server: ApiServer) -> None:
    assert "PRIVATE KEY" not in server.identity.root_ca
    assert all("d" not in key for key in server.identity.jwks["keys"])


# tokens


def test_a_token_stands_for_its_service_account(server: ApiServer, client: Client) -> None:
    user = server.authenticator.from_token(token_for(client))
    assert user.name == "system:serviceaccount:default:robot"
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")
    assert user.uid == client.get("serviceaccounts", "robot", "default")["metadata"]["uid"]


def test_an_expired_token_is_refused(server: ApiServer, client: Client) -> None:
    token = token_for(client, expirationSeconds=600)
    advance(server, 599)
    server.authenticator.from_token(token)
    advance(server, 2)
    assert_unauthorized(server, token)


def test_a_token_for_another_audience_is_refused_here_and_good_there(server: ApiServer, client: Client) -> None:
    token = token_for(client, audiences=["vault"])
    assert_unauthorized(server, token)
    _, audiences = server.authenticator.review(token, ["vault", "other"])
    assert audiences == ["vault"]


@pytest.mark.parametrize("forged", ["", "x", "a.b.c", "opensesam", "opensesame "])
def test_what_is_no_token_is_refused(server: ApiServer, forged: str) -> None:
    assert_unauthorized(server, forged)


def test_a_token_of_another_cluster_is_refused_even_for_the_same_account(server: ApiServer, client: Client) -> None:
    other = Identity(VirtualClock())
    assert_unauthorized(server, other.sign(other.account_claims(client.get("serviceaccounts", "robot", "default"))))


def test_an_unsigned_token_is_refused(server: ApiServer, client: Client) -> None:
    claims = server.identity.account_claims(client.get("serviceaccounts", "robot", "default"))
    assert_unauthorized(server, jwt.encode(claims, "", algorithm="none"))


def test_a_token_of_another_issuer_is_refused(server: ApiServer, client: Client) -> None:
    claims = server.identity.account_claims(client.get("serviceaccounts", "robot", "default"))
    assert_unauthorized(server, server.identity.sign({**claims, "iss": "https://elsewhere"}))


def test_a_token_that_is_not_valid_yet_is_refused(server: ApiServer, client: Client) -> None:
    claims = server.identity.account_claims(client.get("serviceaccounts", "robot", "default"))
    assert_unauthorized(server, server.identity.sign({**claims, "nbf": int(server.clock.now()) + 60}))


def test_a_token_does_not_outlive_its_account(server: ApiServer, client: Client) -> None:
    token = token_for(client)
    client.delete("serviceaccounts", "robot", "default")
    assert_unauthorized(server, token)


def test_an_account_of_the_same_name_is_not_the_same_account(server: ApiServer, client: Client) -> None:
    token = token_for(client)
    client.delete("serviceaccounts", "robot", "default")
    client.create("serviceaccounts", {"metadata": {"name": "robot"}}, "default")
    assert_unauthorized(server, token)


def test_the_administrators_token_stands_for_the_administrator(server: ApiServer) -> None:
    assert server.authenticator.from_token("opensesame") == ADMIN


def test_without_an_administrators_token_the_empty_one_is_nobody() -> None:
    server = ApiServer(GuardedStore(), VirtualClock(), dice=random.Random(0), service_cidr="10.96.0.0/24")
    assert_unauthorized(server, "")


# tokens bound to an object


def test_a_bound_token_does_not_outlive_its_pod(server: ApiServer, client: Client) -> None:
    client.create("pods", pod(), "default")
    token = token_for(client, boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "web"})
    extra = dict(server.authenticator.from_token(token).extra)
    assert extra["authentication.kubernetes.io/pod-name"] == ("web",)
    client.delete("pods", "web", "default")
    assert_unauthorized(server, token)


def test_a_bound_token_does_not_outlive_its_secret(server: ApiServer, client: Client) -> None:
    client.create("secrets", {"metadata": {"name": "lease"}}, "default")
    token = token_for(client, boundObjectRef={"kind": "Secret", "apiVersion": "v1", "name": "lease"})
    server.authenticator.from_token(token)
    client.delete("secrets", "lease", "default")
    assert_unauthorized(server, token)


def test_a_token_is_not_bound_to_a_pod_of_another_account(client: Client) -> None:
    client.create("pods", pod(account="default"), "default")
    error = refusal(token_for, client, boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "web"})
    assert error.code == 400
    assert error.message == (
        'cannot bind token for serviceaccount "robot" to pod running with different serviceaccount name.'
    )


def test_a_token_is_not_bound_to_what_is_not_there(client: Client) -> None:
    assert refusal(token_for, client, boundObjectRef={"kind": "Pod", "name": "gone"}).message == 'pods "gone" not found'
    assert refusal(token_for, client, boundObjectRef={"kind": "ConfigMap", "name": "x"}).code == 400


def test_a_token_is_not_bound_to_an_older_object_of_the_same_name(client: Client) -> None:
    client.create("pods", pod(), "default")
    reference = {"kind": "Pod", "apiVersion": "v1", "name": "web", "uid": "another"}
    assert refusal(token_for, client, boundObjectRef=reference).code == 409


def test_the_public_key_verifies_tokens_elsewhere(server: ApiServer, client: Client) -> None:
    token = token_for(client)
    identity = server.identity
    (key,) = jwt.PyJWKSet.from_dict(identity.jwks).keys
    assert jwt.get_unverified_header(token)["kid"] == key.key_id
    options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    issuer = identity.openid_configuration["issuer"]
    claims = jwt.decode(token, key.key, algorithms=["ES256"], audience=issuer, issuer=issuer, options=options)
    assert claims["sub"] == "system:serviceaccount:default:robot"


# nobody in particular


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/version", "/version/", "/readyz/ping"])
def test_a_few_paths_answer_everybody(server: ApiServer, path: str) -> None:
    user = server.authenticator.anonymous(path)
    assert user == User("system:anonymous", ("system:unauthenticated",))
    if path != "/readyz/ping":
        server.authorizer.check_path(user, "get", path)


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1/pods", "/apis", "/openapi/v3", "/metrics", "/versions"])
def test_everything_else_wants_to_know_who_asks(server: ApiServer, path: str) -> None:
    assert refusal(server.authenticator.anonymous, path).code == 401


# impersonation


def test_the_administrator_may_be_anybody(server: ApiServer) -> None:
    headers = [("Impersonate-User", "jane"), ("Impersonate-Group", "dev"), ("impersonate-group", "ops"),
               ("Impersonate-Uid", "7"), ("Impersonate-Extra-scopes", "view"), ("Accept", "*/*")]  # fmt: skip
    user = server.authenticator.impersonate(ADMIN, headers)
    assert user == User("jane", ("dev", "ops", "system:authenticated"), "7", (("scopes", ("view",)),))


def test_without_the_headers_one_is_oneself(server: ApiServer) -> None:
    assert server.authenticator.impersonate(User("jane"), [("Accept", "*/*")]) == User("jane")


def test_an_impersonated_service_account_has_its_groups(server: ApiServer) -> None:
    headers = [("Impersonate-User", "system:serviceaccount:default:robot")]
    user = server.authenticator.impersonate(ADMIN, headers)
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated")


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ([("Impersonate-User", "bob")],
         'users "bob" is forbidden: User "jane" cannot impersonate resource "users" in API group "" at the cluster '
         'scope'),
        ([("Impersonate-User", "system:serviceaccount:shop:robot")],
         'serviceaccounts "robot" is forbidden: User "jane" cannot impersonate resource "serviceaccounts" in API group '
         '"" in the namespace "shop"'),
    ],
)  # fmt: skip
def test_others_may_not(server: ApiServer, headers: list[tuple[str, str]], words: str) -> None:
    error = refusal(server.authenticator.impersonate, User("jane"), headers)
    assert (error.code, error.message) == (403, words)


def test_the_right_to_be_a_user_is_not_the_right_to_be_in_a_group(server: ApiServer, client: Client) -> None:
    rule = {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"], "resourceNames": ["bob"]}
    client.create("clusterroles", {"metadata": {"name": "bobs"}, "rules": [rule]})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "bobs"}
    subjects = [{"kind": "User", "name": "jane"}]
    client.create("clusterrolebindings", {"metadata": {"name": "bobs"}, "roleRef": reference, "subjects": subjects})
    impersonate, jane = server.authenticator.impersonate, User("jane")
    assert impersonate(jane, [("Impersonate-User", "bob")]).name == "bob"
    assert refusal(impersonate, jane, [("Impersonate-User", "root")]).code == 403
    error = refusal(impersonate, jane, [("Impersonate-User", "bob"), ("Impersonate-Group", "system:masters")])
    assert error.message.startswith('groups "system:masters" is forbidden')
    assert refusal(impersonate, jane, [("Impersonate-User", "bob"), ("Impersonate-Extra-x", "y")]).code == 403


def test_a_group_alone_is_nobody_to_be(server: ApiServer) -> None:
    error = refusal(server.authenticator.impersonate, ADMIN, [("Impersonate-Group", "system:masters")])
    assert "needs a user" in error.message


# names and groups


def test_a_name_in_the_kernel_has_the_groups_that_follow_from_it() -> None:
    assert complete(User("jane")).groups == ALL
    assert complete(User("system:anonymous")).groups == ("system:unauthenticated",)
    account = complete(User("system:serviceaccount:a:b"))
    assert account.groups == ("system:serviceaccounts", "system:serviceaccounts:a", *ALL)
    assert complete(User("system:serviceaccount:a")).groups == ALL
    known = User("system:serviceaccount:a:b", ("others", "system:authenticated"))
    assert complete(known) is known


# reviews


def test_who_am_i(client: Client) -> None:
    answer = client.as_user(User("jane", ("dev",))).create("selfsubjectreviews", {"metadata": {}})
    assert answer["status"]["userInfo"] == {"username": "jane", "groups": ["dev", "system:authenticated"]}


def test_a_token_review_says_whose_a_token_is_or_why_not(server: ApiServer, client: Client) -> None:
    token = token_for(client, expirationSeconds=600)
    status = client.create("tokenreviews", {"metadata": {}, "spec": {"token": token}})["status"]
    assert (status["authenticated"], status["user"]["username"]) == (True, "system:serviceaccount:default:robot")
    advance(server, 601)
    status = client.create("tokenreviews", {"metadata": {}, "spec": {"token": token}})["status"]
    assert (status["authenticated"], "expired" in status["error"]) == (False, True)


def test_a_question_is_not_stored(client: Client, store: GuardedStore) -> None:
    revision = store.revision
    client.create("selfsubjectreviews", {"metadata": {}})
    assert store.revision == revision
    assert refusal(client.list, "tokenreviews").code == 405


# certificate signing requests


def request_pem(common_name: str, *organizations: str) -> str:
    import base64

    groups = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in organizations]
    name = x509.Name([*groups, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    signed = request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


def signing_request(name: str, pem: str, signer: str = "kubernetes.io/kube-apiserver-client") -> Object:
    spec = {"request": pem, "signerName": signer, "usages": ["client auth"], "username": "mallory"}
    return {"metadata": {"name": name}, "spec": spec}


def test_a_signing_request_says_who_really_made_it(client: Client) -> None:
    made = client.create("certificatesigningrequests", signing_request("jane", request_pem("jane")))
    assert made["spec"]["username"] == "kubernetes-admin"
    assert made["spec"]["groups"] == ["system:masters", "system:authenticated"]


def test_nobody_asks_for_a_superusers_certificate(client: Client) -> None:
    body = signing_request("root", request_pem("root", "system:masters"))
    assert "system:masters group is not allowed" in refusal(client.create, "certificatesigningrequests", body).message


def test_what_is_no_certificate_request_is_refused(client: Client) -> None:
    error = refusal(client.create, "certificatesigningrequests", signing_request("x", "bm9uc2Vuc2U="))
    assert error.causes[0]["field"] == "spec.request"


def test_to_approve_one_needs_the_right_for_the_signer(client: Client) -> None:
    made = client.create("certificatesigningrequests", signing_request("jane", request_pem("jane")))
    rules = [{"apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests/approval"],
              "verbs": ["update"]}]  # fmt: skip
    client.create("clusterroles", {"metadata": {"name": "half"}, "rules": rules})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "half"}
    subjects = [{"kind": "User", "name": "bob"}]
    client.create("clusterrolebindings", {"metadata": {"name": "half"}, "roleRef": reference, "subjects": subjects})
    approved = {**made, "status": {"conditions": [{"type": "Approved", "status": "True", "reason": "ByHand"}]}}
    bob = client.as_user(User("bob"))
    error = refusal(bob.update, "certificatesigningrequests", approved, subresource="approval")
    assert "user not permitted to approve requests with signerName" in error.message
    written = client.update("certificatesigningrequests", approved, subresource="approval")
    assert [entry["type"] for entry in written["status"]["conditions"]] == ["Approved"]
