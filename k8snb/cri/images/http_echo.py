"""http-echo: answers every request with one text: `-text=hello -listen=:5678`."""

from __future__ import annotations

from k8snb.cri.images import options, web

OPTIONS = {"-text=": "text", "--text=": "text", "-listen=": "listen", "--listen=": "listen"}


def main(arguments: list[str]) -> int:
    parsed = options.parse("http-echo", arguments, OPTIONS)
    if not parsed.has("text"):
        options.refuse("http-echo", "Missing -text option!")
    port = int(parsed.last("listen", ":5678").rpartition(":")[2])
    return web.serve(port, lambda request: web.Reply(200, parsed.last("text") + "\n"), program="http-echo", log=log)


def log(request: web.Request, reply: web.Reply) -> None:
    print(f"{request.client} {request.method} {request.target} {reply.status}", flush=True)
