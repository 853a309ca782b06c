"""client-go's rest config: where a server is, how to trust it, and who to be there.

Interface: `resolve(config, overrides) -> Endpoint`; `Endpoint.tls()`, `Endpoint.headers()`, `Endpoint.proxy`.
The rule not to break: what an entry asks for and this cannot do is refused by name before anything is sent.
Source: `client-go/tools/clientcmd/client_config.go`, `client-go/rest/config.go`.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import os
import ssl
import tempfile
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from k8snb.apimachinery.meta import Object
from k8snb.client.client import User
from k8snb.client.execplugin import ExecPlugin
from k8snb.client.kubeconfig import CLUSTERS, CONTEXTS, USERS, Config, KubeconfigError, read_file

DEFAULT_SERVER = "http://localhost:8080"
NOT_HERE: Mapping[str, Mapping[str, str]] = {
    CLUSTERS: {},
    USERS: {"auth-provider": "auth providers, which kubectl has no more either"},
}
PROXIES = ("http", "https")  # what a proxy may speak


@dataclass(frozen=True)
class Overrides:
    """What a command line says besides the files: names of entries, and fields of those that are used."""

    context: str = ""
    cluster: str = ""
    user: str = ""
    fields: Mapping[str, Object] = field(default_factory=dict)  # by section
    timeout: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A server and a way to be somebody there. `identity` is who the entry asks to act as."""

    server: str
    cluster: Object = field(default_factory=dict)
    user: Object = field(default_factory=dict)
    namespace: str = "default"
    context: str = ""
    timeout: float = 0.0
    proxy: str = ""
    plugin: ExecPlugin | None = field(default=None, repr=False, compare=False)

    @property
    def host(self) -> str:
        """Host and port, as kubectl's sentences name them."""
        return urlsplit(self.server).netloc

    @property
    def identity(self) -> User | None:
        name = self.user.get("as", "")
        groups, extra = tuple(self.user.get("as-groups") or ()), self.user.get("as-user-extra") or {}
        if not name:
            if groups or extra or self.user.get("as-uid"):
                raise KubeconfigError("requesting uid, groups or user-extra for a user without impersonating a user")
            return None
        return User(name, groups, self.user.get("as-uid", ""), tuple((key, tuple(extra[key])) for key in extra))

    def headers(self) -> dict[str, str]:
        """Credentials that travel with each request. Raises KubeconfigError."""
        token = self.user.get("token", "")
        if not token and self.user.get("tokenFile"):
            token = read_file(Path(self.user["tokenFile"]), "token").decode().strip()
        if not token and self.plugin is not None:
            token = self.plugin.credential().token
        if token:
            return {"Authorization": f"Bearer {token}"}
        if self.user.get("username"):
            pair = f"{self.user['username']}:{self.user.get('password', '')}"
            return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        return {}

    def tls(self) -> ssl.SSLContext | None:
        """How to trust the server and be known to it; None for plain HTTP. Raises KubeconfigError."""
        if not self.server.startswith("https://"):
            return None
        context = ssl.create_default_context(cadata=self._authority())
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # clusters' own authorities leave out what it asks for
        if self.cluster.get("insecure-skip-tls-verify"):
            if self._authority():
                raise KubeconfigError("specifying a root certificates file with the insecure flag is not allowed")
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        certificate, key = self.certificate()
        if certificate and not key:
            words = "to use the clientCert authentication method."
            raise KubeconfigError(f"invalid configuration: client-key-data or client-key must be specified {words}")
        if certificate:
            _load(context, certificate + b"\n" + key)
        return context

    def certificate(self) -> tuple[bytes, bytes]:
        """The client's certificate and its key, of the entry or of its plug-in. Raises KubeconfigError."""
        certificate, key = _data(self.user, "client-certificate"), _data(self.user, "client-key")
        if certificate or self.plugin is None:
            return certificate, key
        credential = self.plugin.credential()
        return credential.certificate, credential.key

    def _authority(self) -> str | None:
        data = _data(self.cluster, "certificate-authority")
        if not data:
            return None
        if b"-----BEGIN CERTIFICATE-----" not in data:
            raise KubeconfigError("unable to load root certificates: unable to parse bytes as PEM block")
        return data.decode(errors="replace")


def _data(entry: Object, name: str) -> bytes:
    """A field's contents, given in the entry or in a file. Raises KubeconfigError."""
    encoded = entry.get(f"{name}-data")
    if encoded:
        try:
            return base64.b64decode(encoded, validate=True)
        except binascii.Error:
            raise KubeconfigError(f"invalid configuration: {name}-data: illegal base64 data") from None
    return read_file(Path(entry[name]), name) if entry.get(name) else b""


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="k8snb-") as folder:  # Python's ssl reads keys from files only
        path = Path(folder, "client.pem")
        path.touch(mode=0o600)
        path.write_bytes(pem)
        try:
            context.load_cert_chain(path)
        except ssl.SSLError as error:
            raise KubeconfigError(f"tls: the client certificate and its key cannot be used: {error.reason}") from None


