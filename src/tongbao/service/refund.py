"""Giving money back: back to where it came from, never more than was paid, once for each number (T38, T41, I13, I14).

The sum is set aside when a refund is accepted: a trade's ``refunded`` counts what is accepted and what has succeeded,
so that no crowd of requests can give back more than there is. A balance has its money in the same entry; a card's bank
is asked by an instruction, and until it has spoken the money is in the merchant's ``refunding`` account.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from tongbao.kernel.error import Refused, ensure
from tongbao.kernel.record import record, replace
from tongbao.kernel.time import DAY, Instant
from tongbao.ledger.account import (
    Account,
    buyer_balance,
    merchant_available,
    merchant_escrow,
    merchant_pending,
    merchant_refunding,
    merchant_reserve,
    platform_fee,
)
from tongbao.ledger.entry import Entry, Posting
from tongbao.service.command import Needs
from tongbao.service.create import Asker, check_address
from tongbao.service.refund_view import record_refund
from tongbao.service.split import Back, take_back, take_back_needs
from tongbao.store.commit import Decision, Now
from tongbao.store.record import Answer
from tongbao.store.schema import ACCOUNT, ANSWER, CLAIM, INSTRUCTION, PAYMENT, REFUND, TRADE, TRADE_RETURN
from tongbao.store.sheet import Sheet
from tongbao.store.table import Row, Table
from tongbao.trade.claim import Claim
from tongbao.trade.party import Merchant
from tongbao.trade.record import Instruction, Payment, Trade
from tongbao.trade.refund import (
    REFUNDS_MAX,
    REFUNDS_OF_MERCHANT,
    Refund,
    TradeReturn,
    fee_to_return,
    refund_instruction,
    refund_number,
    take_from,
)
from tongbao.trade.state import CLAIM_OPEN, TradeState

HELD = frozenset({TradeState.ESCROWED, TradeState.SHIPPED})
"""States in which escrow holds the money, so that a refund comes out of it."""


@record
class Given:
    """A refund and its trade afterwards; ``changed`` says whether this command made it."""

    refund: Refund
    trade: Trade
    changed: bool


@record
class Wish:
    """Why and under which numbers something is given back; the words of ``Refund``."""

    cause: str
    refund_no: str = ""
    batch_no: str = ""
    reason: str = ""
    notify_url: str = ""
    splits: str = "[]"


@record
class Made:
    """What giving back comes to: rows and entry for the decision."""

    refund: Refund
    trade: Trade
    rows: list[tuple[Table, Row]]
    entry: Entry


def refund_needs(sheet: Sheet, merchant_id: str, out_trade_no: str, currency: str, lane: int) -> Needs:
    """Every row that ``give_back`` reads, the trade included."""
    yield TRADE, (merchant_id, out_trade_no)
    yield TRADE_RETURN, (merchant_id, out_trade_no)
    yield CLAIM, (merchant_id, out_trade_no)
    for code in (
        merchant_pending(merchant_id, currency),
        merchant_reserve(merchant_id, currency),
        merchant_available(merchant_id, currency),
        merchant_escrow(merchant_id, currency),
        merchant_refunding(merchant_id, currency),
        platform_fee(lane, currency),
    ):
        yield ACCOUNT, (code,)
    trade: Trade | None = sheet.peek(TRADE, merchant_id, out_trade_no)
    if trade is not None and trade.paid_attempt:
        yield PAYMENT, (merchant_id, out_trade_no, trade.paid_attempt)
        yield ACCOUNT, (buyer_balance(trade.buyer_id, currency),)


def return_of(sheet: Sheet, trade: Trade) -> TradeReturn:
    """What became of a trade's money so far."""
    known: TradeReturn | None = sheet.get(TRADE_RETURN, trade.merchant_id, trade.out_trade_no)
    return known or TradeReturn(trade.merchant_id, trade.out_trade_no, 0, 0, 0, 0, 0, False, None)


def open_claim(sheet: Sheet, trade: Trade) -> Claim | None:
    """The buyer's claim, while nothing may pass it by."""
    claim: Claim | None = sheet.get(CLAIM, trade.merchant_id, trade.out_trade_no)
    return claim if claim is not None and claim.state in CLAIM_OPEN else None


def funds(sheet: Sheet, code: str) -> int:
    """What can be taken from an account: nothing from a frozen one."""
    account: Account | None = sheet.get(ACCOUNT, code)
    return 0 if account is None or account.frozen else account.balance


