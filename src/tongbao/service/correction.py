"""Corrections: an entry for money that moved wrongly, proposed by one operator and posted by another, for an open case.

Only accounts that nothing else is measured by can be corrected: a buyer's balance, a merchant's settled money and what
he owes, the platform's fees and losses. Money that a bank does not take back, late money's or a stuck refund's, has a
correction of its own (kind ``late``), to the buyer's balance.
"""

from __future__ import annotations

import re
from typing import Final

from tongbao.kernel.error import Refused
from tongbao.kernel.record import record, replace
from tongbao.ledger.account import (
    Account,
    buyer_balance,
    currency_of,
    merchant_receivable,
    merchant_stuck,
    platform_loss,
    platform_suspense,
)
from tongbao.ledger.entry import Entry, Posting
from tongbao.service.command import Needs
from tongbao.service.hold import close_case, release_needs
from tongbao.service.refund_end import STUCK_CASE, give_to_buyer, stuck_case
from tongbao.service.refund_stuck import check_not_charged_back, find_stuck, stuck_needs
from tongbao.store.commit import AuditDraft, Decision, Now
from tongbao.store.record import Case
from tongbao.store.schema import ACCOUNT, CASE, CORRECTION, INSTRUCTION, OPERATOR, PAYMENT, TRADE
from tongbao.store.sheet import Sheet
from tongbao.store.table import Row, Table
from tongbao.trade.claim import Correction
from tongbao.trade.party import Operator
from tongbao.trade.record import Instruction, Payment
from tongbao.trade.state import PaymentState, move_payment

CORRECTABLE: Final = re.compile(
    r"buyer:[0-9]+:balance:[A-Z]{3}|merchant:[0-9A-Za-z]+:(?:available|receivable):[A-Z]{3}|platform:[0-9]+:(?:fee|loss):[A-Z]{3}",
    re.ASCII,
)
"""Accounts that a correction may touch."""

OF_STATEMENT: Final = re.compile(r"bank:[A-Z0-9]+:[0-9]+:[A-Z]{3}|platform:[0-9]+:suspense:[A-Z]{3}", re.ASCII)
"""Others that one may touch for a case about a bank's statement (I29)."""


@record
class OpenCase:
    """An operator has seen something that somebody must look at. ``subject`` says what; ``amount`` may be 0."""

    case_id: str
    subject: str
    note: str
    actor: str
    merchant_id: str = ""
    out_trade_no: str = ""
    amount: int = 0
    currency: str = "CNY"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield CASE, (self.case_id,)
        if self.out_trade_no:
            yield TRADE, (self.merchant_id, self.out_trade_no)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        if sheet.get(CASE, self.case_id) is not None:
            raise Refused("ALREADY_EXISTS", "this case's number is taken")
        if self.out_trade_no and sheet.get(TRADE, self.merchant_id, self.out_trade_no) is None:
            raise Refused("TRADE_NOT_FOUND", "no such trade")
        if not self.note or not self.actor:
            raise Refused("FIELD_MISSING", "a case has somebody who opens it, and a note")
        case = Case(
            case_id=self.case_id,
            kind="manual",
            merchant_id=self.merchant_id,
            out_trade_no=self.out_trade_no,
            subject=self.subject,
            amount=self.amount,
            currency=self.currency,
            state="open",
            note=self.note,
            opened_at=now.business,
            closed_at=None,
            owner=self.actor,
        )
        draft = AuditDraft(self.actor, "case.open", self.case_id, self.note)
        return Decision(case.case_id, [(CASE, case)], audits=[draft])


CLOSED_BY_RULE: Final = frozenset({"late_payment", "late_refused", "refund_stuck", "unknown_outcome", "dispute"})
"""Kinds of case that end with what they are about, and not by a person's word."""


RESTING: Final = frozenset({"statement_credit", "statement_debit"})
"""Kinds of case that money rests in suspense for: only a correction that moves all of it out ends them."""


