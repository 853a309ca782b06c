"""dashboard: the add-on that serves a web page for the cluster: what there is, live, with logs, events and some verbs.

Interface: `DashboardAddon`, an `Addon`; `link()` gives a URL that logs a browser in once.
The rule not to break: without a session nothing but the empty page is answered; the page is a client of the apiserver's
HTTPS door like any other, with a service account's token that never leaves this process.
Source: the page is our own; kubernetes/dashboard and minikube's add-on of that name do the same, with a Deployment.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from contextlib import suppress
from importlib import resources
from typing import TYPE_CHECKING

import aiohttp
from aiohttp import web
from yarl import URL

from k8snb.addons import MANAGER
from k8snb.addons.objects import ensure, remove
from k8snb.ioloop import IoLoop, Spot, bind_first

if TYPE_CHECKING:
    from collections.abc import Iterator

    from k8snb.addons import Ground
    from k8snb.apimachinery.meta import Object

LOOPBACK = "127.0.0.1"
SESSION = "X-K8snb-Session"  # a header of our own: no other site's page can send it, as it could send a cookie
OPEN_LINKS = 16  # how many links may wait to be used
TOKEN_SECONDS = 3600
RENEWED_AFTER = TOKEN_SECONDS / 2
CLOSING = 5.0
ACCOUNT, NAMESPACE = "kubernetes-dashboard", "kube-system"
FILES = {"": "text/html", "style.css": "text/css", "app.js": "text/javascript", "api.js": "text/javascript",
         "views.js": "text/javascript", "dom.js": "text/javascript"}  # fmt: skip
_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
ACCEPT = "X-K8snb-Accept"  # stands in for Accept where that is what a proxy on the way wants to see
_PASSED_BACK = ("Content-Type", "Warning", "Audit-Id")


class DashboardAddon:
    """The page, its sessions, and the way from them to the apiserver."""

    def __init__(self) -> None:
        self.spot: Spot = (LOOPBACK, 0)
        self._io = IoLoop()
        self._links: dict[str, None] = {}
        self._sessions: set[str] = set()
        self._runner: web.ServerRunner | None = None
        self._client: aiohttp.ClientSession | None = None
        self._token = ("", float("-inf"))

    def enable(self, cluster: Ground) -> None:
        if cluster.clock.virtual:
            raise ValueError("a browser needs a cluster in real time: this one has a virtual clock")
        self._cluster = cluster
        ensure(cluster.client_for(MANAGER), _objects())
        self._door = cluster.serve()
        trust = ssl.create_default_context(cadata=cluster.apiserver.identity.root_ca)
        bound = bind_first(socket.SOCK_STREAM, [self.spot, (LOOPBACK, 0)])
        self.spot = bound.spot
        self._io.call(self._open(bound.sock, trust)).result(CLOSING)

    def stop(self) -> None:
        self._links.clear()
        self._sessions.clear()
        self._token = ("", float("-inf"))
        if self._io.running:
            with suppress(TimeoutError):
                self._io.call(self._close()).result(CLOSING)
        self._io.close()

    def disable(self) -> None:
        self.stop()
        remove(self._cluster.client_for(MANAGER), _objects())

    def link(self, base: str = "") -> str:
        """A URL that logs a browser in, once. `base` is where a proxy in front shows the page, "" = straight here."""
        key = secrets.token_urlsafe(24)
        self._links[key] = None
        while len(self._links) > OPEN_LINKS:
            del self._links[next(iter(self._links))]
        return f"{base or f'http://{self.spot[0]}:{self.spot[1]}/'}#login={key}"

    # on the I/O loop

    async def _open(self, sock: socket.socket, trust: ssl.SSLContext) -> None:
        connector = aiohttp.TCPConnector(limit=0, ssl=trust)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CLOSING)
        self._client = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        server = web.Server(self._serve, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.SockSite(self._runner, sock).start()

    async def _close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._client is not None:
            await self._client.close()
        await asyncio.get_running_loop().shutdown_default_executor()

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path.removeprefix("/")
        if path in FILES and request.method in ("GET", "HEAD"):
            return _file(path)
        if path == "login" and request.method == "POST":
            return await self._login(request)
        if not self._is_known(request.headers.get(SESSION, "")):
            return _refusal(401, "the dashboard needs a login: %kcluster dashboard gives a link")
        if path == "cluster":
            return web.json_response({"name": self._cluster.name, "runtime": self._cluster.runtime_name})
        if path.startswith("k8s/"):
            return await self._ask_apiserver(request)
        return _refusal(404, f"there is no /{path}")

    async def _login(self, request: web.BaseRequest) -> web.Response:
        """A key that is open is exchanged for a session, and is open no more."""
        key = (await request.read()).decode(errors="replace")
        if key not in self._links:
            return _refusal(
                401, "this link has been used, or the cluster was stopped: %kcluster dashboard gives another"
            )
        del self._links[key]
        session = secrets.token_urlsafe(24)
        self._sessions.add(session)
        return web.json_response({"session": session}, headers=_SECURITY)

    def _is_known(self, session: str) -> bool:
        given = session.encode()
        return any(secrets.compare_digest(given, known.encode()) for known in self._sessions)

    async def _ask_apiserver(self, request: web.BaseRequest) -> web.StreamResponse:
        assert self._client is not None
        body = await request.read() if request.can_read_body else None
        headers = {
            "Authorization": f"Bearer {await self._bearer()}",
            "Accept": request.headers.get(ACCEPT) or request.headers.get("Accept") or "application/json",
            "Content-Type": request.headers.get("Content-Type") or "application/json",
        }
        url = URL(self._door + request.raw_path[len("/k8s") :], encoded=True)
        try:
            async with self._client.request(
                request.method, url, headers=headers, data=body, allow_redirects=False
            ) as answer:
                return await _pour(request, answer)
        except aiohttp.ClientError as error:
            return _refusal(502, f"the apiserver does not answer: {error}")

    async def _bearer(self) -> str:
        """The service account's token; a new one when half of its time is over."""
        token, since = self._token
        now = asyncio.get_running_loop().time()
        if now - since > RENEWED_AFTER:
            token = await asyncio.to_thread(self._new_token)
            self._token = (token, now)
        return token

    def _new_token(self) -> str:
        wanted = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
                  "spec": {"expirationSeconds": TOKEN_SECONDS}}  # fmt: skip
        client = self._cluster.client_for(MANAGER)
        made = client.create_subresource("serviceaccounts", ACCOUNT, "token", wanted, NAMESPACE)
        token: str = made["status"]["token"]
        return token


async def _pour(request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """Pass an answer on as it comes: a watch or a log has no end."""
    response = web.StreamResponse(status=answer.status)
    for name in _PASSED_BACK:
        for value in answer.headers.getall(name, ()):
            response.headers.add(name, value)
    response.headers.update(_SECURITY)
    await response.prepare(request)
    try:
        async for piece in answer.content.iter_any():
            await response.write(piece)
        await response.write_eof()
    except (aiohttp.ClientError, ConnectionError):
        if request.transport is not None:
            request.transport.close()
    return response


def _file(path: str) -> web.Response:
    text = resources.files(__package__).joinpath("page", path or "index.html").read_text("utf-8")
    return web.Response(text=text, content_type=FILES[path], charset="utf-8", headers=_SECURITY)


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "code": status, "message": message}, status=status, headers=_SECURITY)


def _objects() -> Iterator[tuple[str, Object]]:
    yield "serviceaccounts", {"metadata": {"name": ACCOUNT, "namespace": NAMESPACE}}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    yield "clusterrolebindings", {"metadata": {"name": ACCOUNT}, "roleRef": role, "subjects": [subject]}
