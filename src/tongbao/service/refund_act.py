"""What a merchant may ask about money given back: one function per intent, gathered in ``service.act``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from tongbao.kernel.error import Refused
from tongbao.service.create import Asker
from tongbao.service.escrow import Close
from tongbao.service.platform import Platform
from tongbao.service.refund import Given, RequestRefund
from tongbao.service.refund_view import refund_view
from tongbao.service.view import view_now
from tongbao.service.wallet import told_view
from tongbao.store.schema import REFUND
from tongbao.trade.record import Trade
from tongbao.trade.refund import Refund
from tongbao.wire.movement import Cancelled, CancelTrade, QueryRefund, RefundFound, RefundTrade
from tongbao.wire.vocabulary import Outcome, TradeView


async def refunds_of(platform: Platform, trade: Trade) -> list[Refund]:
    """Every refund of a trade, oldest first."""
    where = {"merchant_id": trade.merchant_id, "out_trade_no": trade.out_trade_no}
    keys = [
        (trade.merchant_id, trade.out_trade_no, n) for (n,) in await platform.database.read("refund.of_trade", where)
    ]
    return await platform.database.load(REFUND, keys) if keys else []


async def find_refund(platform: Platform, merchant_id: str, refund_id: str) -> Refund:
    """A merchant's refund by our number. Raises Refused REFUND_NOT_FOUND."""
    rows = await platform.database.read("refund.by_id", {"merchant_id": merchant_id, "refund_id": refund_id})
    if not rows:
        raise Refused("REFUND_NOT_FOUND", "no such refund")
    found: list[Refund] = await platform.database.load(REFUND, [(merchant_id, *rows[0])])
    return found[0]


async def _see(platform: Platform, trade: Trade) -> TradeView:
    merchant = await platform.merchant(trade.merchant_id)
    return told_view(platform, trade, view_now(trade, await platform.payment_of(trade), merchant.login))


async def _refund(platform: Platform, asker: Asker, intent: RefundTrade) -> Outcome:
    trade = await platform.find_trade(asker.merchant_id, intent.out_trade_no, intent.trade_no)
    if intent.splits:
        raise Refused("SPLIT_NOT_FOUND", "no shares of this trade were given")
    amount, total = intent.amount, intent.total
    if total is not None and total.currency != trade.currency:
        raise Refused("CURRENCY_NOT_ALLOWED", f"the trade is in {trade.currency}")
    given: Given = await platform.submit(
        RequestRefund(
            asker,
            trade.out_trade_no,
            intent.refund_no,
            None if amount is None else amount.minor,
            trade.currency if amount is None else amount.currency,
            None if total is None else total.minor,
            intent.reason,
            intent.notify_url,
            of_trade=platform.protocol(asker.protocol).refund_no_of_trade,
        )
    )
    view = refund_view(given.refund, given.trade)
    return RefundFound((view,), await _see(platform, given.trade), given.changed, 1)


async def _query(platform: Platform, asker: Asker, intent: QueryRefund) -> Outcome:
    """One refund by either number, or all of a trade. Raises Refused REFUND_NOT_FOUND, TRADE_NOT_FOUND."""
    merchant_id = asker.merchant_id
    named: Trade | None = None
    if intent.trade_no or intent.out_trade_no:
        named = await platform.find_trade(merchant_id, intent.out_trade_no, intent.trade_no)
    if intent.refund_id:
        found = [await find_refund(platform, merchant_id, intent.refund_id)]
    elif intent.refund_no:
        where = {"merchant_id": merchant_id, "refund_no": intent.refund_no}
        keys = [(merchant_id, *row) for row in await platform.database.read("refund.by_no", where)]
        found = await platform.database.load(REFUND, keys) if keys else []
    elif named is not None:
        found = await refunds_of(platform, named)
    else:
        raise Refused("FIELD_MISSING", "a refund is asked for by a number of its own or its trade's")
    if named is not None:
        found = [one for one in found if one.out_trade_no == named.out_trade_no]
    if intent.refund_no:
        found = [one for one in found if one.refund_no == intent.refund_no]
    if not found:
        raise Refused("REFUND_NOT_FOUND", "no such refund")
    trade = named or await platform.find_trade(merchant_id, found[-1].out_trade_no)
    views = tuple(refund_view(one, trade) for one in found if one.out_trade_no == trade.out_trade_no)
    return RefundFound(views[intent.offset :], await _see(platform, trade), total=len(views))


async def _cancel(platform: Platform, asker: Asker, intent: CancelTrade) -> Outcome:
    """An unpaid trade is closed, a paid one gives all back; whichever of the two comes first to a trade in flight wins
    (T42), so the answer says what was done. Asked again, it says the same."""
    trade = await platform.find_trade(asker.merchant_id, intent.out_trade_no, intent.trade_no)
    if trade.state == "unpaid":
        try:
            await platform.submit(Close(asker, trade.out_trade_no))
        except Refused as refusal:
            if refusal.code != "TRADE_STATE":
                raise
            trade = await platform.find_trade(asker.merchant_id, trade.out_trade_no)
        else:
            return Cancelled(trade.trade_no, trade.out_trade_no, "close")
    if not trade.paid_attempt:
        return Cancelled(trade.trade_no, trade.out_trade_no, "close")
    if trade.refunded < trade.amount:
        # our own number of the trade stands for its cancelling: asked twice at once, it gives back once
        await platform.submit(
            RequestRefund(
                asker, trade.out_trade_no, trade.trade_no, None, trade.currency, cause="cancel", of_trade=True
            )
        )
    return Cancelled(trade.trade_no, trade.out_trade_no, "refund")


ACTS: Final[dict[type, Callable[[Platform, Asker, Any], Awaitable[Outcome]]]] = {
    RefundTrade: _refund,
    QueryRefund: _query,
    CancelTrade: _cancel,
}
