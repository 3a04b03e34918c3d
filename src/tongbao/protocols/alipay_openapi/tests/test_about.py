"""What an answer is about: its signature does not cover the question, so it must name what was asked for itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.protocol.bench import NOW, make_pair
from tongbao.kernel.error import RemoteProtocolError
from tongbao.kernel.money import Money
from tongbao.protocols.alipay_openapi import PROTOCOL
from tongbao.protocols.alipay_openapi import messages as m
from tongbao.protocols.alipay_openapi.envelope import Voice, node_name, write_answer
from tongbao.protocols.alipay_openapi.rest import write_rest
from tongbao.wire.http import Response
from tongbao.wire.movement import (
    Answered,
    CallByName,
    Cancelled,
    CancelTrade,
    PayOut,
    PayOutFound,
    QueryPayOut,
    QueryRefund,
    QuerySplit,
    RefundFound,
    RefundTrade,
    Split,
    SplitFound,
    SplitTrade,
)
from tongbao.wire.party import Party, Payee
from tongbao.wire.vocabulary import (
    CloseTrade,
    CreateTrade,
    Done,
    Intent,
    Outcome,
    Presentation,
    Product,
    QueryTrade,
    Rejection,
    TradeFound,
    TradeOpened,
)

PAIR = make_pair("alipay_openapi", "RSA2", "utf-8")
KEYS = PROTOCOL.client.load({**PAIR.settings, "mode": "key"})
A1, A2 = ({"out_trade_no": f"A{n}", "trade_no": f"202601022200140000000000000{n}"} for n in (1, 2))
REFUND = {"out_request_no": "1", "refund_amount": "3.00", "total_amount": "9.00", "refund_status": "REFUND_SUCCESS"}
PAID = {"trade_status": "TRADE_SUCCESS", "total_amount": "9.00"}
BACK = {"fund_change": "Y", "refund_fee": "3.00"}
PAYOUT = {"out_biz_no": "P1", "order_id": "X1", "pay_fund_order_id": "F1", "status": "SUCCESS"}
SHARED = {"out_request_no": "S1", "royalty_detail_list": [{"state": "SUCCESS", "trans_in": "2088000000000044"}]}
TO = Payee(Party("2088000000000044"))
BY_NUMBER: dict[str, Any] = {"out_trade_no": "A1"}
BY_ID: dict[str, Any] = {"trade_no": A1["trade_no"]}
ASKED: dict[str, Any] = {"merchant": "", "refund_no": "1"}
ONE: dict[str, Any] = {**ASKED, "amount": Money(300)}
SHARE = Split(receiver=Party("2088000000000044"), amount=Money(100))
SPLIT = SplitTrade(merchant="", split_no="S1", splits=(SHARE,), trade_no=A1["trade_no"])
PAY_OUT = PayOut(merchant="", payout_no="P1", payee=TO, amount=Money(300))
REFUSED = {"code": "40004", "msg": "Business Failed", "sub_code": "ACQ.SELLER_BALANCE_NOT_ENOUGH"}
WAITS = {"code": "10003", "msg": "order success pay inprocess"}


def made(place: Presentation) -> CreateTrade:
    return CreateTrade(
        merchant="", out_trade_no="A1", product=Product.INSTANT, subject="x", amount=Money(900), presentation=place
    )


def named(method: str, content: dict[str, object]) -> CallByName:
    return CallByName(merchant="", method=method, content=content)


def told(intent: Intent, method: str, said: Mapping[str, object]) -> Outcome:
    """What the client makes of an answer that the platform has signed."""
    content = {"code": "10000", "msg": "Success", **said}
    written = write_answer(content, Voice(node_name(method), "utf-8", PAIR.ring.signing("RSA2"), trace="x"))
    answer = written if isinstance(written, Response) else written.sign()
    return PROTOCOL.client.decode(intent, answer, KEYS, NOW)


@pytest.mark.parametrize(
    ("intent", "method", "said", "kind", "fields"),
    [
        (QueryTrade(merchant="", **BY_NUMBER), m.QUERY, A1 | PAID, TradeFound, "out_trade_no"),
        (QueryTrade(merchant="", **BY_ID), m.QUERY, A1 | PAID, TradeFound, "trade_no"),
        (made(Presentation.QR), m.PRECREATE, {**BY_NUMBER, "qr_code": "https://q/1"}, TradeOpened, "out_trade_no"),
        (made(Presentation.WALLET), m.CREATE, A1, TradeOpened, "out_trade_no"),
        (made(Presentation.BARCODE), m.PAY, A1 | PAID, TradeFound, "out_trade_no"),
        (CloseTrade(merchant="", **BY_NUMBER), m.CLOSE, A1, Done, "out_trade_no"),
        (CloseTrade(merchant="", **BY_NUMBER), m.CLOSE, BY_NUMBER, Done, "out_trade_no"),
        (CloseTrade(merchant="", **BY_ID), m.CLOSE, A1, Done, "trade_no"),
        (CancelTrade(merchant="", **BY_NUMBER), m.CANCEL, A1 | {"action": "close"}, Cancelled, "out_trade_no"),
        (RefundTrade(**ONE, **BY_NUMBER), m.REFUND, A1 | BACK, RefundFound, "out_trade_no"),
        (RefundTrade(**ONE, **BY_ID), m.REFUND, A1 | BACK, RefundFound, "trade_no"),
        (QueryRefund(**ASKED, **BY_NUMBER), m.REFUND_QUERY, A1 | REFUND, RefundFound, "out_trade_no out_request_no"),
        (QueryRefund(**ASKED, **BY_ID), m.REFUND_QUERY, A1 | REFUND, RefundFound, "trade_no out_request_no"),
        (SPLIT, m.SETTLE, {**BY_ID, "settle_no": "N1"}, SplitFound, "trade_no"),
        (QuerySplit(merchant="", split_no="S1", **BY_ID), m.SETTLE_QUERY, SHARED, SplitFound, "out_request_no"),
        (PAY_OUT, m.TRANSFER, PAYOUT, PayOutFound, "out_biz_no"),
        (QueryPayOut(merchant="", payout_no="P1"), m.TRANSFER_QUERY, PAYOUT, PayOutFound, "out_biz_no"),
        (QueryPayOut(merchant="", payout_id="X1"), m.TRANSFER_QUERY, PAYOUT, PayOutFound, "order_id"),
    ],
)
def test_T82_an_answer_names_what_was_asked_for(
    intent: Intent, method: str, said: dict[str, object], kind: type[object], fields: str
) -> None:
    """By the number that was asked by: the answer to the same question about another is refused naming that field, and
    so is one that names nothing."""
    assert isinstance(told(intent, method, said), kind)
    for name in fields.split():
        for other in (said | {name: "Z9"}, {word: value for word, value in said.items() if word != name}):
            with pytest.raises(RemoteProtocolError) as caught:
                told(intent, method, other)
            assert caught.value.field == name


@pytest.mark.parametrize(
    ("intent", "method", "said", "field"),
    [
        (QueryRefund(**ASKED, **BY_NUMBER), m.REFUND_QUERY, {"out_trade_no": "A2"}, "out_trade_no"),
        (QueryRefund(**ASKED, **BY_NUMBER), m.REFUND_QUERY, {"out_request_no": "2"}, "out_request_no"),
        (SPLIT, m.SETTLE, {**BY_ID, "out_request_no": "S2"}, "out_request_no"),
        (QuerySplit(merchant="", split_no="S1", **BY_ID), m.SETTLE_QUERY, SHARED | {"trade_no": "Z9"}, "trade_no"),
        (QuerySplit(merchant="", split_id="N1"), m.SETTLE_QUERY, SHARED | {"settle_no": "N2"}, "settle_no"),
        (QueryPayOut(merchant="", payout_id="X1", payout_no="P2"), m.TRANSFER_QUERY, PAYOUT, "out_biz_no"),
        (made(Presentation.BARCODE), m.PAY, {**WAITS, "out_trade_no": "A2"}, "out_trade_no"),
        (RefundTrade(**ONE, **BY_NUMBER), m.REFUND, {**REFUSED, "out_trade_no": "A2"}, "out_trade_no"),
        (RefundTrade(**ONE, **BY_ID), m.REFUND, {**REFUSED, "trade_no": A2["trade_no"]}, "trade_no"),
        (RefundTrade(**ONE, **BY_ID, **BY_NUMBER), m.REFUND, {**REFUSED, "out_trade_no": "A2"}, "out_trade_no"),
        (CancelTrade(merchant="", **BY_ID, **BY_NUMBER), m.CANCEL, {**REFUSED, "out_trade_no": "A2"}, "out_trade_no"),
        (PAY_OUT, m.TRANSFER, {**REFUSED, "out_biz_no": "P2"}, "out_biz_no"),
        (named(m.REFUND, BY_NUMBER), m.REFUND, {**BACK, "out_trade_no": "A2"}, "out_trade_no"),
        (named(m.CANCEL, BY_NUMBER), m.CANCEL, {"out_trade_no": "A2", "retry_flag": "N"}, "out_trade_no"),
        (named(m.TRANSFER, {"out_biz_no": "P2"}), m.TRANSFER, PAYOUT, "out_biz_no"),
        (named(m.CANCEL, BY_ID | BY_NUMBER), m.CANCEL, {"out_trade_no": "A2", "retry_flag": "N"}, "out_trade_no"),
        (named(m.SETTLE_QUERY, {"settle_no": "N1"}), m.SETTLE_QUERY, SHARED | {"settle_no": "N2"}, "settle_no"),
        (
            named(m.TRANSFER_QUERY, {"out_biz_no": "P2"}),
            m.TRANSFER_QUERY,
            {**REFUSED, "out_biz_no": "P1"},
            "out_biz_no",
        ),
    ],
)
def test_T82_what_need_not_be_named_must_fit_where_it_is(
    intent: Intent, method: str, said: dict[str, object], field: str
) -> None:
    """Numbers that the sheet does not list for an answer, those of refusals (the real platform names the order in some,
    by its own number or by ours), and those of our methods by name. Without the number, each is taken."""
    with pytest.raises(RemoteProtocolError) as caught:
        told(intent, method, said)
    assert (caught.value.field, caught.value.reason) == (field, "the answer is about something else")
    told(intent, method, {name: value for name, value in said.items() if name != field})


@pytest.mark.parametrize(
    ("intent", "field", "said"),
    [
        (RefundTrade(**ONE, **BY_NUMBER), "out_trade_no", "A1"),
        (QueryPayOut(merchant="", payout_no="P1"), "out_biz_no", "P1"),
    ],
)
def test_T82_a_signed_refusal_of_the_rest_interface_must_fit_too(intent: Intent, field: str, said: str) -> None:
    """The real one signs none; what is signed counts, so it must be about what was asked."""
    rest = PROTOCOL.client.load({**PAIR.settings, "mode": "key", "interface": "v3"})
    for number, fits in ((said, True), ("Z9", False)):
        body = {"code": "ORDER_NOT_EXIST", "message": "x", field: number}
        written = write_rest(400, body, PAIR.ring.signing("RSA2"), "", None, NOW)
        answer = written if isinstance(written, Response) else written.sign()
        if fits:
            assert isinstance(PROTOCOL.client.decode(intent, answer, rest, NOW), Rejection)
            continue
        with pytest.raises(RemoteProtocolError) as caught:
            PROTOCOL.client.decode(intent, answer, rest, NOW)
        assert caught.value.field == field


def test_T82_an_answer_without_a_code_is_no_answer_of_a_method_that_has_one() -> None:
    """The name of a node is not signed: a consent's answer under another name was a success of that method."""
    consent = {"code": "", "access_token": "T", "user_id": "2088000000000044"}
    with pytest.raises(RemoteProtocolError) as caught:
        told(named(m.PAY, BY_NUMBER), m.PAY, consent)
    assert caught.value.field == "code"
    assert isinstance(told(named("alipay.marketing.nothing", {}), "alipay.marketing.nothing", consent), Answered)


