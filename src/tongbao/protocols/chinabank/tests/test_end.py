"""What the laws cannot say of this gateway: one message for two roles, cuts, pages, banks, charsets."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from tongbao.kernel.error import ConfigurationError, InvalidSignature, LocalProtocolError, Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import parse_china
from tongbao.protocols.chinabank import PROTOCOL, credentials_for
from tongbao.protocols.chinabank import messages as m
from tongbao.protocols.chinabank.codec import ALGORITHM, glue
from tongbao.protocols.chinabank.grammar import answer_shapes, check_pay, check_result
from tongbao.wire.bank import BANKS
from tongbao.wire.form import parse_form
from tongbao.wire.http import Request, Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.split import list_splits
from tongbao.wire.vocabulary import (
    CreateTrade,
    Notification,
    Product,
    QueryTrade,
    Rejection,
    Role,
    TradeFound,
    TradeState,
    TradeView,
)

NOW = parse_china("2012-02-01 12:00:00")
MERCHANT = PROTOCOL.merchant_example
KEY = Key("k", 1, ALGORITHM, b"k9f8s7d6f5g4h3j2k1l0q9w8e7r6t5y4")
RING = KeyRing(MERCHANT, (KEY,), (KEY,))
SETTINGS = credentials_for(MERCHANT, RING, "http://127.0.0.1:8080/chinabank", {})
CREDENTIALS = PROTOCOL.client.load(SETTINGS)
SERVER, CLIENT = PROTOCOL.server, PROTOCOL.client
NUMBER = "202601011200001234567890"
TRADE = TradeView(
    merchant=MERCHANT,
    out_trade_no=NUMBER,
    trade_no="2012020100001000980012345678",
    state=TradeState.PAID,
    product=Product.INSTANT,
    amount=Money(203_500),
    passback="会员7",
    bank="ICBC",
    echo={"remark2": "[url:=http://shop.example.com/auto]"},
)
EVENT = Notification(id="n1", at=None, trade=TRADE)
RESULT = {"v_oid": "20260101-1001-120", "v_pstatus": "20", "v_amount": "35.00", "v_moneytype": "CNY"}


def pay(**more: Any) -> CreateTrade:
    about: dict[str, Any] = {
        "merchant": "",
        "out_trade_no": "T1",
        "product": Product.INSTANT,
        "subject": "茶",
        "amount": Money(1_000),
    }
    return CreateTrade(**(about | more))


def read(intent: Any, credentials: Any = CREDENTIALS) -> Any:
    request = CLIENT.encode(intent, credentials, NOW).request()
    return SERVER.decode(SERVER.claim(request), RING, NOW).intent


def told(sent: Request) -> Notification:
    return CLIENT.decode_notification(sent, CREDENTIALS, NOW)


def test_one_message_two_roles() -> None:
    """Notice and return are the same bytes; the role is that of the address they came to, and neither has a name."""
    notice = SERVER.notify(EVENT, "http://shop.example.com/cb?a=1#x", RING, NOW)
    assert notice == SERVER.return_to(EVENT, "http://shop.example.com/cb?a=1#x", RING, NOW)
    assert (notice.method, notice.raw_query) == ("POST", b"a=1")
    assert told(notice).role is Role.NOTIFICATION
    assert CLIENT.decode_return(notice, CREDENTIALS, NOW) == replace(told(notice), role=Role.RETURN)
    fields = dict(parse_form(notice.body, "gbk"))
    assert (fields["v_pmode"], fields["v_pstring"], fields["remark1"]) == ("工商银行", "支付完成", "会员7")


def test_T09_unsigned_fields_change_nothing() -> None:
    """Status text, bank and remarks may say anything: what is read stays the same."""
    sent = SERVER.notify(EVENT, "http://shop.example.com/cb", RING, NOW)
    genuine = told(sent)
    assert set(genuine.unsigned) == {"v_pmode", "v_pstring", "remark1", "remark2"}
    for name, lie in product(genuine.unsigned, ("", "支付完成", "30", "999999.00")):
        pairs = [(key, lie if key == name else value) for key, value in parse_form(sent.body, "gbk")]
        body = "&".join(f"{key}={value}" for key, value in pairs).encode("gbk")
        assert told(replace(sent, body=body)) == genuine
    assert genuine.trade.passback == genuine.trade.bank == genuine.trade.trade_no.removeprefix(NUMBER) == ""


def test_T10_number_and_sum() -> None:
    """...-120 with 35.00 and ...-1 with 2035.00 are one string: neither is taken, unless the shop's numbers have a
    known shape."""
    other = RESULT | {"v_oid": "20260101-1001-1", "v_amount": "2035.00"}
    assert glue(RESULT, m.RESULT_NAMES) == glue(other, m.RESULT_NAMES)
    for fields in (RESULT, other):
        with pytest.raises(RemoteProtocolError) as caught:
            check_result(fields, "")
        assert (caught.value.code, caught.value.field) == ("AMBIGUOUS_SPLIT", "v_oid")
    check_result(RESULT, "20991231-9999-999")
    with pytest.raises(RemoteProtocolError) as caught:
        check_result(other, "20991231-9999-999")
    assert caught.value.code == "FIELD_INVALID"


def test_T10_a_sum_with_status_inside() -> None:
    """Numbers of 24 digits show where they end, whatever the sum; our own client reads them without settings."""
    for fen in (1, 203_500, 302_020, 3_030_303, 12_020_30):
        event = replace(EVENT, trade=replace(TRADE, amount=Money(fen)))
        assert told(SERVER.notify(event, "http://shop.example.com/cb", RING, NOW)).trade.amount == Money(fen)


def test_T10_sum_and_currency_of_a_request() -> None:
    """1 with 0 for yuan and 10 are one string: beside 0 a sum must have two decimals, and then one reading is left."""
    base = {"v_oid": "20060105-1001-93015", "v_mid": "1001", "v_url": "http://shop.example/1001http"}
    check_pay(base | {"v_amount": "1.50", "v_moneytype": "0"}, "1001")
    check_pay(base | {"v_amount": "300", "v_moneytype": "CNY"}, "1001")
    check_pay(base | {"v_amount": "300", "v_moneytype": "CNY", "v_url": ""}, "1001")
    for amount in ("1", "1.5", "10"):
        with pytest.raises(RemoteProtocolError) as caught:
            check_pay(base | {"v_amount": amount, "v_moneytype": "0"}, "1001")
        assert caught.value.code == "AMBIGUOUS_SPLIT"


def test_T10_an_answer_has_one_reading() -> None:
    """The order that was asked for is known, and no status begins another."""
    for status, amount in product(("0", "10", "20", "30"), ("0.00", "20", "35.00", "1020.30", "3030.00")):
        text = f"T1{status}{amount}CNY"
        assert list(list_splits(text, answer_shapes("T1"))) == [("T1", status, amount, "CNY")]


def test_T25_another_merchants_order() -> None:
    """The signature of a query leaves out who asks: the key must be that merchant's."""
    request = CLIENT.encode(QueryTrade(merchant="", out_trade_no="T1"), CREDENTIALS, NOW).request()
    changed = replace(request, body=request.body.replace(MERCHANT.encode(), b"22951235"))
    with pytest.raises(InvalidSignature):
        SERVER.decode(SERVER.claim(changed), RING, NOW)
    claim = SERVER.claim(changed)
    assert SERVER.decode(claim, replace(RING, merchant="22951235"), NOW).intent.merchant == "22951235"


