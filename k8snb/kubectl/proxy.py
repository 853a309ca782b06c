"""kubectl proxy: the apiserver on a port of this machine, without certificates.

Interface: `COMMANDS`; what is answered is a `Proxy`: it goes on behind the cell, until `stop()` or the cluster's end.
The rule not to break: whoever reaches the port is who kubectl is; so it listens on the loopback address, and to hosts
and paths that were agreed to.
Source: `kubectl/pkg/proxy/proxy_server.go`.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from k8snb.kubectl import proxy_streams
from k8snb.kubectl.grammar import BOOL, INT, Arguments, Command, Flag
from k8snb.kubectl.output import KubectlError, Output
from k8snb.kubectl.raw import server_of
from k8snb.kubectl.session import Session

if TYPE_CHECKING:
    from aiohttp import web

    from k8snb.client import User
    from k8snb.client.https import HttpsTransport

DEFAULT_HOSTS = r"^localhost$,^127\.0\.0\.1$,^\[::1\]$"
DEFAULT_PATHS = "^.*"
NO_PATHS = "^/api/.*/pods/.*/exec,^/api/.*/pods/.*/attach"
NO_METHODS = "^$"
HIGHEST = 0xFFFF
PARTING = 0.5  # seconds for connections to end
HOP_BY_HOP = ("connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
              "authorization", "content-encoding", "accept-encoding")  # fmt: skip


@dataclass(frozen=True)
class Filter:
    """What may be asked, and by which name of this machine."""

    accept_hosts: tuple[re.Pattern[str], ...]
    accept_paths: tuple[re.Pattern[str], ...]
    reject_paths: tuple[re.Pattern[str], ...]
    reject_methods: tuple[re.Pattern[str], ...]

    def allows(self, method: str, path: str, host: str) -> bool:
        name = re.sub(r":\d+$", "", host)
        if _any(self.reject_paths, path) or _any(self.reject_methods, method):
            return False
        return _any(self.accept_paths, path) and _any(self.accept_hosts, name)


def _any(patterns: tuple[re.Pattern[str], ...], text: str) -> bool:
    return any(pattern.search(text) for pattern in patterns)


class Proxy(Output):
    """A port that is open until `stop()`, or the cluster's end. Raises KubectlError where it cannot be had."""

    def __init__(self, make: Any, address: str, port: int, socket: str) -> None:
        super().__init__()
        from k8snb.ioloop import IoLoop, why

        self.handled: list[str] = []
        self.stopped = False
        self._loop = IoLoop()
        try:
            self._runner, self.address = self._loop.call(_listen(make, address, port, socket)).result()
        except OSError as error:
            self._loop.close()
            raise KubectlError(f"error: listen {socket or f'tcp {address}:{port}'}: bind: {why(error)}") from None
        self.text = f"Starting to serve on {self.address}\n"

    @property
    def addresses(self) -> list[str]:
        return [self.address]

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    def stop(self) -> None:
        """Close the port and its connections."""
        if not self.stopped:
            self.stopped = True
            self._loop.call(self._runner.cleanup()).result()
        if threading.current_thread().name != "k8snb-pump":
            self._loop.close()


async def _listen(make: Any, address: str, port: int, socket: str) -> tuple[Any, str]:
    from aiohttp import web

    runner = web.AppRunner(make(), access_log=None, handle_signals=False, shutdown_timeout=PARTING)
    await runner.setup()
    try:
        if socket:
            await web.UnixSite(runner, socket).start()
            return runner, socket
        await web.TCPSite(runner, address, port).start()
    except OSError:
        await runner.cleanup()
        raise
    host, number = runner.addresses[0][:2]
    return runner, f"[{host}]:{number}" if ":" in host else f"{host}:{number}"


