"""httpd: busybox's web server for files: `httpd -f -p 8080 -h /www`."""

from __future__ import annotations

import os

from k8snb.cri.images import files, options, web

OPTIONS = {"-f": "foreground", "-v": "verbose", "-vv": "verbose", "-p=": "port", "-h=": "home"}


def main(arguments: list[str]) -> int:
    parsed = options.parse("httpd", arguments, OPTIONS)
    if not parsed.has("foreground"):
        options.refuse("httpd", "going into the background is not implemented by k8snb; use httpd -f")
    home = os.path.abspath(parsed.last("home", "."))
    log = _log if parsed.has("verbose") else web.no_log
    port = int(parsed.last("port", "80").rpartition(":")[2])
    return web.serve(port, lambda request: _answer(home, request), program="httpd", log=log)


def _answer(home: str, request: web.Request) -> web.Reply:
    reply = files.serve(home, request.path)
    return reply if reply.status < 400 else reply._replace(body=f"{reply.status} {web.REASONS[reply.status]}\n")


def _log(request: web.Request, reply: web.Reply) -> None:
    print(f"{request.client}: response:{reply.status} {request.target}", flush=True)
