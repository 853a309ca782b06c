"""client-go: how every component and every user talks to the apiserver.

Interface: `Client`, verbs over a `Transport`; `informer`, `workqueue` and `controller` build on it.
The rule not to break: the client never imports the apiserver; it is given a `Transport`, which is the in-kernel
apiserver's own `handle` or an HTTPS connection to a real one.
Source: `k8s.io/client-go`.
"""

from k8snb.client.client import (
    ADMIN,
    Client,
    Deferred,
    Exchange,
    HttpAnswer,
    Request,
    Transport,
    Unreachable,
    User,
    Watch,
)

__all__ = [
    "ADMIN",
    "Client",
    "Deferred",
    "Exchange",
    "HttpAnswer",
    "Request",
    "Transport",
    "Unreachable",
    "User",
    "Watch",
]
