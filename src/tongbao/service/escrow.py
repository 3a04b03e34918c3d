"""The guaranteed trade after payment: ship, confirm, release by the clock (T43, T48)."""

from __future__ import annotations

from tongbao.kernel.error import Refused
from tongbao.kernel.record import record, replace
from tongbao.kernel.time import Instant
from tongbao.ledger.account import merchant_escrow, merchant_pending
from tongbao.ledger.entry import Entry, Posting
from tongbao.service.capture import capture_accounts, fee_postings
from tongbao.service.claim import claim_needs, let_time_pass
from tongbao.service.command import Needs
from tongbao.service.create import Asker
from tongbao.service.move import move
from tongbao.service.pay import active_buyer, consume
from tongbao.service.refund import open_claim, return_of
from tongbao.service.view import combined_of
from tongbao.store.commit import AuditDraft, Decision, Now
from tongbao.store.schema import ACCOUNT, AUTHORISATION, BUYER, CLAIM, MERCHANT, PAYMENT, TRADE, TRADE_RETURN
from tongbao.store.sheet import Sheet
from tongbao.store.table import Row, Table
from tongbao.trade.claim import EXTENSION
from tongbao.trade.fee import trade_fee
from tongbao.trade.party import Merchant
from tongbao.trade.record import RELEASE_AFTER, Payment, Trade
from tongbao.trade.state import TradeState


@record
class Moved:
    """The trade's number and the state it is in now."""

    trade_no: str
    state: str


def find_trade(sheet: Sheet, merchant_id: str, out_trade_no: str) -> Trade:
    """The trade of a merchant. Raises Refused TRADE_NOT_FOUND."""
    trade: Trade | None = sheet.get(TRADE, merchant_id, out_trade_no)
    if trade is None:
        raise Refused("TRADE_NOT_FOUND", "no such trade")
    return trade


def _payment_needs(sheet: Sheet, merchant_id: str, out_trade_no: str) -> Needs:
    trade: Trade | None = sheet.peek(TRADE, merchant_id, out_trade_no)
    if trade is not None:
        # a payment captured earlier in this very batch is attempt+1 at most; its row is in the sheet already
        yield PAYMENT, (merchant_id, out_trade_no, trade.paid_attempt)


def counting_payment(sheet: Sheet, trade: Trade) -> Payment | None:
    """The payment that counts for a trade, or None while it is unpaid."""
    payment: Payment | None = sheet.peek(PAYMENT, trade.merchant_id, trade.out_trade_no, trade.paid_attempt)
    return payment


def check_unclaimed(sheet: Sheet, trade: Trade) -> None:
    """Nothing passes an open claim by. Raises Refused STATE_CONFLICT."""
    if open_claim(sheet, trade) is not None:
        raise Refused("STATE_CONFLICT", "the buyer has an open claim: it is to be answered first")


@record
class Ship:
    """The merchant sent the goods; repeated while the buyer has not confirmed, it corrects carrier and number."""

    asker: Asker
    out_trade_no: str
    carrier: str
    tracking_no: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield from self.asker.needs()
        yield TRADE, (self.asker.merchant_id, self.out_trade_no)
        yield CLAIM, (self.asker.merchant_id, self.out_trade_no)
        yield from _payment_needs(sheet, self.asker.merchant_id, self.out_trade_no)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        self.asker.check(sheet)
        trade = find_trade(sheet, self.asker.merchant_id, self.out_trade_no)
        if trade.refunded == trade.amount:
            raise Refused("TRADE_STATE", "all of it is going back")
        check_unclaimed(sheet, trade)
        if trade.state == "shipped":
            corrected = replace(trade, carrier=self.carrier, tracking_no=self.tracking_no)
            return Decision(Moved(trade.trade_no, trade.state), [(TRADE, corrected)])
        shipped, rows = move(
            trade,
            TradeState.SHIPPED,
            "ship",
            now.business,
            counting_payment(sheet, trade),
            carrier=self.carrier,
            tracking_no=self.tracking_no,
            shipped_at=now.business,
            due_at=Instant(now.business + RELEASE_AFTER),
        )
        return Decision(Moved(shipped.trade_no, shipped.state), rows)


