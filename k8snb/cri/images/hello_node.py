"""hello-node: the small Node.js server of the first tutorials, on port 8080."""

from __future__ import annotations

from k8snb.cri.images import web


def main(arguments: list[str]) -> int:
    return web.serve(8080, lambda request: web.Reply(200, "Hello World!"), program="hello-node", log=log)


def log(request: web.Request, reply: web.Reply) -> None:
    print(f"Received request for URL: {request.target}", flush=True)
