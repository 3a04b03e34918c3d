"""Attacks on the faces: mutated requests, hostile amounts and addresses, and raw bytes on the socket."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.attack.corpus import BAD_ADDRESSES, FOREIGN_ADDRESSES, bad_amounts
from tests.attack.mutation import Hand, forge, pairs_of, with_pairs
from tests.attack.town import (
    NUMBERED,
    NUMBERED_SECRET,
    SECOND,
    SECOND_SECRET,
    UNKNOWN,
    Town,
    alipay,
    buy,
    create,
    create_escrow,
    inquire,
    like_a_browser,
    town,
)
from tests.web.house import BUYER, MERCHANT, SECRET, listening, run
from tongbao.kernel.money import Money
from tongbao.service import checkout
from tongbao.wire.http import Request, Response

ROUNDS = 10_000


def play(folder: Path, test: Callable[[Town], Awaitable[None]], environment: str = "test") -> None:
    """Run ``test`` in a fresh town; nothing may have failed in it."""

    async def main() -> None:
        async with town(folder, environment) as place:
            await test(place)
            place.check_logs()

    run(main)


def opened(answer: Response) -> bool:
    """Whether this is the way to the cashier."""
    return answer.status == 302


def genuine() -> list[Request]:
    """What honest merchants sent: creations, queries, a close and a shipment."""
    return [
        create("A1"),
        create("A2", total_fee="2000.00"),
        create("A3", total_fee="", price="5.00", quantity="2", it_b_pay="1h"),
        create_escrow("E1"),
        create_escrow("E2", service="trade_create_by_buyer"),
        alipay({"service": "single_trade_query", "out_trade_no": "A1"}),
        alipay({"service": "close_trade", "out_order_no": "C1"}),
        alipay({"service": "send_goods_confirm_by_platform", "out_trade_no": "E1", "logistics_name": "SF"}),
        alipay({"service": "single_trade_query", "out_trade_no": "A1"}, SECOND, SECOND_SECRET),
        buy("Y1"),
        buy("Y2", p3_Amt="2000.00", p5_Pid="茶壶"),
        inquire("Y1"),
    ]


def recut(trade: tuple[Any, ...]) -> bool:
    """Whether the numbered protocol's glued signature covers this trade too: ``Y1`` and ``10.00`` are signed as ``Y``
    and ``110.00`` are. No key can prevent that where the merchant sends no ``hmac_safe``; his own side refuses the
    payment of an order it does not know (T10)."""
    merchant, number, _, amount, _, _ = trade
    glued = {"Y110.00": "Y1", "Y22000.00": "Y2"}
    return bool(merchant == NUMBERED and glued.get(number + Money(amount).text(), number) != number)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.soak), pytest.param(3, marks=pytest.mark.soak)])
def test_mutated_requests_open_only_what_was_signed(tmp_path: Path, seed: int) -> None:
    """Thousands of damaged, crossed and mixed requests: no 5xx, and every trade has terms that somebody signed."""

    async def test(place: Town) -> None:
        await place.ask(create("C1"))
        before = await place.ask_all(genuine())
        assert [answer.status for answer in before[:5]] == [302] * 5
        honest = await place.trades()
        chance = Random(seed)
        seen = genuine()
        paths = [request.raw_path for request in seen]
        hand = Hand(chance, seen, paths)
        answers = await place.ask_all(forge(hand, chance.choice(seen)) for _ in range(ROUNDS))
        assert max(answer.status for answer in answers) < 500
        assert sum(opened(answer) for answer in answers) > 10
        for answer in answers:
            assert not any(secret.encode() in answer.body for secret in (SECRET, SECOND_SECRET, NUMBERED_SECRET))
            assert b"Traceback" not in answer.body
        assert [trade for trade in await place.trades() if not recut(trade)] == honest
        refused = await place.refusals()
        assert len(refused) > 1_000
        assert not any(secret in repr(refused) for secret in (SECRET, SECOND_SECRET, NUMBERED_SECRET))

    play(tmp_path, test)


@pytest.mark.parametrize("make", [create, create_escrow, buy])
def test_T08_T25_a_signature_covers_every_field_and_one_merchant(
    tmp_path: Path, make: Callable[[str], Request]
) -> None:
    """Each field changed, dropped and doubled, and the request in another merchant's name: no trade at all."""

    async def test(place: Town) -> None:
        pairs = pairs_of(make("A1"))
        requests = []
        for place_of, (name, value) in enumerate(pairs):
            others = [*pairs[:place_of], *pairs[place_of + 1 :]]
            requests += [with_pairs(make("A1"), [*others, (name, value + b"1")]), with_pairs(make("A1"), others)]
            requests.append(with_pairs(make("A1"), [*pairs, (name, value + b"1")]))
        for other in (SECOND, NUMBERED, UNKNOWN):
            swapped = [(k, other.encode() if v in (MERCHANT.encode(), NUMBERED.encode()) else v) for k, v in pairs]
            requests.append(with_pairs(make("A1"), swapped))
        genuine_pairs = sorted(pairs)
        kept = [one for one in requests if sorted(pairs_of(one)) != genuine_pairs]
        answers = await place.ask_all(kept)
        assert not any(opened(answer) for answer in answers)
        assert await place.trades() == []

    play(tmp_path, test)


