"""kubectl --raw: a path of the server, asked as it is and answered as it is.

Interface: `FLAG`; `get`, `create`, `replace`, `delete`, which do a line that has it.
The rule not to break: what the server answers is printed byte for byte.
Source: `kubectl/pkg/rawhttp`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from k8snb.kubectl.grammar import Arguments, Flag
from k8snb.kubectl.output import KubectlError, Output, Stream
from k8snb.kubectl.session import Session
from k8snb.kubectl.sources import texts

if TYPE_CHECKING:
    from k8snb.client.https import HttpsTransport

FLAG = Flag("raw", help="A path on the server, to be asked as it is.")
_GO_ON = ("watch", "follow")


def get(session: Session, args: Arguments) -> Output:
    if args.words:
        raise KubectlError("error: arguments may not be passed when --raw is specified")
    if args.text("output"):
        raise KubectlError("error: --raw and --output are mutually exclusive")
    path = _path(args)
    query = parse_qs(urlsplit(path).query)
    pieces = server_of(session).stream(path, user=session.client.user)
    if any(query.get(name, [""])[0] in ("1", "true") for name in _GO_ON):
        return _stream(session, pieces)
    return Output(text=b"".join(pieces).decode(errors="replace"))


def create(session: Session, args: Arguments) -> Output:
    return _send(session, args, "POST")


def replace(session: Session, args: Arguments) -> Output:
    return _send(session, args, "PUT")


def delete(session: Session, args: Arguments) -> Output:
    if args.words:
        raise KubectlError("error: arguments may not be passed when --raw is specified")
    return _send(session, args, "DELETE")


def server_of(session: Session) -> HttpsTransport:
    """The cluster over HTTPS. Raises KubectlError where the client knows no such way."""
    if session.server is None:
        raise KubectlError("error: --raw: not implemented by k8snb for a client without a server")
    return session.server()


def _path(args: Arguments) -> str:
    path = args.text("raw")
    if not path.startswith("/"):
        raise KubectlError(f'error: --raw must be a valid URL path: parse "{path}": invalid URI for request')
    return path


def _send(session: Session, args: Arguments, method: str) -> Output:
    if method != "DELETE" and not args.texts("filename"):
        raise KubectlError("error: must specify one of -f and -k")
    if len(args.texts("filename")) > 1:
        raise KubectlError("error: --raw can only use a single local file or stdin")
    path, body = _path(args), "".join(text for _, text in texts(session, args))
    answer = server_of(session).fetch(method, path, body.encode(), user=session.client.user)
    return Output(text=answer.decode(errors="replace"))


def _stream(session: Session, pieces: Iterator[bytes]) -> Stream:
    """An answer that goes on."""
    over: list[bool] = []

    def poll() -> list[Output]:
        piece = next(pieces, None)
        if piece is None:
            over.append(True)
        return [Output(text=piece.decode(errors="replace"))] if piece else []

    close = getattr(pieces, "close", lambda: None)
    return Stream(Output(), poll, more=lambda: not over, stop=close)
