"""Faces: signed bytes in, the protocol's own bytes out; refusals recorded, alike, and never more than the budget."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.web.house import (
    BASE,
    BUYER,
    MERCHANT,
    NOTIFY,
    PROTOCOL,
    RETURN,
    STRANGER,
    House,
    ask,
    house,
    new_rsa,
    put_key,
    run,
)
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY
from tongbao.service import checkout, outbox
from tongbao.service.escrow import TimerDue
from tongbao.service.party import MoveKey
from tongbao.web.app import Web, build_web
from tongbao.web.faces.page import PlainPages
from tongbao.web.faces.recorder import MemoryRecorder
from tongbao.web.guard import SANDBOX, Limits, Rate
from tongbao.wire.contract import Credentials
from tongbao.wire.http import Request, Response, get
from tongbao.wire.loader import load_protocol
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    CloseTrade,
    ConfirmNotification,
    CreateTrade,
    Freight,
    Intent,
    Product,
    QueryTrade,
    RequestTimestamp,
    Shipping,
    TradeFound,
)

BROWSER_SERVICES = ("create_direct_pay_by_user", "create_partner_trade_by_buyer", "trade_create_by_buyer")

Test = Callable[[House, Web], Awaitable[None]]


def play(folder: Path, test: Test, environment: str = "test", **settings: Any) -> None:
    """Run ``test`` in a fresh house with its web."""

    async def main() -> None:
        async with house(folder, environment) as home:
            await test(home, build_web(home.platform, PlainPages(), **settings))

    run(main)


def create(number: str = "A1", subject: str = "测试", **changes: Any) -> CreateTrade:
    return CreateTrade(
        merchant=MERCHANT,
        out_trade_no=number,
        product=Product.INSTANT,
        subject=subject,
        amount=Money(1_000),
        notify_url=NOTIFY,
        seller=Party(login="seller@example.com"),
        **changes,
    )


def encode(home: House, intent: Intent, credentials: Credentials | None = None) -> Request:
    client = load_protocol(PROTOCOL).client
    return client.encode(intent, credentials or home.credentials, home.world.clock.wire()).request()


async def refusals(home: House) -> list[tuple[Any, ...]]:
    return await home.platform.database.read("refusal.recent", {"most": 1_000})


def code_of(answer: Response) -> str:
    found = re.search(rb"<error>([A-Z_]+)</error>|<h1>([A-Z_]+)</h1>", answer.body)
    return (found[1] or found[2]).decode() if found else answer.body.decode()


async def pay(home: House, number: str) -> None:
    trade = await home.platform.find_trade(MERCHANT, number)
    await checkout.pay_from_balance(home.platform, trade, await home.platform.buyer(BUYER), "741852")


def test_create_goes_to_the_cashier(tmp_path: Path) -> None:
    """A signed creation, by POST and by link, opens one trade and sends the browser to this trade's cashier."""

    async def test(home: House, web: Web) -> None:
        posted = await ask(web.main, encode(home, create()))
        call = load_protocol(PROTOCOL).client.encode(create(), home.credentials, home.world.clock.wire())
        linked = await ask(web.main, get(call.link()))
        trade = await home.platform.find_trade(MERCHANT, "A1")
        assert [posted.status, linked.status] == [302, 302]
        for answer in (posted, linked):
            location = answer.header("location") or ""
            assert location.startswith(f"{BASE}/cashier/{trade.trade_no}-")
            word = location.rpartition("/")[2]
            assert home.platform.seal.read_cashier_word(word, home.world.clock.wire()) == trade.trade_no
        assert await refusals(home) == []

    play(tmp_path, test)


@pytest.mark.parametrize("charset", ["gbk", "gb2312", "utf-8"])
def test_create_in_every_charset(tmp_path: Path, charset: str) -> None:
    """Chinese in GBK bytes is verified over those bytes and stored as the same text."""

    async def test(home: House, web: Web) -> None:
        settings = {**home.credentials.values, "partner": MERCHANT, "charset": charset}
        spoken = replace(home.credentials, values=settings)
        request = encode(home, create(subject="青花瓷碗"), spoken)
        assert "青花瓷碗".encode(charset) in bytes(_unquoted(request.body))
        answer = await ask(web.main, request)
        assert answer.status == 302
        found = await ask(web.main, encode(home, QueryTrade(merchant=MERCHANT, out_trade_no="A1"), spoken))
        assert "<subject>青花瓷碗</subject>" in found.body.decode("gbk" if charset != "utf-8" else "utf-8")

    play(tmp_path, test)


