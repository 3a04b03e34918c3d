"""Single payouts: take the sum and its fee from what is available, pay a balance at once, or ask a bank (T38, T40).

What is set aside for a bank waits in the merchant's *payout* account; success sends it out, failure gives it back.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from tongbao.kernel.error import Refused
from tongbao.kernel.record import record, replace
from tongbao.kernel.time import Instant, business_day
from tongbao.ledger.account import (
    Account,
    buyer_balance,
    merchant_available,
    merchant_payout,
    merchant_receivable,
    platform_fee,
)
from tongbao.ledger.entry import Entry, Posting
from tongbao.service.command import Needs
from tongbao.service.create import Asker
from tongbao.service.ended import payout_event
from tongbao.store.commit import AuditDraft, Decision, Now
from tongbao.store.schema import ACCOUNT, BUYER, COUNTER, INSTRUCTION, MERCHANT, PAYOUT, PAYOUT_CARD, SWITCH
from tongbao.store.sheet import Sheet
from tongbao.store.table import Row, Table
from tongbao.trade.agreement import Agreement, read_agreement
from tongbao.trade.party import Buyer, Merchant
from tongbao.trade.payout import (
    Line,
    Payout,
    PayoutCard,
    PayoutState,
    Switch,
    agreements_needed,
    count_up,
    is_own_card,
    is_paid_to,
    move_payout,
    same_name,
)
from tongbao.trade.record import Instruction
from tongbao.wire.bank import BANKS

COUNTED = "payouts"
"""The counter of what left *available* for payouts on one business day, fees included (I33); and the name of the switch
that stops them."""


@record
class Taken:
    """The payout's number, its state, and whether this command made it."""

    payout_id: str
    state: str
    made: bool


def payee_account(kind: str, payee_id: str, currency: str) -> str:
    """Where money for a balance goes."""
    return buyer_balance(payee_id, currency) if kind == "buyer" else merchant_available(payee_id, currency)


def payee_needs(kind: str, payee_id: str, currency: str) -> Needs:
    """The rows that ``check_payee`` and the posting read."""
    if kind == "card" or not payee_id:
        return
    yield (BUYER if kind == "buyer" else MERCHANT), (payee_id,)
    yield ACCOUNT, (payee_account(kind, payee_id, currency),)


def merchant_needs(merchant_id: str, currency: str, lane: int) -> Needs:
    """The payer's own accounts and counter, and the switch."""
    yield SWITCH, (COUNTED,)
    yield COUNTER, (merchant_id, COUNTED)
    yield ACCOUNT, (merchant_available(merchant_id, currency),)
    yield ACCOUNT, (merchant_receivable(merchant_id, currency),)
    yield ACCOUNT, (merchant_payout(merchant_id, currency),)
    yield ACCOUNT, (platform_fee(lane, currency),)


def check_payee(sheet: Sheet, merchant_id: str, line: Line) -> None:
    """Whoever is paid exists, is active, is somebody else, and has the name that was given. Raises Refused."""
    if line.kind == "card":
        if line.bank not in BANKS:
            raise Refused("BANK_UNKNOWN", line.bank)
        return
    if line.payee_id == merchant_id:
        raise Refused("PAYEE_UNKNOWN", "the payee is the payer", "self")
    if not line.payee_id:
        raise Refused("PAYEE_UNKNOWN", "no such balance account")
    row: Buyer | Merchant | None = sheet.get(BUYER if line.kind == "buyer" else MERCHANT, line.payee_id)
    if row is None or (isinstance(row, Buyer) and row.kind != "member"):
        raise Refused("PAYEE_UNKNOWN", "no such balance account")
    if row.status != ("active" if isinstance(row, Buyer) else "approved"):
        raise Refused("PAYEE_UNKNOWN", f"the payee's account is {row.status}")
    if line.name and not same_name(line.name, row.name):
        raise Refused("PAYEE_NAME_MISMATCH", "the account has another holder")


def check_sum(line: Line, agreement: Agreement) -> None:
    """One payout's sum against what was agreed. Raises Refused."""
    check_amount(line.amount, line.currency, agreement)


