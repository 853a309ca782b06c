"""whoami: tells who answered and what was asked, on port 80 or `--port=N`."""

from __future__ import annotations

import os

from k8snb.cri.images import options, pod, web


def main(arguments: list[str]) -> int:
    known = {"--port=": "port", "-port=": "port", "--name=": "name", "-name=": "name"}
    parsed = options.parse("whoami", arguments, known)
    port = int(parsed.last("port") or os.environ.get("WHOAMI_PORT_NUMBER") or 80)
    name = parsed.last("name") or os.environ.get("WHOAMI_NAME", "")
    print(f"Starting up on port {port}", flush=True)
    return web.serve(port, lambda request: answer(request, name), program="whoami")


def answer(request: web.Request, name: str) -> web.Reply:
    if request.path == "/health":
        return web.Reply(200)
    lines = [f"Name: {name}"] if name else []
    lines += [f"Hostname: {pod.NAME}", f"IP: {pod.IP}", f"RemoteAddr: {request.client}"]
    lines += [f"{request.method} {request.target} {request.version}"]
    lines += [f"{header}: {value}" for header, value in request.headers]
    return web.Reply(200, "\n".join(lines) + "\n\n")
