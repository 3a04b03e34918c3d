"""Starlette over a real server and a raw socket: the message arrives byte for byte, the answer leaves as it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.merchant.conftest import Shop, make_shop
from tests.support.clock import NOW
from tongbao.contrib.starlette import make_response, notify_handler, read_request, return_handler
from tongbao.merchant.book import OrderTable
from tongbao.merchant.database import Database
from tongbao.merchant.endpoint import MESSAGE_BYTES_MAX
from tongbao.merchant.order import OrderState
from tongbao.merchant.receiver import AsyncReceiver
from tongbao.merchant.verdict import ReturnSeen
from tongbao.wire import http


@asynccontextmanager
async def serving(application: Any) -> AsyncIterator[int]:
    """The application on a free loopback port."""
    config = uvicorn.Config(application, host="127.0.0.1", port=0, lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - it offers no event
        await asyncio.sleep(0)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def talk(port: int, raw: bytes) -> bytes:
    """Send raw bytes; everything that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def message(target: bytes, body: bytes, *headers: bytes) -> bytes:
    lines = [b"POST " + target + b" HTTP/1.1", b"Host: Shop.Example:81", b"Connection: close", *headers]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body


BODIES = [
    b"subject=%B2%E2%CA%D4&body=\xb2\xe2\xca\xd4&plus=a+b%2B",
    b"a=1&a=2&a=1&=&&b",
    b"\xef\xbb\xbfa=%EF%BB%BF",
    b"notify_id=Rq%252Fvw%2fx%00y&sign=",
    b"\x00\xff\xfe\r\n\r\n{",
    b"",
]


@pytest.mark.slow
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    "target", [b"/a%2Fb/notify?x=%C4%E3&x=2&y=+%2b", b"/notify/", b"//notify?", b"/n;p=1?a=/?b=1", b"/%e6%b5%8b"]
)
def test_the_law_of_adapters_every_byte_arrives(body: bytes, target: bytes) -> None:
    """GBK, %2F, duplicate keys, a BOM, NUL: path, query, headers and body are what was sent."""
    seen: list[http.Request] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(await read_request(Request(scope, receive)))
        await Response("x")(scope, receive, send)

    async def main() -> None:
        async with serving(application) as port:
            await talk(port, message(target, body, b"X-Twice: one", b"X-Twice: t\xe9wo"))

    asyncio.run(main())
    path, _, query = target.partition(b"?")
    headers = (
        (b"host", b"Shop.Example:81"),
        (b"connection", b"close"),
        (b"x-twice", b"one"),
        (b"x-twice", b"t\xe9wo"),
        (b"content-length", str(len(body)).encode()),
    )
    assert seen == [http.Request("POST", "http", "Shop.Example:81", path, query, headers, body)]


def test_a_body_without_end_is_cut(sqlite_database: Database) -> None:
    """Reading stops just past the cap, and the acceptance refuses it as too long."""
    answer, shop = exchange(sqlite_database, b"a" * (MESSAGE_BYTES_MAX * 3))
    assert answer.endswith(b"\r\n\r\nno")
    assert shop.rows("SELECT step, reason FROM payment_invalid") == [{"step": 1, "reason": "TOO_LARGE"}]


def exchange(database: Database, body: bytes | None = None) -> tuple[bytes, Shop]:
    """One notification through Starlette; the raw answer."""
    shop = make_shop(database)
    shop.order()
    shop.platform.trade("A1")
    body = shop.platform.notify("A1", at=NOW).body if body is None else body

    async def main() -> bytes:
        receiver = AsyncReceiver(
            [shop.endpoint], OrderTable(), database, apply=shop.apply, clock=shop.clock, send=shop.platform.send
        )
        watched: list[Any] = []
        routes = [Route("/notify", notify_handler(receiver, watched.append), methods=["GET", "POST"])]
        async with serving(Starlette(routes=routes)) as port:
            answer = await talk(port, message(b"/notify", body))
        assert len(watched) == 1
        return answer

    return asyncio.run(main()), shop


def test_a_notification_through_starlette(sqlite_database: Database) -> None:
    """The order is paid, and the answer is the protocol's word with exactly our headers."""
    answer, shop = exchange(sqlite_database)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b"yes"
    lines = head.lower().split(b"\r\n")
    assert lines[0].startswith(b"http/1.1 200")
    assert b"content-length: 3" in lines
    assert b"content-type: text/plain; charset=utf-8" in lines
    assert shop.stored().state is OrderState.PAID


def test_T31_a_return_through_starlette_shows_what_is_known(sqlite_database: Database) -> None:
    """The page gets what may be shown; the platform's answer, not the return, decides."""
    shop = make_shop(sqlite_database)
    shop.order()
    shop.platform.trade("A1")
    query = shop.platform.body(shop.platform.fields("A1", at=NOW, role="return"))

    async def page(request: Request, seen: ReturnSeen) -> Response:
        return PlainTextResponse(f"{seen.order_no} {seen.shown}")

    async def main() -> list[bytes]:
        receiver = AsyncReceiver(
            [shop.endpoint], OrderTable(), sqlite_database, clock=shop.clock, send=shop.platform.send
        )
        routes = [
            Route("/return", return_handler(receiver, page, inquire=False)),
            Route("/elsewhere", return_handler(receiver, page)),
        ]
        answers = []
        async with serving(Starlette(routes=routes)) as port:
            for path in (b"/return?", b"/elsewhere?"):
                raw = b"GET " + path + query + b" HTTP/1.1\r\nHost: s\r\nConnection: close\r\n\r\n"
                answers.append((await talk(port, raw)).rpartition(b"\r\n\r\n")[2])
        return answers

    assert asyncio.run(main()) == [b"A1 confirming", b" unknown"]
    assert shop.stored().state is OrderState.PENDING


def test_an_answer_keeps_its_headers() -> None:
    """Only a missing length is added."""
    made = make_response(http.Response(201, ((b"X-One", b"1"), (b"X-One", b"2")), b"body"))
    assert made.status_code == 201
    assert made.raw_headers == [(b"x-one", b"1"), (b"x-one", b"2"), (b"content-length", b"4")]