def check_amount(amount: int, currency: str, agreement: Agreement) -> None:
    """A sum in minor units against what was agreed. Raises Refused."""
    if amount <= 0:
        raise Refused("AMOUNT_NOT_POSITIVE", "a payout is above zero")
    if currency != "CNY":
        raise Refused("CURRENCY_NOT_ALLOWED", currency)
    if agreement.payout_most and amount > agreement.payout_most:
        raise Refused("LIMIT_EXCEEDED", f"a single payout is at most {agreement.payout_most}")


def is_stopped(sheet: Sheet) -> bool:
    """Whether payouts are stopped for everybody."""
    switch: Switch | None = sheet.get(SWITCH, COUNTED)
    return switch is not None and switch.stopped


def check_running(sheet: Sheet) -> None:
    """Raises Refused SYSTEM while payouts are stopped."""
    if is_stopped(sheet):
        raise Refused("SYSTEM", "payouts are stopped for the moment")


def spendable(sheet: Sheet, merchant_id: str, currency: str) -> int:
    """What a merchant may pay out, in minor units: what is available less what he owes; nothing while it is frozen."""
    account: Account | None = sheet.get(ACCOUNT, merchant_available(merchant_id, currency))
    debt: Account | None = sheet.get(ACCOUNT, merchant_receivable(merchant_id, currency))
    if account is None or account.frozen:
        return 0
    return max(account.balance + (debt.balance if debt is not None else 0), 0)


def check_funds(sheet: Sheet, merchant_id: str, currency: str, wanted: int) -> None:
    """Whether a merchant may pay ``wanted`` minor units out. Raises Refused MERCHANT_FUNDS."""
    if spendable(sheet, merchant_id, currency) < wanted:
        raise Refused("MERCHANT_FUNDS", "what is available, less what is owed, does not suffice")


def count(sheet: Sheet, merchant_id: str, wanted: int, agreement: Agreement, now: Instant) -> tuple[Table, Row]:
    """The day's counter after this. Raises Refused LIMIT_EXCEEDED."""
    before = sheet.get(COUNTER, merchant_id, COUNTED)
    return COUNTER, count_up(before, merchant_id, COUNTED, business_day(now), wanted, agreement.payout_day)


def postings(*moves: tuple[str, str, int]) -> tuple[Posting, ...]:
    """(debit, credit, sum) as postings; those of nothing are left out."""
    return tuple(Posting(debit, credit, amount) for debit, credit, amount in moves if amount)


def ask_bank(payout: Payout, now: Instant) -> Instruction:
    """The instruction under which a bank is asked for a payout; its number is ours with O, once and for ever."""
    return Instruction(
        instruction_no=payout_instruction(payout.payout_id),
        merchant_id=payout.merchant_id,
        out_trade_no="",
        attempt=0,
        kind="payout",
        bank=payout.bank,
        method="debit",
        amount=payout.amount,
        currency=payout.currency,
        state="created",
        bank_ref="",
        reason="",
        code="",
        tries=0,
        created_at=now,
        moved_at=now,
        inquire_at=now,
    )


def payout_instruction(payout_id: str) -> str:
    """The number of a payout's instruction."""
    return f"{payout_id}O"


