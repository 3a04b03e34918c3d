"""Faces over real sockets, as old hand-written clients of the field use them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.web.house import (
    BUYER,
    MERCHANT,
    NOTIFY,
    PROTOCOL,
    House,
    house,
    listening,
    run,
    speak,
)
from tongbao.kernel.money import Money
from tongbao.runtime.server import Address
from tongbao.service import checkout
from tongbao.web.app import build_web
from tongbao.web.faces.page import PlainPages
from tongbao.wire.loader import load_protocol
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import CreateTrade, Product

Test = Callable[[House, Address, Address], Awaitable[None]]


def play(folder: Path, test: Test) -> None:
    """``test`` with the address of the main listener and the one of the face's own."""

    async def main() -> None:
        async with house(folder) as home:
            web = build_web(home.platform, PlainPages())
            async with listening(web.main, web.faces[PROTOCOL]) as (first, second):
                await test(home, first, second)

    run(main)


def creation(home: House) -> tuple[bytes, bytes]:
    """(query, body) of a signed creation."""
    intent = CreateTrade(
        merchant=MERCHANT,
        out_trade_no="A1",
        product=Product.INSTANT,
        subject="茶",
        amount=Money(1_000),
        notify_url=NOTIFY,
        seller=Party(login="seller@example.com"),
    )
    request = load_protocol(PROTOCOL).client.encode(intent, home.credentials, home.world.clock.wire()).request()
    return request.raw_query, request.body


async def paid_notice(home: House, address: Address, prefix: str) -> str:
    """Create over the socket, pay at the platform, and return the id of the notification of it."""
    query, body = creation(home)
    head = f"POST {prefix}/gateway.do?".encode() + query + b" HTTP/1.0\r\n"
    head += b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(body)
    answer = await speak(address, head + body)
    assert answer.startswith((b"HTTP/1.1 302 Found\r\n", b"HTTP/1.0 302 "))
    trade = await home.platform.find_trade(MERCHANT, "A1")
    await checkout.pay_from_balance(home.platform, trade, await home.platform.buyer(BUYER), "741852")
    trade = await home.platform.find_trade(MERCHANT, "A1")
    return home.platform.seal.event_id(trade.trade_no, trade.version)


def test_an_old_shop_asks_line_by_line_over_http_1_0(tmp_path: Path) -> None:
    """The classic shop's fsockopen client: POST, HTTP/1.0, no Host, reads lines until the end, keeps the last line."""

    async def test(home: House, main: Address, own: Address) -> None:
        word = await paid_notice(home, own, "")
        form = f"service=notify_verify&partner={MERCHANT}&notify_id={word}".encode()
        reader, writer = await asyncio.open_connection(own.host, own.port)
        writer.write(b"POST /gateway.do HTTP/1.0\r\n")
        writer.write(b"Content-type: application/x-www-form-urlencoded\r\n")
        writer.write(b"Content-length: %d\r\nConnection: close\r\n\r\n" % len(form))
        writer.write(form + b"\r\n\r\n")
        lines = []
        while line := await reader.readline():
            lines.append(line)
        writer.close()
        await writer.wait_closed()
        assert b" 200 " in lines[0]
        assert b"Content-Length: 4\r\n" in lines
        assert not any(line.lower().startswith(b"transfer-encoding") for line in lines)
        blank = lines.index(b"\r\n")
        assert lines[blank + 1 :] == [b"true"]

    play(tmp_path, test)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("path", [b"/gateway.do", b"/cooperate/gateway.do", b"/trade/notify_query.do"])
def test_answers_are_exact_to_the_byte(tmp_path: Path, version: bytes, path: bytes) -> None:
    """At the prefix and at the face's own root, GET and POST, a false id is answered by five bytes and a length."""

    async def test(home: House, main: Address, own: Address) -> None:
        form = f"service=notify_verify&partner={MERCHANT}&notify_id=nothing".encode()
        host = b"Host: mapi.alipay.com\r\n" if version == b"1.1" else b""
        for address, prefix in ((main, f"/{PROTOCOL}".encode()), (own, b"")):
            posted = await speak(
                address,
                b"POST %s%s HTTP/%s\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s"
                % (prefix, path, version, host if not prefix else host.replace(b"mapi", b"any"), len(form), form),
            )
            got = await speak(
                address,
                b"GET %s%s?%s HTTP/%s\r\n%sConnection: close\r\n\r\n"
                % (prefix, path, form, version, host if not prefix else host.replace(b"mapi", b"any")),
            )
            for answer in (posted, got):
                head, _, body = answer.partition(b"\r\n\r\n")
                assert body == b"false"
                assert b"Content-Length: 5" in head.split(b"\r\n")
                assert b"chunked" not in head.lower()

    play(tmp_path, test)


def test_the_original_host_name_finds_the_face(tmp_path: Path) -> None:
    """With a hosts file a client speaks to the main address by the name the gateway once had, without the prefix."""

    async def test(home: House, main: Address, own: Address) -> None:
        form = f"service=notify_verify&partner={MERCHANT}&notify_id=nothing".encode()
        request = b"GET /gateway.do?%s HTTP/1.1\r\nHost: mapi.alipay.com\r\nConnection: close\r\n\r\n" % form
        assert (await speak(main, request)).endswith(b"\r\n\r\nfalse")
        other = request.replace(b"mapi.alipay.com", b"pay.example.com")
        assert (await speak(main, other)).startswith(b"HTTP/1.1 421 ")

    play(tmp_path, test)


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length : 5\r\n",
        b"Content-Length: 99999999\r\n",
    ],
)
def test_T66_two_ways_to_read_a_body_are_refused(tmp_path: Path, framing: bytes) -> None:
    """An ambiguous or impossible length is answered by an error and a close; what follows is never a second request."""

    async def test(home: House, main: Address, own: Address) -> None:
        smuggled = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        request = b"POST /alipay_mapi/gateway.do HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n0\r\n\r\n" + smuggled
        answer = await speak(main, request)
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 "))
        assert answer.count(b"HTTP/1.1") == 1

    play(tmp_path, test)


def test_F36_a_cut_body_opens_nothing(tmp_path: Path) -> None:
    """A creation cut anywhere in its body reaches no rule."""

    async def test(home: House, main: Address, own: Address) -> None:
        query, body = creation(home)
        head = b"POST /gateway.do?" + query + b" HTTP/1.1\r\nHost: a\r\n"
        head += b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(body)
        for cut in range(0, len(body), 40):
            reader, writer = await asyncio.open_connection(own.host, own.port)
            writer.write(head + body[:cut])
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 20)
            writer.close()
            await writer.wait_closed()
        assert await home.platform.database.read("trade.recent", {"most": 5}) == []

    play(tmp_path, test)


def test_many_clients_at_once(tmp_path: Path) -> None:
    """Sixty connections create the same trade at once: one trade, one cashier for all."""

    async def test(home: House, main: Address, own: Address) -> None:
        query, body = creation(home)
        request = b"POST /gateway.do?" + query + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        request += b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(body)
        answers = await asyncio.gather(*[speak(own, request + body) for _ in range(60)])
        trade = await home.platform.find_trade(MERCHANT, "A1")
        assert [answer.split(b" ", 2)[1] for answer in answers] == [b"302"] * 60
        assert all(trade.trade_no.encode() in answer for answer in answers)
        assert len(await home.platform.database.read("trade.recent", {"most": 5})) == 1

    play(tmp_path, test)
