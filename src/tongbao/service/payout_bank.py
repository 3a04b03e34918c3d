"""What banks say of payouts: success sends the money out, a no gives it back, silence changes nothing (F28).

A payout is asked for under its one number. An answer that never came is inquired after; only where the bank knows
nothing of the number is it asked for again, under the same one, and not while payouts are stopped.
"""

from __future__ import annotations

from typing import Any, Final

from tongbao.kernel.error import Refused, RemoteProtocolError
from tongbao.kernel.record import record, replace
from tongbao.kernel.time import Instant
from tongbao.ledger.account import bank_clearing, merchant_available, merchant_payout, platform_fee
from tongbao.ledger.entry import Entry
from tongbao.service.bank import CASE_AFTER, INQUIRE_GAPS
from tongbao.service.channel import BankWord
from tongbao.service.command import Needs
from tongbao.service.ended import payout_event
from tongbao.service.hold import (
    DisputeReference,
    Reported,
    case_of,
    close_case,
    hold,
    hold_needs,
    holds_no,
    is_anothers,
    is_held,
)
from tongbao.service.payout import COUNTED, payout_instruction, postings
from tongbao.service.payout_batch import count_ended
from tongbao.service.payout_line import open_payee
from tongbao.service.platform import Platform
from tongbao.store.commit import Decision, Now
from tongbao.store.schema import ACCOUNT, CASE, INSTRUCTION, PAYOUT, PAYOUT_BATCH, SWITCH
from tongbao.store.sheet import Sheet
from tongbao.store.table import Row, Table
from tongbao.trade.payout import Payout, PayoutState, Switch, move_payout
from tongbao.trade.record import Instruction
from tongbao.trade.state import InstructionState, move_instruction
from tongbao.wire.world import CALL_LIMITS, NoAnswer, NotSent

REASONS: Final = {"account_unknown": "PAYEE_UNKNOWN", "name_mismatch": "PAYEE_NAME_MISMATCH"}
"""Banks' reasons as refusal codes; anything else is ``PAYEE_UNKNOWN`` too: the bank does not pay him."""


@record
class ReportPayout:
    """A bank's word on one payout. ``result``: ``succeeded``, ``failed``, ``pending``, ``not_found``, ``no_answer``."""

    merchant_id: str
    batch_no: str
    payout_no: str
    payout_id: str
    result: str
    amount: int
    currency: str
    bank: str
    bank_ref: str = ""
    reason: str = ""

    @property
    def number(self) -> str:
        """The instruction's."""
        return payout_instruction(self.payout_id)

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield PAYOUT_BATCH, (self.merchant_id, self.batch_no)
        yield PAYOUT, (self.merchant_id, self.batch_no, self.payout_no)
        yield INSTRUCTION, (self.number,)
        yield from hold_needs(self.number)
        yield CASE, (f"unknown:{self.number}",)
        yield CASE, (f"standing:{self.payout_id}",)
        yield ACCOUNT, (merchant_available(self.merchant_id, self.currency),)
        yield ACCOUNT, (merchant_payout(self.merchant_id, self.currency),)
        yield ACCOUNT, (platform_fee(lane, self.currency),)
        yield ACCOUNT, (bank_clearing(self.bank, lane, self.currency),)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        known: Instruction | None = sheet.get(INSTRUCTION, self.number)
        payout: Payout | None = sheet.get(PAYOUT, self.merchant_id, self.batch_no, self.payout_no)
        if known is None or payout is None:
            raise Refused("PAYMENT_NOT_FOUND", "no such instruction")
        if self.result not in ("succeeded", "failed"):
            return self._wait(sheet, known, now.business)
        if known.state == self.result:
            return Decision(self._said("repeated"))
        if known.state in ("succeeded", "failed"):
            # the money has moved by the first word; a person must look
            return hold(sheet, known, f"the bank says {self.result} after {known.state}", now.business)
        if self.result == "succeeded" and (self.amount, self.currency) != (known.amount, known.currency):
            return hold(sheet, known, f"the bank reports {self.amount} {self.currency}", now.business)
        if holds_no(sheet, known, self.result):
            return hold(sheet, known, "the bank says failed after a success that could not be", now.business)
        moved = replace(
            known,
            state=str(move_instruction(known.state, InstructionState(self.result))),
            bank_ref=self.bank_ref,
            reason=self.reason,
            moved_at=now.business,
            inquire_at=None,
        )
        rows = [(INSTRUCTION, moved), *close_case(sheet, f"unknown:{self.number}", now.business)]
        ended, entry = self._end(payout, now.business, lane)
        rows += [(PAYOUT, ended), *count_ended(sheet, self.merchant_id, self.batch_no, [ended], now.business)]
        rows += payout_event(ended, now.business)
        if ended.source == "standing" and ended.state == PayoutState.FAILED:
            note = f"{ended.bank} does not pay to the card ({self.reason or 'no reason given'}); the money is available"
            note += " again, and standing payouts rest until this case is closed"
            case = case_of(known, f"standing:{self.payout_id}", "standing_refused", note, now.business)
            rows.append((CASE, case))
        return Decision(self._said("paid" if self.result == "succeeded" else "failed"), rows, [entry])

    def _end(self, payout: Payout, now: Instant, lane: int) -> tuple[Payout, Entry]:
        currency = payout.currency
        aside = merchant_payout(payout.merchant_id, currency)
        if self.result == "succeeded":
            done = replace(
                payout,
                state=move_payout(payout.state, PayoutState.SUCCEEDED),
                bank_ref=self.bank_ref,
                ended_at=now,
            )
            moves = postings(
                (aside, bank_clearing(payout.bank, lane, currency), payout.amount),
                (aside, platform_fee(lane, currency), payout.fee),
            )
            return done, Entry(f"payout:{payout.payout_id}", "payout", payout.merchant_id, "", moves)
        failed = replace(
            payout,
            state=move_payout(payout.state, PayoutState.FAILED),
            code=REASONS.get(self.reason, "PAYEE_UNKNOWN"),
            ended_at=now,
        )
        return failed, give_back(failed)

    def _said(self, what: str) -> Reported:
        return Reported(what, self.merchant_id, "")

    def _wait(self, sheet: Sheet, known: Instruction, now: Instant) -> Decision:
        """No final word: ask again later; an outcome long unknown has a case (I17)."""
        if known.state in ("succeeded", "failed"):
            return Decision(self._said("repeated"))
        if is_held(sheet, known):
            return Decision(self._said("waiting"))
        gap = INQUIRE_GAPS[min(known.tries, len(INQUIRE_GAPS) - 1)]
        state = known.state
        if state == "created" and self.result != "not_found":
            # it may have reached the bank: from now on it is asked about first
            state = str(move_instruction(state, InstructionState.UNKNOWN))
        waiting = replace(
            known,
            state=state,
            tries=known.tries + 1,
            moved_at=known.moved_at if state == known.state else now,
            inquire_at=Instant(now + gap),
        )
        rows: list[tuple[Table, Row]] = [(INSTRUCTION, waiting)]
        case_id = f"unknown:{self.number}"
        long = state == "unknown" and now - waiting.moved_at >= CASE_AFTER
        if long and sheet.get(CASE, case_id) is None:
            note = f"{known.bank} has not said what became of a payout; it is asked again at growing intervals"
            rows.append((CASE, case_of(known, case_id, "unknown_outcome", note, now)))
        return Decision(self._said("waiting"), rows)