def _unquoted(body: bytes) -> bytearray:
    return bytearray(re.sub(rb"%([0-9A-F]{2})", lambda hit: bytes.fromhex(hit[1].decode()), body))


def test_rsa_is_verified_with_the_merchants_key(tmp_path: Path) -> None:
    """A request signed with the merchant's RSA key passes; signed with another key it does not (T05, T20)."""

    async def test(home: House, web: Web) -> None:
        mine, public = new_rsa()
        other, _ = new_rsa()
        await put_key(home.platform, "rsa-1", "RSA", "verify", public)
        results = []
        for number, key in (("R1", mine), ("R2", other)):
            base = home.credentials
            sign = tuple(replace(k, algorithm="RSA", material=key) for k in base.ring.sign)
            values = {**base.values, "sign_type": "RSA"}
            credentials = replace(base, values=values, ring=replace(base.ring, sign=sign))
            results.append((await ask(web.main, encode(home, create(number), credentials))).status)
        assert results == [302, 400]
        assert [row[4] for row in await refusals(home)] == ["SIGN_INVALID"]

    play(tmp_path, test)


def test_query_close_and_timestamp_answer_in_xml(tmp_path: Path) -> None:
    """Server services: the client's half reads what the face answers."""

    async def test(home: House, web: Web) -> None:
        client, now = load_protocol(PROTOCOL).client, home.world.clock.wire
        await ask(web.main, encode(home, create()))
        for intent in (
            QueryTrade(merchant=MERCHANT, out_trade_no="A1"),
            RequestTimestamp(merchant=MERCHANT),
            CloseTrade(merchant=MERCHANT, out_trade_no="A1"),
        ):
            answer = await ask(web.main, encode(home, intent))
            assert answer.status == 200
            assert client.decode(intent, answer, home.credentials, now()) is not None
        assert (await home.platform.find_trade(MERCHANT, "A1")).state == "closed"

    play(tmp_path, test)


def test_notify_verify_says_true_once_per_live_id(tmp_path: Path) -> None:
    """``true`` for an id of ours for this merchant, ``false`` for others; exactly these bytes (I22's other side)."""

    async def test(home: House, web: Web) -> None:
        await ask(web.main, encode(home, create()))
        await pay(home, "A1")
        trade = await home.platform.find_trade(MERCHANT, "A1")
        genuine = home.platform.seal.event_id(trade.trade_no, trade.version)
        for word, merchant, said in (
            (genuine, MERCHANT, b"true"),
            (genuine, STRANGER, b"false"),
            (genuine[:-1] + ("0" if genuine[-1] != "0" else "1"), MERCHANT, b"false"),
            ("1", MERCHANT, b"false"),
        ):
            question = get(f"{BASE}/{PROTOCOL}/gateway.do?service=notify_verify&partner={merchant}&notify_id={word}")
            answer = await ask(web.main, question)
            assert (answer.status, answer.body, answer.header("content-length")) == (200, said, str(len(said)))
            assert ConfirmNotification(merchant=merchant, notification_id=word).merchant == merchant

    play(tmp_path, test)


@pytest.mark.parametrize("environment", ["production", "sandbox"])
def test_T57_unknown_merchant_and_bad_signature_are_alike(tmp_path: Path, environment: str) -> None:
    """In production nobody learns from the answer whether a merchant's number exists: the answers are equal. In a
    sandbox a wrong number is named as such."""

    async def test(home: House, web: Web) -> None:
        right = encode(home, QueryTrade(merchant=MERCHANT, out_trade_no="A1"))
        forged = replace(right, body=right.body.replace(b"A1", b"A2"), raw_query=right.raw_query.replace(b"A1", b"A2"))
        unknown = replace(
            forged,
            body=forged.body.replace(MERCHANT.encode(), STRANGER.encode()),
            raw_query=forged.raw_query.replace(MERCHANT.encode(), STRANGER.encode()),
        )
        assert forged != unknown
        said = [await ask(web.main, request) for request in (forged, unknown)]
        told = [row[4] for row in await refusals(home)]
        if environment == "production":
            assert said[0] == said[1]
            assert told == ["SIGN_INVALID"] * 2
        else:
            assert [code_of(answer) for answer in said] == ["ILLEGAL_SIGN", "ILLEGAL_PARTNER"]
            assert sorted(told) == ["SIGN_INVALID", "UNKNOWN_MERCHANT"]

    play(tmp_path, test, environment)


