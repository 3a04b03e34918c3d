"""What a bank says that cannot be: nothing moves, and until a person has looked, the bank is asked no more (I11, T27).

An instruction is *held* while its inquiry is not due and its case ``amount:NUMBER`` is open. Closing the case has the
bank asked again; if it still says the same, the same case is open again. A no that comes meanwhile is held as well: the
bank has said yes before, so that giving money back on its word could pay twice.
"""

from __future__ import annotations

from tongbao.kernel.error import Refused
from tongbao.kernel.record import record, replace
from tongbao.kernel.time import Instant
from tongbao.service.channel import BankWord
from tongbao.service.command import Needs
from tongbao.service.platform import Platform
from tongbao.store.commit import Decision, Now
from tongbao.store.record import Case, CaseKind
from tongbao.store.schema import CASE, INSTRUCTION, TRADE
from tongbao.store.sheet import Sheet
from tongbao.store.table import Row, Table
from tongbao.trade.record import Instruction
from tongbao.trade.state import InstructionState, move_instruction

ENDED = ("succeeded", "failed")
"""States of an instruction that a bank has spoken its last word on."""

_PREFIX = "amount:"


@record
class Reported:
    """What a bank's word came to: ``captured``, ``paid``, ``failed``, ``late``, ``returned``, ``repeated``,
    ``waiting``, ``disputed``."""

    what: str
    merchant_id: str
    out_trade_no: str


def hold_needs(number: str) -> Needs:
    """The row that ``is_held`` and ``hold`` read beside the instruction's."""
    yield CASE, (f"{_PREFIX}{number}",)


def case_of(known: Instruction, case_id: str, kind: CaseKind, note: str, now: Instant) -> Case:
    """A case about an instruction, over its sum."""
    return Case(
        case_id=case_id,
        kind=kind,
        merchant_id=known.merchant_id,
        out_trade_no=known.out_trade_no,
        subject=known.instruction_no,
        amount=known.amount,
        currency=known.currency,
        state="open",
        note=note,
        opened_at=now,
        closed_at=None,
    )


def is_held(sheet: Sheet, known: Instruction) -> bool:
    """Whether a person is to look before the bank is asked again."""
    case: Case | None = sheet.get(CASE, f"{_PREFIX}{known.instruction_no}")
    return known.state not in ENDED and known.inquire_at is None and case is not None and case.state == "open"


def holds_no(sheet: Sheet, known: Instruction, result: str) -> bool:
    """Whether a bank's no waits for a person: it has said yes before, in a way that could not be."""
    return result == "failed" and is_held(sheet, known)


def hold(sheet: Sheet, known: Instruction, note: str, now: Instant) -> Decision:
    """A bank's word that is not believed: its case is open, once; an instruction under way is asked about no more."""
    case_id = f"{_PREFIX}{known.instruction_no}"
    said = Reported("disputed", known.merchant_id, known.out_trade_no)
    case: Case | None = sheet.get(CASE, case_id)
    under_way = known.state not in ENDED
    rows: list[tuple[Table, Row]] = []
    if under_way:
        note = f"{note}; {known.bank} is asked again when this case is closed"
    if case is None:
        rows.append((CASE, case_of(known, case_id, "bank_disagrees", note, now)))
    elif case.state == "closed" and under_way:
        rows.append((CASE, replace(case, state="open", note=note, closed_at=None)))
    if under_way and known.inquire_at is not None:
        # the bank has heard of it: whatever becomes of it, it is asked about before it is sent again
        state = (
            known.state if known.state == "unknown" else str(move_instruction(known.state, InstructionState.UNKNOWN))
        )
        at = known.moved_at if state == known.state else now
        rows.append((INSTRUCTION, replace(known, state=state, tries=known.tries + 1, moved_at=at, inquire_at=None)))
    return Decision(said, rows)


def release_needs(case_id: str) -> Needs:
    """The rows that ``close_case`` reads."""
    yield CASE, (case_id,)
    if case_id.startswith(_PREFIX):
        yield INSTRUCTION, (case_id.removeprefix(_PREFIX),)


def close_case(sheet: Sheet, case_id: str, now: Instant) -> list[tuple[Table, Row]]:
    """The rows of a case that ends, if it is open; the bank of an instruction that it held is asked again at once."""
    case: Case | None = sheet.get(CASE, case_id)
    if case is None or case.state == "closed":
        return []
    rows: list[tuple[Table, Row]] = [(CASE, replace(case, state="closed", closed_at=now))]
    if case_id.startswith(_PREFIX):
        known: Instruction | None = sheet.get(INSTRUCTION, case.subject)
        if known is not None and is_held(sheet, known):
            rows.append((INSTRUCTION, replace(known, inquire_at=now)))
    return rows


@record
class DisputeReference:
    """A bank reports success under a reference that it gave another instruction before: a case, and nothing moves."""

    instruction_no: str
    merchant_id: str
    out_trade_no: str
    bank_ref: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        if self.out_trade_no:
            yield TRADE, (self.merchant_id, self.out_trade_no)
        yield INSTRUCTION, (self.instruction_no,)
        yield from hold_needs(self.instruction_no)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        known: Instruction | None = sheet.get(INSTRUCTION, self.instruction_no)
        if known is None:
            raise Refused("PAYMENT_NOT_FOUND", "no such instruction")
        return hold(sheet, known, f"the bank's reference {self.bank_ref} is another instruction's", now.business)


async def is_anothers(platform: Platform, known: Instruction, word: BankWord) -> bool:
    """Whether the bank's reference is that of another instruction of the same kind (I11). An index refuses what gets
    past this look, and the next look sees it."""
    if word.result != "succeeded" or not word.bank_ref:
        return False
    where = {"bank": known.bank, "kind": known.kind, "bank_ref": word.bank_ref}
    found = await platform.database.read("instruction.by_ref", where)
    return any(number != known.instruction_no for (number,) in found)
