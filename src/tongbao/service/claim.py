"""The buyer's claim while escrow holds his money: he asks, the seller answers, goods go back, a dispute opens (T43).

While a claim is open nothing passes it by: nobody ships, confirms or refunds, and the release's clock stands still. The
claim has a clock of its own instead: who does not answer has agreed, who does not act has withdrawn; a dispute waits
for the operators (``service.dispute``).
"""

from __future__ import annotations

from typing import Any

from tongbao.kernel.error import Refused
from tongbao.kernel.money import Money
from tongbao.kernel.record import record, replace
from tongbao.kernel.time import Instant
from tongbao.ledger.entry import Entry
from tongbao.service.command import Needs
from tongbao.service.create import Asker
from tongbao.service.pay import active_buyer
from tongbao.service.refund import HELD, Wish, give_back, open_claim, refund_needs, return_of, state_of_refunds
from tongbao.service.refund_view import record_claim
from tongbao.store.commit import Decision, Now
from tongbao.store.record import Case
from tongbao.store.schema import BUYER, CASE, CLAIM, TRADE
from tongbao.store.sheet import Sheet
from tongbao.store.table import Row, Table
from tongbao.trade.claim import ANSWER_TIME, CHECK_TIME, DISPUTE_TIME, RETURN_TIME, ROUNDS_MAX, Claim
from tongbao.trade.record import Trade
from tongbao.trade.state import ClaimState, move_claim

Rows = list[tuple[Table, Row]]


@record
class Claimed:
    """How a claim and its trade stand now."""

    trade_no: str
    state: str
    claim: str


def claim_needs(sheet: Sheet, merchant_id: str, out_trade_no: str, currency: str, lane: int) -> Needs:
    """Every row that a step of a claim reads."""
    yield from refund_needs(sheet, merchant_id, out_trade_no, currency, lane)
    trade: Trade | None = sheet.peek(TRADE, merchant_id, out_trade_no)
    if trade is not None:
        yield CASE, (dispute_case(trade.trade_no),)


def dispute_case(trade_no: str) -> str:
    """The case of a trade's dispute."""
    return f"dispute:{trade_no}"


def find_held(sheet: Sheet, merchant_id: str, out_trade_no: str, buyer_id: str = "") -> Trade:
    """A trade whose money escrow holds; with ``buyer_id`` only that buyer's. Raises Refused."""
    trade: Trade | None = sheet.get(TRADE, merchant_id, out_trade_no)
    if trade is None or buyer_id not in ("", trade.buyer_id):
        raise Refused("TRADE_NOT_FOUND", "no such trade")
    if trade.state not in HELD:
        raise Refused("TRADE_STATE", f"escrow holds nothing of a trade that is {trade.state}")
    return trade


def find_claim(sheet: Sheet, trade: Trade) -> Claim:
    """The trade's open claim. Raises Refused STATE_CONFLICT."""
    claim = open_claim(sheet, trade)
    if claim is None:
        raise Refused("STATE_CONFLICT", "the buyer has no open claim")
    return claim


def left_for_buyer(sheet: Sheet, trade: Trade) -> int:
    """What the buyer can still be given of what escrow holds: what his bank took back, he has."""
    return max(trade.amount - trade.refunded - return_of(sheet, trade).charged_back, 0)


def resume(trade: Trade, claim: Claim, now: Instant) -> Instant | None:
    """When the clock acts on a trade again whose claim is over: what was left of the release term."""
    return Instant(now + claim.left_over) if trade.state == "shipped" else None


def turn(
    sheet: Sheet, trade: Trade, claim: Claim, to: ClaimState, now: Instant, due_at: Instant | None, **changes: Any
) -> tuple[Rows, Claim]:
    """A claim's step without money: its row, the trade's, and an event. Raises Refused STATE_CONFLICT."""
    moved = replace(claim, state=str(move_claim(claim.state, to)), moved_at=now, **changes)
    words = {"asked": "asked", "refused": "refused", "disputed": "refused", "returning": "returning"}
    word = words.get(moved.state, "returned")
    if to == ClaimState.WITHDRAWN:
        word = state_of_refunds(return_of(sheet, trade), trade.refunded)
    _, rows = record_claim(trade, f"claim_{to}", now, refund_state=word, due_at=due_at)
    return [*rows, (CLAIM, moved), *_dispute_rows(sheet, trade, moved, now)], moved


