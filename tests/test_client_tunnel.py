"""The client's side of a protocol change: a connection that comes to nothing does not stay open."""

from __future__ import annotations

import asyncio

import pytest

from k8snb.client.restconfig import Endpoint
from k8snb.client.tunnel import upgraded

PATIENCE = 20.0  # seconds until a connection that is not closed fails the test

pytestmark = pytest.mark.process


async def refused(answer: bytes, *, through_proxy: bool) -> bytes:
    """Ask somebody who gives this answer and keeps the connection; what comes after the request."""
    rest: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        rest.set_result(await reader.read())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = "http://{}:{}".format(*server.sockets[0].getsockname())
    endpoint = Endpoint(server="http://127.0.0.1:1" if through_proxy else url, proxy=url if through_proxy else "")
    async with server:
        with pytest.raises(OSError, match=r"no HTTP came back|answered 403"):
            await upgraded(endpoint, None, "/exec", ())
        return await asyncio.wait_for(rest, PATIENCE)


@pytest.mark.parametrize("through_proxy", [False, True])
@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 x\r\n\r\n"])
def test_a_server_that_speaks_no_http_is_hung_up_on(answer: bytes, through_proxy: bool) -> None:
    assert asyncio.run(refused(answer, through_proxy=through_proxy)) == b""


def test_a_proxy_that_refuses_is_hung_up_on() -> None:
    assert asyncio.run(refused(b"HTTP/1.1 403 Forbidden\r\n\r\n", through_proxy=True)) == b""
