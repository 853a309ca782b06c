"""kube-apiserver's link rewriting: what a proxied page calls `/login` lies below its proxy path.

Interface: `rewrite(headers, origin)` for Location; `LinkRewriter` for HTML, piece by piece.
The rule not to break: only absolute paths of the same host change; everything else goes through byte by byte.
Source: `Transport.rewriteURL` and `rewriteHTML` in apimachinery/pkg/util/proxy/transport.go.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from k8snb.apiserver.proxy_bridge import Headers

LINKS: Mapping[str, tuple[str, ...]] = {
    "a": ("href",), "applet": ("codebase",), "area": ("href",), "audio": ("src",), "base": ("href",),
    "blockquote": ("cite",), "body": ("background",), "button": ("formaction",), "command": ("icon",),
    "del": ("cite",), "embed": ("src",), "form": ("action",), "frame": ("longdesc", "src"),
    "head": ("profile",), "html": ("manifest",), "iframe": ("longdesc", "src"),
    "img": ("longdesc", "src", "usemap"), "input": ("src", "usemap", "formaction"), "ins": ("cite",),
    "link": ("href",), "object": ("classid", "codebase", "data", "usemap"), "q": ("cite",), "script": ("src",),
    "source": ("src",), "video": ("poster", "src"),
}  # fmt: skip
MAX_TAG = 1 << 16  # bytes
_PACKED = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_COMMENT, _RAW = b"<!--", (b"script", b"style", b"textarea", b"title")
_TAG = re.compile(rb"""<([a-zA-Z][^\s/>]*)(?:"[^"]*"|'[^']*'|[^'">])*>""")
_ATTRIBUTE = re.compile(rb"""(\s)([a-zA-Z-]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)""")


class Origin(NamedTuple):
    """`prefix`: the path up to `proxy`; `here`, `there`: the hosts that the client and the apiserver asked."""

    prefix: str
    here: str
    there: str

    def moved(self, url: str) -> str:
        """A URL of the pod's as the client has to ask for it."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return url
        if parts.netloc not in ("", self.here, self.there) or not parts.path.startswith("/"):
            return url
        path = parts.path if parts.path.startswith(self.prefix) else self.prefix + parts.path
        return urlunsplit(("", "", path, parts.query, parts.fragment))


def rewrite(headers: Headers, origin: Origin) -> Headers:
    """The headers of an answer, redirects leading through the proxy."""
    return [(name, origin.moved(value) if name.lower() == "location" else value) for name, value in headers]


class LinkRewriter:
    """Takes an HTML page in and gives it out again with its links moved. What is packed is unpacked for good."""

    def __init__(self, origin: Origin, headers: Headers) -> None:
        packing = _header(headers, "content-encoding")
        self._origin = origin
        self._unpacker = zlib.decompressobj(_PACKED[packing]) if packing else None
        self._held = b""  # the beginning of something whose end has not come yet
        self._raw = b""  # the element whose text is no markup: script, style

    @staticmethod
    def wants(headers: Headers) -> bool:
        """Whether this is a page whose links can be read."""
        is_page = _header(headers, "content-type").partition(";")[0].strip() == "text/html"
        return is_page and _header(headers, "content-encoding") in ("", *_PACKED)

    def feed(self, data: bytes) -> bytes:
        self._held += data if self._unpacker is None else self._unpacker.decompress(data)
        out = []
        while self._held and (piece := self._next()):
            out.append(piece)
        return b"".join(out)

    def close(self) -> bytes:
        """What is left at the end of the page."""
        held, self._held = self._held, b""
        return held

    def _next(self) -> bytes:
        """The next piece that stands complete; b"" while none does."""
        if self._raw:
            return self._inside(rb"</" + self._raw)
        start = self._held.find(b"<")
        if start:
            return self._give(len(self._held) if start < 0 else start)
        if _COMMENT.startswith(self._held[: len(_COMMENT)]):
            end = self._held.find(b"-->")
            return self._give(end + 3 if end >= 0 else self._overlong())
        if len(self._held) == 1 or (tag := _TAG.match(self._held)) is None:
            return self._give(1 if _starts_no_tag(self._held) else self._overlong())
        self._raw = tag[1].lower() if tag[1].lower() in _RAW else b""
        return self._moved(self._give(tag.end()), tag[1].decode("latin-1").lower())

    def _inside(self, end: bytes) -> bytes:
        found = self._held.lower().find(end)
        if found >= 0:
            self._raw = b""
            return self._give(found) or self._next()
        return self._give(max(len(self._held) - len(end), 0))

    def _give(self, size: int) -> bytes:
        given, self._held = self._held[:size], self._held[size:]
        return given

    def _overlong(self) -> int:
        """No memory for a tag that does not end."""
        return len(self._held) if len(self._held) > MAX_TAG else 0

    def _moved(self, tag: bytes, name: str) -> bytes:
        wanted = LINKS.get(name, ())

        def move(match: re.Match[bytes]) -> bytes:
            if match[2].decode("latin-1").lower() not in wanted:
                return match[0]
            value = match[4].strip(b"\"'")
            quote = match[4][: 1 if match[4][:1] in (b'"', b"'") else 0]
            moved = self._origin.moved(value.decode("latin-1")).encode("latin-1")
            return match[1] + match[2] + match[3] + quote + moved + quote

        return _ATTRIBUTE.sub(move, tag) if wanted else tag


def _starts_no_tag(held: bytes) -> bool:
    return len(held) > 1 and not held[1:2].isalpha()


def _header(headers: Headers, wanted: str) -> str:
    return next((value.lower() for name, value in headers if name.lower() == wanted), "")
