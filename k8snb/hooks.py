"""Hooks: admission webhooks written in a cell, served over HTTPS on this machine's loopback address.

Interface: `Hooks(identity)`: `add(answer) -> clientConfig`, `close()`.
The rule not to break: the cluster cannot tell such a webhook from any other: it is reached by the clientConfig in its
configuration, over TLS, and believed because of the caBundle.
In real clusters a webhook is a program in a pod behind a Service, with a certificate from cert-manager.
"""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from k8snb.apimachinery.meta import Object
from k8snb.apiserver import Identity

HOST = "127.0.0.1"
Answer = Callable[[Object], Any]


class Hooks:
    """One HTTPS server for all webhooks of a cluster; each has a path of its own. It starts with the first of them."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._answers: dict[str, Answer] = {}
        self._server: ThreadingHTTPServer | None = None

    def add(self, answer: Answer) -> Object:
        """Serve a webhook; the `clientConfig` that leads to it.

        `answer(request)` is called with the `request` of an AdmissionReview, in a thread of its own. It returns True
        or None to allow, False or a sentence to refuse, a list of JSON patch operations to change the object, or the
        `response` itself as a dict. An exception refuses, with its text.
        """
        port = self._serve()
        path = f"/{len(self._answers) + 1}-{getattr(answer, '__name__', 'webhook').strip('<>').replace('_', '-')}"
        self._answers[path] = answer
        bundle = base64.b64encode(self._identity.root_ca.encode()).decode()
        return {"url": f"https://{HOST}:{port}{path}", "caBundle": bundle}

    def close(self) -> None:
        """Answer no more."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def _serve(self) -> int:
        if self._server is None:
            server = ThreadingHTTPServer((HOST, 0), _handler(self._answers))
            server.daemon_threads = True
            server.socket = self._context().wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            threading.Thread(target=server.serve_forever, name="k8snb-hooks", daemon=True).start()
            self._server = server
        return int(self._server.server_port)

    def _context(self) -> ssl.SSLContext:
        certificate, key = self._identity.issue_serving()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory(prefix="k8snb-") as folder:  # Python's ssl reads keys from files only
            path = Path(folder, "serving.pem")
            path.touch(mode=0o600)
            path.write_text(certificate + key)
            context.load_cert_chain(path)
        return context


def _handler(answers: dict[str, Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            answer = answers.get(self.path.partition("?")[0])
            if answer is None:
                return self.send_error(404)
            data = json.dumps(_review(review, answer)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """A notebook shows what the cell says, and nothing else."""

    return Handler


def _review(review: Object, answer: Answer) -> Object:
    try:
        response = _response(answer(review["request"]))
    except Exception as error:
        response = {"allowed": False, "status": {"message": f"{type(error).__name__}: {error}"}}
    answered = {"uid": review["request"]["uid"], **response}
    return {"apiVersion": review["apiVersion"], "kind": review["kind"], "response": answered}


def _response(said: Any) -> Object:
    """What a cell's function says, as the `response` of an AdmissionReview."""
    if isinstance(said, dict):
        return {"allowed": True, **said}
    if isinstance(said, list):
        patch = base64.b64encode(json.dumps(said).encode()).decode()
        return {"allowed": True, "patchType": "JSONPatch", "patch": patch}
    if isinstance(said, str):
        return {"allowed": False, "status": {"message": said}}
    return {"allowed": said is not False}
