"""httpd: the Apache web server on port 80, which serves /usr/local/apache2/htdocs."""

from __future__ import annotations

import sys

from k8snb.cri.images import files, pod, web

HTDOCS = "/usr/local/apache2/htdocs"
VERSION = pod.TAG.split("-")[0] if pod.TAG[:1].isdigit() else "2.4"


def main(arguments: list[str]) -> int:
    if arguments:
        print(f"httpd-foreground: arguments {arguments} are not implemented by k8snb", file=sys.stderr)
        return 1
    print(f"Apache/{VERSION} (k8snb's stand-in) configured -- resuming normal operations", file=sys.stderr, flush=True)
    return web.serve(80, answer, program="httpd", server=f"Apache/{VERSION} (Unix)", log=log)


def answer(request: web.Request) -> web.Reply:
    reply = files.serve(pod.root(HTDOCS), request.path)
    if reply.status == 200 or reply.status == 301:
        return reply
    if request.path in ("/", "/index.html"):
        return web.Reply(200, "<html><body><h1>It works!</h1></body></html>\n", "text/html")
    title = f"{reply.status} {web.REASONS[reply.status]}"
    return web.Reply(reply.status, web.page(title, "The requested URL was not found on this server."), "text/html")


def log(request: web.Request, reply: web.Reply) -> None:
    print(f'{request.client} - - "{request.method} {request.target} {request.version}" {reply.status}', flush=True)
