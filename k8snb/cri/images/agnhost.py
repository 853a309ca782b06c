"""agnhost: the many small servers of Kubernetes' own tests: netexec, serve-hostname, liveness, pause …"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time

from k8snb.cri.images import options, pause, pod, web

VERSION = pod.TAG if pod.TAG[:1].isdigit() else "2.43"


def main(arguments: list[str]) -> int:
    name, *rest = arguments or ["pause"]
    command = SUBCOMMANDS.get(name.lstrip("-"))
    if command is None:
        known = ", ".join(sorted(SUBCOMMANDS))
        print(f'agnhost: subcommand "{name}" is not implemented by k8snb (there are: {known})', file=sys.stderr)
        return 1
    return command(rest)


def netexec(arguments: list[str]) -> int:
    parsed = options.parse("agnhost", arguments, {"--http-port=": "http", "--udp-port=": "udp"})
    port, udp = int(parsed.last("http", "8080")), int(parsed.last("udp", "8081"))
    if udp > 0:
        threading.Thread(target=_serve_datagrams, args=(udp,), daemon=True).start()
    print(f"Started HTTP server on port {port}", flush=True)
    return web.serve(port, _netexec, program="agnhost", log=_log)


def _netexec(request: web.Request) -> web.Reply:
    form = request.form()
    match request.path.rstrip("/"):
        case "":
            return web.Reply(200, f"NOW: {time.strftime('%Y-%m-%d %H:%M:%S +0000 UTC', time.gmtime())}")
        case "/hostname" | "/hostName":
            return web.Reply(200, pod.NAME)
        case "/clientip":
            return web.Reply(200, request.client)
        case "/echo":
            return web.Reply(int(form.get("code") or 200), form.get("msg", ""))
        case "/header":
            return web.Reply(200, request.header(form.get("key", "")))
        case "/healthz" | "/readyz":
            return web.Reply(200)
        case "/exit":
            threading.Timer(0.05 + int(form.get("timeout") or 0), os._exit, (int(form.get("code") or 0),)).start()
            return web.Reply(200)
    return web.Reply(404, f"{request.path} is not implemented by k8snb\n")


def serve_hostname(arguments: list[str]) -> int:
    parsed = options.parse("agnhost", arguments, {"--port=": "port", "--http=": "http"})
    port = int(parsed.last("port", "9376"))
    print(f"Serving on port {port}.", flush=True)
    return web.serve(port, lambda request: web.Reply(200, pod.NAME), program="agnhost", log=_log)


def liveness(arguments: list[str]) -> int:
    """Healthy for ten seconds, then not: what a liveness probe is there for."""
    started = time.monotonic()

    def answer(request: web.Request) -> web.Reply:
        age = time.monotonic() - started
        if request.path != "/healthz":
            return web.Reply(200, f"started {age:.0f} seconds ago\n")
        return web.Reply(500, f"error: {age:.6f}") if age > 10 else web.Reply(200, "ok")

    return web.serve(8080, answer, program="agnhost", log=_log)


def connect(arguments: list[str]) -> int:
    parsed = options.parse("agnhost", arguments, {"--timeout=": "timeout", "--protocol=": "protocol"})
    host, _, number = (parsed.words or [""])[0].rpartition(":")
    if parsed.last("protocol", "tcp") != "tcp" or not number.isdigit():
        options.refuse("agnhost", "usage: agnhost connect [--timeout=3s] HOST:PORT (TCP only)")
    try:
        pod.connect(host, int(number), float(parsed.last("timeout", "10s").removesuffix("s"))).close()
    except OSError as error:
        print("TIMEOUT" if isinstance(error, TimeoutError) else "DNS" if "bad address" in str(error) else "REFUSED")
        return 1
    return 0


def dns_suffix(arguments: list[str]) -> int:
    print(",".join(os.environ.get("K8SNB_SEARCH", "").split()))
    return 0


def dns_server_list(arguments: list[str]) -> int:
    print(":".join(map(str, pod.dns_server() or ())))
    return 0


def entrypoint_tester(arguments: list[str]) -> int:
    print([*sys.argv[1:2], *arguments])
    return 0


def version(arguments: list[str]) -> int:
    print(VERSION)
    return 0


SUBCOMMANDS = {
    "netexec": netexec,
    "serve-hostname": serve_hostname,
    "liveness": liveness,
    "pause": pause.main,
    "connect": connect,
    "dns-suffix": dns_suffix,
    "dns-server-list": dns_server_list,
    "entrypoint-tester": entrypoint_tester,
    "version": version,
}


def _log(request: web.Request, reply: web.Reply) -> None:
    print(f"{request.method} {request.target} {reply.status}", flush=True)


def _serve_datagrams(number: int) -> None:
    """netexec's UDP side: `hostname`, `clientip`, `echo TEXT`."""
    server = pod.listen(number, "agnhost", kind=socket.SOCK_DGRAM)
    while True:
        data, client = server.recvfrom(2048)
        word, _, rest = data.decode("utf-8", "replace").strip().partition(" ")
        answers = {"hostname": pod.NAME, "clientip": client[0], "echo": rest}
        server.sendto(answers.get(word.lower(), f"unknown command {word}").encode(), client)