def test_T84_a_revoked_key_is_refused_at_once(tmp_path: Path) -> None:
    """Even while the faces still hold the old ring, the committer looks at the key's own row."""

    async def test(home: House, web: Web) -> None:
        assert (await ask(web.main, encode(home, create("K1")))).status == 302
        await home.platform.submit(MoveKey(MERCHANT, PROTOCOL, "md5-1", "revoked", "op1", "stolen"))
        assert (await ask(web.main, encode(home, create("K2")))).status == 400
        assert [row[4] for row in await refusals(home)] == ["KEY_REVOKED"]

    play(tmp_path, test)


@pytest.mark.parametrize(
    ("where", "lie"),
    [("body", b"&total_fee=0.01"), ("body", b"&total%5Ffee=0.01"), ("query", b"total_fee=0.01"), ("body", b"&sign=1")],
)
def test_T08_a_repeated_field_is_refused(tmp_path: Path, where: str, lie: bytes) -> None:
    """A second value last in the body, spelt differently, or in the query beside the body: refused, nothing opened."""

    async def test(home: House, web: Web) -> None:
        right = encode(home, create())
        if where == "body":
            bad = replace(right, body=right.body + lie)
        else:
            bad = replace(right, raw_query=right.raw_query + b"&" + lie)
        answer = await ask(web.main, replace(bad, headers=(*bad.headers, (b"Accept", b"text/html"))))
        assert answer.status == 400
        assert [row[4] for row in await refusals(home)] == ["DUPLICATE_PARAM"]
        assert await home.platform.database.read("trade.recent", {"most": 5}) == []

    play(tmp_path, test)


def test_refusal_rows_name_fields_and_keep_no_value(tmp_path: Path) -> None:
    """A refusal row has the peer, the code, the names of the fields and a digest: no value of the request (T65)."""

    async def test(home: House, web: Web) -> None:
        right = encode(home, create(subject="SecretSubject"))
        await ask(web.main, replace(right, body=right.body.replace(b"A1", b"A2")), peer="198.51.100.9")
        (row,) = await refusals(home)
        assert row[2:5] == (PROTOCOL, "create_direct_pay_by_user", "SIGN_INVALID")
        assert row[6:8] == (MERCHANT, "198.51.100.9")
        assert {"subject", "sign", "total_fee"} <= set(row[8].split(","))
        assert re.fullmatch("[0-9a-f]{64}", row[9])
        assert "SecretSubject" not in repr(row)

    play(tmp_path, test)


def test_T89_a_flood_of_bad_signatures_is_sampled(tmp_path: Path) -> None:
    """Rows stay within the budget, the rest is counted and told by a later row; good requests still pass."""
    limits = replace(SANDBOX, refusals=Rate(0.001, 20), refusals_peer=Rate(0.001, 8))

    async def test(home: House, web: Web) -> None:
        right = encode(home, QueryTrade(merchant=MERCHANT, out_trade_no="A1"))
        bad = replace(right, raw_query=right.raw_query.replace(b"A1", b"A2"), body=right.body.replace(b"A1", b"A2"))
        for turn in range(300):
            assert code_of(await ask(web.main, bad, peer=f"198.51.100.{turn % 2}")) == "ILLEGAL_SIGN"
        assert [fields for event, fields in home.logged] == []
        assert len(await refusals(home)) == 16
        assert web.refusals.unwritten == 284
        await ask(web.main, bad, peer="198.51.100.77")
        assert any("and 284 more" in row[5] for row in await refusals(home))
        assert (await ask(web.main, encode(home, create()))).status == 302

    play(tmp_path, test, limits=limits)


