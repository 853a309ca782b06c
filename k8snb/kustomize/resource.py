"""kustomize, resources: objects on their way through the layers, with the names that they have had.

Interface: `Resource`, `Identity`; `find(resources, identity)`.
The rule not to break: whoever speaks of an object may use any name that it has had, and each renaming is remembered.
Source: `api/resource/resource.go`, `kyaml/resid` in the kustomize repository.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from k8snb.apimachinery.kinds import BY_GVK
from k8snb.apimachinery.meta import Object, with_metadata


class Identity(NamedTuple):
    """What tells an object from others."""

    group: str
    version: str
    kind: str
    name: str
    namespace: str

    def same(self, other: Identity) -> bool:
        """Whether both mean one object; no namespace means `default`."""
        if self[:4] != other[:4]:
            return False
        if not is_namespaced(self):
            return True
        return (self.namespace or "default") == (other.namespace or "default")

    def __str__(self) -> str:
        kind = ".".join((self.kind, self.version or "[noVer]", self.group or "[noGrp]"))
        return f"{kind}/{self.name or '[noName]'}.{self.namespace or '[noNs]'}"


def identity_of(obj: Object) -> Identity:
    group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
    metadata = obj.get("metadata") or {}
    return Identity(group, version, str(obj.get("kind", "")), str(metadata.get("name", "")),
                    str(metadata.get("namespace", "")))  # fmt: skip


def is_namespaced(identity: Identity) -> bool:
    """Whether objects of this kind live in namespaces; those of unknown kinds do."""
    version = f"{identity.group}/{identity.version}" if identity.group else identity.version
    kind = BY_GVK.get((version, identity.kind))
    return kind.namespaced if kind is not None else True


@dataclass
class Resource:
    """An object, what it was called before, and what a generator wants done with it."""

    object: Object
    before: list[Identity] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    suffixes: list[str] = field(default_factory=list)
    needs_hash: bool = False
    behavior: str = "create"

    @property
    def identity(self) -> Identity:
        return identity_of(self.object)

    @property
    def identities(self) -> list[Identity]:
        """Those before, the oldest first, and the present one."""
        return [*self.before, self.identity]

    @property
    def original(self) -> Identity:
        return self.identities[0]

    def rename(self, **metadata: Any) -> None:
        """Set the name or the namespace, and remember the old ones."""
        self.before.append(self.identity)
        self.object = with_metadata(self.object, **metadata)


def find(resources: Iterable[Resource], wanted: Identity) -> list[Resource]:
    """Those that are, or once were, called so."""
    return [each for each in resources if any(wanted.same(known) for known in each.identities)]
