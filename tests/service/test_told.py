"""Which moves of a trade a merchant is told of: his protocol's list, less what is the same word to him."""

from __future__ import annotations

import pytest

from tests.support.platform import make_intent
from tongbao.kernel.time import Instant
from tongbao.service.move import record
from tongbao.service.term import dump_terms
from tongbao.trade.record import Event, Trade
from tongbao.trade.state import TradeState

AT = Instant(1_700_000_000_000)


def make_trade(protocol: str, state: str, product: str = "instant") -> Trade:
    """A trade in one state, created over one protocol."""
    return Trade(
        merchant_id="10001234567",
        out_trade_no="A1",
        trade_no="2023111400000000000000000001",
        protocol=protocol,
        product=product,
        state=state,
        flow="" if state == "" else "instant",
        amount=1_000,
        currency="CNY",
        fee=0,
        refunded=0,
        refund_state="",
        buyer_id="",
        buyer_login="",
        carrier="",
        tracking_no="",
        attempts=1,
        paid_attempt=1,
        version=1,
        created_at=AT,
        paid_at=AT,
        shipped_at=None,
        ended_at=None,
        moved_at=AT,
        due_at=None,
        terms=dump_terms(make_intent("A1")),
        terms_hash="",
    )


@pytest.mark.parametrize(
    ("protocol", "before", "to", "told"),
    [
        ("alipay_mapi", "unpaid", TradeState.PAID, True),
        ("alipay_mapi", "paid", TradeState.FINISHED, True),
        ("alipay_mapi", "unpaid", TradeState.CLOSED, False),
        ("alipay_mapi dual", "unpaid", TradeState.PAID, True),
        ("alipay_mapi dual", "paid", TradeState.FINISHED, False),
        ("alipay_mapi dual", "shipped", TradeState.FINISHED, True),
        ("yeepay", "unpaid", TradeState.PAID, True),
        ("yeepay", "unpaid", TradeState.FINISHED, True),
        ("yeepay", "paid", TradeState.FINISHED, False),
        ("yeepay", "unpaid", TradeState.CLOSED, False),
        ("wechatpay_v3", "unpaid", TradeState.FINISHED, True),
        ("wechatpay_v3", "paid", TradeState.FINISHED, False),
        ("wechatpay_v2", "unpaid", TradeState.FINISHED, True),
        ("alipay_openapi", "unpaid", TradeState.FINISHED, True),
        ("alipay_openapi", "paid", TradeState.FINISHED, False),
    ],
)
def test_I20_what_is_told(protocol: str, before: str, to: TradeState, told: bool) -> None:
    """An event goes into the outbox where the merchant is to hear of it, and stays silent where it says nothing new. A
    payment that is final at once (no refund is possible) is told as any other."""
    name, _, product = protocol.partition(" ")
    trade = make_trade(name, before, product or "instant")
    _, rows = record(trade, before, to, "test", AT, None)
    events = [row for _, row in rows if isinstance(row, Event)]
    assert [event.notify_state for event in events] == ["pending" if told else "silent"]


@pytest.mark.parametrize("product", ["escrow", "dual"])
def test_the_unpaid_trade_is_told_to_escrow_shops(product: str) -> None:
    """WAIT_BUYER_PAY is notified where the product is escrow or dual: its creation is an event from nothing."""
    _, rows = record(make_trade("alipay_mapi", "", product), "", TradeState.UNPAID, "created", AT, None)
    (event,) = [row for _, row in rows if isinstance(row, Event)]

    assert (event.notify_state, event.target != "") == ("pending", True)
