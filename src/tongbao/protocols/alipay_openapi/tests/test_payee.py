"""Two numbers of one merchant: the application's, which asks, and the payee's, which money comes to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.protocol.bench import NOW, make_pair
from tongbao.kernel.error import LocalProtocolError, RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.protocols.alipay_openapi import PROTOCOL
from tongbao.wire.json import read_object
from tongbao.wire.movement import QueryBalance, Split
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import CreateTrade, Notification, Product, Rejection, TradeState, TradeView

BALANCE = QueryBalance(merchant="")
VIEW = TradeView(
    out_trade_no="T1",
    trade_no="2026010222001400000000000001",
    state=TradeState.PAID,
    amount=Money(1_234),
    paid_at=NOW,
)


def test_the_merchant_is_named_by_his_payees_number() -> None:
    """What the platform knows as the application is told as its payee, and asked for as either; others stay others."""
    pair = make_pair("alipay_openapi", "RSA2", "utf-8")
    app, payee = pair.credentials.merchant, pair.credentials.values["seller_id"]
    assert (app[:4], payee[:4], len(payee)) == ("2021", "2088", 16)
    for named, meant in ((payee, app), (app, app), ("2088000000000099", "2088000000000099")):
        splits = (Split(giver=Party(named), receiver=Party("2088000000000077"), amount=Money(1)),)
        asked = CreateTrade(
            merchant="", out_trade_no="T1", product=Product.INSTANT, subject="tea", amount=Money(1_234),
            seller=Party(named), splits=splits,
        )  # fmt: skip
        read = pair.ask(asked)[0][2].intent
        assert isinstance(read, CreateTrade)
        assert (read.seller, read.splits[0].giver) == (Party(meant), Party(meant))
    notification = Notification(id="n1", at=None, trade=replace(VIEW, merchant=app, seller=Party(app), subject="tea"))
    for send, hear in (
        (PROTOCOL.server.notify, PROTOCOL.client.decode_notification),
        (PROTOCOL.server.return_to, PROTOCOL.client.decode_return),
    ):
        told = hear(send(notification, "https://shop.example.com/x", pair.ring, NOW), pair.credentials, NOW).trade
        assert (told.merchant, told.seller) == (app, Party(payee))


def test_a_balance_is_asked_for_by_the_payees_number() -> None:
    """The application's number names no account; without the payee's there is nothing to ask. Another's is refused."""
    pair = make_pair("alipay_openapi", "RSA2", "utf-8")
    claim = pair.read(PROTOCOL.client.encode(BALANCE, pair.credentials, NOW).request())[0]
    said = read_object(claim.parsed.fields["biz_content"].encode(), "biz_content")
    assert said == {"alipay_user_id": pair.credentials.values["seller_id"], "account_type": "ACCTRANS_ACCOUNT"}
    nameless = replace(pair.credentials, values={**pair.credentials.values, "seller_id": ""})
    with pytest.raises(LocalProtocolError) as silent:
        PROTOCOL.client.encode(BALANCE, nameless, NOW)
    assert silent.value.field == "seller_id"
    for number in ("2088000000000099", pair.credentials.merchant):
        other = replace(pair.credentials, values={**pair.credentials.values, "seller_id": number})
        claim = PROTOCOL.server.claim(PROTOCOL.client.encode(BALANCE, other, NOW).request())
        with pytest.raises(RemoteProtocolError) as caught:
            PROTOCOL.server.decode(claim, pair.ring, NOW)
        assert (caught.value.field, caught.value.code) == ("alipay_user_id", "NO_PRIVILEGE")
        answer = PROTOCOL.server.refuse(claim, caught.value, pair.ring, NOW)
        assert PROTOCOL.client.decode(BALANCE, answer, pair.credentials, NOW) == Rejection(
            "NO_PRIVILEGE", "NO_PERMISSION_ACCOUNT", "没有该账户的访问权限"
        )
