"""service-account-controller: every namespace has a service account `default`, so that pods have somebody to be.

Interface: `ServiceAccountController`. The rule not to break: it makes what is missing and changes nothing that is
there.
Source: `pkg/controller/serviceaccount/serviceaccounts_controller.go` in the kubernetes repository.
"""

from __future__ import annotations

from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of, revision_of
from k8snb.client.context import Context
from k8snb.client.controller import Controller
from k8snb.client.informer import Informers

DEFAULT = "default"


class ServiceAccountController(Controller):
    name = "service-account-controller"

    def __init__(self, context: Context, informers: Informers) -> None:
        super().__init__(context, informers)
        self.namespaces = self.watch("namespaces")
        self.accounts = informers.get("serviceaccounts")
        self.accounts.on_change(self._account_changed)

    def _account_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and new is None and name_of(old) == DEFAULT:
            self.queue.add(namespace_of(old), revision_of(old))

    def sync(self, key: str) -> None:
        namespace = self.namespaces.by_key(key)
        if namespace is None or not is_living(namespace) or not self.sees_own_writes(key):
            return
        if self.accounts.get(DEFAULT, key) is None:
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": DEFAULT, "namespace": key}}
            self.wrote(key, self.accounts, self.client.create("serviceaccounts", account))


def is_living(namespace: Object) -> bool:
    """Whether a namespace still takes new objects."""
    return bool(get_path(namespace, "status.phase") != "Terminating")
