"""What the laws cannot say of this gateway: one callback for two roles, its words, its tables, its oddities."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongbao.kernel.error import ConfigurationError, InvalidSignature, LocalProtocolError, Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import DAY, SECOND, parse_china
from tongbao.protocols.yeepay import PROTOCOL, credentials_for
from tongbao.protocols.yeepay import messages as m
from tongbao.protocols.yeepay.codec import ALGORITHM, read_fields, write_money
from tongbao.protocols.yeepay.server import Server
from tongbao.wire.bank import BANKS
from tongbao.wire.form import parse_form
from tongbao.wire.http import Request, Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.party import Party
from tongbao.wire.refusal import REFUSALS
from tongbao.wire.vocabulary import (
    CloseTrade,
    CreateTrade,
    Done,
    Expiry,
    Method,
    Notification,
    Product,
    QueryTrade,
    Rejection,
    Role,
    TradeFound,
    TradeState,
    TradeView,
)

NOW = parse_china("2018-02-01 12:00:00")
MERCHANT = PROTOCOL.merchant_example
KEY = Key("k", 1, ALGORITHM, b"k9f8s7d6f5g4h3j2k1l0q9w8e7r6t5y4")
RING = KeyRing(MERCHANT, (KEY,), (KEY,))
SETTINGS = credentials_for(MERCHANT, RING, "http://127.0.0.1:8080/yeepay", {})
CREDENTIALS = PROTOCOL.client.load(SETTINGS)
SERVER, CLIENT = PROTOCOL.server, PROTOCOL.client
TRADE = TradeView(
    merchant=MERCHANT,
    out_trade_no="T20150401-0001",
    trade_no="2015040100001000980012345678",
    state=TradeState.PAID,
    product=Product.INSTANT,
    subject="测试商品",
    amount=Money(1_000),
    created_at=NOW,
    paid_at=NOW,
    passback="会员7",
    bank="ICBC",
)
EVENT = Notification(id="n1", at=None, trade=TRADE)


def buy(**more: Any) -> CreateTrade:
    about: dict[str, Any] = {
        "merchant": "",
        "out_trade_no": "T1",
        "product": Product.INSTANT,
        "subject": "茶",
        "amount": Money(1_000),
    }
    return CreateTrade(**(about | more))


def fields_of(request: Request) -> dict[str, str]:
    return dict(parse_form(request.body or request.raw_query, "gbk"))


def read(intent: Any) -> Any:
    request = CLIENT.encode(intent, CREDENTIALS, NOW).request()
    return SERVER.decode(SERVER.claim(request), RING, NOW).intent


# --- the callback --------------------------------------------------------------------------------------------------


def test_one_callback_two_roles() -> None:
    """The notice is a GET of type 2, the return of type 1; all else is one message, down to what is unsigned."""
    notice = SERVER.notify(EVENT, "http://shop.example.com/cb", RING, NOW)
    home = SERVER.return_to(EVENT, "http://shop.example.com/cb", RING, NOW)
    told, back = fields_of(notice), fields_of(home)
    assert (notice.method, told.pop("r9_BType")) == ("GET", "2")
    assert (home.method, back.pop("r9_BType")) == ("GET", "1")
    for fields in (told, back):
        fields.pop("hmac")
        fields.pop("hmac_safe")
    assert told == back
    assert (told["r3_Amt"], told["r4_Cur"], told["rb_BankId"]) == ("10.0", "RMB", "ICBC-NET-B2C")


def test_T31_a_return_stays_a_return() -> None:
    """A browser's message at the address of notices has the role of a return; a notice is no return."""
    notice = SERVER.notify(EVENT, "http://shop.example.com/cb", RING, NOW)
    home = SERVER.return_to(EVENT, "http://shop.example.com/cb", RING, NOW)
    assert CLIENT.decode_notification(notice, CREDENTIALS, NOW).role is Role.NOTIFICATION
    assert CLIENT.decode_notification(home, CREDENTIALS, NOW).role is Role.RETURN
    assert CLIENT.decode_return(home, CREDENTIALS, NOW).role is Role.RETURN
    with pytest.raises(RemoteProtocolError):
        CLIENT.decode_return(notice, CREDENTIALS, NOW)