def ask(outcome: Any, asked: str = NUMBER) -> tuple[Response, Any]:
    intent = QueryTrade(merchant="", out_trade_no=asked)
    claim = SERVER.claim(CLIENT.encode(intent, CREDENTIALS, NOW).request())
    error = outcome if isinstance(outcome, Refused) else None
    answer = SERVER.refuse(claim, error, RING, NOW) if error else SERVER.answer(claim, outcome, RING, NOW)
    return answer, CLIENT.decode(intent, answer, CREDENTIALS, NOW)


def test_answers_are_pages() -> None:
    """A page with inputs in the order that old clients search for; every status is signed; nothing posts itself."""
    page, found = ask(TradeFound(TRADE))
    assert (found.trade.state, found.trade.amount) == (TradeState.PAID, TRADE.amount)
    body = page.body.decode("gbk")
    assert f'<input type=hidden name="v_oid" value="{NUMBER}">' in body
    assert '<input type="hidden" name="v_ver" value="4.0"/>' in body
    assert "script" not in body
    for state, word in ((TradeState.UNPAID, "10"), (TradeState.CLOSED, "30"), (TradeState.FINISHED, "20")):
        page, found = ask(TradeFound(replace(TRADE, state=state)))
        assert f'name="v_pstatus" value="{word}"' in page.body.decode("gbk")
        assert found.trade.is_paid is (word == "20")


def test_no_such_order_is_signed() -> None:
    """Only "no such order" has a word; every other refusal is a page and says nothing about the order (T82)."""
    for outcome in (Refused("TRADE_NOT_FOUND"), Rejection("NOT_FOUND")):
        page, said = ask(outcome)
        assert said == Rejection("TRADE_NOT_FOUND", "0")
        assert b"v_md5str" in page.body
    for code in ("SYSTEM", "SIGN_INVALID", "RATE_LIMITED", "MERCHANT_DISABLED"):
        assert ask(Refused(code))[1] == Rejection("SYSTEM", "error")


