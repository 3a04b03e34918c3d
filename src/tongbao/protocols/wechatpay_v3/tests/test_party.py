"""Whom a message is for: the merchant's number alone does not say it, since one merchant has several applications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.protocol.bench import NOW, Pair, make_pair
from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.protocols.wechatpay_v3 import codec
from tongbao.protocols.wechatpay_v3 import messages as m
from tongbao.wire.http import Response
from tongbao.wire.movement import CancelTrade, QueryPayOut, QueryPayOutBatch
from tongbao.wire.party import Party
from tongbao.wire.vocabulary import (
    CombinedView,
    CreateTrade,
    Intent,
    Notification,
    Presentation,
    Product,
    QueryCombined,
    QueryTrade,
    TradeState,
    TradeView,
)

NUMBER = "T20250101000001"
QUERY = QueryTrade(merchant="", out_trade_no=NUMBER)
SCANNED = CreateTrade(
    merchant="",
    out_trade_no=NUMBER,
    product=Product.INSTANT,
    subject="测试商品",
    amount=Money(101),
    presentation=Presentation.BARCODE,
    code="130123456789012345",
)
OTHER = "wxffffffffffffffff"


def echo(pair: Pair, **changes: str) -> Mapping[str, str]:
    values = pair.credentials.values
    return {"appid": values["appid"], "sub_appid": values["sub_appid"], "trade_type": "NATIVE", **changes}


def note(pair: Pair, said: Mapping[str, str], *, combined: bool = False) -> Notification:
    trade = TradeView(
        merchant=pair.credentials.merchant,
        out_trade_no=NUMBER,
        trade_no="4200000000202501010000000001",
        state=TradeState.PAID,
        amount=Money(101),
        buyer=Party("oUpF8uMEb4qRXf22hE3X68TekukE"),
        paid_at=NOW,
        passback="shop7",
        echo=said,
    )
    if not combined:
        return Notification(id="EV-1", at=None, trade=trade)
    whole = CombinedView(merchant=trade.merchant, out_trade_no="WHOLE1", parts=(trade,), buyer=trade.buyer, echo=said)
    return Notification(id="EV-1", at=None, combined=whole)


@pytest.mark.parametrize(
    ("mode", "combined", "changed", "field"),
    [
        ("", False, "appid", "appid"),
        ("", True, "appid", "combine_appid"),
        ("partner", False, "appid", "sp_appid"),
        ("partner", False, "sub_appid", "sub_appid"),
    ],
)
def test_T25_another_applications_notification_is_refused(mode: str, combined: bool, changed: str, field: str) -> None:
    """Genuine, and for another application of the same merchant: it is not this shop's to act on."""
    pair = make_pair("wechatpay_v3", m.ALGORITHM, mode=mode)
    server, client = pair.manifest.server, pair.manifest.client
    target = "https://shop.example.com/notify"
    own = server.notify(note(pair, echo(pair), combined=combined), target, pair.ring, NOW)
    assert client.decode_notification(own, pair.credentials, NOW).id == "EV-1"
    told = server.notify(note(pair, echo(pair, **{changed: OTHER}), combined=combined), target, pair.ring, NOW)
    with pytest.raises(RemoteProtocolError) as caught:
        client.decode_notification(told, pair.credentials, NOW)
    assert (caught.value.field, caught.value.code) == (field, "SELLER_UNKNOWN")


def answer(pair: Pair, said: Mapping[str, Any], status: int) -> Response:
    """Whatever is said, signed by the platform."""
    body, key = codec.write_body(said), next(key for key in pair.ring.sign if key.chain)
    return Response(status, codec.signed_headers(body, key, codec.platform_name(key), "nonce", NOW).sign(), body)


@pytest.mark.parametrize(
    ("intent", "said", "status", "field"),
    [
        (QUERY, {"appid": OTHER}, 200, "appid"),
        (SCANNED, {"appid": OTHER}, 200, "appid"),
        (SCANNED, {"appid": OTHER}, 202, "appid"),
        (QueryCombined(merchant="", out_trade_no="WHOLE1"), {"combine_appid": OTHER}, 200, "combine_appid"),
        (CancelTrade(merchant="", out_trade_no=NUMBER), {"appid": OTHER}, 200, "appid"),
        (CancelTrade(merchant="", out_trade_no=NUMBER), {"mchid": "1900000117"}, 200, "mchid"),
        (QueryPayOut(merchant="", payout_no="P1"), {"appid": OTHER}, 200, "appid"),
        (
            QueryPayOutBatch(merchant="", batch_no="B1"),
            {"transfer_batch": {"appid": OTHER}},
            200,
            "transfer_batch.appid",
        ),
    ],
)
def test_T25_another_applications_answer_is_refused(
    intent: Intent, said: Mapping[str, Any], status: int, field: str
) -> None:
    """Whatever else an answer says, the application that it names comes first."""
    pair = make_pair("wechatpay_v3", m.ALGORITHM)
    with pytest.raises(RemoteProtocolError) as caught:
        pair.manifest.client.decode(intent, answer(pair, said, status), pair.credentials, NOW)
    assert caught.value.field == field
