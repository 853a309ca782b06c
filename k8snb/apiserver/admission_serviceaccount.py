"""ServiceAccount: the admission plug-in that gives every pod somebody to be.

Interface: `service_account`, a plug-in; `TokenMounts`, how the account's token gets into the containers.
The rule not to break: what the pod says for itself stays as it is.
Source: `plugin/pkg/admission/serviceaccount/admission.go`. The annotation `kubernetes.io/enforce-mountable-secrets`,
deprecated since 1.32, is not implemented by k8snb.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from typing import Protocol

from k8snb.apimachinery.errors import ApiError, forbidden
from k8snb.apimachinery.meta import Object, annotations_of, get_path, name_of, namespace_of
from k8snb.apimachinery.names import ALPHABET
from k8snb.apiserver.admission_plugin import creates, find_object
from k8snb.client import Request
from k8snb.etcd import Store

MIRROR = "kubernetes.io/config.mirror"
DEFAULT = "default"
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_VOLUME = "kube-api-access-"
TOKEN_SECONDS = 3607  # an hour, and the seconds by which upstream tells its own mounts from others


REMEMBERED = 512  # templates whose mounts are kept at hand


class Server(Protocol):
    store: Store
    token_mounts: TokenMounts


def service_account(server: Server, request: Request, obj: Object, old: Object | None) -> Object:
    """A pod runs as a service account, `default` if it names none, with its token and its image pull secrets.

    `default` need not be there yet: the service account controller makes it for every namespace (upstream waits for
    it).
    """
    if not creates(request, "pods"):
        return obj
    if MIRROR in annotations_of(obj):
        return _mirror(request, obj)
    spec = obj["spec"]
    name = spec.get("serviceAccountName") or DEFAULT
    account = find_object(server, "serviceaccounts", name, namespace_of(obj))
    if account is None and name != DEFAULT:
        why = f'error looking up service account {namespace_of(obj)}/{name}: serviceaccount "{name}" not found'
        raise forbidden(request.kind, name_of(obj), why)
    changes: Object = {"serviceAccountName": name, "serviceAccount": name}
    secrets = (account or {}).get("imagePullSecrets")
    if secrets and not spec.get("imagePullSecrets"):
        changes["imagePullSecrets"] = secrets
    if _mounts_token(spec, account):
        changes |= server.token_mounts.of(spec)
    return {**obj, "spec": {**spec, **changes}}


def _mirror(request: Request, pod: Object) -> Object:
    """The image of a pod that runs without the apiserver is nobody."""
    for thing, said in (("service accounts", pod["spec"].get("serviceAccountName")), ("secrets", _uses_secrets(pod))):
        if said:
            raise _refused(request, pod, f"a mirror pod may not reference {thing}")
    return pod


def _uses_secrets(pod: Object) -> bool:
    return any("secret" in volume for volume in pod["spec"].get("volumes") or ())


def _refused(request: Request, pod: Object, why: str) -> ApiError:
    return forbidden(request.kind, name_of(pod), why)


def _mounts_token(spec: Object, account: Object | None) -> bool:
    """The pod may want no token, or else the account may."""
    for said in (spec.get("automountServiceAccountToken"), (account or {}).get("automountServiceAccountToken")):
        if said is not None:
            return bool(said)
    return True


class TokenMounts:
    """What mounting the token makes of a pod's containers and volumes: the same for all pods of one template, so that
    ten thousand pods share it. Upstream's volume has a name of its own in every pod; here its name follows from the
    containers, so that a write that is handed in again, after a webhook was asked, says the same again.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, ...], tuple[Object, Object]] = OrderedDict()

    def of(self, spec: Object) -> Object:
        """The fields of a pod's spec that change. What is remembered keeps the lists it was made from alive: their ids
        stay theirs."""
        parts = {field: spec[field] for field in ("initContainers", "containers", "volumes") if spec.get(field)}
        key = tuple(id(part) for part in parts.values())
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = (parts, token_mounts(spec, _volume_name(parts)))
            if len(self._kept) > REMEMBERED:
                self._kept.popitem(last=False)
        return kept[1]


def _volume_name(parts: Object) -> str:
    said = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).digest()
    return TOKEN_VOLUME + "".join(ALPHABET[byte % len(ALPHABET)] for byte in said[:5])


def token_mounts(spec: Object, volume: str) -> Object:
    """The fields of a pod's spec with the token, the cluster's certificate and the namespace mounted in every container
    that has nothing at their place. `volume` is the name for the volume where the pod does not bring one."""
    present = next((v["name"] for v in spec.get("volumes") or () if v["name"].startswith(TOKEN_VOLUME)), "")
    mount = {"name": present or volume, "readOnly": True, "mountPath": TOKEN_PATH}
    changed = {field: [_mounted(container, mount) for container in spec[field]]
               for field in ("initContainers", "containers") if spec.get(field)}  # fmt: skip
    if all(changed[field] == spec[field] for field in changed):
        return {}
    return {**changed, "volumes": [*(spec.get("volumes") or ()), *([] if present else [token_volume(volume)])]}


def _mounted(container: Object, mount: Object) -> Object:
    mounts = container.get("volumeMounts") or []
    if any(get_path(each, "mountPath") == TOKEN_PATH for each in mounts):
        return container
    return {**container, "volumeMounts": [*mounts, mount]}


def token_volume(name: str) -> Object:
    """The projected volume that every pod has from its service account."""
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": 0o644}}