def release(
    sheet: Sheet, trade: Trade, merchant: Merchant, cause: str, now: Instant, lane: int
) -> tuple[Trade, list[tuple[Table, Row]], Entry]:
    """What is held and was not given back goes to the merchant, less the fee on it; the trade is finished.

    Only escrow that was shipped (or that operators divide) holds money that may go: an instant trade can be finished
    too, but out of its own term (I15). Raises Refused TRADE_STATE.
    """
    held = trade.amount - trade.refunded
    if trade.state not in (TradeState.ESCROWED, TradeState.SHIPPED) or not held:
        raise Refused("TRADE_STATE", f"a trade that is {trade.state} holds nothing to release")
    payment = counting_payment(sheet, trade)
    method = payment.method if payment is not None else ""
    fee = trade_fee(merchant, trade.product, trade.protocol, method, held)
    done, rows = move(
        trade,
        TradeState.FINISHED,
        cause,
        now,
        payment,
        fee=fee,
        ended_at=now,
        due_at=None,
    )
    currency, merchant_id = trade.currency, trade.merchant_id
    arrival = Posting(merchant_escrow(merchant_id, currency), merchant_pending(merchant_id, currency), held)
    entry = Entry(
        f"release:{trade.trade_no}",
        "release",
        merchant_id,
        trade.out_trade_no,
        (arrival, *fee_postings(merchant_id, currency, fee, lane)),
    )
    return done, rows, entry


@record
class ConfirmReceipt:
    """The buyer has the goods and lets the money go, with a single-use authorisation for exactly this."""

    merchant_id: str
    out_trade_no: str
    buyer_id: str
    authorisation_id: str
    currency: str = "CNY"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)
        yield BUYER, (self.buyer_id,)
        yield AUTHORISATION, (self.authorisation_id,)
        yield TRADE, (self.merchant_id, self.out_trade_no)
        yield CLAIM, (self.merchant_id, self.out_trade_no)
        yield from _payment_needs(sheet, self.merchant_id, self.out_trade_no)
        for key in capture_accounts(self.merchant_id, self.currency, lane):
            yield ACCOUNT, key

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        trade = find_trade(sheet, self.merchant_id, self.out_trade_no)
        if trade.buyer_id != self.buyer_id:
            raise Refused("TRADE_NOT_FOUND", "no such trade of this buyer")
        buyer = active_buyer(sheet, self.buyer_id)
        word = consume(sheet, self.authorisation_id, "confirm", buyer, trade, now)
        if trade.state != TradeState.SHIPPED:
            raise Refused("TRADE_STATE", f"a trade that is {trade.state} is not there to be confirmed")
        check_unclaimed(sheet, trade)
        merchant: Merchant = sheet.get(MERCHANT, self.merchant_id)
        done, rows, entry = release(sheet, trade, merchant, "confirm", now.business, lane)
        return Decision(Moved(done.trade_no, done.state), [*rows, (AUTHORISATION, word)], [entry])


