"""Who is who: the users that write, as people speak of them.

Interface: `actor_of(user)`.
"""

from __future__ import annotations

YOU = "you"
_ACCOUNT = "system:serviceaccount:kube-system:"
_NODE = "system:node:"


def actor_of(user: str) -> str:
    """`you`, `kubelet node-1`, `deployment-controller`, `kube-scheduler`, `apiserver`; others by their own names."""
    if user in ("kubernetes-admin", "admin"):
        return YOU
    if user.startswith(_NODE):
        return f"kubelet {user.removeprefix(_NODE)}"
    if user.startswith(_ACCOUNT):
        return user.removeprefix(_ACCOUNT)
    return {"system:apiserver": "apiserver"}.get(user, user.removeprefix("system:"))
