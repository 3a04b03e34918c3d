"""What the laws cannot say of this gateway: two modes of notice, dates, cuts, memos, the derivative's strings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tongbao.kernel.error import ConfigurationError, InvalidSignature, LocalProtocolError, Refused, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import parse_china
from tongbao.protocols.cncard import PROTOCOL, credentials_for
from tongbao.protocols.cncard import messages as m
from tongbao.protocols.cncard.codec import ALGORITHM, glue
from tongbao.protocols.cncard.grammar import check_result
from tongbao.protocols.cncard.server import Server
from tongbao.wire.bank import BANKS
from tongbao.wire.form import parse_form
from tongbao.wire.http import Request, Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.sign import md5_suffix
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

NOW = parse_china("2008-04-12 00:00:01")
MERCHANT = PROTOCOL.merchant_example
KEY = Key("k", 1, ALGORITHM, b"k9f8s7d6f5g4h3j2k1l0q9w8e7r6t5y4")
RING = KeyRing(MERCHANT, (KEY,), (KEY,))
SETTINGS = credentials_for(MERCHANT, RING, "http://127.0.0.1:8080/cncard", {})
CREDENTIALS = PROTOCOL.client.load(SETTINGS)
SERVER, CLIENT = PROTOCOL.server, PROTOCOL.client
NUMBER = "200804111200001234567890"
TRADE = TradeView(
    merchant=MERCHANT,
    out_trade_no=NUMBER,
    trade_no="2008041100001000980012345678",
    state=TradeState.PAID,
    product=Product.INSTANT,
    amount=Money(1),
    passback="会员7",
    bank="CCB",
    echo={"c_ymd": "20080411", "c_memo2": "[reURL:=http://shop.example.com/result]"},
)
EVENT = Notification(id="n1", at=None, trade=TRADE)
RESULT = {
    "c_mid": MERCHANT,
    "c_order": "20260101009",
    "c_orderamount": "5.00",
    "c_ymd": "20260101",
    "c_transnum": "9052705",
    "c_succmark": "Y",
    "c_moneytype": "0",
}


def pay(**more: Any) -> CreateTrade:
    about: dict[str, Any] = {
        "merchant": "",
        "out_trade_no": NUMBER,
        "product": Product.INSTANT,
        "subject": "茶",
        "amount": Money(1_000),
    }
    return CreateTrade(**(about | more))


def sent(intent: Any) -> dict[str, str]:
    return dict(parse_form(CLIENT.encode(intent, CREDENTIALS, NOW).request().body, "gbk"))


def read(intent: Any) -> Any:
    request = CLIENT.encode(intent, CREDENTIALS, NOW).request()
    return SERVER.decode(SERVER.claim(request), RING, NOW).intent


def told(request: Request) -> Notification:
    return CLIENT.decode_notification(request, CREDENTIALS, NOW)


def test_modes_of_notice() -> None:
    """An address of notices asks for a server's notice and takes the page for the buyer along in a signed memo; an
    address of return alone leaves it to the browser; none at all tells nobody."""
    notices, home = "http://shop.example.com/notify", "http://shop.example.com/result"
    for intent, retflag, kind, url, memo in (
        (pay(notify_url=notices, return_url=home), "1", "1", notices, f"[reURL:={home}]"),
        (pay(notify_url=notices), "1", "1", notices, None),
        (pay(return_url=home), "1", "0", home, None),
        (pay(), "0", None, None, None),
    ):
        fields = sent(intent)
        assert fields["c_retflag"] == retflag
        assert (fields.get("notifytype"), fields.get("c_returl"), fields.get("c_memo2")) == (kind, url, memo)
        back = read(intent)
        assert (back.notify_url, back.return_url) == (intent.notify_url, intent.return_url)
    with pytest.raises(LocalProtocolError) as caught:
        read(pay(notify_url=notices, return_url=f"{home}]"))
    assert caught.value.field == "return_url"


def test_one_message_two_roles() -> None:
    """Notice and return are one GET; the role is that of the address it came to."""
    notice = SERVER.notify(EVENT, "http://shop.example.com/cb?a=1#x", RING, NOW)
    assert notice == SERVER.return_to(EVENT, "http://shop.example.com/cb?a=1#x", RING, NOW)
    fields = dict(parse_form(notice.raw_query, "gbk"))
    assert (notice.method, fields["a"], fields["c_paygate"], fields["c_cause"]) == ("GET", "1", "2000", "succ")
    assert fields["c_transnum"] == TRADE.trade_no
    event = told(notice)
    assert (event.role, event.trade.trade_no, event.trade.echo) == (
        Role.NOTIFICATION,
        NUMBER,
        {"c_transnum": TRADE.trade_no},
    )
    assert CLIENT.decode_return(notice, CREDENTIALS, NOW) == replace(event, role=Role.RETURN)


def test_a_sum_without_its_zero() -> None:
    """.01 is signed as it stands and read as a number, as the platform of 2008 sent it."""
    bare = Server(bare_sums=True).notify(EVENT, "http://shop.example.com/cb", RING, NOW)
    assert b"c_orderamount=.01&" in bare.raw_query
    assert told(bare) == told(SERVER.notify(EVENT, "http://shop.example.com/cb", RING, NOW))
    spoilt = replace(bare, raw_query=bare.raw_query.replace(b"=.01&", b"=0.01&"))
    with pytest.raises(InvalidSignature):
        told(spoilt)


def test_T09_memos_have_no_border() -> None:
    """What moves between the memos changes nothing that is read; the memos together are signed."""
    event = replace(EVENT, trade=replace(TRADE, passback="AB", echo={"c_ymd": "20080411", "c_memo2": "CD"}))
    notice = SERVER.notify(event, "http://shop.example.com/cb", RING, NOW)
    for one, two in ((b"A", b"BCD"), (b"ABCD", b""), (b"", b"ABCD")):
        raw = notice.raw_query.replace(b"c_memo1=AB", b"c_memo1=" + one).replace(b"c_memo2=CD", b"c_memo2=" + two)
        assert told(replace(notice, raw_query=raw)) == told(notice)
    with pytest.raises(InvalidSignature):
        told(replace(notice, raw_query=notice.raw_query.replace(b"c_memo2=CD", b"c_memo2=CE")))
    assert told(notice).trade.passback == ""


def test_T10_number_and_sum() -> None:
    """...009 with 5.00 and ...00 with 95.00 are one string: neither is taken, unless the numbers' shape is known."""
    other = RESULT | {"c_order": "2026010100", "c_orderamount": "95.00"}
    assert glue(RESULT, m.RESULT_NAMES) == glue(other, m.RESULT_NAMES)
    for fields in (RESULT, other):
        with pytest.raises(RemoteProtocolError) as caught:
            check_result(fields, MERCHANT, "")
        assert (caught.value.code, caught.value.field) == ("AMBIGUOUS_SPLIT", "c_order")
    check_result(RESULT, MERCHANT, "00000000000")
    with pytest.raises(RemoteProtocolError) as caught:
        check_result(other, MERCHANT, "00000000000")
    assert caught.value.code == "FIELD_INVALID"
    check_result(RESULT | {"c_order": "2026-A"}, MERCHANT, "")


