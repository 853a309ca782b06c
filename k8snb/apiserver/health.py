"""kube-apiserver's health: /healthz, /livez and /readyz, check by check.

Interface: `Health(transport).answer(path, …)`, a status and a text.
The rule not to break: each check looks at the real part; none says ok because nobody looked.
Real Kubernetes adds a check for each of its start-up hooks.
Source: `apiserver/pkg/server/healthz`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from k8snb.apiserver.paths import unknown_path
from k8snb.client import ADMIN, Client, Transport

PATHS = ("/healthz", "/livez", "/readyz")


class Health:
    """The checks of one apiserver. Each raises where its part is not well."""

    def __init__(self, transport: Transport) -> None:
        self._client = Client(transport, ADMIN)
        self._checks: Mapping[str, Callable[[], object]] = {
            "ping": lambda: None,
            "etcd": lambda: self._there("namespaces", "default"),
            "poststarthook/start-system-namespaces-controller": lambda: self._there("namespaces", "kube-system"),
            "poststarthook/rbac/bootstrap-roles": lambda: self._there("clusterroles", "cluster-admin"),
            "poststarthook/scheduling/bootstrap-system-priority-classes": (
                lambda: self._there("priorityclasses", "system-node-critical")
            ),
            "poststarthook/apiservice-registration-controller": lambda: self._there("apiservices", "v1."),
        }

    def answer(self, path: str, *, verbose: bool = False, exclude: Sequence[str] = ()) -> tuple[int, str]:
        """200 or 500 and what to say. `/livez/etcd` asks one check. Raises NotFound for a check that there is not."""
        root, _, name = path.strip("/").partition("/")
        if name and name not in self._checks:
            raise unknown_path()
        names = [name] if name else list(self._checks)
        failed = {each for each in names if each not in exclude and not self._is_well(each)}
        if not failed and not verbose:
            return 200, "ok"
        lines = [_line(each, failed, exclude) for each in names]
        strangers = [f'"{each}"' for each in exclude if each not in names]
        if strangers:
            lines.append(f"warn: some health checks cannot be excluded: no matches for {','.join(strangers)}")
        return (500 if failed else 200), "\n".join([*lines, f"{root} check {'failed' if failed else 'passed'}\n"])

    def _is_well(self, name: str) -> bool:
        try:
            self._checks[name]()
        except Exception:
            return False
        return True

    def _there(self, resource: str, name: str) -> None:
        self._client.get(resource, name)


def _line(name: str, failed: set[str], exclude: Sequence[str]) -> str:
    if name in exclude:
        return f"[+]{name} excluded: ok"
    return f"[-]{name} failed: reason withheld" if name in failed else f"[+]{name} ok"
