"""The built-in provisioner: a directory of the machine for each claim, as minikube's storage-provisioner makes them.

Interface: `HostPathProvisioner(directory)`; `ensure_standard(client)` makes StorageClass `standard`, the default one,
which names it.
The rule not to break: nothing outside of `directory` is ever removed.
Source: `cmd/storage-provisioner` and `deploy/addons/storageclass` in the minikube repository. A directory has no size:
what a claim asks for is noted and never enforced, there as here.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path

from k8snb.apimachinery.meta import Object, get_path, name_of, namespace_of
from k8snb.client import Client
from k8snb.controllers.provisioner import Provisioner, Wish

NAME = "k8snb.io/hostpath"
PASSABLE, FOR_ALL = 0o711, 0o777  # a container's user is seldom the directory's owner

STANDARD: Object = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": NAME,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "Immediate",
}


def ensure_standard(client: Client) -> None:
    """Make the default class where it is missing; one that is there stays as it is."""
    if client.find("storageclasses", STANDARD["metadata"]["name"]) is None:
        client.create("storageclasses", STANDARD)


class HostPathProvisioner(Provisioner):
    """Directories below `directory`. Without one they lie below a temporary directory, which is made for the first
    volume and ends with `close`, or with this process.
    """

    name = NAME

    def __init__(self, directory: str = "") -> None:
        self._directory = directory.rstrip("/")
        self._temporary: weakref.finalize[[str, bool], HostPathProvisioner] | None = None

    def provision(self, wish: Wish) -> Object:
        claim = wish.claim
        if claim["spec"].get("volumeMode") == "Block":
            raise ValueError("volumeMode Block: not implemented by k8snb: a directory is no block device")
        path = Path(self._base()) / f"{wish.volume_name}_{namespace_of(claim)}_{name_of(claim)}"
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(FOR_ALL)
        return {"hostPath": {"path": str(path), "type": "DirectoryOrCreate"}}

    def delete(self, volume: Object) -> None:
        path: str = get_path(volume, "spec.hostPath.path", "")
        if not self._directory or os.path.dirname(path) != self._directory:
            raise ValueError(f"{path} is no directory of {NAME}: it stays; remove it and the PersistentVolume by hand")
        if os.path.isdir(path):
            shutil.rmtree(path)

    def close(self) -> None:
        """Remove the temporary directory with all volumes in it."""
        if self._temporary is not None:
            self._temporary()
            self._temporary, self._directory = None, ""

    def _base(self) -> str:
        if not self._directory:
            self._directory = tempfile.mkdtemp(prefix="k8snb-volumes-")
            os.chmod(self._directory, PASSABLE)
            self._temporary = weakref.finalize(self, shutil.rmtree, self._directory, True)
        return self._directory