def test_returns_may_be_posted() -> None:
    """A platform of 2018 posts the return; the shop reads both."""
    posted = Server(returns="POST").return_to(EVENT, "http://shop.example.com/cb?code=yeepay#x", RING, NOW)
    assert (posted.method, posted.raw_query) == ("POST", b"code=yeepay")
    asked = SERVER.return_to(EVENT, "http://shop.example.com/cb?code=yeepay#x", RING, NOW)
    assert CLIENT.decode_return(posted, CREDENTIALS, NOW) == CLIENT.decode_return(asked, CREDENTIALS, NOW)


def test_T09_unsigned_fields_change_nothing() -> None:
    """What no signature covers stands under ``unsigned`` alone, whatever it says."""
    sent = SERVER.notify(EVENT, "http://shop.example.com/cb?mine=1", RING, NOW)
    told = CLIENT.decode_notification(sent, CREDENTIALS, NOW)
    free = dict(told.unsigned)
    assert set(free) == {"mine", *m.UNSIGNED_NAMES}
    raw = sent.raw_query
    for name, value in free.items():
        old = f"{name}={value}".encode()
        for lie in (b"", b"0", b"999999.00", b"2099"):
            changed = replace(sent, raw_query=raw.replace(old, name.encode() + b"=" + lie))
            assert CLIENT.decode_notification(changed, CREDENTIALS, NOW) == told
    assert told.trade.paid_at is None
    assert told.trade.bank == told.trade.bank_serial == ""


def test_only_payments_are_told() -> None:
    """Paid and finished are one word; nothing else can be told, and a finish after a payment is no news."""
    finished = replace(EVENT, trade=replace(TRADE, state=TradeState.FINISHED))
    first, second = (SERVER.notify(event, "http://shop.example.com/", RING, NOW) for event in (EVENT, finished))
    assert first == second
    for state in (TradeState.UNPAID, TradeState.CLOSED, None):
        with pytest.raises(LocalProtocolError):
            SERVER.notify(replace(EVENT, trade=replace(TRADE, state=state)), "http://shop.example.com/", RING, NOW)
    assert PROTOCOL.said_as == {TradeState.FINISHED: TradeState.PAID}


def test_a_trade_keeps_the_charset_of_its_request() -> None:
    """Who hashes GBK bytes gets callbacks under the same rule; our own client, strict, then refuses."""
    voiced = replace(EVENT, trade=replace(TRADE, echo={"hashed": "gbk"}))
    official, other = (SERVER.notify(event, "http://shop.example.com/", RING, NOW) for event in (EVENT, voiced))
    assert fields_of(official)["hmac"] != fields_of(other)["hmac"]
    with pytest.raises(InvalidSignature):
        CLIENT.decode_notification(other, CREDENTIALS, NOW)


def test_texts_that_gbk_lacks() -> None:
    """A name the wire cannot say is left out, never spoilt; the notice goes out all the same."""
    sent = SERVER.notify(replace(EVENT, trade=replace(TRADE, subject="茶🍵")), "http://shop.example.com/", RING, NOW)
    assert fields_of(sent)["r5_Pid"] == "-"
    assert CLIENT.decode_notification(sent, CREDENTIALS, NOW).trade.subject == ""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"SUCCESS", True),
        (b"success", True),
        (b"Success\r\n<html>", True),
        (b"SUCCES", False),
        (b" SUCCESS", False),
        (b"\xef\xbb\xbfSUCCESS", False),
        (b"<html>SUCCESS", False),
        (b"FAIL", False),
    ],
)
def test_I22_acknowledgement(body: bytes, said: bool) -> None:
    """The body begins with the word in any case, with nothing before it."""
    assert SERVER.acknowledged(Response(200, (), body)) is said


@pytest.mark.parametrize(
    ("fen", "text"), [(100, "1.0"), (10, "0.1"), (12_345, "123.45"), (1, "0.01"), (0, "0.0"), (100_000, "1000.0")]
)
def test_sums_as_returned(fen: int, text: str) -> None:
    """Trailing zeros are cut down to one decimal."""
    assert write_money(Money(fen)) == text


# --- requests ------------------------------------------------------------------------------------------------------

ADDRESS = st.sampled_from(("", "http://shop.example.com/notify", "https://shop.example.com/r.php?code=a&b=%2F"))
SAYABLE = st.builds(
    buy,
    out_trade_no=st.text("0123456789ABCxyz_-", min_size=1, max_size=50),
    subject=st.text(st.characters(codec="gbk", exclude_categories=("Cc", "Co")), min_size=1, max_size=20),
    body=st.text("测试 &=%+#?;'<a1", max_size=20),
    amount=st.integers(1, 9_999_999_999).map(Money),
    notify_url=ADDRESS,
    return_url=ADDRESS,
    expiry=st.one_of(st.none(), st.integers(1, 180 * 86_400).map(Expiry)),
    bank=st.sampled_from(("", "ICBC", "CMB", "BOS")),
    passback=st.text("会员7&=%+#a ", max_size=200),
)


