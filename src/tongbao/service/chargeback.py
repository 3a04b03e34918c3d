"""Chargebacks: a bank takes back what it paid. The merchant bears it, out of what he has; the rest he owes.

What a merchant owes is a negative account of his own. It is paid back out of what is settled to him later, by a duty,
or written off by two operators (``service.correction``). A trade is left as it is, but what was charged back of it
cannot be refunded a second time: the case tells what a person must look at.
"""

from __future__ import annotations

from collections.abc import Sequence

from tongbao.kernel.error import Refused
from tongbao.kernel.money import Money
from tongbao.kernel.record import record, replace
from tongbao.ledger.account import (
    Account,
    bank_clearing,
    merchant_available,
    merchant_pending,
    merchant_receivable,
    merchant_reserve,
)
from tongbao.ledger.entry import Entry, Posting
from tongbao.service.channel import StatementLine
from tongbao.service.command import Needs
from tongbao.service.payout import check_checker
from tongbao.service.platform import Platform
from tongbao.service.refund import funds, return_of
from tongbao.store.commit import AuditDraft, Decision, Now
from tongbao.store.record import Case
from tongbao.store.schema import ACCOUNT, CASE, CHARGEBACK, INSTRUCTION, TRADE, TRADE_RETURN
from tongbao.store.sheet import Sheet
from tongbao.trade.claim import Chargeback
from tongbao.trade.record import Instruction, Trade

KIND = "chargeback"
"""The word of a bank's statement for what it took back."""

DEBTORS = 100
"""Merchants whose debts one round of the duty looks at."""


