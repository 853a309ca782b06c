"""kubectl -v: the requests behind a command.

Interface: `watched(client, level, server, log)`, a client that writes down what it asks.
The rule not to break: the levels are kubectl's own: 6 has each answer, 7 each request too, 8 what was in both.
Source: `client-go/transport/round_trippers.go`. Real kubectl writes at lower levels about itself, and at 9 a line for
curl; within a kernel no HTTP is spoken, and a request has its path alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http.client import responses
from typing import Any

from k8snb.apimachinery.errors import ApiError
from k8snb.apimachinery.kinds import Kind
from k8snb.client import Client, Request, Transport, urls
from k8snb.clock import timestamp

ANSWERS, REQUESTS, BODIES = 6, 7, 8
_LONG = {8: 1024, 9: 10240}  # characters of a body that are shown
_DONE = {"create": 201}


Server = Callable[[], str]


def watched(client: Client, level: int, server: Server, log: list[str], now: Callable[[], float]) -> Client:
    """The same client; what it asks is in the log. `server` says where its paths begin."""
    told = Client(_Told(client.transport, level, server, log, now), client.user)
    told.cause = client.cause
    return told


class _Told:
    """A transport that tells of what goes over it."""

    def __init__(self, inner: Transport, level: int, server: Server, log: list[str], now: Callable[[], float]) -> None:
        self._inner, self._level, self._server, self._log, self._now = inner, level, server, log, now

    def kinds(self) -> tuple[Kind, ...]:
        return self._inner.kinds()

    def handle(self, request: Request) -> Any:
        verb = urls.METHODS.get(request.verb, "GET")
        url = self._server() + urls.path(request)
        if self._level >= BODIES:
            self._say('"Request Body"', body=_text(request.body, self._level))
        if self._level >= REQUESTS:
            self._say('"Request"', verb=verb, url=url)
        begun = self._now()
        try:
            answer = self._inner.handle(request)
        except ApiError as error:
            self._answered(verb, url, error.code, begun, error.status)
            raise
        self._answered(verb, url, _DONE.get(request.verb, 200), begun, answer)
        return answer

    def _answered(self, verb: str, url: str, code: int, begun: float, body: Any) -> None:
        status = f"{code} {responses.get(code, '')}".strip()
        self._say('"Response"', verb=verb, url=url, status=status, milliseconds=round(1000 * (self._now() - begun)))
        if self._level >= BODIES and isinstance(body, Mapping):
            self._say('"Response Body"', body=_text(body, self._level))

    def _say(self, what: str, **words: Any) -> None:
        shown = " ".join(
            f"{name}={value if isinstance(value, int) else _quoted(value)}" for name, value in words.items()
        )
        moment = timestamp(self._now())
        self._log.append(f"I{moment[5:7]}{moment[8:10]} {moment[11:19]} k8snb] {what} {shown}")


def _text(body: Any, level: int) -> str:
    text = "" if body is None else body.decode(errors="replace") if isinstance(body, bytes) else json.dumps(body)
    longest = _LONG.get(level, len(text))
    return text if len(text) <= longest else f"{text[:longest]} [truncated {len(text) - longest} chars]"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