@settings(deadline=None, derandomize=True)
@given(SAYABLE)
def test_a_payment_says_what_was_meant(intent: CreateTrade) -> None:
    """All that the gateway has words for arrives as it was sent, by form and by link."""
    for request in (
        CLIENT.encode(intent, CREDENTIALS, NOW).request(),
        replace(CLIENT.encode(intent, CREDENTIALS, NOW), method="GET").request(),
    ):
        told = SERVER.decode(SERVER.claim(request), RING, NOW).intent
        assert isinstance(told, CreateTrade)
        heard = replace(
            told,
            merchant="",
            echo={},
            expiry=intent.expiry or Expiry(7 * DAY // SECOND),
            notify_url=told.notify_url if intent.notify_url else "",
        )
        assert heard == replace(intent, expiry=heard.expiry)
        assert told.notify_url == (intent.notify_url or intent.return_url)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"out_trade_no": "T 1"}, "p2_Order"),
        ({"out_trade_no": "9" * 51}, "p2_Order"),
        ({"subject": "x" * 21}, "p5_Pid"),
        ({"subject": "茶🍵"}, "p5_Pid"),
        ({"body": "a\x07"}, "p7_Pdesc"),
        (
            {"notify_url": "http://shop.example.com/" + "n" * 40, "return_url": "http://a.example/"},
            "pb_ServerNotifyUrl",
        ),
        ({"expiry": Expiry(0)}, "expiry"),
        ({"expiry": Expiry(181 * 86_400)}, "expiry"),
        ({"seller": Party("2088000000000001")}, "seller"),
        ({"buyer": Party(login="buyer@example.com")}, "buyer"),
        ({"client_ip": "192.0.2.7"}, "client_ip"),
        ({"price": Money(500), "quantity": 2}, "price"),
        ({"show_url": "http://shop.example.com/tea"}, "show_url"),
        ({"method": Method.CREDIT}, "method"),
        ({"bank": "FDB"}, "bank"),
        ({"product": Product.ESCROW}, "product"),
        ({"amount": Money(1, "USD")}, "p4_Cur"),
    ],
)
def test_what_cannot_be_said(more: dict[str, Any], field: str) -> None:
    """The client names the field that the gateway has no word for."""
    with pytest.raises(LocalProtocolError) as caught:
        CLIENT.encode(buy(**more), CREDENTIALS, NOW)
    assert caught.value.field == field


def test_the_payee_is_the_merchant() -> None:
    """Naming oneself as the seller says nothing new."""
    assert read(buy(seller=Party(MERCHANT))).seller == Party()


def test_numbers_of_the_platform() -> None:
    """Trades are known by the merchant's number; the platform's alone asks for nothing."""
    assert read(QueryTrade(merchant="", out_trade_no="T1", trade_no="9")).out_trade_no == "T1"
    assert read(CloseTrade(merchant="", out_trade_no="T1")).role == "seller"
    for intent in (QueryTrade(merchant="", trade_no="9"), CloseTrade(merchant="", trade_no="9")):
        with pytest.raises(LocalProtocolError):
            CLIENT.encode(intent, CREDENTIALS, NOW)
    with pytest.raises(LocalProtocolError):
        CLIENT.encode(CloseTrade(merchant="", out_trade_no="T1", role="buyer"), CREDENTIALS, NOW)


def test_T10_every_shift_in_a_payment_breaks_hmac_safe() -> None:
    """Characters moved between neighbours of a payment keep ``hmac`` and break ``hmac_safe``, which we always send."""
    request = CLIENT.encode(buy(body="b", passback="c"), CREDENTIALS, NOW).request()
    fields = read_fields((request.body,))
    names = [name for name in m.REQUEST_NAMES[m.BUY] if fields.get(name)]
    for left, right in pairwise(names):
        moved = fields | {left: fields[left][:-1], right: fields[left][-1] + fields[right]}
        claim = replace(SERVER.claim(request), parsed=moved)
        with pytest.raises(InvalidSignature) as caught:
            SERVER.decode(claim, RING, NOW)
        assert caught.value.field == "hmac_safe"


# --- answers -------------------------------------------------------------------------------------------------------