@record
class TakeChargeback:
    """A bank has taken ``amount`` (minor units) of one of its payments back, under ``bank_ref`` of its own; entered by
    ``actor`` and agreed to by ``checker`` (T67), or said by the bank's own statement (``of_statement``). The same
    reference again changes nothing; more than was paid is not the merchant's to bear, and stays a difference with the
    bank. Outcome: the ``Chargeback``. Raises Refused MAKER_IS_CHECKER, PAYMENT_NOT_FOUND, AMOUNT_INVALID,
    STATE_CONFLICT, IDEMPOTENCY_CONFLICT."""

    bank: str
    bank_ref: str
    instruction_no: str
    merchant_id: str
    out_trade_no: str
    amount: int
    actor: str
    checker: str
    reason: str
    currency: str = "CNY"
    of_statement: bool = False

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield CHARGEBACK, (self.bank, self.bank_ref)
        yield TRADE, (self.merchant_id, self.out_trade_no)
        yield TRADE_RETURN, (self.merchant_id, self.out_trade_no)
        yield INSTRUCTION, (self.instruction_no,)
        yield CASE, (f"chargeback:{self.bank}:{self.bank_ref}",)
        for code in (
            merchant_pending(self.merchant_id, self.currency),
            merchant_reserve(self.merchant_id, self.currency),
            merchant_available(self.merchant_id, self.currency),
            merchant_receivable(self.merchant_id, self.currency),
            bank_clearing(self.bank, lane, self.currency),
        ):
            yield ACCOUNT, (code,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        if not self.of_statement:
            check_checker(self.actor, self.checker)
        known: Chargeback | None = sheet.get(CHARGEBACK, self.bank, self.bank_ref)
        if known is not None:
            if (known.instruction_no, known.amount) != (self.instruction_no, self.amount):
                raise Refused("IDEMPOTENCY_CONFLICT", "this reference was used for another chargeback")
            return Decision(known)
        paid: Instruction | None = sheet.get(INSTRUCTION, self.instruction_no)
        fits = paid is not None and (paid.bank, paid.kind, paid.state, paid.merchant_id, paid.out_trade_no) == (
            self.bank,
            "pay",
            "succeeded",
            self.merchant_id,
            self.out_trade_no,
        )
        if paid is None or not fits:
            raise Refused("PAYMENT_NOT_FOUND", "no such payment of this bank")
        if not 0 < self.amount <= paid.amount or self.currency != paid.currency:
            raise Refused("AMOUNT_INVALID", f"the payment was over {paid.amount}")
        trade: Trade = sheet.get(TRADE, self.merchant_id, self.out_trade_no)
        if paid.attempt != trade.paid_attempt:
            raise Refused("STATE_CONFLICT", "this payment came late and went back: the merchant never had it")
        returns = return_of(sheet, trade)
        if returns.charged_back + self.amount > paid.amount:
            raise Refused("AMOUNT_INVALID", f"{returns.charged_back} of {paid.amount} were taken back before")
        chargeback = self._bear(sheet, now)
        acts = [(self.actor, "chargeback.take")]
        if not self.of_statement:
            acts = [(self.actor, "chargeback.enter"), (self.checker, "chargeback.agree")]
        drafts = [AuditDraft(actor, act, f"{self.bank}:{self.bank_ref}", self.reason) for actor, act in acts]
        after = replace(returns, charged_back=returns.charged_back + self.amount)
        rows = [(CHARGEBACK, chargeback), (TRADE_RETURN, after), (CASE, self._case(chargeback))]
        return Decision(chargeback, rows, [self._entry(chargeback, lane)], drafts)

    def _bear(self, sheet: Sheet, now: Now) -> Chargeback:
        left = self.amount
        parts = []
        for code in (
            merchant_pending(self.merchant_id, self.currency),
            merchant_reserve(self.merchant_id, self.currency),
            merchant_available(self.merchant_id, self.currency),
        ):
            part = min(left, funds(sheet, code))
            parts.append(part)
            left -= part
        return Chargeback(
            bank=self.bank,
            bank_ref=self.bank_ref,
            instruction_no=self.instruction_no,
            merchant_id=self.merchant_id,
            out_trade_no=self.out_trade_no,
            amount=self.amount,
            currency=self.currency,
            from_pending=parts[0],
            from_reserve=parts[1],
            from_available=parts[2],
            short=left,
            at=now.business,
        )

    def _entry(self, taken: Chargeback, lane: int) -> Entry:
        sources = (
            (merchant_pending(self.merchant_id, self.currency), taken.from_pending),
            (merchant_reserve(self.merchant_id, self.currency), taken.from_reserve),
            (merchant_available(self.merchant_id, self.currency), taken.from_available),
            (merchant_receivable(self.merchant_id, self.currency), taken.short),
        )
        target = bank_clearing(self.bank, lane, self.currency)
        postings = tuple(Posting(source, target, part) for source, part in sources if part)
        key = f"chargeback:{self.bank}:{self.bank_ref}"
        return Entry(key, "chargeback", self.merchant_id, self.out_trade_no, postings)

    def _case(self, taken: Chargeback) -> Case:
        return Case(
            case_id=f"chargeback:{self.bank}:{self.bank_ref}",
            kind="chargeback",
            merchant_id=self.merchant_id,
            out_trade_no=self.out_trade_no,
            subject=self.instruction_no,
            amount=taken.amount,
            currency=taken.currency,
            state="open",
            note=f"{self.bank} took a payment back ({self.reason}); the merchant owes"
            f" {Money(taken.short, self.currency).text()} of it",
            opened_at=taken.at,
            closed_at=None,
        )


@record
class RecoverReceivable:
    """Take what a merchant owes out of what is settled to him, as far as it goes. Outcome: how much, in minor units."""

    merchant_id: str
    currency: str = "CNY"

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield ACCOUNT, (merchant_available(self.merchant_id, self.currency),)
        yield ACCOUNT, (merchant_receivable(self.merchant_id, self.currency),)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        debt: Account | None = sheet.get(ACCOUNT, merchant_receivable(self.merchant_id, self.currency))
        owed = -debt.balance if debt is not None else 0
        available = merchant_available(self.merchant_id, self.currency)
        part = min(owed, funds(sheet, available))
        if part <= 0 or debt is None:
            return Decision(0)
        # what is owed only falls between two chargebacks, and time does not stand still: the key comes once
        key = f"recover:{self.merchant_id}:{now.business}:{owed}"
        entry = Entry(key, "recover", self.merchant_id, "", (Posting(available, debt.code, part),))
        return Decision(part, (), [entry])


async def take_lines(platform: Platform, bank: str, day: int, lines: Sequence[StatementLine]) -> None:
    """Enter what a bank's statement of ``day`` says it took back, each line under the bank's own reference. One that
    names no payment of the bank's, or more than was paid, is left as a difference."""
    told = [line for line in lines if line.kind == KIND and not line.income and line.number]
    numbers = sorted({(line.number,) for line in told})
    found: list[Instruction] = await platform.database.load(INSTRUCTION, numbers) if numbers else []
    known = {one.instruction_no: one for one in found}
    for line in told:
        if line.number not in known:
            continue
        paid = known[line.number]
        taken = TakeChargeback(
            bank,
            line.ref,
            paid.instruction_no,
            paid.merchant_id,
            paid.out_trade_no,
            line.amount,
            f"bank:{bank}",
            "",
            f"statement of {day}",
            line.currency,
            of_statement=True,
        )
        try:
            await platform.submit(taken)
        except Refused as refusal:
            platform.world.log("chargeback.refused", bank=bank, ref=line.ref, reason=str(refusal))


async def recover_debts(platform: Platform) -> int:
    """The worker's duty: every debt is paid back as far as its merchant has settled money; how many were."""
    done = 0
    for merchant_id, currency in await platform.database.read("receivable.payable", {"most": DEBTORS}):
        done += bool(await platform.submit(RecoverReceivable(merchant_id, currency)))
    return done