def test_T89_forgers_and_hasty_merchants_wait(tmp_path: Path) -> None:
    """Over the budget the answer is 429 with Retry-After in the protocol's words; other peers are not touched."""
    limits = Limits(merchant=Rate(0.01, 3), forged=Rate(0.01, 2))

    async def test(home: House, web: Web) -> None:
        right = encode(home, QueryTrade(merchant=MERCHANT, out_trade_no="A1"))
        bad = replace(right, raw_query=right.raw_query.replace(b"A1", b"A2"), body=right.body.replace(b"A1", b"A2"))
        statuses = [(await ask(web.main, bad, peer="198.51.100.1")).status for _ in range(3)]
        assert statuses == [200, 200, 429]
        refused = await ask(web.main, right, peer="198.51.100.1")
        assert (refused.status, (refused.header("retry-after") or "").isdigit()) == (429, True)
        assert code_of(refused) != ""
        assert [(await ask(web.main, right)).status for _ in range(4)] == [200, 200, 200, 429]

    play(tmp_path, test, limits=limits)


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "path"), [("wechatpay_v3", "v3/certificates"), (PROTOCOL, "gateway.do")])
def test_what_is_no_request_has_an_empty_answer_where_the_interface_does_so(
    tmp_path: Path, protocol: str, path: str
) -> None:
    """Whoever answers it, the face or the interface behind it (wechatpay.md, section 7.1)."""

    async def test(home: House, web: Web) -> None:
        known = get(f"{BASE}/{protocol}/{path}")
        strange = [get(f"{BASE}/{protocol}/v3/nothing"), replace(known, method="DELETE")]
        if protocol == "wechatpay_v3":
            strange.append(replace(known, method="POST"))
        told = [await ask(web.main, one) for one in strange]
        bodies = {bool(one.body) for one in told}
        assert ([one.status for one in told], bodies) == ([404, 405, 405][: len(told)], {protocol == PROTOCOL})
        assert all(one.body or one.header("content-length") == "0" for one in told)

    play(tmp_path, test)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get(f"{BASE}/{PROTOCOL}/nowhere.do?service=single_trade_query"), 404),
        (get(f"{BASE}/{PROTOCOL}"), 404),
        (get(f"{BASE}/nothing"), 404),
        (replace(get(f"{BASE}/{PROTOCOL}/gateway.do"), method="DELETE"), 405),
        (get(f"{BASE}/alipay%5Fmapi/gateway.do"), 404),
    ],
)
def test_strange_addresses(tmp_path: Path, request_: Request, status: int) -> None:
    """Only the protocol's own paths are served, by GET and POST."""

    async def test(home: House, web: Web) -> None:
        assert (await ask(web.main, request_)).status == status

    play(tmp_path, test)


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe\x00", b"service", b"%", b"=&=&=", b"{}", b"<xml/>", b"service=" + b"x" * 70_000]
)
def test_any_bytes_are_answered_in_the_protocols_words(tmp_path: Path, body: bytes) -> None:
    """Junk, too much of it, a wrong charset: an error answer, a row at most, never a trace."""

    async def test(home: House, web: Web) -> None:
        request = Request("POST", "http", "platform.test:8000", f"/{PROTOCOL}/gateway.do".encode(), b"", (), body)
        answer = await ask(web.main, request)
        assert (answer.status, b"<is_success>F</is_success>" in answer.body) == (200, True)
        assert [event for event, _ in home.logged] == []
        assert len(await refusals(home)) == 1

    play(tmp_path, test)


def test_a_browser_sees_a_page_where_a_program_sees_xml(tmp_path: Path) -> None:
    """The same unreadable request: a page for whoever accepts HTML, the protocol's words for the rest."""

    async def test(home: House, web: Web) -> None:
        program = get(f"{BASE}/{PROTOCOL}/gateway.do?service=nonsense")
        browser = replace(program, headers=((b"Accept", b"text/html,*/*"),))
        assert (await ask(web.main, program)).header("content-type") == "text/xml; charset=utf-8"
        assert (await ask(web.main, browser)).header("content-type") == "text/html; charset=utf-8"

    play(tmp_path, test)


def test_our_failure_is_logged_and_not_shown(tmp_path: Path) -> None:
    """When the platform itself breaks, the peer gets the protocol's system error and no word of the cause."""

    async def test(home: House, web: Web) -> None:
        await home.platform.stop()
        await home.platform.database.close()
        answer = await ask(web.main, encode(home, QueryTrade(merchant=MERCHANT, out_trade_no="A1")))
        assert code_of(answer) == "SYSTEM_ERROR"
        assert b"Traceback" not in answer.body
        assert b"pool" not in answer.body
        assert "face.failed" in [event for event, _ in home.logged]

    play(tmp_path, test)