def check_refundable(sheet: Sheet, trade: Trade, merchant: Merchant, now: Instant) -> None:
    """Whether the merchant may give something of this trade back now. Raises Refused."""
    if not trade.paid_attempt:
        raise Refused("TRADE_STATE", f"the trade is {trade.state} and was never paid", trade.state)
    if trade.state == "paid" and trade.due_at is not None and trade.due_at <= now:
        raise Refused("REFUND_EXPIRED", "the term for refunds is over")
    if trade.state == "finished":
        # an instant trade is finished when its term is over; one out of escrow has a term from then on
        until = (trade.ended_at or now) + merchant.refund_days * DAY
        if trade.flow == "instant" or until <= now:
            raise Refused("REFUND_EXPIRED", "the term for refunds is over")
    if trade.flow == "escrow" and open_claim(sheet, trade) is not None:
        raise Refused("STATE_CONFLICT", "the buyer has an open claim: it is to be answered first")


def give_back(
    sheet: Sheet,
    trade: Trade,
    amount: int,
    wish: Wish,
    now: Instant,
    lane: int,
    shared: int = 0,
    **changes: Any,
) -> Made:
    """Rows and entry of giving back ``amount`` of a paid trade, which closes when all of it has gone back. ``shared``
    is what receivers of shares put into *pending* just before; ``changes`` are the trade's further changes.

    Raises Refused REFUND_EXCEEDS, MERCHANT_FUNDS, LIMIT_EXCEEDED.
    """
    merchant_id, currency = trade.merchant_id, trade.currency
    if amount <= 0 or amount > trade.amount - trade.refunded:
        raise Refused("REFUND_EXCEEDS", f"{trade.amount - trade.refunded} of {trade.amount} are left")
    known = return_of(sheet, trade)
    n = known.refunds + 1
    if n > REFUNDS_MAX:
        raise Refused("LIMIT_EXCEEDED", f"a trade has at most {REFUNDS_MAX} refunds")
    payment: Payment | None = sheet.peek(PAYMENT, merchant_id, trade.out_trade_no, trade.paid_attempt)
    home = buyer_balance(trade.buyer_id, currency)
    if payment is None or not sheet.knows(ACCOUNT, (home,)):
        raise Refused("TRADE_STATE", "the trade is being paid this very moment")
    held = trade.state in HELD
    parts, fee = ((amount, 0, 0, 0), 0) if held else _from_merchant(sheet, trade, known, amount, shared)
    refund = _write(trade, payment, n, amount, wish, parts, fee, now)
    at_once = refund.method == "balance"
    account: Account | None = sheet.get(ACCOUNT, home)
    if at_once and account is not None and account.frozen:
        raise Refused("BUYER_DISABLED", "the buyer's account is frozen")
    after = replace(
        known,
        refunds=n,
        refunding=known.refunding + (0 if at_once else amount),
        from_escrow=known.from_escrow + parts[0],
        fee_back=known.fee_back + fee,
        refunded_at=now if at_once else known.refunded_at,
    )
    cause = f"refund:{refund.refund_id}" if at_once else f"refund_accepted:{refund.refund_id}"
    moved, rows = move_refunded(trade, after, refund, cause, now, payment, trade.refunded + amount, changes)
    rows += [(REFUND, refund), (TRADE_RETURN, after)]
    if not at_once:
        rows.append((INSTRUCTION, _instruct(refund, payment, now)))
    entry = Entry(
        f"refund:{refund.refund_id}",
        "refund",
        merchant_id,
        trade.out_trade_no,
        _postings(refund, home if at_once else merchant_refunding(merchant_id, currency), lane),
    )
    return Made(refund, moved, rows, entry)


def _write(
    trade: Trade,
    payment: Payment,
    n: int,
    amount: int,
    wish: Wish,
    parts: tuple[int, int, int, int],
    fee: int,
    now: Instant,
) -> Refund:
    """The refund's row: at once to a balance (an outlet's payer has one too), or to the card that paid."""
    at_once = payment.method in ("balance", "outlet")
    return Refund(
        merchant_id=trade.merchant_id,
        out_trade_no=trade.out_trade_no,
        n=n,
        refund_id=refund_number(trade.trade_no, n),
        refund_no=wish.refund_no,
        batch_no=wish.batch_no,
        cause=wish.cause,
        state="succeeded" if at_once else "accepted",
        attempt=payment.attempt,
        method="balance" if at_once else payment.method,
        bank="" if at_once else payment.bank,
        buyer_id=payment.buyer_id,
        amount=amount,
        currency=trade.currency,
        from_escrow=parts[0],
        from_pending=parts[1],
        from_reserve=parts[2],
        from_available=parts[3],
        fee=fee,
        back_to="",
        reason=wish.reason,
        notify_url=wish.notify_url,
        splits=wish.splits,
        code="",
        created_at=now,
        ended_at=now if at_once else None,
    )


