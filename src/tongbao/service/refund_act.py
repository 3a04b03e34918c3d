"""What a merchant may ask about money given back: one function per intent, gathered in ``service.act``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tongbao.kernel.error import OutcomeUnknown, Refused
from tongbao.kernel.money import Money
from tongbao.kernel.record import replace
from tongbao.service.create import Asker
from tongbao.service.escrow import Close
from tongbao.service.link import CASHIER_TIME
from tongbao.service.platform import Platform
from tongbao.service.refund import Given, RequestRefund
from tongbao.service.refund_batch import EndRefundLine, Item, RunRefundLine, TakeRefundBatch
from tongbao.service.refund_stuck import TakeStuckBack
from tongbao.service.refund_view import dump_splits, load_splits, refund_view
from tongbao.service.split import Back
from tongbao.service.split_act import plan_back
from tongbao.service.view import view_now
from tongbao.service.wallet import told_view
from tongbao.store.schema import REFUND, REFUND_BATCH, REFUND_LINE, TRADE, TRADE_RETURN
from tongbao.trade import refund as rows
from tongbao.trade.record import Trade
from tongbao.trade.refund import REFUNDS_OF_MERCHANT, Refund
from tongbao.wire.movement import (
    BatchTaken,
    BatchView,
    Cancelled,
    CancelTrade,
    MovementState,
    QueryRefund,
    RecoverRefund,
    RefundBatch,
    RefundFound,
    RefundTrade,
    RefundView,
)
from tongbao.wire.vocabulary import Outcome, TradeView

CANCEL_TRIES: Final = 3
"""How often a trade that is cancelled gives all back, where its bank refuses each time."""

LINES_AT_ONCE: Final = 500
"""Lines of batches that one round of the duty takes."""


async def refunds_of(platform: Platform, trade: Trade) -> list[Refund]:
    """Every refund of a trade, oldest first."""
    where = {"merchant_id": trade.merchant_id, "out_trade_no": trade.out_trade_no}
    keys = [
        (trade.merchant_id, trade.out_trade_no, n) for (n,) in await platform.database.read("refund.of_trade", where)
    ]
    return await platform.database.load(REFUND, keys) if keys else []


async def find_refund(platform: Platform, merchant_id: str, refund_id: str) -> Refund:
    """A merchant's refund by our number. Raises Refused REFUND_NOT_FOUND."""
    keys = await platform.database.read("refund.by_id", {"merchant_id": merchant_id, "refund_id": refund_id})
    if not keys:
        raise Refused("REFUND_NOT_FOUND", "no such refund")
    found: list[Refund] = await platform.database.load(REFUND, [(merchant_id, *keys[0])])
    return found[0]


async def with_return(platform: Platform, trade: Trade, view: TradeView) -> TradeView:
    """The view of a trade with the time of its last refund, where there was one, and whether it was cancelled."""
    if not trade.refund_state:
        return view
    found: list[rows.TradeReturn] = await platform.database.load(
        TRADE_RETURN, [(trade.merchant_id, trade.out_trade_no)]
    )
    if trade.refunded == trade.amount:
        refunds = await refunds_of(platform, trade)
        view = replace(view, cancelled=any(one.cause == "cancel" and one.state != "failed" for one in refunds))
    return replace(view, refunded_at=found[0].refunded_at) if found else view


async def _see(platform: Platform, trade: Trade) -> TradeView:
    merchant = await platform.merchant(trade.merchant_id)
    view = told_view(platform, trade, view_now(trade, await platform.payment_of(trade), merchant.login))
    return await with_return(platform, trade, view)


async def _refund(platform: Platform, asker: Asker, intent: RefundTrade) -> Outcome:
    trade = await platform.find_trade(asker.merchant_id, intent.out_trade_no, intent.trade_no, provider=asker.provider)
    scoped = platform.protocol(asker.protocol).refund_no_of_trade
    number = intent.refund_no or (trade.out_trade_no if scoped else "")
    back: Back | None = None
    if intent.splits and not await _is_known(platform, trade, number, scoped=scoped):
        back = await plan_back(platform, trade, intent.splits)
    amount, total = intent.amount, intent.total
    if total is not None and total.currency != trade.currency:
        raise Refused("CURRENCY_NOT_ALLOWED", f"the trade is in {trade.currency}")
    given: Given = await platform.submit(
        RequestRefund(
            asker,
            trade.out_trade_no,
            number,
            None if amount is None else amount.minor,
            trade.currency if amount is None else amount.currency,
            None if total is None else total.minor,
            intent.reason,
            intent.notify_url,
            of_trade=scoped,
            back=back,
            splits=dump_splits(intent.splits, trade.currency),
            most=platform.protocol(asker.protocol).refunds_most or REFUNDS_OF_MERCHANT,
        )
    )
    view = refund_view(given.refund, given.trade)
    return RefundFound((view,), await _see(platform, given.trade), given.changed, 1)


