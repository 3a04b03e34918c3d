"""Capturing a payment: the one place where a trade becomes paid, with its entry (I08, I10, I12)."""

from __future__ import annotations

from tongbao.kernel.error import Refused, ensure
from tongbao.kernel.record import replace
from tongbao.kernel.time import DAY, Instant
from tongbao.ledger.account import merchant_escrow, merchant_pending, platform_fee
from tongbao.ledger.entry import Entry, Posting
from tongbao.service.move import move
from tongbao.store.schema import PAYMENT
from tongbao.store.table import Key, Row, Table
from tongbao.trade.fee import trade_fee
from tongbao.trade.party import Merchant
from tongbao.trade.record import Payment, Trade, payment_number
from tongbao.trade.state import PaymentState, TradeState, move_payment


def choose_flow(trade: Trade, wanted: str) -> str:
    """How the money travels: the product decides; a dual trade lets the buyer choose. Raises Refused."""
    if trade.product != "dual":
        return trade.product
    if wanted not in ("instant", "escrow"):
        raise Refused("METHOD_NOT_ALLOWED", "a dual trade is paid as instant or as escrow")
    return wanted


def balance_payment(trade: Trade, flow: str, buyer_id: str, login: str, intent: str, now: Instant) -> Payment:
    """The next attempt to pay a trade, out of a balance; ``intent`` is what the buyer agreed under."""
    attempt = trade.attempts + 1
    return Payment(
        merchant_id=trade.merchant_id,
        out_trade_no=trade.out_trade_no,
        attempt=attempt,
        payment_no=payment_number(trade.trade_no, attempt),
        method="balance",
        bank="",
        flow=flow,
        state="new",
        amount=trade.amount,
        currency=trade.currency,
        buyer_id=buyer_id,
        buyer_login=login,
        intent=intent,
        bank_ref="",
        counts=False,
        created_at=now,
        ended_at=None,
    )


def capture_accounts(merchant_id: str, currency: str, lane: int) -> list[Key]:
    """Keys of every account that ``capture`` may post to, besides the source."""
    codes = (
        merchant_pending(merchant_id, currency),
        merchant_escrow(merchant_id, currency),
        platform_fee(lane, currency),
    )
    return [(code,) for code in codes]


def fee_postings(merchant_id: str, currency: str, fee: int, lane: int) -> tuple[Posting, ...]:
    """The platform's part out of the merchant's, where there is one (fees come from the merchant's share)."""
    if not fee:
        return ()
    return (Posting(merchant_pending(merchant_id, currency), platform_fee(lane, currency), fee),)


def capture(
    trade: Trade, payment: Payment, merchant: Merchant, source: str, now: Instant, lane: int
) -> tuple[list[tuple[Table, Row]], Entry]:
    """Rows and entry of ``payment`` paying ``trade`` out of account ``source``. Raises Refused if the state forbids
    it."""
    ensure(payment.amount == trade.amount and payment.currency == trade.currency, "a payment pays exactly its trade")
    ensure(trade.paid_attempt == 0, "a trade is paid once")
    state = "" if payment.state == "new" else payment.state
    paid = replace(payment, state=str(move_payment(state, PaymentState.CAPTURED)), counts=True, ended_at=now)
    currency, merchant_id = trade.currency, trade.merchant_id
    fee = trade_fee(merchant, trade.product, trade.protocol, paid.method, trade.amount)
    if paid.flow == "escrow":
        to, due, ended, charged = TradeState.ESCROWED, None, None, 0
        postings: tuple[Posting, ...] = (Posting(source, merchant_escrow(merchant_id, currency), trade.amount),)
    else:
        refundable = merchant.refund_days > 0
        to = TradeState.PAID if refundable else TradeState.FINISHED
        due = Instant(now + merchant.refund_days * DAY) if refundable else None
        ended, charged = (None if refundable else now), fee
        arrival = Posting(source, merchant_pending(merchant_id, currency), trade.amount)
        postings = (arrival, *fee_postings(merchant_id, currency, fee, lane))
    _, rows = move(
        trade,
        to,
        f"pay:{paid.payment_no}",
        now,
        paid,
        flow=paid.flow,
        fee=charged,
        buyer_id=paid.buyer_id,
        buyer_login=paid.buyer_login,
        attempts=max(trade.attempts, paid.attempt),
        paid_attempt=paid.attempt,
        paid_at=now,
        ended_at=ended,
        due_at=due,
    )
    entry = Entry(f"pay:{trade.trade_no}", "pay", merchant_id, trade.out_trade_no, postings)
    return [*rows, (PAYMENT, paid)], entry