def pay_line(payout: Payout, source: str, now: Instant, lane: int) -> tuple[Payout, list[tuple[Table, Row]], Entry]:
    """A payout to a balance, out of ``source``: the row, all rows, and the entry."""
    done = replace(payout, state=move_payout(payout.state, PayoutState.SUCCEEDED), ended_at=now)
    target = payee_account(payout.kind, payout.payee_id, payout.currency)
    entry = Entry(
        f"payout:{payout.payout_id}",
        "payout",
        payout.merchant_id,
        "",
        postings((source, target, payout.amount), (source, platform_fee(lane, payout.currency), payout.fee)),
    )
    return done, [(PAYOUT, done)], entry


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a payout comes from: ``source`` as in ``Payout``, the merchant's protocol and address for its result, and
    who entered it."""

    source: str
    protocol: str = ""
    notify_url: str = ""
    maker: str = ""


def make_payout(merchant_id: str, batch_no: str, n: int, line: Line, fee: int, origin: Origin, now: Instant) -> Payout:
    """The row of a line nobody has acted on."""
    return Payout(
        merchant_id=merchant_id,
        batch_no=batch_no,
        payout_no=line.payout_no,
        payout_id=line.payout_id,
        n=n,
        kind=line.kind,
        payee_id=line.payee_id,
        payee=line.payee,
        bank=line.bank,
        secret=line.secret,
        digest=line.digest,
        amount=line.amount,
        fee=fee,
        currency=line.currency,
        memo=line.memo,
        title=line.title,
        state=str(PayoutState.PROPOSED),
        code="",
        bank_ref="",
        source=origin.source,
        protocol=origin.protocol,
        notify_url=origin.notify_url,
        maker=origin.maker,
        checker="",
        created_at=now,
        ended_at=None,
    )


def start_payout(
    sheet: Sheet, payout: Payout, agreement: Agreement, now: Instant, lane: int
) -> tuple[Payout, list[tuple[Table, Row]], Entry]:
    """Take the money of a single payout and send it on its way. Raises Refused MERCHANT_FUNDS, LIMIT_EXCEEDED, SYSTEM
    while payouts are stopped."""
    check_running(sheet)
    merchant_id, currency = payout.merchant_id, payout.currency
    check_funds(sheet, merchant_id, currency, payout.amount + payout.fee)
    counted = count(sheet, merchant_id, payout.amount + payout.fee, agreement, now)
    available = merchant_available(merchant_id, currency)
    if payout.kind != "card":
        done, rows, entry = pay_line(payout, available, now, lane)
        return done, [*rows, counted, *payout_event(done, now)], entry
    sent = replace(payout, state=move_payout(payout.state, PayoutState.SENT))
    aside = (available, merchant_payout(merchant_id, currency), payout.amount + payout.fee)
    entry = Entry(f"payout_hold:{payout.payout_id}", "payout_hold", merchant_id, "", postings(aside))
    return sent, [(PAYOUT, sent), counted, (INSTRUCTION, ask_bank(sent, now))], entry


@record
class PayOne:
    """Pay one payee from what is available. The same number again is the same payout."""

    asker: Asker
    line: Line
    origin: Origin

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        merchant_id = self.asker.merchant_id
        yield from self.asker.needs()
        yield PAYOUT, (merchant_id, "", self.line.payout_no)
        yield from payee_needs(self.line.kind, self.line.payee_id, self.line.currency)
        yield from merchant_needs(merchant_id, self.line.currency, lane)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        merchant = self.asker.check(sheet)
        known: Payout | None = sheet.get(PAYOUT, merchant.merchant_id, "", self.line.payout_no)
        if known is not None:
            if not hmac.compare_digest(known.digest, self.line.digest):
                raise Refused("PAYOUT_MISMATCH", "this number was used for another payout")
            return Decision(Taken(known.payout_id, known.state, False))
        agreement = read_agreement(merchant.settings)
        check_sum(self.line, agreement)
        check_payee(sheet, merchant.merchant_id, self.line)
        fee = agreement.payout.of(self.line.amount)
        payout = make_payout(merchant.merchant_id, "", 1, self.line, fee, self.origin, now.business)
        if needs_checker(payout.amount, agreement):
            return Decision(Taken(payout.payout_id, payout.state, True), [(PAYOUT, payout)])
        moved, rows, entry = start_payout(sheet, payout, agreement, now.business, lane)
        return Decision(Taken(moved.payout_id, moved.state, True), rows, [entry])


@record
class ThrowSwitch:
    """An operator stops payouts for everybody, at once, or lets them go on (incidents). What banks were asked for goes
    to its end; nothing new begins. Outcome: whether they are stopped."""

    stopped: bool
    actor: str
    reason: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield SWITCH, (COUNTED,)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        switch = Switch(COUNTED, self.stopped, self.actor, self.reason, now.business)
        act = "payout.stop" if self.stopped else "payout.go"
        draft = AuditDraft(self.actor, act, COUNTED, self.reason)
        return Decision(self.stopped, [(SWITCH, switch)], audits=[draft])


def needs_checker(amount: int, agreement: Agreement) -> bool:
    """Whether a second person must agree to so much."""
    return bool(agreement.payout_check) and amount > agreement.payout_check


def persons_for_one(payout: Payout, agreement: Agreement) -> int:
    """How many persons must agree to a single payout that waits, whoever entered it left out. One that a person
    entered, or a rule of two persons, came over no protocol."""
    source = payout.source if payout.protocol else ""
    return agreements_needed(source, asks=True, above=needs_checker(payout.amount, agreement))


@record
class DecidePayout:
    """A person agrees to a single payout above the merchant's limit, or turns it down (T67); with the last of those who
    must it starts (``persons_for_one``). ``line`` is the payout as it was looked up again. A payout to the
    merchant's own card ends with that card: once another was entered, it can only be turned down (T70), and agreeing
    raises Refused STATE_CONFLICT. ``amount`` is what he was shown, in minor units: agreeing to another sum is
    refused REVIEW_AGAIN."""

    merchant_id: str
    line: Line
    checker: str
    amount: int
    agrees: bool
    reason: str

    def needs(self, sheet: Sheet, lane: int) -> Needs:
        yield MERCHANT, (self.merchant_id,)
        yield PAYOUT, (self.merchant_id, "", self.line.payout_no)
        yield PAYOUT_CARD, (self.merchant_id,)
        yield from payee_needs(self.line.kind, self.line.payee_id, self.line.currency)
        yield from merchant_needs(self.merchant_id, self.line.currency, lane)

    def decide(self, sheet: Sheet, now: Now, lane: int) -> Decision:
        payout: Payout | None = sheet.get(PAYOUT, self.merchant_id, "", self.line.payout_no)
        merchant: Merchant | None = sheet.get(MERCHANT, self.merchant_id)
        if payout is None or merchant is None:
            raise Refused("PAYOUT_NOT_FOUND", "no such payout")
        if payout.state != PayoutState.PROPOSED:
            raise Refused("STATE_CONFLICT", f"the payout is {payout.state}")
        check_checker(payout.maker, self.checker)
        act = "payout.approve" if self.agrees else "payout.refuse"
        draft = AuditDraft(self.checker, act, payout.payout_id, self.reason)
        if not self.agrees:
            first = payout.first if payout.first != self.checker else ""  # he takes back what he agreed to
            state = move_payout(payout.state, PayoutState.CLOSED)
            closed = replace(payout, first=first, checker=self.checker, state=state, ended_at=now.business)
            rows = [(PAYOUT, closed), *payout_event(closed, now.business)]
            return Decision(Taken(closed.payout_id, closed.state, False), rows, audits=[draft])
        if merchant.status != "approved":
            raise Refused("MERCHANT_DISABLED", f"the merchant is {merchant.status}")
        card: PayoutCard | None = sheet.get(PAYOUT_CARD, self.merchant_id)
        if is_own_card(payout) and (card is None or not is_paid_to(card, payout.created_at)):
            raise Refused("STATE_CONFLICT", "the merchant's card was changed since: the payout can only be turned down")
        if self.amount != payout.amount:
            raise Refused("REVIEW_AGAIN", f"amount: the payout is of {payout.amount} fen")
        if self.checker == payout.first:
            raise Refused("MAKER_IS_CHECKER", "agreed already: now it is another person's turn")
        check_payee(sheet, self.merchant_id, self.line)
        agreement = read_agreement(merchant.settings)
        wanted = persons_for_one(payout, agreement)
        if not payout.first and wanted > 1:
            half = replace(payout, first=self.checker)
            return Decision(Taken(half.payout_id, half.state, False), [(PAYOUT, half)], audits=[draft])
        checked = replace(payout, checker=self.checker, due=wanted)
        moved, rows, entry = start_payout(sheet, checked, agreement, now.business, lane)
        return Decision(Taken(moved.payout_id, moved.state, False), rows, [entry], [draft])


def check_checker(maker: str, checker: str) -> None:
    """Who agrees is somebody, and not who entered it. Raises Refused MAKER_IS_CHECKER."""
    if not checker or checker == maker:
        raise Refused("MAKER_IS_CHECKER", "who entered it may not agree to it")
