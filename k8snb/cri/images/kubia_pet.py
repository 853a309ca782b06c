"""kubia-pet: keeps what is posted to it in /var/data/kubia.txt, on port 8080. For StatefulSets."""

from __future__ import annotations

import os

from k8snb.cri.images import pod, web

FILE = "/var/data/kubia.txt"


def main(arguments: list[str]) -> int:
    os.makedirs(os.path.dirname(pod.root(FILE)), exist_ok=True)
    return web.serve(8080, answer, program="kubia-pet")


def answer(request: web.Request) -> web.Reply:
    if request.method == "POST":
        with open(pod.root(FILE), "wb") as file:
            file.write(request.body)
        print("New data has been received and stored.", flush=True)
        return web.Reply(200, f"Data stored on pod {pod.NAME}\n")
    return web.Reply(200, f"You've hit {pod.NAME}\nData stored on this pod: {_stored()}\n")


def _stored() -> str:
    try:
        with open(pod.root(FILE), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return "No data posted yet"
