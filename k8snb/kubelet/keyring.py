"""kubelet's keyring: which of a pod's image pull secrets open the registry that an image comes from.

Interface: `credentials(image, secrets) -> [Credential]`, those that may fit, the closest first; pure.
The rule not to break: a password goes to no other registry than the one that it is written down for.
Source: `pkg/credentialprovider/{keyring,config}.go`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from k8snb.apimachinery.meta import Object
from k8snb.cri import Credential

JSON_KEY, OLD_KEY = ".dockerconfigjson", ".dockercfg"
HUB = "docker.io"
HUB_NAMES = ("index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")


def credentials(image: str, secrets: Iterable[Object]) -> list[Credential]:
    """The more of the image's path an entry names, the sooner it is tried."""
    place = _place(image)
    entries = [entry for secret in secrets for entry in _entries(secret)]
    fitting = [(path, credential) for path, credential in entries if _fits(path, place)]
    return [credential for _, credential in sorted(fitting, key=lambda entry: -len(entry[0]))]


def _place(image: str) -> str:
    """`nginx` → `docker.io/library/nginx`, `localhost:5000/a/b:1` → `localhost:5000/a/b`."""
    name = image.partition("@")[0]
    if ":" in name.rpartition("/")[2]:
        name = name.rpartition(":")[0]
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return f"{_host(first)}/{rest}"
    return f"{HUB}/{name}" if slash else f"{HUB}/library/{name}"


def _host(name: str) -> str:
    return HUB if name in HUB_NAMES else name


def _entries(secret: Object) -> Iterator[tuple[str, Credential]]:
    """What a secret holds, by registry and path. A secret that cannot be read holds nothing."""
    data = secret.get("data") or {}
    try:
        if JSON_KEY in data:
            listed = json.loads(base64.b64decode(data[JSON_KEY])).get("auths") or {}
        else:
            listed = json.loads(base64.b64decode(data.get(OLD_KEY, ""))) or {}
    except (ValueError, AttributeError):
        return
    for address, entry in listed.items():
        if (credential := _credential(entry)) is not None:
            yield _path(address), credential


def _credential(entry: Object) -> Credential | None:
    """`auth` is the user and the password in one, and goes before both."""
    try:
        user, colon, password = base64.b64decode(entry.get("auth") or "").decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, AttributeError):
        return None
    if colon:
        return Credential(user, password)
    if entry.get("username"):
        return Credential(entry["username"], entry.get("password") or "")
    return None


def _path(address: str) -> str:
    """`https://index.docker.io/v1/` → `docker.io`."""
    host, _, rest = address.partition("://")[2 if "://" in address else 0].strip("/").partition("/")
    inner = "" if rest in ("v1", "v2") else rest
    return "/".join(filter(None, (_host(host), inner)))


def _fits(path: str, place: str) -> bool:
    """Each part of a host may hold asterisks; of the path, a whole beginning has to be the same."""
    host, _, inner = path.partition("/")
    its_host, _, its_inner = place.partition("/")
    parts, its_parts = host.split("."), its_host.split(".")
    same_host = len(parts) == len(its_parts) and all(map(fnmatchcase, its_parts, parts))
    return same_host and (not inner or its_inner == inner or its_inner.startswith(inner + "/"))