def _from_merchant(
    sheet: Sheet, trade: Trade, known: TradeReturn, amount: int, shared: int
) -> tuple[tuple[int, int, int, int], int]:
    """How a merchant's own money makes up ``amount``, and what of the fee the platform gives back for it."""
    merchant_id, currency = trade.merchant_id, trade.currency
    base = trade.amount - known.from_escrow
    fee = fee_to_return(trade.fee, base, trade.refunded + amount - known.from_escrow, known.fee_back)
    pending, reserve, available = take_from(
        amount,
        funds(sheet, merchant_pending(merchant_id, currency)) + fee + shared,
        funds(sheet, merchant_reserve(merchant_id, currency)),
        funds(sheet, merchant_available(merchant_id, currency)),
    )
    return (0, pending, reserve, available), fee


def _postings(refund: Refund, target: str, lane: int) -> tuple[Posting, ...]:
    """From where the money was to ``target``; the fee comes back first, so that it can be part of it."""
    merchant_id, currency = refund.merchant_id, refund.currency
    pending = merchant_pending(merchant_id, currency)
    sources = (
        (merchant_escrow(merchant_id, currency), refund.from_escrow),
        (pending, refund.from_pending),
        (merchant_reserve(merchant_id, currency), refund.from_reserve),
        (merchant_available(merchant_id, currency), refund.from_available),
    )
    fee = (Posting(platform_fee(lane, currency), pending, refund.fee),) if refund.fee else ()
    return fee + tuple(Posting(source, target, part) for source, part in sources if part)


def _instruct(refund: Refund, payment: Payment, now: Instant) -> Instruction:
    return Instruction(
        instruction_no=refund_instruction(payment.payment_no, refund.n),
        merchant_id=refund.merchant_id,
        out_trade_no=refund.out_trade_no,
        attempt=payment.attempt,
        kind="refund",
        bank=payment.bank,
        method=payment.method,
        amount=refund.amount,
        currency=refund.currency,
        state="created",
        bank_ref="",
        reason="",
        code="",
        tries=0,
        created_at=now,
        moved_at=now,
        inquire_at=now,
    )


def state_of_refunds(after: TradeReturn, refunded: int) -> str:
    """The trade's word for its refunds: ``paying_back`` while one is under way, then ``success``; ``closed`` where none
    came to anything."""
    if after.refunding:
        return "paying_back"
    return "success" if refunded else "closed"


def move_refunded(
    trade: Trade,
    after: TradeReturn,
    refund: Refund,
    cause: str,
    now: Instant,
    payment: Payment | None,
    refunded: int,
    changes: dict[str, Any],
) -> tuple[Trade, list[tuple[Table, Row]]]:
    """The trade after a refund was accepted, succeeded or failed."""
    fresh: dict[str, Any] = {"refunded": refunded, "refund_state": state_of_refunds(after, refunded)}
    state = TradeState(trade.state)
    if refunded == trade.amount:
        if not after.refunding and trade.state in ("paid", *HELD):
            state = TradeState.CLOSED
            fresh |= {"ended_at": now, "due_at": None}
        elif trade.state in HELD:
            # nothing is held any more that the clock could release
            fresh["due_at"] = None
    return record_refund(trade, state, cause, now, payment, refund, **{**fresh, **changes})


def refund_scope(merchant_id: str, out_trade_no: str, *, of_trade: bool) -> str:
    """Within what a merchant's refund number is unique: his trade, or all of his."""
    return f"refund:{merchant_id}:{out_trade_no}" if of_trade else f"refund:{merchant_id}"