def test_the_orders_date() -> None:
    """The date is that with which the number begins, however late it is asked for; else the Chinese day."""
    query = QueryTrade(merchant="", out_trade_no=NUMBER)
    assert sent(pay())["c_ymd"] == sent(query)["c_ymd"] == "20080411"
    assert sent(pay(out_trade_no="T1"))["c_ymd"] == "20080412"
    assert sent(pay(out_trade_no="20081345"))["c_ymd"] == "20080412"


def ask(outcome: Any, **more: str) -> tuple[Response, Any]:
    intent = QueryTrade(merchant="", out_trade_no=NUMBER)
    claim = SERVER.claim(CLIENT.encode(intent, CREDENTIALS, NOW).request())
    claim = replace(claim, parsed={**claim.parsed, **more})
    error = outcome if isinstance(outcome, Refused) else None
    answer = SERVER.refuse(claim, error, RING, NOW) if error else SERVER.answer(claim, outcome, RING, NOW)
    return answer, CLIENT.decode(intent, answer, CREDENTIALS, NOW) if answer.status == 200 else None


def test_answers() -> None:
    """Paid, unpaid, unknown are signed words; an order of another day is none; other refusals are a page (T82)."""
    for state, word in ((TradeState.PAID, "001"), (TradeState.FINISHED, "001"), (TradeState.CLOSED, "000")):
        answer, found = ask(TradeFound(replace(TRADE, state=state)))
        assert f"c_succmark={word}".encode() in answer.body
        assert found.trade.is_paid is (word == "001")
    assert ask(TradeFound(TRADE), c_ymd="20080412")[1] == Rejection("TRADE_NOT_FOUND", "002")
    assert ask(Refused("TRADE_NOT_FOUND"))[1] == Rejection("TRADE_NOT_FOUND", "002")
    for code in ("SYSTEM", "SIGN_INVALID", "RATE_LIMITED", "MERCHANT_DISABLED"):
        assert ask(Refused(code))[1] == Rejection("SYSTEM", "error")