def test_T54_texts_in_a_page() -> None:
    """Remarks and the unsigned address of a query are escaped in the page and read back whole."""
    sharp = '"><script>alert(1)</script>&amp;'
    page, found = ask(TradeFound(replace(TRADE, passback=sharp)))
    assert (b"<script" in page.body, found.trade.state) == (False, TradeState.PAID)
    claim = SERVER.claim(CLIENT.encode(QueryTrade(merchant="", out_trade_no=NUMBER), CREDENTIALS, NOW).request())
    hostile = replace(claim, parsed={**claim.parsed, "v_url": 'http://x.example/"><script>'})
    assert b"<script" not in SERVER.answer(hostile, TradeFound(TRADE), RING, NOW).body


def test_every_bank() -> None:
    """Each bank with a code goes through; one without a code, and a way of paying, cannot be said."""
    for bank in BANKS:
        if bank in m.BANK_CODE:
            assert read(pay(bank=bank)).bank == bank
            assert bank in m.BANK_TEXT
        else:
            with pytest.raises(LocalProtocolError) as caught:
                read(pay(bank=bank))
            assert caught.value.field == "bank"
    assert set(m.BANK_OF.values()) <= set(BANKS)


def test_the_platform_words_the_goods() -> None:
    """There is no field for a subject: the order's number stands for it; the rest of the intent arrives."""
    intent = read(pay(notify_url="http://shop.example.com/auto", return_url="http://shop.example.com/", passback="7"))
    assert intent.subject == "订单 T1"
    assert (intent.notify_url, intent.return_url, intent.passback) == (
        "http://shop.example.com/auto",
        "http://shop.example.com/",
        "7",
    )
    assert intent.echo == {"remark2": "[url:=http://shop.example.com/auto]"}
    with pytest.raises(LocalProtocolError) as caught:
        read(pay(notify_url="http://shop.example.com/a]b"))
    assert caught.value.field == "notify_url"


def test_T09_an_unsigned_address_stays_at_the_shop() -> None:
    """A buyer may change remark2, but not send the notices to another host than that of the signed v_url."""
    home, own = "http://shop.example.com/back", "http://shop.example.com/auto"
    request = CLIENT.encode(pay(return_url=home, notify_url=own), CREDENTIALS, NOW).request()
    for other in (b"evil.example", b"shop.example.com%3A81", b"shop.example.com.evil.example"):
        head, mark, tail = request.body.rpartition(b"shop.example.com%2Fauto")
        changed = replace(request, body=head + other + mark.removeprefix(b"shop.example.com") + tail)
        with pytest.raises(RemoteProtocolError) as caught:
            SERVER.decode(SERVER.claim(changed), RING, NOW)
        assert (caught.value.code, caught.value.field) == ("URL_NOT_ALLOWED", "remark2")
    with pytest.raises(LocalProtocolError):
        read(pay(notify_url=own))


def test_texts_in_the_pages_charset() -> None:
    """A shop in UTF-8 says so in the address and gets its results so; GBK lacks some letters."""
    wide = CLIENT.load(credentials_for(MERCHANT, RING, "http://127.0.0.1:8080", {"charset": "utf-8"}))
    intent = read(pay(passback="é会员"), wide)
    assert (intent.passback, intent.echo["encoding"]) == ("é会员", "utf-8")
    event = replace(EVENT, trade=replace(TRADE, passback="ø会员", echo=intent.echo))
    sent = SERVER.notify(event, "http://shop.example.com/cb", RING, NOW)
    assert CLIENT.decode_notification(sent, wide, NOW).unsigned["remark1"] == "ø会员"
    narrow = SERVER.notify(replace(event, trade=replace(TRADE, passback="ø会员")), "http://s.example/", RING, NOW)
    assert "remark1" not in told(narrow).unsigned
    with pytest.raises(LocalProtocolError) as caught:
        read(pay(passback="ø会员"))
    assert (caught.value.field, caught.value.code) == ("remark1", "BAD_CHARSET")


def test_settings_are_checked() -> None:
    """A wrong number, address, charset or sample stops the configuration by its name."""
    for field, value in (
        ("v_mid", "12a4"),
        ("v_mid", ""),
        ("gateway", "/PayGate"),
        ("query_gateway", "ftp://x"),
        ("v_url", "shop.example"),
        ("encoding", "utf-16"),
        ("order_sample", "a b"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            CLIENT.load({**SETTINGS, field: value})
        assert caught.value.field == field
    bare = CLIENT.load({"v_mid": "1001", "key": SETTINGS["key"]})
    assert bare.values["query_gateway"] == "https://pay3.chinabank.com.cn/receiveorder.jsp"


def test_F22_the_word_of_success() -> None:
    """Exactly ``ok``: no blank, no mark of a byte order, no other case."""
    assert CLIENT.acknowledge(True).body == b"ok"
    assert CLIENT.acknowledge(False).body == b"error"
    for body in (b"OK", b"ok\n", b" ok", b"\xef\xbb\xbfok", b"success", b"error"):
        assert not SERVER.acknowledged(Response(200, (), body))
