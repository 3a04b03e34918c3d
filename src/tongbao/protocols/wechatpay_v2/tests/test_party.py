"""Whom a message is for: the merchant's number alone does not say it, since one merchant has several applications."""

from __future__ import annotations

import pytest

from tests.protocol.bench import NOW, Pair, make_pair
from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.protocols.wechatpay_v2 import codec
from tongbao.protocols.wechatpay_v2 import messages as m
from tongbao.protocols.wechatpay_v2.wallet import read_scan
from tongbao.wire.http import Request, Response, post
from tongbao.wire.movement import MovementState, PayOut, RefundView
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import Intent, Notification, QueryTrade, TradeState, TradeView

TARGET = "https://shop.example.com/notify"
OTHER = "wxffffffffffffffff"
PAID = TradeView(
    out_trade_no="T20250101000001",
    trade_no="4200000000202501010000000001",
    state=TradeState.PAID,
    amount=Money(101),
    paid_at=NOW,
)
REFUND = RefundView(
    refund_no="R1",
    refund_id="50000000000000000000000000001",
    trade_no=PAID.trade_no,
    out_trade_no=PAID.out_trade_no,
    state=MovementState.SUCCEEDED,
    amount=Money(30),
    total=Money(101),
    ended_at=NOW,
)
PAY_OUT = PayOut(merchant="", payout_no="B1", payee=Payee(Party("oUpF8uMEb4qRXf22hE3X68TekukE")), amount=Money(100))


@pytest.fixture(name="pair")
def fixture_pair() -> Pair:
    return make_pair("wechatpay_v2", m.HMAC)


def signed(pair: Pair, fields: dict[str, str], **changes: str) -> bytes:
    said = {name: value for name, value in fields.items() if name != "sign"} | changes
    return codec.write_fields(codec.signed(said, pair.ring.signing(m.HMAC)))


def told(pair: Pair, note: Notification) -> Request:
    return pair.manifest.server.notify(note, TARGET, pair.ring, NOW)


@pytest.mark.parametrize("refund", [None, REFUND])
def test_T25_another_applications_notification_is_refused(pair: Pair, refund: RefundView | None) -> None:
    """Genuine, and for another application of the same merchant: it is not this shop's to act on."""
    sent = told(pair, Notification(id="EV-1", at=NOW, trade=PAID, refund=refund))
    fields = codec.read_fields(sent.body)
    assert "appid" not in fields
    for appid, good in ((pair.credentials.values["appid"], True), (OTHER, False)):
        body = signed(pair, fields, appid=appid) if refund is None else codec.write_fields({**fields, "appid": appid})
        request = post(TARGET, body, codec.KIND)
        if good:
            assert pair.manifest.client.decode_notification(request, pair.credentials, NOW).trade.amount == Money(101)
            continue
        with pytest.raises(RemoteProtocolError) as caught:
            pair.manifest.client.decode_notification(request, pair.credentials, NOW)
        assert (caught.value.field, caught.value.code) == ("appid", "SELLER_UNKNOWN")


@pytest.mark.parametrize(
    ("intent", "field"),
    [(QueryTrade(merchant="", out_trade_no="T1"), "appid"), (PAY_OUT, "mch_appid")],
)
def test_T25_another_applications_answer_is_refused(pair: Pair, intent: Intent, field: str) -> None:
    """Whatever else an answer says, the application that it names comes first."""
    said = {"return_code": "SUCCESS", "result_code": "SUCCESS", field: OTHER}
    with pytest.raises(RemoteProtocolError) as caught:
        pair.manifest.client.decode(intent, Response(200, (), signed(pair, said)), pair.credentials, NOW)
    assert (caught.value.field, caught.value.code) == (field, "SELLER_UNKNOWN")


def test_an_empty_application_names_none(pair: Pair) -> None:
    """An empty element is signed as one that is not there (sheet wechatpay, section 2.2)."""
    sent = told(pair, Notification(id="EV-1", at=NOW, trade=PAID))
    body = signed(pair, codec.read_fields(sent.body)).replace(b"</xml>", b"<appid></appid></xml>")
    read = pair.manifest.client.decode_notification(post(TARGET, body, codec.KIND), pair.credentials, NOW)
    assert read.trade.amount == Money(101)


def test_T25_a_scan_for_another_application_is_refused(pair: Pair) -> None:
    """The platform's question after a scan names merchant and application, and both are compared."""
    own = pair.credentials.values["appid"]
    said = {"mch_id": pair.credentials.merchant, "openid": "o1", "product_id": "P1", "nonce_str": "n"}
    assert read_scan(signed(pair, said, appid=own), pair.credentials)["product_id"] == "P1"
    with pytest.raises(RemoteProtocolError) as caught:
        read_scan(signed(pair, said, appid=OTHER), pair.credentials)
    assert (caught.value.field, caught.value.code) == ("appid", "SELLER_UNKNOWN")
