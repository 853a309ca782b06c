"""kubelet's token manager: the tokens of pods' service accounts, made anew before they expire.

Interface: `TokenManager(client, clock).get(pod, audience, seconds)`, `forget(uid)`.
The rule not to break: a token is bound to its pod, and is of no use to anybody else once that is gone.
Source: `pkg/kubelet/token/token_manager.go`.
"""

from __future__ import annotations

from dataclasses import dataclass

from k8snb.apimachinery.meta import Object, name_of, namespace_of, uid_of
from k8snb.client import Client
from k8snb.clock import Clock, parse_timestamp

OLD = 24 * 3600.0  # seconds after which any token is made anew
LAST_PART = 0.2  # of a token's life, in which it is made anew


@dataclass(frozen=True)
class _Token:
    text: str
    begins: float
    ends: float

    def is_due(self, now: float) -> bool:
        return now > min(self.begins + OLD, self.ends - LAST_PART * (self.ends - self.begins))


class TokenManager:
    """The tokens of one node's pods."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._tokens: dict[str, dict[tuple[str, int], _Token]] = {}

    def get(self, pod: Object, audience: str, seconds: int) -> str:
        """A token that is still good for a while. Raises ApiError."""
        known = self._tokens.setdefault(uid_of(pod), {})
        token = known.get((audience, seconds))
        if token is None or token.is_due(self._clock.now()):
            token = known[audience, seconds] = self._request(pod, audience, seconds)
        return token.text

    def forget(self, uid: str) -> None:
        self._tokens.pop(uid, None)

    def _request(self, pod: Object, audience: str, seconds: int) -> _Token:
        reference = {"apiVersion": "v1", "kind": "Pod", "name": name_of(pod), "uid": uid_of(pod)}
        request: Object = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [audience] if audience else [], "expirationSeconds": seconds,
                     "boundObjectRef": reference},
        }  # fmt: skip
        account = pod["spec"].get("serviceAccountName") or "default"
        answer = self._client.create_subresource("serviceaccounts", account, "token", request, namespace_of(pod))
        status = answer["status"]
        return _Token(status["token"], self._clock.now(), parse_timestamp(status["expirationTimestamp"]))
