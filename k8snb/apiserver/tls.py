"""kube-apiserver's TLS towards pods: `https:NAME:PORT` in a proxy path.

Interface: `over_tls(connection)`, a connection whose bytes are TLS for the pod and plain for whoever holds it.
The rule not to break: like upstream's proxy it believes any certificate: the way through the kubelet is the trust. Who
has to know better, as for webhooks, brings a context and the name that the certificate must carry.
Source: `proxyTLSClientConfig` in pkg/controlplane/apiserver (InsecureSkipVerify).
"""

from __future__ import annotations

import ssl
from threading import RLock

from k8snb.apiserver.streams import Connection, Listener

CHUNK = 1 << 16
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")


def over_tls(connection: Connection, context: ssl.SSLContext | None = None, host: str | None = None) -> Connection:
    return _TlsConnection(connection, context or ssl._create_unverified_context(), host)


class _TlsConnection:
    """A `Connection` and the `Listener` of the one below it."""

    def __init__(self, below: Connection, context: ssl.SSLContext, host: str | None) -> None:
        self._below = below
        self._guard = RLock()
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=host)
        self._early = bytearray()  # what is to be said after the handshake
        self._ready = False
        self._message = ""
        self._listener: Listener | None = None

    @property
    def backlog(self) -> int:
        return self._below.backlog + len(self._early)

    def begin(self, listener: Listener) -> None:
        self._listener = listener
        self._below.begin(self)
        self._go_on()

    def write(self, data: bytes) -> None:
        with self._guard:
            self._early += data
        self._go_on()

    def write_eof(self) -> None:
        """TLS ends both ways at once: the pod is not told before it has answered."""

    def pause(self) -> None:
        self._below.pause()

    def resume(self) -> None:
        self._below.resume()

    def close(self) -> None:
        self._below.close()

    # the connection below

    def output(self, stream: str, data: bytes) -> None:
        with self._guard:
            self._in.write(data)
        self._go_on()

    def drained(self) -> None:
        if self._listener is not None:
            self._listener.drained()

    def ended(self, code: int, message: str) -> None:
        if self._listener is not None:
            self._listener.ended(code, self._message or message)

    def _go_on(self) -> None:
        """Take the handshake, what waits to be said and what has come as far as they go."""
        if self._listener is None:
            return
        plain = []
        with self._guard:
            try:
                self._shake()
                while self._ready and (data := self._tls.read(CHUNK)):
                    plain.append(data)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLZeroReturnError:
                self._below.close()
            except ssl.SSLError as error:
                self._message = _words(error)
                self._below.close()
            if said := self._out.read():
                self._below.write(said)
        for data in plain:
            self._listener.output("stdout", data)

    def _shake(self) -> None:
        if not self._ready:
            self._tls.do_handshake()
            self._ready = True
        if self._early:
            self._tls.write(bytes(self._early))
            self._early.clear()


def _words(error: ssl.SSLError) -> str:
    """What went wrong, in the words of Go's HTTP client where it has some."""
    if error.reason in _NO_TLS:
        return "http: server gave HTTP response to HTTPS client"
    return f"tls: {getattr(error, 'verify_message', '') or error.reason or error}"
