"""bootstrap controllers: bootstrap tokens end when they say, and vouch for what a new node reads first.

Interface: `TokenCleaner`; `BootstrapSigner`, which signs ConfigMap `cluster-info` in `kube-public` with every token.
The rule not to break: a signature stands in the ConfigMap only while its token is good.
Source: `pkg/controller/bootstrap` in the kubernetes repository. kubeadm makes the ConfigMap; here it is whoever wants
it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from k8snb.apimachinery import bootstrap_token
from k8snb.apimachinery.bootstrap_token import NAMESPACE, TYPE, datum, may_sign
from k8snb.apimachinery.meta import Object, namespace_of, revision_of
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import Informers
from k8snb.controllers.replicas import delete_exactly

CONFIG_MAP, PLACE = "cluster-info", "kube-public"
SIGNATURE = "jws-kubeconfig-"


class TokenCleaner(Controller):
    name = "token-cleaner"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.secrets = informers.get("secrets", f"type={TYPE}")
        self.secrets.on_change(lambda old, new: self.enqueue(new))

    def sync(self, key: str) -> None:
        secret = self.secrets.by_key(key)
        end = bootstrap_token.expiry(secret) if secret and namespace_of(secret) == NAMESPACE else None
        if secret is None or end is None:
            return
        left = end - self.clock.now()
        if left > 0:
            self.queue.add_after(key, left, background=True)
        else:
            delete_exactly(self.client, "secrets", secret)

    def subject(self, key: str) -> Object | None:
        return self.secrets.by_key(key)


class BootstrapSigner(Controller):
    name = "bootstrap-signer"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.secrets = informers.get("secrets", f"type={TYPE}")
        self.secrets.on_change(self._changed)
        self.config_maps = informers.get("configmaps", f"metadata.name={CONFIG_MAP}")
        self.config_maps.on_change(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        obj = new or old
        if obj is not None and namespace_of(obj) in (NAMESPACE, PLACE):
            self.queue.add(f"{PLACE}/{CONFIG_MAP}", revision_of(obj))

    def sync(self, key: str) -> None:
        config_map = self.config_maps.by_key(key)
        data = (config_map or {}).get("data") or {}
        if config_map is None or "kubeconfig" not in data or not self.sees_own_writes(key):
            return
        unsigned = {name: text for name, text in data.items() if not name.startswith(SIGNATURE)}
        signatures = {
            f"{SIGNATURE}{identifier}": detached_signature(data["kubeconfig"], identifier, secret)
            for identifier, secret in sorted(self._tokens().items())
        }
        if data != {**unsigned, **signatures}:
            signed = {**config_map, "data": {**unsigned, **signatures}}
            self.wrote(key, self.config_maps, self.client.update("configmaps", signed))

    def _tokens(self) -> dict[str, str]:
        """The tokens that may sign: identifier → secret part."""
        now = self.clock.now()
        good = [secret for secret in self.secrets if may_sign(secret, now)]
        return {datum(secret, "token-id"): datum(secret, "token-secret") for secret in good}

    def subject(self, key: str) -> Object | None:
        return self.config_maps.by_key(key)


def detached_signature(content: str, identifier: str, secret: str) -> str:
    """A JSON Web Signature (RFC 7515, HS256) of a text, without the text: `header..signature`."""
    header = json.dumps({"alg": "HS256", "kid": identifier}, separators=(",", ":"))
    told = _encoded(header.encode())
    signed = f"{told}.{_encoded(content.encode())}".encode()
    return f"{told}..{_encoded(hmac.digest(secret.encode(), signed, hashlib.sha256))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
