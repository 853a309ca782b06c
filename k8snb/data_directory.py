"""The data directory: what a cluster needs to go on after the end of the process that ran it.

Interface: `DataDirectory(path)`: `store()`, `pki`, `kubelet` and `volumes`; `noted` and `note(…)`, what the cluster is
like; `close`, `clear`.
The rule not to break: one process at a time has a directory; nothing is removed that was not made here.
On real machines these are /var/lib/etcd, /etc/kubernetes/pki, /var/lib/kubelet and the files of the runtime.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from k8snb.apimachinery.meta import get_path
from k8snb.cri import LOCK, Kept
from k8snb.etcd.file import FileStore
from k8snb.kubelet.node_status import NodeSpec

_LOG, _NOTE = "etcd.log", "cluster.json"
_LEASES = "/registry/coordination.k8s.io/leases/kube-system/"
_FOLDERS = ("pki", "kubelet", "volumes")
PASSABLE = 0o711  # a container's user is seldom the directory's owner


@dataclass(frozen=True, kw_only=True)
class Noted:
    """What a cluster was like. `pod_cidr` and `service_cidr` are the ranges that its pods and Services had."""

    name: str = ""
    runtime: str = ""
    service_cidr: str = ""
    pod_cidr: str = ""
    nodes: Sequence[NodeSpec] = ()
    addons: Sequence[str] = field(default_factory=tuple)


class DataDirectory:
    """Made where it is not there. Raises ValueError, with what to do, where it cannot be had."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).expanduser().absolute()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.path / LOCK)
            self.noted = self._read()
        except OSError as error:
            raise ValueError(f"the data directory {self.path} cannot be used: {error.strerror}") from None
        self._store: FileStore | None = None

    @property
    def pki(self) -> Path:
        return self.path / "pki"

    @property
    def kubelet(self) -> Path:
        return self.path / "kubelet"

    @property
    def volumes(self) -> Path:
        return self.path / "volumes"

    @property
    def kept(self) -> Kept:
        """What a runtime has to know."""
        return Kept(directory=self.path, service_cidr=self.noted.service_cidr, pod_cidr=self.noted.pod_cidr)

    def store(self) -> FileStore:
        """The cluster's etcd. Raises ValueError for a file that is damaged.

        Whoever led the cluster's components is gone, which the lock proves: nobody has to wait for their leases' end.
        """
        self._store = store = FileStore(self.path / _LOG)
        for record in store.range(_LEASES)[0]:
            if get_path(record.value, "spec.holderIdentity"):
                released = {**record.value["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
                store.put(record.key, {**record.value, "metadata": {**record.value["metadata"]}, "spec": released})
        return store

    @property
    def closed(self) -> bool:
        return self._lock.closed

    def take_up(self, name: str, runtime: object) -> Noted:
        """What the cluster was like that is here. Raises ValueError where another name or runtime is wanted."""
        noted = self.noted
        for what, was, wanted in (("is", noted.name, name), ("runs on", noted.runtime, runtime)):
            if was and isinstance(wanted, str) and wanted not in ("auto", was):
                self.close()
                raise ValueError(f"the cluster in {self.path} {what} {was}, not {wanted}: choose another directory")
        return noted

    def note(self, noted: Noted) -> None:
        """Remember what the cluster is like, whole or not at all. Raises ValueError."""
        if noted == self.noted:
            return
        fresh = self.path / (_NOTE + ".new")
        try:
            fresh.write_text(json.dumps(asdict(noted), indent=1) + "\n")
            os.replace(fresh, self.path / _NOTE)
        except OSError as error:
            raise ValueError(f"the data directory {self.path} cannot be written: {error.strerror}") from None
        self.noted = noted

    def close(self) -> None:
        """Let another process have it."""
        if self._store is not None:
            self._store.close()
        self._lock.close()

    def clear(self) -> None:
        """Remove what was made here, and the directory where nothing else is in it."""
        if self._store is not None:
            self._store.close()
        for folder in _FOLDERS:
            shutil.rmtree(self.path / folder, ignore_errors=True)
        for name in (_LOG, _NOTE, LOCK):
            (self.path / name).unlink(missing_ok=True)
        self._lock.close()
        with suppress(OSError):
            self.path.rmdir()

    def _read(self) -> Noted:
        try:
            found: Mapping[str, Any] = json.loads((self.path / _NOTE).read_text())
            return Noted(**{**found, "nodes": tuple(_node(each) for each in found["nodes"]),
                            "addons": tuple(found["addons"])})  # fmt: skip
        except FileNotFoundError:
            return Noted()
        except (ValueError, TypeError, KeyError) as error:
            self._lock.close()
            raise ValueError(f"{self.path / _NOTE} is damaged ({error}): remove {self.path}") from None


def _node(found: Mapping[str, Any]) -> NodeSpec:
    return NodeSpec(**{**found, "taints": tuple(found["taints"])})


def _locked(path: Path) -> IO[str]:
    """A file that this process alone has; the lock goes with it, however it ends."""
    try:
        import fcntl
    except ImportError:
        raise ValueError("a data directory on Windows: not implemented by k8snb: leave it out") from None
    file = path.open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise ValueError(
            f"the data directory {path.parent} is in use by process {holder}: stop that one, or choose another "
            "directory"
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
