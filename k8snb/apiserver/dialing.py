"""kube-apiserver's way to webhooks and aggregated servers: HTTPS to a URL, or to a Service of the cluster.

Interface: `caller(server, client_config, …)` makes what a `Question` asks: JSON out, JSON back; `CallError`.
The rule not to break: what is looked up in the store is looked up at once; the call itself touches no part of the
server, so that it may run in any thread.
Source: `apiserver/pkg/util/webhook/client.go`, `apiserver/pkg/util/proxy/proxy.go`.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.meta import Object
from k8snb.apiserver import service_resolver
from k8snb.apiserver.proxy_bridge import Proxied, ProxyExchange
from k8snb.apiserver.service_resolver import Endpoint
from k8snb.apiserver.socket_connection import SocketConnection
from k8snb.apiserver.streams import Connection
from k8snb.apiserver.tls import over_tls
from k8snb.clock import Clock

MAX_ANSWER = 8 * 1024 * 1024  # bytes
USER_AGENT = "kube-apiserver-admission"
Head = Sequence[tuple[str, str]]


class Server(service_resolver.Server, Protocol):
    clock: Clock


class CallError(Exception):
    """Nobody answered, or not with what was asked for; the words are those of upstream's HTTP client."""


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


Send = Callable[[str, str, Head, bytes, float], Reply]  # method, path, headers, body, seconds


def caller(server: Server, config: Object, *, seconds: float) -> Callable[[Object], Object]:
    """A function that posts an object to a clientConfig's webhook and gives the object that comes back."""
    send, path, shown = sender(server, config)
    words = f'Post "{shown}?timeout={seconds:g}s"'

    def post(body: Object) -> Object:
        data = json.dumps(body).encode()
        headers = [("Content-Type", "application/json"), ("Accept", "application/json"), ("User-Agent", USER_AGENT)]
        try:
            reply = send("POST", f"{path}?timeout={seconds:g}s", headers, data, seconds)
        except CallError as error:
            raise CallError(f"{words}: {error}") from None
        return _decoded(reply)

    return post


def _decoded(reply: Reply) -> Object:
    if not 200 <= reply.status < 300:
        raise CallError(_refused(reply))
    try:
        found = json.loads(reply.body)
    except ValueError as error:
        raise CallError(f"couldn't get version/kind; json parse error: {error}") from None
    if not isinstance(found, dict):
        raise CallError("couldn't get version/kind; json parse error: the answer is no object")
    return found


def _refused(reply: Reply) -> str:
    words = {404: "the server could not find the requested resource",
             503: "the server is currently unable to handle the request"}  # fmt: skip
    text = words.get(reply.status) or reply.body.decode(errors="replace").strip()[:200]
    known = f"an error on the server ({json.dumps(text)}) has prevented the request from succeeding"
    return text if reply.status in words or not text else known


def sender(server: Server, config: Object) -> tuple[Send, str, str]:
    """How to reach a clientConfig: a function that sends, the path, and the URL to name in messages."""
    service = config.get("service")
    if service is None:
        url = config["url"]
        parts = urlsplit(url)
        trust = Trust(config.get("caBundle"), parts.hostname or "")
        return to_address(parts.hostname or "", parts.port or 443, trust), parts.path or "/", url
    name, namespace, port = service["name"], service["namespace"], service.get("port") or 443
    host = f"{name}.{namespace}.svc"
    path = service.get("path") or "/"
    path = path if path.startswith("/") else f"/{path}"
    send = to_service(server, (namespace, name, port), Trust(config.get("caBundle"), host))
    return send, path, f"https://{host}:{port}{path}"


class Trust(NamedTuple):
    """Whom to believe: `bundle` is the caBundle (base64 of PEM, None = the authorities that the machine knows), and
    `host` the name that the certificate has to carry."""

    bundle: str | None
    host: str
    insecure: bool = False
    client: tuple[str, str] | None = None  # certificate and key by which the apiserver shows who it is, as PEM

    def context(self) -> ssl.SSLContext:
        """Raises CallError for a bundle that is none."""
        try:
            text = base64.b64decode(self.bundle).decode() if self.bundle else None
            context = ssl.create_default_context(cadata=text)
        except (ValueError, ssl.SSLError):
            raise CallError("unable to load root certificates: unable to parse bytes as PEM block") from None
        if self.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if self.client is not None:
            _show(context, *self.client)
        return context


def _show(context: ssl.SSLContext, certificate: str, key: str) -> None:
    with tempfile.TemporaryDirectory(prefix="k8snb-") as folder:  # Python's ssl reads keys from files only
        path = Path(folder, "client.pem")
        path.touch(mode=0o600)
        path.write_text(certificate + key)
        context.load_cert_chain(path)


# to an address of the machine's network