@record
class RequestRefund:
    """Give ``amount`` (minor units; None: all that is left) of a trade back, once for each ``refund_no``.

    ``total`` is the trade's sum where the message repeats it. ``of_trade``: the number is unique within its trade only.
    Without a number every request is a new refund. The ``cause`` ``cancel`` has numbers of its own, which no merchant's
    number meets. ``back``: what receivers of shares give back of it, as ``splits`` says. ``most``:
    how many refunds the trade may have had, this one included. Outcome: ``Given``.
    """

    asker: Asker
    out_trade_no: str
    refund_no: str
    amount: int | None = None
    currency: str = "CNY"
    total: int | None = None
    reason: str = ""
    notify_url: str = ""
    batch_no: str = ""
    cause: str = "merchant"
    of_trade: bool = False
    back: Back | None = None
    splits: str = "[]"
    most: int = REFUNDS_OF_MERCHANT

    def _scope(self) -> str:
        if self.cause == "cancel":
            return f"cancel:{self.asker.merchant_id}:{self.out_trade_no}"
        return refund_scope(self.asker.merchant_id, self.out_trade_no, of_trade=self.of_trade)

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield from self.asker.needs()
        yield from refund_needs(sheet, self.asker.merchant_id, self.out_trade_no, self.currency, lane)
        yield from take_back_needs(self.back, self.currency)
        if self.refund_no:
            yield ANSWER, (self._scope(), self.refund_no)
            first: Answer | None = sheet.peek(ANSWER, self._scope(), self.refund_no)
            if first is not None:
                yield REFUND, (self.asker.merchant_id, *json.loads(first.outcome))

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        merchant = self.asker.check(sheet)
        check_address("notify_url", self.notify_url, merchant)
        trade: Trade | None = sheet.get(TRADE, merchant.merchant_id, self.out_trade_no)
        if trade is None:
            raise Refused("TRADE_NOT_FOUND", "no such trade")
        if self.currency != trade.currency:
            raise Refused("CURRENCY_NOT_ALLOWED", f"the trade is in {trade.currency}")
        first: Answer | None = sheet.get(ANSWER, self._scope(), self.refund_no) if self.refund_no else None
        if first is not None:
            return Decision(Given(self._same(sheet, first), trade, changed=False))
        if self.amount is not None and self.amount <= 0:
            raise Refused("AMOUNT_NOT_POSITIVE", "a refund is above zero")
        if self.total not in (None, trade.amount):
            raise Refused("TRADE_AMOUNT_MISMATCH", f"the trade is over {trade.amount}")
        check_refundable(sheet, trade, merchant, now.business)
        known = return_of(sheet, trade)
        if known.refunds >= self.most:
            raise Refused("LIMIT_EXCEEDED", f"a merchant refunds a trade at most {self.most} times")
        left = max(trade.amount - trade.refunded - known.charged_back, 0)
        amount = left if self.amount is None else self.amount
        if not 0 < amount <= left:
            raise Refused("REFUND_EXCEEDS", f"{left} of {trade.amount} are left")
        wish = Wish(self.cause, self.refund_no, self.batch_no, self.reason, self.notify_url, self.splits)
        refund_id = refund_number(trade.trade_no, known.refunds + 1)
        shared, rows, entries = take_back(sheet, trade, self.back, refund_id)
        if shared > amount:
            raise Refused("SPLIT_EXCEEDS", "the shares given back are more than the refund")
        made = give_back(sheet, trade, amount, wish, now.business, lane, shared)
        rows += made.rows
        if self.refund_no:
            rows.append((ANSWER, self._answer(made.refund, now.business)))
        return Decision(Given(made.refund, made.trade, changed=True), rows, [*entries, made.entry])

    def _answer(self, refund: Refund, now: Instant) -> Answer:
        body = json.dumps([self.out_trade_no, self.refund_no, refund.amount])
        outcome = json.dumps([refund.out_trade_no, refund.n])
        return Answer(self._scope(), self.refund_no, hashlib.sha256(body.encode()).hexdigest(), outcome, now)

    def _same(self, sheet: Sheet, first: Answer) -> Refund:
        """The refund this number was used for, if it was used for the same. Raises Refused REFUND_MISMATCH."""
        out_trade_no, n = json.loads(first.outcome)
        if out_trade_no != self.out_trade_no:
            raise Refused("REFUND_MISMATCH", "this number was used for another trade")
        known: Refund = sheet.get(REFUND, self.asker.merchant_id, out_trade_no, n)
        ensure(known is not None, "a refund's number leads to its refund")
        if self.amount not in (None, known.amount):
            raise Refused("REFUND_MISMATCH", f"this number was used for {known.amount}")
        if self.splits != known.splits:
            raise Refused("REFUND_MISMATCH", "this number was used with other shares")
        return known
