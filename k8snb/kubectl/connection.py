"""kubectl's connection: which server a command line means, and who to be there.

Interface: `FromKubeconfig()(args) -> Reached`, what a command works with; `given(args)` names the flags that choose.
The rule not to break: nothing is opened, and no file has to be right, before a command needs it.
Source: `cli-runtime/pkg/genericclioptions/config_flags.go`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from k8snb.apimachinery.kinds import Kind
from k8snb.client import Client, Request, User
from k8snb.client.kubeconfig import CLUSTERS, CONTEXTS, USERS, Config, Kubeconfig, KubeconfigError, from_environment
from k8snb.client.restconfig import Overrides, resolve
from k8snb.kubectl.grammar import CONNECTION_FLAGS, Arguments
from k8snb.kubectl.output import KubectlError
from k8snb.kubectl.session import Wait

if TYPE_CHECKING:
    from k8snb.client.https import HttpsTransport

WHOEVER = User("")  # whoever the credentials say
_FIELDS: Mapping[str, tuple[str, ...]] = {
    CLUSTERS: ("server", "certificate-authority", "insecure-skip-tls-verify", "tls-server-name", "disable-compression"),
    USERS: ("client-certificate", "client-key", "token", "username", "password"),
    CONTEXTS: ("namespace",),
}
_TIMEOUT = re.compile(r"(\d+)(h|m|s|ms)?")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, None: 1.0}


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What a command works with: a client, the namespace that is meant without `-n`, and where the client leads."""

    client: Client
    namespace: str
    wait: Wait
    server: Callable[[], HttpsTransport] | None = None
    files: Kubeconfig | None = None

    def address(self) -> str:
        """The server's URL; "" within its own kernel."""
        return self.server().endpoint.server if not self.client.user.name and self.server is not None else ""


def given(args: Arguments) -> list[str]:
    """The flags of the line that say which server is meant."""
    own = {flag.name for flag in args.command.flags}
    return [flag.name for flag in CONNECTION_FLAGS if flag.name in args.given and flag.name not in own]


def wrong(error: KubeconfigError) -> KubectlError:
    """A kubeconfig that will not do, in kubectl's words."""
    said = str(error)
    if said.startswith("getting credentials: "):
        return KubectlError(f"Unable to connect to the server: {said}")
    introduced = said.startswith(("context was not found", "invalid configuration"))
    return KubectlError(f"Error in configuration: {said}" if introduced else f"error: {said}")


def overrides(args: Arguments) -> Overrides:
    """What the line says besides the files. Raises KubectlError."""
    flags = given(args) + (["namespace"] if "namespace" in args.given else [])
    fields = {section: {name: args.values[name] for name in names if name in flags}
              for section, names in _FIELDS.items()}  # fmt: skip
    chosen = {name: args.text(name) for name in ("context", "cluster", "user") if name in flags}
    return Overrides(**chosen, fields=fields, timeout=_timeout(args.text("request-timeout")))


def _timeout(text: str) -> float:
    match = _TIMEOUT.fullmatch(text or "0")
    if match is None:
        raise KubectlError("error: Invalid timeout value. Timeout must be a single integer in seconds, or an integer "
                           "followed by a corresponding time unit (e.g. 1s | 2m | 3h)")  # fmt: skip
    return int(match[1]) * _UNITS[match[2]]


class Later:
    """A transport that is made when the first request needs it."""

    def __init__(self, make: Callable[[], HttpsTransport]) -> None:
        self._make = make

    def handle(self, request: Request) -> Any:
        return self._make().handle(request)

    def kinds(self) -> tuple[Kind, ...]:
        return self._make().kinds()


class FromKubeconfig:
    """Connections as kubeconfig files and flags say. One that has been opened serves the lines that mean the same."""

    def __init__(self, files: Callable[[str], Kubeconfig] = from_environment) -> None:
        self._files = files
        self._open: dict[str, HttpsTransport] = {}

    def __call__(self, args: Arguments) -> Reached:
        """Raises KubectlError for flags that make no sense."""
        files, chosen = self._files(args.text("kubeconfig")), overrides(args)

        @functools.cache
        def server() -> HttpsTransport:
            transport = self._server(files, chosen)
            transport.refresh()
            return transport

        return Reached(
            client=Client(Later(server), WHOEVER), namespace=_namespace(files, chosen),
            wait=lambda until, timeout: server().wait(until, timeout), server=server, files=files,
        )  # fmt: skip

    def _server(self, files: Kubeconfig, chosen: Overrides) -> HttpsTransport:
        from k8snb.client.https import HttpsTransport

        try:
            files.require()
            endpoint = resolve(files.load(), chosen)
            key = repr(endpoint)
            if key not in self._open:
                self._open[key] = HttpsTransport(endpoint)
        except KubeconfigError as error:
            raise wrong(error) from None
        return self._open[key]

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()


def _namespace(files: Kubeconfig, chosen: Overrides) -> str:
    """The namespace that is meant; where the files are wrong, the first request tells."""
    try:
        config: Config = files.load()
    except KubeconfigError:
        return "default"
    context = config.contexts.get(chosen.context or config.current_context, {})
    return chosen.fields[CONTEXTS].get("namespace") or context.get("namespace") or "default"
