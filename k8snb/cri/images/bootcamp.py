"""kubernetes-bootcamp: the app of Kubernetes' basic tutorial, on port 8080. It names its pod and its version."""

from __future__ import annotations

import time

from k8snb.cri.images import pod, web

VERSION = pod.TAG.removeprefix("v") if pod.TAG.startswith("v") else "1"
STARTED = time.monotonic()


def main(arguments: list[str]) -> int:
    print(f"Kubernetes Bootcamp App Started At: {web.http_date(time.time())} | Running On:  {pod.NAME}\n", flush=True)
    return web.serve(8080, answer, program="kubernetes-bootcamp", log=log)


def answer(request: web.Request) -> web.Reply:
    return web.Reply(200, f"Hello Kubernetes bootcamp! | Running on: {pod.NAME} | v={VERSION}\n")


def log(request: web.Request, reply: web.Reply) -> None:
    uptime = round(time.monotonic() - STARTED, 3)
    print(f"Running On: {pod.NAME} | App Uptime: {uptime} seconds | Log Time: {web.http_date(time.time())}", flush=True)
