"""A real HTTPS server on the loopback address, as whoever writes a webhook or an aggregated API runs one."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from k8snb.apiserver import Identity
from k8snb.clock import RealClock

Object = dict[str, Any]
Reply = tuple[int, Any]


class Asked:
    """One request that came in."""

    def __init__(self, method: str, path: str, headers: Any, body: Any) -> None:
        self.method, self.path, self.headers, self.body = method, path, dict(headers.items()), body

    @property
    def request(self) -> Object:
        found: Object = self.body["request"]
        return found


class HttpsTestServer:
    """Answers with `answer(asked) -> (status, JSON)`; keeps what it was asked. Its authority is its own."""

    def __init__(self, answer: Callable[[Asked], Reply], *, names: tuple[str, ...] = ()) -> None:
        self.authority = Identity(RealClock())
        self.answer = answer
        self.asked: list[Asked] = []
        self.released = threading.Event()  # for answers that hang until the test is over
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate, key = self.authority.issue_serving(*names)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "serving.pem")
            path.write_text(certificate + key)
            context.load_cert_chain(path)
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = Asked(self.command, self.path, self.headers, json.loads(body) if body else None)
                server.asked.append(asked)
                status, found = server.answer(asked)
                if isinstance(found, Iterator):
                    return self._drip(found)
                data = found if isinstance(found, bytes) else json.dumps(found).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def _drip(self, pieces: Iterator[bytes]) -> None:
                self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                for piece in pieces:
                    self.wfile.write(piece)
                    self.wfile.flush()

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    super().handle()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler

    @property
    def port(self) -> int:
        return int(self._http.server_port)

    @property
    def ca(self) -> str:
        return base64.b64encode(self.authority.root_ca.encode()).decode()

    def config(self, path: str = "/") -> Object:
        """A clientConfig that leads here."""
        return {"url": f"https://127.0.0.1:{self.port}{path}", "caBundle": self.ca}

    def close(self) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(5)


def review(asked: Asked, **response: Any) -> Reply:
    """An AdmissionReview that allows, or says what `response` says."""
    version = asked.body["apiVersion"]
    answer = {"uid": asked.request["uid"], "allowed": True, **response}
    return 200, {"apiVersion": version, "kind": "AdmissionReview", "response": answer}


def patched(asked: Asked, *steps: Object, **response: Any) -> Reply:
    text = base64.b64encode(json.dumps(list(steps)).encode()).decode()
    return review(asked, patchType="JSONPatch", patch=text, **response)


PODS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}


def webhook(server: HttpsTestServer, *rules: Object, name: str = "check.example.com", **more: Any) -> Object:
    return {"name": name, "clientConfig": server.config(), "rules": list(rules) or [PODS], "sideEffects": "None",
            "admissionReviewVersions": ["v1"], **more}  # fmt: skip


def configuration(*webhooks: Object, name: str = "checks") -> Object:
    return {"metadata": {"name": name}, "webhooks": list(webhooks)}
