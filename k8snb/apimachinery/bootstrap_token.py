"""bootstrap token: the short secret by which a new node is let into a cluster, kept in a Secret of `kube-system`.

Interface: `TYPE`, `NAMESPACE`, `SHAPE`; `secret_name(identifier)`, `datum(secret, key)`, `expiry(secret)`,
`is_expired(secret, now)`, `groups_of(secret)`; `lets_in(…)` and `may_sign(secret)`, the two uses.
The rule not to break: a Secret that says anything wrong lets nobody in and signs nothing.
Source: https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/, and
`staging/src/k8s.io/cluster-bootstrap` in the kubernetes repository.
"""

from __future__ import annotations

import base64
import hmac
import re
from datetime import datetime

from k8snb.apimachinery.meta import Object, is_deleting, name_of, namespace_of

TYPE, NAMESPACE = "bootstrap.kubernetes.io/token", "kube-system"
SHAPE = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
GROUP = "system:bootstrappers"
_EXTRA_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")


def secret_name(identifier: str) -> str:
    return f"bootstrap-token-{identifier}"


def datum(secret: Object, key: str) -> str:
    """A value of the Secret as text, "" where it has none that is text."""
    try:
        return base64.b64decode((secret.get("data") or {}).get(key) or "").decode()
    except ValueError:
        return ""


def expiry(secret: Object) -> float | None:
    """When the token ends (seconds since the epoch), None for never. One that cannot be read has ended."""
    text = datum(secret, "expiration")
    if not text:
        return None
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return 0.0


def is_expired(secret: Object, now: float) -> bool:
    end = expiry(secret)
    return end is not None and end <= now


def groups_of(secret: Object) -> tuple[str, ...] | None:
    """The groups of whoever shows the token; None where the Secret names one that a token may not give."""
    words = datum(secret, "auth-extra-groups")
    extra = words.split(",") if words else []
    return (GROUP, *extra) if all(_EXTRA_GROUP.fullmatch(word) for word in extra) else None


def lets_in(secret: Object, identifier: str, part: str, now: float) -> bool:
    """Whether whoever shows `identifier.part` is who the Secret is for."""
    same = hmac.compare_digest(datum(secret, "token-secret").encode(), part.encode())
    right = secret.get("type") == TYPE and datum(secret, "token-id") == identifier
    good = not is_deleting(secret) and not is_expired(secret, now) and groups_of(secret) is not None
    return same and right and good and datum(secret, "usage-bootstrap-authentication") == "true"


def may_sign(secret: Object, now: float) -> bool:
    """Whether the token may vouch for what a new node reads before it knows the cluster."""
    identifier = datum(secret, "token-id")
    whole = SHAPE.fullmatch(f"{identifier}.{datum(secret, 'token-secret')}")
    right = namespace_of(secret) == NAMESPACE and name_of(secret) == secret_name(identifier)
    used = datum(secret, "usage-bootstrap-signing") == "true" and not is_deleting(secret)
    return right and used and bool(whole) and not is_expired(secret, now)