async def _is_known(platform: Platform, trade: Trade, refund_no: str, *, scoped: bool) -> bool:
    """Whether this number was used: then its shares went back already, and the rule says whether it is the same."""
    where = {"merchant_id": trade.merchant_id, "refund_no": refund_no}
    found = await platform.database.read("refund.by_no", where) if refund_no else []
    return any(out_trade_no == trade.out_trade_no or not scoped for out_trade_no, _ in found)


async def _query(platform: Platform, asker: Asker, intent: QueryRefund) -> Outcome:
    """One refund by either number, or all of a trade. Raises Refused REFUND_NOT_FOUND, TRADE_NOT_FOUND."""
    merchant_id = asker.merchant_id
    if intent.batch_no:
        batch = await batch_view(platform, merchant_id, intent.batch_no)
        lines = tuple(one for one in batch.refunds if intent.trade_no in ("", one.trade_no))
        if not lines:
            raise Refused("REFUND_NOT_FOUND", "no such line")
        return RefundFound(lines[intent.offset :], total=len(lines))
    named: Trade | None = None
    if intent.trade_no or intent.out_trade_no:
        named = await platform.find_trade(merchant_id, intent.out_trade_no, intent.trade_no, provider=asker.provider)
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
        # a cancelling's number is ours: the merchant means his own, where he has given one refund the same
        found = [one for one in found if one.cause != "cancel"] or found
    if not found:
        raise Refused("REFUND_NOT_FOUND", "no such refund")
    trade = named or await platform.find_trade(merchant_id, found[-1].out_trade_no, provider=asker.provider)
    views = tuple(refund_view(one, trade) for one in found if one.out_trade_no == trade.out_trade_no)
    return RefundFound(views[intent.offset :], await _see(platform, trade), total=len(views))


async def _recover(platform: Platform, asker: Asker, intent: RecoverRefund) -> Outcome:
    """Both numbers must be the refund's. Raises Refused REFUND_NOT_FOUND, STATE_CONFLICT where it is not stuck."""
    refund = await find_refund(platform, asker.merchant_id, intent.refund_id)
    trade = await platform.find_trade(asker.merchant_id, refund.out_trade_no, provider=asker.provider)
    if refund.refund_no != intent.refund_no:
        raise Refused("REFUND_NOT_FOUND", "no such refund")
    given: Given = await platform.submit(TakeStuckBack(asker, trade.out_trade_no, refund.refund_id, refund.currency))
    view = refund_view(given.refund, given.trade)
    return RefundFound((view,), await _see(platform, given.trade), given.changed, 1)


async def _cancel(platform: Platform, asker: Asker, intent: CancelTrade) -> Outcome:
    """An unpaid trade is closed, a paid one gives all back; whichever of the two comes first to a trade in flight wins
    (T42), so the answer says what was done. Asked again, it says the same; where the bank has surely refused to give
    the money back, it gives back once more, ``CANCEL_TRIES`` times in all. Raises Refused STATE_CONFLICT afterwards."""
    trade = await platform.find_trade(asker.merchant_id, intent.out_trade_no, intent.trade_no, provider=asker.provider)
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
        await _give_all_back(platform, asker, trade)
    return Cancelled(trade.trade_no, trade.out_trade_no, "refund")


async def _give_all_back(platform: Platform, asker: Asker, trade: Trade) -> None:
    """Numbers of a scope of their own stand for a trade's cancelling: asked twice at once, it gives back once. The next
    number is used only where the one before left something: its refund has failed, or one that was under way then has,
    which is a bank's word and never its silence. Raises Refused STATE_CONFLICT."""
    key = (trade.merchant_id, trade.out_trade_no)
    known: list[rows.TradeReturn] = await platform.database.load(TRADE_RETURN, [key])
    all_of_it = trade.amount - (known[0].charged_back if known else 0)
    for n in range(1, CANCEL_TRIES + 1):
        number = trade.trade_no if n == 1 else f"{trade.trade_no}-{n}"
        given: Given = await platform.submit(
            RequestRefund(asker, trade.out_trade_no, number, None, trade.currency, cause="cancel", of_trade=True)
        )
        if given.changed or given.trade.refunded >= all_of_it:
            return
    raise Refused("STATE_CONFLICT", f"the buyer's bank has refused to take all the money back {CANCEL_TRIES} times")


async def _batch(platform: Platform, asker: Asker, intent: RefundBatch) -> Outcome:
    items = tuple(
        Item(one.trade_no, sum_.minor, sum_.currency, one.reason, dump_splits(one.splits, sum_.currency))
        for one in intent.items
        for sum_ in (one.amount,)
    )
    echo = json.dumps(dict(intent.echo), ensure_ascii=False, sort_keys=True)
    taken: rows.RefundBatch = await platform.submit(
        TakeRefundBatch(
            asker, intent.batch_no, platform.new_trade_no(), items, intent.notify_url, intent.asks_password, echo
        )
    )
    return BatchTaken(taken.batch_no, batch_url(platform, taken) if intent.asks_password else "")


