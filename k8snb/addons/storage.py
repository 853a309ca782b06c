"""default-storageclass and storage-provisioner: the add-ons that give a claim its volume where nobody made one by hand.

Interface: `DefaultStorageClass` and `StorageProvisioner`, each an `Addon`.
The rule not to break: what was provisioned outlives both of them, as long as the cluster does.
Source: `deploy/addons/storageclass` and `deploy/addons/storage-provisioner` in the minikube repository.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from k8snb.addons import MANAGER
from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import name_of
from k8snb.controllers.hostpath import STANDARD, HostPathProvisioner, ensure_standard

if TYPE_CHECKING:
    from k8snb.addons import Ground


class DefaultStorageClass:
    """StorageClass `standard`."""

    def __init__(self) -> None:
        self._cluster: Ground | None = None

    def enable(self, cluster: Ground) -> None:
        self._cluster = cluster
        ensure_standard(cluster.client_for(MANAGER))

    def stop(self) -> None:
        """A StorageClass does nothing by itself."""

    def disable(self) -> None:
        assert self._cluster is not None
        with suppress(ApiError):
            self._cluster.client_for(MANAGER).delete("storageclasses", name_of(STANDARD))


class StorageProvisioner:
    """Directories of this machine as volumes."""

    def __init__(self) -> None:
        self._cluster: Ground | None = None
        self._provisioner = HostPathProvisioner()

    def enable(self, cluster: Ground) -> None:
        if self._cluster is None and cluster.volumes:
            self._provisioner = HostPathProvisioner(cluster.volumes)
        self._cluster = cluster
        cluster.provisioners.add(self._provisioner)

    def stop(self) -> None:
        """It works in the cluster's own loop, and ends with it."""

    def disable(self) -> None:
        assert self._cluster is not None
        with self._cluster.pump.lock:
            self._cluster.provisioners.rest(self._provisioner.name)
