"""The sixteen steps together, on every database."""

from __future__ import annotations

from tests.merchant.conftest import Shop
from tests.support.clock import NOW
from tongbao.merchant.order import Evidence, OrderState
from tongbao.merchant.verdict import VerdictKind


def test_a_paid_notification_pays_the_order_once(any_shop: Shop) -> None:
    """A genuine notification: order paid, hook run, mail queued, success word; its repeat: success word, no effect."""
    shop = any_shop
    shop.order()
    shop.platform.trade("A1")
    message = shop.platform.notify("A1", at=NOW)
    first = shop.receiver.accept_notification(message)
    assert (first.verdict.kind, first.verdict.step, first.response.body) == (VerdictKind.APPLIED, 16, b"yes")
    order = shop.stored()
    assert (order.state, order.trade_no, order.evidence) == (OrderState.PAID, "TA1", Evidence.NOTIFY)
    second = shop.receiver.accept_notification(message)
    assert (second.verdict.kind, second.response.body) == (VerdictKind.DUPLICATE, b"yes")
    assert shop.count("stock_taken") == 1
    assert [row["job_key"] for row in shop.rows("SELECT job_key FROM payment_outbox")] == ["mail:A1:paid"]
    assert shop.platform.asked == ["confirm", "query"]
