"""ASGI scopes to values and back: bare, as other servers hand them over, and mounted in Starlette."""

from __future__ import annotations

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.runtime.harness import exchange, serving
from tongbao.runtime.server import Listener
from tongbao.wire.asgi import Gone, Message, Scope, TooLarge, make_request, peer, plain, read_body
from tongbao.wire.http import Request, Response, text

SCOPE: Scope = {
    "type": "http",
    "method": "POST",
    "scheme": "https",
    "path": "/通 知",
    "raw_path": b"/%E9%80%9A%20%E7%9F%A5",
    "query_string": b"a=%C4%E3&a=2",
    "headers": [(b"host", b"shop.example"), (b"x-a", b"1"), (b"x-a", b"2")],
    "client": ("192.0.2.1", 1234),
    "server": ("127.0.0.1", 8000),
}


def read(messages: list[Message], limit: int = 4) -> bytes:
    async def receive() -> Message:
        return messages.pop(0)

    return asyncio.run(read_body(receive, limit))


def part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_scope_becomes_exactly_one_value() -> None:
    """Raw path and query, every header in order, the peer's address."""
    assert make_request(SCOPE, b"x") == Request(
        "POST",
        "https",
        "shop.example",
        b"/%E9%80%9A%20%E7%9F%A5",
        b"a=%C4%E3&a=2",
        ((b"host", b"shop.example"), (b"x-a", b"1"), (b"x-a", b"2")),
        b"x",
    )
    assert peer(SCOPE) == "192.0.2.1"


def test_what_the_server_knows_more_is_taken() -> None:
    """Names in their own case and the client's certificate."""
    scope = {**SCOPE, "extensions": {"raw_headers": [(b"Host", b"b")], "tls": {"client_cert_der": b"der"}}}
    request = make_request(scope, b"")
    assert (request.headers, request.host, request.peer_cert) == (((b"Host", b"b"),), "b", b"der")


def test_servers_that_say_less_are_understood() -> None:
    """No raw path, a query within it, no Host, no client: what ASGI allows to be absent."""
    scope = {**SCOPE, "headers": [], "client": None}
    assert make_request(scope, b"").host == "127.0.0.1:8000"
    assert peer(scope) == ""
    assert make_request({**scope, "raw_path": b"/a?b"}, b"").raw_path == b"/a"
    assert make_request({**scope, "raw_path": None, "path": "/a"}, b"").raw_path == b"/a"


def test_F36_body_in_parts_cut_or_too_long() -> None:
    """Whole or not at all."""
    assert read([part(b"ab", more=True), part(b"", more=True), part(b"cd", more=False)]) == b"abcd"
    with pytest.raises(TooLarge):
        read([part(b"ab", more=True), part(b"cde", more=True)])
    with pytest.raises(Gone):
        read([part(b"ab", more=True), {"type": "http.disconnect"}])


def test_answers_get_a_length_and_keep_their_names() -> None:
    """What goes to the server is what the handler gave, and how long it is."""
    sent: list[Message] = []

    async def handler(request: Request, caller: str) -> Response:
        return Response(200, ((b"X-Odd", b"1"),), request.body)

    def call(body: bytes, limit: int) -> list[Message]:
        async def receive() -> Message:
            return part(body, more=False)

        async def send(message: Message) -> None:
            sent.append(message)

        sent.clear()
        asyncio.run(plain_call(receive, send, limit))
        return sent

    async def plain_call(receive: object, send: object, limit: int) -> None:
        await plain(handler, limit)(SCOPE, receive, send)  # type: ignore[arg-type]

    start, body = call(b"abc", 3)
    assert start == {
        "type": "http.response.start",
        "status": 200,
        "headers": [(b"X-Odd", b"1"), (b"Content-Length", b"3")],
    }
    assert body == {"type": "http.response.body", "body": b"abc"}
    assert call(b"abcd", 3)[0]["status"] == 413


def test_mounted_in_starlette_the_bytes_are_the_same() -> None:
    """A prefix, %2F, doubled keys, GBK, a byte order mark: nothing is decoded on the way."""
    seen: list[Request] = []

    async def handler(request: Request, caller: str) -> Response:
        seen.append(request)
        return text("true")

    data = (
        b"POST /face/a%2Fb?x=%C4%E3&x=+ HTTP/1.1\r\nhOst: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
        b"\xef\xbb\xbf\xc4\xe3"
    )
    mounted = Starlette(routes=[Mount("/face", app=plain(handler))])
    with serving([Listener("127.0.0.1", 0, mounted), Listener("127.0.0.1", 0, plain(handler))]) as found:
        assert exchange(found[0], data).endswith(b"true")
        assert exchange(found[1], data).endswith(b"true")
    assert seen[0] == seen[1]
    assert (seen[0].raw_path, seen[0].raw_query) == (b"/face/a%2Fb", b"x=%C4%E3&x=+")
    assert seen[0].body == b"\xef\xbb\xbf\xc4\xe3"