def _dispute_rows(sheet: Sheet, trade: Trade, claim: Claim, now: Instant) -> Rows:
    """The dispute's case, opened or closed as the claim stands."""
    known: Case | None = sheet.get(CASE, dispute_case(trade.trade_no))
    if claim.state == "disputed":
        wanted = Money(claim.amount, claim.currency).text()
        note = f"{claim.disputed_by} opened a dispute over {wanted} {claim.currency}: {claim.reason}"
        case = Case(
            case_id=dispute_case(trade.trade_no),
            kind="dispute",
            merchant_id=trade.merchant_id,
            out_trade_no=trade.out_trade_no,
            subject=trade.trade_no,
            amount=claim.amount,
            currency=claim.currency,
            state="open",
            note=note,
            opened_at=now,
            closed_at=None,
        )
        return [(CASE, case)]
    return close_dispute(known, now)


def close_dispute(known: Case | None, now: Instant) -> Rows:
    """The dispute is over, where there is one."""
    if known is None or known.state == "closed":
        return []
    return [(CASE, replace(known, state="closed", closed_at=now))]


def agree(sheet: Sheet, trade: Trade, claim: Claim, now: Instant, lane: int) -> tuple[Rows, list[Entry], Claim]:
    """The claimed sum, less what his bank took back since, goes to the buyer; what is left stays held, on the clock it
    had."""
    amount = min(claim.amount, left_for_buyer(sheet, trade))
    rest: dict[str, Any] = {"due_at": resume(trade, claim, now)} if amount < trade.amount - trade.refunded else {}
    moved = move_claim(claim.state, ClaimState.AGREED)
    made = give_back(sheet, trade, amount, Wish("claim", reason=claim.reason), now, lane, **rest)
    agreed = replace(claim, state=str(moved), refund_n=made.refund.n, moved_at=now)
    return [*made.rows, (CLAIM, agreed)], [made.entry], agreed


@record
class BuyerAskRefund:
    """The buyer wants ``amount`` (minor units; None: all that is held) back. ``goods``: he has them and will send them
    back; only after shipping. Outcome: ``Claimed``."""

    merchant_id: str
    out_trade_no: str
    buyer_id: str
    amount: int | None = None
    goods: bool = False
    reason: str = ""
    currency: str = "CNY"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield BUYER, (self.buyer_id,)
        yield from claim_needs(sheet, self.merchant_id, self.out_trade_no, self.currency, lane)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        active_buyer(sheet, self.buyer_id)
        trade = find_held(sheet, self.merchant_id, self.out_trade_no, self.buyer_id)
        if trade.due_at is not None and trade.due_at <= now.business:
            raise Refused("TRADE_STATE", "the time is over")
        known: Claim | None = sheet.get(CLAIM, trade.merchant_id, trade.out_trade_no)
        state = known.state if known is not None else ""
        move_claim(state, ClaimState.ASKED)
        if known is not None and known.round >= ROUNDS_MAX:
            raise Refused("LIMIT_EXCEEDED", f"a trade has at most {ROUNDS_MAX} claims")
        held = left_for_buyer(sheet, trade)
        amount = held if self.amount is None else self.amount
        if not 0 < amount <= held:
            raise Refused("REFUND_EXCEEDS", f"escrow holds {held}")
        if self.goods and trade.state != "shipped":
            raise Refused("TRADE_STATE", "nothing was shipped that could go back")
        claim = Claim(
            merchant_id=trade.merchant_id,
            out_trade_no=trade.out_trade_no,
            round=known.round + 1 if known is not None else 1,
            state=state,
            amount=amount,
            currency=trade.currency,
            goods=self.goods,
            reason=self.reason,
            answer="",
            carrier="",
            tracking_no="",
            left_over=0 if trade.due_at is None else trade.due_at - now.business,
            disputed_by="",
            proposal=0,
            proposed_by="",
            proposal_reason="",
            decided_by="",
            refund_n=0,
            opened_at=now.business,
            moved_at=now.business,
        )
        due = Instant(now.business + ANSWER_TIME)
        rows, claim = turn(sheet, trade, claim, ClaimState.ASKED, now.business, due)
        return Decision(Claimed(trade.trade_no, trade.state, claim.state), rows)


@record
class WithdrawClaim:
    """The buyer gives his claim up; the release's clock goes on where it stood."""

    merchant_id: str
    out_trade_no: str
    buyer_id: str
    currency: str = "CNY"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield from claim_needs(sheet, self.merchant_id, self.out_trade_no, self.currency, lane)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        trade = find_held(sheet, self.merchant_id, self.out_trade_no, self.buyer_id)
        claim = find_claim(sheet, trade)
        due = resume(trade, claim, now.business)
        rows, claim = turn(sheet, trade, claim, ClaimState.WITHDRAWN, now.business, due)
        return Decision(Claimed(trade.trade_no, trade.state, claim.state), rows)