def test_answers_in_two_versions() -> None:
    """The old question gets the old lines; the new one gets times and the refund's fields too."""
    for version, lines in (("1.0", set()), ("3.0", set(m.NEW_NAMES))):
        credentials = CLIENT.load({**SETTINGS, "query_version": version})
        intent = QueryTrade(merchant="", out_trade_no=TRADE.out_trade_no, trade_no=TRADE.trade_no)
        claim = SERVER.claim(CLIENT.encode(intent, credentials, NOW).request())
        response = SERVER.answer(claim, TradeFound(TRADE), RING, NOW)
        names = {line.partition(b"=")[0].decode() for line in response.body.splitlines()}
        assert names & set(m.NEW_NAMES) == lines
        found = CLIENT.decode(intent, response, credentials, NOW)
        assert isinstance(found, TradeFound)
        assert found.trade.created_at == (NOW if lines else None)
        assert found.trade.state is TradeState.PAID


def test_refusals_are_lines_and_lies_are_pages() -> None:
    """A refusal is signed lines; a wrong signature, or nothing readable, is a page, which our client takes for none."""
    intent = CloseTrade(merchant="", out_trade_no="T1")
    claim = SERVER.claim(CLIENT.encode(intent, CREDENTIALS, NOW).request())
    told = CLIENT.decode(intent, SERVER.refuse(claim, Refused("TRADE_STATE"), RING, NOW), CREDENTIALS, NOW)
    assert told == Rejection("TRADE_STATE", "53")
    assert CLIENT.decode(intent, SERVER.answer(claim, Done(), RING, NOW), CREDENTIALS, NOW) == Done()
    page = SERVER.refuse(claim, InvalidSignature("hmac"), RING, NOW)
    assert m.SIGN_PAGE in page.body.decode("gbk")
    for response in (page, SERVER.refuse(None, RemoteProtocolError("", "no"), None, NOW)):
        with pytest.raises(RemoteProtocolError):
            CLIENT.decode(intent, response, CREDENTIALS, NOW)


# --- tables and settings -------------------------------------------------------------------------------------------


def test_tables_are_whole() -> None:
    """Every refusal has a number, every number a meaning; every channel leads to a bank of the directory."""
    assert set(m.WIRE_CODE) == set(REFUSALS)
    assert set(m.WIRE_CODE.values()) == set(m.NEUTRAL_CODE)
    assert set(m.NEUTRAL_CODE.values()) <= set(REFUSALS)
    assert {bank for bank, _ in m.CHANNEL_OF.values()} - {""} <= set(BANKS)
    assert all(m.CHANNEL_OF[code][0] == bank for (bank, _), code in m.CHANNEL_CODE.items())
    assert {name.lower() for name in m.PRIVATE} == set(m.PRIVATE)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"p1_MerId": ""}, "p1_MerId"),
        ({"p1_MerId": "1" * 12}, "p1_MerId"),
        ({"gateway": "www.yeepay.com"}, "gateway"),
        ({"queryURL": "/command"}, "queryURL"),
        ({"order_sample": "T 1"}, "order_sample"),
        ({"query_version": "2.0"}, "query_version"),
        *[({"keyValue": key}, "keyValue") for key in sorted(m.PUBLISHED_KEYS)],
    ],
)
def test_T01_settings_that_are_refused(more: dict[str, str], field: str) -> None:
    """A wrong setting is named before anything starts; printed keys are refused."""
    with pytest.raises(ConfigurationError) as caught:
        CLIENT.load({**SETTINGS, **more})
    assert caught.value.field == field


def test_where_queries_go() -> None:
    """A host of their own in production, beside the gateway elsewhere, and with a gateway changed afterwards."""
    secret = {"p1_MerId": MERCHANT, "keyValue": SETTINGS["keyValue"]}
    intent = QueryTrade(merchant="", out_trade_no="T1")
    assert CLIENT.encode(intent, CLIENT.load(secret), NOW).url == m.QUERY_GATEWAY
    beside = CLIENT.load({**secret, "gateway": "http://127.0.0.1:1/app-merchant-proxy/node"})
    assert CLIENT.encode(intent, beside, NOW).url == "http://127.0.0.1:1/app-merchant-proxy/command"
    moved = replace(CLIENT.load(secret), gateway="http://127.0.0.1:2/x/node")
    assert CLIENT.encode(intent, moved, NOW).url == "http://127.0.0.1:2/x/command"
    assert CLIENT.encode(intent, CREDENTIALS, NOW).url == SETTINGS["queryURL"]