def test_T57_unknown_merchant_and_bad_signature_are_one_answer(tmp_path: Path) -> None:
    """In production, byte for byte, for every service, for programs and for browsers, in both protocols."""

    async def test(place: Town) -> None:
        for request in genuine():
            pairs = [
                (name, b"0" * len(value) if name in (b"sign", b"hmac") else value) for name, value in pairs_of(request)
            ]
            stranger = [
                (name, {MERCHANT: UNKNOWN, NUMBERED: "10009999999", SECOND: UNKNOWN}.get(value.decode(), "").encode())
                if name in (b"partner", b"p1_MerId")
                else (name, value)
                for name, value in pairs
            ]
            for dressed in (request, like_a_browser(request)):
                known = await place.ask(with_pairs(dressed, pairs))
                unknown = await place.ask(with_pairs(dressed, stranger))
                assert (known.status, known.body) == (unknown.status, unknown.body)
        assert {row[4] for row in await place.refusals()} == {"SIGN_INVALID"}

    play(tmp_path, test, "production")


def test_the_corpus_has_five_hundred_texts() -> None:
    """And none of them is an amount by the plain rule."""
    texts = bad_amounts()
    assert len(texts) >= 500
    assert not [
        text for text in texts if re.fullmatch(r"-?(0|[1-9][0-9]{0,10})(\.[0-9]{1,2})?", text) and len(text) < 15
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "field"),
    [
        (create, "total_fee"),
        (lambda number, **field: create(number, total_fee="", quantity="1", **field), "price"),
        (create_escrow, "price"),
        (create_escrow, "quantity"),
        (create_escrow, "discount"),
        (create_escrow, "logistics_fee"),
        (buy, "p3_Amt"),
    ],
    ids=["total_fee", "price", "escrow-price", "quantity", "discount", "logistics_fee", "p3_Amt"],
)
def test_T34_no_text_of_the_corpus_is_an_amount(tmp_path: Path, make: Callable[..., Request], field: str) -> None:
    """Signed by the merchant himself, so that only the amount is wrong: refused every time."""

    async def test(place: Town) -> None:
        requests = []
        for number, text in enumerate(bad_amounts()):
            try:
                requests.append(make(f"T{number}", **{field: text}))
            except UnicodeEncodeError:
                continue  # gbk has no such sign: it cannot even be sent
        answers = await place.ask_all(requests)
        assert len(requests) > 350
        assert max(answer.status for answer in answers) < 500
        assert await place.trades() == []

    play(tmp_path, test)


@pytest.mark.parametrize("field", ["notify_url", "return_url", "error_notify_url", "show_url"])
def test_T53_addresses_that_no_merchant_may_give(tmp_path: Path, field: str) -> None:
    """Refused at creation, before anybody could be sent there."""

    async def test(place: Town) -> None:
        answers = await place.ask_all(create(f"U{n}", **{field: url}) for n, url in enumerate(BAD_ADDRESSES))
        assert [BAD_ADDRESSES[n] for n, answer in enumerate(answers) if opened(answer)] == []
        assert await place.trades() == []

    play(tmp_path, test)


@pytest.mark.parametrize("field", ["p8_Url", "pb_ServerNotifyUrl"])
def test_T53_addresses_that_no_numbered_merchant_may_give(tmp_path: Path, field: str) -> None:
    """The same over the other protocol."""

    async def test(place: Town) -> None:
        urls = [url for url in BAD_ADDRESSES if url.encode("gbk", "ignore").decode("gbk") == url]
        answers = await place.ask_all(buy(f"U{n}", **{field: url}) for n, url in enumerate(urls))
        assert [urls[n] for n, answer in enumerate(answers) if opened(answer)] == []
        assert await place.trades() == []

    play(tmp_path, test)