def test_what_is_no_method_of_ours_answers_as_it_likes() -> None:
    """No length or form of ours binds it; and of our own methods the platform's number wins over the merchant's."""
    strange = "alipay.marketing.nothing"
    said: dict[str, object] = {"out_biz_no": "B" * 80, "out_trade_no": ["A1"]}
    assert isinstance(told(named(strange, {"out_biz_no": "C"}), strange, said), Answered)
    assert isinstance(told(named(strange, {}), strange, {**REFUSED, "trade_no": ["A1"]}), Rejection)
    both: dict[str, object] = {"order_id": "X1", "out_biz_no": "P9"}
    assert isinstance(told(named(m.TRANSFER_QUERY, both), m.TRANSFER_QUERY, PAYOUT), Answered)
    with pytest.raises(RemoteProtocolError):
        told(named(m.TRANSFER_QUERY, {**both, "order_id": "X2"}), m.TRANSFER_QUERY, PAYOUT)


def test_a_number_that_is_none_was_not_asked_by() -> None:
    """A column without a value, in a shop without types."""
    nothing: Any = None
    asked = QueryTrade(merchant="", trade_no=nothing, **BY_NUMBER)
    assert isinstance(told(asked, m.QUERY, {**A1, **PAID}), TradeFound)


def test_a_payout_is_known_by_either_of_the_platforms_numbers() -> None:
    """``order_id`` and ``pay_fund_order_id`` may differ; a shop may have kept the second."""
    assert isinstance(told(QueryPayOut(merchant="", payout_id="F1"), m.TRANSFER_QUERY, PAYOUT), PayOutFound)


def test_T82_a_closed_trade_is_named_by_the_platform_as_it_was_asked_for() -> None:
    """Where the platform has nothing more to say than that it is done, it says the numbers of the request."""
    asked = CloseTrade(merchant="", **BY_NUMBER)
    claim, _ = PAIR.read(PROTOCOL.client.encode(asked, KEYS, NOW).request())
    assert b'"out_trade_no":"A1"' in PROTOCOL.server.answer(claim, Done(), PAIR.ring, NOW).body