def test_an_answer_to_an_address() -> None:
    """Where the query named an address, which it signs, the result goes there."""
    answer, _ = ask(TradeFound(TRADE), c_returl="http://shop.example.com/query?a=1")
    location = answer.header("location") or ""
    assert (answer.status, location.partition("&")[0]) == (302, "http://shop.example.com/query?a=1")
    assert "c_transnum" not in location
    assert "c_succmark=001" in location


def test_every_bank() -> None:
    """Each bank with a code goes through; one without a code cannot be said."""
    for bank in BANKS:
        if bank in m.BANK_CODE:
            assert read(pay(bank=bank)).bank == bank
        else:
            with pytest.raises(LocalProtocolError) as caught:
                read(pay(bank=bank))
            assert caught.value.field == "bank"
    assert set(m.BANK_OF.values()) == set(m.BANK_CODE) <= set(BANKS)


def test_T25_another_merchants_order() -> None:
    """A digit moved between the merchant's number and the order's finds another key, and no trade."""
    request = CLIENT.encode(QueryTrade(merchant="", out_trade_no=NUMBER), CREDENTIALS, NOW).request()
    body = request.body.replace(MERCHANT.encode(), MERCHANT[:-1].encode()).replace(b"c_order=", b"c_order=0")
    with pytest.raises(InvalidSignature) as caught:
        SERVER.decode(SERVER.claim(replace(request, body=body)), RING, NOW)
    assert caught.value.field == "c_mid"


def test_settings_are_checked() -> None:
    """A wrong number, address or sample stops the configuration by its name."""
    for field, value in (
        ("c_mid", "12a4"),
        ("gateway", "/getorder.asp"),
        ("query_gateway", "ftp://x"),
        ("c_returl", "shop.example"),
        ("order_sample", "a b"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            CLIENT.load({**SETTINGS, field: value})
        assert caught.value.field == field
    bare = CLIENT.load({"c_mid": "000103", "c_pass": SETTINGS["c_pass"]})
    assert bare.values["query_gateway"] == "https://www.cncard.net/purchase/queryorder.asp"


def test_F22_the_acknowledgement() -> None:
    """Both tags, in their case, with or without an address; nothing around them but blanks."""
    for body in (
        CLIENT.acknowledge(True).body,
        b"<result>1</result><reURL>http://shop.example.com/GetPayHandle.asp</reURL>\r\n",
    ):
        assert SERVER.acknowledged(Response(200, (), body))
    for body in (
        CLIENT.acknowledge(False).body,
        b"<result>1</result>",
        b"<result>0</result><reURL></reURL>",
        b"<RESULT>1</RESULT><reURL></reURL>",
        b"<html><result>1</result><reURL></reURL></html>",
    ):
        assert not SERVER.acknowledged(Response(200, (), body))


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        ("10001D15.0020160101T1Y020160101120000m1v1.2", "88c96d51f083504f6b0005a696d4a9cd"),
        (
            (
                "c_memo1=m1c_mid=10001c_moneytype=0c_order=D1c_orderamount=5.00c_succmark=Yc_transnum=T1"
                "c_version=v2.0c_ymd=20160101dealtime=20160101120000"
            ),
            "09708903556263901199fc519d5159bb",
        ),
    ],
)
def test_the_derivatives_strings(text: str, digest: str) -> None:
    """N15, N16: another company's gateway hashes in the same way, over other strings, which are not read here."""
    assert md5_suffix(text.encode("gbk"), b"Test") == digest
