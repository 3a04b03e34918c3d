"""How a refund through a bank ends: the money leaves for good, or is where it came from again, and a case says so.

A bank's refusal never waits silently: the merchant (or escrow) has the money back, the refund has failed, and somebody
must look. What a claim or the operators gave is the buyer's by right: it goes to his balance instead. Where the
interface has a word for it, what the merchant gave is stuck: it waits in an account of its own, see ``refund_stuck``.
"""

from __future__ import annotations

from typing import Any, Final

from tongbao.kernel.record import replace
from tongbao.kernel.time import Instant
from tongbao.ledger.account import (
    bank_clearing,
    buyer_balance,
    merchant_available,
    merchant_escrow,
    merchant_pending,
    merchant_refunding,
    merchant_reserve,
    merchant_stuck,
    platform_fee,
)
from tongbao.ledger.entry import Entry, Posting
from tongbao.service.command import Needs
from tongbao.service.hold import close_case
from tongbao.service.refund import HELD, move_refunded, open_claim, refund_needs, return_of
from tongbao.store.record import Case
from tongbao.store.schema import ACCOUNT, CASE, PAYMENT, REFUND, TRADE, TRADE_RETURN
from tongbao.store.sheet import Sheet
from tongbao.store.table import Row, Table
from tongbao.trade.record import RELEASE_AFTER, Instruction, Payment, Trade
from tongbao.trade.refund import STUCK, Refund, is_stuck, refund_of_instruction
from tongbao.trade.state import RefundState, move_refund
from tongbao.wire.loader import load_protocol


def end_needs(
    sheet: Sheet, instruction_no: str, merchant_id: str, out_trade_no: str, currency: str, lane: int
) -> Needs:
    """Every row that ``end_refund`` reads, for an instruction of a refund."""
    n = refund_of_instruction(instruction_no)
    yield REFUND, (merchant_id, out_trade_no, n)
    yield from refund_needs(sheet, merchant_id, out_trade_no, currency, lane)
    refund: Refund | None = sheet.peek(REFUND, merchant_id, out_trade_no, n)
    if refund is not None:
        yield ACCOUNT, (bank_clearing(refund.bank, lane, currency),)
        yield ACCOUNT, (merchant_stuck(merchant_id, currency),)


def end_refund(
    sheet: Sheet, instruction: Instruction, now: Instant, lane: int
) -> tuple[list[tuple[Table, Row]], Entry]:
    """Rows and entry of a bank's last word on a refund; ``instruction`` has it already. Raises Refused."""
    n = refund_of_instruction(instruction.instruction_no)
    refund: Refund = sheet.get(REFUND, instruction.merchant_id, instruction.out_trade_no, n)
    trade: Trade = sheet.get(TRADE, refund.merchant_id, refund.out_trade_no)
    if instruction.state == "succeeded":
        return _succeed(sheet, refund, trade, now, lane)
    if refund.cause in ("claim", "decision"):
        rows, entry = give_to_buyer(sheet, refund, trade, now, lane)
        return [*rows, (CASE, _case(replace(refund, back_to="buyer"), "", now))], entry
    if refund.cause == "merchant" and load_protocol(trade.protocol).refund_may_stick:
        return _stick(sheet, refund, trade, instruction.reason, now)
    rows, entry = fail_refund(sheet, refund, trade, now, lane)
    failed: Refund = next(row for table, row in rows if table is REFUND)
    return [*rows, (CASE, _case(failed, instruction.reason, now))], entry


STUCK_CASE: Final = "stuck:"
"""How the number of such a case begins."""


def stuck_case(refund_id: str) -> str:
    """The number of the case about a refund that is stuck."""
    return f"{STUCK_CASE}{refund_id}"


def _close(sheet: Sheet, refund: Refund, now: Instant) -> list[tuple[Table, Row]]:
    """The end of its case, where it was stuck."""
    return close_case(sheet, stuck_case(refund.refund_id), now) if is_stuck(refund) else []


def _aside(refund: Refund) -> str:
    """Where the money of an accepted refund is."""
    return (merchant_stuck if is_stuck(refund) else merchant_refunding)(refund.merchant_id, refund.currency)


def _stick(
    sheet: Sheet, refund: Refund, trade: Trade, reason: str, now: Instant
) -> tuple[list[tuple[Table, Row]], Entry]:
    """The refund is neither done nor failed: its money waits, the merchant is told, and a case says so."""
    stuck = replace(refund, code=STUCK)
    key = f"refund_stuck:{refund.refund_id}"
    known, payment = return_of(sheet, trade), _payment(sheet, refund)
    _, rows = move_refunded(trade, known, stuck, key, now, payment, trade.refunded, _word(sheet, trade))
    note = f"{refund.bank} does not take the refund ({reason or 'no reason given'}); the merchant says where it goes"
    case = replace(_case(stuck, reason, now), case_id=stuck_case(stuck.refund_id), kind="refund_stuck", note=note)
    waiting = Posting(_aside(refund), _aside(stuck), refund.amount)
    entry = Entry(key, "refund_stuck", refund.merchant_id, refund.out_trade_no, (waiting,))
    return [*rows, (REFUND, stuck), (CASE, case)], entry