def batch_url(platform: Platform, batch: rows.RefundBatch) -> str:
    """Where the merchant's browser agrees to a batch it carried: a link of half an hour."""
    word = platform.seal.pack("refunds", f"{batch.merchant_id}/{batch.batch_no}", platform.world.clock.wire())
    return f"{platform.settings.base_url}/agree/refunds/{word}"


async def open_batch_url(platform: Platform, word: str) -> rows.RefundBatch:
    """The batch behind the last part of such a link. Raises Refused CASHIER_LINK_INVALID, BATCH_NOT_FOUND."""
    text = platform.seal.unpack("refunds", word, platform.world.clock.wire(), CASHIER_TIME)
    if text is None:
        raise Refused("CASHIER_LINK_INVALID", "the link is unknown or too old")
    merchant_id, _, batch_no = text.partition("/")
    return await find_batch(platform, merchant_id, batch_no)


async def find_batch(platform: Platform, merchant_id: str, batch_no: str) -> rows.RefundBatch:
    """A batch of refunds by the merchant's number. Raises Refused BATCH_NOT_FOUND."""
    found: list[rows.RefundBatch] = await platform.database.load(REFUND_BATCH, [(merchant_id, batch_no)])
    if not found:
        raise Refused("BATCH_NOT_FOUND", "no such batch")
    return found[0]


async def lines_of(platform: Platform, batch: rows.RefundBatch) -> list[rows.RefundLine]:
    """A batch's lines in the order in which they were asked."""
    where = {"merchant_id": batch.merchant_id, "batch_no": batch.batch_no}
    found = await platform.database.read("refund.batch_lines", where)
    keys = [(batch.merchant_id, batch.batch_no, n) for (n,) in found]
    return await platform.database.load(REFUND_LINE, keys)


async def batch_view(platform: Platform, merchant_id: str, batch_no: str) -> BatchView:
    """What became of a batch, line by line. Raises Refused BATCH_NOT_FOUND."""
    batch = await find_batch(platform, merchant_id, batch_no)
    lines = await lines_of(platform, batch)
    keys = sorted((merchant_id, line.out_trade_no, line.refund_n) for line in lines if line.refund_n)
    made: list[Refund] = await platform.database.load(REFUND, keys) if keys else []
    of_trades = sorted({key[:2] for key in keys})
    found: list[Trade] = await platform.database.load(TRADE, of_trades) if keys else []
    trades = {trade.out_trade_no: trade for trade in found}
    refunds = {(one.out_trade_no, one.n): one for one in made}
    views = tuple(
        refund_view(refunds[line.out_trade_no, line.refund_n], trades[line.out_trade_no])
        if line.refund_n
        else _line_view(line)
        for line in lines
    )
    return BatchView(batch_no=batch_no, refunds=views, merchant=merchant_id, echo=json.loads(batch.echo))


def _line_view(line: rows.RefundLine) -> RefundView:
    """A line without a refund: it waits, or was refused."""
    return RefundView(
        merchant=line.merchant_id,
        batch_no=line.batch_no,
        trade_no=line.trade_no,
        state=MovementState.FAILED if line.state == "failed" else MovementState.ACCEPTED,
        amount=Money(line.amount, line.currency),
        reason=line.reason,
        ended_at=line.ended_at,
        code=line.code,
        splits=load_splits(line.splits),
    )


async def run_refund_lines(platform: Platform, most: int = LINES_AT_ONCE) -> int:
    """Give every line of running batches its turn, and end those whose bank has spoken; how many that were."""
    due = await platform.database.read("refund.lines_due", {"most": most})
    commands: list[Any] = [
        await _turn(platform, RunRefundLine(merchant_id, batch_no, n, protocol, out_trade_no), splits)
        if state == "waiting"
        else EndRefundLine(merchant_id, batch_no, n, out_trade_no, refund_n)
        for merchant_id, batch_no, n, state, protocol, out_trade_no, refund_n, splits in due
    ]
    for outcome in await asyncio.gather(*map(platform.submit, commands), return_exceptions=True):
        if isinstance(outcome, (Refused, OutcomeUnknown)):
            platform.world.log("duty.refund_line", outcome=str(outcome))
        elif isinstance(outcome, BaseException):
            raise outcome
    return len(due)


async def _turn(platform: Platform, line: RunRefundLine, splits: str) -> RunRefundLine:
    """A line's turn, with the shares that its receivers give back, or the refusal that these meet."""
    if splits == "[]" or not line.out_trade_no:
        return line
    trade = await platform.find_trade(line.merchant_id, line.out_trade_no)
    try:
        return replace(line, back=await plan_back(platform, trade, load_splits(splits)))
    except Refused as refusal:
        return replace(line, refusal=refusal.code)


ACTS: Final[dict[type, Callable[[Platform, Asker, Any], Awaitable[Outcome]]]] = {
    RefundTrade: _refund,
    RefundBatch: _batch,
    QueryRefund: _query,
    RecoverRefund: _recover,
    CancelTrade: _cancel,
}