@pytest.mark.parametrize("field", ["notify_url", "return_url"])
def test_T53_addresses_beside_the_registered_host(tmp_path: Path, field: str) -> None:
    """A merchant with one registered host: look-alikes, literals and odd ports are somewhere else."""

    async def test(place: Town) -> None:
        def make(number: str, url: str) -> Request:
            fields = dict(pairs_of(create(number, seller_id=SECOND)))
            plain = {name.decode(): value.decode() for name, value in fields.items()}
            for name in ("sign", "sign_type", "partner", "_input_charset"):
                del plain[name]
            base = {"notify_url": "https://shop.example/n", "return_url": "https://shop.example/r", field: url}
            return alipay({**plain, **base}, SECOND, SECOND_SECRET)

        for number, url in enumerate(
            ("https://shop.example/x?y=z", "https://SHOP.example:8443/x", "http://shop.example")
        ):
            assert opened(await place.ask(make(f"R{number}", url))), url
        answers = await place.ask_all(make(f"F{n}", url) for n, url in enumerate(FOREIGN_ADDRESSES))
        assert [FOREIGN_ADDRESSES[n] for n, answer in enumerate(answers) if opened(answer)] == []

    play(tmp_path, test)


def smuggled(signed: bytes) -> list[bytes]:
    """Ways to hide a request behind another, or to make two parsers disagree about where one ends."""
    inner = b"POST /alipay_mapi/gateway.do HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    inner += b"Content-Length: %d\r\n\r\n" % len(signed) + signed
    head = b"POST /alipay_mapi/gateway.do HTTP/1.1\r\nHost: platform.test\r\n"
    return [
        head + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n" + inner,
        head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
        head + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + inner,
        head + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + inner,
        head + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + inner,
        head + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + inner,
        head + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + inner,
        head + b"Content-Length: +0\r\n\r\n" + inner,
        head + b"Content-Length: 0x0\r\n\r\n" + inner,
        head + b"Content-Length: 0,0\r\n\r\n" + inner,
        head + b"Content-Length: -1\r\n\r\n" + inner,
        head + b"Content-Length: 99999999999999999999\r\n\r\n" + inner,
        head + b"Content_Length: 5\r\nContent-Length :0\r\n\r\n" + inner,
        head + b" Content-Length: 0\r\n\r\n" + inner,
        head + b"X: a\x00b\r\nContent-Length: 0\r\n\r\n" + inner,
        head + b"X: a\rContent-Length: 9\r\n\r\n" + inner,
        b"POST http://platform.test@evil/ HTTP/1.1 \x01\r\n\r\n" + inner,
        b"\x00\x01\x02" + inner,
        b"POST  /alipay_mapi/gateway.do HTTP/9.9\r\n\r\n" + inner,
        head + b"Host: other\r\nContent-Length : 0\r\n\r\n" + inner,
        head + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n" + inner,
        head + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n" + inner,
        head + b"Transfer-Encoding: chunked\r\n\r\n1 \r\nA\r\n0\r\n\r\n" + b"x" * 40_000,
        head + b"X: " + b"y" * 70_000 + b"\r\n\r\n" + inner,
    ]


def test_T66_nothing_is_smuggled_behind_another_request(tmp_path: Path) -> None:
    """A signed creation hidden behind framing tricks is never carried out, and the connection is closed."""

    async def test(place: Town) -> None:
        signed = create("S1").body
        async with listening(place.web.main) as (address,):
            for number, data in enumerate(smuggled(signed)):
                reader, writer = await asyncio.open_connection(address.host, address.port)
                writer.write(data)
                writer.write_eof()
                try:
                    answer = await asyncio.wait_for(reader.read(), 20)
                except ConnectionResetError:
                    answer = b""
                statuses = re.findall(rb"^HTTP/1\.1 (\d{3})", answer, re.MULTILINE)
                assert all(status < b"500" for status in statuses), (number, answer)
                assert b" 302 " not in answer, (number, answer)
                writer.close()
            assert await place.trades() == []
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(
                b"POST /alipay_mapi/gateway.do HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n" % len(signed) + signed
            )
            assert (await reader.read()).startswith(b"HTTP/1.1 302")
            writer.close()

    play(tmp_path, test)


def test_T24_the_same_creation_sixty_four_times_at_once(tmp_path: Path) -> None:
    """One trade; the same number with another sum is refused; paying it once more does not take money twice."""

    async def test(place: Town) -> None:
        answers = await place.ask_all([create("P1")] * 64 + [create("P1", total_fee="10.01")] * 16)
        assert sum(opened(answer) for answer in answers) == 64
        assert [(row[1], row[3]) for row in await place.trades()] == [("P1", 1_000)]
        platform = place.home.platform
        trade = await platform.find_trade(MERCHANT, "P1")
        await checkout.pay_from_balance(platform, trade, await platform.buyer(BUYER), "741852")
        assert not any(opened(answer) for answer in await place.ask_all([create("P1", total_fee="10.01")] * 4))
        assert (await platform.find_trade(MERCHANT, "P1")).state == "paid"

    play(tmp_path, test)
