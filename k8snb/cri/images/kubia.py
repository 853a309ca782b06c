"""kubia: the app of the book "Kubernetes in Action", on port 8080, with its versions and its ailing sister.

Versions v1 to v4 by the image's tag; v3 fails from the fifth request on, `kubia-unhealthy` from the sixth.
"""

from __future__ import annotations

import itertools

from k8snb.cri.images import pod, web

COUNT = itertools.count(1)
VERSION = pod.TAG if pod.TAG in ("v1", "v2", "v3", "v4") else ""
HEALTHY_REQUESTS = {"v3": 4}


def main(arguments: list[str]) -> int:
    print("Kubia server starting...", flush=True)
    sound = 5 if "--unhealthy" in arguments else HEALTHY_REQUESTS.get(VERSION, 0)
    return web.serve(8080, lambda request: answer(sound), program="kubia", log=log)


def answer(sound: int) -> web.Reply:
    """A greeting, or an error once more than `sound` requests have come (0 = never)."""
    if sound and next(COUNT) > sound:
        return web.Reply(500, f"Some internal error has occurred! This is pod {pod.NAME}\n")
    said = f"This is {VERSION} running in pod {pod.NAME}" if VERSION else f"You've hit {pod.NAME}"
    return web.Reply(200, said + "\n")


def log(request: web.Request, reply: web.Reply) -> None:
    print(f"Received request from {request.client}", flush=True)