@record
class ReturnGoods:
    """The buyer has sent the goods back."""

    merchant_id: str
    out_trade_no: str
    buyer_id: str
    carrier: str
    tracking_no: str
    currency: str = "CNY"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield from claim_needs(sheet, self.merchant_id, self.out_trade_no, self.currency, lane)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        trade = find_held(sheet, self.merchant_id, self.out_trade_no, self.buyer_id)
        claim = find_claim(sheet, trade)
        due = Instant(now.business + CHECK_TIME)
        sent = {"carrier": self.carrier, "tracking_no": self.tracking_no}
        rows, claim = turn(sheet, trade, claim, ClaimState.RETURNED, now.business, due, **sent)
        return Decision(Claimed(trade.trade_no, trade.state, claim.state), rows)


@record
class OpenDispute:
    """The buyer was refused and asks the operators."""

    merchant_id: str
    out_trade_no: str
    buyer_id: str
    reason: str = ""
    currency: str = "CNY"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield from claim_needs(sheet, self.merchant_id, self.out_trade_no, self.currency, lane)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        trade = find_held(sheet, self.merchant_id, self.out_trade_no, self.buyer_id)
        claim = find_claim(sheet, trade)
        if claim.state != "refused":
            raise Refused("STATE_CONFLICT", f"a claim that is {claim.state} is not the buyer's to dispute")
        words = {"disputed_by": "buyer", "reason": self.reason or claim.reason}
        rows, claim = turn(sheet, trade, claim, ClaimState.DISPUTED, now.business, None, **words)
        return Decision(Claimed(trade.trade_no, trade.state, claim.state), rows)


@record
class SellerAnswer:
    """The seller agrees or refuses. To a claim: the money goes back, or the goods first; refused, the buyer may open a
    dispute. To goods that came back: the money goes back; refused, it is a dispute."""

    asker: Asker
    out_trade_no: str
    agrees: bool
    answer: str = ""
    currency: str = "CNY"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield from self.asker.needs()
        yield from claim_needs(sheet, self.asker.merchant_id, self.out_trade_no, self.currency, lane)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        self.asker.check(sheet)
        trade = find_held(sheet, self.asker.merchant_id, self.out_trade_no)
        claim = replace(find_claim(sheet, trade), answer=self.answer)
        if claim.state not in ("asked", "returned"):
            raise Refused("STATE_CONFLICT", f"a claim that is {claim.state} is not the seller's to answer")
        if self.agrees:
            return agree_or_return(sheet, trade, claim, now.business, lane)
        if claim.state == "asked":
            due = Instant(now.business + DISPUTE_TIME)
            rows, claim = turn(sheet, trade, claim, ClaimState.REFUSED, now.business, due)
        else:
            rows, claim = turn(sheet, trade, claim, ClaimState.DISPUTED, now.business, None, disputed_by="seller")
        return Decision(Claimed(trade.trade_no, trade.state, claim.state), rows)


def agree_or_return(sheet: Sheet, trade: Trade, claim: Claim, now: Instant, lane: int) -> Decision:
    """The seller, or the clock for him, agrees: goods that the buyer has go back first. Where his bank has taken all of
    it back meanwhile there is nothing to give: the claim is over, or with the goods returned it is the operators'."""
    if not left_for_buyer(sheet, trade):
        if claim.state == "asked":
            rows, claim = turn(sheet, trade, claim, ClaimState.WITHDRAWN, now, resume(trade, claim, now))
        else:
            rows, claim = turn(sheet, trade, claim, ClaimState.DISPUTED, now, None, disputed_by="seller")
        return Decision(Claimed(trade.trade_no, trade.state, claim.state), rows)
    if claim.state == "asked" and claim.goods:
        rows, claim = turn(sheet, trade, claim, ClaimState.RETURNING, now, Instant(now + RETURN_TIME))
        return Decision(Claimed(trade.trade_no, trade.state, claim.state), rows)
    rows, entries, claim = agree(sheet, trade, claim, now, lane)
    ended: Trade = next(row for table, row in rows if table is TRADE)
    return Decision(Claimed(trade.trade_no, ended.state, claim.state), rows, entries)


def let_time_pass(sheet: Sheet, trade: Trade, claim: Claim, now: Instant, lane: int) -> Decision:
    """A claim's clock has run out: the seller has agreed by silence, or the buyer withdrawn."""
    if claim.state in ("asked", "returned"):
        return agree_or_return(sheet, trade, claim, now, lane)
    rows, claim = turn(sheet, trade, claim, ClaimState.WITHDRAWN, now, resume(trade, claim, now))
    return Decision(Claimed(trade.trade_no, trade.state, claim.state), rows)
