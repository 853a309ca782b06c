"""hpa-example: a web server on port 80 that burns processor time with every request, for HorizontalPodAutoscalers."""

from __future__ import annotations

from k8snb.cri.images import web

ROUNDS = 1_000_000


def main(arguments: list[str]) -> int:
    return web.serve(80, answer, program="apache2", server="Apache (k8snb's stand-in)")


def answer(request: web.Request) -> web.Reply:
    number = 0.0001
    for _ in range(ROUNDS):
        number += number**0.5
    return web.Reply(200, "OK!")
