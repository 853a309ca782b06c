"""Clients that do not keep to HTTP, to the size or the pace that they should, or who are not who they say.

After each test another client, the pump and the client in the kernel are served at their usual speed, nothing has
failed in any log, and no connection, task, thread or watch is left behind.
Sources: RFC 9112 for what a server has to refuse; `apiserver/pkg/server/config.go` and `secure_serving.go`,
`apiserver/pkg/endpoints/handlers/rest.go` of the kubernetes repository for limits and words.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import os
import re
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from fuzz_lab import (
    BRISK,
    JSON,
    MAPS,
    PODS,
    Answer,
    Served,
    ask,
    config_map,
    connect,
    receive,
    request,
    send,
    served_cluster,
)

from k8snb.apiserver import Identity, connections, https, watch_stream
from k8snb.apiserver.connections import most_connections
from k8snb.clock import VirtualClock

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MEGABYTE = 1 << 20
MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served_cluster(tmp_path_factory.mktemp("fuzz")) as served:
        served.furnish()
        yield served


@pytest.fixture
def served(cluster: Served) -> Iterator[Served]:
    with cluster.left_behind():
        yield cluster
        cluster.check()
        cluster.furnish()


# HTTP itself

GET = f"GET {MAPS}/one HTTP/1.1\r\nHost: a\r\n"
POST = f"POST {MAPS} HTTP/1.1\r\nHost: a\r\nContent-Type: {JSON}\r\n"
MALFORMED = {
    "no HTTP": "hello\r\n\r\n",
    "no version": f"GET {MAPS}\r\n\r\n",
    "a version to come": f"GET {MAPS} HTTP/9.9\r\nHost: a\r\n\r\n",
    "a broken version": f"GET {MAPS} HTTP/one\r\nHost: a\r\n\r\n",
    "a method with blanks": f"G E T {MAPS} HTTP/1.1\r\nHost: a\r\n\r\n",
    "a NUL in the path": "GET /api/v1/\0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a NUL in a header": f"{GET}X-A: a\0b\r\n\r\n",
    "a header without a colon": f"{GET}X-A\r\n\r\n",
    "a blank before the colon": f"{GET}Content-Length : 0\r\n\r\n",
    "obs-fold": f"{GET}X-A: a\r\n b\r\n\r\n",
    "both lengths": f"{POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
    "two lengths": f"{POST}Content-Length: 2\r\nContent-Length: 20\r\n\r\n{{}}",
    "a negative length": f"{POST}Content-Length: -1\r\n\r\n{{}}",
    "a length with a sign": f"{POST}Content-Length: +2\r\n\r\n{{}}",
    "a length in words": f"{POST}Content-Length: two\r\n\r\n{{}}",
    "a length without end": f"{POST}Content-Length: {'9' * 400}\r\n\r\n{{}}",
    "a coding nobody knows": f"{POST}Transfer-Encoding: rot13\r\n\r\n{{}}",
    "chunked twice": f"{POST}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "a chunk's size in words": f"{POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n",
    "a negative chunk": f"{POST}Transfer-Encoding: chunked\r\n\r\n-2\r\n{{}}\r\n0\r\n\r\n",
    "a chunk too long": f"{POST}Transfer-Encoding: chunked\r\n\r\n1\r\n{{}}}}\r\n0\r\n\r\n",
    "a huge header": f"{GET}X-A: {'a' * MEGABYTE}\r\n\r\n",
    "a huge path": f"GET /{'a' * MEGABYTE} HTTP/1.1\r\nHost: a\r\n\r\n",
    "very many headers": GET + "".join(f"X-{number}: a\r\n" for number in range(20_000)) + "\r\n",
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_no_http_is_refused_at_once_and_the_connection_ends(served: Served, what: str) -> None:
    """RFC 9112: 400 (or 431, 501, 505), never an answer to what was smuggled behind it, and never a 200."""
    began = time.monotonic()
    answer = send(served, MALFORMED[what].encode())
    assert answer.status in (0, 400, 404, 413, 414, 431, 501, 505), answer.data[:300]
    assert len(re.findall(rb"HTTP/1\.\d \d\d\d ", answer.data)) <= 1
    assert b"Traceback" not in answer.data and len(answer.data) < 10_000
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("name", ["a%0Ab", "a%0D%0AX-A:b", "a%00b", "%2e%2e%2f..", "%E2%80%A8", "%FF%FE"])
def test_an_encoded_character_that_no_name_holds_is_answered_with_a_status(served: Served, name: str) -> None:
    for path in (f"{MAPS}/{name}", f"/api/v1/namespaces/{name}/configmaps/one"):
        answer = ask(served, "GET", path)
        assert (answer.status, answer.reason) in ((400, "BadRequest"), (403, "Forbidden"), (404, "NotFound"))


def test_a_client_that_speaks_no_tls_is_let_go(served: Served) -> None:
    for words in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + bytes(600), os.urandom(2000), b""):
        with socket.create_connection(("127.0.0.1", served.port), 5) as line, contextlib.suppress(OSError):
            line.sendall(words)
            line.shutdown(socket.SHUT_WR)
            while line.recv(4096):
                pass


def test_requests_that_come_at_once_are_answered_one_after_the_other(served: Served) -> None:
    with connect(served) as line:
        line.sendall(request("GET", f"{MAPS}/one") * 50)
        data = b""
        while data.count(b'"kind":"ConfigMap"') < 50 and (piece := line.recv(65536)):
            data += piece
    assert data.count(b"HTTP/1.1 200") == 50


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "OPTIONS", "PROPFIND", "FOO"])
def test_a_method_that_means_nothing_here_is_not_allowed(served: Served, method: str) -> None:
    answer = ask(served, method, f"{MAPS}/one")
    assert answer.status in (400, 404, 405)
    assert answer.status != 405 or answer.reason == "MethodNotAllowed"


def test_an_old_client_can_watch(served: Served) -> None:
    """HTTP/1.0 knows no chunks: the answer ends with the connection."""
    answer = send(served, f"GET {MAPS}?watch=1&timeoutSeconds=1 HTTP/1.0\r\n\r\n".encode())
    assert answer.status == 200
    assert answer.body.startswith(b'{"type":"ADDED"') and answer.body.endswith(b"}\n")


def test_asking_for_the_head_of_a_watch_does_not_begin_one(served: Served) -> None:
    assert ask(served, "HEAD", f"{MAPS}?watch=1").status == 200


# sizes


def test_a_body_that_is_too_long_is_refused_however_it_comes(served: Served) -> None:
    """3 MB, as `MaxRequestBodyBytes`; in upstream's words (`requestEntityTooLarge` in handlers/rest.go)."""
    body = b'{"data":{"k":"' + b"x" * (3 * MEGABYTE) + b'"}}'
    whole = ask(served, "POST", MAPS, body)
    head = f"{POST}Transfer-Encoding: chunked\r\n\r\n".encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in _cut(body, 60_000))
    for answer in (whole, send(served, head, chunks + b"0\r\n\r\n")):
        assert (answer.status, answer.reason) == (413, "RequestEntityTooLarge")
        assert answer.message == f"Request entity too large: limit is {3 * MEGABYTE}"


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def test_a_body_that_is_shorter_or_longer_than_its_length_harms_nobody(served: Served) -> None:
    body = config_map("lying")
    longer = send(served, request("POST", MAPS, body).replace(b"Content-Length: ", b"Content-Length: 9"), wait=0.5)
    assert longer.status == 0  # the rest is still awaited
    shorter = request("POST", MAPS, body).replace(f"Content-Length: {len(body)}".encode(), b"Content-Length: 5")
    answer = send(served, shorter)
    assert answer.status == 400


