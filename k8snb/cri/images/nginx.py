"""nginx: a web server on port 80 that serves /usr/share/nginx/html, or a page of welcome.

Configuration files, proxying and TLS: not implemented by k8snb.
"""

from __future__ import annotations

import os
import sys
import time

from k8snb.cri.images import files, pod, web

HTML = "/usr/share/nginx/html"
VERSION = pod.TAG.split("-")[0] if pod.TAG[:1].isdigit() else "1.27.0"
SERVER = f"nginx/{VERSION}"
SIGNALS = {"stop": 15, "quit": 3}


def main(arguments: list[str]) -> int:
    match arguments:
        case [] | ["-g", _]:
            return run()
        case ["-v" | "-V"]:
            return say(f"nginx version: {SERVER}")
        case ["-t"]:
            return say("nginx: configuration file /etc/nginx/nginx.conf test is successful")
        case ["-s", word] if word in SIGNALS:
            os.kill(int(os.environ.get("K8SNB_PID") or os.getsid(0)), SIGNALS[word])
            return 0
    say(f"nginx: invalid or not implemented by k8snb: {' '.join(arguments)!r}")
    return 1


def run() -> int:
    notice("[notice] 1#1: using a thread per connection")
    notice(f"[notice] 1#1: {SERVER}, a stand-in written in Python {sys.version.split()[0]} for k8snb")
    if os.path.exists(pod.root("/etc/nginx")):
        notice("[warn] 1#1: /etc/nginx is mounted, but configuration files are not implemented by k8snb")
    return web.serve(80, answer, program="nginx", server=SERVER, log=log)


def answer(request: web.Request) -> web.Reply:
    if request.method not in ("GET", "HEAD"):
        return refuse(405)
    folder = pod.root(HTML)
    # A folder that was mounted replaces the page of welcome, even if it is empty.
    mounted = os.path.islink(folder) or os.path.islink(os.path.dirname(folder))
    if not mounted and request.path in ("/", "/index.html") and not os.path.exists(folder + "/index.html"):
        return web.Reply(200, welcome(), "text/html")
    reply = files.serve(folder, request.path)
    if reply.status >= 400:
        error(request, reply.status)
        return refuse(reply.status)
    return reply


def welcome() -> str:
    name = web.escape(pod.NAME)
    return web.page(
        "Welcome to nginx!",
        f"This is nginx <b>{web.escape(VERSION)}</b> in the pod <b>{name}</b> at {pod.IP}.",
        "If you read this, the pod runs and can be reached. Put pages of your own into <code>" + HTML + "</code>.",
        "<small>A stand-in by k8snb, for places without a container engine.</small>",
    )


def refuse(status: int) -> web.Reply:
    title = f"{status} {web.REASONS[status]}"
    text = f"<html>\n<head><title>{title}</title></head>\n<body><h1>{title}</h1><hr>{SERVER}</body>\n</html>\n"
    return web.Reply(status, text, "text/html")


def log(request: web.Request, reply: web.Reply) -> None:
    """One line in nginx's format `main`."""
    moment = time.strftime(f"%d/{web.MONTHS[time.gmtime().tm_mon - 1]}/%Y:%H:%M:%S +0000", time.gmtime())
    size = 0 if request.method == "HEAD" else len(reply.body.encode() if isinstance(reply.body, str) else reply.body)
    names = ("Referer", "User-Agent", "X-Forwarded-For")
    referer, agent, forwarded = (request.header(name, "-") for name in names)
    line = f'"{request.method} {request.target} {request.version}" {reply.status} {size}'
    print(f'{request.client} - - [{moment}] {line} "{referer}" "{agent}" "{forwarded}"', flush=True)


def error(request: web.Request, status: int) -> None:
    why = {404: "(2: No such file or directory)", 403: "(13: Permission denied)"}.get(status, "")
    notice(f'[error] 1#1: "{HTML}{request.path}" failed {why}, client: {request.client}')


def notice(text: str) -> None:
    say(time.strftime("%Y/%m/%d %H:%M:%S ", time.gmtime()) + text)


def say(text: str) -> int:
    print(text, file=sys.stderr, flush=True)
    return 0