class _Connection(http.client.HTTPSConnection):
    """The name that the certificate has to carry is not always the address."""

    def __init__(self, spot: tuple[str, int], trust: Trust, seconds: float) -> None:
        super().__init__(*spot, timeout=seconds)
        self._spot, self._trust = spot, trust
        self.late = False

    def give_up(self) -> None:
        """The time is over: a socket's own timeout begins anew with every byte that drips in."""
        self.late = True
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)

    def say(self, method: str, path: str, headers: Head, body: bytes) -> None:
        self.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in [*headers, *_sized(method, body)]:
            self.putheader(name, value)
        self.endheaders(body or None)

    def connect(self) -> None:
        plain = socket.create_connection(self._spot, self.timeout)
        try:
            self.sock = self._trust.context().wrap_socket(plain, server_hostname=self._trust.host)
        except BaseException:
            plain.close()
            raise


def to_address(host: str, port: int, trust: Trust) -> Send:
    def send(method: str, path: str, headers: Head, body: bytes, seconds: float) -> Reply:
        connection = _Connection((host, port), trust, seconds)
        watchdog = threading.Timer(seconds, connection.give_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            connection.say(method, path, [("Host", _authority(trust.host, port)), *headers], body)
            answer = connection.getresponse()
            data = answer.read(MAX_ANSWER)
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, data)
        except (OSError, http.client.HTTPException) as error:
            late = TimeoutError() if connection.late else error
            raise CallError(_words(late, f"{host}:{port}", trust.host)) from None
        finally:
            watchdog.cancel()
            connection.close()

    return send


def _sized(method: str, body: bytes) -> Head:
    return [("Content-Length", str(len(body)))] if body or method in ("POST", "PUT", "PATCH") else []


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _words(error: Exception, spot: str, host: str) -> str:
    """What Go's HTTP client says of the same mishap."""
    if isinstance(error, TimeoutError):
        return "context deadline exceeded"
    if isinstance(error, ssl.SSLCertVerificationError):
        return tls_words(error.verify_message or str(error), host)
    if isinstance(error, ConnectionRefusedError):
        return f"dial tcp {spot}: connect: connection refused"
    if isinstance(error, socket.gaierror):
        return f"dial tcp: lookup {host}: no such host"
    if isinstance(error, http.client.RemoteDisconnected | ssl.SSLEOFError | ConnectionResetError):
        return "EOF"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def tls_words(reason: str, host: str) -> str:
    """A certificate that is not believed, in Go's words."""
    lower = reason.lower()
    if "mismatch" in lower or "doesn't match" in lower:
        why = f"certificate is not valid for any names, but wanted to match {host}"
        return f"tls: failed to verify certificate: x509: {why}"
    if "expired" in lower:
        return "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"
    if "self-signed" in lower or "self signed" in lower or "unable to get" in lower:
        return "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    return f"tls: {reason}"


# to a Service


def to_service(server: Server, service: tuple[str, str, int], trust: Trust) -> Send:
    """To one of its endpoints. Which one is decided now, while the store may be read."""
    try:
        endpoint = service_resolver.resolve(server, *service)
    except ApiError as error:
        return _failing(error.message)
    if endpoint.connect is None:
        return to_address(endpoint.address, endpoint.port, trust)
    return _through_kubelet(endpoint, trust, service[2], waits=not server.clock.virtual)


def opener(
    server: Server, service: tuple[str, str, int], trust: Trust
) -> tuple[Callable[[], Connection], str]:  # fmt: skip
    """What opens a connection to one of a Service's endpoints, for a stream, and where that is. Raises ApiError."""
    endpoint = service_resolver.resolve(server, *service)

    def opened() -> Connection:
        spot = (endpoint.address, endpoint.port)
        plain = SocketConnection(spot) if endpoint.connect is None else endpoint.connect()
        return over_tls(plain, trust.context(), trust.host)

    return opened, f"{trust.host}:{service[2]}"


def _through_kubelet(endpoint: Endpoint, trust: Trust, port: int, *, waits: bool) -> Send:
    """On a virtual clock nothing happens while somebody waits: what has no answer at once has none."""

    def send(method: str, path: str, headers: Head, body: bytes, seconds: float) -> Reply:
        context = trust.context()

        def opened() -> Connection:
            assert endpoint.connect is not None
            return over_tls(endpoint.connect(), context, trust.host)

        sent = [("Host", f"{trust.host}:{port}"), *headers, *_sized(method, body)]
        wish = Proxied(open=opened, authority=f"{endpoint.address}:{endpoint.port}", path=path)
        exchange = ProxyExchange(wish, method=method, headers=sent, body=body)
        exchange.begin()
        try:
            answer = exchange.result(seconds if waits else 0.0)
        except ApiError as error:
            late = error.code == 504
            raise CallError("context deadline exceeded" if late else _plain(error.message, trust.host)) from None
        return Reply(answer.status, answer.headers, answer.body)

    return send


def _failing(words: str) -> Send:
    def send(method: str, path: str, headers: Head, body: bytes, seconds: float) -> Reply:
        raise CallError(words)

    return send


def _plain(message: str, host: str) -> str:
    text = message.removeprefix("error trying to reach service: ")
    return tls_words(text.removeprefix("tls: "), host) if text.startswith("tls: ") else text
