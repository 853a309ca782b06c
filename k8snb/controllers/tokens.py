"""tokens-controller: fills in Secrets of type `kubernetes.io/service-account-token`.

Interface: `TokensController(…, sign=…, root_ca=…)`; `sign(account, secret)` makes the token that proves who the
account is.
The rule not to break: a token Secret without its service account does not outlive it.
Source: `pkg/controller/serviceaccount/tokens_controller.go` in the kubernetes repository. Pods of today get
short-lived tokens from the TokenRequest API instead; these Secrets are for what lives outside the cluster.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

from k8snb.apimachinery.meta import Object, annotations_of, key_of, namespace_of, revision_of, uid_of, with_metadata
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import Informers
from k8snb.controllers.replicas import delete_exactly

TYPE = "kubernetes.io/service-account-token"
ACCOUNT_NAME, ACCOUNT_UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
ACCOUNT = "account"

Sign = Callable[[Object, Object], str]


class TokensController(Controller):
    name = "tokens-controller"

    def __init__(self, context: Context, informers: Informers, *, sign: Sign, root_ca: str) -> None:
        super().__init__(context, informers)
        self._sign = sign
        self._root_ca = root_ca
        self.secrets = informers.get("secrets", f"type={TYPE}")
        self.secrets.add_index(ACCOUNT, _account_keys)
        self.secrets.on_change(lambda old, new: self.enqueue(new))
        self.accounts = informers.get("serviceaccounts")
        self.accounts.on_change(self._account_changed)

    def _account_changed(self, old: Object | None, new: Object | None) -> None:
        account = new or old
        if account is None or (old is not None and new is not None):
            return
        for secret in self.secrets.by_index(ACCOUNT, key_of(account)):
            self.queue.add(key_of(secret), revision_of(account))

    def sync(self, key: str) -> None:
        secret = self.secrets.by_key(key)
        if secret is None or not _account_keys(secret):
            return
        annotations = annotations_of(secret)
        account = self.client.find("serviceaccounts", annotations[ACCOUNT_NAME], namespace_of(secret))
        if account is None or annotations.get(ACCOUNT_UID, uid_of(account)) != uid_of(account):
            delete_exactly(self.client, "secrets", secret)
            return
        missing = {
            name: value
            for name, value in self._data(account, secret).items()
            if not (secret.get("data") or {}).get(name)
        }
        if missing or ACCOUNT_UID not in annotations:
            named = with_metadata(secret, annotations={**annotations, ACCOUNT_UID: uid_of(account)})
            self.client.update("secrets", {**named, "data": {**(secret.get("data") or {}), **missing}})

    def _data(self, account: Object, secret: Object) -> dict[str, str]:
        plain = {
            "ca.crt": self._root_ca,
            "namespace": namespace_of(secret),
            "token": self._sign(account, secret),
        }
        return {name: base64.b64encode(text.encode()).decode() for name, text in plain.items()}

    def subject(self, key: str) -> Object | None:
        return self.secrets.by_key(key)


def _account_keys(secret: Object) -> list[str]:
    """Index function: the service account that a token Secret is for."""
    name = annotations_of(secret).get(ACCOUNT_NAME)
    return [f"{namespace_of(secret)}/{name}"] if name and secret.get("type") == TYPE else []
