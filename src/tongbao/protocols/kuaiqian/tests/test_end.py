"""What the laws cannot say of this gateway: acknowledgement, charsets, banks, the query's two ways of saying unpaid."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.protocol.bench import make_pair
from tongbao.kernel.error import ConfigurationError, InvalidSignature, LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.kernel.time import parse_china
from tongbao.protocols.kuaiqian import PROTOCOL, credentials_for, soap
from tongbao.protocols.kuaiqian import messages as m
from tongbao.protocols.kuaiqian.codec import MD5, RSA
from tongbao.wire.bank import BANKS
from tongbao.wire.form import parse_form
from tongbao.wire.http import Response
from tongbao.wire.key import Key, KeyRing
from tongbao.wire.vocabulary import (
    CreateTrade,
    Method,
    Notification,
    Product,
    QueryTrade,
    Rejection,
    TradeFound,
    TradeState,
    TradeView,
)

NOW = parse_china("2012-04-12 00:00:01")
MERCHANT = PROTOCOL.merchant_example
KEY = Key("k", 1, MD5, b"k9f8s7d6f5g4h3j2k1l0q9w8e7r6t5y4")
RING = KeyRing(MERCHANT, (KEY,), (KEY,))
SETTINGS = credentials_for(MERCHANT, RING, "http://127.0.0.1:8080/kuaiqian", {})
CREDENTIALS = PROTOCOL.client.load(SETTINGS)
SERVER, CLIENT = PROTOCOL.server, PROTOCOL.client
NUMBER = "201204111200001234567890"


def pay(**more: Any) -> CreateTrade:
    about: dict[str, Any] = {
        "merchant": "",
        "out_trade_no": NUMBER,
        "product": Product.INSTANT,
        "subject": "茶",
        "amount": Money(1_000),
    }
    return CreateTrade(**(about | more))


def read(intent: Any, credentials: Any = CREDENTIALS) -> Any:
    request = CLIENT.encode(intent, credentials, NOW).request()
    return SERVER.decode(SERVER.claim(request), RING, NOW).intent


@pytest.mark.parametrize(
    "body", [b"<result>1</result>", b"<result>1</result><redirecturl>http://a.example/?b=1&c=2</redirecturl>"]
)
def test_acknowledgement_with_and_without_an_address(body: bytes) -> None:
    """The word of success is the result 1, with the buyer's next address or without."""
    assert SERVER.acknowledged(Response(200, (), body))
    for other in (b" " + body, body + b"\n", body.replace(b"1</r", b"0</r"), b"<html>" + body, body.upper()):
        assert not SERVER.acknowledged(Response(200, (), other))
    assert not SERVER.acknowledged(Response(200, (), b"<result>1</result><redirecturl><a></redirecturl>"))


@pytest.mark.parametrize(("word", "codec"), [("1", "utf-8"), ("2", "gbk"), ("3", "gbk")])
def test_charset_of_the_order_is_that_of_its_result(word: str, codec: str) -> None:
    """A result is written in the charset in which its order was, and read so by the shop."""
    credentials = CLIENT.load(SETTINGS | {"inputCharset": word})
    asked = read(pay(passback="会员7"), credentials)
    trade = TradeView(
        out_trade_no=NUMBER, trade_no="1", state=TradeState.PAID, amount=Money(5), passback="会员7", echo=asked.echo
    )
    sent = SERVER.notify(Notification(id="n", at=None, trade=trade), "http://shop.example/bg?a=1#x", RING, NOW)
    assert dict(parse_form(sent.raw_query, codec))["ext1"] == "会员7"
    assert CLIENT.decode_notification(sent, credentials, NOW).trade.passback == "会员7"


def test_banks_and_ways() -> None:
    """Every code of ours names a bank of the directory and comes back; a way of paying excludes a bank."""
    assert set(m.BANK_OF.values()) == set(m.BANK_CODE) <= set(BANKS)
    for bank in m.BANK_CODE:
        assert read(pay(bank=bank)).bank == bank
    for method in Method:
        assert read(pay(method=method)).method is method
    with pytest.raises(LocalProtocolError):
        read(pay(bank="ICBC", method=Method.BALANCE))
    with pytest.raises(LocalProtocolError):
        read(pay(bank="FDB"))


def test_unpaid_is_31005_and_says_the_sum() -> None:
    """Old clients read 31005; ours reads the signed order beside it."""
    intent = QueryTrade(merchant="", out_trade_no=NUMBER)
    claim = SERVER.claim(CLIENT.encode(intent, CREDENTIALS, NOW).request())
    view = TradeView(out_trade_no=NUMBER, trade_no="1", state=TradeState.UNPAID, amount=Money(5), created_at=NOW)
    response = SERVER.answer(claim, TradeFound(view), RING, NOW)
    head, items = soap.read_reply(response)
    assert (head["errCode"], items[0]["payResult"], items[0]["orderAmount"]) == ("31005", "00", "5")
    found = CLIENT.decode(intent, response, CREDENTIALS, NOW)
    assert isinstance(found, TradeFound)
    assert (found.trade.state, found.trade.amount) == (TradeState.UNPAID, Money(5))


def test_soap_of_other_writers() -> None:
    """Prefixes, types and blanks of other SOAP writers are read; references, CDATA and other roots are not."""
    good = (
        b'<s:Envelope xmlns:s="u"><s:Body><n:gatewayOrderQuery xmlns:n="v"> <request xsi:type="n:R">'
        b'<orderId xsi:type="xsd:string">1</orderId></request></n:gatewayOrderQuery></s:Body></s:Envelope>'
    )
    assert soap.read_query(good) == {"orderId": "1"}
    for bad in (
        good.replace(b"Envelope", b"Else"),
        good.replace(b'xsi:type="n:R"', b'href="#id0"'),
        good.replace(b">1<", b"><![CDATA[1]]><"),
        good.replace(b"request", b"other"),
        good.replace(b">1<", b">\xff<"),
        b"<" * 70_000,
    ):
        with pytest.raises(RemoteProtocolError):
            soap.read_query(bad)


@pytest.mark.parametrize(
    ("name", "value"), [("merchantAcctId", "!"), ("gateway", "x"), ("inputCharset", "4"), ("key", "short")]
)
def test_settings_are_checked(name: str, value: str) -> None:
    """A wrong setting is named."""
    with pytest.raises(ConfigurationError) as caught:
        CLIENT.load(SETTINGS | {name: value})
    assert caught.value.field == name


def test_a_question_with_another_kind_of_signature_is_refused_by_one_that_the_merchant_has() -> None:
    """Where he asks by a kind that was not agreed, or that there is not: the refusal is signed all the same."""
    pair = make_pair("kuaiqian", RSA)
    asked = pair.manifest.client.encode(QueryTrade(merchant="", out_trade_no=NUMBER), pair.credentials, NOW).request()
    for word in (b"1", b"9", b""):
        body = asked.body.replace(b"<signType>4</signType>", b"<signType>%b</signType>" % word)
        claim = SERVER.claim(replace(asked, body=body))
        with pytest.raises(InvalidSignature) as refusal:
            SERVER.decode(claim, pair.ring, NOW)
        answer = SERVER.refuse(claim, refusal.value, pair.ring, NOW)
        assert answer.status == 200
        read = pair.manifest.client.decode(QueryTrade(merchant="", out_trade_no=NUMBER), answer, pair.credentials, NOW)
        assert isinstance(read, Rejection)