def test_recorder_keeps_creations_and_questions(tmp_path: Path) -> None:
    """The page of the seven steps finds the raw request and the later question."""

    async def main() -> None:
        async with house(tmp_path) as home:
            recorder = MemoryRecorder(home.world.clock.wire)
            web = build_web(home.platform, PlainPages(), recorder=recorder)
            request = encode(home, create())
            await ask(web.main, request)
            await pay(home, "A1")
            trade = await home.platform.find_trade(MERCHANT, "A1")
            word = home.platform.seal.event_id(trade.trade_no, trade.version)
            ask_url = f"{BASE}/{PROTOCOL}/gateway.do?service=notify_verify&partner={MERCHANT}&notify_id={word}"
            await ask(web.main, get(ask_url))
            first, second = recorder.of(MERCHANT, "A1")
            assert (first.kind, first.request.body) == ("create", request.body)
            assert second.kind == "confirm"
            assert second.answer is not None
            assert second.answer.body == b"true"

    run(main)


def test_recorder_is_bounded() -> None:
    """The oldest trade goes first, and one trade keeps its last requests only."""
    recorder = MemoryRecorder(lambda: 0, trades=2, requests=3)  # type: ignore[arg-type, return-value]
    for number in ("A", "B", "C"):
        for _ in range(5):
            recorder.request("create", MERCHANT, number, get("http://a/"))
    assert [len(recorder.of(MERCHANT, number)) for number in ("A", "B", "C")] == [0, 3, 3]


def test_a_dual_trade_paid_at_once_is_finished(tmp_path: Path) -> None:
    """The buyer of a dual trade pays directly: notification, return and query say TRADE_FINISHED, and the end of the
    refund term is no news to the merchant."""

    async def test(home: House, web: Web) -> None:
        client = load_protocol(PROTOCOL).client
        freight = Shipping("express", Money(0), Freight.SELLER)
        wish = replace(create("D1"), product=Product.DUAL, price=Money(1_000), quantity=1, shipping=(freight,))
        assert (await ask(web.main, encode(home, replace(wish, return_url=RETURN)))).status == 302
        trade = await home.platform.find_trade(MERCHANT, "D1")
        buyer = await home.platform.buyer(BUYER)
        await checkout.pay_from_balance(home.platform, trade, buyer, "741852", "instant")
        trade = await home.platform.find_trade(MERCHANT, "D1")
        assert (trade.product, trade.flow, trade.state) == ("dual", "instant", "paid")

        told = {one.event.to_state: one for one in await outbox.claim(home.platform)}
        sent = await outbox.write_notification(home.platform, told["paid"])
        home_again = await checkout.go_home(home.platform, trade)
        assert home_again is not None
        query = await ask(web.main, encode(home, QueryTrade(merchant=MERCHANT, out_trade_no="D1")))
        answer = client.decode(QueryTrade(merchant=MERCHANT, out_trade_no="D1"), query, home.credentials, home.now)
        assert isinstance(answer, TradeFound)
        assert b"trade_status=TRADE_FINISHED" in sent.body
        assert b"trade_status=TRADE_FINISHED" in home_again.raw_query
        assert answer.trade.state == "finished"

        home.clock.advance(91 * DAY)
        await home.platform.submit(TimerDue(MERCHANT, "D1"))
        assert (await home.platform.find_trade(MERCHANT, "D1")).state == "finished"
        assert "finished" not in {one.event.to_state for one in await outbox.claim(home.platform)}

    play(tmp_path, test)


@pytest.mark.parametrize("service", [*BROWSER_SERVICES, "single_trade_query"])
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ("_input_charset=utf-8", "ILLEGAL_PARTNER"),
        (f"partner={MERCHANT}&_input_charset=latin1", "ILLEGAL_CHARSET"),
        (f"partner={MERCHANT}", "ILLEGAL_CHARSET"),
        (f"partner={MERCHANT}&partner=1&_input_charset=utf-8", "ILLEGAL_ARGUMENT"),
    ],
)
def test_early_errors_of_browser_services_are_pages(tmp_path: Path, service: str, fields: str, code: str) -> None:
    """Partner, charset and doubled fields are found before the request is understood: the service's name alone says
    that a window waits, whatever the Accept header. Server services stay XML."""

    async def test(home: House, web: Web) -> None:
        answer = await ask(web.main, get(f"{BASE}/{PROTOCOL}/gateway.do?service={service}&{fields}"))
        kind = "text/html" if service in BROWSER_SERVICES else "text/xml"
        assert ((answer.header("content-type") or "").partition(";")[0], code_of(answer)) == (kind, code)

    play(tmp_path, test)