def resolve(config: Config, overrides: Overrides | None = None) -> Endpoint:
    """The server and the credentials that are meant. Raises KubeconfigError, also for what cannot be done here."""
    overrides = overrides or Overrides()
    context, chosen = _context(config, overrides)
    cluster = _entry(config, CLUSTERS, overrides.cluster or chosen.get("cluster", ""), overrides)
    name = overrides.user or chosen.get("user", "")
    user = _entry(config, USERS, name, overrides)
    server = _server(cluster, overrides.cluster or chosen.get("cluster", ""))
    _refuse(CLUSTERS, cluster)
    _refuse(USERS, user)
    namespace = overrides.fields.get(CONTEXTS, {}).get("namespace") or chosen.get("namespace") or "default"
    return Endpoint(server=server, cluster=cluster, user=user, namespace=namespace, context=context,
                    timeout=overrides.timeout, proxy=_proxy(server, cluster),
                    plugin=_plugin(config, user, {**cluster, "server": server}, name))  # fmt: skip


def _context(config: Config, overrides: Overrides) -> tuple[str, Object]:
    name = overrides.context or config.current_context
    if name and name not in config.contexts:
        raise KubeconfigError(f"context was not found for specified context: {name}")
    return name, config.contexts.get(name, {})


def _entry(config: Config, section: str, name: str, overrides: Overrides) -> Object:
    """An entry with its paths made absolute, and what the command line says instead."""
    given = overrides.fields.get(section, {})
    if section == USERS and overrides.user and name not in config.users:
        raise KubeconfigError(f'auth info "{name}" does not exist')
    entry = config.section(section).get(name, {})
    found = {key: str(config.path(section, name, value)) if key in _PATHS else value for key, value in entry.items()}
    for key in given:
        for other in _INSTEAD.get(key, ()):
            found.pop(other, None)
    return {**found, **{key: str(Path(value).absolute()) if key in _PATHS else value for key, value in given.items()}}


_PATHS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
_INSTEAD: Mapping[str, tuple[str, ...]] = {
    "insecure-skip-tls-verify": ("certificate-authority", "certificate-authority-data"),
    "certificate-authority": ("certificate-authority-data", "insecure-skip-tls-verify"),
    "client-certificate": ("client-certificate-data",),
    "client-key": ("client-key-data",),
    "token": ("tokenFile", "exec", "auth-provider", "username", "password"),
    "username": ("token", "tokenFile", "exec", "auth-provider"),
}


def _server(cluster: Object, name: str) -> str:
    """The server's URL; kubectl's own default where nothing says another one."""
    server: str = cluster.get("server") or ""
    if not server:
        if name:
            raise KubeconfigError(f'no server found for cluster "{name}"')
        return DEFAULT_SERVER
    if "://" not in server:
        secure = any(cluster.get(key) for key in ("certificate-authority", "certificate-authority-data"))
        server = ("https://" if secure or cluster.get("insecure-skip-tls-verify") else "http://") + server
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise KubeconfigError(f'invalid configuration: invalid server URL "{server}": https://HOST:PORT is wanted')
    return server.rstrip("/")


def _refuse(section: str, entry: Object) -> None:
    for name, what in NOT_HERE[section].items():
        if entry.get(name):
            raise KubeconfigError(f"{name}: not implemented by k8snb: {what}")


def _proxy(server: str, cluster: Object) -> str:
    """The proxy on the way to the server, as its entry or the environment says. Raises KubeconfigError.

    Source: `ProxyURL` in `client-go/rest/config.go`, `ProxyFromEnvironment` in Go's net/http.
    """
    proxy, where = str(cluster.get("proxy-url") or ""), "proxy-url"
    if not proxy:
        parts = urlsplit(server)
        where = f"{parts.scheme}_proxy"
        proxy = os.environ.get(where.upper()) or os.environ.get(where) or ""
        host = parts.hostname or ""
        around = _is_loopback(host) or _in_a_range(host) or urllib.request.proxy_bypass(parts.netloc)
        proxy = "" if around else proxy
        proxy = f"http://{proxy}" if proxy and "://" not in proxy else proxy
    if proxy and urlsplit(proxy).scheme not in PROXIES:
        raise KubeconfigError(f"{where}: {proxy}: not implemented by k8snb: proxies speak {' or '.join(PROXIES)} here")
    if proxy and not urlsplit(proxy).hostname:
        raise KubeconfigError(f'invalid configuration: invalid {where} "{proxy}": http://HOST:PORT is wanted')
    return proxy


def _plugin(config: Config, user: Object, cluster: Object, name: str) -> ExecPlugin | None:
    """The program that says who one is. A path with a slash is so to the file that names it."""
    spec = user.get("exec")
    if not spec:
        return None
    command = str(spec.get("command") or "")
    if "/" in command and not command.startswith("/"):
        spec = {**spec, "command": str(config.path(USERS, name, command))}
    authority = _data(cluster, "certificate-authority")
    told = {"certificate-authority-data": base64.b64encode(authority).decode()} if authority else {}
    return ExecPlugin(spec, {**cluster, **told})


def _in_a_range(host: str) -> bool:
    """Whether a range of addresses in $NO_PROXY (`10.0.0.0/8`) has the host; Python looks at names alone."""
    ranges = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(",")
    for text in filter(lambda each: "/" in each, ranges):
        try:
            if ipaddress.ip_address(host) in ipaddress.ip_network(text.strip(), strict=False):
                return True
        except ValueError:
            continue
    return False


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