@record
class TimerDue:
    """The clock acts on a trade: an unpaid one closes, a shipped one is released, a paid one passes its refund term.

    Nothing happens where the trade has moved on, or is not due yet: a worker may be late or come twice.
    """

    merchant_id: str
    out_trade_no: str
    currency: str = "CNY"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)
        yield TRADE, (self.merchant_id, self.out_trade_no)
        yield from _payment_needs(sheet, self.merchant_id, self.out_trade_no)
        for key in capture_accounts(self.merchant_id, self.currency, lane):
            yield ACCOUNT, key
        trade: Trade | None = sheet.peek(TRADE, self.merchant_id, self.out_trade_no)
        if trade is not None and trade.flow == "escrow":
            yield from claim_needs(sheet, self.merchant_id, self.out_trade_no, self.currency, lane)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        trade = find_trade(sheet, self.merchant_id, self.out_trade_no)
        if trade.due_at is None or trade.due_at > now.business:
            return Decision(Moved(trade.trade_no, trade.state))
        at, payment = now.business, counting_payment(sheet, trade)
        if trade.state == "unpaid":
            done, rows = move(trade, TradeState.CLOSED, "expired", at, None, ended_at=at, due_at=None)
            return Decision(Moved(done.trade_no, done.state), rows)
        if trade.state == "paid":
            done, rows = move(trade, TradeState.FINISHED, "refund_term_over", at, payment, ended_at=at, due_at=None)
            return Decision(Moved(done.trade_no, done.state), rows)
        claim = open_claim(sheet, trade)
        if claim is not None:
            return let_time_pass(sheet, trade, claim, at, lane)
        merchant: Merchant = sheet.get(MERCHANT, self.merchant_id)
        done, rows, entry = release(sheet, trade, merchant, "auto_release", at, lane)
        return Decision(Moved(done.trade_no, done.state), rows, [entry])


@record
class ExtendRelease:
    """The buyer needs more time for a shipped trade: once, by ``EXTENSION``."""

    merchant_id: str
    out_trade_no: str
    buyer_id: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        key = (self.merchant_id, self.out_trade_no)
        yield from ((TRADE, key), (TRADE_RETURN, key), (CLAIM, key))

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        trade = find_trade(sheet, self.merchant_id, self.out_trade_no)
        if trade.buyer_id != self.buyer_id:
            raise Refused("TRADE_NOT_FOUND", "no such trade of this buyer")
        check_unclaimed(sheet, trade)
        if trade.state != "shipped" or trade.due_at is None or trade.due_at <= now.business:
            raise Refused("TRADE_STATE", f"a trade that is {trade.state} has no release to put off")
        known = return_of(sheet, trade)
        if known.extended:
            raise Refused("STATE_CONFLICT", "the release was put off before")
        later = replace(trade, due_at=Instant(trade.due_at + EXTENSION))
        rows = [(TRADE, later), (TRADE_RETURN, replace(known, extended=True))]
        return Decision(Moved(trade.trade_no, trade.state), rows)


@record
class Close:
    """A merchant ends an unpaid trade. Money that arrives afterwards goes back (T42)."""

    asker: Asker
    out_trade_no: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield from self.asker.needs()
        yield TRADE, (self.asker.merchant_id, self.out_trade_no)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        self.asker.check(sheet)
        trade = find_trade(sheet, self.asker.merchant_id, self.out_trade_no)
        if trade.state == "unpaid" and combined_of(trade):
            raise Refused("STATE_CONFLICT", "the trade is part of a combined order, which is closed as a whole")
        closed, rows = close(trade, "merchant", now.business)
        return Decision(Moved(closed.trade_no, closed.state), rows)


@record
class OperatorClose:
    """An operator ends an unpaid trade, whatever became of its merchant."""

    merchant_id: str
    out_trade_no: str
    actor: str
    reason: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield TRADE, (self.merchant_id, self.out_trade_no)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        trade = find_trade(sheet, self.merchant_id, self.out_trade_no)
        if not self.actor or not self.reason:
            raise Refused("FIELD_MISSING", "a trade is closed by somebody, for a reason")
        closed, rows = close(trade, "operator", now.business)
        draft = AuditDraft(self.actor, "trade.close", trade.trade_no, self.reason, trade.state, closed.state)
        return Decision(Moved(closed.trade_no, closed.state), rows, audits=[draft])


def close(trade: Trade, who: str, now: Instant) -> tuple[Trade, list[tuple[Table, Row]]]:
    """The rows of ending an unpaid trade. Raises Refused TRADE_STATE."""
    if trade.state != "unpaid":
        # a paid trade closes too, but only when all of it has gone back
        state = "paid" if trade.state == "closed" and trade.paid_attempt else trade.state
        raise Refused("TRADE_STATE", f"a trade that is {trade.state} cannot be closed", state)
    return move(trade, TradeState.CLOSED, f"closed_by_{who}", now, None, ended_at=now, due_at=None)
