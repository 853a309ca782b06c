"""root-ca-cert-publisher: puts the certificate by which pods know the apiserver into every namespace.

Interface: `RootCACertPublisher(…, root_ca=…)` keeps ConfigMap `kube-root-ca.crt` there with the certificate's PEM text.
The rule not to break: nobody else's change to that ConfigMap lasts.
Source: `pkg/controller/certificates/rootcacertpublisher` in the kubernetes repository.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, namespace_of, revision_of
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import Informers
from k8snb.controllers.serviceaccount import is_living

CONFIG_MAP = "kube-root-ca.crt"
EXPLANATION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or kubernetes.default.svc."
)


class RootCACertPublisher(Controller):
    name = "root-ca-cert-publisher"

    def __init__(self, context: Context, informers: Informers, *, root_ca: str) -> None:
        super().__init__(context, informers)
        self._data = {"ca.crt": root_ca}
        self.namespaces = self.watch("namespaces")
        self.config_maps = informers.get("configmaps", f"metadata.name={CONFIG_MAP}")
        self.config_maps.on_change(self._config_map_changed)

    def _config_map_changed(self, old: Object | None, new: Object | None) -> None:
        obj = new or old
        if obj is not None and old is not None:
            self.queue.add(namespace_of(obj), revision_of(obj))

    def sync(self, key: str) -> None:
        namespace = self.namespaces.by_key(key)
        if namespace is None or not is_living(namespace) or not self.sees_own_writes(key):
            return
        present = self.config_maps.get(CONFIG_MAP, key)
        if present is None:
            self.wrote(key, self.config_maps, self.client.create("configmaps", self._config_map(key)))
        elif present.get("data") != self._data:
            self.wrote(key, self.config_maps, self.client.update("configmaps", {**present, "data": self._data}))

    def _config_map(self, namespace: str) -> Object:
        annotations = {"kubernetes.io/description": EXPLANATION}
        metadata = {"name": CONFIG_MAP, "namespace": namespace, "annotations": annotations}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": self._data}