def test_a_packed_body_is_not_unpacked(served: Served) -> None:
    """Upstream reads no Content-Encoding in requests, so that 3 kB never become 3 GB."""
    import gzip

    body = gzip.compress(b"x" * (20 * MEGABYTE))
    answer = ask(served, "POST", MAPS, body, Content_Encoding="gzip")
    assert (answer.status, answer.reason) == (400, "BadRequest")


# slow clients


def test_a_client_that_never_ends_its_head_is_let_go(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ReadHeaderTimeout` is 32 s upstream; half a handshake counts like half a head."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    time.sleep(connections.SWEEP_SECONDS)
    with connect(served) as slow, socket.create_connection(("127.0.0.1", served.port), 10) as mute:
        slow.settimeout(10)
        began = time.monotonic()
        slow.sendall(b"GET / HT")
        assert _ends(slow) and _ends(mute)
        assert time.monotonic() - began < 2 * connections.SWEEP_SECONDS


def _ends(line: socket.socket) -> bool:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        return line.recv(100) == b""
    return True


def test_a_body_that_comes_too_slowly_is_given_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """`RequestTimeout` is 60 s upstream, and its answer a Timeout."""
    monkeypatch.setattr(https, "REQUEST_SECONDS", 0.5)
    answer = send(served, request("POST", MAPS, config_map("slow"))[:-10])
    assert (answer.status, answer.reason) == (504, "Timeout")
    assert "request did not complete within" in answer.message


def test_very_many_slow_bodies_take_no_place_from_others(served: Served) -> None:
    slow = [connect(served) for _ in range(most_connections() // 4)]
    for line in slow:
        line.sendall(request("POST", MAPS, config_map("slow"))[:-10])
    served.check()
    for line in slow:
        line.close()


def test_thousands_of_idle_connections_leave_room_for_whoever_comes(served: Served) -> None:
    idle = [socket.create_connection(("127.0.0.1", served.port), 10) for _ in range(most_connections() + 100)]
    served.check()
    began = time.monotonic()
    for _ in range(20):
        served.check()
    assert time.monotonic() - began < 20 * BRISK / 4
    for line in idle:
        line.close()


def test_a_watch_that_is_not_read_ends_before_it_costs_memory(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Upstream ends the watch of a client that cannot keep up (cacher/cache_watcher.go)."""
    monkeypatch.setattr(watch_stream, "BEHIND", 50)
    monkeypatch.setattr(watch_stream, "PARTING", 0.1)
    client = served.cluster.client
    with connect(served) as deaf:
        deaf.sendall(request("GET", f"{MAPS}?watch=1&fieldSelector=metadata.name=big"))
        time.sleep(0.3)
        client.create("configmaps", {"metadata": {"name": "big"}}, "default")
        for number in range(400):
            client.patch("configmaps", "big", {"data": {"n": str(number), "k": "x" * 100_000}}, "default")
        client.delete("configmaps", "big", "default")
        deadline = time.monotonic() + 5
        while _watches(served, "big") and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not _watches(served, "big")


def _watches(served: Served, name: str) -> int:
    hubs = served.cluster.apiserver.registry._hubs.values()
    return sum(len(hub._indexed.get(("metadata.name", name), ())) for hub in hubs)


def test_a_watch_whose_client_has_gone_is_noticed_though_nothing_happens(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_stream, "LOOK_SECONDS", 0.2)
    for _ in range(20):
        with connect(served) as line:
            line.sendall(request("GET", f"{MAPS}?watch=1&fieldSelector=metadata.name=nobody"))
            assert line.recv(100).startswith(b"HTTP/1.1 200")
    deadline = time.monotonic() + 5
    while _watches(served, "nobody") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _watches(served, "nobody")


def test_a_log_whose_follower_has_gone_is_read_no_longer(served: Served) -> None:
    for _ in range(5):
        with connect(served) as line:
            line.sendall(request("GET", f"{PODS}/bb/log?follow=true"))
            assert line.recv(100).startswith(b"HTTP/1.1 200")


def test_a_client_that_is_gone_before_its_answer_disturbs_nobody(served: Served) -> None:
    for number in range(50):
        with connect(served) as line:
            line.sendall(request("GET", f"{PODS}" if number % 2 else "/openapi/v2"))


# upgrades

WEBSOCKET = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
             "Sec_WebSocket_Key": base64.b64encode(bytes(16)).decode(),
             "Sec_WebSocket_Protocol": "v5.channel.k8s.io"}  # fmt: skip
SPDY = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X_Stream_Protocol_Version": "v4.channel.k8s.io"}
EXEC = f"{PODS}/bb/exec?command=sleep&command=1&stdin=1&stdout=1&stderr=1"
SPOILED = {
    "cut": b"",
    "noise": bytes(range(256)) * 40,
    "HTTP again": request("GET", MAPS) * 3,
    "a frame of 2^63 bytes": b"\x82\xff\x7f" + b"\xff" * 7 + b"mask",
    "a SPDY frame without end": b"\x80\x03\x00\x01\x00\xff\xff\xff" + bytes(1000),
    "headers that unpack without end": b"\x80\x03\x00\x01\x00\x00\x10\x00" + bytes(10) + b"\x78\xbb" + bytes(4000),
    "a stream that nobody opened": b"\x00\x00\x00\x63\x00\x00\x00\x04abcd",
    "pings": b"\x89\x80mask" * 500,
}  # fmt: skip


@pytest.mark.parametrize("way", [WEBSOCKET, SPDY], ids=["websocket", "spdy"])
@pytest.mark.parametrize("spoiled", SPOILED)
def test_an_upgrade_that_fails_half_way_ends_what_it_began(served: Served, way: dict[str, str], spoiled: str) -> None:
    for path in (EXEC, f"{PODS}/bb/portforward?ports=80", f"{PODS}/bb/attach?stdout=1"):
        with connect(served) as line:
            line.sendall(
                request("GET" if way is WEBSOCKET else "POST", path, **way).replace(b"Content-Length: 0\r\n", b"")
            )
            line.settimeout(1)
            with contextlib.suppress(OSError):
                line.recv(4096)
                line.sendall(SPOILED[spoiled])
                while line.recv(4096):
                    pass


def test_an_upgrade_that_cannot_be_is_a_bad_request(served: Served) -> None:
    for change in ({"Sec_WebSocket_Protocol": "v9"}, {"Sec_WebSocket_Version": "99"}, {"Sec_WebSocket_Key": "short"},
                   {"Upgrade": "h2c"}, {"Connection": "close"}):  # fmt: skip
        answer = ask(served, "GET", EXEC, **{**WEBSOCKET, **change})
        assert answer.status in (400, 403, 426), answer.data[:300]
    answer = ask(served, "POST", EXEC, **{**SPDY, "X_Stream_Protocol_Version": "v9"})
    assert answer.status in (400, 403)
    assert ask(served, "GET", f"{PODS}/none/exec?command=x", **WEBSOCKET).status == 404


# who asks


def strangers(served: Served) -> ssl.SSLContext:
    """TLS without a client certificate."""
    return ssl.create_default_context(cafile=str(served.authority))


def with_token(served: Served, token: str, path: str = f"{MAPS}/one", scheme: str = "Bearer") -> Answer:
    with connect(served, context=strangers(served)) as line:
        line.sendall(request("GET", path, Authorization=f"{scheme} {token}"))
        return receive(line)


def test_a_token_that_is_forged_or_old_is_unauthorized(served: Served) -> None:
    body = {"spec": {"expirationSeconds": 600}}
    asked = served.cluster.client.create_subresource("serviceaccounts", "default", "token", body, "default")
    good = asked["status"]["token"]
    assert with_token(served, good).status == 403  # known, but without rights
    head, claims, signature = good.split(".")
    past = jwt.decode(good, options={"verify_signature": False}) | {"exp": 1}
    own = jwt.encode(
        past | {"exp": 2**33}, "secret" * 8, algorithm="HS256", headers={"kid": jwt.get_unverified_header(good)["kid"]}
    )
    unsigned = jwt.encode(past | {"exp": 2**33}, None, algorithm="none")
    identity = served.cluster.identity
    old = identity.sign(past)
    forged = (own, unsigned, old, f"{head}.{claims}.", f"{head}.{claims}.{signature[:-4]}AAAA", "x", "...", "a.b.c",
              f"{head}.{base64.urlsafe_b64encode(b'{}').decode()}.{signature}", "x" * 60_000, "\udcff")  # fmt: skip
    for token in forged:
        answer = with_token(served, token)
        assert (answer.status, answer.reason, answer.message) == (401, "Unauthorized", "Unauthorized"), token[:80]
    for scheme in ("Basic", "Negotiate", "bearerx", ""):
        assert with_token(served, good, scheme=scheme).status == 401
    assert with_token(served, "").status == 401


def test_without_credentials_only_health_and_version_answer(served: Served) -> None:
    for path, status in ((MAPS, 401), ("/", 401), ("/openapi/v3", 401), ("/healthz", 200), ("/version", 200),
                         ("/healthz/../api/v1/secrets", 403), ("//healthz", 401)):  # fmt: skip
        with connect(served, context=strangers(served)) as line:
            line.sendall(request("GET", path))
            answer = receive(line)
        assert answer.status == status, path


def test_a_client_certificate_that_is_forged_or_old_opens_nothing(served: Served, tmp_path: Path) -> None:
    """Upstream lets TLS finish and answers 401; Python's TLS refuses the handshake. Either way nobody gets in."""
    stranger = Identity(VirtualClock()).issue_client("kubernetes-admin", ["system:masters"])
    old = _expired(served)
    for number, (certificate, key) in enumerate((stranger, old)):
        pair = tmp_path / f"{number}.pem"
        pair.write_text(certificate + key)
        context = strangers(served)
        context.load_cert_chain(pair)
        with contextlib.suppress(OSError), connect(served, context=context) as line:
            line.sendall(request("GET", f"{MAPS}/one"))
            assert receive(line).status in (0, 401)


def _expired(served: Served) -> tuple[str, str]:
    """A certificate of the cluster's own authority whose time is over."""
    identity = served.cluster.identity
    past = Identity.__new__(Identity)
    past.__dict__.update(identity.__dict__)
    then = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=20 * 365)
    past.__dict__["_clock"] = VirtualClock(then.timestamp())
    return past.issue_client("kubernetes-admin", ["system:masters"])


def test_a_user_without_rights_is_told_what_was_forbidden(served: Served) -> None:
    """`forbiddenMessage` in apiserver/pkg/endpoints/handlers/responsewriters/errors.go."""
    refused = (("GET", f"{MAPS}/one", 'get resource "configmaps"'), ("DELETE", MAPS, "deletecollection"),
               ("PATCH", f"{MAPS}/one", "patch"), ("GET", f"{MAPS}?watch=1", "watch"))  # fmt: skip
    for method, path, verb in refused:
        answer = ask(served, method, path, b"{}" if method == "PATCH" else b"", MERGE, Impersonate_User="nobody")
        assert (answer.status, answer.reason) == (403, "Forbidden")
        assert f'User "nobody" cannot {verb}' in answer.message
    answer = ask(served, "GET", "/openapi/v2", Impersonate_User="system:anonymous")
    assert (answer.status, answer.message) == (403, 'forbidden: User "system:anonymous" cannot get path "/openapi/v2"')