def give_back(payout: Payout) -> Entry:
    """A failed payout's sum and fee are the merchant's to spend again."""
    aside = merchant_payout(payout.merchant_id, payout.currency)
    available = merchant_available(payout.merchant_id, payout.currency)
    moves = postings((aside, available, payout.amount + payout.fee))
    return Entry(f"payout_return:{payout.payout_id}", "payout_return", payout.merchant_id, "", moves)


async def take_payout_word(platform: Platform, known: Instruction, word: BankWord) -> Reported:
    """Enter a bank's word on a payout, whoever brought it."""
    payout = await payout_of(platform, known)
    return await _report(platform, known, payout, word.result, word)


async def inquire_payout(platform: Platform, known: Instruction) -> Reported:
    """Ask a bank for a payout, or what became of it, and enter what it says. While payouts are stopped none is sent,
    for the first time or again: it is asked about, and waits with its money aside where the bank does not know it."""
    payout = await payout_of(platform, known)
    sending = known.state == "created"
    word = None if sending else await _ask(platform, known, payout, sending=False)
    if sending or (word is not None and word.result == "not_found"):
        if await payouts_stopped(platform):
            return await _report(platform, known, payout, "not_found", None)
        # for the first time, or it never got there: the same number once more
        word = await _ask(platform, known, payout, sending=True)
    return await _report(platform, known, payout, word.result if word is not None else "no_answer", word)


async def _ask(platform: Platform, known: Instruction, payout: Payout, *, sending: bool) -> BankWord | None:
    channel = platform.channel(known.bank)
    asked = channel.payout(known, open_payee(platform, payout), payout.memo) if sending else channel.inquiry(known)
    try:
        word = channel.read_answer(await platform.world.send(asked, CALL_LIMITS))
        if word.instruction_no != known.instruction_no:
            raise RemoteProtocolError("instruction_no", "the bank speaks of another instruction")
    except NotSent as error:
        platform.world.log("bank.not_sent", bank=known.bank, instruction=known.instruction_no, reason=str(error))
        return BankWord(known.instruction_no, "not_found") if sending and known.state == "created" else None
    except (NoAnswer, RemoteProtocolError) as error:
        platform.world.log("bank.no_answer", bank=known.bank, instruction=known.instruction_no, reason=str(error))
        return None
    return word


async def _report(
    platform: Platform, known: Instruction, payout: Payout, result: str, word: BankWord | None
) -> Reported:
    said = word or BankWord("", result)
    command: Any = ReportPayout(
        payout.merchant_id,
        payout.batch_no,
        payout.payout_no,
        payout.payout_id,
        result,
        said.amount,
        payout.currency if word is None else said.currency,
        payout.bank,
        said.bank_ref,
        said.reason,
    )
    if await is_anothers(platform, known, said):
        command = DisputeReference(known.instruction_no, known.merchant_id, "", said.bank_ref)
    reported: Reported = await platform.submit(command)
    return reported


async def payouts_stopped(platform: Platform) -> bool:
    """Whether payouts are stopped for everybody."""
    found: list[Switch] = await platform.database.load(SWITCH, [(COUNTED,)])
    return bool(found) and found[0].stopped


async def payout_of(platform: Platform, instruction: Instruction) -> Payout:
    """The payout behind an instruction. Raises Refused PAYOUT_NOT_FOUND."""
    rows = await platform.database.read("payout.by_id", {"payout_id": instruction.instruction_no[:-1]})
    if not rows:
        raise Refused("PAYOUT_NOT_FOUND", "no such payout")
    found: list[Payout] = await platform.database.load(PAYOUT, [tuple(rows[0])])
    return found[0]