@record
class TakeCase:
    """An open case is in the hands of ``owner`` from now on, an active operator. Outcome: his name."""

    case_id: str
    owner: str
    actor: str
    reason: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield CASE, (self.case_id,)
        yield OPERATOR, (self.owner,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        case: Case | None = sheet.get(CASE, self.case_id)
        owner: Operator | None = sheet.get(OPERATOR, self.owner)
        if case is None:
            raise Refused("NOT_FOUND", "no such case")
        if case.state == "closed":
            raise Refused("STATE_CONFLICT", "a closed case is in nobody's hands")
        if owner is None or owner.status != "active":
            raise Refused("NOT_FOUND", f"{self.owner} is no operator")
        if not self.actor or not self.reason:
            raise Refused("FIELD_MISSING", "a case is handed over by somebody, for a reason")
        draft = AuditDraft(self.actor, "case.take", self.case_id, self.reason, case.owner, self.owner)
        return Decision(self.owner, [(CASE, replace(case, owner=self.owner))], audits=[draft])


@record
class CloseCase:
    """An operator has looked at it and says how it ended. What rules or an entry close is not closed by hand. The bank
    of an instruction that was held for it is asked again (``service.hold``)."""

    case_id: str
    actor: str
    reason: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield from release_needs(self.case_id)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        case: Case | None = sheet.get(CASE, self.case_id)
        if case is None:
            raise Refused("NOT_FOUND", "no such case")
        if case.state == "closed" or case.kind in CLOSED_BY_RULE | RESTING:
            raise Refused("STATE_CONFLICT", f"a case of {case.kind} that is {case.state} is not closed by hand")
        if not self.actor or not self.reason:
            raise Refused("FIELD_MISSING", "a case is closed by somebody, for a reason")
        draft = AuditDraft(self.actor, "case.close", self.case_id, self.reason)
        return Decision(self.case_id, close_case(sheet, self.case_id, now.business), audits=[draft])


@record
class ProposeCorrection:
    """``amount`` (minor units) would move from ``debit`` to ``credit``. ``case_id`` is open and stays so until it is
    posted; it is about this merchant and trade, or about none in particular. Outcome: the number of the correction."""

    correction_id: str
    case_id: str
    debit: str
    credit: str
    amount: int
    actor: str
    reason: str
    merchant_id: str = ""
    out_trade_no: str = ""

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield CORRECTION, (self.correction_id,)
        yield CASE, (self.case_id,)
        if self.out_trade_no:
            yield TRADE, (self.merchant_id, self.out_trade_no)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        case: Case | None = sheet.get(CASE, self.case_id)
        of_statement = case is not None and case.kind.startswith("statement")
        for code in (self.debit, self.credit):
            owner = code.split(":")[1] if code.startswith("merchant:") else self.merchant_id
            fits = CORRECTABLE.fullmatch(code) or (of_statement and OF_STATEMENT.fullmatch(code))
            if not fits or owner != self.merchant_id:
                raise Refused("FIELD_INVALID", f"{code} cannot be corrected here")
        if self.debit == self.credit or currency_of(self.debit) != currency_of(self.credit):
            raise Refused("FIELD_INVALID", "a correction moves between two accounts of one currency")
        if self.out_trade_no and sheet.get(TRADE, self.merchant_id, self.out_trade_no) is None:
            raise Refused("TRADE_NOT_FOUND", "no such trade")
        for name, of_case, own in (
            ("merchant_id", case.merchant_id if case is not None else "", self.merchant_id),
            ("out_trade_no", case.out_trade_no if case is not None else "", self.out_trade_no),
        ):
            if of_case and own and own != of_case:
                raise Refused("FIELD_INVALID", f"{name}: the case is about {of_case}")
        if case is not None and case.kind in RESTING:
            rests = self.debit if case.kind == "statement_credit" else self.credit
            if ":suspense:" not in rests or self.amount != case.amount:
                raise Refused("FIELD_INVALID", f"the case ends when all {case.amount} of it leave suspense")
        kind = "write_off" if ":loss:" in self.debit and ":receivable:" in self.credit else "correct"
        return _propose(sheet, self, kind, self.case_id, (self.debit, self.credit, self.amount), now)


def propose_write_off(
    correction_id: str, case_id: str, merchant_id: str, amount: int, actor: str, reason: str, lane: int = 0
) -> ProposeCorrection:
    """The platform would bear ``amount`` of what a merchant owes."""
    return ProposeCorrection(
        correction_id,
        case_id,
        platform_loss(lane, "CNY"),
        merchant_receivable(merchant_id, "CNY"),
        amount,
        actor,
        reason,
        merchant_id,
    )


@record
class ProposeLate:
    """Late money whose bank does not take it back (case ``refused:INSTRUCTION``) would go to the balance of the buyer
    who paid it."""

    correction_id: str
    instruction_no: str
    merchant_id: str
    out_trade_no: str
    attempt: int
    actor: str
    reason: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield CORRECTION, (self.correction_id,)
        yield TRADE, (self.merchant_id, self.out_trade_no)
        yield PAYMENT, (self.merchant_id, self.out_trade_no, self.attempt)
        yield INSTRUCTION, (self.instruction_no,)
        yield CASE, (f"refused:{self.instruction_no}",)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        payment: Payment | None = sheet.get(PAYMENT, self.merchant_id, self.out_trade_no, self.attempt)
        known: Instruction | None = sheet.get(INSTRUCTION, self.instruction_no)
        if payment is None or known is None or self.instruction_no != f"{payment.payment_no}R":
            raise Refused("PAYMENT_NOT_FOUND", "no such late payment")
        if payment.state != "late" or known.state != "failed":
            raise Refused("STATE_CONFLICT", "only late money that its bank has refused to take goes another way")
        target = buyer_balance(payment.buyer_id, payment.currency)
        move = (platform_suspense(lane, payment.currency), target, payment.amount)
        return _propose(sheet, self, "late", f"refused:{self.instruction_no}", move, now)


@record
class ProposeStuck:
    """The money of a refund that is stuck (case ``stuck:REFUND``) would go to the balance of the buyer who paid."""

    correction_id: str
    merchant_id: str
    out_trade_no: str
    refund_id: str
    actor: str
    reason: str
    currency: str = "CNY"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield CORRECTION, (self.correction_id,)
        yield from stuck_needs(sheet, self.merchant_id, self.out_trade_no, self.refund_id, self.currency, lane)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        refund, _ = find_stuck(sheet, self.merchant_id, self.out_trade_no, self.refund_id)
        target = buyer_balance(refund.buyer_id, refund.currency)
        move = (merchant_stuck(self.merchant_id, refund.currency), target, refund.amount)
        return _propose(sheet, self, "late", stuck_case(refund.refund_id), move, now)


def _propose(
    sheet: Sheet,
    said: ProposeCorrection | ProposeLate | ProposeStuck,
    kind: str,
    case_id: str,
    move: tuple[str, str, int],
    now: Now,
) -> Decision:
    """Write down what somebody proposes for this case; ``move`` is (debit, credit, minor units). Raises Refused."""
    debit, credit, amount = move
    correction = Correction(
        correction_id=said.correction_id,
        kind=kind,
        case_id=case_id,
        merchant_id=said.merchant_id,
        out_trade_no=said.out_trade_no,
        debit=debit,
        credit=credit,
        amount=amount,
        currency=currency_of(debit),
        reason=said.reason,
        state="proposed",
        maker=said.actor,
        checker="",
        proposed_at=now.business,
        decided_at=None,
    )
    if sheet.get(CORRECTION, correction.correction_id) is not None:
        raise Refused("ALREADY_EXISTS", "this correction's number is taken")
    if correction.amount <= 0:
        raise Refused("AMOUNT_NOT_POSITIVE", "a correction is above zero")
    if not correction.maker or not correction.reason:
        raise Refused("FIELD_MISSING", "a correction has an operator and a reason")
    case: Case | None = sheet.get(CASE, correction.case_id)
    if case is None or case.state != "open":
        raise Refused("NOT_FOUND", "a correction belongs to an open case")
    if case.kind in CLOSED_BY_RULE and correction.kind != "late":
        raise Refused("STATE_CONFLICT", f"a case of {case.kind} ends with what it is about")
    what = f"{correction.debit}>{correction.credit}={correction.amount}"
    draft = AuditDraft(correction.maker, "correction.propose", correction.correction_id, correction.reason, "", what)
    return Decision(correction.correction_id, [(CORRECTION, correction)], audits=[draft])


@record
class DecideCorrection:
    """Another operator posts a proposal, which closes its case, or refuses it. Outcome: the state it is in now."""

    correction_id: str
    agrees: bool
    actor: str
    reason: str = ""

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield CORRECTION, (self.correction_id,)
        known: Correction | None = sheet.peek(CORRECTION, self.correction_id)
        if known is None:
            return
        yield from release_needs(known.case_id)
        yield ACCOUNT, (known.debit,)
        yield ACCOUNT, (known.credit,)
        if _is_stuck(known):
            of = (known.merchant_id, known.out_trade_no, _refund_id(known))
            yield from stuck_needs(sheet, *of, known.currency, lane)
        elif known.kind == "late":
            number = known.case_id.removeprefix("refused:")
            yield TRADE, (known.merchant_id, known.out_trade_no)
            yield PAYMENT, (known.merchant_id, known.out_trade_no, _attempt(number))
            yield CASE, (f"late:{number[:-1]}",)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        known: Correction | None = sheet.get(CORRECTION, self.correction_id)
        if known is None:
            raise Refused("NOT_FOUND", "no such correction")
        if known.state != "proposed":
            raise Refused("STATE_CONFLICT", f"the correction is {known.state}")
        if not self.actor:
            raise Refused("FIELD_MISSING", "a correction has an operator")
        state = "posted" if self.agrees else "refused"
        decided = replace(known, state=state, checker=self.actor, decided_at=now.business)
        draft = AuditDraft(
            self.actor, f"correction.{state}", known.correction_id, self.reason, known.maker, known.case_id
        )
        if not self.agrees:
            return Decision(state, [(CORRECTION, decided)], audits=[draft])
        if self.actor == known.maker:
            raise Refused("MAKER_IS_CHECKER", "who proposed may not post")
        case: Case | None = sheet.get(CASE, known.case_id)
        if case is None or case.state != "open":
            raise Refused("STATE_CONFLICT", "the case is closed: what was wrong is mended, or was not wrong")
        account: Account | None = sheet.get(ACCOUNT, known.debit)
        balance = account.balance if account is not None else 0
        free = known.kind == "late" or known.debit.startswith("bank:")
        free = free or any(name in known.debit for name in (":loss:", ":receivable:", ":suspense:"))
        if not free and balance < known.amount:
            raise Refused("MERCHANT_FUNDS", f"{known.debit} has {balance}")
        if ":receivable:" in known.credit and known.amount > -_balance(sheet, known.credit):
            raise Refused("LIMIT_EXCEEDED", "more than the merchant owes")
        if _is_stuck(known):
            refund, trade = find_stuck(sheet, known.merchant_id, known.out_trade_no, _refund_id(known))
            check_not_charged_back(sheet, trade)
            given, moved = give_to_buyer(sheet, refund, trade, now.business, lane)
            return Decision(state, [(CORRECTION, decided), *given], [moved], [draft])
        rows: list[tuple[Table, Row]] = [(CORRECTION, decided), *close_case(sheet, known.case_id, now.business)]
        key, kind = f"correct:{known.correction_id}", "correct"
        if known.kind == "late":
            number = known.case_id.removeprefix("refused:")
            payment: Payment = sheet.get(PAYMENT, known.merchant_id, known.out_trade_no, _attempt(number))
            returned = replace(payment, state=str(move_payment(payment.state, PaymentState.RETURNED)))
            rows += [(PAYMENT, returned), *close_case(sheet, f"late:{payment.payment_no}", now.business)]
            key, kind = f"return:{payment.payment_no}", "return"
        posting = Posting(known.debit, known.credit, known.amount)
        entry = Entry(key, kind, known.merchant_id, known.out_trade_no, (posting,))
        return Decision(state, rows, [entry], [draft])


def _is_stuck(correction: Correction) -> bool:
    """Whether it is about a refund that is stuck."""
    return correction.kind == "late" and correction.case_id.startswith(STUCK_CASE)


def _refund_id(correction: Correction) -> str:
    """The refund that its case names."""
    return correction.case_id.removeprefix(STUCK_CASE)


def _balance(sheet: Sheet, code: str) -> int:
    account: Account | None = sheet.get(ACCOUNT, code)
    return 0 if account is None else account.balance


def _attempt(instruction_no: str) -> int:
    """The attempt that a late refund's number ends with."""
    return int(instruction_no[-3:-1])