def give_to_buyer(
    sheet: Sheet, refund: Refund, trade: Trade, now: Instant, lane: int
) -> tuple[list[tuple[Table, Row]], Entry]:
    """What his bank does not take is on the buyer's balance instead: the refund has succeeded. Raises Refused."""
    return _succeed(sheet, replace(refund, back_to="buyer"), trade, now, lane)


def _succeed(
    sheet: Sheet, refund: Refund, trade: Trade, now: Instant, lane: int
) -> tuple[list[tuple[Table, Row]], Entry]:
    to_balance = refund.back_to == "buyer"
    done = replace(
        refund,
        state=str(move_refund(refund.state, RefundState.SUCCEEDED)),
        code="PAYMENT_STATE" if to_balance else "",
        ended_at=now,
    )
    known = return_of(sheet, trade)
    after = replace(known, refunding=known.refunding - refund.amount, refunded_at=now)
    cause, payment = f"refund:{refund.refund_id}", _payment(sheet, refund)
    _, rows = move_refunded(trade, after, done, cause, now, payment, trade.refunded, _word(sheet, trade))
    target = buyer_balance(refund.buyer_id, refund.currency)
    leaving = Posting(
        _aside(refund),
        target if to_balance else bank_clearing(refund.bank, lane, refund.currency),
        refund.amount,
    )
    entry = Entry(f"refunded:{refund.refund_id}", "refunded", refund.merchant_id, refund.out_trade_no, (leaving,))
    return [*rows, (REFUND, done), (TRADE_RETURN, after), *_close(sheet, refund, now)], entry


def fail_refund(
    sheet: Sheet, refund: Refund, trade: Trade, now: Instant, lane: int
) -> tuple[list[tuple[Table, Row]], Entry]:
    """The refund has failed, and its money is where it came from again. Raises Refused."""
    to_escrow = bool(refund.from_escrow) and trade.state in HELD
    failed = replace(
        refund,
        state=str(move_refund(refund.state, RefundState.FAILED)),
        back_to="escrow" if to_escrow else "merchant",
        code="PAYMENT_STATE",
        ended_at=now,
    )
    known = return_of(sheet, trade)
    after = replace(
        known,
        refunding=known.refunding - refund.amount,
        from_escrow=known.from_escrow - refund.from_escrow,
        fee_back=known.fee_back - refund.fee,
    )
    rows: list[tuple[Table, Row]] = [(REFUND, failed), (TRADE_RETURN, after)]
    rows += _close(sheet, refund, now)
    changes = _word(sheet, trade)
    if to_escrow and trade.state == "shipped" and trade.due_at is None and open_claim(sheet, trade) is None:
        # all of it was going back, and part of it is not: the release has its whole term again
        changes["due_at"] = Instant(now + RELEASE_AFTER)
    cause, payment = f"refund_failed:{refund.refund_id}", _payment(sheet, refund)
    refunded = trade.refunded - refund.amount
    _, moved = move_refunded(trade, after, failed, cause, now, payment, refunded, changes)
    entry = Entry(
        f"refund_back:{refund.refund_id}",
        "refund_back",
        refund.merchant_id,
        refund.out_trade_no,
        _back(failed, _aside(refund), lane),
    )
    return [*rows, *moved], entry


def _word(sheet: Sheet, trade: Trade) -> dict[str, Any]:
    """A trade with an open claim keeps the claim's word, whatever becomes of an earlier refund."""
    return {"refund_state": trade.refund_state} if open_claim(sheet, trade) is not None else {}


def _back(refund: Refund, aside: str, lane: int) -> tuple[Posting, ...]:
    """Every part from ``aside`` to where it came from; what came out of an escrow that is over is the merchant's."""
    merchant_id, currency = refund.merchant_id, refund.currency
    pending = merchant_pending(merchant_id, currency)
    escrow = merchant_escrow(merchant_id, currency) if refund.back_to == "escrow" else pending
    targets = (
        (escrow, refund.from_escrow),
        (pending, refund.from_pending),
        (merchant_reserve(merchant_id, currency), refund.from_reserve),
        (merchant_available(merchant_id, currency), refund.from_available),
    )
    fee = (Posting(pending, platform_fee(lane, currency), refund.fee),) if refund.fee else ()
    return tuple(Posting(aside, target, part) for target, part in targets if part) + fee


def _payment(sheet: Sheet, refund: Refund) -> Payment | None:
    payment: Payment | None = sheet.get(PAYMENT, refund.merchant_id, refund.out_trade_no, refund.attempt)
    return payment


def _case(refund: Refund, reason: str, now: Instant) -> Case:
    where = {"escrow": "in escrow", "buyer": "on the buyer's balance"}.get(refund.back_to, "the merchant's")
    return Case(
        case_id=f"refund:{refund.refund_id}",
        kind="refund_refused",
        merchant_id=refund.merchant_id,
        out_trade_no=refund.out_trade_no,
        subject=refund.refund_id,
        amount=refund.amount,
        currency=refund.currency,
        state="open",
        note=f"{refund.bank} does not take the refund ({reason or 'no reason given'}); the money is {where} now",
        opened_at=now,
        closed_at=None,
    )
