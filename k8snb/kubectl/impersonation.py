"""kubectl --as: acting as somebody else, where that is allowed.

Interface: `impersonating(client, args)`.
The rule not to break: whoever acts as another has been asked for by name and must be allowed to impersonate each part.
Source: `apiserver/pkg/endpoints/filters/impersonation.go`.
"""

from __future__ import annotations

from collections.abc import Iterator

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object
from k8snb.client import Client, User
from k8snb.kubectl.grammar import Arguments
from k8snb.kubectl.output import KubectlError
from k8snb.kubectl.refusals import refused

_ACCOUNT, _ALL = "system:serviceaccount:", "system:authenticated"


def impersonating(client: Client, args: Arguments) -> Client:
    """The client as the user that `--as` names; itself without. Raises KubectlError."""
    name, groups = args.text("as"), args.texts("as-group")
    if not name:
        if groups or args.text("as-uid"):
            raise KubectlError("error: requesting uid, groups or user-extra for --as without impersonating a user")
        return client
    if not client.user.name:  # a server of another process knows who asks, and checks it all itself
        return client.as_user(User(name, tuple(groups), args.text("as-uid")))
    for asked in _parts(name, groups, args.text("as-uid")):
        review = client.create("selfsubjectaccessreviews", {"metadata": {}, "spec": {"resourceAttributes": asked}})
        if not review["status"].get("allowed"):
            raise refused(_forbidden(client.user, asked))
    return client.as_user(User(name, _groups(name, groups), args.text("as-uid")))


def _parts(name: str, groups: list[str], uid: str) -> Iterator[Object]:
    verb = {"verb": "impersonate", "version": "v1"}
    if name.startswith(_ACCOUNT) and name.count(":") == 3:
        namespace, account = name.split(":")[2:]
        yield {**verb, "resource": "serviceaccounts", "namespace": namespace, "name": account}
    else:
        yield {**verb, "resource": "users", "name": name}
    for group in groups:
        yield {**verb, "resource": "groups", "name": group}
    if uid:
        yield {**verb, "group": "authentication.k8s.io", "resource": "uids", "name": uid}


def _groups(name: str, groups: list[str]) -> tuple[str, ...]:
    """The groups asked for; a service account is in its own, and whoever has a name is authenticated."""
    found = list(groups)
    if name.startswith(_ACCOUNT) and name.count(":") == 3 and not found:
        found = ["system:serviceaccounts", f"system:serviceaccounts:{name.split(':')[2]}"]
    return tuple(dict.fromkeys([*found, *([] if name == "system:anonymous" else [_ALL])]))


def _forbidden(user: User, asked: Object) -> ApiError:
    where = f'in the namespace "{asked["namespace"]}"' if asked.get("namespace") else "at the cluster scope"
    what = f'{asked["resource"]} "{asked["name"]}" is forbidden'
    text = (f'{what}: User "{user.name}" cannot impersonate resource "{asked["resource"]}" in API group '
            f'"{asked.get("group", "")}" {where}')  # fmt: skip
    return ApiError(403, "Forbidden", text, {"name": asked["name"], "kind": asked["resource"]})
