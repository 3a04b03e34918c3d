"""What banks say: success, refusal, nothing. Unknown is never failed; late money goes back and opens a case (T42,
F28)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tongbao.kernel.error import Refused
from tongbao.kernel.time import HOUR, MINUTE, SECOND, Instant
from tongbao.ledger.account import bank_clearing, platform_suspense
from tongbao.ledger.entry import Entry, Posting
from tongbao.service.capture import capture, capture_accounts
from tongbao.service.command import Needs
from tongbao.service.hold import Reported, case_of, close_case, hold, hold_needs, holds_no, is_held
from tongbao.service.refund_end import end_needs, end_refund
from tongbao.store.commit import Decision, Now
from tongbao.store.record import Case
from tongbao.store.schema import ACCOUNT, CASE, INSTRUCTION, MERCHANT, PAYMENT, TRADE
from tongbao.store.sheet import Sheet
from tongbao.store.table import Row, Table
from tongbao.trade.party import Merchant
from tongbao.trade.record import Instruction, Payment, Trade
from tongbao.trade.refund import refund_of_instruction
from tongbao.trade.state import InstructionState, PaymentState, move_instruction, move_payment

INQUIRE_GAPS: Final = (5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, 60 * MINUTE)
"""Gaps between inquiries; the last repeats (F28)."""

HORIZON: Final = 2 * HOUR
"""Only after this is a bank's "no such payment" taken for failure (F29); an outlet waits for the trade's end
instead."""

CASE_AFTER: Final = 15 * MINUTE
"""An outcome unknown for this long has a case of its own (I17)."""


@dataclass(frozen=True, slots=True)
class ReportInstruction:
    """A bank's final word on one instruction, however it came (its notice, our inquiry, the browser's way home).

    ``result``: ``succeeded`` or ``failed``; ``amount`` in minor units must be the instruction's own.
    """

    instruction_no: str
    merchant_id: str
    out_trade_no: str
    attempt: int
    result: str
    amount: int
    currency: str
    bank: str
    bank_ref: str
    reason: str = ""

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)
        yield TRADE, (self.merchant_id, self.out_trade_no)
        yield PAYMENT, (self.merchant_id, self.out_trade_no, self.attempt)
        yield INSTRUCTION, (self.instruction_no,)
        yield from hold_needs(self.instruction_no)
        yield CASE, (f"unknown:{self.instruction_no}",)
        yield ACCOUNT, (bank_clearing(self.bank, lane, self.currency),)
        if refund_of_instruction(self.instruction_no):
            ends = (self.merchant_id, self.out_trade_no, self.currency)
            yield from end_needs(sheet, self.instruction_no, *ends, lane)
            return
        yield CASE, (f"late:{self.instruction_no[:-1]}",)
        yield CASE, (f"refused:{self.instruction_no}",)
        yield ACCOUNT, (platform_suspense(lane, self.currency),)
        for key in capture_accounts(self.merchant_id, self.currency, lane):
            yield ACCOUNT, key

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        known = _instruction(sheet, self.instruction_no)
        if known.state == self.result:
            return Decision(self._said("repeated"))
        if known.state == "succeeded":
            # a success is final: a later "no" is a contradiction for a person, never a reversal by itself
            return hold(sheet, known, "the bank took back a success", now.business)
        if self.result == "succeeded" and (self.amount, self.currency) != (known.amount, known.currency):
            return hold(sheet, known, f"the bank reports {self.amount} {self.currency}", now.business)
        if holds_no(sheet, known, self.result):
            return hold(sheet, known, "the bank says failed after a success that could not be", now.business)
        state = InstructionState(self.result)
        moved = replace(
            known,
            state=str(move_instruction(known.state, state)),
            bank_ref=self.bank_ref,
            reason=self.reason,
            moved_at=now.business,
            inquire_at=None,
        )
        rows = [(INSTRUCTION, moved), *close_case(sheet, f"unknown:{known.instruction_no}", now.business)]
        if refund_of_instruction(known.instruction_no):
            if known.state == "failed":
                note = "the bank gave money back that it had refused to give back"
                return hold(sheet, known, note, now.business)
            ended, entry = end_refund(sheet, moved, now.business, lane)
            what = "returned" if moved.state == "succeeded" else "failed"
            return Decision(self._said(what), [*rows, *ended], [entry])
        made = (
            self._returned(sheet, moved, now, lane) if known.kind == "refund" else self._paid(sheet, moved, now, lane)
        )
        return Decision(made.outcome, [*rows, *made.rows], made.entries)

    def _said(self, what: str) -> Reported:
        return Reported(what, self.merchant_id, self.out_trade_no)

    def _paid(self, sheet: Sheet, instruction: Instruction, now: Now, lane: int) -> Decision:
        payment: Payment = sheet.get(PAYMENT, self.merchant_id, self.out_trade_no, self.attempt)
        trade: Trade = sheet.get(TRADE, self.merchant_id, self.out_trade_no)
        if instruction.state == "failed":
            if payment.state != "pending":
                return Decision(self._said("failed"))
            failed = replace(
                payment, state=str(move_payment(payment.state, PaymentState.FAILED)), ended_at=now.business
            )
            return Decision(self._said("failed"), [(PAYMENT, failed)])
        source = bank_clearing(instruction.bank, lane, instruction.currency)
        arrived = replace(payment, bank_ref=self.bank_ref)
        if trade.state == "unpaid" and payment.state == "pending":
            merchant: Merchant = sheet.get(MERCHANT, self.merchant_id)
            rows, entry = capture(trade, arrived, merchant, source, now.business, lane)
            return Decision(self._said("captured"), rows, [entry])
        return self._late(trade, arrived, instruction, now, lane)

    def _late(self, trade: Trade, payment: Payment, instruction: Instruction, now: Now, lane: int) -> Decision:
        """Money for a trade that has ended or is paid: it rests in suspense, a case is opened, and it goes back."""
        late = replace(payment, state=str(move_payment(payment.state, PaymentState.LATE)), ended_at=now.business)
        currency = instruction.currency
        entry = Entry(
            f"late:{payment.payment_no}",
            "late",
            trade.merchant_id,
            trade.out_trade_no,
            (
                Posting(
                    bank_clearing(instruction.bank, lane, currency),
                    platform_suspense(lane, currency),
                    instruction.amount,
                ),
            ),
        )
        case = Case(
            case_id=f"late:{payment.payment_no}",
            kind="late_payment",
            merchant_id=trade.merchant_id,
            out_trade_no=trade.out_trade_no,
            subject=payment.payment_no,
            amount=instruction.amount,
            currency=currency,
            state="open",
            note=f"money arrived when the trade was {trade.state}; a refund to {instruction.bank} is queued",
            opened_at=now.business,
            closed_at=None,
        )
        back = replace(
            instruction,
            instruction_no=f"{payment.payment_no}R",
            kind="refund",
            state="created",
            bank_ref="",
            reason="late",
            code="",
            tries=0,
            created_at=now.business,
            moved_at=now.business,
            inquire_at=now.business,
        )
        return Decision(self._said("late"), [(PAYMENT, late), (CASE, case), (INSTRUCTION, back)], [entry])

    def _returned(self, sheet: Sheet, instruction: Instruction, now: Now, lane: int) -> Decision:
        """Late money went back, or its bank does not take it: then somebody must send it home another way."""
        payment: Payment = sheet.get(PAYMENT, self.merchant_id, self.out_trade_no, self.attempt)
        if instruction.state == "failed":
            note = f"{instruction.bank} does not take late money back ({instruction.reason or 'no reason given'})"
            case = case_of(instruction, f"refused:{instruction.instruction_no}", "late_refused", note, now.business)
            return Decision(self._said("failed"), [(CASE, case)])
        returned = replace(payment, state=str(move_payment(payment.state, PaymentState.RETURNED)))
        currency = instruction.currency
        entry = Entry(
            f"return:{payment.payment_no}",
            "return",
            self.merchant_id,
            self.out_trade_no,
            (
                Posting(
                    platform_suspense(lane, currency),
                    bank_clearing(instruction.bank, lane, currency),
                    instruction.amount,
                ),
            ),
        )
        rows = [(PAYMENT, returned), *close_case(sheet, f"late:{payment.payment_no}", now.business)]
        rows += close_case(sheet, f"refused:{instruction.instruction_no}", now.business)
        return Decision(self._said("returned"), rows, [entry])


def _instruction(sheet: Sheet, number: str) -> Instruction:
    known: Instruction | None = sheet.get(INSTRUCTION, number)
    if known is None:
        raise Refused("PAYMENT_NOT_FOUND", "no such instruction")
    return known


@dataclass(frozen=True, slots=True)
class RecordInquiry:
    """An inquiry (or a sent refund) that brought no final word. ``answer``: ``pending``, ``not_found``, ``no_answer``.

    The next one is planned; "not found" becomes a failure only after the bank's horizon (F29).
    """

    instruction_no: str
    merchant_id: str
    out_trade_no: str
    attempt: int
    answer: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield TRADE, (self.merchant_id, self.out_trade_no)
        yield PAYMENT, (self.merchant_id, self.out_trade_no, self.attempt)
        yield INSTRUCTION, (self.instruction_no,)
        yield from hold_needs(self.instruction_no)
        yield CASE, (f"unknown:{self.instruction_no}",)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        known = _instruction(sheet, self.instruction_no)
        said = Reported("waiting", self.merchant_id, self.out_trade_no)
        if known.state in ("succeeded", "failed"):
            return Decision(Reported("repeated", self.merchant_id, self.out_trade_no))
        if is_held(sheet, known):
            return Decision(said)
        trade: Trade = sheet.get(TRADE, self.merchant_id, self.out_trade_no)
        if self.answer == "not_found" and known.kind == "pay" and self._is_over(known, trade, now.business):
            return self._give_up(sheet, known, now)
        gap = INQUIRE_GAPS[min(known.tries, len(INQUIRE_GAPS) - 1)]
        state = known.state
        if self.answer == "no_answer" and state == "created":
            state = str(move_instruction(state, InstructionState.UNKNOWN))
        waiting = replace(
            known,
            state=state,
            tries=known.tries + 1,
            moved_at=known.moved_at if state == known.state else now.business,
            inquire_at=Instant(now.business + gap),
        )
        rows: list[tuple[Table, Row]] = [(INSTRUCTION, waiting)]
        if state == "unknown" and now.business - waiting.moved_at >= CASE_AFTER:
            rows += self._open_case(sheet, waiting, now.business)
        return Decision(said, rows)

    def _is_over(self, known: Instruction, trade: Trade, now: Instant) -> bool:
        if known.method == "outlet":
            return trade.state != "unpaid"
        return now - known.created_at >= HORIZON

    def _give_up(self, sheet: Sheet, known: Instruction, now: Now) -> Decision:
        failed = replace(
            known,
            state=str(move_instruction(known.state, InstructionState.FAILED)),
            reason="not_found",
            moved_at=now.business,
            inquire_at=None,
        )
        rows: list[tuple[Table, Row]] = [(INSTRUCTION, failed)]
        payment: Payment = sheet.get(PAYMENT, self.merchant_id, self.out_trade_no, self.attempt)
        if payment.state == "pending":
            rows.append((PAYMENT, replace(payment, state=str(PaymentState.FAILED), ended_at=now.business)))
        rows += close_case(sheet, f"unknown:{known.instruction_no}", now.business)
        return Decision(Reported("failed", self.merchant_id, self.out_trade_no), rows)

    def _open_case(self, sheet: Sheet, known: Instruction, now: Instant) -> list[tuple[Table, Row]]:
        case_id = f"unknown:{known.instruction_no}"
        if sheet.get(CASE, case_id) is not None:
            return []
        note = f"{known.bank} has not answered; it is asked again at growing intervals"
        return [(CASE, case_of(known, case_id, "unknown_outcome", note, now))]