class _Relay:
    """Hands each request on to the server, and its answer back as it comes."""

    def __init__(
        self, server: HttpsTransport, user: User, allowed: Filter, prefix: str, *, appending: bool
    ) -> None:  # fmt: skip
        self._server, self._user, self._filter = server, user, allowed
        self._prefix, self._appending = prefix, appending
        parts = urlsplit(server.endpoint.server)
        self._base, self._below = f"{parts.scheme}://{parts.netloc}", parts.path

    async def answer(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        if not self._filter.allows(request.method, request.path, request.host):
            return web.Response(status=403, text="Forbidden\n")
        if not request.raw_path.startswith(self._prefix):
            return web.Response(status=404, text="404 page not found\n")
        path = "/" + request.raw_path.removeprefix(self._prefix).lstrip("/")
        path = self._below + path if self._appending else path
        if "upgrade" in request.headers.get("Connection", "").lower():
            return await proxy_streams.pass_on(request, self._server, path, self._user)
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP]
        return await self._relay(request, path, headers)

    async def _relay(self, request: web.Request, path: str, headers: list[tuple[str, str]]) -> web.StreamResponse:
        from aiohttp import web

        from k8snb.client import Unreachable

        try:
            body, base = await request.read(), self._base
            head, pieces = await self._server.relay(request.method, path, body, headers, self._user, base=base)
        except Unreachable as error:
            return web.Response(status=502, text=f"{error.message}\n")
        response = web.StreamResponse(status=head.status)
        for name, value in head.headers.items():
            if name not in HOP_BY_HOP:
                response.headers[name] = value
        await response.prepare(request)
        async for piece in pieces:
            await response.write(piece)
        await response.write_eof()
        return response


def run(session: Session, args: Arguments) -> Output:
    server, prefix = server_of(session), "/" + args.text("api-prefix").strip("/")
    port, folder = args.number("port"), args.text("www")
    if not 0 <= port <= HIGHEST:
        raise KubectlError(f"error: listen tcp: address {port}: invalid port")
    if folder and not Path(folder).is_dir():
        raise KubectlError(f"error: stat {folder}: no such file or directory")
    relay = _Relay(server, session.client.user, _filter(args), prefix if prefix == "/" else f"{prefix}/",
                   appending=args.on("append-server-path"))  # fmt: skip

    def make() -> web.Application:
        from aiohttp import web

        app = web.Application(client_max_size=1 << 30)
        if folder:
            app.router.add_static("/" + args.text("www-prefix").strip("/"), folder, show_index=True)
        app.router.add_route("*", "/{path:.*}", relay.answer)
        return app

    proxy = Proxy(make, args.text("address"), port, args.text("unix-socket"))
    session.keep(proxy)
    return proxy


def _filter(args: Arguments) -> Filter:
    if args.on("disable-filter"):
        every = (re.compile(""),)
        return Filter(every, every, (), ())
    return Filter(*(_patterns(args, name) for name in ("accept-hosts", "accept-paths", "reject-paths",
                                                       "reject-methods")))  # fmt: skip


def _patterns(args: Arguments, name: str) -> tuple[re.Pattern[str], ...]:
    try:
        return tuple(re.compile(text) for text in args.text(name).split(",") if text)
    except re.error as error:
        raise KubectlError(f"error: --{name}: error parsing regexp: {error}") from None


COMMANDS = (
    Command(
        name="proxy",
        usage="[--port=PORT] [--api-prefix=PREFIX] [--www=DIRECTORY] [--www-prefix=PREFIX] [flags]",
        help="Serve the apiserver on a port of this machine.",
        group="Troubleshooting and Debugging Commands",
        run=run,
        flags=(
            Flag("port", INT, "The port to listen on; 0 for any free one.", short="p", default=8001),
            Flag("address", help="The IP address to listen on.", default="127.0.0.1"),
            Flag("unix-socket", help="A Unix socket to listen on instead.", short="u"),
            Flag("api-prefix", help="Where the API begins.", default="/"),
            Flag("www", help="A directory with files to serve as well.", short="w"),
            Flag("www-prefix", help="Where those files begin.", short="P", default="/static/"),
            Flag("accept-hosts", help="Expressions for the host names that may be asked by.", default=DEFAULT_HOSTS),
            Flag("accept-paths", help="Expressions for the paths that may be asked for.", default=DEFAULT_PATHS),
            Flag("reject-paths", help="Expressions for paths that may not, even so.", default=NO_PATHS),
            Flag("reject-methods", help="Expressions for HTTP methods that may not be used.", default=NO_METHODS),
            Flag("disable-filter", BOOL, "Accept everything. Other programs, and pages, can then use the port."),
            Flag("append-server-path", BOOL, "Begin each path with that of the server's URL in the kubeconfig."),
        ),
        missing=("keepalive",),
        examples=("kubectl proxy", "kubectl proxy --port=0", "kubectl proxy --api-prefix=/k8s-api"),
    ),
)  # fmt: skip
