"""client-go's exec plug-ins: programs that say who one is, as `users[].user.exec` of a kubeconfig names them.

Interface: `ExecPlugin(spec, cluster, …)`: `credential() -> Credential`, `forget()`.
The rule not to break: the program runs once, and again only when what it said has expired or was not accepted.
Source: `client-go/plugin/pkg/client/auth/exec/exec.go`, `client.authentication.k8s.io/v1`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from k8snb.apimachinery.meta import Object
from k8snb.client.kubeconfig import KubeconfigError
from k8snb.clock import RealClock, parse_timestamp

GROUP = "client.authentication.k8s.io"
VERSIONS = (f"{GROUP}/v1", f"{GROUP}/v1beta1")
EXTENSION = f"{GROUP}/exec"  # of a cluster's entry: what it tells to plug-ins
NEVER, IF_AVAILABLE, ALWAYS = MODES = ("Never", "IfAvailable", "Always")
_CLUSTER = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url",
            "disable-compression")  # fmt: skip
_NOT_INSTALLED = """exec: executable {command} not found

It looks like you are trying to use a client-go credential plugin that is not installed.

To learn more about this feature, consult the documentation available at:
      https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins"""


@dataclass(frozen=True)
class Credential:
    """What a plug-in said. `expires` is a time in seconds, or None where it holds as long as this process."""

    token: str = ""
    certificate: bytes = b""
    key: bytes = b""
    expires: float | None = None


class ExecPlugin:
    """One plug-in for one cluster. `cluster` is the entry that it is told of, where it asks for that."""

    def __init__(
        self, spec: Object, cluster: Object, *, now: Callable[[], float] | None = None,
        is_terminal: Callable[[], bool] | None = None, environment: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._spec, self._cluster = spec, cluster
        self._now = now or RealClock().now
        self._is_terminal = is_terminal or (lambda: sys.stdin is not None and sys.stdin.isatty())
        self._environment = os.environ if environment is None else environment
        self._guard = threading.Lock()
        self._known: Credential | None = None
        _check(spec)

    def credential(self) -> Credential:
        """Who to be now. Raises KubeconfigError where the program does not say it."""
        with self._guard:
            known = self._known
            if known is None or (known.expires is not None and known.expires <= self._now()):
                known = self._known = self._asked()
            return known

    def forget(self) -> None:
        """A server would not have what the plug-in said: it is asked again for the next request."""
        with self._guard:
            self._known = None

    def _asked(self) -> Credential:
        interactive = self._interactive()
        command = [self._spec["command"], *(self._spec.get("args") or ())]
        own = {row["name"]: str(row.get("value", "")) for row in self._spec.get("env") or ()}
        environment = {**self._environment, **own, "KUBERNETES_EXEC_INFO": json.dumps(self._info(interactive))}
        try:
            done = subprocess.run(command, env=environment, stdin=None if interactive else subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=None if interactive else subprocess.PIPE,
                                  check=False)  # fmt: skip
        except FileNotFoundError:
            hint = str(self._spec.get("installHint") or "")
            missing = _NOT_INSTALLED.format(command=command[0]) + (f"\n\n{hint}" if hint else "")
            raise _failed(missing) from None
        except OSError as error:
            raise _failed(f"exec: {(error.strerror or str(error)).lower()}: {command[0]}") from None
        if done.returncode:
            said = (done.stderr or b"").decode(errors="replace").strip()
            raise _failed(f"exec: executable {command[0]} failed with exit code {done.returncode}"
                          + (f": {said}" if said else ""))  # fmt: skip
        return self._read(done.stdout)

    def _interactive(self) -> bool:
        """Whether the program may ask the user. Raises KubeconfigError where it has to and cannot."""
        mode = self._spec.get("interactiveMode") or IF_AVAILABLE
        if mode == ALWAYS and not self._is_terminal():
            raise _failed("exec plugin cannot support interactive mode: standard input is not a terminal")
        return mode != NEVER and self._is_terminal()

    def _info(self, interactive: bool) -> Object:
        """What the program is told in $KUBERNETES_EXEC_INFO."""
        told: Object = {"interactive": interactive}
        if self._spec.get("provideClusterInfo"):
            told["cluster"] = {name: self._cluster[name] for name in _CLUSTER if self._cluster.get(name)}
            rows = self._cluster.get("extensions") or ()
            config = next((row.get("extension") for row in rows if row.get("name") == EXTENSION), None)
            told["cluster"] |= {"config": config} if config is not None else {}
        return {"kind": "ExecCredential", "apiVersion": self._spec["apiVersion"], "spec": told}

    def _read(self, output: bytes) -> Credential:
        try:
            answer: Any = json.loads(output)
        except ValueError as error:
            raise _failed(f"decoding stdout: {error}") from None
        if not isinstance(answer, dict) or answer.get("kind") != "ExecCredential":
            raise _failed("decoding stdout: no kind ExecCredential is in it")
        wanted, said = self._spec["apiVersion"], answer.get("apiVersion")
        if said != wanted:
            raise _failed(f"exec plugin is configured to use API version {wanted}, plugin returned version {said}")
        return _credential(answer.get("status"))


def _check(spec: Object) -> None:
    """Source: `validateAuthInfo` in `client-go/tools/clientcmd/validation.go`."""
    if not spec.get("command"):
        raise KubeconfigError("invalid configuration: command must be specified to use exec authentication plugin")
    version = spec.get("apiVersion") or ""
    if not version:
        raise KubeconfigError("invalid configuration: apiVersion must be specified to use exec authentication plugin")
    if version not in VERSIONS:
        raise KubeconfigError(f'exec plugin: invalid apiVersion "{version}": it is one of {", ".join(VERSIONS)}')
    mode = spec.get("interactiveMode") or ("" if version == VERSIONS[0] else IF_AVAILABLE)
    if not mode:
        raise KubeconfigError("invalid configuration: interactiveMode must be specified to use exec authentication "
                              f"plugin: {', '.join(MODES)}")  # fmt: skip
    if mode not in MODES:
        raise KubeconfigError(
            f"invalid configuration: invalid interactiveMode: {mode}: it is one of {', '.join(MODES)}"
        )


def _credential(status: Any) -> Credential:
    if not isinstance(status, dict):
        raise _failed("exec plugin didn't return a status field")
    token, certificate = status.get("token") or "", status.get("clientCertificateData") or ""
    key = status.get("clientKeyData") or ""
    if not token and not certificate and not key:
        raise _failed("exec plugin didn't return a token or cert/key pair")
    if bool(certificate) != bool(key):
        raise _failed("exec plugin returned only certificate or key, not both")
    moment = status.get("expirationTimestamp")
    try:
        expires = parse_timestamp(moment) if moment else None
    except ValueError:
        raise _failed(f"decoding stdout: expirationTimestamp: {moment} is no RFC 3339 time") from None
    return Credential(token, certificate.encode(), key.encode(), expires)


def _failed(why: str) -> KubeconfigError:
    return KubeconfigError(f"getting credentials: {why}")
