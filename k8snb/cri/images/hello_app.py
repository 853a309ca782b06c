"""hello-app: greets with its version and its host name, on port $PORT or 8080."""

from __future__ import annotations

import os

from k8snb.cri.images import pod, web


def main(arguments: list[str]) -> int:
    port = int(os.environ.get("PORT") or 8080)
    print(f"Server listening on port {port}", flush=True)
    return web.serve(port, answer, program="hello-app", log=log)


def answer(request: web.Request) -> web.Reply:
    version = f"{pod.TAG}.0" if pod.TAG[:1].isdigit() else "1.0.0"
    return web.Reply(200, f"Hello, world!\nVersion: {version}\nHostname: {pod.NAME}\n")


def log(request: web.Request, reply: web.Reply) -> None:
    print(f"Serving request: {request.path}", flush=True)
