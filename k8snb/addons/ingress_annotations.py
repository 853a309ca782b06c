"""The ingress controller's annotations: what an Ingress asks for besides hosts and paths.

Interface: `options_of(ingress)`, and `not_carried_out(ingress)`: sentences about what it asks for in vain.
The rule not to break: an annotation is carried out or said; none is passed over in silence.
Source: `docs/user-guide/nginx-configuration/annotations.md` in kubernetes/ingress-nginx, whose prefix, names and
defaults these are: it is the controller that courses and books use.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from k8snb.apimachinery.meta import Object, annotations_of

NGINX = "nginx.ingress.kubernetes.io/"
MEBIBYTE = 1 << 20
MOVED_PERMANENTLY, FOUND = 301, 302


@dataclass(frozen=True)
class Options:
    """How the requests of one Ingress are treated. Seconds, bytes; "" and 0 where nothing is asked for."""

    rewrite_target: str = ""
    use_regex: bool = False
    ssl_redirect: bool = True
    force_ssl_redirect: bool = False
    permanent_redirect: str = ""
    permanent_redirect_code: int = MOVED_PERMANENTLY
    temporal_redirect: str = ""
    app_root: str = ""
    backend_protocol: str = "HTTP"
    upstream_vhost: str = ""
    body_size: int = MEBIBYTE
    connect_timeout: float = 5.0
    read_timeout: float = 60.0
    affinity: str = ""
    cookie_name: str = "INGRESSCOOKIE"
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    enable_cors: bool = False
    cors_origin: str = "*"
    canary: bool = False
    canary_weight: int = 0
    canary_weight_total: int = 100
    canary_by_header: str = ""
    canary_by_header_value: str = ""
    canary_by_cookie: str = ""
    has_tls: bool = False


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError('"true" or "false" is wanted')
    return text.lower() == "true"


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([kKmMgG]?)", text)
    if match is None:
        raise ValueError("a size such as 8m is wanted")
    return int(match[1]) * {"": 1, "k": 1 << 10, "m": MEBIBYTE, "g": 1 << 30}[match[2].lower()]


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+s?", text):
        raise ValueError("a number of seconds is wanted")
    return float(text.rstrip("s"))


def _code(text: str) -> int:
    if not re.fullmatch(r"3\d\d", text):
        raise ValueError("a status code from 300 to 399 is wanted")
    return int(text)


def _whole(text: str) -> int:
    if not text.isdigit():
        raise ValueError("a whole number is wanted")
    return int(text)


def _networks(text: str) -> tuple[str, ...]:
    found = tuple(part.strip() for part in text.split(",") if part.strip())
    for part in found:
        ipaddress.ip_network(part, strict=False)
    return found


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"of its values k8snb has {' and '.join(words)}")
        return text

    return read


_READERS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "rewrite-target": ("rewrite_target", str),
    "use-regex": ("use_regex", _flag),
    "ssl-redirect": ("ssl_redirect", _flag),
    "force-ssl-redirect": ("force_ssl_redirect", _flag),
    "permanent-redirect": ("permanent_redirect", str),
    "permanent-redirect-code": ("permanent_redirect_code", _code),
    "temporal-redirect": ("temporal_redirect", str),
    "app-root": ("app_root", str),
    "backend-protocol": ("backend_protocol", _one_of("HTTP", "HTTPS")),
    "upstream-vhost": ("upstream_vhost", str),
    "proxy-body-size": ("body_size", _size),
    "proxy-connect-timeout": ("connect_timeout", _seconds),
    "proxy-read-timeout": ("read_timeout", _seconds),
    "affinity": ("affinity", _one_of("cookie")),
    "session-cookie-name": ("cookie_name", str),
    "whitelist-source-range": ("allow", _networks),
    "denylist-source-range": ("deny", _networks),
    "enable-cors": ("enable_cors", _flag),
    "cors-allow-origin": ("cors_origin", str),
    "canary": ("canary", _flag),
    "canary-weight": ("canary_weight", _whole),
    "canary-weight-total": ("canary_weight_total", _whole),
    "canary-by-header": ("canary_by_header", str),
    "canary-by-header-value": ("canary_by_header_value", str),
    "canary-by-cookie": ("canary_by_cookie", str),
}


def options_of(ingress: Object) -> Options:
    """What the annotations ask for; one that cannot be read counts as missing."""
    read: dict[str, Any] = {"has_tls": bool((ingress.get("spec") or {}).get("tls"))}
    for name, text in _asked(ingress).items():
        if name in _READERS:
            field, reader = _READERS[name]
            try:
                read[field] = reader(text.strip())
            except ValueError:
                continue
    options = Options(**read)
    # nginx turns every path of an Ingress with a rewrite into a regular expression
    return Options(**{**read, "use_regex": True}) if options.rewrite_target else options


def not_carried_out(ingress: Object) -> tuple[str, ...]:
    """One sentence for each annotation that does nothing here."""
    return tuple(sentence for name, text in _asked(ingress).items() if (sentence := _objection(name, text)))


def _objection(name: str, text: str) -> str:
    if name not in _READERS:
        return f"annotation {NGINX}{name}: not implemented by k8snb: it does nothing"
    try:
        _READERS[name][1](text.strip())
    except ValueError as error:
        return f"annotation {NGINX}{name}: {text!r} counts as missing: {error}"
    return ""


def _asked(ingress: Object) -> dict[str, str]:
    found = sorted(annotations_of(ingress).items())
    return {key.removeprefix(NGINX): str(value) for key, value in found if key.startswith(NGINX)}
